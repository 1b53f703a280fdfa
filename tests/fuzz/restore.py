"""Damages payloads of RESTORE whose checksum is believed: a value is refused or can be used."""

from __future__ import annotations

import random
import sys
from functools import cache

from redis_trio.keyspace.digest import key_digest
from redis_trio.persistence.crc64 import crc64
from redis_trio.protocol.reply import OK, RedisError, Status
from tests.fuzz.damage import damaged, main, spliced
from tests.fuzz.samples import Server, payloads
from tests.rdb_cases import OLD_VALUES

BAD = "ERR Bad data format"
WRONG = "ERR DUMP payload version or checksum are wrong"
FOOTER = b"\x0c\x00"

USES = {
    b"string": ["APPEND K x", "SETRANGE K 3 yy", "GETRANGE K 1 -2", "SETBIT K 77 1", "PFADD K a"],
    b"list": [
        "LRANGE K 0 -1", "LINDEX K -1", "LPUSH K a", "RPUSH K b", "LINSERT K BEFORE a c",
        "LSET K 0 d", "LREM K 0 a", "LTRIM K 1 -2", "LPOS K d", "RPOP K", "LPOP K 2", "LLEN K",
    ],
    b"set": [
        "SMEMBERS K", "SCARD K", "SADD K 5 new", "SRANDMEMBER K -3", "SPOP K 2", "SISMEMBER K 5",
        "SREM K 5", "SSCAN K 0", "SUNIONSTORE other K", "SINTER K K",
    ],
    b"zset": [
        "ZRANGE K 0 -1 WITHSCORES", "ZRANGE K -inf +inf BYSCORE", "ZRANGE K - + BYLEX", "ZCARD K",
        "ZADD K 5 new", "ZINCRBY K 1 new", "ZRANK K new", "ZPOPMIN K", "ZREM K new",
        "ZRANDMEMBER K -3 WITHSCORES", "ZREMRANGEBYRANK K 0 0", "ZSCAN K 0",
    ],
    b"hash": [
        "HGETALL K", "HLEN K", "HSET K new 1", "HINCRBY K new 5", "HRANDFIELD K -3 WITHVALUES",
        "HSCAN K 0", "HPEXPIRE K 100000 FIELDS 1 new", "HPTTL K FIELDS 2 new a",
        "HPERSIST K FIELDS 1 new", "HDEL K new", "HKEYS K",
    ],
    b"stream": [
        "XRANGE K - +", "XREVRANGE K + - COUNT 3", "XLEN K", "XINFO STREAM K FULL", "XADD K * a b",
        "XINFO GROUPS K", "XREAD COUNT 3 STREAMS K 0", "XGROUP CREATE K fresh 0",
        "XREADGROUP GROUP fresh me COUNT 3 STREAMS K >", "XPENDING K fresh - + 10",
        "XAUTOCLAIM K fresh me 0 0", "XTRIM K MAXLEN ~ 10", "XDEL K 1-1 2-5",
        "XGROUP DESTROY K grp", "XGROUP DESTROY K g1", "XTRIM K MAXLEN 0",
    ],
}  # fmt: skip


@cache
def _samples() -> list[bytes]:
    return payloads() + [value.payload()[:-8] for value in OLD_VALUES]


def make(rng: random.Random) -> bytes:
    """Return the damaged payload of a value, with a checksum that is right."""
    data = rng.choice(_samples())[:-2]
    if rng.random() < 0.1:
        data = spliced(rng, data, rng.choice(_samples())[:-2])
    if rng.random() < 0.05:
        data = bytes((rng.randrange(30),)) + data[1:]
    data = damaged(rng, data, start=1) + FOOTER
    return data + crc64(data).to_bytes(8, "little")


def use(server: Server, key: bytes, rng: random.Random) -> None:
    """Do with a value what clients do, write it and read it again."""
    db = server.state.dbs[0]
    digest = key_digest(db, key)
    payload = server.run(b"DUMP", key)
    if payload is None:
        return  # its fields have expired
    assert isinstance(payload, bytes)
    assert server.run(b"RESTORE", b"copy", b"0", payload, b"REPLACE") is OK
    assert key_digest(db, b"copy") == digest
    for name in (b"ENCODING", b"FREQ", b"IDLETIME"):
        server.run(b"OBJECT", name, key)
    server.run(b"MEMORY", b"USAGE", key)
    server.run(b"DEBUG", b"OBJECT", key)
    kind = server.run(b"TYPE", key)
    assert isinstance(kind, Status)
    lines = USES[kind.text]
    for line in rng.sample(lines, k=min(len(lines), 6)):
        server.run(*[key if word == b"K" else word for word in line.encode().split()])
    if server.run(b"EXISTS", key) == 1:
        key_digest(db, key)
        server.run(b"DUMP", key)
    server.run(b"DEL", key, b"copy")


def check(data: bytes, rng: random.Random) -> None:
    """Restore it and use what there is then."""
    server = Server()
    server.state.config.hash_max_listpack_entries = rng.choice((2, 128))
    reply = server.run(b"RESTORE", b"k", b"0", data)
    if isinstance(reply, RedisError):
        assert reply.message in (BAD, WRONG)
        assert server.run(b"DBSIZE") == 0
        return
    use(server, b"k", rng)


if __name__ == "__main__":
    sys.exit(main(make, check))
