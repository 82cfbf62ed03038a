"""The full-text index: one document for each thing that can be found, written in the transaction that changes it.

Imports ``store.sql``, ``store.tables`` and below.
"""
