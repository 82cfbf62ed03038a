"""Signing in: passwords, second factors, passkeys, sessions, invitations, reset links.

Imports ``auth`` and below. Shows no page and answers no request: ``web`` does.
"""
