"""The sorted set against a naive model: a dict that is sorted for each question."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.data import sorted_set
from redis_trio.data.sorted_set import (
    ADDED,
    SAME,
    UPDATED,
    LexRange,
    ScoreRange,
    SortedSet,
    from_items,
    from_scores,
)
from redis_trio.data.thresholds import Thresholds
from tests.fuzz import FACTOR

SETTINGS = settings(max_examples=60 * FACTOR, derandomize=True, deadline=None)
SCORES = [-math.inf, -2.5, -1.0, -0.0, 0.0, 1e-300, 1.0, 1.5, 3.0, 1e300, math.inf]

Item = tuple[bytes, float]


class Model:
    """What a sorted set holds, kept simply."""

    def __init__(self) -> None:
        self.scores: dict[bytes, float] = {}

    def items(self) -> list[Item]:
        return sorted(self.scores.items(), key=lambda item: (item[1], item[0]))


def name(number: int) -> bytes:
    return b"m%d" % number


def thresholds(entries: int) -> Thresholds:
    limits = Thresholds()
    limits.zset_entries = entries
    return limits


def check(zset: SortedSet, model: Model) -> None:
    """Compare everything, and check the invariants that the module states."""
    items = model.items()
    assert zset.all_items() == items
    assert len(zset) == len(items)
    assert zset.members(0, zset.end(), True) == [member for member, _ in reversed(items)]
    for rank, (member, score) in enumerate(items):
        assert zset.get(member) == score
        assert zset.rank(member) == rank
    assert zset.get(b"absent") is None
    assert zset.rank(b"absent") == -1


def check_ranks(zset: SortedSet, rng: Random) -> None:
    """A place is the rank's, and one step from its neighbours."""
    for _ in range(3):
        rank = rng.randrange(len(zset) + 1)
        place = zset.place_of(rank)
        assert zset.rank_of(place) == rank
        if rank < len(zset):
            assert zset.item_at(rank) == zset.all_items()[rank]
            assert zset.place_of(rank + 1) > place


def a_score(rng: Random, kinds: int) -> float:
    return rng.choice(SCORES) if kinds else rng.uniform(-1000, 1000)


Phases = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "pop", "delete"]), st.integers(1, 1500)),
    max_size=8,
)


@SETTINGS
@given(st.integers(), st.integers(0, 3000), st.booleans(), st.integers(10, 4000), Phases)
def test_a_sorted_set_holds_what_the_model_does(
    seed: int, entries: int, ties: bool, span: int, phases: list[tuple[str, int]]
) -> None:
    rng = Random(seed)
    limits = thresholds(entries)
    zset, model = SortedSet(), Model()
    for what, amount in phases:
        for _ in range(amount if what in {"add", "remove"} else 1):
            change(zset, model, rng, limits, what, ties, span)
        if what == "pop":
            pop(zset, model, min(amount, len(model.scores)), rng)
        check_ranks(zset, rng)
        check(zset, model)
        check(zset.copy(), model)
    assert zset.encoding() in {b"listpack", b"skiplist"}


def change(
    zset: SortedSet,
    model: Model,
    rng: Random,
    limits: Thresholds,
    what: str,
    ties: bool,
    span: int,
) -> None:
    """Make one random change of a kind to both."""
    member = name(rng.randrange(span))
    old = model.scores.get(member)
    if what == "add":
        score = a_score(rng, ties)
        did = zset.add(member, score, limits)
        assert did == (ADDED if old is None else SAME if old == score else UPDATED)
        if old != score:
            model.scores[member] = score
    elif what == "remove":
        assert zset.remove(member) == (model.scores.pop(member, None) is not None)
    elif what == "delete":
        start, stop = (rng.randrange(len(zset) + 1) for _ in range(2))
        gone = model.items()[start:stop]
        assert zset.delete_between(zset.place_of(start), zset.place_of(stop)) == len(gone)
        for member, _ in gone:
            del model.scores[member]


def pop(zset: SortedSet, model: Model, amount: int, rng: Random) -> None:
    """Pop so many members, each from a random end."""
    left = model.items()
    for _ in range(amount):
        last = rng.random() < 0.5
        item = left.pop(-1 if last else 0)
        assert zset.pop(last) == item
        del model.scores[item[0]]


