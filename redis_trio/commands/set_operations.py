"""Intersection, union and difference of sets, returned or stored.

An intersection walks through the smallest set and asks the others. A difference is made in the
cheaper of two ways: ask every other set for each member of the first, or take the members of all
others out of a copy of the first. A union and a difference grow as a set of their own, so that the
order of the members, and the encoding of what is stored, are what they are in Redis.

Source: Redis t_set.c sinterGenericCommand, sunionDiffGenericCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_trio.args import option_name, read_integer_in
from redis_trio.command import DENYOOM, READONLY, WRITE, group, key, keynum
from redis_trio.commands.set import set_value
from redis_trio.data.numbers import INTEGER_MAX, parse_integer
from redis_trio.data.set import Set, listpack_set
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.keyspace.database import GENERIC, SET
from redis_trio.protocol.reply import Reply, SetReply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("set")


def _lookup(client: Client, args: Args, start: int, end: int) -> list[Set | None]:
    """Return the sets under the keys `args[start:end]`, None for a missing one."""
    db = client.db
    return [set_value(db.lookup_read(args[i])) for i in range(start, end)]


def _store(client: Client, target: bytes, result: Set, event: str) -> int:
    """Have `target` hold the result, or nothing if it is empty; return its size."""
    db = client.db
    size = len(result)
    if size:
        db.replace(target, result)
        db.modified(target, SET, event)
    elif db.delete(target):
        db.modified(target, GENERIC, "del")
    return size


# -- intersection


def _by_size(sets: list[Set | None]) -> list[Set]:
    """Return the sets, the smallest first; nothing if one is missing: the intersection is empty."""
    found: list[Set] = []
    for item in sets:
        if item is None:
            return []
        found.append(item)
    found.sort(key=len)
    return found


def _is_in_all(member: bytes, others: list[Set]) -> bool:
    for other in others:  # noqa: SIM110  (all() would need a generator for each member)
        if not other.has(member):
            return False
    return True


def _others(sets: list[Set]) -> list[Set]:
    """Return the sets that are not the first."""
    first = sets[0]
    return [item for item in sets[1:] if item is not first]


def _intersection(sets: list[Set]) -> list[bytes]:
    """Return what is in all of the sets, which are sorted by size."""
    if not sets:
        return []
    others = _others(sets)
    found: list[bytes] = []
    for chunk in sets[0].chunks():
        if others:
            found += [member for member in chunk if _is_in_all(member, others)]
        else:
            found.extend(chunk)
    return found


def _intersection_count(sets: list[Set], limit: int) -> int:
    """Return how many members are in all of the sets; `limit` (0: none) is enough."""
    if not sets:
        return 0
    others = _others(sets)
    count = 0
    for chunk in sets[0].chunks():
        for member in chunk:
            if _is_in_all(member, others):
                count += 1
                if count == limit:
                    return count
    return count


@command(
    "SINTER",
    "key...",
    arity=-2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS", last=-1)],
    acl="SET",
    since="1.0.0",
    complexity="O(N*M) worst case where N is the cardinality of the smallest set and M is the"
    " number of sets.",
    summary="Returns the intersection of sets.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def sinter(client: Client, args: Args) -> Reply:
    return SetReply(_intersection(_by_size(_lookup(client, args, 1, len(args)))))


@command(
    "SINTERCARD",
    "numkeys key... [LIMIT limit]",
    arity=-3,
    flags=READONLY,
    keys=[keynum(1, "RO ACCESS")],
    acl="SET",
    since="7.0.0",
    complexity="O(N*M) worst case where N is the cardinality of the smallest set and M is the"
    " number of sets.",
    summary="Counts the members of the intersection of sets, up to a limit.",
)
def sintercard(client: Client, args: Args) -> Reply:
    numkeys = read_integer_in(args[1], 1, INTEGER_MAX, "ERR numkeys should be greater than 0")
    if numkeys > len(args) - 2:
        raise RedisError("ERR Number of keys can't be greater than number of args")
    limit = 0
    i = 2 + numkeys
    while i < len(args):
        if option_name(args[i]) != b"LIMIT" or i + 1 == len(args):
            raise RedisError(SYNTAX)
        limit = read_integer_in(args[i + 1], 0, INTEGER_MAX, "ERR LIMIT can't be negative")
        i += 2
    return _intersection_count(_by_size(_lookup(client, args, 2, 2 + numkeys)), limit)


@command(
    "SINTERSTORE",
    "destination key...",
    arity=-3,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW UPDATE"), key(2, "RO ACCESS", last=-1)],
    acl="SET",
    since="1.0.0",
    complexity="O(N*M) worst case where N is the cardinality of the smallest set and M is the"
    " number of sets.",
    summary="Stores the intersection of sets; returns its size.",
)
def sinterstore(client: Client, args: Args) -> Reply:
    """A result of integers only is stored as an intset if it is not too big for one."""
    sets = _by_size(_lookup(client, args, 2, len(args)))
    thresholds = client.server.thresholds
    is_intset = len(sets) > 0 and sets[0].encoding() == b"intset"
    result = Set() if is_intset else listpack_set()
    only_integers = True
    for member in _intersection(sets):
        if only_integers and parse_integer(member) is None:
            only_integers = False
        result.add(member, thresholds)
    if only_integers:
        result.become_intset(thresholds)
    return _store(client, args[1], result, "sinterstore")


# -- union


def _union(client: Client, sets: list[Set | None]) -> Set:
    thresholds = client.server.thresholds
    result = Set()
    for item in sets:
        if item is not None:
            for chunk in item.chunks():
                for member in chunk:
                    result.add(member, thresholds)
    return result


@command(
    "SUNION",
    "key...",
    arity=-2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS", last=-1)],
    acl="SET",
    since="1.0.0",
    complexity="O(N) where N is the total number of elements in all given sets.",
    summary="Returns the union of sets.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def sunion(client: Client, args: Args) -> Reply:
    return SetReply(_union(client, _lookup(client, args, 1, len(args))).members())


@command(
    "SUNIONSTORE",
    "destination key...",
    arity=-3,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW UPDATE"), key(2, "RO ACCESS", last=-1)],
    acl="SET",
    since="1.0.0",
    complexity="O(N) where N is the total number of elements in all given sets.",
    summary="Stores the union of sets; returns its size.",
)
def sunionstore(client: Client, args: Args) -> Reply:
    result = _union(client, _lookup(client, args, 2, len(args)))
    return _store(client, args[1], result, "sunionstore")


# -- difference


def _difference(client: Client, sets: list[Set | None]) -> Set:
    first = sets[0]
    others = [item for item in sets[1:] if item is not None]
    if first is None or first in others:
        return Set()
    size = len(first)
    if size * (1 + len(others)) // 2 <= size + sum([len(item) for item in others]):
        return _difference_by_asking(client, first, others)
    return _difference_by_removing(client, first, others)


def _difference_by_asking(client: Client, first: Set, others: list[Set]) -> Set:
    """O(size of the first * number of sets); the biggest of the others is asked first."""
    thresholds = client.server.thresholds
    others.sort(key=len, reverse=True)
    result = Set()
    for chunk in first.chunks():
        for member in chunk:
            for other in others:
                if other.has(member):
                    break
            else:
                result.add(member, thresholds)
    return result


def _difference_by_removing(client: Client, first: Set, others: list[Set]) -> Set:
    """O(size of all sets together)."""
    result = _union(client, [first])
    for other in others:
        for chunk in other.chunks():
            for member in chunk:
                result.remove(member)
        if len(result) == 0:
            break
    return result


@command(
    "SDIFF",
    "key...",
    arity=-2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS", last=-1)],
    acl="SET",
    since="1.0.0",
    complexity="O(N) where N is the total number of elements in all given sets.",
    summary="Returns the members of the first set that are in none of the others.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def sdiff(client: Client, args: Args) -> Reply:
    return SetReply(_difference(client, _lookup(client, args, 1, len(args))).members())


@command(
    "SDIFFSTORE",
    "destination key...",
    arity=-3,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW UPDATE"), key(2, "RO ACCESS", last=-1)],
    acl="SET",
    since="1.0.0",
    complexity="O(N) where N is the total number of elements in all given sets.",
    summary="Stores the members of the first set that are in none of the others.",
)
def sdiffstore(client: Client, args: Args) -> Reply:
    result = _difference(client, _lookup(client, args, 2, len(args)))
    return _store(client, args[1], result, "sdiffstore")
