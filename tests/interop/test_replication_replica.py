"""Real redis-server as the primary of ours: equal data, whatever is written and what breaks."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from redis_trio import RedisServer, open_redis
from redis_trio.protocol.plain import plain_reply
from redis_trio.protocol.reply import RedisError
from tests.processes import ServerProcess
from tests.wire.talk import Talk

PATIENCE_S = 20.0
STEP_S = 0.01

Command = Callable[..., Awaitable[object]]


class Client:
    """A connection to a server in another process; `info` and `digest` are those of any server."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk

    async def __call__(self, *words: str | bytes) -> object:
        """Run a command; return a Python value."""
        return plain_reply(await self.talk.command(list(words)))


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    talk = Talk(await trio.open_tcp_stream("127.0.0.1", port))
    try:
        yield Client(talk)
    finally:
        await talk.aclose()


async def info(command: Command, section: str = "replication") -> dict[str, str]:
    """Return the fields of a section of INFO."""
    text = await command("INFO", section)
    assert isinstance(text, bytes)
    lines = [line.partition(":") for line in text.decode().split("\r\n")]
    return {name: value for name, _, value in lines}


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds; none is interrupted while it is looked at."""
    deadline = trio.current_time() + PATIENCE_S
    with trio.fail_after(2 * PATIENCE_S):
        while not await true():
            if trio.current_time() > deadline:
                raise trio.TooSlowError
            await trio.sleep(STEP_S)


async def until_up(command: Command) -> None:
    """Wait until the link of a replica is up."""

    async def is_up() -> bool:
        return (await info(command))["master_link_status"] == "up"

    await until(is_up)


async def until_equal(*commands: Command) -> None:
    """Wait until all servers have got equally far and have the same data.

    Of scores with many digits Redis 7.0 makes another digest than Redis 7.4: none is written.
    """

    async def are_equal() -> bool:
        offsets = {(await info(command))["master_repl_offset"] for command in commands}
        if len(offsets) > 1:
            return False
        return len({str(await command("DEBUG", "DIGEST")) for command in commands}) == 1

    try:
        await until(are_equal)
    except trio.TooSlowError:
        offsets = [(await info(command))["master_repl_offset"] for command in commands]
        contents = [
            await content(int((await info(command, "server"))["tcp_port"])) for command in commands
        ]
        others = [sorted(set(contents[0]) ^ set(other)) for other in contents[1:]]
        pytest.fail(f"no agreement: {offsets} {others}")


async def content(port: int) -> list[tuple[int, bytes, bytes, int, str]]:
    """Return database, key, digest, deadline and a description of each value."""
    found: list[tuple[int, bytes, bytes, int, str]] = []
    async with connected(port) as command:
        for db in range(3):
            await command("SELECT", str(db))
            for key in await command("KEYS", "*"):  # type: ignore[attr-defined]
                digest = await command("DEBUG", "DIGEST-VALUE", key)
                deadline = await command("PEXPIRETIME", key)
                shown = repr(await command("DUMP", key))
                found.append((db, key, digest[0], deadline, shown))  # type: ignore[index,arg-type]
    return found


async def until_nothing_expires(port: int) -> None:
    """Wait until the keys that live for milliseconds are gone: a new primary would delete them."""

    async def is_quiet() -> bool:
        soon = (time.time() + 10) * 1000
        found = await content(port)
        if any(0 < deadline < soon for _, _, _, deadline, _ in found):
            return False
        async with connected(port) as command:
            sections = await info(command, "keyspace")
        counts = [
            int(text.split(",")[0][5:]) for name, text in sections.items() if name[:2] == "db"
        ]
        return sum(counts) == len(found)  # none is hidden

    await until(is_quiet)


# -- what is written

LIBRARY = """#!lua name=lib
redis.register_function{
  function_name='f', callback=function() return 1 end, flags={'no-writes'}
}"""
FIELDS = ["a", "b", "c", "d", "e", "field-" + "x" * 70]
SCRIPT = (
    "redis.call('incr', KEYS[1]) redis.call('rpush', KEYS[2], redis.call('time')[1]) "
    "redis.call('set', KEYS[3], ARGV[1], 'px', 100000) return 1"
)


def some_commands(rng: random.Random) -> list[list[str]]:
    """Return one command, or a transaction of several."""
    number = str(rng.randrange(12))
    word = rng.choice([*FIELDS, str(rng.randrange(100)), "v" * rng.randrange(200)])
    kinds: list[list[list[str]]] = [
        [["SET", "s" + number, word]],
        [["SET", "s" + number, word, "EX", "100000"]],
        [["SET", "t" + number, word, "PX", str(rng.randrange(1, 20))]],
        [["APPEND", "s" + number, word], ["SETRANGE", "s" + number, "5", "range"]],
        [["INCRBYFLOAT", "f" + number, "1.5"], ["INCR", "n" + number]],
        [["SETBIT", "b" + number, str(rng.randrange(500)), "1"]],
        [["RPUSH", "l" + number, word, word], ["LPOP", "l" + number]],
        [["LMOVE", "l" + number, "l1", "LEFT", "RIGHT"], ["LTRIM", "l" + number, "0", "50"]],
        [["SADD", "S" + number, word, number], ["SPOP", "S" + number]],
        [["SADD", "i" + number, str(rng.randrange(900))], ["SUNIONSTORE", "S1", "S2", "S3"]],
        [["ZADD", "z" + number, str(rng.randrange(64) / 64), word], ["ZPOPMIN", "z" + number]],
        [["ZADD", "z" + number, "1", "a", "2", "b"], ["ZINCRBY", "z" + number, "0.25", "a"]],
        [["HSET", "h" + number, word, word], ["HINCRBY", "h" + number, "count", "3"]],
        [["HDEL", "h" + number, word], ["HINCRBYFLOAT", "h" + number, "float", "0.1"]],
        [["XADD", "x" + number, "MAXLEN", "~", "20", "*", "f", word]],
        [["XGROUP", "CREATE", "x" + number, "g", "0", "MKSTREAM"]],
        [["XREADGROUP", "GROUP", "g", "c" + word[:3], "COUNT", "2", "STREAMS", "x" + number, ">"]],
        [["XACK", "x" + number, "g", "0-1"], ["XDEL", "x" + number, "0-1"]],
        [["PFADD", "p" + number, word, str(rng.random())]],
        [["GEOADD", "g" + number, str(rng.randrange(90)), "13", word]],
        [["EVAL", SCRIPT, "3", "n1", "l" + number, "s" + number, word]],
        [["SORT", "l" + number, "ALPHA", "STORE", "sorted"], ["RENAME", "s" + number, "renamed"]],
        [["COPY", "h" + number, "copy", "REPLACE"], ["DEL", "z" + number, "l" + number]],
        [["EXPIRE", "h" + number, "100000"], ["PERSIST", "h" + number]],
        [["GETEX", "s" + number, "PX", "3"], ["EXPIRE", "i" + number, "-1"]],
        [["SELECT", str(rng.randrange(3))]],
        [["SWAPDB", "1", "2"], ["MOVE", "s" + number, "2"]],
        [["PUBLISH", "channel", word], ["UNLINK", "x" + number]],
    ]
    chosen = rng.choice(kinds)
    if rng.random() < 0.2:
        return [["MULTI"], *chosen, *rng.choice(kinds), ["EXEC"]]
    return chosen


async def write(talk: Talk, rng: random.Random, rounds: int) -> None:
    """Write for a while."""
    for _ in range(rounds):
        for command in some_commands(rng):
            await talk.command(command)


# -- the servers


# A PING would advance the offset while two servers are compared.
QUICK = (
    *("--repl-diskless-sync-delay", "0", "--repl-backlog-size", "10mb"),
    *("--repl-ping-replica-period", "3600"),
)


@pytest.fixture
def real(redis_server: str, tmp_path: Path) -> Iterator[ServerProcess]:
    """A primary in a process of its own."""
    with ServerProcess([redis_server], tmp_path / "real", QUICK) as process:
        yield process


@asynccontextmanager
async def replica_of(port: int, **config: str | int) -> AsyncIterator[RedisServer]:
    config = {"repl_diskless_sync_delay": 0, "repl_ping_replica_period": 3600, **config}
    config |= {"replicaof": f"127.0.0.1 {port}", "enable_debug_command": "yes"}
    async with open_redis(**config) as ours:  # type: ignore[arg-type]
        await until_up(ours.execute)
        yield ours


class Proxy:
    """Passes bytes between a replica and a primary, until it cuts the connection.

    Attributes:
      budget: how many more bytes the replica is sent before it does that; None for ever.
      cuts: how many connections were cut.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.port = 0
        self.budget: int | None = None
        self.cuts = 0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        await trio.serve_listeners(self._serve, listeners, task_status=task_status)  # type: ignore[arg-type]

    async def _serve(self, replica: trio.SocketStream) -> None:
        try:
            primary = await trio.open_tcp_stream("127.0.0.1", self._port)
            async with primary, replica, trio.open_nursery() as nursery:
                nursery.start_soon(self._pass, replica, primary, False)
                await self._pass(primary, replica, True)
                nursery.cancel_scope.cancel()
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _pass(
        self, source: trio.SocketStream, target: trio.SocketStream, counts: bool
    ) -> None:
        async for data in source:
            if counts and self.budget is not None:
                if len(data) > self.budget:
                    await target.send_all(data[: self.budget])
                    self.budget = None
                    self.cuts += 1
                    return
                self.budget -= len(data)
            await target.send_all(data)


