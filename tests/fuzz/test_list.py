"""The list of nodes against a naive model: a Python list with the same operations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.data.list import EMPTY_SIZE, List, Node, entry_size, list_of
from redis_trio.data.thresholds import Thresholds
from tests.fuzz import FACTOR

SETTINGS = settings(max_examples=60 * FACTOR, derandomize=True, deadline=None)
FILLS = (-2, -1, -5, 0, 1, 2, 5, 128)
OPERATIONS = (
    *("push", "push", "push", "push", "pop", "pop", "set", "set", "insert", "insert"),
    *("remove", "pop_many", "trim", "look", "copy"),
)


def limits(fill: int, plain: int = 0) -> Thresholds:
    thresholds = Thresholds()
    thresholds.list_listpack_size = fill
    thresholds.list_plain_bytes = plain
    return thresholds


def draw_element(rng: Random) -> bytes:
    draw = rng.random()
    if draw < 0.4:
        return b"%d" % rng.randrange(8)
    if draw < 0.6:
        return b"%d" % rng.randrange(-(2 ** rng.randrange(66)), 2 ** rng.randrange(66))
    if draw < 0.95:
        return bytes([rng.randrange(97, 123)]) * rng.randrange(200)
    return bytes([rng.randrange(97, 123)]) * rng.choice([1000, 4095, 4096, 5000, 8193, 20000])


def check(value: List, model: list[bytes]) -> None:
    """The elements are those of the model, and the nodes what the module's docstring says."""
    assert value.range(0, -1) == model
    assert value.count == len(value) == len(model)
    assert list(value) == model
    nodes = value.nodes()
    if not model:
        assert [node.size for node in nodes] == [EMPTY_SIZE]
        return
    for node in nodes:
        assert node.items
        if node.plain:
            assert node.size == len(node.items[0])
            assert len(node.items) == 1
        else:
            assert node.size == EMPTY_SIZE + sum(entry_size(item) for item in node.items)
    if not value.quick:
        assert len(nodes) == 1


class Pair:
    """A list and its model, which undergo the same."""

    def __init__(self, rng: Random, thresholds: Thresholds) -> None:
        self.rng = rng
        self.thresholds = thresholds
        self.value = List()
        self.model: list[bytes] = []

    def pick(self) -> bytes:
        """An element, more likely than not one that is there."""
        if self.model and self.rng.random() < 0.8:
            return self.rng.choice(self.model)
        return draw_element(self.rng)

    def step(self) -> None:
        name = self.rng.choice(OPERATIONS)
        left = self.rng.random() < 0.5
        getattr(self, name)(left)
        if self.model:
            if name not in {"push", "insert", "look"}:
                self.value.shrunk(self.thresholds)
        elif self.value.quick:
            self.value = List()  # a list that is empty is deleted

    def push(self, left: bool) -> None:
        elements = [draw_element(self.rng) for _ in range(self.rng.choice([1, 1, 1, 3, 30]))]
        self.value.push([b"key", *elements], 1, left, self.thresholds)
        for element in elements:
            self.model.insert(0 if left else len(self.model), element)

    def pop(self, left: bool) -> None:
        for _ in range(min(len(self.model), self.rng.choice([1, 1, 2, 30]))):
            assert self.value.pop(left) == self.model.pop(0 if left else -1)

    def pop_many(self, left: bool) -> None:
        count = self.rng.choice([1, 2, 5, 40])
        expected = self.model[:count] if left else self.model[: -count - 1 : -1]
        self.model = self.model[count:] if left else self.model[:-count]
        assert self.value.pop_many(count, left) == expected

    def trim(self, left: bool) -> None:
        count = self.rng.choice([0, 1, 2, 5, 40])
        gone = self.value.trim(count, left)
        assert gone.count == sum(len(node.items) for node in gone.nodes())
        assert gone.count == min(count, len(self.model))
        while gone.count:
            assert gone.free_some(3) > 0
        self.model = self.model[count:] if left else self.model[: max(len(self.model) - count, 0)]

    def set(self, left: bool) -> None:
        size = len(self.model)
        index = self.rng.randrange(-size - 2, size + 2)
        element = draw_element(self.rng)
        is_there = -size <= index < size
        assert self.value.set(index, element, self.thresholds) == is_there
        if is_there:
            self.model[index] = element

    def insert(self, after: bool) -> None:
        pivot, element = self.pick(), draw_element(self.rng)
        is_there = pivot in self.model
        assert self.value.insert(pivot, element, after, self.thresholds) == is_there
        if is_there:
            self.model.insert(self.model.index(pivot) + after, element)

    def remove(self, from_tail: bool) -> None:
        element, limit = self.pick(), self.rng.choice([0, 1, 2, 3])
        model = self.model[::-1] if from_tail else self.model
        gone = [index for index, item in enumerate(model) if item == element]
        gone = gone[:limit] if limit else gone
        assert self.value.remove(element, limit, from_tail) == len(gone)
        kept = [item for index, item in enumerate(model) if index not in gone]
        self.model = kept[::-1] if from_tail else kept

    def copy(self, left: bool) -> None:
        """Goes on with the copy, and takes the original apart."""
        original = self.value
        self.value = original.copy()
        assert self.value.encoding() == original.encoding()
        while original.count:
            original.pop(left)

    def look(self, from_tail: bool) -> None:
        rng, model = self.rng, self.model
        size = len(model)
        start, stop = rng.randrange(-size - 2, size + 2), rng.randrange(-size - 2, size + 2)
        low = max(start + size if start < 0 else start, 0)
        high = stop + size if stop < 0 else stop
        assert self.value.range(start, stop) == model[low : max(high + 1, 0)]
        at = model[start] if -size <= start < size else None
        assert self.value.get(start) == at
        element = self.pick()
        rank, count, max_len = rng.randrange(1, 4), rng.randrange(4), rng.choice([0, 1, 5, 50])
        order = range(size - 1, -1, -1) if from_tail else range(size)
        seen = list(order)[:max_len] if max_len else list(order)
        expected = [index for index in seen if model[index] == element][rank - 1 :]
        found = self.value.positions(element, rank, count, max_len, from_tail)
        assert found == (expected[:count] if count else expected)


