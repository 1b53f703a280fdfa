"""Bitmap commands with random arguments: redis-server and ours give the same bytes.

The scripts are drawn from fixed seeds. BITCOUNT and BITPOS read all their arguments before they
look at the key since 7.2, so they get bad ones only where there is a string.
"""

from __future__ import annotations

import random

import pytest

from tests.interop.compare import Both

COMMANDS = 1000  # of one random script
KEYS = ["a", "b", "c", "none"]
INTEGERS = ["0", "1", "-1", "2", "-2", "7", "8", "-8", "9", "15", "-17", "30", "100", "-100"]
EXTREMES = ["127", "128", "-128", "-129", "255", "-32768", "4294967295", "9223372036854775807"]
EXTREMES += ["-9223372036854775808", "-9223372036854775681", "-9223372036854775680", "", "x", "01"]
TYPES = ["u1", "u2", "u8", "u31", "u32", "u63", "i1", "i2", "i8", "i9", "i32", "i63", "i64"]
BAD_TYPES = ["u0", "u64", "i65", "i0", "x8", "", "u", "i-1", "U8", "i08"]
NAMES = ["SETBIT", "SETBIT", "GETBIT", "BITCOUNT", "BITPOS", "BITOP", "BITFIELD", "BITFIELD"]


class Draw:
    """Draws commands."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def key(self) -> str:
        return self.rng.choice(KEYS)

    def offset(self) -> str:
        rng = self.rng
        if rng.random() < 0.05:
            return rng.choice(["-1", "x", "", "4294967296", "9223372036854775807", "#"])
        return str(rng.randrange(200))

    def operation(self) -> list[str]:
        """One operation of BITFIELD."""
        rng = self.rng
        name = rng.choice(["GET", "get", "SET", "INCRBY", "INCRBY", "OVERFLOW", "x"])
        if name == "OVERFLOW":
            return [name, rng.choice(["WRAP", "sat", "SAT", "FAIL", "x"])]
        kind = rng.choice(TYPES if rng.random() < 0.97 else BAD_TYPES)
        offset = self.offset()
        if rng.random() < 0.3:
            offset = f"#{rng.choice(['0', '1', '2', '3', '-1', '144115188075855873'])}"
        number = rng.choice([*INTEGERS, *EXTREMES])
        return [name, kind, offset] if name.upper() == "GET" else [name, kind, offset, number]

    def command(self) -> list[str]:
        rng = self.rng
        name = rng.choice(NAMES)
        key = self.key()
        match name:
            case "SETBIT":
                key = rng.choice(KEYS[:3])
                return [name, key, self.offset(), rng.choice(["0", "1", "1", "1", "2", "x"])]
            case "GETBIT":
                return [name, key, self.offset()]
            case "BITCOUNT":
                unit = rng.choice([[], [], ["BIT"], ["byte"]])
                return [name, key, rng.choice(INTEGERS), rng.choice(INTEGERS), *unit]
            case "BITPOS":
                words = [rng.choice(INTEGERS), rng.choice(INTEGERS), rng.choice(["BIT", "byte"])]
                return [name, key, rng.choice(["0", "1"]), *words[: rng.randrange(4)]]
            case "BITOP":
                operation = rng.choice(["AND", "or", "XOR", "NOT", "NAND"])
                keys = [self.key() for _ in range(1 if operation == "NOT" else rng.randrange(1, 4))]
                return [name, operation, rng.choice(KEYS[:3]), *keys]
        operations = [word for _ in range(rng.randrange(4)) for word in self.operation()]
        return [name, rng.choice(KEYS[:3]), *operations]


@pytest.mark.parametrize("seed", range(4))
def test_random_commands(both: Both, seed: int) -> None:
    draw = Draw(seed)
    script: list[list[str]] = []
    for _ in range(COMMANDS):
        script.append(draw.command())
        key = draw.key()
        script += [["GET", key], ["OBJECT", "ENCODING", key]]
        if draw.rng.random() < 0.05:
            script.append(
                ["SET", draw.rng.choice(KEYS[:3]), draw.rng.choice(["", "123", "\xff\xff"])]
            )
    both.pipeline(*script)


def test_long_strings(both: Both) -> None:
    rng = random.Random(3)
    for key in ("a", "b"):
        both(["SET", key, rng.randbytes(rng.randrange(50_000, 70_000))])
        both(["SETRANGE", f"{key}0", 100_000, "x"])
        both(f"BITOP NOT {key}1 {key}0", f"SETBIT {key}0 400001 1", f"SETBIT {key}1 400009 0")
    keys = ["a", "b", "a0", "b0", "a1", "b1"]
    for operation in ("AND", "OR", "XOR"):
        for _ in range(4):
            both(["BITOP", operation, "d", *rng.sample(keys, 3)], "GET d", "BITCOUNT d")
    for key in keys:
        for _ in range(20):
            start, end = rng.randrange(-900_000, 900_000), rng.randrange(-900_000, 900_000)
            both(f"BITCOUNT {key} {start} {end} BIT", f"BITPOS {key} 0 {start} {end} BIT")
            both(f"BITPOS {key} 1 {start} {end} BIT", f"BITPOS {key} 1 {start // 8}")
            both(f"BITCOUNT {key} {start // 8} {end // 8}", f"BITPOS {key} 0 {start // 8}")


def test_bad_arguments(both: Both) -> None:
    both("SET s foobar", "RPUSH l a")
    both("BITCOUNT s 0", "BITCOUNT s x 1", "BITCOUNT s 0 x", "BITCOUNT s 0 1 BITS")
    both("BITCOUNT s 0 1 BIT x", "BITPOS s x", "BITPOS s 2", "BITPOS s 1 x", "BITPOS s 1 0 x")
    both("BITPOS s 1 0 1 BITS", "BITPOS s 1 0 1 BIT x", "BITPOS s 1 0 x BITS", "BITPOS l 1")
    both("BITOP NOT d s s", "BITOP OR d s l", "BITOP AND d", "SETBIT l 0 1", "GETBIT l 0")
    both("BITFIELD l", "BITFIELD l GET u8 0", "BITFIELD l SET u8 0 1", "BITFIELD_RO s SET u8 0 1")
