"""List commands by value: replies, errors, encodings, what is fed and which events fire."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.blocking import Block
from redis_trio.client import Client
from redis_trio.commands.list_blocking import blmove, blmpop, blpop, brpoplpush
from redis_trio.data.list import List
from redis_trio.protocol.reply import NULL_ARRAY, OK, RedisError, Reply
from redis_trio.state import ServerState
from tests.unit.conftest import Run

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
RANGE = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
POSITIVE = "ERR value is out of range, must be positive"

Heard = Callable[[], list[bytes]]
Fired = list[tuple[str, bytes, int]]


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def encoding(client: Client, key: bytes) -> bytes:
    value = client.db.peek(key)
    assert isinstance(value, List)
    return value.encoding()


def all_of(run: Run, key: str) -> Reply:
    return run("LRANGE", key, 0, -1)


@pytest.fixture
def abc(run: Run) -> str:
    """The name of a list of five elements."""
    run("RPUSH l a b c b d")
    return "l"


# -- both ends


def test_push_adds_one_after_the_other(run: Run) -> None:
    assert run("LPUSH l a b c") == 3
    assert run("RPUSH l d e") == 5
    assert all_of(run, "l") == [b"c", b"b", b"a", b"d", b"e"]


def test_pushx_needs_a_list(run: Run) -> None:
    assert run("LPUSHX l a b") == run("RPUSHX l a") == 0
    assert run("EXISTS l") == 0
    run("RPUSH l x")
    assert run("LPUSHX l a b") == 3
    assert run("RPUSHX l y") == 4
    assert all_of(run, "l") == [b"b", b"a", b"x", b"y"]


def test_push_counts_each_element_and_is_fed_as_sent(
    run: Run, state: ServerState, heard: Heard, fired: Fired
) -> None:
    dirty = state.dirty
    run("LPUSH l a b c")
    run("RPUSHX l d")
    run("RPUSHX none d")
    assert state.dirty - dirty == 4
    assert heard() == [b"SELECT 0", b"LPUSH l a b c", b"RPUSHX l d"]
    assert fired == [("new", b"l", 0), ("lpush", b"l", 0), ("rpush", b"l", 0)]


def test_pop_takes_from_the_ends(run: Run, abc: str) -> None:
    assert run("LPOP l") == b"a"
    assert run("RPOP l") == b"d"
    assert run("LPOP l 2") == [b"b", b"c"]
    assert run("RPOP l 9") == [b"b"]
    assert run("EXISTS l") == 0


def test_rpop_with_a_count_begins_at_the_tail(run: Run, abc: str) -> None:
    assert run("RPOP l 3") == [b"d", b"b", b"c"]


def test_pop_of_nothing(run: Run, abc: str) -> None:
    assert run("LPOP none") is run("RPOP none") is None
    assert run("LPOP none 2") is run("RPOP none 0") is NULL_ARRAY
    assert run("LPOP l 0") == []
    assert run("LLEN l") == 5


def test_errors_of_pop(run: Run) -> None:
    run("SET s v")
    for name in ("lpop", "rpop"):
        assert error(run(f"{name} s")) == error(run(f"{name} s 0")) == WRONGTYPE
        assert error(run(f"{name} s -1")) == error(run(f"{name} s x")) == POSITIVE
        expected = f"ERR wrong number of arguments for '{name}' command"
        assert error(run(f"{name} s 1 2")) == expected


def test_the_last_pop_deletes_the_key(
    run: Run, state: ServerState, heard: Heard, fired: Fired
) -> None:
    run("RPUSH l a b c")
    run("PEXPIREAT l 99999999999999")
    fired.clear()
    heard()
    dirty = state.dirty
    run("RPOP l")
    run("LPOP l 5")
    run("LPOP l")
    assert fired == [("rpop", b"l", 0), ("lpop", b"l", 0), ("del", b"l", 0)]
    assert state.dirty - dirty == 3
    assert heard() == [b"RPOP l", b"LPOP l 5"]
    run("RPUSH l a")
    assert run("TTL l") == -1


# -- by index


def test_llen_and_lindex(run: Run, abc: str) -> None:
    assert run("LLEN l") == 5
    assert [run("LINDEX", "l", index) for index in (0, 2, 4, 5)] == [b"a", b"c", b"d", None]
    assert [run("LINDEX", "l", index) for index in (-1, -5, -6)] == [b"d", b"a", None]
    assert run("LLEN none") == 0
    assert run("LINDEX none 0") is run("LINDEX none x") is None
    assert error(run("LINDEX l x")) == NOT_AN_INTEGER


def test_lset(run: Run, abc: str, state: ServerState, fired: Fired) -> None:
    dirty = state.dirty
    assert run("LSET l 0 A") is run("LSET l -1 D") is OK
    assert all_of(run, "l") == [b"A", b"b", b"c", b"b", b"D"]
    assert error(run("LSET l 5 x")) == error(run("LSET l -6 x")) == "ERR index out of range"
    assert error(run("LSET none 0 x")) == error(run("LSET none x x")) == "ERR no such key"
    assert error(run("LSET l x x")) == NOT_AN_INTEGER
    assert fired == [("lset", b"l", 0)] * 2
    assert state.dirty - dirty == 2


def test_lset_takes_its_index_for_a_c_int(run: Run, abc: str) -> None:
    assert run("LSET", "l", 2**32 + 1, "B") is OK
    assert run("LINDEX l 1") == b"B"


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        *((0, -1, "abcbd"), (1, 2, "bc"), (-2, -1, "bd"), (-100, 1, "ab"), (3, 100, "bd")),
        *((2, 1, ""), (5, 9, ""), (0, -6, ""), (-(2**63), 2**63 - 1, "abcbd")),
    ],
)
def test_lrange_and_ltrim(run: Run, abc: str, start: int, stop: int, expected: str) -> None:
    elements = [letter.encode() for letter in expected]
    assert run("LRANGE", "l", start, stop) == elements
    assert run("LTRIM", "l", start, stop) is OK
    assert all_of(run, "l") == elements
    assert run("EXISTS l") == (1 if elements else 0)


def test_ranges_of_nothing(run: Run) -> None:
    assert run("LRANGE none 0 -1") == []
    assert run("LTRIM none 0 -1") is OK
    for name in ("LRANGE", "LTRIM"):
        assert error(run(f"{name} none x 1")) == error(run(f"{name} none 1 x")) == NOT_AN_INTEGER


def test_ltrim_counts_what_it_removes_and_fires_at_any_rate(
    run: Run, abc: str, state: ServerState, heard: Heard, fired: Fired
) -> None:
    dirty = state.dirty
    run("LTRIM l 0 -1")
    assert (state.dirty, heard()) == (dirty, [])
    run("LTRIM l 1 2")
    assert state.dirty == dirty + 3
    run("LTRIM l 5 9")
    assert state.dirty == dirty + 5
    assert heard() == [b"SELECT 0", b"LTRIM l 1 2", b"LTRIM l 5 9"]
    assert fired == [("ltrim", b"l", 0)] * 3 + [("del", b"l", 0)]


def test_what_ltrim_takes_off_a_big_list_is_freed_later(run: Run, state: ServerState) -> None:
    run("RPUSH", "l", *[b"element:%d" % number for number in range(3000)])
    run("LTRIM l 2000 2099")
    assert run("LLEN l") == 100
    assert run("LINDEX l 0") == b"element:2000"
    assert state.lazyfree.pending_objects == 2
    while state.lazyfree.step(10**6):
        pass
    assert state.lazyfree.pending_objects == 0


# -- by value


def test_linsert(run: Run, abc: str, state: ServerState, fired: Fired) -> None:
    dirty = state.dirty
    assert run("LINSERT l BEFORE b x") == 6
    assert run("LINSERT l after b y") == 7
    assert all_of(run, "l") == [b"a", b"x", b"b", b"y", b"c", b"b", b"d"]
    assert run("LINSERT l BEFORE none x") == -1
    assert run("LINSERT none BEFORE a x") == 0
    assert error(run("LINSERT none BESIDE a x")) == SYNTAX
    assert fired == [("linsert", b"l", 0)] * 2
    assert state.dirty - dirty == 2


@pytest.mark.parametrize(
    ("count", "removed", "left"),
    [(0, 2, "acd"), (1, 1, "acbd"), (-1, 1, "abcd"), (5, 2, "acd"), (-5, 2, "acd")],
)
def test_lrem(run: Run, abc: str, count: int, removed: int, left: str) -> None:
    assert run("LREM", "l", count, "b") == removed
    assert all_of(run, "l") == [letter.encode() for letter in left]


def test_lrem_counts_what_it_removes(
    run: Run, abc: str, state: ServerState, heard: Heard, fired: Fired
) -> None:
    dirty = state.dirty
    assert run("LREM l 0 none") == run("LREM none 0 a") == 0
    assert (state.dirty, heard(), fired) == (dirty, [], [])
    run("LREM l 0 b")
    assert state.dirty == dirty + 2
    run("RPUSH m a")
    run("LREM m 0 a")
    assert fired[0] == ("lrem", b"l", 0)
    assert fired[-2:] == [("lrem", b"m", 0), ("del", b"m", 0)]
    assert error(run("LREM l x b")) == NOT_AN_INTEGER
    assert error(run("LREM", "none", -(2**63), "b")) == RANGE


def test_lpos(run: Run) -> None:
    run("RPUSH l a b c 1 2 3 c c")
    assert run("LPOS l c") == 2
    assert run("LPOS l none") is run("LPOS none c") is None
    assert run("LPOS l c RANK 2") == 6
    assert run("LPOS l c rank -1") == 7
    assert run("LPOS l c RANK 4") is None
    assert run("LPOS l c COUNT 0") == [2, 6, 7]
    assert run("LPOS l c COUNT 2 RANK -1") == [7, 6]
    assert run("LPOS l c COUNT 1 RANK 2") == [6]
    assert run("LPOS l none COUNT 0") == run("LPOS none c COUNT 1") == []
    assert run("LPOS l c MAXLEN 2") is None
    assert run("LPOS l c MAXLEN 3 COUNT 0") == [2]
    assert run("LPOS l c MAXLEN 2 RANK -1 COUNT 0") == [7, 6]
    assert run("LPOS l c RANK 2 RANK 1") == 2


def test_errors_of_lpos(run: Run) -> None:
    assert error(run("LPOS l c RANK")) == error(run("LPOS l c MAX 1")) == SYNTAX
    assert error(run("LPOS l c RANK 0")).startswith("ERR RANK can't be zero: use 1 to start")
    assert error(run("LPOS l c RANK x")) == NOT_AN_INTEGER
    assert error(run("LPOS", "l", "c", "RANK", -(2**63))) == RANGE
    for option in ("COUNT", "MAXLEN"):
        expected = f"ERR {option} can't be negative"
        assert error(run(f"LPOS l c {option} -1")) == error(run(f"LPOS l c {option} x")) == expected
    assert error(run("LPOS l c COUNT x RANK")) == "ERR COUNT can't be negative"


# -- several lists


@pytest.mark.parametrize(
    ("where", "source", "target"),
    [
        ("LEFT LEFT", "bc", "ade"),
        ("LEFT RIGHT", "bc", "dea"),
        ("RIGHT LEFT", "ab", "cde"),
        ("right right", "ab", "dec"),
    ],
)
def test_lmove(run: Run, where: str, source: str, target: str, fired: Fired) -> None:
    run("RPUSH s a b c")
    run("RPUSH t d e")
    fired.clear()
    left, to_left = where.upper().split()
    assert run(f"LMOVE s t {where}") == (b"a" if left == "LEFT" else b"c")
    assert all_of(run, "s") == [letter.encode() for letter in source]
    assert all_of(run, "t") == [letter.encode() for letter in target]
    pushed = "lpush" if to_left == "LEFT" else "rpush"
    popped = "lpop" if left == "LEFT" else "rpop"
    assert fired == [(pushed, b"t", 0), (popped, b"s", 0)]


def test_a_list_is_turned_by_moving_to_itself(run: Run, abc: str) -> None:
    assert run("LMOVE l l LEFT RIGHT") == b"a"
    assert all_of(run, "l") == [b"b", b"c", b"b", b"d", b"a"]
    assert run("RPOPLPUSH l l") == b"a"
    run("RPUSH one x")
    assert run("RPOPLPUSH one one") == b"x"
    assert all_of(run, "one") == [b"x"]


def test_moving_the_last_element_deletes_the_source_after_the_push(
    run: Run, state: ServerState, heard: Heard, fired: Fired
) -> None:
    run("RPUSH s a")
    heard()
    fired.clear()
    dirty = state.dirty
    assert run("RPOPLPUSH s t") == b"a"
    assert fired == [("new", b"t", 0), ("lpush", b"t", 0), ("rpop", b"s", 0), ("del", b"s", 0)]
    assert state.dirty - dirty == 1
    assert heard() == [b"RPOPLPUSH s t"]
    assert run("EXISTS s") == 0


def test_errors_of_moving(run: Run) -> None:
    run("SET s v")
    run("RPUSH l a")
    assert run("LMOVE none s LEFT LEFT") is run("RPOPLPUSH none s") is None
    assert error(run("LMOVE s l LEFT LEFT")) == error(run("LMOVE l s LEFT LEFT")) == WRONGTYPE
    assert error(run("LMOVE s l UP LEFT")) == error(run("LMOVE s l LEFT UP")) == SYNTAX
    assert run("LLEN l") == 1


def test_lmpop(run: Run, abc: str, heard: Heard) -> None:
    assert run("LMPOP 2 none l LEFT") == [b"l", [b"a"]]
    assert run("LMPOP 2 l none right COUNT 2") == [b"l", [b"d", b"b"]]
    assert run("LMPOP 1 l LEFT COUNT 10") == [b"l", [b"b", b"c"]]
    assert run("LMPOP 1 l LEFT") is NULL_ARRAY
    assert heard()[1:] == [b"LPOP l 1", b"RPOP l 2", b"LPOP l 2"]


def test_errors_of_lmpop(run: Run) -> None:
    run("SET s v")
    numkeys = "ERR numkeys should be greater than 0"
    count = "ERR count should be greater than 0"
    assert error(run("LMPOP 0 s LEFT")) == error(run("LMPOP x s LEFT")) == numkeys
    assert error(run("LMPOP 1 s LEFT COUNT 0")) == error(run("LMPOP 1 s LEFT COUNT x")) == count
    for line in ("2 s LEFT", "1 s UP", "1 s LEFT COUNT", "1 s LEFT 2", "1 s LEFT COUNT 1 COUNT 1"):
        assert error(run(f"LMPOP {line}")) == SYNTAX
        assert error(run(f"BLMPOP 1 {line}")) == SYNTAX
    assert error(run("LMPOP", 2**63 - 1, "s", "LEFT")) == SYNTAX
    assert error(run("LMPOP 2 none s LEFT")) == WRONGTYPE


# -- waiting


def test_blocking_commands_take_what_is_there_and_are_fed_as_what_they_did(
    run: Run, heard: Heard
) -> None:
    run("RPUSH l a b c d e f g")
    heard()
    assert run("BLPOP none l 0") == [b"l", b"a"]
    assert run("BRPOP l none 0") == [b"l", b"g"]
    assert run("BLMPOP 0 2 none l LEFT COUNT 2") == [b"l", [b"b", b"c"]]
    assert run("BLMOVE l t LEFT RIGHT 0") == b"d"
    assert run("BRPOPLPUSH l t 0") == b"f"
    fed = [b"LPOP l", b"RPOP l", b"LPOP l 2", b"LMOVE l t LEFT RIGHT", b"RPOPLPUSH l t"]
    assert heard() == fed


def test_what_is_waited_for(client: Client) -> None:
    block = blpop(client, [b"BLPOP", b"a", b"b", b"a", b"1.5"])
    assert isinstance(block, Block)
    assert (block.topics, block.kind) == ([(0, b"a"), (0, b"b")], b"list")
    assert (block.timeout_s, block.on_timeout) == (1.5, NULL_ARRAY)
    block = blmpop(client, [b"BLMPOP", b"0", b"1", b"a", b"LEFT"])
    assert isinstance(block, Block)
    assert (block.topics, block.timeout_s) == ([(0, b"a")], None)
    for block in (
        blmove(client, [b"BLMOVE", b"a", b"b", b"LEFT", b"LEFT", b"1"]),
        brpoplpush(client, [b"BRPOPLPUSH", b"a", b"b", b"1"]),
    ):
        assert isinstance(block, Block)
        assert block.topics == [(0, b"a")]
        assert block.on_timeout is NULL_ARRAY


def test_a_transaction_does_not_wait(run: Run) -> None:
    run("MULTI")
    for line in ("BLPOP a 0", "BLMPOP 0 1 a LEFT", "BLMOVE a b LEFT LEFT 0", "BRPOPLPUSH a b 0"):
        run(line)
    assert run("EXEC") == [NULL_ARRAY, NULL_ARRAY, None, None]


@pytest.mark.parametrize(
    "line",
    ["BLPOP s {}", "BRPOP s {}", "BLMOVE s s LEFT LEFT {}", "BRPOPLPUSH s s {}"],
)
def test_the_timeout_is_read_before_the_key_is_looked_at(run: Run, line: str) -> None:
    run("SET s v")
    assert error(run(line.format("x"))) == "ERR timeout is not a float or out of range"
    assert error(run(line.format("-1"))) == "ERR timeout is negative"
    assert error(run(line.format("0"))) == WRONGTYPE


def test_blmpop_reads_its_timeout_last(run: Run) -> None:
    run("SET s v")
    assert error(run("BLMPOP x 1 s LEFT COUNT 0")) == "ERR count should be greater than 0"
    assert error(run("BLMPOP x 1 s LEFT")) == "ERR timeout is not a float or out of range"
    assert error(run("BLMPOP 0 1 s LEFT")) == WRONGTYPE


@pytest.mark.parametrize(
    "line",
    [
        *("LPUSH s a", "RPUSH s a", "LPUSHX s a", "RPUSHX s a", "LLEN s", "LINDEX s 0"),
        *("LSET s x a", "LRANGE s 0 1", "LTRIM s 0 1", "LINSERT s BEFORE a b", "LREM s 0 a"),
        *("LPOS s a", "RPOPLPUSH s l"),
    ],
)
def test_a_key_of_another_type(run: Run, line: str) -> None:
    run("SET s v")
    assert error(run(line)) == WRONGTYPE
    assert run("GET s") == b"v"


# -- encodings


def test_a_listpack_becomes_a_quicklist_beyond_its_bytes(run: Run, client: Client) -> None:
    """8192 bytes: 7 for the list, 103 for each element; what comes counts without its overhead."""
    run("RPUSH", "l", *["x" * 100] * 79)
    assert encoding(client, b"l") == b"listpack"
    run("RPUSH", "l", "x" * 48)
    assert encoding(client, b"l") == b"listpack"
    run("RPUSH", "l", "x")
    assert encoding(client, b"l") == b"quicklist"


def test_a_quicklist_becomes_a_listpack_below_half_the_limit(run: Run, client: Client) -> None:
    run("RPUSH", "l", *["x" * 100] * 90)
    assert encoding(client, b"l") == b"quicklist"
    run("RPOP l 50")
    assert encoding(client, b"l") == b"quicklist"  # 40 * 103 + 7 bytes, half is 4096
    run("RPOP l")
    assert encoding(client, b"l") == b"listpack"


def test_a_quicklist_of_two_nodes_stays_one(run: Run, client: Client) -> None:
    run("RPUSH", "l", *["x" * 100] * 90)
    run("LPOP l 78")
    assert run("LLEN l") == 12
    assert encoding(client, b"l") == b"quicklist"
    run("LPOP l")
    assert encoding(client, b"l") == b"listpack"


def test_the_number_of_elements_can_be_the_limit(run: Run, client: Client) -> None:
    run("CONFIG SET list-max-listpack-size 4")
    run("RPUSH l a b c d")
    assert encoding(client, b"l") == b"listpack"
    run("LINSERT l BEFORE none e")
    assert encoding(client, b"l") == b"quicklist"
    run("LREM l 1 a")
    assert encoding(client, b"l") == b"quicklist"
    run("LTRIM l 0 1")
    assert encoding(client, b"l") == b"listpack"


def test_lset_converts_both_ways(run: Run, client: Client) -> None:
    run("RPUSH l a b c")
    run("LSET", "l", 1, "x" * 9000)
    assert encoding(client, b"l") == b"quicklist"
    assert run("LRANGE l 0 -1") == [b"a", b"x" * 9000, b"c"]
    run("LSET l 1 b")
    assert encoding(client, b"l") == b"quicklist"  # it has two nodes
    run("LTRIM l 1 1")
    assert encoding(client, b"l") == b"listpack"


def test_a_copy_shares_nothing(run: Run) -> None:
    run("RPUSH", "l", *["x" * 100] * 200)
    run("COPY l m")
    run("LSET l 0 y")
    run("RPOP m")
    assert (run("LINDEX m 0"), run("LLEN l")) == (b"x" * 100, 200)


def test_memory_bytes_is_a_mean_of_samples(run: Run, client: Client) -> None:
    run("RPUSH", "l", *["x" * 100] * 500, *["y" * 1000] * 500)
    value = client.db.peek(b"l")
    assert isinstance(value, List)
    assert value.memory_bytes(0) == pytest.approx(500 * (133 + 1033 + 16), rel=0.05)
    assert value.memory_bytes(5) == pytest.approx(1000 * (133 + 16), rel=0.1)
    assert value.free_effort() == 1000
    run("LTRIM l 0 9")
    assert value.free_effort() == 1
    assert 10 * 133 < value.memory_bytes(0) < 10 * 133 + 1000
