"""Redis's own Tcl tests against this server: `python -m tests.conformance --suite PATH`.

PATH is a checkout of Redis's or Valkey's source. Each unit file runs against a fresh server, in the
suite's mode for external servers, and the names of the tests that pass are compared with a saved
baseline: those that pass on a real redis-server. Nothing of the suite is part of this project, and
it runs unmodified, from a temporary copy.

`runtest` is a driver and its clients, each a `tclsh` that executes units and tells the driver what
happens. This package is another driver, so it knows which test is in progress when something hangs.
Needed besides PATH: `tclsh`; redis-cli and redis-benchmark for the few tests that call them.

    tcl.py        Tcl lists and the packets of the suite's clients
    processes.py  servers and clients as process groups that surely end
    suite.py      a checkout: its version, its units, copies to run in
    attempt.py    one run of a unit against one server
    unit.py       a unit to its end: run again behind a test that hung or killed the server
    baseline.py   the tests that real Redis passes, and what of them is missing here
    report.py     the reasons for what is missing, and the tables of the documentation
    runner.py     the command line
"""
