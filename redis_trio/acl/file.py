"""Where users come from and go to: `user` lines of redis.conf, and the ACL file.

Both hold the same lines, which ACL LIST shows, too: `user <name> <rules>`. A file that has anything
wrong in it is not loaded at all.

Source: Redis acl.c ACLAppendUserForLoading, ACLLoadConfiguredUsers, ACLLoadFromFile, ACLSaveToFile,
ACLLoadUsersAtStartup.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from redis_trio.acl.categories import Names
from redis_trio.acl.rules import (
    DUPLICATE,
    UNKNOWN,
    RuleError,
    Rules,
    UnmatchedParenthesisError,
    has_spaces,
    merge_selectors,
    rules_of,
    user_line,
)
from redis_trio.acl.users import User
from redis_trio.config.kinds import ConfigError
from redis_trio.errors import error_text

if TYPE_CHECKING:
    from redis_trio.config import Config
    from redis_trio.state import ServerState

BOTH: Final = (
    "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path "
    "is invalid. This setup is very likely to lead to configuration errors and security holes, "
    "please define either an ACL file or declare users directly in your redis.conf, but not both."
)
UNCHANGED: Final = (
    "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
)
_BLANKS: Final = b" \t\r\n"


class AclError(ConfigError):
    """The server cannot start with its users; `reason` has been logged."""


# -- redis.conf


def define_user(config: Config, words: list[bytes]) -> None:
    """Note a `user` line of redis.conf; what is no known command may become one later.

    Args:
      words: of the line, `user` included.

    Raises:
      ConfigError: the user is there already, or a rule is wrong. As in Redis the word that is
        shown is counted from the line's first one, instead of the first rule.
    """

    def refusal(index: int, reason: str) -> ConfigError:
        return ConfigError(f"Error in user declaration '{error_text(words[index])}': {reason}")

    name = words[1]
    if any(name == known for known, _ in config.users):
        raise refusal(1, DUPLICATE)
    try:
        merged = merge_selectors(words[2:])
    except UnmatchedParenthesisError as exc:
        raise refusal(exc.index, "Wrong format") from None
    rules = Rules(Names(), config.acl_pubsub_default == "allchannels", None)
    user = User(b"", rules.all_channels)
    for index, rule in enumerate(merged):
        try:
            rules.apply(user, rule)
        except RuleError as exc:
            if str(exc) != UNKNOWN:
                raise refusal(index, str(exc)) from None
    config.users.append((name, merged))


def load_at_startup(server: ServerState) -> None:
    """Load the users that redis.conf defines, or the ACL file that it names.

    Raises:
      AclError: there are both, or one of them is wrong.
    """
    config = server.config
    config.user_lines = lambda: _lines_for_config(server)
    if config.aclfile and config.users:
        raise _failure(server, BOTH)
    for name, rules in config.users:
        _load_user(server, name, rules)
    if config.aclfile:
        errors = load_file(server)
        if errors:
            raise _failure(server, f"Aborting Redis startup because of ACL errors: {errors}")


def _failure(server: ServerState, reason: str) -> AclError:
    server.log.warning("%s", reason)
    return AclError(reason)


def _load_user(server: ServerState, name: bytes, rules: list[bytes]) -> None:
    """Make a user as its line says. Raises: AclError."""
    if has_spaces(name):
        reason = "Spaces not allowed in ACL usernames"
        server.log.warning("%s", reason)
        server.log.warning("Critical error while loading ACLs. Exiting.")
        raise AclError(reason)
    user = server.acl.new_user(name)
    for rule in rules:
        try:
            rules_of(server).apply(user, rule)
        except RuleError as exc:
            shown, who = error_text(rule), error_text(name)
            reason = f"Error loading ACL rule '{shown}' for the user named '{who}': {exc}"
            server.log.warning("%s", reason)
            server.log.warning("Critical error while loading ACLs. Exiting.")
            raise AclError(reason) from None
    server.acl.set_rules(name, user)
    if not user.enabled:
        server.log.info(
            "The user '%s' is disabled (there is no 'on' modifier in the user description). Make "
            "sure this is not a configuration error.",
            error_text(name),
        )


def _lines_for_config(server: ServerState) -> list[str]:
    """Return the lines that CONFIG REWRITE writes: none if there is a file of their own."""
    if server.config.aclfile:
        return []
    return [error_text(user_line(user)) for user in sorted_users(server)]


def sorted_users(server: ServerState) -> list[User]:
    """Return the users in the order in which they are shown."""
    users = server.acl.users
    return [users[name] for name in sorted(users)]


# -- the file


def _path(server: ServerState) -> str:
    return os.path.join(server.config.dir, server.config.aclfile)


def load_file(server: ServerState) -> str:
    """Have the users of the file, and no others; return what is wrong with it, "" if nothing is."""
    path = server.config.aclfile
    try:
        with open(_path(server), "rb") as file:
            lines = file.read().split(b"\n")
    except OSError as exc:
        return f"Error loading ACLs, opening file '{path}': {exc.strerror}"
    users: dict[bytes, User] = {}
    errors = ""
    for number, line in enumerate(lines, 1):
        text = line.strip(_BLANKS)
        if text:
            errors += _read_line(server, text.split(b" "), f"{path}:{number}", number, users)
    if errors:
        return errors + UNCHANGED
    server.acl.replace(users)
    return ""


def _read_line(
    server: ServerState, words: list[bytes], place: str, number: int, users: dict[bytes, User]
) -> str:
    """Add the user of a line to `users`; return what is wrong with it, "" if nothing is."""
    if words[0] != b"user" or len(words) < 2:
        return f"{place} should start with user keyword followed by the username. "
    name = words[1]
    shown = error_text(name)
    if has_spaces(name):
        return f"'{place}: username '{shown}' contains invalid characters. "
    if name in users:
        return f"WARNING: Duplicate user '{shown}' found on line {number}. "
    user = users[name] = server.acl.new_user(name)
    try:
        merged = merge_selectors(words[2:])
    except UnmatchedParenthesisError:
        return f"{place}: Unmatched parenthesis in selector definition."
    rules = rules_of(server)
    errors = ""
    seen = False
    for word in merged:
        rule = word.strip(b"\t\r\n")
        try:
            rules.apply(user, rule)
        except RuleError as exc:
            if str(exc) == UNKNOWN:  # nothing secret in it
                errors += f"{place}: Error in applying operation '{error_text(rule)}': {exc}. "
            elif not seen:
                seen = True
                errors += f"{place}: {exc}. "
    user.update()
    return errors


def save_file(server: ServerState) -> bool:
    """Write the users into the file; return whether that went well, if not it has been logged.

    The file is replaced in one step that survives a crash.
    """
    text = b"".join([user_line(user) + b"\n" for user in sorted_users(server)])
    path = _path(server)
    temporary = f"{path}.tmp-{os.getpid()}-{server.clock.now_ms}"
    step = "Opening temp ACL file"
    try:
        with open(temporary, "wb", opener=_open_new) as file:
            step = "Writing ACL file"
            file.write(text)
            file.flush()
            step = "Syncing ACL file"
            os.fsync(file.fileno())
        step = "Renaming ACL file"
        os.rename(temporary, path)
        step = "Syncing ACL directory"
        _sync_folder(path)
    except OSError as exc:
        server.log.warning("%s for ACL SAVE: %s", step, exc.strerror)
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        return False
    return True


def _open_new(path: str, flags: int) -> int:
    return os.open(path, flags, 0o644)


def _sync_folder(path: str) -> None:
    fd = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
