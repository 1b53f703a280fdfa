"""Sorted sets by value: members, scores, ranks, pops; what is fed and which events fire."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from redis_trio.client import Client
from redis_trio.data.sorted_set import SortedSet
from redis_trio.protocol.reply import NULL_ARRAY, Pairs, RedisError, Reply
from redis_trio.state import ServerState
from tests.unit.conftest import Run

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NOT_A_FLOAT = "ERR value is not a valid float"
NX_AND_XX = "ERR XX and NX options at the same time are not compatible"
GT_LT_NX = "ERR GT, LT, and/or NX options at the same time are not compatible"
ONE_PAIR = "ERR INCR option supports a single increment-element pair"

Fired = list[tuple[str, bytes, int]]
Heard = Callable[[], list[bytes]]


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def pairs(reply: Reply) -> list[tuple[Reply, Reply]]:
    assert isinstance(reply, Pairs), reply
    return list(reply.pairs)


def everything(run: Run, key: str = "z") -> list[tuple[Reply, Reply]]:
    return pairs(run(f"ZRANGE {key} 0 -1 WITHSCORES"))


# -- ZADD


def test_zadd_counts_the_new_members(run: Run) -> None:
    assert run("ZADD z 2 b 1 a") == 2
    assert run("ZADD z 3 b 1 a 5 c") == 1
    assert everything(run) == [(b"a", 1.0), (b"b", 3.0), (b"c", 5.0)]


def test_zadd_ch_counts_the_changed_members_too(run: Run) -> None:
    run("ZADD z 1 a 2 b")
    assert run("ZADD z CH 1 a 3 b 4 c") == 2


def test_equal_scores_are_ordered_by_the_bytes_of_the_members(run: Run) -> None:
    run("ZADD", "z", "0", b"b", "-0", b"\xff", "0", b"", "0", b"a\0", "0", b"a")
    assert run("ZRANGE z 0 -1") == [b"", b"a", b"a\0", b"b", b"\xff"]


def test_the_last_score_of_a_member_given_twice_counts(run: Run) -> None:
    assert run("ZADD z 1 a 5 a") == 1
    assert run("ZSCORE z a") == 5.0
    assert run("ZADD z CH 1 a 5 a") == 2


def test_zadd_reads_doubles(run: Run) -> None:
    for text, value in {"1e3": 1000.0, "-inf": -math.inf, "+Inf": math.inf, "0x10": 16.0}.items():
        assert run(f"ZADD z {text} m") in (0, 1)
        assert run("ZSCORE z m") == value


@pytest.mark.parametrize("score", ["x", "nan", "", "1 ", "1e999", "(1"])
def test_zadd_adds_nothing_if_one_score_is_none(run: Run, score: str) -> None:
    assert error(run("ZADD", "z", "1", "a", score, "b")) == NOT_A_FLOAT
    assert error(run("ZADD", "z", score, "b")) == NOT_A_FLOAT
    assert run("EXISTS z") == 0


def test_zadd_nx_leaves_members_as_they_are(run: Run) -> None:
    run("ZADD z 1 a")
    assert run("ZADD z NX 5 a 2 b") == 1
    assert everything(run) == [(b"a", 1.0), (b"b", 2.0)]


def test_zadd_xx_adds_nothing(run: Run) -> None:
    assert run("ZADD z XX 1 a") == 0
    assert run("ZADD z XX INCR 1 a") is None
    assert run("EXISTS z") == 0
    run("ZADD z 1 a")
    assert run("ZADD z XX CH 5 a 2 b") == 1
    assert everything(run) == [(b"a", 5.0)]


def test_zadd_gt_and_lt_change_in_one_direction_and_add(run: Run) -> None:
    run("ZADD z 5 a 5 b")
    assert run("ZADD z GT CH 4 a 6 b 1 c") == 2
    assert everything(run) == [(b"c", 1.0), (b"a", 5.0), (b"b", 6.0)]
    assert run("ZADD z XX LT CH 4 a 7 b 1 c 9 d") == 1
    assert everything(run) == [(b"c", 1.0), (b"a", 4.0), (b"b", 6.0)]


def test_zadd_incr_returns_the_score_or_null(run: Run) -> None:
    assert run("ZADD z INCR 1.5 a") == 1.5
    assert run("ZADD z INCR 2 a") == 3.5
    assert run("ZADD z INCR 0 a") == 3.5
    assert run("ZADD z NX INCR 2 a") is None
    assert run("ZADD z XX INCR 2 b") is None
    assert run("ZADD z GT INCR -1 a") is None
    assert run("ZADD z LT INCR -1 a") == 2.5


def test_an_increment_to_nan_is_refused(run: Run) -> None:
    run("ZADD z inf a")
    nan = "ERR resulting score is not a number (NaN)"
    assert error(run("ZINCRBY z -inf a")) == nan
    assert error(run("ZADD z INCR -inf a")) == nan
    assert run("ZSCORE z a") == math.inf


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ZADD z 1 a 2", SYNTAX),
        ("ZADD z NX 1", SYNTAX),
        ("ZADD z NX XX", SYNTAX),
        ("ZADD z NX XX GT 1", SYNTAX),
        ("ZADD z NX XX GT 1 a", NX_AND_XX),
        ("ZADD z NX GT 1 a", GT_LT_NX),
        ("ZADD z LT NX x a", GT_LT_NX),
        ("ZADD z GT LT 1 a", GT_LT_NX),
        ("ZADD z INCR 1 a 2 b", ONE_PAIR),
        ("ZADD z INCR NX XX 1 a 2 b", NX_AND_XX),
        ("ZADD s x a", NOT_A_FLOAT),
        ("ZADD s 1 a", WRONGTYPE),
        ("ZADD s 1.5 a", WRONGTYPE),
        ("ZINCRBY z NX a", SYNTAX),
        ("ZINCRBY z x a", NOT_A_FLOAT),
    ],
)
def test_errors_of_zadd_come_in_redis_order(run: Run, line: str, message: str) -> None:
    run("SET s v")
    assert error(run(line)) == message


def test_zincrby_makes_what_is_not_there(run: Run) -> None:
    assert run("ZINCRBY z 2.5 a") == 2.5
    assert run("ZINCRBY z -1 a") == 1.5


def test_a_member_keeps_its_place_or_moves_with_its_score(run: Run) -> None:
    run("ZADD z 1 a 2 b 3 c 4 d")
    run("ZINCRBY z 0.5 b")
    assert run("ZRANGE z 0 -1") == [b"a", b"b", b"c", b"d"]
    run("ZINCRBY z 10 b")
    assert run("ZRANGE z 0 -1") == [b"a", b"c", b"d", b"b"]


def test_minus_zero_survives_in_a_skiplist_only(run: Run) -> None:
    def text(reply: Reply) -> str:
        return str(reply)

    run("ZADD z -0.0 a")
    assert text(run("ZSCORE z a")) == "0.0"
    assert text(run("ZADD z INCR -0.0 b")) == "-0.0"
    assert text(run("ZSCORE z b")) == "0.0"
    run("ZADD", "big", "-0.0", "x" * 65)
    assert text(run("ZSCORE", "big", "x" * 65)) == "-0.0"
    run("ZADD", "big", "0", "x" * 65)
    assert text(run("ZSCORE", "big", "x" * 65)) == "-0.0"
    run("ZADD", "big", "0", "a", "-0.0", "c")
    assert [text(score) for _, score in everything(run, "big")] == ["0.0", "-0.0", "-0.0"]


# -- encodings


def encoding(run: Run, key: str = "z") -> Reply:
    return run(f"OBJECT ENCODING {key}")


def test_too_many_members_convert_a_listpack_for_good(run: Run, state: ServerState) -> None:
    state.thresholds.zset_entries = 3
    run("ZADD z 1 a 2 b 3 c")
    assert encoding(run) == b"listpack"
    run("ZADD z 9 c")
    assert encoding(run) == b"listpack"
    run("ZADD z 4 d")
    assert encoding(run) == b"skiplist"
    run("ZREM z a b c")
    assert encoding(run) == b"skiplist"
    assert everything(run) == [(b"d", 4.0)]


def test_a_long_member_converts_a_listpack(run: Run) -> None:
    run("ZADD z 1 a")
    run("ZADD", "z", "2", "x" * 64)
    assert encoding(run) == b"listpack"
    run("ZADD", "z", "2", "y" * 65)
    assert encoding(run) == b"skiplist"


def test_many_pairs_in_one_command_convert_even_if_nothing_is_added(
    run: Run, state: ServerState
) -> None:
    state.thresholds.zset_entries = 2
    run("ZADD z 1 a")
    assert run("ZADD z XX 1 a 2 b 3 c") == 0
    assert encoding(run) == b"skiplist"
    run("ZADD y 1 a 1 a 1 a")
    assert encoding(run, "y") == b"skiplist"


def test_no_listpacks_at_all(run: Run, state: ServerState) -> None:
    run("ZADD old 1 a")
    state.thresholds.zset_entries = 0
    run("ZADD old 1 a")
    run("ZADD new 1 a")
    assert [encoding(run, "old"), encoding(run, "new")] == [b"skiplist", b"skiplist"]


# -- removing


def test_zrem_counts_what_was_there(run: Run) -> None:
    run("ZADD z 1 a 2 b 3 c")
    assert run("ZREM z a x a b") == 2
    assert run("ZRANGE z 0 -1") == [b"c"]
    assert run("ZREM z c d") == 1
    assert run("EXISTS z") == 0
    assert run("ZREM z c") == 0


def test_zpopmin_and_zpopmax_take_the_ends(run: Run) -> None:
    run("ZADD z 1 a 2 b 3 c 4 d 5 e")
    assert run("ZPOPMIN z") == [b"a", 1.0]
    assert run("ZPOPMAX z") == [b"e", 5.0]
    assert pairs(run("ZPOPMIN z 2")) == [(b"b", 2.0), (b"c", 3.0)]
    assert pairs(run("ZPOPMAX z 9")) == [(b"d", 4.0)]
    assert run("EXISTS z") == 0


def test_a_pop_of_nothing_is_an_empty_array(run: Run) -> None:
    assert run("ZPOPMIN z") == []
    assert run("ZPOPMAX z 3") == []
    run("ZADD z 1 a")
    assert run("ZPOPMIN z 0") == []
    assert run("ZCARD z") == 1


@pytest.mark.parametrize("name", ["ZPOPMIN", "ZPOPMAX"])
def test_errors_of_pops(run: Run, name: str) -> None:
    positive = "ERR value is out of range, must be positive"
    run("SET s v")
    assert error(run(f"{name} s x")) == positive
    assert error(run(f"{name} s -1")) == positive
    assert error(run(f"{name} s 1 2")) == SYNTAX
    assert error(run(f"{name} s 0")) == WRONGTYPE
    assert error(run(f"{name} s")) == WRONGTYPE


# -- asking


def test_zcard_zscore_and_zmscore(run: Run) -> None:
    assert run("ZCARD z") == 0
    assert run("ZSCORE z a") is None
    assert run("ZMSCORE z a b") == [None, None]
    run("ZADD z 1 a 2 b")
    assert run("ZCARD z") == 2
    assert run("ZSCORE z a") == 1.0
    assert run("ZSCORE z x") is None
    assert run("ZMSCORE z b x a") == [2.0, None, 1.0]


def test_ranks_count_from_either_end(run: Run) -> None:
    run("ZADD z 1 a 2 b 3 c")
    assert [run(f"ZRANK z {member}") for member in "abcx"] == [0, 1, 2, None]
    assert [run(f"ZREVRANK z {member}") for member in "abcx"] == [2, 1, 0, None]
    assert run("ZRANK z b withscore") == [1, 2.0]
    assert run("ZREVRANK z c WITHSCORE") == [0, 3.0]


def test_a_rank_that_is_not_there(run: Run) -> None:
    run("ZADD z 1 a")
    assert run("ZRANK none a") is None
    assert run("ZRANK none a WITHSCORE") is NULL_ARRAY
    assert run("ZREVRANK z x WITHSCORE") is NULL_ARRAY


def test_errors_of_ranks(run: Run) -> None:
    run("SET s v")
    assert error(run("ZRANK s a WITHSCORES")) == SYNTAX
    arity = "ERR wrong number of arguments for 'zrank' command"
    assert error(run("ZRANK s a WITHSCORE x")) == arity
    assert error(run("ZREVRANK s a x y")) == arity.replace("zrank", "zrevrank")


@pytest.mark.parametrize(
    "line",
    [
        *("ZREM s a", "ZCARD s", "ZSCORE s a", "ZMSCORE s a", "ZRANK s a", "ZREVRANK s a"),
        *("ZINCRBY s 1 a", "ZADD s XX 1.5 a"),
    ],
)
def test_a_string_is_no_sorted_set(run: Run, line: str) -> None:
    run("SET s v")
    assert error(run(line)) == WRONGTYPE


def test_ranks_and_pops_in_many_blocks(run: Run, client: Client) -> None:
    for i in range(2000):
        run("ZADD", "z", str(i * 7919 % 2000), f"m{i * 7919 % 2000:04}")
    for rank in (0, 1, 511, 512, 999, 1998, 1999):
        assert run(f"ZRANK z m{rank:04}") == rank
        assert run(f"ZREVRANK z m{rank:04}") == 1999 - rank
    run("ZADD z 1e9 m0000")
    assert run("ZRANK z m0001") == 0
    assert run("ZRANK z m0000") == 1999
    assert [member for member, _ in pairs(run("ZPOPMIN z 1998"))] == [
        b"m%04d" % i for i in range(1, 1999)
    ]
    assert everything(run) == [(b"m1999", 1999.0), (b"m0000", 1e9)]
    value = client.db.peek(b"z")
    assert isinstance(value, SortedSet)
    assert value.memory_bytes(0) < 20_000  # it had 2,000 members; a block keeps some room


def test_memory_is_about_the_same_by_samples_as_by_all(run: Run, client: Client) -> None:
    for size in (3, 5000):
        for i in range(size):
            run("ZADD", f"z{size}", str(i), f"member:{i:06}")
        value = client.db.peek(b"z%d" % size)
        assert isinstance(value, SortedSet)
        total = value.memory_bytes(0)
        assert total == pytest.approx(value.memory_bytes(5), rel=0.1)
        assert size == 3 or 80 < total / size < 200


# -- what others hear


def test_zadd_fires_once_and_counts_each_change(run: Run, fired: Fired, client: Client) -> None:
    dirty = client.server.dirty
    run("ZADD z 1 a 2 b")
    assert fired == [("new", b"z", 0), ("zadd", b"z", 0)]
    assert client.server.dirty == dirty + 2
    fired.clear()
    run("ZADD z 1 a 5 b")
    run("ZADD z INCR 1 a")
    run("ZINCRBY z 1 a")
    assert fired == [("zadd", b"z", 0), ("zincr", b"z", 0), ("zincr", b"z", 0)]
    assert client.server.dirty == dirty + 5


def test_what_changes_nothing_is_neither_fired_nor_fed(
    run: Run, fired: Fired, heard: Heard
) -> None:
    run("ZADD z 1 a")
    fired.clear()
    heard()
    for line in (
        *("ZADD z 1 a", "ZADD z NX 2 a", "ZADD z XX 2 b", "ZADD none XX 1 a", "ZADD z 1.0 a"),
        *("ZINCRBY z 0 a", "ZREM z x", "ZREM none x", "ZPOPMIN z 0", "ZADD z GT 0 a"),
    ):
        run(line)
    assert [event for event in fired if event[0] != "keymiss"] == []
    assert heard() == []


def test_removals_fire_before_del(run: Run, fired: Fired, client: Client) -> None:
    run("ZADD z 1 a 2 b 3 c 4 d")
    fired.clear()
    dirty = client.server.dirty
    run("ZREM z a x")
    run("ZPOPMIN z")
    run("ZPOPMAX z 5")
    assert [event for event, _, _ in fired] == ["zrem", "zpopmin", "zpopmax", "del"]
    assert client.server.dirty == dirty + 4
    fired.clear()
    run("ZADD z 1 a 2 b")
    run("ZREM z b a x")
    assert [event for event, _, _ in fired] == ["new", "zadd", "zrem", "del"]
    assert client.server.dirty == dirty + 8


def test_commands_are_fed_as_they_were_sent(run: Run, heard: Heard) -> None:
    lines = ["ZADD z NX CH 1 a 2 b 3 c 4 d", "ZINCRBY z 1.5 a", "ZREM z x a", "ZPOPMAX z 1"]
    for line in lines:
        run(line)
    run("ZPOPMIN z")
    assert heard() == [b"SELECT 0", *[line.encode() for line in lines], b"ZPOPMIN z"]
