"""The reply encoders: every value in both protocol versions."""

from __future__ import annotations

import math

import pytest

from redis_trio.protocol.reply import (
    NO_REPLY,
    NULL_ARRAY,
    OK,
    PONG,
    QUEUED,
    Attribute,
    BigNumber,
    Encoded,
    HumanDouble,
    MapPairs,
    Pairs,
    Push,
    RedisError,
    Reply,
    SetReply,
    Status,
    Verbatim,
    encode,
    encode_error,
)


def same(reply: Reply, wire: bytes) -> tuple[Reply, bytes, bytes]:
    """Return the entry of a value whose two forms are one."""
    return reply, wire, wire


TABLE: dict[str, tuple[Reply, bytes, bytes]] = {
    "bytes": (b"value", b"$5\r\nvalue\r\n", b"$5\r\nvalue\r\n"),
    "empty bytes": (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
    "binary": (b"\r\n\0\xff", b"$4\r\n\r\n\0\xff\r\n", b"$4\r\n\r\n\0\xff\r\n"),
    "1024 bytes": same(b"x" * 1024, b"$1024\r\n" + b"x" * 1024 + b"\r\n"),
    "bytearray": (bytearray(b"ab"), b"$2\r\nab\r\n", b"$2\r\nab\r\n"),
    "zero": (0, b":0\r\n", b":0\r\n"),
    "small integer": (1023, b":1023\r\n", b":1023\r\n"),
    "integer": (1024, b":1024\r\n", b":1024\r\n"),
    "negative": (-1, b":-1\r\n", b":-1\r\n"),
    "lowest integer": (-(2**63), b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
    "null": (None, b"$-1\r\n", b"_\r\n"),
    "null array": (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
    "true": (True, b":1\r\n", b"#t\r\n"),
    "false": (False, b":0\r\n", b"#f\r\n"),
    "double": (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
    "whole double": (3.0, b"$1\r\n3\r\n", b",3\r\n"),
    "negative zero": (-0.0, b"$2\r\n-0\r\n", b",-0\r\n"),
    "infinity": (math.inf, b"$3\r\ninf\r\n", b",inf\r\n"),
    "negative infinity": (-math.inf, b"$4\r\n-inf\r\n", b",-inf\r\n"),
    "not a number": (math.nan, b"$3\r\nnan\r\n", b",nan\r\n"),
    "human double": (HumanDouble(13.25), b"$5\r\n13.25\r\n", b",13.25\r\n"),
    "array": ([b"a", 1, None], b"*3\r\n$1\r\na\r\n:1\r\n$-1\r\n", b"*3\r\n$1\r\na\r\n:1\r\n_\r\n"),
    "tuple": ((1, 2), b"*2\r\n:1\r\n:2\r\n", b"*2\r\n:1\r\n:2\r\n"),
    "empty array": ([], b"*0\r\n", b"*0\r\n"),
    "long array": ([0] * 256, b"*256\r\n" + b":0\r\n" * 256, b"*256\r\n" + b":0\r\n" * 256),
    "nested": same([[[]], [2]], b"*2\r\n*1\r\n*0\r\n*1\r\n:2\r\n"),
    "map": (
        {b"a": 1, b"b": {b"c": None}},
        b"*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*2\r\n$1\r\nc\r\n$-1\r\n",
        b"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n%1\r\n$1\r\nc\r\n_\r\n",
    ),
    "empty map": ({}, b"*0\r\n", b"%0\r\n"),
    "set": (SetReply([b"a", 2]), b"*2\r\n$1\r\na\r\n:2\r\n", b"~2\r\n$1\r\na\r\n:2\r\n"),
    "pairs": (
        Pairs([(b"a", 1.5), (b"b", 2)]),
        b"*4\r\n$1\r\na\r\n$3\r\n1.5\r\n$1\r\nb\r\n:2\r\n",
        b"*2\r\n*2\r\n$1\r\na\r\n,1.5\r\n*2\r\n$1\r\nb\r\n:2\r\n",
    ),
    "map pairs": (
        MapPairs([(b"a", 1), (b"a", [None])]),
        b"*2\r\n*2\r\n$1\r\na\r\n:1\r\n*2\r\n$1\r\na\r\n*1\r\n$-1\r\n",
        b"%2\r\n$1\r\na\r\n:1\r\n$1\r\na\r\n*1\r\n_\r\n",
    ),
    "push": (Push([b"pong", 1]), b"*2\r\n$4\r\npong\r\n:1\r\n", b">2\r\n$4\r\npong\r\n:1\r\n"),
    "status": same(Status(b"Saving started"), b"+Saving started\r\n"),
    "OK": (OK, b"+OK\r\n", b"+OK\r\n"),
    "PONG": (PONG, b"+PONG\r\n", b"+PONG\r\n"),
    "QUEUED": (QUEUED, b"+QUEUED\r\n", b"+QUEUED\r\n"),
    "error": (RedisError("WRONGTYPE no"), b"-WRONGTYPE no\r\n", b"-WRONGTYPE no\r\n"),
    "error in an array": same([RedisError("ERR a"), OK], b"*2\r\n-ERR a\r\n+OK\r\n"),
    "big number": (BigNumber(b"-123"), b"$4\r\n-123\r\n", b"(-123\r\n"),
    "verbatim": (Verbatim(b"text"), b"$4\r\ntext\r\n", b"=8\r\ntxt:text\r\n"),
    "verbatim markdown": (Verbatim(b"", b"mkd"), b"$0\r\n\r\n", b"=4\r\nmkd:\r\n"),
    "attribute": (
        Attribute({b"ttl": 9}, [b"a"]),
        b"*1\r\n$1\r\na\r\n",
        b"|1\r\n$3\r\nttl\r\n:9\r\n*1\r\n$1\r\na\r\n",
    ),
    "encoded": (Encoded(b"+AS IS\r\n"), b"+AS IS\r\n", b"+AS IS\r\n"),
    "no reply": (NO_REPLY, b"", b""),
}  # fmt: skip


def wire(reply: Reply, resp: int) -> bytes:
    out: list[bytes] = []
    encode(out, reply, resp)
    return b"".join(out)


@pytest.mark.parametrize("name", TABLE)
def test_a_value_in_both_versions(name: str) -> None:
    reply, resp2, resp3 = TABLE[name]
    assert wire(reply, 2) == resp2
    assert wire(reply, 3) == resp3
    assert wire([reply, reply], 2) == b"*2\r\n" + resp2 * 2
    assert wire([reply, reply], 3) == b"*2\r\n" + resp3 * 2


def test_every_chunk_is_bytes_and_a_value_is_not_copied() -> None:
    value = b"x" * 100_000
    for resp in (2, 3):
        out: list[bytes] = []
        encode(out, [value, bytearray(b"a"), 1.5], resp)
        assert all(type(chunk) is bytes for chunk in out)
        assert any(chunk is value for chunk in out)


@pytest.mark.parametrize(
    "items",
    [
        *([b"abc"] * 3, [b""] * 5, [b"a", b"bc", b"def"], [b"x" * 1023] * 4, [b"x" * 1024] * 4),
        *(
            [b"a", b"x" * 1024, b"b"],
            [b"x" * 1024, b"a", b"b"],
            [b"a", b"b", None],
            [b"a", b"b", 3],
        ),
        *([1, b"a", b"b"], [b"a", b"b", bytearray(b"c")], [b"a", b"b", [b"c", b"d", b"e"]]),
        *([b"%d" % number for number in range(300)], [b"a"] * 300),
    ],
)
@pytest.mark.parametrize("resp", [2, 3])
def test_an_array_of_strings_is_what_its_items_are_one_by_one(
    items: list[Reply], resp: int
) -> None:
    """Many short strings are joined in other ways than few or long ones."""
    head = b"%d\r\n" % len(items)
    body = b""
    for item in items:
        chunks: list[bytes] = []
        encode(chunks, item, resp)
        body += b"".join(chunks)
    for reply, kind in ((items, b"*"), (SetReply(items), b"*" if resp == 2 else b"~")):
        out: list[bytes] = []
        encode(out, reply, resp)
        assert b"".join(out) == kind + head + body


def test_an_error_is_one_line() -> None:
    assert encode_error("ERR a\r\nb\n") == b"-ERR a  b\r\n"
    assert encode_error("ERR '\udcff\udc80ä'") == b"-ERR '\xff\x80\xc3\xa4'\r\n"


def test_the_code_of_an_error_is_its_first_word() -> None:
    assert RedisError("WRONGTYPE Operation against").code == "WRONGTYPE"
    assert RedisError("ERR").code == "ERR"


def test_what_is_no_reply_is_a_type_error() -> None:
    for resp in (2, 3):
        with pytest.raises(TypeError):
            wire(object(), resp)  # type: ignore[arg-type]
