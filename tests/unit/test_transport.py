"""The synchronous half of a socket connection, with a socket that a test controls."""

from __future__ import annotations

import socket
from typing import cast

from redis_trio.state import ServerState
from redis_trio.transport import Poller, SocketTransport


class FakeSocket:
    """A socket whose peer takes everything at once, or nothing."""

    def __init__(self) -> None:
        self.taken = 0
        self.full = True

    def fileno(self) -> int:
        return 999

    def recv(self, size: int) -> bytes:
        raise BlockingIOError

    def send(self, data: bytes) -> int:
        if self.full:
            raise BlockingIOError
        self.taken += len(data)
        return len(data)


def _nothing() -> None:
    """Attend to nothing."""


def test_a_long_backlog_is_sent_in_slices(state: ServerState) -> None:
    poller = Poller(state)
    sock = FakeSocket()
    transport = SocketTransport(state, cast(socket.socket, sock), _nothing, _nothing, poller)
    chunks = 100_000
    for _ in range(chunks):
        transport.client.out.append(b"x")
        transport.flush()
    assert transport.backlog_bytes == chunks
    sock.full = False
    assert not transport.send_backlog()
    assert 0 < sock.taken < chunks
    while not transport.send_backlog():
        pass
    assert sock.taken == chunks
    assert transport.backlog_bytes == 0
    poller.close()
