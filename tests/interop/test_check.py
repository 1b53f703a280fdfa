"""`redis-trio check` beside redis-check-rdb and redis-check-aof: the verdicts agree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from redis_trio.feed import encode_command
from redis_trio.persistence.check.files import check_file
from tests.interop.conftest import Start
from tests.interop.test_rdb_file import fill, saved_file
from tests.rdb_cases import COMMANDS, MODULE_AUX, Words, old_file, rdb_file

Verdict = Callable[[Path], tuple[bool, str]]
"""Whether a program finds a file whole, and what it prints."""

AOF = b"".join(
    encode_command(line.split())
    for line in (b"SELECT 0", b"SET a 1", b"MULTI", b"SET b 2", b"INCR b", b"EXEC", b"DEL a")
)


def _program(name: str) -> Verdict:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")

    def verdict(file: Path) -> tuple[bool, str]:
        done = subprocess.run([path, str(file)], capture_output=True, text=True, check=False)
        return done.returncode == 0, done.stdout

    return verdict


@pytest.fixture
def check_rdb() -> Verdict:
    return _program("redis-check-rdb")


@pytest.fixture
def check_aof() -> Verdict:
    return _program("redis-check-aof")


def is_whole(path: Path) -> bool:
    return check_file(str(path), 0, 0).damage is None


@pytest.mark.parametrize("starter", ["start_real", "start_ours"])
def test_what_servers_save_is_whole(
    starter: str, request: pytest.FixtureRequest, check_rdb: Verdict
) -> None:
    start: Start = request.getfixturevalue(starter)
    port = start()
    fill(port, COMMANDS)
    path = saved_file(port)
    assert check_rdb(path)[0]
    checked = check_file(str(path), 0, 10)
    assert checked.damage is None
    assert checked.keys.keys > 30
    command = [sys.executable, "-m", "redis_trio", "check", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("  OK\n")


@pytest.mark.parametrize(
    "data",
    [
        old_file(10, newest_kind=19),
        old_file(9, newest_kind=15),
        old_file(3, newest_kind=9),
        rdb_file(MODULE_AUX, b"\x00\x01a\x01b", version=10),
        rdb_file(b"\x07\x01k\x81" + bytes(8) + b"\x02\x05\x00", version=10),
        rdb_file(version=10) + b"behind the end",
        b"REDIS0099",
        b"NOTREDIS!",
        b"",
    ],
    ids=lambda data: f"{len(data)} bytes",
)
def test_rdb_files_by_hand(data: bytes, tmp_path: Path, check_rdb: Verdict) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(data)
    assert is_whole(path) == check_rdb(path)[0]


def test_damaged_rdb_files(tmp_path: Path, check_rdb: Verdict) -> None:
    good = old_file(10, newest_kind=15)
    path = tmp_path / "dump.rdb"
    for place in range(0, len(good), 23):
        for damaged in (
            good[:place],
            good[:place] + bytes((good[place] ^ 0x41,)) + good[place + 1 :],
        ):
            path.write_bytes(damaged)
            assert is_whole(path) == check_rdb(path)[0], place


def ok_up_to(printed: str) -> int:
    """Return what redis-check-aof says of the last file it has looked at."""
    return int(re.findall(r"ok_up_to=(\d+)", printed)[-1])


@pytest.mark.parametrize(
    "front", [b"", rdb_file(b"\xfe\x00\x00\x01a\x01b", version=10)], ids=["commands", "preamble"]
)
def test_append_only_files_that_are_cut_off(
    front: bytes, tmp_path: Path, check_aof: Verdict
) -> None:
    data = front + AOF
    path = tmp_path / "appendonly.aof"
    for size in range(len(front) + 1, len(data) + 1, 3):
        path.write_bytes(data[:size])
        whole, printed = check_aof(path)
        checked = check_file(str(path), 0, 0)
        assert (checked.damage is None) == whole, size
        if checked.damage is not None:
            assert checked.damage.whole == ok_up_to(printed), size


@pytest.mark.parametrize(
    "data",
    [
        AOF + b"junk",
        AOF + b"*x\r\n",
        AOF + b"*1\r\n$4\r\nEXEC\r\n" + AOF,
        AOF[:-1] + b"x",
        b"*1\r\n$5\r\nMULTI\r\n" + AOF,
        b"*1\r\n+4\r\nPING\r\n" + AOF,
        b"#TS:1700000000\r\n" + AOF + b"#TS:1700000001\r\n",
        b"\0\0\0\0",
    ],
    ids=lambda data: repr(data[-12:]),
)
def test_other_damage_of_append_only_files(data: bytes, tmp_path: Path, check_aof: Verdict) -> None:
    path = tmp_path / "appendonly.aof"
    path.write_bytes(data)
    whole, printed = check_aof(path)
    checked = check_file(str(path), 0, 0)
    assert (checked.damage is None) == whole
    if checked.damage is not None:
        assert checked.damage.whole == ok_up_to(printed)


@pytest.mark.parametrize("data", [b"*0\r\n", b"*+1\r\n$4\r\nPING\r\n", b"*-1\r\n"])
def test_what_no_server_writes_is_damage(data: bytes, tmp_path: Path, check_aof: Verdict) -> None:
    path = tmp_path / "appendonly.aof"
    path.write_bytes(AOF + data)
    assert check_aof(path)[0]
    assert not is_whole(path)


def test_a_file_that_was_fixed_is_fine_for_redis(tmp_path: Path, check_aof: Verdict) -> None:
    path = tmp_path / "appendonly.aof"
    path.write_bytes(AOF + AOF[:-3])
    assert not check_aof(path)[0]
    command = [sys.executable, "-m", "redis_trio", "check", "--fix", "--yes", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    assert check_aof(path)[0]


def test_the_folder_of_a_real_server(start_real: Start, check_aof: Verdict) -> None:
    port = start_real("--appendonly", "yes")
    more: list[Words] = [[b"MULTI"], [b"SET", b"x", b"1"], [b"EXEC"]]
    fill(port, [*COMMANDS, *more])
    folder = saved_file(port).parent / "appendonlydir"
    (manifest,) = folder.glob("*.manifest")
    assert check_aof(manifest)[0]
    command = [sys.executable, "-m", "redis_trio", "check", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.count("  OK\n") == 2
    assert " transaction" in done.stdout
