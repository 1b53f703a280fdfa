"""FAILOVER: a primary and one of its replicas exchange their roles, and no write is lost.

The primary holds up writes until a replica has acknowledged all there is, becomes its replica and
asks it, together with PSYNC, to become the primary. Nothing here waits: who hears of an
acknowledgement, or of an answer, goes on from there, and the keeper at the deadline.

Source: Redis replication.c failoverCommand, updateFailoverStatus, abortFailover.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.blocking import FOREVER_MS, pause, unpause
from redis_trio.data.expires import NEVER
from redis_trio.replication.replica import ONLINE
from redis_trio.replication.roles import follow, follow_nobody

if TYPE_CHECKING:
    from redis_trio.replication.replica import Replica
    from redis_trio.state import ServerState

PURPOSE: Final = "FAILOVER"

NONE: Final = "no-failover"
WAITING: Final = "waiting-for-sync"
IN_PROGRESS: Final = "failover-in-progress"


class Failover:
    """The failover of one server, if there is one.

    Attributes:
      state: as INFO shows it.
      end_ms: when waiting ends, 0 if it does not.
    """

    def __init__(self, server: ServerState) -> None:
        self._server: Final = server
        self.state = NONE
        self.end_ms = 0
        self._host: str | None = None
        self._port = 0
        self._force = False
        self._look = False  # whether a replica may have caught up

    @property
    def in_progress(self) -> bool:
        """Whether the replica has been asked to become the primary, or is about to be."""
        return self.state == IN_PROGRESS

    def find(self, host: str, port: int) -> Replica | None:
        """Return the replica that listens there, None if there is none."""
        for replica in self._server.replication.replicas.values():
            if replica.port == port and replica.host.lower() == host.lower():
                return replica
        return None

    def begin(self, host: str | None, port: int, timeout_ms: int, *, force: bool) -> None:
        """Hold up writes and wait for a replica to catch up.

        Args:
          host, port: of the replica; None for any.
          timeout_ms: how long, 0 for ever.
          force: whether to go on then, instead of giving up.
        """
        server = self._server
        if host is None:
            server.log.info("FAILOVER requested to any replica.")
        else:
            server.log.info("FAILOVER requested to %s:%d.", host, port)
        self._host = host
        self._port = port
        self._force = force
        self.end_ms = server.clock.now_ms + timeout_ms if timeout_ms else 0
        self.state = WAITING
        pause(server, FOREVER_MS, False, PURPOSE)
        self.acknowledged()
        if self.end_ms:
            server.due_at(self.end_ms)

    def acknowledged(self) -> None:
        """Take note that a replica has told how far it is."""
        if self.state == WAITING:
            self._look = True
            self._server.due_at(self._server.clock.now_ms)

    # -- what is due

    def next_ms(self) -> int:
        """Return when `run_due` has something to do, NEVER if it has not."""
        if self.state != WAITING:
            return NEVER
        if self._look:
            return self._server.clock.now_ms
        return self.end_ms or NEVER

    def run_due(self) -> None:
        """Go on if a replica has caught up, or if the time is over."""
        server = self._server
        self._look = False
        if self.end_ms and self.end_ms <= server.clock.now_ms:
            if not self._force:
                self.abort("Replica never caught up before timeout")
                return
            server.log.info(
                "FAILOVER to %s:%d time out exceeded, failing over.", self._host, self._port
            )
            self._hand_over()
        elif self._find_synced():
            server.log.info(
                "Failover target %s:%d is synced, failing over.", self._host, self._port
            )
            self._hand_over()

    def _find_synced(self) -> bool:
        """Return whether the replica has caught up; any one, if it may be any, is chosen then."""
        replication = self._server.replication
        if self._host is not None:
            replica = self.find(self._host, self._port)
            return replica is not None and replica.acked == replication.offset
        for replica in replication.replicas.values():
            if replica.state == ONLINE and replica.acked == replication.offset:
                self._host = replica.host
                self._port = replica.port
                return True
        return False

    def _hand_over(self) -> None:
        assert self._host is not None
        self.state = IN_PROGRESS
        follow(self._server, self._host, self._port, in_failover=True)

    def answered(self, accepted: bool) -> None:
        """Take note of how the replica has answered PSYNC."""
        if accepted:
            self._clear()
        else:
            self.abort("Failover target rejected psync request")

    def abort(self, reason: str) -> None:
        """Be the primary still, or again."""
        server = self._server
        if self.state == NONE:
            return
        if self._host is not None:
            server.log.info("FAILOVER to %s:%d aborted: %s", self._host, self._port, reason)
        else:
            server.log.info("FAILOVER to any replica aborted: %s", reason)
        if self.state == IN_PROGRESS:
            follow_nobody(server)
        self._clear()

    def _clear(self) -> None:
        self.state = NONE
        self.end_ms = 0
        self._host = None
        self._port = 0
        self._force = self._look = False
        unpause(self._server, PURPOSE)
