"""The keyspace: databases, expiry, and the one door through which keys change."""
