"""Tenant scope, in one place: a transaction that shows a caller what is within its scope and nothing else.

Routes, pages, exports and streams all get their transaction from ``transaction.within``. What lies outside does not
exist: lookups return None, so that a foreign object and one that never was give the same answer. Deny by default: a
repository or a method that has no scoped form here cannot be used under a limited scope at all.
"""
