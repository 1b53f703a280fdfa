"""The parameters that are like no other: save points, buffer limits, addresses and so on.

Source: Redis config.c, setConfig*Option and rewriteConfig*Option.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from redis_trio.config.kinds import (
    Choice,
    ConfigError,
    Parameter,
    c_string,
    format_memory,
    parse_memory,
    quote,
    strtoll,
    to_int,
)
from redis_trio.data.numbers import parse_double

if TYPE_CHECKING:
    from redis_trio.config.settings import Settings

WRONG_NUMBER: Final = "wrong number of arguments"

SavePoints: TypeAlias = tuple[tuple[int, int], ...]
"""Save after so many seconds if there were at least so many changes."""

# Classes of clients, the index of each in client-output-buffer-limit.
NORMAL: Final = 0
REPLICA: Final = 1
PUBSUB: Final = 2
_CLASS_NAMES: Final = ("normal", "slave", "pubsub")
_CLASSES: Final = {"normal": NORMAL, "slave": REPLICA, "replica": REPLICA, "pubsub": PUBSUB}

# notify-keyspace-events: the letters in the order in which they are printed, with the bits of the
# event classes in redis_trio.keyspace.database. `A` is all of the first eleven but `n`.
KEYSPACE: Final = 1 << 0
KEYEVENT: Final = 1 << 1
_CLASS_LETTERS: Final = {
    "g": 1 << 2,
    "$": 1 << 3,
    "l": 1 << 4,
    "s": 1 << 5,
    "h": 1 << 6,
    "z": 1 << 7,
    "x": 1 << 8,
    "e": 1 << 9,
    "t": 1 << 10,
    "d": 1 << 13,
    "n": 1 << 14,
}
_OTHER_LETTERS: Final = {"K": KEYSPACE, "E": KEYEVENT, "m": 1 << 11}
_ALL_CLASSES: Final = sum(_CLASS_LETTERS.values()) - _CLASS_LETTERS["n"]


class BufferLimit(NamedTuple):
    """How much output may wait for a client: at once, and for so many seconds; 0: any."""

    hard_bytes: int
    soft_bytes: int
    soft_seconds: int


class Save(Parameter[SavePoints]):
    """Pairs of seconds and changes; none: never save."""

    several = True
    always_new = True

    @property
    def takes(self) -> str:
        return 'pairs of seconds and changes, or "" for none'

    def parse(self, words: Sequence[str], settings: Settings) -> SavePoints:
        if len(words) == 1 and not c_string(words[0]):
            return ()
        numbers = [strtoll(word) for word in words]
        seconds = [number for number, _ in numbers[::2]]
        changes = [number for number, _ in numbers[1::2]]
        if (
            len(words) % 2
            or any(rest for _, rest in numbers)
            or any(number < 1 for number in seconds)
            or any(number < 0 for number in changes)
        ):
            raise ConfigError("Invalid save parameters")
        return tuple((s, to_int(c)) for s, c in zip(seconds, changes, strict=True))

    def format(self, value: SavePoints) -> str:
        return " ".join(f"{seconds} {changes}" for seconds, changes in value)

    def lines(self, value: SavePoints) -> list[tuple[str, bool]]:
        if not value:
            return [('save ""', True)]
        return [(f"save {seconds} {changes}", True) for seconds, changes in value]


class OutputBufferLimits(Parameter[tuple[BufferLimit, ...]]):
    """A BufferLimit for each class of clients; classes that are not named keep theirs."""

    several = True
    always_new = True

    @property
    def takes(self) -> str:
        return "class, hard limit, soft limit and seconds, for any of normal, replica, pubsub"

    def parse(self, words: Sequence[str], settings: Settings) -> tuple[BufferLimit, ...]:
        if len(words) % 4:
            raise ConfigError("Wrong number of arguments in buffer limit configuration.")
        limits = list(self.read(settings))
        for i in range(0, len(words), 4):
            index = _CLASSES.get(c_string(words[i]).lower())
            if index is None:
                raise ConfigError("Invalid client class specified in buffer limit configuration.")
            hard, soft = parse_memory(words[i + 1]), parse_memory(words[i + 2])
            seconds, rest = strtoll(words[i + 3])
            seconds = to_int(seconds)
            if hard is None or soft is None or rest or seconds < 0:
                raise ConfigError(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                )
            limits[index] = BufferLimit(hard, soft, seconds)
        return tuple(limits)

    def format(self, value: tuple[BufferLimit, ...]) -> str:
        return " ".join(
            f"{name} {limit.hard_bytes} {limit.soft_bytes} {limit.soft_seconds}"
            for name, limit in zip(_CLASS_NAMES, value, strict=True)
        )

    def lines(self, value: tuple[BufferLimit, ...]) -> list[tuple[str, bool]]:
        found = []
        for name, limit, default in zip(_CLASS_NAMES, value, self.default, strict=True):
            hard, soft = format_memory(limit.hard_bytes), format_memory(limit.soft_bytes)
            shown = "replica" if name == "slave" else name
            line = f"{self.name} {shown} {hard} {soft} {limit.soft_seconds}"
            found.append((line, limit != default))
        return found


class OomScoreValues(Parameter[tuple[int, ...]]):
    """Three numbers: for a master, a replica and a child process."""

    several = True

    @property
    def takes(self) -> str:
        return "three numbers from -2000 to 2000"

    def parse(self, words: Sequence[str], settings: Settings) -> tuple[int, ...]:
        if len(words) != 3:
            raise ConfigError(WRONG_NUMBER)
        numbers = [strtoll(word) for word in words]
        if any(rest or not -2000 <= number <= 2000 for number, rest in numbers):
            raise ConfigError(
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000."
            )
        return tuple(number for number, _ in numbers)

    def format(self, value: tuple[int, ...]) -> str:
        return " ".join(map(str, value))


class KeyspaceEvents(Parameter[int]):
    """The classes of keyspace events that are published, as bits."""

    always_new = True

    @property
    def takes(self) -> str:
        return "letters out of Ag$lshzxeKEtmdn"

    def parse(self, words: Sequence[str], settings: Settings) -> int:
        flags = 0
        for letter in c_string(words[0]):
            if letter == "A":
                flags |= _ALL_CLASSES
                continue
            flag = _CLASS_LETTERS.get(letter) or _OTHER_LETTERS.get(letter)
            if flag is None:
                raise ConfigError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
            flags |= flag
        return flags

    def format(self, value: int) -> str:
        if value & _ALL_CLASSES == _ALL_CLASSES:
            text = "A"  # Redis does not print `n` beside it
        else:
            text = "".join(letter for letter, bit in _CLASS_LETTERS.items() if value & bit)
        return text + "".join(letter for letter, bit in _OTHER_LETTERS.items() if value & bit)

    def lines(self, value: int) -> list[tuple[str, bool]]:
        return [(f"{self.name} {quote(self.format(value))}", value != 0)]


class Addresses(Parameter[tuple[str, ...]]):
    """Addresses to listen on; one that begins with `-` need not be there."""

    several = True
    always_new = True

    @property
    def takes(self) -> str:
        return 'up to 16 addresses, "*" for all, "-" in front of one that may be missing'

    def parse(self, words: Sequence[str], settings: Settings) -> tuple[str, ...]:
        if len(words) > 16:
            raise ConfigError("Too many bind addresses specified.")
        if len(words) == 1 and not words[0]:
            return ()
        return tuple(c_string(word) for word in words)

    def format(self, value: tuple[str, ...]) -> str:
        return " ".join(value)

    def lines(self, value: tuple[str, ...]) -> list[tuple[str, bool]]:
        if value == self.default:
            return []
        return [(f"{self.name} {self.format(value)}" if value else f'{self.name} ""', True)]


class ReplicaOf(Parameter[tuple[str, int] | None]):
    """The master's host and port; None for a server that is a master."""

    several = True
    always_new = True

    @property
    def takes(self) -> str:
        return "host and port, or no one"

    def parse(self, words: Sequence[str], settings: Settings) -> tuple[str, int] | None:
        if len(words) != 2:
            raise ConfigError(WRONG_NUMBER)
        host, port_word = c_string(words[0]), c_string(words[1])
        if (host.lower(), port_word.lower()) == ("no", "one"):
            return None
        port, rest = strtoll(port_word)
        port = to_int(port)
        if rest or not 0 <= port <= 65535:
            raise ConfigError("Invalid master port")
        return host, port

    def format(self, value: tuple[str, int] | None) -> str:
        return "" if value is None else f"{value[0]} {value[1]}"

    def lines(self, value: tuple[str, int] | None) -> list[tuple[str, bool]]:
        return [] if value is None else [(f"{self.name} {self.format(value)}", True)]


