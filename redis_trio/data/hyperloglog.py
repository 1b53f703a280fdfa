"""HyperLogLog: how many different elements there were, in 12 KB or less, as Redis's own bytes.

A value is a string: a header of 16 bytes and 16,384 registers. The hash of an element names a
register (its low 14 bits), which keeps the longest run of zeros seen in the rest of the hash, plus
one. The header is `HYLL`, the encoding, three unused bytes, and the last estimate, 64 bits, lowest
byte first; the top bit says that it is out of date.

| encoding | registers |
|---|---|
| 0, dense | 6 bits each, from the lowest bit of the first byte on: 12,288 bytes |
| 1, sparse | opcodes for runs of equal registers |

| opcode | registers |
|---|---|
| `00llllll` | 1 to 64 zeros |
| `01llllll llllllll` | 1 to 16,384 zeros |
| `1vvvvvll` | 1 to 4 times a value from 1 to 32 |

1. A sparse value becomes dense when a run is longer than 32, or when it would grow beyond
   `hll-sparse-max-bytes`; never the other way.
2. A sparse value that redis-server has changed in the same way has the same bytes: an opcode is
   split in place, and equal neighbours are joined within five opcodes of it. Of many changes at
   once each opcode is found by bisection, and not by walking from the beginning.
3. Hashes are Python integers, cut to 64 bits after each product.
4. Dense registers are 6-bit groups as those of base64, only from the other end: turned round they
   are read and written by `binascii`. The maximum of many registers is taken of all at once, with
   integers of 131,072 bits. Both are as quick where the code is not compiled.

Source: Redis hyperloglog.c; O. Ertl, New cardinality estimation algorithms for HyperLogLog
sketches, 2017, algorithm 6; A. Appleby, MurmurHash64A.
"""

from __future__ import annotations

import math
from binascii import a2b_base64, b2a_base64
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

if TYPE_CHECKING:
    from random import Random

HEADER_SIZE: Final = 16
INDEX_BITS: Final = 14
REGISTERS: Final = 1 << INDEX_BITS
RUN_MAX: Final = 64 - INDEX_BITS + 1  # what a register can hold
DENSE_SIZE: Final = HEADER_SIZE + REGISTERS * 6 // 8
DENSE: Final = 0
SPARSE: Final = 1

CHANGED: Final = 1
UNCHANGED: Final = 0
CORRUPTED: Final = -1
FULL: Final = 2

BATCH_MIN: Final = 4  # elements for which it pays to take the opcodes of a sparse value apart

_MAGIC: Final = b"HYLL"
_OUT_OF_DATE: Final = 0x80
_ALPHA: Final = 0.721347520444481703680  # 0.5 / ln 2
_ZEROS_MAX: Final = 64  # of an opcode of one byte
_VALUE_MAX: Final = 32  # of a sparse register
_RUN_LENGTH_MAX: Final = 4
_JOIN_OPCODES: Final = 5

_MASK: Final = (1 << 64) - 1
_SEED: Final = 0xADC83B19
_FACTOR: Final = 0xC6A4A7935BD1E995
_SHIFT: Final = 47

_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_BASE64: Final = _BASE64 + bytes(192)
_FROM_BASE64: Final = bytes.maketrans(_BASE64, bytes(range(64)))
_TOP_BITS: Final = int.from_bytes(b"\x80" * REGISTERS, "little")


def murmur(data: bytes) -> int:
    """Return the 64-bit hash of an element (MurmurHash64A)."""
    size = len(data)
    result = _SEED ^ (size * _FACTOR & _MASK)
    whole = size & ~7
    for start in range(0, whole, 8):
        block = int.from_bytes(data[start : start + 8], "little") * _FACTOR & _MASK
        block = (block ^ block >> _SHIFT) * _FACTOR & _MASK
        result = (result ^ block) * _FACTOR & _MASK
    if whole < size:
        result = (result ^ int.from_bytes(data[whole:], "little")) * _FACTOR & _MASK
    result = (result ^ result >> _SHIFT) * _FACTOR & _MASK
    return result ^ result >> _SHIFT


def new_value() -> bytearray:
    """Return an empty HyperLogLog: sparse, one opcode for all registers, its estimate 0."""
    value = bytearray(HEADER_SIZE)
    value[:4] = _MAGIC
    value[4] = SPARSE
    return value + _zeros(REGISTERS)


