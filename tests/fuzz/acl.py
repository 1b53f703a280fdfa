"""Damages ACL files: one is refused as a whole, or loaded; then what ACL SAVE writes says the same.

Each line is given to ACL SETUSER, too, word by word: it is refused and changes nothing, or makes a
user that is described by rules that make the same user again, who may do the same.
"""

from __future__ import annotations

import logging
import random
import sys
import tempfile
from pathlib import Path

import redis_trio.commands  # noqa: F401  (declares every command)
from redis_trio.acl.file import load_file, save_file, sorted_users
from redis_trio.acl.rules import (
    RuleError,
    UnmatchedParenthesisError,
    has_spaces,
    merge_selectors,
    rules_of,
    user_line,
)
from redis_trio.acl.users import User
from redis_trio.clock import Clock
from redis_trio.command import lookup
from redis_trio.config import Config
from redis_trio.state import ServerState
from tests.fuzz.damage import damaged, main, spliced

_HASH = b"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
_RULES = (
    b"on off nopass resetpass reset >p <p #%b !%b allkeys resetkeys ~* ~a ~b* ~c?[x-z] %%R~a %%W~b "
    b"%%RW~c %%R~* allchannels resetchannels &* &a &ch* +@all -@all allcommands nocommands +get "
    b"-get +config -config|set +config|get +select|0 +select|1 -select +@read -@write +@string "
    b"-@dangerous (+get ~a) (%%R~b +@read) (&ch* +publish) (+@all (~*) ) () clearselectors "
    b"sanitize-payload skip-sanitize-payload" % (_HASH, _HASH)
).split()
_ODD = [
    b"", b"(", b")", b"~", b"%", b"%R", b"%~", b"&", b"+", b"-", b"+@", b"-@", b"+|", b"+get|",
    b"+config|", b">", b"#", b"\0", b"~\0", b"~\xff", b'~"', b"('~a')", b'("', b"+select|\xc9",
    b"on\0off", b"+@all\0", b"~a)", b"(~a)b)", b"+GET", b"+CoNfIg|GeT", b"user", b"\t", b"~x\ty",
]  # fmt: skip
_TRIED = [
    b"GET a", b"GET bb", b"SET a 1", b"SET cxy 1 GET", b"CONFIG GET x", b"CONFIG SET x y",
    b"SELECT 0", b"SELECT 1", b"PUBLISH a x", b"PSUBSCRIBE ch*", b"COPY a b", b"FLUSHALL", b"PING",
]  # fmt: skip
_AMBIGUOUS = b"\"'\\()"
"""In a selector these do not come back as they were written, in Redis neither."""


def make(rng: random.Random) -> bytes:
    """Return a damaged file."""
    lines = []
    for _ in range(rng.randrange(1, 5)):
        words = [b"user", rng.choice([b"u", b"v", b"default", b"w\xff", b""])]
        words += rng.choices(_RULES, k=rng.randrange(8))
        if rng.random() < 0.3:
            words.insert(rng.randrange(len(words) + 1), rng.choice(_ODD))
        lines.append(b" ".join(words))
    data = b"\n".join(lines)
    if rng.random() < 0.1:
        data = spliced(rng, data, b" ".join(rng.choices(_RULES, k=5)))
    return damaged(rng, data) if rng.random() < 0.4 else data


def check(data: bytes, rng: random.Random) -> None:
    """Load it as a file, and each of its lines as rules."""
    with tempfile.TemporaryDirectory(prefix="redis-trio-") as folder:
        path = Path(folder, "users.acl")
        path.write_bytes(b"")
        config = Config.from_options({"aclfile": "users.acl", "dir": folder})
        log = logging.getLogger("redis_trio.fuzz")
        log.setLevel(logging.CRITICAL)
        server = ServerState(config, Clock(virtual=lambda: 0.0), log)
        before = _lines(server)
        path.write_bytes(data)
        if load_file(server):
            assert _lines(server) == before
        elif not any(_is_ambiguous(user) for user in sorted_users(server)):
            loaded = _lines(server)
            assert save_file(server)
            assert load_file(server) == ""
            assert _lines(server) == loaded
        for line in data.split(b"\n"):
            _check_rules(server, line.split(b" ")[2:])


def _lines(server: ServerState) -> list[bytes]:
    return [user_line(user) for user in sorted_users(server)]


def _is_ambiguous(user: User) -> bool:
    shown = user_line(user).partition(b" (")[2]
    selectors = b"".join(
        [text for item in user.selectors[1:] for text in [*item.keys, *item.channels, *item.rules]]
    )
    return bool(shown) and any(byte in _AMBIGUOUS for byte in selectors)


def _check_rules(server: ServerState, words: list[bytes]) -> None:
    """Make a user of rules, and another one of its description."""
    user = server.acl.new_user(b"u")
    try:
        for rule in merge_selectors(words):
            rules_of(server).apply(user, rule)
    except (RuleError, UnmatchedParenthesisError):
        return
    user.update()
    for selector in user.selectors:
        assert not any(has_spaces(text) for text in [*selector.keys, *selector.channels])
    if _is_ambiguous(user):
        return
    again = server.acl.new_user(b"u")
    for rule in merge_selectors(user_line(user).split(b" ")[2:]):
        rules_of(server).apply(again, rule)
    again.update()
    assert user_line(again) == user_line(user)
    assert again.unrestricted or not user.unrestricted
    for line in _TRIED:
        args = line.split()
        command = lookup(server.commands, args)
        assert command is not None
        verdict = server.acl.check(user, command, args)
        assert server.acl.check(again, command, args) == verdict, (words, line)
        if user.unrestricted:
            assert verdict == 0


if __name__ == "__main__":
    sys.exit(main(make, check))
