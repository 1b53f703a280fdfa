"""A replica by value: what it refuses, what it applies, what it hands on, when it changes roles."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.client import Client, Transport
from redis_trio.execute import dispatch
from redis_trio.feed import encode_command
from redis_trio.protocol.plain import plain_reply
from redis_trio.protocol.reply import NO_REPLY, RedisError
from redis_trio.protocol.request import split_inline
from redis_trio.replication.master import Master, MasterTransport
from redis_trio.replication.roles import continue_from_file, follow, follow_nobody
from redis_trio.replication.state import NO_ID
from redis_trio.replication.upstream import CONNECT, CONNECTED, Upstream
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime
from tests.unit.conftest import Run as RunRaw

Run = Callable[..., object]

ID = "a" * 40
NEW_ID = "b" * 40
READONLY = "READONLY You can't write against a read only replica."


@pytest.fixture
def run(run: RunRaw) -> Run:
    """Run a command; its reply is a Python value, an error its message."""

    def run_plain(*line: str | bytes | float) -> object:
        reply = run(*line)
        if reply is NO_REPLY:
            return b"no reply"
        plain = plain_reply(reply)
        return plain.message if isinstance(plain, RedisError) else plain

    return run_plain


def words(line: str) -> bytes:
    args = split_inline(line.encode())
    assert args is not None
    return encode_command(args)


class Primary:
    """The far end of a link, for a state that is made a replica."""

    def __init__(self, state: ServerState) -> None:
        self.state = state
        self.sent: list[bytes] = []
        self.resumed = 0
        follow(state, "primary.example", 6379)
        self.connect(ID, 0)

    @property
    def upstream(self) -> Upstream:
        upstream = self.state.replication.upstream
        assert upstream is not None
        return upstream

    def connect(self, replid: str, offset: int, db: int = 0) -> None:
        """Have the link come up."""
        transport = MasterTransport(self.hang_up, self.go_on, -1)
        self.master = Master(self.state, transport, replid, offset, db)
        self.upstream.hang_up = self.hang_up
        self.state.replication.continue_from(replid, offset)
        self.upstream.up(self.master, self.sent.append)
        self.state.clients[self.master.client.id] = self.master.client

    def hang_up(self) -> None:
        self.upstream.hang_up = None
        self.upstream.lost(can_continue=True)

    def go_on(self) -> None:
        self.resumed += 1

    def feed(self, data: bytes) -> None:
        """Send bytes of the stream."""
        self.state.begin()
        while self.master.receive(data):
            data = b""
        self.state.end()

    def run(self, *lines: str) -> None:
        """Send commands, each a line in redis-cli's syntax."""
        self.feed(b"".join([words(line) for line in lines]))

    def stream(self) -> bytes:
        """What the backlog has."""
        backlog = self.state.replication.backlog
        assert backlog is not None
        reader = backlog.reader(backlog.first)
        data = b""
        while (piece := reader.take(backlog.offset)) is not None:
            data += piece
        reader.close()
        return data


@pytest.fixture
def primary(state: ServerState) -> Primary:
    return Primary(state)


# -- REPLICAOF


def test_replicaof_makes_a_replica_and_no_one_a_primary(run: Run, state: ServerState) -> None:
    assert run("REPLICAOF 127.0.0.1 1") == b"OK"
    assert state.replication.is_replica
    assert run("CONFIG GET replicaof") == {b"replicaof": b"127.0.0.1 1"}
    assert run("REPLICAOF NO ONE") == b"OK"
    assert not state.replication.is_replica
    assert run("CONFIG GET replicaof") == {b"replicaof": b""}
    assert run("SLAVEOF no one") == b"OK"


def test_replicaof_the_same_primary_says_so(run: Run) -> None:
    run("REPLICAOF localhost 1")
    assert run("SLAVEOF LOCALHOST 1") == b"OK Already connected to specified master"


@pytest.mark.parametrize("port", ["x", "-1", "65536", "1.5"])
def test_replicaof_wants_a_port(run: Run, port: str) -> None:
    assert run("REPLICAOF", "h", port) == "ERR Invalid master port"


