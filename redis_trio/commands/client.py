"""CLIENT: looking at connections, naming, pausing and ending them.

Source: Redis networking.c clientCommand, catClientInfoString, getClientType.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from redis_trio.acl.users import User
from redis_trio.args import check_attribute, read_integer, read_integer_in
from redis_trio.blocking import pause, unpause
from redis_trio.client import (
    REPLY_OFF,
    REPLY_ON,
    REPLY_SKIP_NEXT,
    Client,
)
from redis_trio.client_line import client_line
from redis_trio.command import ADMIN, LOADING, NOSCRIPT, SENTINEL, STALE, group
from redis_trio.commands.connection import BAD_NAME
from redis_trio.errors import SYNTAX, RedisError, error_text, wrong_subcommand
from redis_trio.help import declare_help
from redis_trio.protocol.reply import NO_REPLY, OK, Reply, Verbatim
from redis_trio.protocol.request import Args

command = group("connection")

LONG_MAX: Final = 2**63 - 1
UNBLOCKED: Final = "UNBLOCKED client unblocked via CLIENT UNBLOCK"

_KINDS: Final = {
    b"normal": "normal",
    b"slave": "replica",
    b"replica": "replica",
    b"pubsub": "pubsub",
    b"master": "master",
}

command.container(
    "CLIENT",
    arity=-2,
    flags=SENTINEL,
    since="2.4.0",
    summary="A container for the commands that deal with connections.",
)


def _is_on(word: bytes) -> bool:
    """Read ON or OFF, in any case. Errors: syntax."""
    switch = word.lower()
    if switch not in (b"on", b"off"):
        raise RedisError(SYNTAX)
    return switch == b"on"


def _read_kind(word: bytes) -> str:
    """Read a class of clients. Errors: it is none."""
    kind = _KINDS.get(word.lower())
    if kind is None:
        raise RedisError(f"ERR Unknown client type '{error_text(word)}'")
    return kind


# -- the lines of clients


def _lines(clients: Iterable[Client], asking: Client, args: Args) -> Verbatim:
    lines = [client_line(one, args if one is asking else None) for one in clients]
    return Verbatim("".join(lines).encode("utf-8", "surrogateescape"))


@command(
    "CLIENT ID",
    arity=2,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="5.0.0",
    complexity="O(1)",
    summary="Returns the id of the connection.",
)
def client_id(client: Client, args: Args) -> Reply:
    """Return the id, which no other connection of this server ever had."""
    return int(client.id)


@command(
    "CLIENT INFO",
    arity=2,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="6.2.0",
    complexity="O(1)",
    summary="Returns what CLIENT LIST shows of the connection itself.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def client_info(client: Client, args: Args) -> Reply:
    """Describe the connection itself."""
    return _lines([client], client, args)


@command(
    "CLIENT LIST",
    "[TYPE <'normal' | 'master' | 'replica' | 'pubsub'>:client-type@5.0.0] [ID client-id...]@6.2.0",
    arity=-2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="2.4.0",
    complexity="O(N) where N is the number of client connections",
    summary="Lists the connections, a line for each.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def client_list(client: Client, args: Args) -> Reply:
    """Describe all connections, those of a class, or those with certain ids."""
    clients = client.server.clients
    count = len(args)
    word = args[2].lower() if count > 2 else b""
    if count == 4 and word == b"type":
        kind = _read_kind(args[3])
        return _lines([one for one in clients.values() if one.kind == kind], client, args)
    if count > 3 and word == b"id":
        ids = [read_integer(arg, "ERR Invalid client ID") for arg in args[3:]]
        return _lines([clients[number] for number in ids if number in clients], client, args)
    if count != 2:
        raise RedisError(SYNTAX)
    return _lines(clients.values(), client, args)


# -- ending connections


class _Filter:
    """Which connections CLIENT KILL ends: those that match all that is not None."""

    __slots__ = ("addr", "client_id", "kind", "laddr", "max_age_s", "skip_me", "user")

    def __init__(self) -> None:
        self.addr: bytes | None = None
        self.laddr: bytes | None = None
        self.kind: str | None = None
        self.client_id: int | None = None
        self.user: User | None = None
        self.max_age_s: int | None = None
        self.skip_me = True

    def read(self, option: bytes, value: bytes, users: dict[bytes, User]) -> None:
        """Take one option. Errors: its value is not one; syntax."""
        if option == b"id":
            message = "ERR client-id should be greater than 0"
            self.client_id = read_integer_in(value, 1, LONG_MAX, message)
        elif option == b"maxage":
            message = "ERR maxage is not an integer or out of range"
            self.max_age_s = read_integer(value, message)
            if self.max_age_s <= 0:
                raise RedisError("ERR maxage should be greater than 0")
        elif option == b"type":
            self.kind = _read_kind(value)
        elif option == b"addr":
            self.addr = value
        elif option == b"laddr":
            self.laddr = value
        elif option == b"user":
            self.user = users.get(value)
            if self.user is None:
                raise RedisError(f"ERR No such user '{error_text(value)}'")
        elif option == b"skipme":
            if value.lower() not in (b"yes", b"no"):
                raise RedisError(SYNTAX)
            self.skip_me = value.lower() == b"yes"
        else:
            raise RedisError(SYNTAX)

    def matches(self, client: Client, asking: Client) -> bool:
        """Whether `asking` wants this connection to end."""
        age_s = client.server.clock.now_ms // 1000 - client.created_ms // 1000
        return (
            (self.addr is None or self.addr == (client.addr or "?:0").encode())
            and (self.laddr is None or self.laddr == (client.laddr or "?:0").encode())
            and (self.kind is None or self.kind == client.kind)
            and (self.client_id is None or self.client_id == client.id)
            and (self.user is None or self.user is client.user)
            and (self.max_age_s is None or age_s >= self.max_age_s)
            and not (self.skip_me and client is asking)
        )


@command(
    "CLIENT KILL",
    "<old-format!2.8.12/ip:port | <[ID client-id]@2.8.12"
    " | [TYPE <'normal' | 'master'@3.2.0 | 'slave' | 'replica'@5.0.0 | 'pubsub'>"
    ":client-type@2.8.12]"
    " | [USER username] | [ADDR addr/ip:port] | [LADDR laddr/ip:port]@6.2.0"
    " | [SKIPME <YES | NO>] | [MAXAGE maxage]@7.4.0>:new-format...>:filter",
    arity=-3,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="2.4.0",
    complexity="O(N) where N is the number of client connections",
    summary="Ends connections.",
)
def client_kill(client: Client, args: Args) -> Reply:
    """End the connections that match, at once; this one when it has its reply.

    Reply: OK in the old form, with an address alone; else how many there were.
    """
    wanted = _Filter()
    if len(args) == 3:
        wanted.addr = args[2]
        wanted.skip_me = False
    else:
        for i in range(2, len(args), 2):
            if i + 1 == len(args):
                raise RedisError(SYNTAX)
            wanted.read(args[i].lower(), args[i + 1], client.server.acl.users)
    killed = [one for one in client.server.clients.values() if wanted.matches(one, client)]
    for one in killed:
        if one is client:
            one.close_when_sent()
        else:
            one.close()
    if len(args) > 3:
        return len(killed)
    if not killed:
        raise RedisError("ERR No such client")
    return OK


# -- who is at the other end


@command(
    "CLIENT GETNAME",
    arity=2,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="2.6.9",
    complexity="O(1)",
    summary="Returns the name of the connection.",
)
def client_getname(client: Client, args: Args) -> Reply:
    """Return the name, None if it has none."""
    return client.name or None


@command(
    "CLIENT SETNAME",
    "connection-name",
    arity=3,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="2.6.9",
    complexity="O(1)",
    summary="Names the connection.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:ALL_SUCCEEDED",
)
def client_setname(client: Client, args: Args) -> Reply:
    """Set the name; an empty one takes it away."""
    check_attribute(args[2], BAD_NAME)
    client.name = args[2]
    return OK


@command(
    "CLIENT SETINFO",
    "<'lib-name' libname | 'lib-ver' libver>:attr",
    arity=4,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="7.2.0",
    complexity="O(1)",
    summary="Tells which library the connection belongs to.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:ALL_SUCCEEDED",
)
def client_setinfo(client: Client, args: Args) -> Reply:
    """Set the name or the version of the library; an empty one takes it away."""
    attribute = args[2].lower()
    if attribute not in (b"lib-name", b"lib-ver"):
        raise RedisError(f"ERR Unrecognized option '{error_text(args[2])}'")
    message = f"ERR {error_text(args[2])} cannot contain spaces, newlines or special characters."
    check_attribute(args[3], message)
    if attribute == b"lib-name":
        client.lib_name = args[3]
    else:
        client.lib_ver = args[3]
    return OK


# -- what it gets, and what its commands leave behind


@command(
    "CLIENT REPLY",
    "<ON | OFF | SKIP>:action",
    arity=3,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="3.2.0",
    complexity="O(1)",
    summary="Switches replies on or off, or skips the next one.",
)
def client_reply(client: Client, args: Args) -> Reply:
    """Say which commands are answered; only ON is answered itself."""
    mode = args[2].lower()
    if mode == b"on":
        client.reply_mode = REPLY_ON
    elif mode == b"off":
        client.reply_mode = REPLY_OFF
    elif mode == b"skip":
        if client.reply_mode != REPLY_OFF:
            client.reply_mode = REPLY_SKIP_NEXT
    else:
        raise RedisError(SYNTAX)
    client.update_gate()
    return OK if mode == b"on" else NO_REPLY


@command(
    "CLIENT NO-EVICT",
    "<ON | OFF>:enabled",
    arity=3,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="7.0.0",
    complexity="O(1)",
    summary="Keeps the connection from being closed to save memory.",
)
def client_no_evict(client: Client, args: Args) -> Reply:
    """Protect the connection from maxmemory-clients."""
    client.no_evict = _is_on(args[2])
    return OK


@command(
    "CLIENT NO-TOUCH",
    "<ON | OFF>:enabled",
    arity=3,
    flags=NOSCRIPT | LOADING | STALE,
    acl="CONNECTION",
    since="7.2.0",
    complexity="O(1)",
    summary="Leaves the access times of keys alone.",
)
def client_no_touch(client: Client, args: Args) -> Reply:
    """Let the connection's commands be no reason to keep a key longer."""
    client.no_touch = _is_on(args[2])
    client.update_gate()
    return OK


