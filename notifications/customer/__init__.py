"""A customer, its contacts, profiles and agreement bindings; the rules of erasing it.

Imports ``incident`` and below.
"""