def test_a_monitor_cannot_change_the_role(run: Run) -> None:
    run("MONITOR")
    run("REPLICAOF NO ONE")
    error = "ERR Command is not valid when client is a replica."
    assert run("REPLICAOF h 1") == error


def test_a_change_of_roles_answers_who_is_blocked_and_hangs_up(
    run: Run, client: Client, state: ServerState
) -> None:
    assert run("BLPOP k 0") == b"no reply"
    other = state.new_client(Transport())
    dispatch(other, [b"REPLICAOF", b"h", b"1"])
    waiter = client.waiter
    assert waiter is not None
    answer = waiter.mailbox.receive_nowait()
    assert str(answer) == (
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> "
        "replica?)"
    )
    assert client.close_after_reply


# -- FAILOVER


def test_failover_refuses_what_it_cannot_do(run: Run) -> None:
    def fails(line: str, message: str) -> None:
        assert run(line) == message

    fails("FAILOVER ABORT", "ERR No failover in progress.")
    fails("FAILOVER", "ERR FAILOVER requires connected replicas.")
    fails("FAILOVER TIMEOUT 0", "ERR FAILOVER timeout must be greater than 0")
    fails("FAILOVER TIMEOUT x", "ERR value is not an integer or out of range")
    fails("FAILOVER TO h x", "ERR value is not an integer or out of range")
    for line in ("TO h", "TIMEOUT", "FORCE FORCE", "TO h 1 TO h 1", "ABORT TIMEOUT 1", "what"):
        fails("FAILOVER " + line, "ERR syntax error")
    run("REPLICAOF h 1")
    fails("FAILOVER", "ERR FAILOVER is not valid when server is a replica.")


# -- what a replica refuses


def test_a_replica_is_read_only_unless_it_need_not_be(run: Run, primary: Primary) -> None:
    assert run("SET k v") == READONLY
    assert run("GET k") is None
    run("MULTI")
    assert run("GET k") == b"QUEUED"
    assert run("SET k v") == READONLY
    assert str(run("EXEC")).startswith("EXECABORT Transaction discarded because of previous errors")
    run("CONFIG SET replica-read-only no")
    assert run("SET k v") == b"OK"


def test_exec_of_writes_is_refused_when_the_role_has_changed(run: Run, state: ServerState) -> None:
    run("MULTI")
    run("SET k v")
    follow(state, "h", 1)
    assert run("EXEC") == (
        "EXECABORT Transaction discarded because of: READONLY You can't write against a read only "
        "replica."
    )


def test_stale_data_is_not_shown_where_that_is_not_wanted(run: Run, primary: Primary) -> None:
    down = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
    run("CONFIG SET replica-serve-stale-data no")
    assert run("GET k") is None
    primary.hang_up()
    assert run("GET k") == down
    assert fields(run("INFO replication"))["master_link_status"] == "down"
    assert run("PING") == down
    assert run("MULTI") == b"OK"
    assert run("GET k") == down
    run("DISCARD")
    run("CONFIG SET replica-serve-stale-data yes")
    assert run("GET k") is None


def test_scripts_on_a_replica(run: Run, primary: Primary) -> None:
    writes = "#!lua\nreturn redis.call('set', KEYS[1], 'v')"
    reads = "#!lua flags=no-writes\nreturn redis.call('get', KEYS[1])"
    assert run("EVAL", writes, 1, "k") == READONLY
    assert run("EVAL", reads, 1, "k") is None
    assert run("EVAL", "return redis.call('get', KEYS[1])", 1, "k") is None
    error = run("EVAL", "return redis.call('set', KEYS[1], 'v')", 1, "k")
    assert str(error).startswith(READONLY)
    assert (
        run("EVAL", "return redis.pcall('set', KEYS[1], 'v')['err']", 1, "k") == READONLY.encode()
    )
    run("CONFIG SET replica-read-only no")
    assert run("EVAL", writes, 1, "k") == b"OK"


