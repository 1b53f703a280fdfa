"""Raw bytes to redis-server and to ours: the same replies, the same errors, the same end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.interop.compare import Both, Peer
from tests.interop.conftest import Start
from tests.protocol_cases import BROKEN, INCOMPLETE, UNAUTHENTICATED, VALID

CompareRaw = Callable[[bytes], bytes]


@pytest.mark.parametrize("name", VALID)
def test_a_valid_stream_gets_the_same_replies(name: str, compare_raw: CompareRaw) -> None:
    assert compare_raw(VALID[name].data)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_gets_the_same_error_and_is_closed(
    name: str, compare_raw: CompareRaw
) -> None:
    assert b"-ERR Protocol error: " in compare_raw(BROKEN[name].data)


@pytest.mark.parametrize("name", BROKEN)
def test_after_a_protocol_error_the_server_closes_the_connection(
    name: str, real_port: int, our_port: int
) -> None:
    replies = []
    for port in (real_port, our_port):
        with closing(Peer(port)) as peer:
            peer.send(BROKEN[name].data)
            replies.append(peer.until_closed())  # which the client does not ask for
    assert replies[1] == replies[0]


@pytest.mark.parametrize("name", INCOMPLETE)
def test_an_incomplete_request_gets_no_reply(name: str, compare_raw: CompareRaw) -> None:
    assert compare_raw(INCOMPLETE[name]) == b""


@pytest.fixture(scope="module")
def strangers(start_real: Start, start_ours: Start) -> Iterator[Both]:
    """A client of two servers that ask for a password, which it does not know."""
    client = Both(start_real("--requirepass", "x"), start_ours("--requirepass", "x"), 2)
    yield client
    client.close()


@pytest.mark.parametrize("name", UNAUTHENTICATED)
def test_limits_before_authentication(name: str, strangers: Both) -> None:
    assert strangers.raw(UNAUTHENTICATED[name].data).startswith(b"-")


def test_a_broken_stream_in_resp3(both: Both) -> None:
    for case in (BROKEN["a negative length"], BROKEN["a double quote left open"]):
        client = both.another()
        client.real.send(case.data)
        client.ours.send(case.data)
        assert client.ours.until_closed() == client.real.until_closed() != b""


def test_a_lower_limit_for_arguments(both: Both) -> None:
    both("CONFIG SET proto-max-bulk-len 2000000")
    assert both.raw(b"*1\r\n$2000000\r\n") == b""
    assert both.raw(b"*1\r\n$2000001\r\n") == b"-ERR Protocol error: invalid bulk length\r\n"
    both("CONFIG SET proto-max-bulk-len 536870912")


def test_query_buffer_limit_closes_without_a_reply(both: Both) -> None:
    both("CONFIG SET client-query-buffer-limit 1048576", "CONFIG RESETSTAT")
    try:
        for size in (1_048_575, 1_100_000, 3_000_000):
            data = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n" % (size, b"x" * size)
            assert both.raw(data) == b""
        size = 1_000_000
        value = b"$%d\r\n%s\r\n" % (size, b"x" * size)
        data = b"*5\r\n$4\r\nMSET\r\n$1\r\nk\r\n" + value + b"$1\r\nl\r\n" + value
        assert both.raw(data) == b"+OK\r\n"  # complete arguments are not counted
        info = both.ours.command("INFO stats")  # redis-server 7.0 does not count them
        assert b"client_query_buffer_limit_disconnections:3\r\n" in info
    finally:
        both("CONFIG SET client-query-buffer-limit 1073741824")
