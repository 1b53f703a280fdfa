"""DEBUG: sleeping, looking inside, replies of every type."""

from __future__ import annotations

import pytest

from redis_trio.blocking import Waiter
from redis_trio.client import BLOCKED, Client
from redis_trio.data.lzf import MAX_DISTANCE, compress
from redis_trio.keyspace.digest import add, dataset_digest, key_digest, mix
from redis_trio.persistence.rdb_writer import COMPRESS_MAX, saved_size
from redis_trio.protocol.reply import NO_REPLY, OK, RedisError, Reply, Status, encode
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run


def wire(reply: Reply, resp: int) -> bytes:
    out: list[bytes] = []
    encode(out, reply, resp)
    return b"".join(out)


def message(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def status(reply: Reply) -> str:
    assert isinstance(reply, Status), reply
    return reply.text.decode()


@pytest.fixture(autouse=True)
def allowed(state: ServerState) -> None:
    state.config.enable_debug_command = "yes"


def test_debug_is_refused_unless_the_configuration_allows_it(run: Run, state: ServerState) -> None:
    state.config.enable_debug_command = "no"
    assert message(run("DEBUG HELP")).startswith("ERR DEBUG command not allowed.")


@pytest.mark.parametrize(
    "line",
    [
        "DEBUG nosuch",
        "DEBUG SLEEP",
        "DEBUG SLEEP 1 2",
        "DEBUG DIGEST k",
        "DEBUG OBJECT",
        "DEBUG HELP x",
    ],
)
def test_an_unknown_subcommand_or_number_of_arguments(run: Run, line: str) -> None:
    word = line.split()[1]
    assert message(run(line)) == (
        f"ERR unknown subcommand or wrong number of arguments for '{word}'. Try DEBUG HELP."
    )


def test_help_lists_what_there_is(run: Run) -> None:
    reply = run("DEBUG HELP")
    assert isinstance(reply, list)
    lines = [status(line) for line in reply]
    assert lines[0] == "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert lines[-2:] == ["HELP", "    Print this help."]
    assert "SLEEP <seconds>" in lines
    assert "" not in lines


class TestSleep:
    """The server's loops pause; a transaction, which cannot wait, really sleeps."""

    def test_it_asks_the_loops_to_pause_and_blocks_the_client(
        self, run: Run, state: ServerState, client: Client
    ) -> None:
        assert run("DEBUG SLEEP 1.5") is NO_REPLY
        assert state.asleep_s == 1.5
        assert client.halted & BLOCKED
        waiter = client.waiter
        assert isinstance(waiter, Waiter)
        assert waiter.block.timeout_s == 1.5
        assert waiter.block.on_timeout is OK

    def test_the_time_counts_as_the_commands(
        self, run: Run, state: ServerState, client: Client
    ) -> None:
        run("DEBUG SLEEP 20")
        assert client.waiter is not None
        client.waiter.count()
        assert state.commands[b"debug"].ns == 20_000_000_000

    @pytest.mark.parametrize("seconds", ["0", "-1", "nonsense", "0.0x", ""])
    def test_no_time_is_over_at_once(self, run: Run, state: ServerState, seconds: str) -> None:
        assert run("DEBUG", "SLEEP", seconds) is OK
        assert state.asleep_s == 0

    @pytest.mark.parametrize(
        ("text", "seconds"), [(" 2x", 2.0), ("1e-2", 0.01), (".5", 0.5), ("+3.", 3.0)]
    )
    def test_seconds_are_read_as_c_reads_them(
        self, run: Run, state: ServerState, text: str, seconds: float
    ) -> None:
        run("DEBUG", "SLEEP", text)
        assert state.asleep_s == seconds

    def test_inside_a_transaction_it_is_done_when_it_returns(
        self, run: Run, client: Client, state: ServerState
    ) -> None:
        client.executing = True
        assert run("DEBUG SLEEP 0.001") is OK
        assert state.asleep_s == 0
        assert state.commands[b"debug"].ns >= 1_000_000


@pytest.mark.parametrize(
    ("name", "resp2", "resp3"),
    [
        ("string", b"$11\r\nHello World\r\n", b"$11\r\nHello World\r\n"),
        ("integer", b":12345\r\n", b":12345\r\n"),
        ("double", b"$5\r\n3.141\r\n", b",3.141\r\n"),
        ("null", b"$-1\r\n", b"_\r\n"),
        ("array", b"*3\r\n:0\r\n:1\r\n:2\r\n", b"*3\r\n:0\r\n:1\r\n:2\r\n"),
        ("set", b"*3\r\n:0\r\n:1\r\n:2\r\n", b"~3\r\n:0\r\n:1\r\n:2\r\n"),
        (
            "map",
            b"*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n",
            b"%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n",
        ),
        ("true", b":1\r\n", b"#t\r\n"),
        ("FALSE", b":0\r\n", b"#f\r\n"),
        (
            "bignum",
            b"$37\r\n1234567999999999999999999999999999999\r\n",
            b"(1234567999999999999999999999999999999\r\n",
        ),
        (
            "verbatim",
            b"$25\r\nThis is a verbatim\nstring\r\n",
            b"=29\r\ntxt:This is a verbatim\nstring\r\n",
        ),
        (
            "attrib",
            b"$39\r\nSome real reply following the attribute\r\n",
            (
                b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"
                b"$39\r\nSome real reply following the attribute\r\n"
            ),
        ),
    ],
)
def test_protocol_replies_with_each_type(
    run: Run, client: Client, name: str, resp2: bytes, resp3: bytes
) -> None:
    assert wire(run(f"DEBUG PROTOCOL {name}"), 2) == resp2
    client.resp = 3
    assert wire(run(f"DEBUG PROTOCOL {name}"), 3) == resp3


def test_protocol_push_comes_before_its_reply_and_in_resp3_only(run: Run, client: Client) -> None:
    error = message(run("DEBUG PROTOCOL push"))
    assert error == "ERR RESP2 is not supported by this command"
    client.resp = 3
    assert run("DEBUG PROTOCOL push") == b"Some real reply following the push reply"
    assert b"".join(client.out) == b">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n"


def test_protocol_knows_no_other_type(run: Run) -> None:
    assert message(run("DEBUG PROTOCOL float")).startswith(
        "ERR Wrong protocol type name. Please use one of the following: string|integer|"
    )


def test_error_is_sent_in_one_line_and_counts_as_none(run: Run, state: ServerState) -> None:
    assert wire(run("DEBUG", "ERROR", b"CODE text\r\nmore"), 2) == b"-CODE text  more\r\n"
    assert state.stats.error_replies == 0


def test_log_writes_a_warning(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    assert run("DEBUG LOG hello") is OK
    assert [record.getMessage() for record in caplog.records] == ["DEBUG LOG: hello"]


def test_change_repl_id_makes_up_another(run: Run, state: ServerState) -> None:
    before = state.replication.replid
    assert run("DEBUG CHANGE-REPL-ID") is OK
    assert state.replication.replid != before
    assert len(state.replication.replid) == 40


@pytest.mark.parametrize(
    ("text", "active"), [("0", False), ("1", True), ("x", False), ("2x", True)]
)
def test_active_expiry_is_switched_and_the_keeper_told(
    run: Run, state: ServerState, text: str, active: bool
) -> None:
    woken: list[bool] = []
    state.wake_keeper = lambda: woken.append(True)
    assert run(f"DEBUG SET-ACTIVE-EXPIRE {text}") is OK
    assert state.active_expire is active
    assert woken == [True]


@pytest.mark.parametrize(("pattern", "matches"), [("h?llo", 1), ("H*", 0), ("h[^e]llo", 0)])
def test_stringmatch_len_tells_whether_a_pattern_matches(
    run: Run, pattern: str, matches: int
) -> None:
    assert run(f"DEBUG STRINGMATCH-LEN {pattern} hello") == matches


def test_stringmatch_test_survives_random_patterns(run: Run) -> None:
    assert status(run("DEBUG STRINGMATCH-TEST")).endswith("test passed")


class TestPopulate:
    """Keys out of nowhere."""

    def test_it_adds_numbered_keys(self, run: Run) -> None:
        assert run("DEBUG POPULATE 3") is OK
        assert run("MGET key:0 key:1 key:2 key:3") == [b"value:0", b"value:1", b"value:2", None]

    def test_it_takes_a_prefix_and_a_size(self, run: Run) -> None:
        assert run("DEBUG POPULATE 2 p 10") is OK
        assert run("MGET p:0 p:1") == [b"value:0\0\0\0", b"value:1\0\0\0"]
        assert run("DEBUG POPULATE 1 short 3") is OK
        assert run("GET short:0") == b"val"

    def test_it_leaves_keys_alone_that_are_there(self, run: Run) -> None:
        run("SET key:1 mine")
        run("DEBUG POPULATE 2")
        assert run("GET key:1") == b"mine"

    def test_it_is_no_change_that_anybody_else_hears_of(self, run: Run, state: ServerState) -> None:
        run("DEBUG POPULATE 100")
        assert run("DBSIZE") == 100
        assert state.dirty == 0

    @pytest.mark.parametrize("arguments", ["-1", "x", "1 p -1", "1 p x"])
    def test_it_refuses_what_is_no_number_of_keys_or_bytes(self, run: Run, arguments: str) -> None:
        assert message(run(f"DEBUG POPULATE {arguments}")) == (
            "ERR value is out of range, must be positive"
        )


class TestObject:
    """DEBUG OBJECT."""

    def test_it_tells_how_a_value_is_kept(self, run: Run, time: FakeTime) -> None:
        run("SET k hello")
        time.advance(7)
        words = status(run("DEBUG OBJECT k")).split()
        assert words[0] == "Value"
        assert words[1].startswith("at:0x")
        assert words[2:5] == ["refcount:1", "encoding:embstr", "serializedlength:6"]
        assert words[6] == "lru_seconds_idle:7"

    def test_small_integers_are_shared(self, run: Run) -> None:
        run("SET k 9999")
        assert "refcount:2147483647 encoding:int serializedlength:3" in status(
            run("DEBUG OBJECT k")
        )
        run("SET k 10000")
        assert "refcount:1 encoding:int serializedlength:3" in status(run("DEBUG OBJECT k"))

    def test_the_address_is_the_same_after_a_change_in_place(self, run: Run) -> None:
        run("SET k 20000")
        before = status(run("DEBUG OBJECT k")).split()[1]
        run("INCR k")
        assert status(run("DEBUG OBJECT k")).split()[1] == before

    def test_it_does_not_touch_the_key(self, run: Run, time: FakeTime) -> None:
        run("SET k v")
        time.advance(5)
        run("DEBUG OBJECT k")
        assert status(run("DEBUG OBJECT k")).endswith("lru_seconds_idle:5")

    def test_a_key_that_is_not_there(self, run: Run) -> None:
        assert message(run("DEBUG OBJECT none")) == "ERR no such key"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (b"", 1),
        (b"0", 2),
        (b"127", 2),
        (b"-128", 2),
        (b"128", 3),
        (b"32768", 5),
        (b"2147483648", 11),
        (b"-2147483648", 5),
        (b"007", 4),
        (b"x" * 20, 21),
        (b"x" * 100, 13),
        (bytes(range(64)), 66),
    ],
)
def test_the_size_in_a_file_depends_on_the_contents(value: bytes, size: int) -> None:
    assert saved_size(value, compressed=True) == size


