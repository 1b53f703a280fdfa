"""kill -9 at random moments, and what is there afterwards.

    python -m tests.interop.kill_aof [rounds]

Several clients write, each its own counter and its own pairs of keys in transactions, in pipelines
of random depth. With `appendfsync always` everything that was acknowledged must be there after the
server was killed and has started again; with `everysec`, on a machine that goes on running, all
but what its kernel was not given. A transaction is always there as a whole or not at all.

In some rounds the server is saving (BGSAVE) or rewriting (BGREWRITEAOF) all the time, so that it is
killed while it does that, too: the files before it must load.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from tests.interop.compare import Peer, parse, plain
from tests.processes import OURS, ServerProcess

CLIENTS = 4
FILLING = 20_000  # keys of 100 bytes, so that saving takes a while


class Writer(threading.Thread):
    """A client that writes until the server is gone.

    Attributes:
      acknowledged: up to what number its counter was.
    """

    def __init__(self, port: int, number: int, seed: int) -> None:
        super().__init__()
        self.number = number
        self.acknowledged = 0
        self._port = port
        self._random = random.Random(seed)

    def run(self) -> None:
        """Write, count what was acknowledged, and end with the server."""
        sent = 0
        try:
            with closing(Peer(self._port)) as peer:
                while True:
                    depth = self._random.choice([1, 1, 4, 16])
                    for _ in range(depth):
                        sent += 1
                        peer.send(
                            b"MULTI\r\nINCR a%d\r\nSET b%d %d\r\nEXEC\r\n"
                            % (self.number, self.number, sent)
                        )
                    for _ in range(depth):
                        for _ in range(3):
                            peer.frame()
                        peer.frame()
                        self.acknowledged += 1
        except (OSError, EOFError):
            return


class Saver(threading.Thread):
    """A client that has the server save, again and again, until it is gone."""

    def __init__(self, port: int, command: str) -> None:
        super().__init__()
        self._port = port
        self._command = command
        self.begun = 0

    def run(self) -> None:
        """Ask for the next one as soon as one has ended."""
        try:
            with closing(Peer(self._port)) as peer:
                while True:
                    self.begun += peer.command(self._command).startswith(b"+")
        except (OSError, EOFError):
            return


def fill(peer: Peer) -> None:
    """Forget everything, and store FILLING keys."""
    peer.command("FLUSHALL")
    for start in range(0, FILLING, 1000):
        keys = range(start, start + 1000)
        peer.send(b"".join([b"SET fill:%d %0100d\r\n" % (i, i) for i in keys]))
        for _ in keys:
            assert peer.frame() == b"+OK\r\n"


def round_of_kill(
    folder: Path, rng: random.Random, policy: str, saving: str = ""
) -> tuple[int, int]:
    """Write, kill the server, start it again and look; return how much was written and lost.

    Args:
      saving: BGSAVE or BGREWRITEAOF to have it do that all the time.

    Raises:
      AssertionError: something is missing, or half there.
    """
    options = ["--appendonly", "yes", "--appendfsync", policy]
    with ServerProcess(OURS, folder, options) as server:
        with server.peer() as peer:
            if saving:
                fill(peer)
            else:
                peer.command("FLUSHALL")
        saver = Saver(server.port, saving)
        if saving:
            saver.start()
        writers = [Writer(server.port, i, rng.randrange(2**32)) for i in range(CLIENTS)]
        for writer in writers:
            writer.start()
        time.sleep(rng.uniform(0.05, 0.5))
        server.kill()
        for writer in writers:
            writer.join()
        if saving:
            saver.join()
            assert saver.begun
    written = lost = 0
    with ServerProcess(OURS, folder, options) as server, server.peer() as peer:
        for writer in writers:
            counted = number(peer, b"GET a%d" % writer.number)
            stored = number(peer, b"GET b%d" % writer.number)
            assert counted == stored, f"half a transaction: {counted}, {stored}"
            written += writer.acknowledged
            lost += max(0, writer.acknowledged - counted)
        if saving:
            assert number(peer, b"DBSIZE") >= FILLING
    if policy == "always":
        assert lost == 0, f"{lost} of {written} acknowledged writes are lost"
    if saving == "BGSAVE":
        look_at_dump(folder)
    assert [path.name for path in folder.rglob("temp-*")] == []
    return written, lost


def look_at_dump(folder: Path) -> None:
    """Look at the RDB file, if any save has ended: it is of one moment."""
    if not (folder / "dump.rdb").exists():
        return
    with ServerProcess(OURS, folder) as server, server.peer() as peer:
        for i in range(CLIENTS):
            assert number(peer, b"GET a%d" % i) == number(peer, b"GET b%d" % i)
        assert number(peer, b"DBSIZE") >= FILLING


def number(peer: Peer, line: bytes) -> int:
    """Return the number that a GET replies with, 0 for none."""
    value = plain(parse(peer.command(line.decode())))
    return int(value) if isinstance(value, (str, bytes, int)) else 0


def main() -> None:
    """Run as many rounds as the command line says, 50 if it does not, of each policy."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    for policy in ("always", "everysec"):
        for saving in ("", "BGSAVE", "BGREWRITEAOF"):
            total = missing = 0
            with tempfile.TemporaryDirectory() as folder:
                for seed in range(rounds):
                    rng = random.Random(seed)
                    written, lost = round_of_kill(Path(folder), rng, policy, saving)
                    total += written
                    missing += lost
            what = f"{policy} {saving or 'nothing'}"
            print(f"{what}: {rounds} rounds, {total} transactions acknowledged, {missing} lost")


if __name__ == "__main__":
    main()
