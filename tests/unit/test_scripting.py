"""Functions, by value."""

from __future__ import annotations

import pytest

from redis_trio.protocol.reply import OK, RedisError
from redis_trio.state import ServerState
from tests.unit.conftest import Run


@pytest.mark.parametrize("line", ["FUNCTION FLUSH", "FUNCTION FLUSH SYNC", "function flush async"])
def test_function_flush_takes_sync_and_async_and_is_a_write(
    run: Run, state: ServerState, line: str
) -> None:
    assert run(line) is OK
    assert state.dirty == 1


def test_function_flush_refuses_anything_else(run: Run) -> None:
    reply = run("FUNCTION FLUSH now")
    assert isinstance(reply, RedisError)
    assert reply.message == "ERR FUNCTION FLUSH only supports SYNC|ASYNC option"
    reply = run("FUNCTION FLUSH SYNC ASYNC")
    assert isinstance(reply, RedisError)
    assert reply.message == (
        "ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP."
    )


def test_function_help(run: Run) -> None:
    reply = run("FUNCTION HELP")
    assert isinstance(reply, list)
    assert any(b"FLUSH" in line.text for line in reply)  # type: ignore[union-attr]
