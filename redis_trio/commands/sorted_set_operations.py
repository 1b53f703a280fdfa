"""Union, intersection and difference of sorted sets, and of plain sets, whose scores are 1.

Each is made as `{member: score}`, which is then sorted at once. A union takes its inputs from the
smallest to the largest, and the scores of a member are aggregated in that order, since sums of
doubles depend on it. An intersection walks through the smallest input and asks the others. A
difference does that with the first one, or takes the members of the others out of it, whatever is
less work.

1. What is no number (infinity less infinity, or times 0) counts as 0.

Source: Redis t_zset.c zunionInterDiffGenericCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.args import option_name, read_double, read_integer, read_integer_in
from redis_trio.command import DENYOOM, READONLY, WRITE, group, key, keynum
from redis_trio.data.numbers import INTEGER_MAX
from redis_trio.data.set import Set
from redis_trio.data.sorted_set import SortedSet, from_scores
from redis_trio.errors import SYNTAX, WRONGTYPE, RedisError
from redis_trio.keyspace.database import GENERIC, ZSET
from redis_trio.protocol.reply import Pairs, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("sorted_set")

UNION: Final = 0
INTERSECTION: Final = 1
DIFFERENCE: Final = 2

SUM: Final = 0
MIN: Final = 1
MAX: Final = 2

_AGGREGATES: Final = {b"SUM": SUM, b"MIN": MIN, b"MAX": MAX}
_EVENTS: Final = ["zunionstore", "zinterstore", "zdiffstore"]

Scores = dict[bytes, float]


class Input:
    """One input: at most one of its two sets is there."""

    __slots__ = ("plain", "size", "weight", "zset")

    def __init__(self, value: object) -> None:
        self.zset: SortedSet | None = None
        self.plain: Set | None = None
        self.weight = 1.0
        self.size: i64 = 0
        if isinstance(value, SortedSet):
            self.zset = value
            self.size = value.count
        elif isinstance(value, Set):
            self.plain = value
            self.size = len(value)
        elif value is not None:
            raise RedisError(WRONGTYPE)

    def items(self) -> list[tuple[bytes, float]]:
        """Return every (member, score)."""
        if self.zset is not None:
            return self.zset.all_items()
        if self.plain is not None:
            return [(member, 1.0) for member in self.plain.members()]
        return []

    def members(self) -> list[bytes]:
        """Return every member."""
        if self.zset is not None:
            return self.zset.members(0, self.zset.end())
        return [] if self.plain is None else self.plain.members()

    def find(self, member: bytes) -> float | None:
        """Return the score of a member, None if it is not there."""
        if self.zset is not None:
            return self.zset.get(member)
        return 1.0 if self.plain is not None and self.plain.has(member) else None

    def has(self, member: bytes) -> bool:
        """Return whether a member is there."""
        if self.zset is not None:
            return member in self.zset
        return self.plain is not None and self.plain.has(member)

    def is_same(self, other: Input) -> bool:
        """Return whether both are the same key's."""
        return self.zset is other.zset and self.plain is other.plain


class Operation:
    """What a command says."""

    __slots__ = ("aggregate", "inputs", "kind", "limit", "withscores")

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.inputs: list[Input] = []
        self.aggregate = SUM
        self.withscores = False
        self.limit = 0

    def run(self) -> Scores:
        """Return the members of the result with their scores."""
        if self.kind == DIFFERENCE:
            return _difference(self.inputs)
        self.inputs.sort(key=_size)
        if self.kind == UNION:
            return _union(self.inputs, self.aggregate)
        return _intersection(self.inputs, self.aggregate)


def _size(item: Input) -> int:
    return item.size


# -- reading


def _read(client: Client, args: Args, first: int, kind: int, name: str) -> Operation:
    """Read a command: the number of keys is `args[first]`.

    Args:
      name: `store`, `card` or, if the result is returned, an empty string.
    """
    count = read_integer(args[first])
    if count < 1:
        command_name = "" if client.command is None else client.command.fullname
        raise RedisError(f"ERR at least 1 input key is needed for '{command_name}' command")
    if count > len(args) - first - 1:
        raise RedisError(SYNTAX)
    operation = Operation(kind)
    db = client.db
    end = first + 1 + count
    for i in range(first + 1, end):
        operation.inputs.append(Input(db.lookup_read(args[i])))
    _read_options(operation, args, end, name)
    return operation


