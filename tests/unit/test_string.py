"""String commands by value: replies, errors, deadlines, what is fed and which events fire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redis_trio.client import Client
from redis_trio.data.string import string_encoding
from redis_trio.keyspace.database import GENERIC, STRING
from redis_trio.protocol.reply import OK, RedisError, Reply
from redis_trio.protocol.response import ReplyParser
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, HearingState, Run

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NOT_A_FLOAT = "ERR value is not a valid float"
TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
MAX = 2**63 - 1
MIN = -(2**63)


class Other:
    """A value that is no string."""

    def memory_bytes(self, samples: int) -> int:
        """Return what it takes, as whatever has a key does."""
        return 0


@pytest.fixture
def fed(state: ServerState) -> Iterator[Fed]:
    """What the commands feed; see `Fed`."""
    listener = Fed(state)
    yield listener
    listener.stop()


class Fed:
    """Collects what is fed: a call returns the commands since the last one, as lines."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._data = b""
        self.stop = state.feed.listen(self._hear)

    def _hear(self, data: bytes) -> None:
        self._data += data

    def __call__(self) -> list[bytes]:
        self._state.end()
        parser = ReplyParser()
        parser.feed(self._data)
        self._data = b""
        lines = [b" ".join(args) for args in parser.parse()]  # type: ignore[arg-type, union-attr]
        return [line for line in lines if not line.startswith(b"SELECT")]


Event = tuple[str, bytes]


@pytest.fixture
def events(state: HearingState) -> list[Event]:
    """Every event of a string or of any key that fires."""
    fired: list[Event] = []

    def hear(event_class: int, event: str, key: bytes, db: int) -> None:
        if event_class in (STRING, GENERIC):
            fired.append((event, key))

    state.hear = hear
    state.listening = True
    return fired


@pytest.fixture
def other(client: Client) -> bytes:
    """The name of a key that holds no string."""
    client.db.set(b"other", Other())
    return b"other"


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def ttl_ms(client: Client, key: bytes) -> int | None:
    """How long a key has to live; None for ever."""
    when_ms = client.db.expire_ms(key)
    return None if when_ms < 0 else when_ms - client.server.clock.now_ms


def in_seconds(client: Client, seconds: int) -> int:
    """The Unix time in so many seconds, and a bit less than one more."""
    return client.server.clock.now_ms // 1000 + seconds + 1


# -- SET


def test_set_and_get(run: Run) -> None:
    assert run("SET k v") is OK
    assert run("GET k") == b"v"
    assert run("SET", "k", b"\0\xff\r\n") is OK
    assert run("GET k") == b"\0\xff\r\n"
    assert run("GET missing") is None


def test_set_replaces_a_value_of_another_type(run: Run, other: bytes) -> None:
    assert run("SET other v") is OK
    assert run("GET other") == b"v"


def test_set_takes_the_deadline_away(run: Run, client: Client) -> None:
    run("SET k v EX 10")
    run("SET k w")
    assert ttl_ms(client, b"k") is None


def test_set_nx_sets_a_new_key_only(run: Run) -> None:
    assert run("SET k v NX") is OK
    assert run("SET k w NX") is None
    assert run("GET k") == b"v"


def test_set_xx_sets_an_old_key_only(run: Run) -> None:
    assert run("SET k v XX") is None
    assert run("GET k") is None
    run("SET k v")
    assert run("SET k w XX") is OK
    assert run("GET k") == b"w"


def test_set_nx_sets_a_key_that_has_expired(run: Run, time: FakeTime) -> None:
    run("SET k v PX 10")
    time.advance(0.01)
    assert run("SET k w NX") is OK
    assert run("GET k") == b"w"


@pytest.mark.parametrize(
    ("option", "expected_ms"), [("EX 10", 10_000), ("PX 1500", 1500), ("ex 1", 1000)]
)
def test_set_with_a_time_to_live(run: Run, client: Client, option: str, expected_ms: int) -> None:
    assert run(f"SET k v {option}") is OK
    assert ttl_ms(client, b"k") == expected_ms


def test_set_with_a_deadline(run: Run, client: Client) -> None:
    when = in_seconds(client, 100)
    run(f"SET k v EXAT {when}")
    assert client.db.expire_ms(b"k") == when * 1000
    run(f"SET k v PXAT {when}123")
    assert client.db.expire_ms(b"k") == when * 1000 + 123


