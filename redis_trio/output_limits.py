"""`client-output-buffer-limit`: who does not read what it is sent is disconnected.

Each class of clients (normal, replica, pubsub) has a hard limit and a soft one, which counts when
it was exceeded for so many seconds. A transport asks whenever output stays behind, and before it
sends a reply of more than REPLY_CHUNK bytes: Redis counts what it has not written yet. What waits
for an fsync of the append-only file counts as well. A client
over its soft limit is entered in `ServerState.over_soft_limit`, so that the keeper looks at it when
its time has come, whether more is sent to it or not.

Source: Redis networking.c checkClientOutputBufferLimits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.data.expires import NEVER

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.state import ServerState

REPLY_CHUNK: Final = 16 * 1024
"""What Redis keeps outside the list that is limited."""

ITEM_MIN: Final = 6  # bytes of the shortest bulk string

_CLASSES: Final = {"normal": 0, "replica": 1, "pubsub": 2}


def exceeds_output_limit(client: Client, pending_bytes: int) -> bool:
    """Return whether so much output is too much; the client is closed then."""
    server = client.server
    place = _CLASSES.get(client.kind)
    if place is None:
        return False
    hard_bytes, soft_bytes, soft_seconds = server.config.client_output_buffer_limit[place]
    if client.replica is not None and hard_bytes:
        # What is kept in the backlog anyway is no reason, since it can be asked for again.
        hard_bytes = max(hard_bytes, server.config.repl_backlog_size)
    now_ms = server.clock.now_ms
    if hard_bytes and pending_bytes >= hard_bytes:
        _close(client)
        return True
    if not soft_bytes or pending_bytes < soft_bytes:
        server.over_soft_limit.pop(client, None)
        return False
    deadline_ms = server.over_soft_limit.get(client)
    if deadline_ms is None:
        # Redis compares whole seconds, and closes when more than those have passed.
        deadline_ms = (now_ms // 1000 + soft_seconds + 1) * 1000
        server.over_soft_limit[client] = deadline_ms
        server.due_at(deadline_ms)
    elif deadline_ms <= now_ms:
        _close(client)
        return True
    return False


def cannot_take(client: Client, items: int) -> bool:
    """Return whether a reply of so many bulk strings is too much anyway; the client is closed then.

    To be asked where a request of some bytes makes a reply of any size, before that is made: Redis,
    which sends while it makes it, stops in the middle.
    """
    server = client.server
    place = _CLASSES.get(client.kind)
    if place is None or client.id not in server.clients:
        return False
    hard_bytes = server.config.client_output_buffer_limit[place][0]
    if not hard_bytes or items * ITEM_MIN < hard_bytes:
        return False
    _close(client)
    return True


def next_output_deadline(server: ServerState) -> int:
    """Return when a client will have been over its soft limit for too long, NEVER if none is."""
    return min(server.over_soft_limit.values(), default=NEVER)


def close_over_soft_limit(server: ServerState) -> None:
    """Close the clients that have been over their soft limit for too long, and still are."""
    now_ms = server.clock.now_ms
    for client, deadline_ms in list(server.over_soft_limit.items()):
        if deadline_ms <= now_ms:
            exceeds_output_limit(client, client.pending_output)


def _close(client: Client) -> None:
    server = client.server
    server.stats.output_limit_disconnections += 1
    server.log.warning(
        "Client id=%d addr=%s name=%s cmd=%s scheduled to be closed ASAP for overcoming of output "
        "buffer limits.",
        client.id,
        client.addr,
        client.name.decode("utf-8", "replace"),
        "NULL" if client.command is None else client.command.fullname,
    )
    client.close()