def is_valid(value: bytes | bytearray) -> bool:
    """Return whether a string is a HyperLogLog by its header and size."""
    if len(value) < HEADER_SIZE or value[:4] != _MAGIC:
        return False
    return value[4] == SPARSE or (value[4] == DENSE and len(value) == DENSE_SIZE)


def add(value: bytearray, element: bytes, sparse_max: i64) -> int:
    """Add an element; return CHANGED, UNCHANGED or CORRUPTED.

    Args:
      sparse_max: how many bytes a sparse value may have.
    """
    hashed = murmur(element)
    return set_register(value, hashed & (REGISTERS - 1), _run(hashed), sparse_max)


def add_all(value: bytearray, elements: list[bytes], start: int, sparse_max: i64) -> int:
    """Add `elements[start:]`; return how many changed something.

    CORRUPTED if the value turns out to be; elements in front of that stay added.
    """
    i = start
    updated = 0
    if value[4] == SPARSE and len(elements) - start >= BATCH_MIN:
        opcodes = _read_opcodes(bytes(value))
        if opcodes is not None:
            while i < len(elements):
                hashed = murmur(elements[i])
                done = opcodes.set(hashed & (REGISTERS - 1), _run(hashed), sparse_max)
                if done == FULL:
                    break
                updated += done
                i += 1
            value[HEADER_SIZE:] = opcodes.encoded()
    while i < len(elements):
        changed = add(value, elements[i], sparse_max)
        if changed == CORRUPTED:
            return CORRUPTED
        updated += changed
        i += 1
    return updated


def _run(hashed: int) -> i64:
    """Return how many zeros the hash has above the bits of the register's number, plus one."""
    rest: i64 = hashed >> INDEX_BITS
    rest |= 1 << (64 - INDEX_BITS)
    run: i64 = 1
    while rest & 1 == 0:
        rest >>= 1
        run += 1
    return run


def set_register(value: bytearray, index: i64, run: i64, sparse_max: i64) -> int:
    """Raise a register to `run` if it is lower; see `add`."""
    if value[4] == DENSE:
        return _set_dense(value, index, run)
    return _set_sparse(value, index, run, sparse_max)


# -- the estimate


def forget_estimate(value: bytearray) -> None:
    """Mark the estimate in the header as out of date."""
    value[15] |= _OUT_OF_DATE


def known_estimate(value: bytearray) -> int | None:
    """Return the estimate in the header, None if it is out of date."""
    if value[15] & _OUT_OF_DATE:
        return None
    return int.from_bytes(value[8:16], "little")


def store_estimate(value: bytearray, estimate: int) -> None:
    """Put an estimate into the header."""
    value[8:16] = estimate.to_bytes(8, "little")


def count(value: bytes | bytearray) -> int | None:
    """Estimate how many elements were added; None if the value is corrupted."""
    data = bytes(value)
    if data[4] == DENSE:
        return estimate(_histogram(_unpack(data)))
    histogram = [0] * 64
    total = 0
    for position in _opcodes(data):
        length = _length(data, position)
        histogram[_value(data, position)] += length
        total += length
    return estimate(histogram) if total == REGISTERS else None


def count_registers(registers: bytes) -> int:
    """Estimate how many elements were added to what has these registers."""
    return estimate(_histogram(registers))


def estimate(histogram: list[int]) -> int:
    """Return the estimate for a histogram of the registers, an integer of 64 bits.

    What registers that no hash can produce lead to is what x86 makes of it: 2**63.
    """
    size = float(REGISTERS)
    total = size * _tau((size - histogram[RUN_MAX]) / size)
    for run in range(RUN_MAX - 1, 0, -1):
        total += histogram[run]
        total *= 0.5
    total += size * _sigma(histogram[0] / size)
    if total == 0.0:
        return 1 << 63
    result = _ALPHA * size * size / total
    if result >= 2.0**63:
        return 1 << 63
    whole = int(result)
    return whole + 1 if result - whole >= 0.5 else whole


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    factor = 1.0
    total = x
    while True:
        x *= x
        before = total
        total += x * factor
        factor += factor
        if total == before:
            return total


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    factor = 1.0
    total = 1 - x
    while True:
        x = math.sqrt(x)
        before = total
        factor *= 0.5
        total -= math.pow(1 - x, 2) * factor
        if total == before:
            return total / 3


