"""Nobody starves: not a client beside one that floods the server, nor the host beside many.

What is bounded is work, not time: commands run between two turns of somebody else. The bounds are
far above what the server does on any machine (it stops after about a millisecond) and far below
what it has to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import trio

from redis_trio import RedisServer
from tests.interop.compare import encode, plain
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until

PIPELINE = encode("SET k v") * 2000
ROUND_TRIP_MAX = 30_000  # commands of others while one client waits for its reply
STEP_MAX = 10_000  # commands in one task step of the server


@contextmanager
def step_watch(step_done: Callable[[trio.lowlevel.Task], None]) -> Iterator[None]:
    """Call a function after every task step."""

    class Watch(trio.abc.Instrument):
        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            step_done(task)

    watch = Watch()
    trio.lowlevel.add_instrument(watch)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(watch)


async def flood(client: Talk) -> None:
    """Keep the server busy for ever, reading the replies unseen."""

    async def read() -> None:
        with suppress(trio.BrokenResourceError):  # as a stream with TLS is, cancelled in a send
            while await client.stream.receive_some(1_000_000):
                pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        while True:
            await client.send(PIPELINE)
            await trio.lowlevel.checkpoint()


async def test_a_client_beside_one_that_floods(connect: Connect, server: RedisServer) -> None:
    stats = server.state.stats
    flooder, client = await connect(), await connect()
    worst = 0
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood, flooder)
            while stats.total_commands < 4 * STEP_MAX:
                before = stats.total_commands
                assert plain(await client.command("PING")) == "PONG"
                worst = max(worst, stats.total_commands - before)
            nursery.cancel_scope.cancel()
    assert worst < ROUND_TRIP_MAX


async def test_no_step_of_the_server_is_long_beside_100_clients_that_flood(
    connect: Connect, server: RedisServer
) -> None:
    stats = server.state.stats
    seen = 0
    steps: list[int] = []

    def step_done(task: trio.lowlevel.Task) -> None:
        nonlocal seen
        if stats.total_commands > seen:
            steps.append(stats.total_commands - seen)
            seen = stats.total_commands

    clients = [await connect() for _ in range(100)]
    with trio.fail_after(60), step_watch(step_done):
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(flood, client)
            await until(lambda: stats.total_commands > 4 * STEP_MAX)
            nursery.cancel_scope.cancel()
    assert max(steps) < STEP_MAX


@pytest.mark.parametrize("transport", ["hub"], indirect=True)
async def test_the_host_gets_its_turn_between_the_steps_of_the_hub(
    connect: Connect, server: RedisServer
) -> None:
    """However many sockets are busy, one task serves them: a host task waits for one step of it."""
    stats = server.state.stats
    clients = [await connect() for _ in range(300)]
    worst = 0
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(flood, client)
            while stats.total_commands < 6 * STEP_MAX:
                before = stats.total_commands
                await trio.lowlevel.checkpoint()  # what a host task does
                worst = max(worst, stats.total_commands - before)
            nursery.cancel_scope.cancel()
    assert 0 < worst < STEP_MAX


async def test_a_pipeline_of_slow_commands_is_cut_by_time(
    connect: Connect, server: RedisServer
) -> None:
    """A command that takes as long as a step may ends it, however few have run."""
    client = await connect()
    stats = server.state.stats
    await client.command(["SET", "k", "x" * 2_000_000])
    seen = stats.total_commands
    steps: list[int] = []

    def step_done(task: trio.lowlevel.Task) -> None:
        nonlocal seen
        if stats.total_commands > seen:
            steps.append(stats.total_commands - seen)
            seen = stats.total_commands

    with trio.fail_after(60), step_watch(step_done):
        await client.send(b"GETRANGE k 0 -2\r\n" * 100)
        for _ in range(100):
            reply = await client.reply()
            assert isinstance(reply, bytes)
            assert len(reply) == 1_999_999
    assert max(steps) < 100
