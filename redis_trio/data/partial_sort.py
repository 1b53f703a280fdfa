"""Sorting no more of a list than its beginning, with equal elements where Redis has them.

A quicksort that leaves out the parts which lie behind the wanted beginning, so that the few
nearest of many places cost one pass or two. It is not stable: where elements that are equal end up
follows from each of its steps, which are therefore those of the paper. Elements that are equal to
the pivot are collected at both ends and brought to the middle afterwards.

Source: J. Bentley and M. D. McIlroy, Engineering a Sort Function, 1993; Redis pqsort.c.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

_FEW: Final = 7  # so many are sorted by insertion
_MANY: Final = 40  # of more than that the pivot is the median of nine


def first_places(keys: list[float], count: i64) -> list[int]:
    """Return where in `keys` the `count` smallest are, the smallest first.

    Args:
      count: less than there are.
    """
    sorting = _Sorting(keys, count)
    sorting.sort(0, len(keys))
    return sorting.places[:count]


class _Sorting:
    """The keys as they are moved about, and the place that each came from."""

    __slots__ = ("count", "keys", "places")

    def __init__(self, keys: list[float], count: i64) -> None:
        self.keys = keys.copy()
        self.places = list(range(len(keys)))
        self.count = count

    def swap(self, a: i64, b: i64) -> None:
        keys = self.keys
        places = self.places
        key = keys[a]
        place = places[a]
        keys[a] = keys[b]
        places[a] = places[b]
        keys[b] = key
        places[b] = place

    def swap_many(self, a: i64, b: i64, size: i64) -> None:
        while size > 0:
            self.swap(a, b)
            a += 1
            b += 1
            size -= 1

    def median(self, a: i64, b: i64, c: i64) -> i64:
        """Return which of three elements is the middle one."""
        key_a = self.keys[a]
        key_b = self.keys[b]
        key_c = self.keys[c]
        if key_a < key_b:
            if key_b < key_c:
                return b
            return c if key_a < key_c else a
        if key_b > key_c:
            return b
        return a if key_a < key_c else c

    def pivot(self, start: i64, size: i64) -> i64:
        """Return which of `size` elements is used to divide them."""
        middle = start + size // 2
        if size == _FEW:
            return middle
        first = start
        last = start + size - 1
        if size > _MANY:
            step = size // 8
            first = self.median(first, first + step, first + 2 * step)
            middle = self.median(middle - step, middle, middle + step)
            last = self.median(last - 2 * step, last - step, last)
        return self.median(first, middle, last)

    def insert_all(self, start: i64, size: i64) -> None:
        """Sort a few elements."""
        keys = self.keys
        end = start + size
        i = start + 1
        while i < end:
            j = i
            while j > start and keys[j - 1] > keys[j]:
                self.swap(j, j - 1)
                j -= 1
            i += 1

    def sort(self, start: i64, size: i64) -> None:
        """Sort `size` elements as far as they lie in the wanted beginning."""
        keys = self.keys
        while size >= _FEW:
            self.swap(start, self.pivot(start, size))
            pivot = keys[start]
            last = start + size - 1
            equal_low = low = start + 1  # in front of `equal_low`: equal; of `low`: less
            equal_high = high = last  # behind `equal_high`: equal; behind `high`: greater
            while True:
                while low <= high and keys[low] <= pivot:
                    if keys[low] == pivot:
                        self.swap(equal_low, low)
                        equal_low += 1
                    low += 1
                while low <= high and keys[high] >= pivot:
                    if keys[high] == pivot:
                        self.swap(high, equal_high)
                        equal_high -= 1
                    high -= 1
                if low > high:
                    break
                self.swap(low, high)
                low += 1
                high -= 1
            less = low - equal_low
            greater = equal_high - high
            moved = min(equal_low - start, less)
            self.swap_many(start, low - moved, moved)
            moved = min(greater, last - equal_high)
            self.swap_many(low, last + 1 - moved, moved)
            if less > 1:
                self.sort(start, less)
            start = last + 1 - greater
            size = greater
            if size < 2 or start >= self.count:
                return
        self.insert_all(start, size)
