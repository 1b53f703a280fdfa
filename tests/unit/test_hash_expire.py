"""Deadlines of fields: replies, order, expiry on access and by itself, feed and events."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.client import Client
from redis_trio.data.expires import NEVER
from redis_trio.data.field_deadlines import FEW
from redis_trio.data.hash import Hash
from redis_trio.jobs import FieldExpiry
from redis_trio.keyspace.field_expiry import FIELDS, expire_fields_due
from redis_trio.keyspace.values import collection
from redis_trio.protocol.reply import RedisError, Reply, Verbatim
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run

Fired = list[tuple[str, bytes, int]]
Heard = Callable[[], list[bytes]]


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


@pytest.fixture(params=["listpackex", "hashtable"], autouse=True)
def encoding(request: pytest.FixtureRequest, state: ServerState) -> bytes:
    """The encoding that a new hash has; every test here runs with both."""
    name: str = request.param
    if name == "hashtable":
        state.thresholds.hash_entries = 0
    return name.encode()


@pytest.fixture
def expire(state: ServerState) -> Callable[[], None]:
    """Do what the keeper does when fields are due; fails if they are not."""

    def expire() -> None:
        state.begin()
        job = FieldExpiry(state)
        assert NEVER < job.next_ms() <= state.clock.now_ms
        while NEVER < job.next_ms() <= state.clock.now_ms:
            job.run()
        state.end()

    return expire


def names(fired: Fired) -> list[str]:
    """Return the names of events, and forget them."""
    events = [event for event, _, _ in fired]
    fired.clear()
    return events


# -- HEXPIRE and its relatives


def test_hexpire_sets_deadlines(run: Run, client: Client, encoding: bytes) -> None:
    run("HSET h a 1 b 2 c 3")
    now_ms = client.server.clock.now_ms
    assert run("HEXPIRE h 10 FIELDS 3 a none b") == [1, -2, 1]
    assert run("HPEXPIRE h 1500 FIELDS 1 c") == [1]
    assert run("HPEXPIRETIME h FIELDS 4 a b c none") == [
        *(now_ms + 10_000, now_ms + 10_000, now_ms + 1500, -2)
    ]
    assert run("OBJECT ENCODING h") == encoding
    assert run("HEXPIREAT h 4000000000 FIELDS 1 a") == [1]
    assert run("HPEXPIREAT h 4000000000001 FIELDS 1 b") == [1]
    assert run("HEXPIRETIME h FIELDS 2 a b") == [4_000_000_000, 4_000_000_001]


def test_ttls_are_rounded_up(run: Run) -> None:
    run("HSET h a 1 b 2")
    run("HPEXPIRE h 1001 FIELDS 1 a")
    assert run("HTTL h FIELDS 3 a b c") == [2, -1, -2]
    assert run("HPTTL h FIELDS 3 a b c") == [1001, -1, -2]


def test_of_a_missing_key(run: Run) -> None:
    for line in ("HEXPIRE k 1", "HPEXPIRE k 1 NX", "HEXPIREAT k 1", "HPEXPIREAT k 1 GT"):
        assert run(f"{line} FIELDS 2 a b") == [-2, -2]
    for name in ("HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST"):
        assert run(f"{name} k FIELDS 2 a b") == [-2, -2]


def test_a_deadline_in_the_past_deletes(run: Run, client: Client) -> None:
    run("HSET h a 1 b 2 c 3")
    assert run("HEXPIREAT h 1 FIELDS 2 a none") == [2, -2]
    assert run("HPEXPIRE h 0 FIELDS 2 b b") == [2, -2]
    assert run("HPEXPIRE h 0 FIELDS 1 c") == [2]
    assert run("EXISTS h") == 0
    assert client.server.stats.expired_subkeys == 3


@pytest.mark.parametrize(
    ("condition", "replies"),
    [("NX", [0, 0, 1]), ("XX", [1, 1, 0]), ("GT", [1, 0, 0]), ("LT", [0, 1, 1])],
)
def test_conditions(run: Run, condition: str, replies: list[int]) -> None:
    """A field without a deadline counts as one that lives for ever."""
    run("HSET h early 1 late 2 none 3")
    run("HEXPIRE h 100 FIELDS 1 early")
    run("HEXPIRE h 300 FIELDS 1 late")
    assert run(f"HEXPIRE h 200 {condition} FIELDS 3 early late none") == replies
    expected = [200 if reply else old for reply, old in zip(replies, [100, 300, -1], strict=True)]
    assert run("HTTL h FIELDS 3 early late none") == expected


@pytest.mark.parametrize("condition", ["GT", "LT"])
def test_the_same_deadline_is_neither_greater_nor_less(run: Run, condition: str) -> None:
    run("HSET h a 1")
    run("HEXPIRE h 100 FIELDS 1 a")
    assert run(f"HEXPIRE h 100 {condition} FIELDS 1 a") == [0]


def test_conditions_hold_for_deadlines_in_the_past_too(run: Run) -> None:
    run("HSET h a 1 b 2")
    run("HEXPIRE h 100 FIELDS 1 a")
    assert run("HEXPIREAT h 1 NX FIELDS 2 a b") == [0, 2]


def test_arguments(run: Run) -> None:
    run("HSET h a 1")
    no_fields = "ERR Mandatory argument FIELDS is missing or not at the right position"
    mismatch = "ERR The `numfields` parameter must match the number of arguments"
    not_positive = "ERR Parameter `numFields` should be greater than 0"
    for line, expected in [
        ("HEXPIRE h 1 FIELD 1 a", no_fields),
        ("HEXPIRE h 1 NX XX FIELDS 1 a", no_fields),
        ("HEXPIRE h 1 FIELDS 2 a", mismatch),
        ("HEXPIRE h 1 FIELDS 1 a b", mismatch),
        ("HEXPIRE h 1 NX FIELDS 1", mismatch),
        ("HEXPIRE h 1 FIELDS 0 a", not_positive),
        ("HEXPIRE h 1 FIELDS x a", not_positive),
        ("HEXPIRE h x FIELDS 1 a", "ERR value is not an integer or out of range"),
        ("HEXPIRE h -1 FIELDS 1 a", "ERR invalid expire time, must be >= 0"),
        ("HTTL h FIELD 1 a", no_fields),
        ("HTTL h FIELDS 2 a", mismatch),
        ("HTTL h FIELDS 0 a", "ERR Number of fields must be a positive integer"),
        ("HPERSIST h FIELDS -1 a", "ERR Number of fields must be a positive integer"),
        ("HPERSIST h FIELDS 1 a b", mismatch),
        ("HEXPIRE h 1 FIELDS 1", "ERR wrong number of arguments for 'hexpire' command"),
    ]:
        assert (line, error(run(line))) == (line, expected)


def test_the_latest_deadline(run: Run) -> None:
    run("HSET h a 1")
    last_ms = (1 << 46) - 1
    assert run(f"HPEXPIREAT h {last_ms} FIELDS 1 a") == [1]
    assert run(f"HEXPIREAT h {last_ms // 1000} FIELDS 1 a") == [1]
    for line in (
        *(f"HPEXPIREAT h {last_ms + 1}", f"HEXPIREAT h {last_ms // 1000 + 1}"),
        *(f"HPEXPIRE h {last_ms}", f"HEXPIRE h {last_ms // 1000}", f"HEXPIRE h {2**63 - 1}"),
    ):
        name = line.split()[0].lower()
        assert error(run(f"{line} FIELDS 1 a")) == f"ERR invalid expire time in '{name}' command"


def test_the_type_is_checked_before_the_arguments(run: Run) -> None:
    run("SET s v")
    for name in ("HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST"):
        assert error(run(f"{name} s x 0 a")).startswith("WRONGTYPE")
    for name in ("HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT"):
        assert error(run(f"{name} s x FIELDS 0 a")).startswith("WRONGTYPE")


def test_hpersist(run: Run, time: FakeTime) -> None:
    run("HSET h a 1 b 2 c 3")
    run("HPEXPIRE h 10 FIELDS 1 a")
    run("HPEXPIRE h 20 FIELDS 1 b")
    time.advance(0.01)
    assert run("HPERSIST h FIELDS 4 a b c none") == [-2, 1, -1, -2]
    assert run("HTTL h FIELDS 1 b") == [-1]


# -- what keeps a deadline and what does not


def test_hset_takes_the_deadline_away(run: Run) -> None:
    run("HSET h a 1 b 2")
    run("HEXPIRE h 10 FIELDS 2 a b")
    assert run("HSET h a 3") == 0
    run("HDEL h b")
    run("HSET h b 4")
    assert run("HTTL h FIELDS 2 a b") == [-1, -1]


def test_counting_keeps_the_deadline(run: Run) -> None:
    run("HSET h a 1")
    run("HEXPIRE h 10 FIELDS 1 a")
    assert run("HINCRBY h a 1") == 2
    assert run("HINCRBYFLOAT h a 0.5") == b"2.5"
    assert run("HSETNX h a x") == 0
    assert run("HTTL h FIELDS 1 a") == [10]


def test_rename_copy_and_move_keep_deadlines(run: Run, client: Client, encoding: bytes) -> None:
    run("HSET h a 1 b 2")
    run("HEXPIRE h 10 FIELDS 1 a")
    run("RENAME h g")
    run("COPY g c")
    run("COPY g d DB 1")
    run("MOVE g 2")
    assert run("HTTL c FIELDS 2 a b") == [10, -1]
    dbs = client.server.dbs
    assert [sorted(db.field_expires.when.keys()) for db in dbs[:3]] == [[b"c"], [b"d"], [b"g"]]
    assert [len(db.field_expires) for db in dbs[3:]] == [0] * 13
    run("SELECT 2")
    assert run("HTTL g FIELDS 2 a b") == [10, -1]
    assert run("OBJECT ENCODING g") == encoding
    run("SWAPDB 2 5")
    assert [len(dbs[2].field_expires), len(dbs[5].field_expires)] == [0, 1]
    run("FLUSHALL")
    assert [len(db.field_expires) for db in dbs] == [0] * 16


@pytest.mark.parametrize(
    "line",
    ["DEL h", "UNLINK h", "SET h v", "MSET h v", "RENAME s h", "COPY s h REPLACE", "HDEL h a"],
)
def test_a_hash_that_is_gone_is_not_registered(run: Run, client: Client, line: str) -> None:
    run("SET s v")
    run("HSET h a 1")
    run("HEXPIRE h 10 FIELDS 1 a")
    assert len(client.db.field_expires) == 1
    run(line)
    assert len(client.db.field_expires) == 0


def test_a_key_that_expires_takes_its_registration_along(
    run: Run, client: Client, time: FakeTime
) -> None:
    run("HSET h a 1")
    run("HEXPIRE h 10 FIELDS 1 a")
    run("PEXPIRE h 1")
    time.advance(1)
    assert run("EXISTS h") == 0
    assert len(client.db.field_expires) == 0


# -- expiry on access


def test_fields_are_deleted_on_access(
    run: Run, client: Client, time: FakeTime, fired: Fired, heard: Heard
) -> None:
    client.server.active_expire = False
    run("HSET h a 1 b 2 c 3 d 4 e 5")
    run("HPEXPIRE h 10 FIELDS 5 a b c d e")
    time.advance(0.01)
    heard()
    fired.clear()
    assert run("EXISTS h") == 1
    assert run("HLEN h") == 5
    for number, line in enumerate(["HEXISTS h a", "HGET h b", "HSTRLEN h c"]):
        assert run(line) in (0, None)
        assert run("HLEN h") == 4 - number
        assert client.server.stats.expired_subkeys == number + 1
    assert names(fired) == ["hexpired"] * 3
    assert heard() == [b"HDEL h a", b"HDEL h b", b"HDEL h c"]
    assert run("HDEL h d") == 1
    assert run("HGET h e") is None
    assert names(fired) == ["hdel", "hexpired", "del"]
    assert run("EXISTS h") == 0
    assert len(client.db.field_expires) == 0


def test_reading_a_field_that_expired_is_not_dirty(
    run: Run, client: Client, time: FakeTime
) -> None:
    run("HSET h a 1 b 2")
    run("HPEXPIRE h 1 FIELDS 1 a")
    time.advance(1)
    before = client.server.dirty
    run("HGET h a")
    assert client.server.dirty == before


def test_hmget_fires_once(run: Run, time: FakeTime, fired: Fired, heard: Heard) -> None:
    run("HSET h a 1 b 2 c 3 d 4")
    run("HPEXPIRE h 1 FIELDS 2 a c")
    time.advance(1)
    names(fired)
    heard()
    assert run("HMGET h a b c d") == [None, b"2", None, b"4"]
    assert names(fired) == ["hexpired"]
    assert heard() == [b"MULTI", b"HDEL h a", b"HDEL h c", b"EXEC"]
    run("HPEXPIRE h 1 FIELDS 2 b d")
    time.advance(1)
    names(fired)
    assert run("HMGET h b x d b") == [None, None, None, None]
    assert names(fired) == ["hexpired", "del"]


def test_hmget_of_the_only_field_fires_nothing(run: Run, time: FakeTime, fired: Fired) -> None:
    """Odd, but so it is in Redis (t_hash.c hmgetCommand)."""
    run("HSET h a 1")
    run("HPEXPIRE h 1 FIELDS 1 a")
    time.advance(1)
    names(fired)
    assert run("HMGET h a") == [None]
    assert names(fired) == []
    assert run("EXISTS h") == 0


@pytest.mark.parametrize(
    ("line", "reply"), [("HINCRBY h a 5", 5), ("HINCRBYFLOAT h a 5", b"5"), ("HSETNX h a 5", 1)]
)
@pytest.mark.parametrize("others", ["", " b 2"])
def test_a_field_that_expired_begins_anew(
    run: Run, time: FakeTime, line: str, reply: Reply, others: str
) -> None:
    run(f"HSET h a 10{others}")
    run("HPEXPIRE h 1 FIELDS 1 a")
    time.advance(1)
    assert run(line) == reply
    assert run("HTTL h FIELDS 1 a") == [-1]
    assert run("HGET h a") == b"5"


def test_the_whole_of_a_hash_leaves_out_what_expired(
    run: Run, client: Client, time: FakeTime
) -> None:
    run("HSET h a 1 b 2 c 3")
    run("HPEXPIRE h 10 FIELDS 1 a")
    run("HPEXPIRE h 20 FIELDS 1 b")
    time.advance(0.01)
    assert run("HGETALL h") == {b"b": b"2", b"c": b"3"}
    assert sorted(run("HKEYS h")) == [b"b", b"c"]  # type: ignore[arg-type, type-var]
    assert sorted(run("HVALS h")) == [b"2", b"3"]  # type: ignore[arg-type, type-var]
    assert sorted(run("HSCAN h 0 NOVALUES")[1]) == [b"b", b"c"]  # type: ignore[index, arg-type, type-var]
    assert run("HTTL h FIELDS 1 a") == [-2]
    assert run("HLEN h") == 3
    assert client.server.stats.expired_subkeys == 0


def test_hrandfield_deletes_what_expired(
    run: Run, client: Client, time: FakeTime, heard: Heard, fired: Fired
) -> None:
    run("HSET h a 1 b 2 c 3")
    run("HPEXPIRE h 1 FIELDS 2 a b")
    time.advance(1)
    heard()
    names(fired)
    assert run("HRANDFIELD h 5") == [b"c"]
    assert names(fired) == ["hexpired"]
    assert heard() == [b"MULTI", b"HDEL h a", b"HDEL h b", b"EXEC"]
    assert len(client.db.field_expires) == 0
    run("HPEXPIRE h 1 FIELDS 1 c")
    time.advance(1)
    names(fired)
    assert run("HRANDFIELD h") is None
    assert names(fired) == ["hexpired", "del"]
    assert run("EXISTS h") == 0


def test_a_pause_keeps_what_expired(run: Run, client: Client, time: FakeTime) -> None:
    run("HSET h a 1 b 2")
    run("HPEXPIRE h 10 FIELDS 1 a")
    run("CLIENT PAUSE 1000 WRITE")
    time.advance(0.5)
    assert run("HGET h a") is None
    assert run("HEXISTS h a") == 0
    assert run("HLEN h") == 2
    assert sorted(run("HRANDFIELD h 5")) == [b"a", b"b"]  # type: ignore[arg-type, type-var]
    job = FieldExpiry(client.server)
    assert job.next_ms() == client.server.pause_until_ms
    run("CLIENT UNPAUSE")
    assert job.next_ms() <= client.server.clock.now_ms
    assert run("HGET h a") is None
    assert run("HLEN h") == 1


# -- expiry by itself


def test_fields_expire_by_themselves(
    run: Run,
    client: Client,
    time: FakeTime,
    expire: Callable[[], None],
    fired: Fired,
    heard: Heard,
) -> None:
    run("HSET h a 1 b 2 c 3")
    run("HPEXPIRE h 10 FIELDS 1 a")
    run("HPEXPIRE h 10 FIELDS 1 b")
    run("HPEXPIRE h 5000 FIELDS 1 c")
    heard()
    names(fired)
    time.advance(0.01)
    expire()
    assert names(fired) == ["hexpired"]
    assert sorted(heard()) == [b"HDEL h a", b"HDEL h b"]
    assert run("HLEN h") == 1
    time.advance(5)
    expire()
    assert names(fired) == ["hexpired", "del"]
    assert heard() == [b"HDEL h c"]
    assert run("EXISTS h") == 0
    assert client.server.stats.expired_subkeys == 3
    assert FieldExpiry(client.server).next_ms() == NEVER


def test_an_earlier_deadline_wakes_the_keeper(run: Run, client: Client) -> None:
    server = client.server
    woken: list[int] = []
    server.wake_keeper = lambda: woken.append(server.keeper_ms)
    run("HSET h a 1 b 2 c 3")
    now_ms = server.clock.now_ms
    for seconds, field in [(100, "a"), (10, "b"), (50, "c")]:
        run(f"HEXPIRE h {seconds} FIELDS 1 {field}")
    assert woken[-1] == now_ms + 10_000
    assert server.keeper_ms == now_ms + 10_000
    # A slot of time may have to be opened before.
    assert now_ms < FieldExpiry(server).next_ms() <= now_ms + 10_000


def test_a_registration_that_is_too_early_is_put_right(
    run: Run, client: Client, time: FakeTime, expire: Callable[[], None], fired: Fired
) -> None:
    run("HSET h a 1 b 2")
    run("HPEXPIRE h 10 FIELDS 1 a")
    run("HPEXPIRE h 500 FIELDS 1 b")
    run("HPERSIST h FIELDS 1 a")
    names(fired)
    time.advance(0.01)
    expire()
    assert names(fired) == []
    assert FieldExpiry(client.server).next_ms() == client.server.clock.now_ms + 490
    run("HPERSIST h FIELDS 1 b")
    time.advance(0.49)
    expire()
    assert len(client.db.field_expires) == 0
    assert run("HGETALL h") == {b"a": b"1", b"b": b"2"}


def test_many_fields_and_hashes_expire_in_order(
    run: Run, client: Client, time: FakeTime, expire: Callable[[], None], heard: Heard
) -> None:
    size = 3 * FEW
    for key in ("h", "g"):
        run("HSET", key, "stays", "1", *[word for n in range(size) for word in (n, n)])
        for n in range(size):
            run(f"HPEXPIRE {key} {n * 7919 % size * 1000 + 1} FIELDS 1 {n}")
    heard()
    for seconds in (0.001, 60, 60, size):
        time.advance(seconds)
        expire()
        gone = heard()
        for name in (b"h", b"g"):
            fields = [int(line.split()[2]) for line in gone if line.split()[1] == name]
            assert len(fields) * 2 == len(gone) > 0
            deadlines = [n * 7919 % size for n in fields]
            assert deadlines == sorted(deadlines)
    assert run("HKEYS h") == run("HKEYS g") == [b"stays"]
    assert client.server.stats.expired_subkeys == 2 * size


def test_expiry_is_cut_into_slices(run: Run, client: Client, time: FakeTime) -> None:
    """A hash with very many fields that expire at once holds nobody up."""
    run("HSET", "h", *[word for n in range(5000) for word in (n, n)])
    run("HPEXPIRE", "h", 1, "FIELDS", 5000, *range(5000))
    time.advance(1)
    server = client.server
    server.begin()
    slices = 1
    while expire_fields_due(server, 0):
        slices += 1
    assert slices > 5000 // (2 * FIELDS)
    assert run("EXISTS h") == 0


# -- order, numbers, structure


def test_fields_with_a_deadline_stand_in_front(run: Run, encoding: bytes) -> None:
    if encoding == b"hashtable":
        return
    run("HSET h a 1 b 2 c 3 d 4 e 5")
    run("HEXPIRE h 100 FIELDS 2 d b")
    assert run("HKEYS h") == [b"b", b"d", b"a", b"c", b"e"]
    run("HEXPIRE h 50 FIELDS 1 e")
    run("HEXPIRE h 200 FIELDS 1 a")
    assert run("HKEYS h") == [b"e", b"b", b"d", b"a", b"c"]
    run("HEXPIRE h 100 FIELDS 2 d e")
    assert run("HKEYS h") == [b"e", b"d", b"b", b"a", b"c"]
    run("HSET h d 6")
    run("HSET h f 7")
    run("HPERSIST h FIELDS 1 a")
    run("HINCRBY h b 1")
    assert run("HKEYS h") == [b"e", b"b", b"c", b"d", b"f", b"a"]


def test_hexpire_of_a_missing_field_makes_a_listpackex(run: Run, encoding: bytes) -> None:
    run("HSET h a 1")
    assert run("HEXPIRE h 10 FIELDS 1 none") == [-2]
    assert run("OBJECT ENCODING h") == encoding
    assert run("INFO keyspace").text.endswith(b"subexpiry=0\r\n")  # type: ignore[union-attr]


def test_a_listpackex_becomes_a_hashtable(run: Run, state: ServerState, time: FakeTime) -> None:
    state.thresholds.hash_entries = 4
    run("HSET h a 1 b 2 c 3")
    run("HPEXPIRE h 10 FIELDS 2 a b")
    run("HSET h d 4 e 5")
    assert run("OBJECT ENCODING h") == b"hashtable"
    assert run("HPTTL h FIELDS 3 a b c") == [10, 10, -1]
    time.advance(0.01)
    assert set(run("HGETALL h")) == {b"c", b"d", b"e"}  # type: ignore[arg-type]


def test_info(run: Run, time: FakeTime) -> None:
    run("HSET h a 1 b 2")
    run("HSET g a 1")
    run("HEXPIRE h 10 FIELDS 2 a b")
    reply = run("INFO keyspace")
    assert isinstance(reply, Verbatim)
    assert b"db0:keys=2,expires=0,avg_ttl=0,subexpiry=1\r\n" in reply.text
    time.advance(11)
    run("HGET h a")
    reply = run("INFO stats")
    assert isinstance(reply, Verbatim)
    assert b"expired_subkeys:1\r\n" in reply.text


def test_events_and_dirty(run: Run, state: ServerState, fired: Fired) -> None:
    run("HSET h a 1 b 2 c 3")
    names(fired)
    for line, events, changes in [
        ("HEXPIRE h 10 FIELDS 2 a b", ["hexpire"], 2),
        ("HEXPIRE h 10 NX FIELDS 2 a none", [], 0),
        ("HPERSIST h FIELDS 2 a b", ["hpersist"], 1),
        ("HPERSIST h FIELDS 2 a none", [], 0),
        ("HTTL h FIELDS 1 a", [], 0),
        ("HPEXPIRE h 0 FIELDS 2 a b", ["hdel"], 2),
        ("HPEXPIRE h 0 FIELDS 1 c", ["hdel", "del"], 1),
    ]:
        before = state.dirty
        run(line)
        assert (line, names(fired), state.dirty - before) == (line, events, changes)


def test_what_is_fed(run: Run, client: Client, heard: Heard) -> None:
    run("HSET h a 1 b 2 c 3")
    heard()
    when = client.server.clock.now_ms + 10_000
    for line, fed in [
        ("hexpire h 10 FIELDS 2 a none", [b"HPEXPIREAT h %d FIELDS 1 a" % when]),
        ("HPEXPIRE h 10000 NX FIELDS 2 a b", [b"HPEXPIREAT h %d NX FIELDS 1 b" % when]),
        ("HEXPIREAT h 4000000000 FIELDS 1 a", [b"HPEXPIREAT h 4000000000000 FIELDS 1 a"]),
        ("hpexpireat h 4000000000001 gt fields 1 a", [b"hpexpireat h 4000000000001 gt fields 1 a"]),
        ("HEXPIRE h 10 NX FIELDS 2 a none", []),
        ("HPERSIST h FIELDS 3 a c none", [b"HPERSIST h FIELDS 3 a c none"]),
        ("HPERSIST h FIELDS 1 c", []),
        ("HEXPIREAT h 1 FIELDS 2 a none", [b"HDEL h a"]),
        ("HEXPIREAT h 1 FIELDS 2 b c", [b"MULTI", b"HDEL h b", b"HDEL h c", b"EXEC"]),
    ]:
        run(line)
        assert (line, heard()) == (line, fed)


def test_a_copy_has_deadlines_of_its_own(run: Run) -> None:
    size = 2 * FEW
    run("HSET", "h", *[word for n in range(size) for word in (n, n)])
    run("HEXPIRE", "h", 10, "FIELDS", size, *range(size))
    run("COPY h g")
    run("HPERSIST h FIELDS 1 5")
    assert run("HTTL h FIELDS 2 5 6") == [-1, 10]
    assert run("HTTL g FIELDS 2 5 6") == [10, 10]


def test_deadlines_are_freed_in_slices(run: Run, client: Client, state: ServerState) -> None:
    state.thresholds.hash_entries = 0
    run("HSET", "h", *[word for n in range(1000) for word in (n, n)])
    run("HEXPIRE", "h", 10, "FIELDS", 1000, *range(1000))
    value = client.db.peek(b"h")
    assert isinstance(value, Hash)
    assert value.memory_bytes(5) > 200_000
    gone = collection(value)
    freed = 0
    while len(gone):
        some = gone.free_some(100)
        assert some < 200
        freed += some
    assert freed == 3000  # fields, their deadlines and the places in the wheels
