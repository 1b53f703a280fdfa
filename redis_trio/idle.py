"""The `timeout` parameter: clients that have been silent for too long are disconnected.

Nothing is done while clients are active: `Client.active_ms` is all they leave behind. The keeper
sleeps until `ServerState.idle_ms`, before which no client can have been idle for too long: what a
client does only moves its own deadline later. Then all clients are looked at once, which gives the
next such moment; deadlines are whole seconds, so that happens once a second at most.

A client that begins to count, as a new connection or at the end of a blocking command, is told by
`ServerState.counts_as_idle`, since the keeper may be asleep for ever.

Source: Redis timeout.c clientsCronHandleTimeout.
"""

from __future__ import annotations

from redis_trio.client import BLOCKED, PAUSED, Client
from redis_trio.data.expires import NEVER
from redis_trio.log import VERBOSE
from redis_trio.state import ServerState


def _idle_deadline(client: Client, timeout_s: int) -> int:
    """Return when a client has been idle for more than `timeout_s`, in ms; NEVER if it may be."""
    if client.halted & (BLOCKED | PAUSED) or client.kind != "normal" or client.monitoring:
        return NEVER
    # Redis compares whole seconds, and closes when more than the timeout have passed.
    return (client.active_ms // 1000 + timeout_s + 1) * 1000


def _look(server: ServerState) -> list[Client]:
    """Set `idle_ms` by what all clients have done, and return those who are due."""
    timeout_s: int = server.config.timeout
    earliest = NEVER
    due: list[Client] = []
    if timeout_s:
        for client in server.clients.values():
            when_ms = _idle_deadline(client, timeout_s)
            if when_ms == NEVER:
                continue
            if when_ms <= server.clock.now_ms:
                due.append(client)
            elif earliest == NEVER or when_ms < earliest:
                earliest = when_ms
    server.idle_ms = earliest
    return due


def next_idle_deadline(server: ServerState) -> int:
    """Return when `close_idle_clients` may have something to do, NEVER if nothing can be."""
    return server.idle_ms


def close_idle_clients(server: ServerState) -> None:
    """Disconnect the clients that have been idle for more than `timeout` seconds."""
    for client in _look(server):
        server.log.log(VERBOSE, "Closing idle client")
        client.close()


def timeout_changed(server: ServerState) -> None:
    """Begin anew after a change of `timeout`."""
    if server.config.timeout:
        server.idle_ms = server.clock.now_ms
        server.due_at(server.idle_ms)
    else:
        server.idle_ms = NEVER
