"""Where the keys of a command are: by key specs, and by function."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from redis_trio.command import Declaration, GetKeys, KeySpec, key, keynum, keyword, unknown
from redis_trio.keys import (
    KEY_ACCESS,
    KEY_DELETE,
    KEY_OW,
    KEY_RO,
    KEY_RW,
    KEY_UPDATE,
    bitfield_keys,
    find_keys,
    has_keys,
    legacy_range,
    migrate_keys,
    set_keys,
    sort_keys,
    sort_ro_keys,
)


def declared(specs: Sequence[KeySpec], get_keys: GetKeys | None = None) -> Declaration:
    """Return a declaration of which only the keys matter."""
    return Declaration(
        "X", "generic", "", -1, 0, None, specs, get_keys, "", "1.0.0", "", "", "", "", "", ""
    )


def words(line: str) -> list[bytes]:
    return line.encode().split()


def found(line: str, *specs: KeySpec) -> list[bytes]:
    """Return the keys in a line by key specs."""
    args = words(line)
    return [args[position] for position, _ in find_keys(declared(specs), args)]


def test_a_range_has_a_last_key_and_a_step() -> None:
    assert found("GET k", key(1, "RO ACCESS")) == [b"k"]
    assert found("MSET a 1 b 2", key(1, "OW UPDATE", last=-1, step=2)) == [b"a", b"b"]
    assert found("BLPOP a b 0", key(1, "RW ACCESS DELETE", last=-2)) == [b"a", b"b"]
    assert found("RENAME a b", key(1, "RW"), key(2, "OW")) == [b"a", b"b"]


def test_a_number_says_how_many_keys_follow() -> None:
    spec = keynum(2, "RW")
    assert found("EVAL s 2 a b c", spec) == [b"a", b"b"]
    assert found("EVAL s 0", spec) == []
    assert found("EVAL s 3 a b", spec) == []
    assert found("EVAL s x a b", spec) == []
    assert found("EVAL s -1 a b", spec) == []
    assert found("EVAL s", spec) == []


def test_a_keyword_is_sought_forwards_or_backwards() -> None:
    streams = keyword("STREAMS", 1, "RO", last=-1, limit=2)
    assert found("XREAD COUNT 1 streams a b 0 0", streams) == [b"a", b"b"]
    assert found("XREAD COUNT 1", streams) == []
    keys = keyword("KEYS", -2, "RW", last=-1)
    assert found("MIGRATE h p x 0 10 KEYS a b", keys) == [b"a", b"b"]


def test_one_wrong_spec_and_no_key_is_found() -> None:
    assert found("ZUNIONSTORE d x a", key(1, "OW"), keynum(2, "RO")) == []


def test_what_is_no_key_is_found_only_on_demand() -> None:
    declaration = declared([key(1, "NOT_KEY")])
    assert not has_keys(declaration)
    assert find_keys(declaration, words("SPUBLISH c m")) == []
    assert len(find_keys(declaration, words("SPUBLISH c m"), include_not_keys=True)) == 1


def test_a_function_wins_where_the_specs_are_not_enough() -> None:
    sort = declared([key(1, "RO ACCESS"), unknown("RO ACCESS"), unknown("OW UPDATE")], sort_keys)
    assert find_keys(sort, words("SORT k STORE d")) == [
        (1, KEY_RO | KEY_ACCESS),
        (3, KEY_OW | KEY_UPDATE),
    ]
    set_ = declared([key(1, "RW ACCESS UPDATE VARIABLE_FLAGS")], set_keys)
    assert find_keys(set_, words("SET k v")) == [(1, KEY_OW | KEY_UPDATE)]
    assert find_keys(declared([unknown("RO")]), words("X k")) == []


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("SET k v", KEY_OW | KEY_UPDATE),
        ("SET k get", KEY_OW | KEY_UPDATE),
        ("SET k v EX 10 get", KEY_RW | KEY_ACCESS | KEY_UPDATE),
    ],
)
def test_set_reads_its_key_only_with_get(line: str, flags: int) -> None:
    assert set_keys(words(line)) == [(1, flags)]


@pytest.mark.parametrize(
    ("line", "reads_only"),
    [
        ("BITFIELD k GET u8 0", True),
        ("BITFIELD k overflow sat GET u8 0", True),
        ("BITFIELD k", True),
        ("BITFIELD k GET u8 0 SET u8 0 1", False),
        ("BITFIELD k INCRBY u8 0 1", False),
        ("BITFIELD k GET u8", False),
        ("BITFIELD k bogus", False),
    ],
)
def test_bitfield_changes_its_key_unless_it_only_gets(line: str, reads_only: bool) -> None:
    flags = KEY_RO | KEY_ACCESS if reads_only else KEY_RW | KEY_ACCESS | KEY_UPDATE
    assert bitfield_keys(words(line)) == [(1, flags)]


@pytest.mark.parametrize(
    ("line", "positions"),
    [
        ("SORT k", [1]),
        ("SORT k BY store GET get LIMIT store 1", [1]),
        ("SORT k STORE d", [1, 3]),
        ("SORT k STORE a STORE b", [1, 5]),
        ("SORT k STORE", [1]),
    ],
)
def test_sort_stores_to_the_last_destination(line: str, positions: list[int]) -> None:
    assert [position for position, _ in sort_keys(words(line))] == positions
    assert sort_ro_keys(words(line)) == [(1, KEY_RO | KEY_ACCESS)]


def test_migrate_takes_one_key_or_those_behind_keys() -> None:
    flags = KEY_RW | KEY_ACCESS | KEY_DELETE
    assert migrate_keys(words("MIGRATE h p k 0 10")) == [(3, flags)]
    line = [b"MIGRATE", b"h", b"p", b"", b"0", b"10", b"AUTH", b"keys", b"KEYS", b"a", b"b"]
    assert migrate_keys(line) == [(9, flags), (10, flags)]
    line[3] = b"k"
    assert migrate_keys(line) == []


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ([], (0, 0, 0, False)),
        ([key(1, "RO")], (1, 1, 1, False)),
        ([key(1, "RO", last=-1, step=2)], (1, -1, 2, False)),
        ([key(1, "RO", last=-2)], (1, -2, 1, False)),
        ([key(1, "RO"), key(2, "OW")], (1, 2, 1, False)),
        ([key(1, "OW"), key(2, "RO", last=-1)], (1, -1, 1, False)),
        ([key(1, "OW"), keynum(2, "RO")], (1, 1, 1, True)),
        ([keynum(1, "RO")], (0, 0, 0, True)),
        ([key(3, "RW"), keyword("KEYS", -2, "RW INCOMPLETE", last=-1)], (3, 3, 1, True)),
        ([key(1, "RO"), key(3, "RO")], (1, 1, 1, True)),
        ([key(1, "RW INCOMPLETE")], (1, 1, 1, True)),
    ],
)
def test_the_old_range_of_keys_is_as_much_as_it_could_say(
    specs: list[KeySpec], expected: tuple[int, int, int, bool]
) -> None:
    assert legacy_range(declared(specs)) == expected
