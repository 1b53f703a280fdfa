"""DBSIZE, TIME, FLUSHDB, FLUSHALL, SWAPDB, SHUTDOWN, LOLWUT."""

from __future__ import annotations

from pathlib import Path

import pytest

from redis_trio.client import CLOSING, Client
from redis_trio.data.expires import NEVER
from redis_trio.protocol.reply import NO_REPLY, OK, RedisError, Reply, Verbatim
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run

SYNTAX = "ERR syntax error"


def message(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def test_dbsize_counts_the_keys_of_the_selected_database(run: Run) -> None:
    assert run("DBSIZE") == 0
    run("MSET a 1 b 2")
    assert run("DBSIZE") == 2
    run("SELECT 1")
    assert run("DBSIZE") == 0


def test_time_is_seconds_and_microseconds(run: Run, state: ServerState, time: FakeTime) -> None:
    time.advance(0.25)
    reply = run("TIME")
    assert isinstance(reply, list)
    seconds, microseconds = (int(part) for part in reply if isinstance(part, bytes))
    assert seconds + microseconds / 1e6 == pytest.approx(state.clock.time(), abs=2e-6)


def test_flushdb_removes_the_keys_of_one_database_with_their_deadlines(
    run: Run, state: ServerState
) -> None:
    run("SET a 1 EX 100")
    run("SELECT 1")
    run("SET a 1")
    assert run("FLUSHDB") is OK
    assert run("DBSIZE") == 0
    run("SELECT 0")
    assert run("DBSIZE") == 1
    assert run("FLUSHDB ASYNC") is OK
    run("SET a 1")
    assert state.dbs[0].expire_ms(b"a") == NEVER


def test_flushall_removes_all_keys(run: Run, state: ServerState) -> None:
    for number in range(3):
        run(f"SELECT {number}")
        run("SET a 1")
    assert run("flushall sync") is OK
    assert sum(db.table.count for db in state.dbs) == 0


@pytest.mark.parametrize("name", ["FLUSHDB", "FLUSHALL"])
def test_flushing_takes_one_option(run: Run, name: str) -> None:
    assert message(run(f"{name} nonsense")) == SYNTAX
    assert message(run(f"{name} ASYNC SYNC")) == SYNTAX


def test_flushing_counts_each_key_as_a_change(run: Run, state: ServerState) -> None:
    run("MSET a 1 b 2")
    before = int(state.dirty)
    run("FLUSHALL")
    assert state.dirty == before + 2
    run("FLUSHALL")
    assert state.dirty == before + 2


def test_flushing_is_fed_even_if_there_was_nothing(run: Run, state: ServerState) -> None:
    fed: list[bytes] = []
    state.feed.listen(fed.append)
    run("FLUSHALL")
    state.end()
    run("SET a 1")
    run("FLUSHDB")
    state.end()
    assert fed[0].endswith(b"*1\r\n$8\r\nFLUSHALL\r\n")
    assert b"".join(fed).endswith(b"$7\r\nFLUSHDB\r\n")
    assert b"".join(fed).count(b"FLUSH") == 2


def test_swapdb_exchanges_keys_and_deadlines(run: Run, state: ServerState) -> None:
    run("SET a zero EX 100")
    run("SELECT 1")
    run("SET b one")
    assert run("SWAPDB 0 1") is OK
    assert run("GET a") == b"zero"
    assert state.dbs[1].expire_ms(b"a") > 0
    assert state.dbs[0].expire_ms(b"a") == NEVER
    run("SELECT 0")
    assert run("GET b") == b"one"
    assert run("GET a") is None


def test_swapping_a_database_with_itself_changes_nothing_but_is_a_change(
    run: Run, state: ServerState
) -> None:
    run("SET a 1")
    before = int(state.dirty)
    assert run("SWAPDB 0 0") is OK
    assert run("GET a") == b"1"
    assert state.dirty == before + 1


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("SWAPDB a b", "ERR invalid first DB index"),
        ("SWAPDB 0 b", "ERR invalid second DB index"),
        ("SWAPDB 0 99999999999", "ERR invalid second DB index"),
        ("SWAPDB 0 16", "ERR DB index is out of range"),
        ("SWAPDB -1 0", "ERR DB index is out of range"),
    ],
)
def test_swapdb_says_which_index_is_wrong(run: Run, line: str, error: str) -> None:
    assert message(run(line)) == error


