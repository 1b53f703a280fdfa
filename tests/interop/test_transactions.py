"""Transactions as a real server answers them."""

from __future__ import annotations

import pytest

from redis_trio.protocol.reply import Reply
from tests.interop.compare import Both, plain

SCRIPTS = {
    "usual": ["MULTI", "SET k 1", "INCR k", "GET k", "GET no", "EXEC", "EXEC"],
    "empty": ["MULTI", "EXEC", "MULTI", "DISCARD"],
    "errors at run time": ["SET s x", "MULTI", "INCR s", "LPUSH s 1", "SET s y", "EXEC", "GET s"],
    "errors when queued": ["MULTI", "NOSUCH a b", "SET k 1", "EXEC", "EXISTS k"],
    "wrong arity": ["MULTI", "GET", "EXEC", "MULTI", "CONFIG GET", "CONFIG NOSUCH", "EXEC"],
    "EXEC of wrong arity": ["MULTI", "EXEC x", "EXEC", "EXEC x", "DISCARD x", "MULTI x"],
    "nested": ["MULTI", "MULTI", "WATCH k", "EXEC", "MULTI", "UNWATCH", "EXEC"],
    "without MULTI": ["EXEC", "DISCARD", "UNWATCH", "WATCH", "WATCH a b a"],
    "RESET": ["MULTI", "SET k 1", "RESET", "EXEC", "EXISTS k"],
    "SELECT": ["MULTI", "SELECT 3", "SET k 1", "EXEC", "EXISTS k", "SELECT 0", "EXISTS k"],
    "own change after WATCH": ["WATCH k", "SET k 1", "MULTI", "PING", "EXEC"],
    "own read after WATCH": ["WATCH k", "GET k", "MULTI", "PING", "EXEC"],
    "WATCH twice": ["WATCH k k", "WATCH k", "DEL k", "MULTI", "PING", "EXEC"],
    "flush of what is not there": ["WATCH k", "FLUSHALL", "MULTI", "PING", "EXEC"],
    "flush of what is there": ["SET k 1", "WATCH k", "FLUSHDB", "MULTI", "PING", "EXEC"],
    "swap": ["SET k 1", "WATCH k", "SWAPDB 0 1", "MULTI", "PING", "EXEC", "FLUSHALL"],
    "swap of nothing": ["WATCH k", "SWAPDB 0 1", "MULTI", "PING", "EXEC"],
    "DISCARD unwatches": ["WATCH k", "MULTI", "DISCARD", "SET k 1", "MULTI", "PING", "EXEC"],
    "EXEC unwatches": ["WATCH k", "MULTI", "EXEC", "SET k 1", "MULTI", "PING", "EXEC"],
    "deadline past": ["SET k 1", "WATCH k", "PEXPIRE k -1", "MULTI", "PING", "EXEC"],
    "blocking": [
        "MULTI",
        "BLPOP k 0",
        "BRPOPLPUSH a b 0",
        "BLMOVE a b LEFT LEFT 0",
        "BLMPOP 0 1 k LEFT",
        "BZPOPMIN k 0",
        "BZMPOP 0 1 k MIN",
        "XREAD BLOCK 0 STREAMS s $",
        "RPUSH k 1 2",
        "BLPOP k 0",
        "EXEC",
    ],
    "CLIENT REPLY": ["MULTI", "CLIENT REPLY ON", "PING", "EXEC"],
    "shapes": [
        "MULTI",
        "HSET h f v",
        "HGETALL h",
        "SADD s a",
        "SMEMBERS s",
        "ZADD z 1.5 m",
        "ZSCORE z m",
        "EXEC",
    ],
    "errors of all kinds": ["MULTI", "AUTH a b", "SELECT 99", "EXPIRE k x", "EXEC"],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_transactions_answer_the_same(both: Both, name: str) -> None:
    both(*SCRIPTS[name])


def test_hello_within_a_transaction(both: Both) -> None:
    def without_server(reply: Reply) -> object:
        return [item for item in plain(reply) if not isinstance(item, dict | list)]  # type: ignore[attr-defined]

    both("MULTI", "GET no", "HELLO 3", "GET no", "HELLO 4")
    both.one("EXEC", normalize=without_server)
    both("GET no")


def test_another_clients_change_is_seen(both: Both) -> None:
    other = both.another()
    both("WATCH k")
    other("SET k 1")
    both("MULTI", "SET k 2", "EXEC", "GET k")
    both("WATCH k")
    other("GET k")
    both("MULTI", "SET k 2", "EXEC", "GET k")
