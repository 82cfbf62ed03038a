"""Prove an entry, bundle evidence, record keys.

Imports ``ports`` and below. One module per use case, numbered steps.
"""
