"""The examples of README.md and docs/: they run, and what they show is what happens.

- `python` blocks are programs; a `text` block behind one is what it prints. Functions in them that
  are called test_* are run, under virtual time if they ask for autojump_clock. Blocks with tests
  that ask for a fixture of the plugin, or with a TestCase, are run by pytest.
- `redis` blocks are sessions of redis-cli, all blocks of a page one session.
- `sh` blocks: every command line of redis-trio is one the program understands, every nox session
  is one of noxfile.py's.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trio
import trio.testing

import redis_trio.commands  # noqa: F401  (declares every command)
from redis_trio.cli import parse_arguments
from redis_trio.client import Transport
from redis_trio.clock import Clock
from redis_trio.config import Config
from redis_trio.execute import dispatch
from redis_trio.persistence.check.program import arguments as check_arguments
from redis_trio.protocol.reply import Pairs, RedisError, Reply, SetReply, Status
from redis_trio.protocol.request import split_inline
from redis_trio.state import ServerState

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.rst"))]

pytest_plugins = ["pytester"]

_TESTS = re.compile(r"def test_\w+\(redis_|TestCase")
_MARKDOWN = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RST = re.compile(r"^( *)\.\. code-block:: (\w+)\n((?:\1 +.*\n|\n)+)", re.MULTILINE)


class Example(NamedTuple):
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def examples_in(path: Path) -> Iterator[Example]:
    source = path.read_text(encoding="utf-8") + "\n"
    page = str(path.relative_to(ROOT))
    markdown = path.suffix == ".md"
    for match in (_MARKDOWN if markdown else _RST).finditer(source):
        language, text = match.group(1, 2) if markdown else match.group(2, 3)
        line = source.count("\n", 0, match.start()) + 1
        yield Example(page, line, language, textwrap.dedent(text).strip("\n") + "\n")


EXAMPLES = [example for path in PAGES for example in examples_in(path)]


def programs() -> list[tuple[Example, str | None]]:
    """Return the Python examples, each with what it is said to print."""
    found = []
    for example, behind in zip(EXAMPLES, [*EXAMPLES[1:], None], strict=True):
        if example.language == "python" and not _TESTS.search(example.text):
            has_output = behind and behind.page == example.page and behind.language == "text"
            found.append((example, behind.text if behind and has_output else None))
    return found


@pytest.mark.parametrize(
    ("example", "printed"), programs(), ids=[str(example) for example, _ in programs()]
)
def test_a_program_runs_and_prints_what_is_said(example: Example, printed: str | None) -> None:
    source = "\n" * example.line + re.sub(r"\b6379\b", "0", example.text)
    namespace: dict[str, object] = {"__name__": "__main__"}
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(source, example.page, "exec"), namespace)
        for name, function in namespace.items():
            if name.startswith("test_") and inspect.iscoroutinefunction(function):
                clock = trio.testing.MockClock(autojump_threshold=0)
                trio.run(
                    function, *[clock for _ in inspect.signature(function).parameters], clock=clock
                )
    if printed is not None:
        assert output.getvalue() == printed


def test_the_tests_in_examples_pass(pytester: pytest.Pytester) -> None:
    tests = [example for example in EXAMPLES if _TESTS.search(example.text)]
    modules = {f"test_{number}": example.text for number, example in enumerate(tests)}
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(**modules)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    count = sum(len(re.findall(r"def test_", text)) for text in modules.values())
    assert count >= 5
    result.assert_outcomes(passed=count)


def shown(reply: Reply) -> str:
    """Return a reply as redis-cli shows it, as far as the examples need it."""
    if isinstance(reply, RedisError):
        return f"(error) {reply}"
    if reply is None:
        return "(nil)"
    if isinstance(reply, Status):
        return reply.text.decode()
    if isinstance(reply, int):
        return f"(integer) {reply}"
    if isinstance(reply, (bytes, bytearray)):
        return f'"{reply.decode()}"'
    if isinstance(reply, dict):
        reply = [item for pair in reply.items() for item in pair]
    if isinstance(reply, Pairs):
        reply = [item for pair in reply.pairs for item in pair]
    if isinstance(reply, SetReply):
        reply = list(reply.members)
    assert isinstance(reply, (list, tuple)), reply
    return "\n".join(f"{i}) {shown(item)}" for i, item in enumerate(reply, 1)) or "(empty array)"


PAGES_WITH_SESSIONS = sorted({e.page for e in EXAMPLES if e.language == "redis"})


@pytest.mark.parametrize("page", PAGES_WITH_SESSIONS)
def test_a_session_gets_the_replies_that_it_shows(page: str) -> None:
    state = ServerState(Config(), Clock(virtual=lambda: 0.0), logging.getLogger("redis_trio.test"))
    client = state.new_client(Transport())
    client.set_trusted()
    for example in EXAMPLES:
        if example.page == page and example.language == "redis":
            result = ""
            for line in example.text.splitlines():
                if line.startswith("> "):
                    args = split_inline(line[2:].encode())
                    assert args, line
                    state.begin()
                    result += f"{line}\n{shown(dispatch(client, args))}\n"
            assert result == example.text, example


def command_lines() -> list[str]:
    """Return the single commands of all shell examples."""
    blocks = [example.text for example in EXAMPLES if example.language == "sh"]
    return [part.strip() for text in blocks for part in re.split(r"&&|\n", text) if part.strip()]


@pytest.mark.parametrize("line", [line for line in command_lines() if "redis-trio" in line])
def test_a_command_line_is_understood(line: str) -> None:
    words = shlex.split(line)
    assert words[0] == "redis-trio"
    if words[1:] == ["--version"]:
        return
    if words[1:2] == ["check"]:
        assert check_arguments().parse_args(words[2:]).files
        return
    for option in parse_arguments(words[1:]).options.splitlines():
        args = split_inline(option)
        assert args
        name, *values = [arg.decode() for arg in args]
        parameter = Config.parameters[name]
        parameter.parse(values, Config())


@pytest.mark.parametrize("line", [line for line in command_lines() if line.startswith("nox -s")])
def test_a_nox_session_exists(line: str) -> None:
    name = shlex.split(line)[2]
    assert f"\ndef {name}(session: nox.Session)" in (ROOT / "noxfile.py").read_text(
        encoding="utf-8"
    )


def test_the_examples_are_found() -> None:
    languages = {example.language for example in EXAMPLES}
    assert languages == {"python", "text", "redis", "sh", "none"}
    assert len(programs()) >= 8
    assert any(example.page == "README.md" for example, _ in programs())
