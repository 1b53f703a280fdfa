"""MIGRATE between redis-server and us, both ways, and what it answers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from redis_trio.protocol.reply import RedisError, Reply
from tests.interop.compare import Both, Line, Peer, parse, plain
from tests.interop.conftest import Start
from tests.rdb_cases import COMMANDS, Words

Ask = Callable[..., Reply]


@pytest.fixture(scope="module")
def target_ports(start_real: Start, start_ours: Start) -> dict[str, int]:
    """The ports of the servers that keys go to."""
    return {"real": start_real(), "ours": start_ours()}


@pytest.fixture(params=["real", "ours"])
def target(request: pytest.FixtureRequest, target_ports: dict[str, int]) -> Iterator[Peer]:
    """An empty server that keys go to."""
    with closing(Peer(target_ports[request.param])) as peer:
        peer.command("FLUSHALL")
        peer.command("SELECT 9")
        yield peer
        peer.command("CONFIG SET requirepass ''")


def ask(peer: Peer, line: Line) -> object:
    return plain(parse(peer.command(line)))


@pytest.fixture
def same(both: Both, target: Peer) -> Callable[..., None]:
    """Run a script on both sources; compare the replies, and what the target has then.

    `{at}` stands for the target's address. Lines that begin with `>` are for the target.
    """

    def run(source: Peer, lines: tuple[str, ...]) -> list[object]:
        target.command("CONFIG SET requirepass ''")
        target.command("FLUSHALL")
        found: list[object] = []
        for line in lines:
            filled = line.replace("{at}", f"127.0.0.1 {target.port}")
            peer = target if filled.startswith(">") else source
            found.append(ask(peer, filled.removeprefix(">")))
        names = ask(target, "KEYS *")
        assert isinstance(names, list)
        found.append({name: ask(target, [b"DEBUG", b"DIGEST-VALUE", name]) for name in names})
        found.append(ask(source, "DBSIZE"))
        source.command("FLUSHALL")
        return found

    def same(*lines: str) -> None:
        assert run(both.ours, lines) == run(both.real, lines)

    return same


def test_keys_move_or_are_copied(same: Callable[..., None]) -> None:
    same("SET k v", "MIGRATE {at} k 9 5000", "EXISTS k", ">GET k")
    same("RPUSH l a b", "MIGRATE {at} l 9 5000 COPY", "LRANGE l 0 -1", ">LRANGE l 0 -1")
    same("MSET a 1 b 2 c 3", 'MIGRATE {at} "" 9 5000 KEYS a x c a', "DBSIZE", ">MGET a b c")
    same("MSET a 1 b 2", 'MIGRATE {at} "" 9 5000 REPLACE KEYS a b a', "DBSIZE", ">MGET a b")


def test_what_is_there_already_is_replaced_if_asked_for(same: Callable[..., None]) -> None:
    same(
        *("MSET a 1 b 2 c 3", ">SET b _", 'MIGRATE {at} "" 9 5000 KEYS a b c', "KEYS *"),
        *("MIGRATE {at} b 9 5000 COPY REPLACE", "EXISTS b", ">GET b", "MIGRATE {at} b 9 0 replace"),
    )


def test_a_deadline_goes_along(same: Callable[..., None]) -> None:
    same("SET k v EX 1000", "MIGRATE {at} k 9 5000", ">EXPIRETIME k")
    same("SET j v", "MIGRATE {at} j 9 -1", "MIGRATE {at} j 9 5000")


def test_nothing_to_move(same: Callable[..., None]) -> None:
    same("MIGRATE {at} k 9 5000", 'MIGRATE {at} "" 9 5000 KEYS a b', 'MIGRATE {at} "" 9 5000 KEYS')
    same("MIGRATE nowhere.invalid 1 k 9 5000", "MIGRATE {at} k 99 5000 AUTH wrong")


def test_errors_of_the_target(same: Callable[..., None]) -> None:
    same("SET k v", "MIGRATE {at} k 99 5000", "GET k", "MIGRATE {at} k 9 5000", ">GET k")
    same("SET k v", "MIGRATE {at} k -1 5000", "SET k v", "MIGRATE {at} k 9 5000 AUTH password")


def test_passwords(same: Callable[..., None]) -> None:
    same(
        *("MSET a 1 b 2 c 3", ">CONFIG SET requirepass secret", ">AUTH secret"),
        *("MIGRATE {at} a 9 5000", "MIGRATE {at} a 9 5000 AUTH wrong"),
        *("MIGRATE {at} a 9 5000 AUTH secret", "MIGRATE {at} b 9 5000 AUTH2 default secret"),
        *("MIGRATE {at} c 9 5000 AUTH2 nobody secret", "MIGRATE {at} c 9 5000 AUTH2 default x"),
        *("MIGRATE {at} c 9 5000 AUTH2 default x AUTH secret", ">MGET a b c"),
    )


def test_mistakes(same: Callable[..., None]) -> None:
    same(
        "SET k v",
        "MIGRATE {at} k 9",
        "MIGRATE {at} k x 5000",
        "MIGRATE {at} k 9 x",
        "MIGRATE {at} k x y WRONG",
        "MIGRATE {at} k 9 5000 WRONG",
        "MIGRATE {at} k 9 5000 AUTH",
        "MIGRATE {at} k 9 5000 AUTH2 a",
        "MIGRATE {at} k 9 5000 KEYS a",
        "MIGRATE {at} k 9 5000 WRONG KEYS a",
        'MIGRATE {at} "" 9 5000',
    )


def test_in_transactions_and_scripts(same: Callable[..., None]) -> None:
    same(
        *("MSET a 1 b 2 c 3", "MULTI", "MIGRATE {at} a 9 5000", "EXISTS a", "EXEC"),
        "EVAL \"return redis.call('MIGRATE', unpack(ARGV))\" 0 {at} b 9 5000",
        "EVAL \"return redis.pcall('MIGRATE', unpack(ARGV))\" 0 {at} c 99 5000",
        "EVAL \"return redis.call('MIGRATE', unpack(ARGV))\" 0 {at} x 9 5000",
    )


def test_nobody_listens(both: Both) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    both("SET k v", f"MIGRATE 127.0.0.1 {port} k 9 5000", f"MIGRATE 127.0.0.1 {port} k 9 5000 COPY")
    both("MIGRATE 127.0.0.1 0 k 9 1000", "MIGRATE 127.0.0.1 nowhere k 9 1000", "GET k")
    both("MIGRATE nowhere.invalid 1 k 9 1000")


def test_nobody_answers(both: Both) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        both("SET k v", f"MIGRATE 127.0.0.1 {port} k 9 100", "GET k")
        both("MULTI", f"MIGRATE 127.0.0.1 {port} k 9 100", "EXEC", "GET k")


def _fill(peer: Peer, commands: list[Words]) -> None:
    for words in commands:
        assert not isinstance(parse(peer.command(words)), RedisError), words


@pytest.mark.parametrize("ours", [True, False], ids=["from us", "from redis"])
def test_every_value_moves(both: Both, target: Peer, ours: bool) -> None:
    source = both.ours if ours else both.real
    _fill(source, COMMANDS)
    _fill(target, COMMANDS)
    names = ask(source, "KEYS *")
    assert isinstance(names, list)
    assert len(names) > 30
    expected = {name: ask(target, [b"DEBUG", b"DIGEST-VALUE", name]) for name in names}
    target.command("FLUSHDB")
    line = ["MIGRATE", "127.0.0.1", target.port, "", 9, 5000, "KEYS", *names]
    assert ask(source, line) == "OK"
    assert ask(source, "DBSIZE") == 0
    for name in names:
        found = ask(target, [b"DEBUG", b"DIGEST-VALUE", name])
        assert found == expected[name] or name == b"zset:limits", name  # 7.2 changed its digits
