"""A hash table of small dicts: incremental growth, stateless scans, fair random picks.

Python's dict is fast and compact, but it grows all at once (30 ms at a million keys), and can
neither be scanned from a cursor nor picked from at random. So the table is an extendible hash: a
directory of 2**depth slots, each pointing to a dict (a shard) which holds the keys whose hash ends
in the slot's low bits. A shard has a depth of its own, the number of low bits its keys share;
2**(depth - its depth) slots point to it.

1. A shard whose dict of 128 slots is full is split in two by the next bit of the hash; two small
   neighbours are merged. Each costs at most SPLIT_AT moves.
2. The shards are the leaves of a binary tree over the bits of the hash, lowest first. A scan
   walks that tree from left to right, and its cursor is the path walked so far: splitting and
   merging only refine or coarsen leaves, so a key that is there from start to end is returned,
   whatever happens to others. While nothing changes no key is returned twice.
3. Memory is below that of one big dict (38 bytes an entry on average against 42 for a million).
4. Only the methods of this class add and remove keys; hot code indexes `directory` itself to read
   the value of a key, or to store another one in a table that is never copied.
5. A copy shares the shards with the original. Whichever changes one first gets its own, so that
   copying a million keys costs microseconds, and changing a key of them one small dict more.
6. Where hashes are made to collide (a fixed PYTHONHASHSEED), shards grow instead of the directory.

Source: Fagin et al., Extendible hashing, 1979; the scan order is that of Redis dict.c dictScan.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

SPLIT_AT: Final = 85  # entries that a dict of 128 slots takes before it grows
MERGE_AT: Final = 20
MERGED_MAX: Final = 42
SAMPLED_SHARDS: Final = 16  # of which the size is taken to estimate the size of all
SCAN_BITS: Final = 62  # a scan tells keys apart by that many bits of their hash at most

Shard = dict[bytes, object]


class Table:
    """A mapping of bytes to objects (never None).

    Attributes:
      directory: 2**depth references to shards, indexed by `hash(key) & mask`.
      count: number of keys.
    """

    __slots__ = ("_at_max", "_depths", "_shared", "_widest", "count", "depth", "directory", "mask")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget every key. The old shards are freed here unless somebody holds `directory`."""
        self.directory: list[Shard] = [{}]
        self._depths = bytearray(1)  # of the shard in each slot
        self._at_max = 1  # number of slots whose shard is as deep as the directory
        self._widest = SPLIT_AT  # no shard was ever longer
        self._shared: bytearray | None = None  # of each slot: whether a copy may have its shard
        self.depth = 0
        self.mask = 0
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def __contains__(self, key: bytes) -> bool:
        return key in self.directory[hash(key) & self.mask]

    def get(self, key: bytes) -> object:
        """Return the value of `key`, None if it is not there."""
        return self.directory[hash(key) & self.mask].get(key)

    def set(self, key: bytes, value: object) -> bool:
        """Store a value; return True if the key is new."""
        if self._shared is not None:
            self._own(hash(key) & self.mask)
        shard = self.directory[hash(key) & self.mask]
        before = len(shard)
        shard[key] = value
        if len(shard) == before:
            return False
        self.count += 1
        if before >= SPLIT_AT - 1:
            self._split(hash(key) & self.mask)
        return True

    def pop(self, key: bytes) -> object:
        """Remove a key and return its value, None if it is not there."""
        slot = hash(key) & self.mask
        if self._shared is not None:
            self._own(slot)
        shard = self.directory[slot]
        value = shard.pop(key, None)
        if value is not None:
            self.count -= 1
            if self.mask and len(shard) < MERGE_AT:
                self._merge(slot)
        return value

    def shards(self) -> Iterator[Shard]:
        """Iterate over the shards, each once. The table must not change meanwhile."""
        for slot in range(len(self._depths)):  # mypyc cannot enumerate a bytearray
            if slot >> self._depths[slot] == 0:
                yield self.directory[slot]

    def some_shards(self, count: int) -> list[Shard]:
        """Return about `count` shards, spread evenly over the table; all if there are no more."""
        size = len(self.directory)
        if count >= size:
            return list(self.shards())
        found: dict[int, Shard] = {}
        for i in range(count):
            slot = i * size // count
            found[slot & ((1 << self._depths[slot]) - 1)] = self.directory[slot]
        return list(found.values())

    def keys(self) -> Iterator[bytes]:
        """Iterate over the keys. The table must not change meanwhile."""
        for shard in self.shards():
            yield from shard

    def random_key(self, rng: Random) -> bytes:
        """Return a key, each with the same probability, in O(1). The table must not be empty.

        A draw names a slot and a place in its shard; it counts only if the slot is the shard's
        first and the place is taken, so every key is named by exactly one draw.
        """
        size = len(self.directory)
        width = self._widest
        for _ in range(1000):
            draw = int(rng.random() * (size * width))
            slot = draw // width
            place = draw % width
            shard = self.directory[slot]
            if place < len(shard) and slot >> self._depths[slot] == 0:
                return next(islice(shard, place, None))
        return self._random_key_of_few(rng)

    def _random_key_of_few(self, rng: Random) -> bytes:
        """The same when draws keep missing because next to nothing is left: count along."""
        place = int(rng.random() * self.count)
        for shard in self.shards():
            if place < len(shard):
                return next(islice(shard, place, None))
            place -= len(shard)
        raise LookupError("the table is empty")

    def sample(self, count: int, rng: Random) -> list[bytes]:
        """Return up to `count` different keys that stand side by side by hash, in O(1).

        They are all of one shard, evenly spread over the times at which its keys came. Every key
        is as likely as any other where shards are equally long.
        """
        directory = self.directory
        size = len(directory)
        for _ in range(100):
            slot = int(rng.random() * size)
            shard = directory[slot]
            length = len(shard)
            if length and slot >> self._depths[slot] == 0:
                keys = list(shard)
                if length <= count:
                    return keys
                start = rng.random()
                step = length / count
                return [keys[int((i + start) * step)] for i in range(count)]
        return [self.random_key(rng)] if self.count else []

    def pop_random(self, rng: Random) -> bytes:
        """Remove a key, each with the same probability, and return it; as `random_key`."""
        key = self.random_key(rng)
        self.pop(key)
        return key

    def copy(self) -> Table:
        """Return a table of the same keys and the same values; nothing is copied but references."""
        other = Table()
        other.directory = self.directory[:]
        other._depths = bytearray(self._depths)
        shared = b"\1" * len(self.directory)
        self._shared = bytearray(shared)
        other._shared = bytearray(shared)
        other._at_max = self._at_max
        other._widest = self._widest
        other.depth = self.depth
        other.mask = self.mask
        other.count = self.count
        return other

    def _own(self, slot: int) -> None:
        """Have a shard that no other table has, before it is changed."""
        shared = self._shared
        assert shared is not None
        if shared[slot]:
            own_depth = self._depths[slot]
            self._place(self.directory[slot].copy(), slot & ((1 << own_depth) - 1), own_depth)

    def container_bytes(self) -> int:
        """Return about how much memory the table takes without its keys and values, in O(1).

        A shard to which several slots refer counts in part for each of them.
        """
        directory = self.directory
        slots = len(directory)
        step = max(1, slots // SAMPLED_SHARDS)
        total = 0.0
        for slot in range(0, slots, step):
            total += sys.getsizeof(directory[slot]) / (1 << (self.depth - self._depths[slot]))
        shards = total * slots / len(range(0, slots, step))
        own = sys.getsizeof(self) + sys.getsizeof(directory) + sys.getsizeof(self._depths)
        return own + int(shards)

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Return the next cursor (0 at the end) and about `count` keys from `cursor` on.

        A shard with more keys than wanted is walked in parts, as if it had been split further.
        """
        found: list[bytes] = []
        visits = 0
        while True:
            slot = cursor & self.mask
            shard = self.directory[slot]
            own_depth = self._depths[slot]
            depth = own_depth
            while len(shard) >> (depth - own_depth) > count and depth < SCAN_BITS:
                depth += 1
            if cursor:
                depth = max(depth, cursor.bit_length())
            bits = (1 << depth) - 1
            if depth == own_depth:
                found.extend(shard)
            else:
                found.extend([key for key in shard if hash(key) & bits == cursor])
            cursor = _next_path(cursor, depth)
            visits += 1
            if cursor == 0 or len(found) >= count or visits >= 10 * count:
                return cursor, found

    def free_some(self, limit: int) -> int:
        """Take the table apart: free about `limit` keys, or none; return how many.

        Nothing else may be done with the table from then on.
        """
        return sum([len(shard) for shard in self.pop_shards(limit)])

    def pop_shards(self, limit: int) -> list[Shard]:
        """Take the table apart: remove and return shards with about `limit` keys, or none.

        Nothing else may be done with the table from then on.
        """
        directory = self.directory
        depths = self._depths
        shards: list[Shard] = []
        count = 0
        for slot in range(len(directory) - 1, max(-1, len(directory) - 1 - 10 * limit), -1):
            shard = directory.pop()
            if slot >> depths[slot] == 0:  # no other slot refers to it
                shards.append(shard)
                count += len(shard)
                if count >= limit:
                    break
        self.count -= count
        return shards

    def _split(self, slot: int) -> None:
        own_depth = self._depths[slot]
        if own_depth == self.depth:
            if self.mask > self.count:  # only hashes that collide on purpose lead here
                self._note_width(self.directory[slot])
                return
            self.directory += self.directory
            self._depths = self._depths * 2
            if self._shared is not None:
                self._shared = self._shared * 2
            self.depth += 1
            self.mask = (1 << self.depth) - 1
            self._at_max = 0
        bit = 1 << own_depth
        base = slot & (bit - 1)
        low: Shard = {}
        high: Shard = {}
        for key, value in self.directory[base].items():
            if hash(key) & bit:
                high[key] = value
            else:
                low[key] = value
        self._place(low, base, own_depth + 1)
        self._place(high, base | bit, own_depth + 1)
        self._note_width(low)
        self._note_width(high)
        if own_depth + 1 == self.depth:
            self._at_max += 2

    def _note_width(self, shard: Shard) -> None:
        if len(shard) > self._widest:
            self._widest = len(shard)

    def _place(self, shard: Shard, base: int, own_depth: int) -> None:
        """Have the slots of a shard, which is this table's own, refer to it."""
        shared = self._shared
        for slot in range(base, len(self.directory), 1 << own_depth):
            self.directory[slot] = shard
            self._depths[slot] = own_depth
            if shared is not None:
                shared[slot] = 0

    def _merge(self, slot: int) -> None:
        """Unite the shard in `slot` with its neighbour while both are small and equally deep."""
        own_depth = self._depths[slot]
        while own_depth:
            bit = 1 << (own_depth - 1)
            base = slot & (bit - 1)
            low = self.directory[base]
            high = self.directory[base | bit]
            if (
                self._depths[base] != own_depth
                or self._depths[base | bit] != own_depth
                or len(low) + len(high) > MERGED_MAX
            ):
                return
            self._place({**low, **high}, base, own_depth - 1)
            if own_depth == self.depth:
                self._at_max -= 2
                if self._at_max == 0:
                    self._shrink()
            own_depth -= 1

    def _shrink(self) -> None:
        """Halve the directory while no shard needs its last bit."""
        while self._at_max == 0 and self.depth:
            self.depth -= 1
            self.mask >>= 1
            size = 1 << self.depth
            del self.directory[size:]
            del self._depths[size:]
            if self._shared is not None:
                del self._shared[size:]
            self._at_max = self._depths.count(self.depth)


def _next_path(path: int, depth: int) -> int:
    """Return the path of the next leaf after one of `depth` bits; 0 after the last.

    Paths are read lowest bit first, so counting on carries from the highest bit down.
    """
    bit = 1 << depth >> 1
    while bit and path & bit:
        path ^= bit
        bit >>= 1
    return path | bit
