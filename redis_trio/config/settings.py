"""What every Config can do: look parameters up, change them all or not at all, tell who listens.

`Config` (parameters.py) is the table of parameters; this is the machinery under it.

1. `change` applies everything or nothing: hooks run after all values are set, and when one of them
   refuses, the old values come back and the hooks run again.
2. A hook is called without arguments, reads what it needs from the Config, and refuses by raising
   ConfigError. A hook of several parameters runs once for each change.

Source: Redis config.c configSetCommand.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Self, TypeAlias

from redis_trio.config.kinds import (
    DENY_LOADING,
    IMMUTABLE,
    PROTECTED,
    ConfigError,
    Parameter,
    decode,
    encode,
)
from redis_trio.protocol.request import split_inline

AnyParameter: TypeAlias = Parameter[Any]
_log: Final = logging.getLogger("redis_trio")

Hook: TypeAlias = Callable[[], None]
Option: TypeAlias = "str | int | bytes | os.PathLike[str] | Sequence[Option]"
"""A value as a Python program gives it."""


class UnknownParameterError(ConfigError):
    """There is no parameter of this name."""


class LoadingError(ConfigError):
    """The parameter cannot be changed while data is loaded."""


class Settings:
    """The values of one server's parameters, and what else redis.conf says.

    Attributes:
      parameters: every parameter, by its name and by its alias.
      owns_process: whether the process belongs to this server alone, so that it may change the
        working directory.
      config_file: absolute path of redis.conf, None if there is none.
      renamed_commands: (name, new name) of each rename-command, in order; a command whose new name
        is empty is removed.
      users: (name, rules) of each `user` line.
      user_lines: returns what CONFIG REWRITE writes in their place; None: they stay.
    """

    parameters: ClassVar[dict[str, AnyParameter]] = {}
    _defaults: ClassVar[dict[str, object]] = {}

    def __init_subclass__(cls) -> None:
        declared = [item for item in vars(cls).values() if isinstance(item, Parameter)]
        cls.parameters = {}
        for parameter in declared:
            cls.parameters[parameter.name] = parameter
            if parameter.alias:
                cls.parameters[parameter.alias] = parameter
        cls._defaults = {parameter.attribute: parameter.default for parameter in declared}

    def __init__(self, *, owns_process: bool = False) -> None:
        self.__dict__.update(self._defaults)
        self.owns_process = owns_process
        self.config_file: str | None = None
        self.renamed_commands: list[tuple[str, str]] = []
        self.users: list[tuple[bytes, list[bytes]]] = []
        self.user_lines: Callable[[], list[str]] | None = None
        self._hooks: dict[str, list[Hook]] = {}

    @classmethod
    def from_options(cls, options: Mapping[str, Option]) -> Self:
        """Return a Config with some values given by a Python program.

        Args:
          options: values by parameter name, with hyphens or underscores. A value is a str, int,
            bool, bytes or path; or, for a parameter of several words, a sequence of these, or one
            str as it would stand in redis.conf.

        Raises:
          ConfigError: there is no such parameter, or its value is refused.
        """
        settings = cls()
        for name, value in options.items():
            parameter = settings.find(name.replace("_", "-"))
            if parameter is None:
                raise UnknownParameterError(settings._unknown(name))
            try:
                parameter.set(settings, _words(parameter, value))
            except ConfigError as exc:
                raise ConfigError(exc.reason, name) from None
        return settings

    def _unknown(self, name: str) -> str:
        import difflib

        known = [p.attribute for p in self.parameters.values()]
        close = difflib.get_close_matches(name.replace("-", "_"), known, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"there is no configuration parameter {name!r}{hint}"

    def find(self, name: str) -> AnyParameter | None:
        """Return the parameter of this name or alias, in any case of letters."""
        return self.parameters.get(name.lower())

    def text(self, name: str) -> str:
        """Return the value of a parameter as CONFIG GET prints it."""
        return self.parameters[name].text(self)

    def subscribe(self, names: str | Iterable[str], hook: Hook) -> Callable[[], None]:
        """Have a hook called after each change of a parameter, or of any of several.

        Returns:
          The function that ends it.
        """
        listened = [names] if isinstance(names, str) else list(names)
        for name in listened:
            self._hooks.setdefault(self.parameters[name].name, []).append(hook)

        def stop() -> None:
            for name in listened:
                self._hooks[self.parameters[name].name].remove(hook)

        return stop

    def change(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        allow_protected: bool = True,
        loading: bool = False,
    ) -> None:
        """Change parameters as CONFIG SET does: all of them, or none.

        Raises:
          UnknownParameterError: its `name` is no parameter.
          LoadingError: it cannot be changed while data is loaded, which it is.
          ConfigError: it cannot be changed, or not to this value; or a hook refused.
        """
        chosen = self._choose(pairs, allow_protected, loading)
        old = [(parameter, parameter.read(self)) for _, parameter, _ in chosen]
        hooks: dict[Hook, str] = {}  # and the name of the parameter that called for each
        name = ""
        try:
            for name, parameter, words in chosen:
                if parameter.set(self, words):
                    for hook in self._hooks.get(parameter.name, ()):
                        hooks.setdefault(hook, name)
        except ConfigError as exc:
            _restore(self, old)
            raise ConfigError(exc.reason, name) from None
        try:
            for hook, asked_by in hooks.items():
                name = asked_by
                hook()
        except Exception as exc:
            _restore(self, old)
            self._undo(list(hooks))
            if isinstance(exc, ConfigError):
                raise ConfigError(exc.reason, name) from None
            raise

    def _choose(
        self, pairs: Sequence[tuple[str, str]], allow_protected: bool, loading: bool
    ) -> list[tuple[str, AnyParameter, list[str]]]:
        """Find the parameters and check that all of them may be changed."""
        chosen: dict[str, tuple[str, AnyParameter, list[str]]] = {}
        for name, value in pairs:
            parameter = self.find(name)
            if parameter is None:
                raise UnknownParameterError("unknown", name)
            if parameter.flags & IMMUTABLE:
                raise ConfigError("can't set immutable config", name)
            if parameter.flags & PROTECTED and not allow_protected:
                raise ConfigError("can't set protected config", name)
            if parameter.flags & DENY_LOADING and loading:
                raise LoadingError("loading", name)
            if name.lower() in chosen:
                raise ConfigError("duplicate parameter", name)
            words = [value]
            if parameter.several:
                words = value.split(" ") if value else []
            chosen[name.lower()] = (name.lower(), parameter, words)
        return list(chosen.values())

    def _undo(self, hooks: list[Hook]) -> None:
        """Run hooks again after the old values have come back, which nobody can refuse."""
        for hook in hooks:
            try:
                hook()
            except ConfigError as exc:
                _log.warning("Failed applying restored failed CONFIG SET command: %s", exc)


def _restore(settings: Settings, old: list[tuple[AnyParameter, Any]]) -> None:
    for parameter, value in old:
        parameter.store(settings, value)


def _words(parameter: AnyParameter, value: Option) -> list[str]:
    """Return a Python value as the words of a line in redis.conf."""
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, int):
        return [str(value)]
    if isinstance(value, bytes):
        return [decode(value)]
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        if not parameter.several or not text:
            return [text]
        words = split_inline(encode(text))
        if words is None:
            raise ConfigError("unbalanced quotes")
        return [decode(word) for word in words]
    return [word for item in value for word in _words(parameter, item)]
