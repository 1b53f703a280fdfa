r"""The reply parser: bytes from a server in, values out, in RESP2 and RESP3.

Strategy: incremental and sans-IO, like the request parser. `feed()` takes whatever arrived;
`parse()` returns the replies that are complete as the values which the encoders of reply.py take,
so that decoding what was encoded gives the value again; `frames()` returns their bytes as they
came, for whoever compares or passes on. Open aggregates stand on a stack, not on Python's, and no
byte is looked at twice, however the stream is cut into pieces.

1. The bytes of a reply are held until it is complete; nothing is allocated for a length that is
   announced and not sent.
2. An attribute belongs to the reply behind it: both are one `Attribute`, and one frame.
3. A broken stream raises ProtocolError, after the replies before it have been returned.

| wire | value |
|---|---|
| `+` | Status |
| `-`, `!` | RedisError |
| `:` | int |
| `$` | bytes, or None |
| `*` | list, or NULL_ARRAY |
| `_` | None |
| `#` | bool |
| `,` | float |
| `(` | BigNumber |
| `=` | Verbatim |
| `%` | dict, or Pairs where a key is not bytes |
| `~` | SetReply |
| `>` | Push |
| `|` | Attribute |

Source: RESP specification.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from redis_trio.protocol.reply import (
    NULL_ARRAY,
    Attribute,
    BigNumber,
    Pairs,
    Push,
    RedisError,
    Reply,
    SetReply,
    Status,
    Verbatim,
)
from redis_trio.protocol.request import ProtocolError

_ARRAY: Final = 42  # *
_SET: Final = 126  # ~
_PUSH: Final = 62  # >
_MAP: Final = 37  # %
_ATTRIBUTE: Final = 124  # |
_BULK: Final = 36  # $
_VERBATIM: Final = 61  # =
_BLOB_ERROR: Final = 33  # !

_MAX_LENGTH: Final = 2**60
_INTEGER_MAX_SIZE: Final = 20  # characters of a signed 64-bit integer


class _Aggregate:
    """An array, set, push, map or attribute whose elements are being read."""

    __slots__ = ("items", "kind", "missing")

    def __init__(self, kind: int, missing: int) -> None:
        self.kind = kind
        self.missing: i64 = missing  # elements still to come
        self.items: list[Reply] = []


class ReplyParser:
    """Parses one server's stream.

    Attributes:
      pushes_apart: return pushes by `take_pushes` and not among the replies.
    """

    __slots__ = (
        "_attributes",
        "_buffer",
        "_bulk_kind",
        "_bulk_len",
        "_error",
        "_pos",
        "_pushes",
        "_scanned",
        "_stack",
        "_start",
        "_value",
        "pushes_apart",
    )

    def __init__(self, pushes_apart: bool = False) -> None:
        self.pushes_apart = pushes_apart
        self._buffer = bytearray()
        self._start: i64 = 0  # where the reply being read begins
        self._pos: i64 = 0  # what has been read of it
        self._scanned: i64 = 0  # no line ends before here
        self._bulk_kind: i64 = 0
        self._bulk_len: i64 = -1  # length of the bulk being read, -1 before its header
        self._stack: list[_Aggregate] = []
        self._attributes: list[dict[bytes, Reply]] = []  # read, their reply still to come
        self._value: Reply = None  # the reply just completed
        self._pushes: list[Push] = []
        self._error: str | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes as they arrived."""
        self._buffer += data

    def parse(self) -> list[Reply]:
        """Return the complete replies. Errors: ProtocolError, once nothing else is left."""
        replies: list[Reply] = []
        while self._next(len(replies) > 0):
            value = self._value
            if self.pushes_apart and isinstance(value, Push):
                self._pushes.append(value)
            else:
                replies.append(value)
            self._start = self._pos
        self._trim()
        return replies

    def frames(self) -> list[bytes]:
        """Return the bytes of each complete reply. Errors: ProtocolError, as `parse`."""
        frames: list[bytes] = []
        while self._next(len(frames) > 0):
            frames.append(bytes(self._buffer[self._start : self._pos]))
            self._start = self._pos
        self._trim()
        return frames

    def take_pushes(self) -> list[Push]:
        """Return the pushes that `parse` put aside, oldest first."""
        pushes = self._pushes
        self._pushes = []
        return pushes

    def take_rest(self) -> bytes:
        """Take out what was fed and belongs to no complete reply: something else begins there."""
        rest = bytes(self._buffer[self._start :])
        self._buffer.clear()
        self._start = self._pos = self._scanned = 0
        self._bulk_len = -1
        self._stack.clear()
        self._attributes.clear()
        return rest

    @property
    def buffered_bytes(self) -> int:
        """Bytes held for a reply that is not complete."""
        return len(self._buffer) - self._start

    def _trim(self) -> None:
        start = self._start
        if start > 0:
            del self._buffer[:start]
            self._pos -= start
            self._scanned -= start
            self._start = 0

    def _next(self, has_replies: bool) -> bool:
        """Read on to the end of a reply; False if it is not there yet."""
        if self._error is None:
            try:
                return self._read_reply()
            except ProtocolError as exc:
                self._error = str(exc)
        if has_replies:
            return False  # those first
        raise ProtocolError(self._error)

    def _read_reply(self) -> bool:
        while True:
            if self._bulk_len >= 0:
                if not self._read_bulk():
                    return False
            else:
                line = self._read_line()
                if line is None:
                    return False
                if not self._read_header(line):
                    continue  # there is more to it than this line
            if self._complete():
                return True

    def _read_line(self) -> bytes | None:
        """Read a line, without its CRLF; None if it is not complete."""
        buffer = self._buffer
        start = self._pos
        stop: i64 = buffer.find(b"\r\n", max(start, self._scanned))
        if stop < 0:
            self._scanned = max(start, len(buffer) - 1)
            return None
        self._pos = self._scanned = stop + 2
        return bytes(buffer[start:stop])

    def _read_bulk(self) -> bool:
        """Read a string whose length is known; False if it is not complete."""
        buffer = self._buffer
        start = self._pos
        stop = start + self._bulk_len
        if len(buffer) < stop + 2:
            return False
        if buffer[stop] != 13 or buffer[stop + 1] != 10:
            raise ProtocolError("bulk without CRLF behind it")
        with memoryview(buffer) as view:
            text = bytes(view[start:stop])
        self._pos = self._scanned = stop + 2
        self._bulk_len = -1
        if self._bulk_kind == _BULK:
            self._value = text
        elif self._bulk_kind == _BLOB_ERROR:
            self._value = _error(text)
        elif len(text) < 4 or text[3] != 58:
            raise ProtocolError("verbatim string without a format")
        else:
            self._value = Verbatim(text[4:], text[:3])
        return True

    def _read_header(self, line: bytes) -> bool:
        """Read a reply's first line; return True if it is all and its value is in `_value`."""
        if not line:
            raise ProtocolError("empty line")
        kind: i64 = line[0]
        rest = line[1:]
        if kind == _BULK or kind == _VERBATIM or kind == _BLOB_ERROR:
            return self._open_bulk(kind, rest)
        if kind == _ARRAY or kind in (_SET, _PUSH, _MAP, _ATTRIBUTE):
            return self._open_aggregate(kind, rest)
        self._value = _simple(kind, rest)
        return True

    def _open_bulk(self, kind: i64, rest: bytes) -> bool:
        if rest == b"-1" and kind == _BULK:
            self._value = None
            return True
        self._bulk_len = _length(rest)
        self._bulk_kind = kind
        return False

    def _open_aggregate(self, kind: i64, rest: bytes) -> bool:
        if rest == b"-1" and kind == _ARRAY:
            self._value = NULL_ARRAY
            return True
        missing = _length(rest)
        if kind == _MAP or kind == _ATTRIBUTE:
            missing *= 2
        aggregate = _Aggregate(kind, missing)
        if missing == 0:
            return self._close(aggregate)
        self._stack.append(aggregate)
        return False

    def _close(self, aggregate: _Aggregate) -> bool:
        """Make the value of a whole aggregate; False for an attribute: its reply follows."""
        kind = aggregate.kind
        items = aggregate.items
        if kind == _ARRAY:
            self._value = items
        elif kind == _SET:
            self._value = SetReply(items)
        elif kind == _PUSH:
            self._value = Push(items)
        elif kind == _ATTRIBUTE:
            attributes = _dict(items)
            if attributes is None:
                raise ProtocolError("attribute whose key is not a string")
            self._stack.append(_Aggregate(_ATTRIBUTE, 1))
            self._attributes.append(attributes)
            return False
        else:
            mapping = _dict(items)
            self._value = Pairs(_pairs(items)) if mapping is None else mapping
        return True

    def _complete(self) -> bool:
        """Put `_value` where it belongs; True if it is a whole reply."""
        stack = self._stack
        while stack:
            aggregate = stack[-1]
            aggregate.items.append(self._value)
            aggregate.missing -= 1
            if aggregate.missing > 0:
                return False
            stack.pop()
            if aggregate.kind == _ATTRIBUTE and len(aggregate.items) == 1:
                self._value = Attribute(self._attributes.pop(), aggregate.items[0])
            elif not self._close(aggregate):
                return False
        return True


