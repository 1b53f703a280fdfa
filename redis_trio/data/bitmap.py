"""Bits of strings: counting, finding, combining, and integers of any width at any bit.

Bit 0 is the highest bit of the first byte. Whatever goes over many bytes is left to C in pieces:
whole numbers count and combine bits, `startswith` compares with a page of equal bytes without
copying anything, `translate` inverts.

Source: Redis bitops.c.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

PIECE: Final = 16384  # bytes of one number; the fastest of the powers of two
PAGE: Final = 4096

WRAP: Final = 0
SAT: Final = 1
FAIL: Final = 2

AND: Final = b"AND"
OR: Final = b"OR"
XOR: Final = b"XOR"

_ZEROS: Final = bytes(PAGE)
_ONES: Final = b"\xff" * PAGE
_INVERTED: Final = bytes(range(255, -1, -1))
_WORD: Final = 1 << 64


def count_bits(data: bytes | bytearray, first: i64, last: i64) -> int:
    """Return how many bits are set from bit `first` to bit `last`, which are within the string."""
    start = first >> 3
    end = (last >> 3) + 1
    total = 0
    at = start
    while at < end:
        stop = min(end, at + PIECE)
        total += int.from_bytes(data[at:stop], "little").bit_count()
        at = stop
    before: int = data[start] & ~(255 >> int(first & 7))
    after: int = data[end - 1] & (127 >> int(last & 7))
    return total - before.bit_count() - after.bit_count()


def find_bit(data: bytes | bytearray, bit: int, first: i64, last: i64) -> int:
    """Return the first bit from `first` to `last` that is `bit`, -1 if there is none.

    Both are within the string.
    """
    start = first >> 3
    end = last >> 3
    flip = 0 if bit else 255
    byte: int = (data[start] ^ flip) & (255 >> int(first & 7))
    if start == end:
        byte &= ~(127 >> int(last & 7))
    if byte or start == end:
        return start * 8 + 8 - byte.bit_length() if byte else -1
    at = _skip(data, start + 1, end, _ZEROS if bit else _ONES)
    byte = data[at] ^ flip
    if at == end:
        byte &= ~(127 >> int(last & 7))
    return at * 8 + 8 - byte.bit_length() if byte else -1


def _skip(data: bytes | bytearray, start: i64, end: i64, page: bytes) -> i64:
    """Return the place of the first byte from `start` on that is not one of `page`'s, or `end`."""
    while end - start >= PAGE and data.startswith(page, start):
        start += PAGE
    stop = min(end, start + PAGE)
    part = data[start:stop]
    return stop - len(part.lstrip(page[:1]))


def invert(data: bytes | bytearray) -> bytearray:
    """Return the string with each bit inverted."""
    return bytearray(data.translate(_INVERTED))


def combine(operation: bytes, operands: list[bytes | bytearray]) -> bytearray:
    """Return AND, OR or XOR of strings; short ones are filled up with zeros."""
    size: i64 = 0
    for operand in operands:
        if len(operand) > size:
            size = len(operand)
    result = bytearray()
    at: i64 = 0
    while at < size:
        stop = min(size, at + PIECE)
        number = int.from_bytes(operands[0][at:stop], "little")
        for i in range(1, len(operands)):
            other = int.from_bytes(operands[i][at:stop], "little")
            if operation == AND:
                number &= other
            elif operation == OR:
                number |= other
            else:
                number ^= other
        result += number.to_bytes(stop - at, "little")
        at = stop
    return result


def get_field(data: bytes | bytearray, offset: int, bits: int, signed: bool) -> int:
    """Return the integer of `bits` bits at a bit offset; beyond the string there are zeros."""
    start = offset >> 3
    end = (offset + bits + 7) >> 3
    part = data[start:end] if start < len(data) else b""
    number = int.from_bytes(part, "big") << 8 * (end - start - len(part))
    number = number >> (end * 8 - offset - bits) & ((1 << bits) - 1)
    if signed and number >> (bits - 1):
        number -= 1 << bits
    return number


def set_field(data: bytearray, offset: int, bits: int, number: int) -> None:
    """Store an integer in `bits` bits at a bit offset, which are within the string."""
    start = offset >> 3
    end = (offset + bits + 7) >> 3
    shift = end * 8 - offset - bits
    mask = (1 << bits) - 1
    whole = int.from_bytes(data[start:end], "big")
    whole = whole & ~(mask << shift) | (number & mask) << shift
    data[start:end] = whole.to_bytes(end - start, "big")


def fit(number: int, increment: int, bits: int, signed: bool, overflow: int) -> int | None:
    """Return `number + increment` as it fits into `bits` bits; None if it does not under FAIL.

    A negative number is taken for a huge one where the field is unsigned. Of the signed numbers
    that are far too small the smallest become the greatest under SAT, as a subtraction overflows
    in Redis (bitops.c checkSignedBitfieldOverflow).
    """
    if signed:
        high = (1 << (bits - 1)) - 1
        low = -high - 1
    else:
        high = (1 << bits) - 1
        low = 0
        number %= _WORD
    total = number + increment
    if low <= total <= high:
        return total
    if overflow == FAIL:
        return None
    if overflow == SAT:
        far_below = bits < 64 and high - number >= 1 << 63
        return high if total > high or far_below else low
    total &= (1 << bits) - 1
    if signed and total >> (bits - 1):
        total -= 1 << bits
    return total
