"""A client: what the server knows of one connection, and the bytes that wait to be sent to it.

The core writes replies into `out` and never waits; a transport of the shell sends them. A client
without a transport (a call from inside the process, a replica's upstream) is a plain object.

1. `halted` is nonzero while no further command of this client may run. The loops that execute
   pipelines test it, and nothing else, after each command.
2. `gated` is True while any check of `execute.admit` could concern this client, or something is to
   be done after each of its commands. Who changes a field that `update_gate` reads calls it.
3. What CLIENT REPLY said holds for replies, not for pushes. A skipped reply is that of the next
   command to end, however long that one waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import i64, mypyc_attr

from redis_trio.protocol.reply import Push, Reply, encode_error, encode_resp2, encode_resp3
from redis_trio.protocol.request import Args
from redis_trio.transactions import end as end_transaction

if TYPE_CHECKING:
    from redis_trio.acl.users import User
    from redis_trio.blocking import Topic, Waiter
    from redis_trio.command import Command
    from redis_trio.keyspace.database import Database
    from redis_trio.pubsub import Subscriptions
    from redis_trio.replication.replica import Replica
    from redis_trio.state import ServerState
    from redis_trio.tracking import Tracking
    from redis_trio.transactions import Transaction

# Why a client is halted (bits of Client.halted).
BLOCKED: Final = 1  # waits on its waiter's mailbox
PAUSED: Final = 2  # its next command waits for the end of CLIENT PAUSE
CLOSING: Final = 4  # closes, at once or when its replies are sent

# What CLIENT REPLY said.
REPLY_ON: Final = 0
REPLY_OFF: Final = 1
REPLY_SKIP_NEXT: Final = 2
REPLY_SKIP: Final = 3
REPLY_REPLICA: Final = 4  # nothing was said: a replica is answered nothing


CLIENT_BYTES: Final = 6000
"""What a connection takes that holds no data: objects, task, parser."""

NAME_BYTES: Final = 100
"""What a key that is watched takes, a channel, a prefix, beside its bytes."""


def request_size(args: Args) -> int:
    """Return how many bytes a command is when it is sent as an array of bulk strings."""
    size = len(b"*%d\r\n" % len(args))
    for arg in args:
        size += len(b"$%d\r\n" % len(arg)) + len(arg) + 2
    return size


@mypyc_attr(allow_interpreted_subclasses=True)
class Transport:
    """The way to a client's socket or stream. This one leads nowhere: its client is in-process.

    The shell's transports send what is in `client.out`; none of these methods waits.
    """

    def flush(self) -> None:
        """Send what is in `client.out` as far as the peer takes it; keep the rest."""

    def released(self) -> None:
        """Note that no output is held back any more (`Client.held`); all was flushed."""

    def close(self) -> None:
        """Have the connection closed as soon as its task runs, sending nothing more."""

    def forget(self) -> None:
        """Give up what was received and what was to be sent: nobody wants it any more."""

    def resume(self) -> None:
        """Go on with the commands that wait: the client is no longer halted."""

    def trust(self, authenticated: bool) -> None:
        """Parse what follows within the limits for clients that are authenticated, or are not."""

    def delay(self) -> None:
        """Have the kernel collect output before it sends it (repl-disable-tcp-nodelay)."""

    def pull(self) -> None:
        """Send what there is for a replica, as far as it takes it (replication/replica.py)."""

    @property
    def events(self) -> str:
        """What is waited for: `r` to read, `w` to write."""
        return ""

    @property
    def pending_bytes(self) -> int:
        """Bytes that the peer has not taken yet."""
        return 0

    @property
    def pending_chunks(self) -> int:
        """Chunks that the peer has not taken yet."""
        return 0

    @property
    def query_bytes(self) -> int:
        """Bytes of requests that have not run, but for `args_bytes`."""
        return 0

    @property
    def args_bytes(self) -> int:
        """Bytes of arguments that are complete, in a request that is not."""
        return 0

    @property
    def read_size(self) -> int:
        """How many bytes the last read from the peer had room for."""
        return 0

    @property
    def memory_bytes(self) -> int:
        """What the transport's objects and the bytes that they hold take."""
        return 0

    @property
    def fd(self) -> int:
        """The socket's file descriptor, -1 if there is none."""
        return -1


