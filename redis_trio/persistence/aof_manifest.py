"""The manifest of an append-only file: which files it consists of, and in what order.

The AOF is a folder (`appenddirname`). Its manifest has a line for each file:

    file appendonly.aof.1.base.rdb seq 1 type b
    file appendonly.aof.1.incr.aof seq 1 type i

A base (b) is the data as it was at some moment; incremental files (i) have the commands since, in
the order of their numbers; history (h) is what a rewrite has replaced and is to be deleted. The
manifest is only ever replaced as a whole, so that at each moment there is one that is true.

Source: Redis aof.c, aofLoadManifestFromFile, getAofManifestAsString, writeAofManifestFile.
"""

from __future__ import annotations

import os
import re
from typing import Final

from redis_trio.config.kinds import decode, encode, quote
from redis_trio.protocol.request import split_inline

BASE: Final = "b"
HISTORY: Final = "h"
INCR: Final = "i"
LINE_MAX: Final = 1024

_NUMBER: Final = re.compile(rb"[ \t\n\v\f\r]*([+-]?\d+)")
_PLAIN: Final = re.compile(r"[!-~]*")
_SPECIAL: Final = re.compile(r"[\\\"' ]")


class AofError(Exception):
    """The append-only file cannot be had, or not be kept as `appendfsync always` promises."""


class ManifestError(Exception):
    """A manifest that cannot be understood.

    Attributes:
      reason: what is wrong, in Redis's words.
      number: of the line, from 1 on; 0 if it is no line in particular.
      line: the line.
    """

    def __init__(self, reason: str, number: int = 0, line: str = "") -> None:
        super().__init__(f"{reason} (line {number}: '{line}')" if number else reason)
        self.reason = reason
        self.number = number
        self.line = line


class AofFile:
    """A file of the AOF: its name in the folder, its number among those of its kind, its kind."""

    __slots__ = ("kind", "name", "seq")

    def __init__(self, name: str, seq: int, kind: str) -> None:
        self.name = name
        self.seq = seq
        self.kind = kind

    def line(self) -> str:
        """Return the file's line in a manifest."""
        name = self.name
        if not _PLAIN.fullmatch(name) or _SPECIAL.search(name) or not name:
            name = quote(name)
        return f"file {name} seq {self.seq} type {self.kind}\n"


