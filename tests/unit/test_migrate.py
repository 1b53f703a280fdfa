"""MIGRATE by value, where it runs at once: what is told of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from redis_trio.protocol.reply import OK, RedisError, Reply, Status
from redis_trio.redact import shown_args
from redis_trio.state import ServerState

Run = Callable[..., Reply]


class Target(threading.Thread):
    """A server that gives each connection the same answers, and closes it when they are read."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.answers = b""
        self.received = b""

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(self.answers)
                while data := connection.recv(65536):
                    self.received += data


@pytest.fixture
def target(state: ServerState) -> Iterator[Target]:
    """A server that keys can be sent to."""
    target = Target()
    target.start()
    yield target
    state.migrations.close()
    target.listener.shutdown(socket.SHUT_RDWR)
    target.listener.close()
    target.join()


def test_what_has_arrived_is_fed_as_a_deletion(
    run: Run,
    target: Target,
    heard: Callable[[], list[bytes]],
    fired: list[tuple[str, bytes, int]],
) -> None:
    run("MSET a 1 b 2 c 3")
    heard()
    fired.clear()
    target.answers = b"+OK\r\n+OK\r\n-ERR no\r\n+OK\r\n"
    reply = run(f"MIGRATE 127.0.0.1 {target.port} '' 1 1000 KEYS a b c")
    assert isinstance(reply, RedisError)
    assert reply.message == "ERR Target instance replied with error: ERR no"
    assert heard() == [b"DEL a c"]
    assert fired == [("del", b"a", 0), ("del", b"c", 0)]
    assert run("MGET a b c") == [None, b"2", None]


def test_a_copy_changes_nothing(
    run: Run, target: Target, heard: Callable[[], list[bytes]], state: ServerState
) -> None:
    run("SET a 1")
    heard()
    dirty = state.dirty
    target.answers = b"+OK\r\n+OK\r\n"
    assert run(f"MIGRATE 127.0.0.1 {target.port} a 1 1000 COPY") is OK
    assert heard() == []
    assert state.dirty == dirty


def test_a_refused_password_is_told_of_once_and_nothing_is_deleted(
    run: Run, target: Target
) -> None:
    run("MSET a 1 b 2")
    target.answers = b"-WRONGPASS no\r\n-NOAUTH a\r\n-NOAUTH b\r\n-NOAUTH c\r\n"
    reply = run(f"MIGRATE 127.0.0.1 {target.port} '' 1 1000 AUTH2 me secret KEYS a b")
    assert isinstance(reply, RedisError)
    assert reply.message == "ERR Target instance replied with error: WRONGPASS no"
    assert run("EXISTS a b") == 2


def test_a_long_line_counts_as_several(run: Run, target: Target) -> None:
    run("MSET a 1 b 2")
    target.answers = b"+OK\r\n+" + b"x" * 1022 + b"-" + b"y" * 2000 + b"\r\n"
    reply = run(f"MIGRATE 127.0.0.1 {target.port} '' 1 1000 KEYS a b")
    assert isinstance(reply, RedisError)
    assert reply.message == "ERR Target instance replied with error: " + "y" * 1022
    assert run("MGET a b") == [None, b"2"]


def test_nothing_there(run: Run) -> None:
    reply = run("MIGRATE nowhere.invalid 1 k 0 1000")
    assert isinstance(reply, Status)
    assert reply.text == b"NOKEY"


def test_passwords_are_not_shown(state: ServerState) -> None:
    words = b"MIGRATE h 1 k 0 1 AUTH secret COPY AUTH2 me secret KEYS auth x".split()
    shown = b" ".join(shown_args(state, state.commands[b"MIGRATE"], words))
    assert shown == (
        b"MIGRATE h 1 k 0 1 AUTH (redacted) COPY AUTH2 (redacted) (redacted) KEYS auth x"
    )