def test_scripts_where_data_may_be_stale(run: Run, primary: Primary) -> None:
    run("CONFIG SET replica-serve-stale-data no")
    primary.hang_up()
    down = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
    assert run("EVAL", "return 1", 0) == down
    assert run("EVAL", "#!lua flags=no-writes\nreturn 1", 0) == down
    stale = "#!lua flags=allow-stale,no-writes\n"
    assert run("EVAL", stale + "return 1", 0) == 1
    error = run("EVAL", stale + "return redis.call('get', 'k')", 0)
    assert "Can not execute the command on a stale replica" in str(error)
    assert run("EVAL", stale + "return redis.call('echo', 'x')", 0) == b"x"


# -- applying


def test_commands_of_the_stream_are_applied_and_nobody_is_answered(
    run: Run, primary: Primary, state: ServerState
) -> None:
    primary.run("SELECT 1", "SET a 1", "SELECT 0", "RPUSH l 1 2", "PING")
    assert run("LRANGE l 0 -1") == [b"1", b"2"]
    run("SELECT 1")
    assert run("GET a") == b"1"
    assert primary.sent == []
    assert primary.master.client.out == []


@pytest.mark.parametrize("size", [1, 3, 17, 10_000])
def test_the_stream_is_handed_on_as_it_came_however_it_is_cut(primary: Primary, size: int) -> None:
    lines = ["SELECT 0", "SET k " + "v" * 300, "MULTI", "INCR n", "INCR n", "EXEC", "PING"]
    data = b"\r\n" + b"".join([words(line) for line in lines])
    for start in range(0, len(data), size):
        primary.feed(data[start : start + size])
    assert primary.stream() == data
    assert primary.master.offset == primary.state.replication.offset == len(data)
    assert primary.master.read_offset == len(data)


def test_a_transaction_is_handed_on_when_it_has_run(run: Run, primary: Primary) -> None:
    before = words("SET k v")
    primary.feed(before + words("MULTI") + words("INCR n"))
    assert run("GET n") is None
    assert primary.stream() == before
    assert primary.master.offset == len(before)
    primary.run("INCR n")
    assert primary.stream() == before
    primary.run("EXEC", "SET k w")
    assert run("MGET n k") == [b"2", b"w"]
    assert primary.stream().endswith(words("EXEC") + words("SET k w"))


def test_a_link_that_breaks_within_a_transaction_continues_in_front_of_it(
    run: Run, primary: Primary
) -> None:
    primary.feed(words("SET k v") + words("MULTI") + words("INCR n") + b"*2\r\n$4\r\nIN")
    primary.hang_up()
    cached = primary.upstream.cached
    assert cached is not None
    assert (cached.replid, cached.offset, cached.db) == (ID, len(words("SET k v")), 0)
    assert run("GET n") is None
    assert primary.upstream.state == CONNECT


def test_blocking_commands_of_the_stream_do_not_block(run: Run, primary: Primary) -> None:
    primary.run("BLPOP l 0", "RPUSH l a", "BLPOP l 0", "SET k v")
    assert run("GET k") == b"v"
    assert run("EXISTS l") == 0


def test_a_push_of_the_primary_serves_who_waits_on_the_replica(
    state: ServerState, primary: Primary
) -> None:
    reader = state.new_client(Transport())
    assert dispatch(reader, [b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"$"]) is NO_REPLY
    primary.run("XADD s 1-1 f v")
    assert reader.waiter is not None
    answer = plain_reply(reader.waiter.mailbox.receive_nowait())
    assert answer == {b"s": [[b"1-1", [b"f", b"v"]]]}


def test_an_error_is_logged_and_the_stream_goes_on(
    run: Run, primary: Primary, caplog: pytest.LogCaptureFixture
) -> None:
    primary.run("SET k v", "LPUSH k 1", "NOSUCH", "SET k", "SET k w")
    assert run("GET k") == b"w"
    text = caplog.text
    assert (
        "== CRITICAL == This replica is sending an error to its master: '-WRONGTYPE Operation "
        "against a key holding the wrong kind of value' after processing the command 'lpush'"
    ) in text
    assert "'unknown command 'NOSUCH', with args beginning with: '" in text
    assert primary.state.stats.unexpected_error_replies == 3


