"""Servers that run as processes of their own, on free ports: ours, or a real redis-server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Self

from tests.interop.compare import Peer

OURS: Final = (sys.executable, "-m", "redis_trio")
OPTIONS: Final = ("--save", "", "--appendonly", "no", "--enable-debug-command", "yes")
ATTEMPTS: Final = 1000  # to connect to a server that has just been started, STEP_S apart
STEP_S: Final = 0.02


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


class ServerProcess:
    """A server in a process of its own; it runs while it is entered, or from `start` to `kill`.

    Args:
      command: the program, with OPTIONS and where its port and directory are behind it.
      folder: where its files and its output go; made if it is not there.
      options: more arguments; they win over OPTIONS.
    """

    def __init__(self, command: Sequence[str], folder: Path, options: Sequence[str] = ()) -> None:
        self.port = free_port()
        folder.mkdir(exist_ok=True)
        self._log = folder / "output"
        where = ("--port", str(self.port), "--dir", str(folder))
        self._args = [*command, *where, *OPTIONS, *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it, and return at once."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(self._args, stdout=output, stderr=output)
        return self

    def wait_until_ready(self) -> None:
        """Wait until it answers and has loaded its data.

        Raises:
          RuntimeError: it has ended, or never answers; with what it printed last.
        """
        for _ in range(ATTEMPTS):
            try:
                with self.peer() as peer:
                    if not peer.command("PING").startswith(b"-LOADING"):
                        return
            except (OSError, EOFError):
                pass
            if self.ended(STEP_S):
                break
        self.kill()
        raise RuntimeError(f"no server on port {self.port}:\n{self.output()[-2000:]}")

    def ended(self, within_s: float) -> bool:
        """Return whether it ends within some time."""
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process, which has been started."""
        assert self._process is not None
        return self._process

    def peer(self) -> closing[Peer]:
        """Connect."""
        return closing(Peer(self.port))

    def output(self) -> str:
        """Return all it has printed."""
        return self._log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """Have it end in order, within half a minute; return its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(30)
        finally:
            self.kill()

    def __enter__(self) -> Self:
        self.start()
        self.wait_until_ready()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
