"""The commands, one file a group. Importing this package declares them all."""

from redis_trio.commands import acl as acl
from redis_trio.commands import bitmap as bitmap
from redis_trio.commands import client as client
from redis_trio.commands import cluster as cluster
from redis_trio.commands import command as command
from redis_trio.commands import config as config
from redis_trio.commands import connection as connection
from redis_trio.commands import debug as debug
from redis_trio.commands import dump as dump
from redis_trio.commands import expire as expire
from redis_trio.commands import generic as generic
from redis_trio.commands import geo as geo
from redis_trio.commands import geo_search as geo_search
from redis_trio.commands import hash as hash  # noqa: A004
from redis_trio.commands import hash_expire as hash_expire
from redis_trio.commands import hyperloglog as hyperloglog
from redis_trio.commands import incr as incr
from redis_trio.commands import latency as latency
from redis_trio.commands import list as list  # noqa: A004
from redis_trio.commands import list_blocking as list_blocking
from redis_trio.commands import lolwut as lolwut
from redis_trio.commands import memory as memory
from redis_trio.commands import migrate as migrate
from redis_trio.commands import module as module
from redis_trio.commands import objects as objects
from redis_trio.commands import persistence as persistence
from redis_trio.commands import pubsub as pubsub
from redis_trio.commands import replicaof as replicaof
from redis_trio.commands import replication as replication
from redis_trio.commands import scripting as scripting
from redis_trio.commands import server as server
from redis_trio.commands import set as set  # noqa: A004
from redis_trio.commands import set_operations as set_operations
from redis_trio.commands import slowlog as slowlog
from redis_trio.commands import sort as sort
from redis_trio.commands import sorted_set as sorted_set
from redis_trio.commands import sorted_set_blocking as sorted_set_blocking
from redis_trio.commands import sorted_set_operations as sorted_set_operations
from redis_trio.commands import sorted_set_range as sorted_set_range
from redis_trio.commands import sorted_set_sample as sorted_set_sample
from redis_trio.commands import stream as stream
from redis_trio.commands import stream_group as stream_group
from redis_trio.commands import stream_info as stream_info
from redis_trio.commands import stream_pending as stream_pending
from redis_trio.commands import stream_read as stream_read
from redis_trio.commands import stream_readgroup as stream_readgroup
from redis_trio.commands import string as string
from redis_trio.commands import tracking as tracking
from redis_trio.commands import transactions as transactions
