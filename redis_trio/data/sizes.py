"""How much memory an object takes: what the allocator gives for it, not what it asks for.

Small objects come from pymalloc, which rounds up to 16 bytes; bigger ones from malloc, which rounds
the same way and takes 8 bytes of its own. A bytes object has a header of 33 bytes, so a key of 16
bytes takes 64.
"""

from __future__ import annotations

from sys import getsizeof
from typing import Final

ALIGNMENT: Final = 16
BYTES_HEADER: Final = 33
ENTRY_BYTES: Final = 38  # of a Table for each key, see data/table.py
FLOAT_BYTES: Final = 32  # of a score


def block_bytes(thing: object) -> int:
    """Return what an object takes, without what it refers to."""
    return (getsizeof(thing) + ALIGNMENT - 1) & -ALIGNMENT


def string_bytes(text: bytes) -> int:
    """Return what bytes take."""
    return (len(text) + BYTES_HEADER + ALIGNMENT - 1) & -ALIGNMENT
