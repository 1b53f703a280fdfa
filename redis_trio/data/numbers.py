"""Numbers as Redis reads and writes them: 64-bit integers and doubles.

Integers are read in their one canonical form. Doubles are read as strtod() of the C locale reads
them, and written as Redis does it since 7.2: with Grisu2, whose digits read back as the same double
but, once in seventy times, are not the fewest. Python's repr() always finds the fewest, so Grisu2
is done here, in whole numbers of any size. `long double` is in redis_trio/data/long_double.py.

Source: Redis util.c string2ll, string2d, d2string; F. Loitsch, Printing Floating-Point Numbers
Quickly and Accurately with Integers, 2010, figure 6; deps/fpconv for the choices it leaves open.
"""

from __future__ import annotations

import math
import re
from typing import Final

from mypy_extensions import i64

INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**63 - 1

_SPACES: Final = b" \t\n\v\f\r"
_HEX_FLOAT: Final = re.compile(
    rb"[+-]?0[xX](?=\.?[0-9a-fA-F])([0-9a-fA-F]*)\.?([0-9a-fA-F]*)(?:[pP]([+-]?[0-9]+))?"
)
_INTEGRAL_MAX: Final = 2.0**62  # up to here a double without a fraction is written as an integer


def parse_integer(text: bytes) -> int | None:
    """Return the signed 64-bit integer that `text` is in its one canonical form, else None."""
    size: i64 = len(text)
    if size == 0 or size > 20:
        return None
    if size > 18:
        return _parse_long_integer(text)
    pos: i64 = 0
    if text[0] == 45:  # '-'
        pos = 1
        if size == 1:
            return None
    digit: i64 = text[pos] - 48
    if digit == 0:
        return 0 if size == 1 else None
    value: i64 = 0
    while pos < size:
        digit = text[pos] - 48
        if digit < 0 or digit > 9:
            return None
        value = value * 10 + digit
        pos += 1
    return -value if text[0] == 45 else value


def _parse_long_integer(text: bytes) -> int | None:
    """`parse_integer` for so many digits that the value may not fit."""
    digits = text[1:] if text[0] == 45 else text
    if not digits.isdigit() or digits[0] == 48:
        return None
    value = int(text)
    return value if INTEGER_MIN <= value <= INTEGER_MAX else None


def parse_double(text: bytes) -> float | None:
    """Return the double that the whole of `text` is.

    None if it is no number, has spaces around it, is NaN, or is too big or too small (other than
    zero) for a double.
    """
    if not text or text[0] in _SPACES or text[-1] in _SPACES or b"_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return _parse_hex_double(text)
    if value != value:
        return None
    if value == 0.0 and has_digits(text):
        return None
    if math.isinf(value) and text[-1] not in b"fFyY":
        return None
    return value


def has_digits(text: bytes) -> bool:
    """Whether a decimal number has a digit other than zero in front of its exponent."""
    mantissa = text.lower().partition(b"e")[0]
    return bool(mantissa.strip(b"+-0."))


def split_hex_float(text: bytes) -> tuple[int, int] | None:
    """Return (mantissa, exponent of two) of a number such as `-0x1.8p3`, None if it is none.

    The sign is left to the caller.
    """
    match = _HEX_FLOAT.fullmatch(text)
    if match is None:
        return None
    whole, fraction, power = match.groups()
    exponent = 0 if power is None else read_exponent(power)
    return int(whole + fraction, 16), exponent - 4 * len(fraction)


def read_exponent(text: bytes) -> int:
    """Return the integer after an `e` or a `p`; one of many digits as something very big."""
    digits = text.lstrip(b"+-").lstrip(b"0")
    exponent = int(digits or b"0") if len(digits) < 10 else 10**9
    return -exponent if text[0] == 45 else exponent


def _parse_hex_double(text: bytes) -> float | None:
    parts = split_hex_float(text)
    if parts is None:
        return None
    if parts[0] == 0:
        return -0.0 if text[0] == 45 else 0.0
    try:
        value = float.fromhex(text.decode("ascii"))
    except (OverflowError, ValueError):
        return None
    return value if value != 0.0 else None


def format_double(value: float) -> bytes:
    """Return the text of a double as replies carry it."""
    if value != value:
        return b"nan"
    if value == 0.0:
        return b"-0" if math.copysign(1.0, value) < 0 else b"0"
    if math.isinf(value):
        return b"inf" if value > 0 else b"-inf"
    if -_INTEGRAL_MAX <= value <= _INTEGRAL_MAX:
        integer = int(value)
        if integer == value:
            return b"%d" % integer
    return format_grisu(value)


def format_grisu(value: float) -> bytes:
    """Return the text of a double with an exponent even for a whole number, if that is shorter.

    Source: deps/fpconv fpconv_dtoa.
    """
    if value == 0.0:
        return b"-0" if math.copysign(1.0, value) < 0 else b"0"
    if math.isinf(value):
        return b"inf" if value > 0 else b"-inf"
    digits, power = _grisu2(abs(value))
    text = _lay_out(digits, power, 17 if value < 0 else 18)
    return b"-" + text if value < 0 else text


