"""Secrets at rest (TOTP seeds, webhook secrets, pending sign-ins), encrypted with a key that is not in the database.

AES-256-GCM (NIST SP 800-38D). A sealed value is bound to its purpose and its owner: in another record, or for another
purpose, it cannot be decrypted. A rotation puts a new key first; older keys still decrypt what they encrypted.
"""

import contextlib
import hashlib
import hmac
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from notifications.errors import GreffierError

_VERSION = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
MIN_MASTER_BYTES = 32


class SecretUnreadableError(GreffierError):
    """A sealed value cannot be decrypted: its key is unknown, or it was changed or moved. Reveals nothing of it."""


class SecretBox:
    """Encrypts ("seals") and decrypts ("opens") small secrets with keys derived from the master keys."""

    def __init__(self, masters: Sequence[bytes]) -> None:
        """``masters``: at least one, each of 32 random bytes or more, the current one first; raises ValueError."""
        if not masters or any(len(master) < MIN_MASTER_BYTES for master in masters):
            raise ValueError("a master key has at least 32 bytes")
        self._keys = {_key_id(master): AESGCM(_derived(master, b"greffier/secret/v1")) for master in masters}
        self._current = _key_id(masters[0])
        self._mac_keys = [_derived(master, b"greffier/mac/v1") for master in masters]
        self._siv_keys = [AESSIV(_derived(master, b"greffier/siv/v1", length=64)) for master in masters]

    def seal(self, plaintext: bytes, *, purpose: str, owner: str) -> bytes:
        """Encrypt the plaintext for one purpose and owner, such as ``totp`` and an account's id."""
        nonce = os.urandom(_NONCE_BYTES)
        ciphertext = self._keys[self._current].encrypt(nonce, plaintext, _bound_to(purpose, owner))
        return _VERSION + self._current + nonce + ciphertext

    def open(self, sealed: bytes, *, purpose: str, owner: str) -> bytes:
        """Return the plaintext; raises SecretUnreadableError for anything not sealed for this purpose and owner."""
        key_end = 1 + _KEY_ID_BYTES
        nonce_end = key_end + _NONCE_BYTES
        key = self._keys.get(sealed[1:key_end])
        if sealed[:1] != _VERSION or key is None:
            raise SecretUnreadableError(f"a sealed {purpose} does not open: it was sealed under another key")
        try:
            return key.decrypt(sealed[key_end:nonce_end], sealed[nonce_end:], _bound_to(purpose, owner))
        except (InvalidTag, ValueError):
            raise SecretUnreadableError(f"a sealed {purpose} does not open: it was changed or moved") from None

    def seal_alike(self, plaintext: bytes, *, purpose: str, owner: str) -> bytes:
        """Encrypt so that equal plaintexts of one purpose and owner give equal bytes (AES-SIV, RFC 5297).

        For tokens that are handed out and not stored, such as cursors. It reveals only whether two are equal.
        """
        return self._siv_keys[0].encrypt(plaintext, [_bound_to(purpose, owner)])

    def open_alike(self, sealed: bytes, *, purpose: str, owner: str) -> bytes:
        """Return the plaintext of ``seal_alike``; raises SecretUnreadableError for another purpose or owner."""
        for key in self._siv_keys:
            with contextlib.suppress(InvalidTag, ValueError):
                return key.decrypt(sealed, [_bound_to(purpose, owner)])
        raise SecretUnreadableError(f"a sealed {purpose} does not open: it was changed or moved")

    def is_current(self, sealed: bytes) -> bool:
        """Return whether the current key encrypted the value."""
        return sealed[1 : 1 + _KEY_ID_BYTES] == self._current

    def mac(self, purpose: str, data: bytes) -> bytes:
        """Return a 32-byte message authentication code with the current key."""
        return _mac(self._mac_keys[0], purpose, data)

    def verify_mac(self, purpose: str, data: bytes, tag: bytes) -> None:
        """Raise SecretUnreadableError unless one of the keys made the code for this purpose and data."""
        if not any(hmac.compare_digest(_mac(key, purpose, data), tag) for key in self._mac_keys):
            raise SecretUnreadableError(f"a {purpose} is not of this service")


def _key_id(master: bytes) -> bytes:
    return hashlib.sha256(b"greffier/master-id/v1\n" + master).digest()[:_KEY_ID_BYTES]


def _derived(master: bytes, info: bytes, length: int = 32) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(master)


def _bound_to(purpose: str, owner: str) -> bytes:
    return f"{purpose}\n{owner}".encode()


def _mac(key: bytes, purpose: str, data: bytes) -> bytes:
    return hmac.digest(key, purpose.encode() + b"\n" + data, "sha256")
