"""Values as they stand in RDB files and DUMP payloads, made into values of the data types.

A value that has a count of elements in front is read element by element, so that it can be gone on
with when more bytes have arrived (`Partial`); one that is a string, or a few, is read at once.

Whatever is in compact form is checked to the last byte, whether or not `sanitize-dump-payload` asks
for that, because it is taken apart here anyway: elements twice, pairs that are not complete, ids or
deadlines out of order are refused. The encoding of the value is what Redis would make of it under
the thresholds of this server.

Source: Redis rdb.c rdbLoadObject.
"""

from __future__ import annotations

import sys
from array import array
from typing import Final

from mypy_extensions import i64

from redis_trio.data.hash import Hash
from redis_trio.data.list import (
    Node,
    list_of,
    list_of_nodes,
    packed_node,
    plain_node,
    quicklist_of,
)
from redis_trio.data.listpack import unpack
from redis_trio.data.numbers import parse_double
from redis_trio.data.set import Set, integer_set, packed_set
from redis_trio.data.sorted_set import SortedSet, from_scores, packed_sorted_set
from redis_trio.data.thresholds import Thresholds
from redis_trio.persistence.old_encodings import read_ziplist, read_zipmap
from redis_trio.persistence.rdb_cursor import Cursor, Short
from redis_trio.persistence.rdb_format import (
    FIELD_DEADLINE_MAX,
    HASH,
    HASH_LISTPACK,
    HASH_LISTPACK_EX,
    HASH_LISTPACK_EX_PRE_GA,
    HASH_METADATA,
    HASH_METADATA_PRE_GA,
    HASH_ZIPLIST,
    HASH_ZIPMAP,
    LIST,
    LIST_QUICKLIST,
    LIST_QUICKLIST_2,
    LIST_ZIPLIST,
    MODULE_2,
    MODULE_PRE_GA,
    PACKED_NODE,
    PLAIN_NODE,
    SET,
    SET_INTSET,
    SET_LISTPACK,
    STREAM_LISTPACKS,
    STREAM_LISTPACKS_2,
    STREAM_LISTPACKS_3,
    STRING,
    ZSET,
    ZSET_2,
    ZSET_LISTPACK,
    ZSET_ZIPLIST,
)
from redis_trio.persistence.rdb_stream import read_stream

INTSET_MAX: Final = 1 << 30
_MODULE_NAME: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Empty(Exception):
    """A collection without elements: Redis once wrote such; the key is to be passed over."""


class Partial:
    """A value of which some elements have been read.

    Attributes:
      remaining: how many are still to be read.
    """

    __slots__ = ("remaining",)

    def __init__(self) -> None:
        self.remaining: i64 = 0

    def run(self, cursor: Cursor) -> object:
        """Read the elements that remain and return the value; Short: go on with more bytes.

        Raises:
          RdbError: the value is damaged.
        """
        while self.remaining:
            begin = cursor.pos
            try:
                self.element(cursor)
            except Short:
                cursor.pos = begin
                raise
            self.remaining -= 1
        return self.finish(cursor)

    def element(self, cursor: Cursor) -> None:
        """Read one element; nothing has changed if that raises Short."""
        raise NotImplementedError

    def finish(self, cursor: Cursor) -> object:
        """Return the value."""
        raise NotImplementedError


class _PartialList(Partial):
    __slots__ = ("_elements", "_thresholds")

    def __init__(self, thresholds: Thresholds) -> None:
        super().__init__()
        self._thresholds = thresholds
        self._elements: list[bytes] = []

    def element(self, cursor: Cursor) -> None:
        self._elements.append(cursor.string())

    def finish(self, cursor: Cursor) -> object:
        return list_of(self._elements, self._thresholds)


