"""COMMAND: what the server says of its commands, all of it made of their declarations.

`_info` and `_docs` are the two descriptions of a command; the sub-commands only choose which
commands they describe. The hints of redis-cli are made of COMMAND DOCS, and cluster clients find
keys by COMMAND.

Source: Redis server.c commandCommand and what follows it.
"""

from __future__ import annotations

from typing import Final

from redis_trio.client import Client
from redis_trio.command import (
    ADMIN,
    ALLOW_BUSY,
    ASKING,
    BLOCKING,
    DENYOOM,
    FAST,
    LOADING,
    NO_ASYNC_LOADING,
    NO_AUTH,
    NO_MANDATORY_KEYS,
    NO_MULTI,
    NOSCRIPT,
    PUBSUB,
    READONLY,
    SENTINEL,
    SKIP_MONITOR,
    SKIP_SLOWLOG,
    STALE,
    WRITE,
    Command,
    Declaration,
    KeySpec,
    acl_categories,
    group,
    lookup,
)
from redis_trio.data.glob import glob_match
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.help import declare_help
from redis_trio.keys import KEY_FLAGS, find_keys, has_keys, legacy_range, spec_flags
from redis_trio.protocol.reply import Reply, SetReply, Status
from redis_trio.protocol.request import Args
from redis_trio.syntax import Argument, parse_syntax

command = group("server")

_MOVABLE_KEYS: Final = 1 << 40  # shown among the flags; it follows from the key specs

_SHOWN_FLAGS: Final = {
    "write": WRITE,
    "readonly": READONLY,
    "denyoom": DENYOOM,
    "admin": ADMIN,
    "pubsub": PUBSUB,
    "noscript": NOSCRIPT,
    "blocking": BLOCKING,
    "loading": LOADING,
    "stale": STALE,
    "skip_monitor": SKIP_MONITOR,
    "skip_slowlog": SKIP_SLOWLOG,
    "asking": ASKING,
    "fast": FAST,
    "no_auth": NO_AUTH,
    "no_mandatory_keys": NO_MANDATORY_KEYS,
    "no_async_loading": NO_ASYNC_LOADING,
    "no_multi": NO_MULTI,
    "movablekeys": _MOVABLE_KEYS,
    "allow_busy": ALLOW_BUSY,
}
"""The flags that clients are shown, in Redis's order; the others are the server's own affair."""

_BEGIN_PARAMETERS: Final[dict[str, tuple[str, ...]]] = {
    "index": ("index",),
    "keyword": ("keyword", "startfrom"),
    "unknown": (),
}
_FIND_PARAMETERS: Final[dict[str, tuple[str, ...]]] = {
    "range": ("lastkey", "keystep", "limit"),
    "keynum": ("keynumidx", "firstkey", "keystep"),
    "unknown": (),
}


