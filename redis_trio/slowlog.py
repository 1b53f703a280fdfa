"""The slow log: the last commands that took longer than `slowlog-log-slower-than`.

Commands come here from `ServerState.was_slow`, which tests one number for all that wants to know of
slow commands. Long arguments are cut, and secret ones hidden, when an entry is made, so that the
log holds little memory and no passwords.

Source: Redis slowlog.c.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from redis_trio.redact import shown_args

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.command import Command
    from redis_trio.protocol.request import Args

ARGUMENTS_MAX: Final = 32  # of an entry, the note on those left out included
LENGTH_MAX: Final = 128  # bytes of an argument


class Entry:
    """A command that took long.

    Attributes:
      number: counts entries since the server started.
      time_s: when it ended, in s since the epoch.
      duration_us: how long it took.
      args: the command, cut.
      address, name: whose it was.
    """

    __slots__ = ("address", "args", "duration_us", "name", "number", "time_s")

    def __init__(
        self, number: int, time_s: int, duration_us: int, args: Args, address: str, name: bytes
    ) -> None:
        self.number = number
        self.time_s = time_s
        self.duration_us = duration_us
        self.args = args
        self.address = address
        self.name = name


class SlowLog:
    """The slow log of one server.

    Attributes:
      entries: newest first.
    """

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self._next_number = 0

    def add(self, client: Client, command: Command, args: Args, duration_us: int) -> None:
        """Note a command; the oldest are forgotten where there are too many."""
        server = client.server
        shown = _cut(shown_args(server, command, args))
        entry = Entry(
            self._next_number,
            server.clock.now_ms // 1000,
            duration_us,
            shown,
            client.addr or "?:0",
            client.name,
        )
        self._next_number += 1
        self.entries.appendleft(entry)
        self.trim(server.config.slowlog_max_len)

    def trim(self, length: int) -> None:
        """Forget the oldest entries until there are `length`; 0 stops logging and forgets none."""
        if length:
            while len(self.entries) > length:
                self.entries.pop()


def _cut(args: Args) -> Args:
    """Return a command as the log keeps it."""
    count = len(args)
    kept = args if count <= ARGUMENTS_MAX else args[: ARGUMENTS_MAX - 1]
    shown = [
        arg
        if len(arg) <= LENGTH_MAX
        else b"%b... (%d more bytes)" % (arg[:LENGTH_MAX], len(arg) - LENGTH_MAX)
        for arg in kept
    ]
    if count > ARGUMENTS_MAX:
        shown.append(b"... (%d more arguments)" % (count - ARGUMENTS_MAX + 1))
    return shown
