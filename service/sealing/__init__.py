"""Sealing: signing keys and timestamp authorities."""
