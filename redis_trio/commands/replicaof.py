"""Who is whose replica: REPLICAOF, and FAILOVER.

Source: Redis replication.c replicaofCommand, failoverCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import read_integer, read_integer_in
from redis_trio.client_line import client_line
from redis_trio.command import ADMIN, NO_ASYNC_LOADING, NOSCRIPT, STALE, group
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.protocol.reply import OK, Reply, Status
from redis_trio.protocol.request import Args
from redis_trio.replication.failover import NONE
from redis_trio.replication.replica import ONLINE
from redis_trio.replication.roles import follow, follow_nobody

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("server")

ALREADY: Final = Status(b"OK Already connected to specified master")
PORT_MAX: Final = 65535


def _replicaof(client: Client, args: Args) -> Reply:
    server = client.server
    replication = server.replication
    if replication.failover.state != NONE:
        raise RedisError("ERR REPLICAOF not allowed while failing over.")
    asking = client_line(client, args).rstrip("\n")
    if (args[1].lower(), args[2].lower()) == (b"no", b"one"):
        if replication.is_replica:
            follow_nobody(server)
            server.log.info("MASTER MODE enabled (user request from '%s')", asking)
        return OK
    if client.monitoring or client in replication.replicas:
        raise RedisError("ERR Command is not valid when client is a replica.")
    port = read_integer_in(args[2], 0, PORT_MAX, "ERR Invalid master port")
    host = args[1].decode("utf-8", "surrogateescape")
    upstream = replication.upstream
    if upstream is not None and upstream.host.lower() == host.lower() and upstream.port == port:
        server.log.info(
            "REPLICAOF would result into synchronization with the master we are already connected "
            "with. No operation performed."
        )
        return ALREADY
    follow(server, host, port)
    server.log.info("REPLICAOF %s:%d enabled (user request from '%s')", host, port, asking)
    return OK


@command(
    "REPLICAOF",
    "<(host port):host-port | (NO ONE):no-one>:args",
    arity=3,
    flags=NO_ASYNC_LOADING | ADMIN | NOSCRIPT | STALE,
    since="5.0.0",
    complexity="O(1)",
    summary="Makes the server a replica of another one, or a primary.",
)
def replicaof(client: Client, args: Args) -> Reply:
    """Change the role; what there is to be copied is copied later."""
    return _replicaof(client, args)


@command(
    "SLAVEOF",
    "<(host port):host-port | (NO ONE):no-one>:args",
    arity=3,
    flags=NO_ASYNC_LOADING | ADMIN | NOSCRIPT | STALE,
    since="1.0.0",
    complexity="O(1)",
    summary="Makes the server a replica of another one, or a primary.",
    doc_flags="DEPRECATED",
    deprecated_since="5.0.0",
    replaced_by="`REPLICAOF`",
)
def slaveof(client: Client, args: Args) -> Reply:
    """Do what REPLICAOF does."""
    return _replicaof(client, args)


class _Options:
    """What FAILOVER is asked for."""

    def __init__(self, args: Args) -> None:
        """Read the options. Errors: syntax; a number that is none."""
        self.timeout_ms = 0
        self.force = False
        self.host: str | None = None
        self.port = 0
        i = 1
        while i < len(args):
            word = args[i].lower()
            if word == b"timeout" and i + 1 < len(args) and self.timeout_ms == 0:
                self.timeout_ms = read_integer(args[i + 1])
                if self.timeout_ms <= 0:
                    raise RedisError("ERR FAILOVER timeout must be greater than 0")
                i += 1
            elif word == b"to" and i + 2 < len(args) and self.host is None:
                self.port = read_integer(args[i + 2])
                self.host = args[i + 1].decode("utf-8", "surrogateescape")
                i += 2
            elif word == b"force" and not self.force:
                self.force = True
            else:
                raise RedisError(SYNTAX)
            i += 1


@command(
    "FAILOVER",
    "[TO (host port [FORCE]):target] [ABORT] [TIMEOUT milliseconds]",
    arity=-1,
    flags=ADMIN | NOSCRIPT | STALE,
    since="6.2.0",
    complexity="O(1)",
    summary="Exchanges the roles with a replica, losing no write.",
)
def failover(client: Client, args: Args) -> Reply:
    """Begin a failover, or give it up; INFO shows how far it is."""
    server = client.server
    replication = server.replication
    running = replication.failover
    if len(args) == 2 and args[1].lower() == b"abort":
        if running.state == NONE:
            raise RedisError("ERR No failover in progress.")
        running.abort("Failover manually aborted")
        return OK
    options = _Options(args)
    if running.state != NONE:
        raise RedisError("ERR FAILOVER already in progress.")
    if replication.is_replica:
        raise RedisError("ERR FAILOVER is not valid when server is a replica.")
    if not replication.replicas:
        raise RedisError("ERR FAILOVER requires connected replicas.")
    if options.force and (not options.timeout_ms or options.host is None):
        raise RedisError(
            "ERR FAILOVER with force option requires both a timeout and target HOST and IP."
        )
    if options.host is not None:
        replica = running.find(options.host, options.port)
        if replica is None:
            raise RedisError("ERR FAILOVER target HOST and PORT is not a replica.")
        if replica.state != ONLINE:
            raise RedisError("ERR FAILOVER target replica is not online.")
    running.begin(options.host, options.port, options.timeout_ms, force=options.force)
    return OK
