"""Ziplists and zipmaps: the flat forms that listpacks have replaced.

Only files of old versions have them: zipmaps those before 2.6, ziplists those before 7.0. They are
read, every byte checked, and never written.

A ziplist: 4 bytes size | 4 bytes place of the last entry | 2 bytes count | entries | 0xff. An entry
begins with the length of the one before it (1 byte, or 0xfe and 4), then its encoding, its data.

A zipmap: 1 byte count | (length, field, length, free bytes' number, value, free bytes)* | 0xff.

Source: Redis ziplist.c ziplistValidateIntegrity, zipmap.c zipmapValidateIntegrity.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from redis_trio.data.string import integer_string

COUNT_MAX: Final = 65535  # stands for more entries than the field has room for
BIG: Final = 254  # the length does not fit into one byte
END: Final = 255


def read_ziplist(data: bytes) -> list[bytes]:
    """Return the entries of a ziplist.

    Raises:
      ValueError: it is damaged.
    """
    size: i64 = len(data)
    if size < 11 or int.from_bytes(data[:4], "little") != size or data[size - 1] != END:
        raise ValueError("no ziplist of that size")
    entries: list[bytes] = []
    end = size - 1
    place: i64 = 10
    before: i64 = 0  # the size of the entry before
    last: i64 = 10
    while place < end:
        start = place
        length: i64 = data[place]
        if length == END:
            raise ValueError("an end in the middle")
        place += 1
        if length == BIG:
            length = int.from_bytes(data[place : place + 4], "little")
            place += 4
        if length != before:
            raise ValueError("an entry's length differs from what the next one says of it")
        if place >= end:
            raise ValueError("an entry is cut off")
        place = _read_entry(data, place, entries)
        if place > end:
            raise ValueError("an entry is cut off")
        before = place - start
        last = start
    if entries and int.from_bytes(data[4:8], "little") != last:
        raise ValueError("the last entry is somewhere else")
    count: i64 = data[8] | data[9] << 8
    if count != COUNT_MAX and count != len(entries):
        raise ValueError("the number of entries is wrong")
    return entries


def _read_entry(data: bytes, place: i64, entries: list[bytes]) -> i64:
    """Read an entry's encoding and data; return where it ends, if it is not cut off."""
    first: i64 = data[place]
    kind = first >> 6
    place += 1
    if kind != 3:
        size: i64 = first & 0x3F
        if kind == 1:
            size = size << 8 | data[place]
            place += 1
        elif kind == 2:
            size = int.from_bytes(data[place : place + 4], "big")
            place += 4
        stop = place + size
        entries.append(data[place:stop] if stop < len(data) else b"")
        return stop
    if 0xF1 <= first <= 0xFD:
        entries.append(integer_string(first - 0xF1))
        return place
    width = _integer_width(first)
    number = int.from_bytes(data[place : place + width], "little", signed=True)
    entries.append(integer_string(number))
    return place + width


def _integer_width(first: i64) -> i64:
    if first == 0xC0:
        return 2
    if first == 0xD0:
        return 4
    if first == 0xE0:
        return 8
    if first == 0xF0:
        return 3
    if first == 0xFE:
        return 1
    raise ValueError("an entry of no known encoding")


def read_zipmap(data: bytes) -> list[bytes]:
    """Return the fields and values, alternately, of a zipmap.

    Raises:
      ValueError: it is damaged or empty.
    """
    size: i64 = len(data)
    if size < 2 or data[size - 1] != END:
        raise ValueError("no zipmap of that size")
    end = size - 1
    found: list[bytes] = []
    place: i64 = 1
    while place < end:
        is_value = len(found) % 2 == 1
        length: i64 = data[place]
        if length == END:
            raise ValueError("an end in the middle")
        place += 1
        if length == BIG:
            length = int.from_bytes(data[place : place + 4], "little")
            place += 4
        free: i64 = 0
        if is_value:
            if place >= end:
                raise ValueError("a value is cut off")
            free = data[place]
            place += 1
        stop = place + length + free
        if stop > end:
            raise ValueError("a field or value is cut off")
        found.append(data[place : place + length])
        place = stop
    if not found or len(found) % 2:
        raise ValueError("empty, or a field without a value")
    count: i64 = data[0]
    if count < BIG and count != len(found) // 2:
        raise ValueError("the number of fields is wrong")
    return found
