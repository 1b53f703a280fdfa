"""BGSAVE: the data of one moment is saved to the RDB file while clients are served.

The moment is fixed by `BackgroundSave.begin`; a task of the shell then does `run`. Everything that
may wait for the disk happens in a thread, except the rename, so that whoever gives a save up
(FLUSHALL, SHUTDOWN) knows that no file comes after that. A save that fails or is given up leaves
the file that was there, and no other.

Save points have a deadline, and only while something has changed: see `next_save_ms`. Whoever ends
a unit of work compares `dirty` with `save_dirty`, the number of changes from which on there is a
deadline that the keeper does not know yet.

Source: Redis rdb.c rdbSaveBackground, backgroundSaveDoneHandlerDisk; server.c serverCron.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

import trio

from redis_trio.clock import perf_counter_ns
from redis_trio.data.expires import NEVER
from redis_trio.persistence import rdb_file
from redis_trio.persistence.snapshot import CHUNK, Snapshot
from redis_trio.persistence.threads import DiskThread

if TYPE_CHECKING:
    from redis_trio.state import ServerState

SLICE_NS: Final = 1_000_000  # while nobody is served
BUSY_NS: Final = 200_000  # while somebody is, or was not long ago
QUIET_NS: Final = 50_000_000  # after the last command, before nobody is
SYNC_BYTES: Final = 4 << 20  # so that the disk has a steady load
RETRY_S: Final = 5  # after a save that failed

T = TypeVar("T")


async def write_out(snapshot: Snapshot, sink: Callable[[bytes], Awaitable[None]]) -> None:
    """Make all bytes of a snapshot, a slice at a time, and serve clients in between.

    Args:
      sink: called with some CHUNK of bytes at a time, in order; the snapshot waits for it.

    The snapshot is closed when this ends, whichever way.
    """
    server = snapshot.server
    try:
        commands = server.stats.total_commands
        quiet_ns = 0
        more = True
        while more:
            if server.stats.total_commands != commands:
                commands = server.stats.total_commands
                quiet_ns = perf_counter_ns() + QUIET_NS
            done = snapshot.keys_done
            more = snapshot.step(BUSY_NS if perf_counter_ns() < quiet_ns else SLICE_NS)
            delay_us: int = server.config.rdb_key_save_delay
            if delay_us > 0:
                await trio.sleep((snapshot.keys_done - done) * delay_us / 1e6)
            if snapshot.size >= CHUNK or not more:
                await sink(snapshot.take())
            else:
                await trio.lowlevel.checkpoint()
    finally:
        snapshot.close()


async def write_file(snapshot: Snapshot, path: str, *, incremental: bool) -> None:
    """Write a snapshot into a new file, and have all of it on the disk; serve clients meanwhile.

    Args:
      incremental: whether it comes to the disk bit by bit, and not all at the end.

    Raises:
      OSError: that is not possible. Something may be there.
    """
    on_disk = snapshot.server.background.on_disk
    file: BinaryIO = await on_disk(lambda: open(path, "wb", buffering=0))  # noqa: SIM115
    unsynced = 0

    def write(data: bytes) -> None:
        nonlocal unsynced
        write_all(file, data)
        unsynced += len(data)
        if unsynced >= SYNC_BYTES and incremental:
            unsynced = 0
            os.fdatasync(file.fileno())

    async def sink(data: bytes) -> None:
        await on_disk(lambda: write(data))

    try:
        await write_out(snapshot, sink)
        await on_disk(lambda: sync_file(file))
    finally:
        file.close()


class BackgroundSave:
    """The background saves of one server: one at a time.

    Attributes:
      running: whether there is one.
      scheduled: whether one is to begin when the snapshot in hand has ended.
      began_s, seconds: when the one in hand began, -1 if there is none; how long the last took.
      on_end: called at the end of each save with whether it has succeeded.
      spawn: starts a task of the shell; None while there is no shell, and nothing can be saved.
      uses_threads: whether threads can be waited for; not where time is virtual.
    """

    def __init__(self, server: ServerState) -> None:
        self._server: Final = server
        self._snapshot: Snapshot | None = None
        self._scope = trio.CancelScope()
        self._dirty_before = 0
        self._tried_s = 0
        self.running = False
        self.scheduled = False
        self.began_s = -1
        self.seconds = -1
        self.spawn: Callable[[Callable[[], Awaitable[None]]], None] | None = None
        self.on_end: Callable[[bool], None] | None = None
        self.uses_threads = True
        self._disk = DiskThread(server.log)
        server.config.subscribe("save", self.points_changed)
        server.config.subscribe("stop-writes-on-bgsave-error", server.update_gate)

    @property
    def is_other_active(self) -> bool:
        """Whether something else is being saved."""
        server = self._server
        return server.rewrite.running or (server.snapshot is not None and not self.running)

    # -- one save

    def begin(self) -> bool:
        """Fix the moment and begin to save it; return whether that was possible."""
        server = self._server
        if self.spawn is None or self.running or self.is_other_active:
            return False
        persistence = server.persistence
        persistence.saves += 1
        self._dirty_before = server.dirty
        self._tried_s = self.began_s = server.clock.now_ms // 1000
        writer = rdb_file.new_writer(server, rdb_file.file_version(server))
        head = [writer.header(rdb_file.aux_fields(server))]
        head += [writer.library(code) for code in persistence.libraries]
        self._snapshot = Snapshot(server, writer, head)
        self._scope = trio.CancelScope()
        self.running = True
        self.scheduled = False
        server.log.info("Background saving started")
        self.spawn(self.run)
        return True

    async def run(self) -> None:
        """Save the moment that `begin` has fixed; what goes wrong is logged."""
        snapshot = self._snapshot
        assert snapshot is not None
        server = self._server
        path = rdb_file.file_path(server)
        temporary = os.path.join(
            server.config.dir, f"temp-bg-{os.getpid()}-{server.run_id[:8]}.rdb"
        )
        saved = failed = False
        try:
            with self._scope:
                try:
                    await self._save(snapshot, temporary, path)
                    saved = True
                except OSError as exc:
                    rdb_file.log_failure(server, exc)
                    failed = True
                except Exception as bug:
                    server.log.error("internal error in a background save", exc_info=bug)
                    failed = True
        finally:
            snapshot.close()
            if not saved:
                rdb_file.remove_file(temporary)
            self._finished(saved, failed)

    async def _save(self, snapshot: Snapshot, temporary: str, path: str) -> None:
        """Write the file and put it in place. Raises OSError."""
        incremental: bool = self._server.config.rdb_save_incremental_fsync
        await write_file(snapshot, temporary, incremental=incremental)
        await trio.lowlevel.checkpoint_if_cancelled()
        os.replace(temporary, path)
        with trio.CancelScope(shield=True):
            await self.on_disk(lambda: rdb_file.sync_folder(path))

    async def on_disk(self, work: Callable[[], T]) -> T:
        """Do what may wait for the disk; it is done when this returns, even if cancelled."""
        if self.uses_threads:
            return await self._disk.run(work)
        await trio.lowlevel.checkpoint_if_cancelled()
        result = work()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return result

    def _finished(self, saved: bool, failed: bool) -> None:
        """Take note of how a save has ended; one that was given up is as if it had not been."""
        server = self._server
        persistence = server.persistence
        now_s = int(server.clock.time())
        self.seconds = now_s - self.began_s
        self.began_s = -1
        self.running = False
        self._snapshot = None
        if saved:
            server.log.info("Background saving terminated with success")
            server.dirty = max(0, server.dirty - self._dirty_before)
            persistence.last_save_s = now_s
            persistence.last_save_ok = True
        elif failed:
            server.log.warning("Background saving error")
            persistence.last_save_ok = False
        else:
            server.log.warning("Background saving given up")
        server.update_gate()
        self.points_changed()
        if self.on_end is not None:
            self.on_end(saved)

    def schedule(self) -> None:
        """Have a save begin as soon as that is possible."""
        self.scheduled = True
        if not self.running and not self.is_other_active:
            self._server.due_at(self._server.clock.now_ms)

    def give_up(self) -> None:
        """End a save that is running; no file comes of it."""
        if self.running:
            self._scope.cancel()
        self.scheduled = False

    def denies_writes(self) -> bool:
        """Return whether nothing may be written, because it could not be saved."""
        server = self._server
        config = server.config
        return (
            not server.persistence.last_save_ok
            and config.stop_writes_on_bgsave_error
            and bool(config.save)
        )

    def seconds_so_far(self) -> int:
        """Return how long the save in hand has taken, -1 if there is none."""
        return self._server.clock.now_ms // 1000 - self.began_s if self.running else -1

    # -- when to save

    def points_changed(self) -> None:
        """Look again at what is due: something has changed that decides about it."""
        server = self._server
        server.rewrite.look()
        if not server.persistence.last_save_ok:
            server.update_gate()
        counts = [changes for _, changes in server.config.save if changes > server.dirty]
        server.save_dirty = min(counts, default=NEVER)
        next_ms = self.next_save_ms()
        if next_ms != NEVER:
            server.due_at(next_ms)
        if server.replication.replicas:
            server.due_at(server.clock.now_ms)  # some of them may wait for a snapshot of theirs

    def next_save_ms(self) -> int:
        """Return when a save is due by the changes so far, NEVER if none is."""
        server = self._server
        if self.running or self.is_other_active or self.spawn is None:
            return NEVER
        if server.persistence.loading:
            return NEVER
        persistence = server.persistence
        times = [server.clock.now_ms // 1000] if self.scheduled else []
        for seconds, changes in server.config.save:
            if server.dirty >= changes:
                times.append(persistence.last_save_s + seconds + 1)
        if not times:
            return NEVER
        next_s = min(times)
        if not persistence.last_save_ok:
            next_s = max(next_s, self._tried_s + RETRY_S + 1)
        return next_s * 1000

    def save_if_due(self) -> None:
        """Begin the save that is due."""
        server = self._server
        now_s = server.clock.now_ms // 1000
        for seconds, changes in server.config.save:
            if (
                server.dirty >= changes
                and now_s - server.persistence.last_save_s > seconds
                and not self.scheduled
            ):
                server.log.info("%d changes in %d seconds. Saving...", changes, seconds)
                break
        self.begin()


def sync_file(file: BinaryIO) -> None:
    """Have a file on the disk. Raises OSError."""
    os.fsync(file.fileno())


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of it to an unbuffered file. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
