"""Replicas over real connections: snapshots in both forms, the stream behind them, deadlines."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from redis_trio import RedisServer, open_redis
from redis_trio.data.thresholds import Thresholds
from redis_trio.feed import encode_command
from redis_trio.persistence.rdb_reader import RdbReader
from tests.wire.conftest import Connect
from tests.wire.talk import PATIENCE_S, Talk, until

MARK_SIZE = 40


class Replica:
    """The replica's end of a connection: takes snapshots and the stream as bytes."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.data = b""

    async def send(self, *lines: str) -> None:
        """Send commands."""
        data = b"".join([encode_command(line.encode().split()) for line in lines])
        await self.stream.send_all(data)

    async def more(self) -> None:
        """Receive. Errors: EOFError."""
        with trio.fail_after(PATIENCE_S):
            try:
                data = await self.stream.receive_some(65536)
            except trio.BrokenResourceError:
                data = b""
        if not data:
            raise EOFError("the server closed the connection")
        self.data += bytes(data)

    async def line(self) -> bytes:
        """Return the next line that is not empty."""
        while b"\r\n" not in self.data.lstrip(b"\n"):
            await self.more()
        line, _, self.data = self.data.lstrip(b"\n").partition(b"\r\n")
        return line

    async def exactly(self, size: int) -> bytes:
        """Return the next bytes."""
        while len(self.data) < size:
            await self.more()
        data, self.data = self.data[:size], self.data[size:]
        return data

    async def snapshot(self) -> bytes:
        """Return the snapshot, whichever form it has."""
        head = await self.line()
        if not head.startswith(b"$EOF:"):
            return await self.exactly(int(head[1:]))
        mark = head[5:]
        assert len(mark) == MARK_SIZE
        while not self.data.endswith(mark):
            await self.more()
        data, self.data = self.data[:-MARK_SIZE], b""
        return data

    async def stream_of(self, *lines: str) -> None:
        """Receive these commands, and check that they come next."""
        wanted = b"".join([encode_command(line.encode().split()) for line in lines])
        assert await self.exactly(len(wanted)) == wanted

    async def full_sync(self, *options: str) -> bytes:
        """Become a replica; return the snapshot."""
        await self.send("REPLCONF capa eof capa psync2", *options)
        for _ in range(1 + len(options)):
            assert await self.line() == b"+OK"
        await self.send("PSYNC ? -1")
        assert (await self.line()).startswith(b"+FULLRESYNC ")
        return await self.snapshot()


def keys_of(snapshot: bytes) -> dict[bytes, object]:
    """Return the keys and values of an RDB file."""
    reader = RdbReader(Thresholds())
    reader.feed(snapshot)
    reader.finish()
    found: dict[bytes, object] = {}
    while (entry := reader.next()) is not None:
        found[entry.key] = entry.value
    assert reader.done
    assert reader.rest() == b""
    return found


@pytest.fixture
async def replica(connect: Connect) -> Replica:
    return Replica((await connect()).stream)


@pytest.fixture
async def client(connect: Connect, server: RedisServer) -> Talk:
    talk = await connect()
    await talk.command("CONFIG SET repl-diskless-sync-delay 0")
    return talk


async def test_a_snapshot_and_then_the_stream(client: Talk, replica: Replica) -> None:
    """The stream waits for the first acknowledgement: it says that the mark has been found."""
    await client.command("SET before 1")
    snapshot = await replica.full_sync()
    assert keys_of(snapshot) == {b"before": b"1"}
    assert b"repl-offset" in snapshot
    await client.command("SET after 2")
    assert replica.data == b""
    await replica.send("REPLCONF ACK 0")
    await replica.stream_of("SELECT 0", "SET after 2")
    await client.command("SET after 3")
    await replica.stream_of("SET after 3")


async def test_what_is_written_during_the_transfer_comes_behind_it(
    client: Talk, replica: Replica, connect: Connect
) -> None:
    for number in range(300):
        await client.command(f"SET key{number} {'x' * 5000}")
    await replica.send("REPLCONF capa eof")
    assert await replica.line() == b"+OK"
    await replica.send("PSYNC ? -1")
    await replica.line()
    for number in range(300):
        await client.command(f"SET key{number} new")
    values = keys_of(await replica.snapshot())
    assert set(values.values()) == {b"x" * 5000}
    assert len(values) == 300
    await replica.send("REPLCONF ACK 0")
    await replica.stream_of("SELECT 0", *[f"SET key{number} new" for number in range(300)])


async def test_a_big_stream_goes_through_a_slow_connection(client: Talk, replica: Replica) -> None:
    await client.command("CONFIG SET repl-backlog-size 100mb")
    await replica.full_sync()
    await replica.send("REPLCONF ACK 0")
    for number in range(30):
        await client.command(f"SET k {number}{'x' * 100_000}")
    await replica.stream_of("SELECT 0", *[f"SET k {n}{'x' * 100_000}" for n in range(30)])


