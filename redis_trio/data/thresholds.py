"""Up to what size a collection has its compact encoding: the `*-max-*` parameters at hand.

The data types know nothing of the configuration; those whose encoding depends on it are given this
object when they change. One server has one, which follows CONFIG SET.

Source: redis.conf, "advanced config".
"""

from __future__ import annotations

from mypy_extensions import i64


class Thresholds:
    """The thresholds of one server, with the defaults of Redis 7.4.

    Attributes:
      list_listpack_size: above 0 elements of one node; -1 to -5: 4, 8, 16, 32, 64 KB.
      list_plain_bytes: elements from so many bytes on have a node of their own; 0: if they are
        bigger than a node (DEBUG QUICKLIST-PACKED-THRESHOLD).
      hash_entries, hash_value: fields of a listpack, bytes of one field or value.
      set_intset, set_entries, set_value: members of an intset, of a listpack, bytes of one.
      zset_entries, zset_value: members of a listpack, bytes of one.
      stream_bytes, stream_entries: of one node of a stream; 0: no limit.
      hll_sparse_bytes: of a sparse HyperLogLog.
    """

    __slots__ = (
        "hash_entries",
        "hash_value",
        "hll_sparse_bytes",
        "list_listpack_size",
        "list_plain_bytes",
        "set_entries",
        "set_intset",
        "set_value",
        "stream_bytes",
        "stream_entries",
        "zset_entries",
        "zset_value",
    )

    def __init__(self) -> None:
        self.list_listpack_size: i64 = -2
        self.list_plain_bytes: i64 = 0
        self.hash_entries: i64 = 512
        self.hash_value: i64 = 64
        self.set_intset: i64 = 512
        self.set_entries: i64 = 128
        self.set_value: i64 = 64
        self.zset_entries: i64 = 128
        self.zset_value: i64 = 64
        self.stream_bytes: i64 = 4096
        self.stream_entries: i64 = 100
        self.hll_sparse_bytes: i64 = 3000
