"""A snapshot is the exact state of one moment, whatever is written while it is made."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from random import Random
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import redis_trio.commands  # noqa: F401  (registers every command)
from redis_trio.client import Client, Transport
from redis_trio.clock import Clock
from redis_trio.config import Config
from redis_trio.execute import dispatch
from redis_trio.keyspace.active_expire import expire_due
from redis_trio.keyspace.digest import dataset_digest
from redis_trio.keyspace.field_expiry import expire_fields_due
from redis_trio.persistence.rdb_file import Loader, LoadOptions
from redis_trio.persistence.rdb_format import VERSION
from redis_trio.persistence.rdb_writer import RdbWriter, value_pieces
from redis_trio.persistence.snapshot import Snapshot
from redis_trio.state import ServerState
from tests.fuzz.grammar import Generator
from tests.rdb_cases import COMMANDS, NEWER_COMMANDS
from tests.unit.conftest import FakeTime

Keys = dict[tuple[int, bytes], tuple[int, bytes]]


class Recorder:
    """An encoder that remembers what every key was: its deadline and its value's bytes."""

    def __init__(self) -> None:
        self.keys: Keys = {}
        self.index = -1

    def database(self, index: int, keys: int, expires: int) -> bytes:
        self.index = index
        return b"."

    def key_bytes(self, key: bytes, value: object, when_ms: int, idle_s: int, lfu: int) -> bytes:
        return b"".join(self.key_pieces(key, value, when_ms, idle_s, lfu))

    def key_pieces(
        self, key: bytes, value: object, when_ms: int, idle_s: int, lfu: int
    ) -> Iterator[bytes]:
        place = (self.index, key)
        assert place not in self.keys, "a key is saved twice"
        self.keys[place] = (when_ms, b"")
        for piece in value_pieces(value, VERSION, False):
            assert self.index == place[0], "another database begins within a value"
            self.keys[place] = (when_ms, self.keys[place][1] + piece)
            yield piece

    def end(self) -> bytes:
        return b"!"


def everything(state: ServerState) -> Keys:
    """Return what a recorder should have."""
    found: Keys = {}
    for db in state.dbs:
        for key in db.table.keys():  # noqa: SIM118
            data = b"".join(value_pieces(db.table.get(key), VERSION, False))
            found[db.index, key] = (db.expires.get(key), data)
    return found


