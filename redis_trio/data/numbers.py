"""Numbers as Redis reads and writes them. Source: util.c string2ll, string2d, ld2string, d2string."""

from __future__ import annotations


def format_double(value: float) -> bytes:
    """Return the text of a double as replies carry it: `%.17g`, shortest where it is exact."""
    if value != value:
        return b"nan"
    if value in (float("inf"), float("-inf")):
        return b"inf" if value > 0 else b"-inf"
    if value == int(value) and abs(value) < 1e17:
        return b"-0" if str(value) == "-0.0" else b"%d" % int(value)
    return repr(value).encode()


INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**63 - 1


def parse_integer(text: bytes) -> int | None:
    """Return the signed 64-bit integer that `text` is in its one canonical form, else None."""
    size = len(text)
    if size == 0 or size > 20:
        return None
    digits = text[1:] if text[0] == 45 else text
    if not digits.isdigit():
        return None
    if digits[0] == 48 and text != b"0":
        return None
    value = int(text)
    return value if INTEGER_MIN <= value <= INTEGER_MAX else None


def parse_double(text: bytes) -> float | None:
    """Return the double that `text` is, as strtod() reads it to its end; None if it is NaN."""
    if not text or text[:1].isspace() or b"_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return None if value != value else value
