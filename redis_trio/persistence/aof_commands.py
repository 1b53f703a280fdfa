"""Values as commands that make them: what a base is written in without `aof-use-rdb-preamble`.

Every value becomes commands of a bounded number of elements, so that no reader needs more memory
for one than the longest elements take.

Source: Redis aof.c rewriteAppendOnlyFileRio.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from redis_trio.data.expires import NEVER
from redis_trio.data.hash import Hash
from redis_trio.data.list import List
from redis_trio.data.numbers import format_double
from redis_trio.data.set import Set
from redis_trio.data.sorted_set import SortedSet
from redis_trio.data.stream import Stream
from redis_trio.data.stream_group import CHUNK, Group
from redis_trio.data.stream_id import ZERO_ID, format_id, next_id
from redis_trio.feed import encode_command
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.state import ServerState

ITEMS_MAX: Final = 64
"""Elements in one command."""

_ENTRIES: Final = 256  # of a stream, or a sorted set, that are taken at a time


def data_pieces(server: ServerState) -> Iterator[bytes]:
    """Iterate over the commands that make all of a server's data, encoded, a key at a time."""
    yield from head_pieces(server)
    for db in server.dbs:
        if not db.table.count:
            continue
        yield encode_command([b"SELECT", b"%d" % db.index])
        for shard in db.table.shards():
            for key, value in shard.items():
                yield from key_pieces(key, value, db.expires.get(key))


def head_pieces(server: ServerState) -> list[bytes]:
    """Return what comes before the data: when that was so, and the function libraries."""
    pieces: list[bytes] = []
    if server.config.aof_timestamp_enabled:
        pieces.append(b"#TS:%d\r\n" % (server.clock.now_ms // 1000))
    for code in server.persistence.libraries:
        pieces.append(encode_command([b"FUNCTION", b"LOAD", code]))
    return pieces


def key_pieces(key: bytes, value: object, when_ms: int) -> Iterator[bytes]:
    """Iterate over the commands that make a key, encoded.

    Args:
      when_ms: its deadline, NEVER if it has none.
    """
    for command in value_commands(key, value):
        yield encode_command(command)
    if when_ms != NEVER:
        yield encode_command([b"PEXPIREAT", key, b"%d" % when_ms])


def value_commands(key: bytes, value: object) -> Iterator[Args]:
    """Iterate over the commands that make a value.

    Raises:
      TypeError: it is no value.
    """
    if isinstance(value, (bytes, bytearray)):
        yield [b"SET", key, bytes(value)]
    elif isinstance(value, List):
        yield from _in_batches([b"RPUSH", key], value, ITEMS_MAX)
    elif isinstance(value, Set):
        members = (member for chunk in value.chunks() for member in chunk)
        yield from _in_batches([b"SADD", key], members, ITEMS_MAX)
    elif isinstance(value, SortedSet):
        words = (
            word for member, score in _scored(value) for word in (format_double(score), member)
        )
        yield from _in_batches([b"ZADD", key], words, 2 * ITEMS_MAX)
    elif isinstance(value, Hash):
        yield from _hash_commands(key, value)
    elif isinstance(value, Stream):
        yield from _stream_commands(key, value)
    else:
        raise TypeError(f"{type(value).__name__} is no type of values")


def _in_batches(start: Args, words: Iterable[bytes], size: int) -> Iterator[Args]:
    """Iterate over commands that begin with `start` and take `size` of the words each."""
    args = list(start)
    full = len(start) + size
    for word in words:
        args.append(word)
        if len(args) == full:
            yield args
            args = list(start)
    if len(args) > len(start):
        yield args


def _scored(value: SortedSet) -> Iterator[tuple[bytes, float]]:
    """Iterate over members and scores, some of which are taken at a time."""
    for rank in range(0, value.count, _ENTRIES):
        stop = min(rank + _ENTRIES, value.count)
        yield from value.items(value.place_of(rank), value.place_of(stop))


def _hash_commands(key: bytes, value: Hash) -> Iterator[Args]:
    deadlines = value.deadlines
    if deadlines is None or not len(deadlines):
        words = (word for item in _fields(value) for word in item)
        yield from _in_batches([b"HMSET", key], words, 2 * ITEMS_MAX)
        return
    for field, text in _fields(value):
        yield [b"HMSET", key, field, text]
        when_ms = deadlines.get(field)
        if when_ms != NEVER:
            yield [b"HPEXPIREAT", key, b"%d" % when_ms, b"FIELDS", b"1", field]


def _fields(value: Hash) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over fields and values."""
    table = value.table
    if table is None:
        yield from value.small.items()
        return
    for shard in table.shards():
        for field, text in shard.items():
            assert isinstance(text, bytes)
            yield field, text


def _stream_commands(key: bytes, stream: Stream) -> Iterator[Args]:
    if not stream.length:
        yield [b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"]
    start = ZERO_ID
    while True:
        ids = stream.ids(start, stream.last_id, _ENTRIES)
        for entry_id in ids:
            words = stream.words(entry_id)
            assert words is not None
            yield [b"XADD", key, format_id(entry_id), *words]
        behind = next_id(ids[-1]) if len(ids) == _ENTRIES else None
        if behind is None:
            break
        start = behind
    yield [
        *(b"XSETID", key, format_id(stream.last_id)),
        *(b"ENTRIESADDED", b"%d" % stream.entries_added),
        *(b"MAXDELETEDID", format_id(stream.max_deleted_id)),
    ]
    for name in sorted(stream.groups):
        yield from _group_commands(key, name, stream.groups[name])


def _group_commands(key: bytes, name: bytes, group: Group) -> Iterator[Args]:
    yield [
        *(b"XGROUP", b"CREATE", key, name, format_id(group.last_id)),
        *(b"ENTRIESREAD", b"%d" % group.entries_read),
    ]
    for consumer in group.consumers_by_name():
        entries = consumer.pending.run(ZERO_ID, CHUNK)
        if not entries:
            yield [b"XGROUP", b"CREATECONSUMER", key, name, consumer.name]
        while entries:
            for entry in entries:
                yield [
                    *(b"XCLAIM", key, name, consumer.name, b"0", format_id(entry.id)),
                    *(b"TIME", b"%d" % entry.time_ms, b"RETRYCOUNT", b"%d" % entry.count),
                    *(b"JUSTID", b"FORCE"),
                ]
            entries = consumer.pending.run(entries[-1].behind, CHUNK)
