"""The generic commands by value: replies, errors, events, what is fed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from redis_trio.client import Client
from redis_trio.commands.generic import read_cursor
from redis_trio.data.set import Set
from redis_trio.keyspace.lazyfree import LAZYFREE_THRESHOLD
from redis_trio.protocol.reply import OK, RedisError, Reply, Status
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run

Fired = list[tuple[str, bytes, int]]
Heard = Callable[[], list[bytes]]

SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
SAME_OBJECT = "ERR source and destination objects are the same"
NO_SUCH_KEY = "ERR no such key"
INT_RANGE = "ERR value is out of range, value must between -2147483648 and 2147483647"
DB_RANGE = "ERR DB index is out of range"


class Members:
    """A collection as the keyspace sees one."""

    type_name = b"list"

    def __init__(self, size: int) -> None:
        self.members = list(range(size))

    def encoding(self) -> bytes:
        return b"quicklist"

    def copy(self) -> object:
        return Members(len(self.members))

    def free_effort(self) -> int:
        return len(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def free_some(self, limit: int) -> int:
        before = len(self.members)
        del self.members[:limit]
        return before - len(self.members)

    def memory_bytes(self, samples: int) -> int:
        return 64 * len(self.members)


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def status(reply: Reply) -> bytes:
    assert isinstance(reply, Status), reply
    return reply.text


def array(reply: Reply) -> list[bytes]:
    assert isinstance(reply, list)
    return [item for item in reply if isinstance(item, bytes)]


# -- DEL, UNLINK, EXISTS, TOUCH, TYPE


@pytest.mark.parametrize("name", ["DEL", "UNLINK"])
def test_del_counts_the_keys_that_were_there(run: Run, fired: Fired, name: str) -> None:
    run("MSET a 1 b 2 c 3")
    fired.clear()
    assert run(f"{name} a x b a") == 2
    assert run("EXISTS a b c") == 1
    assert fired[:2] == [("del", b"a", 0), ("del", b"b", 0)]


def test_del_is_fed_as_it_was_sent_if_it_deleted_anything(run: Run, heard: Heard) -> None:
    run("SET a 1")
    heard()
    run("DEL a x")
    assert heard() == [b"DEL a x"]
    run("DEL a x")
    assert heard() == []


def test_del_does_not_count_a_key_whose_time_is_over(
    run: Run, time: FakeTime, heard: Heard
) -> None:
    run("SET a 1 PX 10")
    heard()
    time.advance(1)
    assert run("DEL a") == 0
    assert heard() == [b"DEL a"]


def test_a_big_collection_is_freed_in_slices_after_del(
    run: Run, state: ServerState, client: Client
) -> None:
    big = Members(1000)
    client.db.set(b"big", big)
    client.db.set(b"small", Members(LAZYFREE_THRESHOLD))
    assert run("DEL big small") == 2
    assert state.lazyfree.pending_objects == 1
    assert len(big) == 1000
    steps = 1
    while state.lazyfree.step(0):
        steps += 1
    assert steps == 10
    assert len(big) == 0
    assert (state.lazyfree.pending_objects, state.lazyfree.freed_objects) == (0, 1)


def test_exists_counts_a_key_as_often_as_it_is_named(run: Run) -> None:
    run("SET a 1")
    assert run("EXISTS a b a") == 2


def test_touch_counts_keys_and_makes_them_recent(run: Run, time: FakeTime) -> None:
    run("SET a 1")
    time.advance(100)
    assert run("OBJECT IDLETIME a") == 100
    assert run("EXISTS a") == 1
    assert run("TYPE a") is not None
    assert run("TTL a") == -1
    assert run("OBJECT IDLETIME a") == 100
    assert run("TOUCH a b a") == 2
    assert run("OBJECT IDLETIME a") == 0


def test_touch_is_an_access_even_of_a_client_that_does_not_touch(run: Run, time: FakeTime) -> None:
    run("SET a 1")
    run("CLIENT NO-TOUCH on")
    time.advance(100)
    run("GET a")
    assert run("OBJECT IDLETIME a") == 100
    run("TOUCH a")
    assert run("OBJECT IDLETIME a") == 0


def test_hits_and_misses_are_counted_by_what_reads(run: Run, state: ServerState) -> None:
    run("SET a 1")
    run("EXISTS a b")
    run("TYPE a")
    run("TTL b")
    run("TOUCH a")
    run("OBJECT ENCODING b")
    run("DEL b")
    assert (state.stats.keyspace_hits, state.stats.keyspace_misses) == (3, 3)


def test_type_names_the_type(run: Run, client: Client) -> None:
    run("SET s 1")
    client.db.set(b"l", Members(1))
    assert [status(run(f"TYPE {key}")) for key in ("s", "l", "x")] == [b"string", b"list", b"none"]


# -- KEYS, SCAN, RANDOMKEY


def test_keys_matches_by_pattern(run: Run) -> None:
    run("MSET user:1 a user:2 b item:1 c h[llo d")
    assert sorted(array(run("KEYS user:*"))) == [b"user:1", b"user:2"]
    assert sorted(array(run("KEYS *:1"))) == [b"item:1", b"user:1"]
    assert array(run("KEYS user:1")) == [b"user:1"]
    assert array(run("KEYS user")) == []
    assert array(run("KEYS h\\[llo")) == [b"h[llo"]
    assert len(array(run("KEYS *"))) == 4


def test_only_a_bare_star_matches_the_empty_key(run: Run) -> None:
    run("SET", "", "v")
    assert array(run("KEYS *")) == [b""]
    assert array(run("KEYS **")) == []
    assert run("SCAN 0 MATCH **") == [b"0", []]
    assert run("SCAN 0 MATCH *") == [b"0", [b""]]


def test_keys_leaves_expired_keys_out_and_in_place(run: Run, time: FakeTime) -> None:
    run("SET a 1 PX 10")
    run("SET b 1")
    time.advance(1)
    assert array(run("KEYS *")) == [b"b"]
    assert array(run("KEYS a")) == []
    assert run("DBSIZE") == 2


def test_scan_returns_every_key_once_while_nothing_changes(run: Run) -> None:
    for number in range(1000):
        run(f"SET key:{number} v")
    for options in ("", "COUNT 1", "COUNT 100", "COUNT 5000", "MATCH key:*", "TYPE STRING"):
        found: Counter[bytes] = Counter()
        cursor = b"0"
        while True:
            reply = run(f"SCAN {cursor.decode()} {options}")
            assert isinstance(reply, list)
            cursor, keys = reply
            found.update(keys)
            if cursor == b"0":
                break
        assert found == Counter(b"key:%d" % number for number in range(1000)), options


def test_scan_deletes_the_expired_keys_it_meets(run: Run, time: FakeTime, heard: Heard) -> None:
    run("SET a 1 PX 10")
    run("SET b 1")
    heard()
    time.advance(1)
    assert run("SCAN 0") == [b"0", [b"b"]]
    assert run("DBSIZE") == 1
    assert heard() == [b"DEL a"]


def test_scan_spares_an_expired_key_that_does_not_match(run: Run, time: FakeTime) -> None:
    run("SET a 1 PX 10")
    time.advance(1)
    assert run("SCAN 0 MATCH b*") == [b"0", []]
    assert run("DBSIZE") == 1
    assert run("SCAN 0 MATCH a* TYPE list") == [b"0", []]
    assert run("DBSIZE") == 0


def test_scan_by_type(run: Run, client: Client) -> None:
    run("SET s 1")
    client.db.set(b"l", Members(1))
    assert run("SCAN 0 TYPE string") == [b"0", [b"s"]]
    assert run("SCAN 0 TYPE LIST") == [b"0", [b"l"]]
    assert run("SCAN 0 TYPE nonsense") == [b"0", []]
    assert run("SCAN 0 TYPE none") == [b"0", []]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SCAN x", "ERR invalid cursor"),
        ("SCAN -1", "ERR invalid cursor"),
        ("SCAN 18446744073709551616", "ERR invalid cursor"),
        ('SCAN ""', "ERR invalid cursor"),
        ("SCAN 0x1", "ERR invalid cursor"),
        ("SCAN x COUNT y", "ERR invalid cursor"),
        ("SCAN 0 COUNT", SYNTAX),
        ("SCAN 0 COUNT 0", SYNTAX),
        ("SCAN 0 COUNT -1", SYNTAX),
        ("SCAN 0 COUNT x", NOT_AN_INTEGER),
        ("SCAN 0 MATCH", SYNTAX),
        ("SCAN 0 TYPE", SYNTAX),
        ("SCAN 0 LIMIT 1", SYNTAX),
        ("SCAN 0 NOVALUES", "ERR NOVALUES option can only be used in HSCAN"),
    ],
)
def test_scan_errors(run: Run, line: str, message: str) -> None:
    assert error(run(line)) == message


def test_a_cursor_is_read_as_strtoull_reads_it() -> None:
    assert read_cursor(b"18446744073709551615") == 2**64 - 1
    assert read_cursor(b" 7") == 7
    assert read_cursor(b"+7") == 7
    assert read_cursor(b"007") == 7
    assert read_cursor(b"7\x00junk") == 7
    assert read_cursor(b"-18446744073709551615") == 1
    assert read_cursor(b"0" * 5000 + b"1") == 1


def test_randomkey_picks_from_all_keys(run: Run, state: ServerState) -> None:
    assert run("RANDOMKEY") is None
    run("MSET a 1 b 2 c 3")
    state.rng.seed(1)
    assert {run("RANDOMKEY") for _ in range(50)} == {b"a", b"b", b"c"}


def test_randomkey_deletes_expired_keys_until_it_finds_another(run: Run, time: FakeTime) -> None:
    for number in range(300):
        run(f"SET {number} v PX 10")
    run("SET a 1")
    time.advance(1)
    assert run("RANDOMKEY") == b"a"
    run("DEL a")
    assert run("RANDOMKEY") is None
    assert run("DBSIZE") == 0


def test_randomkey_ends_while_a_pause_keeps_expired_keys(run: Run, time: FakeTime) -> None:
    run("SET a 1 PX 10")
    run("CLIENT PAUSE 100000 WRITE")
    time.advance(1)
    assert run("RANDOMKEY") == b"a"
    assert run("GET a") is None
    assert run("EXISTS a") == 0
    run("CLIENT UNPAUSE")
    assert run("RANDOMKEY") is None


# -- RENAME, COPY, MOVE


def test_rename_takes_value_and_deadline_along(run: Run, fired: Fired, state: ServerState) -> None:
    run("SET a 1 EX 100")
    run("SET b 2")
    fired.clear()
    dirty = state.dirty
    assert run("RENAME a b") is OK
    assert run("GET b") == b"1"
    assert run("TTL b") == 100
    assert run("EXISTS a") == 0
    assert state.dirty == dirty + 1
    assert fired[:3] == [("new", b"b", 0), ("rename_from", b"a", 0), ("rename_to", b"b", 0)]


def test_rename_onto_a_key_with_a_deadline_drops_that(run: Run) -> None:
    run("SET a 1")
    run("SET b 2 EX 100")
    run("RENAME a b")
    assert run("TTL b") == -1


def test_rename_to_itself_changes_nothing(run: Run, state: ServerState) -> None:
    run("SET a 1")
    dirty = state.dirty
    assert run("RENAME a a") is OK
    assert run("RENAMENX a a") == 0
    assert run("GET a") == b"1"
    assert state.dirty == dirty
    assert error(run("RENAME x x")) == NO_SUCH_KEY


def test_renamenx_spares_a_key_that_is_there(run: Run) -> None:
    run("MSET a 1 b 2")
    assert run("RENAMENX a b") == 0
    assert run("RENAMENX a c") == 1
    assert run("GET c") == b"1"
    assert error(run("RENAMENX x b")) == NO_SUCH_KEY


def test_copy_takes_the_deadline_along(run: Run, fired: Fired) -> None:
    run("SET a 1 EX 100")
    fired.clear()
    assert run("COPY a b") == 1
    assert run("TTL b") == 100
    assert run("GET a") == b"1"
    assert fired[:2] == [("new", b"b", 0), ("copy_to", b"b", 0)]
    assert run("COPY x c") == 0


def test_copy_overwrites_only_with_replace(run: Run) -> None:
    run("SET a 1")
    run("SET b 2 EX 100")
    assert run("COPY a b") == 0
    assert run("COPY a b REPLACE") == 1
    assert run("GET b") == b"1"
    assert run("TTL b") == -1


def test_copy_to_another_database(run: Run, fired: Fired) -> None:
    run("SET a 1")
    assert run("COPY a a DB 3") == 1
    assert fired[-1] == ("copy_to", b"a", 3)
    run("SELECT 3")
    assert run("GET a") == b"1"


def test_a_copy_of_a_string_changed_in_place_is_independent(run: Run) -> None:
    run("SET a x")
    run("APPEND a y")
    run("COPY a b")
    run("APPEND a z")
    assert run("GET b") == b"xy"
    assert run("OBJECT ENCODING b") == b"raw"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("COPY a a", SAME_OBJECT),
        ("COPY a a DB 0", SAME_OBJECT),
        ("COPY a b DB", SYNTAX),
        ("COPY a b DB x", NOT_AN_INTEGER),
        ("COPY a b DB 16", DB_RANGE),
        ("COPY a b DB -1", DB_RANGE),
        ("COPY a b DB 4294967296", INT_RANGE),
        ("COPY a b OVER", SYNTAX),
        ("MOVE a 0", SAME_OBJECT),
        ("MOVE a 16", DB_RANGE),
        ("MOVE a x", NOT_AN_INTEGER),
        ("MOVE a 4294967296", INT_RANGE),
    ],
)
def test_copy_and_move_errors(run: Run, line: str, message: str) -> None:
    assert error(run(line)) == message


def test_move_takes_value_and_deadline_along(run: Run, fired: Fired, state: ServerState) -> None:
    run("SET a 1 EX 100")
    dirty = state.dirty
    fired.clear()
    assert run("MOVE a 2") == 1
    assert state.dirty == dirty + 1
    assert fired == [("new", b"a", 2), ("move_from", b"a", 0), ("move_to", b"a", 2)]
    assert run("EXISTS a") == 0
    run("SELECT 2")
    assert run("GET a") == b"1"
    assert run("TTL a") == 100


def test_move_spares_a_key_that_is_there(run: Run) -> None:
    run("SET a 1")
    run("COPY a a DB 2")
    assert run("MOVE a 2") == 0
    assert run("MOVE x 2") == 0
    assert run("EXISTS a") == 1


# -- OBJECT


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        ("12345", b"int"),
        ("-9223372036854775808", b"int"),
        ("9223372036854775808", b"embstr"),
        ("01", b"embstr"),
        ("", b"embstr"),
        ("x" * 44, b"embstr"),
        ("x" * 45, b"raw"),
    ],
)
def test_object_encoding_of_strings(run: Run, value: str, encoding: bytes) -> None:
    run("SET", "k", value)
    assert run("OBJECT ENCODING k") == encoding


def test_object_encoding_of_other_types_is_their_own(run: Run, client: Client) -> None:
    client.db.set(b"l", Members(1))
    assert run("OBJECT ENCODING l") == b"quicklist"
    assert run("OBJECT ENCODING x") is None


def test_object_refcount_tells_the_shared_integers(run: Run) -> None:
    run("MSET a 0 b 9999 c 10000 d -1 e x f 01")
    counts = [run(f"OBJECT REFCOUNT {key}") for key in "abcdef"]
    assert counts == [2**31 - 1, 2**31 - 1, 1, 1, 1, 1]
    run("CONFIG SET maxmemory 100mb maxmemory-policy allkeys-lru")
    assert run("OBJECT REFCOUNT a") == 1
    assert run("OBJECT REFCOUNT x") is None


def test_object_idletime_counts_whole_seconds_of_the_clock(run: Run, time: FakeTime) -> None:
    run("SET a 1")
    time.advance(10)
    assert run("OBJECT IDLETIME a") == 10
    run("GET a")
    assert run("OBJECT IDLETIME a") == 0
    assert run("OBJECT IDLETIME x") is None


def test_object_freq_needs_an_lfu_policy(run: Run) -> None:
    run("SET a 1")
    assert error(run("OBJECT FREQ a")).startswith("ERR An LFU maxmemory policy is not selected")
    assert run("OBJECT FREQ x") is None
    run("CONFIG SET maxmemory-policy allkeys-lfu")
    assert run("OBJECT FREQ a") == 5
    assert error(run("OBJECT IDLETIME a")).startswith("ERR An LFU maxmemory policy is selected")


def test_an_access_frequency_rises_with_use_and_falls_with_time(
    run: Run, time: FakeTime, state: ServerState
) -> None:
    state.rng.seed(1)
    run("CONFIG SET maxmemory-policy allkeys-lfu lfu-log-factor 10 lfu-decay-time 1")
    run("SET a 1")
    assert run("OBJECT FREQ a") == 5
    for _ in range(100):
        run("GET a")
    often = run("OBJECT FREQ a")
    assert isinstance(often, int)
    assert 6 <= often <= 15
    time.advance(3 * 60)
    assert run("OBJECT FREQ a") == often - 3
    time.advance(3600)
    assert run("OBJECT FREQ a") == 0
    run("DEL a")
    run("SET a 1")
    assert run("OBJECT FREQ a") == 5


def test_object_help_and_unknown_subcommands(run: Run) -> None:
    lines = run("OBJECT HELP")
    assert isinstance(lines, list)
    assert b"ENCODING <key>" in [status(line) for line in lines]
    assert error(run("OBJECT x y")) == "ERR unknown subcommand 'x'. Try OBJECT HELP."


# -- databases as a whole


def test_a_flushed_database_is_freed_in_slices(run: Run, state: ServerState) -> None:
    for number in range(5000):
        run(f"SET {number} v EX 1000")
    assert run("FLUSHALL") is OK
    assert run("DBSIZE") == 0
    assert state.lazyfree.pending_objects == 5000
    run("SET new 1")
    steps = 1
    while state.lazyfree.step(0):
        steps += 1
    assert steps > 50
    assert (state.lazyfree.pending_objects, state.lazyfree.freed_objects) == (0, 5000)
    assert run("GET new") == b"1"


def test_a_big_value_of_a_flushed_database_is_freed_in_slices(
    run: Run, client: Client, state: ServerState
) -> None:
    run("SADD", "big", *range(10_000))
    run("SADD small 1 2 3")
    big = client.db.peek(b"big")
    assert isinstance(big, Set)
    run("FLUSHALL")
    sizes = [len(big)]
    while state.lazyfree.step(0):
        sizes.append(len(big))
        assert sizes[-2] - sizes[-1] < 1000
    assert (len(big), len(sizes) > 50) == (0, True)
    assert (state.lazyfree.pending_objects, state.lazyfree.freed_objects) == (0, 2)


def test_an_empty_database_leaves_nothing_to_free(run: Run, state: ServerState) -> None:
    run("FLUSHALL")
    assert not state.lazyfree.busy


def test_swapped_databases_keep_their_deadlines(
    run: Run, client: Client, state: ServerState
) -> None:
    run("SET a 1 EX 100")
    state.dbs[0].swap_with(state.dbs[1])
    assert run("EXISTS a") == 0
    run("SELECT 1")
    assert run("TTL a") == 100
