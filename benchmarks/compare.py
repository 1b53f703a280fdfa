"""This server beside redis-server: requests per second and server CPU per request, as ratios.

    python benchmarks/compare.py [--rounds N] [--seconds S] [--connections 1,50,1000]
        [--pipelines 1,16] [--tests ping,set,...] [--pure PYTHON] [--memory] [--write FOLDER]

Every workload is run by redis-benchmark on each server in turn, round after round, and the medians
are compared: a shared machine is noisy, ratios of one run are not. CPU is the time that all
threads of the server were on a CPU (/proc/PID/task/*/schedstat), divided by the requests.
--write leaves the tables as throughput.csv and memory.csv, which docs/performance.rst shows.
`redis-trio` is run by the Python that runs this file; --pure names one where it is not compiled.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
REFERENCE = "redis-server"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


@dataclass
class Target:
    """A server under test."""

    name: str
    argv: list[str]
    port: int = 0
    pid: int = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have it run for the time of the block."""
        self.port = free_port()
        with tempfile.TemporaryDirectory() as directory:
            argv = [*self.argv, "--port", str(self.port), "--save", "", "--dir", directory]
            process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, cwd=directory)
            self.pid = process.pid
            try:
                self._wait()
                yield
            finally:
                process.terminate()
                process.wait(30)

    def _wait(self) -> None:
        for _ in range(200):
            try:
                socket.create_connection((HOST, self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.name} did not start")

    def cpu_ns(self) -> int:
        """Return how long its threads have been on a CPU."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def rss_bytes(self) -> int:
        """Return its resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def command(self, *words: str) -> str:
        """Run one command by redis-cli."""
        argv = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@dataclass(frozen=True)
class Workload:
    """One run of redis-benchmark."""

    test: str
    connections: int
    pipeline: int


@dataclass
class Figures:
    """What one server did in one workload, a value for each round."""

    rps: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def medians(self) -> tuple[float, float]:
        """Return the median requests per second and CPU microseconds per request."""
        return statistics.median(self.rps), statistics.median(self.cpu_us)


def run_once(target: Target, load: Workload, requests: int) -> tuple[float, float]:
    """Run a workload; return requests per second and CPU us per request."""
    argv = ["redis-benchmark", "-p", str(target.port), "-t", load.test, "-n", str(requests)]
    argv += ["-c", str(load.connections), "-P", str(load.pipeline), "--csv"]
    before = target.cpu_ns()
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    cpu_us = (target.cpu_ns() - before) / 1000 / requests
    found = re.findall(r'^"[^"]*","([0-9.]+)"', done.stdout, re.MULTILINE)
    return float(found[-1]), cpu_us


def compare(
    targets: list[Target], loads: list[Workload], rounds: int, seconds: float
) -> dict[Workload, dict[str, Figures]]:
    """Run every workload on every server, round after round."""
    results: dict[Workload, dict[str, Figures]] = {}
    for load in loads:
        figures = results[load] = {target.name: Figures() for target in targets}
        requests = 2000 * load.pipeline
        rate, _ = run_once(targets[0], load, requests)
        requests = max(requests, int(rate * seconds))
        for number in range(rounds):
            order = targets[number % len(targets) :] + targets[: number % len(targets)]
            for target in order:
                rps, cpu_us = run_once(target, load, requests)
                figures[target.name].rps.append(rps)
                figures[target.name].cpu_us.append(cpu_us)
        print(line(row(load, figures, [target.name for target in targets])), flush=True)
    return results


def line(cells: list[str]) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def write_csv(folder: str, name: str, rows: list[list[str]]) -> None:
    """Write a table for the documentation."""
    with open(Path(folder, name), "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def header(names: list[str]) -> list[str]:
    """Return the head of the table."""
    columns = ["test", "connections", "deep", f"{REFERENCE} req/s", "CPU us"]
    for name in names:
        if name != REFERENCE:
            columns += [f"{name} req/s", "ratio", "CPU us", "ratio"]
    return columns


def row(load: Workload, figures: dict[str, Figures], names: list[str]) -> list[str]:
    """Return one row of the table."""
    base_rps, base_cpu = figures[REFERENCE].medians()
    cells = [load.test.upper(), str(load.connections), str(load.pipeline)]
    cells += [f"{base_rps:,.0f}", f"{base_cpu:.2f}"]
    for name in names:
        if name != REFERENCE:
            rps, cpu = figures[name].medians()
            cells += [f"{rps:,.0f}", f"{rps / base_rps:.2f}x"]
            cells += [f"{cpu:.2f}", f"{cpu / base_cpu:.2f}x"]
    return cells


def memory(targets: list[Target], count: int) -> list[list[str]]:
    """Load `count` small strings into each server; return the table of what a key takes."""
    rows = [["server", "bytes per key", "ratio"]]
    with tempfile.NamedTemporaryFile() as file:
        for number in range(count):
            key = b"key:%07d" % number
            file.write(
                b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$10\r\n%010d\r\n" % (len(key), key, number)
            )
        file.flush()
        base = 0.0
        for target in targets:
            with target.running():
                before = target.rss_bytes()
                with open(file.name, "rb") as commands:
                    argv = ["redis-cli", "-p", str(target.port), "--pipe"]
                    subprocess.run(argv, stdin=commands, capture_output=True, check=True)
                assert target.command("dbsize") == str(count)
                each = (target.rss_bytes() - before) / count
            base = base or each
            rows.append([target.name, f"{each:.1f}", f"{each / base:.2f}x"])
    return rows


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one run")
    parser.add_argument("--connections", default="1,50,1000")
    parser.add_argument("--pipelines", default="1,16")
    parser.add_argument("--tests", default="ping_mbulk,set,get,incr,mset")
    parser.add_argument("--pure", metavar="PYTHON", help="also run the server with this Python")
    parser.add_argument("--memory", action="store_true", help="also measure a million small keys")
    parser.add_argument("--write", metavar="FOLDER", help="write the tables there as CSV")
    options = parser.parse_args()
    for program in (REFERENCE, "redis-benchmark", "redis-cli"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed")
    targets = [
        Target(REFERENCE, [REFERENCE]),
        Target("redis-trio", [sys.executable, "-m", "redis_trio"]),
    ]
    if options.pure:
        targets.append(Target("pure", [options.pure, "-m", "redis_trio"]))
    names = [target.name for target in targets]
    loads = [
        Workload(test, int(connections), int(pipeline))
        for connections in options.connections.split(",")
        for pipeline in options.pipelines.split(",")
        for test in options.tests.split(",")
    ]
    rows = [header(names)]
    print(line(rows[0]) + "\n|" + "---|" * len(rows[0]), flush=True)
    with ExitStack() as stack:
        for target in targets:
            stack.enter_context(target.running())
        results = compare(targets, loads, options.rounds, options.seconds)
    rows += [row(load, figures, names) for load, figures in results.items()]
    if options.write:
        write_csv(options.write, "throughput.csv", rows)
    if options.memory:
        rows = memory(targets, 1_000_000)
        print("\n" + line(rows[0]) + "\n|" + "---|" * len(rows[0]))
        print("\n".join(map(line, rows[1:])))
        if options.write:
            write_csv(options.write, "memory.csv", rows)


if __name__ == "__main__":
    main()
