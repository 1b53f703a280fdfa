"""Deadlines by value: EXPIRE and its relatives, lazy and active expiry."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.client import Client
from redis_trio.data.expires import NEVER
from redis_trio.keyspace.active_expire import expire_due, next_expiry_ms
from redis_trio.protocol.reply import RedisError, Reply
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run

Fired = list[tuple[str, bytes, int]]
Heard = Callable[[], list[bytes]]

SLICE_NS = 1_000_000_000
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NX_CONFLICT = "ERR NX and XX, GT or LT options at the same time are not compatible"
GT_LT_CONFLICT = "ERR GT and LT options at the same time are not compatible"


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def expire_now(state: ServerState, budget_ns: int = SLICE_NS) -> bool:
    """Let the keeper do a slice of active expiry."""
    state.begin()
    more = expire_due(state, budget_ns)
    state.end()
    return more


# -- setting


@pytest.mark.parametrize("name", ["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"])
def test_a_deadline_is_set_in_each_unit(run: Run, state: ServerState, name: str) -> None:
    run("SET k v")
    now_ms = state.clock.now_ms // 1000 * 1000
    amount = {
        "EXPIRE": 100,
        "PEXPIRE": 100_000,
        "EXPIREAT": now_ms // 1000 + 100,
        "PEXPIREAT": now_ms + 100_000,
    }[name]
    assert run(f"{name} k {amount}") == 1
    assert 99_000 <= state.dbs[0].expire_ms(b"k") - state.clock.now_ms <= 100_000
    assert run(f"{name} missing {amount}") == 0


def test_ttl_rounds_to_the_nearest_second(run: Run) -> None:
    run("SET k v")
    run("PEXPIRE k 1499")
    assert (run("TTL k"), run("PTTL k")) == (1, 1499)
    run("PEXPIRE k 1500")
    assert run("TTL k") == 2


def test_ttl_of_a_key_without_deadline_and_of_none(run: Run) -> None:
    run("SET k v")
    for name in ("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"):
        assert run(f"{name} k") == -1
        assert run(f"{name} missing") == -2


def test_expiretime_tells_the_moment(run: Run) -> None:
    run("SET k v")
    run("PEXPIREAT k 33177117420499")
    assert run("PEXPIRETIME k") == 33177117420499
    assert run("EXPIRETIME k") == 33177117420
    run("PEXPIREAT k 33177117420500")
    assert run("EXPIRETIME k") == 33177117421


def test_persist_takes_the_deadline_away(run: Run, fired: Fired, heard: Heard) -> None:
    run("SET k v")
    assert run("PERSIST k") == 0
    run("EXPIRE k 100")
    fired.clear()
    heard()
    assert run("PERSIST k") == 1
    assert fired == [("persist", b"k", 0)]
    assert heard() == [b"PERSIST k"]
    assert run("TTL k") == -1
    assert run("PERSIST missing") == 0


def test_a_deadline_is_fed_as_a_moment(
    run: Run, heard: Heard, fired: Fired, state: ServerState
) -> None:
    run("SET k v")
    heard()
    fired.clear()
    run("EXPIRE k 100")
    first = state.dbs[0].expire_ms(b"k")
    run("EXPIRE k 200 GT xx")
    second = state.dbs[0].expire_ms(b"k")
    run(f"EXPIREAT k {second // 1000 + 100}")
    third = state.dbs[0].expire_ms(b"k")
    run(f"PEXPIREAT k {third + 1} gt")
    lines = [line for line in heard() if line not in (b"MULTI", b"EXEC", b"SELECT 0")]
    assert lines == [
        b"PEXPIREAT k %d" % first,
        b"PEXPIREAT k %d GT xx" % second,
        b"PEXPIREAT k %d" % third,
        b"PEXPIREAT k %d gt" % (third + 1),
    ]
    assert fired == [("expire", b"k", 0)] * 4


@pytest.mark.parametrize("line", ["EXPIRE k 0", "EXPIRE k -1", "EXPIREAT k 1", "PEXPIREAT k -5"])
def test_a_deadline_in_the_past_deletes_the_key(
    run: Run, fired: Fired, heard: Heard, state: ServerState, line: str
) -> None:
    run("SET k v")
    fired.clear()
    heard()
    dirty = state.dirty
    assert run(line) == 1
    assert run("EXISTS k") == 0
    assert fired[0] == ("del", b"k", 0)
    assert heard() == [b"DEL k"]
    assert state.dirty == dirty + 1
    assert state.stats.expired_keys == 0


# -- options and errors


def test_nx_and_xx(run: Run) -> None:
    run("SET k v")
    assert run("EXPIRE k 100 XX") == 0
    assert run("EXPIRE k 100 NX") == 1
    assert run("EXPIRE k 200 NX") == 0
    assert run("EXPIRE k 300 XX") == 1
    assert run("TTL k") == 300


def test_gt_and_lt_take_no_deadline_for_an_infinite_one(run: Run) -> None:
    run("SET k v")
    assert run("EXPIRE k 100 GT") == 0
    assert run("EXPIRE k 100 LT") == 1
    assert run("EXPIRE k 100 GT") == 0
    assert run("EXPIRE k 100 LT") == 0
    assert run("EXPIRE k 200 GT") == 1
    assert run("EXPIRE k 300 LT") == 0
    assert run("EXPIRE k 50 XX LT") == 1
    assert run("TTL k") == 50


def test_options_are_obeyed_by_a_deadline_in_the_past(run: Run) -> None:
    run("SET k v")
    assert run("EXPIRE k -1 GT") == 0
    assert run("EXPIRE k -1 XX") == 0
    assert run("EXISTS k") == 1
    assert run("EXPIRE k -1 LT") == 1
    assert run("EXISTS k") == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("EXPIRE k 1 NX XX", NX_CONFLICT),
        ("EXPIRE k 1 NX GT", NX_CONFLICT),
        ("EXPIRE k 1 lt nx", NX_CONFLICT),
        ("EXPIRE k 1 NX GT LT", NX_CONFLICT),
        ("EXPIRE k 1 GT LT", GT_LT_CONFLICT),
        ("EXPIRE k 1 AB", "ERR Unsupported option AB"),
        ("EXPIRE k 1 XX Ab", "ERR Unsupported option Ab"),
        ("EXPIRE k x AB", "ERR Unsupported option AB"),
        ("EXPIRE k x NX XX", NX_CONFLICT),
        ("EXPIRE k x", NOT_AN_INTEGER),
        ("EXPIRE k 1.5", NOT_AN_INTEGER),
        ("EXPIRE k 9223372036854775808", NOT_AN_INTEGER),
        ("EXPIRE k 9223372036854776", "ERR invalid expire time in 'expire' command"),
        ("EXPIRE k 9223372036854775", "ERR invalid expire time in 'expire' command"),
        ("EXPIRE k -9223372036854776", "ERR invalid expire time in 'expire' command"),
        ("PEXPIRE k 9223372036854775807", "ERR invalid expire time in 'pexpire' command"),
        ("EXPIREAT k 9223372036854776", "ERR invalid expire time in 'expireat' command"),
        ("EXPIRE missing 9223372036854775", "ERR invalid expire time in 'expire' command"),
    ],
)
def test_errors(run: Run, line: str, message: str) -> None:
    run("SET k v")
    assert error(run(line)) == message
    assert run("TTL k") == -1


def test_the_last_moment_there_is_can_be_set(run: Run) -> None:
    run("SET k v")
    assert run("PEXPIREAT k 9223372036854775807") == 1
    assert run("PEXPIRETIME k") == 9223372036854775807
    assert run("EXPIREAT k 9223372036854775") == 1


# -- lazy


def test_a_key_is_gone_when_its_time_is_over(
    run: Run, time: FakeTime, fired: Fired, heard: Heard, state: ServerState
) -> None:
    run("SET k v PX 1000")
    time.advance(0.999)
    assert run("GET k") == b"v"
    heard()
    fired.clear()
    dirty = state.dirty
    time.advance(0.002)
    assert run("GET k") is None
    assert fired == [("expired", b"k", 0), ("keymiss", b"k", 0)]
    assert heard() == [b"DEL k"]
    assert state.stats.expired_keys == 1
    assert state.dirty == dirty


def test_every_way_to_look_finds_an_expired_key_gone(run: Run, time: FakeTime) -> None:
    for line, reply in [
        ("EXISTS k", 0),
        ("TTL k", -2),
        ("TOUCH k", 0),
        ("PERSIST k", 0),
        ("EXPIRE k 10", 0),
        ("COPY k c", 0),
        ("MOVE k 1", 0),
        ("OBJECT ENCODING k", None),
        ("RENAMENX other k", 1),
    ]:
        run("SET k v PX 10")
        run("SET other v")
        time.advance(1)
        assert run(line) == reply, line


def test_a_write_over_an_expired_key_does_not_inherit_its_deadline(
    run: Run, time: FakeTime, state: ServerState
) -> None:
    run("SET k v PX 10")
    time.advance(1)
    run("SETRANGE k 0 x")
    assert run("TTL k") == -1
    run("SET k v PX 10")
    run("CLIENT PAUSE 100000 WRITE")
    time.advance(1)
    state.dbs[0].replace(b"k", b"w")
    assert run("TTL k") == -1


# -- active


def test_keys_expire_in_the_order_of_their_deadlines_across_databases(
    run: Run, time: FakeTime, fired: Fired, heard: Heard, state: ServerState
) -> None:
    run("SET c v PX 300")
    run("SET a v PX 100")
    run("SELECT 3")
    run("SET b v PX 200")
    fired.clear()
    heard()
    time.advance(1)
    assert expire_now(state) is False
    assert fired == [("expired", b"a", 0), ("expired", b"b", 3), ("expired", b"c", 0)]
    lines = heard()
    assert [line for line in lines if line.startswith(b"DEL")] == [b"DEL a", b"DEL b", b"DEL c"]
    assert b"MULTI" not in lines
    assert next_expiry_ms(state) == NEVER


def test_the_keeper_is_told_of_a_nearer_deadline_only(run: Run, state: ServerState) -> None:
    woken: list[int] = []
    state.wake_keeper = lambda: woken.append(state.keeper_ms)
    run("SET a v EX 1000")
    assert len(woken) == 1
    run("SET b v EX 2000")
    run("SET c v")
    assert len(woken) == 1
    run("SET d v")
    run("EXPIRE d 10")
    assert len(woken) == 2
    assert next_expiry_ms(state) <= state.dbs[0].expire_ms(b"d")


def test_active_expiry_can_be_switched_off(run: Run, time: FakeTime, state: ServerState) -> None:
    run("SET k v PX 10")
    state.active_expire = False
    time.advance(1)
    assert next_expiry_ms(state) == NEVER
    assert expire_now(state) is False
    assert run("DBSIZE") == 1
    state.active_expire = True
    expire_now(state)
    assert run("DBSIZE") == 0


def test_nothing_expires_actively_in_a_pause(run: Run, time: FakeTime, state: ServerState) -> None:
    run("SET k v PX 10")
    run("CLIENT PAUSE 5000 WRITE")
    until_ms = state.pause_until_ms
    time.advance(1)
    assert next_expiry_ms(state) == until_ms
    assert expire_now(state) is False
    assert run("DBSIZE") == 1
    time.advance(10)
    expire_now(state)
    assert run("DBSIZE") == 0


def test_a_slice_ends_when_its_time_is_over(run: Run, time: FakeTime, state: ServerState) -> None:
    client_db = state.dbs[0]
    for number in range(1000):
        key = b"%d" % number
        client_db.set(key, b"v")
        client_db.expire_at(key, state.clock.now_ms + 5)
    time.advance(1)
    slices = 1
    while expire_now(state, 0):
        slices += 1
        assert next_expiry_ms(state) <= state.clock.now_ms
    assert slices >= 10
    assert state.stats.expired_keys == 1000
    assert state.stats.expire_time_cap_reached == slices - 1


def test_an_expired_value_of_many_elements_is_freed_later(
    run: Run, time: FakeTime, client: Client, state: ServerState
) -> None:
    class Members:
        type_name = b"set"

        def free_effort(self) -> int:
            return 1000

        def __len__(self) -> int:
            return 0

        def free_some(self, limit: int) -> int:
            return 0

        def memory_bytes(self, samples: int) -> int:
            return 1000

    client.db.set(b"k", Members())
    run("PEXPIRE k 10")
    time.advance(1)
    expire_now(state)
    assert state.lazyfree.pending_objects == 1
    assert run("EXISTS k") == 0
