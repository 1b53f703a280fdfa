"""The keeper: one task, asleep until the next thing is due.

There is no periodic timer anywhere in the server. Each kind of work that becomes due at some moment
is a Job that knows when; the keeper sleeps until the earliest, does a slice of what is due, lets
others run and looks again. With nothing due it sleeps for ever, so an idle server never wakes and
virtual time can jump.
"""

from __future__ import annotations

from typing import Final, Protocol

import trio

from redis_trio.clock import perf_counter_ns
from redis_trio.data.expires import NEVER
from redis_trio.execute import serve_ready
from redis_trio.persistence.aof import AofError
from redis_trio.state import ServerState
from redis_trio.timers import FOREVER

DELAY_MS: Final = 1000  # from an error in a job to its next try
ROUNDING_S: Final = 1e-6  # so that the clock has surely passed the deadline on waking


class Job(Protocol):
    """Something that becomes due."""

    def next_ms(self) -> int:
        """Return when there is something to do (ms since the epoch), NEVER if nothing is."""
        ...

    def run(self) -> None:
        """Do what is due, for about a millisecond at most."""
        ...


class _Guarded:
    """A job whose errors are nobody else's: what it does is delayed, and everything else goes on.

    An error is logged when the job has done well since the last one, so that it is read once.
    """

    def __init__(self, server: ServerState, job: Job) -> None:
        self._server: Final = server
        self._job = job
        self._resume_ms = NEVER  # after an error

    def next_ms(self) -> int:
        """Return when there is something to do, NEVER if nothing is."""
        try:
            next_ms = self._job.next_ms()
        except Exception as exc:  # noqa: BLE001  (one job, not the server)
            next_ms = self._failed(exc)
        return next_ms if next_ms == NEVER else max(next_ms, self._resume_ms)

    def run(self) -> None:
        """Do what is due. Raises AofError, which is no bug but the end."""
        try:
            self._job.run()
        except AofError:
            raise
        except Exception as exc:  # noqa: BLE001  (one job, not the server)
            self._failed(exc)
        else:
            self._resume_ms = NEVER

    def _failed(self, exc: Exception) -> int:
        """Take note of an error; return when the next try is due."""
        now_ms = self._server.clock.now_ms
        if self._resume_ms == NEVER:
            name = type(self._job).__name__
            self._server.log.error("internal error in the job %s", name, exc_info=exc)
        if self._resume_ms <= now_ms:
            self._resume_ms = now_ms + DELAY_MS
        return self._resume_ms


class Keeper:
    """Runs the jobs of one server when they are due."""

    def __init__(self, server: ServerState, jobs: list[Job]) -> None:
        self._server: Final = server
        self._jobs = [_Guarded(server, job) for job in jobs]
        self._sleep: trio.CancelScope | None = None
        self.rounds = 0  # how often the deadlines have been looked at

    def wake(self) -> None:
        """Have the deadlines looked at again: there is one before `server.keeper_ms`."""
        if self._sleep is not None:
            self._sleep.cancel()

    async def run(self) -> None:
        """Keep until cancelled."""
        server = self._server
        server.wake_keeper = self.wake
        try:
            while True:
                self.rounds += 1
                await self._sleep_until(self._next_ms())
                await awake(server)
                await server.whole.passed()
                server.begin()
                now_ms = server.clock.now_ms
                for job in self._jobs:
                    if NEVER < job.next_ms() <= now_ms:
                        job.run()
                if server.waiting.ready:
                    serve_ready(server)
                server.stats.cron_ns += perf_counter_ns() - server.began_ns
                server.end()
        finally:
            server.wake_keeper = None

    def next_s(self) -> float:
        """Return the earliest deadline (s since the epoch), FOREVER if there is none."""
        next_ms = self._next_ms()
        return FOREVER if next_ms == NEVER else next_ms / 1000

    def _next_ms(self) -> int:
        """Return the earliest deadline, and have it known as `server.keeper_ms`."""
        due = [when_ms for job in self._jobs if (when_ms := job.next_ms()) != NEVER]
        next_ms = min(due, default=NEVER)
        self._server.keeper_ms = next_ms
        return next_ms

    async def _sleep_until(self, next_ms: int) -> None:
        deadline = float("inf")
        if next_ms != NEVER:
            clock = self._server.clock
            delay_s = next_ms / 1000 - clock.time()
            if delay_s <= 0:
                await trio.lowlevel.checkpoint()
                return
            if not clock.frozen:
                deadline = trio.current_time() + delay_s + ROUNDING_S
        with trio.CancelScope(deadline=deadline) as self._sleep:
            await trio.sleep_forever()
        self._sleep = None


async def awake(server: ServerState) -> None:
    """Wait until somebody may be served; returns at once, without a checkpoint, if so.

    Nobody is during DEBUG SLEEP, nor while a script has been running for some time.
    """
    while server.answering.closed or server.asleep_s or server.asleep_until > trio.current_time():
        if server.answering.closed:
            await server.answering.passed()
            continue
        if server.asleep_s:
            server.asleep_until = trio.current_time() + server.asleep_s
            server.asleep_s = 0.0
        await trio.sleep_until(server.asleep_until)
