"""HyperLogLogs by value: hashes, registers, the two representations, commands, feed, events."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.client import Client
from redis_trio.data import hyperloglog
from redis_trio.data.hyperloglog import (
    DENSE_SIZE,
    HEADER_SIZE,
    REGISTERS,
    add,
    add_all,
    count,
    forget_estimate,
    make_dense,
    merge_registers,
    murmur,
    new_value,
    raise_registers,
    registers_of,
    set_register,
)
from redis_trio.protocol.reply import OK, RedisError, Reply, Status
from redis_trio.state import ServerState
from tests.fuzz import FACTOR
from tests.unit.conftest import Run

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOT_ONE = "WRONGTYPE Key is not a valid HyperLogLog string value."
CORRUPTED = "INVALIDOBJ Corrupted HLL object detected"
SETTINGS = settings(max_examples=12 * FACTOR, derandomize=True, deadline=None)
LIMIT = 3000

Heard = Callable[[], list[bytes]]
Updates = list[tuple[int, int]]


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def value_of(client: Client, key: bytes) -> bytes:
    value = client.db.peek(key)
    assert isinstance(value, bytes | bytearray)
    return bytes(value)


def dense_value() -> bytearray:
    value = new_value()
    assert make_dense(value)
    return value


# -- hash, registers, estimate


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0xD8DFEA6585BC9732),
        (b"a", 0x53D2470A9B43B1A7),
        (b"1234567", 0x85563DB163632857),
        (b"12345678", 0x95EBB86389132953),
        (b"\xff" * 17, 0x5E376FD9E669D582),
    ],
)
def test_the_hash_is_murmurs(data: bytes, expected: int) -> None:
    assert murmur(data) == expected


def test_a_new_value_is_one_opcode() -> None:
    assert new_value() == b"HYLL\x01\0\0\0" + bytes(8) + b"\x7f\xff"
    assert count(new_value()) == 0


UPDATES = st.lists(st.tuples(st.integers(0, REGISTERS - 1), st.integers(1, 32)), max_size=150)
NEAR = st.lists(st.tuples(st.integers(0, 90), st.integers(1, 3)), max_size=150)


@SETTINGS
@given(st.one_of(UPDATES, NEAR))
def test_both_representations_hold_the_same_registers(updates: Updates) -> None:
    sparse, dense = new_value(), dense_value()
    model = bytearray(REGISTERS)
    for index, run in updates:
        changed = 1 if run > model[index] else 0
        model[index] = max(model[index], run)
        assert set_register(sparse, index, run, 10**6) == changed
        assert set_register(dense, index, run, LIMIT) == changed
    assert sparse[4] == hyperloglog.SPARSE
    assert registers_of(sparse) == registers_of(dense) == bytes(model)
    assert count(sparse) == count(dense) == hyperloglog.count_registers(bytes(model))
    assert make_dense(sparse)
    assert sparse[HEADER_SIZE:] == dense[HEADER_SIZE:]


@SETTINGS
@given(st.one_of(UPDATES, NEAR), st.one_of(UPDATES, NEAR))
def test_raising_all_registers_at_once_writes_the_same_opcodes(old: Updates, new: Updates) -> None:
    """As raising one after the other, each sought from the beginning."""
    value = new_value()
    for index, run in old:
        set_register(value, index, run, 10**6)
    one_by_one = bytearray(value)
    registers = bytearray(REGISTERS)
    for index, run in new:
        registers[index] = max(registers[index], run)
    raise_registers(value, bytes(registers), 10**6)
    for index in range(REGISTERS):
        if registers[index]:
            set_register(one_by_one, index, registers[index], 10**6)
    assert value == one_by_one


@SETTINGS
@given(st.integers(), st.integers(0, 700), st.sampled_from([0, 20, 100, 800, 3000]))
def test_many_elements_at_once_write_the_same_bytes(seed: int, size: int, limit: int) -> None:
    rng = Random(seed)
    together = new_value()
    for number in range(rng.randrange(100)):
        add(together, b"%d" % number, limit)
    one_by_one = bytearray(together)
    elements = [rng.randbytes(rng.randrange(1, 4)) for _ in range(size)]
    changed = sum([add(one_by_one, element, limit) for element in elements])
    assert add_all(together, [b"PFADD", b"key", *elements], 2, limit) == changed
    for value in (together, one_by_one):
        forget_estimate(value)
    assert together == one_by_one


def test_many_elements_at_once_keep_opcodes_that_are_longer_than_needed() -> None:
    """Two bytes for one zero, as redis-server never writes them, but reads them."""
    value = new_value()
    value[HEADER_SIZE:] = b"\x40\x00" * 100 + b"\x7f\x9b"
    one_by_one = bytearray(value)
    elements = [b"%d" % number for number in range(300)]
    changed = sum([add(one_by_one, element, LIMIT) for element in elements])
    assert add_all(value, elements, 0, LIMIT) == changed
    assert value[HEADER_SIZE:] == one_by_one[HEADER_SIZE:]
    assert b"\x40\x00" in value


@SETTINGS
@given(st.integers())
def test_dense_registers_are_six_bits_from_the_lowest_on(seed: int) -> None:
    rng = Random(seed)
    registers = bytes(rng.randrange(64) for _ in range(REGISTERS))
    value = dense_value()
    for index in range(REGISTERS):
        set_register(value, index, registers[index], LIMIT)
    assert registers_of(value) == registers
    bits = sum(registers[index] << 6 * index for index in range(64))
    assert value[HEADER_SIZE : HEADER_SIZE + 48] == bits.to_bytes(48, "little")
    assert len(value) == DENSE_SIZE


@SETTINGS
@given(st.integers())
def test_merged_registers_are_the_greater_ones(seed: int) -> None:
    rng = Random(seed)
    one, other = (bytes(rng.randrange(64) for _ in range(REGISTERS)) for _ in range(2))
    assert merge_registers(one, other) == bytes(map(max, one, other))
    assert merge_registers(one, bytes(REGISTERS)) == one


@pytest.mark.parametrize("size", [1, 10, 100, 1000, 10_000])
def test_the_estimate_is_near(size: int) -> None:
    """Within four times the standard error of 0.81 percent."""
    value = new_value()
    for number in range(size):
        add(value, b"element:%d" % number, LIMIT)
    estimate = count(value)
    assert estimate is not None
    assert abs(estimate - size) <= max(1, size * 0.0325)


def test_a_run_too_long_for_an_opcode_makes_a_value_dense() -> None:
    value = new_value()
    set_register(value, 5, 32, LIMIT)
    assert value[4] == hyperloglog.SPARSE
    set_register(value, 6, 33, LIMIT)
    assert value[4] == hyperloglog.DENSE
    registers = registers_of(value)
    assert registers is not None
    assert registers[4:8] == bytes([0, 32, 33, 0])


def test_neighbours_are_joined() -> None:
    value = new_value()
    for index in (10, 12, 11, 13, 14):
        set_register(value, index, 3, LIMIT)
    assert hyperloglog.decode(value) == b"z:10 v:3,4 v:3,1 Z:16369"
    set_register(value, 11, 4, LIMIT)
    assert hyperloglog.decode(value) == b"z:10 v:3,1 v:4,1 v:3,3 Z:16369"


# -- commands


def test_pfadd_tells_whether_anything_changed(run: Run) -> None:
    assert run("PFADD k") == 1
    assert run("PFADD k") == 0
    assert run("PFADD k a b c") == 1
    assert run("PFADD k a b c") == 0
    assert run("PFCOUNT k") == 3
    assert run("PFCOUNT none") == 0
    assert run("OBJECT ENCODING k") == b"raw"
    assert run("TYPE k") == status("string")


def test_the_header_keeps_the_estimate(run: Run, client: Client) -> None:
    run("PFADD k a")
    assert value_of(client, b"k")[8:16] == bytes(7) + b"\x80"
    assert run("PFCOUNT k") == 1
    assert value_of(client, b"k")[8:16] == b"\x01" + bytes(7)
    run("PFADD k a")
    assert value_of(client, b"k")[15] == 0
    run("PFADD k b")
    assert value_of(client, b"k")[15] == 0x80
    run("SET", "k", b"HYLL\x01\0\0\0" + b"\x2a" + bytes(7) + b"\x7f\xff")
    assert run("PFCOUNT k") == 42
    assert run("PFCOUNT k none") == 0


def test_pfcount_of_several_keys_counts_what_they_have_together(run: Run) -> None:
    run("PFADD a 1 2 3")
    run("PFADD b 3 4")
    run("PFDEBUG TODENSE b")
    assert run("PFCOUNT a b none") == 4
    assert run("PFCOUNT b a a") == 4


def test_pfmerge(run: Run) -> None:
    run("PFADD a 1 2 3")
    run("PFADD b 3 4")
    run("PFADD d 9")
    assert run("PFMERGE d a none b") is OK
    assert run("PFCOUNT d") == 5
    assert run("PFMERGE e") is OK
    assert run("PFCOUNT e") == 0
    assert run("PFDEBUG ENCODING d") == status("sparse")
    run("PFDEBUG TODENSE a")
    run("PFMERGE d a")
    assert run("PFDEBUG ENCODING d") == status("dense")
    assert run("PFCOUNT d") == 5


class status:  # noqa: N801  (reads as a value)
    """Equal to a simple string of this text."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Status) and other.text == self.text

    __hash__ = None  # type: ignore[assignment]