class Manifest:
    """The files of an AOF.

    Attributes:
      base: what is loaded first, if there is one.
      incr: the incremental files, oldest first.
      history: files that nobody needs any more.
      base_seq, incr_seq: the highest numbers in use.
    """

    __slots__ = ("base", "base_seq", "history", "incr", "incr_seq")

    def __init__(self) -> None:
        self.base: AofFile | None = None
        self.incr: list[AofFile] = []
        self.history: list[AofFile] = []
        self.base_seq = 0
        self.incr_seq = 0

    @property
    def files(self) -> list[AofFile]:
        """The files that are loaded, in that order."""
        return ([] if self.base is None else [self.base]) + self.incr

    def copy(self) -> Manifest:
        """Return a manifest of the same files, to be changed."""
        copy = Manifest()
        copy.base = self.base
        copy.incr = list(self.incr)
        copy.history = list(self.history)
        copy.base_seq = self.base_seq
        copy.incr_seq = self.incr_seq
        return copy

    def text(self) -> str:
        """Return the manifest as it stands in its file."""
        files = ([] if self.base is None else [self.base]) + self.history + self.incr
        return "".join([file.line() for file in files])

    def add_base(self, filename: str, suffix: str) -> str:
        """Have a new base, which is named and returned; the old one becomes history.

        Args:
          filename: as `appendfilename` says.
          suffix: `rdb` or `aof`, by what the base is written in.
        """
        if self.base is not None:
            self.history.insert(0, AofFile(self.base.name, self.base.seq, HISTORY))
        self.base_seq += 1
        name = f"{filename}.{self.base_seq}.base.{suffix}"
        self.base = AofFile(name, self.base_seq, BASE)
        return name

    def add_incr(self, filename: str) -> str:
        """Have one more incremental file, which is named and returned."""
        self.incr_seq += 1
        name = f"{filename}.{self.incr_seq}.incr.aof"
        self.incr.append(AofFile(name, self.incr_seq, INCR))
        return name

    def retire_incr(self, keep: int) -> None:
        """Make all incremental files history but for the last `keep`."""
        count = len(self.incr) - keep
        for file in reversed(self.incr[:count]):
            self.history.insert(0, AofFile(file.name, file.seq, HISTORY))
        del self.incr[:count]


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest that the bytes of a file say.

    Raises:
      ManifestError: they say none.
    """
    if not data:
        raise ManifestError("Found an empty AOF manifest")
    manifest = Manifest()
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if number == len(lines) and not line:
            break
        if line.startswith(b"#"):
            continue
        try:
            if number == len(lines) or len(line) >= LINE_MAX:
                raise ManifestError("The AOF manifest file contains too long line")
            _add_line(manifest, line.strip(b" \t\r\n"))
        except ManifestError as exc:
            text = decode(line.strip(b" \t\r\n"))
            raise ManifestError(exc.reason, number, text) from None
    return manifest


def _add_line(manifest: Manifest, line: bytes) -> None:
    """Take a line into a manifest."""
    words = split_inline(line) if line else None
    if words is None or len(words) < 6 or len(words) % 2:
        raise ManifestError("Invalid AOF manifest file format")
    name = kind = ""
    seq = 0
    for i in range(0, len(words), 2):
        key = words[i].lower()
        value = words[i + 1]
        if key == b"file":
            name = decode(value)
            if "/" in name or "\\" in name:
                raise ManifestError("File can't be a path, just a filename")
        elif key == b"seq":
            found = _NUMBER.match(value)
            seq = int(found[1]) if found else 0
        elif key == b"type":
            kind = decode(value[:1])
    if not name or not seq or not kind:
        raise ManifestError("Invalid AOF manifest file format")
    file = AofFile(name, seq, kind)
    if kind == BASE:
        if manifest.base is not None:
            raise ManifestError("Found duplicate base file information")
        manifest.base = file
        manifest.base_seq = seq
    elif kind == HISTORY:
        manifest.history.append(file)
    elif kind == INCR:
        if seq <= manifest.incr_seq:
            raise ManifestError("Found a non-monotonic sequence number")
        manifest.incr.append(file)
        manifest.incr_seq = seq
    else:
        raise ManifestError("Unknown AOF file type")


def manifest_name(filename: str) -> str:
    """Return the name of the manifest of an AOF whose files are called `filename`."""
    return filename + ".manifest"


def read_manifest(folder: str, filename: str) -> Manifest:
    """Return the manifest in a folder; an empty one if there is none.

    Raises:
      ManifestError: it is damaged.
      OSError: it cannot be read.
    """
    try:
        with open(os.path.join(folder, manifest_name(filename)), "rb") as file:
            return parse_manifest(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return Manifest()


def write_manifest(manifest: Manifest, folder: str, filename: str) -> None:
    """Replace the manifest in a folder: whenever the machine stops, there is the old or the new.

    Raises:
      OSError: it cannot be written.
    """
    prepared = prepare_manifest(manifest, folder, filename)
    try:
        os.replace(prepared, os.path.join(folder, manifest_name(filename)))
    except OSError:
        remove_file(prepared)
        raise
    sync_folder(folder)


def prepare_manifest(manifest: Manifest, folder: str, filename: str) -> str:
    """Write a manifest beside the one there is, to replace it; return its path.

    Everything in the folder is on the disk then.

    Raises:
      OSError: it cannot be written.
    """
    temporary = os.path.join(folder, "temp-" + manifest_name(filename))
    try:
        with open(temporary, "wb") as file:
            file.write(encode(manifest.text()))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
    except OSError:
        remove_file(temporary)
        raise
    return temporary


def sync_folder(folder: str) -> None:
    """Have the names in a folder survive a power failure.

    Raises:
      OSError: the file system cannot.
    """
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_file(path: str) -> None:
    """Remove a file, if it is there and can be removed."""
    try:
        os.unlink(path)
    except OSError:
        return
