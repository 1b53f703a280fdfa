"""The x87's `long double`, in which INCRBYFLOAT and HINCRBYFLOAT count, to the last bit.

A number is (mantissa, exponent), that is mantissa * 2**exponent, in Python's integers: arithmetic
is exact, and `_round` then does what the hardware does, half to even to 64 bits of mantissa and no
bit below 2**-16445. A number from 2**16384 on is infinite; NaN is not needed, since no reader
returns it and `add` refuses what would make it. Zero has no sign: no text shows it.

Text with hundreds of digits is converted in parts, because Python may be told to refuse it whole
(sys.set_int_max_str_digits, by default 4300 digits, at least 640).

Source: Redis util.c string2ld, ld2string; strtold and printf of the C library.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from redis_trio.data.numbers import read_exponent, split_hex_float

LongDouble: TypeAlias = tuple[int, int]

MANTISSA_BITS: Final = 64
LOWEST_EXPONENT: Final = -16445
INFINITE_EXPONENT: Final = 16384
INFINITY: Final[LongDouble] = (1, INFINITE_EXPONENT)
ZERO: Final[LongDouble] = (0, 0)

_TEXT_MAX: Final = 5 * 1024 - 1
_PART: Final = 600
_PART_VALUE: Final = 10**_PART
_DECIMAL_MAX: Final = 5000  # no finite number has so many digits before, or zeros after, the dot
_DECIMAL: Final = re.compile(rb"[+-]?([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]+))?")
_INFINITE: Final = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)
_FRACTION_VALUE: Final = 10**17


def parse_long_double(text: bytes) -> LongDouble | None:
    """Return the number that the whole of `text` is, rounded to the nearest, or an infinity.

    None if it is no number, has spaces around it, is NaN, is longer than 5119 bytes, or is too big
    or too small (other than zero) for a long double.
    """
    if len(text) > _TEXT_MAX:
        return None
    match = _DECIMAL.fullmatch(text)
    if match is None:
        value = _parse_odd(text)
    else:
        whole, fraction, power = match.groups()
        if not whole and not fraction:
            return None
        digits = (whole + fraction).lstrip(b"0")
        if not digits:
            return ZERO
        exponent = (0 if power is None else read_exponent(power)) - len(fraction)
        value = _from_decimal(digits, exponent)
    if value is not None and text[0] == 45:
        return -value[0], value[1]
    return value


def _from_decimal(digits: bytes, power: int) -> LongDouble | None:
    """Return digits * 10**power, None if that is out of range."""
    if not -_DECIMAL_MAX < len(digits) + power < _DECIMAL_MAX:
        return None
    number = 0
    for start in range(0, len(digits), _PART):
        part = digits[start : start + _PART]
        number = number * 10 ** len(part) + int(part)
    if power >= 0:
        return _in_range(_round(number * 10**power, 0))
    # Two bits more than the mantissa has, and one below them that says whether anything is left.
    divisor = 10**-power
    shift = max(MANTISSA_BITS + 2 + divisor.bit_length() - number.bit_length(), 0)
    quotient, rest = divmod(number << shift, divisor)
    return _in_range(_round(quotient << 1 | (rest != 0), -shift - 1))


def _parse_odd(text: bytes) -> LongDouble | None:
    """Read an infinity or a hexadecimal number, without its sign."""
    if _INFINITE.fullmatch(text) is not None:
        return INFINITY
    parts = split_hex_float(text)
    if parts is None:
        return None
    mantissa, exponent = parts
    if mantissa == 0:
        return ZERO
    return _in_range(_round(mantissa, exponent))


def _round(mantissa: int, exponent: int) -> LongDouble:
    """Return the long double nearest to mantissa * 2**exponent, which is not negative."""
    bits = mantissa.bit_length()
    drop = max(bits - MANTISSA_BITS, LOWEST_EXPONENT - exponent)
    if drop <= 0:
        return mantissa, exponent
    if drop > bits:
        return ZERO
    kept = mantissa >> drop
    rest = mantissa & ((1 << drop) - 1)
    half = 1 << (drop - 1)
    if rest > half or (rest == half and kept & 1):
        kept += 1
    return kept, exponent + drop


def _in_range(value: LongDouble) -> LongDouble | None:
    """Return a number that was not zero before it was rounded, None if it is zero or infinite."""
    return None if value[0] == 0 or is_infinite(value) else value


def is_infinite(value: LongDouble) -> bool:
    """Whether a number is an infinity."""
    return value[0].bit_length() + value[1] > INFINITE_EXPONENT


def from_double(value: float) -> LongDouble:
    """Return the same number; it must be finite."""
    numerator, denominator = value.as_integer_ratio()
    return numerator, 1 - denominator.bit_length()


def add(a: LongDouble, b: LongDouble) -> LongDouble | None:
    """Return the sum, rounded to the nearest; None if it would be NaN or an infinity."""
    if is_infinite(a) or is_infinite(b):
        return None
    exponent = min(a[1], b[1])
    mantissa = (a[0] << (a[1] - exponent)) + (b[0] << (b[1] - exponent))
    total = _round(abs(mantissa), exponent)
    if is_infinite(total):
        return None
    return (-total[0], total[1]) if mantissa < 0 else total


def ceil_of_product(value: LongDouble, factor: int) -> int:
    """Return value * factor, rounded to a long double and then up to an integer."""
    mantissa, exponent = _round(abs(value[0]) * factor, value[1])
    if value[0] < 0:
        mantissa = -mantissa
    return mantissa << exponent if exponent >= 0 else -(-mantissa >> -exponent)


def format_long_double(value: LongDouble) -> bytes:
    """Return a finite number with up to 17 digits after the dot and no zeros at the end."""
    mantissa, exponent = value
    scaled = abs(mantissa) * _FRACTION_VALUE
    if exponent >= 0:
        scaled <<= exponent
    else:
        rest = scaled & ((1 << -exponent) - 1)
        scaled >>= -exponent
        half = 1 << (-exponent - 1)
        if rest > half or (rest == half and scaled & 1):
            scaled += 1
    whole, fraction = divmod(scaled, _FRACTION_VALUE)
    text = _digits(whole)
    if fraction:
        text += b"." + (b"%017d" % fraction).rstrip(b"0")
    return b"-" + text if mantissa < 0 and scaled else text


def _digits(number: int) -> bytes:
    """Return the decimal digits of a number that is not negative."""
    parts: list[bytes] = []
    while number >= _PART_VALUE:
        number, part = divmod(number, _PART_VALUE)
        parts.append((b"%d" % part).rjust(_PART, b"0"))
    parts.append(b"%d" % number)
    parts.reverse()
    return b"".join(parts)
