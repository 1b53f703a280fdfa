"""CLUSTER and its companions, in a server that is no node of a cluster: all are refused.

Clients ask, and know by this error that there is one server alone. `cluster-enabled yes` is no
parameter with which this server starts.

Source: Redis cluster.c clusterCommand, askingCommand, readonlyCommand.
"""

from __future__ import annotations

from redis_trio.client import Client
from redis_trio.command import ADMIN, FAST, LOADING, NO_ASYNC_LOADING, NOSCRIPT, STALE, group
from redis_trio.errors import RedisError
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args

command = group("cluster")

command.container(
    "CLUSTER",
    arity=-2,
    since="3.0.0",
    summary="A container for commands about a cluster.",
)


@command(
    "ASKING",
    arity=1,
    flags=FAST,
    acl="CONNECTION",
    since="3.0.0",
    complexity="O(1)",
    summary="Has the next command accept a slot that is being imported.",
)
@command(
    "CLUSTER ADDSLOTS",
    "slot...",
    arity=-3,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="3.0.0",
    complexity="O(N) where N is the total number of hash slot arguments",
    summary="Assigns slots to this node.",
)
@command(
    "CLUSTER ADDSLOTSRANGE",
    "(start-slot end-slot):range...",
    arity=-4,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="7.0.0",
    complexity=(
        "O(N) where N is the total number of the slots between the start slot "
        "and end slot arguments."
    ),
    summary="Assigns ranges of slots to this node.",
)
@command(
    "CLUSTER BUMPEPOCH",
    arity=2,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="3.0.0",
    complexity="O(1)",
    summary="Raises the configuration epoch of this node.",
    tips="NONDETERMINISTIC_OUTPUT",
)
@command(
    "CLUSTER COUNT-FAILURE-REPORTS",
    "node-id",
    arity=3,
    flags=ADMIN | STALE,
    since="3.0.0",
    complexity="O(N) where N is the number of failure reports",
    summary="Counts how many nodes report a node as failed.",
    tips="NONDETERMINISTIC_OUTPUT",
)
@command(
    "CLUSTER COUNTKEYSINSLOT",
    "slot",
    arity=3,
    flags=STALE,
    since="3.0.0",
    complexity="O(1)",
    summary="Counts the keys in a slot.",
)
@command(
    "CLUSTER DELSLOTS",
    "slot...",
    arity=-3,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="3.0.0",
    complexity="O(N) where N is the total number of hash slot arguments",
    summary="Leaves slots unassigned, as this node sees it.",
)
@command(
    "CLUSTER DELSLOTSRANGE",
    "(start-slot end-slot):range...",
    arity=-4,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="7.0.0",
    complexity=(
        "O(N) where N is the total number of the slots between the start slot "
        "and end slot arguments."
    ),
    summary="Leaves ranges of slots unassigned, as this node sees it.",
)
@command(
    "CLUSTER FAILOVER",
    "[FORCE | TAKEOVER]:options",
    arity=-2,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="3.0.0",
    complexity="O(1)",
    summary="Makes this replica take the place of its primary.",
)
@command(
    "CLUSTER FLUSHSLOTS",
    arity=2,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="3.0.0",
    complexity="O(1)",
    summary="Leaves all slots of this node unassigned.",
)
@command(
    "CLUSTER FORGET",
    "node-id",
    arity=3,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="3.0.0",
    complexity="O(1)",
    summary="Removes a node from the table of nodes.",
)
@command(
    "CLUSTER GETKEYSINSLOT",
    "slot count",
    arity=4,
    flags=STALE,
    since="3.0.0",
    complexity="O(N) where N is the number of requested keys",
    summary="Returns keys of a slot.",
    tips="NONDETERMINISTIC_OUTPUT",
)
@command(
    "CLUSTER HELP",
    arity=2,
    flags=LOADING | STALE,
    since="5.0.0",
    complexity="O(1)",
    summary="Lists the sub-commands.",
)
@command(
    "CLUSTER INFO",
    arity=2,
    flags=STALE,
    since="3.0.0",
    complexity="O(1)",
    summary="Tells the state of the cluster.",
    tips="NONDETERMINISTIC_OUTPUT",
)
@command(
    "CLUSTER KEYSLOT",
    "key:string",
    arity=3,
    flags=STALE,
    since="3.0.0",
    complexity="O(N) where N is the number of bytes in the key",
    summary="Returns the slot of a key.",
)
@command(
    "CLUSTER LINKS",
    arity=2,
    flags=STALE,
    since="7.0.0",
    complexity="O(N) where N is the total number of Cluster nodes",
    summary="Lists the connections to and from other nodes.",
    tips="NONDETERMINISTIC_OUTPUT",
)
@command(
    "CLUSTER MEET",
    "ip port [cluster-bus-port:integer]@4.0.0",
    arity=-4,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="3.0.0",
    complexity="O(1)",
    summary="Makes two nodes know each other.",
)
@command(
    "CLUSTER MYID",
    arity=2,
    flags=STALE,
    since="3.0.0",
    complexity="O(1)",
    summary="Returns the id of this node.",
)
@command(
    "CLUSTER MYSHARDID",
    arity=2,
    flags=STALE,
    since="7.2.0",
    complexity="O(1)",
    summary="Returns the id of this node's shard.",
    tips="NONDETERMINISTIC_OUTPUT",
)
@command(
    "CLUSTER NODES",
    arity=2,
    flags=STALE,
    since="3.0.0",
    complexity="O(N) where N is the total number of Cluster nodes",
    summary="Describes the nodes, with their slots.",
    tips="NONDETERMINISTIC_OUTPUT",
)
@command(
    "CLUSTER REPLICAS",
    "node-id",
    arity=3,
    flags=ADMIN | STALE,
    since="5.0.0",
    complexity="O(N) where N is the number of replicas.",
    summary="Lists the replicas of a primary.",
    tips="NONDETERMINISTIC_OUTPUT",
)
@command(
    "CLUSTER REPLICATE",
    "node-id",
    arity=3,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="3.0.0",
    complexity="O(1)",
    summary="Makes this node a replica of another.",
)
@command(
    "CLUSTER RESET",
    "[HARD | SOFT]:reset-type",
    arity=-2,
    flags=ADMIN | STALE | NOSCRIPT,
    since="3.0.0",
    complexity=(
        "O(N) where N is the number of known nodes. The command may execute a "
        "FLUSHALL as a side effect."
    ),
    summary="Makes this node forget the cluster.",
)
@command(
    "CLUSTER SAVECONFIG",
    arity=2,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="3.0.0",
    complexity="O(1)",
    summary="Writes the state of the cluster to its file.",
)
@command(
    "CLUSTER SET-CONFIG-EPOCH",
    "config-epoch",
    arity=3,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="3.0.0",
    complexity="O(1)",
    summary="Sets the configuration epoch of a new node.",
)
@command(
    "CLUSTER SETSLOT",
    "slot <IMPORTING importing/node-id | MIGRATING migrating/node-id | "
    "NODE node/node-id | STABLE>:subcommand",
    arity=-4,
    flags=NO_ASYNC_LOADING | ADMIN | STALE,
    since="3.0.0",
    complexity="O(1)",
    summary="Says whose a slot is, or that it is moving.",
)
@command(
    "CLUSTER SHARDS",
    arity=2,
    flags=LOADING | STALE,
    since="7.0.0",
    complexity="O(N) where N is the total number of cluster nodes",
    summary="Lists the shards, with their slots and nodes.",
    tips="NONDETERMINISTIC_OUTPUT",
)
@command(
    "CLUSTER SLAVES",
    "node-id",
    arity=3,
    flags=ADMIN | STALE,
    since="3.0.0",
    complexity="O(N) where N is the number of replicas.",
    summary="Lists the replicas of a primary.",
    tips="NONDETERMINISTIC_OUTPUT",
    doc_flags="DEPRECATED",
    deprecated_since="5.0.0",
    replaced_by="`CLUSTER REPLICAS`",
)
@command(
    "CLUSTER SLOTS",
    arity=2,
    flags=LOADING | STALE,
    since="3.0.0",
    complexity="O(N) where N is the total number of Cluster nodes",
    summary="Lists which nodes have which slots.",
    tips="NONDETERMINISTIC_OUTPUT",
    doc_flags="DEPRECATED",
    deprecated_since="7.0.0",
    replaced_by="`CLUSTER SHARDS`",
)
@command(
    "READONLY",
    arity=1,
    flags=FAST | LOADING | STALE,
    acl="CONNECTION",
    since="3.0.0",
    complexity="O(1)",
    summary="Allows reads of a replica's slots on this connection.",
)
@command(
    "READWRITE",
    arity=1,
    flags=FAST | LOADING | STALE,
    acl="CONNECTION",
    since="3.0.0",
    complexity="O(1)",
    summary="Ends what READONLY allows.",
)
def refuse(client: Client, args: Args) -> Reply:
    """Say that there is no cluster."""
    raise RedisError("ERR This instance has cluster support disabled")
