"""What operations cost as a collection grows from a thousand to a million elements.

    python benchmarks/growth.py [--sizes 1000,10000,...] [--requests N] [--types list,zset]
        [--rounds N] [--write FOLDER]

Each operation is sent 16 deep by redis-benchmark to redis-server and to this server, which hold a
collection of the same elements. The figure is the CPU time of the server for a request, in
microseconds, the least of some rounds. Every operation leaves the collection as big as it was.
--write leaves growth.csv, and a plot for each type, growth-list.svg and so on: cost against size on
logarithmic axes, redis-server's dashed. Whoever is O(1) draws a level line.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from compare import REFERENCE, Target, element, in_bulk, line, sorted_set, stream_entries, write_csv

SIZES = "1000,10000,100000,1000000"


@dataclass(frozen=True)
class Type:
    """A data type and its operations.

    Attributes:
      fill: makes the commands that add so many elements.
      operations: `{name: words}`; `MIDDLE` is half the size, `__rand_int__` below the size.
    """

    fill: Callable[[int], list[list[str]]]
    operations: dict[str, str]


TYPES = {
    "list": Type(
        lambda size: in_bulk(["RPUSH", "key"], size, lambda number: [element(number)]),
        {
            "LMOVE end to end": "LMOVE key key LEFT RIGHT",
            "LRANGE 0 9": "LRANGE key 0 9",
            "LLEN": "LLEN key",
            "LINDEX middle": "LINDEX key MIDDLE",
        },
    ),
    "hash": Type(
        lambda size: in_bulk(["HSET", "key"], size, lambda number: [element(number), "value"]),
        {
            "HGET": "HGET key element:__rand_int__",
            "HSET": "HSET key element:__rand_int__ value",
            "HRANDFIELD": "HRANDFIELD key",
            "HSCAN": "HSCAN key 0 COUNT 10",
        },
    ),
    "set": Type(
        lambda size: in_bulk(["SADD", "key"], size, lambda number: [element(number)]),
        {
            "SADD": "SADD key element:__rand_int__",
            "SISMEMBER": "SISMEMBER key element:__rand_int__",
            "SRANDMEMBER": "SRANDMEMBER key",
            "SRANDMEMBER 10": "SRANDMEMBER key 10",
        },
    ),
    "zset": Type(
        sorted_set,
        {
            "ZADD": "ZADD key __rand_int__ element:__rand_int__",
            "ZSCORE": "ZSCORE key element:__rand_int__",
            "ZRANK": "ZRANK key element:__rand_int__",
            "ZRANGE middle": "ZRANGE key MIDDLE MIDDLE",
            "ZRANGEBYSCORE": "ZRANGEBYSCORE key __rand_int__ +inf LIMIT 0 10",
            "ZCOUNT": "ZCOUNT key __rand_int__ +inf",
        },
    ),
    "stream": Type(
        stream_entries,
        {
            "XADD and trim": "XADD key MAXLEN SIZE * field value",
            "XLEN": "XLEN key",
            "XREVRANGE 10": "XREVRANGE key + - COUNT 10",
            "XREAD middle": "XREAD COUNT 10 STREAMS key MIDDLE",
        },
    ),
}


@dataclass
class Series:
    """What one operation costs on one server, by size."""

    operation: str
    server: str
    costs_us: dict[int, float] = field(default_factory=dict)


def cost_us(target: Target, words: list[str], size: int, requests: int) -> float:
    """Return the CPU time of one request in microseconds."""
    argv = ["redis-benchmark", "-p", str(target.port), "-n", str(requests), "-c", "10", "-P", "16"]
    before = target.cpu_ns()
    subprocess.run([*argv, "-r", str(size), "-q", *words], capture_output=True, check=True)
    return (target.cpu_ns() - before) / 1000 / requests


def measure(targets: list[Target], kind: Type, options: argparse.Namespace) -> list[Series]:
    """Return what the operations of one type cost."""
    found = [Series(name, target.name) for name in kind.operations for target in targets]
    for size in options.sizes:
        for target in targets:
            target.empty()
            target.load(kind.fill(size))
        for _ in range(options.rounds):
            for series in found:
                target = next(one for one in targets if one.name == series.server)
                text = kind.operations[series.operation]
                text = text.replace("MIDDLE", str(size // 2)).replace("SIZE", str(size))
                cost = cost_us(target, text.split(), size, options.requests)
                series.costs_us[size] = min(cost, series.costs_us.get(size, math.inf))
    return found


# -- plots

COLOURS = ["#3366aa", "#cc4433", "#2a8a4a", "#8855aa", "#b07a10", "#444444"]
WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 190, 30, 40


def plot(title: str, found: list[Series], sizes: list[int]) -> str:
    """Return an SVG of cost against size, both logarithmic; dashed: redis-server."""
    costs = [cost for series in found for cost in series.costs_us.values()]
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    first, last = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(size: float) -> float:
        share = (math.log10(size) - first) / ((last - first) or 1)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(cost: float) -> float:
        share = (math.log10(cost) - low) / ((high - low) or 1)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def text(left: float, top: float, words: str, anchor: str = "start") -> str:
        return f'<text x="{left}" y="{top}" text-anchor="{anchor}">{words}</text>'

    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        text(LEFT, TOP - 12, f"{title}: CPU microseconds of a request by number of elements"),
    ]
    for power in range(low, high + 1):
        place = y(10**power)
        parts.append(f'<path d="M{LEFT} {place}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
        parts.append(text(LEFT - 6, place + 4, f"{10**power:g}", "end"))
    for size in sizes:
        parts.append(text(x(size), HEIGHT - BOTTOM + 18, f"{size:,}", "middle"))
    names = list(dict.fromkeys(series.operation for series in found))
    for series in found:
        colour = COLOURS[names.index(series.operation) % len(COLOURS)]
        dashes = ' stroke-dasharray="5 4"' if series.server == REFERENCE else ""
        points = " ".join(f"{x(size)},{y(cost)}" for size, cost in series.costs_us.items())
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
        )
    for number, name in enumerate(names):
        top = TOP + 14 + 20 * number
        left = WIDTH - RIGHT + 16
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<path d="M{left} {top - 4}h24" stroke="{colour}" stroke-width="2"/>')
        parts.append(text(left + 32, top, name))
    parts.append(text(WIDTH - RIGHT + 16, HEIGHT - BOTTOM, f"dashed: {REFERENCE}"))
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--sizes", type=lambda text: [int(size) for size in text.split(",")], default=SIZES
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--write", metavar="FOLDER", help="write the table and the plots there")
    options = parser.parse_args()
    targets = [
        Target(REFERENCE, [REFERENCE]),
        Target("redis-trio", [sys.executable, "-m", "redis_trio"]),
    ]
    rows = [["type", "operation", "server", *[f"{size:,}" for size in options.sizes]]]
    print(line(rows[0]) + "\n|" + "---|" * len(rows[0]), flush=True)
    with ExitStack() as stack:
        for target in targets:
            stack.enter_context(target.running())
        for name in options.types.split(","):
            found = measure(targets, TYPES[name], options)
            for series in found:
                costs = [f"{series.costs_us[size]:.2f}" for size in options.sizes]
                rows.append([name, series.operation, series.server, *costs])
                print(line(rows[-1]), flush=True)
            if options.write:
                path = Path(options.write, f"growth-{name}.svg")
                path.write_text(plot(name, found, options.sizes))
    if options.write:
        write_csv(options.write, "growth.csv", rows)


if __name__ == "__main__":
    main()