def _histogram(registers: bytes) -> list[int]:
    """Return how many registers hold 0, 1, ... 63. What has been counted is cut out."""
    histogram = [0] * 64
    rest = registers
    for run in range(64):
        if not rest:
            break
        before = len(rest)
        rest = rest.translate(None, bytes((run,)))
        histogram[run] = before - len(rest)
    return histogram


# -- all registers at once


def registers_of(value: bytes | bytearray) -> bytes | None:
    """Return the registers, a byte each; None if the value is corrupted."""
    data = bytes(value)
    if data[4] == DENSE:
        return _unpack(data)
    parts: list[bytes] = []
    total = 0
    for position in _opcodes(data):
        length = _length(data, position)
        run = _value(data, position)
        total += length
        if total > REGISTERS:
            return None
        parts.append(bytes((run,)) * length)
    return b"".join(parts) if total == REGISTERS else None


def merge_registers(one: bytes, other: bytes) -> bytes:
    """Return the greater of each two registers.

    `one - other + 128` has the top bit of its byte set where `one` is not less; no byte borrows.
    """
    a = int.from_bytes(one, "little")
    b = int.from_bytes(other, "little")
    not_less = (a | _TOP_BITS) - b & _TOP_BITS
    mask = not_less - (not_less >> 7)
    return (b ^ (a ^ b) & mask).to_bytes(REGISTERS, "little")


def raise_registers(value: bytearray, registers: bytes, sparse_max: i64) -> None:
    """Raise each register of a value, which is not corrupted, to at least what `registers` has.

    A dense value must not have any that is higher.
    """
    if value[4] == SPARSE:
        opcodes = _read_opcodes(bytes(value))
        index = 0
        while opcodes is not None and index < REGISTERS:
            if registers[index] and opcodes.set(index, registers[index], sparse_max) == FULL:
                break
            index += 1
        if opcodes is not None:
            value[HEADER_SIZE:] = opcodes.encoded()
        while index < REGISTERS and value[4] == SPARSE:
            if registers[index]:
                _set_sparse(value, index, registers[index], sparse_max)
            index += 1
    if value[4] == DENSE:
        value[HEADER_SIZE:] = _pack(registers)


def make_dense(value: bytearray) -> bool:
    """Make a value dense, if it is not; return False, and leave it alone, if it is corrupted."""
    if value[4] == SPARSE:
        registers = registers_of(value)
        if registers is None:
            return False
        value[4] = DENSE
        value[HEADER_SIZE:] = _pack(registers)
    return True


def _unpack(data: bytes) -> bytes:
    """Return the registers of a dense value, a byte each."""
    reverse = b2a_base64(data[HEADER_SIZE:][::-1], newline=False)
    return reverse.translate(_FROM_BASE64)[::-1]


def _pack(registers: bytes) -> bytes:
    """Return registers, a byte each, as they are in a dense value."""
    return a2b_base64(registers[::-1].translate(_TO_BASE64))[::-1]


def _set_dense(value: bytearray, index: i64, run: i64) -> int:
    position: i64 = HEADER_SIZE + index * 6 // 8
    shift: i64 = index * 6 & 7
    low: i64 = value[position]
    high: i64 = value[position + 1] if shift > 2 else 0
    if (low | high << 8) >> shift & 63 >= run:
        return UNCHANGED
    word = (low | high << 8) & ~(63 << shift) | run << shift
    value[position] = word & 255
    if shift > 2:
        value[position + 1] = word >> 8
    return CHANGED


# -- sparse opcodes


def _opcodes(data: bytes) -> list[int]:
    """Return the positions of the opcodes of a sparse value."""
    found: list[int] = []
    position: i64 = HEADER_SIZE
    end: i64 = len(data)
    while position < end:
        found.append(position)
        position += 2 if data[position] & 0xC0 == 0x40 else 1
    return found


def _length(data: bytes, position: i64) -> i64:
    """Return how many registers an opcode is for. Behind the end of a value Redis finds a NUL."""
    opcode: i64 = data[position]
    if opcode & 0x80:
        return (opcode & 3) + 1
    if opcode & 0x40:
        low: i64 = data[position + 1] if position + 1 < len(data) else 0
        return ((opcode & 63) << 8 | low) + 1
    return opcode + 1


