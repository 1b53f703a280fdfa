"""When keys were last accessed, for OBJECT IDLETIME, at a bounded price.

A clock for every key would cost half as much again as a small key itself. So accesses are kept in
two generations of at most GENERATION keys: when the young one is full it becomes the old one, and
the old one is forgotten. A key in neither was last accessed before the old one began, and that
moment is its answer: never too idle, and exact for the keys that are in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

if TYPE_CHECKING:
    from redis_trio.keyspace.frequency import Frequencies

GENERATION: Final = 8192


class AccessTimes:
    """The last accesses to one database's keys, in ms since the epoch.

    Attributes:
      frequencies: how often keys are accessed, None unless the eviction policy is an LFU one.
    """

    __slots__ = ("_old", "_old_since_ms", "_young", "_young_since_ms", "frequencies")

    def __init__(self, now_ms: i64) -> None:
        self.frequencies: Frequencies | None = None
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}
        self._young_since_ms: i64 = now_ms
        self._old_since_ms: i64 = now_ms

    def touch(self, key: bytes, now_ms: i64) -> None:
        """Note an access."""
        young = self._young
        young[key] = now_ms
        if len(young) > GENERATION:
            self._old = young
            self._old_since_ms = self._young_since_ms
            self._young = {}
            self._young_since_ms = now_ms
        if self.frequencies is not None:
            self.frequencies.count(key)

    def set(self, key: bytes, when_ms: int, now_ms: int) -> None:
        """Say when a key was last accessed."""
        self._old.pop(key, None)
        self.touch(key, now_ms)
        if key in self._young:
            self._young[key] = when_ms
        else:
            self._old[key] = when_ms

    def get(self, key: bytes) -> int:
        """Return when a key was last accessed, as far as it is known."""
        when_ms = self._young.get(key)
        if when_ms is None:
            when_ms = self._old.get(key, self._old_since_ms)
        return when_ms

    def forget(self, key: bytes) -> None:
        """Forget a key that is gone."""
        self._young.pop(key, None)
        self._old.pop(key, None)
        if self.frequencies is not None:
            self.frequencies.forget(key)
