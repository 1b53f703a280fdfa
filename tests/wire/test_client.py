"""Killing, pausing and timing out connections through the real loop, sockets and streams."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from redis_trio.blocking import Block
from redis_trio.client import Client
from redis_trio.command import BLOCKING, Command, Declaration
from redis_trio.protocol.reply import Reply, Status
from redis_trio.protocol.request import Args
from redis_trio.server import RedisServer, open_redis

FAIL_AFTER_S = 1000.0  # virtual seconds in most tests


class Wire:
    """A connection whose replies are read as bytes."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.stream = stream

    async def send(self, *lines: str) -> None:
        """Send inline commands in one piece."""
        await self.stream.send_all("".join([line + "\r\n" for line in lines]).encode())

    async def expect(self, expected: bytes) -> None:
        """Read exactly this."""
        got = b""
        with trio.fail_after(FAIL_AFTER_S):
            while len(got) < len(expected):
                data = await self.stream.receive_some(len(expected) - len(got))
                assert data, f"the stream ended after {got!r}"
                got += data
        assert got == expected

    async def ask(self, line: str, expected: bytes) -> None:
        """Send one command and read exactly this."""
        await self.send(line)
        await self.expect(expected)

    async def number(self, line: str) -> int:
        """Send one command and read an integer."""
        await self.send(line)
        got = b""
        with trio.fail_after(FAIL_AFTER_S):
            while not got.endswith(b"\r\n"):
                got += await self.stream.receive_some(1)
        return int(got[1:])

    async def ended(self) -> None:
        """Read the end of the stream, and nothing before it."""
        with trio.fail_after(FAIL_AFTER_S):
            try:
                assert await self.stream.receive_some(100) == b""
            except trio.BrokenResourceError:
                pass  # closed while the server had not read everything


class Dial:
    """Connects to a server, by a socket or in memory."""

    def __init__(self, server: RedisServer, kind: str) -> None:
        self.server = server
        self.kind = kind
        self.wires: list[Wire] = []

    async def __call__(self) -> Wire:
        stream: trio.abc.HalfCloseableStream
        if self.kind == "socket":
            stream = await trio.open_tcp_stream("127.0.0.1", self.server.port)
        else:
            stream = await self.server.connect()
        wire = Wire(stream)
        self.wires.append(wire)
        return wire


def _waitfor(client: Client, args: Args) -> Reply | Block:
    return Block([(0, args[1])], 10.0, Status(b"LATE"))


@pytest.fixture(params=["socket", "stream"])
async def dial(request: pytest.FixtureRequest) -> AsyncIterator[Dial]:
    """Connect to a server that has one more command, WAITFOR, which blocks for 10 s."""
    async with open_redis() as server:
        declaration = Declaration(
            "WAITFOR",
            "generic",
            "",
            2,
            BLOCKING,
            _waitfor,
            (),
            None,
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
        )
        server.state.commands[b"WAITFOR"] = Command(declaration, "waitfor", None)
        dial = Dial(server, request.param)
        yield dial
        for wire in dial.wires:
            await trio.aclose_forcefully(wire.stream)


async def test_killing_another_client_closes_its_connection(dial: Dial) -> None:
    killer, victim = await dial(), await dial()
    number = await victim.number("CLIENT ID")
    await killer.ask(f"CLIENT KILL ID {number}", b":1\r\n")
    await victim.ended()
    await killer.ask("PING", b"+PONG\r\n")


async def test_killing_oneself_is_answered_first(dial: Dial) -> None:
    wire = await dial()
    await wire.send("CLIENT KILL TYPE normal SKIPME no", "PING")
    await wire.expect(b":1\r\n")
    await wire.ended()


async def test_a_blocked_client_can_be_killed(dial: Dial) -> None:
    killer, victim = await dial(), await dial()
    number = await victim.number("CLIENT ID")
    await victim.send("WAITFOR x", "PING")
    await trio.testing.wait_all_tasks_blocked()
    await killer.ask(f"CLIENT KILL ID {number}", b":1\r\n")
    await victim.ended()
    assert dial.server.state.waiting.count == 0


async def test_a_paused_client_can_be_killed_and_runs_nothing(dial: Dial) -> None:
    killer, victim = await dial(), await dial()
    number = await victim.number("CLIENT ID")
    await killer.ask("CLIENT PAUSE 60000 WRITE", b"+OK\r\n")
    await victim.send("SET k v")
    await trio.testing.wait_all_tasks_blocked()
    await killer.ask(f"CLIENT KILL ID {number}", b":1\r\n")
    await victim.ended()
    await killer.ask("CLIENT UNPAUSE", b"+OK\r\n")
    await killer.ask("GET k", b"$-1\r\n")


async def test_a_paused_client_that_hangs_up_runs_nothing(dial: Dial) -> None:
    other, leaver = await dial(), await dial()
    await other.ask("CLIENT PAUSE 60000 WRITE", b"+OK\r\n")
    await leaver.send("SET k v")
    await trio.testing.wait_all_tasks_blocked()
    await leaver.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert len(dial.server.state.clients) == 1
    await other.ask("CLIENT UNPAUSE", b"+OK\r\n")
    await other.ask("GET k", b"$-1\r\n")


