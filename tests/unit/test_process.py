"""What a server does to a process of its own, with a system that is made up."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from redis_trio import process
from redis_trio.config import Config, ConfigError
from redis_trio.log import RedisFormatter

resource = pytest.importorskip("resource")
LOG = logging.getLogger("redis_trio.test")


class FakeLimits:
    """Limits of open files, of which the hard one cannot be raised."""

    def __init__(self, soft: int, hard: int) -> None:
        self.limits = (soft, hard)

    def get(self, which: int) -> tuple[int, int]:
        return self.limits

    def set(self, which: int, limits: tuple[int, int]) -> None:
        if limits[1] > self.limits[1]:
            raise ValueError("not allowed to raise maximum limit")
        self.limits = limits


def fake_limits(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> FakeLimits:
    fake = FakeLimits(soft, hard)
    monkeypatch.setattr(resource, "getrlimit", fake.get)
    monkeypatch.setattr(resource, "setrlimit", fake.set)
    return fake


def test_the_limit_is_raised_to_what_maxclients_needs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = fake_limits(monkeypatch, 1024, 100_000)
    config = Config()
    with caplog.at_level(logging.INFO):
        process.raise_open_files_limit(config, LOG)
    assert fake.limits == (10032, 100_000)
    assert config.maxclients == 10000
    assert caplog.messages == [
        "Increased maximum number of open files to 10032 (it was originally set to 1024)."
    ]


def test_a_limit_that_is_enough_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = fake_limits(monkeypatch, 10032, 10032)
    process.raise_open_files_limit(Config(), LOG)
    assert fake.limits == (10032, 10032)


def test_maxclients_is_lowered_to_what_the_system_allows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = fake_limits(monkeypatch, 100, 200)
    config = Config()
    process.raise_open_files_limit(config, LOG)
    assert fake.limits == (200, 200)
    assert config.maxclients == 168
    assert "maxclients has been reduced to 168" in caplog.text


def test_a_system_that_allows_no_client_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_limits(monkeypatch, 20, 32)
    with pytest.raises(process.CannotStart, match="'ulimit -n' of 20 is not enough"):
        process.raise_open_files_limit(Config(), LOG)


def test_config_set_maxclients_fails_where_the_system_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_limits(monkeypatch, 1032, 1032)
    config = Config()
    config.change([("maxclients", "1000")])
    process.watch_maxclients(config, LOG)
    config.change([("maxclients", "900")])
    with pytest.raises(ConfigError) as caught:
        config.change([("maxclients", "1001")])
    assert caught.value.reason == (
        "The operating system is not able to handle the specified number of clients, try with 1000"
    )
    assert config.maxclients == 900


def test_the_oom_score_is_relative_or_absolute_and_comes_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "score"
    path.write_text("100\n")
    monkeypatch.setattr(process, "_OOM_SCORE_FILE", str(path))
    config = Config()
    process.OomScore(config, LOG).begin()
    assert path.read_text() == "100\n"
    config.change([("oom-score-adj", "yes"), ("oom-score-adj-values", "5 6 7")])
    assert path.read_text() == "105\n"
    config.change([("oom-score-adj", "absolute")])
    assert path.read_text() == "5\n"
    config.change([("oom-score-adj-values", "2000 2000 2000")])
    assert path.read_text() == "1000\n"
    config.change([("oom-score-adj", "no")])
    assert path.read_text() == "100\n"


def test_an_oom_score_that_cannot_be_set_refuses_the_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process, "_OOM_SCORE_FILE", str(tmp_path / "none" / "score"))
    config = Config()
    process.OomScore(config, LOG).begin()
    with pytest.raises(ConfigError, match=r"Failed to set current oom_score_adj. Check server"):
        config.change([("timeout", "1"), ("oom-score-adj", "yes")])
    assert (config.oom_score_adj, config.timeout) == ("no", 0)


@pytest.mark.parametrize(
    ("level", "sign"), [("DEBUG", "."), ("VERBOSE", "-"), ("INFO", "*"), ("WARNING", "#")]
)
def test_a_line_of_the_log_has_the_sign_of_its_level(level: str, sign: str) -> None:
    number = logging.getLevelName(level)
    record = logging.LogRecord("x", number, "f.py", 1, "%d keys", (3,), None)
    head, _, text = RedisFormatter(lambda: "S").format(record).rpartition(f" {sign} ")
    assert text == "3 keys"
    assert head.split(" ", 1)[0].endswith(":S")
