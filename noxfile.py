"""Everything a contributor runs: `pip install nox && nox`.

A bare `nox` runs the sessions marked (*). Each works from a clean clone with nothing but nox; the
suites run on every Python from 3.11 to 3.13 that is found, or the one named: `nox -s tests-3.12`.

    lint (*)        ruff: rules and format
    types (*)       mypy, strict for the package
    tests (*)       the suite against the compiled package, built and installed as users get it
    tests_pure (*)  the suite against the pure package; without -s on one Python
    interop (*)     real clients, and replies compared with a real redis-server
    ecosystem (*)   job queues and locks of others, with real workers (BullMQ needs node and npm)
    docs (*)        the documentation, warnings are errors
    bench           side by side with redis-server; prints ratios
    conformance     Redis's own Tcl tests: `nox -s conformance -- --suite PATH`, its source
    fuzz            the property tests with many more examples

Words behind `--` go to pytest, sphinx-build, the benchmark or the Tcl tests: `nox -s tests -- -k
expire`. A missing program (redis-server, redis-benchmark, a C compiler) skips what needs it; with
CI=true it is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"

ROOT = Path(__file__).parent
CI = os.environ.get("CI", "").lower() not in ("", "0", "false")
SUITE = ["tests", "docs", "benchmarks"]
FILES = ["README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "setup.py", "noxfile.py"]


def _runs(python: str) -> bool:
    """Whether there is such a Python: a shim of a version manager alone is none."""
    path = shutil.which(python)
    try:
        return (
            path is not None
            and subprocess.run([path, "-c", ""], check=False, capture_output=True).returncode == 0
        )
    except OSError:
        return False


def _find_pythons() -> list[str]:
    """Return the supported versions that are found, on the PATH or installed by pyenv."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    current = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = []
    for version in ("3.11", "3.12", "3.13"):
        python = f"python{version}"
        if version != current and not _runs(python):
            installed = sorted(root.glob(f"{version}.*/bin/{python}"))
            if not installed:
                continue
            os.environ["PATH"] = f"{installed[-1].parent}{os.pathsep}{os.environ['PATH']}"
        found.append(version)
    return found


PYTHONS = _find_pythons()
DEFAULT = f"{sys.version_info[0]}.{sys.version_info[1]}"
if DEFAULT not in PYTHONS:
    DEFAULT = PYTHONS[-1] if PYTHONS else "3.11"

nox.options.sessions = ["lint", "types", "tests", f"tests_pure-{DEFAULT}", "interop"]
nox.options.sessions += ["ecosystem", "docs"]

PARALLEL = ["-n", "auto", "--dist", "worksteal"]
"""pytest-xdist: a process for each core; every test stands alone."""
SERVERS = ["--ignore=tests/interop", "--ignore=tests/ecosystem"]
"""Tests that need programs of others have sessions of their own."""
WHEELS: dict[str, Path] = {}
"""The compiled wheels that this run of nox has built, by Python version."""


def _install_dependencies(session: nox.Session, *groups: str) -> None:
    project = nox.project.load_toml(ROOT / "pyproject.toml")
    session.install(*nox.project.dependency_groups(project, *groups))


def _install_package(session: nox.Session, *, pure: bool) -> None:
    """Build and install the package as `pip install .` does, compiled or pure for certain."""
    if pure:
        session.install("--force-reinstall", "--no-deps", ".", env={"REDIS_TRIO_PURE": "1"})
        session.install("redis-trio")  # what it depends on
        return
    if not CI and shutil.which(os.environ.get("CC", "cc")) is None:
        session.skip("no C compiler")
    version = str(session.python)
    if version not in WHEELS:
        place = Path(session.create_tmp(), "wheel").resolve()
        shutil.rmtree(place, ignore_errors=True)
        env = {"REDIS_TRIO_COMPILE": "1", "REDIS_TRIO_PURE": ""}
        session.run("pip", "wheel", "--no-deps", "--wheel-dir", str(place), ".", env=env)
        WHEELS[version] = next(place.glob("*.whl"))
    session.install("--force-reinstall", "--no-deps", str(WHEELS[version]))
    session.install("redis-trio")  # what it depends on


