"""How long others wait: a probe beside heavy work, and a host task beside a busy embedded server.

    python benchmarks/latency.py [--keys 1000000] [--host-seconds 3] [--write FOLDER]

Part one, this server beside redis-server: the round trip of a PING while all of N keys expire in
the same second, and while FLUSHALL removes N keys; the worst is what counts. Part two, this server
alone: a task of the host application that only sleeps a millisecond at a time, while
redis-benchmark keeps the server in the same process as busy as it can; how late the task wakes is
what the server costs it. --write leaves the table as latency.csv, which docs/performance.rst shows.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial

import trio
from compare import HOST, REFERENCE, Target, line, write_csv

from redis_trio import open_redis


def probe_until(sock: socket.socket, done: float, command: bytes = b"PING\r\n") -> list[float]:
    """Ask again and again until the time `done`; return each round trip in ms."""
    trips: list[float] = []
    while time.time() < done:
        start = time.perf_counter()
        sock.sendall(command)
        sock.recv(64)
        trips.append((time.perf_counter() - start) * 1000)
    return trips


def load(target: Target, count: int, options: str) -> None:
    """Set `count` keys with the same options."""
    with tempfile.TemporaryFile() as file:
        for number in range(count):
            file.write(b"SET key:%07d %010d %s\r\n" % (number, number, options.encode()))
        file.seek(0)
        argv = ["redis-cli", "-p", str(target.port), "--pipe"]
        subprocess.run(argv, stdin=file, stdout=subprocess.DEVNULL, check=True)


def summary(trips: list[float]) -> list[str]:
    """Return median, p99 and worst."""
    trips = sorted(trips)
    p99 = trips[int(len(trips) * 0.99)]
    return [f"{trips[len(trips) // 2]:.3f}", f"{p99:.3f}", f"{trips[-1]:.2f}"]


def probe(target: Target, count: int) -> list[list[str]]:
    """Return the rows of part one for one server."""
    name = target.name
    rows = []
    with target.running(), socket.create_connection((HOST, target.port)) as sock:
        trips = probe_until(sock, time.time() + 2)
        rows.append([name, "idle", *summary(trips)])
        due = time.time() + 5 + count / 100_000
        load(target, count, f"PXAT {int(due * 1000)}")
        if time.time() > due:
            raise SystemExit("loading took too long; use fewer --keys")
        time.sleep(due - time.time() - 0.2)
        trips = probe_until(sock, due + 3)
        left = int(target.command("DBSIZE"))
        rows.append([name, f"{count - left:,} of {count:,} keys expire", *summary(trips)])
        load(target, count, "")
        with socket.create_connection((HOST, target.port)) as other:
            other.sendall(b"FLUSHALL\r\n")
            trips = probe_until(sock, time.time() + 1)
        rows.append([name, f"FLUSHALL of {count:,} keys", *summary(trips)])
    return rows


async def host(seconds: float) -> list[list[str]]:
    """Return the rows of part two."""
    rows = []
    async with open_redis() as server:
        for pipeline in (0, 1, 16):
            late: list[float] = []
            async with trio.open_nursery() as nursery:
                if pipeline:
                    argv = ["redis-benchmark", "-p", str(server.port), "-t", "set", "-c", "50"]
                    argv += ["-n", "100000000", "-P", str(pipeline), "-q"]
                    nursery.start_soon(partial(trio.run_process, argv, capture_stdout=True))
                    await trio.sleep(0.5)
                end = trio.current_time() + seconds
                while trio.current_time() < end:
                    start = time.perf_counter()
                    await trio.sleep(0.001)
                    late.append((time.perf_counter() - start - 0.001) * 1000)
                nursery.cancel_scope.cancel()
            load_name = f"50 clients, {pipeline} deep" if pipeline else "no load"
            rows.append(["host task of redis-trio", load_name, *summary(late)])
    return rows


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--host-seconds", type=float, default=3.0)
    parser.add_argument("--write", metavar="FOLDER", help="write the table there as CSV")
    options = parser.parse_args()
    rows = [["who waits", "while", "median ms", "p99 ms", "worst ms"]]
    for target in (
        Target(REFERENCE, [REFERENCE]),
        Target("redis-trio", [sys.executable, "-m", "redis_trio"]),
    ):
        rows += probe(target, options.keys)
    rows += trio.run(host, options.host_seconds)
    print(line(rows[0]) + "\n|" + "---|" * len(rows[0]))
    print("\n".join(map(line, rows[1:])))
    if options.write:
        write_csv(options.write, "latency.csv", rows)


if __name__ == "__main__":
    main()
