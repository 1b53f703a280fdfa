"""Waiting for keys, through the real loop: order, cost, time, and nothing lost.

What each command answers is compared with a real server in tests/interop/test_blocking.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from redis_trio import RedisServer, open_redis
from redis_trio.protocol.reply import NULL_ARRAY, Reply
from tests.interop.compare import plain
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until


@asynccontextmanager
async def _talks(server: RedisServer, count: int) -> AsyncIterator[list[Talk]]:
    talks = [Talk(await server.connect()) for _ in range(count)]
    try:
        yield talks
    finally:
        for talk in talks:
            await talk.aclose()


async def _block(server: RedisServer, talk: Talk, line: str) -> None:
    """Send a command and wait until it blocks."""
    waiting = server.state.waiting
    count = waiting.count
    await talk.send(line.encode() + b"\r\n")
    await until(lambda: waiting.count == count + 1)


def _calls(server: RedisServer, name: bytes) -> list[int]:
    """Count from now on how often a command's handler runs."""
    command = server.state.commands[name]
    handler = command.handler
    assert handler is not None
    calls = [0]

    def counting(client: object, args: list[bytes]) -> object:
        calls[0] += 1
        return handler(client, args)  # type: ignore[arg-type]

    command.handler = counting  # type: ignore[assignment]
    return calls


async def test_a_thousand_clients_are_served_in_the_order_in_which_they_came() -> None:
    async with open_redis() as server, _talks(server, 1000) as talks:
        for talk in talks:
            await _block(server, talk, "BLPOP key 0")
        await server.execute("RPUSH", "key", *range(400))
        for i in range(400, 500):
            await server.execute("LPUSH", "key", i)
        await server.execute("RPUSH", "key", *range(500, 1200))
        for i, talk in enumerate(talks):
            assert plain(await talk.reply()) == [b"key", b"%d" % i]
        assert await server.execute("LRANGE", "key", 0, 0) == [b"1000"]
        assert await server.execute("LLEN", "key") == 200
        assert not server.state.waiting.lines


async def test_waking_one_runs_one_command_however_many_wait() -> None:
    async with open_redis() as server, _talks(server, 1000) as talks:
        for talk in talks:
            await _block(server, talk, "BLPOP key other 0")
        calls = _calls(server, b"BLPOP")
        for i, talk in enumerate(talks[:100]):
            await server.execute("RPUSH", "key", i)
            assert plain(await talk.reply()) == [b"key", b"%d" % i]
            assert calls[0] == i + 1
        await server.execute("SET", "key", "of another type")
        await server.execute("SADD", "other", "of another type")
        assert calls[0] == 100
        assert server.state.waiting.count == 900


async def test_a_timeout_is_kept_in_virtual_time(
    connect: Connect, autojump_clock: trio.testing.MockClock
) -> None:
    talk = await connect()
    start = trio.current_time()
    assert await talk.command("BLPOP key 12.5") is NULL_ARRAY
    assert trio.current_time() - start == pytest.approx(12.5)


async def test_a_command_that_blocks_again_keeps_its_deadline(
    connect: Connect, server: RedisServer, autojump_clock: trio.testing.MockClock
) -> None:
    talk = await connect()
    start = trio.current_time()
    await _block(server, talk, "XREAD BLOCK 5000 STREAMS s 9-9")
    for i in range(1, 4):
        await trio.sleep(1)
        await server.execute("XADD", "s", f"{i}-1", "field", "value")
    assert await talk.reply() is NULL_ARRAY
    assert trio.current_time() - start == pytest.approx(5)
    assert server.state.waiting.count == 0


async def test_what_a_pipeline_sends_after_a_blocking_command_waits_for_its_reply(
    connect: Connect, server: RedisServer
) -> None:
    talk = await connect()
    await talk.send(b"ECHO 1\r\nBLPOP key 0\r\nECHO 3\r\n")
    assert await talk.reply() == b"1"
    await until(lambda: server.state.waiting.count == 1)
    await server.execute("RPUSH", "key", "2")
    assert [plain(await talk.reply()) for _ in range(2)] == [[b"key", b"2"], b"3"]


