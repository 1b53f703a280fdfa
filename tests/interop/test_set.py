"""Set commands: the same scripts on a real redis-server and on ours.

redis-server before 7.2 knows no listpack for sets; where encodings are compared our thresholds for
it are zero, which leaves intsets and hash tables. The order of a hash table is evened out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from redis_trio.protocol.reply import Reply, SetReply
from tests.interop.compare import Both, Line, plain, shape, unordered

KEYS = ["a", "b", "c", "d"]
COMMANDS = 300


@pytest.fixture
def as_before(both: Both) -> Iterator[Both]:
    """A client of both servers of which ours has no listpacks."""
    both.ours.command("CONFIG SET set-max-listpack-entries 0")
    yield both
    both.ours.command("CONFIG SET set-max-listpack-entries 128")


def sorted_scan(reply: Reply) -> object:
    """Normalize: the cursor, and the elements in any order."""
    if isinstance(reply, list) and len(reply) == 2:
        return [plain(reply[0]), unordered(reply[1])]
    return plain(reply)


def test_adding_and_removing(both: Both) -> None:
    both("SADD s 3 1 2", "SADD s 1 4", "SMEMBERS s", "SCARD s", "OBJECT ENCODING s")
    both("SISMEMBER s 1", "SISMEMBER s 01", "SISMEMBER s x", "SMISMEMBER s 1 9 4 01 x")
    both("SREM s 1 9", "SREM s 2 3 4 5", "EXISTS s", "SREM s 1", "TYPE s")
    both("SADD s x", "TYPE s", "SPOP s", "SPOP s", "SRANDMEMBER s", "SRANDMEMBER s 3")
    both("SPOP s 3", "SPOP s 0", "SCARD s", "SMEMBERS s", "SISMEMBER s x", "SMISMEMBER s x y")


def test_moving(both: Both) -> None:
    both("SADD a 1 2 3", "SADD b 5", "SMOVE a b 1", "SMOVE a b 1", "SMOVE a c 2", "SMEMBERS c")
    both("SMOVE a a 3", "SMOVE a a 4", "SMOVE a b 3", "EXISTS a", "SMEMBERS b", "SMOVE a b 1")
    both("SET k v", "SMOVE b k 1", "SMOVE k b 1", "SMOVE none k 1", "SMOVE b k none")


@pytest.mark.parametrize(
    "words",
    [
        *("SADD k", "SADD", "SREM k", "SMOVE a b", "SISMEMBER k", "SMISMEMBER k", "SCARD k l"),
        *("SPOP", "SPOP k 1 2", "SPOP k x", "SPOP k -1", "SPOP k 99999999999999999999"),
        *("SPOP none -1", "SPOP none x", "SPOP s 0", "SPOP s -0", "SRANDMEMBER s 1 2"),
        *("SRANDMEMBER s x", "SRANDMEMBER s -9223372036854775808", "SRANDMEMBER s 0"),
        *("SRANDMEMBER s 9223372036854775807", "SRANDMEMBER none x", "SRANDMEMBER k 1"),
        *("SINTER", "SINTER k", "SINTER none k", "SINTER k none", "SUNION s k", "SDIFF s k"),
        *("SINTERCARD 1", "SINTERCARD 0 s", "SINTERCARD x s", "SINTERCARD 2 s", "SINTERCARD -1 s"),
        *("SINTERCARD 1 s LIMIT", "SINTERCARD 1 s LIMIT x", "SINTERCARD 1 s LIMIT -1"),
        *("SINTERCARD 1 s LIMIT 1", "SINTERCARD 1 s limit 1 LIMIT 0", "SINTERCARD 1 s s"),
        *("SINTERCARD 9223372036854775807 s", "SINTERCARD 9223372036854775808 s"),
        *("SINTERCARD 1 k", "SINTERSTORE k", "SINTERSTORE d k", "SUNIONSTORE d s k"),
        *("SDIFFSTORE d s k", "SDIFFSTORE d k", "SSCAN s", "SSCAN s x", "SSCAN k 0"),
        *("SSCAN s 0 COUNT", "SSCAN s 0 COUNT 0", "SSCAN s 0 COUNT x", "SSCAN s 0 MATCH"),
        *("SSCAN none 0 COUNT", "SSCAN none x", "SSCAN s 0 TYPE set", "SSCAN s 99"),
    ],
)
def test_odd_calls(both: Both, words: str) -> None:
    both("SET k v", "SADD s 1 2 3", words, "SMEMBERS s", "GET k", "EXISTS d")


def test_sscan_of_an_intset(both: Both) -> None:
    both("SADD s 5 3 1 -7 100", "SSCAN s 0", "SSCAN s 0 COUNT 1", "SSCAN s 3 MATCH *0*")
    both("SSCAN s 0 MATCH *", "SSCAN s 0 MATCH 1*", "SSCAN none 0", "SSCAN s 0 MATCH ''")


def number_or_word(rng: random.Random) -> str:
    match rng.randrange(5):
        case 0:
            return rng.choice(
                ["", "01", "-0", "+1", "1.0", "9223372036854775808", "\xff", "x" * 70]
            )
        case 1:
            return rng.choice("abcdefgh")
    return str(rng.randrange(-8, 8))


def random_command(rng: random.Random, integers: bool) -> Line:
    def member() -> str:
        return str(rng.randrange(-8, 8)) if integers else number_or_word(rng)

    def keys() -> list[str]:
        return rng.choices([*KEYS, "none"], weights=[5, 5, 5, 5, 1], k=rng.randrange(1, 4))

    match rng.randrange(14):
        case 0 | 1 | 2 | 3:
            return ["SADD", rng.choice(KEYS), *[member() for _ in range(rng.randrange(1, 6))]]
        case 4:
            return ["SREM", rng.choice(KEYS), *[member() for _ in range(rng.randrange(1, 4))]]
        case 5:
            return ["SMOVE", rng.choice(KEYS), rng.choice(KEYS), member()]
        case 6:
            return ["SMISMEMBER", rng.choice(KEYS), member(), member()]
        case 7:
            return ["SPOP", rng.choice(KEYS), "1000"]
        case 8:
            return ["SRANDMEMBER", rng.choice(KEYS), "1000"]
        case 9:
            return [rng.choice(["SINTER", "SUNION", "SDIFF"]), *keys()]
        case 10 | 11:
            name = rng.choice(["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"])
            return [name, rng.choice(KEYS), *keys()]
        case 12:
            found = keys()
            return ["SINTERCARD", len(found), *found, "LIMIT", rng.randrange(5)]
    return ["COPY", *rng.sample(KEYS, 2), "REPLACE"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("integers", [False, True])
def test_random_commands(as_before: Both, seed: int, integers: bool) -> None:
    rng = random.Random(seed)
    for _ in range(COMMANDS):
        as_before(random_command(rng, integers), normalize=unordered)
        key = rng.choice(KEYS)
        as_before(f"OBJECT ENCODING {key}", f"SCARD {key}", f"TYPE {key}")
        as_before(f"SMEMBERS {key}", normalize=unordered)
        as_before(f"SSCAN {key} 0 COUNT 1000", normalize=sorted_scan)


@pytest.mark.parametrize("seed", range(2))
def test_intsets_have_one_order(both: Both, seed: int) -> None:
    """Only integers, and never enough for a hash table: replies are equal to the byte."""
    rng = random.Random(seed)
    script: list[Line] = []
    for _ in range(COMMANDS):
        name = rng.choice(["SINTER", "SUNION", "SDIFF", "SMEMBERS"])
        count = 1 if name == "SMEMBERS" else rng.randrange(1, 4)
        script.append(["SADD", rng.choice(KEYS), *[rng.randrange(-30, 30) for _ in range(4)]])
        script.append(["SREM", rng.choice(KEYS), *[rng.randrange(-30, 30) for _ in range(9)]])
        script.append([name, *rng.choices(KEYS, k=count)])
        script.append(["SSCAN", rng.choice(KEYS), "0"])
    script += [["SPOP", key, "100"] for key in KEYS]
    both.pipeline(*script)


def test_thresholds(as_before: Both) -> None:
    numbers = [str(number) for number in range(512)]
    as_before(["SADD", "s", *numbers], "OBJECT ENCODING s", "SADD s 5", "OBJECT ENCODING s")
    as_before("SUNIONSTORE d s", "OBJECT ENCODING d", "SINTERSTORE d s", "OBJECT ENCODING d")
    as_before("SADD s 9223372036854775807", "OBJECT ENCODING s", "SREM s 1", "OBJECT ENCODING s")
    as_before("SUNIONSTORE d s", "OBJECT ENCODING d", "SINTERSTORE d s", "OBJECT ENCODING d")
    as_before("SDIFFSTORE d s none", "OBJECT ENCODING d", "COPY s e", "OBJECT ENCODING e")
    as_before(["SREM", "s", *numbers], "OBJECT ENCODING s", "SPOP s 5", "EXISTS s")


def sorted_members(reply: Reply) -> object:
    if isinstance(reply, SetReply):
        return sorted(map(repr, reply.members))
    return unordered(reply)


def test_random_members_have_the_same_shape(both: Both) -> None:
    for line in ("SADD i 1 2 3 4 5 6", "SADD h a b c d e f"):
        both(line)
    for key in ("i", "h"):
        for count in ("0", "1", "2", "5", "-1", "-20", "-0"):
            both(f"SRANDMEMBER {key} {count}", normalize=shape)
        both(f"SRANDMEMBER {key} 6", f"SRANDMEMBER {key} 7", normalize=sorted_members)
        both(f"SRANDMEMBER {key}", f"SPOP {key}", normalize=shape)
        both(f"SPOP {key} 0", f"SPOP {key} 1", f"SPOP {key} 2", normalize=shape)
        both(f"SCARD {key}")
        both(f"SPOP {key} 2", normalize=shape)
        both(f"EXISTS {key}", f"SPOP {key}")


def test_big_sets(both: Both) -> None:
    words = [f"m{number}" for number in range(3000)]
    both(["SADD", "s", *words], ["SADD", "t", *words[1000:], "x"])
    both("SINTERCARD 2 s t", "SINTERCARD 2 t s LIMIT 100", "SINTERSTORE d s t", "SCARD d")
    both("SDIFF s t", "SUNION t s", "SDIFF t s", normalize=unordered)
    both("SPOP s 100", "SPOP s 2800", normalize=shape)
    both("SCARD s", "SDIFFSTORE d t none", "SCARD d", "SUNIONSTORE d d t", "SCARD d")
