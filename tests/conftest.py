"""What every test relies on: which build of the package is under test."""

from __future__ import annotations

import os
from collections.abc import Generator

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


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """Let a report be sent to another process: bytes in error texts are surrogates."""
    return _printable((yield))


def _printable(data: object) -> object:
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, dict):
        return {key: _printable(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_printable(item) for item in data]
    if isinstance(data, tuple):
        return tuple(_printable(item) for item in data)
    return data
