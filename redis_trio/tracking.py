"""Client-side caching: which clients may have cached which keys, and telling them of changes.

A client that tracks is remembered under every key that it reads (`execute.call` hands over the
commands). When such a key changes it is told once, and forgotten there until it reads the key
again. In BCAST mode nothing is remembered: clients name prefixes, and are told of each key that
begins with one of them when the unit of work ends.

1. Keys are known by their names alone, without their database.
2. What is to be told to the client whose command runs comes behind the reply, and behind whatever
   else that command has pushed to it.
3. A client that tracks no longer stands in no table. The keys of one that has read many are
   forgotten bit by bit; until then they say nothing to anybody, because they stand under its old
   Tracking.
4. In a table with more than `tracking-table-max-keys` keys random ones count as changed: some in
   front of each command (`execute.admit`), and a slice whenever the keeper runs.

Source: Redis tracking.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from redis_trio.client import CLOSING
from redis_trio.command import READONLY
from redis_trio.data.table import Table
from redis_trio.keys import find_keys

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.command import Command
    from redis_trio.protocol.request import Args
    from redis_trio.state import ServerState

EFFORT: Final = 100  # keys that are given up at a time when there are too many
FORGOTTEN_AT_ONCE: Final = 64  # a client with more keys is forgotten bit by bit
_READERS_INSIDE: Final = frozenset(["eval_ro", "evalsha_ro", "fcall_ro"])  # their commands count


class Tracking:
    """How one client tracks.

    Attributes:
      redirect: the id of the client to be told instead, 0 for none.
      broken: whether that one was found to be gone.
      bcast, optin, optout, noloop: the options.
      caching: whether CLIENT CACHING has spoken about the next command.
      keys: what it has read and not been told of since.
      prefixes: those of BCAST mode.
    """

    __slots__ = (
        "_cursor",
        "bcast",
        "broken",
        "caching",
        "client",
        "keys",
        "noloop",
        "optin",
        "optout",
        "prefixes",
        "redirect",
    )

    def __init__(self, client: Client) -> None:
        self.client = client
        self.redirect = 0
        self.broken = False
        self.bcast = False
        self.optin = False
        self.optout = False
        self.noloop = False
        self.caching = False
        self.keys = Table()
        self.prefixes: dict[bytes, None] = {}
        self._cursor = 0

    def overlapping(self, prefix: bytes) -> bytes | None:
        """Return one of its prefixes, the first in order, that can begin the same keys."""
        for other in sorted(self.prefixes):
            if overlap(prefix, other):
                return other
        return None

    def __len__(self) -> int:
        return self.keys.count

    def free_some(self, limit: int) -> int:
        """Forget up to about `limit` keys of a client that tracks no more; return how many."""
        table = self.client.server.tracking
        self._cursor, found = self.keys.scan(self._cursor, limit)
        for key in found:
            self.keys.pop(key)
            table.forget(key, self)
        return len(found)


class _Prefix:
    """Who is told of keys with a prefix, and what has changed in the unit of work in hand.

    Attributes:
      changed: `{key: who changed it last}`, None if no client did.
    """

    __slots__ = ("changed", "clients")

    def __init__(self) -> None:
        self.clients: dict[Tracking, None] = {}
        self.changed: dict[bytes, Client | None] = {}


class TrackingTable:
    """The tracking clients of one server, and what they may have cached.

    Attributes:
      clients: those who track.
      readers: how many of them are remembered under what they read: all but those with BCAST.
      keys: `{key: Tracking, or {Tracking: None} where there are several}`.
      items: how many clients all keys have together.
      prefixes: of those with BCAST.
      has_changes: whether there is anything for `broadcast` to do.
    """

    __slots__ = (
        "_own",
        "_positions",
        "_rounds",
        "_server",
        "clients",
        "has_changes",
        "items",
        "keys",
        "prefixes",
        "readers",
    )

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self.clients: dict[Client, None] = {}
        self.readers = 0
        self.keys = Table()
        self.items = 0
        self.prefixes: dict[bytes, _Prefix] = {}
        self.has_changes = False
        self._own: list[tuple[Tracking, bytes | None]] = []  # for the client whose command runs
        self._positions: dict[Command, int] = {}  # of the key, 0 if it takes a search
        self._rounds = 0  # how often in a row there were too many keys
        server.config.subscribe("tracking-table-max-keys", self._limit_changed)

    # -- who tracks

    def enable(self, client: Client, bcast: bool) -> Tracking:
        """Have a client track, if it does not; return how. The caller sets the options."""
        tracking = client.tracking
        if tracking is None:
            tracking = client.tracking = Tracking(client)
            tracking.bcast = bcast
            self.clients[client] = None
            if not bcast:
                self.readers += 1
            self._server.update_listening()
            self._server.update_observed()
        return tracking

    def add_prefix(self, tracking: Tracking, prefix: bytes) -> None:
        """Tell a client of all keys that begin with a prefix."""
        tracking.prefixes[prefix] = None
        if prefix not in self.prefixes:
            self.prefixes[prefix] = _Prefix()
        self.prefixes[prefix].clients[tracking] = None

    def disable(self, client: Client) -> None:
        """Let a client track no longer, if it does; it is told nothing more."""
        tracking = client.tracking
        if tracking is None:
            return
        client.tracking = None
        client.update_gate()
        del self.clients[client]
        for prefix in tracking.prefixes:
            state = self.prefixes[prefix]
            del state.clients[tracking]
            if not state.clients:
                del self.prefixes[prefix]
        if not tracking.bcast:
            self.readers -= 1
        if len(tracking) > FORGOTTEN_AT_ONCE:
            self._server.lazyfree.add_part(tracking)
        else:
            while tracking.keys.count:
                tracking.free_some(FORGOTTEN_AT_ONCE)
        self._server.update_listening()
        self._server.update_observed()

    # -- what they read

    def remember(self, tracking: Tracking, command: Command, args: Args) -> None:
        """Note that a client has read the keys of a command, if the command only reads."""
        if not command.flags & READONLY or tracking.bcast:
            return
        if tracking.caching:
            if tracking.optout:
                return
        elif tracking.optin:
            return
        position = self._positions.get(command, -1)
        if position < 0:
            position = self._positions[command] = _key_position(command)
        if position:
            self._add(tracking, args[position])
        elif command.fullname not in _READERS_INSIDE:
            for found in find_keys(command.declaration, args):
                self._add(tracking, args[found[0]])

    def _add(self, tracking: Tracking, key: bytes) -> None:
        if not tracking.keys.set(key, True):
            return
        self.items += 1
        holder = self.keys.get(key)
        if holder is None:
            self.keys.set(key, tracking)
            if self.is_full():
                self._limit_changed()
        elif isinstance(holder, Tracking):
            both: dict[Tracking, None] = {holder: None, tracking: None}
            self.keys.set(key, both)
        else:
            cast("dict[Tracking, None]", holder)[tracking] = None

    def forget(self, key: bytes, tracking: Tracking) -> None:
        """Let a client, which has forgotten it already, have a key no more."""
        holder = self.keys.get(key)
        if holder is tracking:
            self.keys.pop(key)
            self.items -= 1
        elif isinstance(holder, dict) and tracking in holder:
            del holder[tracking]
            self.items -= 1
            if not holder:
                self.keys.pop(key)

    # -- what changes

    def key_modified(self, key: bytes, by: Client | None) -> None:
        """Tell those who may have a key that it has changed.

        Args:
          by: the client that changed it, None if it expired or was evicted.
        """
        for prefix, state in self.prefixes.items():
            if key.startswith(prefix):
                state.changed[key] = by
                self.has_changes = True
        self._invalidate(key)

    def _invalidate(self, key: bytes) -> None:
        holder = self.keys.pop(key)
        if holder is None:
            return
        message = _Message(b"*1\r\n$%d\r\n%s\r\n" % (len(key), key))
        if isinstance(holder, Tracking):
            self._invalidate_for(holder, key, message)
        else:
            for tracking in cast("dict[Tracking, None]", holder):
                self._invalidate_for(tracking, key, message)

    def _invalidate_for(self, tracking: Tracking, key: bytes, message: _Message) -> None:
        tracking.keys.pop(key)
        self.items -= 1
        client = tracking.client
        if client.tracking is not tracking:  # no more
            return
        if client is not self._server.current:
            self._send(tracking, message)
        elif not tracking.noloop:
            self._send_later(tracking, key)

    def flushed(self) -> None:
        """Tell everybody that all keys have changed, and forget them."""
        in_resp2, in_resp3 = _Message(b"$-1\r\n"), _Message(b"_\r\n")
        for client in self.clients:
            tracking = client.tracking
            assert tracking is not None
            if client is self._server.current:
                self._send_later(tracking, None)
            else:
                self._send(tracking, in_resp2 if client.resp == 2 else in_resp3)
            if tracking.keys.count:
                self._drop(tracking.keys)
                tracking.keys = Table()
        if self.keys.count:
            self._drop(self.keys)
            self.keys = Table()
            self.items = 0

    def _drop(self, table: Table) -> None:
        if table.count > FORGOTTEN_AT_ONCE:
            self._server.lazyfree.add_part(table)

    def broadcast(self) -> None:
        """Tell the clients with BCAST what has changed in the unit of work that ends."""
        self.has_changes = False
        for _, state in sorted(self.prefixes.items()):
            changed = state.changed
            if not changed:
                continue
            state.changed = {}
            keys = sorted(changed)
            message = _Message(_array(keys))
            for tracking in state.clients:
                if not tracking.noloop:
                    self._send(tracking, message)
                    continue
                others = [key for key in keys if changed[key] is not tracking.client]
                if others:
                    self._send(tracking, _Message(_array(others)))

    # -- telling

    def _send_later(self, tracking: Tracking, key: bytes | None) -> None:
        """Tell the client whose command runs of a key, or of all, when it has its reply."""
        self._own.append((tracking, key))
        self._server.own_pushes.append(b"")  # so that `send_own` is called

    def send_own(self) -> None:
        """Tell the client whose command has run what that command has changed."""
        own, self._own = self._own, []
        for tracking, key in own:
            if key is not None:
                self._send(tracking, _Message(_array([key])))
            else:
                self._send(
                    tracking, _Message(b"$-1\r\n" if tracking.client.resp == 2 else b"_\r\n")
                )

    def _send(self, tracking: Tracking, message: _Message) -> None:
        """Send a message to a tracking client, or to the one that it names instead.

        In RESP2 only a redirected message reaches anybody, as one of pub/sub.
        """
        client = tracking.client
        if tracking.redirect:
            target = self._server.clients.get(tracking.redirect)
            if target is None or target.halted & CLOSING:
                tracking.broken = True
                if client.resp == 3:
                    client.push_later(
                        b">2\r\n$21\r\ntracking-redir-broken\r\n:%d\r\n" % tracking.redirect
                    )
            elif target.resp == 3:
                target.push_later(message.push())
            elif target.subscriptions is not None:
                target.push_later(message.published())
        elif client.resp == 3:
            client.push_later(message.push())

    # -- not too many

    def is_full(self) -> bool:
        """Whether more keys are remembered than there should be."""
        limit: int = self._server.config.tracking_table_max_keys
        return limit != 0 and self.keys.count > limit

    def make_room(self) -> None:
        """Give up some keys if there are too many: more, the longer it goes on."""
        if self.is_full():
            self._rounds += 1
            self.give_up(EFFORT * self._rounds)

    def give_up(self, count: int) -> None:
        """Give up to `count` keys up while there are too many, random ones, telling at once."""
        server = self._server
        current = server.current
        server.current = None
        while count > 0 and self.is_full():
            count -= 1
            self._invalidate(self.keys.random_key(server.rng))
        server.current = current
        if not self.is_full():
            self._rounds = 0
            server.update_gate()

    def _limit_changed(self) -> None:
        server = self._server
        server.update_gate()
        if self.is_full():
            server.due_at(server.clock.now_ms)


class _Message:
    """An invalidation, encoded once for each way in which it is sent."""

    __slots__ = ("_payload", "_published", "_push")

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._push = b""
        self._published = b""

    def push(self) -> bytes:
        """Return the push of RESP3."""
        if not self._push:
            self._push = b">2\r\n$10\r\ninvalidate\r\n" + self._payload
        return self._push

    def published(self) -> bytes:
        """Return the message that a subscriber gets in RESP2."""
        if not self._published:
            head = b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"
            self._published = head + self._payload
        return self._published


def overlap(one: bytes, other: bytes) -> bool:
    """Whether two prefixes can begin the same key."""
    return one.startswith(other) or other.startswith(one)


def _array(keys: list[bytes]) -> bytes:
    parts = [b"*%d\r\n" % len(keys)]
    for key in keys:
        parts.append(b"$%d\r\n" % len(key))
        parts.append(key)
        parts.append(b"\r\n")
    return b"".join(parts)


def _key_position(command: Command) -> int:
    """Return where the one key of a command always stands; 0 if it has to be searched."""
    declaration = command.declaration
    specs = declaration.keys
    if declaration.get_keys is not None or len(specs) != 1 or "NOT_KEY" in specs[0].flags:
        return 0
    if command.fullname in _READERS_INSIDE:
        return 0
    spec = specs[0]
    if spec.begin[0] == "index" and spec.find[0] == "range" and spec.find[1] == 0:
        return int(spec.begin[1])
    return 0
