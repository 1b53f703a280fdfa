"""Changes of role: a primary becomes a replica, a replica gets another primary or becomes one.

What was applied so far is not lost. A primary that becomes a replica asks to continue its own
stream, since the new primary was its replica, probably; a replica that becomes a primary begins a
stream with a new id that continues the old one, so that others can follow without a full copy. One
that has changed nothing since asks to continue the old stream, which more servers know (Redis does
not, and gets a full copy).

Source: Redis replication.c replicationSetMaster, replicationUnsetMaster,
replicationCacheMasterUsingMyself; blocked.c disconnectAllBlockedClients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.protocol.reply import RedisError
from redis_trio.replication.upstream import Position, Upstream

if TYPE_CHECKING:
    from redis_trio.state import ServerState

ID_SIZE: Final = 40
UNBLOCKED: Final = (
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
)


def begin_as_configured(server: ServerState) -> None:
    """Be the replica that `replicaof` asks for, before there is any data."""
    if server.config.replicaof is not None:
        host, port = server.config.replicaof
        server.replication.upstream = Upstream(server, host, port)
        server.update_gate()


def continue_from_file(server: ServerState) -> None:
    """Continue the stream that the RDB file was saved in, now that it has been loaded.

    A replica asks its primary to go on from there; a primary remembers it as the one that it
    continues, for its replicas may know it.

    Source: server.c loadDataFromDisk.
    """
    aux = server.persistence.aux
    replid = aux.get(b"repl-id", b"")
    offset, db = aux.get(b"repl-offset", b""), aux.get(b"repl-stream-db", b"")
    if len(replid) != ID_SIZE or not offset.isdigit() or not db.isdigit():
        server.persistence.dropped = []
        return
    replication = server.replication
    position = Position(replid.decode("ascii", "replace"), int(offset), int(db))
    if replication.upstream is not None:
        replication.replid = position.replid
        replication.offset = position.offset
        replication.upstream.cached = position
    else:
        replication.replid2 = position.replid
        replication.second_offset = position.offset + 1
        replication.offset += position.offset
        replication.create_backlog()
        for index, key in server.persistence.dropped:
            server.feed.add_effect(index, [b"DEL", key])
            server.feed.flush()
    server.persistence.dropped = []


def follow(server: ServerState, host: str, port: int, *, in_failover: bool = False) -> None:
    """Make the server a replica of this primary, whatever it was before.

    Args:
      in_failover: whether that is one of its replicas, which knows its id.
    """
    replication = server.replication
    upstream = replication.upstream
    if upstream is not None:
        upstream.disconnect()
    _unblock_all(server)
    if upstream is None:
        server.log.info(
            "Before turning into a replica, using my own master parameters to synthesize a cached "
            "master: I may be able to synchronize with the new master with just a partial transfer."
        )
        upstream = Upstream(server, host, port)
        upstream.cached = Position(replication.replid, replication.offset, -1)
        left = replication.left
        if left is not None and left.offset == replication.offset and not in_failover:
            upstream.cached = left
        replication.upstream = upstream
    upstream.host = host
    upstream.port = port
    server.config.replicaof = (host, port)
    _role_changed(server)


def follow_nobody(server: ServerState) -> None:
    """Make a replica a primary; nothing happens on one."""
    replication = server.replication
    upstream = replication.upstream
    if upstream is None:
        return
    upstream.disconnect()
    position = upstream.cached
    if position is not None and position.db >= 0 and position.offset == replication.offset:
        replication.left = position
    upstream.discard_cached()
    replication.upstream = None
    server.config.replicaof = None
    replication.shift_replid()
    replication.disconnect_replicas()
    replication.alone_ms = server.clock.now_ms
    server.feed.select_again()
    _role_changed(server)
    if server.config.appendonly and not server.aof.active and not server.aof.wanted:
        server.rewrite.turn_on()  # it was turned off for a synchronization that did not end
    server.due_at(server.clock.now_ms)  # what has expired meanwhile


def _role_changed(server: ServerState) -> None:
    replication = server.replication
    if replication.is_replica:
        replication.left = None
    server.feed.update()
    server.update_gate()
    if replication.wake_link is not None:
        replication.wake_link()
    for changed in list(replication.role_observers):
        changed()


def _unblock_all(server: ServerState) -> None:
    """Answer all who are blocked with an error, and hang up on them."""
    for waiter in list(server.waiting.waiters):
        waiter.answer(RedisError(UNBLOCKED))
        waiter.client.close_when_sent()
