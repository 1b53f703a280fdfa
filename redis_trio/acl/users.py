"""Users, and what each may do: selectors, each a set of allowed commands, keys and channels.

What one selector allows as a whole is allowed; the first, the root, is what rules outside of
parentheses change. Rules are read and described in rules.py, and looked at in room.py.

1. A user with a selector that allows everything is `unrestricted`: nothing is checked for its
   clients, and `Client.gated` does not count it.
2. Commands are known by their full names (`get`, `config|set`), which renaming does not change.

Source: Redis acl.c, struct user and aclSelector.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.command import NO_AUTH, Command
from redis_trio.data.glob import glob_match, is_plain
from redis_trio.keys import KEY_ACCESS, KEY_DELETE, KEY_INSERT, KEY_UPDATE
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from collections.abc import Iterable

# Why a command is refused.
ALLOWED: Final = 0
DENIED_COMMAND: Final = 1
DENIED_KEY: Final = 2
DENIED_AUTH: Final = 3
DENIED_CHANNEL: Final = 4

# What a key pattern allows (bits).
READ: Final = 1
WRITE: Final = 2

DEFAULT: Final = b"default"


def needed(flags: int) -> int:
    """Return the permissions that a use of a key needs: see keys.py for the flags."""
    wanted = READ if flags & KEY_ACCESS else 0
    if flags & (KEY_INSERT | KEY_DELETE | KEY_UPDATE):
        wanted |= WRITE
    return wanted


class Matcher:
    """Any of several glob patterns.

    Attributes:
      exact: patterns that are names; prefixes: what stands before a `*` at the end of others;
      globs: the rest.
    """

    __slots__ = ("exact", "globs", "prefixes")

    def __init__(self, patterns: Iterable[bytes]) -> None:
        self.exact: set[bytes] = set()
        self.globs: list[bytes] = []
        prefixes: list[bytes] = []
        for text in patterns:
            if is_plain(text):
                self.exact.add(text)
            elif len(text) > 1 and text[-1:] == b"*" and is_plain(text[:-1]):
                prefixes.append(text[:-1])
            else:
                self.globs.append(text)
        self.prefixes: tuple[bytes, ...] = tuple(prefixes)

    def matches(self, name: bytes) -> bool:
        """Whether a key or channel is one of those that are meant."""
        if name.startswith(self.prefixes) or name in self.exact:
            return True
        for pattern in self.globs:  # noqa: SIM110  (a generator is slow when compiled)
            if glob_match(pattern, name):
                return True
        return False


class Selector:
    """A set of permissions.

    Attributes:
      all_commands: whether every command is allowed and none was ever taken away.
      base: whether commands are allowed unless they are `exceptions` (which those are that no rule
        has named, too), or are not unless they are.
      first_args: `{command: first arguments, in lower case, with which it is allowed}`.
      rules: the rules about commands that made it so, in order, as they are shown.
      all_keys, all_channels: whether the patterns do not matter.
      keys: `{pattern: READ, WRITE or both}` in the order of their rules; channels: patterns.
    """

    __slots__ = (
        "_channel_matcher",
        "_key_matchers",
        "all_channels",
        "all_commands",
        "all_keys",
        "base",
        "channels",
        "exceptions",
        "first_args",
        "keys",
        "rules",
    )

    def __init__(self, all_channels: bool) -> None:
        self.all_commands = False
        self.base = False
        self.exceptions: set[str] = set()
        self.first_args: dict[str, list[bytes]] = {}
        self.rules: list[bytes] = []
        self.all_keys = False
        self.all_channels = all_channels
        self.keys: dict[bytes, int] = {}
        self.channels: dict[bytes, None] = {}
        self.forget()

    def forget(self) -> None:
        """Make nothing of the patterns as they were: they have changed."""
        self._key_matchers: list[Matcher | None] = [None] * (READ + WRITE + 1)
        self._channel_matcher: Matcher | None = None

    def copy(self) -> Selector:
        """Return another one like it."""
        new = Selector(self.all_channels)
        new.all_commands = self.all_commands
        new.base = self.base
        new.exceptions = set(self.exceptions)
        new.first_args = {name: list(words) for name, words in self.first_args.items()}
        new.rules = list(self.rules)
        new.all_keys = self.all_keys
        new.keys = dict(self.keys)
        new.channels = dict(self.channels)
        return new

    @property
    def allows_everything(self) -> bool:
        """Whether there is nothing that it does not allow."""
        return self.all_commands and self.all_keys and self.all_channels

    def allows_command(self, command: Command, args: Args) -> bool:
        """Whether a command may be called, if keys and channels do not matter."""
        if self.all_commands or command.flags & NO_AUTH:
            return True
        name = command.fullname
        if (name in self.exceptions) != self.base:
            return True
        if not self.first_args or len(args) < 2:
            return False
        words = self.first_args.get(name)
        return words is not None and args[1].lower() in words

    def allows_key(self, key: bytes, wanted: i64) -> bool:
        """Whether a key may be used; `wanted`: READ, WRITE, both, or 0 for its mere name."""
        matcher = self._key_matchers[wanted]
        if matcher is None:
            found = [text for text, allowed in self.keys.items() if allowed & wanted == wanted]
            matcher = self._key_matchers[wanted] = Matcher(found)
        return matcher.matches(key)

    def allows_all_keys(self, wanted: i64) -> bool:
        """Whether every key may be used so."""
        return self.all_keys or (wanted != 0 and self.keys.get(b"*", 0) & wanted == wanted)

    def allows_channel(self, channel: bytes, is_pattern: bool) -> bool:
        """Whether a channel may be used, or the very pattern of PSUBSCRIBE."""
        if is_pattern:
            return channel in self.channels
        if self._channel_matcher is None:
            self._channel_matcher = Matcher(self.channels)
        return self._channel_matcher.matches(channel)


class User:
    """A user.

    Attributes:
      enabled: whether it can log in; who has logged in stays so.
      nopass: whether any password is right.
      skip_sanitize: `skip-sanitize-payload`, which has no effect: every payload is checked.
      passwords: their SHA-256 in hexadecimal digits.
      selectors: the root and the others.
      unrestricted: whether it may do everything.
    """

    __slots__ = (
        "enabled",
        "name",
        "nopass",
        "passwords",
        "selectors",
        "skip_sanitize",
        "unrestricted",
    )

    def __init__(self, name: bytes, all_channels: bool) -> None:
        self.name = name
        self.enabled = False
        self.nopass = False
        self.skip_sanitize = False
        self.passwords: list[bytes] = []
        self.selectors: list[Selector] = [Selector(all_channels)]
        self.unrestricted = False

    def copy_rules(self, source: User) -> None:
        """Become like another user, but for the name."""
        self.enabled = source.enabled
        self.nopass = source.nopass
        self.skip_sanitize = source.skip_sanitize
        self.passwords = list(source.passwords)
        self.selectors = [selector.copy() for selector in source.selectors]
        self.update()

    def allow_everything(self) -> None:
        """Let it do everything, and log in with any password: the default user at first."""
        self.enabled = self.nopass = True
        root = self.selectors[0]
        root.all_commands = root.base = root.all_keys = root.all_channels = True
        self.update()

    def update(self) -> None:
        """Set `unrestricted` by the selectors."""
        self.unrestricted = any(selector.allows_everything for selector in self.selectors)

    def accepts(self, password: bytes) -> bool:
        """Whether one can log in with a password; the time that takes says nothing of it."""
        digest = password_hash(password)
        found = False
        for known in self.passwords:
            if hmac.compare_digest(digest, known):
                found = True
        return self.enabled and (self.nopass or found)


def password_hash(password: bytes) -> bytes:
    """Return what is kept of a password."""
    return hashlib.sha256(password).hexdigest().encode()