async def test_only_functions(client: Talk, replica: Replica) -> None:
    await client.command("SET a 1")
    code = "#!lua name=l\nredis.register_function('f', function() return 1 end)"
    await client.command("CONFIG SET rdbcompression no")
    await client.command(["FUNCTION", "LOAD", code])
    snapshot = await replica.full_sync("REPLCONF rdb-filter-only functions")
    assert keys_of(snapshot) == {}
    assert b"register_function" in snapshot


async def test_who_wants_the_snapshot_only_is_hung_up_on(client: Talk, replica: Replica) -> None:
    await client.command("SET a 1")
    assert keys_of(await replica.full_sync("REPLCONF rdb-only 1")) == {b"a": b"1"}
    with pytest.raises(EOFError):
        await replica.more()


async def test_a_client_hangs_up_in_the_middle(
    client: Talk, server: RedisServer, connect: Connect
) -> None:
    """Whoever else gets the same snapshot gets all of it."""
    for number in range(300):
        await client.command(f"SET key{number} {'x' * 5000}")
    await client.command("CONFIG SET repl-diskless-sync-delay 3600")
    await client.command("CONFIG SET repl-diskless-sync-max-replicas 2")
    gone, stays = [Replica((await connect()).stream) for _ in range(2)]
    for one in (gone, stays):
        await one.send("REPLCONF capa eof")
        await one.line()
        await one.send("PSYNC ? -1")
    await gone.line()
    await trio.aclose_forcefully(gone.stream)
    await stays.line()
    assert len(keys_of(await stays.snapshot())) == 300
    await until(lambda: len(server.state.replication.replicas) == 1)
    assert server.state.snapshot is None


async def test_the_last_one_to_hang_up_ends_the_snapshot(
    client: Talk, server: RedisServer, replica: Replica
) -> None:
    await client.command("CONFIG SET rdbcompression no")
    for number in range(6):
        await client.command(f"SETRANGE key{number} 4000000 x")
    await replica.send("REPLCONF capa eof")
    await replica.line()
    await replica.send("PSYNC ? -1")
    await replica.line()
    assert server.state.snapshot is not None
    await trio.aclose_forcefully(replica.stream)
    await until(lambda: server.state.snapshot is None)
    await until(lambda: not server.state.replication.is_streaming)
    assert await client.command("PING") is not None


# -- with a file


@asynccontextmanager
async def with_file(folder: Path, **config: str | int) -> AsyncIterator[RedisServer]:
    config = {"dir": str(folder), "repl_diskless_sync": "no", **config}
    async with open_redis(**config) as server:  # type: ignore[arg-type]
        yield server


async def test_a_file_is_sent_with_its_length(tmp_path: Path) -> None:
    async with with_file(tmp_path) as server:
        await server.execute("SET", "a", "1")
        replica = Replica(await server.connect())
        await replica.send("SYNC")
        snapshot = await replica.snapshot()
        assert keys_of(snapshot) == {b"a": b"1"}
        assert (tmp_path / "dump.rdb").read_bytes() == snapshot
        await server.execute("SET", "a", "2")
        await replica.stream_of("SELECT 0", "SET a 2")


