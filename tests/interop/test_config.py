"""CONFIG SET and CONFIG GET of every parameter, beside a real server."""

from __future__ import annotations

from contextlib import closing

from redis_trio.config import Config
from redis_trio.config.kinds import IMMUTABLE
from tests.interop.compare import Peer, encode, parse, plain
from tests.interop.conftest import Start

NOT_COMPARED = {
    "appendonly": "starts writing a file",
    "aclfile": "needs a file",
    "bind": "moves the server",
    "port": "moves the server",
    "dir": "names a directory",
    "requirepass": "shuts the next command out",
    "maxclients": "depends on the limits of the system",
    "oom-score-adj": "needs privileges",
    "oom-score-adj-values": "needs privileges",
    "locale-collate": "depends on the locales of the system",
    "watchdog-period": "has the real server interrupt itself",
    "tls-port": "needs certificates",
    "tls-cluster": "needs certificates",
    "tls-replication": "needs certificates",
    "activedefrag": "depends on how the real server was built",
    "loglevel": "has one more level since Redis 7.4",
    "maxmemory-samples": "has an upper bound since Redis 7.4",
    "replicaof": "makes a replica of the server",
    "slaveof": "makes a replica of the server",
}

NUMBERS = """
0 1 -1 2 10 64 65 99 100 101 1000 1001 65535 65536 1048575 1048576 2147483647 2147483648 -2147483648
-2147483649 4294967295 4294967296 9223372036854775807 9223372036854775808 -9223372036854775808
18446744073709551615 18446744073709551616 +1 01 0x10 1.5 1e3
1k 1kb 1KB 5m 5mb 1g 1GB b gb 1tb 1.5gb 50% 100% 101% -5% %
"""
WORDS = """
yes no YES No on true default save nosave now force abc a/b a\\b host.name-1 {title} {port} {foo} {
{{ {{x title} notice everysec allkeys-lru noeviction swapdb disabled hostname panic optional clients
allchannels resetchannels Kx KEA AKE KEg$lshzxetdnm KEn KEAm q
"""
PHRASES = [
    *["", " ", " 1", "1 ", "yes\0x", "1\0x", "a b", "\xff", "a" * 255, "a" * 256],
    *["nosave now", "save nosave", "now force", "default save", "900 1", "900 1 300", "900  1"],
    *["900 1 300 10", "0 1", "1 0", "1 -1", "900 4294967297", "900 1x", "normal 0 0 0"],
    *["slave 1mb 2mb 3", "replica 1mb 2mb 3 pubsub 1 2 3", "normal 0 0", "master 0 0 0"],
    *["foo 0 0 0", "normal x 0 0", "normal 0 0 -1", "normal 1gb 1k 99999999999", "K E"],
    *["50 99", "50.5 99.9", "50 x", "nan", "0.123456789", "100.0", "1e1", "100.1"],
]
VALUES = [*NUMBERS.split(), *WORDS.split(), *PHRASES]


def _replies(peer: Peer, name: str, default: bytes) -> list[object]:
    """Set a parameter to every value, and look at it each time; then to its default."""
    lines: list[list[str | bytes]] = []
    for word in [*[value.encode("latin-1") for value in VALUES], default]:
        lines += [["CONFIG", "SET", name, word], ["CONFIG", "GET", name]]
    peer.send(b"".join(map(encode, lines)))
    return [plain(parse(peer.frame())) for _ in lines]


def test_each_parameter_takes_and_refuses_the_same_values_in_the_same_words(
    start_real: Start, start_ours: Start
) -> None:
    options = ("--enable-protected-configs", "yes")
    different = []
    compared = 0
    with closing(Peer(start_real(*options))) as real, closing(Peer(start_ours(*options))) as ours:
        for name, parameter in Config.parameters.items():
            known = plain(parse(real.command(["CONFIG", "GET", name])))
            assert isinstance(known, list)
            if name in NOT_COMPARED or not known:
                continue
            expected = _replies(real, name, known[1])
            if parameter.flags & IMMUTABLE:
                known = plain(parse(ours.command(["CONFIG", "GET", name])))
                assert isinstance(known, list)
            got = _replies(ours, name, known[1])
            if parameter.flags & IMMUTABLE:  # its value is the command line's
                expected, got = expected[::2], got[::2]
            compared += 1
            different += [
                (name, VALUES[i // 2], want, have)
                for i, (want, have) in enumerate(zip(expected, got, strict=True))
                if want != have
            ]
    assert different == []
    assert compared > 170


def test_changes_of_several_parameters_are_all_or_nothing(
    start_real: Start, start_ours: Start
) -> None:
    script = [
        "CONFIG SET maxmemory 10000001 repl-backlog-size 10000002 save '3000 5'",
        "CONFIG GET maxmemory repl-backlog-size save",
        "CONFIG SET maxmemory 1 maxmemory-clients 200% client-query-buffer-limit invalid",
        "CONFIG SET maxmemory 1 maxmemory 2",
        "CONFIG SET MAXMEMORY 1 maxmemory 2",
        "CONFIG SET slave-priority 1 replica-priority 2",
        "CONFIG GET slave-priority",
        "CONFIG SET maxmemory 1 nonsense 2 databases 3",
        "CONFIG SET maxmemory 1 databases 3 nonsense 2",
        "CONFIG SET maxmemory 1 DBFILENAME x nonsense 2",
        "CONFIG SET maxmemory 1 hash-max-ziplist-entries x",
        "CONFIG SET maxmemory 1 timeout",
        "CONFIG SET maxmemory",
        "CONFIG GET maxmemory",
        "CONFIG GET MaxMemory MAXMEMORY maxmemory",
        "CONFIG GET nonsense",
        "CONFIG GET use-exit-on-panic",
        "CONFIG GET use-exit-on-pani[c]",
        "CONFIG REWRITE",
        "CONFIG NONSENSE",
    ]
    with closing(Peer(start_real())) as real, closing(Peer(start_ours())) as ours:
        for line in script:
            expected = plain(parse(real.command(line)))
            got = plain(parse(ours.command(line)))
            if line.startswith("CONFIG GET") and isinstance(expected, list):
                assert isinstance(got, list)
                expected, got = _pairs(expected), _pairs(got)
            assert got == expected, line


def test_patterns_find_the_same_parameters(start_real: Start, start_ours: Start) -> None:
    """But for those that came or went between the two versions."""
    with closing(Peer(start_real())) as real, closing(Peer(start_ours())) as ours:
        known = {name for name, _ in _pairs(plain(parse(real.command("CONFIG GET *"))))}
        for line in ["CONFIG GET *max*", "CONFIG GET *SLAVE*", "CONFIG GET [b-d]* ?ir"]:
            expected = {name for name, _ in _pairs(plain(parse(real.command(line))))}
            got = {name for name, _ in _pairs(plain(parse(ours.command(line))))}
            assert got & known == expected, line


def _pairs(reply: object) -> list[tuple[object, object]]:
    assert isinstance(reply, list)
    return sorted(zip(reply[::2], reply[1::2], strict=True))
