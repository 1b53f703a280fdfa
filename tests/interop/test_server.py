"""The server group on redis-server and on ours: INFO's fields, DEBUG, whole databases."""

from __future__ import annotations

import random
import re
import shutil
import subprocess

import pytest

from redis_trio.protocol.reply import Reply, Status, Verbatim
from tests.interop.compare import Both, parse

SECTIONS = (
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "modules",
    "cluster",
)


def info_text(frame: bytes) -> str:
    reply = parse(frame)
    text = reply.text if isinstance(reply, Verbatim) else reply
    assert isinstance(text, bytes)
    return text.decode()


def names(frame: bytes) -> list[str]:
    """The titles and field names of an INFO reply, in order."""
    return [row.split(":")[0] for row in info_text(frame).split("\r\n")]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_of_redis_is_there_in_its_order(both: Both, section: str) -> None:
    real = names(both.real.command(f"INFO {section}"))
    ours = names(both.ours.command(f"INFO {section}"))
    known = set(real)
    assert [name for name in ours if name in known] == real


@pytest.mark.parametrize(
    "line", ["INFO", "INFO all", "INFO everything", "INFO cpu default", "INFO keyspace server"]
)
def test_the_same_sections_in_the_same_order(both: Both, line: str) -> None:
    both("SET k v", "SET k", "GET k")
    real, ours = (
        re.findall("^# .*", info_text(peer.command(line)), re.MULTILINE)
        for peer in (both.real, both.ours)
    )
    assert ours == real


def test_a_section_that_nobody_knows_is_an_empty_reply(both: Both) -> None:
    both("INFO nosuch", "INFO nosuch neither")


def figures(frame: bytes, *wanted: str) -> list[str]:
    rows = info_text(frame).split("\r\n")
    return [row for name in wanted for row in rows if row.startswith(name + ":")]


def test_the_counters_of_a_session_agree(both: Both) -> None:
    both("CONFIG RESETSTAT")
    both("SET k v", "GET k", "GET none", "GET k extra", "NOSUCH", "INCR k", "SELECT 99")
    for section, wanted in (
        ("stats", ("keyspace_hits", "keyspace_misses", "total_error_replies", "expired_keys")),
        ("errorstats", ("errorstat_ERR", "errorstat_WRONGTYPE")),
        ("keyspace", ("db0",)),
    ):
        real = figures(both.real.command(f"INFO {section}"), *wanted)
        ours = figures(both.ours.command(f"INFO {section}"), *wanted)
        assert [row.removesuffix(",subexpiry=0") for row in ours] == real


def calls(frame: bytes) -> dict[str, str]:
    """What commandstats counts, without the times."""
    found = {}
    for row in info_text(frame).split("\r\n")[1:]:
        name, _, rest = row.partition(":")
        found[name] = re.sub(r"usec=\d+,usec_per_call=[\d.]+,", "", rest)
    return found


def test_commandstats_agree(both: Both) -> None:
    both("CONFIG RESETSTAT")
    both("SET k v", "GET k", "GET k extra", "INCR k", "CONFIG GET nosuch", "ECHO")
    assert calls(both.ours.command("INFO commandstats")) == calls(
        both.real.command("INFO commandstats")
    )


@pytest.mark.parametrize(
    "name",
    [
        *("string", "integer", "double", "bignum", "null", "array", "set", "map", "attrib"),
        *("verbatim", "true", "false", "TRUE", "nosuch"),
    ],
)
def test_protocol_replies_are_the_same_bytes(both: Both, name: str) -> None:
    both(f"DEBUG PROTOCOL {name}")


def test_the_push_and_its_reply_are_the_same_bytes(both: Both) -> None:
    both("DEBUG PROTOCOL push")
    if both.resp == 3:
        assert both.ours.frame() == both.real.frame()


