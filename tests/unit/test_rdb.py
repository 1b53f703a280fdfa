"""The RDB format: encodings that only old files have, pieces of any size, limits of lengths."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import pytest

from redis_trio.data.hash import Hash
from redis_trio.data.list import List
from redis_trio.data.listpack import pack, unpack
from redis_trio.data.lzf import compress, decompress
from redis_trio.data.set import Set
from redis_trio.data.sorted_set import SortedSet
from redis_trio.data.stream import Stream
from redis_trio.data.thresholds import Thresholds
from redis_trio.keyspace.digest import key_digest
from redis_trio.persistence.old_encodings import read_ziplist, read_zipmap
from redis_trio.persistence.rdb_format import RdbError, length_bytes
from redis_trio.persistence.rdb_reader import Entry, RdbReader
from redis_trio.persistence.rdb_writer import RdbWriter, encode_string
from redis_trio.protocol.reply import OK, Reply
from redis_trio.state import ServerState
from tests.rdb_cases import (
    COMMANDS,
    MODULE_AUX,
    NEWER_COMMANDS,
    OLD_VALUES,
    old_file,
    rdb_file,
    text,
    ziplist,
)

Run = Callable[..., Reply]


def read(data: bytes, sizes: Sequence[int] = (), known: bool = True) -> list[Entry]:
    """Read a file that is fed in pieces, the last of these sizes over and over."""
    reader = RdbReader(Thresholds(), size=len(data) if known else -1)
    entries: list[Entry] = []
    place = number = 0
    while not reader.done:
        entry = reader.next()
        if entry is not None:
            entries.append(entry)
        elif place < len(data):
            size = sizes[min(number, len(sizes) - 1)] if sizes else len(data)
            reader.feed(data[place : place + size])
            place += size
            number += 1
        else:
            reader.finish()
    return entries


def value(kind: int, data: bytes, version: int = 12) -> object:
    """Return the value of a file with one key."""
    (entry,) = read(rdb_file(bytes((kind,)), text(b"k"), data, version=version))
    return entry.value


# -- old encodings

ZIPLIST_ENTRIES = [
    (b"\x02hi", b"hi"),
    (b"\x00", b""),
    (b"\x40\x40" + b"x" * 64, b"x" * 64),
    (b"\x80\0\0\x40\0" + b"y" * 16384, b"y" * 16384),
    (b"\xc0\x00\x80", b"-32768"),
    (b"\xd0\x00\x00\x00\x80", b"-2147483648"),
    (b"\xe0" + b"\xff" * 7 + b"\x7f", b"9223372036854775807"),
    (b"\xf0\xff\xff\x7f", b"8388607"),
    (b"\xfe\x80", b"-128"),
    (b"\xf1", b"0"),
    (b"\xfd", b"12"),
]


def test_every_encoding_of_a_ziplist() -> None:
    encoded = [entry for entry, _ in ZIPLIST_ENTRIES]
    assert read_ziplist(ziplist(encoded)) == [plain for _, plain in ZIPLIST_ENTRIES]
    assert read_ziplist(ziplist([])) == []


def test_a_damaged_ziplist_is_refused_or_is_another() -> None:
    good = ziplist([entry for entry, _ in ZIPLIST_ENTRIES if len(entry) < 100])
    for place in range(len(good)):
        for changed in range(256):
            damaged = good[:place] + bytes((changed,)) + good[place + 1 :]
            try:
                assert len(read_ziplist(damaged)) == len(ZIPLIST_ENTRIES) - 1
            except ValueError:
                continue
        with pytest.raises(ValueError):
            read_ziplist(good[:place])


def test_a_list_of_ziplists() -> None:
    nodes = [ziplist([b"\x01a", b"\xf3"]), ziplist([]), ziplist([b"\x01b"])]
    made = value(14, length_bytes(3) + b"".join([text(node) for node in nodes]))
    assert isinstance(made, List)
    assert list(made) == [b"a", b"2", b"b"]
    made = value(10, text(nodes[0]))
    assert isinstance(made, List)
    assert list(made) == [b"a", b"2"]
    assert made.encoding() == b"quicklist"


def test_hashes_and_sorted_sets_of_ziplists() -> None:
    pairs = ziplist([b"\x01a", b"\xf3", b"\x01b", b"\x033.5"])
    made = value(13, text(pairs))
    assert isinstance(made, Hash)
    assert made.to_dict() == {b"a": b"2", b"b": b"3.5"}
    ordered = value(12, text(pairs))
    assert isinstance(ordered, SortedSet)
    assert ordered.all_items() == [(b"a", 2.0), (b"b", 3.5)]
    assert ordered.encoding() == b"listpack"
    for odd in (ziplist([b"\x01a"]), ziplist([b"\x01a", b"\xf1", b"\x01a", b"\xf1"])):
        for kind in (12, 13):
            with pytest.raises(RdbError):
                value(kind, text(odd))


def test_a_zipmap() -> None:
    good = b"\x02\x03foo\x03\x00bar\x01k\xfe\x04\0\0\0\x02long\0\0\xff"
    assert read_zipmap(good) == [b"foo", b"bar", b"k", b"long"]
    made = value(9, text(good))
    assert isinstance(made, Hash)
    assert made.to_dict() == {b"foo": b"bar", b"k": b"long"}
    for place in range(len(good)):
        with pytest.raises(ValueError):
            read_zipmap(good[:place])
    with pytest.raises(RdbError, match="Zipmap"):
        value(9, text(b"\x00\xff"))


def test_an_intset_of_each_width() -> None:
    for width, form in ((2, "<h"), (4, "<i"), (8, "<q")):
        data = struct.pack("<II", width, 3) + b"".join([struct.pack(form, n) for n in (-5, 0, 7)])
        made = value(11, text(data))
        assert isinstance(made, Set)
        assert made.members() == [b"-5", b"0", b"7"]
    for numbers in ((1, 1), (2, 1), ()):
        body = b"".join([struct.pack("<h", number) for number in numbers])
        with pytest.raises(RdbError, match="Intset"):
            value(11, text(struct.pack("<II", 2, len(numbers)) + body))


def test_scores_as_text() -> None:
    data = b"\x05\x01a\x031.5\x01b\xfe\x01c\xff\x01d\x02-3\x01e\x010"
    made = value(3, data)
    assert isinstance(made, SortedSet)
    assert dict(made.all_items()) == {
        b"a": 1.5,
        b"b": float("inf"),
        b"c": float("-inf"),
        b"d": -3.0,
        b"e": 0.0,
    }
    with pytest.raises(RdbError, match="NAN"):
        value(3, b"\x01\x01a\xfd")
    with pytest.raises(RdbError, match="no number"):
        value(3, b"\x01\x01a\x01x")


def test_a_stream_of_the_first_version() -> None:
    """Nothing is told of deletions; the counters are reckoned from what is there."""
    node = pack([b"2", b"1", b"1", b"f", b"0", *b"2 0 0 a 4".split(), *b"3 0 1 b 4".split()])
    node = pack([*unpack(node), *b"0 1 5 1 g c 6".split()])
    pending = (1).to_bytes(8, "big") + (0).to_bytes(8, "big")
    time = (1234).to_bytes(8, "little")
    data = b"".join(
        (
            *(b"\x01", text((1).to_bytes(8, "big") + bytes(8)), text(node)),
            *(b"\x02", b"\x02\x05", b"\x01", text(b"grp"), b"\x01\x00"),
            *(b"\x01", pending, time, b"\x07"),
            *(b"\x01", text(b"me"), time, b"\x01", pending),
        )
    )
    made = value(15, data)
    assert isinstance(made, Stream)
    assert (made.length, made.entries_added) == (2, 2)
    assert (made.first_id, made.last_id) == ((1, 0), (2, 5))
    assert made.words((1, 0)) == [b"f", b"a"]
    assert made.words((2, 5)) == [b"g", b"c"]
    assert made.nodes[0].deleted == 1
    group = made.groups[b"grp"]
    assert group.pending.first().count == 7
    assert group.consumers[b"me"].active_ms == 1234
    orphaned = data[: -len(text(b"me") + time + b"\x01" + pending) - 1] + b"\x00"
    with pytest.raises(RdbError, match="without consumer"):
        value(15, orphaned)


def test_deadlines_of_fields_before_the_format_was_final() -> None:
    """They are absolute, and no earliest one stands in front."""
    made = value(22, b"\x02" + length_bytes(5000) + b"\x01a\x011" + b"\x00" + b"\x01b\x012")
    assert isinstance(made, Hash)
    assert (made.deadline(b"a"), made.deadline(b"b")) == (5000, -1)
    made = value(23, text(pack([b"a", b"1", b"5000", b"b", b"2", b"0"])))
    assert isinstance(made, Hash)
    assert made.encoding() == b"listpackex"
    assert (made.deadline(b"a"), made.deadline(b"b")) == (5000, -1)


@pytest.mark.parametrize(
    "entries",
    [
        b"a 1 0 b 2 5000",
        b"a 1 5000 b 2 4999",
        b"a 1 x",
        b"a 1 -1",
        b"a 1 281474976710656",
        b"a 1 1 a 2 2",
        b"a 1",
    ],
)
def test_deadlines_out_of_order_are_refused(entries: bytes) -> None:
    data = text(pack(entries.split()))
    with pytest.raises(RdbError):
        value(23, data)
    with pytest.raises(RdbError):
        value(25, bytes(8) + data)


def test_deadlines_of_a_listpackex_are_put_in_order() -> None:
    fields = ((5000, b"a"), (0, b"b"), (4000, b"c"), (5000, b"d"))
    data = b"".join([length_bytes(ms) + text(field) + b"\x011" for ms, field in fields])
    made = value(22, b"\x04" + data)
    assert isinstance(made, Hash)
    assert list(made.small) == [b"c", b"d", b"a", b"b"]


@pytest.mark.parametrize("version", [3, 7, 9, 10, 11, 12])
def test_old_encodings_are_the_data_that_they_were(
    run: Run, state: ServerState, version: int
) -> None:
    kinds = {3: 9, 7: 14, 9: 15, 10: 19, 11: 21, 12: 25}
    found = {entry.key: entry for entry in read(old_file(version, newest_kind=kinds[version]))}
    known = [old for old in OLD_VALUES if old.kind <= kinds[version]]
    assert len(found) == len(known) + (3 if version >= 9 else 1)
    db = state.dbs[0]
    for old in known:
        for words in old.commands:
            run(*words)
        db.set(b"read", found[old.key].value)
        db.track_fields(b"read", found[old.key].value)
        assert key_digest(db, b"read") == key_digest(db, old.key), old.key
        if b"stream" in old.key:
            pending = run("XPENDING", old.key, *"grp - + 10".split())
            assert isinstance(pending, list)
            assert len(pending) == 1
            assert run("XPENDING read grp - + 10") == pending
        payload = old.payload()
        assert run("RESTORE", "restored", 0, payload, "REPLACE") is OK
        assert key_digest(db, b"restored") == key_digest(db, old.key), old.key


# -- what stands between keys


def test_opcodes_of_every_kind() -> None:
    data = rdb_file(
        *(b"\xfa", text(b"name"), text(b"value"), b"\xf5", text(b"#!lua name=x")),
        *(b"\xf4\x01\x02\x03", b"\xfe\x03", b"\xfb\x05\x01"),
        *(b"\xfc", (1234).to_bytes(8, "little"), b"\xf8\x0a", b"\xf9\x4d", b"\x00\x01a\x01b"),
        *(b"\xfd", (9).to_bytes(4, "little"), b"\x00\x01c\xc0\xff"),
        b"\x01\x01e\x00",
    )
    first, second, empty = read(data)
    assert (first.db, first.key, first.value) == (3, b"a", b"b")
    assert (first.when_ms, first.idle_s, first.frequency) == (1234, 10, 77)
    assert (second.value, second.when_ms, second.idle_s, second.frequency) == (b"-1", 9000, -1, -1)
    assert (empty.key, empty.value) == (b"e", None)
    reader = RdbReader(Thresholds())
    reader.feed(data + b"*1\r\n")
    while not reader.done:
        reader.next()
    assert reader.aux == {b"name": b"value"}
    assert reader.libraries == [b"#!lua name=x"]
    assert reader.checked
    assert reader.rest() == b"*1\r\n"
    assert reader.offset == len(data)


def test_modules_are_refused_and_their_auxiliary_data_can_be_skipped() -> None:
    with pytest.raises(RdbError, match="no matching module type 'AAAAAAAAA'"):
        value(7, b"\x81" + bytes(8))
    with pytest.raises(RdbError, match="Pre-release"):
        value(6, b"\x00")
    data = rdb_file(MODULE_AUX, b"\x00\x01a\x01b")
    with pytest.raises(RdbError, match="AUX module data"):
        read(data)
    reader = RdbReader(Thresholds(), skip_modules=True)
    reader.feed(data)
    entry = reader.next()
    assert entry is not None
    assert entry.key == b"a"
    assert reader.skipped_modules == [b"AAAAAAAAA"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"REDIS0013\xff" + bytes(8), "version 0013"),
        (b"REDIS0000\xff" + bytes(8), "version 0000"),
        (b"REDISabcd\xff" + bytes(8), "version abcd"),
        (b"NOTREDIS0\xff" + bytes(8), "signature"),
        (rdb_file(b"\xf6"), "Pre-release function"),
        (rdb_file(b"\xf0\x01a"), "Unknown RDB encoding type 240"),
        (rdb_file(b"\xf3\x01a"), "Unknown RDB encoding type 243"),
        (rdb_file(b"\x08\x01a"), "Unknown RDB encoding type 8"),
        (rdb_file(b"\x00\xc4"), "Unknown string encoding 4"),
        (rdb_file(b"\x00\x82"), "Unknown length encoding 130"),
    ],
)
def test_the_reason_is_told(data: bytes, reason: str) -> None:
    with pytest.raises(RdbError, match=reason) as caught:
        read(data)
    assert 0 < caught.value.offset <= len(data)


def test_checksums() -> None:
    good = rdb_file(b"\x00\x01a\x01b")
    assert len(read(good)) == 1
    assert len(read(good[:-8] + bytes(8))) == 1, "0: there is none"
    with pytest.raises(RdbError, match="Wrong RDB checksum"):
        read(good[:-1] + b"!")
    assert len(read(rdb_file(b"\x00\x01a\x01b", version=4))) == 1, "before version 5 there was none"


def test_no_length_is_believed() -> None:
    """It leads beyond the end: that is told at once, whether or not the end is known."""
    huge = b"\x81" + b"\x00" * 2 + b"\xff" * 6
    packed = b"\xc3\x02" + b"\x80\xff\xff\xff\xff" + b"\x00x"
    for kind in (0, 1, 2, 3, 4, 5, 9, 14, 15, 18, 19, 20, 21, 22):
        for data in (huge, b"\x80\xff\xff\xff\xff", packed):
            for known in (True, False):
                with pytest.raises(RdbError):
                    read(rdb_file(bytes((kind,)), text(b"k"), data), known=known)


# -- pieces


@pytest.fixture
def whole(run: Run, state: ServerState) -> bytes:
    """A file with data of every kind."""
    for words in [*COMMANDS, *NEWER_COMMANDS]:
        run(*words)
    writer = RdbWriter(12, compressed=True, checksummed=True)
    parts = [writer.header([(b"redis-ver", b"7.4.1")]), writer.database(0, 40, 1)]
    for shard in state.dbs[0].table.shards():
        for key, made in shard.items():
            if not isinstance(made, bytearray):
                parts += writer.key_pieces(key, made)
    return b"".join([*parts, writer.end()])


def written(entries: list[Entry]) -> list[bytes]:
    """Return entries as they would be written again."""
    writer = RdbWriter(12, compressed=True, checksummed=False)
    return [writer.key_bytes(entry.key, entry.value) for entry in entries]


@pytest.mark.parametrize("sizes", [(1,), (7,), (9, 1, 4096), (65536,)])
@pytest.mark.parametrize("known", [True, False])
def test_pieces_of_any_size_give_the_same_keys(
    whole: bytes, sizes: tuple[int, ...], known: bool
) -> None:
    expected = written(read(whole))
    assert len(expected) > 30
    assert written(read(whole, sizes, known)) == expected


def test_what_was_read_is_written_again_as_it_was(whole: bytes) -> None:
    """Byte for byte, but for hash tables, which have no order, and entries that were deleted."""
    entries = [e for e in read(whole) if e.kind not in (2, 4, 24)]
    assert len(entries) > 25
    for data in written(entries):
        assert data in whole


def test_the_cost_of_small_pieces_is_linear() -> None:
    """A big string that comes byte by byte is looked at a few times only."""
    data = rdb_file(b"\x00", text(b"k"), text(b"x" * 200_000))
    (entry,) = read(data, (1,))
    assert entry.value == b"x" * 200_000


# -- primitives


@pytest.mark.parametrize("number", [0, 63, 64, 16383, 16384, 2**32 - 1, 2**32, 2**64 - 1])
def test_lengths(number: int) -> None:
    data = rdb_file(b"\xf8", length_bytes(number), b"\x00\x01k\x01v")
    assert read(data)[0].idle_s == number


@pytest.mark.parametrize(
    "string",
    [b"", b"0", b"-128", b"32767", b"-2147483648", b"2147483648", b"007", b"x" * 63, b"y" * 20000],
)
@pytest.mark.parametrize("compressed", [True, False])
def test_strings(string: bytes, compressed: bool) -> None:
    assert value(0, encode_string(string, compressed)) == string


def test_lzf_there_and_back() -> None:
    for data in (b"a" * 1000, b"abcabc" * 400, bytes(range(256)) * 20, b"ab" + b"c" * 300 + b"ab"):
        packed = compress(data, len(data) - 4)
        assert packed is not None
        assert decompress(packed, len(data)) == data
        for size in range(len(packed)):
            with pytest.raises(ValueError):
                decompress(packed[:size], len(data))
        with pytest.raises(ValueError):
            decompress(packed, len(data) - 1)


def test_every_entry_of_a_listpack() -> None:
    entries = [b"", b"a", b"x" * 63, b"x" * 64, b"y" * 4095, b"z" * 4096, b"w" * 70000]
    entries += [
        b"%d" % (sign * 2**bits + d) for sign in (1, -1) for bits in range(63) for d in (0, -1)
    ]
    packed = pack(entries)
    assert unpack(packed) == entries
    with pytest.raises(ValueError):
        unpack(packed[:-1])


def test_a_damaged_listpack_is_refused_or_is_another() -> None:
    good = pack([b"abc", b"5", b"-3000", b"70000", b"x" * 70, b"9999999999"])
    for place in range(len(good)):
        for changed in range(256):
            damaged = good[:place] + bytes((changed,)) + good[place + 1 :]
            try:
                assert len(unpack(damaged)) <= len(good)
            except ValueError:
                continue
