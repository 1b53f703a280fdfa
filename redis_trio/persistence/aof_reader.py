"""The commands in an append-only file, from bytes that come in pieces.

Unlike a client's requests these are arrays of bulk strings only, of any size, and it is known where
each of them ends: a file whose last command is cut off is good up to the one before. Lines that
begin with `#` between commands are annotations and say nothing to the data.

Source: Redis aof.c loadSingleAppendOnlyFile.
"""

from __future__ import annotations

from typing import Final

from redis_trio.protocol.request import Args

LINE_MAX: Final = 1024
COUNT_DIGITS_MAX: Final = 10


class FormatError(Exception):
    """Bytes that are no part of an append-only file, however many more would come.

    Attributes:
      offset: where the command that is wrong begins.
    """

    def __init__(self, offset: int) -> None:
        super().__init__(f"bad format at byte {offset}")
        self.offset = offset


class AofReader:
    """Splits a file into commands.

    Args:
      offset: where in the file the first byte that is fed stands.

    Attributes:
      offset: where what has not been returned yet begins.
    """

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self._data = b""
        self._pos = 0
        self._chunks: list[bytes] = []  # of an argument that is longer than what has come of it
        self._missing = 0
        self._args: Args | None = None  # of the command in hand, as far as it has come
        self._count = 0  # how many it will have
        self._taken = 0  # bytes of it that have been made into arguments

    @property
    def rest(self) -> int:
        """How many bytes have been fed that do not make a command yet."""
        chunks = sum([len(chunk) for chunk in self._chunks])
        return self._taken + len(self._data) - self._pos + chunks

    def feed(self, data: bytes) -> None:
        """Take more bytes. What `read` has not returned yet stays."""
        if self._missing > len(data):
            self._missing -= len(data)
            self._chunks.append(data)
            return
        self._missing = 0
        self._data = b"".join([self._data[self._pos :], *self._chunks, data])
        self._pos = 0
        self._chunks = []

    def read(self) -> Args | None:
        """Return the next command; None if it is not complete.

        Raises:
          FormatError: there is none.
        """
        if self._missing:
            return None
        if self._args is None and not self._begin():
            return None
        return self._read_command()

    def _begin(self) -> bool:
        """Pass over annotations and read how many arguments come; return whether that is known."""
        data = self._data
        start = self._pos
        while data[start : start + 1] == b"#":
            stop = data.find(b"\n", start, start + LINE_MAX)
            if stop < 0:
                if len(data) - start >= LINE_MAX:
                    raise FormatError(self.offset)
                return False
            self.offset += stop + 1 - start
            self._pos = start = stop + 1
        if start == len(data):
            return False
        count, pos = self._number(start, 42)
        if pos == 0:
            return False
        if count < 1:
            raise FormatError(self.offset)
        self._args = []
        self._count = count
        self._take(pos)
        return True

    def _read_command(self) -> Args | None:
        """Go on with the command in hand; what there is of it is read once, however it comes."""
        data = self._data
        pos = self._pos
        args = self._args
        assert args is not None
        while len(args) < self._count:
            size, begin = self._number(pos, 36)
            if begin == 0:
                self._take(pos)
                return None
            stop = begin + size
            if stop + 2 > len(data):
                self._missing = stop + 2 - len(data)
                self._take(pos)
                return None
            if data[stop] != 13 or data[stop + 1] != 10:
                raise FormatError(self.offset)
            args.append(data[begin:stop])
            pos = stop + 2
        self._take(pos)
        self.offset += self._taken
        self._taken = 0
        self._args = None
        return args

    def _take(self, pos: int) -> None:
        """Have read up to there."""
        self._taken += pos - self._pos
        self._pos = pos

    def _number(self, pos: int, mark: int) -> tuple[int, int]:
        """Read a line of a mark and a number; return the number and where the line ends.

        That is 0 if the line is not complete.
        """
        data = self._data
        stop = data.find(b"\r\n", pos, pos + COUNT_DIGITS_MAX + 3)
        if stop < 0:
            digits = data[pos + 1 : pos + COUNT_DIGITS_MAX + 3]
            cut = digits[:-1] if digits.endswith(b"\r") else digits
            if data[pos : pos + 1] not in (b"", bytes((mark,))) or (
                cut != b"" and not cut.isdigit()
            ):
                raise FormatError(self.offset)
            if len(digits) > COUNT_DIGITS_MAX + 1:
                raise FormatError(self.offset)
            return 0, 0
        digits = data[pos + 1 : stop]
        if data[pos] != mark or not digits.isdigit():
            raise FormatError(self.offset)
        return int(digits), stop + 2
