"""What TLS costs: server CPU per request with it and without, beside redis-server.

    python benchmarks/tls.py [--rounds N] [--requests N] [--write FOLDER]

redis-benchmark, which must be built with TLS, sends GET on 50 connections to each server in turn,
round after round: plain and with TLS, without a pipeline and 16 deep. Handshakes are in the
figures, one for each connection and run. `redis-trio` is run by the Python that runs this file,
which needs trustme for the certificate. --write leaves the table as tls.csv, which
docs/performance.rst shows.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import trustme
from compare import REFERENCE, Target, free_port

DEPTHS = (1, 16)


class Files:
    """A certificate and its authority, in a folder."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        self.ca, self.cert, self.key = (str(folder / name) for name in ("ca", "cert", "key"))
        authority.cert_pem.write_to_path(self.ca)
        issued.cert_chain_pems[0].write_to_path(self.cert)
        issued.private_key_pem.write_to_path(self.key)


class Server:
    """A server under test with a plain port and one for TLS."""

    def __init__(self, name: str, argv: list[str], files: Files) -> None:
        self.name = name
        self.files = files
        self.tls_port = free_port()
        options = ["--tls-cert-file", files.cert, "--tls-key-file", files.key]
        options += ["--tls-ca-cert-file", files.ca, "--tls-port", str(self.tls_port)]
        self.target = Target(name, [*argv, *options])

    def cpu_us(self, requests: int, depth: int, *, tls: bool) -> float:
        """Return the CPU time of a request."""
        port = self.tls_port if tls else self.target.port
        argv = ["redis-benchmark", "-p", str(port), "-t", "get", "-q", "-P", str(depth)]
        argv += ["-n", str(requests * depth)]
        if tls:
            argv += ["--tls", "--cacert", self.files.ca]
            argv += ["--cert", self.files.cert, "--key", self.files.key]
        before = self.target.cpu_ns()
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
        return (self.target.cpu_ns() - before) / 1000 / (requests * depth)


def main() -> None:
    """Measure both servers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    found: dict[tuple[str, bool, int], list[float]] = {}
    with ExitStack() as stack:
        files = Files(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        servers = [
            Server(REFERENCE, [REFERENCE], files),
            Server("redis-trio", [sys.executable, "-m", "redis_trio"], files),
        ]
        for server in servers:
            stack.enter_context(server.target.running())
        for _ in range(options.rounds):
            for depth in DEPTHS:
                for tls in (False, True):
                    for server in servers:
                        cost = server.cpu_us(options.requests, depth, tls=tls)
                        found.setdefault((server.name, tls, depth), []).append(cost)
    table = [["server", "plain", "TLS", "ratio", "plain, 16 deep", "TLS, 16 deep", "ratio"]]
    for server in servers:
        row = [server.name]
        for depth in DEPTHS:
            plain, secure = (
                statistics.median(found[server.name, tls, depth]) for tls in (False, True)
            )
            row += [f"{plain:.1f}", f"{secure:.1f}", f"{secure / plain:.1f}"]
        table.append(row)
    for row in table:
        print("".join(f"{cell:>16}" for cell in row))
    if options.write:
        with (options.write / "tls.csv").open("w", newline="") as file:
            csv.writer(file).writerows(table)


if __name__ == "__main__":
    main()
