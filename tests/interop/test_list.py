"""List commands with random arguments: redis-server and ours give the same bytes.

The scripts are drawn from fixed seeds. Whatever a list looks like inside, LRANGE shows it after
each command. Blocking commands take part where they find a list.
"""

from __future__ import annotations

import random

import pytest

from tests.interop.compare import Both

COMMANDS = 400  # of one random script
KEYS = ["a", "b", "c"]
ELEMENTS = ["", "x", "y", "z", "10", "-3", "4095", "007", "x" * 63, "x" * 64, "y" * 300, "z" * 5000]
INTEGERS = ["0", "1", "-1", "2", "-2", "3", "7", "-9", "100", "-100"]
BAD_INTEGERS = ["", "x", "1.5", " 1", "01", "9223372036854775807", "-9223372036854775807"]
BAD_INTEGERS += ["9223372036854775808", "-9223372036854775809"]
NAMES = [
    *("LPUSH", "RPUSH", "LPUSH", "RPUSH", "LPUSH", "RPUSH", "LPUSHX", "RPUSHX", "LPOP", "RPOP"),
    *("LLEN", "LINDEX", "LSET", "LSET", "LINSERT", "LINSERT", "LRANGE", "LTRIM", "LREM", "LPOS"),
    *("LMOVE", "RPOPLPUSH", "LMPOP", "BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP"),
]


class Draw:
    """Draws commands."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def key(self) -> str:
        return self.rng.choice(KEYS) if self.rng.random() < 0.97 else "string"

    def element(self) -> str:
        return self.rng.choice(ELEMENTS)

    def integer(self) -> str:
        return self.rng.choice(BAD_INTEGERS if self.rng.random() < 0.05 else INTEGERS)

    def side(self) -> str:
        return self.rng.choice(["LEFT", "RIGHT", "left", "Right", "LEFT", "RIGHT", "UP"])

    def options(self, words: list[str]) -> list[str]:
        """Options with a number; sometimes the number is missing."""
        rng = self.rng
        options = []
        for _ in range(rng.randrange(3)):
            options += [rng.choice(words), self.integer()]
        return options if rng.random() < 0.95 else options[:-1]

    def command(self) -> list[str]:
        rng = self.rng
        name = rng.choice(NAMES)
        key = self.key()
        match name:
            case "LPUSH" | "RPUSH" | "LPUSHX" | "RPUSHX":
                return [name, key, *[self.element() for _ in range(rng.choice([1, 1, 2, 9]))]]
            case "LPOP" | "RPOP":
                return [name, key] if rng.random() < 0.7 else [name, key, self.integer()]
            case "LLEN":
                return [name, key]
            case "LINDEX":
                return [name, key, self.integer()]
            case "LSET":
                return [name, key, self.integer(), self.element()]
            case "LINSERT":
                where = rng.choice(["BEFORE", "AFTER", "before", "After", "BESIDE"])
                return [name, key, where, self.element(), self.element()]
            case "LRANGE":
                return [name, key, self.integer(), self.integer()]
            case "LTRIM":
                ends = ["0", "-1"] if rng.random() < 0.2 else [self.integer(), self.integer()]
                return [name, key, *ends] if rng.random() < 0.5 else [name, key, "1", "-2"]
            case "LREM":
                return [name, key, self.integer(), self.element()]
            case "LPOS":
                return [name, key, self.element(), *self.options(["RANK", "count", "MAXLEN", "x"])]
            case "LMOVE":
                return [name, key, self.key(), self.side(), self.side()]
            case "RPOPLPUSH":
                return [name, key, self.key()]
            case "LMPOP":
                keys = [self.key() for _ in range(rng.randrange(1, 4))]
                size = str(len(keys)) if rng.random() < 0.9 else self.integer()
                return [name, size, *keys, self.side(), *self.options(["COUNT", "COUNT", "x"])]
        return self.blocking(name)

    def blocking(self, name: str) -> list[str]:
        """A blocking command that finds a list, since `full` is one; or has a bad timeout."""
        timeout = self.rng.choice(["0", "0.5", "1", "-1", "x", ""])
        match name:
            case "BLPOP" | "BRPOP":
                return [name, self.key(), self.key(), "full", timeout]
            case "BLMOVE":
                return [name, "full", self.key(), self.side(), self.side(), timeout]
            case "BRPOPLPUSH":
                return [name, "full", self.key(), timeout]
        return [name, timeout, "2", self.key(), "full", self.side(), *self.options(["COUNT", "x"])]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", ["-2", "-1", "3"])
def test_random_commands(both: Both, seed: int, size: str) -> None:
    draw = Draw(seed)
    script = [["CONFIG", "SET", "list-max-listpack-size", size], ["SET", "string", "v"]]
    for _ in range(COMMANDS):
        script.append(["RPUSH", "full", "1", "2"])
        script.append(draw.command())
        script.append(["LRANGE", draw.key(), "0", "-1"])
    script.append(["CONFIG", "SET", "list-max-listpack-size", "-2"])
    both.pipeline(*script)


def test_a_list_of_many_nodes(both: Both) -> None:
    """Everything that looks for a place in the middle does so across nodes."""
    rng = random.Random(5)
    both(["RPUSH", "l", *[f"element:{number}" for number in range(3000)]])
    script: list[list[str]] = []
    for number in range(100):
        index = rng.randrange(-3100, 3100)
        element = f"element:{rng.randrange(3000)}"
        script.append(["LRANGE", "l", str(index), str(index + rng.choice([0, 99, 700, 2000]))])
        script.append(["LINDEX", "l", str(rng.randrange(-3100, 3100))])
        script.append(["LPOS", "l", element, "RANK", rng.choice(["1", "-1"])])
        script.append(["LINSERT", "l", rng.choice(["BEFORE", "AFTER"]), element, f"new:{number}"])
        script.append(["LSET", "l", str(rng.randrange(-3000, 3000)), "x" * rng.randrange(300)])
        script.append(["LREM", "l", rng.choice(["1", "-1"]), f"element:{rng.randrange(3000)}"])
    both.pipeline(*script, ["LRANGE", "l", "0", "-1"], ["LTRIM", "l", "1000", "-900"])
    both("LRANGE l 0 -1", "LPOP l 400", "RPOP l 400", "LRANGE l 0 -1")


def test_what_a_timeout_may_be(both: Both) -> None:
    both("RPUSH l a b c d e f g h i j k l m n o p")
    timeouts = "0 0.0001 1e3 0x1 -0 -0.0001 -1e-30 nan 1x -1x 9007199254740991"
    for timeout in [*timeouts.split(), " 1", "1 ", ""]:
        both(["BLPOP", "l", timeout])
