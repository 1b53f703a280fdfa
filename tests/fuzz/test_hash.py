"""Hashes and the deadlines of their fields against naive models."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.data.expires import NEVER
from redis_trio.data.field_deadlines import FEW, FieldDeadlines
from redis_trio.data.hash import Hash
from redis_trio.data.thresholds import Thresholds
from tests.fuzz import FACTOR

SETTINGS = settings(max_examples=60 * FACTOR, derandomize=True, deadline=None)

Row = tuple[bytes, bytes, int]


class Model:
    """A hash as Redis keeps a small one: rows of field, value and deadline, searched from the left.

    Attributes:
      big: whether it ever outgrew the thresholds; the order of rows means nothing then.
      timed: whether a field was ever given a deadline.
    """

    def __init__(self, entries: int, size: int) -> None:
        self.rows: list[Row] = []
        self.entries = entries
        self.size = size
        self.big = False
        self.timed = False

    def find(self, field: bytes) -> int | None:
        return next((i for i, row in enumerate(self.rows) if row[0] == field), None)

    def insert(self, row: Row) -> None:
        place = len(self.rows)
        if row[2] != NEVER:
            later = [i for i, other in enumerate(self.rows) if not NEVER < other[2] < row[2]]
            place = later[0] if later else place
        self.rows.insert(place, row)

    def set(self, field: bytes, value: bytes, keep: bool) -> bool:
        place = self.find(field)
        if place is None:
            self.rows.append((field, value, NEVER))
        elif keep or self.rows[place][2] == NEVER:
            self.rows[place] = (field, value, self.rows[place][2])
        else:
            del self.rows[place]
            self.rows.append((field, value, NEVER))
        longest = max(len(field), len(value))
        self.big = self.big or longest > self.size or len(self.rows) > self.entries
        return place is None

    def delete(self, field: bytes) -> bool:
        place = self.find(field)
        if place is not None:
            del self.rows[place]
        return place is not None

    def expire(self, field: bytes, when_ms: int) -> None:
        place = self.find(field)
        assert place is not None
        value = self.rows.pop(place)[1]
        self.insert((field, value, when_ms))


def check(value: Hash, model: Model, now_ms: int) -> None:
    """Compare everything that can be asked of a hash."""
    pairs = [(field, text) for field, text, _ in model.rows]
    living = [(field, text) for field, text, when in model.rows if not NEVER < when <= now_ms]
    found = [*value.to_dict().items()]
    found_living = [*value.living(now_ms).items()]
    assert [field for field, _ in found] == list(value.fields())
    cursor, scanned = value.scan(0, 10_000)
    assert cursor == 0
    if model.big:
        assert sorted(found) == sorted(pairs)
        assert sorted(found_living) == sorted(living)
        assert sorted(scanned) == sorted(field for field, _ in pairs)
    else:
        assert found == pairs
        assert found_living == living
        assert scanned == [field for field, _ in pairs]
    assert len(value) == len(model.rows)
    assert all(value.get(field) == text for field, text in pairs)
    assert all(value.deadline(field) == when for field, _, when in model.rows)
    small = b"listpackex" if model.timed else b"listpack"
    assert value.encoding() == (b"hashtable" if model.big else small)


@SETTINGS
@given(st.integers(), st.integers(0, 200), st.lists(st.sampled_from("ssktpde"), max_size=40))
def test_a_hash_does_what_the_model_does(seed: int, entries: int, steps: list[str]) -> None:
    """Each step does something to a few fields: set, keep, time, persist, delete, expire."""
    rng = Random(seed)
    thresholds = Thresholds()
    thresholds.hash_entries = entries
    thresholds.hash_value = 5
    value = Hash()
    model = Model(entries, 5)
    now_ms = 1000
    for step in steps:
        for _ in range(rng.choice([1, 2, 50])):
            field = b"%d" % rng.randrange(300)
            if step in "sk":
                text = b"%d" % rng.randrange(10 ** rng.choice([3, 3, 3, 6]))
                put = value.set if step == "s" else value.store
                assert put(field, text, thresholds) == model.set(field, text, step == "k")
            elif step == "d":
                assert value.delete(field) == model.delete(field)
            elif step == "p":
                place = model.find(field)
                had = place is not None and model.rows[place][2] != NEVER
                assert value.persist(field) == had
                if place is not None and had:
                    model.rows.append((*model.rows.pop(place)[:2], NEVER))
        if step == "t":
            when_ms = now_ms + rng.randrange(100)
            fields = [field for field, _, _ in model.rows if rng.random() < 0.3]
            rng.shuffle(fields)
            fields += fields[:2]
            model.timed = True
            deadlines = value.keep_deadlines()
            for field in fields:
                deadlines.set(field, when_ms)
                model.expire(field, when_ms)
            value.put_in_order(fields, when_ms)
        elif step == "e" and value.deadlines is not None:
            now_ms += 20
            for field in value.deadlines.pop_due(now_ms, 10**6):
                assert value.delete(field)
            model.rows = [row for row in model.rows if not NEVER < row[2] <= now_ms]
        if rng.random() < 0.2:
            value = value.copy()
        check(value, model, now_ms + 5)


@SETTINGS
@given(st.integers(), st.lists(st.integers(-2 * FEW, 2 * FEW), max_size=12))
def test_deadlines_come_in_order_and_in_time(seed: int, phases: list[int]) -> None:
    """Each phase sets (or, if negative, removes) deadlines; then time passes and some are due."""
    rng = Random(seed)
    deadlines = FieldDeadlines()
    model: dict[bytes, int] = {}
    now_ms = rng.randrange(10**12)
    for amount in phases:
        for _ in range(abs(amount)):
            field = b"%d" % rng.randrange(3 * FEW)
            if amount > 0:
                when_ms = now_ms + rng.randrange(10 ** rng.randrange(1, 10))
                deadlines.set(field, when_ms)
                model[field] = when_ms
            else:
                assert deadlines.remove(field) == model.pop(field, NEVER)
        assert len(deadlines) == len(model)
        assert dict(deadlines.items()) == model
        if model:
            assert NEVER < deadlines.next_ms() <= min(model.values())
        now_ms += rng.randrange(10 ** rng.randrange(1, 10))
        popped: list[bytes] = []
        while NEVER < deadlines.next_ms() <= now_ms:
            due = deadlines.pop_due(now_ms, rng.randrange(1, 50))
            assert [deadlines.remove(field) for field in due] == [model[field] for field in due]
            popped += due
        due_ms = [model.pop(field) for field in popped]
        assert due_ms == sorted(due_ms)
        assert all(when_ms > now_ms for when_ms in model.values())
        assert all(when_ms <= now_ms for when_ms in due_ms)
    assert dict(deadlines.copy().items()) == model
