"""Job queues and locks as people use them: real workers, in processes of their own, on our server.

What these libraries need is their own scripts, so nothing of them is repeated here. `nox -s
ecosystem` installs them; what is not installed is skipped, and says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import OURS, ServerProcess

WORKER_S = 60  # what a worker may take for all its jobs
NPM_S = 180
PACKAGES = ("bullmq", "ioredis")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Our server, in a process of its own."""
    with ServerProcess(OURS, tmp_path_factory.mktemp("server")) as server:
        yield server


def need(program: str) -> str:
    """Return the path of a program; without it the test is skipped."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """BullMQ, installed by npm into a folder that is kept from one run to the next."""
    npm = need("npm")
    need("node")
    kept = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(kept, "redis-trio", "ecosystem")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="redis-trio-"))
    modules = folder / "node_modules"
    if not all((modules / name / "package.json").exists() for name in PACKAGES):
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES],
            check=False,
            capture_output=True,
            text=True,
            timeout=NPM_S,
        )
        if done.returncode:
            pytest.skip(f"npm cannot install BullMQ: {done.stderr.strip()[-300:]}")
    return modules
