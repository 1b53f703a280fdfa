"""One task and one nursery for each connection: they own its lifetime.

A plain socket that is idle belongs to the hub, and its task sleeps until it is told to attend: the
client blocked, hung up, or is to be closed. Any other stream is read by the task itself. Output
that the peer does not take at once is sent by a child task, so that commands go on being read and
answered meanwhile, as in Redis.

1. A peer that ends its side gets the replies to what it sent before, unless it is blocked: then
   it is gone, as in Redis.
2. No error of a connection leaves its task.
"""

from __future__ import annotations

import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

import trio

from redis_trio.client import BLOCKED, PAUSED, Client
from redis_trio.clock import perf_counter_ns
from redis_trio.keeper import awake
from redis_trio.state import ServerState
from redis_trio.tls import reason
from redis_trio.tls_transport import TlsTransport
from redis_trio.transport import Poller, SocketTransport, StreamTransport, Transport

RECEIVE_SIZE: Final = 64 * 1024
READ_AHEAD_MAX: Final = 1024 * 1024  # kept of what a stream's client sends while it has to wait
GOODBYE_S: Final = 1.0  # for the last bytes of TLS to a peer that does not read
ALLOWANCE_NS: Final = 1_000_000  # of work by stream connections between two checkpoints


class Connection(ABC):
    """What the two kinds of connection share: attention, blocking, the end."""

    transport: Transport

    def __init__(self, server: ServerState) -> None:
        self.server = server
        self._attention = trio.Event()
        self._interrupt: trio.CancelScope | None = None  # around what attention ends

    @property
    def client(self) -> Client:
        """The connection's client."""
        return self.transport.client

    @abstractmethod
    async def run(self) -> None:
        """Serve the connection until it ends."""

    def attend(self) -> None:
        """Have the task look at the connection."""
        self._attention.set()
        if self._interrupt is not None and (self._ended or self.transport.eof):
            self._interrupt.cancel()

    @property
    def _ended(self) -> bool:
        """Whether the connection is over: broken, to be closed now, or done and all sent."""
        transport = self.transport
        if transport.broken or self.client.closes_now:
            return True
        if transport.backlog or self.client.held:
            return False
        return transport.eof or self.client.close_after_reply

    async def _attended(self) -> None:
        await self._attention.wait()
        self._attention = trio.Event()

    async def _answer_blocked(self) -> bool:
        """Wait for the reply of the blocked client and write it; False if the client is gone."""
        client = self.client
        waiter = client.waiter
        assert waiter is not None
        try:
            with trio.CancelScope() as self._interrupt:
                if self._ended or self.transport.eof:
                    self._interrupt.cancel()
                reply = await waiter.wait()
        finally:
            waiter.cancel()
            client.waiter = None
            interrupted = self._interrupt is not None and self._interrupt.cancelled_caught
            self._interrupt = None
        if interrupted:
            return False
        client.halted &= ~BLOCKED
        self.server.begin()
        client.reply(reply)
        client.out.extend(waiter.pushes)
        if client.gated:
            client.command_done()
        client.schedule_write()
        self.server.counts_as_idle()
        self.server.end()
        return True


