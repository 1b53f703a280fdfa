"""A Lua 5.1 engine in which strangers' code runs, behind one small interface. It knows no Redis."""