class World:
    """A server by value, with some data in two databases."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.state = ServerState(Config(), Clock(virtual=self.time), logging.getLogger("test"))
        self.client: Client = self.state.new_client(Transport())
        self.state.active_expire = True

    def run(self, words: list[bytes]) -> None:
        self.state.begin()
        dispatch(self.client, words)
        self.client.waiter = None
        self.client.halted = 0
        self.state.end()

    def pass_time(self) -> None:
        """Let ten seconds pass, and what expires in them expire."""
        self.time.advance(10)
        self.state.clock.refresh()
        expire_due(self.state, 10**9)
        expire_fields_due(self.state, 10**9)

    def free(self) -> None:
        while self.state.lazyfree.step(10**6):
            pass


OTHERS = [
    *([b"SWAPDB", b"0", b"1"], [b"SWAPDB", b"1", b"3"], [b"SELECT", b"1"], [b"SELECT", b"0"]),
    *([b"FLUSHDB"], [b"MOVE", b"s1", b"1"], [b"RENAME", b"h1", b"h2"], [b"COPY", b"z1", b"z2"]),
    *([b"HPEXPIRE", b"h1", b"5000", b"FIELDS", b"2", b"a", b"b"], [b"HGETALL", b"h1"]),
    *([b"PEXPIRE", b"l1", b"5000"], [b"PERSIST", b"l1"], [b"UNLINK", b"big:hash"]),
    *([b"HSET", b"big:hash", b"f1", b"new"], [b"HPEXPIRE", b"big:hash", b"5000"]),
    [b"HPEXPIRE", b"big:hash", b"5000", b"FIELDS", b"3", b"f1", b"f2", b"f3"],
    *([b"ZADD", b"big:zset", b"3", b"m7"], [b"ZPOPMIN", b"big:zset", b"500"]),
    *([b"RPUSH", b"big:list", b"x"], [b"LTRIM", b"big:list", b"900", b"-1"]),
    *([b"SPOP", b"big:set", b"300"], [b"APPEND", b"big:string", b"x"], [b"INCR", b"s1"]),
    *([b"GETEX", b"s1", b"PX", b"5000"], [b"GETEX", b"s1", b"PERSIST"]),
    *([b"SETRANGE", b"s2", b"4", b"xyz"], [b"RENAME", b"big:list", b"l2"]),
    *([b"XADD", b"x1", b"*", b"f", b"v"], [b"XGROUP", b"CREATE", b"x1", b"g", b"0"]),
    [b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", b"2", b"STREAMS", b"x1", b">"],
    *([b"XSETID", b"x1", b"99999999999999-5"], [b"XACK", b"x1", b"g", b"1-1"]),
    *([b"XGROUP", b"DESTROY", b"x1", b"g"], [b"SORT", b"l1", b"STORE", b"l2"]),
]
BIG = [
    [b"RPUSH", b"big:list", *[b"element %d" % i * 3 for i in range(3000)]],
    [b"HSET", b"big:hash", *[b"%s%d" % (w, i) for i in range(2000) for w in (b"f", b"v")]],
    [b"SADD", b"big:set", *[b"member %d" % i for i in range(2000)]],
    [b"ZADD", b"big:zset", *[w for i in range(2000) for w in (b"%d" % i, b"m%d" % i)]],
    [b"SETRANGE", b"big:string", b"5000", b"x"],
]


@pytest.mark.parametrize("visited", [1, 48])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_saved_is_the_moment_when_it_began(visited: int, seed: int) -> None:
    rng = Random(seed)
    world = World()
    state = world.state
    generator = Generator()
    for _ in range(rng.randrange(200)):
        world.run(generator.command(rng))
        if rng.random() < 0.1:
            world.run(rng.choice(OTHERS))
    for words in BIG:
        if rng.random() < 0.5:
            world.run(words)
    for i in range(rng.choice([0, 0, 500])):
        world.run([b"SET", b"more:%d" % i, b"v"])
    assert state.snapshot is None
    moment = everything(state)
    recorder = Recorder()
    snapshot = Snapshot(state, recorder, [])
    more = True
    while more:
        for _ in range(rng.choice([0, 1, 1, 5])):
            choice = rng.random()
            if choice < 0.7:
                world.run(generator.command(rng))
            elif choice < 0.95:
                world.run(rng.choice(OTHERS))
            elif choice < 0.97:
                world.pass_time()
            else:
                key = b"more:%d" % rng.randrange(700)
                world.run(rng.choice([[b"SET", key, b"w"], [b"DEL", key], [b"APPEND", key, b"w"]]))
        state.lazyfree.step(0)
        if visited == 1 and rng.random() < 0.3:
            continue
        more = snapshot.step(0)
        snapshot.take()
    assert recorder.keys == moment
    assert all(db.saving is None for db in state.dbs)
    world.free()
    assert state.lazyfree.pending_objects == 0


@pytest.mark.parametrize("steps", range(0, 40, 3))
def test_the_file_loads_as_the_moment(steps: int) -> None:
    world = World()
    state = world.state
    for words in [*COMMANDS, *NEWER_COMMANDS, *BIG]:
        world.run(words)
    digest = dataset_digest(state.dbs)
    writer = RdbWriter(VERSION, compressed=True, checksummed=True)
    snapshot = Snapshot(state, writer, [writer.header([])])
    chunks: list[bytes] = []
    for _ in range(steps):
        snapshot.step(0)
    for key in [key for key in state.dbs[0].table.keys()]:  # noqa: C416, SIM118
        world.run([b"APPEND", key, b"x"])
        world.run([b"RPUSH", key, b"x"])
        world.run([b"HDEL", key, b"f1"])
        world.run([b"ZPOPMAX", key])
        world.run([b"SADD", key, b"x"])
        world.run([b"EXPIRE", key, b"10"])
    assert dataset_digest(state.dbs) != digest
    while snapshot.step(0):
        chunks.append(snapshot.take())
    chunks.append(snapshot.take())
    data = b"".join(chunks)
    other = World()
    loader = Loader(other.state, LoadOptions(len(data)))
    for _ in loader.run(cast(BinaryIO, io.BytesIO(data))):
        pass
    assert dataset_digest(other.state.dbs) == digest
    assert loader.keys_loaded == snapshot.keys_done == snapshot.keys_total


def test_nothing_is_copied_that_nobody_changes() -> None:
    world = World()
    for words in BIG:
        world.run(words)
    table = world.state.dbs[0].table
    before = {key: table.get(key) for key in table.keys()}  # noqa: SIM118
    snapshot = Snapshot(world.state, Recorder(), [])
    world.run([b"LRANGE", b"big:list", b"0", b"-1"])
    world.run([b"HSET", b"big:hash", b"f1", b"new"])
    while snapshot.step(0):
        pass
    same = {key for key, value in before.items() if table.get(key) is value}
    assert same == before.keys() - {b"big:hash"}
    changed = table.get(b"big:hash")
    world.run([b"HSET", b"big:hash", b"f1", b"newer"])
    assert table.get(b"big:hash") is changed


def test_closing_in_the_middle_leaves_nothing() -> None:
    world = World()
    state = world.state
    for words in BIG:
        world.run(words)
    snapshot = Snapshot(state, Recorder(), [])
    for _ in range(5):
        snapshot.step(0)
    world.run([b"FLUSHALL"])
    snapshot.close()
    assert state.snapshot is None
    world.free()
    assert state.lazyfree.pending_objects == 0
    again = Snapshot(state, Recorder(), [])
    assert not again.step(0)
