"""DEBUG and MEMORY of every type, on a real redis-server and on ours."""

from __future__ import annotations

import re

import pytest

from redis_trio.protocol.reply import Reply, Status
from tests.interop.compare import Both, Line

TEXT = "some text of more than twenty bytes"
FILL: dict[str, list[Line]] = {
    "list": ["RPUSH k a 1 -5000 300 70000 x", f"RPUSH k '{TEXT}' '{TEXT}'"],
    "long-list": [["RPUSH", "k", *[f"element {i}" for i in range(3000)]]],
    "plain-list": ["RPUSH k a b", ["RPUSH", "k", "x" * 10_000], "RPUSH k c"],
    "intset": ["SADD k 1 2 300", "SADD k 70000"],
    "wide-intset": ["SADD k 1 2 4294967296"],
    "set": [["SADD", "k", *[f"member {i}" for i in range(200)], TEXT * 2]],
    "hash": ["HSET k f v g 1 h -1", f"HSET k i '{TEXT}'"],
    "long-hash": [["HSET", "k", *[word for i in range(600) for word in (f"f{i}", i)]]],
    "zset": ["ZADD k 1 a 2 b -3 c 10 d inf e"],
    "long-zset": [["ZADD", "k", *[word for i in range(200) for word in (i, f"m{i}")]]],
    "string": [["SET", "k", TEXT]],
    "stream": ["XADD k 1-1 f v g w", "XADD k 1-2 f v g w", "XADD k 2-1 h x", "XDEL k 1-2"],
}


def saved(reply: Reply) -> object:
    """Normalize: how much a value takes in a file, and in how many nodes."""
    assert isinstance(reply, Status), reply
    return re.findall(rb"(?:serializedlength|ql_uncompressed_size):\d+", reply.text)[:1]


@pytest.mark.parametrize("kind", FILL)
def test_digests(both: Both, kind: str) -> None:
    both(*FILL[kind], "DEBUG DIGEST-VALUE k none", "DEBUG DIGEST")
    both("EXPIRE k 1000", "DEBUG DIGEST-VALUE k", "COPY k l", "MOVE l 1", "DEBUG DIGEST")


SAVED_ALIKE = [kind for kind in FILL if kind not in ("stream", "plain-list")]
"""A stream's size is near the truth; Redis 7.0 packs long elements that 7.4 gives a node each."""


@pytest.mark.parametrize("kind", SAVED_ALIKE)
@pytest.mark.parametrize("compression", ["yes", "no"])
def test_serialized_length(both: Both, kind: str, compression: str) -> None:
    both(f"CONFIG SET rdbcompression {compression}")
    both(*FILL[kind])
    both("DEBUG OBJECT k", normalize=saved)
    both("CONFIG SET rdbcompression yes")


@pytest.mark.parametrize("kind", [kind for kind in FILL if not kind.endswith(("list", "set"))])
def test_errors_of_looking_inside(both: Both, kind: str) -> None:
    both(*FILL[kind])
    both("DEBUG LISTPACK k", "DEBUG QUICKLIST k", "DEBUG LISTPACK none", "DEBUG HTSTATS-KEY none")
    if not kind.startswith("long"):
        both("DEBUG HTSTATS-KEY k")


def test_errors(both: Both) -> None:
    both(
        "DEBUG HTSTATS 99",
        "DEBUG HTSTATS x",
        "DEBUG QUICKLIST-PACKED-THRESHOLD 5gb",
        "DEBUG QUICKLIST-PACKED-THRESHOLD x",
        "DEBUG QUICKLIST-PACKED-THRESHOLD 0",
        "MEMORY USAGE none",
        "MEMORY USAGE none SAMPLES -1",
        "MEMORY USAGE none SAMPLES x",
        "MEMORY USAGE none x",
        "MEMORY USAGE none SAMPLES",
        "MEMORY USAGE",
        "MEMORY none",
        "MEMORY PURGE",
    )
