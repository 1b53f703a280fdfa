"""Payloads of DUMP go from redis-server to us and back, whatever the type and encoding."""

from __future__ import annotations

import pytest

from tests.interop.compare import Both, encode, parse, plain
from tests.rdb_cases import COMMANDS

# What Redis 7.0 does not write as 7.4 does: the order of a hash table, encodings that 7.2 brought
# and the digits of doubles.
DIFFERENT = (b"set:listpack", b"hash:", b"set:hash", b"zset:limits", b"stream", b"list:plain")


def _ask(both: Both, line: list[bytes], *, ours: bool) -> object:
    peer = both.ours if ours else both.real
    peer.send(encode(line))
    return plain(parse(peer.frame()))


def _keys(both: Both) -> list[bytes]:
    for words in COMMANDS:
        for ours in (True, False):
            reply = _ask(both, words, ours=ours)
            assert not isinstance(reply, tuple), words
    names = _ask(both, [b"KEYS", b"*"], ours=True)
    assert isinstance(names, list)
    return sorted(name for name in names if isinstance(name, bytes))


def _digest(both: Both, key: bytes, *, ours: bool) -> object:
    return _ask(both, [b"DEBUG", b"DIGEST-VALUE", key], ours=ours)


def test_redis_restores_what_we_dump(both: Both) -> None:
    for key in _keys(both):
        payload = _ask(both, [b"DUMP", key], ours=True)
        assert isinstance(payload, bytes)
        reply = _ask(both, [b"RESTORE", b"copy", b"0", payload, b"REPLACE"], ours=False)
        assert not isinstance(reply, tuple), (key, reply)
        _ask(both, [b"PERSIST", key], ours=False)
        assert _digest(both, b"copy", ours=False) == _digest(both, key, ours=False), key


def test_we_restore_what_redis_dumps(both: Both) -> None:
    for key in _keys(both):
        payload = _ask(both, [b"DUMP", key], ours=False)
        assert isinstance(payload, bytes)
        reply = _ask(both, [b"RESTORE", b"copy", b"0", payload, b"REPLACE"], ours=True)
        assert not isinstance(reply, tuple), (key, reply)
        _ask(both, [b"PERSIST", key], ours=True)
        assert _digest(both, b"copy", ours=True) == _digest(both, key, ours=True), key


def test_payloads_are_the_same_bytes(both: Both) -> None:
    """Wherever 7.0 and 7.4 hold a value alike, compression included."""
    same = [key for key in _keys(both) if not key.startswith(DIFFERENT)]
    assert len(same) > 20
    for key in same:
        assert _ask(both, [b"DUMP", key], ours=True) == _ask(both, [b"DUMP", key], ours=False), key


def test_groups_go_there_and_back(both: Both) -> None:
    _keys(both)
    for ours in (True, False):
        payload = _ask(both, [b"DUMP", b"stream"], ours=ours)
        assert isinstance(payload, bytes)
        _ask(both, [b"RESTORE", b"copy", b"0", payload, b"REPLACE"], ours=not ours)
        for line in (
            [b"XINFO", b"GROUPS"],
            [b"XPENDING", b"g1"],
        ):
            copied = _ask(both, [line[0], line[1], b"copy"], ours=not ours)
            if line[1] == b"g1":
                copied = _ask(both, [b"XPENDING", b"copy", b"g1"], ours=not ours)
                assert copied == _ask(both, [b"XPENDING", b"stream", b"g1"], ours=ours)
            else:
                assert copied == _ask(both, [*line, b"stream"], ours=ours)


LIBRARIES = (
    b"#!lua name=one\nredis.register_function('f', function() return 'first' end)",
    b"""#!lua name=two
redis.register_function{
  function_name='g', description='reads', flags={'no-writes'},
  callback=function(keys) return redis.call('GET', keys[1]) end,
}""",
)


def _functions(both: Both, *, ours: bool) -> object:
    shown = _ask(both, [b"FUNCTION", b"LIST", b"WITHCODE"], ours=ours)
    assert isinstance(shown, list)
    return sorted(map(repr, shown))


@pytest.mark.parametrize("ours", [True, False], ids=["from ours", "from redis-server"])
def test_functions_go_there_and_back(both: Both, ours: bool) -> None:
    for one in (True, False):
        _ask(both, [b"FUNCTION", b"FLUSH"], ours=one)
    try:
        for code in LIBRARIES:
            _ask(both, [b"FUNCTION", b"LOAD", code], ours=ours)
        payload = _ask(both, [b"FUNCTION", b"DUMP"], ours=ours)
        assert isinstance(payload, bytes)
        assert _ask(both, [b"FUNCTION", b"RESTORE", payload], ours=not ours) == "OK"
        assert _functions(both, ours=not ours) == _functions(both, ours=ours)
        _ask(both, [b"SET", b"k", b"v"], ours=not ours)
        assert _ask(both, [b"FCALL_RO", b"g", b"1", b"k"], ours=not ours) == b"v"
        again = [_ask(both, [b"FUNCTION", b"RESTORE", payload], ours=one) for one in (True, False)]
        assert all("already exists" in str(reply) for reply in again)  # which is told first differs
        for policy in (b"REPLACE", b"FLUSH"):
            words = [b"FUNCTION", b"RESTORE", payload, policy]
            assert _ask(both, words, ours=True) == _ask(both, words, ours=False) == "OK"
        broken = payload[:-1] + bytes([payload[-1] ^ 1])
        words = [b"FUNCTION", b"RESTORE", broken, b"REPLACE"]
        assert _ask(both, words, ours=True) == _ask(both, words, ours=False)
    finally:
        for one in (True, False):
            _ask(both, [b"FUNCTION", b"FLUSH"], ours=one)
