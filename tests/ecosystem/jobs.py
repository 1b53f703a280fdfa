"""What the workers of Celery and rq run; the server's address is in the environment."""

from __future__ import annotations

import os

URL = os.environ.get("JOBS_URL", "")


def double(number: int) -> int:
    """Return twice a number."""
    return 2 * number


def fail() -> None:
    """Fail."""
    raise ValueError("on purpose")
