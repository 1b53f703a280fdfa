"""The append-only file: what the feed says is appended to it, and when it is safe on the disk.

    feed ─► buffer ─► write ─► (kernel) ─► fsync ─► (disk)

Each unit of work ends with `end_unit`, which hands over to the kernel what the unit fed:

- `everysec`, `no`: at once, by a write() that only copies memory. It is left to a thread if it is
  big, and put off while a thread works at the file, since write() waits for an fsync of the same
  file. With `everysec` a deadline exists as long as anything is not synced, see `next_sync_ms`.
- `always`: a thread writes and syncs. All output of the unit is held until that has happened,
  whoever it is for: even a reader may have seen what is not on the disk yet. What is fed meanwhile
  goes into the next sync, so that one sync serves all clients of all units since the last.

1. One `Job` at a time is in a thread, of which the shell has one (`start_job`). Whoever cannot wait
   for it, as at the end, runs the job himself: `Job.run` is done by whoever comes first.
2. Positions count bytes since the server started, across all files: `fed`, `written`, `synced`.
3. A failed write is taken back and tried again; until it succeeds, clients may not write. With
   `always` it is the end of the server, since what others have seen cannot be taken back.
4. SELECT is repeated in front of what each file begins with: `Feed.listen` sees to that.

Source: Redis aof.c flushAppendOnlyFile, feedAppendOnlyFile, openNewIncrAofForAppend.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from redis_trio.data.expires import NEVER
from redis_trio.output_limits import exceeds_output_limit
from redis_trio.persistence.aof_manifest import AofError as AofError
from redis_trio.persistence.aof_manifest import Manifest

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.state import ServerState

NO: Final = 0
EVERYSEC: Final = 1
ALWAYS: Final = 2
POLICIES: Final = {"no": NO, "everysec": EVERYSEC, "always": ALWAYS}

INLINE_MAX: Final = 64 * 1024
"""Bytes that are written without a thread, in some 20 us; benchmarks/aof.py."""

SYNC_MS: Final = 1000  # from one fsync to the next, with everysec
RETRY_MS: Final = 1000  # from a failed write to the next try
DELAYED_MS: Final = 2000  # an fsync that takes longer is counted, and logged
LOG_MS: Final = 30_000  # from one line about failed writes to the next


class Job:
    """Work on a file that may take long: write, and perhaps fsync, and go on in another one.

    Attributes:
      end: the position up to which all is written when it is done.
      offset: that of the replication stream there.
      began_ms: when it began.
      error: why it failed; `left` is what has not been written then.
      short: whether bytes of what is left are in the file all the same.
      open_next: opens the file that is appended to from then on; None to stay. Raises OSError.
      next_fd: that file, -1 if there is none; `next_error` says why.
      ended: called in the end, whatever came of it.
    """

    def __init__(self, fd: int, chunks: list[bytes], end: int, offset: int, *, sync: bool) -> None:
        self.fd = fd
        self.left = b"".join(chunks)
        self.end = end
        self.offset = offset
        self.sync = sync
        self.began_ms = 0
        self.error: OSError | None = None
        self.sync_failed = False
        self.open_next: Callable[[], int] | None = None
        self.next_fd = -1
        self.next_error: OSError | None = None
        self.ended: Callable[[Job], None] | None = None
        self._lock = threading.Lock()
        self._done = False

    def run(self) -> None:
        """Do it, or wait until another thread has done it. Raises nothing."""
        with self._lock:
            if self._done:
                return
            self._done = True
            try:
                if self.left:
                    self.left = write_all(self.fd, self.left)
                if self.sync:
                    self.sync_failed = True
                    os.fdatasync(self.fd)
                    self.sync_failed = False
            except OSError as exc:
                self.error = exc
                if isinstance(exc, ShortWrite):
                    self.left = exc.left
            if self.error is None and self.open_next is not None:
                try:
                    self.next_fd = self.open_next()
                    os.close(self.fd)
                except OSError as exc:
                    self.next_error = exc


class ShortWrite(OSError):
    """A write failed in the middle, and what it wrote could not be taken back.

    Attributes:
      left: what is not in the file.
    """

    def __init__(self, cause: OSError, left: bytes) -> None:
        super().__init__(cause.errno, cause.strerror)
        self.left = left


def write_all(fd: int, data: bytes) -> bytes:
    """Append to a file, all or nothing; return what is left, which is nothing.

    Raises:
      OSError: nothing was written.
      ShortWrite: something was.
    """
    size = len(data)
    view = memoryview(data)
    done = 0
    try:
        while done < size:
            written = os.write(fd, view[done:])
            if written == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            done += written
    except OSError as exc:
        if done:
            try:
                os.ftruncate(fd, os.fstat(fd).st_size - done)
            except OSError:
                raise ShortWrite(exc, data[done:]) from None
        raise
    return b""


class Held:
    """Output that waits for a sync: of each client what it was owed when a unit of work ended.

    Attributes:
      end: the position that must be synced.
    """

    __slots__ = ("clients", "end", "outputs")

    def __init__(self, end: int) -> None:
        self.end = end
        self.clients: list[Client] = []
        self.outputs: list[list[bytes]] = []


class AppendOnly:
    """The append-only file of one server.

    Attributes:
      active: whether there is one.
      wanted: whether there is to be one as soon as its base can be written.
      has_base: whether its base has been written; until then it is of no use after a restart.
      manifest: its files.
      fd: the incremental file that is appended to, -1 if there is none.
      policy: NO, EVERYSEC or ALWAYS, as `appendfsync` and `no-appendfsync-on-rewrite` say.
      fed, written, synced: positions.
      fsynced_offset: the offset of the replication stream up to which all is synced, 0 while there
        is no base, -1 while there is no AOF.
      size, base_size: bytes in all files, and how many that were after the last rewrite.
      incr_size: bytes in the file that is appended to.
      rewrite_size: from how many bytes on `Rewrite` is to be told, NEVER if it need not be.
      error: the number of the error (errno) that keeps clients from writing, 0 if there is none.
      delayed_syncs: how often an fsync took long.
      start_job: hands a job to the shell's thread; None while there is no shell.
      released: called when held output has gone; whoever waits for it looks again.
      job: the job in the thread; buffered: bytes that no job has taken yet.
    """

    def __init__(self, server: ServerState) -> None:
        self._server: Final = server
        self.active = False
        self.wanted = False
        self.has_base = False
        self.manifest = Manifest()
        self.fd = -1
        self.policy = POLICIES[server.config.appendfsync]
        self.fed = 0
        self.written = 0
        self.synced = 0
        self.fsynced_offset = -1
        self.size = 0
        self.base_size = 0
        self.incr_size = 0
        self.rewrite_size = NEVER
        self.error = 0
        self.delayed_syncs = 0
        self.start_job: Callable[[Job], None] | None = None
        self.released: Callable[[], None] | None = None
        self.job: Job | None = None
        self._next_jobs: deque[Job] = deque()
        self._buffer: list[bytes] = []
        self.buffered = 0
        self._held: deque[Held] = deque()
        self._stop_listening: Callable[[], None] | None = None
        self._stamp_s = 0  # of the last annotation
        self._synced_ms = 0  # when the last fsync began
        self._retry_ms = NEVER
        self._logged_ms = -LOG_MS
        self._was_delayed = False
        self._sync_error = 0
        self._write_error = 0
        self._offset = 0  # what `fsynced_offset` will be when there is a base
        self.follow_config()
        server.config.subscribe(
            ["appendfsync", "aof-timestamp-enabled", "no-appendfsync-on-rewrite"],
            self.follow_config,
        )

    def follow_config(self) -> None:
        """Take note that the configuration has changed, or that a snapshot has begun or ended."""
        server = self._server
        config = server.config
        policy = POLICIES[config.appendfsync]
        if config.no_appendfsync_on_rewrite and server.snapshot is not None:
            policy = NO
        self._stamped = config.aof_timestamp_enabled
        if policy == self.policy:
            return
        self.policy = policy
        if self.active:
            self.end_unit()
            self._tell_when()

    # -- begin and end

    def begin(
        self, fd: int, size: int, total: int, base_size: int, *, has_base: bool = True
    ) -> None:
        """Append to this file from now on, and feed it.

        Args:
          size: bytes in the file.
          total: bytes in all files.
          base_size: bytes that all files had after the last rewrite.
          has_base: whether the data so far is in those files; else `based` will be called.
        """
        assert not self.active
        server = self._server
        server.feed.flush()  # what is pending belongs to what was before
        self.fd = fd
        self.incr_size = size
        self.size = total
        self.base_size = base_size
        self.active = True
        self.written = self.synced = self.fed
        self._offset = server.replication.offset
        self.fsynced_offset = self._offset if has_base else 0
        self.has_base = has_base
        self.wanted = False
        server.rewrite.look()
        self._write_error = self._sync_error = 0
        self._update_error()
        self._stop_listening = server.feed.listen(self._append)

    def pause(self) -> None:
        """Take nothing more from the feed for now: what happens next is no change of data."""
        self._server.feed.flush()
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None

    def resume(self) -> None:
        """Take from the feed again."""
        if self._stop_listening is None:
            self._stop_listening = self._server.feed.listen(self._append)

    def stop(self) -> None:
        """Append nothing more; all that was fed is on the disk afterwards, if that can be.

        Whoever waits for a sync waits no more.
        """
        if not self.active:
            return
        self.pause()
        self.active = False  # so that what fails now is no reason to end
        self.flush(sync=True)
        if self.buffered or self.synced < self.fed:
            reason = os.strerror(self.error)
            self._server.log.warning("Fail to write and fsync the AOF file: %s", reason)
        os.close(self.fd)
        self.fd = -1
        self._buffer = []
        self.buffered = 0
        self.fsynced_offset = -1
        self._retry_ms = NEVER
        self._write_error = self._sync_error = 0
        self._update_error()
        self.written = self.synced = self.fed  # nobody will ever know better
        self._release(self.fed)

    def switch(self, open_next: Callable[[], int], ended: Callable[[Job], None]) -> None:
        """Go on in another, empty file: what is fed from now on is written there.

        A job syncs the one so far, opens the other and closes the first. If that fails all goes on
        in the first one.

        Args:
          open_next: returns the other file; called in a thread. Raises OSError.
          ended: called with the job when it has been done.
        """
        server = self._server
        server.feed.flush()
        assert self._stop_listening is not None
        self._stop_listening()
        self._stop_listening = server.feed.listen(self._append)
        job = self._take_job(sync=True)
        job.open_next = open_next
        job.ended = ended
        self._queue(job)

    def based(self, base_bytes: int) -> None:
        """Take note that the base has been written, behind which the file comes."""
        self.size = self.base_size = base_bytes + self.incr_size
        if not self.has_base:
            self.has_base = True
            self.fsynced_offset = self._offset
            self._release(self.synced if self.policy == ALWAYS else self.written)

    # -- what is fed

    def _append(self, data: bytes) -> None:
        """Take the bytes of a unit."""
        if self._stamped:
            now_s = self._server.clock.now_ms // 1000
            if now_s > self._stamp_s:
                self._stamp_s = now_s
                stamp = b"#TS:%d\r\n" % now_s
                self._buffer.append(stamp)
                self.buffered += len(stamp)
                self.fed += len(stamp)
        self._buffer.append(data)
        self.buffered += len(data)
        self.fed += len(data)

    def end_unit(self) -> None:
        """Begin to make safe what was fed; hold the output of the unit if it has to wait."""
        policy = self.policy
        if self.job is None and self._retry_ms == NEVER:
            if policy == ALWAYS:
                if self.synced < self.fed:
                    self._queue(self._take_job(sync=True))
            elif self.buffered > INLINE_MAX:
                self._queue(self._take_job())
            elif self.buffered:
                self._write_now()
        if policy == ALWAYS:
            if self.synced < self.fed:
                self._hold()
        elif policy == EVERYSEC:
            self._tell_when()

    def _tell_when(self) -> None:
        """Have the keeper know when there is something to do."""
        when_ms = self.next_sync_ms()
        if when_ms != NEVER:
            self._server.due_at(when_ms)

    def _write_now(self) -> None:
        """Write what there is, without a thread."""
        job = self._take_job()
        job.run()
        self._finished(job)

    def _take_job(self, *, sync: bool = False) -> Job:
        """Return the job of writing all that is buffered."""
        job = Job(self.fd, self._buffer, self.fed, self._server.replication.offset, sync=sync)
        self._buffer = []
        self.buffered = 0
        if sync:
            self._synced_ms = self._server.clock.now_ms
        return job

    # -- jobs

    def _queue(self, job: Job) -> None:
        """Have a job done when those before it are done."""
        if self.job is not None:
            self._next_jobs.append(job)
            return
        self.job = job
        job.began_ms = self._server.clock.now_ms
        self._was_delayed = False
        if self.start_job is None:
            self.job_done(job)
        else:
            self.start_job(job)

    def job_done(self, job: Job) -> None:
        """Go on after a job; it is done here if nobody has done it. A second call does nothing."""
        job.run()
        if self.job is not job:
            return
        self.job = None
        self._finished(job)
        if self._next_jobs:
            self._queue(self._next_jobs.popleft())
        elif self.active:
            self.end_unit()
        if job.ended is not None:
            job.ended(job)

    def sync(self) -> None:
        """Begin to have all that was fed on the disk."""
        if self.job is None and self.synced < self.fed:
            self._queue(self._take_job(sync=True))

    def flush(self, *, sync: bool) -> None:
        """Write all that was fed, waiting for it; `error` says whether that failed."""
        while self.job is not None:
            self.job_done(self.job)
        if self.buffered or (sync and self.synced < self.fed):
            job = self._take_job(sync=sync)
            job.run()
            self._finished(job)

    def _finished(self, job: Job) -> None:
        """Take note of what a job has done."""
        server = self._server
        error = job.error
        if error is not None and not job.sync_failed:
            self._write_failed(job, error)
            return
        size = job.end - self.written
        self.written = job.end
        self.size += size
        self.incr_size += size
        if job.next_fd >= 0:
            self.fd = job.next_fd
            self.incr_size = 0
        if NEVER < self.rewrite_size <= self.size:
            self.rewrite_size = NEVER
            server.rewrite.look()
        self._retry_ms = NEVER
        if self._write_error:
            self._write_error = 0
            server.log.warning("AOF write error looks solved, Redis can write again.")
        if error is not None:
            self._sync_failed(error)
        elif job.sync:
            self._sync_error = 0
            self.synced = job.end
            self._offset = job.offset
            if self.has_base:
                self.fsynced_offset = job.offset
        self._update_error()
        if self._held or job.sync:
            self._release(self.synced if self.policy == ALWAYS else self.written)

    def _write_failed(self, job: Job, error: OSError) -> None:
        """Put back what was not written, and try again later."""
        server = self._server
        now_ms = server.clock.now_ms
        if now_ms - self._logged_ms >= LOG_MS:
            self._logged_ms = now_ms
            server.log.warning("Error writing to the AOF file: %s", error.strerror)
        done = job.end - len(job.left) - self.written
        self.written += done
        self.size += done
        self.incr_size += done
        left = [job.left]
        for other in self._next_jobs:  # which wanted to write behind that, and to go on elsewhere
            left.append(other.left)
            other.error = other.next_error = error
            if other.ended is not None:
                other.ended(other)
        self._next_jobs.clear()
        self._buffer = left + self._buffer
        self.buffered += sum([len(chunk) for chunk in left])
        self._write_error = error.errno or errno.EIO
        self._update_error()
        if self.policy == ALWAYS and self.active:
            server.log.warning(
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. "
                "Exiting..."
            )
            raise AofError("the append-only file cannot be written")
        self._retry_ms = now_ms + RETRY_MS
        server.due_at(self._retry_ms)

    def _sync_failed(self, error: OSError) -> None:
        """Refuse writes until an fsync succeeds."""
        server = self._server
        self._sync_error = error.errno or errno.EIO
        if self.policy == ALWAYS and self.active:
            server.log.warning(
                "Can't persist AOF for fsync error when the AOF fsync policy is 'always': %s. "
                "Exiting...",
                error.strerror,
            )
            raise AofError("the append-only file cannot be synced")
        server.log.warning("Fail to fsync the AOF file: %s", error.strerror)

    def _update_error(self) -> None:
        error = self._write_error or self._sync_error
        if error != self.error:
            self.error = error
            self._server.update_gate()

    # -- time

    def next_sync_ms(self) -> int:
        """Return when something is to be done, NEVER if all is as safe as it should be."""
        if not self.active:
            return NEVER
        job = self.job
        if job is not None:
            if self._was_delayed or not self.buffered:
                return NEVER
            return job.began_ms + DELAYED_MS
        if self._retry_ms != NEVER:
            return self._retry_ms
        if self.policy == EVERYSEC and self.synced < self.fed:
            return self._synced_ms + SYNC_MS
        return NEVER

    def sync_due(self) -> None:
        """Do what is due: fsync, or try again to write."""
        if self.job is not None:
            self._was_delayed = True
            self.delayed_syncs += 1
            self._server.log.warning(
                "Asynchronous AOF fsync is taking too long (disk is busy?). What is fed meanwhile "
                "is kept in memory."
            )
            return
        self._retry_ms = NEVER
        self._queue(self._take_job(sync=self.policy != NO))

    # -- what waits for a sync

    def _hold(self) -> None:
        """Keep back what is owed to clients until all that was fed is synced."""
        server = self._server
        clients = server.pending_writes
        if not clients:
            return
        server.pending_writes = []
        held = Held(self.fed)
        for client in clients:
            client.scheduled = False
            if client.out:
                held.clients.append(client)
                held.outputs.append(client.out)
                client.held_output += sum([len(chunk) for chunk in client.out])
                client.out = []
                client.held += 1
                exceeds_output_limit(client, client.pending_output)
        self._held.append(held)

    def _release(self, position: int) -> None:
        """Let out what waited for a position."""
        held = self._held
        while held and held[0].end <= position:
            group = held.popleft()
            for client, output in zip(group.clients, group.outputs, strict=True):
                newer = client.out
                client.out = [] if client.closes_now else output
                client.held_output -= sum([len(chunk) for chunk in output])
                client.held -= 1
                client.transport.flush()
                client.out = newer
                if not client.held:
                    client.transport.released()
        if self.released is not None:
            self.released()

    @property
    def waits(self) -> bool:
        """Whether there are changes that nobody outside may know of yet."""
        return self.active and self.policy == ALWAYS and self.synced < self.fed
