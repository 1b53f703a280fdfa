"""Keys on their way to another server (MIGRATE), and the connections that are kept for more.

The exchange is a generator that names what it waits for: a socket, or the addresses of a host. So
the same code runs in a task, with the loop free for everybody else, and at once, where nobody may
wait (in a transaction or a script; there the loop stands still, as all of Redis does).

Nothing may change the keys between the moment at which they are written down and the one at which
they are deleted. Redis stands still meanwhile, which would stop the loop of the host; standing
still as DEBUG SLEEP does would hold up readers, PING and subscribers, too. Here writes wait, all of
them, as in CLIENT PAUSE WRITE: that is the narrowest thing which includes transactions, scripts,
expiry and eviction. Whoever reads sees the keys as they are until they have gone. As in Redis they
also go if the client has gone meanwhile.

A second MIGRATE is such a write, so there is one exchange at a time.

Source: Redis cluster.c migrateCommand, migrateGetSocket.
"""

from __future__ import annotations

import errno
import re
import select
import socket
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Final, TypeAlias

import trio

from redis_trio.blocking import FOREVER_MS, MIGRATION, Waiter, pause, unpause
from redis_trio.clock import perf_counter_ns
from redis_trio.data.expires import NEVER
from redis_trio.feed import encode_command
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.state import ServerState

CACHED_MAX: Final = 64
KEPT_MS: Final = 10_000  # a connection that nobody uses
LINE_MAX: Final = 1023  # of a reply; what is longer counts as several
CHUNK: Final = 64 * 1024

CONNECTING: Final = "IOERR error or timeout connecting to the client"
WRITING: Final = "IOERR error or timeout writing to target instance"
READING: Final = "IOERR error or timeout reading to target instance"

_NUMBER: Final = re.compile(rb"\s*[+-]?\d+")

Address: TypeAlias = tuple[int, tuple[str | int, ...] | tuple[int, bytes]]
"""The family of a socket, and where to connect it to."""


class _Wait:
    """What an exchange waits for: a socket that can be read from, or written to."""

    __slots__ = ("sock", "writes")

    def __init__(self, sock: socket.socket, writes: bool) -> None:
        self.sock = sock
        self.writes = writes


class _Resolve:
    """What an exchange waits for: the addresses of a host, an empty list if there are none."""

    __slots__ = ("host", "port")

    def __init__(self, host: bytes, port: int) -> None:
        self.host = host
        self.port = port


Steps: TypeAlias = Generator[_Wait | _Resolve, object, None]
"""Sent back is whether the socket is ready, or its time is over; or a list of addresses."""


class _Lost(Exception):
    """The connection is of no use any more.

    Attributes:
      message: the error of the command, if that cannot be helped.
      timed_out: whether there was just no answer; then it is not tried again.
    """

    def __init__(self, message: str, timed_out: bool) -> None:
        super().__init__(message)
        self.message = message
        self.timed_out = timed_out


