"""The program as its users start it: arguments, redis.conf, the log, signals, exit status.

Each test is a process of its own. Where it serves, it listens on a unix socket in the test's
directory and its log tells when it is ready, so that no port is taken and nothing is waited for by
time.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redis_trio.cli import parse_arguments

TIMEOUT_S = 30
LINE = re.compile(r"^\d+:[CM] \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d\.\d{3} [.\-*#] ")


def program(
    *words: str, stdin: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [sys.executable, "-m", "redis_trio", *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd=cwd,
        check=False,
        env=environment(),
    )


def environment() -> dict[str, str]:
    """The environment, with the package importable from any directory, and no supervisor."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    supervised = ("NOTIFY_SOCKET", "UPSTART_JOB")
    inherited = {name: value for name, value in os.environ.items() if name not in supervised}
    return {**inherited, "PYTHONPATH": path}


@pytest.fixture
def tmp_path(socket_folder: Path) -> Path:
    """The directory of the server, whose socket is in it."""
    return socket_folder


class Running:
    """A server in a process of its own that listens on `socket` in its directory."""

    def __init__(self, cwd: Path, *words: str, stdin: str = "", **env: str) -> None:
        self.path = cwd / "socket"
        options = ["--port", "0", "--unixsocket", str(self.path)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "redis_trio", *words, *options],
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment(), **env},
        )
        assert self.process.stdin is not None
        self.process.stdin.write(stdin)
        self.process.stdin.close()
        self.lines: list[str] = []

    def wait_ready(self) -> None:
        """Read the log until the server is ready."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if "Ready to accept connections" in line:
                return
        pytest.fail("the server did not start:\n" + "\n".join(self.lines))

    def command(self, line: str) -> list[str]:
        """Run an inline command; return the lines of its reply."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(TIMEOUT_S)
            sock.connect(str(self.path))
            sock.sendall(line.encode() + b"\r\nQUIT\r\n")
            data = b"".join(iter(lambda: sock.recv(65536), b""))
        assert data.endswith(b"+OK\r\n")
        return data[: -len(b"+OK\r\n")].decode().split("\r\n")[:-1]

    def value(self, name: str) -> str:
        """Return a parameter as CONFIG GET shows it."""
        return self.command(f"CONFIG GET {name}")[-1]

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end and return the exit status."""
        self.process.send_signal(signal_number)
        assert self.process.stdout is not None
        self.lines += self.process.stdout.read().splitlines()
        return self.process.wait(TIMEOUT_S)

    def kill(self) -> None:
        """End it if it still runs."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server and wait until it is ready, by its output."""
    servers: list[Running] = []

    def start(*words: str, stdin: str = "", **env: str) -> Running:
        server = Running(tmp_path, *words, stdin=stdin, **env)
        servers.append(server)
        server.wait_ready()
        return server

    yield start
    for server in servers:
        server.kill()


# -- what the words mean


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--port", "6380"], 'port "6380" '),
        (["--port 6380", "--timeout 5"], "port 6380 \ntimeout 5 "),
        (["--bind", "a", "b", "--port", "1"], 'bind "a" "b" \nport "1" '),
        (["--port", "--bla", "--timeout", "1"], 'port "--bla" \ntimeout "1" '),
        (["--save", "--port", "1"], 'save ""\nport "1" '),
        (["--port", "1", "--save"], 'port "1" \nsave ""'),
        (["--save", "", "--port", "1"], 'save "" \nport "1" '),
        (["--requirepass", 'a "b"\n'], 'requirepass "a \\"b\\"\\n" '),
        (["--replicaof", "--host", "--abc"], 'replicaof "--host" \nabc '),
        (["--logfile", "-"], "logfile "),
        (["--logfile", "-", "--port", "1"], 'logfile "-" \nport "1" '),
    ],
)
def test_options_become_lines_of_the_configuration(words: list[str], options: str) -> None:
    invocation = parse_arguments(words)
    assert invocation.options.decode() == options
    assert invocation.config_file is None


@pytest.mark.parametrize(
    ("words", "config_file", "from_stdin"),
    [
        (["x.conf"], "x.conf", False),
        (["-"], None, True),
        (["x.conf", "-"], "x.conf", True),
        (["-", "--port", "1"], None, True),
        (["x.conf", "--port", "1", "-"], "x.conf", True),
        (["x.conf", "-", "--port", "1"], "x.conf", False),
    ],
)
def test_the_first_word_is_a_file_and_a_dash_at_an_end_is_standard_input(
    words: list[str], config_file: str | None, from_stdin: bool
) -> None:
    invocation = parse_arguments(words)
    assert (invocation.config_file, invocation.from_stdin) == (config_file, from_stdin)


