"""How a client is described: the line that CLIENT LIST and the log of ACL violations have for it.

Source: Redis networking.c catClientInfoString.
"""

from __future__ import annotations

from typing import Final

from redis_trio.client import BLOCKED, CLOSING, PAUSED, Client, request_size
from redis_trio.errors import error_text
from redis_trio.protocol.request import Args

SHRINK_S: Final = 2  # a client that has been idle for longer has no query buffer


def _flags(client: Client) -> str:
    halted = client.halted
    flags = ""
    if client.monitoring:
        flags += "O"
    elif client.kind == "replica":
        flags += "S"
    if client.is_master:
        flags += "M"
    if client.subscriptions is not None:
        flags += "P"
    if client.transaction is not None:
        flags += "x"
    if halted & (BLOCKED | PAUSED):
        flags += "b"
    tracking = client.tracking
    if tracking is not None:
        flags += "t" + "R" * tracking.broken + "B" * tracking.bcast
    if client.dirty:
        flags += "d"
    if client.close_after_reply:
        flags += "c"
    elif halted & CLOSING:
        flags += "A"
    if client.unix:
        flags += "U"
    if client.no_evict:
        flags += "e"
    if client.no_touch:
        flags += "T"
    return flags or "N"


def _query(client: Client, running: Args | None) -> tuple[int, int, int]:
    """Return qbuf, qbuf-free and argv-mem.

    A command that is running is still in Redis's query buffer; here it is counted as if it had
    been sent as an array of bulk strings. Between reads there is no buffer here: its free room is
    that of the latest read, and gone when Redis would have shrunk it.
    """
    transport = client.transport
    args_bytes = transport.args_bytes
    query_bytes = transport.query_bytes
    waiter = client.waiter
    if running is not None:
        query_bytes += request_size(running)
        args_bytes = sum([len(arg) for arg in running])
    elif waiter is not None:
        args_bytes += sum([len(arg) for arg in waiter.args])
    idle_s = client.server.clock.now_ms // 1000 - client.active_ms // 1000
    room = transport.read_size if idle_s <= SHRINK_S else 0
    return query_bytes, max(0, room - query_bytes), args_bytes


def visible(text: bytes) -> str:
    """Return a name as far as Redis prints it: up to a NUL."""
    return error_text(text.partition(b"\0")[0])


def client_line(client: Client, running: Args | None) -> str:
    """Return the line that CLIENT LIST has for a client.

    There is no output buffer of a fixed size: `rbs` and `rbp` say what Redis says without one.

    Args:
      running: the command that it is running; None if it runs none.
    """
    server = client.server
    transport = client.transport
    now_s = server.clock.now_ms // 1000
    query_bytes, room, args_bytes = _query(client, running)
    running_bytes = 0 if running is None else sum([len(arg) for arg in running])
    last = client.command
    transaction = client.transaction
    own = client.subscriptions
    reader = None if client.replica is None else client.replica.reader
    blocks = 0 if reader is None else reader.block_count
    user = "(superuser)" if client.user is None else error_text(client.user.name)
    subscribed = (
        (0, 0, 0)
        if own is None
        else (len(own.channels), len(own.patterns), len(own.shard_channels))
    )
    return (
        f"id={client.id} addr={client.addr or '?:0'} laddr={client.laddr or '?:0'}"
        f" fd={transport.fd} name={visible(client.name)}"
        f" age={now_s - client.created_ms // 1000} idle={now_s - client.active_ms // 1000}"
        f" flags={_flags(client)} db={client.db.index}"
        f" sub={subscribed[0]} psub={subscribed[1]} ssub={subscribed[2]}"
        f" multi={-1 if transaction is None else len(transaction.queue)}"
        f" watch={len(client.watched)}"
        f" qbuf={query_bytes} qbuf-free={room} argv-mem={args_bytes}"
        f" multi-mem={0 if transaction is None else transaction.memory_bytes()} rbs=0 rbp=0"
        f" obl={sum([len(chunk) for chunk in client.out])}"
        f" oll={transport.pending_chunks + blocks} omem={client.pending_output}"
        f" tot-mem={client.held_bytes() + running_bytes}"
        f" events={transport.events}"
        f" cmd={'NULL' if last is None else last.fullname} user={user}"
        f" redir={-1 if client.tracking is None else client.tracking.redirect}"
        f" resp={client.resp} lib-name={visible(client.lib_name)}"
        f" lib-ver={visible(client.lib_ver)}\n"
    )
