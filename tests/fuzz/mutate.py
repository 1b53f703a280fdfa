"""Malformed requests: valid streams with something done to them, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.protocol_cases import BROKEN, INCOMPLETE, VALID, multibulk

Mutation = Callable[[random.Random, bytearray], None]

_SHORT = 2000  # bytes; the long streams are tested one by one, and are slow in thousands
_STREAMS = [
    case.data for cases in (VALID, BROKEN) for case in cases.values() if len(case.data) < _SHORT
] + [data for data in INCOMPLETE.values() if len(data) < _SHORT]
_COMMANDS = [
    multibulk(b"PING"),
    multibulk(b"ECHO", b"value"),
    multibulk(b"SET", b"k", b"v" * 20),
    multibulk(b"GET", b"k"),
    multibulk(b"APPEND", b"k", b"\r\n*1\r\n"),
    b"SET k 'a b'\r\n",
    b"GET k\n",
    b'ECHO "\\x00\\n"\r\n',
]
_PIECES = [
    b"*",
    b"$",
    b"-",
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"'",
    b'"',
    b"\\x",
    b" ",
    b"*1\r\n",
    b"$-1\r\n",
]
_NUMBERS = [
    b"0", b"-0", b"-1", b"00", b"+1", b"1", b"2", b"3", b"5", b"10", b"1000", b"65536",
    b"536870912",
    b"2147483647", b"2147483648", b"4294967296", b"9223372036854775807", b"9223372036854775808",
    b"-9223372036854775808", b"99999999999999999999", b"1e3", b"0x1", b" 1", b"1 ",
]  # fmt: skip


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _insert(rng: random.Random, data: bytearray) -> None:
    pos = rng.randrange(len(data) + 1)
    data[pos:pos] = rng.choice(_PIECES)


def _delete(rng: random.Random, data: bytearray) -> None:
    if data:
        pos = rng.randrange(len(data))
        del data[pos : pos + rng.choice((1, 1, 2, 5))]


def _truncate(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _repeat(rng: random.Random, data: bytearray) -> None:
    pos = rng.randrange(len(data) + 1)
    data[pos:pos] = data[pos : pos + rng.randrange(1, 30)] * rng.randrange(1, 4)


def _renumber(rng: random.Random, data: bytearray) -> None:
    """Put another number behind a `*` or `$`."""
    starts = [i + 1 for i, byte in enumerate(data) if byte in b"*$"]
    if starts:
        start = rng.choice(starts)
        stop = start
        while stop < len(data) and data[stop] in b"-0123456789":
            stop += 1
        data[start:stop] = rng.choice(_NUMBERS)


def _splice(rng: random.Random, data: bytearray) -> None:
    other = rng.choice(_STREAMS)
    pos = rng.randrange(len(data) + 1)
    data[pos:pos] = other[: rng.randrange(len(other) + 1)]


def _noise(rng: random.Random, data: bytearray) -> None:
    data[:] = rng.randbytes(rng.randrange(100))


_MUTATIONS: list[Mutation] = [
    _flip, _insert, _delete, _truncate, _repeat, _renumber, _renumber, _splice, _noise,
]  # fmt: skip


def malformed(rng: random.Random) -> bytes:
    """Return one malformed (or, rarely, still valid) stream."""
    if rng.random() < 0.5:
        data = bytearray(b"".join(rng.choices(_COMMANDS, k=rng.randrange(1, 5))))
    else:
        data = bytearray(rng.choice(_STREAMS))
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        rng.choice(_MUTATIONS)(rng, data)
    return bytes(data)
