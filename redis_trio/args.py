"""Readers for arguments, which fail in Redis's words.

Source: Redis object.c getLongLongFromObject and its relatives.
"""

from __future__ import annotations

from typing import Final

from redis_trio.data.long_double import LongDouble, ceil_of_product, parse_long_double
from redis_trio.data.numbers import INTEGER_MAX, parse_double, parse_integer
from redis_trio.errors import NOT_A_FLOAT, NOT_AN_INTEGER, RedisError

INT_MIN: Final = -(2**31)
INT_MAX: Final = 2**31 - 1


def read_integer(arg: bytes, message: str = NOT_AN_INTEGER) -> int:
    """Return a signed 64-bit integer. Errors: `message` for anything else."""
    value = parse_integer(arg)
    if value is None:
        raise RedisError(message)
    return value


def read_integer_in(arg: bytes, low: int, high: int, message: str = NOT_AN_INTEGER) -> int:
    """Return an integer between `low` and `high`. Errors: `message` for anything else."""
    value = parse_integer(arg)
    if value is None or not low <= value <= high:
        raise RedisError(message)
    return value


def read_int(arg: bytes) -> int:
    """Return a C int, as databases are numbered. Errors: Redis's for anything else."""
    value = read_integer(arg)
    if not INT_MIN <= value <= INT_MAX:
        raise RedisError(f"ERR value is out of range, value must between {INT_MIN} and {INT_MAX}")
    return value


def read_double(arg: bytes, message: str = NOT_A_FLOAT) -> float:
    """Return a double, not NaN. Errors: `message` for anything else."""
    value = parse_double(arg)
    if value is None:
        raise RedisError(message)
    return value


def read_long_double(arg: bytes, message: str = NOT_A_FLOAT) -> LongDouble:
    """Return a long double, which may be infinite. Errors: `message` for anything else."""
    value = parse_long_double(arg)
    if value is None:
        raise RedisError(message)
    return value


def read_timeout(arg: bytes, unit_ms: int, now_ms: int) -> float | None:
    """Return the timeout of a blocking command in seconds, rounded up to a ms; None for 0: never.

    Args:
      unit_ms: 1000, and fractions are allowed, or 1.

    Errors: Redis's, for what is no number, negative or beyond the end of time (timeout.c
    getTimeoutFromObjectOrReply).
    """
    if unit_ms == 1:
        timeout_ms = read_integer(arg, "ERR timeout is not an integer or out of range")
    else:
        seconds = read_long_double(arg, "ERR timeout is not a float or out of range")
        timeout_ms = ceil_of_product(seconds, unit_ms)
        if timeout_ms > INTEGER_MAX:
            raise RedisError("ERR timeout is out of range")
    if timeout_ms < 0:
        raise RedisError("ERR timeout is negative")
    if timeout_ms > INTEGER_MAX - now_ms:
        raise RedisError("ERR timeout is out of range")
    return timeout_ms / 1000 if timeout_ms else None


def check_attribute(arg: bytes, message: str) -> None:
    """Check what CLIENT LIST is going to show: no spaces, only visible ASCII, up to a NUL.

    Errors: `message` for anything else (networking.c validateClientAttr).
    """
    for byte in arg:
        if byte == 0:
            return
        if not 33 <= byte <= 126:
            raise RedisError(message)


def option_name(arg: bytes) -> bytes:
    """Return an option's word in upper case, up to a NUL: Redis compares C strings."""
    word = arg.upper()
    return word if 0 not in word else word[: word.index(0)]