async def test_a_file_that_cannot_be_saved_ends_the_connection(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    async with with_file(folder) as server:
        folder.rmdir()
        replica = Replica(await server.connect())
        await replica.send("SYNC")
        with pytest.raises(EOFError):
            await replica.line()
        assert await server.execute("PING") == b"PONG"


async def test_a_save_in_the_background_is_waited_for(tmp_path: Path) -> None:
    async with with_file(tmp_path, rdb_key_save_delay=1000) as server:
        for number in range(100):
            await server.execute("SET", f"key{number}", "v")
        await server.execute("BGSAVE")
        replica = Replica(await server.connect())
        await replica.send("SYNC")
        assert len(keys_of(await replica.snapshot())) == 100
        assert server.state.persistence.saves == 2


# -- time


@pytest.fixture
async def server_in_virtual_time() -> AsyncIterator[RedisServer]:
    async with open_redis() as server:
        yield server


async def test_a_snapshot_is_delayed_for_others_to_come(
    server_in_virtual_time: RedisServer, autojump_clock: MockClock
) -> None:
    server = server_in_virtual_time
    began = trio.current_time()
    first, second = Replica(await server.connect()), Replica(await server.connect())
    for one in (first, second):
        await one.send("REPLCONF capa eof")
        await one.line()
    await first.send("PSYNC ? -1")
    await trio.sleep(3)
    await second.send("PSYNC ? -1")
    assert (await first.line()).startswith(b"+FULLRESYNC")
    assert 4.9 <= trio.current_time() - began < 6
    assert await second.line() == b"+FULLRESYNC %s 0" % server.state.replication.replid.encode()
    assert await first.snapshot() == await second.snapshot()


async def test_signs_of_life_while_a_snapshot_is_waited_for(
    server_in_virtual_time: RedisServer, autojump_clock: MockClock
) -> None:
    server = server_in_virtual_time
    await server.execute("CONFIG", "SET", "repl-diskless-sync-delay", "30")
    replica = Replica(await server.connect())
    await replica.send("REPLCONF capa eof")
    await replica.line()
    await replica.send("PSYNC ? -1")
    with trio.move_on_after(10.5):
        while True:
            await replica.more()
    assert 10 <= replica.data.count(b"\n") <= 11
    assert replica.data.strip(b"\n") == b""


async def test_pings_come_as_long_as_there_are_replicas(
    server_in_virtual_time: RedisServer, autojump_clock: MockClock
) -> None:
    server = server_in_virtual_time
    await server.execute("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    replica = Replica(await server.connect())
    await replica.full_sync()
    began = trio.current_time()
    await replica.send("REPLCONF ACK 0")
    for number in range(1, 5):
        await replica.stream_of("PING")
        assert 10 * number - 1 <= trio.current_time() - began <= 10 * number + 1
        await replica.send("REPLCONF ACK 0")
    await replica.stream.aclose()
    began = trio.current_time()
    await until(lambda: not server.state.replication.replicas)
    await trio.sleep(3599)
    assert server.state.replication.backlog is not None
    await trio.sleep(3)
    assert server.state.replication.backlog is None


async def test_a_replica_that_takes_nothing_of_the_snapshot_is_given_up(
    server_in_virtual_time: RedisServer, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_in_virtual_time
    caplog.set_level(logging.WARNING, "redis_trio")
    await server.execute("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    await server.execute("CONFIG", "SET", "rdbcompression", "no")
    for number in range(200):
        await server.execute("SET", f"key{number}", "x" * 100_000)
    replica = Replica(await trio.open_tcp_stream("127.0.0.1", server.port))
    await replica.send("REPLCONF capa eof")
    await replica.line()
    await replica.send("PSYNC ? -1")
    await until(lambda: bool(server.state.replication.replicas))
    await trio.sleep(70)
    assert server.state.replication.replicas == {}
    assert "Disconnecting timedout replica (full sync)" in caplog.text
    await trio.aclose_forcefully(replica.stream)


async def test_wait_ends_at_its_time(
    server_in_virtual_time: RedisServer, autojump_clock: MockClock
) -> None:
    server = server_in_virtual_time
    talk = Talk(await server.connect())
    await talk.command("SET a 1")
    began = trio.current_time()
    assert await talk.command("WAIT 1 1500") == 0
    assert trio.current_time() - began == pytest.approx(1.5, abs=0.01)
    assert await talk.command("WAITAOF 0 1 100") == [0, 0]


async def test_an_idle_primary_with_no_replica_never_wakes(
    server_in_virtual_time: RedisServer, autojump_clock: MockClock
) -> None:
    server = server_in_virtual_time
    cycles = server.state.stats.eventloop_cycles
    await trio.sleep(80_000)
    assert server.state.stats.eventloop_cycles == cycles


# -- the file that is appended to


async def test_waitaof_waits_for_the_sync(tmp_path: Path) -> None:
    async with open_redis(dir=str(tmp_path), appendonly="yes") as server:
        talk = Talk(await server.connect())
        await talk.command("SET a 1")
        assert await talk.command("WAITAOF 1 0 0") == [1, 0]


async def test_with_always_a_replica_gets_what_is_synced(tmp_path: Path) -> None:
    async with open_redis(
        dir=str(tmp_path), appendonly="yes", appendfsync="always", repl_diskless_sync_delay=0
    ) as server:
        replica = Replica(await server.connect())
        await replica.full_sync()
        await replica.send("REPLCONF ACK 0")
        for number in range(50):
            await server.execute("SET", "a", str(number))
        await replica.stream_of("SELECT 0", *[f"SET a {number}" for number in range(50)])


async def test_closing_the_server_sends_replicas_the_rest(
    client: Talk, replica: Replica, server: RedisServer
) -> None:
    await replica.full_sync()
    await replica.send("REPLCONF ACK 0")
    await until(lambda: server.state.replication.online_count == 1)
    await client.command("SET a 1")
    await server.aclose()
    await replica.stream_of("SELECT 0", "SET a 1")
    with pytest.raises(EOFError):
        await replica.more()
