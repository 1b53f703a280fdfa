"""MIGRATE in the loop: who waits while keys are on their way, and who does not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from redis_trio import RedisServer
from redis_trio.protocol.reply import RedisError, Reply
from redis_trio.protocol.request import Args, Limits, RequestParser
from tests.interop.compare import plain
from tests.wire.conftest import Connect
from tests.wire.talk import PATIENCE_S, Talk, until


class Target:
    """A server that answers when it is told to.

    Attributes:
      connections: how many there have been.
    """

    def __init__(self, listener: trio.SocketListener) -> None:
        self._listener = listener
        self._stream: trio.SocketStream | None = None
        self._streams: list[trio.SocketStream] = []
        self._commands: list[Args] = []
        self.connections = 0
        self.port: int = listener.socket.getsockname()[1]

    def line(self, *keys: str, timeout_ms: int = 60_000) -> str:
        """Return the command that moves keys here."""
        return f"MIGRATE 127.0.0.1 {self.port} '' 0 {timeout_ms} KEYS {' '.join(keys)}"

    async def accept(self) -> None:
        """Wait for a connection."""
        with trio.fail_after(PATIENCE_S):
            self._stream = await self._listener.accept()
        self._streams.append(self._stream)
        self._parser = RequestParser(Limits())
        self.connections += 1

    async def commands(self, count: int) -> list[bytes]:
        """Wait for so many commands; return the first two words of each."""
        assert self._stream is not None
        with trio.fail_after(PATIENCE_S):
            while len(self._commands) < count:
                data = await self._stream.receive_some()
                assert data
                self._parser.feed(bytes(data))
                self._commands += self._parser.parse(1000)
        taken, self._commands = self._commands[:count], self._commands[count:]
        return [b" ".join(args[:2]) for args in taken]

    async def answer(self, *lines: str) -> None:
        """Send lines."""
        assert self._stream is not None
        await self._stream.send_all("".join([f"{line}\r\n" for line in lines]).encode())

    async def at_end(self) -> bool:
        """Wait for the end of the connection; return whether nothing came before."""
        assert self._stream is not None
        with trio.fail_after(PATIENCE_S):
            return await self._stream.receive_some() == b""

    async def aclose(self) -> None:
        """Close everything."""
        for stream in (self._listener, *self._streams):
            await trio.aclose_forcefully(stream)

    async def hang_up(self) -> None:
        """Close the connection."""
        assert self._stream is not None
        await self._stream.aclose()


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    """A server that keys can be sent to."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    target = Target(listener)
    yield target
    await target.aclose()


async def begin(connection: Talk, target: Target, *keys: str) -> None:
    """Have keys moved to the target, which has them now, but has not said so."""
    await connection.send(target.line(*keys).encode() + b"\r\n")
    await target.accept()
    assert await target.commands(1 + len(keys)) == [
        b"SELECT 0",
        *[b"RESTORE " + key.encode() for key in keys],
    ]


def shown(reply: Reply) -> object:
    return str(reply) if isinstance(reply, RedisError) else plain(reply)


async def test_readers_go_on_and_writers_wait_while_keys_are_on_their_way(
    connect: Connect, target: Target
) -> None:
    mover, reader, writer = await connect(), await connect(), await connect()
    await mover.command("MSET a 1 b 2")
    await begin(mover, target, "a", "b")
    for line in ("SET a 9", "MULTI", "GET a", "INCR a", "EXEC"):
        await writer.send(line.encode() + b"\r\n")
    await wait_all_tasks_blocked()
    assert await reader.command("MGET a b") == [b"1", b"2"]
    assert plain(await reader.command("PING")) == "PONG"
    await target.answer("+OK", "+OK")
    await wait_all_tasks_blocked()
    assert await reader.command("MGET a b") == [b"1", b"2"]
    await target.answer("+OK")
    assert plain(await mover.reply()) == "OK"
    replies = [plain(reply) for reply in await writer.replies(5)]
    assert replies == ["OK", "OK", "QUEUED", "QUEUED", [b"9", 10]]
    assert await reader.command("MGET a b") == [b"10", None]


async def test_keys_go_even_if_the_client_has_gone(
    connect: Connect, target: Target, server: RedisServer
) -> None:
    mover, other = await connect(), await connect()
    await mover.command("SET k v")
    await begin(mover, target, "k")
    await mover.aclose()
    await until(lambda: len(server.state.clients) == 1)
    await other.send(b"SET other v\r\n")
    await target.answer("+OK", "+OK")
    assert plain(await other.reply()) == "OK"
    assert await other.command("EXISTS k other") == 1


