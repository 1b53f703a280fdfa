"""Strings: how Redis would hold one, and the small integers that are held once.

A string value is bare bytes. One that was changed in place is a bytearray, which stays one until it
is replaced, as Redis keeps such a string raw. INCRBYFLOAT's result is never held as an integer,
even if it is one: it is a TextString then, so that OBJECT ENCODING can tell.

Source: Redis object.c tryObjectEncoding, createStringObject.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from redis_trio.data.numbers import parse_integer

EMBSTR_MAX_SIZE: Final = 44
SHARED_INTEGERS: Final = 10000

_SMALL_INTEGERS: Final = [b"%d" % number for number in range(SHARED_INTEGERS)]


@mypyc_attr(native_class=False)  # a native one cannot be a kind of bytes
class TextString(bytes):
    """A string that looks like an integer and is not held as one."""

    __slots__ = ()


def integer_string(number: int) -> bytes:
    """Return the decimal digits of an integer; those from 0 to 9999 share one object each."""
    if 0 <= number < SHARED_INTEGERS:
        return _SMALL_INTEGERS[number]
    return b"%d" % number


def text_string(text: bytes) -> bytes:
    """Return a value for a text that is not to be held as an integer."""
    return text if parse_integer(text) is None else TextString(text)


def string_encoding(value: bytes | bytearray) -> bytes:
    """Return what OBJECT ENCODING says of a string: `int`, `embstr` or `raw`."""
    if isinstance(value, bytearray):
        return b"raw"
    if parse_integer(value) is not None and not isinstance(value, TextString):
        return b"int"
    return b"embstr" if len(value) <= EMBSTR_MAX_SIZE else b"raw"
