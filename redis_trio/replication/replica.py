"""A replica, as its primary sees it: what it can do, how far it is, what it is to be sent next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.replication.backlog import Reader

# How far a replica is. Before that it is a client that may become one: it has sent REPLCONF.
NOT_ATTACHED: Final = 0
WAIT_BGSAVE: Final = 1  # for the snapshot to begin
SEND_BULK: Final = 2  # the snapshot is being sent
ONLINE: Final = 3  # the stream is being sent, or will be when it has said that it is ready
RDB_SENT: Final = 4  # it wanted the snapshot only, and has it; it is to hang up

STATE_NAMES: Final = {
    WAIT_BGSAVE: "wait_bgsave",
    SEND_BULK: "send_bulk",
    ONLINE: "online",
    RDB_SENT: "rdb_transmitted",
}


class Replica:
    """A client that is a replica, or has begun to say that it is one.

    Attributes:
      state: how far it is.
      reader: what of the stream it is to be sent; None before its snapshot begins.
      port: where it listens, as it says; address: likewise, empty if it does not say.
      takes_eof, takes_psync2: what it can do: a snapshot without a length, another id.
      version: of its Redis, as 0xMMmmpp; 0 if it does not say.
      rdb_only: whether it wants no stream; functions_only: whether of the snapshot just functions.
      started: whether the stream may be sent: it has said so, if it has to.
      acked, acked_fsync: up to which offset it has applied the stream, and has that on its disk.
      acked_ms: when it last said so.
    """

    __slots__ = (
        "acked",
        "acked_fsync",
        "acked_ms",
        "address",
        "client",
        "functions_only",
        "port",
        "rdb_only",
        "reader",
        "started",
        "state",
        "takes_eof",
        "takes_psync2",
        "version",
    )

    def __init__(self, client: Client) -> None:
        self.client = client
        self.state: i64 = NOT_ATTACHED
        self.reader: Reader | None = None
        self.port = 0
        self.address = ""
        self.takes_eof = False
        self.takes_psync2 = False
        self.version = 0
        self.rdb_only = False
        self.functions_only = False
        self.started = False
        self.acked: i64 = 0
        self.acked_fsync: i64 = 0
        self.acked_ms: i64 = 0
