"""Deadlines of single fields of a hash: setting, reading and removing them.

A deadline is kept, and fed, as an absolute time in milliseconds. One that is past already deletes
the field. What happens to each field is told by a number of its own in the reply.

Source: Redis t_hash.c hexpireGenericCommand, httlGenericCommand, hpersistCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer, read_integer_in
from redis_trio.command import DENYOOM, FAST, READONLY, WRITE, group, key
from redis_trio.commands.hash import hash_value
from redis_trio.data.expires import NEVER
from redis_trio.data.hash import Hash
from redis_trio.data.numbers import INTEGER_MAX
from redis_trio.errors import RedisError
from redis_trio.keyspace.database import GENERIC, HASH
from redis_trio.keyspace.field_expiry import delete_field
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("hash")

DEADLINE_MAX: Final = (1 << 46) - 1  # ms since the epoch

# What the replies tell of a field.
NO_FIELD: Final = -2
NO_DEADLINE: Final = -1
NOT_ALLOWED: Final = 0  # by NX, XX, GT or LT
DONE: Final = 1
DELETED: Final = 2  # for the deadline was past

_CONDITIONS: Final = (b"NX", b"XX", b"GT", b"LT")


def _read_fields(args: Args, at: int, message: str) -> list[bytes]:
    """Return the fields behind FIELDS, which stands at `at`, and their number.

    Errors: Redis's; `message` for a number that is none or is not positive.
    """
    if option_name(args[at]) != b"FIELDS":
        raise RedisError("ERR Mandatory argument FIELDS is missing or not at the right position")
    count = read_integer_in(args[at + 1], 1, INTEGER_MAX, message)
    fields = args[at + 2 :]
    if count != len(fields):
        raise RedisError("ERR The `numfields` parameter must match the number of arguments")
    return fields


# -- setting


def _allows(condition: bytes, old_ms: int, when_ms: int) -> bool:
    """Return whether a condition lets a deadline replace `old_ms`; without one it is infinite."""
    if condition == b"NX":
        return old_ms == NEVER
    if condition == b"XX":
        return old_ms != NEVER
    if condition == b"GT":
        return old_ms != NEVER and when_ms > old_ms
    return old_ms == NEVER or when_ms < old_ms  # LT


def _read_deadline(client: Client, arg: bytes, base_ms: int, unit_ms: int) -> int:
    """Return the deadline (ms since the epoch), `base_ms` plus so many units."""
    when_ms = read_integer(arg) * unit_ms
    if when_ms < 0:
        raise RedisError("ERR invalid expire time, must be >= 0")
    if when_ms > DEADLINE_MAX - base_ms:
        name = "" if client.command is None else client.command.fullname
        raise RedisError(f"ERR invalid expire time in '{name}' command")
    return when_ms + base_ms


def _expire(client: Client, args: Args, base_ms: int, unit_ms: int) -> Reply:
    """Set the deadline of fields, in Redis's order of checks."""
    db = client.db
    name = args[1]
    value = hash_value(db.lookup_write(name))
    when_ms = _read_deadline(client, args[2], base_ms, unit_ms)
    condition = option_name(args[3])
    at = 3
    if condition in _CONDITIONS:
        at = 4
    else:
        condition = b""
    fields = _read_fields(args, at, "ERR Parameter `numFields` should be greater than 0")
    if value is None:
        return [NO_FIELD] * len(fields)
    deadlines = value.keep_deadlines()
    past = client.server.is_past(when_ms)
    results: list[int] = []
    changed: list[bytes] = []
    for field in fields:
        if value.get(field) is None:
            results.append(NO_FIELD)
        elif condition and not _allows(condition, deadlines.get(field), when_ms):
            results.append(NOT_ALLOWED)
        else:
            changed.append(field)
            if past:
                delete_field(db, name, value, field)
                results.append(DELETED)
            else:
                deadlines.set(field, when_ms)
                results.append(DONE)
    if past:
        client.server.feed.rewrite()  # each deletion is fed already
    else:
        value.put_in_order(changed, when_ms)
        _feed(client, args, at, when_ms, changed)
    if changed:
        _tell(client, name, value, len(changed), past)
    return results


def _feed(client: Client, args: Args, at: int, when_ms: int, changed: list[bytes]) -> None:
    """Have what was changed fed, with an absolute time."""
    feed = client.server.feed
    if feed.active:
        first = args[0] if option_name(args[0]) == b"HPEXPIREAT" else b"HPEXPIREAT"
        number = b"%d" % len(changed)
        feed.rewrite([first, args[1], b"%d" % when_ms, *args[3 : at + 1], number, *changed])


def _tell(client: Client, name: bytes, value: Hash, changes: int, past: bool) -> None:
    """Tell that fields got a deadline, or were deleted because it was past."""
    db = client.db
    client.server.dirty += changes - 1
    if len(value) == 0:
        db.delete(name)
        db.modified(name, HASH, "hdel")
        db.notify(name, GENERIC, "del")
        return
    db.modified(name, HASH, "hdel" if past else "hexpire")
    db.track_fields(name, value)


