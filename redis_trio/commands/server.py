"""Commands about the server itself and about whole databases.

CONFIG, COMMAND, DEBUG and LOLWUT are in files of their own; what INFO says is in info.py.

Source: Redis server.c, db.c.
"""

from __future__ import annotations

from typing import Final

from redis_trio.args import read_integer_in
from redis_trio.client import Client
from redis_trio.command import (
    ADMIN,
    ALLOW_BUSY,
    FAST,
    LOADING,
    NO_MULTI,
    NOSCRIPT,
    READONLY,
    SENTINEL,
    STALE,
    WRITE,
    group,
)
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.info import info_text
from redis_trio.keyspace.database import Database
from redis_trio.persistence.rdb_file import save, save_at_end
from redis_trio.protocol.reply import NO_REPLY, OK, Reply, Verbatim
from redis_trio.protocol.request import Args

command = group("server")

_INT_MIN: Final = -(2**31)
_INT_MAX: Final = 2**31 - 1


@command(
    "INFO",
    "[section...]",
    arity=-1,
    flags=LOADING | STALE | SENTINEL,
    acl="DANGEROUS",
    since="1.0.0",
    complexity="O(1)",
    summary="Tells facts and figures about the server.",
    tips="NONDETERMINISTIC_OUTPUT REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:SPECIAL",
)
def info(client: Client, args: Args) -> Reply:
    """Tell facts and figures about the server."""
    words = [word.decode("utf-8", "surrogateescape") for word in args[1:]]
    return Verbatim(info_text(client.server, words).encode("utf-8", "surrogateescape"))


@command(
    "DBSIZE",
    arity=1,
    flags=READONLY | FAST,
    acl="KEYSPACE",
    since="1.0.0",
    complexity="O(1)",
    summary="Counts the keys in the database.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:AGG_SUM",
)
def dbsize(client: Client, args: Args) -> Reply:
    """Count the keys in the database, with those that have expired and are not deleted yet."""
    return client.db.table.count


