"""The jobs that the keeper does when they are due: see keeper.py.

A new kind of timed work is a class here with `next_ms` and `run`, and one line in `standard_jobs`.
"""

from __future__ import annotations

from typing import Final

from redis_trio.blocking import next_pause_deadline, unpause_if_due
from redis_trio.clock import perf_counter_ns
from redis_trio.data.expires import NEVER
from redis_trio.idle import close_idle_clients, next_idle_deadline, timeout_changed
from redis_trio.keeper import Job
from redis_trio.keyspace.active_expire import expire_due, next_expiry_ms
from redis_trio.keyspace.field_expiry import expire_fields_due, next_field_expiry_ms
from redis_trio.output_limits import close_over_soft_limit, next_output_deadline
from redis_trio.replication.primary import next_due_ms, run_due
from redis_trio.state import ServerState
from redis_trio.tracking import EFFORT

SLICE_NS: Final = 1_000_000  # what one job does before everybody else has a turn
KEYS: Final = 100  # expired in one go where that is not measured


def standard_jobs(server: ServerState) -> list[Job]:
    """Return the jobs of a server."""
    return [
        PauseEnd(server),
        Expiry(server),
        FieldExpiry(server),
        IdleClients(server),
        LazyFreeing(server),
        SoftLimits(server),
        TrackingLimit(server),
        AofSync(server),
        AofRewrite(server),
        Replicas(server),
        SavePoints(server),
        UnusedConnections(server),
        UpstreamLink(server),
        FailoverDue(server),
        OwnExpiry(server),
        Evicting(server),
    ]


class Expiry:
    """Keys whose deadline has passed are deleted, a slice at a time."""

    def __init__(self, server: ServerState) -> None:
        self._server = server

    def next_ms(self) -> int:
        """Return when a key expires."""
        return next_expiry_ms(self._server)

    def run(self) -> None:
        """Delete what has expired."""
        began_ns = perf_counter_ns()
        expire_due(self._server, SLICE_NS)
        ns = perf_counter_ns() - began_ns
        self._server.stats.expire_cycle_ns += ns
        self._server.latency.note("expire-cycle", ns)


class FieldExpiry:
    """Fields of hashes whose deadline has passed are deleted, a slice at a time."""

    def __init__(self, server: ServerState) -> None:
        self._server = server

    def next_ms(self) -> int:
        """Return when a field expires."""
        return next_field_expiry_ms(self._server)

    def run(self) -> None:
        """Delete what has expired."""
        began_ns = perf_counter_ns()
        expire_fields_due(self._server, SLICE_NS)
        self._server.stats.expire_cycle_ns += perf_counter_ns() - began_ns


class LazyFreeing:
    """Big values and flushed databases are freed, a slice at a time, while nobody waits."""

    def __init__(self, server: ServerState) -> None:
        self._server = server

    def next_ms(self) -> int:
        """Return the present if there is anything to free."""
        return self._server.clock.now_ms if self._server.lazyfree.busy else NEVER

    def run(self) -> None:
        """Free a slice."""
        self._server.lazyfree.step(SLICE_NS)


class TrackingLimit:
    """Keys that clients may have cached are given up while there are too many of them."""

    def __init__(self, server: ServerState) -> None:
        self._server = server

    def next_ms(self) -> int:
        """Return the present if there are too many."""
        server = self._server
        return (
            server.clock.now_ms if server.tracking.is_full() and not server.cron_paused else NEVER
        )

    def run(self) -> None:
        """Give up a slice."""
        tracking = self._server.tracking
        until = perf_counter_ns() + SLICE_NS
        while tracking.is_full() and perf_counter_ns() < until:
            tracking.give_up(EFFORT)


class AofSync:
    """What was appended to the append-only file is synced, a second after the last time."""

    def __init__(self, server: ServerState) -> None:
        self._server = server

    def next_ms(self) -> int:
        """Return when that is due, or another try after an error."""
        return self._server.aof.next_sync_ms()

    def run(self) -> None:
        """Have a thread do it."""
        self._server.aof.sync_due()


class AofRewrite:
    """The append-only file is rewritten when it has grown, or when that had to wait."""

    def __init__(self, server: ServerState) -> None:
        self._rewrite = server.rewrite

    def next_ms(self) -> int:
        """Return when that is due."""
        return self._rewrite.next_ms()

    def run(self) -> None:
        """Begin to rewrite it."""
        self._rewrite.begin_due()


