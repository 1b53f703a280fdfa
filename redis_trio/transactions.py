"""Transactions: the commands that a client has queued, and the keys that it watches.

`execute.admit` queues commands after MULTI; EXEC runs them through `execute.call`. Whoever watches
stands under each watched key in `ServerState.watchers`, so that a change costs one look-up however
many clients watch other keys, and nothing while nobody watches.

1. A client whose watched key has changed is *dirty* until EXEC, DISCARD or UNWATCH, and then
   watches nothing: there is nothing more to learn.
2. A key that had expired when WATCH came does not exist; its deletion is no change.

Source: Redis multi.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.command import Command
    from redis_trio.keyspace.database import Database
    from redis_trio.state import ServerState


class Queued:
    """A command that waits for EXEC; its flags are those it had when it was queued."""

    __slots__ = ("args", "command", "flags")

    def __init__(self, command: Command, args: Args, flags: int) -> None:
        self.command = command
        self.args = args
        self.flags = flags


class Transaction:
    """What a client has queued since MULTI.

    Attributes:
      queue: the commands, oldest first.
      aborted: whether one was refused, so that EXEC will refuse all.
      args_bytes: the size of the arguments, as CLIENT LIST shows it.
    """

    __slots__ = ("aborted", "args_bytes", "queue")

    def __init__(self) -> None:
        self.queue: list[Queued] = []
        self.aborted = False
        self.args_bytes = 0

    def add(self, command: Command, args: Args, flags: int) -> None:
        """Queue a command."""
        self.queue.append(Queued(command, args, flags))
        for arg in args:
            self.args_bytes += len(arg) + 8

    def flags(self) -> int:
        """Return the flags that any of the commands has."""
        flags = 0
        for queued in self.queue:
            flags |= queued.flags
        return flags

    def memory_bytes(self) -> int:
        """Return the size of the arguments, as CLIENT LIST shows it."""
        return self.args_bytes


def end(client: Client) -> None:
    """Forget the transaction and what is watched for it."""
    client.transaction = None
    client.dirty = False
    unwatch(client)
    client.update_gate()


def abort(client: Client) -> None:
    """Have EXEC refuse the transaction, if there is one: a command of it was refused."""
    if client.transaction is not None:
        client.transaction.aborted = True


# -- watching


def watch(client: Client, key: bytes) -> None:
    """Watch a key of the client's database."""
    db = client.db
    server = client.server
    topic = (db.index, key)
    if topic in client.watched:
        return
    client.watched[topic] = db.is_expired(key)
    clients = server.watchers.get(topic)
    if clients is None:
        clients = server.watchers[topic] = {}
        server.update_listening()
    clients[client] = None


def unwatch(client: Client) -> None:
    """Watch nothing any more; a client that is dirty stays so."""
    if not client.watched:
        return
    watchers = client.server.watchers
    for topic in client.watched:
        clients = watchers[topic]
        del clients[client]
        if not clients:
            del watchers[topic]
    client.watched = {}
    client.server.update_listening()


def sees_expired(client: Client) -> bool:
    """Return whether a key has expired since it was watched."""
    for topic, was_expired in client.watched.items():
        if not was_expired and client.server.dbs[topic[0]].is_expired(topic[1]):
            return True
    return False


def touch(server: ServerState, db: Database, key: bytes) -> None:
    """Make those dirty who watch a key that has changed."""
    topic = (db.index, key)
    clients = server.watchers.get(topic)
    if clients is None:
        return
    for client in list(clients):
        if client.watched[topic] and key not in db.table:
            client.watched[topic] = False
        else:
            client.dirty = True
            unwatch(client)


def touch_database(server: ServerState, db: Database, becomes: Database | None) -> None:
    """Make those dirty who watch keys of a database that is about to be emptied, or swapped.

    Args:
      becomes: the database whose contents it is going to have; None if it is emptied.
    """
    for topic in [topic for topic in server.watchers if topic[0] == db.index]:
        key = topic[1]
        is_there = key in db.table
        will_be = becomes is not None and key in becomes.table
        if not is_there and not will_be:
            continue
        has_expired = becomes is not None and becomes.is_expired(key)
        for client in list(server.watchers.get(topic, ())):
            if client.watched[topic]:
                if not will_be:
                    client.watched[topic] = False
                    continue
                if has_expired:
                    continue
            elif not is_there and has_expired:
                client.watched[topic] = True
                continue
            client.dirty = True
            unwatch(client)
