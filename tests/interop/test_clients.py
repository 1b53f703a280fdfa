"""Real clients in a session with every command there is.

redis-py (synchronous, in both protocol versions) and coredis (on Trio, RESP3) send each command
that is declared, once at least, and understand the answer: redis-py's parsers for single commands
run over it. A command without a line in SESSION fails the last test.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import coredis
import pytest
import redis
import trio
from coredis.patterns.cache import LRUCache
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.retry import Retry

import redis_trio.commands  # noqa: F401  (declares every command)
from redis_trio.command import DECLARATIONS
from tests.interop.conftest import Start

ANY: Any = object()
"""Whatever the client makes of it, as long as it is no error."""
OK = (True, "OK", b"OK")


class Fails(NamedTuple):
    """The answer is an error that begins like this (clients drop the ERR)."""

    text: str


class Is(NamedTuple):
    """The answer is one of these: clients and versions differ in types."""

    values: tuple[object, ...]


def yes_or(number: int) -> Is:
    return Is((number, bool(number), b"%d" % number))


DONE = Is(OK)
NO_KEY = Is((-2, None))

CLUSTERLESS = Fails("This instance has cluster support disabled")
SESSION: list[tuple[str, list[str], Any]] = [
    ("AUTH", ["secret"], Fails("AUTH <password> called without any password configured")),
    ("HELLO", [], ANY),
    ("PING", [], ANY),
    ("ECHO", ["a"], b"a"),
    ("CLIENT ID", [], ANY),
    ("CLIENT SETNAME", ["tester"], DONE),
    ("CLIENT GETNAME", [], Is((b"tester", "tester"))),
    ("CLIENT SETINFO", ["LIB-NAME", "tests"], DONE),
    ("CLIENT INFO", [], ANY),
    ("CLIENT LIST", [], ANY),
    ("CLIENT KILL", ["ID", "999999"], yes_or(0)),
    ("CLIENT REPLY", ["ON"], DONE),
    ("CLIENT NO-EVICT", ["ON"], DONE),
    ("CLIENT NO-TOUCH", ["OFF"], DONE),
    ("CLIENT PAUSE", ["0"], DONE),
    ("CLIENT UNPAUSE", [], DONE),
    ("CLIENT UNBLOCK", ["999999"], yes_or(0)),
    ("CLIENT TRACKING", ["ON", "OPTIN"], DONE),
    ("CLIENT CACHING", ["YES"], DONE),
    ("CLIENT TRACKINGINFO", [], ANY),
    ("CLIENT GETREDIR", [], 0),
    ("CLIENT TRACKING", ["OFF"], DONE),
    ("CLIENT HELP", [], ANY),
    ("COMMAND", [], ANY),
    ("COMMAND COUNT", [], ANY),
    ("COMMAND LIST", [], ANY),
    ("COMMAND INFO", ["get", "set"], ANY),
    ("COMMAND DOCS", ["get"], ANY),
    ("COMMAND GETKEYS", ["MSET", "a", "b", "c", "d"], ANY),
    ("COMMAND GETKEYSANDFLAGS", ["GET", "a"], ANY),
    ("COMMAND HELP", [], ANY),
    ("CONFIG GET", ["max*"], ANY),
    ("CONFIG SET", ["timeout", "0"], DONE),
    ("CONFIG REWRITE", [], Fails("The server is running without a config file")),
    ("CONFIG RESETSTAT", [], DONE),
    ("CONFIG HELP", [], ANY),
    ("ACL SETUSER", ["someone", "on", ">p", "~a*", "&news", "+get", "(+@read ~b)"], DONE),
    ("ACL GETUSER", ["someone"], ANY),
    ("ACL LIST", [], ANY),
    ("ACL USERS", [], Is((["default", "someone"], [b"default", b"someone"]))),
    ("ACL DRYRUN", ["someone", "GET", "abc"], DONE),
    ("ACL WHOAMI", [], Is((b"default", "default"))),
    ("ACL CAT", ["transaction"], ANY),
    ("ACL GENPASS", ["16"], ANY),
    ("ACL LOG", ["5"], ANY),
    ("ACL LOG", ["RESET"], DONE),
    ("ACL LOAD", [], Fails("This Redis instance is not configured to use an ACL file")),
    ("ACL SAVE", [], Fails("This Redis instance is not configured to use an ACL file")),
    ("ACL DELUSER", ["someone"], 1),
    ("ACL HELP", [], ANY),
    ("DEBUG", ["SLEEP", "0"], DONE),
    ("LATENCY HELP", [], ANY),
    ("LATENCY LATEST", [], []),
    ("LATENCY HISTORY", ["command"], []),
    ("LATENCY GRAPH", ["command"], Fails("No samples available for event 'command'")),
    ("LATENCY DOCTOR", [], ANY),
    ("LATENCY HISTOGRAM", ["ping"], ANY),
    ("LATENCY RESET", [], 0),
    ("SLOWLOG HELP", [], ANY),
    ("SLOWLOG RESET", [], DONE),
    ("SLOWLOG GET", ["0"], []),
    ("SLOWLOG LEN", [], ANY),
    ("MODULE HELP", [], ANY),
    ("MODULE LIST", [], []),
    ("MODULE LOAD", ["x.so"], Fails("MODULE command not allowed.")),
    ("MODULE LOADEX", ["x.so"], Fails("MODULE command not allowed.")),
    ("MODULE UNLOAD", ["x"], Fails("MODULE command not allowed.")),
    ("RESTORE-ASKING", ["k", "0", "x"], Fails("DUMP payload version or checksum are wrong")),
    ("ASKING", [], CLUSTERLESS),
    ("CLUSTER ADDSLOTS", ["1"], CLUSTERLESS),
    ("CLUSTER ADDSLOTSRANGE", ["1", "1"], CLUSTERLESS),
    ("CLUSTER BUMPEPOCH", [], CLUSTERLESS),
    ("CLUSTER COUNT-FAILURE-REPORTS", ["1"], CLUSTERLESS),
    ("CLUSTER COUNTKEYSINSLOT", ["1"], CLUSTERLESS),
    ("CLUSTER DELSLOTS", ["1"], CLUSTERLESS),
    ("CLUSTER DELSLOTSRANGE", ["1", "1"], CLUSTERLESS),
    ("CLUSTER FAILOVER", [], CLUSTERLESS),
    ("CLUSTER FLUSHSLOTS", [], CLUSTERLESS),
    ("CLUSTER FORGET", ["1"], CLUSTERLESS),
    ("CLUSTER GETKEYSINSLOT", ["1", "1"], CLUSTERLESS),
    ("CLUSTER HELP", [], CLUSTERLESS),
    ("CLUSTER INFO", [], CLUSTERLESS),
    ("CLUSTER KEYSLOT", ["1"], CLUSTERLESS),
    ("CLUSTER LINKS", [], CLUSTERLESS),
    ("CLUSTER MEET", ["1", "1"], CLUSTERLESS),
    ("CLUSTER MYID", [], CLUSTERLESS),
    ("CLUSTER MYSHARDID", [], CLUSTERLESS),
    ("CLUSTER NODES", [], CLUSTERLESS),
    ("CLUSTER REPLICAS", ["1"], CLUSTERLESS),
    ("CLUSTER REPLICATE", ["1"], CLUSTERLESS),
    ("CLUSTER RESET", [], CLUSTERLESS),
    ("CLUSTER SAVECONFIG", [], CLUSTERLESS),
    ("CLUSTER SET-CONFIG-EPOCH", ["1"], CLUSTERLESS),
    ("CLUSTER SETSLOT", ["1", "1"], CLUSTERLESS),
    ("CLUSTER SHARDS", [], CLUSTERLESS),
    ("CLUSTER SLAVES", ["1"], CLUSTERLESS),
    ("CLUSTER SLOTS", [], CLUSTERLESS),
    ("READONLY", [], CLUSTERLESS),
    ("READWRITE", [], CLUSTERLESS),
    ("SET", ["k", "v"], DONE),
    ("GET", ["k"], b"v"),
    ("SETNX", ["k", "w"], yes_or(0)),
    ("SETEX", ["e", "100", "v"], DONE),
    ("PSETEX", ["p", "100000", "v"], DONE),
    ("GETSET", ["k", "v2"], b"v"),
    ("GETEX", ["k", "EX", "100"], b"v2"),
    ("GETDEL", ["k"], b"v2"),
    ("MSET", ["a", "1", "b", "2"], DONE),
    ("MSETNX", ["a", "1", "c", "2"], yes_or(0)),
    ("MGET", ["a", "b", "c"], Is(([b"1", b"2", None], (b"1", b"2", None)))),
    ("APPEND", ["a", "0"], 2),
    ("STRLEN", ["a"], 2),
    ("SETRANGE", ["a", "1", "5"], 2),
    ("GETRANGE", ["a", "0", "-1"], b"15"),
    ("SUBSTR", ["a", "0", "0"], b"1"),
    ("INCR", ["a"], 16),
    ("DECR", ["a"], 15),
    ("INCRBY", ["a", "5"], 20),
    ("DECRBY", ["a", "10"], 10),
    ("INCRBYFLOAT", ["a", "0.5"], Is((10.5, b"10.5"))),
    ("LCS", ["e", "p"], b"v"),
    ("LCS", ["e", "p", "IDX"], ANY),
    ("HSET", ["h", "f", "1", "g", "2"], 2),
    ("HMSET", ["h", "i", "3"], DONE),
    ("HSETNX", ["h", "f", "4"], yes_or(0)),
    ("HGET", ["h", "f"], b"1"),
    ("HMGET", ["h", "f", "none"], Is(([b"1", None], (b"1", None)))),
    ("HGETALL", ["h"], ANY),
    ("HKEYS", ["h"], ANY),
    ("HVALS", ["h"], ANY),
    ("HLEN", ["h"], 3),
    ("HEXISTS", ["h", "f"], yes_or(1)),
    ("HSTRLEN", ["h", "f"], 1),
    ("HINCRBY", ["h", "f", "2"], 3),
    ("HINCRBYFLOAT", ["h", "f", "0.5"], Is((3.5, b"3.5"))),
    ("HRANDFIELD", ["h"], ANY),
    ("HRANDFIELD", ["h", "2", "WITHVALUES"], ANY),
    ("HSCAN", ["h", "0"], ANY),
    ("HSCAN", ["h", "0", "NOVALUES"], ANY),
    ("HEXPIRE", ["h", "100", "FIELDS", "2", "f", "none"], Is(([1, -2], (1, -2)))),
    ("HPEXPIRE", ["h", "100000", "FIELDS", "1", "g"], Is(([1], (1,)))),
    ("HEXPIREAT", ["h", "4000000000", "FIELDS", "1", "f"], Is(([1], (1,)))),
    ("HPEXPIREAT", ["h", "4000000000000", "FIELDS", "1", "f"], Is(([1], (1,)))),
    ("HTTL", ["h", "FIELDS", "2", "i", "none"], Is(([-1, -2], (-1, -2)))),
    ("HPTTL", ["h", "FIELDS", "1", "i"], Is(([-1], (-1,)))),
    ("HEXPIRETIME", ["h", "FIELDS", "1", "f"], Is(([4000000000], (4000000000,)))),
    ("HPEXPIRETIME", ["h", "FIELDS", "1", "f"], Is(([4000000000000], (4000000000000,)))),
    ("HPERSIST", ["h", "FIELDS", "1", "f"], Is(([1], (1,)))),
    ("HDEL", ["h", "f", "g", "i"], 3),
    ("EXPIRE", ["a", "100"], yes_or(1)),
    ("PEXPIRE", ["a", "100000"], yes_or(1)),
    ("EXPIREAT", ["a", "4000000000"], yes_or(1)),
    ("PEXPIREAT", ["a", "4000000000000"], yes_or(1)),
    ("TTL", ["none"], NO_KEY),
    ("PTTL", ["none"], NO_KEY),
    ("EXPIRETIME", ["a"], ANY),
    ("PEXPIRETIME", ["a"], ANY),
    ("PERSIST", ["a"], yes_or(1)),
    ("EXISTS", ["a", "b", "none"], 2),
    ("TOUCH", ["a"], yes_or(1)),
    ("TYPE", ["a"], Is((b"string", "string"))),
    ("KEYS", ["a*"], Is(([b"a"], {b"a"}))),
    ("SCAN", ["0", "COUNT", "100"], ANY),
    ("RANDOMKEY", [], ANY),
    ("RENAME", ["a", "d"], DONE),
    ("RENAMENX", ["d", "b"], yes_or(0)),
    ("COPY", ["d", "f"], yes_or(1)),
    ("MOVE", ["f", "1"], yes_or(1)),
    ("OBJECT ENCODING", ["d"], Is((b"embstr", "embstr"))),
    ("OBJECT REFCOUNT", ["d"], ANY),
    ("OBJECT IDLETIME", ["d"], ANY),
    ("OBJECT FREQ", ["d"], Fails("An LFU maxmemory policy is not selected")),
    ("OBJECT HELP", [], ANY),
    ("DEL", ["d"], yes_or(1)),
    ("UNLINK", ["b"], yes_or(1)),
    ("DBSIZE", [], 2),
    ("TIME", [], ANY),
    ("INFO", [], ANY),
    ("LOLWUT", [], ANY),
    ("RPUSH", ["unsorted", "2", "1"], 2),
    ("SORT", ["unsorted", "DESC"], Is(([b"2", b"1"],))),
    ("SORT_RO", ["unsorted"], Is(([b"1", b"2"],))),
    ("MEMORY USAGE", ["unsorted", "SAMPLES", "0"], ANY),
    ("MEMORY STATS", [], ANY),
    ("MEMORY DOCTOR", [], ANY),
    ("MEMORY MALLOC-STATS", [], ANY),
    ("MEMORY PURGE", [], DONE),
    ("MEMORY HELP", [], ANY),
    ("EVAL", ["return ARGV[1]", "0", "x"], Is((b"x", "x"))),
    ("EVAL_RO", ["return 5", "0"], 5),
    ("SCRIPT LOAD", ["return 7"], ANY),
    ("EVALSHA", ["59b6ab2fbe0ee4b25733de0f62e6cda4899ef8e9", "0"], ANY),
    ("EVALSHA_RO", ["59b6ab2fbe0ee4b25733de0f62e6cda4899ef8e9", "0"], ANY),
    ("SCRIPT EXISTS", ["no"], ANY),
    ("SCRIPT KILL", [], Fails("No scripts in execution right now.")),
    ("SCRIPT FLUSH", [], DONE),
    ("SCRIPT HELP", [], ANY),
    (
        "FUNCTION LOAD",
        [
            (
                "#!lua name=lib\nredis.register_function{function_name='f', flags={'no-writes'}, "
                "callback=function(keys, args) return args[1] end}"
            )
        ],
        Is((b"lib", "lib")),
    ),
    ("FCALL", ["f", "0", "x"], Is((b"x", "x"))),
    ("FCALL_RO", ["f", "0", "x"], Is((b"x", "x"))),
    ("FUNCTION LIST", [], ANY),
    ("FUNCTION STATS", [], ANY),
    ("FUNCTION DUMP", [], ANY),
    ("FUNCTION KILL", [], Fails("No scripts in execution right now.")),
    ("FUNCTION RESTORE", ["x"], Fails("DUMP payload version or checksum are wrong")),
    ("FUNCTION DELETE", ["lib"], DONE),
    ("FUNCTION FLUSH", [], DONE),
    ("FUNCTION HELP", [], ANY),
    ("SETBIT", ["bits", "7", "1"], yes_or(0)),
    ("GETBIT", ["bits", "7"], yes_or(1)),
    ("BITCOUNT", ["bits"], 1),
    ("BITPOS", ["bits", "1"], 7),
    ("BITOP", ["NOT", "bits2", "bits"], 1),
    ("BITFIELD", ["bits", "GET", "u8", "0"], Is(([1], (1,)))),
    ("BITFIELD_RO", ["bits", "GET", "u8", "0"], Is(([1], (1,)))),
    ("DEL", ["bits", "bits2"], 2),
    ("RPUSH", ["l1", "a", "b"], 2),
    ("LPUSH", ["l1", "c"], 3),
    ("LPUSHX", ["l1", "d"], 4),
    ("RPUSHX", ["none", "d"], 0),
    ("LLEN", ["l1"], 4),
    ("LRANGE", ["l1", "0", "-1"], Is(([b"d", b"c", b"a", b"b"], (b"d", b"c", b"a", b"b")))),
    ("LINDEX", ["l1", "-1"], b"b"),
    ("LSET", ["l1", "0", "e"], DONE),
    ("LINSERT", ["l1", "BEFORE", "a", "x"], 5),
    ("LREM", ["l1", "0", "x"], 1),
    ("LPOS", ["l1", "b"], 3),
    ("LTRIM", ["l1", "0", "2"], DONE),
    ("LMOVE", ["l1", "l2", "LEFT", "RIGHT"], b"e"),
    ("RPOPLPUSH", ["l1", "l2"], b"a"),
    ("BLMOVE", ["l2", "l1", "LEFT", "RIGHT", "0"], b"a"),
    ("BRPOPLPUSH", ["l2", "l1", "0"], b"e"),
    ("LMPOP", ["1", "l1", "LEFT"], Is(([b"l1", [b"e"]], (b"l1", [b"e"]), (b"l1", (b"e",))))),
    ("BLMPOP", ["0", "1", "l1", "RIGHT"], ANY),
    ("RPUSH", ["l1", "f", "g"], 3),
    ("BLPOP", ["l1", "0"], Is(((b"l1", b"c"), [b"l1", b"c"]))),
    ("BRPOP", ["l1", "0"], Is(((b"l1", b"g"), [b"l1", b"g"]))),
    ("LPOP", ["l1"], b"f"),
    ("RPOP", ["l1"], None),
    ("SADD", ["s1", "a", "b", "3"], 3),
    ("SADD", ["s2", "b", "3", "c"], 3),
    ("SREM", ["s2", "none"], 0),
    ("SCARD", ["s1"], 3),
    ("SISMEMBER", ["s1", "a"], yes_or(1)),
    ("SMISMEMBER", ["s1", "a", "c"], Is(([1, 0], (1, 0), (True, False)))),
    ("SMEMBERS", ["s1"], Is(({b"a", b"b", b"3"}, [b"a", b"b", b"3"]))),
    ("SINTER", ["s1", "s2"], Is(({b"b", b"3"}, [b"b", b"3"]))),
    ("SINTERCARD", ["2", "s1", "s2"], 2),
    ("SINTERSTORE", ["s3", "s1", "s2"], 2),
    ("SUNION", ["s1", "s2"], ANY),
    ("SUNIONSTORE", ["s3", "s1", "s2"], 4),
    ("SDIFF", ["s1", "s2"], Is(({b"a"}, [b"a"]))),
    ("SDIFFSTORE", ["s3", "s1", "s2"], 1),
    ("SRANDMEMBER", ["s3"], b"a"),
    ("SRANDMEMBER", ["s3", "-2"], Is(([b"a", b"a"], {b"a"}))),
    ("SSCAN", ["s3", "0"], ANY),
    ("SMOVE", ["s1", "s3", "b"], yes_or(1)),
    ("SPOP", ["s2", "2"], ANY),
    ("SPOP", ["s1", "9"], ANY),
    ("SPOP", ["s1"], None),
    ("DEL", ["s2", "s3"], 2),
    ("PFADD", ["h1", "a", "b"], yes_or(1)),
    ("PFADD", ["h2", "b", "c"], yes_or(1)),
    ("PFCOUNT", ["h1"], 2),
    ("PFCOUNT", ["h1", "h2"], 3),
    ("PFMERGE", ["h3", "h1", "h2"], DONE),
    ("PFDEBUG", ["TODENSE", "h3"], yes_or(1)),
    ("PFSELFTEST", [], DONE),
    ("DEL", ["h1", "h2", "h3"], 3),
    ("XGROUP CREATE", ["jobs", "g", "$", "MKSTREAM"], DONE),
    ("XGROUP SETID", ["jobs", "g", "0"], DONE),
    ("XGROUP CREATECONSUMER", ["jobs", "g", "c"], yes_or(1)),
    ("XADD", ["jobs", "1-1", "f", "v"], b"1-1"),
    ("XREADGROUP", ["GROUP", "g", "c", "STREAMS", "jobs", ">"], ANY),
    ("XPENDING", ["jobs", "g"], ANY),
    ("XCLAIM", ["jobs", "g", "d", "0", "1-1"], ANY),
    ("XAUTOCLAIM", ["jobs", "g", "c", "0", "-"], ANY),
    ("XINFO GROUPS", ["jobs"], ANY),
    ("XINFO CONSUMERS", ["jobs", "g"], ANY),
    ("XACK", ["jobs", "g", "1-1"], yes_or(1)),
    ("XGROUP DELCONSUMER", ["jobs", "g", "d"], yes_or(0)),
    ("XGROUP DESTROY", ["jobs", "g"], yes_or(1)),
    ("XGROUP HELP", [], ANY),
    ("XLEN", ["jobs"], 1),
    ("XRANGE", ["jobs", "-", "+"], ANY),
    ("XREVRANGE", ["jobs", "+", "-", "COUNT", "1"], ANY),
    ("XREAD", ["COUNT", "1", "STREAMS", "jobs", "0"], ANY),
    ("XREAD", ["BLOCK", "1", "STREAMS", "jobs", "$"], ANY),
    ("XINFO STREAM", ["jobs"], ANY),
    ("XINFO HELP", [], ANY),
    ("XDEL", ["jobs", "1-1"], yes_or(1)),
    ("XTRIM", ["jobs", "MAXLEN", "0"], yes_or(0)),
    ("XSETID", ["jobs", "9-9"], DONE),
    ("ZADD", ["z", "1", "a", "2", "b", "3", "c"], 3),
    ("ZADD", ["z", "INCR", "1", "c"], Is((4.0, b"4"))),
    ("ZINCRBY", ["z", "1.5", "c"], Is((5.5, b"5.5"))),
    ("ZCARD", ["z"], 3),
    ("ZSCORE", ["z", "c"], Is((5.5, b"5.5"))),
    ("ZMSCORE", ["z", "a", "x"], Is(([1.0, None], [b"1", None]))),
    ("ZRANK", ["z", "b"], 1),
    ("ZREVRANK", ["z", "b", "WITHSCORE"], ANY),
    ("ZRANGE", ["z", "0", "1"], [b"a", b"b"]),
    ("ZRANGE", ["z", "(1", "inf", "BYSCORE", "LIMIT", "0", "9", "WITHSCORES"], ANY),
    ("ZREVRANGE", ["z", "0", "0", "WITHSCORES"], ANY),
    ("ZRANGEBYSCORE", ["z", "2", "+inf"], [b"b", b"c"]),
    ("ZREVRANGEBYSCORE", ["z", "+inf", "2", "WITHSCORES"], ANY),
    ("ZRANGEBYLEX", ["z", "-", "(b"], [b"a"]),
    ("ZREVRANGEBYLEX", ["z", "(b", "-"], [b"a"]),
    ("ZCOUNT", ["z", "-inf", "(2"], 1),
    ("ZLEXCOUNT", ["z", "-", "+"], 3),
    ("ZRANGESTORE", ["zd", "z", "0", "-1"], 3),
    ("ZREM", ["zd", "a", "x"], yes_or(1)),
    ("ZPOPMIN", ["zd"], ANY),
    ("ZPOPMAX", ["zd", "2"], ANY),
    ("ZREMRANGEBYRANK", ["z", "0", "0"], yes_or(1)),
    ("ZREMRANGEBYSCORE", ["z", "2", "2"], yes_or(1)),
    ("ZREMRANGEBYLEX", ["z", "-", "+"], yes_or(1)),
    ("ZADD", ["z1", "1", "a", "2", "b"], 2),
    ("ZADD", ["z2", "3", "b", "4", "c"], 2),
    ("ZUNION", ["2", "z1", "z2"], [b"a", b"c", b"b"]),
    ("ZUNION", ["2", "z1", "z2", "WITHSCORES"], ANY),
    ("ZINTER", ["2", "z1", "z2"], [b"b"]),
    ("ZDIFF", ["2", "z1", "z2"], [b"a"]),
    ("ZINTERCARD", ["2", "z1", "z2"], 1),
    ("ZUNIONSTORE", ["z3", "2", "z1", "z2"], 3),
    ("ZINTERSTORE", ["z3", "2", "z1", "z2"], 1),
    ("ZDIFFSTORE", ["z3", "2", "z1", "z2"], 1),
    ("ZRANDMEMBER", ["z3"], b"a"),
    ("ZRANDMEMBER", ["z3", "2", "WITHSCORES"], ANY),
    ("ZSCAN", ["z3", "0"], ANY),
    ("ZMPOP", ["1", "z1", "MIN"], ANY),
    ("BZMPOP", ["0", "1", "z1", "MAX"], ANY),
    ("BZPOPMIN", ["z2", "0"], ANY),
    ("BZPOPMAX", ["z2", "0"], ANY),
    ("GEOADD", ["geo", "13.361389", "38.115556", "p", "15.087269", "37.502669", "c"], 2),
    ("GEODIST", ["geo", "p", "c", "km"], Is((166.2742, b"166.2742"))),
    ("GEOHASH", ["geo", "p"], Is(([b"sqc8b49rny0"], ["sqc8b49rny0"]))),
    ("GEOPOS", ["geo", "p", "none"], ANY),
    ("GEOSEARCH", ["geo", "FROMMEMBER", "p", "BYRADIUS", "1", "m"], Is(([b"p"], (b"p",)))),
    ("GEOSEARCHSTORE", ["geo2", "geo", "FROMLONLAT", "15", "37", "BYBOX", "9", "9", "km"], 0),
    ("GEORADIUS", ["geo", "15", "37", "100", "km"], Is(([b"c"], (b"c",)))),
    ("GEORADIUS_RO", ["geo", "15", "37", "200", "km", "WITHDIST", "WITHCOORD"], ANY),
    ("GEORADIUSBYMEMBER", ["geo", "p", "1", "km", "STORE", "geo2"], 1),
    ("GEORADIUSBYMEMBER_RO", ["geo", "p", "1", "km"], Is(([b"p"], (b"p",)))),
    ("DEL", ["z3", "geo", "geo2"], 3),
    ("DUMP", ["not there"], None),
    ("MIGRATE", ["127.0.0.1", "1", "not there", "0", "1"], b"NOKEY"),
    ("RESTORE", ["r", "0", "x"], Fails("DUMP payload version or checksum are wrong")),
    ("SAVE", [], DONE),
    ("BGSAVE", ["SCHEDULE", "now"], Fails("syntax error")),
    ("LASTSAVE", [], ANY),
    ("BGREWRITEAOF", [], ANY),
    ("SWAPDB", ["0", "1"], DONE),
    ("FLUSHDB", [], DONE),
    ("FLUSHALL", [], DONE),
    ("SELECT", ["0"], DONE),
    ("PUBLISH", ["news", "x"], 0),
    ("SPUBLISH", ["news", "x"], 0),
    ("PUBSUB CHANNELS", [], []),
    ("PUBSUB NUMSUB", ["a"], ANY),
    ("PUBSUB NUMPAT", [], 0),
    ("PUBSUB SHARDCHANNELS", [], []),
    ("PUBSUB SHARDNUMSUB", ["a"], ANY),
    ("PUBSUB HELP", [], ANY),
    ("ROLE", [], ANY),
    ("WAIT", ["0", "0"], 0),
    ("WAITAOF", ["0", "0", "0"], [0, 0]),
    ("REPLICAOF", ["NO", "ONE"], DONE),
    ("SLAVEOF", ["NO", "ONE"], DONE),
    ("FAILOVER", [], Fails("FAILOVER requires connected replicas.")),
    ("REPLCONF", ["rdb-filter-only", "functions"], DONE),
    ("SYNC", [], Fails("Filtered replica requires EOF capability")),
    ("PSYNC", ["?", "-1"], Fails("Filtered replica requires EOF capability")),
    ("WATCH", ["watched"], DONE),
    ("UNWATCH", [], DONE),
    ("MULTI", [], DONE),
    ("DISCARD", [], DONE),
    ("MULTI", [], DONE),
    ("UNDO", [], []),
    ("EXEC", [], []),
    ("RESET", [], Is((b"RESET", "RESET"))),
]

LAST = {"QUIT", "SHUTDOWN"}
SUBSCRIBING = {
    "SUBSCRIBE",
    "PSUBSCRIBE",
    "SSUBSCRIBE",
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE",
    "SUNSUBSCRIBE",
    "MONITOR",
}
"""Commands that the clients send for an object of theirs that listens."""
"""These end the session, each in its own way."""


def check(name: str, expected: Any, answer: object) -> None:
    """Compare an answer, or the error that came instead."""
    if isinstance(expected, Fails):
        assert isinstance(answer, redis.RedisError | coredis.exceptions.RedisError), name
        assert expected.text in str(answer), name
    elif isinstance(answer, Exception):
        raise answer
    elif isinstance(expected, Is):
        assert any(answer == value for value in expected.values), (name, answer)
    elif expected is not ANY:
        assert answer == expected, name


@pytest.fixture
def port(start_ours: Start) -> int:
    """A server for this session alone, since SHUTDOWN ends it."""
    return start_ours()


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def resp(request: pytest.FixtureRequest) -> int:
    """The protocol version."""
    version: int = request.param
    return version


def test_redis_py_in_a_session_of_every_command(port: int, resp: int) -> None:
    once = Retry(NoBackoff(), 0)
    with redis.Redis(port=port, protocol=resp, retry=once) as client:
        for name, args, expected in SESSION:
            try:
                answer = client.execute_command(name, *args)
            except (redis.ResponseError, redis.AuthenticationError) as error:
                answer = error
            check(name, expected, answer)
        assert client.execute_command("QUIT") in OK
        with pytest.raises(redis.ConnectionError):
            client.execute_command("SHUTDOWN", "NOSAVE")


def test_redis_py_pipelines(port: int, resp: int) -> None:
    with redis.Redis(port=port, protocol=resp) as client:
        pipeline = client.pipeline(transaction=False)
        for i in range(1000):
            pipeline.set(f"k{i}", i)
            pipeline.get(f"k{i}")
        answers = pipeline.execute()
        assert answers == [item for i in range(1000) for item in (True, b"%d" % i)]


def test_redis_py_transactions_with_watch(port: int, resp: int) -> None:
    with redis.Redis(port=port, protocol=resp) as client:
        client.set("count", 1)

        def double(pipeline: Any) -> None:
            count = int(pipeline.get("count"))
            if count == 1:
                client.incr("count")  # behind its back, the first time
            pipeline.multi()
            pipeline.set("count", count * 2)

        assert client.transaction(double, "count") == [True]
        assert client.get("count") == b"4"
        with client.pipeline() as pipeline:
            pipeline.set("a", "text").incr("a").get("a")
            answers = pipeline.execute(raise_on_error=False)
        assert answers[0] is True
        assert isinstance(answers[1], redis.ResponseError)
        assert answers[2] == b"text"


async def test_coredis_transactions_with_watch(port: int) -> None:
    async with coredis.Redis(port=port) as client:

        async def increment(pipeline: Any) -> None:
            value = await client.get("count")
            pipeline.set("count", int(value or 0) + 1)

        for _ in range(3):
            await client.transaction(increment, "count", watch_delay=0.001)
        assert await client.get("count") == b"3"


def test_redis_py_listens(port: int, resp: int) -> None:
    with redis.Redis(port=port, protocol=resp) as client, client.pubsub() as pubsub:

        def heard() -> tuple[object, ...]:
            message = pubsub.get_message(timeout=10)
            assert message is not None
            return message["type"], message["pattern"], message["channel"], message["data"]

        pubsub.subscribe("news")
        assert heard() == ("subscribe", None, b"news", 1)
        pubsub.psubscribe("n*")
        assert heard() == ("psubscribe", None, b"n*", 2)
        pubsub.ssubscribe("shard")
        assert heard() == ("ssubscribe", None, b"shard", 1)
        assert client.publish("news", "hello") == 2
        assert heard() == ("message", None, b"news", b"hello")
        assert heard() == ("pmessage", b"n*", b"news", b"hello")
        assert client.execute_command("SPUBLISH", "shard", "hello") == 1
        assert client.pubsub_numsub("news") == [(b"news", 1)]
        message = pubsub.get_sharded_message(timeout=10)
        assert message is not None
        assert (message["type"], message["data"]) == ("smessage", b"hello")
        pubsub.ping()
        pubsub.unsubscribe()
        pubsub.punsubscribe()
        pubsub.sunsubscribe("shard")
        kinds = set()
        while pubsub.subscribed:
            kinds.add(heard()[0])
        assert kinds == {"pong", "unsubscribe", "punsubscribe", "sunsubscribe"}
        client.config_set("notify-keyspace-events", "KEA")
        pubsub.subscribe("__keyevent@0__:expired", "__keyspace@0__:k")
        assert [heard()[0], heard()[0]] == ["subscribe", "subscribe"]
        client.set("k", "v", px=1)
        events = [heard()[3] for _ in range(4)]
        assert sorted(events) == [b"expire", b"expired", b"k", b"set"]  # type: ignore[type-var]


def test_redis_py_monitors(port: int, resp: int) -> None:
    with redis.Redis(port=port, protocol=resp) as client, client.monitor() as monitor:
        client.set("k", "v\n")
        with client.pipeline() as pipeline:
            pipeline.incr("n").execute()
        events = [monitor.next_command()]
        while events[-1]["command"] != "EXEC":
            events.append(monitor.next_command())
        assert {(event["db"], event["client_type"]) for event in events} == {(0, "tcp")}
        words = [event["command"] for event in events]
        assert words[-4:] == ["SET k v\\n", "MULTI", "INCRBY n 1", "EXEC"]


def test_redis_py_caches(port: int) -> None:
    with (
        redis.Redis(port=port) as other,
        redis.Redis(port=port, protocol=3, cache_config=CacheConfig()) as client,
    ):
        other.mset({"k": 1, "l": 2})
        cache = client.get_cache()
        assert cache is not None
        assert client.get("k") == b"1"
        assert client.mget("k", "l") == [b"1", b"2"]
        assert cache.size == 2
        other.config_resetstat()
        assert client.get("k") == b"1"
        assert "cmdstat_get" not in other.info("commandstats")
        other.incr("l")
        other.ping()  # what the command before it told others is on its way
        assert client.mget("k", "l") == [b"1", b"3"]
        other.delete("k")
        other.ping()
        assert client.get("k") is None
        assert client.mget("k", "l") == [None, b"3"]


async def test_coredis_caches(port: int) -> None:
    cache = LRUCache()
    async with coredis.Redis(port=port) as other, coredis.Redis(port=port, cache=cache) as client:
        await other.set("k", "1")
        assert await client.get("k") == b"1"
        assert await client.get("k") == b"1"
        assert cache.stats.summary["hits"] == 1
        await other.set("k", "2")
        with trio.fail_after(10):
            while await client.get("k") != b"2":
                await trio.lowlevel.checkpoint()
        assert cache.stats.summary["invalidations"] >= 1


async def test_coredis_listens(port: int) -> None:
    async with coredis.Redis(port=port) as client:
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        async with pubsub:
            await pubsub.subscribe("news")
            await pubsub.psubscribe("n*")
            assert await client.publish("news", "hello") == 2
            kinds: list[object] = []
            with trio.fail_after(10):
                while len(kinds) < 2:
                    message = await pubsub.get_message()
                    if message is not None:
                        kinds.append(message["type"])
        assert kinds == ["message", "pmessage"]


async def test_coredis_in_a_session_of_every_command(port: int) -> None:
    async with coredis.Redis(port=port) as client:
        for name, args, expected in SESSION:
            try:
                answer: object = await client.create_request(
                    name.encode(), *args, callback=lambda reply, **_: reply
                )
            except coredis.exceptions.RedisError as error:
                answer = error
            check(name, expected, answer)
        assert await client.ping() in (b"PONG", "PONG")
        assert await client.set("typed", "1", ex=100)
        assert await client.get("typed") == b"1"


def test_the_session_has_every_command() -> None:
    called = {name for name, _, _ in SESSION} | LAST | SUBSCRIBING
    declared = {name for name, item in DECLARATIONS.items() if item.handler is not None}
    assert sorted(declared - called) == []
    assert sorted(called - declared) == []
