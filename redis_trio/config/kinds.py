"""The kinds of configuration parameters: how a value is read, checked, printed and rewritten.

A parameter is declared once, as an attribute of `Config`:

    port = Integer(6379, 0, 65535)
    repl_ping_replica_period = Integer(10, 1, INT_MAX, alias="repl-ping-slave-period")

Its name in redis.conf is that of the attribute, with hyphens. A Parameter is a non-data descriptor:
each Config has its values in its own `__dict__`, so `config.port` costs what any attribute does.

1. `parse` gets the words behind the name and raises ConfigError in Redis's words; it changes
   nothing.
2. Text is `str`, with the bytes that are not UTF-8 as surrogates (`decode`, `encode`). Where Redis
   has a C string, the text ends at a NUL here too.

Source: Redis config.c, the typeInterface of each kind; util.c memtoull, string2ll.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar, overload

from redis_trio.data.numbers import parse_integer

if TYPE_CHECKING:
    from redis_trio.config.settings import Settings

T = TypeVar("T")

# What is special about a parameter.
IMMUTABLE: Final = 1  # not for CONFIG SET
PROTECTED: Final = 2  # CONFIG SET needs enable-protected-configs
HIDDEN: Final = 4  # CONFIG GET shows it by its full name only
SENSITIVE: Final = 8  # its value is kept out of logs
DENY_LOADING: Final = 16  # CONFIG SET not while data is loaded
VOLATILE: Final = 32  # its hooks run even if the value is what it was (files named by it)

INT_MIN: Final = -(2**31)
INT_MAX: Final = 2**31 - 1
UINT_MAX: Final = 2**32 - 1
LONG_MIN: Final = -(2**63)
LONG_MAX: Final = 2**63 - 1
ULONG_MAX: Final = 2**64 - 1

_UNITS: Final = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1024,
    "m": 1000**2,
    "mb": 1024**2,
    "g": 1000**3,
    "gb": 1024**3,
}
_DIGITS: Final = "0123456789"
_SPACES: Final = " \t\n\v\f\r"
_ESCAPES: Final = {10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b", 34: '\\"', 92: "\\\\"}


class ConfigError(ValueError):
    """A value, a name or a directive that is refused.

    Attributes:
      reason: why, in Redis's words.
      name: the parameter, "" if it is none in particular.
    """

    def __init__(self, reason: str, name: str = "") -> None:
        super().__init__(f"{name}: {reason}" if name else reason)
        self.reason = reason
        self.name = name


def decode(text: bytes) -> str:
    """Return text that came as bytes; `encode` gives the same bytes back."""
    return text.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes of a text."""
    return text.encode("utf-8", "surrogateescape")


def quote(text: str) -> str:
    """Return the text in double quotes, such that `split_inline` reads it back (sdscatrepr)."""
    parts = ['"']
    for byte in encode(text):
        escaped = _ESCAPES.get(byte)
        if escaped is None:
            escaped = chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"
        parts.append(escaped)
    parts.append('"')
    return "".join(parts)


def c_string(text: str) -> str:
    """Return the text up to its first NUL."""
    return text.partition("\0")[0]


def to_int(value: int, bits: int = 32) -> int:
    """Return what is left of a number in a signed C integer."""
    half = 1 << (bits - 1)
    return ((value + half) & (2 * half - 1)) - half


def strtoll(text: str, base: int = 10) -> tuple[int, str]:
    """Read a number at the beginning of a text as C's strtoll does; return it and the rest.

    It stays within 64 bits; without any digit the number is 0 and the rest is the whole text.
    """
    text = c_string(text)
    start = len(text) - len(text.lstrip(_SPACES))
    pos = start + 1 if text[start : start + 1] in ("+", "-") else start
    end = pos
    while end < len(text) and text[end] in _DIGITS[:base]:
        end += 1
    if end == pos:
        return 0, text
    value = int(text[start:end], base)
    return max(LONG_MIN, min(LONG_MAX, value)), text[end:]


def parse_memory(text: str) -> int | None:
    """Return how many bytes `1gb`, `64k` or `100` means, modulo 2**64; None if it is no size."""
    text = c_string(text)
    end = 0
    while end < len(text) and text[end] in _DIGITS:
        end += 1
    unit = _UNITS.get(text[end:].lower())
    if unit is None or end >= 128:
        return None
    return min(int(text[:end] or "0"), ULONG_MAX) * unit & ULONG_MAX


