"""When keys were last accessed, for OBJECT IDLETIME and for the LRU policies.

A clock for every key costs a third as much again as a small key itself. So unless the eviction
policy is an LRU one, accesses are kept in two generations of at most GENERATION keys: when the
young one is full it becomes the old one, and the old one is forgotten. A key in neither was last
accessed before the old one began, and that moment is its answer: never too idle, and exact for the
keys that are in use.

An LRU policy needs a clock for every key, and keeps them in a table of their own. All accesses
within TICK_MS share one number, so that a key costs a place in that table and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.data.sizes import ENTRY_BYTES
from redis_trio.data.table import Table

if TYPE_CHECKING:
    from redis_trio.keyspace.frequency import Frequencies

GENERATION: Final = 8192
NOTE_BYTES: Final = 64  # of a key in a generation
TICK_MS: Final = 100  # a tenth of what Redis tells apart


class AccessTimes:
    """The last accesses to one database's keys, in ms since the epoch.

    Attributes:
      frequencies: how often keys are accessed, None unless the eviction policy is an LFU one.
    """

    __slots__ = (
        "_clocks",
        "_is_special",
        "_old",
        "_old_since_ms",
        "_tick",
        "_tick_ms",
        "_young",
        "_young_since_ms",
        "frequencies",
    )

    def __init__(self, now_ms: i64) -> None:
        self.frequencies: Frequencies | None = None
        self._is_special = False  # the policy is an LRU or LFU one
        self._clocks: Table | None = None  # of all keys, under an LRU policy
        self._tick: object = None  # the number that accesses share
        self._tick_ms: i64 = 0
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}
        self._young_since_ms: i64 = now_ms
        self._old_since_ms: i64 = now_ms

    def keep_all(self, wanted: bool) -> None:
        """Begin, or end, to keep a clock for every key; to be called when `frequencies` changes."""
        if not wanted:
            self._clocks = None
        elif self._clocks is None:
            self._clocks = Table()
        self._is_special = wanted or self.frequencies is not None

    def memory_bytes(self, keys: int) -> int:
        """Return about what this takes, in a database of so many keys."""
        size = NOTE_BYTES * (len(self._young) + len(self._old))
        return size + ENTRY_BYTES * keys if self._is_special else size

    def touch(self, key: bytes, now_ms: i64) -> None:
        """Note an access."""
        if self._is_special:
            self._touch_special(key, now_ms)
            return
        young = self._young
        young[key] = now_ms
        if len(young) > GENERATION:
            self._old = young
            self._old_since_ms = self._young_since_ms
            self._young = {}
            self._young_since_ms = now_ms

    def _touch_special(self, key: bytes, now_ms: i64) -> None:
        clocks = self._clocks
        if clocks is not None:
            if now_ms >= self._tick_ms + TICK_MS or now_ms < self._tick_ms:
                self._tick_ms = now_ms
                self._tick = int(now_ms)
            clocks.set(key, self._tick)
        elif self.frequencies is not None:
            self.frequencies.count(key)

    def set(self, key: bytes, when_ms: int, now_ms: int) -> None:
        """Say when a key was last accessed."""
        if self._clocks is not None:
            self._clocks.set(key, when_ms)
            return
        self._old.pop(key, None)
        self.touch(key, now_ms)
        if key in self._young:
            self._young[key] = when_ms
        else:
            self._old[key] = when_ms

    def get(self, key: bytes) -> int:
        """Return when a key was last accessed, as far as it is known."""
        if self._clocks is not None:
            found = self._clocks.get(key)
            if isinstance(found, int):
                return found
        when_ms = self._young.get(key)
        if when_ms is None:
            when_ms = self._old.get(key, self._old_since_ms)
        return when_ms

    def forget(self, key: bytes) -> None:
        """Forget a key that is gone."""
        if self._is_special:
            if self._clocks is not None:
                self._clocks.pop(key)
            elif self.frequencies is not None:
                self.frequencies.forget(key)
        self._young.pop(key, None)
        self._old.pop(key, None)
