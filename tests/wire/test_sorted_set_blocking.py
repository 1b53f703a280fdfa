"""Waiting for members of sorted sets, through the real loop: who gets what, and what is fed."""

from __future__ import annotations

import pytest

from redis_trio import RedisServer
from redis_trio.protocol.request import RequestParser
from tests.interop.compare import plain
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until

LINES = [b"BZPOPMIN a z 0", b"BZMPOP 0 2 a z MAX COUNT 2", b"BZPOPMAX z 0", b"BZPOPMIN z 0"]


@pytest.fixture
async def waiters(server: RedisServer, connect: Connect) -> list[Talk]:
    """A client for each of LINES, blocked in that order."""
    return [await _blocked(server, await connect(), line) for line in LINES]


async def _blocked(server: RedisServer, talk: Talk, line: bytes) -> Talk:
    waiting = server.state.waiting
    count = waiting.count
    await talk.send(line + b"\r\n")
    await until(lambda: waiting.count == count + 1)
    return talk


async def test_members_go_to_those_who_wait_in_the_order_in_which_they_came(
    server: RedisServer, waiters: list[Talk]
) -> None:
    await server.execute("ZADD", "z", 1, "a", 2, "b", 3, "c", 4, "d")
    assert plain(await waiters[0].reply()) == [b"z", b"a", b"1"]
    assert plain(await waiters[1].reply()) == [b"z", [[b"d", b"4"], [b"c", b"3"]]]
    assert plain(await waiters[2].reply()) == [b"z", b"b", b"2"]
    assert await server.execute("EXISTS", "z") == 0
    assert server.state.waiting.count == 1


async def test_a_key_of_another_type_wakes_nobody(server: RedisServer, waiters: list[Talk]) -> None:
    await server.execute("SADD", "z", "m")
    assert server.state.waiting.count == len(waiters)
    await server.execute("ZUNIONSTORE", "a", 1, "z")
    assert plain(await waiters[0].reply()) == [b"a", b"m", b"1"]


async def test_what_is_fed_for_those_who_waited_is_a_pop_that_does_not_wait(
    server: RedisServer, waiters: list[Talk]
) -> None:
    chunks: list[bytes] = []
    stop = server.state.feed.listen(chunks.append)
    await server.execute("GEOADD", "z", 0, 0, "a", 1, 1, "b", 2, 2, "c", 3, 3, "d")
    await waiters[2].reply()
    await server.execute("ZADD", "z", "inf", "e")
    assert plain(await waiters[3].reply()) == [b"z", b"e", b"inf"]
    stop()
    parser = RequestParser(server.state.limits)
    parser.feed(b"".join(chunks))
    fed = [b" ".join(args) for args in parser.parse(100)]
    pops = [line for line in fed if b"ZPOP" in line or b"ZMPOP" in line]
    assert pops == [b"ZPOPMIN z", b"ZPOPMAX z 2", b"ZPOPMAX z", b"ZPOPMIN z"]
