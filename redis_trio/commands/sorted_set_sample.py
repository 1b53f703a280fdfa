"""Members of a sorted set in no order: ZRANDMEMBER and ZSCAN.

A random member is the one at a random rank.

Source: Redis t_zset.c zrandmemberWithCountCommand; db.c scanGenericCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer_in
from redis_trio.command import READONLY, group, key
from redis_trio.commands.generic import ScanOptions, read_cursor
from redis_trio.commands.sorted_set import zset_value
from redis_trio.data.numbers import INTEGER_MAX, format_double
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.output_limits import cannot_take
from redis_trio.protocol.reply import NO_REPLY, Pairs, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from random import Random

    from redis_trio.client import Client
    from redis_trio.data.sorted_set import SortedSet

command = group("sorted_set")

SAMPLE_FACTOR: Final = 3  # of more than a third of a set all members are taken out first
_OUT_OF_RANGE: Final = (
    f"ERR value is out of range, value must between {-INTEGER_MAX} and {INTEGER_MAX}"
)


def _random_rank(size: int, rng: Random) -> int:
    return int(rng.random() * size)


def _pick(zset: SortedSet, count: int, rng: Random) -> list[tuple[bytes, float]]:
    """Return `count` members in random order, the same one several times by chance."""
    size = zset.count
    if zset.table is None:
        items = zset.all_items()
        return [items[_random_rank(size, rng)] for _ in range(count)]
    return [zset.item_at(_random_rank(size, rng)) for _ in range(count)]


def _sample(zset: SortedSet, count: int, rng: Random) -> list[tuple[bytes, float]]:
    """Return `count` different members, fewer than there are, any choice of so many alike.

    Those of a listpack come in its order.
    """
    ranks = rng.sample(range(zset.count), count)
    if zset.table is None:
        ranks.sort()
    elif count * SAMPLE_FACTOR <= zset.count:
        return [zset.item_at(rank) for rank in ranks]
    items = zset.all_items()
    return [items[rank] for rank in ranks]


@command(
    "ZRANDMEMBER",
    "key [count [WITHSCORES]]:options",
    arity=-2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="6.2.0",
    complexity="O(N) where N is the number of members returned",
    summary="Picks members of a sorted set at random.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def zrandmember(client: Client, args: Args) -> Reply:
    """Return one random member, or so many different ones, or -count ones with repetitions."""
    rng = client.server.rng
    if len(args) == 2:
        zset = zset_value(client.db.lookup_read(args[1]))
        return None if zset is None else zset.item_at(_random_rank(zset.count, rng))[0]
    count = read_integer_in(args[2], -INTEGER_MAX - 1, INTEGER_MAX)
    if count < -INTEGER_MAX:
        raise RedisError(_OUT_OF_RANGE)
    withscores = len(args) == 4 and option_name(args[3]) == b"WITHSCORES"
    if len(args) > 3 and not withscores:
        raise RedisError(SYNTAX)
    if withscores and abs(count) > INTEGER_MAX // 2:
        raise RedisError("ERR value is out of range")
    zset = zset_value(client.db.lookup_read(args[1]))
    if zset is None or count == 0:
        return []
    if count < 0 and cannot_take(client, -count):
        return NO_REPLY
    if count < 0 or count == 1:
        items = _pick(zset, abs(count), rng)
    elif count >= zset.count:
        items = zset.items(0, zset.end(), True)
    else:
        items = _sample(zset, count, rng)
    if withscores:
        return Pairs(items)
    return [member for member, _ in items]


@command(
    "ZSCAN",
    "key cursor [MATCH pattern] [COUNT count]",
    arity=-3,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="SORTEDSET",
    since="2.8.0",
    complexity=(
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for "
        "the cursor to return back to 0. N is the number of elements inside the collection."
    ),
    summary="Walks through a sorted set, a few members with each call.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def zscan(client: Client, args: Args) -> Reply:
    """Return the next cursor and some members, each followed by its score.

    Reply: the scores are bulk strings even in RESP3; those of a skiplist have 17 digits.
    """
    cursor = read_cursor(args[2])
    zset = zset_value(client.db.lookup_read(args[1]))
    if zset is None:
        return [b"0", []]
    options = ScanOptions(args, 3)
    table = zset.table
    if table is None:
        cursor = 0
        members = zset.members(0, zset.end())
    else:
        cursor, members = table.scan(cursor, options.count)
    found: list[Reply] = []
    for member in options.matching(members):
        score = zset.get(member)
        assert score is not None
        found.append(member)
        found.append(format_double(score) if table is None else b"%.17g" % score)
    return [b"%d" % cursor, found]
