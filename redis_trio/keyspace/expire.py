"""When the keys of a database expire: see redis_trio/data/expires.py for how it is known."""

from __future__ import annotations

from redis_trio.data.expires import NEVER as NEVER
from redis_trio.data.expires import Expires as Expires
