"""Saving in the background, through the real loop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from redis_trio import RedisError, RedisServer, open_redis
from redis_trio.persistence import background as module
from tests.wire.talk import until

IN_PROGRESS = "ERR Background save already in progress"


@pytest.fixture(autouse=True)
def tiny_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a save take many slices."""
    monkeypatch.setattr(module, "SLICE_NS", 0)
    monkeypatch.setattr(module, "BUSY_NS", 0)
    monkeypatch.setattr(module, "CHUNK", 1)


def files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


async def info(server: RedisServer) -> bytes:
    text = await server.execute("INFO", "persistence")
    assert isinstance(text, bytes)
    return text


async def test_what_clients_write_meanwhile_is_not_in_the_file(tmp_path: Path) -> None:
    async with open_redis(dir=str(tmp_path), enable_debug_command="yes") as server:
        run = server.execute
        for i in range(500):
            await run("RPUSH", f"list:{i}", *range(i % 50 + 1))
        digest = await run("DEBUG", "DIGEST")
        assert await run("BGSAVE") == b"Background saving started"
        assert server.state.background.running
        with pytest.raises(RedisError, match=IN_PROGRESS):
            await run("BGSAVE")
        with pytest.raises(RedisError, match=IN_PROGRESS):
            await run("SAVE")
        written = 0
        while server.state.background.running:
            await run("LPUSH", f"list:{written * 7 % 600}", "more")
            written += 1
            assert b"rdb_bgsave_in_progress:" in await info(server)
        assert written > 3
        assert server.state.dirty == written
        assert files(tmp_path) == ["dump.rdb"]
        assert await run("DEBUG", "DIGEST") != digest
        await run("DEBUG", "RELOAD", "NOSAVE")
        assert await run("DEBUG", "DIGEST") == digest


@pytest.mark.parametrize("slices", [0, 1, 2, 3, 5, 8, 13])
async def test_a_save_that_is_cancelled_leaves_the_last_file_and_no_other(
    tmp_path: Path, slices: int
) -> None:
    with trio.fail_after(20):
        async with open_redis(dir=str(tmp_path), save="") as server:
            await server.execute("SET", "kept", "1")
            await server.execute("SAVE")
            good = (tmp_path / "dump.rdb").read_bytes()
            for i in range(2000):
                await server.execute("SET", f"k{i}", i)
            threads = threading.active_count()
            await server.execute("BGSAVE")
            for _ in range(slices):
                await trio.lowlevel.checkpoint()
            assert server.state.background.running
    assert not server.state.background.running
    assert server.state.snapshot is None
    assert files(tmp_path) == ["dump.rdb"]
    assert (tmp_path / "dump.rdb").read_bytes() == good
    assert threading.active_count() <= threads + 1  # trio keeps one that has nothing to do


async def test_flushall_gives_a_save_up(tmp_path: Path) -> None:
    async with open_redis(dir=str(tmp_path), save="") as server:
        for i in range(1000):
            await server.execute("SET", f"k{i}", i)
        await server.execute("BGSAVE")
        await server.execute("FLUSHALL")
        await until(lambda: not server.state.background.running)
        assert files(tmp_path) == []
        assert server.state.persistence.last_save_ok
        assert server.state.dirty == 2000


async def test_nothing_may_be_written_that_cannot_be_saved(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    async with open_redis(dir=str(folder), save="3600 1") as server:
        run = server.execute
        await run("SET", "k", "v")
        folder.rmdir()
        await run("BGSAVE")
        await until(lambda: not server.state.background.running)
        for words in (["SET", "k", "w"], ["PING"]):
            with pytest.raises(RedisError, match=r"^MISCONF Redis is configured to save RDB"):
                await run(*words)
        assert await run("GET", "k") == b"v"
        assert b"rdb_last_bgsave_status:err" in await info(server)
        await run("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        await run("SET", "k", "w")
        await run("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
        with pytest.raises(RedisError, match=r"^MISCONF"):
            await run("SET", "k", "x")
        await run("CONFIG", "SET", "save", "")
        await run("SET", "k", "x")
        await run("CONFIG", "SET", "save", "3600 1")
        folder.mkdir()
        await run("BGSAVE")
        await until(lambda: not server.state.background.running)
        await run("SET", "k", "y")
        assert files(folder) == ["dump.rdb"]


async def test_in_a_transaction_a_save_is_scheduled(tmp_path: Path) -> None:
    async with open_redis(dir=str(tmp_path), save="") as server:
        stream = await server.connect()
        await stream.send_all(b"MULTI\r\nSET a 1\r\nBGSAVE\r\nSET a 2\r\nEXEC\r\n")
        await until((tmp_path / "dump.rdb").exists)
        data = (tmp_path / "dump.rdb").read_bytes()
        assert b"\x01a\xc0\x02" in data
        await until(lambda: not server.state.background.running)
        await stream.aclose()
        with pytest.raises(RedisError, match="ERR syntax error"):
            await server.execute("BGSAVE", "NOW")


async def test_save_points_have_a_deadline_while_something_has_changed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_redis(dir=str(tmp_path), save="60 1 10 5") as server:
        background = server.state.background
        await trio.sleep(1000)
        assert background.next_save_ms() == -1
        assert files(tmp_path) == []
        saved_s = server.state.persistence.last_save_s
        await server.execute("CONFIG", "SET", "save", "5000 1 2000 5")
        await server.execute("SET", "k", "v")
        await trio.sleep(1200)
        assert files(tmp_path) == []
        for i in range(4):
            await server.execute("SET", "k", i)
        await trio.sleep(3)
        assert files(tmp_path) == ["dump.rdb"]
        assert server.state.persistence.last_save_s > saved_s
        assert await server.execute("LASTSAVE") == server.state.persistence.last_save_s
        assert server.state.dirty == 0
        assert background.next_save_ms() == -1
        os.unlink(tmp_path / "dump.rdb")
        await server.execute("SET", "k", "v")
        await trio.sleep(4900)
        assert files(tmp_path) == []
        await trio.sleep(200)
        assert files(tmp_path) == ["dump.rdb"]


def test_a_killed_server_leaves_the_file_of_the_last_save(tmp_path: Path) -> None:
    program = f"""
import trio
from redis_trio import open_redis
async def main():
    async with open_redis(dir={str(tmp_path)!r}, save="") as server:
        await server.execute("SET", "kept", "1")
        await server.execute("SAVE")
        for i in range(5000):
            await server.execute("SET", f"k{{i}}", i)
        await server.execute("CONFIG", "SET", "rdb-key-save-delay", "10000")
        await server.execute("BGSAVE")
        await trio.sleep(0.1)
        print("saving", server.state.background.running, flush=True)
        await trio.sleep_forever()
trio.run(main)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"saving True\n"
        process.send_signal(signal.SIGKILL)

    async def load() -> None:
        async with open_redis(dir=str(tmp_path), save="") as server:
            assert await server.execute("DBSIZE") == 1
            assert await server.execute("GET", "kept") == b"1"

    trio.run(load)