def _read_options(operation: Operation, args: Args, first: int, name: str) -> None:
    weighs = operation.kind != DIFFERENCE and name != "card"
    inputs = operation.inputs
    i = first
    while i < len(args):
        word = option_name(args[i])
        remaining = len(args) - i
        i += 1
        if weighs and word == b"WEIGHTS" and remaining > len(inputs):
            for item in inputs:
                item.weight = read_double(args[i], "ERR weight value is not a float")
                i += 1
        elif weighs and word == b"AGGREGATE" and remaining >= 2:
            aggregate = _AGGREGATES.get(option_name(args[i]), -1)
            if aggregate < 0:
                raise RedisError(SYNTAX)
            operation.aggregate = aggregate
            i += 1
        elif not name and word == b"WITHSCORES":
            operation.withscores = True
        elif name == "card" and word == b"LIMIT" and remaining >= 2:
            operation.limit = read_integer_in(
                args[i], 0, INTEGER_MAX, "ERR LIMIT can't be negative"
            )
            i += 1
        else:
            raise RedisError(SYNTAX)


# -- the operations


def _aggregated(score: float, value: float, aggregate: i64) -> float:
    """Return two scores of a member as one; `value` is the later one, and may be no number."""
    if aggregate == SUM:
        score += value
        return score if score == score else 0.0
    if value < score if aggregate == MIN else value > score:
        return value
    return score


def _union(inputs: list[Input], aggregate: i64) -> Scores:
    scores: Scores = {}
    for item in inputs:
        weight = item.weight
        for member, score in item.items():
            score *= weight
            if score != score:
                score = 0.0
            if member in scores:
                score = _aggregated(scores[member], score, aggregate)
            scores[member] = score
    return scores


def _intersection(inputs: list[Input], aggregate: i64) -> Scores:
    """Return what is in all inputs, which are sorted by size."""
    scores: Scores = {}
    smallest = inputs[0]
    others = inputs[1:]
    for member, own in smallest.items():
        score = own * smallest.weight
        if score != score:
            score = 0.0
        for other in others:
            value = own if other.is_same(smallest) else other.find(member)
            if value is None:
                break
            score = _aggregated(score, value * other.weight, aggregate)
        else:
            scores[member] = score
    return scores


def _intersection_count(inputs: list[Input], limit: int) -> int:
    """Return how many members are in all inputs; `limit` (0: none) is enough."""
    inputs.sort(key=_size)
    smallest = inputs[0]
    others = [item for item in inputs[1:] if not item.is_same(smallest)]
    if not others:
        return min(smallest.size, limit) if limit else smallest.size
    count = 0
    for member in smallest.members():
        for other in others:
            if not other.has(member):
                break
        else:
            count += 1
            if count == limit:
                break
    return count


def _difference(inputs: list[Input]) -> Scores:
    first = inputs[0]
    others = inputs[1:]
    total: i64 = 0
    for item in inputs:
        total += item.size
    for other in others:
        if other.is_same(first):
            return {}
    if first.size * len(inputs) // 2 > total:
        scores = dict(first.items())
        for other in others:
            for member in other.members():
                scores.pop(member, None)
            if not scores:
                break
        return scores
    others.sort(key=_size, reverse=True)  # where a member is most likely to be found
    scores = {}
    for member, score in first.items():
        for other in others:
            if other.has(member):
                break
        else:
            scores[member] = score
    return scores


# -- the commands


def _return(client: Client, args: Args, kind: int) -> Reply:
    operation = _read(client, args, 1, kind, "")
    entries = [(score, member) for member, score in operation.run().items()]
    entries.sort()
    if operation.withscores:
        return Pairs([(member, score) for score, member in entries])
    return [member for _, member in entries]


