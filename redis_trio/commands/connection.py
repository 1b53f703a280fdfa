"""The commands of a connection itself: who it is, what it speaks, which database it is in.

CLIENT is in client.py, ACL in acl.py.

Source: Redis networking.c helloCommand, resetCommand; acl.c authCommand; server.c pingCommand.
"""

from __future__ import annotations

from typing import Final

from redis_trio.acl.users import DEFAULT
from redis_trio.args import check_attribute, read_integer
from redis_trio.client import (
    REPLY_ON,
    REPLY_SKIP,
    Client,
)
from redis_trio.command import (
    ALLOW_BUSY,
    FAST,
    LOADING,
    NO_AUTH,
    NOSCRIPT,
    SENTINEL,
    STALE,
    group,
)
from redis_trio.errors import SYNTAX, RedisError, error_text, wrong_arity
from redis_trio.protocol.reply import OK, PONG, Reply, Status
from redis_trio.protocol.request import Args
from redis_trio.state import REDIS_VERSION
from redis_trio.transactions import end as end_transaction

command = group("connection")

RESET: Final = Status(b"RESET")

NO_PASSWORD_CONFIGURED: Final = (
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
HELLO_NOAUTH: Final = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
    "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the "
    "RESP protocol version at the same time"
)
BAD_NAME: Final = "ERR Client names cannot contain spaces, newlines or special characters."
INT_MIN: Final = -(2**31)
INT_MAX: Final = 2**31 - 1


@command(
    "AUTH",
    "[username]@6.0.0 password",
    arity=-2,
    flags=NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | SENTINEL | ALLOW_BUSY,
    acl="CONNECTION",
    since="1.0.0",
    complexity="O(N) where N is the number of passwords defined for the user",
    summary="Logs the connection in with a password.",
)
def auth(client: Client, args: Args) -> Reply:
    """Log in, as the default user if none is named.

    The reply to a wrong password is given even behind others in a pipeline, where Redis loses it
    (acl.c addAuthErrReply), so that each command has its reply. HELLO does the same.
    """
    acl = client.server.acl
    if len(args) > 3:
        raise RedisError(SYNTAX)
    if len(args) == 2:
        if acl.default.nopass:
            raise RedisError(NO_PASSWORD_CONFIGURED)
        acl.authenticate(client, DEFAULT, args[1], args[0])
    else:
        acl.authenticate(client, args[1], args[2], args[0])
    return OK


@command(
    "HELLO",
    "[protover [AUTH (username password)] [SETNAME clientname]]:arguments",
    arity=-1,
    flags=NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | SENTINEL | ALLOW_BUSY,
    acl="CONNECTION",
    since="6.0.0",
    complexity="O(1)",
    summary="Chooses the protocol version; logs in and names the connection on the way.",
)
def hello(client: Client, args: Args) -> Reply:
    """Shake hands. Nothing is changed if anything is wrong, but a right password logs in."""
    version = 0
    if len(args) > 1:
        version = read_integer(args[1], "ERR Protocol version is not an integer or out of range")
        if version not in (2, 3):
            raise RedisError("NOPROTO unsupported protocol version")
    name: bytes | None = None
    login: Args | None = None
    i = 2
    while i < len(args):
        option = args[i].lower()
        if option == b"auth" and i + 2 < len(args):
            login = args[i + 1 : i + 3]
            i += 3
        elif option == b"setname" and i + 1 < len(args):
            name = args[i + 1]
            check_attribute(name, BAD_NAME)
            i += 2
        else:
            raise RedisError(f"ERR Syntax error in HELLO option '{error_text(args[i])}'")
    if login is not None:
        client.server.acl.authenticate(client, login[0], login[1], args[0])
    if not client.authenticated:
        raise RedisError(HELLO_NOAUTH)
    if name is not None:
        client.name = name
    if version:
        client.resp = version
    return _handshake(client)


def _handshake(client: Client) -> Reply:
    """Return what HELLO tells of the server."""
    return {
        b"server": b"redis",
        b"version": REDIS_VERSION.encode(),
        b"proto": client.resp,
        b"id": client.id,
        b"mode": b"standalone",
        b"role": b"replica" if client.server.replication.is_replica else b"master",
        b"modules": [],
    }


@command(
    "PING",
    "[message]",
    arity=-1,
    flags=FAST | SENTINEL,
    acl="CONNECTION",
    since="1.0.0",
    complexity="O(1)",
    summary="Answers PONG, or what was sent.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:ALL_SUCCEEDED",
)
def ping(client: Client, args: Args) -> Reply:
    """Answer PONG, or the argument; to a subscriber in RESP2 in the form of a message."""
    if len(args) > 2:
        raise wrong_arity("ping")
    if client.subscriptions is not None and client.resp == 2:
        return [b"pong", args[1] if len(args) == 2 else b""]
    return PONG if len(args) == 1 else args[1]


@command(
    "ECHO",
    "message",
    arity=2,
    flags=LOADING | STALE | FAST,
    acl="CONNECTION",
    since="1.0.0",
    complexity="O(1)",
    summary="Answers what was sent.",
)
def echo(client: Client, args: Args) -> Reply:
    """Answer the argument."""
    return args[1]


@command(
    "SELECT",
    "index",
    arity=2,
    flags=LOADING | STALE | FAST,
    acl="CONNECTION",
    since="1.0.0",
    complexity="O(1)",
    summary="Goes to another database.",
)
def select(client: Client, args: Args) -> Reply:
    """Have the commands that follow work on another database."""
    index = read_integer(args[1])
    if not INT_MIN <= index <= INT_MAX:
        raise RedisError(f"ERR value is out of range, value must between {INT_MIN} and {INT_MAX}")
    if not 0 <= index < len(client.server.dbs):
        raise RedisError("ERR DB index is out of range")
    client.db = client.server.dbs[index]
    return OK


@command(
    "QUIT",
    arity=-1,
    flags=ALLOW_BUSY | NOSCRIPT | LOADING | STALE | FAST | NO_AUTH,
    acl="CONNECTION",
    since="1.0.0",
    complexity="O(1)",
    summary="Closes the connection.",
    doc_flags="DEPRECATED",
    deprecated_since="7.2.0",
    replaced_by="just closing the connection",
)
def quit_(client: Client, args: Args) -> Reply:
    """Close the connection once the replies are sent; what follows in the pipeline is not run."""
    client.close_when_sent()
    return OK


@command(
    "RESET",
    arity=1,
    flags=NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    acl="CONNECTION",
    since="6.2.0",
    complexity="O(1)",
    summary="Makes the connection as good as new.",
)
def reset(client: Client, args: Args) -> Reply:
    """Forget what was said on this connection, but for the library's name and version."""
    end_transaction(client)
    client.server.pubsub.forget(client)
    client.server.end_monitor(client)
    client.server.tracking.disable(client)
    client.db = client.server.dbs[0]
    client.resp = 2
    client.name = b""
    client.no_evict = False
    client.no_touch = False
    if client.reply_mode != REPLY_SKIP:  # this very reply is skipped then
        client.reply_mode = REPLY_ON
    client.log_in_by_default()
    return RESET
