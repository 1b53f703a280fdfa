"""Any value for any parameter: it is refused, or what is shown of it means the same again."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from redis_trio.config import Config, ConfigError
from redis_trio.config.kinds import decode, quote
from redis_trio.config.reader import load_config
from redis_trio.config.rewrite import rewrite_text
from tests.fuzz import FACTOR

SETTINGS = settings(max_examples=400 * FACTOR, derandomize=True, deadline=None)
OUTSIDE = ("dir", "logfile")  # they touch the file system
UNQUOTED = ("bind", "replicaof", "slaveof")  # CONFIG REWRITE writes them as they are, in Redis too

names = st.sampled_from([name for name in Config.parameters if name not in OUTSIDE])
quoted_names = names.filter(lambda name: name not in UNQUOTED)
pieces = st.sampled_from(
    ["", "0", "1", "-1", "900", "7%", "1gb", "x", "yes", "no", "local", "now", "normal", "KEA", "{"]
)
values = st.binary(max_size=30).map(decode) | st.lists(pieces, max_size=5).map(" ".join)


def words(config: Config, name: str, value: str) -> list[str]:
    if Config.parameters[name].several:
        return value.split(" ") if value else []
    return [value]


@SETTINGS
@given(names, values)
@example("save", "1 -1")
@example("save", "900  1")
@example("requirepass", "\0")
@example("maxmemory-clients", "-1%")
def test_a_value_that_is_shown_can_be_set_again(name: str, value: str) -> None:
    config = Config()
    parameter = Config.parameters[name]
    before = parameter.text(config)
    try:
        parameter.set(config, words(config, name, value))
    except ConfigError:
        assert parameter.text(config) == before
        return
    shown = parameter.text(config)
    again = Config()
    if shown or not parameter.several:
        parameter.set(again, words(again, name, shown))
        assert parameter.text(again) == shown


@SETTINGS
@given(quoted_names, values)
@example("requirepass", "\udcff\n\" '\\")
def test_a_value_survives_config_rewrite(name: str, value: str) -> None:
    config = Config()
    parameter = Config.parameters[name]
    try:
        parameter.set(config, words(config, name, value))
    except ConfigError:
        return
    again = Config()
    load_config(again, None, rewrite_text(config, b""))
    assert parameter.text(again) == parameter.text(config)


@SETTINGS
@given(st.binary(max_size=60))
def test_what_is_quoted_is_read_back_from_redis_conf(value: bytes) -> None:
    config = Config()
    load_config(config, None, f"requirepass {quote(decode(value))}".encode())
    assert config.requirepass == decode(value)
