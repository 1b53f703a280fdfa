"""Publish and subscribe.

The answers of SUBSCRIBE and its like are pushes, one for each channel, so these handlers return
NO_REPLY. In RESP2 a client that listens may do little else: `execute.admit` sees to that.

Source: Redis pubsub.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.command import (
    FAST,
    LOADING,
    MAY_REPLICATE,
    NOSCRIPT,
    PUBSUB,
    SENTINEL,
    STALE,
    group,
    key,
)
from redis_trio.data.glob import glob_filter
from redis_trio.errors import RedisError, wrong_subcommand
from redis_trio.feed import REPLICAS
from redis_trio.help import declare_help
from redis_trio.protocol.reply import NO_REPLY, Push, Reply
from redis_trio.protocol.request import Args
from redis_trio.pubsub import Channels, Subscriptions, add, remove

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("pubsub")

_SUBSCRIBER: Final = PUBSUB | NOSCRIPT | LOADING | STALE


# -- listening


def _subscriptions(client: Client) -> Subscriptions:
    """Return what a client listens to, from now on a subscriber."""
    if client.subscriptions is None:
        client.subscriptions = Subscriptions()
        client.update_gate()
    return client.subscriptions


def _end_if_empty(client: Client) -> None:
    """Make a client that listens to nothing an ordinary one again."""
    if client.subscriptions is not None and client.subscriptions.is_empty():
        client.server.pubsub.forget(client)
        client.server.counts_as_idle()


def _subscribe(
    client: Client, word: bytes, names: Args, own: dict[bytes, None], table: Channels
) -> Reply:
    subscriptions = _subscriptions(client)
    for name in names:
        if name not in own:
            own[name] = None
            add(table, name, client)
        is_shard = own is subscriptions.shard_channels
        client.push(Push([word, name, len(own) if is_shard else subscriptions.count()]))
    return NO_REPLY


def _unsubscribe(
    client: Client, word: bytes, names: Args, own: dict[bytes, None], table: Channels
) -> Reply:
    """Leave channels, or all there are; say so at least once."""
    subscriptions = client.subscriptions
    listed: list[bytes | None] = [*(names or own)]
    for name in listed or [None]:
        if name is not None and name in own:
            del own[name]
            remove(table, name, client)
        if subscriptions is None:
            count = 0
        elif own is subscriptions.shard_channels:
            count = len(own)
        else:
            count = subscriptions.count()
        client.push(Push([word, name, count]))
    _end_if_empty(client)
    return NO_REPLY


@command(
    "SUBSCRIBE",
    "channel...",
    arity=-2,
    flags=_SUBSCRIBER | SENTINEL,
    since="2.0.0",
    complexity="O(N) where N is the number of channels to subscribe to.",
    summary="Listens to channels.",
)
def subscribe(client: Client, args: Args) -> Reply:
    """Listen to channels; push `subscribe`, the channel and the number of subscriptions."""
    own = _subscriptions(client).channels
    return _subscribe(client, b"subscribe", args[1:], own, client.server.pubsub.channels)


@command(
    "PSUBSCRIBE",
    "pattern...",
    arity=-2,
    flags=_SUBSCRIBER | SENTINEL,
    since="2.0.0",
    complexity="O(N) where N is the number of patterns to subscribe to.",
    summary="Listens to the channels that match patterns.",
)
def psubscribe(client: Client, args: Args) -> Reply:
    """Listen to patterns; push `psubscribe`, the pattern and the number of subscriptions."""
    own = _subscriptions(client).patterns
    return _subscribe(client, b"psubscribe", args[1:], own, client.server.pubsub.patterns)


@command(
    "SSUBSCRIBE",
    "shardchannel...",
    arity=-2,
    flags=_SUBSCRIBER,
    keys=[key(1, "NOT_KEY", last=-1)],
    since="7.0.0",
    complexity="O(N) where N is the number of shard channels to subscribe to.",
    summary="Listens to shard channels.",
)
def ssubscribe(client: Client, args: Args) -> Reply:
    """Listen to shard channels; push `ssubscribe`, the channel and the number of those."""
    if client.executing:
        raise RedisError("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")
    own = _subscriptions(client).shard_channels
    return _subscribe(client, b"ssubscribe", args[1:], own, client.server.pubsub.shard_channels)


@command(
    "UNSUBSCRIBE",
    "[channel...]",
    arity=-1,
    flags=_SUBSCRIBER | SENTINEL,
    since="2.0.0",
    complexity="O(N) where N is the number of channels to unsubscribe.",
    summary="Listens no longer to channels, or to any.",
)
def unsubscribe(client: Client, args: Args) -> Reply:
    """Leave channels; push `unsubscribe`, the channel and the number of subscriptions left."""
    own = {} if client.subscriptions is None else client.subscriptions.channels
    return _unsubscribe(client, b"unsubscribe", args[1:], own, client.server.pubsub.channels)


@command(
    "PUNSUBSCRIBE",
    "[pattern...]",
    arity=-1,
    flags=_SUBSCRIBER | SENTINEL,
    since="2.0.0",
    complexity="O(N) where N is the number of patterns to unsubscribe.",
    summary="Listens no longer to patterns, or to any.",
)
def punsubscribe(client: Client, args: Args) -> Reply:
    """Leave patterns; push `punsubscribe`, the pattern and the number of subscriptions left."""
    own = {} if client.subscriptions is None else client.subscriptions.patterns
    return _unsubscribe(client, b"punsubscribe", args[1:], own, client.server.pubsub.patterns)


@command(
    "SUNSUBSCRIBE",
    "[shardchannel...]",
    arity=-1,
    flags=_SUBSCRIBER,
    keys=[key(1, "NOT_KEY", last=-1)],
    since="7.0.0",
    complexity="O(N) where N is the number of shard channels to unsubscribe.",
    summary="Listens no longer to shard channels, or to any.",
)
def sunsubscribe(client: Client, args: Args) -> Reply:
    """Leave shard channels; push `sunsubscribe`, the channel and the number of those left."""
    own = {} if client.subscriptions is None else client.subscriptions.shard_channels
    table = client.server.pubsub.shard_channels
    return _unsubscribe(client, b"sunsubscribe", args[1:], own, table)


# -- sending


@command(
    "PUBLISH",
    "channel message",
    arity=3,
    flags=PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE | SENTINEL,
    since="2.0.0",
    complexity=(
        "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the "
        "total number of subscribed patterns (by any client)."
    ),
    summary="Sends a message to those who listen to a channel.",
)
def publish(client: Client, args: Args) -> Reply:
    """Send a message; return how many subscriptions it went to."""
    _feed(client, args)
    return client.server.pubsub.publish(args[1], args[2])


@command(
    "SPUBLISH",
    "shardchannel message",
    arity=3,
    flags=PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE,
    keys=[key(1, "NOT_KEY")],
    since="7.0.0",
    complexity="O(N) where N is the number of clients subscribed to the receiving shard channel.",
    summary="Sends a message to those who listen to a shard channel.",
)
def spublish(client: Client, args: Args) -> Reply:
    """Send a message; return how many clients it went to."""
    _feed(client, args)
    return client.server.pubsub.publish_to_shard(args[1], args[2])


def _feed(client: Client, args: Args) -> None:
    """Have those who listen at replicas get the message, too; no file needs it."""
    feed = client.server.feed
    if feed.active:
        feed.add_for(REPLICAS & feed.targets, client.db.index, args)


# -- looking


command.container(
    "PUBSUB",
    arity=-2,
    since="2.8.0",
    summary="Tells of channels and who listens.",
)


def _channel_list(table: Channels, args: Args) -> Reply:
    if len(args) > 3:
        raise wrong_subcommand(args)
    channels = list(table)
    return glob_filter(args[2], channels) if len(args) == 3 else channels


def _counts(table: Channels, channels: Args) -> Reply:
    reply: list[Reply] = []
    for channel in channels:
        reply.append(channel)
        reply.append(len(table.get(channel, ())))
    return reply


@command(
    "PUBSUB CHANNELS",
    "[pattern]",
    arity=-2,
    flags=PUBSUB | LOADING | STALE,
    since="2.8.0",
    complexity=(
        "O(N) where N is the number of active channels, and assuming constant time pattern "
        "matching (relatively short channels and patterns)"
    ),
    summary="Lists the channels that somebody listens to.",
)
def pubsub_channels(client: Client, args: Args) -> Reply:
    """Return the channels, or those that match a pattern."""
    return _channel_list(client.server.pubsub.channels, args)


@command(
    "PUBSUB NUMPAT",
    arity=2,
    flags=PUBSUB | LOADING | STALE,
    since="2.8.0",
    complexity="O(1)",
    summary="Counts the patterns that somebody listens to.",
)
def pubsub_numpat(client: Client, args: Args) -> Reply:
    """Return the number of different patterns."""
    return len(client.server.pubsub.patterns)


@command(
    "PUBSUB NUMSUB",
    "[channel...]",
    arity=-2,
    flags=PUBSUB | LOADING | STALE,
    since="2.8.0",
    complexity="O(N) for the NUMSUB subcommand, where N is the number of requested channels",
    summary="Counts who listens to each of some channels.",
)
def pubsub_numsub(client: Client, args: Args) -> Reply:
    """Return channel, number of subscribers, and so on."""
    return _counts(client.server.pubsub.channels, args[2:])


@command(
    "PUBSUB SHARDCHANNELS",
    "[pattern]",
    arity=-2,
    flags=PUBSUB | LOADING | STALE,
    since="7.0.0",
    complexity=(
        "O(N) where N is the number of active shard channels, and assuming constant time pattern "
        "matching (relatively short shard channels)."
    ),
    summary="Lists the shard channels that somebody listens to.",
)
def pubsub_shardchannels(client: Client, args: Args) -> Reply:
    """Return the shard channels, or those that match a pattern."""
    return _channel_list(client.server.pubsub.shard_channels, args)


@command(
    "PUBSUB SHARDNUMSUB",
    "[shardchannel...]",
    arity=-2,
    flags=PUBSUB | LOADING | STALE,
    since="7.0.0",
    complexity=(
        "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels"
    ),
    summary="Counts who listens to each of some shard channels.",
)
def pubsub_shardnumsub(client: Client, args: Args) -> Reply:
    """Return shard channel, number of subscribers, and so on."""
    return _counts(client.server.pubsub.shard_channels, args[2:])


declare_help(command, "PUBSUB", since="6.2.0")
