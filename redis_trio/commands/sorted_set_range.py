"""Sorted sets: ranges by rank, by score and by member, returned, counted, stored or removed.

Each range becomes two places in the set (redis_trio/data/sorted_set.py), which LIMIT moves closer
together.

Source: Redis t_zset.c zrangeGenericCommand, zremrangeGenericCommand, zslParseRange,
zslParseLexRange.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.args import option_name, read_integer
from redis_trio.command import DENYOOM, FAST, READONLY, WRITE, group, key
from redis_trio.commands.sorted_set import tell_of_removal, zset_value
from redis_trio.data.numbers import parse_integer, split_hex_float
from redis_trio.data.sorted_range import LexRange, ScoreRange
from redis_trio.data.sorted_set import SortedSet, from_items
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.keyspace.database import GENERIC, ZSET
from redis_trio.protocol.reply import Pairs, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("sorted_set")

# How a range is given; AUTO: as the options say.
AUTO: Final = 0
BY_RANK: Final = 1
BY_SCORE: Final = 2
BY_LEX: Final = 3

NOT_FLOATS: Final = "ERR min or max is not a float"
NOT_STRINGS: Final = "ERR min or max not valid string range item"
_SPACES: Final = b" \t\n\v\f\r"
_NO_LIMIT: Final = (
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
)
_NO_SCORES: Final = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"


def _read_bound(arg: bytes) -> float:
    """Return a bound of scores, without the `(`. Errors: it is no number, or NaN.

    strtod() reads it: up to a NUL, after spaces, nothing at all as 0, what overflows as infinity.
    """
    integer = parse_integer(arg)
    if integer is not None:
        return float(integer)
    text = arg[: arg.index(0)] if 0 in arg else arg
    if not text:
        return 0.0
    text = text.lstrip(_SPACES)
    if not text or text[-1] in _SPACES or b"_" in text:
        raise RedisError(NOT_FLOATS)
    try:
        value = float(text)
    except ValueError:
        value = _read_hex(text)
    if value != value:
        raise RedisError(NOT_FLOATS)
    return value


def _read_hex(text: bytes) -> float:
    if split_hex_float(text) is None:
        raise RedisError(NOT_FLOATS)
    try:
        return float.fromhex(text.decode("ascii"))
    except OverflowError:
        return -math.inf if text[:1] == b"-" else math.inf


def read_score_range(low: bytes, high: bytes) -> ScoreRange:
    """Return a range of scores: `1.5` is part of it, `(1.5` is not. Errors: no numbers."""
    minex = low[:1] == b"("
    minimum = _read_bound(low[1:] if minex else low)
    maxex = high[:1] == b"("
    maximum = _read_bound(high[1:] if maxex else high)
    return ScoreRange(minimum, minex, maximum, maxex)


def read_lex_range(low: bytes, high: bytes) -> LexRange:
    """Return a range of members: `[a` is part of it, `(a` is not, `-` and `+` are the ends."""
    minimum, minex = _read_member(low)
    maximum, maxex = _read_member(high)
    empty = low[:1] == b"+" or high[:1] == b"-"
    return LexRange(minimum, minex, maximum, maxex, empty)


def _read_member(arg: bytes) -> tuple[bytes | None, bool]:
    """Return a bound of members, None for `-` and `+`, and whether it is left out."""
    first = arg[:1]
    if first == b"[":
        return arg[1:], False
    if first == b"(":
        return arg[1:], True
    if first in (b"-", b"+") and (len(arg) == 1 or arg[1] == 0):
        return None, True
    raise RedisError(NOT_STRINGS)


class _Query:
    """What a command of the ZRANGE family asks for."""

    __slots__ = (
        "kind",
        "lex",
        "limit",
        "offset",
        "reverse",
        "scores",
        "start",
        "stop",
        "with_scores",
    )

    def __init__(self, kind: int, reverse: bool) -> None:
        self.kind = kind
        self.reverse = reverse
        self.with_scores = False
        self.offset: i64 = 0
        self.limit: i64 = -1
        self.start: i64 = 0
        self.stop: i64 = 0
        self.scores: ScoreRange | None = None
        self.lex: LexRange | None = None

    def read_options(self, args: Args, first: int, can_store: bool) -> None:
        """Read what stands behind the range, from argument `first` on."""
        is_auto = self.kind == AUTO
        count = len(args)
        i = first
        while i < count:
            word = option_name(args[i])
            if word == b"WITHSCORES" and not can_store:
                self.with_scores = True
            elif word == b"LIMIT" and i + 2 < count:
                self.offset = read_integer(args[i + 1])
                self.limit = read_integer(args[i + 2])
                i += 2
            elif word == b"REV" and is_auto and not self.reverse:
                self.reverse = True
            elif word == b"BYLEX" and self.kind == AUTO:
                self.kind = BY_LEX
            elif word == b"BYSCORE" and self.kind == AUTO:
                self.kind = BY_SCORE
            else:
                raise RedisError(SYNTAX)
            i += 1
        if self.kind == AUTO:
            self.kind = BY_RANK
        if self.limit != -1 and self.kind == BY_RANK:
            raise RedisError(_NO_LIMIT)
        if self.with_scores and self.kind == BY_LEX:
            raise RedisError(_NO_SCORES)

    def read_range(self, low: bytes, high: bytes) -> None:
        """Read the range itself, whose upper end comes first if it is by score or by member."""
        if self.kind == BY_RANK:
            self.start = read_integer(low)
            self.stop = read_integer(high)
            return
        if self.reverse:
            low, high = high, low
        if self.kind == BY_SCORE:
            self.scores = read_score_range(low, high)
        else:
            self.lex = read_lex_range(low, high)

    def span(self, zset: SortedSet) -> tuple[i64, i64]:
        """Return the places between which the result is."""
        if self.kind == BY_RANK:
            return self._span_of_ranks(zset)
        start: i64
        stop: i64
        scores = self.scores
        if scores is not None:
            start, stop = zset.score_span(scores)
            if self.offset:
                start, stop = zset.skipped(start, stop, self.reverse, self.offset)
        else:
            lex = self.lex
            assert lex is not None
            start, stop = zset.lex_span(lex, self.reverse, self.offset)
        if self.limit < 0 or stop <= start:
            return start, stop
        if self.reverse:
            return zset.retreat(start, stop, self.limit), stop
        return start, zset.advance(start, stop, self.limit)

    def _span_of_ranks(self, zset: SortedSet) -> tuple[i64, i64]:
        first, behind = rank_span(zset.count, self.start, self.stop)
        if self.reverse:
            first, behind = zset.count - behind, zset.count - first
        return zset.place_of(first), zset.place_of(behind)


def rank_span(count: i64, start: i64, stop: i64) -> tuple[i64, i64]:
    """Return the ranks from which and up to (and without) which a range of indexes goes."""
    if start < 0:
        start += count
        if start < 0:
            start = 0
    if stop < 0:
        stop += count
    if start > stop or start >= count:
        return 0, 0
    return start, count if stop >= count else stop + 1


def _range(client: Client, args: Args, kind: int, reverse: bool) -> Reply:
    """All of the ZRANGE family but ZRANGESTORE."""
    query = _Query(kind, reverse)
    query.read_options(args, 4, False)
    query.read_range(args[2], args[3])
    zset = zset_value(client.db.lookup_read(args[1]))
    if zset is None:
        return []
    start, stop = query.span(zset)
    if query.with_scores:
        return Pairs(zset.items(start, stop, query.reverse))
    return zset.members(start, stop, query.reverse)


@command(
    "ZRANGE",
    "key start stop [BYSCORE | BYLEX]:sortby@6.2.0 [REV]@6.2.0 [LIMIT (offset count)@6.2.0]"
    " [WITHSCORES]",
    arity=-4,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="1.2.0",
    complexity="O(log(N)+M) with N being the number of elements in the sorted set and M the"
    " number of elements returned.",
    summary="Returns the members of a sorted set in a range of ranks, scores or members.",
)
def zrange(client: Client, args: Args) -> Reply:
    return _range(client, args, AUTO, False)


@command(
    "ZREVRANGE",
    "key start:integer stop:integer [WITHSCORES]",
    arity=-4,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="1.2.0",
    complexity="O(log(N)+M) with N being the number of elements in the sorted set and M the"
    " number of elements returned.",
    summary="Returns the members of a sorted set in a range of ranks, the highest scores first.",
    doc_flags="DEPRECATED",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` argument",
)
def zrevrange(client: Client, args: Args) -> Reply:
    return _range(client, args, BY_RANK, True)


@command(
    "ZRANGEBYSCORE",
    "key min:double max:double [WITHSCORES]@2.0.0 [LIMIT (offset count)]",
    arity=-4,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="1.0.5",
    complexity="O(log(N)+M) with N being the number of elements in the sorted set and M the"
    " number of elements being returned. If M is constant (e.g. always asking for the first 10"
    " elements with LIMIT), you can consider it O(log(N)).",
    summary="Returns the members of a sorted set in a range of scores.",
    doc_flags="DEPRECATED",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `BYSCORE` argument",
)
def zrangebyscore(client: Client, args: Args) -> Reply:
    return _range(client, args, BY_SCORE, False)


@command(
    "ZREVRANGEBYSCORE",
    "key max:double min:double [WITHSCORES] [LIMIT (offset count)]",
    arity=-4,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="2.2.0",
    complexity="O(log(N)+M) with N being the number of elements in the sorted set and M the"
    " number of elements being returned. If M is constant (e.g. always asking for the first 10"
    " elements with LIMIT), you can consider it O(log(N)).",
    summary="Returns the members of a sorted set in a range of scores, the highest first.",
    doc_flags="DEPRECATED",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` and `BYSCORE` arguments",
)
def zrevrangebyscore(client: Client, args: Args) -> Reply:
    return _range(client, args, BY_SCORE, True)


@command(
    "ZRANGEBYLEX",
    "key min max [LIMIT (offset count)]",
    arity=-4,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="2.8.9",
    complexity="O(log(N)+M) with N being the number of elements in the sorted set and M the"
    " number of elements being returned. If M is constant (e.g. always asking for the first 10"
    " elements with LIMIT), you can consider it O(log(N)).",
    summary="Returns the members of a sorted set in a range of members, if all scores are equal.",
    doc_flags="DEPRECATED",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `BYLEX` argument",
)
def zrangebylex(client: Client, args: Args) -> Reply:
    return _range(client, args, BY_LEX, False)


@command(
    "ZREVRANGEBYLEX",
    "key max min [LIMIT (offset count)]",
    arity=-4,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="2.8.9",
    complexity="O(log(N)+M) with N being the number of elements in the sorted set and M the"
    " number of elements being returned. If M is constant (e.g. always asking for the first 10"
    " elements with LIMIT), you can consider it O(log(N)).",
    summary="Returns the members of a sorted set in a range of members, the last ones first.",
    doc_flags="DEPRECATED",
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` and `BYLEX` arguments",
)
def zrevrangebylex(client: Client, args: Args) -> Reply:
    return _range(client, args, BY_LEX, True)


@command(
    "ZRANGESTORE",
    "dst src min max [BYSCORE | BYLEX]:sortby [REV] [LIMIT (offset count)]",
    arity=-5,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW UPDATE"), key(2, "RO ACCESS")],
    acl="SORTEDSET",
    since="6.2.0",
    complexity="O(log(N)+M) with N being the number of elements in the sorted set and M the"
    " number of elements stored into the destination key.",
    summary="Makes a sorted set of what ZRANGE would return; returns how many members it has.",
)
def zrangestore(client: Client, args: Args) -> Reply:
    query = _Query(AUTO, False)
    query.read_options(args, 5, True)
    query.read_range(args[3], args[4])
    db = client.db
    destination = args[1]
    zset = zset_value(db.lookup_read(args[2]))
    found: list[tuple[bytes, float]] = []
    if zset is not None:
        start, stop = query.span(zset)
        found = zset.items(start, stop, query.reverse)
    if not found:
        if db.delete(destination):
            db.modified(destination, GENERIC, "del")
        return 0
    thresholds = client.server.thresholds
    # Redis knows the number beforehand only if the range is one of ranks.
    is_skiplist = query.kind == BY_RANK and len(found) > thresholds.zset_entries
    db.replace(destination, from_items(found, is_skiplist, thresholds))
    db.modified(destination, ZSET, "zrangestore")
    return len(found)


# -- counting


@command(
    "ZCOUNT",
    "key min:double max:double",
    arity=4,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="2.0.0",
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    summary="Counts the members of a sorted set in a range of scores.",
)
def zcount(client: Client, args: Args) -> Reply:
    scores = read_score_range(args[2], args[3])
    zset = zset_value(client.db.lookup_read(args[1]))
    if zset is None:
        return 0
    start, stop = zset.score_span(scores)
    return zset.count_between(start, stop)


@command(
    "ZLEXCOUNT",
    "key min max",
    arity=4,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="2.8.9",
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    summary="Counts the members of a sorted set in a range of members, if all scores are equal.",
)
def zlexcount(client: Client, args: Args) -> Reply:
    lex = read_lex_range(args[2], args[3])
    zset = zset_value(client.db.lookup_read(args[1]))
    if zset is None:
        return 0
    start, stop = zset.lex_span(lex, False)
    return zset.count_between(start, stop)


# -- removing


def _remove_range(client: Client, args: Args, kind: int, event: str) -> Reply:
    query = _Query(kind, False)
    query.read_range(args[2], args[3])
    name = args[1]
    zset = zset_value(client.db.lookup_write(name))
    if zset is None:
        return 0
    start, stop = query.span(zset)
    removed = zset.delete_between(start, stop)
    if removed:
        tell_of_removal(client, name, zset, removed, event)
    return removed


@command(
    "ZREMRANGEBYRANK",
    "key start:integer stop:integer",
    arity=4,
    flags=WRITE,
    keys=[key(1, "RW DELETE")],
    acl="SORTEDSET",
    since="2.0.0",
    complexity="O(log(N)+M) with N being the number of elements in the sorted set and M the"
    " number of elements removed by the operation.",
    summary="Removes the members of a sorted set in a range of ranks; returns how many.",
)
def zremrangebyrank(client: Client, args: Args) -> Reply:
    return _remove_range(client, args, BY_RANK, "zremrangebyrank")


@command(
    "ZREMRANGEBYSCORE",
    "key min:double max:double",
    arity=4,
    flags=WRITE,
    keys=[key(1, "RW DELETE")],
    acl="SORTEDSET",
    since="1.2.0",
    complexity="O(log(N)+M) with N being the number of elements in the sorted set and M the"
    " number of elements removed by the operation.",
    summary="Removes the members of a sorted set in a range of scores; returns how many.",
)
def zremrangebyscore(client: Client, args: Args) -> Reply:
    return _remove_range(client, args, BY_SCORE, "zremrangebyscore")


@command(
    "ZREMRANGEBYLEX",
    "key min max",
    arity=4,
    flags=WRITE,
    keys=[key(1, "RW DELETE")],
    acl="SORTEDSET",
    since="2.8.9",
    complexity="O(log(N)+M) with N being the number of elements in the sorted set and M the"
    " number of elements removed by the operation.",
    summary="Removes the members of a sorted set in a range of members; returns how many.",
)
def zremrangebylex(client: Client, args: Args) -> Reply:
    return _remove_range(client, args, BY_LEX, "zremrangebylex")
