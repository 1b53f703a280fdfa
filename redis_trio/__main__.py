"""The program: redis-server's command line around one standalone server.

Everything that takes long to import is imported when it is needed, so that `--version` and a bad
configuration answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

    from redis_trio.cli import Invocation
    from redis_trio.config import Config
    from redis_trio.process import Supervisor
    from redis_trio.server import RedisServer


def main(words: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
      words: the command line behind the program's name; None for the real one.

    Returns:
      The exit status.
    """
    if words is None:
        words = sys.argv[1:]
    if words and words[0] == "check":
        from redis_trio.persistence.check.program import check

        return check(words[1:])
    status = _answer(words[0]) if words else None
    if status is None and "--sentinel" in words:
        status = _fail("redis-trio has no Sentinel mode.")
    if status is not None:
        return status
    from redis_trio.cli import parse_arguments

    return _start(parse_arguments(words), configured=bool(words))


def _answer(word: str) -> int | None:
    """Answer a first word that is no option of the server; None if it is one."""
    if word in ("-v", "--version"):
        sys.stdout.write(_version() + "\n")
        return 0
    if word in ("-h", "--help"):
        from redis_trio.cli import USAGE

        sys.stdout.write(USAGE)
        return 0
    if word == "--test-memory":
        return _fail("redis-trio cannot test memory; use memtest86 or memtester.")
    if word == "--check-system":
        return _fail("redis-trio does not fork: there is nothing to check the system for.")
    return None


def _fail(message: str) -> int:
    """Print why the program ends at once; return the exit status for that."""
    sys.stderr.write(message + "\n")
    return 1


def _version() -> str:
    from redis_trio.version import REDIS_VERSION, VERSION

    bits = 64 if sys.maxsize > 2**32 else 32
    return (
        f"Redis server v={REDIS_VERSION} sha=00000000:0 malloc=python bits={bits} "
        f"build=redis-trio-{VERSION}"
    )


def _start(invocation: Invocation, *, configured: bool) -> int:
    """Configure the process and run the server in it; return the exit status."""
    import logging

    from redis_trio.config import Config
    from redis_trio.config.reader import ConfigFileError, FatalError
    from redis_trio.log import attach_handlers
    from redis_trio.process import CannotStart

    log = logging.getLogger("redis_trio")
    config = Config(owns_process=True)
    running = False
    try:
        _configure(config, invocation)
    except ConfigFileError as exc:
        return _fail(str(exc))
    except FatalError as exc:
        attach_handlers(log, config, lambda: "C")
        for line in exc.args:
            log.warning("%s", line)
        return 1

    def role() -> str:
        return "C" if not running else "M" if config.replicaof is None else "S"

    attach_handlers(log, config, role)
    supervisor, daemon = _settle(config, log, configured)
    running = True
    try:
        return _serve(config, log, supervisor, daemon)
    except CannotStart as exc:
        log.warning("%s", exc)
        return 1


def _configure(config: Config, invocation: Invocation) -> None:
    """Read the configuration that the command line names."""
    import os

    from redis_trio.config.reader import load_config

    path = invocation.config_file
    if path is not None:
        config.config_file = os.path.abspath(path)
    if path is None and not invocation.from_stdin and not invocation.options:
        return
    given = sys.stdin.buffer.read() if invocation.from_stdin else b""
    load_config(config, config.config_file, given + b"\n" + invocation.options)


def _settle(config: Config, log: logging.Logger, configured: bool) -> tuple[Supervisor, bool]:
    """Become a daemon if asked to, and say that the server starts.

    Returns the supervisor and whether this is a daemon now.
    """
    import os

    from redis_trio.process import Supervisor, become_daemon
    from redis_trio.version import REDIS_VERSION, VERSION

    supervisor = Supervisor(config, log)
    daemon = config.daemonize and not supervisor.active
    if daemon:
        become_daemon()
    log.info("oO0OoO0OoO0Oo redis-trio is starting oO0OoO0OoO0Oo")
    log.info(
        "redis-trio version=%s, Redis version=%s, bits=%d, pid=%d, just started",
        VERSION,
        REDIS_VERSION,
        64 if sys.maxsize > 2**32 else 32,
        os.getpid(),
    )
    if configured:
        log.info("Configuration loaded")
    else:
        log.warning(
            "Warning: no config file specified, using the default config. In order to specify a "
            "config file use redis-trio /path/to/redis.conf"
        )
    return supervisor, daemon


def _serve(config: Config, log: logging.Logger, supervisor: Supervisor, daemon: bool) -> int:
    """Run the server until it has shut down; return the exit status."""
    from redis_trio import process

    process.ignore_hang_up()
    process.set_locale(config)
    process.raise_open_files_limit(config, log)
    process.watch_maxclients(config, log)
    with process.PidFile(config, log, daemon=daemon):
        process.warn_of_backlog(config, log)
        import trio

        try:
            status = trio.run(_run, config, log, supervisor)
        except KeyboardInterrupt:  # before the server has taken over the signal
            status = 1
        supervisor.stopping()
    if status == 0:
        log.warning("Redis is now ready to exit, bye bye...")
    return status


async def _run(config: Config, log: logging.Logger, supervisor: Supervisor) -> int:
    """Be the server until it has shut down; return the exit status."""
    from redis_trio.acl.file import AclError
    from redis_trio.config import ConfigError
    from redis_trio.persistence.aof import AofError
    from redis_trio.persistence.rdb_file import LoadError
    from redis_trio.server import run_server

    if not config.unixsocket and not ((config.port or config.tls_port) and config.bind):
        log.warning("Configured to not listen anywhere, exiting.")
        return 1
    log.info("Server initialized")
    status = 1
    try:
        if await run_server(config, task_status=_Start(config, log, supervisor)):
            status = 0
    except* OSError as group:
        _report_failure(group, config, log)
    except* (AclError, AofError, LoadError):
        pass  # it has been logged
    except* ConfigError:
        log.warning("Failed to configure TLS. Check logs for more info.")
    return status


class _Start:
    """What happens when the server is ready: the `task_status` of its task."""

    def __init__(self, config: Config, log: logging.Logger, supervisor: Supervisor) -> None:
        self._config = config
        self._log = log
        self._supervisor = supervisor

    def started(self, server: RedisServer | None = None) -> None:
        """Tell everybody, and settle down."""
        from redis_trio.process import OomScore, tune_collector

        assert server is not None
        for kind in server.kinds:
            self._log.info("Ready to accept connections %s", kind)
        self._supervisor.ready()
        score = OomScore(self._config, self._log)
        score.begin()
        server.state.replication.role_observers.append(score.begin)
        tune_collector()


def _report_failure(
    failure: BaseExceptionGroup[OSError] | OSError, config: Config, log: logging.Logger
) -> None:
    """Log why the server cannot listen."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    reason = failure.strerror or str(failure)
    if config.unixsocket and "Unix socket" in reason:
        log.warning("Failed %s", reason)
        log.warning("Failed listening on port 0 (unix), aborting.")
        return
    log.warning("Warning: %s", reason)
    kind, port = "tcp", config.port
    if f":{config.tls_port}: " in reason:
        kind, port = "tls", config.tls_port
    log.warning("Failed listening on port %d (%s), aborting.", port, kind)


if __name__ == "__main__":
    sys.exit(main())
