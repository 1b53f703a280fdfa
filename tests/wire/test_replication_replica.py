"""Replicas inside the test's loop: the link, what an application sees of it, virtual time."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from redis_trio import ChangesLost, RedisError, RedisServer, open_redis
from redis_trio.feed import encode_command
from redis_trio.replication import link
from tests.wire.talk import until

PATIENCE_S = 20
LIBRARY = """#!lua name=lib
redis.register_function{
  function_name='f', callback=function() return 1 end, flags={'no-writes'}
}"""


@pytest.fixture
async def primary() -> AsyncIterator[RedisServer]:
    async with open_redis(repl_diskless_sync_delay=0) as primary:
        yield primary


@asynccontextmanager
async def replica_of(primary: RedisServer) -> AsyncIterator[RedisServer]:
    replicaof = ("127.0.0.1", primary.port)
    async with open_redis(replicaof=replicaof, repl_diskless_sync_delay=0) as replica:
        with trio.fail_after(PATIENCE_S):
            await replica.synced()
        yield replica


async def caught_up(primary: RedisServer, replica: RedisServer) -> None:
    """Wait until the replica has applied everything."""
    await until(
        lambda: (
            replica.state.replication.offset == primary.state.replication.offset
            and replica.state.replication.replid == primary.state.replication.replid
        )
    )


async def test_a_local_copy_is_read_without_a_socket(primary: RedisServer) -> None:
    await primary.execute("SET", "before", 1)
    async with replica_of(primary) as replica:
        assert await replica.execute("GET", "before") == b"1"
        await primary.execute("SET", "after", 2)
        await caught_up(primary, replica)
        assert await replica.execute("GET", "after") == b"2"
        with pytest.raises(RedisError, match="READONLY"):
            await replica.execute("SET", "k", "v")


async def test_synced_returns_at_once_on_a_primary(primary: RedisServer) -> None:
    await primary.synced()


async def test_synced_ends_when_the_server_is_closed() -> None:
    async with trio.open_nursery() as nursery, open_redis(replicaof="127.0.0.1 1") as replica:

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await replica.synced()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await replica.aclose()


async def test_an_application_need_not_care_that_there_is_no_primary() -> None:
    async with open_redis(replicaof="no.such.host.invalid 6379") as replica:
        assert await replica.execute("PING") == b"PONG"
        assert await replica.execute("REPLICAOF", "NO", "ONE") == b"OK"
        assert await replica.execute("SET", "k", "v") == b"OK"


async def test_replicas_of_replicas_get_the_same_stream(primary: RedisServer) -> None:
    async with replica_of(primary) as middle, replica_of(middle) as last:
        await primary.execute("SET", "k", "v")
        await primary.execute("EVAL", "redis.call('incr','n') redis.call('incr','n')", "0")
        await caught_up(primary, middle)
        await caught_up(middle, last)
        assert await last.execute("MGET", "k", "n") == [b"v", b"2"]


async def test_sub_replicas_begin_anew_when_the_data_is_replaced(primary: RedisServer) -> None:
    async with open_redis(repl_diskless_sync_delay=0) as other:
        await other.execute("SET", "other", 1)
        async with replica_of(primary) as middle, replica_of(middle) as last:
            await middle.execute("REPLICAOF", "127.0.0.1", other.port)
            await until(lambda: middle.state.replication.replid == other.state.replication.replid)
            await caught_up(middle, last)
            await last.synced()
            assert await last.execute("GET", "other") == b"1"


async def test_a_killed_link_comes_back_with_what_was_missed(primary: RedisServer) -> None:
    async with replica_of(primary) as replica:
        for number in range(5):
            await primary.execute("SET", "k", number)
            assert await replica.execute("CLIENT", "KILL", "TYPE", "master") == 1
            await primary.execute("INCR", "n")
            await replica.synced()
        await caught_up(primary, replica)
        assert await replica.execute("MGET", "k", "n") == [b"4", b"5"]
        assert primary.state.stats.sync_full == 1


async def test_a_failover_exchanges_the_roles(primary: RedisServer) -> None:
    async with replica_of(primary) as replica:
        await primary.execute("SET", "k", "v")
        assert await primary.execute("FAILOVER", "TO", "127.0.0.1", replica.port) == b"OK"
        await until(lambda: primary.state.replication.is_replica)
        with trio.fail_after(PATIENCE_S):
            await primary.synced()
        assert not replica.state.replication.is_replica
        assert primary.state.replication.failover.state == "no-failover"
        assert await replica.execute("SET", "k", "w") == b"OK"
        await caught_up(replica, primary)
        assert await primary.execute("GET", "k") == b"w"
        assert replica.state.stats.sync_full == 0


async def test_a_failover_holds_writes_up_until_it_is_given_up(primary: RedisServer) -> None:
    """The target never acknowledges: it stands still."""
    async with replica_of(primary) as replica:
        await caught_up(primary, replica)
        await replica.execute("CLIENT", "PAUSE", 100_000, "WRITE")
        await primary.execute("SET", "k", "v")
        assert await primary.execute("FAILOVER") == b"OK"
        for refused in ("FAILOVER", "REPLICAOF NO ONE"):
            with pytest.raises(RedisError, match=r"already in progress|not allowed while"):
                await primary.execute(*refused.split())
        with trio.move_on_after(0.05) as scope:
            await primary.execute("SET", "k", "w")
        assert scope.cancelled_caught
        assert b"waiting-for-sync" in await primary.execute("INFO", "replication")  # type: ignore[operator]
        assert await primary.execute("FAILOVER", "ABORT") == b"OK"
        assert await primary.execute("SET", "k", "x") == b"OK"
        assert await primary.execute("FAILOVER", "TIMEOUT", 1) == b"OK"
        await until(lambda: primary.state.replication.failover.state == "no-failover")
        assert not primary.state.replication.is_replica


async def test_a_forced_failover_does_not_wait_for_ever(primary: RedisServer) -> None:
    async with replica_of(primary) as replica:
        await caught_up(primary, replica)
        await replica.execute("CLIENT", "PAUSE", 100_000, "WRITE")
        await primary.execute("SET", "lost", "v")
        reply = await primary.execute(
            "FAILOVER", "TO", "127.0.0.1", replica.port, "FORCE", "TIMEOUT", 1
        )
        assert reply == b"OK"
        await until(lambda: primary.state.replication.is_replica)
        await replica.execute("CLIENT", "UNPAUSE")
        with trio.fail_after(PATIENCE_S):
            await primary.synced()
        assert not replica.state.replication.is_replica


async def test_blocked_clients_are_told_that_the_role_has_changed(primary: RedisServer) -> None:
    async with trio.open_nursery() as nursery:

        async def block() -> None:
            with pytest.raises(RedisError, match="UNBLOCKED force unblock"):
                await primary.execute("BLPOP", "k", 0)

        nursery.start_soon(block)
        await until(lambda: primary.state.waiting.count == 1)
        await primary.execute("REPLICAOF", "127.0.0.1", 1)


async def test_what_cannot_be_kept_is_not_applied(
    primary: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The replica stays as it is while its disk fails, and continues from there."""
    async with replica_of(primary) as replica:
        state = replica.state
        await replica.execute("CONFIG", "SET", "save", "1 1")
        state.persistence.last_save_ok = False
        await primary.execute("SET", "k", "v")
        await until(lambda: "Replica was unable to write command to disk." in caplog.text)
        assert await replica.execute("GET", "k") is None
        await replica.execute("CONFIG", "SET", "replica-ignore-disk-write-errors", "yes")
        await caught_up(primary, replica)
        assert await replica.execute("GET", "k") == b"v"
        assert "Replica is applying a command even though" in caplog.text
        assert primary.state.stats.sync_full == 1


