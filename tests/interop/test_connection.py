"""The connection commands, on a real server and on ours.

The real one may be a 7.0, which knows no CLIENT SETINFO, NO-TOUCH and KILL MAXAGE, shows neither
watched keys nor the library in CLIENT LIST, and has another text where HELLO asks for a login.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from redis_trio.protocol.reply import Reply, Verbatim
from tests.interop.compare import Both, Peer, encode, error_code

NEWER = ("watch", "lib-name", "lib-ver")
HELLO_FIELDS = (b"server", b"proto", b"mode", b"role", b"modules")
STABLE = "name flags db sub psub ssub multi qbuf argv-mem multi-mem obl oll omem events cmd user"


def handshake(reply: Reply) -> object:
    """Normalize: what HELLO says of any server."""
    if isinstance(reply, list):
        reply = dict(zip(reply[::2], reply[1::2], strict=True))
    assert isinstance(reply, dict), reply
    return [(name, reply[name]) for name in HELLO_FIELDS], list(reply)


def client_lines(reply: Reply) -> object:
    """Normalize: the fields of CLIENT LIST that are the same on any server, and all names."""
    text = reply.text if isinstance(reply, Verbatim) else reply
    assert isinstance(text, bytes), reply
    found = []
    for line in text.decode().splitlines():
        fields = dict(pair.split("=", 1) for pair in line.split(" "))
        order = [name for name in fields if name not in NEWER]
        found.append((order, [fields[name] for name in [*STABLE.split(), "resp"]]))
    return found, text.endswith(b"\n")


def number(reply: Reply) -> object:
    """Normalize: an integer above zero."""
    return isinstance(reply, int) and reply > 0


@pytest.fixture
def with_password(both: Both) -> Iterator[Both]:
    """`both`, authenticated, with the password `secret` set on both servers."""
    both("CONFIG SET requirepass secret", "AUTH secret")
    yield both
    both("CONFIG SET requirepass ''")


@pytest.fixture
def stranger(with_password: Both) -> Iterator[Both]:
    """Another client, which knows no password."""
    other = Both(with_password.real_port, with_password.our_port, 2)
    yield other
    other.close()


def test_ping_echo_select(both: Both) -> None:
    both("PING", "PING hello", "PING a b", "ECHO hello", "ECHO", "ECHO a b", "PING ''")
    both("SELECT 1", "SET k v", "SELECT 0", "GET k", "SELECT 15", "SELECT 16", "SELECT -1")
    both("SELECT abc", "SELECT 99999999999", "SELECT 1 2", "SELECT", "SELECT ' 1'", "SELECT 01")


def test_auth_without_a_password(both: Both) -> None:
    both(
        "AUTH", "AUTH x", "AUTH default x", "AUTH alice x", "AUTH a b c", "AUTH default ''", "PING"
    )


def test_auth_with_a_password(with_password: Both, stranger: Both) -> None:
    both = with_password
    both("AUTH x", "AUTH secret", "AUTH default secret", "AUTH alice secret", "AUTH Default secret")
    stranger("PING", "GET k", "NOPE x", "GET", "CLIENT ID", "CLIENT NOPE", "ECHO x", "SELECT 1")
    stranger("HELLO", "HELLO 3", "HELLO 3 SETNAME x", normalize=error_code)  # 7.4 says <proto>
    stranger("HELLO 4", "HELLO 3 AUTH default x", "RESET")
    stranger("AUTH default secret", "PING", "RESET", "PING", "QUIT")


def test_who_is_connected_stays_when_a_password_is_set(both: Both) -> None:
    other = both.another()
    try:
        both("CONFIG SET requirepass secret", "PING")
        other("PING")
    finally:
        both("CONFIG SET requirepass ''")
    other("PING")


def test_taking_the_password_away_lets_strangers_in_but_not_to_hello(
    with_password: Both, stranger: Both
) -> None:
    stranger("PING")
    with_password("CONFIG SET requirepass ''")
    stranger("PING")
    stranger("HELLO 2", normalize=error_code)
    stranger("AUTH default any")
    stranger("HELLO 2", normalize=handshake)


@pytest.mark.parametrize(
    "data",
    [
        encode(["GET", *["word"] * 10]),
        encode(["SET", "k", "v" * 20000]),
        encode("AUTH secret") + encode(["GET", *["word"] * 10]),
        encode("AUTH secret") + encode(["SET", "k", "v" * 20000]),
        encode(["GET", *["word"] * 9]),
        encode("AUTH nope") + encode("QUIT"),
    ],
)
def test_what_strangers_may_send(
    with_password: Both, compare_raw: Callable[[bytes], bytes], data: bytes
) -> None:
    compare_raw(data)


def test_hello(both: Both) -> None:
    for line in (
        "HELLO",
        "hello 2",
        "HELLO 3",
        "HELLO",
        "HELLO 2 SETNAME me",
        "HELLO 3 setname me auth default x",
        "HELLO 3 AUTH default x SETNAME you",
        "HELLO 2 SETNAME a SETNAME b",
    ):
        both(line, normalize=handshake)
        both("CLIENT GETNAME")
    both("HELLO 1", "HELLO 4", "HELLO x", "HELLO 3 x", "HELLO 3 AUTH default", "HELLO 3 SETNAME")
    both("HELLO 3 SETNAME 'a b'", "HELLO 3 AUTH alice x", "HELLO SETNAME x")
    both("CLIENT GETNAME")


def test_quit_and_reset(both: Both) -> None:
    both("SELECT 3", "CLIENT SETNAME me", "RESET", "CLIENT GETNAME", "RESET x", "QUIT")
    with pytest.raises(EOFError):
        both.ours.frame()


def test_quit_ends_a_pipeline(compare_raw: Callable[[bytes], bytes]) -> None:
    sent = compare_raw(b"PING\r\nQUIT now\r\nPING\r\n")
    assert sent == b"+PONG\r\n+OK\r\n"


@pytest.mark.parametrize("line", [b"POST / HTTP/1.1", b"Host: x", b"host:"])
def test_http_gets_no_answer(compare_raw: Callable[[bytes], bytes], line: bytes) -> None:
    assert compare_raw(line + b"\r\nPING\r\n") == b""


# -- CLIENT


def test_client_errors(both: Both) -> None:
    both("CLIENT", "CLIENT NOPE", "CLIENT ID x", "CLIENT LIST x", "CLIENT LIST TYPE x")
    both("CLIENT LIST ID", "CLIENT LIST ID x", "CLIENT LIST TYPE normal ID 1", "CLIENT NO-EVICT x")
    both("CLIENT REPLY x", "CLIENT REPLY", "CLIENT PAUSE x", "CLIENT PAUSE -1", "CLIENT PAUSE")
    both("CLIENT PAUSE 1 x", "CLIENT UNPAUSE x")
    both("CLIENT PAUSE 1 ALL x", "client pause 1 all x", "CLIENT UNBLOCK 1 ERROR x")
    both("CLIENT UNBLOCK", "CLIENT UNBLOCK x", "CLIENT UNBLOCK 1 x", "CLIENT UNBLOCK 999999")
    both(
        "CLIENT KILL",
        "CLIENT KILL x",
        "CLIENT KILL ID",
        "CLIENT KILL ID 1 TYPE",
        "CLIENT KILL NOPE 1",
    )
    both("CLIENT KILL ID 0", "CLIENT KILL ID x", "CLIENT KILL TYPE x", "CLIENT KILL USER alice")
    both("CLIENT KILL SKIPME x", "CLIENT KILL ID 999999", "CLIENT KILL TYPE pubsub")
    both(
        "CLIENT KILL 000.123.321.567:0000", "CLIENT KILL 127.0.0.1:", "CLIENT KILL ADDR 127.0.0.1:"
    )
    both("CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip")


def test_names(both: Both) -> None:
    both("CLIENT GETNAME", "CLIENT SETNAME me", "CLIENT GETNAME", "CLIENT SETNAME 'a b'")
    both('CLIENT SETNAME "a\\n"', 'CLIENT SETNAME "\\xff"', "CLIENT SETNAME ''", "CLIENT GETNAME")


def test_lines(both: Both) -> None:
    both("CLIENT SETNAME me", "SELECT 3", "CLIENT NO-EVICT ON")
    both("CLIENT INFO", "client info", "CLIENT LIST", normalize=client_lines)
    both("CLIENT LIST TYPE normal", "CLIENT LIST TYPE master", normalize=client_lines)
    both("CLIENT LIST ID 999999", normalize=client_lines)
    other = both.another()
    for line in ("PING", "NOPE", "GET", "CLIENT NOPE", "CLIENT ID"):
        other(line, normalize=lambda reply: type(reply).__name__)
        both("CLIENT LIST", normalize=client_lines)


def test_ids_grow(both: Both) -> None:
    both("CLIENT ID", normalize=number)
    first = both.one("CLIENT ID", normalize=number)
    second = both.another().one("CLIENT ID", normalize=number)
    assert isinstance(first, int)
    assert isinstance(second, int)
    assert second > first


def _address(peer: Peer) -> str:
    line = peer.command("CLIENT INFO").decode()
    found = re.search(r" addr=(\S+)", line)
    assert found
    return found[1]


def test_kill(both: Both) -> None:
    for wanted in ("{}", "ADDR {}", "ADDR {} TYPE normal USER default SKIPME no"):
        victim = both.another()
        for peer, killed in ((both.real, victim.real), (both.ours, victim.ours)):
            reply = peer.command("CLIENT KILL " + wanted.format(_address(killed)))
            assert reply in {b"+OK\r\n", b":1\r\n"}
            assert killed.until_closed() == b""


def test_kill_everybody(both: Both) -> None:
    others = [both.another() for _ in range(3)]
    both("CLIENT KILL TYPE normal", "PING", "CLIENT KILL TYPE normal", "CLIENT KILL SKIPME no")
    for dead in (both, *others):
        with pytest.raises((EOFError, ConnectionResetError)):
            dead.ours.frame()


def test_reply_modes(both: Both) -> None:
    both.send("CLIENT REPLY OFF")
    both.send("PING")
    both.send("CLIENT REPLY SKIP")
    both("CLIENT REPLY ON", "PING")
    for silenced in ("PING", "NOPE", "CLIENT REPLY x", "RESET", "CLIENT REPLY SKIP"):
        both.send("CLIENT REPLY SKIP")
        both.send(silenced)
        if silenced == "CLIENT REPLY SKIP":
            both.send("PING")
        both("PING hello")
    both.send("CLIENT REPLY SKIP")
    both("CLIENT REPLY ON", "PING")
    both.send("CLIENT REPLY OFF")
    both("RESET", "PING")


def test_pause(both: Both) -> None:
    other = both.another()
    both("SET k v", "CLIENT PAUSE 100000 WRITE", "GET k", "PING", "SET k", "NOPE")
    other.send("SET k w")
    other.send("GET k")
    both("GET k", "CLIENT PAUSE 10 WRITE", "CLIENT PAUSE 0 WRITE", "CLIENT UNPAUSE")
    assert other.reply() is not None
    assert other.reply() == b"w"
    both("GET k", "CLIENT UNPAUSE")


def test_a_pause_of_everything_ends_by_itself(both: Both) -> None:
    both("CLIENT PAUSE 30 ALL", "PING", "CLIENT PAUSE 30", "CLIENT UNPAUSE", "PING")
