"""The primary as a client of its replica: the commands of the stream are run as it sends them.

It is a client like any other, of the kind `master`, but that it is obeyed (nothing is refused, no
limit holds), is never answered, and does not wait. What has been applied is handed on as it came,
byte for byte, to the backlog and so to this replica's own replicas; a transaction counts as applied
when its EXEC has run, so that whoever continues from an offset never begins within one.

Source: Redis networking.c commandProcessed, processInputBuffer, afterErrorReply; replication.c
replicationFeedStreamFromMasterStream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.client import BLOCKED, CLOSING, PAUSED, Client, Transport, request_size
from redis_trio.clock import perf_counter_ns
from redis_trio.execute import dispatch, serve_ready
from redis_trio.protocol.reply import RedisError
from redis_trio.protocol.request import Args, Limits, RequestParser

if TYPE_CHECKING:
    from redis_trio.state import ServerState

BATCH: Final = 64  # commands parsed at a time
SLICE_NS: Final = 500_000  # after so long others have a turn
NO_LIMIT: Final = 2**62


class MasterTransport(Transport):
    """The way to the primary: what is written to its client goes nowhere.

    Attributes:
      client: whose transport it is.
      hang_up: called when the connection is to be closed.
      go_on: called when the client is not paused any more.
    """

    def __init__(self, hang_up: Callable[[], None], go_on: Callable[[], None], fd: int) -> None:
        self.client: Client | None = None
        self.hang_up = hang_up
        self.go_on = go_on
        self._fd = fd

    def flush(self) -> None:
        if self.client is not None:
            self.client.out.clear()

    def close(self) -> None:
        self.hang_up()

    def resume(self) -> None:
        self.go_on()

    @property
    def events(self) -> str:
        return "r"

    @property
    def fd(self) -> int:
        return self._fd


class Master:
    """Applies the stream of a primary.

    Args:
      replid: the id of the stream.
      offset: where it begins; -1 if the primary counts no offsets (SYNC).
      db: the database that it begins in, -1 for the first.

    Attributes:
      client: runs the commands.
      offset: how much has been applied.
      read_offset: how much has come.
      error: why the stream cannot be followed any further, None while it can.
    """

    def __init__(
        self,
        server: ServerState,
        transport: MasterTransport,
        replid: str,
        offset: int,
        db: int,
    ) -> None:
        self._server = server
        self.replid = replid
        self.client = server.new_client(transport)
        transport.client = self.client
        client = self.client
        client.set_trusted()
        client.obeyed = client.is_master = True
        client.db = server.dbs[max(db, 0)]
        self.offset: i64 = offset
        self.read_offset: i64 = offset
        self.error: str | None = None
        self._parser = RequestParser(Limits(NO_LIMIT))
        self._parser.takes_inline = False
        self._batch: list[Args] = []
        self._next: i64 = 0  # in the batch
        self._unapplied: deque[bytes] = deque()  # what has come, from `offset` on

    @property
    def is_paused(self) -> bool:
        """Whether its next command waits for the end of CLIENT PAUSE."""
        return self.client.halted & PAUSED != 0

    def end(self) -> None:
        """Leave nothing behind: the connection has ended."""
        self.client.disconnected()
        self._server.clients.pop(self.client.id, None)

    # -- applying

    def receive(self, data: bytes) -> bool:
        """Take bytes of the stream and apply what they complete; see `advance`."""
        size: i64 = len(data)
        self.read_offset += size
        client = self.client
        client.net_in += size
        client.active_ms = self._server.clock.now_ms
        self._unapplied.append(data)
        self._parser.feed(data)
        return self.advance()

    def advance(self) -> bool:
        """Apply commands that wait, for SLICE_NS at most.

        Returns True if there are more to apply at once; False if more bytes are needed, the client
        is paused, or `error` says that it is over.
        """
        client = self.client
        server = self._server
        client.halted &= ~BLOCKED  # by a command that nobody waits for
        until: i64 = perf_counter_ns() + SLICE_NS
        server.last_ns = until - SLICE_NS
        while not client.halted:
            batch = self._batch
            count: i64 = len(batch)
            if self._next >= count:
                batch = self._batch = self._parser.parse(BATCH)
                self._next = 0
                count = len(batch)
                if count == 0:
                    self._pass_on()
                    self._look_at_error()
                    return False
            while self._next < count:
                self._apply(batch[self._next])
                if client.halted & PAUSED:
                    break
                self._next += 1
                if client.halted or self.error is not None:
                    break
            self._pass_on()
            if self.error is not None:
                return False
            if server.last_ns > until:
                return not client.halted
        if client.halted & CLOSING and self.error is None:
            self.error = "a command of the stream could not be applied"
        return False

    def _apply(self, args: Args) -> None:
        client = self.client
        server = self._server
        server.current = client
        reply = dispatch(client, args)
        server.current = None
        if isinstance(reply, RedisError):
            self._tell_error(reply)
        if server.own_pushes:
            server.own_pushes = []
        if server.waiting.ready:
            serve_ready(server)

    def _tell_error(self, error: RedisError) -> None:
        """Log an error that nobody will be answered: the data may not be the primary's any more."""
        server = self._server
        server.stats.unexpected_error_replies += 1
        command = self.client.command
        message = error.message
        server.log.warning(
            "== CRITICAL == This replica is sending an error to its master: '%s' after processing "
            "the command '%s'",
            message[4:] if message.startswith("ERR ") else "-" + message,
            "<unknown>" if command is None else command.fullname,
        )
        if server.config.propagation_error_behavior != "ignore":
            self.error = "an error was not to be ignored"  # a full synchronization puts it right

    def _look_at_error(self) -> None:
        """Note that the stream is broken, if it is."""
        reason = self._parser.error
        if reason is not None:
            self.error = reason
            if reason.startswith("Master using the inline protocol"):
                self._server.log.warning(
                    "WARNING: Receiving inline protocol from master, master stream corruption? "
                    "Closing the master connection and discarding the cached master."
                )
            self._server.log.warning("Protocol error (%s) from client: master", reason)

    # -- offsets

    def position(self) -> int:
        """Return the offset in front of the command that is running, or that comes next."""
        left: i64 = self._parser.pending_bytes
        batch = self._batch
        index: i64 = self._next
        while index < len(batch):
            left += request_size(batch[index])
            index += 1
        return self.read_offset - left

    def _pass_on(self) -> None:
        """Hand on what has been applied."""
        until: i64 = self.position()
        if self.client.transaction is not None:
            until = self._begin_of_transaction(until)
        if until <= self.offset:
            return
        replication = self._server.replication
        unapplied = self._unapplied
        while self.offset < until:
            data = unapplied[0]
            size: i64 = until - self.offset
            if len(data) <= size:
                unapplied.popleft()
            else:
                unapplied[0] = data[size:]
                data = data[:size]
            self.offset += len(data)
            replication.passed_on(data)

    def _begin_of_transaction(self, position: i64) -> i64:
        """Return the offset in front of the MULTI, or the one so far if it came earlier."""
        index: i64 = self._next
        while index > 0:
            index -= 1
            args = self._batch[index]
            position -= request_size(args)
            if args[0].lower() == b"multi":
                return position
        return self.offset
