"""Replacing a key: prepared, announced in the log, then used.

Imports ``monitoring``, ``channels`` and below. No key is used before the log names it.
"""
