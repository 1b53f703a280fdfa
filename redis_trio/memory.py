"""How much memory this process uses, and how much of it is data.

A Python process gets small objects from pymalloc and the rest from malloc. malloc tells what is in
use (mallinfo2); pymalloc tells how many blocks are, but not of which size. So `used_memory` is

    what malloc has given out + the size of the pymalloc blocks there were at the start
    + blocks added since x the mean size of the data's small objects

where the mean is taken from keys and values in shards spread evenly over the tables: exact for
data of one size, within a few percent for mixed data; without data it is that of the start.
Without mallinfo2 (no glibc) the resident size of the process stands for all of it. The figures are
of the whole process, as Redis's are: an application around the server is part of
`used_memory_startup`.

The peak is seen at every INFO and about once a second while there is work; a moment's use in
between can be missed.

Source: Redis zmalloc.c zmalloc_get_rss; object.c getMemoryOverheadData for what INFO derives.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redis_trio.keyspace.database import Database

PYMALLOC_MAX: Final = 512  # bytes; bigger objects come from malloc
ALIGNMENT: Final = 16
SAMPLED_SHARDS: Final = 8
ENTRY_BYTES: Final = 38  # of a table for each key, see data/table.py
DEADLINE_BYTES: Final = 230  # for each key that expires, see data/expires.py
MEAN_BLOCK: Final = 64  # of small objects, where nothing better is known
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


class Memory:
    """What one server knows of the memory of its process.

    Attributes:
      startup_bytes: what was used when the server was made.
      peak_bytes: the most that has been seen.
    """

    __slots__ = ("_blocks", "_mallinfo", "_small_bytes", "peak_bytes", "startup_bytes")

    def __init__(self) -> None:
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
        self.startup_bytes = self._used_bytes(())
        self.peak_bytes = self.startup_bytes

    def used_bytes(self, dbs: Sequence[Database]) -> int:
        """Return `used_memory`, and note if it is the most so far."""
        used = self._used_bytes(dbs)
        self.peak_bytes = max(self.peak_bytes, used)
        return used

    def note_peak(self, dbs: Sequence[Database]) -> None:
        """Look whether more is used than ever before."""
        self.used_bytes(dbs)

    def _used_bytes(self, dbs: Sequence[Database]) -> int:
        if self._mallinfo is None:
            return resident_bytes()
        info = self._mallinfo()
        added = sys.getallocatedblocks() - self._blocks
        before = self._small_bytes / self._blocks if self._blocks else MEAN_BLOCK
        small = self._small_bytes + added * mean_block(dbs, before)
        return int(info.uordblks + info.hblkhd + max(0, small))


def mean_block(dbs: Sequence[Database], default: float = MEAN_BLOCK) -> float:
    """Return the mean size of the blocks that small keys and values take, from a sample.

    Args:
      default: what to return if there are none.
    """
    total = 0
    count = 0
    for db in dbs:
        directory = db.table.directory
        step = max(1, len(directory) // SAMPLED_SHARDS)
        for slot in range(0, len(directory), step):
            for key, value in directory[slot].items():
                for size in (sys.getsizeof(key), sys.getsizeof(value)):
                    if size <= PYMALLOC_MAX:
                        total += (size + ALIGNMENT - 1) & -ALIGNMENT
                        count += 1
    return total / count if count else default


def table_bytes(db: Database) -> int:
    """Return what a database takes besides its keys and values: their places and deadlines."""
    return db.table.count * ENTRY_BYTES + len(db.expires) * DEADLINE_BYTES
