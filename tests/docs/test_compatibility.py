"""The table of what is missing, on the page about compatibility, is complete and not outdated."""

from __future__ import annotations

import json
import re
from pathlib import Path

import redis_trio.commands  # noqa: F401  (declares every command)
from redis_trio.command import DECLARATIONS

ROOT = Path(__file__).parents[2]
REFERENCE: dict[str, dict[str, object]] = json.loads(
    (ROOT / "tests" / "layout" / "reference.json").read_text(encoding="utf-8")
)
PAGE = (ROOT / "docs" / "explanation" / "compatibility.rst").read_text(encoding="utf-8")
TABLE = PAGE.partition("Group  ")[2].partition("\n- ")[0]
NAMED = set(re.findall(r"[A-Z][A-Z_-]{2,}", TABLE)) - {"CLIENT"}
WHOLE_GROUPS = {"sentinel"}
"""Those of which the table says that all is missing."""


def test_every_command_that_is_missing_is_named_or_its_group_is() -> None:
    missing = {name for name in REFERENCE if " " not in name and name not in DECLARATIONS}
    unnamed = {
        name
        for name in missing - NAMED
        if str(REFERENCE[name]["group"]).replace("_", "-") not in WHOLE_GROUPS
    }
    assert sorted(unnamed) == []


def test_every_subcommand_that_is_missing_is_named() -> None:
    missing = {name for name in REFERENCE if name not in DECLARATIONS}
    of_some = {
        name.split()[1] for name in missing if " " in name and name.split()[0] in DECLARATIONS
    }
    assert sorted(of_some - NAMED) == []


def test_nothing_is_called_missing_that_is_there() -> None:
    there = {name for name in DECLARATIONS if " " not in name}
    there |= {name.split()[1] for name in DECLARATIONS if name.startswith("CLIENT ")}
    assert sorted(NAMED & there) == ["DEBUG", "SCRIPT"]  # SCRIPT DEBUG is missing
    groups = {declaration.group.replace("_", "-") for declaration in DECLARATIONS.values()}
    assert sorted(groups & WHOLE_GROUPS) == []
