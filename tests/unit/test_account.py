"""The account of memory: what is counted as it comes and goes is what a fresh count says."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from redis_trio.keyspace import account as account_module
from redis_trio.keyspace.account import database_bytes, deadlines_bytes, places_bytes, sampled_bytes
from redis_trio.persistence.rdb_format import VERSION
from redis_trio.persistence.rdb_writer import RdbWriter
from redis_trio.persistence.snapshot import Snapshot
from redis_trio.state import ServerState
from tests.unit.conftest import Run

COMMANDS = [
    "SET {k} {v}",
    "SET {k} {v} EX 100",
    "SET {k} {v} GET",
    "GETDEL {k}",
    "APPEND {k} {v}",
    "SETRANGE {k} 200 {v}",
    "SETBIT {k} 900 1",
    "INCRBYFLOAT {k} 1.5",
    "MSET {k} {v} {o} {v}",
    "HSET {k} {f} {v} a 1",
    "HDEL {k} {f} a",
    "HINCRBY {k} a 7",
    "HPEXPIRE {k} 5000 FIELDS 1 a",
    "SADD {k} {f} {v} 1 2 3",
    "SREM {k} {f} 1",
    "SPOP {k} 2",
    "SUNIONSTORE {k} {o} {k}",
    "SMOVE {k} {o} {f}",
    "ZADD {k} 1 {f} 2 {v}",
    "ZREMRANGEBYRANK {k} 0 1",
    "ZRANGESTORE {k} {o} 0 -1",
    "RPUSH {k} {f} {v} {v}",
    "LPOP {k} 2",
    "LTRIM {k} 1 3",
    "LMOVE {k} {o} LEFT RIGHT",
    "LINSERT {k} BEFORE {f} {v}",
    "XADD {k} * {f} {v}",
    "XTRIM {k} MAXLEN 2",
    "XGROUP CREATE {k} g 0",
    "PFADD {k} {f} {v}",
    "RENAME {k} {o}",
    "COPY {k} {o} REPLACE",
    "MOVE {k} 1",
    "SWAPDB 0 1",
    "SORT {k} ALPHA STORE {o}",
    "DEL {k} {o}",
    "UNLINK {k}",
    "EXPIRE {k} 10",
    "PERSIST {k}",
    "GET {k}",
    "HGETALL {k}",
]


def counted(state: ServerState) -> list[int]:
    """What the account says of each database."""
    state.account.settle()
    return [db.data_bytes for db in state.dbs]


def fresh(state: ServerState) -> list[int]:
    """What counting everything anew says."""
    state.account.begin()
    return counted(state)


def begin(run: Run) -> None:
    run("CONFIG SET maxmemory 100gb")


@pytest.mark.parametrize("seed", range(6))
def test_whatever_runs_the_account_says_what_a_fresh_count_says(
    run: Run, state: ServerState, seed: int
) -> None:
    begin(run)
    rng = random.Random(seed)
    for number in range(400):
        line = rng.choice(COMMANDS).format(
            k=f"key{rng.randrange(8)}",
            o=f"key{rng.randrange(8)}",
            f=f"field{rng.randrange(40)}",
            v="v" * rng.choice([1, 20, 70, 700]),
        )
        run(line)
        if number % 50 == 0:
            assert counted(state) == fresh(state), line
    assert counted(state) == fresh(state)
    run("FLUSHALL")
    assert counted(state) == [0] * 16


def test_transactions_and_scripts_are_counted_too(run: Run, state: ServerState) -> None:
    begin(run)
    run("MULTI")
    for number in range(10):
        run(f"APPEND s {'x' * 100}")
        run(f"RPUSH l {number}")
    run("EXEC")
    run("EVAL", "redis.call('APPEND', 's', 'y') redis.call('HSET', 'h', 'a', 'b')", 0)
    assert counted(state) == fresh(state)


def test_fields_that_expire_are_taken_off(run: Run, state: ServerState, time: object) -> None:
    begin(run)
    run("HSET h a " + "x" * 1000 + " b 1")
    run("HPEXPIRE h 10 FIELDS 1 a")
    before = counted(state)[0]
    time.advance(1)  # type: ignore[attr-defined]
    run("HGET h a")
    assert counted(state)[0] < before - 900
    assert counted(state) == fresh(state)


def test_an_empty_database_takes_nothing(run: Run, state: ServerState) -> None:
    begin(run)
    run("SET k " + "x" * 1000)
    assert counted(state)[0] > 1000
    run("DEL k")
    assert state.dbs[0].data_bytes == 0


def test_nothing_is_counted_without_a_limit(run: Run, state: ServerState) -> None:
    begin(run)
    run("CONFIG SET maxmemory 0")
    run("RPUSH l " + "x" * 1000)
    assert state.dbs[0].data_bytes == 0
    begin(run)
    assert counted(state)[0] > 1000


def test_a_census_that_takes_too_long_takes_the_rest_to_be_alike(
    run: Run, state: ServerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1000):
        run(f"SET key:{number:04} {'v' * 50}")
    for number in range(1000):
        run(f"RPUSH list:{number:04} {'v' * 50}")
    exact = fresh(state)[0]
    monkeypatch.setattr(account_module, "CENSUS_NS", 0)
    guess = fresh(state)[0]
    assert guess == pytest.approx(exact, rel=0.2)
    state.accounting = True
    for number in range(1000):
        run(f"DEL key:{number:04} list:{number:04}")
    assert counted(state)[0] == 0


def test_while_a_snapshot_keeps_a_value_its_copy_counts(run: Run, state: ServerState) -> None:
    begin(run)
    for number in range(300):
        run(f"RPUSH l element:{number}")
    before = counted(state)[0]
    snapshot = Snapshot(state, RdbWriter(VERSION, compressed=False, checksummed=False), [])
    run("RPUSH l one")
    assert before < counted(state)[0] < before + 500
    assert counted(state) == fresh(state)
    snapshot.close()


def test_a_sample_of_the_keys_tells_what_all_take(run: Run, state: ServerState) -> None:
    for number in range(3000):
        run(f"SET key:{number:05} {'v' * (number % 100)}")
    exact = fresh(state)[0]
    assert sampled_bytes(state.dbs[0], 10_000) == exact
    assert sampled_bytes(state.dbs[0], 500) == pytest.approx(exact, rel=0.1)


INTEGERS = " ".join([str(number) for number in range(50)])
SHAPES = {
    "short strings": [f"SET key:{number:06} {number}" for number in range(4000)],
    "strings": [f"SET key:{number:06} {'v' * 300}" for number in range(2000)],
    "long strings": [f"SET key:{number:06} {'v' * 100_000}" for number in range(20)],
    "strings that expire": [f"SET key:{number:06} v EX {1000 + number}" for number in range(4000)],
    "strings that grow": [f"APPEND key:{number % 999:06} {'v' * 50}" for number in range(3000)],
    "small hashes": [f"HSET h{number // 5} field{number} value{number}" for number in range(6000)],
    "a big hash": [f"HSET h field:{number} value:{number}" for number in range(6000)],
    "small sets": [f"SADD s{number // 9} member{number}" for number in range(6000)],
    "sets of integers": [f"SADD s{number} {INTEGERS}" for number in range(1000)],
    "a big set": [f"SADD s member:{number}" for number in range(6000)],
    "small sorted sets": [f"ZADD z{number // 9} {number} m{number}" for number in range(6000)],
    "a big sorted set": [f"ZADD z {number * 7 % 6007} m{number}" for number in range(6000)],
    "small lists": [f"RPUSH l{number // 9} element{number}" for number in range(6000)],
    "a big list": [f"RPUSH l element:{number}" for number in range(9000)],
    "small streams": [f"XADD x{number // 9} * f value{number}" for number in range(4000)],
    "a big stream": [f"XADD x * f value{number}" for number in range(6000)],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_counted_is_what_python_has_given_out(
    run: Run, state: ServerState, shape: str
) -> None:
    """Within ten percent of what tracemalloc sees; it sees what is asked for, before rounding."""
    begin(run)
    db = state.dbs[0]
    before = database_bytes(db)
    for line in SHAPES[shape][:5]:
        run(line)
    run("FLUSHALL")
    while state.lazyfree.step(10**9):
        pass
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        for line in SHAPES[shape]:
            run(line)
        state.account.settle()
        real = tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()
    places = places_bytes(db)
    taken = db.data_bytes + places + deadlines_bytes(db) - before
    assert taken == pytest.approx(real, rel=0.15)