@pytest.mark.parametrize(("length", "size"), [(63, 64), (64, 66), (16383, 16385), (16384, 16389)])
def test_a_length_takes_one_two_or_five_bytes(length: int, size: int) -> None:
    assert saved_size(b"x" * length, compressed=False) == size


def test_a_huge_value_is_not_compressed_for_its_size() -> None:
    assert saved_size(b"x" * (COMPRESS_MAX + 1), compressed=True) == COMPRESS_MAX + 1 + 5


def decompress(data: bytes) -> bytes:
    out = bytearray()
    place = 0
    while place < len(data):
        head = data[place]
        place += 1
        if head < 32:
            out += data[place : place + head + 1]
            place += head + 1
            continue
        length = head >> 5
        if length == 7:
            length += data[place]
            place += 1
        start = len(out) - ((head & 31) << 8 | data[place]) - 1
        place += 1
        for step in range(length + 2):
            out.append(out[start + step])
    return bytes(out)


@pytest.mark.parametrize(
    "data",
    [
        b"a" * 21,
        b"a" * 300,
        b"ab" * 5000,
        b"the quick brown fox " * 30,
        bytes(range(256)) * (2 * MAX_DISTANCE // 256),
        b"abcabcabc" + bytes(range(200)) + b"abcabc" * 9,
    ],
)
def test_what_is_compressed_can_be_restored(data: bytes) -> None:
    packed = compress(data, len(data) - 4)
    assert packed is not None
    assert len(packed) < len(data)
    assert decompress(packed) == data


@pytest.mark.parametrize("data", [b"", b"a", b"abcdefghijklmnopqrstuvwxyz", bytes(range(256))])
def test_what_does_not_shrink_is_not_compressed(data: bytes) -> None:
    assert compress(data, len(data) - 4) is None


class TestDigest:
    """The digests of the real server are compared in the interop tests."""

    def test_no_data_has_the_digest_zero(self, run: Run) -> None:
        assert status(run("DEBUG DIGEST")) == "0" * 40
        reply = run("DEBUG DIGEST-VALUE none")
        assert isinstance(reply, list)
        assert [status(item) for item in reply] == ["0" * 40]

    def test_the_order_of_the_keys_does_not_matter(self, run: Run, state: ServerState) -> None:
        run("MSET a 1 b 2")
        first = dataset_digest(state.dbs)
        run("FLUSHALL")
        run("MSET b 2 a 1")
        assert dataset_digest(state.dbs) == first

    @pytest.mark.parametrize(
        "change", ["SET a 2", "GETDEL a", "SET c 3", "GETEX a EX 100", "SWAPDB 0 1"]
    )
    def test_every_change_of_the_data_changes_it(
        self, run: Run, state: ServerState, change: str
    ) -> None:
        run("MSET a 1 b 2")
        before = dataset_digest(state.dbs)
        run(change)
        assert dataset_digest(state.dbs) != before

    def test_the_way_a_string_is_held_does_not(self, run: Run, state: ServerState) -> None:
        run("SET a hello")
        run("SET b hel")
        run("APPEND b lo")
        assert key_digest(state.dbs[0], b"a") == key_digest(state.dbs[0], b"b")

    def test_adding_twice_is_nothing_and_mixing_keeps_the_order(self) -> None:
        assert add(add(0, b"x"), b"x") == 0
        assert mix(mix(0, b"a"), b"b") != mix(mix(0, b"b"), b"a")
        assert mix(mix(0, b"foo"), b"bar") != mix(mix(0, b"fo"), b"obar")


def test_scripts_may_be_allowed_all_commands(run: Run) -> None:
    script = "return redis.call('DEBUG', 'OBJECT', 'k')"
    run("SET k v")
    assert "not allowed from script" in message(run("EVAL", script, 0))
    assert run("DEBUG SET-DISABLE-DENY-SCRIPTS 1") is OK
    assert not isinstance(run("EVAL", script, 0), RedisError)
    assert run("DEBUG SET-DISABLE-DENY-SCRIPTS 0") is OK
    assert "not allowed from script" in message(run("EVAL", script, 0))


@pytest.mark.parametrize(
    ("resp", "frame"),
    [(2, b"*6\r\n:1\r\n:1\r\n"), (3, b"%3\r\n:1\r\n#t\r\n")],
)
def test_a_script_passes_a_map_on(run: Run, client: Client, resp: int, frame: bytes) -> None:
    run(f"HELLO {resp}")
    run("DEBUG SET-DISABLE-DENY-SCRIPTS 1")
    reply = run("EVAL", "redis.setresp(3) return redis.call('DEBUG', 'PROTOCOL', 'MAP')", 0)
    assert wire(reply, resp).startswith(frame)
