"""Accounts, credentials and sessions, stored.

Imports ``store.sql`` and ``store.tables``.
"""