async def test_a_replica_that_is_restarted_continues_from_its_file(
    primary: RedisServer, tmp_path: Path
) -> None:
    files = {"dir": str(tmp_path), "dbfilename": "replica.rdb"}
    replicaof = ("127.0.0.1", primary.port)
    await primary.execute("SELECT", 1)
    await primary.execute("FUNCTION", "LOAD", LIBRARY)
    async with open_redis(replicaof=replicaof, **files) as replica:  # type: ignore[arg-type]
        await replica.synced()
        await primary.execute("SET", "k", "v")
        await caught_up(primary, replica)
        assert await replica.execute("SAVE") == b"OK"
    await primary.execute("SET", "missed", 1)
    async with open_redis(replicaof=replicaof, **files) as replica:  # type: ignore[arg-type]
        await replica.synced()
        await caught_up(primary, replica)
        assert await replica.execute("MGET", "k", "missed") == [b"v", b"1"]
        assert await replica.execute("FCALL", "f", 0) == 1
    assert primary.state.stats.sync_full == 1


async def test_the_append_only_file_of_a_replica_has_what_it_applied(
    primary: RedisServer, tmp_path: Path
) -> None:
    """It begins anew with a full synchronization, and goes on with the stream."""
    files = {"dir": str(tmp_path), "appendonly": True}
    await primary.execute("SET", "before", 1)
    async with open_redis(**files) as replica:  # type: ignore[arg-type]
        await replica.execute("SET", "old", 1)
        await replica.execute("REPLICAOF", "127.0.0.1", primary.port)
        await replica.synced()
        await until(lambda: replica.state.aof.active)
        await primary.execute("SET", "after", 1)
        await caught_up(primary, replica)
        await until(lambda: not replica.state.rewrite.running)
    async with open_redis(**files) as again:  # type: ignore[arg-type]
        assert await again.execute("MGET", "old", "before", "after") == [None, b"1", b"1"]


