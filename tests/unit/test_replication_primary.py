"""The primary's side by value: what replicas say, what they are sent, who may write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.client import Client
from redis_trio.feed import encode_command
from redis_trio.protocol.reply import NO_REPLY, OK, RedisError
from redis_trio.replication.primary import next_due_ms, run_due
from redis_trio.replication.replica import ONLINE, WAIT_BGSAVE_END, Replica
from redis_trio.replication.report import replication_lines
from redis_trio.replication.transfer import put_online
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run
from tests.unit.peer import Peer


class ReplicaPeer(Peer):
    """A connection whose peer takes whatever it is sent at once, or nothing at all."""

    takes = True

    def pull(self) -> None:
        while self.takes:
            chunk = self._next_chunk()
            if chunk is None:
                return
            self.sent += chunk

    def send(self, *lines: str | list[bytes]) -> bytes:
        self.sent += super().send(*lines)
        return self.sent

    @property
    def replica(self) -> Replica:
        replica = self.client.replica
        assert replica is not None
        return replica

    def take(self) -> bytes:
        """Return what it was sent."""
        sent, self.sent = self.sent, b""
        return sent


@pytest.fixture
def attach(state: ServerState) -> Callable[..., ReplicaPeer]:
    """Have a replica that continues from the present."""

    def attach(*options: str) -> ReplicaPeer:
        replication = state.replication
        replication.create_backlog()
        peer = ReplicaPeer(state)
        peer.send("REPLCONF listening-port 7000 capa eof capa psync2", *options)
        peer.take()
        peer.send(f"PSYNC {replication.replid} {replication.offset + 1}")
        return peer

    return attach


Attach = Callable[..., ReplicaPeer]


def commands(*lines: str) -> bytes:
    return b"".join([encode_command(line.encode().split()) for line in lines])


def test_a_replica_is_sent_what_is_written_from_its_offset_on(
    state: ServerState, run: Run, attach: Attach
) -> None:
    first = attach()
    assert first.take() == b"+CONTINUE %s\r\n" % state.replication.replid.encode()
    run("SET a 1")
    state.end()
    assert first.take() == commands("SELECT 0", "SET a 1")
    late = ReplicaPeer(state)
    late.send(f"PSYNC {state.replication.replid} 1")
    assert late.take() == b"+CONTINUE\r\n" + commands("SELECT 0", "SET a 1")
    assert state.stats.sync_partial_ok == 2


def test_the_second_id_is_valid_up_to_its_offset(state: ServerState, run: Run) -> None:
    replication = state.replication
    replication.create_backlog()
    run("SET a 1")
    state.end()
    replication.shift_replid()
    limit = replication.second_offset
    assert limit == replication.offset + 1
    accepted = ReplicaPeer(state)
    accepted.send(f"PSYNC {replication.replid2.upper()} {limit}")
    assert accepted.take() == b"+CONTINUE\r\n"
    run("SET a 2")
    state.end()
    refused = ReplicaPeer(state)
    refused.send("REPLCONF capa eof", f"PSYNC {replication.replid2} {limit + 1}")
    assert refused.take() == b"+OK\r\n-ERR SYNC and PSYNC are invalid with pending output\r\n"
    refused.send(f"PSYNC {replication.replid2} {limit + 1}")
    assert refused.take() == b""  # it waits for a snapshot
    assert state.stats.sync_partial_err == 1
    assert state.stats.sync_full == 1


@pytest.mark.parametrize("offset", ["0", "-5", "99999"])
def test_what_the_backlog_has_not_cannot_be_continued(
    state: ServerState, attach: Attach, offset: str
) -> None:
    attach()
    peer = ReplicaPeer(state)
    peer.send("REPLCONF capa eof")
    peer.take()
    peer.send(f"PSYNC {state.replication.replid} {offset}")
    assert peer.take() == b""
    assert (state.stats.sync_full, state.stats.sync_partial_err) == (1, 1)


def test_who_wants_a_snapshot_anyway_is_no_failed_continuation(
    state: ServerState, attach: Attach
) -> None:
    attach()
    peer = ReplicaPeer(state)
    peer.send("REPLCONF capa eof")
    peer.send("PSYNC ? -1")
    assert (state.stats.sync_full, state.stats.sync_partial_err) == (1, 0)
    assert "slave1:ip=127.0.0.1,port=0,state=wait_bgsave,offset=0,lag=0" in replication_lines(state)


def test_the_first_replica_begins_a_stream_with_a_new_id(state: ServerState) -> None:
    before = state.replication.replid
    peer = ReplicaPeer(state)
    peer.send("REPLCONF capa eof")
    peer.send("PSYNC ? -1")
    assert state.replication.replid != before
    assert state.replication.backlog is not None


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("PSYNC ? x", "ERR value is not an integer or out of range"),
        ("REPLCONF capa", "ERR syntax error"),
        ("REPLCONF port 1", "ERR Unrecognized REPLCONF option: port"),
        ("REPLCONF version 1", "ERR Unrecognized REPLCONF option: version"),
        ("REPLCONF listening-port x", "ERR value is not an integer or out of range"),
        ("REPLCONF rdb-only 2", "ERR value is out of range, value must between 0 and 1"),
        ("REPLCONF rdb-filter-only data", "ERR Unsupported rdb-filter-only option: data"),
        (
            f"REPLCONF ip-address {'x' * 256}",
            "ERR REPLCONF ip-address provided by replica instance is too long: 256 bytes",
        ),
        ("WAIT x 0", "ERR value is not an integer or out of range"),
        ("WAIT 1 -1", "ERR timeout is negative"),
        ("WAITAOF 2 0 0", "ERR value is out of range, value must between 0 and 1"),
        ("WAITAOF 0 -1 0", "ERR value is out of range, must be positive"),
        (
            "WAITAOF 1 0 0",
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ),
        ("PSYNC x 1 FAILOVER", "ERR PSYNC FAILOVER can't be sent to a master."),
    ],
)
def test_what_is_refused(run: Run, line: str, error: str) -> None:
    reply = run(line)
    assert isinstance(reply, RedisError)
    assert reply.message == error


def test_filters_need_a_replica_that_finds_the_end_by_a_mark(state: ServerState) -> None:
    peer = Peer(state)
    assert peer.send('REPLCONF rdb-filter-only ""') == b"+OK\r\n"
    assert peer.send("SYNC") == b"-ERR Filtered replica requires EOF capability\r\n"


def test_acknowledgements_are_not_answered(state: ServerState, attach: Attach) -> None:
    peer = attach()
    peer.take()
    peer.send("REPLCONF ACK 5 FACK 3")
    assert (peer.replica.acked, peer.replica.acked_fsync) == (5, 3)
    peer.send("REPLCONF ACK 2 FACK 1")  # none is taken back
    assert (peer.replica.acked, peer.replica.acked_fsync) == (5, 3)
    peer.send("REPLCONF ACK x")
    assert peer.take() == b""
    other = Peer(state)
    assert other.send("REPLCONF ACK 5") == b""


def test_a_replica_that_asks_for_something_is_disconnected(
    state: ServerState, attach: Attach
) -> None:
    peer = attach()
    peer.take()
    peer.send("GET a")
    assert peer.take() == b""
    assert peer.client.id not in state.clients
    assert state.replication.replicas == {}


def test_a_replica_is_not_held_up_by_a_pause(state: ServerState, attach: Attach, run: Run) -> None:
    peer = attach()
    run("CLIENT PAUSE 10000 ALL")
    peer.send("REPLCONF ACK 5")
    assert peer.replica.acked == 5


def test_role_and_info_tell_of_replicas(state: ServerState, run: Run, attach: Attach) -> None:
    assert run("ROLE") == [b"master", 0, []]
    peer = attach("REPLCONF ip-address 10.0.0.1")
    peer.send("REPLCONF ACK 7")
    assert run("ROLE") == [b"master", 0, [[b"10.0.0.1", b"7000", b"7"]]]
    lines = replication_lines(state)
    assert "connected_slaves:1" in lines
    assert "slave0:ip=10.0.0.1,port=7000,state=online,offset=7,lag=0" in lines
    assert "repl_backlog_active:1" in lines


def test_client_list_knows_replicas(state: ServerState, attach: Attach) -> None:
    peer = attach()
    asking = Peer(state)
    listed = asking.send("CLIENT LIST TYPE replica")
    assert listed == asking.send("CLIENT LIST TYPE slave")
    assert b"id=%d " % peer.client.id in listed
    assert b"flags=S " in listed
    assert b"oll=1 " in listed
    assert asking.send("CLIENT KILL TYPE replica") == b":1\r\n"
    assert asking.send("CLIENT LIST TYPE replica") == b"$0\r\n\r\n"


# -- waiting


def test_wait_counts_those_who_have_what_this_client_wrote(
    state: ServerState, run: Run, attach: Attach
) -> None:
    peer = attach()
    assert run("WAIT 1 0") == 1  # it has written nothing
    run("SET a 1")
    assert run("WAIT 0 0") == 0
    peer.send(f"REPLCONF ACK {state.replication.offset}")
    assert run("WAIT 1 0") == 1
    assert run("WAIT -1 0") == 1


def test_who_waits_has_the_replicas_asked_and_is_answered(
    state: ServerState, attach: Attach
) -> None:
    peer = attach()
    writer, other = Peer(state), Peer(state)
    writer.send("SET a 1")
    offset = state.replication.offset
    peer.take()
    assert writer.send("WAIT 1 0") == b""
    assert peer.take() == commands("REPLCONF GETACK *")
    assert other.send("WAIT 1 0") == b":1\r\n"
    peer.send(f"REPLCONF ACK {offset - 1}")
    waiter = writer.client.waiter
    assert waiter is not None
    assert waiter.mailbox.statistics().current_buffer_used == 0
    peer.send(f"REPLCONF ACK {offset}")
    assert waiter.mailbox.receive_nowait() == 1
    assert state.replication.waiting == {}


def test_nobody_is_asked_while_a_pause_holds_up_writes(state: ServerState, attach: Attach) -> None:
    peer = attach()
    writer = Peer(state)
    writer.send("SET a 1", "CLIENT PAUSE 1000 WRITE")
    peer.take()
    writer.send("WAIT 1 0")
    assert peer.take() == b""
    Peer(state).send("CLIENT UNPAUSE")
    assert peer.take() == commands("REPLCONF GETACK *")


def test_a_transaction_and_a_script_do_not_wait(run: Run, attach: Attach) -> None:
    attach()
    run("SET a 1")
    run("MULTI")
    run("WAIT 1 0")
    run("WAITAOF 0 1 0")
    assert run("EXEC") == [0, [0, 0]]
    assert (
        run("EVAL", "return redis.call('wait', 1, 0)", "0") == 1
    )  # the script has written nothing


def test_client_unblock_answers_with_what_there_is(state: ServerState, attach: Attach) -> None:
    attach()
    writer = Peer(state)
    writer.send("SET a 1")
    writer.send("WAIT 5 0")
    waiter = writer.client.waiter
    assert waiter is not None
    assert Peer(state).send(f"CLIENT UNBLOCK {writer.client.id}") == b":1\r\n"
    assert waiter.mailbox.receive_nowait() == 0


def test_waitaof_needs_the_disks(state: ServerState, run: Run, attach: Attach) -> None:
    peer = attach()
    run("SET a 1")
    offset = state.replication.offset
    peer.send(f"REPLCONF ACK {offset}")
    assert run("WAITAOF 0 0 0") == [0, 0]
    peer.send(f"REPLCONF ACK {offset} FACK {offset}")
    assert run("WAITAOF 0 1 0") == [0, 1]
    state.config.appendonly = True
    state.aof.fsynced_offset = offset
    assert run("WAITAOF 1 1 0") == [1, 1]


def test_waitaof_ends_when_the_file_is_turned_off(state: ServerState) -> None:
    state.config.appendonly = True
    state.replication.create_backlog()
    writer = Peer(state)
    writer.send("SET a 1")
    writer.send("WAITAOF 1 0 0")
    waiter = writer.client.waiter
    assert waiter is not None
    state.config.appendonly = False
    state.replication.has_acks = True
    state.begin()
    state.end()
    reply = waiter.mailbox.receive_nowait()
    assert isinstance(reply, RedisError)
    assert reply.message.startswith("ERR WAITAOF cannot be used when numlocal is set")


# -- good replicas


def test_writes_need_enough_good_replicas(
    state: ServerState, run: Run, attach: Attach, time: FakeTime
) -> None:
    run("CONFIG SET min-replicas-to-write 1 min-replicas-max-lag 10")
    refusal = "NOREPLICAS Not enough good replicas to write."
    assert str(run("SET a 1")) == refusal
    assert run("GET a") is None
    reply = Peer(state).send([b"EVAL", b"return redis.call('set', 'a', 1)", b"0"])
    assert reply.startswith(b"-" + refusal.encode())
    assert str(run("EVAL", "#!lua\nreturn 1", "0")) == refusal
    assert run("EVAL", "#!lua flags=no-writes\nreturn 1", "0") == 1
    peer = attach()
    assert "min_slaves_good_slaves:1" in replication_lines(state)
    assert run("SET a 1") is OK
    time.advance(11)
    assert str(run("SET a 1")) == refusal
    peer.send("REPLCONF ACK 0")
    assert run("SET a 1") is OK
    run("CONFIG SET min-replicas-to-write 0")
    assert not state.gated


# -- limits


def test_a_replica_is_closed_when_too_much_is_kept_for_it(
    state: ServerState, run: Run, attach: Attach
) -> None:
    """The limit is not less than the backlog's size, which is kept anyway."""
    run("CONFIG", "SET", "client-output-buffer-limit", "replica 100kb 0 0")
    run("CONFIG SET repl-backlog-size 300kb")
    slow, quick = attach(), attach()
    slow.takes = False
    written = 0
    while slow.client in state.replication.replicas:
        run("SET", "a", "x" * 10_000)
        state.end()
        written += 10_000
        assert written < 1_000_000
    assert 200_000 < written < 400_000
    assert quick.client in state.replication.replicas
    assert state.stats.output_limit_disconnections == 1


