"""serve_redis and its relatives: what a Trio application sees of a server inside it."""

from __future__ import annotations

import gc
import os
import socket
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

import redis_trio
from redis_trio import (
    ConfigError,
    RedisError,
    RedisServer,
    open_redis,
    run_redis,
    serve_redis,
)
from redis_trio.blocking import Block
from redis_trio.command import Command
from redis_trio.protocol.reply import Reply


class Dial:
    """Opens sockets to servers and closes them when the test has ended."""

    def __init__(self) -> None:
        self.opened: list[trio.SocketStream] = []

    async def __call__(self, host: str, port: int) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(host, port)
        self.opened.append(stream)
        return stream

    async def unix(self, path: Path) -> trio.SocketStream:
        stream = await trio.open_unix_socket(str(path))
        self.opened.append(stream)
        return stream

    async def aclose(self) -> None:
        for stream in self.opened:
            await stream.aclose()


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    dial = Dial()
    yield dial
    await dial.aclose()


async def ask(stream: trio.abc.Stream, request: bytes, size: int) -> bytes:
    """Send a request and read a reply of `size` bytes."""
    await stream.send_all(request)
    return await read(stream, size)


async def read(stream: trio.abc.Stream, size: int) -> bytes:
    reply = b""
    with trio.fail_after(5):
        while len(reply) < size:
            data = await stream.receive_some(size - len(reply))
            assert data, f"the stream ended after {reply!r}"
            reply += data
    return reply


async def test_serve_redis_returns_a_server_that_listens(dial: Dial) -> None:
    async with trio.open_nursery() as nursery:
        server = await serve_redis(nursery, 0)
        assert server.addresses == [("127.0.0.1", server.port)]
        assert server.url == f"redis://127.0.0.1:{server.port}"
        stream = await dial("127.0.0.1", server.port)
        assert await ask(stream, b"PING\r\n", 7) == b"+PONG\r\n"
        nursery.cancel_scope.cancel()


async def test_run_redis_can_be_started_by_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(run_redis, 0)
        assert await server.execute("PING") == b"PONG"
        await server.aclose()


async def test_open_redis_closes_with_its_block(dial: Dial) -> None:
    async with open_redis() as server:
        port = server.port
    with pytest.raises(OSError):
        await dial("127.0.0.1", port)
    with pytest.raises(trio.ClosedResourceError):
        await server.execute("PING")
    with pytest.raises(trio.ClosedResourceError):
        await server.connect()


async def test_an_error_in_the_block_of_open_redis_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_redis():
            raise ZeroDivisionError


async def test_two_servers_in_one_process_share_nothing() -> None:
    async with open_redis() as one, open_redis() as other:
        assert await one.execute("SET", "key", "value") == b"OK"
        assert await other.execute("GET", "key") is None
        assert await one.execute("GET", "key") == b"value"
        assert one.state.commands[b"get"].calls == 1
        assert one.state.commands[b"get"] is not other.state.commands[b"get"]


async def test_execute_encodes_words_and_raises_errors() -> None:
    async with open_redis() as server:
        assert await server.execute("SET", "n", 41) == b"OK"
        assert await server.execute("INCR", b"n") == 42
        with pytest.raises(RedisError, match="wrong number of arguments for 'get' command"):
            await server.execute("GET")
        with pytest.raises(ValueError):
            await server.execute()


async def test_execute_takes_bytes_of_any_kind_and_nothing_that_is_no_word() -> None:
    async with open_redis() as server:
        for word in (b"some bytes", bytearray(b"some bytes"), memoryview(b"some bytes")):
            assert await server.execute("ECHO", word) == b"some bytes"
        for wrong in (None, True, ["a"]):
            with pytest.raises(TypeError, match="a word of a command"):
                await server.execute("SET", "key", wrong)  # type: ignore[arg-type]
        assert await server.execute("DBSIZE") == 0


async def test_execute_needs_no_password() -> None:
    async with open_redis(requirepass="secret") as server:
        assert await server.execute("PING") == b"PONG"
        stream = await server.connect()
        assert (await ask(stream, b"PING\r\n", 7)).startswith(b"-NOAUTH")


async def test_an_in_memory_connection_is_a_connection() -> None:
    async with open_redis() as server:
        stream = await server.connect()
        assert await ask(stream, b"SET k v\r\nGET k\r\n", 12) == b"+OK\r\n$1\r\nv\r\n"
        assert len(server.state.clients) == 1
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert not server.state.clients


