"""Publish and subscribe, and keyspace events, by what comes out of each client."""

from __future__ import annotations

import pytest

from redis_trio.client import Client
from redis_trio.state import ServerState
from tests.unit.conftest import Run
from tests.unit.peer import Peer


def take(peer: Peer) -> bytes:
    """Return what has been sent to a client since this was last asked."""
    peer.client.server.end()
    return peer.take()


def message(*words: str, resp: int = 2) -> bytes:
    """Return a push of bulk strings."""
    head = b"*%d\r\n" if resp == 2 else b">%d\r\n"
    bulks = [b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words]
    return head % len(words) + b"".join(bulks)


def counted(kind: str, name: str, count: int, resp: int = 2) -> bytes:
    """Return a push whose last element is a number."""
    return message(kind, name, "", resp=resp).removesuffix(b"$0\r\n\r\n") + b":%d\r\n" % count


def assert_nothing_is_left(state: ServerState) -> None:
    pubsub = state.pubsub
    assert (pubsub.channels, pubsub.patterns, pubsub.shard_channels) == ({}, {}, {})


def test_each_channel_is_confirmed_with_the_number_of_subscriptions(state: ServerState) -> None:
    peer = Peer(state)
    assert peer.send("SUBSCRIBE a b a") == (
        counted("subscribe", "a", 1) + counted("subscribe", "b", 2) + counted("subscribe", "a", 2)
    )
    assert peer.send("PSUBSCRIBE x*") == counted("psubscribe", "x*", 3)
    assert peer.send("SSUBSCRIBE s") == counted("ssubscribe", "s", 1)
    assert peer.send("UNSUBSCRIBE b no") == (
        counted("unsubscribe", "b", 2) + counted("unsubscribe", "no", 2)
    )
    assert peer.send("UNSUBSCRIBE") == counted("unsubscribe", "a", 1)
    assert peer.send("PUNSUBSCRIBE") == counted("punsubscribe", "x*", 0)
    assert peer.send("SUNSUBSCRIBE s t") == (
        counted("sunsubscribe", "s", 0) + counted("sunsubscribe", "t", 0)
    )
    assert_nothing_is_left(state)


@pytest.mark.parametrize("command", ["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"])
def test_leaving_nothing_is_confirmed_too(state: ServerState, command: str) -> None:
    expected = message(command.lower()).replace(b"*1", b"*3") + b"$-1\r\n:0\r\n"
    assert Peer(state).send(command) == expected


def test_a_message_goes_to_channels_and_patterns(state: ServerState, run: Run) -> None:
    one, two, three = Peer(state), Peer(state), Peer(state)
    one.send("SUBSCRIBE news")
    two.send("HELLO 3")
    two.send("PSUBSCRIBE n* *s")
    three.send("SSUBSCRIBE news")
    assert run("PUBLISH news hello") == 3
    assert take(one) == message("message", "news", "hello")
    assert take(two) == message("pmessage", "n*", "news", "hello", resp=3) + message(
        "pmessage", "*s", "news", "hello", resp=3
    )
    assert take(three) == b""
    assert run("SPUBLISH news hello") == 1
    assert take(three) == message("smessage", "news", "hello")
    assert run("PUBLISH other hello") == 0


