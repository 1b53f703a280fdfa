"""The wire: requests in, replies out. Knows bytes and nothing of Redis's state; no I/O, no trio."""
