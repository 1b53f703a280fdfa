"""Request streams and what is in them: for the parser's tests, and for comparison with Redis.

All commands are PING and ECHO, which every server can answer.
"""

from __future__ import annotations

from typing import NamedTuple

INLINE_MAX = 64 * 1024
BIG = 40_000  # longer than what is gathered apart, and than one read


class Valid(NamedTuple):
    """A stream of whole commands."""

    data: bytes
    commands: list[list[bytes]]


class Broken(NamedTuple):
    """A stream that breaks: the commands before, and the error that ends it."""

    data: bytes
    commands: list[list[bytes]]
    error: str


def multibulk(*args: bytes) -> bytes:
    """Return a command as an array of bulk strings."""
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in args)


PING = [b"PING"]
_PING = multibulk(b"PING")
_BIG = bytes(range(256)) * (BIG // 256)


def _echo(value: bytes) -> list[bytes]:
    return [b"ECHO", value]


VALID = {
    "one command": Valid(_PING, [PING]),
    "a pipeline": Valid(_PING * 3 + multibulk(b"ECHO", b"a"), [PING, PING, PING, _echo(b"a")]),
    "an empty argument": Valid(b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", [_echo(b"")]),
    "CR, LF and NUL inside an argument": Valid(
        multibulk(b"ECHO", b"\r\n\0*1\r\n$4\r\n") + _PING, [_echo(b"\r\n\0*1\r\n$4\r\n"), PING]
    ),
    "inline": Valid(b"PING\r\nECHO  b \r\n", [PING, _echo(b"b")]),
    "inline that ends with LF alone": Valid(b"PING\nECHO b\n", [PING, _echo(b"b")]),
    "empty lines": Valid(b"\r\n\n \r\n\t\nPING\r\n\r\n", [PING]),
    "inline and multibulk mixed": Valid(
        b"PING\r\n" + _PING + b"ECHO c\r\n" + multibulk(b"ECHO", b"d"),
        [PING, PING, _echo(b"c"), _echo(b"d")],
    ),
    "inline with quotes": Valid(
        b"ECHO \"a\\x00\\n b\"\r\nECHO 'a b'\r\n", [_echo(b"a\0\n b"), _echo(b"a b")]
    ),
    "an inline command that looks like a bulk header": Valid(b"$4\r\n", [[b"$4"]]),
    "arrays without elements": Valid(b"*0\r\n*-1\r\n*-10\r\n" + _PING, [PING]),
    "the lowest count": Valid(b"*-9223372036854775808\r\n" + _PING, [PING]),
    "any byte instead of a header's LF": Valid(b"*1\rX$4\rYPING\r\n", [PING]),
    "any two bytes behind an argument": Valid(b"*1\r\n$4\r\nPINGXY" + _PING, [PING, PING]),
    "a big argument": Valid(multibulk(b"ECHO", _BIG), [_echo(_BIG)]),
    "a big argument and more": Valid(
        multibulk(b"ECHO", _BIG) + b"PING\r\n" + multibulk(b"ECHO", _BIG) + _PING,
        [_echo(_BIG), PING, _echo(_BIG), PING],
    ),
    "a big argument in the middle": Valid(multibulk(b"ECHO", _BIG, b"x"), [[b"ECHO", _BIG, b"x"]]),
    "an argument of the size that is gathered apart": Valid(
        multibulk(b"ECHO", b"x" * 32768) + multibulk(b"ECHO", b"y" * 32769) + _PING,
        [_echo(b"x" * 32768), _echo(b"y" * 32769), PING],
    ),
    "a long line": Valid(b"ECHO " + b"x" * 60_000 + b"\r\n", [_echo(b"x" * 60_000)]),
    "a hundred arguments": Valid(multibulk(b"PING", *[b"x"] * 99), [[b"PING", *[b"x"] * 99]]),
}

BROKEN = {
    "a count that is no number": Broken(b"*x\r\n", [], "invalid multibulk length"),
    "a count with a plus sign": Broken(b"*+1\r\n", [], "invalid multibulk length"),
    "a count with a leading zero": Broken(b"*01\r\n", [], "invalid multibulk length"),
    "a count with a space": Broken(b"*1 \r\n", [], "invalid multibulk length"),
    "a count of minus zero": Broken(b"*-0\r\n", [], "invalid multibulk length"),
    "a lone minus as count": Broken(b"*-\r\n", [], "invalid multibulk length"),
    "no count": Broken(b"*\r\n", [], "invalid multibulk length"),
    "a count beyond 31 bits": Broken(b"*2147483648\r\n", [], "invalid multibulk length"),
    "a count of 19 digits": Broken(b"*9000000000000000000\r\n", [], "invalid multibulk length"),
    "a count beyond 64 bits": Broken(b"*9223372036854775808\r\n", [], "invalid multibulk length"),
    "a count below 64 bits": Broken(b"*-9223372036854775809\r\n", [], "invalid multibulk length"),
    "a count with no CR and then one": Broken(
        b"*1\n$4\nPING\n\r\n", [], "invalid multibulk length"
    ),
    "commands before a bad count": Broken(
        _PING + b"PING\r\n*a\r\n" + _PING, [PING, PING], "invalid multibulk length"
    ),
    "a negative length": Broken(b"*1\r\n$-5\r\n", [], "invalid bulk length"),
    "a null argument": Broken(b"*1\r\n$-1\r\n", [], "invalid bulk length"),
    "no length": Broken(b"*1\r\n$\r\n", [], "invalid bulk length"),
    "a length that is no number": Broken(b"*1\r\n$4x\r\n", [], "invalid bulk length"),
    "a length with a leading zero": Broken(b"*1\r\n$04\r\nPING\r\n", [], "invalid bulk length"),
    "a length beyond the limit": Broken(b"*1\r\n$536870913\r\n", [], "invalid bulk length"),
    "a length beyond 64 bits": Broken(b"*1\r\n$9223372036854775808\r\n", [], "invalid bulk length"),
    "a length in the middle": Broken(
        _PING + b"*2\r\n$4\r\nECHO\r\n$b\r\n", [PING], "invalid bulk length"
    ),
    "an argument that is no bulk": Broken(b"*1\r\nPING\r\n", [], "expected '$', got 'P'"),
    "an argument shorter than its length": Broken(
        b"*2\r\n$5\r\nECHO\r\n$1\r\na\r\n\r\n", [], "expected '$', got '1'"
    ),
    "an argument longer than its length": Broken(
        b"*2\r\n$3\r\nECHO\r\n$1\r\na\r\n", [], "expected '$', got '\n'"
    ),
    "an empty line for an argument": Broken(b"*1\r\n\r\n", [], "expected '$', got '\r'"),
    "a byte beyond ASCII for an argument": Broken(
        b"*1\r\n\xff\r\n", [], "expected '$', got '\udcff'"
    ),
    "a double quote left open": Broken(b'ECHO "a\r\n', [], "unbalanced quotes in request"),
    "a single quote left open": Broken(b"ECHO 'a\r\n", [], "unbalanced quotes in request"),
    "a word behind a closing quote": Broken(
        b'PING\r\nECHO "a"b\r\nPING\r\n', [PING], "unbalanced quotes in request"
    ),
    "a line longer than 64 KB": Broken(b"x" * (INLINE_MAX + 1), [], "too big inline request"),
    "a NUL that hides the line's end": Broken(
        b"\0" + b"payload\n" * 8192, [], "too big inline request"
    ),
    "a count longer than 64 KB": Broken(b"*" + b"1" * INLINE_MAX, [], "too big mbulk count string"),
    "a NUL in the count": Broken(b"*\0" + b"payload\r\n" * 7282, [], "too big mbulk count string"),
    "a length longer than 64 KB": Broken(
        b"*1\r\n$" + b"1" * INLINE_MAX, [], "too big bulk count string"
    ),
    "no length within 64 KB": Broken(
        b"*1\r\n" + b"x" * (INLINE_MAX + 1), [], "too big bulk count string"
    ),
    "a NUL in the length": Broken(
        b"*1\r\n$\0" + b"payload\r\n" * 7282, [], "too big bulk count string"
    ),
}

INCOMPLETE = {
    "nothing": b"",
    "an asterisk": b"*",
    "a count": b"*3",
    "a count and CR": b"*3\r",
    "a count of many": b"*2147483647\r\n",
    "half a header": b"*2\r\n$4\r\nECHO\r\n$",
    "half an argument": b"*2\r\n$4\r\nECHO\r\n$10\r\nabc",
    "an argument without CRLF": b"*1\r\n$4\r\nPING",
    "an argument and CR": b"*1\r\n$4\r\nPING\r",
    "half a line": b"PIN",
    "a line and CR": b"PING\r",
    "a NUL": b"\0\r\n",
    "a line of 64 KB": b"x" * INLINE_MAX,
    "a count of 64 KB": b"*" + b"1" * (INLINE_MAX - 1),
    "a bad count of 64 KB that ends with CR": b"*" + b"1" * (INLINE_MAX - 1) + b"\r",
    "a length of 64 KB": b"*1\r\n$" + b"1" * (INLINE_MAX - 1),
}
"""Streams without a command and without an error."""

UNAUTHENTICATED: dict[str, Valid | Broken] = {
    "ten arguments": Valid(multibulk(*[b"PING"] * 10), [[b"PING"] * 10]),
    "eleven arguments": Broken(b"*11\r\n", [], "unauthenticated multibulk length"),
    "16 KB": Valid(multibulk(b"ECHO", b"x" * 16384), [_echo(b"x" * 16384)]),
    "more than 16 KB": Broken(b"*2\r\n$4\r\nECHO\r\n$16385\r\n", [], "unauthenticated bulk length"),
}
"""What a client that has not given the password may send."""
