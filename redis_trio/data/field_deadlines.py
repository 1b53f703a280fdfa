"""When the fields of one hash expire.

A few deadlines are in a dict, of which the earliest is noted; more of them than FEW go to timing
wheels (redis_trio/data/expires.py), so that a million fields that expire are found one after the
other and nothing is ever sorted or scanned as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Final

from redis_trio.data.expires import NEVER, Expires

if TYPE_CHECKING:
    from redis_trio.data.key_set import KeySet
    from redis_trio.data.table import Table

FEW: Final = 128


class FieldDeadlines:
    """The deadlines of a hash's fields, in ms since the epoch.

    Attributes:
      few: `{field: deadline}` while there are few, else empty.
      many: all of them, once there were more than FEW at a time.
    """

    __slots__ = ("_first_ms", "few", "many")

    def __init__(self) -> None:
        self.few: dict[bytes, int] = {}
        self.many: Expires | None = None
        self._first_ms = NEVER  # none in `few` is earlier

    def __len__(self) -> int:
        many = self.many
        return len(self.few) if many is None else len(many)

    def get(self, field: bytes) -> int:
        """Return the deadline of a field, NEVER if it has none."""
        many = self.many
        return self.few.get(field, NEVER) if many is None else many.get(field)

    def set(self, field: bytes, when_ms: int) -> None:
        """Give a field a deadline, or another one."""
        many = self.many
        if many is not None:
            many.set(field, when_ms)
            return
        few = self.few
        few[field] = when_ms
        if self._first_ms == NEVER or when_ms < self._first_ms:
            self._first_ms = when_ms
        if len(few) > FEW:
            self.many = many = Expires(self._first_ms)
            for name, name_ms in few.items():
                many.set(name, name_ms)
            self.few = {}

    def remove(self, field: bytes) -> int:
        """Take the deadline of a field away and return it; NEVER if it had none."""
        many = self.many
        if many is not None:
            return many.remove(field)
        when_ms = self.few.pop(field, NEVER)
        if not self.few:
            self._first_ms = NEVER
        return when_ms

    def next_ms(self) -> int:
        """Return when `pop_due` should be called, NEVER if there is no deadline.

        No deadline is earlier; it can turn out that there is nothing to pop yet.
        """
        many = self.many
        return self._first_ms if many is None else many.next_ms()

    def pop_due(self, now_ms: int, limit: int) -> list[bytes]:
        """Return fields whose deadline has passed, in order: at most `limit`, or FEW.

        The fields keep their deadline and are not returned again: the caller has to remove them.
        """
        many = self.many
        if many is not None:
            return many.pop_due(now_ms, limit)
        if self._first_ms == NEVER or self._first_ms > now_ms:
            return []
        due: list[tuple[int, bytes]] = []
        self._first_ms = NEVER
        for field, when_ms in self.few.items():
            if when_ms <= now_ms:
                due.append((when_ms, field))
            elif self._first_ms == NEVER or when_ms < self._first_ms:
                self._first_ms = when_ms
        due.sort()
        return [field for _, field in due]

    def items(self) -> Iterator[tuple[bytes, int]]:
        """Iterate over (field, deadline). Nothing must change meanwhile."""
        many = self.many
        if many is None:
            return iter(self.few.items())
        shards = many.when.shards()
        return chain.from_iterable(shard.items() for shard in shards)  # type: ignore[misc]

    def copy(self) -> FieldDeadlines:
        """Return the same deadlines, to be changed independently."""
        copied = FieldDeadlines()
        for field, when_ms in self.items():
            copied.set(field, when_ms)
        return copied

    def parts(self) -> list[Table | KeySet]:
        """Return what is worth taking apart: it must not be used any more."""
        return [] if self.many is None else self.many.parts()
