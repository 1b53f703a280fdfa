"""No way round a missing right: every command, in every way to run it, by users who lack a right.

The commands are those of the session that real clients run (tests/interop/test_clients.py), which
has a valid call of each. A user lacks the command, a key, reading or writing it, or a channel. The
call must be refused with Redis's error, and must not run: its calls are counted, and so is what it
changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import pytest

from redis_trio.acl.rules import rules_of
from redis_trio.acl.users import ALLOWED, User
from redis_trio.clock import Clock
from redis_trio.command import DECLARATIONS, NO_AUTH, NO_MULTI, NOSCRIPT, acl_categories, lookup
from redis_trio.config import Config
from redis_trio.keys import KEY_ACCESS, KEY_DELETE, KEY_INSERT, KEY_UPDATE, permitted_keys
from redis_trio.protocol.request import Args
from redis_trio.protocol.response import ReplyParser
from redis_trio.state import ServerState
from tests.interop.compare import plain
from tests.interop.test_clients import SESSION
from tests.unit.peer import Peer

CHANNELS = {"publish", "spublish", "subscribe", "ssubscribe", "psubscribe"}
NEVER_QUEUED = {"exec", "discard", "multi", "watch", "quit", "reset", "undo"}
WRITING = KEY_UPDATE | KEY_INSERT | KEY_DELETE


class Call(NamedTuple):
    """A command that is called.

    Attributes:
      name: its full name.
      keys: its keys, each with whether it is read and whether it is written.
    """

    name: str
    args: Args
    flags: int
    keys: list[tuple[bytes, bool, bool]]
    channels: list[bytes]


@cache
def calls() -> list[Call]:
    """Return the calls, a valid one at least for each command."""
    found: list[Call] = []
    lines = [(name, words) for name, words, _ in SESSION]
    named = {name for name, _ in lines}
    for name, declaration in DECLARATIONS.items():
        if name not in named and declaration.handler is not None:
            lines.append((name, ["x"] * (abs(declaration.arity) - len(name.split()))))
    for name, words in lines:
        declaration = DECLARATIONS[name]
        args = [word.encode() for word in [*name.split(), *words]]
        arity = declaration.arity
        if len(args) != arity if arity > 0 else len(args) < -arity:
            continue  # it is the error that the session looks at
        keys = [
            (args[position], bool(flags & KEY_ACCESS), bool(flags & WRITING))
            for position, flags in permitted_keys(declaration, args)
        ]
        fullname = name.lower().replace(" ", "|")
        channels = args[1:] if fullname in CHANNELS else []
        if "publish" in fullname:
            channels = channels[:1]
        found.append(Call(fullname, args, declaration.flags, keys, channels))
    return found


def test_every_command_is_called() -> None:
    named = {name.lower().replace(" ", "|") for name, item in DECLARATIONS.items() if item.handler}
    assert named - {call.name for call in calls()} == set()


# -- the rights that a user lacks: {name: rules for a call, None if that lacks nothing for it}

Rules = Callable[[Call], "list[str] | None"]
COMMAND = "command"
KEY = "key"
CHANNEL = "channel"
EVERYTHING = ["+@all", "~*", "&*"]


def _text(word: bytes) -> str:
    return word.decode("latin-1")


def _needs_right(call: Call) -> bool:
    return not call.flags & NO_AUTH


def _without_command(call: Call) -> list[str] | None:
    return [*EVERYTHING, f"-{call.name}"] if _needs_right(call) else None


def _without_container(call: Call) -> list[str] | None:
    if "|" not in call.name or not _needs_right(call):
        return None
    return [*EVERYTHING, "-" + call.name.split("|")[0]]


def _without_category(call: Call) -> list[str] | None:
    if not _needs_right(call):
        return None
    category = acl_categories(DECLARATIONS[call.name.upper().replace("|", " ")])[0]
    return [*EVERYTHING, f"-@{category}"]


def _with_nothing(call: Call) -> list[str] | None:
    return ["-@all", "~*", "&*"] if _needs_right(call) else None


def _with_another_first_argument(call: Call) -> list[str] | None:
    if not _needs_right(call) or "|" in call.name or len(call.args) < 2:
        return None
    if any(name.startswith(call.name.upper() + " ") for name in DECLARATIONS):
        return None
    return ["~*", "&*", f"+{call.name}|nothing-that-is-there"]


def _with_selectors(call: Call) -> list[str] | None:
    """One selector has the keys and channels, another one the command."""
    if not call.keys and not call.channels:
        return None
    return ["(~* &*)", f"(+{call.name})"]


def _without_keys(call: Call) -> list[str] | None:
    return ["+@all", "&*", "~other:*"] if call.keys else None


def _without_last_key(call: Call) -> list[str] | None:
    names = {key for key, _, _ in call.keys}
    if len(names) < 2:
        return None
    last = call.keys[-1][0]
    return ["+@all", "&*", *["~" + _text(name) for name in sorted(names - {last})]]


def _only_reading(call: Call) -> list[str] | None:
    return ["+@all", "&*", "%R~*"] if any(writes for _, _, writes in call.keys) else None


def _only_writing(call: Call) -> list[str] | None:
    return ["+@all", "&*", "%W~*"] if any(reads for _, reads, _ in call.keys) else None


def _reading_or_writing(call: Call) -> list[str] | None:
    """What reads and writes a key needs both rights from one rule."""
    if not any(reads and writes for _, reads, writes in call.keys):
        return None
    return ["+@all", "&*", "%R~*", "%W~**"]


def _without_channels(call: Call) -> list[str] | None:
    return ["+@all", "~*", "&other:*"] if call.channels else None


def _with_matching_channels(call: Call) -> list[str] | None:
    """A pattern must be allowed literally."""
    if call.name != "psubscribe":
        return None
    return ["+@all", "~*", *["&" + _text(name)[:-1] + "?" for name in call.channels]]


LACKING: dict[str, tuple[str, Rules]] = {
    "the command": (COMMAND, _without_command),
    "its container": (COMMAND, _without_container),
    "its category": (COMMAND, _without_category),
    "any command": (COMMAND, _with_nothing),
    "its first argument": (COMMAND, _with_another_first_argument),
    "one selector for all": (KEY, _with_selectors),
    "its keys": (KEY, _without_keys),
    "its last key": (KEY, _without_last_key),
    "writing": (KEY, _only_reading),
    "reading": (KEY, _only_writing),
    "reading and writing": (KEY, _reading_or_writing),
    "its channels": (CHANNEL, _without_channels),
    "its pattern": (CHANNEL, _with_matching_channels),
}


# -- the ways to run a command


class Attempt:
    """A server with a user who lacks something."""

    def __init__(self) -> None:
        allowed = {"enable-debug-command": "yes", "enable-module-command": "yes"}
        config = Config.from_options(allowed)
        log = logging.getLogger("redis_trio.test")
        self.state = ServerState(config, Clock(virtual=lambda: 0.0), log)
        self.admin = Peer(self.state)
        self.peer = Peer(self.state)

    def set_rules(self, rules: list[str]) -> None:
        """Give the user `u` these rights, and no others."""
        self.state.acl.set_rules(b"u", self.user(rules))

    def user(self, rules: list[str]) -> User:
        """Return a user with these rights who is not there yet."""
        user = self.state.acl.new_user(b"u")
        for rule in ["on", "nopass", *rules]:
            rules_of(self.state).apply(user, rule.encode("latin-1"))
        return user

    def load_library(self) -> None:
        """Have a function `run` that calls the command which it is given."""
        library = (
            b"#!lua name=matrix\nredis.register_function('run', "
            b"function(keys, args) return redis.call(unpack(args)) end)"
        )
        assert self.admin.send([b"FUNCTION", b"LOAD", library]) == b"$6\r\nmatrix\r\n"

    def log_in(self) -> None:
        """Be that user on a new connection."""
        self.peer.client.close()
        self.peer = Peer(self.state)
        assert self.peer.send("AUTH u x") == b"+OK\r\n"

    def replies(self, *lines: Args | str) -> list[object]:
        """Send commands in one piece; return what comes back."""
        return parsed(
            self.peer.send(*[list(line) if isinstance(line, list) else line for line in lines])
        )

    def one(self, line: Args | str) -> object:
        """Send a command; return its reply."""
        (reply,) = self.replies(line)
        return reply


def parsed(data: bytes) -> list[object]:
    parser = ReplyParser()
    parser.feed(data)
    return [plain(reply) for reply in parser.parse()]


class Way:
    """A way to run a command.

    Attributes:
      needs: commands that the user may run for it in any case.
      prefix: what stands before the text of the refusal.
    """

    needs: tuple[str, ...] = ()
    prefix = "NOPERM "

    def suits(self, call: Call) -> bool:
        """Whether the command can be run so."""
        return call.name not in self.needs

    def run(self, attempt: Attempt, call: Call, rules: list[str]) -> object:
        """Have the user run the command; return the reply to it."""
        attempt.set_rules(rules)
        attempt.log_in()
        return self.send(attempt, call)

    def send(self, attempt: Attempt, call: Call) -> object:
        return attempt.one(call.args)


class InResp3(Way):
    def send(self, attempt: Attempt, call: Call) -> object:
        attempt.peer.client.resp = 3
        return attempt.one(call.args)


class Inline(Way):
    def send(self, attempt: Attempt, call: Call) -> object:
        words = [b'"' + b"".join(b"\\x%02x" % byte for byte in arg) + b'"' for arg in call.args]
        (reply,) = parsed(attempt.peer.send_raw(b" ".join(words) + b"\r\n"))
        return reply


class InMixedCase(Way):
    def send(self, attempt: Attempt, call: Call) -> object:
        name = call.args[0]
        return attempt.one([name[:1].lower() + name[1:].upper(), *call.args[1:]])


class BehindALogin(Way):
    """In one piece with the AUTH before it, by somebody who could do everything until then."""

    def send(self, attempt: Attempt, call: Call) -> object:
        assert attempt.one("AUTH default x") == "OK"
        return attempt.replies("AUTH u x", call.args)[1]


class WhileItIsRestricted(Way):
    """By a client that was logged in before the user lost the right."""

    def run(self, attempt: Attempt, call: Call, rules: list[str]) -> object:
        attempt.set_rules(EVERYTHING)
        attempt.log_in()
        attempt.set_rules(rules)
        return attempt.one(call.args)


class AfterTheFileIsLoaded(Way):
    """By a client whose user is another object since then."""

    def run(self, attempt: Attempt, call: Call, rules: list[str]) -> object:
        attempt.set_rules(EVERYTHING)
        attempt.log_in()
        attempt.peer.client.subscriptions = None
        attempt.state.acl.replace({b"u": attempt.user(rules)})
        return attempt.one(call.args)


class WhenQueued(Way):
    needs = ("multi", "exec")

    def suits(self, call: Call) -> bool:
        return super().suits(call) and not call.flags & NO_MULTI

    def send(self, attempt: Attempt, call: Call) -> object:
        begun, reply, ended = attempt.replies("MULTI", call.args, "EXEC")
        assert begun == "OK"
        assert isinstance(ended, tuple)
        assert ended[1] == "EXECABORT Transaction discarded because of previous errors."
        return reply


class WhenExecuted(Way):
    """Queued while it was allowed."""

    needs = ("multi", "exec")
    prefix = (
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC "
        "call. This command is no longer allowed for the following reason: "
    )

    def suits(self, call: Call) -> bool:
        return super().suits(call) and call.name not in NEVER_QUEUED and not call.flags & NO_MULTI

    def run(self, attempt: Attempt, call: Call, rules: list[str]) -> object:
        attempt.set_rules(EVERYTHING)
        attempt.log_in()
        assert attempt.replies("MULTI", call.args) == ["OK", "QUEUED"]
        attempt.set_rules(rules)
        ended = attempt.one("EXEC")
        assert isinstance(ended, list)
        return ended[0]


class InAScript(Way):
    needs: tuple[str, ...] = ("eval", "fcall")
    prefix = "ERR ACL failure in script: "

    def suits(self, call: Call) -> bool:
        return super().suits(call) and not call.flags & NOSCRIPT

    def send(self, attempt: Attempt, call: Call) -> object:
        return attempt.one([b"EVAL", b"return redis.call(unpack(ARGV))", b"0", *call.args])


class InAProtectedCall(InAScript):
    def send(self, attempt: Attempt, call: Call) -> object:
        return attempt.one([b"EVAL", b"return redis.pcall(unpack(ARGV))", b"0", *call.args])


class InAFunction(InAScript):
    def send(self, attempt: Attempt, call: Call) -> object:
        return attempt.one([b"FCALL", b"run", b"0", *call.args])


class InAScriptOfATransaction(InAScript):
    needs = ("eval", "fcall", "multi", "exec")

    def send(self, attempt: Attempt, call: Call) -> object:
        script = [b"EVAL", b"return redis.call(unpack(ARGV))", b"0", *call.args]
        ended = attempt.replies("MULTI", script, "EXEC")[-1]
        assert isinstance(ended, list)
        return ended[0]


class WhenBlocked(Way):
    """Blocked while it was allowed, and run again when a key is there."""

    def suits(self, call: Call) -> bool:
        return call.name in PUSHES

    def run(self, attempt: Attempt, call: Call, rules: list[str]) -> object:
        attempt.set_rules(EVERYTHING)
        attempt.log_in()
        attempt.admin.send("FLUSHALL")
        if call.name == "xreadgroup":
            for key, _, _ in call.keys:
                attempt.admin.send([b"XGROUP", b"CREATE", key, call.args[2], b"$", b"MKSTREAM"])
        assert attempt.peer.send(list(call.args)) == b"", "it does not block"
        waiter = attempt.peer.client.waiter
        assert waiter is not None
        attempt.set_rules(rules)
        for key, _, _ in call.keys:
            attempt.admin.send([PUSHES[call.name][0], key, *PUSHES[call.name][1:]])
        reply = plain(waiter.mailbox.receive_nowait())
        attempt.peer.client.close()
        return reply


_LIST = (b"LPUSH", b"v")
_SORTED_SET = (b"ZADD", b"1", b"m")
_STREAM = (b"XADD", b"*", b"f", b"v")
PUSHES = {
    **dict.fromkeys(["blpop", "brpop", "blmove", "brpoplpush", "blmpop"], _LIST),
    **dict.fromkeys(["bzpopmin", "bzpopmax", "bzmpop"], _SORTED_SET),
    **dict.fromkeys(["xread", "xreadgroup"], _STREAM),
}
"""What lets a blocking command go on: the command, and what stands behind its key."""

WAYS: dict[str, Way] = {
    "plain": Way(),
    "in RESP3": InResp3(),
    "inline": Inline(),
    "in mixed case": InMixedCase(),
    "behind a login": BehindALogin(),
    "while it is restricted": WhileItIsRestricted(),
    "after the file is loaded": AfterTheFileIsLoaded(),
    "when queued": WhenQueued(),
    "when executed": WhenExecuted(),
    "in a script": InAScript(),
    "in a protected call": InAProtectedCall(),
    "in a function": InAFunction(),
    "in a script of a transaction": InAScriptOfATransaction(),
    "when blocked": WhenBlocked(),
}


def combinations(way: Way, lacks: Rules) -> Iterator[tuple[Call, list[str]]]:
    """Yield the calls that can be made so and need what is missing, with the user's rules."""
    for call in blocking_calls() if isinstance(way, WhenBlocked) else calls():
        if way.suits(call):
            rules = lacks(call)
            if rules is not None:
                yield call, [*rules, *["+" + name for name in way.needs]]


