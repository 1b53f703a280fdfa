"""Replication: the state that both roles share, the primary's side, the replica's side."""
