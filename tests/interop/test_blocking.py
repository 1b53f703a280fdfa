"""Several clients that wait and one that changes keys: the same replies to each from both servers.

A script is a list of steps `(client, command)`; client 0 never waits. After each step the same
clients are blocked on both servers; what each has received is compared byte for byte.
"""

from __future__ import annotations

import time

import pytest

from tests.interop.compare import TIMEOUT_S, Both, Peer, encode

Step = tuple[int, str]

SCRIPTS: dict[str, list[Step]] = {
    "first come, first served": [
        (1, "BLPOP k 0"),
        (2, "BRPOP k 0"),
        (3, "BLMPOP 0 1 k LEFT COUNT 2"),
        (0, "RPUSH k a b c d e"),
    ],
    "keys in the order of the command": [
        (1, "BLPOP a b c 0"),
        (2, "BLPOP c b a 0"),
        (0, "RPUSH c 1"),
        (0, "RPUSH b 2"),
    ],
    "one key twice": [(1, "BLPOP k k 0"), (0, "RPUSH k 1"), (0, "RPUSH k 2")],
    "a wrong type does not wake": [
        (1, "BLPOP k 0"),
        (0, "SET k v"),
        (0, "DEL k"),
        (0, "ZADD k 1 m"),
        (0, "DEL k"),
        (0, "RPUSH k 1"),
    ],
    "several types wait for one key": [
        (1, "BLPOP k 0"),
        (2, "BZPOPMIN k 0"),
        (3, "XREAD BLOCK 0 STREAMS k 0"),
        (0, "XADD k 1-1 f v"),
        (0, "DEL k"),
        (0, "ZADD k 1 m"),
        (0, "RPUSH k 1"),
    ],
    "a chain of moves": [
        (1, "BLMOVE a b LEFT RIGHT 0"),
        (2, "BLMOVE b c LEFT RIGHT 0"),
        (3, "BLPOP c 0"),
        (0, "RPUSH a 1"),
        (0, "RPUSH a 2"),
    ],
    "a move in a circle": [
        (1, "BLMOVE a b LEFT RIGHT 0"),
        (2, "BLMOVE b a LEFT RIGHT 0"),
        (0, "RPUSH a 1"),
        (0, "LRANGE a 0 -1"),
        (0, "LRANGE b 0 -1"),
    ],
    "a move to itself": [(1, "BRPOPLPUSH k k 0"), (0, "RPUSH k a b c"), (0, "LRANGE k 0 -1")],
    "a move to a key of the wrong type": [
        (1, "BLMOVE a b LEFT RIGHT 0"),
        (2, "BLPOP a 0"),
        (0, "SET b v"),
        (0, "RPUSH a 1"),
    ],
    "renamed into place": [
        (1, "BLPOP k 0"),
        (2, "BZPOPMAX z 0"),
        (0, "RPUSH other 1 2"),
        (0, "RENAME other k"),
        (0, "ZADD another 1 a 2 b"),
        (0, "RENAME another z"),
        (0, "LRANGE k 0 -1"),
    ],
    "copied into place": [(1, "BLPOP k 0"), (0, "RPUSH o 1 2"), (0, "COPY o k"), (0, "LLEN o")],
    "moved from another database": [
        (1, "BLPOP k 0"),
        (0, "SELECT 1"),
        (0, "RPUSH k 1"),
        (0, "MOVE k 0"),
    ],
    "sorted into place": [(1, "BLPOP k 0"), (0, "RPUSH o 2 1"), (0, "SORT o STORE k")],
    "stored by a range of a sorted set": [
        (1, "BZMPOP 0 1 k MAX COUNT 10"),
        (0, "ZADD o 1 a 2 b 3 c"),
        (0, "ZRANGESTORE k o 0 1"),
    ],
    "stored by GEORADIUS": [
        (1, "BZPOPMIN k 0"),
        (0, "GEOADD g 13.361389 38.115556 Palermo"),
        (0, "GEORADIUS g 15 37 200 km STORE k"),
        (0, "EXISTS k"),
    ],
    "databases swapped": [
        (1, "BLPOP k 0"),
        (2, "SELECT 1"),
        (2, "BLPOP k 0"),
        (0, "SELECT 1"),
        (0, "RPUSH j 1"),
        (0, "RENAME j k2"),
        (0, "SELECT 2"),
        (0, "RPUSH k x y"),
        (0, "SWAPDB 0 2"),
        (0, "SWAPDB 0 1"),
        (0, "SWAPDB 0 1"),
    ],
    "everything flushed": [
        (0, "XGROUP CREATE s g $ MKSTREAM"),
        (1, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >"),
        (2, "XREAD BLOCK 0 STREAMS s 0"),
        (3, "BLPOP k 0"),
        (0, "FLUSHALL"),
        (0, "XADD s 5-5 f v"),
        (0, "RPUSH k 1"),
    ],
    "a group destroyed": [
        (0, "XGROUP CREATE s g $ MKSTREAM"),
        (1, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >"),
        (0, "XGROUP DESTROY s g"),
    ],
    "a stream deleted": [
        (0, "XGROUP CREATE s g $ MKSTREAM"),
        (1, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >"),
        (0, "DEL s"),
    ],
    "a stream replaced": [
        (0, "XGROUP CREATE s g $ MKSTREAM"),
        (1, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >"),
        (0, "SET s v"),
    ],
    "a stream renamed away and back": [
        (0, "XGROUP CREATE s g $ MKSTREAM"),
        (1, "XREAD BLOCK 0 STREAMS s $"),
        (0, "RENAME s t"),
        (0, "XADD t 7-7 f v"),
        (0, "RENAME t s"),
    ],
    "consumers of one group": [
        (0, "XGROUP CREATE s g $ MKSTREAM"),
        (1, "XREADGROUP GROUP g one COUNT 1 BLOCK 0 STREAMS s >"),
        (2, "XREADGROUP GROUP g two COUNT 1 BLOCK 0 STREAMS s >"),
        (3, "XREAD BLOCK 0 STREAMS s $"),
        (0, "XADD s 1-1 f v"),
        (0, "XADD s 1-2 f v"),
        (0, "XPENDING s g"),
    ],
    "several streams": [
        (0, "XADD a 1-1 f v"),
        (1, "XREAD BLOCK 0 STREAMS a b $ $"),
        (2, "XREAD BLOCK 0 COUNT 1 STREAMS b a 0 1-1"),
        (0, "XADD b 3-1 f v"),
        (0, "XADD a 2-1 f v"),
    ],
    "unblocked by hand": [
        (1, "CLIENT SETNAME one"),
        (1, "BLPOP k 0"),
        (2, "BLMOVE k l LEFT LEFT 0"),
        (3, "XREAD BLOCK 0 STREAMS s $"),
        (0, "UNBLOCK 1 TIMEOUT"),
        (0, "UNBLOCK 2 ERROR"),
        (0, "UNBLOCK 3"),
        (0, "UNBLOCK 3"),
        (1, "ECHO on"),
        (0, "RPUSH k 1"),
        (0, "LLEN k"),
    ],
    "a count": [
        (1, "BZMPOP 0 2 a b MIN COUNT 2"),
        (2, "BZMPOP 0 2 a b MAX COUNT 2"),
        (0, "ZADD b 1 x 2 y 3 z"),
        (0, "ZCARD b"),
    ],
    "bad timeouts": [
        (1, "BLPOP k -1"),
        (1, "BLPOP k x"),
        (1, "BLMPOP -0.5 1 k LEFT"),
        (1, "BZPOPMIN k 1x"),
        (1, "XREAD BLOCK -1 STREAMS s $"),
        (1, "XREAD BLOCK 1.5 STREAMS s $"),
        (1, "BLMOVE a b LEFT LEFT -0.1"),
        (1, "BRPOPLPUSH a b nan"),
    ],
    "a short timeout": [
        (1, "BLPOP k 0.01"),
        (1, "BLMOVE k l LEFT LEFT 0.01"),
        (1, "BRPOPLPUSH k l 0.01"),
        (1, "BLMPOP 0.01 1 k LEFT"),
        (1, "BZPOPMIN k 0.01"),
        (1, "BZMPOP 0.01 1 k MIN"),
        (1, "XREAD BLOCK 10 STREAMS s $"),
    ],
}


LOST_KEY = (b"-UNBLOCKED the stream key no longer exists", b"-NOGROUP ", b"-WRONGTYPE ")
"""What XREADGROUP says when its key is lost: in 7.0, and since then by what is there instead."""


class Cast:
    """The clients of one server."""

    def __init__(self, port: int, resp: int) -> None:
        self.peers = [Peer(port, resp) for _ in range(4)]
        self.ids = [peer.command("CLIENT ID")[1:-2] for peer in self.peers]
        self._observer = Peer(port)

    def close(self) -> None:
        for peer in [*self.peers, self._observer]:
            peer.close()

    def blocked(self) -> list[bool]:
        """Return which clients are blocked."""
        lines = self._observer.command("CLIENT LIST").splitlines()
        blocked = {line.split()[0] for line in lines if b" flags=b" in line}
        return [b"id=" + client_id in blocked for client_id in self.ids]

    def play(self, who: int, line: str) -> None:
        """Send a command."""
        name, _, rest = line.partition(" ")
        if name == "UNBLOCK":
            other, _, reason = rest.partition(" ")
            line = f"CLIENT UNBLOCK {self.ids[int(other)].decode()} {reason}"
        self.peers[who].send(encode(line))


def _settle(real: Cast, ours: Cast, at_end: bool = False) -> None:
    """Wait until the same clients are blocked on both, twice in a row; at the end nobody is."""
    deadline = time.monotonic() + TIMEOUT_S
    settled = 0
    while settled < 2:
        blocked = real.blocked()
        is_settled = blocked == ours.blocked() and not (at_end and any(blocked))
        settled = settled + 1 if is_settled else 0
        assert time.monotonic() < deadline, (real.blocked(), ours.blocked())


def _plain(frame: bytes) -> bytes:
    return b"-lost" if frame.startswith(LOST_KEY) else frame


@pytest.mark.parametrize("name", SCRIPTS)
def test_waiting_clients_get_the_same(name: str, both: Both) -> None:
    script = SCRIPTS[name]
    casts = real, ours = Cast(both.real_port, both.resp), Cast(both.our_port, both.resp)
    try:
        for who, line in script:
            for cast in casts:
                cast.play(who, line)
            if who == 0:
                assert ours.peers[0].frame() == real.peers[0].frame(), line
            _settle(real, ours)
        _settle(real, ours, at_end=True)
        for who in range(1, 4):
            for _ in range(sum(sender == who for sender, _ in script)):
                assert _plain(ours.peers[who].frame()) == _plain(real.peers[who].frame()), who
    finally:
        for cast in casts:
            cast.close()
