"""What is installed, what it depends on, and what setup.py makes where it cannot compile."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

import redis_trio

ROOT = Path(__file__).parents[2]
PACKAGE = Path(redis_trio.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def imported_packages() -> set[str]:
    """Return the top-level packages, besides Python's own, that the package imports anywhere.

    The plugin of pytest is left out: it is imported by pytest.
    """
    found = set()
    for path in set(PACKAGE.rglob("*.py")) - {PACKAGE / "testing" / "plugin.py"}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"redis_trio"}


@pytest.fixture(scope="module")
def setup_module_() -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module).update(ROOT=PACKAGE.parent, PACKAGE=PACKAGE)  # the installed package
    return module


def test_what_is_imported_is_declared_as_a_dependency_and_nothing_else_is() -> None:
    declared = {text.partition(">")[0].replace("-", "_") for text in PROJECT["dependencies"]}
    assert imported_packages() == declared


def test_every_module_comes_with_its_source_and_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
    for path in PACKAGE.rglob("*.so"):
        assert path.with_name(path.name.partition(".")[0] + ".py").is_file(), path


def test_the_program_is_main() -> None:
    for name, value in PROJECT["scripts"].items():
        assert name == "redis-trio"
        assert callable(EntryPoint(name, value, "console_scripts").load())


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {redis_trio.__version__} " in changelog


class Build:
    """Runs setup.py on a copy of the project."""

    def __init__(self, place: Path) -> None:
        self.place = place / "project"
        self.place.mkdir()
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, self.place / name)
        ignored = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(PACKAGE, self.place / "redis_trio", ignore=ignored)

    def fake_mypyc(self, source: str) -> None:
        """Have `mypyc.build` be something else."""
        folder = self.place / "fake" / "mypyc"
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "build.py").write_text(source, encoding="utf-8")

    def __call__(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("REDIS_TRIO_")}
        clean |= {"PYTHONPATH": str(self.place / "fake"), **env}
        return subprocess.run(
            [sys.executable, "setup.py", *words, "--dist-dir", "out"],
            cwd=self.place,
            env=clean,
            capture_output=True,
            text=True,
            check=False,
        )

    def wheel(self) -> Path:
        """Return the wheel that was made."""
        (path,) = (self.place / "out").glob("*.whl")
        return path


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def test_a_pure_wheel_is_for_every_platform_and_has_every_file(build: Build) -> None:
    done = build("bdist_wheel", REDIS_TRIO_PURE="1")
    assert done.returncode == 0, done.stderr
    assert "WARNING: redis-trio" not in done.stderr
    assert build.wheel().name.endswith("-py3-none-any.whl")
    names = set(zipfile.ZipFile(build.wheel()).namelist())
    sources = {f"redis_trio/{path.relative_to(PACKAGE)}" for path in PACKAGE.rglob("*.py")}
    sources |= {f"redis_trio/{path.relative_to(PACKAGE)}" for path in PACKAGE.rglob("*.lua")}
    assert sources | {"redis_trio/py.typed"} == {n for n in names if n.startswith("redis_trio/")}


def test_without_a_compiler_the_wheel_is_pure_and_a_warning_says_so(build: Build) -> None:
    build.fake_mypyc("raise AssertionError('nothing to translate for')")
    done = build("bdist_wheel", CC="/no/such/compiler")
    assert done.returncode == 0, done.stderr
    assert "installed without its compiled core: no working C compiler" in done.stderr
    assert build.wheel().name.endswith("-py3-none-any.whl")


BAD_C = """
from pathlib import Path
from setuptools import Extension

def mypycify(*args, **kwargs):
    Path("good.c").write_text("int x;")
    Path("bad.c").write_text("#error no")
    return [Extension("redis_trio.clock", ["good.c"]), Extension("redis_trio.feed", ["bad.c"])]
"""


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ImportError('no mypyc')", "mypyc is missing"),
        ("def mypycify(*args, **kwargs): raise SystemExit(1)", "mypyc failed"),
        ("def mypycify(*args, **kwargs): raise KeyError('bug')", "mypyc failed"),
        (BAD_C, "the C compiler failed"),
    ],
    ids=["no mypyc", "a type error", "a bug of mypyc", "C that does not compile"],
)
def test_a_failing_translation_leaves_a_pure_package(
    build: Build, source: str, reason: str
) -> None:
    if shutil.which("cc") is None:
        if os.environ.get("CI"):
            pytest.fail("no C compiler")
        pytest.skip("no C compiler")
    build.fake_mypyc(source)
    done = build("bdist_wheel")
    assert done.returncode == 0, done.stderr
    assert f"installed without its compiled core: {reason}" in done.stderr
    assert not [n for n in zipfile.ZipFile(build.wheel()).namelist() if n.endswith(".so")]


def test_a_core_that_must_be_compiled_and_cannot_be_is_an_error(build: Build) -> None:
    done = build("bdist_wheel", CC="/no/such/compiler", REDIS_TRIO_COMPILE="1")
    assert done.returncode != 0
    assert "cannot compile the core: no working C compiler" in done.stderr


def test_an_editable_install_is_pure_and_removes_what_was_compiled_in_place(build: Build) -> None:
    build.fake_mypyc("raise AssertionError('not asked for')")
    stale = build.place / "redis_trio" / "clock.cpython-311-x86_64-linux-gnu.so"
    stale.touch()
    done = build("editable_wheel")
    assert done.returncode == 0, done.stderr
    assert "WARNING: redis-trio" not in done.stderr
    assert not stale.exists()


def test_the_files_to_compile_exist_and_are_the_core(setup_module_: ModuleType) -> None:
    files = set(setup_module_.compiled_files())
    assert files
    for name in files:
        assert (PACKAGE.parent / name).is_file(), name
    hot = {"transport", "execute", "client", "command", "protocol/request", "protocol/reply"}
    hot |= {"keyspace/database", "data/table", "commands/string"}
    assert {f"redis_trio/{name}.py" for name in hot} <= files
