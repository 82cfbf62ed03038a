"""Copy a database to another engine, and read it row by row for the check of the log.

Imports ``store.sql`` and ``store.tables``.
"""
