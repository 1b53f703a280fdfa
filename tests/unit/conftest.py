"""Commands by value: a server's state and a client with nothing around them, no I/O, no tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

import redis_trio.commands  # noqa: F401  (registers every command)
from redis_trio.client import Client, Transport
from redis_trio.clock import Clock
from redis_trio.config import Config
from redis_trio.execute import dispatch
from redis_trio.keyspace.database import Database
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import RequestParser, split_inline
from redis_trio.state import ServerState


class FakeTime:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds


Run = Callable[..., Reply]


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


class HearingState(ServerState):
    """A state that tells of events: a compiled method can be overridden, but not replaced."""

    hear: Callable[[int, str, bytes, int], object] | None = None

    def update_listening(self) -> None:
        super().update_listening()
        if self.hear is not None:
            self.listening = True

    def notify(self, event_class: int, event: str, key: bytes, db: Database) -> None:
        if self.hear is not None:
            self.hear(event_class, event, key, db.index)
        super().notify(event_class, event, key, db)


@pytest.fixture
def state(time: FakeTime) -> HearingState:
    return HearingState(Config(), Clock(virtual=time), logging.getLogger("redis_trio.test"))


@pytest.fixture
def client(state: ServerState) -> Client:
    return state.new_client(Transport())


@pytest.fixture
def run(client: Client) -> Run:
    """Run one command, given as a line in redis-cli's syntax or word by word.

    Returns the reply's value; an error is returned as a RedisError.
    """

    def run(*words: str | bytes | float) -> Reply:
        if len(words) == 1:
            line = words[0]
            args = split_inline(line if isinstance(line, bytes) else str(line).encode())
            assert args is not None
        else:
            args = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        client.server.begin()
        return dispatch(client, args)

    return run


@pytest.fixture
def fired(state: HearingState) -> list[tuple[str, bytes, int]]:
    """Every event that fires, as (event, key, database)."""
    events: list[tuple[str, bytes, int]] = []
    state.hear = lambda event_class, event, key, db: events.append((event, key, db))
    state.listening = True
    return events


@pytest.fixture
def heard(state: ServerState) -> Iterator[Callable[[], list[bytes]]]:
    """A function that returns the commands fed since its last call, each as a line."""
    chunks: list[bytes] = []
    stop = state.feed.listen(chunks.append)

    def lines() -> list[bytes]:
        state.end()
        parser = RequestParser(state.limits)
        parser.feed(b"".join(chunks))
        chunks.clear()
        return [b" ".join(args) for args in parser.parse(10_000)]

    yield lines
    stop()
