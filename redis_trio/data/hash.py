"""Hashes: fields and values, and when fields expire.

A small hash (`listpack`) is a dict in the order of insertion, which clients see. One of whose
fields was ever given a deadline (`listpackex`) has those with deadlines in front, earliest first.
A hash that has outgrown the thresholds (`hashtable`) is a Table and stays one.

1. `deadlines` is there once any field was to expire, and stays. A field whose time is over is
   still there, until somebody removes it: commands ask `keyspace/field_expiry.py`.
2. Values are never changed in place.

Source: Redis t_hash.c.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, ClassVar, Final, cast

from redis_trio.data.expires import NEVER
from redis_trio.data.field_deadlines import FieldDeadlines
from redis_trio.data.sizes import ENTRY_BYTES, block_bytes, string_bytes
from redis_trio.data.table import Table
from redis_trio.data.thresholds import Thresholds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from redis_trio.data.key_set import KeySet

OBJECT_BYTES: Final = 128  # of deadlines without any
DEADLINE_BYTES: Final = 90  # for each field that expires, while there are few of them


class Hash:
    """A hash.

    Attributes:
      small: `{field: value}` in the compact encodings, else empty.
      table: the same of a hashtable, else None.
      deadlines: when fields expire, None as long as none was ever to.
      counted: see keyspace/account.py.
    """

    __slots__ = ("_rest", "counted", "deadlines", "small", "table")

    type_name: ClassVar[bytes] = b"hash"

    def __init__(self) -> None:
        self.counted = 0
        self.small: dict[bytes, bytes] = {}
        self.table: Table | None = None
        self.deadlines: FieldDeadlines | None = None
        self._rest: list[Table | KeySet] | None = None  # while it is being freed

    def __len__(self) -> int:
        """Return the number of fields, those included whose time is over."""
        if self._rest is not None:
            return len(self._rest)
        table = self.table
        return len(self.small) if table is None else table.count

    # -- single fields

    def get(self, field: bytes) -> bytes | None:
        """Return the value of a field, None if it is not there."""
        table = self.table
        if table is None:
            return self.small.get(field)
        value = table.directory[hash(field) & table.mask].get(field)
        return value if isinstance(value, bytes) else None

    def set(self, field: bytes, value: bytes, thresholds: Thresholds) -> bool:
        """Set a field, which then has no deadline; return True if it is new."""
        created = self.store(field, value, thresholds)
        if not created and self.deadlines is not None:
            self.persist(field)
        return created

    def store(self, field: bytes, value: bytes, thresholds: Thresholds) -> bool:
        """Set a field and leave its deadline; return True if it is new."""
        table = self.table
        if table is None:
            limit = thresholds.hash_value
            if len(field) <= limit and len(value) <= limit:
                small = self.small
                before = len(small)
                small[field] = value
                if len(small) == before:
                    return False
                if before >= thresholds.hash_entries:
                    self.convert()
                return True
            table = self.convert()
        return table.set(field, value)

    def delete(self, field: bytes) -> bool:
        """Remove a field; return whether it was there."""
        table = self.table
        if table is None:
            if self.small.pop(field, None) is None:
                return False
        elif table.pop(field) is None:
            return False
        if self.deadlines is not None:
            self.deadlines.remove(field)
        return True

    def convert(self) -> Table:
        """Make it a hashtable."""
        table = self.table
        if table is None:
            self.table = table = Table()
            for field, value in self.small.items():
                table.set(field, value)
            self.small = {}
        return table

    # -- deadlines

    def keep_deadlines(self) -> FieldDeadlines:
        """Return the deadlines; from now on the hash has them."""
        if self.deadlines is None:
            self.deadlines = FieldDeadlines()
        return self.deadlines

    def deadline(self, field: bytes) -> int:
        """Return when a field expires (ms since the epoch), NEVER if it does not."""
        return NEVER if self.deadlines is None else self.deadlines.get(field)

    def put_in_order(self, fields: list[bytes], when_ms: int) -> None:
        """Move fields, which have got the deadline `when_ms`, to where they belong.

        Each stands in front of what is not earlier, so the last of `fields` comes first.
        Source: t_hash.c listpackExAddInternal.
        """
        deadlines = self.deadlines
        if self.table is not None or deadlines is None:
            return
        small = self.small
        moved = {field: small[field] for field in reversed(fields)}
        ordered: dict[bytes, bytes] = {}
        placed = False
        for field, value in small.items():
            if field in moved:
                continue
            if not placed:
                other_ms = deadlines.get(field)
                if other_ms == NEVER or other_ms >= when_ms:
                    ordered.update(moved)
                    placed = True
            ordered[field] = value
        if not placed:
            ordered.update(moved)
        self.small = ordered

    def sort_by_deadline(self) -> None:
        """Put all fields of a listpackex in the order in which they would be had they come in turn.

        Of fields with the same deadline the last one comes first: see `put_in_order`.
        """
        deadlines = self.deadlines
        if self.table is not None or deadlines is None or not len(deadlines):
            return
        timed: list[tuple[int, int, bytes]] = []
        for field in self.small:
            when_ms = deadlines.get(field)
            if when_ms != NEVER:
                timed.append((when_ms, -len(timed), field))
        timed.sort()
        ordered = {field: self.small[field] for _, _, field in timed}
        for field, value in self.small.items():
            if field not in ordered:
                ordered[field] = value
        self.small = ordered

    def persist(self, field: bytes) -> bool:
        """Take the deadline of a field away; return whether it had one."""
        deadlines = self.deadlines
        if deadlines is None or deadlines.remove(field) == NEVER:
            return False
        if self.table is None:  # those without a deadline are at the end
            self.small[field] = self.small.pop(field)
        return True

    # -- all of it

    def fields(self) -> Iterable[bytes]:
        """Return the fields, to be iterated over at once."""
        return self.small if self.table is None else chain.from_iterable(self.table.shards())

    def to_dict(self) -> dict[bytes, bytes]:
        """Return all fields and values, in order."""
        table = self.table
        if table is None:
            return self.small.copy()
        found: dict[bytes, object] = {}
        for shard in table.shards():
            found.update(shard)
        return cast("dict[bytes, bytes]", found)

    def living(self, now_ms: int) -> dict[bytes, bytes]:
        """Return the fields whose time is not over, and their values, in order."""
        found = self.to_dict()
        deadlines = self.deadlines
        if deadlines is not None:
            next_ms = deadlines.next_ms()
            if next_ms != NEVER and next_ms <= now_ms:
                for field, when_ms in deadlines.items():
                    if when_ms <= now_ms:
                        del found[field]
        return found

    def random_field(self, rng: Random) -> bytes:
        """Return a field, each with the same probability. The hash must not be empty."""
        if self.table is not None:
            return self.table.random_key(rng)
        small = self.small
        return next(islice(small, int(rng.random() * len(small)), None))

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Return the next cursor and about `count` fields; all of a compact hash."""
        if self.table is None:
            return 0, list(self.small)
        return self.table.scan(cursor, count)

    # -- what the keyspace asks of every collection

    def encoding(self) -> bytes:
        """Return what OBJECT ENCODING answers."""
        if self.table is not None:
            return b"hashtable"
        return b"listpack" if self.deadlines is None else b"listpackex"

    def copy(self) -> Hash:
        """Return an equal hash that shares nothing that can change."""
        copied = Hash()
        if self.deadlines is not None:
            copied.deadlines = self.deadlines.copy()
        if self.table is None:
            copied.small = self.small.copy()
        else:
            copied.table = self.table.copy()
        return copied

    def free_effort(self) -> int:
        """Return about how many allocations it consists of (lazyfreeGetFreeEffort)."""
        return 1 if self.table is None else self.table.count

    def free_some(self, limit: int) -> int:
        """Free up to about `limit` elements; return how many. It must not be used any more."""
        rest = self._rest
        if rest is None:
            rest = [self.convert()]
            if self.deadlines is not None:
                rest += self.deadlines.parts()
            self.deadlines = None
            self._rest = rest
        part = rest[-1]
        freed = part.free_some(limit)
        if len(part) == 0:
            rest.pop()
        return freed

    def memory_bytes(self, samples: int) -> int:
        """Return about how many bytes it takes, by the size of `samples` fields; 0: of all."""
        table = self.table
        size = block_bytes(self)
        if table is None:
            size += block_bytes(self.small)
            pairs = list(islice(self.small.items(), samples or None))
        else:
            size += ENTRY_BYTES * table.count
            shards = chain.from_iterable(shard.items() for shard in table.shards())
            pairs = cast("list[tuple[bytes, bytes]]", list(islice(shards, samples or None)))
        if pairs:
            strings = sum([string_bytes(field) + string_bytes(value) for field, value in pairs])
            size += strings * len(self) // len(pairs)
        deadlines = self.deadlines
        if deadlines is not None:
            many = deadlines.many
            size += OBJECT_BYTES
            size += DEADLINE_BYTES * len(deadlines) if many is None else many.memory_bytes()
        return size
