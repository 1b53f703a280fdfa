"""Hashes: fields and values under one key.

Fields can expire; a field whose time is over is deleted by whoever asks for it, see
redis_trio/keyspace/field_expiry.py. Their deadlines are set in redis_trio/commands/hash_expire.py.

Source: Redis t_hash.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from redis_trio.args import option_name, read_integer, read_integer_in, read_long_double
from redis_trio.command import DENYOOM, FAST, READONLY, WRITE, group, key
from redis_trio.commands.generic import ScanOptions, read_cursor
from redis_trio.data.hash import Hash
from redis_trio.data.long_double import (
    ZERO,
    add,
    format_long_double,
    is_infinite,
    parse_long_double,
)
from redis_trio.data.numbers import INTEGER_MAX, INTEGER_MIN, parse_integer
from redis_trio.data.string import integer_string
from redis_trio.errors import OUT_OF_RANGE, OVERFLOW, SYNTAX, WRONGTYPE, RedisError, wrong_arity
from redis_trio.keyspace.database import GENERIC, HASH
from redis_trio.keyspace.field_expiry import expire_all_fields, expire_field
from redis_trio.output_limits import cannot_take
from redis_trio.protocol.reply import NO_REPLY, OK, Pairs, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from random import Random

    from redis_trio.client import Client
    from redis_trio.keyspace.database import Database

command = group("hash")

LONG_MAX: Final = INTEGER_MAX
SUBTRACT_BELOW: Final = 3  # picks of more than a third of a hash leave out, instead of drawing


def hash_value(value: object) -> Hash | None:
    """Return the value found under a key if it is a hash or None. Errors: WRONGTYPE."""
    if value is None or isinstance(value, Hash):
        return value
    raise RedisError(WRONGTYPE)


def _hash_to_change(db: Database, name: bytes) -> Hash:
    """Return the hash under a key, a new one if there is none. Errors: WRONGTYPE."""
    value = db.lookup_write(name)
    if isinstance(value, Hash):
        return value
    if value is not None:
        raise RedisError(WRONGTYPE)
    return _new_hash(db, name)


def _new_hash(db: Database, name: bytes) -> Hash:
    value = Hash()
    db.set(name, value)
    return value


def _living(db: Database, name: bytes, value: Hash, field: bytes) -> bytes | None:
    """Return the value of a field, None if it is not there or its time is over."""
    found = value.get(field)
    if found is None or value.deadlines is None:
        return found
    return None if expire_field(db, name, value, field) else found


# -- setting


@command(
    "HSET",
    "key (field value)...",
    arity=-4,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="HASH",
    since="2.0.0",
    complexity=(
        "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command "
        "is called with multiple field/value pairs."
    ),
    summary="Sets fields of a hash; returns how many are new.",
)
def hset(client: Client, args: Args) -> Reply:
    if len(args) != 4:
        return _hset_many(client, args, "hset")
    db = client.db
    name = args[1]
    value = db.lookup_write(name)
    if not isinstance(value, Hash):
        if value is not None:
            raise RedisError(WRONGTYPE)
        value = _new_hash(db, name)
    created = value.set(args[2], args[3], client.server.thresholds)
    db.modified(name, HASH, "hset")
    return 1 if created else 0


def _hset_many(client: Client, args: Args, command_name: str) -> int:
    """Set several fields; return how many are new."""
    count = len(args)
    if count % 2:
        raise wrong_arity(command_name)
    db = client.db
    name = args[1]
    value = _hash_to_change(db, name)
    thresholds = client.server.thresholds
    pairs = (count - 2) // 2
    if pairs > thresholds.hash_entries:
        value.convert()
    created = 0
    for i in range(2, count, 2):
        if value.set(args[i], args[i + 1], thresholds):
            created += 1
    db.modified(name, HASH, "hset")
    client.server.dirty += pairs - 1
    return created


@command(
    "HMSET",
    "key (field value)...",
    arity=-4,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="HASH",
    since="2.0.0",
    complexity="O(N) where N is the number of fields being set.",
    summary="Sets fields of a hash.",
    doc_flags="DEPRECATED",
    deprecated_since="4.0.0",
    replaced_by="`HSET` with multiple field-value pairs",
)
def hmset(client: Client, args: Args) -> Reply:
    _hset_many(client, args, "hmset")
    return OK


@command(
    "HSETNX",
    "key field value",
    arity=4,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW INSERT")],
    acl="HASH",
    since="2.0.0",
    complexity="O(1)",
    summary="Sets a field of a hash if it is not there yet.",
)
def hsetnx(client: Client, args: Args) -> Reply:
    db = client.db
    name = args[1]
    value = _hash_to_change(db, name)
    if value.get(args[2]) is not None:
        if value.deadlines is None or not expire_field(db, name, value, args[2]):
            return 0
        if len(value) == 0:
            value = _new_hash(db, name)
    value.set(args[2], args[3], client.server.thresholds)
    db.modified(name, HASH, "hset")
    return 1


@command(
    "HINCRBY",
    "key field increment",
    arity=4,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW ACCESS UPDATE")],
    acl="HASH",
    since="2.0.0",
    complexity="O(1)",
    summary="Adds to the integer that a field of a hash holds; returns the sum.",
)
def hincrby(client: Client, args: Args) -> Reply:
    """The field keeps its deadline. Errors: the value is no integer, the sum overflows."""
    increment = read_integer(args[3])
    db = client.db
    name = args[1]
    value = _hash_to_change(db, name)
    text = _living(db, name, value, args[2])
    total = increment
    if text is not None:
        number = parse_integer(text)
        if number is None:
            raise RedisError("ERR hash value is not an integer")
        total += number
        if not INTEGER_MIN <= total <= INTEGER_MAX:
            raise RedisError(OVERFLOW)
    elif value.deadlines is not None and len(value) == 0:
        value = _new_hash(db, name)
    value.store(args[2], integer_string(total), client.server.thresholds)
    db.modified(name, HASH, "hincrby")
    return total


@command(
    "HINCRBYFLOAT",
    "key field increment:double",
    arity=4,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW ACCESS UPDATE")],
    acl="HASH",
    since="2.6.0",
    complexity="O(1)",
    summary="Adds to the decimal number that a field of a hash holds; returns the sum as text.",
)
def hincrbyfloat(client: Client, args: Args) -> Reply:
    """The field keeps its deadline. Errors: the value is no number, the sum is infinite."""
    increment = read_long_double(args[3])
    if is_infinite(increment):
        raise RedisError("ERR value is NaN or Infinity")
    db = client.db
    name = args[1]
    value = _hash_to_change(db, name)
    text = _living(db, name, value, args[2])
    number = ZERO if text is None else parse_long_double(text)
    if number is None:
        raise RedisError("ERR hash value is not a float")
    if text is None and value.deadlines is not None and len(value) == 0:
        value = _new_hash(db, name)
    total = add(number, increment)
    if total is None:
        raise RedisError("ERR increment would produce NaN or Infinity")
    result = format_long_double(total)
    value.store(args[2], result, client.server.thresholds)
    db.modified(name, HASH, "hincrbyfloat")
    client.server.feed.rewrite([b"HSET", name, args[2], result])
    return result


@command(
    "HDEL",
    "key field...",
    arity=-3,
    flags=WRITE | FAST,
    keys=[key(1, "RW DELETE")],
    acl="HASH",
    since="2.0.0",
    complexity="O(N) where N is the number of fields to be removed.",
    summary="Removes fields of a hash; returns how many there were.",
)
def hdel(client: Client, args: Args) -> Reply:
    """A hash without fields is no more. Fields that have expired unnoticed count."""
    db = client.db
    name = args[1]
    value = hash_value(db.lookup_write(name))
    if value is None:
        return 0
    deleted = 0
    for i in range(2, len(args)):
        if value.delete(args[i]):
            deleted += 1
            if len(value) == 0:
                db.delete(name)
                break
    if deleted:
        db.modified(name, HASH, "hdel")
        if len(value) == 0:
            db.notify(name, GENERIC, "del")
        client.server.dirty += deleted - 1
    return deleted


# -- reading single fields


@command(
    "HGET",
    "key field",
    arity=3,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="HASH",
    since="2.0.0",
    complexity="O(1)",
    summary="Returns the value of a field of a hash.",
)
def hget(client: Client, args: Args) -> Reply:
    value = client.db.lookup_read(args[1])
    if isinstance(value, Hash):
        found = value.get(args[2])
        if found is None or value.deadlines is None:
            return found
        return None if expire_field(client.db, args[1], value, args[2]) else found
    if value is None:
        return None
    raise RedisError(WRONGTYPE)


@command(
    "HMGET",
    "key field...",
    arity=-3,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="HASH",
    since="2.0.0",
    complexity="O(N) where N is the number of fields being requested.",
    summary="Returns the values of fields of a hash.",
)
def hmget(client: Client, args: Args) -> Reply:
    """What fires if fields have expired: one event, but none for a field that was the last."""
    db = client.db
    name = args[1]
    value = hash_value(db.lookup_read(name))
    if value is None:
        return [None] * (len(args) - 2)
    replies: list[Reply] = []
    expired = False
    for i in range(2, len(args)):
        found = value.get(args[i])
        if value.deadlines is not None and expire_field(db, name, value, args[i], False):
            found = None
            expired = expired or len(value) > 0
        replies.append(found)
    if expired:
        db.notify(name, HASH, "hexpired")
        if len(value) == 0:
            db.notify(name, GENERIC, "del")
    return replies


@command(
    "HEXISTS",
    "key field",
    arity=3,
    flags=READONLY | FAST,
    keys=[key(1, "RO")],
    acl="HASH",
    since="2.0.0",
    complexity="O(1)",
    summary="Tells whether a hash has a field.",
)
def hexists(client: Client, args: Args) -> Reply:
    value = hash_value(client.db.lookup_read(args[1]))
    if value is None:
        return 0
    return 0 if _living(client.db, args[1], value, args[2]) is None else 1


@command(
    "HSTRLEN",
    "key field",
    arity=3,
    flags=READONLY | FAST,
    keys=[key(1, "RO")],
    acl="HASH",
    since="3.2.0",
    complexity="O(1)",
    summary="Returns the length of the value of a field of a hash.",
)
def hstrlen(client: Client, args: Args) -> Reply:
    value = hash_value(client.db.lookup_read(args[1]))
    if value is None:
        return 0
    found = _living(client.db, args[1], value, args[2])
    return 0 if found is None else len(found)


# -- reading all of a hash


@command(
    "HLEN",
    "key",
    arity=2,
    flags=READONLY | FAST,
    keys=[key(1, "RO")],
    acl="HASH",
    since="2.0.0",
    complexity="O(1)",
    summary="Returns the number of fields of a hash.",
)
def hlen(client: Client, args: Args) -> Reply:
    """Fields that have expired unnoticed count."""
    value = hash_value(client.db.lookup_read(args[1]))
    return 0 if value is None else len(value)


@command(
    "HGETALL",
    "key",
    arity=2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="HASH",
    since="2.0.0",
    complexity="O(N) where N is the size of the hash.",
    summary="Returns all fields of a hash and their values.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def hgetall(client: Client, args: Args) -> Reply:
    value = hash_value(client.db.lookup_read(args[1]))
    if value is None:
        return {}
    return cast("dict[bytes, Reply]", value.living(client.server.clock.now_ms))


@command(
    "HKEYS",
    "key",
    arity=2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="HASH",
    since="2.0.0",
    complexity="O(N) where N is the size of the hash.",
    summary="Returns the fields of a hash.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def hkeys(client: Client, args: Args) -> Reply:
    value = hash_value(client.db.lookup_read(args[1]))
    if value is None:
        return []
    if value.deadlines is None:
        return list(value.fields())
    return list(value.living(client.server.clock.now_ms))


@command(
    "HVALS",
    "key",
    arity=2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="HASH",
    since="2.0.0",
    complexity="O(N) where N is the size of the hash.",
    summary="Returns the values of a hash.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def hvals(client: Client, args: Args) -> Reply:
    value = hash_value(client.db.lookup_read(args[1]))
    if value is None:
        return []
    return list(value.living(client.server.clock.now_ms).values())


@command(
    "HSCAN",
    "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
    arity=-3,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="HASH",
    since="2.8.0",
    complexity=(
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for "
        "the cursor to return back to 0. N is the number of elements inside the collection."
    ),
    summary="Walks through the fields of a hash, a few with each call.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def hscan(client: Client, args: Args) -> Reply:
    """Return the next cursor and some fields, with their values; expired ones are left out."""
    cursor = read_cursor(args[2])
    value = hash_value(client.db.lookup_read(args[1]))
    if value is None:
        return [b"0", []]
    options = ScanOptions(args, 3, True)
    cursor, fields = value.scan(cursor, options.count)
    fields = options.matching(fields)
    if value.deadlines is not None:
        now_ms = client.server.clock.now_ms
        fields = [field for field in fields if not 0 <= value.deadline(field) <= now_ms]
    found: list[Reply] = []
    for field in fields:
        found.append(field)
        if not options.novalues:
            found.append(value.get(field))
    return [b"%d" % cursor, found]


# -- picking at random


@command(
    "HRANDFIELD",
    "key [count [WITHVALUES]]:options",
    arity=-2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="HASH",
    since="6.2.0",
    complexity="O(N) where N is the number of fields returned",
    summary="Picks fields of a hash at random.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def hrandfield(client: Client, args: Args) -> Reply:
    """Pick a field; or up to `count` different ones; or -`count` that need not be different.

    Fields whose time is over are deleted first, however many there are.
    """
    db = client.db
    if len(args) == 2:
        value = hash_value(db.lookup_read(args[1]))
        if value is None:
            return None
        expire_all_fields(db, args[1], value)
        return value.random_field(client.server.rng) if len(value) else None
    count = read_integer_in(args[2], INTEGER_MIN, LONG_MAX)
    if count == INTEGER_MIN:
        raise RedisError(f"{OUT_OF_RANGE}, value must between {-LONG_MAX} and {LONG_MAX}")
    with_values = len(args) == 4 and option_name(args[3]) == b"WITHVALUES"
    if len(args) > 3 and not with_values:
        raise RedisError(SYNTAX)
    if with_values and abs(count) > LONG_MAX // 2:
        raise RedisError(OUT_OF_RANGE)
    value = hash_value(db.lookup_read(args[1]))
    if value is None:
        return []
    expire_all_fields(db, args[1], value)
    if count == 0 or len(value) == 0:
        return []
    if count < 0 and cannot_take(client, -count):
        return NO_REPLY
    fields = _pick(value, count, client.server.rng)
    if not with_values:
        return fields
    return Pairs([(field, value.get(field)) for field in fields])


def _pick(value: Hash, count: int, rng: Random) -> list[bytes]:
    """Return `count` different fields, as many as there are, or -`count` independent ones."""
    size = len(value)
    if count < 0:
        if value.table is not None:
            return [value.random_field(rng) for _ in range(-count)]
        all_fields = list(value.small)
        return [all_fields[int(rng.random() * size)] for _ in range(-count)]
    if count >= size:
        return list(value.fields())
    if value.table is None:  # in the order of the hash, as Redis does it
        all_fields = list(value.small)
        return [all_fields[place] for place in sorted(rng.sample(range(size), count))]
    if count * SUBTRACT_BELOW > size:
        return rng.sample(list(value.fields()), count)
    picked: dict[bytes, None] = {}
    while len(picked) < count:
        picked[value.random_field(rng)] = None
    return list(picked)
