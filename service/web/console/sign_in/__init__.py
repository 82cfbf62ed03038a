"""The pages of signing in and of one's own account.

Imports ``web.console`` and below. The flows are in ``auth.sign_in``.
"""
