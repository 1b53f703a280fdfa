"""HELP of the commands with sub-commands: an array of lines, made of the declarations.

    declare_help(command, "CONFIG", acl=..., since="5.0.0")

declares CONFIG HELP. Its lines are the sub-commands in the order in which they are declared, each
with its arguments and its summary. What has sub-commands without declaring them (DEBUG) makes its
reply with `help_reply`.

Source: networking.c addReplyHelp.
"""

from __future__ import annotations

from collections.abc import Sequence

from redis_trio.client import Client
from redis_trio.command import DECLARATIONS, LOADING, STALE, group
from redis_trio.protocol.reply import Reply, Status
from redis_trio.protocol.request import Args
from redis_trio.syntax import parse_syntax, usage


def declare_help(
    command: group,
    name: str,
    *,
    since: str,
    flags: int = LOADING | STALE,
    acl: str = "",
) -> None:
    """Declare the HELP of a command whose sub-commands are declared."""

    def help_(client: Client, args: Args) -> Reply:
        return help_reply(name, subcommand_lines(name))

    command(
        f"{name} HELP",
        arity=2,
        flags=flags,
        acl=acl,
        since=since,
        complexity="O(1)",
        summary=f"Shows the sub-commands of {name}.",
    )(help_)


def subcommand_lines(name: str) -> list[str]:
    """Return two lines for each declared sub-command of `name` but HELP: usage and summary."""
    lines: list[str] = []
    if DECLARATIONS[name].handler is not None:
        lines = ["(no subcommand)", f"    {DECLARATIONS[name].summary}"]
    for declaration in DECLARATIONS.values():
        container, _, subcommand = declaration.name.partition(" ")
        if container == name and subcommand and subcommand != "HELP":
            shown = usage(parse_syntax(declaration.syntax))
            lines.append(f"{subcommand} {shown}".rstrip())
            lines.append(f"    {declaration.summary}")
    return lines


def help_reply(name: str, lines: Sequence[str]) -> Reply:
    """Return the reply of `name` HELP with what is said of each sub-command in between."""
    head = f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    shown = [head, *lines, "HELP", "    Print this help."]
    return [Status(line.encode()) for line in shown]
