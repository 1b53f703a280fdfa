"""Loading while clients come: what they are told, how far it is, and how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from redis_trio import LoadError, RedisError, RedisServer, open_redis, serve_redis
from redis_trio.persistence import loading as module
from tests.wire.talk import until

LOADING = "LOADING Redis is loading the dataset in memory"
KEYS = 300


@pytest.fixture(autouse=True)
def tiny_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a load take many slices."""
    monkeypatch.setattr(module, "SLICE_NS", 0)


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Of servers that load slowly, so that clients come first."""
    return {"dir": str(tmp_path), "key_load_delay": 10, "save": ""}


async def fill(options: dict[str, Any]) -> None:
    """Make the file that is loaded."""
    async with open_redis(**options) as server:
        for i in range(KEYS):
            await server.execute("RPUSH", f"l{i}", *range(i % 20 + 1))
        await server.execute("SET", "gone", 1, "PXAT", 1)
        await server.execute("SET", "k", "v", "EX", 1000)
        if options.get("appendonly"):
            await server.execute("BGREWRITEAOF")
            await until(lambda: not server.state.rewrite.running)
            for i in range(KEYS):
                await server.execute("SET", f"s{i}", i)
        else:
            await server.execute("SAVE")


async def info(server: RedisServer) -> dict[str, str]:
    text = await server.execute("INFO", "persistence")
    assert isinstance(text, bytes)
    return dict(line.split(":", 1) for line in text.decode().splitlines()[1:])


@pytest.mark.parametrize("appendonly", [False, True])
async def test_clients_are_told_until_all_is_there(
    options: dict[str, Any], appendonly: bool
) -> None:
    options["appendonly"] = appendonly
    await fill(options)
    async with open_redis(load_in_background=True, **options) as server:
        for words in (["GET", "k"], ["SET", "k", "w"], ["PING"], ["BGSAVE"], ["EVAL", "", "0"]):
            with pytest.raises(RedisError, match=f"^{LOADING}$"):
                await server.execute(*words)
        with pytest.raises(RedisError, match=f"^{LOADING}$"):
            await server.execute("CONFIG", "SET", "appendonly", "yes")
        assert await server.execute("CONFIG", "SET", "loglevel", "debug") == b"OK"
        fields = await info(server)
        assert fields["loading"] == "1"
        assert fields["async_loading"] == "0"
        assert abs(int(fields["loading_start_time"]) - server.state.clock.time()) < 60
        total = int(fields["loading_total_bytes"])
        assert 0 < int(fields["loading_loaded_bytes"]) < total
        done = int(fields["loading_loaded_bytes"]) * 100 / total
        assert fields["loading_loaded_perc"] == f"{done:.2f}"
        assert fields["loading_eta_seconds"] == "1"
        assert int(fields["loading_rdb_used_mem"]) > 0
        await server.wait_loaded()
        fields = await info(server)
        assert fields["loading"] == "0"
        assert "loading_total_bytes" not in fields
        assert await server.execute("DBSIZE") == KEYS + 1 + KEYS * appendonly
        assert await server.execute("SET", "k", "w") == b"OK"
        assert fields["aof_enabled"] == str(int(appendonly))


async def test_a_transaction_is_refused_as_a_whole(options: dict[str, Any]) -> None:
    await fill(options)
    async with open_redis(load_in_background=True, **options) as server:
        stream = await server.connect()
        await stream.send_all(b"MULTI\r\nGET k\r\nCONFIG GET maxmemory\r\nEXEC\r\n")
        received = b""
        while received.count(b"\r\n") < 4:
            received += await stream.receive_some(1000)
        assert received.split(b"\r\n") == [
            b"+OK",
            b"-" + LOADING.encode(),
            b"+QUEUED",
            b"-EXECABORT Transaction discarded because of previous errors.",
            b"",
        ]
        await stream.aclose()


async def test_what_was_queued_before_is_looked_at_again(
    options: dict[str, Any],
) -> None:
    async with open_redis(**options) as server:
        stream = await server.connect()
        await stream.send_all(b"MULTI\r\nGET k\r\n")
        received = b""
        while not received.endswith(b"+QUEUED\r\n"):
            received += await stream.receive_some(1000)
        server.state.loading.begin(100)
        await stream.send_all(b"EXEC\r\n")
        expected = b"-EXECABORT Transaction discarded because of: " + LOADING.encode() + b"\r\n"
        assert await stream.receive_some(1000) == expected
        server.state.loading.end()
        await stream.aclose()


async def test_beside_the_old_data_most_commands_run(
    options: dict[str, Any],
) -> None:
    async with open_redis(**options) as server:
        server.state.loading.begin(0, asynchronous=True)
        server.state.loading.memory_bytes = 1000
        server.state.loading.advanced(500)
        assert await server.execute("GET", "k") is None
        with pytest.raises(RedisError, match=f"^{LOADING}$"):
            await server.execute("BGREWRITEAOF")
        fields = await info(server)
        assert (fields["loading"], fields["async_loading"]) == ("0", "1")
        assert fields["loading_loaded_perc"] == "50.00"
        server.state.loading.advanced(5000)
        assert (await info(server))["loading_loaded_perc"] == "99.99"
        server.state.loading.end()
        assert (await info(server))["async_loading"] == "0"


async def test_a_server_that_is_closed_while_it_loads_saves_nothing(
    options: dict[str, Any], tmp_path: Path
) -> None:
    await fill(options)
    before = (tmp_path / "dump.rdb").read_bytes()
    options["save"] = "3600 1"
    async with trio.open_nursery() as nursery:
        server = await serve_redis(nursery, 0, load_in_background=True, **options)
        await trio.lowlevel.checkpoint()
        assert server.state.loading.active
        await server.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await server.wait_loaded()
    assert (tmp_path / "dump.rdb").read_bytes() == before
    assert not server.state.loading.active


async def test_shutdown_while_it_loads_ends_at_once(
    options: dict[str, Any], tmp_path: Path
) -> None:
    await fill(options)
    before = (tmp_path / "dump.rdb").read_bytes()
    options["save"] = "3600 1"
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            server = await serve_redis(nursery, 0, load_in_background=True, **options)
            stream = await server.connect()
            await stream.send_all(b"SHUTDOWN SAVE\r\n")
            assert await stream.receive_some(100) == b""
            await stream.aclose()
    assert (tmp_path / "dump.rdb").read_bytes() == before


async def test_a_damaged_file_ends_the_server_in_the_nursery_of_its_host(
    options: dict[str, Any], tmp_path: Path
) -> None:
    await fill(options)
    path = tmp_path / "dump.rdb"
    path.write_bytes(path.read_bytes()[:-20])
    with trio.fail_after(30), pytest.RaisesGroup(LoadError):
        async with trio.open_nursery() as nursery:
            server = await serve_redis(nursery, 0, load_in_background=True, **options)
            with pytest.raises(trio.ClosedResourceError):
                await server.wait_loaded()


async def test_nothing_expires_by_itself_before_the_end(
    options: dict[str, Any],
) -> None:
    options["appendonly"] = True
    async with open_redis(**options) as server:
        server.state.active_expire = False
        for i in range(100):
            await server.execute("SET", f"k{i}", i)
            await server.execute("HSET", f"h{i}", "f", "v")
        await server.execute("SET", "soon", "1", "PX", "1")
        await server.execute("SET", "later", "1", "PX", "100000")
    async with open_redis(load_in_background=True, **options) as server:
        seen: list[int] = []
        while server.state.loading.active:
            seen.append(server.state.stats.expired_keys)
            await trio.lowlevel.checkpoint()
        assert set(seen) <= {0}
        await server.wait_loaded()
        await until(lambda: server.state.stats.expired_keys == 1)
