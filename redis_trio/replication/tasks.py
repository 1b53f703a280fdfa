"""The nursery of replication: what is done for replicas and for the link to a primary.

Nothing that goes wrong in it ends the server: it is logged, and the nursery is opened again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from redis_trio.state import ServerState


async def run_replication(server: ServerState) -> None:
    """Run the tasks of replication until cancelled."""
    replication = server.replication
    try:
        while True:
            try:
                async with trio.open_nursery() as nursery:

                    def spawn(
                        work: Callable[[], Awaitable[None]],
                        name: str,
                        nursery: trio.Nursery = nursery,
                    ) -> None:
                        nursery.start_soon(work, name=name)

                    replication.spawn = spawn
                    await trio.sleep_forever()
            except* Exception as group:
                server.log.error("internal error in replication", exc_info=group)
    finally:
        replication.spawn = None