def _store(client: Client, args: Args, kind: int) -> int:
    """Have the first key hold the result, or nothing if it is empty; return its size."""
    scores = _read(client, args, 2, kind, "store").run()
    db = client.db
    target = args[1]
    if scores:
        db.replace(target, from_scores(scores, client.server.thresholds))
        db.modified(target, ZSET, _EVENTS[kind])
    elif db.unlink(target):
        db.modified(target, GENERIC, "del")
    return len(scores)


@command(
    "ZUNION",
    "numkeys key... [WEIGHTS weight...] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
    arity=-3,
    flags=READONLY,
    keys=[keynum(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="6.2.0",
    complexity=(
        "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being "
        "the number of elements in the resulting sorted set."
    ),
    summary="Unites sorted sets.",
)
def zunion(client: Client, args: Args) -> Reply:
    """Return the members of all sets in the order of their aggregated scores."""
    return _return(client, args, UNION)


@command(
    "ZINTER",
    "numkeys key... [WEIGHTS weight...] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
    arity=-3,
    flags=READONLY,
    keys=[keynum(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="6.2.0",
    complexity=(
        "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the "
        "number of input sorted sets and M being the number of elements in the resulting sorted "
        "set."
    ),
    summary="Intersects sorted sets.",
)
def zinter(client: Client, args: Args) -> Reply:
    """Return the members that are in every set in the order of their aggregated scores."""
    return _return(client, args, INTERSECTION)


@command(
    "ZDIFF",
    "numkeys key... [WITHSCORES]",
    arity=-3,
    flags=READONLY,
    keys=[keynum(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="6.2.0",
    complexity=(
        "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N "
        "is the size of the first set, and K is the size of the result set."
    ),
    summary="Subtracts sorted sets from the first one.",
)
def zdiff(client: Client, args: Args) -> Reply:
    """Return the members that are only in the first set, in its order."""
    return _return(client, args, DIFFERENCE)


@command(
    "ZUNIONSTORE",
    "destination numkeys key... [WEIGHTS weight...] [AGGREGATE <SUM | MIN | MAX>]",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW UPDATE"), keynum(2, "RO ACCESS")],
    acl="SORTEDSET",
    since="2.0.0",
    complexity=(
        "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being "
        "the number of elements in the resulting sorted set."
    ),
    summary="Stores the union of sorted sets.",
)
def zunionstore(client: Client, args: Args) -> Reply:
    """Store the members of all sets with their aggregated scores; return how many there are."""
    return _store(client, args, UNION)


@command(
    "ZINTERSTORE",
    "destination numkeys key... [WEIGHTS weight...] [AGGREGATE <SUM | MIN | MAX>]",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW UPDATE"), keynum(2, "RO ACCESS")],
    acl="SORTEDSET",
    since="2.0.0",
    complexity=(
        "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the "
        "number of input sorted sets and M being the number of elements in the resulting sorted "
        "set."
    ),
    summary="Stores the intersection of sorted sets.",
)
def zinterstore(client: Client, args: Args) -> Reply:
    """Store the members in every set with their aggregated scores; return how many there are."""
    return _store(client, args, INTERSECTION)


@command(
    "ZDIFFSTORE",
    "destination numkeys key...",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW UPDATE"), keynum(2, "RO ACCESS")],
    acl="SORTEDSET",
    since="6.2.0",
    complexity=(
        "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N "
        "is the size of the first set, and K is the size of the result set."
    ),
    summary="Stores what is only in the first of some sorted sets.",
)
def zdiffstore(client: Client, args: Args) -> Reply:
    """Store the members that are only in the first set; return how many there are."""
    return _store(client, args, DIFFERENCE)


@command(
    "ZINTERCARD",
    "numkeys key... [LIMIT limit]",
    arity=-3,
    flags=READONLY,
    keys=[keynum(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="7.0.0",
    complexity=(
        "O(N*K) worst case with N being the smallest input sorted set, K being the number of "
        "input sorted sets."
    ),
    summary="Counts the members of the intersection of sorted sets, up to a limit.",
)
def zintercard(client: Client, args: Args) -> Reply:
    """Return how many members are in every set."""
    operation = _read(client, args, 1, INTERSECTION, "card")
    return _intersection_count(operation.inputs, operation.limit)
