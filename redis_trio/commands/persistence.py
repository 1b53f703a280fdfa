"""Saving the data.

Source: Redis rdb.c saveCommand; server.c lastsaveCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.persistence.rdb_file import save as save_file
from redis_trio.protocol.reply import OK, Reply, Status
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("server")

IN_PROGRESS: Final = "ERR Background save already in progress"


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

    Errors: ERR, and the log has the reason; a save in the background is running.
    """
    server = client.server
    if server.background.running:
        raise RedisError(IN_PROGRESS)
    server.persistence.saves += 1
    if not save_file(server):
        raise RedisError("ERR")
    return OK


@command(
    "BGSAVE",
    "[SCHEDULE]@3.2.2",
    arity=-1,
    flags=NO_ASYNC_LOADING | ADMIN | NOSCRIPT,
    since="1.0.0",
    complexity="O(1)",
    summary="Saves all data as it is now to the disk while clients are served.",
)
def bgsave(client: Client, args: Args) -> Reply:
    """Begin to save the data, or, if something else is being written, do so afterwards if asked to.

    Errors: a save is running, or something else is; ERR: there is no task to do it.
    """
    schedules = len(args) == 2 and args[1].lower() == b"schedule"
    if len(args) > 1 and not schedules:
        raise RedisError(SYNTAX)
    server = client.server
    background = server.background
    if background.running:
        raise RedisError(IN_PROGRESS)
    if background.is_other_active or client.executing:
        if not schedules and not client.executing:
            raise RedisError(
                "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE "
                "SCHEDULE in order to schedule a BGSAVE whenever possible."
            )
        background.schedule()
        return Status(b"Background saving scheduled")
    if not background.begin():
        raise RedisError("ERR")
    return Status(b"Background saving started")


@command(
    "BGREWRITEAOF",
    arity=1,
    flags=NO_ASYNC_LOADING | ADMIN | NOSCRIPT,
    since="1.0.0",
    complexity="O(1)",
    summary="Rewrites the append-only file from the data as it is now, while clients are served.",
)
def bgrewriteaof(client: Client, args: Args) -> Reply:
    """Begin to rewrite the append-only file, or do so when what is being written now has ended.

    Errors: a rewrite is running; it cannot begin, and the log has the reason.
    """
    server = client.server
    rewrite = server.rewrite
    background = server.background
    if rewrite.running:
        raise RedisError("ERR Background append only file rewriting already in progress")
    if background.running or background.is_other_active or client.executing:
        rewrite.schedule()
        return Status(b"Background append only file rewriting scheduled")
    if not rewrite.begin():
        raise RedisError(
            "ERR Can't execute an AOF background rewriting. Please check the server logs for more "
            "information."
        )
    return Status(b"Background append only file rewriting started")


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
