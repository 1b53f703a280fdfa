"""What a write costs while somebody wants to know of changes, beside redis-server.

    python benchmarks/listening.py [--requests N] [--rounds N] [--write FOLDER]

`redis-benchmark` sends SET, 16 deep on 50 connections, to keys that nobody waits for, while another
connection watches, blocks on, tracks or subscribes to something; the first row is without it. The
figures are the CPU time of the server per request, medians of rounds that take servers and
situations in turn, and how it relates to the first row. --write leaves listening.csv.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from compare import HOST, REFERENCE, Target, line, write_csv

SITUATIONS = {
    "nobody": b"",
    "WATCH of another key": b"WATCH other\r\n",
    "BLPOP of another key": b"BLPOP other 0\r\n",
    "tracking of another key": b"HELLO 3\r\nCLIENT TRACKING ON\r\nGET other\r\n",
    "tracking of another prefix": b"HELLO 3\r\nCLIENT TRACKING ON BCAST PREFIX other\r\n",
    "events, no subscriber": b"CONFIG SET notify-keyspace-events KEA\r\n",
    "events, one subscriber": b"CONFIG SET notify-keyspace-events KEA\r\nPSUBSCRIBE *\r\n",
    "MONITOR": b"MONITOR\r\n",
}


@contextmanager
def listening(port: int, request: bytes) -> Iterator[None]:
    """Have somebody listen for the time of the block, and read what comes."""
    with socket.create_connection((HOST, port)) as sock:
        sock.sendall(request)
        reader = threading.Thread(target=drain, args=(sock,))
        reader.start()
        try:
            yield
        finally:
            sock.shutdown(socket.SHUT_RDWR)
            reader.join()
    subprocess.run(
        ["redis-cli", "-p", str(port), "config", "set", "notify-keyspace-events", ""],
        check=True,
        capture_output=True,
    )


def drain(sock: socket.socket) -> None:
    """Read until the connection ends."""
    while sock.recv(1 << 20):
        pass


def run_once(target: Target, requests: int) -> float:
    """Return the CPU time (us) of a SET."""
    argv = ["redis-benchmark", "-p", str(target.port), "-n", str(requests), "-c", "50", "-P", "16"]
    before = target.cpu_ns()
    subprocess.run([*argv, "-t", "set", "-r", "100000", "-q"], check=True, capture_output=True)
    return (target.cpu_ns() - before) / 1000 / requests


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", metavar="FOLDER")
    options = parser.parse_args()
    targets = [
        Target(REFERENCE, [REFERENCE]),
        Target("redis-trio", [sys.executable, "-m", "redis_trio"]),
    ]
    found: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        for target in targets:
            stack.enter_context(target.running())
            run_once(target, options.requests)
        for _ in range(options.rounds):
            for name, request in SITUATIONS.items():
                for target in targets:
                    with listening(target.port, request):
                        cpu_us = run_once(target, options.requests)
                    found.setdefault((name, target.name), []).append(cpu_us)
    head = ["who listens"]
    for target in targets:
        head += [f"{target.name} CPU us", "to nobody"]
    rows = [head]
    for name in SITUATIONS:
        cells = [name]
        for target in targets:
            cpu_us = statistics.median(found[name, target.name])
            nobody = statistics.median(found["nobody", target.name])
            cells += [f"{cpu_us:.2f}", f"{cpu_us / nobody:.2f}x"]
        rows.append(cells)
    for row in [rows[0], ["---"] * len(head), *rows[1:]]:
        print(line(row))
    if options.write:
        write_csv(options.write, "listening.csv", rows)


if __name__ == "__main__":
    main()
