"""ACL LOG: who was refused what, the newest first; alike refusals within a minute are one entry.

Source: Redis acl.c addACLLogEntry.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from redis_trio.client_line import client_line

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.state import ServerState

GROUPING_MS: Final = 60_000
COMPARED: Final = 10  # the newest entries are looked through for one that is alike
REASONS: Final = ("", "command", "key", "auth", "channel")
"""By the DENIED_* of users.py."""


class Entry:
    """Refusals that are alike.

    Attributes:
      count: how many.
      reason: of REASONS; `context`: `toplevel`, `multi` or `lua`.
      subject: the command, key or channel.
      client_info: the line of the client, of the latest refusal.
      number: unique, never used again; `created_ms`, `updated_ms`: when the first and the latest
        one was.
    """

    __slots__ = (
        "client_info",
        "context",
        "count",
        "created_ms",
        "number",
        "reason",
        "subject",
        "updated_ms",
        "username",
    )

    def __init__(
        self, reason: str, context: str, subject: bytes, username: bytes, info: str, now_ms: int
    ) -> None:
        self.count = 1
        self.reason = reason
        self.context = context
        self.subject = subject
        self.username = username
        self.client_info = info
        self.number = 0
        self.created_ms = self.updated_ms = now_ms

    def is_like(self, other: Entry) -> bool:
        """Whether two refusals differ in nothing but time and client."""
        return (
            self.reason == other.reason
            and self.context == other.context
            and abs(self.updated_ms - other.updated_ms) <= GROUPING_MS
            and self.subject == other.subject
            and self.username == other.username
        )


class AclLog:
    """What one server has refused.

    Attributes:
      entries: the newest first.
      denied: how many refusals there were, by the DENIED_* of users.py; never reset.
    """

    __slots__ = ("_server", "created", "denied", "entries")

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self.entries: deque[Entry] = deque()
        self.created = 0
        self.denied = [0] * len(REASONS)

    def add(
        self, client: Client, denied: int, context: str, subject: bytes, username: bytes
    ) -> None:
        """Note a refusal; see Entry for the arguments."""
        self.denied[denied] += 1
        limit = self._server.config.acllog_max_len
        if limit == 0:
            self.entries.clear()
            return
        seen = self._server.current or client  # a script's caller, not the script
        info = client_line(seen, None).rstrip("\n")
        now_ms = self._server.clock.now_ms
        entry = Entry(REASONS[denied], context, subject, username, info, now_ms)
        known = self._find(entry)
        if known is not None:
            self.entries.remove(known)
            self.entries.appendleft(known)
            known.client_info = info
            known.updated_ms = now_ms
            known.count += 1
            return
        entry.number = self.created
        self.created += 1
        self.entries.appendleft(entry)
        while len(self.entries) > limit:
            self.entries.pop()

    def _find(self, entry: Entry) -> Entry | None:
        for _, known in zip(range(COMPARED), self.entries, strict=False):
            if known.is_like(entry):
                return known
        return None
