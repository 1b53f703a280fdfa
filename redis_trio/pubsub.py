"""Publish and subscribe: who listens to what, and what they are sent.

A message is encoded once for each protocol version that a subscriber speaks, and appended to each
subscriber's output; nothing waits. Keyspace events are messages like any other.

1. A client stands in the tables of the channels it names, and they in the client's; when either
   end goes, so does the other, and a channel without subscribers is in no table.
2. What a client publishes to itself comes behind the reply of that command (Client.push_later).

Source: Redis pubsub.c, notify.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from redis_trio.data.glob import glob_match
from redis_trio.protocol.reply import Push, encode_resp2, encode_resp3

if TYPE_CHECKING:
    from redis_trio.client import Client

KEYSPACE: Final = 1 << 0
KEYEVENT: Final = 1 << 1

Channels: TypeAlias = "dict[bytes, dict[Client, None]]"


class Subscriptions:
    """What one client listens to, oldest first."""

    __slots__ = ("channels", "patterns", "shard_channels")

    def __init__(self) -> None:
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.shard_channels: dict[bytes, None] = {}

    def count(self) -> int:
        """Return the number of channels and patterns, which SUBSCRIBE answers."""
        return len(self.channels) + len(self.patterns)

    def is_empty(self) -> bool:
        """Whether there is nothing, shard channels included."""
        return self.count() == 0 and not self.shard_channels


class PubSub:
    """The subscribers of one server.

    Attributes:
      channels, patterns, shard_channels: `{name: {client: None}}`.
      events: the classes of keyspace events that are published; 0 without KEYSPACE or KEYEVENT.
    """

    __slots__ = ("channels", "events", "patterns", "shard_channels")

    def __init__(self) -> None:
        self.channels: dict[bytes, dict[Client, None]] = {}
        self.patterns: dict[bytes, dict[Client, None]] = {}
        self.shard_channels: dict[bytes, dict[Client, None]] = {}
        self.events = 0

    def publish(self, channel: bytes, message: bytes) -> int:
        """Send a message to the subscribers of a channel and of patterns; return how many."""
        count = 0
        clients = self.channels.get(channel)
        if clients is not None:
            count = _send(clients, Push([b"message", channel, message]))
        if self.patterns:
            for pattern, clients in self.patterns.items():
                if glob_match(pattern, channel):
                    count += _send(clients, Push([b"pmessage", pattern, channel, message]))
        return count

    def publish_to_shard(self, channel: bytes, message: bytes) -> int:
        """Send a message to the subscribers of a shard channel; return how many."""
        clients = self.shard_channels.get(channel)
        if clients is None:
            return 0
        return _send(clients, Push([b"smessage", channel, message]))

    def notify(self, event_class: int, event: str, key: bytes, db: int) -> None:
        """Publish a keyspace event if its class is one of those that are published."""
        events = self.events
        if not events & event_class:
            return
        name = event.encode()
        if events & KEYSPACE:
            self.publish(b"__keyspace@%d__:%s" % (db, key), name)
        if events & KEYEVENT:
            self.publish(b"__keyevent@%d__:%s" % (db, name), key)

    def set_events(self, flags: int) -> None:
        """Publish these classes of events; without K or E there is no channel for any."""
        self.events = flags if flags & (KEYSPACE | KEYEVENT) else 0

    def forget(self, client: Client) -> None:
        """Let a client listen to nothing, and tell nobody."""
        own = client.subscriptions
        if own is None:
            return
        for channel in own.channels:
            remove(self.channels, channel, client)
        for pattern in own.patterns:
            remove(self.patterns, pattern, client)
        for channel in own.shard_channels:
            remove(self.shard_channels, channel, client)
        client.subscriptions = None
        client.update_gate()


def add(table: Channels, name: bytes, client: Client) -> None:
    """Let a client listen to a channel or pattern."""
    clients = table.get(name)
    if clients is None:
        clients = table[name] = {}
    clients[client] = None


def remove(table: Channels, name: bytes, client: Client) -> None:
    """Let a client listen no longer to a channel or pattern that it has listened to."""
    clients = table[name]
    del clients[client]
    if not clients:
        del table[name]


def _send(clients: dict[Client, None], message: Push) -> int:
    """Send a message to clients, encoded once for each protocol version; return how many."""
    resp2 = b""
    resp3 = b""
    for client in clients:
        if client.resp == 2:
            if not resp2:
                chunks: list[bytes] = []
                encode_resp2(chunks, message)
                resp2 = b"".join(chunks)
            client.push_later(resp2)
        else:
            if not resp3:
                chunks = []
                encode_resp3(chunks, message)
                resp3 = b"".join(chunks)
            client.push_later(resp3)
    return len(clients)
