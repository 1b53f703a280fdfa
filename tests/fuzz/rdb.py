"""Damages RDB files: they are read or refused, the same in pieces of any size.

Where there is a checksum, no damage is read in silence. Where there is none, every value that is
read can be used, written and read again.
"""

from __future__ import annotations

import random
import sys
from functools import cache

from redis_trio.data.thresholds import Thresholds
from redis_trio.persistence.crc64 import crc64
from redis_trio.persistence.rdb_format import RdbError
from redis_trio.persistence.rdb_reader import Entry, RdbReader
from redis_trio.persistence.rdb_writer import RdbWriter
from tests.fuzz.damage import damaged, main, spliced
from tests.fuzz.restore import use
from tests.fuzz.samples import Server, rdb_of, small
from tests.rdb_cases import COMMANDS, MODULE_AUX, NEWER_COMMANDS, old_file, rdb_file

CHECKSUM = 8


@cache
def _files() -> list[bytes]:
    """Return valid files: few keys and many, old and new."""
    small_ones = small(COMMANDS)
    files = [
        rdb_of(small_ones[:12], 10, compressed=True),
        rdb_of(small_ones[-12:], 10, compressed=False),
        rdb_of(small_ones, 10, compressed=True),
        rdb_of(NEWER_COMMANDS[:3], 12, compressed=False),
        rdb_of([*small_ones, *NEWER_COMMANDS], 12, compressed=False),
        rdb_file(MODULE_AUX, b"\x00\x01a\x01b"),
    ]
    kinds = {3: 9, 4: 9, 5: 9, 7: 14, 9: 15, 10: 19, 11: 21, 12: 25}
    files += [old_file(version, newest_kind=kind) for version, kind in kinds.items()]
    return files


def make(rng: random.Random) -> bytes:
    """Return a damaged file, sometimes with a checksum that is right."""
    data = rng.choice(_files())
    if rng.random() < 0.1:
        data = spliced(rng, data, rng.choice(_files()))
    data = damaged(rng, data, start=9 if rng.random() < 0.9 else 0)
    if rng.random() < 0.5 and len(data) > CHECKSUM:
        data = data[:-CHECKSUM] + crc64(data[:-CHECKSUM]).to_bytes(CHECKSUM, "little")
    return data


def read(
    data: bytes, sizes: list[int], *, known: bool, check_sum: bool
) -> tuple[list[Entry], RdbReader, RdbError | None]:
    """Read a file in pieces of these sizes, over and over; return what it has, and the error."""
    reader = RdbReader(
        Thresholds(), size=len(data) if known else -1, check_sum=check_sum, skip_modules=True
    )
    entries: list[Entry] = []
    place = number = 0
    try:
        while not reader.done:
            entry = reader.next()
            if entry is not None:
                entries.append(entry)
            elif not reader.done:
                if place >= len(data):
                    reader.finish()
                else:
                    size = sizes[number % len(sizes)]
                    reader.feed(data[place : place + size])
                    place += size
                    number += 1
    except RdbError as exc:
        return entries, reader, exc
    return entries, reader, None


def _written(entries: list[Entry]) -> list[bytes]:
    writer = RdbWriter(12, compressed=False, checksummed=False)
    return [writer.key_bytes(e.key, e.value) for e in entries if e.value is not None]


def check(data: bytes, rng: random.Random) -> None:
    """Read it with and without its checksum, whole and in pieces, and use what it has."""
    _, reader, error = read(data, [len(data)], known=True, check_sum=True)
    assert error is None or 0 <= error.offset <= len(data)
    if reader.checked and error is None:
        whole = data[: reader.offset]
        assert whole in _files() or crc64(whole[:-CHECKSUM]).to_bytes(8, "little") == whole[-8:]
    entries, reader, error = read(data, [len(data) or 1], known=True, check_sum=False)
    assert reader.offset <= len(data)
    expected = _written(entries)
    sizes = [rng.choice((1, 2, 5, 30, 500)) for _ in range(3)]
    for known in (True, False):
        found, other, refusal = read(data, sizes, known=known, check_sum=False)
        assert (refusal is None) == (error is None)
        written = _written(found)
        shared = min(len(written), len(expected))
        assert written[:shared] == expected[:shared]
        assert error is not None or len(written) == len(expected)
        assert error is not None or other.libraries == reader.libraries
    server = Server()
    db = server.state.dbs[0]
    for entry in entries[-30:]:
        if entry.value is not None:
            db.set(b"k", entry.value)
            db.track_fields(b"k", entry.value)
            use(server, b"k", rng)


if __name__ == "__main__":
    sys.exit(main(make, check))
