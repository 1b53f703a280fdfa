"""Servers and clients as process groups of their own: whatever they start ends with them."""

from __future__ import annotations

import os
import random
import shlex
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import trio

HOST: Final = "127.0.0.1"
PORTS: Final = range(20000, 22700)
"""Below the ports that the system gives to clients: the thousands of connections of a unit never
sit on one. The port of a real server's cluster bus is 10,000 above."""
STEP_S: Final = 0.03
GRACE_S: Final = 5.0


class StartError(Exception):
    """A process has not come up; with what it printed last."""


class Server(NamedTuple):
    """A server that answers."""

    process: trio.Process
    port: int
    log: Path

    def tail(self, lines: int = 3) -> str:
        """Return the last it has printed, on one line."""
        return tail(self.log, lines)


def tail(log: Path, lines: int = 3) -> str:
    """Return the last lines of a log as one, of at most 300 characters."""
    rows = log.read_text("utf-8", "replace").strip().splitlines() if log.is_file() else []
    return " / ".join(rows[-lines:])[-300:]


def _free_port() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        with suppress(OSError), socket.socket() as sock, socket.socket() as bus:
            for one, number in ((sock, port), (bus, port + 10000)):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind((HOST, number))
            return port
    raise StartError("no free port")


def _signal_group(process: trio.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


@asynccontextmanager
async def running(argv: Sequence[str], log: Path, **where: Any) -> AsyncIterator[trio.Process]:
    """Run a program as the leader of a group, its output in a file; end the group at the end.

    Args:
      argv: its command line.
      log: the file.
      where: `cwd` and `env`, if not those of this process.
    """
    with open(log, "wb") as output:  # noqa: ASYNC230  (a new local file)
        process = await trio.lowlevel.open_process(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **where,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            _signal_group(process, signal.SIGTERM)
            with trio.move_on_after(GRACE_S, shield=True):
                await process.wait()
        _signal_group(process, signal.SIGKILL)  # also whatever the leader has left behind
        with trio.CancelScope(shield=True):
            await process.wait()


async def _answers(port: int) -> bool:
    try:
        with trio.fail_after(1):
            async with await trio.open_tcp_stream(HOST, port) as stream:
                await stream.send_all(b"*1\r\n$4\r\nPING\r\n")
                return await stream.receive_some(1) in (b"+", b"-")
    except (OSError, trio.BrokenResourceError, trio.TooSlowError):
        return False


@asynccontextmanager
async def running_server(command: str, folder: Path, within_s: float) -> AsyncIterator[Server]:
    """Run a server in a folder: `{port}` and `{dir}` in its command are filled in.

    Raises:
      StartError: it ends, or does not answer in time.
    """
    port = _free_port()
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    argv = [
        word.replace("{port}", str(port)).replace("{dir}", str(data))
        for word in shlex.split(command)
    ]
    async with running(argv, log) as process:
        with trio.move_on_after(within_s) as waiting:
            while not await _answers(port):
                if process.poll() is not None:
                    raise StartError(f"server ended at start: {tail(log)}")
                await trio.sleep(STEP_S)
        if waiting.cancelled_caught:
            raise StartError(f"server does not answer: {tail(log)}")
        yield Server(process, port, log)
