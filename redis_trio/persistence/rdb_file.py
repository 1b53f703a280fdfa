"""A server's data written to an RDB file, and read from one.

Saving gives a file or nothing: a temporary file in the same directory is written, brought to the
disk and renamed, and the directory is brought to the disk too. The last good file stays until then.

Loading goes in slices (`Loader.run`), so that who can wait lets others run in between; who cannot
exhausts the generator. Keys that have expired are dropped, a key that is there twice is damage.

Source: Redis rdb.c rdbSave, rdbSaveDb, rdbLoadRioWithLoadingCtx, rdbSaveInfoAuxFields.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from redis_trio.clock import perf_counter_ns
from redis_trio.data.expires import NEVER
from redis_trio.errors import RedisError
from redis_trio.persistence.loading import Slices, load_at_once
from redis_trio.persistence.rdb_cursor import UNKNOWN
from redis_trio.persistence.rdb_format import COMPATIBLE_VERSION, VERSION, RdbError
from redis_trio.persistence.rdb_reader import NO_DEADLINE, Entry, RdbReader
from redis_trio.persistence.rdb_writer import RdbWriter
from redis_trio.scripting.flags import library_header
from redis_trio.version import REDIS_VERSION

if TYPE_CHECKING:
    from redis_trio.keyspace.database import Database
    from redis_trio.state import ServerState

CHUNK: Final = 256 * 1024  # bytes read, or written, at a time
BATCH: Final = 16  # keys loaded between two looks at the clock
_TEMPORARY: Final = re.compile(r"temp-(?:bg-)?(\d+)-[0-9a-f]{8}\.rdb")
EMPTY_MAX: Final = 10  # keys without elements that are named in the log


# -- saving


def file_path(server: ServerState) -> str:
    """Return the path of the server's RDB file."""
    return os.path.join(server.config.dir, server.config.dbfilename)


def file_version(server: ServerState) -> int:
    """Return the version that a file with all the data has to have, in O(1)."""
    for db in server.dbs:
        if db.field_expires.when.count:
            return VERSION
    return COMPATIBLE_VERSION


def new_writer(server: ServerState, version: int) -> RdbWriter:
    """Return a writer as the configuration asks for it."""
    config = server.config
    return RdbWriter(version, compressed=config.rdbcompression, checksummed=config.rdbchecksum)


