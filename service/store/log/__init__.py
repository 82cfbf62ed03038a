"""Audit entries, tree nodes, checkpoints, their timestamps and cosignatures, stored.

Imports ``store.sql`` and ``store.tables``. Nothing here changes an entry.
"""
