"""Consumer groups against naive models: dicts that are sorted whenever somebody asks."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.data.stream_group import CHUNK, SMALL, Group, Pending, PendingList
from redis_trio.data.stream_id import ZERO_ID, StreamId
from tests.fuzz import FACTOR

SETTINGS = settings(max_examples=60 * FACTOR, derandomize=True, deadline=None)
TOP = 2**64 - 1

Model = dict[StreamId, tuple[bytes, int, int]]
"""Of each pending entry: its consumer, when it was delivered, how often."""


def ids(pending: PendingList) -> list[StreamId]:
    return [entry.id for chunk in pending.chunks for entry in chunk]


def check_shape(pending: PendingList) -> None:
    sizes = [len(chunk) for chunk in pending.chunks]
    assert all(0 < size <= CHUNK for size in sizes)
    assert sum(sizes) == pending.count == len(pending)
    assert ids(pending) == sorted(set(ids(pending)))


def draw_id(rng: Random, span: int) -> StreamId:
    """An id of a few, so that they meet, in a place where ids can be."""
    number = rng.randrange(span)
    return rng.choice([(number, 0), (0, number), (number // 7, number % 7), (TOP, TOP - number)])


def found_by_runs(pending: PendingList, start: StreamId, limit: int) -> list[StreamId]:
    """Every id from `start` on, asked for a few at a time."""
    found: list[StreamId] = []
    run = pending.run(start, limit)
    while run:
        assert len(run) <= limit
        found.extend(entry.id for entry in run)
        run = pending.run(run[-1].behind, limit)
    return found


@SETTINGS
@given(
    st.integers(),
    st.lists(st.tuples(st.integers(-900, 900), st.integers(1, 700), st.booleans()), max_size=8),
)
def test_a_pending_list_holds_what_a_dict_does(
    seed: int, phases: list[tuple[int, int, bool]]
) -> None:
    """Each phase adds (or, if negative, removes) entries, in order of ids or at random."""
    rng = Random(seed)
    pending = PendingList()
    model: dict[StreamId, Pending] = {}
    beyond = 1000
    for amount, span, in_order in phases:
        for _ in range(abs(amount)):
            beyond += 1
            id_ = (beyond, 0) if in_order else draw_id(rng, span)
            if amount < 0 and model and in_order:
                id_ = min(model)
            entry = model.get(id_)
            assert pending.find(id_) is entry
            if amount > 0 and entry is None:
                model[id_] = Pending(id_, 1, 1, b"c")
                pending.add(model[id_])
            elif amount < 0 and entry is not None:
                pending.remove(model.pop(id_))
        check_shape(pending)
        assert ids(pending) == sorted(model)
        if model:
            assert pending.first().id == min(model)
            assert pending.last().id == max(model)
        start = draw_id(rng, span)
        limit = rng.choice([1, 5, 10_000])
        assert [entry.id for entry in pending.head(limit)] == sorted(model)[:limit]
        assert [entry.id for entry in pending.head(0)] == sorted(model)
        assert found_by_runs(pending, start, limit) == sorted(i for i in model if i >= start)


def check_group(group: Group, model: Model) -> None:
    check_shape(group.pending)
    assert ids(group.pending) == sorted(model)
    for consumer in group.consumers.values():
        check_shape(consumer.pending)
        assert ids(consumer.pending) == sorted(i for i in model if model[i][0] == consumer.name)
        for chunk in consumer.pending.chunks:
            assert all(group.pending.find(entry.id) is entry for entry in chunk)
    state = {
        entry.id: (entry.consumer, entry.time_ms, entry.count)
        for chunk in group.pending.chunks
        for entry in chunk
    }
    assert state == model


@SETTINGS
@given(st.integers(), st.integers(1, 3000), st.integers(1, 1200))
def test_a_group_knows_who_has_which_entry(seed: int, steps: int, span: int) -> None:
    """Deliver, claim, acknowledge, and now and then lose a consumer or make a copy."""
    rng = Random(seed)
    group = Group(ZERO_ID, 0)
    model: Model = {}
    for now_ms in range(steps):
        name = b"c%d" % rng.randrange(4)
        consumer = group.consumers.get(name) or group.add_consumer(name, now_ms)
        id_ = draw_id(rng, span)
        entry = group.pending.find(id_)
        assert (entry is not None) == (id_ in model)
        action = rng.random()
        if action < 0.5:
            group.deliver(consumer, id_, now_ms)
            model[id_] = (name, now_ms, 1)
        elif action < 0.998 and entry is not None:
            if action < 0.8:
                group.remove_pending(entry)
                del model[id_]
            else:
                group.assign(entry, consumer)
                entry.delivered_again()
                _, time_ms, count = model[id_]
                model[id_] = (name, time_ms, count + 1)
        elif action >= 0.998:
            lost = [i for i in model if model[i][0] == name]
            assert group.delete_consumer(name) == len(lost)
            for i in lost:
                del model[i]
    check_group(group, model)
    twin = group.copy()
    check_group(twin, model)
    while len(twin):
        assert twin.free_some(rng.randrange(1, 100)) > 0
    check_group(group, model)


@SETTINGS
@given(st.integers(1, 5000), st.integers(1, 40))
def test_a_consumer_with_few_of_many_entries_is_forgotten(size: int, every: int) -> None:
    group = Group(ZERO_ID, 0)
    many, few = group.add_consumer(b"many", 0), group.add_consumer(b"few", 0)
    for number in range(size):
        group.deliver(few if number % every == 0 else many, (number, 0), 0)
    assert group.delete_consumer(b"few") == len(range(0, size, every))
    check_shape(group.pending)
    assert ids(group.pending) == [(n, 0) for n in range(size) if n % every]
    assert list(group.consumers) == [b"many"]


def test_short_lists_are_united_when_entries_go_at_random() -> None:
    pending = PendingList()
    entries = [Pending((number, 0), 0, 1, b"c") for number in range(20_000)]
    for entry in entries:
        pending.add(entry)
    assert len(pending.chunks) == -(-20_000 // CHUNK)
    Random(1).shuffle(entries)
    for entry in entries[200:]:
        pending.remove(entry)
    check_shape(pending)
    assert len(pending.chunks) <= 200 // SMALL + 2
