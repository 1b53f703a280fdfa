"""Streams with random ids, options and node limits: redis-server and ours give the same bytes.

The scripts are drawn from fixed seeds. No id comes from the clock.
"""

from __future__ import annotations

import random

import pytest

from tests.interop.compare import Both

KEYS = ["a", "b", "c"]
SEQ_MAX = str(2**64 - 1)
ODD_IDS = [
    *("0", "0-0", "0-1", "-", "+", "$", ">", "*", "", "x", "1-", "-1", "1-x", "1-1-1", "(", "(-"),
    *(
        "(+",
        "(5",
        "(5-3",
        "(0-0",
        "(0-1",
        "5-*",
        "0-*",
        "*-5",
        "05",
        "5-05",
        " 5",
        "5 ",
        "+5",
        "5- 3",
    ),
    *("5--3", "5-+3", "5-0x3", "5--03", "-*", "5-**", "(5-*", "0-0-*", "~", "="),
    *(f"{SEQ_MAX}", f"{SEQ_MAX}-{SEQ_MAX}", f"({SEQ_MAX}-{SEQ_MAX}", f"({SEQ_MAX}"),
    *("18446744073709551616", "5-18446744073709551616", f"5-{SEQ_MAX}", f"(5-{SEQ_MAX}"),
    *("5-99999999999999999999999", "9223372036854775808-1", f"5-{SEQ_MAX[:-1]}6", "0" * 100 + "7"),
    *("0" * 127, "0" * 128, "5-" + "0" * 125, "5-" + "0" * 126),
]
NUMBERS = ["0", "1", "2", "3", "5", "10", "30", "100", "-1", "x", "", "9223372036854775807"]
WORDS = [
    "f",
    "g",
    "v",
    "",
    "12",
    "127",
    "128",
    "-4097",
    "100000",
    str(2**33),
    "01",
    "x" * 70,
    "1.5",
]


