"""How much memory is used, for INFO, MEMORY and `maxmemory`.

`used_memory` is what this server holds: OWN_BYTES for an empty one, the data, what clients, scripts
and the replication backlog take. The interpreter and the libraries are the program, as the text of
a binary is; an application around the server is somebody else's. So a server with `maxmemory 10mb`
holds about ten megabytes of data, while its process, of which `used_memory_rss` tells, is some
40 MB bigger. There are three ways to know the figure:

1. While there is a `maxmemory`, everything is counted as it comes and goes (keyspace/account.py,
   client_memory.py); the limit is held against the same figure.
2. Else, if the process is this server's (`owns_process`), the allocator is asked what has been
   added since the start, so that no write costs anything. malloc tells what is in use (mallinfo2);
   pymalloc tells how many blocks are, but not of which size: their mean is taken from keys, values
   and elements in shards spread evenly over the tables.
3. Else, in somebody's application or without glibc, SAMPLED_KEYS keys are measured, all if there
   are no more. Single values that make up much of the data can be missed then; with a `maxmemory`,
   however high, they are counted.

The peak is seen at every INFO and about once a second while there is work; a moment's use in
between can be missed.

Source: Redis zmalloc.c zmalloc_get_rss; object.c getMemoryOverheadData for what INFO derives.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from redis_trio.data.hash import Hash
from redis_trio.data.list import List
from redis_trio.data.set import Set
from redis_trio.data.sizes import ALIGNMENT, FLOAT_BYTES, block_bytes
from redis_trio.data.sorted_set import SortedSet
from redis_trio.eviction import OWN_BYTES
from redis_trio.keyspace.account import deadlines_bytes, places_bytes, sampled_bytes
from redis_trio.keyspace.values import collection
from redis_trio.replication.backlog import BLOCK_MIN as BLOCK_BYTES
from redis_trio.replication.backlog import BLOCK_OVERHEAD

if TYPE_CHECKING:
    from redis_trio.keyspace.database import Database
    from redis_trio.state import ServerState

PYMALLOC_MAX: Final = 512  # bytes; bigger objects come from malloc
MEAN_SHARDS: Final = 8  # whose keys and values are looked at for the mean size of a small block
MEAN_ELEMENTS: Final = 5  # of each collection among them
SHELL_BYTES: Final = 64  # of a container that is empty
MEAN_BLOCK: Final = 64  # where nothing better is known
SAMPLED_KEYS: Final = 2000  # that are measured where the allocator cannot be asked
NAME_BYTES: Final = 100  # of a key that a client may have cached
_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class _MallInfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def _find_mallinfo() -> Callable[[], _MallInfo] | None:
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError, TypeError):
        return None
    mallinfo.restype = _MallInfo
    mallinfo.argtypes = []

    def call() -> _MallInfo:
        result: _MallInfo = mallinfo()
        return result

    return call


def resident_bytes() -> int:
    """Return the resident size of the process; its peak where /proc does not tell."""
    try:
        return _statm()[0]
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def system_bytes() -> int:
    """Return the machine's memory, 0 if it does not tell."""
    try:
        return _PAGE * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0


def _statm() -> tuple[int, int]:
    """Return the resident bytes, and those of them that are no file's."""
    with open("/proc/self/statm", "rb") as file:
        words = file.read().split()
    resident = int(words[1])
    return resident * _PAGE, (resident - int(words[2])) * _PAGE


def allocator_name() -> str:
    """Return where Python gets small objects from."""
    return "pymalloc" if sys.getallocatedblocks() else "libc"


