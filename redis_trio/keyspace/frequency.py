"""How often keys are accessed, for OBJECT FREQ: kept only under an LFU eviction policy.

A counter of eight bits that grows ever more slowly, by chance, and falls as time passes, with the
minute of its last change: 16 bits of minutes and 8 of counter in one integer.

Source: Redis evict.c, LFU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redis_trio.state import ServerState

LFU_INIT_VAL: Final = 5
COUNTER_MAX: Final = 255


class Frequencies:
    """The access frequencies of one database's keys."""

    __slots__ = ("_server", "_values")

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._values: dict[bytes, int] = {}  # minutes << 8 | counter

    def count(self, key: bytes) -> None:
        """Note an access; a key that is new begins with LFU_INIT_VAL."""
        value = self._values.get(key)
        counter = LFU_INIT_VAL if value is None else self._more(self._decayed(value))
        self._values[key] = self._minutes() << 8 | counter

    def get(self, key: bytes) -> int:
        """Return a key's counter as it is now."""
        value = self._values.get(key)
        return LFU_INIT_VAL if value is None else self._decayed(value)

    def set(self, key: bytes, counter: int) -> None:
        """Say what a key's counter is."""
        self._values[key] = self._minutes() << 8 | counter

    def forget(self, key: bytes) -> None:
        """Forget a key that is gone."""
        self._values.pop(key, None)

    def _minutes(self) -> int:
        return self._server.clock.now_ms // 60_000 & 0xFFFF

    def _decayed(self, value: int) -> int:
        """Return a counter less one for each `lfu-decay-time` minutes that have passed."""
        counter = value & COUNTER_MAX
        decay_minutes: int = self._server.config.lfu_decay_time
        if not decay_minutes:
            return counter
        elapsed = self._minutes() - (value >> 8)
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
