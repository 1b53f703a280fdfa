"""Appending: what is written and synced when, what waits for it, and what happens if it fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redis_trio.client import Client, Transport
from redis_trio.data.expires import NEVER
from redis_trio.feed import encode_command
from redis_trio.jobs import AofSync
from redis_trio.persistence.aof import INLINE_MAX, AofError, AppendOnly, Job
from redis_trio.persistence.aof_files import aof_changed, open_aof
from redis_trio.persistence.rewrite import open_incr
from redis_trio.protocol.reply import OK, RedisError, Reply
from redis_trio.protocol.request import Args, RequestParser
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run


class Sent(Transport):
    """A transport that keeps what was sent."""

    def __init__(self) -> None:
        self.data = b""
        self.let_go = 0
        self.client: Client | None = None

    def flush(self) -> None:
        assert self.client is not None
        self.data += b"".join(self.client.out)
        self.client.out.clear()

    def released(self) -> None:
        self.let_go += 1


class Disk:
    """An append-only file whose jobs are done when a test says so."""

    def __init__(self, path: Path, state: ServerState) -> None:
        self.state = state
        self.path = path / "appendonlydir" / "appendonly.aof.1.incr.aof"
        self.jobs: list[Job] = []
        state.config.dir = str(path)
        state.config.appendonly = True
        open_aof(state)
        state.aof.start_job = self.jobs.append

    @property
    def aof(self) -> AppendOnly:
        return self.state.aof

    def do(self) -> None:
        """Do the job that waits."""
        self.state.begin()
        self.aof.job_done(self.jobs.pop(0))
        self.state.end()

    def commands(self) -> list[Args]:
        """Return what is in the file."""
        parser = RequestParser(self.state.limits)
        parser.feed(self.path.read_bytes())
        return parser.parse(100_000)


@pytest.fixture
def disk(tmp_path: Path, state: ServerState) -> Iterator[Disk]:
    disk = Disk(tmp_path, state)
    yield disk
    state.aof.stop()


Do = Callable[..., Reply]


@pytest.fixture
def do(run: Run, state: ServerState) -> Do:
    """Run a command as a whole unit of work."""

    def do(*words: str | bytes | float) -> Reply:
        reply = run(*words)
        state.end()
        return reply

    return do


def talker(state: ServerState) -> tuple[Client, Sent]:
    transport = Sent()
    client = transport.client = state.new_client(transport)
    return client, transport


@pytest.fixture
def full(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Fill the disk, or make room: writes fail after three bytes."""
    write = os.write
    state = {"full": False}

    def some(fd: int, data: memoryview) -> int:
        if not state["full"] or fd != disk.aof.fd:
            return write(fd, data)
        if len(data) > 3 and disk.path.stat().st_size == disk.aof.incr_size:
            return write(fd, data[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("redis_trio.persistence.aof.os.write", some)

    def set_full(is_full: bool) -> None:
        state["full"] = is_full

    return set_full


# -- everysec and no


def test_what_is_fed_is_in_the_file_when_the_unit_has_ended(disk: Disk, do: Do) -> None:
    do("SET k v")
    do("GET k")
    do("SELECT 2")
    do("SET k v PX 100000000000")
    found = disk.commands()
    assert found[:3] == [[b"SELECT", b"0"], [b"SET", b"k", b"v"], [b"SELECT", b"2"]]
    assert found[3][3] == b"PXAT"
    assert disk.aof.incr_size == disk.path.stat().st_size


def test_the_first_write_is_synced_at_once_and_the_next_a_second_later(
    disk: Disk, do: Do, state: ServerState, time: FakeTime
) -> None:
    job = AofSync(state)
    assert job.next_ms() == NEVER
    do("SET k v")
    now_ms = state.clock.now_ms
    assert job.next_ms() <= now_ms
    job.run()
    assert [waiting.sync for waiting in disk.jobs] == [True]
    disk.do()
    assert job.next_ms() == NEVER
    do("SET k w")
    assert job.next_ms() == now_ms + 1000
    time.advance(1.0)
    job.run()
    disk.do()
    assert (job.next_ms(), disk.aof.synced) == (NEVER, disk.aof.fed)


def test_while_a_thread_syncs_nothing_is_written_and_then_all_of_it(
    disk: Disk, do: Do, state: ServerState, time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    do("SET k 1")
    AofSync(state).run()
    before = disk.path.read_bytes()
    do("SET k 2")
    do("SET k 3")
    assert disk.path.read_bytes() == before
    assert AofSync(state).next_ms() == state.clock.now_ms + 2000
    time.advance(2.0)
    state.begin()
    AofSync(state).run()  # which only says so
    assert (disk.aof.delayed_syncs, AofSync(state).next_ms()) == (1, NEVER)
    assert "taking too long" in caplog.text
    disk.do()
    assert disk.commands()[-1] == [b"SET", b"k", b"3"]


def test_what_is_big_is_left_to_the_thread(disk: Disk, do: Do) -> None:
    do("SET", "k", "v" * (INLINE_MAX + 1))
    assert [job.sync for job in disk.jobs] == [False]
    assert disk.path.stat().st_size == 0
    disk.do()
    assert disk.path.stat().st_size == disk.aof.fed


def test_with_no_nothing_is_ever_due(disk: Disk, do: Do, state: ServerState) -> None:
    do("CONFIG SET appendfsync no")
    do("SET k v")
    assert AofSync(state).next_ms() == NEVER
    do("CONFIG SET appendfsync everysec")
    assert AofSync(state).next_ms() != NEVER


def test_annotations_tell_the_second_once(disk: Disk, do: Do, time: FakeTime) -> None:
    do("CONFIG SET aof-timestamp-enabled yes")
    do("SET k 1")
    do("SET k 2")
    time.advance(1.0)
    do("SET k 3")
    data = disk.path.read_bytes()
    assert data.count(b"#TS:") == 2
    assert data.startswith(b"#TS:%d\r\n" % (disk.state.clock.now_ms // 1000 - 1))


def test_in_another_file_it_goes_on_behind_what_the_first_one_has(
    disk: Disk, do: Do, tmp_path: Path
) -> None:
    do("SET k 1")
    first = disk.aof.fd
    second = tmp_path / "second"
    ended: list[Job] = []
    disk.aof.switch(lambda: open_incr(str(second), fresh=True), ended.append)
    do("SET k 2")
    assert not second.exists()  # the first one is not synced yet
    job = disk.jobs[0]
    disk.do()
    assert ended == [job]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(first)
    assert disk.commands()[-1] == [b"SET", b"k", b"1"]
    expected = encode_command([b"SELECT", b"0"]) + encode_command([b"SET", b"k", b"2"])
    assert second.read_bytes() == expected
    assert disk.aof.incr_size == len(expected)


def test_without_another_file_it_goes_on_in_the_first_one(disk: Disk, do: Do) -> None:
    def fail() -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    ended: list[Job] = []
    disk.aof.switch(fail, ended.append)
    do("SET k 2")
    disk.do()
    assert ended[0].next_error is not None
    assert disk.commands() == [[b"SELECT", b"0"], [b"SET", b"k", b"2"]]
    assert disk.aof.error == 0


def test_what_cannot_be_written_stays_in_front_of_what_was_for_the_other_file(
    disk: Disk, do: Do, full: Callable[[bool], None], tmp_path: Path, time: FakeTime
) -> None:
    """The job that fails is an older one, behind which the change of files waits."""
    do("SET k 1")
    disk.aof.sync()
    do("SET k 2")
    ended: list[Job] = []
    disk.aof.switch(lambda: open_incr(str(tmp_path / "second"), fresh=True), ended.append)
    do("SET k 3")
    disk.jobs[0].left = encode_command([b"SET", b"k", b"1.5"])
    full(True)
    disk.do()
    assert isinstance(ended[0].error, OSError)
    assert ended[0].next_fd == -1
    full(False)
    time.advance(1.0)
    AofSync(disk.state).run()
    disk.do()
    assert [words[-1] for words in disk.commands()] == [b"0", b"1", b"1.5", b"2", b"0", b"3"]


def test_the_keeper_is_not_woken_for_nothing(disk: Disk, do: Do, state: ServerState) -> None:
    woken: list[int] = []
    state.wake_keeper = lambda: woken.append(state.keeper_ms)
    do("SET k 1")
    assert woken == [AofSync(state).next_ms()]
    AofSync(state).run()
    woken.clear()
    do("GET k")
    assert woken == []


# -- always


def test_one_sync_answers_everybody_whose_command_it_covers(
    disk: Disk, do: Do, state: ServerState
) -> None:
    do("CONFIG SET appendfsync always")
    (first, a), (second, b) = talker(state), talker(state)

    def say(client: Client, reply: bytes) -> None:
        client.out.append(reply)
        client.schedule_write()

    state.begin()
    do("SET k 1")
    say(first, b"1")
    state.end()
    say(second, b"reader")  # it may have seen what is not synced
    state.end()
    assert len(disk.jobs) == 1
    assert (a.data, b.data) == (b"", b"")
    do("SET k 2")
    say(first, b"2")
    state.end()
    assert (len(disk.jobs), first.held, second.held) == (1, 2, 1)
    disk.do()
    assert (a.data, b.data) == (b"1", b"reader")  # not 2, which is not on the disk
    assert (a.let_go, b.let_go) == (0, 1)
    assert len(disk.jobs) == 1
    disk.do()
    assert (a.data, a.let_go, first.held) == (b"12", 1, 0)
    assert disk.aof.synced == disk.aof.fed


def test_readers_are_answered_at_once_when_all_is_synced(
    disk: Disk, do: Do, state: ServerState
) -> None:
    do("CONFIG SET appendfsync always")
    do("SET k 1")
    disk.do()
    client, transport = talker(state)
    client.out.append(b"reply")
    client.schedule_write()
    state.end()
    assert (transport.data, disk.jobs) == (b"reply", [])


def test_who_waits_is_answered_when_the_file_is_closed(
    disk: Disk, do: Do, state: ServerState
) -> None:
    do("CONFIG SET appendfsync always")
    client, transport = talker(state)
    client.out.append(b"reply")
    client.schedule_write()
    do("SET k 1")
    assert transport.data == b""
    state.config.appendonly = False
    aof_changed(state)
    assert transport.data == b"reply"
    assert disk.commands()[-1] == [b"SET", b"k", b"1"]


# -- failures


def test_a_write_that_fails_is_taken_back_and_tried_again(
    disk: Disk,
    do: Do,
    full: Callable[[bool], None],
    time: FakeTime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    do("SET k 1")
    before = disk.path.read_bytes()
    full(True)
    do("SET k 2")
    assert disk.path.read_bytes() == before
    refused = do("SET k 3")
    assert isinstance(refused, RedisError)
    assert refused.message == "MISCONF Errors writing to the AOF file: No space left on device"
    assert isinstance(do("PING"), RedisError)
    assert do("GET k") == b"2"
    assert disk.aof.error == errno.ENOSPC
    job = AofSync(disk.state)
    assert job.next_ms() == disk.state.clock.now_ms + 1000
    time.advance(1.0)
    job.run()
    disk.do()
    assert disk.path.read_bytes() == before
    full(False)
    time.advance(1.0)
    AofSync(disk.state).run()
    disk.do()
    assert do("SET k 4") is OK
    assert [words[-1] for words in disk.commands()[1:]] == [b"1", b"2", b"4"]
    assert caplog.text.count("Error writing to the AOF file") == 1
    assert "AOF write error looks solved" in caplog.text


def test_with_always_a_write_that_fails_is_the_end(
    disk: Disk, do: Do, full: Callable[[bool], None]
) -> None:
    do("CONFIG SET appendfsync always")
    full(True)
    do("SET k 2")
    with pytest.raises(AofError):
        disk.do()
    full(False)


def test_an_fsync_that_fails_keeps_clients_from_writing_until_one_succeeds(
    disk: Disk, do: Do, state: ServerState, monkeypatch: pytest.MonkeyPatch, time: FakeTime
) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    do("SET k 1")
    AofSync(state).run()
    with monkeypatch.context() as patched:
        patched.setattr("redis_trio.persistence.aof.os.fdatasync", fail)
        disk.do()
    assert isinstance(do("SET k 2"), RedisError)
    time.advance(1.0)
    AofSync(state).run()
    disk.do()
    assert do("SET k 2") is OK


# -- on and off


def test_saving_is_no_change_that_is_fed(disk: Disk, do: Do, state: ServerState) -> None:
    state.config.enable_debug_command = "yes"
    do("SET k 1")
    assert do("SAVE") is OK
    do("SET k 2")
    assert do("DEBUG RELOAD") is OK
    do("SET k 3")
    assert [words[0] for words in disk.commands()] == [b"SELECT", b"SET", b"SET", b"SET"]


def test_where_it_cannot_be_written_it_is_not_turned_on(
    tmp_path: Path, state: ServerState, do: Do, caplog: pytest.LogCaptureFixture
) -> None:
    state.config.dir = str(tmp_path)
    state.config.subscribe("appendonly", lambda: aof_changed(state))
    (tmp_path / "appendonlydir").write_text("in the way")
    refused = do("CONFIG SET appendonly yes")
    assert isinstance(refused, RedisError)
    assert refused.message.endswith("Unable to turn on AOF. Check server logs.")
    assert not state.config.appendonly
    assert not state.feed.active


def test_a_reload_gives_the_same_data_and_goes_on_appending(
    disk: Disk, do: Do, state: ServerState
) -> None:
    state.config.enable_debug_command = "yes"
    do("SELECT 1")
    do("RPUSH l a b c")
    assert do("DEBUG LOADAOF") is OK
    assert do("LRANGE l 0 -1") == [b"a", b"b", b"c"]
    do("RPUSH l d")
    assert disk.commands()[-2:] == [[b"SELECT", b"1"], [b"RPUSH", b"l", b"d"]]
    assert do("DEBUG LOADAOF") is OK
    assert do("LLEN l") == 4
