"""HyperLogLogs: redis-server and ours make the same bytes, and read each other's."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from redis_trio.data import hyperloglog
from tests.interop.compare import Both, Line

KEYS = ["a", "b", "c"]


@pytest.fixture
def limited(both: Both) -> Iterator[Both]:
    """A client of both servers; the test may change hll-sparse-max-bytes."""
    yield both
    both("CONFIG SET hll-sparse-max-bytes 3000")


def elements(rng: random.Random, count: int) -> list[bytes]:
    """Words of every length up to 20, and now and then a longer one."""
    found = []
    for _ in range(count):
        size = rng.randrange(300) if rng.random() < 0.05 else rng.randrange(20)
        found.append(rng.randbytes(size))
    return found


def run_all(both: Both, script: list[Line]) -> None:
    """Send a script whose replies are long, a part at a time: a client that only writes halts."""
    for start in range(0, len(script), 8):
        both.pipeline(*script[start : start + 8])


@pytest.mark.parametrize("seed", range(2))
def test_the_bytes_of_a_growing_value(both: Both, seed: int) -> None:
    """After every single element at first, while it is sparse, and long after it is dense."""
    rng = random.Random(seed)
    script: list[Line] = [["PFADD", "k"], ["GET", "k"], ["PFCOUNT", "k"], ["GET", "k"]]
    for step in range(400):
        size = 1 if step < 200 else rng.randrange(1, 200)
        script += [[b"PFADD", b"k", *elements(rng, size)], ["GET", "k"]]
        if step % 5 == 0:
            script += [["PFCOUNT", "k"], ["GET", "k"], ["OBJECT", "ENCODING", "k"]]
        if step % 20 == 0:
            script += [["PFDEBUG", "ENCODING", "k"], ["PFDEBUG", "DECODE", "k"]]
    run_all(both, script)
    assert both.one("PFDEBUG ENCODING k") is not None


@pytest.mark.parametrize("limit", [0, 17, 20, 40, 300, 1000, 5000])
def test_the_threshold_of_sparse_values(limited: Both, limit: int) -> None:
    limited(f"CONFIG SET hll-sparse-max-bytes {limit}")
    rng = random.Random(limit)
    script: list[Line] = []
    for _ in range(60):
        script += [[b"PFADD", b"k", *elements(rng, 1 + limit // 20)], ["GET", "k"]]
        script += [["PFDEBUG", "ENCODING", "k"]]
    script += [["PFMERGE", "d", "k"], ["GET", "d"], ["PFMERGE", "e", "d", "k"], ["GET", "e"]]
    run_all(limited, script)


@pytest.mark.parametrize("seed", range(2))
def test_merging(both: Both, seed: int) -> None:
    rng = random.Random(seed)
    script: list[Line] = []
    for step in range(120):
        key = rng.choice(KEYS)
        if step % 12 == 0:
            script.append(["DEL", key])
        script.append([b"PFADD", key.encode(), *elements(rng, rng.randrange(60))])
        sources = rng.choices([*KEYS, "d", "none"], k=rng.randrange(2))
        script += [["PFMERGE", "d", *sources], ["GET", "d"], ["PFCOUNT", "d", *sources]]
        if step % 10 == 0:
            script.append(["DEL", "d"])
        if step % 40 == 0:
            script.append(["PFDEBUG", "TODENSE", key])
    script += [["PFDEBUG", "GETREG", key] for key in [*KEYS, "d"]]
    script += [["GET", key] for key in [*KEYS, "d"]]
    run_all(both, script)


def test_big_counts(both: Both) -> None:
    rng = random.Random(4)
    for _ in range(20):
        both([b"PFADD", b"k", *elements(rng, 3000)], "PFCOUNT k", "GET k", "PFCOUNT k none")


def header(encoding: int, rest: bytes, card: bytes = bytes(8)) -> bytes:
    return b"HYLL" + bytes((encoding, 0, 0, 0)) + card + rest


NOT_KNOWN = bytes(7) + b"\x80"
COMMANDS: list[list[bytes]] = [
    [b"PFCOUNT", b"k"],
    [b"PFADD", b"k"],
    [b"PFADD", b"k", b"x", b"y", b"z"],
    [b"PFCOUNT", b"k", b"o"],
    [b"PFMERGE", b"d", b"k", b"o"],
    [b"PFMERGE", b"k", b"o"],
    [b"PFDEBUG", b"DECODE", b"k"],
    [b"PFDEBUG", b"ENCODING", b"k"],
    [b"PFDEBUG", b"TODENSE", b"k"],
    [b"PFDEBUG", b"GETREG", b"k"],
]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"1",
        b"HYLL",
        b"hyll" + bytes(14),
        header(1, b""),
        header(1, b"", NOT_KNOWN),
        header(1, b"\x7f\xff"),
        header(1, b"\x7f\xff", NOT_KNOWN),
        header(1, b"\x7f\xff", b"\x05" + bytes(7)),
        header(1, b"\x7f", NOT_KNOWN),
        header(1, b"\x7f\xfe", NOT_KNOWN),
        header(1, b"\x7f\xff\x00", NOT_KNOWN),
        header(1, b"\x7f\xff\x80", NOT_KNOWN),
        header(1, b"\x7f\xfe\x81", NOT_KNOWN),
        header(1, b"\x80\x7f\xfe", NOT_KNOWN),
        header(1, b"\x80" * 20, NOT_KNOWN),
        header(1, b"\x83" * 4096, NOT_KNOWN),
        header(1, b"\xff" * 4096, NOT_KNOWN),
        header(1, b"\x3f" * 256, NOT_KNOWN),
        header(1, b"\x00" * 16384, NOT_KNOWN),
        header(1, b"\x40\x00" * 16384, NOT_KNOWN),
        header(1, b"\x00" * 16383 + b"\x40", NOT_KNOWN),
        header(0, b""),
        header(0, bytes(12288)),
        header(0, bytes(12288), NOT_KNOWN),
        header(0, bytes(12289)),
        header(0, bytes(12287)),
        header(0, b"\xff" * 12288, NOT_KNOWN),
        header(0, b"\x55" * 12288, NOT_KNOWN),
        header(0, hyperloglog._pack(b"\x33" * 16384), NOT_KNOWN),
        header(0, hyperloglog._pack(b"\x32" * 16384), NOT_KNOWN),
        header(0, hyperloglog._pack(b"\x31" * 16384), NOT_KNOWN),
        header(0, hyperloglog._pack(b"\x01" * 16384), NOT_KNOWN),
        header(0, hyperloglog._pack(b"\x34" + bytes(16383)), NOT_KNOWN),
        header(2, bytes(12288)),
        header(255, b"\x7f\xff"),
    ],
)
def test_odd_values(both: Both, value: bytes) -> None:
    for line in COMMANDS:
        both(
            ["SET", "k", value],
            *("DEL d o", "PFADD o a b c d e"),
            *(line, "GET k", "OBJECT ENCODING k", "GET d", "PFCOUNT k"),
        )


@pytest.mark.parametrize("seed", range(2))
def test_random_registers(both: Both, seed: int) -> None:
    """Estimates of what no elements lead to: each register by itself, few values or many."""
    rng = random.Random(seed)
    script: list[Line] = []
    for _ in range(40):
        low, high = sorted(rng.choices(range(53), k=2))
        registers = bytes(rng.randrange(low, high + 1) for _ in range(16384))
        value = header(0, hyperloglog._pack(registers), NOT_KNOWN)
        script += [["SET", "k", value], ["PFCOUNT", "k"], ["PFCOUNT", "k", "none"], ["GET", "k"]]
        script += [["PFADD", "k", rng.randbytes(5)], ["GET", "k"], ["PFMERGE", "d", "k"]]
        script += [["GET", "d"]]
    run_all(both, script)


@pytest.mark.parametrize(
    "line",
    [
        *("PFADD", "PFCOUNT", "PFMERGE", "PFDEBUG", "PFDEBUG GETREG", "PFDEBUG NONE k"),
        *("PFDEBUG decode none", "PFDEBUG DECODE l", "PFCOUNT l", "PFCOUNT k l", "PFCOUNT none"),
        *("PFCOUNT none none", "PFADD l", "PFADD l x", "PFMERGE l", "PFMERGE k l", "PFMERGE l k"),
        *("PFADD s", "PFADD s x", "PFCOUNT s", "PFCOUNT s k", "PFMERGE k s", "PFDEBUG GETREG s"),
        *("PFMERGE none", "PFDEBUG encoding k", "PFDEBUG todense k", "PFMERGE k k k", "PFADD k"),
    ],
)
def test_odd_calls(both: Both, line: str) -> None:
    both("PFADD k a b c", "SADD l a", "SET s 12345678901234567890", line, "GET k", "GET none")
    both("TYPE l", "GET s", "OBJECT ENCODING s", "OBJECT ENCODING k")


def test_each_reads_what_the_other_wrote(both: Both) -> None:
    rng = random.Random(9)
    for count in (10, 1000, 30_000):
        both([b"PFADD", b"k", *elements(rng, count)])
        written = both.one("GET k")
        assert isinstance(written, bytes)
        both(["SET", "copy", written], "PFCOUNT copy", [b"PFADD", b"copy", *elements(rng, count)])
        both("GET copy", "PFCOUNT copy k", "PFCOUNT copy")
