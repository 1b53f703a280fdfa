"""maxmemory and maxmemory-clients through the real loop."""

from __future__ import annotations

import pytest

from redis_trio import RedisServer
from tests.interop.compare import plain
from tests.wire.conftest import Connect
from tests.wire.talk import until

SOCKETS = pytest.mark.parametrize("transport", ["hub", "stream"], indirect=True)
"""A stream in memory takes everything."""
VALUE = "v" * 1000


async def test_a_new_limit_is_kept_without_another_command(server: RedisServer) -> None:
    for number in range(2000):
        await server.execute("SET", f"key:{number}", VALUE)
    await server.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    await server.execute("CONFIG", "SET", "maxmemory-eviction-tenacity", "0")
    await server.execute("CONFIG", "SET", "maxmemory", "2mb")
    await until(lambda: not server.state.eviction.under_way)
    assert 0 < server.state.dbs[0].table.count < 1000
    assert server.state.eviction.used_bytes() <= 2 * 1024 * 1024


async def test_who_has_cached_a_key_that_goes_is_told_before_the_reply(
    connect: Connect, server: RedisServer
) -> None:
    talk = await connect()
    await talk.command("HELLO 3")
    await talk.command("CLIENT TRACKING on")
    await talk.command("SET volatile 1 EX 1000")
    await talk.command("GET volatile")
    await server.execute("CONFIG", "SET", "maxmemory-policy", "volatile-random")
    await server.execute("CONFIG", "SET", "maxmemory", "100gb")
    limit = server.state.eviction.used_bytes() + 20_000
    await server.execute("CONFIG", "SET", "maxmemory", str(limit))
    await talk.command("SETBIT big 1600000 0")
    await talk.send(b"GETBIT big 0\r\n")
    told = [plain(reply) for reply in await talk.replies(2)]
    assert told == [("push", [b"invalidate", [b"volatile"]]), 0]


@SOCKETS
async def test_a_subscriber_that_does_not_read_goes_and_the_others_stay(
    connect: Connect, server: RedisServer
) -> None:
    await server.execute("CONFIG", "SET", "maxmemory-clients", "2mb")
    deaf, listening = await connect(), await connect()
    for talk in (deaf, listening):
        await talk.command("SUBSCRIBE news")
    message = "x" * 100_000
    for _ in range(400):
        await server.execute("PUBLISH", "news", message)
        await listening.reply()
    await until(lambda: len(server.state.clients) == 1)
    assert server.state.client_memory.evicted == 1
    assert server.state.client_memory.total_bytes < 1024 * 1024


async def test_the_application_around_the_server_does_not_count(server: RedisServer) -> None:
    await server.execute("SET", "key", VALUE)
    before = server.state.memory.used_bytes()
    held = [bytes(1000) for _ in range(50_000)]
    assert abs(server.state.memory.used_bytes() - before) < 100_000
    await server.execute("CONFIG", "SET", "maxmemory", "10mb")
    assert abs(server.state.memory.used_bytes() - before) < 100_000
    assert len(held) == 50_000
