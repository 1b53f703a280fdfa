"""redis-cli in all its modes: what it shows of our server is what it shows of a real one.

Modes that go on until they are interrupted run in a terminal, until they have shown enough.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Self

import pytest

from tests.interop.compare import TIMEOUT_S, Peer
from tests.interop.conftest import Start

CLI = shutil.which("redis-cli") or ""
pytestmark = pytest.mark.skipif(
    not CLI and not os.environ.get("CI"), reason="redis-cli is not installed"
)

DATA = (
    "SET short 1",
    "SET long 123456789",
    "RPUSH list x y z",
    "HSET hash f v",
    "SADD set a",
    "ZADD zset 1.5 m",
    "XADD stream 1-1 f v",
)


def fill(port: int) -> None:
    """Have these keys in the database, and no others."""
    with closing(Peer(port)) as peer:
        for line in ("FLUSHALL", "FUNCTION FLUSH", *DATA):
            assert not peer.command(line).startswith(b"-"), line


def cli(port: int, *args: str, stdin: bytes = b"") -> str:
    """Run redis-cli to its end; return what it shows."""
    done = subprocess.run(
        [CLI, "-p", str(port), *args],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
    )
    text = done.stdout.decode("utf-8", "backslashreplace")
    assert done.returncode == 0, text
    return text


class Terminal:
    """redis-cli in a terminal, until it is left."""

    def __init__(self, port: int, *args: str) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (25, 80))
        environment = {**os.environ, "TERM": "xterm", "HOME": "/nonexistent"}
        self._process = subprocess.Popen(
            [CLI, "-p", str(port), *args],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
        )
        os.close(theirs)
        self._shown = b""

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def wait_for(self, pattern: bytes) -> str:
        """Return all that is shown when it has this in it."""
        end = time.monotonic() + TIMEOUT_S
        while re.search(pattern, self._shown, re.DOTALL) is None:
            ready, _, _ = select.select([self._ours], [], [], end - time.monotonic())
            assert ready, self._shown
            self._shown += os.read(self._ours, 65536)
        return self._shown.decode("utf-8", "backslashreplace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@pytest.fixture
def ports(real_port: int, our_port: int) -> Iterator[tuple[int, int]]:
    """The ports of a real server and of ours, with the same keys."""
    for port in (real_port, our_port):
        fill(port)
    yield real_port, our_port
    for port in (real_port, our_port):
        with closing(Peer(port)) as peer:
            peer.command("FUNCTION FLUSH")


SCRIPT = b"return {KEYS[1], ARGV[1], redis.call('GET', KEYS[1])}"


@pytest.mark.parametrize(
    "words",
    [
        "LRANGE list 0 -1",
        "--no-raw LRANGE list 0 -1",
        "--csv LRANGE list 0 -1",
        "--csv -3 HGETALL hash",
        "--json -3 HGETALL hash",
        "--json ZRANGE zset 0 -1 WITHSCORES",
        "--quoted-json -3 XRANGE stream - +",
        "--no-raw -3 HGETALL hash",
        "--no-raw -3 SMEMBERS set",
        "--no-raw -3 ZSCORE zset m",
        "--no-raw XRANGE stream - +",
        "--no-raw GET nosuch",
        "--no-raw GET list",
        "-n 1 DBSIZE",
        "-r 3 INCR short",
        "--no-raw CLUSTER INFO",
        "--no-raw MODULE LIST",
        "--no-raw LATENCY LATEST",
    ],
)
def test_replies_are_shown_alike(ports: tuple[int, int], words: str) -> None:
    real, ours = (cli(port, *words.split()) for port in ports)
    assert ours == real


def test_a_script_from_a_file(ports: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "script.lua"
    path.write_bytes(SCRIPT)
    real, ours = (cli(port, "--eval", str(path), "short", ",", "word") for port in ports)
    assert ours == real == "short\nword\n1\n"


def test_an_argument_from_the_input(ports: tuple[int, int]) -> None:
    for port in ports:
        assert cli(port, "-x", "SET", "k", stdin=b"from outside") == "OK\n"
        assert cli(port, "GET", "k") == "from outside\n"


def test_mass_insertion(ports: tuple[int, int]) -> None:
    lines = b"".join(b"SET k%d v\r\n" % number for number in range(5000)) + b"INCR list\r\n"
    real, ours = (cli_of_pipe(port, lines) for port in ports)
    assert ours == real
    assert "errors: 1, replies: 5001" in ours
    assert cli(ports[1], "DBSIZE") == f"{5000 + len(DATA)}\n"


def cli_of_pipe(port: int, lines: bytes) -> str:
    """Send commands in bulk; one of them fails, and so does redis-cli."""
    done = subprocess.run(
        [CLI, "-p", str(port), "--pipe"],
        input=lines,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1
    return done.stdout.decode()


def test_a_scan_by_pattern_shows_the_same_keys(ports: tuple[int, int]) -> None:
    for args in (["--scan"], ["--scan", "--pattern", "*s*"]):
        real, ours = (sorted(cli(port, *args).splitlines()) for port in ports)
        assert ours == real


def summary(text: str) -> list[str]:
    """What is shown behind the search, whatever order the keys came in."""
    return sorted(text.partition("-------- summary -------")[2].splitlines())


def test_the_biggest_keys_are_the_same(ports: tuple[int, int]) -> None:
    real, ours = (summary(cli(port, "--bigkeys")) for port in ports)
    assert ours == real
    assert "Biggest   list found '\"list\"' has 3 items" in "\n".join(ours)


def test_the_keys_that_take_most_memory(ports: tuple[int, int]) -> None:
    text = "\n".join(summary(cli(ports[1], "--memkeys")))
    assert re.search(r'Biggest +list found \'"list"\' has \d+ bytes', text)
    assert f"Sampled {len(DATA)} keys" in text
    text = cli(ports[1], "--memkeys-samples", "0")
    assert f"Sampled {len(DATA)} keys" in text


def test_the_keys_that_are_used_most(start_ours: Start) -> None:
    port = start_ours("--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0")
    fill(port)
    cli(port, "-r", "20", "GET", "long")
    found = [line for line in cli(port, "--hotkeys").splitlines() if "keyname:" in line]
    assert found[0].endswith('keyname: "long"')


def test_the_figures_of_a_server_go_on(our_port: int) -> None:
    with Terminal(our_port, "--stat", "-i", "0.01") as terminal:
        text = terminal.wait_for(rb"(\d+ \(\+1\) .*){3}\n")
    assert re.search(r"keys +mem +clients +blocked +requests +connections", text)


def test_latency_is_measured(our_port: int) -> None:
    figures = cli(our_port, "--latency", "-i", "0.05", "--raw").split()
    assert len(figures) == 4
    assert int(figures[3]) >= 1
    with Terminal(our_port, "--latency-history", "-i", "0.05") as terminal:
        terminal.wait_for(rb"seconds range.*seconds range")
    with Terminal(our_port, "--latency-dist", "-i", "0.05") as terminal:
        terminal.wait_for(rb"From 0 to 100%.*\n.*milliseconds")


def test_a_simulation_of_a_cache(start_ours: Start) -> None:
    port = start_ours("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru")
    with Terminal(port, "--lru-test", "1000") as terminal:
        terminal.wait_for(rb"\d+ Gets/sec \| Hits: \d+ \([\d.]+%\) \| Misses: \d+")


def test_a_monitor_shows_commands(our_port: int) -> None:
    with Terminal(our_port, "MONITOR") as terminal:
        terminal.wait_for(b"OK")
        cli(our_port, "SET", "k", "some value")
        terminal.wait_for(rb'\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET" "k" "some value"')


@pytest.mark.parametrize("options", [(), ("-3",)])
def test_a_subscriber_shows_messages(our_port: int, options: tuple[str, ...]) -> None:
    with Terminal(our_port, *options, "SUBSCRIBE", "news") as terminal:
        terminal.wait_for(rb'1\) "subscribe".*2\) "news".*3\) \(integer\) 1')
        assert cli(our_port, "PUBLISH", "news", "hello") == "1\n"
        terminal.wait_for(rb'1\) "message".*2\) "news".*3\) "hello"')


def test_hints_are_those_of_command_docs(our_port: int) -> None:
    with Terminal(our_port) as terminal:
        terminal.wait_for(rb"%d> " % our_port)
        terminal.type(b"getrange nosuch ")
        terminal.wait_for(rb"start.* end")
        terminal.type(b"0 0\r")
        terminal.wait_for(rb'"".*%d> ' % our_port)  # what is typed before the prompt is lost
        terminal.type(b"help getrange\r")
        terminal.wait_for(rb"summary:.*since:.* 2\.4\.0.*group:.* string")
