"""The writes of a server as a Python program sees them: an iterator over the replication stream.

It reads what replicas are sent, from the backlog, so it works on a replica as on a primary, costs
nothing while nobody iterates, and can go on where it was, as long as the backlog reaches back so
far. What its consumer has not taken is kept, up to a limit; who is slower than that is told so, and
nobody else notices.

    iterator ─ Tap ─ a reader of the backlog          woken when the stream goes on

Source: none in Redis; positions are those of PSYNC.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Self

import attrs
import trio

from redis_trio.client import request_size
from redis_trio.command import WRITE, lookup
from redis_trio.protocol.request import Args, Limits, RequestParser

if TYPE_CHECKING:
    from redis_trio.replication.backlog import Reader
    from redis_trio.state import ServerState

MAX_PENDING: Final = 16 * 1024 * 1024
BATCH: Final = 64  # commands parsed at a time
NO_LIMIT: Final = 2**62


class ChangesLost(Exception):
    """The changes cannot be told without a gap: read the data anew, and iterate from now on."""


@attrs.frozen
class Change:
    """A write that was applied.

    Attributes:
      db: the database that it is for.
      args: the command and its arguments, as replicas are sent it: of its effect, not its wording.
      offset: of the replication stream, behind it.
      position: where to go on: hand it to `RedisServer.changes`.
    """

    db: int
    args: tuple[bytes, ...]
    offset: int
    position: str


class Tap:
    """A reader of the stream that is not a replica.

    Attributes:
      lost: why it cannot go on, None while it can.
      event: set when there is something to look at.
    """

    def __init__(self, server: ServerState, position: str | None, max_pending: int) -> None:
        """Begin to read.

        Raises:
          ChangesLost: the stream does not reach back to `position`.
        """
        self._server = server
        self._max_pending = max_pending
        replication = server.replication
        replication.create_backlog()
        backlog = replication.backlog
        assert backlog is not None
        self._backlog = backlog
        if position is None:
            self.db, self.offset = self._current_db(), replication.offset
        else:
            self.db, self.offset = self._read_position(position)
        if not backlog.has(self.offset + 1):
            raise ChangesLost("the backlog does not reach back so far")
        self.reader: Reader = backlog.reader(self.offset + 1)
        self.lost: str | None = None
        self.event = trio.Event()
        replication.taps[self] = None

    def _current_db(self) -> int:
        """Return the database that the stream is in."""
        upstream = self._server.replication.upstream
        if upstream is None:
            self._server.feed.select_again()
            return 0
        if upstream.master is not None:
            return upstream.master.client.db.index
        return 0 if upstream.cached is None else max(0, upstream.cached.db)

    def _read_position(self, position: str) -> tuple[int, int]:
        replication = self._server.replication
        replid, offset_word, db_word = [*position.split(":"), "", ""][:3]
        if not offset_word.isdigit() or not db_word.isdigit():
            raise ValueError(f"{position!r} is not the position of a change")
        offset = int(offset_word)
        is_known = replid == replication.replid or (
            replid == replication.replid2 and offset < replication.second_offset
        )
        if not is_known:
            raise ChangesLost("the position is of another history of the data")
        return int(db_word), offset

    def look(self) -> None:
        """Take note that the stream has gone on, or is another one."""
        if self.lost is None and self._server.replication.backlog is not self._backlog:
            self.lose("the data was replaced by a full synchronization")
        elif self.lost is None and self.reader.pending_bytes > self._max_pending:
            self.lose(f"more than {self._max_pending} bytes of changes have not been taken")
        self.event.set()

    def lose(self, reason: str) -> None:
        """Read no further."""
        self.lost = reason
        self.reader.close()
        self.event.set()

    def close(self) -> None:
        """Hold nothing any more."""
        self._server.replication.taps.pop(self, None)
        self.reader.close()


class Changes:
    """Iterates over the changes; see `RedisServer.changes`. It begins when it is made."""

    def __init__(self, server: ServerState, after: str | None, max_pending: int) -> None:
        self._server = server
        self._tap = Tap(server, after, max_pending)
        self._parser = RequestParser(Limits(NO_LIMIT))
        self._ready: deque[Change] = deque()
        self._fed = self._tap.offset

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        """Wait for the next change.

        Raises:
          ChangesLost: there is one that cannot be told.
          ClosedResourceError: the server was closed.

        Cancellation: nothing is lost; the next call returns what this one would have.
        """
        tap = self._tap
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._ready:
            if tap.lost is not None:
                raise ChangesLost(tap.lost)
            if tap not in self._server.replication.taps:
                raise trio.ClosedResourceError("the server was closed")
            tap.event = trio.Event()
            if not self._read():
                await tap.event.wait()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return self._ready.popleft()

    def _read(self) -> bool:
        """Take some of the stream; return whether there was any."""
        parser = self._parser
        commands = parser.parse(BATCH)
        if not commands:
            view = self._tap.reader.take(self._server.replication.offset)
            if view is None:
                return False
            self._fed += len(view)
            parser.feed(bytes(view))
            commands = parser.parse(BATCH)
        sizes = [request_size(args) for args in commands]
        offset = self._fed - parser.pending_bytes - sum(sizes)
        for args, size in zip(commands, sizes, strict=True):
            offset += size
            self._take(args, offset)
        return True

    def _take(self, args: Args, offset: int) -> None:
        """Note a command of the stream, if it is a write."""
        tap = self._tap
        tap.offset = offset
        name = args[0].lower()
        if name == b"select":
            tap.db = int(args[1])
            return
        command = lookup(self._server.commands, args)
        if command is not None and command.flags & WRITE:
            position = f"{self._server.replication.replid}:{offset}:{tap.db}"
            self._ready.append(Change(tap.db, tuple(args), offset, position))

    def close(self) -> None:
        """End it; what has not been taken is let go."""
        self._ready.clear()
        self._tap.close()

    def __del__(self) -> None:
        tap = getattr(self, "_tap", None)
        if tap is not None:
            tap.close()
