"""What a server does to the process it has for itself: limits, daemon, pid file, supervision.

An embedded server calls nothing of this: the process belongs to its host.

Source: Redis server.c adjustOpenFilesLimit, daemonize, createPidFile, redisIsSupervised,
setOOMScoreAdj, setupSignalHandlers.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
from typing import Final

from redis_trio.config import Config, ConfigError
from redis_trio.log import VERBOSE

RESERVED_FDS: Final = 32
"""File descriptors for everything that is no client."""

DEFAULT_PIDFILE: Final = "/var/run/redis.pid"
_OOM_SCORE_FILE: Final = "/proc/self/oom_score_adj"
_SOMAXCONN_FILE: Final = "/proc/sys/net/core/somaxconn"


class CannotStart(Exception):
    """The process cannot be what the configuration asks for; `str()` is a line for the log."""


def ignore_hang_up() -> None:
    """Let the server outlive the terminal that it was started from."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def raise_open_files_limit(config: Config, log: logging.Logger) -> None:
    """Have the system allow a file descriptor for each of `maxclients`, or lower that.

    Raises:
      CannotStart: there is not even one for a client.
    """
    try:
        import resource
    except ImportError:  # not a POSIX system: no such limit
        return
    wanted = config.maxclients + RESERVED_FDS
    limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= wanted:
        return
    reached, reason = _raise_limit(limit, hard_limit, wanted)
    if reached >= wanted:
        log.info(
            "Increased maximum number of open files to %d (it was originally set to %d).",
            wanted,
            limit,
        )
        return
    if reached <= RESERVED_FDS:
        raise CannotStart(
            f"Your current 'ulimit -n' of {limit} is not enough for the server to start. "
            f"Please increase your open file limit to at least {wanted}. Exiting."
        )
    log.warning(
        "You requested maxclients of %d requiring at least %d max file descriptors.",
        config.maxclients,
        wanted,
    )
    log.warning(
        "Server can't set maximum open files to %d because of OS error: %s.", wanted, reason
    )
    config.maxclients = reached - RESERVED_FDS
    log.warning(
        "Current maximum open files is %d. maxclients has been reduced to %d to compensate for "
        "low ulimit. If you need higher maxclients increase 'ulimit -n'.",
        reached,
        config.maxclients,
    )


def _raise_limit(limit: int, hard_limit: int, wanted: int) -> tuple[int, str]:
    """Raise the limit to `wanted`, or as far as it goes; return how far, and why no further."""
    import resource

    reason = ""
    for target in (wanted, hard_limit):
        if limit < target <= wanted:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (target, max(target, hard_limit)))
            except (OSError, ValueError) as exc:
                reason = getattr(exc, "strerror", None) or "Operation not permitted"
            else:
                return target, reason
    return limit, reason


def watch_maxclients(config: Config, log: logging.Logger) -> None:
    """Refuse a CONFIG SET maxclients that the system cannot bear."""

    def check() -> None:
        wanted = config.maxclients
        try:
            raise_open_files_limit(config, log)
        except CannotStart as exc:
            raise ConfigError(str(exc)) from None
        if config.maxclients != wanted:
            raise ConfigError(
                "The operating system is not able to handle the specified number of clients, "
                f"try with {config.maxclients}"
            )

    config.subscribe("maxclients", check)


def warn_of_backlog(config: Config, log: logging.Logger) -> None:
    """Warn if the system cuts the backlog of listening sockets down."""
    try:
        with open(_SOMAXCONN_FILE) as file:
            somaxconn = int(file.read())
    except (OSError, ValueError):
        return
    if 0 < somaxconn < config.tcp_backlog:
        log.warning(
            "WARNING: The TCP backlog setting of %d cannot be enforced because %s is set to the "
            "lower value of %d.",
            config.tcp_backlog,
            _SOMAXCONN_FILE,
            somaxconn,
        )


def set_locale(config: Config) -> None:
    """Sort text as `locale-collate` says, now and when it changes.

    Raises:
      CannotStart: there is no such locale.
    """
    import locale

    def apply() -> None:
        try:
            locale.setlocale(locale.LC_COLLATE, config.locale_collate)
        except locale.Error:
            raise ConfigError("Invalid locale name") from None

    try:
        apply()
    except ConfigError:
        raise CannotStart("Failed to configure LOCALE for invalid locale name.") from None
    config.subscribe("locale-collate", apply)