def test_a_key_is_gone_at_its_deadline(run: Run, time: FakeTime) -> None:
    run("SET k v PX 1000")
    time.advance(0.999)
    assert run("GET k") == b"v"
    time.advance(0.001)
    assert run("GET k") is None


def test_set_with_a_deadline_in_the_past_leaves_no_key(run: Run) -> None:
    assert run("SET k v PXAT 1") is OK
    assert run("GET k") is None
    assert run("SET k v EXAT 1") is OK
    assert run("GET k") is None


def test_keepttl_keeps_the_deadline(run: Run, client: Client) -> None:
    run("SET k v EX 10")
    assert run("SET k w KEEPTTL") is OK
    assert ttl_ms(client, b"k") == 10_000
    assert run("GET k") == b"w"
    run("SET new v keepttl")
    assert ttl_ms(client, b"new") is None


def test_keepttl_does_not_keep_a_deadline_that_has_passed(
    run: Run, client: Client, time: FakeTime
) -> None:
    run("SET k v PX 10")
    time.advance(1)
    run("SET k w KEEPTTL")
    assert ttl_ms(client, b"k") is None
    assert run("GET k") == b"w"


def test_set_get_returns_the_old_value(run: Run) -> None:
    assert run("SET k v GET") is None
    assert run("SET k w GET") == b"v"
    assert run("SET k x XX GET EX 5") == b"w"
    assert run("SET k y NX GET") == b"x"
    assert run("GET k") == b"x"
    assert run("SET new v XX GET") is None
    assert run("GET new") is None


def test_set_get_refuses_another_type_and_sets_nothing(
    run: Run, client: Client, other: bytes
) -> None:
    assert error(run("SET other v GET")) == WRONGTYPE
    assert isinstance(client.db.peek(other), Other)


@pytest.mark.parametrize(
    "options",
    [
        "NX XX",
        "XX NX",
        "EX",
        "PX",
        "EXAT",
        "PXAT",
        "EX 1 PX 1",
        "PX 1 EX 1",
        "EXAT 1 EX 1",
        "EX 1 EXAT 1",
        "PXAT 1 EXAT 1",
        "KEEPTTL EX 1",
        "EX 1 KEEPTTL",
        "PXAT 1 KEEPTTL",
        "PERSIST",
        "bad",
        "NX bad",
        "EX 1 2",
        "''",
    ],
)
def test_options_that_make_no_sense_are_a_syntax_error(run: Run, options: str) -> None:
    assert error(run(f"SET k v {options}")) == SYNTAX
    assert run("GET k") is None


@pytest.mark.parametrize("options", ["NX NX", "XX XX GET GET", "KEEPTTL KEEPTTL"])
def test_an_option_may_be_repeated(run: Run, options: str) -> None:
    run("SET k v")
    assert not isinstance(run(f"SET k v {options}"), RedisError)


def test_of_repeated_times_the_last_counts(run: Run, client: Client) -> None:
    assert run("SET k v EX 5 EX 7") is OK
    assert ttl_ms(client, b"k") == 7000


def test_an_option_ends_at_a_nul(run: Run) -> None:
    run("SET k v")
    assert run("SET", "k", "w", b"nx\0whatever") is None


@pytest.mark.parametrize("option", ["EX", "PX", "EXAT", "PXAT"])
@pytest.mark.parametrize("value", ["0", "-1", str(MIN)])
def test_a_time_must_be_positive(run: Run, option: str, value: str) -> None:
    assert error(run(f"SET k v {option} {value}")) == "ERR invalid expire time in 'set' command"
    assert error(run(f"SET k v {option} 1 GET {option} {value}")) == (
        "ERR invalid expire time in 'set' command"
    )
    assert run("GET k") is None


@pytest.mark.parametrize(
    "option", [f"EX {MAX}", f"EX {MAX // 1000}", f"EXAT {MAX // 1000 + 1}", f"PX {MAX}"]
)
def test_a_time_must_not_overflow(run: Run, option: str) -> None:
    assert error(run(f"SET k v {option}")) == "ERR invalid expire time in 'set' command"


@pytest.mark.parametrize("option", [f"EXAT {MAX // 1000}", f"PXAT {MAX}"])
def test_the_latest_deadlines_are_kept(run: Run, client: Client, option: str) -> None:
    assert run(f"SET k v {option}") is OK
    assert client.db.expire_ms(b"k") > 9 * 10**18