def _copy_suite(session: nox.Session) -> Path:
    """Make a copy without the package, so that the installed one is what is tested."""
    place = Path(session.create_tmp(), "suite").resolve()
    shutil.rmtree(place, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "_build")
    for name in SUITE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, place / name)
    return place


def _absolute(args: list[str]) -> list[str]:
    """Return arguments with the paths of folders made absolute."""
    return [os.path.abspath(arg) if os.path.isdir(arg) else arg for arg in args]


def _run_suite(session: nox.Session, build: str, *args: str, factor: str = "1") -> None:
    """Run tests; `factor` multiplies how many examples the property tests try."""
    place = _copy_suite(session)
    env = {"REDIS_TRIO_EXPECT": build, "REDIS_TRIO_FUZZ": factor, "PYTHONDONTWRITEBYTECODE": "1"}
    with session.chdir(place):
        session.run("pytest", *PARALLEL, *args, *session.posargs, env=env)


def _need(session: nox.Session, *programs: str) -> None:
    """Skip the session without these programs; fail where nothing may be missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing and CI:
        session.error(f"not installed: {', '.join(missing)}")
    if missing:
        session.skip(f"not installed: {', '.join(missing)}")


@nox.session(python=DEFAULT)
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    _install_dependencies(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session(python=DEFAULT)
def types(session: nox.Session) -> None:
    """Mypy: strict for the package, the tests checked as far as they are annotated."""
    _install_dependencies(session, "types")
    session.install("trio>=0.26")
    session.run("mypy")
    session.run("mypy", "tests", "benchmarks", "docs", "noxfile.py", "setup.py")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the suite against the compiled package."""
    _install_dependencies(session, "test")
    _install_package(session, pure=False)
    _run_suite(session, "compiled", *SERVERS)


@nox.session(python=PYTHONS)
def tests_pure(session: nox.Session) -> None:
    """Run the suite against the pure package."""
    _install_dependencies(session, "test")
    _install_package(session, pure=True)
    _run_suite(session, "pure", *SERVERS)


@nox.session(python=DEFAULT)
def interop(session: nox.Session) -> None:
    """Compare replies with a real redis-server's, and use real clients."""
    _need(session, "redis-server", "redis-cli")
    _install_dependencies(session, "test")
    _install_package(session, pure=False)
    _run_suite(session, "compiled", "tests/interop")


@nox.session(python=DEFAULT)
def ecosystem(session: nox.Session) -> None:
    """Run what others have built on Redis: its workers, its scripts, our server."""
    _install_dependencies(session, "test", "ecosystem")
    _install_package(session, pure=False)
    _run_suite(session, "compiled", "tests/ecosystem")


@nox.session(python=DEFAULT)
def fuzz(session: nox.Session) -> None:
    """Run the property tests with many more examples than the suite does."""
    _install_dependencies(session, "test")
    _install_package(session, pure=False)
    _run_suite(session, "compiled", "tests/fuzz", factor="20")


@nox.session(python=DEFAULT)
def bench(session: nox.Session) -> None:
    """Measure side by side with redis-server; prints ratios."""
    _need(session, "redis-server", "redis-benchmark", "redis-cli")
    _install_package(session, pure=False)
    program = ROOT / "benchmarks" / "compare.py"
    posargs = _absolute(session.posargs)
    with session.chdir(session.create_tmp()):  # where the source tree is not importable
        session.run("python", "-P", str(program), *posargs)


@nox.session(python=DEFAULT)
def conformance(session: nox.Session) -> None:
    """Run the Tcl tests of Redis or Valkey, each unit against a fresh server."""
    _need(session, "tclsh")
    _install_package(session, pure=False)
    posargs = _absolute(session.posargs)
    with session.chdir(_copy_suite(session)):
        session.run("python", "-m", "tests.conformance", *posargs)


@nox.session(python=DEFAULT)
def docs(session: nox.Session) -> None:
    """Build the documentation."""
    _install_dependencies(session, "docs")
    _install_package(session, pure=True)
    session.run(
        "sphinx-build",
        "-W",
        "--keep-going",
        "-b",
        "html",
        *session.posargs,
        "docs",
        "docs/_build/html",
    )
