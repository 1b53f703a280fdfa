"""Freeing what is big, a little at a time.

Freeing a million keys takes a tenth of a second, during which nobody would be served. So a value of
many elements, a whole table or a database's deadlines are put into a queue when they are no longer
wanted, and the keeper takes them apart in slices. There is no thread: freeing needs the interpreter
lock, and a thread would hold up the others as much.

Source: Redis lazyfree.c.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from redis_trio.clock import perf_counter_ns
from redis_trio.keyspace.values import collection, is_string

if TYPE_CHECKING:
    from redis_trio.data.expires import Expires
    from redis_trio.data.table import Table
    from redis_trio.state import ServerState

LAZYFREE_THRESHOLD: Final = 64  # values of so many elements are freed at once
ELEMENTS: Final = 100  # freed between two looks at the clock, tens of us


class Freeable(Protocol):
    """Something that can be taken apart."""

    def __len__(self) -> int:
        """Return how many elements are left."""
        ...

    def free_some(self, limit: int) -> int:
        """Free up to about `limit` elements; return how many."""
        ...


class _Keys:
    """The keys of a database that has been emptied."""

    __slots__ = ("_lazyfree", "_table")

    def __init__(self, lazyfree: LazyFree, table: Table) -> None:
        self._lazyfree = lazyfree
        self._table = table

    def __len__(self) -> int:
        return self._table.count

    def free_some(self, limit: int) -> int:
        """Free the keys of some shards; return how many."""
        before = self._table.count
        for shard in self._table.pop_shards(limit):
            self._lazyfree.free_keys(shard)
        return before - self._table.count


class LazyFree:
    """The things of one server that are to be freed.

    Attributes:
      pending_objects: keys and values that wait; INFO lazyfree_pending_objects.
      freed_objects: those that waited and are gone; INFO lazyfreed_objects.
    """

    __slots__ = ("_queue", "_server", "freed_objects", "pending_objects")

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._queue: deque[tuple[Freeable, int]] = deque()  # with how many objects it counts as
        self.pending_objects = 0
        self.freed_objects = 0

    @property
    def busy(self) -> bool:
        """Whether there is anything to free."""
        return bool(self._queue)

    def add_value(self, value: object) -> bool:
        """Free a value that no key has any more; return whether it has to wait."""
        if is_string(value):
            return False
        gone = collection(value)
        if gone.free_effort() <= LAZYFREE_THRESHOLD:
            return False
        self._add(gone, 1)
        return True

    def add_database(self, table: Table, expires: list[Expires]) -> None:
        """Free the contents of a database, which must not be used any more."""
        if table.count:
            self.pending_objects += table.count
            self._add(_Keys(self, table), 0)
            for deadlines in expires:
                for part in deadlines.parts():
                    self._add(part, 0)

    def add_part(self, part: Freeable) -> None:
        """Free what is no key and no value, and counts as nothing."""
        self._add(part, 0)

    def free_keys(self, keys: dict[bytes, object]) -> None:
        """Free keys that have been counted as pending; values of many elements wait further."""
        freed = 0
        for value in keys.values():
            if not is_string(value):
                gone = collection(value)
                if gone.free_effort() > LAZYFREE_THRESHOLD:
                    self._queue.append((gone, 1))
                    continue
            freed += 1
        self._count(freed)

    def step(self, budget_ns: int) -> bool:
        """Free for about `budget_ns`; return whether anything is left."""
        queue = self._queue
        until = perf_counter_ns() + budget_ns
        while queue:
            thing, objects = queue[0]
            thing.free_some(ELEMENTS)
            if len(thing) == 0:
                queue.popleft()
                self._count(objects)
            if perf_counter_ns() >= until:
                break
        return bool(queue)

    def reset_stats(self) -> None:
        """Forget how much was freed, as CONFIG RESETSTAT does."""
        self.freed_objects = 0

    def _add(self, thing: Freeable, objects: int) -> None:
        """Queue a thing that is so many objects, which count when all of it is freed."""
        self.pending_objects += objects
        self._queue.append((thing, objects))
        self._server.due_at(self._server.clock.now_ms)

    def _count(self, objects: int) -> None:
        self.pending_objects -= objects
        self.freed_objects += objects