class Draw:
    """Draws commands."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.ms = 5

    def id(self) -> str:
        rng = self.rng
        if rng.random() < 0.05:
            return rng.choice(ODD_IDS)
        ms = rng.randrange(max(0, self.ms - 30), self.ms + 3)
        return rng.choice([str(ms), f"{ms}-{rng.randrange(4)}"])

    def edge(self) -> str:
        rng = self.rng
        return rng.choice(["-", "+", self.id(), self.id(), f"({self.id()}"])

    def number(self) -> str:
        return self.rng.choice(NUMBERS) if self.rng.random() < 0.1 else str(self.rng.randrange(30))

    def trim(self) -> list[str]:
        rng = self.rng
        words = [rng.choice(["MAXLEN", "maxlen", "MINID"])]
        words += rng.choice([[], ["~"], ["~"], ["="]])
        words.append(self.number() if words[0] != "MINID" else self.id())
        if rng.random() < 0.3:
            words += ["LIMIT", self.number()]
        return words

    def fields(self) -> list[str]:
        rng = self.rng
        if rng.random() < 0.5:
            return ["f", rng.choice(WORDS)]
        count = rng.choice([1, 2, 2, 2, 3, 3, 4, 5, 6])
        return [rng.choice(WORDS) for _ in range(count)]

    def add(self) -> list[str]:
        rng = self.rng
        words = []
        if rng.random() < 0.3:
            words = self.trim()
        if rng.random() < 0.1:
            words.insert(rng.randrange(len(words) + 1), "NOMKSTREAM")
        self.ms += rng.choice([0, 0, 1, 1, 2, 1000])
        entry_id = rng.choice([f"{self.ms}-*", f"{self.ms}-{rng.randrange(5)}", str(self.ms)])
        if rng.random() < 0.05:
            entry_id = self.id()
        if entry_id == "*":
            entry_id = "7-*"
        return [*words, entry_id, *self.fields()]

    def read(self) -> list[str]:
        rng = self.rng
        keys = [rng.choice(KEYS) for _ in range(rng.randrange(1, 4))]
        ids = [self.id().replace("+", "-") for _ in keys]
        words = rng.choice([[], [], ["COUNT", self.number()], ["BLOCK"], ["NOACK"], ["GROUP", "g"]])
        return [*words, "STREAMS", *keys, *ids]

    def command(self) -> list[str]:
        rng = self.rng
        key = rng.choice(KEYS)
        name = rng.choice(
            ["XADD"] * 8
            + ["XTRIM", "XDEL", "XDEL", "XDEL", "XRANGE", "XREVRANGE", "XREAD", "XREAD", "XLEN"]
            + ["XSETID", "COPY", "XINFO", "DEL"]
        )
        match name:
            case "XADD":
                return [name, key, *self.add()]
            case "XTRIM":
                return [name, key, *self.trim()]
            case "XDEL":
                return [name, key, *(self.id() for _ in range(rng.randrange(6)))]
            case "XRANGE" | "XREVRANGE":
                count = rng.choice([[], [], ["COUNT", self.number()], ["COUNT"]])
                return [name, key, self.edge(), self.edge(), *count]
            case "XREAD":
                return [name, *self.read()]
            case "XSETID":
                words = [str(self.ms + 1)]  # 7.0 lets it be below what has been deleted
                words += rng.choice(
                    [[], ["ENTRIESADDED", self.number()], ["MAXDELETEDID", self.id()]]
                )
                return [name, key, *words]
            case "COPY":
                return [name, key, rng.choice(KEYS), "REPLACE"]
            case "XINFO":
                full = rng.choice(
                    [["FULL"], ["FULL", "COUNT", self.number()], ["x"], ["FULL", "x"]]
                )
                return [name, "STREAM", key, *full]
            case "DEL" if rng.random() < 0.8:
                return ["XLEN", key]
        return [name, key]


@pytest.mark.parametrize("seed", range(6))
def test_random_commands(both: Both, seed: int) -> None:
    draw = Draw(seed)
    script: list[list[str]] = []
    for number in range(1500):
        if number % 250 == 0:
            size = draw.rng.choice(["0", "60", "100", "200", "4096"])
            entries = draw.rng.choice(["0", "1", "3", "10", "100"])
            script.append(["CONFIG", "SET", "stream-node-max-bytes", size])
            script.append(["CONFIG", "SET", "stream-node-max-entries", entries])
        command = draw.command()
        script.append(command)
        script.append(["XINFO", "STREAM", command[1]])
        if number % 10 == 0:
            script += [["XRANGE", key, "-", "+"] for key in KEYS]
            script += [["XREVRANGE", key, "+", "-"] for key in KEYS]
    script.append(["CONFIG", "SET", "stream-node-max-bytes", "4096"])
    script.append(["CONFIG", "SET", "stream-node-max-entries", "100"])
    both.pipeline(*script)


def test_odd_ids(both: Both) -> None:
    """What each command makes of them. XREAD has got `+` since."""
    for text in ODD_IDS:
        both("DEL k", "XADD k 3-1 f v", "XADD k 5-2 f v", "XADD k 5-3 f v", "XADD k 7-0 f v")
        both(["XRANGE", "k", text, "+"], ["XRANGE", "k", "-", text], ["XREVRANGE", "k", text, text])
        both(["XDEL", "k", text], ["XTRIM", "k", "MINID", text], "XINFO STREAM k")
        both(["XSETID", "k", text], ["XSETID", "k", "9", "MAXDELETEDID", text], "XINFO STREAM k")
        if text not in {"+", "*"}:
            both(["XREAD", "STREAMS", "k", text])
            both(["XADD", "k", text, "f", "v"], "XINFO STREAM k", ["XADD", "new", text, "f", "v"])
            both("XRANGE new - +", "DEL new", ["XADD", "new", "MINID", text, "9-9", "f", "v"])
        both("DEL new")


def test_the_options_of_xadd_and_xtrim(both: Both) -> None:
    options = ["MAXLEN 2", "MAXLEN ~ 2", "MAXLEN = 2", "MINID 3", "MINID ~ 3", "LIMIT 1", "LIMIT 0"]
    options += ["LIMIT -1", "LIMIT x", "MAXLEN -1", "MAXLEN x", "MINID x", "NOMKSTREAM", "MAXLEN"]
    options += ["MAXLEN ~", "MAXLEN =", "MINID", "LIMIT", "", "bad"]
    both("CONFIG SET stream-node-max-entries 2")
    for first in options:
        for second in options:
            both("DEL k new", *[f"XADD k {i}-0 f v" for i in range(1, 8)])
            both(f"XADD k {first} {second} 9-9 f v", "XINFO STREAM k")
            both(f"XADD new {first} {second} 9-* f v", f"XADD k {first} {second} 10-*")
            both(f"XTRIM k {first} {second}", f"XTRIM new {first} {second}", "XINFO STREAM k")
    both("CONFIG SET stream-node-max-entries 100")


def test_wrong_types_and_missing_keys(both: Both) -> None:
    both("SET s v")
    for key in ("s", "missing"):
        both(f"XADD {key} NOMKSTREAM 1-1 f v", f"XADD {key} 0-0 f v", f"XADD {key} x f v")
        both(
            f"XLEN {key}", f"XRANGE {key} - +", f"XRANGE {key} - + COUNT 0", f"XREVRANGE {key} + -"
        )
        both(f"XRANGE {key} x +", f"XDEL {key} x", f"XDEL {key} 1-1", f"XTRIM {key} MAXLEN 0")
        both(f"XSETID {key} 1-1", f"XSETID {key} x", f"XINFO STREAM {key}", f"XINFO STREAM {key} x")
        both(f"XREAD STREAMS {key} 0", f"XREAD STREAMS {key} x", f"XREAD STREAMS missing {key} 0 $")
    both("XINFO", "XINFO STREAM", "XINFO GROUPS", "XINFO CONSUMERS k", "XINFO NOTHING k", "XADD")
    both("OBJECT ENCODING s", "XADD k 1-1 f v", "OBJECT ENCODING k", "TYPE k", "GET k")


def test_streams_of_many_nodes(both: Both) -> None:
    """The radix tree that XINFO tells of has as many nodes."""
    rng = random.Random(1)
    ms = 1
    lines = ["CONFIG SET stream-node-max-entries 2"]
    ids: list[object] = []
    for _ in range(1500):
        ms += rng.choice([0, 1, 3, 300, 70_000, 2**33])
        ids.append(f"{ms}-{len(ids)}")
        lines.append(f"XADD k {ids[-1]} f v")
        if len(ids) % 50 == 0:
            lines += ["XINFO STREAM k", f"XTRIM k MAXLEN ~ {len(ids) - 100}"]
    rng.shuffle(ids)
    for entry_id in ids:
        lines += [f"XDEL k {entry_id}", "XINFO STREAM k"]
    lines.append("CONFIG SET stream-node-max-entries 100")
    both.pipeline(*lines)


def test_reading_several_streams(both: Both) -> None:
    both("XADD a 1-1 f v", "XADD a 2-1 f v", "XADD b 1-1 f v g w", "XADD empty 1-1 f v")
    both("XDEL empty 1-1", "XREAD STREAMS a b 0 0", "XREAD COUNT 1 STREAMS a b 0 1-0")
    both("XREAD STREAMS a a b 0 1 1-1", "XREAD STREAMS a $", "XREAD STREAMS empty 0")
    both("XREAD count 0 streams a 0", "XREAD COUNT -1 STREAMS a 0", "XREAD COUNT x STREAMS a 0")
    both("XREAD BLOCK 1 STREAMS a $", "XREAD BLOCK x STREAMS a 0", "XREAD BLOCK -1 STREAMS a 0")
    both("XREAD BLOCK 1.5 STREAMS a 0", "XREAD BLOCK 0 STREAMS a 0", "XREAD a b c")
    both(
        "XREAD GROUP g c STREAMS a 0",
        "XREAD NOACK STREAMS a 0",
        "XREAD STREAMS a >",
        "XREAD STREAMS",
    )
    both("XREAD COUNT STREAMS a 0", "XREAD BLOCK 1 STREAMS a b $ $")
