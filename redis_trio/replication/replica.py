"""A replica, as its primary sees it: what it can do, how far it is, what it is sent next.

A replica is a client whose transport asks it for more whenever the socket has taken everything
(`next_chunk`): first pieces of a snapshot, then what there is of the stream. So a slow replica has
a position, and no queue of its own; what the server owes it is found in the backlog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.replication.backlog import Reader
    from redis_trio.replication.bulk import Bulk

# How far a replica is. Before that it is a client that may become one: it has sent REPLCONF.
NOT_ATTACHED: Final = 0
WAIT_BGSAVE_START: Final = 1  # for a snapshot to begin
WAIT_BGSAVE_END: Final = 2  # for it to end, or to be sent to its end while it is made
SEND_BULK: Final = 3  # the file is being sent
ONLINE: Final = 4  # the stream is sent to it, or will be when it has said that it is ready
RDB_SENT: Final = 5  # it wanted the snapshot only, and has it; it is to hang up


class Replica:
    """A client that is a replica, or has begun to say that it is one.

    Attributes:
      state: how far it is.
      reader: what of the stream it is to be sent; None before its snapshot begins.
      bulk: the snapshot that it is being sent, None while there is none.
      waits_for_file: whether its snapshot is written to a file first.
      port: where it listens, as it says; address: likewise, empty if it does not say.
      takes_eof, takes_psync2: what it can do: a snapshot without a length, another id.
      ready: whether it has acknowledged anything, perhaps before it was known to have it all.
      rdb_only: whether it wants no stream.
      without_data, without_functions: what it does not want of the snapshot.
      by_sync: whether it has come by SYNC, and so acknowledges nothing.
      started: whether the stream may be sent: it has said so, if it has to.
      snapshot_offset: the offset of its snapshot.
      acked, acked_fsync: up to which offset it has applied the stream, and has that on its disk.
      acked_ms: when it last said so.
      asked_ms: when it asked for a snapshot.
    """

    __slots__ = (
        "acked",
        "acked_fsync",
        "acked_ms",
        "address",
        "asked_ms",
        "bulk",
        "by_sync",
        "client",
        "port",
        "rdb_only",
        "reader",
        "ready",
        "snapshot_offset",
        "started",
        "state",
        "takes_eof",
        "takes_psync2",
        "waits_for_file",
        "without_data",
        "without_functions",
    )

    def __init__(self, client: Client) -> None:
        self.client = client
        self.state: i64 = NOT_ATTACHED
        self.reader: Reader | None = None
        self.bulk: Bulk | None = None
        self.waits_for_file = False
        self.port: int = 0
        self.address = ""
        self.takes_eof = False
        self.takes_psync2 = False
        self.rdb_only = False
        self.without_data = False
        self.without_functions = False
        self.by_sync = False
        self.started = False
        self.ready = False
        self.snapshot_offset: i64 = 0
        self.acked: i64 = 0
        self.acked_fsync: i64 = 0
        self.acked_ms: i64 = 0
        self.asked_ms: i64 = 0

    @property
    def is_attached(self) -> bool:
        """Whether it is a replica, not just a client that has said something of itself."""
        return self.state != NOT_ATTACHED

    @property
    def is_filtered(self) -> bool:
        """Whether it wants part of the snapshot only."""
        return self.without_data or self.without_functions

    @property
    def name(self) -> str:
        """How the log names it."""
        host = self.host
        if not host:
            return f"client id #{self.client.id}"
        return f"{host}:{self.port or '<unknown-replica-port>'}"

    @property
    def host(self) -> str:
        """Its address: as it says, or else the one that it has come from."""
        return self.address or self.client.addr.rpartition(":")[0].strip("[]")

    @property
    def pending_bytes(self) -> int:
        """The memory of the blocks that are kept for it, perhaps among others."""
        reader = self.reader
        return 0 if reader is None else reader.memory_bytes

    def next_chunk(self) -> bytes | memoryview | None:
        """Return what is to be sent next; None if there is nothing yet.

        What was returned the last time has been sent by now.
        """
        bulk = self.bulk
        if bulk is not None:
            chunk = bulk.take(self)
            if chunk is not None:
                return chunk
        reader = self.reader
        if not self.started or reader is None:
            return None
        return reader.take(self.client.server.replication.safe_offset())
