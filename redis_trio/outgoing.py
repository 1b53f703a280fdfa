"""Connections that the server itself makes, to other servers: over TCP, or TLS on top of it.

`bind-source-addr` says from which address; `tls-replication` whether with TLS, see tls.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from redis_trio.tls import reason

if TYPE_CHECKING:
    import ssl

    from redis_trio.state import ServerState


async def connect(server: ServerState, host: str, port: int) -> trio.abc.Stream:
    """Connect to another server, with TLS if `tls-replication` says so.

    Args:
      host: a name or an address; with TLS a name is told to the other side (SNI).

    Returns:
      The stream, its handshake done. Closing it waits for nobody.

    Raises:
      OSError: the other side cannot be reached, or not by TLS; `strerror` says why.

    Cancellation: nothing is left open.
    """
    context = None
    if server.config.tls_replication:
        if server.tls.client is None:
            server.tls.configure()
        context = server.tls.client
    source = server.config.bind_source_addr or None
    stream = await trio.open_tcp_stream(host, port, local_address=source)
    if context is None:
        return stream
    return await _shake_hands(stream, host, context)


async def _shake_hands(
    stream: trio.SocketStream, host: str, context: ssl.SSLContext
) -> trio.abc.Stream:
    secure = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    try:
        await secure.do_handshake()
    except trio.BrokenResourceError as exc:
        await trio.aclose_forcefully(secure)
        cause = exc.__cause__
        why = reason(cause) if isinstance(cause, Exception) else "Connection reset by peer"
        raise OSError(0, why) from exc
    except BaseException:
        await trio.aclose_forcefully(secure)
        raise
    return secure
