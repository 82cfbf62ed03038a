"""A webhook receiver that verifies messages by the Standard Webhooks specification 1.0."""

import base64
import hmac
from datetime import timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from notifications.errors import Fault, InvalidInputError, VerificationError

TOLERANCE = timedelta(minutes=5)


def verify_webhook(headers, body, keys, now):
    """Raise VerificationError unless one of the receiver's keys signed this body, a moment ago.

    ``keys``: ``whsec_…`` and ``whpk_…`` texts. Raises InvalidInputError for a text that is not a key.
    """
    lowered = {name.casefold(): value for name, value in headers.items()}
    try:
        identifier, seconds = lowered["webhook-id"], lowered["webhook-timestamp"]
        signatures = lowered["webhook-signature"].split()
    except KeyError as error:
        raise VerificationError("headers", f"there is no {error.args[0]}") from None
    if not seconds.isdecimal() or not seconds.isascii():
        raise VerificationError("timestamp", "is no number of seconds")
    if abs(now.timestamp() - int(seconds)) > TOLERANCE.total_seconds():
        raise VerificationError("timestamp", "is more than five minutes away")
    content = f"{identifier}.{seconds}.".encode() + body
    verifiers = [_verifier(key) for key in keys]
    for signature in signatures:
        kind, _, encoded = signature.partition(",")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except ValueError:
            continue
        if any(known == kind and verify(content, raw) for known, verify in verifiers):
            return
    raise VerificationError("signature", "no signature is by a key that is known")


def _verifier(key):
    """Return the scheme of a receiver's key, and a function that checks a signature with it."""
    shared = _decoded(key, "whsec_")
    if shared is not None and 24 <= len(shared) <= 64:
        return "v1", lambda content, given: hmac.compare_digest(hmac.digest(shared, content, "sha256"), given)
    public = _decoded(key, "whpk_")
    if public is not None and len(public) == 32:
        return "v1a", lambda content, given: _is_signed(Ed25519PublicKey.from_public_bytes(public), content, given)
    raise InvalidInputError(Fault("key", "is neither whsec_ nor whpk_ with its base64"))


def _decoded(key, prefix):
    try:
        return base64.b64decode(key.removeprefix(prefix), validate=True) if key.startswith(prefix) else None
    except ValueError:
        return None


def _is_signed(key, content, signature):
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True
