"""Whatever a restricted user sends: it changes no key and learns nothing that it has no right to.

Random commands are run by users who may use the keys that end in 0; some may also read, or write,
those that end in 1. Keys that must not be read hold a word that no reply may have in it, and those
that must not be written stay as they are.
"""

from __future__ import annotations

import logging
from random import Random

import pytest

import redis_trio.commands  # noqa: F401  (declares every command)
from redis_trio.clock import Clock
from redis_trio.command import DECLARATIONS
from redis_trio.config import Config
from redis_trio.keyspace.digest import key_digest
from redis_trio.state import ServerState
from tests.fuzz import FACTOR
from tests.fuzz.grammar import GRAMMAR, Generator
from tests.unit.peer import Peer

COMMANDS = 700 * FACTOR
SECRET = b"classified"
SEEDS = {
    "k": "SET {key} classified",
    "l": "RPUSH {key} classified a b",
    "h": "HSET {key} f1 classified classified 1",
    "s": "SADD {key} classified a 1",
    "z": "ZADD {key} 1 classified 2 m1",
    "y": "ZADD {key} 0 classified 0 m1",
    "x": "XADD {key} 1-1 f1 classified",
    "b": "SET {key} classified",
    "p": "PFADD {key} classified a",
    "g": "GEOADD {key} 13.361389 38.115556 classified",
}
"""What makes a key of each kind of the grammar."""

USERS = {
    "nothing else": "~?0",
    "others read only": "~?0 %R~?1",
    "others written only": "~?0 %W~?1",
    "by selectors": "resetkeys (+@all ~?0) (+@read %R~?1)",
}


def fill(peer: Peer, digits: str) -> None:
    """Make the keys that end in one of these digits as they were."""
    for kind, line in SEEDS.items():
        for digit in digits:
            key = kind + digit
            peer.send(f"DEL {key}", line.format(key=key))
            if kind == "x":
                peer.send(f"XGROUP CREATE {key} grp1 0")


def digests(state: ServerState, last: bytes) -> dict[tuple[int, bytes], int]:
    """Return what the keys hold that do not end in one of these digits, in every database."""
    found = {}
    for db in state.dbs[:2]:
        for key in db.table.keys():  # noqa: SIM118 (a Table is no dict)
            if not (len(key) == 2 and key[1:] in last):
                found[db.index, key] = key_digest(db, key)
    return found


@pytest.mark.parametrize("way", ["alone", "in a script", "in a transaction"])
@pytest.mark.parametrize("name", USERS)
def test_a_user_gets_at_nothing_that_is_not_allowed(name: str, way: str) -> None:
    rules = USERS[name]
    state = ServerState(Config(), Clock(virtual=lambda: 0.0), logging.getLogger("redis_trio.fuzz"))
    admin, peer = Peer(state), Peer(state)
    may = "-flushall -flushdb -swapdb +eval"
    admin.send(f"ACL SETUSER u on nopass +@all &* {rules} {may}")
    peer.send("AUTH u x")
    rng = Random(f"{name} {way}")
    readable, writable = "0", "0"
    if "%R" in rules:
        readable += "1"
    if "%W" in rules:
        writable += "1"
    secret = "".join(digit for digit in "12" if digit not in readable)
    fill(admin, secret)
    if "1" in readable:
        for kind, line in SEEDS.items():
            admin.send(line.format(key=kind + "1").replace("classified", "known"))
        admin.send("PFCOUNT p1")  # which notes its result in the value
    before = digests(state, writable.encode())
    known = {command.lower() for command in DECLARATIONS}
    generator = Generator(known, [group for group in GRAMMAR if group != "blocking"])
    refused = 0
    for _ in range(COMMANDS):
        command = generator.command(rng)
        if SECRET in b" ".join(command):
            continue
        dirty = state.dirty
        reply = _sent(peer, command, way)
        assert SECRET not in reply, (command, reply)
        refused += b"NOPERM" in reply or b"ACL failure" in reply
        if dirty != state.dirty and digests(state, writable.encode()) != before:
            pytest.fail(f"{command!r} has changed what it may not: {reply!r}")
        if "1" in writable and rng.random() < 0.05:
            fill(admin, "1")
    assert digests(state, writable.encode()) == before
    assert COMMANDS * 0.2 < refused < COMMANDS * 0.95


def _sent(peer: Peer, command: list[bytes], way: str) -> bytes:
    """Run a command; return all bytes that come back."""
    if way == "in a script":
        return peer.send([b"EVAL", b"return redis.pcall(unpack(ARGV))", b"0", *command])
    if way == "in a transaction":
        return peer.send("MULTI", command, "EXEC")
    return peer.send(command)
