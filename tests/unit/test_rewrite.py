"""Rewriting the append-only file: what it has afterwards, when that happens, and what can fail."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from redis_trio.client import Client
from redis_trio.data.expires import NEVER
from redis_trio.info import info_text
from redis_trio.jobs import AofRewrite, SavePoints
from redis_trio.persistence import background, rewrite
from redis_trio.persistence.aof_base import base_pieces
from redis_trio.persistence.aof_files import aof_changed, complete_aof, load_aof, open_aof
from redis_trio.persistence.rdb_file import empty_databases, remove_leftovers, save_at_end
from redis_trio.protocol.reply import OK, RedisError, Reply, Status
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run

STARTED = b"Background append only file rewriting started"
SCHEDULED = b"Background append only file rewriting scheduled"
NO_ROOM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class House:
    """A state with a folder and a shell whose tasks run when a test says so."""

    def __init__(self, state: ServerState, run: Run, path: Path) -> None:
        self.state = state
        self.path = path
        self._run = run
        self.tasks: list[Callable[[], Awaitable[None]]] = []
        state.config.dir = str(path)
        state.config.save = ()
        state.background.spawn = self.tasks.append
        state.background.uses_threads = False
        state.config.subscribe("appendonly", lambda: aof_changed(state))

    def open(self) -> None:
        """Begin with an empty file."""
        self.state.config.appendonly = True
        open_aof(self.state)

    def do(self, *words: str | bytes | float) -> Reply:
        """Run a command as a unit of work; a status is returned as bytes."""
        reply = self._run(*words)
        self.state.end()
        return reply.text if isinstance(reply, Status) else reply

    def work(self) -> None:
        """Run the tasks."""
        tasks, self.tasks[:] = list(self.tasks), []
        for task in tasks:
            trio.run(task)

    @property
    def files(self) -> list[str]:
        return sorted(os.listdir(self.path / "appendonlydir"))

    def reloaded(self, *words: str) -> list[Reply]:
        """Return the replies to some commands after all was loaded from the files."""
        self.state.aof.flush(sync=False)
        empty_databases(self.state)
        for _ in load_aof(self.state):
            pass
        return [self._run(word) for word in words]

    def info(self, field: str) -> str:
        lines = info_text(self.state, ["persistence"]).splitlines()[1:]
        return dict(line.split(":", 1) for line in lines)[field]


@pytest.fixture
def house(state: ServerState, run: Run, tmp_path: Path) -> House:
    return House(state, run, tmp_path)


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_the_base_has_the_moment_and_the_new_file_what_came_after(
    house: House, preamble: str
) -> None:
    house.open()
    house.do("CONFIG", "SET", "aof-use-rdb-preamble", preamble)
    for _ in range(3):
        house.do("INCR k")
    house.do("RPUSH l a b c")
    house.do("SELECT 3")
    house.do("HSET h f v")
    assert house.do("BGREWRITEAOF") == STARTED
    assert house.info("aof_rewrite_in_progress") == "1"
    refused = house.do("BGREWRITEAOF")
    assert isinstance(refused, RedisError)
    assert refused.message == "ERR Background append only file rewriting already in progress"
    house.do("HSET h f w")
    house.do("SELECT 0")
    house.do("INCR k")
    house.do("RPUSH l d")
    house.work()
    suffix = "rdb" if preamble == "yes" else "aof"
    assert house.files == [
        f"appendonly.aof.2.base.{suffix}",
        "appendonly.aof.2.incr.aof",
        "appendonly.aof.manifest",
    ]
    incr = (house.path / "appendonlydir" / "appendonly.aof.2.incr.aof").read_bytes()
    assert incr.count(b"INCR") == 1
    assert incr.startswith(b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n")
    aof = house.state.aof
    assert aof.incr_size == len(incr)
    sizes = [(house.path / "appendonlydir" / name).stat().st_size for name in house.files[:2]]
    assert aof.size == aof.base_size == sum(sizes)
    assert house.info("aof_rewrites") == "1"
    assert house.info("aof_last_bgrewrite_status") == "ok"
    assert house.info("aof_last_rewrite_time_sec") == "0"
    replies = house.reloaded("GET k", "LRANGE l 0 -1", "SELECT 3", "HGET h f")
    assert replies == [b"4", [b"a", b"b", b"c", b"d"], OK, b"w"]


def test_libraries_and_deadlines_are_in_a_base_of_commands(house: House) -> None:
    house.open()
    house.do("CONFIG SET aof-use-rdb-preamble no")
    code = "#!lua name=lib\nredis.register_function('f', function() return 42 end)"
    house.do("FUNCTION", "LOAD", code)
    house.do("SET k v PXAT 99999999999999")
    house.do("BGREWRITEAOF")
    assert b"".join(base_pieces(house.state)).startswith(b"*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD")
    house.work()
    house.do("FUNCTION FLUSH")
    house.state.aof.flush(sync=False)
    (house.path / "appendonlydir" / "appendonly.aof.2.incr.aof").write_bytes(b"")
    assert house.reloaded("FCALL f 0", "PEXPIRETIME k") == [42, 99999999999999]


def test_without_an_aof_only_a_base_is_written(house: House) -> None:
    house.do("SET k 1")
    assert house.do("BGREWRITEAOF") == STARTED
    house.do("SET k 2")
    house.work()
    assert house.files == ["appendonly.aof.1.base.rdb", "appendonly.aof.manifest"]
    house.do("BGREWRITEAOF")
    house.work()
    assert house.files == ["appendonly.aof.2.base.rdb", "appendonly.aof.manifest"]
    assert house.reloaded("GET k") == [b"2"]


def test_while_something_else_is_saved_or_in_a_transaction_it_is_scheduled(
    house: House, client: Client
) -> None:
    house.open()
    house.do("SET k 1")
    assert house.do("BGSAVE") == b"Background saving started"
    assert house.do("BGREWRITEAOF") == SCHEDULED
    assert house.info("aof_rewrite_scheduled") == "1"
    job = AofRewrite(house.state)
    assert job.next_ms() == NEVER
    house.work()
    assert job.next_ms() == house.state.clock.now_ms
    job.run()
    assert house.info("aof_rewrite_scheduled") == "0"
    refused = house.do("BGSAVE")
    assert isinstance(refused, RedisError)
    assert "Another child process is active (AOF?)" in refused.message
    assert house.do("BGSAVE SCHEDULE") == b"Background saving scheduled"
    assert SavePoints(house.state).next_ms() == NEVER
    house.work()
    assert SavePoints(house.state).next_ms() != NEVER
    house.state.background.give_up()
    client.executing = True
    assert house.do("BGREWRITEAOF") == SCHEDULED


def test_it_begins_by_itself_when_the_file_has_grown(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.open()
    house.do("CONFIG SET auto-aof-rewrite-percentage 100 auto-aof-rewrite-min-size 1200")
    house.do("CONFIG SET appendfsync no rdbcompression no")
    house.do("SET", "k", "x" * 1000)
    house.do("BGREWRITEAOF")
    house.work()
    job = AofRewrite(house.state)
    while house.state.aof.size <= 1200:
        assert job.next_ms() == NEVER
        house.do("SET", "k", "y" * 100)
    woken: list[int] = []
    house.state.wake_keeper = lambda: woken.append(house.state.keeper_ms)
    while house.state.aof.size < 2 * house.state.aof.base_size:
        assert job.next_ms() == NEVER
        assert woken == []
        house.do("SET", "k", "y" * 100)
    assert job.next_ms() == house.state.clock.now_ms
    assert woken != []
    caplog.set_level("INFO")
    job.run()
    assert "Starting automatic rewriting of AOF on 10" in caplog.text
    house.work()
    assert job.next_ms() == NEVER
    house.do("CONFIG SET auto-aof-rewrite-percentage 0")
    for _ in range(40):
        house.do("SET", "k", "y" * 100)
    assert job.next_ms() == NEVER


# -- failures


def fail_at(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Have a step of a rewrite fail because the disk is full."""

    def fail(*args: object, **options: object) -> None:
        raise NO_ROOM

    if place == "base":
        monkeypatch.setattr(background, "write_all", fail)
    elif place == "fsync":
        monkeypatch.setattr(background, "sync_file", fail)
    elif place == "incr":
        monkeypatch.setattr(rewrite, "write_manifest", fail)
    else:
        monkeypatch.setattr(rewrite, "prepare_manifest", fail)