async def test_aclose_lets_replies_out_and_ends_everything(dial: Dial) -> None:
    async with trio.open_nursery() as nursery:
        server = await serve_redis(nursery, 0)
        stream = await dial("127.0.0.1", server.port)
        await ask(stream, b"SET k " + b"v" * 60_000 + b"\r\n", 5)
        await stream.send_all(b"GET k\r\n" * 200)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(server.aclose)
        size = 200 * (60_000 + len(b"$60000\r\n\r\n"))
        assert len(await read(stream, size)) == size
        assert await stream.receive_some(1) == b""
        await server.aclose()  # a second call is harmless
    assert not server.state.clients


async def test_cancelling_the_nursery_leaves_no_task_thread_descriptor_or_file(
    socket_folder: Path,
    dial: Dial,
) -> None:
    path = socket_folder / "redis.sock"

    def descriptors() -> set[str]:
        return set(os.listdir("/proc/self/fd"))

    async with open_redis():  # whatever is loaded lazily is loaded now
        pass
    tasks = trio.lowlevel.current_statistics().tasks_living
    threads = threading.active_count()
    gc.collect()
    before = descriptors()
    async with trio.open_nursery() as nursery:
        server = await serve_redis(nursery, 0, unixsocket=str(path))
        streams = [await dial("127.0.0.1", server.port) for _ in range(3)]
        streams.append(await dial.unix(path))
        memory = await server.connect()
        for stream in [*streams, memory]:
            assert await ask(stream, b"PING\r\n", 7) == b"+PONG\r\n"
        nursery.cancel_scope.cancel()
    await dial.aclose()
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert threading.active_count() == threads
    assert descriptors() == before
    assert not path.exists()


async def test_a_bug_in_a_command_costs_one_connection_and_never_reaches_the_host(
    caplog: pytest.LogCaptureFixture,
    dial: Dial,
) -> None:
    async with open_redis() as server:

        def broken(client: object, args: list[bytes]) -> Reply:
            raise KeyError("a bug")

        ping: Command = server.state.commands[b"PING"]
        ping.handler = broken  # type: ignore[assignment]
        for stream in (
            await dial("127.0.0.1", server.port),
            await server.connect(),
        ):
            assert await ask(stream, b"PING\r\n", 21) == b"-ERR internal error\r\n"
            assert await stream.receive_some(1) == b""
        assert "internal error" in caplog.text
        assert await server.execute("ECHO", "alive") == b"alive"


async def test_a_port_that_is_taken_is_an_oserror_and_no_group() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with trio.open_nursery() as nursery:
            with pytest.raises(OSError, match="Could not create server TCP listening socket"):
                await serve_redis(nursery, taken.getsockname()[1])


async def test_unknown_or_bad_parameters_are_refused_before_anything_starts() -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(ConfigError):
            await serve_redis(nursery, 0, no_such_parameter=1)
        with pytest.raises(ConfigError):
            await serve_redis(nursery, 0, maxclients="many")


async def test_open_redis_that_cannot_start_says_why_in_no_group() -> None:
    with pytest.raises(ConfigError):
        async with open_redis(no_such_parameter=1):
            pytest.fail("it has started")
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="Could not create server TCP listening socket"),
    ):
        async with open_redis(taken.getsockname()[1]):
            pytest.fail("it has started")


async def test_several_addresses_share_one_port(dial: Dial) -> None:
    async with open_redis(host=["127.0.0.1", "127.0.0.2"]) as server:
        for host in ("127.0.0.1", "127.0.0.2"):
            stream = await dial(host, server.port)
            assert await ask(stream, b"PING\r\n", 7) == b"+PONG\r\n"
        assert {address[1] for address in server.addresses} == {server.port}


async def test_ipv6(dial: Dial) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    async with open_redis(host="::1") as server:
        stream = await dial("::1", server.port)
        assert await ask(stream, b"PING\r\n", 7) == b"+PONG\r\n"
        assert server.url == f"redis://[::1]:{server.port}"
        (client,) = server.state.clients.values()
        assert client.addr.startswith("[::1]:")


async def test_an_address_with_a_minus_may_be_missing() -> None:
    async with open_redis(host="127.0.0.1 -192.0.2.1") as server:
        assert server.addresses == [("127.0.0.1", server.port)]


