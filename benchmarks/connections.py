"""Many connections: what an idle one takes, how long others wait, and what slow attackers cost.

    python benchmarks/connections.py [--connections N] [--active N] [--attackers N] [--seconds S]
        [--write FOLDER]

This server, run by the Python that runs this file, beside redis-server, one after the other:

1. N connections are opened, each says PING once, and then most of them are silent. The resident
   memory by which the server has grown is divided by N.
2. The active ones take turns: one PING at a time. Its round trip is measured alone, with all the
   silent connections there, and while attackers on top of them send a request of 100 bytes each,
   a byte at a time, as fast as one process can.

--write leaves the table as connections.csv, which docs/performance.rst shows.
"""

from __future__ import annotations

import argparse
import csv
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

from compare import HOST, REFERENCE, Target

PING = b"*1\r\n$4\r\nPING\r\n"
PONG = b"+PONG\r\n"
ATTACK = """
import socket, sys, time
port, count = int(sys.argv[1]), int(sys.argv[2])
socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
print("ready", flush=True)
request = b"*2\\r\\n$4\\r\\nECHO\\r\\n$76\\r\\n" + b"x" * 76
while True:
    for i in range(len(request)):
        byte = request[i:i + 1]
        for sock in socks:
            sock.sendall(byte)
            time.sleep(0.0005)
    for sock in socks:
        sock.sendall(b"\\r\\n")
"""


def resident_kb(pid: int) -> int:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("no VmRSS")


def connect(port: int, count: int) -> list[socket.socket]:
    """Open connections that have each been answered once."""
    socks = []
    for _ in range(count):
        sock = socket.create_connection((HOST, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(PING)
        assert sock.recv(100) == PONG
        socks.append(sock)
    return socks


def round_trips_us(socks: list[socket.socket], seconds: float) -> list[float]:
    """Return how long PINGs took, one after the other, on each connection in turn."""
    found = []
    until = time.perf_counter() + seconds
    for sock in cycle(socks):
        began = time.perf_counter()
        if began > until:
            break
        sock.sendall(PING)
        assert sock.recv(100) == PONG
        found.append((time.perf_counter() - began) * 1e6)
    return found


@contextmanager
def attack(port: int, count: int) -> Iterator[None]:
    """Have attackers send for the time of the block."""
    argv = [sys.executable, "-c", ATTACK, str(port), str(count)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            process.kill()


def percentiles(found: list[float]) -> list[str]:
    """Return the median and the 90th percentile."""
    return [f"{statistics.median(found):.0f}", f"{statistics.quantiles(found, n=100)[89]:.0f}"]


def measure(target: Target, options: argparse.Namespace) -> list[str]:
    """Return a row of the table."""
    with target.running():
        few = connect(target.port, options.active)
        alone = round_trips_us(few, options.seconds)
        before_kb = resident_kb(target.pid)
        idle = connect(target.port, options.connections - options.active)
        taken_kb = (resident_kb(target.pid) - before_kb) / len(idle)
        many = round_trips_us(few, options.seconds)
        with attack(target.port, options.attackers):
            attacked = round_trips_us(few, options.seconds)
        for sock in few + idle:
            sock.close()
    figures = [f"{taken_kb:.1f}", *percentiles(alone), *percentiles(many), *percentiles(attacked)]
    return [target.name, *figures]


def main() -> None:
    """Measure both servers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--active", type=int, default=100)
    parser.add_argument("--attackers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    room = str(options.connections + options.attackers + 100)
    targets = [
        Target(REFERENCE, [REFERENCE, "--maxclients", room]),
        Target("redis-trio", [sys.executable, "-m", "redis_trio", "--maxclients", room]),
    ]
    table = [
        ["server", "KB each", "alone p50", "p90", "with all p50", "p90", "attacked p50", "p90"],
        *[measure(target, options) for target in targets],
    ]
    for row in table:
        print("".join(f"{cell:>14}" for cell in row))
    if options.write:
        with (options.write / "connections.csv").open("w", newline="") as file:
            csv.writer(file).writerows(table)


if __name__ == "__main__":
    main()
