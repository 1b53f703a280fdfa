"""Client-side caching through the real loop: order on the wire, and what is left of a client."""

from __future__ import annotations

import pytest

from redis_trio import RedisServer, open_redis
from redis_trio.protocol.reply import Push, Reply
from tests.interop.compare import encode, plain
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until


async def _tracking(connect: Connect, *lines: str) -> Talk:
    """Return a connection that tracks, has read all its replies, and has sent `lines`."""
    talk = await connect()
    await talk.send(encode("HELLO 3") + encode("CLIENT TRACKING ON"))
    await talk.replies(2)
    for line in lines:
        await talk.send(encode(line))
    return talk


def _invalidated(key: bytes) -> tuple[str, list[object]]:
    return ("push", [b"invalidate", [key]])


async def test_a_blocked_client_is_told_behind_its_answer(
    server: RedisServer, connect: Connect
) -> None:
    reader = await _tracking(connect, "LRANGE to 0 -1", "BLMOVE from to LEFT LEFT 0")
    assert await reader.reply() == []
    await until(lambda: server.state.waiting.count == 1)
    other = await connect()
    await other.send(encode("RPUSH from x") + encode("RPUSH to y"))
    assert [plain(reply) for reply in await reader.replies(2)] == [b"x", _invalidated(b"to")]


async def test_an_answer_never_comes_behind_the_news_that_it_is_outdated(
    server: RedisServer, connect: Connect
) -> None:
    """Both happen in one pipeline of another client, before the reader's task can run."""
    reader = await _tracking(connect, "XREAD BLOCK 0 STREAMS s $")
    await until(lambda: server.state.waiting.count == 1)
    other = await connect()
    await other.send(encode("XADD s 1-1 f v") + encode("DEL s"))
    kinds = [type(reply) for reply in await reader.replies(3)]
    assert kinds == [Push, dict, Push]


@pytest.mark.parametrize("line", ["GET k", "XREAD BLOCK 0 STREAMS s $", "CLIENT TRACKING OFF"])
@pytest.mark.parametrize("ending", ["closes", "is killed", "quits"])
async def test_nothing_is_left_of_a_client_that(
    server: RedisServer, connect: Connect, line: str, ending: str
) -> None:
    state = server.state
    reader = await _tracking(connect, "MGET a b c", line)
    await until(lambda: state.stats.total_commands + state.waiting.count == 4)
    if ending == "closes":
        await reader.aclose()
    elif ending == "quits" and "BLOCK" not in line:
        await reader.send(encode("QUIT"))
    else:
        other = await connect()
        await other.send(encode("CLIENT KILL TYPE normal"))
        assert await other.reply() == 1
    await until(lambda: not state.tracking.clients)
    assert len(state.tracking.keys) == state.tracking.items == 0
    assert not state.observed
    assert not state.listening


async def test_a_call_inside_the_process_leaves_nothing() -> None:
    async with open_redis() as server:
        await server.execute("CLIENT", "TRACKING", "ON")
        assert server.state.tracking.clients == {}
        assert not server.state.listening


async def _reply_of(talk: Talk, line: str) -> Reply:
    await talk.send(encode(line))
    return await talk.reply()


async def test_too_many_keys_are_given_up_while_the_server_is_idle(
    server: RedisServer, connect: Connect
) -> None:
    reader = await _tracking(connect)
    await _reply_of(reader, "MGET " + " ".join(f"k{i}" for i in range(300)))
    other = await connect()
    await _reply_of(other, "CONFIG SET tracking-table-max-keys 10")
    pushes = await reader.replies(290)
    assert {type(push) for push in pushes} == {Push}
    assert len(server.state.tracking.keys) == 10
