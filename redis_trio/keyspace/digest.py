"""A fingerprint of the data, for DEBUG DIGEST: equal data, equal digest, here and in Redis.

Two operations on 20 bytes: `add` xors the SHA-1 of something in, so that order does not matter;
`mix` adds and then takes the SHA-1 of the result, so that it does.

Source: Redis debug.c xorObjectDigest, computeDatasetDigest.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from redis_trio.keyspace.expire import NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_trio.keyspace.database import Database

_SIZE: Final = 20
_STRING: Final = 0  # the number of the type, as in RDB's first version


def add(digest: int, data: bytes) -> int:
    """Return a digest with `data` in it, wherever in the order it comes."""
    return digest ^ int.from_bytes(hashlib.sha1(data).digest(), "big")


def mix(digest: int, data: bytes) -> int:
    """Return a digest with `data` behind all that has been mixed in before."""
    mixed = add(digest, data).to_bytes(_SIZE, "big")
    return int.from_bytes(hashlib.sha1(mixed).digest(), "big")


def key_digest(db: Database, key: bytes, digest: int = 0) -> int:
    """Return `digest` with the value and the deadline of a key, expired or not; 0 for none."""
    value = db.table.get(key)
    if value is None:
        return 0
    if not isinstance(value, (bytes, bytearray)):
        raise TypeError(f"no digest for {type(value).__name__}")
    digest = mix(digest, _STRING.to_bytes(4, "big"))
    digest = mix(digest, bytes(value))
    if db.expire_ms(key) != NEVER:
        digest = add(digest, b"!!expire!!")
    return digest


def dataset_digest(dbs: Sequence[Database]) -> int:
    """Return the digest of all databases."""
    total = 0
    for db in dbs:
        if db.table.count == 0:
            continue
        total = mix(total, db.index.to_bytes(4, "big"))
        for key in db.table.keys():  # noqa: SIM118 (a Table is no dict)
            digest = key_digest(db, key, mix(0, key))
            total = add(total, digest.to_bytes(_SIZE, "big"))
    return total


def digest_text(digest: int) -> bytes:
    """Return a digest as 40 hexadecimal digits."""
    return b"%040x" % digest