async def test_a_client_that_hangs_up_while_it_waits_takes_nothing(
    connect: Connect, server: RedisServer
) -> None:
    gone, patient = await connect(), await connect()
    await _block(server, gone, "BLPOP key 0")
    await _block(server, patient, "BLPOP key 0")
    await gone.aclose()
    await until(lambda: server.state.waiting.count == 1)
    await server.execute("RPUSH", "key", "a", "b")
    assert plain(await patient.reply()) == [b"key", b"a"]
    assert await server.execute("LRANGE", "key", 0, -1) == [b"b"]


async def test_a_killed_client_takes_nothing(connect: Connect, server: RedisServer) -> None:
    killed = await connect()
    client_id = await killed.command("CLIENT ID")
    await _block(server, killed, "BLMOVE key other LEFT RIGHT 0")
    assert await server.execute("CLIENT", "KILL", "ID", client_id) == 1  # type: ignore[arg-type]
    await server.execute("RPUSH", "key", "a")
    assert await server.execute("LRANGE", "key", 0, -1) == [b"a"]
    assert await killed.until_closed() == b""


async def test_nobody_is_served_during_a_pause_and_everybody_after_it(
    connect: Connect, server: RedisServer, autojump_clock: trio.testing.MockClock
) -> None:
    talk = await connect()
    await _block(server, talk, "BLPOP key 0")
    state = server.state
    await server.execute("CLIENT", "PAUSE", 1000, "WRITE")
    state.waiting.signal((0, b"key"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.execute, "RPUSH", "key", "a")
        await trio.sleep(0.5)
        assert state.waiting.count == 1
    start = trio.current_time()
    assert plain(await talk.reply()) == [b"key", b"a"]
    assert start <= 1.01


class _CancelAt(trio.abc.Instrument):
    """Cancels a scope before one step of one task.

    Attributes:
      steps: how many steps the task has made.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self.steps = 0
        self.scope = trio.CancelScope()
        self.task: trio.lowlevel.Task | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.task is not None:
            self.steps += 1
            if self.steps == self.step:
                self.scope.cancel()


async def _pop_while_others_push(
    cancel: _CancelAt, command: list[str]
) -> tuple[Reply, list[object]]:
    """Return what a blocking call got, None if it was cancelled, and what is left in the list."""
    async with open_redis() as server:
        got: list[object] = []

        async def pop() -> None:
            cancel.task = trio.lowlevel.current_task()
            with cancel.scope:
                got.append(await server.execute(*command))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pop)
            for value in ("a", "b"):
                for _ in range(6):  # more than a cancellation takes to arrive
                    await trio.lowlevel.checkpoint()
                await server.execute("RPUSH", "key", value)
            if not got:
                await trio.testing.wait_all_tasks_blocked()
            cancel.scope.cancel()
        left = await server.execute("LRANGE", "key", 0, -1)
        moved = await server.execute("LRANGE", "other", 0, -1)
        assert isinstance(left, list)
        assert isinstance(moved, list)
        assert server.state.waiting.count == 0
        return (got[0] if got else None), left + moved  # type: ignore[return-value]


@pytest.mark.parametrize("command", ["BLPOP key 0", "BLMPOP 0 1 key LEFT COUNT 1"])
def test_a_call_that_is_cancelled_at_any_step_loses_no_element(command: str) -> None:
    """Each step of any task in turn is the one before which the call is cancelled."""
    outcomes: set[bool] = set()
    for step in range(1, 1000):
        cancel = _CancelAt(step)
        got, left = trio.run(_pop_while_others_push, cancel, command.split(), instruments=[cancel])
        outcomes.add(got is None)
        if got is None:
            assert left == [b"a", b"b"], step
        else:
            assert b"a" in repr(got).encode(), step
            assert left == [b"b"], step
        if cancel.steps < step:
            break
    else:
        pytest.fail("the call takes ever more steps")
    assert outcomes == {True, False}
    assert step > 10


def test_a_move_that_is_cancelled_at_any_step_has_happened_or_has_not() -> None:
    for step in range(1, 1000):
        cancel = _CancelAt(step)
        command = "BLMOVE key other LEFT LEFT 0".split()
        got, left = trio.run(_pop_while_others_push, cancel, command, instruments=[cancel])
        assert sorted(left) == [b"a", b"b"], step  # type: ignore[type-var]
        assert (got == b"a") == (left == [b"b", b"a"]), step
        if cancel.steps < step:
            break
    else:
        pytest.fail("the call takes ever more steps")
