"""Client-side caching: who is told of which change, when, and that nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from redis_trio.data.expires import NEVER
from redis_trio.jobs import TrackingLimit
from redis_trio.keyspace.active_expire import expire_due
from redis_trio.state import ServerState
from redis_trio.tracking import FORGOTTEN_AT_ONCE
from tests.unit.conftest import FakeTime
from tests.unit.peer import Peer

Connect = Callable[..., Peer]

NO_OVERLAP = "Prefixes for a single client must not overlap."
FLUSHED = b">2\r\n$10\r\ninvalidate\r\n_\r\n"


def invalidated(*keys: str) -> bytes:
    """Return the push that names keys."""
    items = b"".join(b"$%d\r\n%s\r\n" % (len(key), key.encode()) for key in keys)
    return b">2\r\n$10\r\ninvalidate\r\n*%d\r\n%s" % (len(keys), items)


def published(*keys: str) -> bytes:
    """Return the same as a subscriber gets it in RESP2."""
    push = invalidated(*keys)
    return b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n" + push[21:]


@pytest.fixture
def connect(state: ServerState) -> Connect:
    """A function that returns a connection which speaks RESP3, having sent some commands."""

    def connect(*lines: str) -> Peer:
        peer = Peer(state)
        peer.send("HELLO 3", *lines)
        return peer

    return connect


@pytest.fixture
def other(state: ServerState) -> Peer:
    """Somebody else, who changes keys."""
    return Peer(state)


def told(peer: Peer) -> bytes:
    """Return what a connection was sent since the last look."""
    peer.client.server.end()
    return peer.take()


# -- reading and changing


def test_a_reader_is_told_once_of_a_change(connect: Connect, other: Peer) -> None:
    reader = connect("CLIENT TRACKING ON", "MGET a b", "GET c")
    other.send("SET b 1", "SET b 2", "DEL nothing", "INCR c")
    assert told(reader) == invalidated("b") + invalidated("c")
    reader.send("GET b")
    other.send("APPEND b x")
    assert told(reader) == invalidated("b")


def test_a_key_is_known_without_its_database(connect: Connect, other: Peer) -> None:
    reader = connect("CLIENT TRACKING ON", "SELECT 3", "GET k")
    other.send("SET k 1")
    assert told(reader) == invalidated("k")


@pytest.mark.parametrize(
    ("command", "changed"),
    [
        ("EXISTS a b", "b"),
        ("OBJECT ENCODING a", "a"),
        ("SORT_RO a BY w_* GET g_*", "a"),
        ("ZUNION 2 z1 z2", "z2"),
        ("XREAD COUNT 1 STREAMS s1 s2 0 0", "s2"),
        ("LCS a b", "b"),
        ("INCR a wrong", ""),
        ("SET a 1", ""),
        ("GETDEL a", ""),
        ("KEYS *", ""),
        ("NOSUCH a", ""),
    ],
)
def test_the_keys_of_commands_that_only_read_are_remembered(
    connect: Connect, other: Peer, command: str, changed: str
) -> None:
    reader = connect("CLIENT TRACKING ON", command)
    reader.take()
    other.send("MSET a 1 b 1 z1 1 z2 1 s1 1 s2 1")
    assert (invalidated(changed) in told(reader)) == bool(changed)
    assert other.client.server.tracking.items == 0


def test_a_command_that_fails_has_read_all_the_same(connect: Connect, other: Peer) -> None:
    other.send("RPUSH k x")
    reader = connect("CLIENT TRACKING ON")
    assert reader.send("GET k").startswith(b"-WRONGTYPE")
    other.send("DEL k")
    assert told(reader) == invalidated("k")


def test_expiry_is_a_change(connect: Connect, other: Peer, time: FakeTime) -> None:
    other.send("SET soon 1 PX 10", "SET late 1 PX 10")
    reader = connect("CLIENT TRACKING ON", "GET soon", "GET late")
    reader.take()
    time.advance(0.02)
    other.send("GET late")
    assert told(reader) == invalidated("late")
    state = other.client.server
    state.begin()
    expire_due(state, 10**9)
    assert told(reader) == invalidated("soon")


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC", "FLUSHDB SYNC"])
def test_a_flush_is_told_to_everybody_as_null(connect: Connect, other: Peer, command: str) -> None:
    readers = [connect("CLIENT TRACKING ON"), connect("CLIENT TRACKING ON BCAST PREFIX x")]
    readers[0].send("GET k")
    other.send("SELECT 5", command)
    assert [told(reader) for reader in readers] == [FLUSHED, FLUSHED]
    tracking = other.client.server.tracking
    assert (len(tracking.keys), tracking.items) == (0, 0)
    other.send("SELECT 0", "SET k 1")
    assert told(readers[0]) == b""


def test_swapdb_is_told_to_nobody(connect: Connect, other: Peer) -> None:
    reader = connect("CLIENT TRACKING ON", "GET k")
    other.send("SELECT 1", "SET other 1", "SWAPDB 0 1")
    assert told(reader) == b""


def test_keys_in_thousands_are_flushed_bit_by_bit(connect: Connect, other: Peer) -> None:
    keys = [f"k{i}" for i in range(1000)]
    reader = connect("CLIENT TRACKING ON", "MGET " + " ".join(keys))
    other.send("FLUSHALL")
    state = other.client.server
    assert state.lazyfree.busy
    assert state.tracking.items == 0
    while state.lazyfree.step(10**9):
        pass
    reader.take()
    reader.send("GET k1")
    other.send("SET k1 1")
    assert told(reader) == invalidated("k1")


# -- one's own changes


def test_what_a_client_changes_itself_it_is_told_behind_the_reply(connect: Connect) -> None:
    reader = connect("CLIENT TRACKING ON", "GET k")
    reader.take()
    assert reader.send("INCR k") == b":1\r\n" + invalidated("k")
    assert reader.send("GET k", "FLUSHALL") == b"$1\r\n1\r\n+OK\r\n" + FLUSHED


def test_in_a_transaction_it_comes_behind_the_reply_of_exec(connect: Connect) -> None:
    reader = connect("CLIENT TRACKING ON", "MGET a b")
    reader.take()
    reader.send("MULTI", "INCR a", "INCR b", "FLUSHDB")
    replies = b"*3\r\n:1\r\n:1\r\n+OK\r\n"
    assert reader.send("EXEC") == replies + invalidated("a") + invalidated("b") + FLUSHED


def test_other_pushes_of_the_same_command_come_first(connect: Connect) -> None:
    reader = connect(
        "CONFIG SET notify-keyspace-events KEA",
        "CLIENT TRACKING ON",
        "PSUBSCRIBE __keyspace*",
        "GET k",
    )
    reader.take()
    sent = reader.send("SET k 1")
    assert sent.startswith(b"+OK\r\n>4\r\n$8\r\npmessage")
    assert sent.endswith(b"$3\r\nset\r\n" + invalidated("k"))


def test_noloop_spares_a_client_its_own_changes_but_no_expiry(
    connect: Connect, other: Peer, time: FakeTime
) -> None:
    both = connect("CLIENT TRACKING ON NOLOOP", "MGET a b")
    both.take()
    assert both.send("SET a 1") == b"+OK\r\n"
    other.send("SET a 1", "SET b 2")
    assert told(both) == invalidated("b")

    every = connect("CLIENT TRACKING ON NOLOOP BCAST")
    every.take()
    assert every.send("SET mine 1 PX 1") == b"+OK\r\n"
    time.advance(0.01)
    assert every.send("GET mine") == b"_\r\n" + invalidated("mine")
    assert every.send("FLUSHALL") == b"+OK\r\n" + FLUSHED


# -- BCAST


def test_bcast_tells_of_what_one_unit_of_work_changed_at_once_in_order(
    connect: Connect, other: Peer
) -> None:
    every, some = connect("CLIENT TRACKING ON BCAST"), connect()
    some.send("CLIENT TRACKING ON BCAST PREFIX b: PREFIX a:")
    every.take()
    other.send("MSET b:2 1 a:1 1 c 1", "SET b:1 1", "SET b:2 2")
    assert told(every) == invalidated("a:1", "b:1", "b:2", "c")
    assert told(some) == invalidated("a:1") + invalidated("b:1", "b:2")
    other.send("SET d 1")
    assert told(some) == b""


def test_bcast_remembers_no_reads(connect: Connect, state: ServerState) -> None:
    reader = connect("CLIENT TRACKING ON BCAST PREFIX none", "GET k")
    assert state.tracking.items == 0
    assert not state.observed
    reader.send("CLIENT TRACKING OFF", "CLIENT TRACKING ON")
    assert state.observed


def test_noloop_leaves_out_what_the_client_was_the_last_to_change(
    connect: Connect, other: Peer, state: ServerState
) -> None:
    mine = connect("CLIENT TRACKING ON BCAST NOLOOP")
    mine.take()
    state.begin()
    for peer, line in [(mine, b"SET a 1\r\n"), (mine, b"SET b 1\r\n"), (other, b"SET b 2\r\n")]:
        peer.receive(line)
    assert told(mine) == b"+OK\r\n+OK\r\n" + invalidated("b")


def test_on_adds_prefixes(connect: Connect, other: Peer) -> None:
    reader = connect("CLIENT TRACKING ON BCAST PREFIX a", "CLIENT TRACKING ON BCAST PREFIX b")
    reader.take()
    other.send("MSET a 1 b 1 c 1")
    assert told(reader) == invalidated("a") + invalidated("b")
    assert reader.send("CLIENT TRACKING ON BCAST") == b"+OK\r\n"
    assert reader.client.tracking is not None
    assert sorted(reader.client.tracking.prefixes) == [b"", b"a", b"b"]


# -- OPTIN, OPTOUT, CACHING


def test_optin_tracks_the_command_behind_caching_yes(connect: Connect, other: Peer) -> None:
    reader = connect("CLIENT TRACKING ON OPTIN", "GET a")
    reader.send("CLIENT CACHING YES", "CLIENT ID", "GET b", "GET c")
    other.send("MSET a 1 b 1 c 1")
    assert told(reader) == invalidated("b")


def test_optout_tracks_all_but_the_command_behind_caching_no(connect: Connect, other: Peer) -> None:
    reader = connect("CLIENT TRACKING ON OPTOUT", "GET a")
    reader.send("CLIENT CACHING NO", "GET b", "GET c")
    other.send("MSET a 1 b 1 c 1")
    assert told(reader) == invalidated("a") + invalidated("c")


@pytest.mark.parametrize(
    "lines",
    [
        ["CLIENT CACHING YES", "MULTI", "GET a", "GET b", "EXEC"],
        ["MULTI", "CLIENT CACHING YES", "GET a", "GET b", "EXEC"],
    ],
)
def test_caching_holds_for_a_whole_transaction_and_no_longer(
    connect: Connect, other: Peer, lines: list[str]
) -> None:
    reader = connect("CLIENT TRACKING ON OPTIN")
    reader.send(*lines)
    reader.send("GET c")
    other.send("MSET a 1 b 1 c 1")
    assert told(reader) == invalidated("a") + invalidated("b")


@pytest.mark.parametrize("line", ["NOSUCH", "GET", "PING", "CLIENT NOSUCH"])
def test_any_command_but_those_of_client_uses_caching_up(
    connect: Connect, state: ServerState, line: str
) -> None:
    reader = connect("CLIENT TRACKING ON OPTIN", "CLIENT CACHING YES", "CLIENT SETNAME")
    assert b"caching-yes" in reader.send("CLIENT TRACKINGINFO")
    reader.send(line)
    assert b"caching-yes" not in reader.send("CLIENT TRACKINGINFO")
    assert not reader.client.gated


def test_what_caching_refuses(connect: Connect) -> None:
    reader = connect()
    assert reader.send("CLIENT CACHING YES") == (
        b"-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
        b"OPTOUT mode enabled\r\n"
    )
    reader.send("CLIENT TRACKING ON OPTOUT")
    assert reader.send("CLIENT CACHING YES") == (
        b"-ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.\r\n"
    )
    reader.send("CLIENT TRACKING OFF", "CLIENT TRACKING ON OPTIN")
    assert reader.send("CLIENT CACHING NO") == (
        b"-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.\r\n"
    )
    assert reader.send("CLIENT CACHING maybe") == b"-ERR syntax error\r\n"


# -- REDIRECT


def test_a_subscriber_is_told_for_a_client_in_resp2(state: ServerState, other: Peer) -> None:
    reader, listener = Peer(state), Peer(state)
    assert reader.send("CLIENT GETREDIR") == b":-1\r\n"
    assert reader.send(f"CLIENT TRACKING ON REDIRECT {listener.client.id}") == b"+OK\r\n"
    assert reader.send("CLIENT GETREDIR") == b":%d\r\n" % listener.client.id
    reader.send("GET lost")
    other.send("SET lost 1")
    assert told(listener) == b""  # it subscribes to nothing
    listener.send("SUBSCRIBE anything")
    reader.send("GET k")
    other.send("SET k 1")
    assert told(listener) == published("k")
    other.send("FLUSHALL")
    assert told(listener) == published()[:-4] + b"$-1\r\n"
    assert told(reader) == b""


def test_a_client_in_resp3_is_told_for_another_one(
    connect: Connect, state: ServerState, other: Peer
) -> None:
    listener, reader = connect(), Peer(state)
    listener.take()
    reader.send(f"CLIENT TRACKING ON REDIRECT {listener.client.id}", "GET k")
    other.send("SET k 1")
    assert told(listener) == invalidated("k")
    other.send("FLUSHALL")
    assert told(listener) == b">2\r\n$10\r\ninvalidate\r\n$-1\r\n"  # in the tracking one's RESP


def test_who_is_told_for_others_is_told_of_its_own_changes_behind_the_reply(
    connect: Connect, state: ServerState
) -> None:
    listener, reader = connect(), Peer(state)
    listener.take()
    reader.send(f"CLIENT TRACKING ON REDIRECT {listener.client.id}", "GET k")
    assert listener.send("SET k 1") == b"+OK\r\n" + invalidated("k")


def test_without_redirection_nothing_is_told_in_resp2(state: ServerState, other: Peer) -> None:
    reader = Peer(state)
    reader.send("CLIENT TRACKING ON", "GET k")
    other.send("SET k 1")
    assert told(reader) == b""
    assert state.tracking.items == 0


@pytest.mark.parametrize("ending", ["QUIT", "close"])
def test_a_redirection_to_a_client_that_is_gone_is_broken(
    connect: Connect, other: Peer, ending: str
) -> None:
    listener, reader = connect(), connect()
    number = listener.client.id
    reader.send(f"CLIENT TRACKING ON REDIRECT {number}", "GET k")
    if ending == "close":
        listener.client.close()
    else:
        listener.send("QUIT")
    other.send("SET k 1")
    assert told(reader) == b">2\r\n$21\r\ntracking-redir-broken\r\n:%d\r\n" % number
    assert b"broken_redirect" in reader.send("CLIENT TRACKINGINFO")
    assert b" flags=tR db=0 " in reader.send("CLIENT INFO")
    assert f" redir={number} ".encode() in reader.send("CLIENT INFO")
    reader.send("CLIENT TRACKING ON", "GET k")
    assert b"broken_redirect" not in reader.send("CLIENT TRACKINGINFO")


def test_invalidations_reach_a_client_that_wants_no_replies(connect: Connect, other: Peer) -> None:
    reader = connect("CLIENT TRACKING ON", "GET k", "CLIENT REPLY OFF")
    reader.take()
    other.send("SET k 1")
    assert told(reader) == invalidated("k")
    assert reader.send("GET k", "SET k 2") == invalidated("k")


# -- what TRACKING refuses, and tells


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("maybe", "syntax error"),
        ("ON NOSUCH", "syntax error"),
        ("ON PREFIX", "syntax error"),
        ("OFF REDIRECT", "syntax error"),
        ("ON REDIRECT x", "value is not an integer or out of range"),
        ("ON REDIRECT 999", "The client ID you want redirect to does not exist"),
        ("ON REDIRECT 1 REDIRECT 1", "A client can only redirect to a single other client"),
        ("ON PREFIX a", "PREFIX option requires BCAST mode to be enabled"),
        ("ON BCAST OPTIN", "OPTIN and OPTOUT are not compatible with BCAST"),
        ("ON OPTIN OPTOUT", "You can't specify both OPTIN mode and OPTOUT mode"),
        (
            "ON BCAST PREFIX ab PREFIX a",
            f"Prefix 'ab' overlaps with another provided prefix 'a'. {NO_OVERLAP}",
        ),
        (
            "ON BCAST PREFIX x PREFIX a PREFIX ab",
            f"Prefix 'a' overlaps with another provided prefix 'ab'. {NO_OVERLAP}",
        ),
    ],
)
def test_what_tracking_refuses(state: ServerState, words: str, error: str) -> None:
    peer = Peer(state)
    assert peer.send(f"CLIENT TRACKING {words}") == f"-ERR {error}\r\n".encode()
    assert peer.client.tracking is None
    assert state.tracking.prefixes == {}


def test_a_mode_is_left_before_another_is_entered(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("CLIENT TRACKING ON OPTIN")
    assert peer.send("CLIENT TRACKING ON BCAST") == (
        b"-ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
        b"and then re-enabling it with a different mode.\r\n"
    )
    assert peer.send("CLIENT TRACKING ON OPTOUT") == (
        b"-ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
        b"and then re-enabling it with a different mode.\r\n"
    )
    peer.send("CLIENT TRACKING OFF", "CLIENT TRACKING ON BCAST PREFIX foo")
    assert peer.send("CLIENT TRACKING ON BCAST PREFIX fo") == (
        b"-ERR Prefix 'fo' overlaps with an existing prefix 'foo'. "
        b"Prefixes for a single client must not overlap.\r\n"
    )


def test_trackinginfo_tells_the_options(connect: Connect) -> None:
    peer = connect()
    off = (
        b"%3\r\n$5\r\nflags\r\n~1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n"
    )
    assert peer.send("CLIENT TRACKINGINFO") == off
    peer.send("CLIENT TRACKING ON BCAST NOLOOP PREFIX b PREFIX a")
    assert peer.send("CLIENT TRACKINGINFO") == (
        b"%3\r\n$5\r\nflags\r\n~3\r\n$2\r\non\r\n$5\r\nbcast\r\n$6\r\nnoloop\r\n"
        b"$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
    )
    assert b" flags=tB db=0 " in peer.send("CLIENT INFO")
    peer.send("CLIENT TRACKING OFF", "CLIENT TRACKING ON OPTOUT", "CLIENT CACHING NO")
    assert b"$6\r\noptout\r\n" in peer.send("CLIENT TRACKINGINFO")
    assert b"$10\r\ncaching-no\r\n" in peer.send("CLIENT TRACKINGINFO")
    peer.send("CLIENT TRACKING OFF")
    assert peer.send("CLIENT TRACKINGINFO") == off
    assert b" redir=-1 " in peer.send("CLIENT INFO")


def test_info_counts(connect: Connect, other: Peer) -> None:
    connect("CLIENT TRACKING ON", "MGET a b")
    connect("CLIENT TRACKING ON", "GET b")
    connect("CLIENT TRACKING ON BCAST PREFIX a: PREFIX b:")
    connect("CLIENT TRACKING ON BCAST PREFIX a:")
    info = other.send("INFO everything")
    assert b"\r\ntracking_clients:4\r\n" in info
    assert b"\r\ntracking_total_keys:2\r\n" in info
    assert b"\r\ntracking_total_items:3\r\n" in info
    assert b"\r\ntracking_total_prefixes:2\r\n" in info


# -- not too many keys


def test_random_keys_are_given_up_when_there_are_too_many(
    connect: Connect, other: Peer, state: ServerState
) -> None:
    reader = connect("CLIENT TRACKING ON", "MGET a b c d e")
    reader.take()
    other.send("CONFIG SET tracking-table-max-keys 2")
    assert state.gated
    assert len(state.tracking.keys) == 5
    other.send("PING")
    assert len(state.tracking.keys) == 2
    assert not state.gated
    gone = told(reader)
    assert gone.count(b"invalidate") == 3
    for key in "abcde":
        assert (invalidated(key) in gone) != (key.encode() in state.tracking.keys)


def test_the_client_itself_is_told_in_front_of_its_reply(connect: Connect, other: Peer) -> None:
    """So of a command that is only queued, too."""
    reader = connect("CLIENT TRACKING ON NOLOOP", "MGET a b", "MULTI")
    reader.take()
    other.send("CONFIG SET tracking-table-max-keys 1")
    sent = reader.send("PING")
    assert sent in (invalidated("a") + b"+QUEUED\r\n", invalidated("b") + b"+QUEUED\r\n")


def test_more_are_given_up_the_longer_it_goes_on(connect: Connect, state: ServerState) -> None:
    reader = connect("CLIENT TRACKING ON", "MGET " + " ".join([f"k{i}" for i in range(601)]))
    reader.send("CONFIG SET tracking-table-max-keys 1")
    left = []
    while state.tracking.is_full():
        reader.send("PING")
        left.append(len(state.tracking.keys))
    assert left == [501, 301, 1]


def test_an_idle_server_gives_keys_up_too(connect: Connect, state: ServerState) -> None:
    reader = connect("CLIENT TRACKING ON", "MGET " + " ".join([f"k{i}" for i in range(601)]))
    reader.take()
    job = TrackingLimit(state)
    assert job.next_ms() == NEVER
    reader.send("CONFIG SET tracking-table-max-keys 1")
    assert job.next_ms() == state.clock.now_ms
    while job.next_ms() != NEVER:
        job.run()
    assert len(state.tracking.keys) == 1
    assert told(reader).count(b"invalidate") == 600
    reader.send("CONFIG SET tracking-table-max-keys 0", "MGET a b c")
    assert not state.tracking.is_full()


# -- blocked clients


def test_a_blocked_reader_is_told_while_it_waits(connect: Connect, other: Peer) -> None:
    reader = connect("CLIENT TRACKING ON", "XREAD BLOCK 0 STREAMS s $")
    reader.take()
    other.send("SET s 1")
    assert told(reader) == invalidated("s")


def test_what_comes_between_an_answer_and_its_delivery_waits_behind_it(
    connect: Connect, other: Peer
) -> None:
    """Else a client could cache the answer after it was told that it is no longer true."""
    reader = connect("CLIENT TRACKING ON", "GET target", "XREAD BLOCK 0 STREAMS s $")
    reader.take()
    other.send("XADD s 1-1 f v", "XADD s 2-1 f v", "SET target 1")
    waiter = reader.client.waiter
    assert waiter is not None
    assert waiter.waiting is None
    sent = told(reader)
    assert sent == invalidated("s")  # of the read that found nothing
    assert b"".join(waiter.pushes) == invalidated("s") + invalidated("target")


def test_what_serving_a_blocked_client_changes_is_told_behind_its_answer(
    connect: Connect, other: Peer
) -> None:
    reader = connect("CLIENT TRACKING ON", "LRANGE to 0 -1", "BLMOVE from to LEFT LEFT 0")
    reader.take()
    other.send("RPUSH from x")
    assert told(reader) == b""
    waiter = reader.client.waiter
    assert waiter is not None
    assert b"".join(waiter.pushes) == invalidated("to")


# -- nothing is left behind


def leave(state: ServerState, peer: Peer, ending: str) -> None:
    """End a client's tracking in some way."""
    if ending == "RESET":
        assert peer.send("RESET").endswith(b"+RESET\r\n")
    elif ending == "OFF":
        peer.send("EXEC", "CLIENT TRACKING OFF")
    elif ending == "close":
        peer.client.close()
    else:
        Peer(state).send(f"CLIENT KILL ID {peer.client.id}")


