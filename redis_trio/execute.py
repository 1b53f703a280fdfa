"""From a request to its reply: look up, check, admit, call.

`process` takes one request of a client. The checks that can concern a client only in some state of
it or of the server stand together in `admit`, in Redis's order, and are entered only while a flag
says that one of them could matter. `call` runs the handler, counts, feeds and replies; it is the
one place where a RedisError becomes an error reply. After a request `serve_ready` runs the commands
of blocked clients whose keys have changed: they are part of the order of all commands.

1. One reading of the clock a command: it ends when the next one begins (`ServerState.last_ns`).
2. What a bug raises is answered as an internal error and logged with the command; that connection
   is closed and the server goes on.

Source: Redis server.c processCommand, call.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.blocking import Block, Line, Topic, Waiter, unpause_if_due
from redis_trio.client import BLOCKED, PAUSED, REPLY_REPLICA, Client
from redis_trio.clock import perf_counter_ns
from redis_trio.command import (
    ALLOW_BUSY,
    LOADING,
    MAY_REPLICATE,
    NO_ASYNC_LOADING,
    NO_AUTH,
    NO_MULTI,
    PROTECTED,
    READONLY,
    STALE,
    TOUCHES_ARBITRARY_KEYS,
    WRITE,
    Command,
    lookup,
    unknown_command,
)
from redis_trio.errors import (
    AOF_ERROR,
    MASTERDOWN,
    NOAUTH,
    NOREPLICAS,
    READONLY_REPLICA,
    SAVE_ERROR,
    RedisError,
    wrong_arity,
)
from redis_trio.errors import LOADING as LOADING_ERROR
from redis_trio.keyspace.values import type_name
from redis_trio.monitor import observe
from redis_trio.protocol.reply import NO_REPLY, QUEUED, Reply
from redis_trio.protocol.request import Args
from redis_trio.state import ServerState
from redis_trio.transactions import Transaction, abort
from redis_trio.transactions import end as end_transaction

if TYPE_CHECKING:
    from redis_trio.keyspace.database import Database

_NEVER_QUEUED: Final = frozenset(["exec", "discard", "multi", "watch", "quit", "reset", "undo"])
_FOR_SUBSCRIBERS: Final = frozenset(
    "subscribe ssubscribe psubscribe unsubscribe sunsubscribe punsubscribe ping quit reset".split()
)
SECURITY_WARNING_MS: Final = 60_000  # at most one line in the log in so long


def process(client: Client, args: Args) -> None:
    """Run one request; its reply is in `client.out` afterwards, unless the client is halted."""
    server = client.server
    server.current = client
    reply = dispatch(client, args)
    server.current = None
    if reply is not NO_REPLY:
        client.reply(reply)
    if server.own_pushes:
        server.send_own_pushes(client)
    if client.gated and not client.halted & (BLOCKED | PAUSED):
        client.command_done()
    if server.waiting.ready:
        serve_ready(server)


def dispatch(client: Client, args: Args) -> Reply:
    """Run one request and return its reply; an error is returned as a RedisError.

    NO_REPLY: there is none, or not yet: the client is halted, blocked or paused.
    """
    server = client.server
    command = server.commands.get(args[0])
    if command is None or command.subcommands is not None:
        command = lookup(server.commands, args)
        if command is None:
            return _unknown(client, args)
    count = len(args)
    arity = command.arity
    if command.handler is None or (arity != count if arity > 0 else count < -arity):
        client.command = command
        return _reject(client, command, wrong_arity(command.fullname))
    return run(client, command, args)


def run(client: Client, command: Command, args: Args) -> Reply:
    """Run a command whose number of arguments is right, as a unit of its own; return its reply."""
    server = client.server
    client.command = command
    if client.gated or server.gated or command.flags & server.guarded:
        refusal = admit(client, command, args)
        if refusal is not None:
            return refusal
        if client.no_touch:
            return _call_without_touching(client, command, args)
    reply = call(client, command, args)
    feed = server.feed
    if feed.active and feed.flush(command.flags & TOUCHES_ARBITRARY_KEYS != 0):  # a unit of its own
        client.write_offset = server.replication.offset
    return reply


def call(client: Client, command: Command, args: Args) -> Reply:
    """Run a command that has passed every check, count it and feed it; return its reply."""
    server = client.server
    dirty = server.dirty
    handler = command.handler
    assert handler is not None
    try:
        reply = handler(client, args)
    except RedisError as exc:
        exc.__traceback__ = exc.__context__ = None  # would keep this frame, and so what it holds
        reply = exc
        command.failed_calls += 1
        server.count_error(exc.code)
    except Exception as bug:  # noqa: BLE001  (a bug in one command is no reason to stop)
        return _internal_error(client, command, args, bug)  # mypyc: one type for each name
    feed = server.feed
    if feed.active:  # even one that blocks may have changed something: XREADGROUP
        if server.dirty > dirty and not (isinstance(reply, Block) and reply.has_begun):
            feed.add(client.db.index, args)
        feed.forget_rewrite()
    if server.observed:
        _tell_observers(client, command, args)
    now: i64 = perf_counter_ns()
    if isinstance(reply, Block):
        if (client.executing or client.obeyed) and not reply.has_begun:
            reply = reply.if_denied  # neither does a transaction wait nor a stream of changes
        else:  # counted when it has its answer
            server.last_ns = now
            _block(client, command, args, reply)
            return NO_REPLY
    elapsed = now - server.last_ns
    server.last_ns = now
    if elapsed >= server.slow_ns:
        server.was_slow(client, command, args, elapsed)
    command.record(elapsed, server.latency_tracking)
    server.stats.total_commands += 1
    return reply


def complete(
    client: Client, command: Command, args: Args, reply: Reply, error: BaseException | None
) -> None:
    """End a command that stood still half-way, as `call` does: count it, feed it, answer.

    Args:
      error: what it has raised instead of a reply.
    """
    server = client.server
    if isinstance(error, RedisError):
        error.__traceback__ = error.__context__ = None
        reply = error
        command.failed_calls += 1
        server.count_error(error.code)
    elif isinstance(error, Exception):
        reply = _internal_error(client, command, args, error)
    elif error is not None:
        raise error
    server.feed.forget_rewrite()
    server.feed.flush()
    now: i64 = perf_counter_ns()
    elapsed = now - server.last_ns
    server.last_ns = now
    if elapsed >= server.slow_ns:
        server.was_slow(client, command, args, elapsed)
    command.record(elapsed, server.latency_tracking)
    server.stats.total_commands += 1
    server.current = None
    if client.waiter is not None:
        client.waiter.answer(reply)
    if server.own_pushes:
        server.send_own_pushes(client)
    if server.waiting.ready:
        serve_ready(server)


def _tell_observers(client: Client, command: Command, args: Args) -> None:
    """Show a command to the monitors, and have its keys remembered for the client behind it."""
    server = client.server
    if client.waiter is None:  # one that was blocked has been shown
        observe(client, command, args)
    current = server.current
    if current is not None and current.tracking is not None:
        server.tracking.remember(current.tracking, command, args)


def _call_without_touching(client: Client, command: Command, args: Args) -> Reply:
    """`call` for CLIENT NO-TOUCH: keys keep their access times. TOUCH still does what it says."""
    server = client.server
    server.no_touch = command.fullname != "touch"
    reply = call(client, command, args)
    server.no_touch = False
    return reply


def admit(client: Client, command: Command, args: Args) -> Reply:
    """Make the checks that only some states call for.

    Returns None if the command may run, else the reply instead: an error, or NO_REPLY where the
    command has to wait.
    """
    server = client.server
    flags = command.flags if command.flags_of is None else command.flags_of(client, args)
    if flags & PROTECTED and not _is_allowed(client, command):
        name = command.fullname.split("|")[0]
        return _reject(client, command, _protected_error(name.upper(), f"enable-{name}-command"))
    if client.must_authenticate and not flags & NO_AUTH:
        return _reject(client, command, RedisError(NOAUTH))
    transaction = client.transaction
    if transaction is not None:
        if flags & NO_MULTI:
            return _reject(
                client, command, RedisError("ERR Command not allowed inside a transaction")
            )
        if command.fullname == "exec":
            flags |= transaction.flags()
    if client.user is not None and not client.user.unrestricted:
        context = "toplevel" if transaction is None else "multi"
        denial = server.acl.refusal(client, command, args, context)
        if denial:
            return _reject(client, command, RedisError("NOPERM " + denial))
    if server.gated:
        if server.counts_clients and not server.client_memory.admit(client, args):
            return NO_REPLY
        if server.accounting:
            no_room = server.eviction.admit(flags)
            if no_room is not None:
                return _reject(client, command, no_room)
        server.tracking.make_room()
        if (flags & WRITE or command.fullname == "ping") and not client.obeyed:
            if server.background.denies_writes():
                return _reject(client, command, RedisError(SAVE_ERROR))
            if server.aof.error:
                reason = os.strerror(server.aof.error)
                return _reject(client, command, RedisError(AOF_ERROR + reason))
        if flags & WRITE and server.replication.denies_writes():
            return _reject(client, command, RedisError(NOREPLICAS))
    replication = server.replication
    if flags & WRITE and not client.obeyed and replication.is_read_only():
        return _reject(client, command, RedisError(READONLY_REPLICA))
    if (
        client.subscriptions is not None
        and client.resp == 2
        and command.fullname not in _FOR_SUBSCRIBERS
    ):
        return _reject(client, command, _subscribed_error(command))
    if replication.is_stale() and _needs_primary(command, flags, transaction):
        return _reject(client, command, RedisError(MASTERDOWN))
    if server.persistence.loading and _waits_for_data(server, command, client.transaction):
        return _reject(client, command, RedisError(LOADING_ERROR))
    if server.script_is_slow and not flags & ALLOW_BUSY:
        assert server.scripting is not None
        return _reject(client, command, server.scripting.busy_error())
    is_replica = client.reply_mode == REPLY_REPLICA
    if (client.monitoring or is_replica) and flags & (READONLY | WRITE | MAY_REPLICATE):
        return _reject(client, command, RedisError("ERR Replica can't interact with the keyspace"))
    if (
        server.pause_until_ms
        and not is_replica
        and not unpause_if_due(server)
        and (server.pause_all or flags & (WRITE | MAY_REPLICATE))
    ):
        client.halted |= PAUSED
        server.paused_clients[client] = None
        return NO_REPLY
    if transaction is not None and command.fullname not in _NEVER_QUEUED:
        transaction.add(command, args, flags)
        return QUEUED
    return None


def _is_allowed(client: Client, command: Command) -> bool:
    """Check a command that redis.conf must allow: no, yes, or local connections only."""
    config = client.server.config
    if command.fullname.startswith("debug"):
        allowed = config.enable_debug_command
    else:
        allowed = config.enable_module_command
    return allowed == "yes" or (allowed == "local" and client.is_local)


def _needs_primary(command: Command, flags: i64, transaction: Transaction | None) -> bool:
    """Whether a command, or any that EXEC would run, is refused where the data may be old."""
    if not flags & STALE:
        return True
    if transaction is None or command.fullname != "exec":
        return False
    return any(not queued.flags & STALE for queued in transaction.queue)


def _waits_for_data(server: ServerState, command: Command, transaction: Transaction | None) -> bool:
    """Whether a command, or any that EXEC would run, is refused while data is loaded."""
    commands = [command]
    if transaction is not None and command.fullname == "exec":
        commands += [queued.command for queued in transaction.queue]
    is_allowed = is_allowed_beside = True
    for one in commands:
        is_allowed = is_allowed and one.flags & LOADING != 0
        is_allowed_beside = is_allowed_beside and one.flags & NO_ASYNC_LOADING == 0
    return server.loading.refuses(is_allowed, is_allowed_beside)


def _subscribed_error(command: Command) -> RedisError:
    return RedisError(
        f"ERR Can't execute '{command.fullname}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
        "QUIT / RESET are allowed in this context"
    )


def _protected_error(name: str, option: str) -> RedisError:
    return RedisError(
        f'ERR {name} command not allowed. If the {option} option is set to "local", '
        "you can run it from a local connection, otherwise you need to set this option "
        "in the configuration file, and then restart the server."
    )


def _reject(client: Client, command: Command, error: RedisError) -> RedisError:
    """Count a command that is refused before it runs; a transaction is refused with it."""
    command.rejected_calls += 1
    if command.fullname == "exec":
        end_transaction(client)
        reason = error.message.removeprefix("ERR ")
        error = RedisError(f"EXECABORT Transaction discarded because of: {reason}")
    else:
        abort(client)
    client.server.count_error(error.code)
    return error


def _unknown(client: Client, args: Args) -> Reply:
    """Answer for a command that does not exist, and hang up on web browsers.

    A page in somebody's browser can have it send HTTP to any port; Redis would skip the header
    lines as errors and run what is in the body (networking.c securityWarningCommand).
    """
    server = client.server
    if args[0].lower() not in (b"host:", b"post"):
        client.command = None
        abort(client)
        error = unknown_command(server.commands, args)
        server.count_error(error.code)
        return error
    now_ms = server.clock.now_ms
    if now_ms - server.security_warning_ms > SECURITY_WARNING_MS:
        server.security_warning_ms = now_ms
        server.log.warning(
            "Possible cross-protocol attack: a client at %s sent an HTTP request (POST or Host:). "
            "Its connection is closed.",
            client.addr or "an unknown address",
        )
    client.close()
    return NO_REPLY


def _block(client: Client, command: Command, args: Args, block: Block) -> None:
    """Halt the client until somebody answers it; one that is halted goes on waiting."""
    if client.waiter is not None:
        client.waiter.wait_for(block, args)
        return
    client.waiter = Waiter(client, command, args, block)
    client.halted |= BLOCKED


def serve_ready(server: ServerState) -> None:
    """Run the commands of blocked clients whose keys have changed, until no key is ready.

    One that is served may make another key ready (BLMOVE). While CLIENT PAUSE holds writes up
    nobody is served; the keys stay ready.

    Source: blocked.c handleClientsBlockedOnKeys.
    """
    waiting = server.waiting
    while waiting.ready and server.pause_until_ms <= server.clock.now_ms:
        ready = waiting.ready
        waiting.ready = {}
        for topic in ready:
            kinds = waiting.lines.get(topic)
            if kinds is not None:
                _serve_key(server, topic, kinds)


def _serve_key(server: ServerState, topic: Topic, kinds: dict[bytes, Line]) -> None:
    """Run the commands of those who wait for a key, each at most once, while they can be served."""
    db = server.dbs[topic[0]]
    key = topic[1]
    kind = _kind(db, key)
    line = kinds.get(kind)
    count = 0 if line is None else len(line)
    while line and count and _kind(db, key) == kind:
        count -= 1
        _run_again(next(iter(line)))
    for other, line in list(kinds.items()):
        if other != kind:
            for waiter in [waiter for waiter in line if waiter.block.on_missing]:
                _run_again(waiter)


def _kind(db: Database, key: bytes) -> bytes:
    """Return the type of a key; one that has expired is not there, and is left as it is."""
    return type_name(None if db.is_expired(key) else db.table.get(key))


def _run_again(waiter: Waiter) -> None:
    """Run the command of a blocked client; it has its reply then, or waits again."""
    waiter.cancel()
    client = waiter.client
    server = client.server
    server.current = client
    reply = run(client, waiter.command, waiter.args)
    server.current = None
    if waiter.waiting is None:
        waiter.deliver(reply)
    if server.own_pushes:
        server.send_own_pushes(client)


def finish(waiter: Waiter, began_ns: int) -> None:
    """Run the command of a client again whose work has been done meanwhile, in one unit with it.

    The reply is the client's if it still waits; if it has gone the command ends all the same.

    Args:
      began_ns: when the work began (perf_counter_ns); its time is the command's.
    """
    client = waiter.client
    server = client.server
    waits = waiter.waiting is not None
    waiter.cancel()
    own, client.waiter = client.waiter, waiter
    server.current = client
    server.last_ns = began_ns
    client.command = waiter.command
    reply = call(client, waiter.command, waiter.args)
    if server.feed.active and server.feed.flush():
        client.write_offset = server.replication.offset
    server.current = None
    client.waiter = own
    if waits:
        waiter.deliver(reply)
    if server.own_pushes:
        server.send_own_pushes(client)


def _internal_error(client: Client, command: Command, args: Args, exc: Exception) -> RedisError:
    """Answer for a bug: this connection is closed, everything else goes on."""
    server = client.server
    shown = args[:1] if server.config.hide_user_data_from_log else args
    server.log.error("internal error in %r", shown, exc_info=exc)
    command.failed_calls += 1
    server.count_error("ERR")
    server.feed.forget_rewrite()
    client.close_when_sent()
    return RedisError("ERR internal error")
