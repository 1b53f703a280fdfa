"""What DUMP returns and RESTORE takes: one value, its RDB version and a checksum.

    type | value | 2 bytes version | 8 bytes CRC of all that

Source: Redis cluster.c createDumpPayload, verifyDumpPayload, restoreCommand.
"""

from __future__ import annotations

from typing import Final

from redis_trio.data.thresholds import Thresholds
from redis_trio.persistence.crc64 import crc64
from redis_trio.persistence.rdb_cursor import Cursor, Short
from redis_trio.persistence.rdb_format import VERSION, RdbError, is_value_type
from redis_trio.persistence.rdb_values import Empty, read_value
from redis_trio.persistence.rdb_writer import type_of, value_pieces, version_for

FOOTER: Final = 10


def dump_payload(value: object, compressed: bool) -> bytes:
    """Return the payload of a value, in the oldest version that has all of it."""
    version = version_for(value)
    parts = [bytes((type_of(value, version),))]
    parts += value_pieces(value, version, compressed)
    parts.append(version.to_bytes(2, "little"))
    data = b"".join(parts)
    return data + crc64(data).to_bytes(8, "little")


def is_payload(data: bytes, check_sum: bool) -> bool:
    """Return whether bytes are a payload of a version that is known, and undamaged.

    Args:
      check_sum: False to believe the checksum.
    """
    if len(data) < FOOTER or int.from_bytes(data[-10:-8], "little") > VERSION:
        return False
    return not check_sum or crc64(data[:-8]) == int.from_bytes(data[-8:], "little")


def read_payload(data: bytes, thresholds: Thresholds) -> object:
    """Return the value of a payload.

    Raises:
      RdbError: there is none that can be had.
    """
    cursor = Cursor(data, len(data))
    try:
        kind = cursor.byte()
        if not is_value_type(kind):
            raise cursor.error(f"Unknown RDB encoding type {kind}")
        return read_value(kind, cursor, thresholds)
    except Short:
        raise RdbError(len(data), "Unexpected end of the payload") from None
    except Empty:
        raise RdbError(cursor.pos, "A collection without elements") from None
