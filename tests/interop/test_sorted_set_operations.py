"""Operations on several sorted sets, random members and pops: as redis-server does them."""

from __future__ import annotations

import random

import pytest

from tests.interop.compare import Both, Word, doubles

Script = list[list[Word]]

KEYS = ["z1", "z2", "z3", "s1", "s2", "none"]
EXACT = ["0", "-0", "1", "-1", "2.5", "inf", "-inf", "3"]  # whose digits are those of 7.0
SCORES = ["0", "-0", "1", "-1", "2.5", "0.1", "0.2", "1e300", "-1e300", "inf", "-inf", "3", "1e-7"]


def fill(rng: random.Random, count: int, scores: list[str]) -> Script:
    script: Script = []
    for key in ("z1", "z2", "z3"):
        for _ in range(rng.randrange(1, count)):
            script.append(["ZADD", key, rng.choice(scores), f"m{rng.randrange(count)}"])
    for key in ("s1", "s2"):
        names: list[Word] = [rng.choice([f"m{i}", str(i)]) for i in range(count)]
        script.append(["SADD", key, *rng.sample(names, rng.randrange(1, count))])
    return script


def command(rng: random.Random) -> list[Word]:
    name = rng.choice(["ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD"])
    store = name != "ZINTERCARD" and rng.random() < 0.5
    keys = [rng.choice(KEYS) for _ in range(rng.randrange(1, 5))]
    args: list[Word] = [f"{name}STORE", rng.choice(["t", "z3"])] if store else [name]
    args += [len(keys), *keys]
    if rng.random() < 0.5 and name != "ZDIFF":
        args += ["WEIGHTS", *[rng.choice([*SCORES, "2"]) for _ in keys]]
    if rng.random() < 0.5 and name != "ZDIFF":
        args += ["AGGREGATE", rng.choice(["SUM", "min", "MAX"])]
    if rng.random() < 0.5:
        args += [rng.choice(["WITHSCORES", "LIMIT"])]
        if args[-1] == "LIMIT":
            args.append(rng.randrange(4))
    return args


@pytest.mark.parametrize("count", [4, 30, 200])
def test_random_operations(both: Both, count: int) -> None:
    rng = random.Random(count)
    script: Script = []
    for _ in range(4):
        script += [["FLUSHALL"], *fill(rng, count, SCORES)]
        for _ in range(30):
            script += [command(rng), ["ZRANGE", "t", 0, -1, "WITHSCORES"]]
            script += [["OBJECT", "ENCODING", "t"], ["ZCARD", "z3"]]
    both(*script, normalize=doubles)


WORDS = ["WEIGHTS", "AGGREGATE", "SUM", "WITHSCORES", "LIMIT", "1", "2", "0", "-1", "x", "nan"]
WORDS += ["z1", "s1", "str", "none", "inf", "", "COUNT", "MIN", "MAX", "9223372036854775807"]
WORDS += ["MATCH", "*", "m1", "withscores\0"]
NAMES = ["ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD", "ZUNIONSTORE t", "ZINTERSTORE t"]
NAMES += [
    "ZDIFFSTORE t",
    "ZRANDMEMBER none",
    "ZRANDMEMBER z0",
    "ZMPOP",
    "ZSCAN z1 0",
    "ZSCAN none 0",
]
NAMES += ["ZSCAN z1 0", "ZSCAN none 0", "BZMPOP 0.01", "ZSCAN str 0", "ZRANDMEMBER str"]


@pytest.mark.parametrize("seed", range(3))
def test_random_arguments(both: Both, seed: int) -> None:
    """Nearly all of them are errors, which come in the same order."""
    rng = random.Random(seed)
    script: Script = [["SET", "str", "x"], *fill(rng, 5, EXACT), ["ZADD", "z0", 1.5, "m1"]]
    for _ in range(1000):
        args: list[Word] = list(rng.choice(NAMES).split())
        keys = [rng.choice(["z1", "s1", "str", "none"]) for _ in range(rng.randrange(3))]
        if rng.random() < 0.7:
            args += [len(keys), *keys]
        args += [rng.choice(WORDS) for _ in range(rng.randrange(4))]
        if str(args[0]).startswith("BZ") and len(args) > 3 and "z1" not in args[3:4]:
            continue  # it might block
        script.append(args)
        script.append(["ZRANGE", "z1", 0, -1, "WITHSCORES"])
    both.pipeline(*script)