@command(
    "COMMAND",
    arity=-1,
    flags=LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="2.8.13",
    complexity="O(N) where N is the total number of commands",
    summary="Describes all commands: arity, flags, keys and ACL categories.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def command_(client: Client, args: Args) -> Reply:
    return [_info(item) for item in _all_commands(client)]


@command(
    "COMMAND COUNT",
    arity=2,
    flags=LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="2.8.13",
    complexity="O(1)",
    summary="Counts the commands of this server.",
)
def command_count(client: Client, args: Args) -> Reply:
    return len(_all_commands(client))


@command(
    "COMMAND LIST",
    "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
    arity=-2,
    flags=LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="7.0.0",
    complexity="O(N) where N is the total number of commands",
    summary="Lists the names of commands and sub-commands, all or those of a kind.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def command_list(client: Client, args: Args) -> Reply:
    commands = _with_subcommands(_all_commands(client))
    if len(args) > 2:
        if len(args) != 5 or args[2].lower() != b"filterby":
            raise RedisError(SYNTAX)
        commands = _filtered(commands, args[3].lower(), args[4])
    return [item.fullname.encode() for item in commands]


@command(
    "COMMAND INFO",
    "[command-name...]",
    arity=-2,
    flags=LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="2.8.13",
    complexity="O(N) where N is the number of commands to look up",
    summary="Describes commands as COMMAND does, by name.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def command_info(client: Client, args: Args) -> Reply:
    if len(args) == 2:
        return [_info(item) for item in _all_commands(client)]
    replies: list[Reply] = []
    for name in args[2:]:
        found = _by_name(client, name)
        replies.append(None if found is None else _info(found))
    return replies


@command(
    "COMMAND DOCS",
    "[command-name...]",
    arity=-2,
    flags=LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="7.0.0",
    complexity="O(N) where N is the number of commands to look up",
    summary="Explains commands to people: summary, arguments and complexity.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def command_docs(client: Client, args: Args) -> Reply:
    if len(args) == 2:
        return _docs_by_name(_all_commands(client))
    found = [_by_name(client, name) for name in args[2:]]
    return _docs_by_name([item for item in found if item is not None])


@command(
    "COMMAND GETKEYS",
    "command [arg...]",
    arity=-3,
    flags=LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="2.8.13",
    complexity="O(N) where N is the number of arguments to the command",
    summary="Tells which arguments of a command are keys.",
)
def command_getkeys(client: Client, args: Args) -> Reply:
    call = args[2:]
    return [call[position] for position, _ in _keys_of(client, call)]


@command(
    "COMMAND GETKEYSANDFLAGS",
    "command [arg...]",
    arity=-3,
    flags=LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="7.0.0",
    complexity="O(N) where N is the number of arguments to the command",
    summary="Tells which arguments of a command are keys, and what it does with each.",
)
def command_getkeysandflags(client: Client, args: Args) -> Reply:
    call = args[2:]
    return [[call[at], _flags(KEY_FLAGS, flags)] for at, flags in _keys_of(client, call)]


declare_help(command, "COMMAND", since="5.0.0", flags=LOADING | STALE | SENTINEL, acl="CONNECTION")


def _all_commands(client: Client) -> list[Command]:
    """Return the commands without their sub-commands, each once."""
    return list(dict.fromkeys(client.server.commands.values()))


def _with_subcommands(commands: list[Command]) -> list[Command]:
    found: list[Command] = []
    for item in commands:
        found.append(item)
        if item.subcommands is not None:
            found.extend(item.subcommands.values())
    return found


def _by_name(client: Client, name: bytes) -> Command | None:
    """Find a command by its name, a sub-command as `config|set`."""
    words = name.split(b"|")
    container = lookup(client.server.commands, words[:1])
    if container is None or len(words) == 1:
        return container
    if container.subcommands is None or len(words) > 2:
        return None
    return container.subcommands.get(words[1].lower())


def _filtered(commands: list[Command], kind: bytes, what: bytes) -> list[Command]:
    """Choose commands as COMMAND LIST FILTERBY does. There are no modules."""
    if kind == b"module":
        return []
    if kind == b"aclcat":
        name = what.decode("latin-1").lower()
        return [item for item in commands if name in acl_categories(item.declaration)]
    if kind == b"pattern":
        return [item for item in commands if glob_match(what, item.fullname.encode(), True)]
    raise RedisError(SYNTAX)


def _keys_of(client: Client, call: Args) -> list[tuple[int, int]]:
    """Find the keys of a whole command. Errors: it is none, has none, or is not well-formed."""
    found = lookup(client.server.commands, call)
    if found is None:
        raise RedisError("ERR Invalid command specified")
    declaration = found.declaration
    if not has_keys(declaration):
        raise RedisError("ERR The command has no key arguments")
    count, arity = len(call), declaration.arity
    if arity != count if arity > 0 else count < -arity:
        raise RedisError("ERR Invalid number of arguments specified for command")
    keys = find_keys(declaration, call)
    if not keys and not declaration.flags & NO_MANDATORY_KEYS:
        raise RedisError("ERR Invalid arguments specified for command")
    return keys


def _flags(names: dict[str, int], flags: int) -> Reply:
    """Return the set of the names of those bits that are set."""
    return SetReply([Status(name.encode()) for name, bit in names.items() if flags & bit])


def _info(item: Command) -> Reply:
    """Describe a command as COMMAND INFO does."""
    declaration = item.declaration
    first, last, step, movable = legacy_range(declaration)
    flags = declaration.flags | (_MOVABLE_KEYS if movable else 0)
    subcommands: Reply = SetReply(())
    if item.subcommands is not None:
        subcommands = [_info(subcommand) for subcommand in item.subcommands.values()]
    return [
        item.fullname.encode(),
        declaration.arity,
        _flags(_SHOWN_FLAGS, flags),
        first,
        last,
        step,
        SetReply([Status(b"@" + name.encode()) for name in acl_categories(declaration)]),
        SetReply([tip.lower().encode() for tip in declaration.tips]),
        SetReply([_key_spec(spec) for spec in declaration.keys]),
        subcommands,
    ]


def _key_spec(spec: KeySpec) -> Reply:
    shown: dict[bytes, Reply] = {}
    if spec.notes:
        shown[b"notes"] = spec.notes.encode()
    shown[b"flags"] = _flags(KEY_FLAGS, spec_flags(spec))
    shown[b"begin_search"] = _search(spec.begin, _BEGIN_PARAMETERS)
    shown[b"find_keys"] = _search(spec.find, _FIND_PARAMETERS)
    return shown


def _search(values: tuple[str | int, ...], names: dict[str, tuple[str, ...]]) -> Reply:
    """Return one half of a key spec: its type, and its parameters by name."""
    kind = str(values[0])
    parameters: dict[bytes, Reply] = {}
    for name, value in zip(names[kind], values[1:], strict=True):
        parameters[name.encode()] = value.encode() if isinstance(value, str) else value
    return {b"type": kind.encode(), b"spec": parameters}


def _docs_by_name(commands: list[Command]) -> Reply:
    return {item.fullname.encode(): _docs(item) for item in commands}


def _docs(item: Command) -> Reply:
    """Describe a command as COMMAND DOCS does."""
    declaration = item.declaration
    shown: dict[bytes, Reply] = {
        b"summary": declaration.summary.encode(),
        b"since": declaration.since.encode(),
        b"group": declaration.group.replace("_", "-").encode(),
    }
    if declaration.complexity:
        shown[b"complexity"] = declaration.complexity.encode()
    if declaration.doc_flags:
        shown[b"doc_flags"] = _doc_flags(declaration)
    if declaration.deprecated_since:
        shown[b"deprecated_since"] = declaration.deprecated_since.encode()
    if declaration.replaced_by:
        shown[b"replaced_by"] = declaration.replaced_by.encode()
    if declaration.syntax:
        shown[b"arguments"] = _arguments(parse_syntax(declaration.syntax))
    if item.subcommands is not None:
        shown[b"subcommands"] = _docs_by_name(list(item.subcommands.values()))
    return shown


def _doc_flags(declaration: Declaration) -> Reply:
    names = ("deprecated", "syscmd")
    return SetReply(
        [Status(name.encode()) for name in names if name.upper() in declaration.doc_flags]
    )


def _arguments(arguments: list[Argument]) -> Reply:
    return [_argument(argument) for argument in arguments]


def _argument(argument: Argument) -> Reply:
    """Describe an argument. Source: server.c addReplyCommandArgList."""
    shown: dict[bytes, Reply] = {
        b"name": argument.name.encode(),
        b"type": argument.type.encode(),
    }
    if not argument.is_group:
        shown[b"display_text"] = argument.display_text.encode()
    if argument.key_spec_index >= 0:
        shown[b"key_spec_index"] = argument.key_spec_index
    if argument.token is not None:
        shown[b"token"] = argument.token.encode()
    if argument.since:
        shown[b"since"] = argument.since.encode()
    if argument.deprecated_since:
        shown[b"deprecated_since"] = argument.deprecated_since.encode()
    flags: list[Reply] = []
    if argument.optional:
        flags.append(Status(b"optional"))
    if argument.multiple:
        flags.append(Status(b"multiple"))
    if argument.multiple_token:
        flags.append(Status(b"multiple_token"))
    if flags:
        shown[b"flags"] = SetReply(flags)
    if argument.is_group:
        shown[b"arguments"] = _arguments(argument.arguments)
    return shown
