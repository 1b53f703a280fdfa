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
from redis_trio.persistence.rdb_file import PROGRESS_NS, Loader, load_options
from redis_trio.persistence.rdb_format import MAGIC, RdbError
from redis_trio.protocol.reply import RedisError
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.persistence.aof_manifest import Manifest
    from redis_trio.state import ServerState

CHUNK: Final = 256 * 1024  # bytes read at a time
SLICE_NS: Final = 1_000_000
BATCH: Final = 32  # commands run between two looks at the clock


class AofClient:
    """Runs the commands of one file.

    Attributes:
      valid: up to where the file is whole.
      in_transaction: whether EXEC has not come yet.
    """

    def __init__(self, server: ServerState, name: str) -> None:
        self._server = server
        self._name = name
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
                self._name,
            )
            raise AofError("unknown command")
        arity = command.arity
        if arity != len(args) if arity > 0 else len(args) < -arity:
            self._server.log.warning(
                "Wrong number of arguments for '%s' reading the append only file %s",
                command.fullname,
                self._name,
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


def load_files(server: ServerState, manifest: Manifest, folder: str) -> Iterator[None]:
    """Load the files of a manifest, in slices of about a millisecond.

    Raises:
      AofError: they are damaged, or cannot be read; it has been logged. Part of the data is there.
    """
    persistence = server.persistence
    was_active = server.feed.active
    server.feed.active = False
    persistence.loading = True
    try:
        files = manifest.files
        for file in files:
            kind = "base" if file is manifest.base else "incr"
            began_ns = perf_counter_ns()
            yield from _load_file(server, folder, file.name, is_last=file is files[-1])
            seconds = (perf_counter_ns() - began_ns) / 1e9
            server.log.info("DB loaded from %s file %s: %.3f seconds", kind, file.name, seconds)
    finally:
        persistence.loading = False
        server.feed.active = was_active
        server.clock.refresh()


def _load_file(server: ServerState, folder: str, name: str, *, is_last: bool) -> Iterator[None]:
    """Load one file.

    Raises:
      AofError: see `load_files`.
    """
    path = os.path.join(folder, name)
    log = server.log
    try:
        with open(path, "rb") as file:
            client = AofClient(server, name)
            reader = AofReader()
            yield from _run_file(server, file, name, client, reader)
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
    server: ServerState, file: BinaryIO, name: str, client: AofClient, reader: AofReader
) -> Iterator[None]:
    """Run what is in a file; what is left over stays in `reader`."""
    size = os.fstat(file.fileno()).st_size
    began_ns = told_ns = perf_counter_ns()
    until = began_ns + SLICE_NS
    data = file.read(CHUNK)
    if data.startswith(MAGIC):
        base = Loader(server, load_options(server, file, is_preamble=True))
        try:
            yield from base.run(file, data)
        except RdbError as exc:
            server.log.warning(
                "Error reading the RDB base file %s, AOF loading aborted: %s", name, exc
            )
            raise AofError("a base is damaged") from None
        reader.offset = client.valid = base.offset
        data = base.rest() or file.read(CHUNK)
    count = 0
    while data:
        reader.feed(data)
        while True:
            args = reader.read()
            if args is None:
                break
            client.run(args, reader.offset)
            count += 1
            if count % BATCH == 0 and perf_counter_ns() > until:
                yield
                server.clock.refresh()
                until = perf_counter_ns() + SLICE_NS
                if until > told_ns + PROGRESS_NS:
                    told_ns = until
                    _log_progress(server, reader.offset / size, count, until - began_ns)
        data = file.read(CHUNK)
    if not reader.rest and not client.in_transaction:
        client.valid = reader.offset  # annotations at the end are whole


def _log_progress(server: ServerState, done: float, count: int, elapsed_ns: int) -> None:
    rate = count * 1_000_000_000 // elapsed_ns
    server.log.info("Loading: %.0f%%, %d commands per second", done * 100, rate)


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
