"""Operations on several sorted sets, random members and ZMPOP by value."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pytest

from redis_trio.blocking import Block
from redis_trio.client import Client
from redis_trio.command import lookup
from redis_trio.protocol.reply import NO_REPLY, NULL_ARRAY, Pairs, RedisError, Reply
from tests.unit.conftest import Run

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"

Heard = Callable[[], list[bytes]]
Fired = list[tuple[str, bytes, int]]
Items = list[tuple[bytes, float]]


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def pairs(reply: Reply) -> list[tuple[Reply, Reply]]:
    assert isinstance(reply, Pairs), reply
    return list(reply.pairs)


@pytest.fixture
def sets(run: Run) -> None:
    """Two sorted sets, a plain set and a string."""
    run("ZADD a 1 x 2 y 3 z")
    run("ZADD b 10 y 20 z 30 w")
    run("SADD s z q")
    run("SET str v")


# -- union, intersection, difference


@pytest.mark.usefixtures("sets")
def test_union(run: Run) -> None:
    assert run("ZUNION 2 a b") == [b"x", b"y", b"z", b"w"]
    reply = run("ZUNION 2 a b WITHSCORES")
    assert pairs(reply) == [(b"x", 1.0), (b"y", 12.0), (b"z", 23.0), (b"w", 30.0)]
    assert pairs(run("ZUNION 3 a s none WITHSCORES AGGREGATE min")) == [
        (b"q", 1.0),
        (b"x", 1.0),
        (b"z", 1.0),
        (b"y", 2.0),
    ]
    reply = run("ZUNION 2 a s WEIGHTS 2 -1 AGGREGATE MAX WITHSCORES")
    assert pairs(reply) == [(b"q", -1.0), (b"x", 2.0), (b"y", 4.0), (b"z", 6.0)]
    assert pairs(run("ZUNION 2 a a WITHSCORES")) == [(b"x", 2.0), (b"y", 4.0), (b"z", 6.0)]
    assert run("ZUNION 1 none") == []


@pytest.mark.usefixtures("sets")
def test_intersection(run: Run) -> None:
    assert run("ZINTER 2 a b") == [b"y", b"z"]
    assert pairs(run("ZINTER 3 a b s WITHSCORES")) == [(b"z", 24.0)]
    reply = run("ZINTER 2 b a WEIGHTS 1 100 AGGREGATE MIN WITHSCORES")
    assert pairs(reply) == [(b"y", 10.0), (b"z", 20.0)]
    assert pairs(run("ZINTER 2 a a WEIGHTS 1 2 WITHSCORES"))[0] == (b"x", 3.0)
    assert run("ZINTER 2 a none") == []


@pytest.mark.usefixtures("sets")
def test_difference(run: Run) -> None:
    assert run("ZDIFF 2 a b") == [b"x"]
    assert pairs(run("ZDIFF 2 a s WITHSCORES")) == [(b"x", 1.0), (b"y", 2.0)]
    assert pairs(run("ZDIFF 2 s a WITHSCORES")) == [(b"q", 1.0)]
    assert run("ZDIFF 2 a a") == []
    assert run("ZDIFF 2 none a") == []
    assert run("ZDIFF 3 a none none") == [b"x", b"y", b"z"]


def test_a_difference_is_the_same_by_either_way(run: Run) -> None:
    """One big set less many small ones, and one small set less a big one."""
    run("ZADD", "big", *[word for i in range(400) for word in (i, f"m{i}")])
    for i in range(6):
        run("ZADD", f"small{i}", 1, f"m{i}", 1, f"m{i + 50}")
    reply = run("ZDIFF 7 big small0 small1 small2 small3 small4 small5")
    gone = {*range(6), *range(50, 56)}
    assert reply == [b"m%d" % i for i in range(400) if i not in gone]
    run("ZADD small0 5 other")
    assert run("ZDIFF 2 small0 big") == [b"other"]
    run("ZADD all 1 m1")
    assert run("ZDIFF 3 all small1 big") == []


@pytest.mark.usefixtures("sets")
def test_counting_an_intersection(run: Run) -> None:
    assert run("ZINTERCARD 2 a b") == 2
    assert run("ZINTERCARD 2 a b LIMIT 1") == 1
    assert run("ZINTERCARD 2 a b LIMIT 0") == 2
    assert run("ZINTERCARD 3 a b none") == 0
    assert run("ZINTERCARD 2 a a LIMIT 2") == 2
    assert run("ZINTERCARD 1 a") == 3


def test_what_is_no_number_counts_as_zero(run: Run) -> None:
    run("ZADD plus inf m")
    run("ZADD minus -inf m")
    run("ZADD zero 0 m")
    assert pairs(run("ZUNION 2 plus minus WITHSCORES")) == [(b"m", 0.0)]
    assert pairs(run("ZINTER 2 plus minus WITHSCORES")) == [(b"m", 0.0)]
    assert pairs(run("ZUNION 1 plus WEIGHTS 0 WITHSCORES")) == [(b"m", 0.0)]
    assert pairs(run("ZINTER 1 zero WEIGHTS inf WITHSCORES")) == [(b"m", 0.0)]
    reply = run("ZINTER 2 plus zero WEIGHTS 1 inf AGGREGATE MIN WITHSCORES")
    assert pairs(reply) == [(b"m", math.inf)]


def test_scores_are_added_from_the_smallest_set_on(run: Run) -> None:
    """The sum of doubles depends on the order: 1e16 + 1 + 1 is not 1 + 1 + 1e16."""
    run("ZADD three 1e16 m 1 p 1 q")
    run("ZADD two 1 m 1 n")
    run("ZADD one 1 m")
    for line in ("three two one", "one two three", "two three one"):
        for name in ("ZUNION", "ZINTER"):
            scores = dict(pairs(run(f"{name} 3 {line} WITHSCORES")))
            assert scores[b"m"] == 1.0 + 1.0 + 1e16


def test_a_stored_result(run: Run, heard: Heard, fired: Fired, client: Client) -> None:
    run("ZADD a 1 x 2 y")
    run("ZADD b 5 y")
    heard()
    for line, event, size in (
        ("ZUNIONSTORE t 2 a b", "zunionstore", 2),
        ("ZINTERSTORE t 2 a b WEIGHTS 1 2", "zinterstore", 1),
        ("ZDIFFSTORE t 2 a b", "zdiffstore", 1),
    ):
        fired.clear()
        run("SET t x EX 100")
        heard()
        dirty = client.server.dirty
        assert run(line) == size
        assert client.server.dirty == dirty + 1
        assert heard() == [line.encode()]
        assert fired[-1] == (event, b"t", 0)
        assert run("ZCARD t") == size
        assert run("TTL t") == -1
    assert run("ZUNIONSTORE a 2 a b") == 2
    assert pairs(run("ZRANGE a 0 -1 WITHSCORES")) == [(b"x", 1.0), (b"y", 7.0)]


@pytest.mark.usefixtures("sets")
def test_an_empty_result_deletes_the_target(run: Run, heard: Heard, fired: Fired) -> None:
    for name in ("ZUNIONSTORE t 1 none", "ZINTERSTORE t 2 a none", "ZDIFFSTORE t 2 a a"):
        run("SET t x")
        heard()
        fired.clear()
        assert run(name) == 0
        assert heard() == [name.encode()]
        assert fired[-1] == ("del", b"t", 0)
        fired.clear()
        assert run(name) == 0
        assert heard() == []
        assert [event for event, _, _ in fired if event != "keymiss"] == []


def test_the_encoding_of_a_result(run: Run) -> None:
    run("CONFIG SET zset-max-listpack-entries 3 zset-max-listpack-value 4")
    run("ZADD a 1 x 2 y 3 z")
    run("SADD s w")
    run("SADD long loooong")
    encodings = []
    for line in ("1 a", "2 a s", "2 a long", "1 s", "1 long"):
        run(f"ZUNIONSTORE t {line}")
        encodings.append(run("OBJECT ENCODING t"))
    assert encodings == [b"listpack", b"skiplist", b"skiplist", b"listpack", b"skiplist"]
    run("ZINTERSTORE t 1 a")
    assert run("OBJECT ENCODING t") == b"listpack"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ZUNION x a", NOT_AN_INTEGER),
        ("ZUNION 0 a", "ERR at least 1 input key is needed for 'zunion' command"),
        ("ZINTERSTORE t -1 a", "ERR at least 1 input key is needed for 'zinterstore' command"),
        ("ZUNION 2 a", SYNTAX),
        ("ZUNIONSTORE t 3 a b", SYNTAX),
        ("ZINTER 1 str", WRONGTYPE),
        ("ZDIFF 2 none str", WRONGTYPE),
        ("ZUNION 2 str a NONSENSE", WRONGTYPE),
        ("ZUNION 1 a WEIGHTS", SYNTAX),
        ("ZUNION 2 a b WEIGHTS 1", SYNTAX),
        ("ZUNION 1 a WEIGHTS x", "ERR weight value is not a float"),
        ("ZUNION 1 a WEIGHTS nan", "ERR weight value is not a float"),
        ("ZUNION 1 a AGGREGATE AVG", SYNTAX),
        ("ZUNION 1 a AGGREGATE", SYNTAX),
        ("ZDIFF 1 a WEIGHTS 1", SYNTAX),
        ("ZDIFFSTORE t 1 a AGGREGATE SUM", SYNTAX),
        ("ZUNIONSTORE t 1 a WITHSCORES", SYNTAX),
        ("ZINTERCARD 1 a WITHSCORES", SYNTAX),
        ("ZINTERCARD 1 a LIMIT", SYNTAX),
        ("ZINTERCARD 1 a LIMIT -1", "ERR LIMIT can't be negative"),
        ("ZINTERCARD 1 a LIMIT x", "ERR LIMIT can't be negative"),
        ("ZINTER 1 a LIMIT 1", SYNTAX),
    ],
)
@pytest.mark.usefixtures("sets")
def test_an_operation_refuses(run: Run, line: str, message: str) -> None:
    assert error(run(line)) == message


# -- ZRANDMEMBER


@pytest.mark.parametrize("extra", [b"w" * 10, b"w" * 100], ids=["listpack", "skiplist"])
def test_random_members(run: Run, extra: bytes) -> None:
    run("ZADD", "z", 1, "a", 2, "b", 3, "c", 4, extra)
    members: list[Reply] = [b"a", b"b", b"c", extra]
    assert run("ZRANDMEMBER z") in members
    assert run("ZRANDMEMBER z 4") == members[::-1]
    assert run("ZRANDMEMBER z 100") == members[::-1]
    assert run("ZRANDMEMBER z 0") == []
    reply = run("ZRANDMEMBER z 100 WITHSCORES")
    assert pairs(reply) == [(extra, 4.0), (b"c", 3.0), (b"b", 2.0), (b"a", 1.0)]
    for count in (1, 2, 3):
        reply = run(f"ZRANDMEMBER z {count}")
        assert isinstance(reply, list)
        assert len(set(reply)) == len(reply) == count
        assert set(reply) <= set(members)
    reply = run("ZRANDMEMBER z -30")
    assert isinstance(reply, list)
    assert len(reply) == 30
    assert set(reply) <= set(members)
    assert dict(pairs(run("ZRANDMEMBER z -30 WITHSCORES")))[b"a"] == 1.0


def test_no_random_members(run: Run) -> None:
    assert run("ZRANDMEMBER none") is None
    assert run("ZRANDMEMBER none 5") == []
    run("SET str v")
    out_of_range = (
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
    )
    for line, message in (
        ("ZRANDMEMBER str", WRONGTYPE),
        ("ZRANDMEMBER str 0", WRONGTYPE),
        ("ZRANDMEMBER str x", NOT_AN_INTEGER),
        ("ZRANDMEMBER none 1 SCORES", SYNTAX),
        ("ZRANDMEMBER none 1 WITHSCORES 2", SYNTAX),
        ("ZRANDMEMBER none -9223372036854775808", out_of_range),
        ("ZRANDMEMBER none -9223372036854775807 WITHSCORES", "ERR value is out of range"),
    ):
        assert error(run(line)) == message


@pytest.mark.parametrize("size", [20, 300], ids=["listpack", "skiplist"])
@pytest.mark.parametrize("count", [1, 5, -5, 19], ids=str)
def test_random_members_are_fair(run: Run, client: Client, size: int, count: int) -> None:
    """Each member is picked about equally often: within six standard deviations."""
    client.server.rng.seed(1)
    run("ZADD", "z", *[word for i in range(size) for word in (i, f"m{i}")])
    calls = size * 60 // abs(count)
    seen: Counter[Reply] = Counter()
    for _ in range(calls):
        reply = run(f"ZRANDMEMBER z {count}")
        assert isinstance(reply, list)
        seen.update(reply)
    mean = calls * abs(count) / size
    assert len(seen) == size
    assert max(abs(times - mean) for times in seen.values()) < 6 * math.sqrt(mean)


# -- ZSCAN


def test_a_listpack_is_scanned_in_one_go(run: Run) -> None:
    run("ZADD z 1 a 0.1 b inf c 1e25 d")
    everything: list[Reply] = [b"b", b"0.1", b"a", b"1", b"d", b"1e+25", b"c", b"inf"]
    assert run("ZSCAN z 0") == [b"0", everything]
    assert run("ZSCAN z 7 COUNT 1") == [b"0", everything]
    assert run("ZSCAN z 0 MATCH [ad]") == [b"0", [b"a", b"1", b"d", b"1e+25"]]


def test_a_skiplist_is_scanned_in_parts_and_its_scores_have_17_digits(run: Run) -> None:
    run("ZADD", "z", *[word for i in range(500) for word in (i + 0.1, f"m{i}")])
    found: dict[object, object] = {}
    cursor, calls = b"0", 0
    while True:
        reply = run(b"ZSCAN", b"z", cursor, b"COUNT", b"20")
        assert isinstance(reply, list)
        cursor, flat = reply
        found.update(zip(flat[::2], flat[1::2], strict=True))
        calls += 1
        if cursor == b"0":
            break
    assert calls > 10
    assert found == {b"m%d" % i: b"%.17g" % (i + 0.1) for i in range(500)}
    assert found[b"m0"] == b"0.10000000000000001"


def test_zscan_looks_for_the_key_before_its_options(run: Run) -> None:
    run("SET str v")
    run("ZADD z 1 a")
    assert run("ZSCAN none 0 NONSENSE") == [b"0", []]
    assert error(run("ZSCAN none x")) == "ERR invalid cursor"
    assert error(run("ZSCAN str 0 NONSENSE")) == WRONGTYPE
    assert error(run("ZSCAN z 0 NONSENSE")) == SYNTAX
    assert error(run("ZSCAN z 0 NOVALUES")) == "ERR NOVALUES option can only be used in HSCAN"


# -- ZMPOP and the blocking commands


def test_zmpop_takes_from_the_first_set_that_is_there(
    run: Run, heard: Heard, fired: Fired, client: Client
) -> None:
    run("ZADD z 1 a 2 b 3 c 4 d")
    heard()
    fired.clear()
    dirty = client.server.dirty
    assert run("ZMPOP 2 none z MIN COUNT 2") == [b"z", [(b"a", 1.0), (b"b", 2.0)]]
    assert heard() == [b"ZPOPMIN z 2"]
    assert fired == [("zpopmin", b"z", 0)]
    assert client.server.dirty == dirty + 2
    assert run("zmpop 1 z max") == [b"z", [(b"d", 4.0)]]
    assert heard() == [b"ZPOPMAX z 1"]
    fired.clear()
    assert run("ZMPOP 1 z MAX COUNT 100") == [b"z", [(b"c", 3.0)]]
    assert heard() == [b"ZPOPMAX z 1"]
    assert fired == [("zpopmax", b"z", 0), ("del", b"z", 0)]
    assert run("ZMPOP 1 z MAX COUNT 100") is NULL_ARRAY
    assert heard() == []


def test_a_blocking_pop_that_need_not_wait(run: Run, heard: Heard, fired: Fired) -> None:
    run("ZADD z 1 a 2 b 3 c 4 d")
    heard()
    fired.clear()
    assert run("BZPOPMIN none z 0") == [b"z", b"a", 1.0]
    assert heard() == [b"ZPOPMIN z"]
    assert run("BZPOPMAX z 0") == [b"z", b"d", 4.0]
    assert heard() == [b"ZPOPMAX z"]
    assert run("BZMPOP 0 2 none z MAX COUNT 9") == [b"z", [(b"c", 3.0), (b"b", 2.0)]]
    assert heard() == [b"ZPOPMAX z 2"]
    assert fired[-2:] == [("zpopmax", b"z", 0), ("del", b"z", 0)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ZMPOP 0 z MIN", "ERR numkeys should be greater than 0"),
        ("ZMPOP x z MIN", "ERR numkeys should be greater than 0"),
        ("ZMPOP 2 z MIN", SYNTAX),
        ("ZMPOP 3 z MIN", SYNTAX),
        ("ZMPOP 9223372036854775807 z MIN", SYNTAX),
        ("ZMPOP 1 z MIDDLE", SYNTAX),
        ("ZMPOP 1 z MIN COUNT", SYNTAX),
        ("ZMPOP 1 z MIN COUNT 0", "ERR count should be greater than 0"),
        ("ZMPOP 1 z MIN COUNT x", "ERR count should be greater than 0"),
        ("ZMPOP 1 z MIN COUNT 1 COUNT 1", SYNTAX),
        ("ZMPOP 1 z MIN SUM 1", SYNTAX),
        ("ZMPOP 2 none str MIN", WRONGTYPE),
        ("BZMPOP x 1 str MIN SUM", SYNTAX),
        ("BZMPOP x 1 str MIN", "ERR timeout is not a float or out of range"),
        ("BZMPOP -1 1 str MIN", "ERR timeout is negative"),
        ("BZMPOP 0 1 str MIN", WRONGTYPE),
        ("BZPOPMIN str x", "ERR timeout is not a float or out of range"),
        ("BZPOPMIN none str 0", WRONGTYPE),
        ("BZPOPMAX str -1", "ERR timeout is negative"),
    ],
)
def test_a_pop_refuses(run: Run, line: str, message: str) -> None:
    run("SET str v")
    assert error(run(line)) == message


@pytest.mark.parametrize(
    ("line", "keys", "timeout_s"),
    [
        ("BZPOPMIN a b a 1.5", [b"a", b"b"], 1.5),
        ("BZPOPMAX a 0", [b"a"], None),
        ("BZMPOP 2 2 a b MIN", [b"a", b"b"], 2.0),
    ],
)
def test_a_blocking_pop_waits_for_its_keys(
    client: Client, line: str, keys: list[bytes], timeout_s: float | None
) -> None:
    args = line.encode().split()
    command = lookup(client.server.commands, args)
    assert command is not None
    assert command.handler is not None
    block = command.handler(client, args)
    assert isinstance(block, Block)
    assert [key for _, key in block.topics] == keys
    assert (block.kind, block.timeout_s) == (b"zset", timeout_s)
    assert block.on_timeout is NULL_ARRAY


def test_a_client_waits_for_a_member(run: Run) -> None:
    assert run("BZPOPMIN a 0") is NO_REPLY