def assert_nothing_is_left(state: ServerState) -> None:
    tracking = state.tracking
    assert tracking.clients == {}
    assert tracking.prefixes == {}
    assert (len(tracking.keys), tracking.items, tracking.readers) == (0, 0, 0)
    assert not state.observed
    assert not state.listening
    assert not state.gated


@pytest.mark.parametrize("ending", ["RESET", "OFF", "close", "kill"])
@pytest.mark.parametrize(
    "lines",
    [
        ["CLIENT TRACKING ON"],
        ["CLIENT TRACKING ON", "MGET a b c"],
        ["CLIENT TRACKING ON NOLOOP", "GET a", "SET a 1", "GET a"],
        ["CLIENT TRACKING ON OPTIN", "CLIENT CACHING YES", "GET a", "CLIENT CACHING YES"],
        ["CLIENT TRACKING ON", "GET a", "MULTI", "GET b"],
        ["CLIENT TRACKING ON BCAST PREFIX a PREFIX b", "SET a 1"],
    ],
)
def test_nothing_is_left_of_a_client(
    state: ServerState, connect: Connect, lines: list[str], ending: str
) -> None:
    peer = connect(*lines)
    leave(state, peer, ending)
    assert_nothing_is_left(state)
    assert peer.client.tracking is None


def test_nothing_is_left_of_a_client_that_is_blocked(state: ServerState, connect: Connect) -> None:
    peer = connect("CLIENT TRACKING ON", "XREAD BLOCK 0 STREAMS s $")
    leave(state, peer, "kill")
    assert_nothing_is_left(state)