def test_the_soft_limit_gives_a_replica_time(
    state: ServerState, run: Run, attach: Attach, time: FakeTime
) -> None:
    run("CONFIG", "SET", "client-output-buffer-limit", "replica 0 50kb 3")
    slow = attach()
    slow.takes = False
    run("SET", "a", "x" * 100_000)
    state.end()
    assert slow.client in state.replication.replicas
    time.advance(5)
    run("SET", "a", "x" * 100_000)
    state.end()
    assert slow.client not in state.replication.replicas


# -- what is due


def advance(state: ServerState, time: FakeTime) -> int:
    """Let time pass up to what is due next, and do it; return how many seconds that was.

    What counts whole seconds is due when the next one begins, up to a second later.
    """
    state.begin()
    now_ms = state.clock.now_ms
    due_ms = next_due_ms(state)
    time.advance((due_ms - now_ms) / 1000)
    state.begin()
    run_due(state)
    state.end()
    return -((now_ms - due_ms) // 1000)


def test_the_stream_has_a_ping_now_and_then(
    state: ServerState, run: Run, attach: Attach, time: FakeTime
) -> None:
    assert next_due_ms(state) == -1
    peer = attach()
    peer.take()
    assert advance(state, time) == 10
    assert peer.take() == commands("PING")
    assert state.replication.offset == len(commands("PING"))
    run("CONFIG SET repl-ping-replica-period 3")
    assert advance(state, time) == 3


def test_a_silent_replica_is_given_up(
    state: ServerState, run: Run, attach: Attach, time: FakeTime
) -> None:
    run("CONFIG SET repl-timeout 5 repl-ping-replica-period 100")
    peer = attach()
    time.advance(4)
    peer.send("REPLCONF ACK 0")
    assert advance(state, time) == 6
    assert state.replication.replicas == {}


def test_a_backlog_that_nobody_reads_is_freed(
    state: ServerState, run: Run, attach: Attach, time: FakeTime
) -> None:
    run("CONFIG SET repl-backlog-ttl 20")
    peer = attach()
    replid = state.replication.replid
    peer.client.close()
    assert advance(state, time) == 21
    assert state.replication.backlog is None
    assert state.replication.replid != replid
    assert not state.feed.active
    assert next_due_ms(state) == -1


def test_a_stream_that_goes_to_the_disk_first_is_not_sent_before(
    state: ServerState, run: Run, attach: Attach
) -> None:
    """With appendfsync always replicas see nothing that a crash could take back."""
    peer = attach()
    run("SET a 1")
    state.end()
    before = state.replication.offset
    peer.take()
    aof = state.aof
    aof.active, aof.policy, aof.fsynced_offset = True, 2, before
    run("SET a 2")
    aof.fed += 1
    assert aof.waits
    state.replication.send()
    assert peer.take() == b""
    aof.synced = aof.fed
    state.replication.send()
    assert peer.take() == commands("SET a 2")
    aof.active = False


def test_only_the_replicas_hear_what_is_published(
    state: ServerState, run: Run, attach: Attach, heard: Callable[[], list[bytes]]
) -> None:
    peer = attach()
    peer.take()
    heard()
    run("PUBLISH channel message")
    run("SPUBLISH channel message")
    assert heard() == []
    assert peer.take() == commands(
        "SELECT 0", "PUBLISH channel message", "SPUBLISH channel message"
    )


def test_a_script_says_who_hears_of_its_writes(
    state: ServerState, run: Run, attach: Attach, heard: Callable[[], list[bytes]]
) -> None:
    peer = attach()
    peer.take()
    script = (
        "redis.set_repl(redis.REPL_AOF) redis.call('set', 'aof', 1) "
        "redis.set_repl(redis.REPL_REPLICA) redis.call('set', 'replica', 1) "
        "redis.set_repl(redis.REPL_NONE) redis.call('set', 'none', 1)"
    )
    run("EVAL", script, "0")
    assert heard() == [b"MULTI", b"SELECT 0", b"set aof 1", b"EXEC"]
    assert peer.take() == commands("MULTI", "SELECT 0", "set replica 1", "EXEC")


def test_no_reply_is_what_replicas_get(run: Run, state: ServerState) -> None:
    peer = ReplicaPeer(state)
    peer.send("REPLCONF capa eof")
    assert run("REPLCONF GETACK *") is NO_REPLY
    peer.take()
    peer.send("SYNC")
    peer.send("SYNC")
    assert peer.take() == b""
    assert peer.replica.by_sync
    assert peer.replica.state != ONLINE


def test_an_acknowledgement_that_comes_before_the_transfer_is_known_to_be_over_counts(
    state: ServerState, client: Client, run: Run
) -> None:
    """A task may learn that all was sent after the peer has already answered."""
    replica = Replica(client)
    client.replica = replica
    state.replication.attach(replica, WAIT_BGSAVE_END)
    run("REPLCONF ACK 0")
    assert not replica.started
    put_online(state, replica)
    assert replica.state == ONLINE
    assert replica.started
