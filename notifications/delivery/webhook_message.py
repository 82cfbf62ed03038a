"""The message that is posted to a customer's system: a CloudEvents 1.0 envelope, signed by Standard Webhooks.

The signature is over ``id.timestamp.body``: ``v1`` is HMAC-SHA256 with a shared secret, ``v1a`` is Ed25519. A message
has several signatures while secrets are rotated; a receiver needs only one whose key it knows. Source: the Standard
Webhooks specification 1.0, CloudEvents 1.0.2.
"""

import base64
import hmac
import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from notifications.canonical_json import canonicalize, timestamp_text
from notifications.delivery.webhook import SignatureKind
from notifications.errors import Fault, InvalidInputError, VerificationError
from notifications.notice.seal import SealedNotice

NOTICE_TYPE = "greffier.notice.v1"
TRIAL_TYPE = "greffier.test.v1"
CONTENT_TYPE = "application/cloudevents+json"
#: Greatest difference between the clocks of sender and receiver.
TOLERANCE = timedelta(minutes=5)
_SECRET_PREFIX, _PUBLIC_PREFIX = "whsec_", "whpk_"
_SECRET_BYTES = range(24, 65)
_KEY_BYTES = 32
_WITHOUT_SPACES = re.compile(r"[\x21-\x7f]*")
_MAX_URL_CHARACTERS = 2000
_MAX_NAME_CHARACTERS = 253
#: A host name as in the DNS; letters beyond ASCII are in ``xn--`` form.
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """One decrypted secret: the shared bytes of ``v1``, or the private Ed25519 key of ``v1a``. Not part of its repr."""

    kind: SignatureKind
    secret: bytes

    def __repr__(self) -> str:
        return f"SigningSecret({self.kind.value})"


def webhook_id(message_id: str) -> str:
    """Return the ``webhook-id`` of a delivery: its Message-ID without the characters that the signature forbids."""
    return f"msg_{message_id.strip('<>').partition('@')[0]}"


