"""The reasons for what is missing, and the tables of the documentation.

`reasons.json` has, by unit, the tests of the baseline that are known not to pass, each with the
reason. A run names the tests that lack one, and the reasons that are not needed any more.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from tests.conformance.baseline import Tally

REASONS: Final = Path(__file__).with_name("reasons.json")
BY_UNIT: Final = "conformance.csv"
MISSING: Final = "conformance_missing.csv"

Reasons: TypeAlias = dict[str, dict[str, str]]


def load_reasons(path: Path) -> Reasons:
    """Return the reasons of a file, by unit and test."""
    reasons: Reasons = json.loads(path.read_text("utf-8"))
    return reasons


def without_reason(tallies: Sequence[Tally], reasons: Reasons) -> list[tuple[str, str, str]]:
    """Return unit, test and what happened, of each missing test that has no reason."""
    return [
        (tally.unit, name, what)
        for tally in tallies
        for name, what in tally.missing
        if name not in reasons.get(tally.unit, {})
    ]


def not_needed(tallies: Sequence[Tally], reasons: Reasons) -> list[tuple[str, str]]:
    """Return unit and test of each reason for a test that passes, in the units that were run."""
    found = []
    for tally in tallies:
        missing = {name for name, _ in tally.missing}
        found += [(tally.unit, name) for name in reasons.get(tally.unit, {}) if name not in missing]
    return found


def score(tallies: Sequence[Tally]) -> float:
    """Return the percentage of the baselines' tests that passed; 100 if there are none."""
    of = sum(tally.of for tally in tallies)
    return 100.0 * sum(tally.passed for tally in tallies) / of if of else 100.0


def _write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_tables(folder: Path, tallies: Sequence[Tally], reasons: Reasons) -> None:
    """Write what passed by unit, and what is missing with the reasons, as CSV files."""
    tallies = sorted(tallies, key=lambda tally: (tally.unit.lstrip("+"), tally.unit))
    rows = [(t.unit, t.passed, t.of, t.of - t.passed) for t in tallies]
    passed, of = sum(t.passed for t in tallies), sum(t.of for t in tallies)
    total = (f"all: {score(tallies):.2f} %", passed, of, of - passed)
    _write(folder / BY_UNIT, [("unit", "passed", "of", "missing"), *rows, total])
    lines = [
        (tally.unit, name, reasons.get(tally.unit, {}).get(name, "not known yet"))
        for tally in tallies
        for name, _ in tally.missing
    ]
    _write(folder / MISSING, [("unit", "test", "reason"), *(lines or [("none", "", "")])])
