"""What clients take, and `maxmemory-clients`: while it is too much, the biggest are disconnected.

Kept up to date only while there is `maxmemory`, of which it is a part, or `maxmemory-clients`: a
client is measured again when it has sent something, when its output has been written or has stayed
behind, and when it goes. What counts are its objects (CLIENT_BYTES), requests that are not complete
or not run, the command that runs, what MULTI has queued, what it watches, subscribes and tracks,
and output that its peer has not taken. Replies that are about to be written do not: what is too
much of them `client-output-buffer-limit` sees first.

Replicas and the primary are neither counted nor disconnected.

Source: Redis networking.c evictClients, getClientMemoryUsage, getClientEvictionLimit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.client_line import client_line

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.protocol.request import Args
    from redis_trio.state import ServerState

BIG_ARGS: Final = 4096  # a command that is running counts if it is that big
LIMIT_MIN: Final = 128 * 1024  # nobody could connect at all with less


class ClientMemory:
    """The memory that one server's clients take.

    Attributes:
      total_bytes: what all clients take that count.
      limit: what they may take, 0 for no limit.
      evicted: how many were disconnected for it.
    """

    __slots__ = ("_in_vain", "_server", "evicted", "limit", "total_bytes")

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._in_vain = 0  # so much it was when there was nobody left to be disconnected
        self.total_bytes = 0
        self.limit = 0
        self.evicted = 0

    def follow_config(self) -> None:
        """Take over what the configuration says."""
        server = self._server
        wanted: int = server.config.maxmemory_clients
        maxmemory: int = server.config.maxmemory
        if wanted < 0:
            limit = int(maxmemory * -wanted / 100) if maxmemory else 2**63 - 1
        else:
            limit = wanted
        self.limit = max(limit, LIMIT_MIN) if limit else 0
        self._in_vain = 0
        counts = maxmemory != 0 or wanted != 0
        if counts and not server.counts_clients:
            self.recount()
        server.counts_clients = counts
        server.update_gate()

    def recount(self) -> None:
        """Measure all clients."""
        self.total_bytes = 0
        for client in self._server.clients.values():
            client.counted_bytes = 0
            self.count(client)

    def count(self, client: Client, running: Args | None = None) -> None:
        """Measure a client again.

        Args:
          running: the command that it is about to run.
        """
        size = 0
        if client.id in self._server.clients and client.kind in ("normal", "pubsub"):
            size = client.held_bytes()
            if running is not None:
                args_bytes = sum([len(arg) for arg in running])
                size += args_bytes if args_bytes >= BIG_ARGS else 0
        self.total_bytes += size - client.counted_bytes
        client.counted_bytes = size

    def forget(self, client: Client) -> None:
        """Take off what a client that is gone counted for."""
        self.total_bytes -= client.counted_bytes
        client.counted_bytes = 0

    def admit(self, client: Client, args: Args) -> bool:
        """Disconnect whom it takes before a command runs; return whether its client is left."""
        if not self.limit:
            return True
        self.count(client, args)
        self.evict()
        return not client.closes_now

    def evict(self) -> None:
        """Disconnect clients, the biggest first, until all take less than the limit."""
        if not self.limit or self.total_bytes < self.limit or self._in_vain == self.total_bytes:
            return
        server = self._server
        found = [
            client
            for client in server.clients.values()
            if client.counted_bytes and not client.no_evict
        ]
        found.sort(key=lambda client: client.counted_bytes, reverse=True)
        for client in found:
            server.log.info("Evicting client: %s", client_line(client, None))
            client.close()
            self.evicted += 1
            if self.total_bytes < self.limit:
                return
        self._in_vain = self.total_bytes
        server.log.warning("Over client maxmemory after evicting all evictable clients")
