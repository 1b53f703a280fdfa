"""Why a script may not run, or not call a command, as things stand.

Source: Redis script.c scriptPrepareForRun, scriptCall.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from redis_trio.client import Client
from redis_trio.command import DENYOOM, MAY_REPLICATE, NOSCRIPT, STALE, WRITE, Command
from redis_trio.errors import (
    AOF_ERROR,
    MASTERDOWN,
    NOREPLICAS,
    OOM,
    READONLY_REPLICA,
    SAVE_ERROR,
    RedisError,
)
from redis_trio.protocol.request import Args
from redis_trio.scripting.flags import ALLOW_OOM, ALLOW_STALE, COMPATIBLE, NO_WRITES

if TYPE_CHECKING:
    from redis_trio.scripting.room import Run

_BLOCKED: Final = "Writable scripts are blocked. Use 'no-writes' flag for read only scripts."


def refuse_script(client: Client, flags: int, ro: bool) -> None:
    """Raise what a script is refused for whose flags do not go with the server's state."""
    server = client.server
    replication = server.replication
    if replication.is_stale():
        if flags & COMPATIBLE:
            raise RedisError(MASTERDOWN)
        if not flags & ALLOW_STALE:
            raise RedisError(
                "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and "
                "'allow-stale' flag is not set on the script."
            )
    if flags & (COMPATIBLE | NO_WRITES):
        return
    if not client.obeyed:
        if replication.is_read_only():
            raise RedisError("READONLY Can not run script with write flag on readonly replica")
        if server.background.denies_writes():
            raise RedisError(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to "
                "persist to disk. " + _BLOCKED
            )
        if server.aof.error:
            raise RedisError(
                "MISCONF Redis is configured to persist data to AOF, but it's currently unable to "
                f"persist to disk. {_BLOCKED} AOF error: {os.strerror(server.aof.error)}"
            )
    if ro:
        raise RedisError("ERR Can not execute a script with write flag using *_ro command.")
    if server.replication.denies_writes():
        raise RedisError(NOREPLICAS)
    if server.eviction.out_of_memory and not flags & ALLOW_OOM:
        raise RedisError(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > "
            "'maxmemory'"
        )


def refusal(run: Run, client: Client, command: Command | None, args: Args) -> str:
    """Return why a script may not call a command, "" if it may.

    A text that begins with `-` has its code in front; the others are ERR.
    """
    if command is None:
        return "Unknown Redis command called from script"
    arity = command.arity
    count = len(args)
    if command.handler is None or (arity != count if arity > 0 else count < -arity):
        return "Wrong number of args calling Redis command from script"
    flags = command.flags
    if flags & NOSCRIPT and not run.allow_all:
        return "This Redis command is not allowed from script"
    replication = client.server.replication
    if not flags & STALE and replication.is_stale():
        return "Can not execute the command on a stale replica"
    user = client.user
    if user is not None and not user.unrestricted:
        denial = client.server.acl.refusal(client, command, args, "lua")
        if denial:
            return "ACL failure in script: " + denial
    if run.read_only and flags & (WRITE | MAY_REPLICATE):
        return "Write commands are not allowed from read-only scripts."
    if flags & WRITE and not run.written and replication.is_read_only() and not client.obeyed:
        return "-" + READONLY_REPLICA
    if flags & WRITE and not run.written and client.server.gated:
        reason = _write_refusal(client)
        if reason:
            return reason
    if flags & DENYOOM and run.minds_memory and not run.written and not client.obeyed:
        return "-" + OOM if client.server.eviction.out_of_memory else ""
    return ""


def _write_refusal(client: Client) -> str:
    """Return why a script may not begin to write, "" if it may."""
    server = client.server
    if server.background.denies_writes():
        return "-" + SAVE_ERROR
    if server.aof.error:
        return "-" + AOF_ERROR + os.strerror(server.aof.error)
    if server.replication.denies_writes():
        return "-" + NOREPLICAS
    return ""