def test_what_takes_several_members_off(both: Both) -> None:
    for count in (7, 200):
        members = " ".join(f"{i / 4} m{i}" for i in range(count))
        both(f"ZADD z {members}", "ZMPOP 2 none z MIN", "ZMPOP 1 z MAX COUNT 2", "BZPOPMIN no z 0")
        both(f"ZADD z {members}", "BZPOPMAX z 0", "BZMPOP 0 1 z MIN COUNT 2", "ZCARD z")
        both("ZMPOP 1 z MAX COUNT 1000", "EXISTS z", "ZMPOP 1 z MAX", "BZPOPMIN z 0.01")
    both("BZMPOP 0.01 2 a b MAX", "BZPOPMAX z x", "BZPOPMAX z -1", "BZMPOP -1 1 z MIN")
    both("SET s x", "BZPOPMIN s 0", "ZMPOP 1 s MIN", "BZMPOP 0 1 s MAX", "ZMPOP 0 s MIN")


def test_who_waits_gets_the_member_when_it_comes(both: Both) -> None:
    for line in ("BZPOPMIN a b 0", "BZPOPMAX a b 0", "BZMPOP 0 2 a b MIN COUNT 5"):
        waiter = both.another()
        waiter.send(line)
        both("PING")
        for _ in range(50):
            both("ZADD other 1 x")
        both("ZADD b 1 x 2.5 y 3 z")
        waiter.reply()
        both("ZRANGE b 0 -1", "DEL b")


def test_random_members(both: Both) -> None:
    both("ZADD z 1 a", "ZRANDMEMBER z", "ZRANDMEMBER z 5", "ZRANDMEMBER z -3", "ZRANDMEMBER z 0")
    both("ZRANDMEMBER z 1 WITHSCORES", "ZRANDMEMBER z -2 WITHSCORES", "ZRANDMEMBER z 2 withscores")
    both("ZADD z 2 b 3 c", "ZRANDMEMBER z 3", "ZRANDMEMBER z 9 WITHSCORES", "ZRANDMEMBER none 3")
    both(["ZADD", "z", 4, "x" * 100], "OBJECT ENCODING z", "ZRANDMEMBER z 4 WITHSCORES")
    both("ZRANDMEMBER z -9223372036854775808", "ZRANDMEMBER z 9223372036854775807")
    both("ZRANDMEMBER z 4611686018427387904 WITHSCORES", "ZRANDMEMBER z -4611686018427387904 x")
    both("ZRANDMEMBER z 4611686018427387903 WITHSCORES", "ZRANDMEMBER none", "ZRANDMEMBER z x")


def test_scanning(both: Both) -> None:
    members = "1 a 2.5 b 0.1 c inf d -inf e 1e20 f 1e-5 g 123456789012345680 h"
    both(f"ZADD z {members}")
    both("ZSCAN z 0", "ZSCAN z 0 MATCH [a-c]", "ZSCAN z 5 COUNT 1", normalize=doubles)
    both("ZSCAN z x", "ZSCAN none 3", "ZSCAN none x", "ZSCAN none 0 COUNT 0", "ZSCAN z 0 COUNT 0")
    both("ZSCAN z 0 TYPE zset", "ZSCAN z 0 COUNT", "ZSCAN z 0 MATCH")
    both(["ZADD", "z", 4, "x" * 100])

    def pairs(reply: object) -> object:
        assert isinstance(reply, list)
        flat = reply[1]
        return reply[0], sorted(zip(flat[::2], flat[1::2], strict=True))

    both("ZSCAN z 0 COUNT 100", "ZSCAN z 0 COUNT 100 MATCH x*", normalize=pairs)
