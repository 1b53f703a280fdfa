"""Listening sockets: TCP on one or several addresses, with TLS or not, unix sockets.

Addresses are those of the `bind` parameter: `*` and `::*` are all interfaces, a `-` in front means
that an address this machine does not have is no error. All TCP addresses share one port, and all
with TLS another one. `Listeners` has one accept loop for each socket, and follows CONFIG SET.

Source: Redis server.c listenToPort, initListeners, changeListener; config.c applyBind;
applyTLSPort; anet.c.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final

import trio

from redis_trio.config import ConfigError
from redis_trio.state import ServerState

# What is listened on, in the order in which Redis knows them.
TCP: Final = "tcp"
UNIX: Final = "unix"
TLS: Final = "tls"

CANNOT_LISTEN: Final = "Unable to listen on this port. Check server logs."
CANNOT_BIND: Final = "Failed to bind to specified addresses."
EXHAUSTED_S: Final = 0.1  # until the next try, when there are no file descriptors left
_ABORTED: Final = (errno.ECONNABORTED, errno.EPROTO, errno.EPERM)  # the fault of one connection
_MISSING: Final = (
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
    errno.EPROTONOSUPPORT,
    errno.ESOCKTNOSUPPORT,
    errno.EPFNOSUPPORT,
    errno.ENOPROTOOPT,
)
UNIX_PATH_MAX: Final = 108 if sys.platform == "linux" else 104
"""Bytes that a unix socket's address has room for, with the NUL behind it (sun_path)."""
_TRIES: Final = 20  # to find a port that is free on every address


def listen_tcp(
    addresses: Sequence[str], port: int, backlog: int
) -> list[tuple[str, socket.socket]]:
    """Listen on one port of several addresses; port 0 picks one that is free on all.

    Returns:
      (address, socket) pairs, without the addresses that may be missing and are.

    Raises:
      OSError: an address cannot be listened on; nothing is left open.
    """
    for attempt in range(_TRIES):
        try:
            return _listen_all(addresses, port, backlog)
        except OSError as exc:
            if port != 0 or exc.errno != errno.EADDRINUSE or attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _listen_all(
    addresses: Sequence[str], port: int, backlog: int
) -> list[tuple[str, socket.socket]]:
    sockets: list[tuple[str, socket.socket]] = []
    try:
        for address in addresses:
            host = address.removeprefix("-")
            try:
                sock = _listen_one(host, port, backlog)
            except OSError as exc:
                if address.startswith("-") and exc.errno in _MISSING:
                    continue
                what = f"Could not create server TCP listening socket {host}:{port}"
                raise OSError(exc.errno, f"{what}: {exc.strerror}") from exc
            sockets.append((address, sock))
            port = sock.getsockname()[1]
    except BaseException:
        for _, sock in sockets:
            sock.close()
        raise
    return sockets


