"""Timestamp tokens (RFC 3161) of the embedded authority, encoded as DER in the one form that it issues.

ECDSA, or RSA PKCS #1 v1.5, with SHA-256; the authority's certificate is in the token and bound to it (RFC 5816); the
only optional parts are the nonce and the authority's name. Another implementation verifies every token before it is
used.
"""

import hashlib
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

#: Kinds of key that the authority signs with.
TimestampKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

#: Policy of the embedded authority, which promises nothing. Anybody may use a UUID below 2.25 (ITU-T X.667).
POLICY = "2.25.204126937340410923405018436372741917733"

_INTEGER, _OCTETS, _NULL, _OID, _SEQUENCE, _SET = 0x02, 0x04, 0x05, 0x06, 0x30, 0x31
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
#: constructed, context-specific
_CONTEXT_0, _CONTEXT_4 = 0xA0, 0xA4
_SHORT_LENGTHS = 0x80
_BITS_OF_AN_ARC = 7


def timestamp_reply(
    digest: bytes,
    *,
    serial: int,
    nonce: int | None,
    at: datetime,
    certificate: x509.Certificate,
    key: TimestampKey,
) -> bytes:
    """Return a granted TimeStampResp (DER) over a SHA-256 digest.

    1. TSTInfo (RFC 3161, 2.4.2): policy, digest, serial number, time, nonce, name of the authority.
    2. The signed attributes (RFC 5652, 11): content type, time, digest of 1., the certificate.
    3. SignedData around 1., with the certificate and the signature over 2., as a granted reply.
    """
    moment = at.astimezone(UTC)
    sha256 = _der(_SEQUENCE, _oid("2.16.840.1.101.3.4.2.1"), _der(_NULL))
    issuer, subject = certificate.issuer.public_bytes(), certificate.subject.public_bytes()
    encoded = certificate.public_bytes(Encoding.DER)
    # 1.
    stated = _der(
        _SEQUENCE,
        _integer(1),
        _oid(POLICY),
        _der(_SEQUENCE, sha256, _der(_OCTETS, digest)),
        _integer(serial),
        _der(_GENERALIZED_TIME, _generalized_time(moment)),
        b"" if nonce is None else _integer(nonce),
        _der(_CONTEXT_0, _der(_CONTEXT_4, subject)),
    )
    # 2.
    certificate_digest = _der(_OCTETS, hashlib.sha256(encoded).digest())
    attributes = b"".join(sorted([
        _attribute("1.2.840.113549.1.9.3", _oid("1.2.840.113549.1.9.16.1.4")),
        _attribute("1.2.840.113549.1.9.5", _der(_UTC_TIME, f"{moment:%y%m%d%H%M%SZ}".encode())),
        _attribute("1.2.840.113549.1.9.4", _der(_OCTETS, hashlib.sha256(stated).digest())),
        # signingCertificateV2; SHA-256 is its default, so DER leaves the algorithm out.
        _attribute(
            "1.2.840.113549.1.9.16.2.47", _der(_SEQUENCE, _der(_SEQUENCE, _der(_SEQUENCE, certificate_digest)))
        ),
    ]))  # fmt: skip
    algorithm, signature = _signature(key, _der(_SET, attributes))
    # 3.
    signer = _der(
        _SEQUENCE,
        _integer(1),
        _der(_SEQUENCE, issuer, _integer(certificate.serial_number)),
        sha256,
        _der(_CONTEXT_0, attributes),
        algorithm,
        _der(_OCTETS, signature),
    )
    signed_data = _der(
        _SEQUENCE,
        _integer(3),
        _der(_SET, sha256),
        _der(_SEQUENCE, _oid("1.2.840.113549.1.9.16.1.4"), _der(_CONTEXT_0, _der(_OCTETS, stated))),
        _der(_CONTEXT_0, encoded),
        _der(_SET, signer),
    )
    token = _der(_SEQUENCE, _oid("1.2.840.113549.1.7.2"), _der(_CONTEXT_0, signed_data))
    return _der(_SEQUENCE, _der(_SEQUENCE, _integer(0)), token)


def _signature(key: TimestampKey, attributes: bytes) -> tuple[bytes, bytes]:
    """Return the algorithm of the signature (RFC 5754, 3) and the signature over the attributes."""
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm = _der(_SEQUENCE, _oid("1.2.840.113549.1.1.1"), _der(_NULL))
        return algorithm, key.sign(attributes, padding.PKCS1v15(), hashes.SHA256())
    return _der(_SEQUENCE, _oid("1.2.840.10045.4.3.2")), key.sign(attributes, ec.ECDSA(hashes.SHA256()))


def _attribute(kind: str, value: bytes) -> bytes:
    return _der(_SEQUENCE, _oid(kind), _der(_SET, value))


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    length = len(body)
    if length < _SHORT_LENGTHS:
        return bytes((tag, length)) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, _SHORT_LENGTHS | len(octets))) + octets + body


def _integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


@lru_cache(maxsize=32)
def _oid(dotted: str) -> bytes:
    first, second, *others = (int(arc) for arc in dotted.split("."))
    body = b""
    for arc in (40 * first + second, *others):
        groups = [arc & 0x7F]
        while arc := arc >> _BITS_OF_AN_ARC:
            groups.insert(0, arc & 0x7F | _SHORT_LENGTHS)
        body += bytes(groups)
    return _der(_OID, body)


def _generalized_time(moment: datetime) -> bytes:
    """Return the time in the form of RFC 3161: UTC, to the microsecond, without trailing zeros."""
    return (f"{moment:%Y%m%d%H%M%S.%f}".rstrip("0").rstrip(".") + "Z").encode()