class TestShutdown:
    """SHUTDOWN saves if there are save points, and does not go down if that fails."""

    @pytest.fixture(autouse=True)
    def folder(self, state: ServerState, tmp_path: Path) -> Path:
        state.config.dir = str(tmp_path)
        return tmp_path

    @pytest.fixture
    def stopped(self, state: ServerState) -> list[bool]:
        calls: list[bool] = []
        state.shutdown = lambda: calls.append(True)
        return calls

    @pytest.mark.parametrize(
        "options", ["", "NOSAVE", "now", "NOW FORCE NOSAVE", "SAVE FORCE", "NOSAVE NOSAVE"]
    )
    def test_it_stops_the_server_and_closes_the_client(
        self, run: Run, client: Client, stopped: list[bool], options: str
    ) -> None:
        assert run(f"SHUTDOWN {options}") is NO_REPLY
        assert stopped == [True]
        assert client.halted & CLOSING

    @pytest.mark.parametrize(
        "options", ["SAVE NOSAVE", "ABORT NOW", "nonsense", "NOSAVE nonsense", "ABORT SAVE"]
    )
    def test_options_that_do_not_go_together_are_a_syntax_error(
        self, run: Run, stopped: list[bool], options: str
    ) -> None:
        assert message(run(f"SHUTDOWN {options}")) == SYNTAX
        assert stopped == []

    def test_there_is_nothing_to_abort(self, run: Run, stopped: list[bool]) -> None:
        assert message(run("SHUTDOWN ABORT")) == "ERR No shutdown in progress."
        assert stopped == []

    @pytest.mark.parametrize("options", ["", "SAVE", "NOW"])
    def test_a_failing_save_keeps_the_server_up(
        self,
        run: Run,
        state: ServerState,
        stopped: list[bool],
        caplog: pytest.LogCaptureFixture,
        options: str,
    ) -> None:
        state.config.dir += "/missing"
        error = "ERR Errors trying to SHUTDOWN. Check logs."
        assert message(run(f"SHUTDOWN {options}")) == error
        assert stopped == []
        assert "Error trying to save the DB, can't exit." in caplog.text
        assert run("SHUTDOWN FORCE") is NO_REPLY
        assert stopped == [True]

    @pytest.mark.parametrize(
        ("points", "options", "saved"),
        [
            ("3600 1", "", True),
            ("3600 1", "NOSAVE", False),
            ("", "", False),
            ("", "SAVE", True),
        ],
    )
    def test_save_points_and_options_decide_whether_the_data_is_saved(
        self,
        run: Run,
        stopped: list[bool],
        folder: Path,
        points: str,
        options: str,
        saved: bool,
    ) -> None:
        run("CONFIG", "SET", "save", points)
        run("SET a 1")
        run(f"SHUTDOWN {options}")
        assert stopped == [True]
        assert (folder / "dump.rdb").exists() == saved

    def test_a_server_that_nobody_can_stop_says_so(self, run: Run, state: ServerState) -> None:
        state.shutdown = None
        assert message(run("SHUTDOWN")) == "ERR Errors trying to SHUTDOWN. Check logs."


def picture(reply: Reply) -> list[str]:
    assert isinstance(reply, Verbatim)
    text = reply.text.decode()
    assert text.endswith("Redis ver. 7.4.1\n")
    return text.split("\n")


@pytest.mark.parametrize("line", ["LOLWUT", "LOLWUT VERSION 7", "LOLWUT VERSION", "LOLWUT 10 x"])
def test_lolwut_is_the_version_alone_as_in_redis_7(run: Run, line: str) -> None:
    assert picture(run(line)) == ["Redis ver. 7.4.1", ""]


def test_lolwut_5_draws_braille_of_the_width_asked_for(run: Run) -> None:
    rows = picture(run("LOLWUT VERSION 5 30 4 4"))[:-2]
    assert {len(row) for row in rows} == {30}
    assert all(0x2800 <= ord(char) < 0x2900 for row in rows for char in row)
    assert any(char != "\u2800" for row in rows for char in row)
    assert len(rows) == 15  # 60 dots wide with 4 squares a row and a column: 60 high


def test_lolwut_5_squares_are_straight_at_the_top_and_fall_apart_below(run: Run) -> None:
    rows = picture(run("lolwut version 5 66 8 12"))[:-2]
    distinct = [len(set(row)) for row in rows]
    assert max(distinct[:8]) < max(distinct[-16:])


def test_lolwut_6_draws_coloured_rows(run: Run) -> None:
    rows = picture(run("LOLWUT VERSION 6 40 10"))[:-2]
    assert len(rows) == 10
    assert all(row.startswith("\x1b[48;5;") and row.endswith("\x1b[0m") for row in rows)
    assert all(row.count(" ") == 40 for row in rows)


@pytest.mark.parametrize("version", [5, 6])
@pytest.mark.parametrize("sizes", ["0 0 0", "1 1 1", "-5 -5", "100000 100000 100000"])
def test_lolwut_keeps_every_size_within_reason(run: Run, version: int, sizes: str) -> None:
    assert sum(len(row) for row in picture(run(f"LOLWUT VERSION {version} {sizes}"))) < 400_000


@pytest.mark.parametrize("line", ["LOLWUT VERSION x", "LOLWUT VERSION 5 x", "LOLWUT VERSION 6 1 x"])
def test_lolwut_refuses_what_is_no_number(run: Run, line: str) -> None:
    assert message(run(line)) == "ERR value is not an integer or out of range"
