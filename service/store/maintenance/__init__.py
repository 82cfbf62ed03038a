"""Copying a database to another engine, and reading it row by row for the check of the log.

Imports ``store.sql`` and ``store.tables``.
"""