@pytest.mark.parametrize(
    "line",
    [
        "DEBUG nosuch",
        "DEBUG SLEEP",
        "DEBUG SLEEP 0",
        "DEBUG SLEEP x",
        "DEBUG POPULATE -1",
        "DEBUG POPULATE x",
        "DEBUG POPULATE 2 p 0",
        "DEBUG OBJECT none",
        'DEBUG ERROR "CODE a\\nb"',
        "DEBUG SET-ACTIVE-EXPIRE 1",
        "DEBUG DIGEST",
        "DEBUG DIGEST-VALUE",
        "DEBUG DIGEST-VALUE a b",
        "DEBUG STRINGMATCH-TEST",
        "DEBUG LOG hello",
        "SWAPDB a b",
        "SWAPDB 0 b",
        "SWAPDB 0 99",
        "SWAPDB 0 99999999999",
        "SWAPDB 0 -1",
        "FLUSHDB x",
        "FLUSHALL ASYNC SYNC",
        "FLUSHALL SYNC",
        "SHUTDOWN ABORT",
        "SHUTDOWN SAVE NOSAVE",
        "SHUTDOWN ABORT NOW",
        "SHUTDOWN x",
        "LOLWUT VERSION x",
        "DBSIZE x",
        "TIME x",
    ],
)
def test_odd_arguments_get_the_same_reply(both: Both, line: str) -> None:
    both(line)


def test_the_digest_of_the_same_data_is_the_same(both: Both) -> None:
    rng = random.Random(7)
    for number in range(200):
        both(["SET", f"key:{number}", rng.randbytes(rng.randrange(100))])
    both("SET n 12345", "SET padded 007", "SET e v EX 1000", "APPEND n 6", "SETRANGE e 3 x")
    both("DEBUG DIGEST", "DEBUG DIGEST-VALUE n padded e key:5 none")
    both("SELECT 3", "SET other db", "DEBUG DIGEST", "SELECT 0", "SWAPDB 0 3", "DEBUG DIGEST")


def without_place_and_time(reply: Reply) -> object:
    assert isinstance(reply, Status)
    return re.sub(r"at:0x[0-9a-f]+|lru:\d+|lru_seconds_idle:\d+", "", reply.text.decode())


def test_debug_object_tells_the_same_sizes_and_encodings(both: Both) -> None:
    rng = random.Random(11)
    values = [b"", b"1", b"9999", b"10000", b"-5", b"70000", b"5000000000", b"007", b"x" * 44]
    values += [b"x" * 45, b"ab" * 500, rng.randbytes(30), rng.randbytes(3000)]
    values += [bytes(rng.choices(b"abcd", k=size)) for size in (21, 22, 64, 100, 1000, 20000)]
    values += [b"the quick brown fox jumps over the lazy dog " * count for count in (1, 2, 50)]
    for value in values:
        both(["SET", "k", value])
        both("DEBUG OBJECT k", normalize=without_place_and_time)


def test_populate_makes_the_same_keys(both: Both) -> None:
    both("SET p:1 mine", "DEBUG POPULATE 3 p", "DEBUG POPULATE 2 q 3", "DEBUG POPULATE 2 r 12")
    both("DBSIZE", "MGET p:0 p:1 p:2 q:0 q:1 r:0 r:1", "DEBUG DIGEST")


def test_flushing_and_swapping_whole_databases(both: Both) -> None:
    both("SET a 1", "SELECT 1", "SET b 2", "SWAPDB 0 1", "GET a", "DBSIZE", "FLUSHDB", "DBSIZE")
    both("SELECT 0", "GET b", "DBSIZE", "FLUSHALL ASYNC", "DBSIZE", "SWAPDB 1 1")


def test_redis_cli_shows_info(our_port: int) -> None:
    cli = shutil.which("redis-cli")
    if cli is None:
        pytest.skip("redis-cli is not installed")
    done = subprocess.run(
        [cli, "-p", str(our_port), "info", "server"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("# Server\nredis_version:7.4.1\n")
    assert "redis_trio_build:" in done.stdout
