"""Reading one file to its end, or to the first damage.

What is damage is what keeps a server from loading the file, or has it cut the file off. A
transaction is whole or not at all: an append-only file that ends inside of one is good up to its
MULTI.
"""

from __future__ import annotations

import os
from typing import BinaryIO, Final

from redis_trio.data.thresholds import Thresholds
from redis_trio.persistence.aof_reader import AofReader, FormatError
from redis_trio.persistence.check.summary import CommandSummary, KeySummary
from redis_trio.persistence.rdb_format import MAGIC, RdbError
from redis_trio.persistence.rdb_reader import RdbReader

CHUNK: Final = 256 * 1024

RDB: Final = "RDB"
AOF: Final = "AOF"
AOF_PREAMBLE: Final = "AOF with an RDB preamble"


class Damage:
    """Where a file is damaged.

    Attributes:
      offset: where it was noticed, in bytes from the beginning.
      reason: what is wrong.
      whole: how many bytes at the beginning are good; what is behind them can be cut off. -1: it
        cannot, the damage is in RDB data.
    """

    __slots__ = ("offset", "reason", "whole")

    def __init__(self, offset: int, reason: str, whole: int = -1) -> None:
        self.offset = offset
        self.reason = reason
        self.whole = whole


class CheckedFile:
    """A file that was checked.

    Attributes:
      kind: RDB, AOF or AOF_PREAMBLE.
      role: what it is in a manifest: base or incr; "" if it stands alone.
      rdb: the reader of its RDB data, with what is no key; None if it has none.
      keys: the keys of its RDB data; commands: what is behind that.
      behind: bytes behind the RDB data that a server does not read.
      damage: None if it is whole.
      fixed: whether the damage was cut off.
    """

    def __init__(self, path: str, now_ms: int, top: int) -> None:
        self.path = path
        self.kind = RDB
        self.role = ""
        self.size_bytes = 0
        self.rdb: RdbReader | None = None
        self.keys = KeySummary(now_ms, top)
        self.commands = CommandSummary()
        self.behind = 0
        self.damage: Damage | None = None
        self.fixed = False


def check_file(path: str, now_ms: int, top: int, *, is_aof: bool = False) -> CheckedFile:
    """Check a file.

    Args:
      now_ms, top: see `KeySummary`.
      is_aof: whether it must be an append-only file: it is part of one. Otherwise its beginning
        and its name tell.

    Raises:
      OSError: it cannot be read.
    """
    checked = CheckedFile(path, now_ms, top)
    with open(path, "rb") as file:
        checked.size_bytes = os.fstat(file.fileno()).st_size
        data = file.read(CHUNK)
        if not data.startswith(MAGIC[: len(data)]) or not data:
            is_aof = is_aof or data[:1] in (b"*", b"#") or path.endswith(".aof")
        elif len(data) < len(MAGIC):
            is_aof = False
        if is_aof and not data.startswith(MAGIC):
            checked.kind = AOF
            _check_commands(checked, file, data, 0)
        else:
            _check_rdb(checked, file, data, is_aof=is_aof or path.endswith(".aof"))
    return checked


def _check_rdb(checked: CheckedFile, file: BinaryIO, data: bytes, *, is_aof: bool) -> None:
    """Check RDB data, and the commands behind it if it is a preamble."""
    reader = RdbReader(Thresholds(), size=checked.size_bytes, skip_modules=True)
    checked.rdb = reader
    reader.feed(data)
    keys = checked.keys
    try:
        while not reader.done:
            entry = reader.next()
            if entry is not None:
                keys.add(entry)
            elif not reader.done:
                data = file.read(CHUNK)
                if data:
                    reader.feed(data)
                else:
                    reader.finish()
    except RdbError as exc:
        checked.damage = Damage(exc.offset, exc.reason)
        return
    rest = reader.rest() or file.read(CHUNK)
    marked = b"1" in (reader.aux.get(b"aof-base"), reader.aux.get(b"aof-preamble"))
    if is_aof or (marked and rest):
        checked.kind = AOF_PREAMBLE
        _check_commands(checked, file, rest, reader.offset)
    else:
        checked.behind = checked.size_bytes - reader.offset


class _Transactions:
    """Follows MULTI and EXEC.

    Attributes:
      whole: up to where the file is good.
    """

    def __init__(self, whole: int) -> None:
        self.whole = whole
        self.is_open = False

    def follow(self, name: bytes, end: int) -> str:
        """Take note of a command that ends at `end`; return what is wrong with it, or ""."""
        if name == b"MULTI":
            if self.is_open:
                return "MULTI inside of a transaction"
            self.is_open = True
        elif name == b"EXEC":
            if not self.is_open:
                return "EXEC without MULTI"
            self.is_open = False
        if not self.is_open:
            self.whole = end
        return ""


def _check_commands(checked: CheckedFile, file: BinaryIO, data: bytes, offset: int) -> None:
    """Check commands, of which `data` are the first bytes, at `offset`."""
    reader = AofReader(offset)
    transactions = _Transactions(offset)
    try:
        while data:
            reader.feed(data)
            while True:
                begin = reader.offset
                args = reader.read()
                if args is None:
                    break
                wrong = transactions.follow(args[0].upper(), reader.offset)
                if wrong:
                    checked.damage = Damage(begin, wrong, transactions.whole)
                    return
                checked.commands.add(args)
            data = file.read(CHUNK)
    except FormatError as exc:
        checked.damage = Damage(
            exc.offset, "no command in the form of the file", transactions.whole
        )
        return
    if reader.rest:
        reason = "Unexpected end: the last command is cut off"
        checked.damage = Damage(checked.size_bytes, reason, transactions.whole)
    elif transactions.is_open:
        reason = "Unexpected end: the last transaction has no EXEC"
        checked.damage = Damage(checked.size_bytes, reason, transactions.whole)
