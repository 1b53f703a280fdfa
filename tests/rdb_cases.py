"""Data of every type and encoding, as commands that make it; the persistence tests share it.

What no server of today writes stands here by hand: encodings of older files, as bytes, beside the
commands that make the same data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from redis_trio.data.listpack import pack
from redis_trio.persistence.crc64 import crc64
from redis_trio.persistence.rdb_format import length_bytes

Words = list[bytes]


def _numbered(name: str, key: str, count: int, form: str) -> Words:
    words = " ".join(form.format(i=i) for i in range(count))
    return f"{name} {key} {words}".encode().split()


# What Redis 7.0 has too. Keys are named after the encoding that they have here.
COMMANDS: list[Words] = [
    [b"SET", b"string", b"hello"],
    [b"SET", b"string:empty", b""],
    [b"SET", b"", b"the empty key"],
    *[[b"SET", b"int:%d" % i, b"%d" % i] for i in (0, -1, 127, -128, 128, 2**15, -(2**31), 2**31)],
    [b"SET", b"int:long", b"-9223372036854775808"],
    [b"SET", b"binary", bytes(range(256))],
    [b"SET", b"compressible", b"abc" * 1000],
    [b"SET", b"long", bytes([i * i * 7 % 251 for i in range(20000)])],
    [b"SETRANGE", b"in place", b"5", b"x"],
    [b"SET", b"expires", b"v", b"EX", b"100000"],
    [b"PFADD", b"hll", *[b"%d" % i for i in range(100)]],
    _numbered("RPUSH", "list:listpack", 5, "{i}"),
    _numbered("RPUSH", "list:quicklist", 3000, "element:{i}"),
    [b"RPUSH", b"list:plain", b"a", b"x" * 9000, b"b", bytes(range(256)) * 50],
    _numbered("SADD", "set:intset16", 10, "{i}"),
    _numbered("SADD", "set:intset32", 10, "1{i}00000"),
    _numbered("SADD", "set:intset64", 10, "-1{i}00000000000"),
    _numbered("SADD", "set:listpack", 10, "m{i}"),
    _numbered("SADD", "set:hashtable", 400, "m{i}"),
    _numbered("HSET", "hash:listpack", 10, "f{i} {i}"),
    _numbered("HSET", "hash:hashtable", 600, "f{i} v{i}"),
    [b"HSET", b"hash:long", b"f", b"v" * 100],
    _numbered("ZADD", "zset:listpack", 10, "{i}.5 m{i}"),
    b"ZADD zset:limits inf a -inf b 0 c 1e300 d 3.0000000000000004 e -17 f".split(),
    _numbered("ZADD", "zset:skiplist", 300, "{i}.25 m{i}"),
    [*b"ZADD zset:long inf".split(), b"m" * 100],
    *[b"XADD stream %d-1 f1 v%d f2 7".__mod__((i, i)).split() for i in range(1, 250)],
    b"XADD stream 300-5 other field 12345678901 x".split(),
    b"XDEL stream 1-1 120-1".split(),
    b"XGROUP CREATE stream g1 0".split(),
    b"XGROUP CREATE stream g2 $".split(),
    b"XREADGROUP GROUP g1 alice COUNT 5 STREAMS stream >".split(),
    b"XREADGROUP GROUP g1 bob COUNT 5 STREAMS stream >".split(),
    b"XACK stream g1 3-1".split(),
    b"XGROUP CREATECONSUMER stream g1 carol".split(),
    b"XADD stream:empty 5-5 a b".split(),
    b"XDEL stream:empty 5-5".split(),
    b"XGROUP CREATE stream:empty g 0".split(),
]

# Fields of hashes that have deadlines, for Redis 7.4 and us.
NEWER_COMMANDS: list[Words] = [
    _numbered("HSET", "hash:listpackex", 6, "f{i} v{i}"),
    b"HEXPIRE hash:listpackex 100000 FIELDS 2 f1 f2".split(),
    b"HEXPIRE hash:listpackex 90000 FIELDS 1 f4".split(),
    _numbered("HSET", "hash:metadata", 600, "f{i} v{i}"),
    b"HEXPIRE hash:metadata 100000 FIELDS 2 f1 f500".split(),
    b"HEXPIRE hash:metadata 200000 FIELDS 1 f7".split(),
]


# -- files by hand


def text(data: bytes) -> bytes:
    """Return a string in its plain encoding."""
    return length_bytes(len(data)) + data


def ziplist(entries: Iterable[bytes]) -> bytes:
    """Return a ziplist of entries that are encoded without the length of the one before."""
    body = b""
    before = last = 0
    count = 0
    for entry in entries:
        last = 10 + len(body)
        prefix = bytes((before,)) if before < 254 else b"\xfe" + struct.pack("<I", before)
        body += prefix + entry
        before = len(prefix + entry)
        count += 1
    head = struct.pack("<IIH", 11 + len(body), last or 10, count)
    return head + body + b"\xff"


def rdb_file(*parts: bytes, version: int = 12) -> bytes:
    """Return a file with these parts and a checksum."""
    data = b"REDIS%04d" % version + b"".join(parts) + b"\xff"
    return data + crc64(data).to_bytes(8, "little") if version >= 5 else data


class OldValue(NamedTuple):
    """A value in an encoding that is not written any more.

    Attributes:
      key: named after the encoding.
      kind: the RDB type.
      data: the value.
      commands: that make the same.
    """

    key: bytes
    kind: int
    data: bytes
    commands: list[Words]

    def entry(self) -> bytes:
        """Return the key and its value as they stand in a file."""
        return bytes((self.kind,)) + text(self.key) + self.data

    def payload(self, version: int = 12) -> bytes:
        """Return the value as RESTORE takes it."""
        data = bytes((self.kind,)) + self.data + version.to_bytes(2, "little")
        return data + crc64(data).to_bytes(8, "little")


def _old(key: str, kind: int, data: bytes, *lines: str) -> OldValue:
    commands = [line.replace("KEY", key, 1).encode().split() for line in lines]
    return OldValue(key.encode(), kind, data, commands)


_A = b"\x01a"
_B = b"\x01b"
_NUMBERS = [b"\xf3", b"\xfe\x80", b"\xc0\x00\x80", b"\xf0\xff\xff\x7f", b"\xd0\0\0\0\x80"]
_LONG = b"\x40\x46" + b"x" * 70
_PAIRS = ziplist([_A, b"\xf3", _B, b"\x033.5"])
_ZIPMAP = b"\x02\x03foo\x03\x02bar..\x01k\xfe\x2c\x01\0\0\x00" + b"x" * 300 + b"\xff"

_ID = (1).to_bytes(8, "big") + bytes(8)
_TIME = (1234).to_bytes(8, "little")
_NODE = pack(b"2 1 1 f 0 2 0 0 a 4 3 0 1 b 4 0 1 5 1 g c 6".split())
_STREAM = b"\x01" + text(_ID) + text(_NODE) + b"\x02" + b"\x02\x05"
_COUNTERS = (
    b"\x01\x00" + b"\x01\x01" + b"\x03"
)  # the first id, the last deleted one, how many added
_GROUP = b"\x01" + text(b"grp") + b"\x01\x00"
_PENDING = b"\x01" + _ID + _TIME + b"\x07"
_CONSUMER = b"\x01" + text(b"me") + _TIME
_OWNED = b"\x01" + _ID
_STREAM_LINES = (
    "XADD KEY 1-0 f a",
    "XADD KEY 2-5 g c",
    "XGROUP CREATE KEY grp 1-0",
    "XCLAIM KEY grp me 0 1-0 TIME 1234 RETRYCOUNT 7 FORCE JUSTID",
)

_FAR = 4102444800000  # ms: a deadline of fields
_FIELDS = pack(f"a 1 {_FAR} b 2 {_FAR + 5} c 3 0".encode().split())
_FIELD_LINES = (
    "HSET KEY a 1 b 2 c 3",
    f"HPEXPIREAT KEY {_FAR} FIELDS 1 a",
    f"HPEXPIREAT KEY {_FAR + 5} FIELDS 1 b",
)


def _fields(first_ms: int) -> bytes:
    """Return the fields of a hash with their deadlines, the earliest of which is `first_ms`."""
    deadlines = (first_ms, first_ms + 5, 0)
    parts = [length_bytes(ms) + b for ms, b in zip(deadlines, _FIELD_TEXTS, strict=True)]
    return b"\x03" + b"".join(parts)


_FIELD_TEXTS = (b"\x01a\x011", b"\x01b\x012", b"\x01c\x013")

OLD_VALUES: list[OldValue] = [
    _old("old:list", 1, b"\x03" + _A + b"\xc0\x07" + text(b"x" * 80), "RPUSH KEY a 7 " + "x" * 80),
    _old(
        *("old:list:ziplist", 10, text(ziplist([_A, *_NUMBERS, _LONG, _B]))),
        "RPUSH KEY a 2 -128 -32768 8388607 -2147483648 " + "x" * 70 + " b",
    ),
    _old(
        *("old:list:quicklist", 14),
        b"\x03" + text(ziplist([_A])) + text(ziplist([])) + text(_PAIRS),
        "RPUSH KEY a a 2 b 3.5",
    ),
    _old(
        *("old:zset:text", 3, b"\x04" + _A + b"\x031.5" + _B + b"\xfe\x01c\xff\x01d\x02-3"),
        "ZADD KEY 1.5 a inf b -inf c -3 d",
    ),
    _old("old:zset:ziplist", 12, text(_PAIRS), "ZADD KEY 2 a 3.5 b"),
    _old("old:hash:ziplist", 13, text(_PAIRS), "HSET KEY a 2 b 3.5"),
    _old("old:hash:zipmap", 9, text(_ZIPMAP), "HSET KEY foo bar k " + "x" * 300),
    _old(
        *("old:stream:1", 15, _STREAM + _GROUP + _PENDING + _CONSUMER + _OWNED),
        *_STREAM_LINES,
    ),
    _old(
        *("old:stream:2", 19),
        _STREAM + _COUNTERS + _GROUP + b"\x01" + _PENDING + _CONSUMER + _OWNED,
        *_STREAM_LINES,
    ),
    _old(
        *("old:stream:3", 21),
        _STREAM + _COUNTERS + _GROUP + b"\x01" + _PENDING + _CONSUMER + _TIME + _OWNED,
        *_STREAM_LINES,
    ),
    _old(
        *("old:set:listpack", 20, text(pack([b"a", b"-5", b"x" * 70]))),
        "SADD KEY a -5 " + "x" * 70,
    ),
    _old("old:hash:22", 22, _fields(_FAR), *_FIELD_LINES),
    _old("old:hash:23", 23, text(_FIELDS), *_FIELD_LINES),
    _old("old:hash:24", 24, _FAR.to_bytes(8, "little") + _fields(1), *_FIELD_LINES),
    _old("old:hash:25", 25, _FAR.to_bytes(8, "little") + text(_FIELDS), *_FIELD_LINES),
]
"""Encodings that Redis 7.0 does not write; it reads those up to 19."""

LIBRARY = b"#!lua name=old\nredis.register_function('f', function() return 7 end)"
MODULE_AUX = b"\xf7\x81" + bytes(8) + b"\x02\x01\x01\x05\x02\x07\x05\x01x\x04" + bytes(8) + b"\x00"
"""What a module has saved beside the keys; its name is AAAAAAAAA."""


def old_file(version: int = 12, *, newest_kind: int = 25) -> bytes:
    """Return a file with all old values up to a type, and with every opcode that stands between."""
    parts = [b"\xfa" + text(b"redis-ver") + text(b"7.4.1")] if version >= 7 else []
    if version >= 10:
        parts.append(b"\xf5" + text(LIBRARY))
    parts.append(b"\xfe\x00")
    if version >= 7:
        parts.append(b"\xfb\x40\x20\x02")
    if version >= 12:
        parts.append(b"\xf4\x00\x01\x00")
    far_s = (2**31 - 1).to_bytes(4, "little")
    parts.append(b"\xfd" + far_s + b"\x00" + text(b"old:expires:s") + text(b"v"))
    if version >= 9:
        parts.append(b"\xf8\x0a\x00" + text(b"old:idle") + text(b"v"))
        parts.append(b"\xf9\x4d\x00" + text(b"old:frequency") + text(b"v"))
    for value in OLD_VALUES:
        if value.kind <= newest_kind:
            deadline = b"\xfc" + _FAR.to_bytes(8, "little") if value.kind % 2 else b""
            parts.append(deadline + value.entry())
    return rdb_file(*parts, version=version)
