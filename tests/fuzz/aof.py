"""Damages append-only files: what is whole is loaded, the same however it is read.

A file that has been loaded, and perhaps cut, is loaded again as it is then: with the same data, and
with nothing more to be cut.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from functools import cache

from redis_trio.feed import encode_command
from redis_trio.keyspace.digest import dataset_digest
from redis_trio.persistence.aof import AofError
from redis_trio.persistence.aof_files import load_aof
from redis_trio.persistence.aof_reader import AofReader, FormatError
from redis_trio.protocol.request import Args
from tests.fuzz.damage import damaged, main, spliced
from tests.fuzz.samples import Server, rdb_of, small
from tests.rdb_cases import COMMANDS, NEWER_COMMANDS, Words

NAME = "appendonly.aof.1.incr.aof"
MANIFEST = b"file %s seq 1 type i\n" % NAME.encode()
_PIECES = [
    b"*",
    b"$",
    b"\r\n",
    b"#",
    b"#TS:1\r\n",
    b"*1\r\n$5\r\nMULTI\r\n",
    b"*1\r\n$4\r\nEXEC\r\n",
]


def _commands(lines: str) -> bytes:
    return b"".join([encode_command(line.encode().split()) for line in lines.splitlines()])


def _encoded(commands: list[Words]) -> bytes:
    return b"".join([encode_command(words) for words in commands])


@cache
def _files() -> list[bytes]:
    chosen = small(COMMANDS)
    transactions = _commands(
        "SELECT 0\nSET a 1\nMULTI\nSET b 2\nINCR b\nEXEC\nSELECT 3\nSET c 4\nMULTI\nLPUSH l a\nEXEC"
    )
    stamps = (
        b"#TS:1700000000\r\n" + _commands("SET k v PXAT 99999999999999") + b"#TS:1700000001\r\n"
    )
    return [
        transactions,
        stamps + transactions + stamps,
        _encoded(chosen[:30]),
        _encoded(chosen[-20:]),
        _encoded(NEWER_COMMANDS[:3]),
        rdb_of(chosen[:6], 10, compressed=True) + transactions,
    ]


def make(rng: random.Random) -> bytes:
    """Return a damaged file."""
    data = rng.choice(_files())
    if rng.random() < 0.1:
        data = spliced(rng, data, rng.choice(_files()))
    if rng.random() < 0.3:
        place = rng.randrange(len(data) + 1)
        data = data[:place] + rng.choice(_PIECES) + data[place:]
    if rng.random() < 0.2:
        return data[: rng.randrange(len(data) + 1)]
    return damaged(rng, data) if data else data


def _read(data: bytes, sizes: list[int]) -> tuple[list[Args], int, bool]:
    """Read a file in pieces; return its commands, where it stopped, and if the format is bad."""
    reader = AofReader()
    found: list[Args] = []
    place = number = 0
    try:
        while place < len(data):
            size = sizes[number % len(sizes)]
            reader.feed(data[place : place + size])
            place += size
            number += 1
            while (args := reader.read()) is not None:
                found.append(args)
    except FormatError as exc:
        return found, exc.offset, True
    assert reader.offset + reader.rest == len(data)
    return found, reader.offset, False


def _load(folder: str) -> int | None:
    """Load the folder; return the digest of the data, None if it is refused."""
    server = Server()
    server.state.config.dir = folder
    server.state.config.databases = 16
    try:
        for _ in load_aof(server.state):
            pass
    except AofError:
        return None
    if server.log.bugs:
        raise server.log.bugs[0]
    return dataset_digest(server.state.dbs)


def check(data: bytes, rng: random.Random) -> None:
    """Read it whole and in pieces, load it, and load what is left of it."""
    expected = _read(data, [len(data) or 1])
    for sizes in ([1], [rng.randrange(1, 40) for _ in range(4)]):
        assert _read(data, sizes) == expected
    with tempfile.TemporaryDirectory(prefix="redis-trio-") as root:
        folder = os.path.join(root, "appendonlydir")
        os.mkdir(folder)
        path = os.path.join(folder, NAME)
        with open(os.path.join(folder, "appendonly.aof.manifest"), "wb") as file:
            file.write(MANIFEST)
        with open(path, "wb") as file:
            file.write(data)
        digest = _load(root)
        with open(path, "rb") as file:
            left = file.read()
        assert data.startswith(left)
        if digest is not None:
            assert _load(root) == digest
            assert os.path.getsize(path) == len(left)


if __name__ == "__main__":
    sys.exit(main(make, check))
