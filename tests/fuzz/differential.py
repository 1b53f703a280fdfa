"""The same random commands on this server and on a real redis-server, and equal replies.

    python -m tests.fuzz.differential --commands 200000 --seed 1 [--groups list,hash] [--length 60]

Both servers are started with small thresholds, so that encodings convert all the time. A sequence
is sent in one pipeline to both, on connections of RESP2 and RESP3 in turn, and the replies are
compared byte for byte; then the whole data is, by DEBUG DIGEST-VALUE and by reading it. Replies
that differ are compared once more as `same` allows: what is random or in the order of a hash table,
and what changed between Redis 7.0, the real server, and 7.4 (CHANGED). A sequence that fails is
made as short as possible before it is shown.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path

from redis_trio.protocol.reply import RedisError, Reply
from tests.fuzz.grammar import CONSUMERS, Command, Generator
from tests.interop.compare import Peer, encode, parse, plain
from tests.processes import OURS, ServerProcess

OPTIONS = {
    "hz": "500",  # how often redis-server looks whether somebody has waited long enough
    "list-max-listpack-size": "6",
    "hash-max-listpack-entries": "8",
    "hash-max-listpack-value": "24",
    "set-max-intset-entries": "8",
    "zset-max-listpack-entries": "8",
    "zset-max-listpack-value": "24",
    "stream-node-max-entries": "4",
    "hll-sparse-max-bytes": "60",
}
"""Of both servers."""
NEWER = {"set-max-listpack-entries": "8", "set-max-listpack-value": "24"}
"""Redis 7.0 does not have these."""
LENGTH = 60  # commands of one sequence

SCANS = set(b"SCAN SSCAN HSCAN ZSCAN".split())
READS = set(b"XREAD XREADGROUP".split())
WAITS = set(b"BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP BZPOPMIN BZPOPMAX BZMPOP".split())
CHANGED: list[tuple[set[bytes], str, str]] = [
    (SCANS, ".*", "ERR invalid cursor"),  # 7.0 takes more ...
    (SCANS, "ERR invalid cursor", ".*"),  # ... but no leading spaces
    (READS, "ERR Unbalanced XREAD list of streams.*", "ERR Unbalanced '.*' list of streams.*"),
    (
        {b"LREM", b"LPOS"},
        ".*",
        "ERR value is out of range, value must between -9223372036854775807.*",
    ),
    ({b"BITCOUNT", b"BITPOS"}, "(WRONGTYPE.*)?", "ERR (syntax error|value is not an integer.*)"),
    ({b"ZRANK", b"ZREVRANK"}, "ERR wrong number of arguments .*", "ERR syntax error"),
    ({b"SORT", b"SORT_RO"}, "ERR One or more scores can't .*", ""),  # errno of an earlier command
    (WAITS, "ERR timeout is negative", "ERR timeout is out of range"),
    (READS, "ERR Invalid stream ID.*", ".*"),  # `+` is the last entry since 7.4
]
"""(commands, what 7.0 answers, what 7.4 does), as regular expressions: `` is what is no error."""

UNORDERED = set(
    b"HGETALL HKEYS HVALS SMEMBERS SUNION SINTER SDIFF KEYS SCAN SSCAN HSCAN ZSCAN SORT "
    b"SORT_RO".split()
)
"""Their elements come in the order of a hash table, if the key has one."""
RANDOM = set(b"SRANDMEMBER HRANDFIELD ZRANDMEMBER SPOP RANDOMKEY".split())
DOUBLES = set(
    b"ZADD ZINCRBY ZSCORE ZMSCORE ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZPOPMIN ZPOPMAX "
    b"ZMPOP BZPOPMIN BZPOPMAX BZMPOP ZUNION ZINTER ZDIFF ZSCAN ZRANDMEMBER GEOPOS GEORADIUS "
    b"GEORADIUS_RO GEORADIUSBYMEMBER GEOSEARCH".split()
)
"""7.0 writes doubles with 17 digits, 7.4 with as few as it takes."""
SMALL_ONLY = set(b"LSET SETBIT SETRANGE BITFIELD".split())
"""LSET of 7.4 takes an index modulo 2**32; the others make strings of hundreds of megabytes."""
HUGE = re.compile(rb"[+-]?#?\d{7,19}")
WRITES_RANGES = set(b"ZRANGESTORE ZREMRANGEBYLEX".split())
CONSUMERS_COUNT = re.compile(rb"\$9\r\nconsumers\r\n:\d+\r\n")
CLOCKS = {b"TTL": 1, b"PTTL": 2000, b"EXPIRETIME": 1, b"PEXPIRETIME": 2000}
"""How far their replies may be apart: the servers are not asked at the same time."""


class Difference(AssertionError):
    """Two servers that do not agree."""


def numbers(value: object) -> object:
    """Return a plain reply with numbers in the place of the strings that are some."""
    if isinstance(value, bytes):
        try:
            return repr(float(value))
        except ValueError:
            return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return [numbers(item) for item in value]
    return value


def flat(value: object) -> list[str]:
    """Return everything in a plain reply, sorted."""
    if isinstance(value, dict):
        return sorted(text for item in value.items() for text in flat(list(item)))
    if isinstance(value, list | tuple):
        return sorted(text for item in value for text in flat(item))
    return [repr(value)]


def unordered(name: bytes, value: object) -> object:
    """Return a plain reply without the order of what comes in the order of a hash table."""
    if isinstance(value, tuple) and value[0] == "set":
        value = value[1]
    if name == b"SCAN" and isinstance(value, list):
        return flat(value[1:])
    if isinstance(value, dict | list):
        return flat(value)
    return value


def first(value: object) -> object:
    """Return the first element of a plain reply that is an array."""
    return value[0] if isinstance(value, list) and value else None


def shape(value: object) -> object:
    """Return how many elements a plain reply has."""
    if isinstance(value, list | tuple):
        return [type(item).__name__ for item in value]
    return type(value).__name__


def same(command: Command, real: bytes, ours: bytes) -> bool:
    """Return whether two replies agree as far as they can."""
    if real == ours or is_undefined(command):
        return True
    name = command[0].upper()
    if name == b"XINFO" and CONSUMERS_COUNT.sub(b"", real) == CONSUMERS_COUNT.sub(b"", ours):
        return True
    expected, got = parse(real), parse(ours)
    if isinstance(expected, RedisError) or isinstance(got, RedisError):
        return changed(name, expected, got)
    one, other = plain(expected), plain(got)
    if name in CLOCKS and isinstance(one, int) and isinstance(other, int):
        return abs(one - other) <= CLOCKS[name] and min(one, other) > 0
    if name in RANDOM:
        return shape(one) == shape(other)
    if name == b"OBJECT" and command[1].upper() == b"ENCODING":
        return (one, other) in {(b"quicklist", b"listpack"), (b"hashtable", b"listpack")}
    if name in DOUBLES:
        one, other = numbers(one), numbers(other)
    if name in SCANS and not first(one) == first(other) == b"0":
        return True  # a part of the elements, and not the same one
    if name in UNORDERED:
        one, other = unordered(name, one), unordered(name, other)
    return one == other


def is_undefined(command: Command) -> bool:
    """Return whether 7.0 and 7.4, or even two runs of one, differ in what a range of a zset is.

    A range of members is one only where all scores are the same; an offset below 0 counts from the
    end in a skiplist since 7.2.
    """
    words = [word.upper() for word in command]
    if not words[0].startswith(b"Z"):
        return False
    if any(word == b"LIMIT" and offset[:1] == b"-" for word, offset in pairwise(words)):
        return True
    is_lex = b"LEX" in words[0] or b"BYLEX" in words
    return is_lex and not any(word.startswith(b"y") for word in command[1:3])


def changed(name: bytes, real: Reply, ours: Reply) -> bool:
    """Return whether 7.4's reply is what 7.0's has become."""
    old, new = (reply.message if isinstance(reply, RedisError) else "" for reply in (real, ours))
    return any(
        name in names and re.fullmatch(before, old) and re.fullmatch(now, new)
        for names, before, now in CHANGED
    )


READ = {
    b"string": [b"GET", b""],
    b"list": [b"LRANGE", b"", b"0", b"-1"],
    b"set": [b"SMEMBERS", b""],
    b"hash": [b"HGETALL", b""],
    b"zset": [b"ZRANGE", b"", b"0", b"-1", b"WITHSCORES"],
    b"stream": [b"XRANGE", b"", b"-", b"+"],
}
"""How the value of each type is read, the key being the empty word."""


class Pair:
    """Two connections, to the real server and to ours."""

    def __init__(self, real_port: int, our_port: int, resp: int) -> None:
        self._ports = (real_port, our_port, resp)
        self._connect()

    def _connect(self) -> None:
        real_port, our_port, resp = self._ports
        self.real = Peer(real_port, resp)
        self.ours = Peer(our_port, resp)

    def close(self) -> None:
        self.real.close()
        self.ours.close()

    def both(self, commands: Sequence[Command]) -> Iterator[tuple[Command, bytes, bytes]]:
        """Send commands to both and return their replies."""
        data = b"".join(encode(command) for command in commands)
        self.ours.send(data)
        self.real.send(data)
        for command in commands:
            yield command, self.real.frame(), self.ours.frame()

    def check(self, commands: Sequence[Command]) -> None:
        """Send commands and compare the replies. Errors: Difference."""
        found = ""
        try:
            for command, real, ours in self.both(commands):
                if not found and not same(command, real, ours):
                    found = f"{show(command)}\n  Redis: {real[:2000]!r}\n  ours:  {ours[:2000]!r}"
        except EOFError as exc:
            self.close()
            self._connect()
            raise Difference(found or "one of them closed the connection") from exc
        if found:
            raise Difference(found)

    def run(self, commands: Sequence[Command]) -> None:
        """Run a sequence from an empty server on and compare all there is. Errors: Difference."""
        self.check([[b"FLUSHALL"], [b"SELECT", b"0"]])
        self.check(with_ends(commands))
        for db in (b"0", b"1"):
            self.check([[b"SELECT", db], [b"KEYS", b"*"]])
            keys = sorted(self._keys())
            self.check([[b"TYPE", key] for key in keys])
            self.check(list(self._reads(keys)))

    def _keys(self) -> list[bytes]:
        reply = parse(self.ours.command([b"KEYS", b"*"]))
        assert isinstance(reply, list | tuple)
        return [key for key in reply if isinstance(key, bytes)]

    def _reads(self, keys: list[bytes]) -> Iterator[Command]:
        types = [plain(parse(ours)) for _, _, ours in self.both([[b"TYPE", key] for key in keys])]
        for key, type_name in zip(keys, types, strict=True):
            word = str(type_name).encode()
            yield [b"OBJECT", b"ENCODING", key]
            yield [b"PTTL", key]
            if word != b"zset":  # the digest has the scores as text, which is not the same
                yield [b"DEBUG", b"DIGEST-VALUE", key]
            yield [key if part == b"" else part for part in READ[word]]
            if word == b"stream":
                yield [b"XINFO", b"STREAM", key]
                yield [b"XINFO", b"GROUPS", key]


def with_ends(commands: Sequence[Command]) -> list[Command]:
    """Return a sequence that makes the two servers the same again where they cannot be.

    A set that was popped from is removed. A group has all its consumers from the start: Redis 7.0
    and 7.4 differ in which commands create one.
    """
    found: list[Command] = []
    deletes = False
    for command in commands:
        name = command[0].upper()
        if name in SMALL_ONLY and any(HUGE.fullmatch(word) for word in command):
            continue
        if name in WRITES_RANGES and is_undefined(command):
            continue
        if name == b"XADD" and b"*" in command:
            continue  # an id of this very millisecond
        if name == b"XDEL":
            deletes = True
        if name == b"XSETID" and deletes:
            continue  # 7.4 refuses an id below that of a deleted entry
        found.append(command)
        if name == b"SPOP" and len(command) > 1:
            found += [[b"SCARD", command[1]], [b"DEL", command[1]]]
        elif name == b"XGROUP" and len(command) > 3:
            create = [b"XGROUP", b"CREATECONSUMER", command[2], command[3]]
            found += [[*create, consumer] for consumer in CONSUMERS]
    return found


def show(command: Command) -> str:
    """Return a command as one could type it into redis-cli."""
    return " ".join(repr(word)[1:] if word else '""' for word in command)


def shorten(pair: Pair, commands: list[Command], message: str) -> tuple[list[Command], str]:
    """Return a short sequence that still fails, and how; the whole one if that fails no more."""
    if failure(pair, commands) is None:
        return commands, f"{message}\n   (once: it does not fail again)"
    size = max(1, len(commands) // 2)
    while True:
        place = 0
        while place < len(commands):
            fewer = commands[:place] + commands[place + size :]
            found = failure(pair, fewer)
            if found is None:
                place += size
            else:
                commands, message = fewer, found
        if size == 1:
            return commands, message
        size //= 2


def failure(pair: Pair, commands: Sequence[Command]) -> str | None:
    """Return what is wrong with a sequence, None if nothing is."""
    try:
        pair.run(commands)
    except Difference as exc:
        return str(exc)
    return None


def known_commands(port: int) -> set[str]:
    """Return the names of the commands that a server has, in lower case."""
    with closing(Peer(port)) as peer:
        reply = parse(peer.command("COMMAND LIST"))
    assert isinstance(reply, list | tuple)
    return {name.decode() for name in reply if isinstance(name, bytes)}


# -- by hand


def flags(options: dict[str, str]) -> list[str]:
    """Return options as arguments of a command line."""
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def hunt(pairs: list[Pair], generator: Generator, options: argparse.Namespace) -> int:
    """Run sequences until so many commands have been compared; return how many sequences failed."""
    failed = 0
    done = number = 0
    while done < options.commands and failed < options.failures:
        rng = random.Random(options.seed * 1_000_003 + number)
        commands = [generator.command(rng) for _ in range(options.length)]
        pair = pairs[number % len(pairs)]
        wrong = failure(pair, commands)
        if wrong is not None:
            failed += 1
            short, message = shorten(pair, commands, wrong)
            print(f"-- seed {options.seed}, sequence {number}, RESP{2 + number % 2}")
            print("\n".join(f"   {show(command)}" for command in short))
            print(message, flush=True)
        number += 1
        done += len(commands)
        if number % 500 == 0:
            print(f"{done} commands compared, {failed} sequences differ", flush=True)
    print(f"seed {options.seed}: {done} commands compared, {failed} sequences differ")
    return failed


def main() -> int:
    """Start both servers and compare them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--commands", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--length", type=int, default=LENGTH, help="commands of one sequence")
    parser.add_argument("--groups", type=lambda text: text.split(","), help="of tests.fuzz.grammar")
    parser.add_argument("--failures", type=int, default=20, help="stop after so many")
    options = parser.parse_args()
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not installed")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        real = stack.enter_context(ServerProcess([program], folder / "real", flags(OPTIONS)))
        ours = stack.enter_context(ServerProcess(OURS, folder / "ours", flags(OPTIONS | NEWER)))
        pairs = [Pair(real.port, ours.port, resp) for resp in (2, 3)]
        for pair in pairs:
            stack.callback(pair.close)
        known = known_commands(real.port) & known_commands(ours.port)
        return 1 if hunt(pairs, Generator(known, options.groups), options) else 0


if __name__ == "__main__":
    sys.exit(main())
