"""Bitmap commands by value: replies, errors, what changes in place, what is fed and fires."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.client import Client
from redis_trio.protocol.reply import RedisError, Reply
from redis_trio.state import ServerState
from tests.unit.conftest import Run

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
BAD_OFFSET = "ERR bit offset is not an integer or out of range"
BAD_BIT = "ERR bit is not an integer or out of range"

Heard = Callable[[], list[bytes]]
Fired = list[tuple[str, bytes, int]]


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


# -- SETBIT, GETBIT


def test_setbit_and_getbit(run: Run) -> None:
    assert run("SETBIT k 1 1") == 0
    assert run("SETBIT k 1 1") == 1
    assert run("SETBIT k 23 1") == 0
    assert run("GET k") == b"\x40\x00\x01"
    assert [run("GETBIT", "k", offset) for offset in (0, 1, 23, 24, 10**9)] == [0, 1, 1, 0, 0]
    assert run("SETBIT k 1 0") == 1
    assert run("GET k") == b"\0\0\1"
    assert run("GETBIT none 0") == 0


def test_setbit_changes_the_string_in_place(run: Run, client: Client) -> None:
    run("SET k 12")
    run("SETBIT k 0 0")
    value = client.db.peek(b"k")
    assert isinstance(value, bytearray)
    run("SETBIT", "k", 8 * 100_000, 1)
    assert client.db.peek(b"k") is value
    assert len(value) == 100_001


def test_setbit_that_changes_nothing_is_not_told(
    run: Run, state: ServerState, heard: Heard, fired: Fired
) -> None:
    dirty = state.dirty
    run("SETBIT k 1 0")
    run("SETBIT k 2 0")
    run("SETBIT k 9 0")
    run("SETBIT k 9 1")
    assert state.dirty - dirty == 3
    assert fired == [("new", b"k", 0)] + [("setbit", b"k", 0)] * 3
    assert heard() == [b"SELECT 0", b"SETBIT k 1 0", b"SETBIT k 9 0", b"SETBIT k 9 1"]


def test_errors_of_single_bits(run: Run) -> None:
    run("RPUSH l a")
    for offset in ("x", "-1", "", str(2**32), "#1"):
        assert error(run("SETBIT", "l", offset, "x")) == BAD_OFFSET
        assert error(run("GETBIT", "l", offset)) == BAD_OFFSET
    for bit in ("x", "2", "-1"):
        assert error(run("SETBIT", "l", 0, bit)) == BAD_BIT
    assert error(run("SETBIT l 0 1")) == error(run("GETBIT l 0")) == WRONGTYPE


def test_offsets_are_limited_by_the_size_of_a_string(run: Run) -> None:
    run("CONFIG SET proto-max-bulk-len 1mb")
    assert run("SETBIT", "k", 8 * 2**20 - 1, 1) == 0
    assert error(run("SETBIT", "k", 8 * 2**20, 1)) == BAD_OFFSET


# -- BITCOUNT, BITPOS


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        *(("", 26), ("0 0", 4), ("1 1", 6), ("-1 -1", 4), ("0 -100", 4), ("-1 -2", 0), ("5 9", 4)),
        *(("6 9", 0), ("1 1 byte", 6), ("5 30 BIT", 17), ("0 -1 bit", 26), ("-3 -1 BIT", 1)),
        *(("2 1 BIT", 0),),
    ],
)
def test_bitcount(run: Run, line: str, expected: int) -> None:
    run("SET k foobar")
    assert run(f"BITCOUNT k {line}") == expected


def test_bitcount_of_nothing(run: Run) -> None:
    run("APPEND empty ''")
    assert run("BITCOUNT none") == run("BITCOUNT empty") == run("BITCOUNT empty 0 -1 BIT") == 0


@pytest.mark.parametrize("line", ["0", "0 1 BITS", "0 1 BIT x"])
def test_ranges_have_two_ends(run: Run, line: str) -> None:
    assert error(run(f"BITCOUNT k {line}")) == SYNTAX


@pytest.mark.parametrize(
    ("value", "line", "expected"),
    [
        *((b"\xff\xf0\x00", "0", 12), (b"\x00\xff\xf0", "1", 8), (b"\x00\xff\xf0", "1 2", 16)),
        *((b"\xff\xff", "0", 16), (b"\xff\xff", "0 1", 16), (b"\xff\xff", "0 0 -1", -1)),
        *((b"\x00\x00", "1", -1), (b"\xff\xff", "0 5", -1), (b"", "0", -1), (b"", "1", -1)),
        *((b"\x00\xff\xf0", "1 7 15 BIT", 8), (b"\x00\xff\xf0", "0 8 -6 bit", -1)),
        *((b"\xff\xf0\x00", "0 2 -1 BYTE", 16), (b"\xff\xf0", "0 0 11 BIT", -1)),
        *((b"\xff\xf0", "0 0 12 BIT", 12), (b"\x00", "0 9 9 BIT", -1)),
    ],
)
def test_bitpos(run: Run, value: bytes, line: str, expected: int) -> None:
    run("APPEND", "k", value)
    assert run(f"BITPOS k {line}") == expected


def test_a_missing_key_is_all_zeros(run: Run) -> None:
    assert run("BITPOS none 0") == run("BITPOS none 0 5 9") == 0
    assert run("BITPOS none 1") == -1


def test_errors_of_bitpos_and_bitcount(run: Run) -> None:
    run("RPUSH l a")
    assert error(run("BITPOS l x")) == error(run("BITPOS l 1 x")) == NOT_AN_INTEGER
    assert error(run("BITPOS l 1 0 x")) == error(run("BITPOS l 1 x 1 BITS")) == NOT_AN_INTEGER
    assert error(run("BITPOS l 2")) == "ERR The bit argument must be 1 or 0."
    assert error(run("BITPOS l 1 0 x BITS")) == error(run("BITPOS l 1 x 1 BIT x")) == SYNTAX
    assert error(run("BITPOS l 1")) == error(run("BITPOS l 1 0 1 BIT")) == WRONGTYPE
    assert error(run("BITCOUNT l x 1")) == error(run("BITCOUNT l 0 x BITS")) == NOT_AN_INTEGER
    assert error(run("BITCOUNT l")) == error(run("BITCOUNT l 0 1")) == WRONGTYPE


# -- BITOP


def test_bitop(run: Run) -> None:
    run("MSET", "a", b"\xf0\x0f\xff", "b", b"\x3c\x3c")
    assert run("BITOP AND d a b none") == 3
    assert run("GET d") == b"\0\0\0"
    assert run("BITOP and d a b") == 3
    assert run("GET d") == b"\x30\x0c\x00"
    run("BITOP OR d a b")
    assert run("GET d") == b"\xfc\x3f\xff"
    run("BITOP XOR d a b a")
    assert run("GET d") == b"\x3c\x3c\x00"
    run("BITOP NOT d a")
    assert run("GET d") == b"\x0f\xf0\x00"
    assert run("OBJECT ENCODING d") == b"raw"


def test_bitop_replaces_its_target_or_deletes_it(
    run: Run, state: ServerState, heard: Heard, fired: Fired
) -> None:
    run("RPUSH d a")
    run("SET a x")
    run("PEXPIREAT d 99999999999999")
    heard()
    fired.clear()
    dirty = state.dirty
    assert run("BITOP OR d a none") == 1
    assert run("TTL d") == -1
    assert run("BITOP NOT d none") == 0
    assert run("BITOP XOR d none none") == 0
    assert [event for event in fired if event[0] != "keymiss"] == [
        ("set", b"d", 0),
        ("del", b"d", 0),
    ]
    assert state.dirty - dirty == 2
    assert heard() == [b"BITOP OR d a none", b"BITOP NOT d none"]


def test_errors_of_bitop(run: Run) -> None:
    run("RPUSH l a")
    assert error(run("BITOP NAND d l")) == SYNTAX
    expected = "ERR BITOP NOT must be called with a single source key."
    assert error(run("BITOP NOT d l l")) == expected
    assert error(run("BITOP OR d none l")) == WRONGTYPE


# -- BITFIELD


def test_bitfield(run: Run) -> None:
    assert run("BITFIELD k SET u8 0 255 GET i8 0 INCRBY u8 0 1 GET u4 #1") == [0, -1, 0, 0]
    assert run("BITFIELD k SET i5 3 -7 GET i5 3 GET u5 3") == [0, -7, 25]
    assert run("GET k") == b"\x19"
    assert run("BITFIELD k INCRBY i64 #1 -1") == [-1]
    assert run("STRLEN k") == 16
    assert run("BITFIELD k GET u63 1000 GET i64 64") == [0, -1]
    assert run("BITFIELD k") == run("BITFIELD_RO none") == []
    assert run("BITFIELD_RO k get u8 0") == [25]


def test_overflow_holds_for_what_follows(run: Run) -> None:
    line = "BITFIELD k {} INCRBY u2 0 3 INCRBY u2 0 2 INCRBY i8 8 127 INCRBY i8 8 5 SET u2 16 -1"
    assert run(line.format("")) == [3, 1, 127, -124, 0]
    run("DEL k")
    assert run(line.format("OVERFLOW sat")) == [3, 3, 127, 127, 0]
    run("DEL k")
    assert run(line.format("OVERFLOW FAIL")) == [3, None, 127, None, None]
    line = "BITFIELD k OVERFLOW FAIL SET u2 0 4 OVERFLOW SAT SET u2 0 4 GET u2 0"
    assert run(line) == [None, 3, 3]


def test_what_is_far_too_small_saturates_at_the_top(run: Run) -> None:
    line = "BITFIELD k OVERFLOW SAT SET i8 0 {} GET i8 0"
    assert run(line.format(-(2**63) + 128)) == [0, -128]
    assert run(line.format(-(2**63) + 127)) == [-128, 127]


def test_bitfield_counts_its_changes(
    run: Run, state: ServerState, heard: Heard, fired: Fired
) -> None:
    dirty = state.dirty
    run("BITFIELD k SET u8 0 0 SET u8 0 1 GET u8 0")  # the key is new: both count
    run("BITFIELD k SET u8 0 1 INCRBY u8 0 0")
    run("BITFIELD k SET u8 0 1 INCRBY u8 0 1")
    run("BITFIELD k OVERFLOW FAIL SET u1 80 2")  # it grows, and nothing is told
    assert state.dirty - dirty == 3
    assert fired == [("new", b"k", 0), ("setbit", b"k", 0), ("setbit", b"k", 0)]
    assert len(heard()) == 3
    assert run("STRLEN k") == 11


def test_errors_of_bitfield(run: Run) -> None:
    run("RPUSH l a")
    for line in ("GET", "GET u8", "SET u8 0", "INCRBY u8 0", "OVERFLOW", "PUT u8 0 1"):
        assert error(run(f"BITFIELD l {line}")) == SYNTAX
    for name in ("u64", "i65", "u0", "i", "x8", "u-1", "U8", "u08"):
        assert error(run(f"BITFIELD l GET {name} 0")).startswith("ERR Invalid bitfield type. Use")
    for offset in ("x", "-1", "#x", "#-1", str(2**32), "##1"):
        assert error(run("BITFIELD", "l", "GET", "u8", offset)) == BAD_OFFSET
    assert error(run("BITFIELD l SET u8 0 x")) == NOT_AN_INTEGER
    assert error(run("BITFIELD l OVERFLOW up")) == "ERR Invalid OVERFLOW type specified"
    assert error(run("BITFIELD l")) == error(run("BITFIELD l SET u8 0 1")) == WRONGTYPE
    expected = "ERR BITFIELD_RO only supports the GET subcommand"
    assert error(run("BITFIELD_RO l GET u8 0 SET u8 0 1")) == expected
    assert error(run("BITFIELD_RO l GET u8 0")) == WRONGTYPE


def test_a_type_ends_at_a_nul_and_a_multiple_wraps(run: Run) -> None:
    assert run("BITFIELD", "k", "GET", b"u8\0x", 0) == [0]
    assert run("BITFIELD", "k", "GET", "u16", f"#{2**60}") == [0]


def test_a_field_that_is_read_does_not_make_the_string_longer(run: Run, client: Client) -> None:
    run("SET k a")
    run("BITFIELD k GET u8 100")
    assert client.db.peek(b"k") == b"a"
    assert isinstance(client.db.peek(b"k"), bytes)