class Memory:
    """What one server knows of its memory.

    Attributes:
      owns_process: whether everything in the process is there for this server.
      peak_bytes: the most that has been seen.
      other_bytes: what scripts, tracking and the backlog took when last looked at.
    """

    __slots__ = (
        "_blocks",
        "_mallinfo",
        "_server",
        "_small_bytes",
        "_start_bytes",
        "other_bytes",
        "owns_process",
        "peak_bytes",
    )

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self.owns_process = server.config.owns_process
        self.other_bytes = 0
        self.peak_bytes = OWN_BYTES
        self._mallinfo = _find_mallinfo()
        self._blocks = sys.getallocatedblocks()
        self._small_bytes = 0
        if self._mallinfo is not None:
            info = self._mallinfo()
            try:
                mapped = _statm()[1] - info.arena - info.hblkhd
            except OSError:
                mapped = self._blocks * MEAN_BLOCK
            self._small_bytes = max(0, mapped)
        self._start_bytes = self.allocated_bytes(())

    def used_bytes(self) -> int:
        """Return `used_memory`, and note if it is the most so far."""
        server = self._server
        self.look_around()
        if server.accounting:
            used = server.eviction.used_bytes() + self.uncounted_bytes()
        elif self.owns_process and self._mallinfo is not None:
            used = OWN_BYTES + max(0, self.allocated_bytes(server.dbs) - self._start_bytes)
        else:
            used = OWN_BYTES + self.other_bytes + self.uncounted_bytes()
            used += sum([client.memory_bytes() for client in server.clients.values()])
            for db in server.dbs:
                if db.table.count:
                    used += sampled_bytes(db, SAMPLED_KEYS) + places_bytes(db) + deadlines_bytes(db)
        self.peak_bytes = max(self.peak_bytes, used)
        return used

    def look_around(self) -> None:
        """See what is used by what is not counted as it comes and goes."""
        server = self._server
        size = NAME_BYTES * server.tracking.items
        room = server.scripting
        if room is not None:
            size += room.eval_memory + room.functions.engine_memory
            size += room.scripts_bytes + room.functions.memory_bytes
        self.other_bytes = size + min(self.backlog_bytes(), self.backlog_limit())

    def backlog_bytes(self) -> int:
        """Return what the backlog takes, and with it what replicas have not been sent."""
        backlog = self._server.replication.backlog
        return 0 if backlog is None else backlog.memory_bytes

    def backlog_limit(self) -> int:
        """Return how much of the backlog is there to stay; the rest waits for replicas."""
        backlog = self._server.replication.backlog
        if backlog is None:
            return 0
        return backlog.limit + (backlog.limit // BLOCK_BYTES + 1) * BLOCK_OVERHEAD

    def uncounted_bytes(self) -> int:
        """Return what does not count for `maxmemory`: it grows by the deletion of keys."""
        size = max(0, self.backlog_bytes() - self.backlog_limit())
        return size + self._server.aof.buffered

    def allocated_bytes(self, dbs: Sequence[Database]) -> int:
        """Return what the process has got from its allocators, whoever asked for it."""
        if self._mallinfo is None:
            return resident_bytes()
        info = self._mallinfo()
        added = sys.getallocatedblocks() - self._blocks
        before = self._small_bytes / self._blocks if self._blocks else MEAN_BLOCK
        small = self._small_bytes + added * mean_block(dbs, before)
        return int(info.uordblks + info.hblkhd + max(0, small))

    def allocator_report(self) -> str:
        """Return what the allocators say of themselves, nothing if they say nothing."""
        if self._mallinfo is None:
            return ""
        info = self._mallinfo()
        return (
            "malloc (objects of more than 512 bytes):\n"
            f"  bytes in use in arenas: {info.uordblks}\n"
            f"  bytes free in arenas: {info.fordblks} in {info.ordblks} chunks, "
            f"{info.keepcost} of them at the end\n"
            f"  bytes of arenas: {info.arena}\n"
            f"  bytes mapped one by one: {info.hblkhd} in {info.hblks} regions\n"
            "pymalloc (all other objects):\n"
            f"  blocks in use: {sys.getallocatedblocks()}\n"
            f"  bytes of small objects at the start: {self._small_bytes}\n"
        )


def anonymous_bytes() -> int:
    """Return the resident memory that is no file's: what the allocators have got from the system.

    All resident memory where /proc does not tell.
    """
    try:
        return _statm()[1]
    except OSError:
        return resident_bytes()


def mean_block(dbs: Sequence[Database], default: float = MEAN_BLOCK) -> float:
    """Return the mean size of the blocks that small keys, values and elements take, by a sample.

    Args:
      default: what to return if there are none.
    """
    total = 0.0
    count = 0.0
    for db in dbs:
        for shard in db.table.some_shards(MEAN_SHARDS):
            weight = db.table.count / MEAN_SHARDS / max(1, len(shard))
            for key, value in shard.items():
                for sizes, times in _small_blocks(key, value):
                    for size in sizes:
                        total += size * times * weight
                        count += times * weight
    return total / count if count else default


def _small_blocks(key: bytes, value: object) -> list[tuple[list[int], float]]:
    """Return sizes of small blocks that a key, its value and elements take, and how often each."""
    found = [(_small([key, value]), 1.0)]
    elements: list[bytes] = []
    times = 0.0
    if isinstance(value, Hash):
        pairs = value.small.items() if value.table is None else _entries(value)
        for pair in islice(pairs, MEAN_ELEMENTS):
            elements += pair
        times = len(value) * 2 / len(elements) if elements else 0.0
    elif isinstance(value, (Set, List, SortedSet)):
        if isinstance(value, Set):
            members = islice((name for chunk in value.chunks() for name in chunk), MEAN_ELEMENTS)
            elements = list(members) if value.encoding() != b"intset" else []
        elif isinstance(value, List):
            elements = value.range(0, MEAN_ELEMENTS - 1)
        else:
            elements = value.members(0, min(MEAN_ELEMENTS, len(value)))
            found.append(([FLOAT_BYTES], float(len(value))))
        times = len(value) / len(elements) if elements else 0.0
    found.append((_small(elements), times))
    if not isinstance(value, (bytes, bytearray)):
        containers = collection(value).memory_bytes(MEAN_ELEMENTS) - block_bytes(value)
        for sizes, often in found[1:]:
            containers -= int(sum(sizes) * often)
        found.append(([SHELL_BYTES], 1.0))  # of a dict, a list or an array, and what it refers to
        if SHELL_BYTES < containers <= PYMALLOC_MAX + SHELL_BYTES:
            found.append(([containers - SHELL_BYTES], 1.0))
    return found


def _entries(value: Hash) -> Iterable[tuple[bytes, bytes]]:
    """Return some fields of a hashtable, with their values."""
    assert value.table is not None
    for shard in value.table.some_shards(1):
        for field, text in shard.items():
            if isinstance(text, bytes):
                yield field, text


def _small(things: Iterable[object]) -> list[int]:
    """Return the sizes of the blocks that pymalloc gives for objects."""
    sizes = [sys.getsizeof(thing) for thing in things]
    return [(size + ALIGNMENT - 1) & -ALIGNMENT for size in sizes if size <= PYMALLOC_MAX]


class Figures:
    """What memory is used for, as INFO and MEMORY STATS show it.

    Attributes:
      used, peak, startup: see `Memory`; startup is what an empty server uses.
      resident: of the process.
      allocated, active: what the process has got from its allocators, and what they hold.
      normal, replicas: what clients take.
      backlog: what the replication backlog takes; buffers: with what waits for replicas.
      aof: the append-only file's buffer.
      eval_caches, function_caches: scripts and functions beside the Lua states.
      places, deadlines: of all databases.
      overhead: all of that which is no data.
      dataset: the rest.
      keys: how many there are.
    """

    def __init__(self, server: ServerState) -> None:
        memory = server.memory
        self.used = memory.used_bytes()
        self.peak = memory.peak_bytes
        self.startup = OWN_BYTES
        self.resident = max(1, resident_bytes())
        self.allocated = max(1, memory.allocated_bytes(server.dbs))
        self.active = max(self.allocated, anonymous_bytes())
        clients = server.clients.values()
        self.normal = sum([one.memory_bytes() for one in clients if one.kind != "replica"])
        self.buffers = memory.backlog_bytes()
        self.uncounted = memory.uncounted_bytes()
        self.aof = server.aof.buffered
        self.replicas = sum([one.pending_output for one in clients if one.kind == "replica"])
        self.backlog = min(self.buffers, memory.backlog_limit())
        room = server.scripting
        self.eval_caches = 0 if room is None else room.scripts_bytes
        self.function_caches = 0 if room is None else room.functions.memory_bytes
        self.places = sum([places_bytes(db) for db in server.dbs])
        self.deadlines = sum([deadlines_bytes(db) for db in server.dbs])
        self.keys = sum([db.table.count for db in server.dbs])
        caches = self.eval_caches + self.function_caches
        of_replicas = self.backlog + self.replicas
        of_data = self.places + self.deadlines
        self.overhead = self.startup + self.normal + of_replicas + self.aof + caches + of_data
        self.dataset = max(0, self.used - self.overhead)
        self.net = max(1, self.used - self.startup)
