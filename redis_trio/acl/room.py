"""The users of a server: the check before every command of one who is restricted, and changes.

1. A client whose user is None may do everything: calls from inside the process, the append-only
   file that is loaded, what comes from a primary.
2. Who changes a user calls `Acl.changed`, so that the gates of its clients follow.

Source: Redis acl.c ACLCheckAllUserCommandPerm and what it calls, ACLKillPubsubClientsIfNeeded;
networking.c authRequired, deauthenticateAndCloseClient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.acl.categories import Names
from redis_trio.acl.log import AclLog
from redis_trio.acl.users import (
    ALLOWED,
    DEFAULT,
    DENIED_AUTH,
    DENIED_CHANNEL,
    DENIED_COMMAND,
    DENIED_KEY,
    READ,
    Matcher,
    Selector,
    User,
    needed,
    password_hash,
)
from redis_trio.command import Command, Declaration, GetKeys, KeyReference, lookup
from redis_trio.errors import RedisError, error_text
from redis_trio.keys import has_keys, has_varying_flags, key_range, permitted_keys
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.pubsub import Subscriptions
    from redis_trio.state import ServerState

WRONGPASS: Final = "WRONGPASS invalid username-password pair or user is disabled."

# How the keys of a command are found (_Uses.kind).
_NO_KEYS: Final = 0
_ONE_KEY: Final = 1
_RANGE: Final = 2
_SEARCH: Final = 3

_CHANNELS: Final = {
    "subscribe": (-1, False),
    "ssubscribe": (-1, False),
    "psubscribe": (-1, True),
    "publish": (2, False),
    "spublish": (2, False),
}
"""`{command: (up to which argument there are channels, whether they are patterns)}`."""


class _Uses:
    """Which arguments of a command are keys and channels.

    Attributes:
      kind: how keys are found: of _NO_KEYS ...
      first, last, step: where keys are, of _ONE_KEY and _RANGE; `last` is negative: from the end.
      wanted: the permissions for each of these.
      search: finds the keys, of _SEARCH.
      channels_end: up to which argument there are channels, -1: to the end, 0: there are none.
      are_patterns: whether they are patterns.
    """

    __slots__ = (
        "are_patterns",
        "channels_end",
        "first",
        "kind",
        "last",
        "search",
        "step",
        "wanted",
    )

    def __init__(self, command: Command) -> None:
        declaration = command.declaration
        self.kind: i64 = _NO_KEYS
        self.first: i64 = 0
        self.last: i64 = 0
        self.step: i64 = 1
        self.wanted: i64 = 0
        self.search: GetKeys | None = None
        if has_keys(declaration):
            self._learn(declaration)
        end, are_patterns = _CHANNELS.get(command.fullname, (0, False))
        self.channels_end: i64 = end
        self.are_patterns = are_patterns

    def _learn(self, declaration: Declaration) -> None:
        """Find out how keys are found in the quickest way."""
        found = key_range(declaration)
        if found is not None:
            first, last, step, flags = found
            self.kind = _ONE_KEY if last == first < abs(declaration.arity) else _RANGE
            self.first, self.last, self.step = first, last, step
            self.wanted = needed(flags)
            return
        self.kind = _SEARCH
        if has_varying_flags(declaration):
            self.search = declaration.get_keys


class Acl:
    """The users of one server.

    Attributes:
      users: by name.
      default: the user that every client is at first.
      auth_required: whether that is not enough to run commands.
      denied_at: the argument because of which `check` has refused, 0 if it was the command itself.
      log: of what was refused.
    """

    __slots__ = (
        "_found",
        "_names",
        "_server",
        "_uses",
        "auth_required",
        "default",
        "denied_at",
        "log",
        "users",
    )

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._uses: dict[str, _Uses] = {}
        self._found: list[KeyReference] | None = None  # the keys of the command in hand
        self._names: Names | None = None
        self.denied_at: i64 = 0
        self.log = AclLog(server)
        self.default = User(DEFAULT, True)
        self.default.allow_everything()
        self.users: dict[bytes, User] = {DEFAULT: self.default}
        self.auth_required = False
        server.config.subscribe("requirepass", self._password_changed)
        self._password_changed()

    @property
    def names(self) -> Names:
        """The commands and categories that rules know."""
        if self._names is None:
            self._names = Names()
        return self._names

    def new_user(self, name: bytes) -> User:
        """Return a user who may do nothing, not yet in `users`."""
        return User(name, self._server.config.acl_pubsub_default == "allchannels")

    # -- logging in

    def authenticate(self, client: Client, name: bytes, password: bytes, via: bytes) -> None:
        """Make a client the user whose password this is. Errors: WRONGPASS.

        Args:
          via: the command as it was typed, for the log.
        """
        user = self.users.get(name)
        right = (self.default if user is None else user).accepts(password)
        if user is None or not right:
            self.log.add(client, DENIED_AUTH, _context(client), via, name)
            raise RedisError(WRONGPASS)
        client.user = user
        client.set_authenticated(True)

    def _password_changed(self) -> None:
        """Follow `requirepass`, the password of the default user; none: any will do."""
        password = self._server.config.requirepass
        default = self.default
        default.nopass = not password
        default.passwords = (
            [password_hash(password.encode("utf-8", "surrogateescape"))] if password else []
        )
        self.changed(default)

    # -- checking

    def refusal(self, client: Client, command: Command, args: Args, context: str) -> str:
        """Return why a client may not run a command, and log that; "" if it may.

        Args:
          context: `toplevel`, `multi` or `lua`.
        """
        user = client.user
        if user is None or user.unrestricted:
            return ""
        denied = self.check(user, command, args)
        if denied == ALLOWED:
            return ""
        self.refused(client, denied, command, args, context)
        return denial_text(denied, user, command, None)

    def refused(
        self, client: Client, denied: int, command: Command, args: Args, context: str
    ) -> None:
        """Log what `check` has just refused to a client."""
        assert client.user is not None
        name = command.fullname.encode() if denied == DENIED_COMMAND else args[self.denied_at]
        self.log.add(client, denied, context, name, client.user.name)

    def check(self, user: User | None, command: Command, args: Args) -> int:
        """Return whether a user may run a command: ALLOWED, DENIED_COMMAND, ...

        Of several refusals it is the one that came furthest; `denied_at` says where.
        """
        self.denied_at = 0
        if user is None or user.unrestricted:
            return ALLOWED
        uses = self._uses_of(command)
        self._found = None
        worst: int = DENIED_COMMAND
        where: i64 = 0
        for selector in user.selectors:
            denied = self._denial(selector, command, uses, args)
            if denied == ALLOWED:
                self.denied_at = 0
                return ALLOWED
            if denied > worst or (denied == worst and self.denied_at > where):
                worst = denied
                where = self.denied_at
        self.denied_at = where
        return worst

    def _uses_of(self, command: Command) -> _Uses:
        uses = self._uses.get(command.fullname)
        if uses is None:
            uses = self._uses[command.fullname] = _Uses(command)
        return uses

    def _denial(self, selector: Selector, command: Command, uses: _Uses, args: Args) -> int:
        """Return why one selector does not allow a command, and note where."""
        if not selector.allows_command(command, args):
            return DENIED_COMMAND
        if uses.kind == _ONE_KEY:
            if not selector.all_keys and not selector.allows_key(args[uses.first], uses.wanted):
                self.denied_at = uses.first
                return DENIED_KEY
        elif uses.kind != _NO_KEYS and not selector.all_keys:
            if uses.kind == _RANGE:
                if self._denies_range(selector, uses, args):
                    return DENIED_KEY
            elif self._denies_found(selector, command, uses, args):
                return DENIED_KEY
        if uses.channels_end != 0 and not selector.all_channels:
            end: i64 = len(args) if uses.channels_end < 0 else uses.channels_end
            for channel_at in range(1, end):
                if not selector.allows_channel(args[channel_at], uses.are_patterns):
                    self.denied_at = channel_at
                    return DENIED_CHANNEL
        return ALLOWED

    def _denies_range(self, selector: Selector, uses: _Uses, args: Args) -> bool:
        """Whether a key of a command that has them in a row may not be used."""
        count: i64 = len(args)
        end: i64 = uses.last + count if uses.last < 0 else uses.last
        if end >= count:
            return False  # it is refused for that when it runs
        for position in range(uses.first, end + 1, uses.step):
            if not selector.allows_key(args[position], uses.wanted):
                self.denied_at = position
                return True
        return False

    def _denies_found(self, selector: Selector, command: Command, uses: _Uses, args: Args) -> bool:
        """Whether a key that must be searched for may not be used."""
        found = self._found
        if found is None:
            search = uses.search
            if search is not None:
                found = search(args)
            else:
                found = permitted_keys(command.declaration, args)
            self._found = found
        for position, flags in found:
            if not selector.allows_key(args[position], needed(flags)):
                self.denied_at = position
                return True
        return False

    def may_read_all_keys(self, client: Client, args: Args) -> bool:
        """Whether a client's command may read keys that are not among its arguments (SORT BY).

        One selector must allow both, the command and all keys.
        """
        user = client.user
        if user is None or user.unrestricted:
            return True
        command = lookup(self._server.commands, args)
        assert command is not None
        uses = self._uses_of(command)
        self._found = None
        for selector in user.selectors:
            if (
                selector.allows_all_keys(READ)
                and self._denial(selector, command, uses, args) == ALLOWED
            ):
                return True
        return False

    # -- changing users

    def changed(self, user: User) -> None:
        """Have everybody know that a user has changed."""
        user.update()
        default = self.default
        self.auth_required = not default.nopass or not default.enabled
        for client in self._server.clients.values():
            if client.user is user:
                client.update_gate()

    def set_rules(self, name: bytes, source: User) -> None:
        """Make a user, new or not, like `source`; subscribers who may not listen any more go."""
        user = self.users.get(name)
        if user is None:
            user = self.users[name] = User(name, False)
        else:
            lost = lost_channels(user, source)
            for client in list(self._server.clients.values()):
                if client.user is user:
                    self._end_if_listens(client, lost)
        user.copy_rules(source)
        self.changed(user)

    def delete(self, name: bytes) -> bool:
        """Delete a user and end its connections; return whether there was one."""
        user = self.users.pop(name, None)
        if user is None:
            return False
        for client in list(self._server.clients.values()):
            if client.user is user:
                self._end(client)
        return True

    def replace(self, users: dict[bytes, User]) -> None:
        """Have other users from now on; the connections of those who are not there any more go.

        The default user's object stays, whose rules are those of the new one, or as at first.
        """
        old = User(DEFAULT, False)
        old.copy_rules(self.default)
        new = users.get(DEFAULT)
        if new is None:
            new = User(DEFAULT, True)
            new.allow_everything()
        self.default.copy_rules(new)
        self.users = users
        users[DEFAULT] = self.default
        for client in list(self._server.clients.values()):
            before = client.user
            if before is None:
                continue
            user = users.get(before.name)
            if user is None:
                self._end(client)
                continue
            self._end_if_listens(client, lost_channels(old if user is before else before, user))
            if client.user is before:
                client.user = user
            client.update_gate()
        self.changed(self.default)

    def _end_if_listens(self, client: Client, allowed: dict[bytes, None] | None) -> None:
        """End the connection of a subscriber to something that is not allowed; None: all is."""
        own = client.subscriptions
        if own is not None and allowed is not None and listens_beyond(own, allowed):
            self._end(client)

    def _end(self, client: Client) -> None:
        """End a connection; what runs on it at this moment has its reply first."""
        client.user = self.default
        client.set_authenticated(False)
        if client is self._server.current:
            client.close_when_sent()
        else:
            client.close()


def _context(client: Client) -> str:
    return "toplevel" if client.transaction is None else "multi"


def denial_text(denied: int, user: User, command: Command, name: bytes | None) -> str:
    """Return what a client is told of a refusal.

    Args:
      name: the key or channel, if it is to be named.
    """
    who = error_text(user.name)
    if denied == DENIED_COMMAND:
        return f"User {who} has no permissions to run the '{command.fullname}' command"
    kind = "key" if denied == DENIED_KEY else "channel"
    if name is None:
        return f"No permissions to access a {kind}"
    return f"User {who} has no permissions to access the '{error_text(name)}' {kind}"


def lost_channels(before: User, after: User) -> dict[bytes, None] | None:
    """Return the channels that remain allowed if some may be lost, None if none can be.

    Source: acl.c getUpcomingChannelList.
    """
    upcoming: dict[bytes, None] = {}
    for selector in after.selectors:
        if selector.all_channels:
            return None
        upcoming.update(selector.channels)
    for selector in before.selectors:
        if selector.all_channels:
            return upcoming
        for text in selector.channels:
            if text not in upcoming:
                return upcoming
    return None


def listens_beyond(own: Subscriptions, allowed: dict[bytes, None]) -> bool:
    """Whether a client listens to something that is not allowed."""
    if any(pattern not in allowed for pattern in own.patterns):
        return True
    matcher = Matcher(allowed)
    return not all(matcher.matches(name) for name in [*own.channels, *own.shard_channels])
