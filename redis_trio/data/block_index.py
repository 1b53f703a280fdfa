"""Finding the way in a sorted set's blocks: by score, by member, and by rank.

The entries of a sorted set are in blocks of some hundreds (redis_trio/data/sorted_set.py). `Bounds`
says in which block an entry is, `Counts` how many entries are in front of a block. Both are
O(log n) to ask. A place is an i64, `block << 32 | offset`.

Source: P. Fenwick, A New Data Structure for Cumulative Frequency Tables, 1994.
"""

from __future__ import annotations

from typing import Final, cast

from mypy_extensions import i64

_CHANGES_MAX: Final = 16  # noted before a tree of few blocks is given up


def is_before(at: bytes, member: bytes, after: bool) -> bool:
    """Return whether a member is less than another, or not greater if `after`."""
    return at <= member if after else at < member


class Counts:
    """How many entries are in front of each block: a Fenwick tree, and changes not yet in it.

    Changes are only noted until somebody asks, for most are made while nobody asks for ranks; when
    so many are noted that building the tree again is as cheap, it is given up (`note`).
    """

    __slots__ = ("_changes", "_limit", "_tree")

    def __init__(self, blocks: list[list[bytes]]) -> None:
        size: i64 = len(blocks)
        tree: list[int] = [0] * (size + 1)
        i: i64 = 1
        while i <= size:
            total = tree[i] + len(blocks[i - 1])
            tree[i] = total
            above = i + (i & -i)
            if above <= size:
                tree[above] += total
            i += 1
        self._tree = tree
        self._changes: list[int] = []
        self._limit: i64 = _CHANGES_MAX + (size >> 4)

    def note(self, block: i64, delta: i64) -> bool:
        """Note that a block is one longer or shorter; False: the tree is not worth keeping."""
        changes = self._changes
        changes.append(block + 1 if delta > 0 else -(block + 1))
        return len(changes) < self._limit

    def _settle(self) -> None:
        tree = self._tree
        size: i64 = len(tree)
        for change in self._changes:
            i: i64 = change if change > 0 else -change
            delta = 1 if change > 0 else -1
            while i < size:
                tree[i] += delta
                i += i & -i
        self._changes = []

    def before(self, block: i64) -> i64:
        """Return how many entries are in front of a block."""
        if self._changes:
            self._settle()
        tree = self._tree
        total: i64 = 0
        while block:
            total += tree[block]
            block &= block - 1
        return total

    def place(self, rank: i64) -> i64:
        """Return the place of an entry that is there."""
        if self._changes:
            self._settle()
        tree = self._tree
        size: i64 = len(tree)
        bit: i64 = 1
        while bit << 1 < size:
            bit <<= 1
        block: i64 = 0
        while bit:
            above = block + bit
            if above < size:
                count: i64 = tree[above]
                if count <= rank:
                    rank -= count
                    block = above
            bit >>= 1
        return block << 32 | rank


class Bounds:
    """Below each block a bound: an entry not greater than all of it, and greater than all before.

    Entries that come and go leave the bounds as they are; only new and dropped blocks matter. The
    first block has none: what stands in its place is never looked at.
    """

    __slots__ = ("members", "scores")

    def __init__(self, scores: list[object], members: list[bytes]) -> None:
        self.scores = scores
        self.members = members

    def block_of(self, score: float, member: bytes) -> i64:
        """Return the block of an entry that is there, or that a new one belongs into."""
        scores = self.scores
        low: i64 = 0
        high: i64 = len(scores) - 1
        while low < high:
            mid = (low + high + 1) >> 1
            at = cast(float, scores[mid])
            if score < at or (score == at and member < self.members[mid]):
                high = mid - 1
            else:
                low = mid
        return low

    def block_of_score(self, score: float, after: bool) -> i64:
        """Return the last block in which something can be less, or not greater if `after`."""
        scores = self.scores
        low: i64 = 0
        high: i64 = len(scores) - 1
        while low < high:
            mid = (low + high + 1) >> 1
            at = cast(float, scores[mid])
            if at < score or (after and at == score):
                low = mid
            else:
                high = mid - 1
        return low

    def block_of_member(self, member: bytes, after: bool) -> i64:
        """The same for members, if all scores are the same."""
        members = self.members
        low: i64 = 0
        high: i64 = len(members) - 1
        while low < high:
            mid = (low + high + 1) >> 1
            if is_before(members[mid], member, after):
                low = mid
            else:
                high = mid - 1
        return low