async def test_a_replica_has_what_its_primary_has_under_load(real: ServerProcess) -> None:
    """Data from before it came, and what is written meanwhile and after, in all databases."""
    async with connected(real.port) as primary:
        await write(primary.talk, random.Random(1), 300)
        await primary("FUNCTION", "LOAD", LIBRARY)
        async with trio.open_nursery() as nursery, replica_of(real.port) as ours:
            async with connected(real.port) as other, trio.open_nursery() as writers:
                writers.start_soon(write, other.talk, random.Random(2), 700)
                writers.start_soon(write, primary.talk, random.Random(3), 700)
            await until_equal(primary, ours.execute)
            assert await ours.execute("FCALL", "f", "0") == 1
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("load", ["disabled", "on-empty-db", "swapdb"])
@pytest.mark.parametrize("diskless", ["yes", "no"])
async def test_each_way_of_a_full_synchronization(
    real: ServerProcess, tmp_path: Path, load: str, diskless: str
) -> None:
    async with connected(real.port) as primary:
        await primary("CONFIG", "SET", "repl-diskless-sync", diskless)
        await write(primary.talk, random.Random(4), 200)
        async with replica_of(
            real.port, dir=str(tmp_path), dbfilename="ours.rdb", repl_diskless_load=load
        ) as ours:
            await until_equal(primary, ours.execute)
            await write(primary.talk, random.Random(5), 50)
            await until_equal(primary, ours.execute)
    left = [path.name for path in tmp_path.iterdir() if path.name != "real"]  # noqa: ASYNC240
    assert left == (["ours.rdb"] if load == "disabled" else [])


