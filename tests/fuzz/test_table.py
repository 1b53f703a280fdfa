"""The keyspace's structures against naive models, and what SCAN promises."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.data.key_set import LEAF_MAX, KeySet
from redis_trio.data.table import SPLIT_AT, Table
from tests.fuzz import FACTOR

SETTINGS = settings(max_examples=60 * FACTOR, derandomize=True, deadline=None)


def name(number: int) -> bytes:
    return b"key:%d" % number


@SETTINGS
@given(st.integers(), st.lists(st.tuples(st.integers(-400, 400), st.integers(1, 300)), max_size=12))
def test_the_table_holds_what_a_dict_does(seed: int, phases: list[tuple[int, int]]) -> None:
    """Each phase stores (or, if negative, removes) keys of a range in random order."""
    rng = Random(seed)
    table = Table()
    model: dict[bytes, object] = {}
    for amount, span in phases:
        for _ in range(abs(amount)):
            key = name(rng.randrange(span * 3))
            if amount > 0:
                assert table.set(key, amount) == (key not in model)
                model[key] = amount
            else:
                assert table.pop(key) == model.pop(key, None)
        assert len(table) == len(model)
        assert sorted(table.keys()) == sorted(model)
        assert all(table.get(key) == value for key, value in model.items())
        assert table.get(b"absent") is None


def scan_all(table: Table, count: int) -> Counter[bytes]:
    found: Counter[bytes] = Counter()
    cursor = 0
    for _ in range(10_000):
        cursor, keys = table.scan(cursor, count)
        found.update(keys)
        if cursor == 0:
            return found
    raise AssertionError("the scan does not end")


@SETTINGS
@given(st.integers(0, 3000), st.integers(1, 400))
def test_a_scan_of_what_does_not_change_returns_each_key_once(size: int, count: int) -> None:
    table = Table()
    for number in range(size):
        table.set(name(number), number)
    assert scan_all(table, count) == Counter({name(number): 1 for number in range(size)})


@SETTINGS
@given(st.integers(), st.integers(1, 50), st.integers(0, 800), st.integers(0, 2500))
def test_a_scan_returns_what_was_there_throughout(
    seed: int, count: int, lasting: int, passing: int
) -> None:
    """Meanwhile the table grows to `passing` more keys and shrinks again, several times."""
    rng = Random(seed)
    table = Table()
    for number in range(lasting):
        table.set(name(number), 1)
    seen: set[bytes] = set()
    cursor, calls = 0, 0
    while True:
        cursor, keys = table.scan(cursor, count)
        seen.update(keys)
        calls += 1
        assert calls < 20_000
        if cursor == 0:
            break
        if passing and calls % 3 == 0:
            grows = calls // 30 % 2 == 0
            for _ in range(rng.randrange(passing)):
                key = b"passing:%d" % rng.randrange(passing)
                if grows:
                    table.set(key, 1)
                else:
                    table.pop(key)
    assert seen >= {name(number) for number in range(lasting)}


@SETTINGS
@given(st.integers(0, 2**64 - 1), st.integers(0, 500), st.integers(1, 20))
def test_a_scan_from_any_cursor_ends(cursor: int, size: int, count: int) -> None:
    table = Table()
    for number in range(size):
        table.set(name(number), 1)
    for _ in range(2000):
        cursor, _ = table.scan(cursor, count)
        if cursor == 0:
            return
    raise AssertionError("the scan does not end")


def test_a_call_of_scan_does_no_more_than_was_asked_for() -> None:
    table = Table()
    for number in range(50_000):
        table.set(name(number), 1)
    for count in (1, 10, 100, 1000):
        cursor = 0
        for _ in range(200):
            cursor, keys = table.scan(cursor, count)
            assert len(keys) <= 2 * count + 10
            if cursor == 0:
                break


def test_a_scan_of_a_table_that_was_emptied_is_one_call() -> None:
    table = Table()
    for number in range(20_000):
        table.set(name(number), 1)
    for number in range(20_000):
        table.pop(name(number))
    assert table.scan(0, 1) == (0, [])
    assert len(table.directory) == 1


def test_no_shard_is_longer_than_its_dict_holds_without_growing() -> None:
    table = Table()
    for number in range(100_000):
        table.set(name(number), 1)
    sizes = [len(shard) for shard in table.shards()]
    assert sum(sizes) == len(table) == 100_000
    assert max(sizes) <= SPLIT_AT


def test_keys_whose_hashes_collide_grow_a_shard_and_not_the_directory() -> None:
    table = Table()
    keys: list[bytes] = []
    number = 0
    while len(keys) < 400:
        number += 1
        if hash(name(number)) & 1023 == 0:
            keys.append(name(number))
    for key in keys:
        table.set(key, 1)
    assert len(table.directory) <= 4 * len(keys)
    assert scan_all(table, 7) == Counter(keys)
    assert {table.random_key(Random(seed)) for seed in range(5000)} == set(keys)
    for key in keys:
        assert table.pop(key) == 1
    assert len(table) == 0


def test_each_key_is_as_likely_to_be_picked() -> None:
    """Chi-square over 200 keys; 267 is exceeded in one of a thousand runs of a fair pick."""
    table = Table()
    for number in range(5000):
        table.set(name(number), 1)
    for number in range(200, 5000):
        table.pop(name(number))
    rng = Random(7)
    draws = 40_000
    picked = Counter(table.random_key(rng) for _ in range(draws))
    expected = draws / 200
    chi_square = sum((picked[name(n)] - expected) ** 2 / expected for n in range(200))
    assert chi_square < 300


def test_a_key_is_found_in_a_table_with_next_to_nothing_in_it() -> None:
    table = Table()
    table.set(b"only", 1)
    assert table.random_key(Random(1)) == b"only"


def test_taking_a_table_apart_frees_every_key_in_steps() -> None:
    table = Table()
    for number in range(30_000):
        table.set(name(number), 1)
    steps = 0
    freed = 0
    while len(table):
        step = table.free_some(100)
        assert step <= 100 + SPLIT_AT
        freed += step
        steps += 1
    assert freed == 30_000
    assert steps >= 200


@SETTINGS
@given(st.integers(), st.lists(st.integers(-9000, 9000), max_size=6))
def test_a_key_set_holds_what_a_set_does(seed: int, phases: list[int]) -> None:
    rng = Random(seed)
    keys = KeySet()
    model: set[bytes] = set()
    for amount in phases:
        for _ in range(abs(amount)):
            key = name(rng.randrange(12_000))
            if amount > 0:
                assert keys.add(key) == (key not in model)
                model.add(key)
            else:
                assert keys.discard(key) == (key in model)
                model.discard(key)
        taken = keys.take(rng.randrange(500))
        assert len(set(taken)) == len(taken)
        assert model.issuperset(taken)
        model.difference_update(taken)
        assert len(keys) == len(model)
    assert set(keys.take(10**6)) == model
    assert len(keys) == 0


def test_a_key_set_of_many_is_emptied_piece_by_piece() -> None:
    keys = KeySet()
    for number in range(3 * LEAF_MAX):
        keys.add(name(number))
    taken = [key for _ in range(3 * LEAF_MAX // 64) for key in keys.take(64)]
    assert len(keys) == 0
    assert sorted(taken) == sorted(name(number) for number in range(3 * LEAF_MAX))
