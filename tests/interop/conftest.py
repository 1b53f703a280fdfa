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
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.interop.compare import Both, Peer

Start = Callable[..., int]
"""Starts a server with more command-line arguments; returns its port."""

ATTEMPTS = 400  # to connect to a server that has just been started, STEP_S apart
STEP_S = 0.05
OPTIONS = ("--save", "", "--appendonly", "no", "--enable-debug-command", "yes")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


class ServerProcess:
    """A server in a process of its own, in an empty directory of its own."""

    def __init__(self, command: list[str], directory: Path, options: tuple[str, ...]) -> None:
        self.port = _free_port()
        directory.mkdir()
        self._log = directory / "output"
        args = [*command, "--port", str(self.port), "--dir", str(directory), *OPTIONS, *options]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(args, stdout=output, stderr=subprocess.STDOUT)

    def wait_until_ready(self) -> None:
        """Wait until it answers and has loaded its data, or fail with what it printed."""
        for _ in range(ATTEMPTS):
            try:
                with closing(Peer(self.port)) as peer:
                    if not peer.command("PING").startswith(b"-LOADING"):
                        return
            except (OSError, EOFError):
                pass
            try:
                self._process.wait(STEP_S)  # unless it has died there is another attempt
                break
            except subprocess.TimeoutExpired:
                pass
        self.stop()
        pytest.fail(f"no server on port {self.port}:\n{self._log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


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


def _starter(command: list[str], directory: Path) -> Iterator[Start]:
    servers: list[ServerProcess] = []

    def start(*options: str) -> int:
        server = ServerProcess(command, directory / str(len(servers)), options)
        servers.append(server)
        server.wait_until_ready()
        return server.port

    try:
        yield start
    finally:
        for server in servers:
            server.stop()


@pytest.fixture(scope="session")
def start_real(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a redis-server with more options; returns its port."""
    yield from _starter([redis_server], tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="session")
def start_ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start our server, as a process, with more options; returns its port."""
    command = [sys.executable, "-m", "redis_trio"]
    yield from _starter(command, tmp_path_factory.mktemp("ours"))


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
