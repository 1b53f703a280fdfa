"""`Config`: the table of all configuration parameters, those of Redis 7.4.

They stand in the order in which CONFIG GET lists them and CONFIG REWRITE appends them. Where Redis
has a parameter that means nothing here, `ignored` says why; the reference page shows it.

Source: Redis config.c static_configs, for names, bounds, defaults and flags.
"""

from __future__ import annotations

import os
from typing import Final

from redis_trio.config.kinds import (
    DENY_LOADING,
    HIDDEN,
    IMMUTABLE,
    INT_MAX,
    INT_MIN,
    LONG_MAX,
    PROTECTED,
    SENSITIVE,
    UINT_MAX,
    ULONG_MAX,
    VOLATILE,
    Boolean,
    Choice,
    Hz,
    Integer,
    Memory,
    MemoryOrPercent,
    Octal,
    Secret,
    Text,
)
from redis_trio.config.settings import Settings
from redis_trio.config.specials import (
    Addresses,
    BufferLimit,
    Directory,
    KeyspaceEvents,
    OomScoreValues,
    Options,
    OutputBufferLimits,
    Percentiles,
    ReplicaOf,
    Save,
)

KB: Final = 1024
MB: Final = 1024 * KB
GB: Final = 1024 * MB
BACKLOG_MIN: Final = 16 * KB
"""The least that CONFIG SET repl-backlog-size sets; redis.conf may have less."""

_ALLOWED: Final = ("no", "yes", "local")
_SIGNAL: Final = ("default", "save", "nosave", "now", "force")
_CLASH: Final = "shutdown options SAVE and NOSAVE can't be used simultaneously"

# Why a parameter is ignored.
_NO_THREADS: Final = "Commands run in one thread, and so does the network."
_NO_CHILD: Final = "There is no child process."
_NO_DEFRAG: Final = "Python's allocator cannot move values."
_NO_LAZY: Final = "Values are freed where they are deleted; no thread frees them."
_NO_CRASH: Final = "A crash of the interpreter is reported by Python's faulthandler."
_NO_TICK: Final = "Nothing is done periodically: each timer wakes the server when it is due."
_NO_SESSIONS: Final = "Python's ssl module leaves this to OpenSSL, which has defaults of its own."
_NO_CLUSTER: Final = "Used with cluster-enabled."
_TITLES: Final = (
    "title",
    "listen-addr",
    "server-mode",
    "config-file",
    "port",
    "tls-port",
    "unixsocket",
)


def _check_base_name(text: str, name: str, what: str) -> str:
    return f"{name} can't be a path, just a {what}" if "/" in text or "\\" in text else ""


def _check_dbfilename(text: str) -> str:
    return _check_base_name(text, "dbfilename", "filename")


def _check_appendfilename(text: str) -> str:
    if not text:
        return "appendfilename can't be empty"
    return _check_base_name(text, "appendfilename", "filename")


def _check_appenddirname(text: str) -> str:
    if not text:
        return "appenddirname can't be empty"
    return _check_base_name(text, "appenddirname", "dirname")


def _check_hostname(text: str) -> str:
    if len(text.encode("utf-8", "surrogateescape")) >= 256:
        return "Hostnames must be less than 256 characters"
    if not all(c.isascii() and (c.isalnum() or c in "-.") for c in text):
        return "Hostnames may only contain alphanumeric characters, hyphens or dots"
    return ""


def _check_node_name(text: str) -> str:
    if any(c in "!#$%&()*+:;<>?@[]^{|}~" for c in text):
        return "Announced human node name contained invalid character"
    return ""


def _check_title(text: str) -> str:
    """Check a template: `{variable}`, `{{` for a brace, and something is left when filled in."""
    refusal = "template format is invalid or contains unknown variables"
    filled = ""
    while "{" in text:
        before, _, text = text.partition("{")
        filled += before
        if text.startswith("{"):
            filled += "{"
            text = text[1:]
            continue
        variable, brace, text = text.partition("}")
        if not brace or variable not in _TITLES:
            return refusal
        filled += "x" if variable not in ("title", "server-mode") else ""
    return "" if (filled + text).strip(" ") else refusal


