"""The rules of ACL SETUSER: how they change a user, and how a user is described by rules.

Rules are C strings, as Redis sees them: what stands behind a NUL does not count, but in passwords.

1. `Rules.apply` changes nothing if it raises, but what rules before it have done stays: who wants
   all or nothing tries them on a copy.
2. A user that is described, and made again of the description, is the same.

Source: Redis acl.c ACLSetUser, ACLSetSelector, ACLUpdateCommandRules, ACLDescribeUser,
ACLMergeSelectorArguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from redis_trio.acl.categories import Names
from redis_trio.acl.users import READ, WRITE, Selector, User, password_hash
from redis_trio.errors import error_text
from redis_trio.protocol.request import split_inline

if TYPE_CHECKING:
    import logging

    from redis_trio.state import ServerState

UNKNOWN: Final = "Unknown command or category name in ACL"
SYNTAX: Final = "Syntax error"
KEYS_AFTER_ALL: Final = (
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have "
    "any effect. Try 'resetkeys' to start with an empty list of patterns"
)
CHANNELS_AFTER_ALL: Final = (
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not "
    "have any effect. Try 'resetchannels' to start with an empty list of channels"
)
NO_SUCH_PASSWORD: Final = "The password you are trying to remove from the user does not exist"
BAD_HASH: Final = (
    "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
    "characters"
)
DUPLICATE: Final = "Duplicate user found. A user can only be defined once in config files"
FIRST_ARG: Final = "Allowing first-arg of a subcommand is not supported"

_SPACES: Final = b" \t\n\v\f\r\0"
_HEX: Final = b"0123456789abcdef"


class RuleError(Exception):
    """A rule is refused; `str()` is the reason, in Redis's words."""


class UnmatchedParenthesisError(Exception):
    """A selector is not closed.

    Attributes:
      index: of the word that opens it.
    """

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


def has_spaces(text: bytes) -> bool:
    """Whether there is white space or a NUL, which names and patterns cannot have."""
    return any(byte in _SPACES for byte in text)


def merge_selectors(words: Sequence[bytes]) -> list[bytes]:
    """Join the words of each selector that was split at its spaces.

    Raises:
      UnmatchedParenthesisError: the last one is not closed.
    """
    merged: list[bytes] = []
    opened = -1
    selector = b""
    for i, word in enumerate(words):
        if opened < 0 and word.startswith(b"(") and not word.endswith(b")"):
            selector = word
            opened = i
        elif opened < 0:
            merged.append(word)
        else:
            selector += b" " + _c_string(word)
            if word.endswith(b")"):
                opened = -1
                merged.append(selector)
    if opened >= 0:
        raise UnmatchedParenthesisError(opened)
    return merged


def _c_string(word: bytes) -> bytes:
    return word.partition(b"\0")[0]


