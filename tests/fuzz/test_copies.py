"""Copies share what nobody has changed: whatever happens to one, the others stay as they were."""

from __future__ import annotations

from random import Random

import pytest

from redis_trio.data import sorted_set
from redis_trio.data.sorted_set import SortedSet
from redis_trio.data.table import Table
from redis_trio.data.thresholds import Thresholds
from tests.fuzz import FACTOR

ROUNDS = 40 * FACTOR


def check_table(table: Table, model: dict[bytes, object]) -> None:
    found = {key: value for shard in table.shards() for key, value in shard.items()}
    assert found == model
    assert table.count == len(model)
    for key, value in model.items():
        assert table.get(key) == value
    scanned: list[bytes] = []
    cursor = 0
    while True:
        cursor, keys = table.scan(cursor, 10)
        scanned += keys
        if cursor == 0:
            break
    assert sorted(scanned) == sorted(model)


@pytest.mark.parametrize("seed", range(4))
def test_tables_that_were_copied_change_apart(seed: int) -> None:
    rng = Random(seed)
    tables: list[tuple[Table, dict[bytes, object]]] = [(Table(), {})]
    for round_ in range(ROUNDS):
        table, model = rng.choice(tables)
        grows = rng.random() < (0.8 if round_ < ROUNDS // 2 else 0.3)
        for _ in range(rng.choice([1, 10, 300])):
            key = b"%d" % rng.randrange(1500)
            if rng.random() < grows * 0.6 + 0.2:
                assert table.set(key, key + b"!") == (key not in model)
                model[key] = key + b"!"
            else:
                assert table.pop(key) == model.pop(key, None)
        if rng.random() < 0.4 and len(tables) < 5:
            tables.append((table.copy(), dict(model)))
        elif rng.random() < 0.2 and len(tables) > 1:
            gone, _ = tables.pop(rng.randrange(len(tables)))
            while gone.count:
                gone.free_some(50)
        for other, expected in tables:
            check_table(other, expected)


@pytest.mark.parametrize("seed", range(4))
def test_sorted_sets_that_were_copied_change_apart(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("BLOCK_MAX", 16), ("_BLOCK_MERGE", 4), ("_BLOCK_MERGED", 10)):
        monkeypatch.setattr(sorted_set, name, value)  # compiled code keeps its own
    rng = Random(seed)
    thresholds = Thresholds()
    thresholds.zset_entries = 8
    sets: list[tuple[SortedSet, dict[bytes, float]]] = [(SortedSet(), {})]
    for _ in range(ROUNDS):
        zset, model = rng.choice(sets)
        for _ in range(rng.choice([1, 5, 100])):
            member = b"%d" % rng.randrange(300)
            step = rng.random()
            if step < 0.6:
                score = float(rng.randrange(20))
                zset.add(member, score, thresholds)
                model[member] = score
            elif step < 0.9:
                assert zset.remove(member) == (model.pop(member, None) is not None)
            elif model:
                ordered = sorted(model, key=lambda name: (model[name], name))
                start = rng.randrange(len(ordered))
                stop = rng.randrange(start, min(start + 40, len(ordered)) + 1)
                zset.delete_between(zset.place_of(start), zset.place_of(stop))
                for removed in ordered[start:stop]:
                    del model[removed]
        if rng.random() < 0.4 and len(sets) < 5:
            sets.append((zset.copy(), dict(model)))
        elif rng.random() < 0.2 and len(sets) > 1:
            gone, _ = sets.pop(rng.randrange(len(sets)))
            while len(gone):
                gone.free_some(20)
        for other, expected in sets:
            assert [(member, score) for member, score in other.all_items()] == sorted(
                expected.items(), key=lambda item: (item[1], item[0])
            )
            for member, score in expected.items():
                assert other.get(member) == score