def verify_url(url: str) -> None:
    """Raise InvalidInputError unless a URL can be posted to over TLS. Not checked: the addresses of its host name."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidInputError(Fault("url", "is not a URL")) from None
    if len(url) > _MAX_URL_CHARACTERS or not _WITHOUT_SPACES.fullmatch(url):
        raise InvalidInputError(Fault("url", "must be ASCII without spaces, of 2,000 characters at most"))
    if parts.scheme != "https":
        raise InvalidInputError(Fault("url", "must begin with https://"))
    if port == 0 or not _is_host(parts.hostname or ""):
        raise InvalidInputError(Fault("url", "must name a host, in the letters of the DNS"))
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidInputError(Fault("url", "must hold neither credentials nor a fragment"))


def _is_host(host: str) -> bool:
    """Return whether a resolver accepts the host name. An invalid name must fail here, not when a notice is sent."""
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host).scope_id is None
        except ValueError:
            return False
    return len(host) <= _MAX_NAME_CHARACTERS and _HOST_NAME.fullmatch(host) is not None


def notice_event(sealed: SealedNotice, *, message_id: str, source: str, console_url: str | None) -> bytes:
    """Return the event with a sealed notice: its exact bytes and all its proofs, in base64.

    It is the same for every attempt. ``source`` is a URI reference that identifies the provider.
    """
    document = json.loads(sealed.document)
    data = {
        "ticket": document["ticket"],
        "sequence": document["sequence"],
        "kind": document["kind"],
        "tlp": document["tlp"],
        "document": _text(sealed.document),
        "signature": _text(sealed.signature),
        "timestamp": None if sealed.timestamp is None else _text(sealed.timestamp),
        "timestamp_independent": sealed.timestamp_independent,
        "log_proof": None if sealed.log_proof is None else _text(sealed.log_proof),
        "resources_csv": None if sealed.resources_csv is None else _text(sealed.resources_csv),
        "console_url": console_url,
    }
    subject = f"{document['ticket']}/{document['sequence']}"
    return _event(NOTICE_TYPE, message_id, source, sealed.sealed_at, subject, data)


def trial_event(*, message_id: str, source: str, at: datetime) -> bytes:
    """Return a test event, which says that it is a test and contains no notice."""
    return _event(TRIAL_TYPE, message_id, source, at, "test", {"test": True})


def _event(kind: str, message_id: str, source: str, at: datetime, subject: str, data: Mapping[str, object]) -> bytes:
    return canonicalize({
        "specversion": "1.0",
        "id": webhook_id(message_id),
        "source": source,
        "type": kind,
        "subject": subject,
        "time": timestamp_text(at),
        "datacontenttype": "application/json",
        "data": dict(data),
    })  # fmt: skip


def signed_headers(message_id: str, body: bytes, at: datetime, secrets: Sequence[SigningSecret]) -> dict[str, str]:
    """Return the three headers of Standard Webhooks; raises InvalidInputError without any secret."""
    if not secrets:
        raise InvalidInputError(Fault("secrets", "there must be one"))
    identifier, seconds = webhook_id(message_id), str(int(at.timestamp()))
    content = _signed_content(identifier, seconds, body)
    return {
        "webhook-id": identifier,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"{item.kind.value},{_text(_signature(item, content))}" for item in secrets),
    }


def verify_webhook(headers: Mapping[str, str], body: bytes, keys: Sequence[str], now: datetime) -> None:
    """Raise VerificationError unless one of the receiver's keys signed this body within the last five minutes.

    ``keys``: ``whsec_…`` and ``whpk_…`` texts. Raises InvalidInputError for a malformed key. Not checked: replays. The
    receiver must remember each ``webhook-id`` that it accepted, because the same message can arrive again.
    """
    lowered = {name.casefold(): value for name, value in headers.items()}
    try:
        identifier, seconds = lowered["webhook-id"], lowered["webhook-timestamp"]
        signatures = lowered["webhook-signature"].split()
    except KeyError as error:
        raise VerificationError("headers", f"{error.args[0]} is missing") from None
    if not seconds.isdecimal() or not seconds.isascii():
        raise VerificationError("timestamp", "is not a number of seconds")
    if abs(now.timestamp() - int(seconds)) > TOLERANCE.total_seconds():
        raise VerificationError("timestamp", "is more than five minutes away")
    content = _signed_content(identifier, seconds, body)
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


def shared_secret_text(secret: bytes) -> str:
    """Return a shared secret in the form that is shown once: ``whsec_…``."""
    return _SECRET_PREFIX + _text(secret)


def public_key_text(private_key: bytes) -> str:
    """Return the public key with which a receiver verifies ``v1a``: ``whpk_…``."""
    return _PUBLIC_PREFIX + _text(Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw())


def _signed_content(identifier: str, seconds: str, body: bytes) -> bytes:
    return f"{identifier}.{seconds}.".encode() + body


def _signature(secret: SigningSecret, content: bytes) -> bytes:
    if secret.kind is SignatureKind.V1:
        return hmac.digest(secret.secret, content, "sha256")
    return Ed25519PrivateKey.from_private_bytes(secret.secret).sign(content)


def _verifier(key: str) -> tuple[str, Callable[[bytes, bytes], bool]]:
    """Return the signature scheme of a receiver's key, and a function that verifies a signature over a content."""
    shared = _decoded(key, _SECRET_PREFIX)
    if shared is not None and len(shared) in _SECRET_BYTES:
        return SignatureKind.V1.value, lambda content, given: hmac.compare_digest(
            hmac.digest(shared, content, "sha256"), given
        )
    public = _decoded(key, _PUBLIC_PREFIX)
    if public is not None and len(public) == _KEY_BYTES:
        verifying = Ed25519PublicKey.from_public_bytes(public)
        return SignatureKind.V1A.value, lambda content, given: _is_signed(verifying, content, given)
    raise InvalidInputError(Fault("key", "is neither whsec_ nor whpk_ with its base64"))


def _decoded(key: str, prefix: str) -> bytes | None:
    try:
        return base64.b64decode(key.removeprefix(prefix), validate=True) if key.startswith(prefix) else None
    except ValueError:
        return None


def _is_signed(key: Ed25519PublicKey, content: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