async def test_unix_socket_and_its_permissions(socket_folder: Path, dial: Dial) -> None:
    path = socket_folder / "redis.sock"
    path.touch()  # one left behind is replaced
    async with open_redis(unixsocket=str(path), unixsocketperm="700") as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert str(path) in server.addresses
        stream = await dial.unix(path)
        assert await ask(stream, b"PING\r\n", 7) == b"+PONG\r\n"
    assert not path.exists()


async def test_more_than_maxclients_are_refused_with_redis_error(dial: Dial) -> None:
    async with open_redis(maxclients=2) as server:
        kept = [await dial("127.0.0.1", server.port) for _ in range(2)]
        for stream in kept:
            assert await ask(stream, b"PING\r\n", 7) == b"+PONG\r\n"
        refused = await dial("127.0.0.1", server.port)
        error = b"-ERR max number of clients reached\r\n"
        assert await read(refused, len(error)) == error
        assert await refused.receive_some(1) == b""
        assert server.state.stats.rejected_connections == 1
        await kept.pop().aclose()
        await trio.testing.wait_all_tasks_blocked()
        again = await dial("127.0.0.1", server.port)
        assert await ask(again, b"PING\r\n", 7) == b"+PONG\r\n"


async def test_protected_mode_refuses_other_machines_while_there_is_no_password(
    dial: Dial,
) -> None:
    """A connection seems to come from elsewhere where `_connected` is told so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        async def dial_from_elsewhere(server: RedisServer) -> trio.SocketStream:
            stream = await dial(*listener.getsockname())
            server._connected(listener.accept()[0], ("192.0.2.1", 4711), "tcp")
            return stream

        async with open_redis() as server:
            refused = await dial_from_elsewhere(server)
            start = b"-DENIED Redis is running in protected mode because protected mode is enabled"
            assert await read(refused, len(start)) == start
            assert server.state.stats.rejected_connections == 1
            assert server.state.stats.connections_received == 0
            assert not server.state.clients
            await server.execute("CONFIG", "SET", "requirepass", "secret")
            let_in = await dial_from_elsewhere(server)
            error = b"-NOAUTH Authentication required.\r\n"
            assert await ask(let_in, b"PING\r\n", len(error)) == error
            await server.execute("CONFIG", "SET", "requirepass", "", "protected-mode", "no")
            let_in = await dial_from_elsewhere(server)
            assert await ask(let_in, b"PING\r\n", 7) == b"+PONG\r\n"


async def test_accepted_sockets_have_nodelay_and_keepalive(dial: Dial) -> None:
    async with open_redis(tcp_keepalive=120) as server:
        stream = await dial("127.0.0.1", server.port)
        await ask(stream, b"PING\r\n", 7)
        (client,) = server.state.clients.values()
        with socket.socket(fileno=os.dup(client.transport.fd)) as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 120


async def test_config_set_port_and_bind_move_the_listeners(dial: Dial) -> None:
    async with open_redis() as server:
        old_port = server.port
        stream = await dial("127.0.0.1", old_port)
        assert await ask(stream, b"PING\r\n", 7) == b"+PONG\r\n"
        with socket.create_server(("127.0.0.1", 0)) as taken:
            with pytest.raises(RedisError, match="Unable to listen on this port"):
                await server.execute("CONFIG", "SET", "port", taken.getsockname()[1])
            assert server.port == old_port
            port = taken.getsockname()[1]
        await server.execute("CONFIG", "SET", "port", port)
        assert server.addresses == [("127.0.0.1", port)]
        await server.execute("CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2")
        again = await dial("127.0.0.2", port)
        for open_stream in (stream, again):
            assert await ask(open_stream, b"PING\r\n", 7) == b"+PONG\r\n"
        with pytest.raises(OSError):
            await dial("127.0.0.1", old_port)
        with pytest.raises(RedisError, match="Failed to bind to specified addresses"):
            await server.execute("CONFIG", "SET", "bind", "127.0.0.1 192.0.2.1")
        assert await server.execute("CONFIG", "GET", "bind") == {b"bind": b"127.0.0.1 127.0.0.2"}


async def test_keys_expire_by_virtual_time(autojump_clock: trio.testing.MockClock) -> None:
    async with open_redis() as server:
        await server.execute("SET", "key", "value", "EX", 3600)
        await trio.sleep(3599.9)
        assert await server.execute("DBSIZE") == 1
        await trio.sleep(0.2)
        assert server.state.dbs[0].table.count == 0  # gone without having been looked at
        assert server.state.stats.expired_keys == 1


async def test_debug_sleep_stops_the_server_but_not_the_host(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_redis(enable_debug_command="yes") as server:
        sleeper = await server.connect()
        other = await server.connect()
        await sleeper.send_all(b"DEBUG SLEEP 3\r\n")
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        await other.send_all(b"PING\r\n")
        assert await read(other, 7) == b"+PONG\r\n"
        assert trio.current_time() - start >= 2.9
        assert await read(sleeper, 5) == b"+OK\r\n"


async def test_a_blocked_execute_that_is_cancelled_leaves_no_waiter(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_redis() as server:

        def wait(client: object, args: list[bytes]) -> Block:
            return Block([(0, b"topic")], 5.0 if len(args) > 1 else None, b"late")

        server.state.commands[b"PING"].handler = wait  # type: ignore[assignment]
        with trio.move_on_after(1) as scope:
            await server.execute("PING")
        assert scope.cancelled_caught
        assert not server.state.waiting.lines
        start = trio.current_time()
        assert await server.execute("PING", "timeout") == b"late"
        assert trio.current_time() - start == pytest.approx(5)


async def test_a_blocked_client_is_answered_in_order_and_goes_on(dial: Dial) -> None:
    async with open_redis() as server:

        def wait(client: object, args: list[bytes]) -> Block:
            return Block([(0, b"topic")], None, None)

        server.state.commands[b"PING"].handler = wait  # type: ignore[assignment]
        for stream in (
            await dial("127.0.0.1", server.port),
            await server.connect(),
        ):
            await stream.send_all(b"ECHO 1\r\nPING\r\nECHO 3\r\n")
            assert await read(stream, 7) == b"$1\r\n1\r\n"
            await trio.testing.wait_all_tasks_blocked()
            (waiter,) = server.state.waiting.lines[0, b"topic"][b""]
            assert waiter.answer(b"2")
            assert not waiter.answer(b"twice")
            assert await read(stream, 14) == b"$1\r\n2\r\n$1\r\n3\r\n"
            assert not server.state.waiting.lines
            await stream.aclose()


async def test_a_blocked_client_that_hangs_up_is_gone(dial: Dial) -> None:
    async with open_redis() as server:

        def wait(client: object, args: list[bytes]) -> Block:
            return Block([(0, b"topic")], None, None)

        server.state.commands[b"PING"].handler = wait  # type: ignore[assignment]
        for in_memory in (False, True):
            stream: trio.abc.Stream
            stream = await (server.connect() if in_memory else dial("127.0.0.1", server.port))
            await stream.send_all(b"PING\r\nECHO more\r\n")
            with trio.fail_after(5):
                while not server.state.waiting.lines:
                    await trio.testing.wait_all_tasks_blocked()
            await stream.aclose()
            with trio.fail_after(5):
                while server.state.clients:
                    await trio.testing.wait_all_tasks_blocked()
            assert not server.state.waiting.lines
            assert server.state.waiting.count == 0


async def test_a_busy_server_leaves_the_host_its_turn(dial: Dial) -> None:
    """While clients flood the server, the hub hands over after a bounded amount of work."""
    async with open_redis() as server:
        flood = b"SET key value\r\n" * 20_000
        longest = 0

        async def flooder() -> None:
            stream = await dial("127.0.0.1", server.port)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, flood)
                await read(stream, 5 * 20_000)

        async def host() -> None:
            nonlocal longest
            while True:
                before = server.state.stats.total_commands
                await trio.lowlevel.checkpoint()
                longest = max(longest, server.state.stats.total_commands - before)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(host)
            async with trio.open_nursery() as flooders:
                for _ in range(8):
                    flooders.start_soon(flooder)
            nursery.cancel_scope.cancel()
        assert server.state.stats.total_commands == 8 * 20_000
        assert 0 < longest < 20_000


def test_every_public_name_can_be_imported() -> None:
    for name in redis_trio.__all__:
        assert getattr(redis_trio, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        redis_trio.no_such_name  # type: ignore[attr-defined]  # noqa: B018
