"""What SCAN, SSCAN, HSCAN and ZSCAN promise, while everything around the scan changes.

An element that is there from the start of a scan to its end is returned; one that is never there is
not; each call returns a bounded number of elements. Others come and go meanwhile, a few or a
thousand at a time, so that tables split and merge many times and encodings convert.
"""

from __future__ import annotations

import logging
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import redis_trio.commands  # noqa: F401  (declares every command)
from redis_trio.client import Transport
from redis_trio.clock import Clock
from redis_trio.config import Config
from redis_trio.data.table import SPLIT_AT
from redis_trio.execute import dispatch
from redis_trio.protocol.reply import Reply
from redis_trio.state import ServerState
from tests.fuzz import FACTOR

SETTINGS = settings(max_examples=10 * FACTOR, derandomize=True, deadline=None)
COMPACT_MAX = 512  # elements of a compact encoding, which are returned all at once
CALLS_MAX = 3000  # of one scan of at most some thousand elements
Names = list[bytes]


class Scanned:
    """A server with one collection, or its keys, of which the members are names.

    Args:
      kind: the command that scans.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind.encode()
        self.server = ServerState(Config(), Clock(), logging.getLogger("redis_trio.test"))
        self.client = self.server.new_client(Transport())

    def run(self, *words: bytes) -> Reply:
        self.server.begin()
        return dispatch(self.client, list(words))

    def add(self, names: Names) -> None:
        for start in range(0, len(names), 100):
            part = names[start : start + 100]
            if self.kind == b"SCAN":
                self.run(b"MSET", *[word for name in part for word in (name, b"v")])
            elif self.kind == b"SSCAN":
                self.run(b"SADD", b"k", *part)
            elif self.kind == b"HSCAN":
                self.run(b"HSET", b"k", *[word for name in part for word in (name, b"v")])
            else:
                self.run(b"ZADD", b"k", *[word for name in part for word in (b"1", name)])

    def remove(self, names: Names) -> None:
        words = {b"SCAN": [b"DEL"], b"SSCAN": [b"SREM", b"k"], b"HSCAN": [b"HDEL", b"k"]}
        for start in range(0, len(names), 100):
            self.run(*words.get(self.kind, [b"ZREM", b"k"]), *names[start : start + 100])

    def scan(self, cursor: bytes, count: int) -> tuple[bytes, Names]:
        """Return the next cursor and the names of one call."""
        key = [] if self.kind == b"SCAN" else [b"k"]
        reply = self.run(self.kind, *key, cursor, b"COUNT", b"%d" % count)
        assert isinstance(reply, list), reply
        after, found = reply
        assert isinstance(after, bytes)
        assert isinstance(found, list)
        return after, found if self.kind in (b"SCAN", b"SSCAN") else found[::2]


def numbered(start: int, stop: int) -> Names:
    return [b"name:%d" % number for number in range(start, stop)]


phases = st.lists(
    st.tuples(st.booleans(), st.integers(0, 3000), st.integers(1, 1500)), min_size=1, max_size=8
)


@pytest.mark.parametrize("kind", ["SCAN", "SSCAN", "HSCAN", "ZSCAN"])
@SETTINGS
@given(
    seed=st.integers(0, 2**32),
    staying=st.integers(1, 600),
    coming=st.integers(0, 3000),
    count=st.sampled_from([1, 3, 10, 10, 50, 1000]),
    changes=phases,
)
def test_who_is_there_all_the_time_is_returned(
    kind: str,
    seed: int,
    staying: int,
    coming: int,
    count: int,
    changes: list[tuple[bool, int, int]],
) -> None:
    """Names below 0 stay; those from 0 to 4500 come and go, by whole ranges, between calls."""
    rng = Random(seed)
    scanned = Scanned(kind)
    stay = numbered(-staying, 0)
    scanned.add(stay + numbered(0, coming))
    possible = {*stay, *numbered(0, coming)}
    seen: set[bytes] = set()
    cursor = b"0"
    calls = 0
    while True:
        cursor, found = scanned.scan(cursor, count)
        assert len(found) <= max(COMPACT_MAX, count + SPLIT_AT)
        assert possible.issuperset(found)
        seen.update(found)
        calls += 1
        if cursor == b"0":
            break
        assert calls < CALLS_MAX
        if rng.random() < 0.5 and calls < 200:
            adds, start, amount = rng.choice(changes)
            names = numbered(start, start + amount)
            if adds:
                scanned.add(names)
                possible.update(names)
            else:
                scanned.remove(names)
    assert seen.issuperset(stay)


@pytest.mark.parametrize("kind", ["SCAN", "SSCAN", "HSCAN", "ZSCAN"])
def test_nothing_is_returned_twice_while_nothing_changes(kind: str) -> None:
    scanned = Scanned(kind)
    scanned.add(numbered(0, 5000))
    found: Names = []
    cursor = b"0"
    while not found or cursor != b"0":
        cursor, part = scanned.scan(cursor, 10)
        assert len(part) <= 10 + SPLIT_AT
        found += part
    assert sorted(found) == sorted(numbered(0, 5000))


@pytest.mark.parametrize("kind", ["SSCAN", "HSCAN", "ZSCAN"])
def test_a_scan_goes_on_when_the_encoding_has_converted(kind: str) -> None:
    """A cursor of a table, and a small collection under the same key now."""
    scanned = Scanned(kind)
    scanned.add(numbered(0, 2000))
    cursor, _ = scanned.scan(b"0", 10)
    assert cursor != b"0"
    scanned.run(b"DEL", b"k")
    scanned.add(numbered(0, 20))
    cursor, found = scanned.scan(cursor, 10)
    assert cursor == b"0"
    assert sorted(found) == sorted(numbered(0, 20))
