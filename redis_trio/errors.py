"""The error replies of Redis, word for word.

Handlers raise RedisError; `execute.call` turns it into an error reply. The first word of the
message is the code that clients look at. Standard errors stand here under the names they have in
Redis (server.c createSharedObjects); an error with only one place stands in that place.
"""

from __future__ import annotations

from typing import Final

from redis_trio.protocol.reply import RedisError as RedisError


def wrong_arity(name: str) -> RedisError:
    """The error for a command (`get`, `config|set`) with too few or too many arguments."""
    return RedisError(f"ERR wrong number of arguments for '{name}' command")


def error_text(word: bytes) -> str:
    """Return a client's word for an error text; `encode_error` makes the same bytes of it."""
    return word.decode("utf-8", "surrogateescape")


def wrong_subcommand(args: list[bytes]) -> RedisError:
    """The error for a sub-command with the wrong number of optional arguments.

    Source: networking.c addReplySubcommandSyntaxError.
    """
    name = error_text(args[0].upper())
    word = error_text(args[1][:128].partition(b"\0")[0])
    return RedisError(
        f"ERR unknown subcommand or wrong number of arguments for '{word}'. Try {name} HELP."
    )


WRONGTYPE: Final = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX: Final = "ERR syntax error"
NOT_AN_INTEGER: Final = "ERR value is not an integer or out of range"
NOT_A_FLOAT: Final = "ERR value is not a valid float"
NO_SUCH_KEY: Final = "ERR no such key"
OUT_OF_RANGE: Final = "ERR value is out of range"
INDEX_OUT_OF_RANGE: Final = "ERR index out of range"
SAME_OBJECT: Final = "ERR source and destination objects are the same"
NOAUTH: Final = "NOAUTH Authentication required."
OVERFLOW: Final = "ERR increment or decrement would overflow"
STRING_TOO_LONG: Final = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
NOREPLICAS: Final = "NOREPLICAS Not enough good replicas to write."
SAVE_ERROR: Final = (
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to "
    "disk. Commands that may modify the data set are disabled, because this instance is configured "
    "to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option)"
    ". Please check the Redis logs for details about the RDB error."
)
AOF_ERROR: Final = "MISCONF Errors writing to the AOF file: "
LOADING: Final = "LOADING Redis is loading the dataset in memory"
MASTERDOWN: Final = (
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
)
READONLY_REPLICA: Final = "READONLY You can't write against a read only replica."
OOM: Final = "OOM command not allowed when used memory > 'maxmemory'."
BUSY_EVAL: Final = (
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
)
BUSY_FUNCTION: Final = (
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
)