def _value(data: bytes, position: i64) -> i64:
    """Return what the registers of an opcode hold."""
    opcode: i64 = data[position]
    return (opcode >> 2 & 31) + 1 if opcode & 0x80 else 0


def _zeros(length: int) -> bytes:
    """Return the opcode for some registers of zero; nothing for none."""
    if length == 0:
        return b""
    if length <= _ZEROS_MAX:
        return bytes((length - 1,))
    return bytes((0x40 | length - 1 >> 8, length - 1 & 255))


def _values(run: int, length: int) -> bytes:
    """Return the opcode for up to four registers of a value; nothing for none."""
    return bytes((0x80 | run - 1 << 2 | length - 1,)) if length else b""


def _set_sparse(value: bytearray, index: i64, run: i64, sparse_max: i64) -> int:
    """Raise a register of a sparse value, which may become dense; see `add`."""
    if run > _VALUE_MAX:
        return _promote(value, index, run)
    data = bytes(value)
    end: i64 = len(data)
    position: i64 = HEADER_SIZE
    previous: i64 = HEADER_SIZE  # the opcode in front
    first: i64 = 0
    length: i64 = 0
    while position < end:
        length = _length(data, position)
        if index < first + length:
            break
        previous = position
        position += 2 if data[position] & 0xC0 == 0x40 else 1
        first += length
    if length == 0 or position >= end:
        return CORRUPTED
    old_run = _value(data, position)
    if old_run >= run:
        return UNCHANGED
    in_front = index - first
    behind = first + length - 1 - index
    if old_run:
        opcodes = _values(old_run, in_front) + _values(run, 1) + _values(old_run, behind)
    else:
        opcodes = _zeros(in_front) + _values(run, 1) + _zeros(behind)
    old_size: i64 = 2 if data[position] & 0xC0 == 0x40 else 1
    size = end - old_size + len(opcodes)
    if size > end and size > sparse_max:
        return _promote(value, index, run)
    value[position : position + old_size] = opcodes
    del value[size:]
    _join(value, previous)
    forget_estimate(value)
    return CHANGED


def _join(value: bytearray, position: i64) -> None:
    """Join opcodes of the same value that are next to each other, from a position on."""
    for _ in range(_JOIN_OPCODES):
        if position >= len(value):
            return
        opcode: i64 = value[position]
        if opcode & 0x80:
            following: i64 = value[position + 1] if position + 1 < len(value) else 0
            length = (opcode & 3) + (following & 3) + 2
            if opcode >> 2 == following >> 2 and length <= _RUN_LENGTH_MAX:
                value[position + 1] = opcode & 0xFC | length - 1
                del value[position]
                continue
        position += 2 if opcode & 0xC0 == 0x40 else 1


def _promote(value: bytearray, index: i64, run: i64) -> int:
    """Make a sparse value dense and raise a register of it."""
    if not make_dense(value):
        return CORRUPTED
    return _set_dense(value, index, run)


# -- many registers of a sparse value


class _Opcodes:
    """The opcodes of a sparse value, taken apart so that each is found by bisection.

    Opcode `i` is for the registers from `firsts[i]` up to `firsts[i + 1]`, which hold `runs[i]`,
    and takes `sizes[i]` bytes. `firsts` ends with REGISTERS.
    """

    __slots__ = ("firsts", "runs", "size", "sizes")

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self.runs: list[int] = []
        self.sizes: list[int] = []
        self.size: i64 = HEADER_SIZE  # of the whole value

    def append(self, first: int, run: int, size: i64) -> None:
        """Add an opcode at the end."""
        self.firsts.append(first)
        self.runs.append(run)
        self.sizes.append(size)
        self.size += size

    def set(self, index: int, run: int, sparse_max: i64) -> int:
        """Raise a register as `_set_sparse` does; FULL: not done, the value must become dense."""
        if run > _VALUE_MAX:
            return FULL
        firsts = self.firsts
        place = bisect_right(firsts, index) - 1
        old_run = self.runs[place]
        if old_run >= run:
            return UNCHANGED
        first = firsts[place]
        behind = firsts[place + 1]
        new = _Opcodes()
        if first < index:
            new.append(first, old_run, _size(old_run, index - first))
        new.append(index, run, 1)
        if index + 1 < behind:
            new.append(index + 1, old_run, _size(old_run, behind - index - 1))
        size = self.size - self.sizes[place] + new.size - HEADER_SIZE
        if size > self.size and size > sparse_max:
            return FULL
        self.size = size
        firsts[place : place + 1] = new.firsts
        self.runs[place : place + 1] = new.runs
        self.sizes[place : place + 1] = new.sizes
        self._join(max(0, place - 1))
        return CHANGED

    def _join(self, place: int) -> None:
        firsts = self.firsts
        runs = self.runs
        for _ in range(_JOIN_OPCODES):
            if place + 1 >= len(runs):
                return
            run = runs[place]
            length = firsts[place + 2] - firsts[place]
            if run and run == runs[place + 1] and length <= _RUN_LENGTH_MAX:
                del firsts[place + 1]
                del runs[place + 1]
                del self.sizes[place + 1]
                self.size -= 1
            else:
                place += 1

    def encoded(self) -> bytes:
        """Return the bytes of all opcodes."""
        parts: list[bytes] = []
        firsts = self.firsts
        for i in range(len(self.runs)):
            length = firsts[i + 1] - firsts[i]
            run = self.runs[i]
            if run:
                parts.append(_values(run, length))
            elif self.sizes[i] == 1:
                parts.append(bytes((length - 1,)))
            else:
                parts.append(bytes((0x40 | length - 1 >> 8, length - 1 & 255)))
        return b"".join(parts)


