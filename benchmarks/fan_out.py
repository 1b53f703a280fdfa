"""One PUBLISH to many: what a message costs for each of its subscribers, beside redis-server.

    python benchmarks/fan_out.py [--subscribers 1,100,1000] [--deliveries N] [--rounds N]
        [--write FOLDER]

A process of its own holds the subscribers and reads whatever comes; this one publishes messages of
64 bytes, 16 deep, until so many deliveries are made. A run ends when the last byte has been read.
The figures are deliveries a second, and the CPU time of the server for each, medians of rounds
that take the servers in turn. --write leaves fan_out.csv.
"""

from __future__ import annotations

import argparse
import multiprocessing
import selectors
import socket
import statistics
import sys
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection

from compare import HOST, REFERENCE, Target, line, write_csv

DEEP = 16
MESSAGE = b"x" * 64
CHANNEL = b"news"
PUBLISH = b"*3\r\n$7\r\nPUBLISH\r\n$4\r\n%s\r\n$64\r\n%s\r\n" % (CHANNEL, MESSAGE)
DELIVERED = len(b"*3\r\n$7\r\nmessage\r\n$4\r\n%s\r\n$64\r\n%s\r\n" % (CHANNEL, MESSAGE))
CONFIRMED = len(b"*3\r\n$9\r\nsubscribe\r\n$4\r\n%s\r\n:1\r\n" % CHANNEL)


def listen(port: int, subscribers: int, messages: int, pipe: Connection) -> None:
    """Hold subscribers: say when all of them listen, and when each has had so many messages."""
    selector = selectors.DefaultSelector()
    for _ in range(subscribers):
        sock = socket.create_connection((HOST, port))
        sock.sendall(b"SUBSCRIBE %s\r\n" % CHANNEL)
        while len(sock.recv(CONFIRMED, socket.MSG_PEEK)) < CONFIRMED:
            pass
        sock.recv(CONFIRMED)
        selector.register(sock, selectors.EVENT_READ, sock)
    pipe.send("ready")
    left = subscribers * messages * DELIVERED
    while left:
        for key, _ in selector.select():
            left -= len(key.data.recv(1 << 20))
    pipe.send("done")


def publish(port: int, messages: int, subscribers: int) -> None:
    """Publish so many messages, each of which has to go to so many."""
    expected = b":%d\r\n" % subscribers
    with socket.create_connection((HOST, port)) as sock:
        for start in range(0, messages, DEEP):
            count = min(DEEP, messages - start)
            sock.sendall(PUBLISH * count)
            replies = b""
            while len(replies) < count * len(expected):
                replies += sock.recv(65536)
            if replies != expected * count:
                raise SystemExit(f"unexpected replies: {replies[:100]!r}")


def run_once(target: Target, subscribers: int, deliveries: int) -> tuple[float, float]:
    """Return the deliveries a second and the CPU time (us) of each."""
    messages = max(deliveries // subscribers, DEEP)
    ours, theirs = multiprocessing.Pipe()
    args = (target.port, subscribers, messages, theirs)
    process = multiprocessing.Process(target=listen, args=args)
    process.start()
    assert ours.recv() == "ready"
    cpu_ns = target.cpu_ns()
    began = time.perf_counter()
    publish(target.port, messages, subscribers)
    assert ours.recv() == "done"
    seconds = time.perf_counter() - began
    spent_us = (target.cpu_ns() - cpu_ns) / 1000
    process.join()
    return messages * subscribers / seconds, spent_us / (messages * subscribers)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--subscribers", default="1,100,1000")
    parser.add_argument("--deliveries", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", metavar="FOLDER")
    options = parser.parse_args()
    targets = [
        Target(REFERENCE, [REFERENCE, "--maxclients", "20000"]),
        Target("redis-trio", [sys.executable, "-m", "redis_trio", "--maxclients", "20000"]),
    ]
    names = ["subscribers"]
    for target in targets:
        names += [f"{target.name} deliveries/s", "CPU us"]
    rows = [[*names, "ratio", "CPU ratio"]]
    with ExitStack() as stack:
        for target in targets:
            stack.enter_context(target.running())
        for subscribers in map(int, options.subscribers.split(",")):
            deliveries = min(options.deliveries, 50_000) if subscribers == 1 else options.deliveries
            found: dict[str, list[tuple[float, float]]] = {target.name: [] for target in targets}
            for _ in range(options.rounds):
                for target in targets:
                    found[target.name].append(run_once(target, subscribers, deliveries))
            cells = [f"{subscribers:,}"]
            medians = []
            for target in targets:
                rate = statistics.median([figures[0] for figures in found[target.name]])
                cpu_us = statistics.median([figures[1] for figures in found[target.name]])
                medians.append((rate, cpu_us))
                cells += [f"{rate:,.0f}", f"{cpu_us:.2f}"]
            (rate, cpu_us), (our_rate, our_cpu_us) = medians
            rows.append([*cells, f"{our_rate / rate:.2f}x", f"{our_cpu_us / cpu_us:.2f}x"])
    for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]]:
        print(line(row))
    if options.write:
        write_csv(options.write, "fan_out.csv", rows)


if __name__ == "__main__":
    main()