# -- what ends at once


@pytest.mark.parametrize("word", ["-v", "--version"])
def test_the_version_is_told_without_importing_the_server(word: str) -> None:
    code = (
        "import sys; from redis_trio.__main__ import main; status = main([sys.argv[1]]);"
        "assert not {'trio', 'redis_trio.state', 'logging'} & set(sys.modules); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, word],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(r"Redis server v=7\.4\.1 sha=00000000:0 malloc=\S+ bits=64 build=", done.stdout)


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_shows_the_usage(word: str) -> None:
    done = program(word)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: redis-trio ")


@pytest.mark.parametrize(
    "words", [["--test-memory", "100"], ["--check-system"], ["x.conf", "--sentinel"]]
)
def test_what_there_is_not_is_refused(words: list[str]) -> None:
    done = program(*words)
    assert done.returncode == 1
    assert done.stderr.startswith("redis-trio ")


@pytest.mark.parametrize(
    ("words", "shown", "reason"),
    [
        (["--invalid"], "invalid", "Bad directive or wrong number of arguments"),
        (["--port"], "port", "wrong number of arguments"),
        (["--port", "6379", "6380"], 'port "6379" "6380"', "wrong number of arguments"),
        (["--port", "--bla"], 'port "--bla"', "argument couldn't be parsed into an integer"),
    ],
)
def test_a_bad_option_stops_the_start(words: list[str], shown: str, reason: str) -> None:
    done = program(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "\n*** FATAL CONFIG FILE ERROR (Redis 7.4.1) ***\n"
        f"Reading the configuration file, at line 2\n>>> '{shown}'\n{reason}\n"
    )


def test_a_configuration_file_that_is_missing_stops_the_start() -> None:
    done = program("/nonexistent.conf")
    assert done.returncode == 1
    assert done.stdout.endswith(
        " # Fatal error, can't open config file '/nonexistent.conf': No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("user bob +nosuch", "Critical error while loading ACLs. Exiting."),
        (
            "aclfile /nonexistent.acl",
            (
                "Aborting Redis startup because of ACL errors: Error loading ACLs, opening file "
                "'/nonexistent.acl': No such file or directory"
            ),
        ),
    ],
)
def test_users_that_cannot_be_loaded_stop_the_start(line: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "redis.conf"
    path.write_text(f"port 0\nunixsocket socket\n{line}\n")
    done = program(str(path), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.endswith(f" # {reason}\n")
    assert done.stderr == ""


def test_a_server_that_would_listen_nowhere_ends() -> None:
    done = program("--port", "0")
    assert done.returncode == 1
    assert done.stdout.endswith(" # Configured to not listen anywhere, exiting.\n")


def test_a_port_that_is_taken_stops_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        done = program("--port", str(port), "--bind", "127.0.0.1")
    assert done.returncode == 1
    assert done.stdout.endswith(f" # Failed listening on port {port} (tcp), aborting.\n")
    assert "Address already in use" in done.stdout
    assert "Ready" not in done.stdout


# -- what serves


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_and_every_line_of_its_log_is_redis_s(
    start: Start, number: int
) -> None:
    server = start()
    assert server.command("PING") == ["+PONG"]
    assert server.stop(number) == 0
    assert [line for line in server.lines if not LINE.match(line)] == []
    messages = [line.split(" ", 6)[-1] for line in server.lines]
    assert "Ready to accept connections unix" in messages
    assert f"Received {signal.Signals(number).name} scheduling shutdown..." in messages
    assert messages[-1] == "Redis is now ready to exit, bye bye..."
    assert not server.path.exists()


def test_a_second_sigint_does_not_wait_for_clients(start: Start) -> None:
    """This one does not read its reply, which the first signal would let out."""
    server = start()
    server.command(f"SET key {'x' * 60_000}")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(server.path))
        sock.sendall(b"GET key\r\n" * 100)
        assert sock.recv(1) == b"$"
        server.process.send_signal(signal.SIGINT)
        assert server.process.stdout is not None
        for line in server.process.stdout:
            if "Received SIGINT scheduling shutdown..." in line:
                break
        assert server.stop(signal.SIGINT) == 1
    assert server.lines[-1].endswith(" # You insist... exiting now.")
    assert not server.path.exists()


def test_a_signal_lets_a_script_come_to_its_end(start: Start) -> None:
    """Half of what a script does is never saved."""
    server = start("--busy-reply-threshold", "10")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(server.path))
        script = "for i = 1, 100000 do redis.call('incr', KEYS[1]) end return 'whole'"
        sock.sendall(b'EVAL "%s" 1 counter\r\n' % script.encode())
        while not server.command("PING")[0].startswith("-BUSY"):
            pass
        server.process.send_signal(signal.SIGTERM)
        assert sock.recv(100) == b"$5\r\nwhole\r\n"
    assert server.process.wait(TIMEOUT_S) == 0