class Connection:
    """A connection to another server.

    Attributes:
      db: the database that is selected there, -1 if that is not known.
      used_ms: when it was last used.
    """

    __slots__ = ("_input", "db", "sock", "used_ms")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.db = -1
        self.used_ms = 0
        self._input = bytearray()

    def send(self, data: bytes) -> Steps:
        """Send all of it. Raises _Lost."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view[:CHUNK]) :]
            except BlockingIOError:
                if not (yield _Wait(self.sock, True)):
                    raise _Lost(WRITING, True) from None
            except OSError as exc:
                raise _Lost(WRITING, exc.errno == errno.ETIMEDOUT) from None

    def line(self) -> Generator[_Wait | _Resolve, object, bytes]:
        """Receive a line and return it without its end. Raises _Lost."""
        data = self._input
        while True:
            stop = data.find(b"\n", 0, LINE_MAX)
            if stop >= 0 or len(data) >= LINE_MAX:
                return self._take_line(stop)
            try:
                more = self.sock.recv(CHUNK)
            except BlockingIOError:
                if not (yield _Wait(self.sock, False)):
                    raise _Lost(READING, True) from None
                continue
            except OSError as exc:
                raise _Lost(READING, exc.errno == errno.ETIMEDOUT) from None
            if not more:
                raise _Lost(READING, False)
            data += more

    def _take_line(self, stop: int) -> bytes:
        data = self._input
        line = bytes(data[: stop if stop >= 0 else LINE_MAX])
        del data[: stop + 1 if stop >= 0 else LINE_MAX]
        if not line:
            raise _Lost(READING, False)
        return line.removesuffix(b"\r")


class Exchange:
    """One MIGRATE: what is sent, and what came of it.

    Args:
      host, port: as they were given.
      db: the number of the database there.
      timeout_ms: how long the other side may be silent.
      auth: the words of AUTH behind its name, none if there is no password.
      keys, commands: what is sent, a RESTORE for each key.

    Attributes:
      restored: the keys that the other side has now.
      error: the message of the error, "" if there was none.
    """

    __slots__ = (
        "_room", "auth", "commands", "db", "error", "host", "keys", "port", "restored",
        "timeout_ms",
    )  # fmt: skip

    def __init__(
        self,
        room: Migrations,
        host: bytes,
        port: bytes,
        db: int,
        timeout_ms: int,
        auth: Args,
        keys: list[bytes],
        commands: list[bytes],
    ) -> None:
        self._room = room
        self.host = host
        self.port = port
        self.db = db
        self.timeout_ms = timeout_ms
        self.auth = auth
        self.keys = keys
        self.commands = commands
        self.restored: list[bytes] = []
        self.error = ""

    def steps(self) -> Steps:
        """Send the keys and take note of what is answered.

        A connection that was kept may have been closed by the other side: if nothing at all has
        come from there it is tried once more, with a new one.
        """
        room = self._room
        for last in (False, True):
            connection = yield from room.connection(self)
            if connection is None:
                self.error = CONNECTING
                return
            try:
                yield from self._transfer(connection)
            except _Lost as lost:
                connection.sock.close()
                begun = bool(self.restored or self.error)
                if begun or last or lost.timed_out:
                    self.error = self.error or lost.message  # the first one is told
                    return
            except GeneratorExit:
                connection.sock.close()
                raise
            else:
                room.keep(self, connection)
                return

    def _transfer(self, connection: Connection) -> Steps:
        """Send everything and read the replies. Raises _Lost."""
        parts = list(self.commands)
        if connection.db != self.db:
            parts.insert(0, encode_command([b"SELECT", b"%d" % self.db]))
        if self.auth:
            parts.insert(0, encode_command([b"AUTH", *self.auth]))
        yield from connection.send(b"".join(parts))
        refusal: str | None = None
        for _ in range(len(parts) - len(self.commands)):
            answer = _error((yield from connection.line()))
            refusal = answer if refusal is None else refusal
        for key in self.keys:
            answer = _error((yield from connection.line()))
            text = answer if refusal is None else refusal
            if text is None:
                self.restored.append(key)
            elif not self.error:
                connection.db = -1
                self.error = f"ERR Target instance replied with error: {text}"
        if not self.error:
            connection.db = self.db


def _error(line: bytes) -> str | None:
    """Return the text of an error reply, without the mark in front of it; None for others."""
    if not line.startswith(b"-"):
        return None
    text = line[1:].split(b"\0", 1)[0].strip(b"\r").replace(b"\r", b" ")
    return text.decode("utf-8", "surrogateescape")


class Migrations:
    """The migrations of one server.

    Attributes:
      connections: those that are kept, by host and port as they were given.
      spawn: starts a task; None while there is nobody to run it, then nothing waits.
    """

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self.connections: dict[tuple[bytes, bytes], Connection] = {}
        self.spawn: Callable[[Callable[[], Awaitable[None]], str], None] | None = None
        self._done: dict[Client, Exchange] = {}

    # -- the command's side

    def start(self, client: Client, exchange: Exchange) -> bool:
        """Begin an exchange, in a task if the client may wait; return whether it does.

        The client's command is run again when it is over, and finds it by `take`.
        """
        if client.executing or self.spawn is None:
            _run_now(exchange)
            self._done[client] = exchange
            return False
        pause(self._server, FOREVER_MS, False, MIGRATION)
        began_ns = perf_counter_ns()

        async def work() -> None:
            await self._work(client, exchange, began_ns)

        self.spawn(work, "redis migration")
        return True

    def take(self, client: Client) -> Exchange | None:
        """Return the client's exchange if it is over, and forget it."""
        return self._done.pop(client, None) if self._done else None

    async def _work(self, client: Client, exchange: Exchange, began_ns: int) -> None:
        """Run an exchange, and then the rest of the command."""
        waiter = client.waiter
        assert waiter is not None
        try:
            await _run(exchange)
        except OSError as exc:  # of a socket that was closed under it
            exchange.error = exchange.error or READING
            self._server.log.warning("MIGRATE: %s", exc)
        self._finish(waiter, exchange, began_ns)

    def _finish(self, waiter: Waiter, exchange: Exchange, began_ns: int) -> None:
        server = self._server
        server.begin()
        self._done[waiter.client] = exchange
        from redis_trio.execute import finish  # which imports the server's state, and so this

        try:
            finish(waiter, began_ns)
        finally:
            self._done.pop(waiter.client, None)
            unpause(server, MIGRATION)
            server.end()

    # -- connections

    def connection(
        self, exchange: Exchange
    ) -> Generator[_Wait | _Resolve, object, Connection | None]:
        """Return the connection that is kept, or a new one; None if there cannot be any."""
        kept = self.connections.pop((exchange.host, exchange.port), None)
        if kept is not None:
            return kept
        sock = yield from _connected(exchange)
        return None if sock is None else Connection(sock)

    def keep(self, exchange: Exchange, connection: Connection) -> None:
        """Keep a connection for the next exchange with the same server."""
        if len(self.connections) >= CACHED_MAX:
            oldest = min(self.connections, key=lambda name: self.connections[name].used_ms)
            self.connections.pop(oldest).sock.close()
        connection.used_ms = self._server.clock.now_ms
        self.connections[exchange.host, exchange.port] = connection
        self._server.due_at(connection.used_ms + KEPT_MS)

    def next_close_ms(self) -> int:
        """Return when a connection has not been used for too long, NEVER if there is none."""
        if not self.connections:
            return NEVER
        return min([one.used_ms for one in self.connections.values()]) + KEPT_MS

    def close_unused(self) -> None:
        """Close the connections that have not been used for too long."""
        now_ms = self._server.clock.now_ms
        for name, one in list(self.connections.items()):
            if one.used_ms + KEPT_MS <= now_ms:
                del self.connections[name]
                one.sock.close()

    def close(self) -> None:
        """Close all connections: the server ends."""
        for one in self.connections.values():
            one.sock.close()
        self.connections.clear()


