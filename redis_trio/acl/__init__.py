"""Access control: users, what each may do, the check before every command, the log of refusals."""
