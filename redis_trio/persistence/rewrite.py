"""BGREWRITEAOF: the append-only file begins again with a base that has the data of one moment.

    moment ─► the feed goes into a new incremental file ─► base written beside ─► one new manifest

`Rewrite.begin` fixes the moment; a task of the shell then does `run`. What is fed from the moment
on goes into the new incremental file, which the manifest names before anything is in it. When the
base is on the disk one manifest replaces another, and only then the files go that it does not name.
So at every time there is a whole AOF, and a rewrite that fails leaves one more file and nothing
else.

- With `appendonly no` there is no incremental file: the base is all.
- CONFIG SET appendonly yes begins with a rewrite (Redis: AOF_WAIT_REWRITE). What is fed meanwhile
  goes into a file that no manifest names yet; if the rewrite fails all begins again later.

What waits for the disk happens in a thread, except for the renames, which are quick: whoever gives
a rewrite up knows that nothing more happens to the files of the manifest.

A rewrite begins by itself when the AOF has grown by `auto-aof-rewrite-percentage`. After three
failures in a row it is left alone for one minute, then for two, four ... up to an hour.

Source: Redis aof.c rewriteAppendOnlyFileBackground, backgroundRewriteDoneHandler,
aofRewriteLimited, startAppendOnly; server.c serverCron.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import trio

from redis_trio.data.expires import NEVER
from redis_trio.persistence.aof import AofError, Job
from redis_trio.persistence.aof_base import base_encoder, base_suffix
from redis_trio.persistence.aof_manifest import (
    Manifest,
    ManifestError,
    manifest_name,
    prepare_manifest,
    read_manifest,
    remove_file,
    sync_folder,
    write_manifest,
)
from redis_trio.persistence.background import write_file
from redis_trio.persistence.snapshot import Snapshot

if TYPE_CHECKING:
    from redis_trio.config import Config
    from redis_trio.state import ServerState

FAILURES_MAX: Final = 3  # in a row, before it waits
DELAY_MAX_MINUTES: Final = 60
RETRY_MS: Final = 1000  # after a rewrite that could not even begin


class Rewrite:
    """The rewrites of one server: one at a time.

    Attributes:
      running: whether there is one.
      scheduled: whether one is to begin as soon as that is possible.
      began_s, seconds: when the one in hand began, -1 if there is none; how long the last took.
      last_ok: whether the last did not fail.
      count: how many have begun; failures: how many failed since one succeeded.
    """

    def __init__(self, server: ServerState) -> None:
        self._server: Final = server
        self._snapshot: Snapshot | None = None
        self._scope = trio.CancelScope()
        self._switched = trio.Event()
        self._switch_error: OSError | None = None
        self._not_before_ms = 0
        self._delay_minutes = 0
        self.running = False
        self.scheduled = False
        self.began_s = -1
        self.seconds = -1
        self.last_ok = True
        self.count = 0
        self.failures = 0
        server.config.subscribe(
            ["auto-aof-rewrite-percentage", "auto-aof-rewrite-min-size"], self.look
        )

    # -- one rewrite

    @property
    def is_possible(self) -> bool:
        """Whether one could begin now: nothing is being saved, and there is a task to do it."""
        server = self._server
        background = server.background
        return not (
            self.running
            or background.running
            or server.snapshot is not None
            or background.spawn is None
            or server.persistence.loading
        )

    def begin(self) -> bool:
        """Fix the moment and begin; return whether that was possible. If not, the log says why."""
        server = self._server
        aof = server.aof
        if not self.is_possible:
            return False
        server.feed.flush()
        try:
            self._open()
        except (OSError, AofError) as exc:
            if isinstance(exc, OSError):
                server.log.warning(
                    "Can't open or create append-only dir %s: %s",
                    server.config.appenddirname,
                    exc.strerror,
                )
            self.last_ok = False
            self._not_before_ms = server.clock.now_ms + RETRY_MS
            return False
        self.running = True
        self.scheduled = False
        self.count += 1
        self.began_s = server.clock.now_ms // 1000
        self._switched = trio.Event()
        self._switch_error = None
        if aof.active and aof.has_base:
            aof.switch(self._open_next, self._has_switched)
        else:
            self._switched.set()
        encoder, head = base_encoder(server)
        self._snapshot = Snapshot(server, encoder, head)
        self._scope = trio.CancelScope()
        server.log.info("Background append only file rewriting started")
        assert server.background.spawn is not None
        server.background.spawn(self.run)
        return True

    def _open(self) -> None:
        """Prepare the folder, and the file for what is fed before there is a base.

        Raises:
          OSError: it cannot be written there.
          AofError: there is a manifest that cannot be read; it has been logged.
        """
        server = self._server
        aof = server.aof
        folder = self._folder
        os.makedirs(folder, 0o755, exist_ok=True)
        if not aof.active:
            aof.manifest = load_manifest(server)
        if aof.wanted:
            fd = open_incr(self._temporary_incr, fresh=True)
            aof.begin(fd, 0, 0, 0, has_base=False)

    def _open_next(self) -> int:
        """Create the incremental file that is appended to from the moment on; in a thread."""
        config = self._server.config
        manifest = self._server.aof.manifest.copy()
        path = os.path.join(self._folder, manifest.add_incr(config.appendfilename))
        fd = open_incr(path, fresh=True)
        try:
            write_manifest(manifest, self._folder, config.appendfilename)
        except OSError:
            os.close(fd)
            remove_file(path)
            raise
        return fd

    def _has_switched(self, job: Job) -> None:
        """Take note that what is fed goes into the new file, or does not."""
        server = self._server
        if job.next_fd >= 0:
            name = server.aof.manifest.add_incr(server.config.appendfilename)
            server.log.info("Creating AOF incr file %s on background rewrite", name)
        else:
            self._switch_error = job.error or job.next_error
        self._switched.set()

    async def run(self) -> None:
        """Write the base of the moment that `begin` has fixed; what goes wrong is logged."""
        server = self._server
        snapshot = self._snapshot
        assert snapshot is not None
        temporary = os.path.join(
            self._folder, f"temp-rewriteaof-bg-{os.getpid()}-{server.run_id[:8]}.aof"
        )
        done = failed = False
        try:
            with self._scope:
                try:
                    incremental: bool = server.config.aof_rewrite_incremental_fsync
                    await write_file(snapshot, temporary, incremental=incremental)
                    await self._switched.wait()
                    if self._switch_error is not None:
                        raise self._switch_error
                    await self._put_in_place(temporary)
                    done = True
                except OSError as exc:
                    server.log.warning("Error writing the AOF base file: %s", exc.strerror or exc)
                    failed = True
                except Exception as bug:
                    server.log.error("internal error in a background rewrite", exc_info=bug)
                    failed = True
                if done:
                    with trio.CancelScope(shield=True):
                        await self._remove_history()
        finally:
            snapshot.close()
            if not done:
                remove_file(temporary)
            self._finished(done, failed)

    async def _put_in_place(self, temporary: str) -> None:
        """Have the base, and the incremental file behind it, be the AOF. Raises OSError."""
        server = self._server
        aof = server.aof
        config = server.config
        folder = self._folder
        manifest = aof.manifest.copy()
        name = manifest.add_base(config.appendfilename, base_suffix(config))
        base = os.path.join(folder, name)
        incr = ""
        os.replace(temporary, base)
        try:
            size = os.stat(base).st_size
            if aof.active and not aof.has_base:
                incr = os.path.join(folder, manifest.add_incr(config.appendfilename))
                os.replace(self._temporary_incr, incr)
            manifest.retire_incr(1 if aof.active else 0)
            prepared = await server.background.on_disk(
                lambda: prepare_manifest(manifest, folder, config.appendfilename)
            )
            await trio.lowlevel.checkpoint_if_cancelled()
            os.replace(prepared, os.path.join(folder, manifest_name(config.appendfilename)))
        except BaseException:
            remove_file(base)
            if incr:
                os.replace(incr, self._temporary_incr)
            raise
        aof.manifest = manifest
        if aof.active:
            aof.based(size)
        server.log.info("Background AOF rewrite terminated with success")

    async def _remove_history(self) -> None:
        """Delete the files that the base has replaced, when the manifest is on the disk."""
        server = self._server
        folder = self._folder
        on_disk = server.background.on_disk
        try:
            await on_disk(lambda: sync_folder(folder))
            manifest = server.aof.manifest
            clean = await on_disk(lambda: remove_history(server, manifest))
            server.aof.manifest = clean
        except OSError as exc:  # they go after the next rewrite
            server.log.warning("Error removing the AOF history files: %s", exc.strerror)

    def _finished(self, done: bool, failed: bool) -> None:
        """Take note of how a rewrite has ended; one that was given up is as if it had not been."""
        server = self._server
        aof = server.aof
        self.running = False
        self._snapshot = None
        self.seconds = int(server.clock.time()) - self.began_s
        self.began_s = -1
        if done:
            self.last_ok = True
            self.failures = self._delay_minutes = self._not_before_ms = 0
            server.log.info("Background AOF rewrite finished successfully")
        elif failed:
            self.last_ok = False
            self._failed()
            server.log.warning("Background AOF rewrite terminated with error")
        else:
            server.log.warning("Background AOF rewrite given up")
        if aof.active and not aof.has_base:
            self._begin_again()
        server.background.points_changed()

    def _failed(self) -> None:
        """Wait before the next try, if there have been several."""
        server = self._server
        self.failures += 1
        if self.failures < FAILURES_MAX:
            return
        self._delay_minutes = min(max(1, 2 * self._delay_minutes), DELAY_MAX_MINUTES)
        self._not_before_ms = server.clock.now_ms + self._delay_minutes * 60_000
        server.log.warning(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in "
            "%d minutes",
            self._delay_minutes,
        )

    def _begin_again(self) -> None:
        """Throw away what was fed while there was to be a base: it is of no use without one."""
        aof = self._server.aof
        aof.stop()
        remove_file(self._temporary_incr)
        if self._server.config.appendonly:
            aof.wanted = True
            self.scheduled = True

    def schedule(self) -> None:
        """Have a rewrite begin as soon as that is possible."""
        self.scheduled = True
        self.failures = self._delay_minutes = self._not_before_ms = 0
        self.look()

    def give_up(self) -> None:
        """End a rewrite that is running; the AOF is as it was."""
        if self.running:
            self._scope.cancel()
        self.scheduled = False

    # -- the AOF turned on and off

    def turn_on(self) -> bool:
        """Have an AOF from now on, which begins with a rewrite; return whether that is possible."""
        server = self._server
        aof = server.aof
        current = server.current
        aof.wanted = True
        if current is not None and current.executing:
            server.log.info(
                "AOF was enabled during a transaction. An AOF background was scheduled to start "
                "when possible."
            )
        elif self.running:
            server.log.info(
                "AOF was enabled but there is already an AOF rewriting in background. Stopping "
                "background AOF and starting a rewrite now."
            )
            self._scope.cancel()
        elif server.background.running or server.snapshot is not None:
            server.log.info(
                "AOF was enabled but there is already another background operation. An AOF "
                "background was scheduled to start when possible."
            )
        elif self.begin():
            return True
        else:
            aof.wanted = False
            server.log.warning(
                "Redis needs to enable the AOF but can't trigger a background AOF rewrite "
                "operation. Check the above logs for more info about the error."
            )
            return False
        self.schedule()
        return True

    def turn_off(self) -> None:
        """Append nothing more."""
        aof = self._server.aof
        aof.wanted = False
        self.give_up()
        had_base = aof.has_base
        if aof.active:
            aof.stop()
            if not had_base:
                remove_file(self._temporary_incr)

    # -- when

    def look(self) -> None:
        """Look again when a rewrite is due: the AOF has grown, or the configuration changed."""
        server = self._server
        aof = server.aof
        aof.rewrite_size = NEVER
        next_ms = self.next_ms()
        if next_ms != NEVER:
            server.due_at(next_ms)
        elif aof.active:
            aof.rewrite_size = self._due_size()

    def next_ms(self) -> int:
        """Return when a rewrite is due, NEVER if none is."""
        aof = self._server.aof
        if not self.is_possible or not (self.scheduled or aof.wanted or self._has_grown()):
            return NEVER
        return max(self._not_before_ms, self._server.clock.now_ms)

    def begin_due(self) -> None:
        """Begin the rewrite that is due."""
        server = self._server
        aof = server.aof
        if not self.scheduled and not aof.wanted:
            growth = aof.size * 100 // max(1, aof.base_size) - 100
            server.log.info("Starting automatic rewriting of AOF on %d%% growth", growth)
        self.begin()

    def _has_grown(self) -> bool:
        aof = self._server.aof
        due = self._due_size()
        return aof.active and aof.has_base and due != NEVER and aof.size >= due

    def _due_size(self) -> int:
        """Return from how many bytes on a rewrite is due, NEVER if it never is."""
        config = self._server.config
        percentage: int = config.auto_aof_rewrite_percentage
        if not percentage:
            return NEVER
        base_size = max(1, self._server.aof.base_size)
        least: int = config.auto_aof_rewrite_min_size + 1
        return max(least, ((100 + percentage) * base_size + 99) // 100)

    def seconds_so_far(self) -> int:
        """Return how long the rewrite in hand has taken, -1 if there is none."""
        return self._server.clock.now_ms // 1000 - self.began_s if self.running else -1

    # -- files

    @property
    def _folder(self) -> str:
        return aof_folder(self._server.config)

    @property
    def _temporary_incr(self) -> str:
        """The path of what is fed before there is a base."""
        return os.path.join(self._folder, f"temp-{self._server.config.appendfilename}.incr")


def aof_folder(config: Config) -> str:
    """Return the path of the folder."""
    return os.path.join(config.dir, config.appenddirname)


def load_manifest(server: ServerState) -> Manifest:
    """Return the manifest in the folder.

    Raises:
      AofError: it is damaged, or cannot be read; it has been logged.
    """
    config = server.config
    log = server.log
    try:
        return read_manifest(aof_folder(config), config.appendfilename)
    except OSError as exc:
        log.warning("Fatal error: can't open the AOF manifest for reading: %s", exc.strerror)
    except ManifestError as exc:
        log.warning("*** FATAL AOF MANIFEST FILE ERROR ***")
        if exc.number:
            log.warning("Reading the manifest file, at line %d", exc.number)
            log.warning(">>> '%s'", exc.line)
        log.warning("%s", exc.reason)
    raise AofError("the manifest cannot be read")


def open_incr(path: str, *, fresh: bool = False) -> int:
    """Open a file to append to it, an empty one if it is to be `fresh`. Raises OSError."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    return os.open(path, flags | os.O_TRUNC if fresh else flags, 0o644)


def remove_history(server: ServerState, manifest: Manifest) -> Manifest:
    """Delete the files that a base has replaced; return the manifest that does not name them.

    Raises:
      OSError: that manifest cannot be written; the names stay in it until the next time.
    """
    config = server.config
    if config.aof_disable_auto_gc or not manifest.history:
        return manifest
    folder = aof_folder(config)
    for file in manifest.history:
        server.log.info("Removing the history file %s in the background", file.name)
        remove_file(os.path.join(folder, file.name))
    clean = manifest.copy()
    clean.history = []
    write_manifest(clean, folder, config.appendfilename)
    return clean
