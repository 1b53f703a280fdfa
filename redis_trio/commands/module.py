"""MODULE: there are none, and none can be loaded.

Modules of Redis are libraries for its own process; whatever one asks for fails to load.

Source: Redis module.c moduleCommand.
"""

from __future__ import annotations

from redis_trio.client import Client
from redis_trio.command import ADMIN, NO_ASYNC_LOADING, NOSCRIPT, PROTECTED, group
from redis_trio.errors import RedisError
from redis_trio.help import declare_help
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args

command = group("server")

command.container(
    "MODULE",
    arity=-2,
    since="4.0.0",
    summary="A container for commands about modules.",
)


@command(
    "MODULE LIST",
    arity=2,
    flags=ADMIN | NOSCRIPT,
    since="4.0.0",
    complexity="O(N) where N is the number of loaded modules.",
    summary="Lists the modules that are loaded.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def module_list(client: Client, args: Args) -> Reply:
    """Return none."""
    return []


@command(
    "MODULE LOADEX",
    "path [CONFIG... (name value):configs] [ARGS args...]",
    arity=-3,
    flags=NO_ASYNC_LOADING | ADMIN | NOSCRIPT | PROTECTED,
    since="7.0.0",
    complexity="O(1)",
    summary="Loads a module, with parameters.",
)
@command(
    "MODULE LOAD",
    "path [arg...]",
    arity=-3,
    flags=NO_ASYNC_LOADING | ADMIN | NOSCRIPT | PROTECTED,
    since="4.0.0",
    complexity="O(1)",
    summary="Loads a module.",
)
def module_load(client: Client, args: Args) -> Reply:
    """Fail, and log why."""
    path = args[2].decode("utf-8", "backslashreplace")
    client.server.log.warning("Module %s failed to load: this server cannot run modules", path)
    raise RedisError("ERR Error loading the extension. Please check the server logs.")


@command(
    "MODULE UNLOAD",
    "name",
    arity=3,
    flags=NO_ASYNC_LOADING | ADMIN | NOSCRIPT | PROTECTED,
    since="4.0.0",
    complexity="O(1)",
    summary="Unloads a module.",
)
def module_unload(client: Client, args: Args) -> Reply:
    """Fail: it is not loaded."""
    name = args[2].decode("utf-8", "backslashreplace")
    client.server.log.warning("Error unloading module %s: no such module with that name", name)
    raise RedisError("ERR Error unloading module: no such module with that name")


declare_help(command, "MODULE", since="5.0.0")
