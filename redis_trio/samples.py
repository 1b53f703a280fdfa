"""Rates without a timer: how fast the counters of INFO have been growing lately.

Redis reads its counters ten times a second, whether anything happens or not. Here a unit of work
that begins STEP_NS or more after the last reading takes one, so an idle server takes none. A rate
is what was counted since the youngest reading that is WINDOW_NS old, divided by the time since
then: after an idle hour the base is an hour old and the rate is next to nothing, which is true.

Source: Redis server.c trackInstantaneousMetric, getInstantaneousMetric.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.clock import perf_counter_ns

if TYPE_CHECKING:
    from redis_trio.state import ServerState

STEP_NS: Final = 100_000_000
WINDOW_NS: Final = 1_600_000_000
MEMORY_STEP_NS: Final = 1_000_000_000

Sample = tuple[int, int, int, int, int, int]
"""(perf_counter_ns, commands, bytes in, bytes out, event loop cycles, ns in them)."""


class Rates:
    """Commands, bytes and cycles per second, and the mean length of a cycle."""

    __slots__ = ("commands", "cycle_usec", "cycles", "input_bytes", "output_bytes")

    def __init__(self, base: Sample, now: Sample) -> None:
        scale = 1e9 / max(now[0] - base[0], STEP_NS)
        cycles = now[4] - base[4]
        self.commands = int((now[1] - base[1]) * scale)
        self.input_bytes = (now[2] - base[2]) * scale
        self.output_bytes = (now[3] - base[3]) * scale
        self.cycles = int(cycles * scale)
        self.cycle_usec = (now[5] - base[5]) // cycles // 1000 if cycles else 0


class Samples:
    """The last readings of one server's counters.

    Attributes:
      next_ns: when the next reading is due (perf_counter_ns), if there is work then.
    """

    __slots__ = ("_memory_ns", "_ring", "next_ns")

    def __init__(self) -> None:
        self._ring: deque[Sample] = deque(maxlen=WINDOW_NS // STEP_NS + 1)
        self._memory_ns = 0  # when the memory is looked at again, for its peak
        self.next_ns: i64 = 0

    def reset(self, server: ServerState) -> None:
        """Forget the readings: the counters have started again, now."""
        self._ring.clear()
        self.take(perf_counter_ns(), server)

    def take(self, now_ns: int, server: ServerState) -> None:
        """Read the counters."""
        self._ring.append(_read(now_ns, server))
        self.next_ns = now_ns + STEP_NS
        if now_ns >= self._memory_ns:
            self._memory_ns = now_ns + MEMORY_STEP_NS
            server.memory.used_bytes()
        server.stats.cron_ns += perf_counter_ns() - now_ns

    def rates(self, now_ns: int, server: ServerState) -> Rates:
        """Return how fast the counters have grown."""
        now = _read(now_ns, server)
        base = self._ring[0] if self._ring else now
        for sample in self._ring:
            if now_ns - sample[0] < WINDOW_NS:
                break
            base = sample
        return Rates(base, now)


def _read(now_ns: int, server: ServerState) -> Sample:
    stats = server.stats
    return (
        now_ns,
        stats.total_commands,
        stats.net_input_bytes,
        stats.net_output_bytes,
        stats.eventloop_cycles,
        stats.eventloop_ns,
    )
