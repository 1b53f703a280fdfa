"""Writes with an append-only file, beside redis-server.

    python benchmarks/aof.py [--rounds N] [--requests N] [--connections N] [--pipelines 1,16]

redis-benchmark sends SET to each server in turn, without an append-only file and with each value of
`appendfsync`, round after round. The figures are medians of requests per second, in thousands, and
the ratio to redis-server. With `always` it is the disk that counts: what else uses it does, too.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from contextlib import ExitStack

from compare import HOST, REFERENCE, Target, line

POLICIES = ("off", "no", "everysec", "always")
SLOW = 10  # times fewer requests with `always`


def run_once(target: Target, options: argparse.Namespace, depth: int, policy: str) -> float:
    """Return the requests per second of one run."""
    requests = options.requests // (SLOW if policy == "always" else 1)
    argv = ["redis-benchmark", "-h", HOST, "-p", str(target.port), "-t", "set", "-d", "64"]
    argv += ["-c", str(options.connections), "-n", str(requests), "-P", str(depth)]
    argv += ["-r", "100000", "--csv"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1].split('","')[1])


def measure(options: argparse.Namespace, depth: int, policy: str) -> None:
    """Compare both servers, and show what comes of it."""
    extra = ["--appendonly", "no" if policy == "off" else "yes"]
    extra += ["--appendfsync", "no" if policy == "off" else policy]
    targets = [
        Target("redis-trio", [sys.executable, "-m", "redis_trio", *extra]),
        Target(REFERENCE, [REFERENCE, *extra]),
    ]
    rates: dict[str, list[float]] = {target.name: [] for target in targets}
    with ExitStack() as stack:
        for target in targets:
            stack.enter_context(target.running())
        for _ in range(options.rounds):
            for target in targets:
                rates[target.name].append(run_once(target, options, depth, policy))
    ours, theirs = (statistics.median(rates[target.name]) for target in targets)
    cells = [str(depth), policy, f"{ours / 1000:.1f}", f"{theirs / 1000:.1f}"]
    print(line([*cells, f"{ours / theirs:.2f}"]), flush=True)


def main() -> None:
    """Measure every policy."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--pipelines", default="1,16")
    options = parser.parse_args()
    print(line(["pipeline", "appendfsync", "redis-trio", REFERENCE, "ratio"]))
    for depth in options.pipelines.split(","):
        for policy in POLICIES:
            measure(options, int(depth), policy)


if __name__ == "__main__":
    main()
