"""Set commands by value: replies, errors, encodings, what is fed and which events fire."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from redis_trio.client import Client
from redis_trio.data.numbers import INTEGER_MAX
from redis_trio.data.set import Set, new_set
from redis_trio.data.thresholds import Thresholds
from redis_trio.keyspace.values import copy_value
from redis_trio.protocol.reply import RedisError, Reply, SetReply
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
SYNTAX = "ERR syntax error"
LONG = "x" * 65

Heard = Callable[[], list[bytes]]


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def members(reply: Reply) -> list[Reply]:
    """The members of a set reply in their order."""
    assert isinstance(reply, SetReply), reply
    return list(reply.members)


def unordered(reply: Reply) -> set[Reply]:
    found = members(reply)
    assert len(found) == len(set(found))
    return set(found)


def encoding(run: Run, key: str) -> Reply:
    return run("OBJECT", "ENCODING", key)


def fill(run: Run, key: str, kind: str) -> list[str]:
    """Have a key hold a set of an encoding; returns its members."""
    names = {
        "intset": ["1", "5", "9"],
        "listpack": ["a", "b", "1"],
        "hashtable": ["a", "1", LONG],
    }[kind]
    run("DEL", key)
    run("SADD", key, *names)
    assert encoding(run, key) == kind.encode()
    return names


ENCODINGS = pytest.mark.parametrize("kind", ["intset", "listpack", "hashtable"])


# -- adding, removing, asking


def test_sadd_counts_what_is_new(run: Run) -> None:
    assert run("SADD s a b a") == 2
    assert run("SADD s b c") == 1
    assert run("SCARD s") == 3
    assert members(run("SMEMBERS s")) == [b"a", b"b", b"c"]


@ENCODINGS
def test_a_set_of_any_encoding_is_one(run: Run, kind: str) -> None:
    names = fill(run, "s", kind)
    assert unordered(run("SMEMBERS s")) == {name.encode() for name in names}
    assert run("SCARD s") == len(names)
    for name in names:
        assert run("SADD", "s", name) == 0
        assert run("SISMEMBER", "s", name) == 1
    assert run("SISMEMBER s 01") == 0
    assert run("SMISMEMBER", "s", names[0], "none", names[2]) == [1, 0, 1]
    assert run("SREM", "s", "none", names[1]) == 1
    assert run("SCARD s") == 2
    assert run("SREM", "s", *names, *names) == 2
    assert run("EXISTS s") == 0


def test_there_is_no_set(run: Run) -> None:
    assert run("SREM s a") == 0
    assert run("SCARD s") == 0
    assert run("SISMEMBER s a") == 0
    assert run("SMISMEMBER s a b") == [0, 0]
    assert members(run("SMEMBERS s")) == []
    assert run("SPOP s") is None
    assert members(run("SPOP s 3")) == []
    assert run("SRANDMEMBER s") is None
    assert run("SRANDMEMBER s 3") == []
    assert run("SSCAN s 0") == [b"0", []]
    assert run("SMOVE s t a") == 0


@pytest.mark.parametrize(
    "line",
    [
        *("SADD k a", "SREM k a", "SCARD k", "SISMEMBER k a", "SMISMEMBER k a", "SMEMBERS k"),
        *("SPOP k", "SPOP k 1", "SPOP k 0", "SRANDMEMBER k", "SRANDMEMBER k 0", "SSCAN k 0"),
        *("SMOVE k s a", "SMOVE s k a", "SMOVE s k none", "SINTER k s", "SINTER none k"),
        *("SINTERCARD 1 k", "SINTERSTORE d k", "SUNION s k", "SUNIONSTORE d none k"),
        *("SDIFF s k", "SDIFFSTORE d s k", "SSCAN k 0 BAD"),
    ],
)
def test_the_value_is_no_set(run: Run, line: str) -> None:
    run("SET k v")
    run("SADD s a")
    assert error(run(line)) == WRONGTYPE


def test_smove_from_nothing_does_not_look_at_the_type(run: Run) -> None:
    run("SET k v")
    assert run("SMOVE none k a") == 0


def test_smove(run: Run) -> None:
    run("SADD a 1 2")
    assert run("SMOVE a b none") == 0
    assert run("SMOVE a b 1") == 1
    assert members(run("SMEMBERS b")) == [b"1"]
    assert encoding(run, "b") == b"intset"
    run("SADD b 2")
    assert run("SMOVE a b 2") == 1
    assert run("EXISTS a") == 0
    assert run("SCARD b") == 2
    assert run("SMOVE b b 1") == 1
    assert run("SMOVE b b 7") == 0
    assert run("SMOVE", "b", "c", "none") == 0
    assert run("EXISTS c") == 0


def test_a_set_that_has_expired_is_none(run: Run, time: FakeTime) -> None:
    run("SADD s a")
    run("PEXPIRE s 10")
    time.advance(0.01)
    assert run("SCARD s") == 0
    assert run("SADD s b") == 1
    assert members(run("SMEMBERS s")) == [b"b"]
    assert run("TTL s") == -1


# -- encodings


def test_integers_are_held_in_order(run: Run) -> None:
    run("SADD s 10 9 -3 0 9223372036854775807 -9223372036854775808")
    assert encoding(run, "s") == b"intset"
    assert members(run("SMEMBERS s")) == [
        *(b"-9223372036854775808", b"-3", b"0", b"9", b"10"),
        b"9223372036854775807",
    ]


@pytest.mark.parametrize("text", ["01", "+1", "-0", "1.0", "9223372036854775808", "a", ""])
def test_what_is_no_integer_makes_a_listpack_behind_the_integers(run: Run, text: str) -> None:
    run("SADD s 3 1 2")
    run("SADD", "s", text)
    assert encoding(run, "s") == b"listpack"
    run("SADD s 0")
    assert members(run("SMEMBERS s")) == [b"1", b"2", b"3", text.encode(), b"0"]


def test_the_first_member_and_the_number_of_members_decide_how_a_set_begins(run: Run) -> None:
    run("CONFIG SET set-max-intset-entries 2 set-max-listpack-entries 3")
    run("SADD a 1 x")
    assert encoding(run, "a") == b"listpack"
    run("SADD b 1 2 2")
    assert encoding(run, "b") == b"listpack"  # three words are too many for an intset
    run("SADD c 1 1 1 1")
    assert encoding(run, "c") == b"hashtable"
    run("SADD d x 1 2")
    assert encoding(run, "d") == b"listpack"


def test_an_intset_that_is_too_big_becomes_a_hash_table(run: Run) -> None:
    run("SADD", "s", *range(512))
    assert encoding(run, "s") == b"intset"
    run("SADD s 5")
    assert encoding(run, "s") == b"intset"
    run("SADD s 512")
    assert encoding(run, "s") == b"hashtable"
    assert run("SCARD s") == 513


def test_a_listpack_that_is_too_big_becomes_a_hash_table(run: Run) -> None:
    run("SADD", "s", *[f"m{number}" for number in range(128)])
    assert encoding(run, "s") == b"listpack"
    run("SADD s m5")
    assert encoding(run, "s") == b"listpack"
    run("SADD s m128")
    assert encoding(run, "s") == b"hashtable"
    run("SREM", "s", *[f"m{number}" for number in range(100)])
    assert encoding(run, "s") == b"hashtable"


def test_a_long_member_makes_a_hash_table(run: Run) -> None:
    run("SADD", "s", "x" * 64)
    assert encoding(run, "s") == b"listpack"
    run("SADD", "s", LONG)
    assert encoding(run, "s") == b"hashtable"
    run("SADD t 1")
    run("SADD", "t", LONG)
    assert encoding(run, "t") == b"hashtable"


def test_an_intset_of_long_integers_becomes_no_listpack(run: Run) -> None:
    run("CONFIG SET set-max-listpack-value 4")
    run("SADD s 1 10000")
    run("SADD s x")
    assert encoding(run, "s") == b"hashtable"
    run("SADD t 1 -1000")
    run("SADD t x")
    assert encoding(run, "t") == b"hashtable"
    run("SADD u 1 1000")
    run("SADD u x")
    assert encoding(run, "u") == b"listpack"


def test_many_members_at_once_change_the_encoding_although_they_are_there(run: Run) -> None:
    run("CONFIG SET set-max-listpack-entries 3 set-max-intset-entries 3")
    run("SADD s a")
    run("SADD s a a a a")
    assert encoding(run, "s") == b"hashtable"
    run("SADD t 1")
    run("SADD t 1 1 1 1")
    assert encoding(run, "t") == b"hashtable"


@ENCODINGS
def test_a_copy_shares_nothing(run: Run, kind: str) -> None:
    names = fill(run, "s", kind)
    run("COPY s t")
    assert encoding(run, "t") == kind.encode()
    run("SREM", "t", names[0])
    assert run("SISMEMBER", "s", names[0]) == 1
    assert run("SCARD t") == 2


@ENCODINGS
def test_a_set_tells_about_its_size(run: Run, client: Client, kind: str) -> None:
    fill(run, "s", kind)
    value = client.db.peek(b"s")
    assert isinstance(value, Set)
    assert value.free_effort() == (3 if kind == "hashtable" else 1)
    assert value.memory_bytes(5) == value.memory_bytes(0) > 100
    value.free_some(100)
    assert len(value) == 0


def test_a_big_set_takes_memory_in_proportion() -> None:
    def filled(size: int) -> Set:
        value = new_set(b"m", 1000, Thresholds())
        for number in range(size):
            value.add(b"%09d" % number, Thresholds())
        return value

    small, big = filled(2000), filled(20_000)
    assert 8 < big.memory_bytes(5) / small.memory_bytes(5) < 12
    assert big.memory_bytes(5) == pytest.approx(big.memory_bytes(0), rel=0.02)


def test_a_big_set_is_freed_in_steps() -> None:
    value = new_set(b"m", 1000, Thresholds())
    for number in range(5000):
        value.add(b"%d" % number, Thresholds())
    steps = 0
    while len(value):
        assert value.free_some(100) <= 200
        steps += 1
    assert steps >= 25


def test_copy_value_knows_sets() -> None:
    value = Set()
    value.add(b"1", Thresholds())
    copied = copy_value(value)
    assert isinstance(copied, Set)
    assert copied is not value


# -- random members


@ENCODINGS
def test_spop_takes_every_member_in_the_end(run: Run, kind: str) -> None:
    names = fill(run, "s", kind)
    popped = {run("SPOP s") for _ in names}
    assert popped == {name.encode() for name in names}
    assert run("EXISTS s") == 0


@ENCODINGS
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_spop_with_a_count(run: Run, kind: str, count: int) -> None:
    names = {name.encode() for name in fill(run, "s", kind)}
    popped = unordered(run("SPOP", "s", count))
    assert len(popped) == min(count, 3)
    assert popped <= names
    assert unordered(run("SMEMBERS s")) == names - popped
    assert run("EXISTS s") == (1 if count < 3 else 0)


@pytest.mark.parametrize("count", [10, 500, 840, 990])
def test_spop_of_a_part_of_a_big_set(run: Run, count: int) -> None:
    names = {b"m%d" % number for number in range(1000)}
    run("SADD", "s", *names)
    popped = unordered(run("SPOP", "s", count))
    assert len(popped) == count
    assert unordered(run("SMEMBERS s")) == names - popped


def test_spop_of_nearly_all_leaves_a_compact_set(run: Run) -> None:
    run("SADD", "s", *[f"m{number}" for number in range(1000)])
    run("SPOP s 850")
    assert encoding(run, "s") == b"hashtable"
    run("SPOP s 130")
    assert encoding(run, "s") == b"listpack"
    run("SADD", "t", *range(600))
    assert encoding(run, "t") == b"hashtable"
    run("SPOP t 599")
    assert encoding(run, "t") == b"listpack"
    run("SADD u 1 2 3 4 5 6")
    run("SPOP u 5")
    assert encoding(run, "u") == b"intset"


def test_spop_of_all_returns_leading_integers_in_order(run: Run) -> None:
    run("SADD s x 3 1 2")
    run("SREM s x")
    run("SADD s y")
    assert members(run("SMEMBERS s")) == [b"3", b"1", b"2", b"y"]
    assert members(run("SPOP s 4")) == [b"1", b"2", b"3", b"y"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPOP k 1 2", SYNTAX),
        ("SPOP k x", "ERR value is out of range, must be positive"),
        ("SPOP k -1", "ERR value is out of range, must be positive"),
        ("SRANDMEMBER k 1 2", SYNTAX),
        ("SRANDMEMBER k x", NOT_AN_INTEGER),
        (
            "SRANDMEMBER k -9223372036854775808",
            f"ERR value is out of range, value must between {-INTEGER_MAX} and {INTEGER_MAX}",
        ),
    ],
)
def test_counts_that_are_none(run: Run, line: str, message: str) -> None:
    run("SET k v")
    assert error(run(line)) == message


@ENCODINGS
def test_srandmember(run: Run, kind: str) -> None:
    names = {name.encode() for name in fill(run, "s", kind)}
    assert {run("SRANDMEMBER s") for _ in range(60)} == names
    assert run("SRANDMEMBER s 0") == []
    for count in (1, 2):
        found = run("SRANDMEMBER", "s", count)
        assert isinstance(found, list)
        assert len(set(found)) == len(found) == count
        assert set(found) <= names
    for count in (3, 10):
        found = run("SRANDMEMBER", "s", count)
        assert isinstance(found, list)
        assert len(found) == 3
        assert set(found) == names
    many = run("SRANDMEMBER s -100")
    assert isinstance(many, list)
    assert len(many) == 100
    assert set(many) == names
    assert run("SCARD s") == 3


def test_the_server_has_one_source_of_chance(run: Run, state: ServerState) -> None:
    run("SADD", "s", *range(100))
    run("SADD", "t", *[f"m{number}" for number in range(1000)])
    lines = ["SRANDMEMBER s", "SRANDMEMBER s 5", "SRANDMEMBER t -5", "SRANDMEMBER t 5"]
    state.rng = Random(3)
    first = [run(line) for line in lines]
    state.rng = Random(3)
    assert [run(line) for line in lines] == first


# -- SSCAN


def test_sscan_returns_compact_sets_at_once(run: Run) -> None:
    run("SADD", "s", *range(500))
    assert run("SSCAN s 0 COUNT 1") == [b"0", [b"%d" % number for number in range(500)]]
    assert run("SSCAN s 17 MATCH 12*") == [
        b"0",
        [b"12", *[b"%d" % number for number in range(120, 130)]],
    ]


def test_sscan_walks_through_a_big_set(run: Run) -> None:
    run("SADD", "s", *[f"m{number}" for number in range(1000)])
    found: list[bytes] = []
    cursor: Reply = b"0"
    calls = 0
    while True:
        reply = run("SSCAN", "s", cursor, "COUNT", 20, "MATCH", "m?*")
        assert isinstance(reply, list)
        cursor, part = reply
        assert isinstance(part, list)
        assert len(part) <= 100
        found += part
        calls += 1
        if cursor == b"0":
            break
    assert calls > 10
    assert sorted(found) == sorted(b"m%d" % number for number in range(1000))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SSCAN s x", "ERR invalid cursor"),
        ("SSCAN s 0 COUNT 0", SYNTAX),
        ("SSCAN s 0 COUNT x", NOT_AN_INTEGER),
        ("SSCAN s 0 TYPE set", SYNTAX),
        ("SSCAN s 0 MATCH", SYNTAX),
        ("SSCAN s 0 NOVALUES", "ERR NOVALUES option can only be used in HSCAN"),
    ],
)
def test_sscan_errors(run: Run, line: str, message: str) -> None:
    run("SADD s a")
    assert error(run(line)) == message


def test_sscan_of_nothing_reads_no_options(run: Run) -> None:
    assert run("SSCAN none 0 BAD") == [b"0", []]
    assert error(run("SSCAN none x")) == "ERR invalid cursor"


# -- intersection, union, difference


def test_sinter(run: Run) -> None:
    run("SADD a 1 2 3 4")
    run("SADD b 4 3 x")
    run("SADD c 3 4 5 6 7")
    assert members(run("SINTER a b c")) == [b"3", b"4"]
    assert members(run("SINTER a a")) == [b"1", b"2", b"3", b"4"]
    assert members(run("SINTER a none")) == []
    assert members(run("SINTER none")) == []
    assert run("SINTERCARD 3 a b c") == 2
    assert run("SINTERCARD 2 a none") == 0
    assert run("SINTERSTORE d a b c") == 2
    assert members(run("SMEMBERS d")) == [b"3", b"4"]


def test_the_order_of_an_intersection_is_that_of_its_smallest_set(run: Run) -> None:
    run("SADD a x 9 1 5")
    run("SADD b x 1 5 9 y z")
    assert members(run("SINTER b a")) == [b"x", b"9", b"1", b"5"]


def test_sintercard_limit(run: Run) -> None:
    run("SADD a 1 2 3 4")
    run("SADD b 1 2 3 4")
    assert run("SINTERCARD 2 a b LIMIT 3") == 3
    assert run("SINTERCARD 2 a b LIMIT 0") == 4
    assert run("SINTERCARD 2 a b limit 9") == 4
    assert run("SINTERCARD 2 a b LIMIT 1 LIMIT 2") == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SINTERCARD 0 a", "ERR numkeys should be greater than 0"),
        ("SINTERCARD x a", "ERR numkeys should be greater than 0"),
        ("SINTERCARD 2 a", "ERR Number of keys can't be greater than number of args"),
        ("SINTERCARD 1 a b", SYNTAX),
        ("SINTERCARD 1 a LIMIT", SYNTAX),
        ("SINTERCARD 1 a LIMIT x", "ERR LIMIT can't be negative"),
        ("SINTERCARD 1 a LIMIT -1", "ERR LIMIT can't be negative"),
    ],
)
def test_sintercard_errors(run: Run, line: str, message: str) -> None:
    run("SET a v")
    assert error(run(line)) == message


def test_a_big_set_is_walked_in_small_parts() -> None:
    """SINTERCARD with a small LIMIT does not list every member first."""
    value = new_set(b"m", 1000, Thresholds())
    for number in range(5000):
        value.add(b"%d" % number, Thresholds())
    assert len(list(next(value.chunks()))) < 100


def test_sintercard_of_big_sets(run: Run) -> None:
    run("SADD", "a", *[f"m{number}" for number in range(1000)])
    run("SADD", "b", *[f"m{number}" for number in range(500, 1600)])
    assert run("SINTERCARD 2 a b") == 500
    assert run("SINTERCARD 2 a b LIMIT 7") == 7


def test_sunion(run: Run) -> None:
    run("SADD a 3 1")
    run("SADD b x 2 1")
    assert members(run("SUNION a none b")) == [b"1", b"3", b"x", b"2"]
    assert members(run("SUNION b a")) == [b"x", b"2", b"1", b"3"]
    assert members(run("SUNION none")) == []
    assert run("SUNIONSTORE d a b") == 4
    assert encoding(run, "d") == b"listpack"
    assert run("SUNIONSTORE d a a") == 2
    assert encoding(run, "d") == b"intset"


def test_sdiff(run: Run) -> None:
    run("SADD a 1 2 3 4 x")
    run("SADD b 2 x")
    run("SADD c 4")
    assert members(run("SDIFF a b none c")) == [b"1", b"3"]
    assert members(run("SDIFF a a")) == []
    assert members(run("SDIFF none a")) == []
    assert members(run("SDIFF a")) == [b"1", b"2", b"3", b"4", b"x"]
    assert run("SDIFFSTORE d a b c") == 2
    assert encoding(run, "d") == b"intset"
    assert run("SDIFFSTORE d none a") == 0
    assert run("EXISTS d") == 0


def test_sdiff_from_many_small_sets_takes_their_members_away(run: Run) -> None:
    """The cheaper way leaves the encoding of the copy of the first set."""
    run("SADD", "a", *[f"m{number}" for number in range(200)])
    for number in range(5):
        run("SADD", f"s{number}", *[f"m{i}" for i in range(number * 40, number * 40 + 39)])
    assert run("SDIFFSTORE d a s0") == 161
    assert encoding(run, "d") == b"hashtable"
    assert run("SDIFFSTORE d a s0 s1 s2 s3 s4") == 5
    assert encoding(run, "d") == b"hashtable"
    assert unordered(run("SMEMBERS d")) == {b"m39", b"m79", b"m119", b"m159", b"m199"}
    run("SADD", "all", *[f"m{number}" for number in range(195)])
    assert run("SDIFFSTORE d a all") == 5
    assert encoding(run, "d") == b"listpack"


def test_sinterstore_makes_an_intset_of_integers(run: Run) -> None:
    run("SADD a x 3 1 2")
    run("SADD b y 1 2 3 z")
    assert run("SINTERSTORE d a b") == 3
    assert encoding(run, "d") == b"intset"
    run("SADD b x")
    run("SINTERSTORE d a b")
    assert encoding(run, "d") == b"listpack"
    run("SADD", "c", *[str(number) for number in range(600)])
    run("SINTERSTORE d c c")
    assert encoding(run, "d") == b"hashtable"
    run("SREM", "c", *range(100))
    assert encoding(run, "c") == b"hashtable"
    run("SINTERSTORE d c c")
    assert encoding(run, "d") == b"intset"


def test_what_is_stored_takes_the_place_of_anything(run: Run) -> None:
    run("SET d v EX 100")
    run("SADD a 1")
    assert run("SUNIONSTORE d a") == 1
    assert run("TTL d") == -1
    run("SET d v")
    assert run("SINTERSTORE d a none") == 0
    assert run("EXISTS d") == 0


def test_a_source_may_be_the_destination(run: Run) -> None:
    run("SADD a 1 2 3")
    run("SADD b 2 3 4")
    assert run("SINTERSTORE a a b") == 2
    assert run("SUNIONSTORE b a b") == 3
    assert run("SDIFFSTORE b b a") == 1
    assert members(run("SMEMBERS b")) == [b"4"]


# -- events, dirty, feed


def test_events(run: Run, fired: list[tuple[str, bytes, int]]) -> None:
    def events(line: str) -> list[str]:
        fired.clear()
        run(line)
        return [f"{event} {key.decode()}" for event, key, _ in fired if event != "keymiss"]

    assert events("SADD s a b c") == ["new s", "sadd s"]
    assert events("SADD s a") == []
    assert events("SREM s none") == []
    assert events("SREM s a") == ["srem s"]
    assert events("SMOVE s t b") == ["srem s", "new t", "sadd t"]
    assert events("SMOVE s s c") == []
    assert events("SADD t c") == ["sadd t"]
    assert events("SMOVE s t c") == ["srem s", "del s"]
    assert events("SPOP t") == ["spop t"]
    assert events("SPOP t") == ["spop t", "del t"]
    assert events("SADD s 1 2 3 4 5") == ["new s", "sadd s"]
    assert events("SPOP s 0") == []
    assert events("SPOP s 2") == ["spop s"]
    assert events("SUNIONSTORE d s") == ["new d", "sunionstore d"]
    assert events("SINTERSTORE d s") == ["sinterstore d"]
    assert events("SDIFFSTORE d s none") == ["sdiffstore d"]
    assert events("SDIFFSTORE d s s") == ["del d"]
    assert events("SDIFFSTORE d s s") == []
    assert events("SPOP s 9") == ["spop s", "del s"]
    assert events("SADD s 1") == ["new s", "sadd s"]
    assert events("SREM s 1 2") == ["srem s", "del s"]


@pytest.mark.parametrize(
    ("line", "dirty"),
    [
        ("SADD s a b x y", 2),
        ("SADD s a", 0),
        ("SREM s a b x", 2),
        ("SREM s x", 0),
        ("SMOVE s t a", 2),
        ("SMOVE s t c", 1),
        ("SMOVE s s a", 0),
        ("SPOP s", 1),
        ("SPOP s 2", 2),
        ("SPOP s 9", 3),
        ("SUNIONSTORE d s t", 1),
        ("SDIFFSTORE d s s", 0),
        ("SINTER s t", 0),
        ("SRANDMEMBER s 2", 0),
    ],
)
def test_dirty(run: Run, state: ServerState, line: str, dirty: int) -> None:
    run("SADD s a b c")
    run("SADD t c")
    before = state.dirty
    run(line)
    assert state.dirty - before == dirty


def test_what_is_fed(run: Run, heard: Heard) -> None:
    run("SADD s 1 2 3")
    assert heard() == [b"SELECT 0", b"SADD s 1 2 3"]
    run("SADD s 1")
    run("SRANDMEMBER s")
    assert heard() == []
    member = run("SPOP s")
    assert isinstance(member, bytes)
    assert heard() == [b"SREM s " + member]
    (popped,) = members(run("SPOP s 1"))
    assert isinstance(popped, bytes)
    assert heard() == [b"SREM s " + popped]
    run("SPOP s 5")
    assert heard() == [b"DEL s"]
    run("SADD s 1")
    run("CONFIG SET lazyfree-lazy-server-del yes")
    run("SPOP s 1")
    assert heard() == [b"SADD s 1", b"UNLINK s"]


@pytest.mark.parametrize("count", [3000, 2100])
def test_many_popped_members_are_fed_in_batches(run: Run, heard: Heard, count: int) -> None:
    """Of 3,100 members both when they are picked and when those that stay are."""
    run("SADD", "s", *range(3100))
    heard()
    popped = members(run("SPOP", "s", count))
    lines = [line.split() for line in heard()]
    assert lines[0] == [b"MULTI"]
    assert lines[-1] == [b"EXEC"]
    assert [len(line) - 2 for line in lines[1:-1]] == [1024, 1024, count - 2048]
    assert all(line[:2] == [b"SREM", b"s"] for line in lines[1:-1])
    assert [member for line in lines[1:-1] for member in line[2:]] == popped
