"""MEMORY: what a key takes, what the server takes, and what can be done about it.

Of a key, Python's own objects are measured: their sizes are known exactly, elements of a collection
are sampled. The figures of the server are those of INFO memory (redis_trio/memory.py).

Source: Redis object.c memoryCommand, getMemoryOverheadData, getMemoryDoctorReport.
"""

from __future__ import annotations

import ctypes
import gc
from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer
from redis_trio.command import READONLY, group, key
from redis_trio.data.expires import KEY_BYTES, NEVER
from redis_trio.data.sizes import ENTRY_BYTES, string_bytes
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.help import declare_help
from redis_trio.keyspace.account import deadlines_bytes, places_bytes
from redis_trio.keyspace.values import memory_bytes
from redis_trio.memory import Figures
from redis_trio.protocol.reply import OK, Reply, Verbatim
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.state import ServerState

command = group("server")

SAMPLES: Final = 5
MEGABYTE: Final = 1024 * 1024
_SMALL: Final = 5 * MEGABYTE  # with less than that nothing can be said
_NOTABLE: Final = 10 * MEGABYTE
_BIG_CLIENT: Final = 200_000
_SCRIPTS_MAX: Final = 1000

command.container(
    "MEMORY",
    arity=-2,
    since="4.0.0",
    summary="Tells how much memory is used for what.",
)


@command(
    "MEMORY USAGE",
    "key [SAMPLES count]",
    arity=-3,
    flags=READONLY,
    keys=[key(2, "RO")],
    since="4.0.0",
    complexity="O(N) where N is the number of samples.",
    summary="Estimates how much memory a key takes.",
)
def memory_usage(client: Client, args: Args) -> Reply:
    """Return the bytes of a key, its value and its place in the table; null if it is not there."""
    samples = SAMPLES
    for i in range(3, len(args), 2):
        if option_name(args[i]) != b"SAMPLES" or i + 1 == len(args):
            raise RedisError(SYNTAX)
        samples = read_integer(args[i + 1])
        if samples < 0:
            raise RedisError(SYNTAX)
    name = args[2]
    value = client.db.table.get(name)
    if value is None:
        return None
    size = ENTRY_BYTES + string_bytes(name) + memory_bytes(value, samples)
    if client.db.expires.get(name) != NEVER:
        size += KEY_BYTES
    return size


@command(
    "MEMORY STATS",
    arity=2,
    since="4.0.0",
    complexity="O(1)",
    summary="Shows what the server uses memory for.",
    tips="NONDETERMINISTIC_OUTPUT REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:SPECIAL",
)
def memory_stats(client: Client, args: Args) -> Reply:
    """Return names and figures; what this server has no use for is 0."""
    server = client.server
    found = Figures(server)
    used, resident = found.used, found.resident
    stats: dict[bytes, Reply] = {
        b"peak.allocated": found.peak,
        b"total.allocated": used,
        b"startup.allocated": found.startup,
        b"replication.backlog": found.backlog,
        b"clients.slaves": found.replicas,
        b"clients.normal": found.normal,
        b"cluster.links": 0,
        b"aof.buffer": found.aof,
        b"lua.caches": found.eval_caches,
        b"functions.caches": found.function_caches,
    }
    for db in server.dbs:
        if db.table.count:
            stats[b"db.%d" % db.index] = {
                b"overhead.hashtable.main": places_bytes(db),
                b"overhead.hashtable.expires": deadlines_bytes(db),
            }
    stats[b"overhead.db.hashtable.lut"] = found.places
    stats[b"overhead.db.hashtable.rehashing"] = 0
    stats[b"overhead.total"] = found.overhead
    stats[b"db.dict.rehashing.count"] = 0
    stats[b"keys.count"] = found.keys
    stats[b"keys.bytes-per-key"] = max(0, used - found.startup) // found.keys if found.keys else 0
    stats[b"dataset.bytes"] = found.dataset
    stats[b"dataset.percentage"] = found.dataset * 100 / found.net
    stats[b"peak.percentage"] = used * 100 / found.peak
    stats[b"allocator.allocated"] = found.allocated
    stats[b"allocator.active"] = found.active
    stats[b"allocator.resident"] = found.active
    stats[b"allocator.muzzy"] = 0
    stats[b"allocator-fragmentation.ratio"] = found.active / found.allocated
    stats[b"allocator-fragmentation.bytes"] = found.active - found.allocated
    stats[b"allocator-rss.ratio"] = 1.0
    stats[b"allocator-rss.bytes"] = 0
    stats[b"rss-overhead.ratio"] = resident / found.active
    stats[b"rss-overhead.bytes"] = resident - found.active
    stats[b"fragmentation"] = resident / used
    stats[b"fragmentation.bytes"] = resident - used
    return stats


