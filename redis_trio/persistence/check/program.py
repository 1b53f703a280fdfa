"""The command line of `redis-trio check`, and which file is of which kind."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Final

from redis_trio.persistence.aof_manifest import (
    BASE,
    AofFile,
    Manifest,
    ManifestError,
    parse_manifest,
)
from redis_trio.persistence.check.files import CheckedFile, check_file
from redis_trio.persistence.check.report import file_lines, to_json

OK: Final = 0
DAMAGED: Final = 1
UNUSABLE: Final = 2  # the command line, or a file that cannot be read

MANIFEST: Final = ".manifest"
MANIFEST_MAX: Final = 16 * 2**20  # bytes; each line has a file

DESCRIPTION: Final = """\
Check RDB files and append-only files, and say what is in them. An append-only file of several parts
is named by its manifest or by its folder. The exit status is 0 if everything is whole, 1 if
something is damaged, 2 if something cannot be read.
"""


class Unusable(Exception):
    """What is named on the command line cannot be checked; `str()` says why."""


def check(words: Sequence[str]) -> int:
    """Run the program with the words behind its name; return the exit status."""
    options = arguments().parse_args(list(words))
    program = _Program(options)
    status = OK
    for path in options.files:
        try:
            status = max(status, program.check(path))
        except OSError as exc:
            status = program.fail(f"{exc.filename or path}: {exc.strerror or exc}")
        except (Unusable, ManifestError) as exc:
            status = program.fail(f"{path}: {exc}")
    if options.json:
        sys.stdout.write(to_json(program.checked) + "\n")
    return status


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the words behind the name."""
    parser = argparse.ArgumentParser(prog="redis-trio check", description=DESCRIPTION)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument(
        "--fix", action="store_true", help="cut an append-only file off where it is damaged"
    )
    parser.add_argument("--yes", action="store_true", help="do so without asking")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--top", type=int, default=10, metavar="N", help="name the N biggest keys (10)"
    )
    return parser


class _Program:
    """One run of the program."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._fixes: bool = options.fix
        self._asks: bool = not options.yes
        self._is_json: bool = options.json
        self._top: int = max(0, options.top)
        self._now_ms = int(time.time() * 1000)
        self.checked: list[CheckedFile] = []

    def fail(self, reason: str) -> int:
        """Tell why something cannot be checked; return the exit status for that."""
        sys.stderr.write(f"redis-trio check: {reason}\n")
        return UNUSABLE

    def check(self, path: str) -> int:
        """Check what a path names; return the exit status.

        Raises:
          OSError, Unusable, ManifestError: that is not possible.
        """
        if os.path.isdir(path):
            path = _manifest_in(path)
        if _is_manifest(path):
            return self._check_parts(path)
        checked = check_file(path, self._now_ms, self._top)
        return self._conclude(checked, is_last=True)

    def _check_parts(self, path: str) -> int:
        """Check the files of a manifest, in the order in which they are loaded."""
        with open(path, "rb") as file:
            manifest: Manifest = parse_manifest(file.read(MANIFEST_MAX))
        files = manifest.files
        self._say(f"{path}: {len(files)} files")
        status = OK
        for one in files:
            status = max(status, self._check_part(os.path.dirname(path), one, one is files[-1]))
        return status

    def _check_part(self, folder: str, file: AofFile, is_last: bool) -> int:
        path = os.path.join(folder, file.name)
        checked = check_file(path, self._now_ms, self._top, is_aof=True)
        checked.role = "base" if file.kind == BASE else "incr"
        return self._conclude(checked, is_last=is_last and checked.role == "incr")

    def _conclude(self, checked: CheckedFile, *, is_last: bool) -> int:
        """Mend a file if that is wanted and possible, and tell of it; return the exit status.

        Args:
          is_last: whether nothing comes behind it: only then it may be cut.
        """
        self.checked.append(checked)
        damage = checked.damage
        if damage is None:
            self._say(*file_lines(checked))
            return OK
        if self._fixes and damage.whole >= 0 and is_last and self._agrees(checked):
            with open(checked.path, "r+b") as file:
                file.truncate(damage.whole)
                os.fsync(file.fileno())
            checked.fixed = True
        self._say(*file_lines(checked))
        if self._fixes and not checked.fixed and not is_last and damage.whole >= 0:
            self._say("  It cannot be cut: it is not the last file")
        return OK if checked.fixed else DAMAGED

    def _agrees(self, checked: CheckedFile) -> bool:
        """Ask whether a file may be cut."""
        if not self._asks:
            return True
        damage = checked.damage
        assert damage is not None
        lost = checked.size_bytes - damage.whole
        sys.stderr.write(
            f"This will shrink {checked.path} from {checked.size_bytes} bytes, with {lost} bytes, "
            f"to {damage.whole} bytes\nContinue? [y/N]: "
        )
        sys.stderr.flush()
        return sys.stdin.readline()[:1].lower() == "y"

    def _say(self, *lines: str) -> None:
        if not self._is_json:
            for line in lines:
                sys.stdout.write(line.encode("utf-8", "backslashreplace").decode() + "\n")


def _manifest_in(folder: str) -> str:
    """Return the path of the one manifest in a folder. Raises Unusable if that is not clear."""
    names = [
        name
        for name in sorted(os.listdir(folder))
        if name.endswith(MANIFEST) and not name.startswith("temp-")
    ]
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise Unusable(f"there should be one manifest in it, and there is: {found}")
    return os.path.join(folder, names[0])


def _is_manifest(path: str) -> bool:
    if path.endswith(MANIFEST):
        return True
    with open(path, "rb") as file:
        return file.read(5) == b"file "
