"""Accounts, members, tokens, sessions, and the trail of who did what.

Imports ``web.api`` and below. Routes and schemas only.
"""
