"""Evidence: the events of a delivery, the offline verifier, and the report of who was notified.

Imports ``mail``, ``delivery`` and below. Its input is bytes and the keys to trust.
"""
