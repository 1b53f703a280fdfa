"""A database: keys, values, deadlines, and the one door through which keys change.

Strings are bare bytes; one changed in place is a bytearray; other types are objects of
`redis_trio.data`. Deadlines are in `expires`, beside the table.

1. A handler that has changed the value or the deadline of a key says so with `modified()`, once
   for each event that Redis fires. Nothing else may tell the rest of the server about a change.
2. A key whose deadline has passed does not exist: every `lookup_*` deletes it first. While CLIENT
   PAUSE holds writes up it is not deleted, and does not exist all the same. While data is loaded
   every key exists until its DEL comes. On a replica, too, but for the primary alone: who else
   asks is told that it does not exist.
3. Deletion by expiry is a change of its own: it is fed as DEL and fires `expired`.

Source: Redis db.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.data.expires import NEVER, Expires
from redis_trio.data.hash import Hash
from redis_trio.data.table import Table
from redis_trio.keyspace.access import AccessTimes
from redis_trio.keyspace.frequency import Frequencies

if TYPE_CHECKING:
    from redis_trio.persistence.snapshot import Source
    from redis_trio.state import ServerState

# Classes of keyspace events (notify-keyspace-events), with Redis's letters.
GENERIC: Final = 1 << 2  # g
STRING: Final = 1 << 3  # $
LIST: Final = 1 << 4  # l
SET: Final = 1 << 5  # s
HASH: Final = 1 << 6  # h
ZSET: Final = 1 << 7  # z
EXPIRED: Final = 1 << 8  # x
EVICTED: Final = 1 << 9  # e
STREAM: Final = 1 << 10  # t
KEY_MISS: Final = 1 << 11  # m
NEW: Final = 1 << 14  # n

MAX_TRIES: Final = 100


class Database:
    """One of the server's databases.

    Attributes:
      index: its number, as in SELECT.
      table: `{key: value}`.
      expires: when keys expire.
      field_expires: `{key: about when the first of its fields expires}`, never too late.
      access: when keys were last accessed.
      data_bytes: what keys and values take, while that is counted; see keyspace/account.py.
      saving: the snapshot in which the keys are being saved, None if there is none. It has to be
        told of a key before anything about it changes.
    """

    __slots__ = (
        "access",
        "data_bytes",
        "expires",
        "field_expires",
        "index",
        "saving",
        "server",
        "table",
    )

    def __init__(self, server: ServerState, index: int) -> None:
        self.server = server
        self.index = index
        self.table = Table()
        self.expires = Expires(server.clock.now_ms)
        self.field_expires = Expires(server.clock.now_ms)
        self.access = self._new_access()
        self.data_bytes = 0
        self.saving: Source | None = None

    # -- looking

    def lookup_read(self, key: bytes) -> object:
        """Return a value for reading, None if there is none; counts a hit or a miss."""
        server = self.server
        table = self.table
        value = table.directory[hash(key) & table.mask].get(key)
        if value is not None and self.expires.when.count and self.expire_if_due(key):
            value = None
        if value is None:
            server.stats.keyspace_misses += 1
            if server.listening:
                server.notify(KEY_MISS, "keymiss", key, self)
            return None
        server.stats.keyspace_hits += 1
        if not server.no_touch:
            self.access.touch(key, server.clock.now_ms)
        return value

    def lookup_notouch(self, key: bytes) -> object:
        """Return a value as `lookup_read` does, but not as an access to it."""
        value = self.lookup_nonotify(key)
        if value is None and self.server.listening:
            self.server.notify(KEY_MISS, "keymiss", key, self)
        return value

    def lookup_nonotify(self, key: bytes) -> object:
        """Return a value as `lookup_notouch` does, but fire no event for a miss."""
        value = self.peek(key)
        stats = self.server.stats
        if value is None:
            stats.keyspace_misses += 1
        else:
            stats.keyspace_hits += 1
        return value

    def lookup_write(self, key: bytes) -> object:
        """Return a value for changing it, None if there is none; counts nothing."""
        table = self.table
        value = table.directory[hash(key) & table.mask].get(key)
        if value is not None:
            if self.expires.when.count and self._expire_before_write(key):
                return None
            server = self.server
            if self.saving is not None:
                original = value
                value = self.saving.before_change(key, value)
                if server.accounting:
                    server.account.replaced_by_copy(original, value)
            if server.accounting:
                server.account.touch(self, value)
            if not server.no_touch:
                self.access.touch(key, server.clock.now_ms)
        return value

    def peek(self, key: bytes) -> object:
        """Return a value, None if there is none, as if nobody had looked."""
        value = self.table.get(key)
        if value is not None and self.expires.when.count and self.expire_if_due(key):
            return None
        return value

    def random_key(self) -> bytes | None:
        """Return a key, each with the same probability; None if there is none."""
        table = self.table
        rng = self.server.rng
        tries = 0
        while table.count:
            key = table.random_key(rng)
            if not self.expires.when.count or not self.expire_if_due(key):
                return key
            if key in table:  # it is over, but a pause keeps it
                tries += 1
                if tries == MAX_TRIES:
                    return key
        return None

    # -- changing

    def set(self, key: bytes, value: object) -> None:
        """Store a value under a key, new or not; its deadline stays."""
        server = self.server
        if self.saving is not None:
            self.saving.before_delete(key)
        if server.accounting:
            server.account.store(self, key, value)
        if self.table.set(key, value):
            self.access.touch(key, server.clock.now_ms)
            if server.listening:
                server.notify(NEW, "new", key, self)
            return
        if not server.no_touch:
            self.access.touch(key, server.clock.now_ms)
        if self.field_expires.when.count:
            self.field_expires.remove(key)

    def load_key(self, key: bytes, value: object, when_ms: int) -> None:
        """Store a key that is not there, from a file, and tell nobody.

        Args:
          when_ms: its deadline, NEVER if it has none.
        """
        if self.server.accounting:
            self.server.account.store(self, key, value)
        self.table.set(key, value)
        if when_ms != NEVER:
            self.expire_at(key, when_ms)
        self.track_fields(key, value)

    def overwrite(self, key: bytes, value: object) -> None:
        """Store another string under a key that `lookup_write` has just found."""
        if self.server.accounting:
            self.server.account.store(self, key, value)
        table = self.table
        table.directory[hash(key) & table.mask][key] = value

    def replace(self, key: bytes, value: object) -> None:
        """Store a value under a key, new or not, and take its deadline away."""
        if self.expires.when.count:
            self._expire_before_write(key)
            if self.saving is not None:
                self.saving.before_delete(key)
            self.expires.remove(key)
        self.set(key, value)

    def delete(self, key: bytes) -> bool:
        """Remove a key; return whether it was there. The caller says so with `modified()`."""
        return self._take(key) is not None

    def unlink(self, key: bytes) -> bool:
        """Remove a key, and free a value of many elements later; return whether it was there."""
        is_held = self.saving is not None and self.saving.before_delete(key)
        value = self._take(key)
        if value is None:
            return False
        if not is_held and not isinstance(value, (bytes, bytearray)):
            self.server.lazyfree.add_value(value)
        return True

    def _take(self, key: bytes) -> object:
        """Remove a key; return its value, None if it was not there."""
        if self.saving is not None:
            self.saving.before_delete(key)
        value = self.table.pop(key)
        if value is not None:
            if self.expires.when.count:
                self.expires.remove(key)
            if self.field_expires.when.count:
                self.field_expires.remove(key)
            self.access.forget(key)
            if self.server.accounting:
                self.server.account.remove(self, key, value)
        return value

    # -- deadlines

    def expire_ms(self, key: bytes) -> int:
        """Return the deadline of a key that is there, NEVER if it has none."""
        return self.expires.get(key)

    def expire_at(self, key: bytes, when_ms: int) -> None:
        """Give a key that is there a deadline. The caller says so with `modified()`."""
        if self.saving is not None:
            self.saving.before_deadline(key)
        self.expires.set(key, when_ms)
        self.server.due_at(when_ms)
        upstream = self.server.replication.upstream
        if upstream is not None and not self.server.persistence.loading and not self.server.obeys():
            upstream.remember_own(self, key, when_ms)

    def persist(self, key: bytes) -> bool:
        """Take the deadline of a key that is there away; return whether it had one."""
        if self.saving is not None:
            self.saving.before_deadline(key)
        return self.expires.remove(key) != NEVER

    def track_fields(self, key: bytes, value: object) -> None:
        """Have the fields of a hash expire that has been stored under a key; others do not care.

        To be called after `set` for a hash that may have deadlines, and when it gets new ones.
        """
        if isinstance(value, Hash) and value.deadlines is not None:
            when_ms = value.deadlines.next_ms()
            if when_ms == NEVER:
                self.field_expires.remove(key)
            else:
                self.field_expires.set(key, when_ms)
                self.server.due_at(when_ms)

    def expire_if_due(self, key: bytes) -> bool:
        """Return whether a key's deadline has passed; such a key is deleted, except in a pause."""
        when_ms = self.expires.get(key)
        if when_ms == NEVER:
            return False
        now_ms = self.server.clock.now_ms
        if when_ms > now_ms or self.server.persistence.loading:
            return False
        if self.server.replication.is_replica:
            return not self.server.obeys()
        if self.server.pause_until_ms <= now_ms:
            self.delete_expired(key)
        return True

    def _expire_before_write(self, key: bytes) -> bool:
        """`expire_if_due` for a command that is about to change the key.

        On a replica that clients may write to, it must not find what its readers do not see.
        """
        if not self.expire_if_due(key):
            return False
        replication = self.server.replication
        if replication.is_replica and not replication.is_read_only() and key in self.table:
            self.delete_expired(key)
        return True

    def is_expired(self, key: bytes) -> bool:
        """Return whether a key's deadline has passed, and leave the key where it is."""
        when_ms = self.expires.get(key)
        server = self.server
        return (
            when_ms != NEVER and when_ms <= server.clock.now_ms and not server.persistence.loading
        )

    def expiry_name(self) -> bytes:
        """Return the name of the command as which the deletion of an expired key is fed."""
        return b"UNLINK" if self.server.config.lazyfree_lazy_expire else b"DEL"

    def delete_expired(self, key: bytes) -> None:
        """Delete a key whose deadline has passed.

        No command did that, so it does not count as dirty, which would feed whatever command has
        met the key.
        """
        server = self.server
        self.unlink(key)
        server.stats.expired_keys += 1
        if server.feed.active:
            server.feed.add_effect(self.index, [self.expiry_name(), key])
        if server.listening:
            server.notify(EXPIRED, "expired", key, self)
            server.key_modified(self, key, True)

    # -- telling

    def modified(self, key: bytes, event_class: int, event: str) -> None:
        """Tell the server that a key changed, and as which event."""
        server = self.server
        server.dirty += 1
        if server.listening:
            server.key_modified(self, key)
            server.notify(event_class, event, key, self)

    def signal(self, key: bytes, expired: bool = False) -> None:
        """Tell the server that a key changed, as part of a change of several keys.

        The caller fires the events with `notify()` and counts `server.dirty` once.

        Args:
          expired: whether nobody changed it: part of it was simply too old.
        """
        server = self.server
        if server.listening:
            server.key_modified(self, key, expired)

    def notify(self, key: bytes, event_class: int, event: str) -> None:
        """Fire a further event for a change that has been told."""
        server = self.server
        if server.listening:
            server.notify(event_class, event, key, self)

    # -- as a whole

    def _new_access(self) -> AccessTimes:
        access = AccessTimes(self.server.clock.now_ms)
        policy: str = self.server.config.maxmemory_policy
        if policy.endswith("-lfu"):
            access.frequencies = Frequencies(self.server)
        access.keep_all(policy.endswith("-lru"))
        return access

    def policy_changed(self) -> None:
        """Keep what the eviction policy asks for: how often keys are accessed, or when exactly."""
        policy: str = self.server.config.maxmemory_policy
        if not policy.endswith("-lfu"):
            self.access.frequencies = None
        elif self.access.frequencies is None:
            self.access.frequencies = Frequencies(self.server)
        self.access.keep_all(policy.endswith("-lru"))

    def swap_with(self, other: Database) -> None:
        """Exchange all keys with another database's, as SWAPDB does. Clients stay."""
        self.table, other.table = other.table, self.table
        self.expires, other.expires = other.expires, self.expires
        self.field_expires, other.field_expires = other.field_expires, self.field_expires
        self.access, other.access = other.access, self.access
        self.saving, other.saving = other.saving, self.saving
        self.server.account.settle()
        self.data_bytes, other.data_bytes = other.data_bytes, self.data_bytes

    def flush(self) -> int:
        """Remove every key, in O(1): they are freed later; return how many there were."""
        table = self.table
        expires = [self.expires, self.field_expires]
        count = table.count
        if count:
            now_ms = self.server.clock.now_ms
            self.table = Table()
            self.expires = Expires(now_ms)
            self.field_expires = Expires(now_ms)
            self.access = self._new_access()
            self.server.account.settle()
            self.data_bytes = 0
            saving = self.saving
            self.saving = None
            if saving is None:
                self.server.lazyfree.add_database(table, expires)
            else:
                saving.free_later(expires)
        return count
