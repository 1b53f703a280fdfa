"""The checksum of RDB files and DUMP payloads: CRC-64 with the polynomial of Jones.

Source: Redis crc64.c.
"""

from __future__ import annotations

from typing import Final

from anycrc import Model

_MODEL: Final = Model("CRC64-REDIS")


def crc64(data: bytes, crc: int = 0) -> int:
    """Return the checksum of `data` behind what has the checksum `crc`."""
    found: int = _MODEL.calc(data, crc)
    return found