def _size(run: int, length: int) -> i64:
    """Return how many bytes a new opcode takes."""
    return 1 if run or length <= _ZEROS_MAX else 2


def _read_opcodes(data: bytes) -> _Opcodes | None:
    """Take a sparse value apart; return None if it is corrupted, or its last byte is missing."""
    found = _Opcodes()
    first: i64 = 0
    end: i64 = len(data)
    for position in _opcodes(data):
        size: i64 = 2 if data[position] & 0xC0 == 0x40 else 1
        found.append(first, _value(data, position), size)
        first += _length(data, position)
        if first > REGISTERS or position + size > end:
            return None
    if first != REGISTERS:
        return None
    found.firsts.append(REGISTERS)
    return found


# -- for PFDEBUG and PFSELFTEST


def decode(value: bytes | bytearray) -> bytes:
    """Return the opcodes of a sparse value as text: `z:` and `Z:` zeros, `v:value,registers`."""
    data = bytes(value)
    parts: list[bytes] = []
    for position in _opcodes(data):
        length = _length(data, position)
        opcode = data[position]
        if opcode & 0x80:
            parts.append(b"v:%d,%d" % (_value(data, position), length))
        else:
            parts.append(b"%b:%d" % (b"Z" if opcode & 0x40 else b"z", length))
    return b" ".join(parts)


TEST_CYCLES: Final = 3
TEST_ELEMENTS: Final = 10_000


def self_test(rng: Random, sparse_max: int) -> str | None:
    """Try the registers and the estimate with random data; return what is wrong, None if nothing.

    Redis does the same with a thousand times as much data, which takes it some seconds.
    """
    for _ in range(TEST_CYCLES):
        value = new_value()
        make_dense(value)
        expected = bytearray(REGISTERS)
        for index in range(REGISTERS):
            expected[index] = int(rng.random() * 64)
            _set_dense(value, index, expected[index])
        found = _unpack(bytes(value))
        for index in range(REGISTERS):
            if found[index] != expected[index]:
                return f"Register {index} should be {expected[index]} but is {found[index]}"
    return _test_estimate(rng.getrandbits(62), sparse_max)


def _test_estimate(seed: int, sparse_max: int) -> str | None:
    dense = new_value()
    make_dense(dense)
    sparse = new_value()
    error = 1.04 / math.sqrt(REGISTERS)
    checkpoint = 1
    for number in range(1, TEST_ELEMENTS + 1):
        element = (number ^ seed).to_bytes(8, "little")
        add(dense, element, sparse_max)
        add(sparse, element, sparse_max)
        if number == checkpoint:
            if number < sparse_max // 2 and sparse[4] != SPARSE:
                return "sparse encoding not used"
            counted = count(dense)
            if counted is None or counted != count(sparse):
                return "dense/sparse disagree"
            most = 1 if number == 10 else math.ceil(error * 6 * number)
            if abs(number - counted) > most:
                return f"Too big error. card:{number} abserr:{abs(number - counted)}"
            checkpoint *= 10
    return None
