"""Real redis-sentinel looks after a primary and two replicas of ours, and nobody loses a write."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from tests.processes import OURS, ServerProcess

NAME = "ours"
PATIENCE_S = 30.0
STEP_S = 0.02
DOWN_AFTER_MS = 1500  # less, and a busy machine looks dead


def until(true: Callable[[], object], what: str) -> None:
    """Wait until something is so; errors of servers that come and go count as no."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if true():
                return
        except (RedisError, OSError):
            pass
        if time.monotonic() > deadline:
            pytest.fail(f"in vain waited until {what}")
        time.sleep(STEP_S)


class Node:
    """One of our servers, with a redis.conf that it may rewrite."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.conf = folder / "redis.conf"
        self.conf.write_text("# of this test\n")
        options = ("--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes")
        self.process = ServerProcess([*OURS, str(self.conf)], folder, options)
        self.port = self.process.port
        self.redis = redis.Redis(port=self.port, socket_timeout=5)

    def start(self) -> None:
        self.process.start()
        self.process.wait_until_ready()

    def follow(self, other: Node) -> None:
        """Be a replica, now and after a restart."""
        self.redis.replicaof("127.0.0.1", str(other.port))
        self.redis.config_rewrite()

    def follows(self, other: Node) -> bool:
        """Whether it is a replica with a link that is up."""
        info = self.redis.info("replication")
        return (
            info["role"] == "slave"
            and info["master_port"] == other.port
            and info["master_link_status"] == "up"
        )

    def stop(self) -> None:
        self.redis.close()
        self.process.kill()


class SentinelProcess(ServerProcess):
    """A sentinel; its options are in its file, which it rewrites."""

    def __init__(self, command: str, folder: Path, primary_port: int) -> None:
        folder.mkdir()
        conf = folder / "sentinel.conf"
        super().__init__([command, str(conf), "--sentinel"], folder)
        self._args = [command, str(conf)]
        conf.write_text(
            f"port {self.port}\n"
            f"dir {folder}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {primary_port} 2\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {NAME} 4000\n"
            f"sentinel parallel-syncs {NAME} 1\n"
        )
        self.redis = redis.Redis(port=self.port, socket_timeout=5)

    def knows_all(self) -> bool:
        """Whether it has found the others, and the replicas are fit to be chosen."""
        state: dict[str, Any] = self.redis.sentinel_master(NAME)  # type: ignore[assignment]
        replicas = self.redis.sentinel_slaves(NAME)
        return (
            state["num-slaves"] == 2
            and state["num-other-sentinels"] == 2
            and all(
                one["master-link-status"] == "ok"
                and not (one["is_disconnected"] or one["is_sdown"] or one["is_odown"])
                for one in replicas
            )
        )

    def hurry(self) -> None:
        """Look, and tell the others, several times a second and not every ten."""
        for name in ("INFO-PERIOD", "PUBLISH-PERIOD"):
            self.redis.execute_command("SENTINEL", "DEBUG", name, "200")

    def stop(self) -> int:
        self.redis.close()
        self.kill()
        return 0


class World:
    """A primary, two replicas and three sentinels; `client` is redis-py's of the sentinels."""

    def __init__(self, command: str, folder: Path) -> None:
        self.nodes = [Node(folder / f"node{i}") for i in range(3)]
        port = self.nodes[0].port
        self.sentinels = [SentinelProcess(command, folder / f"s{i}", port) for i in range(3)]
        addresses = [("127.0.0.1", one.port) for one in self.sentinels]
        self.client = Sentinel(addresses, socket_timeout=5)

    def start(self) -> None:
        """Start all; returns when every sentinel knows all."""
        for node in self.nodes:
            node.process.start()
        for node in self.nodes:
            node.process.wait_until_ready()
        for replica in self.nodes[1:]:
            replica.follow(self.nodes[0])
        for sentinel in self.sentinels:
            sentinel.start()
        for sentinel in self.sentinels:
            sentinel.wait_until_ready()
            sentinel.hurry()
        self.wait_until_settled()

    def wait_until_settled(self) -> None:
        """Wait until all follow one primary, and every sentinel knows that."""
        for node in self.nodes:
            until(
                lambda node=node: node is self.primary() or node.follows(self.primary()),  # type: ignore[misc]
                "a node follows",
            )
        for sentinel in self.sentinels:
            until(sentinel.knows_all, "a sentinel knows all")

    def primary(self) -> Node:
        """The node that is the primary, as the sentinels say."""
        port = self.client.discover_master(NAME)[1]
        return next(node for node in self.nodes if node.port == port)

    def stop(self) -> None:
        for sentinel in self.sentinels:
            sentinel.stop()
        for node in self.nodes:
            node.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    command = shutil.which("redis-sentinel")
    if command is None:
        if os.environ.get("CI"):
            pytest.fail("redis-sentinel is not installed")
        pytest.skip("redis-sentinel is not installed")
    world = World(command, tmp_path_factory.mktemp("sentinel"))
    try:
        world.start()
        yield world
    finally:
        world.stop()


def write_safely(client: redis.Redis, names: range) -> None:
    """Write, with the acknowledgement of both replicas."""
    for name in names:
        client.set(f"key{name}", name)
    assert client.wait(2, 10_000) == 2


def has_all(client: redis.Redis, names: range) -> bool:
    values = client.mget([f"key{i}" for i in names])
    return values == [b"%d" % i for i in names]


def has_rewritten(node: Node, primary: Node) -> bool:
    """Whether a node's redis.conf says whose replica it is, or that it is nobody's."""
    text = node.conf.read_text()
    if node is primary:
        return "replicaof" not in text
    return f"replicaof 127.0.0.1 {primary.port}\n" in text


def check(world: World, client: redis.Redis, names: range) -> None:
    """All that was written is there, and all nodes have it."""
    world.wait_until_settled()
    assert has_all(client, names)
    client.set("last", "1")
    assert client.wait(2, 10_000) == 2
    assert len({node.redis.execute_command("DEBUG DIGEST") for node in world.nodes}) == 1
    for node in world.nodes:
        until(lambda node=node: has_rewritten(node, world.primary()), "redis.conf is rewritten")  # type: ignore[misc]


def test_sentinels_replace_a_primary_that_was_killed(world: World) -> None:
    """Clients go on, no write is lost, and the old primary rejoins as a replica."""
    world.wait_until_settled()
    old = world.primary()
    client = world.client.master_for(NAME)
    write_safely(client, range(200))
    old.process.kill()
    until(lambda: client.set("after", "1"), "a client can write again")
    assert has_all(client, range(200))
    old.start()
    until(lambda: old.redis.info("replication")["role"] == "slave", "it has rejoined")
    check(world, client, range(200))
    client.close()


def test_a_failover_that_is_asked_for_loses_nothing(world: World) -> None:
    """The sentinels use SLAVEOF, CONFIG REWRITE and CLIENT KILL TYPE in a transaction."""
    world.wait_until_settled()
    old = world.primary()
    client = world.client.master_for(NAME)
    write_safely(client, range(300, 350))
    world.sentinels[0].redis.execute_command("SENTINEL", "FAILOVER", NAME)
    until(lambda: world.primary() is not old, "there is another primary")
    until(lambda: client.set("after", "1"), "a client can write again")
    check(world, client, range(300, 350))
    client.close()
