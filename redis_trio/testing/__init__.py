"""Servers for tests: in a thread of their own, for whatever tests code that talks to Redis.

Trio tests have the server in their own loop, with `open_redis`. Everybody else, synchronous code
and asyncio, takes `running_server`, or the fixtures of the pytest plugin (testing/plugin.py).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis_trio.testing.thread import RunningServer, running_server

__all__ = ["RunningServer", "running_server"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name when it is used: every run of pytest imports the plugin."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from redis_trio.testing import thread

        return getattr(thread, name)
