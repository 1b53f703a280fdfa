"""maxmemory-clients: who is counted for how much, and who is disconnected."""

from __future__ import annotations

from redis_trio.client import CLIENT_BYTES
from redis_trio.client_memory import LIMIT_MIN
from redis_trio.protocol.reply import Verbatim
from redis_trio.state import ServerState
from tests.unit.conftest import Run
from tests.unit.peer import Peer


def hold(peer: Peer, size: int) -> None:
    """Send a request that is not complete."""
    peer.send_raw(b"*2\r\n$%d\r\n" % (10 * size) + b"x" * size)


def left(state: ServerState, *peers: Peer) -> list[bool]:
    return [peer.client.id in state.clients for peer in peers]


def test_the_biggest_clients_go_first_until_the_rest_fits(state: ServerState) -> None:
    peers = [Peer(state) for _ in range(4)]
    for peer, size in zip(peers, (100_000, 400_000, 200_000, 300_000), strict=True):
        hold(peer, size)
    asking = Peer(state)
    assert asking.send("CONFIG SET maxmemory-clients 400000") == b"+OK\r\n"
    assert left(state, *peers, asking) == [True, False, True, False, True]
    assert state.client_memory.evicted == 2
    assert state.client_memory.total_bytes < 400_000


def test_who_is_not_to_be_evicted_stays(state: ServerState) -> None:
    safe, other = Peer(state), Peer(state)
    safe.send("CLIENT NO-EVICT ON", "CONFIG SET maxmemory-clients 300000")
    hold(safe, 400_000)
    hold(other, 1000)
    assert left(state, safe, other) == [True, False]


def test_a_client_goes_for_what_it_is_about_to_run(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("CONFIG SET maxmemory-clients 200000")
    assert peer.send([b"SET", b"k", b"x" * 100_000]) == b"+OK\r\n"
    assert peer.send([b"SET", b"k", b"y" * 300_000]) == b""
    assert left(state, peer) == [False]
    assert state.dbs[0].table.get(b"k") == b"x" * 100_000


def test_what_multi_queues_watch_and_subscriptions_count(run: Run, state: ServerState) -> None:
    run("CONFIG SET maxmemory-clients 100mb")
    peer = Peer(state)
    peer.send("PING")
    assert peer.client.counted_bytes == CLIENT_BYTES
    peer.send("WATCH a b c")
    watching = peer.client.counted_bytes
    assert watching > CLIENT_BYTES
    peer.send("MULTI", [b"SET", b"k", b"x" * 1000])
    assert peer.client.counted_bytes > watching + 1000
    peer.send("DISCARD")
    assert peer.client.counted_bytes == CLIENT_BYTES
    peer.send("SUBSCRIBE a b c")
    assert peer.client.counted_bytes > CLIENT_BYTES


def test_what_a_client_held_is_gone_with_it(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("CONFIG SET maxmemory-clients 100mb")
    hold(peer, 300_000)
    assert state.client_memory.total_bytes > 300_000
    peer.client.close()
    assert state.client_memory.total_bytes == 0
    assert peer.query_bytes == peer.args_bytes == peer.pending_bytes == 0


def test_a_limit_is_not_below_what_one_client_needs(run: Run, state: ServerState) -> None:
    run("CONFIG SET maxmemory-clients 1")
    assert state.client_memory.limit == LIMIT_MIN


def test_a_percentage_is_one_of_maxmemory(run: Run, state: ServerState) -> None:
    run("CONFIG SET maxmemory-clients 5%")
    assert state.client_memory.limit > 1 << 60
    run("CONFIG SET maxmemory 10mb")
    assert state.client_memory.limit == 10 * 1024 * 1024 * 5 // 100
    run("CONFIG SET maxmemory-clients 0")
    assert state.client_memory.limit == 0


def test_what_clients_hold_makes_keys_go(run: Run, state: ServerState) -> None:
    for number in range(100):
        run("SET", f"key:{number}", "v" * 10_000)
    run("CONFIG SET maxmemory-policy allkeys-random maxmemory-eviction-tenacity 100")
    run("CONFIG SET maxmemory 100gb")
    run(f"CONFIG SET maxmemory {state.eviction.used_bytes() + 50_000}")
    run("PING")
    assert run("DBSIZE") == 100
    peer = Peer(state)
    hold(peer, 400_000)
    run("PING")
    assert 50 < int(run("DBSIZE")) < 80  # type: ignore[arg-type]


def test_client_list_shows_what_is_counted(run: Run, state: ServerState) -> None:
    run("CONFIG SET maxmemory-clients 100mb")
    peer = Peer(state)
    hold(peer, 5000)
    reply = run("CLIENT LIST")
    assert isinstance(reply, Verbatim)
    line = next(line for line in reply.text.split(b"\n") if b"id=%d " % peer.client.id in line)
    assert b" tot-mem=%d " % peer.client.counted_bytes in line
