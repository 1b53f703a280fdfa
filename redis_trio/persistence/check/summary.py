"""What is counted while files are checked; its size does not depend on theirs."""

from __future__ import annotations

import heapq
from typing import Final

from redis_trio.data.hash import Hash
from redis_trio.keyspace.values import encoding, type_name
from redis_trio.persistence.rdb_format import MODULE_2
from redis_trio.persistence.rdb_reader import NO_DEADLINE, Entry

NAMES_MAX: Final = 1000
"""Different names of commands that are counted; a file of noise could have any number."""


class Tally:
    """Keys that have something in common: how many, and the bytes and elements in them."""

    __slots__ = ("elements", "keys", "size_bytes")

    def __init__(self) -> None:
        self.keys = 0
        self.size_bytes = 0
        self.elements = 0


class BigKey:
    """A key that is worth naming.

    Attributes:
      size_bytes: of the key and its value in the file.
    """

    __slots__ = ("db", "elements", "encoding", "key", "kind", "size_bytes")

    def __init__(self, entry: Entry, kind: str, encoded: str, elements: int) -> None:
        self.db = entry.db
        self.key = entry.key
        self.kind = kind
        self.encoding = encoded
        self.size_bytes = entry.size
        self.elements = elements


class KeySummary:
    """The keys of an RDB file.

    Args:
      now_ms: the present, by which keys have expired.
      top: how many of the biggest keys are named.

    Attributes:
      kinds: by type and encoding, as they would be under the default thresholds.
      databases: how many keys each has, and of how many the deadline is known.
      expires, expired: keys with a deadline, and those of them whose deadline is over.
      first_ms, last_ms: the earliest and the latest deadline, if `expires`.
      fields: fields of hashes that have a deadline.
      empty: keys without elements, which a server passes over.
    """

    def __init__(self, now_ms: int, top: int) -> None:
        self._now_ms = now_ms
        self._top = top
        self._biggest: list[tuple[int, int, BigKey]] = []  # a heap, the smallest first
        self._number = 0
        self.keys = 0
        self.kinds: dict[tuple[str, str], Tally] = {}
        self.databases: dict[int, list[int]] = {}
        self.expires = 0
        self.expired = 0
        self.first_ms = 0
        self.last_ms = 0
        self.fields = 0
        self.empty = 0

    def add(self, entry: Entry) -> None:
        """Count a key."""
        self.keys += 1
        if entry.kind == MODULE_2:
            kind, encoded, elements = "module", "skipped", 0
        elif entry.value is None:
            self.empty += 1
            return
        else:
            kind = type_name(entry.value).decode()
            encoded = encoding(entry.value).decode()
            elements = 1 if kind == "string" else len(entry.value)  # type: ignore[arg-type]
            if isinstance(entry.value, Hash) and entry.value.deadlines is not None:
                self.fields += len(entry.value.deadlines)
        tally = self.kinds.setdefault((kind, encoded), Tally())
        tally.keys += 1
        tally.size_bytes += entry.size
        tally.elements += elements
        counts = self.databases.setdefault(entry.db, [0, 0])
        counts[0] += 1
        if entry.when_ms != NO_DEADLINE:
            counts[1] += 1
            self._count_deadline(entry.when_ms)
        self._name_if_big(entry, kind, encoded, elements)

    def _count_deadline(self, when_ms: int) -> None:
        self.first_ms = min(self.first_ms, when_ms) if self.expires else when_ms
        self.last_ms = max(self.last_ms, when_ms) if self.expires else when_ms
        self.expires += 1
        self.expired += when_ms < self._now_ms

    def _name_if_big(self, entry: Entry, kind: str, encoded: str, elements: int) -> None:
        self._number += 1
        heap = self._biggest
        if len(heap) < self._top or (heap and entry.size > heap[0][0]):
            item = (entry.size, -self._number, BigKey(entry, kind, encoded, elements))
            heapq.heappush(heap, item)
            if len(heap) > self._top:
                heapq.heappop(heap)

    @property
    def biggest(self) -> list[BigKey]:
        """The biggest keys, the biggest first."""
        return [key for _, _, key in sorted(self._biggest, reverse=True)]


class CommandSummary:
    """The commands of an append-only file.

    Attributes:
      names: how often each command is there, in upper case; b"..." for those beyond NAMES_MAX.
      transactions: pairs of MULTI and EXEC.
      databases: those that were selected.
    """

    def __init__(self) -> None:
        self.commands = 0
        self.names: dict[bytes, int] = {}
        self.transactions = 0
        self.databases: set[int] = set()

    def add(self, args: list[bytes]) -> None:
        """Count a command."""
        self.commands += 1
        name = args[0].upper()
        if name not in self.names and len(self.names) >= NAMES_MAX:
            name = b"..."
        self.names[name] = self.names.get(name, 0) + 1
        if name == b"SELECT" and len(args) == 2 and args[1].isdigit() and len(args[1]) < 10:
            self.databases.add(int(args[1]))
        elif name == b"EXEC":
            self.transactions += 1
