"""How many bytes a value takes in an RDB file: what DEBUG OBJECT calls its serialized length.

A stream's is near the truth: entries that were deleted take no place here.

Source: Redis rdb.c rdbSaveObject.
"""

from __future__ import annotations

from typing import Final

from redis_trio.data.hash import Hash
from redis_trio.data.list import List
from redis_trio.data.listpack import pack
from redis_trio.data.lzf import compress
from redis_trio.data.numbers import format_double, parse_integer
from redis_trio.data.set import Set
from redis_trio.data.sorted_set import SortedSet
from redis_trio.data.stream import Stream
from redis_trio.data.table import Table
from redis_trio.keyspace.expire import NEVER

COMPRESS_MAX: Final = 1024 * 1024  # of longer strings the size is told as if uncompressed
_ID_SIZE: Final = 16
_TIME_SIZE: Final = 8
_DOUBLE_SIZE: Final = 8
_INTSET_WIDTHS: Final = (2, 4, 8)


def value_table(value: object) -> Table | None:
    """Return the hash table of a value, None if it has none."""
    if isinstance(value, Hash):
        return value.table
    if isinstance(value, SortedSet):
        return value.table
    return value.table if isinstance(value, Set) else None


def listpack_entries(value: object) -> list[bytes]:
    """Return the entries of the listpack that a compact value is in Redis."""
    if isinstance(value, List):
        return list(value)
    if isinstance(value, Set):
        return value.members()
    found: list[bytes] = []
    if isinstance(value, SortedSet):
        for member, score in value.all_items():
            found += (member, format_double(score))
    elif isinstance(value, Hash):
        for field, text in value.to_dict().items():
            found += (field, text)
            if value.deadlines is not None:
                when_ms = value.deadline(field)
                found.append(b"%d" % (0 if when_ms == NEVER else when_ms))
    return found


def saved_size(value: object, compressed: bool) -> int:
    """Return how many bytes a value takes in an RDB file."""
    if isinstance(value, (bytes, bytearray)):
        return string_size(bytes(value), compressed)
    if isinstance(value, List):
        return _list_size(value, compressed)
    if isinstance(value, Stream):
        return _stream_size(value, compressed)
    if isinstance(value, Set) and value.encoding() == b"intset":
        return string_size(_intset(value.members()), compressed)
    if value_table(value) is None:
        size = string_size(pack(listpack_entries(value)), compressed)
        has_deadlines = isinstance(value, Hash) and value.deadlines is not None
        return size + (_TIME_SIZE if has_deadlines else 0)
    if isinstance(value, Set):
        members = value.members()
        texts = sum([string_size(member, compressed) for member in members])
        return length_size(len(members)) + texts
    if isinstance(value, SortedSet):
        total = length_size(value.count)
        for member, _ in value.all_items():
            total += string_size(member, compressed) + _DOUBLE_SIZE
        return total
    return _hash_size(value, compressed) if isinstance(value, Hash) else 0


def string_size(text: bytes, compressed: bool) -> int:
    """Return how many bytes a string takes (rdbSaveRawString)."""
    size = len(text)
    number = parse_integer(text) if size <= 11 else None
    if number is not None:
        for bits, number_size in ((8, 2), (16, 3), (32, 5)):
            if -(1 << (bits - 1)) <= number < 1 << (bits - 1):
                return number_size
    if compressed and 20 < size <= COMPRESS_MAX:
        packed = compress(text, size - 4)
        if packed is not None:
            return 1 + length_size(len(packed)) + length_size(size) + len(packed)
    return length_size(size) + size


def length_size(size: int) -> int:
    """Return how many bytes a length takes."""
    if size < 1 << 6:
        return 1
    if size < 1 << 14:
        return 2
    return 5 if size < 1 << 32 else 9


def _list_size(value: List, compressed: bool) -> int:
    nodes = value.nodes()
    total = length_size(len(nodes))
    for node in nodes:
        elements = node.elements()
        text = elements[0] if node.plain else pack(elements)
        total += 1 + string_size(text, compressed)
    return total


def _intset(members: list[bytes]) -> bytes:
    """Return the bytes of a set of integers, the widest of which decides about all."""
    numbers = [int(member) for member in members]
    width = 2
    for width in _INTSET_WIDTHS:
        if all(-(1 << (8 * width - 1)) <= number < 1 << (8 * width - 1) for number in numbers):
            break
    data = b"".join([number.to_bytes(width, "little", signed=True) for number in numbers])
    return width.to_bytes(4, "little") + len(numbers).to_bytes(4, "little") + data


def _hash_size(value: Hash, compressed: bool) -> int:
    total = length_size(len(value))
    deadlines = value.deadlines
    first_ms = NEVER if deadlines is None or not len(deadlines) else deadlines.next_ms()
    if first_ms != NEVER:
        total += _TIME_SIZE
    for field, text in value.to_dict().items():
        total += string_size(field, compressed) + string_size(text, compressed)
        if first_ms != NEVER:
            when_ms = value.deadline(field)
            total += 1 if when_ms == NEVER else length_size(max(0, when_ms - first_ms) + 1)
    return total


def _stream_size(stream: Stream, compressed: bool) -> int:
    total = length_size(len(stream.nodes)) + length_size(stream.length)
    for node in stream.nodes:
        ids = [node.id(place) for place in range(node.count)]
        fields: list[bytes] = []
        entries: list[bytes] = []
        for entry_id in ids:
            words = stream.words(entry_id) or []
            if not entries:
                fields = words[::2]
                entries = [b"%d" % len(ids), b"0", b"%d" % len(fields), *fields, b"0"]
            same = words[::2] == fields
            entries += [b"2" if same else b"0", b"%d" % (entry_id[0] - node.first_id[0])]
            entries.append(b"%d" % (entry_id[1] - node.first_id[1]))
            entries += words[1::2] if same else [b"%d" % (len(words) // 2), *words]
            entries.append(b"%d" % (len(fields) + 3 if same else len(words) + 4))
        total += length_size(_ID_SIZE) + _ID_SIZE + string_size(pack(entries), compressed)
    for number in (*stream.last_id, *stream.first_id, *stream.max_deleted_id):
        total += length_size(number)
    total += length_size(stream.entries_added) + length_size(len(stream.groups))
    for name, group in stream.groups.items():
        total += string_size(name, compressed)
        for number in (*group.last_id, group.entries_read & (1 << 64) - 1, len(group.pending)):
            total += length_size(number)
        total += len(group.pending) * (_ID_SIZE + _TIME_SIZE + 1) + length_size(
            len(group.consumers)
        )
        for consumer in group.consumers.values():
            total += string_size(consumer.name, compressed) + 2 * _TIME_SIZE
            total += length_size(len(consumer.pending)) + len(consumer.pending) * _ID_SIZE
    return total
