"""Bad input: one client's, and the end of that client only.

After every case a second client, which was connected before, gets its replies, and nothing of the
first is left. The same bytes are compared with a real redis-server in tests/interop.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator

import pytest
import trio

from redis_trio import RedisServer
from tests.interop.compare import encode, plain
from tests.protocol_cases import BROKEN, INCOMPLETE, UNAUTHENTICATED, Broken
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until

MB = 1024 * 1024


@pytest.fixture
async def bystander(connect: Connect, server: RedisServer) -> AsyncIterator[Talk]:
    """A well-behaved client, which must notice nothing."""
    client = await connect()
    assert plain(await client.command("SET bystander here")) == "OK"
    yield client
    assert await client.command("GET bystander") == b"here"
    assert plain(await client.command("PING")) == "PONG"
    assert len(server.state.clients) == 1


async def leave(client: Talk, server: RedisServer) -> None:
    """Hang up and wait until the server has noticed."""
    await client.aclose()
    await until(lambda: len(server.state.clients) == 1)


async def refused(client: Talk, data: bytes) -> bytes:
    """Send what the server closes the connection for; return its last words."""
    try:
        await client.send(data)
    except trio.BrokenResourceError:
        pass  # it closed before it had everything
    return await client.until_closed()


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_stream_is_refused_and_closed(
    name: str, connect: Connect, bystander: Talk, server: RedisServer
) -> None:
    client = await connect()
    error = BROKEN[name].error.replace("\r", " ").replace("\n", " ")
    line = f"-ERR Protocol error: {error}\r\n".encode("utf-8", "surrogateescape")
    pongs = b"+PONG\r\n" * len(BROKEN[name].commands)
    assert await refused(client, BROKEN[name].data) == pongs + line
    await until(lambda: len(server.state.clients) == 1)


@pytest.mark.parametrize("name", INCOMPLETE)
async def test_an_incomplete_request_waits(
    name: str, connect: Connect, bystander: Talk, server: RedisServer
) -> None:
    client = await connect()
    await client.send(INCOMPLETE[name])
    assert plain(await bystander.command("PING")) == "PONG"
    assert len(server.state.clients) == 2
    await leave(client, server)


@pytest.mark.parametrize("name", UNAUTHENTICATED)
async def test_limits_before_authentication(
    name: str, connect: Connect, bystander: Talk, server: RedisServer
) -> None:
    assert plain(await bystander.command("CONFIG SET requirepass secret")) == "OK"
    client = await connect()
    case = UNAUTHENTICATED[name]
    if isinstance(case, Broken):
        error = f"-ERR Protocol error: {case.error}\r\n".encode()
        assert await refused(client, case.data) == error
    else:
        await client.send(case.data)
        assert plain(await client.reply()) == ("error", "NOAUTH Authentication required.")
        assert plain(await client.command("AUTH secret")) == "OK"
        wrong = ("error", "ERR wrong number of arguments for 'ping' command")
        assert plain(await client.command(["PING"] * 20)) == wrong
        assert await client.command(["ECHO", "x" * 20_000]) == b"x" * 20_000
        await leave(client, server)
    await until(lambda: len(server.state.clients) == 1)


async def test_a_multibulk_count_of_2147483647_allocates_nothing(
    connect: Connect, bystander: Talk, server: RedisServer
) -> None:
    client = await connect()
    tracemalloc.start()
    try:
        await client.send(b"*2147483647\r\n")
        assert plain(await bystander.command("PING")) == "PONG"
        assert tracemalloc.get_traced_memory()[1] < MB
    finally:
        tracemalloc.stop()
    await leave(client, server)


async def test_a_bulk_length_of_minus_5(connect: Connect, bystander: Talk) -> None:
    first, second = await connect(), await connect()
    assert await refused(first, b"*1\r\n$-5\r\n") == b"-ERR Protocol error: invalid bulk length\r\n"
    await second.send(b"$-5\r\n")  # where a command begins it is one, if a strange one
    message = "ERR unknown command '$-5', with args beginning with: "
    assert plain(await second.reply()) == ("error", message)
    assert plain(await second.command("PING")) == "PONG"
    await second.aclose()


async def test_64_kb_of_garbage_without_a_newline(connect: Connect, bystander: Talk) -> None:
    client = await connect()
    garbage = bytes(range(128, 256)) * 512
    await client.send(garbage)
    assert plain(await bystander.command("PING")) == "PONG"
    error = b"-ERR Protocol error: too big inline request\r\n"
    assert await refused(client, garbage[:1]) == error


async def test_garbage_without_end_is_not_gathered(
    connect: Connect, bystander: Talk, server: RedisServer
) -> None:
    client = await connect()
    tracemalloc.start()
    try:
        for _ in range(1000):
            try:
                await client.send(b"x" * 64 * 1024)
            except trio.BrokenResourceError:
                break
            if len(server.state.clients) == 1:
                break
        await until(lambda: len(server.state.clients) == 1)
        assert tracemalloc.get_traced_memory()[1] < 10 * MB
    finally:
        tracemalloc.stop()


async def test_a_client_that_sends_one_byte_at_a_time_holds_up_nobody(
    connect: Connect, bystander: Talk
) -> None:
    client = await connect()
    for byte in encode(["SET", "slow", "x" * 50]):
        await client.send(bytes([byte]))
        assert plain(await bystander.command("PING")) == "PONG"
    assert plain(await client.reply()) == "OK"
    await client.aclose()
    assert await bystander.command("STRLEN slow") == 50


async def test_a_client_that_never_reads_its_replies(
    connect: Connect, bystander: Talk, server: RedisServer
) -> None:
    """It can send on and on; the replies wait for it, in order, and it holds up nobody."""
    commands = 100_000
    client = await connect()
    await client.command(["SET", "k", "x" * 100])
    asked = 0

    async def ask() -> None:
        nonlocal asked
        for _ in range(commands // 1000):
            await client.send(b"GET k\r\n" * 999 + encode(["ECHO", asked]))
            asked += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        while asked < commands // 1000:
            assert plain(await bystander.command("PING")) == "PONG"
    for batch in range(commands // 1000):
        replies = await client.replies(1000)
        assert replies == [b"x" * 100] * 999 + [b"%d" % batch]
    assert plain(await client.command("PING")) == "PONG"
    await leave(client, server)


async def test_a_client_that_never_reads_and_leaves_is_forgotten(
    connect: Connect, bystander: Talk, server: RedisServer
) -> None:
    client = await connect()
    await client.command(["SET", "k", "x" * MB])
    await client.send(b"GET k\r\n" * 50)
    for _ in range(100):
        assert plain(await bystander.command("PING")) == "PONG"
    await leave(client, server)


async def test_an_error_reply_to_a_client_that_has_gone(
    connect: Connect, bystander: Talk, server: RedisServer
) -> None:
    for _ in range(20):
        client = await connect()
        await client.send(b"PING\r\n" * 100 + b"*x\r\n")
        await client.aclose()
    await until(lambda: len(server.state.clients) == 1)
