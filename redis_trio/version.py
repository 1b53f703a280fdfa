"""The versions, where reading them imports nothing."""

from typing import Final

VERSION: Final = "0.1.0"
"""The version of this project."""

REDIS_VERSION: Final = "7.4.1"
"""The Redis version whose behaviour the server has, as HELLO and INFO report it."""
