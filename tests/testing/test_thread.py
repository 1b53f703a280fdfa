"""A server in a thread, for whoever has no Trio loop."""

from __future__ import annotations

import asyncio
import threading
import unittest

import pytest
import redis
import redis.asyncio
import trio

from redis_trio import ConfigError, RedisError
from redis_trio.testing import running_server


def names() -> list[str]:
    """Return the threads there are."""
    return sorted(thread.name for thread in threading.enumerate())


def test_clients_connect_and_the_test_looks_inside() -> None:
    with running_server() as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("key", "value")
        assert server.execute("GET", "key") == b"value"
        server.execute("LPUSH", "list", "a")
        with redis.Redis(port=server.port, protocol=3) as client:
            assert client.blpop("list", 1) == [b"list", b"a"]


def test_errors_are_raised_where_they_are_asked_for() -> None:
    with running_server() as server:
        server.execute("SET", "key", "value")
        with pytest.raises(RedisError, match="WRONGTYPE"):
            server.execute("LPUSH", "key", "a")


def test_nothing_is_left() -> None:
    before = names()
    with running_server() as server:
        port = server.port
        assert "redis server" in names()
    assert names() == before
    with pytest.raises(redis.ConnectionError):
        redis.Redis(port=port).ping()
    with pytest.raises(trio.RunFinishedError):
        server.execute("PING")


def test_a_server_that_cannot_start_says_why() -> None:
    before = names()
    with pytest.raises(ConfigError), running_server(nosuch="yes"):
        pass
    with (
        running_server() as server,
        pytest.raises(OSError, match="in use"),
        running_server(server.port),
    ):
        pass
    assert names() == before


def test_a_server_that_was_shut_down_ends_the_block_in_order() -> None:
    with running_server() as server, redis.Redis.from_url(server.url) as client:
        client.shutdown(nosave=True)


def test_what_happens_in_the_block_is_raised_and_the_server_has_ended() -> None:
    before = names()
    with pytest.raises(ZeroDivisionError), running_server():
        raise ZeroDivisionError
    assert names() == before


def test_reset_removes_data_functions_users_and_changes_of_the_configuration() -> None:
    with running_server(maxmemory="1gb") as server:
        server.execute("SET", "key", "value")
        server.execute("CONFIG", "SET", "maxmemory", "10mb", "save", "60 1")
        code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
        server.execute("FUNCTION", "LOAD", code)
        server.execute("ACL", "SETUSER", "joe", "on")
        server.reset()
        assert server.execute("DBSIZE") == 0
        assert server.execute("FUNCTION", "LIST") == []
        assert server.execute("ACL", "USERS") == [b"default"]
        found = server.execute("CONFIG", "GET", "maxmemory", "save")
        assert found == {b"maxmemory": b"%d" % 2**30, b"save": b""}


def test_asyncio_code_talks_to_it() -> None:
    async def talk(url: str) -> object:
        async with redis.asyncio.from_url(url) as client:
            await client.set("key", "value")
            return await client.get("key")

    with running_server() as server:
        assert asyncio.run(talk(server.url)) == b"value"


class TestOfUnittest(unittest.TestCase):
    """unittest has the server for a class of tests."""

    def setUp(self) -> None:
        """Empty the server."""
        self.server = self.enterContext(running_server())

    def test_it_is_there(self) -> None:
        with redis.Redis.from_url(self.server.url) as client:
            assert client.ping()
