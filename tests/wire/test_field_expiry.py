"""Fields of hashes through the whole server: they go when their time has come, unasked."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from redis_trio import RedisServer, open_redis
from tests.interop.compare import plain
from tests.wire.conftest import Connect


async def test_fields_expire_by_virtual_time(autojump_clock: trio.testing.MockClock) -> None:
    async with open_redis() as server:
        await server.execute("HSET", "h", "a", "1", "b", "2")
        assert await server.execute("HEXPIRE", "h", 3600, "FIELDS", 1, "a") == [1]
        assert await server.execute("HEXPIRE", "h", 7200, "FIELDS", 1, "b") == [1]
        for seconds, fields in [(3599.9, 2), (0.2, 1), (3599.7, 1)]:
            await trio.sleep(seconds)
            assert await server.execute("HLEN", "h") == fields
        await trio.sleep(0.2)
        assert server.state.dbs[0].table.count == 0  # gone without having been looked at
        assert server.state.stats.expired_subkeys == 2


async def test_a_server_without_deadlines_left_does_not_wake(
    autojump_clock: trio.testing.MockClock, connect: Connect, server: RedisServer
) -> None:
    client = await connect()
    assert plain(await client.command("HSET h a 1 b 2")) == 2
    assert plain(await client.command("HPEXPIRE h 50 FIELDS 1 a")) == [1]
    await trio.sleep(1)
    assert plain(await client.command("HGETALL h")) in ([b"b", b"2"], {b"b": b"2"})
    assert server.state.keeper_ms == -1


@pytest.mark.parametrize("entries", [512, 0])
async def test_many_fields_expire_while_others_are_served(
    autojump_clock: trio.testing.MockClock, connect: Connect, server: RedisServer, entries: int
) -> None:
    client = await connect()
    await client.command(f"CONFIG SET hash-max-listpack-entries {entries}")
    for key in range(20):
        pairs = " ".join(f"f{n} {n}" for n in range(400))
        fields = " ".join(f"f{n}" for n in range(400))
        assert plain(await client.command(f"HSET h{key} {pairs}")) == 400
        reply = plain(await client.command(f"HPEXPIRE h{key} 1000 FIELDS 400 {fields}"))
        assert reply == [1] * 400
    await trio.sleep(0.9)
    assert plain(await client.command("DBSIZE")) == 20
    await trio.sleep(1)
    assert plain(await client.command("DBSIZE")) == 0
    assert server.state.stats.expired_subkeys == 8000
