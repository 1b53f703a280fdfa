"""INFO's figures of a server that runs: what its keeper did, and what it sent."""

from __future__ import annotations

import trio
import trio.testing

from redis_trio import RedisServer, open_redis
from tests.wire.conftest import Connect
from tests.wire.talk import until


async def test_expiry_is_counted_with_the_time_it_took(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_redis() as server:
        for number in range(100):
            await server.execute("SET", f"k{number}", "v", "PX", 1000 + number)
        await trio.sleep(2)
        stats = server.state.stats
        assert stats.expired_keys == 100
        assert 0 < stats.expire_cycle_ns <= stats.cron_ns <= stats.eventloop_ns


async def test_a_client_that_hangs_up_costs_a_cycle_and_no_more(
    connect: Connect, server: RedisServer
) -> None:
    talk = await connect()
    await talk.command("PING")
    before = server.state.stats.eventloop_cycles
    await talk.aclose()
    await until(lambda: not server.state.clients)
    assert server.state.stats.eventloop_cycles - before <= 1


async def test_bytes_and_cycles_are_counted_on_every_transport(connect: Connect) -> None:
    talk = await connect()
    await talk.command("PING")
    before = await talk.command("INFO stats")
    after = await talk.command("INFO stats")
    assert isinstance(before, bytes)
    assert isinstance(after, bytes)
    first, second = (
        dict(row.split(b":") for row in reply.split(b"\r\n") if b":" in row)
        for reply in (before, after)
    )
    name = b"total_net_output_bytes"
    header = len(b"$%d\r\n\r\n" % len(before))
    assert int(second[name]) - int(first[name]) == len(before) + header
    name = b"total_net_input_bytes"
    assert int(second[name]) - int(first[name]) == len(b"*2\r\n$4\r\nINFO\r\n$5\r\nstats\r\n")
    assert int(second[b"eventloop_cycles"]) > int(first[b"eventloop_cycles"])
    assert int(second[b"total_commands_processed"]) == 2
