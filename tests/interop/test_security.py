"""What is closed by default, and what a configuration opens, beside a real redis-server."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from tests.interop.compare import Peer, parse, plain
from tests.interop.conftest import Start

GUARDED = [
    "DEBUG SLEEP 0",
    "DEBUG",
    "CONFIG SET dir /tmp",
    "CONFIG SET dbfilename x.rdb",
    "CONFIG SET DIR /tmp timeout 7",
    "CONFIG GET timeout",
    "CONFIG GET enable-debug-command",
    "CONFIG SET enable-debug-command yes",
    "CONFIG SET enable-protected-configs yes",
    "CONFIG SET enable-module-command yes",
    'EVAL \'return redis.call("DEBUG", "SLEEP", "0")\' 0',
    "MULTI",
    "DEBUG SLEEP 0",
    "CONFIG SET dir /tmp",
    "EXEC",
]


def answers(port: int, lines: list[str], host: str = "127.0.0.1") -> list[bytes]:
    with closing(Peer(port)) as peer:
        return [peer.command(line) for line in lines]


@pytest.mark.parametrize("allowed", ["no", "local", "yes"])
def test_what_may_change_the_server_under_everybody_is_closed_unless_allowed(
    start_real: Start, start_ours: Start, allowed: str
) -> None:
    options = []
    for name in ("debug-command", "protected-configs", "module-command"):
        options += [f"--enable-{name}", allowed]
    real = answers(start_real(*options), GUARDED)
    ours = answers(start_ours(*options), GUARDED)
    for line, theirs, mine in zip(GUARDED, real, ours, strict=True):
        assert mine == theirs, line


def test_renamed_commands(start_real: Start, start_ours: Start) -> None:
    options = [
        *("--rename-command", "GET", "fetch", "--rename-command", "FLUSHALL", ""),
        *("--rename-command", "CONFIG", "b840fc02d524045429941cc15f59e41cb7be6c52"),
        *("--rename-command", "EXEC", "go"),
    ]
    lines = [
        "SET k v",
        "GET k",
        "fetch k",
        "FETCH k",
        "FLUSHALL",
        "CONFIG GET port",
        "b840fc02d524045429941cc15f59e41cb7be6c52 GET timeout",
        "b840fc02d524045429941cc15f59e41cb7be6c52 nonsense",
        "COMMAND INFO get fetch flushall config",
        "COMMAND DOCS flushall",
        "COMMAND GETKEYS fetch k",
        "COMMAND GETKEYS get k",
        "fetch",
        "EVAL 'return redis.call(\"GET\", KEYS[1])' 1 k",
        "EVAL 'return redis.call(\"fetch\", KEYS[1])' 1 k",
        "MULTI",
        "fetch k",
        "GET k",
        "go",
        "MULTI",
        "fetch k",
        "EXEC",
        "go",
        "ACL SETUSER u on nopass ~* +get",
        "ACL DRYRUN u get k",
    ]
    real = [plain(parse(frame)) for frame in answers(start_real(*options), lines)]
    ours = [plain(parse(frame)) for frame in answers(start_ours(*options), lines)]
    for line, theirs, mine in zip(lines, real, ours, strict=True):
        assert mine == theirs, line


def other_address() -> str:
    """Return an address of this machine that is not loopback; no packet is sent for that."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no other address than loopback")
        address: str = sock.getsockname()[0]
        return address


def greeting(host: str, port: int) -> bytes:
    """Return what a server says to a PING before it hangs up or waits for more."""
    with closing(socket.create_connection((host, port), 20)) as sock:
        sock.sendall(b"PING\r\n")
        data = sock.recv(5000)
        try:
            data += sock.recv(5000) if data.startswith(b"-DENIED") else b""
        except ConnectionResetError:
            pass
        return data


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--protected-mode", "no"),
        ("--requirepass", "secret"),
        ("--user", "default", "on", "nopass", "~*", "+@all"),
        ("--user", "default", "on", ">secret", "~*", "+@all"),
    ],
)
def test_protected_mode(start_real: Start, start_ours: Start, options: tuple[str, ...]) -> None:
    host = other_address()
    for address in (host, "127.0.0.1"):
        theirs = greeting(address, start_real("--bind", "*", *options))
        mine = greeting(address, start_ours("--bind", "*", *options))
        assert mine[:500] == theirs[:500]  # what is to be done was worded anew in 7.2


def test_a_server_without_an_address_listens_when_it_gets_one(
    start_real: Start, start_ours: Start
) -> None:
    for start in (start_real, start_ours):
        port = start()
        with closing(Peer(port)) as peer:
            assert peer.command('CONFIG SET bind ""') == b"+OK\r\n"
            assert not listens("127.0.0.1", port)
            assert peer.command("CONFIG SET bind *") == b"+OK\r\n"
            assert listens("127.0.0.1", port)


def listens(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as sock:
        try:
            sock.connect((host, port))
        except OSError:
            return False
        return True


@pytest.mark.parametrize(
    "bind",
    [
        "127.0.0.1",
        "127.0.0.1 -::1",
        "-192.0.2.1 127.0.0.1",
        "* -::*",
        "127.0.0.1 127.0.0.2",
        "0.0.0.0",
    ],
)
def test_bind(start_real: Start, start_ours: Start, bind: str) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "::1"]
    real, ours = start_real("--bind", *bind.split()), start_ours("--bind", *bind.split())
    assert [listens(h, ours) for h in hosts] == [listens(h, real) for h in hosts]
    lines = [
        "CONFIG GET bind",
        "CONFIG SET bind 127.0.0.1",
        "CONFIG SET bind 192.0.2.1",
        "CONFIG GET bind",
        f"CONFIG SET bind '{' '.join(['127.0.0.1'] * 17)}'",
        "CONFIG SET bind '127.0.0.1 -192.0.2.1'",
        "CONFIG GET bind",
    ]
    assert answers(ours, lines) == answers(real, lines)
    assert [listens(h, ours) for h in hosts] == [listens(h, real) for h in hosts]
