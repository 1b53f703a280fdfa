"""A replica's link to its primary, as far as it is state: the tasks are in link.py.

There is one Upstream as long as a server is a replica, whatever primary it has. It knows the
address, how far the link is, and where the primary's stream can be continued when the link comes
back (`cached`): after a short break, or after a change of roles, a partial resynchronization is
enough.

Whoever changes roles talks to this side; `hang_up` makes the task end the connection in hand. The
keeper calls `run_due` for what has a deadline: acknowledgements once a second while the link is up,
and giving up a primary that is silent for longer than `repl-timeout`.

Source: Redis replication.c replicationCacheMaster, replicationSendAck, replicationCron.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from redis_trio.client import PAUSED
from redis_trio.data.expires import NEVER, Expires
from redis_trio.feed import encode_command

if TYPE_CHECKING:
    from redis_trio.keyspace.database import Database
    from redis_trio.replication.master import Master
    from redis_trio.state import ServerState

CONNECT: Final = "connect"
CONNECTING: Final = "connecting"
HANDSHAKE: Final = "handshake"
TRANSFER: Final = "sync"
CONNECTED: Final = "connected"

ACK_MS: Final = 1000  # between two acknowledgements
WRITABLE_DBS: Final = 64  # Redis remembers the own keys of a writable replica in so many databases


class Position:
    """Where a primary's stream can be continued.

    Attributes:
      replid: its id.
      offset: how much of it has been applied.
      db: the database that its commands are for; -1 if it will say so.
    """

    __slots__ = ("db", "offset", "replid")

    def __init__(self, replid: str, offset: int, db: int) -> None:
        self.replid = replid
        self.offset = offset
        self.db = db


class Upstream:
    """The link to the primary.

    Attributes:
      host, port: of the primary.
      state: CONNECT while there is no connection, then CONNECTING, HANDSHAKE, TRANSFER, CONNECTED.
      master: the client that applies the stream, while the link is up.
      cached: where to continue when there is a connection again.
      has_synced: whether the data has been the primary's at least once.
      down_since_s: when the link broke, in s since the epoch; 0 if it never did.
      transfer_size, transfer_read: of the data of a full resynchronization, in bytes; the size is 0
        if nobody knows, and -1 before it has been told.
      loading: whether data that has arrived is being loaded, so that nothing is read.
      last_io_ms: when something came last.
      hang_up: ends the connection in hand; None while there is none.
      wake: has the task look what the primary is now; None while there is no task.
      send: sends bytes to the primary, without waiting; None while the link is not up.
      own_keys: on a writable replica, by database: the keys whose deadlines clients have set here.
    """

    def __init__(self, server: ServerState, host: str, port: int) -> None:
        self._server = server
        self.host = host
        self.port = port
        self.state = CONNECT
        self.master: Master | None = None
        self.cached: Position | None = None
        self.has_synced = False
        self.down_since_s = 0
        self.transfer_size = -1
        self.transfer_read = 0
        self.loading = False
        self.last_io_ms: int = server.clock.now_ms
        self.hang_up: Callable[[], None] | None = None
        self.send: Callable[[bytes], None] | None = None
        self.own_keys: dict[int, Expires] = {}
        self._ack_ms = NEVER

    # -- state

    def set_state(self, state: str) -> None:
        """Take note of how far the link is."""
        self.state = state
        server = self._server
        self.touch()
        server.update_gate()
        if state != CONNECT:
            server.due_at(self.next_ms())
        for changed in list(server.replication.role_observers):
            changed()

    def touch(self) -> None:
        """Take note that something came from the primary, or that nothing could have."""
        self.last_io_ms = self._server.clock.now_ms

    def is_stale(self) -> bool:
        """Return whether the data may be old, and is not to be shown then."""
        return self.state != CONNECTED and not self._server.config.replica_serve_stale_data

    def disconnect(self) -> None:
        """End the connection, if there is one; what it has brought can be continued."""
        self.lost(can_continue=True)
        hang_up = self.hang_up
        self.hang_up = None
        if hang_up is not None:
            hang_up()

    def lost(self, *, can_continue: bool) -> None:
        """Take note that the connection has ended, or never came about.

        Args:
          can_continue: whether what was applied is what the primary sent.
        """
        server = self._server
        master = self.master
        if master is not None:
            server.log.info("Connection with master lost.")
            self.master = None
            self.send = None
            self._ack_ms = NEVER
            self.down_since_s = server.clock.now_ms // 1000
            self.cached = None
            if can_continue and master.offset >= 0:
                server.log.info("Caching the disconnected master state.")
                self.cached = Position(master.replid, master.offset, master.client.db.index)
            master.end()
        if self.state != CONNECT:
            self.set_state(CONNECT)

    def up(self, master: Master, send: Callable[[bytes], None]) -> None:
        """Take note that the primary's stream is being applied from now on."""
        server = self._server
        self.master = master
        self.send = send
        self.cached = None
        self.has_synced = True
        self.down_since_s = 0
        if master.offset >= 0:
            self._ack_ms = server.clock.now_ms + ACK_MS
        self.set_state(CONNECTED)

    def discard_cached(self) -> None:
        """Have the next synchronization be a full one."""
        if self.cached is not None:
            self._server.log.info("Discarding previously cached master state.")
            self.cached = None

    # -- what has a deadline

    def next_ms(self) -> int:
        """Return when `run_due` has something to do, NEVER while there is no connection."""
        if self.state == CONNECT or self.loading:
            return NEVER
        timeout_ms: int = self.last_io_ms + (self._server.config.repl_timeout + 1) * 1000
        return timeout_ms if self._ack_ms == NEVER else min(timeout_ms, self._ack_ms)

    def run_due(self) -> None:
        """Acknowledge, or give up a primary that is silent."""
        server = self._server
        now_ms = server.clock.now_ms
        master = self.master
        if master is not None and master.client.halted & PAUSED:
            self.touch()  # nobody listens
        if now_ms > self.last_io_ms + server.config.repl_timeout * 1000:
            self._timed_out()
        elif self._ack_ms != NEVER and now_ms >= self._ack_ms:
            self.acknowledge()
            self._ack_ms = now_ms + ACK_MS

    def _timed_out(self) -> None:
        log = self._server.log
        if self.state == CONNECTED:
            log.warning("MASTER timeout: no data nor PING received...")
        elif self.state == TRANSFER:
            log.warning(
                "Timeout receiving bulk data from MASTER... If the problem persists try to set the "
                "'repl-timeout' parameter in redis.conf to a larger value."
            )
        else:
            log.warning("Timeout connecting to the MASTER...")
        self.disconnect()

    def acknowledge(self) -> None:
        """Tell the primary how much has been applied, and how much of it is on the disk."""
        master = self.master
        if master is None or self.send is None or master.offset < 0:
            return
        args = [b"REPLCONF", b"ACK", b"%d" % master.position()]
        synced = self._server.aof.fsynced_offset
        if synced >= 0:
            args += [b"FACK", b"%d" % synced]
        self.send(encode_command(args))

    # -- own keys of a writable replica

    def remember_own(self, db: Database, key: bytes, when_ms: int) -> None:
        """Have a key expire here, since its deadline is a client's of this server."""
        if db.index >= WRITABLE_DBS:
            return
        keys = self.own_keys.get(db.index)
        if keys is None:
            keys = self.own_keys[db.index] = Expires(self._server.clock.now_ms)
        keys.set(key, when_ms)
        self._server.due_at(when_ms)

    def own_key_count(self) -> int:
        """Return the number of those keys."""
        return sum([keys.when.count for keys in self.own_keys.values()])

    def next_own_expiry_ms(self) -> int:
        """Return when the first of them expires, NEVER if none does."""
        times = [keys.next_ms() for keys in self.own_keys.values() if keys.when.count]
        return min([when_ms for when_ms in times if when_ms != NEVER], default=NEVER)

    def expire_own(self, limit: int) -> None:
        """Delete up to about `limit` of them whose deadline has passed.

        Their deadlines may have changed since, or the primary may have replaced them.
        """
        server = self._server
        now_ms = server.clock.now_ms
        for index, keys in self.own_keys.items():
            db = server.dbs[index]
            for key in keys.pop_due(now_ms, limit):
                when_ms = db.expires.get(key)
                if when_ms == NEVER:
                    keys.remove(key)
                elif when_ms > now_ms:
                    keys.set(key, when_ms)
                else:
                    keys.remove(key)
                    db.delete_expired(key)
                    server.feed.flush()