# -- full synchronizations


async def serve_once(nursery: trio.Nursery, answer: Callable[[trio.SocketStream], object]) -> int:
    """Be a primary that greets as Redis does, and then does what a test says; return its port."""

    async def serve(stream: trio.SocketStream) -> None:
        seen = b""
        async with stream:
            try:
                async for data in stream:
                    seen += data
                    if b"PING" in data:
                        await stream.send_all(b"+PONG\r\n")
                    if b"listening-port" in data:
                        await stream.send_all(b"+OK\r\n" * 2)
                    if b"PSYNC" in data:
                        await answer(stream)  # type: ignore[misc]
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

    listeners = await nursery.start(trio.serve_tcp, serve, 0)
    port: int = listeners[0].socket.getsockname()[1]
    return port


async def dumped() -> bytes:
    """Return an RDB file with a key."""
    async with open_redis() as server:
        await server.execute("SET", "new", "data")
        from redis_trio.persistence.rdb_file import all_pieces, new_writer

        state = server.state
        return b"".join(all_pieces(state, new_writer(state, 11)))


MARK = b"m" * 40


@pytest.mark.parametrize("load", ["disabled", "swapdb", "on-empty-db"])
@pytest.mark.parametrize("form", ["length", "mark"])
async def test_both_forms_of_a_snapshot_in_pieces(tmp_path: Path, load: str, form: str) -> None:
    """Empty lines in front, the mark cut in two, the stream behind it in the same piece."""
    rdb = await dumped()
    head = b"$EOF:" + MARK if form == "mark" else b"$%d" % len(rdb)
    tail = MARK if form == "mark" else b""
    stream_data = encode_command([b"SET", b"later", b"1"])

    async def answer(stream: trio.SocketStream) -> None:
        await stream.send_all(b"\n\n+FULLRESYNC " + b"a" * 40 + b" 100\r\n\n\n" + head + b"\r\n")
        data = rdb + tail + stream_data
        places = (0, 5, len(rdb) - 3, len(rdb) + len(tail) // 2, len(data))
        for begin, end in itertools.pairwise(places):
            await stream.send_all(data[begin:end])
            for _ in range(30):  # so that they are read one by one
                await trio.lowlevel.checkpoint()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        port = await serve_once(nursery, answer)
        async with open_redis(
            replicaof=f"127.0.0.1 {port}", repl_diskless_load=load, dir=str(tmp_path), save=""
        ) as replica:
            with trio.fail_after(PATIENCE_S):
                await replica.synced()
            await until(lambda: replica.state.replication.offset == 100 + len(stream_data))
            assert await replica.execute("MGET", "new", "later") == [b"data", b"1"]
            assert replica.state.replication.replid == "a" * 40
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("load", ["disabled", "swapdb", "on-empty-db"])
@pytest.mark.parametrize("damage", ["short", "garbled", "no mark", "error", "no length"])
async def test_a_snapshot_that_is_damaged_leaves_whole_data_or_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, load: str, damage: str
) -> None:
    """Old data stays where it has not been dropped yet; clients are served; it is tried again."""
    caplog.set_level(logging.INFO)
    rdb = await dumped()
    answers = {
        "short": b"$%d\r\n" % (len(rdb) + 1) + rdb[:-9],
        "garbled": b"$%d\r\n" % len(rdb) + rdb[:20] + b"\xf0" * (len(rdb) - 20),
        "no mark": b"$EOF:" + MARK + b"\r\n" + rdb + b"x" * 100,
        "error": b"-ERR no\r\n",
        "no length": b"$what\r\n",
    }
    attempts = 0

    async def answer(stream: trio.SocketStream) -> None:
        nonlocal attempts
        attempts += 1
        await stream.send_all(b"+FULLRESYNC " + b"a" * 40 + b" 100\r\n" + answers[damage])
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        port = await serve_once(nursery, answer)
        async with open_redis(repl_diskless_load=load, dir=str(tmp_path), save="") as replica:
            await replica.execute("SET", "old", "data")
            await replica.execute("REPLICAOF", "127.0.0.1", port)
            await until(lambda: attempts >= 3)
            await until(lambda: not replica.state.loading.active)
            assert await replica.execute("PING") == b"PONG"
            await until(lambda: not replica.state.loading.active)
            await replica.execute("REPLICAOF", "NO", "ONE")
            kept = await replica.execute("GET", "old")
            assert kept == b"data" or (kept is None and load != "swapdb")
            assert await replica.execute("GET", "new") is None
            assert await replica.execute("DBSIZE") == (0 if kept is None else 1)
        nursery.cancel_scope.cancel()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("temp")] == []  # noqa: ASYNC240


