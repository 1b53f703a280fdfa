"""The directives of the reference pages: what the source declares, as text.

- `redis-commands`: every command of the command table, group by group;
- `redis-parameters`: every parameter of the configuration that has an effect, or, with the option
  `:ignored:`, those that cannot have one here, or, with `:waiting:`, those of without_effect.py;
- `redis-changelog`: CHANGELOG.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from pygments.lexer import RegexLexer, bygroups
from pygments.token import Generic, Keyword, Text
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from without_effect import WITHOUT_EFFECT

import redis_trio.commands  # noqa: F401  (declares every command)
from redis_trio.command import DECLARATIONS, FLAG_NAMES, Declaration
from redis_trio.config import Config
from redis_trio.config.kinds import IMMUTABLE, PROTECTED

# What annotates an item for COMMAND DOCS alone: `:integer`, `@6.2.0`, `!6.2.0`, `#1`, `/text`.
_ANNOTATION = re.compile(r"(?<=[\w\]\)>.'\"])[:@!#/][\w.:#@!/-]+")
_WAITING = {name for names in WITHOUT_EFFECT.values() for name in names.split()}
_SHOWN_AS = re.compile(r"[a-z][\w-]*(?:[:@!#][\w.-]+)*/([\w:-]+)")


class SessionLexer(RegexLexer):
    """Colours `redis` blocks: a session as redis-cli shows it, with `>` as its prompt."""

    name = "redis"
    tokens: ClassVar[dict[str, Any]] = {
        "root": [
            (r"^(> )(\S+)(.*\n)", bygroups(Generic.Prompt, Keyword, Text)),
            (r"^\(error\).*\n", Generic.Error),
            (r".*\n", Generic.Output),
        ]
    }


def readable_syntax(syntax: str) -> str:
    """Return a command's syntax as people know it, without what is meant for COMMAND DOCS."""
    shown = _SHOWN_AS.sub(lambda match: match[1].replace(":", "\0"), syntax)
    plain = _ANNOTATION.sub("", shown).replace("\0", ":").replace("'", "")
    return plain.replace("<", "(").replace(">", ")")


def flag_names(declaration: Declaration) -> list[str]:
    """Return the flags of a command as COMMAND INFO names them, nearly."""
    return [name for name, bit in FLAG_NAMES.items() if declaration.flags & bit]


def group_title(group: str) -> str:
    """Return the heading of a group."""
    return group.replace("-", " ").replace("_", " ").capitalize()


def is_container(name: str) -> bool:
    """Whether a command only has sub-commands."""
    return DECLARATIONS[name].handler is None


def _text_of(reason: str) -> str:
    return reason.replace("*", "\\*").replace("|", "\\|").replace("_", "\\_").replace("`", "\\`")


class Commands(SphinxDirective):
    """All commands, by group and name."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        lines: list[str] = []
        for group in sorted({declaration.group for declaration in DECLARATIONS.values()}):
            lines += ["", group_title(group), "-" * len(group_title(group)), ""]
            for name in sorted(DECLARATIONS):
                if DECLARATIONS[name].group == group and not is_container(name):
                    lines += self._entry(DECLARATIONS[name])
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)

    def _entry(self, declaration: Declaration) -> Iterator[str]:
        usage = f"{declaration.name} {readable_syntax(declaration.syntax)}".strip()
        yield f".. index:: single: {declaration.name}"
        yield ""
        yield f".. _command-{declaration.name.lower().replace(' ', '-')}:"
        yield ""
        yield f"``{usage}``"
        yield f"   {_text_of(declaration.summary)}"
        yield ""
        facts = f"Since {declaration.since}. {_text_of(declaration.complexity)}"
        yield f"   {facts if facts.endswith('.') else facts + '.'}"
        if declaration.deprecated_since:
            yield (
                f"   Deprecated since {declaration.deprecated_since}: use "
                f"{_text_of(declaration.replaced_by)}."
            )
        if flags := flag_names(declaration):
            yield f"   Flags: {_text_of(', '.join(flags))}."
        yield ""


class Parameters(SphinxDirective):
    """The parameters of the configuration."""

    option_spec: ClassVar[dict[str, Any]] = {
        "ignored": directives.flag,
        "waiting": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """Return a definition list."""
        if "waiting" in self.options:
            return self._waiting()
        defaults = Config()
        lines: list[str] = []
        for name, parameter in sorted(Config.parameters.items()):
            if name != parameter.name or bool(parameter.ignored) != ("ignored" in self.options):
                continue
            if name in _WAITING:
                continue
            lines.append(f"``{name}``")
            if parameter.ignored:
                lines += [f"   {_text_of(parameter.ignored)}", ""]
                continue
            value = "" if name == "dir" else parameter.text(defaults)
            where = (
                "the working directory" if name == "dir" else f"``{value}``" if value else "empty"
            )
            lines.append(f"   Takes {_text_of(parameter.takes)}. Default: {where}.")
            if parameter.flags & IMMUTABLE:
                lines.append("   Fixed when the server starts.")
            if parameter.flags & PROTECTED:
                lines.append("   CONFIG SET needs ``enable-protected-configs``.")
            if parameter.unsupported:
                needs = _text_of(parameter.unsupported)
                lines.append(f"   Other values are refused: {needs} is not supported.")
            if parameter.alias:
                lines.append(f"   Also called ``{parameter.alias}``.")
            lines.append("")
        return self.parse_text_to_nodes("\n".join(lines))

    def _waiting(self) -> list[nodes.Node]:
        """Return the names alone, under their headings."""
        lines: list[str] = []
        for heading, names in WITHOUT_EFFECT.items():
            shown = ", ".join(f"``{name}``" for name in sorted(names.split()))
            lines += [heading, f"   {shown}", ""]
        return self.parse_text_to_nodes("\n".join(lines))


class Changelog(SphinxDirective):
    """CHANGELOG.md, which needs no more than headings, lists and code."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        path = Path(self.env.srcdir).parent / "CHANGELOG.md"
        self.env.note_dependency(str(path))
        lines: list[str] = []
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            text = re.sub(r"`([^`]+)`", r"``\1``", line)
            if text.startswith("## "):
                text = text.removeprefix("## ")
                text += "\n" + "-" * len(text)
            lines.append(text)
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directives."""
    app.add_lexer("redis", SessionLexer)
    app.add_directive("redis-commands", Commands)
    app.add_directive("redis-parameters", Parameters)
    app.add_directive("redis-changelog", Changelog)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