def test_merging_into_sparse_goes_over_to_dense_at_the_threshold(run: Run) -> None:
    run("CONFIG SET hll-sparse-max-bytes 500")
    for part in range(4):
        run("PFADD", f"p{part}", *range(part * 50, part * 50 + 50))
        assert run("PFDEBUG", "ENCODING", f"p{part}") == status("sparse")
    run("PFMERGE d p0 p1 p2 p3")
    assert run("PFDEBUG ENCODING d") == status("dense")
    run("PFADD", "whole", *range(200))
    assert run("PFDEBUG GETREG d") == run("PFDEBUG GETREG whole")
    assert abs(int(str(run("PFCOUNT d"))) - 200) <= 5


def test_pfdebug(run: Run) -> None:
    run("PFADD k a")
    decoded = run("PFDEBUG decode k")
    assert isinstance(decoded, bytes)
    assert decoded.startswith(b"Z:")
    assert b"v:" in decoded
    assert run("PFDEBUG TODENSE k") == 1
    assert run("PFDEBUG TODENSE k") == 0
    assert error(run("PFDEBUG DECODE k")) == "ERR HLL encoding is not sparse"
    registers = run("PFDEBUG GETREG k")
    assert isinstance(registers, list)
    assert len(registers) == REGISTERS
    assert sum(1 for register in registers if register) == 1
    assert error(run("PFDEBUG NONE k")) == "ERR Unknown PFDEBUG subcommand 'NONE'"
    assert error(run("PFDEBUG NONE none")) == "ERR The specified key does not exist"


