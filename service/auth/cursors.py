"""Cursors as callers see them: encrypted, and bound to one account and one list.

A cursor of the store holds the row number of the last item. Row numbers count the records of everybody, so a caller
must not read them, nor compare two of them. The encryption is deterministic: the same page has the same cursor.
"""

import base64
import binascii

from notifications.errors import Fault, InvalidInputError
from service.crypto.secret_box import SecretBox, SecretUnreadableError

_PURPOSE = "cursor"
#: Every cursor is padded to a multiple of this, so that its length does not tell how large the row number is.
_BLOCK_BYTES = 64


def seal_cursor(box: SecretBox, cursor: str, owner: str) -> str:
    """Return a cursor of the store as ``owner`` (one account and one list) may see it: base64url without padding."""
    content = cursor.encode()
    padded = content.ljust(-(-len(content) // _BLOCK_BYTES) * _BLOCK_BYTES, b"\0")
    sealed = box.seal_alike(padded, purpose=_PURPOSE, owner=owner)
    return _encoded(sealed)


def _encoded(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def open_cursor(box: SecretBox, text: str, owner: str) -> str:
    """Return the store's cursor; raises InvalidInputError for a text that is not a cursor of this owner."""
    wrong = InvalidInputError(Fault("cursor", "is not a cursor of this list and of this account"))
    try:
        sealed = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = box.open_alike(sealed, purpose=_PURPOSE, owner=owner).rstrip(b"\0").decode()
    except (binascii.Error, SecretUnreadableError):
        raise wrong from None
    # The last character of base64 has bits that no byte takes: only one spelling is a cursor.
    if _encoded(sealed) != text:
        raise wrong
    return cursor
