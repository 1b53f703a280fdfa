"""Taking members off the first of several sorted sets that is there, or waiting for one.

Fed as ZPOPMIN and ZPOPMAX, with the number of members that there were.

Source: Redis t_zset.c genericZpopCommand, blockingGenericZpopCommand, zmpopGenericCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer_in, read_timeout
from redis_trio.blocking import Block, block_on_keys
from redis_trio.command import BLOCKING, FAST, WRITE, group, key, keynum
from redis_trio.commands.sorted_set import tell_of_pops, zset_value
from redis_trio.data.numbers import INTEGER_MAX
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.protocol.reply import NULL_ARRAY, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.data.sorted_set import SortedSet

command = group("sorted_set")

_FROM_END: Final = {b"MIN": False, b"MAX": True}
"""What says which end of a set is meant: whether it is the one of the greatest scores."""


def _first(client: Client, names: Args) -> tuple[bytes, SortedSet] | None:
    """Return the first key that is there, and its set. Errors: WRONGTYPE."""
    db = client.db
    for name in names:
        zset = zset_value(db.lookup_write(name))
        if zset is not None:
            return name, zset
    return None


def _pop(
    client: Client, name: bytes, zset: SortedSet, last: bool, count: int
) -> list[tuple[bytes, float]]:
    """Take up to `count` members off one end, and tell of it."""
    popped: list[tuple[bytes, float]] = []
    for _ in range(min(count, zset.count)):
        popped.append(zset.pop(last))
    tell_of_pops(client, name, zset, len(popped), last)
    return popped


def _block_or_pop_one(client: Client, args: Args, last: bool) -> Reply | Block:
    """BZPOPMIN and BZPOPMAX."""
    names = args[1:-1]
    timeout_s = read_timeout(args[-1], 1000, client.server.clock.now_ms)
    found = _first(client, names)
    if found is None:
        return block_on_keys(client, names, b"zset", timeout_s, NULL_ARRAY)
    name, zset = found
    member, score = _pop(client, name, zset, last, 1)[0]
    client.server.feed.rewrite([b"ZPOPMAX" if last else b"ZPOPMIN", name])
    return [name, member, score]


@command(
    "BZPOPMIN",
    "key... timeout",
    arity=-3,
    flags=WRITE | FAST | BLOCKING,
    keys=[key(1, "RW ACCESS DELETE", last=-2)],
    acl="SORTEDSET",
    since="5.0.0",
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    summary="Takes the member with the lowest score off a sorted set, or waits until there is one.",
)
def bzpopmin(client: Client, args: Args) -> Reply | Block:
    """Return [key, member, score], a null array after the timeout (seconds; 0: for ever)."""
    return _block_or_pop_one(client, args, False)


@command(
    "BZPOPMAX",
    "key... timeout",
    arity=-3,
    flags=WRITE | FAST | BLOCKING,
    keys=[key(1, "RW ACCESS DELETE", last=-2)],
    acl="SORTEDSET",
    since="5.0.0",
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    summary="Takes the member with the highest score off a sorted set, or waits until there is"
    " one.",
)
def bzpopmax(client: Client, args: Args) -> Reply | Block:
    """Return [key, member, score], a null array after the timeout (seconds; 0: for ever)."""
    return _block_or_pop_one(client, args, True)


class _Request:
    """What ZMPOP and BZMPOP say."""

    __slots__ = ("count", "last", "names")

    def __init__(self, args: Args, first: int) -> None:
        """Read the arguments from the number of keys, `args[first]`, on."""
        message = "ERR numkeys should be greater than 0"
        where = first + 1 + read_integer_in(args[first], 1, INTEGER_MAX, message)
        if where >= len(args):
            raise RedisError(SYNTAX)
        last = _FROM_END.get(option_name(args[where]))
        if last is None:
            raise RedisError(SYNTAX)
        self.last = last
        self.names = args[first + 1 : where]
        self.count = 1
        if len(args) == where + 1:
            return
        if option_name(args[where + 1]) != b"COUNT" or len(args) == where + 2:
            raise RedisError(SYNTAX)
        message = "ERR count should be greater than 0"
        self.count = read_integer_in(args[where + 2], 1, INTEGER_MAX, message)
        if len(args) > where + 3:
            raise RedisError(SYNTAX)


def _pop_many(client: Client, request: _Request) -> Reply:
    """Take members off the first set that is there; a null array if there is none."""
    found = _first(client, request.names)
    if found is None:
        return NULL_ARRAY
    name, zset = found
    popped = _pop(client, name, zset, request.last, request.count)
    client.server.feed.rewrite(
        [b"ZPOPMAX" if request.last else b"ZPOPMIN", name, b"%d" % len(popped)]
    )
    return [name, popped]


@command(
    "ZMPOP",
    "numkeys key... <MIN | MAX>:where [COUNT count]",
    arity=-4,
    flags=WRITE,
    keys=[keynum(1, "RW ACCESS DELETE")],
    acl="SORTEDSET",
    since="7.0.0",
    complexity=(
        "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of "
        "elements in the sorted set, and M being the number of elements popped."
    ),
    summary="Takes members off one end of the first of several sorted sets that is there.",
)
def zmpop(client: Client, args: Args) -> Reply:
    """Return [key, [[member, score], ...]], a null array if there is no such set."""
    return _pop_many(client, _Request(args, 1))


@command(
    "BZMPOP",
    "timeout numkeys key... <MIN | MAX>:where [COUNT count]",
    arity=-5,
    flags=WRITE | BLOCKING,
    keys=[keynum(2, "RW ACCESS DELETE")],
    acl="SORTEDSET",
    since="7.0.0",
    complexity=(
        "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of "
        "elements in the sorted set, and M being the number of elements popped."
    ),
    summary="Takes members off one end of a sorted set, or waits until there is one.",
)
def bzmpop(client: Client, args: Args) -> Reply | Block:
    """Return what ZMPOP does, a null array after the timeout (seconds; 0: for ever)."""
    request = _Request(args, 2)
    timeout_s = read_timeout(args[1], 1000, client.server.clock.now_ms)
    reply = _pop_many(client, request)
    if reply is NULL_ARRAY:
        return block_on_keys(client, request.names, b"zset", timeout_s, NULL_ARRAY)
    return reply
