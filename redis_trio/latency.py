"""The latency monitor: events that took longer than `latency-monitor-threshold` milliseconds.

Each kind of event has a series of the last 160 seconds in which there was one, of which the longest
is kept. `command` and `fast-command` come from `ServerState.was_slow`; the jobs of the keeper and
the rooms that may keep clients waiting call `note`.

Source: Redis latency.c, sparkline.c.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redis_trio.state import ServerState

SAMPLES: Final = 160
COLUMNS: Final = 80  # of a graph
ROWS: Final = 4
MARKS: Final = "_o#"  # a row's third each

# What may help.
_SLOW_COMMANDS: Final = (
    "SLOWLOG GET shows the commands themselves. What is O(N) on big values (SMEMBERS, HGETALL, "
    "LRANGE 0 -1, SORT, KEYS) can be split: SCAN and its like, ranges."
)
_NO_CPU: Final = (
    "Commands that cost next to nothing took long: the process did not get the CPU, or another "
    "task of this program held it. See the load of the machine, and how late a task of the program "
    "wakes; redis-cli --intrinsic-latency 100 measures the former."
)
_SLOW_DISK: Final = (
    "The disk is slow, or busy with something else. appendfsync everysec never waits for it in "
    "front of a reply; no-appendfsync-on-rewrite yes spares it during a rewrite."
)
_EVICTION: Final = (
    "Much had to be evicted at once: maxmemory was lowered, or something big was stored. "
    "maxmemory-eviction-tenacity says how long a command may be kept waiting for it."
)
_EXPIRY: Final = (
    "Many keys expired at the same moment; their deadlines can be spread by a random part."
)


class Series:
    """The samples of one kind of event.

    Attributes:
      samples: (s since the epoch, ms), oldest first; one for each second.
      max_ms: the longest of all time.
    """

    __slots__ = ("max_ms", "samples")

    def __init__(self) -> None:
        self.samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES)
        self.max_ms = 0

    def add(self, now_s: int, ms: int) -> None:
        """Note an event."""
        self.max_ms = max(self.max_ms, ms)
        if self.samples and self.samples[-1][0] == now_s:
            longest = max(self.samples[-1][1], ms)
            self.samples[-1] = (now_s, longest)
            return
        self.samples.append((now_s, ms))


class LatencyMonitor:
    """The latency monitor of one server.

    Attributes:
      events: `{kind of event: its series}`.
    """

    def __init__(self, server: ServerState) -> None:
        self._server: Final = server
        self.events: dict[str, Series] = {}

    def note(self, event: str, ns: int) -> None:
        """Note how long something took, if that is too long."""
        threshold_ms = self._server.config.latency_monitor_threshold
        ms = ns // 1_000_000
        if not threshold_ms or ms < threshold_ms:
            return
        series = self.events.get(event)
        if series is None:
            series = self.events[event] = Series()
        series.add(int(self._server.clock.time()), ms)

    def forget(self, names: Sequence[str]) -> int:
        """Forget the series with these names, all if there are none; return how many there were."""
        wanted = [name.lower() for name in names]
        gone = [event for event in self.events if not wanted or event in wanted]
        for event in gone:
            del self.events[event]
        return len(gone)

    def graph(self, event: str) -> str | None:
        """Return a picture of a series, with how long ago each was below; None if there is none."""
        series = self.events.get(event)
        if series is None:
            return None
        values = [ms for _, ms in series.samples]
        now_s = int(self._server.clock.time())
        labels = [_ago(now_s - when_s) for when_s, _ in series.samples]
        high, low = max(values), min(values)
        head = f"{event} - high {high} ms, low {low} ms (all time high {series.max_ms} ms)\n"
        parts = [
            _sparkline(values[i : i + COLUMNS], labels[i : i + COLUMNS], low, high)
            for i in range(0, len(values), COLUMNS)
        ]
        return head + "-" * COLUMNS + "\n" + "\n".join(parts)

    def report(self) -> str:
        """Return what the series say, and what can be done about it, for people."""
        server = self._server
        if not self.events:
            if not server.config.latency_monitor_threshold:
                return (
                    "The latency monitor is off. CONFIG SET latency-monitor-threshold "
                    "<milliseconds> has events noted that take at least so long.\n"
                )
            return "Nothing has taken longer than the threshold so far.\n"
        now_s = int(server.clock.time())
        lines = ["Some things took longer than the threshold:", ""]
        for number, (event, series) in enumerate(self.events.items(), 1):
            lines.append(f"{number}. {event}: {_described(series, now_s)}")
        advice = [text for event in self.events for text in _advice(server, event)]
        lines += ["", "What may help:", ""]
        lines += [f"- {text}" for text in dict.fromkeys(advice)]
        return "\n".join(lines) + "\n"


def _described(series: Series, now_s: int) -> str:
    """Return the figures of a series as one line."""
    values = [ms for _, ms in series.samples]
    count = len(values)
    average = sum(values) // count
    deviation = sum([abs(average - ms) for ms in values]) // count
    period_s = max(now_s - series.samples[0][0], 1) / count
    return (
        f"{count} latency spikes (average {average}ms, mean deviation {deviation}ms, "
        f"period {period_s:.2f} sec). Worst all time event {series.max_ms}ms."
    )


def _advice(server: ServerState, event: str) -> list[str]:
    """Return what may help against a kind of event."""
    config = server.config
    if event == "command":
        if config.slowlog_log_slower_than >= 0 and config.slowlog_max_len:
            return [_SLOW_COMMANDS]
        threshold_us = config.latency_monitor_threshold * 1000
        off = (
            "The slow log is off, so the commands are not known: CONFIG SET "
            f"slowlog-log-slower-than {threshold_us}, and slowlog-max-len above 0."
        )
        return [off, _SLOW_COMMANDS]
    if event == "fast-command":
        return [_NO_CPU]
    if event.startswith("aof"):
        return [_SLOW_DISK]
    return [_EVICTION if event.startswith("eviction") else _EXPIRY]


def _ago(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m"
    if seconds < 24 * 3600:
        return f"{seconds // 3600}h"
    return f"{seconds // (24 * 3600)}d"


def _sparkline(values: list[int], labels: list[str], low: int, high: int) -> str:
    """Return columns for values between `low` and `high`, each with its label downwards."""
    steps = len(MARKS) * ROWS
    span = (high - low) or 1
    heights = [min((value - low) * steps // span, steps - 1) for value in values]
    lines: list[str] = []
    for row in range(ROWS):
        base = (ROWS - row - 1) * len(MARKS)
        marks = [
            " " if height < base else "|" if height >= base + len(MARKS) else MARKS[height - base]
            for height in heights
        ]
        lines.append("".join(marks))
    lines.append(" " * len(values))
    for i in range(max(map(len, labels))):
        lines.append("".join([label[i] if i < len(label) else " " for label in labels]))
    return "\n".join(lines) + "\n"
