"""The request parser: the same commands and the same errors however the stream is cut."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest

from redis_trio.protocol.request import Limits, RequestParser, split_inline
from tests.protocol_cases import BROKEN, INCOMPLETE, PING, UNAUTHENTICATED, VALID, Broken, multibulk

MB = 1024 * 1024


def cut(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Cut `data` into pieces of random lengths, most of them short."""
    pos = 0
    while pos < len(data):
        size = rng.choice((1, 1, 2, 3, 7, 50, 1000, 20_000))
        yield data[pos : pos + size]
        pos += size


def parse(
    pieces: Iterable[bytes], limit: int = 64, parser: RequestParser | None = None
) -> tuple[list[list[bytes]], str | None]:
    """Feed pieces as a connection does; return the commands and the error."""
    if parser is None:
        parser = RequestParser(Limits())
    commands = []
    for piece in pieces:
        parser.feed(piece)
        while batch := parser.parse(limit):
            assert len(batch) <= limit
            commands += batch
    return commands, parser.error


@pytest.fixture(params=[pytest.param(case, id=name) for name, case in {**VALID, **BROKEN}.items()])
def stream(request: pytest.FixtureRequest) -> tuple[bytes, list[list[bytes]], str | None]:
    """Bytes, and the commands and the error that are in them."""
    case = request.param
    return case.data, case.commands, case.error if isinstance(case, Broken) else None


Stream = tuple[bytes, list[list[bytes]], str | None]


def test_a_stream_fed_whole(stream: Stream) -> None:
    data, commands, error = stream
    assert parse([data]) == (commands, error)


def test_a_stream_fed_byte_by_byte_is_the_same(stream: Stream) -> None:
    data, commands, error = stream
    assert parse([data[i : i + 1] for i in range(len(data))]) == (commands, error)


def test_a_stream_fed_in_random_pieces_is_the_same(stream: Stream) -> None:
    data, commands, error = stream
    for seed in range(30):
        assert parse(cut(data, random.Random(seed))) == (commands, error)


def test_a_stream_parsed_command_by_command_is_the_same(stream: Stream) -> None:
    data, commands, error = stream
    assert parse([data], limit=1) == (commands, error)


def test_all_valid_streams_in_one() -> None:
    names = list(VALID)
    for seed in range(10):
        rng = random.Random(seed)
        rng.shuffle(names)
        data = b"".join(VALID[name].data for name in names)
        commands = [command for name in names for command in VALID[name].commands]
        assert parse(cut(data, rng)) == (commands, None)


@pytest.mark.parametrize("name", INCOMPLETE)
def test_what_is_incomplete_is_neither_command_nor_error(name: str) -> None:
    data = INCOMPLETE[name]
    assert parse([data]) == ([], None)
    assert parse([data[i : i + 1] for i in range(len(data))]) == ([], None)


def test_no_part_of_a_broken_stream_has_another_error() -> None:
    for name, case in BROKEN.items():
        for end in [*range(min(len(case.data), 200)), len(case.data) - 1]:
            assert parse([case.data[:end]])[1] in (None, case.error), name


def test_after_an_error_nothing_more_is_read() -> None:
    parser = RequestParser(Limits())
    assert parse([b"*x\r\n"], parser=parser) == ([], "invalid multibulk length")
    assert parse([multibulk(b"PING")] * 3, parser=parser) == ([], "invalid multibulk length")
    assert parser.buffered_bytes == 0


@pytest.mark.parametrize("name", UNAUTHENTICATED)
def test_limits_for_clients_that_are_not_authenticated(name: str) -> None:
    case = UNAUTHENTICATED[name]
    parser = RequestParser(Limits())
    parser.authenticated = False
    error = case.error if isinstance(case, Broken) else None
    assert parse([case.data], parser=parser) == (case.commands, error)
    assert parse([case.data])[1] is None  # nobody else has them


def test_the_limits_are_lifted_between_two_commands() -> None:
    parser = RequestParser(Limits())
    parser.authenticated = False
    parser.feed(multibulk(b"AUTH", b"x") + multibulk(*[b"PING"] * 20))
    assert parser.parse(1) == [[b"AUTH", b"x"]]
    parser.authenticated = True
    assert parser.parse(1) == [[b"PING"] * 20]


def test_the_longest_argument_is_configurable() -> None:
    limits = Limits(max_bulk_len=10)
    assert parse([b"*1\r\n$10\r\n"], parser=RequestParser(limits)) == ([], None)
    assert parse([b"*1\r\n$11\r\n"], parser=RequestParser(limits)) == ([], "invalid bulk length")
    limits.max_bulk_len = 2**63 - 1
    assert parse([b"*1\r\n$9223372036854775807\r\nab"], parser=RequestParser(limits)) == ([], None)


def test_parse_returns_no_more_commands_than_it_may() -> None:
    parser = RequestParser(Limits())
    parser.feed(multibulk(b"PING") * 10 + b"PING\r\n" * 10)
    assert [len(parser.parse(8)) for _ in range(4)] == [8, 8, 4, 0]


