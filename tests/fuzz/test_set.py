"""Sets against Python's set: members, encodings, and how fair random picks are."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.data.set import Set, listpack_set, new_set
from redis_trio.data.thresholds import Thresholds
from tests.fuzz import FACTOR

SETTINGS = settings(max_examples=60 * FACTOR, derandomize=True, deadline=None)


def thresholds(intset: int, entries: int, value: int) -> Thresholds:
    limits = Thresholds()
    limits.set_intset, limits.set_entries, limits.set_value = intset, entries, value
    return limits


LIMITS = st.builds(thresholds, st.integers(0, 40), st.integers(0, 40), st.integers(0, 12))
MEMBERS = st.one_of(
    st.integers(-30, 30).map(lambda number: b"%d" % number),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: b"%d" % number),
    st.sampled_from([b"", b"01", b"+1", b"-0", b" 1", b"9223372036854775808", b"x" * 13]),
    st.binary(max_size=3),
)


def is_integer(member: bytes) -> bool:
    try:
        number = int(member)
    except ValueError:
        return False
    return b"%d" % number == member and -(2**63) <= number < 2**63


def check(subject: Set, model: dict[bytes, None], limits: Thresholds) -> None:
    """Compare a set with a dict of the members in the order in which they were added."""
    members = subject.members()
    assert len(subject) == len(members) == len(model)
    assert set(members) == set(model)
    assert [member for chunk in subject.chunks() for member in chunk] == members
    assert all(subject.has(member) for member in model)
    if subject.encoding() == b"intset":
        assert all(map(is_integer, model))
        assert len(model) <= limits.set_intset
        assert members == sorted(model, key=int)
    elif subject.encoding() == b"listpack":
        assert len(model) <= limits.set_entries
        assert all(len(member) <= limits.set_value for member in model)


@SETTINGS
@given(LIMITS, st.integers(), st.lists(st.tuples(st.integers(0, 9), MEMBERS), max_size=120))
def test_a_set_holds_what_a_set_does(
    limits: Thresholds, seed: int, steps: list[tuple[int, bytes]]
) -> None:
    """It never has a more compact encoding than before, except after a pop of nearly all."""
    rng = Random(seed)
    subject = Set()
    model: dict[bytes, None] = {}
    rank = [b"intset", b"listpack", b"hashtable"]
    before = 0
    for action, member in steps:
        if action < 6:
            assert subject.add(member, limits) == (member not in model)
            model[member] = None
        elif action < 8:
            assert subject.remove(member) == (member in model)
            model.pop(member, None)
        elif model:
            popped = [subject.pop_random(rng)]
            if len(model) > 2:
                popped += subject.pop_sample(rng.randrange(1, len(model) - 1), rng, limits)
                before = 0
            assert len(set(popped)) == len(popped)
            for name in popped:
                del model[name]
        check(subject, model, limits)
        assert rank.index(subject.encoding()) >= before
        before = rank.index(subject.encoding())
        assert not subject.has(b"absent")


@SETTINGS
@given(LIMITS, st.integers(), st.lists(MEMBERS, min_size=2, max_size=90, unique=True))
def test_random_members_are_members(limits: Thresholds, seed: int, members: list[bytes]) -> None:
    rng = Random(seed)
    subject = Set()
    for member in members:
        subject.add(member, limits)
    count = rng.randrange(1, len(members))
    sample = subject.sample(count, rng)
    assert len(set(sample)) == len(sample) == count
    assert set(sample) < set(members)
    picked = subject.pick(200, rng)
    assert len(picked) == 200
    assert set(picked) <= set(members)
    assert set(subject.members()) == set(members)


@SETTINGS
@given(LIMITS, st.lists(MEMBERS, max_size=60), MEMBERS)
def test_a_copy_shares_nothing(limits: Thresholds, members: list[bytes], more: bytes) -> None:
    subject = Set()
    for member in members:
        subject.add(member, limits)
    copy = subject.copy()
    assert copy.encoding() == subject.encoding()
    assert copy.members() == subject.members()
    before = subject.members()
    copy.add(more, limits)
    for member in members:
        copy.remove(member)
    assert subject.members() == before
    assert len(copy) == (0 if more in members else 1)


def test_the_copy_of_a_big_set_changes_alone() -> None:
    """The copied table splits and merges shards that several slots refer to."""
    limits = Thresholds()
    subject = big(5000)
    copy = subject.copy()
    for number in range(5000, 12_000):
        copy.add(b"%d" % number, limits)
    assert set(subject.members()) == {b"%d" % number for number in range(5000)}
    for number in range(100, 12_000):
        copy.remove(b"%d" % number)
    assert set(copy.members()) == {b"%d" % number for number in range(100)}
    assert len(subject) == 5000
    assert len(subject.members()) == 5000


def test_two_readings_of_a_big_set_are_alike() -> None:
    subject = big(3000)
    found: list[bytes] = []
    cursor = 0
    while True:
        cursor, members = subject.scan(cursor, 50)
        found += members
        if cursor == 0:
            break
    assert sorted(found) == sorted(subject.members())
    assert len(found) == 3000


def big(size: int) -> Set:
    """A set of so many integers, as a hash table."""
    subject = new_set(b"0", 10**6, Thresholds())
    for number in range(size):
        subject.add(b"%d" % number, Thresholds())
    assert subject.encoding() == b"hashtable"
    return subject


def of_encoding(encoding: bytes, size: int) -> Set:
    if encoding == b"hashtable":
        return big(size)
    subject = Set() if encoding == b"intset" else listpack_set()
    for number in range(size):
        subject.add(b"%d" % number, Thresholds())
    assert subject.encoding() == encoding
    return subject


ENCODINGS = [b"intset", b"listpack", b"hashtable"]
CRITICAL = {1: 10.83, 5: 20.5, 99: 148.2}
"""Chi-square that a fair choice exceeds once in a thousand, by degrees of freedom."""


def chi_square(counts: Counter[bytes], cells: int) -> float:
    expected = sum(counts.values()) / cells
    found = sum((count - expected) ** 2 / expected for count in counts.values())
    return found + (cells - len(counts)) * expected


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_member_is_as_likely_to_be_picked(encoding: bytes) -> None:
    subject = of_encoding(encoding, 100)
    rng = Random(5)
    assert chi_square(Counter(subject.random(rng) for _ in range(20_000)), 100) < CRITICAL[99]
    assert chi_square(Counter(subject.pick(20_000, rng)), 100) < CRITICAL[99]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_member_is_as_likely_to_be_popped(encoding: bytes) -> None:
    rng = Random(6)
    firsts = Counter(of_encoding(encoding, 6).pop_random(rng) for _ in range(6000))
    assert chi_square(firsts, 6) < CRITICAL[5]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("count", [10, 60])
def test_each_member_is_as_likely_to_be_in_a_sample(encoding: bytes, count: int) -> None:
    """10 of 100 are drawn one by one, 60 are what is left of all."""
    subject = of_encoding(encoding, 100)
    rng = Random(7)
    counts: Counter[bytes] = Counter()
    for _ in range(20_000 // count):
        counts.update(subject.sample(count, rng))
    assert chi_square(counts, 100) < CRITICAL[99]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("count", [2, 3])
def test_each_choice_of_members_is_as_likely(encoding: bytes, count: int) -> None:
    """Not members alone: which ones come together."""
    subject = of_encoding(encoding, 4)
    rng = Random(8)
    choices = Counter(b"".join(sorted(subject.sample(count, rng))) for _ in range(6000))
    cells = len(list(combinations(range(4), count)))
    assert chi_square(choices, cells) < {4: 16.3, 6: CRITICAL[5]}[cells]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("count", [3, 11])
def test_each_member_is_as_likely_to_be_in_a_popped_sample(encoding: bytes, count: int) -> None:
    """3 of 12 are picked, of 11 the one that stays."""
    rng = Random(9)
    counts: Counter[bytes] = Counter()
    for _ in range(800):
        subject = of_encoding(encoding, 12)
        popped = subject.pop_sample(count, rng, Thresholds())
        counts.update(popped if count == 3 else subject.members())
    assert chi_square(counts, 12) < 31.3
