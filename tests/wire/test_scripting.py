"""Scripts that take long, over every transport, in one loop with the host application."""

from __future__ import annotations

import pytest
import trio

from redis_trio import RedisServer, open_redis
from redis_trio.protocol.plain import PlainReply, plain_reply
from redis_trio.protocol.reply import RedisError
from tests.interop.compare import encode
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until

FOREVER = "while true do end"
LONG = "for i = 1, 300000 do end "  # more than a slice, on any machine
BUSY = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."


async def answer(server: RedisServer, *words: str) -> PlainReply | RedisError:
    """Run a command inside the process; an error is returned."""
    try:
        return await server.execute(*words)
    except RedisError as error:
        return error


async def send(talk: Talk, *commands: list[str]) -> None:
    """Send commands in one piece."""
    await talk.send(b"".join([encode(command) for command in commands]))


async def error(talk: Talk) -> str:
    """Return the text of the next reply, an error."""
    reply = await talk.reply()
    assert isinstance(reply, RedisError), reply
    return reply.message


async def simple(talk: Talk) -> object:
    """Return the next reply as a plain value."""
    return plain_reply(await talk.reply())


async def test_the_host_runs_on_while_a_script_takes_long() -> None:
    """Nobody is told BUSY yet: who asks for something waits until the script has ended."""
    async with open_redis() as server, trio.open_nursery() as nursery:
        nursery.start_soon(answer, server, "EVAL", "redis.call('set', 'k', 1) " + FOREVER, "0")
        await until(lambda: server.state.whole.closed)
        with trio.move_on_after(0.05) as scope:
            await server.execute("GET", "k")
        assert scope.cancelled_caught
        assert not server.state.script_is_slow
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "script",
    [
        FOREVER,
        "while true do pcall(function() while true do end end) end",
        "local f = function() while 1 do redis.call('ping') end end while 1 do pcall(f) end",
        "coroutine.wrap(function() while true do end end)()",
        "while true do pcall(coroutine.wrap(function() while true do pcall(error) end end)) end",
        "while true do xpcall(error, function() while true do end end) end",
        "return {setmetatable({}, {__index = function() while true do end end})['x']}",
    ],
)
async def test_others_are_told_busy_and_can_kill_it(
    server: RedisServer, connect: Connect, script: str
) -> None:
    await server.execute("CONFIG", "SET", "busy-reply-threshold", "1")
    slow = await connect()
    other = await connect()
    await send(slow, ["EVAL", script, "0"])
    await until(lambda: server.state.script_is_slow)
    late = await connect()
    for talk in (other, late):
        await send(talk, ["GET", "k"])
        assert await error(talk) == BUSY
    await send(late, ["SCRIPT", "KILL"])
    assert await simple(late) == b"OK"
    assert "killed by user" in await error(slow)
    await send(other, ["PING"])
    assert await simple(other) == b"PONG"


async def test_function_kill_ends_a_function(server: RedisServer, connect: Connect) -> None:
    await server.execute("CONFIG", "SET", "busy-reply-threshold", "1")
    code = f"#!lua name=l\nredis.register_function('f', function() {FOREVER} end)"
    await server.execute("FUNCTION", "LOAD", code)
    slow = await connect()
    other = await connect()
    await send(slow, ["FCALL", "f", "0"])
    await until(lambda: server.state.script_is_slow)
    await send(other, ["FUNCTION", "STATS"], ["SCRIPT", "KILL"], ["FUNCTION", "KILL"], ["PING"])
    stats = await simple(other)
    assert isinstance(stats, list)
    assert stats[1][:4] == [b"name", b"f", b"command", [b"FCALL", b"f", b"0"]]
    assert "FUNCTION KILL" in await error(other)
    assert await simple(other) == b"OK"
    assert "killed by user" in await error(slow)


async def test_long_scripts_exclude_each_other(server: RedisServer, connect: Connect) -> None:
    """Each is one step for all others, however many slices it takes."""
    script = (
        f"local n = redis.call('get', KEYS[1]) or 0 {LONG} return redis.call('set', KEYS[1], n + 1)"
    )
    talks = [await connect() for _ in range(6)]
    for talk in talks:
        await send(talk, *[["EVAL", script, "1", "n"]] * 4)
    for talk in talks:
        for _ in range(4):
            assert await simple(talk) == b"OK"
    assert await server.execute("GET", "n") == b"24"


async def test_a_transaction_with_a_long_script_is_one_step(
    server: RedisServer, connect: Connect
) -> None:
    first = await connect()
    second = await connect()
    script = LONG + "return redis.call('incr', 'n')"
    await send(first, ["MULTI"], ["INCR", "n"], ["EVAL", script, "0"], ["INCR", "n"], ["EXEC"])
    assert [await simple(first) for _ in range(4)] == [b"OK", b"QUEUED", b"QUEUED", b"QUEUED"]
    await send(second, ["MULTI"], ["EVAL", script, "0"], ["EVAL", script, "0"], ["EXEC"])
    assert await simple(first) == [1, 2, 3]
    assert [await simple(second) for _ in range(4)] == [b"OK", b"QUEUED", b"QUEUED", [4, 5]]


async def test_a_long_script_wakes_who_waits_when_it_ends(
    server: RedisServer, connect: Connect
) -> None:
    waiting = await connect()
    pusher = await connect()
    await send(waiting, ["BLPOP", "list", "0"])
    await until(lambda: server.state.waiting.count == 1)
    script = f"redis.call('rpush', 'list', 'a') {LONG} redis.call('lpush', 'list', 'b')"
    await send(pusher, ["EVAL", script, "0"], ["PING"])
    assert await simple(waiting) == [b"list", b"b"]
    assert [await simple(pusher) for _ in range(2)] == [None, b"PONG"]


async def test_time_stands_still_in_a_script_that_takes_long() -> None:
    async with open_redis() as server:
        script = f"local a = redis.call('time') {LONG * 10} local b = redis.call('time') "
        same = "return a[1] == b[1] and a[2] == b[2]"
        assert await server.execute("EVAL", script + same, "0") == 1


async def test_a_client_that_goes_away_does_not_end_its_script(
    server: RedisServer, connect: Connect
) -> None:
    leaving = await connect()
    await send(leaving, ["EVAL", LONG * 3 + "return redis.call('set', 'done', 1)", "0"])
    await until(lambda: server.state.scripting is not None and server.state.whole.closed)
    await leaving.aclose()
    assert await server.execute("GET", "done") == b"1"


async def test_closing_the_server_ends_a_script_that_never_ends() -> None:
    async with open_redis() as server, trio.open_nursery() as nursery:
        script = "while true do pcall(redis.call, 'incr', 'n') end"
        nursery.start_soon(answer, server, "EVAL", script, "0")
        await until(lambda: server.state.whole.closed)
        nursery.cancel_scope.cancel()
    assert not server.state.whole.closed
    assert server.state.scripting is not None
    assert server.state.scripting.running is None


async def test_shutdown_nosave_ends_a_script_that_has_written(
    server: RedisServer, connect: Connect
) -> None:
    await server.execute("CONFIG", "SET", "busy-reply-threshold", "1")
    slow = await connect()
    other = await connect()
    await send(slow, ["EVAL", "redis.call('set', 'k', 1) " + FOREVER, "0"])
    await until(lambda: server.state.script_is_slow)
    await send(other, ["SCRIPT", "KILL"])
    assert (await error(other)).startswith("UNKILLABLE")
    await send(other, ["SHUTDOWN"])
    assert await error(other) == BUSY
    await send(other, ["SHUTDOWN", "NOSAVE"])
    assert await other.until_closed() == b""
    await server.aclose()