class SavePoints:
    """The data is saved when a save point says so, or when a save that had to wait can begin."""

    def __init__(self, server: ServerState) -> None:
        self._background = server.background

    def next_ms(self) -> int:
        """Return when that is due, by the changes so far."""
        return self._background.next_save_ms()

    def run(self) -> None:
        """Begin to save."""
        self._background.save_if_due()


class UpstreamLink:
    """A replica tells its primary how far it is, and gives up one that is silent for too long."""

    def __init__(self, server: ServerState) -> None:
        self._replication = server.replication

    def next_ms(self) -> int:
        """Return when that is due."""
        upstream = self._replication.upstream
        return NEVER if upstream is None else upstream.next_ms()

    def run(self) -> None:
        """Do it."""
        if self._replication.upstream is not None:
            self._replication.upstream.run_due()


class FailoverDue:
    """A failover goes on when a replica has caught up, or when its time is over."""

    def __init__(self, server: ServerState) -> None:
        self._failover = server.replication.failover

    def next_ms(self) -> int:
        """Return when there is something to look at."""
        return self._failover.next_ms()

    def run(self) -> None:
        """Look at it."""
        self._failover.run_due()


class OwnExpiry:
    """On a replica that clients may write to, keys expire to which they have given deadlines."""

    def __init__(self, server: ServerState) -> None:
        self._replication = server.replication

    def next_ms(self) -> int:
        """Return when the first of them expires."""
        upstream = self._replication.upstream
        return NEVER if upstream is None else upstream.next_own_expiry_ms()

    def run(self) -> None:
        """Delete what has expired."""
        if self._replication.upstream is not None:
            self._replication.upstream.expire_own(KEYS)


class Evicting:
    """Keys are evicted, a slice at a time, while more memory is used than `maxmemory`."""

    def __init__(self, server: ServerState) -> None:
        self._server = server

    def next_ms(self) -> int:
        """Return the present if there is too much."""
        server = self._server
        if not server.eviction.under_way:
            return NEVER
        return max(server.clock.now_ms, server.pause_until_ms)

    def run(self) -> None:
        """Evict a slice."""
        self._server.eviction.evict_slice()


class Replicas:
    """Replicas are pinged, given up, or begun with; see replication/primary.py."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        names = ["repl-ping-replica-period", "repl-timeout", "repl-backlog-ttl"]
        names += ["repl-diskless-sync", "repl-diskless-sync-delay"]
        server.config.subscribe([*names, "repl-diskless-sync-max-replicas"], self._changed)

    def next_ms(self) -> int:
        """Return when there is something to do."""
        return next_due_ms(self._server)

    def run(self) -> None:
        """Do it."""
        run_due(self._server)

    def _changed(self) -> None:
        self._server.due_at(self._server.clock.now_ms)


class UnusedConnections:
    """What MIGRATE has connected to is let go when nobody has moved keys there for some time."""

    def __init__(self, server: ServerState) -> None:
        self._migrations = server.migrations

    def next_ms(self) -> int:
        """Return when the first of them is due."""
        return self._migrations.next_close_ms()

    def run(self) -> None:
        """Close those that are due."""
        self._migrations.close_unused()


class PauseEnd:
    """CLIENT PAUSE ends when its time is over."""

    def __init__(self, server: ServerState) -> None:
        self._server = server

    def next_ms(self) -> int:
        """Return when the pause ends."""
        return next_pause_deadline(self._server)

    def run(self) -> None:
        """Let the paused clients go on."""
        unpause_if_due(self._server)


class SoftLimits:
    """Clients that have been over their soft limit of output for too long are disconnected."""

    def __init__(self, server: ServerState) -> None:
        self._server = server

    def next_ms(self) -> int:
        """Return when the first of them is due."""
        return next_output_deadline(self._server)

    def run(self) -> None:
        """Disconnect those that are due."""
        close_over_soft_limit(self._server)


class IdleClients:
    """Clients that have been silent for more than `timeout` seconds are disconnected."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        server.config.subscribe("timeout", self._changed)

    def next_ms(self) -> int:
        """Return when a client may have been idle for too long."""
        return next_idle_deadline(self._server)

    def run(self) -> None:
        """Disconnect those who have."""
        close_idle_clients(self._server)

    def _changed(self) -> None:
        timeout_changed(self._server)
