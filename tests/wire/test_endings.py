"""How connections, listeners and calls end when something else happens at the same time."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest
import trio
import trio.testing

from redis_trio import RedisError, RedisServer, open_redis, serve_redis
from redis_trio.blocking import Block
from redis_trio.protocol.reply import Reply
from tests.interop.compare import plain
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until

SOCKETS = pytest.mark.parametrize("transport", ["hub", "stream"], indirect=True)
MB = 1_000_000


async def _owed_20_mb(connect: Connect, server: RedisServer, last: bytes = b"") -> Talk:
    """Return a client that has not read the replies to 20 GETs of a megabyte, nor to `last`."""
    client = await connect()
    assert plain(await client.command(["SET", "k", "x" * MB])) == "OK"
    (inside,) = server.state.clients.values()
    await client.send(b"GET k\r\n" * 20 + last)
    await until(lambda: inside.net_out > 20 * MB)
    return client


@SOCKETS
async def test_a_half_closed_client_is_closed_when_it_has_taken_what_it_is_owed(
    connect: Connect, server: RedisServer
) -> None:
    client = await _owed_20_mb(connect, server)
    await client.send_eof()
    await trio.testing.wait_all_tasks_blocked()
    assert len(await client.until_closed()) == 20 * (MB + len(b"$1000000\r\n\r\n"))
    await until(lambda: not server.state.clients)


@SOCKETS
async def test_a_client_that_has_quit_and_does_not_read_can_be_killed(
    connect: Connect, server: RedisServer
) -> None:
    client = await _owed_20_mb(connect, server, b"QUIT\r\n")
    (inside,) = server.state.clients.values()
    await until(lambda: inside.close_after_reply)
    assert await server.execute("CLIENT", "KILL", "ID", inside.id) == 1
    await trio.testing.wait_all_tasks_blocked()
    assert len(await client.until_closed()) < 20 * MB


@pytest.mark.parametrize("code", [errno.ECONNABORTED, errno.EPROTO, errno.EMFILE, errno.EINVAL])
async def test_an_error_of_accept_costs_nobody_else_a_thing(
    code: int,
    server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
) -> None:
    accept = socket.socket.accept
    errors = [OSError(code, "from accept")]

    def fail_once(sock: socket.socket) -> tuple[socket.socket, object]:
        if errors:
            raise errors.pop()
        return accept(sock)

    monkeypatch.setattr(socket.socket, "accept", fail_once)
    client = Talk(await trio.open_tcp_stream("127.0.0.1", server.port))
    assert plain(await client.command("PING")) == "PONG"
    assert not errors
    await client.aclose()


async def test_a_listener_may_be_closed_while_a_connection_comes_in(server: RedisServer) -> None:
    port = server.port
    for _ in range(20):  # the two tasks run in either order
        with socket.create_connection(("127.0.0.1", port)):
            await trio.lowlevel.checkpoint()
            await server.execute("CONFIG", "SET", "port", 0)
            await trio.testing.wait_all_tasks_blocked()
        await server.execute("CONFIG", "SET", "port", port)
        await trio.testing.wait_all_tasks_blocked()
    assert server.port == port


async def test_a_listener_may_be_closed_before_its_loop_has_begun(server: RedisServer) -> None:
    port = server.port
    await server.execute("CONFIG", "SET", "port", 0)
    client = await server.connect()
    await client.send_all(b"CONFIG SET port %d\r\nCONFIG SET port 0\r\nPING\r\n" % port)
    assert plain(await Talk(client).replies(3)) == ["OK", "OK", "PONG"]
    await trio.testing.wait_all_tasks_blocked()
    assert await server.execute("PING") == b"PONG"
    await client.aclose()


async def test_a_wildcard_may_become_one_of_its_addresses_and_back() -> None:
    async with open_redis(host="*") as server:
        for address in ("127.0.0.1", "*", "127.0.0.1 127.0.0.2"):
            await server.execute("CONFIG", "SET", "bind", address)
            stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            assert plain(await Talk(stream).command("PING")) == "PONG"
            await stream.aclose()
        assert len(server.addresses) == 2


async def test_a_bind_that_fails_leaves_the_old_one() -> None:
    async with open_redis(host="*") as server:
        with pytest.raises(RedisError, match="Failed to bind"):
            await server.execute("CONFIG", "SET", "bind", "127.0.0.1 192.0.2.1")
        stream = await trio.open_tcp_stream("127.0.0.2", server.port)
        assert plain(await Talk(stream).command("PING")) == "PONG"
        await stream.aclose()
        assert server.addresses == [("0.0.0.0", server.port)]


def _block(client: object, args: list[bytes]) -> Block:
    return Block([(0, b"topic")], None, None)


async def test_a_blocked_client_that_sends_more_and_hangs_up_is_gone(
    connect: Connect, server: RedisServer
) -> None:
    server.state.commands[b"PING"].handler = _block  # type: ignore[assignment]
    client = await connect()
    await client.send(b"PING\r\n")
    await until(lambda: server.state.waiting.count == 1)
    for _ in range(3):
        await client.send(b"ECHO more\r\n")
        await trio.testing.wait_all_tasks_blocked()
    await client.aclose()
    await until(lambda: not server.state.clients)
    assert not server.state.waiting.lines


async def test_a_connect_that_is_cancelled_leaves_no_client() -> None:
    async with open_redis() as server:
        with trio.CancelScope() as scope:
            scope.cancel()
            await server.connect()
        assert scope.cancelled_caught
        assert not server.state.clients


async def test_execute_takes_replies_that_are_encoded() -> None:
    async with open_redis(enable_debug_command="yes") as server:
        expected = [[0, False], [1, True], [2, False]]
        assert await server.execute("DEBUG", "PROTOCOL", "MAP") == expected
        with pytest.raises(RedisError, match="WRONG this"):
            await server.execute("DEBUG", "ERROR", "WRONG this")


@pytest.mark.parametrize("paused", [False, True])
async def test_a_call_that_waits_ends_with_the_server(paused: bool) -> None:
    refused: list[bool] = []

    async def call(server: RedisServer) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await server.execute("PING")
        refused.append(True)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery, open_redis() as server:
            if paused:
                await server.execute("CLIENT", "PAUSE", 1_000_000)
            else:
                server.state.commands[b"PING"].handler = _block  # type: ignore[assignment]
            nursery.start_soon(call, server)
            await trio.testing.wait_all_tasks_blocked()
            await server.aclose()
    assert refused
    assert not server.state.waiting.lines


async def test_a_paused_call_that_is_cancelled_is_forgotten() -> None:
    async with open_redis() as server:
        await server.execute("CLIENT", "PAUSE", 1_000_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.execute, "PING")
            await trio.testing.wait_all_tasks_blocked()
            assert len(server.state.paused_clients) == 1
            nursery.cancel_scope.cancel()
        assert not server.state.paused_clients


async def test_a_reply_that_cannot_be_encoded_costs_one_connection(
    connect: Connect, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(client: object, args: list[bytes]) -> Reply:
        return object()  # type: ignore[return-value]

    other = await connect()
    client = await connect()
    server.state.commands[b"PING"].handler = broken  # type: ignore[assignment]
    await client.send(b"PING\r\n")
    assert await client.until_closed() == b""
    await until(lambda: len(server.state.clients) == 1)
    assert "internal error" in caplog.text
    assert await other.command("ECHO alive") == b"alive"


async def test_a_unix_socket_that_cannot_be_had_says_so(socket_folder: Path) -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(OSError, match=r"opening Unix socket: .*: Address already in use"):
            await serve_redis(nursery, 0, unixsocket=str(socket_folder))
        too_long = socket_folder / ("x" * 108)
        with pytest.raises(OSError, match=r"unix socket path too long \(\d+\), must be under \d+"):
            await serve_redis(nursery, 0, unixsocket=str(too_long))


async def test_a_server_that_starts_without_an_address_keeps_its_port(socket_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = socket_folder / "socket"
    async with open_redis(port, host="", unixsocket=str(path)) as server:
        assert server.port == 0
        assert await server.execute("CONFIG", "GET", "port") == {b"port": b"%d" % port}
        await server.execute("CONFIG", "SET", "bind", "127.0.0.1")
        assert server.port == port
        assert server.addresses[1] == ("127.0.0.1", port)
