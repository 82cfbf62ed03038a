"""What any running program needs: clock, logging, signals, leader election, atomic files, file locks, the HTTP server.

``logging`` also removes secrets from every line. Imports no other room of ours. Knows nothing of incidents,
notices or the log.
"""
