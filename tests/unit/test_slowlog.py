"""The slow log, and the latency monitor, by value."""

from __future__ import annotations

import pytest

from redis_trio import jobs
from redis_trio.client import Client
from redis_trio.commands.latency import cumulative
from redis_trio.latency import LatencyMonitor, Series
from redis_trio.protocol.reply import OK, Counts, RedisError, Verbatim
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run

MS = 1_000_000


@pytest.fixture
def logged(run: Run) -> Run:
    """Have all commands logged, and begin with an empty log."""
    run("CONFIG SET slowlog-log-slower-than 0")
    run("SLOWLOG RESET")
    return run


def commands(run: Run) -> list[list[bytes]]:
    """Return the logged commands, newest first, without that which asks for them."""
    run("CONFIG SET slowlog-log-slower-than -1")
    reply = run("SLOWLOG GET -1")
    assert isinstance(reply, list)
    return [entry[3] for entry in reply]


def test_the_newest_comes_first_with_number_time_duration_address_and_name(
    logged: Run, state: ServerState
) -> None:
    logged("CLIENT SETNAME me")
    logged("PING")
    reply = logged("SLOWLOG GET 1")
    assert isinstance(reply, list)
    [[number, time_s, duration_us, args, address, name]] = reply
    assert number == 3
    assert time_s == state.clock.now_ms // 1000
    assert duration_us >= 0
    assert args == [b"PING"]
    assert address == b"?:0"
    assert name == b"me"


def test_only_what_takes_so_long_is_logged(run: Run, client: Client, state: ServerState) -> None:
    run("CONFIG SET slowlog-log-slower-than 2000")
    run("SLOWLOG RESET")
    command = state.commands[b"get"]
    for duration_ns in (1_999_000, 2_000_000, 7_000_999):
        if duration_ns >= state.slow_ns:
            state.was_slow(client, command, [b"GET", b"k"], duration_ns)
    assert [entry.duration_us for entry in state.slowlog.entries] == [7000, 2000]


def test_long_commands_and_arguments_are_cut(logged: Run) -> None:
    logged("DEL", *range(31))
    logged("DEL", *range(40))
    logged("GET", "x" * 130)
    logged("GET", "x" * 128)
    whole, long, many, fits = commands(logged)[:4]
    assert whole[1] == b"x" * 128
    assert long[1] == b"x" * 128 + b"... (2 more bytes)"
    assert many[-1] == b"... (10 more arguments)"
    assert len(many) == 32
    assert fits[-1] == b"30"


def test_secrets_are_not_logged(logged: Run) -> None:
    logged("AUTH secret")
    logged("CONFIG SET requirepass secret")
    logged("HELLO 3 AUTH default secret")
    logged("ACL SETUSER joe >secret")
    assert not any(b"secret" in word for words in commands(logged) for word in words)


def test_the_commands_of_a_transaction_are_logged_and_exec_is_not(logged: Run) -> None:
    for line in ("MULTI", "SET k v", "EXEC"):
        logged(line)
    assert commands(logged)[:2] == [[b"SET", b"k", b"v"], [b"MULTI"]]


def test_the_oldest_are_forgotten(logged: Run, state: ServerState) -> None:
    logged("CONFIG SET slowlog-max-len 3")
    for number in range(5):
        logged("ECHO", number)
    assert logged("SLOWLOG LEN") == 3
    logged("CONFIG SET slowlog-max-len 1")
    assert len(state.slowlog.entries) == 1
    logged("CONFIG SET slowlog-max-len 0")
    assert logged("SLOWLOG LEN") == 1
    assert logged("SLOWLOG RESET") is OK
    assert logged("SLOWLOG LEN") == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SLOWLOG GET -2", "ERR count should be greater than or equal to -1"),
        ("SLOWLOG GET x", "ERR count should be greater than or equal to -1"),
        (
            "SLOWLOG GET 1 2",
            "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.",
        ),
        ("SLOWLOG NOSUCH", "ERR unknown subcommand 'NOSUCH'. Try SLOWLOG HELP."),
    ],
)
def test_slowlog_refuses(run: Run, line: str, message: str) -> None:
    reply = run(line)
    assert isinstance(reply, RedisError)
    assert reply.message == message


# -- the latency monitor


@pytest.fixture
def monitor(run: Run, state: ServerState) -> LatencyMonitor:
    run("CONFIG SET latency-monitor-threshold 10")
    return state.latency


def test_nothing_is_noted_while_the_monitor_is_off(run: Run, state: ServerState) -> None:
    state.latency.note("command", 10**12)
    assert run("LATENCY LATEST") == []
    report = run("LATENCY DOCTOR")
    assert isinstance(report, Verbatim)
    assert b"CONFIG SET latency-monitor-threshold" in report.text


