"""Routes of the inventory of resources.

Imports ``auth`` and below, never ``store``.
"""