async def test_a_link_that_is_cut_anywhere_is_continued(real: ServerProcess) -> None:
    rng = random.Random(6)
    proxy = Proxy(real.port)
    async with trio.open_nursery() as nursery, connected(real.port) as primary:
        await nursery.start(proxy.run)
        async with replica_of(proxy.port) as ours:
            for cut in range(1, 21):
                proxy.budget = rng.randrange(4000)
                with trio.fail_after(PATIENCE_S):
                    while proxy.cuts < cut:
                        await write(primary.talk, rng, 5)
            await until_up(ours.execute)
            await until_equal(primary, ours.execute)
            stats = await info(primary, "stats")
            assert stats["sync_full"] == "1"
            assert int(stats["sync_partial_ok"]) >= 20
            nursery.cancel_scope.cancel()


async def test_a_link_that_is_cut_within_the_snapshot_begins_again(real: ServerProcess) -> None:
    proxy = Proxy(real.port)
    async with trio.open_nursery() as nursery, connected(real.port) as primary:
        await nursery.start(proxy.run)
        await primary("DEBUG", "POPULATE", "2000", "key", "100")
        proxy.budget = 50_000
        async with replica_of(proxy.port) as ours:
            assert proxy.cuts == 1
            await until_equal(primary, ours.execute)
            nursery.cancel_scope.cancel()


async def test_a_promoted_replica_can_be_attached_again(real: ServerProcess) -> None:
    """REPLICAOF NO ONE at ours, the real one continues as its replica, and back again."""
    async with connected(real.port) as theirs:
        await write(theirs.talk, random.Random(7), 100)
        async with replica_of(real.port) as ours:
            await until_nothing_expires(real.port)
            await until_equal(theirs, ours.execute)
            assert await ours.execute("REPLICAOF", "NO", "ONE") == b"OK"
            await theirs("REPLICAOF", "127.0.0.1", str(ours.port))
            await until_up(theirs)
            await ours.execute("SET", "written", "by ours")
            await until_equal(ours.execute, theirs)
            assert (await info(ours.execute, "stats"))["sync_partial_ok"] == "1"
            await theirs("REPLICAOF", "NO", "ONE")
            await ours.execute("REPLICAOF", "127.0.0.1", str(real.port))
            await until_up(ours.execute)
            await write(theirs.talk, random.Random(8), 100)
            await until_equal(theirs, ours.execute)
            stats = await info(theirs, "stats")
            assert (stats["sync_full"], stats["sync_partial_ok"]) == ("1", "1")