class Client:
    """One client.

    Attributes:
      id: unique in the server, never used again.
      resp: protocol version, 2 or 3.
      out: encoded replies not handed to the transport yet.
      held: how many times replies were taken out of it that wait for an fsync (persistence/aof.py).
      held_output: how many bytes those are.
      obeyed: whether what it asks for has happened elsewhere, so that no limit is held against it.
      is_master: whether it is the primary of this server.
      created_ms, active_ms: when it connected, when it last sent or took something.
      authenticated: whether somebody's password was given, or none was needed at that time.
      user: who it is authenticated as, the default user before; None: it may do everything.
      command: the last command, None if that was unknown.
      is_script: whether it runs what scripts call.
      executing: whether it runs a transaction, in which nothing blocks.
      monitoring: whether it is shown all commands.
      subscriptions: what it listens to; None while that is nothing.
      tracking: how it tracks what it caches; None if it does not.
      transaction: what it has queued since MULTI.
      watched: `{(database, key): whether it had expired by then}`; `dirty` once one has changed.
      waiter: what it is blocked on.
      replica: what it has said of itself as a replica, None if nothing.
      write_offset: that of replication behind its last write.
      counted_bytes: for how much memory it counts, see client_memory.py.
      close_reason: for the log.
    """

    __slots__ = (
        "active_ms",
        "addr",
        "authenticated",
        "close_after_reply",
        "command",
        "commands_processed",
        "counted_bytes",
        "created_ms",
        "db",
        "dirty",
        "executing",
        "gated",
        "halted",
        "held",
        "held_output",
        "id",
        "is_master",
        "is_script",
        "laddr",
        "lib_name",
        "lib_ver",
        "monitoring",
        "name",
        "net_in",
        "net_out",
        "no_evict",
        "no_touch",
        "obeyed",
        "out",
        "replica",
        "reply_mode",
        "resp",
        "scheduled",
        "server",
        "subscriptions",
        "tracking",
        "transaction",
        "transport",
        "unix",
        "user",
        "waiter",
        "watched",
        "write_offset",
    )

    def __init__(self, server: ServerState, transport: Transport, client_id: int) -> None:
        self.server = server
        self.transport = transport
        self.id = client_id
        self.db: Database = server.dbs[0]
        self.resp: i64 = 2
        self.out: list[bytes] = []
        self.scheduled = False  # in server.pending_writes
        self.held = 0
        self.held_output: i64 = 0
        self.halted: i64 = 0
        self.gated = False
        self.authenticated = True
        self.user: User | None = server.acl.default
        self.name = b""
        self.lib_name = b""
        self.lib_ver = b""
        self.addr = ""
        self.laddr = ""
        self.unix = False
        self.created_ms: i64 = server.clock.now_ms
        self.active_ms: i64 = server.clock.now_ms
        self.command: Command | None = None
        self.executing = False
        self.is_master = False
        self.is_script = False
        self.monitoring = False
        self.subscriptions: Subscriptions | None = None
        self.tracking: Tracking | None = None
        self.transaction: Transaction | None = None
        self.watched: dict[Topic, bool] = {}
        self.dirty = False
        self.waiter: Waiter | None = None
        self.reply_mode: i64 = REPLY_ON
        self.close_after_reply = False
        self.no_evict = False
        self.no_touch = False
        self.obeyed = False
        self.replica: Replica | None = None
        self.write_offset: i64 = 0
        self.net_in: i64 = 0
        self.net_out: i64 = 0
        self.commands_processed: i64 = 0
        self.counted_bytes = 0

    @property
    def kind(self) -> str:
        """Its class in CLIENT LIST TYPE and CLIENT KILL TYPE: normal, replica, pubsub, master."""
        if self.is_master:
            return "master"
        if self.replica is not None and self.replica.is_attached:
            return "replica"
        return "normal" if self.subscriptions is None else "pubsub"

    @property
    def pending_output(self) -> int:
        """Bytes that its peer has not taken yet; those of a replica are in the backlog."""
        replica = self.replica
        if replica is not None and replica.is_attached:
            return replica.pending_bytes
        return self.transport.pending_bytes + self.held_output

    @property
    def must_authenticate(self) -> bool:
        """Whether only AUTH and its like may run: a password is asked for and was not given.

        Taking the password away lets in who is connected (networking.c authRequired).
        """
        return not self.authenticated and self.server.acl.auth_required

    def log_in_by_default(self) -> None:
        """Make it the default user, which is authenticated if it needs no password."""
        self.user = self.server.acl.default
        self.set_authenticated(not self.server.acl.auth_required)

    def set_authenticated(self, authenticated: bool) -> None:
        """Let the client in, or out; `user` is the caller's business."""
        self.authenticated = authenticated
        self.transport.trust(authenticated)
        self.update_gate()

    def update_gate(self) -> None:
        """Set `gated` by what is unusual about the client."""
        self.gated = (
            not self.authenticated
            or (self.user is not None and not self.user.unrestricted)
            or self.no_touch
            or self.reply_mode != REPLY_ON
            or self.transaction is not None
            or self.subscriptions is not None
            or self.monitoring
            or self.replica is not None
            or (self.tracking is not None and self.tracking.caching)
        )

    def command_done(self) -> None:
        """Advance CLIENT REPLY SKIP and CLIENT CACHING: a command, not waiting any more, has ended.

        What CACHING said holds for the next command that is none of CLIENT, or for a transaction.
        """
        tracking = self.tracking
        if tracking is not None and tracking.caching and self.transaction is None:
            command = self.command
            if command is None or not command.fullname.startswith("client|"):
                tracking.caching = False
                self.update_gate()
        if self.reply_mode == REPLY_SKIP_NEXT:
            self.reply_mode = REPLY_SKIP
        elif self.reply_mode == REPLY_SKIP:
            self.reply_mode = REPLY_ON
            self.update_gate()

    def memory_bytes(self) -> int:
        """Return about what the client takes: its objects, its requests, its replies."""
        return self.held_bytes() + sum([len(chunk) for chunk in self.out])

    def held_bytes(self) -> int:
        """Return about what it takes without the output that is about to be written."""
        transport = self.transport
        size = CLIENT_BYTES + transport.query_bytes + transport.args_bytes
        size += transport.pending_bytes + self.held_output + NAME_BYTES * len(self.watched)
        if self.transaction is not None:
            size += self.transaction.memory_bytes()
        if self.waiter is not None:
            size += sum([len(arg) for arg in self.waiter.args])
        own = self.subscriptions
        if own is not None:
            size += NAME_BYTES * (own.count() + len(own.shard_channels))
        if self.tracking is not None:
            size += NAME_BYTES * len(self.tracking.prefixes)
        return size

    def reply(self, value: Reply) -> None:
        """Encode a reply. The caller sees to it that the output is flushed."""
        if self.reply_mode and not self._wants_reply():
            return
        if self.resp == 2:
            encode_resp2(self.out, value)
        else:
            encode_resp3(self.out, value)

    def reply_error(self, message: str) -> None:
        """Encode an error reply; `message` starts with its code."""
        if self.reply_mode and not self._wants_reply():
            return
        self.out.append(encode_error(message))

    def _wants_reply(self) -> bool:
        if self.reply_mode == REPLY_REPLICA:
            self._answered_replica()
        return self.reply_mode == REPLY_SKIP_NEXT

    def _answered_replica(self) -> None:
        """Close the connection of a replica that has asked for something."""
        if self.halted & CLOSING:
            return
        self.server.log.warning(
            "Replica generated a reply to command '%s', disconnecting it: %s",
            "<unknown>" if self.command is None else self.command.fullname,
            self.addr,
        )
        self.close()

    def push(self, items: Push) -> None:
        """Send something that is no reply, whatever CLIENT REPLY said."""
        if self.resp == 2:
            encode_resp2(self.out, items)
        else:
            encode_resp3(self.out, items)
        self.schedule_write()

    def push_later(self, data: bytes) -> None:
        """Send a push that is encoded; one that its own command causes comes behind the reply."""
        server = self.server
        if server.current is self:
            server.own_pushes.append(data)
        else:
            self.outbox().append(data)
        self.schedule_write()

    def outbox(self) -> list[bytes]:
        """Return where pushes are appended: `out`, unless a reply waits in the mailbox."""
        waiter = self.waiter
        return self.out if waiter is None or waiter.waiting is not None else waiter.pushes

    def schedule_write(self) -> None:
        """Have the output flushed at the end of the unit of work in hand."""
        if not self.scheduled:
            self.scheduled = True
            self.server.pending_writes.append(self)

    @property
    def closes_now(self) -> bool:
        """Whether the connection is to be closed without sending anything more."""
        return self.halted & CLOSING != 0 and not self.close_after_reply

    @property
    def is_local(self) -> bool:
        """Whether the client is on this machine: in-process, a unix socket, loopback."""
        return self.unix or not self.addr or self.addr.startswith(("127.", "[::1]"))

    def close(self) -> None:
        """Close the connection without sending anything more; from now on it is not there."""
        self.disconnected()
        self.close_after_reply = False  # what it is still owed is not waited for
        self.out.clear()
        self.server.clients.pop(self.id, None)
        self.transport.close()

    def close_when_sent(self) -> None:
        """Run no further command, and close the connection when the replies are sent."""
        self.halted |= CLOSING
        self.close_after_reply = True
        self.schedule_write()

    def set_trusted(self) -> None:
        """Let it do everything: who calls from inside the process owns the server."""
        self.user = None
        self.set_authenticated(True)

    def disconnected(self) -> None:
        """Leave nothing of this client behind in any table; its connection has ended."""
        server = self.server
        self.halted |= CLOSING
        if self.waiter is not None:
            self.waiter.cancel()
        server.paused_clients.pop(self, None)
        end_transaction(self)
        server.pubsub.forget(self)
        server.end_monitor(self)
        server.over_soft_limit.pop(self, None)
        server.client_memory.forget(self)
        self.transport.forget()
        server.replication.waiting.pop(self, None)
        server.replication.detach(self)
        server.tracking.disable(self)
