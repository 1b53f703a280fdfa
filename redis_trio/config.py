"""Placeholder."""
from __future__ import annotations

class Config:
    def __init__(self) -> None:
        self.proto_max_bulk_len = 512*1024*1024
        self.databases = 16
        self.client_query_buffer_limit = 1<<30
        self.maxclients = 10000
        self.tcp_backlog = 511
        self.enable_debug_command = "no"
        self.enable_module_command = "no"
