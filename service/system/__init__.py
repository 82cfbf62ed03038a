"""Basics of a running program: clock, logging, signals, leader election, atomic files, the HTTP server.

Imports no other room of ours. Knows nothing of incidents, notices or the log.
"""
