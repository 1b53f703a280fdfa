"""What a server knows of replication, whichever side of it: ids, offset, backlog, the links.

A stream of changes has an id, `replid`, and positions in it are `offset`s in bytes. On a primary
the feed continues the stream (`append`), on a replica the primary's bytes do (`passed_on`), as they
are: so a replica has the same id and offsets as its primary, and its own replicas can be attached
to either. A replica that becomes a primary begins a stream with a new id, and remembers the old one
as `replid2`, which is valid up to `second_offset`.

The stream is kept in the backlog, which exists from the first replica on.

Source: Redis replication.c changeReplicationId, shiftReplicationId, replicationFeedSlaves.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.replication.backlog import Backlog
from redis_trio.replication.failover import Failover

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.replication.replica import Replica
    from redis_trio.replication.upstream import Upstream
    from redis_trio.state import ServerState

NO_ID: Final = "0" * 40


class Replication:
    """The replication of one server.

    Attributes:
      replid: the id of its stream of changes.
      replid2: that of the stream which it continues, up to `second_offset`; NO_ID if none.
      second_offset: the first offset that is not of that stream, -1 if there is none.
      offset: how much of the stream there has been (master_repl_offset).
      backlog: the end of the stream; None before the first replica.
      replicas: the clients that are replicas, in the order in which they came.
      upstream: the link to the primary; None on a primary.
      wake_link: has the link's task look what the primary is now; None while there is no task.
      role_observers: are called when the server has another role or another primary, and when the
        link to that is in another state.
      failover: the exchange of roles with a replica, if there is one.
    """

    __slots__ = (
        "_server",
        "backlog",
        "failover",
        "offset",
        "replicas",
        "replid",
        "replid2",
        "role_observers",
        "second_offset",
        "upstream",
        "wake_link",
    )

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self.replid = secrets.token_hex(20)
        self.replid2 = NO_ID
        self.second_offset: i64 = -1
        self.offset: i64 = 0
        self.backlog: Backlog | None = None
        self.replicas: dict[Client, Replica] = {}
        self.upstream: Upstream | None = None
        self.wake_link: Callable[[], None] | None = None
        self.role_observers: list[Callable[[], None]] = []
        self.failover = Failover(server)
        server.config.subscribe("repl-backlog-size", self._resize_backlog)
        server.config.subscribe(
            ["replica-read-only", "replica-serve-stale-data"], server.update_gate
        )

    @property
    def is_replica(self) -> bool:
        """Whether the data is a primary's, not this server's own."""
        return self.upstream is not None

    def is_stale(self) -> bool:
        """Whether the data may be old, and is not to be shown then."""
        upstream = self.upstream
        return upstream is not None and upstream.is_stale()

    def is_read_only(self) -> bool:
        """Whether only the primary may write here."""
        return self.upstream is not None and self._server.config.replica_read_only

    def own_key_count(self) -> int:
        """Return how many keys expire here by deadlines that clients of a replica have set."""
        return 0 if self.upstream is None else self.upstream.own_key_count()

    # -- ids

    def change_replid(self) -> None:
        """Begin another stream: nobody can continue with what there was."""
        self.replid = secrets.token_hex(20)
        self.clear_replid2()

    def clear_replid2(self) -> None:
        """Forget the stream that was continued."""
        self.replid2 = NO_ID
        self.second_offset = -1

    def shift_replid(self) -> None:
        """Begin a stream that continues the one so far: a replica becomes a primary."""
        self.replid2 = self.replid
        self.second_offset = self.offset + 1
        self.replid = secrets.token_hex(20)
        self._server.log.warning(
            "Setting secondary replication ID to %s, valid up to offset: %d. New replication ID "
            "is %s",
            self.replid2,
            self.second_offset,
            self.replid,
        )

    def follow_new_id(self, replid: str) -> None:
        """Continue the stream under another id, as the primary does.

        Replicas have to reconnect to hear of it.
        """
        self.replid2 = self.replid
        self.second_offset = self.offset + 1
        self.replid = replid
        self.disconnect_replicas()

    def disconnect_replicas(self) -> None:
        """Hang up on all replicas; they can continue with the backlog if that stays."""
        for client in list(self.replicas):
            client.close()

    # -- the stream

    def append(self, data: bytes) -> None:
        """Continue the stream; there is a backlog."""
        backlog = self.backlog
        assert backlog is not None
        backlog.append(data)
        self.offset = backlog.offset

    def passed_on(self, data: bytes) -> None:
        """Continue the stream with bytes of the primary that have been applied."""
        if self.backlog is not None:
            self.append(data)
        else:
            self.offset += len(data)

    def continue_from(self, replid: str, offset: int) -> None:
        """Have the stream be the primary's, from here on; the data is that of this moment.

        Replicas have been disconnected before.
        """
        self.replid = replid
        self.clear_replid2()
        self.offset = offset
        self.backlog = None
        self.create_backlog()

    def create_backlog(self) -> None:
        """Keep the stream from now on, if that is not done already."""
        if self.backlog is None:
            self.backlog = Backlog(self.offset, self._server.config.repl_backlog_size)
            self._server.feed.update()

    def free_backlog(self) -> None:
        """Keep nothing of the stream any more; there are no replicas."""
        assert not self.replicas
        self.backlog = None
        self._server.feed.update()

    def _resize_backlog(self) -> None:
        if self.backlog is not None:
            self.backlog.limit = self._server.config.repl_backlog_size
            self.backlog.trim()
