"""Property tests; `REDIS_TRIO_FUZZ=20` tries twenty times as many examples (`nox -s fuzz`)."""

from __future__ import annotations

import os
from typing import Final

FACTOR: Final = int(os.environ.get("REDIS_TRIO_FUZZ", "1"))
