"""The reader of RDB files: it is fed bytes in pieces of any size, and yields keys.

    reader = RdbReader(thresholds, size=os.path.getsize(path))
    while not reader.done:
        entry = reader.next()
        if entry is not None:
            ...
        elif data := file.read(65536):
            reader.feed(data)
        else:
            reader.finish()

It does no I/O and applies nothing. A thing that has not arrived whole is tried again when there is
twice as much of it, and values of many elements are gone on with where they stood, so that the cost
is linear whatever the pieces are. Files of every version up to 12 are read.

Source: Redis rdb.c rdbLoadRio.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from redis_trio.data.thresholds import Thresholds
from redis_trio.persistence.crc64 import crc64
from redis_trio.persistence.rdb_cursor import UNKNOWN, Cursor, Short
from redis_trio.persistence.rdb_format import (
    AUX,
    CHECKSUM_SINCE,
    EOF,
    EXPIRETIME,
    EXPIRETIME_MS,
    FREQ,
    FUNCTION2,
    FUNCTION_PRE_GA,
    IDLE,
    MAGIC,
    MODULE_2,
    MODULE_AUX,
    MODULE_DOUBLE,
    MODULE_EOF,
    MODULE_FLOAT,
    MODULE_SINT,
    MODULE_STRING,
    MODULE_UINT,
    RESIZEDB,
    SELECTDB,
    SLOT_INFO,
    STRING,
    VERSION,
    is_value_type,
)
from redis_trio.persistence.rdb_values import (
    Empty,
    Partial,
    begin_value,
    module_name,
    read_value,
)

NO_DEADLINE: Final = -1


class Entry:
    """A key as a file has it.

    Attributes:
      db: the number of its database.
      value: None for a collection without elements, which is to be passed over, and for data of a
        module that was skipped.
      when_ms: its deadline, NO_DEADLINE if it has none.
      idle_s: for how long it had not been accessed, -1: not told.
      frequency: its LFU counter, -1: not told.
      kind: the RDB type of the value.
      size: how many bytes the key and the value took.
    """

    __slots__ = ("db", "frequency", "idle_s", "key", "kind", "size", "value", "when_ms")

    def __init__(self, db: int, key: bytes, value: object, when_ms: int, kind: int) -> None:
        self.db = db
        self.key = key
        self.value = value
        self.when_ms = when_ms
        self.idle_s = -1
        self.frequency = -1
        self.kind = kind
        self.size = 0


class RdbReader:
    """Reads one file.

    Attributes:
      done: whether its end was read.
      version: of the file, 0 until it is known.
      aux: the aux fields so far.
      libraries: the code of each function library so far.
      checked: whether there was a checksum, once done; it was right then.
      skipped_modules: names of the modules whose data was skipped.
    """

    __slots__ = (
        "_began",
        "_check_sum",
        "_crc",
        "_crc_pos",
        "_cursor",
        "_db",
        "_finished",
        "_frequency",
        "_idle_s",
        "_key",
        "_kind",
        "_partial",
        "_pieces",
        "_pieces_size",
        "_skip_modules",
        "_thresholds",
        "_wanted",
        "_when_ms",
        "aux",
        "checked",
        "done",
        "libraries",
        "skipped_modules",
        "version",
    )

    def __init__(
        self,
        thresholds: Thresholds,
        *,
        size: int = UNKNOWN,
        check_sum: bool = True,
        skip_modules: bool = False,
    ) -> None:
        """Begin.

        Args:
          thresholds: decide about the encodings of the values.
          size: of the whole input; a length that leads beyond it is refused at once.
          check_sum: whether a checksum that is there must be right.
          skip_modules: whether data of modules is skipped, and not refused.
        """
        self._thresholds = thresholds
        self._check_sum = check_sum
        self._skip_modules = skip_modules
        self._cursor = Cursor(b"", size)
        self._pieces: list[bytes] = []
        self._pieces_size: i64 = 0
        self._wanted: i64 = 9
        self._finished = False
        self._crc = 0
        self._crc_pos: i64 = 0  # up to where in the cursor's data it reaches
        self._began: i64 = 0  # where in the input the key in hand began
        self._partial: Partial | None = None
        self._key = b""
        self._kind = 0
        self._db = 0
        self._when_ms = NO_DEADLINE
        self._idle_s = -1
        self._frequency = -1
        self.done = False
        self.version = 0
        self.aux: dict[bytes, bytes] = {}
        self.libraries: list[bytes] = []
        self.checked = False
        self.skipped_modules: list[bytes] = []

    @property
    def offset(self) -> int:
        """How many bytes have been read."""
        return self._cursor.base + self._cursor.pos

    def feed(self, data: bytes) -> None:
        """Take more bytes."""
        self._pieces.append(data)
        self._pieces_size += len(data)

    def finish(self) -> None:
        """Take note that there are no more bytes: what is missing now is missing for good."""
        self._finished = True

    def rest(self) -> bytes:
        """Return what was fed behind the end of the RDB data."""
        self._join()
        cursor = self._cursor
        return cursor.data[cursor.pos :]

    def next(self) -> Entry | None:
        """Return the next key; None if it takes more bytes, or if all is `done`.

        Raises:
          RdbError: the data is damaged. Nothing more can be read then.
        """
        if self.done or (self._pieces_size < self._wanted and not self._finished):
            return None
        self._join()
        cursor = self._cursor
        begin = cursor.pos
        try:
            if self.version == 0:
                self._read_header()
            while not self.done:
                begin = cursor.pos
                entry = self._step()
                if entry is not None:
                    return entry
        except Short as short:
            if self._finished:
                raise cursor.error("Unexpected end of the data") from None
            if self._partial is None:
                cursor.pos = begin
            there = len(cursor.data) - cursor.pos
            self._wanted = max(there, short.wanted)
        return None

    def _join(self) -> None:
        """Put what was fed behind what has not been read."""
        if not self._pieces:
            return
        cursor = self._cursor
        self._sum_up()
        self._pieces.insert(0, cursor.data[cursor.pos :])
        cursor.base += cursor.pos
        cursor.data = b"".join(self._pieces)
        cursor.pos = 0
        self._crc_pos = 0
        self._pieces = []
        self._pieces_size = 0
        self._wanted = 0

    def _sum_up(self) -> None:
        """Have the checksum reach as far as has been read."""
        cursor = self._cursor
        if self._crc_pos < cursor.pos:
            if self._check_sum:
                self._crc = crc64(cursor.data[self._crc_pos : cursor.pos], self._crc)
            self._crc_pos = cursor.pos

    def _read_header(self) -> None:
        cursor = self._cursor
        header = cursor.raw(9)
        if header[:5] != MAGIC:
            raise cursor.error("Wrong signature trying to load DB from file")
        digits = header[5:]
        if not digits.isdigit() or not 1 <= int(digits) <= VERSION:
            raise cursor.error(f"Can't handle RDB format version {digits.decode('latin-1')}")
        self.version = int(digits)

    def _step(self) -> Entry | None:
        """Read an opcode, or a key, or go on with a value."""
        cursor = self._cursor
        if self._partial is None:
            opcode = cursor.byte()
            if opcode > 240:
                self._read_opcode(opcode)
                return None
            self._began = cursor.base + cursor.pos - 1
            if not is_value_type(opcode):
                raise cursor.error(f"Unknown RDB encoding type {opcode}")
            self._kind = opcode
            self._key = cursor.string()
            if opcode == MODULE_2 and self._skip_modules:
                name = module_name(cursor.length())
                skip_module_value(cursor)
                self.skipped_modules.append(name)
                return self._entry(None)
            try:
                if opcode == STRING:
                    return self._entry(cursor.string())
                self._partial = begin_value(opcode, cursor, self._thresholds)
                if self._partial is None:
                    return self._entry(read_value(opcode, cursor, self._thresholds))
            except Empty:
                return self._entry(None)
        try:
            value = self._partial.run(cursor)
        except Empty:
            value = None
        self._partial = None
        return self._entry(value)

    def _entry(self, value: object) -> Entry:
        """Return the key in hand with its value, and forget what was said in front of it."""
        entry = Entry(self._db, self._key, value, self._when_ms, self._kind)
        entry.idle_s = self._idle_s
        entry.frequency = self._frequency
        entry.size = self._cursor.base + self._cursor.pos - self._began
        self._when_ms = NO_DEADLINE
        self._idle_s = -1
        self._frequency = -1
        return entry

    def _read_opcode(self, opcode: i64) -> None:
        cursor = self._cursor
        if opcode == EXPIRETIME_MS:
            self._when_ms = cursor.signed(8)
        elif opcode == EXPIRETIME:
            self._when_ms = cursor.signed(4) * 1000
        elif opcode == IDLE:
            self._idle_s = cursor.length()
        elif opcode == FREQ:
            self._frequency = cursor.byte()
        elif opcode == SELECTDB:
            self._db = cursor.length()
        elif opcode == RESIZEDB:
            cursor.length()
            cursor.length()
        elif opcode == AUX:
            name = cursor.string()
            self.aux[name] = cursor.string()
        elif opcode == EOF:
            self._read_end()
        elif opcode == SLOT_INFO:
            for _ in range(3):
                cursor.length()
        elif opcode == FUNCTION2:
            self.libraries.append(cursor.string())
        elif opcode == MODULE_AUX:
            self._skip_module()
        elif opcode == FUNCTION_PRE_GA:
            raise cursor.error("Pre-release function format not supported.")
        else:
            raise cursor.error(f"Unknown RDB encoding type {opcode}")

    def _read_end(self) -> None:
        """Read the checksum and compare it."""
        cursor = self._cursor
        if self.version >= CHECKSUM_SINCE:
            expected = cursor.unsigned(8)
            cursor.pos -= 8
            self._sum_up()
            if self._check_sum and expected and expected != self._crc:
                raise cursor.error(
                    f"Wrong RDB checksum expected: ({self._crc:x}) but got ({expected:x})"
                )
            self.checked = self._check_sum and expected != 0
            cursor.pos += 8
            self._crc_pos = cursor.pos
        self.done = True

    def _skip_module(self) -> None:
        """Skip the auxiliary data of a module, or refuse it."""
        cursor = self._cursor
        name = module_name(cursor.length())
        if not self._skip_modules:
            raise cursor.error(
                "The RDB file contains AUX module data I can't load: no matching module "
                f"'{name.decode()}'"
            )
        if cursor.length() != MODULE_UINT:
            raise cursor.error("bad when_opcode")
        cursor.length()
        skip_module_value(cursor)
        self.skipped_modules.append(name)


def skip_module_value(cursor: Cursor) -> None:
    """Read past what a module has written, which tells the type of each part.

    Raises:
      Short: more bytes are needed.
      RdbError: it is damaged.
    """
    while True:
        opcode = cursor.length()
        if opcode == MODULE_EOF:
            return
        if opcode in (MODULE_SINT, MODULE_UINT):
            cursor.length()
        elif opcode == MODULE_STRING:
            cursor.string()
        elif opcode == MODULE_FLOAT:
            cursor.raw(4)
        elif opcode == MODULE_DOUBLE:
            cursor.raw(8)
        else:
            raise cursor.error(f"Unknown part of a module's data: {opcode}")
