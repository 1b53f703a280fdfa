"""String commands with random options: redis-server and ours give the same bytes.

The scripts are drawn from fixed seeds. Times to live are long or over, so that no reply depends on
when a command runs.
"""

from __future__ import annotations

import random
import time

import pytest

from tests.interop.compare import Both

INTEGERS = ["0", "1", "-1", "5", "12", "-7", "9223372036854775807", "-9223372036854775808"]
BAD_INTEGERS = ["", "x", "1.5", " 1", "01", "-0", "9223372036854775808", "99999999999999999999"]
VALUES = ["", "a", "hello world", "10", "-3", "3.0e3", "1.5", " 1", "x" * 44, "x" * 45, "\0\xff"]
KEYS = ["a", "b", "c"]
FAR_S = int(time.time()) + 10_000_000
NAMES = [
    *("SET", "SET", "SET", "GET", "GETEX", "GETEX", "GETDEL", "GETSET", "SETNX", "SETEX"),
    *("PSETEX", "MGET", "MSET", "MSETNX", "APPEND", "STRLEN", "SETRANGE", "GETRANGE", "SUBSTR"),
    *("INCR", "DECR", "INCRBY", "DECRBY", "INCRBYFLOAT", "LCS"),
]

COMMANDS = 1000  # of one random script