@command(
    "TIME",
    arity=1,
    flags=LOADING | STALE | FAST,
    since="2.6.0",
    complexity="O(1)",
    summary="Tells the server's time.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def time_(client: Client, args: Args) -> Reply:
    """Tell the time: seconds since the epoch, and microseconds."""
    clock = client.server.clock
    # A transaction and a script see one moment.
    usec = clock.now_ms * 1000 if client.executing else int(clock.time() * 1_000_000)
    return [b"%d" % (usec // 1_000_000), b"%d" % (usec % 1_000_000)]


@command(
    "FLUSHDB",
    "[ASYNC@4.0.0 | SYNC@6.2.0]",
    arity=-1,
    flags=WRITE,
    acl="KEYSPACE DANGEROUS",
    since="1.0.0",
    complexity="O(N) where N is the number of keys in the selected database",
    summary="Removes all keys from the database.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:ALL_SUCCEEDED",
)
def flushdb(client: Client, args: Args) -> Reply:
    """Remove all keys from the database."""
    return _flush(client, args, [client.db])


@command(
    "FLUSHALL",
    "[ASYNC@4.0.0 | SYNC@6.2.0]",
    arity=-1,
    flags=WRITE,
    acl="KEYSPACE DANGEROUS",
    since="1.0.0",
    complexity="O(N) where N is the total number of keys in all databases",
    summary="Removes all keys from all databases.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:ALL_SUCCEEDED",
)
def flushall(client: Client, args: Args) -> Reply:
    """Remove all keys from all databases.

    A save in the background is given up, and with save points the file is made as empty as the
    data (db.c flushAllDataAndResetRDB). That sets `dirty` to 0, so the command is fed here.
    """
    server = client.server
    background = server.background
    dirty = server.dirty
    reply = _flush(client, args, server.dbs)
    is_changed = server.dirty > dirty
    background.give_up()
    if server.config.save and background.spawn is not None and save(server) and is_changed:
        server.feed.add_effect(client.db.index, args)
    return reply


def _flush(client: Client, args: Args, dbs: list[Database]) -> Reply:
    """Empty databases, and feed the command even if there was nothing in them.

    The keys are gone when this returns, whether SYNC or ASYNC was asked for; their memory is freed
    bit by bit afterwards. Redis 7.4 does the same for both, but lets SYNC wait for it.
    """
    if len(args) > 2 or (len(args) == 2 and args[1].lower() not in (b"sync", b"async")):
        raise RedisError(SYNTAX)
    server = client.server
    count = 0
    for db in dbs:
        server.database_changes(db)
        count += db.flush()
    server.tracking.flushed()
    if count:
        server.dirty += count
    else:
        server.feed.add_effect(client.db.index, args)
    return OK


@command(
    "SWAPDB",
    "index1 index2",
    arity=3,
    flags=WRITE | FAST,
    acl="KEYSPACE DANGEROUS",
    since="4.0.0",
    complexity=(
        "O(N) where N is the count of clients watching or blocking on keys from both databases."
    ),
    summary="Exchanges the contents of two databases.",
)
def swapdb(client: Client, args: Args) -> Reply:
    """Exchange the contents of two databases; clients stay in the one they have selected."""
    server = client.server
    first = read_integer_in(args[1], _INT_MIN, _INT_MAX, "ERR invalid first DB index")
    second = read_integer_in(args[2], _INT_MIN, _INT_MAX, "ERR invalid second DB index")
    count = len(server.dbs)
    if not 0 <= first < count or not 0 <= second < count:
        raise RedisError("ERR DB index is out of range")
    if first != second:
        one, other = server.dbs[first], server.dbs[second]
        server.database_changes(one, becomes=other)
        server.database_changes(other, becomes=one)
        one.swap_with(other)
    server.dirty += 1
    return OK


@command(
    "SHUTDOWN",
    "[NOSAVE | SAVE]:save-selector [NOW]@7.0.0 [FORCE]@7.0.0 [ABORT]@7.0.0",
    arity=-1,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | SENTINEL | ALLOW_BUSY,
    since="1.0.0",
    complexity=(
        "O(N) when saving, where N is the total number of keys in all databases when saving data, "
        "otherwise O(1)"
    ),
    summary="Stops the server.",
)
def shutdown(client: Client, args: Args) -> Reply:
    """Stop the server; there is no reply unless it goes on.

    The data is saved first if there are save points, or if SAVE asks for it, and unless NOSAVE
    forbids it; if that fails the server goes on, unless FORCE says to stop anyway. Nothing has to
    be waited for, so there is never a shutdown to ABORT.
    """
    options = {word.lower() for word in args[1:]}
    if not options <= {b"nosave", b"save", b"now", b"force", b"abort"}:
        raise RedisError(SYNTAX)
    if b"abort" in options:
        if len(options) > 1:
            raise RedisError(SYNTAX)
        raise RedisError("ERR No shutdown in progress.")
    if b"save" in options and b"nosave" in options:
        raise RedisError(SYNTAX)
    server = client.server
    if server.script_is_slow and b"nosave" not in options:
        assert server.scripting is not None
        raise server.scripting.busy_error()
    log = server.log
    log.info("User requested shutdown...")
    if server.shutdown is None or not save_at_end(server, [word.decode() for word in options]):
        log.warning("Not shutting down.")
        raise RedisError("ERR Errors trying to SHUTDOWN. Check logs.")
    client.close_when_sent()
    server.shutdown()
    if server.scripting is not None and server.scripting.running is not None:
        server.scripting.running.killed = True  # nothing of it will be kept
    return NO_REPLY


@command(
    "MONITOR",
    arity=1,
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="1.0.0",
    complexity="",
    summary="Shows every command that the server runs.",
)
def monitor(client: Client, args: Args) -> Reply:
    """Show this client all commands from now on, until it closes or says RESET."""
    if client.executing:
        raise RedisError("ERR MONITOR isn't allowed for DENY BLOCKING client")
    if client.monitoring:
        return NO_REPLY
    client.monitoring = True
    server = client.server
    server.monitors[client] = None
    server.update_observed()
    client.update_gate()
    return OK