class _PartialQuicklist(Partial):
    __slots__ = ("_has_plain", "_nodes", "_thresholds")

    def __init__(self, thresholds: Thresholds, has_plain: bool) -> None:
        super().__init__()
        self._thresholds = thresholds
        self._has_plain = has_plain
        self._nodes: list[Node] = []

    def element(self, cursor: Cursor) -> None:
        container = PACKED_NODE
        if self._has_plain:
            container = cursor.length()
            if container not in (PACKED_NODE, PLAIN_NODE):
                raise cursor.error("Quicklist integrity check failed: unknown container")
        data = cursor.string()
        if not data:
            raise cursor.error("Quicklist integrity check failed: an empty node")
        if container == PLAIN_NODE:
            self._nodes.append(plain_node(data))
            return
        elements = _listpack(cursor, data) if self._has_plain else _ziplist(cursor, data)
        if elements:
            self._nodes.append(packed_node(elements))

    def finish(self, cursor: Cursor) -> object:
        if not self._nodes:
            raise Empty
        return list_of_nodes(self._nodes, self._thresholds)


class _PartialSet(Partial):
    __slots__ = ("_set", "_thresholds")

    def __init__(self, thresholds: Thresholds, count: i64) -> None:
        super().__init__()
        self._thresholds = thresholds
        self._set = Set()
        if count > min(INTSET_MAX, thresholds.set_intset):
            self._set.become_hashtable()

    def element(self, cursor: Cursor) -> None:
        if not self._set.add(cursor.string(), self._thresholds):
            raise cursor.error("Duplicate set members detected")

    def finish(self, cursor: Cursor) -> object:
        return self._set


class _PartialSortedSet(Partial):
    __slots__ = ("_as_text", "_scores", "_thresholds")

    def __init__(self, thresholds: Thresholds, as_text: bool) -> None:
        super().__init__()
        self._thresholds = thresholds
        self._as_text = as_text
        self._scores: dict[bytes, float] = {}

    def element(self, cursor: Cursor) -> None:
        member = cursor.string()
        score = cursor.score_text() if self._as_text else cursor.double()
        if score != score:
            raise cursor.error("Zset with NAN score detected")
        scores = self._scores
        before = len(scores)
        scores[member] = score
        if len(scores) == before:
            raise cursor.error("Duplicate zset fields detected")

    def finish(self, cursor: Cursor) -> object:
        return from_scores(self._scores, self._thresholds)


class _PartialHash(Partial):
    """A hash, with deadlines in front of its fields if it has any.

    Attributes:
      first_ms: what the deadlines count from, -1 if they are absolute.
    """

    __slots__ = ("_has_deadlines", "_hash", "_thresholds", "first_ms")

    def __init__(self, thresholds: Thresholds, count: i64, has_deadlines: bool) -> None:
        super().__init__()
        self._thresholds = thresholds
        self._has_deadlines = has_deadlines
        self.first_ms = -1
        self._hash = Hash()
        if count > thresholds.hash_entries:
            self._hash.convert()
        if has_deadlines:
            self._hash.keep_deadlines()

    def element(self, cursor: Cursor) -> None:
        when_ms = 0
        if self._has_deadlines:
            when_ms = cursor.length()
            if when_ms and self.first_ms >= 0:
                when_ms += self.first_ms - 1
            if not 0 <= when_ms <= FIELD_DEADLINE_MAX:
                raise cursor.error(f"invalid expireAt time: {when_ms}")
        field = cursor.string()
        if not self._hash.store(field, cursor.string(), self._thresholds):
            raise cursor.error("Duplicate hash fields detected")
        if when_ms:
            self._hash.keep_deadlines().set(field, when_ms)

    def finish(self, cursor: Cursor) -> object:
        self._hash.sort_by_deadline()
        return self._hash


