"""The reference page tells the parameters that have an effect from those that have none yet."""

from __future__ import annotations

import re
import runpy
from functools import cache
from pathlib import Path

import redis_trio
from redis_trio.config import Config

PACKAGE = Path(redis_trio.__file__).parent
TABLE = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "_ext" / "without_effect.py"))
LISTED = {name for names in TABLE["WITHOUT_EFFECT"].values() for name in names.split()}


@cache
def _source() -> str:
    """Return all source that could read a parameter: not the one that declares them."""
    paths = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "config"]
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(paths))


def is_used(name: str) -> bool:
    """Whether a parameter is read as an attribute, or somebody listens to its changes."""
    attribute = re.escape(name.replace("-", "_"))
    found = re.search(rf'config\.{attribute}\b|subscribe\([^)]*"{re.escape(name)}"', _source())
    return found is not None


def test_every_parameter_that_nothing_reads_is_listed_as_without_effect() -> None:
    unread = {
        name
        for name, parameter in Config.parameters.items()
        if name == parameter.name
        and not parameter.ignored
        and not parameter.unsupported
        and not is_used(name)
    }
    assert sorted(unread - LISTED) == []


def test_what_is_listed_as_without_effect_is_read_by_nothing_but_figures() -> None:
    assert sorted(name for name in LISTED if is_used(name)) == sorted(TABLE["SHOWN_ONLY"])


def test_what_is_listed_exists() -> None:
    assert sorted(LISTED - set(Config.parameters)) == []
