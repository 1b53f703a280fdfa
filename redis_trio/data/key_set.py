"""A set of keys that never grows all at once.

Python's set is rehashed as a whole when it grows, 25 ms at half a million members. So a set that
has grown to LEAF_MAX members is divided into FANOUT sets by bits of the hash, and so on: a tree of
small sets, of which a member needs two or three steps to be found. It is never put together again,
for it is meant to be filled and then emptied.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

LEAF_MAX: Final = 4096
FANOUT_BITS: Final = 6
FANOUT: Final = 1 << FANOUT_BITS
MAX_SHIFT: Final = 48


class KeySet:
    """A set of bytes.

    Attributes:
      count: number of members.
    """

    __slots__ = ("_children", "_from", "_keys", "_shift", "count")

    def __init__(self, shift: i64 = 0) -> None:
        self.count: i64 = 0
        self._keys: set[bytes] = set()
        self._children: list[KeySet] | None = None
        self._shift: i64 = shift  # the first bit of the hash that divides the members
        self._from: i64 = 0  # children below have been emptied by take()

    def __len__(self) -> int:
        return self.count

    def __contains__(self, key: bytes) -> bool:
        if self._children is not None:
            return key in self._children[self._child(key)]
        return key in self._keys

    def _child(self, key: bytes) -> int:
        return (hash(key) >> self._shift) & (FANOUT - 1)

    def add(self, key: bytes) -> bool:
        """Add a key; return whether it is new."""
        children = self._children
        if children is not None:
            place = self._child(key)
            if not children[place].add(key):
                return False
            self._from = min(self._from, place)
            self.count += 1
            return True
        keys = self._keys
        keys.add(key)
        if len(keys) == self.count:
            return False
        self.count += 1
        if self.count >= LEAF_MAX and self._shift < MAX_SHIFT:
            self._divide()
        return True

    def discard(self, key: bytes) -> bool:
        """Remove a key; return whether it was there."""
        children = self._children
        if children is not None:
            if not children[self._child(key)].discard(key):
                return False
        elif key in self._keys:
            self._keys.remove(key)
        else:
            return False
        self.count -= 1
        return True

    def take(self, limit: int) -> list[bytes]:
        """Remove up to `limit` keys and return them."""
        children = self._children
        if children is None:
            keys = self._keys
            if self.count <= limit:
                taken = list(keys)
                self._keys = set()
            else:
                taken = [keys.pop() for _ in range(limit)]
            self.count = len(self._keys)
            return taken
        taken = []
        while self._from < FANOUT and len(taken) < limit:
            child = children[self._from]
            if child.count == 0:
                self._from += 1
            else:
                taken += child.take(limit - len(taken))
        self.count -= len(taken)
        return taken

    def free_some(self, limit: int) -> int:
        """Free up to `limit` members; return how many."""
        return len(self.take(limit))

    def _divide(self) -> None:
        shift = self._shift + FANOUT_BITS
        children = [KeySet(shift) for _ in range(FANOUT)]
        for key in self._keys:
            children[self._child(key)].add(key)
        self._keys = set()
        self._children = children
        self._from = 0