class Rules:
    """Applies rules to users.

    Args:
      all_channels: whether new users and selectors may use every channel (acl-pubsub-default).
      log: is told of rules that may get disabled one day; None: nobody is.
    """

    def __init__(self, names: Names, all_channels: bool, log: logging.Logger | None) -> None:
        self.names = names
        self.all_channels = all_channels
        self.log = log

    def apply(self, user: User, rule: bytes) -> None:
        """Apply one rule.

        Raises:
          RuleError: it is none, or does not go with those before it.
        """
        word = _c_string(rule).lower()
        if not rule:
            return
        if word in (b"on", b"off"):
            user.enabled = word == b"on"
        elif word in (b"skip-sanitize-payload", b"sanitize-payload"):
            user.skip_sanitize = word == b"skip-sanitize-payload"
        elif word in (b"nopass", b"resetpass"):
            user.nopass = word == b"nopass"
            user.passwords = []
        elif rule[:1] in (b">", b"#"):
            password = _digest(rule, b">")
            if password not in user.passwords:
                user.passwords.append(password)
            user.nopass = False
        elif rule[:1] in (b"<", b"!"):
            password = _digest(rule, b"<")
            if password not in user.passwords:
                raise RuleError(NO_SUCH_PASSWORD)
            user.passwords.remove(password)
        elif rule[:1] == b"(" and rule[-1:] == b")":
            user.selectors.append(self._selector(rule[1:-1]))
        elif word == b"clearselectors":
            del user.selectors[1:]
        elif word == b"reset":
            self._reset(user)
        else:
            self.apply_to_selector(user.selectors[0], rule)

    def _reset(self, user: User) -> None:
        """Make a user as it is when it is new."""
        user.enabled = user.nopass = user.skip_sanitize = False
        user.passwords = []
        user.selectors = [Selector(self.all_channels)]

    def _selector(self, text: bytes) -> Selector:
        selector = Selector(self.all_channels)
        for rule in split_inline(_c_string(text)) or []:
            self.apply_to_selector(selector, rule)
        return selector

    def apply_to_selector(self, selector: Selector, rule: bytes) -> None:
        """Apply a rule about commands, keys or channels. Raises: as `apply`."""
        word = _c_string(rule).lower()
        kind = rule[:1]
        if word in (b"allkeys", b"~*", b"resetkeys"):
            selector.all_keys = word != b"resetkeys"
            selector.keys = {}
            selector.forget()
        elif word in (b"allchannels", b"&*", b"resetchannels"):
            selector.all_channels = word != b"resetchannels"
            selector.channels = {}
            selector.forget()
        elif word in (b"allcommands", b"+@all", b"nocommands", b"-@all"):
            selector.all_commands = selector.base = word in (b"allcommands", b"+@all")
            selector.exceptions = set()
            selector.first_args = {}
            selector.rules = []
        elif kind in (b"~", b"%"):
            _add_key_pattern(selector, rule)
        elif kind == b"&":
            _add_channel_pattern(selector, rule[1:])
        elif kind in (b"+", b"-") and word[1:2] == b"@":
            self._category(selector, word)
        elif kind == b"+" and b"|" in word:
            self._subcommand(selector, word)
        elif kind in (b"+", b"-"):
            name = self.names.find(word[1:])
            if name is None:
                raise RuleError(UNKNOWN)
            self._permit(selector, name, kind == b"+")
            _note_rule(selector, kind, name.encode())
        else:
            raise RuleError(SYNTAX)

    def _category(self, selector: Selector, word: bytes) -> None:
        """Allow or forbid all commands of a category, and all sub-commands of those."""
        names = self.names.in_category(word[2:])
        if names is None:
            raise RuleError(UNKNOWN)
        for name in names:
            self._permit(selector, name, word[:1] == b"+")
        _note_rule(selector, word[:1], word[1:])

    def _subcommand(self, selector: Selector, word: bytes) -> None:
        """Allow a sub-command, or a command with a certain first argument."""
        container, _, argument = word[1:].rpartition(b"|")
        name = self.names.find(container)
        if name is None:
            raise RuleError(UNKNOWN)
        if "|" in name:
            raise RuleError(FIRST_ARG)
        if not argument:
            raise RuleError(SYNTAX)
        if self.names.subcommands[name]:
            sub = self.names.find(word[1:])
            if sub is None:
                raise RuleError(UNKNOWN)
            self._permit(selector, sub, True)
        elif has_spaces(argument):  # it could not be written into a file
            raise RuleError(SYNTAX)
        else:
            if self.log is not None:
                self.log.warning(
                    "Deprecation warning: Allowing a first arg of an otherwise blocked command is "
                    "a misuse of ACL and may get disabled in the future (offender: +%s)",
                    error_text(word[1:]),
                )
            known = selector.first_args.setdefault(name, [])
            if argument not in known:
                known.append(argument)
        _note_rule(selector, b"+", word[1:])

    def _permit(self, selector: Selector, name: str, allow: bool) -> None:
        """Allow or forbid a command and its sub-commands."""
        selector.first_args.pop(name, None)
        for fullname in [name, *self.names.subcommands.get(name, ())]:
            if allow == selector.base:
                selector.exceptions.discard(fullname)
            else:
                selector.exceptions.add(fullname)
        if not allow:
            selector.all_commands = False


