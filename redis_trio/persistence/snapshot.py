"""The data as it was at one moment, made into bytes in slices while clients are served.

    snapshot = Snapshot(server, writer, [writer.header(...)])  # the moment
    while snapshot.step(budget_ns):
        out(snapshot.take())
    out(snapshot.take())

Beginning costs O(databases). What a change would alter is put aside before it happens, once for
each key, so that nothing is copied that nobody changes:

1. Keys are visited in the order in which `Table.scan` walks: by their hash, lowest bit first. So
   a key and the cursor alone say whether it has been visited, however the table splits and merges.
2. `Database` tells `Source` of a key that is about to change (`before_change`), to go or to be
   replaced (`before_delete`), to get another deadline (`before_deadline`). If the key has not been
   visited, it goes into the queue as it is, and is `ahead`: no longer to be visited. What was not
   there at the moment is `ahead` at once.
3. A value that can change and waits in the queue is `pending`. Whoever is about to change it gets a
   copy, which the key has from then on, and the snapshot keeps the original. A value is copied at
   most once; one that nobody changes, or that is replaced or deleted, never. Where the one who
   changes a value already has it in hand, the snapshot gets the copy (`before_expiry`).
4. Big values are taken from the queue one by one and written a piece at a time. Bytes come out in
   the order in which the writer makes them.
5. A swapped database takes this along with its table. What is flushed is freed when the snapshot
   has ended, a value that a key has lost when it has been written.

Copies of hashes, sets and sorted sets share what is not changed, so they cost next to nothing. Who
changes a list or a stream that has not been written waits for the copy of its nodes: some 20 ms for
a list of a million elements.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Protocol

from mypy_extensions import i64

from redis_trio.clock import perf_counter_ns
from redis_trio.data.expires import NEVER
from redis_trio.data.hash import Hash
from redis_trio.data.key_set import KeySet
from redis_trio.data.table import SCAN_BITS
from redis_trio.keyspace.values import collection, copy_value

if TYPE_CHECKING:
    from redis_trio.data.expires import Expires
    from redis_trio.keyspace.access import AccessTimes
    from redis_trio.keyspace.database import Database
    from redis_trio.state import ServerState

CHUNK: Final = 256 * 1024  # bytes made before they have to be taken
VISITED: Final = 48  # keys in one visit, at least
SMALL: Final = 32  # elements of a value that is written with the visit
SHORT: Final = 1024  # bytes of a string, likewise
PATH: Final = (1 << SCAN_BITS) - 1


class Encoder(Protocol):
    """Makes bytes of databases and keys."""

    def database(self, index: int, keys: int, expires: int) -> bytes:
        """Return how keys of a database begin; it may be begun several times."""
        ...

    def key_bytes(
        self, key: bytes, value: object, when_ms: int, idle_s: int, frequency: int
    ) -> bytes:
        """Return a key as one piece."""
        ...

    def key_pieces(
        self, key: bytes, value: object, when_ms: int, idle_s: int, frequency: int
    ) -> Iterator[bytes]:
        """Iterate over the pieces of a key."""
        ...

    def end(self) -> bytes:
        """Return how it all ends."""
        ...


class Entry:
    """A key as it was at the moment.

    Attributes:
      is_orphan: whether no key has the value any more.
    """

    __slots__ = ("frequency", "idle_s", "is_orphan", "key", "source", "value", "when_ms")

    def __init__(self, source: Source, key: bytes, value: object) -> None:
        self.source = source
        self.key = key
        self.value = value
        self.when_ms = source.deadline(key)
        self.idle_s, self.frequency = source.access_of(key)
        self.is_orphan = False


class Source:
    """A database whose keys are saved, as it was at the moment.

    Attributes:
      index: its number then.
      count, expire_count: how many keys it had, and how many with a deadline.
      cursor: where in the table the next visit begins.
      done: whether all keys have been visited.
      ahead: keys not visited yet that are not to be saved with the visit.
      pending: `{key: entry in the queue whose value it still has}`, of values that can change.
    """

    __slots__ = (
        "_access",
        "_expires",
        "_freed_later",
        "_snapshot",
        "ahead",
        "count",
        "cursor",
        "done",
        "expire_count",
        "index",
        "pending",
        "table",
    )

    def __init__(self, snapshot: Snapshot, db: Database) -> None:
        self._snapshot = snapshot
        self._access: AccessTimes = db.access
        self._expires: Expires = db.expires
        self._freed_later: list[Expires] | None = None
        self.index = db.index
        self.table = db.table
        self.count: int = db.table.count
        self.expire_count: int = db.expires.when.count
        self.cursor: int = 0
        self.done = False
        self.ahead = KeySet()
        self.pending: dict[bytes, Entry] = {}

    def deadline(self, key: bytes) -> int:
        """Return the deadline that a key has now, NEVER if it has none."""
        return self._expires.get(key) if self._expires.when.count else NEVER

    def access_of(self, key: bytes) -> tuple[int, int]:
        """Return a key's idle time in seconds and its LFU counter, -1 for what is not saved."""
        snapshot = self._snapshot
        if snapshot.tells_idle:
            now_ms: int = snapshot.server.clock.now_ms
            return max(0, now_ms - self._access.get(key)) // 1000, -1
        frequencies = self._access.frequencies
        return -1, -1 if frequencies is None else frequencies.get(key)

    def is_saved(self, key: bytes) -> bool:
        """Return whether a key has been visited, or put aside."""
        if self.done:
            return True
        name = hash(key)
        different = (name ^ self.cursor) & PATH
        if different and not name & (different & -different):
            return True
        return self.ahead.count > 0 and key in self.ahead

    # -- what is about to happen to a key

    def before_change(self, key: bytes, value: object) -> object:
        """Return the value to be changed in place of the one that a key has."""
        if not self._let_go(key, value) or isinstance(value, bytes):
            return value
        changeable = copy_value(value)
        table = self.table
        table.directory[hash(key) & table.mask][key] = changeable
        return changeable

    def before_delete(self, key: bytes) -> bool:
        """Prepare for a key to go, to come, or to get another value.

        Returns: whether the snapshot needs the value, and sees to it that it is freed.
        """
        return self._let_go(key, self.table.get(key))

    def before_deadline(self, key: bytes) -> None:
        """Prepare for a key to get another deadline, or none."""
        if not self.is_saved(key):
            entry = self._put_aside(key, self.table.get(key))
            if entry is not None and not isinstance(entry.value, bytes):
                self.pending[key] = entry

    def before_expiry(self, key: bytes, value: Hash) -> None:
        """Prepare for fields of a hash to go which somebody has in hand."""
        entry = self.pending.pop(key, None)
        if entry is None:
            if self.is_saved(key):
                return
            entry = self._put_aside(key, value)
        elif self._snapshot.is_writing(entry):
            self._snapshot.finish_value()
            return
        if entry is not None:
            entry.value = copy_value(value)
            entry.is_orphan = True

    def _let_go(self, key: bytes, value: object) -> bool:
        """Have the value belong to the snapshot if that needs it; return whether it does."""
        entry = self.pending.pop(key, None)
        if entry is None:
            if self.is_saved(key):
                return False
            entry = self._put_aside(key, value)
            if entry is None:
                return False
        entry.is_orphan = True
        return True

    def _put_aside(self, key: bytes, value: object) -> Entry | None:
        """Have a key not be visited, and written now if it was there."""
        self.ahead.add(key)
        if value is None:
            return None
        entry = Entry(self, key, value)
        self._snapshot.queue.append(entry)
        return entry

    # -- the table

    def visit(self) -> tuple[int, list[bytes]]:
        """Return the cursor behind some keys, and those of them that are to be saved."""
        cursor, keys = self.table.scan(self.cursor, VISITED)
        ahead = self.ahead
        if ahead.count:
            keys = [key for key in keys if not ahead.discard(key)]
        return cursor, keys

    def free_later(self, expires: list[Expires]) -> None:
        """Free the table and deadlines of a flushed database when the snapshot has ended."""
        self._freed_later = expires

    def end(self) -> None:
        """Say that nobody wants the keys any more."""
        self.done = True
        expires = self._freed_later
        self._freed_later = None
        if expires is not None:
            self._snapshot.server.lazyfree.add_database(self.table, expires)


