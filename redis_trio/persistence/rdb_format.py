"""The numbers of the RDB format, and the error for bytes that are not in it.

A file is a sequence of opcodes, each one byte with its operands, and of keys, each a type byte, the
key and the value:

    "REDIS" 4 digits | aux fields | functions | (database | hints | keys)* | EOF | 8 bytes CRC

A length takes 1, 2, 5 or 9 bytes, by the two highest bits of the first. Where a string is expected
they can say that there is an integer or a compressed string instead.

Source: Redis rdb.h; https://rdb.fnordig.de/file_format.html
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 12  # what Redis 7.4 writes, and the newest that is read
COMPATIBLE_VERSION: Final = 10  # what Redis 7.0 reads
CHECKSUM_SINCE: Final = 5  # the version whose files end with a CRC

MAGIC: Final = b"REDIS"

SLOT_INFO: Final = 244
FUNCTION2: Final = 245
FUNCTION_PRE_GA: Final = 246
MODULE_AUX: Final = 247
IDLE: Final = 248
FREQ: Final = 249
AUX: Final = 250
RESIZEDB: Final = 251
EXPIRETIME_MS: Final = 252
EXPIRETIME: Final = 253
SELECTDB: Final = 254
EOF: Final = 255

STRING: Final = 0
LIST: Final = 1
SET: Final = 2
ZSET: Final = 3  # scores as text
HASH: Final = 4
ZSET_2: Final = 5  # scores as doubles
MODULE_PRE_GA: Final = 6
MODULE_2: Final = 7
HASH_ZIPMAP: Final = 9
LIST_ZIPLIST: Final = 10
SET_INTSET: Final = 11
ZSET_ZIPLIST: Final = 12
HASH_ZIPLIST: Final = 13
LIST_QUICKLIST: Final = 14  # nodes are ziplists
STREAM_LISTPACKS: Final = 15
HASH_LISTPACK: Final = 16
ZSET_LISTPACK: Final = 17
LIST_QUICKLIST_2: Final = 18  # nodes are listpacks or single elements
STREAM_LISTPACKS_2: Final = 19  # with what XINFO tells of deletions and groups
SET_LISTPACK: Final = 20  # since Redis 7.2
STREAM_LISTPACKS_3: Final = 21  # since Redis 7.2: when consumers were active
HASH_METADATA_PRE_GA: Final = 22  # deadlines of fields are absolute
HASH_LISTPACK_EX_PRE_GA: Final = 23
HASH_METADATA: Final = 24  # deadlines of fields count from the earliest, which stands in front
HASH_LISTPACK_EX: Final = 25
TYPE_MAX: Final = 25
NO_TYPE: Final = 8  # below TYPE_MAX, and never used

# The two highest bits of a length, and what is encoded if they are ENCODED.
BITS_6: Final = 0
BITS_14: Final = 1
BITS_32: Final = 0x80  # the whole byte
BITS_64: Final = 0x81
ENCODED: Final = 3
INT8: Final = 0
INT16: Final = 1
INT32: Final = 2
LZF: Final = 3

PLAIN_NODE: Final = 1
PACKED_NODE: Final = 2

# Scores as text: what stands in place of the length.
SCORE_NAN: Final = 253
SCORE_INF: Final = 254
SCORE_MINUS_INF: Final = 255

# The entries of a stream's node.
DELETED_ENTRY: Final = 1
SAME_FIELDS: Final = 2

MODULE_EOF: Final = 0
MODULE_SINT: Final = 1
MODULE_UINT: Final = 2
MODULE_FLOAT: Final = 3
MODULE_DOUBLE: Final = 4
MODULE_STRING: Final = 5

FIELD_DEADLINE_MAX: Final = 2**48 - 1  # ms, of a hash's field


class RdbError(Exception):
    """Bytes that are no RDB data, or damaged.

    Attributes:
      offset: where it was noticed, in bytes from the beginning.
      reason: what is wrong.
    """

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"{reason} (at byte {offset})")
        self.offset = offset
        self.reason = reason


def length_bytes(size: int) -> bytes:
    """Return a length, or any other number from 0 to 2**64 - 1, as it is encoded."""
    if size < 1 << 6:
        return bytes((size,))
    if size < 1 << 14:
        return bytes((BITS_14 << 6 | size >> 8, size & 0xFF))
    if size < 1 << 32:
        return b"\x80" + size.to_bytes(4, "big")
    return b"\x81" + size.to_bytes(8, "big")


def is_value_type(number: int) -> bool:
    """Return whether a byte is the type of a value."""
    return 0 <= number <= TYPE_MAX and number != NO_TYPE
