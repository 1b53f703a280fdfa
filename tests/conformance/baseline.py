"""The tests that pass on a real redis-server, and what of them is missing elsewhere.

`baseline.json` has them by suite and unit; a name occurs as often as the unit has such a test:

    ok          they passed in each run that was recorded
    flaky       they passed in some
    leave_out   they cannot work against a server that the suite has not started
    exceptions  how many blocks outside of tests raise on the real server, too
    seconds     how long the unit took
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypedDict

from tests.conformance.attempt import OK
from tests.conformance.unit import UnitRun

BASELINE: Final = Path(__file__).with_name("baseline.json")
NOT_REACHED: Final = "not reached"


class Entry(TypedDict, total=False):
    """A unit in a baseline."""

    ok: list[str]
    flaky: list[str]
    leave_out: list[str]
    exceptions: int
    seconds: float


class Baseline(TypedDict):
    """A suite in the file."""

    fingerprint: str
    reference: str
    runs: int
    units: dict[str, Entry]


class Tally(NamedTuple):
    """A unit against its baseline.

    Attributes:
      unit: its name.
      passed: how many tests of the baseline passed.
      of: how many tests the baseline has.
      failed: how many tests, of the baseline or not, failed.
      exceptions: how many things outside of tests went wrong that do not with the real server.
      missing: the tests of the baseline that did not pass, with what happened instead.
    """

    unit: str
    passed: int
    of: int
    failed: int
    exceptions: int
    missing: list[tuple[str, str]]


def load(path: Path) -> dict[str, Baseline]:
    """Return the baselines of a file by the version of their suite."""
    suites: dict[str, Baseline] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return suites


def choose(suites: dict[str, Baseline], version: str, fingerprint: str) -> str | None:
    """Return whose baseline fits a suite: that of the same tests, or else of the same version."""
    for name, baseline in suites.items():
        if baseline["fingerprint"] == fingerprint:
            return name
    return version if version in suites else None


def compare(run: UnitRun, entry: Entry) -> Tally:
    """Compare what became of a unit with its baseline."""
    expected = Counter(entry.get("ok", ()))
    passed = Counter(result.name for result in run.results if result.status == OK)
    why = {
        result.name: f"{result.status}: {result.reason}"
        for result in reversed(run.results)
        if result.status != OK
    }
    missing = [(name, why.get(name, NOT_REACHED)) for name in (expected - passed).elements()]
    return Tally(
        run.unit,
        (expected & passed).total(),
        expected.total(),
        len(run.results) - passed.total(),
        max(0, len(run.outside) - entry.get("exceptions", 0)),
        missing,
    )


def record(runs: Sequence[UnitRun], left_out: Sequence[str]) -> Entry:
    """Make the baseline of a unit from its runs on a real server."""
    passed = [Counter(test.name for test in run.results if test.status == OK) for run in runs]
    always, ever = passed[0].copy(), passed[0].copy()
    for counts in passed[1:]:
        always &= counts
        ever |= counts
    entry: Entry = {"ok": list(always.elements()), "seconds": runs[0].seconds}
    if flaky := sorted((ever - always).elements()):
        entry["flaky"] = flaky
    if left_out:
        entry["leave_out"] = list(left_out)
    if exceptions := max(len(run.outside) for run in runs):
        entry["exceptions"] = exceptions
    return entry


def save(path: Path, suites: dict[str, Baseline]) -> None:
    """Write the file, one line for each name."""
    path.write_text(json.dumps(suites, indent=1, ensure_ascii=False) + "\n", "utf-8")
