"""The fixtures of the pytest plugin, in runs of pytest of their own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

EVERYBODY = """
import asyncio

import pytest
import redis
import redis.asyncio
import trio

from redis_trio import RedisServer
from redis_trio.testing import RunningServer


@pytest.mark.parametrize("number", [1, 2])
def test_synchronous_tests_find_an_empty_server(redis_server, redis_url, number):
    assert isinstance(redis_server, RunningServer)
    with redis.Redis.from_url(redis_url) as client:
        assert client.incr("counter") == 1
        client.config_set("maxmemory", "10mb")


def test_changes_of_the_configuration_have_gone(redis_server):
    assert redis_server.execute("CONFIG", "GET", "maxmemory") == {b"maxmemory": b"0"}


@pytest.mark.redis(maxmemory="10mb", databases=3)
class TestOfAClass:
    def test_a_marker_configures(self, redis_server):
        assert redis_server.execute("CONFIG", "GET", "maxmemory") == {b"maxmemory": b"10485760"}

    @pytest.mark.redis(maxmemory="20mb")
    def test_the_nearer_marker_wins(self, redis_server):
        shown = redis_server.execute("CONFIG", "GET", "maxmemory", "databases")
        assert shown == {b"maxmemory": b"20971520", b"databases": b"3"}


@pytest.mark.asyncio
async def test_asyncio_tests_talk_to_the_thread(redis_url):
    async with redis.asyncio.from_url(redis_url) as client:
        assert await client.incr("counter") == 1


@pytest.mark.trio
async def test_trio_tests_have_it_in_their_loop_and_its_clock(redis_server, autojump_clock):
    assert isinstance(redis_server, RedisServer)
    await redis_server.execute("SET", "session", "abc", "EX", 3600)
    await trio.sleep(3601)
    assert await redis_server.execute("GET", "session") is None


@pytest.mark.trio
@pytest.mark.redis(maxmemory="10mb")
async def test_markers_configure_those_as_well(redis_server, redis_url):
    shown = await redis_server.execute("CONFIG", "GET", "maxmemory")
    assert shown == {b"maxmemory": b"10485760"}
    assert redis_url == redis_server.url


@pytest.mark.anyio
async def test_anyio_has_it_in_the_loop_if_that_is_trio(redis_server, anyio_backend_name):
    if anyio_backend_name == "trio":
        assert isinstance(redis_server, RedisServer)
        assert await redis_server.execute("INCR", "counter") == 1
    else:
        assert isinstance(redis_server, RunningServer)
        assert redis_server.execute("INCR", "counter") == 1
"""


def test_everybody_has_a_server(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI)
    pytester.makepyfile(EVERYBODY)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=10)


def test_in_a_wider_scope_the_data_stay(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI + "redis_scope = session\n")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", [1, 2])
        def test_data_stay(redis_server, number):
            assert redis_server.execute("INCR", "counter") == number
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_an_unknown_scope_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI + "redis_scope = galaxy\n")
    pytester.makepyfile("def test_it(redis_server): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.stderr.fnmatch_lines(["*redis_scope is 'galaxy', and not one of function, class*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_the_plugin_imports_no_server_before_somebody_asks_for_one(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini(INI)
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert "redis_trio.testing.plugin" in sys.modules
            assert "redis_trio.server" not in sys.modules
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
