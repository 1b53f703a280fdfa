"""Streams as they stand in RDB files, both ways.

    nodes (master id, listpack)* | length, ids, entries added | groups

A node's listpack begins with its master entry: numbers of entries there are and that were deleted,
the fields of the first entry, 0. An entry is its flags, its distance from the master id, its fields
unless they are the master's, its values, and how many parts that were.

Deleted entries are read, so that a node is as full as it was, but not written: nothing is kept here
of what they were.

Source: Redis rdb.c rdbSaveObject, rdbSaveStreamPEL, rdbSaveStreamConsumers; t_stream.c
streamAppendItem, streamValidateListpackIntegrity.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mypy_extensions import i64

from redis_trio.data.listpack import pack, unpack
from redis_trio.data.numbers import parse_integer
from redis_trio.data.stream import Node, Stream, decode_words
from redis_trio.data.stream_group import Consumer, Group, Pending, PendingList, entries_up_to
from redis_trio.data.stream_id import StreamId, format_id
from redis_trio.persistence.rdb_cursor import Cursor
from redis_trio.persistence.rdb_format import (
    DELETED_ENTRY,
    SAME_FIELDS,
    STREAM_LISTPACKS_2,
    STREAM_LISTPACKS_3,
    length_bytes,
)

MASK: Final = 2**64 - 1


def _signed(number: int) -> int:
    """Return 64 bits as a number with a sign."""
    return number - (MASK + 1) if number >> 63 else number


def _unsigned(number: int) -> int:
    """Return a number with a sign as 64 bits without one; a machine integer could not be that."""
    return number & MASK


# -- reading


class _Parts:
    """The entries of a node's listpack, taken one after the other."""

    __slots__ = ("_parts", "place")

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts
        self.place = 0

    def integer(self) -> int:
        """Take an integer. Raises ValueError if the next part is none."""
        value = None if self.at_end() else parse_integer(self._parts[self.place])
        if value is None:
            raise ValueError("a number is missing")
        self.place += 1
        return value

    def take(self, count: int) -> list[bytes]:
        """Take so many parts. Raises ValueError if there are fewer."""
        if count < 0 or count > len(self._parts) - self.place:
            raise ValueError("fields or values are missing")
        found = self._parts[self.place : self.place + count]
        self.place += count
        return found

    def at_end(self) -> bool:
        """Return whether all have been taken."""
        return self.place == len(self._parts)


def _read_node(master_id: StreamId, data: bytes) -> Node:
    """Return a node. Raises ValueError if it is damaged."""
    parts = _Parts(unpack(data))
    count = parts.integer()
    deleted = parts.integer()
    fields = parts.take(parts.integer())
    if parts.integer() != 0 or count < 0 or deleted < 0:
        raise ValueError("no master entry")
    node = Node(master_id, fields)
    last_id: StreamId | None = None
    for _ in range(count + deleted):
        begin = parts.place
        flags = parts.integer()
        ms = (master_id[0] + parts.integer()) & MASK
        seq = (master_id[1] + parts.integer()) & MASK
        entry_id = (ms, seq)
        names = fields if flags & SAME_FIELDS else None
        words: list[bytes] = []
        if names is None:
            words = parts.take(2 * parts.integer())
        else:
            for name, value in zip(names, parts.take(len(names)), strict=True):
                words += (name, value)
        if parts.integer() != parts.place - begin - 1:
            raise ValueError("an entry's number of parts is wrong")
        if entry_id < master_id or (last_id is not None and entry_id <= last_id):
            raise ValueError("ids are out of order")
        last_id = entry_id
        node.append(entry_id, format_id(entry_id), words, 0)
        if flags & DELETED_ENTRY:
            node.remove(node.count - 1, node.count)
    if not parts.at_end() or node.count != count:
        raise ValueError("the number of entries is wrong")
    return node


def _id(cursor: Cursor) -> StreamId:
    """Read the two halves of an id as numbers."""
    ms = cursor.length()
    return ms, cursor.length()


def _raw_id(data: bytes) -> StreamId:
    return int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big")


def read_stream(cursor: Cursor, kind: int) -> Stream:
    """Read a stream, all of which must be there.

    Raises:
      Short: more bytes are needed.
      RdbError: it is damaged.
    """
    stream = Stream()
    for _ in range(cursor.count()):
        _read_node_into(stream, cursor)
    cursor.length()  # the number of entries, which the nodes tell as well
    stream.last_id = _id(cursor)
    if stream.nodes and stream.last_id < stream.nodes[-1].last_id:
        raise cursor.error("Stream's last id is below that of an entry")
    if kind >= STREAM_LISTPACKS_2:
        _id(cursor)  # the first one, likewise
        stream.max_deleted_id = _id(cursor)
        stream.entries_added = _signed(cursor.length())
    else:
        stream.entries_added = stream.length
    for _ in range(cursor.count()):
        _read_group(stream, cursor, kind)
    return stream


def _read_node_into(stream: Stream, cursor: Cursor) -> None:
    key = cursor.string()
    if len(key) != 16:
        raise cursor.error("Stream node key entry is not the size of a stream ID")
    data = cursor.string()
    master_id = _raw_id(key)
    if stream.nodes and master_id <= stream.nodes[-1].last_id:
        raise cursor.error("Stream nodes out of order")
    try:
        node = _read_node(master_id, data)
    except ValueError as exc:
        raise cursor.error(f"Stream listpack integrity check failed: {exc}") from None
    if node.count == 0 and stream.nodes:
        return  # only the first one may have been emptied
    if stream.length == 0 and node.count:
        stream.first_id = node.id(0)
    stream.nodes.append(node)
    stream.length += node.count


