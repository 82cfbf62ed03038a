"""Accounts, members, tokens, sessions, and the trail of a customer.

Imports ``web.api`` and below. Routes and schemas only.
"""
