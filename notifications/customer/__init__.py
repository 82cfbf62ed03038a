"""A customer, its contacts, profiles and agreement bindings; the rules for erasing a customer.

Imports ``incident`` and below.
"""
