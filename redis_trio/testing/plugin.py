"""The pytest plugin: `redis_server`, a server for a test, and `redis_url`, where clients find it.

Who asks for them decides where the server runs. For a test on Trio, by pytest-trio or anyio, it is
in the test's own loop, new for each test, and follows its clock. For any other, synchronous or on
asyncio, it is in a thread, shared by the tests of the process and emptied before each.

    @pytest.mark.redis(maxmemory="10mb")

gives a test, or the tests of a class or a module, a server of its own with that configuration. The
ini option `redis_scope` (function, class, module, package or session) says how long a server in a
thread keeps its data; beyond `function` it is in a thread for tests on Trio, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import pytest

if TYPE_CHECKING:
    from redis_trio.server import RedisServer
    from redis_trio.testing.thread import RunningServer

Options: TypeAlias = dict[str, Any]
Scope: TypeAlias = Literal["session", "package", "module", "class", "function"]

SCOPES: Final[tuple[Scope, ...]] = ("function", "class", "module", "package", "session")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini("redis_scope", "how long redis_server keeps its data", default="function")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers", "redis(**config): parameters of redis.conf for redis_server, with underscores"
    )
    wanted = config.getini("redis_scope")
    if wanted not in SCOPES:
        raise pytest.UsageError(f"redis_scope is {wanted!r}, and not one of {', '.join(SCOPES)}")


def _scope(fixture_name: str, config: pytest.Config) -> Scope:
    """Return the scope of `redis_server`."""
    scope: Scope = config.getini("redis_scope")
    return scope


def _options(request: pytest.FixtureRequest) -> Options:
    """Return the configuration of all markers; what is nearer to the test wins."""
    options: Options = {}
    for marker in reversed(list(request.node.iter_markers("redis"))):
        options |= marker.kwargs
    return options


def _runs_on_trio(request: pytest.FixtureRequest) -> str:
    """Return the plugin that runs the test on Trio, "" if it does not."""
    if request.scope != "function":
        return ""
    plugins = request.config.pluginmanager
    if plugins.hasplugin("trio") and request.node.get_closest_marker("trio") is not None:
        return "trio"
    if (
        "anyio_backend" in request.fixturenames
        and request.node.get_closest_marker("anyio") is not None
        and request.getfixturevalue("anyio_backend_name") == "trio"
    ):
        return "anyio"
    return ""


@pytest.fixture
async def _redis_in_loop(request: pytest.FixtureRequest) -> AsyncIterator[RedisServer]:
    """A server in the loop of the test."""
    from redis_trio import open_redis

    async with open_redis(**_options(request)) as server:
        yield server


@pytest.fixture(scope="session")
def _redis_in_thread() -> Iterator[RunningServer]:
    """The server in a thread that tests share."""
    from redis_trio.testing.thread import running_server

    with running_server() as server:
        yield server


@pytest.fixture(scope=_scope)
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer | RunningServer]:
    """A server, empty: a RedisServer for tests on Trio, a RunningServer for all others."""
    if _runs_on_trio(request):
        yield request.getfixturevalue("_redis_in_loop")
        return
    options = _options(request)
    if options:
        from redis_trio.testing.thread import running_server

        with running_server(**options) as server:
            yield server
        return
    shared: RunningServer = request.getfixturevalue("_redis_in_thread")
    shared.reset()
    yield shared


@pytest.fixture(scope=_scope)
def redis_url(redis_server: RedisServer | RunningServer) -> str:
    """The URL of `redis_server`."""
    return redis_server.url
