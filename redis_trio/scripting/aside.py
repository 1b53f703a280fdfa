"""A stack of its own for scripts: one that takes long stands still on it while others have a turn.

Lua cannot be left half-way and gone on with later: its frames and those of the commands that it
calls stand on the stack of the one thread that there is. greenlet gives them a stack of their own.
What runs scripts is entered here. If it has not ended after SLICE_NS, a hook of Lua switches back,
the command "blocks", and the shell goes on with it a slice at a time, between checkpoints of the
host's loop. To enter and leave costs about half a microsecond.

What stands still is a unit of work half-way. So nothing else of the server may look at the data or
change it before the unit has ended:

1. `ServerState.answering` is closed until busy-reply-threshold has passed: nobody is served. Then
   it is opened, and `execute.admit` says -BUSY.
2. `ServerState.whole` is closed until the unit has ended. Whoever works on the data without being
   asked by a client waits at it: the keeper, snapshots that begin, a primary's stream.
3. What the unit has done is set aside: its effects, the keys that it has made ready, the pushes for
   its own client. The moment in which it runs stays the same, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import i64, mypyc_attr

from redis_trio.blocking import Block
from redis_trio.clock import perf_counter_ns
from redis_trio.errors import BUSY_EVAL, RedisError
from redis_trio.execute import complete
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenlet import greenlet

    from redis_trio.client import Client
    from redis_trio.command import Command
    from redis_trio.state import ServerState

SLICE_NS: Final = 1_000_000
NEVER_NS: Final = 1 << 62


@mypyc_attr(allow_interpreted_subclasses=True)
class Work:
    """What may run scripts."""

    def perform(self) -> Reply:
        """Do it and return the reply."""
        raise NotImplementedError


class Aside:
    """The second stack of one server.

    Attributes:
      standing: whether there is work that stands still.
      until_ns: when the slice of what runs there ends (perf_counter_ns), NEVER_NS if it must not
        stand still.
    """

    __slots__ = (
        "_abandoned",
        "_args",
        "_began_ns",
        "_client",
        "_command",
        "_current",
        "_error",
        "_main",
        "_reply",
        "_server",
        "_stack",
        "_work",
        "standing",
        "until_ns",
    )

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self.standing = False
        self.until_ns: i64 = NEVER_NS
        self._stack: greenlet | None = None
        self._current: Callable[[], greenlet] | None = None
        self._main: greenlet | None = None  # where to go when the work stands still, or has ended
        self._work: Work | None = None
        self._reply: Reply = None
        self._error: BaseException | None = None
        self._client: Client | None = None
        self._command: Command | None = None  # of the client, which may have gone by the end
        self._args: Args = []
        self._began_ns: i64 = 0
        self._abandoned = False

    def run(self, client: Client, args: Args, work: Work) -> Reply | Block:
        """Do the work of a client's command; return its reply, or a Block if that takes longer."""
        server = self._server
        stands: bool = self.standing
        if stands:
            raise RedisError(BUSY_EVAL)  # rule 1 has been broken
        spawn = server.go_on_later
        if spawn is None or self._work is not None or client.obeyed:
            return work.perform()
        self._work = work
        self._began_ns = server.last_ns
        self._enter(server.last_ns)
        if self.standing:
            self._client = client
            self._command = client.command
            self._args = args
            server.whole.close()
            server.answering.close()
            spawn()
            return Block((), None, None, has_begun=True)
        return self._outcome()

    def _enter(self, now_ns: i64) -> None:
        self.until_ns = now_ns + SLICE_NS
        self.standing = False
        if self._stack is None:
            self._make_stack()
        assert self._current is not None
        assert self._stack is not None
        self._main = self._current()
        self._stack.switch()
        self.until_ns = NEVER_NS

    def _make_stack(self) -> None:
        from greenlet import getcurrent, greenlet

        self._current = getcurrent
        self._stack = greenlet(self._perform)

    def _perform(self) -> None:
        """Do one piece of work after the other, on the second stack."""
        while True:
            work = self._work
            assert work is not None
            try:
                self._reply = work.perform()
            except BaseException as error:  # noqa: BLE001  (raised where the work is waited for)
                self._error = error
            self._work = work = None
            assert self._main is not None
            self._main.switch()

    def _outcome(self) -> Reply:
        error = self._error
        reply = self._reply
        self._error = self._reply = None
        if error is not None:
            raise error
        return reply

    def stand_still(self) -> None:
        """Let others have a turn; called by the work itself, when its slice is over."""
        if self._abandoned:
            return
        server = self._server
        current = server.current
        own_pushes = server.own_pushes
        ready = server.waiting.ready
        effects = server.feed.set_aside()
        no_touch = server.no_touch
        now_ms = server.clock.now_ms
        server.current = None
        server.own_pushes = []
        server.waiting.ready = {}
        server.no_touch = False
        self.standing = True
        assert self._main is not None
        self._main.switch()
        server.current = current
        server.own_pushes = own_pushes
        server.waiting.ready = ready
        server.feed.take_back(effects)
        server.no_touch = no_touch
        server.clock.now_ms = now_ms
        server.last_ns = perf_counter_ns()

    def go_on(self) -> None:
        """Go on with what stands still, for a slice; answer the client if that was the end."""
        server = self._server
        server.begin()
        self._enter(server.last_ns)
        if not self.standing:
            server.clock.refresh()
            server.last_ns = self._began_ns
            server.no_touch = False
            server.whole.open()
            server.answering.open()
            self._answer()
        server.end()

    def _answer(self) -> None:
        client = self._client
        command = self._command
        reply = self._reply
        error = self._error
        self._client = self._error = self._reply = None
        assert client is not None
        assert command is not None
        complete(client, command, self._args, reply, error)

    def abandon(self) -> None:
        """Run what stands still to its end, which its owner has called for; nothing is kept of it.

        Nobody is answered, and what it has written is not fed.
        """
        if not self.standing:
            return
        server = self._server
        self._abandoned = True
        self._enter(server.last_ns)
        server.feed.set_aside()
        server.current = None
        server.own_pushes = []
        server.waiting.ready = {}
        self._client = self._error = self._reply = None
        server.whole.open()
        server.answering.open()