def rules_of(server: ServerState) -> Rules:
    """Return what applies rules in a server, as it is configured at this moment."""
    all_channels = server.config.acl_pubsub_default == "allchannels"
    return Rules(server.acl.names, all_channels, server.log)


def _digest(rule: bytes, plain: bytes) -> bytes:
    """Return the hash of a password that is given plain or as its hash."""
    if rule[:1] == plain:
        return password_hash(rule[1:])
    digest = rule[1:]
    if len(digest) != 64 or any(byte not in _HEX for byte in digest):
        raise RuleError(BAD_HASH)
    return digest


def _add_key_pattern(selector: Selector, rule: bytes) -> None:
    if selector.all_keys:
        raise RuleError(KEYS_AFTER_ALL)
    permissions = READ | WRITE
    text = rule[1:]
    if rule[:1] == b"%":
        letters, _, text = text.partition(b"~")
        known_letters = {b"r": READ, b"w": WRITE, b"rw": READ | WRITE, b"wr": READ | WRITE}
        permissions = known_letters.get(letters.lower(), 0)
        if not permissions:
            raise RuleError(SYNTAX)
    if has_spaces(text):
        raise RuleError(SYNTAX)
    selector.keys[text] = selector.keys.get(text, 0) | permissions
    selector.forget()


def _add_channel_pattern(selector: Selector, text: bytes) -> None:
    if selector.all_channels:
        raise RuleError(CHANNELS_AFTER_ALL)
    if has_spaces(text):
        raise RuleError(SYNTAX)
    selector.channels[text] = None
    selector.forget()


def _note_rule(selector: Selector, sign: bytes, name: bytes) -> None:
    """Append a rule about commands, without which those are of no use any more that it undoes."""
    kept = [
        rule for rule in selector.rules if rule[1:] != name and not rule[1:].startswith(name + b"|")
    ]
    selector.rules = [*kept, sign + name]


# -- describing


def flag_words(user: User) -> list[bytes]:
    """Return the flags of a user."""
    words = [b"on" if user.enabled else b"off"]
    if user.nopass:
        words.append(b"nopass")
    words.append(b"skip-sanitize-payload" if user.skip_sanitize else b"sanitize-payload")
    return words


def command_rules(selector: Selector) -> bytes:
    """Return the rules about commands."""
    return b" ".join([b"+@all" if selector.base else b"-@all", *selector.rules])


def key_rules(selector: Selector) -> bytes:
    """Return the rules about keys."""
    if selector.all_keys:
        return b"~*"
    signs = {READ: b"%R~", WRITE: b"%W~", READ | WRITE: b"~"}
    return b" ".join([signs[allowed] + text for text, allowed in selector.keys.items()])


def channel_rules(selector: Selector) -> bytes:
    """Return the rules about channels."""
    if selector.all_channels:
        return b"&*"
    return b" ".join([b"&" + text for text in selector.channels])


def _describe_selector(selector: Selector) -> bytes:
    parts = [key_rules(selector)]
    if not selector.all_channels:
        parts.append(b"resetchannels")
    parts += [channel_rules(selector), command_rules(selector)]
    return b" ".join([part for part in parts if part])


def describe(user: User) -> bytes:
    """Return the rules that make a user what it is, as ACL LIST shows them."""
    words = flag_words(user)
    words += [b"#" + password for password in user.passwords]
    words.append(_describe_selector(user.selectors[0]))
    words += [b"(" + _describe_selector(item) + b")" for item in user.selectors[1:]]
    return b" ".join(words)


def user_line(user: User) -> bytes:
    """Return the line that defines a user in a file."""
    return b"user " + user.name + b" " + describe(user)


def user_error(rule: bytes, reason: str) -> str:
    """Return what ACL SETUSER says of a rule that is refused."""
    return f"Error in ACL SETUSER modifier '{error_text(_c_string(rule))}': {reason}"
