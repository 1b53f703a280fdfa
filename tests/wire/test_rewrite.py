"""Rewriting the append-only file, through the real loop and with threads at the disk."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

from redis_trio import RedisServer, open_redis
from redis_trio.persistence import background as module
from tests.wire.talk import until


@pytest.fixture(autouse=True)
def tiny_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a rewrite take many slices."""
    monkeypatch.setattr(module, "SLICE_NS", 0)
    monkeypatch.setattr(module, "BUSY_NS", 0)
    monkeypatch.setattr(module, "CHUNK", 1)


def files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "appendonlydir"))


async def fill(server: RedisServer) -> None:
    for i in range(300):
        await server.execute("RPUSH", f"l{i}", *range(i % 50 + 1))
        await server.execute("SET", f"s{i}", i)


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
@pytest.mark.parametrize("preamble", ["yes", "no"])
async def test_what_clients_write_meanwhile_is_there_after_a_restart(
    tmp_path: Path, policy: str, preamble: str
) -> None:
    options: dict[str, Any] = {
        "dir": str(tmp_path),
        "enable_debug_command": "yes",
        "appendfsync": policy,
    }
    async with open_redis(appendonly=True, aof_use_rdb_preamble=preamble, **options) as server:
        await fill(server)
        assert await server.execute("BGREWRITEAOF") == (
            b"Background append only file rewriting started"
        )
        written = 0
        while server.state.rewrite.running:
            await server.execute("LPUSH", f"l{written * 7 % 300}", "more")
            await server.execute("INCR", f"s{written % 300}")
            written += 1
        assert written
        digest = await server.execute("DEBUG", "DIGEST")
        assert len(files(tmp_path)) == 3
    async with open_redis(appendonly=True, **options) as server:
        assert await server.execute("DEBUG", "DIGEST") == digest


async def test_turned_on_while_clients_write_it_has_everything(tmp_path: Path) -> None:
    async with open_redis(dir=str(tmp_path), save="", enable_debug_command="yes") as server:
        await fill(server)
        assert await server.execute("CONFIG", "SET", "appendonly", "yes") == b"OK"
        while server.state.rewrite.running:
            await server.execute("INCR", "counter")
        await server.execute("INCR", "counter")
        digest = await server.execute("DEBUG", "DIGEST")
    async with open_redis(dir=str(tmp_path), appendonly=True, enable_debug_command="yes") as server:
        assert await server.execute("DEBUG", "DIGEST") == digest


@pytest.mark.parametrize("slices", [0, 1, 2, 3, 5, 8, 13, 21])
@pytest.mark.parametrize("was_on", [True, False])
async def test_a_rewrite_that_is_cancelled_loses_nothing_and_leaves_nothing(
    tmp_path: Path, slices: int, was_on: bool
) -> None:
    """Where the first base was being written the server writes it before it ends."""
    with trio.fail_after(60):
        slow: dict[str, Any] = {"rdb_key_save_delay": 200}  # us: it is cancelled, not over
        async with open_redis(dir=str(tmp_path), save="", appendonly=was_on, **slow) as server:
            await fill(server)
            threads = threading.active_count()
            if was_on:
                await server.execute("BGREWRITEAOF")
            else:
                await server.execute("CONFIG", "SET", "appendonly", "yes")
            for i in range(slices):
                await server.execute("SET", "last", i)
            assert server.state.rewrite.running
        assert not server.state.rewrite.running
        assert server.state.snapshot is None
        assert [name for name in files(tmp_path) if name.startswith("temp-")] == []
        assert threading.active_count() <= threads + 2  # Trio keeps idle ones for a while
        async with open_redis(dir=str(tmp_path), appendonly=True) as server:
            assert await server.execute("DBSIZE") == 600 + (slices > 0)
            assert await server.execute("LLEN", "l49") == 50
            if slices:
                assert await server.execute("GET", "last") == b"%d" % (slices - 1)


async def test_turned_off_meanwhile_the_rewrite_ends(tmp_path: Path) -> None:
    async with open_redis(dir=str(tmp_path), save="", appendonly=True) as server:
        await fill(server)
        await server.execute("BGREWRITEAOF")
        await server.execute("SET", "last", "1")
        assert await server.execute("CONFIG", "SET", "appendonly", "no") == b"OK"
        assert await server.execute("CONFIG", "SET", "appendonly", "yes") == b"OK"
        await server.execute("SET", "last", "2")
        await until(lambda: server.state.aof.has_base and not server.state.rewrite.running)
        await server.execute("SET", "last", "3")
    async with open_redis(dir=str(tmp_path), appendonly=True) as server:
        assert await server.execute("GET", "last") == b"3"
        assert await server.execute("DBSIZE") == 601
