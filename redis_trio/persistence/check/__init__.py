"""`redis-trio check FILE...`: whether the files of a server are whole, and what is in them.

    redis-trio check dump.rdb appendonlydir
    redis-trio check --fix --yes appendonlydir/appendonly.aof.manifest

Files are read as a server reads them when it starts, but nothing is kept: of each key only what the
summary counts. So the memory that it takes is that of the biggest value.

- `program.py`: the command line, and which file is of which kind.
- `files.py`: reading one file to its end, or to the damage.
- `summary.py`: what is counted.
- `report.py`: telling it, to people or as JSON.

Source: Redis redis-check-rdb.c, redis-check-aof.c for what counts as damage.
"""
