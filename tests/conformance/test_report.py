"""The baseline, the reasons for what is missing, the tables and the choice of units."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.conformance import baseline, report
from tests.conformance.attempt import FAILED, OK, Result
from tests.conformance.baseline import Baseline, Entry, Tally
from tests.conformance.runner import choose_units, main, matches, parse, summarize
from tests.conformance.suite import SuiteError
from tests.conformance.unit import UnitRun


def unit_run(**statuses: str) -> UnitRun:
    run = UnitRun("unit/x")
    run.results = [
        Result(name, status, "" if status == OK else "why") for name, status in statuses.items()
    ]
    return run


def test_missing_is_what_failed_and_what_was_not_reached() -> None:
    run = unit_run(a=OK, b=FAILED, new=FAILED)
    run.outside = ["known", "another"]
    tally = baseline.compare(run, {"ok": ["a", "b", "c"], "exceptions": 1})
    assert tally == Tally("unit/x", 1, 3, 2, 1, [("b", "err: why"), ("c", "not reached")])


def test_a_test_that_occurs_twice_has_to_pass_twice() -> None:
    run = unit_run(a=OK)
    assert baseline.compare(run, {"ok": ["a", "a"]}).missing == [("a", "not reached")]


def test_the_baseline_has_what_always_passes() -> None:
    runs = [unit_run(a=OK, b=OK, c=FAILED), unit_run(a=OK, b=FAILED, c=FAILED)]
    entry = baseline.record(runs, ["d"])
    assert entry == {"ok": ["a"], "seconds": 0.0, "flaky": ["b"], "leave_out": ["d"]}


def test_the_baseline_of_the_same_tests_is_better_than_that_of_the_same_version() -> None:
    def suite(fingerprint: str) -> Baseline:
        return {"fingerprint": fingerprint, "reference": "a server", "runs": 1, "units": {}}

    suites = {"redis-7.4.1": suite("one"), "redis-8": suite("two")}
    assert baseline.choose(suites, "redis-7.4.1", "two") == "redis-8"
    assert baseline.choose(suites, "redis-7.4.1", "three") == "redis-7.4.1"
    assert baseline.choose(suites, "valkey-8", "three") is None


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    assert baseline.load(path) == {}
    suites = baseline.load(baseline.BASELINE)
    baseline.save(path, suites)
    assert baseline.load(path) == suites
    assert path.read_bytes() == baseline.BASELINE.read_bytes()


def test_each_reason_is_for_a_test_of_the_baseline() -> None:
    known = {
        (unit, name)
        for suite in baseline.load(baseline.BASELINE).values()
        for unit, entry in suite["units"].items()
        for name in entry.get("ok", ())
    }
    reasons = report.load_reasons(report.REASONS)
    named = {(unit, name) for unit, tests in reasons.items() for name in tests}
    assert named - known == set()


TALLIES = [
    Tally("+unit/b", 1, 2, 1, 0, [("slow", "err: why")]),
    Tally("unit/a", 2, 4, 1, 0, [("bad", "err: no"), ("lost", "not reached")]),
]
REASONS = {"+unit/b": {"slow": "No forks."}, "unit/a": {"bad": "On purpose.", "good": "Old."}}


def test_what_lacks_a_reason_and_what_needs_none_any_more() -> None:
    assert report.without_reason(TALLIES, REASONS) == [("unit/a", "lost", "not reached")]
    assert report.not_needed(TALLIES, REASONS) == [("unit/a", "good")]
    assert report.not_needed(TALLIES[:1], REASONS) == []  # the unit has not been run


def test_the_run_is_good_when_all_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert not summarize(TALLIES, REASONS)
    text = capsys.readouterr().out
    assert "missing without a reason: unit/a: lost: not reached" in text
    assert "has a reason, but passes: unit/a: good" in text
    assert "3 of 6 passed: 50.00 %" in text
    assert summarize(TALLIES[:1], REASONS)
    assert not summarize([Tally("unit/c", 1, 1, 0, 1, [])], REASONS)  # a block outside of tests


def test_the_tables_are_sorted_and_have_a_sum(tmp_path: Path) -> None:
    report.write_tables(tmp_path, TALLIES, REASONS)
    assert (tmp_path / report.BY_UNIT).read_text().splitlines() == [
        "unit,passed,of,missing",
        "unit/a,2,4,2",
        "+unit/b,1,2,1",
        "all: 50.00 %,3,6,3",
    ]
    assert (tmp_path / report.MISSING).read_text().splitlines() == [
        "unit,test,reason",
        "unit/a,bad,On purpose.",
        "unit/a,lost,not known yet",
        "+unit/b,slow,No forks.",
    ]
    report.write_tables(tmp_path, [], {})
    assert (tmp_path / report.MISSING).read_text() == "unit,test,reason\nnone,,\n"


FIGURES = Path(__file__).parents[2] / "docs" / "figures"
ENTRIES: dict[str, Entry] = {
    name: {"ok": ["a"]} for name in ("unit/auth", "unit/type/list", "+unit/acl")
}
EVERY = [*ENTRIES, "unit/acl", "unit/pause", "integration/redis-cli"]


@pytest.mark.parametrize(
    ("unit", "pattern", "selected"),
    [
        ("unit/type/list", "list", True),
        ("unit/type/list-2", "list*", True),
        ("unit/type/list-2", "list", False),
        ("+unit/acl", "acl", True),
        ("+unit/acl", "+acl", True),
        ("unit/acl", "+acl", False),
        ("integration/redis-cli", "redis-cli", False),
        ("integration/redis-cli", "integration/redis-cli", True),
    ],
)
def test_a_pattern_names_units_without_their_folder(
    unit: str, pattern: str, selected: bool
) -> None:
    assert matches(unit, [pattern]) == selected


def test_units_are_those_that_the_baseline_has_tests_of() -> None:
    assert choose_units(EVERY, "", ENTRIES) == list(ENTRIES)
    assert choose_units(EVERY, "acl,list", ENTRIES) == ["unit/type/list", "+unit/acl"]
    assert choose_units(EVERY, "acl", {}) == ["+unit/acl", "unit/acl"]
    with pytest.raises(SuiteError, match="no unit is called nosuch"):
        choose_units(EVERY, "nosuch", ENTRIES)


def test_tables_are_of_whole_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--suite", "x", "--units", "acl", "--write", "y"])
    assert "--write is for runs of all units" in capsys.readouterr().err


def test_without_a_suite_the_status_is_2(tmp_path: Path) -> None:
    assert main(["--suite", str(tmp_path)]) == 2


def test_the_tables_of_the_documentation_have_these_reasons() -> None:
    with (FIGURES / report.MISSING).open(encoding="utf-8", newline="") as file:
        rows = [row for row in list(csv.reader(file))[1:] if row[0] != "none"]
    reasons = report.load_reasons(report.REASONS)
    shown = {(unit, name): reason for unit, name, reason in rows}
    kept = {(unit, name): text for unit, tests in reasons.items() for name, text in tests.items()}
    assert {key: kept.get(key, "not known yet") for key in shown} == shown
    with (FIGURES / report.BY_UNIT).open(encoding="utf-8", newline="") as file:
        *_, total = csv.reader(file)
    assert int(total[3]) == len(rows)
