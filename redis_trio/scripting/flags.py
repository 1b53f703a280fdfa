"""What a script says of itself in its first line, and what that allows.

Source: Redis script.c scripts_flags_def, eval.c evalExtractShebangFlags.
"""

from __future__ import annotations

from typing import Final

from redis_trio.command import DENYOOM, MAY_REPLICATE, STALE, WRITE
from redis_trio.errors import RedisError, error_text
from redis_trio.protocol.request import split_inline

NO_WRITES: Final = 1
ALLOW_OOM: Final = 2
ALLOW_STALE: Final = 4
NO_CLUSTER: Final = 8
COMPATIBLE: Final = 16  # an EVAL script without a first line: as scripts were before flags
ALLOW_CROSS_SLOT: Final = 32

FLAGS: Final = {
    b"no-writes": NO_WRITES,
    b"allow-oom": ALLOW_OOM,
    b"allow-stale": ALLOW_STALE,
    b"no-cluster": NO_CLUSTER,
    b"allow-cross-slot-keys": ALLOW_CROSS_SLOT,
}
"""The flags by the names that scripts call them."""


def command_flags(flags: int, said: int) -> int:
    """Return the flags of a call that runs a script, by its command's and by what the script said.

    Source: script.c scriptFlagsToCmdFlags.
    """
    if said & COMPATIBLE:
        return flags
    flags &= ~(STALE | DENYOOM | WRITE | MAY_REPLICATE)
    if not said & (ALLOW_OOM | NO_WRITES):
        flags |= DENYOOM
    if not said & NO_WRITES:
        flags |= WRITE
    if said & ALLOW_STALE:
        flags |= STALE
    return flags


def script_flags(body: bytes) -> tuple[int, int]:
    """Return the flags of an EVAL script, and how much of it is the `#!lua` in front."""
    if not body.startswith(b"#!"):
        return COMPATIBLE, 0
    end = body.split(b"\0", 1)[0].find(b"\n")
    if end < 0:
        raise RedisError("ERR Invalid script shebang")
    parts = split_inline(body[:end])
    if not parts:
        raise RedisError("ERR Invalid engine in script shebang")
    if parts[0] != b"#!lua":
        raise RedisError(f"ERR Unexpected engine in script shebang: {error_text(parts[0])}")
    flags = 0
    for part in parts[1:]:
        if not part.startswith(b"flags="):
            raise RedisError(f"ERR Unknown lua shebang option: {error_text(part)}")
        for name in part[6:].split(b",") if len(part) > 6 else ():
            if name not in FLAGS:
                raise RedisError(f"ERR Unexpected flag in script shebang: {error_text(name)}")
            flags |= FLAGS[name]
    return flags, end


def library_header(code: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the engine and the name in a library's first line, and the code behind it."""
    if not code.startswith(b"#!"):
        raise RedisError("ERR Missing library metadata")
    end = code.split(b"\0", 1)[0].find(b"\n")
    parts = None if end < 0 else split_inline(code[:end])
    if not parts:
        raise RedisError("ERR Invalid library metadata")
    name: bytes | None = None
    for part in parts[1:]:
        if part[:5].lower() != b"name=":
            raise RedisError(f"ERR Invalid metadata value given: {error_text(part)}")
        if name is not None:
            raise RedisError("ERR Invalid metadata value, name argument was given multiple times")
        name = part[5:]
    if name is None:
        raise RedisError("ERR Library name was not given")
    return parts[0][2:], name, code[end:]
