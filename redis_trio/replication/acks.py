"""WAIT and WAITAOF: clients that wait until replicas, or the disk, have what they wrote.

Replicas say once a second how far they are, and at once when they are asked. Whoever waits has the
replicas asked at the end of its unit of work; `Replication.end_unit` answers those who have enough
when an acknowledgement has come or the append-only file has been synced. Nothing is run again, so
their Block has no keys.

Source: Redis replication.c waitCommand, waitaofCommand, processClientsWaitingReplicas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mypy_extensions import i64

from redis_trio.blocking import Block
from redis_trio.protocol.reply import RedisError, Reply
from redis_trio.replication.replica import ONLINE

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.replication.state import Replication

NO_AOF = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."


def count_acks(replication: Replication, offset: i64) -> int:
    """Return how many replicas have applied the stream up to an offset."""
    count = 0
    for replica in replication.replicas.values():
        if replica.state == ONLINE and replica.acked >= offset:
            count += 1
    return count


def count_synced(replication: Replication, offset: i64) -> int:
    """Return how many replicas have the stream up to an offset on their disks."""
    count = 0
    for replica in replication.replicas.values():
        if replica.state == ONLINE and replica.acked_fsync >= offset:
            count += 1
    return count


class AckBlock(Block):
    """A wait for acknowledgements of all that a client has written so far.

    Args:
      replica_count: how many replicas must have it.
      local_count: 1 if it must be on this server's disk, too; 0 if not.
      on_disk: whether the replicas must have it on theirs (WAITAOF).
    """

    __slots__ = ("_client", "_local_count", "_offset", "_on_disk", "_replica_count")

    def __init__(
        self,
        client: Client,
        timeout_s: float | None,
        replica_count: int,
        local_count: int,
        on_disk: bool,
    ) -> None:
        super().__init__([], timeout_s, None)
        self._client = client
        self._offset: i64 = client.write_offset
        self._replica_count = replica_count
        self._local_count = local_count
        self._on_disk = on_disk
        self.if_denied = self.late_reply()

    def _counts(self) -> tuple[int, int]:
        """Return whether the disk, and how many replicas, have it."""
        server = self._client.server
        if self._on_disk:
            synced = 1 if server.aof.fsynced_offset >= self._offset else 0
            return synced, count_synced(server.replication, self._offset)
        return 0, count_acks(server.replication, self._offset)

    def is_served(self) -> bool:
        """Return whether there is enough; or there can never be, which is an error."""
        local_count, replica_count = self._counts()
        if self._local_count and not self._client.server.config.appendonly:
            return True
        return local_count >= self._local_count and replica_count >= self._replica_count

    def late_reply(self) -> Reply:
        """Return what is answered now, whether it is enough or not."""
        local_count, replica_count = self._counts()
        if not self._on_disk:
            return replica_count
        if self._local_count and not self._client.server.config.appendonly:
            return RedisError(NO_AOF)
        return [local_count, replica_count]
