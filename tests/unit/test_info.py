"""INFO: which sections are asked for, and that their figures are those of the state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from redis_trio import __version__
from redis_trio.client import Client
from redis_trio.command import HISTOGRAM_BITS, Command
from redis_trio.eviction import OWN_BYTES
from redis_trio.info import all_commands, build_kind, human, percentile
from redis_trio.memory import Memory, mean_block, resident_bytes
from redis_trio.protocol.reply import OK, RedisError, Verbatim
from redis_trio.samples import STEP_NS, WINDOW_NS, Samples
from redis_trio.state import ERROR_CODES_MAX, ServerState
from tests.unit.conftest import FakeTime, Run
from tests.unit.peer import Peer

DEFAULT = (
    "Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace"
).split()
ALL = (
    "Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats "
    "Latencystats Cluster Keyspace"
).split()
# The fields that redis-server 7.4.1 prints, by section.
FIELDS: dict[str, list[str]] = json.loads(Path(__file__).with_name("info_fields.json").read_text())


def text(run: Run, line: str) -> str:
    reply = run(line)
    assert isinstance(reply, Verbatim)
    assert reply.format == b"txt"
    return reply.text.decode()


def titles(run: Run, line: str) -> list[str]:
    return [row[2:] for row in text(run, line).split("\r\n") if row.startswith("# ")]


def fields(run: Run, section: str) -> dict[str, str]:
    rows = text(run, f"INFO {section}").split("\r\n")
    return dict(row.split(":", 1) for row in rows if ":" in row)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("INFO", DEFAULT),
        ("INFO default", DEFAULT),
        ("INFO all", ALL),
        ("INFO EVERYTHING", ALL),
        ("INFO cpu all", ALL),
        ("INFO all debug", [*ALL, "Debug"]),
        ("INFO debug", ["Debug"]),
        ("INFO cpu default", DEFAULT),
        ("INFO keyspace Server KEYSPACE", ["Server", "Keyspace"]),
        ("INFO modules", ["Modules"]),
        ("INFO module_list", ["Modules"]),
        ("INFO commandSTATS", ["Commandstats"]),
        ("INFO sentinel", []),
        ("INFO cpu sentinel", ["CPU"]),
        ('INFO ""', []),
    ],
)
def test_the_words_choose_the_sections_and_redis_orders_them(
    run: Run, line: str, expected: list[str]
) -> None:
    assert titles(run, line) == expected


@pytest.mark.parametrize("section", FIELDS)
def test_a_section_has_the_fields_of_redis_7_4_in_their_order(
    run: Run, state: ServerState, section: str
) -> None:
    state.port = 6379
    own = {"redis_trio_version", "redis_trio_build", "python_version", "trio_version"}
    assert [name for name in fields(run, section) if name not in own] == FIELDS[section]


def test_sections_are_separated_by_one_empty_line(run: Run) -> None:
    shown = text(run, "INFO cluster keyspace")
    assert shown == "# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n"
    assert text(run, "INFO unknown") == ""


def test_server_says_redis_and_which_program_it_really_is(run: Run, time: FakeTime) -> None:
    time.advance(90061)
    server = fields(run, "server")
    assert server["redis_version"] == "7.4.1"
    assert server["redis_trio_version"] == __version__
    assert server["redis_trio_build"] == build_kind()
    assert server["uptime_in_seconds"] == "90061"
    assert server["uptime_in_days"] == "1"
    assert len(server["redis_build_id"]) == 16
    assert len(server["run_id"]) == 40


def test_server_lists_what_it_listens_on(run: Run, state: ServerState) -> None:
    assert "listener0" not in fields(run, "server")
    state.port = 7000
    state.config.bind = ("127.0.0.1", "-::1")
    state.config.unixsocket = "/run/redis.sock"
    server = fields(run, "server")
    assert server["tcp_port"] == "7000"
    assert server["listener0"] == "name=tcp,bind=127.0.0.1,bind=-::1,port=7000"
    assert server["listener1"] == "name=unix,bind=/run/redis.sock"


def test_clients_are_counted_with_what_they_hold(run: Run, state: ServerState) -> None:
    peer = Peer(state)
    peer.send_raw(b"*1\r\n$900\r\n" + b"x" * 500)
    shown = fields(run, "clients")
    assert shown["connected_clients"] == "1"
    assert int(shown["client_recent_max_input_buffer"]) >= 500
    assert shown["blocked_clients"] == "0"
    assert int(fields(run, "memory")["mem_clients_normal"]) >= 500


def test_used_memory_grows_and_shrinks_with_the_data(run: Run, state: ServerState) -> None:
    before = int(fields(run, "memory")["used_memory"])
    state.dbs[0].set(b"big", bytearray(50_000_000))
    with_data = fields(run, "memory")
    assert int(with_data["used_memory"]) - before == pytest.approx(50_000_000, rel=0.05)
    assert int(with_data["used_memory_dataset"]) == pytest.approx(50_000_000, rel=0.1)
    state.dbs[0].delete(b"big")
    after = fields(run, "memory")
    assert int(after["used_memory"]) - before < 5_000_000
    assert int(after["used_memory_peak"]) >= int(with_data["used_memory"])
    assert float(after["used_memory_peak_perc"].rstrip("%")) < 100


def test_small_values_are_told_from_large_ones_in_used_memory(state: ServerState) -> None:
    memory = Memory(state)
    memory.owns_process = True
    table = state.dbs[0].table
    for number in range(20000):
        table.set(b"key:%07d" % number, b"%010d" % number)
    assert mean_block(state.dbs) == pytest.approx(48)
    used = memory.used_bytes() - OWN_BYTES
    assert used == pytest.approx(20000 * (2 * 48 + 38), rel=0.35)
    assert 0 < used < resident_bytes()


def test_the_keyspace_section_has_the_databases_that_are_not_empty(
    run: Run, state: ServerState
) -> None:
    assert text(run, "INFO keyspace") == "# Keyspace\r\n"
    run("SET a 1")
    run("SET b 1 PX 1000")
    run("SET c 1 PX 3000")
    run("SELECT 9")
    run("SET a 1")
    assert text(run, "INFO keyspace") == (
        "# Keyspace\r\n"
        "db0:keys=3,expires=2,avg_ttl=2000,subexpiry=0\r\n"
        "db9:keys=1,expires=0,avg_ttl=0,subexpiry=0\r\n"
    )


def test_stats_count_hits_misses_commands_and_errors(run: Run) -> None:
    run("SET k v")
    run("GET k")
    run("GET k")
    run("GET none")
    run("SET k")
    run("NOSUCH")
    stats = fields(run, "stats")
    assert (stats["keyspace_hits"], stats["keyspace_misses"]) == ("2", "1")
    assert stats["total_commands_processed"] == "4"
    assert stats["total_error_replies"] == "2"


def test_persistence_counts_the_changes_that_no_file_has(run: Run) -> None:
    run("MSET a 1 b 2")
    run("GET a")
    assert fields(run, "persistence")["rdb_changes_since_last_save"] == "2"


def test_commandstats_has_the_commands_that_were_called_or_refused(run: Run) -> None:
    run("SET k v")
    run("SET k v NONSENSE")
    run("GET")
    run("CONFIG GET hz")
    rows = fields(run, "commandstats")
    assert sorted(rows) == ["cmdstat_config|get", "cmdstat_get", "cmdstat_set"]
    assert rows["cmdstat_set"].startswith("calls=2,usec=")
    assert rows["cmdstat_set"].endswith(",rejected_calls=0,failed_calls=1")
    assert rows["cmdstat_get"] == (
        "calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0"
    )


def test_commandstats_tells_the_mean_of_the_calls(run: Run, state: ServerState) -> None:
    command = state.commands[b"ping"]
    command.calls = 3
    command.ns = 10_000
    assert fields(run, "commandstats")["cmdstat_ping"].startswith(
        "calls=3,usec=10,usec_per_call=3.33,"
    )


def test_errorstats_is_sorted_and_counts_by_code(run: Run, state: ServerState) -> None:
    for code in ("WRONGTYPE", "ERR", "ERR", "ODD:#CODE"):
        state.count_error(code)
    assert text(run, "INFO errorstats") == (
        "# Errorstats\r\n"
        "errorstat_ERR:count=2\r\nerrorstat_ODD__CODE:count=1\r\nerrorstat_WRONGTYPE:count=1\r\n"
    )


def test_too_many_error_codes_switch_errorstats_off_until_a_reset(
    run: Run, state: ServerState
) -> None:
    for number in range(ERROR_CODES_MAX + 5):
        state.count_error(f"CODE{number}")
    assert fields(run, "errorstats") == {"errorstat_ERRORSTATS_DISABLED": "count=1"}
    assert fields(run, "stats")["total_error_replies"] == str(ERROR_CODES_MAX + 5)
    state.reset_stats()
    state.count_error("ERR")
    assert fields(run, "errorstats") == {"errorstat_ERR": "count=1"}


def test_latencystats_shows_the_configured_percentiles(run: Run, state: ServerState) -> None:
    command = state.commands[b"ping"]
    for _ in range(99):
        command.record(1000, in_histogram=True)
    command.record(5_000_000, in_histogram=True)
    state.config.latency_tracking_info_percentiles = (0.0, 50.0, 99.9, 100.0)
    shown = fields(run, "latencystats")["latency_percentiles_usec_ping"]
    low, middle, high, top = (float(part.split("=")[1]) for part in shown.split(","))
    assert [part.split("=")[0] for part in shown.split(",")] == ["p0", "p50", "p99.9", "p100"]
    assert low <= 1.0 <= middle <= 1.02
    assert 5000 <= high == top <= 5080
    state.config.latency_tracking = False
    assert fields(run, "latencystats") == {}


@pytest.mark.parametrize(
    "ns", [0, 1, 63, 64, 127, 128, 129, 255, 256, 1000, 999_999, 2**40 + 12345]
)
def test_a_percentile_is_within_the_histograms_precision(state: ServerState, ns: int) -> None:
    command = Command(state.commands[b"ping"].declaration, "x", None)
    command.record(ns, in_histogram=True)
    assert command.histogram is not None
    low, high = percentile(command.histogram, 0), percentile(command.histogram, 100)
    assert low <= ns <= high
    assert high - low <= ns >> HISTOGRAM_BITS


def test_resetstat_forgets_every_counter(run: Run, state: ServerState) -> None:
    run("SET k")
    run("CONFIG GET hz")
    run("GET none")
    assert run("CONFIG RESETSTAT") is OK
    stats = fields(run, "stats")
    assert stats["keyspace_misses"] == "0"
    assert stats["total_error_replies"] == "0"
    assert list(fields(run, "commandstats")) == ["cmdstat_config|resetstat", "cmdstat_info"]
    assert fields(run, "errorstats") == {}


def test_replication_is_that_of_a_master_without_replicas(run: Run, state: ServerState) -> None:
    shown = fields(run, "replication")
    assert shown["role"] == "master"
    assert shown["master_replid"] == state.replication.replid
    assert shown["master_replid2"] == "0" * 40
    assert shown["second_repl_offset"] == "-1"
    assert "min_slaves_good_slaves" not in shown
    state.config.min_replicas_to_write = 1
    assert fields(run, "replication")["min_slaves_good_slaves"] == "0"


def test_cpu_is_what_the_process_used(run: Run) -> None:
    cpu = fields(run, "cpu")
    assert float(cpu["used_cpu_user"]) > 0
    assert all(len(value.split(".")[1]) == 6 for value in cpu.values())


def test_a_cycle_is_a_unit_of_work(run: Run, state: ServerState) -> None:
    before = int(fields(run, "stats")["eventloop_cycles"])
    state.begin()
    state.end()
    shown = fields(run, "stats")
    assert int(shown["eventloop_cycles"]) == before + 2  # and the one that runs INFO
    assert state.stats.eventloop_max_ns <= state.stats.eventloop_ns


def test_every_command_is_in_the_list_once(state: ServerState) -> None:
    names = [command.fullname for command in all_commands(state)]
    assert len(names) == len(set(names))
    assert {"get", "config", "config|get"} <= set(names)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.00K"),
        (1536, "1.50K"),
        (1024**2, "1.00M"),
        (25276502016, "23.54G"),
        (3 * 1024**4, "3.00T"),
        (5 * 1024**5, "5.00P"),
        (1024**6, "1152921504606846976B"),
    ],
)
def test_sizes_for_people(size: int, shown: str) -> None:
    assert human(size) == shown


class TestRates:
    """Rates come from readings taken when work begins, and are true over idle time."""

    def test_a_rate_is_taken_over_the_window(self, state: ServerState) -> None:
        samples = Samples()
        for step in range(30):
            samples.take(step * STEP_NS, state)
            state.stats.total_commands += 10
        now = 30 * STEP_NS
        assert samples.rates(now, state).commands == 100

    def test_after_an_idle_time_the_rate_is_that_of_all_of_it(self, state: ServerState) -> None:
        samples = Samples()
        samples.take(0, state)
        state.stats.total_commands += 1000
        assert samples.rates(100_000_000_000, state).commands == 10

    def test_nothing_read_yet_is_no_rate(self, state: ServerState) -> None:
        assert Samples().rates(5, state).commands == 0

    def test_the_mean_cycle_is_its_time_by_their_number(self, state: ServerState) -> None:
        samples = Samples()
        samples.take(0, state)
        state.stats.eventloop_cycles += 10
        state.stats.eventloop_ns += 70_000
        rates = samples.rates(WINDOW_NS, state)
        assert rates.cycle_usec == 7
        assert rates.cycles == 6

    def test_the_next_reading_is_due_a_step_later(self, state: ServerState) -> None:
        samples = Samples()
        samples.take(123, state)
        assert samples.next_ns == 123 + STEP_NS
        assert state.stats.cron_ns > 0

    def test_a_reset_is_where_the_next_rate_begins(self, state: ServerState) -> None:
        samples = Samples()
        for step in range(30):
            samples.take(step * STEP_NS, state)
            state.stats.total_commands += 10
        state.stats.reset()
        samples.reset(state)
        state.stats.total_commands += 20
        reset_ns = samples.next_ns - STEP_NS
        assert samples.rates(reset_ns + 2_000_000_000, state).commands == 10

    def test_a_moment_is_no_time_to_tell_a_rate_from(self, state: ServerState) -> None:
        samples = Samples()
        samples.take(0, state)
        state.stats.total_commands += 1
        assert samples.rates(1000, state).commands == 10


def test_info_takes_no_other_arguments_than_sections(client: Client, run: Run) -> None:
    assert not isinstance(run("INFO", "\xff\x00", "server"), RedisError)
