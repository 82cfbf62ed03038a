"""Who calls, and what they may see: accounts, tokens, sessions, permissions, tenant scope.

Imports ``store``, ``crypto`` and below. Scope is applied here and nowhere else; what no permission grants is
denied.
"""
