"""The one clock of a server.

`Clock.now_ms` is the time of the unit of work in hand: it is read once when work begins (a batch of
commands, a timer) and again after a slow command, so that a command, a transaction or a script sees
one moment, as in Redis (server.cmd_time_snapshot). Under a Trio clock that is not the system's, the
time is virtual: the wall clock at start plus what the Trio clock has advanced since. Either can be
moved on and stopped, for which there is redis_trio/timers.py.

`perf_counter_ns` measures durations, which are real under any clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from mypy_extensions import i64

perf_counter_ns: Final = time.perf_counter_ns


class Clock:
    """Time in ms since the epoch.

    Args:
      virtual: a function that returns virtual seconds; None for the system's wall clock.

    Attributes:
      now_ms: the time of the unit of work in hand.
      frozen: whether time stands still.
    """

    __slots__ = ("_base_s", "_shift_s", "_start_s", "_virtual", "frozen", "now_ms")

    def __init__(self, virtual: Callable[[], float] | None = None) -> None:
        self._virtual = virtual
        self._base_s = time.time()
        self._start_s = virtual() if virtual is not None else 0.0
        self._shift_s = 0.0  # the time itself while it stands still
        self.frozen = False
        self.now_ms: i64 = int(self._base_s * 1000)

    def time(self) -> float:
        """Return the seconds since the epoch, now."""
        if self.frozen:
            return self._shift_s
        if self._virtual is None:
            return time.time() + self._shift_s
        return self._base_s + (self._virtual() - self._start_s) + self._shift_s

    def shift(self, seconds: float) -> None:
        """Make it so much later."""
        self._shift_s += seconds

    def freeze(self) -> None:
        """Stop time."""
        if not self.frozen:
            self._shift_s = self.time()
            self.frozen = True

    def resume(self) -> None:
        """Let time pass again, from where it is."""
        if self.frozen:
            now_s = self._shift_s
            self.frozen = False
            self._shift_s = 0.0
            self._shift_s = now_s - self.time()

    def refresh(self) -> int:
        """Read the clock into `now_ms` and return it."""
        self.now_ms = int(self.time() * 1000)
        return self.now_ms
