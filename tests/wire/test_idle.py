"""An idle server does nothing: no task of it runs until a byte comes or a deadline is due."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from redis_trio import RedisServer
from tests.interop.compare import plain
from tests.wire.conftest import Connect
from tests.wire.test_fairness import step_watch

HOUR_S = 3600


async def test_an_idle_server_makes_no_wake_ups(
    autojump_clock: trio.testing.MockClock, connect: Connect, server: RedisServer
) -> None:
    clients = [await connect() for _ in range(5)]
    for client in clients:
        assert plain(await client.command("SET k v")) == "OK"
    await clients[0].send(b"*1\r\n$4\r\nPI")  # half a command
    await trio.testing.wait_all_tasks_blocked(0.001)
    me = trio.lowlevel.current_task()
    steps: list[str] = []
    with step_watch(lambda task: steps.append(task.name) if task is not me else None):
        await trio.sleep(24 * HOUR_S)
    assert steps == []
    assert plain(await clients[1].command("GET k")) == b"v"


async def test_a_server_with_a_key_that_expires_wakes_when_it_does(
    autojump_clock: trio.testing.MockClock, connect: Connect, server: RedisServer
) -> None:
    client = await connect()
    assert plain(await client.command(f"SET k v EX {HOUR_S}")) == "OK"
    await trio.testing.wait_all_tasks_blocked(0.001)
    me = trio.lowlevel.current_task()
    woken: list[float] = []
    start = trio.current_time()

    def step_done(task: trio.lowlevel.Task) -> None:
        if task is not me:
            woken.append(trio.current_time() - start)

    with step_watch(step_done):
        await trio.sleep(24 * HOUR_S)
    assert 1 <= len(woken) <= 4  # deadlines far off are known by the minute first, then exactly
    assert woken[-1] == pytest.approx(HOUR_S, abs=1)
    assert server.state.stats.expired_keys == 1
