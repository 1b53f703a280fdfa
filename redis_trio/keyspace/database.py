"""A database: keys, values, deadlines, and the one door through which keys change.

Strings are bare bytes; one changed in place is a bytearray; other types are objects of
`redis_trio.data`. Deadlines are in `expires`, beside the table.

1. A handler that has changed the value or the deadline of a key says so with `modified()`, once
   for each event that Redis fires. Nothing else may tell the rest of the server about a change.
2. A key whose deadline has passed does not exist: every `lookup_*` deletes it first. While CLIENT
   PAUSE holds writes up it is not deleted, and does not exist all the same.
3. Deletion by expiry is a change of its own: it is fed as DEL and fires `expired`.

Source: Redis db.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.data.table import Table
from redis_trio.keyspace.access import AccessTimes
from redis_trio.keyspace.expire import NEVER, Expires

if TYPE_CHECKING:
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


class Database:
    """One of the server's databases.

    Attributes:
      index: its number, as in SELECT.
      table: `{key: value}`.
      expires: when keys expire.
      access: when keys were last accessed.
    """

    __slots__ = ("access", "expires", "index", "server", "table")

    def __init__(self, server: ServerState, index: int) -> None:
        self.server = server
        self.index = index
        self.table = Table()
        self.expires = Expires()
        self.access = AccessTimes(server.clock.now_ms)

    def lookup_read(self, key: bytes) -> object:
        """Return a value for reading, None if there is none; counts a hit or a miss."""
        server = self.server
        table = self.table
        value = table.directory[hash(key) & table.mask].get(key)
        if value is not None and self.expires.when and self._expire_if_due(key):
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

    def lookup_write(self, key: bytes) -> object:
        """Return a value for changing it, None if there is none; counts nothing."""
        table = self.table
        value = table.directory[hash(key) & table.mask].get(key)
        if value is not None:
            if self.expires.when and self._expire_if_due(key):
                return None
            if not self.server.no_touch:
                self.access.touch(key, self.server.clock.now_ms)
        return value

    def peek(self, key: bytes) -> object:
        """Return a value, None if there is none, as if nobody had looked."""
        value = self.table.get(key)
        if value is not None and self.expires.when and self._expire_if_due(key):
            return None
        return value

    def set(self, key: bytes, value: object) -> None:
        """Store a value under a key, new or not; its deadline stays."""
        if self.table.set(key, value) or not self.server.no_touch:
            self.access.touch(key, self.server.clock.now_ms)

    def replace(self, key: bytes, value: object) -> None:
        """Store a value under a key, new or not, and take its deadline away."""
        self.set(key, value)
        if self.expires.when:
            self.expires.remove(key)

    def delete(self, key: bytes) -> bool:
        """Remove a key; return whether it was there. The caller says so with `modified()`."""
        if self.table.pop(key) is None:
            return False
        if self.expires.when:
            self.expires.remove(key)
        self.access.forget(key)
        return True

    def expire_ms(self, key: bytes) -> int:
        """Return the deadline of a key that is there, NEVER if it has none."""
        return self.expires.when.get(key, NEVER)

    def modified(self, key: bytes, event_class: int, event: str) -> None:
        """Tell the server that a key changed, and as which event."""
        server = self.server
        server.dirty += 1
        if server.listening:
            server.key_modified(self, key)
            server.notify(event_class, event, key, self)

    def notify(self, key: bytes, event_class: int, event: str) -> None:
        """Fire a further event for a change that `modified` has told."""
        server = self.server
        if server.listening:
            server.notify(event_class, event, key, self)

    def _expire_if_due(self, key: bytes) -> bool:
        """Return whether a key's deadline has passed; such a key is deleted, except in a pause."""
        now_ms = self.server.clock.now_ms
        when_ms = self.expires.when.get(key, NEVER)
        if when_ms == NEVER or when_ms > now_ms:
            return False
        if self.server.pause_until_ms <= now_ms:
            self.delete_expired(key)
        return True

    def delete_expired(self, key: bytes) -> None:
        """Delete a key whose deadline has passed, as a change of its own."""
        server = self.server
        self.delete(key)
        server.stats.expired_keys += 1
        server.feed.add_effect(self.index, [b"DEL", key])
        self.modified(key, EXPIRED, "expired")

    def flush(self) -> int:
        """Remove every key; return how many there were."""
        count = self.table.count
        self.table = Table()
        self.expires = Expires()
        self.access = AccessTimes(self.server.clock.now_ms)
        return count
