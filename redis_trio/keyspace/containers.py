"""What a value consists of, for who looks inside: its table, or its listpack's entries."""

from __future__ import annotations

from redis_trio.data.expires import NEVER
from redis_trio.data.hash import Hash
from redis_trio.data.list import List
from redis_trio.data.numbers import format_double
from redis_trio.data.set import Set
from redis_trio.data.sorted_set import SortedSet
from redis_trio.data.table import Table


def value_table(value: object) -> Table | None:
    """Return the hash table of a value, None if it has none."""
    if isinstance(value, Hash):
        return value.table
    if isinstance(value, SortedSet):
        return value.table
    return value.table if isinstance(value, Set) else None


def listpack_entries(value: object) -> list[bytes]:
    """Return the entries of the listpack that a compact value is in Redis."""
    if isinstance(value, List):
        return list(value)
    if isinstance(value, Set):
        return value.members()
    found: list[bytes] = []
    if isinstance(value, SortedSet):
        for member, score in value.all_items():
            found += (member, format_double(score))
    elif isinstance(value, Hash):
        for field, text in value.to_dict().items():
            found += (field, text)
            if value.deadlines is not None:
                when_ms = value.deadline(field)
                found.append(b"%d" % (0 if when_ms == NEVER else when_ms))
    return found
