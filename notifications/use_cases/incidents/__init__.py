"""Declare, change, follow up, decide and release.

Imports ``ports`` and below. One module per use case, numbered steps.
"""
