"""Consumer groups: the same on redis-server and ours, command by command.

The scripts are drawn from fixed seeds, with ids that a client gives. Idle times are far apart, and
compared by the minute. What Redis 7.0 does not tell or counts differently is left out: when a
consumer was active, and how far a group is from the end of a stream that entries were deleted from.
"""

from __future__ import annotations

import random
import time

import pytest

from redis_trio.protocol.reply import Reply
from tests.interop.compare import Both, plain

COMMANDS = 1500  # of one random script

STREAMS = ["a", "b"]
GROUPS = ["g", "h"]
CONSUMERS = ["carol", "dave", "Bob"]
IDLE_MS = 200_000
COUNTED = {b"entries-read", b"lag"}
LATE = ["0", "-5", "100000", "300000"]  # minimum idle times
NAMES = {
    "XADD": 24,
    "XREADGROUP": 24,
    "XACK": 10,
    "XPENDING": 10,
    "XCLAIM": 14,
    "XAUTOCLAIM": 8,
    "XGROUP": 12,
    "XINFO": 14,
    "XDEL": 4,
    "XTRIM": 1,
    "XSETID": 1,
    "COPY": 1,
    "DEL": 1,
    "SET": 0.5,
}


class Script:
    """Draws commands."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.last = 0  # the highest id that was given

    def commands(self, count: int) -> list[list[str]]:
        weights = list(NAMES.values())
        names = self.rng.choices(list(NAMES), weights, k=count)
        return [self.command(name) for name in names]

    def command(self, name: str) -> list[str]:
        draw = getattr(self, f"draw_{name.lower()}")
        return [name, *draw()]

    def flip(self, probability: float) -> bool:
        return self.rng.random() < probability

    def stream(self) -> str:
        return "none" if self.flip(0.02) else self.rng.choice(STREAMS)

    def group(self) -> str:
        return "nobody" if self.flip(0.02) else self.rng.choice(GROUPS)

    def consumer(self) -> str:
        return self.rng.choice(CONSUMERS)

    def place(self) -> list[str]:
        return [self.stream(), self.group()]

    def id(self) -> str:
        rng = self.rng
        if self.flip(0.03):
            return rng.choice(
                ["x", "-", "+", "$", ">", "0-0", "1-x", "(5", "18446744073709551615-1"]
            )
        number = rng.randint(max(0, self.last - 30), self.last + 2)
        return f"{number}-{rng.choice([0, 0, 0, 1])}" if self.flip(0.8) else str(number)

    def ids(self) -> list[str]:
        return [self.id() for _ in range(self.rng.randint(1, 4))]

    def start(self) -> str:
        return self.rng.choice(["-", "0", f"({self.id()}", self.id(), "-"])

    def end(self) -> str:
        return self.rng.choice(["+", f"({self.id()}", self.id(), "+"])

    def count(self) -> str:
        return self.rng.choice(["1", "2", "5", "100", "0", "-1", "x" if self.flip(0.1) else "3"])

    def some(self, options: list[list[str]]) -> list[str]:
        chosen = self.rng.sample(options, self.rng.choice([0, 0, 1, 2]))
        return [word for option in chosen for word in option]

    def draw_xadd(self) -> list[str]:
        self.last += self.rng.choice([0, 1, 1, 1, 3])
        return [self.stream(), f"{self.last}-{self.rng.choice([0, 1, 2])}", "f", str(self.last)]

    def draw_xdel(self) -> list[str]:
        return [self.stream(), *self.ids()]

    def draw_xtrim(self) -> list[str]:
        return [self.stream(), "MAXLEN", str(self.rng.randint(0, 20))]

    def draw_xsetid(self) -> list[str]:
        self.last += 2
        return [self.stream(), str(self.last)]

    def draw_copy(self) -> list[str]:
        return [self.stream(), self.stream(), "REPLACE"]

    def draw_del(self) -> list[str]:
        return [self.stream()]

    def draw_set(self) -> list[str]:
        return [self.rng.choice(STREAMS), "v"]

    def draw_xreadgroup(self) -> list[str]:
        streams = [self.stream() for _ in range(self.rng.choice([1, 1, 1, 2, 3]))]
        ids = [">" if self.flip(0.7) else self.id() for _ in streams]
        options = self.some([["COUNT", self.count()], ["NOACK"], ["BAD"] * self.flip(0.05)])
        who = ["GROUP", self.group(), self.consumer()] if self.flip(0.98) else ["COUNT", "1"]
        return [*who, *options, "STREAMS", *streams, *ids]

    def draw_xack(self) -> list[str]:
        return [*self.place(), *self.ids()]

    def draw_xpending(self) -> list[str]:
        if self.flip(0.3):
            return self.place()
        idle = ["IDLE", self.rng.choice(LATE)] if self.flip(0.3) else []
        who = [self.rng.choice([*CONSUMERS, "nobody"])] if self.flip(0.4) else []
        words = [*self.place(), *idle, self.start(), self.end(), self.count(), *who]
        return words[:-1] if self.flip(0.03) else words

    def draw_xclaim(self) -> list[str]:
        options = self.some(
            [
                ["IDLE", str(IDLE_MS)],
                ["IDLE", self.rng.choice(["-1", "x", str(2**62)])],
                ["TIME", self.rng.choice(["1000", "-7", "9999999999999999"])],
                ["RETRYCOUNT", self.rng.choice(["0", "7", "-1", str(2**63 - 1)])],
                ["FORCE"],
                ["JUSTID"],
                ["LASTID", self.id()],
            ]
        )
        late = "x" if self.flip(0.02) else self.rng.choice(LATE)
        return [*self.place(), self.consumer(), late, *self.ids(), *options]

    def draw_xautoclaim(self) -> list[str]:
        count = "576460752303423487" if self.flip(0.03) else self.count()
        options = self.some([["COUNT", count], ["JUSTID"], ["BAD"] * self.flip(0.05)])
        late = "x" if self.flip(0.02) else self.rng.choice(LATE)
        return [*self.place(), self.consumer(), late, self.start(), *options]

    def draw_xgroup(self) -> list[str]:
        where = self.rng.choice(["$", "0", "-", "+", self.id(), self.id()])
        extra = self.some(
            [["ENTRIESREAD", self.rng.choice(["-1", "0", "3", "50", "-2", "x"])], ["MKSTREAM"]]
        )
        action = self.rng.choices(
            ["CREATE", "SETID", "DESTROY", "CREATECONSUMER", "DELCONSUMER"], [10, 4, 1, 3, 2]
        )[0]
        if action == "CREATE":
            return [action, *self.place(), where, *extra]
        if action == "SETID":
            return [action, *self.place(), where, *(extra if self.flip(0.7) else extra * 2)]
        if action == "DESTROY":
            return [action, *self.place()]
        return [action, *self.place(), self.consumer()]

    def draw_xinfo(self) -> list[str]:
        action = self.rng.choice(["GROUPS", "CONSUMERS", "STREAM", "STREAM"])
        if action == "CONSUMERS":
            return [action, *self.place()]
        if action == "GROUPS":
            return [action, self.stream()]
        count = ["COUNT", self.count()] if self.flip(0.5) else []
        return [action, self.stream(), "FULL", *count]


def fields(reply: Reply) -> dict[bytes, Reply]:
    """A map, or RESP2's flat array of its keys and values."""
    if isinstance(reply, dict):
        return reply
    assert isinstance(reply, list)
    keys = [key for key in reply[::2] if isinstance(key, bytes)]
    return dict(zip(keys, reply[1::2], strict=True))


