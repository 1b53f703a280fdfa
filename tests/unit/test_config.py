"""Parameters, redis.conf, CONFIG REWRITE and the CONFIG commands, by value."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from redis_trio.client import Client
from redis_trio.config import Config, ConfigError, UnknownParameterError
from redis_trio.config.kinds import HIDDEN, Parameter, parse_memory, quote, strtoll
from redis_trio.config.reader import ConfigFileError, FatalError, load_config
from redis_trio.config.rewrite import rewrite_text
from redis_trio.config.specials import NORMAL, PUBSUB, REPLICA, BufferLimit
from redis_trio.protocol.reply import OK, RedisError, Reply
from redis_trio.protocol.request import Args, split_inline
from tests.unit.conftest import Run


@pytest.fixture
def config(client: Client) -> Config:
    return client.server.config


def load(text: str, **files: str) -> Config:
    config = Config()
    load_config(config, None, text.encode())
    return config


def refusal(config: Config, name: str, value: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config.change([(name, value)])
    return caught.value.reason


# -- parameters


def test_each_server_has_its_own_values() -> None:
    one, other = Config(), Config()
    one.change([("timeout", "7")])
    assert (one.timeout, other.timeout, Config.timeout.default) == (7, 0, 0)


def test_names_have_hyphens_and_aliases_mean_the_same_parameter() -> None:
    config = Config()
    config.change([("slave-priority", "5")])
    assert config.replica_priority == 5
    assert config.text("replica-priority") == config.text("slave-priority") == "5"


def test_a_parameter_of_the_class_is_its_declaration() -> None:
    assert isinstance(Config.port, Parameter)
    assert (Config.port.name, Config.repl_ping_replica_period.alias) == (
        "port",
        "repl-ping-slave-period",
    )


def test_an_ignored_parameter_says_why_in_a_sentence() -> None:
    reasons = [p.ignored for p in Config.parameters.values() if p.ignored]
    assert reasons
    assert all(reason.endswith(".") for reason in reasons)


def test_every_parameter_says_what_it_takes_and_prints_what_it_reads() -> None:
    config = Config()
    for name, parameter in Config.parameters.items():
        assert parameter.takes, name
        text = parameter.text(config)
        words = text.split(" ") if parameter.several and text else [text]
        if text or parameter.several:
            value = parameter.parse(words, config) if name not in ("replicaof", "slaveof") else None
            assert value == parameter.read(config), name


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("port", "65536", "argument must be between 0 and 65535 inclusive"),
        ("port", "x", "argument couldn't be parsed into an integer"),
        ("port", "01", "argument couldn't be parsed into an integer"),
        ("maxclients", "-1", "argument must be between 1 and 4294967295 inclusive"),
        ("activerehashing", "on", "argument must be 'yes' or 'no'"),
        ("maxmemory", "1tb", "argument must be a memory value"),
        (
            "proto-max-bulk-len",
            "1",
            "argument must be between 1048576 and 9223372036854775807 inclusive",
        ),
        ("maxmemory-clients", "101%", "percentage argument must be less or equal to 100"),
        ("maxmemory-clients", "x%", "argument must be a memory or percent value"),
        (
            "appendfsync",
            "sometimes",
            "argument(s) must be one of the following: everysec, always, no",
        ),
        ("dbfilename", "a/b", "dbfilename can't be a path, just a filename"),
        ("save", "900", "Invalid save parameters"),
        (
            "client-output-buffer-limit",
            "normal 0 0",
            "Wrong number of arguments in buffer limit configuration.",
        ),
        (
            "notify-keyspace-events",
            "q",
            "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.",
        ),
        ("bind", " ".join(["a"] * 17), "Too many bind addresses specified."),
        ("oom-score-adj-values", "1 2", "wrong number of arguments"),
        (
            "shutdown-on-sigterm",
            "save nosave",
            "shutdown options SAVE and NOSAVE can't be used simultaneously",
        ),
        (
            "proc-title-template",
            "{x}",
            "template format is invalid or contains unknown variables",
        ),
        ("dir", "/nonexistent", "No such file or directory"),
        ("dir", "/etc/passwd", "Not a directory"),
        ("databases", "3", "can't set immutable config"),
        ("tls-port", "65536", "argument must be between 0 and 65535 inclusive"),
    ],
)
def test_a_refusal_is_in_the_words_of_redis(name: str, value: str, reason: str) -> None:
    config = Config()
    before = config.text(name)
    assert refusal(config, name, value) == reason
    assert config.text(name) == before


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("maxmemory", "1gb", "1073741824"),
        ("maxmemory", "1g", "1000000000"),
        ("maxmemory", "", "0"),
        ("maxmemory-clients", "5%", "5%"),
        ("hz", "1000", "500"),
        ("hz", "0", "1"),
        ("appendfsync", "ALWAYS", "always"),
        ("oom-score-adj", "relative", "yes"),
        ("save", "", ""),
        ("save", "900 1 300 10", "900 1 300 10"),
        ("shutdown-on-sigint", "force nosave now", "nosave now force"),
        ("notify-keyspace-events", "KEg$lshzxetd", "AKE"),
        ("latency-tracking-info-percentiles", "50.50 100", "50.5 100"),
        ("dbfilename", "name\0rest", "name"),
        ("requirepass", "a\0b", "a\0b"),
        ("repl-backlog-size", "1", "16384"),
    ],
)
def test_a_value_is_shown_as_redis_shows_it(name: str, value: str, text: str) -> None:
    config = Config()
    config.change([(name, value)])
    assert config.text(name) == text


def test_buffer_limits_of_classes_that_are_not_named_stay() -> None:
    config = Config()
    replica = config.client_output_buffer_limit[REPLICA]
    config.change([("client-output-buffer-limit", "normal 1mb 2k 3 pubsub 0 0 0")])
    limits = config.client_output_buffer_limit
    assert limits[NORMAL] == BufferLimit(1024 * 1024, 2000, 3)
    assert limits[REPLICA] == replica
    assert limits[PUBSUB] == BufferLimit(0, 0, 0)


def test_an_embedded_server_does_not_move_the_process(tmp_path: Path) -> None:
    before = os.getcwd()
    config = Config()
    assert config.dir == before
    config.change([("dir", str(tmp_path))])
    assert (config.dir, os.getcwd()) == (str(tmp_path.resolve()), before)


def test_a_server_that_owns_the_process_moves_it_and_back_if_the_change_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    config = Config(owns_process=True)
    config.change([("dir", "sub")])
    assert config.dir == os.getcwd() == str((tmp_path / "sub").resolve())
    assert "integer" in refusal_of_all(config, [("dir", ".."), ("timeout", "x")])
    assert config.dir == os.getcwd() == str((tmp_path / "sub").resolve())


def refusal_of_all(config: Config, pairs: list[tuple[str, str]]) -> str:
    with pytest.raises(ConfigError) as caught:
        config.change(pairs)
    return caught.value.reason


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *[("", 0), ("b", 0), ("1Kb", 1024), ("1K", 1000), ("-1", None), ("1 ", None), ("1\0x", 1)],
        *[("18446744073709551616", 2**64 - 1), ("18446744073709551615k", 2**64 - 1000)],
        ("1" * 128, None),
    ],
)
def test_sizes_are_read_as_memtoull_reads_them(text: str, size: int | None) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" +7x", (7, "x")), ("", (0, "")), ("-", (0, "-")), ("9" * 30, (2**63 - 1, ""))],
)
def test_numbers_are_read_as_strtoll_reads_them(text: str, expected: tuple[int, str]) -> None:
    assert strtoll(text) == expected


def test_what_is_quoted_is_read_back() -> None:
    text = bytes(range(256)).decode("utf-8", "surrogateescape")
    words = split_inline(quote(text).encode())
    assert words == [bytes(range(256))]


# -- hooks


def test_a_hook_runs_once_for_a_change_of_several_of_its_parameters() -> None:
    config = Config()
    seen = []
    stop = config.subscribe(
        ["timeout", "maxclients"], lambda: seen.append((config.timeout, config.maxclients))
    )
    config.change([("timeout", "1"), ("maxclients", "2")])
    config.change([("timeout", "1")])  # no change
    stop()
    config.change([("timeout", "3")])
    assert seen == [(1, 2)]


def test_a_hook_that_refuses_brings_every_old_value_back_and_tells_the_others() -> None:
    config = Config()
    seen = []
    config.subscribe("timeout", lambda: seen.append(config.timeout))

    def refuse() -> None:
        if config.maxclients == 5:
            raise ConfigError("too few")

    config.subscribe("maxclients", refuse)
    with pytest.raises(ConfigError) as caught:
        config.change([("timeout", "9"), ("maxclients", "5"), ("hz", "20")])
    assert (caught.value.name, caught.value.reason) == ("maxclients", "too few")
    assert (config.timeout, config.maxclients, config.hz) == (0, 10000, 10)
    assert seen == [9, 0]


def test_an_alias_runs_the_hooks_of_its_parameter() -> None:
    config = Config()
    seen = []
    config.subscribe("min-slaves-to-write", lambda: seen.append(config.min_replicas_to_write))
    config.change([("min-replicas-to-write", "1")])
    config.change([("min-slaves-to-write", "2")])
    assert seen == [1, 2]


# -- options of the embedding API


def test_options_are_python_values_by_name() -> None:
    config = Config.from_options(
        {
            "port": 0,
            "protected-mode": False,
            "maxmemory": "10mb",
            "save": [(900, 1), (300, 10)],
            "bind": "127.0.0.1 ::1",
            "requirepass": b"\xff",
            "unixsocket": Path("/tmp/x.sock"),
            "slave_priority": 3,
        }
    )
    assert (config.port, config.protected_mode, config.maxmemory) == (0, False, 10 << 20)
    assert config.save == ((900, 1), (300, 10))
    assert config.bind == ("127.0.0.1", "::1")
    assert (config.requirepass, config.unixsocket) == ("\udcff", "/tmp/x.sock")
    assert config.replica_priority == 3


def test_the_empty_string_is_no_save_point() -> None:
    assert Config.from_options({"save": ""}).save == ()


def test_an_unknown_option_is_named_with_its_nearest_neighbour() -> None:
    with pytest.raises(UnknownParameterError, match="'max_client'; did you mean 'maxclients'"):
        Config.from_options({"max_client": 3})


def test_a_bad_option_is_named_with_the_reason() -> None:
    with pytest.raises(
        ConfigError, match=r"^port: argument must be between 0 and 65535 inclusive$"
    ):
        Config.from_options({"port": 70000})


# -- redis.conf


def test_the_last_mention_of_a_parameter_counts() -> None:
    config = load("timeout 1\n# timeout 5\n\n  TIMEOUT 2  \r\n")
    assert config.timeout == 2


def test_words_are_quoted_as_in_inline_commands() -> None:
    assert load('requirepass "a \\x41\\n"').requirepass == "a A\n"
    assert load("requirepass 'a\\'b'").requirepass == "a'b"


def test_one_word_may_hold_the_words_of_a_parameter_that_takes_several() -> None:
    assert load('bind "127.0.0.1 ::1"').bind == ("127.0.0.1", "::1")
    assert load('save ""').save == ()
    assert load("bind").bind == ()


def test_the_first_save_replaces_the_default_and_others_add() -> None:
    assert load("save 900 1\nsave 300 10").save == ((900, 1), (300, 10))
    assert load('save 900 1\nsave ""').save == ()
    assert load('save ""\nsave 5 6').save == ((5, 6),)


def test_parameters_of_older_versions_are_accepted() -> None:
    load("list-max-ziplist-entries 5\nlist-max-ziplist-value 5\nlua-replicate-commands yes")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nonsense 1", "Bad directive or wrong number of arguments"),
        ("include", "Bad directive or wrong number of arguments"),
        ("port", "wrong number of arguments"),
        ("port 1 2", "wrong number of arguments"),
        ('port "1', "Unbalanced quotes in configuration line"),
        ("replicaof 127.0.0.1 abc", "Invalid master port"),
        ("rename-command nonsense x", "No such command in rename-command"),
        ("rename-command get set", "Target command name already exists"),
        ("sentinel monitor", "sentinel directive while not in sentinel mode"),
        ("user alice nonsense", "Error in user declaration 'user': Syntax error"),
        ("some.thing", "Module config specified without value"),
        ("cluster-enabled yes", "cluster mode is not supported"),
    ],
)
def test_a_line_that_is_refused_is_shown_with_its_number(line: str, reason: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        load("# comment\n " + line)
    assert str(caught.value) == (
        "\n*** FATAL CONFIG FILE ERROR (Redis 7.4.1) ***\n"
        f"Reading the configuration file, at line 2\n>>> '{line}'\n{reason}"
    )


def test_a_log_file_that_cannot_be_written_stops_the_reading() -> None:
    with pytest.raises(ConfigFileError) as caught:
        load("logfile /nonexistent/log")
    assert str(caught.value).endswith("\nCan't open the log file: No such file or directory")


def test_modules_cannot_be_loaded() -> None:
    with pytest.raises(FatalError, match=r"Can't load module from /x.so: server aborting"):
        load("loadmodule /x.so")


def test_files_are_included_by_name_and_by_pattern(tmp_path: Path) -> None:
    (tmp_path / "b.conf").write_text("timeout 2\n")
    (tmp_path / "a.conf").write_text("timeout 1\nhz 20\n")
    (tmp_path / "main").write_text(f"include {tmp_path}/*.conf\ninclude {tmp_path}/none-*\n")
    config = Config()
    load_config(config, str(tmp_path / "main"), b"\nmaxclients 9")
    assert (config.timeout, config.hz, config.maxclients) == (2, 20, 9)


def test_an_error_in_an_included_file_has_the_number_of_its_line_there(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("\n\nnonsense\n")
    with pytest.raises(ConfigFileError, match="at line 3\n>>> 'nonsense'"):
        load(f"include {tmp_path}/a.conf")


def test_behind_an_include_each_save_replaces_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("save 1 1\n")
    assert load(f"include {tmp_path}/a.conf\nsave 2 2\nsave 3 3").save == ((3, 3),)


def test_a_file_that_is_missing_is_fatal(tmp_path: Path) -> None:
    path = str(tmp_path / "none")
    with pytest.raises(FatalError) as caught:
        load_config(Config(), path)
    assert caught.value.args == (
        f"Fatal error, can't open config file '{path}': No such file or directory",
    )


def test_commands_are_renamed_one_after_the_other() -> None:
    config = load('rename-command GET fetch\nrename-command set GET\nrename-command config ""')
    assert config.renamed_commands == [("GET", "fetch"), ("set", "GET"), ("config", "")]


# -- CONFIG REWRITE


def rewritten(old: str, *changes: tuple[str, str]) -> list[str]:
    """Load a file, make changes, and return the new text without what is always written."""
    config = load(old)
    config.change(list(changes))
    text = rewrite_text(config, old.encode()).decode()
    always = ("dir ", "save ", "latency-tracking-info-percentiles ")
    return [line for line in text.splitlines() if not line.startswith(always)]


SIGNATURE = "# Generated by CONFIG REWRITE"


def test_comments_and_order_stay_and_values_change_in_place() -> None:
    old = "# about time\ntimeout 5\n\n# about hz\nhz 20"
    new = ["# about time", "timeout 6", "", "# about hz", "hz 20", SIGNATURE]
    assert rewritten(old, ("timeout", "6")) == new


def test_what_is_not_in_the_file_is_appended_unless_it_has_its_default() -> None:
    assert rewritten("hz 10", ("maxmemory", "2gb"), ("timeout", "0")) == [
        "hz 10",
        SIGNATURE,
        "maxmemory 2gb",
    ]


def test_further_mentions_are_removed_and_an_alias_becomes_the_name() -> None:
    old = "slave-priority 1\n# x\nreplica-priority 2\nreplica-priority 3\n# y"
    assert rewritten(old) == ["replica-priority 3", "# x", "", "# y", SIGNATURE]


def test_what_is_not_ours_stays_and_what_is_unknown_becomes_a_comment() -> None:
    config = Config()
    old = b'include /x\nrename-command flushdb ""\nuser alice on\ngone 1\nhz "x'
    lines = rewrite_text(config, old).decode().splitlines()[:5]
    assert lines == [
        "include /x",
        'rename-command flushdb ""',
        "user alice on",
        "# ??? gone 1",
        '# ??? hz "x',
    ]


def test_a_rewritten_file_reads_as_what_was_written_and_rewrites_as_itself() -> None:
    config = Config()
    config.change(
        [
            ("requirepass", 'a "b"\n\udcff'),
            ("save", ""),
            ("bind", "127.0.0.1 -::1"),
            ("maxmemory-clients", "7%"),
            ("shutdown-on-sigterm", "nosave now"),
            ("client-output-buffer-limit", "replica 1mb 2mb 3"),
            ("notify-keyspace-events", "KEA"),
            ("latency-tracking-info-percentiles", ""),
            ("oom-score-adj-values", "1 2 3"),
            ("locale-collate", "C"),
        ]
    )
    again = Config()
    text = rewrite_text(config, b"")
    load_config(again, None, text)
    assert values(again) == values(config)
    # The limits of `normal` take the place of the replicas', an empty line comes at the end;
    settled = rewrite_text(again, rewrite_text(again, text))  # then nothing changes any more.
    assert rewrite_text(again, settled) == settled


def test_all_parameters_can_be_written_and_read_back() -> None:
    config = Config()
    text = rewrite_text(config, b"", force_all=True)
    again = Config()
    load_config(again, None, text)
    assert values(again) == values(config)
    assert text.count(b"\nactiverehashing yes\n") == 1


def values(config: Config) -> dict[str, str]:
    return {name: config.text(name) for name in Config.parameters}


# -- the commands


def test_config_get_takes_names_and_patterns_each_parameter_once(run: Run) -> None:
    assert run("CONFIG GET port maxmemory-s* PO?T") == {
        b"port": b"6379",
        b"maxmemory-samples": b"5",
    }
    assert run("CONFIG GET MaxMemory") == {b"MaxMemory": b"0"}
    assert run("CONFIG GET nonsense") == {}


def test_config_get_shows_hidden_parameters_by_their_full_name_only(run: Run) -> None:
    everything = run("CONFIG GET *")
    assert isinstance(everything, dict)
    hidden = {name.encode() for name, p in Config.parameters.items() if p.flags & HIDDEN}
    assert hidden
    assert set(everything) == {name.encode() for name in Config.parameters} - hidden
    assert run("CONFIG GET key-load-delay") == {b"key-load-delay": b"0"}


def test_config_set_changes_all_or_nothing(run: Run, config: Config) -> None:
    assert run("CONFIG SET timeout 5 HZ 20") is OK
    assert (config.timeout, config.hz) == (5, 20)
    assert str(run("CONFIG SET timeout 6 hz x")) == (
        "ERR CONFIG SET failed (possibly related to argument 'hz') - "
        "argument couldn't be parsed into an integer"
    )
    assert (config.timeout, config.hz) == (5, 20)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("CONFIG SET timeout", "ERR wrong number of arguments for 'config|set' command"),
        ("CONFIG SET timeout 1 hz", "ERR syntax error"),
        (
            "CONFIG SET Nonsense 1",
            "ERR Unknown option or number of arguments for CONFIG SET - 'Nonsense'",
        ),
        (
            "CONFIG SET DATABASES 1",
            "ERR CONFIG SET failed (possibly related to argument 'DATABASES') - "  # noqa: ISC004
            "can't set immutable config",
        ),
        (
            "CONFIG SET dir /tmp",
            "ERR CONFIG SET failed (possibly related to argument 'dir') - "  # noqa: ISC004
            "can't set protected config",
        ),
        (
            "CONFIG SET hz 1 HZ 2",
            "ERR CONFIG SET failed (possibly related to argument 'HZ') - duplicate parameter",
        ),
        ("CONFIG REWRITE", "ERR The server is running without a config file"),
    ],
)
def test_an_error_of_config_is_in_the_words_of_redis(run: Run, line: str, message: str) -> None:
    reply = run(line)
    assert isinstance(reply, RedisError)
    assert reply.message == message


def test_protected_parameters_can_be_opened_for_local_clients(
    run: Run, config: Config, client: Client
) -> None:
    config.enable_protected_configs = "local"
    client.addr = "127.0.0.1:5"
    assert run("CONFIG SET dbfilename x") is OK
    client.addr = "10.0.0.1:5"
    assert isinstance(run("CONFIG SET dbfilename y"), RedisError)
    config.enable_protected_configs = "yes"
    assert run("CONFIG SET dbfilename z") is OK


def test_config_rewrite_replaces_the_file(run: Run, config: Config, tmp_path: Path) -> None:
    path = tmp_path / "redis.conf"
    path.write_text("# mine\ntimeout 1\n")
    config.config_file = str(path)
    config.change([("timeout", "9")])
    assert run("CONFIG REWRITE") is OK
    assert path.read_text().startswith("# mine\ntimeout 9\n")
    assert os.listdir(tmp_path) == ["redis.conf"]
    assert path.stat().st_mode & 0o133 == 0


def test_every_parameter_can_be_written_for_tests(run: Run, config: Config, tmp_path: Path) -> None:
    config.enable_debug_command = "yes"
    assert str(run("DEBUG CONFIG-REWRITE-FORCE-ALL")) == (
        "ERR The server is running without a config file"
    )
    path = tmp_path / "redis.conf"
    config.config_file = str(path)
    assert run("DEBUG CONFIG-REWRITE-FORCE-ALL") is OK
    again = Config()
    load_config(again, str(path))
    assert values(again) == values(config)
    assert "\nlist-compress-depth 0\n" in path.read_text()


def test_config_rewrite_leaves_nothing_behind_when_it_fails(
    run: Run, config: Config, tmp_path: Path
) -> None:
    path = tmp_path / "redis.conf"
    path.mkdir()
    config.config_file = str(path)
    assert str(run("CONFIG REWRITE")) == "ERR Rewriting config file: Is a directory"
    assert os.listdir(tmp_path) == ["redis.conf"]


def test_config_resetstat_starts_the_counters_again(run: Run, client: Client) -> None:
    run("NONSENSE")
    run("CONFIG GET port")
    stats = client.server.stats
    assert stats.error_replies == 1
    assert run("CONFIG RESETSTAT") is OK
    assert stats.error_replies == 0
    assert stats.errors == {}
    assert stats.total_commands <= 1  # CONFIG RESETSTAT itself


def test_config_help_names_its_subcommands(run: Run) -> None:
    reply = run("CONFIG HELP")
    assert isinstance(reply, list)
    text = [line.text for line in reply]
    assert text[0] == b"CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert {line.split()[0] for line in text[1:] if not line.startswith(b" ")} == {
        *[b"GET", b"SET", b"REWRITE", b"RESETSTAT", b"HELP"]
    }


@pytest.mark.parametrize(("hide", "shown"), [("no", "[b'PING', b'secret']"), ("yes", "[b'PING']")])
def test_user_data_is_kept_out_of_the_log_when_asked(
    run: Run,
    config: Config,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    hide: str,
    shown: str,
) -> None:
    def fail(client: Client, args: Args) -> Reply:
        raise ZeroDivisionError

    assert run("CONFIG", "SET", "hide-user-data-from-log", hide) is OK
    monkeypatch.setattr(client.server.commands[b"PING"], "handler", fail)
    assert str(run("PING secret")) == "ERR internal error"
    assert caplog.messages == [f"internal error in {shown}"]
