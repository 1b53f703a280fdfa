"""The reply parser: what was encoded comes out again, however the stream is cut."""

from __future__ import annotations

import math
import random
import tracemalloc

import pytest

from redis_trio.protocol.reply import (
    NO_REPLY,
    NULL_ARRAY,
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
)
from redis_trio.protocol.request import ProtocolError
from redis_trio.protocol.response import ReplyParser
from tests.interop.compare import plain
from tests.unit.test_reply import TABLE, wire

MB = 1024 * 1024

REPLIES: dict[str, tuple[bytes, object]] = {
    "status": (b"+OK\r\n", "OK"),
    "empty status": (b"+\r\n", ""),
    "error": (b"-ERR no\r\n", ("error", "ERR no")),
    "blob error": (b"!6\r\nERR \r\n\r\n", ("error", "ERR \r\n")),
    "integer": (b":-12\r\n", -12),
    "integer with a plus sign": (b":+12\r\n", 12),
    "bulk": (b"$5\r\na\r\nb\0\r\n", b"a\r\nb\0"),
    "empty bulk": (b"$0\r\n\r\n", b""),
    "null bulk": (b"$-1\r\n", None),
    "null": (b"_\r\n", None),
    "array": (b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n", [1, [b"a"]]),
    "empty array": (b"*0\r\n", []),
    "empty arrays in arrays": (b"*2\r\n*1\r\n*0\r\n*0\r\n", [[[]], []]),
    "booleans": (b"*2\r\n#t\r\n#f\r\n", [True, False]),
    "double": (b",-1.5e-7\r\n", -1.5e-7),
    "whole double": (b",10\r\n", 10.0),
    "infinities": (b"*2\r\n,inf\r\n,-inf\r\n", [math.inf, -math.inf]),
    "big number": (b"(-34999999999999999999\r\n", ("big number", b"-34999999999999999999")),
    "verbatim": (b"=7\r\nmkd:# a\r\n", ("verbatim", b"mkd", b"# a")),
    "map": (b"%2\r\n$1\r\na\r\n:1\r\n+b\r\n%0\r\n", {b"a": 1, b"b": {}}),
    "map with other keys": (b"%2\r\n:1\r\n:2\r\n*0\r\n_\r\n", ("pairs", [(1, 2), ([], None)])),
    "set": (b"~2\r\n:1\r\n~0\r\n", ("set", [1, ("set", [])])),
    "push": (b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n", ("push", ["invalidate", [b"k"]])),
    "attribute": (b"|1\r\n+ttl\r\n:3\r\n$1\r\na\r\n", ("attribute", {b"ttl": 3}, b"a")),
    "empty attribute": (b"|0\r\n*1\r\n_\r\n", ("attribute", {}, [None])),
    "attribute inside": (
        b"*2\r\n|1\r\n$1\r\na\r\n%1\r\n+x\r\n:1\r\n:2\r\n:3\r\n",
        [("attribute", {b"a": {b"x": 1}}, 2), 3],
    ),
    "attribute of an attribute": (
        b"|1\r\n+a\r\n:1\r\n|1\r\n+b\r\n:2\r\n:3\r\n",
        ("attribute", {b"a": 1}, ("attribute", {b"b": 2}, 3)),
    ),
}  # fmt: skip

BROKEN = [
    b":" + b"9" * 5000 + b"\r\n",
    b"\r\n",
    b"?\r\n",
    b"PONG\r\n",
    b":\r\n",
    b":1.5\r\n",
    b":+-1\r\n",
    b": 1\r\n",
    b"$a\r\n",
    b"$-2\r\n",
    b"$+1\r\n",
    b"$99999999999999999999\r\n",
    b"$1\r\nabc\r\n",
    b"*-2\r\n",
    b"*?\r\n",
    b"%-1\r\n",
    b"~-1\r\n",
    b"_x\r\n",
    b"#1\r\n",
    b",\r\n",
    b",1_0\r\n",
    b", 1\r\n",
    b",x\r\n",
    b"(1.5\r\n",
    b"(\r\n",
    b"=3\r\nabc\r\n",
    b"=5\r\nabcde\r\n",
    b"=-1\r\n",
    b"|1\r\n:1\r\n:2\r\n:3\r\n",
    b"*1\r\n:x\r\n",
]


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_read_whole_and_byte_by_byte(name: str) -> None:
    data, value = REPLIES[name]
    parser = ReplyParser()
    parser.feed(data * 2)
    assert [plain(reply) for reply in parser.parse()] == [value, value]
    for i in range(len(data)):
        parser.feed(data[i : i + 1])
        found = parser.parse()
        assert [plain(reply) for reply in found] == ([value] if i == len(data) - 1 else [])
    assert parser.buffered_bytes == 0


def test_all_replies_in_pieces_and_their_frames() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        names = rng.choices(list(REPLIES), k=50)
        data = b"".join(REPLIES[name][0] for name in names)
        values, frames = ReplyParser(), ReplyParser()
        seen: list[object] = []
        raw: list[bytes] = []
        while data:
            size = rng.choice((1, 2, 5, 30, 100))
            values.feed(data[:size])
            frames.feed(data[:size])
            data = data[size:]
            seen += [plain(reply) for reply in values.parse()]
            raw += frames.frames()
        assert seen == [REPLIES[name][1] for name in names]
        assert raw == [REPLIES[name][0] for name in names]


@pytest.mark.parametrize("name", [name for name in TABLE if name not in ("no reply", "encoded")])
def test_what_was_encoded_in_resp3_comes_out_again(name: str) -> None:
    value, _, resp3 = TABLE[name]
    parser = ReplyParser()
    parser.feed(resp3)
    (reply,) = parser.parse()
    if value is NULL_ARRAY:
        value = None
    elif isinstance(value, HumanDouble):
        value = value.value
    elif isinstance(value, MapPairs):
        value = dict(value.pairs)
    elif isinstance(value, Pairs):
        value = [list(pair) for pair in value.pairs]
    elif isinstance(value, float) and math.isnan(value):
        assert isinstance(reply, float)
        assert math.isnan(reply)
        return
    assert plain(reply) == plain(value)
    assert type(reply) is type(list(value) if isinstance(value, tuple) else value) or isinstance(
        value, bytearray
    )


def random_reply(rng: random.Random, depth: int) -> Reply:
    """Return a value that RESP3 carries without loss."""
    kind = rng.randrange(15 if depth else 9)
    text = rng.randbytes(rng.choice((0, 1, 5, 300)))
    line = bytes(rng.choices(b"abc XYZ\x00\xff\xc3\xa4", k=rng.randrange(12)))
    some = [random_reply(rng, depth - 1) for _ in range(rng.randrange(5) if depth else 0)]
    simple: list[Reply] = [
        text,
        rng.randrange(-(2**63), 2**63),
        None,
        rng.random() < 0.5,
        rng.uniform(-1e9, 1e9),
        Status(line),
        RedisError(line.decode("utf-8", "surrogateescape")),
        BigNumber(b"%d" % rng.randrange(-(10**30), 10**30)),
        Verbatim(text),
        some,
        SetReply(some),
        Push(some),
        {rng.randbytes(3): value for value in some},
        Attribute({rng.randbytes(3): value for value in some}, text),
        some,
    ]
    return simple[kind]


def test_random_values_survive_encoding_and_parsing() -> None:
    rng = random.Random(20)
    for _ in range(2000):
        value = random_reply(rng, 4)
        data = wire(value, 3)
        parser = ReplyParser()
        parser.feed(data[: len(data) // 2])
        assert parser.parse() == []
        parser.feed(data[len(data) // 2 :])
        (reply,) = parser.parse()
        assert plain(reply) == plain(value)
        assert wire(reply, 3) == data


@pytest.mark.parametrize("data", BROKEN)
def test_a_broken_stream_raises_after_the_replies_before_it(data: bytes) -> None:
    parser = ReplyParser()
    parser.feed(b":1\r\n+a\r\n" + data)
    assert [plain(reply) for reply in parser.parse()] == [1, "a"]
    for _ in range(2):
        with pytest.raises(ProtocolError):
            parser.parse()
        parser.feed(b":1\r\n")
    frames = ReplyParser()
    frames.feed(b":1\r\n" + data)
    assert frames.frames() == [b":1\r\n"]
    with pytest.raises(ProtocolError):
        frames.frames()


def test_random_bytes_are_parsed_or_refused() -> None:
    rng = random.Random(21)
    for _ in range(5000):
        data = bytearray(b"".join(rng.choice(list(REPLIES.values()))[0] for _ in range(4)))
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.choice(b"*$:%~>|+-_#,(=!0123\r\n\0x")
        parser = ReplyParser()
        parser.feed(data)
        try:
            parser.parse()
        except ProtocolError:
            pass


def test_pushes_can_be_put_aside() -> None:
    parser = ReplyParser(pushes_apart=True)
    parser.feed(b">1\r\n+a\r\n:1\r\n>1\r\n+b\r\n:2\r\n>1\r\n")
    assert parser.parse() == [1, 2]
    assert [plain(push) for push in parser.take_pushes()] == [("push", ["a"]), ("push", ["b"])]
    assert parser.take_pushes() == []


def test_the_rest_can_be_taken_over() -> None:
    parser = ReplyParser()
    parser.feed(b"+FULLRESYNC\r\n$100\r\nREDIS0011")
    assert len(parser.parse()) == 1
    assert parser.take_rest() == b"$100\r\nREDIS0011"
    parser.feed(b":1\r\n")
    assert parser.parse() == [1]


def test_an_announced_length_allocates_nothing() -> None:
    for data in (b"*2147483647\r\n", b"%9999999999\r\n", b"$9999999999\r\n", b"*1\r\n" * 1000):
        parser = ReplyParser()
        tracemalloc.start()
        try:
            parser.feed(data)
            assert parser.parse() == []
            assert tracemalloc.get_traced_memory()[1] < 1000 * len(data)
        finally:
            tracemalloc.stop()


def test_a_long_bulk_in_many_pieces_is_not_copied_again_and_again() -> None:
    size = 20 * MB
    piece = b"x" * 1000
    parser = ReplyParser()
    parser.feed(b"$%d\r\n" % size)
    tracemalloc.start()
    try:
        for _ in range(size // 1000):
            parser.feed(piece)
            assert parser.parse() == []
        parser.feed(b"x" * (size % 1000) + b"\r\n")
        (value,) = parser.parse()
        assert isinstance(value, bytes)
        assert len(value) == size
        assert tracemalloc.get_traced_memory()[1] < 2.5 * size
    finally:
        tracemalloc.stop()


def test_values_that_are_no_reply_or_raw_bytes_are_the_exceptions() -> None:
    assert {name for name, (value, *_) in TABLE.items() if value is NO_REPLY} == {"no reply"}
    assert isinstance(TABLE["encoded"][0], Encoded)
