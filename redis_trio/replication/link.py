"""The tasks of a replica's link to its primary: connect, greet, synchronize, follow the stream.

`Follower.run` is one task for as long as a server runs. It sleeps while the server is a primary.
On a replica it keeps a connection: each attempt has a scope of its own, which a change of roles,
CLIENT KILL, or a primary that is silent cancels. Between attempts it waits, at first not at all,
then longer, up to a second. Whatever happens in an attempt ends there: neither clients nor the
program around the server notice.

Source: Redis replication.c connectWithMaster, syncWithMaster, slaveTryPartialResynchronization.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import trio

from redis_trio.feed import encode_command
from redis_trio.outgoing import connect
from redis_trio.replication.incoming import Incoming, LinkError
from redis_trio.replication.master import Master, MasterTransport
from redis_trio.replication.state import NO_ID
from redis_trio.replication.sync import FullSync
from redis_trio.replication.upstream import CONNECTING, HANDSHAKE, Position

if TYPE_CHECKING:
    from redis_trio.replication.upstream import Upstream
    from redis_trio.state import ServerState

RETRY_MIN_S: Final = 0.1
RETRY_MAX_S: Final = 1.0
AOF_TRIES: Final = 10
DISK_LOG_MS: Final = 10_000  # between two warnings
ID_SIZE: Final = 40
_AUTH_ERRORS: Final = (b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted")

Awake = Callable[["ServerState"], Awaitable[None]]


class Follower:
    """Keeps the link of one server to its primary, if it has one.

    Args:
      awake: waits while the server sleeps (DEBUG SLEEP).
    """

    def __init__(self, server: ServerState, awake: Awake) -> None:
        self._server: Final = server
        self._awake = awake
        self._changed = trio.Event()
        self._failures = 0
        self._ended = trio.Event()

    def wake(self) -> None:
        """Have the task look what the primary is now."""
        self._failures = 0
        self._changed.set()

    async def run(self) -> None:
        """Follow whatever primary there is, until cancelled."""
        replication = self._server.replication
        replication.wake_link = self.wake
        try:
            while True:
                upstream = replication.upstream
                if upstream is None:
                    await self._changed.wait()
                    self._changed = trio.Event()
                    continue
                await self._wait_before_attempt()
                if replication.upstream is upstream:
                    await self._attempt(upstream)
        finally:
            replication.wake_link = None
            self._ended.set()

    async def ended(self) -> None:
        """Wait until the task is over."""
        await self._ended.wait()

    async def _wait_before_attempt(self) -> None:
        """Wait a while after attempts that failed, unless the primary changes."""
        failures = self._failures
        self._failures += 1
        if failures:
            delay_s = min(RETRY_MIN_S * 2 ** min(failures - 1, 10), RETRY_MAX_S)
            timers = self._server.timers
            scope = timers.scope(delay_s)
            try:
                with scope:
                    await self._changed.wait()
                    self._failures = 1
            finally:
                timers.forget(scope)
        else:
            await trio.lowlevel.checkpoint()
        self._changed = trio.Event()

    async def _attempt(self, upstream: Upstream) -> None:
        """Connect, and follow until the connection ends."""
        log = self._server.log
        link = _Link(self._server, upstream, self._awake)
        upstream.hang_up = link.cancel
        try:
            with link.scope:
                await link.run()
        except* LinkError as group:
            for exc in _leaves(group):
                if str(exc):
                    log.warning("%s", exc)
        except* Exception as group:
            log.error("internal error in the link to the primary", exc_info=group)
            link.can_continue = False
        finally:
            if upstream.hang_up == link.cancel:  # else it has another connection, or has none
                upstream.hang_up = None
                upstream.lost(can_continue=link.can_continue)
            if link.was_up:
                self._failures = 0


def _leaves(group: BaseExceptionGroup[LinkError]) -> list[LinkError]:
    found: list[LinkError] = []
    for exc in group.exceptions:
        found += _leaves(exc) if isinstance(exc, BaseExceptionGroup) else [exc]
    return found


class _Link:
    """One connection to a primary.

    Attributes:
      scope: around all of it.
      can_continue: whether what was applied is what the primary sent.
      was_up: whether the stream has been followed.
    """

    def __init__(self, server: ServerState, upstream: Upstream, awake: Awake) -> None:
        self._server = server
        self._upstream = upstream
        self._awake = awake
        self.scope = trio.CancelScope()
        self.can_continue = True
        self.was_up = False
        self._output: list[bytes] = []
        self._has_output = trio.Event()
        self._resumed = trio.Event()
        self._disk_told_ms = -DISK_LOG_MS

    def cancel(self) -> None:
        """End the connection as soon as the task runs."""
        self.scope.cancel()

    def _killed(self) -> None:
        """End the connection: somebody has closed the client that applies the stream."""
        if self._upstream.hang_up == self.cancel:
            self._upstream.disconnect()

    async def run(self) -> None:
        """Connect and follow.

        Raises:
          LinkError: the connection has ended.
        """
        upstream = self._upstream
        log = self._server.log
        log.info("Connecting to MASTER %s:%d", upstream.host, upstream.port)
        upstream.set_state(CONNECTING)
        log.info("MASTER <-> REPLICA sync started")
        try:
            stream = await connect(self._server, upstream.host, upstream.port)
        except OSError as exc:
            raise LinkError(f"Error condition on socket for SYNC: {_reason(exc)}") from None
        try:
            await self._talk(stream)
        finally:
            await trio.aclose_forcefully(stream)

    async def _talk(self, stream: trio.abc.Stream) -> None:
        upstream = self._upstream
        server = self._server
        server.log.info("Non blocking connect for SYNC fired the event.")
        incoming = Incoming(server, upstream, stream)
        greeting = _Greeting(server, upstream, stream, incoming)
        upstream.set_state(HANDSHAKE)
        await greeting.introduce()
        position = await greeting.psync()
        sync: FullSync | None = None
        if position is None:
            sync = FullSync(server, upstream, incoming, stream, greeting.replid)
            await sync.run()
            position = Position(greeting.replid, greeting.offset, sync.db)
        master = self._begin(stream, position, sync)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, stream, name="redis acknowledgements")
            if sync is not None and server.config.appendonly and not server.aof.active:
                await self._restart_aof()
            await self._follow(master, incoming)
            nursery.cancel_scope.cancel()

    def _begin(self, stream: trio.abc.Stream, position: Position, sync: FullSync | None) -> Master:
        """Have the stream applied from now on."""
        server = self._server
        upstream = self._upstream
        replication = server.replication
        server.begin()
        master = _new_master(server, stream, position, self._killed, self._go_on)
        server.clients[master.client.id] = master.client
        self.was_up = True
        if sync is not None:
            replication.continue_from(position.replid, max(position.offset, 0))
        else:
            replication.create_backlog()
        upstream.up(master, self._queue)
        if sync is not None:
            server.log.info("MASTER <-> REPLICA sync: Finished with success")
            if sync.has_mark:
                upstream.acknowledge()
        server.end()
        return master

    async def _restart_aof(self) -> None:
        """Append again, beginning with the data as it is. Raises LinkError if that cannot be."""
        log = self._server.log
        for _ in range(AOF_TRIES):
            if self._server.rewrite.turn_on():
                return
            log.warning(
                "Failed enabling the AOF after successful master synchronization! Trying it again "
                "in one second."
            )
            await trio.sleep(1)
        raise LinkError("The AOF cannot be turned on: the synchronization is given up")

    async def _follow(self, master: Master, incoming: Incoming) -> None:
        """Apply the stream for as long as it goes on.

        Raises:
          LinkError: it has ended.
        """
        server = self._server
        while True:
            data = await incoming.receive()
            while True:
                await self._awake(server)
                self._check_disk()
                server.begin()
                more = master.receive(data) if data else master.advance()
                server.end()
                data = b""
                if master.error is not None:
                    self.can_continue = False
                    raise LinkError("")
                if master.is_paused:
                    await self._resumed.wait()
                    self._resumed = trio.Event()
                elif more:
                    await trio.lowlevel.checkpoint()
                else:
                    break

    def _check_disk(self) -> None:
        """Apply nothing that cannot be kept, unless the configuration says otherwise.

        Raises:
          LinkError: it cannot. Redis ends the process.
        """
        server = self._server
        if not server.aof.error and not server.background.denies_writes():
            return
        if not server.config.replica_ignore_disk_write_errors:
            raise LinkError("Replica was unable to write command to disk.")
        if server.clock.now_ms >= self._disk_told_ms + DISK_LOG_MS:
            self._disk_told_ms = server.clock.now_ms
            server.log.warning(
                "Replica is applying a command even though it is unable to write to disk."
            )

    def _go_on(self) -> None:
        self._resumed.set()

    # -- output

    def _queue(self, data: bytes) -> None:
        self._output.append(data)
        self._has_output.set()

    async def _send(self, stream: trio.abc.Stream) -> None:
        """Send what is queued, as it comes."""
        try:
            while True:
                await self._has_output.wait()
                self._has_output = trio.Event()
                output, self._output = self._output, []
                await stream.send_all(b"".join(output))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise LinkError("") from None


def _new_master(
    server: ServerState,
    stream: trio.abc.Stream,
    position: Position,
    hang_up: Callable[[], None],
    go_on: Callable[[], None],
) -> Master:
    """Return the client that applies the stream, with the addresses of the connection."""
    sock = stream.socket if isinstance(stream, trio.SocketStream) else None
    transport = MasterTransport(hang_up, go_on, -1 if sock is None else sock.fileno())
    master = Master(server, transport, position.replid, position.offset, position.db)
    upstream = server.replication.upstream
    if upstream is not None:
        master.client.addr = f"{upstream.host}:{upstream.port}"
    if sock is not None:
        try:
            master.client.addr = _address(sock.getpeername())
            master.client.laddr = _address(sock.getsockname())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError:
            pass  # it has broken, as reading will tell
    return master


def _address(name: tuple[str, int]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reason(exc: OSError) -> str:
    """Return why nobody could be reached."""
    cause: BaseException | None = exc.__cause__
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[-1]
    for found in (exc, cause):
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
    return str(exc)


class _Greeting:
    """The beginning of a conversation with a primary.

    Attributes:
      replid, offset: of the stream behind a full synchronization; the offset is -1 if the primary
        counts none.
    """

    def __init__(
        self,
        server: ServerState,
        upstream: Upstream,
        stream: trio.abc.Stream,
        incoming: Incoming,
    ) -> None:
        self._server = server
        self._upstream = upstream
        self._stream = stream
        self._incoming = incoming
        self.replid = NO_ID
        self.offset = -1

    async def introduce(self) -> None:
        """Say who we are and what we can do. Raises LinkError."""
        log = self._server.log
        config = self._server.config
        await self._send([["PING"]])
        reply = await self._reply()
        if not reply.startswith((b"+", *_AUTH_ERRORS)):
            raise LinkError(f"Error reply to PING from master: '{_text(reply)}'")
        log.info("Master replied to PING, replication can continue...")
        commands: list[list[str]] = []
        if config.masterauth:
            user = [config.masteruser] if config.masteruser else []
            commands.append(["AUTH", *user, config.masterauth])
        port = config.replica_announce_port
        if not port:
            secure = config.tls_replication and config.tls_port
            port = config.tls_port if secure else self._server.port
        commands.append(["REPLCONF", "listening-port", str(port)])
        if config.replica_announce_ip:
            commands.append(["REPLCONF", "ip-address", config.replica_announce_ip])
        commands.append(["REPLCONF", "capa", "eof", "capa", "psync2"])
        await self._send(commands)
        for command in commands:
            reply = await self._reply()
            if reply.startswith(b"-"):
                if command[0] == "AUTH":
                    raise LinkError(f"Unable to AUTH to MASTER: {_text(reply)}")
                log.info(
                    "(Non critical) Master does not understand REPLCONF %s: %s",
                    command[1],
                    _text(reply),
                )

    async def psync(self) -> Position | None:
        """Ask for the stream.

        Returns: where it continues; None if the primary is about to send all its data.

        Raises:
          LinkError: it is not possible now.
        """
        upstream = self._upstream
        log = self._server.log
        cached = upstream.cached
        if cached is None:
            log.info("Partial resynchronization not possible (no cached master)")
            command = ["PSYNC", "?", "-1"]
        else:
            command = ["PSYNC", cached.replid, str(cached.offset + 1)]
            log.info("Trying a partial resynchronization (request %s:%s).", *command[1:])
        failover = self._server.replication.failover
        if failover.in_progress:
            command.append("FAILOVER")
        await self._send([command])
        reply = b""
        while not reply:
            reply = await self._reply()
        if failover.in_progress:
            failover.answered(reply.startswith((b"+FULLRESYNC", b"+CONTINUE")))
        if reply.startswith(b"+FULLRESYNC"):
            self._full(reply)
            return None
        if reply.startswith(b"+CONTINUE") and cached is not None:
            return self._continue(reply, cached)
        text = _text(reply)
        if reply.startswith((b"-NOMASTERLINK", b"-LOADING")):
            log.info("Master is currently unable to PSYNC but should be in the future: %s", text)
            raise LinkError("")
        if reply.startswith(b"-ERR"):
            log.info("Master does not support PSYNC or is in error state (reply: %s)", text)
        else:
            log.warning("Unexpected reply to PSYNC from master: %s", text)
        log.info("Retrying with SYNC...")
        await self._send([["SYNC"]])
        return None

    def _full(self, reply: bytes) -> None:
        """Take id and offset from the reply to PSYNC."""
        log = self._server.log
        words = _text(reply).split(" ")
        if len(words) != 3 or len(words[1]) != ID_SIZE or not words[2].isdigit():
            log.warning("Master replied with wrong +FULLRESYNC syntax.")
            return
        self.replid = words[1]
        self.offset = int(words[2])
        log.info("Full resync from master: %s:%d", self.replid, self.offset)

    def _continue(self, reply: bytes, cached: Position) -> Position:
        """Return where the stream continues; it may have another id from here on."""
        log = self._server.log
        log.info("Successful partial resynchronization with master.")
        replid = _text(reply[10:]).strip()
        if len(replid) != ID_SIZE:
            replid = cached.replid
        if replid != cached.replid:
            log.info("Master replication ID changed to %s", replid)
        if replid != self._server.replication.replid:
            self._server.replication.follow_new_id(replid)
        cached.replid = replid
        log.info("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.")
        return cached

    async def _send(self, commands: list[list[str]]) -> None:
        words = [
            [word.encode("utf-8", "surrogateescape") for word in command] for command in commands
        ]
        try:
            await self._stream.send_all(b"".join([encode_command(args) for args in words]))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise LinkError(
                "Sending command to master in replication handshake: connection lost"
            ) from None

    async def _reply(self) -> bytes:
        try:
            return await self._incoming.line()
        except LinkError as exc:
            self._server.log.warning("Failed to read response from the server: %s", exc)
            raise LinkError("Master did not respond to command during SYNC handshake") from None


def _text(reply: bytes) -> str:
    return reply.decode("utf-8", "backslashreplace")
