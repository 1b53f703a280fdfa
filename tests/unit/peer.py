"""A connection's synchronous half with nobody at the other end: pipelines in, bytes out."""

from __future__ import annotations

from redis_trio.feed import encode_command
from redis_trio.protocol.request import split_inline
from redis_trio.state import ServerState
from redis_trio.transport import Transport


class Peer(Transport):
    """A client of the server whose replies are looked at instead of sent.

    Attributes:
      sent: what it was sent and nobody has looked at.
      attended: how often the connection's task was called.
      resumed: whether it was told to go on after a pause.
    """

    def __init__(self, server: ServerState) -> None:
        self.sent = b""
        self.attended = 0
        self.resumed = False
        super().__init__(server, self._attended)
        server.clients[self.client.id] = self.client
        self.client.addr = f"127.0.0.1:{50000 + self.client.id}"
        self.client.laddr = "127.0.0.1:6379"

    def _attended(self) -> None:
        self.attended += 1

    def flush(self) -> None:
        if self.client.out:
            self.sent += self._take_output()

    def resume(self) -> None:
        self.resumed = True

    def send(self, *lines: str | list[bytes]) -> bytes:
        """Send commands in one piece; return what comes back at once."""
        data = b""
        for line in lines:
            args = split_inline(line.encode()) if isinstance(line, str) else line
            assert args is not None
            data += encode_command(args)
        return self.send_raw(data)

    def send_raw(self, data: bytes) -> bytes:
        """Send bytes; return what comes back at once."""
        self.server.begin()
        more = self.receive(data)
        return self._finish(more)

    def go_on(self) -> bytes:
        """Do what a resumed client does; return what it is sent."""
        assert self.resumed
        self.resumed = False
        self.server.begin()
        return self._finish(self.advance())

    def take(self) -> bytes:
        """Return what it was sent since the last look."""
        sent, self.sent = self.sent, b""
        return sent

    def _finish(self, more: bool) -> bytes:
        while more:
            more = self.advance()
        self.server.end()
        return self.take()