async def test_unblock_ends_the_wait_and_the_pipeline_goes_on(dial: Dial) -> None:
    other, waiter = await dial(), await dial()
    number = await waiter.number("CLIENT ID")
    for reason, reply in (
        ("TIMEOUT", b"+LATE\r\n"),
        ("ERROR", b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"),
    ):
        await waiter.send("WAITFOR x", "PING")
        await trio.testing.wait_all_tasks_blocked()
        await other.ask(f"CLIENT UNBLOCK {number} {reason}", b":1\r\n")
        await waiter.expect(reply + b"+PONG\r\n")
    await other.ask(f"CLIENT UNBLOCK {number}", b":0\r\n")


async def test_the_skipped_reply_is_that_of_the_command_that_blocked(dial: Dial) -> None:
    other, waiter = await dial(), await dial()
    number = await waiter.number("CLIENT ID")
    await waiter.send("CLIENT REPLY SKIP", "WAITFOR x", "PING")
    await trio.testing.wait_all_tasks_blocked()
    await other.ask(f"CLIENT UNBLOCK {number}", b":1\r\n")
    await waiter.expect(b"+PONG\r\n")


async def test_a_pause_that_ends_at_once_loses_nothing(
    dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may end before the connection's task has noticed that it began."""
    monkeypatch.setattr("redis_trio.connection.ALLOWANCE_NS", 0)
    wire = await dial()
    for _ in range(30):
        await dial.server.execute("CLIENT", "PAUSE", 60_000, "WRITE")
        await wire.send("SET k v")
        while not dial.server.state.paused_clients:
            await trio.lowlevel.checkpoint()
        await dial.server.execute("CLIENT", "UNPAUSE")
        await wire.expect(b"+OK\r\n")


async def test_unpause_lets_held_up_pipelines_go_on(dial: Dial) -> None:
    other = await dial()
    await other.ask("CLIENT PAUSE 60000 WRITE", b"+OK\r\n")
    writers = [await dial() for _ in range(5)]
    for writer in writers:
        await writer.send("PING", "SET k v", "PING")
        await writer.expect(b"+PONG\r\n")
    await trio.testing.wait_all_tasks_blocked()
    assert len(dial.server.state.paused_clients) == 5
    await other.ask("CLIENT UNPAUSE", b"+OK\r\n")
    for writer in writers:
        await writer.expect(b"+OK\r\n+PONG\r\n")


async def test_a_pause_ends_by_itself(dial: Dial, autojump_clock: trio.testing.MockClock) -> None:
    wire = await dial()
    await wire.ask("CLIENT PAUSE 60000 ALL", b"+OK\r\n")
    started = trio.current_time()
    await wire.ask("PING", b"+PONG\r\n")
    assert trio.current_time() - started == pytest.approx(60, abs=0.01)


async def test_a_silent_client_is_closed_after_the_timeout(
    dial: Dial, autojump_clock: trio.testing.MockClock
) -> None:
    wire = await dial()
    await wire.ask("CONFIG SET timeout 100", b"+OK\r\n")
    started = trio.current_time()
    await wire.ended()
    assert 100 < trio.current_time() - started <= 102


async def test_a_client_that_comes_after_the_timeout_was_set_is_closed_too(
    dial: Dial, autojump_clock: trio.testing.MockClock
) -> None:
    wire = await dial()
    await wire.ask("CONFIG SET timeout 100", b"+OK\r\n")
    await wire.ended()
    later = await dial()
    started = trio.current_time()
    await later.ended()
    assert 100 < trio.current_time() - started <= 102


async def test_a_client_counts_as_idle_from_the_end_of_its_blocking_command(
    dial: Dial, autojump_clock: trio.testing.MockClock
) -> None:
    wire = await dial()
    await wire.ask("CONFIG SET timeout 3", b"+OK\r\n")
    started = trio.current_time()
    await wire.ask("WAITFOR x", b"+LATE\r\n")
    await wire.ended()
    assert 13 < trio.current_time() - started <= 15


async def test_a_server_without_clients_has_no_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_redis(timeout=5) as server:
        stream = await server.connect()
        await stream.aclose()
        await trio.sleep(1000)
        assert server.state.keeper_ms == -1


async def test_http_gets_no_answer(dial: Dial) -> None:
    wire = await dial()
    await wire.send("POST / HTTP/1.1", "Host: localhost", "", "SET k v")
    await wire.ended()
    other = await dial()
    await other.ask("GET k", b"$-1\r\n")


async def test_keys_expire_when_the_pause_of_writes_is_over(
    dial: Dial, autojump_clock: trio.testing.MockClock
) -> None:
    wire = await dial()
    await wire.ask("SET k v PX 1000", b"+OK\r\n")
    await wire.ask("CLIENT PAUSE 60000 WRITE", b"+OK\r\n")
    await trio.sleep(30)
    await wire.ask("GET k", b"$-1\r\n")
    await wire.ask("DBSIZE", b":1\r\n")
    assert dial.server.state.stats.expired_keys == 0
    await trio.sleep(31)
    await wire.ask("DBSIZE", b":0\r\n")
    assert dial.server.state.stats.expired_keys == 1
