"""Eviction by value: which keys go, when, and who is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.eviction import DONE, FAILED, OWN_BYTES, UNDER_WAY, time_limit_ns
from redis_trio.jobs import Evicting
from redis_trio.protocol.reply import NULL_ARRAY, OK, RedisError, Reply
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run

OOM = "OOM command not allowed when used memory > 'maxmemory'."


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def fill(run: Run, count: int, options: str = "") -> None:
    for number in range(count):
        run(f"SET key:{number:04} {'v' * 100} {options}")


def allow(run: Run, state: ServerState, keys: float, policy: str) -> None:
    """Set a limit that leaves room for so many of the keys of `fill`."""
    run(f"CONFIG SET maxmemory-policy {policy} maxmemory-eviction-tenacity 100")
    run("CONFIG SET maxmemory 100gb")
    each = (state.eviction.used_bytes() - OWN_BYTES) // sum(len(db.table) for db in state.dbs)
    run(f"CONFIG SET maxmemory {OWN_BYTES + int(each * keys)}")


def keys(run: Run) -> set[bytes]:
    found = run("KEYS *")
    assert isinstance(found, list)
    return {key for key in found if isinstance(key, bytes)}


@pytest.mark.parametrize(
    "policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-ttl"]
)
def test_keys_go_until_the_limit_is_kept(run: Run, state: ServerState, policy: str) -> None:
    fill(run, 200, "EX 1000")
    allow(run, state, 50, policy)
    run("PING")
    assert 45 <= len(keys(run)) <= 50
    assert state.eviction.used_bytes() <= state.eviction.limit
    assert state.eviction.evicted_keys == 200 - len(keys(run))
    assert run("SET another key") is OK


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-random"])
def test_a_volatile_policy_leaves_keys_without_a_deadline(
    run: Run, state: ServerState, policy: str
) -> None:
    fill(run, 100)
    run("EXPIRE key:0001 1000")
    allow(run, state, 50, policy)
    assert error(run("SET another key")) == OOM
    assert len(keys(run)) == 99
    assert b"key:0001" not in keys(run)
    assert run("GET key:0002") == b"v" * 100


def test_without_a_policy_nothing_goes_and_nothing_can_be_added(
    run: Run, state: ServerState
) -> None:
    fill(run, 100)
    allow(run, state, 50, "noeviction")
    assert error(run("SET another key")) == OOM
    assert error(run("LPUSH another key")) == OOM
    assert run("GET key:0002") == b"v" * 100
    assert run("DEL key:0002") == 1
    assert len(keys(run)) == 99
    run("CONFIG SET maxmemory 0")
    assert run("SET another key") is OK


def test_a_transaction_is_refused_as_a_whole(run: Run, state: ServerState) -> None:
    fill(run, 100)
    allow(run, state, 50, "noeviction")
    run("MULTI")
    assert error(run("SET a b")) == OOM
    assert error(run("EXEC")).startswith("EXECABORT")


def test_a_transaction_that_was_queued_in_time_is_refused_at_its_end(
    run: Run, state: ServerState
) -> None:
    fill(run, 100)
    run("MULTI")
    run("SET a b")
    state.config.maxmemory = 1
    state.eviction.follow_config()
    assert error(run("EXEC")) == f"EXECABORT Transaction discarded because of: {OOM}"


def test_the_keys_that_were_not_used_for_longest_go(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    run("CONFIG SET maxmemory-policy allkeys-lru maxmemory-samples 64")
    fill(run, 100)
    time.advance(10)
    state.clock.refresh()
    for number in range(0, 100, 2):
        run(f"GET key:{number:04}")
    allow(run, state, 60, "allkeys-lru")
    run("PING")
    left = keys(run)
    used = {b"key:%04d" % number for number in range(0, 100, 2)}
    assert used <= left
    assert 55 <= len(left) <= 60


def test_the_keys_that_are_used_least_go(run: Run, state: ServerState) -> None:
    run("CONFIG SET maxmemory-policy allkeys-lfu maxmemory-samples 64 lfu-log-factor 0")
    fill(run, 100)
    for _ in range(3):
        for number in range(0, 100, 2):
            run(f"GET key:{number:04}")
    allow(run, state, 60, "allkeys-lfu")
    run("PING")
    assert {b"key:%04d" % number for number in range(0, 100, 2)} <= keys(run)


def test_the_keys_that_expire_first_go(run: Run, state: ServerState) -> None:
    for number in range(100):
        run(f"SET key:{number:04} {'v' * 100} EX {1000 + number}")
    run("CONFIG SET maxmemory-samples 64")
    allow(run, state, 60, "volatile-ttl")
    run("PING")
    assert {b"key:%04d" % number for number in range(60, 100)} <= keys(run)


def test_what_was_used_since_it_was_a_candidate_is_none_any_more(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    run("CONFIG SET maxmemory-policy allkeys-lru maxmemory-samples 64")
    fill(run, 30)
    allow(run, state, 29, "allkeys-lru")
    run("PING")
    time.advance(10)
    state.clock.refresh()
    wanted = sorted(keys(run))[:-1]
    for key in wanted:
        run(f"GET {key.decode()}")
    allow(run, state, 28, "allkeys-lru")
    run("PING")
    assert set(wanted) == keys(run)


def test_each_key_that_goes_is_told_of(
    run: Run,
    state: ServerState,
    heard: Callable[[], list[bytes]],
    fired: list[tuple[str, bytes, int]],
) -> None:
    run("SET a 1")
    run("SET b 2")
    heard()
    fired.clear()
    run("CONFIG SET maxmemory-policy allkeys-random maxmemory 1")
    state.eviction.evict_slice()
    assert sorted(heard()) == [b"DEL a", b"DEL b"]
    assert sorted(fired) == [("evicted", b"a", 0), ("evicted", b"b", 0)]


def test_a_big_value_can_be_freed_later(
    run: Run, state: ServerState, heard: Callable[[], list[bytes]]
) -> None:
    run("RPUSH l " + " ".join([f"element:{number}" for number in range(1000)]))
    heard()
    run("CONFIG SET lazyfree-lazy-eviction yes maxmemory-policy allkeys-random maxmemory 1")
    state.eviction.evict_slice()
    assert heard()[-1] == b"UNLINK l"
    assert state.lazyfree.pending_objects == 1


def test_who_watches_a_key_that_goes_is_refused(run: Run, state: ServerState) -> None:
    run("SET a 1")
    run("WATCH a")
    run("CONFIG SET maxmemory-policy allkeys-random maxmemory 1")
    state.eviction.evict_slice()
    run("CONFIG SET maxmemory 0")
    run("MULTI")
    run("PING")
    assert run("EXEC") is NULL_ARRAY


def test_what_takes_longer_than_the_tenacity_is_left_to_the_keeper(
    run: Run, state: ServerState
) -> None:
    fill(run, 200)
    run("CONFIG SET maxmemory-policy allkeys-random maxmemory-eviction-tenacity 0 maxmemory 1")
    job = Evicting(state)
    assert state.eviction.evict() == UNDER_WAY
    assert 0 < len(keys(run)) < 200
    assert job.next_ms() == state.clock.now_ms
    assert state.eviction.exceeded_ms()[0] >= 0
    while job.next_ms() >= 0:
        job.run()
    assert keys(run) == set()
    assert state.eviction.evict() == FAILED  # an empty server is more than a byte


def test_nothing_goes_while_writes_are_paused(run: Run, state: ServerState) -> None:
    fill(run, 20)
    run("CLIENT PAUSE 1000 WRITE")
    run("CONFIG SET maxmemory-policy allkeys-random maxmemory 1")
    assert state.eviction.evict() == DONE
    assert len(keys(run)) == 20


@pytest.mark.parametrize(
    ("tenacity", "limit_ns"), [(0, 0), (10, 500_000), (11, 575_000), (100, -1)]
)
def test_the_tenacity_sets_the_time(tenacity: int, limit_ns: int) -> None:
    assert time_limit_ns(tenacity) == limit_ns


def test_an_lru_policy_knows_the_idle_time_of_every_key(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    run("CONFIG SET maxmemory-policy volatile-lru")
    run("SET old 1")
    time.advance(100)
    fill(run, 20_000)
    assert run("OBJECT IDLETIME old") == 100
    assert run("OBJECT IDLETIME key:0000") == 0
    run("DEL old")
    run("SET old 2")
    assert run("OBJECT IDLETIME old") == 0


def test_info_tells_what_eviction_has_done(run: Run, state: ServerState) -> None:
    fill(run, 100)
    allow(run, state, 50, "noeviction")
    run("SET a b")
    reply = run("INFO stats")
    assert b"current_eviction_exceeded_time:" in reply.text  # type: ignore[union-attr]
    run("CONFIG SET maxmemory-policy allkeys-random")
    run("PING")
    text = run("INFO stats").text  # type: ignore[union-attr]
    assert b"evicted_keys:0\r\n" not in text
    assert b"current_eviction_exceeded_time:0\r\n" in text
    run("CONFIG RESETSTAT")
    assert b"evicted_keys:0\r\n" in run("INFO stats").text  # type: ignore[union-attr]


def test_a_script_may_not_begin_to_write(run: Run, state: ServerState) -> None:
    fill(run, 100)
    run("CONFIG SET maxmemory 1")
    writes = "return redis.call('SET', 'a', 'b')"
    assert error(run("EVAL", writes, 1, "a")).startswith(OOM)
    assert run("EVAL", "return redis.call('GET', 'key:0001')", 0) == b"v" * 100
    assert run("EVAL", "redis.call('DEL', 'key:0001') " + writes, 0) is not None
    assert run("GET a") == b"b"


def test_a_script_that_says_that_it_minds_no_memory_runs(run: Run, state: ServerState) -> None:
    fill(run, 100)
    run("CONFIG SET maxmemory 1")
    writes = "redis.call('SET', 'a', 'b') return 1"
    assert error(run("EVAL", "#!lua\n" + writes, 0)) == OOM
    assert run("EVAL", "#!lua flags=allow-oom\n" + writes, 0) == 1
    assert run("EVAL", "#!lua flags=no-writes\nreturn 1", 0) == 1
