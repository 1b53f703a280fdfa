"""Listpacks: Redis's flat form of small collections, as bytes.

Nothing is kept in this form here; it is what RDB files carry.

    4 bytes size | 2 bytes count | entries | 0xff

An entry is its encoding, its data, and the length of both so that it can be walked backwards. What
is an integer in its canonical form is stored as one.

Source: https://github.com/antirez/listpack/blob/master/listpack.md; Redis listpack.c.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mypy_extensions import i64

from redis_trio.data.numbers import parse_integer
from redis_trio.data.string import integer_string

COUNT_MAX: Final = 65535  # stands for more entries than the field has room for
END: Final = b"\xff"


def pack(entries: Iterable[bytes]) -> bytes:
    """Return the listpack of these entries."""
    parts: list[bytes] = []
    count = 0
    for entry in entries:
        encoded = _encode(entry)
        parts.append(encoded)
        parts.append(_length_behind(len(encoded)))
        count += 1
    body = b"".join(parts)
    size = 6 + len(body) + 1
    return b"%b%b%b%b" % (
        size.to_bytes(4, "little"),
        min(count, COUNT_MAX).to_bytes(2, "little"),
        body,
        END,
    )


def _encode(entry: bytes) -> bytes:
    """Return an entry's encoding and data."""
    number = parse_integer(entry)
    if number is not None:
        return _encode_integer(number)
    size = len(entry)
    if size < 64:
        return bytes((0x80 | size,)) + entry
    if size < 4096:
        return bytes((0xE0 | size >> 8, size & 0xFF)) + entry
    return b"\xf0" + size.to_bytes(4, "little") + entry


def _encode_integer(number: int) -> bytes:
    if 0 <= number < 128:
        return bytes((number,))
    if -4096 <= number < 4096:
        bits = number & 0x1FFF
        return bytes((0xC0 | bits >> 8, bits & 0xFF))
    for code, size in ((0xF1, 2), (0xF2, 3), (0xF3, 4)):
        if -(1 << (8 * size - 1)) <= number < 1 << (8 * size - 1):
            return bytes((code,)) + number.to_bytes(size, "little", signed=True)
    return b"\xf4" + number.to_bytes(8, "little", signed=True)


def _length_behind(size: int) -> bytes:
    """Return the length of an entry for who reads backwards: 7 bits a byte, the lowest last."""
    found = [size & 0x7F]
    limit = 128
    while size >= limit - (limit > 128):  # Redis takes a byte more for the highest of each size
        found.append(size >> (7 * len(found)) & 0x7F)
        limit <<= 7
    return bytes([found[-1], *[part | 0x80 for part in reversed(found[:-1])]])


def unpack(data: bytes) -> list[bytes]:
    """Return the entries of a listpack, every byte of which is checked.

    Raises:
      ValueError: it is damaged.

    Source: listpack.c lpValidateIntegrity.
    """
    size: i64 = len(data)
    if size < 7 or int.from_bytes(data[:4], "little") != size or data[size - 1] != 0xFF:
        raise ValueError("no listpack of that size")
    entries: list[bytes] = []
    end = size - 1
    place: i64 = 6
    while place < end:
        first: i64 = data[place]
        if first < 0x80:
            stop = place + 1
            entries.append(integer_string(first))
        elif first < 0xC0:
            stop = place + 1 + (first & 0x3F)
            entries.append(data[place + 1 : stop])
        elif first < 0xE0:
            stop = place + 2
            bits = (first & 0x1F) << 8 | data[place + 1]
            entries.append(integer_string(bits - 0x2000 if bits & 0x1000 else bits))
        else:
            stop = _unpack_wide(data, place, entries)
        behind = stop - place
        if behind < 128:
            if stop >= end or data[stop] != behind:
                raise ValueError("an entry is cut off or has two lengths")
            place = stop + 1
        else:
            length = _length_behind(behind)
            place = stop + len(length)
            if place > end or data[stop:place] != length:
                raise ValueError("an entry is cut off or has two lengths")
    count: i64 = data[4] | data[5] << 8
    if count != COUNT_MAX and count != len(entries):
        raise ValueError("the number of entries is wrong")
    return entries


def _unpack_wide(data: bytes, place: i64, entries: list[bytes]) -> i64:
    """Read an entry with a header of more than a byte; return where it ends, if it is not cut."""
    first: i64 = data[place]
    stop: i64
    if first < 0xF0:
        stop = place + 2 + ((first & 0x0F) << 8 | data[place + 1])
        entries.append(data[place + 2 : stop] if stop < len(data) else b"")
        return stop
    if first == 0xF0:
        stop = place + 5 + int.from_bytes(data[place + 1 : place + 5], "little")
        entries.append(data[place + 5 : stop] if stop < len(data) else b"")
        return stop
    if first > 0xF4:
        raise ValueError("an entry of no known encoding")
    stop = place + (first - 0xEF + 1 if first < 0xF4 else 9)
    entries.append(integer_string(int.from_bytes(data[place + 1 : stop], "little", signed=True)))
    return stop
