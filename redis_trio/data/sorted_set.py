"""The sorted set: members with a score each, in the order of (score, member).

Two structures hold the same members. An index maps each to its score: a dict while the encoding is
listpack, a `Table` while it is skiplist. The order is kept in blocks of up to BLOCK_MAX entries,
each of two parallel lists, scores and members, so that a range is a few slices and an insertion
moves one block. `Bounds` finds the block of an entry; a Fenwick tree of the blocks' lengths
(`Counts`) turns ranks into places, and exists only while somebody asks for ranks.

1. Equal scores (-0.0 and 0.0 are equal) are ordered by member; NaN never gets in.
2. A place is an i64, `block << 32 | offset`, so places compare like ranks. It is valid until the
   next change. The end of the set is the length of the last block in the last block; no other
   block's length is a place.
3. There is at least one block, and none is empty but the only one.
4. Index and blocks share the float object of a score, and so do neighbours with equal scores: 32
   bytes an entry, and fewer of them to be fetched from memory when members are compared.
5. A listpack keeps scores as text, where -0 is 0; a skiplist keeps -0.

Costs, n members, m returned or removed: look up a score O(1); add, remove, rank, start of a range
O(log n); pop at either end O(1) amortised.

Source: Redis t_zset.c (zsetAdd for the conversions, zslNthInRange and its relatives for ranges).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import copysign
from typing import ClassVar, Final, cast

from mypy_extensions import i64

from redis_trio.data.block_index import Bounds, Counts, is_before
from redis_trio.data.sizes import ENTRY_BYTES, FLOAT_BYTES, block_bytes, string_bytes
from redis_trio.data.sorted_range import LexRange as LexRange
from redis_trio.data.sorted_range import ScoreRange as ScoreRange
from redis_trio.data.table import Table
from redis_trio.data.thresholds import Thresholds

BLOCK_MAX: Final = 512
_BLOCK_MERGE: Final = 64  # a block shorter than that is united with a neighbour ...
_BLOCK_MERGED: Final = 320  # ... unless both together are longer than that
_BLOCK_BUILT: Final = 384  # length of the blocks of a set that is built at once
_WALK_MAX: Final = 8 * BLOCK_MAX  # entries to go before ranks are asked for instead

# What `add` did.
SAME: Final = 0
ADDED: Final = 1
UPDATED: Final = 2


class SortedSet:
    """A sorted set.

    Attributes:
      count: number of members.
      table: `{member: score}` while the encoding is skiplist, else None. Do not change it.
      counted: see keyspace/account.py.
    """

    __slots__ = (
        "_bounds",
        "_counts",
        "_members",
        "_scores",
        "_shared",
        "_small",
        "count",
        "counted",
        "table",
    )

    type_name: ClassVar[bytes] = b"zset"

    def __init__(self) -> None:
        self.count: i64 = 0
        self.counted = 0
        self.table: Table | None = None
        self._small: dict[bytes, object] | None = {}
        self._scores: list[list[object]] = [[]]
        self._members: list[list[bytes]] = [[]]
        self._bounds: Bounds | None = None  # if there are several blocks
        self._counts: Counts | None = None
        self._shared: list[bool] | None = None  # of each block: whether a copy may have it

    # -- the keyspace's questions

    def __len__(self) -> int:
        return self.count

    def encoding(self) -> bytes:
        """Return the encoding: `listpack` or `skiplist`."""
        return b"listpack" if self.table is None else b"skiplist"

    def copy(self) -> SortedSet:
        """Return an equal set; whichever of the two changes a block first gets its own."""
        other = SortedSet()
        other.count = self.count
        other._scores = self._scores[:]
        other._members = self._members[:]
        self._shared = [True] * len(self._members)
        other._shared = [True] * len(self._members)
        bounds = self._bounds
        if bounds is not None:
            other._bounds = Bounds(bounds.scores.copy(), bounds.members.copy())
        other._small = None if self._small is None else self._small.copy()
        other.table = None if self.table is None else self.table.copy()
        return other

    def free_effort(self) -> int:
        """Return about how many allocations the set consists of."""
        return 1 if self.table is None else self.count

    def free_some(self, limit: int) -> int:
        """Free up to about `limit` members; nothing else may be done with the set afterwards."""
        table = self.table
        if table is None:
            freed: int = self.count
            self.count = 0
            self._small = None
            self._scores = []
            self._members = []
            return freed
        freed = 0
        while self._members and freed < limit:
            freed += len(self._members.pop())
            self._scores.pop()
        if not freed:
            freed = table.free_some(limit)
            self.count = table.count
        return freed

    def memory_bytes(self, samples: int) -> int:
        """Return about how many bytes the set takes.

        Args:
          samples: how many members are measured for the mean size of one, 0: all.
        """
        size = block_bytes(self) + block_bytes(self._scores) + block_bytes(self._members)
        blocks: int = len(self._members)
        measured = blocks if samples == 0 else min(blocks, samples)
        of_blocks = 0
        for i in range(measured):
            of_blocks += block_bytes(self._members[i]) + block_bytes(self._scores[i])
        size += of_blocks * blocks // measured
        if self._small is not None:
            size += block_bytes(self._small)
        else:
            size += ENTRY_BYTES * self.count
        of_members = seen = 0
        for members in self._members:
            for member in members:
                of_members += string_bytes(member) + FLOAT_BYTES
                seen += 1
                if seen == samples:
                    return size + of_members * self.count // seen
        return size + of_members

    # -- single members

    def __contains__(self, member: bytes) -> bool:
        return self._find(member) is not None

    def get(self, member: bytes) -> float | None:
        """Return the score of a member, None if it is not there."""
        return cast("float | None", self._find(member))

    def add(self, member: bytes, score: float, thresholds: Thresholds) -> int:
        """Add a member, or give it another score; return ADDED, UPDATED or SAME."""
        found = self._find(member)
        if found is None:
            self.insert(member, score, thresholds)
            return ADDED
        old = cast(float, found)
        if old == score:
            return SAME
        self.move(member, old, score)
        return UPDATED

    def insert(self, member: bytes, score: float, thresholds: Thresholds) -> None:
        """Add a member that is not there, converting a listpack that gets too big."""
        table = self.table
        if table is None and (
            self.count >= thresholds.zset_entries or len(member) > thresholds.zset_value
        ):
            self.convert()
            table = self.table
        if table is None:
            score += 0.0  # which makes 0.0 of -0.0
        boxed = self._insert(member, score)
        self.count += 1
        if table is not None:
            table.set(member, boxed)
        else:
            small = self._small
            assert small is not None
            small[member] = boxed

    def move(self, member: bytes, old: float, score: float) -> None:
        """Give a member whose score is `old` another one."""
        table = self.table
        if table is None:
            score += 0.0
        place = self._place(old, member)
        block = place >> 32
        offset = place & 0xFFFFFFFF
        scores = self._scores[block]
        boxed: object
        if 0 < offset < len(scores) - 1 and cast(float, scores[offset - 1]) < score < cast(
            float, scores[offset + 1]
        ):
            boxed = scores[offset] = score
        else:
            member = self._members[block][offset]  # the object that the index has as its key
            self._remove(block, offset)
            boxed = self._insert(member, score)
        if table is not None:
            table.set(member, boxed)
        else:
            small = self._small
            assert small is not None
            small[member] = boxed

    def remove(self, member: bytes) -> bool:
        """Remove a member; return whether it was there."""
        found = self._find(member)
        if found is None:
            return False
        place = self._place(cast(float, found), member)
        self._forget(member)
        self.count -= 1
        self._remove(place >> 32, place & 0xFFFFFFFF)
        return True

    def pop(self, last: bool) -> tuple[bytes, float]:
        """Remove the first, or the last, member and return it with its score."""
        block: i64 = len(self._members) - 1 if last else 0
        offset: i64 = len(self._members[block]) - 1 if last else 0
        member = self._members[block][offset]
        score = cast(float, self._scores[block][offset])
        self._forget(member)
        self.count -= 1
        self._remove(block, offset)
        return member, score

    def rank(self, member: bytes) -> int:
        """Return how many members are in front of one, -1 if it is not there."""
        found = self._find(member)
        if found is None:
            return -1
        return self.rank_of(self._place(cast(float, found), member))

    def item_at(self, rank: i64) -> tuple[bytes, float]:
        """Return a member and its score by its rank, from 0 to the number of members less one."""
        place = self.place_of(rank)
        block = place >> 32
        offset = place & 0xFFFFFFFF
        return self._members[block][offset], cast(float, self._scores[block][offset])

    # -- places and ranges

    def place_of(self, rank: i64) -> i64:
        """Return the place of an entry, or of the end, by its rank."""
        if rank < len(self._members[0]):
            return rank
        last: i64 = len(self._members) - 1
        in_front = self.count - len(self._members[last])
        if rank >= in_front:
            return last << 32 | (rank - in_front)
        return self._counted().place(rank)

    def rank_of(self, place: i64) -> i64:
        """Return the rank of a place."""
        block = place >> 32
        if block == 0:
            return place
        if block == len(self._members) - 1:
            return self.count - len(self._members[block]) + (place & 0xFFFFFFFF)
        return self._counted().before(block) + (place & 0xFFFFFFFF)

    def end(self) -> i64:
        """Return the place of the end."""
        last: i64 = len(self._members) - 1
        return last << 32 | len(self._members[last])

    def score_place(self, score: float, after: bool) -> i64:
        """Return the first place whose score is not less, or is greater if `after`."""
        bounds = self._bounds
        block: i64 = 0 if bounds is None else bounds.block_of_score(score, after)
        scores = self._scores[block]
        low: i64 = 0
        high: i64 = len(scores)
        while low < high:
            mid = (low + high) >> 1
            at = cast(float, scores[mid])
            if at < score or (after and at == score):
                low = mid + 1
            else:
                high = mid
        return self._in_block(block, low)

    def lex_place(self, member: bytes, after: bool) -> i64:
        """Return the first place whose member is not less, or is greater if `after`.

        For sets whose scores are all the same.
        """
        bounds = self._bounds
        block: i64 = 0 if bounds is None else bounds.block_of_member(member, after)
        members = self._members[block]
        low: i64 = 0
        high: i64 = len(members)
        while low < high:
            mid = (low + high) >> 1
            if is_before(members[mid], member, after):
                low = mid + 1
            else:
                high = mid
        return self._in_block(block, low)

    def _in_block(self, block: i64, offset: i64) -> i64:
        """Return the place of an offset up to the block's length, which is in the next block."""
        if offset == len(self._members[block]) and block + 1 < len(self._members):
            return (block + 1) << 32
        return block << 32 | offset

    def score_span(self, range_: ScoreRange) -> tuple[i64, i64]:
        """Return the places where a range of scores begins and ends."""
        start = self.score_place(range_.min, range_.minex)
        stop = self.score_place(range_.max, not range_.maxex)
        return start, stop

    def lex_span(self, range_: LexRange, reverse: bool, offset: i64 = 0) -> tuple[i64, i64]:
        """Return the places where a range of members begins and ends, without the first `offset`.

        It is only defined for a set whose scores are all the same; for others a listpack does what
        a walk along it does, from the end if `reverse`, and of a skiplist nothing is said.
        """
        if range_.empty:
            return 0, 0
        if self.table is None and self.count and self._scores_differ():
            return self._walked_lex_span(range_, reverse, offset)
        start: i64 = 0
        stop = self.end()
        if range_.min is not None:
            start = self.lex_place(range_.min, range_.minex)
        if range_.max is not None:
            stop = self.lex_place(range_.max, not range_.maxex)
        return self.skipped(start, stop, reverse, offset)

    def _scores_differ(self) -> bool:
        return cast(float, self._scores[0][0]) != cast(float, self._scores[-1][-1])

    def _walked_lex_span(self, range_: LexRange, reverse: bool, offset: i64) -> tuple[i64, i64]:
        """The span that Redis finds going from one entry to the next (t_zset.c zzl*Lex*).

        What is skipped is not looked at: the range may have ended, and begun again, there.
        """
        members = self.members(0, self.end(), reverse)
        size: i64 = len(members)
        if (
            offset < 0
            or not range_.above_min(members[0 if reverse else size - 1])
            or not range_.below_max(members[size - 1 if reverse else 0])
            or range_.is_void()
        ):
            return 0, 0
        first: i64 = 0
        while first < size and not _reached(range_, members[first], reverse):
            first += 1
        if first == size or _passed(range_, members[first], reverse):
            return 0, 0
        first = size if offset > size - first else first + offset
        last = first
        while last < size and not _passed(range_, members[last], reverse):
            last += 1
        if reverse:
            first, last = size - last, size - first
        return self.place_of(first), self.place_of(last)

    def skipped(self, start: i64, stop: i64, reverse: bool, offset: i64) -> tuple[i64, i64]:
        """Return a span without its first `offset` entries, or the last ones if `reverse`.

        A negative offset finds nothing in a listpack. In a skiplist it counts from the other end:
        -1 is the last entry of the range, or the first if reversed; if there are not so many,
        nothing is found (t_zset.c zslNthInRange, which is asked for the entry of that number).
        """
        if stop <= start:
            return start, start
        if offset < 0:
            if self.table is None or offset < -self.count_between(start, stop):
                return start, start
            if reverse:
                return start, self.advance(start, stop, -offset)
            return self.retreat(start, stop, -offset), stop
        if offset and reverse:
            return start, self.retreat(start, stop, offset)
        if offset:
            return self.advance(start, stop, offset), stop
        return start, stop

    def count_between(self, start: i64, stop: i64) -> i64:
        """Return how many members are between two places."""
        if stop <= start:
            return 0
        block = start >> 32
        last = stop >> 32
        if block == last:
            return stop - start
        if last - block > 8:
            return self.rank_of(stop) - self.rank_of(start)
        total = (stop & 0xFFFFFFFF) - (start & 0xFFFFFFFF)
        while block < last:
            total += len(self._members[block])
            block += 1
        return total

    def advance(self, start: i64, stop: i64, offset: i64) -> i64:
        """Return the place `offset` entries behind `start`, or `stop` if that comes first."""
        if offset > _WALK_MAX:
            rank = self.rank_of(start) + min(self.count, offset)
            return stop if rank >= self.rank_of(stop) else self.place_of(rank)
        block = start >> 32
        last = stop >> 32
        offset += start & 0xFFFFFFFF
        while block < last:
            size: i64 = len(self._members[block])
            if offset < size:
                break
            offset -= size
            block += 1
        place = block << 32 | offset
        return min(stop, place)

    def retreat(self, start: i64, stop: i64, offset: i64) -> i64:
        """Return the place `offset` entries in front of `stop`, or `start` if that comes first."""
        if offset > _WALK_MAX:
            rank = self.rank_of(stop) - min(self.count, offset)
            return start if rank <= self.rank_of(start) else self.place_of(rank)
        block = stop >> 32
        first = start >> 32
        offset = (stop & 0xFFFFFFFF) - offset
        while offset < 0 and block > first:
            block -= 1
            offset += len(self._members[block])
        if offset < 0:
            return start
        place = block << 32 | offset
        return max(start, place)

    def members(self, start: i64, stop: i64, reverse: bool = False) -> list[bytes]:
        """Return the members between two places, the last first if `reverse`."""
        block = start >> 32
        last = stop >> 32
        offset = start & 0xFFFFFFFF
        end = stop & 0xFFFFFFFF
        found: list[bytes]
        if block >= last:
            found = self._members[block][offset:end] if start < stop else []
        else:
            found = self._members[block][offset:]
            block += 1
            while block < last:
                found += self._members[block]
                block += 1
            found += self._members[last][:end]
        if reverse:
            found.reverse()
        return found

    def items(self, start: i64, stop: i64, reverse: bool = False) -> list[tuple[bytes, float]]:
        """Return (member, score) between two places, the last first if `reverse`."""
        found: list[tuple[bytes, float]] = []
        block = start >> 32
        last = stop >> 32
        offset = start & 0xFFFFFFFF
        while block <= last:
            members = self._members[block]
            scores = self._scores[block]
            end: i64 = stop & 0xFFFFFFFF if block == last else len(members)
            while offset < end:
                found.append((members[offset], cast(float, scores[offset])))
                offset += 1
            offset = 0
            block += 1
        if reverse:
            found.reverse()
        return found

    def all_items(self) -> list[tuple[bytes, float]]:
        """Return every (member, score), in order."""
        return self.items(0, self.end())

    def reversed_items(self) -> Iterator[tuple[bytes, float]]:
        """Iterate over every (member, score), the last first. Nothing must change meanwhile."""
        for block in range(len(self._members) - 1, -1, -1):
            members = self._members[block]
            scores = self._scores[block]
            for i in range(len(members) - 1, -1, -1):
                yield members[i], cast(float, scores[i])

    def delete_between(self, start: i64, stop: i64) -> int:
        """Remove the members between two places; return how many there were."""
        if stop <= start:
            return 0
        removed = 0
        first = start >> 32
        last = stop >> 32
        block = first
        while block <= last:
            if self._shared is not None:
                self._own(block)
            members = self._members[block]
            offset: i64 = start & 0xFFFFFFFF if block == first else 0
            end: i64 = stop & 0xFFFFFFFF if block == last else len(members)
            for i in range(offset, end):
                self._forget(members[i])
            removed += end - offset
            del members[offset:end]
            del self._scores[block][offset:end]
            block += 1
        self.count -= removed
        self._counts = None
        if first + 1 < last:
            self._drop(first + 1, last)
        if first < last:
            self._tidy(first + 1)
        if first < len(self._members):
            self._tidy(first)
        return removed

    # -- conversions

    def convert(self) -> None:
        """Make the encoding skiplist, which it stays."""
        if self.table is None:
            self._index()

    def convert_for(self, count: int, thresholds: Thresholds) -> None:
        """Make the encoding skiplist if so many members, expected in one go, ask for it."""
        if self.table is None and count > thresholds.zset_entries:
            self._index()

    def _index(self) -> None:
        """Build the table from the blocks, in place of the dict."""
        table = Table()
        for i in range(len(self._members)):
            members = self._members[i]
            scores = self._scores[i]
            for j in range(len(members)):
                table.set(members[j], scores[j])
        self.table = table
        self._small = None

    # -- inside

    def _find(self, member: bytes) -> object:
        """Return the score of a member as the object that holds it, None if it is not there."""
        table = self.table
        if table is not None:
            return table.directory[hash(member) & table.mask].get(member)
        small = self._small
        assert small is not None
        return small.get(member)

    def _forget(self, member: bytes) -> None:
        """Take a member out of the index."""
        table = self.table
        if table is not None:
            table.pop(member)
        else:
            small = self._small
            assert small is not None
            del small[member]

    def _place(self, score: float, member: bytes) -> i64:
        """Return the place of an entry, or where in which block a new one belongs."""
        bounds = self._bounds
        block: i64 = 0 if bounds is None else bounds.block_of(score, member)
        scores = self._scores[block]
        members = self._members[block]
        low: i64 = 0
        high: i64 = len(scores)
        while low < high:
            mid = (low + high) >> 1
            at = cast(float, scores[mid])
            if at < score or (at == score and members[mid] < member):
                low = mid + 1
            else:
                high = mid
        return block << 32 | low

    def _insert(self, member: bytes, score: float) -> object:
        """Put an entry into its block; return the object of its score."""
        place = self._place(score, member)
        block = place >> 32
        offset = place & 0xFFFFFFFF
        if self._shared is not None:
            self._own(block)
        scores = self._scores[block]
        members = self._members[block]
        size: i64 = len(scores)
        boxed: object = None
        if offset:
            boxed = _same(scores[offset - 1], score)
        if boxed is None and offset < size:
            boxed = _same(scores[offset], score)
        if boxed is None:
            boxed = score
        if size == BLOCK_MAX and offset == size and block == len(self._members) - 1:
            self._add_block(block + 1, [boxed], [member])  # blocks that fill in order stay full
            return boxed
        scores.insert(offset, boxed)
        members.insert(offset, member)
        if size == BLOCK_MAX:
            half: i64 = BLOCK_MAX // 2
            self._add_block(block + 1, scores[half:], members[half:])
            del scores[half:]
            del members[half:]
        counts = self._counts
        if counts is not None and not counts.note(block, 1):
            self._counts = None
        return boxed

    def _remove(self, block: i64, offset: i64) -> None:
        """Take an entry out of its block."""
        if self._shared is not None:
            self._own(block)
        members = self._members[block]
        del members[offset]
        del self._scores[block][offset]
        counts = self._counts
        if counts is not None and not counts.note(block, -1):
            self._counts = None
        if len(members) < _BLOCK_MERGE:
            self._tidy(block)

    def _own(self, block: i64) -> None:
        """Have a block that no other set has, before it is changed."""
        shared = self._shared
        assert shared is not None
        if shared[block]:
            shared[block] = False
            self._scores[block] = self._scores[block].copy()
            self._members[block] = self._members[block].copy()

    def _tidy(self, block: i64) -> None:
        """Drop a block that is empty; unite one that is short with a neighbour if that is too."""
        blocks: i64 = len(self._members)
        size: i64 = len(self._members[block])
        if blocks == 1 or size >= _BLOCK_MERGE:
            return
        if size:
            if block + 1 < blocks and size + len(self._members[block + 1]) <= _BLOCK_MERGED:
                block += 1
            elif block == 0 or size + len(self._members[block - 1]) > _BLOCK_MERGED:
                return
            if self._shared is not None:
                self._own(block - 1)
            self._members[block - 1] += self._members[block]
            self._scores[block - 1] += self._scores[block]
        self._drop(block, block + 1)

    def _add_block(self, block: i64, scores: list[object], members: list[bytes]) -> None:
        """Make a new block, which is not the first."""
        self._counts = None
        bounds = self._bounds
        if bounds is None:
            bounds = self._bounds = Bounds([0.0], [b""])
        bounds.scores.insert(block, scores[0])
        bounds.members.insert(block, members[0])
        self._scores.insert(block, scores)
        self._members.insert(block, members)
        if self._shared is not None:
            self._shared.insert(block, False)

    def _drop(self, first: i64, last: i64) -> None:
        """Drop the blocks from `first` to the one before `last`, but not all."""
        self._counts = None
        del self._members[first:last]
        del self._scores[first:last]
        if self._shared is not None:
            del self._shared[first:last]
        bounds = self._bounds
        assert bounds is not None
        if len(self._members) == 1:
            self._bounds = None
        else:
            del bounds.members[first:last]
            del bounds.scores[first:last]

    def _counted(self) -> Counts:
        counts = self._counts
        if counts is None:
            counts = self._counts = Counts(self._members)
        return counts


