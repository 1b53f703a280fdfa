"""What INFO says: every section and field of Redis 7.4, read from the state when it is asked for.

A section is a title, the words that ask for it, and a function that returns its lines; SECTIONS has
them in Redis's order. What this server does not have (modules, a cluster, forks) is shown as Redis
shows it where it is not used: clients look fields up by name and expect to find them. The fields
at the end of the server section that Redis does not have say which program this really is.

Source: Redis server.c genRedisInfoString, genInfoSectionDict.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import resource
import select
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Final

from redis_trio import execute
from redis_trio.acl.users import DENIED_AUTH, DENIED_CHANNEL, DENIED_COMMAND, DENIED_KEY
from redis_trio.clock import perf_counter_ns
from redis_trio.command import Command
from redis_trio.memory import Figures, allocator_name, system_bytes
from redis_trio.replication.report import replication_lines
from redis_trio.version import REDIS_VERSION, VERSION

if TYPE_CHECKING:
    from redis_trio.state import ServerState

DEFAULT: Final = (
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "module_list",
    "errorstats",
    "cluster",
    "keyspace",
)
_UNSAFE: Final = str.maketrans("#:\n\r", "____")
_UNITS: Final = "KMGTP"

Lines = list[str]


def info_text(server: ServerState, words: Sequence[str]) -> str:
    """Return what INFO with these arguments answers."""
    wanted: set[str] = set()
    everything = False
    for word in words or ["default"]:
        name = word.lower()
        if name == "default":
            wanted.update(DEFAULT)
        elif name in ("all", "everything"):
            everything = True
        else:
            wanted.add(name)
    parts: list[str] = []
    for title, names, lines in SECTIONS:
        if (everything and title != "Debug") or not wanted.isdisjoint(names):
            parts.append("".join([line + "\r\n" for line in [f"# {title}", *lines(server)]]))
    return "\r\n".join(parts)


def human(size: int) -> str:
    """Return a size in bytes as `1.50K`, `23.54G` (bytesToHuman)."""
    if size < 1024:
        return f"{size}B"
    value = float(size)
    for unit in _UNITS:
        value /= 1024
        if value < 1024:
            return f"{value:.2f}{unit}"
    return f"{size}B"


# -- server


@functools.cache
def _build_id() -> str:
    """Return sixteen digits that differ between builds that could behave differently."""
    build = f"{VERSION} {build_kind()} {sys.version}"
    return hashlib.sha1(build.encode()).hexdigest()[:16]


@functools.cache
def _trio_version() -> str:
    return metadata.version("trio")


def build_kind() -> str:
    """Return whether the core runs compiled or pure."""
    return "pure" if (execute.__file__ or "").endswith(".py") else "compiled"


def _gcc_version() -> str:
    """Return the version of the GCC that compiled Python, 0.0.0 if none did."""
    compiler = platform.python_compiler()
    return compiler.split()[1] if compiler.startswith("GCC ") else "0.0.0"


def _multiplexing_api() -> str:
    for name in ("epoll", "kqueue"):
        if hasattr(select, name):
            return name
    return "select"


def _listeners(server: ServerState) -> Lines:
    """Return a line for each kind of listening socket; the number is that of the kind."""
    config = server.config
    lines: Lines = []
    binds = "".join([f",bind={address}" for address in config.bind])
    if server.port:
        lines.append(f"listener0:name=tcp{binds},port={server.port}")
    if config.unixsocket:
        lines.append(f"listener1:name=unix,bind={config.unixsocket}")
    if config.tls_port:
        lines.append(f"listener2:name=tls{binds},port={config.tls_port}")
    return lines


def _server(server: ServerState) -> Lines:
    uname = platform.uname()
    now_ms = server.clock.now_ms
    uptime_s = (now_ms - server.start_ms) // 1000
    config = server.config
    return [
        f"redis_version:{REDIS_VERSION}",
        "redis_git_sha1:00000000",
        "redis_git_dirty:0",
        f"redis_build_id:{_build_id()}",
        "redis_mode:standalone",
        f"os:{uname.system} {uname.release} {uname.machine}",
        f"arch_bits:{64 if sys.maxsize > 2**32 else 32}",
        "monotonic_clock:POSIX clock_gettime",
        f"multiplexing_api:{_multiplexing_api()}",
        "atomicvar_api:gil",
        f"gcc_version:{_gcc_version()}",
        f"process_id:{os.getpid()}",
        "process_supervised:no",
        f"run_id:{server.run_id}",
        f"tcp_port:{server.port or config.tls_port}",
        f"server_time_usec:{int(server.clock.time() * 1_000_000)}",
        f"uptime_in_seconds:{uptime_s}",
        f"uptime_in_days:{uptime_s // 86400}",
        f"hz:{config.hz}",
        f"configured_hz:{config.hz}",
        f"lru_clock:{now_ms // 1000 & 0xFFFFFF}",
        f"executable:{server.executable}",
        f"config_file:{config.config_file or ''}",
        "io_threads_active:0",
        *_listeners(server),
        f"redis_trio_version:{VERSION}",
        f"redis_trio_build:{build_kind()}",
        f"python_version:{platform.python_version()}",
        f"trio_version:{_trio_version()}",
    ]


# -- clients


def _clients(server: ServerState) -> Lines:
    clients = list(server.clients.values())
    waiting = server.waiting
    max_input = max([client.transport.query_bytes for client in clients], default=0)
    max_output = max([client.transport.pending_bytes for client in clients], default=0)
    with_timeout = [
        client
        for client in clients
        if client.waiter is not None and client.waiter.block.timeout_s is not None
    ]
    return [
        f"connected_clients:{len(clients)}",
        "cluster_connections:0",
        f"maxclients:{server.config.maxclients}",
        f"client_recent_max_input_buffer:{max_input}",
        f"client_recent_max_output_buffer:{max_output}",
        f"blocked_clients:{waiting.count + len(server.paused_clients)}",
        f"tracking_clients:{len(server.tracking.clients)}",
        f"pubsub_clients:{len([client for client in clients if client.subscriptions is not None])}",
        f"watching_clients:{len([client for client in clients if client.watched])}",
        f"clients_in_timeout_table:{len(with_timeout)}",
        f"total_watched_keys:{len(server.watchers)}",
        f"total_blocking_keys:{len(waiting.lines)}",
        f"total_blocking_keys_on_nokey:{waiting.count_on_missing()}",
    ]


# -- memory


def _percent(part: int, whole: int) -> str:
    return f"{part * 100 / whole:.2f}%" if whole else "0.00%"


def _of_scripts(server: ServerState) -> list[str]:
    """Return what INFO memory says of scripts and functions."""
    room = server.scripting
    vm_eval = vm_functions = eval_bytes = function_bytes = 0
    scripts = functions = libraries = 0
    if room is not None:
        vm_eval, vm_functions = room.eval_memory, room.functions.engine_memory
        eval_bytes, function_bytes = room.scripts_bytes, room.functions.memory_bytes
        scripts = len(room.scripts)
        functions, libraries = len(room.functions.functions), len(room.functions.libraries)
    total = vm_eval + vm_functions
    return [
        f"used_memory_lua:{vm_eval}",
        f"used_memory_vm_eval:{vm_eval}",
        f"used_memory_lua_human:{human(vm_eval)}",
        f"used_memory_scripts_eval:{eval_bytes}",
        f"number_of_cached_scripts:{scripts}",
        f"number_of_functions:{functions}",
        f"number_of_libraries:{libraries}",
        f"used_memory_vm_functions:{vm_functions}",
        f"used_memory_vm_total:{total}",
        f"used_memory_vm_total_human:{human(total)}",
        f"used_memory_functions:{function_bytes}",
        f"used_memory_scripts:{eval_bytes + function_bytes}",
        f"used_memory_scripts_human:{human(eval_bytes + function_bytes)}",
    ]


def _memory(server: ServerState) -> Lines:
    config = server.config
    found = Figures(server)
    used, rss = found.used, found.resident
    system = system_bytes()
    return [
        f"used_memory:{used}",
        f"used_memory_human:{human(used)}",
        f"used_memory_rss:{rss}",
        f"used_memory_rss_human:{human(rss)}",
        f"used_memory_peak:{found.peak}",
        f"used_memory_peak_human:{human(found.peak)}",
        f"used_memory_peak_perc:{_percent(used, found.peak)}",
        f"used_memory_overhead:{found.overhead}",
        f"used_memory_startup:{found.startup}",
        f"used_memory_dataset:{found.dataset}",
        f"used_memory_dataset_perc:{_percent(found.dataset, found.net)}",
        f"allocator_allocated:{found.allocated}",
        f"allocator_active:{found.active}",
        f"allocator_resident:{found.active}",
        "allocator_muzzy:0",
        f"total_system_memory:{system}",
        f"total_system_memory_human:{human(system)}",
        *_of_scripts(server),
        f"maxmemory:{config.maxmemory}",
        f"maxmemory_human:{human(config.maxmemory)}",
        f"maxmemory_policy:{config.maxmemory_policy}",
        f"allocator_frag_ratio:{found.active / found.allocated:.2f}",
        f"allocator_frag_bytes:{found.active - found.allocated}",
        "allocator_rss_ratio:1.00",
        "allocator_rss_bytes:0",
        f"rss_overhead_ratio:{rss / found.active:.2f}",
        f"rss_overhead_bytes:{rss - found.active}",
        f"mem_fragmentation_ratio:{rss / used:.2f}",
        f"mem_fragmentation_bytes:{rss - used}",
        f"mem_not_counted_for_evict:{found.uncounted}",
        f"mem_replication_backlog:{found.backlog}",
        f"mem_total_replication_buffers:{found.buffers}",
        f"mem_clients_slaves:{found.replicas}",
        f"mem_clients_normal:{found.normal}",
        "mem_cluster_links:0",
        f"mem_aof_buffer:{found.aof}",
        f"mem_allocator:{allocator_name()}",
        "mem_overhead_db_hashtable_rehashing:0",
        "active_defrag_running:0",
        f"lazyfree_pending_objects:{server.lazyfree.pending_objects}",
        f"lazyfreed_objects:{server.lazyfree.freed_objects}",
    ]


# -- persistence, stats


def _persistence(server: ServerState) -> Lines:
    aof = server.aof
    saved = server.persistence
    loading = server.loading
    snapshot = server.snapshot
    background = server.background
    rewrite = server.rewrite
    perc = 0.0
    if snapshot is not None and snapshot.keys_total:
        perc = snapshot.keys_done * 100 / snapshot.keys_total
    lines = [
        f"loading:{int(loading.active and not loading.asynchronous)}",
        f"async_loading:{int(loading.asynchronous)}",
        "current_cow_peak:0",
        "current_cow_size:0",
        "current_cow_size_age:0",
        f"current_fork_perc:{perc:.2f}",
        f"current_save_keys_processed:{snapshot.keys_done if snapshot is not None else 0}",
        f"current_save_keys_total:{snapshot.keys_total if snapshot is not None else 0}",
        f"rdb_changes_since_last_save:{server.dirty}",
        f"rdb_bgsave_in_progress:{int(background.running)}",
        f"rdb_last_save_time:{saved.last_save_s}",
        f"rdb_last_bgsave_status:{'ok' if saved.last_save_ok else 'err'}",
        f"rdb_last_bgsave_time_sec:{background.seconds}",
        f"rdb_current_bgsave_time_sec:{background.seconds_so_far()}",
        f"rdb_saves:{saved.saves}",
        "rdb_last_cow_size:0",
        f"rdb_last_load_keys_expired:{saved.keys_expired}",
        f"rdb_last_load_keys_loaded:{saved.keys_loaded}",
        f"aof_enabled:{int(aof.active or aof.wanted)}",
        f"aof_rewrite_in_progress:{int(rewrite.running)}",
        f"aof_rewrite_scheduled:{int(rewrite.scheduled)}",
        f"aof_last_rewrite_time_sec:{rewrite.seconds}",
        f"aof_current_rewrite_time_sec:{rewrite.seconds_so_far()}",
        f"aof_last_bgrewrite_status:{'ok' if rewrite.last_ok else 'err'}",
        f"aof_rewrites:{rewrite.count}",
        f"aof_rewrites_consecutive_failures:{rewrite.failures}",
        f"aof_last_write_status:{'err' if aof.error else 'ok'}",
        "aof_last_cow_size:0",
        "module_fork_in_progress:0",
        "module_fork_last_cow_size:0",
    ]
    if server.config.appendonly:
        lines += [
            f"aof_current_size:{aof.size}",
            f"aof_base_size:{aof.base_size}",
            f"aof_pending_rewrite:{int(rewrite.scheduled)}",
            f"aof_buffer_length:{aof.buffered}",
            f"aof_pending_bio_fsync:{int(aof.job is not None and aof.job.sync)}",
            f"aof_delayed_fsync:{aof.delayed_syncs}",
        ]
    return lines + loading.info()


def _stats(server: ServerState) -> Lines:
    stats = server.stats
    rates = server.samples.rates(perf_counter_ns(), server)
    exceeded_ms = server.eviction.exceeded_ms()
    command_ns = sum([command.ns for command in all_commands(server)])
    denied = server.acl.log.denied
    return [
        f"total_connections_received:{stats.connections_received}",
        f"total_commands_processed:{stats.total_commands}",
        f"instantaneous_ops_per_sec:{rates.commands}",
        f"total_net_input_bytes:{stats.net_input_bytes}",
        f"total_net_output_bytes:{stats.net_output_bytes + stats.net_repl_output_bytes}",
        f"total_net_repl_input_bytes:{stats.net_repl_input_bytes}",
        f"total_net_repl_output_bytes:{stats.net_repl_output_bytes}",
        f"instantaneous_input_kbps:{rates.input_bytes / 1024:.2f}",
        f"instantaneous_output_kbps:{rates.output_bytes / 1024:.2f}",
        "instantaneous_input_repl_kbps:0.00",
        "instantaneous_output_repl_kbps:0.00",
        f"rejected_connections:{stats.rejected_connections}",
        f"sync_full:{stats.sync_full}",
        f"sync_partial_ok:{stats.sync_partial_ok}",
        f"sync_partial_err:{stats.sync_partial_err}",
        f"expired_subkeys:{stats.expired_subkeys}",
        f"expired_keys:{stats.expired_keys}",
        "expired_stale_perc:0.00",
        f"expired_time_cap_reached_count:{stats.expire_time_cap_reached}",
        f"expire_cycle_cpu_milliseconds:{stats.expire_cycle_ns // 1_000_000}",
        f"evicted_keys:{server.eviction.evicted_keys}",
        f"evicted_clients:{server.client_memory.evicted}",
        f"evicted_scripts:{0 if server.scripting is None else server.scripting.evicted}",
        f"total_eviction_exceeded_time:{exceeded_ms[0]}",
        f"current_eviction_exceeded_time:{exceeded_ms[1]}",
        f"keyspace_hits:{stats.keyspace_hits}",
        f"keyspace_misses:{stats.keyspace_misses}",
        f"pubsub_channels:{len(server.pubsub.channels)}",
        f"pubsub_patterns:{len(server.pubsub.patterns)}",
        f"pubsubshard_channels:{len(server.pubsub.shard_channels)}",
        "latest_fork_usec:0",
        "total_forks:0",
        f"migrate_cached_sockets:{len(server.migrations.connections)}",
        f"slave_expires_tracked_keys:{server.replication.own_key_count()}",
        "active_defrag_hits:0",
        "active_defrag_misses:0",
        "active_defrag_key_hits:0",
        "active_defrag_key_misses:0",
        "total_active_defrag_time:0",
        "current_active_defrag_time:0",
        f"tracking_total_keys:{len(server.tracking.keys)}",
        f"tracking_total_items:{server.tracking.items}",
        f"tracking_total_prefixes:{len(server.tracking.prefixes)}",
        f"unexpected_error_replies:{stats.unexpected_error_replies}",
        f"total_error_replies:{stats.error_replies}",
        "dump_payload_sanitizations:0",
        f"total_reads_processed:{stats.reads_processed}",
        f"total_writes_processed:{stats.writes_processed}",
        "io_threaded_reads_processed:0",
        "io_threaded_writes_processed:0",
        f"client_query_buffer_limit_disconnections:{stats.query_limit_disconnections}",
        f"client_output_buffer_limit_disconnections:{stats.output_limit_disconnections}",
        "reply_buffer_shrinks:0",
        "reply_buffer_expands:0",
        f"eventloop_cycles:{stats.eventloop_cycles}",
        f"eventloop_duration_sum:{stats.eventloop_ns // 1000}",
        f"eventloop_duration_cmd_sum:{command_ns // 1000}",
        f"instantaneous_eventloop_cycles_per_sec:{rates.cycles}",
        f"instantaneous_eventloop_duration_usec:{rates.cycle_usec}",
        f"acl_access_denied_auth:{denied[DENIED_AUTH]}",
        f"acl_access_denied_cmd:{denied[DENIED_COMMAND]}",
        f"acl_access_denied_key:{denied[DENIED_KEY]}",
        f"acl_access_denied_channel:{denied[DENIED_CHANNEL]}",
    ]


# -- replication, cpu


def _cpu(server: ServerState) -> Lines:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [
        f"used_cpu_sys:{own.ru_stime:.6f}",
        f"used_cpu_user:{own.ru_utime:.6f}",
        f"used_cpu_sys_children:{children.ru_stime:.6f}",
        f"used_cpu_user_children:{children.ru_utime:.6f}",
    ]
    if hasattr(resource, "RUSAGE_THREAD"):
        thread = resource.getrusage(resource.RUSAGE_THREAD)
        lines.append(f"used_cpu_sys_main_thread:{thread.ru_stime:.6f}")
        lines.append(f"used_cpu_user_main_thread:{thread.ru_utime:.6f}")
    return lines


def _modules(server: ServerState) -> Lines:
    return []


# -- commands and errors


def all_commands(server: ServerState) -> list[Command]:
    """Return every command of the server, each followed by its sub-commands."""
    found: list[Command] = []
    for command in dict.fromkeys(server.commands.values()):
        found.append(command)
        if command.subcommands is not None:
            found.extend(dict.fromkeys(command.subcommands.values()))
    return found


def _commandstats(server: ServerState) -> Lines:
    lines: Lines = []
    for command in all_commands(server):
        if command.calls or command.failed_calls or command.rejected_calls:
            calls: int = command.calls
            usec: int = command.ns // 1000
            lines.append(
                f"cmdstat_{command.fullname.translate(_UNSAFE)}:calls={calls},usec={usec}"
                f",usec_per_call={usec / calls if calls else 0:.2f}"
                f",rejected_calls={command.rejected_calls},failed_calls={command.failed_calls}"
            )
    return lines


def _errorstats(server: ServerState) -> Lines:
    errors = server.stats.errors
    return [f"errorstat_{code.translate(_UNSAFE)}:count={errors[code]}" for code in sorted(errors)]


def percentile(histogram: Sequence[int], percent: float) -> int:
    """Return the duration in ns that `percent` of the calls did not exceed.

    As exact as the histogram: the upper end of the bucket (for 0: the lower end of the first).
    """
    rank = max(1, int(percent / 100 * sum(histogram) + 0.5))
    index = 0
    while rank > histogram[index]:
        rank -= histogram[index]
        index += 1
    shift = 0 if index < 128 else index // 64 - 1
    first = index - 64 * shift
    return first << shift if percent == 0 else ((first + 1) << shift) - 1


def _latencystats(server: ServerState) -> Lines:
    config = server.config
    if not config.latency_tracking:
        return []
    lines: Lines = []
    for command in all_commands(server):
        histogram = command.histogram
        if histogram is not None:
            shown = [
                f"p{percent:.6f}".rstrip("0").rstrip(".")
                + f"={percentile(histogram, percent) / 1000:.3f}"
                for percent in config.latency_tracking_info_percentiles
            ]
            name = command.fullname.translate(_UNSAFE)
            lines.append(f"latency_percentiles_usec_{name}:{','.join(shown)}")
    return lines


# -- the data


def _cluster(server: ServerState) -> Lines:
    return ["cluster_enabled:0"]


def _keyspace(server: ServerState) -> Lines:
    lines: Lines = []
    now_ms = server.clock.now_ms
    for db in server.dbs:
        expires = db.expires
        if db.table.count or len(expires):
            avg_ttl = max(0, expires.mean_ms() - now_ms) if len(expires) else 0
            lines.append(
                f"db{db.index}:keys={db.table.count},expires={len(expires)},"
                f"avg_ttl={avg_ttl},subexpiry={len(db.field_expires)}"
            )
    return lines


def _debug(server: ServerState) -> Lines:
    stats = server.stats
    return [
        "eventloop_duration_aof_sum:0",
        f"eventloop_duration_cron_sum:{stats.cron_ns // 1000}",
        f"eventloop_duration_max:{stats.eventloop_max_ns // 1000}",
        f"eventloop_cmd_per_cycle_max:{stats.eventloop_max_commands}",
        "allocator_allocated_lua:0",
        "allocator_active_lua:0",
        "allocator_resident_lua:0",
        "allocator_frag_bytes_lua:0",
    ]


SECTIONS: Final[tuple[tuple[str, tuple[str, ...], Callable[[ServerState], Lines]], ...]] = (
    ("Server", ("server",), _server),
    ("Clients", ("clients",), _clients),
    ("Memory", ("memory",), _memory),
    ("Persistence", ("persistence",), _persistence),
    ("Stats", ("stats",), _stats),
    ("Replication", ("replication",), replication_lines),
    ("CPU", ("cpu",), _cpu),
    ("Modules", ("module_list", "modules"), _modules),
    ("Commandstats", ("commandstats",), _commandstats),
    ("Errorstats", ("errorstats",), _errorstats),
    ("Latencystats", ("latencystats",), _latencystats),
    ("Cluster", ("cluster",), _cluster),
    ("Keyspace", ("keyspace",), _keyspace),
    ("Debug", ("debug",), _debug),
)
"""Title, the words that ask for it, its lines; in the order of INFO."""