def test_an_error_ends_the_link_where_that_is_wanted(run: Run, primary: Primary) -> None:
    run("CONFIG SET propagation-error-behavior panic-on-replicas")
    primary.run("SET k v", "LPUSH k 1", "SET k w")
    assert primary.master.error is not None
    assert run("GET k") == b"v"


def test_inline_commands_end_the_link_for_good(
    primary: Primary, caplog: pytest.LogCaptureFixture
) -> None:
    primary.run("SET k v")
    primary.feed(b"SET k w\r\n")
    assert primary.master.error == "Master using the inline protocol. Desync?"
    assert "WARNING: Receiving inline protocol from master" in caplog.text


def test_no_limit_holds_for_the_primary(run: Run, primary: Primary) -> None:
    run("CONFIG SET proto-max-bulk-len 1mb")
    primary.feed(encode_command([b"SET", b"k", b"v" * (2 * 1024 * 1024)]))
    assert run("STRLEN k") == 2 * 1024 * 1024


def test_a_pause_holds_the_stream_up_and_nothing_is_lost(run: Run, primary: Primary) -> None:
    primary.run("SET k 1")
    run("CLIENT PAUSE 1000 WRITE")
    primary.run("SET k 2", "SET k 3")
    assert primary.master.is_paused
    assert run("GET k") == b"1"
    assert primary.master.offset == len(words("SET k 1"))
    run("CLIENT UNPAUSE")
    assert primary.resumed == 1
    primary.feed(b"")
    assert run("GET k") == b"3"


def test_the_primary_is_shown_as_a_client(run: Run, primary: Primary) -> None:
    lines = run("CLIENT LIST TYPE master")
    assert isinstance(lines, bytes)
    assert b"flags=M " in lines
    assert run("CLIENT KILL TYPE master") == 1
    assert primary.upstream.state == CONNECT
    assert primary.upstream.cached is not None


def test_a_replica_feeds_nothing_but_what_its_primary_sends(
    run: Run, heard: Callable[[], list[bytes]], primary: Primary
) -> None:
    """The AOF does hear of it."""
    primary.run("SELECT 0", "SET k v EX 100")
    assert [line.split(b" ")[0] for line in heard()] == [b"SELECT", b"SET"]
    run("CONFIG SET replica-read-only no")
    offset = primary.state.replication.offset
    run("SET own 1")
    assert primary.state.replication.offset == offset


# -- acknowledgements


def test_getack_is_answered_with_what_was_applied_before_it(primary: Primary) -> None:
    primary.run("SET k v", "PING")
    offset = len(words("SET k v") + words("PING"))
    primary.upstream.acknowledge()
    assert primary.sent == [encode_command([b"REPLCONF", b"ACK", b"%d" % offset])]


def test_acknowledgements_are_due_once_a_second_while_the_link_is_up(
    state: ServerState, time: FakeTime, primary: Primary
) -> None:
    upstream = primary.upstream
    began_ms = state.clock.refresh()
    assert upstream.next_ms() == began_ms + 1000
    time.advance(1)
    state.begin()
    upstream.run_due()
    assert len(primary.sent) == 1
    assert upstream.next_ms() == began_ms + 2000
    primary.hang_up()
    assert upstream.next_ms() == -1


def test_a_primary_that_is_silent_is_given_up(
    run: Run, state: ServerState, time: FakeTime, primary: Primary
) -> None:
    run("CONFIG SET repl-timeout 5")
    upstream = primary.upstream
    for _ in range(6):
        time.advance(1)
        state.begin()
        upstream.run_due()
        assert upstream.state == (CONNECTED if time.seconds <= 5 else CONNECT)
    assert upstream.cached is not None


# -- expiry


