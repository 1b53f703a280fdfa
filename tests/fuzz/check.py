"""Damages files for `redis-trio check`: it says what is wrong, and what it has cut is whole."""

from __future__ import annotations

import os
import random
import sys
import tempfile

from redis_trio.persistence.check.files import check_file
from redis_trio.persistence.check.report import file_lines, to_json
from tests.fuzz import aof, rdb
from tests.fuzz.damage import main


def make(rng: random.Random) -> bytes:
    """Return a damaged RDB file or append-only file."""
    return rng.choice((aof, rdb)).make(rng)


def check(data: bytes, rng: random.Random) -> None:
    """Check it and tell of it; cut it off, if it can be, and check what is left."""
    is_aof = rng.random() < 0.5
    with tempfile.TemporaryDirectory(prefix="redis-trio-") as folder:
        path = os.path.join(folder, rng.choice(("dump.rdb", "appendonly.aof")))
        with open(path, "wb") as file:
            file.write(data)
        checked = check_file(path, 0, rng.randrange(5), is_aof=is_aof)
        assert all(line.isprintable() for line in file_lines(checked))
        assert to_json([checked]).encode()
        damage = checked.damage
        if damage is None:
            return
        assert 0 <= damage.offset <= len(data)
        assert -1 <= damage.whole <= damage.offset
        if damage.whole >= 0:
            os.truncate(path, damage.whole)
            again = check_file(path, 0, 0, is_aof=is_aof)
            assert again.damage is None or damage.whole == 0


if __name__ == "__main__":
    sys.exit(main(make, check))
