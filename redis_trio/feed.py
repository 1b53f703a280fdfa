"""The feed: the one way a write leaves the server, for the AOF and for replicas.

`execute.call` hands over each command that changed something, once, after it ran. What is fed is
the effect, as Redis rewrites it: a handler whose command must not be repeated as it was sent (a
relative expiry, a random choice, a float increment) calls `rewrite()` while it runs. Deletions by
expiry are fed as DEL. A unit of several commands goes out between MULTI and EXEC, and SELECT goes
in front where the database changes.

While nobody listens `active` is False and a write costs one test.

Source: Redis server.c alsoPropagate, propagatePendingCommands; replication.c replicationFeedSlaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from redis_trio.protocol.request import Args

Listener: TypeAlias = Callable[[bytes], None]


def encode_command(args: Args) -> bytes:
    """Return a command as a client would send it: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        parts.append(b"$%d\r\n" % len(arg))
        parts.append(arg)
        parts.append(b"\r\n")
    return b"".join(parts)


class Feed:
    """Collects the commands of one unit of work and sends them, encoded once, to the listeners.

    Attributes:
      active: whether anybody listens.
      offset: how many bytes have been fed; the replication offset.
    """

    __slots__ = ("_db", "_listeners", "_pending", "_rewritten", "active", "offset")

    def __init__(self) -> None:
        self.active = False
        self.offset = 0
        self._listeners: list[Listener] = []
        self._pending: list[tuple[int, Args]] = []  # (database, command) of the unit in hand
        self._rewritten: list[Args] | None = None
        self._db = -1  # the database that the listeners are in

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` called with the bytes of each unit; returns the function that ends it."""
        self._listeners.append(listener)
        self.active = True
        self._db = -1

        def stop() -> None:
            self._listeners.remove(listener)
            self.active = bool(self._listeners)

        return stop

    def rewrite(self, *commands: Args) -> None:
        """Feed these in place of the command that is running; none: it is not fed at all."""
        if self.active:
            self._rewritten = list(commands)

    def add(self, db: int, args: Args) -> None:
        """Note a command that changed something in database `db`."""
        rewritten = self._rewritten
        if rewritten is None:
            self._pending.append((db, args))
        else:
            self._rewritten = None
            self._pending.extend([(db, command) for command in rewritten])

    def forget_rewrite(self) -> None:
        """Drop what a command wanted fed that changed nothing or failed."""
        self._rewritten = None

    def add_effect(self, db: int, args: Args) -> None:
        """Note a change that is no command's own, such as a key that expired."""
        if self.active:
            self._pending.append((db, args))

    def set_aside(self) -> list[tuple[int, Args]]:
        """Take out what the unit in hand has changed, for another unit to go in between."""
        pending = self._pending
        self._pending = []
        return pending

    def take_back(self, pending: list[tuple[int, Args]]) -> None:
        """Go on with the unit that was set aside."""
        self._pending = pending

    def flush(self) -> None:
        """End the unit: send what it changed."""
        pending = self._pending
        if not pending:
            return
        self._pending = []
        parts: list[bytes] = []
        if len(pending) > 1:
            self._select(pending[0][0], parts)
            parts.append(encode_command([b"MULTI"]))
        for db, args in pending:
            self._select(db, parts)
            parts.append(encode_command(args))
        if len(pending) > 1:
            parts.append(encode_command([b"EXEC"]))
        data = b"".join(parts)
        self.offset += len(data)
        for listener in self._listeners:
            listener(data)

    def _select(self, db: int, parts: list[bytes]) -> None:
        if db != self._db:
            self._db = db
            parts.append(encode_command([b"SELECT", b"%d" % db]))