def _length(text: bytes) -> i64:
    if not text.isdigit() or len(text) > 19:
        raise ProtocolError(f"invalid length {text!r}")
    value = int(text)
    if value > _MAX_LENGTH:
        raise ProtocolError(f"invalid length {text!r}")
    return value


def _error(text: bytes) -> RedisError:
    return RedisError(text.decode("utf-8", "surrogateescape"))


def _simple(kind: i64, text: bytes) -> Reply:
    """Return the value of a reply that is one line."""
    if kind == 43:  # +
        return Status(text)
    if kind == 45:  # -
        return _error(text)
    if kind == 58:  # :
        return _integer(text)
    if kind == 95:  # _
        if not text:
            return None
    elif kind == 35:  # #
        if text == b"t" or text == b"f":
            return text == b"t"
    elif kind == 44:  # ,
        return _double(text)
    elif kind == 40:  # (
        if (text[1:] if text[:1] in (b"-", b"+") else text).isdigit():
            return BigNumber(text)
    else:
        raise ProtocolError(f"reply of unknown type {chr(kind)!r}")
    raise ProtocolError(f"invalid reply {bytes([kind]) + text!r}")


def _integer(text: bytes) -> int:
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    if not digits.isdigit() or len(text) > _INTEGER_MAX_SIZE:
        raise ProtocolError(f"invalid integer {text[:64]!r}")
    return int(text)


def _double(text: bytes) -> float:
    if not text or text[:1].isspace() or text[-1:].isspace() or b"_" in text:
        raise ProtocolError(f"invalid double {text[:64]!r}")
    try:
        return float(text)
    except ValueError:
        raise ProtocolError(f"invalid double {text[:64]!r}") from None


def _pairs(items: list[Reply]) -> list[tuple[Reply, Reply]]:
    return [(items[i], items[i + 1]) for i in range(0, len(items), 2)]


def _dict(items: list[Reply]) -> dict[bytes, Reply] | None:
    """Return the map of `[key, value, key, value ...]`; None if a key is neither kind of string."""
    mapping: dict[bytes, Reply] = {}
    for i in range(0, len(items), 2):
        key = items[i]
        if isinstance(key, Status):
            key = key.text
        if not isinstance(key, bytes):
            return None
        mapping[key] = items[i + 1]
    return mapping
