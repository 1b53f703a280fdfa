"""The bytes of a snapshot on their way to replicas, each of which takes them at its own pace.

Who makes them puts chunks at the end and waits while there are too many; a replica takes the next
one when its socket has taken the one before. A chunk goes when all have taken it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redis_trio.replication.replica import Replica

ROOM_BYTES: Final = 4 << 20  # that wait for the slowest replica, before whoever makes them waits


class Bulk:
    """A queue of chunks that several replicas read.

    Args:
      replicas: who takes them.
      progress: called when a replica has taken a chunk, or has gone.
      taken: called with a replica that has taken all there will ever be.

    Attributes:
      places: `{replica: number of the chunk that it takes next}`.
      ended: whether nothing more is put.
    """

    __slots__ = ("_chunks", "_first", "_progress", "_taken", "ended", "places")

    def __init__(
        self,
        replicas: Iterable[Replica],
        progress: Callable[[], None],
        taken: Callable[[Replica], None],
    ) -> None:
        self._chunks: deque[bytes] = deque()
        self._first = 0  # the number of the first of them
        self._progress = progress
        self._taken = taken
        self.places: dict[Replica, int] = {}
        self.ended = False
        for replica in replicas:
            self.places[replica] = 0
            replica.bulk = self

    @property
    def has_room(self) -> bool:
        """Whether more should be put."""
        return sum([len(chunk) for chunk in self._chunks]) < ROOM_BYTES

    def put(self, chunk: bytes) -> None:
        """Add a chunk, and have those who wait for it begin to send it."""
        self._chunks.append(chunk)
        self._pull()

    def end(self) -> None:
        """Add nothing more."""
        self.ended = True
        self._pull()

    def _pull(self) -> None:
        for replica in list(self.places):
            replica.client.transport.pull()

    def take(self, replica: Replica) -> bytes | None:
        """Return a replica's next chunk, None if there is none (yet)."""
        place = self.places.get(replica)
        if place is None:
            return None
        at = place - self._first
        if at < len(self._chunks):
            chunk = self._chunks[at]
            self.places[replica] = place + 1
            if at == 0:
                self._let_go()
            return chunk
        if self.ended:
            self.leave(replica)
            self._taken(replica)
        return None

    def leave(self, replica: Replica) -> None:
        """Have a replica take nothing more: it has everything, or it has gone."""
        if self.places.pop(replica, None) is not None:
            replica.bulk = None
            self._let_go()

    def _let_go(self) -> None:
        """Forget the chunks that all have taken."""
        first = min(self.places.values(), default=self._first + len(self._chunks))
        while self._first < first:
            self._chunks.popleft()
            self._first += 1
        self._progress()
