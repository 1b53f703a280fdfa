"""How well eviction chooses: hit rates of a cache beside redis-server's, in one run.

    python benchmarks/eviction.py [--keys N] [--requests N] [--share PERCENT] [--exponent S]
        [--policies allkeys-lru,allkeys-lfu] [--reference PATH] [--rounds N]

A client reads keys whose popularity is that of a Zipf distribution, and stores each that it does
not find, as the user of a cache does. Both servers get the same sequence. A key takes a different
number of bytes in each of them, so the same `maxmemory` would compare sizes of objects: here each
gets the limit at which it holds the given share of all keys, found by filling it that far first,
and the table shows how many keys it held in the end. The hit rate is that of the second half of the
requests, when the cache is warm. `ideal` is a true LRU of as many keys as the reference held.

Servers that look at the clock in whole seconds cannot tell keys of one second apart, so the
requests are spread over --seconds for both.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections import OrderedDict
from itertools import accumulate

import redis
from compare import HOST, REFERENCE, Target

BATCH = 50
VALUE = b"v" * 100


def key(number: int) -> str:
    """Return the name of a key."""
    return f"key:{number:08d}"


def sequence(keys: int, requests: int, exponent: float, seed: int) -> list[int]:
    """Return which keys are asked for; the popular ones have any number."""
    rng = random.Random(seed)
    weights = list(accumulate(1 / rank**exponent for rank in range(1, keys + 1)))
    numbers = list(range(keys))
    rng.shuffle(numbers)
    return rng.choices(numbers, cum_weights=weights, k=requests)


def limit_for(client: redis.Redis, policy: str, held: int) -> None:
    """Set the limit at which the server holds so many keys."""
    client.flushall()
    client.config_set("maxmemory", 100 << 30)
    client.config_set("maxmemory-policy", policy)
    pipeline = client.pipeline(transaction=False)
    for number in range(held):
        pipeline.set(key(number), VALUE)
    pipeline.execute()
    used = client.info("memory")["used_memory"]
    client.flushall()
    client.config_set("maxmemory", used)
    client.config_resetstat()


def hit_rate(client: redis.Redis, asked: list[int], seconds: float) -> float:
    """Ask for keys, store those that are not there; return the hit rate of the second half."""
    hits = 0
    half = len(asked) // 2
    began = time.monotonic()
    for start in range(0, len(asked), BATCH):
        names = [key(number) for number in asked[start : start + BATCH]]
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.get(name)
        found = pipeline.execute()
        missed = [name for name, value in zip(names, found, strict=True) if value is None]
        if start >= half:
            hits += len(names) - len(missed)
        if missed:
            pipeline = client.pipeline(transaction=False)
            for name in missed:
                pipeline.set(name, VALUE)
            pipeline.execute()
        ahead = began + seconds * start / len(asked) - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    return 100 * hits / (len(asked) - half)


def ideal_rate(asked: list[int], held: int) -> float:
    """Return the hit rate of a true LRU of so many keys."""
    cache: OrderedDict[int, None] = OrderedDict()
    hits = 0
    half = len(asked) // 2
    for place, number in enumerate(asked):
        if number in cache:
            cache.move_to_end(number)
            hits += place >= half
        else:
            cache[number] = None
            if len(cache) > held:
                cache.popitem(last=False)
    return 100 * hits / (len(asked) - half)


def main() -> None:
    """Run both servers with every policy and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=50_000)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--share", type=float, default=10.0)
    parser.add_argument("--exponent", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--policies", default="allkeys-lru,allkeys-lfu")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--reference", default=REFERENCE)
    options = parser.parse_args()
    held = int(options.keys * options.share / 100)
    targets = [
        Target("redis-server", [options.reference]),
        Target("redis-trio", [sys.executable, "-m", "redis_trio"]),
    ]
    print(f"{options.keys} keys, room for {held}, {options.requests} requests")
    print(f"{'policy':15}{'server':15}{'hit rate':>10}{'keys held':>12}{'evicted':>10}")
    for policy in options.policies.split(","):
        rates: dict[str, list[float]] = {target.name: [] for target in targets}
        for seed in range(options.rounds):
            asked = sequence(options.keys, options.requests, options.exponent, seed)
            for target in targets:
                with target.running(), redis.Redis(HOST, target.port) as client:
                    limit_for(client, policy, held)
                    rate = hit_rate(client, asked, options.seconds)
                    rates[target.name].append(rate)
                    size = client.dbsize()
                    evicted = client.info("stats")["evicted_keys"]
                print(f"{policy:15}{target.name:15}{rate:9.2f}%{size:12}{evicted:10}", flush=True)
            if policy == "allkeys-lru":
                print(f"{policy:15}{'ideal':15}{ideal_rate(asked, held):9.2f}%{held:12}")
        first, second = [statistics.median(rates[target.name]) for target in targets]
        print(f"{policy:15}{'difference':15}{second - first:+9.2f} points")


if __name__ == "__main__":
    main()
