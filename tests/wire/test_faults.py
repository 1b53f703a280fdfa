"""When something is short or broken: an error for who caused it, told once; the rest goes on."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from redis_trio import RedisError, RedisServer, open_redis
from redis_trio.jobs import Expiry, IdleClients
from redis_trio.listeners import EXHAUSTED_S
from tests.interop.compare import plain
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until

SOCKETS = pytest.mark.parametrize("transport", ["hub", "stream", "tls"], indirect=True)


def told(caplog: pytest.LogCaptureFixture, text: str) -> int:
    """Return in how many lines of the log a text is."""
    return sum(text in record.getMessage() for record in caplog.records)


def break_down(*args: object) -> None:
    raise MemoryError


def replace(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, value: object) -> None:
    """Replace a method for the time of the test, which is skipped where that cannot be."""
    try:
        monkeypatch.setattr(owner, name, value)
    except (AttributeError, TypeError):
        pytest.skip("a method of a compiled class cannot be replaced")


# -- file descriptors


class Exhausted:
    """A listening socket at which `accept` fails as it does without file descriptors."""

    def __init__(self, sock: socket.socket, error: int) -> None:
        self._sock = sock
        self.error = error
        self.tried = 0

    def fileno(self) -> int:
        return self._sock.fileno()

    def accept(self) -> tuple[socket.socket, object]:
        if self.error:
            self.tried += 1
            raise OSError(self.error, os.strerror(self.error))
        return self._sock.accept()

    def close(self) -> None:
        self._sock.close()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_without_file_descriptors_nobody_comes_in_until_there_are_some_again(
    mock_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture, error: int
) -> None:
    """Who is connected is served meanwhile; the log has one line; nothing spins."""
    async with open_redis() as server:
        (listening,) = server._listeners.sockets
        first = Talk(await trio.open_tcp_stream("127.0.0.1", server.port))
        assert plain(await first.command("PING")) == "PONG"
        await trio.testing.wait_all_tasks_blocked()
        exhausted = Exhausted(listening.sock, error)
        listening.scope.cancel()
        listening.scope = trio.CancelScope()
        listening.sock = exhausted  # type: ignore[assignment]
        server._listeners._accept_on([listening])
        late = Talk(await trio.open_tcp_stream("127.0.0.1", server.port))
        await until(lambda: exhausted.tried == 1)
        for tries in range(2, 10):
            await trio.testing.wait_all_tasks_blocked()
            assert plain(await first.command("PING")) == "PONG"
            assert exhausted.tried == tries - 1
            mock_clock.jump(EXHAUSTED_S)
            await until(lambda: exhausted.tried == tries)  # noqa: B023
        assert told(caplog, f"Accepting client connection: {os.strerror(error)}") == 1
        exhausted.error = 0
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(EXHAUSTED_S)
        assert plain(await late.command("PING")) == "PONG"
        for talk in (first, late):
            await talk.aclose()


# -- peers


def reset(talk: Talk) -> None:
    """End a connection with a reset, as a crashed peer does."""
    stream = talk.stream
    if isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    assert isinstance(stream, trio.SocketStream)
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()
    talk.closed = True


MOMENTS = {
    "idle": b"",
    "in a request": b"*2\r\n$3\r\nGET\r\n$1000000\r\nxxx",
    "blocked": b"BLPOP nothing 0\r\n",
    "subscribed": b"SUBSCRIBE news\r\n",
    "monitoring": b"MONITOR\r\n",
    "in a transaction": b"WATCH k\r\nMULTI\r\nSET k v\r\n",
    "tracking": b"CLIENT TRACKING ON BCAST\r\n",
    "owed": b"GET big\r\n" * 50,
    "leaving": b"GET big\r\n" * 50 + b"QUIT\r\n",
    "in a pipeline": b"INCR n\r\n" * 100_000,
}


@SOCKETS
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_peer_that_is_reset_at_any_moment_leaves_nothing_behind(
    connect: Connect, server: RedisServer, caplog: pytest.LogCaptureFixture, moment: str
) -> None:
    await server.execute("SET", "big", "x" * 1_000_000)
    other, victim = await connect(), await connect()
    assert plain(await victim.command("PING")) == "PONG"
    with trio.move_on_after(1):
        await victim.send(MOMENTS[moment])
    await trio.testing.wait_all_tasks_blocked()
    reset(victim)
    await server.execute("PUBLISH", "news", "x" * 100_000)
    await server.execute("SET", "k", "changed")
    await until(lambda: len(server.state.clients) == 1)
    state = server.state
    assert not state.pubsub.channels
    assert not state.monitors
    assert not state.watchers
    assert not state.waiting.count
    assert plain(await other.command("PING")) == "PONG"
    assert told(caplog, "internal error") == 0


# -- memory


async def test_a_request_that_there_is_no_memory_for_costs_its_client_the_connection(
    connect: Connect,
    server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other, victim = await connect(), await connect()
    (_, inside) = server.state.clients.values()
    replace(monkeypatch, inside.transport, "receive", break_down)
    await victim.send(b"PING\r\n")
    assert await victim.until_closed() == b""
    assert plain(await other.command("PING")) == "PONG"
    assert told(caplog, "internal error") == 1
    await until(lambda: len(server.state.clients) == 1)


async def test_output_that_there_is_no_memory_for_costs_its_client_the_connection(
    connect: Connect,
    server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others whose output goes out in the same moment get theirs."""
    talks = [await connect() for _ in range(3)]
    for talk in talks:
        await talk.command("SUBSCRIBE news")
    inside = list(server.state.clients.values())[1]
    with monkeypatch.context() as patch:
        replace(patch, inside.transport, "flush", break_down)
        assert await server.execute("PUBLISH", "news", "1") == 3
    for talk in (talks[0], talks[2]):
        assert plain(await talk.reply()) == [b"message", b"news", b"1"]
    assert await talks[1].until_closed() == b""
    assert told(caplog, "internal error") == 1
    assert await server.execute("PUBLISH", "news", "2") == 2


