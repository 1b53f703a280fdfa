"""Client-side caching as a real server does it: what each connection gets, in which order.

Two things changed since Redis 7.0 and are tested in tests/unit alone: what a command pushes to its
own client on behalf of another one comes behind the reply; a blocked reader is remembered again
when it is served.
"""

from __future__ import annotations

from contextlib import ExitStack, closing

import pytest

from tests.interop.compare import Peer, encode

SCRIPTS = {
    "read and change": [
        "a CLIENT TRACKING ON",
        "a MGET k l",
        "b SET k 1",
        "b SET k 2",
        "b DEL l m",
    ],
    "own change": ["a CLIENT TRACKING ON", "a GET k", "a INCR k", "a INCR k", "b INCR k"],
    "NOLOOP": ["a CLIENT TRACKING ON NOLOOP", "a MGET k l", "a INCR k", "b INCR l", "a FLUSHALL"],
    "transaction": [
        "a CLIENT TRACKING ON",
        "a MGET k l",
        "a MULTI",
        "a SET l 1",
        "a SET k 1",
        "a GET k",
        "a EXEC",
        "b SET k 2",
    ],
    "flush": ["a CLIENT TRACKING ON", "a GET k", "b FLUSHALL", "b SET k 1", "a FLUSHDB"],
    "flush in a transaction": ["a CLIENT TRACKING ON", "a MULTI", "a FLUSHALL", "a PING", "a EXEC"],
    "swap": ["b SET k 1", "a CLIENT TRACKING ON", "a GET k", "b SWAPDB 0 1", "b SWAPDB 0 1"],
    "rename": ["b MSET k 1 l 2", "a CLIENT TRACKING ON", "a MGET k l", "b RENAME k l"],
    "commands": [
        "b MSET k 1 l 2",
        "b RPUSH list x",
        "a CLIENT TRACKING ON",
        "a EXISTS k l",
        "a TTL k",
        "a LRANGE list 0 -1",
        "a OBJECT ENCODING m",
        "a GETEX l",
        "a INCR wrong",
        "a GET list",
        "b MSET k 1 l 2 m 3 wrong 4",
        "b EXPIRE list 100",
    ],
    "BCAST": [
        "a CLIENT TRACKING ON BCAST",
        "b MSET l 1 k 2",
        "b SET k 1",
        "a SET k 2",
        "a FLUSHALL",
        "a CLIENT TRACKINGINFO",
    ],
    "BCAST in a transaction": [
        "a CLIENT TRACKING ON BCAST PREFIX b: PREFIX a:",
        "b MULTI",
        "b SET b:2 1",
        "b SET b:1 1",
        "b SET a:1 1",
        "b SET c:1 1",
        "b EXEC",
        "a CLIENT TRACKING ON BCAST PREFIX c:",
        "a SET c:1 1",
        "a CLIENT TRACKINGINFO",
    ],
    "BCAST NOLOOP": [
        "a CLIENT TRACKING ON BCAST NOLOOP",
        "a SET k 1",
        "b SET k 1",
    ],
    "OPTIN": [
        "a CLIENT TRACKING ON OPTIN",
        "a GET k",
        "a CLIENT CACHING YES",
        "a CLIENT TRACKINGINFO",
        "a GET l",
        "a CLIENT TRACKINGINFO",
        "a GET m",
        "b MSET k 1 l 1 m 1",
        "a CLIENT CACHING NO",
    ],
    "OPTIN and MULTI": [
        "a CLIENT TRACKING ON OPTIN",
        "a CLIENT CACHING YES",
        "a MULTI",
        "a GET k",
        "a GET l",
        "a EXEC",
        "a GET m",
        "a MULTI",
        "a GET n",
        "a CLIENT CACHING YES",
        "a GET o",
        "a EXEC",
        "a CLIENT TRACKINGINFO",
        "b MSET k 1 l 1 m 1 n 1 o 1",
    ],
    "OPTIN and errors": [
        "a CLIENT TRACKING ON OPTIN",
        "a CLIENT CACHING YES",
        "a GET",
        "a CLIENT TRACKINGINFO",
        "a CLIENT CACHING YES",
        "a NOSUCH",
        "a CLIENT TRACKINGINFO",
        "a CLIENT CACHING YES",
        "a CLIENT SETNAME",
        "a CLIENT TRACKINGINFO",
    ],
    "OPTOUT": [
        "a CLIENT TRACKING ON OPTOUT",
        "a GET k",
        "a CLIENT CACHING NO",
        "a CLIENT TRACKINGINFO",
        "a GET l",
        "b MSET k 1 l 1",
        "a CLIENT CACHING YES",
        "a CLIENT TRACKING ON OPTIN",
    ],
    "REDIRECT to a subscriber": [
        "r SUBSCRIBE __redis__:invalidate",
        "a CLIENT TRACKING ON REDIRECT {id}",
        "a CLIENT GETREDIR",
        "a CLIENT TRACKINGINFO",
        "a MGET k l",
        "b SET k 1",
        "a SET l 1",
        "b FLUSHALL",
        "a FLUSHALL",
    ],
    "REDIRECT to nobody who listens": [
        "a CLIENT TRACKING ON REDIRECT {id}",
        "a GET k",
        "b SET k 1",
        "r SUBSCRIBE news",
        "a GET k",
        "b SET k 1",
    ],
    "REDIRECT to RESP3": [
        "r HELLO 3",
        "a CLIENT TRACKING ON REDIRECT {id}",
        "a GET k",
        "b SET k 1",
        "b FLUSHALL",
    ],
    "REDIRECT BCAST": [
        "r SUBSCRIBE x",
        "a CLIENT TRACKING ON REDIRECT {id} BCAST PREFIX k",
        "b MSET k2 1 k1 2 l 3",
    ],
    "REDIRECT broken": [
        "a CLIENT TRACKING ON REDIRECT {id}",
        "a GET k",
        "b CLIENT KILL ID {id}",
        "b SET k 1",
        "a CLIENT TRACKINGINFO",
        "a CLIENT TRACKING ON REDIRECT {id}",
        "a CLIENT TRACKING ON",
        "a CLIENT TRACKINGINFO",
    ],
    "refusals": [
        "a CLIENT TRACKING",
        "a CLIENT TRACKING maybe",
        "a CLIENT TRACKING ON what",
        "a CLIENT TRACKING ON REDIRECT",
        "a CLIENT TRACKING ON REDIRECT x",
        "a CLIENT TRACKING ON REDIRECT 0",
        "a CLIENT TRACKING ON REDIRECT -1",
        "a CLIENT TRACKING ON REDIRECT {id} REDIRECT {id}",
        "a CLIENT TRACKING OFF REDIRECT {id} BCAST OPTIN OPTOUT NOLOOP PREFIX x",
        "a CLIENT TRACKING ON PREFIX x",
        "a CLIENT TRACKING ON BCAST OPTOUT",
        "a CLIENT TRACKING ON OPTIN OPTOUT",
        "a CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar PREFIX foobar",
        r'a CLIENT TRACKING ON BCAST PREFIX "a\x00b\n" PREFIX "a\x00b\nc\r\nd"',
        r'a CLIENT TRACKING ON BCAST PREFIX "a\r\nb" PREFIX "a\r\nbc"',
        "a CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar",
        "a CLIENT TRACKING ON BCAST PREFIX zoo PREFIX barb",
        "a CLIENT TRACKING ON",
        "a CLIENT TRACKINGINFO x",
        "a CLIENT GETREDIR x",
        "a CLIENT CACHING",
        "a CLIENT CACHING YES",
        "b CLIENT CACHING YES",
        "b CLIENT CACHING maybe",
        "b CLIENT GETREDIR",
        "b CLIENT TRACKINGINFO",
    ],
    "RESET": ["a CLIENT TRACKING ON BCAST", "a RESET", "b SET k 1", "a CLIENT TRACKINGINFO"],
    "replies off": [
        "a CLIENT TRACKING ON",
        "a MGET k l",
        "a CLIENT REPLY OFF",
        "b SET l 1",
        "a CLIENT REPLY ON",
        "a CLIENT REPLY OFF",
        "a SET k 1",
        "a CLIENT REPLY ON",
    ],
    "blocked": [
        "a CLIENT TRACKING ON",
        "a LRANGE to 0 -1",
        "a BLMOVE from to LEFT RIGHT 0",
        "b RPUSH from x",
        "b RPUSH to y",
    ],
    "blocked reader": [
        "a CLIENT TRACKING ON",
        "a XREAD BLOCK 0 STREAMS s $",
        "b XADD s 1-1 f v",
    ],
}


