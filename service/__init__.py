"""The running program: sockets, files, database, clock, environment, web framework."""
