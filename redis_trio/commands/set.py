"""Sets: members come, go, move, and are picked at random.

What combines several sets is in redis_trio/commands/set_operations.py.

Source: Redis t_set.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import read_integer, read_integer_in
from redis_trio.command import DENYOOM, FAST, READONLY, WRITE, group, key
from redis_trio.commands.generic import ScanOptions, read_cursor
from redis_trio.data.numbers import INTEGER_MAX
from redis_trio.data.set import Set, new_set
from redis_trio.errors import SYNTAX, WRONGTYPE, RedisError
from redis_trio.keyspace.database import GENERIC, SET
from redis_trio.output_limits import cannot_take
from redis_trio.protocol.reply import NO_REPLY, Reply, SetReply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("set")

SREM_BATCH: Final = 1024  # members of one SREM that is fed in place of SPOP


def set_value(value: object) -> Set | None:
    """Return the value found under a key if it is a set or None. Errors: WRONGTYPE."""
    if value is None or isinstance(value, Set):
        return value
    raise RedisError(WRONGTYPE)


@command(
    "SADD",
    "key member...",
    arity=-3,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW INSERT")],
    acl="SET",
    since="1.0.0",
    complexity="O(1) for each element added, so O(N) to add N elements when the command is called"
    " with multiple arguments.",
    summary="Adds members to a set; returns how many were not there yet.",
)
def sadd(client: Client, args: Args) -> Reply:
    db = client.db
    name = args[1]
    server = client.server
    thresholds = server.thresholds
    count = len(args)
    value = db.lookup_write(name)
    if value is None:
        value = new_set(args[2], count - 2, thresholds)
        db.set(name, value)
    elif not isinstance(value, Set):
        raise RedisError(WRONGTYPE)
    elif count > 3:
        value.expect(count - 2, thresholds)
    added = 0
    for i in range(2, count):
        if value.add(args[i], thresholds):
            added += 1
    if added:
        db.modified(name, SET, "sadd")
        server.dirty += added - 1
    return added


@command(
    "SREM",
    "key member...",
    arity=-3,
    flags=WRITE | FAST,
    keys=[key(1, "RW DELETE")],
    acl="SET",
    since="1.0.0",
    complexity="O(N) where N is the number of members to be removed.",
    summary="Removes members from a set; returns how many were there.",
)
def srem(client: Client, args: Args) -> Reply:
    db = client.db
    name = args[1]
    value = set_value(db.lookup_write(name))
    if value is None:
        return 0
    removed = 0
    for i in range(2, len(args)):
        if value.remove(args[i]):
            removed += 1
            if len(value) == 0:
                break
    if removed:
        empty = len(value) == 0
        if empty:
            db.delete(name)
        db.modified(name, SET, "srem")
        if empty:
            db.notify(name, GENERIC, "del")
        client.server.dirty += removed - 1
    return removed


@command(
    "SMOVE",
    "source destination member",
    arity=4,
    flags=WRITE | FAST,
    keys=[key(1, "RW ACCESS DELETE"), key(2, "RW INSERT")],
    acl="SET",
    since="1.0.0",
    complexity="O(1)",
    summary="Moves a member from one set to another.",
)
def smove(client: Client, args: Args) -> Reply:
    db = client.db
    source_name, target_name, member = args[1], args[2], args[3]
    found = db.lookup_write(source_name)
    found_target = db.lookup_write(target_name)
    source = set_value(found)
    if source is None:
        return 0
    target = set_value(found_target)
    if target is source:
        return 1 if source.has(member) else 0
    if not source.remove(member):
        return 0
    db.notify(source_name, SET, "srem")
    if len(source) == 0:
        db.delete(source_name)
        db.notify(source_name, GENERIC, "del")
    thresholds = client.server.thresholds
    if target is None:
        target = new_set(member, 1, thresholds)
        db.set(target_name, target)
    db.signal(source_name)
    client.server.dirty += 1
    if target.add(member, thresholds):
        db.modified(target_name, SET, "sadd")
    return 1


@command(
    "SISMEMBER",
    "key member",
    arity=3,
    flags=READONLY | FAST,
    keys=[key(1, "RO")],
    acl="SET",
    since="1.0.0",
    complexity="O(1)",
    summary="Tells whether a member is in a set.",
)
def sismember(client: Client, args: Args) -> Reply:
    value = set_value(client.db.lookup_read(args[1]))
    return 1 if value is not None and value.has(args[2]) else 0


@command(
    "SMISMEMBER",
    "key member...",
    arity=-3,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="SET",
    since="6.2.0",
    complexity="O(N) where N is the number of elements being checked for membership",
    summary="Tells of several members whether each is in a set.",
)
def smismember(client: Client, args: Args) -> Reply:
    value = set_value(client.db.lookup_read(args[1]))
    replies: list[Reply] = []
    for i in range(2, len(args)):
        replies.append(1 if value is not None and value.has(args[i]) else 0)
    return replies


@command(
    "SCARD",
    "key",
    arity=2,
    flags=READONLY | FAST,
    keys=[key(1, "RO")],
    acl="SET",
    since="1.0.0",
    complexity="O(1)",
    summary="Counts the members of a set.",
)
def scard(client: Client, args: Args) -> Reply:
    value = set_value(client.db.lookup_read(args[1]))
    return 0 if value is None else len(value)


@command(
    "SMEMBERS",
    "key",
    arity=2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="SET",
    since="1.0.0",
    complexity="O(N) where N is the set cardinality.",
    summary="Returns all members of a set.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def smembers(client: Client, args: Args) -> Reply:
    value = set_value(client.db.lookup_read(args[1]))
    return SetReply([] if value is None else value.members())


# -- random members


@command(
    "SPOP",
    "key [count]@3.2.0",
    arity=-2,
    flags=WRITE | FAST,
    keys=[key(1, "RW ACCESS DELETE")],
    acl="SET",
    since="1.0.0",
    complexity="Without the count argument O(1), otherwise O(N) where N is the value of the passed"
    " count.",
    summary="Removes members chosen at random from a set and returns them.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def spop(client: Client, args: Args) -> Reply:
    """Reply: one member, null if there is no such set; with a count a set of members."""
    if len(args) > 2:
        if len(args) > 3:
            raise RedisError(SYNTAX)
        return _spop_count(client, args)
    db = client.db
    name = args[1]
    value = db.lookup_write(name)
    if value is None:
        return None
    if not isinstance(value, Set):
        raise RedisError(WRONGTYPE)
    server = client.server
    member = value.pop_random(server.rng)
    if server.feed.active:
        server.feed.rewrite([b"SREM", name, member])
    if len(value):
        db.modified(name, SET, "spop")
    else:
        db.notify(name, SET, "spop")
        db.delete(name)
        db.notify(name, GENERIC, "del")
        db.signal(name)
        server.dirty += 1
    return member


def _spop_count(client: Client, args: Args) -> Reply:
    count = read_integer_in(args[2], 0, INTEGER_MAX, "ERR value is out of range, must be positive")
    db = client.db
    name = args[1]
    value = set_value(db.lookup_write(name))
    if value is None or count == 0:
        return SetReply([])
    server = client.server
    size = len(value)
    db.notify(name, SET, "spop")
    server.dirty += min(count, size)
    feed = server.feed
    if count >= size:
        members = _as_united(client, name)
        db.delete(name)
        db.notify(name, GENERIC, "del")
        lazily = server.config.lazyfree_lazy_server_del
        feed.rewrite([b"UNLINK" if lazily else b"DEL", name])
    else:
        members = value.pop_sample(count, server.rng, server.thresholds)
        if feed.active:
            feed.rewrite(
                *[
                    [b"SREM", name, *members[start : start + SREM_BATCH]]
                    for start in range(0, count, SREM_BATCH)
                ]
            )
    db.signal(name)
    return SetReply(members)


def _as_united(client: Client, name: bytes) -> list[bytes]:
    """Return all members as SUNION of the one key does, which SPOP calls: leading integers sorted.

    Like that it counts as a lookup of its own.
    """
    value = set_value(client.db.lookup_read(name))
    assert value is not None
    members = value.members()
    thresholds = client.server.thresholds
    if len(members) > max(thresholds.set_intset, thresholds.set_entries):
        return members
    union = Set()
    for member in members:
        union.add(member, thresholds)
    return union.members()


@command(
    "SRANDMEMBER",
    "key [count]@2.6.0",
    arity=-2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="SET",
    since="1.0.0",
    complexity="Without the count argument O(1), otherwise O(N) where N is the absolute value of"
    " the passed count.",
    summary="Returns members of a set chosen at random.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def srandmember(client: Client, args: Args) -> Reply:
    """Reply: one member, null if there is no such set; with a count an array.

    A negative count asks for so many choices, which may be the same several times.
    """
    if len(args) > 3:
        raise RedisError(SYNTAX)
    rng = client.server.rng
    if len(args) == 2:
        value = set_value(client.db.lookup_read(args[1]))
        return None if value is None else value.random(rng)
    count = read_integer(args[2])
    if count < -INTEGER_MAX:
        raise RedisError(
            f"ERR value is out of range, value must between {-INTEGER_MAX} and {INTEGER_MAX}"
        )
    value = set_value(client.db.lookup_read(args[1]))
    if value is None or count == 0:
        return []
    if count < 0:
        return NO_REPLY if cannot_take(client, -count) else value.pick(-count, rng)
    if count >= len(value):
        return value.members()
    return [value.random(rng)] if count == 1 else value.sample(count, rng)


@command(
    "SSCAN",
    "key cursor [MATCH pattern] [COUNT count]",
    arity=-3,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="SET",
    since="2.8.0",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command calls"
    " for the cursor to return back to 0. N is the number of elements inside the collection.",
    summary="Walks through the members of a set, a few with each call.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def sscan(client: Client, args: Args) -> Reply:
    """Return the next cursor and some members; all at once of a set that is no hash table."""
    cursor = read_cursor(args[2])
    value = set_value(client.db.lookup_read(args[1]))
    if value is None:
        return [b"0", []]
    options = ScanOptions(args, 3)
    cursor, found = value.scan(cursor, options.count)
    return [b"%d" % cursor, options.matching(found)]
