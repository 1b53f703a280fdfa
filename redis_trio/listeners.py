"""Listening sockets: TCP on one or several addresses, unix sockets, and taking connections.

Addresses are those of the `bind` parameter: `*` and `::*` are all interfaces, a `-` in front means
that an address this machine does not have is no error. All TCP addresses share one port.

Source: Redis server.c listenToPort, anet.c.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Sequence
from typing import Final

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
