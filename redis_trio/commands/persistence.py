"""Saving the data.

Source: Redis rdb.c saveCommand; server.c lastsaveCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_trio.command import (
    ADMIN,
    FAST,
    LOADING,
    NO_ASYNC_LOADING,
    NO_MULTI,
    NOSCRIPT,
    STALE,
    group,
)
from redis_trio.errors import RedisError
from redis_trio.persistence.rdb_file import save as save_file
from redis_trio.protocol.reply import OK, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("server")


@command(
    "SAVE",
    arity=1,
    flags=NO_ASYNC_LOADING | ADMIN | NOSCRIPT | NO_MULTI,
    since="1.0.0",
    complexity="O(N) where N is the total number of keys in all databases",
    summary="Saves all data to the disk and serves nobody meanwhile.",
)
def save(client: Client, args: Args) -> Reply:
    """Save the data at once.

    Errors: ERR, and the log has the reason.
    """
    server = client.server
    server.persistence.saves += 1
    if not save_file(server):
        raise RedisError("ERR")
    return OK


@command(
    "LASTSAVE",
    arity=1,
    flags=LOADING | STALE | FAST,
    acl="ADMIN DANGEROUS",
    since="1.0.0",
    complexity="O(1)",
    summary="Returns when the data was last saved.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def lastsave(client: Client, args: Args) -> Reply:
    """Return the time of the last save in seconds."""
    return client.server.persistence.last_save_s
