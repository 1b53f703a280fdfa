"""Our server as the primary of real redis-server: equal data, whatever is written or breaks."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from redis_trio import RedisServer, open_redis
from redis_trio.protocol.plain import plain_reply
from tests.interop.test_replication_replica import (
    PATIENCE_S,
    QUICK,
    Client,
    Proxy,
    connected,
    info,
    until,
    until_equal,
    until_up,
    write,
)
from tests.processes import OURS, ServerProcess

FUNCTION = (
    "#!lua name=l\n"
    "redis.register_function{function_name='f', callback=function() return 1 end, "
    "flags={'no-writes'}}"
)


@asynccontextmanager
async def primary(**config: str | int) -> AsyncIterator[tuple[RedisServer, Client]]:
    """Our server, and a connection to it."""
    config = {"repl_diskless_sync_delay": 0, "repl_ping_replica_period": 3600, **config}
    config = {"enable_debug_command": "yes", **config}
    async with open_redis(**config) as ours, connected(ours.port) as client:  # type: ignore[arg-type]
        yield ours, client


class Replicas:
    """Starts redis-servers that are replicas."""

    def __init__(self, redis_server: str, folder: Path) -> None:
        self._redis_server = redis_server
        self._folder = folder
        self._processes = ExitStack()
        self._count = 0

    async def start(self, port: int, *options: str) -> ServerProcess:
        """Start a replica of whoever listens at a port."""
        self._count += 1
        options = (*QUICK, "--replicaof", f"127.0.0.1 {port}", *options)
        folder = self._folder / f"replica{self._count}"
        process = ServerProcess([self._redis_server], folder, options).start()
        self._processes.callback(process.kill)
        await trio.to_thread.run_sync(process.wait_until_ready)
        return process

    def close(self) -> None:
        self._processes.close()


@pytest.fixture
def replicas(redis_server: str, tmp_path: Path) -> Iterator[Replicas]:
    started = Replicas(redis_server, tmp_path)
    yield started
    started.close()


@asynccontextmanager
async def attached(replicas: Replicas, port: int, *options: str) -> AsyncIterator[Client]:
    """Start a replica, wait until it is up, and connect to it."""
    process = await replicas.start(port, *options)
    async with connected(process.port) as client:
        await until_up(client)
        yield client


async def test_a_replica_has_what_its_primary_has_under_load(replicas: Replicas) -> None:
    """Data from before it came, and what is written meanwhile and after, in all databases."""
    async with primary() as (ours, client), connected(ours.port) as other:
        await write(client.talk, random.Random(1), 300)
        await client("FUNCTION", "LOAD", FUNCTION)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, other.talk, random.Random(2), 700)
            async with attached(replicas, ours.port) as theirs:
                await write(client.talk, random.Random(3), 700)
                await until_equal(client, theirs)
                assert await theirs("FCALL", "f", "0") == 1
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("diskless", ["yes", "no"])
async def test_replicas_that_come_together_share_a_snapshot(
    replicas: Replicas, tmp_path: Path, diskless: str
) -> None:
    folder = tmp_path / "ours"
    folder.mkdir()
    async with primary(
        repl_diskless_sync=diskless,
        repl_diskless_sync_delay=3600,
        repl_diskless_sync_max_replicas=3,
        rdb_key_save_delay=20_000,
        dir=str(folder),
    ) as (ours, client):
        await write(client.talk, random.Random(4), 200)
        processes = [await replicas.start(ours.port) for _ in range(3)]

        async def have_come() -> bool:
            return (await info(client))["connected_slaves"] == "3"

        await until(have_come)
        await client("CONFIG", "SET", "rdb-key-save-delay", "0")
        async with AsyncExitStack() as stack:
            theirs = [await stack.enter_async_context(connected(one.port)) for one in processes]
            for one in theirs:
                await until_up(one)
            await write(client.talk, random.Random(5), 50)
            await until_equal(client, *theirs)
        stats = await info(client, "stats")
        assert (stats["sync_full"], stats["sync_partial_ok"]) == ("3", "0")
        saves = (await info(client, "persistence"))["rdb_saves"]
        assert saves == ("0" if diskless == "yes" else "1")
        assert (folder / "dump.rdb").exists() == (diskless == "no")


async def test_a_link_that_is_cut_anywhere_is_continued(replicas: Replicas) -> None:
    rng = random.Random(6)
    async with primary() as (ours, client), trio.open_nursery() as nursery:
        proxy = Proxy(ours.port)
        await nursery.start(proxy.run)
        async with attached(replicas, proxy.port) as theirs:
            for cut in range(1, 21):
                proxy.budget = rng.randrange(4000)
                with trio.fail_after(PATIENCE_S):
                    while proxy.cuts < cut:
                        await write(client.talk, rng, 5)
                await until_up(theirs)
            await until_equal(client, theirs)
            stats = await info(client, "stats")
            assert stats["sync_full"] == "1"
            assert int(stats["sync_partial_ok"]) >= 20
            nursery.cancel_scope.cancel()


async def test_a_backlog_that_is_too_short_means_another_snapshot(replicas: Replicas) -> None:
    size = 16384
    async with primary(repl_backlog_size=size) as (ours, client), trio.open_nursery() as nursery:
        proxy = Proxy(ours.port)
        await nursery.start(proxy.run)
        async with attached(replicas, proxy.port) as theirs:
            proxy.budget = 0
            for number in range(20):
                await client("SET", f"key{number}", "v" * 5000)
            await until_up(theirs)
            await until_equal(client, theirs)
            stats = await info(client, "stats")
            assert (stats["sync_full"], stats["sync_partial_err"]) == ("2", "1")
            nursery.cancel_scope.cancel()


async def test_a_link_that_is_cut_within_the_snapshot_begins_again(replicas: Replicas) -> None:
    async with primary() as (ours, client), trio.open_nursery() as nursery:
        await client("DEBUG", "POPULATE", "2000", "key", "100")
        proxy = Proxy(ours.port)
        await nursery.start(proxy.run)
        proxy.budget = 50_000
        async with attached(replicas, proxy.port) as theirs:
            assert proxy.cuts == 1
            await until_equal(client, theirs)
            nursery.cancel_scope.cancel()


async def test_a_replica_that_stands_still_is_dropped_at_its_limit(replicas: Replicas) -> None:
    """The other one does not notice; the one that was dropped catches up when it goes on."""
    limit = "replica 4mb 0 0"
    async with primary(client_output_buffer_limit=limit, repl_backlog_size="1mb") as (ours, client):
        stopped = await replicas.start(ours.port)
        async with attached(replicas, ours.port) as other, connected(stopped.port) as slow:
            await until_up(slow)
            stopped.signal(signal.SIGSTOP)
            try:
                for number in range(200):
                    await client("SET", f"key{number % 7}", str(number) + "v" * 100_000)
                    assert await client("WAIT", "1", "10000") == 1  # the other one keeps up

                async def is_dropped() -> bool:
                    return (await info(client))["connected_slaves"] == "1"

                await until(is_dropped)
            finally:
                stopped.signal(signal.SIGCONT)
            stats = await info(client, "stats")
            assert stats["client_output_buffer_limit_disconnections"] == "1"
            await until_equal(client, other, slow)


async def test_wait_counts_the_replicas_that_have_all_of_it(replicas: Replicas) -> None:
    async with primary() as (ours, client):
        process = await replicas.start(ours.port)
        async with connected(process.port) as theirs:
            await until_up(theirs)
            await client("SET", "k", "v")
            assert await client("WAIT", "1", "10000") == 1
            assert await client("WAIT", "2", "10") == 1
            assert await client("WAITAOF", "0", "0", "10") == [0, 0]
            process.signal(signal.SIGSTOP)
            try:
                await client("SET", "k", "w")
                assert await client("WAIT", "1", "10") == 0
            finally:
                process.signal(signal.SIGCONT)
            assert await client("WAIT", "1", "10000") == 1
            assert await theirs("GET", "k") == b"w"


async def test_writes_need_good_replicas(replicas: Replicas) -> None:
    async with primary(min_replicas_to_write=1) as (ours, client):
        refusal = await client("SET", "k", "v")
        assert str(refusal) == "NOREPLICAS Not enough good replicas to write."
        async with attached(replicas, ours.port):
            assert (await info(client))["min_slaves_good_slaves"] == "1"
            assert await client("SET", "k", "v") == b"OK"


async def test_expired_keys_are_deleted_at_the_replica(replicas: Replicas) -> None:
    async with primary() as (ours, client), attached(replicas, ours.port) as theirs:
        for number in range(50):
            await client("SET", f"key{number}", "v", "PX", "20")

        async def are_gone() -> bool:
            return await theirs("DBSIZE") == 0

        await until(are_gone)
        await until_equal(client, theirs)


async def test_published_messages_reach_subscribers_of_the_replica(replicas: Replicas) -> None:
    async with primary() as (ours, client), attached(replicas, ours.port) as theirs:
        await theirs("SUBSCRIBE", "c")
        await client("PUBLISH", "c", "hello")
        assert plain_reply(await theirs.talk.reply()) == [b"message", b"c", b"hello"]


async def test_a_primary_that_was_restarted_is_continued(
    replicas: Replicas, tmp_path: Path
) -> None:
    """Its file says of which stream the data is part, so that its replica need not copy it."""
    ours = ServerProcess(OURS, tmp_path / "ours", QUICK)
    with ours:
        process = await replicas.start(ours.port)
        async with connected(process.port) as theirs:
            async with connected(ours.port) as client:
                await until_up(theirs)
                await write(client.talk, random.Random(7), 100)
                await until_equal(client, theirs)
                await client("DEBUG", "SET-ACTIVE-EXPIRE", "0")
                await client("SELECT", "0")
                await client("SET", "expired", "v", "PX", "1")
                await client("CONFIG", "SET", "save", "3600 1")
            assert await trio.to_thread.run_sync(ours.stop) == 0
            ours.start()
            await trio.to_thread.run_sync(ours.wait_until_ready)
            await until_up(theirs)
            async with connected(ours.port) as client:
                await client("SET", "another", "value")
                await until_equal(client, theirs)
                assert await theirs("DEBUG", "SET-ACTIVE-EXPIRE", "0") == b"OK"
                assert await theirs("DBSIZE") == await client("DBSIZE")
                stats = await info(client, "stats")
                assert (stats["sync_full"], stats["sync_partial_ok"]) == ("0", "1")


@pytest.mark.parametrize("option", ["--rdb", "--functions-rdb"])
async def test_redis_cli_fetches_a_snapshot(option: str, tmp_path: Path) -> None:
    async with primary(rdbcompression="no") as (ours, client):
        await client("SET", "k", "v")
        await client("FUNCTION", "LOAD", FUNCTION)
        path = tmp_path / "fetched.rdb"
        command = ["redis-cli", "-p", str(ours.port), option, str(path)]
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True)
        assert b"Transfer finished with success" in done.stdout + done.stderr
        checked = await trio.run_process(["redis-check-rdb", str(path)], capture_stdout=True)
        keys = 1 if option == "--rdb" else 0
        assert f"{keys} keys read".encode() in checked.stdout
        assert b"register_function" in path.read_bytes()
        assert (await info(client))["connected_slaves"] == "0"


async def test_redis_cli_shows_the_stream() -> None:
    async with primary() as (ours, client):
        command = ["redis-cli", "-p", str(ours.port), "--replica"]
        shown = b""
        async with trio.open_nursery() as nursery:
            process = await nursery.start(
                partial(trio.run_process, command, stdout=subprocess.PIPE)
            )

            async def is_attached() -> bool:
                return "state=online" in (await info(client)).get("slave0", "")

            await until(is_attached)
            await client("SET", "k", "v")
            with trio.fail_after(PATIENCE_S):
                while b'"SET","k","v"' not in shown:
                    shown += await process.stdout.receive_some()
            nursery.cancel_scope.cancel()
