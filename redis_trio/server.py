"""The server: its tasks, its sockets, and the API with which a Trio application embeds it.

The nursery tree, all of it inside the one task that `serve_redis` starts:

    server task
    ├─ accept loop, one for each listening socket
    ├─ connection task + nursery, one for each client
    ├─ hub: readiness of all idle plain sockets
    └─ keeper: one task asleep until the next deadline

Cancelling the caller's nursery stops all of it; so does `aclose()`, which lets replies in flight
out first. Nothing that happens in a connection reaches the caller.
"""

from __future__ import annotations

import logging
import select
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio

import redis_trio.commands  # noqa: F401  (declares every command)
from redis_trio.client import PAUSED, Client
from redis_trio.clock import Clock
from redis_trio.config import Config
from redis_trio.connection import Connection, SocketConnection, StreamConnection, Turns
from redis_trio.execute import dispatch, serve_ready
from redis_trio.hub import run_hub
from redis_trio.jobs import standard_jobs
from redis_trio.keeper import Keeper, awake
from redis_trio.listeners import TCP, TLS, UNIX, Listeners, address_text, set_options
from redis_trio.persistence.aof import AofError, Job
from redis_trio.persistence.aof_files import (
    aof_changed,
    collect_history,
    complete_aof,
    load_aof,
    open_aof,
)
from redis_trio.persistence.loading import load_in_turns
from redis_trio.persistence.rdb_file import (
    LoadError,
    load_slices,
    remove_leftovers,
    save,
    save_at_end,
)
from redis_trio.persistence.rdb_format import RdbError
from redis_trio.persistence.threads import DiskThread
from redis_trio.protocol.plain import PlainReply, plain_reply
from redis_trio.protocol.reply import NO_REPLY, RedisError, Reply
from redis_trio.protocol.request import Args
from redis_trio.replication.changes import MAX_PENDING, Changes
from redis_trio.replication.link import Follower
from redis_trio.replication.roles import begin_as_configured, continue_from_file
from redis_trio.replication.tasks import run_replication
from redis_trio.replication.upstream import CONNECTED
from redis_trio.state import ServerState
from redis_trio.timers import ServerTime
from redis_trio.transport import Poller, Transport

GRACE_S: Final = 5.0  # how long aclose() lets replies in flight out
ABOUT_FILES: Final = {"dir", "dbfilename", "save"}  # who embeds a server says so if it has files
HAS_EPOLL: Final = hasattr(select, "epoll")

DENIED: Final = (
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no "
    b"password is set for the default user. In this mode connections are only accepted from the "
    b"loopback interface. If you want to connect from external computers to Redis you may adopt "
    b"one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG "
    b"SET protected-mode no' from the loopback interface by connecting to Redis from the same "
    b"host the server is running, however MAKE SURE Redis is not publicly accessible from "
    b"internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively "
    b"you can just disable the protected mode by editing the Redis configuration file, and "
    b"setting the protected mode option to 'no', and then restarting the server. 3) If you "
    b"started the server manually just for testing, restart it with the '--protected-mode no' "
    b"option. 4) Set up an authentication password for the default user. NOTE: You only need to "
    b"do one of the above things in order for the server to start accepting connections from the "
    b"outside.\r\n"
)

Word = str | bytes | bytearray | memoryview | int | float


def _encode(word: Word) -> bytes:
    """Return a word of a command as bytes.

    Raises:
      TypeError: it is none; what None or a bool should become is for the caller to say.
    """
    if isinstance(word, bytes):
        return word
    if isinstance(word, (str, int, float)) and not isinstance(word, bool):
        return str(word).encode()
    if isinstance(word, (bytearray, memoryview)):
        return bytes(word)
    raise TypeError(f"a word of a command is text, bytes or a number, not {type(word).__name__}")


def _leave(job: Job) -> None:
    """Leave a job to who closes the file."""