async def test_a_chain_of_real_and_ours_stays_equal(
    real: ServerProcess, redis_server: str, tmp_path: Path
) -> None:
    """real, ours, real, ours: also when one in the middle becomes a primary and comes back."""
    third = ServerProcess([redis_server], tmp_path / "third", QUICK)
    async with connected(real.port) as first, replica_of(real.port) as second:
        with third:
            async with connected(third.port) as middle:
                await middle("REPLICAOF", "127.0.0.1", str(second.port))
                await until_up(middle)
                async with replica_of(third.port) as last:
                    await write(first.talk, random.Random(9), 300)
                    await until_nothing_expires(real.port)
                    await until_equal(first, second.execute, middle, last.execute)
                    await second.execute("REPLICAOF", "NO", "ONE")
                    await second.execute("REPLICAOF", "127.0.0.1", str(real.port))
                    await until_up(second.execute)
                    await write(first.talk, random.Random(10), 300)
                    await until_equal(first, second.execute, middle, last.execute)
                    for one in (first, second.execute, middle):
                        assert (await info(one, "stats"))["sync_full"] == "1"


async def test_a_password_and_an_announced_address_are_told(real: ServerProcess) -> None:
    async with connected(real.port) as primary:
        await primary("ACL", "SETUSER", "copier", "on", ">secret", "+psync", "+replconf", "+ping")
        await primary("CONFIG", "SET", "requirepass", "other")
        async with open_redis(
            replicaof=f"127.0.0.1 {real.port}",
            masteruser="copier",
            masterauth="wrong",
            replica_announce_ip="5.5.5.5",
            replica_announce_port=1234,
        ) as ours:

            async def is_refused() -> bool:
                log = await primary("ACL", "LOG")
                return isinstance(log, list) and len(log) > 0

            await until(is_refused)
            assert (await info(ours.execute))["master_link_status"] == "down"
            assert await ours.execute("PING") == b"PONG"
            await ours.execute("CONFIG", "SET", "masterauth", "secret")
            await until_up(ours.execute)
            assert (await info(primary))["slave0"].startswith("ip=5.5.5.5,port=1234,")


async def test_wait_at_the_primary_sees_acknowledgements(real: ServerProcess) -> None:
    async with connected(real.port) as primary, replica_of(real.port):
        await primary("SET", "k", "v")
        assert await primary("WAIT", "1", "10000") == 1


async def test_expired_keys_are_hidden_until_the_primary_deletes_them(real: ServerProcess) -> None:
    async with connected(real.port) as primary, replica_of(real.port) as ours:
        await primary("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        await primary("SET", "k", "v", "PX", "1")
        assert await primary("WAIT", "1", "10000") == 1

        async def is_hidden() -> bool:
            return await ours.execute("GET", "k") is None

        await until(is_hidden)
        assert await ours.execute("DBSIZE") == 1

        async def is_deleted() -> bool:
            return await primary("GET", "k") is None

        await until(is_deleted)
        await until_equal(primary, ours.execute)
        assert await ours.execute("DBSIZE") == 0


async def test_published_messages_reach_subscribers_of_the_replica(real: ServerProcess) -> None:
    async with (
        connected(real.port) as primary,
        replica_of(real.port) as ours,
        connected(ours.port) as subscriber,
    ):
        await subscriber("SUBSCRIBE", "c")
        await primary("PUBLISH", "c", "hello")
        assert plain_reply(await subscriber.talk.reply()) == [b"message", b"c", b"hello"]


async def test_a_primary_that_is_no_redis_disturbs_nobody() -> None:
    """Garbage in place of every reply; then a primary that closes, then none at all."""

    async def serve(stream: trio.SocketStream) -> None:
        try:
            await stream.receive_some(1000)
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        except trio.BrokenResourceError:
            pass
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        port = listeners[0].socket.getsockname()[1]
        async with open_redis(replicaof=f"127.0.0.1 {port}") as ours:
            for _ in range(20):
                assert await ours.execute("PING") == b"PONG"
                await trio.sleep(STEP_S)
            with pytest.raises(RedisError, match="READONLY"):
                await ours.execute("SET", "k", "v")
            assert await ours.execute("REPLICAOF", "NO", "ONE") == b"OK"
            assert await ours.execute("SET", "k", "v") == b"OK"
        nursery.cancel_scope.cancel()