def test_a_replica_hides_what_has_expired_and_keeps_it_until_its_del(
    run: Run, time: FakeTime, state: ServerState, primary: Primary
) -> None:
    primary.run("SET k v PX 1000", "HSET h f 1 g 2", "HPEXPIRE h 1000 FIELDS 1 f")
    time.advance(2)
    assert run("GET k") is None
    assert run("EXISTS k") == 0
    assert run("TTL k") == -2
    assert run("KEYS *") == [b"h"]
    assert run("SCAN 0") == [b"0", [b"h"]]
    assert run("DBSIZE") == 2
    assert run("HGET h f") is None
    assert run("HLEN h") == 2
    primary.run("APPEND k w")
    assert run("GET k") is None
    primary.run("PERSIST k", "DEL nosuch")
    assert run("GET k") == b"vw"
    primary.run("DEL k", "HDEL h f")
    assert run("DBSIZE") == 1
    assert run("HLEN h") == 1
    assert state.stats.expired_keys == 0


def test_nothing_expires_by_itself_on_a_replica_and_does_when_it_is_a_primary(
    run: Run, time: FakeTime, state: ServerState, primary: Primary
) -> None:
    from redis_trio.keyspace.active_expire import expire_due, next_expiry_ms
    from redis_trio.keyspace.field_expiry import expire_fields_due, next_field_expiry_ms

    primary.run("SET k v PX 1000", "HSET h f 1 g 1", "HPEXPIRE h 1000 FIELDS 1 f")
    time.advance(2)
    state.begin()
    assert next_expiry_ms(state) == next_field_expiry_ms(state) == -1
    expire_due(state, 10**9)
    expire_fields_due(state, 10**9)
    assert (run("DBSIZE"), run("HLEN h")) == (2, 2)
    follow_nobody(state)
    expire_due(state, 10**9)
    expire_fields_due(state, 10**9)
    assert (run("DBSIZE"), run("HLEN h")) == (1, 1)


def test_a_deadline_in_the_past_is_kept_on_a_replica(
    run: Run, time: FakeTime, primary: Primary
) -> None:
    time.advance(10)
    primary.run("SET k v", "PEXPIREAT k 5000", "SET l v PXAT 5000")
    assert run("DBSIZE") == 2
    assert run("GET k") is None
    primary.run("PERSIST k", "PERSIST l")
    assert run("MGET k l") == [b"v", b"v"]


def test_writable_replica_keys_with_expiry(
    run: Run, time: FakeTime, state: ServerState, primary: Primary
) -> None:
    """Keys to which clients of a writable replica gave deadlines expire there."""
    run("CONFIG SET replica-read-only no")
    primary.run("SET theirs v PX 1000")
    run("SET own v PX 1000")
    run("SET kept v PX 1000")
    run("PERSIST kept")
    upstream = primary.upstream
    assert upstream.own_key_count() == 2
    assert upstream.next_own_expiry_ms() <= state.clock.now_ms + 1000
    time.advance(2)
    state.begin()
    upstream.expire_own(100)
    assert run("DBSIZE") == 2
    assert upstream.own_key_count() == 0
    assert run("INCR theirs") == 1
    assert run("TTL theirs") == -1


# -- changes of roles


def test_a_promoted_replica_continues_the_stream_under_another_id(
    run: Run, state: ServerState, primary: Primary
) -> None:
    primary.run("SET k v")
    offset = primary.master.offset
    follow_nobody(state)
    replication = state.replication
    assert replication.replid2 == ID
    assert replication.second_offset == offset + 1
    assert replication.replid not in (ID, NO_ID)
    assert replication.backlog is not None
    assert run("SET k w") == b"OK"
    assert replication.offset > offset


def test_a_primary_that_becomes_a_replica_asks_to_continue_its_own_stream(
    run: Run, state: ServerState
) -> None:
    state.replication.create_backlog()
    run("SET k v")
    state.end()
    replication = state.replication
    replid, offset = replication.replid, replication.offset
    assert offset > 0
    follow(state, "h", 1)
    upstream = replication.upstream
    assert upstream is not None
    assert upstream.cached is not None
    assert (upstream.cached.replid, upstream.cached.offset) == (replid, offset)


