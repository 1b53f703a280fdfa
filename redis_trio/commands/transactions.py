"""Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH, and UNDO.

A queued command is checked when it is queued and runs at EXEC. UNDO is this project's own: it
takes back what was queued last.

Source: Redis multi.c. For UNDO the docstring of `undo` is the specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.acl.users import ALLOWED, DENIED_CHANNEL, DENIED_COMMAND, DENIED_KEY
from redis_trio.command import ALLOW_BUSY, FAST, LOADING, NOSCRIPT, SKIP_SLOWLOG, STALE, group, key
from redis_trio.data.numbers import parse_integer
from redis_trio.errors import RedisError, wrong_arity
from redis_trio.execute import call
from redis_trio.protocol.reply import NO_REPLY, NULL_ARRAY, OK, Encoded, Reply, encode
from redis_trio.protocol.request import Args
from redis_trio.scripting.aside import Work
from redis_trio.scripting.room import scripting
from redis_trio.transactions import Queued, Transaction, end, sees_expired, unwatch, watch

if TYPE_CHECKING:
    from redis_trio.blocking import Block
    from redis_trio.client import Client
    from redis_trio.command import Command

command = group("transactions")

_REASONS: Final = {
    DENIED_COMMAND: "no permission to execute the command or subcommand",
    DENIED_KEY: "no permission to touch the specified keys",
    DENIED_CHANNEL: "no permission to access one of the channels used as arguments",
}


@command(
    "MULTI",
    arity=1,
    flags=NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
    acl="TRANSACTION",
    since="1.2.0",
    complexity="O(1)",
    summary="Begins a transaction: commands are queued until EXEC.",
)
def multi(client: Client, args: Args) -> Reply:
    """Begin a transaction."""
    if client.transaction is not None:
        raise RedisError("ERR MULTI calls can not be nested")
    client.transaction = Transaction()
    client.update_gate()
    return OK


@command(
    "DISCARD",
    arity=1,
    flags=NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
    acl="TRANSACTION",
    since="2.0.0",
    complexity="O(N), when N is the number of queued commands",
    summary="Ends a transaction and runs nothing of it.",
)
def discard(client: Client, args: Args) -> Reply:
    """Forget what was queued and what is watched."""
    if client.transaction is None:
        raise RedisError("ERR DISCARD without MULTI")
    end(client)
    return OK


@command(
    "EXEC",
    arity=1,
    flags=NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG,
    acl="TRANSACTION",
    since="1.2.0",
    complexity="Depends on commands in the transaction",
    summary="Runs the queued commands, all or none, with nothing in between.",
)
def exec_(client: Client, args: Args) -> Reply | Block:
    """Run what was queued; return the list of replies, the null array if a watched key changed.

    Errors: EXECABORT if a command was refused when it was queued.
    """
    transaction = client.transaction
    if transaction is None:
        raise RedisError("ERR EXEC without MULTI")
    dirty = client.dirty or sees_expired(client)
    if transaction.aborted or dirty:
        end(client)
        if transaction.aborted:
            raise RedisError("EXECABORT Transaction discarded because of previous errors.")
        return NULL_ARRAY
    unwatch(client)
    execution = _Execution(client, transaction)
    for queued in transaction.queue:
        if queued.command.flags_of is not None:  # a script, which may take long
            return scripting(client.server).aside.run(client, args, execution)
    return execution.perform()


class _Execution(Work):
    """A transaction that is carried out."""

    __slots__ = ("_client", "_transaction")

    def __init__(self, client: Client, transaction: Transaction) -> None:
        self._client = client
        self._transaction = transaction

    def perform(self) -> Reply:
        client = self._client
        server = client.server
        own = client.command
        began_ns = server.last_ns
        client.executing = True
        try:
            return _run(client, self._transaction)
        finally:
            client.executing = False
            client.command = own
            server.last_ns = began_ns  # the time of the commands is EXEC's, too
            server.feed.rewrite()  # they have been fed one by one
            end(client)


def _refusal(client: Client, queued: Queued, own: Command | None) -> RedisError | None:
    """Return the error for a command that the user may not run any more, None if it may.

    Args:
      own: EXEC, which the log of refusals names.
    """
    acl = client.server.acl
    denied = acl.check(client.user, queued.command, queued.args)
    if denied == ALLOWED:
        return None
    client.command = own
    acl.refused(client, denied, queued.command, queued.args, "multi")
    client.server.count_error("NOPERM")
    return RedisError(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC "
        f"call. This command is no longer allowed for the following reason: {_REASONS[denied]}"
    )


def _run(client: Client, transaction: Transaction) -> Reply:
    """Run the commands of a transaction and return their replies."""
    replies: list[Reply] = []
    resp = client.resp
    own = client.command
    for queued in transaction.queue:
        client.command = queued.command
        sent = len(client.out)
        reply = _refusal(client, queued, own) or call(client, queued.command, queued.args)
        if reply is NO_REPLY:  # what SUBSCRIBE has pushed stands in its place
            reply = Encoded(b"".join(client.out[sent:]))
            del client.out[sent:]
        if client.resp != resp:  # HELLO and RESET do not change the replies before theirs
            chunks: list[bytes] = []
            for earlier in replies:
                encode(chunks, earlier, resp)
            replies = [Encoded(b"".join(chunks)), *[Encoded(b"")] * (len(replies) - 1)]
            resp = client.resp
        replies.append(reply)
    return replies


@command(
    "UNDO",
    "[count]",
    arity=-1,
    flags=NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
    acl="TRANSACTION",
    since="7.4.0",
    complexity="O(N), when N is the number of commands taken back",
    summary="Takes back the commands of a transaction that were queued last.",
)
def undo(client: Client, args: Args) -> Reply:
    """Take `count` commands (1) out of the queue; return them, oldest first, between two lines.

    Reply: `Removed N commands:`, each command's words joined by a space, `M commands remaining in
    queue`; nothing at all if nothing is queued.
    Errors: a count that is no positive integer or more than is queued; no transaction.
    """
    if len(args) > 2:
        raise wrong_arity("undo")
    count = parse_integer(args[1]) if len(args) == 2 else 1
    if count is None or count < 1:
        raise RedisError("ERR invalid undo count")
    if client.transaction is None:
        raise RedisError("ERR UNDO without MULTI")
    queue = client.transaction.queue
    size = len(queue)
    if size == 0:
        return []
    if count > size:
        raise RedisError(f"ERR cannot undo {count} commands, only {size} queued")
    left = size - count
    removed: list[Reply] = [b" ".join(queued.args) for queued in queue[left:]]
    del queue[left:]
    return [b"Removed %d commands:" % count, *removed, b"%d commands remaining in queue" % left]


@command(
    "WATCH",
    "key...",
    arity=-2,
    flags=NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
    keys=[key(1, "RO", last=-1)],
    acl="TRANSACTION",
    since="2.2.0",
    complexity="O(1) for every key.",
    summary="Lets the next EXEC run nothing if one of the keys changes before it.",
)
def watch_(client: Client, args: Args) -> Reply:
    """Watch keys until EXEC, DISCARD or UNWATCH."""
    if client.transaction is not None:
        raise RedisError("ERR WATCH inside MULTI is not allowed")
    if not client.dirty:  # it would learn nothing
        for name in args[1:]:
            watch(client, name)
    return OK


@command(
    "UNWATCH",
    arity=1,
    flags=NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
    acl="TRANSACTION",
    since="2.2.0",
    complexity="O(1)",
    summary="Watches no key any more.",
)
def unwatch_(client: Client, args: Args) -> Reply:
    """Forget what is watched, and whether any of it has changed."""
    unwatch(client)
    client.dirty = False
    return OK
