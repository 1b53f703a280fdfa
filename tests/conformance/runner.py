"""The command line: `python -m tests.conformance --suite PATH`.

Exit status: 0 if each missing test has a reason and nothing went wrong outside of tests, 1 if not,
2 if the suite cannot run.
"""

from __future__ import annotations

import argparse
import fnmatch
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio

from tests.conformance import baseline as baselines
from tests.conformance import report
from tests.conformance.attempt import OK, Settings
from tests.conformance.baseline import Baseline, Entry, Tally
from tests.conformance.suite import Suite, SuiteError, find_tclsh
from tests.conformance.unit import UnitRun, run_unit

OURS: Final = f"{sys.executable} -m redis_trio"
OPTIONS: Final = (
    "--port {port} --dir {dir} --enable-debug-command yes --enable-protected-configs yes"
)
ROW: Final = "{:32} {:>5} {:>5} {:>6} {:>4} {:>7}  {}"
REASON: Final = 200  # characters of it that are shown


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance",
        description="Run the Tcl tests of Redis or Valkey, each unit against a fresh server.",
    )
    add = parser.add_argument
    add("--suite", required=True, type=Path, help="a checkout of Redis's or Valkey's source")
    add("--server", default=OURS, help="the program to be tested (default: this project's)")
    add("--units", default="", help="names or patterns, with commas; unit/ and unit/type/ may be "
        "left out (default: all that the baseline has)")  # fmt: skip
    add("--only", action="append", default=[], metavar="TEST", help="a test's name, or /pattern")
    add("--jobs", type=int, default=1, help="units at the same time")
    add("--unit-timeout", type=float, default=600, metavar="S")
    add("--stall", type=float, default=120, metavar="S", help="for a test without progress")
    add("--failures", type=int, default=20, metavar="N", help="shown of each unit")
    add("--write", type=Path, metavar="FOLDER", help="leave the tables of all units there")
    add("--baseline", type=Path, default=baselines.BASELINE, metavar="FILE")
    add("--reasons", type=Path, default=report.REASONS, metavar="FILE")
    add("--record", metavar="NAME", help="write this server, called NAME, to the baseline file")
    add("--repeat", type=int, default=3, help="how often, with --record")
    options = parser.parse_args(argv)
    if options.write and (options.units or options.only):
        parser.error("--write is for runs of all units")
    return options


