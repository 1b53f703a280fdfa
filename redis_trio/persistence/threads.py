"""A thread for what may wait for the disk.

It does not count against the limit of threads that a host's own code may have used up. Where the
system allows no further thread the work is done on the spot: slower for everybody, but done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

import trio

T = TypeVar("T")


class DiskThread:
    """Does one piece of work at a time."""

    def __init__(self, log: logging.Logger) -> None:
        self._log: Final = log
        self._limiter = trio.CapacityLimiter(1)
        self._told = False  # that there is no thread

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises; even if cancelled it is done."""
        begun = False

        def begin() -> T:
            nonlocal begun
            begun = True
            return work()

        try:
            return await trio.to_thread.run_sync(begin, limiter=self._limiter)
        except RuntimeError as exc:
            if begun:
                raise
            if not self._told:
                self._told = True
                self._log.warning("No thread to wait for the disk, clients have to: %s", exc)
        return work()
