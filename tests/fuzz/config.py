"""Damages redis.conf: it is refused, or read; then what CONFIG REWRITE makes of it is read, too."""

from __future__ import annotations

import random
import sys
from functools import cache

from redis_trio.config import Config
from redis_trio.config.reader import ConfigFileError, FatalError, load_config
from redis_trio.config.rewrite import rewrite_text
from tests.fuzz.damage import damaged, main, spliced

OUTSIDE = (b"include", b"logfile", b"dir", b"loadmodule")
"""Words of lines that are left out: they touch the file system."""

UNQUOTED = ("bind", "replicaof", "slaveof")
"""Parameters that CONFIG REWRITE writes as they are, in Redis too."""

_WORDS = [
    b'""', b"''", b"yes", b"no", b"0", b"-1", b"1gb", b"1.5mb", b"50%", b"101%", b"900 1", b'"\\x',
    b'"\\x00"', b"local", b"KEA", b"normal 0 0 0", b"127.0.0.1 ::1", b"#", b"99999999999999999999",
    b"\xff", b"'a\\'b'", b"everysec", b"rename-command GET g", b'rename-command "" x',
    b"user a on", b"save", b"save 1 2 3",
]  # fmt: skip


@cache
def _samples() -> list[bytes]:
    """Return one file with all parameters, and some short ones."""
    config = Config()
    lines = [
        b"%s %s\n" % (name.encode(), parameter.text(config).encode() or b'""')
        for name, parameter in Config.parameters.items()
    ]
    special = [
        b'save 3600 1 300 100\nsave ""\n', b"rename-command CONFIG ''\nrename-command GET g\n",
        b"client-output-buffer-limit replica 256mb 64mb 60\nmaxmemory 100mb\n# a comment\n\n",
        b"bind 127.0.0.1 -::1\nport 0\nunixsocketperm 700\noom-score-adj-values 0 200 800\n",
        b"notify-keyspace-events KEA\nrequirepass \"a b\\n\\x41\"\n",
    ]  # fmt: skip
    return [b"".join(lines), *special, *lines]


def make(rng: random.Random) -> bytes:
    """Return the lines of a damaged file, without those that touch the file system."""
    data = b"".join(rng.choices(_samples()[1:], k=rng.randrange(1, 8)))
    if rng.random() < 0.05:
        data = _samples()[0]
    if rng.random() < 0.1:
        data = spliced(rng, data, rng.choice(_samples()))
    if rng.random() < 0.6:
        words = data.split(b" ")
        words[rng.randrange(len(words))] = rng.choice(_WORDS)
        data = b" ".join(words)
    if data and rng.random() < 0.7:
        data = damaged(rng, data)
    lines = [line for line in data.split(b"\n") if not any(w in line.lower() for w in OUTSIDE)]
    return b"\n".join(lines)


def check(data: bytes, rng: random.Random) -> None:
    """Read it; read what CONFIG REWRITE makes of it, which says the same."""
    config = Config()
    try:
        load_config(config, None, data)
    except (ConfigFileError, FatalError):
        return
    shown = {name: parameter.text(config) for name, parameter in Config.parameters.items()}
    fresh = Config()
    if any(shown[name] != Config.parameters[name].text(fresh) for name in UNQUOTED):
        return
    if "-" in shown["save"]:
        return  # a number of changes beyond 32 bits, which Redis wraps and does not read again
    load_config(fresh, None, rewrite_text(config, data))
    assert {name: p.text(fresh) for name, p in Config.parameters.items()} == shown


if __name__ == "__main__":
    sys.exit(main(make, check))
