"""Reading and loading append-only files: commands, annotations, transactions, damage."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from redis_trio.data.stream import Stream
from redis_trio.feed import encode_command
from redis_trio.keyspace.digest import dataset_digest
from redis_trio.persistence.aof import AofError
from redis_trio.persistence.aof_commands import value_commands
from redis_trio.persistence.aof_files import load_aof
from redis_trio.persistence.aof_reader import AofReader, FormatError
from redis_trio.protocol.request import Args
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run

INCR = "appendonly.aof.1.incr.aof"


def words(line: str) -> bytes:
    return encode_command(line.encode().split())


def read_all(reader: AofReader) -> list[Args]:
    found: list[Args] = []
    while (args := reader.read()) is not None:
        found.append(args)
    return found


class Folder:
    """An append-only folder that can be loaded."""

    def __init__(self, path: Path, state: ServerState) -> None:
        self.path = path / "appendonlydir"
        self.path.mkdir()
        state.config.dir = str(path)
        self._state = state

    def write(self, **files: bytes) -> None:
        """Write incremental files, by the letter in front of their numbers: `i1`, `i2`."""
        manifest = b""
        for name, data in files.items():
            number = name[1:].encode()
            (self.path / f"appendonly.aof.{name[1:]}.incr.aof").write_bytes(data)
            manifest += b"file appendonly.aof.%s.incr.aof seq %s type i\n" % (number, number)
        (self.path / "appendonly.aof.manifest").write_bytes(manifest)

    def load(self) -> None:
        for _ in load_aof(self._state):
            pass


@pytest.fixture
def folder(tmp_path: Path, state: ServerState) -> Folder:
    return Folder(tmp_path, state)


# -- the reader


DATA = b"#TS:1\r\n" + words("SET k v") + b"#TS:2\r\n#TS:3\r\n" + words("DEL k") + b"#end\r\n"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_commands_are_the_same_however_the_bytes_come(step: int) -> None:
    reader = AofReader()
    found: list[Args] = []
    for i in range(0, len(DATA), step):
        reader.feed(DATA[i : i + step])
        found += read_all(reader)
    assert found == [[b"SET", b"k", b"v"], [b"DEL", b"k"]]
    assert (reader.offset, reader.rest) == (len(DATA), 0)


def test_a_command_of_many_arguments_is_read_once_however_the_bytes_come() -> None:
    """Each piece begins where the last one ended; going back would take minutes here."""
    args = [b"RPUSH", b"k", *[b"%d" % i for i in range(20_000)]]
    data = encode_command(args) + words("PING")
    reader = AofReader()
    found: list[Args] = []
    for i in range(0, len(data), 10):
        reader.feed(data[i : i + 10])
        assert reader.offset + reader.rest == min(i + 10, len(data)) or found
        found += read_all(reader)
    assert found == [args, [b"PING"]]


def test_wherever_a_file_is_cut_what_is_whole_is_read_and_the_rest_is_known() -> None:
    ends = [0]
    for line in (b"#TS:1\r\n", words("SET k v"), b"#TS:2\r\n", b"#TS:3\r\n", words("DEL k")):
        ends.append(ends[-1] + len(line))
    ends.append(len(DATA))
    for size in range(len(DATA) + 1):
        reader = AofReader()
        reader.feed(DATA[:size])
        read_all(reader)
        assert reader.offset == max(end for end in ends if end <= size)
        assert reader.rest == size - reader.offset


@pytest.mark.parametrize(
    "damaged",
    [
        b"SET k v\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*x\r\n",
        b"*1x",
        b"*99999999999\r\n",
        b"*1\n$1\r\nk\r\n",
        b"*1\r\n+1\r\nk\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$\r\n",
        b"*1\r\n$1\r\nkk\r\n",
        b"*1\r\n$1\r\nk\rx",
        b"\0\0\0\0",
        b"#" + b"x" * 1024,
    ],
)
def test_what_no_further_byte_could_mend_is_a_bad_format(damaged: bytes) -> None:
    reader = AofReader()
    reader.feed(words("PING") + damaged)
    assert reader.read() == [b"PING"]
    with pytest.raises(FormatError) as refusal:
        reader.read()
    assert refusal.value.offset == len(words("PING"))


def test_an_argument_longer_than_any_piece_is_put_together_once() -> None:
    data = encode_command([b"SET", b"k", b"v" * 1_000_000])
    reader = AofReader()
    for i in range(0, len(data), 1000):
        assert reader.read() is None
        reader.feed(data[i : i + 1000])
    assert reader.read() == [b"SET", b"k", b"v" * 1_000_000]


# -- loading


def test_files_are_loaded_in_order_and_each_keeps_its_own_database(
    folder: Folder, run: Run
) -> None:
    folder.write(
        i1=words("SELECT 3") + words("SET k 1"), i2=words("INCR k") + words("SELECT 3"), i3=b""
    )
    folder.load()
    assert run("GET k") == b"1"  # each file begins in database 0
    run("SELECT 3")
    assert run("GET k") == b"1"


def test_nothing_is_fed_or_counted_as_a_command(
    folder: Folder, state: ServerState, heard: Callable[[], list[bytes]]
) -> None:
    folder.write(i1=words("SET k 1") + words("SPOP none"))
    folder.load()
    assert heard() == []
    assert state.stats.total_commands == 0
    assert not state.persistence.loading


def test_while_loading_nothing_expires(
    folder: Folder, run: Run, state: ServerState, time: FakeTime
) -> None:
    past = state.clock.now_ms - 1000
    folder.write(
        i1=words(f"SET k 5 PXAT {past}")
        + words("INCR k")
        + words("PERSIST k")
        + words("HSET h f 1 g 1")
        + words(f"HPEXPIREAT h {past} FIELDS 1 f")
        + words("HPERSIST h FIELDS 1 f")
        + words("HINCRBY h f 1")
        + words("SET gone 1")
        + words(f"PEXPIREAT gone {past}")
        + words("APPEND gone 2")
    )
    folder.load()
    assert run("GET k") == b"6"
    assert run("HGET h f") == b"2"
    assert state.dbs[0].table.get(b"gone") == bytearray(b"12")
    assert run("GET gone") is None


def test_no_limit_is_held_against_what_has_happened(folder: Folder, run: Run) -> None:
    run("CONFIG SET proto-max-bulk-len 1mb")
    folder.write(
        i1=words("SETRANGE s 2000000 x")
        + words("SETBIT b 16000000 1")
        + words("XADD x 1-1 f v")
        + words("XTRIM x MAXLEN = 0 LIMIT 5")
    )
    folder.load()
    assert run("STRLEN s") == 2000001
    assert run("STRLEN b") == 2000001
    assert run("XLEN x") == 0


def test_what_would_block_goes_on(folder: Folder, run: Run, state: ServerState) -> None:
    folder.write(i1=words("BLPOP l 0") + words("SET k v"))
    folder.load()
    assert run("GET k") == b"v"
    assert state.waiting.count == 0


def test_a_transaction_is_loaded_when_its_exec_is_there(folder: Folder, run: Run) -> None:
    folder.write(i1=words("MULTI") + words("INCR a") + words("INCR a") + words("EXEC"))
    folder.load()
    assert run("GET a") == b"2"


TAIL = words("SET a 1") + words("MULTI") + words("INCR a") + words("INCR b") + words("EXEC")


def test_wherever_the_tail_is_cut_transactions_are_whole_and_the_file_is_mended(
    folder: Folder, run: Run
) -> None:
    whole = len(words("SET a 1"))
    for size in range(1, len(TAIL)):
        run("FLUSHALL")
        folder.write(i1=TAIL[:size])
        folder.load()
        kept = whole if size >= whole else 0
        assert (folder.path / INCR).read_bytes() == TAIL[:kept]
        assert (run("GET a"), run("GET b")) == (b"1" if kept else None, None)


def test_a_tail_is_not_cut_if_that_is_not_wanted(
    folder: Folder, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run("CONFIG SET aof-load-truncated no")
    folder.write(i1=TAIL[:-1])
    with pytest.raises(AofError):
        folder.load()
    assert (folder.path / INCR).read_bytes() == TAIL[:-1]
    assert "Unexpected end of file reading the append only file" in caplog.text


def test_only_the_last_file_may_be_cut(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    folder.write(i1=TAIL[:-1], i2=words("SET c 1"))
    with pytest.raises(AofError):
        folder.load()
    assert "the truncated file is not the last file" in caplog.text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"rubbish", "Bad file format reading the append only file"),
        (words("SET k v") + b"\0" * 100, "at offset 27"),
        (words("NONSENSE k"), "Unknown command 'NONSENSE' reading the append only file"),
        (words("GET"), "Wrong number of arguments for 'get'"),
        (b"REDIS0011", "Error reading the RDB base file"),
    ],
)
def test_damage_is_an_error_that_the_log_explains(
    folder: Folder, data: bytes, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write(i1=data)
    with pytest.raises(AofError):
        folder.load()
    assert message in caplog.text


def test_a_file_that_is_missing_is_an_error(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write(i1=words("SET k v"))
    (folder.path / INCR).unlink()
    with pytest.raises(AofError):
        folder.load()
    assert "Unable to obtain the AOF file" in caplog.text


def test_a_command_that_fails_is_logged_and_the_rest_is_loaded(
    folder: Folder, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write(i1=words("SET k v") + words("INCR k") + words("SET l v"))
    folder.load()
    assert run("GET l") == b"v"
    assert "after processing the command 'incr'" in caplog.text


def test_a_single_file_of_an_older_version_is_taken_over(
    tmp_path: Path, state: ServerState, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    state.config.dir = str(tmp_path)
    (tmp_path / "appendonly.aof").write_bytes(words("SET k v"))
    for _ in load_aof(state):
        pass
    assert run("GET k") == b"v"
    assert not (tmp_path / "appendonly.aof").exists()
    manifest = tmp_path / "appendonlydir" / "appendonly.aof.manifest"
    assert manifest.read_text() == "file appendonly.aof seq 1 type b\n"
    assert "Successfully migrated an old-style AOF file" in caplog.text
    # As if the machine had stopped before the file was moved.
    (tmp_path / "appendonlydir" / "appendonly.aof").rename(tmp_path / "appendonly.aof")
    run("FLUSHALL")
    for _ in load_aof(state):
        pass
    assert run("GET k") == b"v"


# -- values as commands


def test_every_value_is_made_again_by_its_commands(state: ServerState, run: Run) -> None:
    run("SET s text")
    for i in range(150):
        run(f"RPUSH l {i}")
        run(f"SADD set m{i}")
        run(f"ZADD z {i / 3} m{i}")
        run(f"HSET h f{i} {i}")
        run(f"XADD x {i + 1}-1 f {i}")
    run("HPEXPIRE h 100000 FIELDS 2 f1 f2")
    run("ZADD z inf high -inf low")
    run("XDEL x 150-1")
    run("XGROUP CREATE x g 0")
    run("XREADGROUP GROUP g c1 COUNT 5 STREAMS x >")
    run("XGROUP CREATECONSUMER x g idle")
    run("XGROUP CREATE empty g $ MKSTREAM")
    names = [b"s", b"l", b"set", b"z", b"h", b"x", b"empty"]
    commands = [list(value_commands(name, state.dbs[0].peek(name))) for name in names]

    def shown() -> list[object]:
        groups = [run(line) for line in ("XINFO GROUPS x", "XINFO GROUPS empty", "XPENDING x g")]
        fields = run("HPEXPIRETIME h FIELDS 3 f1 f2 f3")
        stream = state.dbs[0].peek(b"x")
        assert isinstance(stream, Stream)
        ids = [stream.last_id, stream.max_deleted_id, stream.entries_added]
        return [dataset_digest(state.dbs), fields, groups, ids]

    before = shown()
    run("FLUSHALL")
    for made in commands:
        for command in made:
            assert len(command) <= 2 + 2 * 64
            run(*command)
    after = shown()
    assert after == before


def test_whichever_bit_is_wrong_a_file_is_loaded_or_refused(folder: Folder, run: Run) -> None:
    loaded = 0
    for offset in range(len(TAIL)):
        for bit in range(8):
            damaged = bytearray(TAIL)
            damaged[offset] ^= 1 << bit
            folder.write(i1=bytes(damaged))
            run("FLUSHALL")
            try:
                folder.load()
            except AofError:
                continue
            loaded += 1
    assert 0 < loaded < len(TAIL) * 8
