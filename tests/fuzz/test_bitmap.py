"""Bits of strings against naive models that go from bit to bit."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.data.bitmap import (
    AND,
    FAIL,
    OR,
    PAGE,
    PIECE,
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
from tests.fuzz import FACTOR

SETTINGS = settings(max_examples=40 * FACTOR, derandomize=True, deadline=None)

sizes = st.one_of(st.integers(1, 20), st.integers(1, 3 * PAGE), st.integers(PIECE, 2 * PIECE + 9))


def draw_bytes(rng: Random, size: int) -> bytes:
    """Noise, or long rows of equal bits with a few others among them."""
    if rng.random() < 0.3:
        return rng.randbytes(size)
    data = bytearray(rng.choice([b"\0", b"\xff"]) * size)
    for _ in range(rng.randrange(4)):
        data[rng.randrange(size)] = rng.randrange(256)
    return bytes(data)


def bits_of(data: bytes | bytearray) -> str:
    return f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}" if data else ""


@SETTINGS
@given(st.integers(), sizes)
def test_bits_are_counted_and_found_in_any_range(seed: int, size: int) -> None:
    rng = Random(seed)
    data = draw_bytes(rng, size)
    bits = bits_of(data)
    for _ in range(10):
        first = rng.choice([0, rng.randrange(size * 8)])
        last = rng.choice([size * 8 - 1, rng.randrange(first, size * 8)])
        part = bits[first : last + 1]
        assert count_bits(bytearray(data), first, last) == part.count("1")
        for bit in (0, 1):
            place = part.find(str(bit))
            assert find_bit(data, bit, first, last) == (place + first if place >= 0 else -1)


@SETTINGS
@given(st.integers(), st.lists(st.one_of(st.just(0), sizes), min_size=1, max_size=4))
def test_strings_are_combined_bit_by_bit(seed: int, lengths: list[int]) -> None:
    rng = Random(seed)
    operands: list[bytes | bytearray] = [draw_bytes(rng, size) if size else b"" for size in lengths]
    longest = max(lengths)
    numbers = [int.from_bytes(operand.ljust(longest, b"\0"), "big") for operand in operands]
    expected = {AND: numbers[0], OR: numbers[0], XOR: numbers[0]}
    for number in numbers[1:]:
        expected = {
            AND: expected[AND] & number,
            OR: expected[OR] | number,
            XOR: expected[XOR] ^ number,
        }
    for operation, result in expected.items():
        assert combine(operation, operands) == result.to_bytes(longest, "big")
    inverted = bits_of(operands[0]).translate({48: 49, 49: 48})
    assert bits_of(invert(operands[0])) == inverted


@SETTINGS
@given(st.binary(min_size=1, max_size=30), st.data())
def test_integers_are_read_and_written_at_any_bit(data: bytes, draw: st.DataObject) -> None:
    bits = draw.draw(st.integers(1, 64))
    signed = draw.draw(st.booleans())
    offset = draw.draw(st.integers(0, 300))
    row = bits_of(data).ljust(offset + bits, "0")
    number = int(row[offset : offset + bits], 2)
    if signed and number >= 2 ** (bits - 1):
        number -= 2**bits
    assert get_field(data, offset, bits, signed) == number
    if offset + bits <= len(data) * 8:
        changed = bytearray(data)
        new = draw.draw(st.integers(0, 2**bits - 1))
        set_field(changed, offset, bits, new - 2**bits if signed else new)
        row = bits_of(data)
        assert bits_of(changed) == row[:offset] + f"{new:0{bits}b}" + row[offset + bits :]


@SETTINGS
@given(st.integers(1, 64), st.booleans(), st.data())
def test_sums_wrap_saturate_or_fail(bits: int, signed: bool, draw: st.DataObject) -> None:
    if not signed:
        bits = min(bits, 63)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    old = draw.draw(st.integers(low, high))
    increment = draw.draw(st.integers(-(2**63), 2**63 - 1))
    total = old + increment
    wrapped = (total - low) % 2**bits + low
    assert fit(old, increment, bits, signed, WRAP) == wrapped
    assert fit(old, increment, bits, signed, SAT) == max(low, min(total, high))
    assert fit(old, increment, bits, signed, FAIL) == (total if low <= total <= high else None)
