"""The check of the whole log against the database, range by range.

Imports ``audit_log`` and below. Reads only: it reports differences and repairs none.
"""