@SETTINGS
@given(
    st.integers(),
    st.integers(0, 2000),
    st.sampled_from([*SCORES, 2.0]),
    st.sampled_from([*SCORES, 2.0]),
    st.booleans(),
    st.booleans(),
)
def test_ranges_of_scores(
    seed: int, size: int, low: float, high: float, minex: bool, maxex: bool
) -> None:
    rng = Random(seed)
    zset = from_scores({name(i): rng.choice(SCORES) for i in range(size)}, thresholds(128))
    items = [
        (member, score)
        for member, score in zset.all_items()
        if (score > low if minex else score >= low) and (score < high if maxex else score <= high)
    ]
    start, stop = zset.score_span(ScoreRange(low, minex, high, maxex))
    check_span(zset, start, stop, items, rng)


@SETTINGS
@given(
    st.integers(),
    st.integers(0, 2000),
    st.none() | st.binary(max_size=2),
    st.none() | st.binary(max_size=2),
    st.booleans(),
    st.booleans(),
)
def test_ranges_of_members(
    seed: int, size: int, low: bytes | None, high: bytes | None, minex: bool, maxex: bool
) -> None:
    rng = Random(seed)
    zset = from_scores({rng.randbytes(2): 1.5 for _ in range(size)}, thresholds(128))
    items = [
        (member, score)
        for member, score in zset.all_items()
        if (low is None or (member > low if minex else member >= low))
        and (high is None or (member < high if maxex else member <= high))
    ]
    start, stop = zset.lex_span(LexRange(low, minex, high, maxex), rng.random() < 0.5)
    check_span(zset, start, stop, items, rng)


def check_span(zset: SortedSet, start: int, stop: int, items: list[Item], rng: Random) -> None:
    """Everything that can be asked about what is between two places."""
    assert zset.items(start, stop) == items
    assert zset.items(start, stop, True) == items[::-1]
    assert zset.members(start, stop) == [member for member, _ in items]
    assert zset.members(start, stop, True) == [member for member, _ in items[::-1]]
    assert zset.count_between(start, stop) == len(items)
    if items:
        offset = rng.randrange(len(items) + 2)
        assert zset.items(zset.advance(start, stop, offset), stop) == items[offset:]
        kept = items[: max(0, len(items) - offset)]
        assert zset.items(start, zset.retreat(start, stop, offset)) == kept


@SETTINGS
@given(st.integers(), st.integers(0, 1500), st.integers(0, 1500), st.booleans())
def test_a_set_built_at_once_is_one_built_in_turn(
    seed: int, size: int, entries: int, is_skiplist: bool
) -> None:
    rng = Random(seed)
    limits = thresholds(entries)
    scores = {name(rng.randrange(3000)): rng.choice(SCORES) for _ in range(size)}
    in_turn = SortedSet()
    if is_skiplist:
        in_turn.convert()
    for member, score in scores.items():
        in_turn.insert(member, score, limits)
    built = from_items(list(scores.items()), is_skiplist, limits)
    assert [(m, str(s)) for m, s in built.all_items()] == [
        (m, str(s)) for m, s in in_turn.all_items()
    ]
    assert built.encoding() == in_turn.encoding()
    at_once = from_scores(scores, limits)
    assert at_once.all_items() == in_turn.all_items()
    assert at_once.encoding() == (b"listpack" if len(scores) <= entries else b"skiplist")


@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_a_set_is_freed_in_parts(size: int) -> None:
    zset = from_scores({name(i): 1.0 for i in range(size)}, thresholds(128))
    calls = 0
    while len(zset):
        zset.free_some(1000)
        calls += 1
        assert calls < 100
    assert calls == 0 if size == 0 else calls >= size // 1000


def test_blocks_stay_between_their_bounds() -> None:
    """Adding and removing at random leaves no crowd of short blocks."""
    rng = Random(5)
    limits = thresholds(128)
    zset = SortedSet()
    for _ in range(20_000):
        zset.add(name(rng.randrange(40_000)), rng.random(), limits)
    for _ in range(60_000):
        zset.remove(name(rng.randrange(40_000)))
    lengths = [len(block) for block in zset._members]
    assert max(lengths) <= sorted_set.BLOCK_MAX
    assert len(lengths) <= 2 + len(zset) // 64