@SETTINGS
@given(st.integers(), st.sampled_from(FILLS), st.sampled_from([0, 0, 0, 50]), st.integers(1, 120))
def test_a_list_holds_what_its_model_does(seed: int, fill: int, plain: int, steps: int) -> None:
    pair = Pair(Random(seed), limits(fill, plain))
    for _ in range(steps):
        pair.step()
        check(pair.value, pair.model)


@pytest.mark.parametrize("fill", FILLS)
def test_a_list_made_at_once_is_compact_up_to_the_whole_limit(fill: int) -> None:
    rng = Random(fill)
    thresholds = limits(fill)
    for size in (0, 1, 2, 3, 100, 2000):
        elements = [draw_element(rng) for _ in range(size)]
        value = list_of(elements, thresholds)
        check(value, elements)
        if value.quick:
            nodes = value.nodes()
            assert len(nodes) > 1 or nodes[0].plain


@pytest.mark.parametrize(
    ("element", "size"),
    [
        *((b"0", 2), (b"127", 2), (b"128", 3), (b"-1", 3), (b"4095", 3), (b"-4097", 4)),
        *((b"4096", 4), (b"32767", 4), (b"-32769", 5), (b"8388607", 5), (b"8388608", 6)),
        *((b"2147483647", 6), (b"2147483648", 10), (b"-9223372036854775808", 10)),
        *((b"9223372036854775808", 21), (b"", 2), (b"-", 3), (b"007", 5), (b"1a", 4)),
        *((b"a" * 63, 65), (b"a" * 64, 67), (b"a" * 125, 128), (b"a" * 126, 130)),
        *((b"a" * 4095, 4099), (b"a" * 4096, 4103), (b"a" * 16377, 16384)),
        *((b"a" * 16378, 16386), (b"a" * 2**21, 2**21 + 9)),
    ],
)
def test_entries_have_the_size_that_listpacks_give_them(element: bytes, size: int) -> None:
    """An integer, or a string with its length in 1, 2 or 5 bytes; then the length of all that."""
    assert entry_size(element) == size


def test_a_node_of_a_million_elements_is_never_made() -> None:
    value = List()
    thresholds = limits(-2)
    elements = [b"%d" % number for number in range(100_000)]
    value.push(elements, 0, True, thresholds)
    assert max(len(node.items) for node in value.nodes()) <= 4096
    assert value.pop_many(100_000, False) == elements
    assert isinstance(value.nodes()[0], Node)


Operation = tuple[str, int, bytes, bool]
"""What to do, an index or a number, an element, and a side."""


def quicklist_operations(rng: Random, value: List) -> Iterator[Operation]:
    """Draw operations for a quicklist, each for what the one before has made of it."""
    for _ in range(rng.randrange(1, 120)):
        name = rng.choice(["push", "push", "push", "pop", "insert", "insert", "set", "rem", "trim"])
        size = value.count
        if size == 0:
            name = "push"
        number = rng.randrange(size) if name in {"insert", "set", "rem"} else rng.choice([1, 3, 20])
        yield name, min(number, max(size, 1)), draw_element(rng), rng.random() < 0.5


def apply(value: List, operation: Operation, thresholds: Thresholds) -> None:
    name, number, element, left = operation
    if name == "push":
        value.push([element] * number, 0, left, thresholds)
    elif name == "set":
        value.set(number, element, thresholds)
    elif name == "trim":
        value.trim(number, left)
    elif name == "pop":
        value.pop(left)
    else:
        pivot = value.get(number)
        assert pivot is not None
        if name == "insert":
            value.insert(pivot, element, left, thresholds)
        else:
            value.remove(pivot, 1, left)


def layout(value: List) -> list[tuple[int, int, bool]]:
    return [(len(node.items), node.size, node.plain) for node in value.nodes() if node.items]


def test_nodes_are_divided_and_merged_as_in_redis() -> None:
    """The digest is that of the nodes which quicklist.c of Redis 7.4.1 makes of the operations."""
    digest = hashlib.sha1()
    for seed in range(60):
        rng = Random(seed)
        thresholds = limits(FILLS[seed % len(FILLS)], rng.choice([0, 0, 50]))
        value = List()
        value.become_quicklist(thresholds)
        for operation in quicklist_operations(rng, value):
            apply(value, operation, thresholds)
            digest.update(repr(layout(value)).encode())
    assert digest.hexdigest() == "17a5522ab3b69152067122caf05b40afa257cedb"
