"""Every declared command is what it is in Redis 7.4, describes itself, and is tested.

`reference.json` holds the facts: a line a command, flags and categories by name, key specs as in
`KeySpec`, and the tree of arguments with only what is not empty.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import redis_trio.commands  # noqa: F401  (declares every command)
from redis_trio.command import DECLARATIONS, FLAG_NAMES, Declaration
from redis_trio.syntax import Argument, parse_syntax

TESTS = Path(__file__).parents[1]
REFERENCE: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("reference.json").read_text()
)


def facts(declaration: Declaration) -> dict[str, Any]:
    """Return a declaration in the form of reference.json."""
    found: dict[str, Any] = {
        "arity": declaration.arity,
        "group": declaration.group,
        "since": declaration.since,
        "flags": sorted(
            name.upper() for name, bit in FLAG_NAMES.items() if declaration.flags & bit
        ),
        "acl": sorted(declaration.acl),
        "tips": list(declaration.tips),
        "doc_flags": list(declaration.doc_flags),
        "deprecated_since": declaration.deprecated_since,
        "replaced_by": declaration.replaced_by,
        "keys": [
            {"flags": list(spec.flags), "begin": list(spec.begin), "find": list(spec.find)}
            for spec in declaration.keys
        ],
        "arguments": [argument_facts(item) for item in parse_syntax(declaration.syntax)],
    }
    return {name: value for name, value in found.items() if value or name == "flags"}


def argument_facts(argument: Argument) -> dict[str, Any]:
    """Return an argument in the form of reference.json."""
    found: dict[str, Any] = {
        "name": argument.name,
        "type": argument.type,
        "token": argument.token,
        "optional": argument.optional,
        "multiple": argument.multiple,
        "multiple_token": argument.multiple_token,
        "since": argument.since,
        "deprecated_since": argument.deprecated_since,
        "arguments": [argument_facts(item) for item in argument.arguments],
    }
    if argument.display_text != argument.name:
        found["display_text"] = argument.display_text
    shown = {name: value for name, value in found.items() if value}
    if argument.key_spec_index >= 0:
        shown["key_spec_index"] = argument.key_spec_index
    return shown


OWN = {"UNDO"}
"""Commands that Redis does not have."""
WITHOUT_COMPLEXITY = {"LOLWUT", "MONITOR", "XREAD"}
"""Commands for which Redis does not tell one either."""


def test_the_commands_of_our_own_are_known() -> None:
    assert DECLARATIONS.keys() - REFERENCE.keys() == OWN


@pytest.mark.parametrize("name", sorted(DECLARATIONS.keys() - OWN))
def test_a_command_is_declared_as_in_redis(name: str) -> None:
    assert facts(DECLARATIONS[name]) == REFERENCE[name]


@pytest.mark.parametrize("name", sorted(DECLARATIONS))
def test_a_command_describes_itself(name: str) -> None:
    declaration = DECLARATIONS[name]
    assert len(declaration.summary) > 10
    assert declaration.summary[0].isupper()
    assert declaration.summary.endswith(".")
    assert declaration.complexity or name in WITHOUT_COMPLEXITY


def test_a_container_is_declared_with_its_subcommands() -> None:
    containers = {name.partition(" ")[0] for name in DECLARATIONS if " " in name}
    handlerless = {name for name, item in DECLARATIONS.items() if item.handler is None}
    assert containers - set(DECLARATIONS) == set()
    assert handlerless - containers == set()
    assert [name for name in sorted(containers) if f"{name} HELP" not in DECLARATIONS] == []


@cache
def _all_tests() -> str:
    files = [path for path in TESTS.rglob("*.py") if path.parent != Path(__file__).parent]
    return "\n".join(path.read_text() for path in sorted(files))


def is_called(name: str, text: str) -> bool:
    r"""Whether a test calls a command: it stands at the beginning of a string, or of a line in one.

    `"CONFIG GET x"`, `"config", "get"`, `"SET a 1\r\nGET a\r\n"`
    """
    words = r"(?:\s+|[\"'], b?[\"'])".join(re.escape(word) for word in name.split())
    return re.search(rf"(?i)(?:[\"'\n]|\\n)[ ]*{words}(?![\w-])", text) is not None


def test_every_command_has_a_test() -> None:
    """Commands that only have sub-commands, and HELP, are covered by what is derived from them."""
    called = {
        name
        for name, item in DECLARATIONS.items()
        if item.handler is not None and not name.endswith(" HELP")
    }
    assert [name for name in sorted(called) if not is_called(name, _all_tests())] == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("GET", 'run("GET k")', True),
        ("GET", 'run("get", b"k")', True),
        ("GET", 'wire(b"SET k 1\\r\\nGET k\\r\\n")', True),
        ("CONFIG GET", 'run("CONFIG", "GET", "save")', True),
        ("CONFIG GET", 'run("CONFIG GET save")', True),
        ("GET", 'run("GETDEL k")', False),
        ("GET", 'run("SET k v GET")', False),
        ("GET", 'run("CONFIG GET x")', False),
    ],
)
def test_a_call_is_told_from_a_mention(name: str, text: str, expected: bool) -> None:
    assert is_called(name, text) is expected