class InProcess(Transport):
    """The transport of a client that is a call from inside the process: there is no peer."""

    def __init__(self, server: ServerState) -> None:
        self.resumed = trio.Event()
        super().__init__(server, self._notice)

    def _notice(self) -> None:
        self.resumed.set()

    def flush(self) -> None:
        """Drop what was pushed to the client: there is nobody to read it."""
        self.client.out.clear()

    def resume(self) -> None:
        """Let the call go on."""
        self.resumed.set()


class RedisServer:
    """A running server, as `serve_redis` returns it.

    Attributes:
      state: everything inside; not part of the stable API.
      config: its configuration; change it with CONFIG SET.
    """

    def __init__(
        self,
        config: Config,
        *,
        pick_port: bool = False,
        pick_tls_port: bool = False,
        loads: bool = True,
        listens_first: bool = False,
        starts_first: bool = False,
    ) -> None:
        trio_clock = trio.lowlevel.current_clock()
        is_system_clock = type(trio_clock).__qualname__ == "SystemClock"
        self._has_threads = is_system_clock  # virtual time does not wait for a thread
        clock = Clock() if is_system_clock else Clock(virtual=trio_clock.current_time)
        self.config = config
        self._pick_port = pick_port
        self._pick_tls_port = pick_tls_port
        self._loads = loads
        self._listens_first = listens_first or starts_first  # and loads then
        self._starts_first = starts_first  # is `started`, and loads then
        self.state = ServerState(config, clock, logging.getLogger("redis_trio"))
        self._poller = Poller(self.state) if HAS_EPOLL else None
        self._keeper = Keeper(self.state, standard_jobs(self.state))
        self._time = ServerTime(clock, self.state.timers, self._keeper)
        self._listeners = Listeners(self.state, self._connected)
        self._turns = Turns()
        self._nursery: trio.Nursery | None = None
        self._calls: set[trio.CancelScope] = set()  # around each `execute` that waits
        self._closing = trio.Event()
        self._closed = trio.Event()
        self._client_gone = trio.Event()
        self._grace = trio.CancelScope()
        self._asked = False  # to end, by a signal
        self._insisted = False  # the grace was cut short
        self.state.shutdown = self._end
        self._loaded = trio.Event()  # or has given up
        self._has_loaded = False
        self._load_scope = trio.CancelScope()
        self._disk = DiskThread(self.state.log)
        self._synced = trio.Event()  # for calls that wait for an fsync
        self.state.aof.released = self._aof_released
        self.state.persistence.uses_files = loads or config.appendonly
        self._follower = Follower(self.state, awake)
        self._follow_scope = trio.CancelScope()
        self._link_changed = trio.Event()
        self.state.replication.role_observers.append(self._note_link)
        begin_as_configured(self.state)
        config.subscribe("appendonly", self._appendonly_changed)
        config.subscribe("aof-disable-auto-gc", lambda: collect_history(self.state))

    @property
    def addresses(self) -> list[tuple[str, int] | str]:
        """Where it listens, as (host, port) pairs and paths of unix sockets."""
        found: list[tuple[str, int] | str] = []
        for listening in self._listeners.sockets:
            name = listening.sock.getsockname()
            found.append(name if isinstance(name, str) else (name[0], name[1]))
        return found

    @property
    def time(self) -> ServerTime:
        """Moves and stops the server's time."""
        return self._time

    @property
    def port(self) -> int:
        """The TCP port it listens on; 0 if there is none."""
        return self.state.port

    @property
    def kinds(self) -> list[str]:
        """What it listens on, of `tcp`, `unix` and `tls`."""
        return list(dict.fromkeys(listening.kind for listening in self._listeners.sockets))

    @property
    def tls_port(self) -> int:
        """The port for TLS that it listens on; 0 if there is none."""
        return self.config.tls_port

    @property
    def url(self) -> str:
        """The URL that clients connect to, of plain TCP if there is that, else of TLS (rediss)."""
        scheme = {TCP: "redis", TLS: "rediss"}
        for listening in self._listeners.sockets:
            if listening.kind != UNIX:
                host = listening.sock.getsockname()[0]
                host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
                if ":" in host:
                    host = f"[{host}]"
                if listening.kind == TCP or not self.port:
                    return f"{scheme[listening.kind]}://{host}:{listening.port}"
        for address in self.addresses:
            return f"unix://{address}"
        raise RuntimeError("the server listens nowhere")

    async def execute(self, *words: Word) -> PlainReply:
        """Run one command inside the process, as a client of database 0 of its own would.

        Args:
          words: the command and its arguments: text, which is encoded as UTF-8, bytes, numbers.

        Returns:
          The reply as a Python value of type bytes (simple strings too), int, float, bool, None,
          list (sets too, in the order of the reply) or dict.

        Raises:
          RedisError: the command was answered with an error.
          ClosedResourceError: the server is not running, or has been closed meanwhile.
          TypeError: a word is nothing of that.

        Cancellation: a command that has begun is finished; a blocking command that is cancelled
        has not taken anything.
        """
        if self._nursery is None:
            raise trio.ClosedResourceError("the server is not running")
        await trio.lowlevel.checkpoint_if_cancelled()
        await awake(self.state)
        args = [_encode(word) for word in words]
        if not args:
            raise ValueError("a command has at least a name")
        state = self.state
        transport = InProcess(state)
        client = transport.client
        client.resp = 3
        client.set_trusted()
        client.write_offset = state.replication.offset  # WAIT is for all that was written so far
        reply = self._dispatch(client, args)
        if client.halted & PAUSED or client.waiter is not None:
            reply = await self._waited_for(transport, args)
        else:
            client.disconnected()
            await trio.lowlevel.cancel_shielded_checkpoint()
        if state.aof.waits:
            await self._until_synced(state.aof.fed)
        plain = None if reply is NO_REPLY else plain_reply(reply)
        if isinstance(plain, RedisError):
            raise plain
        return plain

    def _dispatch(self, client: Client, args: Args) -> Reply:
        """Run a command as a unit of work."""
        self.state.begin()
        reply = dispatch(client, args)
        if self.state.waiting.ready:
            serve_ready(self.state)
        self.state.end()
        return reply

    async def _waited_for(self, transport: InProcess, args: Args) -> Reply:
        """Return the reply to a command that is paused or blocked."""
        client = transport.client
        scope = trio.CancelScope()
        self._calls.add(scope)
        try:
            with scope:
                reply: Reply = NO_REPLY
                while client.halted & PAUSED:
                    await transport.resumed.wait()
                    transport.resumed = trio.Event()
                    reply = self._dispatch(client, args)
                if client.waiter is not None:
                    reply = await client.waiter.wait()
                return reply
        finally:
            self._calls.discard(scope)
            client.disconnected()
        raise trio.ClosedResourceError("the server was closed")

    async def connect(self) -> trio.abc.HalfCloseableStream:
        """Return an in-memory stream to the server: a connection without a socket.

        Raises:
          ClosedResourceError: the server is not running.
        """
        from trio.testing import memory_stream_pair

        await trio.lowlevel.checkpoint()
        if self._nursery is None or self._closing.is_set():
            raise trio.ClosedResourceError("the server is not running")
        ours, theirs = memory_stream_pair()
        self.state.stats.connections_received += 1
        self._start(StreamConnection(self.state, theirs, self._turns))
        return ours

    async def aclose(self) -> None:
        """Stop accepting, let replies in flight out (5 s at most), close everything.

        Returns when nothing of the server is left. A second call waits for the first.
        """
        if not self._closing.is_set():
            self.state.persistence.saves_at_end = bool(self.config.save)
            self._end()
        await self._closed.wait()

    async def wait_loaded(self) -> None:
        """Wait until the data is there; it is from the beginning, but with `load_in_background`.

        Raises:
          ClosedResourceError: the server was closed before.
        """
        await self._loaded.wait()
        if not self._has_loaded:
            raise trio.ClosedResourceError("the server was closed")

    def _end(self) -> None:
        """Begin to close, whatever else is going on."""
        self._closing.set()
        self._load_scope.cancel()

    # -- its task

    async def _run(
        self, *, task_status: trio.TaskStatus[RedisServer] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Be the server task: returns when the server has been closed."""
        failure: BaseException | None = None
        try:
            self.state.begin()
            if not self._listens_first:
                await self._load()
            self._listeners.open(pick_port=self._pick_port, pick_tls_port=self._pick_tls_port)
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                if self._has_threads:
                    self.state.aof.start_job = self._start_job
                self.state.background.uses_threads = self._has_threads
                self.state.background.spawn = self._spawn
                self.state.migrations.spawn = self._spawn
                self.state.go_on_later = self._script_stands_still
                if self._poller is not None:
                    nursery.start_soon(run_hub, self.state, self._poller, name="redis hub")
                nursery.start_soon(self._keeper.run, name="redis keeper")
                nursery.start_soon(run_replication, self.state, name="redis replication")
                self._listeners.start(nursery)
                if self._starts_first:
                    task_status.started(self)
                with self._load_scope:
                    if self._listens_first:
                        await self._load()
                    self.state.background.points_changed()
                    nursery.start_soon(self._follow, name="redis link to the primary")
                    if not self._starts_first:
                        task_status.started(self)
                await self._closing.wait()
                self._follow_scope.cancel()
                self._listeners.close()
                await self._let_out()
                self._save_last_changes()
                nursery.cancel_scope.cancel()
        except* Exception as group:  # noqa: BLE001  (raised again below)
            failure = group.exceptions[0] if len(group.exceptions) == 1 else group
        finally:
            self._nursery = None
            self.state.background.spawn = None
            self.state.migrations.spawn = None
            self.state.migrations.close()
            self.state.go_on_later = None
            if self.state.scripting is not None:
                self.state.scripting.abandon()
            self._closing.set()
            self._note_link()
            for tap in list(self.state.replication.taps):
                tap.close()
                tap.event.set()
            for scope in self._calls:
                scope.cancel()
            self._listeners.close()
            if self._poller is not None:
                self._poller.close()
            with trio.CancelScope(shield=True):
                await self._close_aof()
            self._loaded.set()
            self._closed.set()
            self._synced.set()
        if failure is not None:
            raise failure

    def _note_link(self) -> None:
        self._link_changed.set()
        self._link_changed = trio.Event()

    async def synced(self) -> None:
        """Wait until a replica has its primary's data and follows it; at once on a primary.

        Raises:
          ClosedResourceError: the server is closed, or was closed meanwhile.
        """
        replication = self.state.replication
        await trio.lowlevel.checkpoint()
        while not self._closing.is_set():
            upstream = replication.upstream
            if upstream is None or upstream.state == CONNECTED:
                return
            await self._link_changed.wait()
        raise trio.ClosedResourceError("the server was closed")

    def changes(self, *, after: str | None = None, max_pending: int = MAX_PENDING) -> Changes:
        """Return an iterator over the writes that are applied, to be used with `async for`.

        On a replica these are its primary's; on a primary, its clients'. It begins at once: with
        what is written after this call.

        Args:
          after: the `position` of a change, to begin behind it; also in a later life of the
            program, as long as the backlog reaches back so far.
          max_pending: how many bytes of changes may wait for whoever iterates.

        Returns:
          An iterator whose items are of type Change. It waits for the next one, and raises
          ChangesLost when there is one that it cannot tell: the iterating was too slow, or the data
          was replaced by a full synchronization.

        Raises:
          ChangesLost: what comes behind `after` is not known any more.
          ValueError: `after` is no position.
        """
        return Changes(self.state, after, max_pending)

    async def _follow(self) -> None:
        """Be the replica of whatever primary there is, until the server is closed."""
        with self._follow_scope:
            await self._follower.run()
        self._client_gone.set()

    # -- the RDB file

    async def _load(self) -> None:
        """Load the data, from where the configuration says; others of the host run in between.

        Raises:
          LoadError: it is damaged, or cannot be read; it has been logged.
        """
        if self._loads:
            remove_leftovers(self.state)
        if self.config.appendonly:
            await self._open_aof()
        elif self._loads:
            await self._load_file()
        self._has_loaded = True
        self._loaded.set()

    async def _load_file(self) -> None:
        """Load the data, if there is a file. Raises LoadError."""
        try:
            await load_in_turns(self.state, load_slices(self.state))
        except (RdbError, OSError) as exc:
            self.state.log.warning("Fatal error loading the DB, check server logs. Exiting.")
            raise LoadError(str(exc)) from exc
        continue_from_file(self.state)

    def _spawn(
        self, work: Callable[[], Awaitable[None]], name: str = "redis background save"
    ) -> None:
        """Do something beside the clients, until the server ends."""
        assert self._nursery is not None
        self._nursery.start_soon(work, name=name)

    def _save_last_changes(self) -> None:
        """Save what was written since the end was decided, by clients that were still served."""
        state = self.state
        saves = state.persistence.saves_at_end and not state.whole.closed
        if saves and state.dirty and self._has_loaded:
            save(state)

    # -- the append-only file

    async def _open_aof(self) -> None:
        """Load the append-only file, and begin to append to it.

        Raises:
          LoadError: it is damaged, or cannot be had; it has been logged.
        """
        try:
            await load_in_turns(self.state, load_aof(self.state))
            open_aof(self.state)
        except AofError as exc:
            raise LoadError(str(exc)) from exc

    async def _close_aof(self) -> None:
        """Have all that was fed on the disk, and close the file."""
        aof = self.state.aof
        if aof.start_job is not None:
            aof.start_job = _leave
        if aof.active:
            aof.pause()
            try:
                aof.sync()
                while aof.job is not None:
                    job = aof.job
                    await self._disk.run(job.run)
                    aof.job_done(job)
            except AofError:
                pass  # it has been logged, and the end has come anyway
            aof.stop()
        if aof.wanted:
            await self.state.background.on_disk(lambda: complete_aof(self.state))

    def _appendonly_changed(self) -> None:
        """Follow CONFIG SET appendonly; what the first value says is done by `_run`."""
        if self._nursery is not None:
            aof_changed(self.state)

    def _start_job(self, job: Job) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(self._do_job, job, name="redis append-only file")

    async def _do_job(self, job: Job) -> None:
        """Do a job in a thread, of which there is one at a time.

        Raises:
          AofError: the server cannot keep what it has promised.
        """
        await self._disk.run(job.run)
        self.state.begin()
        self.state.aof.job_done(job)
        self.state.end()

    async def _until_synced(self, position: int) -> None:
        """Wait until what was fed up to `position` is on the disk.

        Raises:
          ClosedResourceError: it cannot be had there; the server has ended.
        """
        aof = self.state.aof
        with trio.CancelScope(shield=True):
            while aof.synced < position and not self._closed.is_set():
                await self._synced.wait()
        if aof.synced < position:
            raise trio.ClosedResourceError("the server was closed")

    def _aof_released(self) -> None:
        self._synced.set()
        self._synced = trio.Event()

    async def _let_out(self) -> None:
        """Close every client when its peer has taken what it is owed, GRACE_S at most."""
        state = self.state
        self._grace.deadline = trio.current_time() + GRACE_S
        with self._grace:
            await state.whole.passed()
            for client in list(state.clients.values()):
                if not client.is_master:
                    client.close_when_sent()
                    client.transport.close()
            state.end()
            while state.clients:
                self._client_gone = trio.Event()
                await self._client_gone.wait()

    # -- connections

    def _script_stands_still(self) -> None:
        """Have the rest of a script done in slices."""
        assert self._nursery is not None
        self._nursery.start_soon(self._run_script, name="redis script")

    async def _run_script(self) -> None:
        room = self.state.scripting
        assert room is not None
        while room.aside.standing:
            await trio.lowlevel.checkpoint()
            room.go_on()

    def _connected(self, sock: socket.socket, address: object, kind: str) -> None:
        """Begin to serve an accepted socket, or refuse it."""
        state = self.state
        sock.setblocking(False)
        if len(state.clients) >= self.config.maxclients:
            # Where TLS has to come first nothing is said: that is what the refusal saves.
            self._refuse(sock, b"" if kind == TLS else b"-ERR max number of clients reached\r\n")
            return
        try:
            if kind != UNIX:
                set_options(sock, self.config.tcp_keepalive)
            name = sock.getsockname()
        except OSError:  # reset by the peer before it was accepted
            sock.close()
            return
        connection = self._connection(sock, state.tls.server if kind == TLS else None)
        client = connection.client
        client.unix = kind == UNIX
        client.laddr = f"{name}:0" if client.unix else address_text(name)
        client.addr = client.laddr if client.unix else address_text(address)
        if kind != TLS:
            if self._is_protected_from(client):
                self._refuse(sock, DENIED)
                return
            state.stats.connections_received += 1
        self._start(connection)

    def _is_protected_from(self, client: Client) -> bool:
        """Whether protected mode keeps a client out that has just connected."""
        nopass = self.state.acl.default.nopass
        return self.config.protected_mode and nopass and not client.is_local

    def _greet(self, connection: Connection) -> None:
        """Let a client in whose handshake is done, or send it away."""
        client = connection.client
        stats = self.state.stats
        if self._is_protected_from(client):
            stats.rejected_connections += 1
            client.out.append(DENIED)
            client.close_when_sent()
        else:
            stats.connections_received += 1

    def _refuse(self, sock: socket.socket, error: bytes) -> None:
        """Send an error to who has just connected, and hang up."""
        self.state.stats.rejected_connections += 1
        try:
            sock.send(error)
        except OSError:
            pass  # the peer did not wait for it
        sock.close()

    def _connection(self, sock: socket.socket, context: ssl.SSLContext | None) -> Connection:
        if self._poller is not None:
            return SocketConnection(self.state, sock, self._poller, context, self._greet)
        stream: trio.abc.Stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        if context is not None:
            stream = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        return StreamConnection(self.state, stream, self._turns, self._greet)

    def _start(self, connection: Connection) -> None:
        client = connection.client
        self.state.clients[client.id] = client
        self.state.counts_as_idle()
        assert self._nursery is not None
        self._nursery.start_soon(self._serve, connection, name=f"redis client {client.id}")

    async def _serve(self, connection: Connection) -> None:
        """Be a connection's task: whatever happens in it ends here."""
        client = connection.client
        try:
            await connection.run()
        except* Exception as group:
            self.state.log.error("client %d: internal error", client.id, exc_info=group)
        finally:
            self.state.clients.pop(client.id, None)
            client.disconnected()
            self._client_gone.set()


async def run_redis(
    port: int | None = 6379,
    *,
    host: str | Sequence[str] = "127.0.0.1",
    load_in_background: bool = False,
    task_status: trio.TaskStatus[RedisServer] = trio.TASK_STATUS_IGNORED,
    **config: str | int | bool | tuple[str, int],
) -> None:
    """Run a server until it is closed or cancelled; for `nursery.start`.

    `server = await nursery.start(run_redis, 0)`; see `serve_redis` for the arguments and errors.
    """
    await _embedded(port, host, load_in_background, config)._run(task_status=task_status)


async def serve_redis(
    nursery: trio.Nursery,
    port: int | None = 6379,
    *,
    host: str | Sequence[str] = "127.0.0.1",
    load_in_background: bool = False,
    **config: str | int | bool | tuple[str, int],
) -> RedisServer:
    """Start a server in `nursery`; it runs until it is closed or the nursery is cancelled.

    Args:
      nursery: owns everything the server starts; nothing outlives it.
      port: TCP port; 0 picks a free one, None is none. `tls_port=0` picks one for TLS, likewise.
      host: the address to listen on, or several; loopback unless you say otherwise.
      load_in_background: whether to return before the data is loaded. Clients are told that it is
        (LOADING) until then, see `RedisServer.wait_loaded`; a LoadError comes out of `nursery`.
      config: parameters of redis.conf, with underscores: `maxclients=100`, `requirepass="secret"`.
        Data is kept in memory only, unless `dir`, `dbfilename` or `save` say where it is loaded
        from and when it is saved, or `appendonly` does. `replicaof=("host", 6379)`, or the same
        as text, makes it a replica; see `RedisServer.synced`.

    Returns:
      The server, listening, and loaded unless that goes on in the background.

    Raises:
      OSError: it cannot listen there.
      LoadError: the file with its data is damaged, or cannot be read.
      ConfigError: there is no such parameter, or it does not take that value; or TLS cannot be
        had as it is configured, which has been logged.
    """
    server = _embedded(port, host, load_in_background, config)
    await nursery.start(server._run, name="redis server")
    return server


def _embedded(
    port: int | None,
    host: str | Sequence[str],
    load_in_background: bool,
    config: Mapping[str, str | int | bool | tuple[str, int]],
) -> RedisServer:
    hosts = host if isinstance(host, str) else " ".join(host)
    options = Config.from_options({"port": port or 0, "bind": hosts, **config})
    if "save" not in config:
        options.save = ()
    loads = bool(ABOUT_FILES & set(config))
    return RedisServer(
        options,
        pick_port=port is not None,
        pick_tls_port="tls_port" in config,
        loads=loads,
        starts_first=load_in_background,
    )


@asynccontextmanager
async def open_redis(
    port: int | None = 0,
    *,
    host: str | Sequence[str] = "127.0.0.1",
    load_in_background: bool = False,
    **config: str | int | bool | tuple[str, int],
) -> AsyncIterator[RedisServer]:
    """Run a server for the time of an `async with` block; the arguments are `serve_redis`'s."""
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield await serve_redis(
                nursery, port, host=host, load_in_background=load_in_background, **config
            )
        except BaseException as exc:  # noqa: BLE001  (raised again, outside of the group)
            failure = exc
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def run_server(
    config: Config, *, task_status: trio.TaskStatus[RedisServer] = trio.TASK_STATUS_IGNORED
) -> bool:
    """Run the standalone server: listen as `config` says, stop on SIGTERM and SIGINT.

    Returns:
      Whether it ended in order: a SIGINT while it is about to end makes it end at once.

    Raises:
      OSError: it cannot listen as configured.
    """
    server = RedisServer(config, listens_first=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(_stop_on_signal, server)
        await server._run(task_status=task_status)
        nursery.cancel_scope.cancel()
    return not server._insisted


_SIGNALS: Final = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "SIGINT"}


async def _stop_on_signal(
    server: RedisServer, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(*_SIGNALS) as signals:
        task_status.started()
        async with trio.open_nursery() as nursery:
            async for number in signals:
                if number == signal.SIGINT and (server._closing.is_set() or server._asked):
                    server.state.log.warning("You insist... exiting now.")
                    server._insisted = True
                    server._end()
                    server._grace.cancel()
                elif not server._asked:
                    server._asked = True
                    nursery.start_soon(_shut_down, server, signal.Signals(number))


async def _shut_down(server: RedisServer, number: signal.Signals) -> None:
    """Save and end as a signal asks for; a script that stands still half-way comes to its end."""
    log = server.state.log
    name = _SIGNALS[number]
    if server.state.loading.active:
        log.warning("Received shutdown signal during loading, scheduling shutdown.")
    else:
        log.warning("Received %s scheduling shutdown...", name)
    await server.state.whole.passed()
    config = server.config
    terminated = number == signal.SIGTERM
    options = config.shutdown_on_sigterm if terminated else config.shutdown_on_sigint
    server.state.begin()
    if save_at_end(server.state, options.split()):
        server._end()
        return
    server._asked = False
    log.warning(
        "%s received but errors trying to shut down the server, check the logs for more "
        "information",
        name,
    )
