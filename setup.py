"""Compiles the synchronous core with mypyc when a wheel is built; metadata is in pyproject.toml.

The files that `compiled_files` names are translated to C; the same files run unchanged where they
are not. What decides:

- a wheel (`pip install .`, `python -m build`) is compiled; REDIS_TRIO_PURE=1 keeps it pure;
- an editable install is pure; REDIS_TRIO_COMPILE=1 compiles it in place;
- without a C compiler or Python's headers, or if the translation fails, the result is pure, and a
  warning on stderr says so. REDIS_TRIO_COMPILE=1 makes that an error: for builds of wheels.

mypyc makes one C file of each module (about 1 s of compiler time for 300 lines of Python), which
are compiled in parallel; all of them share one library, so calls between modules stay direct.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PACKAGE = ROOT / "redis_trio"
EDITABLE = "editable_wheel" in sys.argv

# Whole folders of the core; and what in them, by measurement, is not worth its compile time.
FOLDERS = ["protocol", "data", "keyspace", "commands"]
FILES = [
    "acl/room.py",
    "acl/users.py",
    "args.py",
    "blocking.py",
    "client.py",
    "client_memory.py",
    "clock.py",
    "command.py",
    "errors.py",
    "eviction.py",
    "execute.py",
    "feed.py",
    "lua/engine.py",
    "monitor.py",
    "persistence/crc64.py",
    "persistence/old_encodings.py",
    "persistence/payload.py",
    "persistence/rdb_cursor.py",
    "persistence/rdb_format.py",
    "persistence/rdb_reader.py",
    "persistence/rdb_stream.py",
    "persistence/rdb_values.py",
    "persistence/rdb_writer.py",
    "persistence/snapshot.py",
    "pubsub.py",
    "replication/acks.py",
    "replication/backlog.py",
    "replication/bulk.py",
    "replication/replica.py",
    "replication/state.py",
    "replication/master.py",
    "scripting/aside.py",
    "scripting/calls.py",
    "scripting/conversion.py",
    "scripting/refusals.py",
    "scripting/room.py",
    "state.py",
    "tls_transport.py",
    "transactions.py",
    "transport.py",
]
INTERPRETED = {
    "__init__.py",
    "commands/cluster.py",
    "commands/command.py",
    "commands/config.py",
    "commands/debug.py",
    "commands/latency.py",
    "commands/lolwut.py",
    "commands/migrate.py",
    "commands/module.py",
    "commands/server.py",
    "commands/slowlog.py",
    "protocol/plain.py",
    "protocol/response.py",
}

# Building needs the types of the core alone: trio need not be there. `nox -s types` is the check.
MYPY_OPTIONS = ["--config-file=", "--ignore-missing-imports"]


def compiled_files() -> list[str]:
    """Return the paths of the files to be compiled, relative to this one."""
    found = [PACKAGE / name for name in FILES]
    for folder in FOLDERS:
        found += sorted((PACKAGE / folder).rglob("*.py"))
    return [
        str(path.relative_to(ROOT))
        for path in found
        if path.name not in INTERPRETED and path.relative_to(PACKAGE).as_posix() not in INTERPRETED
    ]


def warn(reason: str) -> None:
    """Say on stderr that the result is pure, unless it must be compiled."""
    if forced():
        raise SystemExit(f"redis-trio: cannot compile the core: {reason}")
    bar = "*" * 78
    print(
        f"\n{bar}\nWARNING: redis-trio is installed without its compiled core: {reason}.\n"
        "It works the same, but takes more CPU for each command. Install a\n"
        f"C compiler and Python's headers (Debian: gcc python3-dev), then install again.\n{bar}\n",
        file=sys.stderr,
        flush=True,
    )


def forced() -> bool:
    """Whether the caller insists on a compiled core."""
    return os.environ.get("REDIS_TRIO_COMPILE", "") not in ("", "0")


def wanted() -> bool:
    """Whether this run of setup.py is to build a compiled core."""
    if os.environ.get("REDIS_TRIO_PURE", "") not in ("", "0"):
        return False
    if EDITABLE:
        return forced()
    return bool({"bdist_wheel", "build", "build_ext", "install"} & set(sys.argv))


def c_compiler_problem() -> str | None:
    """Compile two lines that need Python's headers; return what is missing, or None."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <Python.h>\nint probe(void) { return PY_MAJOR_VERSION; }\n")
        command = build_ext(Distribution({"ext_modules": [Extension("probe", [str(source)])]}))
        command.build_lib = command.build_temp = folder
        try:
            command.ensure_finalized()
            command.run()
        except Exception as error:  # noqa: BLE001  (whatever it is, the answer is the same)
            return f"no working C compiler ({error})"
    return None


def translate() -> list[Any]:
    """Translate the core to C; return the extensions, or none with a warning."""
    problem = c_compiler_problem()
    if problem is None:
        try:
            from mypyc.build import mypycify

            extensions: list[Any] = mypycify(
                [*MYPY_OPTIONS, *compiled_files()],
                opt_level="3",
                debug_level="0",
                multi_file=True,
                group_name="redis_trio",
                target_dir=f"build/mypyc-{sys.version_info[0]}.{sys.version_info[1]}",
            )
        except ImportError as error:
            problem = f"mypyc is missing ({error})"
        except (Exception, SystemExit) as error:  # noqa: BLE001  (a type error ends the process)
            problem = f"mypyc failed ({type(error).__name__}: {error})"
        else:
            for extension in extensions:
                flags = extension.extra_compile_args or []
                extension.extra_compile_args = [flag for flag in flags if flag != "-Werror"]
            return extensions
    warn(problem)
    return []


class BuildPy(build_py):
    """Starts from nothing: a file left from an earlier build would get into the wheel."""

    def run(self) -> None:
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib, "redis_trio"), ignore_errors=True)
        super().run()


class BuildExt(build_ext):
    """Compiles in parallel, and leaves a pure package if the compiler fails half-way."""

    def build_extensions(self) -> None:
        compile_in_turn = self.compiler.compile

        def compile_at_once(sources: list[str], *args: Any, **kwargs: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                jobs = [
                    pool.submit(compile_in_turn, [source], *args, **kwargs) for source in sources
                ]
                return [name for job in jobs for name in job.result()]

        self.compiler.compile = compile_at_once
        try:
            super().build_extensions()
        except Exception as error:  # noqa: BLE001  (a pure package is better than none)
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            self.extensions = []
            warn(f"the C compiler failed ({error})")


def remove_compiled() -> None:
    """Remove what an earlier editable install compiled in place: it would hide the sources."""
    for path in [*ROOT.glob("redis_trio__mypyc*.so"), *PACKAGE.rglob("*.so")]:
        path.unlink()


if __name__ == "__main__":
    if EDITABLE and not forced():
        remove_compiled()
    setup(
        ext_modules=translate() if wanted() else [],
        cmdclass={"build_py": BuildPy, "build_ext": BuildExt},
    )
