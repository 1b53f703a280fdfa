"""How often keys are accessed, for OBJECT FREQ: kept only under an LFU eviction policy.

A counter of eight bits that grows ever more slowly, by chance, and falls as time passes, with the
minute of its last change: 16 bits of minutes and 8 of counter in one integer. All keys of the same
counter that change in the same minute share one, so that a key costs its place in a table.

Source: Redis evict.c, LFU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.data.table import Table

if TYPE_CHECKING:
    from redis_trio.state import ServerState

LFU_INIT_VAL: Final = 5
COUNTER_MAX: Final = 255


class Frequencies:
    """The access frequencies of one database's keys."""

    __slots__ = ("_minutes", "_server", "_shared", "_values")

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._values = Table()  # minutes << 8 | counter
        self._minutes = -1
        self._shared: list[object] = []  # the numbers of this minute, by counter

    def count(self, key: bytes) -> None:
        """Note an access; a key that is new begins with LFU_INIT_VAL."""
        value = self._values.get(key)
        counter = self._more(self._decayed(value)) if isinstance(value, int) else LFU_INIT_VAL
        self.set(key, counter)

    def get(self, key: bytes) -> int:
        """Return a key's counter as it is now."""
        value = self._values.get(key)
        return self._decayed(value) if isinstance(value, int) else LFU_INIT_VAL

    def set(self, key: bytes, counter: int) -> None:
        """Say what a key's counter is."""
        minutes = self._now()
        if minutes != self._minutes:
            self._minutes = minutes
            self._shared = [minutes << 8 | value for value in range(COUNTER_MAX + 1)]
        self._values.set(key, self._shared[counter])

    def forget(self, key: bytes) -> None:
        """Forget a key that is gone."""
        self._values.pop(key)

    def _now(self) -> int:
        return self._server.clock.now_ms // 60_000 & 0xFFFF

    def _decayed(self, value: int) -> int:
        """Return a counter less one for each `lfu-decay-time` minutes that have passed."""
        counter = value & COUNTER_MAX
        decay_minutes: int = self._server.config.lfu_decay_time
        if not decay_minutes:
            return counter
        elapsed = self._now() - (value >> 8)
        if elapsed < 0:
            elapsed += 0xFFFF
        return max(0, counter - elapsed // decay_minutes)

    def _more(self, counter: int) -> int:
        """Return a counter one higher, with a chance that falls as it rises."""
        if counter == COUNTER_MAX:
            return counter
        above = max(0, counter - LFU_INIT_VAL)
        chance = 1.0 / (above * self._server.config.lfu_log_factor + 1)
        return counter + 1 if self._server.rng.random() < chance else counter