def test_of_one_second_the_longest_is_kept(
    run: Run, monitor: LatencyMonitor, time: FakeTime, state: ServerState
) -> None:
    for duration_ms in (9, 10, 30, 20):
        monitor.note("command", duration_ms * MS)
    time.advance(1)
    monitor.note("command", 12 * MS)
    now_s = int(state.clock.time())
    assert run("LATENCY HISTORY command") == [[now_s - 1, 30], [now_s, 12]]
    assert run("LATENCY LATEST") == [[b"command", now_s, 12, 30]]
    assert run("LATENCY HISTORY nosuch") == []


def test_slow_commands_are_events(
    run: Run, monitor: LatencyMonitor, client: Client, state: ServerState
) -> None:
    state.was_slow(client, state.commands[b"get"], [b"GET", b"k"], 15 * MS)
    state.was_slow(client, state.commands[b"keys"], [b"KEYS", b"*"], 25 * MS)
    assert {event: series.max_ms for event, series in monitor.events.items()} == {
        "fast-command": 15,
        "command": 25,
    }


def test_a_series_keeps_160_samples() -> None:
    series = Series()
    for second in range(200):
        series.add(second, 1)
    assert len(series.samples) == 160
    assert series.samples[0] == (40, 1)


def test_reset_forgets_all_or_those_named(run: Run, monitor: LatencyMonitor) -> None:
    for event in ("command", "fast-command", "expire-cycle"):
        monitor.note(event, 50 * MS)
    assert run("LATENCY RESET Command nosuch") == 1
    assert run("LATENCY RESET") == 2
    assert run("LATENCY LATEST") == []


def test_graph_shows_columns_over_the_time_since(
    run: Run, monitor: LatencyMonitor, time: FakeTime
) -> None:
    monitor.note("command", 30 * MS)
    time.advance(1)
    monitor.note("command", 20 * MS)
    graph = run("LATENCY GRAPH command")
    assert isinstance(graph, Verbatim)
    assert graph.text.decode().splitlines() == [
        "command - high 30 ms, low 20 ms (all time high 30 ms)",
        "-" * 80,
        "# ",
        "| ",
        "| ",
        "|_",
        "  ",
        "10",
        "ss",
    ]
    reply = run("LATENCY GRAPH nosuch")
    assert isinstance(reply, RedisError)
    assert reply.message == "ERR No samples available for event 'nosuch'"


def test_doctor_describes_each_event_and_what_helps(
    run: Run, monitor: LatencyMonitor, time: FakeTime
) -> None:
    run("CONFIG SET slowlog-log-slower-than -1")
    monitor.note("command", 30 * MS)
    time.advance(1)
    monitor.note("command", 20 * MS)
    monitor.note("fast-command", 11 * MS)
    report = run("LATENCY DOCTOR")
    assert isinstance(report, Verbatim)
    text = report.text.decode()
    assert (
        "1. command: 2 latency spikes (average 25ms, mean deviation 5ms, period 0.50 sec). "
        "Worst all time event 30ms." in text
    )
    assert "2. fast-command: 1 latency spikes" in text
    assert "slowlog-log-slower-than 10000" in text


def test_histogram_of_named_commands_and_of_a_containers(run: Run) -> None:
    run("CONFIG RESETSTAT")
    run("SET a b")
    run("SET c d")
    run("CLIENT ID")
    reply = run("LATENCY HISTOGRAM set nosuch client get")
    assert isinstance(reply, dict)
    assert list(reply) == [b"set", b"client|id"]
    assert isinstance(reply[b"set"], dict)
    assert reply[b"set"][b"calls"] == 2
    shown = reply[b"set"][b"histogram_usec"]
    assert isinstance(shown, Counts)
    assert shown.counts[-1][1] == 2


def test_steps_of_a_histogram_are_those_of_redis() -> None:
    histogram = [0] * (64 * 40)

    def count(ns: int) -> None:
        shift = max(0, ns.bit_length() - 7)
        histogram[64 * shift + (ns >> shift)] += 1

    for ns in (500, 900, 4_000, 20_000, 20_000, 300_000, 5 * 10**9):
        count(ns)
    assert cumulative(histogram) == [(1, 2), (4, 3), (33, 5), (528, 6), (1082130, 7)]


def test_a_cycle_of_expiry_is_an_event(
    run: Run, state: ServerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("CONFIG SET latency-monitor-threshold 20")
    moments = iter([0, 30 * MS])
    monkeypatch.setattr(jobs, "perf_counter_ns", lambda: next(moments))
    jobs.Expiry(state).run()
    assert run("LATENCY LATEST") == [[b"expire-cycle", int(state.clock.time()), 30, 30]]
