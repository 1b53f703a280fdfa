"""Loading an append-only file: the base and the incremental files, one command after the other.

The commands run through a client that has no connection and whom nobody refuses anything: what it
asks for has happened. Nothing is fed, nothing expires while loading, nothing waits. A transaction
runs when its EXEC has been read, or not at all. If the last file ends in the middle of a command,
or of a transaction, it is cut there (`aof-load-truncated`); any other damage is an error.

Loading is a generator, so that who can wait lets others run between its slices, and who cannot
simply exhausts it.

Source: Redis aof.c loadAppendOnlyFiles, loadSingleAppendOnlyFile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from redis_trio.client import Client, Transport
from redis_trio.clock import perf_counter_ns
from redis_trio.command import Command, lookup
from redis_trio.persistence.aof import AofError
from redis_trio.persistence.aof_reader import AofReader, FormatError
from redis_trio.persistence.loading import Slices
from redis_trio.persistence.rdb_file import Loader, load_options
from redis_trio.persistence.rdb_format import MAGIC, RdbError
from redis_trio.protocol.reply import RedisError
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.persistence.aof_manifest import Manifest
    from redis_trio.state import ServerState

CHUNK: Final = 256 * 1024  # bytes read at a time
BATCH: Final = 32  # commands run between two looks at the clock


class AofClient:
    """Runs the commands of one file.

    Attributes:
      name: of the file.
      valid: up to where the file is whole.
      in_transaction: whether EXEC has not come yet.
    """

    def __init__(self, server: ServerState, name: str) -> None:
        self._server = server
        self.name = name
        self._client = Client(server, Transport(), 0)
        self._client.set_trusted()
        self._client.obeyed = True
        self._client.executing = True  # nothing waits
        self._queue: list[tuple[Command, Args]] = []
        self.in_transaction = False
        self.valid = 0

    def run(self, args: Args, end: int) -> None:
        """Run a command that ends at `end`, or queue it.

        Raises:
          AofError: it is no command.
        """
        command = lookup(self._server.commands, args)
        if command is None or command.handler is None:
            self._server.log.warning(
                "Unknown command '%s' reading the append only file %s",
                args[0].decode("utf-8", "surrogateescape"),
                self.name,
            )
            raise AofError("unknown command")
        arity = command.arity
        if arity != len(args) if arity > 0 else len(args) < -arity:
            self._server.log.warning(
                "Wrong number of arguments for '%s' reading the append only file %s",
                command.fullname,
                self.name,
            )
            raise AofError("wrong number of arguments")
        name = command.fullname
        if name == "multi":
            self.in_transaction = True
            return
        if name == "exec":
            self.in_transaction = False
            queue, self._queue = self._queue, []
            for queued, words in queue:
                self._call(queued, words)
        elif self.in_transaction:
            self._queue.append((command, args))
            return
        else:
            self._call(command, args)
        self.valid = end

    def _call(self, command: Command, args: Args) -> None:
        handler = command.handler
        assert handler is not None
        client = self._client
        client.command = command
        try:
            reply = handler(client, args)
        except RedisError as exc:
            reply = exc
        if isinstance(reply, RedisError):
            self._server.log.warning(
                "== CRITICAL == This AOF-loading-client is sending an error to its server: '%s' "
                "after processing the command '%s'",
                reply.message,
                command.fullname,
            )
        client.out.clear()


def load_files(server: ServerState, manifest: Manifest, folder: str) -> Slices:
    """Load the files of a manifest, in slices of about a millisecond.

    Raises:
      AofError: they are damaged, or cannot be read; it has been logged. Part of the data is there.
    """
    was_active = server.feed.active
    server.feed.active = False
    files = manifest.files
    sizes = [os.path.getsize(os.path.join(folder, file.name)) for file in files]
    server.loading.begin(sum(sizes))
    try:
        for i, file in enumerate(files):
            kind = "base" if file is manifest.base else "incr"
            began_ns = perf_counter_ns()
            is_last = file is files[-1]
            yield from _load_file(server, folder, file.name, sum(sizes[:i]), is_last=is_last)
            seconds = (perf_counter_ns() - began_ns) / 1e9
            server.log.info("DB loaded from %s file %s: %.3f seconds", kind, file.name, seconds)
    finally:
        server.feed.active = was_active
        server.loading.end()


def _load_file(
    server: ServerState, folder: str, name: str, before: int, *, is_last: bool
) -> Iterator[None]:
    """Load one file.

    Args:
      before: bytes that were loaded before it.

    Raises:
      AofError: see `load_files`.
    """
    path = os.path.join(folder, name)
    log = server.log
    try:
        with open(path, "rb") as file:
            client = AofClient(server, name)
            reader = AofReader()
            yield from _run_file(server, file, before, client, reader)
    except OSError as exc:
        log.warning(
            "Fatal error: can't open the append log file %s for reading: %s", name, exc.strerror
        )
        raise AofError("a file cannot be read") from None
    except FormatError as exc:
        log.warning(
            "Bad file format reading the append only file %s at offset %d: make a backup of your "
            "AOF file, then use ./redis-check-aof --fix <filename.manifest>",
            name,
            exc.offset,
        )
        raise AofError("bad format") from None
    if client.in_transaction:
        log.warning("Revert incomplete MULTI/EXEC transaction in AOF file %s", name)
    elif not reader.rest:
        return
    _cut(server, path, name, client.valid)
    if not is_last:
        log.warning("Fatal error: the truncated file is not the last file")
        raise AofError("a file before the last one is truncated")


def _run_file(
    server: ServerState, file: BinaryIO, before: int, client: AofClient, reader: AofReader
) -> Iterator[None]:
    """Run what is in a file; what is left over stays in `reader`."""
    loading = server.loading
    data = file.read(CHUNK)
    if data.startswith(MAGIC):
        options = load_options(server, file, is_preamble=True)
        options.loaded_before = before
        base = Loader(server, options)
        try:
            yield from base.run(file, data)
        except RdbError as exc:
            server.log.warning(
                "Error reading the RDB base file %s, AOF loading aborted: %s", client.name, exc
            )
            raise AofError("a base is damaged") from None
        reader.offset = client.valid = base.offset
        data = base.rest() or file.read(CHUNK)
    count = last = 0
    next_look = 1
    while data:
        reader.feed(data)
        while True:
            args = reader.read()
            if args is None:
                break
            client.run(args, reader.offset)
            count += 1
            if count < next_look:
                continue
            next_look = count + (1 if loading.delay(count - last) else BATCH)
            last = count
            loading.advanced(before + reader.offset)
            if loading.is_slice_over(count, "commands"):
                yield
                server.clock.refresh()
        data = file.read(CHUNK)
    if not reader.rest and not client.in_transaction:
        client.valid = reader.offset  # annotations at the end are whole


def _cut(server: ServerState, path: str, name: str, size: int) -> None:
    """Cut off what is not whole at the end of a file.

    Raises:
      AofError: the configuration does not want that, or it fails.
    """
    log = server.log
    if server.config.aof_load_truncated:
        log.warning("!!! Warning: short read while loading the AOF file %s!!!", name)
        log.warning("!!! Truncating the AOF %s at offset %d !!!", name, size)
        try:
            os.truncate(path, size)
        except OSError as exc:
            log.warning("Error truncating the AOF file %s: %s", name, exc.strerror)
        else:
            log.warning("AOF %s loaded anyway because aof-load-truncated is enabled", name)
            return
    log.warning(
        "Unexpected end of file reading the append only file %s. You can: 1) Make a backup of your "
        "AOF file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can "
        "set the 'aof-load-truncated' configuration option to yes and restart the server.",
        name,
    )
    raise AofError("a file is truncated")
