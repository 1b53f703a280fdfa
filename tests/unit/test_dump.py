"""DUMP and RESTORE by value."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.keyspace.digest import dataset_digest, key_digest
from redis_trio.keyspace.values import encoding
from redis_trio.persistence.crc64 import crc64
from redis_trio.protocol.reply import OK, RedisError, Reply
from redis_trio.state import ServerState
from tests.rdb_cases import COMMANDS, NEWER_COMMANDS, OLD_VALUES, OldValue
from tests.unit.conftest import FakeTime

Run = Callable[..., Reply]
WRONG = RedisError("ERR DUMP payload version or checksum are wrong")
BAD = RedisError("ERR Bad data format")


@pytest.fixture
def filled(run: Run) -> Run:
    """A server with data of every kind."""
    for words in [*COMMANDS, *NEWER_COMMANDS]:
        reply = run(*words)
        assert not isinstance(reply, RedisError), (words[:3], reply)
    return run


def same(reply: Reply, error: RedisError) -> bool:
    return isinstance(reply, RedisError) and reply.message == error.message


def sealed(value: bytes, version: int = 10) -> bytes:
    """Return a payload of a type byte and a value."""
    data = value + version.to_bytes(2, "little")
    return data + crc64(data).to_bytes(8, "little")


def test_every_value_comes_back_as_it_was(filled: Run, state: ServerState) -> None:
    db = state.dbs[0]
    for key in list(db.table.keys()):
        payload = filled("DUMP", key)
        assert filled("RESTORE", "copy", 0, payload, "REPLACE") is OK
        db.expires.remove(key)
        assert key_digest(db, b"copy") == key_digest(db, key), key
        copy, value = db.table.get(b"copy"), db.table.get(key)
        if key != b"in place":  # a string changed in place is raw, and then no more
            expected = encoding(value)
            assert encoding(copy) == expected, key


def test_a_stream_keeps_its_groups(filled: Run) -> None:
    payload = filled("DUMP stream")
    before = [filled("XINFO STREAM stream FULL"), filled("XINFO GROUPS stream")]
    pending = filled("XPENDING stream g1 - + 100")
    filled("RESTORE", "stream", 0, payload, "REPLACE")
    assert filled("XPENDING stream g1 - + 100") == pending
    assert filled("XINFO GROUPS stream") == before[1]


def test_a_missing_key_has_no_payload(run: Run) -> None:
    assert run("DUMP k") is None


def test_an_existing_key_is_busy(run: Run) -> None:
    run("SET k v")
    busy = RedisError("BUSYKEY Target key name already exists.")
    assert same(run("RESTORE", "k", "nonsense", "payload"), busy)
    assert run("RESTORE", "k", 0, run("DUMP k"), "REPLACE") is OK


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("x 0 p WRONG", "ERR syntax error"),
        ("x 0 p IDLETIME", "ERR syntax error"),
        ("x 0 p IDLETIME 1 FREQ 1", "ERR syntax error"),
        ("x 0 p FREQ 1 IDLETIME 1", "ERR syntax error"),
        ("x 0 p IDLETIME -1", "ERR Invalid IDLETIME value, must be >= 0"),
        ("x 0 p IDLETIME one", "ERR value is not an integer or out of range"),
        ("x 0 p FREQ 256", "ERR Invalid FREQ value, must be >= 0 and <= 255"),
        ("x 0 p FREQ -1", "ERR Invalid FREQ value, must be >= 0 and <= 255"),
        ("x -1 p", "ERR Invalid TTL value, must be >= 0"),
        ("x one p", "ERR value is not an integer or out of range"),
        ("x 0 p", WRONG.message),
    ],
)
def test_errors(run: Run, options: str, error: str) -> None:
    assert same(run(f"RESTORE {options}"), RedisError(error))


def test_deadlines_are_relative_or_absolute(
    run: Run, heard: Callable[[], list[bytes]], state: ServerState
) -> None:
    run("SET k v")
    payload = run("DUMP k")
    assert isinstance(payload, bytes)
    heard()
    now_ms = state.clock.now_ms
    run("RESTORE", "a", 5000, payload)
    run("RESTORE", "b", now_ms + 7000, payload, "ABSTTL", "REPLACE")
    assert [run("PTTL a"), run("PTTL b")] == [5000, 7000]
    assert [line for line in heard() if line.startswith(b"RESTORE")] == [
        b"RESTORE a %d %b ABSTTL" % (now_ms + 5000, payload),
        b"RESTORE b %d %b ABSTTL REPLACE" % (now_ms + 7000, payload),
    ]


def test_a_deadline_in_the_past_restores_nothing_and_replaces(
    run: Run, heard: Callable[[], list[bytes]], fired: list[tuple[str, bytes, int]]
) -> None:
    run("SET k v")
    payload = run("DUMP k")
    heard()
    fired.clear()
    assert run("RESTORE", "other", 1, payload, "ABSTTL") is OK
    assert heard() == []
    assert run("RESTORE", "k", 1, payload, "ABSTTL", "REPLACE") is OK
    assert fired == [("del", b"k", 0)]
    assert run("EXISTS k other") == 0
    assert heard() == [b"DEL k"]


def test_the_event(run: Run, fired: list[tuple[str, bytes, int]]) -> None:
    run("SET k v")
    payload = run("DUMP k")
    fired.clear()
    run("RESTORE", "k", 0, payload, "REPLACE")
    assert fired == [("new", b"k", 0), ("restore", b"k", 0)]


def test_access_is_restored_as_the_policy_asks(run: Run, time: FakeTime) -> None:
    time.advance(10_000)
    run("SET k v")
    payload = run("DUMP k")
    run("RESTORE", "a", 0, payload, "IDLETIME", 1000)
    assert run("OBJECT IDLETIME a") == 1000
    run("CONFIG SET maxmemory-policy allkeys-lfu")
    run("RESTORE", "b", 0, payload, "FREQ", 100)
    assert run("OBJECT FREQ b") == 100


def test_a_bit_that_flips_anywhere_is_noticed(filled: Run) -> None:
    for key in (
        "list:listpack",
        "hash:listpackex",
        "zset:listpack",
        "set:intset16",
        "stream:empty",
    ):
        payload = filled("DUMP", key)
        assert isinstance(payload, bytes)
        for place in range(len(payload)):
            for bit in range(8):
                damaged = bytearray(payload)
                damaged[place] ^= 1 << bit
                assert same(filled("RESTORE", "x", 0, bytes(damaged)), WRONG)


def test_a_payload_whose_checksum_is_believed_can_do_no_harm(
    filled: Run, state: ServerState
) -> None:
    """Each of its bytes is changed: it is refused, or there is a value that can be used."""
    state.persistence.check_sums = False
    for key in list(state.dbs[0].table.keys()):
        payload = filled("DUMP", key)
        assert isinstance(payload, bytes)
        for place in range(len(payload) - 10 if len(payload) < 300 else 30):
            for changed in (payload[place] ^ 1, payload[place] ^ 0x80, 0xFF):
                damaged = payload[:place] + bytes((changed,)) + payload[place + 1 :]
                reply = filled("RESTORE", "x", 0, damaged, "REPLACE")
                if reply is OK:
                    key_digest(state.dbs[0], b"x")
                    filled("DUMP x")
                else:
                    assert same(reply, BAD)


@pytest.mark.parametrize("old", OLD_VALUES, ids=lambda old: old.key.decode())
def test_damage_to_old_encodings_is_noticed(run: Run, old: OldValue) -> None:
    """A bit that flips anywhere, and an end that comes early."""
    payload = old.payload()
    assert run("RESTORE", "x", 0, payload) is OK
    for place in range(len(payload)):
        for bit in range(8):
            damaged = bytearray(payload)
            damaged[place] ^= 1 << bit
            assert same(run("RESTORE", "x", 0, bytes(damaged), "REPLACE"), WRONG)
        assert same(run("RESTORE", "x", 0, payload[:place], "REPLACE"), WRONG)


@pytest.mark.parametrize("old", OLD_VALUES, ids=lambda old: old.key.decode())
def test_damage_to_old_encodings_whose_checksum_is_believed_can_do_no_harm(
    run: Run, state: ServerState, old: OldValue
) -> None:
    state.persistence.check_sums = False
    payload = old.payload()
    for place in range(len(payload) - 10):
        flipped = [bytes((payload[place] ^ 1 << bit,)) for bit in range(8)]
        cases = [payload[:place] + byte + payload[place + 1 :] for byte in flipped]
        cases.append(payload[:place] + payload[-10:])
        for damaged in cases:
            reply = run("RESTORE", "x", 0, damaged, "REPLACE")
            if reply is OK:
                key_digest(state.dbs[0], b"x")
                run("DUMP x")
            else:
                assert same(reply, BAD)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x08",
        b"\xff",
        b"\x00",
        b"\x00\x81" + b"\xff" * 8,
        b"\x00\xc3\x05\x81" + b"\xff" * 8,
        b"\x00\xc4",
        b"\x01\x00",
        b"\x01\x81" + b"\xff" * 8,
        b"\x02\x02\x01a\x01a",
        b"\x05\x01\x01a" + b"\0" * 6 + b"\xf8\x7f",
        b"\x07\x81" + b"\0" * 8,
        b"\x10\x07\x07\0\0\0\0\0\xff",
    ],
)
def test_what_is_no_value_is_refused(run: Run, value: bytes) -> None:
    assert same(run("RESTORE", "x", 0, sealed(value)), BAD)
    assert run("DBSIZE") == 0


def test_a_version_that_is_not_known_is_refused(run: Run) -> None:
    assert run("RESTORE", "x", 0, sealed(b"\0\1v", 12)) is OK
    assert same(run("RESTORE", "y", 0, sealed(b"\0\1v", 13)), WRONG)


def test_a_restored_list_serves_who_waits_for_it(run: Run, state: ServerState) -> None:
    run("RPUSH k a")
    payload = run("DUMP k")
    run("DEL k")
    before = state.dirty
    run("RESTORE", "k", 0, payload)
    assert state.dirty == before + 1
    assert run("LPOP k") == b"a"
    assert dataset_digest(state.dbs) == 0
