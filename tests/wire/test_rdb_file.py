"""The RDB file of a server: loaded before it listens, saved before it ends."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import trio
import trio.testing

from redis_trio import LoadError, open_redis
from tests.wire.test_command_line import Start, program
from tests.wire.test_command_line import start as start  # fixtures
from tests.wire.test_command_line import tmp_path as tmp_path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_next_start_loads(start: Start, number: signal.Signals) -> None:
    server = start()
    server.command("SET key value")
    assert server.stop(number) == 0
    assert any("DB saved on disk" in line for line in server.lines)
    again = start()
    assert any("Done loading RDB, keys loaded: 1" in line for line in again.lines)
    assert again.command("GET key") == ["$5", "value"]
    assert "rdb_last_load_keys_loaded:1" in again.command("INFO persistence")


def test_nothing_is_saved_without_save_points(start: Start, tmp_path: Path) -> None:
    server = start("--save", "")
    server.command("SET key value")
    assert server.stop() == 0
    assert not (tmp_path / "dump.rdb").exists()


def test_shutdown_saves(start: Start, tmp_path: Path) -> None:
    server = start("--save", "", "--dbfilename", "data.rdb")
    server.command("SET key value")
    server.command("SAVE")
    server.command("SET key other")
    with pytest.raises(AssertionError):
        server.command("SHUTDOWN SAVE")  # there is no reply
    assert server.process.wait(30) == 0
    assert start("--dbfilename", "data.rdb").command("GET key") == ["$5", "other"]


def test_a_server_does_not_start_on_a_damaged_file(start: Start, tmp_path: Path) -> None:
    server = start()
    server.command("SET key value")
    server.stop()
    data = bytearray((tmp_path / "dump.rdb").read_bytes())
    data[-12] ^= 1
    (tmp_path / "dump.rdb").write_bytes(data)
    result = program("--port", "0", "--unixsocket", "s", cwd=tmp_path)
    assert result.returncode == 1
    assert "Wrong RDB checksum" in result.stdout
    assert "at byte" in result.stdout
    assert "Fatal error loading the DB, check server logs. Exiting." in result.stdout
    (tmp_path / "dump.rdb").write_bytes(data[:-20])
    assert program("--port", "0", "--unixsocket", "s", cwd=tmp_path).returncode == 1


def test_a_signal_does_not_end_a_server_whose_save_fails(start: Start, tmp_path: Path) -> None:
    server = start()
    server.command("SET key value")
    (tmp_path / "dump.rdb").mkdir()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.stdout is not None
    for line in server.process.stdout:
        if "SIGTERM received but errors trying to shut down the server" in line:
            break
    assert server.command("GET key") == ["$5", "value"]
    with pytest.raises(AssertionError):
        server.command("SHUTDOWN NOSAVE")
    assert server.process.wait(30) == 0


async def test_an_embedded_server_has_no_file_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_redis() as server:
        await server.execute("SET", "key", "value")
        await server.execute("SAVE")
    async with open_redis() as server:
        assert await server.execute("DBSIZE") == 0
        await server.execute("SET", "other", "value")
        await server.aclose()
    async with open_redis(dir=str(tmp_path)) as server:
        assert await server.execute("KEYS", "*") == [b"key"]


async def test_closing_an_embedded_server_saves_if_it_has_save_points(tmp_path: Path) -> None:
    async with open_redis(dir=str(tmp_path), save="3600 1") as server:
        await server.execute("SET", "key", "value")
        await server.aclose()
    async with open_redis(dir=str(tmp_path)) as server:
        assert await server.execute("GET", "key") == b"value"


async def test_an_embedded_server_tells_that_its_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").write_bytes(b"REDIS0012\xff" + b"12345678")
    with pytest.raises(LoadError, match="Wrong RDB checksum"):
        async with open_redis(dir=str(tmp_path)):
            pytest.fail("it started")


async def test_a_client_that_waits_is_served_by_restore(tmp_path: Path) -> None:
    async with open_redis() as server:
        await server.execute("RPUSH", "list", "a")
        payload = await server.execute("DUMP", "list")
        assert isinstance(payload, bytes)
        await server.execute("DEL", "list")
        found: list[object] = []

        async def wait() -> None:
            found.append(await server.execute("BLPOP", "other", "0"))

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                assert await server.execute("RESTORE", "other", 0, payload) == b"OK"
        assert found == [[b"other", b"a"]]
