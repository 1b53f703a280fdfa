"""Hash commands with random arguments: redis-server and ours give the same bytes.

The scripts are drawn from fixed seeds. What needs a newer version than the one that is installed
(deadlines of fields, NOVALUES) is tested by value alone, in tests/unit/test_hash_expire.py.
"""

from __future__ import annotations

import random

import pytest

from tests.interop.compare import Both, Normalize, shape, unordered, unordered_map

FIELDS = ["a", "b", "c", "d", "", "f" * 64, "0", "x\0y"]
VALUES = ["", "a", "1", "-5", "1.5", "3.0e3", "inf", "nan", " 1", "9223372036854775807", "v" * 64]
NUMBERS = ["1", "-1", "0", "01", "9223372036854775807", "-9223372036854775808", "1.5", "x", ""]
FLOATS = ["1", "-0.1", "1e20", "inf", "nan", "0x10", "5.0e-2", "x", "", " 1"]
KEYS = ["h", "g", "string"]
NAMES = [
    *("HSET", "HSET", "HSET", "HMSET", "HSETNX", "HGET", "HMGET", "HGETALL", "HKEYS", "HVALS"),
    *("HLEN", "HEXISTS", "HSTRLEN", "HDEL", "HINCRBY", "HINCRBYFLOAT", "HRANDFIELD", "HSCAN"),
    *("TYPE", "OBJECT", "DEL"),
]
COMMANDS = 2000


class Draw:
    """Draws words of commands."""

    def __init__(self, seed: int, long: bool) -> None:
        self.rng = random.Random(seed)
        self.values = [*VALUES, "w" * 65] if long else VALUES
        self.long = long

    def command(self) -> tuple[list[str], Normalize | None]:
        """Return a command, and how to compare its replies."""
        rng = self.rng
        name = rng.choice(NAMES)
        field = rng.choice(FIELDS)
        words = [name, rng.choice(KEYS)]
        normalize: Normalize | None = None
        if name in ("HSET", "HMSET"):
            for _ in range(rng.choice([1, 1, 2, 5])):
                words += [rng.choice(FIELDS), rng.choice(self.values)]
            words += ["odd"] * (rng.random() < 0.05)
        elif name == "HSETNX":
            words += [field, rng.choice(self.values)]
        elif name in ("HGET", "HEXISTS", "HSTRLEN"):
            words += [field]
        elif name in ("HMGET", "HDEL"):
            words += [rng.choice(FIELDS) for _ in range(rng.choice([1, 1, 2, 4]))]
        elif name == "HINCRBY":
            words += [field, rng.choice(NUMBERS)]
        elif name == "HINCRBYFLOAT":
            words += [field, rng.choice(FLOATS)]
        elif name == "HRANDFIELD":
            words += rng.choice([["0"], ["100"], ["x"], ["-9223372036854775808"], ["1", "y"]])
            words += ["WITHVALUES"] * (rng.random() < 0.3)
            normalize = shape if words[2] == "1" else self.in_any_order(unordered)
        elif name == "HSCAN":
            words += [rng.choice(["0", "0", "x"]), "COUNT", rng.choice(["1000", "0", "x"])]
            words += rng.choice([[], ["MATCH", "*"], ["MATCH", "[a-c]"], ["TYPE", "hash"]])
            normalize = self.in_any_order(scanned)
        elif name == "HGETALL":
            normalize = self.in_any_order(unordered_map)
        elif name in ("HKEYS", "HVALS"):
            normalize = self.in_any_order(unordered)
        elif name == "OBJECT":
            words.insert(1, "ENCODING")
        return words, normalize

    def in_any_order(self, normalize: Normalize) -> Normalize | None:
        """Small hashes are in the same order on both servers, byte for byte."""
        return normalize if self.long else None


def scanned(reply: object) -> object:
    """Normalize: the pairs of a scan that returned everything, in any order."""
    if isinstance(reply, list):
        return reply[0], unordered_map(reply[1])
    return repr(reply)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("long", [False, True], ids=["listpack", "hashtable"])
def test_random_commands(both: Both, seed: int, long: bool) -> None:
    draw = Draw(seed, long)
    both("SET string v")
    for _ in range(COMMANDS):
        words, normalize = draw.command()
        if words[0] == "DEL" and (words[1] == "string" or draw.rng.random() < 0.7):
            continue
        both.one(words, normalize)


@pytest.mark.parametrize("size", [511, 512, 513])
def test_sizes_around_the_threshold(both: Both, size: int) -> None:
    pairs = [str(word) for n in range(size) for word in (f"f{n}", n)]
    both(["HSET", "h", *pairs], "OBJECT ENCODING h", "HLEN h", "HDEL h f0 f1 f2")
    both("HSET h a 1 b 2", "OBJECT ENCODING h", "HSET h c 3 d 4", "OBJECT ENCODING h", "HLEN h")
    both("HGETALL h", normalize=unordered_map)
    both("HRANDFIELD h 10 WITHVALUES", "HRANDFIELD h -10 WITHVALUES", normalize=shape)


@pytest.mark.parametrize("fields", ["a 1", "a 1 b 2", "a 1 b 2 c 3"])
def test_thresholds_can_be_changed(both: Both, fields: str) -> None:
    both("CONFIG SET hash-max-listpack-entries 2 hash-max-listpack-value 10")
    both(f"HSET h {fields}", "OBJECT ENCODING h", "HSETNX h z 0123456789", "OBJECT ENCODING h")
    both(f"HSET g {fields}", "HINCRBY g 01234567890 1", "OBJECT ENCODING g")
    both("CONFIG SET hash-max-listpack-entries 512 hash-max-listpack-value 64")


def test_wrong_arguments(both: Both) -> None:
    both("SET s v", "HSET h a", "HSET s a", "HMSET h a 1 b", "HSETNX h a", "HGET h", "HGET h a b")
    both("HINCRBY s a x", "HINCRBY s a 1", "HINCRBYFLOAT s a x", "HINCRBYFLOAT s a nan")
    both("HINCRBYFLOAT s a inf", "HINCRBYFLOAT s a 1", "HRANDFIELD s x", "HRANDFIELD s 1")
    both("HRANDFIELD s 1 x", "HRANDFIELD h 9223372036854775807 WITHVALUES")
    both("HRANDFIELD h -9223372036854775807", "HRANDFIELD h -9223372036854775807 WITHVALUES")
    both("HSCAN s x", "HSCAN s 0 x", "HSCAN none 0 x", "HSCAN h 0 COUNT")
