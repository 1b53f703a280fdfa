"""When keys, or the fields of a hash, expire: which is next, without scanning, nothing stale.

`when` says when each key expires. To find the next one, keys also stand in slots of time, in four
wheels: slots of one millisecond, of 65.5 s, of 50 days and of 9,000 years. A slot of a coarse wheel
is opened shortly before its time comes: its keys move to slots of the finer wheels. A key's
deadline says where it stands, so removing it needs no search, and an emptied slot stays in its
place until its time has come, so that nothing is in a heap twice: the heaps are bounded by the
number of slots that a coarser one has, 65,536, not by the number of changes.

1. A key with deadline `t` stands in the finest wheel whose coarser neighbour's slot for `t` has
   been opened, or, while that one is being opened, still in it.
2. Opening is work like expiring, so `pop_due` does a bounded amount of both. `next_ms` is in the
   past as long as there is more to do at once.
3. Nothing here grows all at once: no table and no set of more than a few thousand keys is rehashed.

Source: Varghese and Lauck, Hashed and hierarchical timing wheels, 1987.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

from mypy_extensions import i64

from redis_trio.data.key_set import KeySet
from redis_trio.data.table import Table

WHEEL_BITS: Final = 16
OPEN_AHEAD_MS: Final = 2000  # so much before its first deadline a slot is opened
NEVER: Final = -1
KEY_BYTES: Final = 126  # measured: of a deadline, with its place in a slot that it shares
SLOT_BYTES: Final = 330  # of a slot: most of its keys are alone in theirs when they expire soon


class _Wheel:
    """Slots of `1 << shift` milliseconds.

    Attributes:
      slots: `{number: keys}`; slot `n` is for deadlines `t` with `t >> shift == n`.
      heap: the numbers in `slots`.
      open_until: slots below this number have been opened or are being opened.
      ahead_ms: how long before its time a slot is opened.
    """

    __slots__ = ("ahead_ms", "heap", "open_until", "shift", "slots")

    def __init__(self, shift: int, ahead_ms: int, now_ms: int) -> None:
        self.shift = shift
        self.ahead_ms = ahead_ms
        self.open_until = ((now_ms + ahead_ms) >> shift) + 1
        self.slots: dict[int, KeySet] = {}
        self.heap: list[int] = []

    def put(self, key: bytes, when_ms: int) -> None:
        number = when_ms >> self.shift
        keys = self.slots.get(number)
        if keys is None:
            keys = self.slots[number] = KeySet()
            heappush(self.heap, number)
        keys.add(key)

    def discard(self, key: bytes, when_ms: int) -> bool:
        keys = self.slots.get(when_ms >> self.shift)
        return keys is not None and keys.discard(key)

    def start_ms(self) -> int:
        """Return when the first slot with a key in it begins, NEVER if there is none."""
        heap = self.heap
        slots = self.slots
        while heap:
            number = heap[0]
            if slots[number].count:
                return number << self.shift
            del slots[number]
            heappop(heap)
        return NEVER


class Expires:
    """The deadlines of keys, in ms since the epoch.

    Attributes:
      when: `{key: deadline}`; read it freely, change it through the methods.
    """

    __slots__ = ("_buckets", "_sum_ms", "_wheels", "when")

    def __init__(self, now_ms: int) -> None:
        self.when = Table()
        self._buckets = _Wheel(0, 0, now_ms)
        self._wheels = [_Wheel(WHEEL_BITS * n, OPEN_AHEAD_MS * n, now_ms) for n in (1, 2, 3)]
        self._sum_ms = 0  # of all deadlines

    def __len__(self) -> int:
        return self.when.count

    def get(self, key: bytes) -> int:
        """Return the deadline of a key, NEVER if it has none."""
        when = self.when
        when_ms = when.directory[hash(key) & when.mask].get(key)
        return when_ms if isinstance(when_ms, int) else NEVER

    def set(self, key: bytes, when_ms: int) -> None:
        """Give `key` a deadline, or another one. One before the epoch is due at once."""
        when_ms = max(when_ms, 0)
        old_ms = self.get(key)
        if old_ms == when_ms:
            return
        if old_ms != NEVER:
            self._forget(key, old_ms)
        self.when.set(key, when_ms)
        self._sum_ms += when_ms
        self._put(key, when_ms)

    def remove(self, key: bytes) -> int:
        """Take the deadline of `key` away and return it; NEVER if it had none."""
        when_ms = self.when.pop(key)
        if not isinstance(when_ms, int):
            return NEVER
        self._forget(key, when_ms)
        return when_ms

    def mean_ms(self) -> int:
        """Return the mean of all deadlines, NEVER if there is none."""
        count = self.when.count
        return self._sum_ms // count if count else NEVER

    def next_ms(self) -> int:
        """Return when `pop_due` has something to do, NEVER if there is nothing."""
        next_ms = self._buckets.start_ms()
        for wheel in self._wheels:
            start_ms = wheel.start_ms()
            if start_ms != NEVER:
                open_ms = max(start_ms - wheel.ahead_ms, 0)
                if next_ms == NEVER or open_ms < next_ms:
                    next_ms = open_ms
        return next_ms

    def pop_due(self, now_ms: int, limit: int) -> list[bytes]:
        """Return keys whose deadline is past, in order, doing at most `limit` steps of work.

        The keys keep their deadline and are not returned again: the caller has to remove them.
        """
        due: list[bytes] = []
        steps: i64 = limit
        while steps > 0:
            earliest_ms = self._buckets.start_ms()
            coarse: _Wheel | None = None
            for wheel in self._wheels:
                start_ms = wheel.start_ms()
                # On a tie the coarse slot comes first: some of its keys may be as early.
                if start_ms != NEVER and (earliest_ms == NEVER or start_ms <= earliest_ms):
                    earliest_ms = start_ms
                    coarse = wheel
            if earliest_ms == NEVER or earliest_ms > now_ms:
                return due or self._open_ahead(now_ms, steps)
            if coarse is not None:
                steps -= self._open(coarse, steps)
            else:
                keys = self._buckets.slots[self._buckets.heap[0]].take(steps)
                due += keys
                steps -= len(keys)
        return due

    def memory_bytes(self) -> int:
        """Return about how much memory the deadlines take, within some 15 percent, in O(1)."""
        slots = len(self._buckets.slots)
        for wheel in self._wheels:
            slots += len(wheel.slots)
        return KEY_BYTES * self.when.count + SLOT_BYTES * slots

    def parts(self) -> list[Table | KeySet]:
        """Return what it is made of, to be taken apart: it must not be used any more."""
        parts: list[Table | KeySet] = [self.when]
        for wheel in (self._buckets, *self._wheels):
            parts += wheel.slots.values()
        return parts

    def _open_ahead(self, now_ms: int, steps: i64) -> list[bytes]:
        """Open slots whose time comes soon."""
        for wheel in self._wheels:
            while steps > 0:
                start_ms = wheel.start_ms()
                if start_ms == NEVER or start_ms - wheel.ahead_ms > now_ms:
                    break
                steps -= self._open(wheel, steps)
        return []

    def _open(self, wheel: _Wheel, steps: i64) -> i64:
        """Move up to `steps` keys of the first slot to finer wheels; return how many."""
        number = wheel.heap[0]
        wheel.open_until = max(wheel.open_until, number + 1)
        keys = wheel.slots[number].take(steps)
        for key in keys:
            self._put(key, self.get(key))
        return len(keys)

    def _put(self, key: bytes, when_ms: int) -> None:
        finer = self._buckets
        for wheel in self._wheels:
            if when_ms >> wheel.shift < wheel.open_until:
                break
            finer = wheel
        finer.put(key, when_ms)

    def _forget(self, key: bytes, when_ms: int) -> None:
        self._sum_ms -= when_ms
        if self._buckets.discard(key, when_ms):
            return
        for wheel in self._wheels:
            if wheel.discard(key, when_ms):
                return
