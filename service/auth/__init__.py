"""Authentication and authorisation: accounts, tokens, sessions, permissions, tenant scope.

Imports ``store``, ``crypto`` and below. Scope is applied only here; everything that no permission grants is denied.
"""