class SocketConnection(Connection):
    """A socket, served by the hub while it is idle; with TLS if there is a context for that.

    Args:
      greet: called when a handshake is done.
    """

    transport: SocketTransport

    def __init__(
        self,
        server: ServerState,
        sock: socket.socket,
        poller: Poller,
        context: ssl.SSLContext | None = None,
        greet: Callable[[Connection], None] | None = None,
    ) -> None:
        super().__init__(server)
        self.sock = sock
        self._poller = poller
        self._greet = greet
        self._nursery: trio.Nursery | None = None
        attend, drain = self.attend, self._start_drain
        if context is None:
            self.transport = SocketTransport(server, sock, attend, drain, poller)
        else:
            self.transport = TlsTransport(
                server, sock, context, attend, drain, self._shaken, poller
            )

    def _shaken(self) -> None:
        if self._greet is not None:
            self._greet(self)

    async def run(self) -> None:
        transport = self.transport
        poller = self._poller
        try:
            async with trio.open_nursery() as self._nursery:
                poller.add(transport)
                while not self._ended:
                    await self._attended()
                    if self.client.waiter is not None:
                        if not await self._answer_blocked():
                            break
                        transport.resume()
                    elif transport.eof:
                        poller.remove(transport)
                transport.broken = True  # from now on nothing is sent, so nothing needs a drain
                self._nursery.cancel_scope.cancel()
        finally:
            transport.broken = True
            poller.remove(transport)
            transport.goodbye()
            self.sock.close()

    def _start_drain(self) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(self._drain, name=f"drain client {self.client.id}")

    async def _drain(self) -> None:
        while True:
            await trio.lowlevel.wait_writable(self.sock)
            sent_all = self.transport.send_backlog()
            if self.client.server.counts_clients:
                self.client.server.client_memory.count(self.client)
            if sent_all:
                return


class Turns:
    """Bounds what all stream connections of a server do between two checkpoints of their host.

    Each has a task of its own, and any number of them can be runnable at once. So who has used up
    the common allowance keeps the turn over a checkpoint, and the others queue for it, in order.
    """

    def __init__(self) -> None:
        self._lock = trio.Lock()
        self._used_ns = 0
        self._started_ns = 0

    async def take(self) -> None:
        """Wait for the turn; no checkpoint if nobody has it."""
        try:
            self._lock.acquire_nowait()
        except trio.WouldBlock:
            await self._lock.acquire()
        self._started_ns = perf_counter_ns()

    async def give(self) -> None:
        """Give the turn back, after a checkpoint if the allowance is used up."""
        try:
            self._used_ns += perf_counter_ns() - self._started_ns
            if self._used_ns >= ALLOWANCE_NS:
                self._used_ns = 0
                await trio.lowlevel.checkpoint()
        finally:
            self._lock.release()


