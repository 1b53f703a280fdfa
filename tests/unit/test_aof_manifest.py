"""The manifest of an append-only file, read and written as Redis does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from redis_trio.persistence.aof_manifest import (
    Manifest,
    ManifestError,
    parse_manifest,
    read_manifest,
    write_manifest,
)

WHOLE = (
    "file appendonly.aof.2.base.rdb seq 2 type b\n"
    "file appendonly.aof.1.base.rdb seq 1 type h\n"
    "file appendonly.aof.1.incr.aof seq 1 type h\n"
    "file appendonly.aof.2.incr.aof seq 2 type i\n"
    "file appendonly.aof.3.incr.aof seq 3 type i\n"
)


def test_a_manifest_is_written_as_it_was_read() -> None:
    manifest = parse_manifest(WHOLE.encode())
    assert manifest.text() == WHOLE
    assert [file.name for file in manifest.files] == [
        "appendonly.aof.2.base.rdb",
        "appendonly.aof.2.incr.aof",
        "appendonly.aof.3.incr.aof",
    ]
    assert (manifest.base_seq, manifest.incr_seq) == (2, 3)


def test_a_rewrite_makes_history_of_what_it_replaces() -> None:
    manifest = parse_manifest(WHOLE.encode())
    copy = manifest.copy()
    assert copy.add_base("appendonly.aof", "aof") == "appendonly.aof.3.base.aof"
    assert copy.add_incr("appendonly.aof") == "appendonly.aof.4.incr.aof"
    copy.retire_incr(1)
    assert copy.text() == (
        "file appendonly.aof.3.base.aof seq 3 type b\n"
        "file appendonly.aof.2.incr.aof seq 2 type h\n"
        "file appendonly.aof.3.incr.aof seq 3 type h\n"
        "file appendonly.aof.2.base.rdb seq 2 type h\n"
        "file appendonly.aof.1.base.rdb seq 1 type h\n"
        "file appendonly.aof.1.incr.aof seq 1 type h\n"
        "file appendonly.aof.4.incr.aof seq 4 type i\n"
    )
    assert manifest.text() == WHOLE


def test_comments_unknown_keys_and_any_order_are_accepted() -> None:
    manifest = parse_manifest(
        b'# a comment\n  TYPE base color blue SEQ 7 file "a \\x62"\t\r\nfile i seq 1 type incr\n'
    )
    assert manifest.text() == 'file "a b" seq 7 type b\nfile i seq 1 type i\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Found an empty AOF manifest"),
        ("\n", "Invalid AOF manifest file format"),
        ("file a seq 1 type b", "The AOF manifest file contains too long line"),
        ("file " + "a" * 1024 + " seq 1 type b\n", "The AOF manifest file contains too long line"),
        ("file a seq 1\n", "Invalid AOF manifest file format"),
        ("file a seq 1 type b extra\n", "Invalid AOF manifest file format"),
        ("file a seq 0 type b\n", "Invalid AOF manifest file format"),
        ("file a seq x type b\n", "Invalid AOF manifest file format"),
        ("file '' seq 1 type b\n", "Invalid AOF manifest file format"),
        ("file a seq 1 type ''\n", "Invalid AOF manifest file format"),
        ("file 'a seq 1 type b\n", "Invalid AOF manifest file format"),
        ("file ../a seq 1 type b\n", "File can't be a path, just a filename"),
        ("file a seq 1 type x\n", "Unknown AOF file type"),
        ("file a seq 1 type b\nfile b seq 2 type b\n", "Found duplicate base file information"),
        ("file a seq 2 type i\nfile b seq 2 type i\n", "Found a non-monotonic sequence number"),
    ],
)
def test_what_is_no_manifest_is_refused_in_the_words_of_redis(text: str, reason: str) -> None:
    with pytest.raises(ManifestError) as refusal:
        parse_manifest(text.encode())
    assert refusal.value.reason == reason


def test_where_there_is_none_there_are_no_files(tmp_path: Path) -> None:
    assert read_manifest(str(tmp_path), "x").files == []
    assert read_manifest(str(tmp_path / "nowhere"), "x").files == []


def test_a_manifest_is_replaced_as_a_whole(tmp_path: Path) -> None:
    first = Manifest()
    first.add_base("x", "rdb")
    write_manifest(first, str(tmp_path), "x")
    second = read_manifest(str(tmp_path), "x")
    second.add_incr("x")
    write_manifest(second, str(tmp_path), "x")
    assert read_manifest(str(tmp_path), "x").text() == second.text()
    assert os.listdir(tmp_path) == ["x.manifest"]


def test_a_manifest_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    first = Manifest()
    first.add_base("x", "rdb")
    write_manifest(first, str(tmp_path), "x")
    (tmp_path / "temp-x.manifest").mkdir()
    second = first.copy()
    second.add_incr("x")
    with pytest.raises(OSError, match="directory"):
        write_manifest(second, str(tmp_path), "x")
    assert read_manifest(str(tmp_path), "x").text() == first.text()
