"""Requests and replies through the real connection loop, however they are cut into pieces."""

from __future__ import annotations

import random

import pytest
import trio

from redis_trio import RedisServer, open_redis
from redis_trio.protocol.reply import RedisError, Reply
from tests.interop.compare import encode, plain
from tests.protocol_cases import VALID, Valid
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until

pytestmark = pytest.mark.usefixtures("transport")


def answers(case: Valid) -> list[object]:
    """Return the replies to the PINGs and ECHOs of a stream."""
    replies: list[object] = []
    for name, *args in case.commands:
        if name == b"PING" and not args:
            replies.append("PONG")
        elif name in (b"PING", b"ECHO") and len(args) == 1:
            replies.append(args[0])
        elif name == b"$4":
            message = "ERR unknown command '$4', with args beginning with: "
            replies.append(("error", message))
        else:
            message = f"ERR wrong number of arguments for '{name.decode().lower()}' command"
            replies.append(("error", message))
    return replies


@pytest.mark.parametrize("name", VALID)
async def test_a_stream_gets_its_replies_however_it_is_cut(name: str, connect: Connect) -> None:
    case = VALID[name]
    client = await connect()
    expected = answers(case)
    await client.send(case.data)
    assert [plain(reply) for reply in await client.replies(len(expected))] == expected
    rng = random.Random(1)
    pos = 0
    while pos < len(case.data):
        size = rng.choice((1, 2, 5, 20, 30_000))
        await client.send(case.data[pos : pos + size])
        await trio.lowlevel.checkpoint()
        pos += size
    assert [plain(reply) for reply in await client.replies(len(expected))] == expected


@pytest.mark.parametrize("depth", [1, 2, 16, 63, 64, 65, 1000, 10_000])
async def test_a_pipeline_is_answered_in_order(depth: int, connect: Connect) -> None:
    client = await connect()
    data = b"".join(encode(["ECHO", i]) for i in range(depth))

    async def send() -> None:
        await client.send(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        assert await client.replies(depth) == [b"%d" % i for i in range(depth)]


async def test_a_client_that_sends_one_byte_at_a_time(connect: Connect) -> None:
    client = await connect()
    other = await connect()
    for byte in encode("SET k value") + b"GET k\r\n" + encode(["ECHO", "x" * 300]):
        await client.send(bytes([byte]))
    assert await other.command("PING x") == b"x"
    assert [plain(reply) for reply in await client.replies(3)] == ["OK", b"value", b"x" * 300]


async def test_inline_commands(connect: Connect) -> None:
    client = await connect()
    await client.send(b"set k \"a\\x00b\"\r\n\r\nget k\nget 'k'\r\n")
    assert [plain(reply) for reply in await client.replies(3)] == ["OK", b"a\0b", b"a\0b"]


async def test_a_value_of_10_mb_goes_in_and_comes_out(connect: Connect) -> None:
    client = await connect()
    value = bytes(range(256)) * 40_960
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send, encode(["SET", "k", value]) + encode("GET k"))
        assert plain(await client.reply()) == "OK"
        assert await client.reply() == value


async def test_resp3_after_hello_and_resp2_again(connect: Connect) -> None:
    client = await connect()
    await client.send(b"GET none\r\nHELLO 3\r\nGET none\r\nHELLO 2\r\nGET none\r\nPING\r\n")
    first, hello, second, again, third, pong = await client.replies(6)
    assert plain(pong) == "PONG"
    assert (first, second, third) == (None, None, None)
    assert isinstance(hello, dict)
    assert hello[b"proto"] == 3
    assert isinstance(again, list)
    assert again[again.index(b"proto") + 1] == 2
    await client.send(b"GET none\r\nHELLO 3\r\nGET none\r\nQUIT\r\n")
    data = await client.until_closed()
    assert data.startswith(b"$-1\r\n%")
    assert data.endswith(b"_\r\n+OK\r\n")


async def test_quit_in_a_pipeline_ends_it(connect: Connect, server: RedisServer) -> None:
    client = await connect()
    await client.send(b"SET k 1\r\nQUIT\r\nSET k 2\r\n")
    assert await client.until_closed() == b"+OK\r\n+OK\r\n"
    assert await server.execute("GET", "k") == b"1"


async def test_a_half_closed_client_gets_the_replies_to_what_it_sent(connect: Connect) -> None:
    client = await connect()
    await client.send(b"".join(encode(["ECHO", i]) for i in range(5000)))
    await client.send_eof()
    data = b"".join(b"$%d\r\n%d\r\n" % (len(str(i)), i) for i in range(5000))
    assert await client.until_closed() == data


async def test_a_client_that_disconnects_in_mid_command_leaves_nothing(
    connect: Connect, server: RedisServer
) -> None:
    other = await connect()
    for data in (
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nab",
        b"*1\r\n$90000\r\n" + b"x" * 70_000,
        b"GE",
    ):
        client = await connect()
        assert plain(await client.command("PING")) == "PONG"
        await client.send(data)
        assert len(server.state.clients) == 2
        await client.aclose()
        await until(lambda: len(server.state.clients) == 1)
    assert await other.command("GET k") is None


async def test_a_client_that_disconnects_without_reading_its_replies(
    connect: Connect, server: RedisServer
) -> None:
    other = await connect()
    assert plain(await other.command(["SET", "k", "x" * 1_000_000])) == "OK"
    client = await connect()
    await client.send(b"GET k\r\n" * 20)
    await client.aclose()
    await until(lambda: len(server.state.clients) == 1)
    assert await other.command("STRLEN k") == 1_000_000


async def test_200_clients_at_once(connect: Connect, server: RedisServer) -> None:
    async def count(client: Talk) -> None:
        for _ in range(20):
            assert isinstance(await client.command("INCR n"), int)

    clients = [await connect() for _ in range(200)]
    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(count, client)
    assert await server.execute("GET", "n") == b"4000"
    assert len(server.state.clients) == 200


async def test_servers_in_one_process_share_nothing(connect: Connect, transport: str) -> None:
    first = await connect()
    async with open_redis() as another:
        stream: trio.abc.Stream
        if transport == "memory":
            stream = await another.connect()
        else:
            stream = await trio.open_tcp_stream("127.0.0.1", another.port)
        second = Talk(stream)
        assert plain(await first.command("SET k 1")) == "OK"
        assert await second.command("GET k") is None
        assert plain(await second.command("CONFIG SET timeout 100")) == "OK"
        assert await first.command("CONFIG GET timeout") == [b"timeout", b"0"]
        assert isinstance(await second.command("NONE"), RedisError)
        assert await second.command("INCR k") == 1
        await second.aclose()
    assert await first.command("INCR k") == 2


async def test_replies_to_a_client_come_before_those_to_what_it_sends_later(
    connect: Connect,
) -> None:
    clients = [await connect() for _ in range(10)]
    seen: list[list[Reply]] = [[] for _ in clients]
    for i in range(50):
        for number, client in enumerate(clients):
            await client.send(encode(["ECHO", f"{number}.{i}"]) * 2)
    for number, client in enumerate(clients):
        seen[number] = await client.replies(100)
    for number, replies in enumerate(seen):
        assert replies == [f"{number}.{i // 2}".encode() for i in range(100)]
