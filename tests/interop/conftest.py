"""A real redis-server and ours, side by side.

Both are started once a session, on free ports, and emptied before each test. `both` is a client of
the two: a test that uses it runs twice, in RESP2 and in RESP3.

    def test_getdel_removes_the_key(both):
        both("SET k v", "GETDEL k", "EXISTS k")

Without redis-server the tests are skipped; where CI is set that is an error.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.interop.compare import Both, Peer
from tests.processes import OURS, ServerProcess

Start = Callable[..., int]
"""Starts a server with more command-line arguments; returns its port."""


@pytest.fixture(scope="session")
def redis_server() -> str:
    """The path of the real redis-server."""
    path = shutil.which("redis-server")
    if path is None:
        message = "redis-server is not installed: its replies cannot be compared with ours"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


def _starter(command: Sequence[str], directory: Path) -> Iterator[Start]:
    servers: list[ServerProcess] = []

    def start(*options: str) -> int:
        server = ServerProcess(command, directory / str(len(servers)), options)
        servers.append(server.start())
        server.wait_until_ready()
        return server.port

    try:
        yield start
    finally:
        for server in servers:
            server.kill()


@pytest.fixture(scope="session")
def start_real(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a redis-server with more options; returns its port."""
    yield from _starter([redis_server], tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="session")
def start_ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start our server, as a process, with more options; returns its port."""
    yield from _starter(OURS, tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="session")
def real_port(start_real: Start) -> int:
    """The port of the redis-server that most tests share."""
    return start_real()


@pytest.fixture(scope="session")
def our_port(start_ours: Start) -> int:
    """The port of our server, with the same options."""
    return start_ours()


def _empty(port: int) -> None:
    with closing(Peer(port)) as peer:
        reply = peer.command("FLUSHALL")
        assert reply == b"+OK\r\n", reply


@pytest.fixture
def compare_raw(real_port: int, our_port: int) -> Iterator[Callable[[bytes], bytes]]:
    """Send raw bytes to both servers and compare all they answer; see `Both.raw`."""
    client = Both(real_port, our_port, 2)
    yield client.raw
    client.close()


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def both(request: pytest.FixtureRequest, real_port: int, our_port: int) -> Iterator[Both]:
    """A client of both servers, which are empty; see `Both`."""
    _empty(real_port)
    _empty(our_port)
    client = Both(real_port, our_port, request.param)
    yield client
    client.close()
