"""CLIENT TRACKING and its like: what a client caches is invalidated; see redis_trio/tracking.py.

Source: Redis networking.c clientCommand; tracking.c checkPrefixCollisionsOrReply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_trio.args import option_name, read_integer
from redis_trio.command import LOADING, NOSCRIPT, SENTINEL, STALE, group
from redis_trio.errors import SYNTAX, RedisError, error_text
from redis_trio.protocol.reply import OK, Reply, SetReply
from redis_trio.protocol.request import Args
from redis_trio.tracking import overlap

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.tracking import Tracking

command = group("connection")


class _Options:
    """What stands behind CLIENT TRACKING ON or OFF."""

    __slots__ = ("bcast", "noloop", "optin", "optout", "prefixes", "redirect")

    def __init__(self) -> None:
        self.redirect = 0
        self.bcast = False
        self.optin = False
        self.optout = False
        self.noloop = False
        self.prefixes: list[bytes] = []

    def read(self, client: Client, args: Args) -> None:
        """Take the options. Errors: no such one; a client to redirect to that is not there."""
        i = 0
        while i < len(args):
            word = option_name(args[i])
            if word == b"REDIRECT" and i + 1 < len(args):
                i += 1
                self._redirect_to(client, args[i])
            elif word == b"PREFIX" and i + 1 < len(args):
                i += 1
                self.prefixes.append(args[i])
            elif word == b"BCAST":
                self.bcast = True
            elif word == b"OPTIN":
                self.optin = True
            elif word == b"OPTOUT":
                self.optout = True
            elif word == b"NOLOOP":
                self.noloop = True
            else:
                raise RedisError(SYNTAX)
            i += 1

    def _redirect_to(self, client: Client, arg: bytes) -> None:
        if self.redirect:
            raise RedisError("ERR A client can only redirect to a single other client")
        self.redirect = read_integer(arg)
        if self.redirect not in client.server.clients:
            raise RedisError("ERR The client ID you want redirect to does not exist")

    def check(self, now: Tracking | None) -> None:
        """Check that the options fit each other, and how the client tracks by now.

        Errors: they do not.
        """
        if self.prefixes and not self.bcast:
            raise RedisError("ERR PREFIX option requires BCAST mode to be enabled")
        if now is not None and now.bcast != self.bcast:
            raise RedisError(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
                "and then re-enabling it with a different mode."
            )
        if self.bcast and (self.optin or self.optout):
            raise RedisError("ERR OPTIN and OPTOUT are not compatible with BCAST")
        if self.optin and self.optout:
            raise RedisError("ERR You can't specify both OPTIN mode and OPTOUT mode")
        if now is not None and ((self.optin and now.optout) or (self.optout and now.optin)):
            raise RedisError(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
                "and then re-enabling it with a different mode."
            )
        self._check_prefixes(now)

    def _check_prefixes(self, now: Tracking | None) -> None:
        """Refuse prefixes that can begin the same key, so that nobody is told of it twice.

        Where the first of them is not involved Redis 7.4 reports the error and enables tracking all
        the same, with two replies to one command; here it is an error like the others.
        """
        for i, prefix in enumerate(self.prefixes):
            existing = None if now is None else now.overlapping(prefix)
            if existing is not None:
                raise _overlap_error(prefix, "an existing", existing)
            for other in self.prefixes[i + 1 :]:
                if overlap(prefix, other):
                    raise _overlap_error(prefix, "another provided", other)


def _overlap_error(prefix: bytes, which: str, other: bytes) -> RedisError:
    """Return the error; it shows the prefixes up to a NUL."""
    shown, other_shown = [error_text(word.partition(b"\0")[0]) for word in (prefix, other)]
    return RedisError(
        f"ERR Prefix '{shown}' overlaps with {which} prefix '{other_shown}'. "
        "Prefixes for a single client must not overlap."
    )


@command(
    "CLIENT CACHING",
    "<YES | NO>:mode",
    arity=3,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="6.0.0",
    complexity="O(1)",
    summary="Says whether what the next command reads is tracked.",
)
def client_caching(client: Client, args: Args) -> Reply:
    """Have the keys of the next command or transaction tracked (OPTIN), or not (OPTOUT)."""
    tracking = client.tracking
    if tracking is None:
        raise RedisError(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN "
            "or OPTOUT mode enabled"
        )
    mode = option_name(args[2])
    if mode == b"YES":
        if not tracking.optin:
            raise RedisError(
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
            )
    elif mode == b"NO":
        if not tracking.optout:
            raise RedisError(
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
            )
    else:
        raise RedisError(SYNTAX)
    tracking.caching = True
    client.update_gate()
    return OK


@command(
    "CLIENT GETREDIR",
    arity=2,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="6.0.0",
    complexity="O(1)",
    summary="Returns the id of the connection that gets the invalidations.",
)
def client_getredir(client: Client, args: Args) -> Reply:
    """Return who is told in place of this client: 0 nobody, -1 if it does not track."""
    return -1 if client.tracking is None else client.tracking.redirect


@command(
    "CLIENT TRACKING",
    "<ON | OFF>:status [REDIRECT client-id] [PREFIX... prefix] [BCAST:BCAST] [OPTIN:OPTIN]"
    " [OPTOUT:OPTOUT] [NOLOOP:NOLOOP]",
    arity=-3,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="6.0.0",
    complexity="O(1). Some options may introduce additional complexity.",
    summary="Switches client-side caching on or off.",
)
def client_tracking(client: Client, args: Args) -> Reply:
    """Tell the client from now on when keys change that it has read, or no longer.

    With BCAST: when any key changes, or those that begin with one of the prefixes; ON adds to them.
    """
    options = _Options()
    options.read(client, args[3:])
    table = client.server.tracking
    switch = option_name(args[2])
    if switch == b"OFF":
        table.disable(client)
        return OK
    if switch != b"ON":
        raise RedisError(SYNTAX)
    options.check(client.tracking)
    tracking = table.enable(client, options.bcast)
    tracking.redirect = options.redirect
    tracking.broken = False
    tracking.optin = options.optin
    tracking.optout = options.optout
    tracking.noloop = options.noloop
    if options.bcast:
        for prefix in options.prefixes or [b""]:
            table.add_prefix(tracking, prefix)
    return OK


@command(
    "CLIENT TRACKINGINFO",
    arity=2,
    flags=NOSCRIPT | LOADING | STALE | SENTINEL,
    acl="CONNECTION",
    since="6.2.0",
    complexity="O(1)",
    summary="Tells how the connection tracks what it caches.",
)
def client_trackinginfo(client: Client, args: Args) -> Reply:
    """Describe the client's tracking: `flags`, `redirect` (as GETREDIR) and `prefixes`."""
    tracking = client.tracking
    flags: list[Reply] = [b"off" if tracking is None else b"on"]
    prefixes: list[Reply] = []
    if tracking is not None:
        if tracking.bcast:
            flags.append(b"bcast")
        if tracking.optin:
            flags.append(b"optin")
            if tracking.caching:
                flags.append(b"caching-yes")
        if tracking.optout:
            flags.append(b"optout")
            if tracking.caching:
                flags.append(b"caching-no")
        if tracking.noloop:
            flags.append(b"noloop")
        if tracking.broken:
            flags.append(b"broken_redirect")
        prefixes.extend(sorted(tracking.prefixes))
    return {
        b"flags": SetReply(flags),
        b"redirect": -1 if tracking is None else tracking.redirect,
        b"prefixes": prefixes,
    }
