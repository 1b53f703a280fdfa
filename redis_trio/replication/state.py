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
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.client import REPLY_REPLICA
from redis_trio.feed import NO_DATABASE, REPLICAS
from redis_trio.output_limits import exceeds_output_limit
from redis_trio.replication.backlog import Backlog
from redis_trio.replication.failover import Failover
from redis_trio.replication.replica import ONLINE, Replica

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.replication.acks import AckBlock
    from redis_trio.replication.changes import Tap
    from redis_trio.replication.upstream import Position, Upstream
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
      left: on a primary that was a replica, where it could have continued its primary's stream.
      wake_link: has the link's task look what the primary is now; None while there is no task.
      role_observers: are called when the server has another role or another primary, and when the
        link to that is in another state.
      failover: the exchange of roles with a replica, if there is one.
      taps: who reads the stream in the process; see changes.py.
      wants_acks: whether the replicas are to be asked how far they are.
      has_acks: whether one of them has said so.
      waiting: the clients that wait for that, and what for (WAIT, WAITAOF).
      pinged_ms: when the replicas were last sent a PING.
      nudged_ms: when those that wait for a snapshot were last sent a sign of life.
      alone_ms: since when there is no replica.
      is_streaming: whether a snapshot is being streamed to replicas.
      spawn: starts a task; None while there is no shell.
    """

    __slots__ = (
        "_seen_fsync",
        "_server",
        "alone_ms",
        "backlog",
        "failover",
        "has_acks",
        "is_streaming",
        "left",
        "nudged_ms",
        "offset",
        "pinged_ms",
        "replicas",
        "replid",
        "replid2",
        "role_observers",
        "second_offset",
        "spawn",
        "taps",
        "upstream",
        "waiting",
        "wake_link",
        "wants_acks",
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
        self.left: Position | None = None
        self.wake_link: Callable[[], None] | None = None
        self.role_observers: list[Callable[[], None]] = []
        self.taps: dict[Tap, None] = {}
        self.failover = Failover(server)
        self.wants_acks = False
        self.has_acks = False
        self.waiting: dict[Client, AckBlock] = {}
        self.pinged_ms: i64 = 0
        self.nudged_ms: i64 = 0
        self.alone_ms: i64 = server.clock.now_ms
        self.is_streaming = False
        self.spawn: Callable[[Callable[[], Awaitable[None]], str], None] | None = None
        self._seen_fsync: i64 = -1
        server.config.subscribe("repl-backlog-size", self._resize_backlog)
        server.config.subscribe(
            ["replica-read-only", "replica-serve-stale-data"], server.update_gate
        )
        server.config.subscribe(
            ["min-replicas-to-write", "min-replicas-max-lag"], server.update_gate
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
        self.left = None

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
        is_longer = backlog.append(data)
        self.offset = backlog.offset
        if self.taps:
            self._tell_taps()
        if is_longer:
            self._look_at_limits()

    def _tell_taps(self) -> None:
        """Wake those who read the stream in the process."""
        for tap in list(self.taps):
            tap.look()

    def _look_at_limits(self) -> None:
        """Disconnect the replicas for which too much is kept."""
        for client, replica in list(self.replicas.items()):
            if replica.reader is not None:
                exceeds_output_limit(client, replica.pending_bytes)

    def safe_offset(self) -> int:
        """Return up to where the stream may be sent: with appendfsync always, what is synced."""
        aof = self._server.aof
        return aof.fsynced_offset if aof.waits else self.offset

    def aux_fields(self) -> list[tuple[bytes, bytes]]:
        """Return what a file tells of the stream, to continue it: database, id and offset."""
        upstream = self.upstream
        if upstream is None:
            if self.backlog is None:
                return []
            db = self._server.feed.stream_db
        elif upstream.master is not None:
            db = upstream.master.client.db.index
        elif upstream.cached is not None:
            db = max(0, upstream.cached.db)
        else:
            return []
        return [
            (b"repl-stream-db", b"%d" % db),
            (b"repl-id", self.replid.encode()),
            (b"repl-offset", b"%d" % self.offset),
        ]

    # -- replicas

    def attach(self, replica: Replica, state: i64) -> None:
        """Have a client be a replica from now on: it is answered nothing any more."""
        client = replica.client
        now_ms = self._server.clock.now_ms
        replica.state = state
        replica.acked_ms = replica.asked_ms = now_ms
        if not self.replicas:
            self.pinged_ms = now_ms
        self.replicas[client] = replica
        client.reply_mode = REPLY_REPLICA
        client.update_gate()
        self._server.due_at(now_ms)

    def detach(self, client: Client) -> None:
        """Forget a replica: its connection has ended."""
        replica = self.replicas.pop(client, None)
        if replica is None:
            return
        server = self._server
        server.log.info("Connection with replica %s lost.", replica.name)
        if replica.bulk is not None:
            replica.bulk.leave(replica)
        if replica.reader is not None:
            replica.reader.close()
        if not self.replicas:
            self.alone_ms = server.clock.now_ms
            server.due_at(self.alone_ms)

    @property
    def online_count(self) -> int:
        """How many replicas there are that are sent the stream."""
        return sum([1 for replica in self.replicas.values() if replica.state == ONLINE])

    def good_count(self) -> int:
        """Return how many replicas have said not long ago how far they are."""
        now_s = self._server.clock.now_ms // 1000
        lag_s: int = self._server.config.min_replicas_max_lag
        return sum(
            [
                1
                for replica in self.replicas.values()
                if replica.state == ONLINE and now_s - replica.acked_ms // 1000 <= lag_s
            ]
        )

    @property
    def counts_replicas(self) -> bool:
        """Whether writes are allowed only while there are enough good replicas."""
        config = self._server.config
        return (
            config.min_replicas_to_write > 0
            and config.min_replicas_max_lag > 0
            and self.upstream is None
        )

    def denies_writes(self) -> bool:
        """Return whether nothing may be written, because too few replicas would have it soon."""
        return (
            self.counts_replicas and self.good_count() < self._server.config.min_replicas_to_write
        )

    # -- the end of a unit of work

    def end_unit(self) -> None:
        """Ask for acknowledgements if somebody waits for them; answer those who have them."""
        server = self._server
        if self.wants_acks and not server.pause_until_ms:
            self.wants_acks = False
            if server.feed.active and self.replicas:
                server.feed.add_for(REPLICAS, NO_DATABASE, [b"REPLCONF", b"GETACK", b"*"])
                server.feed.flush()
        if self.waiting and (self.has_acks or server.aof.fsynced_offset != self._seen_fsync):
            self.has_acks = False
            self._seen_fsync = server.aof.fsynced_offset
            for client, block in list(self.waiting.items()):
                waiter = client.waiter
                if waiter is None or waiter.block is not block:
                    del self.waiting[client]  # it has been answered otherwise
                elif block.is_served():
                    del self.waiting[client]
                    waiter.count()
                    waiter.answer(block.late_reply())

    def send(self) -> None:
        """Have the replicas sent what there is of the stream, as far as they take it."""
        offset = self.offset
        for client, replica in list(self.replicas.items()):
            reader = replica.reader
            if replica.started and reader is not None and reader.offset < offset:
                client.transport.pull()

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
        self._tell_taps()

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
