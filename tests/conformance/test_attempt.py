"""What a client says about a unit, and how it is started again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.attempt import (
    CRASHED,
    FAILED,
    HUNG,
    OK,
    Attempt,
    Result,
    Settings,
    client_arguments,
    first_reason,
)
from tests.conformance.suite import Suite, SuiteError
from tests.conformance.unit import UnitRun

ASSERTION = "two in tests/unit/x.tcl\nExpected '1' to be equal to '2' (context: type eval)"


def heard(*packets: list[str]) -> Attempt:
    attempt = Attempt("unit/x")
    for packet in packets:
        attempt.take(packet)
    return attempt


def test_tests_end_well_or_with_the_reason_of_their_failure() -> None:
    attempt = heard(
        ["testing", "one"],
        ["ok", "one", "3"],
        ["testing", "two"],
        ["err", ASSERTION],
        ["done", "x"],
    )
    reason = "Expected '1' to be equal to '2' (context: type eval)"
    assert attempt.results == [Result("one", OK), Result("two", FAILED, reason)]
    assert (attempt.done, attempt.ended, attempt.outside) == (True, None, [])


def test_a_failure_that_names_no_test_in_progress_is_outside_of_tests() -> None:
    attempt = heard(["testing", "one"], ["ok", "one", "3"], ["err", "ERR unknown parameter"])
    assert attempt.outside == ["ERR unknown parameter"]
    assert [result.status for result in attempt.results] == [OK]


def test_of_nested_tests_the_inner_one_is_the_culprit() -> None:
    attempt = heard(["testing", "outer"], ["testing", "inner"])
    attempt.give_up("no progress for 1 s", HUNG)
    assert (attempt.ended, attempt.culprit) == ("no progress for 1 s", "inner")
    assert attempt.results == [Result("inner", HUNG, "no progress for 1 s")]


def test_an_exception_ends_the_unit() -> None:
    attempt = heard(["testing", "one"], ["exception", "I/O error\ntrace"])
    assert (attempt.done, attempt.ended) == (True, "exception: I/O error")


@pytest.mark.parametrize(
    "packet", [["err", "one in tests/unit/x.tcl\nI/O error"], ["exception", "I/O error"]]
)
def test_in_a_test_that_the_server_does_not_survive_it_has_crashed(packet: list[str]) -> None:
    attempt = heard(["testing", "one"])
    attempt.take(packet, "Segmentation fault")
    assert attempt.results == [Result("one", CRASHED, "server died: Segmentation fault")]
    assert (attempt.done, attempt.culprit) == (True, "one")


def test_what_is_done_cannot_be_given_up() -> None:
    attempt = heard(["done", "x"])
    attempt.give_up("server died", CRASHED)
    assert attempt.ended is None


def test_the_reason_has_no_path_and_an_exception_its_whole_message() -> None:
    assert first_reason("at /tmp/q/work/tests/unit/x.tcl") == "at tests/unit/x.tcl"
    text = "n command 'X'\nERR unknown command 'X'\n    while executing\n..."
    assert first_reason(text) == "exception: ERR unknown command 'X'"
    assert first_reason("") == ""


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """A checkout with one unit."""
    units = tmp_path / "checkout" / "tests" / "unit"
    units.mkdir(parents=True)
    (units.parent / "test_helper.tcl").write_text("# runs tests")
    (units / "acl.tcl").write_text("start_server {tags {acl external:skip}} {}")
    source = tmp_path / "checkout" / "src"
    source.mkdir()
    (source / "version.h").write_text('#define REDIS_VERSION "7.4.1"\n')
    return Suite(tmp_path / "checkout", "tclsh")


def test_a_client_is_told_the_servers_and_what_to_leave_out(suite: Suite) -> None:
    settings = Settings("server", only=("one",))
    argv = client_arguments(suite, "+unit/acl", 7000, 7001, settings, ["hung", "/slash"])
    text = " ".join(argv)
    assert "--host 127.0.0.1 --port 7000 --durable --tags -repl -needs:repl -cluster" in text
    assert "--only one" in text
    assert text.endswith("--skiptest hung --skiptest /***=/slash --client 7001")
    assert "--tags" not in client_arguments(suite, "unit/acl", 1, 2, settings, [])


def test_a_folder_without_tests_is_no_suite(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"no tests/test_helper\.tcl"):
        Suite(tmp_path, "tclsh")


def test_the_version_is_that_of_the_source(suite: Suite) -> None:
    header = suite.path / "src" / "version.h"
    assert suite.version() == "redis-7.4.1"
    header.write_text(header.read_text() + '#define VALKEY_VERSION "255.255.255"\n')
    assert suite.version() == "valkey-unstable"
    header.unlink()
    assert suite.version() == "unknown"


def test_the_fingerprint_is_of_the_tests_alone(suite: Suite) -> None:
    before = suite.fingerprint()
    (suite.tests / "tmp").mkdir()
    (suite.tests / "tmp" / "left.tcl").write_text("left behind")
    (suite.path / "src" / "server.c").write_text("int x;")
    assert suite.fingerprint() == before
    (suite.tests / "unit" / "acl.tcl").write_text("another test")
    assert suite.fingerprint() != before


def test_units_run_from_a_copy_without_their_marks_if_asked(suite: Suite, tmp_path: Path) -> None:
    unit = Path("tests", "unit", "acl.tcl")
    marked = suite.copy(tmp_path / "marked")
    assert b"external:skip" in (marked / unit).read_bytes()
    unmarked = suite.copy(tmp_path / "unmarked", unmarked=True)
    assert b"external:skip" not in (unmarked / unit).read_bytes()
    assert b"external:skip" in (suite.path / unit).read_bytes()


def test_the_first_result_of_a_test_counts() -> None:
    run = UnitRun("unit/x")
    first = heard(["testing", "a"], ["ok", "a", "1"], ["testing", "b"])
    first.give_up("no progress for 1 s", HUNG)
    run.add(first)
    again = heard(["testing", "a"], ["err", "a in tests/x\nno"], ["testing", "c"], ["ok", "c", "1"])
    again.take(["done", "x"])
    run.add(again)
    assert [(result.name, result.status) for result in run.results] == [
        ("a", OK),
        ("b", HUNG),
        ("c", OK),
    ]
    assert run.outside == ["no progress for 1 s in: b"]


def test_two_tests_of_the_same_name_are_two() -> None:
    run = UnitRun("unit/x")
    run.add(heard(["testing", "a"], ["ok", "a", "1"], ["testing", "a"], ["ok", "a", "1"]))
    assert len(run.results) == 2
