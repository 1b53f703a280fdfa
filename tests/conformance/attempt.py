"""One run of one unit file against one fresh server.

A client of the suite says `testing NAME`, then `ok NAME MS` or `err TEXT`, and `exception TEXT` or
`done UNIT` at the end. `Attempt` is what it has said so far; `run_attempt` starts a server and a
client and listens. With --durable an exception inside a test is an `err` of that test.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

import trio

from tests.conformance.processes import HOST, Server, StartError, running, running_server
from tests.conformance.suite import Suite
from tests.conformance.tcl import PacketReader, encode_packet

OK: Final = "ok"
FAILED: Final = "err"
"""An assertion failed, or the test raised an exception."""
HUNG: Final = "timeout"
"""No end within the bounds of time."""
CRASHED: Final = "crash"
"""The server ended."""

ONLY_OWN_SERVER: Final = ("SRANDMEMBER with a dict containing long chain",)
"""Needs the process id of a server that the suite has started, though it is not marked so; run, it
leaves a changed configuration to the tests behind it."""
NO_OTHER_SERVERS: Final = ("-repl", "-needs:repl", "-cluster")
"""In units that run without their marks, what starts replicas and clusters stays out."""

CONNECT_S: Final = 30.0
LAST_WORDS_S: Final = 1.0  # what the client may still send when the server has ended
REASON: Final = 400  # characters


class Settings(NamedTuple):
    """How units are run.

    Attributes:
      command: starts a server; `{port}` and `{dir}` are filled in.
      unit_s: the time for a unit.
      stall_s: the time without a word of the client.
      start_s: the time for a server to answer.
      resume: how often a unit is started again behind a test that hung or killed the server.
      only: names of tests, or /patterns; all if empty.
    """

    command: str
    unit_s: float = 600.0
    stall_s: float = 120.0
    start_s: float = 30.0
    resume: int = 8
    only: tuple[str, ...] = ()


class Result(NamedTuple):
    """How a test ended: OK, FAILED, HUNG or CRASHED, and why."""

    name: str
    status: str
    reason: str = ""


def first_reason(text: str) -> str:
    """Return the line that says why, of what is behind the first line of an `err`."""
    text = re.sub(r"/\S*/work/tests/", "tests/", text)
    first, *others = text.splitlines() or [""]
    if "while executing" not in text:
        return first[:REASON]
    # An exception's message arrives without its first ten characters; its trace has them.
    whole = next((line for line in others if line[10:] == first), first)
    return f"exception: {whole[:REASON]}"


class Attempt:
    """What a client has said about a unit.

    Attributes:
      results: the tests that have ended, in order.
      outside: what was raised outside of tests.
      ended: why the unit did not run to its end; None if it did.
      culprit: the test in which it ended.
      done: nothing more will come.
    """

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.results: list[Result] = []
        self.outside: list[str] = []
        self.ended: str | None = None
        self.culprit: str | None = None
        self.done = False
        self._running: list[str] = []  # tests may be nested

    def take(self, packet: list[str], death: str | None = None) -> None:
        """Take a packet.

        Args:
          packet: its words.
          death: the server's last words, if it has ended by now.
        """
        kind, text = packet[0], packet[1]
        if kind == "testing":
            self._running.append(text)
        elif kind == "ok":
            if text in self._running:
                self._running.remove(text)
            self.results.append(Result(text, OK))
        elif kind == "err":
            self._failed(text, death)
        elif kind == "exception" and death is None:
            self.give_up(f"exception: {text.partition(chr(10))[0][:REASON]}", FAILED)
        elif kind == "done":
            self.done = True
        if death is not None and kind in ("ok", "err", "exception"):
            self.give_up(f"server died: {death}", CRASHED)

    def _failed(self, text: str, death: str | None) -> None:
        """An `err` of a test is "NAME in tests/UNIT.tcl" and, on further lines, the reason."""
        starts = (name for name in reversed(self._running) if text.startswith(f"{name} in tests/"))
        name = next(starts, None)
        if name is None:
            self.outside.append(first_reason(text))
        elif death is None:
            self._running.remove(name)
            reason = first_reason(text[len(name) :].partition("\n")[2])
            self.results.append(Result(name, FAILED, reason))

    def give_up(self, why: str, status: str) -> None:
        """The unit ends here; the test in progress has this status."""
        if self.done:
            return
        self.done = True
        self.ended = why
        if self._running:
            self.culprit = self._running[-1]
            self.results.append(Result(self.culprit, status, why))


def client_arguments(
    suite: Suite, unit: str, server_port: int, port: int, settings: Settings, skipped: list[str]
) -> list[str]:
    """Return the command line of a client that tests a server and reports to `port`."""
    argv = [suite.tclsh, "tests/test_helper.tcl", "--host", HOST, "--port", str(server_port)]
    argv.append("--durable")
    if unit.startswith("+"):
        argv += ["--tags", " ".join(NO_OTHER_SERVERS)]
    for pattern in settings.only:
        argv += ["--only", pattern]
    for name in [*ONLY_OWN_SERVER, *skipped]:  # a leading slash would make it a pattern
        argv += ["--skiptest", f"/***={name}" if name.startswith("/") else name]
    return [*argv, "--client", str(port)]


async def _watch(server: Server, attempt: Attempt, listening: trio.CancelScope) -> None:
    await server.process.wait()
    await trio.sleep(LAST_WORDS_S)
    attempt.give_up(f"server died: {server.tail()}", CRASHED)
    listening.cancel()


async def _listen(
    stream: trio.SocketStream, server: Server, attempt: Attempt, stall_s: float
) -> None:
    """Take what the client says until nothing more will come."""
    reader = PacketReader()
    while not attempt.done:
        data = b""
        with trio.move_on_after(stall_s) as waiting:
            try:
                data = bytes(await stream.receive_some())
            except trio.BrokenResourceError:
                pass
        if waiting.cancelled_caught:
            attempt.give_up(f"no progress for {stall_s:g} s", HUNG)
        elif not data:
            attempt.give_up("the Tcl client ended early", FAILED)
        for packet in reader.feed(data):
            if packet[0] == "ready":
                await stream.send_all(encode_packet("run", attempt.unit.lstrip("+")))
            elif not attempt.done:
                ended = server.process.poll() is not None
                attempt.take(packet, server.tail() if ended else None)


async def _converse(
    stream: trio.SocketStream, server: Server, attempt: Attempt, stall_s: float
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch, server, attempt, nursery.cancel_scope)
        await _listen(stream, server, attempt, stall_s)
        nursery.cancel_scope.cancel()


async def run_attempt(
    suite: Suite, unit: str, settings: Settings, skipped: Collection[str], folder: Path, end: float
) -> Attempt:
    """Run a unit once, without the tests `skipped`, until `end` (by Trio's clock) at the latest."""
    attempt = Attempt(unit)
    work = suite.copy(folder, unmarked=unit.startswith("+"))
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "dumb"}
    with trio.move_on_at(end) as bound:
        async with AsyncExitStack() as stack:
            try:
                server = await stack.enter_async_context(
                    running_server(settings.command, folder, settings.start_s)
                )
            except (StartError, OSError) as exc:
                attempt.give_up(str(exc), FAILED)
                return attempt
            listener = (await trio.open_tcp_listeners(0, host=HOST))[0]
            await stack.enter_async_context(listener)
            port = listener.socket.getsockname()[1]
            argv = client_arguments(suite, unit, server.port, port, settings, list(skipped))
            log = folder / "client.log"
            await stack.enter_async_context(running(argv, log, cwd=work, env=environment))
            stream = None
            with trio.move_on_after(CONNECT_S):
                stream = await stack.enter_async_context(await listener.accept())
            if stream is None:
                attempt.give_up("the Tcl client did not start", FAILED)
                return attempt
            await _converse(stream, server, attempt, settings.stall_s)
    if bound.cancelled_caught:
        attempt.give_up("unit time bound", HUNG)
    return attempt
