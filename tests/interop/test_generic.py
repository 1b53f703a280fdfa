"""Generic commands with random options: redis-server and ours give the same bytes."""

from __future__ import annotations

import random
import time

import pytest

from tests.interop.compare import Both, plain, unordered

COMMANDS = 1500  # of one random script
KEYS = ["a", "b", "c"]
FAR_S = int(time.time()) + 10_000_000
BAD = ["", "x", "1.5", "-0", "9223372036854775808", "9223372036854775807", "-9223372036854775808"]
PATTERNS = ["*", "**", "a*", "*b", "[a-b]", "[^a]", "?", "\\a", "[b", "", "a", "[c-a]", "*[", "[\\"]
NAMES = [
    *("SET", "SET", "SET", "DEL", "UNLINK", "EXISTS", "TOUCH", "TYPE", "KEYS", "SCAN", "RENAME"),
    *("RENAMENX", "COPY", "COPY", "MOVE", "EXPIRE", "EXPIRE", "EXPIREAT", "PEXPIRE", "PEXPIREAT"),
    *("EXPIRETIME", "PEXPIRETIME", "PERSIST", "TTL", "OBJECT", "SELECT", "RANDOMKEY", "APPEND"),
]


class Draw:
    """Draws commands. Deadlines are far away, or over."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def options(self, choices: list[str], chance: float = 0.3) -> list[str]:
        return [option for option in choices if self.rng.random() < chance]

    def deadline(self, name: str) -> str:
        rng = self.rng
        if rng.random() < 0.1:
            return rng.choice(BAD)
        if rng.random() < 0.2:
            return str(rng.choice([0, -1, 1 if name.endswith("AT") else -100]))
        if not name.endswith("AT"):
            return str(rng.randrange(10**7, 10**8) * 1000)
        moment_s = FAR_S + rng.randrange(10**6)
        return str(moment_s * 1000 + rng.randrange(1000) if name == "PEXPIREAT" else moment_s)

    def command(self) -> list[str]:
        rng = self.rng
        name = rng.choice(NAMES)
        key = rng.choice(KEYS)
        if name == "SET":
            return [name, key, rng.choice(["1", "x", "10000", "y" * 45])]
        if name == "APPEND":
            return [name, key, "z"]
        if name in ("DEL", "UNLINK", "EXISTS", "TOUCH"):
            return [name, *rng.choices(KEYS, k=rng.randrange(4))]
        if name in ("RENAME", "RENAMENX"):
            return [name, key, rng.choice(KEYS)]
        if name == "COPY":
            options = self.options(["REPLACE", "replace", "nonsense"], 0.2)
            if rng.random() < 0.3:
                options += ["DB", *self.options(["0", "1", "16", "x", "4294967296"], 0.3)[:1]]
            return [name, key, rng.choice(KEYS), *options]
        if name in ("MOVE", "SELECT"):
            word = rng.choice(["0", "1", "2", "0", "1", "16", "-1", "x", "4294967296"])
            return [name, key, word] if name == "MOVE" else [name, word]
        if name.endswith(("EXPIRE", "EXPIREAT")):
            options = self.options(["NX", "xx", "GT", "lt", "oops"], 0.12)
            return [name, key, self.deadline(name), *options]
        if name == "KEYS":
            return [name, rng.choice(PATTERNS)]
        if name == "SCAN":
            return self.scan()
        if name == "OBJECT":
            word = rng.choice(["ENCODING", "encoding", "IDLETIME", "FREQ", "oops"])
            return [name, word, key]
        if name == "RANDOMKEY":
            return [name] if rng.random() < 0.5 else [name, key]
        return [name, key]

    def scan(self) -> list[str]:
        rng = self.rng
        words = ["SCAN", rng.choice(["0", "0", "0", "0", "x", "00"])]
        if rng.random() < 0.5:
            words += ["MATCH", rng.choice(PATTERNS)]
        if rng.random() < 0.5:
            words += ["COUNT", rng.choice(["1000", "100", "0", "x", "-1"])]
        if rng.random() < 0.3:
            words += ["TYPE", rng.choice(["string", "STRING", "list", "nonsense"])]
        return words if rng.random() < 0.9 else words[:-1]


def _scan_in_any_order(reply: object) -> object:
    if isinstance(reply, list) and len(reply) == 2 and isinstance(reply[1], list):
        return [reply[0], sorted(reply[1])]
    return str(reply)


@pytest.mark.parametrize("seed", range(4))
def test_a_random_script_gives_the_same_replies(both: Both, seed: int) -> None:
    draw = Draw(seed)
    for _ in range(COMMANDS):
        line = draw.command()
        name = line[0]
        if name == "KEYS":
            both.one(line, normalize=unordered)
        elif name == "SCAN" and not ("COUNT" in line and "x" in line):
            both.one(line, normalize=_scan_in_any_order)
        elif name == "RANDOMKEY" and len(line) == 1:
            both.one(line, normalize=lambda reply: reply is None)
        elif name == "OBJECT" and line[1] == "IDLETIME":
            both.one(line, normalize=lambda reply: isinstance(reply, int) or plain(reply))
        elif name == "TTL":
            both.one(line, normalize=lambda reply: isinstance(reply, int) and reply // 1000)
        elif name in ("EXPIRETIME", "PEXPIRETIME"):
            both.one(line, normalize=lambda reply: isinstance(reply, int) and reply // 100_000)
        else:
            both(line)


def test_globs_match_the_same_keys(both: Both) -> None:
    """The patterns are random, the keys few: every pair of them is a comparison."""
    rng = random.Random(5)
    both.pipeline(*[["SET", key, "v"] for key in ("abc", "a]b", "-", "^x", b"\xffz", "a\\b", "Z*")])
    for _ in range(1500):
        size = rng.randrange(1, 8)
        pattern = bytes(rng.choice(b"*?[]^-\\abcxzZ\xff") for _ in range(size))
        both.one(["KEYS", pattern], normalize=unordered)


def test_a_whole_scan_finds_the_same_keys(both: Both) -> None:
    both.pipeline(*[["SET", f"key:{number}", "v"] for number in range(500)])
    for peer in (both.real, both.ours):
        found = []
        cursor = b"0"
        for _ in range(1000):
            frame = peer.command(["SCAN", cursor, "COUNT", "7"])
            words = [word for word in frame.split(b"\r\n") if word[:1] not in (b"$", b"*", b"")]
            cursor = words[0]
            found += words[1:]
            if cursor == b"0":
                break
        assert sorted(found) == sorted(b"key:%d" % number for number in range(500))


def test_errors_and_help(both: Both) -> None:
    both(
        "DEL",
        "KEYS",
        "KEYS a b",
        "SCAN",
        "RANDOMKEY x",
        "RENAME a",
        "RENAME missing missing",
        "COPY a",
        "MOVE a",
        "OBJECT",
        "OBJECT ENCODING",
        "OBJECT oops",
        "OBJECT HELP extra",
        "EXPIRE a",
        "EXPIRE a 1 oops",
        "TTL",
        "PERSIST",
        "SCAN 0 COUNT 1 MATCH",
    )


def test_refcount_of_what_was_set(both: Both) -> None:
    both("MSET a 9999 b 10000 c x d -1", *[f"OBJECT REFCOUNT {key}" for key in "abcde"])
