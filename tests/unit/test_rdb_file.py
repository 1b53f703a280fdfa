"""Saving and loading a server's data by value: SAVE, LASTSAVE, DEBUG RELOAD."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from redis_trio.keyspace.digest import dataset_digest
from redis_trio.keyspace.values import encoding
from redis_trio.persistence import rdb_file
from redis_trio.persistence.rdb_format import RdbError
from redis_trio.protocol.reply import NULL_ARRAY, OK, RedisError, Reply
from redis_trio.state import ServerState
from tests.rdb_cases import COMMANDS, NEWER_COMMANDS
from tests.unit.conftest import FakeTime

Run = Callable[..., Reply]


@pytest.fixture(autouse=True)
def folder(state: ServerState, tmp_path: Path) -> Path:
    """The directory of the server's files."""
    state.config.dir = str(tmp_path)
    state.config.enable_debug_command = "yes"
    return tmp_path


def fill(run: Run) -> None:
    for words in [*COMMANDS, *NEWER_COMMANDS]:
        assert not isinstance(run(*words), RedisError)


def message(reply: Reply) -> str:
    assert isinstance(reply, RedisError)
    return reply.message


def header(folder: Path) -> bytes:
    return (folder / "dump.rdb").read_bytes()[:9]


def test_reloading_changes_nothing(run: Run, state: ServerState, time: FakeTime) -> None:
    fill(run)
    run("SELECT 3")
    run("SET in another")
    run("SELECT 0")
    time.advance(1)
    keys = [key for key in state.dbs[0].table.keys() if key != b"in place"]  # noqa: SIM118
    before = {key: encoding(state.dbs[0].table.get(key)) for key in keys}
    deadlines = {key: state.dbs[0].expires.get(key) for key in keys}
    digest = dataset_digest(state.dbs)
    consumers = run("XINFO CONSUMERS stream g1")
    fields = run("HPEXPIRETIME hash:listpackex FIELDS 3 f1 f3 f4")
    assert run("DEBUG RELOAD") is OK
    assert dataset_digest(state.dbs) == digest
    assert {key: encoding(state.dbs[0].table.get(key)) for key in keys} == before
    assert {key: state.dbs[0].expires.get(key) for key in keys} == deadlines
    assert run("XINFO CONSUMERS stream g1") == consumers
    assert run("HPEXPIRETIME hash:listpackex FIELDS 3 f1 f3 f4") == fields


def test_a_field_expires_after_reloading(run: Run, time: FakeTime) -> None:
    run("HSET h a 1 b 2")
    run("HPEXPIRE h 5000 FIELDS 1 a")
    run("DEBUG RELOAD")
    time.advance(6)
    assert run("HGETALL h") == {b"b": b"2"}


def test_encodings_follow_the_thresholds_when_loading(run: Run) -> None:
    run("HSET h a 1 b 2")
    run("SADD s 1 2")
    run("ZADD z 1 a 2 b")
    run("RPUSH l 1 2")
    run("CONFIG SET hash-max-listpack-entries 1 set-max-intset-entries 1")
    run("CONFIG SET zset-max-listpack-entries 1 list-max-listpack-size 1")
    run("DEBUG RELOAD")
    names = [run(f"OBJECT ENCODING {key}") for key in "hszl"]
    assert names == [b"hashtable", b"hashtable", b"skiplist", b"quicklist"]


def test_a_file_is_of_the_version_that_its_data_needs(run: Run, folder: Path) -> None:
    run("HSET h a 1")
    assert run("SAVE") is OK
    assert header(folder) == b"REDIS0010"
    run("HEXPIRE h 1000 FIELDS 1 a")
    run("SAVE")
    assert header(folder) == b"REDIS0012"
    run("DEL h")
    run("SAVE")
    assert header(folder) == b"REDIS0010"


def test_saving_starts_the_count_of_changes_again(
    run: Run, state: ServerState, time: FakeTime, folder: Path
) -> None:
    run("SET a 1")
    time.advance(5)
    assert run("SAVE") is OK
    assert state.dirty == 0
    assert run("LASTSAVE") == state.clock.now_ms // 1000
    assert [path.name for path in folder.iterdir()] == ["dump.rdb"]