class StreamConnection(Connection):
    """Any `trio.abc.Stream`: in memory, or a socket, with TLS or not, where there is no epoll.

    Args:
      greet: called when the handshake of an SSLStream is done.
    """

    transport: StreamTransport

    def __init__(
        self,
        server: ServerState,
        stream: trio.abc.Stream,
        turns: Turns,
        greet: Callable[[Connection], None] | None = None,
    ) -> None:
        super().__init__(server)
        self._stream = stream
        self._turns = turns
        self._greet = greet
        self._has_shaken = False
        self._output = trio.Event()
        self._resumed = trio.Event()
        self.transport = StreamTransport(server, self.attend, self._wake_sender, self._go_on)

    def attend(self) -> None:
        super().attend()
        self._resumed.set()

    def _wake_sender(self) -> None:
        self._output.set()

    def _go_on(self) -> None:
        self._resumed.set()

    async def run(self) -> None:
        transport = self.transport
        try:
            async with trio.open_nursery() as nursery:
                if isinstance(self._stream, trio.SSLStream):
                    await self._shake_hands(self._stream)
                nursery.start_soon(self._send, name=f"send to client {self.client.id}")
                await self._receive()
                while not self._ended:
                    await self._attended()
                nursery.cancel_scope.cancel()
        finally:
            transport.broken = True
            await self._say_goodbye()
            await trio.aclose_forcefully(self._stream)

    async def _shake_hands(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        """Do the handshake; a connection where that fails is over."""
        client = self.client
        try:
            with trio.CancelScope() as self._interrupt:
                await stream.do_handshake()
        except trio.BrokenResourceError as exc:
            cause = exc.__cause__
            self.server.log.warning(
                "Error accepting a client connection: %s (addr=%s laddr=%s)",
                reason(cause) if isinstance(cause, Exception) else "unexpected eof while reading",
                client.addr,
                client.laddr,
            )
            client.close()
            return
        finally:
            self._interrupt = None
        if not self._ended and self._greet is not None:
            self._has_shaken = True
            self.server.begin()
            self._greet(self)
            self.server.end()

    async def _say_goodbye(self) -> None:
        """Tell a peer with TLS that nothing more comes, and listen for the same from it."""
        if self._has_shaken and isinstance(self._stream, trio.SSLStream):
            with trio.move_on_after(GOODBYE_S):
                try:
                    tcp, _ = await self._stream.unwrap()
                except (trio.BrokenResourceError, trio.BusyResourceError):
                    return  # it was cancelled in the middle of something, or is gone
                await trio.aclose_forcefully(tcp)

    async def _receive(self) -> None:
        """Read and run until the peer ends its side or the connection is closed."""
        transport = self.transport
        while not self._ended and not transport.eof and not self.client.close_after_reply:
            data = await self._receive_some()
            if data is not None:
                await self._run(data)

    async def _receive_some(self) -> bytes | None:
        """Read once; None if there is nothing to run."""
        try:
            with trio.CancelScope() as self._interrupt:
                data = await self._stream.receive_some(RECEIVE_SIZE)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.transport.broken = True
            return None
        finally:
            interrupted = self._interrupt is not None and self._interrupt.cancelled_caught
            self._interrupt = None
        if interrupted:
            return None
        if not data:
            self.transport.eof = True
            return None
        return bytes(data)

    async def _run(self, data: bytes) -> None:
        """Run what `data` completes, in slices, waiting where the client has to."""
        transport = self.transport
        client = self.client
        self._resumed = trio.Event()
        more = await self._slice(data)
        while not self._ended:
            if client.halted & PAUSED:
                if not await self._pause_over():
                    transport.broken = True
                    return
            elif client.waiter is not None:
                if not await self._answer_or_hang_up():
                    transport.broken = True
                    return
            elif client.halted or not (more or self._resumed.is_set()):
                return
            else:  # there is more, or what held it up has gone already
                self._resumed = trio.Event()
                await trio.lowlevel.checkpoint()
            more = await self._slice(b"")

    async def _slice(self, data: bytes) -> bool:
        """Run a slice when it is this connection's turn; return whether there is more to run."""
        server = self.server
        transport = self.transport
        more = False
        await self._turns.take()
        try:
            await awake(server)
            if not self._ended and not self.client.halted:
                server.begin()
                try:
                    more = transport.receive(data) if data else transport.advance()
                finally:
                    server.end()
        finally:
            await self._turns.give()
        return more

    async def _answer_or_hang_up(self) -> bool:
        """Answer the blocked client, reading on meanwhile to notice a hang-up."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            answered = await self._answer_blocked()
            nursery.cancel_scope.cancel()
        return answered

    async def _pause_over(self) -> bool:
        """Wait until the client may go on; False if it is gone. Reads on to notice a hang-up."""
        transport = self.transport
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            while self.client.halted & PAUSED and not self._ended and not transport.eof:
                await self._resumed.wait()
                self._resumed = trio.Event()
            nursery.cancel_scope.cancel()
        return not self._ended and not transport.eof

    async def _watch(self) -> None:
        """Read ahead while the client has to wait, to notice a hang-up; what comes is run later."""
        parser = self.transport.parser
        while parser.buffered_bytes < READ_AHEAD_MAX:
            try:
                data = await self._stream.receive_some(RECEIVE_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if not data:
                self.transport.eof = True
                self.attend()
                return
            parser.feed(bytes(data))

    async def _send(self) -> None:
        """Send output as it comes."""
        transport = self.transport
        backlog = transport.backlog
        while True:
            await self._output.wait()
            self._output = trio.Event()
            while backlog or transport.refill():
                chunk = backlog[0]
                try:
                    await self._stream.send_all(chunk)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    transport.broken = True
                    backlog.clear()
                    self.attend()
                    return
                backlog.popleft()
                transport.backlog_bytes -= len(chunk)
                if self.client.server.counts_clients:
                    self.client.server.client_memory.count(self.client)
            if transport.eof or self.client.close_after_reply:
                self.attend()
