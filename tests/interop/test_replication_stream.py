"""What replicas are sent, command by command: the bytes that redis-server sends, and ours."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from redis_trio.feed import encode_command
from redis_trio.protocol.request import Limits, RequestParser
from tests.interop.compare import TIMEOUT_S, Peer
from tests.interop.conftest import Start

SCRIPT = "redis.call('set', KEYS[1], ARGV[1]) redis.call('incr', KEYS[2]) return 1"
SOME_TARGETS = (
    "redis.set_repl(redis.REPL_AOF) redis.call('set','aof','1') "
    "redis.set_repl(redis.REPL_REPLICA) redis.call('set','replica','1') "
    "redis.set_repl(redis.REPL_NONE) redis.call('set','none','1') "
    "redis.set_repl(redis.REPL_ALL) redis.call('set','all','1')"
)
CODE = (
    "#!lua name=l\nredis.register_function('f', function(k, a) return redis.call('incr', k[1]) end)"
)

SESSIONS: dict[str, list[str | list[str]]] = {
    "strings": [
        "SET a 1",
        "SET a 2 EX 100",
        "SET a 2 PX 100000 NX",
        "SET a 3 EXAT 4000000000",
        "SET a 4 KEEPTTL GET",
        "SET a 5 PX 100000 GET",
        "SETEX a 100 1",
        "PSETEX a 100000 1",
        "SETNX a 1",
        "SETNX b 1",
        "GETSET b 2",
        "GETDEL b",
        "GETDEL b",
        "GETEX a",
        "GETEX a PERSIST",
        "GETEX a PERSIST",
        "GETEX a EX 100",
        "GETEX a PXAT 4000000000000",
        "GETEX a PXAT 1",
        "INCR n",
        "INCRBY n 5",
        "DECR n",
        "DECRBY n 2",
        "INCRBYFLOAT n 1.5",
        "EXPIRE n 1000",
        "INCRBYFLOAT n 1.5",
        "APPEND n 1",
        "SETRANGE n 1 x",
        "SETRANGE other 0 ''",
        "MSET x 1 y 2",
        "MSETNX x 1 z 2",
        "MSETNX u 1 v 2",
        "SETBIT bits 7 1",
        "SETBIT bits 7 1",
        "BITFIELD bits SET u8 0 255 GET u8 0",
        "BITFIELD bits GET u8 0",
        "BITOP AND target bits x",
        "BITOP AND target nothing",
        "PFADD p a b",
        "PFADD p a b",
        "PFCOUNT p",
        "PFMERGE q p",
    ],
    "deadlines": [
        "SET a 1",
        "EXPIRE a 100",
        "PEXPIRE a 100000 NX",
        "PEXPIRE a 100000 XX",
        "EXPIREAT a 4000000000",
        "PEXPIREAT a 4000000000000 GT",
        "PERSIST a",
        "PERSIST a",
        "EXPIRE a -1",
        "SET a 1",
        "PEXPIREAT a 1",
        "SET a 1 PX 1",
        "DEBUG SLEEP 0.01",
        "GET a",
        "SADD s 1",
        "PEXPIRE s 1",
        "DEBUG SLEEP 0.01",
        "SADD s 2",
        "SET a 1 PX 1",
        "DEBUG SLEEP 0.01",
        "EXISTS a",
        "SET a 1 PX 1",
        "SET b 1 PX 1",
        "DEBUG SLEEP 0.01",
        "MGET a b",
        "SET a 1 PX 1",
        "DEBUG SLEEP 0.01",
        "DEL a",
        "SET a 1 PX 1",
        "DEBUG SLEEP 0.01",
        "SCAN 0",
        "CONFIG SET lazyfree-lazy-expire yes",
        "SET a 1 PX 1",
        "DEBUG SLEEP 0.01",
        "GET a",
        "SET a 1",
        "EXPIRE a -1",
        "CONFIG SET lazyfree-lazy-expire no",
        'RESTORE r 100000 "\\x00\\xc0\\x01\\n\\x00\\x00\\x00" REPLACE',
    ],
    "keys": [
        "MSET a 1 b 2 c 3",
        "DEL a nothing",
        "UNLINK b nothing",
        "DEL nothing",
        "RENAME c d",
        "RENAMENX d e",
        "COPY e f",
        "COPY e f",
        "COPY e f DB 3 REPLACE",
        "MOVE e 2",
        "SELECT 2",
        "GET e",
        "SET e 2",
        "SWAPDB 2 3",
        "FLUSHDB ASYNC",
        "SET e 2",
        "FLUSHDB SYNC",
        "FLUSHDB",
        "SELECT 0",
        "SET a 1",
        "FLUSHALL ASYNC",
        "FLUSHALL",
        "RPUSH l 3 1 2",
        "SORT l",
        "SORT l STORE m",
        "SORT nothing STORE m",
        "TOUCH l",
        "OBJECT ENCODING l",
    ],
    "lists": [
        "RPUSH l 1 2 3 4 5",
        "LPUSH l 0",
        "LPUSHX l 9",
        "RPUSHX nothing 9",
        "LPOP l",
        "RPOP l 2",
        "LPOP l 0",
        "LPOP nothing",
        "LINSERT l BEFORE 2 x",
        "LINSERT l BEFORE 77 x",
        "LSET l 0 y",
        "LREM l 0 77",
        "LREM l 0 y",
        "LTRIM l 0 1",
        "RPOPLPUSH l m",
        "LMOVE m l LEFT RIGHT",
        "BLPOP l 1",
        "RPUSH l 1 2 3 4 5",
        "BRPOP l 1",
        "BRPOPLPUSH l m 1",
        "BLMOVE l m LEFT RIGHT 1",
        "LMPOP 2 nothing l LEFT COUNT 2",
        "BLMPOP 1 2 nothing m RIGHT COUNT 5",
    ],
    "sets": [
        "SADD s a b c",
        "SADD s a",
        "SREM s a x",
        "SREM s x",
        "SMOVE s t b",
        "SMOVE s t b",
        "SPOP t",
        "SPOP s 5",
        "SPOP s",
        "SADD s 1 2 3",
        "SADD t 2 3 4",
        "SINTERSTORE i s t",
        "SUNIONSTORE u s t",
        "SDIFFSTORE d s t",
        "SDIFFSTORE d s s",
        "SDIFFSTORE d s s",
        "SRANDMEMBER s",
    ],
    "sorted sets": [
        "ZADD z 1 a 2 b 3 c",
        "ZADD z 1 a",
        "ZADD z INCR 1 a",
        "ZADD z NX INCR 1 a",
        "ZADD z GT CH 1 b",
        "ZINCRBY z 0.5 a",
        "ZREM z x",
        "ZREM z a",
        "ZPOPMIN z",
        "ZPOPMAX z 0",
        "ZPOPMAX z",
        "ZADD z 1 a 2 b 3 c 4 d",
        "BZPOPMIN z 1",
        "BZPOPMAX z 1",
        "ZMPOP 1 z MIN",
        "BZMPOP 1 1 z MAX COUNT 5",
        "ZADD z 1 a 2 b 3 c 4 d",
        "ZREMRANGEBYRANK z 0 0",
        "ZREMRANGEBYSCORE z 2 2",
        "ZREMRANGEBYLEX z - [c",
        "ZRANGESTORE t z 0 -1",
        "ZUNIONSTORE t 1 z",
        "ZINTERSTORE t 2 z nothing",
        "GEOADD g 13.5 38.1 one 15.1 37.5 two",
        "GEOADD g NX 13.5 38.1 one",
        "GEOSEARCHSTORE h g FROMMEMBER one BYRADIUS 500 km",
        "GEORADIUS g 15 37 200 km STORE h",
    ],
    "hashes": [
        "HSET h a 1 b 2",
        "HSET h a 1",
        "HMSET h a 1 c 3",
        "HSETNX h a 1",
        "HSETNX h d 1",
        "HDEL h a x",
        "HDEL h x",
        "HINCRBY h b 5",
        "HINCRBYFLOAT h b 1.5",
        "HRANDFIELD h",
    ],
    "streams": [
        "XADD s 1-1 f v",
        "XADD s 1-* f v",
        "XADD s MAXLEN 2 2-1 f v",
        "XADD s MAXLEN ~ 1 3-1 f v",
        "XADD s NOMKSTREAM MINID ~ 2 LIMIT 10 4-1 f v",
        "XADD nothing NOMKSTREAM 1-1 f v",
        "XTRIM s MAXLEN 3",
        "XTRIM s MAXLEN 3",
        "XTRIM s MINID ~ 3",
        "XDEL s 4-1",
        "XDEL s 4-1",
        "XSETID s 9-1",
        "XADD s 10-1 f v",
        "XADD s 10-2 f v",
        "XGROUP CREATE s g 0",
        "XGROUP CREATE t g $ MKSTREAM",
        "XGROUP CREATECONSUMER s g c",
        "XGROUP CREATECONSUMER s g c",
        "XACK s g 10-1",
        "XGROUP SETID s g 0",
        "XGROUP DELCONSUMER s g d",
        "XGROUP DESTROY s g",
        "XGROUP DESTROY s g",
    ],
    "groups": [
        "XADD s 10-1 f v",
        "XADD s 10-2 f v",
        "XADD s 10-3 f v",
        "XGROUP CREATE s g 0",
        "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
        "XREADGROUP GROUP g d NOACK COUNT 1 STREAMS s >",
        "XREADGROUP GROUP g d STREAMS s 0",
        "XACK s g 10-1",
        "XACK s g 10-1",
        "XGROUP SETID s g 0",
        "XREADGROUP GROUP g c COUNT 9 STREAMS s >",
        "XCLAIM s g d 0 10-1 10-2",
        "XCLAIM s g d 0 10-1 JUSTID",
        "XAUTOCLAIM s g c 0 0",
        "XAUTOCLAIM s g c 0 0 JUSTID",
    ],
    "units": [
        "MULTI",
        "EXEC",
        "MULTI",
        "SET a 1",
        "EXEC",
        "MULTI",
        "GET a",
        "EXEC",
        "MULTI",
        "SET a 1",
        "SELECT 3",
        "SET b 1",
        "GET b",
        "SELECT 0",
        "EXEC",
        "SET a 1",
        "MULTI",
        "SET a 1",
        "INCRBYFLOAT a 1",
        "PUBLISH c m",
        "EXEC",
        "MULTI",
        "LPUSH a x",
        "SET b 2",
        "EXEC",
        "PUBLISH channel message",
        "SPUBLISH channel message",
        "EVAL '" + SCRIPT.replace("'", '"') + "' 2 x y 5",
        "EVAL 'return redis.call(\"set\", KEYS[1], 1)' 1 x",
        "EVAL 'return 1' 0",
        'EVAL \'redis.call("select", 5) redis.call("set", "x", 1)\' 0',
        "SET b 3",
        'EVAL \'redis.call("publish", "c", "m")\' 0',
        'EVAL \'redis.call("incr", "n") return redis.call("lpush", "n", 1)\' 0',
        ["EVAL", SOME_TARGETS, "0"],
        "MULTI",
        "EVAL 'return redis.call(\"set\", KEYS[1], 1)' 1 x",
        "SPOP nothing",
        "EXEC",
        "SCRIPT LOAD 'return 1'",
        "SCRIPT FLUSH",
        ["FUNCTION", "LOAD", CODE],
        "FCALL f 1 n",
        ["FUNCTION", "LOAD", "REPLACE", CODE],
        "FUNCTION DELETE l",
        ["FUNCTION", "LOAD", CODE],
        "FUNCTION FLUSH",
        "FUNCTION FLUSH",
        "WAIT 0 0",
        "CLIENT NO-TOUCH on",
        "SET k v",
    ],
}


class Stream:
    """A replica that has come by SYNC, and only listens."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._socket.sendall(b"SYNC\r\n")
        self._parser = RequestParser(Limits(2**40))
        self._commands: list[list[bytes]] = []
        self._parser.feed(self._after_snapshot())

    def _after_snapshot(self) -> bytes:
        """Receive the snapshot; return what came behind it."""
        data = b""
        while True:
            data = (data + self._more()).lstrip(b"\n")
            head, found, rest = data.partition(b"\r\n")
            if not found:
                continue
            assert head.startswith(b"$"), head
            size = int(head[1:])
            while len(rest) < size:
                rest += self._more()
            return rest[size:]

    def _more(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise EOFError
        return data

    def until(self, last: list[bytes]) -> list[list[bytes]]:
        """Return the commands that come up to this one."""
        found: list[list[bytes]] = []
        while True:
            for args in self._parser.parse(1000):
                if args == last:
                    return found
                if args != [b"PING"]:
                    found.append(args)
            self._parser.feed(self._more())

    def close(self) -> None:
        self._socket.close()


@contextmanager
def attached(port: int) -> Iterator[Stream]:
    with closing(Stream(port)) as stream:
        yield stream


def shown(commands: list[list[bytes]]) -> list[str]:
    """Return commands as text; what depends on the time of day is hidden."""
    lines = [b" ".join(args).decode("latin-1") for args in commands]
    return [re.sub(r"\b1[678]\d{11}\b", "<ms>", line) for line in lines]


def sent(port: int, session: list[str | list[str]]) -> list[str]:
    """Run a session; return what a replica is sent because of it."""
    with attached(port) as stream, closing(Peer(port)) as peer:
        for line in session:
            peer.command(line)
        peer.command("PUBLISH end now")
        return shown(stream.until([b"PUBLISH", b"end", b"now"]))


@pytest.fixture(scope="module")
def ports(start_real: Start, start_ours: Start) -> tuple[int, int]:
    options = ("--repl-diskless-sync", "no", "--repl-ping-replica-period", "3600")
    return start_real(*options), start_ours(*options)


@pytest.mark.parametrize("name", SESSIONS)
def test_a_replica_is_sent_the_same(ports: tuple[int, int], name: str) -> None:
    for port in ports:
        with closing(Peer(port)) as peer:
            peer.command("FLUSHALL")
            peer.command("DEBUG SET-ACTIVE-EXPIRE 0")
    if name == "groups" and _version(ports[0]) < (7, 2):
        pytest.skip("what XREADGROUP feeds has changed in Redis 7.2")
    real, ours = [sent(port, SESSIONS[name]) for port in ports]
    assert ours == real
    assert len(real) > 4


def test_the_offset_counts_what_is_sent(ports: tuple[int, int]) -> None:
    counted: list[int] = []
    for port in ports:
        with attached(port) as stream, closing(Peer(port)) as peer:
            before = _offset(peer)
            for line in ("SET a 1", "MULTI", "SET a 1", "SET b 1", "EXEC"):
                peer.command(line)
            after = _offset(peer)
            peer.command("PUBLISH end now")
            commands = stream.until([b"PUBLISH", b"end", b"now"])
            assert after - before == len(b"".join([encode_command(args) for args in commands]))
            counted.append(after - before)
    assert counted[0] == counted[1]


def _version(port: int) -> tuple[int, ...]:
    with closing(Peer(port)) as peer:
        found = re.search(rb"redis_version:(\d+)\.(\d+)", peer.command("INFO server"))
    assert found is not None
    return int(found[1]), int(found[2])


def _offset(peer: Peer) -> int:
    found = re.search(rb"master_repl_offset:(\d+)", peer.command("INFO replication"))
    assert found is not None
    return int(found[1])