def aux_fields(server: ServerState, *, is_aof_base: bool = False) -> list[tuple[bytes, bytes]]:
    """Return what a file tells of its making."""
    return [
        (b"redis-ver", REDIS_VERSION.encode()),
        (b"redis-bits", b"64"),
        (b"ctime", b"%d" % (server.clock.now_ms // 1000)),
        (b"used-mem", b"%d" % server.memory.used_bytes()),
        *([] if is_aof_base else server.replication.aux_fields()),
        (b"aof-base", b"%d" % is_aof_base),
    ]


def access_of(db: Database, key: bytes) -> tuple[int, int]:
    """Return a key's idle time in seconds and its LFU counter, -1 for what is not to be saved."""
    server = db.server
    policy: str = server.config.maxmemory_policy
    if policy.endswith("-lru"):
        return max(0, server.clock.now_ms - db.access.get(key)) // 1000, -1
    frequencies = db.access.frequencies
    return -1, -1 if frequencies is None else frequencies.get(key)


def all_pieces(
    server: ServerState, writer: RdbWriter, *, is_aof_base: bool = False
) -> Iterator[bytes]:
    """Iterate over the pieces of a file with all data, which must not change meanwhile."""
    yield writer.header(aux_fields(server, is_aof_base=is_aof_base))
    for code in server.persistence.libraries:
        yield writer.library(code)
    tells_access = server.config.maxmemory_policy.endswith(("-lru", "-lfu"))
    idle_s = frequency = -1
    for db in server.dbs:
        if not db.table.count:
            continue
        yield writer.database(db.index, db.table.count, db.expires.when.count)
        expires = db.expires
        for shard in db.table.shards():
            for key, value in shard.items():
                when_ms = expires.get(key) if expires.when.count else NEVER
                if tells_access:
                    idle_s, frequency = access_of(db, key)
                yield from writer.key_pieces(key, value, when_ms, idle_s, frequency)
    yield writer.end()


def temporary_path(server: ServerState) -> str:
    """Return a path beside the RDB file that no other server uses."""
    return os.path.join(server.config.dir, f"temp-{os.getpid()}-{server.run_id[:8]}.rdb")


def save(server: ServerState, version: int = 0) -> bool:
    """Save all data to the server's RDB file; return whether it is there now.

    A failure is logged, and leaves the file that was there.

    Args:
      version: of the format; 0: the lowest that takes the data.
    """
    persistence = server.persistence
    path = file_path(server)
    temporary = temporary_path(server)
    try:
        with open(temporary, "wb", buffering=CHUNK) as file:
            file.writelines(all_pieces(server, new_writer(server, version or file_version(server))))
            file.flush()
            os.fsync(file.fileno())
        put_in_place(temporary, path)
    except OSError as exc:
        log_failure(server, exc)
        remove_file(temporary)
        return False
    server.log.info("DB saved on disk")
    server.dirty = 0
    persistence.last_save_s = server.clock.now_ms // 1000
    persistence.last_save_ok = True
    server.update_gate()
    server.background.points_changed()
    return True


def put_in_place(temporary: str, path: str) -> None:
    """Make a file that is on the disk the RDB file. Raises OSError."""
    os.replace(temporary, path)
    sync_folder(path)


def sync_folder(path: str) -> None:
    """Have the name of a file on the disk. Raises OSError."""
    fd = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_file(path: str) -> None:
    """Remove a file that may be there."""
    try:
        os.unlink(path)
    except OSError:
        return


def remove_leftovers(server: ServerState) -> None:
    """Delete what processes that do not exist any more were saving when they ended."""
    folder = server.config.dir
    try:
        names = os.listdir(folder)
    except OSError:
        return  # there are none
    for name in names:
        found = _TEMPORARY.fullmatch(name)
        if found is not None and not _exists(int(found[1])):
            remove_file(os.path.join(folder, name))


def _exists(pid: int) -> bool:
    """Return whether there is a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's
    return True


def log_failure(server: ServerState, exc: OSError) -> None:
    """Log why the data could not be saved."""
    server.log.warning(
        "Error saving the DB to %s (in server root dir %s): %s",
        server.config.dbfilename,
        server.config.dir,
        exc.strerror or exc,
    )


# -- loading


class LoadError(Exception):
    """The data cannot be loaded; the log says why."""


class LoadOptions:
    """How a file is loaded.

    Attributes:
      size: of the file, in bytes; 0 if that is not known.
      is_preamble: it is the base of an append-only file: what has expired is loaded too, for the
        commands behind it may not have known that.
      replaces: whether a key may be there already, and is replaced.
      loaded_before: bytes that were loaded before this file, for the progress of it all.
      dbs: where to; None: into the server's databases. Libraries that there were are replaced then.
    """

    __slots__ = ("dbs", "is_preamble", "loaded_before", "replaces", "size")

    def __init__(self, size: int, *, is_preamble: bool = False, replaces: bool = False) -> None:
        self.size = size
        self.loaded_before = 0
        self.dbs: list[Database] | None = None
        self.is_preamble = is_preamble
        self.replaces = replaces


def load_options(
    server: ServerState, file: BinaryIO, *, is_preamble: bool = False, replaces: bool = False
) -> LoadOptions:
    """Return the options for an open file."""
    size = os.fstat(file.fileno()).st_size
    return LoadOptions(size, is_preamble=is_preamble, replaces=replaces)


class Loader:
    """Loads one file into a server.

    Attributes:
      keys_loaded, keys_expired, keys_empty: how many so far; of those two kinds none was stored.
    """

    def __init__(self, server: ServerState, options: LoadOptions) -> None:
        self._server = server
        self._options = options
        self._reader = RdbReader(
            server.thresholds,
            size=options.size or UNKNOWN,
            check_sum=server.config.rdbchecksum and server.persistence.check_sums,
        )
        self._dbs = server.dbs if options.dbs is None else options.dbs
        self._drops_expired = not options.is_preamble and not server.replication.is_replica
        self.keys_loaded = 0
        self.keys_expired = 0
        self.keys_empty = 0

    @property
    def offset(self) -> int:
        """How many bytes have been read."""
        return self._reader.offset

    @property
    def aux(self) -> dict[bytes, bytes]:
        """What the file says of its making."""
        return self._reader.aux

    def rest(self) -> bytes:
        """Return what was read of the file behind the end of the RDB data."""
        return self._reader.rest()

    def run(self, file: BinaryIO, data: bytes = b"") -> Iterator[None]:
        """Load the file in slices of about a millisecond.

        Args:
          file: its `read` returns None if there will be more, but not yet; a slice ends then.
          data: what has been read of it.

        Raises:
          RdbError: it is damaged, or its data cannot be had here. Part of it has been loaded.
          OSError: it cannot be read.
        """
        reader = self._reader
        loading = self._server.loading
        before = self._options.loaded_before
        if data:
            reader.feed(data)
        batch = count = 1
        while not reader.done:
            entry = reader.next()
            if entry is not None:
                self._apply(entry)
                count -= 1
                if count:
                    continue
            elif not reader.done:
                piece: bytes | None = file.read(CHUNK)
                if piece:
                    reader.feed(piece)
                elif piece is None:
                    yield
                else:
                    reader.finish()
            is_delayed = loading.delay(batch - count)
            batch = count = 1 if is_delayed else BATCH
            loading.advanced(before + reader.offset)
            if loading.is_slice_over(self.keys_loaded):
                if not loading.memory_bytes:
                    loading.memory_bytes = _number(reader.aux.get(b"used-mem", b""))
                yield
        loading.advanced(before + reader.offset)
        self._end()

    def _apply(self, entry: Entry) -> None:
        """Store a key."""
        server = self._server
        if entry.db >= len(self._dbs):
            raise RdbError(
                self.offset,
                "FATAL: Data file was created with a Redis server configured to handle more than "
                f"{len(server.dbs)} databases. Exiting",
            )
        if entry.value is None:
            self.keys_empty += 1
            if self.keys_empty <= EMPTY_MAX:
                server.log.info("rdbLoadObject skipping empty key: %s", _text(entry.key))
            return
        when_ms = entry.when_ms
        if when_ms != NO_DEADLINE and self._drops_expired and when_ms < server.clock.now_ms:
            self.keys_expired += 1
            if b"repl-id" in self.aux:
                server.persistence.dropped.append((entry.db, entry.key))
            return
        db = self._dbs[entry.db]
        if entry.key in db.table:
            if not self._options.replaces:
                raise RdbError(
                    self.offset, f"RDB has duplicated key '{_text(entry.key)}' in DB {db.index}"
                )
            db.unlink(entry.key)
        db.load_key(entry.key, entry.value, when_ms)
        self._set_access(db, entry)
        self.keys_loaded += 1

    def _set_access(self, db: Database, entry: Entry) -> None:
        """Say when or how often the key was accessed, whichever the eviction policy asks for."""
        frequencies = db.access.frequencies
        if frequencies is not None:
            if entry.frequency >= 0:
                frequencies.set(entry.key, entry.frequency)
        elif entry.idle_s >= 0:
            now_ms: int = db.server.clock.now_ms
            db.access.set(entry.key, max(0, now_ms - entry.idle_s * 1000), now_ms)

    def _all_libraries(self) -> list[bytes]:
        """Return the libraries that there were, and those of the file, one for each name."""
        found = {_library_name(code): code for code in self._server.persistence.libraries}
        for code in self._reader.libraries:
            name = _library_name(code)
            if name in found and not self._options.replaces:
                reason = f"Failed loading function: Library '{_text(name)}' already exists"
                raise RdbError(self.offset, reason)
            found[name] = code
        return list(found.values())

    def _end(self) -> None:
        """Keep what is no key, and tell of the file."""
        server = self._server
        persistence = server.persistence
        reader = self._reader
        if self._options.dbs is not None:
            persistence.libraries = reader.libraries
        elif reader.libraries:
            persistence.libraries = self._all_libraries()
        persistence.keys_loaded += self.keys_loaded
        persistence.keys_expired += self.keys_expired
        persistence.aux = reader.aux
        log = server.log
        _log_aux(server, reader.aux)
        if server.config.rdbchecksum and reader.version >= 5 and not reader.checked:
            log.info("RDB file was saved with checksum disabled: no check performed.")
        empty = f", empty keys skipped: {self.keys_empty}" if self.keys_empty else ""
        log.info(
            "Done loading RDB, keys loaded: %d, keys expired: %d%s.",
            self.keys_loaded,
            self.keys_expired,
            empty,
        )


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else 0


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _library_name(code: bytes) -> bytes:
    """Return the name of a library; that of one without a name is its code."""
    try:
        return library_header(code)[1]
    except RedisError:
        return code


def _log_aux(server: ServerState, aux: dict[bytes, bytes]) -> None:
    """Tell of what a file says about its making."""
    log = server.log
    for name, value in aux.items():
        text = _text(value)
        if name.startswith(b"%"):
            log.info("RDB '%s': %s", _text(name), text)
        elif name == b"redis-ver":
            log.info("Loading RDB produced by version %s", text)
        elif name == b"ctime" and value.isdigit():
            log.info("RDB age %d seconds", max(0, server.clock.now_ms // 1000 - int(value)))
        elif name == b"used-mem" and value.isdigit():
            log.info("RDB memory usage when created %.2f Mb", int(value) / 2**20)
        elif name == b"aof-base" and value == b"1":
            log.info("RDB is base AOF")


def load_slices(server: ServerState, *, replaces: bool = False) -> Slices:
    """Load the server's RDB file, if there is one, in slices of about a millisecond.

    Raises:
      RdbError: it is damaged; that has been logged.
      OSError: it cannot be read; that has been logged.
    """
    path = file_path(server)
    log = server.log
    loading = server.loading
    began_ns = perf_counter_ns()
    try:
        with open(path, "rb") as opened:
            file = cast(BinaryIO, opened)
            options = load_options(server, file, replaces=replaces)
            loading.begin(options.size)
            yield from Loader(server, options).run(file)
    except FileNotFoundError:
        return
    except OSError as exc:
        log.warning(
            "Fatal error: can't open the RDB file %s for reading: %s", path, exc.strerror or exc
        )
        raise
    except RdbError as exc:
        log.warning("Error reading the RDB file %s: %s", path, exc)
        raise
    finally:
        loading.end()
    log.info("DB loaded from disk: %.3f seconds", (perf_counter_ns() - began_ns) / 1e9)


def load(server: ServerState, *, replaces: bool = False) -> bool:
    """Load the server's RDB file at once; return whether there is one.

    Raises:
      RdbError, OSError: see `load_slices`.
    """
    if not os.path.exists(file_path(server)):
        return False
    load_at_once(server, load_slices(server, replaces=replaces))
    return True


def empty_databases(server: ServerState) -> None:
    """Remove all data, function libraries too."""
    for db in server.dbs:
        server.database_changes(db)
        db.flush()
    server.tracking.flushed()
    server.persistence.libraries = []


def save_at_end(server: ServerState, options: Collection[str]) -> bool:
    """Save before the server ends, if there are save points or it is asked for.

    Args:
      options: of SHUTDOWN: `save`, `nosave`, `force` are heeded.

    Returns: whether the server may end. If it may not, the log says why.

    Source: server.c finishShutdown.
    """
    persistence = server.persistence
    rewrite = server.rewrite
    if rewrite.running:
        if server.aof.active and not server.aof.has_base:
            if "force" not in options:
                server.log.warning("Writing initial AOF, can't exit.")
                return False
            server.log.warning("Writing initial AOF. Exit anyway.")
        server.log.warning("There is a child rewriting the AOF. Killing it!")
        rewrite.give_up()
    persistence.saves_at_end = (
        "nosave" not in options
        and ("save" in options or bool(server.config.save))
        and not persistence.loading  # half of the data is there, and all of it is in the file
    )
    if not persistence.saves_at_end:
        return True
    if server.background.running:
        server.log.warning("There is a child saving an .rdb. Killing it!")
        server.background.give_up()
    server.log.info("Saving the final RDB snapshot before exiting.")
    if save(server):
        return True
    if "force" in options:
        server.log.warning("Error trying to save the DB. Exit anyway.")
        persistence.saves_at_end = False
        return True
    server.log.warning("Error trying to save the DB, can't exit.")
    return False
