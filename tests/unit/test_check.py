"""`redis-trio check`: what it says of files, whole and damaged, and what it mends."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc
from pathlib import Path

import pytest

from redis_trio.__main__ import main
from redis_trio.feed import encode_command
from redis_trio.persistence.check.files import check_file
from tests.rdb_cases import MODULE_AUX, OLD_VALUES, old_file, rdb_file, text

SET = encode_command([b"SET", b"k", b"v"])
MULTI = encode_command([b"MULTI"])
EXEC = encode_command([b"EXEC"])
BASE = rdb_file(b"\xfa" + text(b"aof-base") + text(b"1"), b"\xfe\x00", b"\x00\x01a\x01b")


class Checker:
    """Files in a folder, and the program.

    Attributes:
      out, err: what it printed the last time.
    """

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.out = self.err = ""

    def write(self, name: str, data: bytes) -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    def parts(self, base: bytes, *incr: bytes) -> Path:
        """Write an append-only folder; return the path of its manifest."""
        self.write("dir/a.1.base.rdb", base)
        lines = "file a.1.base.rdb seq 1 type b\n"
        for number, data in enumerate(incr, 1):
            self.write(f"dir/a.{number}.incr.aof", data)
            lines += f"file a.{number}.incr.aof seq {number} type i\n"
        return self.write("dir/a.manifest", lines.encode())

    def run(self, *words: str | Path) -> int:
        """Run the program; return its exit status."""
        try:
            status = main(["check", *[str(word) for word in words]])
        except SystemExit as exc:
            status = int(exc.code or 0)
        self.out, self.err = self._capsys.readouterr()
        return status

    def found(self, *words: str | Path) -> list[dict[str, object]]:
        """Run the program; return what it found out, as JSON says it."""
        self.run("--json", *words)
        files: list[dict[str, object]] = json.loads(self.out)["files"]
        return files


@pytest.fixture
def checker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Checker:
    return Checker(tmp_path, capsys)


# -- RDB files


def test_a_summary_of_an_rdb_file(checker: Checker) -> None:
    path = checker.write("dump.rdb", old_file())
    assert checker.run(path) == 0
    assert checker.err == ""
    for line in (
        "Version 12, checksum: right",
        "redis-ver: 7.4.1",
        "Function library: old, 68 B",
        "18 keys",
        "10 with a deadline, from 2038-01-19 03:14:07 to 2100-01-01 00:00:00 UTC; 0 have expired",
        "8 fields of hashes with a deadline",
        "  OK",
    ):
        assert line in checker.out
    (found,) = checker.found(path, "--top", "2")
    keys = found["keys"]
    assert isinstance(keys, dict)
    assert found["ok"]
    assert keys["count"] == 3 + len(OLD_VALUES)
    assert sum(kind["keys"] for kind in keys["kinds"]) == keys["count"]
    assert keys["databases"] == {"0": {"keys": 18, "expires": 10}}
    assert [one["key"] for one in keys["biggest"]] == ["old:hash:zipmap", "old:stream:3"]
    assert checker.run(path, "--top", "0") == 0
    assert "biggest" not in checker.out


def big(key: str, kind: str, encoding: str, size: int, elements: int) -> dict[str, object]:
    found: dict[str, object] = {"db": 0, "key": key, "type": kind, "encoding": encoding}
    return {**found, "bytes": size, "elements": elements}


def test_sizes_are_those_in_the_file(checker: Checker) -> None:
    value = OLD_VALUES[0]
    path = checker.write("dump.rdb", rdb_file(b"\xfe\x00", value.entry(), b"\xfe\x05\x00\x00\x00"))
    (found,) = checker.found(path)
    keys = found["keys"]
    assert isinstance(keys, dict)
    assert keys["biggest"] == [
        big("old:list", "list", "listpack", len(value.entry()), 3),
        {**big("", "string", "embstr", 3, 1), "db": 5},
    ]


def test_modules_are_passed_over(checker: Checker) -> None:
    value = b"\x07\x01k\x81" + bytes(8) + b"\x02\x05\x00"
    assert checker.run(checker.write("dump.rdb", rdb_file(MODULE_AUX, value))) == 0
    assert checker.out.count("Data of a module, passed over: AAAAAAAAA") == 2
    assert "module  skipped" in checker.out


def test_what_has_expired_and_what_is_empty_is_counted(checker: Checker) -> None:
    long_ago = b"\xfc" + (1000).to_bytes(8, "little") + b"\x00\x01a\x01b"
    assert checker.run(checker.write("dump.rdb", rdb_file(long_ago, b"\x01\x01e\x00"))) == 0
    assert "2 keys, 1 of them without elements" in checker.out
    assert "1970-01-01 00:00:01 UTC; 1 have expired" in checker.out


def test_wherever_an_rdb_file_is_damaged_the_place_and_the_reason_are_told(
    checker: Checker,
) -> None:
    good = rdb_file(b"\xfe\x00", OLD_VALUES[0].entry())
    for place in range(len(good)):
        damaged = bytearray(good)
        damaged[place] ^= 0x10
        (found,) = checker.found(checker.write("dump.rdb", bytes(damaged)))
        damage = found["damage"]
        assert isinstance(damage, dict)
        assert 0 <= damage["offset"] <= len(good)
        assert damage["reason"]
    for size in range(len(good)):
        path = checker.write("dump.rdb", good[:size])
        assert checker.run(path) == 1
        assert "DAMAGED at byte" in checker.out


def test_what_stands_behind_an_rdb_file_is_told(checker: Checker) -> None:
    assert checker.run(checker.write("dump.rdb", rdb_file(b"\x00\x01a\x01b") + b"rest")) == 0
    assert "4 B behind the end are not read" in checker.out


def test_nothing_of_a_file_is_kept(tmp_path: Path) -> None:
    keys = [b"\x00" + text(b"%d" % i) + text(b"%d" % i * 200) for i in range(20_000)]
    path = tmp_path / "dump.rdb"
    path.write_bytes(rdb_file(b"\xfe\x00", *keys))
    del keys
    tracemalloc.start()
    try:
        checked = check_file(str(path), 0, 10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert checked.keys.keys == 20_000
    assert peak < checked.size_bytes / 8


def test_an_rdb_file_is_not_fixed(checker: Checker) -> None:
    path = checker.write("dump.rdb", b"REDIS0012\x00")
    assert checker.run("--fix", "--yes", path) == 1
    assert path.read_bytes() == b"REDIS0012\x00"


# -- append-only files


def test_a_summary_of_an_append_only_file(checker: Checker) -> None:
    select = encode_command([b"select", b"3"])
    data = b"#TS:1\r\n" + select + SET + MULTI + SET + EXEC
    (found,) = checker.found(checker.write("appendonly.aof", data))
    assert (found["kind"], found["ok"]) == ("AOF", True)
    assert found["commands"] == {
        "count": 5,
        "transactions": 1,
        "databases": [3],
        "names": {"SELECT": 1, "SET": 2, "MULTI": 1, "EXEC": 1},
    }


def test_a_preamble_and_what_comes_behind(checker: Checker) -> None:
    for name in ("appendonly.aof", "other"):
        (found,) = checker.found(checker.write(name, BASE + SET))
        assert (found["kind"], found["ok"]) == ("AOF with an RDB preamble", True)
        assert isinstance(found["keys"], dict)
        assert found["keys"]["count"] == 1
        assert isinstance(found["commands"], dict)
        assert found["commands"]["count"] == 1
    wrong = BASE[:-1] + bytes((BASE[-1] ^ 1,))
    assert checker.run(checker.write("appendonly.aof", wrong + SET)) == 1
    assert "Wrong RDB checksum" in checker.out


@pytest.mark.parametrize("front", [b"", BASE])
def test_a_file_is_good_up_to_the_last_whole_command_or_transaction(
    checker: Checker, front: bytes
) -> None:
    whole = [len(front), len(front + SET), len(front + SET + MULTI + SET + EXEC)]
    data = front + SET + MULTI + SET + EXEC
    for size in range(len(front), len(data) + 1):
        (found,) = checker.found(checker.write("appendonly.aof", data[:size]))
        assert found["ok"] == (size in whole)
        if not found["ok"]:
            assert isinstance(found["damage"], dict)
            assert found["damage"]["good_bytes"] == max(end for end in whole if end <= size)
            assert found["damage"]["offset"] == size


@pytest.mark.parametrize(
    ("data", "offset", "good", "reason"),
    [
        (SET + b"junk", len(SET), len(SET), "no command"),
        (SET + MULTI + SET + b"*x\r\n", len(SET + MULTI + SET), len(SET), "no command"),
        (SET + EXEC, len(SET), len(SET), "EXEC without MULTI"),
        (SET + MULTI + MULTI, len(SET + MULTI), len(SET), "MULTI inside"),
    ],
)
def test_other_damage(checker: Checker, data: bytes, offset: int, good: int, reason: str) -> None:
    path = checker.write("appendonly.aof", data)
    assert checker.run(path) == 1
    assert f"DAMAGED at byte {offset}: {reason}" in checker.out
    assert f"Good up to byte {good}" in checker.out
    assert checker.run("--fix", "--yes", path) == 0
    assert path.read_bytes() == data[:good]
    assert checker.run(path) == 0


def test_it_asks_before_it_cuts(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    path = checker.write("appendonly.aof", SET + b"*1\r\n")
    for answer, status in (("", 1), ("n\n", 1), ("yes\n", 0)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        assert checker.run("--fix", path) == status
        assert "This will shrink" in checker.err
        assert "Continue? [y/N]: " in checker.err
    assert path.read_bytes() == SET


# -- several parts


def test_a_folder_or_its_manifest(checker: Checker) -> None:
    path = checker.parts(BASE, SET, SET + SET)
    for named in (path, path.parent):
        files = checker.found(named)
        assert [file["role"] for file in files] == ["base", "incr", "incr"]
        assert all(file["ok"] for file in files)
    assert checker.run(path.parent) == 0
    assert "3 files" in checker.out


def test_only_the_last_file_is_cut(checker: Checker) -> None:
    path = checker.parts(BASE, SET + b"*", SET)
    assert checker.run("--fix", "--yes", path) == 1
    assert "It cannot be cut: it is not the last file" in checker.out
    path = checker.parts(BASE, SET, SET + MULTI + SET)
    assert checker.run("--fix", "--yes", path) == 0
    assert (path.parent / "a.2.incr.aof").read_bytes() == SET
    assert checker.run(path) == 0


def test_an_empty_part_is_whole(checker: Checker) -> None:
    assert checker.run(checker.parts(BASE, b"")) == 0
    assert checker.run(checker.write("appendonly.aof", b"")) == 0


# -- what cannot be checked


def test_what_cannot_be_read(checker: Checker) -> None:
    assert checker.run(checker.folder / "missing.rdb") == 2
    assert "No such file or directory" in checker.err
    assert checker.run(checker.folder) == 2
    assert "one manifest" in checker.err
    assert checker.run(checker.write("x.manifest", b"nonsense\n")) == 2
    assert "Invalid AOF manifest file format" in checker.err
    path = checker.parts(BASE, SET)
    (path.parent / "a.1.incr.aof").unlink()
    assert checker.run(path) == 2
    assert "a.1.incr.aof: No such file" in checker.err
    assert checker.run() == 2


def test_no_file_at_all(checker: Checker) -> None:
    assert checker.run(checker.write("photo.jpg", b"\xff\xd8\xff\xe0 JFIF and so on")) == 1
    assert "Wrong signature" in checker.out
    assert checker.run(checker.write("empty.rdb", b"")) == 1


def test_several_files_and_the_worst_status(checker: Checker) -> None:
    good = checker.write("good.rdb", rdb_file())
    bad = checker.write("bad.rdb", b"REDIS")
    assert checker.run(good, bad, good) == 1
    assert checker.out.count("  OK\n") == 2
    assert checker.run(good, checker.folder / "missing", bad) == 2


def test_names_are_shown_in_readable_form(checker: Checker) -> None:
    path = checker.write("dump.rdb", rdb_file(b"\x00" + text(b"a\nb\xff\x00") + b"\x01v"))
    assert checker.run(path) == 0
    assert "'a\\nb\\xff\\x00'" in checker.out
