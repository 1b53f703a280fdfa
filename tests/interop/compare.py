"""The same script on two servers, their raw replies compared.

`Peer` is a blocking connection that shows the bytes of each reply. `Both` talks to two peers at
once: it sends each command to both, and fails unless the frames that come back are equal. What
differs by nature (times, ids, the order of a hash table) is evened out by a `normalize` function,
which gets the parsed reply of each side; everything else is compared byte for byte.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TypeAlias

from redis_trio.protocol.reply import (
    Attribute,
    BigNumber,
    Pairs,
    Push,
    RedisError,
    Reply,
    SetReply,
    Status,
    Verbatim,
)
from redis_trio.protocol.request import split_inline
from redis_trio.protocol.response import ReplyParser

Word: TypeAlias = "str | bytes | int | float"
Line: TypeAlias = "str | bytes | Sequence[Word]"
"""A command: a line in redis-cli's quoting, or its words."""
Normalize: TypeAlias = Callable[[Reply], object]

TIMEOUT_S = 20.0  # nothing in a test takes as long; a lost reply fails the test then


def words(line: Line) -> list[bytes]:
    """Return the arguments of a command."""
    if isinstance(line, str | bytes):
        args = split_inline(line.encode() if isinstance(line, str) else line)
        assert args is not None, f"unbalanced quotes: {line!r}"
        return args
    return [word if isinstance(word, bytes) else str(word).encode() for word in line]


def encode(line: Line) -> bytes:
    """Return a command in the form in which clients send it."""
    args = words(line)
    head = b"*%d\r\n" % len(args)
    return head + b"".join(b"$%d\r\n%s\r\n" % (len(arg), arg) for arg in args)


class Peer:
    """A blocking connection to a server."""

    def __init__(self, port: int, resp: int = 2) -> None:
        self.port = port
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._parser = ReplyParser()
        self._frames: list[bytes] = []
        if resp == 3:
            try:
                reply = self.command("HELLO 3")
                assert reply[:1] == b"%", reply
            except BaseException:
                self.close()
                raise

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self._socket.sendall(data)

    def end(self) -> None:
        """Send no more; replies can still be read."""
        self._socket.shutdown(socket.SHUT_WR)

    def frame(self) -> bytes:
        """Wait for one reply and return its bytes. Errors: EOFError if the server closed."""
        while not self._frames:
            data = self._socket.recv(65536)
            if not data:
                raise EOFError("the server closed the connection")
            self._parser.feed(data)
            self._frames = self._parser.frames()
        return self._frames.pop(0)

    def command(self, line: Line) -> bytes:
        """Send one command and return the bytes of its reply."""
        self.send(encode(line))
        return self.frame()

    def until_closed(self) -> bytes:
        """Return everything the server still sends until it closes the connection."""
        chunks = self._frames
        self._frames = []
        chunks.append(self._parser.take_rest())
        while True:
            try:
                data = self._socket.recv(65536)
            except ConnectionResetError:
                return b"".join(chunks)
            if not data:
                return b"".join(chunks)
            chunks.append(data)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def parse(frame: bytes) -> Reply:
    """Return the value of one reply."""
    parser = ReplyParser()
    parser.feed(frame)
    (reply,) = parser.parse()
    return reply


def plain(reply: Reply) -> object:
    """Return a reply as plain, comparable Python: tuples say what is not a list, dict or scalar."""
    if isinstance(reply, Status):
        return reply.text.decode("utf-8", "replace")
    if isinstance(reply, RedisError):
        return ("error", reply.message)
    if isinstance(reply, list | tuple):
        return [plain(item) for item in reply]
    if isinstance(reply, SetReply):
        return ("set", [plain(item) for item in reply.members])
    if isinstance(reply, Push):
        return ("push", [plain(item) for item in reply.items])
    if isinstance(reply, dict):
        return {key: plain(value) for key, value in reply.items()}
    if isinstance(reply, Pairs):
        return ("pairs", [(plain(key), plain(value)) for key, value in reply.pairs])
    if isinstance(reply, Verbatim):
        return ("verbatim", reply.format, reply.text)
    if isinstance(reply, BigNumber):
        return ("big number", reply.digits)
    if isinstance(reply, Attribute):
        return ("attribute", plain(reply.attributes), plain(reply.reply))
    return reply


def unordered(reply: Reply) -> object:
    """Normalize: the elements of the outermost array, set or map in any order."""
    if isinstance(reply, SetReply):
        return ("set", sorted(repr(plain(item)) for item in reply.members))
    if isinstance(reply, list | tuple):
        return sorted(repr(plain(item)) for item in reply)
    return plain(reply)


