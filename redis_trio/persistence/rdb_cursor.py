"""Bytes of an RDB file that have arrived so far, and how its primitives are read from them.

Whatever is read may not have arrived: Short is raised then, nothing but `pos` has changed, and who
reads goes back to where the thing began and tries again with more. A length is believed only as far
as there can be so many bytes: where the end of the input is known, one that leads beyond it is
refused at once, and nothing is allocated by a length.

Source: Redis rdb.c rdbLoadLenByRef, rdbGenericLoadStringObject.
"""

from __future__ import annotations

import struct
from typing import Final

from mypy_extensions import i64

from redis_trio.data.lzf import decompress
from redis_trio.data.numbers import parse_double
from redis_trio.data.string import integer_string
from redis_trio.persistence.rdb_format import (
    ENCODED,
    INT8,
    INT16,
    INT32,
    LZF,
    SCORE_INF,
    SCORE_MINUS_INF,
    SCORE_NAN,
    RdbError,
)

UNKNOWN: Final = -1
LZF_MAX_RATIO: Final = 100  # three bytes become 264 at most

_DOUBLE: Final = struct.Struct("<d")


class Short(Exception):
    """More bytes are needed.

    Attributes:
      wanted: how many behind those there are, as far as is known.
    """

    def __init__(self, wanted: int) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class Cursor:
    """A place in bytes.

    Attributes:
      data: what there is.
      pos: the place.
      base: where in the input `data` begins.
      total: how long the input is, UNKNOWN if that is not known.
    """

    __slots__ = ("base", "data", "pos", "total")

    def __init__(self, data: bytes = b"", total: i64 = UNKNOWN) -> None:
        self.data = data
        self.pos: i64 = 0
        self.base: i64 = 0
        self.total: i64 = total

    def error(self, reason: str) -> RdbError:
        """Return the error for what was just read."""
        return RdbError(self.base + self.pos, reason)

    def need(self, count: i64) -> None:
        """Make sure that there are `count` more bytes."""
        missing = self.pos + count - len(self.data)
        if missing > 0:
            if self.total >= 0 and self.base + self.pos + count > self.total:
                raise self.error("Unexpected end: a length leads beyond it")
            raise Short(missing)

    def byte(self) -> i64:
        """Read a byte."""
        pos = self.pos
        if pos >= len(self.data):
            self.need(1)
        self.pos = pos + 1
        return self.data[pos]

    def raw(self, count: i64) -> bytes:
        """Read so many bytes."""
        pos = self.pos
        if pos + count > len(self.data):
            self.need(count)
        self.pos = pos + count
        return self.data[pos : pos + count]

    def unsigned(self, count: i64) -> int:
        """Read an unsigned number of so many bytes, the lowest first."""
        return int.from_bytes(self.raw(count), "little")

    def signed(self, count: i64) -> int:
        """Read a number with a sign of so many bytes, the lowest first."""
        return int.from_bytes(self.raw(count), "little", signed=True)

    def length(self) -> int:
        """Read a length, or any other number from 0 to 2**64 - 1."""
        first = self.byte()
        kind = first >> 6
        if kind == 0:
            return first
        if kind == 1:
            return (first & 0x3F) << 8 | self.byte()
        if first == 0x80:
            return int.from_bytes(self.raw(4), "big")
        if first == 0x81:
            return int.from_bytes(self.raw(8), "big")
        raise self.error(f"Unknown length encoding {first}")

    def count(self) -> i64:
        """Read the number of things of which each takes a byte at least."""
        count = self.length()
        if count > 1 << 56 or (self.total >= 0 and self.base + self.pos + count > self.total):
            raise self.error("Unexpected end: there cannot be so many elements")
        return count

    def string(self) -> bytes:
        """Read a string, whichever way it is encoded."""
        pos = self.pos
        if pos < len(self.data):
            first: i64 = self.data[pos]
            if first < 64:  # the usual case
                end = pos + 1 + first
                if end <= len(self.data):
                    self.pos = end
                    return self.data[pos + 1 : end]
            elif first >> 6 == ENCODED:
                self.pos = pos + 1
                return self._encoded(first & 0x3F)
        size = self.length()
        if size > 1 << 56:
            raise self.error("Unexpected end: a length leads beyond it")
        return self.raw(size)

    def _encoded(self, kind: i64) -> bytes:
        if kind == INT8:
            return integer_string(self.signed(1))
        if kind == INT16:
            return integer_string(self.signed(2))
        if kind == INT32:
            return integer_string(self.signed(4))
        if kind != LZF:
            raise self.error(f"Unknown string encoding {kind}")
        packed_size = self.length()
        size = self.length()
        if size > packed_size * LZF_MAX_RATIO or packed_size > 1 << 56:
            raise self.error("Invalid LZF compressed string: the sizes do not match")
        packed = self.raw(packed_size)
        try:
            return decompress(packed, size)
        except ValueError as exc:
            raise self.error(f"Invalid LZF compressed string: {exc}") from None

    def double(self) -> float:
        """Read a double of eight bytes."""
        value: float = _DOUBLE.unpack(self.raw(8))[0]
        return value

    def score_text(self) -> float:
        """Read a double as text, which NaN may be."""
        size = self.byte()
        if size == SCORE_NAN:
            return float("nan")
        if size == SCORE_INF:
            return float("inf")
        if size == SCORE_MINUS_INF:
            return float("-inf")
        value = parse_double(self.raw(size))
        if value is None:
            raise self.error("A score is no number")
        return value
