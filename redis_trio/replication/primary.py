"""The primary's side: replicas that come, what is due for them, and when snapshots begin.

A replica that asks to continue is given what the backlog has from there on. Any other one gets a
snapshot, which begins at once, or when the one in hand has ended, or, where it is sent to sockets,
when `repl-diskless-sync-delay` has given others the time to come along.

What has a deadline is asked for by the keeper (`next_due_ms`, `run_due`): PING in the stream, signs
of life for who waits for a snapshot, replicas that are silent for too long, a backlog that nobody
has read for `repl-backlog-ttl`, and the delay.

Source: Redis replication.c syncCommand, masterTryPartialResynchronization, replicationCron,
shouldStartChildReplication.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.data.expires import NEVER
from redis_trio.errors import RedisError
from redis_trio.feed import NO_DATABASE, REPLICAS
from redis_trio.protocol.reply import NO_REPLY, Reply
from redis_trio.replication import transfer
from redis_trio.replication.failover import NONE as NO_FAILOVER
from redis_trio.replication.replica import (
    ONLINE,
    WAIT_BGSAVE_END,
    WAIT_BGSAVE_START,
    Replica,
)
from redis_trio.replication.upstream import CONNECTED

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.state import ServerState

NUDGE_MS: Final = 1000  # between two signs of life


def replica_of(client: Client) -> Replica:
    """Return what a client is as a replica, perhaps a future one."""
    if client.replica is None:
        client.replica = Replica(client)
    return client.replica


def check_sync(client: Client) -> None:
    """Errors: the client cannot become a replica now."""
    server = client.server
    replication = server.replication
    if replication.failover.state != NO_FAILOVER:
        raise RedisError("NOMASTERLINK Can't SYNC while failing over")
    upstream = replication.upstream
    if upstream is not None and upstream.state != CONNECTED:
        raise RedisError("NOMASTERLINK Can't SYNC while not connected with my master")
    if client.out or client.held or client.transport.pending_bytes:
        raise RedisError("ERR SYNC and PSYNC are invalid with pending output")
    replica = replica_of(client)
    if replica.is_filtered and not replica.takes_eof:
        raise RedisError("ERR Filtered replica requires EOF capability")
    server.log.info("Replica %s asks for synchronization", replica.name)


# -- continuing


def continue_sync(client: Client, replid: bytes, offset: int) -> bool:
    """Have a replica continue from an offset, if it can; return whether it does."""
    server = client.server
    replication = server.replication
    replica = replica_of(client)
    if not _is_ours(server, replica, replid, offset):
        return False
    backlog = replication.backlog
    if backlog is None or not backlog.has(offset):
        server.log.info(
            "Unable to partial resync with replica %s for lack of backlog (Replica request was: "
            "%d).",
            replica.name,
            offset,
        )
        if offset > replication.offset:
            server.log.warning(
                "Warning: replica %s tried to PSYNC with an offset that is greater than the master "
                "replication offset.",
                replica.name,
            )
        return False
    replica.reader = backlog.reader(offset)
    replica.started = True
    replication.attach(replica, ONLINE)
    new_id = b" " + replication.replid.encode() if replica.takes_psync2 else b""
    client.out.append(b"+CONTINUE" + new_id + b"\r\n")
    client.schedule_write()
    server.log.info(
        "Partial resynchronization request from %s accepted. Sending %d bytes of backlog starting "
        "from offset %d.",
        replica.name,
        replication.offset + 1 - offset,
        offset,
    )
    return True


def _is_ours(server: ServerState, replica: Replica, replid: bytes, offset: int) -> bool:
    """Return whether what a replica has, up to an offset, is of this server's stream."""
    replication = server.replication
    wanted = replid.decode("utf-8", "backslashreplace").lower()
    if wanted == replication.replid.lower():
        return True
    if wanted == replication.replid2.lower():
        if offset <= replication.second_offset:
            return True
        server.log.info(
            "Partial resynchronization not accepted: Requested offset for second ID was %d, but I "
            "can reply up to %d",
            offset,
            replication.second_offset,
        )
    elif wanted.startswith("?"):
        server.log.info("Full resync requested by replica %s", replica.name)
    else:
        server.log.info(
            "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for "
            "'%s', my replication IDs are '%s' and '%s')",
            wanted,
            replication.replid,
            replication.replid2,
        )
    return False


