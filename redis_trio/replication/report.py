"""What INFO replication tells.

Source: Redis server.c genRedisInfoString.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.replication.replica import (
    ONLINE,
    RDB_SENT,
    SEND_BULK,
    WAIT_BGSAVE_END,
    WAIT_BGSAVE_START,
)
from redis_trio.replication.upstream import CONNECTED, TRANSFER

if TYPE_CHECKING:
    from redis_trio.replication.upstream import Upstream
    from redis_trio.state import ServerState

STATE_NAMES: Final = {
    WAIT_BGSAVE_START: "wait_bgsave",
    WAIT_BGSAVE_END: "wait_bgsave",
    SEND_BULK: "send_bulk",
    ONLINE: "online",
    RDB_SENT: "rdb_transmitted",
}


def replication_lines(server: ServerState) -> list[str]:
    """Return the lines of the section."""
    config = server.config
    replication = server.replication
    upstream = replication.upstream
    backlog = replication.backlog
    guarded = config.min_replicas_to_write and config.min_replicas_max_lag
    return [
        "role:master" if upstream is None else "role:slave",
        *([] if upstream is None else _link(server, upstream)),
        f"connected_slaves:{len(replication.replicas)}",
        *([f"min_slaves_good_slaves:{replication.good_count()}"] if guarded else []),
        *_replicas(server),
        f"master_failover_state:{replication.failover.state}",
        f"master_replid:{replication.replid}",
        f"master_replid2:{replication.replid2}",
        f"master_repl_offset:{replication.offset}",
        f"second_repl_offset:{replication.second_offset}",
        f"repl_backlog_active:{int(backlog is not None)}",
        f"repl_backlog_size:{config.repl_backlog_size}",
        f"repl_backlog_first_byte_offset:{0 if backlog is None else backlog.first}",
        f"repl_backlog_histlen:{0 if backlog is None else backlog.length}",
    ]


def _replicas(server: ServerState) -> list[str]:
    now_s = int(server.clock.time())
    lines: list[str] = []
    for replica in server.replication.replicas.values():
        lag = now_s - replica.acked_ms // 1000 if replica.state == ONLINE else 0
        lines.append(
            f"slave{len(lines)}:ip={replica.host},port={replica.port},"
            f"state={STATE_NAMES[replica.state]},offset={replica.acked},lag={lag}"
        )
    return lines


def _link(server: ServerState, upstream: Upstream) -> list[str]:
    """Return what a replica tells of the link to its primary."""
    config = server.config
    now_ms = server.clock.now_ms
    master = upstream.master
    read_offset = applied_offset = 1
    if master is not None:
        read_offset, applied_offset = master.read_offset, master.position()
    elif upstream.cached is not None:
        read_offset = applied_offset = upstream.cached.offset
    silent_s = (now_ms - upstream.last_io_ms) // 1000
    lines = [
        f"master_host:{upstream.host}",
        f"master_port:{upstream.port}",
        f"master_link_status:{'up' if upstream.state == CONNECTED else 'down'}",
        f"master_last_io_seconds_ago:{-1 if master is None else silent_s}",
        f"master_sync_in_progress:{int(upstream.state == TRANSFER)}",
        f"slave_read_repl_offset:{read_offset}",
        f"slave_repl_offset:{applied_offset}",
    ]
    if upstream.state == TRANSFER:
        size, read = upstream.transfer_size, upstream.transfer_read
        lines += [
            f"master_sync_total_bytes:{size}",
            f"master_sync_read_bytes:{read}",
            f"master_sync_left_bytes:{size - read}",
            f"master_sync_perc:{read / size * 100 if size else 0:.2f}",
            f"master_sync_last_io_seconds_ago:{silent_s}",
        ]
    if upstream.state != CONNECTED:
        since_s = upstream.down_since_s
        lines.append(
            f"master_link_down_since_seconds:{now_ms // 1000 - since_s if since_s else -1}"
        )
    return [
        *lines,
        f"slave_priority:{config.replica_priority}",
        f"slave_read_only:{int(config.replica_read_only)}",
        f"replica_announced:{int(config.replica_announced)}",
    ]
