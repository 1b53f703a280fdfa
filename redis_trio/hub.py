"""The readiness hub: one task that serves every idle plain socket.

An epoll file descriptor is itself readable when one of its sockets is, so this one task waits for
all of them with `wait_readable`. Awake, it takes turns of bounded length until nothing is ready or
its time is up, because going to Trio and back costs as much as serving several requests; then the
other tasks run.
"""

from __future__ import annotations

from typing import Final

import trio

from redis_trio.clock import perf_counter_ns
from redis_trio.keeper import awake
from redis_trio.state import ServerState
from redis_trio.transport import Poller

AWAKE_NS: Final = 1_000_000  # a turn that begins after this is left to the next round


async def run_hub(server: ServerState, poller: Poller) -> None:
    """Serve the sockets of `poller` until cancelled."""
    epoll_fd = poller.epoll.fileno()
    while True:
        await awake(server)
        if poller.busy:
            await trio.lowlevel.checkpoint()
        else:
            await trio.lowlevel.wait_readable(epoll_fd)
        until = perf_counter_ns() + AWAKE_NS
        while poller.turn() and perf_counter_ns() < until and not server.asleep_s:
            pass