def test_a_client_with_many_keys_is_forgotten_bit_by_bit(
    state: ServerState, connect: Connect, other: Peer
) -> None:
    count = 10 * FORGOTTEN_AT_ONCE
    mget = "MGET " + " ".join([f"k{i}" for i in range(count)])
    peer = connect("CLIENT TRACKING ON", mget)
    second = connect("CLIENT TRACKING ON", "MGET k0 k1")
    leave(state, peer, "OFF")
    peer.take()
    assert state.tracking.items > 2
    peer.send("CLIENT TRACKING ON", "GET k1")
    peer.take()
    other.send("MSET k1 1 k2 2 k3 3")
    assert told(peer) == invalidated("k1")  # the earlier life is over
    assert invalidated("k1") in told(second)
    while state.lazyfree.step(10**9):
        pass
    assert state.tracking.items == 1
    assert second.client.tracking is not None
    assert [*second.client.tracking.keys.keys()] == [*state.tracking.keys.keys()] == [b"k0"]
    assert state.lazyfree.pending_objects == state.lazyfree.freed_objects == 0


def test_of_two_who_have_a_key_one_goes_and_the_other_is_told(
    state: ServerState, connect: Connect, other: Peer
) -> None:
    first, second = connect("CLIENT TRACKING ON", "GET k"), connect("CLIENT TRACKING ON", "GET k")
    second.take()
    first.client.close()
    assert state.tracking.items == 1
    other.send("SET k 1")
    assert told(second) == invalidated("k")
    second.client.close()
    assert_nothing_is_left(state)