def begin_value(kind: int, cursor: Cursor, thresholds: Thresholds) -> Partial | None:
    """Begin to read a value that has a count of elements; None if this type has none.

    Raises:
      Short: more bytes are needed.
      Empty: it has no elements.
      RdbError: there cannot be so many.
    """
    if kind == STRING or not (
        kind in (LIST, SET, HASH, ZSET, ZSET_2)
        or kind in (LIST_QUICKLIST, LIST_QUICKLIST_2, HASH_METADATA, HASH_METADATA_PRE_GA)
    ):
        return None
    first_ms = -1
    if kind == HASH_METADATA:
        first_ms = cursor.unsigned(8)
        if first_ms > FIELD_DEADLINE_MAX + 1:
            raise cursor.error("Hash read invalid minExpire value")
    count = cursor.count()
    if count == 0:
        raise Empty
    partial: Partial
    if kind == LIST:
        partial = _PartialList(thresholds)
    elif kind == SET:
        partial = _PartialSet(thresholds, count)
    elif kind in (ZSET, ZSET_2):
        partial = _PartialSortedSet(thresholds, kind == ZSET)
    elif kind in (LIST_QUICKLIST, LIST_QUICKLIST_2):
        partial = _PartialQuicklist(thresholds, kind == LIST_QUICKLIST_2)
    else:
        of_hash = _PartialHash(thresholds, count, kind != HASH)
        of_hash.first_ms = first_ms
        partial = of_hash
    partial.remaining = count
    return partial


def read_value(kind: int, cursor: Cursor, thresholds: Thresholds) -> object:
    """Read a value of any type, all of which must be there.

    Raises:
      Short: more bytes are needed.
      Empty: it is a collection without elements.
      RdbError: the value is damaged, or of a type that cannot be had.
    """
    if kind == STRING:
        return cursor.string()
    partial = begin_value(kind, cursor, thresholds)
    if partial is not None:
        return partial.run(cursor)
    if kind in (STREAM_LISTPACKS, STREAM_LISTPACKS_2, STREAM_LISTPACKS_3):
        return read_stream(cursor, kind)
    if kind in (MODULE_PRE_GA, MODULE_2):
        raise _refused_module(cursor, kind)
    if kind == HASH_LISTPACK_EX:
        cursor.raw(8)  # the earliest deadline, which the fields tell as well
    return _packed_value(kind, cursor, cursor.string(), thresholds)


def _refused_module(cursor: Cursor, kind: int) -> Exception:
    if kind == MODULE_PRE_GA:
        return cursor.error("Pre-release module format not supported")
    name = module_name(cursor.length())
    return cursor.error(
        f"The RDB file contains module data I can't load: no matching module type '{name.decode()}'"
    )


def module_name(number: int) -> bytes:
    """Return the nine characters that are encoded in the id of a module's type."""
    return bytes([_MODULE_NAME[number >> (10 + 6 * i) & 63] for i in range(8, -1, -1)])


def _packed_value(kind: int, cursor: Cursor, data: bytes, thresholds: Thresholds) -> object:
    """Return the value that is one string in a flat form."""
    if kind == SET_INTSET:
        return _intset(cursor, data, thresholds)
    if kind == SET_LISTPACK:
        return _set(cursor, _listpack(cursor, data), thresholds)
    if kind == LIST_ZIPLIST:
        elements = _ziplist(cursor, data)
        if not elements:
            raise Empty
        return quicklist_of(elements, thresholds)
    if kind == ZSET_ZIPLIST:
        return _sorted_set(cursor, _ziplist(cursor, data), thresholds, "Zset ziplist")
    if kind == ZSET_LISTPACK:
        return _sorted_set(cursor, _listpack(cursor, data), thresholds, "Zset listpack")
    if kind == HASH_ZIPMAP:
        return _zipmap_hash(cursor, data, thresholds)
    if kind == HASH_ZIPLIST:
        return _hash(cursor, _ziplist(cursor, data), thresholds, "Hash ziplist")
    if kind == HASH_LISTPACK:
        return _hash(cursor, _listpack(cursor, data), thresholds, "Hash listpack")
    if kind in (HASH_LISTPACK_EX, HASH_LISTPACK_EX_PRE_GA):
        return _expiring_hash(cursor, _listpack(cursor, data), thresholds)
    raise cursor.error(f"Unknown RDB encoding type {kind}")


def _listpack(cursor: Cursor, data: bytes) -> list[bytes]:
    try:
        return unpack(data)
    except ValueError as exc:
        raise cursor.error(f"Listpack integrity check failed: {exc}") from None