@pytest.mark.parametrize("place", ["base", "fsync", "incr", "manifest"])
def test_a_rewrite_that_fails_loses_nothing_and_leaves_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    house.open()
    house.do("SET k 1")
    before = set(house.files)
    with monkeypatch.context() as patched:
        fail_at(patched, place)
        house.do("BGREWRITEAOF")
        house.do("INCR k")
        house.work()
    left = set(house.files) - before
    assert left == (set() if place == "incr" else {"appendonly.aof.2.incr.aof"})
    assert house.info("aof_last_bgrewrite_status") == "err"
    assert house.info("aof_rewrites_consecutive_failures") == "1"
    assert house.state.snapshot is None
    assert "No space left on device" in caplog.text
    house.do("INCR k")
    assert house.reloaded("GET k") == [b"3"]
    house.do("INCR k")
    house.do("BGREWRITEAOF")
    house.do("INCR k")
    house.work()
    assert len(house.files) == 3
    assert house.info("aof_rewrites_consecutive_failures") == "0"
    assert house.reloaded("GET k") == [b"5"]


def test_after_three_failures_it_waits_longer_and_longer(
    house: House, monkeypatch: pytest.MonkeyPatch, time: FakeTime
) -> None:
    house.open()
    house.do("CONFIG SET auto-aof-rewrite-min-size 0")
    house.do("SET", "k", "x" * 1000)
    job = AofRewrite(house.state)
    fail_at(monkeypatch, "base")
    waits: list[int] = []
    for _ in range(10):
        wait_ms = job.next_ms() - house.state.clock.now_ms
        waits.append(wait_ms // 60_000)
        time.advance(wait_ms / 1000)
        house.state.begin()
        job.run()
        house.work()
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60]
    assert house.do("BGREWRITEAOF") == STARTED  # whoever asks for it does not wait


