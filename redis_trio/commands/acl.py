"""The ACL commands. Users, rules and the file are in redis_trio.acl.

Source: Redis acl.c aclCommand.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from redis_trio.acl.file import load_file, save_file, sorted_users
from redis_trio.acl.room import denial_text
from redis_trio.acl.rules import (
    RuleError,
    UnmatchedParenthesisError,
    channel_rules,
    command_rules,
    flag_words,
    has_spaces,
    key_rules,
    merge_selectors,
    rules_of,
    user_error,
    user_line,
)
from redis_trio.acl.users import ALLOWED, DEFAULT, Selector
from redis_trio.args import read_integer
from redis_trio.command import ADMIN, LOADING, NOSCRIPT, SENTINEL, STALE, group, lookup
from redis_trio.errors import RedisError, error_text, wrong_arity, wrong_subcommand
from redis_trio.help import declare_help
from redis_trio.protocol.reply import OK, Reply, SetReply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.state import ServerState

command = group("server")

GENPASS_BITS: Final = 256
GENPASS_MAX_BITS: Final = 4096
LOG_ENTRIES: Final = 10
NO_FILE: Final = (
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
    "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
    "configuration file set) in order to store users in the Redis configuration."
)


def _shown(word: bytes) -> str:
    """Return a word as error texts show it, up to a NUL."""
    return error_text(word.partition(b"\0")[0])


command.container(
    "ACL",
    arity=-2,
    flags=SENTINEL,
    since="6.0.0",
    summary="Looks at and changes who may do what.",
)


@command(
    "ACL CAT",
    "[category]",
    arity=-2,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    since="6.0.0",
    complexity="O(1) since the categories and commands are a fixed set.",
    summary="Lists the categories of commands, or the commands of one category.",
)
def acl_cat(client: Client, args: Args) -> Reply:
    if len(args) > 3:
        raise wrong_subcommand(args)
    names = client.server.acl.names
    if len(args) == 2:
        return [name.encode() for name in names.categories]
    found = names.in_category(args[2])
    if found is None:
        raise RedisError(f"ERR Unknown category '{_shown(args[2][:128])}'")
    return [name.encode() for name in found]


@command(
    "ACL DELUSER",
    "username...",
    arity=-3,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    since="6.0.0",
    complexity="O(1) amortized time considering the typical user.",
    summary="Deletes users and closes their connections.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:ALL_SUCCEEDED",
)
def acl_deluser(client: Client, args: Args) -> Reply:
    """Delete users; return how many there were."""
    names = args[2:]
    if any(name.partition(b"\0")[0] == DEFAULT for name in names):
        raise RedisError("ERR The 'default' user cannot be removed")
    return sum([client.server.acl.delete(name) for name in names])


@command(
    "ACL DRYRUN",
    "username command [arg...]",
    arity=-4,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    since="7.0.0",
    complexity="O(1).",
    summary="Tells whether a user may run a command, without running it.",
)
def acl_dryrun(client: Client, args: Args) -> Reply:
    """Reply: OK, or as a bulk string what the user would be told."""
    acl = client.server.acl
    user = acl.users.get(args[2])
    if user is None:
        raise RedisError(f"ERR User '{_shown(args[2])}' not found")
    tried = args[3:]
    wanted = lookup(client.server.commands, tried)
    if wanted is None:
        raise RedisError(f"ERR Command '{_shown(args[3])}' not found")
    arity = wanted.arity
    if arity != len(tried) if arity > 0 else len(tried) < -arity:
        raise wrong_arity(wanted.fullname)
    denied = acl.check(user, wanted, tried)
    if denied == ALLOWED:
        return OK
    text = denial_text(denied, user, wanted, tried[acl.denied_at])
    return text.encode("utf-8", "surrogateescape")


@command(
    "ACL GENPASS",
    "[bits]",
    arity=-2,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    since="6.0.0",
    complexity="O(1)",
    summary="Makes a password that nobody can guess.",
)
def acl_genpass(client: Client, args: Args) -> Reply:
    """Return so many random bits (256) as hexadecimal digits."""
    if len(args) > 3:
        raise wrong_subcommand(args)
    bits = read_integer(args[2]) if len(args) == 3 else GENPASS_BITS
    if not 0 < bits <= GENPASS_MAX_BITS:
        raise RedisError(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a "
            f"positive number up to {GENPASS_MAX_BITS}"
        )
    digits = (bits + 3) // 4
    return secrets.token_hex((digits + 1) // 2)[:digits].encode()


def _selector_fields(selector: Selector) -> dict[bytes, Reply]:
    return {
        b"commands": command_rules(selector),
        b"keys": key_rules(selector),
        b"channels": channel_rules(selector),
    }


@command(
    "ACL GETUSER",
    "username",
    arity=3,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    since="6.0.0",
    complexity=(
        "O(N). Where N is the number of password, command and pattern rules that the user has."
    ),
    summary="Shows the rules of a user.",
)
def acl_getuser(client: Client, args: Args) -> Reply:
    """Return the user as a map, null if there is none."""
    user = client.server.acl.users.get(args[2])
    if user is None:
        return None
    others: list[Reply] = [_selector_fields(selector) for selector in user.selectors[1:]]
    return {
        b"flags": SetReply(flag_words(user)),
        b"passwords": list(user.passwords),
        **_selector_fields(user.selectors[0]),
        b"selectors": others,
    }


@command(
    "ACL LIST",
    arity=2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
    summary="Lists the users with their rules, as in an ACL file.",
)
def acl_list(client: Client, args: Args) -> Reply:
    return [user_line(user) for user in sorted_users(client.server)]


def _check_file(server: ServerState) -> None:
    """Errors: there is no ACL file."""
    if not server.config.aclfile:
        raise RedisError(NO_FILE)


@command(
    "ACL LOAD",
    arity=2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
    summary="Replaces the users by those of the ACL file.",
)
def acl_load(client: Client, args: Args) -> Reply:
    """Load the file, all of it or nothing. Errors: what is wrong with it."""
    _check_file(client.server)
    errors = load_file(client.server)
    if errors:
        raise RedisError("ERR " + errors)
    return OK


@command(
    "ACL LOG",
    "[count | RESET]:operation",
    arity=-2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    since="6.0.0",
    complexity="O(N) with N being the number of entries shown.",
    summary="Lists what users were refused lately.",
)
def acl_log(client: Client, args: Args) -> Reply:
    """Return the latest entries, 10 if no number is given, or forget all."""
    if len(args) > 3:
        raise wrong_subcommand(args)
    server = client.server
    entries = server.acl.log.entries
    if len(args) == 3 and args[2].lower() == b"reset":
        entries.clear()
        return OK
    count = read_integer(args[2]) if len(args) == 3 else LOG_ENTRIES
    return [
        {
            b"count": entry.count,
            b"reason": entry.reason.encode(),
            b"context": entry.context.encode(),
            b"object": entry.subject,
            b"username": entry.username,
            b"age-seconds": (server.clock.now_ms - entry.updated_ms) / 1000,
            b"client-info": entry.client_info.encode("utf-8", "surrogateescape"),
            b"entry-id": entry.number,
            b"timestamp-created": entry.created_ms,
            b"timestamp-last-updated": entry.updated_ms,
        }
        for entry in list(entries)[: max(0, count)]
    ]


@command(
    "ACL SAVE",
    arity=2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
    summary="Writes the users into the ACL file.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:ALL_SUCCEEDED",
)
def acl_save(client: Client, args: Args) -> Reply:
    _check_file(client.server)
    if not save_file(client.server):
        raise RedisError(
            "ERR There was an error trying to save the ACLs. Please check the server logs for more "
            "information"
        )
    return OK


@command(
    "ACL SETUSER",
    "username [rule...]",
    arity=-3,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    since="6.0.0",
    complexity="O(N). Where N is the number of rules provided.",
    summary="Makes a user, or changes one.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:ALL_SUCCEEDED",
)
def acl_setuser(client: Client, args: Args) -> Reply:
    """Apply rules to a user, all of them or none."""
    server = client.server
    name = args[2]
    if has_spaces(name):
        raise RedisError("ERR Usernames can't contain spaces or null characters")
    try:
        words = merge_selectors(args[3:])
    except UnmatchedParenthesisError as exc:
        shown = _shown(args[3 + exc.index])
        raise RedisError(
            f"ERR Unmatched parenthesis in acl selector starting at '{shown}'."
        ) from None
    draft = server.acl.new_user(name)
    user = server.acl.users.get(name)
    if user is not None:
        draft.copy_rules(user)
    rules = rules_of(server)
    for word in words:
        try:
            rules.apply(draft, word)
        except RuleError as exc:
            raise RedisError("ERR " + user_error(word, str(exc))) from None
    server.acl.set_rules(name, draft)
    return OK


@command(
    "ACL USERS",
    arity=2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
    summary="Lists the names of the users.",
)
def acl_users(client: Client, args: Args) -> Reply:
    return [user.name for user in sorted_users(client.server)]


@command(
    "ACL WHOAMI",
    arity=2,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    since="6.0.0",
    complexity="O(1)",
    summary="Returns the name of the user that the connection is.",
)
def acl_whoami(client: Client, args: Args) -> Reply:
    return None if client.user is None else client.user.name


declare_help(command, "ACL", since="6.0.0", flags=LOADING | STALE | SENTINEL)
