"""Ranges of sorted sets by value: by rank, by score, by member; returned, stored, removed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.client import Client
from redis_trio.protocol.reply import Pairs, RedisError, Reply
from redis_trio.state import ServerState
from tests.unit.conftest import Run

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NOT_FLOATS = "ERR min or max is not a float"
NOT_STRINGS = "ERR min or max not valid string range item"
NO_LIMIT = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
NO_SCORES = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"

Fired = list[tuple[str, bytes, int]]
Heard = Callable[[], list[bytes]]
Ask = Callable[[str], str]


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


@pytest.fixture(params=["listpack", "skiplist"])
def ask(request: pytest.FixtureRequest, run: Run, state: ServerState) -> Ask:
    """Run a command that returns members and return them in one word; z is a=1 ... f=6, inf=g."""
    if request.param == "skiplist":
        state.thresholds.zset_entries = 0
    run("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f inf g")
    run("ZADD lex 0 a 0 b 0 c 0 d 0 e 0 f 0 g")
    assert run("OBJECT ENCODING z") == request.param.encode()

    def ask(line: str) -> str:
        reply = run(line)
        assert isinstance(reply, list), reply
        return b"".join(reply).decode()  # type: ignore[arg-type]

    return ask


# -- by rank


@pytest.mark.parametrize(
    ("bounds", "found"),
    [
        ("0 -1", "abcdefg"),
        ("0 0", "a"),
        ("2 4", "cde"),
        ("-3 -2", "ef"),
        ("-100 1", "ab"),
        ("5 100", "fg"),
        ("7 8", ""),
        ("3 2", ""),
        ("0 -8", ""),
        ("-9223372036854775808 9223372036854775807", "abcdefg"),
    ],
)
def test_ranges_of_ranks(ask: Ask, bounds: str, found: str) -> None:
    from_the_end = found.translate(str.maketrans("abcdefg", "gfedcba"))
    assert ask(f"ZRANGE z {bounds}") == found
    assert ask(f"ZREVRANGE z {bounds}") == from_the_end
    assert ask(f"ZRANGE z {bounds} REV") == from_the_end


def test_scores_come_in_pairs(run: Run, ask: Ask) -> None:
    for line in ("ZRANGE z 0 1 WITHSCORES", "ZRANGEBYSCORE z 1 2 WITHSCORES"):
        reply = run(line)
        assert isinstance(reply, Pairs)
        assert list(reply.pairs) == [(b"a", 1.0), (b"b", 2.0)]
    reply = run("ZREVRANGEBYSCORE z 2 1 WITHSCORES LIMIT 0 1")
    assert isinstance(reply, Pairs)
    assert list(reply.pairs) == [(b"b", 2.0)]


# -- by score


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        ("-inf", "+inf", "abcdefg"),
        ("-inf", "(inf", "abcdef"),
        ("2", "4", "bcd"),
        ("(2", "4", "cd"),
        ("2", "(4", "bc"),
        ("(2", "(3", ""),
        ("2.5", "4.5", "cd"),
        ("4", "2", ""),
        ("3", "3", "c"),
        ("(3", "3", ""),
        ("7", "1e999", "g"),
        ("-1e999", "0x2p0", "ab"),
        ("", "2", "ab"),
        (" 2", "(\t3.5", "bc"),
        ("(", "1", "a"),
    ],
)
def test_ranges_of_scores(run: Run, ask: Ask, low: str, high: str, found: str) -> None:
    def members(*words: str) -> str:
        reply = run(*words)
        assert isinstance(reply, list)
        return b"".join(reply).decode()  # type: ignore[arg-type]

    assert members("ZRANGEBYSCORE", "z", low, high) == found
    assert members("ZRANGE", "z", low, high, "byscore") == found
    assert members("ZREVRANGEBYSCORE", "z", high, low) == found[::-1]
    assert members("ZRANGE", "z", high, low, "REV", "BYSCORE") == found[::-1]
    assert run("ZCOUNT", "z", low, high) == len(found)
    assert run("ZREMRANGEBYSCORE", "z", low, high) == len(found)
    assert run("ZCARD z") == 7 - len(found)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        *(("x", "1"), ("1", "x"), ("1 ", "2"), ("nan", "1"), ("1", "(nan"), ("[1", "2")),
        *(("1_0", "2"), (" ", "2"), ("0x", "2"), ("((1", "2"), ("1", "2e")),
    ],
)
def test_bounds_that_are_no_scores(run: Run, low: str, high: str) -> None:
    run("SET s v")
    for name in ("ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZCOUNT", "ZREMRANGEBYSCORE"):
        assert error(run(name, "s", low, high)) == NOT_FLOATS


# -- by member


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        ("-", "+", "abcdefg"),
        ("[b", "[d", "bcd"),
        ("(b", "[d", "cd"),
        ("[b", "(d", "bc"),
        ("(b", "(c", ""),
        ("-", "(c", "ab"),
        ("[f", "+", "fg"),
        ("[bb", "[cc", "c"),
        ("[d", "[b", ""),
        ("+", "-", ""),
        ("+", "+", ""),
        ("-", "-", ""),
        ("[", "[a", "a"),
        ("[b", "-", ""),
    ],
)
def test_ranges_of_members(run: Run, ask: Ask, low: str, high: str, found: str) -> None:
    assert ask(f"ZRANGEBYLEX lex {low} {high}") == found
    assert ask(f"ZRANGE lex {low} {high} BYLEX") == found
    assert ask(f"ZREVRANGEBYLEX lex {high} {low}") == found[::-1]
    assert ask(f"ZRANGE lex {high} {low} BYLEX REV") == found[::-1]
    assert run(f"ZLEXCOUNT lex {low} {high}") == len(found)
    assert run(f"ZREMRANGEBYLEX lex {low} {high}") == len(found)
    assert run("ZCARD lex") == 7 - len(found)


def test_bounds_that_are_no_members(run: Run) -> None:
    run("SET s v")
    for low, high in (("a", "[b"), ("[a", "b"), ("", "+"), ("--", "+"), ("-", "+x"), ("1", "2")):
        for name in ("ZRANGEBYLEX", "ZREVRANGEBYLEX", "ZLEXCOUNT", "ZREMRANGEBYLEX"):
            assert error(run(name, "s", low, high)) == NOT_STRINGS


def test_a_bound_of_members_ends_at_a_nul_only_if_it_is_an_end(run: Run) -> None:
    run("ZADD", "lex", "0", b"a\0b", "0", b"a\0")
    assert run("ZRANGEBYLEX", "lex", b"-\0x", b"[a\0") == [b"a\0"]


def test_a_range_of_members_where_scores_differ_is_what_a_walk_finds(run: Run) -> None:
    run("ZADD z 1 c 2 a 3 d 4 b")
    assert run("ZRANGEBYLEX z [b (d") == [b"c", b"a"]
    assert run("ZREVRANGEBYLEX z (d [b") == [b"b", b"d"]
    assert run("ZLEXCOUNT z [b (d") == 2
    assert run("ZRANGEBYLEX z [e +") == []
    assert run("ZRANGEBYLEX z - (c") == []
    assert run("ZRANGEBYLEX z [d [b") == []


# -- LIMIT


@pytest.mark.parametrize(
    ("limit", "forward", "backward"),
    [
        ("0 2", "bc", "fe"),
        ("1 2", "cd", "ed"),
        ("3 -1", "ef", "cb"),
        ("4 10", "f", "b"),
        ("5 1", "", ""),
        ("100 1", "", ""),
        ("9223372036854775807 9223372036854775807", "", ""),
        ("0 0", "", ""),
        ("2 0", "", ""),
        ("0 -5", "bcdef", "fedcb"),
    ],
)
def test_limits(ask: Ask, limit: str, forward: str, backward: str) -> None:
    assert ask(f"ZRANGEBYSCORE z 2 6 LIMIT {limit}") == forward
    assert ask(f"ZREVRANGEBYSCORE z 6 2 LIMIT {limit}") == backward
    assert ask(f"ZRANGE lex [b [f BYLEX LIMIT {limit}") == forward
    assert ask(f"ZRANGE lex [f [b BYLEX REV LIMIT {limit}") == backward


@pytest.mark.parametrize(
    ("limit", "forward", "backward"),
    [
        ("-1 -1", "f", "b"),
        ("-2 10", "ef", "cb"),
        ("-5 2", "bc", "fe"),
        ("-6 2", "", ""),
        ("-9223372036854775808 1", "", ""),
    ],
)
def test_a_negative_offset_counts_from_the_other_end_of_a_skiplist(
    run: Run, ask: Ask, limit: str, forward: str, backward: str
) -> None:
    if run("OBJECT ENCODING z") == b"listpack":
        forward = backward = ""
    assert ask(f"ZRANGEBYSCORE z 2 6 LIMIT {limit}") == forward
    assert ask(f"ZREVRANGEBYSCORE z 6 2 LIMIT {limit}") == backward
    assert ask(f"ZRANGEBYLEX lex [b [f LIMIT {limit}") == forward
    assert ask(f"ZREVRANGEBYLEX lex [f [b LIMIT {limit}") == backward


def test_limits_across_many_blocks(run: Run) -> None:
    for i in range(6000):
        run("ZADD", "z", str(i), str(i))

    def numbers(line: str) -> list[int]:
        reply = run(line)
        assert isinstance(reply, list)
        return [int(member) for member in reply]  # type: ignore[arg-type]

    for offset in (0, 1, 511, 512, 513, 4000, 4500, 5897):
        start = 101 + offset
        assert numbers(f"ZRANGE z (100 5998 BYSCORE LIMIT {offset} 600") == list(
            range(start, min(start + 600, 5999))
        )
        stop = 5998 - offset
        assert numbers(f"ZRANGE z 5998 (100 BYSCORE REV LIMIT {offset} 600") == list(
            range(stop, max(stop - 600, 100), -1)
        )
    assert run("ZCOUNT z (100 5998") == 5898
    assert run("ZCOUNT z 500 (1500") == 1000
    assert numbers("ZRANGE z 3000 3002") == [3000, 3001, 3002]
    assert run("ZREMRANGEBYRANK z 10 5899") == 5890
    assert run("ZRANK z 5900") == 10


# -- options and errors


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ZRANGE s 0 x", NOT_AN_INTEGER),
        ("ZRANGE s 0 1 LIMIT 0", SYNTAX),
        ("ZRANGE s 0 1 LIMIT 0 x", NOT_AN_INTEGER),
        ("ZRANGE s 0 1 LIMIT 0 1", NO_LIMIT),
        ("ZRANGE s 0 1 LIMIT 0 -1", WRONGTYPE),
        ("ZRANGE s 0 1 REV REV", SYNTAX),
        ("ZRANGE s 0 1 BYLEX BYSCORE", SYNTAX),
        ("ZRANGE s 0 1 BYSCORE BYSCORE", SYNTAX),
        ("ZRANGE s - + BYLEX WITHSCORES", NO_SCORES),
        ("ZRANGE s - + BYLEX WITHSCORES LIMIT 0 1", NO_SCORES),
        ("ZRANGE s 0 1 WITHSCORE", SYNTAX),
        ("ZRANGE s a b BYSCORE", NOT_FLOATS),
        ("ZRANGE s a b BYLEX", NOT_STRINGS),
        ("ZRANGE s 0 1", WRONGTYPE),
        ("ZREVRANGE s 0 1 REV", SYNTAX),
        ("ZREVRANGE s 0 1 BYSCORE", SYNTAX),
        ("ZREVRANGE s 0 1 LIMIT 1 2", NO_LIMIT),
        ("ZRANGEBYSCORE s 0 1 BYSCORE", SYNTAX),
        ("ZRANGEBYSCORE s 0 1 REV", SYNTAX),
        ("ZRANGEBYSCORE s 0 1 WITHSCORES LIMIT 1", SYNTAX),
        ("ZRANGEBYLEX s - + WITHSCORES", NO_SCORES),
        ("ZRANGEBYLEX s - +", WRONGTYPE),
        ("ZRANGESTORE d s 0 1 WITHSCORES", SYNTAX),
        ("ZRANGESTORE d s 0 1 LIMIT 0 1", NO_LIMIT),
        ("ZRANGESTORE d s 0 1 BYLEX", NOT_STRINGS),
        ("ZRANGESTORE d s 0 1", WRONGTYPE),
        ("ZCOUNT s 0 1", WRONGTYPE),
        ("ZLEXCOUNT s - +", WRONGTYPE),
        ("ZREMRANGEBYRANK s 0 x", NOT_AN_INTEGER),
        ("ZREMRANGEBYRANK s 0 1", WRONGTYPE),
        ("ZREMRANGEBYSCORE s 0 1", WRONGTYPE),
        ("ZREMRANGEBYLEX s - +", WRONGTYPE),
    ],
)
def test_errors_come_in_redis_order(run: Run, line: str, message: str) -> None:
    run("SET s v")
    assert error(run(line)) == message


def test_a_missing_key_is_an_empty_set(run: Run) -> None:
    assert run("ZRANGE none 0 -1 WITHSCORES") == []
    assert run("ZRANGEBYLEX none - +") == []
    assert run("ZCOUNT none 0 1") == 0
    assert run("ZLEXCOUNT none - +") == 0
    assert run("ZREMRANGEBYRANK none 0 -1") == 0


# -- ZRANGESTORE


def test_zrangestore_stores_what_zrange_returns(run: Run, ask: Ask) -> None:
    assert run("ZRANGESTORE d z 1 3") == 3
    assert ask("ZRANGE d 0 -1") == "bcd"
    assert run("ZSCORE d c") == 3.0
    assert run("ZRANGESTORE d z 5 (2 BYSCORE REV LIMIT 1 2") == 2
    assert ask("ZRANGE d 0 -1") == "cd"
    assert run("ZRANGESTORE d lex [b [d BYLEX") == 3
    assert ask("ZRANGE d 0 -1") == "bcd"
    assert run("ZRANGESTORE z z 0 0") == 1
    assert ask("ZRANGE z 0 -1") == "a"


def test_zrangestore_replaces_what_was_there(run: Run, client: Client) -> None:
    run("ZADD z 1 a")
    run("SET d v EX 100")
    assert run("ZRANGESTORE d z 0 -1") == 1
    assert client.db.expire_ms(b"d") < 0
    assert run("TYPE d") is not None
    assert run("ZRANGESTORE d z 5 6") == 0
    assert run("EXISTS d") == 0
    run("SET d v")
    assert run("ZRANGESTORE d none 0 -1") == 0
    assert run("EXISTS d") == 0


def test_the_encoding_of_what_is_stored(run: Run, state: ServerState) -> None:
    run("ZADD", "z", "1", "a", "2", "b", "3", "c", "4", "x" * 65)
    state.thresholds.zset_entries = 2
    for line, expected in {
        "ZRANGESTORE d z 0 1": b"listpack",
        "ZRANGESTORE d z 0 2": b"skiplist",
        "ZRANGESTORE d z 3 3": b"skiplist",
        "ZRANGESTORE d z 1 2 BYSCORE": b"listpack",
        "ZRANGESTORE d z 1 3 BYSCORE": b"skiplist",
    }.items():
        run(line)
        assert run("OBJECT ENCODING d") == expected, line


# -- what others hear


def test_zrangestore_fires_and_is_fed_as_sent(run: Run, fired: Fired, heard: Heard) -> None:
    run("ZADD z 1 a 2 b")
    run("ZRANGESTORE d z 0 0")
    run("ZRANGESTORE d z 1 1")
    run("ZRANGESTORE d z 5 6")
    run("ZRANGESTORE d z 5 6")
    assert [event for event, key, _ in fired if key == b"d"] == [
        *("new", "zrangestore", "zrangestore", "del")
    ]
    assert heard() == [
        *(b"SELECT 0", b"ZADD z 1 a 2 b", b"ZRANGESTORE d z 0 0", b"ZRANGESTORE d z 1 1"),
        b"ZRANGESTORE d z 5 6",
    ]


@pytest.mark.parametrize("by", ["RANK", "SCORE", "LEX"])
def test_removed_ranges_fire_and_count(run: Run, fired: Fired, client: Client, by: str) -> None:
    name = f"ZREMRANGEBY{by}"
    first, rest, none = {
        "RANK": ("0 1", "0 -1", "5 9"),
        "SCORE": ("0 2", "-inf inf", "8 9"),
        "LEX": ("- [b", "- +", "(x +"),
    }[by]
    run("ZADD z 1 a 2 b 3 c")
    fired.clear()
    dirty = client.server.dirty
    assert run(f"{name} z {none}") == 0
    assert run(f"{name} z {first}") == 2
    assert run(f"{name} z {rest}") == 1
    assert [event for event, _, _ in fired] == [name.lower(), name.lower(), "del"]
    assert client.server.dirty == dirty + 3
    assert run("EXISTS z") == 0