def format_human(value: float) -> bytes:
    """Return a finite double without an exponent, rounded to 17 digits behind the point.

    Source: util.c ld2string, LD_STR_HUMAN.
    """
    text = (b"%.17f" % value).rstrip(b"0").rstrip(b".")
    return b"0" if text == b"-0" else text


def _lay_out(digits: bytes, power: int, most: int) -> bytes:
    """Return the text of `digits` * 10**power: plain, or with an exponent if that is long.

    With an exponent, digits from the one numbered `most` on are cut off.
    """
    count = len(digits)
    exponent = power + count - 1
    if power >= 0 and exponent < count + 7:
        return digits + b"0" * power
    if power < 0 and (power > -7 or abs(exponent) < 4):
        point = count + power
        if point <= 0:
            return b"0." + b"0" * -point + digits
        return digits[:point] + b"." + digits[point:]
    digits = digits[:most]
    mantissa = digits if len(digits) == 1 else digits[:1] + b"." + digits[1:]
    return b"%se%s%d" % (mantissa, b"-" if exponent < 0 else b"+", abs(exponent))


# What Grisu2 calls "do-it-yourself floating point": a pair of a 64-bit mantissa with its top bit
# set, and an exponent of two.

_FIRST_POWER: Final = -348
_POWER_STEP: Final = 8
_POWER_COUNT: Final = 87
_EXPONENT_MIN: Final = -60  # of a scaled number: its whole part has between 4 ...
_EXPONENT_MAX: Final = -32  # ... and 32 bits
_LOG10_2: Final = 0.30102999566398114


def _power_of_ten(power: int) -> tuple[int, int]:
    """Return 10**power as (64-bit mantissa, exponent of two), rounded to the nearest."""
    if power >= 0:
        value = 10**power
        exponent = value.bit_length() - 64
        return ((value << 128 >> (exponent + 127)) + 1) >> 1, exponent
    divisor = 10**-power
    shift = divisor.bit_length() + 63
    return ((2 << shift) // divisor + 1) >> 1, -shift


_POWERS: Final = [_power_of_ten(_FIRST_POWER + _POWER_STEP * step) for step in range(_POWER_COUNT)]


def _cached_power(exponent: int) -> int:
    """Return the index of a power of ten that scales 2**exponent as Grisu2 wants it."""
    index = (int(-(exponent + _POWER_COUNT) * _LOG10_2) - _FIRST_POWER) // _POWER_STEP
    while True:
        scaled = exponent + _POWERS[index][1] + 64
        if scaled < _EXPONENT_MIN:
            index += 1
        elif scaled > _EXPONENT_MAX:
            index -= 1
        else:
            return index


def _grisu2(value: float) -> tuple[bytes, int]:
    """Return digits and a power of ten that read back as `value`, which is finite and positive."""
    fraction, exponent = math.frexp(value)
    bits = max(53 if exponent >= -1021 else exponent + 1074, 1)
    mantissa = int(math.ldexp(fraction, bits))
    exponent -= bits
    # The number and the middles between it and its neighbours, with the same exponent.
    shift = 64 - (2 * mantissa + 1).bit_length()
    high = (2 * mantissa + 1) << shift
    at_power = mantissa == 1 << 52
    low = (4 * mantissa - 1) << (shift - 1) if at_power else (2 * mantissa - 1) << shift
    number = 2 * mantissa << shift
    exponent -= 1 + shift
    index = _cached_power(exponent)
    scale, scale_exponent = _POWERS[index]
    half = 1 << 63
    number = (number * scale + half) >> 64
    high = ((high * scale + half) >> 64) - 1
    low = ((low * scale + half) >> 64) + 1
    point = -(exponent + scale_exponent + 64)
    digits, power = _generate(number, high, low, point)
    return digits, power - (_FIRST_POWER + _POWER_STEP * index)


def _generate(number: int, high: int, low: int, point: int) -> tuple[bytes, int]:
    """Return the fewest digits of `high` that are above `low`, moved towards `number`.

    The three are in units of 2**-point. Returns the digits and the power of ten of the last one.
    """
    one = 1 << point
    wanted = high - number
    delta = high - low
    whole = high >> point
    part = high & (one - 1)
    text = b"%d" % whole
    power = len(text)
    value = 0
    for c in text:
        value = value * 10 + c - 48
        power -= 1
        unit = 10**power
        rest = ((whole % unit) << point) + part
        if rest <= delta:
            return _towards(value, wanted, delta, rest, unit << point), power
    while True:
        part *= 10
        delta *= 10
        wanted *= 10
        power -= 1
        value = value * 10 + (part >> point)
        part &= one - 1
        if part < delta:
            return _towards(value, wanted, delta, part, one), power


def _towards(value: int, wanted: int, delta: int, rest: int, unit: int) -> bytes:
    """Lower the last digit while that brings `rest` nearer to `wanted` and leaves it in `delta`."""
    while (
        rest < wanted
        and delta - rest >= unit
        and (rest + unit < wanted or wanted - rest > rest + unit - wanted)
    ):
        value -= 1
        rest += unit
    return b"%d" % value
