"""Sets: integers in order, a few members in a dict, many in a table.

A set has one of Redis's three encodings, and changes it in one direction only:

| encoding | held as | order of the members |
|---|---|---|
| intset | `array('q')`, sorted | numeric |
| listpack | `{member: None}` | as they were added |
| hashtable | `Table` with every value True | none |

An intset takes integers in their one canonical form, which is how a member is told from any other
text. Adding costs O(N) there, as in Redis, for the array is moved; N is bounded by the thresholds.
Random picks cost O(1) in an intset and in a table, and O(N) in a listpack, whose N is small.

Source: Redis t_set.c setTypeAddAux, setTypeMaybeConvert, spopWithCountCommand.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Final

from mypy_extensions import i64

from redis_trio.data.numbers import parse_integer
from redis_trio.data.sizes import block_bytes, string_bytes
from redis_trio.data.table import Table

if TYPE_CHECKING:
    from random import Random

    from redis_trio.data.thresholds import Thresholds

INTSET_MAX: Final = 1 << 30  # whatever the configuration says
KEEP_FACTOR: Final = 5  # SPOP of all but a fifth of what it takes picks those that stay
SAMPLE_FACTOR: Final = 3  # SRANDMEMBER of more than a third of a set picks those that it leaves out


class Set:
    """A set of bytes; a new one is an empty intset.

    Exactly one of the three containers is there.

    Attributes:
      counted: see keyspace/account.py.
    """

    __slots__ = ("_integers", "_members", "_table", "counted")

    type_name: ClassVar[bytes] = b"set"

    def __init__(self) -> None:
        self.counted = 0
        self._integers: array[int] | None = array("q")
        self._members: dict[bytes, None] | None = None
        self._table: Table | None = None

    # -- asking

    def __len__(self) -> int:
        table = self._table
        if table is not None:
            return table.count
        members = self._members
        if members is not None:
            return len(members)
        integers = self._integers
        assert integers is not None
        return len(integers)

    @property
    def table(self) -> Table | None:
        """The members of a hashtable, which others only read; None in the other encodings."""
        return self._table

    def encoding(self) -> bytes:
        """Return `intset`, `listpack` or `hashtable`."""
        if self._table is not None:
            return b"hashtable"
        return b"intset" if self._members is None else b"listpack"

    def has(self, member: bytes) -> bool:
        """Return whether a member is there."""
        table = self._table
        if table is not None:
            return member in table.directory[hash(member) & table.mask]
        members = self._members
        if members is not None:
            return member in members
        return self._place(member) >= 0

    def members(self) -> list[bytes]:
        """Return all members, in the order in which Redis shows them where it has one."""
        table = self._table
        if table is not None:
            found: list[bytes] = []
            for shard in table.shards():
                found.extend(shard)
            return found
        members = self._members
        if members is not None:
            return list(members)
        integers = self._integers
        assert integers is not None
        return [b"%d" % integer for integer in integers]

    def chunks(self) -> Iterator[Iterable[bytes]]:
        """Iterate over the members in parts, in the order of `members`.

        For who may stop before the end. The set must not change meanwhile.
        """
        table = self._table
        if table is not None:
            yield from table.shards()
        else:
            yield self.members()

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Return the next cursor, 0 at the end, and some members: all, unless in a table."""
        table = self._table
        if table is not None:
            return table.scan(cursor, count)
        return 0, self.members()

    def copy(self) -> Set:
        """Return an equal set of the same encoding."""
        other = Set()
        integers = self._integers
        members = self._members
        table = self._table
        other._integers = None if integers is None else integers[:]
        other._members = None if members is None else members.copy()
        other._table = None if table is None else table.copy()
        return other

    def free_effort(self) -> int:
        """Return about how many allocations the set consists of (lazyfreeGetFreeEffort)."""
        return 1 if self._table is None else self._table.count

    def memory_bytes(self, samples: int) -> int:
        """Return about how much memory the set takes, by the mean of `samples` members.

        Args:
          samples: 0 for all members.
        """
        size = block_bytes(self)
        integers = self._integers
        if integers is not None:
            return size + block_bytes(integers)
        table = self._table
        size += block_bytes(self._members) if table is None else table.container_bytes()
        total = 0
        looked = 0
        for chunk in self.chunks():
            for member in chunk:
                total += string_bytes(member)
                looked += 1
                if looked == samples:
                    return size + total * len(self) // looked
        return size + total

    def _place(self, member: bytes) -> int:
        """Return where in the intset a member is; below 0 if it is not there."""
        integers = self._integers
        assert integers is not None
        number = parse_integer(member)
        if number is None:
            return -1
        place = bisect_left(integers, number)
        return place if place < len(integers) and integers[place] == number else -1

    # -- adding and removing

    def add(self, member: bytes, thresholds: Thresholds) -> bool:
        """Add a member; return whether it is new."""
        table = self._table
        if table is not None:
            return table.set(member, True)
        members = self._members
        if members is None:
            return self._add_to_intset(member, thresholds)
        if member in members:
            return False
        if len(members) < thresholds.set_entries and len(member) <= thresholds.set_value:
            members[member] = None
        else:
            self._make_table().set(member, True)
        return True

    def _add_to_intset(self, member: bytes, thresholds: Thresholds) -> bool:
        integers = self._integers
        assert integers is not None
        number = parse_integer(member)
        if number is not None:
            place = bisect_left(integers, number)
            if place < len(integers) and integers[place] == number:
                return False
            integers.insert(place, number)
            if len(integers) > _intset_max(thresholds):
                self._make_table()
        elif (
            len(integers) < thresholds.set_entries
            and len(member) <= thresholds.set_value
            and self._longest_integer() <= thresholds.set_value
        ):
            self._make_listpack()[member] = None
        else:
            self._make_table().set(member, True)
        return True

    def remove(self, member: bytes) -> bool:
        """Remove a member; return whether it was there."""
        table = self._table
        if table is not None:
            return table.pop(member) is not None
        members = self._members
        if members is not None:
            if member not in members:
                return False
            del members[member]
            return True
        place = self._place(member)
        if place < 0:
            return False
        assert self._integers is not None
        del self._integers[place]
        return True

    def expect(self, count: int, thresholds: Thresholds) -> None:
        """Change the encoding at once if it is not fit for `count` members that may be added."""
        if self._integers is not None:
            if count > thresholds.set_intset:
                self._make_table()
        elif self._members is not None and count > thresholds.set_entries:
            self._make_table()

    def become_hashtable(self) -> None:
        """Change the encoding to hashtable."""
        if self._table is None:
            self._make_table()

    def become_intset(self, thresholds: Thresholds) -> None:
        """Become an intset if that holds so many members, all of which must be integers."""
        if self._integers is not None or len(self) > _intset_max(thresholds):
            return
        self._integers = array("q", sorted([int(member) for member in self.members()]))
        self._members = None
        self._table = None

    def free_some(self, limit: int) -> int:
        """Take the set apart: free about `limit` members; return how many."""
        if self._table is not None:
            return self._table.free_some(limit)
        count = len(self)
        self._integers = array("q")
        self._members = None
        return count

    def _longest_integer(self) -> int:
        """Return the length of an intset's longest member."""
        integers = self._integers
        if not integers:
            return 0
        return max(len(b"%d" % integers[0]), len(b"%d" % integers[-1]))

    def _make_listpack(self) -> dict[bytes, None]:
        members = dict.fromkeys(self.members())
        self._integers = None
        self._members = members
        return members

    def _make_table(self) -> Table:
        table = Table()
        for member in self.members():
            table.set(member, True)
        self._integers = None
        self._members = None
        self._table = table
        return table

    # -- picking at random

    def random(self, rng: Random) -> bytes:
        """Return a member, each with the same probability. The set must not be empty."""
        table = self._table
        if table is not None:
            return table.random_key(rng)
        place = int(rng.random() * len(self))
        members = self._members
        if members is not None:
            return next(islice(members, place, None))
        integers = self._integers
        assert integers is not None
        return b"%d" % integers[place]

    def pop_random(self, rng: Random) -> bytes:
        """Remove a member, each with the same probability, and return it."""
        table = self._table
        if table is not None:
            return table.pop_random(rng)
        members = self._members
        if members is not None:
            member = self.random(rng)
            del members[member]
            return member
        integers = self._integers
        assert integers is not None
        return b"%d" % integers.pop(int(rng.random() * len(integers)))

    def pick(self, count: int, rng: Random) -> list[bytes]:
        """Return `count` members in random order, the same one several times by chance."""
        integers = self._integers
        if integers is not None:
            size = len(integers)
            return [b"%d" % integers[int(rng.random() * size)] for _ in range(count)]
        if self._members is not None:
            members = list(self._members)
            size = len(members)
            return [members[int(rng.random() * size)] for _ in range(count)]
        return [self.random(rng) for _ in range(count)]

    def sample(self, count: int, rng: Random) -> list[bytes]:
        """Return `count` different members, fewer than there are: any set of so many alike.

        Those of a listpack come in its order. Otherwise, of many members some are drawn until
        there are enough, and of a few some are left out.
        """
        size = len(self)
        if self._members is not None:
            members = list(self._members)
            return [members[place] for place in _places(count, size, rng)]
        if count * SAMPLE_FACTOR > size:
            members = self.members()
            while size > count:
                place = int(rng.random() * size)
                size -= 1
                members[place] = members[size]
            del members[count:]
            return members
        found: dict[bytes, None] = {}
        while len(found) < count:
            found[self.random(rng)] = None
        return list(found)

    def pop_sample(self, count: int, rng: Random, thresholds: Thresholds) -> list[bytes]:
        """Remove `count` members, fewer than there are, any set of so many alike; return them.

        If few stay those are picked, and put into a new container: its encoding may be a more
        compact one.
        """
        remaining = len(self) - count
        if remaining * KEEP_FACTOR <= count:
            return self._pop_all_but(remaining, rng, thresholds)
        members = self._members
        if members is not None:
            names = list(members)
            popped = [names[place] for place in _places(count, len(names), rng)]
            for member in popped:
                del members[member]
            return popped
        return [self.pop_random(rng) for _ in range(count)]

    def _pop_all_but(self, remaining: int, rng: Random, thresholds: Thresholds) -> list[bytes]:
        kept = Set()
        names = self._members
        if names is not None:
            kept._make_listpack()
            chosen = self.sample(remaining, rng)
            for member in chosen:
                del names[member]
                kept.add(member, thresholds)
        else:
            if self._table is not None:
                kept._make_listpack()
            for _ in range(remaining):
                kept.add(self.pop_random(rng), thresholds)
        popped = self.members()
        self._integers = kept._integers
        self._members = kept._members
        self._table = kept._table
        return popped