async def test_nobody_else_can_end_it(connect: Connect, target: Target) -> None:
    mover, other = await connect(), await connect()
    await mover.command("SET k v")
    client_id = await mover.command("CLIENT ID")
    await begin(mover, target, "k")
    assert await other.command(["CLIENT", "UNBLOCK", str(client_id)]) == 0
    assert plain(await other.command("CLIENT UNPAUSE")) == "OK"
    await other.send(b"SET k w\r\n")
    await wait_all_tasks_blocked()
    await target.answer("+OK", "-ERR no")
    assert shown(await mover.reply()) == "ERR Target instance replied with error: ERR no"
    assert plain(await other.reply()) == "OK"
    assert await other.command("GET k") == b"w"


async def test_what_has_expired_meanwhile_goes_when_it_is_over(
    connect: Connect, target: Target, server: RedisServer, autojump_clock: trio.testing.MockClock
) -> None:
    mover = await connect()
    await mover.command("SET k v")
    await mover.command("SET other v PX 1000")
    await mover.send(target.line("k", timeout_ms=5000).encode() + b"\r\n")
    await trio.sleep(4)
    assert server.state.dbs[0].table.count == 2
    assert isinstance(await mover.reply(), RedisError)
    await wait_all_tasks_blocked()
    assert server.state.dbs[0].table.count == 1


async def test_only_what_has_arrived_is_deleted(connect: Connect, target: Target) -> None:
    mover = await connect()
    await mover.command("MSET a 1 b 2 c 3")
    await begin(mover, target, "a", "b", "c")
    await target.answer("+OK", "+OK", "-BUSYKEY it is there")
    await target.hang_up()
    expected = "ERR Target instance replied with error: BUSYKEY it is there"
    assert shown(await mover.reply()) == expected
    assert await mover.command("MGET a b c") == [None, b"2", b"3"]


async def test_a_connection_that_breaks_behind_the_first_answer_is_an_error(
    connect: Connect, target: Target
) -> None:
    mover = await connect()
    await mover.command("MSET a 1 b 2")
    await begin(mover, target, "a", "b")
    await target.answer("+OK", "+OK")
    await target.hang_up()
    expected = "IOERR error or timeout reading to target instance"
    assert shown(await mover.reply()) == expected
    assert await mover.command("MGET a b") == [None, b"2"]


async def test_a_connection_is_kept_and_replaced_if_it_has_been_closed(
    connect: Connect, target: Target, server: RedisServer
) -> None:
    mover = await connect()
    await mover.command("MSET a 1 b 2 c 3")
    await begin(mover, target, "a")
    await target.answer("+OK", "+OK")
    assert plain(await mover.reply()) == "OK"
    assert len(server.state.migrations.connections) == 1
    await mover.send(target.line("b").encode() + b"\r\n")
    assert await target.commands(1) == [b"RESTORE b"]  # the database is selected already
    await target.answer("+OK")
    assert plain(await mover.reply()) == "OK"
    await target.hang_up()
    await begin(mover, target, "c")
    await target.answer("+OK", "+OK")
    assert plain(await mover.reply()) == "OK"
    assert target.connections == 2


async def test_a_connection_that_is_not_used_is_closed_after_ten_seconds(
    connect: Connect, target: Target, server: RedisServer, autojump_clock: trio.testing.MockClock
) -> None:
    mover = await connect()
    await mover.command("SET k v")
    await begin(mover, target, "k")
    await target.answer("+OK", "+OK")
    assert plain(await mover.reply()) == "OK"
    began = trio.current_time()
    assert await target.at_end()
    assert 9.99 < trio.current_time() - began < 11  # in whole milliseconds
    assert not server.state.migrations.connections


async def test_who_is_silent_for_too_long_is_given_up(
    connect: Connect, target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    mover = await connect()
    await mover.command("SET k v")
    began = trio.current_time()
    reply = await mover.command(target.line("k", timeout_ms=5000))
    assert shown(reply) == "IOERR error or timeout reading to target instance"
    assert 4.99 < trio.current_time() - began < 6
    assert await mover.command("GET k") == b"v"
    assert plain(await mover.command("SET k w")) == "OK"


async def test_a_call_from_inside_the_process_waits_too(
    server: RedisServer, target: Target
) -> None:
    await server.execute("SET", "k", "v")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.execute, *target.line("k").replace("''", "").split(" "))
        await target.accept()
        await target.commands(2)
        nursery.start_soon(server.execute, "SET", "k", "w")
        await wait_all_tasks_blocked()
        assert await server.execute("GET", "k") == b"v"
        await target.answer("+OK", "+OK")
    assert await server.execute("GET", "k") == b"w"


async def test_a_server_that_ends_meanwhile_leaves_nothing(
    server: RedisServer,
    connect: Connect,
    target: Target,
    autojump_clock: trio.testing.MockClock,
) -> None:
    mover = await connect()
    await mover.command("SET k v")
    await begin(mover, target, "k")
    await server.aclose()
    assert await target.at_end()
    assert not server.state.migrations.connections
