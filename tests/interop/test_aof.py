"""Append-only folders of ours and of the real redis-server: each loads the other's; kill -9."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.interop.compare import Peer, parse, plain
from tests.interop.kill_aof import round_of_kill
from tests.processes import OURS, ServerProcess, free_port

LINES = [
    "SET s text",
    "SET n 12345",
    "SET e v EX 100000",
    "RPUSH l a b c",
    "SADD ints 1 2 3",
    "SADD words a b c",
    "ZADD z 1.5 a inf b",
    "HSET h f v g w",
    "XADD x 1-1 f v",
    "XADD x 2-1 f v",
    "XGROUP CREATE x g 0",
    "XREADGROUP GROUP g c COUNT 1 STREAMS x >",
    "PFADD hll a b c",
    "SPOP words",
    "INCRBYFLOAT n 0.5",
    "APPEND s more",
    "SELECT 3",
    "MULTI",
    "SET k 1",
    "INCR k",
    "LPUSH other a",
    "EXEC",
    "BLPOP other 0",
    "SELECT 0",
]


def fill(peer: Peer) -> None:
    for line in LINES:
        reply = plain(parse(peer.command(line)))
        assert not str(reply).startswith(("ERR", "WRONGTYPE")), (line, reply)


def digest(peer: Peer) -> bytes:
    return peer.command("DEBUG DIGEST")


def wait_until_rewritten(peer: Peer) -> None:
    while b"aof_rewrite_in_progress:1" in peer.command("INFO persistence"):
        pass


def check(folder: Path) -> None:
    """Have redis-check-aof look at a folder."""
    program = shutil.which("redis-check-aof")
    if program is None:
        pytest.skip("redis-check-aof is not installed")
    manifest = folder / "appendonlydir" / "appendonly.aof.manifest"
    done = subprocess.run([program, str(manifest)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("at_start", [True, False], ids=["at start", "at run time"])
def test_real_redis_loads_what_we_have_appended(
    redis_server: str, tmp_path: Path, preamble: str, at_start: bool
) -> None:
    options = ["--aof-use-rdb-preamble", preamble, "--aof-timestamp-enabled", preamble]
    on = ["--appendonly", "yes"]
    with (
        ServerProcess(OURS, tmp_path, options + (on if at_start else [])) as ours,
        ours.peer() as peer,
    ):
        fill(peer)
        if not at_start:
            assert peer.command("CONFIG SET appendonly yes") == b"+OK\r\n"
            peer.command("INCR n2")
            peer.command("RPUSH l d")
            wait_until_rewritten(peer)
        before = digest(peer)
    check(tmp_path)
    with ServerProcess([redis_server], tmp_path, options + on) as real, real.peer() as peer:
        assert digest(peer) == before
        peer.command("RPUSH l from redis")
        after = digest(peer)
    with ServerProcess(OURS, tmp_path, options + on) as ours, ours.peer() as peer:
        assert digest(peer) == after


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_we_load_what_real_redis_has_appended(
    redis_server: str, tmp_path: Path, preamble: str
) -> None:
    options = ["--appendonly", "yes", "--aof-use-rdb-preamble", preamble]
    with ServerProcess([redis_server], tmp_path, options) as real, real.peer() as peer:
        fill(peer)
        peer.command("BGREWRITEAOF")
        wait_until_rewritten(peer)
        peer.command("RPUSH l after")
        before = digest(peer)
    with ServerProcess(OURS, tmp_path, options) as ours, ours.peer() as peer:
        assert digest(peer) == before
        peer.command("RPUSH l ours")
        after = digest(peer)
    check(tmp_path)
    with ServerProcess([redis_server], tmp_path, options) as real, real.peer() as peer:
        assert digest(peer) == after


def test_a_damaged_folder_ends_the_program_with_status_1(tmp_path: Path) -> None:
    folder = tmp_path / "appendonlydir"
    folder.mkdir()
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    done = subprocess.run(
        [*OURS, "--port", str(free_port()), "--dir", str(tmp_path), "--appendonly", "yes"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "FATAL AOF MANIFEST FILE ERROR" in done.stdout + done.stderr


@pytest.mark.parametrize("saving", ["", "BGSAVE", "BGREWRITEAOF"])
@pytest.mark.parametrize("seed", range(2))
def test_after_a_kill_every_acknowledged_write_is_there(
    tmp_path: Path, seed: int, saving: str
) -> None:
    round_of_kill(tmp_path, random.Random(seed), "always", saving)


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_real_redis_loads_what_we_have_rewritten(
    redis_server: str, tmp_path: Path, preamble: str
) -> None:
    options = ["--appendonly", "yes", "--aof-use-rdb-preamble", preamble]
    with ServerProcess(OURS, tmp_path, options) as ours, ours.peer() as peer:
        fill(peer)
        code = "#!lua name=l\nredis.register_function('f', function() return 7 end)"
        assert peer.command(["FUNCTION", "LOAD", code]) == b"$1\r\nl\r\n"
        assert peer.command("BGREWRITEAOF").startswith(b"+Background append only file")
        peer.command("RPUSH l meanwhile")
        peer.command("SELECT 3")
        peer.command("INCR k")
        wait_until_rewritten(peer)
        peer.command("INCR k")
        before = digest(peer)
    check(tmp_path)
    with ServerProcess([redis_server], tmp_path, options) as real, real.peer() as peer:
        assert digest(peer) == before
        assert peer.command("FCALL f 0") == b":7\r\n"
