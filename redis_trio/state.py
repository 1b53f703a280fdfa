"""The state of one server: what everything in it can reach, and what two servers never share.

Redis has `struct redisServer` for this. The core sees it as `client.server`; the shell
(redis_trio/server.py) owns it, with the sockets and the tasks.
"""

from __future__ import annotations

import os
import random
import secrets
import sys
from typing import TYPE_CHECKING, Final

from mypy_extensions import i64, mypyc_attr

from redis_trio.acl.file import load_at_startup
from redis_trio.acl.room import Acl
from redis_trio.blocking import Gate, Topic, Waiting
from redis_trio.client import Client, Transport
from redis_trio.client_memory import ClientMemory
from redis_trio.clock import Clock, perf_counter_ns
from redis_trio.command import (
    FAST,
    MAY_REPLICATE,
    PROTECTED,
    SKIP_SLOWLOG,
    WRITE,
    Command,
    build_table,
    rename_command,
)
from redis_trio.data.thresholds import Thresholds
from redis_trio.eviction import Eviction
from redis_trio.feed import Feed
from redis_trio.keyspace.account import Account
from redis_trio.keyspace.database import Database
from redis_trio.keyspace.lazyfree import LazyFree
from redis_trio.latency import LatencyMonitor
from redis_trio.memory import Memory
from redis_trio.migration import Migrations
from redis_trio.persistence.aof import AppendOnly
from redis_trio.persistence.background import BackgroundSave
from redis_trio.persistence.loading import Loading
from redis_trio.persistence.rewrite import Rewrite
from redis_trio.persistence.state import Persistence
from redis_trio.protocol.request import Args, Limits
from redis_trio.pubsub import PubSub
from redis_trio.replication.state import Replication
from redis_trio.samples import Samples
from redis_trio.slowlog import SlowLog
from redis_trio.timers import Timers
from redis_trio.tls import Tls
from redis_trio.tracking import TrackingTable
from redis_trio.transactions import touch, touch_database
from redis_trio.version import REDIS_VERSION as REDIS_VERSION

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from redis_trio.config import Config
    from redis_trio.persistence.snapshot import Snapshot
    from redis_trio.scripting.room import Room

ERROR_CODES_MAX: Final = 128
SLOW: Final = ["slowlog-log-slower-than", "slowlog-max-len"]
THRESHOLDS: Final = [
    "list-max-listpack-size",
    "hash-max-listpack-entries",
    "hash-max-listpack-value",
    "set-max-intset-entries",
    "set-max-listpack-entries",
    "set-max-listpack-value",
    "zset-max-listpack-entries",
    "zset-max-listpack-value",
    "stream-node-max-bytes",
    "stream-node-max-entries",
    "hll-sparse-max-bytes",
]
MEMORY_LIMITS: Final = ["maxmemory", "maxmemory-policy", "maxmemory-eviction-tenacity"]
SLOW_NS: Final = 500_000  # after a command longer than this the clock is read again
NEVER_NS: Final = (1 << 62) - 1