def test_a_subscriber_in_resp2_may_do_little_else(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("SUBSCRIBE a")
    assert peer.send("GET k") == (
        b"-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
        b"are allowed in this context\r\n"
    )
    assert peer.send("CLIENT ID").startswith(b"-ERR Can't execute 'client|id': only")
    assert peer.send("PING") == message("pong", "")
    assert peer.send("PING x") == message("pong", "x")
    peer.send("UNSUBSCRIBE")
    assert peer.send("PING") == b"+PONG\r\n"
    assert peer.send("GET k") == b"$-1\r\n"


def test_a_subscriber_in_resp3_may_do_anything(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("HELLO 3")
    assert peer.send("SUBSCRIBE a") == counted("subscribe", "a", 1, resp=3)
    assert peer.send("GET k") == b"_\r\n"
    assert peer.send("PING") == b"+PONG\r\n"


def test_what_a_client_sends_itself_comes_behind_the_reply(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("HELLO 3")
    peer.send("SUBSCRIBE a")
    assert peer.send("PUBLISH a x") == b":1\r\n" + message("message", "a", "x", resp=3)
    for line in ("MULTI", "PUBLISH a y", "PING"):
        peer.send(line)
    assert peer.send("EXEC") == b"*2\r\n:1\r\n+PONG\r\n" + message("message", "a", "y", resp=3)


def test_subscribing_in_a_transaction_answers_in_its_place(state: ServerState) -> None:
    peer = Peer(state)
    for line in ("MULTI", "PING", "SUBSCRIBE a", "SSUBSCRIBE b"):
        peer.send(line)
    assert peer.send("EXEC") == (
        b"*3\r\n+PONG\r\n"
        + counted("subscribe", "a", 1)
        + b"-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client\r\n"
    )


def test_pubsub_tells_who_listens(state: ServerState, run: Run) -> None:
    one, two = Peer(state), Peer(state)
    one.send("SUBSCRIBE news sport")
    two.send("SUBSCRIBE news")
    two.send("PSUBSCRIBE a b")
    one.send("PSUBSCRIBE a")
    two.send("SSUBSCRIBE s")
    assert run("PUBSUB CHANNELS") == [b"news", b"sport"]
    assert run("PUBSUB CHANNELS n*") == [b"news"]
    assert run("PUBSUB NUMSUB news sport none") == [b"news", 2, b"sport", 1, b"none", 0]
    assert run("PUBSUB NUMSUB") == []
    assert run("PUBSUB NUMPAT") == 2
    assert run("PUBSUB SHARDCHANNELS") == [b"s"]
    assert run("PUBSUB SHARDCHANNELS x*") == []
    assert run("PUBSUB SHARDNUMSUB s news") == [b"s", 1, b"news", 0]


def test_client_list_and_info_show_subscribers(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("SUBSCRIBE a b")
    peer.send("PSUBSCRIBE p")
    peer.send("SSUBSCRIBE s")
    other = Peer(state)
    line = other.send("CLIENT LIST TYPE pubsub")
    assert b" flags=P " in line
    assert b" sub=2 psub=1 ssub=1 " in line
    assert f"id={other.client.id} ".encode() not in line
    info = other.send("INFO")
    for field in ("pubsub_clients:1", "pubsub_channels:2", "pubsub_patterns:1"):
        assert f"{field}\r\n".encode() in info
    assert b"pubsubshard_channels:1\r\n" in info


@pytest.mark.parametrize("ending", ["close", "disconnected", "RESET", "kill"])
def test_nothing_is_left_of_a_subscriber(state: ServerState, ending: str) -> None:
    peer = Peer(state)
    peer.send("SUBSCRIBE a b")
    peer.send("PSUBSCRIBE p")
    peer.send("SSUBSCRIBE s")
    if ending == "close":
        peer.client.close()
    elif ending == "disconnected":
        peer.client.disconnected()
    elif ending == "kill":
        Peer(state).send("CLIENT KILL TYPE pubsub")
    else:
        assert peer.send(ending) == b"+RESET\r\n"
    assert_nothing_is_left(state)
    assert Peer(state).send("PUBLISH a x") == b":0\r\n"


# -- keyspace events


def test_events_are_published_by_class(state: ServerState, run: Run) -> None:
    run("CONFIG SET notify-keyspace-events KEg$")
    peer = Peer(state)
    peer.send("PSUBSCRIBE __key*")
    take(peer)
    run("SET k v")
    assert take(peer) == message("pmessage", "__key*", "__keyspace@0__:k", "set") + message(
        "pmessage", "__key*", "__keyevent@0__:set", "k"
    )
    run("LPUSH l x")
    assert take(peer) == b""
    run("SELECT 3")
    run("SET k v")
    run("DEL k")
    assert take(peer).count(b"@3__:") == 4


@pytest.mark.parametrize(("classes", "publishes"), [("", False), ("A", False), ("KA", True)])
def test_without_k_or_e_nothing_listens(
    state: ServerState, client: Client, run: Run, classes: str, publishes: bool
) -> None:
    run("CONFIG", "SET", "notify-keyspace-events", classes)
    assert state.listening is publishes
    assert bool(state.pubsub.events) is publishes
    run("CONFIG", "SET", "notify-keyspace-events", "")
    assert not state.listening
