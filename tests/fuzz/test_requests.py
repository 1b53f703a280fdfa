"""Any bytes are commands, an error, or the beginning of something: never anything else.

At least 20,000 malformed requests each for the parser alone and for a server that is in use.
"""

from __future__ import annotations

import gc
import random
import sys
import tracemalloc

import pytest
import trio

from redis_trio import RedisServer
from redis_trio.protocol.request import Limits, RequestParser
from tests.fuzz import FACTOR
from tests.fuzz.mutate import malformed
from tests.interop.compare import plain
from tests.unit.test_request import cut, parse
from tests.wire.conftest import Connect, certificates, connect, server, transport  # noqa: F401
from tests.wire.talk import Talk, until

__all__ = ["connect", "server", "transport"]  # fixtures

KB = 1024
ROUNDS = 10 * FACTOR
PER_ROUND = 2000


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_malformed_requests_are_parsed_the_same_however_they_are_cut(seed: int) -> None:
    rng = random.Random(seed)
    errors = 0
    for _ in range(PER_ROUND):
        data = malformed(rng)
        parser = RequestParser(Limits())
        commands, error = parse([data], parser=parser)
        assert all(commands)
        assert parser.buffered_bytes + parser.args_bytes <= len(data)
        assert parse([data[i : i + 1] for i in range(len(data))]) == (commands, error)
        assert parse(cut(data, rng), limit=1) == (commands, error)
        errors += error is not None
    assert PER_ROUND / 10 < errors < PER_ROUND  # the generator makes what it is for


async def _attack(connection: Talk, data: bytes, rng: random.Random) -> None:
    """Send a malformed stream and hang up, at once or after the server's answer."""
    try:
        for piece in cut(data, rng) if rng.random() < 0.1 else [data]:
            await connection.send(piece)
        if rng.random() < 0.8:
            await connection.send_eof()
            await connection.until_closed()
    except trio.BrokenResourceError:
        pass  # refused before it was all sent
    await connection.aclose()


async def _bombard(
    count: int, rng: random.Random, connect: Connect, server: RedisServer, bystander: Talk
) -> None:
    """Send `count` malformed streams, 50 at a time; check on the well-behaved client."""
    for start in range(0, count, 50):
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(_attack, await connect(), malformed(rng), rng)
            key = f"bystander:{start}"
            assert plain(await bystander.command(["SET", key, start])) == "OK"
        assert await bystander.command(["GET", key]) == b"%d" % start
        assert await bystander.command(["DEL", key]) == 1
        await until(lambda: len(server.state.clients) == 1)


@pytest.mark.parametrize(
    ("transport", "total"),
    [("hub", 6_000 * FACTOR), ("memory", 14_000 * FACTOR)],
    indirect=["transport"],
)
async def test_malformed_requests_disturb_nobody_and_leave_nothing(
    total: int, connect: Connect, server: RedisServer
) -> None:
    rng = random.Random(total)
    bystander = await connect()
    await _bombard(total // 2, rng, connect, server, bystander)
    gc.collect()
    tracemalloc.start()
    try:
        await _bombard(300, rng, connect, server, bystander)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        await _bombard(300, rng, connect, server, bystander)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 500 * KB
    finally:
        tracemalloc.stop()
    await _bombard(total // 2 - 600, rng, connect, server, bystander)
    assert sys.getsizeof(server.state.clients) < 10 * KB
    assert len(server.state.commands) < 2000  # unknown names are not kept