def test_pfselftest(run: Run) -> None:
    assert run("PFSELFTEST") is OK


def test_the_self_test_finds_what_is_wrong() -> None:
    """Ten elements do not fit into 40 bytes, although there are fewer than 20 of them."""
    assert hyperloglog._test_estimate(1, 40) == "sparse encoding not used"


@pytest.mark.parametrize(
    "value", [b"", b"HYLL", b"x" * 20, b"HYLL\x02" + bytes(20), b"HYLL\x00" + bytes(20)]
)
def test_strings_that_are_no_hyperloglogs(run: Run, value: bytes) -> None:
    run("SET", "k", value)
    run("PFADD o a")
    for line in ("PFADD k a", "PFCOUNT k", "PFCOUNT o k", "PFMERGE o k", "PFDEBUG GETREG k"):
        assert error(run(line)) == NOT_ONE
    assert run("GET k") == value


def test_values_of_other_types(run: Run) -> None:
    run("SADD k a")
    for line in ("PFADD k a", "PFCOUNT k", "PFCOUNT o k", "PFMERGE k", "PFDEBUG GETREG k"):
        assert error(run(line)) == WRONGTYPE


def test_corrupted_values(run: Run) -> None:
    broken = b"HYLL\x01\0\0\0" + bytes(7) + b"\x80" + b"\x7f\xfe"
    for line in ("PFCOUNT k", "PFCOUNT k o", "PFMERGE d k", "PFDEBUG TODENSE k"):
        run("SET", "k", broken)
        assert error(run(line)) == CORRUPTED
        assert run("GET k") == broken
    run("SET", "k", broken[:-2])
    assert error(run("PFADD k a")) == CORRUPTED
    assert run("EXISTS d") == 0


# -- feed, dirty, events


def test_what_is_fed(run: Run, heard: Heard) -> None:
    run("PFADD k a b")
    assert heard() == [b"SELECT 0", b"PFADD k a b"]
    run("PFADD k a b")
    assert heard() == []
    run("PFCOUNT k")
    assert heard() == [b"PFCOUNT k"]
    run("PFCOUNT k")
    run("PFCOUNT k k")
    assert heard() == []
    run("PFMERGE d k")
    assert heard() == [b"PFMERGE d k"]
    run("PFDEBUG GETREG d")
    assert heard() == [b"PFDEBUG GETREG d"]
    run("PFDEBUG TODENSE d")
    assert heard() == []


def test_dirty_and_events(
    run: Run, state: ServerState, fired: list[tuple[str, bytes, int]]
) -> None:
    def effect(line: str) -> tuple[int, list[str]]:
        before = state.dirty
        fired.clear()
        run(line)
        events = [event for event, _, _ in fired if event != "keymiss"]
        return state.dirty - before, events

    assert effect("PFADD k a b") == (3, ["new", "pfadd"])
    assert effect("PFADD k a c") == (1, ["pfadd"])
    assert effect("PFADD k a c") == (0, [])
    assert effect("PFCOUNT k") == (1, [])
    assert effect("PFCOUNT k") == (0, [])
    assert effect("PFMERGE d k") == (1, ["new", "pfadd"])
    assert effect("PFMERGE d") == (1, ["pfadd"])
    assert effect("PFDEBUG TODENSE d") == (1, [])


def test_a_copy_shares_nothing(run: Run) -> None:
    run("PFADD k a")
    run("COPY k l")
    run("PFADD l b")
    assert run("PFCOUNT k") == 1
    assert run("PFCOUNT l") == 2
