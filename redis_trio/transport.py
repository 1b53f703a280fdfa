"""The synchronous half of a connection: bytes in, commands run, bytes out, never waiting.

`Transport` parses and executes what a client sent, a bounded amount at a time. `SocketTransport`
reads and writes a non-blocking socket itself; `Poller` finds out which sockets are ready and
drives them, a bounded amount a turn. `StreamTransport` is fed by a task that reads any
`trio.abc.Stream`. What has to wait is left to the connection's task, which is told through the two
callbacks: `attend` (blocked, closing, hung up: look what it is) and `drain` (the peer does not take
its output as fast as it comes).

1. Bytes leave in the order in which they were produced: what a short write leaves over goes to
   `backlog`, and while there is a backlog everything else queues behind it.
2. No further bytes are read while commands wait, so a client's backpressure is its own.
3. While a client is halted its socket is only watched for hang-up.

This file is compiled and knows no trio. Costs are measured by benchmarks/compare.py.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import Final

from mypy_extensions import i64, mypyc_attr

from redis_trio import client as client_module
from redis_trio.client import BLOCKED, CLOSING, PAUSED, request_size
from redis_trio.clock import perf_counter_ns
from redis_trio.execute import process
from redis_trio.log import VERBOSE
from redis_trio.output_limits import REPLY_CHUNK, exceeds_output_limit
from redis_trio.protocol.request import Args, RequestParser
from redis_trio.state import ServerState

READ_SIZE: Final = 16 * 1024
BIG_READ_SIZE: Final = 1024 * 1024
BATCH: Final = 64  # commands parsed and run between two looks at the clock
SLICE_NS: Final = 500_000  # after so long a client's further commands, or output, wait for a turn
PULL_NS: Final = 200_000  # after so long what else a replica is to be sent waits for its drain
TURN_NS: Final = 1_000_000  # after so long a turn of the hub ends
UNAUTHENTICATED_QUERY_MAX: Final = 1024 * 1024  # what a client that has not logged in may keep
EVENTS: Final = 128  # ready sockets taken in one poll

POLL_IN: Final = 0x001  # EPOLLIN, EPOLLHUP, EPOLLERR, EPOLLRDHUP
POLL_ERR: Final = 0x008
POLL_HUP: Final = 0x010
POLL_RDHUP: Final = 0x2000


@mypyc_attr(allow_interpreted_subclasses=True)
class Transport(client_module.Transport):
    """What all transports share: the parser, the commands that wait, the output that waits.

    Attributes:
      backlog: output that the peer has not taken, in order.
      eof: the peer has ended its side.
      broken: the connection failed; nothing can be sent any more.
    """

    def __init__(self, server: ServerState, attend: Callable[[], None]) -> None:
        self.server = server
        self.parser = RequestParser(server.limits)
        self.client = server.new_client(self)
        self.parser.authenticated = self.client.authenticated
        self.backlog: deque[bytes | memoryview] = deque()
        self.backlog_bytes: i64 = 0
        self.eof = False
        self.broken = False
        self._attend = attend
        self._waiting: list[Args] = []  # parsed commands, from _next on still to be run
        self._next: i64 = 0

    @property
    def pending_bytes(self) -> int:
        return self.backlog_bytes

    @property
    def pending_chunks(self) -> int:
        return len(self.backlog)

    @property
    def query_bytes(self) -> int:
        waiting = self._waiting[self._next :]
        return self.parser.buffered_bytes + sum([request_size(args) for args in waiting])

    @property
    def args_bytes(self) -> int:
        return self.parser.args_bytes

    @property
    def events(self) -> str:
        return "rw" if self.backlog else "r"

    @property
    def memory_bytes(self) -> int:
        size = sys.getsizeof(self) + sys.getsizeof(self.parser) + sys.getsizeof(self.backlog)
        return size + self.query_bytes + self.args_bytes + self.backlog_bytes

    def trust(self, authenticated: bool) -> None:
        self.parser.authenticated = authenticated

    def close(self) -> None:
        self._attend()

    def forget(self) -> None:
        self._waiting = []
        self._next = 0
        self.parser = RequestParser(self.server.limits)

    def released(self) -> None:
        if self.eof or self.client.close_after_reply:
            self._attend()

    def receive(self, data: bytes) -> bool:
        """Take bytes from the peer and run what they complete; see `advance`."""
        server = self.server
        size: i64 = len(data)
        server.stats.net_input_bytes += size
        server.stats.reads_processed += 1
        self.client.net_in += size
        self.client.active_ms = server.clock.now_ms
        parser = self.parser
        if parser.wanted_bytes and self._exceeds_query_limit(parser.buffered_bytes + size):
            return False
        parser.feed(data)
        return self.advance()

    def advance(self) -> bool:
        """Run commands that wait, for SLICE_NS at most.

        Returns True if there are more to run at once; False if more bytes are needed or the
        client is halted.
        """
        client = self.client
        parser = self.parser
        server = self.server
        started: i64 = perf_counter_ns()
        server.last_ns = started
        more = False
        while True:
            waiting = self._waiting
            index: i64 = self._next
            count: i64 = len(waiting)
            if index >= count:
                waiting = parser.parse(BATCH) if client.authenticated else self._parse_one()
                index = 0
                count = len(waiting)
                if count == 0:
                    self._parsed_all()
                    break
            else:
                self._waiting = []
            while index < count:
                process(client, waiting[index])
                if client.halted:
                    if not client.halted & PAUSED:
                        index += 1
                    break
                index += 1
            if index < count:
                self._waiting = waiting
                self._next = index
            else:
                self._waiting = []
                self._next = 0
            if client.halted:
                if client.halted & (BLOCKED | CLOSING):
                    self._attend()
                break
            if server.last_ns - started > SLICE_NS:
                more = True
                break
        if client.out:
            client.schedule_write()
        if server.counts_clients:
            server.client_memory.count(client)
        return more

    def _parse_one(self) -> list[Args]:
        """Parse one command, since it may be the AUTH that lifts the limits for strangers."""
        self.parser.authenticated = not self.client.must_authenticate
        return self.parser.parse(1)

    def _parsed_all(self) -> None:
        """Nothing complete is left: look at what made that so."""
        parser = self.parser
        error = parser.error
        client = self.client
        if error is not None:
            self.server.log.log(VERBOSE, "Protocol error (%s) from client %s", error, client.addr)
            self.server.count_error("ERR")
            client.reply_error("ERR Protocol error: " + error)
            client.close_when_sent()
            self._attend()
            return
        self._exceeds_query_limit(parser.buffered_bytes)

    def _exceeds_query_limit(self, held: i64) -> bool:
        """Close the client if it has sent too much that cannot be run yet."""
        client = self.client
        limit: i64 = self.server.config.client_query_buffer_limit
        if held <= limit and (held <= UNAUTHENTICATED_QUERY_MAX or not client.must_authenticate):
            return False
        self.server.stats.query_limit_disconnections += 1
        self.server.log.warning("Closing client that reached max query buffer length")
        client.close()
        return True

    def _take_output(self) -> bytes:
        """Join the chunks that wait in `client.out` and empty it."""
        out = self.client.out
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def _count_output(self, size: i64) -> None:
        stats = self.server.stats
        stats.net_output_bytes += size
        stats.writes_processed += 1
        self.client.net_out += size
        self.client.active_ms = self.server.clock.now_ms

    def _next_chunk(self) -> bytes | memoryview | None:
        """Return what comes behind all other output: what there is for a replica."""
        client = self.client
        if client.replica is None or client.out or client.held:
            return None
        chunk = client.replica.next_chunk()
        if chunk is not None:
            size: i64 = len(chunk)
            self.server.stats.net_repl_output_bytes += size
            client.net_out += size
            client.active_ms = self.server.clock.now_ms
        return chunk

    def _keep(self, data: bytes | memoryview) -> bool:
        """Queue output behind what the peer has not taken yet; False if that is too much."""
        self.backlog.append(data)
        self.backlog_bytes += len(data)
        if self.client.replica is not None:
            return True  # see Replication.append
        return not exceeds_output_limit(self.client, self.backlog_bytes)

    def refill(self) -> bool:
        """Queue what there is for a replica, behind everything else; whether there was any."""
        chunk = None if self.broken else self._next_chunk()
        if chunk is None:
            return False
        self.backlog.append(chunk)
        self.backlog_bytes += len(chunk)
        return True


class SocketTransport(Transport):
    """A non-blocking stream socket, read and written directly.

    Args:
      drain: called when a write was short, to have somebody call `send_backlog` when the socket is
        writable; not called again before `send_backlog` returned True.
    """

    def __init__(
        self,
        server: ServerState,
        sock: socket.socket,
        attend: Callable[[], None],
        drain: Callable[[], None],
        poller: Poller,
    ) -> None:
        super().__init__(server, attend)
        self.sock = sock
        self._recv: Callable[[int], bytes] = sock.recv
        self._send: Callable[[bytes | memoryview], int] = sock.send
        self._drain = drain
        self._draining = False
        self._poller = poller
        self._fd = sock.fileno()
        self._read_size: i64 = 0
        self.queued = False  # in the poller's queue

    @property
    def fd(self) -> int:
        return self._fd

    @property
    def read_size(self) -> int:
        return max(self._read_size, min(self.parser.wanted_bytes, BIG_READ_SIZE))

    def readable(self) -> bool:
        """Read once and run what came; see `advance`."""
        wanted = self.parser.wanted_bytes
        size = READ_SIZE if wanted <= READ_SIZE else min(wanted, BIG_READ_SIZE)
        if wanted == 0 or size > self._read_size:
            self._read_size = size
        try:
            data = self._recv(size)
        except BlockingIOError:
            return False
        except OSError:
            self.broken = True
            self._hung_up()
            return False
        if not data:
            self.eof = True
            self._hung_up()
            return False
        more = self.receive(data)
        if len(data) < size or more or self.parser.wanted_bytes <= READ_SIZE:
            return more
        return self._read_on(size)

    def _read_on(self, received: i64) -> bool:
        """Go on to read a long argument of which there is more, up to BIG_READ_SIZE in a turn.

        Its sender goes on as there is room again, so this takes as much as a few turns would.
        """
        while received < BIG_READ_SIZE and self.client.halted == 0:
            size = min(self.parser.wanted_bytes, BIG_READ_SIZE)
            if size <= READ_SIZE:
                break
            try:
                data = self._recv(size)
            except OSError:
                break  # nothing more, or it is found out in the next turn
            if not data or self.receive(data):
                return bool(data)
            received += len(data)
        return False

    def _hung_up(self) -> None:
        """Call the connection's task; until it runs, the socket must not go on being readable."""
        self._poller.remove(self)
        self._attend()

    def flush(self) -> None:
        out = self.client.out
        if not out or self.broken:
            out.clear()
            return
        data = self._take_output()
        size: i64 = len(data)
        self._count_output(size)
        if self.backlog:
            self._keep(data)
            return
        if size > REPLY_CHUNK and exceeds_output_limit(self.client, size):
            return
        try:
            sent: i64 = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.broken = True
            self._attend()
            return
        if sent < size:
            self._wait_to_send(memoryview(data)[sent:])
        elif self.client.close_after_reply:
            self._attend()

    def pull(self) -> None:
        if self.backlog or self.broken:
            return
        until: i64 = perf_counter_ns() + PULL_NS
        while True:
            chunk = self._next_chunk()
            if chunk is None:
                if self.client.close_after_reply:
                    self._attend()
                return
            size: i64 = len(chunk)
            try:
                sent: i64 = self._send(chunk)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.broken = True
                self._attend()
                return
            if sent < size or perf_counter_ns() > until:
                self._wait_to_send(memoryview(chunk)[sent:])
                return

    def _wait_to_send(self, rest: bytes | memoryview) -> None:
        """Queue output, and have somebody send it when the socket is writable."""
        if self._keep(rest) and not self._draining:
            self._draining = True
            self._drain()

    def forget(self) -> None:
        super().forget()
        self.backlog.clear()
        self.backlog_bytes = 0

    def send_backlog(self) -> bool:
        """Send queued output as far as the socket takes it; True when nothing is left.

        A peer that takes everything at once is sent to for SLICE_NS at most.
        """
        backlog = self.backlog
        until: i64 = perf_counter_ns() + SLICE_NS
        while backlog or self.refill():
            if perf_counter_ns() > until:
                return False
            chunk = backlog[0]
            try:
                sent = self._send(chunk)
            except BlockingIOError:
                return False
            except OSError:
                self.broken = True
                backlog.clear()
                self.backlog_bytes = 0
                self._attend()
                break
            self.backlog_bytes -= sent
            self.client.active_ms = self.server.clock.refresh()
            if sent < len(chunk):
                backlog[0] = memoryview(chunk)[sent:]
                return False
            backlog.popleft()
        self._draining = False
        if self.eof or self.client.close_after_reply:
            self._attend()
        return True

    def delay(self) -> None:
        if not self.client.unix:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)

    def resume(self) -> None:
        self._poller.enqueue(self)

    def goodbye(self) -> None:
        """Say what there is to say to the peer before the socket is closed, without waiting."""