def format_memory(size: int) -> str:
    """Return a size as CONFIG REWRITE writes it: with the biggest unit that divides it."""
    for unit, bytes_ in (("gb", 1024**3), ("mb", 1024**2), ("kb", 1024)):
        if size and size % bytes_ == 0:
            return f"{size // bytes_}{unit}"
    return str(size)


class Parameter(Generic[T]):
    """One parameter: what it is called, what it takes, what is special about it.

    Args:
      default: its value if nobody sets it.
      alias: an older name, which works too.
      flags: IMMUTABLE, PROTECTED ...
      ignored: why the value is accepted and has no effect; "" if it has one.
      unsupported: what a value other than the default would need and is not there; such a value
        is refused.

    Attributes:
      name: `repl-timeout`; `attribute`: `repl_timeout`.
      several: whether it takes any number of words; else it is exactly one.
      always_new: whether setting counts as a change even if the value is what it was.
    """

    several = False
    always_new = False

    def __init__(
        self,
        default: T,
        *,
        alias: str = "",
        flags: int = 0,
        ignored: str = "",
        unsupported: str = "",
    ) -> None:
        self.default = default
        self.alias = alias
        self.flags = flags
        self.ignored = ignored
        self.unsupported = unsupported
        self.attribute = ""
        self.name = ""

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute
        self.name = attribute.replace("_", "-")

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        return self if instance is None else self.default

    @property
    def takes(self) -> str:
        """What values it takes, for people."""
        raise NotImplementedError

    def parse(self, words: Sequence[str], settings: Settings) -> T:
        """Return the value that the words mean. Raises ConfigError."""
        raise NotImplementedError

    def format(self, value: T) -> str:
        """Return a value as CONFIG GET prints it."""
        return str(value)

    def lines(self, value: T) -> list[tuple[str, bool]]:
        """Return what CONFIG REWRITE writes: lines, and whether even into a file without them."""
        return [(f"{self.name} {self.format(value)}", value != self.default)]

    def read(self, settings: Settings) -> T:
        """Return the value."""
        value: T = settings.__dict__[self.attribute]
        return value

    def store(self, settings: Settings, value: T) -> None:
        """Make `value` the value."""
        settings.__dict__[self.attribute] = value

    def set(self, settings: Settings, words: Sequence[str]) -> bool:
        """Parse and store a value; return whether it is a change. Raises ConfigError."""
        value = self.parse(words, settings)
        if self.unsupported and value != self.default:
            raise ConfigError(f"{self.unsupported} is not supported")
        changed = self.always_new or bool(self.flags & VOLATILE) or value != self.read(settings)
        self.store(settings, value)
        return changed

    def text(self, settings: Settings) -> str:
        """Return the value as CONFIG GET prints it."""
        return self.format(self.read(settings))


class Boolean(Parameter[bool]):
    """yes or no."""

    @property
    def takes(self) -> str:
        return "yes, no"

    def parse(self, words: Sequence[str], settings: Settings) -> bool:
        word = c_string(words[0]).lower()
        if word not in ("yes", "no"):
            raise ConfigError("argument must be 'yes' or 'no'")
        return word == "yes"

    def format(self, value: bool) -> str:
        return "yes" if value else "no"


class Integer(Parameter[int]):
    """A number from `low` to `high`; `unsigned` ones read -1 as 2**64 - 1, as C does."""

    def __init__(
        self,
        default: int,
        low: int,
        high: int,
        *,
        unsigned: bool = False,
        alias: str = "",
        flags: int = 0,
        ignored: str = "",
        unsupported: str = "",
    ) -> None:
        super().__init__(
            default, alias=alias, flags=flags, ignored=ignored, unsupported=unsupported
        )
        self.low = low
        self.high = high
        self.unsigned = unsigned

    @property
    def takes(self) -> str:
        return f"{self.low} to {self.high}"

    def parse(self, words: Sequence[str], settings: Settings) -> int:
        value = parse_integer(encode(words[0]))
        if value is None:
            raise ConfigError("argument couldn't be parsed into an integer")
        return self.check(value)

    def check(self, value: int) -> int:
        """Return a 64-bit number as the C type has it, if it lies within the bounds."""
        value = value & ULONG_MAX if self.unsigned else to_int(value, 64)
        if not self.low <= value <= self.high:
            raise ConfigError(
                f"argument must be between {self.format(self.low)} and "
                f"{self.format(self.high)} inclusive"
            )
        return value


class Hz(Integer):
    """A number that is moved into its real bounds, 1 to 500, rather than refused."""

    def check(self, value: int) -> int:
        return max(1, min(500, super().check(value)))


