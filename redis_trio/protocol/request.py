"""The request parser: bytes from a client in, commands out.

Strategy: incremental and sans-IO. `feed()` takes whatever arrived, `parse()` returns the commands
that are complete. Nothing is looked at twice: the count of arguments still to come, the length of
the argument being read and the arguments read so far survive from one call to the next, so a
client that sends byte by byte costs no more than one that sends everything at once. Arguments
longer than BIG_ARG are gathered in a BytesIO, whose getvalue() hands over its own buffer, so a
512 MB value is copied once. Nothing is allocated for a length that is announced and not sent.

1. A broken stream sets `error` after the commands before it have been returned; the parser then
   stays silent for good.
2. Lengths are read digit by digit: compiled, that is faster than find(), slice and int().
3. `buffered_bytes` is what Redis calls the query buffer: bytes that belong to no complete argument.
   The complete arguments of a command that is not complete are `args_bytes`.

Source: RESP specification; the limits, the order of checks and the texts are those of Redis
networking.c (processInlineBuffer, processMultibulkBuffer) and sds.c (sdssplitargs).
"""

from __future__ import annotations

from io import BytesIO
from typing import Final, TypeAlias

from mypy_extensions import i64

from redis_trio.data.numbers import parse_integer

Args: TypeAlias = list[bytes]
"""One command as it was sent: its name and its arguments."""

INLINE_MAX_SIZE: Final = 64 * 1024
BIG_ARG: Final = 32 * 1024
MAX_MULTIBULK: Final = 2**31 - 1
UNAUTHENTICATED_MULTIBULK: Final = 10
UNAUTHENTICATED_BULK: Final = 16384

_INCOMPLETE: Final = -1  # no line end, yet
_INVALID: Final = -2
_NO_LF: Final = -3  # a CR, and what follows it is still to come
_MAX_DIGITS: Final = 18  # so many fit into 64 bits, whatever they are
_MAX_LENGTH: Final = 2**62  # what is longer is read as this, lest a sum overflow


class ProtocolError(Exception):
    """The stream is broken; the text is Redis's, without the `Protocol error: ` in front."""


class Limits:
    """The limits that the parsers of one server share.

    max_bulk_len: longest argument in bytes (`proto-max-bulk-len`).
    """

    __slots__ = ("max_bulk_len",)

    def __init__(self, max_bulk_len: int = 512 * 1024 * 1024) -> None:
        self.max_bulk_len = max_bulk_len


def _read_length(buf: bytes, pos: i64, end: i64) -> tuple[i64, i64]:
    """Read a decimal number and the CRLF behind it.

    Returns (number, position behind the CRLF), or (0, verdict): _INCOMPLETE, _INVALID or _NO_LF.
    Accepts what Redis's string2ll does: no plus sign, no leading zero, no space. Redis looks for
    the CR with strchr(), so a NUL hides it, and takes any byte behind the CR for the LF.
    """
    i = pos
    stop = end if end - pos <= _MAX_DIGITS else pos + _MAX_DIGITS + 1
    number: i64 = 0
    while i < stop:
        digit: i64 = buf[i] - 48
        if digit < 0 or digit > 9:
            break
        number = number * 10 + digit
        i += 1
    if i + 1 < end and buf[i] == 13 and 0 < i - pos <= _MAX_DIGITS:
        if buf[pos] == 48 and i - pos > 1:
            return 0, _INVALID
        return number, i + 2
    return _read_odd_length(buf, pos, end)


def _find_cr(buf: bytes, pos: i64) -> i64:
    """Find the next CR as strchr() would: -1 if there is none before a NUL."""
    cr: i64 = buf.find(b"\r", pos)
    return -1 if cr >= 0 and buf.find(b"\0", pos, cr) >= 0 else cr


def _read_odd_length(buf: bytes, pos: i64, end: i64) -> tuple[i64, i64]:
    """`_read_length` for whatever is not a short unsigned number with its CRLF."""
    cr = _find_cr(buf, pos)
    if cr < 0:
        return 0, _INCOMPLETE
    if cr + 1 >= end:
        return 0, _NO_LF
    number = parse_integer(buf[pos:cr]) if cr - pos <= 20 else None
    if number is None:
        return 0, _INVALID
    return min(number, _MAX_LENGTH), cr + 2


