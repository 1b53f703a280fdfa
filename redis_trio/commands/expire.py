"""Deadlines: setting, reading and removing them.

A deadline is kept, and fed, as an absolute time in milliseconds. One that is past already deletes
the key.

Source: Redis expire.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer
from redis_trio.command import FAST, READONLY, WRITE, group, key
from redis_trio.data.expires import NEVER
from redis_trio.data.numbers import INTEGER_MAX, INTEGER_MIN
from redis_trio.errors import RedisError
from redis_trio.keyspace.database import GENERIC
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("generic")

NX: Final = 1 << 0
XX: Final = 1 << 1
GT: Final = 1 << 2
LT: Final = 1 << 3

_OPTIONS: Final = {b"NX": NX, b"XX": XX, b"GT": GT, b"LT": LT}


def _read_options(args: Args) -> int:
    options = 0
    for arg in args[3:]:
        option = _OPTIONS.get(option_name(arg), 0)
        if not option:
            shown = arg.partition(b"\0")[0].decode("utf-8", "surrogateescape")
            raise RedisError(f"ERR Unsupported option {shown}")
        options |= option
    if options & NX and options & (XX | GT | LT):
        raise RedisError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if options & GT and options & LT:
        raise RedisError("ERR GT and LT options at the same time are not compatible")
    return options


def _allows(options: int, old_ms: int, when_ms: int) -> bool:
    """Return whether the options let a deadline replace `old_ms`; without one it is infinite."""
    if options & NX and old_ms != NEVER:
        return False
    if options & XX and old_ms == NEVER:
        return False
    if options & GT and (old_ms == NEVER or when_ms <= old_ms):
        return False
    return not (options & LT and old_ms != NEVER and when_ms >= old_ms)


def _expire(client: Client, args: Args, base_ms: int, unit_ms: int) -> int:
    """Set a deadline, `base_ms` plus so many units; return 1 if that was done.

    Source: expire.c expireGenericCommand, with the order of its checks.
    """
    options = _read_options(args)
    when_ms = read_integer(args[2]) * unit_ms
    if not INTEGER_MIN <= when_ms <= INTEGER_MAX - base_ms:
        name = "" if client.command is None else client.command.fullname
        raise RedisError(f"ERR invalid expire time in '{name}' command")
    when_ms += base_ms
    db = client.db
    name_ = args[1]
    if db.lookup_write(name_) is None:
        return 0
    if options and not _allows(options, db.expire_ms(name_), when_ms):
        return 0
    feed = client.server.feed
    if client.server.is_past(when_ms):
        db.unlink(name_)
        feed.rewrite([db.expiry_name(), name_])
        db.modified(name_, GENERIC, "del")
        return 1
    db.expire_at(name_, when_ms)
    if base_ms or unit_ms != 1:
        feed.rewrite([b"PEXPIREAT", name_, b"%d" % when_ms, *args[3:]])
    db.modified(name_, GENERIC, "expire")
    return 1


@command(
    "EXPIRE",
    "key seconds [NX | XX | GT | LT]@7.0.0",
    arity=-3,
    flags=WRITE | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="KEYSPACE",
    since="1.0.0",
    complexity="O(1)",
    summary="Lets a key expire in so many seconds.",
)
def expire(client: Client, args: Args) -> Reply:
    """Set a deadline in seconds from now; return 1 if it was set."""
    return _expire(client, args, client.server.clock.now_ms, 1000)


@command(
    "PEXPIRE",
    "key milliseconds [NX | XX | GT | LT]@7.0.0",
    arity=-3,
    flags=WRITE | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="KEYSPACE",
    since="2.6.0",
    complexity="O(1)",
    summary="Lets a key expire in so many milliseconds.",
)
def pexpire(client: Client, args: Args) -> Reply:
    """Set a deadline in milliseconds from now; return 1 if it was set."""
    return _expire(client, args, client.server.clock.now_ms, 1)


@command(
    "EXPIREAT",
    "key unix-time-seconds [NX | XX | GT | LT]@7.0.0",
    arity=-3,
    flags=WRITE | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="KEYSPACE",
    since="1.2.0",
    complexity="O(1)",
    summary="Lets a key expire at a moment, in seconds since 1970.",
)
def expireat(client: Client, args: Args) -> Reply:
    """Set a deadline in seconds since the epoch; return 1 if it was set."""
    return _expire(client, args, 0, 1000)


@command(
    "PEXPIREAT",
    "key unix-time-milliseconds [NX | XX | GT | LT]@7.0.0",
    arity=-3,
    flags=WRITE | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="KEYSPACE",
    since="2.6.0",
    complexity="O(1)",
    summary="Lets a key expire at a moment, in milliseconds since 1970.",
)
def pexpireat(client: Client, args: Args) -> Reply:
    """Set a deadline in milliseconds since the epoch; return 1 if it was set."""
    return _expire(client, args, 0, 1)


def _ttl(client: Client, args: Args, base_ms: int, unit_ms: int) -> int:
    """Return the deadline, counted from `base_ms` and rounded; -2 without the key, -1 without."""
    db = client.db
    if db.lookup_notouch(args[1]) is None:
        return -2
    when_ms = db.expire_ms(args[1])
    if when_ms == NEVER:
        return -1
    return (max(when_ms - base_ms, 0) + unit_ms // 2) // unit_ms


@command(
    "TTL",
    "key",
    arity=2,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="KEYSPACE",
    since="1.0.0",
    complexity="O(1)",
    summary="Tells in how many seconds a key expires.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def ttl(client: Client, args: Args) -> Reply:
    """Return the seconds that a key has left; -1: no deadline, -2: no key."""
    return _ttl(client, args, client.server.clock.now_ms, 1000)


@command(
    "PTTL",
    "key",
    arity=2,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="KEYSPACE",
    since="2.6.0",
    complexity="O(1)",
    summary="Tells in how many milliseconds a key expires.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def pttl(client: Client, args: Args) -> Reply:
    """Return the milliseconds that a key has left; -1: no deadline, -2: no key."""
    return _ttl(client, args, client.server.clock.now_ms, 1)


@command(
    "EXPIRETIME",
    "key",
    arity=2,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="KEYSPACE",
    since="7.0.0",
    complexity="O(1)",
    summary="Tells when a key expires, in seconds since 1970.",
)
def expiretime(client: Client, args: Args) -> Reply:
    """Return the deadline of a key in seconds; -1: no deadline, -2: no key."""
    return _ttl(client, args, 0, 1000)


@command(
    "PEXPIRETIME",
    "key",
    arity=2,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="KEYSPACE",
    since="7.0.0",
    complexity="O(1)",
    summary="Tells when a key expires, in milliseconds since 1970.",
)
def pexpiretime(client: Client, args: Args) -> Reply:
    """Return the deadline of a key in milliseconds; -1: no deadline, -2: no key."""
    return _ttl(client, args, 0, 1)


@command(
    "PERSIST",
    "key",
    arity=2,
    flags=WRITE | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="KEYSPACE",
    since="2.2.0",
    complexity="O(1)",
    summary="Takes the deadline of a key away.",
)
def persist(client: Client, args: Args) -> Reply:
    """Let a key live for ever; return 1 if it had a deadline."""
    db = client.db
    if db.lookup_write(args[1]) is None or not db.persist(args[1]):
        return 0
    db.modified(args[1], GENERIC, "persist")
    return 1
