"""Damages requests: any bytes are commands, an error, or the beginning of something.

What a client sends is parsed the same however it is cut, and the commands run without a bug.
"""

from __future__ import annotations

import random
import sys
from functools import cache

from redis_trio.protocol.request import Limits, RequestParser
from tests.fuzz.damage import damaged, main
from tests.fuzz.mutate import malformed
from tests.fuzz.samples import Server
from tests.unit.test_request import cut, parse


@cache
def _server() -> Server:
    return Server()


def make(rng: random.Random) -> bytes:
    """Return a malformed stream of requests."""
    data = malformed(rng)
    return damaged(rng, data) if rng.random() < 0.3 else data


def check(data: bytes, rng: random.Random) -> None:
    """Parse it whole, byte by byte and in pieces, and run what it says."""
    parser = RequestParser(Limits())
    commands, error = parse([data], parser=parser)
    assert all(commands)
    assert parser.buffered_bytes + parser.args_bytes <= len(data)
    assert parse([data[i : i + 1] for i in range(len(data))]) == (commands, error)
    assert parse(cut(data, rng), limit=1) == (commands, error)
    server = _server()
    for args in commands[:50]:
        server.run(*args)
        if server.client.close_after_reply or server.client.halted:
            _server.cache_clear()
            return


if __name__ == "__main__":
    sys.exit(main(make, check))