class RequestParser:
    """Parses one client's stream.

    Attributes:
      authenticated: while False, the limits for strangers hold.
      error: the text of the protocol error once the stream is broken, else None.
      pending_bytes: bytes that were fed and belong to no command that `parse` has returned, nor to
        one that it skipped.
      takes_inline: whether inline commands are taken, which a primary does not send.
    """

    __slots__ = (
        "_args",
        "_args_bytes",
        "_big",
        "_bulk_len",
        "_limits",
        "_pos",
        "_remaining",
        "authenticated",
        "buffer",
        "error",
        "pending_bytes",
        "takes_inline",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.authenticated = True
        self.error: str | None = None
        self.buffer = b""  # unparsed bytes from _pos on
        self._pos: i64 = 0
        self._remaining: i64 = 0  # arguments still to come of the command being read
        self._bulk_len: i64 = -1  # length of the argument being read, -1 before its header
        self._args: list[bytes] = []
        self._args_bytes: i64 = 0
        self._big: BytesIO | None = None
        self.pending_bytes: i64 = 0
        self.takes_inline = True

    @property
    def buffered_bytes(self) -> int:
        """Bytes held that are not a complete argument, nor a command that `parse` has returned."""
        size: i64 = len(self.buffer) - self._pos
        if self._big is not None:
            size += self._big.tell()
        return size

    @property
    def args_bytes(self) -> int:
        """Bytes of the complete arguments of the command that is not complete."""
        return self._args_bytes

    @property
    def wanted_bytes(self) -> int:
        """How many bytes the argument being gathered still lacks; 0 if none is."""
        if self._big is None:
            return 0
        return self._bulk_len + 2 - self._big.tell()

    def feed(self, data: bytes) -> None:
        """Take bytes as they arrived; none after an error."""
        if self.error is not None:
            return
        self.pending_bytes += len(data)
        big = self._big
        if big is not None:
            wanted: i64 = self._bulk_len + 2 - big.tell()
            if len(data) <= wanted:
                big.write(data)
                return
            big.write(data[:wanted])
            self.buffer = data[wanted:]
        elif self._pos >= len(self.buffer):
            self.buffer = data
        else:
            self.buffer = self.buffer[self._pos :] + data
        self._pos = 0

    def parse(self, limit: int) -> list[Args]:
        """Return up to `limit` complete commands, empty ones skipped."""
        batch: list[Args] = []
        if self.error is not None:
            return batch
        try:
            self._parse(batch, limit)
        except ProtocolError as exc:
            self.error = str(exc)
            self.buffer = b""
            self._pos = 0
            self._big = None
            self._args = []
            self._args_bytes = 0
        return batch

    def _parse(self, batch: list[Args], limit: i64) -> None:
        buf = self.buffer
        pos = self._pos
        end: i64 = len(buf)
        count: i64 = 0
        done: i64 = -1  # position behind the last command
        if self._big is not None and not self._finish_big():
            return
        while count < limit:
            remaining = self._remaining
            if remaining == 0:
                if self._args:  # the big argument was the last one
                    batch.append(self._args)
                    self._args = []
                    self._args_bytes = 0
                    count += 1
                    done = pos
                    continue
                if pos >= end:
                    break
                if buf[pos] != 42:  # '*'
                    after = self._parse_inline(batch, pos, end)
                    if after < 0:
                        break
                    done = pos = after
                    count = len(batch)
                    continue
                remaining, after = _read_length(buf, pos + 1, end)
                if after < 0:
                    self._check_header(after, end - pos, "mbulk", "multibulk")
                    break
                if remaining > MAX_MULTIBULK:
                    raise ProtocolError("invalid multibulk length")
                if not self.authenticated and remaining > UNAUTHENTICATED_MULTIBULK:
                    raise ProtocolError("unauthenticated multibulk length")
                pos = after
                if remaining <= 0:
                    done = pos
                    continue
            args = self._args
            bulk_len = self._bulk_len
            complete = True
            while remaining > 0:
                if bulk_len < 0:
                    if pos >= end:
                        complete = False
                        break
                    if buf[pos] != 36:  # '$'
                        self._check_dollar(pos, end)
                        complete = False
                        break
                    bulk_len, after = _read_length(buf, pos + 1, end)
                    if after < 0:
                        self._check_header(after, end - pos, "bulk", "bulk")
                        bulk_len = -1
                        complete = False
                        break
                    if bulk_len < 0 or bulk_len > self._limits.max_bulk_len:
                        raise ProtocolError("invalid bulk length")
                    if not self.authenticated and bulk_len > UNAUTHENTICATED_BULK:
                        raise ProtocolError("unauthenticated bulk length")
                    pos = after
                after = pos + bulk_len
                if after + 2 > end:
                    if bulk_len > BIG_ARG:
                        big = BytesIO()
                        big.write(buf[pos:])
                        self._big = big
                        pos = end
                    complete = False
                    break
                args.append(buf[pos:after])
                self._args_bytes += bulk_len
                pos = after + 2
                bulk_len = -1
                remaining -= 1
            self._remaining = remaining
            self._bulk_len = bulk_len
            if not complete:
                break
            batch.append(args)
            self._args = []
            self._args_bytes = 0
            count += 1
            done = pos
        if done >= 0:
            self.pending_bytes = end - done
        if pos >= end:
            self.buffer = b""
            self._pos = 0
        else:
            self._pos = pos

    def _finish_big(self) -> bool:
        """Move the gathered argument to the others once it is whole."""
        big = self._big
        assert big is not None
        if big.tell() < self._bulk_len + 2:
            return False
        big.truncate(self._bulk_len)
        self._args.append(big.getvalue())
        self._args_bytes += self._bulk_len
        self._big = None
        self._bulk_len = -1
        self._remaining -= 1
        return True

    def _check_header(self, verdict: i64, held: i64, count: str, what: str) -> None:
        """Raise if a header is invalid, or unfinished and longer than any header is."""
        if verdict == _INVALID:
            raise ProtocolError(f"invalid {what} length")
        if verdict == _INCOMPLETE and held > INLINE_MAX_SIZE:
            raise ProtocolError(f"too big {count} count string")

    def _check_dollar(self, pos: i64, end: i64) -> None:
        """Redis finds the line's end first and complains of its first byte then."""
        cr = _find_cr(self.buffer, pos)
        if cr < 0:
            if end - pos > INLINE_MAX_SIZE:
                raise ProtocolError("too big bulk count string")
        elif cr + 1 < end:
            got = self.buffer[pos : pos + 1].decode("utf-8", "surrogateescape")
            raise ProtocolError(f"expected '$', got '{got}'")

    def _parse_inline(self, batch: list[Args], pos: i64, end: i64) -> i64:
        """Parse one inline command; return the position behind it, -1 if it is incomplete."""
        buf = self.buffer
        newline: i64 = buf.find(b"\n", pos)
        if newline < 0 or buf.find(b"\0", pos, newline) >= 0:
            if end - pos > INLINE_MAX_SIZE:
                raise ProtocolError("too big inline request")
            return -1
        stop = newline
        if stop > pos and buf[stop - 1] == 13:
            stop -= 1
        args = split_inline(buf[pos:stop])
        if args is None:
            raise ProtocolError("unbalanced quotes in request")
        if args:
            if not self.takes_inline:
                raise ProtocolError("Master using the inline protocol. Desync?")
            batch.append(args)
        return newline + 1


_ESCAPES: Final = {110: 10, 114: 13, 116: 9, 98: 8, 97: 7}
_SPACES: Final = b" \n\r\t\v\f"
_WORD_ENDS: Final = b" \n\r\t"
_HEX_DIGITS: Final = b"0123456789abcdefABCDEF"


def split_inline(line: bytes) -> list[bytes] | None:
    r"""Split a line into words by Redis's quoting rules; None if a quote is not closed.

    In double quotes `\n \r \t \b \a`, `\xHH` and any other escaped character; in single
    quotes only `\'`. A closing quote must be followed by a space or the line's end. A zero byte
    is the end, too.
    Source: sds.c sdssplitargs. Used for inline commands and for redis.conf.
    """
    words: list[bytes] = []
    i = 0
    end = line.find(b"\0")
    if end < 0:
        end = len(line)
    else:
        line = line[:end]
    while True:
        while i < end and line[i] in _SPACES:
            i += 1
        if i >= end:
            return words
        word = bytearray()
        quote = 0
        while i < end:
            c = line[i]
            if quote == 34 and c == 92 and i + 1 < end:
                hexed = line[i + 2 : i + 4]
                if (
                    line[i + 1] == 120
                    and len(hexed) == 2
                    and hexed[0] in _HEX_DIGITS
                    and hexed[1] in _HEX_DIGITS
                ):
                    word.append(int(hexed, 16))
                    i += 4
                    continue
                word.append(_ESCAPES.get(line[i + 1], line[i + 1]))
                i += 2
                continue
            if quote == 39 and c == 92 and line[i + 1 : i + 2] == b"'":
                word.append(39)
                i += 2
                continue
            if quote:
                i += 1
                if c != quote:
                    word.append(c)
                    continue
                if i < end and line[i] not in _SPACES:
                    return None
                quote = 0
                break
            if c in _WORD_ENDS:
                break
            if c == 34 or c == 39:
                quote = c
            else:
                word.append(c)
            i += 1
        if quote:
            return None
        words.append(bytes(word))
