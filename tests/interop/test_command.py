"""COMMAND as redis-server answers it. Its version is 7.0; what changed up to 7.4 is left out."""

from __future__ import annotations

import pytest

import redis_trio.commands  # noqa: F401  (declares every command)
from redis_trio.command import DECLARATIONS
from redis_trio.protocol.reply import Reply
from tests.interop.compare import Both, plain

SINCE = "7.0.9"

CHANGED = {
    *("ACL DELUSER", "ACL SAVE", "ACL SETUSER", "CLIENT SETNAME", "CONFIG RESETSTAT"),
    *("CONFIG REWRITE", "LATENCY RESET", "MSETNX", "RANDOMKEY", "SCAN"),  # tips
    *("BLMOVE", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZPOPMAX", "BZPOPMIN", "WAIT"),  # noscript
    *("CLUSTER SHARDS", "CLUSTER SLOTS"),  # loading
    *("COMMAND GETKEYS", "COMMAND GETKEYSANDFLAGS", "ZRANK", "ZREVRANK"),  # arity
    "SINTERSTORE",  # the destination is overwritten
}

NAMES = sorted(
    name for name, item in DECLARATIONS.items() if item.since <= SINCE and name not in CHANGED
)


def without_words(reply: Reply) -> object:
    """Normalize: COMMAND INFO of one command, without the notes of key specs and sub-commands."""
    return _drop(plain(reply)[0][:9])  # type: ignore[index]


def _drop(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(_drop(item) for item in value)
    if isinstance(value, list):
        # In RESP2 a map is a flat array, which begins with its first key.
        return _drop(value[2:]) if value[:1] == [b"notes"] else [_drop(item) for item in value]
    if isinstance(value, dict):
        return {key: _drop(item) for key, item in value.items() if key != b"notes"}
    return value


def test_info_of_every_command(both: Both) -> None:
    for name in NAMES:
        both.one(["COMMAND", "INFO", name.replace(" ", "|")], normalize=without_words)


def test_info_of_what_is_not_there(both: Both) -> None:
    both("COMMAND INFO nosuch command|x get|x x|y|z", "COMMAND INFO ''")


GETKEYS = [
    "GET k",
    "SET k v",
    "SET k v GET",
    "DEL a b c",
    "MSET a 1 b 2 c",
    "RENAME a b",
    "LMOVE a b LEFT RIGHT",
    "LMPOP 2 a b LEFT",
    "LMPOP 0 a b LEFT",
    "LMPOP x a b LEFT",
    "LMPOP 3 a b LEFT",
    "SINTERCARD 2 a b",
    "ZUNIONSTORE d 2 a b WEIGHTS 1 2",
    "ZUNIONSTORE d 0 a b",
    "ZUNION 2 a b",
    "EVAL script 2 a b c",
    "EVAL script 0",
    "EVAL script x",
    "EVAL script -1",
    "SORT k BY w GET g STORE d",
    "SORT k LIMIT STORE 2 STORE",
    "SORT_RO k BY w",
    "BITFIELD k GET u8 0",
    "BITFIELD k SET u8 0 1",
    "BITFIELD k GET u8",
    "XREAD COUNT 1 STREAMS a b 0 0",
    "XREAD COUNT 1 STREAMS a b 0",
    "XREAD COUNT 1 x",
    "XREADGROUP GROUP g c STREAMS a b 0 0",
    "GEORADIUS k 1 2 3 m STORE d",
    "GEORADIUS k 1 2 3 m STOREDIST d STORE",
    "GEORADIUSBYMEMBER k m 3 m STORE d",
    "MIGRATE h p k 0 10",
    "MIGRATE h p '' 0 10 AUTH keys KEYS a b",
    "MIGRATE h p k 0 10 KEYS a b",
    "OBJECT ENCODING k",
    "XGROUP CREATE k g $",
    "MEMORY USAGE k",
    "PFCOUNT a b",
    "BLPOP a b 0",
    "SPUBLISH c m",
    "COMMAND COUNT",
    "COMMAND x",
    "PING x",
    "SET k",
    "GET a b",
    "nosuch x",
]


KNOWN = [line for line in GETKEYS if line.partition(" ")[0] in {*DECLARATIONS, "nosuch"}]


@pytest.mark.parametrize("line", KNOWN)
def test_getkeys(both: Both, line: str) -> None:
    both(f"COMMAND GETKEYS {line}", f"COMMAND GETKEYSANDFLAGS {line}")


def test_list_refuses_what_redis_refuses(both: Both) -> None:
    both("COMMAND LIST x", "COMMAND LIST FILTERBY x y", "COMMAND LIST FILTERBY PATTERN")
    both("COMMAND LIST FILTERBY MODULE x", "COMMAND LIST FILTERBY ACLCAT nosuch")
    both("COMMAND LIST FILTERBY PATTERN command|getkeys", "COMMAND COUNT x", "COMMAND x")


def test_help_begins_and_ends_alike(both: Both) -> None:
    def frame_of(reply: Reply) -> object:
        lines = plain(reply)
        assert isinstance(lines, list)
        return [lines[0], lines[-2]]  # the last one is worded differently in 7.0

    both("COMMAND HELP", normalize=frame_of)
