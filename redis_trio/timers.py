"""What waits for a moment of the server's own time, and the power to make that moment come.

The server's time is the system's, or a virtual Trio clock's, until a program moves or stops it
(`ServerTime`, as `RedisServer.time`). Then everything that has a deadline follows: the jobs of the
keeper, which are asked when they are due, and the scopes of those who wait with a timeout, which
come from `Timers.scope` instead of from Trio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import trio

if TYPE_CHECKING:
    from redis_trio.clock import Clock

FOREVER: Final = float("inf")
STEPS_MAX: Final = 1000
"""Moments at which something is due that are visited one by one; behind them time jumps."""
ROUNDING_S: Final = 1e-6  # so that the clock has surely passed a deadline
TURNS: Final = 5  # of the loop, in which a task that was woken delivers what it has


class Timers:
    """The timeouts of one server."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._scopes: dict[trio.CancelScope, float] = {}  # when each is due, by the server's clock

    def scope(self, seconds: float | None) -> trio.CancelScope:
        """Return a cancel scope that ends so much later; None: never. `forget` it afterwards."""
        scope = trio.CancelScope()
        if seconds is not None:
            self._scopes[scope] = self._clock.time() + seconds
            if not self._clock.frozen:
                scope.deadline = trio.current_time() + seconds
        return scope

    def forget(self, scope: trio.CancelScope) -> None:
        """Note that nobody waits in a scope any more."""
        self._scopes.pop(scope, None)

    def next_s(self) -> float:
        """Return when the next one is due (s since the epoch), FOREVER if none is."""
        return min(self._scopes.values(), default=FOREVER)

    def follow(self) -> None:
        """Set the deadlines by the server's clock, which was moved, stopped or started."""
        now_s = self._clock.time()
        for scope, due_s in self._scopes.items():
            if due_s <= now_s:
                scope.cancel()
            elif self._clock.frozen:
                scope.deadline = FOREVER
            else:
                scope.deadline = trio.current_time() + due_s - now_s


class Keeping(Protocol):
    """What ServerTime needs of the keeper."""

    rounds: int

    def wake(self) -> None:
        """Have the deadlines looked at again."""
        ...

    def next_s(self) -> float:
        """Return when it has something to do (s since the epoch), FOREVER if never."""
        ...


class ServerTime:
    """The time of a server, as a test wants it: moved on, stopped, started again.

    Real time is the default. Under a virtual Trio clock, the server's time is that clock's, and can
    be moved in addition.
    """

    def __init__(self, clock: Clock, timers: Timers, keeper: Keeping) -> None:
        self._clock = clock
        self._timers = timers
        self._keeper = keeper

    def time(self) -> float:
        """Return the server's time, in seconds since the epoch."""
        return self._clock.time()

    @property
    def frozen(self) -> bool:
        """Whether time stands still."""
        return self._clock.frozen

    def freeze(self) -> None:
        """Stop time: only `advance` moves it from now on. Nothing happens if it stands still."""
        self._clock.freeze()
        self._follow()

    def resume(self) -> None:
        """Let time pass again, from where it is. Nothing happens if it does."""
        self._clock.resume()
        self._follow()

    async def advance(self, seconds: float) -> None:
        """Move time on; what is due until then has happened when this returns.

        Keys expire with their events and what is fed to replicas, blocked clients time out, each at
        its moment and in this order. With more than STEPS_MAX such moments the order is that of the
        keys among themselves.

        Raises:
          ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("time cannot go back")
        end_s = self._clock.time() + seconds
        for _ in range(STEPS_MAX):
            due_s = min(self._timers.next_s(), self._keeper.next_s())
            if due_s > end_s:
                break
            await self._go_to(due_s + ROUNDING_S)
        await self._go_to(end_s)

    async def _go_to(self, when_s: float) -> None:
        """Make it so late, if it is not, and wait until what is due has been done."""
        clock = self._clock
        clock.shift(max(0.0, when_s - clock.time()))
        rounds = self._keeper.rounds
        self._follow()
        now_s = clock.time()
        while self._keeper.rounds == rounds or self._keeper.next_s() <= now_s:
            await trio.lowlevel.checkpoint()
        while self._timers.next_s() <= now_s:
            await trio.lowlevel.checkpoint()
        for _ in range(TURNS):
            await trio.lowlevel.checkpoint()

    def _follow(self) -> None:
        self._timers.follow()
        self._keeper.wake()