class Percentiles(Parameter[tuple[float, ...]]):
    """Percentiles, each from 0 to 100."""

    several = True
    always_new = True

    @property
    def takes(self) -> str:
        return 'numbers from 0 to 100, or "" for none'

    def parse(self, words: Sequence[str], settings: Settings) -> tuple[float, ...]:
        if len(words) == 1 and not words[0]:
            return ()
        found = []
        for word in words:
            value = parse_double(word.encode("utf-8", "surrogateescape"))
            if value is None:
                raise ConfigError(f"Invalid {self.name} parameters")
            if not 0.0 <= value <= 100.0:
                raise ConfigError(f"{self.name} parameters should sit between [0.0,100.0]")
            found.append(value)
        return tuple(found)

    def format(self, value: tuple[float, ...]) -> str:
        return " ".join(f"{number:f}".rstrip("0").rstrip(".") for number in value)

    def lines(self, value: tuple[float, ...]) -> list[tuple[str, bool]]:
        return [(f"{self.name} {self.format(value)}" if value else f'{self.name} ""', True)]


class Directory(Parameter[str]):
    """Where files are: the working directory of a server that has the process for itself.

    An embedded server leaves the process where it is; its files are found by joining their names
    to this path, which is absolute.
    """

    always_new = True

    @property
    def takes(self) -> str:
        return "a directory"

    def parse(self, words: Sequence[str], settings: Settings) -> str:
        word = c_string(words[0])
        path = os.path.join(self.read(settings), word) if word else ""
        try:
            mode = os.stat(path).st_mode
        except OSError as exc:
            raise ConfigError(os.strerror(exc.errno or errno.ENOENT)) from None
        if not stat.S_ISDIR(mode):
            raise ConfigError(os.strerror(errno.ENOTDIR))
        if not os.access(path, os.X_OK):
            raise ConfigError(os.strerror(errno.EACCES))
        return os.path.realpath(path)

    def store(self, settings: Settings, value: str) -> None:
        if settings.owns_process:
            os.chdir(value)
        super().store(settings, value)

    def lines(self, value: str) -> list[tuple[str, bool]]:
        return [(f"{self.name} {quote(value)}", True)]


class Options(Choice):
    """Any of several words together; the first of them is the empty combination.

    The value is as CONFIG GET prints it: the words in the order of the choices. Words of
    `exclusive` cannot be together.
    """

    several = True

    def __init__(
        self,
        choices: Sequence[str],
        *,
        exclusive: tuple[str, str],
        clash: str,
        flags: int = 0,
        ignored: str = "",
    ) -> None:
        super().__init__(choices[0], choices, flags=flags, ignored=ignored)
        self.exclusive = exclusive
        self.clash = clash

    def parse(self, words: Sequence[str], settings: Settings) -> str:
        if not words:
            raise self.refusal()
        chosen = {self.choose(word) for word in words}
        if chosen.issuperset(self.exclusive):
            raise ConfigError(self.clash)
        text = " ".join(choice for choice in self.choices[1:] if choice in chosen)
        return text or self.choices[0]