# -- holding clients up, and letting them go


@command(
    "CLIENT PAUSE",
    "timeout:integer [WRITE | ALL]:mode@6.2.0",
    arity=-3,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="3.0.0",
    complexity="O(1)",
    summary="Holds commands up for some time.",
)
def client_pause(client: Client, args: Args) -> Reply:
    """Let no command, or no write, begin before the time is over."""
    if len(args) > 4:
        raise wrong_subcommand(args)
    mode = args[3].lower() if len(args) == 4 else b"all"
    if mode not in (b"write", b"all"):
        raise RedisError("ERR CLIENT PAUSE mode must be WRITE or ALL")
    server = client.server
    timeout_ms = read_integer(args[2], "ERR timeout is not an integer or out of range")
    if timeout_ms < 0:
        raise RedisError("ERR timeout is negative")
    if timeout_ms > LONG_MAX - server.clock.now_ms:
        raise RedisError("ERR timeout is out of range")
    pause(server, server.clock.now_ms + timeout_ms if timeout_ms else 0, mode == b"all")
    return OK


@command(
    "CLIENT UNPAUSE",
    arity=2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="6.2.0",
    complexity="O(N) Where N is the number of paused clients",
    summary="Ends a pause.",
)
def client_unpause(client: Client, args: Args) -> Reply:
    """Let the clients go on that CLIENT PAUSE holds up."""
    unpause(client.server)
    return OK


@command(
    "CLIENT UNBLOCK",
    "client-id [TIMEOUT | ERROR]:unblock-type",
    arity=-3,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="5.0.0",
    complexity="O(log N) where N is the number of client connections",
    summary="Ends the blocking command of another connection.",
)
def client_unblock(client: Client, args: Args) -> Reply:
    """Answer a blocked client, as at its timeout or with an error.

    Reply: 1; 0 if it is not there, is not blocked, or only held up by CLIENT PAUSE.
    """
    if len(args) > 4:
        raise wrong_subcommand(args)
    reason = args[3].lower() if len(args) == 4 else b"timeout"
    if reason not in (b"timeout", b"error"):
        raise RedisError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    server = client.server
    target = server.clients.get(read_integer(args[2]))
    waiter = None if target is None else target.waiter
    if waiter is None or not waiter.block.may_end:
        return 0
    is_error = reason == b"error"
    if not waiter.answer(RedisError(UNBLOCKED) if is_error else waiter.block.late_reply()):
        return 0
    waiter.count()
    if is_error:
        waiter.command.failed_calls += 1
        server.count_error("UNBLOCKED")
    return 1


declare_help(command, "CLIENT", since="5.0.0", flags=LOADING | STALE | SENTINEL, acl="CONNECTION")
