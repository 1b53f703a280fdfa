"""The append-only file under a running server: who waits for the disk, and how all of it ends."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

import redis_trio.server
from redis_trio import AofError, LoadError, RedisServer, open_redis
from tests.interop.compare import plain
from tests.wire.conftest import TRANSPORTS
from tests.wire.talk import Talk, until

INCR = "appendonlydir/appendonly.aof.1.incr.aof"


class Gate:
    """Holds every fdatasync up until it is opened; counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = os.fdatasync
        self._open = threading.Event()
        self._open.set()
        self.count = 0
        monkeypatch.setattr("redis_trio.persistence.aof.os.fdatasync", self._sync)

    def _sync(self, fd: int) -> None:
        self.count += 1
        assert self._open.wait(30)
        self._real(fd)

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


@pytest.fixture(params=TRANSPORTS)
async def server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gate: Gate
) -> AsyncIterator[RedisServer]:
    if request.param == "stream":
        monkeypatch.setattr(redis_trio.server, "HAS_EPOLL", False)
    async with open_redis(appendonly=True, appendfsync="always", dir=str(tmp_path)) as server:
        server.kind = request.param  # type: ignore[attr-defined]
        yield server
        gate.open()


async def talk(server: RedisServer) -> Talk:
    kind = server.kind  # type: ignore[attr-defined]
    if kind == "memory":
        return Talk(await server.connect())
    return Talk(await trio.open_tcp_stream("127.0.0.1", server.port))


async def test_a_reply_leaves_after_its_fsync_and_one_fsync_serves_all(
    server: RedisServer, gate: Gate, tmp_path: Path
) -> None:
    clients = [await talk(server) for _ in range(10)]
    gate.shut()
    before = gate.count
    await clients[0].send(b"SET first 1\r\n")
    await until(lambda: gate.count == before + 1)
    for client in clients[1:]:
        await client.send(b"INCR k\r\nINCR k\r\nGET first\r\n")
    await until(
        lambda: len(server.state.aof._held) >= 1 and server.state.dbs[0].peek(b"k") == b"18"
    )
    with trio.move_on_after(0.05):
        await clients[1].reply()
        pytest.fail("a reply left before its fsync")
    gate.open()
    assert plain(await clients[0].reply()) == "OK"
    for client in clients[1:]:
        assert (await client.replies(3))[2] == b"1"
    assert gate.count == before + 2
    data = (tmp_path / INCR).read_bytes()
    assert data.count(b"INCR") == 18
    for client in clients:
        await client.aclose()


async def test_a_client_that_quits_or_hangs_up_gets_what_waits_for_the_disk(
    server: RedisServer, gate: Gate
) -> None:
    one, other = await talk(server), await talk(server)
    gate.shut()
    await one.send(b"SET k 1\r\nQUIT\r\n")
    await other.send(b"SET l 1\r\n")
    await other.send_eof()
    await until(lambda: server.state.dbs[0].peek(b"l") == b"1")
    await trio.testing.wait_all_tasks_blocked(0.01)
    gate.open()
    assert await one.until_closed() == b"+OK\r\n+OK\r\n"
    assert await other.until_closed() == b"+OK\r\n"
    await one.aclose()
    await other.aclose()


async def test_a_client_that_goes_away_meanwhile_is_forgotten(
    server: RedisServer, gate: Gate
) -> None:
    client = await talk(server)
    gate.shut()
    await client.send(b"SET k 1\r\n")
    await until(lambda: server.state.dbs[0].peek(b"k") == b"1")
    await client.aclose()
    await trio.testing.wait_all_tasks_blocked(0.01)
    gate.open()
    await until(lambda: not server.state.clients)
    assert await server.execute("GET", "k") == b"1"


async def test_who_is_blocked_is_answered_after_the_fsync_of_the_push(
    server: RedisServer, gate: Gate
) -> None:
    waiting, pusher = await talk(server), await talk(server)
    await waiting.send(b"BLPOP l 0\r\n")
    await until(lambda: server.state.waiting.count == 1)
    gate.shut()
    await pusher.send(b"RPUSH l a\r\n")
    await until(lambda: server.state.waiting.count == 0)
    with trio.move_on_after(0.05):
        await waiting.reply()
        pytest.fail("a reply left before its fsync")
    gate.open()
    assert plain(await waiting.reply()) == [b"l", b"a"]
    assert plain(await pusher.reply()) == 1
    await waiting.aclose()
    await pusher.aclose()


