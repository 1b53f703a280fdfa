"""MEMORY by value."""

from __future__ import annotations

import pytest

from redis_trio.protocol.reply import OK, RedisError, Reply, Status, Verbatim
from redis_trio.state import ServerState
from tests.unit.conftest import Run
from tests.unit.peer import Peer

BIG = ["x" * 100 + str(number) for number in range(1000)]
FILL = {
    "list": ["RPUSH", "k", *BIG],
    "set": ["SADD", "k", *BIG],
    "hash": ["HSET", "k", *[word for name in BIG for word in (name, "1")]],
    "zset": ["ZADD", "k", *[word for name in BIG for word in ("1", name)]],
}


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def usage(run: Run, line: str) -> int:
    reply = run(line)
    assert isinstance(reply, int), reply
    return reply


def test_a_key_that_is_not_there_takes_nothing(run: Run) -> None:
    assert run("MEMORY USAGE none") is None


def test_a_longer_string_takes_as_much_more(run: Run) -> None:
    run("SET", "k", "x" * 100)
    small = usage(run, "MEMORY USAGE k")
    run("SET", "k", "x" * 1100)
    assert usage(run, "MEMORY USAGE k") == pytest.approx(small + 1000, abs=16)
    assert 100 < small < 400


@pytest.mark.parametrize("kind", FILL)
def test_a_collection_takes_at_least_its_elements(run: Run, kind: str) -> None:
    run(*FILL[kind])
    total = usage(run, "MEMORY USAGE k SAMPLES 0")
    assert 1000 * 100 < total < 1000 * 500


@pytest.mark.parametrize("kind", FILL)
def test_a_sample_of_equal_elements_tells_the_same(run: Run, kind: str) -> None:
    run(*FILL[kind])
    total = usage(run, "MEMORY USAGE k SAMPLES 0")
    assert usage(run, "MEMORY USAGE k") == pytest.approx(total, rel=0.05)
    assert usage(run, "MEMORY USAGE k SAMPLES 100") == pytest.approx(total, rel=0.05)


def test_a_stream_takes_at_least_its_entries(run: Run) -> None:
    for number, text in enumerate(BIG, 1):
        run("XADD", "k", f"{number}-1", "f", text)
    assert 1000 * 100 < usage(run, "MEMORY USAGE k SAMPLES 0") < 1000 * 500


@pytest.mark.parametrize("line", ["SAMPLES", "SAMPLES -1", "x", "SAMPLES 1 x"])
def test_syntax_errors(run: Run, line: str) -> None:
    run("SET k v")
    assert error(run(f"MEMORY USAGE k {line}")) == "ERR syntax error"


def test_samples_are_an_integer(run: Run) -> None:
    message = "ERR value is not an integer or out of range"
    assert error(run("MEMORY USAGE k SAMPLES x")) == message


def test_help_names_the_subcommands(run: Run) -> None:
    reply = run("MEMORY HELP")
    assert isinstance(reply, list)
    texts = [item.text for item in reply if isinstance(item, Status)]
    assert b"USAGE <key> [SAMPLES <count>]" in texts


def test_stats_count_keys_and_databases(run: Run) -> None:
    run("MSET a 1 b 2")
    stats = run("MEMORY STATS")
    assert isinstance(stats, dict)
    assert stats[b"keys.count"] == 2
    assert b"db.0" in stats
    assert b"db.1" not in stats
    assert len(stats) == 31 + 1


def test_the_doctor_says_nothing_of_an_empty_server(run: Run) -> None:
    reply = run("MEMORY DOCTOR")
    assert isinstance(reply, Verbatim)
    assert b"so little data" in reply.text


def test_the_doctor_sees_that_more_was_used_before(run: Run, state: ServerState) -> None:
    state.dbs[0].set(b"big", bytearray(10_000_000))
    state.memory.peak_bytes = 1 << 50
    reply = run("MEMORY DOCTOR")
    assert isinstance(reply, Verbatim)
    assert reply.text.startswith(b"Peak:")


def test_there_is_nothing_to_purge_that_is_in_use(run: Run) -> None:
    run("SET k v")
    assert run("MEMORY PURGE") is OK
    assert run("GET k") == b"v"


def test_a_deadline_takes_something_too(run: Run) -> None:
    run("SET k v")
    without = usage(run, "MEMORY USAGE k")
    run("PEXPIRE k 10000")
    assert usage(run, "MEMORY USAGE k") > without


def test_the_allocators_tell_what_they_have_given_out(run: Run, state: ServerState) -> None:
    reply = run("MEMORY MALLOC-STATS")
    assert isinstance(reply, Verbatim)
    known = state.memory.allocator_report()
    assert (b"blocks in use: " in reply.text) == bool(known)


def test_the_doctor_names_clients_that_hold_much(run: Run, state: ServerState) -> None:
    state.dbs[0].set(b"big", bytearray(10_000_000))
    peer = Peer(state)
    peer.send_raw(b"*1\r\n$900000\r\n" + b"x" * 700_000)
    reply = run("MEMORY DOCTOR")
    assert isinstance(reply, Verbatim)
    assert b"Clients: more than 200 KB each" in reply.text
