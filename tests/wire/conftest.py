"""A server inside the test's loop, and connections to it over every transport.

`connect` is parametrised: a test that uses it, or `server`, runs once over a TCP socket served by
the hub, once over such a socket with TLS, once over a TCP socket served as any other stream (as
where there is no epoll), and once over a stream in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trio

import redis_trio.server
from redis_trio import RedisServer, open_redis
from tests.certificates import Certificates
from tests.wire.talk import Talk

Connect = Callable[[], Awaitable[Talk]]

TRANSPORTS = ("hub", "tls", "stream", "memory")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """What a server with TLS and its clients need."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """A folder for unix sockets: `tmp_path` may be longer than their addresses can be."""
    place = "/tmp" if Path("/tmp").is_dir() else None  # TMPDIR may be long too
    with tempfile.TemporaryDirectory(prefix="redis-trio-", dir=place) as folder:
        yield Path(folder)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the connections of this test are served."""
    name: str = request.param
    if name == "stream":
        monkeypatch.setattr(redis_trio.server, "HAS_EPOLL", False)
    elif name in ("hub", "tls") and not redis_trio.server.HAS_EPOLL:
        pytest.skip("no epoll here: every socket is served as a stream")
    return name


@pytest.fixture
async def server(transport: str, certificates: Certificates) -> AsyncIterator[RedisServer]:
    """A running server."""
    if transport == "tls":
        async with open_redis(tls_port=0, **certificates.options) as server:
            yield server
    else:
        async with open_redis() as server:
            yield server


@pytest.fixture
async def connect(
    transport: str, server: RedisServer, certificates: Certificates
) -> AsyncIterator[Connect]:
    """Open one more connection to `server`."""
    opened: list[Talk] = []
    context = certificates.client_context()

    async def connect() -> Talk:
        stream: trio.abc.Stream
        if transport == "memory":
            stream = await server.connect()
        elif transport == "tls":
            tcp = await trio.open_tcp_stream("127.0.0.1", server.tls_port)
            stream = trio.SSLStream(
                tcp, context, server_hostname="127.0.0.1", https_compatible=True
            )
            await stream.do_handshake()
        else:
            stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        if len(opened) > 50:  # a long test's closed ones are forgotten
            opened[:] = [talk for talk in opened if not talk.closed]
        opened.append(Talk(stream))
        return opened[-1]

    yield connect
    for talk in opened:
        await talk.aclose()
