"""When keys expire: which key is next, without scanning and with nothing stale.

`when` says when each key expires. To find the next one, keys also stand in windows of 65.5 s: a set
of keys for each window, and a heap of windows. A window is opened shortly before its time: its keys
move to buckets, one for each millisecond. A key's deadline says where it stands, so removing it
needs no search, and an emptied set stays in its place until its time has come, so that nothing is
in a heap twice: both heaps are bounded by the time they span, not by the number of changes.

1. A key with deadline `t` stands in `_buckets[t]`, or, if its window has not been opened or is
   being opened, in `_windows[t >> WINDOW_BITS]`.
2. Opening is work like expiring, so `pop_due` does a bounded amount of both. `next_ms` is in the
   past as long as there is more to do at once.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

WINDOW_BITS: Final = 16
OPEN_AHEAD_MS: Final = 2000
NEVER: Final = -1


class Expires:
    """The deadlines of one database's keys, in ms since the epoch.

    Attributes:
      when: `{key: deadline}`; read it freely, change it through the methods.
    """

    __slots__ = (
        "_bucket_heap",
        "_buckets",
        "_open_until",
        "_sum_ms",
        "_window_heap",
        "_windows",
        "when",
    )

    def __init__(self) -> None:
        self.when: dict[bytes, int] = {}
        self._windows: dict[int, set[bytes]] = {}
        self._window_heap: list[int] = []  # the windows not opened yet, and the one being opened
        self._buckets: dict[int, set[bytes]] = {}
        self._bucket_heap: list[int] = []  # the milliseconds in _buckets
        self._open_until = 0  # windows below this number are open or being opened
        self._sum_ms = 0  # of all deadlines

    def set(self, key: bytes, when_ms: int) -> None:
        """Give `key` a deadline, or another one."""
        old = self.when.get(key)
        if old == when_ms:
            return
        if old is not None:
            self._forget(key, old)
            self._sum_ms -= old
        self.when[key] = when_ms
        self._sum_ms += when_ms
        window = when_ms >> WINDOW_BITS
        if window < self._open_until:
            self._put_in_bucket(key, when_ms)
            return
        keys = self._windows.get(window)
        if keys is None:
            self._windows[window] = {key}
            heappush(self._window_heap, window)
        else:
            keys.add(key)

    def remove(self, key: bytes) -> int:
        """Take the deadline of `key` away and return it; NEVER if it had none."""
        when_ms = self.when.pop(key, NEVER)
        if when_ms != NEVER:
            self._forget(key, when_ms)
            self._sum_ms -= when_ms
        return when_ms

    def mean_ms(self) -> int:
        """Return the mean of all deadlines, NEVER if there is none."""
        return self._sum_ms // len(self.when) if self.when else NEVER

    def next_ms(self) -> int:
        """Return when `pop_due` has something to do, NEVER if there is nothing."""
        heap = self._bucket_heap
        while heap and not self._buckets[heap[0]]:
            del self._buckets[heappop(heap)]
        next_ms = heap[0] if heap else NEVER
        windows = self._window_heap
        while windows and not self._windows[windows[0]]:
            del self._windows[heappop(windows)]
        if windows:
            open_ms = (windows[0] << WINDOW_BITS) - OPEN_AHEAD_MS
            if next_ms == NEVER or open_ms < next_ms:
                return open_ms
        return next_ms

    def pop_due(self, now_ms: int, limit: int) -> list[bytes]:
        """Return keys whose deadline is past, in order, doing at most `limit` steps of work.

        The keys keep their deadline: whoever expires them takes it away.
        """
        windows = self._window_heap
        while windows and (windows[0] << WINDOW_BITS) - OPEN_AHEAD_MS <= now_ms and limit > 0:
            window = windows[0]
            self._open_until = max(self._open_until, window + 1)
            keys = self._windows[window]
            while keys and limit > 0:
                key = keys.pop()
                self._put_in_bucket(key, self.when[key])
                limit -= 1
            if not keys:
                del self._windows[heappop(windows)]
        due: list[bytes] = []
        heap = self._bucket_heap
        while heap and heap[0] <= now_ms and limit > 0:
            keys = self._buckets[heap[0]]
            for key in keys:
                if limit <= 0:
                    break
                due.append(key)
                limit -= 1
            else:
                del self._buckets[heappop(heap)]
                continue
            break
        return due

    def _put_in_bucket(self, key: bytes, when_ms: int) -> None:
        keys = self._buckets.get(when_ms)
        if keys is None:
            self._buckets[when_ms] = {key}
            heappush(self._bucket_heap, when_ms)
        else:
            keys.add(key)

    def _forget(self, key: bytes, when_ms: int) -> None:
        bucket = self._buckets.get(when_ms)
        if bucket is not None:
            bucket.discard(key)
        window = self._windows.get(when_ms >> WINDOW_BITS)
        if window is not None:
            window.discard(key)
