"""BullMQ (npm): queues that are Lua scripts almost entirely."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.ecosystem.conftest import WORKER_S, need
from tests.processes import ServerProcess

PROGRAM = Path(__file__).with_name("bullmq_jobs.mjs")


def test_jobs_of_every_kind_go_through_a_worker(server: ServerProcess, node_modules: Path) -> None:
    """Plain ones, with a priority, a delay, attempts, the same id, children, a schedule."""
    done = subprocess.run(
        [need("node"), str(PROGRAM), str(server.port), str(node_modules)],
        check=False,
        capture_output=True,
        text=True,
        timeout=WORKER_S,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert {name: results[name] for name in ("plain1", "plain2", "plain3", "urgent")} == {
        "plain1": 2, "plain2": 4, "plain3": 6, "urgent": 8,
    }  # fmt: skip
    assert results["later"] == [10, True]
    assert (results["fails"], results["attempts"]) == (12, 3)
    assert results["dead"] == "never"
    assert results["twice"] == 16
    assert results["parent"] == [20, 22]
    assert results["progress"] == 50
    assert results["logs"] == ["half-way"]
    counts = {"completed": 10, "failed": 1, "waiting": 0, "active": 0, "delayed": 0}
    assert results["counts"] == counts
    assert results["paused"] == {"paused": 0}  # they wait where the others do
    assert set(results["left"].values()) == {0}
