"""A stream against the plainest model there is, a list of (id, words)."""

from __future__ import annotations

from bisect import bisect_left
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.data.radix_tree import count_tree_nodes
from redis_trio.data.stream import Stream, Text
from redis_trio.data.stream_id import (
    MAX_ID,
    SEQ_MAX,
    ZERO_ID,
    StreamId,
    format_id,
    next_id,
    parse_id,
    previous_id,
)
from redis_trio.data.thresholds import Thresholds
from redis_trio.protocol.reply import encode_resp2
from tests.fuzz import FACTOR

SETTINGS = settings(max_examples=60 * FACTOR, derandomize=True, deadline=None)

Entry: TypeAlias = tuple[StreamId, list[bytes]]

NUMBERS = st.one_of(
    st.integers(0, 40), st.sampled_from([127, 2**31, 2**62, 2**63 - 1, 2**63, SEQ_MAX])
)
IDS = st.tuples(NUMBERS, NUMBERS)
WORD = st.one_of(st.sampled_from([b"f", b"", b"12", b"-1", b"\r\n", b"*2\r\n"]), st.binary())
WORDS = st.lists(st.tuples(WORD, WORD), min_size=1, max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 3), st.integers(0, 3), WORDS),
        st.tuples(st.just("append"), st.integers(0, 3), st.integers(0, 3), WORDS),
        st.tuples(st.just("append at"), NUMBERS, NUMBERS, WORDS),
        st.tuples(st.just("delete"), st.integers(0, 100), st.integers(0, 100), st.just([])),
        st.tuples(st.just("trim to"), st.integers(0, 30), st.just(0), st.just([])),
        st.tuples(st.just("trim before"), st.integers(0, 60), st.integers(0, 3), st.just([])),
    ),
    max_size=60,
)


def encoded(entries: list[Entry]) -> bytes:
    """The entries as replies carry them, one behind the other."""
    out: list[bytes] = []
    for id_, words in entries:
        encode_resp2(out, [format_id(id_), words])
    return b"".join(out)