def _ziplist(cursor: Cursor, data: bytes) -> list[bytes]:
    try:
        return read_ziplist(data)
    except ValueError as exc:
        raise cursor.error(f"Ziplist integrity check failed: {exc}") from None


def _intset(cursor: Cursor, data: bytes, thresholds: Thresholds) -> Set:
    width = int.from_bytes(data[:4], "little")
    count = int.from_bytes(data[4:8], "little")
    if width not in (2, 4, 8) or count == 0 or len(data) != 8 + width * count:
        raise cursor.error("Intset integrity check failed.")
    numbers = array({2: "h", 4: "i", 8: "q"}[width], data[8:])
    if sys.byteorder == "big":
        numbers.byteswap()
    integers = array("q", numbers)
    before = integers[0]
    for number in integers[1:]:
        if number <= before:
            raise cursor.error("Intset integrity check failed: out of order")
        before = number
    made = integer_set(integers)
    made.expect(count, thresholds)
    return made


def _set(cursor: Cursor, members: list[bytes], thresholds: Thresholds) -> Set:
    if not members:
        raise Empty
    made = packed_set(members)
    if len(made) != len(members):
        raise cursor.error("Set listpack integrity check failed: a member twice")
    made.expect(len(members), thresholds)
    return made


def _sorted_set(
    cursor: Cursor, entries: list[bytes], thresholds: Thresholds, what: str
) -> SortedSet:
    _check_tuples(cursor, entries, 2, what)
    items: list[tuple[bytes, float]] = []
    for i in range(0, len(entries), 2):
        score = parse_double(entries[i + 1])
        if score is None:
            raise cursor.error(f"{what} integrity check failed: a score is no number")
        items.append((entries[i], score))
    return packed_sorted_set(items, len(items) <= thresholds.zset_entries)


def _check_tuples(cursor: Cursor, entries: list[bytes], size: int, what: str) -> None:
    """Check that entries are tuples of so many whose first parts are all different."""
    count = len(entries) // size
    if not entries:
        raise Empty
    if count * size != len(entries) or len(set(entries[::size])) != count:
        raise cursor.error(f"{what} integrity check failed: a field twice, or a part of one")


def _hash(cursor: Cursor, entries: list[bytes], thresholds: Thresholds, what: str) -> Hash:
    _check_tuples(cursor, entries, 2, what)
    made = Hash()
    made.small = dict(zip(entries[::2], entries[1::2], strict=True))
    if len(made) > thresholds.hash_entries:
        made.convert()
    return made


def _zipmap_hash(cursor: Cursor, data: bytes, thresholds: Thresholds) -> Hash:
    try:
        entries = read_zipmap(data)
    except ValueError as exc:
        raise cursor.error(f"Zipmap integrity check failed: {exc}") from None
    made = _hash(cursor, entries, thresholds, "Zipmap")
    if max([len(entry) for entry in entries]) > thresholds.hash_value:
        made.convert()
    return made


def _expiring_hash(cursor: Cursor, entries: list[bytes], thresholds: Thresholds) -> Hash:
    """Return a hash of (field, value, deadline), the earliest first, those without at the end."""
    _check_tuples(cursor, entries, 3, "Hash listpackex")
    made = Hash()
    deadlines = made.keep_deadlines()
    before_ms = -1
    for i in range(0, len(entries), 3):
        text = entries[i + 2]
        when_ms = int(text) if text.isdigit() and len(text) <= 15 else -1
        if not 0 <= when_ms <= FIELD_DEADLINE_MAX:
            raise cursor.error("Hash listpackex integrity check failed: no deadline")
        if when_ms and (before_ms == 0 or when_ms < before_ms):
            raise cursor.error("Hash listpackex integrity check failed: out of order")
        before_ms = when_ms
        made.small[entries[i]] = entries[i + 1]
        if when_ms:
            deadlines.set(entries[i], when_ms)
    if len(made) > thresholds.hash_entries:
        made.convert()
    return made
