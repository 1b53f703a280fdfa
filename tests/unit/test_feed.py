"""The feed: what leaves the server for the AOF and for replicas, unit by unit."""

from __future__ import annotations

from collections.abc import Callable

from redis_trio.client import Client
from redis_trio.feed import encode_command
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args
from tests.unit.conftest import FakeTime, Run

Heard = Callable[[], list[bytes]]


def test_commands_of_one_turn_are_units_of_their_own(run: Run, heard: Heard) -> None:
    run("SET a 1")
    run("SET b 2")
    assert heard() == [b"SELECT 0", b"SET a 1", b"SET b 2"]


def test_a_command_that_changes_nothing_is_not_fed(run: Run, heard: Heard) -> None:
    run("GET a")
    run("DEL a")
    run("SET a 1 XX")
    assert heard() == []


def test_what_a_command_expires_on_its_way_is_fed_with_it(
    run: Run, heard: Heard, time: FakeTime
) -> None:
    run("SET a 1 PX 10")
    heard()
    time.advance(1)
    run("SET a 2")
    assert heard() == [b"MULTI", b"DEL a", b"SET a 2", b"EXEC"]


def test_what_a_broken_command_wanted_fed_is_not_fed_for_the_next(
    run: Run, client: Client, heard: Heard
) -> None:
    def broken(client: Client, args: Args) -> Reply:
        client.server.feed.rewrite([b"SET", b"wrong", b"1"])
        raise KeyError("a bug")

    client.server.commands[b"PING"].handler = broken
    run("PING")
    client.halted = 0
    run("SET a 1")
    assert heard() == [b"SELECT 0", b"SET a 1"]


def test_select_goes_in_front_where_the_database_changes(run: Run, heard: Heard) -> None:
    run("SET a 1")
    run("SELECT 3")
    run("SET a 1")
    run("SET b 1")
    assert heard() == [b"SELECT 0", b"SET a 1", b"SELECT 3", b"SET a 1", b"SET b 1"]


def test_the_offset_counts_every_byte_once_whoever_listens(client: Client) -> None:
    replication = client.server.replication
    replication.create_backlog()
    feed = client.server.feed
    one: list[bytes] = []
    other: list[bytes] = []
    stop = feed.listen(one.append)
    feed.listen(other.append)
    feed.add(0, [b"SET", b"k", b"v"])
    feed.flush()
    assert one == other
    assert replication.offset == len(b"".join(one))
    stop()
    feed.add(0, [b"DEL", b"k"])
    feed.flush()
    assert other[1:] == [encode_command([b"DEL", b"k"])]
    assert len(one) == 1
    assert feed.active


def test_commands_are_counted_while_nobody_keeps_the_stream(run: Run, client: Client) -> None:
    client.server.feed.listen(lambda data: None)
    run("SET a 1")
    assert client.server.replication.offset == 1
    run("MULTI")
    run("SET a 1")
    run("SELECT 1")
    run("SET a 1")
    run("EXEC")
    assert client.server.replication.offset == 5