async def test_a_call_inside_the_process_waits_for_the_disk_too(
    server: RedisServer, gate: Gate
) -> None:
    gate.shut()
    done = trio.Event()

    async def call() -> None:
        await server.execute("SET", "k", "1")
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await until(lambda: server.state.dbs[0].peek(b"k") == b"1")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not done.is_set()
        gate.open()
    assert done.is_set()


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
async def test_what_was_written_is_there_after_a_restart(tmp_path: Path, policy: str) -> None:
    for i in range(3):
        async with open_redis(appendonly=True, appendfsync=policy, dir=str(tmp_path)) as server:
            assert await server.execute("INCR", "k") == i + 1
            await server.execute("SELECT", "0")
    threads = [thread.name for thread in threading.enumerate() if "redis" in thread.name]
    assert threads == []


async def test_cancelling_the_host_while_the_disk_works_loses_nothing(
    tmp_path: Path, gate: Gate
) -> None:
    async with open_redis(appendonly=True, dir=str(tmp_path)) as server:
        await server.execute("SET", "k", "1")
        await until(lambda: gate.count > 0)
        gate.shut()
        before = gate.count
        server.state.aof.sync()
        await server.execute("CONFIG", "SET", "appendfsync", "always")
        client = Talk(await server.connect())
        await client.send(b"SET k 2\r\n")
        await until(lambda: gate.count > before)
        await client.send(b"SET k 3\r\n")
        await until(lambda: server.state.dbs[0].peek(b"k") == b"3")
        threading.Timer(0.05, gate.open).start()
    async with open_redis(appendonly=True, dir=str(tmp_path)) as server:
        assert await server.execute("GET", "k") == b"3"


async def test_a_disk_that_fails_under_always_ends_the_server_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def host() -> None:
        async with open_redis(appendonly=True, appendfsync="always", dir=str(tmp_path)) as server:
            await server.execute("SET", "k", "1")
            monkeypatch.setattr("redis_trio.persistence.aof.os.fdatasync", fail)
            with pytest.raises(trio.ClosedResourceError):
                await server.execute("SET", "k", "2")
            await trio.sleep_forever()

    with pytest.RaisesGroup(AofError):
        await host()


async def test_a_damaged_file_keeps_the_server_from_starting(tmp_path: Path) -> None:
    async with open_redis(appendonly=True, dir=str(tmp_path)) as server:
        await server.execute("SET", "k", "1")
    (tmp_path / INCR).write_bytes(b"rubbish")
    with pytest.raises(LoadError):
        async with open_redis(appendonly=True, dir=str(tmp_path)):
            pytest.fail("it has started")


async def test_with_everysec_a_deadline_exists_only_while_something_is_not_synced(
    tmp_path: Path, gate: Gate, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_redis(appendonly=True, dir=str(tmp_path)) as server:
        await trio.sleep(1000)
        assert gate.count == 0
        await server.execute("SET", "k", "1")
        await trio.sleep(0.1)
        assert gate.count == 1
        began = trio.current_time()
        for _ in range(8):
            await server.execute("INCR", "k")
            await trio.sleep(0.1)
        assert gate.count == 1
        await trio.sleep(0.2)
        assert gate.count == 2
        assert trio.current_time() - began < 1.01
        await trio.sleep(1000)
        assert gate.count == 2
        assert server.state.aof.synced == server.state.aof.fed


async def test_expired_keys_are_appended_as_deleted(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_redis(appendonly=True, dir=str(tmp_path)) as server:
        await server.execute("SET", "k", "1", "PX", "100")
        await trio.sleep(1)
        data = (tmp_path / INCR).read_bytes()
    assert data.endswith(b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n")


async def test_it_is_turned_on_and_off_while_clients_write(tmp_path: Path) -> None:
    async with open_redis(dir=str(tmp_path), save="") as server:
        await server.execute("SET", "k", "1")
        for value in ("yes", "no", "yes"):
            assert await server.execute("CONFIG", "SET", "appendonly", value) == b"OK"
            info = await server.execute("INFO", "persistence")
            assert isinstance(info, bytes)
            assert b"aof_enabled:%d" % (value == "yes") in info
            assert (b"aof_current_size:" in info) == (value == "yes")
            await server.execute("INCR", "k")
    async with open_redis(appendonly=True, dir=str(tmp_path)) as server:
        assert await server.execute("GET", "k") == b"4"
