"""Consumer groups of a stream: who was given which entries and has not acknowledged them.

A pending entry is one object, which stands in two lists, the group's and its consumer's. Both are
ordered by id: a list of short sorted lists, as in a tree of two levels. An id is found by bisection
(a million entries: 12 steps, then 8), removing one moves at most CHUNK pointers, and delivering new
entries, which have the highest ids, appends.

1. An entry holds the two halves of its id, not the pair: numbers of that size take no memory of
   their own where they stand in a compiled object, and compare fast.
2. An entry knows its consumer by name. There are no cycles of references: a group is gone as soon
   as nobody holds it.
3. Groups and consumers are kept in order of creation; Redis shows them by name.

Source: Redis stream.h, t_stream.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.data.numbers import INTEGER_MAX, INTEGER_MIN
from redis_trio.data.sizes import block_bytes, string_bytes
from redis_trio.data.stream_id import ZERO_ID, StreamId

if TYPE_CHECKING:
    from redis_trio.data.stream import Stream

UNKNOWN: Final = -1
"""A group's entries-read that nobody knows; a consumer that was never active."""

_POINTER: Final = 8  # bytes

CHUNK: Final = 256  # entries in one of the short lists at most
SMALL: Final = 32  # a short list with fewer is united with its neighbour


class Pending:
    """An entry that was delivered and has not been acknowledged.

    Attributes:
      ms, seq: the halves of its id.
      time_ms: when it was last delivered.
      count: how often it was delivered.
      consumer: the name of the consumer that has it.
    """

    __slots__ = ("consumer", "count", "ms", "seq", "time_ms")

    def __init__(self, entry_id: StreamId, time_ms: int, count: int, consumer: bytes) -> None:
        self.ms, self.seq = entry_id
        self.time_ms = time_ms
        self.count = count
        self.consumer = consumer

    @property
    def id(self) -> StreamId:
        """The id."""
        return self.ms, self.seq

    @property
    def behind(self) -> StreamId:
        """Where the ids behind this one begin; for `run`, which does not mind a seq of 2**64."""
        return self.ms, self.seq + 1

    def delivered_again(self) -> None:
        """Count a delivery. Redis shows its 64 bits as a number with a sign."""
        self.count = self.count + 1 if self.count != INTEGER_MAX else INTEGER_MIN


def _place(chunk: list[Pending], ms: int, seq: int) -> i64:
    """Return where the first entry stands whose id is not below ms-seq."""
    low: i64 = 0
    high: i64 = len(chunk)
    while low < high:
        middle = (low + high) >> 1
        entry = chunk[middle]
        if entry.ms < ms or (entry.ms == ms and entry.seq < seq):
            low = middle + 1
        else:
            high = middle
    return low


