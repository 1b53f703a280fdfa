"""Values and RDB data: load(dump(x)) == x, and any bytes are read or refused."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.data.hash import Hash
from redis_trio.data.list import List
from redis_trio.data.listpack import pack, unpack
from redis_trio.data.lzf import compress, decompress
from redis_trio.data.set import Set
from redis_trio.data.sorted_set import SortedSet
from redis_trio.data.thresholds import Thresholds
from redis_trio.persistence.old_encodings import read_ziplist, read_zipmap
from redis_trio.persistence.payload import dump_payload, is_payload, read_payload
from redis_trio.persistence.rdb_format import RdbError
from redis_trio.persistence.rdb_reader import RdbReader

WORDS = st.one_of(
    st.binary(max_size=100),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: b"%d" % number),
    st.sampled_from([b"", b"0", b"-1", b"a", b"x" * 5000]),
)
SCORES = st.floats(allow_nan=False).map(lambda score: score + 0.0)


def limits(entries: int) -> Thresholds:
    """Return thresholds that make all encodings likely."""
    made = Thresholds()
    made.hash_entries = made.set_entries = made.set_intset = made.zset_entries = entries
    made.list_listpack_size = max(1, entries)
    return made


def reread(value: object, thresholds: Thresholds, compressed: bool) -> object:
    """Return what is read of the payload of a value."""
    payload = dump_payload(value, compressed)
    assert is_payload(payload, True)
    assert not is_payload(payload[:-1] + bytes((payload[-1] ^ 1,)), True)
    return read_payload(payload, thresholds)


@given(st.lists(WORDS, min_size=1, max_size=30), st.integers(0, 20), st.booleans())
def test_lists(elements: list[bytes], entries: int, compressed: bool) -> None:
    thresholds = limits(entries)
    value = List()
    value.push(elements, 0, False, thresholds)
    made = reread(value, thresholds, compressed)
    assert isinstance(made, List)
    assert list(made) == elements
    assert made.count == len(elements)
    assert [node.elements() for node in made.nodes()] == [n.elements() for n in value.nodes()]
    assert [node.size for node in made.nodes()] == [node.size for node in value.nodes()]


@given(st.sets(WORDS, min_size=1, max_size=30), st.integers(0, 20), st.booleans())
def test_sets(members: set[bytes], entries: int, compressed: bool) -> None:
    thresholds = limits(entries)
    value = Set()
    for member in members:
        value.add(member, thresholds)
    made = reread(value, thresholds, compressed)
    assert isinstance(made, Set)
    assert set(made.members()) == members
    assert len(made) == len(members)


@given(st.dictionaries(WORDS, SCORES, min_size=1, max_size=30), st.integers(0, 20), st.booleans())
def test_sorted_sets(scores: dict[bytes, float], entries: int, compressed: bool) -> None:
    thresholds = limits(entries)
    value = SortedSet()
    for member, score in scores.items():
        value.add(member, score, thresholds)
    made = reread(value, thresholds, compressed)
    assert isinstance(made, SortedSet)
    assert made.all_items() == value.all_items()
    assert dict(made.all_items()) == scores


@given(
    st.dictionaries(WORDS, WORDS, min_size=1, max_size=30),
    st.lists(st.integers(1, 2**48 - 1), max_size=10),
    st.integers(0, 20),
    st.booleans(),
)
def test_hashes(
    fields: dict[bytes, bytes], deadlines: list[int], entries: int, compressed: bool
) -> None:
    thresholds = limits(entries)
    value = Hash()
    for field, text in fields.items():
        value.set(field, text, thresholds)
    expected: dict[bytes, int] = {}
    for field, when_ms in zip(fields, deadlines, strict=False):
        value.keep_deadlines().set(field, when_ms)
        value.put_in_order([field], when_ms)
        expected[field] = when_ms
    made = reread(value, thresholds, compressed)
    assert isinstance(made, Hash)
    assert made.to_dict() == fields
    assert (dict(made.deadlines.items()) if made.deadlines is not None else {}) == expected
    if made.table is None and value.table is None:
        assert list(made.small) == list(value.small)


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    try:
        read_payload(data, Thresholds())
    except RdbError:
        return


@given(st.binary(max_size=300), st.integers(1, 50))
@settings(max_examples=300)
def test_any_file_is_read_or_refused(data: bytes, size: int) -> None:
    data = b"REDIS0012" + data
    reader = RdbReader(Thresholds(), check_sum=False)
    place = 0
    try:
        while not reader.done:
            if reader.next() is None and not reader.done:
                if place >= len(data):
                    reader.finish()
                else:
                    reader.feed(data[place : place + size])
                    place += size
    except RdbError:
        return
    assert reader.offset <= len(data)


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_flat_form_is_taken_apart_or_refused(data: bytes) -> None:
    framed = (len(data) + 5).to_bytes(4, "little") + data + b"\xff"
    for read in (unpack, read_ziplist, read_zipmap):
        try:
            assert len(b"".join(read(framed))) <= 20 * len(framed)
        except ValueError:
            continue


@given(st.lists(WORDS, max_size=40))
def test_listpacks(entries: list[bytes]) -> None:
    assert unpack(pack(entries)) == entries


@given(st.lists(st.sampled_from([b"a", b"b", b"abc", b"\0" * 50, bytes(range(40))]), max_size=60))
def test_compression(parts: list[bytes]) -> None:
    data = b"".join(parts)
    packed = compress(data, len(data))
    if packed is not None:
        assert decompress(packed, len(data)) == data


@given(st.binary(max_size=60), st.integers(0, 5000))
@settings(max_examples=300)
def test_any_bytes_are_decompressed_or_refused(data: bytes, size: int) -> None:
    try:
        assert len(decompress(data, size)) == size
    except ValueError:
        pass
