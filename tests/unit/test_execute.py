"""From a request to its reply: what is left of a command when it has ended."""

from __future__ import annotations

import gc

import pytest

from redis_trio.protocol.reply import RedisError
from tests.unit.conftest import Run


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
