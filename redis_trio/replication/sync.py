"""A full synchronization: the primary's data is received and takes the place of what there was.

How it is loaded is what `repl-diskless-load` says:

    disabled      it is received into a file, which becomes the RDB file; then the old data is
                  dropped and the file is loaded
    on-empty-db   where there is no old data it is loaded as it comes
    swapdb        it is loaded as it comes, beside the old data, which is dropped when all is there

A server that keeps no files takes `disabled` for `swapdb`. While data that is of another history
than the old one is loaded, commands are refused; with the same history (the primary's id has not
changed) `swapdb` lets clients read the old data until the end.

Source: Redis replication.c readSyncBulkPayload, replicationAttachToNewMaster, useDisklessLoad;
db.c swapMainDbWithTempDb.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar, cast

import trio

from redis_trio.keyspace.database import Database
from redis_trio.persistence.rdb_file import (
    Loader,
    LoadOptions,
    empty_databases,
    file_path,
    put_in_place,
    remove_file,
)
from redis_trio.persistence.rdb_format import RdbError
from redis_trio.replication.incoming import Incoming, LinkError, Payload
from redis_trio.replication.upstream import TRANSFER

if TYPE_CHECKING:
    from redis_trio.replication.upstream import Upstream
    from redis_trio.state import ServerState

T = TypeVar("T")
WRITE_SIZE: Final = 1024 * 1024  # bytes that are written to the file at a time
SYNC_BYTES: Final = 8 * 1024 * 1024  # after so many the file is brought to the disk
NEWLINE_MS: Final = 1000  # how often the primary is told that we are still there


class Arriving:
    """A file whose bytes are still coming: `read` returns None while there are none."""

    def __init__(self) -> None:
        self._data = b""
        self._ended = False

    @property
    def is_dry(self) -> bool:
        """Whether there is nothing to be read until more comes."""
        return not self._data and not self._ended

    def add(self, data: bytes) -> None:
        """Add what has come; nothing is the end."""
        self._data = data
        self._ended = not data

    def read(self, size: int) -> bytes | None:
        """Return what there is, however much; nothing at the end."""
        if self.is_dry:
            return None
        data, self._data = self._data, b""
        return data


class FullSync:
    """One full synchronization.

    Args:
      replid, offset: of the primary's stream behind the data.
      send: sends bytes to the primary.
    """

    def __init__(
        self,
        server: ServerState,
        upstream: Upstream,
        incoming: Incoming,
        stream: trio.abc.Stream,
        replid: str,
    ) -> None:
        self._server = server
        self._upstream = upstream
        self._incoming = incoming
        self._stream = stream
        self._replid = replid
        self._newline_ms = 0
        self.has_mark = False
        self.db = 0

    async def run(self) -> None:
        """Have the primary's data; `db` is then the database that its stream begins in.

        Raises:
          LinkError: that was not possible. Whatever data there is now, none of it is half there.
        """
        server = self._server
        upstream = self._upstream
        upstream.transfer_size = -1
        upstream.transfer_read = 0
        upstream.set_state(TRANSFER)
        mode = self._mode()
        payload = await self._header("to disk" if mode == "disabled" else "to parser")
        self.has_mark = payload.has_mark
        upstream.transfer_size = payload.size
        if mode == "disabled":
            await self._by_file(payload)
        elif mode == "swapdb":
            await self._beside(payload)
        else:
            self._make_way()
            await self._in_place(Arriving(), payload, payload.size)
            server.dirty += 1

    def _mode(self) -> str:
        server = self._server
        mode: str = server.config.repl_diskless_load
        if mode == "on-empty-db" and any(db.table.count for db in server.dbs):
            mode = "disabled"
        if mode == "disabled" and not server.persistence.uses_files:
            mode = "swapdb"
        return mode

    async def _header(self, where: str) -> Payload:
        """Read the line in front of the data; empty ones say that the primary is still at it."""
        log = self._server.log
        while True:
            try:
                line = await self._incoming.line()
            except LinkError as exc:
                raise LinkError(f"I/O error reading bulk count from MASTER: {exc}") from None
            if line:
                break
        text = line.decode("utf-8", "backslashreplace")
        if line.startswith(b"-"):
            raise LinkError(f"MASTER aborted replication with an error: {text[1:]}")
        if not line.startswith(b"$"):
            raise LinkError(
                "Bad protocol from MASTER, the first byte is not '$' (we received "
                f"'{text}'), are you sure the host and port are right?"
            )
        payload = Payload(self._incoming, line)
        if payload.has_mark:
            log.info(
                "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF %s", where
            )
        else:
            log.info(
                "MASTER <-> REPLICA sync: receiving %d bytes from master %s", payload.size, where
            )
        return payload

    async def _next(self, payload: Payload) -> bytes:
        try:
            data = await payload.next()
        except LinkError as exc:
            raise LinkError(f"I/O error trying to sync with MASTER: {exc}") from None
        self._upstream.transfer_read += len(data)
        return data

    # -- by way of a file

    async def _by_file(self, payload: Payload) -> None:
        server = self._server
        path = file_path(server)
        folder = server.config.dir
        name = f"temp-{server.clock.now_ms // 1000}.{os.getpid()}-{server.run_id[:8]}.rdb"
        temporary = os.path.join(folder, name)
        try:
            await self._receive_file(payload, temporary)
            self._end_other_work()
            await self._on_disk(lambda: put_in_place(temporary, path))
        except OSError as exc:
            raise LinkError(
                "Write error or short write writing to the DB dump file needed for MASTER <-> "
                f"REPLICA synchronization: {exc.strerror or exc}"
            ) from None
        finally:
            remove_file(temporary)
        self._make_way()
        try:
            with open(path, "rb") as opened:  # noqa: ASYNC230  (as for any load)
                file = cast(BinaryIO, opened)
                size = os.fstat(file.fileno()).st_size
                await self._in_place(file, None, size)
        except OSError as exc:
            raise LinkError(
                "Failed trying to load the MASTER synchronization DB from disk: "
                f"{exc.strerror or exc}"
            ) from None
        finally:
            self._forget_file(path)

    async def _receive_file(self, payload: Payload, path: str) -> None:
        """Have the data in a file, and on the disk. Raises OSError, LinkError."""
        file: BinaryIO = await self._on_disk(lambda: open(path, "xb", buffering=0))  # noqa: SIM115
        try:
            unsynced = 0
            data = await self._next(payload)
            while data:
                pieces = [data]
                size = len(data)
                while size < WRITE_SIZE and data:
                    data = await self._next(payload)
                    pieces.append(data)
                    size += len(data)
                unsynced += size
                sync = unsynced >= SYNC_BYTES
                if sync:
                    unsynced = 0
                await self._on_disk(lambda: _write(file, b"".join(pieces), sync))  # noqa: B023
                data = data and await self._next(payload)
            await self._on_disk(lambda: os.fsync(file.fileno()))
        finally:
            file.close()

    def _forget_file(self, path: str) -> None:
        """Remove the file if nobody wants files here."""
        config = self._server.config
        if config.rdb_del_sync_files and not config.save and not config.appendonly:
            self._server.log.info(
                "Removing the RDB file obtained from the master. This replica has persistence "
                "disabled"
            )
            remove_file(path)

    async def _on_disk(self, work: Callable[[], T]) -> T:
        """Do what may wait for the disk; it is done when this returns, even if cancelled."""
        return await self._server.background.on_disk(work)

    # -- loading

    async def _in_place(
        self, file: Arriving | BinaryIO, payload: Payload | None, size: int
    ) -> None:
        """Load into the databases, which are empty; they are so again if it fails."""
        server = self._server
        server.log.info("MASTER <-> REPLICA sync: Loading DB in memory")
        try:
            await self._load(LoadOptions(size), file, payload, asynchronous=False)
        except BaseException:
            server.begin()
            empty_databases(server)
            server.end()
            raise

    async def _beside(self, payload: Payload) -> None:
        """Load beside the old data and exchange the two."""
        server = self._server
        self._end_other_work()
        options = LoadOptions(payload.size)
        options.dbs = [Database(server, db.index) for db in server.dbs]
        same_history = server.replication.replid == self._replid
        server.log.info("MASTER <-> REPLICA sync: Loading DB in memory")
        try:
            await self._load(options, Arriving(), payload, asynchronous=same_history)
        except BaseException:
            for db in options.dbs:
                db.flush()
            server.log.info("MASTER <-> REPLICA sync: Discarding temporary DB in background")
            raise
        self._attach()
        server.log.info("MASTER <-> REPLICA sync: Swapping active DB with loaded DB")
        server.begin()
        for db, loaded in zip(server.dbs, options.dbs, strict=True):
            server.database_changes(db, loaded)
            db.swap_with(loaded)
            loaded.flush()
            db.policy_changed()
        server.tracking.flushed()
        self._upstream.own_keys = {}
        server.dirty += 1
        server.end()
        server.log.info("MASTER <-> REPLICA sync: Discarding old DB in background")

    async def _load(
        self,
        options: LoadOptions,
        file: Arriving | BinaryIO,
        payload: Payload | None,
        *,
        asynchronous: bool,
    ) -> None:
        """Load the data.

        Raises:
          LinkError: it is damaged, or did not come.
        """
        server = self._server
        upstream = self._upstream
        loader = Loader(server, options)
        loading = server.loading
        loading.begin(options.size, asynchronous=asynchronous)
        upstream.loading = payload is None
        try:
            await self._drive(loader.run(cast(BinaryIO, file)), file, payload)
        except RdbError as exc:
            source = "disk" if payload is None else "socket"
            server.log.warning("%s", exc)
            raise LinkError(
                f"Failed trying to load the MASTER synchronization DB from {source}, check server "
                "logs."
            ) from None
        finally:
            upstream.loading = False
            upstream.touch()
            loading.end()
        if payload is not None and await payload.next():
            raise LinkError("Replication stream EOF marker is broken")
        stream_db = loader.aux.get(b"repl-stream-db", b"0")
        self.db = int(stream_db) if stream_db.isdigit() else 0

    async def _drive(
        self, slices: Iterator[None], file: Arriving | BinaryIO, payload: Payload | None
    ) -> None:
        loading = self._server.loading
        for _ in slices:
            delay_s = loading.begin_slice()
            if isinstance(file, Arriving) and file.is_dry:
                assert payload is not None
                file.add(await self._next(payload))
            elif delay_s:
                await trio.sleep(delay_s)
            else:
                await trio.lowlevel.checkpoint()
            await self._tell_primary()
            loading.begin_slice()

    async def _tell_primary(self) -> None:
        """Send an empty line once a second, so that the primary does not give us up."""
        clock = self._server.clock
        now_ms = clock.refresh()
        if now_ms < self._newline_ms:
            return
        self._newline_ms = now_ms + NEWLINE_MS
        if self._upstream.loading:
            self._upstream.touch()
        try:
            await self._stream.send_all(b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # reading will tell, or following later

    # -- what there was

    def _end_other_work(self) -> None:
        """Have nobody save or append what is about to go."""
        server = self._server
        if server.config.appendonly:
            server.rewrite.turn_off()
        server.background.give_up()

    def _attach(self) -> None:
        """Forget what could be continued: the data is of another history from now on."""
        server = self._server
        self._upstream.discard_cached()
        server.replication.disconnect_replicas()
        server.replication.free_backlog()

    def _make_way(self) -> None:
        """Drop the old data."""
        server = self._server
        self._end_other_work()
        self._attach()
        server.log.info("MASTER <-> REPLICA sync: Flushing old data")
        server.begin()
        empty_databases(server)
        self._upstream.own_keys = {}
        server.end()


def _write(file: BinaryIO, data: bytes, sync: bool) -> None:
    """Write all of it to an unbuffered file. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
    if sync:
        os.fdatasync(file.fileno())
