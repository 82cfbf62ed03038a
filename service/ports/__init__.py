"""Protocols and records that the store, sign-in, delivery and monitoring share.

Imports ``notifications`` only. Holds contracts and plain records: no I/O, no rule.
"""
