"""Keys at rest, the CMS signer and RFC 3161 timestamp authorities.

Imports ``ports``, ``settings`` and ``system``. Decides nothing about notices; never logs or returns a private
key.
"""
