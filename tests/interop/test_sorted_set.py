"""Sorted sets with random options: redis-server and ours give the same bytes.

The scripts are drawn from fixed seeds. Scores have the same digits in 7.0 and 7.4. What 7.4 changed
(WITHSCORE of the ranks, negative offsets, -0 in a listpack, encodings by the number of pairs) is
left to the unit tests.
"""

from __future__ import annotations

import random

import pytest

from tests.interop.compare import Both, Word

KEYS = ["a", "b", "c"]
SCORES = ["0", "1", "-1", "2.5", "3", "1e3", "inf", "-inf", "+inf", "0x10", "7", "1e15"]
BAD = ["nan", "", "x", " 1", "1e999"]
NAMES = [
    *("ZADD", "ZADD", "ZADD", "ZADD", "ZADD", "ZINCRBY", "ZREM", "ZPOPMIN", "ZPOPMAX", "ZRANGE"),
    *("ZRANGE", "ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZRANGEBYLEX"),
    *("ZREVRANGEBYLEX", "ZRANGESTORE", "ZCOUNT", "ZLEXCOUNT", "ZSCORE", "ZMSCORE", "ZCARD"),
    *("ZRANK", "ZREVRANK", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE", "ZREMRANGEBYLEX"),
]
COMMANDS = 1500  # of one random script


class Draw:
    """Draws words of commands; with `one_score` all members have the same one for ever."""

    def __init__(self, seed: int, members: int, one_score: bool) -> None:
        self.rng = random.Random(seed)
        self.members = members
        self.scores = ["1"] if one_score else SCORES
        self.names = [name for name in NAMES if not (one_score and name == "ZINCRBY")]
        self.options = (
            ["NX", "xx", "GT", "lt", "CH"] if one_score else [*"NX xx GT lt CH INCR".split()]
        )

    def member(self) -> str:
        number = self.rng.randrange(self.members)
        return f"m{number:03}" if number % 3 else str(number)

    def score(self) -> str:
        rng = self.rng
        return rng.choice(BAD) if rng.random() < 0.01 else rng.choice(self.scores)

    def bound(self) -> str:
        rng = self.rng
        if rng.random() < 0.05:
            return rng.choice([*BAD, "(", "((1", "[1", "1 "])
        return rng.choice(["", "", "("]) + rng.choice([*SCORES, "-inf", "inf", "1.5", " 2"])

    def lex_bound(self) -> str:
        rng = self.rng
        if rng.random() < 0.5:
            return rng.choice(["-", "+", "-", "+", "a", "", "[", "("])
        return rng.choice("[(") + self.member()

    def index(self) -> str:
        rng = self.rng
        return rng.choice(["x", "1.5"]) if rng.random() < 0.02 else str(rng.randrange(-12, 12))

    def limit(self) -> list[str]:
        rng = self.rng
        if rng.random() < 0.5:
            return []
        return ["LIMIT", str(rng.randrange(8)), str(rng.randrange(-2, 9))][: rng.choice([3, 3, 2])]

    def pairs(self) -> list[str]:
        rng = self.rng
        many = range(rng.choice([1, 1, 1, 2, 5]))
        return [word for _ in many for word in (self.score(), self.member())]

    def command(self) -> list[Word]:
        name = self.rng.choice(self.names)
        return [name, self.rng.choice(KEYS), *self.arguments(name)]

    def arguments(self, name: str) -> list[str]:
        rng = self.rng
        match name:
            case "ZADD":
                options = rng.choices(self.options, k=rng.randrange(3))
                return [*(options if rng.random() < 0.4 else []), *self.pairs()]
            case "ZINCRBY":
                return [self.score(), self.member()]
            case "ZPOPMIN" | "ZPOPMAX":
                return rng.choice([[], ["1"], ["3"], ["0"], ["-1"], ["x"], ["1", "2"]])
            case "ZREM" | "ZMSCORE":
                return [self.member() for _ in range(rng.randrange(1, 4))]
            case "ZSCORE" | "ZRANK" | "ZREVRANK":
                return [self.member()]
            case "ZCARD":
                return []
            case "ZRANGESTORE":
                return [rng.choice(KEYS), *self.range()]
            case "ZRANGE":
                return [*self.range(), *rng.choice([[], ["WITHSCORES"], ["bad"]])]
            case "ZREVRANGE" | "ZREMRANGEBYRANK":
                words = [self.index(), self.index()]
            case "ZRANGEBYSCORE" | "ZREVRANGEBYSCORE":
                words = [self.bound(), self.bound(), *rng.choice([[], ["WITHSCORES"]])]
                words += self.limit()
            case "ZCOUNT" | "ZREMRANGEBYSCORE":
                words = [self.bound(), self.bound()]
            case "ZLEXCOUNT" | "ZREMRANGEBYLEX":
                words = [self.lex_bound(), self.lex_bound()]
            case _:
                words = [self.lex_bound(), self.lex_bound(), *self.limit()]
        return words

    def range(self) -> list[str]:
        rng = self.rng
        match rng.randrange(3):
            case 0:
                words = [self.index(), self.index()]
            case 1:
                words = [self.bound(), self.bound(), "BYSCORE", *self.limit()]
            case _:
                words = [self.lex_bound(), self.lex_bound(), "BYLEX", *self.limit()]
        return words + rng.choice([[], ["REV"], ["rev", "REV"], []])


@pytest.mark.parametrize("one_score", [True, False], ids=["one-score", "many-scores"])
@pytest.mark.parametrize("seed", range(3))
def test_random_commands_with_random_options(both: Both, seed: int, one_score: bool) -> None:
    draw = Draw(seed, 40, one_score)
    script: list[list[Word]] = []
    for _ in range(COMMANDS):
        script.append(draw.command())
        script.append(["ZRANGE", draw.rng.choice(KEYS), "0", "-1", "WITHSCORES"])
        script.append(["OBJECT", "ENCODING", draw.rng.choice(KEYS)])
    both.pipeline(*script)


@pytest.mark.parametrize("seed", range(2))
def test_random_commands_on_skiplists(both: Both, seed: int) -> None:
    """Ranges of members are only defined where all scores are the same."""
    both("CONFIG SET zset-max-listpack-entries 5")
    draw = Draw(10 + seed, 2000, True)
    script: list[list[Word]] = []
    for key in KEYS:
        for _ in range(600):
            script.append(["ZADD", key, *draw.pairs()])
    for _ in range(COMMANDS):
        script.append(draw.command())
        script.append(["OBJECT", "ENCODING", draw.rng.choice(KEYS)])
    script += [["ZRANGE", key, "0", "-1", "WITHSCORES"] for key in KEYS]
    both.pipeline(*script)
    both("CONFIG SET zset-max-listpack-entries 128")


def test_every_pair_of_options_of_zadd(both: Both) -> None:
    options = ["NX", "XX", "GT", "LT", "CH", "INCR", "incr", "bad", ""]
    lines: list[str] = []
    for first in options:
        for second in options:
            for pairs in ("1 a", "2 a", "3 a", "2 new", "1 a 5 b", "x a", "1", ""):
                lines += ["DEL z", "ZADD z 2 a 2 b", f"ZADD z {first} {second} {pairs}"]
                lines += ["ZRANGE z 0 -1 WITHSCORES", f"ZADD none {first} {second} {pairs}"]
                lines += ["DEL none"]
    both.pipeline(*lines)


@pytest.mark.parametrize("kind", ["", "BYSCORE", "BYLEX"])
def test_bounds_in_every_spelling(both: Both, kind: str) -> None:
    """What strtod() reads is a bound of scores, what has a bracket one of members."""
    both("ZADD z 0 a 0 b 0 c", "ZADD y -2 a -1 b 0 c 1 d 2 e inf f")
    bounds: list[Word] = ["", "0", "-0", "+1", "1.", ".5", "1e", "1e0", " 1", "1 ", "\t1", "0x1"]
    bounds += ["0x", "0x.8p1", "0X1P-1", "1_0", "inf", "-infinity", "INF", "in", "nan", "nan(1)"]
    bounds += ["(", "(1", "( 1", "1(", "-", "+", "[", "[a", "(a", "[b", "--", "1e400", "-1e400"]
    bounds += ["1e-400", "9223372036854775807", "99999999999999999999", b"1\0x", b"\0", b"-\0x"]
    options = [kind] if kind else []
    script: list[list[Word]] = []
    for low in bounds:
        for high in ("2", "+inf", "+", "[b", "-1"):
            for key in ("z", "y"):
                script.append(["ZRANGE", key, low, high, *options])
                script.append(["ZRANGE", key, high, low, *options, "REV"])
    both.pipeline(*script)


def test_pops_of_everything(both: Both) -> None:
    both("ZADD z 1 a 2 b 3 c 4 d 5 e", "ZPOPMIN z", "ZPOPMAX z", "ZPOPMIN z 2", "ZPOPMAX z 9")
    both("ZPOPMIN z", "ZPOPMIN z 1", "EXISTS z", "ZADD z 1 a", "ZPOPMIN z 0", "ZPOPMAX z -1")


def test_wrong_types(both: Both) -> None:
    both("SET s v")
    for line in (
        *("ZADD s 1 a", "ZINCRBY s 1 a", "ZREM s a", "ZCARD s", "ZSCORE s a", "ZMSCORE s a"),
        *("ZRANK s a", "ZREVRANK s a", "ZRANGE s 0 1", "ZRANGEBYSCORE s 0 1", "ZCOUNT s 0 1"),
        *("ZRANGEBYLEX s - +", "ZLEXCOUNT s - +", "ZPOPMIN s", "ZPOPMAX s 0", "ZPOPMAX s x"),
        *("ZREMRANGEBYRANK s 0 1", "ZREMRANGEBYSCORE s 0 1", "ZREMRANGEBYLEX s - +"),
        *("ZRANGESTORE d s 0 1", "ZRANGESTORE s none 0 1", "EXISTS s", "ZREVRANGE s 0 x"),
    ):
        both(line)