def _read_group(stream: Stream, cursor: Cursor, kind: int) -> None:
    name = cursor.string()
    if name in stream.groups:
        raise cursor.error("Duplicated consumer group name")
    last_id = _id(cursor)
    if kind >= STREAM_LISTPACKS_2:
        entries_read = _signed(cursor.length())
    else:
        entries_read = entries_up_to(stream, last_id)
    group = Group(last_id, entries_read)
    unowned: dict[StreamId, Pending] = {}
    for _ in range(cursor.count()):
        entry_id = _raw_id(cursor.raw(16))
        time_ms = cursor.signed(8)
        entry = Pending(entry_id, time_ms, _signed(cursor.length()), b"")
        if entry_id in unowned:
            raise cursor.error("Duplicated global PEL entry loading stream consumer group")
        unowned[entry_id] = entry
        group.pending.add(entry)
    for _ in range(cursor.count()):
        _read_consumer(group, unowned, cursor, kind)
    if unowned:
        raise cursor.error("Stream CG PEL entry without consumer")
    stream.groups[name] = group


def _read_consumer(
    group: Group, unowned: dict[StreamId, Pending], cursor: Cursor, kind: int
) -> None:
    name = cursor.string()
    if name in group.consumers:
        raise cursor.error("Duplicate stream consumer detected.")
    seen_ms = cursor.signed(8)
    consumer = group.add_consumer(name, seen_ms)
    consumer.active_ms = cursor.signed(8) if kind >= STREAM_LISTPACKS_3 else seen_ms
    for _ in range(cursor.count()):
        entry = unowned.pop(_raw_id(cursor.raw(16)), None)
        if entry is None:
            raise cursor.error("Consumer entry not found in group global PEL")
        entry.consumer = name
        consumer.pending.add(entry)


# -- writing


def stream_chunks(stream: Stream, kind: int) -> Iterator[tuple[bool, bytes]]:
    """Iterate over the parts of a stream: whether one is a string, to be encoded as such, and it.

    Args:
      kind: STREAM_LISTPACKS_2 or STREAM_LISTPACKS_3.
    """
    yield False, length_bytes(len(stream.nodes))
    for node in stream.nodes:
        yield True, _id_bytes(node.first_id)
        yield True, pack(_node_parts(node))
    numbers: list[int] = [len(stream), *stream.last_id, *stream.first_id]
    numbers += stream.max_deleted_id
    numbers += [_unsigned(stream.entries_added), len(stream.groups)]
    yield False, b"".join([length_bytes(number) for number in numbers])
    for name in sorted(stream.groups):
        group = stream.groups[name]
        yield True, name
        numbers = [*group.last_id, _unsigned(group.entries_read)]
        yield False, b"".join([length_bytes(number) for number in numbers])
        yield from _pending_chunks(group.pending, True)
        yield False, length_bytes(len(group.consumers))
        for consumer in group.consumers_by_name():
            yield True, consumer.name
            yield False, _times(consumer, kind)
            yield from _pending_chunks(consumer.pending, False)


def _id_bytes(entry_id: StreamId) -> bytes:
    return entry_id[0].to_bytes(8, "big") + entry_id[1].to_bytes(8, "big")


def _times(consumer: Consumer, kind: int) -> bytes:
    times = consumer.seen_ms.to_bytes(8, "little", signed=True)
    if kind >= STREAM_LISTPACKS_3:
        times += consumer.active_ms.to_bytes(8, "little", signed=True)
    return times


def _pending_chunks(pending: PendingList, whole: bool) -> Iterator[tuple[bool, bytes]]:
    """Iterate over the parts of a list of pending entries, with all that is known if `whole`."""
    yield False, length_bytes(pending.count)
    for chunk in pending.chunks:
        parts: list[bytes] = []
        for entry in chunk:
            parts.append(_id_bytes(entry.id))
            if whole:
                parts.append(entry.time_ms.to_bytes(8, "little", signed=True))
                parts.append(length_bytes(_unsigned(entry.count)))
        yield False, b"".join(parts)


def _node_parts(node: Node) -> list[bytes]:
    """Return the entries of a node's listpack."""
    fields = node.fields
    parts = [b"%d" % node.count, b"0", b"%d" % len(fields), *fields, b"0"]
    first_ms, first_seq = node.first_id
    place: i64 = 0
    while place < node.count:
        words = decode_words(node.data, node.begin(place), node.begin(place + 1))
        ms, seq = node.id(place)
        same = words[::2] == fields
        parts.append(b"2" if same else b"0")
        parts.append(b"%d" % _signed((ms - first_ms) & MASK))
        parts.append(b"%d" % _signed((seq - first_seq) & MASK))
        if same:
            parts += words[1::2]
            parts.append(b"%d" % (len(fields) + 3))
        else:
            parts.append(b"%d" % (len(words) // 2))
            parts += words
            parts.append(b"%d" % (len(words) + 4))
        place += 1
    return parts