def matches(unit: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern selects a unit; the + of a name may be left out, other folders may not."""
    name = unit.lstrip("+")
    starts = ("", "unit/", "unit/type/")
    return any(
        fnmatch.fnmatch(name, start + pattern.lstrip("+"))
        for pattern in patterns
        for start in starts
        if not pattern.startswith("+") or unit.startswith("+")
    )


def choose_units(every: Sequence[str], wanted: str, entries: dict[str, Entry]) -> list[str]:
    """Return the units to be run: those wanted, or all, as far as the baseline has any.

    Raises:
      SuiteError: there is no such unit.
    """
    patterns = [word for word in wanted.split(",") if word]
    for pattern in patterns:
        if not any(matches(unit, [pattern]) for unit in every):
            raise SuiteError(f"no unit is called {pattern}")
    chosen = [unit for unit in every if matches(unit, patterns or ["unit/*"])]
    return [unit for unit in chosen if entries.get(unit, {}).get("ok")] if entries else chosen


def show(run: UnitRun, tally: Tally, failures: int) -> None:
    """Print what became of a unit."""
    note = run.outside[-1][:100] if tally.exceptions else ""
    figures = (tally.passed, tally.of, tally.failed, tally.exceptions, f"{run.seconds:.1f}")
    print(ROW.format(tally.unit, *figures, note), flush=True)
    bad = [result for result in run.results if result.status != OK]
    for name, status, reason in bad[:failures]:
        print(f"    [{status}] {name}: {reason[:REASON]}", flush=True)


async def run_units(
    suite: Suite, units: Sequence[str], options: argparse.Namespace, entries: dict[str, Entry]
) -> dict[str, UnitRun]:
    """Run units, `options.jobs` at a time, the longest first; return what became of each."""
    server = options.server if "{port}" in options.server else f"{options.server} {OPTIONS}"
    settings = Settings(server, options.unit_timeout, options.stall, only=tuple(options.only))
    limit = trio.CapacityLimiter(options.jobs)
    runs: dict[str, UnitRun] = {}

    async def run_one(unit: str) -> None:
        entry = entries.get(unit, {})
        async with limit:
            runs[unit] = await run_unit(suite, unit, settings, entry.get("leave_out", []))
        show(runs[unit], baselines.compare(runs[unit], entry), options.failures)

    if options.jobs > 1:
        units = sorted(units, key=lambda unit: -entries.get(unit, {}).get("seconds", 0))
    print(ROW.format("unit", "pass", "of", "failed", "exc", "seconds", ""))
    async with trio.open_nursery() as nursery:
        for unit in units:
            nursery.start_soon(run_one, unit)
            await trio.lowlevel.checkpoint()  # in their order
    return runs


async def interruptible(
    suite: Suite, units: Sequence[str], options: argparse.Namespace, entries: dict[str, Entry]
) -> dict[str, UnitRun] | None:
    """Run units as `run_units`; None if a signal ends them first, with all they have started."""
    runs: dict[str, UnitRun] | None = None
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with trio.open_signal_receiver(*numbers) as signals:
        async with trio.open_nursery() as nursery:

            async def wait_for_signal() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(wait_for_signal)
            runs = await run_units(suite, units, options, entries)
            nursery.cancel_scope.cancel()
    return runs


def summarize(tallies: Sequence[Tally], reasons: report.Reasons) -> bool:
    """Print what is missing without a reason, and the sums; return whether all is explained."""
    unexplained = report.without_reason(tallies, reasons)
    for unit, name, what in unexplained:
        print(f"missing without a reason: {unit}: {name}: {what[:REASON]}")
    for unit, name in report.not_needed(tallies, reasons):
        print(f"has a reason, but passes: {unit}: {name}")
    passed, of = sum(tally.passed for tally in tallies), sum(tally.of for tally in tallies)
    exceptions = sum(tally.exceptions for tally in tallies)
    print(f"{passed} of {of} passed: {report.score(tallies):.2f} %; exceptions: {exceptions}")
    return not unexplained and not exceptions


def record(options: argparse.Namespace, suite: Suite, runs: Sequence[dict[str, UnitRun]]) -> None:
    """Write what passed to the baseline file, in place of what it has of these units."""
    suites = baselines.load(options.baseline)
    version = suite.version()
    old = suites[version]["units"] if version in suites else {}
    fresh = {
        unit: baselines.record([run[unit] for run in runs], old.get(unit, {}).get("leave_out", []))
        for unit in runs[0]
    }
    entry: Baseline = {
        "fingerprint": suite.fingerprint(),
        "reference": options.record,
        "runs": len(runs),
        "units": dict(sorted({**old, **fresh}.items())),
    }
    baselines.save(options.baseline, {**suites, version: entry})


def main(argv: Sequence[str]) -> int:
    """Run it; return the exit status."""
    options = parse(argv)
    try:
        suite = Suite(options.suite, find_tclsh())
        suites = baselines.load(options.baseline)
        name = baselines.choose(suites, suite.version(), suite.fingerprint())
        entries = suites[name]["units"] if name else {}
        whose = suites[name]["reference"] if name else "none"
        print(f"suite {suite.version()}, baseline {whose}")
        units = choose_units(suite.units(), options.units, {} if options.record else entries)
    except SuiteError as exc:
        print(exc, file=sys.stderr)
        return 2
    every: list[dict[str, UnitRun]] = []
    for _ in range(options.repeat if options.record else 1):
        done = trio.run(interruptible, suite, units, options, entries)
        if done is None:
            return 2
        every.append(done)
    if options.record:
        record(options, suite, every)
        return 0
    tallies = [baselines.compare(every[0][unit], entries.get(unit, {})) for unit in units]
    reasons = report.load_reasons(options.reasons)
    if options.write:
        report.write_tables(options.write, tallies, reasons)
    return 0 if summarize(tallies, reasons) else 1
