"""A Redis-compatible server on Trio."""
