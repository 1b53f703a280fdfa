"""The table, by example; its promises are tested in tests/fuzz/test_table.py."""

from __future__ import annotations

import pytest

from redis_trio.data.table import Table


def test_set_says_whether_the_key_is_new() -> None:
    table = Table()
    assert table.set(b"k", b"1") is True
    assert table.set(b"k", b"2") is False
    assert table.get(b"k") == b"2"
    assert b"k" in table
    assert len(table) == 1


def test_pop_returns_the_value_or_none() -> None:
    table = Table()
    table.set(b"k", b"1")
    assert table.pop(b"k") == b"1"
    assert table.pop(b"k") is None
    assert len(table) == 0


def test_an_empty_table_scans_in_one_call() -> None:
    assert Table().scan(0, 10) == (0, [])


@pytest.mark.parametrize("size", [1, 84, 85, 86, 1000])
def test_shards_are_the_keys_each_once(size: int) -> None:
    table = Table()
    for number in range(size):
        table.set(b"%d" % number, number)
    keys = [key for shard in table.shards() for key in shard]
    assert sorted(keys) == sorted(b"%d" % number for number in range(size))


def test_readers_find_keys_in_the_directory_themselves() -> None:
    table = Table()
    for number in range(1000):
        table.set(b"%d" % number, number)
    for number in range(1000):
        key = b"%d" % number
        assert table.directory[hash(key) & table.mask].get(key) == number