class Stats:
    """The counters of INFO stats; CONFIG RESETSTAT starts them again."""

    __slots__ = (
        "connections_received",
        "cron_ns",
        "error_replies",
        "errors",
        "errors_disabled",
        "eventloop_cycles",
        "eventloop_max_commands",
        "eventloop_max_ns",
        "eventloop_ns",
        "expire_cycle_ns",
        "expire_time_cap_reached",
        "expired_keys",
        "expired_subkeys",
        "keyspace_hits",
        "keyspace_misses",
        "net_input_bytes",
        "net_output_bytes",
        "net_repl_input_bytes",
        "net_repl_output_bytes",
        "output_limit_disconnections",
        "query_limit_disconnections",
        "reads_processed",
        "rejected_connections",
        "sync_full",
        "sync_partial_err",
        "sync_partial_ok",
        "total_commands",
        "unexpected_error_replies",
        "writes_processed",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set every counter to zero."""
        self.connections_received: i64 = 0
        self.rejected_connections: i64 = 0
        self.total_commands: i64 = 0
        self.keyspace_hits: i64 = 0
        self.keyspace_misses: i64 = 0
        self.expired_keys: i64 = 0
        self.expired_subkeys: i64 = 0  # fields of hashes
        self.net_input_bytes: i64 = 0
        self.net_output_bytes: i64 = 0
        self.net_repl_input_bytes: i64 = 0
        self.net_repl_output_bytes: i64 = 0
        self.sync_full: i64 = 0
        self.sync_partial_ok: i64 = 0
        self.sync_partial_err: i64 = 0
        self.reads_processed: i64 = 0
        self.writes_processed: i64 = 0
        self.error_replies: i64 = 0
        self.unexpected_error_replies: i64 = 0
        self.query_limit_disconnections: i64 = 0
        self.output_limit_disconnections: i64 = 0
        self.errors: dict[str, int] = {}  # error replies by code
        self.errors_disabled = False  # too many codes: no more are counted
        self.eventloop_cycles: i64 = 0  # units of work, see ServerState.begin
        self.eventloop_ns: i64 = 0  # time spent in them
        self.eventloop_max_ns: i64 = 0  # the longest
        self.eventloop_max_commands: i64 = 0  # the most commands in one
        self.cron_ns: i64 = 0  # time spent on what is done for no client
        self.expire_cycle_ns: i64 = 0  # time spent on active expiry
        self.expire_time_cap_reached: i64 = 0  # slices of it that left something to do


@mypyc_attr(allow_interpreted_subclasses=True)
class ServerState:
    """One server's data and rooms.

    Attributes:
      dbs: the databases by number.
      acl: the users, and what they may do.
      commands: the command table: `{name in upper or lower case: Command}`.
      clients: the connected clients by id, oldest first.
      aof: the append-only file.
      pending_writes: clients whose output is flushed when the unit of work in hand ends.
      current: the client whose command is running, as long as it has no reply.
      own_pushes: what that command has pushed to that same client, to be sent behind its reply.
      dirty: changes since the last save.
      listening: whether `modified` has anybody to tell.
      gated: whether any check of `execute.admit` could concern any client.
      guarded: the flags of commands that it could concern even so.
      began_ns, began_commands: when the unit of work in hand began (perf_counter_ns), and how
        many commands had run by then.
      last_ns: when the command before this one ended (perf_counter_ns); see `execute.call`.
      persistence: of saves and loads.
      loading: how far the load in hand is.
      background: saves in the background; rewrite: rewrites of the append-only file.
      save_dirty: from how many changes on it has to be told of them, -1 if it need not be.
      snapshot: the moment that is being saved, None if there is none; there is one at a time.
      slow_ns: how long a command takes that `was_slow` wants to see.
      slowlog, slowlog_ns: the slow log, and how long a command takes that is in it.
      latency: of events that took long.
      memory, samples: what INFO tells of memory, and of rates.
      accounting: whether what keys take is counted, in `account`: there is a maxmemory.
      eviction: what is done about that.
      counts_clients: whether what clients take is counted, in `client_memory`.
      executable: the program, as INFO shows it; the shell knows better than the default.
      replication: what it knows of its replicas, or of its primary.
      migrations: keys on their way to other servers.
      pauses: until when each purpose holds commands up, and whether all of them or only writes.
      pause_until_ms, pause_all: the longest and the strictest of them; 0 while nothing is paused.
      tls: the contexts of connections with TLS.
      timers: of who waits with a timeout.
      thresholds: up to what size collections have their compact encoding.
      asleep_s: DEBUG SLEEP as asked for and not begun yet; asleep_until: in the Trio clock's
        seconds, once begun.
      idle_ms: before it no client is idle for too long, NEVER if none can be; see idle.py.
      security_warning_ms: when `execute` last logged an HTTP request.
      monitors: the clients that are shown all commands.
      over_soft_limit: when clients with too much output will be closed (ms since the epoch).
      observed: whether anybody wants to know of commands that have run.
      watchers: `{(database, key): clients that watch it}`.
      tracking: the clients that cache what they read.
      scripting: what runs scripts, once there has been one.
      script_is_slow: whether one runs for longer than busy-reply-threshold.
      go_on_later: to be called when a script stands still: has the rest of it done in slices.
      whole, answering: closed while one does; see scripting/aside.py.
      cron_paused: whether DEBUG PAUSE-CRON holds up what Redis does from time to time.
      keeper_ms: the deadline that the keeper sleeps for, NEVER (-1) if none;
      wake_keeper: to be called when an earlier one appears.
    """

    __slots__ = (
        "account",
        "accounting",
        "acl",
        "active_expire",
        "answering",
        "aof",
        "asleep_s",
        "asleep_until",
        "background",
        "began_commands",
        "began_ns",
        "client_memory",
        "clients",
        "clock",
        "commands",
        "config",
        "counts_clients",
        "cron_paused",
        "current",
        "dbs",
        "dirty",
        "eviction",
        "executable",
        "feed",
        "gated",
        "go_on_later",
        "guarded",
        "idle_ms",
        "keeper_ms",
        "last_ns",
        "latency",
        "latency_tracking",
        "lazyfree",
        "limits",
        "listening",
        "loading",
        "log",
        "memory",
        "migrations",
        "monitors",
        "next_client_id",
        "no_touch",
        "observed",
        "over_soft_limit",
        "own_pushes",
        "pause_all",
        "pause_until_ms",
        "paused_clients",
        "pauses",
        "pending_writes",
        "persistence",
        "port",
        "pubsub",
        "replication",
        "rewrite",
        "rng",
        "run_id",
        "samples",
        "save_dirty",
        "script_is_slow",
        "scripting",
        "security_warning_ms",
        "shutdown",
        "slow_ns",
        "slowlog",
        "slowlog_ns",
        "snapshot",
        "start_ms",
        "stats",
        "thresholds",
        "timers",
        "tls",
        "tracking",
        "waiting",
        "wake_keeper",
        "watchers",
        "whole",
    )

    def __init__(self, config: Config, clock: Clock, log: logging.Logger) -> None:
        """Make the state of a server. Raises AclError if its users cannot be loaded."""
        self.config = config
        self.clock = clock
        self.log = log
        self.timers = Timers(clock)
        self.rng = random.Random()
        self.run_id = secrets.token_hex(20)
        self.executable = os.path.abspath(sys.argv[0] or sys.executable)
        self.start_ms: i64 = clock.now_ms
        self.port = 0
        self.tls = Tls(config, log)
        self.stats = Stats()
        self.memory = Memory(self)
        self.accounting = False
        self.account = Account(self)
        self.counts_clients = False
        self.client_memory = ClientMemory(self)
        self.eviction = Eviction(self)
        self.samples = Samples()
        self.slowlog = SlowLog()
        self.latency = LatencyMonitor(self)
        self.slow_ns: i64 = SLOW_NS
        self.slowlog_ns: i64 = NEVER_NS
        self.persistence = Persistence(self.start_ms)
        self.loading = Loading(self)
        self.snapshot: Snapshot | None = None
        self.save_dirty: i64 = -1
        self.limits = Limits(config.proto_max_bulk_len)
        self.replication = Replication(self)
        self.feed = Feed(self.replication)
        self.aof = AppendOnly(self)
        self.rewrite = Rewrite(self)
        self.waiting = Waiting()
        self.pubsub = PubSub()
        self.monitors: dict[Client, None] = {}
        self.observed = False
        self.over_soft_limit: dict[Client, int] = {}
        self.current: Client | None = None
        self.own_pushes: list[bytes] = []
        self.watchers: dict[Topic, dict[Client, None]] = {}
        self.tracking = TrackingTable(self)
        self.scripting: Room | None = None
        self.script_is_slow = False
        self.go_on_later: Callable[[], None] | None = None
        self.whole = Gate()
        self.answering = Gate()
        self.cron_paused = False
        self.thresholds = Thresholds()
        self.commands: dict[bytes, Command] = build_table()
        for name, new_name in config.renamed_commands:
            rename_command(self.commands, name.encode(), new_name.encode())
        self.lazyfree = LazyFree(self)
        self.dbs: list[Database] = [Database(self, i) for i in range(config.databases)]
        for db in self.dbs:
            config.subscribe("maxmemory-policy", db.policy_changed)
        self.clients: dict[int, Client] = {}
        self.acl = Acl(self)
        self.next_client_id = 0
        self.pending_writes: list[Client] = []
        self.paused_clients: dict[Client, None] = {}
        self.pauses: dict[str, tuple[int, bool]] = {}
        self.pause_until_ms: i64 = 0
        self.pause_all = False
        self.asleep_s = 0.0
        self.asleep_until = 0.0
        self.dirty: i64 = 0
        self.last_ns: i64 = 0
        self.began_ns: i64 = 0
        self.began_commands: i64 = 0
        self.listening = False
        self.gated = False
        self.guarded: i64 = PROTECTED
        self.no_touch = False
        self.active_expire = True
        self.latency_tracking = config.latency_tracking
        self.keeper_ms: i64 = -1
        self.idle_ms: i64 = -1
        self.security_warning_ms: i64 = 0
        self.wake_keeper: Callable[[], None] | None = None
        self.shutdown: Callable[[], None] | None = None
        config.subscribe(["proto-max-bulk-len", "latency-tracking"], self._follow_config)
        self.background = BackgroundSave(self)
        self.migrations = Migrations(self)
        config.subscribe(SLOW, self._follow_slow)
        self._follow_slow()
        config.subscribe("notify-keyspace-events", self._follow_events)
        self._follow_events()
        config.subscribe(THRESHOLDS, self._follow_thresholds)
        self._follow_thresholds()
        config.subscribe(MEMORY_LIMITS, self.eviction.follow_config)
        self.eviction.follow_config()
        config.subscribe("maxmemory-clients", self.client_memory.follow_config)
        self.client_memory.follow_config()
        load_at_startup(self)

    def _follow_config(self) -> None:
        """Keep at hand what hot code asks of the configuration."""
        self.limits.max_bulk_len = self.config.proto_max_bulk_len
        self.latency_tracking = self.config.latency_tracking

    def _follow_slow(self) -> None:
        config = self.config
        self.slowlog_ns = NEVER_NS
        if config.slowlog_log_slower_than >= 0 and config.slowlog_max_len:
            self.slowlog_ns = min(config.slowlog_log_slower_than * 1000, NEVER_NS)
            self.slowlog.trim(config.slowlog_max_len)
        self.slow_ns = min(SLOW_NS, self.slowlog_ns)

    def _follow_events(self) -> None:
        self.pubsub.set_events(self.config.notify_keyspace_events)
        self.update_listening()

    def _follow_thresholds(self) -> None:
        config = self.config
        thresholds = self.thresholds
        thresholds.list_listpack_size = config.list_max_listpack_size
        thresholds.hash_entries = config.hash_max_listpack_entries
        thresholds.hash_value = config.hash_max_listpack_value
        thresholds.set_intset = config.set_max_intset_entries
        thresholds.set_entries = config.set_max_listpack_entries
        thresholds.set_value = config.set_max_listpack_value
        thresholds.zset_entries = config.zset_max_listpack_entries
        thresholds.zset_value = config.zset_max_listpack_value
        thresholds.stream_bytes = config.stream_node_max_bytes
        thresholds.stream_entries = config.stream_node_max_entries
        thresholds.hll_sparse_bytes = config.hll_sparse_max_bytes

    def begin(self) -> None:
        """Begin a unit of work: read the clocks."""
        self.clock.refresh()
        now: i64 = perf_counter_ns()
        self.began_ns = self.last_ns = now
        stats = self.stats
        stats.eventloop_cycles += 1
        self.began_commands = stats.total_commands
        if now >= self.samples.next_ns:
            self.samples.take(now, self)

    def end(self) -> None:
        """End a unit of work: everything it wrote to any client is flushed."""
        if self.feed.active:
            self.feed.flush()
        replication = self.replication
        if replication.waiting or replication.wants_acks:
            replication.end_unit()
        if self.tracking.has_changes:
            self.tracking.broadcast()
        if 0 <= self.save_dirty <= self.dirty:
            self.background.points_changed()
        aof = self.aof
        if aof.active and aof.synced < aof.fed:
            aof.end_unit()
        while self.pending_writes:
            clients = self.pending_writes
            self.pending_writes = []
            try:
                for client in clients:
                    client.scheduled = False
                    client.transport.flush()
                    if self.counts_clients:
                        self.client_memory.count(client)
            except Exception as exc:  # noqa: BLE001  (one client, not the others)
                self._cannot_flush(client, clients, exc)
        if self.counts_clients:
            self.client_memory.evict()
        if replication.replicas:
            replication.send()
        stats = self.stats
        now: i64 = perf_counter_ns()
        elapsed = now - self.began_ns
        stats.eventloop_ns += elapsed
        stats.eventloop_max_ns = max(stats.eventloop_max_ns, elapsed)
        commands = stats.total_commands - self.began_commands
        stats.eventloop_max_commands = max(stats.eventloop_max_commands, commands)

    def _cannot_flush(self, client: Client, clients: list[Client], exc: Exception) -> None:
        """Close a client whose output cannot be had, as for want of memory; flush the others."""
        self.log.error("client %d: internal error", client.id, exc_info=exc)
        client.close()
        self.pending_writes.extend([other for other in clients if other.scheduled])

    def new_client(self, transport: Transport) -> Client:
        """Return a client with the next id, not yet in `clients`."""
        self.next_client_id += 1
        client = Client(self, transport, self.next_client_id)
        client.log_in_by_default()
        return client

    def update_gate(self) -> None:
        """Set `gated` by what is unusual about the server."""
        self.gated = (
            self.script_is_slow
            or self.persistence.loading
            or self.pause_until_ms != 0
            or self.tracking.is_full()
            or self.aof.error != 0
            or self.background.denies_writes()
            or self.replication.counts_replicas
            or self.counts_clients
            or self.replication.is_stale()
        )
        self.guarded = PROTECTED
        if self.replication.is_read_only():
            self.guarded |= WRITE | MAY_REPLICATE

    def is_past(self, when_ms: i64) -> bool:
        """Return whether what gets this deadline is gone at once.

        Not while data is loaded, nor on a replica: it waits for its DEL (expire.c).
        """
        return (
            when_ms <= self.clock.now_ms
            and not self.persistence.loading
            and not self.replication.is_replica
        )

    def is_over(self, when_ms: i64) -> bool:
        """Return whether a deadline that something has had has passed, as far as one may tell."""
        return when_ms <= self.clock.now_ms and not self.persistence.loading and not self.obeys()

    def obeys(self) -> bool:
        """Return whether the command that is running is the primary's, or of the AOF."""
        return self.current is not None and self.current.obeyed

    def due_at(self, when_ms: i64) -> None:
        """Have the keeper look at its jobs at `when_ms`, if it would sleep longer."""
        if self.wake_keeper is not None and (self.keeper_ms < 0 or when_ms < self.keeper_ms):
            self.keeper_ms = when_ms  # the next deadline of a batch need not wake it again
            self.wake_keeper()

    def counts_as_idle(self) -> None:
        """Tell that there is a client which may become idle from now on; see idle.py."""
        timeout_s: i64 = self.config.timeout
        if timeout_s and self.idle_ms < 0:
            self.idle_ms = (self.clock.now_ms // 1000 + timeout_s + 1) * 1000
            self.due_at(self.idle_ms)

    def was_slow(self, client: Client, command: Command, args: Args, ns: i64) -> None:
        """Tell whoever wants to know of commands that took at least `slow_ns`."""
        if ns > SLOW_NS:
            if not client.executing:  # a transaction sees one moment, and so does a script
                self.clock.refresh()
            self.latency.note("fast-command" if command.flags & FAST else "command", ns)
        if ns >= self.slowlog_ns and not command.flags & SKIP_SLOWLOG:
            self.slowlog.add(client, command, args, ns // 1000)

    def count_error(self, code: str) -> None:
        """Count an error reply."""
        stats = self.stats
        stats.error_replies += 1
        if stats.errors_disabled:
            return
        if len(stats.errors) >= ERROR_CODES_MAX and code not in stats.errors:
            self._too_many_errors()
            return
        stats.errors[code] = stats.errors.get(code, 0) + 1

    def _too_many_errors(self) -> None:
        """Count no further error codes until the next CONFIG RESETSTAT (incrementErrorCount)."""
        stats = self.stats
        self.log.warning(
            "Errorstats stopped adding new errors because the number of errors reached the limit, "
            "may be misuse of lua error_reply, please check INFO ERRORSTATS, this can be "
            "re-enabled via CONFIG RESETSTAT."
        )
        self.log.warning("Current errors code list: %s", ", ".join(sorted(stats.errors)))
        stats.errors = {"ERRORSTATS_DISABLED": 1}
        stats.errors_disabled = True

    def reset_stats(self) -> None:
        """Start every counter again, as CONFIG RESETSTAT does."""
        self.stats.reset()
        self.samples.reset(self)
        self.lazyfree.reset_stats()
        self.eviction.reset_stats()
        self.client_memory.evicted = 0
        for command in self.commands.values():
            command.reset_stats()
            if command.subcommands is not None:
                for subcommand in command.subcommands.values():
                    subcommand.reset_stats()

    def key_modified(self, db: Database, key: bytes, expired: bool = False) -> None:
        """Tell whoever watches, tracks or waits for a key that it changed.

        Args:
          expired: whether nobody changed it: it was simply too old.
        """
        if self.waiting.count:
            self.waiting.signal((db.index, key))
        if self.watchers:
            touch(self, db, key)
        if self.tracking.clients:
            self.tracking.key_modified(key, None if expired else self.current)

    def database_changes(self, db: Database, becomes: Database | None = None) -> None:
        """Tell whoever watches or waits for a key of a database that all may change.

        To be called before it is emptied, or before it gets the contents of the one it `becomes`.
        Who tracks learns of a flush by `TrackingTable.flushed`, and of SWAPDB, as in Redis, never.
        """
        if self.waiting.count:
            self.waiting.signal_database(db.index)
        if self.watchers:
            touch_database(self, db, becomes)

    def send_own_pushes(self, client: Client) -> None:
        """Send a client what its command has pushed to it; the reply is out, or in its mailbox."""
        pushes, self.own_pushes = self.own_pushes, []
        client.outbox().extend([data for data in pushes if data])
        self.tracking.send_own()

    def end_monitor(self, client: Client) -> None:
        """Show a client no commands any more."""
        if client.monitoring:
            client.monitoring = False
            self.monitors.pop(client, None)
            self.update_observed()
            client.update_gate()

    def update_observed(self) -> None:
        """Set `observed` by whether there is anybody to tell of commands that have run."""
        self.observed = bool(self.monitors) or self.tracking.readers > 0

    def update_listening(self) -> None:
        """Set `listening` by whether there is anybody to tell of changes."""
        self.listening = (
            self.waiting.count > 0
            or bool(self.watchers)
            or self.pubsub.events != 0
            or bool(self.tracking.clients)
        )

    def notify(self, event_class: int, event: str, key: bytes, db: Database) -> None:
        """Fire a keyspace event."""
        if self.pubsub.events:
            self.pubsub.notify(event_class, event, key, db.index)
