"""The house has floors: a lower one never imports a higher one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import redis_trio

PACKAGE = Path(redis_trio.__file__).parent

# The first folder or file of a module decides where it belongs; what is in no list is a room.
GROUND = {"protocol", "data", "lua", "clock", "syntax", "version"}
CORE = {
    *("args", "blocking", "client", "command", "errors", "execute", "feed", "help"),
    *("keys", "state", "transactions"),
}
SHELL = {
    *("__init__", "__main__", "cli", "connection", "hub", "jobs", "keeper", "listeners"),
    *("process", "server", "testing", "tls_transport", "transport"),
}
TRIO = SHELL | {"blocking", "migration", "outgoing", "persistence", "replication", "timers"}
EXCEPTIONS = {
    ("config.reader", "commands"),  # `rename-command` is checked against the names of all commands
}

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(node: ast.AST) -> Iterator[str]:
    """Yield the modules that are imported anywhere, but not those for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative imports hide where a module belongs"
            assert child.module is not None
            names = [f"{child.module}.{alias.name}" for alias in child.names]
            yield from names if child.module == "redis_trio" else [child.module]
        yield from imports(child)


def floor(module: str) -> str:
    """Return the first folder or file of a module's path."""
    return module.partition(".")[0]


def may_import(importer: str, imported: str) -> bool:
    """Whether the rules allow one module of the package to import another."""
    home, other = floor(importer), floor(imported)
    if home in SHELL or (importer, other) in EXCEPTIONS:
        return True
    if home in GROUND:
        return other in GROUND
    if home == "keyspace":
        return other == "keyspace" or other in GROUND
    if home == "commands":
        return other not in SHELL
    return other not in SHELL and other != "commands"  # the core and the rooms


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_floor_may(module: str) -> None:
    found = set(imports(ast.parse(MODULES[module].read_text())))
    own = {name.removeprefix("redis_trio.") for name in found if name.startswith("redis_trio.")}
    assert [name for name in sorted(own) if not may_import(module, name)] == []
    if floor(module) not in TRIO:
        assert {name for name in found if floor(name) == "trio"} == set()


def test_the_rules_notice_what_they_forbid() -> None:
    assert not may_import("data.glob", "keyspace.database")
    assert not may_import("keyspace.database", "client")
    assert not may_import("commands.string", "transport")
    assert not may_import("execute", "commands.string")
    assert not may_import("info", "server")
    assert may_import("server", "commands")
    assert may_import("commands.server", "info")
    tree = ast.parse(
        "if TYPE_CHECKING:\n    import a\ndef f():\n    import b\nfrom redis_trio import c"
    )
    assert set(imports(tree)) == {"b", "redis_trio.c"}


def test_the_lists_name_what_exists() -> None:
    homes = {floor(module) for module in MODULES}
    assert CORE - homes == set()
    assert SHELL - homes == set()
    assert {module for module, _ in EXCEPTIONS} - set(MODULES) == set()