def test_buffered_bytes_are_those_of_no_complete_argument() -> None:
    parser = RequestParser(Limits())
    parse([b"*3\r\n$3\r\nSET\r\n$5\r\nhel"], parser=parser)
    assert (parser.buffered_bytes, parser.args_bytes) == (3, 3)
    parse([b"lo\r\n$100000\r\n" + b"x" * 50_000], parser=parser)
    assert (parser.buffered_bytes, parser.args_bytes) == (50_000, 8)
    assert parser.wanted_bytes == 50_002
    commands, _ = parse([b"x" * 50_000 + b"\r\nPI"], parser=parser)
    assert [len(arg) for arg in commands[0]] == [3, 5, 100_000]
    assert (parser.buffered_bytes, parser.args_bytes, parser.wanted_bytes) == (2, 0, 0)


def peak(data: Iterable[bytes]) -> tuple[int, list[list[bytes]]]:
    """Parse; return the most bytes that were allocated meanwhile, and the commands."""
    parser = RequestParser(Limits())
    tracemalloc.start()
    try:
        commands, _ = parse(data, parser=parser)
        return tracemalloc.get_traced_memory()[1], commands
    finally:
        tracemalloc.stop()


def test_an_announced_length_allocates_nothing() -> None:
    for data in (b"*2147483647\r\n", b"*2147483647\r\n$536870912\r\n", b"*1\r\n$536870912\r\nx"):
        size, commands = peak([data])
        assert commands == []
        assert size < 64 * 1024


def test_a_100_mb_argument_costs_little_more_than_its_size() -> None:
    size = 100 * MB
    piece = b"x" * MB
    head = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % size
    used, commands = peak([head, *[piece] * 100, b"\r\n"])
    assert [len(arg) for arg in commands[0]] == [3, 1, size]
    assert used < 1.25 * size


def test_a_pipeline_in_one_piece_is_not_copied_for_every_batch() -> None:
    data = multibulk(b"SET", b"k", b"v" * 10) * 5_000
    parser = RequestParser(Limits())
    parser.feed(data)
    tracemalloc.start()
    try:
        while parser.parse(64):
            pass
        assert tracemalloc.get_traced_memory()[1] < len(data) / 2
    finally:
        tracemalloc.stop()


def test_split_inline_by_redis_rules() -> None:
    table = {
        b"": [],
        b" \t ": [],
        b"SET k v": [b"SET", b"k", b"v"],
        b"  SET \t k\r\n": [b"SET", b"k"],
        b"a\vb \v c": [b"a\vb", b"c"],
        b'""': [b""],
        b"''": [b""],
        b'"a b"': [b"a b"],
        b"'a b'": [b"a b"],
        b'"\\n\\r\\t\\b\\a"': [b"\n\r\t\b\a"],
        b'"\\x00\\xfF\\xAb"': [b"\0\xff\xab"],
        b'"\\xg0\\x1"': [b"xg0x1"],
        b'"\\"\\\\\\q"': [b'"\\q'],
        b"'\\n\\x41\\''": [b"\\n\\x41'"],
        b"'\"' \"'\"": [b'"', b"'"],
        b"\\n\\x41": [b"\\n\\x41"],
        b'a"b c"': [b"ab c"],
        b"a'b'": [b"ab"],
        b'"a" "b"': [b"a", b"b"],
        b'"a"\t"b"\v': [b"a", b"b"],
        b"a\xffb": [b"a\xffb"],
        b'"': None,
        b"'": None,
        b'"a': None,
        b"'a\\'": None,
        b'"a\\': None,
        b'"a\\"': None,
        b'"a"b': None,
        b"'a'b": None,
        b"'a'\"b\"": None,
        b'"a""b"': None,
        b"a\0b": [b"a"],
        b"\0": [],
        b'"a\0"': None,
    }
    for line, words in table.items():
        assert split_inline(line) == words, line


def test_an_empty_quoted_word_is_a_command_of_one_empty_argument() -> None:
    assert parse([b'""\r\nPING\r\n']) == ([[b""], PING], None)


@pytest.mark.parametrize("piece", [1, 2, 7, 50, 40_000, 10**9])
def test_pending_bytes_are_those_behind_the_last_command(piece: int) -> None:
    commands = [
        multibulk(b"SET", b"k", b"v"),
        b"\r\n",
        b"*0\r\n",
        multibulk(b"SET", b"k", b"v" * 40_000),
        multibulk(b"SET", b"v" * 40_000, b"k"),
        b"PING\r\n",
    ]
    stream = b"".join(commands) + b"*2\r\n$3\r\nGET\r\n$1"
    ends = {0}
    for command in commands:
        ends.add(max(ends) + len(command))
    parser = RequestParser(Limits())
    for start in range(0, len(stream), piece):
        parser.feed(stream[start : start + piece])
        while parser.parse(1):
            assert min(start + piece, len(stream)) - parser.pending_bytes in ends
        fed = min(start + piece, len(stream))
        assert fed - parser.pending_bytes == max(end for end in ends if end <= fed)


def test_inline_commands_can_be_refused_but_for_empty_lines() -> None:
    parser = RequestParser(Limits())
    parser.takes_inline = False
    parser.feed(b"\n\r\n" + multibulk(b"PING") + b"PING\r\n")
    assert parser.parse(10) == [PING]
    assert parser.error == "Master using the inline protocol. Desync?"
