"""The CONFIG commands. The parameters themselves are in redis_trio.config."""

from __future__ import annotations

from redis_trio.client import Client
from redis_trio.command import ADMIN, LOADING, NOSCRIPT, STALE, group
from redis_trio.config import ConfigError, LoadingError, UnknownParameterError
from redis_trio.config.kinds import HIDDEN, decode
from redis_trio.config.rewrite import rewrite_file
from redis_trio.data.glob import glob_match
from redis_trio.errors import LOADING as LOADING_ERROR
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.help import declare_help
from redis_trio.protocol.reply import OK, Reply
from redis_trio.protocol.request import Args

command = group("server")

command.container(
    "CONFIG",
    since="2.0.0",
    summary="Looks at and changes the server's configuration.",
)


@command(
    "CONFIG GET",
    "parameter...",
    arity=-3,
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.0.0",
    complexity="O(N) when N is the number of configuration parameters provided",
    summary="Returns configuration parameters and their values, by name or by pattern.",
)
def config_get(client: Client, args: Args) -> Reply:
    """A name without wildcards is shown as it was typed, and finds hidden parameters too."""
    config = client.server.config
    found: dict[bytes, tuple[bytes, str]] = {}  # by name in lower case
    for pattern in args[2:]:
        if not any(c in pattern for c in b"[*?"):
            parameter = config.find(decode(pattern))
            if parameter is not None:
                found.setdefault(pattern.lower(), (pattern, parameter.text(config)))
            continue
        for name, parameter in config.parameters.items():
            key = name.encode()
            if not parameter.flags & HIDDEN and glob_match(pattern, key, True):
                found.setdefault(key, (key, parameter.text(config)))
    return {name: text.encode("utf-8", "surrogateescape") for name, text in found.values()}


@command(
    "CONFIG SET",
    "(parameter value):data...",
    arity=-4,
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.0.0",
    complexity="O(N) when N is the number of configuration parameters provided",
    summary="Changes configuration parameters, all of them or none.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:ALL_SUCCEEDED",
)
def config_set(client: Client, args: Args) -> Reply:
    if len(args) % 2:
        raise RedisError(SYNTAX)
    config = client.server.config
    allowed = config.enable_protected_configs
    pairs = [(decode(args[i]), decode(args[i + 1])) for i in range(2, len(args), 2)]
    try:
        config.change(
            pairs,
            allow_protected=allowed == "yes" or (allowed == "local" and client.is_local),
            loading=client.server.persistence.loading,
        )
    except LoadingError:
        raise RedisError(LOADING_ERROR) from None
    except UnknownParameterError as exc:
        raise RedisError(
            f"ERR Unknown option or number of arguments for CONFIG SET - '{exc.name}'"
        ) from None
    except ConfigError as exc:
        raise RedisError(
            f"ERR CONFIG SET failed (possibly related to argument '{exc.name}') - {exc.reason}"
        ) from None
    return OK


@command(
    "CONFIG REWRITE",
    arity=2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.8.0",
    complexity="O(1)",
    summary="Writes the configuration into redis.conf, keeping its comments.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:ALL_SUCCEEDED",
)
def config_rewrite(client: Client, args: Args) -> Reply:
    server = client.server
    if server.config.config_file is None:
        raise RedisError("ERR The server is running without a config file")
    try:
        rewrite_file(server.config)
    except OSError as exc:
        server.log.warning("CONFIG REWRITE failed: %s", exc.strerror)
        raise RedisError(f"ERR Rewriting config file: {exc.strerror}") from None
    server.log.info("CONFIG REWRITE executed with success.")
    return OK


@command(
    "CONFIG RESETSTAT",
    arity=2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.0.0",
    complexity="O(1)",
    summary="Starts the counters of INFO again.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:ALL_SUCCEEDED",
)
def config_resetstat(client: Client, args: Args) -> Reply:
    client.server.reset_stats()
    return OK


declare_help(command, "CONFIG", since="5.0.0")
