"""The writer of RDB data: values, and files of them, as bytes, a piece at a time.

    writer = RdbWriter(version, compressed=True, checksummed=True)
    out(writer.header([(b"redis-ver", b"7.4.1")]))
    out(writer.database(0, keys, expires))
    for piece in writer.key_pieces(key, value, when_ms):
        out(piece)
    out(writer.end())

It does no I/O and knows no server; pieces are to be written in the order in which they are made. A
value must not change between its pieces: of most values there is one, of big ones one for each some
thousand bytes, so that who has others to serve can do so in between.

Of version 10 are files that Redis 7.0 reads: small sets are then written as big ones, and streams
without the time when a consumer was last active. Version 12 is what Redis 7.4 writes, and is needed
by hashes whose fields have deadlines.

Source: Redis rdb.c rdbSaveObject, rdbSaveObjectType, rdbSaveKeyValuePair, rdbSaveRio.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final, cast

from redis_trio.data.expires import NEVER
from redis_trio.data.hash import Hash
from redis_trio.data.list import List
from redis_trio.data.listpack import pack
from redis_trio.data.lzf import compress
from redis_trio.data.numbers import format_double, parse_integer
from redis_trio.data.set import Set
from redis_trio.data.sorted_set import SortedSet
from redis_trio.data.stream import Stream
from redis_trio.data.table import Table
from redis_trio.persistence.crc64 import crc64
from redis_trio.persistence.rdb_format import (
    AUX,
    COMPATIBLE_VERSION,
    EOF,
    EXPIRETIME_MS,
    FREQ,
    FUNCTION2,
    HASH,
    HASH_LISTPACK,
    HASH_LISTPACK_EX,
    HASH_METADATA,
    IDLE,
    LIST_QUICKLIST_2,
    MAGIC,
    PACKED_NODE,
    PLAIN_NODE,
    RESIZEDB,
    SELECTDB,
    SET,
    SET_INTSET,
    SET_LISTPACK,
    STREAM_LISTPACKS_2,
    STREAM_LISTPACKS_3,
    STRING,
    VERSION,
    ZSET_2,
    ZSET_LISTPACK,
    length_bytes,
)
from redis_trio.persistence.rdb_stream import stream_chunks

COMPRESS_MAX: Final = 1 << 20  # longer strings are not compressed: it would hold everybody up
PIECE: Final = 1 << 11  # bytes, about, of a piece of a big value: some tenths of a ms

_DOUBLE: Final = struct.Struct("<d")
_CHECKSUM_SIZE: Final = 8
_STRING: Final = bytes((STRING,))


def version_for(value: object) -> int:
    """Return the lowest version that loses nothing of a value but what Redis 7.0 does not know."""
    if isinstance(value, Hash) and value.deadlines is not None and len(value.deadlines):
        return VERSION
    return COMPATIBLE_VERSION


def type_of(value: object, version: int) -> int:
    """Return the RDB type as which a value is written.

    Raises:
      TypeError: it is no value.
    """
    newest = version > COMPATIBLE_VERSION
    if isinstance(value, (bytes, bytearray)):
        return STRING
    if isinstance(value, List):
        return LIST_QUICKLIST_2
    if isinstance(value, Set):
        encoding = value.encoding()
        if encoding == b"intset":
            return SET_INTSET
        return SET_LISTPACK if encoding == b"listpack" and newest else SET
    if isinstance(value, SortedSet):
        return ZSET_LISTPACK if value.table is None else ZSET_2
    if isinstance(value, Hash):
        deadlines = value.deadlines
        if value.table is None:
            expires = deadlines is not None and (newest or len(deadlines))
            return HASH_LISTPACK_EX if expires else HASH_LISTPACK
        return HASH_METADATA if deadlines is not None and len(deadlines) else HASH
    if isinstance(value, Stream):
        return STREAM_LISTPACKS_3 if newest else STREAM_LISTPACKS_2
    raise TypeError(f"no RDB type for {type(value).__name__}")


def encode_string(text: bytes, compressed: bool) -> bytes:
    """Return a string as it is encoded, an integer or something compressible in a shorter form.

    Source: rdb.c rdbSaveRawString.
    """
    size = len(text)
    if size <= 11:
        number = parse_integer(text)
        if number is not None:
            if -128 <= number < 128:
                return b"\xc0" + number.to_bytes(1, "little", signed=True)
            if -(1 << 15) <= number < 1 << 15:
                return b"\xc1" + number.to_bytes(2, "little", signed=True)
            if -(1 << 31) <= number < 1 << 31:
                return b"\xc2" + number.to_bytes(4, "little", signed=True)
    elif compressed and 20 < size <= COMPRESS_MAX:
        packed = compress(text, size - 4)
        if packed is not None:
            return b"".join((b"\xc3", length_bytes(len(packed)), length_bytes(size), packed))
    return length_bytes(size) + text


def value_pieces(value: object, version: int, compressed: bool) -> Iterator[bytes]:
    """Iterate over the pieces of a value, without its type."""
    if isinstance(value, (bytes, bytearray)):
        yield encode_string(bytes(value), compressed)
    elif isinstance(value, List):
        yield from _list_pieces(value, compressed)
    elif isinstance(value, Set):
        yield from _set_pieces(value, version, compressed)
    elif isinstance(value, SortedSet):
        yield from _sorted_set_pieces(value, compressed)
    elif isinstance(value, Hash):
        yield from _hash_pieces(value, version, compressed)
    elif isinstance(value, Stream):
        for is_string, part in stream_chunks(value, type_of(value, version)):
            yield encode_string(part, compressed) if is_string else part
    else:
        raise TypeError(f"no RDB form of {type(value).__name__}")


def saved_size(value: object, compressed: bool) -> int:
    """Return how many bytes a value takes in a file: what DEBUG OBJECT calls serializedlength."""
    size = 0
    for piece in value_pieces(value, VERSION, compressed):
        size += len(piece)
    return size


def _list_pieces(value: List, compressed: bool) -> Iterator[bytes]:
    nodes = value.nodes()
    yield length_bytes(len(nodes))
    for node in nodes:
        if node.plain:
            yield bytes((PLAIN_NODE,))
            yield encode_string(node.items[0], compressed)
        else:
            yield bytes((PACKED_NODE,))
            yield encode_string(pack(node.elements()), compressed)


def _set_pieces(value: Set, version: int, compressed: bool) -> Iterator[bytes]:
    kind = type_of(value, version)
    if kind == SET_INTSET:
        yield encode_string(intset_bytes(value.members()), compressed)
    elif kind == SET_LISTPACK:
        yield encode_string(pack(value.members()), compressed)
    else:
        yield length_bytes(len(value))
        for chunk in value.chunks():
            yield b"".join([encode_string(member, compressed) for member in chunk])


def intset_bytes(members: Iterable[bytes]) -> bytes:
    """Return an intset of these integers, in order, the widest of which decides about all."""
    numbers = [int(member) for member in members]
    low, high = numbers[0], numbers[-1]
    width = 8
    if low >= -(1 << 15) and high < 1 << 15:
        width = 2
    elif low >= -(1 << 31) and high < 1 << 31:
        width = 4
    data = b"".join([number.to_bytes(width, "little", signed=True) for number in numbers])
    return width.to_bytes(4, "little") + len(numbers).to_bytes(4, "little") + data


def _sorted_set_pieces(value: SortedSet, compressed: bool) -> Iterator[bytes]:
    if value.table is None:
        entries: list[bytes] = []
        for member, score in value.all_items():
            entries.append(member)
            entries.append(format_double(score))
        yield encode_string(pack(entries), compressed)
        return
    yield length_bytes(value.count)
    parts: list[bytes] = []
    for member, score in value.reversed_items():
        parts.append(encode_string(member, compressed))
        parts.append(_DOUBLE.pack(score))
        if len(parts) >= 512:
            yield b"".join(parts)
            parts = []
    yield b"".join(parts)


def _hash_pieces(value: Hash, version: int, compressed: bool) -> Iterator[bytes]:
    kind = type_of(value, version)
    deadlines = value.deadlines
    first_ms = 0
    if deadlines is not None and len(deadlines):
        first_ms = deadlines.next_ms()
    if kind in (HASH_LISTPACK_EX, HASH_METADATA):
        yield first_ms.to_bytes(8, "little")
    table = value.table
    if table is None:
        entries: list[bytes] = []
        for field, text in value.small.items():
            entries.append(field)
            entries.append(text)
            if kind == HASH_LISTPACK_EX:
                when_ms = value.deadline(field)
                entries.append(b"0" if when_ms == NEVER else b"%d" % when_ms)
        yield encode_string(pack(entries), compressed)
    else:
        yield length_bytes(table.count)
        yield from _field_pieces(value, table, first_ms if kind == HASH_METADATA else 0, compressed)


def _field_pieces(value: Hash, table: Table, first_ms: int, compressed: bool) -> Iterator[bytes]:
    """Iterate over the fields of a hashtable, each behind its deadline if they have such."""
    for shard in table.shards():
        parts: list[bytes] = []
        for field, text in shard.items():
            if first_ms:
                when_ms = value.deadline(field)
                parts.append(length_bytes(0 if when_ms == NEVER else when_ms - first_ms + 1))
            parts.append(encode_string(field, compressed))
            parts.append(encode_string(cast(bytes, text), compressed))
        yield b"".join(parts)


class RdbWriter:
    """Makes one file.

    Attributes:
      version: of the format.
    """

    __slots__ = ("_checksummed", "_compressed", "_crc", "version")

    def __init__(self, version: int, *, compressed: bool, checksummed: bool) -> None:
        self.version = version
        self._compressed = compressed
        self._checksummed = checksummed
        self._crc = 0

    def _count(self, data: bytes) -> bytes:
        """Have the checksum count a piece; return it."""
        if self._checksummed:
            self._crc = crc64(data, self._crc)
        return data

    def header(self, aux: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return how the file begins."""
        parts = [MAGIC, b"%04d" % self.version]
        for name, text in aux:
            parts += (bytes((AUX,)), encode_string(name, False), encode_string(text, False))
        return self._count(b"".join(parts))

    def library(self, code: bytes) -> bytes:
        """Return a function library."""
        return self._count(bytes((FUNCTION2,)) + encode_string(code, self._compressed))

    def database(self, index: int, keys: int, expires: int) -> bytes:
        """Return how a database begins that has keys.

        Args:
          index: its number.
          keys: about how many keys it has, for who reads it to make room.
          expires: of how many the deadline is known.
        """
        return self._count(
            b"".join(
                (
                    bytes((SELECTDB,)),
                    length_bytes(index),
                    bytes((RESIZEDB,)),
                    length_bytes(keys),
                    length_bytes(expires),
                )
            )
        )

    def key_pieces(
        self, key: bytes, value: object, when_ms: int = NEVER, idle_s: int = -1, frequency: int = -1
    ) -> Iterator[bytes]:
        """Iterate over the pieces of a key.

        Args:
          when_ms: its deadline, NEVER if it has none.
          idle_s: for how long it has not been accessed, -1: not told.
          frequency: its LFU counter, -1: not told.
        """
        parts: list[bytes] = []
        if when_ms != NEVER:
            parts += (bytes((EXPIRETIME_MS,)), when_ms.to_bytes(8, "little", signed=True))
        if idle_s >= 0:
            parts += (bytes((IDLE,)), length_bytes(idle_s))
        if frequency >= 0:
            parts.append(bytes((FREQ, frequency)))
        parts.append(bytes((type_of(value, self.version),)))
        parts.append(encode_string(key, self._compressed))
        size = 0
        for piece in value_pieces(value, self.version, self._compressed):
            parts.append(piece)
            size += len(piece)
            if size >= PIECE:
                yield self._count(b"".join(parts))
                parts = []
                size = 0
        if parts:
            yield self._count(b"".join(parts))

    def key_bytes(
        self, key: bytes, value: object, when_ms: int = NEVER, idle_s: int = -1, frequency: int = -1
    ) -> bytes:
        """Return a key as one piece; see `key_pieces`."""
        if isinstance(value, bytes) and when_ms == NEVER and idle_s < 0 and frequency < 0:
            compressed = self._compressed
            name = encode_string(key, compressed)
            return self._count(b"".join((_STRING, name, encode_string(value, compressed))))
        return b"".join(list(self.key_pieces(key, value, when_ms, idle_s, frequency)))

    def end(self) -> bytes:
        """Return how the file ends: with the checksum, 0 if there is none."""
        mark = self._count(bytes((EOF,)))
        return mark + self._crc.to_bytes(_CHECKSUM_SIZE, "little")
