"""Persistence: data as files and payloads that Redis reads, and back.

- `rdb_format`: the numbers of the format, and what is wrong with bytes that are not in it;
- `rdb_writer`: values, DUMP payloads and files as bytes, a piece at a time;
- `rdb_cursor`, `rdb_values`, `rdb_reader`: bytes, fed in pieces, as values and keys;
- `old_encodings`: ziplists and zipmaps, which only old files have;
- `payload`: what DUMP returns and RESTORE takes;
- `rdb_file`: a server's data to a file and from it;
- `state`: what a server remembers of its saves and loads.
"""
