"""Parameters that are read, kept and told by CONFIG GET, while what they configure does not exist.

Unlike those that the configuration itself calls ignored, these get their meaning with a later part
of the server. tests/docs looks whether the source uses them: a name leaves this table when the code
begins to honour it.
"""

from __future__ import annotations

from typing import Final

WITHOUT_EFFECT: Final = {
    "Security": "enable-module-command",
    "Network": "socket-mark-id",
    "Stopping": "shutdown-timeout",
    "Lists": "list-compress-depth",
}
"""Names by heading."""

SHOWN_ONLY: Final = {"enable-module-command", "list-compress-depth"}
"""Those of them that the source does look at, for a figure of INFO, OBJECT or DEBUG."""
