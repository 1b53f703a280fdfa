"""Hash commands by value: replies, errors, encodings, what is fed and which events fire."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.client import Client
from redis_trio.data.hash import Hash
from redis_trio.keyspace.values import collection
from redis_trio.protocol.reply import OK, Pairs, RedisError, Reply
from redis_trio.state import ServerState
from tests.unit.conftest import Run

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
LONG = "x" * 65
MAX = 2**63 - 1

Fired = list[tuple[str, bytes, int]]


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def fill(run: Run, fields: int, key: str = "h") -> None:
    """Make a hash of fields f0, f1 ... with the values 0, 1 ..."""
    words = [word for n in range(fields) for word in (f"f{n}", n)]
    assert run("HSET", key, *words) == fields


@pytest.fixture(params=["listpack", "hashtable"])
def encoding(request: pytest.FixtureRequest, state: ServerState) -> bytes:
    """The encoding that a new hash has."""
    name: str = request.param
    if name == "hashtable":
        state.thresholds.hash_entries = 0
    return name.encode()


def test_set_and_get(run: Run, encoding: bytes) -> None:
    assert run("HSET h a 1") == 1
    assert run("HSET h a 2") == 0
    assert run("HSET h a 3 b 4 c 5") == 2
    assert run("HGET h a") == b"3"
    assert run("HGET h none") is None
    assert run("HGET none a") is None
    assert run("HMGET h a none c a") == [b"3", None, b"5", b"3"]
    assert run("HMGET none a b") == [None, None]
    assert run("HLEN h") == 3
    assert run("HLEN none") == 0
    assert run("TYPE h").text == b"hash"  # type: ignore[union-attr]
    assert run("OBJECT ENCODING h") == encoding


def test_the_whole_of_a_hash(run: Run, encoding: bytes) -> None:
    run("HMSET h a 1 b 2 c 3")
    assert run("HGETALL h") == {b"a": b"1", b"b": b"2", b"c": b"3"}
    assert sorted(run("HKEYS h")) == [b"a", b"b", b"c"]  # type: ignore[arg-type, type-var]
    assert sorted(run("HVALS h")) == [b"1", b"2", b"3"]  # type: ignore[arg-type, type-var]
    assert run("HGETALL none") == {}
    assert run("HKEYS none") == []
    assert run("HVALS none") == []


def test_what_was_replied_does_not_change_with_the_hash(run: Run, encoding: bytes) -> None:
    run("HSET h a 1")
    reply = run("HGETALL h")
    run("HSET h a 2 b 3")
    assert reply == {b"a": b"1"}


def test_a_small_hash_is_in_the_order_of_insertion(run: Run) -> None:
    run("HSET h c 1 a 2 b 3")
    run("HSET h c 4")
    run("HDEL h a")
    run("HSET h a 5")
    assert run("HKEYS h") == [b"c", b"b", b"a"]
    assert run("HVALS h") == [b"4", b"3", b"5"]
    assert list(run("HGETALL h")) == [b"c", b"b", b"a"]  # type: ignore[arg-type]


def test_hmset_replies_ok(run: Run) -> None:
    assert run("HMSET h a 1 b 2") is OK
    assert run("HMSET h a 1") is OK


def test_hset_needs_pairs(run: Run) -> None:
    assert error(run("HSET h a 1 b")) == "ERR wrong number of arguments for 'hset' command"
    assert error(run("HMSET h a 1 b")) == "ERR wrong number of arguments for 'hmset' command"
    run("SET s v")
    assert error(run("HSET s a 1 b")) == "ERR wrong number of arguments for 'hset' command"


def test_hsetnx_sets_a_new_field_only(run: Run, encoding: bytes) -> None:
    assert run("HSETNX h a 1") == 1
    assert run("HSETNX h a 2") == 0
    assert run("HGET h a") == b"1"


def test_hexists_and_hstrlen(run: Run, encoding: bytes) -> None:
    run("HSET h a 12345 e ''")
    assert [run("HEXISTS h a"), run("HEXISTS h b"), run("HEXISTS none a")] == [1, 0, 0]
    assert [run("HSTRLEN h a"), run("HSTRLEN h e"), run("HSTRLEN h b")] == [5, 0, 0]
    assert run("HSTRLEN none a") == 0


def test_hdel_counts_what_was_there(run: Run, encoding: bytes) -> None:
    run("HSET h a 1 b 2 c 3")
    assert run("HDEL h a none a") == 1
    assert run("HDEL none a") == 0
    assert run("HDEL h b c d") == 2
    assert run("EXISTS h") == 0


def test_hincrby(run: Run, encoding: bytes) -> None:
    assert run("HINCRBY h n 5") == 5
    assert run("HINCRBY h n -7") == -2
    assert run("HGET h n") == b"-2"
    run(f"HSET h max {MAX} text 1x space ' 1'")
    assert error(run("HINCRBY h max 1")) == "ERR increment or decrement would overflow"
    run(f"HSET h min {-MAX - 1}")
    assert error(run("HINCRBY h min -1")) == "ERR increment or decrement would overflow"
    assert run(f"HINCRBY h min {MAX}") == -1
    for field in ("text", "space"):
        assert error(run(f"HINCRBY h {field} 1")) == "ERR hash value is not an integer"
    assert error(run("HINCRBY h n 1.5")) == NOT_AN_INTEGER


def test_hincrbyfloat(run: Run, encoding: bytes) -> None:
    assert run("HINCRBYFLOAT h n 1.5") == b"1.5"
    assert run("HINCRBYFLOAT h n 1.5e1") == b"16.5"
    assert run("HINCRBYFLOAT h n -16.5") == b"0"
    run("HSET h text 1x nan nan inf inf")
    for field in ("text", "nan"):
        assert error(run(f"HINCRBYFLOAT h {field} 1")) == "ERR hash value is not a float"
    refused = "ERR increment would produce NaN or Infinity"
    assert error(run("HINCRBYFLOAT h inf 1")) == refused
    assert error(run("HINCRBYFLOAT h n inf")) == "ERR value is NaN or Infinity"
    assert error(run("HINCRBYFLOAT h n nan")) == "ERR value is not a valid float"


def test_arguments_are_read_before_the_key(run: Run) -> None:
    run("SET s v")
    assert error(run("HINCRBY s n x")) == NOT_AN_INTEGER
    assert error(run("HINCRBYFLOAT s n x")) == "ERR value is not a valid float"
    assert error(run("HRANDFIELD s x")) == NOT_AN_INTEGER
    assert error(run("HSCAN s x")) == "ERR invalid cursor"
    assert error(run("HSCAN s 0 COUNT x")) == WRONGTYPE
    assert run("HSCAN none 0 COUNT x") == [b"0", []]


@pytest.mark.parametrize(
    "line",
    [
        *("HSET s a 1", "HSET s a 1 b 2", "HMSET s a 1", "HSETNX s a 1", "HGET s a", "HMGET s a"),
        *("HGETALL s", "HKEYS s", "HVALS s", "HLEN s", "HEXISTS s a", "HSTRLEN s a", "HDEL s a"),
        *("HINCRBY s a 1", "HINCRBYFLOAT s a 1", "HRANDFIELD s", "HRANDFIELD s 1", "HSCAN s 0"),
    ],
)
def test_a_key_that_holds_something_else(run: Run, line: str) -> None:
    run("SET s v")
    assert error(run(line)) == WRONGTYPE


# -- encodings


def test_too_many_fields_make_a_hashtable(run: Run) -> None:
    fill(run, 512)
    assert run("OBJECT ENCODING h") == b"listpack"
    run("HSET h f511 again")
    assert run("OBJECT ENCODING h") == b"listpack"
    run("HSET h f512 v")
    assert run("OBJECT ENCODING h") == b"hashtable"
    run("HDEL h f512")
    assert run("OBJECT ENCODING h") == b"hashtable"
    assert run("HLEN h") == 512


def test_many_pairs_of_one_field_make_a_hashtable(run: Run, state: ServerState) -> None:
    state.thresholds.hash_entries = 2
    run("HSET h a 1 a 2 a 3")
    assert run("OBJECT ENCODING h") == b"hashtable"
    assert run("HGETALL h") == {b"a": b"3"}


@pytest.mark.parametrize(
    "line",
    [
        *(f"HSET h {LONG} v", f"HSET h f {LONG}", f"HSETNX h f {LONG}", f"HINCRBY h {LONG} 1"),
        *(f"HSET h a 1 f {LONG}", f"HINCRBYFLOAT h {LONG} 1"),
    ],
)
def test_a_long_field_or_value_makes_a_hashtable(run: Run, line: str) -> None:
    run("HSET h old v")
    run(line.replace(LONG, LONG[:-1]))
    assert run("OBJECT ENCODING h") == b"listpack"
    run(line.replace(" f ", " g "))
    assert run("OBJECT ENCODING h") == b"hashtable"
    assert run("HGET h old") == b"v"


# -- HRANDFIELD


def test_hrandfield_without_a_count(run: Run, encoding: bytes) -> None:
    fill(run, 3)
    assert {run("HRANDFIELD h") for _ in range(100)} == {b"f0", b"f1", b"f2"}
    assert run("HRANDFIELD none") is None


@pytest.mark.parametrize("count", [1, 10, 30, 49, 50, 1000])
def test_hrandfield_picks_different_fields(run: Run, encoding: bytes, count: int) -> None:
    fill(run, 50)
    fields = run(f"HRANDFIELD h {count}")
    assert isinstance(fields, list)
    assert len(fields) == len(set(fields)) == min(count, 50)  # type: ignore[arg-type]
    assert all(run("HEXISTS", "h", field) for field in fields)  # type: ignore[arg-type]


def test_hrandfield_with_a_negative_count_may_repeat(run: Run, encoding: bytes) -> None:
    fill(run, 2)
    fields = run("HRANDFIELD h -100")
    assert isinstance(fields, list)
    assert len(fields) == 100
    assert set(fields) == {b"f0", b"f1"}  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [-20, 5, 20, 30])
def test_hrandfield_with_values(run: Run, encoding: bytes, count: int) -> None:
    fill(run, 20)
    reply = run(f"HRANDFIELD h {count} withvalues")
    assert isinstance(reply, Pairs)
    assert len(reply.pairs) == min(abs(count), 20)
    assert all(field == b"f" + value for field, value in reply.pairs)  # type: ignore[operator]


def test_hrandfield_is_fair(run: Run, encoding: bytes) -> None:
    fill(run, 4)
    fields = [field for _ in range(500) for field in run("HRANDFIELD h 2")]  # type: ignore[union-attr]
    for n in range(4):
        assert 180 < fields.count(b"f%d" % n) < 320  # 250 wanted, six sigma at 70


def test_hrandfield_of_nothing(run: Run) -> None:
    fill(run, 2)
    assert run("HRANDFIELD h 0") == []
    assert run("HRANDFIELD none 5 WITHVALUES") == []


def test_hrandfield_refuses(run: Run) -> None:
    fill(run, 2)
    between = f"ERR value is out of range, value must between {-MAX} and {MAX}"
    assert error(run(f"HRANDFIELD h {-MAX - 1}")) == between
    assert error(run(f"HRANDFIELD h {MAX} WITHVALUES")) == "ERR value is out of range"
    assert error(run(f"HRANDFIELD h {-MAX} WITHVALUES")) == "ERR value is out of range"
    assert error(run("HRANDFIELD h 1 WITHSCORES")) == SYNTAX
    assert error(run("HRANDFIELD h 1 WITHVALUES x")) == SYNTAX


# -- HSCAN


def scan_all(run: Run, *options: str) -> list[bytes]:
    found: list[bytes] = []
    cursor = b"0"
    while True:
        reply = run("HSCAN", "h", cursor, *options)
        assert isinstance(reply, list)
        cursor, some = reply  # type: ignore[assignment]
        found += some  # type: ignore[arg-type]
        if cursor == b"0":
            return found


def test_hscan_of_a_small_hash_returns_all_at_once(run: Run) -> None:
    fill(run, 100)
    cursor, found = run("HSCAN h 0 COUNT 1")  # type: ignore[misc, union-attr]
    assert cursor == b"0"
    assert found[:4] == [b"f0", b"0", b"f1", b"1"]  # type: ignore[index]
    assert len(found) == 200  # type: ignore[arg-type]


def test_hscan_of_a_big_hash_returns_each_field_once(run: Run) -> None:
    fill(run, 2000)
    found = scan_all(run, "COUNT", "50")
    assert sorted(zip(found[::2], found[1::2], strict=True)) == sorted(
        (b"f%d" % n, b"%d" % n) for n in range(2000)
    )


def test_hscan_options(run: Run, encoding: bytes) -> None:
    fill(run, 30)
    assert sorted(scan_all(run, "MATCH", "f2?", "NOVALUES")) == [b"f2%d" % n for n in range(10)]
    assert scan_all(run, "MATCH", "f7") == [b"f7", b"7"]
    assert error(run("HSCAN h 0 TYPE hash")) == SYNTAX
    assert error(run("HSCAN h 0 COUNT 0")) == SYNTAX


# -- events, feed, dirty


def test_events(run: Run, fired: Fired) -> None:
    for line in ("HSET h a 1", "HSET h a 1 b 2", "HSETNX h a 1", "HSETNX h c 1", "HINCRBY h a 1"):
        run(line)
    names = ["new", "hset", "hset", "hset", "hincrby"]
    assert [event for event, _, _ in fired] == names
    fired.clear()
    for line in ("HINCRBYFLOAT h a 1", "HDEL h none", "HDEL h a b", "HDEL h c d"):
        run(line)
    assert [event for event, _, _ in fired] == ["hincrbyfloat", "hdel", "hdel", "del"]


def test_dirty_counts_fields(run: Run, state: ServerState) -> None:
    for line, changes in [
        *(("HSET h a 1", 1), ("HSET h a 1 b 2 c 3", 3), ("HMSET h a 1 b 2", 2)),
        *(("HSETNX h a 1", 0), ("HSETNX h d 1", 1), ("HINCRBY h a 1", 1)),
        *(("HDEL h none", 0), ("HDEL h a b x", 2), ("HGETALL h", 0), ("HDEL h c d e", 2)),
    ]:
        before = state.dirty
        run(line)
        assert (line, state.dirty - before) == (line, changes)


def test_what_is_fed(run: Run, heard: Callable[[], list[bytes]]) -> None:
    run("HSET h a 1 b 2")
    assert heard() == [b"SELECT 0", b"HSET h a 1 b 2"]
    run("HINCRBYFLOAT h a 0.5")
    assert heard() == [b"HSET h a 1.5"]
    for line in ("HSETNX h a 1", "HDEL h x", "HGETALL h", "HINCRBY h a 1", "HINCRBYFLOAT h a x"):
        run(line)
    assert heard() == []
    run("HINCRBY h b 5")
    assert heard() == [b"HINCRBY h b 5"]


# -- the keyspace's side


def test_copy_shares_nothing(run: Run, encoding: bytes) -> None:
    run("HSET h a 1 b 2")
    run("COPY h g")
    run("HSET h a changed")
    run("HDEL h b")
    assert run("HGETALL g") == {b"a": b"1", b"b": b"2"}
    assert run("OBJECT ENCODING g") == encoding


def test_memory_grows_with_what_is_held(client: Client, run: Run, encoding: bytes) -> None:
    fill(run, 10)
    value = client.db.peek(b"h")
    assert isinstance(value, Hash)
    small = value.memory_bytes(5)
    run("HSET", "h", "f0", b"x" * 100_000)
    assert value.memory_bytes(0) - small > 90_000


def test_a_big_hash_is_freed_in_slices(client: Client, run: Run) -> None:
    fill(run, 1000)
    value = collection(client.db.peek(b"h"))
    assert value.free_effort() == 1000
    freed = [value.free_some(100)]
    while len(value):
        freed.append(value.free_some(100))
    assert sum(freed) == 1000
    assert max(freed) < 200
