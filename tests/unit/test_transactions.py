"""MULTI, EXEC, DISCARD, WATCH and UNDO by value: queues, aborts, watched keys, what is fed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.client import Client
from redis_trio.protocol.reply import NULL_ARRAY, OK, QUEUED, RedisError, Reply
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run
from tests.unit.peer import Peer


def error(reply: Reply) -> str:
    """Return the text of an error reply."""
    assert isinstance(reply, RedisError), reply
    return reply.message


def begin(run: Run, *lines: str) -> None:
    """Begin a transaction and queue commands."""
    assert run("MULTI") is OK
    for line in lines:
        assert run(line) is QUEUED, line


def test_exec_runs_what_was_queued_and_returns_the_replies(run: Run) -> None:
    begin(run, "SET k 1", "INCR k", "GET k", "LPUSH k x")
    assert run("GET other") is QUEUED
    replies = run("EXEC")
    assert isinstance(replies, list)
    assert replies[:3] == [OK, 2, b"2"]
    assert error(replies[3]).startswith("WRONGTYPE")
    assert replies[4] is None
    assert run("GET k") == b"2"
    assert error(run("EXEC")) == "ERR EXEC without MULTI"


def test_a_command_refused_when_queued_aborts_the_transaction(run: Run) -> None:
    for refused in ("NOSUCH", "GET", "GET a b"):
        begin(run, "SET k 1")
        assert isinstance(run(refused), RedisError)
        assert run("SET k 2") is QUEUED
        assert error(run("EXEC")).startswith("EXECABORT Transaction discarded because of previous")
        assert run("EXISTS k") == 0


def test_discard_forgets_the_queue_and_the_abort(run: Run) -> None:
    begin(run, "SET k 1")
    run("NOSUCH")
    assert run("DISCARD") is OK
    assert error(run("DISCARD")) == "ERR DISCARD without MULTI"
    begin(run, "SET k 2")
    assert run("EXEC") == [OK]


def test_multi_and_watch_within_a_transaction_are_errors_that_do_not_spoil_it(run: Run) -> None:
    begin(run, "SET k 1")
    assert error(run("MULTI")) == "ERR MULTI calls can not be nested"
    assert error(run("WATCH k")) == "ERR WATCH inside MULTI is not allowed"
    assert run("EXEC") == [OK]


def test_nothing_blocks_in_a_transaction(run: Run) -> None:
    begin(run, "BLPOP k 0", "BLMOVE a b LEFT LEFT 0", "BZPOPMIN k 0", "XREAD BLOCK 0 STREAMS s $")
    assert run("EXEC") == [NULL_ARRAY, None, NULL_ARRAY, NULL_ARRAY]


@pytest.mark.parametrize(
    ("change", "is_seen"),
    [
        ("SET k 2", True),
        ("DEL k", True),
        ("RENAME k l", True),
        ("RENAME other k", True),
        ("EXPIRE k 100", True),
        ("APPEND k x", True),
        ("FLUSHALL", True),
        ("FLUSHDB", True),
        ("SWAPDB 0 1", True),
        ("GET k", False),
        ("SET other 2", False),
        ("DEL nothing", False),
        ("SETNX k 3", False),
        ("SWAPDB 1 2", False),
    ],
)
def test_watch_sees_changes(run: Run, state: ServerState, change: str, is_seen: bool) -> None:
    run("MSET k 1 other 1")
    other = Peer(state)
    run("WATCH k k2 k3")
    other.send(change)
    begin(run, "SET done 1")
    assert run("EXEC") == (NULL_ARRAY if is_seen else [OK])
    assert state.watchers == {}


def test_a_key_that_is_not_there_is_watched_for_coming(run: Run, state: ServerState) -> None:
    run("WATCH k")
    Peer(state).send("SET k 1")
    begin(run, "PING")
    assert run("EXEC") is NULL_ARRAY


def test_a_flush_does_not_concern_who_watches_what_is_not_there(
    run: Run, state: ServerState
) -> None:
    run("SET other 1")
    run("WATCH k")
    Peer(state).send("FLUSHALL")
    begin(run, "ECHO on")
    assert run("EXEC") == [b"on"]


def test_watch_sees_a_key_expire_and_not_one_that_had_expired(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    state.active_expire = False
    run("SET k 1 PX 100")
    run("WATCH k")
    time.advance(1)
    begin(run, "ECHO on")
    assert run("EXEC") is NULL_ARRAY
    run("CLIENT PAUSE 5000 WRITE")  # the key stays where it is, and does not exist
    run("WATCH k")
    run("CLIENT UNPAUSE")
    Peer(state).send("EXISTS k")
    begin(run, "ECHO on")
    assert run("EXEC") == [b"on"]


def test_unwatch_forgets_a_change(run: Run, state: ServerState) -> None:
    run("WATCH k")
    Peer(state).send("SET k 1")
    assert run("UNWATCH") is OK
    begin(run, "ECHO on")
    assert run("EXEC") == [b"on"]


def test_who_is_dirty_watches_nothing_more(run: Run, client: Client, state: ServerState) -> None:
    run("WATCH a b c")
    Peer(state).send("SET b 1")
    assert client.dirty
    assert (client.watched, state.watchers, state.listening) == ({}, {}, False)


@pytest.mark.parametrize("ending", ["QUIT", "RESET", "CLIENT KILL ID 2", "DISCARD"])
def test_nothing_is_left_of_a_client_that_watched(state: ServerState, ending: str) -> None:
    Peer(state)
    peer = Peer(state)
    assert peer.client.id == 2
    peer.send("WATCH a b")
    peer.send("MULTI")
    peer.send("SET a 1")
    assert len(state.watchers) == 2
    peer.send(ending)
    if ending == "QUIT":
        peer.client.disconnected()
    elif ending.startswith("CLIENT"):
        Peer(state).send(ending)
    assert state.watchers == {}
    assert peer.client.transaction is None


def test_the_feed_gets_a_transaction_as_one(run: Run, heard: Callable[[], list[bytes]]) -> None:
    begin(run, "SET a 1", "GET a", "INCR a", "LPUSH a x")
    run("EXEC")
    assert heard() == [b"MULTI", b"SELECT 0", b"SET a 1", b"INCR a", b"EXEC"]
    begin(run, "SET a 1", "GET a")
    run("EXEC")
    assert heard() == [b"SET a 1"]
    begin(run, "GET a")
    run("EXEC")
    assert heard() == []


def test_hello_in_a_transaction_changes_the_replies_from_its_own_on(state: ServerState) -> None:
    peer = Peer(state)
    for line in ("MULTI", "GET k", "HELLO 3", "GET k"):
        peer.send(line)
    reply = peer.send("EXEC")
    assert reply.startswith(b"*3\r\n$-1\r\n%")
    assert reply.endswith(b"_\r\n")


def test_client_list_shows_the_transaction(run: Run, state: ServerState) -> None:
    peer = Peer(state)
    peer.send("WATCH a b")
    peer.send("MULTI")
    peer.send("SET a 1")
    other = Peer(state).send(f"CLIENT LIST ID {peer.client.id}")
    assert b" flags=x " in other
    assert b" multi=1 watch=2 " in other
    info = Peer(state).send("INFO clients")
    assert b"watching_clients:1\r\n" in info
    assert b"total_watched_keys:2\r\n" in info


# -- UNDO


def test_undo_takes_back_the_last_command(run: Run) -> None:
    begin(run, "SET a 1", "SET b 2", "SET c 3")
    assert run("UNDO") == [
        b"Removed 1 commands:",
        b"SET c 3",
        b"2 commands remaining in queue",
    ]
    assert run("UNDO 2") == [
        b"Removed 2 commands:",
        b"SET a 1",
        b"SET b 2",
        b"0 commands remaining in queue",
    ]
    assert run("UNDO") == []
    assert run("UNDO 7") == []
    assert run("EXEC") == []


def test_undo_checks_in_its_order(run: Run) -> None:
    assert error(run("UNDO 1 2")) == "ERR wrong number of arguments for 'undo' command"
    for count in ("0", "-1", "x", "1.0", "99999999999999999999", "+1", " 1"):
        assert error(run("UNDO", count)) == "ERR invalid undo count"
    assert error(run("UNDO 1")) == "ERR UNDO without MULTI"
    assert error(run("UNDO")) == "ERR UNDO without MULTI"
    begin(run, "SET a 1")
    assert error(run("UNDO x y")) == "ERR wrong number of arguments for 'undo' command"
    assert error(run("UNDO 2")) == "ERR cannot undo 2 commands, only 1 queued"
    assert error(run("UNDO nothing")) == "ERR invalid undo count"
    assert run("EXEC") == [OK], "a refusal does not spoil the transaction"


def test_undo_does_not_lift_an_abort(run: Run) -> None:
    begin(run, "SET a 1")
    run("NOSUCH command")
    assert run("SET b 1") is QUEUED
    assert run("UNDO") == [b"Removed 1 commands:", b"SET b 1", b"1 commands remaining in queue"]
    assert error(run("EXEC")).startswith("EXECABORT")


def test_undo_shows_the_words_as_they_were_sent(run: Run) -> None:
    assert run("MULTI") is OK
    run("set", b"k y", b"\r\n\xff", "EX", "10")
    reply = run("undo", "1")
    assert isinstance(reply, list)
    assert reply[1] == b"set k y \r\n\xff EX 10"
