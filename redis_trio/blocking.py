"""Waiting, done once: what a handler's "not yet" turns into.

A handler that cannot answer yet returns a Block. `execute.call` makes a Waiter of it and halts the
client; the client's connection task then waits on the waiter's mailbox, a memory channel of one,
under a cancel scope with the deadline. Who waits for keys stands in line for each of them. When
such a key changes it is *ready*, and at the end of the command that changed it the waiters' own
commands run again, on the pusher's side (`execute.serve_ready`), until no key is ready; the reply
goes into the mailbox (`Waiter.answer`).

1. Waiters stand in the order in which they came; one whose command blocks again goes to the end.
2. A line is for one key and one type: whoever is at its head can be served if the key has that
   type, so waking one costs the same however many wait.
3. A waiter leaves all its lines the moment it is answered, so an answer is given once.
4. An answer in the mailbox when the deadline fires, or the wait is cancelled, is delivered: what
   the command has taken is not lost.

CLIENT PAUSE is another kind of waiting: a command that may not run yet is not begun at all. Its
client is halted and stands in `ServerState.paused_clients`; when the pause ends its transport goes
on with that same command. The pause also holds up expiry, so that the data is the same as before.
There are other reasons for such a pause than CLIENT PAUSE, each of which has its own end.

Source: Redis blocked.c (the pusher serves the blocked), networking.c pauseActions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import trio

from redis_trio.client import PAUSED
from redis_trio.data.expires import NEVER
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.command import Command
    from redis_trio.state import ServerState

CLIENT_PAUSE: Final = "CLIENT PAUSE"  # the purposes of pauses
MIGRATION: Final = "MIGRATE"
FOREVER_MS: Final = 1 << 60  # the end of a pause that somebody has to end

Topic: TypeAlias = tuple[int, bytes]
"""A key that is waited for: the database's number and the key."""


class Block:
    """A handler's "not yet".

    Args:
      topics: the keys that are waited for; the command is run again when one of them is ready.
      timeout_s: how long, None for ever.
      on_timeout: the reply when that time is over.
      kind: the name of the type that a key must have.
      args: the command to run then; None for the one that blocked.
      on_missing: whether to run it also when a key has gone or is of another type.
      busy_ns: how long the command takes in the statistics if it times out.
      has_begun: whether the command stands still half-way and will end by itself, so that it can
        neither be denied nor run again.

    Attributes:
      if_denied: the reply where nobody may wait, as in a transaction; that of `on_timeout` unless a
        handler sets another one.
      may_end: whether CLIENT UNBLOCK may answer in place of what is waited for.
    """

    __slots__ = (
        "args",
        "busy_ns",
        "has_begun",
        "if_denied",
        "kind",
        "may_end",
        "on_missing",
        "on_timeout",
        "timeout_s",
        "topics",
    )

    def __init__(
        self,
        topics: Sequence[Topic],
        timeout_s: float | None,
        on_timeout: Reply,
        kind: bytes = b"",
        args: Args | None = None,
        on_missing: bool = False,
        busy_ns: int = 0,
        has_begun: bool = False,
    ) -> None:
        self.topics = topics
        self.timeout_s = timeout_s
        self.on_timeout = on_timeout
        self.if_denied = on_timeout
        self.kind = kind
        self.args = args
        self.on_missing = on_missing
        self.busy_ns = busy_ns
        self.has_begun = has_begun
        self.may_end = True

    def late_reply(self) -> Reply:
        """Return the reply when the time is over."""
        return self.on_timeout


def block_on_keys(
    client: Client,
    keys: Sequence[bytes],
    kind: bytes,
    timeout_s: float | None,
    on_timeout: Reply,
    args: Args | None = None,
    on_missing: bool = False,
) -> Block:
    """Return a Block on keys of the client's database, each of which may be named repeatedly."""
    db = client.db.index
    topics = [(db, key) for key in dict.fromkeys(keys)]
    return Block(topics, timeout_s, on_timeout, kind, args, on_missing)


class Waiter:
    """A blocked client, from its Block to its answer.

    Attributes:
      pushes: what the client is to be sent behind its reply, once that is in the mailbox.
    """

    __slots__ = ("_answer", "args", "block", "client", "command", "mailbox", "pushes", "waiting")

    def __init__(self, client: Client, command: Command, args: Args, block: Block) -> None:
        self.client = client
        self.command = command
        self.waiting: Waiting | None = None
        answer, self.mailbox = trio.open_memory_channel[Reply](1)
        self._answer = answer
        self.pushes: list[bytes] = []
        self.wait_for(block, args)

    def wait_for(self, block: Block, args: Args) -> None:
        """Stand in the lines of a block, the first or another one; the deadline stays."""
        self.block = block
        self.args = args if block.args is None else block.args
        self.waiting = self.client.server.waiting
        self.waiting.add(self)

    def answer(self, reply: Reply) -> bool:
        """Give the client its reply; False if it has been answered or has gone away."""
        if self.waiting is None:
            return False
        self.cancel()
        self.deliver(reply)
        return True

    def deliver(self, reply: Reply) -> None:
        """Put the one reply into the mailbox; the waiter has been cancelled before."""
        self._answer.send_nowait(reply)

    def cancel(self) -> None:
        """Leave all lines: nobody will run the command again."""
        if self.waiting is not None:
            self.waiting.remove(self)
            self.waiting = None

    def count(self) -> None:
        """Count the command, which blocked before it could be counted and never ran again."""
        server = self.client.server
        busy_ns = self.block.busy_ns
        if busy_ns >= server.slow_ns:
            server.was_slow(self.client, self.command, self.args, busy_ns)
        self.command.record(busy_ns, server.latency_tracking)
        server.stats.total_commands += 1

    async def wait(self) -> Reply:
        """Wait for the reply, or for the timeout's.

        Cancellation: the waiter leaves its lines. An answer that was given before the task could
        notice is returned all the same, since the command has been carried out; the cancellation
        is delivered at the next checkpoint.
        """
        timers = self.client.server.timers
        scope = timers.scope(self.block.timeout_s)
        try:
            with scope:
                try:
                    return await self.mailbox.receive()
                except trio.Cancelled:
                    if self.mailbox.statistics().current_buffer_used:
                        return self.mailbox.receive_nowait()
                    raise
            self.count()
            return self.block.late_reply()
        finally:
            timers.forget(scope)
            self.cancel()