def unordered_map(reply: Reply) -> object:
    """Normalize: a map, or RESP2's flat array of its keys and values, in any order."""
    if isinstance(reply, list):
        flat = [repr(plain(item)) for item in reply]
        return sorted(zip(flat[::2], flat[1::2], strict=True))
    return plain(reply)


def shape(reply: Reply) -> object:
    """Normalize: types only, and how many elements; values may differ."""
    if isinstance(reply, list | tuple):
        return [shape(item) for item in reply]
    if isinstance(reply, SetReply):
        return ("set", [shape(item) for item in reply.members])
    if isinstance(reply, dict):
        return {key: shape(value) for key, value in reply.items()}
    return type(reply).__name__


def within(tolerance: float) -> Normalize:
    """Normalize: integers, alone or in an array, rounded down to multiples of `tolerance`.

    Choose values that are not near a multiple.
    """

    def normalize(reply: Reply) -> object:
        if isinstance(reply, int) and not isinstance(reply, bool):
            return reply // tolerance
        if isinstance(reply, list):
            return [normalize(item) for item in reply]
        return plain(reply)

    return normalize


def doubles(reply: Reply) -> object:
    """Normalize: doubles, which 7.4 writes with other digits than 7.0, as what they are."""
    if isinstance(reply, bytes):
        try:
            return float(reply)
        except ValueError:
            return reply
    if isinstance(reply, list):
        return [doubles(item) for item in reply]
    return plain(reply)


def error_code(reply: Reply) -> object:
    """Normalize: of an error only its code, where the two versions word it differently."""
    if isinstance(reply, RedisError):
        return ("error", reply.code)
    return plain(reply)


class Both:
    """A client of two servers at once: `real` is redis-server, `ours` is the server under test.

    Attributes:
      resp: the protocol version of its connections.
    """

    def __init__(self, real_port: int, our_port: int, resp: int) -> None:
        self.resp = resp
        self.real_port = real_port
        self.our_port = our_port
        self.real = Peer(real_port, resp)
        try:
            self.ours = Peer(our_port, resp)
        except BaseException:
            self.real.close()
            raise
        self._others: list[Both] = []

    def __call__(self, *lines: Line, normalize: Normalize | None = None) -> list[Reply]:
        """Run commands on both servers and compare the replies.

        Args:
          lines: the commands, each a line in redis-cli's quoting or a list of words.
          normalize: applied to the parsed replies of both before they are compared; None
            compares the bytes.

        Returns: our replies, parsed.
        """
        return [self._compare(line, normalize) for line in lines]

    def one(self, line: Line, normalize: Normalize | None = None) -> Reply:
        """Run one command on both servers, compare, and return our reply."""
        return self._compare(line, normalize)

    def pipeline(self, *lines: Line) -> list[Reply]:
        """Send all commands at once, then compare their replies."""
        data = b"".join(encode(line) for line in lines)
        self.real.send(data)
        self.ours.send(data)
        return [self._match(line, self.real.frame(), self.ours.frame()) for line in lines]

    def raw(self, data: bytes) -> bytes:
        """Send bytes on a new connection to both, end it, and compare all that comes back.

        Returns: what our server sent until it closed the connection.
        """
        replies = []
        for port in (self.real_port, self.our_port):
            with closing(Peer(port)) as peer:
                try:
                    peer.send(data)
                    peer.end()
                except OSError:
                    pass  # the server closed before it had read everything
                replies.append(peer.until_closed())
        assert replies[1] == replies[0], f"{data[:200]!r}: ours, then Redis's"
        return replies[1]

    def another(self) -> Both:
        """Return a second client of both servers."""
        other = Both(self.real_port, self.our_port, self.resp)
        self._others.append(other)
        return other

    def send(self, line: Line) -> None:
        """Send a command whose reply is read later, by `reply`."""
        self.real.send(encode(line))
        self.ours.send(encode(line))

    def reply(self, normalize: Normalize | None = None) -> Reply:
        """Wait for the next reply or push on both connections and compare."""
        return self._match("", self.real.frame(), self.ours.frame(), normalize)

    def close(self) -> None:
        """Close the connections, of `another` too."""
        for other in self._others:
            other.close()
        self.real.close()
        self.ours.close()

    def _compare(self, line: Line, normalize: Normalize | None) -> Reply:
        return self._match(line, self.real.command(line), self.ours.command(line), normalize)

    def _match(
        self, line: Line, expected: bytes, got: bytes, normalize: Normalize | None = None
    ) -> Reply:
        reply = parse(got)
        if normalize is None:
            assert got == expected, f"{line!r} in RESP{self.resp}: ours, then Redis's"
        else:
            ours = normalize(reply)
            real = normalize(parse(expected))
            assert ours == real, f"{line!r} in RESP{self.resp}: ours, then Redis's"
        return reply
