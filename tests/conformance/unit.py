"""A unit file to its end: started again behind a test that hung or killed the server.

That test counts as failed and is left out of the next run, so the tests behind it are reached. The
first result of a test is the one that counts.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import trio

from tests.conformance.attempt import Attempt, Result, Settings, run_attempt
from tests.conformance.suite import Suite


class UnitRun:
    """What became of a unit.

    Attributes:
      unit: its name.
      results: its tests in order, each once for each time it is defined.
      outside: what went wrong outside of tests: blocks that raised, ends before the end.
      seconds: how long it took.
    """

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.results: list[Result] = []
        self.outside: list[str] = []
        self.seconds = 0.0
        self._seen: set[tuple[str, int]] = set()

    def add(self, attempt: Attempt) -> None:
        """Take what an attempt has found, but no test for the second time."""
        counts: Counter[str] = Counter()
        for result in attempt.results:
            key = (result.name, counts[result.name])
            counts[result.name] += 1
            if key not in self._seen:
                self._seen.add(key)
                self.results.append(result)
        self.outside += [text for text in attempt.outside if text not in self.outside]
        if attempt.ended is not None:
            where = f" in: {attempt.culprit}" if attempt.culprit else ""
            self.outside.append(attempt.ended + where)


async def run_unit(
    suite: Suite, unit: str, settings: Settings, left_out: Sequence[str] = ()
) -> UnitRun:
    """Run a unit, without the tests `left_out`."""
    run = UnitRun(unit)
    start = trio.current_time()
    end = start + settings.unit_s
    skipped = list(left_out)
    with tempfile.TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True) as folder:
        for number in range(settings.resume + 1):
            place = Path(folder, str(number))
            attempt = await run_attempt(suite, unit, settings, skipped, place, end)
            run.add(attempt)
            culprit = attempt.culprit
            if culprit is None or culprit in skipped or trio.current_time() >= end:
                break
            skipped.append(culprit)
    run.seconds = round(trio.current_time() - start, 1)
    return run
