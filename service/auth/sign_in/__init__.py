"""Sign-in: passwords, second factors, passkeys, sessions, invitations, reset links.

Imports ``auth`` and below. It has no pages and no routes: ``web`` has them.
"""
