"""client-output-buffer-limit through the real loop: who does not read is cut, nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from redis_trio import RedisServer, open_redis
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until

MESSAGE = "x" * 100_000
SOCKETS = pytest.mark.parametrize("transport", ["hub", "stream"], indirect=True)
"""A stream in memory takes everything."""
ENOUGH = 400  # messages of that size are more than any socket buffer takes


@SOCKETS
async def test_a_subscriber_that_does_not_read_is_cut_and_nobody_else(
    connect: Connect, server: RedisServer
) -> None:
    await server.execute("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
    deaf, listening = await connect(), await connect()
    for talk in (deaf, listening):
        await talk.command("SUBSCRIBE news")
    received = 0
    for _ in range(ENOUGH):
        await server.execute("PUBLISH", "news", MESSAGE)
        await listening.reply()
        received += 1
    await until(lambda: len(server.state.clients) == 1)
    assert server.state.stats.output_limit_disconnections == 1
    assert list(server.state.pubsub.channels) == [b"news"]
    assert await server.execute("PUBLISH", "news", "more") == 1
    assert received == ENOUGH


@SOCKETS
async def test_a_soft_limit_counts_when_it_is_exceeded_for_so_long(
    connect: Connect, server: RedisServer, mock_clock: trio.testing.MockClock
) -> None:
    await server.execute("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 1mb 10")
    deaf = await connect()
    await deaf.command("SUBSCRIBE news")
    for _ in range(ENOUGH):
        await server.execute("PUBLISH", "news", MESSAGE)
    assert len(server.state.over_soft_limit) == 1
    mock_clock.jump(9)
    await trio.testing.wait_all_tasks_blocked()
    assert len(server.state.clients) == 1
    mock_clock.jump(3)
    await until(lambda: not server.state.clients)
    assert server.state.stats.output_limit_disconnections == 1
    assert server.state.over_soft_limit == {}


async def test_who_reads_in_time_is_under_the_soft_limit_again(
    connect: Connect, server: RedisServer, mock_clock: trio.testing.MockClock
) -> None:
    await server.execute("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 1mb 10")
    slow = await connect()
    await slow.command("SUBSCRIBE news")
    for _ in range(ENOUGH):
        await server.execute("PUBLISH", "news", MESSAGE)
    assert len(server.state.over_soft_limit) == 1
    mock_clock.jump(5)
    for _ in range(ENOUGH):
        await slow.reply()
    mock_clock.jump(20)
    await until(lambda: not server.state.over_soft_limit)
    assert len(server.state.clients) == 1


@pytest.mark.parametrize("size", [10_000, 200_000])
async def test_one_reply_beyond_the_hard_limit_closes_a_normal_client(
    connect: Connect, server: RedisServer, size: int
) -> None:
    await server.execute("CONFIG", "SET", "client-output-buffer-limit", "normal 100000 0 0")
    await server.execute("SET", "k", "x" * size)
    talk = await connect()
    await talk.send(b"GET k\r\n")
    if size < 100_000:
        assert await talk.reply() == b"x" * size
    else:
        await talk.until_closed()
        assert server.state.stats.output_limit_disconnections == 1


@pytest.mark.parametrize("command", ["HRANDFIELD h", "SRANDMEMBER s", "ZRANDMEMBER z"])
async def test_a_reply_that_cannot_be_taken_is_not_even_made(
    connect: Connect, server: RedisServer, command: str
) -> None:
    """The request is of some bytes, the reply of gigabytes: it would end the server."""
    for line in ("HSET h f v", "SADD s m", "ZADD z 1 m"):
        await server.execute(*line.split())
    await server.execute("CONFIG", "SET", "client-output-buffer-limit", "normal 1000000 0 0")
    talk, other = await connect(), await connect()
    await talk.send(command.encode() + b" -999999999\r\n")
    assert await talk.until_closed() == b""
    assert server.state.stats.output_limit_disconnections == 1
    reply = await other.command(command + " -1000")
    assert isinstance(reply, list)
    assert len(reply) == 1000


async def test_output_that_waits_for_an_fsync_is_limited_too(tmp_path: Path) -> None:
    async with open_redis(dir=str(tmp_path), appendonly=True, appendfsync="always") as server:
        await server.execute("SET", "k", MESSAGE)
        await server.execute("CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 0 0")
        jobs: list[object] = []
        server.state.aof.start_job = jobs.append  # the disk does not answer
        talk = Talk(await trio.open_tcp_stream("127.0.0.1", server.port))
        for number in range(5):
            await talk.send(b"INCR n\r\n" + b"GET k\r\n" * 2)
            await until(lambda: server.state.stats.total_commands >= 2 + 3 * (number + 1))  # noqa: B023
        (client,) = server.state.clients.values()
        assert 1_000_000 < client.held_output < 1 << 20
        await talk.send(b"GET k\r\n")
        assert await talk.until_closed() == b""
        assert server.state.stats.output_limit_disconnections == 1
        await talk.aclose()
