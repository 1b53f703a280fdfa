"""Bitmaps: strings as rows of bits. What is done with the bits is in redis_trio/data/bitmap.py.

What changes a bit makes a bytearray of the string and changes that in place.

Source: Redis bitops.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer
from redis_trio.command import DENYOOM, FAST, READONLY, WRITE, group, key
from redis_trio.commands.string import string_value
from redis_trio.data.bitmap import (
    AND,
    FAIL,
    OR,
    SAT,
    WRAP,
    XOR,
    combine,
    count_bits,
    find_bit,
    fit,
    get_field,
    invert,
    set_field,
)
from redis_trio.data.numbers import parse_integer
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.keys import bitfield_keys
from redis_trio.keyspace.database import GENERIC, STRING
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("bitmap")

_BAD_OFFSET: Final = "ERR bit offset is not an integer or out of range"
_BAD_BIT: Final = "ERR bit is not an integer or out of range"
_BAD_TYPE: Final = (
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64"
    " is."
)
_OVERFLOWS: Final = {b"WRAP": WRAP, b"SAT": SAT, b"FAIL": FAIL}


def _read_offset(client: Client, arg: bytes, bits: int = 0) -> int:
    """Return a bit offset; `#n` stands for n times `bits`, if that is not 0."""
    if bits and arg[:1] == b"#":
        number = parse_integer(arg[1:])
        if number is not None:
            number = (number * bits + 2**63) % 2**64 - 2**63  # Redis multiplies in 64 bits
    else:
        number = parse_integer(arg)
    if number is None or number < 0:
        raise RedisError(_BAD_OFFSET)
    if number >> 3 >= client.server.limits.max_bulk_len and not client.obeyed:
        raise RedisError(_BAD_OFFSET)
    return number


def _changeable(client: Client, name: bytes, last_bit: int) -> tuple[bytearray, bool]:
    """Return a key's string, so long that it has bit `last_bit`, and whether it has grown.

    Source: bitops.c lookupStringForBitCommand.
    """
    db = client.db
    value = string_value(db.lookup_write(name))
    size = (last_bit >> 3) + 1
    if value is None:
        created = bytearray(size)
        db.set(name, created)
        return created, True
    if isinstance(value, bytearray):
        changeable = value
    else:
        changeable = bytearray(value)
        db.overwrite(name, changeable)
    if len(changeable) >= size:
        return changeable, False
    changeable += bytes(size - len(changeable))
    return changeable, True


# -- single bits


@command(
    "SETBIT",
    "key offset value:integer",
    arity=4,
    flags=WRITE | DENYOOM,
    keys=[key(1, "RW ACCESS UPDATE")],
    acl="BITMAP",
    since="2.2.0",
    complexity="O(1)",
    summary="Sets or clears a bit of the string a key holds; returns what it was.",
)
def setbit(client: Client, args: Args) -> Reply:
    offset = _read_offset(client, args[2])
    on = read_integer(args[3], _BAD_BIT)
    if not 0 <= on <= 1:
        raise RedisError(_BAD_BIT)
    name = args[1]
    value, grown = _changeable(client, name, offset)
    place = offset >> 3
    byte = value[place]
    mask = 128 >> (offset & 7)
    was = 1 if byte & mask else 0
    if was != on:
        value[place] = byte ^ mask
    if grown or was != on:
        client.db.modified(name, STRING, "setbit")
    return was


@command(
    "GETBIT",
    "key offset",
    arity=3,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="BITMAP",
    since="2.2.0",
    complexity="O(1)",
    summary="Returns a bit of the string a key holds.",
)
def getbit(client: Client, args: Args) -> Reply:
    offset = _read_offset(client, args[2])
    value = string_value(client.db.lookup_read(args[1]))
    place = offset >> 3
    if value is None or place >= len(value):
        return 0
    return 1 if value[place] & (128 >> (offset & 7)) else 0


# -- many bits


def _is_in_bits(arg: bytes) -> bool:
    """Return whether a range is in bits, not bytes. Errors: syntax for anything else."""
    unit = option_name(arg)
    if unit == b"BIT":
        return True
    if unit != b"BYTE":
        raise RedisError(SYNTAX)
    return False


def _bit_range(size: int, start: int, end: int, in_bits: bool) -> tuple[int, int]:
    """Return the first and the last bit of a range of a string; of an empty one first > last.

    Args:
      size: of the string, in bytes.
      start, end: negative: from the end.
    """
    if in_bits:
        size *= 8
    if start < 0:
        start = max(start + size, 0)
    if end < 0:
        end = max(end + size, 0)
    end = min(end, size - 1)
    if in_bits or start > end:
        return start, end
    return start * 8, end * 8 + 7


@command(
    "BITCOUNT",
    "key [start:integer end [BYTE | BIT]@7.0.0]",
    arity=-2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="BITMAP",
    since="2.6.0",
    complexity="O(N)",
    summary="Counts the set bits of the string a key holds, or of a range of it.",
)
def bitcount(client: Client, args: Args) -> Reply:
    start = 0
    end = -1
    in_bits = False
    count = len(args)
    if count in {4, 5}:
        start = read_integer(args[2])
        end = read_integer(args[3])
        in_bits = count == 5 and _is_in_bits(args[4])
    elif count != 2:
        raise RedisError(SYNTAX)
    value = string_value(client.db.lookup_read(args[1]))
    if not value or (start < 0 and end < 0 and start > end):
        return 0
    first, last = _bit_range(len(value), start, end, in_bits)
    return count_bits(value, first, last) if first <= last else 0


@command(
    "BITPOS",
    "key bit [start:integer [end [BYTE | BIT]@7.0.0]:end-unit-block]",
    arity=-3,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="BITMAP",
    since="2.8.7",
    complexity="O(N)",
    summary="Finds the first set, or clear, bit of the string a key holds, or of a range of it.",
)
def bitpos(client: Client, args: Args) -> Reply:
    """A clear bit is found behind the string, unless the range has an end."""
    bit = read_integer(args[2])
    if not 0 <= bit <= 1:
        raise RedisError("ERR The bit argument must be 1 or 0.")
    start = 0
    end = -1
    count = len(args)
    if count > 6:
        raise RedisError(SYNTAX)
    if count > 3:
        start = read_integer(args[3])
    in_bits = count == 6 and _is_in_bits(args[5])
    if count > 4:
        end = read_integer(args[4])
    value = string_value(client.db.lookup_read(args[1]))
    if value is None:
        return -1 if bit else 0
    first, last = _bit_range(len(value), start, end, in_bits)
    if not value or first > last:
        return -1
    found = find_bit(value, bit, first, last)
    if found < 0 and bit == 0 and count < 5:
        return last + 1
    return found


@command(
    "BITOP",
    "<AND | OR | XOR | NOT>:operation destkey key...",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=[key(2, "OW UPDATE"), key(3, "RO ACCESS", last=-1)],
    acl="BITMAP",
    since="2.6.0",
    complexity="O(N)",
    summary="Stores the bitwise AND, OR, XOR or NOT of strings; returns the length of the result.",
)
def bitop(client: Client, args: Args) -> Reply:
    operation = option_name(args[1])
    if operation not in {AND, OR, XOR, b"NOT"}:
        raise RedisError(SYNTAX)
    if operation == b"NOT" and len(args) != 4:
        raise RedisError("ERR BITOP NOT must be called with a single source key.")
    db = client.db
    operands: list[bytes | bytearray] = []
    for name in args[3:]:
        operands.append(string_value(db.lookup_read(name)) or b"")
    result = invert(operands[0]) if operation == b"NOT" else combine(operation, operands)
    target = args[2]
    if result:
        db.replace(target, result)
        db.modified(target, STRING, "set")
    elif db.delete(target):
        db.modified(target, GENERIC, "del")
    return len(result)


# -- integers


class _Operation:
    """One operation of BITFIELD: GET, SET or INCRBY; `number` is the value or the increment."""

    __slots__ = ("bits", "name", "number", "offset", "overflow", "signed")

    def __init__(
        self, name: bytes, signed: bool, bits: int, offset: int, number: int, overflow: int
    ) -> None:
        self.name = name
        self.signed = signed
        self.bits = bits
        self.offset = offset
        self.number = number
        self.overflow = overflow


def _read_type(arg: bytes) -> tuple[bool, int]:
    """Return whether a type (`i16`, `u8`) is signed, and its bits."""
    sign = arg[:1]
    bits = parse_integer(arg[1:].partition(b"\0")[0]) or 0
    if sign not in {b"i", b"u"} or not 1 <= bits <= (64 if sign == b"i" else 63):
        raise RedisError(_BAD_TYPE)
    return sign == b"i", bits


def _read_operations(client: Client, args: Args) -> list[_Operation]:
    operations: list[_Operation] = []
    overflow = WRAP
    i = 2
    count = len(args)
    while i < count:
        name = option_name(args[i])
        more = count - i - 1
        if name == b"OVERFLOW" and more:
            found = _OVERFLOWS.get(option_name(args[i + 1]))
            if found is None:
                raise RedisError("ERR Invalid OVERFLOW type specified")
            overflow = found
            i += 2
            continue
        if not ((name == b"GET" and more > 1) or (name in {b"SET", b"INCRBY"} and more > 2)):
            raise RedisError(SYNTAX)
        signed, bits = _read_type(args[i + 1])
        offset = _read_offset(client, args[i + 2], bits)
        number = 0 if name == b"GET" else read_integer(args[i + 3])
        operations.append(_Operation(name, signed, bits, offset, number, overflow))
        i += 3 if name == b"GET" else 4
    return operations


def _change(value: bytearray, operation: _Operation) -> tuple[int | None, bool]:
    """Run SET or INCRBY; return the reply, and whether the integer has become another one."""
    offset = operation.offset
    bits = operation.bits
    signed = operation.signed
    old = get_field(value, offset, bits, signed)
    if operation.name == b"SET":
        new = fit(operation.number, 0, bits, signed, operation.overflow)
    else:
        new = fit(old, operation.number, bits, signed, operation.overflow)
    if new is None:
        return None, False
    set_field(value, offset, bits, new)
    return old if operation.name == b"SET" else new, new != old


def _bitfield(client: Client, args: Args, readonly: bool) -> Reply:
    operations = _read_operations(client, args)
    db = client.db
    name = args[1]
    last_bit = -1
    for operation in operations:
        if operation.name != b"GET":
            last_bit = max(last_bit, operation.offset + operation.bits - 1)
    replies: list[Reply] = []
    if last_bit < 0:
        value = string_value(db.lookup_read(name)) or b""
        for operation in operations:
            replies.append(get_field(value, operation.offset, operation.bits, operation.signed))
        return replies
    if readonly:
        raise RedisError("ERR BITFIELD_RO only supports the GET subcommand")
    changeable, grown = _changeable(client, name, last_bit)
    changes = 0
    for operation in operations:
        if operation.name == b"GET":
            reply: int | None = get_field(
                changeable, operation.offset, operation.bits, operation.signed
            )
        else:
            reply, changed = _change(changeable, operation)
            if changed or (grown and reply is not None):
                changes += 1
        replies.append(reply)
    if changes:
        client.server.dirty += changes - 1
        db.modified(name, STRING, "setbit")
    return replies


@command(
    "BITFIELD",
    "key [GET (encoding offset):get-block"
    " | ([OVERFLOW <WRAP | SAT | FAIL>:overflow-block]"
    " <SET (encoding offset value:integer):set-block"
    " | INCRBY (encoding offset increment):incrby-block>:write-operation):write]:operation...",
    arity=-2,
    flags=WRITE | DENYOOM,
    keys=[key(1, "RW UPDATE ACCESS VARIABLE_FLAGS", notes="reads the key, changes it, or both")],
    get_keys=bitfield_keys,
    acl="BITMAP",
    since="3.2.0",
    complexity="O(1) for each subcommand specified",
    summary="Reads and changes integers of any width at any bits of the string a key holds.",
)
def bitfield(client: Client, args: Args) -> Reply:
    return _bitfield(client, args, False)


@command(
    "BITFIELD_RO",
    "key [GET... (encoding offset):get-block]",
    arity=-2,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="BITMAP",
    since="6.0.0",
    complexity="O(1) for each subcommand specified",
    summary="Reads integers of any width at any bits of the string a key holds.",
)
def bitfield_ro(client: Client, args: Args) -> Reply:
    return _bitfield(client, args, True)