class PendingList:
    """Pending entries by id (Redis: the PEL).

    Attributes:
      chunks: `[[entry, ...], ...]`, no list empty, ids ascending throughout; others only read it.
      count: number of entries.
    """

    __slots__ = ("chunks", "count")

    def __init__(self) -> None:
        self.chunks: list[list[Pending]] = []
        self.count: i64 = 0

    def __len__(self) -> int:
        return self.count

    def first(self) -> Pending:
        """Return the entry with the lowest id. The list must not be empty."""
        return self.chunks[0][0]

    def last(self) -> Pending:
        """Return the entry with the highest id. The list must not be empty."""
        return self.chunks[-1][-1]

    def find(self, entry_id: StreamId) -> Pending | None:
        """Return the entry with an id, None if it is not here."""
        ms, seq = entry_id
        chunks = self.chunks
        slot = self._slot(ms, seq)
        if slot == len(chunks):
            return None
        chunk = chunks[slot]
        entry = chunk[_place(chunk, ms, seq)]
        return entry if entry.ms == ms and entry.seq == seq else None

    def run(self, start: StreamId, limit: int) -> list[Pending]:
        """Return some entries from an id on, 1 to `limit`; none if there are no more.

        The list may change while the caller goes through them, and then asks for those behind.
        """
        ms, seq = start
        chunks = self.chunks
        slot = self._slot(ms, seq)
        if slot == len(chunks):
            return []
        chunk = chunks[slot]
        place = _place(chunk, ms, seq)
        return chunk[place : place + min(limit, CHUNK)]

    def head(self, count: int) -> list[Pending]:
        """Return the first `count` entries; 0: all."""
        found: list[Pending] = []
        for chunk in self.chunks:
            if count and len(found) + len(chunk) >= count:
                return found + chunk[: count - len(found)]
            found += chunk
        return found

    def add(self, entry: Pending) -> None:
        """Put in an entry whose id is not here."""
        chunks = self.chunks
        self.count += 1
        slot = self._slot(entry.ms, entry.seq)
        if slot == len(chunks):
            if slot == 0 or len(chunks[-1]) >= CHUNK:
                chunks.append([entry])
            else:
                chunks[-1].append(entry)
            return
        chunk = chunks[slot]
        chunk.insert(_place(chunk, entry.ms, entry.seq), entry)
        if len(chunk) > CHUNK:
            chunks[slot] = chunk[: CHUNK // 2]
            chunks.insert(slot + 1, chunk[CHUNK // 2 :])

    def remove(self, entry: Pending) -> None:
        """Take out an entry, which must be here."""
        chunks = self.chunks
        slot = self._slot(entry.ms, entry.seq)
        chunk = chunks[slot]
        chunk.pop(_place(chunk, entry.ms, entry.seq))
        self.count -= 1
        if len(chunk) < SMALL:
            self._unite(slot)

    def remove_of(self, consumer: bytes) -> None:
        """Take out all entries of a consumer, at the cost of looking at everybody's."""
        chunks: list[list[Pending]] = []
        count: i64 = 0
        for chunk in self.chunks:
            kept = [entry for entry in chunk if entry.consumer != consumer]
            count += len(kept)
            if chunks and len(chunks[-1]) + len(kept) <= CHUNK:
                chunks[-1].extend(kept)
            elif kept:
                chunks.append(kept)
        self.chunks = chunks
        self.count = count

    def copy(self) -> PendingList:
        """Return a list of copies of the entries."""
        other = PendingList()
        for chunk in self.chunks:
            other.chunks.append([Pending(e.id, e.time_ms, e.count, e.consumer) for e in chunk])
        other.count = self.count
        return other

    def free_some(self, limit: int) -> int:
        """Take the list apart from its end: free about `limit` entries; return how many."""
        freed = 0
        while self.chunks and freed < limit:
            freed += len(self.chunks.pop())
        self.count -= freed
        return freed

    def _slot(self, ms: int, seq: int) -> i64:
        """Return which is the first short list whose last id is not below ms-seq."""
        chunks = self.chunks
        low: i64 = 0
        high: i64 = len(chunks)
        if high:
            entry = chunks[-1][-1]
            if entry.ms < ms or (entry.ms == ms and entry.seq < seq):
                return high  # new entries
        while low < high:
            middle = (low + high) >> 1
            entry = chunks[middle][-1]
            if entry.ms < ms or (entry.ms == ms and entry.seq < seq):
                low = middle + 1
            else:
                high = middle
        return low

    def _unite(self, slot: i64) -> None:
        """Drop a short list that is empty, or unite it with a neighbour if that stays short."""
        chunks = self.chunks
        chunk = chunks[slot]
        if not chunk:
            chunks.pop(slot)
        elif slot + 1 < len(chunks) and len(chunk) + len(chunks[slot + 1]) <= CHUNK // 2:
            chunk.extend(chunks.pop(slot + 1))
        elif slot > 0 and len(chunk) + len(chunks[slot - 1]) <= CHUNK // 2:
            chunks[slot - 1].extend(chunks.pop(slot))


class Consumer:
    """A consumer of a group.

    Attributes:
      name: case matters.
      seen_ms: when it last tried to get entries.
      active_ms: when it last got any, UNKNOWN if never.
      pending: its pending entries; the same objects as in the group's list.
    """

    __slots__ = ("active_ms", "name", "pending", "seen_ms")

    def __init__(self, name: bytes, now_ms: int) -> None:
        self.name = name
        self.seen_ms = now_ms
        self.active_ms = UNKNOWN
        self.pending = PendingList()


class Group:
    """A consumer group.

    Attributes:
      last_id: of the entry that was delivered last; new are those behind it.
      entries_read: how many entries were in the stream up to that one, ever; UNKNOWN where
        deletions or somebody's choice of an id make it impossible to tell.
      pending: the pending entries of all consumers.
      consumers: by name.
    """

    __slots__ = ("consumers", "entries_read", "last_id", "pending")

    def __init__(self, last_id: StreamId, entries_read: int) -> None:
        self.last_id = last_id
        self.entries_read = entries_read
        self.pending = PendingList()
        self.consumers: dict[bytes, Consumer] = {}

    # -- consumers

    def consumers_by_name(self) -> list[Consumer]:
        """Return the consumers in the order in which Redis shows them."""
        consumers = self.consumers
        return [consumers[name] for name in sorted(consumers)]

    def add_consumer(self, name: bytes, now_ms: int) -> Consumer:
        """Create a consumer, whose name must be new."""
        consumer = self.consumers[name] = Consumer(name, now_ms)
        return consumer

    def delete_consumer(self, name: bytes) -> int:
        """Forget a consumer and what it has pending; return how many entries that was.

        The cost is O(log n) for each of its entries, or one pass over everybody's.
        """
        consumer = self.consumers.pop(name)
        count = consumer.pending.count
        if count * 16 > self.pending.count:
            self.pending.remove_of(name)
        else:
            entries = consumer.pending.run(ZERO_ID, CHUNK)
            while entries:
                for entry in entries:
                    self.pending.remove(entry)
                entries = consumer.pending.run(entries[-1].behind, CHUNK)
        return count

    # -- pending entries

    def deliver(self, consumer: Consumer, entry_id: StreamId, now_ms: int) -> Pending:
        """Make an entry pending for a consumer, for the first time or as if for the first time.

        It can be pending already, for the same one or another: XGROUP SETID goes back in time.
        """
        entry = self.pending.find(entry_id)
        if entry is None:
            return self.add_pending(consumer, entry_id, now_ms, 1)
        self.assign(entry, consumer)
        entry.time_ms = now_ms
        entry.count = 1
        return entry

    def add_pending(
        self, consumer: Consumer, entry_id: StreamId, time_ms: int, count: int
    ) -> Pending:
        """Make an entry that is not pending so; return it."""
        entry = Pending(entry_id, time_ms, count, consumer.name)
        self.pending.add(entry)
        consumer.pending.add(entry)
        return entry

    def assign(self, entry: Pending, consumer: Consumer) -> None:
        """Give a pending entry to a consumer, which may have it already."""
        if entry.consumer != consumer.name:
            self.consumers[entry.consumer].pending.remove(entry)
            entry.consumer = consumer.name
            consumer.pending.add(entry)

    def remove_pending(self, entry: Pending) -> None:
        """Forget a pending entry."""
        self.pending.remove(entry)
        self.consumers[entry.consumer].pending.remove(entry)

    # -- how far it has read

    def read_up_to(self, stream: Stream, entry_id: StreamId) -> bool:
        """Note that an entry is delivered; return whether it is behind the last one.

        Source: t_stream.c streamReplyWithRange.
        """
        if entry_id <= self.last_id:
            return False
        if self.entries_read != UNKNOWN and not has_tombstones_from(stream, entry_id):
            self.entries_read += 1
        elif stream.entries_added:
            self.entries_read = entries_up_to(stream, entry_id)
        self.last_id = entry_id
        return True

    def lag(self, stream: Stream) -> int | None:
        """Return how many entries of the stream are still to be delivered; None: unknown.

        Source: t_stream.c streamReplyWithCGLag.
        """
        if not stream.entries_added:
            return 0
        read = self.entries_read
        if read == UNKNOWN or has_tombstones_from(stream, self.last_id):
            read = entries_up_to(stream, self.last_id)
            if read == UNKNOWN:
                return None
        return stream.entries_added - read

    # -- as a whole

    def copy(self) -> Group:
        """Return a group that is equal and shares nothing that can change."""
        other = Group(self.last_id, self.entries_read)
        other.pending = self.pending.copy()
        for consumer in self.consumers.values():
            twin = other.add_consumer(consumer.name, consumer.seen_ms)
            twin.active_ms = consumer.active_ms
        for chunk in other.pending.chunks:
            for entry in chunk:
                other.consumers[entry.consumer].pending.add(entry)
        return other

    def __len__(self) -> int:
        return self.pending.count + len(self.consumers)

    def free_effort(self) -> int:
        """Return about how many allocations the group consists of."""
        return 1 + self.pending.count

    def free_some(self, limit: int) -> int:
        """Take the group apart: free about `limit` entries or consumers; return how many."""
        freed = 0
        consumers = self.consumers
        while consumers and freed < limit:
            name, consumer = consumers.popitem()
            freed += consumer.pending.free_some(limit - freed) + 1
            if consumer.pending.count:
                consumers[name] = consumer
        if not consumers:
            freed += self.pending.free_some(limit - freed)
        return freed

    def memory_bytes(self, samples: int) -> int:
        """Return about how many bytes the group takes; of `samples` consumers exactly, 0: of all.

        All pending entries take the same, and each stands in two lists.
        """
        size = block_bytes(self) + block_bytes(self.consumers)
        if self.pending.count:
            size += (block_bytes(self.pending.first()) + 2 * _POINTER) * self.pending.count
        sampled = 0
        sampled_size = 0
        for consumer in self.consumers.values():
            sampled_size += block_bytes(consumer) + string_bytes(consumer.name)
            sampled_size += block_bytes(consumer.pending) + block_bytes(consumer.pending.chunks)
            sampled += 1
            if sampled == samples:
                break
        if sampled:
            size += sampled_size * len(self.consumers) // sampled
        return size


def has_tombstones_from(stream: Stream, start: StreamId) -> bool:
    """Return whether an entry that may have had an id from `start` on has been deleted.

    Source: t_stream.c streamRangeHasTombstones.
    """
    deleted = stream.max_deleted_id
    if len(stream) == 0 or deleted == ZERO_ID or stream.first_id > deleted:
        return False
    return start <= deleted


def entries_up_to(stream: Stream, entry_id: StreamId) -> int:
    """Return how many entries were in the stream up to an id, ever; UNKNOWN if nobody can tell.

    It is known at the two ends of the stream, the first only if nothing behind it was deleted.

    Source: t_stream.c streamEstimateDistanceFromFirstEverEntry.
    """
    added = stream.entries_added
    if not added:
        return 0
    if entry_id > stream.last_id:
        return UNKNOWN
    length = len(stream)
    if entry_id == stream.last_id or length == 0:
        return added
    deleted = stream.max_deleted_id
    if deleted == ZERO_ID or deleted < stream.first_id:
        if entry_id < stream.first_id:
            return added - length
        if entry_id == stream.first_id:
            return added - length + 1
    return UNKNOWN