@command(
    "HEXPIRE",
    "key seconds [NX | XX | GT | LT] FIELDS (numfields field...)",
    arity=-6,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="HASH",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    summary="Lets fields of a hash expire in so many seconds.",
)
def hexpire(client: Client, args: Args) -> Reply:
    """Reply: for each field 1: done, 0: not allowed, 2: deleted at once, -2: no such field."""
    return _expire(client, args, client.server.clock.now_ms, 1000)


@command(
    "HPEXPIRE",
    "key milliseconds [NX | XX | GT | LT] FIELDS (numfields field...)",
    arity=-6,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="HASH",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    summary="Lets fields of a hash expire in so many milliseconds.",
)
def hpexpire(client: Client, args: Args) -> Reply:
    """Reply: as of HEXPIRE."""
    return _expire(client, args, client.server.clock.now_ms, 1)


@command(
    "HEXPIREAT",
    "key unix-time-seconds [NX | XX | GT | LT] FIELDS (numfields field...)",
    arity=-6,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="HASH",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    summary="Lets fields of a hash expire at a moment, in seconds since 1970.",
)
def hexpireat(client: Client, args: Args) -> Reply:
    """Reply: as of HEXPIRE."""
    return _expire(client, args, 0, 1000)


@command(
    "HPEXPIREAT",
    "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS (numfields field...)",
    arity=-6,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="HASH",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    summary="Lets fields of a hash expire at a moment, in milliseconds since 1970.",
)
def hpexpireat(client: Client, args: Args) -> Reply:
    """Reply: as of HEXPIRE."""
    return _expire(client, args, 0, 1)


# -- reading


def _ttl(client: Client, args: Args, base_ms: int, unit_ms: int) -> Reply:
    """Return the deadlines of fields, counted from `base_ms` and rounded up to units."""
    value = hash_value(client.db.lookup_read(args[1]))
    fields = _read_fields(args, 2, "ERR Number of fields must be a positive integer")
    if value is None:
        return [NO_FIELD] * len(fields)
    now_ms = client.server.clock.now_ms
    results: list[int] = []
    for field in fields:
        when_ms = value.deadline(field)
        if value.get(field) is None:
            results.append(NO_FIELD)
        elif when_ms == NEVER:
            results.append(NO_DEADLINE)
        elif when_ms <= now_ms:
            results.append(NO_FIELD)
        else:
            results.append((when_ms - base_ms + unit_ms - 1) // unit_ms)
    return results


@command(
    "HTTL",
    "key FIELDS (numfields field...)",
    arity=-5,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="HASH",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    summary="Tells in how many seconds fields of a hash expire.",
)
def httl(client: Client, args: Args) -> Reply:
    """Reply: for each field the time left, -1: no deadline, -2: no such field."""
    return _ttl(client, args, client.server.clock.now_ms, 1000)


@command(
    "HPTTL",
    "key FIELDS (numfields field...)",
    arity=-5,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="HASH",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    summary="Tells in how many milliseconds fields of a hash expire.",
)
def hpttl(client: Client, args: Args) -> Reply:
    """Reply: as of HTTL, in milliseconds."""
    return _ttl(client, args, client.server.clock.now_ms, 1)


@command(
    "HEXPIRETIME",
    "key FIELDS (numfields field...)",
    arity=-5,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="HASH",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    summary="Tells when fields of a hash expire, in seconds since 1970.",
)
def hexpiretime(client: Client, args: Args) -> Reply:
    """Reply: for each field the moment, -1: no deadline, -2: no such field."""
    return _ttl(client, args, 0, 1000)


@command(
    "HPEXPIRETIME",
    "key FIELDS (numfields field...)",
    arity=-5,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="HASH",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    summary="Tells when fields of a hash expire, in milliseconds since 1970.",
)
def hpexpiretime(client: Client, args: Args) -> Reply:
    """Reply: as of HEXPIRETIME, in milliseconds."""
    return _ttl(client, args, 0, 1)


# -- removing


@command(
    "HPERSIST",
    "key FIELDS (numfields field...)",
    arity=-5,
    flags=WRITE | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="HASH",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    summary="Takes the deadlines of fields of a hash away.",
)
def hpersist(client: Client, args: Args) -> Reply:
    """Reply: for each field 1: done, -1: it had no deadline, -2: no such field."""
    db = client.db
    value = hash_value(db.lookup_write(args[1]))
    fields = _read_fields(args, 2, "ERR Number of fields must be a positive integer")
    if value is None:
        return [NO_FIELD] * len(fields)
    server = client.server
    results: list[int] = []
    for field in fields:
        when_ms = value.deadline(field)
        if value.get(field) is None or (when_ms != NEVER and server.is_over(when_ms)):
            results.append(NO_FIELD)
        elif value.persist(field):
            results.append(DONE)
        else:
            results.append(NO_DEADLINE)
    if DONE in results:
        db.modified(args[1], HASH, "hpersist")
    return results
