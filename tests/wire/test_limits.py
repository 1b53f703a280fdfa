"""What a client, or a crowd of them, may ask of the server before it is turned away."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trio
import trio.testing

from redis_trio import RedisServer, open_redis
from tests.certificates import Certificates
from tests.interop.compare import plain
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until


@pytest.mark.parametrize(
    ("kind", "name"),
    [("tcp", "max_new_connections_per_cycle"), ("tls", "max_new_tls_connections_per_cycle")],
)
async def test_so_many_connections_are_taken_before_others_have_a_turn(
    certificates: Certificates, kind: str, name: str
) -> None:
    """They have all come before the server looks."""
    taken: list[int] = []
    options: dict[str, Any] = {name: 7}
    if kind == "tls":
        options |= {"port": None, "tls_port": 0, **certificates.options}
    async with open_redis(**options) as server:
        take = server._listeners._take

        def counted(sock: socket.socket, address: object, kind: str) -> None:
            taken[-1] += 1
            take(sock, address, kind)

        server._listeners._take = counted
        port = server.tls_port or server.port
        await trio.testing.wait_all_tasks_blocked()
        crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(21)]

        class EachStep(trio.abc.Instrument):
            def before_task_step(self, task: trio.lowlevel.Task) -> None:
                taken.append(0)

        instrument = EachStep()
        trio.lowlevel.add_instrument(instrument)
        await until(lambda: sum(taken) == 21)
        trio.lowlevel.remove_instrument(instrument)
        for sock in crowd:
            sock.close()
    assert [count for count in taken if count] == [7, 7, 7]


async def test_a_request_beyond_the_query_buffer_limit_closes_its_client(
    connect: Connect, server: RedisServer
) -> None:
    await server.execute("CONFIG", "SET", "client-query-buffer-limit", "1mb")
    talk, other = await connect(), await connect()
    await talk.send(b"*2\r\n$4\r\nECHO\r\n$2000000\r\n")
    with trio.move_on_after(5):
        try:
            for _ in range(20):
                await talk.send(b"x" * 100_000)
        except trio.BrokenResourceError:
            pass
    assert await talk.until_closed() == b""
    assert server.state.stats.query_limit_disconnections == 1
    assert plain(await other.command(["ECHO", "x" * 900_000])) == b"x" * 900_000


async def test_the_longest_bulk_can_be_changed_and_holds_for_who_is_connected(
    connect: Connect, server: RedisServer
) -> None:
    talk = await connect()
    assert plain(await talk.command("PING")) == "PONG"
    await server.execute("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    assert plain(await talk.command(["SETRANGE", "k", "1048575", "x"])) == 1 << 20
    assert plain(await talk.command(["SETRANGE", "k", "1048576", "x"])) == (
        "error",
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
    )
    await talk.send(b"*2\r\n$4\r\nECHO\r\n$1048577\r\n")
    assert plain(await talk.reply()) == ("error", "ERR Protocol error: invalid bulk length")
    assert await talk.until_closed() == b""


async def test_who_has_not_logged_in_may_send_little(connect: Connect, server: RedisServer) -> None:
    await server.execute("CONFIG", "SET", "requirepass", "secret")
    refusals = {
        b"*11\r\n": "ERR Protocol error: unauthenticated multibulk length",
        b"*1\r\n$16385\r\n": "ERR Protocol error: unauthenticated bulk length",
    }
    for request, error in refusals.items():
        talk = await connect()
        await talk.send(request)
        assert plain(await talk.reply()) == ("error", error)
        assert await talk.until_closed() == b""
    talk = await connect()
    assert plain(await talk.command("AUTH secret")) == "OK"
    assert plain(await talk.command(["ECHO", "x" * 16_385])) == b"x" * 16_385


async def test_maxclients_can_be_lowered_below_what_is_there(
    connect: Connect, server: RedisServer, transport: str
) -> None:
    if transport == "memory":
        pytest.skip("a connection in memory is the host's own")
    talks = [await connect() for _ in range(3)]
    for talk in talks:
        await talk.command("PING")
    await server.execute("CONFIG", "SET", "maxclients", "1")
    for talk in talks:
        assert plain(await talk.command("PING")) == "PONG"
    for talk in talks:
        await talk.aclose()
    await until(lambda: not server.state.clients)
    last = await connect()
    assert plain(await last.command("PING")) == "PONG"


@pytest.mark.parametrize("transport", ["hub"], indirect=True)
async def test_a_thousand_who_send_a_byte_at_a_time_wake_the_server_no_more_than_they_send(
    connect: Connect, server: RedisServer
) -> None:
    """No attacker has a timer, a task that runs, or bytes that are looked at twice."""
    attackers: list[Talk] = [await connect() for _ in range(200)]
    inside = list(server.state.clients.values())
    reads = server.state.stats.reads_processed
    for byte in b"*2\r\n$4\r\nECHO\r\n$9":
        for talk in attackers:
            await talk.send(bytes([byte]))
    await until(
        lambda: (
            server.state.stats.reads_processed >= reads + 200
            and all(c.transport.query_bytes + c.transport.args_bytes for c in inside)
        )
    )
    assert server.state.stats.reads_processed <= reads + 200 * 16
    await trio.testing.wait_all_tasks_blocked()
    before = server.state.stats.eventloop_cycles
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert server.state.stats.eventloop_cycles == before
