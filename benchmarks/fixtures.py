"""What a fixture adds to a test: ours, fakeredis, and a real redis-server that is emptied.

    python benchmarks/fixtures.py [--tests N] [--rounds N] [--write FOLDER]

Runs pytest on so many tests, each of which sets a key and reads it through redis-py, with each
fixture in turn, and on as many that do nothing. The figure is the time of a run less that of the
empty one, for each test: the fixture, the connection and two commands. --write leaves fixtures.csv.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compare import REFERENCE, Target, line, write_csv

TEST = """
@pytest.mark.parametrize("number", range({count}))
def test_it(client, number):
    client.set("key", number)
    assert client.get("key") == b"%d" % number
"""
NOTHING = """
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_it(number):
    pass
"""
FIXTURES = {
    "redis-trio, shared in a thread": """
import pytest
import redis

@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client
""",
    "redis-trio, a server for each test": """
import pytest
import redis

pytestmark = pytest.mark.redis(databases=1)

@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client
""",
    "fakeredis": """
import fakeredis
import pytest

@pytest.fixture
def client():
    with fakeredis.FakeRedis(server=fakeredis.FakeServer()) as client:
        yield client
""",
    "redis-server, emptied": """
import pytest
import redis

@pytest.fixture
def client():
    with redis.Redis(port={port}) as client:
        client.flushall()
        yield client
""",
}


def seconds(source: str) -> float:
    """Return how long pytest takes for a module."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(source)
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder]
        began = time.perf_counter()
        subprocess.run(argv, check=True, capture_output=True, cwd=folder)
        return time.perf_counter() - began


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tests", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", metavar="FOLDER")
    options = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in FIXTURES}
    real = Target(REFERENCE, [REFERENCE])
    with real.running():
        for _ in range(options.rounds):
            empty = seconds(NOTHING.format(count=options.tests))
            for name, fixture in FIXTURES.items():
                source = (fixture + TEST).format(count=options.tests, port=real.port)
                found[name].append((seconds(source) - empty) / options.tests * 1000)
    rows = [["fixture", "ms per test"]]
    rows += [[name, f"{statistics.median(times):.2f}"] for name, times in found.items()]
    for row in [rows[0], ["---"] * 2, *rows[1:]]:
        print(line(row))
    if options.write:
        write_csv(options.write, "fixtures.csv", rows)


if __name__ == "__main__":
    main()