def flat(words: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [word for pair in words for word in pair]


def append(stream: Stream, model: list[Entry], id_: StreamId, words: list[bytes]) -> None:
    limits = Thresholds()
    limits.stream_entries = 5
    limits.stream_bytes = 120
    if id_ > stream.last_id:
        assert stream.append(id_, format_id(id_), [b"XADD", *words], 1, limits)
        model.append((id_, words))


def delete(stream: Stream, model: list[Entry], start: int, step: int) -> None:
    """Delete every so-and-so-many-th entry, and one that is not there."""
    gone = [id_ for id_, _ in model[start :: step + 1]]
    deleted_before = stream.max_deleted_id
    assert stream.delete([*gone, ZERO_ID, *gone]) == len(gone)
    assert stream.max_deleted_id == max([deleted_before, *gone])
    model[:] = [entry for entry in model if entry[0] not in gone]


def check(stream: Stream, model: list[Entry], start: StreamId, end: StreamId) -> None:
    """Compare everything that can be asked for."""
    ids = [id_ for id_, _ in model]
    assert len(stream) == stream.length == len(model)
    assert stream.first_id == (ids[0] if ids else ZERO_ID)
    assert stream.last_entry_id() == (ids[-1] if ids else ZERO_ID)
    for low, high in ((start, end), (ZERO_ID, MAX_ID), (end, start), (start, start)):
        wanted = [entry for entry in model if low <= entry[0] <= high]
        for count in (0, 1, 7):
            some = wanted[:count] if count else wanted
            out: list[Text] = []
            assert stream.encoded(low, high, count, out) == len(some)
            assert b"".join(out) == encoded(some)
            assert stream.ids(low, high, count) == [id_ for id_, _ in some]
            some = wanted[::-1][:count] if count else wanted[::-1]
            out = []
            assert stream.encoded_reversed(low, high, count, out) == len(some)
            assert b"".join(out) == encoded(some)
    for id_, words in model:
        assert id_ in stream
        entry = stream.entry(id_)
        assert entry is not None
        assert bytes(entry) == encoded([(id_, words)])
        assert stream.words(id_) == words
    assert (start in stream) == (start in ids)
    assert (stream.words(start) is None) == (start not in ids)


@SETTINGS
@given(STEPS, IDS, IDS)
def test_a_stream_holds_what_the_model_holds(
    steps: list[tuple[str, int, int, list[tuple[bytes, bytes]]]], start: StreamId, end: StreamId
) -> None:
    stream = Stream()
    model: list[Entry] = []
    added = 0
    for step, a, b, words in steps:
        ms, seq = stream.last_id
        before = len(model)
        if step == "append":
            append(
                stream,
                model,
                (min(ms + a, SEQ_MAX), b if a else min(seq + b, SEQ_MAX)),
                flat(words),
            )
        elif step == "append at":
            append(stream, model, (a, b), flat(words))
        elif step == "delete":
            delete(stream, model, a, b)
        elif step == "trim to":
            assert stream.trim_to(a, False, 0) == max(0, before - a)
            del model[: max(0, before - a)]
        else:
            gone = bisect_left([id_ for id_, _ in model], (a, b))
            assert stream.trim_before((a, b), False, 0) == gone
            del model[:gone]
        added += max(0, len(model) - before)
    assert stream.entries_added == added
    check(stream, model, start, end)
    twin = stream.copy()
    stream.delete([id_ for id_, _ in model])
    append(stream, [], (SEQ_MAX, SEQ_MAX), [b"f", b"v"])
    check(twin, model, start, end)
    effort = 0
    while len(twin):
        effort += twin.free_some(10)
    assert effort == len(model)


@SETTINGS
@given(STEPS, st.integers(0, 30), st.integers(0, 30))
def test_trimming_about_frees_whole_nodes_within_its_limit(
    steps: list[tuple[str, int, int, list[tuple[bytes, bytes]]]], wanted: int, limit: int
) -> None:
    stream = Stream()
    model: list[Entry] = []
    for number, (_, _, _, words) in enumerate(steps):
        append(stream, model, (number + 1, 0), flat(words) or [b"f", b"v"])
    delete(stream, model, 1, 3)
    by_id = stream.copy()
    for trimmed, min_length in ((stream, wanted), (by_id, 0)):
        sizes = [node.count for node in trimmed.nodes]
        if trimmed is stream:
            gone = stream.trim_to(wanted, True, limit)
        else:
            gone = by_id.trim_before((wanted, 0), True, limit)
            assert [id_ for id_, _ in model[:gone] if id_ >= (wanted, 0)] == []
        assert gone in [sum(sizes[:count]) for count in range(len(sizes) + 1)]
        assert len(trimmed) == len(model) - gone >= min(min_length, len(model))
        assert not limit or gone <= limit
        assert trimmed.ids(ZERO_ID, MAX_ID, 0) == [id_ for id_, _ in model[gone:]]


@SETTINGS
@given(IDS)
def test_an_id_reads_back_and_has_its_neighbours(id_: StreamId) -> None:
    assert parse_id(format_id(id_)) == id_
    following = next_id(id_)
    assert following is None or (following > id_ and previous_id(following) == id_)
    assert (following is None) == (id_ == MAX_ID)
    assert (previous_id(id_) is None) == (id_ == ZERO_ID)


class Plain:
    """A tree with a node for each byte."""

    def __init__(self) -> None:
        self.children: dict[int, Plain] = {}

    def insert(self, key: bytes) -> None:
        if key:
            self.children.setdefault(key[0], Plain()).insert(key[1:])

    def compressed(self) -> int:
        """How many nodes it has if runs without a fork are one node."""
        if not self.children:
            return 1
        if len(self.children) == 1:
            node = self
            while len(node.children) == 1:
                (node,) = node.children.values()
            return 1 + node.compressed()
        return 1 + sum(child.compressed() for child in self.children.values())


@SETTINGS
@given(st.sets(IDS))
def test_the_nodes_of_a_radix_tree_are_counted_without_one(keys: set[StreamId]) -> None:
    tree = Plain()
    for ms, seq in keys:
        tree.insert(ms.to_bytes(8, "big") + seq.to_bytes(8, "big"))
    assert count_tree_nodes(sorted(keys)) == tree.compressed()
