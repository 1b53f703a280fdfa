"""What every test relies on: which build of the package is under test."""

from __future__ import annotations

import os

import pytest

import redis_trio
from redis_trio.info import build_kind


def pytest_report_header() -> str:
    return f"redis_trio {redis_trio.__version__}, {build_kind()}: {redis_trio.__file__}"


def pytest_sessionstart() -> None:
    """Fail at once if another build is imported than REDIS_TRIO_EXPECT says (pure, compiled)."""
    expected = os.environ.get("REDIS_TRIO_EXPECT")
    if expected and build_kind() != expected:
        pytest.exit(f"{redis_trio.__file__} is {build_kind()}, expected {expected}", returncode=4)
