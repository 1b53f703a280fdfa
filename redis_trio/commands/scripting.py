"""The scripting group: scripts, and functions in libraries.

Source: Redis eval.c, functions.c, script.c.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from redis_trio.args import read_integer
from redis_trio.blocking import Block
from redis_trio.client import Client
from redis_trio.command import (
    ALLOW_BUSY,
    DENYOOM,
    MAY_REPLICATE,
    NO_MANDATORY_KEYS,
    NOSCRIPT,
    READONLY,
    SKIP_MONITOR,
    STALE,
    WRITE,
    group,
    keynum,
)
from redis_trio.data.glob import glob_match
from redis_trio.data.numbers import parse_integer
from redis_trio.errors import BUSY_EVAL, BUSY_FUNCTION, RedisError, error_text, wrong_subcommand
from redis_trio.help import declare_help
from redis_trio.monitor import show
from redis_trio.persistence.payload import is_payload
from redis_trio.protocol.reply import OK, Reply, SetReply, Status
from redis_trio.protocol.request import Args
from redis_trio.scripting.flags import FLAGS, command_flags, script_flags
from redis_trio.scripting.room import Room, scripting

if TYPE_CHECKING:
    from redis_trio.scripting.functions import Functions, Library

command = group("scripting")

_ALL: Final = "how the script uses its keys is not known: the most is assumed"
_NOSCRIPT: Final = "NOSCRIPT No matching script. Please use EVAL."


def _room(client: Client) -> Room:
    return scripting(client.server)


def _functions(client: Client) -> Functions:
    functions = _room(client).functions
    functions.sync()
    return functions


def _count_keys(args: Args, keys: int) -> int:
    if keys > len(args) - 3:
        raise RedisError("ERR Number of keys can't be greater than number of args")
    if keys < 0:
        raise RedisError("ERR Number of keys can't be negative")
    return keys


def _evaluate(client: Client, args: Args, by_sha: bool, read_only: bool) -> Reply | Block:
    """EVAL and its like: find or compile the script, and run it."""
    server = client.server
    room = scripting(server)
    if server.monitors:
        show(client, args)
    if by_sha and len(args[1]) != 40:
        raise RedisError(_NOSCRIPT)
    keys = _count_keys(args, read_integer(args[2]))
    if by_sha:
        script = room.scripts.get(args[1]) or room.scripts.get(args[1].lower())
        if script is None:
            raise RedisError(_NOSCRIPT)
    else:
        script = room.load(args[1], True)
    return room.evaluate(client, args, script, keys, read_only)


def _script_flags(client: Client, args: Args) -> int:
    """Return the flags of EVAL or EVALSHA by what the script says (eval.c evalGetCommandFlags)."""
    command = client.server.commands[args[0].lower()]
    by_sha = command.fullname.startswith("evalsha")
    room = client.server.scripting
    sha = args[1].lower() if by_sha else hashlib.sha1(args[1]).hexdigest().encode()
    script = None if room is None else room.scripts.get(sha)
    if script is not None:
        return command_flags(command.flags, script.flags)
    if by_sha:
        return command.flags
    try:
        said, _ = script_flags(args[1])
    except RedisError:
        return command.flags  # the error is the command's own
    return command_flags(command.flags, said)


def _function_flags(client: Client, args: Args) -> int:
    """Return the flags of FCALL by those of the function (functions.c fcallGetCommandFlags)."""
    command = client.server.commands[args[0].lower()]
    room = client.server.scripting
    function = None if room is None else room.functions.functions.get(args[1].lower())
    return command.flags if function is None else command_flags(command.flags, function.flags)


def _call_function(client: Client, args: Args, read_only: bool) -> Reply | Block:
    """FCALL and its like."""
    if client.server.monitors:
        show(client, args)
    functions = _functions(client)
    function = functions.functions.get(args[1].lower())
    if function is None:
        raise RedisError("ERR Function not found")
    count = parse_integer(args[2])
    if count is None:
        raise RedisError("ERR Bad number of keys provided")
    keys = _count_keys(args, count)
    room = _room(client)
    engine = functions.engine
    return room.call_function(
        client, args, engine, function.name, function.callback, function.flags, keys, read_only
    )


def _kill(client: Client, is_eval: bool) -> Reply:
    """SCRIPT KILL and FUNCTION KILL."""
    run = _room(client).running
    if run is None:
        raise RedisError("NOTBUSY No scripts in execution right now.")
    if run.caller.obeyed:
        raise RedisError(
            "UNKILLABLE The busy script was sent by a master instance in the context of "
            "replication and cannot be killed."
        )
    if run.written:
        raise RedisError(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You "
            "can either wait the script termination or kill the server in a hard way using the "
            "SHUTDOWN NOSAVE command."
        )
    if is_eval != run.is_eval:
        raise RedisError(BUSY_EVAL if run.is_eval else BUSY_FUNCTION)
    run.killed = True
    return OK


def _described(library: Library, with_code: bool) -> Reply:
    """Return a library as FUNCTION LIST shows it."""
    functions: list[Reply] = []
    for function in library.functions.values():
        flags = [Status(name) for name, flag in FLAGS.items() if function.flags & flag]
        shown: dict[bytes, Reply] = {
            b"name": function.name,
            b"description": function.description,
            b"flags": SetReply(flags),
        }
        functions.append(shown)
    reply: dict[bytes, Reply] = {
        b"library_name": library.name,
        b"engine": b"LUA",
        b"functions": functions,
    }
    if with_code:
        reply[b"library_code"] = library.code
    return reply


@command(
    "EVAL",
    "script numkeys [key...] [arg...]",
    arity=-3,
    flags=NOSCRIPT | SKIP_MONITOR | MAY_REPLICATE | NO_MANDATORY_KEYS | STALE,
    keys=[keynum(2, "RW ACCESS UPDATE", notes=_ALL)],
    flags_of=_script_flags,
    acl="SCRIPTING",
    since="2.6.0",
    complexity="Depends on the script that is executed.",
    summary="Runs a Lua script.",
)
def eval_(client: Client, args: Args) -> Reply | Block:
    """Run a script."""
    return _evaluate(client, args, False, False)


@command(
    "EVALSHA",
    "sha1 numkeys [key...] [arg...]",
    arity=-3,
    flags=NOSCRIPT | SKIP_MONITOR | MAY_REPLICATE | NO_MANDATORY_KEYS | STALE,
    keys=[keynum(2, "RW ACCESS UPDATE")],
    flags_of=_script_flags,
    acl="SCRIPTING",
    since="2.6.0",
    complexity="Depends on the script that is executed.",
    summary="Runs a Lua script that is known by its SHA1.",
)
def evalsha(client: Client, args: Args) -> Reply | Block:
    """Run a script of the cache. Errors: NOSCRIPT if it is not there."""
    return _evaluate(client, args, True, False)


@command(
    "EVALSHA_RO",
    "sha1 numkeys [key...] [arg...]",
    arity=-3,
    flags=NOSCRIPT | SKIP_MONITOR | NO_MANDATORY_KEYS | STALE | READONLY,
    keys=[keynum(2, "RO ACCESS")],
    flags_of=_script_flags,
    acl="SCRIPTING",
    since="7.0.0",
    complexity="Depends on the script that is executed.",
    summary="Runs a Lua script by its SHA1; it may only read.",
)
def evalsha_ro(client: Client, args: Args) -> Reply | Block:
    """Run a script of the cache that may only read."""
    return _evaluate(client, args, True, True)


@command(
    "EVAL_RO",
    "script numkeys [key...] [arg...]",
    arity=-3,
    flags=NOSCRIPT | SKIP_MONITOR | NO_MANDATORY_KEYS | STALE | READONLY,
    keys=[keynum(2, "RO ACCESS", notes=_ALL)],
    flags_of=_script_flags,
    acl="SCRIPTING",
    since="7.0.0",
    complexity="Depends on the script that is executed.",
    summary="Runs a Lua script that may only read.",
)
def eval_ro(client: Client, args: Args) -> Reply | Block:
    """Run a script that may only read."""
    return _evaluate(client, args, False, True)


@command(
    "FCALL",
    "function numkeys [key...] [arg...]",
    arity=-3,
    flags=NOSCRIPT | SKIP_MONITOR | MAY_REPLICATE | NO_MANDATORY_KEYS | STALE,
    keys=[keynum(2, "RW ACCESS UPDATE", notes=_ALL)],
    flags_of=_function_flags,
    acl="SCRIPTING",
    since="7.0.0",
    complexity="Depends on the function that is executed.",
    summary="Calls a function.",
)
def fcall(client: Client, args: Args) -> Reply | Block:
    """Call a function."""
    return _call_function(client, args, False)


@command(
    "FCALL_RO",
    "function numkeys [key...] [arg...]",
    arity=-3,
    flags=NOSCRIPT | SKIP_MONITOR | NO_MANDATORY_KEYS | STALE | READONLY,
    keys=[keynum(2, "RO ACCESS", notes=_ALL)],
    flags_of=_function_flags,
    acl="SCRIPTING",
    since="7.0.0",
    complexity="Depends on the function that is executed.",
    summary="Calls a function that only reads.",
)
def fcall_ro(client: Client, args: Args) -> Reply | Block:
    """Call a function that must not write."""
    return _call_function(client, args, True)


command.container(
    "FUNCTION",
    arity=-2,
    since="7.0.0",
    summary="A container for function commands.",
)


@command(
    "FUNCTION DELETE",
    "library-name",
    arity=3,
    flags=NOSCRIPT | WRITE,
    acl="SCRIPTING",
    since="7.0.0",
    complexity="O(1)",
    summary="Deletes a library and its functions.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:ALL_SUCCEEDED",
)
def function_delete(client: Client, args: Args) -> Reply:
    """Delete a library."""
    functions = _functions(client)
    if not functions.delete(args[2]):
        raise RedisError("ERR Library not found")
    functions.changed()
    return OK


@command(
    "FUNCTION DUMP",
    arity=2,
    flags=NOSCRIPT,
    acl="SCRIPTING",
    since="7.0.0",
    complexity="O(N) where N is the number of functions",
    summary="Returns all libraries in one payload.",
)
def function_dump(client: Client, args: Args) -> Reply:
    """Return all libraries as RDB has them."""
    return _functions(client).dump(client.server.config.rdbcompression)


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
    """Delete all libraries."""
    if len(args) > 3:
        raise wrong_subcommand(args)
    if len(args) == 3 and args[2].lower() not in (b"sync", b"async"):
        raise RedisError("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    functions = _room(client).functions
    functions.flush()
    functions.changed()
    return OK


declare_help(command, "FUNCTION", since="7.0.0", acl="SCRIPTING")


@command(
    "FUNCTION KILL",
    arity=2,
    flags=NOSCRIPT | ALLOW_BUSY,
    acl="SCRIPTING",
    since="7.0.0",
    complexity="O(1)",
    summary="Ends the function that is running.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:ONE_SUCCEEDED",
)
def function_kill(client: Client, args: Args) -> Reply:
    """End the function that is running, unless it has written."""
    return _kill(client, False)


@command(
    "FUNCTION LIST",
    "[LIBRARYNAME library-name-pattern] [WITHCODE]",
    arity=-2,
    flags=NOSCRIPT,
    acl="SCRIPTING",
    since="7.0.0",
    complexity="O(N) where N is the number of functions",
    summary="Describes the libraries.",
    tips="NONDETERMINISTIC_OUTPUT_ORDER",
)
def function_list(client: Client, args: Args) -> Reply:
    """Describe the libraries whose names match, or all."""
    pattern: bytes | None = None
    with_code = False
    index = 2
    while index < len(args):
        word = args[index].lower()
        if word == b"withcode" and not with_code:
            with_code = True
        elif word == b"libraryname" and pattern is None:
            index += 1
            if index == len(args):
                raise RedisError("ERR library name argument was not given")
            pattern = args[index]
        else:
            raise RedisError(f"ERR Unknown argument {error_text(args[index])}")
        index += 1
    reply: list[Reply] = []
    for library in _functions(client).libraries.values():
        if pattern is None or glob_match(pattern, library.name, True):
            reply.append(_described(library, with_code))
    return reply


@command(
    "FUNCTION LOAD",
    "[REPLACE] function-code",
    arity=-3,
    flags=NOSCRIPT | WRITE | DENYOOM,
    acl="SCRIPTING",
    since="7.0.0",
    complexity="O(1) (considering compilation time is redundant)",
    summary="Creates a library.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:ALL_SUCCEEDED",
)
def function_load(client: Client, args: Args) -> Reply:
    """Create a library, or replace one; return its name."""
    replace = False
    for word in args[2:-1]:
        if word.lower() != b"replace":
            raise RedisError(f"ERR Unknown option given: {error_text(word)}")
        replace = True
    functions = _functions(client)
    name = functions.load(args[-1], replace, not client.obeyed)
    functions.changed(None if replace else args[-1])
    return name


@command(
    "FUNCTION RESTORE",
    "serialized-value [FLUSH | APPEND | REPLACE]:policy",
    arity=-3,
    flags=NOSCRIPT | WRITE | DENYOOM,
    acl="SCRIPTING",
    since="7.0.0",
    complexity="O(N) where N is the number of functions on the payload",
    summary="Loads the libraries of a payload.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:ALL_SUCCEEDED",
)
def function_restore(client: Client, args: Args) -> Reply:
    """Load the libraries of a payload."""
    if len(args) > 4:
        raise wrong_subcommand(args)
    policy = args[3].lower() if len(args) == 4 else b"append"
    if policy not in (b"append", b"replace", b"flush"):
        raise RedisError(
            "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
        )
    if not is_payload(args[2], client.server.persistence.check_sums):
        raise RedisError("ERR DUMP payload version or checksum are wrong")
    functions = _functions(client)
    functions.restore(args[2], policy)
    functions.changed()
    return OK


@command(
    "FUNCTION STATS",
    arity=2,
    flags=NOSCRIPT | ALLOW_BUSY,
    acl="SCRIPTING",
    since="7.0.0",
    complexity="O(1)",
    summary="Describes the function that is running, and the engines.",
    tips="NONDETERMINISTIC_OUTPUT REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:SPECIAL",
)
def function_stats(client: Client, args: Args) -> Reply:
    """Describe the function that is running, and the engines."""
    room = _room(client)
    run = room.running
    if run is not None and run.is_eval:
        raise RedisError(BUSY_EVAL)
    running: Reply = None
    if run is not None:
        running = {b"name": run.name, b"command": list(run.args), b"duration_ms": run.elapsed_ms}
    functions = room.functions
    functions.sync()
    counts: dict[bytes, Reply] = {
        b"libraries_count": len(functions.libraries),
        b"functions_count": len(functions.functions),
    }
    return {b"running_script": running, b"engines": {b"LUA": counts}}


command.container(
    "SCRIPT",
    arity=-2,
    since="2.6.0",
    summary="A container for commands about Lua scripts.",
)


@command(
    "SCRIPT EXISTS",
    "sha1...",
    arity=-3,
    flags=NOSCRIPT,
    acl="SCRIPTING",
    since="2.6.0",
    complexity="O(N) with N being the number of scripts to check (so checking a single script is "
    "an O(1) operation).",
    summary="Says which scripts are in the cache.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:AGG_LOGICAL_AND",
)
def script_exists(client: Client, args: Args) -> Reply:
    """Return 1 for each script that is in the cache, 0 for the others."""
    scripts = _room(client).scripts
    return [1 if sha.lower() in scripts else 0 for sha in args[2:]]


@command(
    "SCRIPT FLUSH",
    "[ASYNC | SYNC]@6.2.0",
    arity=-2,
    flags=NOSCRIPT,
    acl="SCRIPTING",
    since="2.6.0",
    complexity="O(N) with N being the number of scripts in cache",
    summary="Removes all scripts from the cache.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:ALL_SUCCEEDED",
)
def script_flush(client: Client, args: Args) -> Reply:
    """Empty the cache."""
    if len(args) > 3 or (len(args) == 3 and args[2].lower() not in (b"sync", b"async")):
        raise RedisError("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    _room(client).flush()
    return OK


declare_help(command, "SCRIPT", since="5.0.0", acl="SCRIPTING")


@command(
    "SCRIPT KILL",
    arity=2,
    flags=NOSCRIPT | ALLOW_BUSY,
    acl="SCRIPTING",
    since="2.6.0",
    complexity="O(1)",
    summary="Ends the script that is running.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:ONE_SUCCEEDED",
)
def script_kill(client: Client, args: Args) -> Reply:
    """End the script that is running, unless it has written."""
    return _kill(client, True)


@command(
    "SCRIPT LOAD",
    "script",
    arity=3,
    flags=NOSCRIPT | STALE,
    acl="SCRIPTING",
    since="2.6.0",
    complexity="O(N) with N being the length in bytes of the script body.",
    summary="Loads a script into the cache.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:ALL_SUCCEEDED",
)
def script_load(client: Client, args: Args) -> Reply:
    """Compile a script and keep it; return its SHA1."""
    return _room(client).load(args[2], False).sha
