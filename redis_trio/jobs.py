"""The jobs that the keeper does when they are due: see keeper.py.

A new kind of timed work is a class here with `next_ms` and `run`, and one line in `standard_jobs`.
"""

from __future__ import annotations

from redis_trio.keeper import Job
from redis_trio.state import ServerState


def standard_jobs(server: ServerState) -> list[Job]:
    """Return the jobs of a server."""
    return []
