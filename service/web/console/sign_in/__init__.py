"""The pages of sign-in and of the caller's own account.

Imports ``web.console`` and below. The flows are in ``auth.sign_in``.
"""