async def test_old_data_is_served_while_newer_of_the_same_history_is_loaded() -> None:
    """swapdb, the primary's id unchanged: reads go on, and what must not run meanwhile does not."""
    rdb = await dumped()
    go_on = trio.Event()

    async def answer(stream: trio.SocketStream) -> None:
        head = b"+FULLRESYNC " + b"a" * 40 + b" 100\r\n$%d\r\n" % len(rdb)
        await stream.send_all(head + rdb[:12])
        await go_on.wait()
        await stream.send_all(rdb[12:])
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        port = await serve_once(nursery, answer)
        async with open_redis(repl_diskless_load="swapdb") as replica:
            await replica.execute("SET", "old", "data")
            replica.state.replication.replid = "a" * 40
            await replica.execute("REPLICAOF", "127.0.0.1", port)
            await until(lambda: replica.state.loading.active)
            assert await replica.execute("GET", "old") == b"data"
            assert b"async_loading:1" in await replica.execute("INFO", "persistence")  # type: ignore[operator]
            with pytest.raises(RedisError, match="LOADING"):
                await replica.execute("REPLICAOF", "NO", "ONE")
            info = await replica.execute("INFO", "replication")
            assert b"master_sync_in_progress:1" in info  # type: ignore[operator]
            assert b"master_sync_total_bytes:%d" % len(rdb) in info  # type: ignore[operator]
            go_on.set()
            with trio.fail_after(PATIENCE_S):
                await replica.synced()
            assert await replica.execute("MGET", "old", "new") == [None, b"data"]
        nursery.cancel_scope.cancel()


async def test_other_data_is_not_served_while_it_is_loaded() -> None:
    rdb = await dumped()

    async def answer(stream: trio.SocketStream) -> None:
        await stream.send_all(
            b"+FULLRESYNC " + b"a" * 40 + b" 100\r\n$%d\r\n" % len(rdb) + rdb[:12]
        )
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        port = await serve_once(nursery, answer)
        async with open_redis(
            repl_diskless_load="swapdb", replicaof=f"127.0.0.1 {port}"
        ) as replica:
            await until(lambda: replica.state.loading.active)
            with pytest.raises(RedisError, match="LOADING"):
                await replica.execute("GET", "old")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("reply", [b"-NOMASTERLINK later\r\n", b"-LOADING later\r\n"])
async def test_a_primary_that_cannot_now_is_asked_again(reply: bytes) -> None:
    asked = 0

    async def answer(stream: trio.SocketStream) -> None:
        nonlocal asked
        asked += 1
        await stream.send_all(reply)

    async with trio.open_nursery() as nursery:
        port = await serve_once(nursery, answer)
        async with open_redis(replicaof=f"127.0.0.1 {port}"):
            await until(lambda: asked == 3)
        nursery.cancel_scope.cancel()


