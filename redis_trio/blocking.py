"""Waiting, done once: what a handler's "not yet" turns into.

A handler that cannot answer yet returns a Block. `execute.call` makes a Waiter of it and halts the
client; the client's connection task then waits on the waiter's mailbox, a memory channel of one,
under a cancel scope with the deadline. Whoever makes the waited-for thing true puts the reply into
the mailbox (`Waiter.answer`).

1. Waiters on a topic stand in the order in which they came.
2. A waiter leaves all its topics the moment it is answered, so an answer is given once.
3. An answer in the mailbox when the deadline fires is delivered: nothing is lost.

CLIENT PAUSE is another kind of waiting: a command that may not run yet is not begun at all. Its
client is halted and stands in `ServerState.paused_clients`; when the pause ends its transport goes
on with that same command. The pause also holds up expiry, so that the data is the same as before.

Source: Redis blocked.c (the pusher serves the blocked), networking.c pauseActions.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import trio

from redis_trio.client import PAUSED
from redis_trio.keyspace.expire import NEVER
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.command import Command
    from redis_trio.state import ServerState

Topic: TypeAlias = Hashable
"""What is waited for: a (database, key) pair, an event."""


class Block:
    """A handler's "not yet".

    Args:
      topics: what is waited for; the command is run again when one of them is ready.
      timeout_s: how long, None for ever.
      on_timeout: the reply when that time is over.
      args: the command to run then; None for the one that blocked.
      busy_ns: how long the command takes in the statistics if it times out.
    """

    __slots__ = ("args", "busy_ns", "on_timeout", "timeout_s", "topics")

    def __init__(
        self,
        topics: Sequence[Topic],
        timeout_s: float | None,
        on_timeout: Reply,
        args: Args | None = None,
        busy_ns: int = 0,
    ) -> None:
        self.topics = topics
        self.timeout_s = timeout_s
        self.on_timeout = on_timeout
        self.args = args
        self.busy_ns = busy_ns


class Waiter:
    """A blocked client, from its Block to its answer."""

    __slots__ = ("_answer", "args", "block", "client", "command", "mailbox", "waiting")

    def __init__(
        self, client: Client, command: Command, args: Args, block: Block, waiting: Waiting
    ) -> None:
        self.client = client
        self.command = command
        self.args = args if block.args is None else block.args
        self.block = block
        self.waiting: Waiting | None = waiting
        answer, self.mailbox = trio.open_memory_channel[Reply](1)
        self._answer = answer

    def answer(self, reply: Reply) -> bool:
        """Give the client its reply; False if it has been answered or has gone away."""
        if self.waiting is None:
            return False
        self.cancel()
        self._answer.send_nowait(reply)
        return True

    def cancel(self) -> None:
        """Stop waiting: nobody will run the command again."""
        if self.waiting is not None:
            self.waiting.remove(self)
            self.waiting = None

    def count(self) -> None:
        """Count the command, which blocked before it could be counted and never ran again."""
        self.command.record(self.block.busy_ns, self.client.server.latency_tracking)
        self.client.server.stats.total_commands += 1

    async def wait(self) -> Reply:
        """Wait for the reply, or for the timeout's.

        Cancellation: the waiter leaves its topics; an element that was handed over is not lost,
        because handing over and waking are one step.
        """
        timeout_s = self.block.timeout_s
        deadline = float("inf") if timeout_s is None else trio.current_time() + timeout_s
        try:
            with trio.CancelScope(deadline=deadline):
                return await self.mailbox.receive()
            try:
                return self.mailbox.receive_nowait()
            except trio.WouldBlock:
                self.count()
                return self.block.on_timeout
        finally:
            self.cancel()


class Waiting:
    """The blocked clients of one server.

    Attributes:
      waiters: `{topic: {waiter: None}}`, oldest first. Leaving costs O(1) for each topic.
      count: number of blocked clients.
    """

    __slots__ = ("count", "waiters")

    def __init__(self) -> None:
        self.waiters: dict[Topic, dict[Waiter, None]] = {}
        self.count = 0

    def add(self, waiter: Waiter) -> None:
        """Put a waiter at the end of the line of each of its topics."""
        self.count += 1
        for topic in waiter.block.topics:
            self.waiters.setdefault(topic, {})[waiter] = None

    def remove(self, waiter: Waiter) -> None:
        """Take a waiter out of every line."""
        self.count -= 1
        for topic in waiter.block.topics:
            line = self.waiters.get(topic)
            if line is not None:
                line.pop(waiter, None)
                if not line:
                    del self.waiters[topic]


def pause(server: ServerState, until_ms: int, everything: bool) -> None:
    """Let no writes, or no commands at all, begin before `until_ms`.

    Of two pauses at a time the longer end and the stricter kind hold.
    """
    unpause_if_due(server)
    server.pause_until_ms = max(server.pause_until_ms, until_ms)
    server.pause_all = server.pause_until_ms != 0 and (server.pause_all or everything)
    server.update_gate()
    server.due_at(server.pause_until_ms)


def unpause(server: ServerState) -> None:
    """End the pause: the clients that it holds up go on, in the order in which they came."""
    server.pause_until_ms = 0
    server.pause_all = False
    server.update_gate()
    clients = server.paused_clients
    server.paused_clients = {}
    for client in clients:
        client.halted &= ~PAUSED
        client.transport.resume()
    if clients:
        server.counts_as_idle()


def unpause_if_due(server: ServerState) -> bool:
    """End the pause if its time is over; return whether there is none (any more)."""
    if server.pause_until_ms > server.clock.now_ms:
        return False
    if server.pause_until_ms:
        unpause(server)
    return True


def next_pause_deadline(server: ServerState) -> int:
    """Return when the pause ends (ms since the epoch), NEVER if there is none."""
    return server.pause_until_ms or NEVER
