"""A fingerprint of the data, for DEBUG DIGEST: equal data, equal digest, here and in Redis.

Two operations on 20 bytes: `add` xors the SHA-1 of something in, so that order does not matter;
`mix` adds and then takes the SHA-1 of the result, so that it does.

Source: Redis debug.c xorObjectDigest, computeDatasetDigest.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from redis_trio.data.expires import NEVER
from redis_trio.data.hash import Hash
from redis_trio.data.list import List
from redis_trio.data.numbers import format_grisu
from redis_trio.data.set import Set
from redis_trio.data.sorted_set import SortedSet
from redis_trio.data.stream import Stream
from redis_trio.data.stream_id import MAX_ID, ZERO_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_trio.keyspace.database import Database

_SIZE: Final = 20
# The numbers of the types, as in RDB's first version.
_STRING: Final = 0
_LIST: Final = 1
_SET: Final = 2
_ZSET: Final = 3
_HASH: Final = 4
_STREAM: Final = 6


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
    if isinstance(value, (bytes, bytearray)):
        digest = mix(_mix_type(digest, _STRING), bytes(value))
    elif isinstance(value, List):
        digest = _mix_type(digest, _LIST)
        for element in value:
            digest = mix(digest, element)
    elif isinstance(value, Set):
        digest = _mix_type(digest, _SET)
        for member in value.members():
            digest = add(digest, member)
    elif isinstance(value, SortedSet):
        digest = _mix_type(digest, _ZSET)
        for member, score in value.all_items():
            digest = _add_pair(digest, member, format_grisu(score), False)
    elif isinstance(value, Hash):
        digest = _mix_type(digest, _HASH)
        for field, text in value.to_dict().items():
            digest = _add_pair(digest, field, text, value.deadline(field) != NEVER)
    elif isinstance(value, Stream):
        digest = _stream_digest(_mix_type(digest, _STREAM), value)
    else:
        raise TypeError(f"no digest for {type(value).__name__}")
    if db.expire_ms(key) != NEVER:
        digest = add(digest, b"!!expire!!")
    return digest


def _mix_type(digest: int, number: int) -> int:
    return mix(digest, number.to_bytes(4, "big"))


def _add_pair(digest: int, name: bytes, text: bytes, expires: bool) -> int:
    """Return a digest with a field and its value, or a member and its score, in it."""
    own = mix(mix(0, name), text)
    if expires:
        own = add(own, b"!!hexpire!!")
    return add(digest, own.to_bytes(_SIZE, "big"))


def _stream_digest(digest: int, stream: Stream) -> int:
    """Return a digest with the entries of a stream behind it; its groups do not count."""
    for id_ in stream.ids(ZERO_ID, MAX_ID, 0):
        digest = mix(digest, b"%d.%d" % id_)
        for word in stream.words(id_) or ():
            digest = mix(digest, word)
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
