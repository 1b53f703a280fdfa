"""Builds the compiled core. All metadata is in pyproject.toml.

The files in COMPILED are translated by mypyc; the same files run unchanged where they are not. An
install without a C compiler, an editable one, and one with REDIS_TRIO_PURE=1 stay pure; an
editable install is compiled with REDIS_TRIO_COMPILE=1.
"""
import os, sys
from mypyc.build import mypycify
from setuptools import setup

COMPILED = [
    "redis_trio/protocol/request.py",
    "redis_trio/protocol/reply.py",
    "redis_trio/data/numbers.py",
    "redis_trio/data/table.py",
    "redis_trio/keyspace/access.py",
    "redis_trio/keyspace/expire.py",
    "redis_trio/keyspace/database.py",
    "redis_trio/command.py",
    "redis_trio/clock.py",
    "redis_trio/errors.py",
    "redis_trio/feed.py",
    "redis_trio/blocking.py",
    "redis_trio/client.py",
    "redis_trio/state.py",
    "redis_trio/execute.py",
    "redis_trio/transport.py",
    "redis_trio/commands/string.py",
    "redis_trio/commands/connection.py",
]
setup(ext_modules=mypycify(COMPILED, opt_level="3", group_name="redis_trio"))
