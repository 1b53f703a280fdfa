"""This server beside redis-server: requests per second and server CPU per request, as ratios.

    python benchmarks/compare.py [--rounds N] [--seconds S] [--connections 1,50,1000]
        [--pipelines 1,16] [--tests ping,set,...|types] [--pure PYTHON] [--memory]
        [--write FOLDER]

Every workload is run by redis-benchmark on each server in turn, round after round, and the medians
are compared: a shared machine is noisy, ratios of one run are not. CPU is the time that all
threads of the server were on a CPU (/proc/PID/task/*/schedstat), divided by the requests.
Tests in CASES have their data made before each run, so that they never find an empty collection;
the others are redis-benchmark's own. `types` stands for CASES and `scripts`
for SCRIPTS; --write then leaves types.csv, scripts.csv.
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
from collections.abc import Callable, Iterable, Iterator
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
    """A server under test; its directory is a temporary one unless `folder` names another."""

    name: str
    argv: list[str]
    folder: str = ""
    port: int = 0
    pid: int = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have it run for the time of the block."""
        self.port = free_port()
        with tempfile.TemporaryDirectory() as temporary:
            directory = self.folder or temporary
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

    def load(self, commands: Iterable[list[str]]) -> None:
        """Run commands by redis-cli, all in one pipeline."""
        data = bytearray()
        for words in commands:
            data += b"*%d\r\n" % len(words)
            for word in words:
                data += b"$%d\r\n%b\r\n" % (len(word), word.encode())
        argv = ["redis-cli", "-p", str(self.port), "--pipe"]
        subprocess.run(argv, input=data, capture_output=True, check=True)

    def empty(self) -> None:
        """Remove all keys, and wait until they are freed."""
        self.command("flushall")
        while "lazyfree_pending_objects:0" not in self.command("info", "memory"):
            time.sleep(0.05)


BULK = 500
"""Elements that are added by one command."""
SPREAD = 100_000
"""Members of the collections that are only read, fields and members that are written."""


def in_bulk(head: list[str], count: int, words: Callable[[int], list[str]]) -> list[list[str]]:
    """Return the commands that add `count` elements, each being `words` of its number."""
    return [
        head + [word for number in range(start, min(start + BULK, count)) for word in words(number)]
        for start in range(0, count, BULK)
    ]


def element(number: int) -> str:
    """Return the name of a member as redis-benchmark makes them."""
    return f"element:{number:012d}"


def stream_entries(count: int) -> list[list[str]]:
    """Return the commands that add `count` entries to a stream."""
    return [["XADD", "key", f"{number}-1", "field", "value"] for number in range(1, count + 1)]


def sorted_set(count: int) -> list[list[str]]:
    """Return the commands that add `count` members to a sorted set."""
    return in_bulk(["ZADD", "key"], count, lambda number: [str(number), element(number)])


@dataclass(frozen=True)
class Case:
    """A command that redis-benchmark does not know, or for which it makes no data.

    Attributes:
      prepare: makes the commands that are run before so many requests.
      words: of the command; `__rand_int__` is below SPREAD.
    """

    words: str
    prepare: Callable[[int], list[list[str]]] = lambda _: []


CASES = {
    "lpush": Case("LPUSH key value"),
    "rpop": Case("RPOP key", lambda n: in_bulk(["RPUSH", "key"], n, lambda number: [str(number)])),
    "lrange_100": Case(
        "LRANGE key 0 99",
        lambda _: in_bulk(["RPUSH", "key"], SPREAD, lambda number: [element(number)]),
    ),
    "sadd": Case("SADD key element:__rand_int__"),
    "spop": Case("SPOP key", lambda n: in_bulk(["SADD", "key"], n, lambda i: [element(i)])),
    "hset": Case("HSET key element:__rand_int__ value"),
    "zadd": Case("ZADD key __rand_int__ element:__rand_int__"),
    "zpopmin": Case("ZPOPMIN key", sorted_set),
    "zrank": Case("ZRANK key element:__rand_int__", lambda _: sorted_set(SPREAD)),
    "zrangebyscore": Case(
        "ZRANGEBYSCORE key __rand_int__ +inf LIMIT 0 10", lambda _: sorted_set(SPREAD)
    ),
    "xadd": Case("XADD key * field value"),
    "xread": Case(f"XREAD COUNT 10 STREAMS key {SPREAD // 2}", lambda _: stream_entries(SPREAD)),
}


SCRIPTS = {
    "eval": ("EVAL", "redis.call('incr', KEYS[1])"),
    "evalsha_10": ("EVALSHA", "for i = 1, 10 do redis.call('incr', KEYS[1]) end"),
    "evalsha_mix": (
        "EVALSHA",
        (
            "redis.call('set', KEYS[1], 1) redis.call('get', KEYS[1]) redis.call('incr', 'n') "
            "redis.call('hset', 'hash', 'field', 'value') redis.call('hget', 'hash', 'field') "
            "redis.call('lpush', 'list', 'x') redis.call('rpop', 'list') "
            "redis.call('zadd', 'zset', 1, 'member') redis.call('exists', KEYS[1]) "
            "return redis.call('del', KEYS[1])"
        ),
    ),
}
"""Scripts with one key: the command that runs each, and its source."""


def script_words(target: Target, test: str) -> list[str]:
    """Return the command of a test that runs a script."""
    name, source = SCRIPTS[test]
    if name == "EVALSHA":
        source = target.command("SCRIPT", "LOAD", source)
    return [name, source, "1", "key"]


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
    argv = ["redis-benchmark", "-p", str(target.port), "-n", str(requests)]
    argv += ["-c", str(load.connections), "-P", str(load.pipeline), "--csv"]
    case = CASES.get(load.test)
    if load.test in SCRIPTS:
        target.empty()
        argv += script_words(target, load.test)
    elif case is None:
        argv += ["-t", load.test]
    else:
        argv += ["-r", str(SPREAD), *case.words.split()]
        target.empty()
        target.load(case.prepare(requests))
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
    groups = {"types": list(CASES), "scripts": list(SCRIPTS)}
    tests = groups.get(options.tests) or options.tests.split(",")
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
        for test in tests
    ]
    rows = [header(names)]
    print(line(rows[0]) + "\n|" + "---|" * len(rows[0]), flush=True)
    with ExitStack() as stack:
        for target in targets:
            stack.enter_context(target.running())
        results = compare(targets, loads, options.rounds, options.seconds)
    rows += [row(load, figures, names) for load, figures in results.items()]
    if options.write:
        name = options.tests if options.tests in groups else "throughput"
        write_csv(options.write, f"{name}.csv", rows)
    if options.memory:
        rows = memory(targets, 1_000_000)
        print("\n" + line(rows[0]) + "\n|" + "---|" * len(rows[0]))
        print("\n".join(map(line, rows[1:])))
        if options.write:
            write_csv(options.write, "memory.csv", rows)


if __name__ == "__main__":
    main()
