"""Data of every type and encoding, as commands that make it; the persistence tests share it."""

from __future__ import annotations

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
