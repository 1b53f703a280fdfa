"""redis.conf: reading a file, standard input and command-line options into a Config.

They are one text, in this order, in which the last mention of a parameter counts. A line is a
parameter with its words, quoted as in inline commands, or one of the directives `include`,
`rename-command` and `user`. What is wrong stops the reading, with the report that Redis prints.

Source: Redis config.c loadServerConfig, loadServerConfigFromString.
"""

from __future__ import annotations

import os
from typing import Final

from redis_trio.config.kinds import ConfigError, decode, encode
from redis_trio.config.parameters import Config
from redis_trio.config.settings import AnyParameter
from redis_trio.config.specials import Save
from redis_trio.protocol.request import split_inline
from redis_trio.version import REDIS_VERSION

_GONE: Final = ("list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands")
"""Parameters of older Redis versions, which are accepted and forgotten."""

WRONG_NUMBER: Final = "wrong number of arguments"
BAD_DIRECTIVE: Final = "Bad directive or wrong number of arguments"
_BLANKS: Final = b" \t\r\n"


class ConfigFileError(Exception):
    """A line of the configuration is refused; `str()` is the report for standard error."""


class FatalError(Exception):
    """The server cannot start; `args` are lines for the log."""


def load_config(config: Config, path: str | None = None, text: bytes = b"") -> None:
    """Read a file, if there is one, and then more text into a Config.

    Args:
      path: redis.conf, or a pattern with wildcards for any number of files.
      text: what stands behind the file: standard input, a newline, options.

    Raises:
      ConfigFileError: a line is refused.
      FatalError: a file cannot be read.
    """
    _Reader(config).read(path, text)


class _Reader:
    """One reading of a configuration, with all files that it includes.

    Attributes:
      save_seen: whether there was a save line. The first one replaces the default, others add.
      reading: whether that is so. Behind an `include` it is not: there Redis forgets that it is
        reading a file, and each save line replaces those before it.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.save_seen = False
        self.reading = False

    def read(self, path: str | None, text: bytes) -> None:
        """Read a file or files and the text behind them."""
        content = b"".join(_read_file(name) for name in _find(path)) if path else b""
        self.reading = True
        lines = [line.strip(_BLANKS) for line in (content + text).split(b"\n")]
        for number, line in enumerate(lines, 1):
            if not line or line.startswith(b"#"):
                continue
            try:
                self._line(line)
            except ConfigError as exc:
                raise ConfigFileError(_report(exc.reason, number, line)) from None
        try:
            self._check_logfile()
        except ConfigError as exc:
            raise ConfigFileError(_report(exc.reason)) from None
        self.reading = False

    def _line(self, line: bytes) -> None:
        words = _split(line)
        if words is None:
            raise ConfigError("Unbalanced quotes in configuration line")
        if not words:
            return
        name = words[0].lower()
        parameter = self.config.find(name)
        if parameter is not None:
            self._set(parameter, words[1:])
        elif not (name in _GONE and len(words) == 2):
            self._directive(name, words[1:])

    def _set(self, parameter: AnyParameter, words: list[str]) -> None:
        """Set a parameter; one word that holds several is taken apart where several may be."""
        if not parameter.several and len(words) != 1:
            raise ConfigError(WRONG_NUMBER)
        if parameter.several and len(words) == 1 and words[0]:
            words = _split(encode(words[0])) or []
        if isinstance(parameter, Save):
            self._save(parameter, words)
        else:
            parameter.set(self.config, words)

    def _save(self, parameter: Save, words: list[str]) -> None:
        """Replace the save points or add to them: see `save_seen` and `reading`."""
        points = parameter.parse(words, self.config)
        if self.reading and self.save_seen and words != [""]:
            points = parameter.read(self.config) + points
        self.save_seen = self.save_seen or self.reading
        parameter.store(self.config, points)

    def _directive(self, name: str, words: list[str]) -> None:
        """Obey a line that is no parameter."""
        if name == "include" and len(words) == 1:
            self.read(words[0], b"")
        elif name == "rename-command" and len(words) == 2:
            self._rename(*words)
        elif name == "user" and words:
            self._user(words)
        elif name == "loadmodule" and words:
            raise FatalError(
                f"Module {words[0]} failed to load: there is no module API",
                f"Can't load module from {words[0]}: server aborting",
            )
        elif "." in name:
            if not words:
                raise ConfigError("Module config specified without value")
            raise FatalError(
                "Module Configuration detected without loadmodule directive or no ApplyConfig "
                "call: aborting"
            )
        elif name == "sentinel":
            raise ConfigError("sentinel directive while not in sentinel mode")
        else:
            raise ConfigError(BAD_DIRECTIVE)

    def _user(self, words: list[str]) -> None:
        """Note a user, if its rules are right."""
        import redis_trio.commands  # noqa: F401  (declares every command)
        from redis_trio.acl.file import define_user

        define_user(self.config, [encode(word) for word in ["user", *words]])

    def _rename(self, name: str, new_name: str) -> None:
        """Note a new name for a command, if there is the command and the name is free."""
        names = _command_names(self.config)
        if name.lower() not in names:
            raise ConfigError("No such command in rename-command")
        names.remove(name.lower())
        if new_name.lower() in names:
            raise ConfigError("Target command name already exists")
        self.config.renamed_commands.append((name, new_name))

    def _check_logfile(self) -> None:
        """Open the log file once: nobody can be told later that it cannot be written."""
        path = self.config.logfile
        if path:
            try:
                open(path, "ab").close()
            except OSError as exc:
                raise ConfigError(f"Can't open the log file: {exc.strerror}") from None


def _command_names(config: Config) -> set[str]:
    """Return the names of all commands, in lower case, after the renamings so far."""
    import redis_trio.commands  # noqa: F401  (declares every command)
    from redis_trio.command import DECLARATIONS

    names = {name.lower() for name in DECLARATIONS if " " not in name}
    for name, new_name in config.renamed_commands:
        names.remove(name.lower())
        if new_name:
            names.add(new_name.lower())
    return names


def _split(line: bytes) -> list[str] | None:
    words = split_inline(line)
    return None if words is None else [decode(word) for word in words]


def _find(path: str) -> list[str]:
    """Return the files that a path means: itself, or those that match its wildcards."""
    if not any(c in path for c in "*?["):
        return [path]
    import glob

    return sorted(glob.glob(path))


def _read_file(path: str) -> bytes:
    try:
        with open(os.fsencode(path), "rb") as file:
            return file.read()
    except OSError as exc:
        raise FatalError(f"Fatal error, can't open config file '{path}': {exc.strerror}") from None


def _report(reason: str, number: int = 0, line: bytes = b"") -> str:
    """Return what Redis prints about a configuration that it refuses."""
    parts = ["", f"*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***"]
    if number:
        parts.append(f"Reading the configuration file, at line {number}")
        parts.append(f">>> '{decode(line)}'")
    parts.append(reason)
    return "\n".join(parts)