def _connected(exchange: Exchange) -> Generator[_Wait | _Resolve, object, socket.socket | None]:
    """Return a socket that is connected to the other server, None if there cannot be one.

    As in Redis only the first address that does not fail at once is waited for, and a failure
    behind that shows when something is sent.
    """
    digits = _NUMBER.match(exchange.port)
    addresses = yield _Resolve(exchange.host.split(b"\0", 1)[0], int(digits[0]) if digits else 0)
    assert isinstance(addresses, list)
    for family, address in addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        connected = False
        try:
            sock.setblocking(False)
            if sock.connect_ex(address) not in (0, errno.EINPROGRESS):
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected = bool((yield _Wait(sock, True)))
            return sock if connected else None
        except OSError:
            continue
        finally:
            if not connected:
                sock.close()
    return None


# -- at once


def _run_now(exchange: Exchange) -> None:
    """Run an exchange while everything stands still."""
    steps = exchange.steps()
    answer: object = None
    try:
        while True:
            want = steps.send(answer)
            if isinstance(want, _Wait):
                answer = _ready(want, exchange.timeout_ms)
            else:
                try:
                    found = socket.getaddrinfo(want.host, want.port, type=socket.SOCK_STREAM)
                    answer = [(info[0], info[4]) for info in found]
                except (OSError, ValueError, OverflowError):
                    answer = []
    except StopIteration:
        return


def _ready(want: _Wait, timeout_ms: int) -> bool:
    poll = select.poll()
    poll.register(want.sock, select.POLLOUT if want.writes else select.POLLIN)
    return bool(poll.poll(timeout_ms))


# -- in a task


async def _run(exchange: Exchange) -> None:
    """Run an exchange while others go on.

    Cancellation: the connection is closed, and the keys stay.
    """
    steps = exchange.steps()
    answer: object = None
    try:
        while True:
            want = steps.send(answer)
            answer = False if isinstance(want, _Wait) else []
            with trio.move_on_after(exchange.timeout_ms / 1000):
                if isinstance(want, _Wait):
                    await _until_ready(want)
                    answer = True
                else:
                    answer = await _addresses(want)
    except StopIteration:
        return
    finally:
        steps.close()


async def _until_ready(want: _Wait) -> None:
    if want.writes:
        await trio.lowlevel.wait_writable(want.sock)
    else:
        await trio.lowlevel.wait_readable(want.sock)


async def _addresses(want: _Resolve) -> list[tuple[socket.AddressFamily, object]]:
    try:
        found = await trio.socket.getaddrinfo(want.host, want.port, type=socket.SOCK_STREAM)
    except (OSError, ValueError, OverflowError):
        return []
    return [(info[0], info[4]) for info in found]
