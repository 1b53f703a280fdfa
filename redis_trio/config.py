"""Placeholder."""
from __future__ import annotations

class ConfigError(Exception): pass

class Config:
    def __init__(self) -> None:
        self.proto_max_bulk_len = 512*1024*1024
        self.databases = 16
        self.client_query_buffer_limit = 1<<30
        self.maxclients = 10000
        self.tcp_backlog = 511
        self.enable_debug_command = "no"
        self.enable_module_command = "no"
        self.port = 6379
        self.bind = ["127.0.0.1"]
        self.unixsocket = ""
        self.unixsocketperm = 0
        self.dir = "."
        self.tcp_keepalive = 300
    @classmethod
    def from_options(cls, options):
        c = cls()
        for k, v in options.items():
            setattr(c, k, v.split() if k == "bind" else v)
        return c
