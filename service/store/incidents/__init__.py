"""Incidents, decisions, notices, seals, customers and contacts, stored.

Imports ``store.sql`` and ``store.tables``.
"""
