"""The grammar of a command's arguments, in one readable line: text to the nodes of COMMAND DOCS.

The line reads like the documentation of Redis:

    key value [NX | XX]@2.6.12 [EX seconds | PX milliseconds | KEEPTTL@6.0.0]:expiration

- `name` is an argument, `WORD` (or a sign, or anything in single quotes) a token. `WORD name` and
  `WORD (...)` are an argument with a token; a token with no name behind it stands for itself.
- `(a b)` is a block, `<a | b>` a choice, `[...]` something optional: one item, a block of several,
  or a choice. What stands behind a bracket describes what is in it, as one thing.
- `name...` may be repeated; in `WORD... name` the token is repeated too.
- Behind an item, in any order: `:integer` its type, or the name of a group or token; `@6.2.0` since
  when it exists, `!6.2.0` since when it is deprecated, `#1` its key spec, `#-` none, `/text` how it
  is shown.

Only what cannot be guessed is written: types follow from usual names (`NAME_TYPES`), the name of a
group from its token or its first item (`GROUP_NAMES`), a token's name is the token in lower case,
and the n-th argument that is a key has the n-th key spec.

Source: Redis commands.h redisCommandArg; src/commands/README.md.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

TYPES: Final = ("string", "integer", "double", "key", "pattern", "unix-time")
"""The types that an annotation can name; `pure-token`, `oneof` and `block` are seen."""

_TYPED_NAMES: Final = {
    "integer": (
        "bit bits client-id config-epoch count cursor db decrement destination-db end-slot "
        "entries-added entriesread frequency index index1 index2 len limit maxage milliseconds "
        "min-match-len ms numfields num-matches numkeys numlocal numreplicas offset port protover "
        "rank seconds slot slot-last slot-start start-slot ttl version weight increment end"
    ),
    "double": "timeout radius longitude latitude width height score",
    "key": (
        "key destination source destkey storekey storedistkey newkey key1 key2 keys sourcekey "
        "dst src"
    ),
    "pattern": "pattern by-pattern get-pattern",
    "unix-time": "unix-time-seconds unix-time-milliseconds",
}

NAME_TYPES: Final = {name: kind for kind, names in _TYPED_NAMES.items() for name in names.split()}
"""The type of an argument by its name; all others are strings."""

GROUP_NAMES: Final = {
    "nx": "condition",
    "asc": "order",
    "m": "unit",
    "byte": "unit",
    "left": "where",
    "async": "flush-type",
    "count": "count-block",
    "field": "data",
    "start": "range",
    "offset": "limit",
    "seconds": "expiration",
    "equal": "operator",
    "maxlen": "strategy",
    "normal": "client-type",
}
"""The name of a block or choice without a token, by the name of its first item."""

_LEXEME: Final = re.compile(r"[\[(<|]|[\])>][^\s\[\]()<>|]*|(?:'[^']*'|[^\s\[\]()<>|'])+")
"""A bracket, a closing one with its annotations, or a word with its annotations."""

_HEAD: Final = re.compile(r"'[^']*'|(?:(?!\.\.\.)[^:@#!/])*")
_ANNOTATION: Final = re.compile(r"\.\.\.|/.*|[:@#!](?:(?!\.\.\.)[^:@#!/])+")
_CLOSING: Final = {"(": ")", "<": ">", "[": "]"}


class Argument:
    """An argument of a command, as COMMAND DOCS tells it.

    Attributes:
      token: the word before it, or which it is if `type` is `pure-token`; None if there is none.
      multiple_token: whether the token is repeated with each repetition.
      key_spec_index: which key spec of the command finds it, -1 if none does.
      display_text: how it is shown; the name if nothing else is said.
      arguments: what a `block` or `oneof` consists of.
    """

    __slots__ = (
        "arguments",
        "deprecated_since",
        "display_text",
        "key_spec_index",
        "multiple",
        "multiple_token",
        "name",
        "optional",
        "since",
        "token",
        "type",
    )

    def __init__(self, name: str, type_: str) -> None:
        self.name = name
        self.type = type_
        self.token: str | None = None
        self.optional = False
        self.multiple = False
        self.multiple_token = False
        self.since = ""
        self.deprecated_since = ""
        self.key_spec_index = -1
        self.display_text = ""
        self.arguments: list[Argument] = []

    @property
    def is_group(self) -> bool:
        """Whether it consists of other arguments."""
        return self.type == "block" or self.type == "oneof"


@cache
def parse_syntax(text: str) -> list[Argument]:
    """Parse the grammar of a command's arguments. The result is kept, and must not be changed.

    All commands together take 20 ms, which COMMAND DOCS should cost its server only once.

    Raises:
      ValueError: the text is not well-formed.
    """
    parser = _Parser(text)
    items, _ = parser.items("")
    return items


class _Parser:
    """Reads a syntax text by recursive descent."""

    __slots__ = ("key_specs", "lexemes", "pos", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.lexemes: list[str] = _LEXEME.findall(text)
        self.pos = 0
        self.key_specs = 0  # the key spec of the next key

    def items(self, closing: str) -> tuple[list[Argument], bool]:
        """Read up to the closing bracket, which is left; also tell whether it is a choice."""
        items = [self._item()] if self._peek()[:1] != closing else []
        choice = self._peek() == "|"
        while self._peek()[:1] != closing:
            if choice:
                if self._peek() != "|":
                    raise self._error("a block inside a choice needs brackets")
                self.pos += 1
            items.append(self._item())
        return items, choice

    def _peek(self) -> str:
        return self.lexemes[self.pos] if self.pos < len(self.lexemes) else ""

    def _error(self, what: str) -> ValueError:
        return ValueError(f"{what} at {self._peek()!r} in {self.text!r}")

    def _item(self) -> Argument:
        """Read one argument with its token and its annotations."""
        lexeme = self._peek()
        if lexeme in _CLOSING:
            return self._group(lexeme, "")
        match = _HEAD.match(lexeme)
        if match is None or not match.end() or lexeme[0] in "|)>]":
            raise self._error("argument expected")
        head = match.group()
        annotations: list[str] = _ANNOTATION.findall(lexeme[match.end() :])
        self.pos += 1
        if head[0].islower() or (annotations and annotations[0][1:] in TYPES):
            return self._annotate(Argument(head, ""), annotations)
        token = head.strip("'")
        following = self._peek()
        repeated = annotations == ["..."]
        if (repeated or not annotations) and (following[:1].islower() or following in ("(", "<")):
            item = self._group(following, token) if following in _CLOSING else self._item()
            item.token = token
            if repeated:
                item.multiple = item.multiple_token = True
            return item
        item = Argument(token.lower(), "pure-token")
        item.token = token
        return self._annotate(item, annotations)

    def _group(self, opening: str, token: str) -> Argument:
        """Read what stands in brackets, the annotations behind them included."""
        self.pos += 1
        items, choice = self.items(_CLOSING[opening])
        if not items:
            raise self._error("empty brackets")
        annotations: list[str] = _ANNOTATION.findall(self._peek()[1:])
        self.pos += 1
        if opening == "[" and len(items) == 1:
            item = items[0]
        else:
            name = token.lower() if token else GROUP_NAMES.get(items[0].name, "")
            item = Argument(name, "oneof" if choice or opening == "<" else "block")
            item.arguments = items
        item.optional = item.optional or opening == "["
        return self._annotate(item, annotations)

    def _annotate(self, item: Argument, annotations: list[str]) -> Argument:
        """Set what the annotations say, then what follows from the name."""
        guess = item.type == ""
        for annotation in annotations:
            mark, word = annotation[0], annotation[1:]
            if annotation == "...":
                item.multiple = True
            elif mark == ":" and word in TYPES:
                item.type = word
            elif mark == ":":
                item.name = word
            elif mark == "@":
                item.since = word
            elif mark == "!":
                item.deprecated_since = word
            elif mark == "/":
                item.display_text = word
            else:
                item.key_spec_index = -1 if word == "-" else int(word)
        if guess:
            item.type = item.type or NAME_TYPES.get(item.name, "string")
            if item.type == "key":
                self._number(item, annotations)
        if not item.name:
            raise self._error("a group without a name")
        if not item.display_text and not item.is_group:
            item.display_text = item.name
        return item

    def _number(self, item: Argument, annotations: list[str]) -> None:
        """Give a key its key spec, unless an annotation has done so."""
        if not [a for a in annotations if a[0] == "#"]:
            item.key_spec_index = self.key_specs
        self.key_specs = max(self.key_specs, item.key_spec_index + 1)


def usage(arguments: list[Argument]) -> str:
    """Return arguments as HELP shows them: `<key> [NX|XX] [EX <seconds>] [<member> ...]`."""
    return " ".join(_usage_of(argument) for argument in arguments)


def _usage_of(argument: Argument) -> str:
    if argument.type == "oneof":
        shown = "|".join(_usage_of(item) for item in argument.arguments)
        if argument.token is not None or not argument.optional:
            shown = f"({shown})"
    elif argument.type == "block":
        shown = usage(argument.arguments)
    elif argument.type == "pure-token":
        shown = ""
    else:
        shown = f"<{argument.display_text}>"
    if argument.multiple and not argument.multiple_token:
        bare = argument.optional and argument.token is None
        shown = f"{shown} ..." if bare else f"{shown} [{shown} ...]"
    if argument.token is not None:
        shown = f"{argument.token} {shown}".rstrip()
    if argument.multiple_token:
        shown += f" [{shown} ...]"
    return f"[{shown}]" if argument.optional else shown