def test_where_the_folder_cannot_be_made_the_reply_says_so(house: House) -> None:
    (house.path / "appendonlydir").write_text("in the way")
    refused = house.do("BGREWRITEAOF")
    assert isinstance(refused, RedisError)
    assert refused.message == (
        "ERR Can't execute an AOF background rewriting. Please check the server logs for more "
        "information."
    )
    assert house.info("aof_last_bgrewrite_status") == "err"
    assert house.state.snapshot is None


def test_a_bug_in_a_rewrite_is_logged_and_is_a_failure(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(rewrite, "prepare_manifest", fail)
    house.open()
    house.do("BGREWRITEAOF")
    house.work()
    assert "internal error in a background rewrite" in caplog.text
    assert house.info("aof_last_bgrewrite_status") == "err"


# -- on and off


def test_turned_on_it_has_the_data_as_it_is_and_what_comes(house: House) -> None:
    house.do("SET k before")
    assert house.do("CONFIG SET appendonly yes") == b"OK"
    assert house.info("aof_enabled") == "1"
    assert house.state.aof.fsynced_offset == 0
    house.do("SET l after")
    house.do("SET k after")
    assert house.files == ["temp-appendonly.aof.incr"]
    house.work()
    assert house.files == [
        "appendonly.aof.1.base.rdb",
        "appendonly.aof.1.incr.aof",
        "appendonly.aof.manifest",
    ]
    house.do("SET m later")
    house.do("CONFIG SET appendonly no")
    house.do("SET k lost")
    assert house.state.aof.fsynced_offset == -1
    assert house.reloaded("GET k", "GET l", "GET m") == [b"after", b"after", b"later"]


def test_turned_on_again_the_old_files_go(house: House) -> None:
    for _ in range(2):
        house.do("INCR k")
        house.do("CONFIG SET appendonly yes")
        house.do("INCR k")
        house.work()
        house.do("CONFIG SET appendonly no")
    assert house.files == [
        "appendonly.aof.2.base.rdb",
        "appendonly.aof.2.incr.aof",
        "appendonly.aof.manifest",
    ]
    assert house.reloaded("GET k") == [b"4"]


def test_turned_off_before_there_is_a_base_nothing_is_left(house: House) -> None:
    house.do("SET k 1")
    house.do("CONFIG SET appendonly yes")
    house.do("SET k 2")
    house.do("CONFIG SET appendonly no")
    assert house.files == []
    assert house.do("CONFIG SET appendonly yes") == b"OK"  # the first one has not ended yet
    assert house.info("aof_rewrite_scheduled") == "1"
    house.work()
    job = AofRewrite(house.state)
    assert job.next_ms() != NEVER
    job.run()
    house.do("SET k 3")
    house.work()
    assert house.reloaded("GET k") == [b"3"]


def test_turned_on_without_success_it_tries_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.do("SET k 1")
    with monkeypatch.context() as patched:
        fail_at(patched, "manifest")
        house.do("CONFIG SET appendonly yes")
        house.do("SET k 2")
        house.work()
    assert house.files == []
    assert not house.state.feed.active
    assert house.info("aof_enabled") == "1"
    house.do("SET k 3")
    AofRewrite(house.state).run()
    house.do("SET k 4")
    house.work()
    assert house.reloaded("GET k") == [b"4"]


def test_turned_on_in_a_transaction_it_begins_behind_that(house: House, client: Client) -> None:
    house.state.current = client
    house.do("MULTI")
    house.do("INCR k")
    house.do("CONFIG SET appendonly yes")
    house.do("INCR k")
    house.do("EXEC")
    house.state.current = None
    assert not house.state.aof.active
    assert house.info("aof_enabled") == "1"
    AofRewrite(house.state).run()
    house.do("INCR k")
    house.work()
    assert house.reloaded("GET k") == [b"3"]


def test_while_the_first_base_is_written_only_force_ends_the_server(house: House) -> None:
    house.do("SET k 1")
    house.do("CONFIG SET appendonly yes")
    assert not save_at_end(house.state, [])
    assert house.state.rewrite.running
    assert save_at_end(house.state, ["force"])
    house.work()
    house.do("SET k 2")
    complete_aof(house.state)
    assert house.reloaded("GET k") == [b"2"]


def test_a_rewrite_is_given_up_at_the_end(house: House) -> None:
    house.open()
    house.do("SET k 1")
    house.do("BGREWRITEAOF")
    assert save_at_end(house.state, [])
    house.do("SET k 2")
    house.work()
    assert house.info("aof_last_bgrewrite_status") == "ok"
    assert [name for name in house.files if name.startswith("temp-")] == []
    assert house.reloaded("GET k") == [b"2"]


# -- the rest


def test_nothing_is_synced_while_something_is_saved_if_so_configured(house: House) -> None:
    house.open()
    house.do("CONFIG SET appendfsync always no-appendfsync-on-rewrite yes")
    aof = house.state.aof
    house.do("SET k 1")
    assert aof.synced == aof.fed
    house.do("BGSAVE")
    house.do("SET k 2")
    assert aof.synced < aof.fed == aof.written
    house.work()
    assert aof.synced == aof.fed
    house.do("CONFIG SET no-appendfsync-on-rewrite no")
    house.do("BGSAVE")
    house.do("SET k 3")
    assert aof.synced == aof.fed
    house.work()


def test_history_stays_if_so_configured_and_goes_when_not(house: House) -> None:
    from redis_trio.persistence.aof_files import collect_history

    house.state.config.subscribe("aof-disable-auto-gc", lambda: collect_history(house.state))
    house.open()
    house.do("CONFIG SET aof-disable-auto-gc yes")
    house.do("SET k 1")
    house.do("BGREWRITEAOF")
    house.work()
    assert len(house.files) == 5
    house.do("CONFIG SET aof-disable-auto-gc no")
    assert len(house.files) == 3
    assert house.reloaded("GET k") == [b"1"]


def test_what_a_killed_process_has_left_goes_at_the_next_start(house: House) -> None:
    folder = house.path / "appendonlydir"
    folder.mkdir()
    for name in ("temp-rewriteaof-bg-1-x.aof", "temp-appendonly.aof.incr"):
        (folder / name).write_bytes(b"half")
    house.open()
    assert [name for name in house.files if name.startswith("temp-")] == []


def test_what_killed_processes_were_saving_goes_and_nothing_else(house: House) -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    stale = [f"temp-{done.pid}-0123abcd.rdb", f"temp-bg-{done.pid}-0123abcd.rdb"]
    kept = [f"temp-bg-{os.getpid()}-0123abcd.rdb", "temp-1-0123abcd.rdb", "temp-file.rdb"]
    for name in stale + kept:
        (house.path / name).write_bytes(b"half")
    remove_leftovers(house.state)
    assert sorted(os.listdir(house.path)) == sorted(kept)
    house.state.config.dir = str(house.path / "nowhere")
    remove_leftovers(house.state)


def test_flushall_leaves_an_empty_file_where_there_are_save_points(house: House) -> None:
    house.open()
    house.do("SET k 1")
    house.do("SAVE")
    full = (house.path / "dump.rdb").stat().st_size
    house.do("SET k 2")
    house.do("FLUSHALL")
    assert (house.path / "dump.rdb").stat().st_size == full
    house.state.config.save = ((3600, 1),)
    house.do("SET k 3")
    assert house.do("FLUSHALL") == b"OK"
    assert (house.path / "dump.rdb").stat().st_size < full
    assert house.state.dirty == 0
    house.do("FLUSHALL")
    incr = (house.path / "appendonlydir" / "appendonly.aof.1.incr.aof").read_bytes()
    assert incr.count(b"FLUSHALL") == 3
