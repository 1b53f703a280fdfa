"""What replicas cost a primary, and what clients notice of a full resynchronization.

    python benchmarks/replication.py [--requests N] [--keys N] [--rounds N] [--idle-replicas N]

Beside redis-server, whose replicas are redis-servers, too:

- SET, 16 deep, with 0, 1 and 3 replicas: the primary's CPU for a request, and requests a second;
- the memory of a primary before and after so many replicas have caught up (connections of this
  program, which take everything), with 10 MB written in between;
- a full resynchronization of so many keys of 64 bytes: how long until the link of a redis-server is
  up, and what a probe (see snapshot.py) sees meanwhile.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

from compare import HOST, REFERENCE, Target, line
from snapshot import Peer, encode, percentiles, probe

OPTIONS = ["--repl-diskless-sync-delay", "0"]
REPLICAS = (0, 1, 3)


def until_up(replica: Target) -> None:
    """Wait until a replica has the data."""
    peer = Peer(replica.port)
    while b"master_link_status:up" not in peer.ask("INFO", "replication"):
        time.sleep(0.02)


def replica_of(primary: Target) -> Target:
    """Return a redis-server that will be a replica."""
    return Target("replica", [REFERENCE, "--replicaof", HOST, str(primary.port)])


def throughput(target: Target, count: int, requests: int) -> tuple[float, float]:
    """Return the primary's CPU in us for a SET, and requests a second, with so many replicas."""
    with target.running(), ExitStack() as stack:
        for _ in range(count):
            replica = replica_of(target)
            stack.enter_context(replica.running())
            until_up(replica)
        argv = ["redis-benchmark", "-p", str(target.port), "-t", "set", "-P", "16", "-q"]
        argv += ["-n", str(requests), "-r", "100000", "-d", "64"]
        cpu_ns, began = target.cpu_ns(), time.perf_counter()
        subprocess.run(argv, capture_output=True, check=True)
        if count:
            target.command("WAIT", str(count), "0")
        seconds = time.perf_counter() - began
        return (target.cpu_ns() - cpu_ns) / 1000 / requests, requests / seconds


def take(sock: socket.socket) -> None:
    """Take whatever a replica is sent, and say so."""
    while sock.recv(1 << 20):
        pass


def memory(target: Target, count: int) -> tuple[float, float]:
    """Return the resident memory in MB before and after so many replicas have caught up."""
    with target.running():
        peer = Peer(target.port)
        first = socket.create_connection((HOST, target.port))
        first.sendall(encode(("SYNC",)))
        threading.Thread(target=take, args=(first,), daemon=True).start()
        value = "v" * 10_000
        peer.fill([encode(("SET", "key", value)) for _ in range(1000)])
        before = target.rss_bytes()
        info = peer.ask("INFO", "replication").decode()
        fields = dict(row.split(":", 1) for row in info.split("\r\n") if ":" in row)
        position = str(int(fields["master_repl_offset"]) + 1)
        for _ in range(count):
            sock = socket.create_connection((HOST, target.port))
            sock.sendall(encode(("PSYNC", fields["master_replid"], position)))
            threading.Thread(target=take, args=(sock,), daemon=True).start()
        peer.fill([encode(("SET", "key", value)) for _ in range(1000)])
        time.sleep(1)
        return before / 1e6, target.rss_bytes() / 1e6


def full_sync(target: Target, keys: int) -> None:
    """Show how long a full resynchronization takes, and what a probe sees."""
    with target.running():
        peer = Peer(target.port)
        value = "v" * 64
        for start in range(0, keys, 1000):
            end = min(start + 1000, keys)
            peer.fill([encode(("SET", f"key:{i}", value)) for i in range(start, end)])
        time.sleep(1)
        idle: list[float] = []
        probe(peer, idle, 5, 0.001)
        print(line([target.name, "idle", *percentiles(idle), ""]), flush=True)
        during: list[float] = []
        replica = replica_of(target)
        began = time.perf_counter()
        with replica.running():
            done = threading.Event()

            def wait(replica: Target = replica, done: threading.Event = done) -> None:
                until_up(replica)
                done.set()

            threading.Thread(target=wait, daemon=True).start()
            while not done.is_set():
                probe(peer, during, 0.05, 0.001)
            seconds = time.perf_counter() - began
        print(line([target.name, "full sync", *percentiles(during), f"{seconds:.1f}"]), flush=True)


def main() -> None:
    """Measure both servers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle-replicas", type=int, default=100)
    options = parser.parse_args()
    targets = [
        Target("redis-trio", [sys.executable, "-m", "redis_trio", *OPTIONS]),
        Target(REFERENCE, [REFERENCE, *OPTIONS]),
    ]
    if options.rounds:
        print(line(["server", "replicas", "CPU us", "req/s"]))
        for count in REPLICAS:
            for target in targets:
                runs = [throughput(target, count, options.requests) for _ in range(options.rounds)]
                cpu, rate = sorted(runs)[len(runs) // 2]
                print(line([target.name, str(count), f"{cpu:.2f}", f"{rate:.0f}"]), flush=True)
    if options.idle_replicas:
        print(line(["server", "replicas", "MB before", "MB after"]))
        for target in targets:
            before, after = memory(target, options.idle_replicas)
            idle = str(options.idle_replicas)
            print(line([target.name, idle, f"{before:.1f}", f"{after:.1f}"]), flush=True)
    if options.keys:
        print(line(["server", "state", "p50 ms", "p99 ms", "max ms", "s"]))
        for target in targets:
            full_sync(target, options.keys)


if __name__ == "__main__":
    main()