class Config(Settings):
    """The configuration of one server; a new one has the defaults.

    Values are plain attributes: bool, int, str; sizes in bytes. See specials.py for the others.
    Change them with `change`, which checks them and tells who listens.
    """

    def __init__(self, *, owns_process: bool = False) -> None:
        super().__init__(owns_process=owns_process)
        self.__dict__["dir"] = os.getcwd()
        self.subscribe("repl-backlog-size", self._bound_backlog)

    def _bound_backlog(self) -> None:
        self.repl_backlog_size = max(self.repl_backlog_size, BACKLOG_MIN)

    # Network
    bind = Addresses(("*", "-::*"))
    port = Integer(6379, 0, 65535)
    protected_mode = Boolean(True)
    tcp_backlog = Integer(511, 0, INT_MAX, flags=IMMUTABLE)
    tcp_keepalive = Integer(300, 0, INT_MAX)
    timeout = Integer(0, 0, INT_MAX)
    maxclients = Integer(10000, 1, UINT_MAX, unsigned=True)
    unixsocket = Text(unset_if_empty=True, flags=IMMUTABLE)
    unixsocketperm = Octal(0, 0, 0o777, unsigned=True, flags=IMMUTABLE)
    bind_source_addr = Text(unset_if_empty=True)
    socket_mark_id = Integer(0, 0, UINT_MAX, unsigned=True, flags=IMMUTABLE)
    max_new_connections_per_cycle = Integer(10, 1, 1000, unsigned=True)
    max_new_tls_connections_per_cycle = Integer(1, 1, 1000, unsigned=True)
    io_threads = Integer(1, 1, 128, flags=IMMUTABLE, ignored=_NO_THREADS)
    io_threads_do_reads = Boolean(False, flags=IMMUTABLE, ignored=_NO_THREADS)

    # Clients
    proto_max_bulk_len = Memory(512 * MB, MB, LONG_MAX)
    client_query_buffer_limit = Memory(GB, MB, LONG_MAX, unsigned=True)
    client_output_buffer_limit = OutputBufferLimits(
        (
            BufferLimit(0, 0, 0),
            BufferLimit(256 * MB, 64 * MB, 60),
            BufferLimit(32 * MB, 8 * MB, 60),
        )
    )
    maxmemory_clients = MemoryOrPercent(0, -100, LONG_MAX)
    tracking_table_max_keys = Integer(1000000, 0, LONG_MAX, unsigned=True)
    notify_keyspace_events = KeyspaceEvents(0)

    # The process
    daemonize = Boolean(False, flags=IMMUTABLE)
    supervised = Choice("no", ("upstart", "systemd", "auto", "no"), flags=IMMUTABLE)
    pidfile = Text(unset_if_empty=True, flags=IMMUTABLE)
    loglevel = Choice("notice", ("debug", "verbose", "notice", "warning", "nothing"))
    logfile = Text(flags=IMMUTABLE)
    syslog_enabled = Boolean(False, flags=IMMUTABLE)
    syslog_ident = Text("redis", flags=IMMUTABLE)
    syslog_facility = Choice(
        "local0",
        ("user", *[f"local{i}" for i in range(8)]),
        flags=IMMUTABLE,
    )
    hide_user_data_from_log = Boolean(False)
    always_show_logo = Boolean(False, flags=IMMUTABLE, ignored="There is no logo.")
    set_proc_title = Boolean(
        True, flags=IMMUTABLE, ignored="Python cannot change the title of its process."
    )
    proc_title_template = Text(
        "{title} {listen-addr} {server-mode}",
        check=_check_title,
        ignored="Python cannot change the title of its process.",
    )
    locale_collate = Text()
    databases = Integer(16, 1, INT_MAX, flags=IMMUTABLE)
    dir = Directory("", flags=PROTECTED | DENY_LOADING)
    shutdown_timeout = Integer(10, 0, INT_MAX)
    shutdown_on_sigint = Options(_SIGNAL, exclusive=("save", "nosave"), clash=_CLASH)
    shutdown_on_sigterm = Options(_SIGNAL, exclusive=("save", "nosave"), clash=_CLASH)
    crash_log_enabled = Boolean(True, ignored=_NO_CRASH)
    crash_memcheck_enabled = Boolean(True, ignored=_NO_CRASH)
    use_exit_on_panic = Boolean(False, flags=HIDDEN, ignored=_NO_CRASH)
    watchdog_period = Integer(0, 0, INT_MAX, flags=HIDDEN, ignored="There is no software watchdog.")
    ignore_warnings = Text(ignored="The warning it silences concerns fork().")
    disable_thp = Boolean(True, flags=IMMUTABLE, ignored="Huge pages matter to fork() only.")
    oom_score_adj = Choice("no", ("no", "yes", "relative", "absolute"), same={"relative": "yes"})
    oom_score_adj_values = OomScoreValues((0, 200, 800))
    server_cpulist = Text(
        unset_if_empty=True,
        alias="server_cpulist",
        flags=IMMUTABLE,
        ignored="Set the affinity of the process from outside, with taskset.",
    )
    bio_cpulist = Text(
        unset_if_empty=True, alias="bio_cpulist", flags=IMMUTABLE, ignored=_NO_THREADS
    )
    aof_rewrite_cpulist = Text(
        unset_if_empty=True, alias="aof_rewrite_cpulist", flags=IMMUTABLE, ignored=_NO_CHILD
    )
    bgsave_cpulist = Text(
        unset_if_empty=True, alias="bgsave_cpulist", flags=IMMUTABLE, ignored=_NO_CHILD
    )
    hz = Hz(10, 0, INT_MAX, ignored=_NO_TICK)
    dynamic_hz = Boolean(True, ignored=_NO_TICK)

    # Security
    requirepass = Secret(unset_if_empty=True, flags=SENSITIVE)
    aclfile = Text(flags=IMMUTABLE)
    acl_pubsub_default = Choice("resetchannels", ("allchannels", "resetchannels"))
    acllog_max_len = Integer(128, 0, LONG_MAX)
    enable_protected_configs = Choice("no", _ALLOWED, flags=IMMUTABLE)
    enable_debug_command = Choice("no", _ALLOWED, flags=IMMUTABLE)
    enable_module_command = Choice("no", _ALLOWED, flags=IMMUTABLE)
    sanitize_dump_payload = Choice(
        "no",
        ("no", "yes", "clients"),
        ignored="Every payload and every file is checked to the last byte.",
    )

    # Memory
    maxmemory = Memory(0, 0, ULONG_MAX, unsigned=True)
    maxmemory_policy = Choice(
        "noeviction",
        (
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
            "allkeys-lru",
            "allkeys-lfu",
            "allkeys-random",
            "noeviction",
        ),
    )
    maxmemory_samples = Integer(5, 1, 64)
    maxmemory_eviction_tenacity = Integer(10, 0, 100)
    lfu_log_factor = Integer(10, 0, INT_MAX)
    lfu_decay_time = Integer(1, 0, INT_MAX)
    active_expire_effort = Integer(
        1, 1, 10, ignored="A key is deleted when its time comes; nothing is sampled."
    )
    lazyfree_lazy_eviction = Boolean(False)
    lazyfree_lazy_expire = Boolean(False, ignored=_NO_LAZY)
    lazyfree_lazy_server_del = Boolean(False, ignored=_NO_LAZY)
    lazyfree_lazy_user_del = Boolean(False, ignored=_NO_LAZY)
    lazyfree_lazy_user_flush = Boolean(False, ignored=_NO_LAZY)
    replica_lazy_flush = Boolean(False, alias="slave-lazy-flush", ignored=_NO_LAZY)
    activerehashing = Boolean(True, ignored="Python's dictionaries resize themselves.")
    jemalloc_bg_thread = Boolean(True, ignored="Python's allocator is used.")
    activedefrag = Boolean(False, ignored=_NO_DEFRAG)
    active_defrag_cycle_min = Integer(1, 1, 99, ignored=_NO_DEFRAG)
    active_defrag_cycle_max = Integer(25, 1, 99, ignored=_NO_DEFRAG)
    active_defrag_threshold_lower = Integer(10, 0, 1000, ignored=_NO_DEFRAG)
    active_defrag_threshold_upper = Integer(100, 0, 1000, ignored=_NO_DEFRAG)
    active_defrag_ignore_bytes = Memory(100 * MB, 1, LONG_MAX, unsigned=True, ignored=_NO_DEFRAG)
    active_defrag_max_scan_fields = Integer(1000, 1, LONG_MAX, ignored=_NO_DEFRAG)

    # Encodings
    hash_max_listpack_entries = Integer(
        512, 0, LONG_MAX, unsigned=True, alias="hash-max-ziplist-entries"
    )
    hash_max_listpack_value = Memory(64, 0, LONG_MAX, unsigned=True, alias="hash-max-ziplist-value")
    list_max_listpack_size = Integer(-2, INT_MIN, INT_MAX, alias="list-max-ziplist-size")
    list_compress_depth = Integer(0, 0, INT_MAX)
    set_max_intset_entries = Integer(512, 0, LONG_MAX, unsigned=True)
    set_max_listpack_entries = Integer(128, 0, LONG_MAX, unsigned=True)
    set_max_listpack_value = Integer(64, 0, LONG_MAX, unsigned=True)
    zset_max_listpack_entries = Integer(
        128, 0, LONG_MAX, unsigned=True, alias="zset-max-ziplist-entries"
    )
    zset_max_listpack_value = Memory(64, 0, LONG_MAX, unsigned=True, alias="zset-max-ziplist-value")
    hll_sparse_max_bytes = Memory(3000, 0, LONG_MAX, unsigned=True)
    stream_node_max_bytes = Memory(4096, 0, LONG_MAX, unsigned=True)
    stream_node_max_entries = Integer(100, 0, LONG_MAX)

    # Observation
    slowlog_log_slower_than = Integer(10000, -1, LONG_MAX)
    slowlog_max_len = Integer(128, 0, LONG_MAX)
    latency_monitor_threshold = Integer(0, 0, LONG_MAX)
    latency_tracking = Boolean(True)
    latency_tracking_info_percentiles = Percentiles((50.0, 99.0, 99.9))
    busy_reply_threshold = Integer(5000, 0, LONG_MAX, alias="lua-time-limit")

    # Snapshots
    save = Save(((3600, 1), (300, 100), (60, 10000)))
    dbfilename = Text("dump.rdb", check=_check_dbfilename, flags=PROTECTED)
    rdbcompression = Boolean(True)
    rdbchecksum = Boolean(True, flags=IMMUTABLE)
    rdb_del_sync_files = Boolean(False)
    rdb_save_incremental_fsync = Boolean(True)
    rdb_key_save_delay = Integer(0, INT_MIN, INT_MAX, flags=HIDDEN)
    key_load_delay = Integer(0, INT_MIN, INT_MAX, flags=HIDDEN)
    loading_process_events_interval_bytes = Integer(2 * MB, KB, INT_MAX, flags=HIDDEN)
    stop_writes_on_bgsave_error = Boolean(True)

    # Append-only file
    appendonly = Boolean(False, flags=DENY_LOADING)
    appendfilename = Text("appendonly.aof", check=_check_appendfilename, flags=IMMUTABLE)
    appenddirname = Text("appendonlydir", check=_check_appenddirname, flags=IMMUTABLE)
    appendfsync = Choice("everysec", ("everysec", "always", "no"))
    no_appendfsync_on_rewrite = Boolean(False)
    auto_aof_rewrite_percentage = Integer(100, 0, INT_MAX)
    auto_aof_rewrite_min_size = Memory(64 * MB, 0, LONG_MAX)
    aof_load_truncated = Boolean(True)
    aof_use_rdb_preamble = Boolean(True)
    aof_timestamp_enabled = Boolean(False)
    aof_rewrite_incremental_fsync = Boolean(True)
    aof_disable_auto_gc = Boolean(False, flags=HIDDEN)

    # Replication
    replicaof = ReplicaOf(None, alias="slaveof", flags=IMMUTABLE)
    masteruser = Text(unset_if_empty=True, flags=SENSITIVE)
    masterauth = Secret(unset_if_empty=True, flags=SENSITIVE)
    replica_serve_stale_data = Boolean(True, alias="slave-serve-stale-data")
    replica_read_only = Boolean(True, alias="slave-read-only")
    replica_ignore_maxmemory = Boolean(True, alias="slave-ignore-maxmemory")
    replica_ignore_disk_write_errors = Boolean(False)
    replica_priority = Integer(100, 0, INT_MAX, alias="slave-priority")
    replica_announced = Boolean(True)
    replica_announce_ip = Text(unset_if_empty=True, alias="slave-announce-ip")
    replica_announce_port = Integer(0, 0, 65535, alias="slave-announce-port")
    repl_diskless_sync = Boolean(True)
    repl_diskless_sync_delay = Integer(5, 0, INT_MAX)
    repl_diskless_sync_max_replicas = Integer(0, 0, INT_MAX)
    repl_diskless_load = Choice(
        "disabled", ("disabled", "on-empty-db", "swapdb"), flags=DENY_LOADING
    )
    repl_ping_replica_period = Integer(10, 1, INT_MAX, alias="repl-ping-slave-period")
    repl_timeout = Integer(60, 1, INT_MAX)
    repl_disable_tcp_nodelay = Boolean(False)
    repl_backlog_size = Memory(MB, 1, LONG_MAX)
    repl_backlog_ttl = Integer(3600, 0, LONG_MAX)
    min_replicas_to_write = Integer(0, 0, INT_MAX, alias="min-slaves-to-write")
    min_replicas_max_lag = Integer(10, 0, INT_MAX, alias="min-slaves-max-lag")
    propagation_error_behavior = Choice("ignore", ("ignore", "panic", "panic-on-replicas"))

    # Cluster
    cluster_enabled = Boolean(False, flags=IMMUTABLE, unsupported="cluster mode")
    cluster_config_file = Text("nodes.conf", flags=IMMUTABLE, ignored=_NO_CLUSTER)
    cluster_node_timeout = Integer(15000, 0, LONG_MAX, ignored=_NO_CLUSTER)
    cluster_ping_interval = Integer(0, 0, LONG_MAX, flags=HIDDEN, ignored=_NO_CLUSTER)
    cluster_port = Integer(0, 0, 65535, flags=IMMUTABLE, ignored=_NO_CLUSTER)
    cluster_replica_validity_factor = Integer(
        10, 0, INT_MAX, alias="cluster-slave-validity-factor", ignored=_NO_CLUSTER
    )
    cluster_migration_barrier = Integer(1, 0, INT_MAX, ignored=_NO_CLUSTER)
    cluster_allow_replica_migration = Boolean(True, ignored=_NO_CLUSTER)
    cluster_require_full_coverage = Boolean(True, ignored=_NO_CLUSTER)
    cluster_replica_no_failover = Boolean(
        False, alias="cluster-slave-no-failover", ignored=_NO_CLUSTER
    )
    cluster_allow_reads_when_down = Boolean(False, ignored=_NO_CLUSTER)
    cluster_allow_pubsubshard_when_down = Boolean(True, ignored=_NO_CLUSTER)
    cluster_link_sendbuf_limit = Memory(0, 0, ULONG_MAX, unsigned=True, ignored=_NO_CLUSTER)
    cluster_announce_ip = Text(unset_if_empty=True, ignored=_NO_CLUSTER)
    cluster_announce_port = Integer(0, 0, 65535, ignored=_NO_CLUSTER)
    cluster_announce_tls_port = Integer(0, 0, 65535, ignored=_NO_CLUSTER)
    cluster_announce_bus_port = Integer(0, 0, 65535, ignored=_NO_CLUSTER)
    cluster_announce_hostname = Text(
        unset_if_empty=True, check=_check_hostname, ignored=_NO_CLUSTER
    )
    cluster_announce_human_nodename = Text(
        unset_if_empty=True, check=_check_node_name, ignored=_NO_CLUSTER
    )
    cluster_preferred_endpoint_type = Choice(
        "ip", ("ip", "hostname", "unknown-endpoint"), ignored=_NO_CLUSTER
    )

    # TLS
    tls_port = Integer(0, 0, 65535)
    tls_cluster = Boolean(False, ignored=_NO_CLUSTER)
    tls_replication = Boolean(False)
    tls_auth_clients = Choice("yes", ("no", "yes", "optional"))
    tls_cert_file = Text(unset_if_empty=True, flags=VOLATILE)
    tls_key_file = Text(unset_if_empty=True, flags=VOLATILE)
    tls_key_file_pass = Text(unset_if_empty=True, flags=SENSITIVE)
    tls_client_cert_file = Text(unset_if_empty=True, flags=VOLATILE)
    tls_client_key_file = Text(unset_if_empty=True, flags=VOLATILE)
    tls_client_key_file_pass = Text(unset_if_empty=True, flags=SENSITIVE)
    tls_dh_params_file = Text(unset_if_empty=True, flags=VOLATILE)
    tls_ca_cert_file = Text(unset_if_empty=True, flags=VOLATILE)
    tls_ca_cert_dir = Text(unset_if_empty=True, flags=VOLATILE)
    tls_protocols = Text(unset_if_empty=True)
    tls_ciphers = Text(unset_if_empty=True)
    tls_ciphersuites = Text(unset_if_empty=True)
    tls_prefer_server_ciphers = Boolean(False)
    tls_session_caching = Boolean(True)
    tls_session_cache_size = Integer(20 * KB, 0, INT_MAX, ignored=_NO_SESSIONS)
    tls_session_cache_timeout = Integer(300, 0, INT_MAX, ignored=_NO_SESSIONS)
