"""RDB files go from redis-server to us and back: all data, and what redis-check-rdb says."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from redis_trio.protocol.reply import RedisError, Reply
from tests.interop.compare import Peer, doubles, parse, plain
from tests.interop.conftest import Start, _starter
from tests.rdb_cases import COMMANDS, NEWER_COMMANDS, Words, old_file


def ask(peer: Peer, *words: bytes) -> Reply:
    return parse(peer.command(words))


def fill(port: int, commands: list[Words]) -> None:
    with closing(Peer(port)) as peer:
        for words in commands:
            reply = ask(peer, *words)
            assert not isinstance(reply, RedisError), words


def summary(port: int) -> dict[bytes, object]:
    """Return the digest of each key, whether it expires, and what is known of groups."""
    found: dict[bytes, object] = {}
    with closing(Peer(port)) as peer:
        names = ask(peer, b"KEYS", b"*")
        assert isinstance(names, list)
        for name in names:
            assert isinstance(name, bytes)
            digest = plain(ask(peer, b"DEBUG", b"DIGEST-VALUE", name))
            if name == b"zset:limits":  # 7.2 changed the digits, which the digest is made of
                digest = doubles(ask(peer, b"ZRANGE", name, b"0", b"-1", b"WITHSCORES"))
            found[name] = (
                digest,
                plain(ask(peer, b"PEXPIRETIME", name)),
            )
        found[b"groups"] = plain(ask(peer, b"XINFO", b"GROUPS", b"stream"))
        found[b"pending"] = plain(ask(peer, b"XPENDING", b"stream", b"g1"))
    return found


def saved_file(port: int) -> Path:
    """Have a server save its data; return the file."""
    with closing(Peer(port)) as peer:
        assert plain(ask(peer, b"SAVE")) == "OK"
        folder = ask(peer, b"CONFIG", b"GET", b"dir")
        assert isinstance(folder, list)
        assert isinstance(folder[1], bytes)
        return Path(folder[1].decode()) / "dump.rdb"


@pytest.mark.parametrize("options", [(), ("--rdbcompression", "no"), ("--rdbchecksum", "no")])
def test_redis_loads_what_we_save(
    start_real: Start, start_ours: Start, tmp_path: Path, options: tuple[str, ...]
) -> None:
    port = start_ours(*options)
    fill(port, COMMANDS)
    path = saved_file(port)
    shutil.copy(path, tmp_path)
    assert summary(start_real("--dir", str(tmp_path))) == summary(port)


def test_redis_check_rdb_finds_nothing(start_ours: Start) -> None:
    checker = shutil.which("redis-check-rdb")
    if checker is None:
        pytest.skip("redis-check-rdb is not installed")
    port = start_ours()
    fill(port, COMMANDS)
    result = subprocess.run(
        [checker, str(saved_file(port))], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
    assert "RDB looks OK!" in result.stdout
    assert "Checksum OK" in result.stdout


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--rdbcompression", "no", "--rdbchecksum", "no"),
        ("--maxmemory-policy", "allkeys-lfu"),
        ("--hash-max-listpack-entries", "2", "--list-compress-depth", "1"),
    ],
)
def test_we_load_what_redis_saves(
    start_real: Start, start_ours: Start, tmp_path: Path, options: tuple[str, ...]
) -> None:
    port = start_real(*options)
    fill(port, COMMANDS)
    shutil.copy(saved_file(port), tmp_path)
    assert summary(start_ours("--dir", str(tmp_path))) == summary(port)


def test_our_own_files_keep_deadlines_of_fields(start_ours: Start, tmp_path: Path) -> None:
    port = start_ours()
    fill(port, [*COMMANDS, *NEWER_COMMANDS])
    shutil.copy(saved_file(port), tmp_path)
    assert summary(start_ours("--dir", str(tmp_path))) == summary(port)


@pytest.mark.parametrize("kind", [9, 15, 19])
def test_old_encodings_are_loaded_as_redis_loads_them(
    start_real: Start, start_ours: Start, tmp_path: Path, kind: int
) -> None:
    """They stand in a file that was written by hand."""
    version = {9: 3, 15: 9, 19: 10}[kind]
    (tmp_path / "dump.rdb").write_bytes(old_file(version, newest_kind=kind))
    digests: list[dict[bytes, object]] = []
    for start in (start_real, start_ours):
        with closing(Peer(start("--dir", str(tmp_path)))) as peer:
            names = ask(peer, b"KEYS", b"*")
            assert isinstance(names, list)
            found: dict[bytes, object] = {}
            for name in names:
                assert isinstance(name, bytes)
                digest = plain(ask(peer, b"DEBUG", b"DIGEST-VALUE", name))
                found[name] = (digest, plain(ask(peer, b"PEXPIRETIME", name)))
            if kind >= 15:
                found[b"pending"] = plain(ask(peer, *b"XPENDING old:stream:1 grp".split()))
            digests.append(found)
    assert len(digests[0]) > 3
    assert digests[0] == digests[1]


@pytest.fixture
def newer_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a redis-server 7.4, which REDIS_SERVER_74 names."""
    path = os.environ.get("REDIS_SERVER_74")
    if not path:
        pytest.skip("REDIS_SERVER_74 does not name a redis-server of version 7.4")
    yield from _starter([path], tmp_path_factory.mktemp("newer"))


def test_every_file_of_redis_74_is_loaded(
    newer_server: Start, start_ours: Start, tmp_path: Path
) -> None:
    """What its versions of the encodings say, and deadlines of fields."""
    shutil.copy(_written_by_hand(tmp_path / "by hand"), tmp_path)
    port = newer_server("--dir", str(tmp_path))
    fill(port, [*COMMANDS, *NEWER_COMMANDS])
    saved_file(port)
    ours = start_ours("--dir", str(tmp_path))
    assert summary(ours) == summary(port)
    for field in (b"f1", b"f4"):
        words = [b"HPEXPIRETIME", b"hash:listpackex", b"FIELDS", b"1", field]
        with closing(Peer(port)) as real, closing(Peer(ours)) as our:
            assert plain(ask(our, *words)) == plain(ask(real, *words))


def test_redis_74_loads_our_files(newer_server: Start, start_ours: Start, tmp_path: Path) -> None:
    port = start_ours()
    fill(port, [*COMMANDS, *NEWER_COMMANDS])
    shutil.copy(saved_file(port), tmp_path)
    assert summary(newer_server("--dir", str(tmp_path))) == summary(port)


def _written_by_hand(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "dump.rdb"
    path.write_bytes(old_file())
    return path
