"""Evidence: events of a delivery, the offline verifier, the report of who was notified.

Imports ``mail``, ``delivery`` and below. Takes bytes and keys; trusts nothing else.
"""