def new_set(member: bytes, count: int, thresholds: Thresholds) -> Set:
    """Return an empty set of the encoding that is fit for about `count` members as `member` is.

    Source: t_set.c setTypeCreate.
    """
    created = Set()
    if count <= thresholds.set_intset and parse_integer(member) is not None:
        return created
    if count <= thresholds.set_entries:
        created._make_listpack()
    else:
        created._make_table()
    return created


def listpack_set() -> Set:
    """Return an empty set in the listpack encoding."""
    created = Set()
    created._make_listpack()
    return created


def packed_set(members: list[bytes]) -> Set:
    """Return a set of these members, all different, in the listpack encoding, however many."""
    created = listpack_set()
    created._members = dict.fromkeys(members)
    return created


def integer_set(integers: array[int]) -> Set:
    """Return a set of these integers, in order and all different, as an intset, however many."""
    created = Set()
    created._integers = integers
    return created


def _intset_max(thresholds: Thresholds) -> i64:
    return min(thresholds.set_intset, INTSET_MAX)


def _places(count: int, size: int, rng: Random) -> list[int]:
    """Return `count` of the numbers below `size`, in order, any choice of so many alike."""
    places: list[int] = []
    wanted = count
    for place in range(size):
        if rng.random() * (size - place) < wanted:
            places.append(place)
            wanted -= 1
            if wanted == 0:
                break
    return places
