"""Consumer groups by value: replies, errors, counters, what is fed and which events fire."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.client import Client
from redis_trio.data.stream import Stream
from redis_trio.protocol.reply import NO_REPLY, NULL_ARRAY, OK, MapPairs, RedisError, Reply, encode
from redis_trio.protocol.response import ReplyParser
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run

Heard = Callable[[], list[bytes]]
Show = Callable[[str], object]

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
INVALID_ID = "ERR Invalid stream ID specified as stream command argument"
NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use "
    "the MKSTREAM option to create an empty stream automatically."
)
NOGROUP = "NOGROUP No such key 's' or consumer group 'no'"
MAX = 2**63 - 1


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


@pytest.fixture
def show(run: Run) -> Show:
    """Run a command; its reply as a client of RESP2 gets it."""

    def show(line: str) -> object:
        out: list[bytes] = []
        encode(out, run(line), 2)
        parser = ReplyParser()
        parser.feed(b"".join(out))
        (reply,) = parser.parse()
        return reply

    return show


@pytest.fixture
def entries(run: Run) -> None:
    """A stream `s` of 1-0 to 5-0 with a group `g` that has read nothing."""
    for number in range(1, 6):
        run(f"XADD s {number} f {number}")
    run("XGROUP CREATE s g 0")


def entry(number: int) -> object:
    return [b"%d-0" % number, [b"f", b"%d" % number]]


def group_info(run: Run, name: bytes = b"g") -> dict[bytes, Reply]:
    reply = run("XINFO GROUPS s")
    assert isinstance(reply, list)
    (info,) = [info for info in reply if isinstance(info, dict) and info[b"name"] == name]
    return info


def read_and_lag(run: Run, name: bytes = b"g") -> tuple[Reply, Reply]:
    info = group_info(run, name)
    return info[b"entries-read"], info[b"lag"]


def pending(run: Run) -> list[tuple[Reply, ...]]:
    """Id, consumer, idle ms and number of deliveries of each pending entry."""
    reply = run("XPENDING s g - + 100")
    assert isinstance(reply, list)
    return [tuple(item) for item in reply if isinstance(item, list)]


# -- XGROUP


def test_create_needs_a_stream_unless_it_makes_one(run: Run) -> None:
    assert error(run("XGROUP CREATE s g $")) == NO_KEY
    assert run("XGROUP CREATE s g $ mkstream") is OK
    assert run("XLEN s") == 0
    assert error(run("XGROUP CREATE s g $ MKSTREAM")) == (
        "BUSYGROUP Consumer Group name already exists"
    )


def test_create_sets_where_the_group_begins(run: Run) -> None:
    run("XADD s 5-1 f v")
    run("XGROUP CREATE s all 0")
    run("XGROUP CREATE s new $ ENTRIESREAD 7")
    run("XGROUP CREATE s late 9")
    assert group_info(run, b"all")[b"last-delivered-id"] == b"0-0"
    assert group_info(run, b"new")[b"last-delivered-id"] == b"5-1"
    assert group_info(run, b"new")[b"entries-read"] == 7
    assert group_info(run, b"late")[b"last-delivered-id"] == b"9-0"
    assert group_info(run, b"late")[b"entries-read"] is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("XGROUP CREATE s g -", INVALID_ID),
        ("XGROUP CREATE s g +", INVALID_ID),
        ("XGROUP CREATE s g x MKSTREAM", INVALID_ID),
        ("XGROUP CREATE s g 0 ENTRIESREAD -2", "ERR value for ENTRIESREAD must be positive or -1"),
        ("XGROUP CREATE s g 0 ENTRIESREAD x", NOT_AN_INTEGER),
        ("XGROUP CREATE t g 0", WRONGTYPE),
        ("XGROUP CREATE t g 0 MKSTREAM", WRONGTYPE),
        ("XGROUP SETID s no 0", "NOGROUP No such consumer group 'no' for key name 's'"),
        ("XGROUP SETID none g 0", NO_KEY),
        ("XGROUP SETID s old x", INVALID_ID),
        ("XGROUP DESTROY none g", NO_KEY),
        ("XGROUP DESTROY t g", WRONGTYPE),
        ("XGROUP CREATECONSUMER s no c", "NOGROUP No such consumer group 'no' for key name 's'"),
        ("XGROUP DELCONSUMER s no c", "NOGROUP No such consumer group 'no' for key name 's'"),
        ("XINFO GROUPS none", "ERR no such key"),
        ("XINFO GROUPS t", WRONGTYPE),
        ("XINFO CONSUMERS s no", "NOGROUP No such consumer group 'no' for key name 's'"),
        ("XINFO CONSUMERS none g", "ERR no such key"),
    ],
)
def test_what_xgroup_and_xinfo_refuse(run: Run, line: str, message: str) -> None:
    run("XADD s 1 f v")
    run("XGROUP CREATE s old 0")
    run("SET t v")
    assert error(run(line)) == message


@pytest.mark.parametrize(
    "line",
    [
        "XGROUP CREATE s g 0 BAD",
        "XGROUP CREATE s g 0 ENTRIESREAD",
        "XGROUP CREATE s g 0 MKSTREAM MKSTREAM MKSTREAM MKSTREAM",
        "XGROUP SETID s g 0 MKSTREAM",
        "XGROUP SETID s g 0 ENTRIESREAD 1 ENTRIESREAD 1",
    ],
)
def test_options_that_xgroup_does_not_know(run: Run, line: str) -> None:
    run("XGROUP CREATE s g $ MKSTREAM")
    word = line.split()[1]
    assert error(run(line)) == (
        f"ERR unknown subcommand or wrong number of arguments for '{word}'. Try XGROUP HELP."
    )


def test_an_error_names_keys_up_to_a_nul(run: Run) -> None:
    assert error(run("XREADGROUP", "GROUP", "g\0x", "c", "STREAMS", "k\0x", ">")) == (
        "NOGROUP No such key 'k' or consumer group 'g' in XREADGROUP with GROUP option"
    )


@pytest.mark.usefixtures("entries")
def test_setid_takes_the_two_ends(run: Run) -> None:
    highest = 2**64 - 1
    for given, expected in [
        ("$", b"5-0"),
        ("-", b"0-0"),
        ("+", b"%d-%d" % (highest, highest)),
        ("3-1", b"3-1"),
    ]:
        assert run(f"XGROUP SETID s g {given} ENTRIESREAD 3") is OK
        assert group_info(run)[b"last-delivered-id"] == expected
        assert group_info(run)[b"entries-read"] == 3
    run("XGROUP SETID s g 0")
    assert group_info(run)[b"entries-read"] is None


def test_consumers_come_and_go(run: Run) -> None:
    run("XGROUP CREATE s g $ MKSTREAM")
    assert run("XGROUP CREATECONSUMER s g c") == 1
    assert run("XGROUP CREATECONSUMER s g c") == 0
    run("XADD s 1 f v")
    run("XADD s 2 f v")
    run("XREADGROUP GROUP g c STREAMS s >")
    assert run("XGROUP DELCONSUMER s g c") == 2
    assert run("XGROUP DELCONSUMER s g c") == 0
    assert pending(run) == []
    assert run("XGROUP DESTROY s g") == 1
    assert run("XGROUP DESTROY s g") == 0


def test_xinfo_is_in_order_of_names(run: Run, time: FakeTime) -> None:
    run("XGROUP CREATE s g $ MKSTREAM")
    run("XGROUP CREATE s B $")
    run("XADD s 1 f v")
    run("XREADGROUP GROUP g z STREAMS s >")
    time.advance(0.5)
    run("XGROUP CREATECONSUMER s g a")
    time.advance(0.25)
    assert run("XINFO CONSUMERS s g") == [
        {b"name": b"a", b"pending": 0, b"idle": 250, b"inactive": -1},
        {b"name": b"z", b"pending": 1, b"idle": 750, b"inactive": 750},
    ]
    groups = run("XINFO GROUPS s")
    assert isinstance(groups, list)
    assert [info[b"name"] for info in groups if isinstance(info, dict)] == [b"B", b"g"]


def test_a_read_without_entries_is_seen_but_not_active(run: Run, time: FakeTime) -> None:
    run("XGROUP CREATE s g $ MKSTREAM")
    run("XREADGROUP GROUP g c STREAMS s >")
    time.advance(1)
    run("XREADGROUP GROUP g c STREAMS s 0")
    time.advance(1)
    assert run("XINFO CONSUMERS s g") == [
        {b"name": b"c", b"pending": 0, b"idle": 1000, b"inactive": -1}
    ]


# -- XREADGROUP


@pytest.mark.usefixtures("entries")
def test_each_entry_goes_to_one_consumer(run: Run, show: Show) -> None:
    assert show("XREADGROUP GROUP g a COUNT 2 STREAMS s >") == [[b"s", [entry(1), entry(2)]]]
    assert show("XREADGROUP GROUP g b STREAMS s >") == [[b"s", [entry(3), entry(4), entry(5)]]]
    assert run("XREADGROUP GROUP g a STREAMS s >") is NULL_ARRAY
    assert show("XREADGROUP GROUP g a STREAMS s 0") == [[b"s", [entry(1), entry(2)]]]
    assert show("XREADGROUP GROUP g b COUNT 1 STREAMS s 3") == [[b"s", [entry(4)]]]
    assert show("XREADGROUP GROUP g b STREAMS s 5") == [[b"s", []]]


@pytest.mark.usefixtures("entries")
def test_several_streams_are_a_map(run: Run, show: Show) -> None:
    run("XGROUP CREATE other g $ MKSTREAM")
    run("XGROUP CREATE empty g $ MKSTREAM")
    run("XADD other 9 f 9")
    reply = run("XREADGROUP GROUP g c COUNT 1 STREAMS s empty other > > >")
    assert isinstance(reply, MapPairs)
    assert [name for name, _ in reply.pairs] == [b"s", b"other"]
    assert show("XREADGROUP GROUP g c STREAMS empty other 0 0") == [
        [b"empty", []],
        [b"other", [entry(9)]],
    ]


@pytest.mark.usefixtures("entries")
def test_a_stream_may_be_read_twice_in_one_go(show: Show) -> None:
    assert show("XREADGROUP GROUP g c COUNT 2 STREAMS s s > >") == [
        [b"s", [entry(1), entry(2)]],
        [b"s", [entry(3), entry(4)]],
    ]


@pytest.mark.usefixtures("entries")
def test_history_shows_deleted_entries_and_counts_the_others(
    run: Run, show: Show, time: FakeTime
) -> None:
    run("XREADGROUP GROUP g c COUNT 3 STREAMS s >")
    run("XDEL s 2")
    time.advance(1)
    assert show("XREADGROUP GROUP g c STREAMS s 0") == [
        [b"s", [entry(1), [b"2-0", NULL_ARRAY], entry(3)]]
    ]
    assert pending(run) == [
        (b"1-0", b"c", 0, 2),
        (b"2-0", b"c", 1000, 1),
        (b"3-0", b"c", 0, 2),
    ]


@pytest.mark.usefixtures("entries")
def test_noack_leaves_nothing_pending(run: Run, show: Show) -> None:
    assert show("XREADGROUP GROUP g c NOACK COUNT 1 STREAMS s >") == [[b"s", [entry(1)]]]
    assert pending(run) == []
    assert group_info(run)[b"last-delivered-id"] == b"1-0"
    assert run("XINFO CONSUMERS s g") == [
        {b"name": b"c", b"pending": 0, b"idle": 0, b"inactive": -1}
    ]


@pytest.mark.usefixtures("entries")
def test_what_is_read_again_after_setid_changes_hands(run: Run, time: FakeTime) -> None:
    run("XREADGROUP GROUP g a STREAMS s >")
    run("XREADGROUP GROUP g a STREAMS s 0")
    run("XGROUP SETID s g 3")
    time.advance(1)
    run("XREADGROUP GROUP g b STREAMS s >")
    assert pending(run) == [
        (b"1-0", b"a", 1000, 2),
        (b"2-0", b"a", 1000, 2),
        (b"3-0", b"a", 1000, 2),
        (b"4-0", b"b", 0, 1),
        (b"5-0", b"b", 0, 1),
    ]
    run("XGROUP SETID s g 4")
    run("XREADGROUP GROUP g b STREAMS s >")
    assert pending(run)[4] == (b"5-0", b"b", 0, 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("XREADGROUP GROUP g c STREAMS s x", INVALID_ID),
        ("XREADGROUP GROUP g c STREAMS s -", INVALID_ID),
        ("XREADGROUP GROUP g c STREAMS t >", WRONGTYPE),
        ("XREADGROUP COUNT 1 NOACK STREAMS s >", "ERR Missing GROUP option for XREADGROUP"),
        ("XREADGROUP GROUP g c COUNT x STREAMS s >", NOT_AN_INTEGER),
        ("XREADGROUP GROUP g c BAD STREAMS s >", SYNTAX),
        ("XREADGROUP GROUP g c COUNT 1 NOACK STREAMS", SYNTAX),
        (
            "XREADGROUP GROUP g c STREAMS s s >",
            (
                "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' "
                "must be specified."
            ),
        ),
        ("XREADGROUP GROUP no c STREAMS s >", f"{NOGROUP} in XREADGROUP with GROUP option"),
        ("XREADGROUP GROUP g c BLOCK -1 STREAMS s >", "ERR timeout is negative"),
    ],
)
@pytest.mark.usefixtures("entries")
def test_what_xreadgroup_refuses(run: Run, line: str, message: str) -> None:
    run("SET t v")
    assert error(run(line)) == message
    assert group_info(run)[b"consumers"] == 0


@pytest.mark.parametrize("symbol", ["$", "+"])
@pytest.mark.usefixtures("entries")
def test_ids_without_a_meaning(run: Run, symbol: str) -> None:
    assert error(run(f"XREADGROUP GROUP g c STREAMS s {symbol}")) == (
        f"ERR The {symbol} ID is meaningless in the context of XREADGROUP: you want to read the "
        "history of this consumer by specifying a proper ID, or use the > ID to get new messages. "
        f"The {symbol} ID would just return an empty result set."
    )


@pytest.mark.usefixtures("entries")
def test_a_key_without_group_among_several_delivers_nothing(run: Run) -> None:
    run("XADD bare 1 f v")
    assert error(run("XREADGROUP GROUP g c STREAMS s bare > >")).startswith("NOGROUP")
    assert read_and_lag(run) == (None, 5)


def test_redis_looks_each_key_up_twice(run: Run, state: ServerState) -> None:
    run("XGROUP CREATE s g $ MKSTREAM")
    run("XREADGROUP GROUP g c STREAMS s s > >")
    assert state.stats.keyspace_hits == 4
    run("XREADGROUP GROUP g c STREAMS none >")
    assert state.stats.keyspace_misses == 1


# -- entries-read and lag


def test_a_group_of_a_new_stream_lags_behind_nothing(run: Run) -> None:
    run("XGROUP CREATE s g 0 MKSTREAM")
    assert read_and_lag(run) == (None, 0)
    run("XADD s 1 f v")
    assert read_and_lag(run) == (None, 1)
    run("XDEL s 1")
    assert read_and_lag(run) == (None, 0)


@pytest.mark.usefixtures("entries")
def test_a_group_counts_what_it_has_read(run: Run) -> None:
    assert read_and_lag(run) == (None, 5)
    run("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    assert read_and_lag(run) == (1, 4)
    run("XREADGROUP GROUP g c STREAMS s >")
    run("XADD s 6 f v")
    assert read_and_lag(run) == (5, 1)


@pytest.mark.usefixtures("entries")
def test_the_count_is_unknown_in_front_of_a_gap(run: Run) -> None:
    run("XDEL s 3")
    assert read_and_lag(run) == (None, None)
    for _ in range(3):
        run("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
        assert read_and_lag(run) == (None, None)
    run("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    assert read_and_lag(run) == (5, 0)


@pytest.mark.usefixtures("entries")
def test_the_count_is_known_at_the_ends_of_a_trimmed_stream(run: Run) -> None:
    run("XTRIM s MINID 3")
    for position, lag in [("0", 3), ("2-9", 3), ("3", 2), ("4", None), ("5", 0), ("6", None)]:
        run(f"XGROUP SETID s g {position}")
        assert read_and_lag(run) == (None, lag)


@pytest.mark.usefixtures("entries")
def test_a_gap_behind_the_group_does_not_matter(run: Run) -> None:
    run("XREADGROUP GROUP g c COUNT 3 STREAMS s >")
    run("XDEL s 2")
    assert read_and_lag(run) == (3, 2)
    run("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    assert read_and_lag(run) == (4, 1)


# -- XACK


@pytest.mark.usefixtures("entries")
def test_xack_counts_what_was_pending(run: Run, state: ServerState) -> None:
    run("XREADGROUP GROUP g c STREAMS s >")
    dirty = state.dirty
    assert run("XACK s g 1 1 3-0 9") == 2
    assert state.dirty == dirty + 2
    assert [item[0] for item in pending(run)] == [b"2-0", b"4-0", b"5-0"]
    assert run("XACK s no 2") == 0
    assert run("XACK none g x") == 0


@pytest.mark.usefixtures("entries")
def test_xack_acknowledges_all_or_nothing(run: Run) -> None:
    run("XREADGROUP GROUP g c STREAMS s >")
    assert error(run("XACK s g 1 x")) == INVALID_ID
    assert len(pending(run)) == 5
    run("SET t v")
    assert error(run("XACK t g 1")) == WRONGTYPE


# -- XPENDING


@pytest.mark.usefixtures("entries")
def test_xpending_sums_up(run: Run) -> None:
    assert run("XPENDING s g") == [0, None, None, NULL_ARRAY]
    run("XREADGROUP GROUP g z COUNT 1 STREAMS s >")
    run("XREADGROUP GROUP g a COUNT 3 STREAMS s >")
    run("XGROUP CREATECONSUMER s g idle")
    assert run("XPENDING s g") == [4, b"1-0", b"4-0", [[b"a", b"3"], [b"z", b"1"]]]


@pytest.mark.usefixtures("entries")
def test_xpending_lists_a_range(run: Run, time: FakeTime) -> None:
    run("XREADGROUP GROUP g a COUNT 2 STREAMS s >")
    time.advance(1)
    run("XREADGROUP GROUP g b COUNT 2 STREAMS s >")
    one, two = [b"1-0", b"a", 1000, 1], [b"2-0", b"a", 1000, 1]
    three, four = [b"3-0", b"b", 0, 1], [b"4-0", b"b", 0, 1]
    assert run("XPENDING s g - + 10") == [one, two, three, four]
    assert run("XPENDING s g - + 3") == [one, two, three]
    assert run("XPENDING s g (1 (4-0 10") == [two, three]
    assert run("XPENDING s g 2 3 10") == [two, three]
    assert run("XPENDING s g - + 10 b") == [three, four]
    assert run("XPENDING s g - + 10 nobody") == []
    assert run("XPENDING s g IDLE 500 - + 10") == [one, two]
    assert run("XPENDING s g idle 1 - + 10 b") == []
    assert run("XPENDING s g - + 0") == run("XPENDING s g - + -1") == []
    assert run("XPENDING s g - + 10 b left out") == [three, four]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("s g -", SYNTAX),
        ("s g - +", SYNTAX),
        ("s g IDLE 1 - +", SYNTAX),
        ("s g IDLE x - + 10", NOT_AN_INTEGER),
        ("s g - + x", NOT_AN_INTEGER),
        ("s g x + 10", INVALID_ID),
        ("s g (- + 10", INVALID_ID),
        (
            "s g (18446744073709551615-18446744073709551615 + 10",
            "ERR invalid start ID for the interval",
        ),
        ("s g - (0-0 10", "ERR invalid end ID for the interval"),
        ("s no", NOGROUP),
        ("t g", WRONGTYPE),
    ],
)
def test_what_xpending_refuses(run: Run, words: str, message: str) -> None:
    run("XGROUP CREATE s g $ MKSTREAM")
    run("SET t v")
    assert error(run(f"XPENDING {words}")) == message


# -- XCLAIM


@pytest.fixture
def delivered(run: Run, entries: None, time: FakeTime) -> None:
    """The entries of `s`, all pending for `a` since a second ago."""
    run("XREADGROUP GROUP g a STREAMS s >")
    time.advance(1)


@pytest.mark.usefixtures("delivered")
def test_xclaim_takes_what_is_idle_for_long_enough(run: Run, show: Show, time: FakeTime) -> None:
    assert show("XCLAIM s g b 2000 1 2") == []
    assert show("XCLAIM s g b 1000 1 2 9") == [entry(1), entry(2)]
    assert pending(run)[:2] == [(b"1-0", b"b", 0, 2), (b"2-0", b"b", 0, 2)]
    time.advance(0.5)
    assert show("XCLAIM s g a 1000 1 3") == [entry(3)]
    assert show("XCLAIM s g c -5 1 JUSTID") == [b"1-0"]
    assert pending(run)[0] == (b"1-0", b"c", 0, 2)


@pytest.mark.usefixtures("delivered")
@pytest.mark.parametrize(
    ("options", "idle_ms", "count"),
    [
        ("IDLE 300", 300, 2),
        ("IDLE -300", 0, 2),
        ("TIME -1", 0, 2),
        ("TIME 99999999999999", 0, 2),
        ("RETRYCOUNT 7", 0, 7),
        ("RETRYCOUNT -1", 0, 2),
        ("RETRYCOUNT 0 JUSTID", 0, 0),
        (f"RETRYCOUNT {MAX}", 0, MAX),
        ("JUSTID", 0, 1),
    ],
)
def test_what_xclaim_sets(run: Run, options: str, idle_ms: int, count: int) -> None:
    run(f"XCLAIM s g b 0 1 {options}")
    assert pending(run)[0] == (b"1-0", b"b", idle_ms, count)


@pytest.mark.usefixtures("delivered")
def test_the_number_of_deliveries_wraps_around_as_it_is_shown(run: Run) -> None:
    run(f"XCLAIM s g b 0 1 RETRYCOUNT {MAX}")
    run("XCLAIM s g b 0 1")
    assert pending(run)[0][3] == -MAX - 1


@pytest.mark.usefixtures("delivered")
def test_xclaim_force_makes_entries_pending(run: Run) -> None:
    run("XACK s g 1 2")
    assert run("XCLAIM s g b 5000 1 JUSTID") == []
    assert run("XCLAIM s g b 5000 1 9 FORCE JUSTID") == [b"1-0"]
    run("XCLAIM s g b 5000 2 FORCE")
    assert pending(run)[:2] == [(b"1-0", b"b", 0, 1), (b"2-0", b"b", 0, 2)]


@pytest.mark.usefixtures("delivered")
def test_xclaim_forgets_entries_that_were_deleted(run: Run, state: ServerState) -> None:
    run("XDEL s 1 2")
    run("XGROUP CREATECONSUMER s g b")
    dirty = state.dirty
    assert run("XCLAIM s g b 9999 1 FORCE JUSTID") == []
    assert state.dirty == dirty + 1
    assert [item[0] for item in pending(run)] == [b"2-0", b"3-0", b"4-0", b"5-0"]


@pytest.mark.usefixtures("delivered")
def test_xclaim_lastid_only_goes_forward(run: Run) -> None:
    run("XCLAIM s g b 0 9 LASTID 3")
    assert group_info(run)[b"last-delivered-id"] == b"5-0"
    run("XCLAIM s g b 0 9 LASTID 7-1")
    assert group_info(run)[b"last-delivered-id"] == b"7-1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("s g b x 1", "ERR Invalid min-idle-time argument for XCLAIM"),
        ("s g b 0 1 IDLE x", "ERR Invalid IDLE option argument for XCLAIM"),
        ("s g b 0 1 TIME x", "ERR Invalid TIME option argument for XCLAIM"),
        ("s g b 0 1 RETRYCOUNT x", "ERR Invalid RETRYCOUNT option argument for XCLAIM"),
        ("s g b 0 1 LASTID x", INVALID_ID),
        ("s g b 0 1 idle", "ERR Unrecognized XCLAIM option 'idle'"),
        ("s g b 0 1 Bad 2", "ERR Unrecognized XCLAIM option 'Bad'"),
        ("s g b 0 1 FORCE 2", "ERR Unrecognized XCLAIM option '2'"),
        ("s no b x 1", NOGROUP),
        ("t g b 0 1", WRONGTYPE),
    ],
)
@pytest.mark.usefixtures("delivered")
def test_what_xclaim_refuses(run: Run, words: str, message: str) -> None:
    run("SET t v")
    assert error(run(f"XCLAIM {words}")) == message
    assert group_info(run)[b"consumers"] == 1


# -- XAUTOCLAIM


@pytest.mark.usefixtures("delivered")
def test_xautoclaim_goes_through_what_is_pending(run: Run, show: Show) -> None:
    assert show("XAUTOCLAIM s g b 1000 - COUNT 2") == [b"3-0", [entry(1), entry(2)], []]
    assert show("XAUTOCLAIM s g b 1000 (3 COUNT 9 JUSTID") == [b"0-0", [b"4-0", b"5-0"], []]
    assert pending(run) == [
        (b"1-0", b"b", 0, 2),
        (b"2-0", b"b", 0, 2),
        (b"3-0", b"a", 1000, 1),
        (b"4-0", b"b", 0, 1),
        (b"5-0", b"b", 0, 1),
    ]
    assert show("XAUTOCLAIM s g b 1000 0") == [b"0-0", [entry(3)], []]


@pytest.mark.usefixtures("delivered")
def test_xautoclaim_tells_which_entries_were_deleted(run: Run, show: Show) -> None:
    run("XDEL s 1 3")
    assert show("XAUTOCLAIM s g b 0 0 COUNT 2") == [b"3-0", [entry(2)], [b"1-0"]]
    assert show("XAUTOCLAIM s g b 0 3 JUSTID") == [b"0-0", [b"4-0", b"5-0"], [b"3-0"]]
    assert run("XPENDING s g") == [3, b"2-0", b"5-0", [[b"b", b"3"]]]


def test_xautoclaim_looks_at_ten_entries_for_each_it_wants(run: Run, time: FakeTime) -> None:
    run("XGROUP CREATE s g $ MKSTREAM")
    for number in range(1, 26):
        run(f"XADD s {number} f v")
    run("XREADGROUP GROUP g a STREAMS s >")
    assert run("XAUTOCLAIM s g b 1 - COUNT 2") == [b"21-0", [], []]
    assert run("XAUTOCLAIM s g b 1 21 COUNT 2") == [b"0-0", [], []]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("s g b x 0", "ERR Invalid min-idle-time argument for XAUTOCLAIM"),
        ("s g b 0 x", INVALID_ID),
        ("s g b 0 0 COUNT 0", "ERR COUNT must be > 0"),
        ("s g b 0 0 COUNT x", "ERR COUNT must be > 0"),
        ("s g b 0 0 COUNT 576460752303423488", "ERR COUNT must be > 0"),
        (
            "s g b 0 0 COUNT 576460752303423487",
            "ERR Insufficient memory, failed allocating transient memory, COUNT too high.",
        ),
        ("s g b 0 0 COUNT", SYNTAX),
        ("s g b 0 0 BAD", SYNTAX),
        ("s no b 0 0", NOGROUP),
        ("t g b 0 0 BAD", SYNTAX),
        ("t g b 0 0", WRONGTYPE),
    ],
)
@pytest.mark.usefixtures("delivered")
def test_what_xautoclaim_refuses(run: Run, words: str, message: str) -> None:
    run("SET t v")
    assert error(run(f"XAUTOCLAIM {words}")) == message
    assert group_info(run)[b"consumers"] == 1


# -- COPY, XINFO STREAM FULL


@pytest.mark.usefixtures("delivered")
def test_a_copy_has_groups_of_its_own(run: Run, show: Show) -> None:
    run("COPY s twin")
    before = show("XINFO STREAM twin FULL")
    assert before == show("XINFO STREAM s FULL")
    run("XACK s g 1")
    run("XCLAIM s g b 0 2")
    run("XGROUP DESTROY s g")
    assert show("XINFO STREAM twin FULL") == before


@pytest.mark.usefixtures("delivered")
def test_full_shows_the_first_pending_entries(run: Run, client: Client) -> None:
    run("XCLAIM s g b 0 2 JUSTID")
    then_ms = client.server.clock.now_ms - 1000
    now_ms = client.server.clock.now_ms
    reply = run("XINFO STREAM s FULL COUNT 2")
    assert isinstance(reply, dict)
    assert reply[b"groups"] == [
        {
            b"name": b"g",
            b"last-delivered-id": b"5-0",
            b"entries-read": 5,
            b"lag": 0,
            b"pel-count": 5,
            b"pending": [[b"1-0", b"a", then_ms, 1], [b"2-0", b"b", now_ms, 1]],
            b"consumers": [
                {
                    b"name": b"a",
                    b"seen-time": then_ms,
                    b"active-time": then_ms,
                    b"pel-count": 4,
                    b"pending": [[b"1-0", then_ms, 1], [b"3-0", then_ms, 1]],
                },
                {
                    b"name": b"b",
                    b"seen-time": now_ms,
                    b"active-time": now_ms,
                    b"pel-count": 1,
                    b"pending": [[b"2-0", now_ms, 1]],
                },
            ],
        }
    ]


# -- what is fed, which events fire


def test_events_of_groups(run: Run, fired: list[tuple[str, bytes, int]]) -> None:
    run("XGROUP CREATE s g $ MKSTREAM")
    run("XGROUP CREATE s other $")
    run("XGROUP SETID s g 0")
    run("XGROUP CREATECONSUMER s g c")
    run("XGROUP CREATECONSUMER s g c")
    run("XADD s 1 f v")
    run("XREADGROUP GROUP g c STREAMS s >")
    run("XREADGROUP GROUP g d STREAMS s 0")
    run("XCLAIM s g e 0 1")
    run("XAUTOCLAIM s g f 0 1")
    run("XACK s g 1")
    run("XGROUP DELCONSUMER s g c")
    run("XGROUP DELCONSUMER s g c")
    run("XGROUP DESTROY s g")
    assert [event for event, _, _ in fired] == [
        "new",
        "xgroup-create",
        "xgroup-create",
        "xgroup-setid",
        "xgroup-createconsumer",
        "xadd",
        "xgroup-createconsumer",
        "xgroup-createconsumer",
        "xgroup-createconsumer",
        "xgroup-delconsumer",
        "xgroup-destroy",
    ]


def test_groups_are_no_change_to_who_watches_the_stream(run: Run) -> None:
    run("XADD s 1 f v")
    run("WATCH s")
    run("XGROUP CREATE s g 0")
    run("XREADGROUP GROUP g c STREAMS s >")
    run("XCLAIM s g d 0 1")
    run("XACK s g 1")
    run("XGROUP DESTROY s g")
    run("MULTI")
    run("PING")
    assert run("EXEC") is not NULL_ARRAY


def test_a_stream_made_for_a_group_is_a_change_to_who_watches_it(run: Run) -> None:
    run("WATCH s")
    run("XGROUP CREATE s g 0 MKSTREAM")
    run("MULTI")
    run("PING")
    assert run("EXEC") is NULL_ARRAY


@pytest.mark.usefixtures("entries")
def test_xreadgroup_is_fed_as_what_became_of_each_entry(
    run: Run, heard: Heard, client: Client
) -> None:
    run("XREADGROUP GROUP g c COUNT 2 STREAMS s >")
    now_ms = client.server.clock.now_ms
    claim = b"XCLAIM s g c 0 %d-0 TIME %d RETRYCOUNT 1 FORCE JUSTID LASTID %d-0"
    assert heard() == [
        b"MULTI",
        b"SELECT 0",
        claim % (1, now_ms, 1),
        claim % (2, now_ms, 2),
        b"XGROUP SETID s g 2-0 ENTRIESREAD 2",
        b"EXEC",
    ]
    run("XREADGROUP GROUP g c STREAMS s 0")
    run("XREADGROUP GROUP g new STREAMS s 0")
    assert heard() == []


@pytest.mark.usefixtures("entries")
def test_noack_is_fed_as_the_consumer_and_how_far_the_group_is(run: Run, heard: Heard) -> None:
    run("XREADGROUP GROUP g c NOACK COUNT 2 STREAMS s >")
    run("XREADGROUP GROUP g c NOACK COUNT 1 STREAMS s >")
    assert heard() == [
        b"MULTI",
        b"SELECT 0",
        b"XGROUP CREATECONSUMER s g c",
        b"XGROUP SETID s g 2-0 ENTRIESREAD 2",
        b"EXEC",
        b"XGROUP SETID s g 3-0 ENTRIESREAD 3",
    ]


def test_a_consumer_that_blocks_is_fed_if_only_that_tells_of_it(run: Run, heard: Heard) -> None:
    run("XGROUP CREATE s g $ MKSTREAM")
    run("SET k v")
    heard()
    assert run("XREADGROUP GROUP g c NOACK BLOCK 0 STREAMS s >") is NO_REPLY
    assert heard() == [b"XGROUP CREATECONSUMER s g c"]


def test_a_consumer_that_blocks_is_not_fed_otherwise(run: Run, heard: Heard) -> None:
    run("XGROUP CREATE s g $ MKSTREAM")
    heard()
    assert run("XREADGROUP GROUP g c BLOCK 0 STREAMS s >") is NO_REPLY
    assert heard() == []


def test_in_a_transaction_xreadgroup_does_not_block(run: Run, heard: Heard) -> None:
    run("XGROUP CREATE s g $ MKSTREAM")
    heard()
    run("MULTI")
    run("XREADGROUP GROUP g c BLOCK 0 STREAMS s >")
    run("SET k v")
    assert run("EXEC") == [NULL_ARRAY, OK]
    assert b"XREADGROUP GROUP g c BLOCK 0 STREAMS s >" not in heard()


@pytest.mark.usefixtures("delivered")
def test_xclaim_is_fed_with_everything_it_set(run: Run, heard: Heard, client: Client) -> None:
    run("XDEL s 3")
    heard()
    run("XCLAIM s g b 0 1 3 RETRYCOUNT 9 IDLE 400")
    now_ms = client.server.clock.now_ms
    assert heard() == [
        b"MULTI",
        b"XCLAIM s g b 0 1 TIME %d RETRYCOUNT 9 FORCE JUSTID LASTID 5-0" % (now_ms - 400),
        b"XCLAIM s g a 0 3 TIME %d RETRYCOUNT 1 FORCE JUSTID LASTID 5-0" % (now_ms - 1000),
        b"EXEC",
    ]
    run("XCLAIM s g b 9999 1")
    assert heard() == []
    run("XCLAIM s g b 9999 1 LASTID 6")
    assert heard() == [b"XGROUP SETID s g 6-0 ENTRIESREAD 5"]


@pytest.mark.usefixtures("delivered")
def test_xautoclaim_is_fed_as_xclaim(run: Run, heard: Heard, client: Client) -> None:
    run("XDEL s 1")
    heard()
    run("XAUTOCLAIM s g b 0 0 COUNT 2 JUSTID")
    now_ms = client.server.clock.now_ms
    assert heard() == [
        b"MULTI",
        b"XCLAIM s g a 0 1-0 TIME %d RETRYCOUNT 1 FORCE JUSTID LASTID 5-0" % (now_ms - 1000),
        b"XCLAIM s g b 0 2-0 TIME %d RETRYCOUNT 1 FORCE JUSTID LASTID 5-0" % now_ms,
        b"EXEC",
    ]


@pytest.mark.usefixtures("delivered")
def test_what_is_fed_does_the_same_elsewhere(run: Run, heard: Heard, show: Show) -> None:
    """The commands that were fed, run on a copy of the stream, lead to the same groups."""
    run("COPY s twin")
    heard()
    run("XDEL s 4")
    run("XCLAIM s g b 0 1 4 RETRYCOUNT 3 IDLE 100")
    run("XADD s 6 f 6")
    run("XREADGROUP GROUP g c STREAMS s >")
    run("XACK s g 2")
    run("XAUTOCLAIM s g d 0 3")
    run("XGROUP CREATECONSUMER s g e")
    for line in heard():
        name, *words = line.decode().split(" ")
        if name not in ("SELECT", "MULTI", "EXEC"):
            run(name, *["twin" if word == "s" else word for word in words])
    for info in ("XPENDING {} g - + 100", "XINFO GROUPS {}", "XPENDING {} g"):
        assert show(info.format("twin")) == show(info.format("s"))


def test_a_big_group_is_freed_little_by_little(run: Run, state: ServerState) -> None:
    run("XGROUP CREATE s g $ MKSTREAM")
    for number in range(1, 301):
        run(f"XADD s {number} f v")
    run("XREADGROUP GROUP g c STREAMS s >")
    run("XGROUP DESTROY s g")
    assert state.lazyfree.busy
    while state.lazyfree.step(1_000_000):
        pass
    assert not state.lazyfree.busy


@pytest.mark.usefixtures("entries")
def test_pending_entries_and_consumers_take_memory(client: Client, run: Run) -> None:
    def size(samples: int) -> int:
        stream = client.db.lookup_read(b"s")
        assert isinstance(stream, Stream)
        return stream.groups[b"g"].memory_bytes(samples)

    empty = size(0)
    for number in range(6, 1006):
        run(f"XADD s {number} f v")
    run("XREADGROUP GROUP g c STREAMS s >")
    assert 40_000 < size(0) - empty < 200_000
    before = size(0)
    for number in range(100):
        run(f"XGROUP CREATECONSUMER s g c{number}")
    assert size(0) - before > 10_000
    assert abs(size(0) - size(10)) < size(0) // 100
