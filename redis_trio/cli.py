"""The command line of redis-server: what its words mean.

    redis-trio [redis.conf] [--port 6380] [--save ""] [-]

The first word is a configuration file unless it begins with `-`. Options are lines of redis.conf:
each begins at a word with `--` and goes on to the next one; the word behind a lone option name is
its value whatever it looks like. `-` alone, first or last, is standard input. They are read in the
order file, standard input, options.

Source: Redis server.c main.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redis_trio.config.kinds import encode, quote
from redis_trio.protocol.request import split_inline

USAGE: Final = """\
Usage: redis-trio [/path/to/redis.conf] [options] [-]
       redis-trio -                      read the configuration from standard input
       redis-trio -v or --version
       redis-trio -h or --help
       redis-trio check FILE...          check files, and say what is in them

Options are parameters of redis.conf with -- in front, and their values.

Examples:
       redis-trio                        with the default configuration
       echo 'maxmemory 128mb' | redis-trio -
       redis-trio /etc/redis/redis.conf
       redis-trio --port 7777 --save ""
       redis-trio /etc/redis/redis.conf --loglevel verbose -
"""


class Invocation:
    """What a command line asks for.

    Attributes:
      config_file: as it was given; None if it was not.
      from_stdin: whether standard input is read, too.
      options: lines of redis.conf.
    """

    def __init__(self, config_file: str | None, from_stdin: bool, options: bytes) -> None:
        self.config_file = config_file
        self.from_stdin = from_stdin
        self.options = options


def parse_arguments(words: Sequence[str]) -> Invocation:
    """Return what the words behind the program's name mean; nothing is checked yet."""
    config_file = None
    first = 0
    if words and not words[0].startswith("-"):
        config_file = words[0]
        first = 1
    from_stdin = False
    options = ""
    complete = True  # the option in hand may be followed by another one
    last = len(words) - 1
    for i in range(first, len(words)):
        word = words[i]
        if word == "-" and i in (0, last):
            from_stdin = True
        elif complete and word.startswith("--"):
            options += ("\n" if options else "") + word[2:] + " "
            complete = len(split_inline(encode(word)) or ()) != 1
            if not complete and word.lower() in ("--save", "--sentinel"):
                # These may stand without a value.
                complete = i < last and words[i + 1].startswith("--")
                if word.lower() == "--save" and (complete or i == last):
                    options += '""'
        else:
            options += quote(word) + " "
            complete = True
    return Invocation(config_file, from_stdin, encode(options))