class Snapshot:
    """The data of a server at the moment when this is made.

    Args:
      head: how the bytes begin.

    Attributes:
      queue: keys to be written next.
      size: how many bytes are to be taken.
      keys_total, keys_done: how many keys there were, and how many have been written.
      tells_idle: whether idle times are saved.
    """

    __slots__ = (
        "_entry",
        "_from",
        "_out",
        "_pieces",
        "_place",
        "_sources",
        "_writer",
        "keys_done",
        "keys_total",
        "queue",
        "server",
        "size",
        "tells_idle",
    )

    def __init__(self, server: ServerState, writer: Encoder, head: list[bytes]) -> None:
        assert server.snapshot is None
        self.server: Final = server
        self.tells_idle = server.config.maxmemory_policy.endswith("-lru")
        self.queue: deque[Entry] = deque()
        self.keys_total = 0
        self.keys_done = 0
        self._writer = writer
        self._out = head
        self.size = sum([len(piece) for piece in head])
        self._pieces: Iterator[bytes] | None = None  # of a big value
        self._entry: Entry | None = None  # which has it
        self._from: Source | None = None  # the database of what was written last
        self._place = 0  # in the sources
        self._sources: list[Source] = []
        for db in server.dbs:
            if db.table.count:
                source = Source(self, db)
                self._sources.append(source)
                db.saving = source
                self.keys_total += source.count
        server.snapshot = self
        server.aof.follow_config()

    def step(self, budget_ns: i64) -> bool:
        """Make bytes for about `budget_ns`, or until there are CHUNK; return whether more come."""
        until = perf_counter_ns() + budget_ns
        while self.size < CHUNK:
            if self._pieces is not None:
                self._next_piece(self._pieces)
            elif self.queue:
                self._begin(self.queue.popleft())
            elif self._place < len(self._sources):
                self._visit(self._sources[self._place])
            else:
                self._put(self._writer.end())
                self.close()
                return False
            if perf_counter_ns() >= until:
                break
        return True

    def take(self) -> bytes:
        """Return the bytes made since the last time."""
        data = b"".join(self._out)
        self._out = []
        self.size = 0
        return data

    def close(self) -> None:
        """Keep nothing of the moment any more; to be called also when all has been written."""
        server = self.server
        if server.snapshot is not self:
            return
        server.snapshot = None
        server.aof.follow_config()
        for db in server.dbs:
            db.saving = None
        for source in self._sources:
            source.end()
        self._pieces = None
        if self._entry is not None:
            self._release(self._entry)
            self._entry = None
        while self.queue:
            self._release(self.queue.popleft())
        server.background.points_changed()

    def is_writing(self, entry: Entry) -> bool:
        """Return whether part of an entry has been written, and part has not."""
        return self._entry is entry

    def finish_value(self) -> None:
        """Write the rest of the value in hand."""
        while self._pieces is not None:
            self._next_piece(self._pieces)

    def _put(self, data: bytes) -> None:
        self._out.append(data)
        self.size += len(data)

    def _select(self, source: Source) -> None:
        """Have what is written next belong to a database."""
        if self._from is not source:
            self._from = source
            self._put(self._writer.database(source.index, source.count, source.expire_count))

    def _visit(self, source: Source) -> None:
        """Write the next keys of a database, and put what is big into the queue."""
        cursor, keys = source.visit()
        table = source.table
        writer = self._writer
        if keys:
            self._select(source)
        for key in keys:
            value = table.get(key)
            if isinstance(value, (bytes, bytearray)):
                is_small = len(value) <= SHORT
            else:
                is_small = len(collection(value)) <= SMALL
            if is_small:
                idle_s, frequency = source.access_of(key)
                when_ms = source.deadline(key)
                self._put(writer.key_bytes(key, value, when_ms, idle_s, frequency))
                self.keys_done += 1
            else:
                entry = Entry(source, key, value)
                self.queue.append(entry)
                if not isinstance(value, bytes):
                    source.pending[key] = entry
        source.cursor = cursor
        if cursor == 0:
            source.done = True
            self._place += 1

    def _begin(self, entry: Entry) -> None:
        """Write a key from the queue, or its first piece."""
        self._select(entry.source)
        self._entry = entry
        self._pieces = self._writer.key_pieces(
            entry.key, entry.value, entry.when_ms, entry.idle_s, entry.frequency
        )
        self._next_piece(self._pieces)

    def _next_piece(self, pieces: Iterator[bytes]) -> None:
        """Write a piece of the value in hand."""
        piece = next(pieces, None)
        if piece is not None:
            self._put(piece)
            return
        entry = self._entry
        assert entry is not None
        self._pieces = None
        self._entry = None
        self.keys_done += 1
        if entry.source.pending.get(entry.key) is entry:
            del entry.source.pending[entry.key]
        self._release(entry)

    def _release(self, entry: Entry) -> None:
        if entry.is_orphan:
            self.server.lazyfree.add_value(entry.value)