Line: TypeAlias = "OrderedDict[Waiter, None]"
"""Waiters, oldest first. Looking at the oldest costs O(1), which in a dict it would not."""


class Waiting:
    """The blocked clients of one server.

    Attributes:
      lines: `{topic: {kind: waiters}}`. Leaving costs O(1) for each topic.
      ready: the topics that have changed since `execute.serve_ready` ran, in that order.
      waiters: all of them, oldest first.
      count: number of blocked clients.
    """

    __slots__ = ("count", "lines", "ready", "waiters")

    def __init__(self) -> None:
        self.waiters: dict[Waiter, None] = {}
        self.lines: dict[Topic, dict[bytes, OrderedDict[Waiter, None]]] = {}
        self.ready: dict[Topic, None] = {}
        self.count = 0

    def add(self, waiter: Waiter) -> None:
        """Put a waiter at the end of the line of each of its topics."""
        block = waiter.block
        self.count += 1
        self.waiters[waiter] = None
        for topic in block.topics:
            kinds = self.lines.get(topic)
            if kinds is None:
                kinds = self.lines[topic] = {}
            line = kinds.get(block.kind)
            if line is None:
                line = kinds[block.kind] = OrderedDict()
            line[waiter] = None
        if self.count == 1:
            waiter.client.server.update_listening()

    def remove(self, waiter: Waiter) -> None:
        """Take a waiter out of the lines in which it stands."""
        block = waiter.block
        self.count -= 1
        del self.waiters[waiter]
        for topic in block.topics:
            kinds = self.lines[topic]
            line = kinds[block.kind]
            del line[waiter]
            if not line:
                del kinds[block.kind]
                if not kinds:
                    del self.lines[topic]
        if self.count == 0:
            waiter.client.server.update_listening()

    def count_on_missing(self) -> int:
        """Return the number of keys that somebody waits for to go away."""
        count = 0
        for kinds in self.lines.values():
            flags = [waiter.block.on_missing for line in kinds.values() for waiter in line]
            count += any(flags)
        return count

    def signal(self, topic: Topic) -> None:
        """Note that a key has changed, if anybody waits for it."""
        if topic in self.lines:
            self.ready[topic] = None

    def signal_database(self, index: int) -> None:
        """Note that all keys of a database may have changed."""
        for topic in self.lines:
            if topic[0] == index:
                self.ready[topic] = None


class Gate:
    """What tasks wait at while it is closed."""

    __slots__ = ("_opened", "closed")

    def __init__(self) -> None:
        self.closed = False
        self._opened: trio.Event | None = None

    def close(self) -> None:
        """Let nobody pass."""
        if not self.closed:
            self.closed = True
            self._opened = trio.Event()

    def open(self) -> None:
        """Let everybody pass."""
        self.closed = False
        if self._opened is not None:
            self._opened.set()
            self._opened = None

    async def passed(self) -> None:
        """Wait until it is open; no checkpoint if it is."""
        while self._opened is not None:
            await self._opened.wait()


def pause(
    server: ServerState, until_ms: int, everything: bool, purpose: str = CLIENT_PAUSE
) -> None:
    """Let no writes, or no commands at all, begin before `until_ms`.

    Of two pauses for one purpose the longer end and the stricter kind hold; those for several
    purposes end one by one.
    """
    unpause_if_due(server)
    before = server.pauses.get(purpose)
    if before is not None:
        until_ms = max(before[0], until_ms)
        everything = before[1] or everything
    if until_ms:
        server.pauses[purpose] = (until_ms, everything)
    _update_pause(server)
    if until_ms != FOREVER_MS:
        server.due_at(until_ms)


def unpause(server: ServerState, purpose: str = CLIENT_PAUSE) -> None:
    """End a pause: who is held up goes on, in the order in which they came, as far as they may."""
    if server.pauses.pop(purpose, None) is not None:
        _update_pause(server)
        _resume(server)
        if server.wake_keeper is not None:  # what was held up may be due
            server.wake_keeper()


def _update_pause(server: ServerState) -> None:
    pauses = server.pauses.values()
    server.pause_until_ms = max([until_ms for until_ms, _ in pauses], default=0)
    server.pause_all = any(everything for _, everything in pauses)
    server.update_gate()


def _resume(server: ServerState) -> None:
    clients = server.paused_clients
    server.paused_clients = {}
    for client in clients:
        client.halted &= ~PAUSED
        client.transport.resume()
    if clients:
        server.counts_as_idle()


def unpause_if_due(server: ServerState) -> bool:
    """End the pauses whose time is over; return whether there is none (any more)."""
    now_ms = server.clock.now_ms
    due = [purpose for purpose, pause in server.pauses.items() if pause[0] <= now_ms]
    for purpose in due:
        unpause(server, purpose)
    return not server.pauses


def next_pause_deadline(server: ServerState) -> int:
    """Return when the next pause ends (ms since the epoch), NEVER if none does by itself."""
    ends = [until_ms for until_ms, _ in server.pauses.values() if until_ms != FOREVER_MS]
    return min(ends, default=NEVER)
