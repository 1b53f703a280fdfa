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
    "Observation": "slowlog-log-slower-than slowlog-max-len latency-monitor-threshold",
    "Snapshots": "rdb-del-sync-files",
    "Replication": (
        "masteruser masterauth replica-serve-stale-data replica-read-only "
        "replica-ignore-disk-write-errors replica-priority replica-announced replica-announce-ip "
        "replica-announce-port repl-diskless-sync repl-diskless-sync-delay "
        "repl-diskless-sync-max-replicas repl-diskless-load repl-ping-replica-period repl-timeout "
        "repl-disable-tcp-nodelay repl-backlog-size repl-backlog-ttl min-replicas-to-write "
        "min-replicas-max-lag propagation-error-behavior"
    ),
    "Lists": "list-compress-depth",
}
"""Names by heading."""

SHOWN_ONLY: Final = {
    *("repl-backlog-size", "enable-module-command"),
    *("min-replicas-to-write", "min-replicas-max-lag", "list-compress-depth"),
}
"""Those of them that the source does look at, for a figure of INFO, OBJECT or DEBUG."""