@cache
def blocking_calls() -> list[Call]:
    """Return the calls of blocking commands; those that read streams wait for what is new."""
    found = [call for call in calls() if call.name in PUSHES]
    for line in ("XREAD BLOCK 0 STREAMS s t $ $", "XREADGROUP GROUP g c BLOCK 0 STREAMS s t > >"):
        found = [call for call in found if call.name != line.split()[0].lower()]
        args = line.encode().split()
        flags = DECLARATIONS[line.split()[0]].flags
        keys = [(b"s", True, False), (b"t", True, False)]
        found.append(Call(line.split()[0].lower(), args, flags, keys, []))
    return found


def expected_text(way: Way, kind: str, call: Call) -> str:
    """Return the text of the refusal."""
    if kind == KEY and not call.keys:
        kind = CHANNEL
    if isinstance(way, WhenExecuted):
        return {
            COMMAND: "no permission to execute the command or subcommand",
            KEY: "no permission to touch the specified keys",
            CHANNEL: "no permission to access one of the channels used as arguments",
        }[kind]
    if kind == COMMAND:
        return f"User u has no permissions to run the '{call.name}' command"
    return f"No permissions to access a {kind}"


@pytest.mark.parametrize("lacking", LACKING)
@pytest.mark.parametrize("way_name", WAYS)
def test_a_command_is_refused(way_name: str, lacking: str) -> None:
    way = WAYS[way_name]
    kind, lacks = LACKING[lacking]
    attempt = Attempt()
    state = attempt.state
    if isinstance(way, InAFunction):
        attempt.load_library()
    for call, rules in combinations(way, lacks):
        command = lookup(state.commands, call.args)
        assert command is not None
        before = command.calls
        denied = sum(state.acl.log.denied)
        reply = way.run(attempt, call, rules)
        assert isinstance(reply, tuple), (call, rules, reply)
        assert reply[0] == "error"
        text = reply[1].removeprefix("EXECABORT Transaction discarded because of: ")
        assert text.startswith(way.prefix + expected_text(way, kind, call)), (
            call,
            rules,
            reply,
        )
        assert command.calls == before, call
        assert sum(state.acl.log.denied) == denied + 1, call


def test_a_command_whose_rights_are_there_is_not_refused() -> None:
    """What LACKING takes away is all that is missing: with exactly those rights all is well."""
    attempt = Attempt()
    state = attempt.state
    for call in calls():
        rules = [f"+{call.name}", *["%RW~" + _text(key) for key, _, _ in call.keys]]
        rules += ["&" + _text(name) for name in call.channels]
        user = attempt.user([rule.replace(" ", "?") for rule in rules])
        command = lookup(state.commands, call.args)
        assert command is not None
        assert state.acl.check(user, command, call.args) == ALLOWED, (call, rules)


def test_there_are_thousands_of_combinations() -> None:
    count = 0
    for way in WAYS.values():
        for _, lacks in LACKING.values():
            count += sum(1 for _ in combinations(way, lacks))
    assert count >= 5000
