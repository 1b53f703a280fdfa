"""A checkout of Redis's or Valkey's source, of which `tests/` is used.

`external:skip` marks tests that the suite never runs against external servers, for fear of what
they leave behind in a server that lives on. Against a fresh one most of them work. UNMARKED are the
units that run without these marks, under their name with a + before it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

TCLSH: Final = ("tclsh8.6", "tclsh", "tclsh8.5")
TOOLS: Final = ("server", "cli", "benchmark", "check-aof", "check-rdb")
UNMARKED: Final = (
    "unit/acl",
    "unit/acl-v2",
    "unit/aofrw",
    "unit/auth",
    "unit/client-eviction",
    "unit/info",
    "unit/limits",
    "unit/maxmemory",
    "unit/obuf-limits",
    "unit/pubsubshard",
    "unit/wait",
    "unit/type/hash-field-expire",
)


class SuiteError(Exception):
    """The suite cannot run."""


def find_tclsh() -> str:
    """Return the path of a Tcl interpreter.

    Raises:
      SuiteError: there is none.
    """
    for name in TCLSH:
        if path := shutil.which(name):
            return path
    raise SuiteError("tclsh is not installed (Debian's package is tcl)")


class Suite:
    """The tests of a checkout.

    Args:
      path: the checkout.
      tclsh: the program that runs them.

    Raises:
      SuiteError: there are no tests at `path`.
    """

    def __init__(self, path: Path, tclsh: str) -> None:
        self.path = path.resolve()
        self.tests = self.path / "tests"
        self.tclsh = tclsh
        if not (self.tests / "test_helper.tcl").is_file():
            raise SuiteError(f"no tests/test_helper.tcl in {path}")

    def version(self) -> str:
        """Return what is tested, as in `redis-7.4.1`; `unknown` without its version.h."""
        header = self.path / "src" / "version.h"
        text = header.read_text() if header.is_file() else ""
        for kind in ("VALKEY", "REDIS"):  # Valkey's has both
            if found := re.search(rf'define {kind}_VERSION "([^"]+)"', text):
                number = "unstable" if found[1] == "255.255.255" else found[1]
                return f"{kind.lower()}-{number}"
        return "unknown"

    def fingerprint(self) -> str:
        """Return a digest of all test files: other tests have another baseline."""
        digest = hashlib.sha256()
        paths = [path.relative_to(self.tests) for path in self.tests.rglob("*.tcl")]
        for path in sorted(paths, key=lambda path: (str(self.tests / path.parent), path.name)):
            if path.parts[0] != "tmp":
                digest.update(str(path).encode() + b"\0")
                digest.update((self.tests / path).read_bytes() + b"\0")
        return digest.hexdigest()[:16]

    def copy(self, folder: Path, *, unmarked: bool = False) -> Path:
        """Make a folder to run in, with the tests and links to the rest; return it.

        Args:
          folder: where.
          unmarked: without the `external:skip` marks.
        """
        work = folder / "work"
        ignored = shutil.ignore_patterns("tmp", "*.so", "*.o", "*.xo")
        shutil.copytree(self.tests, work / "tests", ignore=ignored)
        (work / "src").mkdir()
        for name in (f"{kind}-{tool}" for kind in ("redis", "valkey") for tool in TOOLS):
            built = self.path / "src" / name
            found = str(built) if os.access(built, os.X_OK) else shutil.which(name)
            if found:
                (work / "src" / name).symlink_to(found)
        for path in self.path.iterdir():
            if path.name not in ("tests", "src", ".git"):
                (work / path.name).symlink_to(path)
        if unmarked:
            for path in (work / "tests" / "unit").rglob("*.tcl"):
                text = path.read_bytes()
                path.write_bytes(re.sub(rb"\bexternal:skip\b", b"external:try", text))
        return work

    def units(self) -> list[str]:
        """Return the names of all unit files, those of UNMARKED with a + at the end."""
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [self.tclsh, "tests/test_helper.tcl", "--list-tests"],
                cwd=self.copy(Path(folder)),
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
        units = sorted(set(done.stdout.split()), key=lambda unit: (unit.count("/"), unit))
        return units + [f"+{unit}" for unit in UNMARKED if unit in units]