async def test_a_command_that_there_is_no_memory_for_is_an_error(
    connect: Connect, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    def greedy(client: object, args: object) -> None:
        raise MemoryError

    other, victim = await connect(), await connect()
    for name in (b"TIME", b"time"):
        server.state.commands[name].handler = greedy  # type: ignore[assignment]
    reply = await victim.command("TIME")
    assert isinstance(reply, RedisError)
    assert plain(await other.command("PING")) == "PONG"
    assert told(caplog, "internal error") == 1


# -- jobs


@pytest.mark.parametrize("method", ["run", "next_ms"])
async def test_an_error_in_a_job_delays_that_job_and_nothing_else(
    mock_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    async with open_redis() as server:
        with monkeypatch.context() as patch:
            patch.setattr(Expiry, method, break_down)
            await server.execute("SET", "k", "v", "PX", "1500")
            for _ in range(5):
                mock_clock.jump(1)
                await trio.testing.wait_all_tasks_blocked()
            await server.execute("CONFIG", "SET", "timeout", "3")
            idle = Talk(await trio.open_tcp_stream("127.0.0.1", server.port))
            await idle.command("PING")
            mock_clock.jump(5)
            assert await idle.until_closed() == b""
            await idle.aclose()
            assert told(caplog, "internal error in the job Expiry") == 1
            assert told(caplog, "internal error") == 1
            assert await server.execute("DBSIZE") == 1
        mock_clock.jump(2)
        await until(lambda: server.state.stats.expired_keys == 1)


async def test_a_job_that_fails_again_later_is_told_of_again(
    mock_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_redis(timeout=1) as server:
        for _ in range(2):
            idle = Talk(await trio.open_tcp_stream("127.0.0.1", server.port))
            await idle.command("PING")
            with monkeypatch.context() as patch:
                patch.setattr(IdleClients, "run", break_down)
                mock_clock.jump(3)
                await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(3)
            assert await idle.until_closed() == b""
            await idle.aclose()
        assert told(caplog, "internal error in the job IdleClients") == 2


# -- the clock


async def test_a_clock_that_is_set_forward_and_back(server: RedisServer, connect: Connect) -> None:
    """What has a deadline follows the clock; a call that waits for seconds does not."""
    talk, blocked = await connect(), await connect()
    await talk.command("SET k v PX 3600000")
    clock = server.state.clock

    @contextmanager
    def shifted(seconds: float) -> Iterator[None]:
        clock.shift(seconds)
        yield
        clock.shift(-seconds)

    await blocked.send(b"BLPOP nothing 1000\r\n")
    with shifted(-86_400):
        assert plain(await talk.command("GET k")) == b"v"
        left_ms = await talk.command("PTTL k")
        assert isinstance(left_ms, int)
        assert left_ms > 86_000_000
    assert plain(await talk.command("GET k")) == b"v"
    with shifted(+86_400):
        assert plain(await talk.command("GET k")) is None
        assert len(server.state.clients) == 2
        assert server.state.waiting.count == 1
    assert plain(await talk.command("RPUSH nothing x")) == 1
    assert plain(await blocked.reply()) == [b"nothing", b"x"]


# -- threads and the disk


async def test_a_host_that_has_used_up_its_threads_does_not_hold_up_the_disk(
    tmp_path: Path,
) -> None:
    limiter = trio.to_thread.current_default_thread_limiter()
    async with open_redis(dir=str(tmp_path), appendonly=True, appendfsync="always") as server:
        for _ in range(int(limiter.total_tokens)):
            limiter.acquire_on_behalf_of_nowait(object())
        with trio.fail_after(20):
            assert await server.execute("SET", "k", "v") == b"OK"
            await server.execute("BGSAVE")
            await until((tmp_path / "dump.rdb").exists)


async def test_where_there_can_be_no_thread_the_server_waits_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def none(*args: object, **kwargs: object) -> None:
        raise RuntimeError("can't start new thread")

    async with open_redis(dir=str(tmp_path), appendonly=True, appendfsync="always") as server:
        monkeypatch.setattr(trio.to_thread, "run_sync", none)
        with trio.fail_after(20):
            for number in range(3):
                assert await server.execute("SET", f"{number}", "v") == b"OK"
        assert told(caplog, "No thread to wait for the disk") == 1
    (file,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    assert file.read_bytes().count(b"SET") == 3


def full(*args: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_full_disk_stops_writes_and_nothing_else_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_redis(dir=str(tmp_path), appendonly=True, appendfsync="everysec") as server:
        await server.execute("SET", "before", "v")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            await server.execute("SET", "k", "v")
            with trio.fail_after(20):
                await until(lambda: server.state.aof.error != 0)  # a thread may be at the file
            for _ in range(3):
                with pytest.raises(RedisError, match="MISCONF Errors writing to the AOF file: No"):
                    await server.execute("SET", "k", "w")
            assert await server.execute("GET", "k") == b"v"
            assert told(caplog, "No space left on device") == 1
        with trio.fail_after(20):
            await until(lambda: server.state.aof.error == 0)
        assert await server.execute("SET", "k", "w") == b"OK"


async def test_a_save_that_finds_the_disk_full_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_redis(dir=str(tmp_path)) as server:
        await server.execute("SAVE")
        before = (tmp_path / "dump.rdb").read_bytes()
        await server.execute("SET", "k", "v")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            patch.setattr(os, "fdatasync", full)
            with pytest.raises(RedisError):
                await server.execute("SAVE")
        assert os.listdir(tmp_path) == ["dump.rdb"]
        assert (tmp_path / "dump.rdb").read_bytes() == before
        assert await server.execute("SAVE") == b"OK"
