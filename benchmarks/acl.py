"""What a user's rules cost: GET, SET and MGET for users with more and more rules, in one process.

    python benchmarks/acl.py

Prints the CPU time of a command, from its bytes to the bytes of its reply, and its ratio to that
of a user who may do everything. There is no network, which would make the ratios smaller.
"""

from __future__ import annotations

import logging
import time

import redis_trio.commands  # noqa: F401  (declares every command)
from redis_trio.clock import Clock
from redis_trio.config import Config
from redis_trio.feed import encode_command
from redis_trio.info import build_kind
from redis_trio.state import ServerState
from redis_trio.transport import Transport

ROUNDS = 9
COMMANDS = 1000
USERS = {
    "everything": "+@all ~* &*",
    "every key": "+@all -@dangerous ~* &*",
    "one prefix": "+@read +@write ~app:* &*",
    "three patterns": "+@read +@write ~x ~y:* ~app:* &*",
    "a general pattern": "+@all ~app:?ey* &*",
    "three selectors": "(+@all ~x:*) (+@all ~y:*) (+@all ~app:*)",
}
REQUESTS = {
    "GET": ["GET", "app:key:1"],
    "SET": ["SET", "app:key:1", "value"],
    "MGET": ["MGET", *(f"app:key:{number}" for number in range(10))],
}


class Peer(Transport):
    """A client whose replies are dropped."""

    def flush(self) -> None:
        """Drop what is to be sent."""
        self.client.out.clear()

    def send(self, data: bytes) -> None:
        """Run commands."""
        self.server.begin()
        more = self.receive(data)
        while more:
            more = self.advance()
        self.server.end()


def encoded(words: list[str]) -> bytes:
    """Return a command in the form in which clients send it."""
    return encode_command([word.encode() for word in words])


def main() -> None:
    """Measure and print."""
    server = ServerState(Config(), Clock(), logging.getLogger("benchmark"))
    peers: dict[str, Peer] = {}
    for user, rules in USERS.items():
        name = user.replace(" ", "-")
        peer = peers[user] = Peer(server, lambda: None)
        peer.client.set_trusted()
        peer.send(encoded(["ACL", "SETUSER", name, "on", "nopass", *rules.split(" ")]))
        peer.send(encoded(["AUTH", name, "x"]))
        assert peer.client.user is server.acl.users[name.encode()]
    best: dict[tuple[str, str], float] = {}
    for _ in range(ROUNDS):
        for user, peer in peers.items():
            for request, words in REQUESTS.items():
                data = encoded(words) * COMMANDS
                began = time.process_time()
                peer.send(data)
                taken = time.process_time() - began
                best[user, request] = min(best.get((user, request), taken), taken)
    print(build_kind())
    first = next(iter(USERS))
    for user in USERS:
        shown = [
            f"{request} {best[user, request] / COMMANDS * 1e6:6.2f} us "
            f"x{best[user, request] / best[first, request]:.2f}"
            for request in REQUESTS
        ]
        print(f"{user:18}", *shown)


if __name__ == "__main__":
    main()
