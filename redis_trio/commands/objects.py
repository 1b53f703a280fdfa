"""OBJECT: how a value is kept, and how it is used.

Source: Redis object.c objectCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.command import READONLY, group, key
from redis_trio.errors import RedisError
from redis_trio.help import declare_help
from redis_trio.keyspace.values import encoding, refcount
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("generic")

_LATER: Final = (
    "Please note that when switching between policies at runtime LRU and LFU data will take some "
    "time to adjust."
)
_IS_LFU: Final = f"ERR An LFU maxmemory policy is selected, idle time not tracked. {_LATER}"
_NO_LFU: Final = (
    f"ERR An LFU maxmemory policy is not selected, access frequency not tracked. {_LATER}"
)

command.container(
    "OBJECT",
    arity=-2,
    since="2.2.3",
    summary="Tells how values are kept and used.",
)


@command(
    "OBJECT ENCODING",
    "key",
    arity=3,
    flags=READONLY,
    keys=[key(2, "RO")],
    acl="KEYSPACE",
    since="2.2.3",
    complexity="O(1)",
    summary="Tells the internal form of what a key holds.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def object_encoding(client: Client, args: Args) -> Reply:
    """Return the encoding that Redis would use; null if there is no such key."""
    value = client.db.lookup_nonotify(args[2])
    return None if value is None else encoding(value)


@command(
    "OBJECT FREQ",
    "key",
    arity=3,
    flags=READONLY,
    keys=[key(2, "RO")],
    acl="KEYSPACE",
    since="4.0.0",
    complexity="O(1)",
    summary="Tells how often a key is accessed, on a logarithmic scale.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def object_freq(client: Client, args: Args) -> Reply:
    """Return the access counter. Errors: the eviction policy is not an LFU one."""
    db = client.db
    if db.lookup_nonotify(args[2]) is None:
        return None
    frequencies = db.access.frequencies
    if frequencies is None:
        raise RedisError(_NO_LFU)
    return frequencies.get(args[2])


@command(
    "OBJECT IDLETIME",
    "key",
    arity=3,
    flags=READONLY,
    keys=[key(2, "RO")],
    acl="KEYSPACE",
    since="2.2.3",
    complexity="O(1)",
    summary="Tells for how many seconds a key has not been accessed.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def object_idletime(client: Client, args: Args) -> Reply:
    """Return the idle seconds, whole ones of the clock. Errors: the policy is an LFU one."""
    db = client.db
    if db.lookup_nonotify(args[2]) is None:
        return None
    if db.access.frequencies is not None:
        raise RedisError(_IS_LFU)
    now_ms = client.server.clock.now_ms
    return max(0, now_ms // 1000 - db.access.get(args[2]) // 1000)


@command(
    "OBJECT REFCOUNT",
    "key",
    arity=3,
    flags=READONLY,
    keys=[key(2, "RO")],
    acl="KEYSPACE",
    since="2.2.3",
    complexity="O(1)",
    summary="Counts the references to what a key holds.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def object_refcount(client: Client, args: Args) -> Reply:
    """Return 1, or INT_MAX for the small integers that Redis shares."""
    value = client.db.lookup_nonotify(args[2])
    if value is None:
        return None
    config = client.server.config
    has_clocks = config.maxmemory_policy.endswith(("-lru", "-lfu"))
    return refcount(value, config.maxmemory == 0 or not has_clocks)


declare_help(command, "OBJECT", acl="KEYSPACE", since="6.2.0")
