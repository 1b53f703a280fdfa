"""What may be shown of a command's arguments: MONITOR and the slow log keep no passwords.

Source: Redis redactClientCommandArgument and its callers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.config.kinds import SENSITIVE
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.command import Command
    from redis_trio.state import ServerState

REDACTED: Final = b"(redacted)"


def shown_args(server: ServerState, command: Command, args: Args) -> Args:
    """Return the arguments of a command with those that are secret replaced."""
    hidden = _secret(server, command.fullname, args)
    if not hidden:
        return args
    shown = list(args)
    for i in hidden:
        if i < len(shown):
            shown[i] = REDACTED
    return shown


def _secret(server: ServerState, fullname: str, args: Args) -> list[int]:
    """Return the places of arguments that nobody else may see."""
    if fullname == "auth":
        return list(range(1, len(args))) if len(args) <= 3 else []
    if fullname in ("acl|setuser", "acl|deluser", "acl|getuser"):
        return list(range(2, len(args)))
    if fullname == "hello":
        for i in range(2, len(args)):
            if args[i].lower() == b"auth":
                return [i + 1, i + 2]
        return []
    if fullname == "migrate":
        return _migrate_secrets(args)
    if fullname == "config|set":
        return [i + 1 for i in range(2, len(args) - 1, 2) if _is_secret(server, args[i])]
    return []


def _migrate_secrets(args: Args) -> list[int]:
    hidden: list[int] = []
    i = 6
    while i < len(args) and args[i].lower() != b"keys":
        count = {b"auth": 1, b"auth2": 2}.get(args[i].lower(), 0)
        hidden += range(i + 1, i + 1 + count)
        i += 1 + count
    return hidden


def _is_secret(server: ServerState, name: bytes) -> bool:
    parameter = server.config.find(name.decode("utf-8", "surrogateescape"))
    return parameter is not None and parameter.flags & SENSITIVE != 0
