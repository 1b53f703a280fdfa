"""MEMORY: what a key takes, what the server takes, and what can be done about it.

Of a key, Python's own objects are measured: their sizes are known exactly, elements of a collection
are sampled. The figures of the server are those of INFO memory (redis_trio/memory.py).

Source: Redis object.c memoryCommand, getMemoryOverheadData, getMemoryDoctorReport.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer
from redis_trio.command import READONLY, group, key
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.help import declare_help
from redis_trio.info import client_bytes
from redis_trio.keyspace.values import memory_bytes
from redis_trio.memory import DEADLINE_BYTES, ENTRY_BYTES, resident_bytes, table_bytes
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
    return ENTRY_BYTES + sys.getsizeof(name) + memory_bytes(value, samples)


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
    used = server.memory.used_bytes(server.dbs)
    peak = server.memory.peak_bytes
    startup = server.memory.startup_bytes
    resident = resident_bytes()
    clients = sum([client_bytes(other) for other in server.clients.values()])
    overhead = startup + clients + sum([table_bytes(db) for db in server.dbs])
    keys = sum([db.table.count for db in server.dbs])
    dataset = max(0, used - overhead)
    stats: dict[bytes, Reply] = {
        b"peak.allocated": peak,
        b"total.allocated": used,
        b"startup.allocated": startup,
        b"replication.backlog": 0,
        b"clients.slaves": 0,
        b"clients.normal": clients,
        b"cluster.links": 0,
        b"aof.buffer": server.aof.buffered,
        b"lua.caches": 0,
        b"functions.caches": 0,
    }
    for db in server.dbs:
        if db.table.count:
            stats[b"db.%d" % db.index] = {
                b"overhead.hashtable.main": db.table.count * ENTRY_BYTES,
                b"overhead.hashtable.expires": len(db.expires) * DEADLINE_BYTES,
            }
    stats[b"overhead.db.hashtable.lut"] = keys * ENTRY_BYTES
    stats[b"overhead.db.hashtable.rehashing"] = 0
    stats[b"overhead.total"] = overhead
    stats[b"db.dict.rehashing.count"] = 0
    stats[b"keys.count"] = keys
    stats[b"keys.bytes-per-key"] = max(0, used - startup) // keys if keys else 0
    stats[b"dataset.bytes"] = dataset
    stats[b"dataset.percentage"] = dataset * 100 / max(1, used - startup)
    stats[b"peak.percentage"] = used * 100 / peak
    stats[b"allocator.allocated"] = used
    stats[b"allocator.active"] = resident
    stats[b"allocator.resident"] = resident
    stats[b"allocator.muzzy"] = 0
    stats[b"allocator-fragmentation.ratio"] = resident / used
    stats[b"allocator-fragmentation.bytes"] = max(0, resident - used)
    stats[b"allocator-rss.ratio"] = 1.0
    stats[b"allocator-rss.bytes"] = 0
    stats[b"rss-overhead.ratio"] = 1.0
    stats[b"rss-overhead.bytes"] = 0
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
    used = server.memory.used_bytes(server.dbs)
    if used - server.memory.startup_bytes < _SMALL:
        return "There is so little data that nothing can be said about the memory it takes.\n"
    found: list[str] = []
    peak = server.memory.peak_bytes
    if peak > 1.5 * used:
        found.append(
            "Peak: at some time more than 1.5 times as much was used as is now. The process may "
            "keep what it does not need; MEMORY PURGE asks it to give that back.\n"
        )
    resident = resident_bytes()
    if resident > 1.4 * used and resident - used > _NOTABLE:
        found.append(
            "Resident size: more than 1.4 times what is used. What was freed lies scattered among "
            "what is used, so that it cannot be given back.\n"
        )
    clients = sum([client_bytes(other) for other in server.clients.values()])
    if clients > 200_000 * max(1, len(server.clients)):
        found.append(
            "Clients: more than 200 KB each on average. Some send faster than they read; CLIENT "
            "LIST shows which.\n"
        )
    return "\n".join(found) if found else "Nothing about the memory that is used is unusual.\n"


@command(
    "MEMORY MALLOC-STATS",
    arity=2,
    since="4.0.0",
    complexity="Depends on how much memory is allocated, could be slow",
    summary="Shows the allocator's own figures, if it has any.",
    tips="NONDETERMINISTIC_OUTPUT REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:SPECIAL",
)
def memory_malloc_stats(client: Client, args: Args) -> Reply:
    """Return what Redis does without jemalloc."""
    return b"Stats not supported for the current allocator"


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
