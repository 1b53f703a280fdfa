"""From a request to its reply: what is left of a command when it has ended."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from redis_trio.client import BLOCKED, Transport
from redis_trio.execute import process
from redis_trio.protocol.reply import RedisError
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run


@pytest.mark.parametrize("line", ["INCR key", "SET key value EX no", "CONFIG SET maxclients many"])
def test_an_error_keeps_nothing_of_its_command(run: Run, line: str) -> None:
    """The frames of a traceback would keep the value, as part of a cycle, until it is collected."""
    run("SET key value")
    gc.collect()
    gc.disable()
    try:
        assert isinstance(run(line), RedisError)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_who_waits_for_a_key_that_comes_expired_waits_on_and_the_key_stays(
    run: Run, state: ServerState, time: FakeTime, heard: Callable[[], list[bytes]]
) -> None:
    """Its deletion is fed when somebody asks for it, not by who could not be served."""
    waiting = state.new_client(Transport())
    process(waiting, [b"BRPOP", b"k", b"0"])
    run("SELECT 1")
    run("RPUSH k hello")
    run("PEXPIRE k 100")
    heard()
    time.advance(0.101)
    state.begin()
    changer = state.new_client(Transport())
    process(changer, [b"SWAPDB", b"0", b"1"])
    assert waiting.halted & BLOCKED
    assert heard() == [b"SELECT 0", b"SWAPDB 0 1"]
    waiting.disconnected()
    run("SELECT 0")
    assert run("EXISTS k") == 0
    assert heard() == [b"DEL k"]
