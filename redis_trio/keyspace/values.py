"""What values are, for commands that are indifferent to it: name of the type, encoding, size, copy.

Strings are bare bytes, or a bytearray once they have been changed in place. Values of all other
types are objects of `redis_trio.data` that have the methods of `Collection`. This is the one place
that tells the two kinds apart by looking.

Source: Redis db.c getObjectTypeName.
"""

from __future__ import annotations

from typing import Final, Protocol, cast

from redis_trio.data.sizes import block_bytes
from redis_trio.data.string import SHARED_INTEGERS, string_encoding

SHARED_REFCOUNT: Final = 2**31 - 1
TYPE_NAMES: Final = (b"string", b"list", b"set", b"zset", b"hash", b"stream")


class Collection(Protocol):
    """What the keyspace asks of a value that is no string.

    Attributes:
      type_name: one of TYPE_NAMES.
      counted: for how many bytes it stands in the account of memory (keyspace/account.py).
    """

    type_name: bytes
    counted: int

    def encoding(self) -> bytes:
        """Return what OBJECT ENCODING answers."""
        ...

    def copy(self) -> object:
        """Return a value that is equal and shares nothing that can change."""
        ...

    def free_effort(self) -> int:
        """Return about how many allocations the value consists of, in O(1)."""
        ...

    def __len__(self) -> int:
        """Return the number of elements."""
        ...

    def free_some(self, limit: int) -> int:
        """Free up to about `limit` elements; return how many."""
        ...

    def memory_bytes(self, samples: int) -> int:
        """Return about how much memory the value takes.

        Args:
          samples: of how many elements the mean size is taken; 0: of all.
        """
        ...


def is_string(value: object) -> bool:
    """Return whether a value is a string."""
    return isinstance(value, (bytes, bytearray))


def collection(value: object) -> Collection:
    """Return a value that is no string, as what it is."""
    return cast(Collection, value)


def type_name(value: object) -> bytes:
    """Return the name of a value's type as TYPE answers it; `none` for None."""
    if isinstance(value, (bytes, bytearray)):
        return b"string"
    if value is None:
        return b"none"
    return collection(value).type_name


def encoding(value: object) -> bytes:
    """Return what OBJECT ENCODING answers for a value."""
    if isinstance(value, (bytes, bytearray)):
        return string_encoding(value)
    return collection(value).encoding()


def copy_value(value: object) -> object:
    """Return a copy of a value that shares nothing that can change."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray):
        return bytearray(value)
    return collection(value).copy()


def memory_bytes(value: object, samples: int) -> int:
    """Return about how much memory a value takes; see `Collection.memory_bytes`."""
    if isinstance(value, (bytes, bytearray)):
        return block_bytes(value)
    return collection(value).memory_bytes(samples)


def refcount(value: object, shares_integers: bool) -> int:
    """Return what OBJECT REFCOUNT answers: Redis shares the objects of small integers.

    Args:
      shares_integers: False under an eviction policy that needs an access clock for every key.
    """
    if shares_integers and isinstance(value, bytes) and string_encoding(value) == b"int":
        return SHARED_REFCOUNT if 0 <= int(value) < SHARED_INTEGERS else 1
    return 1