def _listen_one(host: str, port: int, backlog: int) -> socket.socket:
    if host == "*":
        host = "0.0.0.0"
    elif host in ("::*", "*:"):
        host = "::"
    try:
        infos = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except socket.gaierror as exc:
        raise OSError(errno.EADDRNOTAVAIL, exc.strerror) from exc
    family, _, _, _, address = infos[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(backlog)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def listen_unix(path: str, mode: int, backlog: int) -> socket.socket:
    """Listen on a unix socket, in place of one that was left there; `mode` 0 leaves its bits."""
    size = len(os.fsencode(path))
    if size >= UNIX_PATH_MAX:
        raise OSError(
            errno.ENAMETOOLONG,
            f"opening Unix socket: unix socket path too long ({size}), "
            f"must be under {UNIX_PATH_MAX}",
        )
    try:
        os.unlink(path)
    except OSError:
        pass  # there is none, or bind() says what is wrong
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        if mode:
            os.chmod(path, mode)
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as exc:
        sock.close()
        raise OSError(exc.errno, f"opening Unix socket: {path}: {exc.strerror}") from exc
    return sock


def set_options(sock: socket.socket, keepalive_s: int) -> None:
    """Prepare an accepted TCP socket: no delay, and probes after `keepalive_s` idle seconds."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if keepalive_s:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive_s)
            interval = max(1, keepalive_s // 3)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def address_text(address: object) -> str:
    """Return a socket address as Redis shows it: `127.0.0.1:6379`, `[::1]:6379`."""
    if isinstance(address, tuple):
        host, port = address[0], address[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ""


class Listening:
    """A listening socket and the scope of its accept loop.

    Attributes:
      kind: TCP, UNIX or TLS.
      address: as `bind` spells it, or the path of a unix socket.
      port: 0 for a unix socket.
    """

    def __init__(self, kind: str, address: str, sock: socket.socket) -> None:
        self.kind = kind
        self.address = address
        self.sock = sock
        self.port: int = 0 if kind == UNIX else sock.getsockname()[1]
        self.scope = trio.CancelScope()

    def close(self) -> None:
        """Stop accepting; the file of a unix socket goes too."""
        self.scope.cancel()
        if self.kind == UNIX and self.sock.fileno() >= 0:
            try:
                os.unlink(self.address)
            except OSError:
                pass  # somebody else has removed it, or its directory is not ours any more
        self.sock.close()


class Listeners:
    """All listening sockets of one server.

    Args:
      take: called with each accepted socket, its peer's address, and the kind.

    Attributes:
      sockets: those that are open.
    """

    def __init__(
        self, server: ServerState, take: Callable[[socket.socket, object, str], None]
    ) -> None:
        self._server: Final = server
        self._take = take
        self._nursery: trio.Nursery | None = None
        self._trouble = 0  # the errno that has been logged already
        self.sockets: list[Listening] = []
        server.config.subscribe("port", self._port_changed)
        server.config.subscribe("tls-port", self._tls_port_changed)
        server.config.subscribe("bind", self._bind_changed)

    def open(self, *, pick_port: bool = False, pick_tls_port: bool = False) -> None:
        """Listen as the configuration says.

        Args:
          pick_port, pick_tls_port: whether port 0 means any that is free, and not none.

        Raises:
          OSError: one of the sockets cannot be had; nothing is left open.
          ConfigError: TLS cannot be had as it is configured; likewise.
        """
        server = self._server
        config = server.config
        try:
            if server.tls.wanted or pick_tls_port:
                server.tls.configure()
            if config.port or pick_port:
                self._listen(TCP, config.bind, config.port)
            if config.unixsocket:
                path = os.path.join(config.dir, config.unixsocket)
                sock = listen_unix(path, config.unixsocketperm, config.tcp_backlog)
                self.sockets.append(Listening(UNIX, path, sock))
            if config.tls_port or pick_tls_port:
                self._listen(TLS, config.bind, config.tls_port)
        except BaseException:
            self.close()
            raise
        server.port = self._port(TCP)
        config.port = server.port or config.port  # without an address there is nothing to pick
        config.tls_port = self._port(TLS) or config.tls_port

    def start(self, nursery: trio.Nursery) -> None:
        """Begin to accept; sockets that are opened later do so at once."""
        self._nursery = nursery
        self._accept_on(self.sockets)

    def close(self) -> None:
        """Listen no more."""
        self._nursery = None
        self._close(list(self.sockets))

    def _port(self, kind: str) -> int:
        """Return the port of a kind, 0 if there is none."""
        return next((one.port for one in self.sockets if one.kind == kind), 0)

    def _listen(self, kind: str, addresses: Sequence[str], port: int) -> list[Listening]:
        """Listen on further addresses."""
        sockets = listen_tcp(addresses, port, self._server.config.tcp_backlog)
        new = [Listening(kind, address, sock) for address, sock in sockets]
        self.sockets += new
        return new

    def _accept_on(self, new: list[Listening]) -> None:
        nursery = self._nursery
        if nursery is not None:
            for listening in new:
                nursery.start_soon(self._accept, listening, name="redis accept")

    def _close(self, old: list[Listening]) -> None:
        for listening in old:
            listening.close()
            self.sockets.remove(listening)

    # -- accepting

    def _at_once(self, listening: Listening) -> int:
        """Return how many connections are taken between two checkpoints, some 50 us each."""
        config = self._server.config
        if listening.kind == TLS:
            return config.max_new_tls_connections_per_cycle
        return config.max_new_connections_per_cycle

    async def _accept(self, listening: Listening) -> None:
        """Take connections from one listening socket, until it is closed.

        That can happen when this task is about to run again, or has never run, so that no scope
        ends it.
        """
        sock = listening.sock
        with listening.scope:
            while sock.fileno() >= 0:
                try:
                    await trio.lowlevel.wait_readable(sock)
                    for _ in range(self._at_once(listening)):
                        self._take(*sock.accept(), listening.kind)
                        self._trouble = 0
                except BlockingIOError:
                    continue
                except OSError as exc:
                    if sock.fileno() < 0:
                        break
                    await self._cannot_accept(exc)

    async def _cannot_accept(self, exc: OSError) -> None:
        """Say why there is no connection, once, and wait if the next try would fail as well."""
        if exc.errno in _ABORTED:
            self._server.log.warning("Accepting client connection: %s", exc.strerror)
            return
        if exc.errno != self._trouble:
            self._trouble = exc.errno or 0
            self._server.log.warning("Accepting client connection: %s", exc.strerror)
        await trio.sleep(EXHAUSTED_S)

    # -- CONFIG SET

    def _port_changed(self) -> None:
        if self._nursery is not None:
            self._move(TCP, self._server.config.port, CANNOT_LISTEN)
            self._server.port = self._port(TCP)

    def _tls_port_changed(self) -> None:
        if self._nursery is not None:
            server = self._server
            if server.tls.server is None:
                server.tls.configure()
            self._move(TLS, server.config.tls_port, CANNOT_LISTEN)

    def _bind_changed(self) -> None:
        if self._nursery is not None:
            config = self._server.config
            self._move(TCP, config.port, CANNOT_BIND)
            self._move(TLS, config.tls_port, CANNOT_BIND)
            self._server.port = self._port(TCP)

    def _move(self, kind: str, port: int, failure: str) -> None:
        """Listen on this port of the addresses of today; what is listened on already stays open.

        Raises:
          ConfigError: an address cannot be listened on; everything is as before.
        """
        before = [listening for listening in self.sockets if listening.kind == kind]
        wanted = list(self._server.config.bind) if port else []
        kept = [old for old in before if old.port == port and old.address in wanted]
        missing = [address for address in wanted if address not in [old.address for old in kept]]
        gone = [old for old in before if old not in kept]
        in_the_way = [old for old in gone if old.port == port]  # as a wildcard is of an address
        self._close(in_the_way)
        try:
            new = self._listen(kind, missing, port)
        except OSError as exc:
            self._server.log.warning("%s", exc.strerror)
            self._accept_on(self._listen(kind, [old.address for old in in_the_way], port))
            raise ConfigError(failure) from exc
        self._close([old for old in gone if old not in in_the_way])
        self._accept_on(new)