class Draw:
    """Draws words of commands."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def key(self) -> str:
        return self.rng.choice(KEYS)

    def value(self) -> str:
        return self.rng.choice(VALUES)

    def integer(self) -> str:
        rng = self.rng
        if rng.random() < 0.1:
            return rng.choice(BAD_INTEGERS)
        return rng.choice(INTEGERS) if rng.random() < 0.3 else str(rng.randrange(-50, 50))

    def option(self) -> list[str]:
        rng = self.rng
        word = rng.choice(
            ["NX", "xx", "Get", "KEEPTTL", "PERSIST", "EX", "PX", "EXAT", "PXAT", "bad"]
        )
        if word in {"EX", "PX", "EXAT", "PXAT"} and rng.random() < 0.95:
            if rng.random() < 0.2:
                return [word, self.integer() if word.endswith("AT") else rng.choice(["0", "-1"])]
            times = {"EX": 9000, "PX": 9_000_000, "EXAT": FAR_S, "PXAT": FAR_S * 1000 + 7}
            return [word, str(times[word])]
        return [word]

    def options(self) -> list[str]:
        return [word for _ in range(self.rng.randrange(4)) for word in self.option()]

    def command(self) -> list[str]:
        key = self.key()
        name = self.rng.choice(NAMES)
        return [name, key, *self.arguments(name)]

    def arguments(self, name: str) -> list[str]:
        rng = self.rng
        match name:
            case "SET":
                return [self.value(), *self.options()]
            case "GETEX":
                return self.options()
            case "GETSET" | "SETNX" | "APPEND":
                return [self.value()]
            case "SETEX" | "PSETEX":
                return [rng.choice(["9000000", "0", "-1", "x", "9223372036854775807"]), "v"]
            case "MGET":
                return [self.key() for _ in range(rng.randrange(3))]
            case "MSET" | "MSETNX":
                words = [self.value()]
                for _ in range(rng.randrange(3)):
                    words += [rng.choice([*KEYS, "d", "e"]), self.value()]
                return words if rng.random() < 0.9 else words[:-1]
            case "SETRANGE":
                return [rng.choice(["0", "1", "7", "-1", "x", "536870912"]), self.value()]
            case "GETRANGE" | "SUBSTR":
                return [self.integer(), self.integer()]
            case "INCRBY" | "DECRBY":
                return [self.integer()]
            case "INCRBYFLOAT":
                return [rng.choice(["1.1", "-0.5", "1e2", "inf", "-inf", "nan", "", "x", "3"])]
            case "LCS":
                words = ["LEN", "IDX", "WITHMATCHLEN", "MINMATCHLEN", "3", "bad"]
                return [self.key(), *rng.sample(words, rng.randrange(4))]
        return []


@pytest.mark.parametrize("seed", range(4))
def test_random_commands_with_random_options(both: Both, seed: int) -> None:
    draw = Draw(seed)
    script = []
    for _ in range(COMMANDS):
        script.append([word.encode("latin-1") for word in draw.command()])
        key = draw.key().encode()
        script += [[b"GET", key], [b"OBJECT", b"ENCODING", key], [b"OBJECT", b"REFCOUNT", key]]
    both.pipeline(*script)


def test_every_pair_of_options_of_set(both: Both) -> None:
    options = ["NX", "XX", "GET", "KEEPTTL", "EX 9000", "PX 9000000", f"EXAT {FAR_S}"]
    options += [f"PXAT {FAR_S}000", "PXAT 5", "EX 0", "PERSIST", "EX", "keepttl", ""]
    lines = []
    for first in options:
        for second in options:
            lines += ["MSET old 1 older 2", f"SETEX old {FAR_S} v"]
            lines += [f"SET {key} v {first} {second}" for key in ("old", "new")]
            lines += ["GETDEL old", "GETDEL new"]
            lines += [f"SETEX old {FAR_S} v", f"GETEX old {first} {second}", "GETDEL old"]
    both.pipeline(*lines)


def test_errors_about_times(both: Both) -> None:
    times = ["0", "-1", "9223372036854775807", "9223372036854775", "9223372036854776"]
    times += ["-9223372036854775808", "9223372036854775808", "", "1.5", "x"]
    for value in times:
        for unit in ("EX", "PX", "EXAT", "PXAT"):
            both(["SET", "k", "v", unit, value], "GETDEL k", "SET k v")
            both(["GETEX", "k", unit, value], "GETDEL k", ["GETEX", "k", unit, value])
        both(["SETEX", "k", value, "v"], ["PSETEX", "k", value, "v"], "GETDEL k")


def decimal(rng: random.Random) -> str:
    """A number in some notation, or something that is none."""
    match rng.randrange(9):
        case 0:
            return repr(rng.uniform(-1000, 1000))
        case 1:
            return str(rng.randrange(-(2**66), 2**66))
        case 2:
            return f"{rng.randrange(10 ** rng.randrange(1, 30))}e{rng.randrange(-4960, 4960)}"
        case 3:
            digits = 10 ** rng.randrange(1, 22)
            return f"-{rng.randrange(digits)}.{rng.randrange(digits):0{rng.randrange(1, 25)}}"
        case 4:
            return f"0x{rng.getrandbits(80):x}.{rng.getrandbits(20):x}p{rng.randrange(-200, 200)}"
        case 5:
            return str(round(rng.uniform(-10, 10), rng.randrange(18)))
        case 6:
            return "".join(rng.choice("0123456789+-.eExpinfa _") for _ in range(5))
        case 7:
            return f"{rng.randrange(1000)}e{rng.randrange(-25, 25)}"
    return str(rng.randrange(-(10**6), 10**6))


@pytest.mark.parametrize("seed", range(3))
def test_incrbyfloat_adds_to_the_last_digit(both: Both, seed: int) -> None:
    rng = random.Random(seed)
    script: list[list[str]] = []
    for _ in range(1500):
        script += [["SET", "n", decimal(rng)], ["INCRBYFLOAT", "n", decimal(rng)], ["GET", "n"]]
    both.pipeline(*script)


def test_incrbyfloat_goes_on_from_what_it_wrote(both: Both) -> None:
    rng = random.Random(11)
    both.pipeline(*[["INCRBYFLOAT", "n", f"{rng.uniform(-1, 1)}"] for _ in range(1000)])


@pytest.mark.parametrize("letters", [1, 2, 4, 26])
def test_lcs_of_random_strings(both: Both, letters: int) -> None:
    rng = random.Random(letters)
    script: list[list[str]] = []
    for _ in range(150):
        for key in ("a", "b"):
            text = "".join(chr(97 + rng.randrange(letters)) for _ in range(rng.randrange(1, 80)))
            script.append(["SET", key, text])
        script += [
            ["LCS", "a", "b"],
            ["LCS", "a", "b", "LEN"],
            ["LCS", "a", "b", "IDX", "WITHMATCHLEN"],
            ["LCS", "b", "a", "IDX", "MINMATCHLEN", str(rng.randrange(-1, 5))],
        ]
    both.pipeline(*script)


def test_lcs_of_nothing_and_of_too_much(both: Both) -> None:
    both("SET a x", "LCS a b", "LCS b a IDX", "LCS b c LEN", "SET b ''", "LCS a b IDX")
    both("SETRANGE a 20000 x", "SETRANGE b 20000 x", "LCS a b", "LCS a b IDX", "LCS a c LEN")


def test_the_longest_string(both: Both) -> None:
    both("SETRANGE k 536870911 x", "STRLEN k", "SETRANGE k 536870912 x", "APPEND k x")
    both("GETRANGE k -3 -1", "GETDEL missing", "SET k v", "SETRANGE k 9223372036854775807 x")
