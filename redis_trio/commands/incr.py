"""Counting in strings: INCR and its relatives.

A number is kept as its decimal digits. INCRBYFLOAT counts in the x87's 80-bit `long double` as
Redis does on that hardware, to the same digit.

Source: Redis t_string.c incrDecrCommand, incrbyfloatCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import read_integer, read_long_double
from redis_trio.command import DENYOOM, FAST, WRITE, group, key
from redis_trio.commands.string import string_value
from redis_trio.data.long_double import add, format_long_double
from redis_trio.data.numbers import INTEGER_MAX, INTEGER_MIN, parse_integer
from redis_trio.data.string import integer_string, text_string
from redis_trio.errors import NOT_AN_INTEGER, OVERFLOW, WRONGTYPE, RedisError
from redis_trio.keyspace.database import STRING
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("string")

SMALL: Final = 2**61


def _increment(client: Client, name: bytes, increment: int) -> int:
    """Add to the integer that a key holds, 0 if there is no such key; return the sum."""
    db = client.db
    value = db.lookup_write(name)
    number: int | None = 0
    if isinstance(value, bytes):
        number = parse_integer(value)
    elif isinstance(value, bytearray):
        number = parse_integer(bytes(value[:21]))  # more is no integer, and need not be copied
    elif value is not None:
        raise RedisError(WRONGTYPE)
    if number is None:
        raise RedisError(NOT_AN_INTEGER)
    number += increment
    # Compiled, comparing with integers of more than 62 bits takes 30 ns each.
    if not -SMALL < number < SMALL and not INTEGER_MIN <= number <= INTEGER_MAX:
        raise RedisError(OVERFLOW)
    if value is None:
        db.set(name, integer_string(number))
    else:
        db.overwrite(name, integer_string(number))
    db.modified(name, STRING, "incrby")
    return number


@command(
    "INCR",
    "key",
    arity=2,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW ACCESS UPDATE")],
    acl="STRING",
    since="1.0.0",
    complexity="O(1)",
    summary="Adds one to the integer a key holds.",
)
def incr(client: Client, args: Args) -> Reply:
    return _increment(client, args[1], 1)


@command(
    "DECR",
    "key",
    arity=2,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW ACCESS UPDATE")],
    acl="STRING",
    since="1.0.0",
    complexity="O(1)",
    summary="Subtracts one from the integer a key holds.",
)
def decr(client: Client, args: Args) -> Reply:
    return _increment(client, args[1], -1)


@command(
    "INCRBY",
    "key increment",
    arity=3,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW ACCESS UPDATE")],
    acl="STRING",
    since="1.0.0",
    complexity="O(1)",
    summary="Adds to the integer a key holds.",
)
def incrby(client: Client, args: Args) -> Reply:
    return _increment(client, args[1], read_integer(args[2]))


@command(
    "DECRBY",
    "key decrement",
    arity=3,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW ACCESS UPDATE")],
    acl="STRING",
    since="1.0.0",
    complexity="O(1)",
    summary="Subtracts from the integer a key holds.",
)
def decrby(client: Client, args: Args) -> Reply:
    """Errors: the lowest integer, which has no opposite."""
    decrement = read_integer(args[2])
    if decrement == INTEGER_MIN:
        raise RedisError("ERR decrement would overflow")
    return _increment(client, args[1], -decrement)


@command(
    "INCRBYFLOAT",
    "key increment:double",
    arity=3,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW ACCESS UPDATE")],
    acl="STRING",
    since="2.6.0",
    complexity="O(1)",
    summary="Adds to the decimal number a key holds; returns the sum as text.",
)
def incrbyfloat(client: Client, args: Args) -> Reply:
    db = client.db
    name = args[1]
    value = string_value(db.lookup_write(name))
    number = read_long_double(b"0" if value is None else bytes(value[:5120]))
    total = add(number, read_long_double(args[2]))
    if total is None:
        raise RedisError("ERR increment would produce NaN or Infinity")
    text = format_long_double(total)
    db.set(name, text_string(text))
    db.modified(name, STRING, "incrbyfloat")
    client.server.feed.rewrite([b"SET", name, text, b"KEEPTTL"])
    return text
