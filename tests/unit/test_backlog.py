"""The replication backlog: one chain of blocks, any number of readers."""

from __future__ import annotations

import random

import pytest

from redis_trio.replication.backlog import BLOCK_MIN, Backlog, Reader


def rest(reader: Reader, until: int = 2**60) -> bytes:
    """Read all there is."""
    data = b""
    while (piece := reader.take(until)) is not None:
        data += piece
    return data


def test_offsets_begin_behind_what_was_before() -> None:
    backlog = Backlog(100, 1000)
    assert (backlog.first, backlog.length) == (101, 0)
    backlog.append(b"abc")
    assert (backlog.first, backlog.offset, backlog.length) == (101, 103, 3)
    assert rest(backlog.reader(101)) == b"abc"
    assert rest(backlog.reader(103)) == b"c"
    assert rest(backlog.reader(104)) == b""
    assert [backlog.has(offset) for offset in (100, 101, 104, 105)] == [False, True, True, False]


def test_a_reader_goes_on_where_it_stopped() -> None:
    backlog = Backlog(0, 1000)
    backlog.append(b"before")
    reader = backlog.reader(backlog.offset + 1)
    assert reader.take(2**60) is None
    backlog.append(b"abc")
    assert rest(reader) == b"abc"
    backlog.append(b"def")
    assert rest(reader, backlog.offset - 2) == b"d"
    assert rest(reader, backlog.offset - 2) == b""
    assert reader.pending_bytes == 2
    assert rest(reader) == b"ef"
    assert reader.offset == backlog.offset


def test_views_of_what_was_read_stay_as_they_are() -> None:
    backlog = Backlog(0, BLOCK_MIN)
    backlog.append(b"abc")
    view = backlog.reader(1).take(2**60)
    assert view is not None
    for _ in range(10):
        backlog.append(b"x" * BLOCK_MIN)
    assert bytes(view) == b"abc"


def test_blocks_go_from_the_head_only_when_nobody_is_in_them() -> None:
    limit = 4 * BLOCK_MIN
    backlog = Backlog(0, limit)
    slow = backlog.reader(1)
    for _ in range(20):
        backlog.append(b"x" * BLOCK_MIN)
    assert backlog.first == 1
    assert slow.pending_bytes == 20 * BLOCK_MIN
    assert slow.block_count == 20
    assert slow.memory_bytes >= 20 * BLOCK_MIN
    slow.close()
    assert slow.block_count == 0
    assert limit <= backlog.length < limit + 2 * BLOCK_MIN
    assert backlog.memory_bytes < limit + 4 * BLOCK_MIN


def test_readers_that_have_everything_take_no_memory() -> None:
    backlog = Backlog(0, 2 * BLOCK_MIN)
    readers = [backlog.reader(1) for _ in range(100)]
    for _ in range(50):
        backlog.append(b"x" * (BLOCK_MIN // 2))
        for reader in readers:
            rest(reader)
    assert backlog.memory_bytes < 5 * BLOCK_MIN


def test_a_smaller_limit_holds_from_the_next_look_on() -> None:
    backlog = Backlog(0, 100 * BLOCK_MIN)
    for _ in range(50):
        backlog.append(b"x" * BLOCK_MIN)
    backlog.limit = 2 * BLOCK_MIN
    backlog.trim()
    assert backlog.length < 4 * BLOCK_MIN
    assert backlog.offset == 50 * BLOCK_MIN


@pytest.mark.parametrize("seed", range(5))
def test_any_pieces_are_read_as_they_were_written(seed: int) -> None:
    """Pieces of all sizes, readers that come, read a little and go."""
    rng = random.Random(seed)
    backlog = Backlog(7, 3 * BLOCK_MIN)
    written = bytearray()
    readers: list[tuple[Reader, int]] = []
    for _ in range(400):
        piece = rng.randbytes(rng.choice([1, 10, 500, BLOCK_MIN, 5 * BLOCK_MIN]))
        backlog.append(piece)
        written += piece
        if rng.random() < 0.2:
            offset = rng.randrange(backlog.first, backlog.offset + 2)
            readers.append((backlog.reader(offset), offset - 8))
        for index, (reader, at) in enumerate(readers):
            if rng.random() < 0.5:
                data = reader.take(2**60)
                if data is not None:
                    assert data == written[at : at + len(data)]
                    readers[index] = (reader, at + len(data))
        if len(readers) > 5:
            readers.pop(0)[0].close()
        assert backlog.offset == len(written) + 7
        assert backlog.length >= min(len(written), 3 * BLOCK_MIN)