@command(
    "MEMORY DOCTOR",
    arity=2,
    since="4.0.0",
    complexity="O(1)",
    summary="Says what is unusual about the memory that is used.",
    tips="NONDETERMINISTIC_OUTPUT REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:SPECIAL",
)
def memory_doctor(client: Client, args: Args) -> Reply:
    """Return a report in words."""
    return Verbatim(_report(client.server).encode())


def _report(server: ServerState) -> str:
    found = Figures(server)
    if found.used - found.startup < _SMALL:
        return "There is so little data that nothing can be said about the memory it takes.\n"
    report: list[str] = []
    if found.peak > 1.5 * found.used:
        report.append(
            "Peak: at some time more than 1.5 times as much was used as is now. The process may "
            "keep what it does not need; MEMORY PURGE asks it to give that back.\n"
        )
    if found.active > 1.4 * found.allocated and found.active - found.allocated > _NOTABLE:
        report.append(
            "Fragmentation: the allocators hold more than 1.4 times what is used. What was freed "
            "lies scattered among what is used, so that it cannot be given back.\n"
        )
    if found.resident > 1.4 * found.active and found.resident - found.active > _NOTABLE:
        report.append(
            "Resident size: much of the process is neither data nor free: libraries, or an "
            "application around the server.\n"
        )
    if found.normal > _BIG_CLIENT * max(1, len(server.clients)):
        report.append(
            "Clients: more than 200 KB each on average. Some send faster than they read; CLIENT "
            "LIST shows which.\n"
        )
    if found.eval_caches + found.function_caches > _NOTABLE or _scripts(server) > _SCRIPTS_MAX:
        report.append(
            "Scripts: there are so many that they may have been generated. What differs from one "
            "to the next belongs into their arguments.\n"
        )
    if found.keys and found.used > server.config.maxmemory * 0.95 > 0:
        report.append("Limit: more than 95% of maxmemory is used.\n")
    return "\n".join(report) if report else "Nothing about the memory that is used is unusual.\n"


def _scripts(server: ServerState) -> int:
    return 0 if server.scripting is None else len(server.scripting.scripts)


@command(
    "MEMORY MALLOC-STATS",
    arity=2,
    since="4.0.0",
    complexity="Depends on how much memory is allocated, could be slow",
    summary="Shows the allocator's own figures, if it has any.",
    tips="NONDETERMINISTIC_OUTPUT REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:SPECIAL",
)
def memory_malloc_stats(client: Client, args: Args) -> Reply:
    """Return in words what malloc and pymalloc have given out; what Redis answers without glibc."""
    report = client.server.memory.allocator_report()
    return Verbatim((report or "Stats not supported for the current allocator").encode())


@command(
    "MEMORY PURGE",
    arity=2,
    since="4.0.0",
    complexity="Depends on how much memory is allocated, could be slow",
    summary="Gives unused memory back to the system.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:ALL_SUCCEEDED",
)
def memory_purge(client: Client, args: Args) -> Reply:
    """Drop cycles of garbage, and have malloc release what is free at the end of its arenas."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        pass  # not glibc
    return OK


declare_help(command, "MEMORY", since="4.0.0")