class StreamTransport(Transport):
    """Any `trio.abc.Stream`, read and written by the connection's tasks.

    Args:
      drain: called when there is output; whoever is woken sends `backlog` chunk by chunk.
    """

    def __init__(
        self,
        server: ServerState,
        attend: Callable[[], None],
        drain: Callable[[], None],
        go_on: Callable[[], None],
    ) -> None:
        super().__init__(server, attend)
        self._drain = drain
        self._go_on = go_on

    def flush(self) -> None:
        out = self.client.out
        if not out or self.broken:
            out.clear()
            return
        data = self._take_output()
        self._count_output(len(data))
        if self._keep(data):
            self._drain()

    def pull(self) -> None:
        if not self.backlog and self.refill():
            self._drain()

    def resume(self) -> None:
        self._go_on()


class Poller:
    """Which sockets are ready, and the clients that have more to run at once.

    Attributes:
      epoll: the kernel's side; its file descriptor is readable when any socket is ready.
    """

    def __init__(self, server: ServerState) -> None:
        self.server = server
        self.epoll = select.epoll()
        self._poll: Callable[[float, int], list[tuple[int, int]]] = self.epoll.poll
        self._transports: dict[int, SocketTransport] = {}
        self._muted: set[int] = set()  # watched for hang-up only
        self._queue: deque[SocketTransport] = deque()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.epoll.register(self._wake_fd, POLL_IN)

    @property
    def busy(self) -> bool:
        """Whether clients wait for their turn."""
        return bool(self._queue)

    def add(self, transport: SocketTransport) -> None:
        """Watch a socket."""
        self.epoll.register(transport.fd, POLL_IN | POLL_RDHUP)
        self._transports[transport.fd] = transport

    def remove(self, transport: SocketTransport) -> None:
        """Forget a socket, which must still be open."""
        if self._transports.pop(transport.fd, None) is not None:
            self._muted.discard(transport.fd)
            self.epoll.unregister(transport.fd)

    def enqueue(self, transport: SocketTransport) -> None:
        """Let a client go on that was halted."""
        if not transport.queued:
            transport.queued = True
            self._queue.append(transport)
            os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        """Close the kernel's side."""
        self.epoll.close()
        os.close(self._wake_fd)

    def turn(self) -> bool:
        """Serve each ready client once, for TURN_NS at most.

        Returns whether another turn is likely to find work: where one client alone was ready, the
        next request is still on its way.
        """
        events = self._poll(0, EVENTS)
        queue = self._queue
        if not events and not queue:
            return False
        server = self.server
        server.begin()
        started: i64 = server.last_ns
        for _ in range(len(queue)):
            transport = queue.popleft()
            transport.queued = False
            if self._transports.get(transport.fd) is transport and not transport.client.halted:
                self._unmute(transport)
                self._serve(transport, False)
            if server.last_ns - started > TURN_NS or server.answering.closed:
                break
        for fd, mask in events:
            if server.answering.closed:
                break  # a script stands still
            ready = self._transports.get(fd)
            if ready is None:
                if fd == self._wake_fd:
                    os.eventfd_read(fd)
            elif ready.client.halted:
                self._event_while_halted(ready, mask)
            elif not ready.queued:
                self._serve(ready, True)
            if server.last_ns - started > TURN_NS:
                break  # the kernel reports the others again
        server.end()
        return len(events) > 1

    def _serve(self, transport: SocketTransport, read: bool) -> None:
        """Run what a client sent; queue it if that is more than a slice."""
        try:
            more = transport.readable() if read else transport.advance()
        except Exception as exc:  # a bug: it costs this client its connection, and nobody else
            self.server.log.error("client %d: internal error", transport.client.id, exc_info=exc)
            transport.client.close()
            return
        if more:
            transport.queued = True
            self._queue.append(transport)

    def _event_while_halted(self, transport: SocketTransport, mask: int) -> None:
        """A halted client sent more, which waits, or went away."""
        if mask & (POLL_RDHUP | POLL_HUP | POLL_ERR):
            transport.eof = True
            self.remove(transport)
            transport.close()
        elif transport.fd not in self._muted:
            self._muted.add(transport.fd)
            self.epoll.modify(transport.fd, POLL_RDHUP)

    def _unmute(self, transport: SocketTransport) -> None:
        if transport.fd in self._muted:
            self._muted.discard(transport.fd)
            self.epoll.modify(transport.fd, POLL_IN | POLL_RDHUP)