class OomScore:
    """Keeps the score of the kernel's out-of-memory killer as oom-score-adj says.

    Attributes:
      base: the score that the process had before, None while it has that.
    """

    def __init__(self, config: Config, log: logging.Logger) -> None:
        self._config = config
        self._log = log
        self.base: int | None = None
        config.subscribe(["oom-score-adj", "oom-score-adj-values"], self.apply)

    def begin(self) -> None:
        """Set the score at start, or in another role, where a failure is no more than logged."""
        try:
            self.apply()
        except ConfigError:
            return

    def apply(self) -> None:
        """Set the score. Raises ConfigError if the system refuses."""
        config = self._config
        mode = config.oom_score_adj
        if mode == "no" and self.base is None:
            return
        try:
            if self.base is None:
                with open(_OOM_SCORE_FILE) as file:
                    self.base = int(file.read())
            score = self.base
            if mode == "no":
                self.base = None
            else:
                value = config.oom_score_adj_values[0 if config.replicaof is None else 1]
                score = value if mode == "absolute" else score + value
            with open(_OOM_SCORE_FILE, "w") as file:
                file.write(f"{max(-1000, min(1000, score))}\n")
        except OSError as exc:
            self._log.warning("Unable to write oom_score_adj: %s", exc.strerror)
            raise ConfigError("Failed to set current oom_score_adj. Check server logs.") from None


def become_daemon() -> None:
    """Leave the terminal and go on in a child process; standard streams lead nowhere.

    To be called before there is any thread or loop.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    if null > 2:
        os.close(null)


class Supervisor:
    """The supervisor that started the process, if the configuration says that there is one.

    Attributes:
      active: whether there is; the process then does not become a daemon.
    """

    def __init__(self, config: Config, log: logging.Logger) -> None:
        self._log = log
        self.active = False
        self._systemd = False
        mode = config.supervised
        if mode == "auto":
            if "UPSTART_JOB" in os.environ:
                mode = "upstart"
            elif "NOTIFY_SOCKET" in os.environ:
                mode = "systemd"
        if mode == "systemd":
            self._systemd = self.active = self.tell("STATUS=Redis is loading...\n")
        elif mode == "upstart":
            self.active = self._stop_for_upstart()
        if self._systemd:
            log.info(
                "Supervised by systemd. Please make sure you set appropriate values for "
                "TimeoutStartSec and TimeoutStopSec in your service unit."
            )
        elif mode != config.supervised:
            log.log(VERBOSE, "%s supervision detected.", mode)

    def _stop_for_upstart(self) -> bool:
        """Tell upstart that the process is ready, which is what being stopped means to it."""
        if "UPSTART_JOB" not in os.environ:
            self._log.warning("upstart supervision requested, but UPSTART_JOB not found!")
            return False
        self._log.info("supervised by upstart, will stop to signal readiness.")
        os.kill(os.getpid(), signal.SIGSTOP)
        del os.environ["UPSTART_JOB"]
        return True

    def ready(self) -> None:
        """Say that the server accepts connections."""
        if self._systemd:
            self.tell("STATUS=Ready to accept connections\n")
            self.tell("READY=1\n")

    def stopping(self) -> None:
        """Say that the server is about to end."""
        if self._systemd:
            self.tell("STOPPING=1\n")

    def tell(self, message: str) -> bool:
        """Send systemd a message (sd_notify); return whether it was sent."""
        address = os.environ.get("NOTIFY_SOCKET", "")
        if not address:
            self._log.warning("systemd supervision error: NOTIFY_SOCKET not found!")
            return False
        if address.startswith("@"):
            address = "\0" + address[1:]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.sendto(message.encode(), address)
            except OSError as exc:
                self._log.warning("systemd supervision error: sd_notify: %s", exc.strerror)
                return False
        return True


class PidFile:
    """The file with the process id, if the configuration asks for one, while it is entered."""

    def __init__(self, config: Config, log: logging.Logger, *, daemon: bool) -> None:
        path = config.pidfile or (DEFAULT_PIDFILE if daemon else "")
        self._path = os.path.abspath(path) if path else ""
        self._log = log

    def __enter__(self) -> None:
        if not self._path:
            return
        try:
            with open(self._path, "w") as file:
                file.write(f"{os.getpid()}\n")
        except OSError as exc:
            self._log.warning("Failed to write PID file: %s", exc.strerror)

    def __exit__(self, *exc_info: object) -> None:
        if not self._path:
            return
        self._log.info("Removing the pid file.")
        try:
            os.unlink(self._path)
        except OSError:
            return  # it could not be written, or somebody else has removed it


def tune_collector() -> None:
    """Have the garbage collector look at less, less often: the data of a server is no garbage.

    What exists at start stays out of every collection; commands make no cycles, so that
    collections of new objects can wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
