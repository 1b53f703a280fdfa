"""The names that ACL rules know: commands, their sub-commands, and the categories of both.

All of it follows from the declarations; what `rename-command` does changes nothing here.

Source: Redis acl.c ACLLookupCommand, aclCatWithFlags.
"""

from __future__ import annotations

from redis_trio.command import ACL_CATEGORIES, DECLARATIONS, acl_categories


class Names:
    """Every command that is declared.

    Attributes:
      subcommands: `{full name in lower case: full names of its sub-commands}`.
      categories: `{category: full names}`; a sub-command stands behind its container.
    """

    def __init__(self) -> None:
        self.subcommands: dict[str, list[str]] = {}
        for name in DECLARATIONS:
            if " " not in name:
                self.subcommands[name.lower()] = []
        for name in DECLARATIONS:
            container, _, sub = name.lower().partition(" ")
            if sub:
                self.subcommands[container].append(f"{container}|{sub}")
        self.categories: dict[str, list[str]] = {name: [] for name in ACL_CATEGORIES}
        for name, subs in self.subcommands.items():
            for fullname in [name, *subs]:
                declaration = DECLARATIONS[fullname.upper().replace("|", " ")]
                for category in acl_categories(declaration):
                    self.categories[category].append(fullname)

    def find(self, name: bytes) -> str | None:
        """Return the full name of a command or sub-command (`config|set`), in any case."""
        text = name.decode("latin-1").lower()
        container, _, sub = text.partition("|")
        subs = self.subcommands.get(container)
        if subs is None:
            return None
        if not sub:
            return text if text == container else None
        return text if text in subs else None

    def in_category(self, name: bytes) -> list[str] | None:
        """Return the commands of a category, in any case; None if there is no such category."""
        return self.categories.get(name.decode("latin-1").lower())
