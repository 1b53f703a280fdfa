"""The log of a standalone server, in Redis's format and levels.

    12345:M 22 Nov 2026 19:03:07.123 * Ready to accept connections tcp

The server logs to a stdlib logger and never looks at handlers. An application that embeds it
decides itself what becomes of the records; the standalone process attaches the handlers made here:
standard output or a file, and the system's log.

Redis's `notice` is INFO and its `warning` WARNING; `verbose` is a level of its own between DEBUG
and INFO, `nothing` one above all.

Source: Redis server.c serverLogRaw.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redis_trio.config import Config

VERBOSE: Final = 15
NOTICE: Final = logging.INFO
NOTHING: Final = logging.CRITICAL + 10

LEVELS: Final = {
    "debug": logging.DEBUG,
    "verbose": VERBOSE,
    "notice": NOTICE,
    "warning": logging.WARNING,
    "nothing": NOTHING,
}
"""The values of `loglevel`."""

_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"

logging.addLevelName(VERBOSE, "VERBOSE")


class RedisFormatter(logging.Formatter):
    """Writes a record as a line of Redis's log.

    Args:
      role: returns M for a master, S for a replica, C before the server runs.
    """

    def __init__(self, role: Callable[[], str]) -> None:
        super().__init__()
        self._role = role

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        moment = time.localtime(record.created)
        month = _MONTHS[moment.tm_mon * 4 - 4 : moment.tm_mon * 4 - 1]
        level = record.levelno
        sign = "#" if level >= logging.WARNING else "*" if level >= NOTICE else "-"
        if level < VERBOSE:
            sign = "."
        return (
            f"{os.getpid()}:{self._role()} {moment.tm_mday:02d} {month} "
            f"{moment.tm_year} {moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d}."
            f"{int(record.msecs):03d} {sign} {record.message}"
        )


class LogFileHandler(logging.Handler):
    """Appends each record to a file that it opens anew, so that the file may be moved away."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = os.path.abspath(path)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
            with open(self._path, "ab") as file:
                file.write(line.encode("utf-8", "backslashreplace"))
        except Exception:  # noqa: BLE001 (as stdlib's handlers do)
            self.handleError(record)


class SyslogHandler(logging.Handler):
    """Sends each record, without Redis's prefix, to the system's log."""

    def __init__(self, ident: str, facility: str) -> None:
        import syslog

        super().__init__()
        self._syslog = syslog
        options = syslog.LOG_PID | syslog.LOG_NDELAY | syslog.LOG_NOWAIT
        syslog.openlog(ident, options, int(getattr(syslog, f"LOG_{facility.upper()}")))

    def emit(self, record: logging.LogRecord) -> None:
        syslog = self._syslog
        level = record.levelno
        priority = syslog.LOG_DEBUG
        if level >= logging.WARNING:
            priority = syslog.LOG_WARNING
        elif level >= NOTICE:
            priority = syslog.LOG_NOTICE
        elif level >= VERBOSE:
            priority = syslog.LOG_INFO
        syslog.syslog(priority, self.format(record).encode("utf-8", "backslashreplace").decode())


def attach_handlers(
    logger: logging.Logger,
    config: Config,
    role: Callable[[], str],
    stream: IO[str] | None = None,
) -> Callable[[], None]:
    """Have a logger write where the configuration says, at its level and when that changes.

    Args:
      role: see RedisFormatter.
      stream: in place of standard output.

    Returns:
      The function that undoes it.
    """
    handlers: list[logging.Handler] = []
    if config.logfile:
        handlers.append(LogFileHandler(config.logfile))
    else:
        handlers.append(logging.StreamHandler(stream or sys.stdout))
    handlers[0].setFormatter(RedisFormatter(role))
    if config.syslog_enabled:
        handlers.append(SyslogHandler(config.syslog_ident, config.syslog_facility))
    for handler in handlers:
        logger.addHandler(handler)
    logger.propagate = False
    old_level = logger.level

    def set_level() -> None:
        logger.setLevel(LEVELS[config.loglevel])

    set_level()
    unsubscribe = config.subscribe("loglevel", set_level)

    def detach() -> None:
        unsubscribe()
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
        logger.propagate = True
        logger.setLevel(old_level)

    return detach
