"""Sorted sets: members come and go, their scores, their ranks, the ends taken off.

Ranges are in redis_trio/commands/sorted_set_range.py.

Source: Redis t_zset.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_double, read_integer_in
from redis_trio.command import DENYOOM, FAST, READONLY, WRITE, group, key
from redis_trio.data.numbers import INTEGER_MAX, parse_integer
from redis_trio.data.sorted_set import ADDED, SAME, SortedSet
from redis_trio.errors import SYNTAX, WRONGTYPE, RedisError, wrong_arity
from redis_trio.keyspace.database import GENERIC, ZSET
from redis_trio.protocol.reply import NULL_ARRAY, Pairs, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("sorted_set")

# The options of ZADD.
NX: Final = 1 << 0
XX: Final = 1 << 1
GT: Final = 1 << 2
LT: Final = 1 << 3
CH: Final = 1 << 4
INCR: Final = 1 << 5

_OPTIONS: Final = {b"NX": NX, b"XX": XX, b"GT": GT, b"LT": LT, b"CH": CH, b"INCR": INCR}

NAN_SCORE: Final = "ERR resulting score is not a number (NaN)"
_NX_AND_XX: Final = "ERR XX and NX options at the same time are not compatible"
_GT_LT_NX: Final = "ERR GT, LT, and/or NX options at the same time are not compatible"
_ONE_PAIR: Final = "ERR INCR option supports a single increment-element pair"
_NOT_POSITIVE: Final = "ERR value is out of range, must be positive"


def zset_value(value: object) -> SortedSet | None:
    """Return the value found under a key if it is a sorted set or None. Errors: WRONGTYPE."""
    if value is None or isinstance(value, SortedSet):
        return value
    raise RedisError(WRONGTYPE)


def read_score(arg: bytes) -> float:
    """Return a score. Errors: it is no number, or NaN."""
    integer = parse_integer(arg)
    return float(integer) if integer is not None else read_double(arg)


# -- adding


@command(
    "ZADD",
    "key [NX | XX]@3.0.2 [GT | LT]:comparison@6.2.0 [CH:change@3.0.2] [INCR:increment@3.0.2]"
    " (score member):data...",
    arity=-4,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="SORTEDSET",
    since="1.2.0",
    complexity="O(log(N)) for each item added, where N is the number of elements in the sorted"
    " set.",
    summary="Adds members to a sorted set, or gives those that are there another score.",
)
def zadd(client: Client, args: Args) -> Reply:
    """Return how many are new, with CH also how many changed, with INCR the score."""
    if len(args) != 4 or args[2][:1] > b"9":  # no option begins with a digit or a sign
        return _add(client, args, 0)
    score = read_score(args[2])
    db = client.db
    name = args[1]
    zset = db.lookup_write(name)
    if not isinstance(zset, SortedSet):
        if zset is not None:
            raise RedisError(WRONGTYPE)
        zset = _new(client, name, 1, args[3])
    thresholds = client.server.thresholds
    zset.convert_for(1, thresholds)
    did = zset.add(args[3], score, thresholds)
    if did == SAME:
        return 0
    db.modified(name, ZSET, "zadd")
    return 1 if did == ADDED else 0


@command(
    "ZINCRBY",
    "key increment member",
    arity=4,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW ACCESS UPDATE")],
    acl="SORTEDSET",
    since="1.2.0",
    complexity="O(log(N)) where N is the number of elements in the sorted set.",
    summary="Adds to the score of a member, which is 0 if the member is new; returns the sum.",
)
def zincrby(client: Client, args: Args) -> Reply:
    return _add(client, args, INCR)


def _new(client: Client, name: bytes, count: int, member: bytes) -> SortedSet:
    """Return a new set under a key, in the encoding for so many members and the first of them."""
    zset = SortedSet()
    thresholds = client.server.thresholds
    if count > thresholds.zset_entries or len(member) > thresholds.zset_value:
        zset.convert()
    client.db.set(name, zset)
    return zset


def _add(client: Client, args: Args, options: int) -> Reply:
    """ZADD with all that it can have, and ZINCRBY."""
    first = 2
    count = len(args)
    while first < count:
        option = _OPTIONS.get(option_name(args[first]))
        if option is None:
            break
        options |= option
        first += 1
    _check_options(options, count - first)
    scores = [read_score(args[i]) for i in range(first, count, 2)]
    db = client.db
    name = args[1]
    thresholds = client.server.thresholds
    zset = zset_value(db.lookup_write(name))
    if zset is None:
        if options & XX:
            return None if options & INCR else 0
        zset = _new(client, name, len(scores), args[first + 1])
    zset.convert_for(len(scores), thresholds)
    added = changed = 0
    score = 0.0
    is_done = False
    for i in range(len(scores)):
        score = scores[i]
        member = args[first + 1 + 2 * i]
        old = zset.get(member)
        if old is None:
            if options & XX:
                continue
            zset.insert(member, score, thresholds)
            added += 1
        else:
            if options & NX:
                continue
            if options & INCR:
                score += old
                if score != score:
                    raise RedisError(NAN_SCORE)
            if (options & LT and score >= old) or (options & GT and score <= old):
                continue
            if score != old:
                zset.move(member, old, score)
                changed += 1
        is_done = True
    if added or changed:
        client.server.dirty += added + changed - 1
        db.modified(name, ZSET, "zincr" if options & INCR else "zadd")
    if options & INCR:
        return score if is_done else None
    return added + changed if options & CH else added


def _check_options(options: int, words: int) -> None:
    """Refuse options that exclude each other, and what is not so many pairs."""
    if words % 2 or not words:
        raise RedisError(SYNTAX)
    if options & NX and options & XX:
        raise RedisError(_NX_AND_XX)
    if (options & NX and options & (GT | LT)) or (options & GT and options & LT):
        raise RedisError(_GT_LT_NX)
    if options & INCR and words > 2:
        raise RedisError(_ONE_PAIR)


# -- removing


@command(
    "ZREM",
    "key member...",
    arity=-3,
    flags=WRITE | FAST,
    keys=[key(1, "RW DELETE")],
    acl="SORTEDSET",
    since="1.2.0",
    complexity="O(M*log(N)) with N being the number of elements in the sorted set and M the"
    " number of elements to be removed.",
    summary="Removes members from a sorted set; returns how many were there.",
)
def zrem(client: Client, args: Args) -> Reply:
    name = args[1]
    zset = zset_value(client.db.lookup_write(name))
    if zset is None:
        return 0
    removed = 0
    for i in range(2, len(args)):
        if zset.remove(args[i]):
            removed += 1
            if zset.count == 0:
                break
    if removed:
        tell_of_removal(client, name, zset, removed, "zrem")
    return removed


def tell_of_removal(client: Client, name: bytes, zset: SortedSet, removed: int, event: str) -> None:
    """Tell of so many members that were removed, and delete the key if they were the last."""
    db = client.db
    is_over = zset.count == 0
    if is_over:
        db.delete(name)
    client.server.dirty += removed - 1
    db.modified(name, ZSET, event)
    if is_over:
        db.notify(name, GENERIC, "del")


@command(
    "ZPOPMIN",
    "key [count]",
    arity=-2,
    flags=WRITE | FAST,
    keys=[key(1, "RW ACCESS DELETE")],
    acl="SORTEDSET",
    since="5.0.0",
    complexity="O(log(N)*M) with N being the number of elements in the sorted set, and M being"
    " the number of elements popped.",
    summary="Takes the members with the lowest scores off a sorted set and returns them.",
)
def zpopmin(client: Client, args: Args) -> Reply:
    return _pop(client, args, False)


@command(
    "ZPOPMAX",
    "key [count]",
    arity=-2,
    flags=WRITE | FAST,
    keys=[key(1, "RW ACCESS DELETE")],
    acl="SORTEDSET",
    since="5.0.0",
    complexity="O(log(N)*M) with N being the number of elements in the sorted set, and M being"
    " the number of elements popped.",
    summary="Takes the members with the highest scores off a sorted set and returns them.",
)
def zpopmax(client: Client, args: Args) -> Reply:
    return _pop(client, args, True)


def _pop(client: Client, args: Args, last: bool) -> Reply:
    """Return one member and its score; with a count as many pairs, which RESP3 nests."""
    if len(args) > 3:
        raise RedisError(SYNTAX)
    limit = -1
    if len(args) == 3:
        limit = read_integer_in(args[2], 0, INTEGER_MAX, _NOT_POSITIVE)
    name = args[1]
    zset = zset_value(client.db.lookup_write(name))
    if zset is None or limit == 0:
        return []
    if limit < 0:
        member, score = zset.pop(last)
        tell_of_pops(client, name, zset, 1, last)
        return [member, score]
    popped: list[tuple[bytes, float]] = []
    for _ in range(min(limit, zset.count)):
        popped.append(zset.pop(last))
    tell_of_pops(client, name, zset, len(popped), last)
    return Pairs(popped)


def tell_of_pops(client: Client, name: bytes, zset: SortedSet, popped: int, last: bool) -> None:
    """Tell of so many members that were popped, and delete the key if they were the last."""
    db = client.db
    client.server.dirty += popped - 1
    db.modified(name, ZSET, "zpopmax" if last else "zpopmin")
    if zset.count == 0:
        db.delete(name)
        db.notify(name, GENERIC, "del")


# -- asking


@command(
    "ZCARD",
    "key",
    arity=2,
    flags=READONLY | FAST,
    keys=[key(1, "RO")],
    acl="SORTEDSET",
    since="1.2.0",
    complexity="O(1)",
    summary="Counts the members of a sorted set.",
)
def zcard(client: Client, args: Args) -> Reply:
    zset = zset_value(client.db.lookup_read(args[1]))
    return 0 if zset is None else zset.count


@command(
    "ZSCORE",
    "key member",
    arity=3,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="1.2.0",
    complexity="O(1)",
    summary="Returns the score of a member of a sorted set.",
)
def zscore(client: Client, args: Args) -> Reply:
    zset = zset_value(client.db.lookup_read(args[1]))
    return None if zset is None else zset.get(args[2])


@command(
    "ZMSCORE",
    "key member...",
    arity=-3,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="6.2.0",
    complexity="O(N) where N is the number of members being requested.",
    summary="Returns the scores of members of a sorted set.",
)
def zmscore(client: Client, args: Args) -> Reply:
    zset = zset_value(client.db.lookup_read(args[1]))
    scores: list[Reply] = []
    for i in range(2, len(args)):
        scores.append(None if zset is None else zset.get(args[i]))
    return scores


@command(
    "ZRANK",
    "key member [WITHSCORE]",
    arity=-3,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="2.0.0",
    complexity="O(log(N))",
    summary="Returns how many members of a sorted set have lower scores than one of them.",
)
def zrank(client: Client, args: Args) -> Reply:
    return _rank(client, args, False)


@command(
    "ZREVRANK",
    "key member [WITHSCORE]",
    arity=-3,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="2.0.0",
    complexity="O(log(N))",
    summary="Returns how many members of a sorted set have higher scores than one of them.",
)
def zrevrank(client: Client, args: Args) -> Reply:
    return _rank(client, args, True)


def _rank(client: Client, args: Args, reverse: bool) -> Reply:
    """Return a rank, or with WITHSCORE rank and score; null, or a null array, if there is none."""
    with_score = len(args) > 3
    if with_score:
        if len(args) > 4:
            raise wrong_arity("zrevrank" if reverse else "zrank")
        if option_name(args[3]) != b"WITHSCORE":
            raise RedisError(SYNTAX)
    zset = zset_value(client.db.lookup_read(args[1]))
    rank = -1 if zset is None else zset.rank(args[2])
    if zset is None or rank < 0:
        return NULL_ARRAY if with_score else None
    if reverse:
        rank = zset.count - 1 - rank
    return [rank, zset.get(args[2])] if with_score else rank
