"""The feed: the one way a write leaves the server, for the AOF and for replicas.

`execute.call` hands over each command that changed something, once, after it ran. What is fed is
the effect, as Redis rewrites it: a handler whose command must not be repeated as it was sent (a
relative expiry, a random choice, a float increment) calls `rewrite()` while it runs. Deletions by
expiry are fed as DEL. A unit of several commands goes out between MULTI and EXEC, and SELECT goes
in front where the database changes.

There are two targets, the AOF (whose listeners `listen`) and the replication stream. Most commands
are for both, and are encoded once; what a script wants one of them not to have, and what is
published, is not. Each target has the database that it is in. On a replica nothing goes to the
replication stream: that is the primary's. The offset is counted even while nobody keeps the stream,
one for each command, since WAITAOF compares it with what has been synced.

While nobody listens `active` is False and a write costs one test.

Source: Redis server.c alsoPropagate, propagatePendingCommands; replication.c replicationFeedSlaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from mypy_extensions import i64

from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.replication.state import Replication

Listener: TypeAlias = Callable[[bytes], None]
Effect: TypeAlias = tuple[int, Args, int]
"""A database, -1 for none in particular, a command that ran in it, and who is to know of it."""

# Targets.
AOF: Final = 1
REPLICAS: Final = 2
BOTH: Final = 3

NO_DATABASE: Final = -1
MULTI: Final = b"*1\r\n$5\r\nMULTI\r\n"
EXEC: Final = b"*1\r\n$4\r\nEXEC\r\n"
_LENGTHS: Final = [b"$%d\r\n" % n for n in range(1024)]
_COUNTS: Final = [b"*%d\r\n" % n for n in range(64)]


def encode_command(args: Args) -> bytes:
    """Return a command as a client would send it: an array of bulk strings."""
    count: i64 = len(args)
    parts = [_COUNTS[count] if count < 64 else b"*%d\r\n" % count]
    for arg in args:
        size: i64 = len(arg)
        parts.append(_LENGTHS[size] if size < 1024 else b"$%d\r\n" % size)
        parts.append(arg)
        parts.append(b"\r\n")
    return b"".join(parts)


class Feed:
    """Collects the commands of one unit of work and sends them, encoded once, to the targets.

    Attributes:
      active: whether anybody listens.
      targets: who is to know of the effects of the commands that run: AOF, REPLICAS, BOTH or none.
    """

    __slots__ = (
        "_listeners",
        "_listeners_db",
        "_mixed",
        "_pending",
        "_replication",
        "_rewritten",
        "_stream_db",
        "active",
        "targets",
    )

    def __init__(self, replication: Replication) -> None:
        self.active = False
        self.targets: i64 = BOTH
        self._replication = replication
        self._listeners: list[Listener] = []
        self._pending: list[Effect] = []  # of the unit in hand
        self._mixed = False  # whether any of them is not for both
        self._rewritten: list[Args] | None = None
        self._listeners_db: i64 = NO_DATABASE  # the database that the listeners are in
        self._stream_db: i64 = NO_DATABASE  # and that of the replication stream

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` called with the bytes of each unit; returns the function that ends it."""
        self._listeners.append(listener)
        self._listeners_db = NO_DATABASE
        self.update()

        def stop() -> None:
            self._listeners.remove(listener)
            self.update()

        return stop

    def update(self) -> None:
        """Look again whether anybody listens: a target has come or gone."""
        replication = self._replication
        self.active = bool(self._listeners) or (
            replication.backlog is not None and replication.upstream is None
        )

    def select_again(self) -> None:
        """Begin the next unit in the replication stream with a SELECT: somebody reads from here."""
        self._stream_db = NO_DATABASE

    @property
    def stream_db(self) -> int:
        """The database in which the next command of the replication stream would run."""
        return max(0, self._stream_db)

    def rewrite(self, *commands: Args) -> None:
        """Feed these in place of the command that is running; none: it is not fed at all."""
        if self.active:
            self._rewritten = list(commands)

    def add(self, db: int, args: Args) -> None:
        """Note a command that changed something in database `db`."""
        rewritten = self._rewritten
        if rewritten is None:
            self.add_for(self.targets, db, args)
        else:
            self._rewritten = None
            for command in rewritten:
                self.add_for(self.targets, db, command)

    def add_for(self, targets: int, db: int, args: Args) -> None:
        """Note what only some targets are to know; the feed is active."""
        if targets != BOTH:
            if targets == 0:
                return
            self._mixed = True
        self._pending.append((db, args, targets))

    def forget_rewrite(self) -> None:
        """Drop what a command wanted fed that changed nothing or failed."""
        self._rewritten = None

    def add_effect(self, db: int, args: Args) -> None:
        """Note a change that is no command's own, such as a key that expired."""
        if self.active:
            self._pending.append((db, args, BOTH))

    def set_aside(self) -> list[Effect]:
        """Take out what the unit in hand has changed, for another unit to go in between."""
        pending = self._pending
        self._pending = []
        return pending

    def take_back(self, pending: list[Effect]) -> None:
        """Go on with the unit that was set aside."""
        self._pending = pending
        self._mixed = True  # which is looked up then

    def flush(self, scattered: bool = False) -> bool:
        """End the unit: send what it changed; return whether that was anything.

        Args:
          scattered: its effects are no transaction, however many they are: a command has come
            across keys that had expired.
        """
        pending = self._pending
        if not pending:
            return False
        self._pending = []
        replication = self._replication
        commands = [encode_command(effect[1]) for effect in pending]
        framed = len(commands) > 1 and not scattered
        same = not self._mixed and self._listeners_db == self._stream_db
        self._mixed = False
        data = b""
        if self._listeners:
            data = self._unit(pending, commands, AOF, framed)
            if data:
                for listener in self._listeners:
                    listener(data)
        if replication.upstream is not None:
            return True
        if replication.backlog is None:
            replication.offset += _count(pending, REPLICAS) + (2 if framed else 0)
            return True
        if same and self._listeners:
            self._stream_db = self._listeners_db
        else:
            data = self._unit(pending, commands, REPLICAS, framed)
        if data:
            replication.append(data)
        return True

    def _unit(
        self, pending: list[Effect], commands: list[bytes], target: int, framed: bool
    ) -> bytes:
        """Return the bytes of a unit for one target, and have it be in the database of the last."""
        current = self._listeners_db if target == AOF else self._stream_db
        parts = [MULTI] if framed else []
        for index in range(len(commands)):
            db, _, targets = pending[index]
            if targets & target:
                if db not in (current, NO_DATABASE):
                    current = db
                    parts.append(encode_command([b"SELECT", b"%d" % db]))
                parts.append(commands[index])
        if framed:
            parts.append(EXEC)
        if target == AOF:
            self._listeners_db = current
        else:
            self._stream_db = current
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _count(pending: list[Effect], target: int) -> int:
    """Return how many commands are for a target."""
    return sum([1 for effect in pending if effect[2] & target])
