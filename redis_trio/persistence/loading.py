"""Loading data: how far it is, and what clients may do meanwhile.

Whoever loads data, from files or from a primary, says `begin`, `advanced` as it goes, and `end`.
In between nothing expires, and `execute.admit` refuses the commands without the flag LOADING, or,
while the old data is still served (`asynchronous`), those with NO_ASYNC_LOADING.

What is loaded is a generator that yields after about a millisecond. `load_in_turns` runs it with
others in between, `load_at_once` without.

Source: Redis rdb.c startLoading, loadingAbsProgress, stopLoading; server.c genRedisInfoString;
debug.c debugDelay.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, Final, TypeAlias

import trio

from redis_trio.clock import perf_counter_ns

if TYPE_CHECKING:
    from redis_trio.state import ServerState

Slices: TypeAlias = Generator[None, None, None]

SLICE_NS: Final = 1_000_000
DELAY_US: Final = 1000  # owed to key-load-delay before it is waited for
TOLD_NS: Final = 2_000_000_000  # between two lines in the log


class Loading:
    """The load in hand of one server, if there is one.

    Attributes:
      active: whether data is being loaded.
      asynchronous: whether the data that was there before is served meanwhile.
      began_s: when it began, in s since the epoch.
      total_bytes: how much is to be loaded, 0 if nobody knows.
      loaded_bytes: how much has been.
      memory_bytes: how much memory took what is loaded where it was saved, 0 until that is known.
    """

    def __init__(self, server: ServerState) -> None:
        self._server: Final = server
        self.active = False
        self.asynchronous = False
        self.began_s = 0
        self.total_bytes = 0
        self.loaded_bytes = 0
        self.memory_bytes = 0
        self._delay_us = 0
        self._yielded_bytes = 0
        self._until_ns = 0
        self._told_ns = 0
        self._began_ns = 0

    def begin(self, total_bytes: int, *, asynchronous: bool = False) -> None:
        """Take note that data is being loaded from now on.

        Args:
          total_bytes: how much, 0 if that is not known.
          asynchronous: whether clients are served the old data until then.
        """
        server = self._server
        persistence = server.persistence
        self.active = persistence.loading = True
        self.asynchronous = asynchronous
        self.began_s = int(server.clock.time())
        self.total_bytes = total_bytes
        self.loaded_bytes = self.memory_bytes = 0
        self._delay_us = self._yielded_bytes = 0
        self._began_ns = self._told_ns = perf_counter_ns()
        self._until_ns = self._began_ns + SLICE_NS
        persistence.keys_loaded = persistence.keys_expired = 0
        server.update_gate()

    def advanced(self, loaded_bytes: int) -> None:
        """Take note that so many bytes have been loaded since the beginning."""
        self.loaded_bytes = loaded_bytes

    def end(self) -> None:
        """Take note that all has been loaded, or never will be."""
        server = self._server
        self.active = self.asynchronous = server.persistence.loading = False
        server.clock.refresh()
        server.update_gate()
        server.background.points_changed()
        server.due_at(server.clock.now_ms)  # what has expired meanwhile

    # -- for who loads

    def is_slice_over(self, items: int, what: str = "keys") -> bool:
        """Return whether others are to have a turn; to be asked about every tenth of a ms.

        Args:
          items: how many of `what` have been loaded since the beginning, for the log.
        """
        now_ns = perf_counter_ns()
        if now_ns > self._told_ns + TOLD_NS:
            self._told_ns = now_ns
            self._tell(items, what, now_ns - self._began_ns)
        interval: int = self._server.config.loading_process_events_interval_bytes
        if (
            now_ns < self._until_ns
            and self._delay_us < DELAY_US
            and self.loaded_bytes < self._yielded_bytes + interval
        ):
            return False
        self._yielded_bytes = self.loaded_bytes
        return True

    def delay(self, items: int) -> bool:
        """Have so many keys or commands take as long as key-load-delay asks for.

        Returns: whether it asks for anything worth mentioning; then it wants to be told of each.
        """
        delay_us: int = self._server.config.key_load_delay
        if delay_us > 0:
            self._delay_us += delay_us * items
        return delay_us > 0

    def begin_slice(self) -> float:
        """Begin a slice; return how many seconds have to pass before."""
        delay_s = self._delay_us / 1e6
        self._delay_us = 0
        self._until_ns = perf_counter_ns() + SLICE_NS
        return delay_s

    def _tell(self, items: int, what: str, elapsed_ns: int) -> None:
        rate = items * 1_000_000_000 // elapsed_ns
        if self.total_bytes:
            done = self.loaded_bytes * 100 / self.total_bytes
            self._server.log.info("Loading: %.0f%%, %d %s per second", done, rate, what)
        else:
            megabytes = self.loaded_bytes / 2**20
            self._server.log.info("Loading: %.0f MB, %d %s per second", megabytes, rate, what)

    # -- for others

    def refuses(self, is_allowed: bool, is_allowed_beside: bool) -> bool:
        """Return whether a command must not run.

        Args:
          is_allowed: whether it may run while data is loaded.
          is_allowed_beside: whether it may while the old data is served.
        """
        if self.asynchronous:
            return not is_allowed_beside
        return self.active and not is_allowed

    def info(self) -> list[str]:
        """Return what INFO persistence says of the load in hand, nothing if there is none."""
        if not self.active:
            return []
        loaded = self.loaded_bytes
        percent = 0.0
        missing = 1
        if self.total_bytes:
            percent = loaded * 100 / self.total_bytes
            missing = self.total_bytes - loaded
        elif self.memory_bytes:  # a poor guess of the bytes that come
            percent = min(99.99, loaded * 100 / self.memory_bytes)
            missing = max(1, self.memory_bytes - loaded)
        elapsed_s = int(self._server.clock.time()) - self.began_s
        eta_s = elapsed_s * missing // (loaded + 1) if elapsed_s else 1
        return [
            f"loading_start_time:{self.began_s}",
            f"loading_total_bytes:{self.total_bytes}",
            f"loading_rdb_used_mem:{self.memory_bytes}",
            f"loading_loaded_bytes:{loaded}",
            f"loading_loaded_perc:{percent:.2f}",
            f"loading_eta_seconds:{eta_s}",
        ]


async def load_in_turns(server: ServerState, slices: Slices) -> None:
    """Load, and let others run between two slices. If it is cancelled, part has been loaded."""
    loading = server.loading
    with closing(slices):
        for _ in slices:
            delay_s = loading.begin_slice()
            if delay_s:
                await trio.sleep(delay_s)
                loading.begin_slice()
            else:
                await trio.lowlevel.checkpoint()


def load_at_once(server: ServerState, slices: Slices) -> None:
    """Load while nobody is served."""
    for _ in slices:
        delay_s = server.loading.begin_slice()
        if delay_s:
            time.sleep(delay_s)
