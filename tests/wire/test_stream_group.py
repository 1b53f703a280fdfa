"""Waiting for the entries of a group, through the real loop."""

from __future__ import annotations

import pytest

from redis_trio import RedisServer
from redis_trio.protocol.reply import RedisError
from tests.interop.compare import plain
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until

READ = b"XREADGROUP GROUP g c BLOCK 0 STREAMS s >\r\n"
NOGROUP = (
    "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"  # as unblocked
)


async def test_each_new_entry_goes_to_who_has_waited_longest(
    server: RedisServer, connect: Connect
) -> None:
    await server.execute("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    talks: list[Talk] = []
    for i in range(3):
        talks.append(await connect())
        await talks[-1].send(b"XREADGROUP GROUP g c%d BLOCK 0 STREAMS s >\r\n" % i)
        await until(lambda: server.state.waiting.count == len(talks))
    for i, talk in enumerate(talks):
        await server.execute("XADD", "s", f"{i}-1", "f", "v")
        assert plain(await talk.reply()) == [[b"s", [[b"%d-1" % i, [b"f", b"v"]]]]]
        assert server.state.waiting.count == 2 - i
    shown = await server.execute("XPENDING", "s", "g", "-", "+", "10")
    assert isinstance(shown, list)
    assert [item[:2] for item in shown if isinstance(item, list)] == [
        [b"0-1", b"c0"],
        [b"1-1", b"c1"],
        [b"2-1", b"c2"],
    ]


@pytest.mark.parametrize(
    "command", ["XGROUP DESTROY s g", "DEL s", "FLUSHALL", "RENAME s t", "SWAPDB 0 1"]
)
async def test_who_waits_for_a_group_that_goes_away_gets_an_error(
    server: RedisServer, connect: Connect, command: str
) -> None:
    await server.execute("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    talk = await connect()
    await talk.send(READ)
    await until(lambda: server.state.waiting.count == 1)
    await server.execute(*command.split())
    reply = await talk.reply()
    assert isinstance(reply, RedisError)
    assert reply.message == NOGROUP
    assert server.state.waiting.count == 0


async def test_a_consumer_that_was_deleted_while_it_waited_is_there_again(
    server: RedisServer, connect: Connect
) -> None:
    await server.execute("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    talk = await connect()
    await talk.send(READ)
    await until(lambda: server.state.waiting.count == 1)
    assert await server.execute("XGROUP", "DELCONSUMER", "s", "g", "c") == 0
    assert await server.execute("XINFO", "CONSUMERS", "s", "g") == []
    await server.execute("XADD", "s", "1-1", "f", "v")
    assert plain(await talk.reply()) == [[b"s", [[b"1-1", [b"f", b"v"]]]]]
    assert await server.execute("XPENDING", "s", "g") == [1, b"1-1", b"1-1", [[b"c", b"1"]]]
