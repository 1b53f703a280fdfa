"""MONITOR: clients that are shown every command that runs.

`execute.call` calls `observe` after a command while `ServerState.observed` says that somebody
wants to know. A line is made once, and appended to the output of each monitor.

Source: Redis replication.c replicationFeedMonitors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.command import ADMIN, SKIP_MONITOR
from redis_trio.protocol.request import Args
from redis_trio.redact import shown_args

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.command import Command

_ESCAPES: Final = {
    34: b'\\"',
    92: b"\\\\",
    10: b"\\n",
    13: b"\\r",
    9: b"\\t",
    7: b"\\a",
    8: b"\\b",
}
_SHOWN: Final = [
    _ESCAPES.get(byte, b"%c" % byte if 32 <= byte < 127 else b"\\x%02x" % byte)
    for byte in range(256)
]


def quoted(text: bytes) -> bytes:
    """Return bytes in double quotes, with escapes for what cannot be printed (sdscatrepr)."""
    if text.isalnum():
        return b'"%s"' % text
    return b'"%s"' % b"".join([_SHOWN[byte] for byte in text])


def address(client: Client) -> bytes:
    """Return where a client is, as MONITOR shows it."""
    if client.unix:
        return b"unix:" + client.server.config.unixsocket.encode("utf-8", "surrogateescape")
    return (client.addr or "?:0").encode()


def observe(client: Client, command: Command, args: Args) -> None:
    """Show a command that a client has run to the monitors."""
    server = client.server
    if not server.monitors or command.flags & (ADMIN | SKIP_MONITOR):
        return
    show(client, shown_args(server, command, args))


def show(client: Client, args: Args) -> None:
    """Show the monitors what a client runs, as it is; scripts come before what they call."""
    server = client.server
    seconds, micros = divmod(int(server.clock.time() * 1_000_000), 1_000_000)
    words = b" ".join([quoted(arg) for arg in args])
    line = b"+%d.%06d [%d %s] %s\r\n" % (
        seconds,
        micros,
        client.db.index,
        address(client),
        words,
    )
    for monitor in server.monitors:
        monitor.push_later(line)