# -- from the beginning


def full_sync(client: Client) -> Reply:
    """Have a client be a replica that gets all data; it is told when that begins."""
    server = client.server
    replication = server.replication
    replica = replica_of(client)
    server.stats.sync_full += 1
    if server.config.repl_disable_tcp_nodelay:
        client.transport.delay()
    if replication.backlog is None:
        replication.change_replid()
        replication.create_backlog()
        server.log.info(
            "Replication backlog created, my new replication IDs are '%s' and '%s'",
            replication.replid,
            replication.replid2,
        )
    replication.attach(replica, WAIT_BGSAVE_START)
    log = server.log
    if any(one.waits_for_file for one in replication.replicas.values()):
        if _share_file(server, replica):
            log.info("Waiting for end of BGSAVE for SYNC")
        else:
            log.info(
                "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC"
            )
    elif replication.is_streaming:
        log.info("Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC")
    elif (
        server.config.repl_diskless_sync
        and replica.takes_eof
        and server.config.repl_diskless_sync_delay
    ):
        log.info("Delay next BGSAVE for diskless SYNC")
    elif not _is_saving(server):
        _begin(server, replica)
    else:
        log.info(
            "No BGSAVE in progress, but another BG operation is active. BGSAVE for replication "
            "delayed"
        )
    return NO_REPLY


def _is_saving(server: ServerState) -> bool:
    """Whether something is being saved, so that no other snapshot can begin."""
    return server.background.running or server.background.is_other_active


def _share_file(server: ServerState, replica: Replica) -> bool:
    """Have a replica get the file that is being saved for others, if it can do with that."""
    for other in server.replication.replicas.values():
        if (
            other is not replica
            and other.waits_for_file
            and (not other.rdb_only or replica.rdb_only)
            and (replica.takes_eof or not other.takes_eof)
            and (replica.takes_psync2 or not other.takes_psync2)
            and _wants_the_same(replica, other)
        ):
            transfer.share_moment(server, replica, other.snapshot_offset)
            server.feed.select_again()
            replica.waits_for_file = True
            return True
    return False


def _wants_the_same(one: Replica, other: Replica) -> bool:
    return (
        one.without_data == other.without_data and one.without_functions == other.without_functions
    )


def _waiting(server: ServerState, first: Replica | None = None) -> list[Replica]:
    """Return the replicas that wait for a snapshot to begin and can share one.

    Args:
      first: one of them; None for whoever has waited longest.
    """
    found: list[Replica] = []
    for replica in server.replication.replicas.values():
        if replica.state == WAIT_BGSAVE_START:
            first = first or replica
            if _wants_the_same(replica, first):
                found.append(replica)
    return found


def _begin(server: ServerState, first: Replica | None = None) -> None:
    """Begin a snapshot for those who wait for it."""
    replicas = _waiting(server, first)
    streamed = server.config.repl_diskless_sync or replicas[0].is_filtered
    if streamed and all(replica.takes_eof for replica in replicas):
        server.log.info("Starting BGSAVE for SYNC with target: replicas sockets")
        transfer.Streaming(server, replicas).begin()
        return
    server.log.info("Starting BGSAVE for SYNC with target: disk")
    if not transfer.begin_file(server, replicas):
        server.log.warning("BGSAVE for replication failed")
        for replica in replicas:
            replica.client.close()