@pytest.mark.parametrize("is_changed", [True, False])
def test_a_promoted_replica_that_nobody_has_changed_asks_for_the_old_stream(
    run: Run, state: ServerState, primary: Primary, is_changed: bool
) -> None:
    primary.run("SELECT 3", "SET k v")
    follow_nobody(state)
    if is_changed:
        run("SET k w")
        state.end()
    follow(state, "h", 1)
    cached = primary.upstream.cached
    assert cached is not None
    assert cached.replid == (state.replication.replid if is_changed else ID)
    assert cached.offset == state.replication.offset
    assert cached.db == (-1 if is_changed else 3)


def test_another_primary_is_asked_to_continue_what_the_first_began(
    state: ServerState, primary: Primary
) -> None:
    primary.run("SET k v")
    follow(state, "other", 2)
    upstream = primary.upstream
    assert (upstream.host, upstream.port, upstream.state) == ("other", 2, CONNECT)
    assert upstream.cached is not None
    assert upstream.cached.replid == ID
    assert upstream.cached.offset == len(words("SET k v"))


def test_a_new_id_of_the_primary_is_taken_over(state: ServerState, primary: Primary) -> None:
    primary.run("SET k v")
    replication = state.replication
    replication.follow_new_id(NEW_ID)
    assert (replication.replid, replication.replid2) == (NEW_ID, ID)
    assert replication.second_offset == replication.offset + 1


@pytest.mark.parametrize("is_replica", [True, False])
def test_the_position_that_a_file_was_saved_at_is_continued(
    state: ServerState, is_replica: bool
) -> None:
    if is_replica:
        follow(state, "h", 1)
    state.persistence.aux = {
        b"repl-id": ID.encode(),
        b"repl-offset": b"100",
        b"repl-stream-db": b"3",
    }
    continue_from_file(state)
    replication = state.replication
    upstream = replication.upstream
    if upstream is None:
        assert (replication.replid2, replication.second_offset) == (ID, 101)
    else:
        assert upstream.cached is not None
        assert (upstream.cached.replid, upstream.cached.offset, upstream.cached.db) == (ID, 100, 3)
    assert replication.offset == 100


def test_a_file_without_a_position_is_continued_nowhere(state: ServerState) -> None:
    for aux in ({}, {b"repl-id": b"x", b"repl-offset": b"1", b"repl-stream-db": b"0"}):
        state.persistence.aux = aux
        continue_from_file(state)
    assert state.replication.replid2 == NO_ID


# -- what it tells


def fields(reply: object) -> dict[str, str]:
    assert isinstance(reply, bytes)
    lines = [line.partition(":") for line in reply.decode().split("\r\n")]
    return {name: value for name, _, value in lines}


def test_info_of_a_replica(run: Run, time: FakeTime, primary: Primary) -> None:
    run("CONFIG SET replica-priority 7 replica-announced no")
    primary.run("SET k v")
    info = fields(run("INFO replication"))
    offset = str(len(words("SET k v")))
    assert info["role"] == "slave"
    assert (info["master_host"], info["master_port"]) == ("primary.example", "6379")
    assert info["master_link_status"] == "up"
    assert info["master_sync_in_progress"] == "0"
    assert info["slave_repl_offset"] == info["slave_read_repl_offset"] == offset
    assert "master_link_down_since_seconds" not in info
    assert info["slave_priority"] == "7"
    assert (info["slave_read_only"], info["replica_announced"]) == ("1", "0")
    assert (info["master_replid"], info["master_repl_offset"]) == (ID, offset)
    time.advance(100)
    run("PING")
    primary.hang_up()
    time.advance(3)
    info = fields(run("INFO replication"))
    assert info["master_link_status"] == "down"
    assert info["master_last_io_seconds_ago"] == "-1"
    assert info["master_link_down_since_seconds"] == "3"


def test_role_of_a_replica(run: Run, primary: Primary) -> None:
    assert run("ROLE") == [b"slave", b"primary.example", 6379, b"connected", 0]
    primary.hang_up()
    assert run("ROLE") == [b"slave", b"primary.example", 6379, b"connect", -1]
