"""What the keys of a server take, kept up to date by what changes: the measure of `maxmemory`.

There are two ways to learn what data takes, and neither will do alone. The allocator knows what the
process has taken, whoever asked for it: an application around the server, the interpreter, memory
that was freed and is kept. What it says comes late, and at a price that grows with the data. What
keys and values take can be told exactly as they come and go, but that costs each write something.
So while there is no `maxmemory` nothing is counted here, and INFO asks the allocator
(redis_trio/memory.py); while there is one, every door of `Database` tells this account:

1. A string counts when it is stored and is taken off when it goes. One that is changed in place
   (a bytearray) is measured before and after.
2. A value of another type bears what it counts for (`counted`, 0 while it is under no key). Who is
   going to change it has it noted, and before the figure is used (`settle`) those that were noted
   are measured again, by a few elements. What is taken off is exactly what was put on, so errors of
   the estimate do not add up.
3. Places in tables and deadlines are not counted one by one: their number is known.
4. What is freed later (keyspace/lazyfree.py) counts as freed at once. A value that only a snapshot
   still needs is not counted, as what a fork shares is not in Redis.
5. When counting begins the data is walked once, for CENSUS_NS at most; what is left then is taken
   to be as what was seen.

tests/unit/test_account.py holds it against what a fresh count says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.clock import perf_counter_ns
from redis_trio.data.sizes import ENTRY_BYTES, block_bytes, string_bytes
from redis_trio.keyspace.values import collection, memory_bytes

if TYPE_CHECKING:
    from redis_trio.keyspace.database import Database
    from redis_trio.keyspace.values import Collection
    from redis_trio.state import ServerState

SAMPLES: Final = 5  # elements of a value that are measured
NOTED_MAX: Final = 512  # values that wait to be measured again
CENSUS_NS: Final = 100_000_000
KEYS_PER_SHARD: Final = 50  # on average


class Account:
    """The account of one server; `Database.data_bytes` is that of each database.

    Attributes:
      on: whether it is kept.
    """

    __slots__ = ("_changed", "_is_partial", "_server", "_strings", "on")

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self.on = False
        self._is_partial = False  # there are values that bear no figure
        self._changed: dict[Collection, Database] = {}
        self._strings: list[tuple[Database, bytearray, int]] = []  # with the size before

    def begin(self) -> None:
        """Count what is there, and from now on what changes."""
        until = perf_counter_ns() + CENSUS_NS
        self._changed = {}
        self._strings = []
        self._is_partial = False
        self.on = True
        for db in self._server.dbs:
            self._count(db, until)

    def end(self) -> None:
        """Count nothing any more."""
        self.on = False
        self._changed = {}
        self._strings = []

    def bytes_used(self) -> int:
        """Return what all keys, values and deadlines take."""
        self.settle()
        total = 0
        for db in self._server.dbs:
            if db.table.count:
                total += database_bytes(db)
        return total

    # -- what the databases tell

    def store(self, db: Database, key: bytes, value: object) -> None:
        """Note that a key, new or not, is about to get a value."""
        if self._strings:
            self._settle_strings()
        old = db.table.get(key)
        if old is None:
            db.data_bytes += string_bytes(key)
        else:
            db.data_bytes -= self._taken_off(old)
        if isinstance(value, bytes):
            db.data_bytes += string_bytes(value)
        elif isinstance(value, bytearray):
            size = block_bytes(value)
            db.data_bytes += size
            self._strings.append((db, value, size))
        else:
            stored = collection(value)
            stored.counted = 1
            db.data_bytes += 1
            self._note(stored, db)

    def remove(self, db: Database, key: bytes, value: object) -> None:
        """Note that a key has gone, with the value that it had."""
        if self._strings:
            self._settle_strings()
        db.data_bytes -= string_bytes(key) + self._taken_off(value)
        if not db.table.count:
            db.data_bytes = 0

    def touch(self, db: Database, value: object) -> None:
        """Note that the value of a key may be changed in place."""
        if isinstance(value, bytes):
            return
        if isinstance(value, bytearray):
            if self._strings:
                self._settle_strings()
            self._strings.append((db, value, block_bytes(value)))
        else:
            touched = collection(value)
            if touched.counted:
                self._note(touched, db)

    def replaced_by_copy(self, value: object, copy: object) -> None:
        """Note that a key has a copy now, and a snapshot the value that it had."""
        if copy is value or isinstance(value, (bytes, bytearray)):
            return
        original = collection(value)
        collection(copy).counted = original.counted
        original.counted = 0
        self._changed.pop(original, None)

    def settle(self) -> None:
        """Measure what may have changed in place."""
        if self._strings:
            self._settle_strings()
        changed = self._changed
        if changed:
            self._changed = {}
            for value, db in changed.items():
                counted = value.counted
                if counted:
                    size = value.memory_bytes(SAMPLES) if len(value) else 1
                    db.data_bytes += size - counted
                    value.counted = size

    # --

    def _note(self, value: Collection, db: Database) -> None:
        if len(self._changed) >= NOTED_MAX:
            self.settle()
        self._changed[value] = db

    def _settle_strings(self) -> None:
        strings = self._strings
        self._strings = []
        for db, text, size in strings:
            db.data_bytes += block_bytes(text) - size

    def _taken_off(self, value: object) -> int:
        """Return for how much a value counts that no key has any more."""
        if isinstance(value, bytes):
            return string_bytes(value)
        if isinstance(value, bytearray):
            return block_bytes(value)
        gone = collection(value)
        size = gone.counted
        gone.counted = 0
        if not size and self._is_partial:
            size = gone.memory_bytes(SAMPLES)
        return size

    def _count(self, db: Database, until_ns: int) -> None:
        """Measure the values of a database, until it takes too long."""
        total = seen = 0
        for shard in db.table.shards():
            if perf_counter_ns() > until_ns and seen:
                self._is_partial = True
                total = total * db.table.count // seen
                break
            for key, value in shard.items():
                total += string_bytes(key) + self._counted(value)
            seen += len(shard)
        db.data_bytes = total

    def _counted(self, value: object) -> int:
        """Return what a value takes, and have it bear that figure."""
        if isinstance(value, bytes):
            return string_bytes(value)
        if isinstance(value, bytearray):
            return block_bytes(value)
        found = collection(value)
        found.counted = max(1, found.memory_bytes(SAMPLES))
        return found.counted


def places_bytes(db: Database) -> int:
    """Return what the places of a database's keys take: in the table, and beside it."""
    count = db.table.count
    return count * ENTRY_BYTES + db.access.memory_bytes(count)


def deadlines_bytes(db: Database) -> int:
    """Return what the deadlines of a database's keys take."""
    size = 0
    if db.expires.when.count:
        size += db.expires.memory_bytes()
    if db.field_expires.when.count:
        size += db.field_expires.memory_bytes()
    return size


def database_bytes(db: Database) -> int:
    """Return what a database takes while it is counted; what has changed must be settled."""
    return db.data_bytes + places_bytes(db) + deadlines_bytes(db)


def sampled_bytes(db: Database, keys: int) -> int:
    """Return about what a database's keys and values take, by a sample that is spread evenly.

    Args:
      keys: of about how many; a database of fewer is measured as a whole.
    """
    total = seen = 0
    for shard in db.table.some_shards(max(1, keys // KEYS_PER_SHARD)):
        for key, value in shard.items():
            total += string_bytes(key) + memory_bytes(value, SAMPLES)
        seen += len(shard)
    return total * db.table.count // seen if seen else 0
