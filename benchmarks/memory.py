"""Whether `used_memory` is true: its growth beside that of the process, for data of many shapes.

    python benchmarks/memory.py [--scale N] [--shapes ...] [--write FOLDER]

For each shape a server is started that is empty and warm, filled, and asked for used_memory twice:
without `maxmemory`, where the allocators are asked, and with one, where everything is counted. The
process's growth is that of its anonymous resident memory (/proc/PID/statm). --write leaves
memory_shapes.csv.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import redis
from compare import HOST, Target

PAGE = 4096


def strings(count: int, size: int, *options: str) -> Iterator[list[object]]:
    """Make strings of one size."""
    for number in range(count):
        yield ["SET", f"key:{number:08d}", b"v" * size, *options]


def elements(command: str, keys: int, each: int) -> Iterator[list[object]]:
    """Make collections of so many elements."""
    for number in range(keys):
        name = f"{command}:{number:07d}"
        for start in range(0, each, 500):
            words: list[object] = []
            for i in range(start, min(each, start + 500)):
                if command == "HSET":
                    words += [f"field:{i:06d}", f"value:{i * number}"]
                elif command == "ZADD":
                    words += [i * 7919 % 100_003, f"member:{i:06d}"]
                elif command == "SADD i":
                    words.append(i * 10)
                else:
                    words.append(f"element:{i:06d}")
            yield [command.split(maxsplit=1)[0], name, *words]


def stream(keys: int, each: int) -> Iterator[list[object]]:
    """Make streams of so many entries."""
    for number in range(keys):
        for i in range(each):
            yield ["XADD", f"stream:{number:07d}", "*", "sensor", i % 10, "value", f"{i * 17}"]


def expiring(count: int) -> Iterator[list[object]]:
    """Make strings that expire within a day."""
    for number in range(count):
        yield ["SET", f"key:{number:08d}", f"v{number}", "EX", 100 + number * 7919 % 86400]


def shapes(scale: float) -> dict[str, Iterator[list[object]]]:
    """Return what is filled in, by name; some 20 to 50 MB each at scale 1."""

    def some(count: int) -> int:
        return max(1, int(count * scale))

    return {
        "strings of 16 bytes": strings(some(200_000), 16),
        "strings of 100 bytes": strings(some(150_000), 100),
        "strings of 1 kB": strings(some(40_000), 1000),
        "strings of 100 kB": strings(some(500), 100_000),
        "strings of 1 MB": strings(some(60), 1_000_000),
        "strings that expire": expiring(some(150_000)),
        "hashes of 5 fields": elements("HSET", some(30_000), 5),
        "hashes of 50 fields": elements("HSET", some(5000), 50),
        "a hash of 200,000 fields": elements("HSET", 1, some(200_000)),
        "sets of 20 integers": elements("SADD i", some(50_000), 20),
        "sets of 20 members": elements("SADD", some(10_000), 20),
        "a set of 200,000 members": elements("SADD", 1, some(200_000)),
        "sorted sets of 20 members": elements("ZADD", some(10_000), 20),
        "a sorted set of 200,000 members": elements("ZADD", 1, some(200_000)),
        "lists of 10 elements": elements("RPUSH", some(30_000), 10),
        "a list of 400,000 elements": elements("RPUSH", 1, some(400_000)),
        "streams of 10 entries": stream(some(10_000), 10),
        "a stream of 150,000 entries": stream(1, some(150_000)),
    }


def resident(pid: int) -> int:
    """Return the anonymous resident memory of a process."""
    words = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(words[1]) - int(words[2])) * PAGE


def fill(client: redis.Redis, commands: Iterator[list[object]]) -> None:
    """Run commands, some at a time."""
    pipeline = client.pipeline(transaction=False)
    waiting = 0
    for words in commands:
        pipeline.execute_command(*words)  # type: ignore[no-untyped-call]
        waiting += 1
        if waiting == 20:
            pipeline.execute()
            waiting = 0
    pipeline.execute()


def measure(name: str, scale: float) -> tuple[float, float, float]:
    """Return the growth in MB: of the process, by the allocators, as counted."""
    target = Target("redis-trio", [sys.executable, "-m", "redis_trio"])
    with target.running(), redis.Redis(HOST, target.port) as client:
        fill(client, shapes(0.005)[name])  # code is loaded, buffers are there
        client.flushall()
        client.memory_purge()
        before = resident(target.pid), client.info("memory")["used_memory"]
        fill(client, shapes(scale)[name])
        real = resident(target.pid) - before[0]
        asked = client.info("memory")["used_memory"] - before[1]
        client.config_set("maxmemory", "100gb")
        keys = client.dbsize()
        counted = client.info("memory")["used_memory"]
        client.flushall()
        counted -= client.info("memory")["used_memory"]
    assert keys
    return real / 1e6, asked / 1e6, counted / 1e6


def main() -> None:
    """Measure every shape and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--shapes", nargs="*", default=list(shapes(1.0)))
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    rows = [["data", "process MB", "without maxmemory", "with maxmemory"]]
    for name in options.shapes:
        real, asked, counted = measure(name, options.scale)
        rows.append(
            [name, f"{real:.1f}", f"{asked / real * 100:.0f} %", f"{counted / real * 100:.0f} %"]
        )
        print(f"{name:34}{rows[-1][1]:>10}{rows[-1][2]:>10}{rows[-1][3]:>10}", flush=True)
    if options.write is not None:
        with (options.write / "memory_shapes.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main()
