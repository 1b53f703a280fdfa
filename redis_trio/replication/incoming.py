"""What comes over the connection to a primary: lines, then the data, then the stream.

`Incoming` reads a `trio.abc.Stream` and keeps what belongs to the next part. `Payload` is the RDB
data of a full synchronization in either of its forms: with its length in front, or, where the
primary does not know that, with a mark behind it.

Source: Redis replication.c readSyncBulkPayload, receiveSynchronousResponse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from redis_trio.replication.upstream import Upstream
    from redis_trio.state import ServerState

RECEIVE_SIZE: Final = 128 * 1024
LINE_MAX: Final = 64 * 1024
MARK_SIZE: Final = 40


class LinkError(Exception):
    """The connection is of no use any more; the text is for the log, empty if that was told."""


class Incoming:
    """The bytes of a connection, in order."""

    def __init__(self, server: ServerState, upstream: Upstream, stream: trio.abc.Stream) -> None:
        self._server = server
        self._upstream = upstream
        self._stream = stream
        self._kept = b""

    async def receive(self) -> bytes:
        """Return the bytes that come next, at least one.

        Raises:
          LinkError: the primary has closed the connection, or it broke.
        """
        if self._kept:
            await trio.lowlevel.checkpoint()
            data, self._kept = self._kept, b""
            return data
        try:
            data = bytes(await self._stream.receive_some(RECEIVE_SIZE))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            cause = exc.__cause__
            reason = cause.strerror if isinstance(cause, OSError) else None
            raise LinkError(reason or "connection lost") from None
        if not data:
            raise LinkError("connection lost")
        self._server.clock.refresh()
        self._server.stats.net_repl_input_bytes += len(data)
        self._upstream.touch()
        return data

    def put_back(self, data: bytes) -> None:
        """Have these bytes come next."""
        self._kept = data + self._kept

    async def line(self) -> bytes:
        """Return the next line, without its end.

        Raises:
          LinkError: see `receive`; or the line is too long to be one.
        """
        line = b""
        while True:
            data = await self.receive()
            end = data.find(b"\n")
            if end >= 0:
                self._kept = data[end + 1 :] + self._kept
                return (line + data[:end]).removesuffix(b"\r")
            line += data
            if len(line) > LINE_MAX:
                raise LinkError("a line without an end")


class Payload:
    """The data of a full synchronization.

    Attributes:
      size: in bytes, 0 if that is not known.
      has_mark: whether there is a mark behind it.
    """

    def __init__(self, incoming: Incoming, header: bytes) -> None:
        """Take the line in front of the data: `$` and a length, or `$EOF:` and a mark.

        Raises:
          LinkError: it is neither.
        """
        self._incoming = incoming
        self.has_mark = header.startswith(b"$EOF:") and len(header) >= 5 + MARK_SIZE
        self._mark = header[5 : 5 + MARK_SIZE]
        self.size = 0
        if not self.has_mark:
            try:
                self.size = int(header[1:])
            except ValueError:
                raise LinkError("the length of the data is no number") from None
        self._left = self.size
        self._tail = b""  # may be the beginning of the mark
        self._ended = self.size <= 0 and not self.has_mark

    async def next(self) -> bytes:
        """Return the bytes that come next, none at the end. Raises LinkError."""
        while not self._ended:
            data = await self._incoming.receive()
            part = self._until_mark(data) if self.has_mark else self._until_size(data)
            if part:
                return part
        return b""

    def _until_size(self, data: bytes) -> bytes:
        left = self._left
        if len(data) > left:
            self._incoming.put_back(data[left:])
            data = data[:left]
        self._left -= len(data)
        self._ended = self._left == 0
        return data

    def _until_mark(self, data: bytes) -> bytes:
        data = self._tail + data
        place = data.find(self._mark)
        if place >= 0:
            self._ended = True
            self._incoming.put_back(data[place + MARK_SIZE :])
            return data[:place]
        keep = min(len(data), MARK_SIZE - 1)
        self._tail = data[len(data) - keep :]
        return data[: len(data) - keep]
