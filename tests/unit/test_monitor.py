"""MONITOR: what is shown of which commands, to whom, and that nothing is left behind."""

from __future__ import annotations

import re

import pytest

from redis_trio.state import ServerState
from tests.unit.peer import Peer


@pytest.fixture
def monitor(state: ServerState) -> Peer:
    peer = Peer(state)
    assert peer.send("MONITOR") == b"+OK\r\n"
    return peer


def lines(peer: Peer) -> list[str]:
    """Return the words of the lines that a monitor was sent since the last look."""
    peer.client.server.end()
    shown = peer.take().decode().splitlines()
    found = [re.fullmatch(r"\+\d+\.\d{6} \[(\d+ \S+)\] (.*)", line) for line in shown]
    assert all(found), shown
    return [match[2] for match in found if match]


def test_every_command_is_shown_as_it_was_sent(state: ServerState, monitor: Peer) -> None:
    peer = Peer(state)
    peer.send("set K v", [b"PING", b'"\\\n\r\t\a\b\x00\x7f\xff '], "SELECT 3", "GET no")
    peer.client.server.end()
    shown = monitor.take().decode()
    assert f"[0 {peer.client.addr}] " in shown
    assert f"[3 {peer.client.addr}] " in shown
    monitor.sent = shown.encode()
    assert lines(monitor) == [
        '"set" "K" "v"',
        r'"PING" "\"\\\n\r\t\a\b\x00\x7f\xff "',
        '"SELECT" "3"',
        '"GET" "no"',
    ]


def test_what_fails_is_shown_and_what_is_refused_is_not(state: ServerState, monitor: Peer) -> None:
    Peer(state).send("SET k v", "INCR k", "NOSUCH", "GET", "CONFIG GET x", "DEBUG JMAP")
    assert lines(monitor) == ['"SET" "k" "v"', '"INCR" "k"']


def test_a_transaction_is_shown_command_by_command(state: ServerState, monitor: Peer) -> None:
    Peer(state).send("MULTI", "SET k v", "GET k", "EXEC")
    assert lines(monitor) == ['"MULTI"', '"SET" "k" "v"', '"GET" "k"', '"EXEC"']


def test_passwords_are_not_shown(state: ServerState, monitor: Peer) -> None:
    Peer(state).send("AUTH secret", "AUTH default secret", "HELLO 3 AUTH default secret SETNAME x")
    assert lines(monitor) == [
        '"AUTH" "(redacted)"',
        '"AUTH" "(redacted)" "(redacted)"',
        '"HELLO" "3" "AUTH" "(redacted)" "(redacted)" "SETNAME" "x"',
    ]


def test_a_blocked_command_is_shown_once(state: ServerState, monitor: Peer) -> None:
    Peer(state).send("BLPOP k 0")
    assert lines(monitor) == ['"BLPOP" "k" "0"']
    Peer(state).send("RPUSH k v")
    assert lines(monitor) == ['"RPUSH" "k" "v"']


def test_a_monitor_may_not_touch_keys_and_sees_its_own_commands(monitor: Peer) -> None:
    assert monitor.send("GET k") == b"-ERR Replica can't interact with the keyspace\r\n"
    reply = monitor.send("PING")
    assert reply.startswith(b"+PONG\r\n+")
    assert reply.endswith(b'"PING"\r\n')


@pytest.mark.parametrize("ending", ["RESET", "close", "kill"])
def test_nothing_is_left_of_a_monitor(state: ServerState, monitor: Peer, ending: str) -> None:
    assert state.observed
    if ending == "RESET":
        assert monitor.send("RESET").startswith(b"+RESET\r\n")
        assert monitor.send("GET k") == b"$-1\r\n"
    elif ending == "close":
        monitor.client.close()
    else:
        Peer(state).send(f"CLIENT KILL ID {monitor.client.id}")
    assert state.monitors == {}
    assert not state.observed


def test_client_list_shows_a_monitor_as_a_normal_client(state: ServerState, monitor: Peer) -> None:
    line = Peer(state).send("CLIENT LIST TYPE normal")
    assert f"id={monitor.client.id} ".encode() in line
    assert b" flags=O " in line


def test_a_monitor_is_refused_in_a_transaction(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("MULTI", "MONITOR")
    assert peer.send("EXEC") == b"*1\r\n-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n"