def test_the_server_outlives_its_terminal(start: Start) -> None:
    server = start()
    server.process.send_signal(signal.SIGHUP)
    assert server.command("PING") == ["+PONG"]
    assert server.stop() == 0


def test_file_standard_input_and_options_are_read_in_this_order(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "x.conf").write_text("timeout 1\nhz 11\nmaxclients 21\nsave 900 1")
    server = start(
        "-", "--include", "x.conf", "--timeout", "3", "--save", "5 6", stdin="hz 12\ntimeout 2\n"
    )
    assert server.value("timeout") == "3"
    assert server.value("hz") == "11"
    assert server.value("maxclients") == "21"
    assert server.value("save") == "5 6"


def test_rewrite_writes_the_file_that_was_read(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "redis.conf"
    path.write_text("# mine\ntimeout 1\n")
    (tmp_path / "data").mkdir()
    server = start("redis.conf", "--dir", "data")
    assert server.value("dir") == str((tmp_path / "data").resolve())
    assert server.command("CONFIG SET timeout 7") == ["+OK"]
    assert server.command("CONFIG REWRITE") == ["+OK"]
    lines = path.read_text().splitlines()
    assert lines[:2] == ["# mine", "timeout 7"]
    assert f'dir "{(tmp_path / "data").resolve()}"' in lines


def test_a_renamed_command_has_its_new_name_only(start: Start) -> None:
    server = start("--rename-command", "PING", "alive", "--rename-command", "ECHO", "")
    assert server.command("Alive") == ["+PONG"]
    assert server.command("PING")[0].startswith("-ERR unknown command 'PING'")
    assert server.command("ECHO x")[0].startswith("-ERR unknown command 'ECHO'")


def test_the_log_file_is_opened_anew_for_each_line(tmp_path: Path) -> None:
    words = ["--logfile", "log", "--pidfile", "pid", "--supervised", "systemd"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(TIMEOUT_S)
        server = Running(tmp_path, *words, NOTIFY_SOCKET=str(tmp_path / "notify"))
        try:
            while notify.recv(1000) != b"READY=1\n":
                pass
            assert (tmp_path / "pid").read_text() == f"{server.process.pid}\n"
            (tmp_path / "log").rename(tmp_path / "old")
            assert server.stop() == 0
        finally:
            server.kill()
    assert server.lines == []
    assert "Ready to accept connections unix" in (tmp_path / "old").read_text()
    assert "bye bye" not in (tmp_path / "old").read_text()
    assert (tmp_path / "log").read_text().endswith("bye bye...\n")
    assert not (tmp_path / "pid").exists()


def test_the_level_of_the_log_can_be_changed(start: Start) -> None:
    server = start("--loglevel", "verbose")
    assert server.command("CONFIG SET loglevel warning") == ["+OK"]
    assert server.stop() == 0
    after = server.lines[server.lines.index(next(x for x in server.lines if "Ready" in x)) + 1 :]
    assert after
    assert all(" # " in line for line in after)


def test_a_daemon_leaves_its_terminal_and_writes_its_pid(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    with open(os.open(tmp_path / "log", os.O_RDWR), encoding="utf-8") as log:
        options = ["--daemonize", "yes", "--pidfile", "pid", "--logfile", "log", "--port", "0"]
        done = program(*options, "--unixsocket", "socket", cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        lines = [next(log)]
        pid = int(lines[0].split(":")[0])
        try:
            while not lines[-1].endswith("Ready to accept connections unix\n"):
                lines.append(next(log))
                assert " # " not in lines[-1]
            assert (tmp_path / "pid").read_text() == f"{pid}\n"
            assert os.getsid(pid) == pid
        finally:
            os.kill(pid, signal.SIGTERM)
        while "bye bye" not in lines[-1]:
            lines.append(next(log))
    assert not (tmp_path / "pid").exists()


def test_systemd_is_told_when_the_server_is_ready_and_when_it_stops(
    start: Start, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(TIMEOUT_S)
        path = str(tmp_path / "notify")
        server = start("--supervised", "auto", "--daemonize", "yes", NOTIFY_SOCKET=path)
        assert server.stop() == 0
        said = [notify.recv(1000) for _ in range(4)]
    assert said == [
        b"STATUS=Redis is loading...\n",
        b"STATUS=Ready to accept connections\n",
        b"READY=1\n",
        b"STOPPING=1\n",
    ]
