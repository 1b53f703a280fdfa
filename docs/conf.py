"""Sphinx configuration. The reference pages are generated: see _ext/reference.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from redis_trio import __version__

project = "redis_trio"
copyright = "The redis_trio authors"
author = "The redis_trio authors"
version = release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "reference"]
exclude_patterns = ["_build"]
nitpicky = True
default_role = "code"
# Names of Trio, whose inventory a build does not fetch, and aliases inside signatures.
nitpick_ignore_regex = [
    ("py:.*", r"(trio|collections|redis_trio)\..*"),
    ("py:.*", r"Word|PlainReply|ClosedResourceError"),
]

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_type_aliases = {"PlainReply": "PlainReply", "Word": "Word"}
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"redis_trio {version}"
highlight_language = "none"