class Memory(Integer):
    """A size in bytes, which may be given with a unit."""

    @property
    def takes(self) -> str:
        return f"a size from {format_memory(self.low)} to {format_memory(self.high)}"

    def parse(self, words: Sequence[str], settings: Settings) -> int:
        value = parse_memory(words[0])
        if value is None:
            raise ConfigError("argument must be a memory value")
        return self.check(value)

    def lines(self, value: int) -> list[tuple[str, bool]]:
        return [(f"{self.name} {format_memory(value)}", value != self.default)]


class MemoryOrPercent(Memory):
    """A size in bytes, or a percentage, which is stored as a negative number."""

    @property
    def takes(self) -> str:
        return f"a size, or a percentage up to {-self.low}%"

    def parse(self, words: Sequence[str], settings: Settings) -> int:
        value = parse_memory(words[0])
        if value is not None:
            return self.check(value)
        if words[0].endswith("%"):
            value = parse_integer(encode(words[0][:-1]))
            if value is not None and value >= 0:
                return self.check(-value)
        raise ConfigError("argument must be a memory or percent value")

    def check(self, value: int) -> int:
        value = to_int(value, 64)
        if value < self.low:
            raise ConfigError(f"percentage argument must be less or equal to {-self.low}")
        return value

    def format(self, value: int) -> str:
        return f"{-value}%" if value < 0 else str(value)

    def lines(self, value: int) -> list[tuple[str, bool]]:
        text = self.format(value) if value < 0 else format_memory(value)
        return [(f"{self.name} {text}", value != self.default)]


class Octal(Integer):
    """A number in octal digits: a file mode."""

    @property
    def takes(self) -> str:
        return f"{self.low:o} to {self.high:o} (octal)"

    def parse(self, words: Sequence[str], settings: Settings) -> int:
        value, rest = strtoll(words[0], 8)
        if rest or value in (LONG_MIN, LONG_MAX):
            raise ConfigError("argument couldn't be parsed as an octal number")
        return self.check(value)

    def format(self, value: int) -> str:
        return f"{value:o}"


class Choice(Parameter[str]):
    """One of several words; `same` maps a word to another that means the same."""

    def __init__(
        self,
        default: str,
        choices: Sequence[str],
        *,
        same: Mapping[str, str] | None = None,
        flags: int = 0,
        ignored: str = "",
        unsupported: str = "",
    ) -> None:
        super().__init__(default, flags=flags, ignored=ignored, unsupported=unsupported)
        self.choices = tuple(choices)
        self.same = dict(same or {})

    @property
    def takes(self) -> str:
        return ", ".join(self.choices)

    def parse(self, words: Sequence[str], settings: Settings) -> str:
        word = self.choose(words[0])
        return self.same.get(word, word)

    def choose(self, word: str) -> str:
        """Return the choice that a word is, in lower case."""
        word = c_string(word).lower()
        if word not in self.choices:
            raise self.refusal()
        return word

    def refusal(self) -> ConfigError:
        """The error for a word that is none of the choices."""
        return ConfigError(f"argument(s) must be one of the following: {self.takes}")


class Text(Parameter[str]):
    """Any text.

    Args:
      unset_if_empty: the empty text means that the parameter is not set; CONFIG REWRITE then
        leaves it out, and else writes it whatever the default is.
      check: returns why a text is refused, "" if it is not.
    """

    def __init__(
        self,
        default: str = "",
        *,
        unset_if_empty: bool = False,
        check: Callable[[str], str] | None = None,
        alias: str = "",
        flags: int = 0,
        ignored: str = "",
        unsupported: str = "",
    ) -> None:
        super().__init__(
            default, alias=alias, flags=flags, ignored=ignored, unsupported=unsupported
        )
        self.unset_if_empty = unset_if_empty
        self.check = check

    @property
    def takes(self) -> str:
        return "text"

    def parse(self, words: Sequence[str], settings: Settings) -> str:
        text = c_string(words[0])
        if self.check is not None:
            reason = self.check(text)
            if reason:
                raise ConfigError(reason)
        return text

    def lines(self, value: str) -> list[tuple[str, bool]]:
        if self.unset_if_empty and not value:
            return []
        return [(f"{self.name} {quote(value)}", self.unset_if_empty or value != self.default)]


class Secret(Text):
    """A text that may hold any byte."""

    def parse(self, words: Sequence[str], settings: Settings) -> str:
        return words[0]
