"""What a client notices of BGSAVE and BGREWRITEAOF, and how fast they are, beside redis-server.

    python benchmarks/snapshot.py [--keys N] [--idle SECONDS] [--delay MS] [--big N]

A server with an append-only file gets so many keys of 64 bytes. A probe sends GET, waits for the
reply, waits `--delay` ms and begins again: first while nothing happens, then during BGSAVE, then
during BGREWRITEAOF. The figures are the probe's percentiles in ms and the keys saved in a second;
then the keys that are loaded in a second, from the RDB file (DEBUG RELOAD NOSAVE) and from the
append-only file (DEBUG LOADAOF). With --big there is one sorted set of so many members as well, and
what its first change during BGSAVE takes is shown.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time

from compare import HOST, REFERENCE, Target, line


class Peer:
    """A connection that waits for each reply."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection((HOST, port))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, *words: str) -> bytes:
        """Send a command and return the beginning of its reply."""
        self._sock.sendall(encode(words))
        return self._sock.recv(65536)

    def fill(self, commands: list[bytes]) -> None:
        """Send commands and wait until all have been answered."""
        self._sock.sendall(b"".join(commands) + encode(("ECHO", "the end")))
        tail = b""
        while not tail.endswith(b"the end\r\n"):
            tail = (tail + self._sock.recv(65536))[-16:]

    def is_saving(self) -> bool:
        """Return whether anything is being saved in the background."""
        info = self.ask("INFO", "persistence")
        return b"rdb_bgsave_in_progress:1" in info or b"aof_rewrite_in_progress:1" in info


def encode(words: tuple[str, ...]) -> bytes:
    parts = [f"*{len(words)}\r\n".encode()]
    parts += [f"${len(word)}\r\n{word}\r\n".encode() for word in words]
    return b"".join(parts)


def probe(peer: Peer, samples: list[float], seconds: float, delay_s: float) -> None:
    """Ask for a key for some time, and note how long each reply took."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        peer.ask("GET", "key:1")
        samples.append(time.perf_counter() - began)
        time.sleep(delay_s)


def percentiles(samples: list[float]) -> list[str]:
    """Return the median, the 99th percentile and the maximum in ms."""
    ordered = sorted(samples)
    chosen = (ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100], ordered[-1])
    return [f"{1000 * value:.2f}" for value in chosen]


def measure(target: Target, options: argparse.Namespace) -> None:
    """Show what the probe sees of one server."""
    with target.running():
        peer, other = Peer(target.port), Peer(target.port)
        value = "v" * 64
        for start in range(0, options.keys, 1000):
            end = min(start + 1000, options.keys)
            peer.fill([encode(("SET", f"key:{i}", value)) for i in range(start, end)])
        for start in range(0, options.big, 1000):
            numbers = range(start, start + 1000)
            peer.fill([encode(("ZADD", "big", str(i), f"member:{i}")) for i in numbers])
        time.sleep(1)
        idle: list[float] = []
        probe(peer, idle, options.idle, options.delay / 1000)
        print(line([target.name, "idle", *percentiles(idle), ""]), flush=True)
        for command in ("BGSAVE", "BGREWRITEAOF"):
            during: list[float] = []
            began = time.perf_counter()
            other.ask(command)
            begin_s = time.perf_counter() - began
            change_s = 0.0
            if options.big:
                changed = time.perf_counter()
                other.ask("ZADD", "big", "1", f"another {command}")
                change_s = time.perf_counter() - changed
            while other.is_saving():
                probe(peer, during, 0.1, options.delay / 1000)
            seconds = time.perf_counter() - began
            rate = options.keys / seconds / 1000
            print(line([target.name, command, *percentiles(during), f"{rate:.0f}"]))
            print(f"  {command} itself took {1000 * begin_s:.2f} ms", end="")
            print(f"; the change {1000 * change_s:.1f} ms" if options.big else "", flush=True)
        for words in (("DEBUG", "RELOAD", "NOSAVE"), ("DEBUG", "LOADAOF")):
            began = time.perf_counter()
            other.ask(*words)
            rate = options.keys / (time.perf_counter() - began) / 1000
            print(line([target.name, words[1], "", "", "", f"{rate:.0f}"]), flush=True)


def main() -> None:
    """Measure both servers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--idle", type=float, default=5.0, help="seconds")
    parser.add_argument("--delay", type=float, default=1.0, help="ms between two questions")
    parser.add_argument("--big", type=int, default=0, help="members of a sorted set")
    options = parser.parse_args()
    print(line(["server", "state", "p50 ms", "p99 ms", "max ms", "1000 keys/s"]))
    extra = ["--appendonly", "yes", "--enable-debug-command", "yes"]
    extra += ["--auto-aof-rewrite-percentage", "0"]
    measure(Target("redis-trio", [sys.executable, "-m", "redis_trio", *extra]), options)
    measure(Target(REFERENCE, [REFERENCE, *extra]), options)


if __name__ == "__main__":
    main()
