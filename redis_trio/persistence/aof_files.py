"""The folder of the append-only file: how it comes into being, and how appending begins and ends.

- At start, with `appendonly yes`, what the folder has is loaded and appended to; where there is
  nothing, an empty base is made (and dump.rdb, if there is one, is not looked at).
- CONFIG SET appendonly yes begins with a rewrite (rewrite.py), CONFIG SET appendonly no ends with
  an fsync.
- What a process that was killed has left there, and no manifest names, is deleted at start.

Source: Redis aof.c aofUpgradePrepare, aofOpenIfNeededOnServerStart; config.c updateAppendonly.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import trio

from redis_trio.config import ConfigError
from redis_trio.persistence.aof_base import base_pieces, base_suffix
from redis_trio.persistence.aof_loader import load_files
from redis_trio.persistence.aof_manifest import (
    BASE,
    AofError,
    AofFile,
    Manifest,
    remove_file,
    sync_folder,
    write_manifest,
)
from redis_trio.persistence.loading import Slices, load_at_once
from redis_trio.persistence.rdb_file import empty_databases
from redis_trio.persistence.rewrite import aof_folder, load_manifest, open_incr, remove_history

if TYPE_CHECKING:
    from redis_trio.state import ServerState

RESTARTS: Final = 10  # tries to have an AOF again after a full synchronization


# -- at start


def load_aof(server: ServerState) -> Slices:
    """Load what the folder has, in slices of about a millisecond.

    Raises:
      AofError: it is damaged, or cannot be read; it has been logged.
    """
    manifest = load_manifest(server)
    folder = aof_folder(server.config)
    _upgrade(server, manifest, folder)
    sizes = [_size(server, folder, file.name) for file in manifest.files]
    if any(sizes):
        yield from load_files(server, manifest, folder)


def open_aof(server: ServerState) -> None:
    """Begin to append to what has been loaded.

    Raises:
      AofError: that is not possible; it has been logged.
    """
    config = server.config
    folder = aof_folder(config)
    manifest = load_manifest(server)
    try:
        os.makedirs(folder, 0o755, exist_ok=True)
        _remove_leftovers(folder)
        if not manifest.files:
            name = _add_base(server, manifest, folder)
            server.log.info("Creating AOF base file %s on server start", name)
        verb = "Opening" if manifest.incr else "Creating"
        if not manifest.incr:
            manifest.add_incr(config.appendfilename)
        name = manifest.incr[-1].name
        fd = open_incr(os.path.join(folder, name))
        try:
            write_manifest(manifest, folder, config.appendfilename)
            sizes = [os.path.getsize(os.path.join(folder, file.name)) for file in manifest.files]
            server.aof.manifest = remove_history(server, manifest)
        except OSError:
            os.close(fd)
            raise
    except OSError as exc:
        server.log.warning(
            "Can't open the append-only file in %s: %s", config.appenddirname, exc.strerror
        )
        raise AofError("the append-only file cannot be opened") from None
    server.aof.begin(fd, sizes[-1], sum(sizes), sizes[0] if manifest.base is not None else 0)
    server.log.info("%s AOF incr file %s on server start", verb, name)


def _remove_leftovers(folder: str) -> None:
    """Delete what was being written when a process ended."""
    for name in os.listdir(folder):
        if name.startswith("temp-"):
            remove_file(os.path.join(folder, name))


def _upgrade(server: ServerState, manifest: Manifest, folder: str) -> None:
    """Take a single file, as Redis had it before version 7, into the folder, as its base."""
    config = server.config
    name = config.appendfilename
    old = os.path.join(config.dir, name)
    if not os.path.isfile(old):
        return
    base = manifest.base
    interrupted = (  # while doing this: the manifest has been written, the file not moved
        base is not None
        and not manifest.incr
        and base.name == name
        and not os.path.exists(os.path.join(folder, name))
    )
    if manifest.files and not interrupted:
        return
    manifest.base = AofFile(name, 1, BASE)
    manifest.base_seq = 1
    try:
        os.makedirs(folder, 0o755, exist_ok=True)
        write_manifest(manifest, folder, name)
        os.rename(old, os.path.join(folder, name))
        sync_folder(folder)
    except OSError as exc:
        server.log.warning(
            "Error trying to move the old AOF file %s into dir %s: %s",
            name,
            config.appenddirname,
            exc.strerror,
        )
        raise AofError("the old file cannot be moved") from None
    server.log.info(
        "Successfully migrated an old-style AOF file (%s) into the AOF directory (%s).",
        name,
        config.appenddirname,
    )


def _size(server: ServerState, folder: str, name: str) -> int:
    """Return the size of a file of the manifest, which must be there."""
    try:
        return os.path.getsize(os.path.join(folder, name))
    except OSError as exc:
        server.log.warning("Unable to obtain the AOF file %s length. stat: %s", name, exc.strerror)
        raise AofError("a file is missing") from None


# -- at run time


def reload_aof(server: ServerState) -> bool:
    """Forget all data and load the AOF, at once; return whether that succeeded.

    Source: debug.c debugCommand.
    """
    aof = server.aof
    is_active = aof.active
    if is_active:
        aof.pause()
        aof.flush(sync=False)
    empty_databases(server)
    try:
        load_at_once(server, load_aof(server))
    except AofError:
        return False
    finally:
        if is_active:
            aof.resume()
    return True


def aof_changed(server: ServerState) -> None:
    """Follow a change of `appendonly`.

    Raises:
      ConfigError: there cannot be an AOF; why has been logged.
    """
    aof = server.aof
    if not server.config.appendonly:
        server.rewrite.turn_off()
    elif not aof.active and not aof.wanted:
        turn_on(server)


def turn_on(server: ServerState) -> None:
    """Have an AOF from now on, which begins with the data as it is.

    Raises:
      ConfigError: that is not possible; why has been logged.
    """
    if not server.rewrite.turn_on():
        raise ConfigError("Unable to turn on AOF. Check server logs.")


async def restart_aof(server: ServerState) -> None:
    """Have an AOF again after a full synchronization, with the data that the primary has sent.

    Raises:
      AofError: that is not possible, not even after some time.

    Source: replication.c restartAOFAfterSYNC.
    """
    for _ in range(RESTARTS):
        if server.rewrite.turn_on():
            return
        server.log.warning(
            "Failed enabling the AOF after successful master synchronization! Trying it again in "
            "one second."
        )
        await trio.sleep(1)
    server.log.warning(
        "FATAL: this replica instance finished the synchronization with its master, but the AOF "
        "can't be turned on. Exiting now."
    )
    raise AofError("the append-only file cannot be turned on")


def collect_history(server: ServerState) -> None:
    """Follow a change of `aof-disable-auto-gc`."""
    aof = server.aof
    if aof.active and not server.rewrite.running:
        try:
            aof.manifest = remove_history(server, aof.manifest)
        except OSError as exc:
            server.log.warning("Error writing the AOF manifest: %s", exc.strerror)


def complete_aof(server: ServerState) -> None:
    """Write the base that was not written when the server ended, so that all data is there again.

    To be called when nothing changes any more. A failure is logged.
    """
    aof = server.aof
    if not aof.wanted:
        return
    aof.wanted = False
    config = server.config
    folder = aof_folder(config)
    try:
        manifest = load_manifest(server)
        os.makedirs(folder, 0o755, exist_ok=True)
        name = _add_base(server, manifest, folder)
        manifest.retire_incr(0)
        write_manifest(manifest, folder, config.appendfilename)
        remove_history(server, manifest)
    except (OSError, AofError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        server.log.warning("The append-only file could not be completed: %s", reason)
    else:
        server.log.info("Creating AOF base file %s on server end", name)


# -- the base


def _add_base(server: ServerState, manifest: Manifest, folder: str) -> str:
    """Write the data into a new base and note it in the manifest; return its name."""
    config = server.config
    temporary = os.path.join(folder, f"temp-rewriteaof-{os.getpid()}.aof")
    try:
        write_base(temporary, base_pieces(server))
        name = manifest.add_base(config.appendfilename, base_suffix(config))
        os.replace(temporary, os.path.join(folder, name))
    except OSError:
        remove_file(temporary)
        raise
    return name


def write_base(path: str, pieces: Iterable[bytes]) -> None:
    """Write a file and have it on the disk.

    Raises:
      OSError: it cannot be written.
    """
    with open(path, "wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