def _begin_ms(server: ServerState) -> int:
    """Return when a snapshot is to begin, NEVER if nobody waits or another one is in hand."""
    if _is_saving(server) or server.replication.is_streaming:
        return NEVER
    replicas = _waiting(server)
    if not replicas:
        return NEVER
    config = server.config
    enough = 0 < config.repl_diskless_sync_max_replicas <= len(replicas)
    if not config.repl_diskless_sync or enough:
        return server.clock.now_ms
    return min(replica.asked_ms for replica in replicas) + config.repl_diskless_sync_delay * 1000


# -- what is due


def next_due_ms(server: ServerState) -> int:
    """Return when `run_due` has something to do, NEVER if it has not."""
    replication = server.replication
    if not replication.replicas:
        return _backlog_end_ms(server)
    times = [_ping_ms(server), _begin_ms(server)]
    times += [_silence_ms(server, replica) for replica in replication.replicas.values()]
    if any(_is_nudged(replica) for replica in replication.replicas.values()):
        times.append(replication.nudged_ms + NUDGE_MS)
    return min([when_ms for when_ms in times if when_ms != NEVER], default=NEVER)


def run_due(server: ServerState) -> None:
    """Do what is due."""
    now_ms = server.clock.now_ms
    replication = server.replication
    if not replication.replicas:
        if NEVER < _backlog_end_ms(server) <= now_ms:
            _free_backlog(server)
        return
    if NEVER < _ping_ms(server) <= now_ms:
        replication.pinged_ms = now_ms
        server.feed.add_for(REPLICAS, NO_DATABASE, [b"PING"])
        server.feed.flush()
    if replication.nudged_ms + NUDGE_MS <= now_ms:
        replication.nudged_ms = now_ms
        for replica in replication.replicas.values():
            if _is_nudged(replica):
                replica.client.out.append(b"\n")
                replica.client.schedule_write()
    for replica in list(replication.replicas.values()):
        if NEVER < _silence_ms(server, replica) <= now_ms:
            kind = "streaming" if replica.state == ONLINE else "full"
            server.log.warning("Disconnecting timedout replica (%s sync): %s", kind, replica.name)
            replica.client.close()
    if NEVER < _begin_ms(server) <= now_ms:
        _begin(server)


def _ping_ms(server: ServerState) -> int:
    """Return when the stream needs a PING; that of a replica is its primary's."""
    replication = server.replication
    if replication.upstream is not None or replication.failover.end_ms:
        return NEVER  # while roles are exchanged the offset must stand still
    return replication.pinged_ms + server.config.repl_ping_replica_period * 1000


def _is_nudged(replica: Replica) -> bool:
    """Whether a replica waits for a snapshot and hears nothing meanwhile."""
    return replica.state == WAIT_BGSAVE_START or (
        replica.state == WAIT_BGSAVE_END and replica.waits_for_file
    )


def _silence_ms(server: ServerState, replica: Replica) -> int:
    """Return when a replica has been silent for too long, NEVER if it may be."""
    since_ms = NEVER
    if replica.state == ONLINE and not replica.by_sync:
        since_ms = replica.acked_ms
    elif (
        replica.state == WAIT_BGSAVE_END
        and replica.bulk is not None
        and replica.client.transport.pending_bytes
    ):
        since_ms = replica.client.active_ms
    if since_ms == NEVER:
        return NEVER
    return (since_ms // 1000 + server.config.repl_timeout + 1) * 1000


def _backlog_end_ms(server: ServerState) -> int:
    """Return when the backlog has been of no use for too long."""
    replication = server.replication
    ttl_s = server.config.repl_backlog_ttl
    if replication.backlog is None or replication.upstream is not None or not ttl_s:
        return NEVER
    if replication.taps:
        return NEVER
    return (replication.alone_ms // 1000 + ttl_s + 1) * 1000


def _free_backlog(server: ServerState) -> None:
    """Keep no stream any more; what is not counted cannot be continued, so it has a new id."""
    replication = server.replication
    replication.change_replid()
    replication.free_backlog()
    server.log.info(
        "Replication backlog freed after %d seconds without connected replicas.",
        server.config.repl_backlog_ttl,
    )
