"""CMS signatures and DER, as pure functions over bytes.

Imports ``canonical_json`` and ``errors``. Holds no key: the signer is in ``service.crypto``.
"""
