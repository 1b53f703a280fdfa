"""The server's time, moved and stopped: everything that has a deadline follows."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import redis
import trio

from redis_trio import RedisServer, open_redis
from redis_trio.testing import running_server


def collect(results: list[object], name: object) -> Callable[..., Awaitable[None]]:
    """Return a function that notes the result of an async call, with a name."""

    async def call(server: RedisServer, *words: str | float) -> None:
        results.append((name, await server.execute(*words)))

    return call


async def test_a_key_expires_in_a_moment() -> None:
    async with open_redis() as server:
        await server.execute("SET", "session", "abc", "EX", 3600)
        await server.time.advance(3599)
        assert await server.execute("TTL", "session") == 1
        await server.time.advance(1)
        assert await server.execute("DBSIZE") == 0


async def test_what_is_due_happens_in_order_and_before_advance_returns() -> None:
    done: list[object] = []
    async with open_redis() as server, trio.open_nursery() as nursery:
        for timeout_s in (30, 10, 20):
            nursery.start_soon(collect(done, timeout_s), server, "BLPOP", "list", timeout_s)
        await trio.testing.wait_all_tasks_blocked()
        await server.execute("SET", "k", "v", "EX", 15)
        expired = partial(server.execute, "EXISTS", "k")
        await server.time.advance(12)
        assert done == [(10, None)]
        assert await expired() == 1
        await server.time.advance(8)
        assert await expired() == 0
        assert done == [(10, None), (20, None)]
        await server.time.advance(3600)
        assert done == [(10, None), (20, None), (30, None)]


async def test_expiry_and_timeouts_keep_their_order_among_each_other() -> None:
    """A key that expires at 10 s is there for who gives up at 5 s, and not at 15 s."""
    async with open_redis(notify_keyspace_events="Ex") as server:
        seen: list[object] = []
        stream = await server.connect()
        await stream.send_all(b"SUBSCRIBE __keyevent@0__:expired\r\n")

        async def give_up(seconds: float) -> None:
            await server.execute("BLPOP", "list", seconds)
            seen.append((seconds, await server.execute("EXISTS", "k")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(give_up, 15)
            nursery.start_soon(give_up, 5)
            await trio.testing.wait_all_tasks_blocked()
            await server.execute("SET", "k", "v", "EX", 10)
            await server.time.advance(20)
        assert seen == [(5, 1), (15, 0)]
        received = b""
        while b"expired\r\n$1\r\nk\r\n" not in received:
            received += await stream.receive_some()


async def test_stopped_time_does_not_pass() -> None:
    async with open_redis() as server:
        server.time.freeze()
        first = await server.execute("TIME")
        await server.execute("SET", "k", "v", "PX", 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.execute, "BLPOP", "list", 0.001)
            await trio.testing.wait_all_tasks_blocked(0.02)
            assert len(nursery.child_tasks) == 1
            assert await server.execute("TIME") == first
            assert await server.execute("PTTL", "k") == 1
            await server.time.advance(0.001)
        assert await server.execute("EXISTS", "k") == 0


async def test_time_goes_on_from_where_it_was_stopped() -> None:
    async with open_redis() as server:
        server.time.freeze()
        await server.time.advance(1000)
        stopped = server.time.time()
        await server.execute("SET", "k", "v", "PX", 5)
        server.time.resume()
        assert 0 <= server.time.time() - stopped < 100
        await server.execute("BLPOP", "list", 0.006)
        assert await server.execute("EXISTS", "k") == 0


async def test_stream_ids_and_idle_times_follow() -> None:
    async with open_redis() as server:
        server.time.freeze()
        first = await server.execute("XADD", "s", "*", "f", "v")
        await server.time.advance(10)
        second = await server.execute("XADD", "s", "*", "f", "v")
        assert isinstance(first, bytes)
        assert isinstance(second, bytes)
        difference_ms = int(second.split(b"-")[0]) - int(first.split(b"-")[0])
        assert difference_ms == 10_000
        await server.time.advance(100)
        assert await server.execute("OBJECT", "IDLETIME", "s") == 100


async def test_virtual_trio_time_can_be_moved_in_addition(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_redis() as server:
        await server.execute("SET", "k", "v", "EX", 100)
        await server.time.advance(60)
        await trio.sleep(39)
        assert await server.execute("EXISTS", "k") == 1
        await trio.sleep(2)
        assert await server.execute("EXISTS", "k") == 0


async def test_time_cannot_go_back() -> None:
    async with open_redis() as server:
        with pytest.raises(ValueError, match="back"):
            await server.time.advance(-1)


async def test_many_deadlines_are_not_visited_for_ever() -> None:
    async with open_redis() as server:
        for number in range(1500):
            await server.execute("SET", number, "v", "PX", number + 1)
        await server.time.advance(60)
        assert await server.execute("DBSIZE") == 0


def test_clients_of_a_thread_time_out_at_once() -> None:
    with running_server() as server, redis.Redis.from_url(server.url) as client:
        replies: list[object] = []
        waiting = threading.Thread(target=lambda: replies.append(client.blpop(["list"], 30)))
        waiting.start()
        while b"blocked_clients:1" not in str(server.execute("INFO", "clients")).encode():
            pass
        server.time.advance(30)
        waiting.join(20)
        assert replies == [None]


def test_reset_starts_time_again() -> None:
    with running_server() as server:
        server.time.freeze()
        server.reset()
        assert not server.server.time.frozen
        before = server.time.time()
        server.time.advance(3600)
        assert server.time.time() >= before + 3600
