"""Scripts and functions: the room between the commands and the Lua engine."""
