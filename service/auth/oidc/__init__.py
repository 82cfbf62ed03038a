"""Sign-in through an OpenID provider (authorization code with PKCE).

Imports ``auth`` and below. Trusts no claim before the token is verified.
"""
