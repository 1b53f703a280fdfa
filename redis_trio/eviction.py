"""Eviction: while more memory is used than `maxmemory` allows, keys go, by `maxmemory-policy`.

What is used is what this server holds: keys, values and their places (keyspace/account.py), the
buffers of clients (client_memory.py), scripts, and OWN_BYTES for an empty server; if the limit is
set while the server runs, as much more as the allocator says and nobody can tell what for. Not
counted are the interpreter and its libraries, an application around the server, and what eviction
itself makes grow: the buffers of the append-only file and of replicas.

Before each command `make_room` evicts for a time that `maxmemory-eviction-tenacity` sets; what is
left then is done by the keeper (jobs.Evicting), a slice at a time. An LRU, LFU or TTL policy looks
at `maxmemory-samples` keys of each database for each key that goes, and keeps the best candidates
it has seen in a pool, so that few samples come close to the true order. A candidate that has been
used since it entered the pool is none any more.

Each key that goes is a unit of its own: fed as DEL (UNLINK if `lazyfree-lazy-eviction`), fires
`evicted`, touches who watches it, invalidates who has cached it; it is no change that a save point
counts.

Source: Redis evict.c.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.clock import perf_counter_ns
from redis_trio.command import DENYOOM
from redis_trio.errors import OOM, RedisError
from redis_trio.keyspace.account import database_bytes
from redis_trio.keyspace.database import EVICTED

if TYPE_CHECKING:
    from redis_trio.data.table import Table
    from redis_trio.keyspace.database import Database
    from redis_trio.state import ServerState

POOL_SIZE: Final = 16
OWN_BYTES: Final = 1024 * 1024  # of an empty server: tables of commands and parameters, and so on
CHECK_EVERY: Final = 16  # keys between two looks at the clock

# What `evict` comes to.
DONE: Final = 0  # no more is used than is allowed
UNDER_WAY: Final = 1  # the keeper goes on
FAILED: Final = 2  # there is nothing to be evicted

_LRU: Final = 1
_LFU: Final = 2
_TTL: Final = 3
_RANDOM: Final = 4
_KINDS: Final = {"lru": _LRU, "lfu": _LFU, "ttl": _TTL, "random": _RANDOM}

Candidate = tuple[int, int, bytes]
"""(rank, database, key); the lower the rank, the sooner it goes."""


class Eviction:
    """What one server does about `maxmemory`.

    Attributes:
      limit: maxmemory, 0 while there is none.
      out_of_memory: whether there was too little when the command that runs began.
      under_way: whether the keeper has to go on.
      evicted_keys: how many keys have gone.
    """

    __slots__ = (
        "_all_keys",
        "_base_bytes",
        "_exceeded_ns",
        "_exceeded_since_ns",
        "_kind",
        "_next_db",
        "_pool",
        "_server",
        "_time_ns",
        "evicted_keys",
        "limit",
        "out_of_memory",
        "under_way",
    )

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._base_bytes = OWN_BYTES
        self._pool: list[Candidate] = []
        self._next_db = 0
        self._kind = 0
        self._all_keys = False
        self._time_ns = 0  # for the keys that go before a command; below 0: no limit
        self._exceeded_since_ns = 0  # 0: no more is used than is allowed
        self._exceeded_ns = 0
        self.limit = 0
        self.out_of_memory = False
        self.under_way = False
        self.evicted_keys = 0

    def follow_config(self) -> None:
        """Take over what the configuration says; a new limit is enforced at once."""
        server = self._server
        config = server.config
        policy: str = config.maxmemory_policy
        kind = _KINDS.get(policy.rpartition("-")[2], 0)
        all_keys = policy.startswith("allkeys")
        if kind != self._kind or all_keys != self._all_keys:
            self._kind = kind
            self._all_keys = all_keys
            self._pool = []
        self._time_ns = time_limit_ns(config.maxmemory_eviction_tenacity)
        limit: int = config.maxmemory
        if limit != self.limit:
            self.limit = limit
            self._limit_changed()

    def _limit_changed(self) -> None:
        server = self._server
        is_on = self.limit != 0
        if is_on and not server.accounting:
            self._begin()
        elif not is_on:
            server.account.end()
            self.out_of_memory = self.under_way = False
        server.accounting = is_on
        server.client_memory.follow_config()
        server.update_gate()
        if is_on:
            used = self.used_bytes()
            if self.limit < used:
                server.log.warning(
                    "WARNING: the new maxmemory value set via CONFIG SET (%d) is smaller than the "
                    "current memory usage (%d). This will result in key eviction and/or the "
                    "inability to accept new write commands depending on the maxmemory-policy.",
                    self.limit,
                    used,
                )
            self.start()

    def _begin(self) -> None:
        """Begin to count, and go on from the figure that the allocator has been good for so far."""
        server = self._server
        used = server.memory.used_bytes()
        server.account.begin()
        self._base_bytes = OWN_BYTES
        server.accounting = server.counts_clients = True
        server.client_memory.recount()
        if server.memory.owns_process:
            self._base_bytes = max(OWN_BYTES, used - self.used_bytes() + OWN_BYTES)

    def start(self) -> None:
        """Have the keeper evict what is too much."""
        self.under_way = True
        self._server.due_at(self._server.clock.now_ms)

    def used_bytes(self) -> int:
        """Return how much of `maxmemory` is used, while there is one."""
        server = self._server
        return (
            self._base_bytes
            + server.account.bytes_used()
            + server.client_memory.total_bytes
            + server.memory.other_bytes
        )

    def admit(self, flags: int) -> RedisError | None:
        """Make room before a command; return the error if there is none and it would need some."""
        server = self._server
        if server.script_is_slow:
            return None
        current = server.current
        server.current = None  # it does not change these keys, and is told before its reply
        self.out_of_memory = self.evict() == FAILED
        server.current = current
        if self.out_of_memory and flags & DENYOOM:
            return RedisError(OOM)
        return None

    def evict(self) -> int:
        """Evict keys until enough memory is free, or for as long as the tenacity allows."""
        if not self._is_allowed():
            return DONE
        used = self.used_bytes()
        result = DONE
        if used > self.limit:
            result = FAILED if self._kind == 0 else self._free(used - self.limit)
        self._note(result)
        return result

    def evict_slice(self) -> None:
        """Go on with what was left; called by the keeper."""
        if self.evict() != UNDER_WAY:
            self.under_way = False

    def exceeded_ms(self) -> tuple[int, int]:
        """Return for how long there was too little memory: in all, and by now."""
        now_ns = 0
        if self._exceeded_since_ns:
            now_ns = perf_counter_ns() - self._exceeded_since_ns
        return (self._exceeded_ns + now_ns) // 1_000_000, now_ns // 1_000_000

    def reset_stats(self) -> None:
        """Count from nothing again, as CONFIG RESETSTAT does."""
        self.evicted_keys = 0
        self._exceeded_ns = 0
        self._exceeded_since_ns = 0

    # --

    def _is_allowed(self) -> bool:
        server = self._server
        if server.script_is_slow or server.persistence.loading:
            return False
        if server.replication.is_replica and server.config.replica_ignore_maxmemory:
            return False
        return server.pause_until_ms <= server.clock.now_ms

    def _note(self, result: int) -> None:
        if result != DONE:
            if not self._exceeded_since_ns:
                self._exceeded_since_ns = perf_counter_ns()
        elif self._exceeded_since_ns:
            self._exceeded_ns += perf_counter_ns() - self._exceeded_since_ns
            self._exceeded_since_ns = 0

    def _free(self, wanted: int) -> int:
        """Evict keys that took so many bytes."""
        began_ns: i64 = perf_counter_ns()
        limit_ns: i64 = self._time_ns
        freed = 0
        count = 0
        while freed < wanted:
            found = self._random() if self._kind == _RANDOM else self._best()
            if found is None:
                return FAILED
            freed += self._evict_key(found[0], found[1])
            count += 1
            if count % CHECK_EVERY == 0 and 0 <= limit_ns < perf_counter_ns() - began_ns:
                self.start()
                break
        return UNDER_WAY if self.under_way else DONE

    def _evict_key(self, db: Database, key: bytes) -> int:
        """Delete a key and tell everybody; return how many bytes it took."""
        server = self._server
        before = database_bytes(db)
        if server.config.lazyfree_lazy_eviction:
            db.unlink(key)
            name = b"UNLINK"
        else:
            db.delete(key)
            name = b"DEL"
        freed = before - database_bytes(db)
        self.evicted_keys += 1
        server.feed.add_effect(db.index, [name, key])
        server.feed.flush()
        if server.listening:
            server.key_modified(db, key, True)
            server.notify(EVICTED, "evicted", key, db)
        return freed

    def _keys_of(self, db: Database) -> Table:
        return db.table if self._all_keys else db.expires.when

    def _random(self) -> tuple[Database, bytes] | None:
        """Return any key of the next database that has one."""
        server = self._server
        for _ in server.dbs:
            self._next_db = (self._next_db + 1) % len(server.dbs)
            db = server.dbs[self._next_db]
            table = self._keys_of(db)
            if table.count:
                return db, table.random_key(server.rng)
        return None

    def _best(self) -> tuple[Database, bytes] | None:
        """Return the best candidate, after a look at some more keys; None if there are no keys."""
        server = self._server
        while True:
            total = 0
            for db in server.dbs:
                table = self._keys_of(db)
                if table.count:
                    total += table.count
                    self._sample(db, table)
            if not total:
                return None
            pool = self._pool
            while pool:
                rank, index, key = pool.pop(0)
                db = server.dbs[index]
                if key in self._keys_of(db) and self._rank(db, key) <= rank:
                    return db, key

    def _sample(self, db: Database, table: Table) -> None:
        """Put those of some keys into the pool that are better than what is there."""
        server = self._server
        pool = self._pool
        index = db.index
        for key in table.sample(server.config.maxmemory_samples, server.rng):
            rank = self._rank(db, key)
            if len(pool) == POOL_SIZE and rank >= pool[-1][0]:
                continue
            candidate = (rank, index, key)
            place = bisect_left(pool, candidate)
            if place < len(pool) and pool[place] == candidate:
                continue
            pool.insert(place, candidate)
            if len(pool) > POOL_SIZE:
                pool.pop()

    def _rank(self, db: Database, key: bytes) -> int:
        """Return when a key was last used, how often it is, or when it expires."""
        if self._kind == _LRU:
            return db.access.get(key)
        frequencies = db.access.frequencies
        if self._kind == _LFU and frequencies is not None:
            return frequencies.get(key)
        return db.expires.get(key)


def time_limit_ns(tenacity: int) -> int:
    """Return how long keys are evicted before one command; below 0: as long as it takes."""
    if tenacity <= 10:
        return 50_000 * tenacity
    return int(500_000 * 1.15 ** (tenacity - 10)) if tenacity < 100 else -1
