"""What replicas say to their primary, and what others ask about both.

Source: Redis replication.c syncCommand, replconfCommand, roleCommand, waitCommand, waitaofCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import read_integer, read_timeout
from redis_trio.command import (
    ADMIN,
    ALLOW_BUSY,
    BLOCKING,
    FAST,
    LOADING,
    NO_ASYNC_LOADING,
    NO_MULTI,
    NOSCRIPT,
    SENTINEL,
    STALE,
    group,
)
from redis_trio.data.numbers import parse_integer
from redis_trio.errors import SYNTAX, RedisError, error_text
from redis_trio.protocol.reply import NO_REPLY, OK, Reply
from redis_trio.protocol.request import Args, split_inline
from redis_trio.replication import primary
from redis_trio.replication.acks import NO_AOF, AckBlock
from redis_trio.replication.replica import ONLINE, Replica
from redis_trio.replication.roles import follow_nobody

if TYPE_CHECKING:
    from redis_trio.blocking import Block
    from redis_trio.client import Client

command = group("server")
generic = group("generic")

ADDRESS_MAX: Final = 255

ON_REPLICA: Final = (
    "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a "
    "replica is configured to be writable (which is not the default) writes to replicas are just "
    "local and are not propagated."
)
AOF_ON_REPLICA: Final = (
    "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas "
    "are just local and are not propagated."
)


# -- synchronization


@command(
    "PSYNC",
    "replicationid offset",
    arity=-3,
    flags=NO_ASYNC_LOADING | ADMIN | NO_MULTI | NOSCRIPT,
    since="2.8.0",
    complexity="O(1), or O(N) in the background where N is the number of keys",
    summary="Makes the connection a replica's, which continues from an offset if possible.",
)
def psync(client: Client, args: Args) -> Reply:
    """Make the client a replica. With FAILOVER become a primary first: that of who asks.

    Errors: NOMASTERLINK; output is pending; the offset is no integer.
    """
    if _is_no_candidate(client):
        return NO_REPLY
    if len(args) > 3 and args[3].lower() == b"failover":
        _become_primary(client, args[1])
    primary.check_sync(client)
    offset = parse_integer(args[2])
    if offset is None:
        client.server.log.warning(
            "Replica %s asks for synchronization but with a wrong offset",
            primary.replica_of(client).name,
        )
    if primary.continue_sync(client, args[1], read_integer(args[2])):
        client.server.stats.sync_partial_ok += 1
        return NO_REPLY
    if not args[1].startswith(b"?"):
        client.server.stats.sync_partial_err += 1
    return primary.full_sync(client)


@command(
    "SYNC",
    arity=1,
    flags=NO_ASYNC_LOADING | ADMIN | NO_MULTI | NOSCRIPT,
    since="1.0.0",
    complexity="O(N) in the background where N is the number of keys",
    summary="Makes the connection that of an old replica, which cannot continue.",
)
def sync(client: Client, args: Args) -> Reply:
    """Make the client a replica that gets all data and never says how far it is."""
    if _is_no_candidate(client):
        return NO_REPLY
    primary.check_sync(client)
    primary.replica_of(client).by_sync = True
    return primary.full_sync(client)


def _is_no_candidate(client: Client) -> bool:
    """Whether a client is a replica already, or is shown all commands; it is not answered then."""
    replica = client.replica
    return client.monitoring or (replica is not None and replica.is_attached)


def _become_primary(client: Client, replid: bytes) -> None:
    """Be the primary of a primary that hands its role over. Errors: it may not do that."""
    server = client.server
    replication = server.replication
    text = replid.decode("utf-8", "backslashreplace")
    server.log.info("Failover request received for replid %s.", text)
    if not replication.is_replica:
        raise RedisError("ERR PSYNC FAILOVER can't be sent to a master.")
    if text.lower() != replication.replid.lower():
        raise RedisError("ERR PSYNC FAILOVER replid must match my replid.")
    follow_nobody(server)
    server.log.info("MASTER MODE enabled (failover request from '%s')", client.addr)


# -- what replicas say


@command(
    "REPLCONF",
    arity=-1,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY,
    since="3.0.0",
    complexity="O(1)",
    summary="Tells a primary what a replica is like, and how far it is.",
    doc_flags="SYSCMD",
)
def replconf(client: Client, args: Args) -> Reply:
    """Take options in pairs. ACK and GETACK are not answered.

    Errors: syntax; an option that is none, or whose value is none.
    """
    if len(args) % 2 == 0:
        raise RedisError(SYNTAX)
    for index in range(1, len(args), 2):
        option = args[index].lower()
        value = args[index + 1]
        if option == b"ack":
            _acknowledge(client, args, index)
            return NO_REPLY
        if option == b"getack":
            upstream = client.server.replication.upstream
            if upstream is not None:
                upstream.acknowledge()
            return NO_REPLY
        _take_option(primary.replica_of(client), option, args[index], value)
    return OK


def _take_option(replica: Replica, option: bytes, name: bytes, value: bytes) -> None:
    """Note what a replica says of itself."""
    if option == b"listening-port":
        replica.port = read_integer(value)
    elif option == b"ip-address":
        if len(value) > ADDRESS_MAX:
            raise RedisError(
                "ERR REPLCONF ip-address provided by replica instance is too long: "
                f"{len(value)} bytes"
            )
        replica.address = value.decode("utf-8", "backslashreplace")
    elif option == b"capa":
        capability = value.lower()
        if capability == b"eof":
            replica.takes_eof = True
        elif capability == b"psync2":
            replica.takes_psync2 = True
    elif option == b"rdb-only":
        wanted = read_integer(value)
        if wanted not in (0, 1):
            raise RedisError("ERR value is out of range, value must between 0 and 1")
        replica.rdb_only = wanted == 1
    elif option == b"rdb-filter-only":
        _filter(replica, value)
    else:
        raise RedisError(f"ERR Unrecognized REPLCONF option: {error_text(name)}")


def _filter(replica: Replica, value: bytes) -> None:
    """Have a replica be sent only what a list names: functions, or nothing at all."""
    words = split_inline(value)
    if words is None:
        raise RedisError("ERR Missing rdb-filter-only values")
    replica.without_data = True
    replica.without_functions = True
    for word in words:
        if word.lower() != b"functions":
            raise RedisError(f"ERR Unsupported rdb-filter-only option: {error_text(word)}")
        replica.without_functions = False


def _acknowledge(client: Client, args: Args, index: int) -> None:
    """Note how far a replica is: ACK offset [FACK offset]."""
    replica = client.replica
    if replica is None or not replica.is_attached:
        return
    offset = parse_integer(args[index + 1])
    if offset is None:
        return
    replica.acked = max(replica.acked, offset)
    if len(args) > index + 3 and args[index + 2].lower() == b"fack":
        synced = parse_integer(args[index + 3])
        if synced is None:
            return
        replica.acked_fsync = max(replica.acked_fsync, synced)
    server = client.server
    replication = server.replication
    replica.acked_ms = server.clock.now_ms
    replication.has_acks = True
    replication.failover.acknowledged()
    replica.ready = True
    if replica.state == ONLINE:
        replica.started = True


# -- roles


@command(
    "ROLE",
    arity=1,
    flags=NOSCRIPT | LOADING | STALE | FAST | SENTINEL,
    acl="ADMIN DANGEROUS",
    since="2.8.12",
    complexity="O(1)",
    summary="Returns the server's role in replication.",
)
def role(client: Client, args: Args) -> Reply:
    """Return the role.

    Reply: of a primary, its offset and the replicas that are online; of a replica, the primary's
    address, how the link is, and the offset up to which the stream has been applied.
    """
    replication = client.server.replication
    upstream = replication.upstream
    if upstream is not None:
        applied = -1 if upstream.master is None else upstream.master.offset
        return [b"slave", upstream.host.encode(), upstream.port, upstream.state.encode(), applied]
    replicas: list[Reply] = [
        [replica.host.encode(), b"%d" % replica.port, b"%d" % replica.acked]
        for replica in replication.replicas.values()
        if replica.state == ONLINE
    ]
    return [b"master", replication.offset, replicas]


# -- waiting for replicas


@generic(
    "WAIT",
    "numreplicas timeout:integer",
    arity=3,
    flags=BLOCKING,
    acl="CONNECTION",
    since="3.0.0",
    complexity="O(1)",
    summary="Waits until replicas have applied what the connection wrote.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:AGG_MIN",
)
def wait(client: Client, args: Args) -> Reply | Block:
    """Return how many replicas have applied all of it, when that is enough or time is over.

    Errors: the server is a replica.
    """
    server = client.server
    if server.replication.is_replica:
        raise RedisError(ON_REPLICA)
    replica_count = read_integer(args[1])
    timeout_s = read_timeout(args[2], 1, server.clock.now_ms)
    return _wait(client, AckBlock(client, timeout_s, replica_count, 0, False))


@generic(
    "WAITAOF",
    "numlocal numreplicas timeout:integer",
    arity=4,
    flags=BLOCKING,
    acl="CONNECTION",
    since="7.2.0",
    complexity="O(1)",
    summary="Waits until what the connection wrote is on the disk, here and at replicas.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:AGG_MIN",
)
def waitaof(client: Client, args: Args) -> Reply | Block:
    """Return whether this server, and how many replicas, have all of it on the disk.

    Errors: the server is a replica; it is to be on this server's disk, but there is no AOF.
    """
    server = client.server
    local_count = read_integer(args[1])
    if local_count not in (0, 1):
        raise RedisError("ERR value is out of range, value must between 0 and 1")
    replica_count = read_integer(args[2])
    if replica_count < 0:
        raise RedisError("ERR value is out of range, must be positive")
    timeout_s = read_timeout(args[3], 1, server.clock.now_ms)
    if server.replication.is_replica:
        raise RedisError(AOF_ON_REPLICA)
    if local_count and not server.config.appendonly:
        raise RedisError(NO_AOF)
    return _wait(client, AckBlock(client, timeout_s, replica_count, local_count, True))


def _wait(client: Client, block: AckBlock) -> Reply | Block:
    """Return the reply if there is enough, or else wait."""
    replication = client.server.replication
    if block.is_served():
        return block.late_reply()
    if not client.executing:
        replication.waiting[client] = block
        replication.wants_acks = True
    return block