def evened(reply: Reply) -> object:
    """Normalize: times, and how long ago they were, to multiples of 100 seconds."""
    if isinstance(reply, list):
        if len(reply) == 4 and isinstance(reply[1], bytes) and isinstance(reply[2], int):
            return [reply[0], reply[1], idle(reply[2]), reply[3]]  # a pending entry
        return [evened(item) for item in reply]
    if isinstance(reply, int) and not isinstance(reply, bool):
        return idle(int(time.time() * 1000) - reply) if 10**12 < reply < 10**13 else reply
    if isinstance(reply, dict):
        return {key: evened(value) for key, value in reply.items()}
    return plain(reply)


def idle(ms: int) -> int:
    return round(ms / 100_000)


def consumers(reply: Reply) -> object:
    """Normalize: XINFO CONSUMERS, without `inactive`."""
    if not isinstance(reply, list):
        return plain(reply)
    return [
        {
            key: idle(value) if key == b"idle" and isinstance(value, int) else plain(value)
            for key, value in fields(item).items()
            if key != b"inactive"
        }
        for item in reply
    ]


def groups(reply: Reply) -> object:
    """Normalize: XINFO GROUPS, without what 7.0 counts in another way."""
    if not isinstance(reply, list):
        return plain(reply)
    return [
        {key: evened(value) for key, value in fields(item).items() if key not in COUNTED}
        for item in reply
    ]


def full(reply: Reply) -> object:
    """Normalize: the groups of XINFO STREAM FULL."""
    if not isinstance(reply, list | dict):
        return plain(reply)
    shown = fields(reply)[b"groups"]
    assert isinstance(shown, list)
    return [
        {
            key: shown_consumers(value) if key == b"consumers" else evened(value)
            for key, value in fields(item).items()
            if key not in COUNTED
        }
        for item in shown
    ]


def shown_consumers(reply: Reply) -> object:
    assert isinstance(reply, list)
    return [
        {key: evened(value) for key, value in fields(item).items() if key != b"active-time"}
        for item in reply
    ]


NORMALIZE = {
    "XINFO GROUPS": groups,
    "XINFO CONSUMERS": consumers,
    "XINFO STREAM": full,
}


def consumers_of(words: list[str]) -> list[list[str]]:
    """The streams, groups and consumers that a command is about to act with."""
    if words[0] in {"XCLAIM", "XAUTOCLAIM"}:
        return [words[1:4]]
    if words[:2] != ["XREADGROUP", "GROUP"] or "STREAMS" not in words:
        return []
    names = words[words.index("STREAMS") + 1 :]
    return [[name, *words[2:4]] for name in names if name in STREAMS]


@pytest.mark.parametrize("seed", range(3))
def test_random_commands(both: Both, seed: int) -> None:
    for words in Script(seed).commands(COMMANDS):
        for place in consumers_of(words):  # 7.0 creates none that gets nothing
            both(["XGROUP", "CREATECONSUMER", *place])
        both(words, normalize=NORMALIZE.get(" ".join(words[:2]), evened))
