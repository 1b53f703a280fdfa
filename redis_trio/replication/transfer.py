"""Full resynchronizations: the data of one moment, sent to replicas, each with all that follows.

When a snapshot begins, the replicas that wait for one get the offset of that moment and a reader of
the backlog there: what is written meanwhile is kept for them. There are two ways.

- To the sockets: pieces are sent as they are made, to all these replicas; the bytes of the
  snapshot, whose number nobody knows yet, end with a mark of 40 characters that was announced. The
  stream follows when the replica has said by its first acknowledgement that it has found the mark.
- By a file: it is saved like any other background save, and then read and sent to each replica,
  announced with its length. Others who ask while it is being written can share it.

A replica that does not want the data but the functions gets just those.

Every task ends with its work, whatever happens to a replica; what goes wrong closes the connection
of that replica and nothing else.

Source: Redis replication.c startBgsaveForReplication, sendBulkToSlave, updateSlavesWaitingBgsave;
rdb.c rdbSaveToSlavesSockets.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO, Final

import trio

from redis_trio.persistence import rdb_file
from redis_trio.persistence.background import write_out
from redis_trio.persistence.rdb_writer import RdbWriter
from redis_trio.persistence.snapshot import CHUNK, Snapshot
from redis_trio.replication.bulk import Bulk
from redis_trio.replication.replica import ONLINE, RDB_SENT, SEND_BULK, WAIT_BGSAVE_END, Replica

if TYPE_CHECKING:
    from redis_trio.state import ServerState

MARK_SIZE: Final = 40
TASK: Final = "redis full resynchronization"


def fix_moment(server: ServerState, replicas: Iterable[Replica]) -> None:
    """Tell replicas at which offset their snapshot is, and keep what follows for them."""
    replication = server.replication
    server.feed.flush()
    server.feed.select_again()
    for replica in replicas:
        share_moment(server, replica, replication.offset)


def share_moment(server: ServerState, replica: Replica, offset: int) -> None:
    """Have a replica get the snapshot of this offset, from which on the stream is kept."""
    replication = server.replication
    backlog = replication.backlog
    assert backlog is not None
    replica.state = WAIT_BGSAVE_END
    replica.snapshot_offset = offset
    if not replica.rdb_only:
        replica.reader = backlog.reader(offset + 1)
    if not replica.by_sync:
        client = replica.client
        client.out.append(b"+FULLRESYNC %s %d\r\n" % (replication.replid.encode(), offset))
        client.schedule_write()


def put_online(server: ServerState, replica: Replica) -> None:
    """Go on with a replica that has its snapshot."""
    if replica.rdb_only:
        replica.state = RDB_SENT
        server.log.info(
            "RDB transfer completed, rdb only replica (%s) should be disconnected asap",
            replica.name,
        )
        replica.client.close_when_sent()
        replica.client.transport.close()
        return
    replica.state = ONLINE
    replica.started = replica.ready
    replica.acked_ms = server.clock.now_ms
    server.log.info("Synchronization with replica %s succeeded", replica.name)
    server.replication.failover.acknowledged()


class Streaming:
    """A snapshot that is sent to the sockets of replicas while it is made."""

    def __init__(self, server: ServerState, replicas: list[Replica]) -> None:
        self._server: Final = server
        self._replicas = replicas
        self._scope = trio.CancelScope()
        self._progress = trio.Event()
        self._mark = secrets.token_hex(MARK_SIZE // 2).encode()
        self._snapshot: Snapshot | None = None
        self._filtered = b""  # all there is, of part of the data
        self._bulk = Bulk(replicas, self._went_on, self._taken)

    def begin(self) -> None:
        """Fix the moment and begin to send it."""
        server = self._server
        fix_moment(server, self._replicas)
        first = self._replicas[0]
        writer = rdb_file.new_writer(server, rdb_file.file_version(server))
        head = [writer.header(rdb_file.aux_fields(server))]
        if not first.without_functions:
            head += _libraries(server, writer)
        if first.without_data:
            self._filtered = b"".join([*head, writer.end()])
        else:
            self._snapshot = Snapshot(server, writer, head)
        server.replication.is_streaming = True
        self._bulk.put(b"$EOF:" + self._mark + b"\r\n")
        assert server.replication.spawn is not None
        server.replication.spawn(self._run, TASK)

    async def _run(self) -> None:
        """Send everything to who is still there."""
        server = self._server
        try:
            with self._scope:
                if self._snapshot is None:
                    self._bulk.put(self._filtered)
                else:
                    await write_out(self._snapshot, self._sink)
                self._bulk.put(self._mark)
                self._bulk.end()
                server.log.info(
                    "Diskless rdb transfer, done reading from pipe, %d replicas still up.",
                    len(self._bulk.places),
                )
                while self._bulk.places:
                    await self._progress.wait()
        except Exception as bug:
            server.log.error("internal error in a full resynchronization", exc_info=bug)
        finally:
            if self._snapshot is not None:
                self._snapshot.close()
            for replica in list(self._bulk.places):
                server.log.warning("SYNC failed. BGSAVE child returned an error")
                replica.client.close()
            server.replication.is_streaming = False
            server.due_at(server.clock.now_ms)  # others may wait for it to end

    async def _sink(self, data: bytes) -> None:
        """Send a piece; returns when the slowest has taken enough of what there is."""
        self._bulk.put(data)
        await trio.lowlevel.checkpoint()
        while not self._bulk.has_room:
            await self._progress.wait()

    def _went_on(self) -> None:
        """Note that a replica has taken something, or has gone; without any, end."""
        self._progress.set()
        self._progress = trio.Event()
        if not self._bulk.places and not self._bulk.ended:
            self._server.log.warning("Diskless rdb transfer, last replica dropped.")
            self._scope.cancel()

    def _taken(self, replica: Replica) -> None:
        server = self._server
        server.log.info(
            "Streamed RDB transfer with replica %s succeeded (socket). Waiting for REPLCONF ACK "
            "from replica to enable streaming",
            replica.name,
        )
        put_online(server, replica)


class Sending:
    """A file that is sent to one replica."""

    def __init__(self, server: ServerState, replica: Replica, file: BinaryIO) -> None:
        self._server: Final = server
        self._replica = replica
        self._file = file
        self._progress = trio.Event()
        self._bulk = Bulk([replica], self._went_on, self._taken)

    def begin(self) -> None:
        """Begin to send it."""
        self._replica.state = SEND_BULK
        assert self._server.replication.spawn is not None
        self._server.replication.spawn(self._run, TASK)

    async def _run(self) -> None:
        server = self._server
        bulk = self._bulk
        background = server.background
        try:
            left = os.fstat(self._file.fileno()).st_size
            bulk.put(b"$%d\r\n" % left)
            while left and bulk.places:
                data = await background.on_disk(lambda: self._file.read(CHUNK))
                if not data:
                    raise OSError("premature EOF")
                left -= len(data)
                bulk.put(data)
                while bulk.places and not bulk.has_room:
                    await self._progress.wait()
            bulk.end()
            while bulk.places:
                await self._progress.wait()
        except OSError as exc:
            server.log.warning("Read error sending DB to replica: %s", exc)
        except Exception as bug:
            server.log.error("internal error in a full resynchronization", exc_info=bug)
        finally:
            self._file.close()
            if bulk.places:
                self._replica.client.close()

    def _went_on(self) -> None:
        self._progress.set()
        self._progress = trio.Event()

    def _taken(self, replica: Replica) -> None:
        put_online(self._server, replica)
        replica.started = True


def begin_file(server: ServerState, replicas: list[Replica]) -> bool:
    """Begin to save the data to a file for these replicas; return whether that was possible."""
    server.background.on_end = lambda saved: _file_ended(server, saved)
    if not server.background.begin():
        return False
    fix_moment(server, replicas)
    for replica in replicas:
        replica.waits_for_file = True
    return True


def _file_ended(server: ServerState, saved: bool) -> None:
    """Send the file to those who wait for it."""
    for replica in list(server.replication.replicas.values()):
        if replica.state != WAIT_BGSAVE_END or not replica.waits_for_file:
            continue
        replica.waits_for_file = False
        if not saved:
            server.log.warning("SYNC failed. BGSAVE child returned an error")
            replica.client.close()
            continue
        try:
            file = open(rdb_file.file_path(server), "rb")  # noqa: SIM115  (closed by Sending)
        except OSError as exc:
            server.log.warning("SYNC failed. Can't open/stat DB after BGSAVE: %s", exc.strerror)
            replica.client.close()
            continue
        Sending(server, replica, file).begin()


def _libraries(server: ServerState, writer: RdbWriter) -> list[bytes]:
    return [writer.library(code) for code in server.persistence.libraries]
