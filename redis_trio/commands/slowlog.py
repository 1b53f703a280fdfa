"""SLOWLOG: see redis_trio/slowlog.py.

Source: Redis slowlog.c.
"""

from __future__ import annotations

from typing import Final

from redis_trio.args import read_integer_in
from redis_trio.client import Client
from redis_trio.command import ADMIN, LOADING, STALE, group
from redis_trio.errors import wrong_subcommand
from redis_trio.help import declare_help
from redis_trio.protocol.reply import OK, Reply
from redis_trio.protocol.request import Args

command = group("server")

LONG_MAX: Final = (1 << 63) - 1
SHOWN: Final = 10  # entries, unless the client says how many

command.container(
    "SLOWLOG",
    arity=-2,
    since="2.2.12",
    summary="A container for slow log commands.",
)


@command(
    "SLOWLOG GET",
    "[count]",
    arity=-2,
    flags=ADMIN | LOADING | STALE,
    since="2.2.12",
    complexity="O(N) where N is the number of entries returned",
    summary="Returns the latest entries of the slow log, 10 unless told, all for -1.",
    tips="REQUEST_POLICY:ALL_NODES NONDETERMINISTIC_OUTPUT",
)
def slowlog_get(client: Client, args: Args) -> Reply:
    """Return the latest entries: number, time (s), duration (us), command, address, name."""
    if len(args) > 3:
        raise wrong_subcommand(args)
    entries = client.server.slowlog.entries
    count = SHOWN
    if len(args) == 3:
        message = "ERR count should be greater than or equal to -1"
        count = read_integer_in(args[2], -1, LONG_MAX, message)
    if count < 0 or count > len(entries):
        count = len(entries)
    replies: list[Reply] = []
    for entry in entries:
        if len(replies) == count:
            break
        replies.append(
            [
                entry.number,
                entry.time_s,
                entry.duration_us,
                list(entry.args),
                entry.address.encode(),
                entry.name,
            ]
        )
    return replies


@command(
    "SLOWLOG LEN",
    arity=2,
    flags=ADMIN | LOADING | STALE,
    since="2.2.12",
    complexity="O(1)",
    summary="Returns the number of entries in the slow log.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:AGG_SUM NONDETERMINISTIC_OUTPUT",
)
def slowlog_len(client: Client, args: Args) -> Reply:
    """Return how many entries there are."""
    return len(client.server.slowlog.entries)


@command(
    "SLOWLOG RESET",
    arity=2,
    flags=ADMIN | LOADING | STALE,
    since="2.2.12",
    complexity="O(N) where N is the number of entries in the slowlog",
    summary="Empties the slow log.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:ALL_SUCCEEDED",
)
def slowlog_reset(client: Client, args: Args) -> Reply:
    """Forget all entries."""
    client.server.slowlog.entries.clear()
    return OK


declare_help(command, "SLOWLOG", since="6.2.0")
