"""How much memory loading a big file takes, and how long, beside redis-server.

    python benchmarks/load.py [--keys N] [--size BYTES]

A server makes so many keys of that size, saves them without compression and ends. Another one loads
the file. Shown are the size of the file, the time until the server answers, what memory it has then
and what it had at most (VmRSS and VmHWM of /proc/PID/status).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from compare import REFERENCE, Target, line

MB = 2**20


def memory_mb(target: Target) -> tuple[float, float]:
    """Return the resident memory of a server, and the most that was."""
    lines = Path(f"/proc/{target.pid}/status").read_text().splitlines()
    fields = dict(text.split(":", 1) for text in lines)
    return (int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024)


def measure(name: str, argv: list[str], options: argparse.Namespace) -> None:
    """Show what loading takes one server."""
    with tempfile.TemporaryDirectory() as folder:
        extra = ["--enable-debug-command", "yes", "--rdbcompression", "no"]
        target = Target(name, [*argv, *extra], folder)
        with target.running():
            empty, _ = memory_mb(target)
            target.command("debug", "populate", str(options.keys), "key", str(options.size))
            target.command("save")
        began = time.perf_counter()
        with target.running():
            while target.command("ping") != "PONG":
                time.sleep(0.05)
            seconds = time.perf_counter() - began
            resident, most = memory_mb(target)
        size = Path(folder, "dump.rdb").stat().st_size
        rate = options.keys / seconds / 1000
        cells = [name, f"{size / MB:.0f}", f"{seconds:.1f}", f"{rate:.0f}", f"{empty:.0f}"]
        print(line([*cells, f"{resident:.0f}", f"{most:.0f}"]), flush=True)


def main() -> None:
    """Measure both servers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=1000)
    options = parser.parse_args()
    print(line(["server", "file MB", "s", "1000 keys/s", "empty MB", "loaded MB", "at most MB"]))
    measure("redis-trio", [sys.executable, "-m", "redis_trio"], options)
    measure(REFERENCE, [REFERENCE], options)


if __name__ == "__main__":
    main()