def test_a_save_that_fails_leaves_the_last_good_file(
    run: Run, state: ServerState, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run("SET a 1")
    run("SAVE")
    good = (folder / "dump.rdb").read_bytes()
    state.config.dir = str(folder / "missing")
    run("SET b 1")
    assert message(run("SAVE")) == "ERR"
    assert "No such file or directory" in caplog.text
    assert state.dirty == 1
    assert state.persistence.last_save_ok
    state.config.dir = str(folder)
    assert (folder / "dump.rdb").read_bytes() == good
    os.unlink(folder / "dump.rdb")
    (folder / "dump.rdb").mkdir()
    assert message(run("SAVE")) == "ERR"
    assert [path.name for path in folder.iterdir()] == ["dump.rdb"]


def test_reload_options(run: Run) -> None:
    run("SET a 1")
    run("SET b 1")
    run("SAVE")
    run("SET a 2")
    run("SET c 3")
    assert message(run("DEBUG RELOAD NOFLUSH NOSAVE")).startswith("ERR Error trying to load")
    assert run("DEBUG RELOAD MERGE NOFLUSH NOSAVE") is OK
    assert [run("GET a"), run("GET b"), run("GET c")] == [b"1", b"1", b"3"]
    assert run("DEBUG RELOAD NOSAVE") is OK
    assert run("EXISTS a b c") == 2
    assert message(run("DEBUG RELOAD WRONG")) == (
        "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."
    )


def test_what_has_expired_is_not_loaded(run: Run, state: ServerState, time: FakeTime) -> None:
    run("SET a 1 PX 1000")
    run("SET b 1 PX 100000")
    run("SAVE")
    time.advance(2)
    run("DEBUG RELOAD NOSAVE")
    assert run("DBSIZE") == 1
    assert state.persistence.keys_expired == 1
    assert state.persistence.keys_loaded == 1


@pytest.mark.parametrize("checksum", [True, False])
def test_no_damage_is_loaded_in_silence(
    run: Run, state: ServerState, folder: Path, checksum: bool
) -> None:
    """Each bit of a small file is turned over: with a checksum every one is noticed."""
    for line in ("SET k v EX 100", "RPUSH l a 1", "HSET h f v", "ZADD z 1.5 m", "SADD s 1 2"):
        run(line)
    run("XADD x 1-1 f v")
    run("XGROUP CREATE x g 0")
    run("XREADGROUP GROUP g c STREAMS x >")
    run("SAVE")
    good = (folder / "dump.rdb").read_bytes()
    state.persistence.check_sums = checksum
    noticed = 0
    for place in range(len(good)):
        for bit in range(8):
            damaged = bytearray(good)
            damaged[place] ^= 1 << bit
            (folder / "dump.rdb").write_bytes(damaged)
            rdb_file.empty_databases(state)
            try:
                rdb_file.load(state)
            except RdbError as exc:
                noticed += 0 <= exc.offset <= len(good)
            else:
                dataset_digest(state.dbs)
    assert noticed == len(good) * 8 if checksum else noticed > 0


@pytest.mark.parametrize("size", range(1, 60))
def test_a_file_that_ends_early_is_refused(
    run: Run, state: ServerState, folder: Path, size: int
) -> None:
    run("SET key value")
    run("SAVE")
    good = (folder / "dump.rdb").read_bytes()
    (folder / "dump.rdb").write_bytes(good[:-size])
    rdb_file.empty_databases(state)
    with pytest.raises(RdbError, match="nexpected end"):
        rdb_file.load(state)


def test_access_is_saved_under_an_lru_or_lfu_policy(run: Run, time: FakeTime) -> None:
    run("CONFIG SET maxmemory-policy allkeys-lru")
    run("SET k v")
    time.advance(1000)
    run("DEBUG RELOAD")
    assert run("OBJECT IDLETIME k") == 1000
    run("CONFIG SET maxmemory-policy allkeys-lfu")
    payload = run("DUMP k")
    run("RESTORE", "k", 0, payload, "REPLACE", "FREQ", 77)
    run("DEBUG RELOAD")
    assert run("OBJECT FREQ k") == 77


def test_libraries_of_functions_are_kept(run: Run, state: ServerState) -> None:
    state.persistence.libraries = [b"#!lua name=one\nreturn"]
    run("SET k v")
    run("DEBUG RELOAD")
    assert state.persistence.libraries == [b"#!lua name=one\nreturn"]


def test_reloading_touches_watched_keys_and_tells_of_no_change(
    run: Run, state: ServerState, heard: Callable[[], list[bytes]]
) -> None:
    run("SET k v")
    run("WATCH k")
    run("DEBUG RELOAD")
    assert [line for line in heard() if line != b"SELECT 0"] == [b"SET k v"]
    assert state.dirty == 0
    run("MULTI")
    run("PING")
    assert run("EXEC") is NULL_ARRAY


def test_a_library_that_is_there_already_is_an_error_or_replaced(run: Run) -> None:
    for number in (1, 2):
        code = f"#!lua name=lib\nredis.register_function('f', function() return {number} end)"
        assert run("FUNCTION", "LOAD", "REPLACE", code) == b"lib"
        if number == 1:
            run("SAVE")
    assert message(run("DEBUG RELOAD NOFLUSH NOSAVE")).startswith("ERR Error trying to load")
    assert run("FCALL f 0") == 2
    assert run("DEBUG RELOAD NOFLUSH NOSAVE MERGE") is OK
    assert run("FCALL f 0") == 1
    assert run("DEBUG RELOAD") is OK
    assert run("FCALL f 0") == 1