@pytest.mark.parametrize("value", ["abc", "1.5", "", "9223372036854775808"])
def test_a_time_must_be_an_integer(run: Run, value: str) -> None:
    assert error(run("SET", "k", "v", "EX", value)) == NOT_AN_INTEGER


def test_a_wrong_time_is_told_before_a_wrong_type(run: Run, other: bytes) -> None:
    assert error(run("SET other v GET EX 0")) == "ERR invalid expire time in 'set' command"
    assert error(run("SET other v GET EX 0 bad")) == SYNTAX


def test_what_set_feeds(run: Run, client: Client, fed: Fed) -> None:
    now_ms = client.server.clock.now_ms
    run("SET k v")
    assert fed() == [b"SET k v"]
    run("SET k v EX 10")
    assert fed() == [b"SET k v PXAT %d" % (now_ms + 10_000)]
    run("SET k v PX 10 XX GET")
    assert fed() == [b"SET k v PXAT %d" % (now_ms + 10)]
    run(f"SET k v EXAT {now_ms // 1000 + 5}")
    assert fed() == [b"SET k v PXAT %d" % (now_ms // 1000 * 1000 + 5000)]
    run(f"SET k v XX PXAT {now_ms + 5}")
    assert fed() == [b"SET k v XX PXAT %d" % (now_ms + 5)]
    run("SET k v GET XX get KEEPTTL")
    assert fed() == [b"SET k v XX KEEPTTL"]


def test_a_set_that_sets_nothing_is_not_fed(run: Run, client: Client, fed: Fed) -> None:
    run("SET k v")
    fed()
    dirty = client.server.dirty
    run("SET k v NX")
    run("SET k v NX GET EX 5")
    run("SET missing v XX")
    run("SET k v EX 0")
    assert fed() == []
    assert client.server.dirty == dirty


def test_the_events_of_set(run: Run, events: list[Event]) -> None:
    run("SET k v")
    run("SET k v EX 10")
    run("SET k v NX")
    run("SET k v GET")
    assert events == [("set", b"k"), ("set", b"k"), ("expire", b"k"), ("set", b"k")]


# -- SETNX, SETEX, PSETEX


def test_setnx(run: Run, fed: Fed) -> None:
    assert run("SETNX k v") == 1
    assert run("SETNX k w") == 0
    assert run("GET k") == b"v"
    assert fed() == [b"SETNX k v"]


def test_setex_and_psetex(run: Run, client: Client, fed: Fed) -> None:
    assert run("SETEX k 10 v") is OK
    assert ttl_ms(client, b"k") == 10_000
    assert run("PSETEX k 10 w") is OK
    assert ttl_ms(client, b"k") == 10
    assert run("GET k") == b"w"
    now_ms = client.server.clock.now_ms
    assert fed() == [
        b"SET k v PXAT %d" % (now_ms + 10_000),
        b"SET k w PXAT %d" % (now_ms + 10),
    ]


@pytest.mark.parametrize("name", ["setex", "psetex"])
def test_setex_names_itself_in_its_errors(run: Run, name: str) -> None:
    assert error(run(f"{name} k 0 v")) == f"ERR invalid expire time in '{name}' command"
    assert error(run(f"{name} k -10 v")) == f"ERR invalid expire time in '{name}' command"
    assert error(run(f"{name} k {MAX} v")) == f"ERR invalid expire time in '{name}' command"
    assert error(run(f"{name} k x v")) == NOT_AN_INTEGER
    assert run("GET k") is None


def test_the_events_of_setex(run: Run, events: list[Event]) -> None:
    run("SETEX k 10 v")
    assert events == [("set", b"k"), ("expire", b"k")]


# -- GETSET, GETDEL, GETEX


def test_getset(run: Run, client: Client, fed: Fed) -> None:
    assert run("GETSET k v") is None
    assert fed() == [b"SET k v"]
    run("SET k v EX 10")
    assert run("GETSET k w") == b"v"
    assert run("GET k") == b"w"
    assert ttl_ms(client, b"k") is None


def test_getdel(run: Run, fed: Fed, events: list[Event]) -> None:
    run("SET k v EX 10")
    fed()
    events.clear()
    assert run("GETDEL k") == b"v"
    assert fed() == [b"DEL k"]
    assert events == [("del", b"k")]
    assert run("GETDEL k") is None
    assert fed() == []
    assert run("GET k") is None


def test_getex_without_options_only_reads(run: Run, client: Client, fed: Fed) -> None:
    run("SET k v EX 10")
    fed()
    assert run("GETEX k") == b"v"
    assert run("GETEX missing EX 10") is None
    assert ttl_ms(client, b"k") == 10_000
    assert fed() == []


@pytest.mark.parametrize(("option", "expected_ms"), [("EX 5", 5000), ("px 7", 7)])
def test_getex_sets_a_time_to_live(
    run: Run, client: Client, fed: Fed, option: str, expected_ms: int
) -> None:
    run("SET k v")
    fed()
    assert run(f"GETEX k {option}") == b"v"
    assert ttl_ms(client, b"k") == expected_ms
    assert fed() == [b"PEXPIREAT k %d" % (client.server.clock.now_ms + expected_ms)]


def test_getex_sets_a_deadline(run: Run, client: Client, fed: Fed) -> None:
    run("SET k v")
    fed()
    when = in_seconds(client, 100)
    run(f"GETEX k EXAT {when}")
    assert client.db.expire_ms(b"k") == when * 1000
    run(f"GETEX k PXAT {when}001")
    assert client.db.expire_ms(b"k") == when * 1000 + 1


@pytest.mark.parametrize("option", ["EXAT 1", "PXAT 1"])
def test_getex_with_a_deadline_in_the_past_deletes(
    run: Run, fed: Fed, events: list[Event], option: str
) -> None:
    run("SET k v")
    fed()
    events.clear()
    assert run(f"GETEX k {option}") == b"v"
    assert fed() == [b"DEL k"]
    assert events == [("del", b"k")]
    assert run("GET k") is None


def test_getex_persist(run: Run, client: Client, fed: Fed, events: list[Event]) -> None:
    run("SET k v EX 10")
    fed()
    events.clear()
    assert run("GETEX k PERSIST") == b"v"
    assert ttl_ms(client, b"k") is None
    assert fed() == [b"PERSIST k"]
    assert run("GETEX k PERSIST") == b"v"
    assert fed() == []
    assert events == [("persist", b"k")]


@pytest.mark.parametrize(
    "options", ["EX", "NX", "GET", "KEEPTTL", "EX 1 PERSIST", "PERSIST EX 1", "EX 1 PX 1", "1"]
)
def test_options_getex_does_not_take(run: Run, options: str) -> None:
    assert error(run(f"GETEX missing {options}")) == SYNTAX


def test_getex_looks_at_the_time_after_the_key(run: Run, other: bytes) -> None:
    assert run("GETEX missing EX 0") is None
    assert error(run("GETEX other EX 0")) == WRONGTYPE
    run("SET k v")
    assert error(run("GETEX k EX 0")) == "ERR invalid expire time in 'getex' command"
    assert error(run("GETEX k EX x")) == NOT_AN_INTEGER


# -- MGET, MSET, MSETNX


def test_mget_and_mset(run: Run, client: Client, other: bytes) -> None:
    run("SET a 0 EX 10")
    assert run("MSET a 1 b 2 a 3") is OK
    assert run("MGET a b missing other a") == [b"3", b"2", None, None, b"3"]
    assert ttl_ms(client, b"a") is None


def test_msetnx_sets_all_or_nothing(run: Run, fed: Fed) -> None:
    assert run("MSETNX a 1 b 2 a 3") == 1
    assert run("MGET a b") == [b"3", b"2"]
    fed()
    assert run("MSETNX c 1 a 2") == 0
    assert run("MGET a c") == [b"3", None]
    assert fed() == []


@pytest.mark.parametrize("name", ["mset", "msetnx"])
def test_a_key_without_a_value_is_an_arity_error(run: Run, name: str) -> None:
    assert error(run(f"{name} a 1 b")) == f"ERR wrong number of arguments for '{name}' command"
    assert run("GET a") is None


def test_mset_counts_each_key_as_a_change(run: Run, client: Client, events: list[Event]) -> None:
    dirty = client.server.dirty
    run("MSET a 1 b 2")
    assert client.server.dirty == dirty + 2
    assert events == [("set", b"a"), ("set", b"b")]


# -- APPEND, STRLEN, SETRANGE, GETRANGE, SUBSTR


def test_append(run: Run, client: Client, events: list[Event]) -> None:
    assert run("APPEND k 12") == 2
    assert client.db.peek(b"k") == b"12"
    assert run("APPEND k 3") == 3
    assert run("GET k") == b"123"
    assert run("APPEND k ''") == 3
    assert events == [("append", b"k")] * 3


def test_append_keeps_the_deadline_and_changes_in_place(run: Run, client: Client) -> None:
    run("SET k v EX 10")
    run("APPEND k w")
    value = client.db.peek(b"k")
    run("APPEND k x")
    assert client.db.peek(b"k") is value
    assert isinstance(value, bytearray)
    assert ttl_ms(client, b"k") == 10_000


def test_a_reply_does_not_change_after_it_was_given(run: Run) -> None:
    run("APPEND k a")
    run("APPEND k b")
    replies = [run("GET k"), run("MGET k"), run("GETRANGE k 0 -1"), run("GETEX k")]
    run("APPEND k c")
    assert replies == [b"ab", [b"ab"], b"ab", b"ab"]


def test_a_string_that_was_changed_in_place_is_one_like_others(run: Run, client: Client) -> None:
    run("APPEND k 1")
    run("APPEND k 0")
    assert run("INCR k") == 11
    assert client.db.peek(b"k") == b"11"
    run("APPEND k 0")
    assert run("INCRBYFLOAT k 1.5") == b"111.5"
    run("APPEND k x")
    assert error(run("INCR k")) == NOT_AN_INTEGER
    assert run("STRLEN k") == 6
    assert run("SET k v GET") == b"111.5x"
    run("APPEND k w")
    assert run("GETSET k x") == b"vw"
    run("APPEND k y")
    assert run("GETDEL k") == b"xy"


def test_strlen(run: Run) -> None:
    run("SET k hello")
    assert run("STRLEN k") == 5
    assert run("STRLEN missing") == 0


def test_setrange(run: Run, events: list[Event]) -> None:
    assert run("SETRANGE k 3 abc") == 6
    assert run("GET k") == b"\0\0\0abc"
    assert run("SETRANGE k 0 xy") == 6
    assert run("GET k") == b"xy\0abc"
    assert run("SETRANGE k 8 z") == 9
    assert run("GET k") == b"xy\0abc\0\0z"
    run("SET k 12345")
    assert run("SETRANGE k 4 67") == 6
    assert run("GET k") == b"123467"
    assert events == [("setrange", b"k")] * 3 + [("set", b"k"), ("setrange", b"k")]


def test_setrange_of_nothing_changes_nothing(run: Run, client: Client, other: bytes) -> None:
    dirty = client.server.dirty
    assert run("SETRANGE missing 10 ''") == 0
    assert client.db.peek(b"missing") is None
    assert client.server.dirty == dirty
    run("SET k hello")
    assert run("SETRANGE k 100 ''") == 5
    assert error(run("SETRANGE other 0 ''")) == WRONGTYPE


def test_the_offset_of_setrange(run: Run, other: bytes) -> None:
    assert error(run("SETRANGE other -1 x")) == "ERR offset is out of range"
    assert error(run("SETRANGE k x x")) == NOT_AN_INTEGER
    assert error(run(f"SETRANGE k {MAX} x")) == TOO_LONG
    assert error(run(f"SETRANGE k {512 * 1024 * 1024} x")) == TOO_LONG


def test_no_string_becomes_longer_than_an_argument_may_be(run: Run, client: Client) -> None:
    client.server.limits.max_bulk_len = 10
    run("SET k 12345678")
    assert error(run("APPEND k 123")) == TOO_LONG
    assert error(run("SETRANGE k 9 12")) == TOO_LONG
    assert error(run("SETRANGE new 9 12")) == TOO_LONG
    assert run("GET k") == b"12345678"
    assert run("SETRANGE k 9 1") == 10
    assert run("APPEND k ''") == 10
    assert error(run("APPEND k 1")) == TOO_LONG


@pytest.mark.parametrize("name", ["GETRANGE", "SUBSTR"])
@pytest.mark.parametrize(
    ("start", "end", "part"),
    [
        (0, 3, b"Hell"),
        (0, -1, b"Hello World"),
        (-4, -1, b"orld"),
        (5, 3, b""),
        (5, 5, b" "),
        (5, 5000, b" World"),
        (-5000, 10000, b"Hello World"),
        (-1, -100, b""),
        (-100, -100, b"H"),
        (-100, -99, b"H"),
        (0, -100, b"H"),
        (1, -100, b""),
        (11, 20, b""),
        (MIN, MAX, b"Hello World"),
        (MAX, MIN, b""),
    ],
)
def test_getrange(run: Run, name: str, start: int, end: int, part: bytes) -> None:
    run("SET", "k", "Hello World")
    assert run(f"{name} k {start} {end}") == part
    assert run(f"{name} missing {start} {end}") == b""
    run("SET k ''")
    assert run(f"{name} k {start} {end}") == b""


def test_getrange_reads_its_numbers_before_the_key(run: Run, other: bytes) -> None:
    assert error(run("GETRANGE other x 1")) == NOT_AN_INTEGER
    assert error(run("GETRANGE other 0 1x")) == NOT_AN_INTEGER
    assert error(run("GETRANGE other 0 1")) == WRONGTYPE


# -- INCR and its relatives


def test_counting(run: Run, client: Client, events: list[Event]) -> None:
    assert run("INCR n") == 1
    assert run("INCRBY n 41") == 42
    assert run("DECR n") == 41
    assert run("DECRBY n -1") == 42
    assert run("DECRBY n 100") == -58
    assert run("DECR m") == -1
    assert run("GET n") == b"-58"
    assert events == [("incrby", b"n")] * 5 + [("incrby", b"m")]


def test_counting_keeps_the_deadline(run: Run, client: Client) -> None:
    run("SET n 20000 EX 10")
    assert run("INCR n") == 20001
    run("INCRBYFLOAT n 0.5")
    assert ttl_ms(client, b"n") == 10_000


@pytest.mark.parametrize("value", [" 1", "1 ", "1.5", "", "x", "01", "+1", str(MAX + 1)])
def test_only_integers_are_counted(run: Run, value: str) -> None:
    run("SET", "n", value)
    assert error(run("INCR n")) == NOT_AN_INTEGER
    assert error(run("INCRBY n 0")) == NOT_AN_INTEGER
    assert run("GET n") == value.encode()


def test_counting_stops_at_64_bits(run: Run) -> None:
    overflow = "ERR increment or decrement would overflow"
    run(f"SET n {MAX}")
    assert error(run("INCR n")) == overflow
    assert error(run(f"INCRBY n {MAX}")) == overflow
    assert run(f"INCRBY n {MIN}") == -1
    run(f"SET n {MIN}")
    assert error(run("DECR n")) == overflow
    assert error(run("DECRBY n 1")) == overflow
    assert run(f"INCRBY n {MAX}") == -1
    assert error(run(f"DECRBY n {MIN}")) == "ERR decrement would overflow"
    assert run(f"DECRBY n {MAX}") == MIN


def test_the_increment_is_read_before_the_key(run: Run, other: bytes) -> None:
    assert error(run("INCRBY other x")) == NOT_AN_INTEGER
    assert error(run("DECRBY other x")) == NOT_AN_INTEGER
    assert error(run(f"DECRBY other {MIN}")) == "ERR decrement would overflow"


def test_incrbyfloat(run: Run, client: Client, fed: Fed, events: list[Event]) -> None:
    assert run("INCRBYFLOAT n 1.5") == b"1.5"
    assert fed() == [b"SET n 1.5 KEEPTTL"]
    assert run("INCRBYFLOAT n 1.50") == b"3"
    assert run("INCR n") == 4
    assert run("INCRBYFLOAT n -4.25e1") == b"-38.5"
    assert events == [("incrbyfloat", b"n")] * 2 + [("incrby", b"n"), ("incrbyfloat", b"n")]


def test_the_result_of_incrbyfloat_is_never_held_as_an_integer(run: Run, client: Client) -> None:
    run("INCRBYFLOAT n 3")
    value = client.db.peek(b"n")
    assert isinstance(value, bytes)
    assert string_encoding(value) == b"embstr"


def test_the_errors_of_incrbyfloat(run: Run, other: bytes) -> None:
    for value in ("x", " 1", "1 ", "", "nan", "1e5000"):
        run("SET", "n", value)
        assert error(run("INCRBYFLOAT n 1")) == NOT_A_FLOAT
    run("SET n 1")
    assert error(run("INCRBYFLOAT n x")) == NOT_A_FLOAT
    assert error(run("INCRBYFLOAT n ''")) == NOT_A_FLOAT
    for value in ("inf", "-inf", "+Infinity"):
        assert error(run(f"INCRBYFLOAT n {value}")) == (
            "ERR increment would produce NaN or Infinity"
        )
    assert run("GET n") == b"1"
    assert error(run("INCRBYFLOAT other x")) == WRONGTYPE


@pytest.mark.parametrize(
    "line",
    [
        "GET other",
        "GETSET other v",
        "GETDEL other",
        "GETEX other",
        "APPEND other v",
        "STRLEN other",
        "SETRANGE other 0 v",
        "GETRANGE other 0 1",
        "SUBSTR other 0 1",
        "INCR other",
        "DECR other",
        "INCRBY other 1",
        "DECRBY other 1",
        "INCRBYFLOAT other 1",
    ],
)
def test_another_type_is_refused_and_left_alone(
    run: Run, client: Client, other: bytes, line: str
) -> None:
    dirty = client.server.dirty
    assert error(run(line)) == WRONGTYPE
    assert isinstance(client.db.peek(other), Other)
    assert client.server.dirty == dirty


# -- LCS


@pytest.fixture
def pair(run: Run) -> None:
    run("MSET a ohmytext b mynewtext")


@pytest.mark.usefixtures("pair")
def test_lcs(run: Run) -> None:
    assert run("LCS a b") == b"mytext"
    assert run("LCS a b LEN") == 6
    assert run("LCS a missing") == b""
    assert run("LCS missing b LEN") == 0
    assert run("LCS a a") == b"ohmytext"


@pytest.mark.usefixtures("pair")
def test_lcs_idx(run: Run) -> None:
    assert run("LCS a b IDX") == {
        b"matches": [[[4, 7], [5, 8]], [[2, 3], [0, 1]]],
        b"len": 6,
    }
    assert run("LCS b a idx withmatchlen") == {
        b"matches": [[[5, 8], [4, 7], 4], [[0, 1], [2, 3], 2]],
        b"len": 6,
    }
    assert run("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN") == {
        b"matches": [[[4, 7], [5, 8], 4]],
        b"len": 6,
    }
    assert run("LCS a b IDX MINMATCHLEN -7 MINMATCHLEN 5") == {b"matches": [], b"len": 6}
    assert run("LCS a missing IDX") == {b"matches": [], b"len": 0}
    assert run("LCS a b MINMATCHLEN 5 WITHMATCHLEN") == b"mytext"


@pytest.mark.usefixtures("pair")
def test_the_errors_of_lcs(run: Run, other: bytes) -> None:
    assert error(run("LCS a b IDX LEN")) == (
        "ERR If you want both the length and indexes, please just use IDX."
    )
    assert error(run("LCS a b bad")) == SYNTAX
    assert error(run("LCS a b MINMATCHLEN")) == SYNTAX
    assert error(run("LCS a b MINMATCHLEN x")) == NOT_AN_INTEGER
    assert error(run("LCS other b bad")) == "ERR The specified keys must contain string values"
    assert error(run("LCS a other")) == "ERR The specified keys must contain string values"


def test_lcs_of_what_has_grown(run: Run) -> None:
    run("APPEND a oh")
    run("APPEND a mytext")
    run("SET b mynewtext")
    assert run("LCS a b") == b"mytext"


def test_lcs_refuses_a_table_larger_than_an_argument_may_be(run: Run, client: Client) -> None:
    client.server.limits.max_bulk_len = 400
    run("MSET a 123456789 b 123456789")
    assert run("LCS a b LEN") == 9
    run("APPEND a x")
    assert error(run("LCS a b LEN")) == (
        "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
    )


def test_a_read_counts_as_a_hit_or_a_miss(run: Run, client: Client) -> None:
    stats = client.server.stats
    run("SET k v")
    hits, misses = stats.keyspace_hits, stats.keyspace_misses
    run("GET k")
    run("MGET k missing")
    run("STRLEN missing")
    run("LCS k missing")
    run("INCR n")
    assert (stats.keyspace_hits - hits, stats.keyspace_misses - misses) == (3, 3)
