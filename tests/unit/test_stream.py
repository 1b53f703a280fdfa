"""Streams by value: replies, errors, what is fed and which events fire. Groups have their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.blocking import Block
from redis_trio.client import Client
from redis_trio.data.stream import Stream
from redis_trio.data.stream_id import SEQ_MAX, parse_id, parse_id_time
from redis_trio.data.thresholds import Thresholds
from redis_trio.protocol.plain import PlainReply, plain_reply
from redis_trio.protocol.reply import (
    NO_REPLY,
    NULL_ARRAY,
    OK,
    MapPairs,
    RedisError,
    Reply,
    encode_resp2,
    encode_resp3,
)
from tests.unit.conftest import FakeTime, Run

Heard = Callable[[], list[bytes]]
Fired = list[tuple[str, bytes, int]]

INVALID_ID = "ERR Invalid stream ID specified as stream command argument"
SYNTAX = "ERR syntax error"
GROUPS_ONLY = (
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
    "<consumer> option."
)
TOO_SMALL = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
TOP = f"{SEQ_MAX}-{SEQ_MAX}"


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def fill(run: Run, count: int, key: str = "k") -> None:
    """Add entries 1-0, 2-0 ..."""
    for i in range(1, count + 1):
        run(f"XADD {key} {i}-0 f {i}")


def ids(reply: Reply) -> list[PlainReply]:
    """The ids of a range."""
    entries = plain_reply(reply)
    assert isinstance(entries, list)
    return [entry[0] for entry in entries if isinstance(entry, list)]


def info(run: Run, *words: str) -> dict[bytes, PlainReply]:
    shown = plain_reply(run("XINFO", "STREAM", "k", *words))
    assert isinstance(shown, dict)
    return shown


# -- ids


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"5", (5, 7)),
        (b"5-3", (5, 3)),
        (b"0-0", (0, 0)),
        (b"18446744073709551615-18446744073709551615", (SEQ_MAX, SEQ_MAX)),
        (b"007-08", (7, 8)),
        (b" 5- +3", (5, 3)),
        (b"5- -3", (5, 2**64 - 3)),
        (b"5--3", None),
        (b"5-3\0x", (5, 3)),
        (b"5-18446744073709551616", None),
        (b"0" * 126 + b"5", (5, 7)),
        (b"0" * 127 + b"5", None),
        (b"", None),
        (b"-", None),
        (b"+", None),
        (b"5-", None),
        (b"-5", None),
        (b"5-*", None),
        (b"5-3-1", None),
    ],
)
def test_an_id_is_read_as_redis_reads_it(text: bytes, expected: object) -> None:
    assert parse_id(text, 7) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"5-*", 5), (b"005-*", 5), (b"5-*\0", 5), (b"5-**", None), (b"-*", None), (b"5", None)],
)
def test_an_id_may_be_a_time_alone(text: bytes, expected: object) -> None:
    assert parse_id_time(text) == expected


# -- XADD


def test_xadd_takes_the_time_for_its_id(run: Run, client: Client, time: FakeTime) -> None:
    now_ms = client.server.clock.now_ms
    assert run("XADD k * f v") == b"%d-0" % now_ms
    assert run("XADD k * f v") == b"%d-1" % now_ms
    time.advance(1)
    assert run("XADD k * f v") == b"%d-0" % (now_ms + 1000)


def test_xadd_goes_on_from_an_id_in_the_future(run: Run) -> None:
    run("XADD k 9000000000000000000-5 f v")
    assert run("XADD k * f v") == b"9000000000000000000-6"
    run(f"XADD k 9000000000000000000-{SEQ_MAX} f v")
    assert run("XADD k * f v") == b"9000000000000000001-0"


def test_xadd_makes_up_the_sequence_number(run: Run) -> None:
    assert run("XADD k 0-* f v") == b"0-1"
    assert run("XADD k 5-* f v") == b"5-0"
    assert run("XADD k 5-* f v") == b"5-1"
    assert error(run("XADD k 4-* f v")) == TOO_SMALL
    run(f"XADD k 5-{SEQ_MAX} f v")
    assert error(run("XADD k 5-* f v")) == TOO_SMALL


def test_xadd_refuses_ids_that_are_not_above_the_last(run: Run) -> None:
    run("XADD k 5-5 f v")
    for entry_id in ("5-5", "5-4", "4-9", "5", "0-1"):
        assert error(run(f"XADD k {entry_id} f v")) == TOO_SMALL
    run("XDEL k 5-5")
    assert error(run("XADD k 5-5 f v")) == TOO_SMALL
    too_low = "ERR The ID specified in XADD must be greater than 0-0"
    assert error(run("XADD new 0-0 f v")) == too_low
    assert run("EXISTS new") == 0


def test_xadd_stops_at_the_last_possible_id(run: Run) -> None:
    run(f"XADD k {TOP} f v")
    exhausted = "ERR The stream has exhausted the last possible ID, unable to add more items"
    assert error(run("XADD k * f v")) == exhausted
    assert error(run("XADD k 5-5 f v")) == exhausted


@pytest.mark.parametrize("line", ["XADD k * f", "XADD k * f v g", "XADD k MAXLEN 5 *", "XADD k"])
def test_xadd_wants_a_value_for_each_field(run: Run, line: str) -> None:
    assert error(run(line)) == "ERR wrong number of arguments for 'xadd' command"


def test_xadd_nomkstream_adds_only_to_a_stream(run: Run, fired: Fired) -> None:
    assert run("XADD k NOMKSTREAM * f v") is None
    assert (run("EXISTS k"), [event for event in fired if event[0] != "keymiss"]) == (0, [])
    run("XADD k 1 f v")
    assert run("XADD k NOMKSTREAM 2 f v") == b"2-0"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("MAXLEN -1", "ERR The MAXLEN argument must be >= 0."),
        ("MAXLEN x", "ERR value is not an integer or out of range"),
        ("MINID x", INVALID_ID),
        ("MAXLEN", INVALID_ID),
        ("LIMIT -1", "ERR The LIMIT argument must be >= 0."),
        (
            "LIMIT 5",
            "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
        ),
        (
            "MAXLEN 5 LIMIT 5",
            "ERR syntax error, LIMIT cannot be used without the special ~ option",
        ),
        ("LIMIT 0", "ERR syntax error, LIMIT cannot be used without the special ~ option"),
        (
            "MAXLEN 5 MINID 5",
            "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
        ),
        ("bad", INVALID_ID),
    ],
)
def test_xadd_refuses_options(run: Run, options: str, message: str) -> None:
    assert error(run(f"XADD k {options} 5 f v")) == message
    assert run("EXISTS k") == 0


def test_xadd_trims(run: Run) -> None:
    fill(run, 9)
    run("XADD k MAXLEN 4 10 f v")
    assert ids(run("XRANGE k - +")) == [b"7-0", b"8-0", b"9-0", b"10-0"]
    run("XADD k MINID = 10 11 f v")
    assert ids(run("XRANGE k - +")) == [b"10-0", b"11-0"]
    assert run("XADD k MAXLEN 0 12 f v") == b"12-0"
    assert run("XLEN k") == 0


def test_xadd_fires_and_counts_once(run: Run, client: Client, fired: Fired) -> None:
    dirty = client.server.dirty
    run("XADD k 1 f v")
    assert fired == [("new", b"k", 0), ("xadd", b"k", 0)]
    fired.clear()
    run("XADD k MAXLEN 1 2 f v")
    assert fired == [("xadd", b"k", 0), ("xtrim", b"k", 0)]
    assert client.server.dirty == dirty + 2
    fired.clear()
    run("XADD k 1 f v")
    assert (fired, client.server.dirty) == ([], dirty + 2)


def test_xadd_is_fed_with_its_id_and_exact_trimming(run: Run, client: Client, heard: Heard) -> None:
    now_ms = client.server.clock.now_ms
    client.server.thresholds.stream_entries = 2
    run("XADD k * f v")
    run("XADD k 9000000000000-* f v")
    run("XADD k 9000000000001-1 f v")
    run("XADD k MAXLEN ~ 1 LIMIT 9 9000000000001-* f v")
    run("XADD k MINID ~ 9000000000001 9000000000009 f v")
    run("XADD k MAXLEN = 2 9000000000010 f v")
    assert heard()[1:] == [
        b"XADD k %d-0 f v" % now_ms,
        b"XADD k 9000000000000-0 f v",
        b"XADD k 9000000000001-1 f v",
        b"XADD k MAXLEN = 2 LIMIT 9 9000000000001-2 f v",
        b"XADD k MINID = 9000000000001-1 9000000000009 f v",
        b"XADD k MAXLEN = 2 9000000000010 f v",
    ]


def test_xadd_to_a_key_of_another_type(run: Run) -> None:
    run("SET s v")
    assert error(run("XADD s * f v")).startswith("WRONGTYPE")
    assert error(run("XADD s x f v")) == INVALID_ID


# -- nodes


def sizes(client: Client) -> list[int]:
    """How many entries there are in each node."""
    stream = client.db.peek(b"k")
    assert isinstance(stream, Stream)
    return [node.count for node in stream.nodes]


def test_a_node_is_full_at_its_limit_of_entries(run: Run, client: Client) -> None:
    run("CONFIG SET stream-node-max-entries 3")
    fill(run, 5)
    run("XDEL k 4-0")
    fill(run, 0)
    run("XADD k 6 f v")
    run("XADD k 7 f v")
    assert sizes(client) == [3, 2, 1], "deleted entries count"


def test_a_node_is_full_at_its_limit_of_bytes(run: Run, client: Client) -> None:
    run("CONFIG SET stream-node-max-bytes 100")
    for size, i in zip((10, 10, 10, 90, 10, 10), range(1, 7), strict=True):
        run(f"XADD k {i} f {'x' * size}")
    assert sizes(client) == [3, 1, 2]
    run("CONFIG SET stream-node-max-bytes 0 stream-node-max-entries 0")
    for i in range(7, 200):
        run(f"XADD k {i} f {'x' * 100}")
    assert sizes(client) == [3, 1, 195]


def test_a_million_short_entries_take_little_more_than_their_text() -> None:
    stream = Stream()
    limits = Thresholds()
    for i in range(10_000):
        stream.append((i + 10**12, 0), b"%d-0" % (i + 10**12), [b"field", b"value"], 0, limits)
    assert stream.memory_bytes(0) / 10_000 < 90


def test_memory_usage_takes_samples() -> None:
    stream = Stream()
    for i in range(1, 1000):
        stream.append((i, 0), b"%d-0" % i, [b"field", b"value"], 0, Thresholds())
    exact = stream.memory_bytes(0)
    assert abs(stream.memory_bytes(5) - exact) < exact / 10


# -- XTRIM


def test_xtrim_returns_how_many_it_deleted(run: Run, client: Client, fired: Fired) -> None:
    fill(run, 10)
    fired.clear()
    dirty = client.server.dirty
    assert run("XTRIM k MAXLEN 7") == 3
    assert run("XTRIM k MINID 6") == 2
    assert run("XTRIM k MAXLEN 7") == 0
    assert client.server.dirty == dirty + 5
    assert fired == [("xtrim", b"k", 0)] * 2
    assert info(run)[b"recorded-first-entry-id"] == b"6-0"


def test_xtrim_about_frees_whole_nodes(run: Run, heard: Heard) -> None:
    run("CONFIG SET stream-node-max-entries 10")
    fill(run, 100)
    heard()
    assert run("XTRIM k MAXLEN ~ 85") == 10
    assert run("XTRIM k MAXLEN ~ 81") == 0
    assert run("XTRIM k MINID ~ 55 LIMIT 25") == 20
    assert run("XTRIM k MINID ~ 55 LIMIT 0") == 20
    assert run("XTRIM k MAXLEN ~ 0 LIMIT 9") == 0
    assert run("XLEN k") == 50
    assert heard() == [
        b"XTRIM k MAXLEN = 90",
        b"XTRIM k MINID = 31-0 LIMIT 25",
        b"XTRIM k MINID = 51-0 LIMIT 0",
    ]


def test_xtrim_about_frees_a_hundred_nodes_without_a_limit(run: Run) -> None:
    run("CONFIG SET stream-node-max-entries 1")
    fill(run, 102)
    assert run("XTRIM k MAXLEN ~ 1") == 100
    assert run("XTRIM k MAXLEN 0") == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("XTRIM k MAXLEN", SYNTAX),
        ("XTRIM k bad 5", SYNTAX),
        ("XTRIM k MAXLEN 5 bad", SYNTAX),
        ("XTRIM k LIMIT 0", "ERR syntax error, XTRIM must be called with a trimming strategy"),
        ("XTRIM k MAXLEN ~ 5 NOMKSTREAM", SYNTAX),
    ],
)
def test_xtrim_refuses_options(run: Run, line: str, message: str) -> None:
    if line == "XTRIM k MAXLEN":
        message = "ERR wrong number of arguments for 'xtrim' command"
    assert error(run(line)) == message


def test_a_node_whose_last_id_remains_stays_without_entries(run: Run, client: Client) -> None:
    fill(run, 3)
    run("XDEL k 3-0")
    assert run("XTRIM k MINID 3") == 2
    assert sizes(client) == [0]
    assert (run("XLEN k"), ids(run("XRANGE k - +")), ids(run("XREVRANGE k + -"))) == (0, [], [])
    run("XADD k 4 f v")
    assert (sizes(client), ids(run("XRANGE k - +"))) == ([1], [b"4-0"])


# -- XDEL, XLEN


def test_xdel_deletes_what_is_there(run: Run, client: Client, fired: Fired) -> None:
    fill(run, 5)
    fired.clear()
    dirty = client.server.dirty
    assert run("XDEL k 2-0 4 9-9 2-0") == 2
    assert (fired, client.server.dirty) == ([("xdel", b"k", 0)], dirty + 2)
    assert ids(run("XRANGE k - +")) == [b"1-0", b"3-0", b"5-0"]
    shown = info(run)
    assert shown[b"max-deleted-entry-id"] == b"4-0"
    assert shown[b"recorded-first-entry-id"] == b"1-0"
    assert run("XDEL k 1-0") == 1
    assert info(run)[b"recorded-first-entry-id"] == b"3-0"
    assert run("XDEL k 2-0") == 0
    assert run("XLEN k") == 2


def test_xdel_checks_every_id_first(run: Run) -> None:
    fill(run, 2)
    assert error(run("XDEL k 1-0 x")) == INVALID_ID
    assert run("XLEN k") == 2
    assert run("XDEL missing x") == 0


def test_a_stream_without_entries_stays(run: Run) -> None:
    fill(run, 1)
    run("XDEL k 1")
    assert (run("XLEN k"), run("EXISTS k"), run("XLEN missing")) == (0, 1, 0)
    assert info(run)[b"last-generated-id"] == b"1-0"


# -- XRANGE, XREVRANGE


def test_xrange_returns_ids_and_fields(run: Run) -> None:
    run("XADD k 1-1 a 1 b 2")
    run("XADD", "k", "1-2", b"\r\n", b"\0\xff")
    run("XADD", "k", "2", "", "x" * 300)
    assert plain_reply(run("XRANGE k - +")) == [
        [b"1-1", [b"a", b"1", b"b", b"2"]],
        [b"1-2", [b"\r\n", b"\0\xff"]],
        [b"2-0", [b"", b"x" * 300]],
    ]
    assert ids(run("XREVRANGE k + -")) == [b"2-0", b"1-2", b"1-1"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("3 5", [3, 4, 5]),
        ("(3 5", [4, 5]),
        ("3 (5-0", [3, 4]),
        ("3 (5", [3, 4, 5]),
        ("3-1 5-0", [4, 5]),
        ("- 2", [1, 2]),
        ("8 +", [8, 9]),
        ("5 3", []),
        ("- + COUNT 2", [1, 2]),
        ("3 + COUNT 1", [3]),
        ("3 + COUNT 1 count 2", [3, 4]),
    ],
)
def test_xrange_intervals(run: Run, words: str, expected: list[int]) -> None:
    run("CONFIG SET stream-node-max-entries 2")
    fill(run, 9)
    assert ids(run(f"XRANGE k {words}")) == [b"%d-0" % i for i in expected]
    first, last, *rest = words.split()
    found = ids(run("XREVRANGE", "k", last, first, *rest))
    if not rest:
        assert found == [b"%d-0" % i for i in reversed(expected)]


def test_xrange_without_a_count_or_a_key(run: Run) -> None:
    fill(run, 1)
    assert run("XRANGE k - + COUNT 0") is NULL_ARRAY
    assert run("XRANGE k - + COUNT -5") is NULL_ARRAY
    assert run("XRANGE missing - + COUNT 0") == []
    assert run("XREVRANGE missing + -") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("XRANGE k x +", INVALID_ID),
        ("XRANGE k - ( ", INVALID_ID),
        ("XRANGE k (- +", INVALID_ID),
        (f"XRANGE k ({TOP} +", "ERR invalid start ID for the interval"),
        ("XRANGE k - (0-0", "ERR invalid end ID for the interval"),
        ("XRANGE k - + COUNT", SYNTAX),
        ("XRANGE k - + bad 1", SYNTAX),
        ("XRANGE k - + COUNT x", "ERR value is not an integer or out of range"),
        ("XREVRANGE k (0-0 -", "ERR invalid end ID for the interval"),
    ],
)
def test_xrange_errors(run: Run, line: str, message: str) -> None:
    assert error(run(line)) == message


# -- XSETID


def test_xsetid_sets_what_adding_goes_on_from(run: Run, client: Client, fired: Fired) -> None:
    fill(run, 2)
    fired.clear()
    dirty = client.server.dirty
    assert run("XSETID k 7-7 ENTRIESADDED 9 MAXDELETEDID 6") is OK
    assert (fired, client.server.dirty) == ([("xsetid", b"k", 0)], dirty + 1)
    shown = info(run)
    assert shown[b"last-generated-id"] == b"7-7"
    assert shown[b"entries-added"] == 9
    assert shown[b"max-deleted-entry-id"] == b"6-0"
    assert run("XADD k 7-* f v") == b"7-8"


def test_the_number_of_entries_ever_added_overflows(run: Run) -> None:
    fill(run, 1)
    run(f"XSETID k 1 ENTRIESADDED {2**63 - 1}")
    run("XADD k 2 f v")
    assert info(run)[b"entries-added"] == -(2**63)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("k x", INVALID_ID),
        ("k 2", "ERR The ID specified in XSETID is smaller than the target stream top item"),
        ("k 9 ENTRIESADDED -1", "ERR entries_added must be positive"),
        (
            "k 9 ENTRIESADDED 1",
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ),
        (
            "k 9 MAXDELETEDID 10",
            "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
        ),
        ("k 9 ENTRIESADDED", SYNTAX),
        ("k 9 bad 5", SYNTAX),
        ("missing 9", "ERR no such key"),
    ],
)
def test_xsetid_errors(run: Run, words: str, message: str) -> None:
    fill(run, 3)
    assert error(run(f"XSETID {words}")) == message


def test_xsetid_stays_above_what_was_deleted(run: Run) -> None:
    fill(run, 3)
    run("XDEL k 3-0")
    smaller = "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
    assert error(run("XSETID k 2-5")) == smaller


# -- XREAD


def wire(reply: Reply) -> tuple[bytes, bytes]:
    """The reply in RESP2 and RESP3."""
    out2: list[bytes] = []
    out3: list[bytes] = []
    encode_resp2(out2, reply)
    encode_resp3(out3, reply)
    return b"".join(out2), b"".join(out3)


def test_xread_is_nested_in_resp2_and_a_map_in_resp3(run: Run) -> None:
    run("XADD a 1-1 f v")
    reply = run("XREAD STREAMS a 0")
    entries = b"*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
    assert wire(reply) == (
        b"*1\r\n*2\r\n$1\r\na\r\n" + entries,
        b"%1\r\n$1\r\na\r\n" + entries,
    )
    assert plain_reply(reply) == {b"a": [[b"1-1", [b"f", b"v"]]]}


def streams(reply: Reply) -> list[tuple[bytes, list[PlainReply]]]:
    """The keys and ids of what XREAD returns."""
    assert isinstance(reply, MapPairs), reply
    return [(key, ids(entries)) for key, entries in reply.pairs]


def test_xread_returns_what_is_behind_each_id(run: Run) -> None:
    fill(run, 3, "a")
    fill(run, 2, "b")
    assert streams(run("XREAD STREAMS a b 1 2")) == [(b"a", [b"2-0", b"3-0"])]
    assert streams(run("XREAD COUNT 1 STREAMS a b a 0 1-5 2")) == [
        (b"a", [b"1-0"]),
        (b"b", [b"2-0"]),
        (b"a", [b"3-0"]),
    ]
    assert run("XREAD STREAMS a b missing $ 2 0") is NULL_ARRAY
    assert run(f"XREAD STREAMS a {TOP}") is NULL_ARRAY
    assert len(streams(run("XREAD COUNT 0 STREAMS a 0"))[0][1]) == 3


def test_xread_plus_returns_the_last_entry(run: Run) -> None:
    fill(run, 3, "a")
    assert streams(run("XREAD STREAMS a +")) == [(b"a", [b"3-0"])]
    assert run("XREAD STREAMS missing +") is NULL_ARRAY
    run("XDEL a 3-0")
    assert run("XREAD STREAMS a +") is NULL_ARRAY, "it is the last id that counts"
    run("XGROUP CREATE empty g $ MKSTREAM")
    assert error(run("XREAD STREAMS empty +")) == "ERR the stream last element ID is 0-0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("STREAMS a 0 1", "list of streams: for each stream key an ID or '$' must be specified."),
        ("a b c", SYNTAX),
        ("COUNT 1 BLOCK 1", SYNTAX),
        ("STREAMS a x", INVALID_ID),
        ("STREAMS a -", INVALID_ID),
        ("STREAMS s 0", "WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("STREAMS a s 0 0", "WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("COUNT x STREAMS a 0", "ERR value is not an integer or out of range"),
        ("BLOCK 1.5 STREAMS a 0", "ERR timeout is not an integer or out of range"),
        ("BLOCK -1 STREAMS a 0", "ERR timeout is negative"),
        (
            "GROUP g c STREAMS a 0",
            "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
        ),
        (
            "NOACK STREAMS a 0",
            "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
        ),
        (
            "STREAMS a >",
            GROUPS_ONLY,
        ),
    ],
)
def test_xread_errors(run: Run, words: str, message: str) -> None:
    run("SET s v")
    if words == "STREAMS a 0 1":
        message = f"ERR Unbalanced 'xread' {message}"
    assert error(run(f"XREAD {words}")) == message


def blocked(client: Client) -> Block:
    assert client.waiter is not None
    return client.waiter.block


def test_xread_blocks_with_the_ids_that_dollars_stand_for(run: Run, client: Client) -> None:
    fill(run, 3, "a")
    assert run("XREAD BLOCK 1500 STREAMS a b a $ $ 3-0") is NO_REPLY
    block = blocked(client)
    assert block.args == [*b"XREAD BLOCK 1500 STREAMS a b a 3-0 0-0 3-0".split()]
    assert (block.timeout_s, block.on_timeout) == (1.5, NULL_ARRAY)
    assert block.topics == [(0, b"a"), (0, b"b")]


def test_xread_blocks_for_ever_at_zero(run: Run, client: Client) -> None:
    assert run("XREAD BLOCK 0 STREAMS a +") is NO_REPLY
    block = blocked(client)
    assert block.timeout_s is None
    assert block.args is not None
    assert block.args[-1] == b"+", "the last entry, once there is one"


def test_xread_with_a_block_returns_what_there_is(run: Run) -> None:
    fill(run, 1, "a")
    assert streams(run("XREAD BLOCK 0 STREAMS a b 0 $")) == [(b"a", [b"1-0"])]


# -- XINFO


def test_xinfo_stream(run: Run) -> None:
    fill(run, 3)
    assert list(info(run).items()) == [
        (b"length", 3),
        (b"radix-tree-keys", 1),
        (b"radix-tree-nodes", 2),
        (b"last-generated-id", b"3-0"),
        (b"max-deleted-entry-id", b"0-0"),
        (b"entries-added", 3),
        (b"recorded-first-entry-id", b"1-0"),
        (b"groups", 0),
        (b"first-entry", [b"1-0", [b"f", b"1"]]),
        (b"last-entry", [b"3-0", [b"f", b"3"]]),
    ]
    run("XTRIM k MAXLEN 0")
    shown = info(run)
    assert shown[b"first-entry"] is shown[b"last-entry"] is None
    assert shown[b"radix-tree-nodes"] == 1


def test_xinfo_stream_full(run: Run) -> None:
    fill(run, 12)
    for words, count in ((["FULL"], 10), (["full", "count", "3"], 3), (["FULL", "COUNT", "0"], 12)):
        shown = info(run, *words)
        entries = shown[b"entries"]
        assert isinstance(entries, list)
        assert (len(entries), shown[b"groups"]) == (count, [])
    assert len(shown) == 9


def test_xinfo_errors(run: Run) -> None:
    fill(run, 1)
    assert error(run("XINFO STREAM missing bad")) == "ERR no such key"
    unknown = "ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP."
    for words in ("bad", "FULL COUNT", "FULL COUNT 1 2", "FULL bad 1"):
        assert error(run(f"XINFO STREAM k {words}")) == unknown
    assert (
        error(run("XINFO STREAM k FULL COUNT x")) == "ERR value is not an integer or out of range"
    )


# -- as a value


def test_a_copy_shares_nothing(run: Run) -> None:
    fill(run, 3)
    assert run("COPY k c") == 1
    run("XADD k 4 f v")
    run("XDEL k 1-0")
    assert ids(run("XRANGE c - +")) == [b"1-0", b"2-0", b"3-0"]
    assert run("XADD c 4 f v") == b"4-0"
    assert (run("TYPE c").text, run("OBJECT ENCODING c")) == (b"stream", b"stream")  # type: ignore[union-attr]


def test_a_big_stream_is_freed_little_by_little(run: Run, client: Client) -> None:
    run("CONFIG SET stream-node-max-entries 10")
    fill(run, 1000)
    run("UNLINK k")
    lazyfree = client.server.lazyfree
    assert lazyfree.busy
    while lazyfree.step(0):
        pass
    assert lazyfree.freed_objects == 1


def test_the_effort_of_freeing_a_stream_is_that_of_its_tree(run: Run, client: Client) -> None:
    run("CONFIG SET stream-node-max-entries 1")
    efforts = []
    for i in range(1, 67):
        run(f"XADD k {i * 300} f v")
        stream = client.db.peek(b"k")
        assert isinstance(stream, Stream)
        efforts.append(stream.free_effort())
    assert efforts[:3] == [2, 6, 8]
    assert efforts[63:] == [efforts[63], 65, 66]
    assert efforts[63] > 128
