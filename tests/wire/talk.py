"""A client for tests: bytes out, parsed replies in, over any stream."""

from __future__ import annotations

from collections.abc import Callable

import trio

from redis_trio.protocol.reply import Reply
from redis_trio.protocol.response import ReplyParser
from tests.interop.compare import Line, encode

PATIENCE_S = 30.0  # a lost reply fails the test and does not hang it


class Talk:
    """One connection to a server; `closed` once this side has closed it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.closed = False
        self._parser = ReplyParser()
        self._replies: list[Reply] = []
        self._next = 0

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        await self.stream.send_all(data)

    async def send_eof(self) -> None:
        """Send no more; with TLS, without a word of it, as clients do that just close."""
        stream = self.stream
        if isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        assert isinstance(stream, trio.abc.HalfCloseableStream)
        await stream.send_eof()

    async def reply(self) -> Reply:
        """Wait for the next reply. Errors: EOFError if the server closed the connection."""
        with trio.fail_after(PATIENCE_S):
            while self._next >= len(self._replies):
                data = await self.stream.receive_some(65536)
                if not data:
                    raise EOFError("the server closed the connection")
                self._parser.feed(data)
                self._replies = self._parser.parse()
                self._next = 0
        self._next += 1
        return self._replies[self._next - 1]

    async def replies(self, count: int) -> list[Reply]:
        """Wait for `count` replies."""
        return [await self.reply() for _ in range(count)]

    async def command(self, line: Line) -> Reply:
        """Send one command and wait for its reply."""
        await self.send(encode(line))
        return await self.reply()

    async def until_closed(self) -> bytes:
        """Return the bytes that still come until the server closes the connection."""
        assert self._next == len(self._replies), "there are replies that have not been looked at"
        data = self._parser.take_rest()
        with trio.fail_after(PATIENCE_S):
            while True:
                try:
                    piece = await self.stream.receive_some(65536)
                except trio.BrokenResourceError:  # reset, since it had not read everything
                    return data
                if not piece:
                    return data
                data += piece

    async def aclose(self) -> None:
        """Close the connection."""
        self.closed = True
        await trio.aclose_forcefully(self.stream)


async def until(true: Callable[[], bool]) -> None:
    """Let the other tasks run until something is true."""
    with trio.fail_after(PATIENCE_S):
        while not true():
            await trio.lowlevel.checkpoint()
