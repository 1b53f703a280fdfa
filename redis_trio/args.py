"""Readers for arguments, which fail in Redis's words.

Source: Redis object.c getLongLongFromObject and its relatives.
"""

from __future__ import annotations

from redis_trio.data.numbers import parse_double, parse_integer
from redis_trio.errors import NOT_A_FLOAT, NOT_AN_INTEGER, RedisError


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


def read_double(arg: bytes, message: str = NOT_A_FLOAT) -> float:
    """Return a double, not NaN. Errors: `message` for anything else."""
    value = parse_double(arg)
    if value is None:
        raise RedisError(message)
    return value


def check_attribute(arg: bytes, message: str) -> None:
    """Check what CLIENT LIST is going to show: no spaces, only visible ASCII, up to a NUL.

    Errors: `message` for anything else (networking.c validateClientAttr).
    """
    for byte in arg:
        if byte == 0:
            return
        if not 33 <= byte <= 126:
            raise RedisError(message)