async def test_acks_and_timeouts_in_virtual_time(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory: an acknowledgement a second, until the primary has been silent for too long."""
    ours: list[trio.StapledStream] = []

    async def connect(state: object, host: str, port: int) -> trio.abc.Stream:
        near, far = trio.testing.memory_stream_pair()
        ours.append(far)  # type: ignore[arg-type]
        return near

    monkeypatch.setattr(link, "connect", connect)
    async with open_redis(replicaof="memory 1", repl_timeout=5) as replica:
        await until(lambda: bool(ours))
        far = ours[0]
        rdb = await dumped()
        await far.receive_some()
        await far.send_all(b"+PONG\r\n")
        await far.receive_some()
        await far.send_all(b"+OK\r\n+OK\r\n")
        await far.receive_some()
        head = b"+FULLRESYNC " + b"a" * 40 + b" 7\r\n$%d\r\n" % len(rdb)
        await far.send_all(head + rdb)
        await replica.synced()
        began = trio.current_time()
        seen = b""
        while b"ACK" not in seen:
            seen += await far.receive_some()
        for _ in range(3):
            assert encode_command([b"REPLCONF", b"ACK", b"7"]) in await far.receive_some()
        assert 2 < trio.current_time() - began < 6
        with trio.fail_after(20):
            while await far.receive_some():
                pass
        assert 5 <= trio.current_time() - began < 9


# -- changes


async def test_changes_are_told_as_they_are_applied(primary: RedisServer) -> None:
    async with replica_of(primary) as replica:
        for server in (primary, replica):
            changes = server.changes()
            await primary.execute("SET", "k", "v", "EX", 100)
            await primary.execute("PUBLISH", "c", "no write")
            await primary.execute("EVAL", "redis.call('incr','n') redis.call('incr','m')", "0")
            seen = [await changes.__anext__() for _ in range(3)]
            assert [change.args[:2] for change in seen] == [
                (b"SET", b"k"),
                (b"incr", b"n"),
                (b"incr", b"m"),
            ]
            assert seen[0].args[3] == b"PXAT"
            assert [change.db for change in seen] == [0, 0, 0]
            assert seen[0].offset < seen[1].offset < seen[2].offset
            changes.close()


async def test_changes_go_on_behind_a_position(primary: RedisServer) -> None:
    async with replica_of(primary) as replica:
        changes = replica.changes()
        for number in range(10):
            await primary.execute("SET", "k", number)
        first = [await changes.__anext__() for _ in range(4)]
        changes.close()
        again = replica.changes(after=first[-1].position)
        rest = [await again.__anext__() for _ in range(6)]
        assert [change.args[2] for change in first + rest] == [b"%d" % n for n in range(10)]
        again.close()


async def test_changes_in_another_database_and_behind_a_position_there(
    primary: RedisServer,
) -> None:
    changes = primary.changes()
    await primary.execute("COPY", "nosuch", "x", "DB", 1)
    await primary.execute("SET", "k", "v")
    await primary.execute("MOVE", "k", 1)
    seen = [await changes.__anext__(), await changes.__anext__()]
    assert [(change.db, change.args[0]) for change in seen] == [(0, b"SET"), (0, b"MOVE")]
    changes.close()


async def test_who_is_too_slow_for_the_changes_is_told(primary: RedisServer) -> None:
    changes = primary.changes(max_pending=10_000)
    for _ in range(30):
        await primary.execute("SET", "k", "v" * 1000)
    with pytest.raises(ChangesLost, match="more than 10000 bytes"):
        await changes.__anext__()
    changes.close()


async def test_changes_end_with_a_full_synchronization(primary: RedisServer) -> None:
    async with open_redis(repl_diskless_sync_delay=0) as other, replica_of(primary) as replica:
        changes = replica.changes()
        await replica.execute("REPLICAOF", "127.0.0.1", other.port)
        with trio.fail_after(PATIENCE_S), pytest.raises(ChangesLost, match="full synchronization"):
            await changes.__anext__()
        changes.close()


async def test_a_position_that_is_not_known_is_refused(primary: RedisServer) -> None:
    with pytest.raises(ChangesLost, match="another history"):
        primary.changes(after=f"{'0' * 40}:0:0")
    with pytest.raises(ValueError, match="not the position"):
        primary.changes(after="what")


async def test_changes_end_with_the_server_and_leave_nothing_behind() -> None:
    async with open_redis() as server:
        changes = server.changes()
        assert len(server.state.replication.taps) == 1
        del changes
        assert len(server.state.replication.taps) == 0
        changes = server.changes()
    with pytest.raises(trio.ClosedResourceError):
        await changes.__anext__()


async def test_waiting_for_a_change_can_be_cancelled(primary: RedisServer) -> None:
    changes = primary.changes()
    with trio.move_on_after(0.01) as scope:
        await changes.__anext__()
    assert scope.cancelled_caught
    await primary.execute("SET", "k", "v")
    assert (await changes.__anext__()).args == (b"SET", b"k", b"v")
    changes.close()