def _same(neighbour: object, score: float) -> object:
    """Return the neighbour's score if it is the same number, its sign included, else None."""
    value = cast(float, neighbour)
    if value != score or (score == 0.0 and copysign(1.0, value) != copysign(1.0, score)):
        return None
    return neighbour


def _reached(range_: LexRange, member: bytes, reverse: bool) -> bool:
    """Return whether a walk is behind the end of the range where it comes from."""
    return range_.below_max(member) if reverse else range_.above_min(member)


def _passed(range_: LexRange, member: bytes, reverse: bool) -> bool:
    """Return whether a walk is behind the other end of the range."""
    return not (range_.above_min(member) if reverse else range_.below_max(member))


def from_scores(scores: dict[bytes, float], thresholds: Thresholds) -> SortedSet:
    """Return a set of these members: a listpack if all of them fit into one."""
    entries = [(score, member) for member, score in scores.items()]
    entries.sort()
    fits = len(entries) <= thresholds.zset_entries
    if fits:
        longest = thresholds.zset_value
        for member in scores:
            if len(member) > longest:
                fits = False
                break
    return _built(entries, fits)


def from_items(
    items: list[tuple[bytes, float]], is_skiplist: bool, thresholds: Thresholds
) -> SortedSet:
    """Return a set to which members, all different and in any order, were added in turn.

    Args:
      is_skiplist: that is the encoding from the beginning; else a listpack is converted when it
        gets too big, having made 0 of -0 in what it got till then.
    """
    in_listpack: i64 = 0 if is_skiplist else thresholds.zset_entries
    longest = thresholds.zset_value
    entries: list[tuple[float, bytes]] = []
    for member, score in items:
        if in_listpack:
            if len(member) > longest:
                in_listpack = 0
                is_skiplist = True
            else:
                in_listpack -= 1
                score += 0.0
        else:
            is_skiplist = True
        entries.append((score, member))
    entries.sort()
    return _built(entries, not is_skiplist)


def packed_sorted_set(items: list[tuple[bytes, float]], is_listpack: bool) -> SortedSet:
    """Return a set of members, all different and in any order, in the encoding that is said."""
    entries = [(score, member) for member, score in items]
    entries.sort()
    return _built(entries, is_listpack)


def _built(entries: list[tuple[float, bytes]], is_listpack: bool) -> SortedSet:
    """Return a set of entries that are in order."""
    built = SortedSet()
    built.count = len(entries)
    scores: list[object] = built._scores[0]
    members = built._members[0]
    small = built._small
    assert small is not None
    table = None if is_listpack else Table()
    boxed: object = 0.0
    size: i64 = 0
    for score, member in entries:
        if is_listpack:
            score += 0.0
        boxed = _same(boxed, score)
        if boxed is None:
            boxed = score
        if size < _BLOCK_BUILT:
            scores.append(boxed)
            members.append(member)
            size += 1
        else:
            scores = [boxed]
            members = [member]
            built._add_block(len(built._members), scores, members)
            size = 1
        if table is None:
            small[member] = boxed
        else:
            table.set(member, boxed)
    if table is not None:
        built.table = table
        built._small = None
    return built
