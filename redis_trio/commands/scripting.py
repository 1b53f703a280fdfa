"""The scripting group: functions, of which a server without libraries has none to keep.

Source: Redis functions.c.
"""

from __future__ import annotations

from redis_trio.client import Client
from redis_trio.command import NOSCRIPT, WRITE, group
from redis_trio.errors import RedisError, wrong_subcommand
from redis_trio.help import declare_help
from redis_trio.protocol.reply import OK, Reply
from redis_trio.protocol.request import Args

command = group("scripting")

command.container(
    "FUNCTION",
    arity=-2,
    since="7.0.0",
    summary="A container for function commands.",
)


@command(
    "FUNCTION FLUSH",
    "[ASYNC | SYNC]",
    arity=-2,
    flags=NOSCRIPT | WRITE,
    acl="SCRIPTING",
    since="7.0.0",
    complexity="O(N) where N is the number of functions deleted",
    summary="Deletes all libraries and functions.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:ALL_SUCCEEDED",
)
def function_flush(client: Client, args: Args) -> Reply:
    """Delete all libraries. There is no command that loads one, so nothing changes but this."""
    if len(args) > 3:
        raise wrong_subcommand(args)
    if len(args) == 3 and args[2].lower() not in (b"sync", b"async"):
        raise RedisError("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    client.server.dirty += 1  # as in Redis it is a write that replicas must see
    return OK


declare_help(command, "FUNCTION", since="7.0.0", acl="SCRIPTING")