def _play(port: int, resp: int, script: list[str]) -> dict[str, bytes]:
    """Run a script on one server: `a` reads, `b` changes, `r` is redirected to by `{id}`.

    Returns: all that each was sent, with that id evened out.
    """
    with ExitStack() as stack:
        peers = {name: stack.enter_context(closing(Peer(port))) for name in "abr"}
        peers["a"].command(f"HELLO {resp}")
        number = peers["r"].command("CLIENT ID")[1:-2].decode()
        sent = dict.fromkeys(peers, b"")
        silent = False
        for line in script:
            name, _, rest = line.partition(" ")
            peers[name].send(encode(rest.replace("{id}", number)))
            if name == "a" and "REPLY" in rest:
                silent = rest.endswith("OFF")
            if "BLOCK" in rest or "BLMOVE" in rest:
                while b"blocked_clients:1\r\n" not in peers["b"].command("INFO clients"):
                    pass
            elif rest == "HELLO 3":
                peers[name].frame()  # tells the version
            elif not (name == "a" and silent):
                sent[name] += _reply(peers[name], "SUBSCRIBE" in rest)
        for name, peer in peers.items():
            sent[name] += _rest(peer)
        evened = b":%d\r\n" % int(number)
        return {name: data.replace(evened, b":ID\r\n") for name, data in sent.items()}


def _reply(peer: Peer, is_push: bool) -> bytes:
    """Return what a connection is sent up to a reply, which may be a push itself."""
    sent = [peer.frame()]
    while sent[-1].startswith(b">") and not is_push:
        sent.append(peer.frame())
    return b"".join(sent)


def _rest(peer: Peer) -> bytes:
    """Return what a connection was sent and has not read."""
    sent = [b""]
    try:
        peer.send(encode("PING end"))
        while b"end" not in sent[-1]:
            sent.append(peer.frame())
    except (EOFError, OSError):
        sent.append(b"closed")
    return b"".join(sent)


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("name", SCRIPTS)
def test_everybody_is_told_the_same(real_port: int, our_port: int, name: str, resp: int) -> None:
    results = []
    for port in (real_port, our_port):
        with closing(Peer(port)) as peer:
            peer.command("FLUSHALL")
        results.append(_play(port, resp, SCRIPTS[name]))
    assert results[1] == results[0], "ours, then Redis's"
