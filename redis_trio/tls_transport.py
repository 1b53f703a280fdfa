"""A socket with TLS, served by the hub as a plain one is: the handshake and the ciphers between.

OpenSSL works on bytes in memory (`ssl.MemoryBIO`), so nothing in here ever waits: what is read from
the socket goes in, what is to be sent comes out, and everything else (the queue of output, turns,
slow peers, limits) is that of `SocketTransport`, which sees plain bytes only.

1. All that was read is decrypted at once, so that nothing is left in OpenSSL of which the poller
   would not know.
2. Output is encrypted when it is sent, a piece at a time. A piece counts as sent when the last
   byte of its cipher text is: until then it stays at the front of the queue.
3. What TLS sends on its own account (handshake, tickets, alerts) goes behind that, with an empty
   chunk in the queue as its place if the peer does not take it at once.

This file is compiled and knows no trio. Source: Redis tls.c.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Final

from mypy_extensions import i64

from redis_trio.clock import perf_counter_ns
from redis_trio.log import VERBOSE
from redis_trio.state import ServerState
from redis_trio.tls import reason
from redis_trio.transport import READ_SIZE, Poller, SocketTransport

PIECE: Final = 64 * 1024  # is encrypted at once, in some 40 us
PIECES: Final = 4  # in a row for one client, if its peer takes them


class TlsTransport(SocketTransport):
    """A non-blocking socket with TLS, as the side that was connected to.

    Args:
      greet: called when the handshake is done, before any command runs.

    Attributes:
      shaken: whether the handshake is done.
    """

    def __init__(
        self,
        server: ServerState,
        sock: socket.socket,
        context: ssl.SSLContext,
        attend: Callable[[], None],
        drain: Callable[[], None],
        greet: Callable[[], None],
        poller: Poller,
    ) -> None:
        super().__init__(server, sock, attend, drain, poller)
        self._send = self._send_sealed
        self._send_raw: Callable[[bytes | memoryview], int] = sock.send
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._greet = greet
        self._cipher: bytes | memoryview = b""  # on its way
        self._sealed: i64 = 0  # how many plain bytes that is
        self._notified = False  # the peer has said that it sends no more
        self.shaken = False

    def receive(self, data: bytes) -> bool:
        self._incoming.write(data)
        if not self.shaken and not self._shake_hands():
            return False
        plain = self._decrypt()
        if self._outgoing.pending:
            self._transmit()
        if plain:
            return super().receive(plain)
        return self.advance() if self._notified else False

    def advance(self) -> bool:
        more = super().advance()
        if self._notified and not more:
            self.eof = True
            self._hung_up()
        return more

    def _hung_up(self) -> None:
        if not self.shaken and not self.client.halted:
            self._refuse("unexpected eof while reading")
        super()._hung_up()

    def goodbye(self) -> None:
        if not self.shaken or self._cipher:
            return
        try:
            self._tls.unwrap()
        except OSError:
            pass  # the peer has not said so yet, or something is wrong with it: who cares now
        try:
            self._send_raw(self._outgoing.read())
        except OSError:
            pass

    def _shake_hands(self) -> bool:
        """Go on with the handshake; return whether it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._transmit()
            return False
        except OSError as exc:
            self._transmit()  # an alert, which says what is wrong
            self._refuse(reason(exc))
            return False
        finally:
            self.server.last_ns = perf_counter_ns()  # it takes long: the turn may be over
        self.shaken = True
        self._transmit()
        self._greet()
        return not self.client.halted

    def _refuse(self, why: str) -> None:
        """Close the connection: there will be no handshake."""
        client = self.client
        self.server.log.warning(
            "Error accepting a client connection: %s (addr=%s laddr=%s)",
            why,
            client.addr,
            client.laddr,
        )
        client.close()

    def _decrypt(self) -> bytes:
        """Return what was sent, as far as it has come."""
        incoming = self._incoming
        pieces: list[bytes] = []
        while incoming.pending:
            try:
                piece = self._tls.read(READ_SIZE)
            except ssl.SSLWantReadError:
                break
            except OSError as exc:
                self.server.log.log(VERBOSE, "Reading from client: %s", reason(exc))
                self.broken = True
                self._hung_up()
                return b""
            if not piece:
                self._notified = True
                break
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _transmit(self) -> None:
        """Send what TLS has to say on its own account."""
        data = self._outgoing.read()
        if not data or self.broken:
            return
        if self._cipher:
            self._cipher = bytes(self._cipher) + data
            return
        try:
            sent = self._send_raw(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.broken = True
            self._attend()
            return
        if sent < len(data):
            self._cipher = memoryview(data)[sent:]
            self._sealed = 0
            self._wait_to_send(b"")

    def _send_sealed(self, data: bytes | memoryview) -> int:
        """Send some of `data` encrypted, as `socket.send` would; 0 is nothing so far."""
        size: i64 = len(data)
        done: i64 = 0
        for _ in range(PIECES):
            cipher = self._cipher
            if not cipher:
                if done == size:
                    break
                piece = data if size <= PIECE else memoryview(data)[done : done + PIECE]
                self._tls.write(piece)
                self._sealed = len(piece)
                cipher = self._outgoing.read()
            try:
                sent: i64 = self._send_raw(cipher)
            except BlockingIOError:
                sent = 0
            if sent < len(cipher):
                self._cipher = memoryview(cipher)[sent:]
                break
            self._cipher = b""
            done += self._sealed
        return done
