"""A strict reader of the two CMS shapes of a seal, DER: detached SignedData of one signer (RFC 5652), timestamp reply.

Everything that the signature does not cover must have its one expected value. So no byte of a signature file can be
changed unnoticed. This module only parses; ``cms.verify_detached`` verifies the signature.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache

from notifications.errors import Fault, InvalidInputError

_SEQUENCE, _SET, _OID, _INTEGER, _OCTETS, _BITS = 0x30, 0x31, 0x06, 0x02, 0x04, 0x03
_UTF8, _GENERALIZED_TIME = 0x0C, 0x18
_CONTEXT_0 = 0xA0
#: directoryName of a GeneralName
_DIRECTORY_NAME = 0xA4
#: sets of SignedData: digest algorithms, certificates, revocation lists
_SETS = frozenset({_SET, _CONTEXT_0, 0xA1})
#: From here on the first byte of a length counts the bytes of the length itself: at most four here, 4 GiB.
_LONG_FORM = 0x80
_LENGTH_BYTES = range(1, 5)
#: First byte of an object identifier's arc that is padded, which DER forbids.
_PADDING = 0x80
_NULL = b"\x05\x00"
_LONG_TAG = 0x1F

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_DATA = "1.2.840.113549.1.7.1"
_SHA1 = "1.3.14.3.2.26"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE, _SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2"
RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
RSA_WITH_SHA256 = "1.2.840.113549.1.1.11"
#: RSA PKCS #1 v1.5 (without a digest, with SHA-2), ECDSA with SHA-2.
_TOKEN_ALGORITHMS = frozenset({
    RSA_ENCRYPTION, RSA_WITH_SHA256, "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13",
    ECDSA_WITH_SHA256, "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4",
})  # fmt: skip
#: Algorithms that authorities may use, and that OpenSSL's code for PKCS #7 cannot verify: it takes RSASSA-PSS for PKCS
#: #1 v1.5, and hashes first for Ed25519 and Ed448, which does not work.
_UNVERIFIABLE = {"1.2.840.113549.1.1.10": "RSASSA-PSS", "1.3.101.112": "Ed25519", "1.3.101.113": "Ed448"}

#: genTime of a token (RFC 3161, 2.4.2), with the digits after the full stop
_TIME_WITH_FRACTION = re.compile(rb"\d{14}\.(\d+)Z")

_MAX_CERTIFICATES = 10


@dataclass(frozen=True, slots=True)
class _Item:
    tag: int
    #: contents
    body: bytes
    #: tag, length and contents
    whole: bytes


@dataclass(frozen=True, slots=True)
class DetachedSignature:
    """The parts of a detached SignedData. Nothing in it is verified."""

    #: DER certificates, in the order of the file
    certificates: tuple[bytes, ...]
    #: DER of the signer's issuer name
    issuer: bytes
    #: serial number of the signer's certificate
    serial: int
    #: SHA-256 of the content, from the signed attributes
    message_digest: bytes
    #: the bytes the signature is over: the signed attributes as a SET OF
    signed_attributes: bytes
    signature_algorithm: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class CertificateId:
    """One certificate as a signing-certificate attribute names it (ESSCertID, ESSCertIDv2 of RFC 5035)."""

    #: OID of the hash
    algorithm: str
    #: hash of the certificate
    digest: bytes
    #: DER of the issuer name, and the serial number; None where the attribute does not give them
    issuer: bytes | None = None
    serial: int | None = None


@dataclass(frozen=True, slots=True)
class TimestampReply:
    """The parts of a TimeStampResp. Nothing in it is verified."""

    #: PKIStatus; None where it is not a small number
    status: int | None
    #: the authority's own words beside the status
    texts: tuple[str, ...]
    #: numbers of the PKIFailureInfo bits that are set
    failures: tuple[int, ...]
    #: DER certificates of the token, in the order of the file
    certificates: tuple[bytes, ...] = ()
    #: what each signing-certificate attribute names; the signer's certificate comes first
    signing_certificates: tuple[tuple[CertificateId, ...], ...] = ()
    #: how much later than its whole second the token's time is, in whole microseconds
    fraction: timedelta = timedelta()
    #: tag and content of the authority's name (GeneralName), where the token gives one
    authority: tuple[int, bytes] | None = None
    #: the reply with status *granted* and its sets in DER order, which the signature does not cover; None without token
    strict_form: bytes | None = None


def parse_detached_signature(data: bytes) -> DetachedSignature:
    """Return the parts of a detached SignedData; raises InvalidInputError for any other form.

    1. ContentInfo of SignedData, version 1, only SHA-256, content type data without content.
    2. One to ten certificates; no revocation lists.
    3. One signer, identified by issuer and serial number, with signed attributes and without unsigned ones.
    4. Exactly one content type and one message digest among the signed attributes.
    """
    # 1.
    content_type, wrapped = _children(_only(data, _SEQUENCE), _OID, _CONTEXT_0)
    _expect(_oid(content_type.body) == _SIGNED_DATA, "is not SignedData")
    version, digests, encapsulated, certificates, signers = _children(
        _only(wrapped.body, _SEQUENCE), _INTEGER, _SET, _SEQUENCE, _CONTEXT_0, _SET
    )
    _expect(version.body == b"\x01", "is not of version 1")
    _expect_sha256(_only(digests.body, _SEQUENCE))
    _expect(_oid(_only(encapsulated.body, _OID).body) == _DATA, "is not over data")
    # 2.
    chain = tuple(item.whole for item in _items(certificates.body))
    _expect(1 <= len(chain) <= _MAX_CERTIFICATES, "holds no certificate, or too many")
    for certificate in chain:
        # Parsers ignore the count of unused bits, and the issuer's signature does not cover it.
        *_, signed = _children(_only(certificate, _SEQUENCE), _SEQUENCE, _SEQUENCE, _BITS)
        _expect(signed.body[:1] == b"\x00", "holds a certificate whose signature is no whole number of bytes")
    # 3.
    version, identifier, digest, attributes, algorithm, signature = _children(
        _only(signers.body, _SEQUENCE), _INTEGER, _SEQUENCE, _SEQUENCE, _CONTEXT_0, _SEQUENCE, _OCTETS
    )
    _expect(version.body == b"\x01", "has a signer of another version")
    issuer, serial = _children(identifier, _SEQUENCE, _INTEGER)
    _expect(_is_shortest_integer(serial.body), "has a serial number that is not in the shortest form")
    _expect_sha256(digest)
    # 4.
    message_digest = None
    content_types = 0
    for attribute in _items(attributes.body):
        name, values = _children(attribute, _OID, _SET)
        if _oid(name.body) == _CONTENT_TYPE:
            _expect(_oid(_only(values.body, _OID).body) == _DATA, "signs another content type")
            content_types += 1
        elif _oid(name.body) == _MESSAGE_DIGEST:
            _expect(message_digest is None, "states two digests")
            message_digest = _only(values.body, _OCTETS).body
    _expect(content_types == 1 and message_digest is not None, "lacks a signed content type or digest")
    return DetachedSignature(
        certificates=chain,
        issuer=issuer.whole,
        serial=int.from_bytes(serial.body, "big", signed=True),
        message_digest=message_digest or b"",
        # RFC 5652, 5.4: the signature is over the attributes with the tag SET OF instead of [0].
        signed_attributes=bytes([_SET]) + attributes.whole[1:],
        signature_algorithm=_algorithm(algorithm),
        signature=signature.body,
    )


# A reply is parsed for its status, then for its token.
@lru_cache(maxsize=32)
def parse_timestamp_reply(data: bytes) -> TimestampReply:
    """Return the parts of a TimeStampResp (RFC 3161, 2.4.2); raises InvalidInputError. Nothing in it is verified.

    1. The status. A reply without a token has nothing else.
    2. What the signature does not cover and libraries do not check: versions (RFC 5652, 5.1 and 5.3), the name of the
       signature algorithm.
    3. The certificates, the signing-certificate attributes among the signed ones, the fraction of the time's second,
       the authority's name.
    4. The same reply as strict parsers take it: status *granted*, sets in DER order (X.690, 11.6).
    """
    # 1. TimeStampResp ::= SEQUENCE { status, ContentInfo { SignedData [0] } OPTIONAL }
    reply = _only(data, _SEQUENCE)
    status, *tokens = _at_least(1, reply)
    _expect(len(tokens) <= 1 and {status.tag, *(token.tag for token in tokens)} == {_SEQUENCE}, "has another shape")
    code, *beside = _at_least(1, status)
    has_code = code.tag == _INTEGER and len(code.body) == 1
    texts = [text.body for part in beside if part.tag == _SEQUENCE for text in _items(part.body)]
    said = TimestampReply(
        status=code.body[0] if has_code else None,
        texts=tuple(text.decode(errors="replace") for text in texts),
        failures=tuple(bit for part in beside if part.tag == _BITS for bit in _bits_set(part.body)),
    )
    if not tokens:
        return said
    # 2.
    content_type, wrapped = _children(tokens[0], _OID, _CONTEXT_0)
    signed_data = _only(wrapped.body, _SEQUENCE)
    version, *parts, signers = _at_least(2, signed_data)
    signer_version, identifier, _, *rest = _at_least(3, _only(signers.body, _SEQUENCE))
    _expect(version.body == b"\x03", "is a token of another version")
    _expect(
        identifier.tag == _SEQUENCE,
        "names its signer by a key identifier, which neither openssl ts nor this software can read: the authority must"
        " name its certificate by issuer and serial number",
    )
    _expect(signer_version.body == b"\x01", "has a signer of another version")
    algorithm = next((item for item in rest if item.tag == _SEQUENCE), None)
    name = next(_items(algorithm.body), None) if algorithm is not None else None
    signed_by = None if name is None else _oid(name.body)
    _expect(
        signed_by not in _UNVERIFIABLE,
        f"is signed with {_UNVERIFIABLE.get(signed_by or '')}, which neither openssl ts nor this software can verify:"
        " the authority must sign with RSA PKCS #1 v1.5 or ECDSA",
    )
    _expect(signed_by in _TOKEN_ALGORITHMS, "names an unknown signature algorithm")
    # 3.
    certificates = [item.whole for part in parts if part.tag == _CONTEXT_0 for item in _items(part.body)]
    attributes = next((item for item in rest if item.tag == _CONTEXT_0), None)
    named = [] if attributes is None else list(_signing_certificates(attributes))
    stated = _stated(parts)
    # 4.
    body = version.whole + b"".join(map(_in_order, parts)) + signers.whole
    token = _with_body(tokens[0], content_type.whole + _with_body(wrapped, _with_body(signed_data, body)))
    if has_code:
        status = _Item(status.tag, b"", _with_body(status, _with_body(code, b"\x00") + status.body[len(code.whole) :]))
    return replace(
        said,
        certificates=tuple(certificates),
        signing_certificates=tuple(named),
        fraction=_fraction(stated),
        authority=_authority(stated),
        strict_form=_with_body(reply, status.whole + token),
    )


def _signing_certificates(attributes: _Item) -> Iterator[tuple[CertificateId, ...]]:
    """Yield what each signing-certificate attribute names (RFC 2634, 5.4; RFC 5035, 3), the signer's first."""
    kinds = set()
    for attribute in _items(attributes.body):
        name, values = _children(attribute, _OID, _SET)
        kind = _oid(name.body)
        if kind in {_SIGNING_CERTIFICATE, _SIGNING_CERTIFICATE_V2}:
            _expect(kind not in kinds, "has two signing-certificate attributes of one kind")
            kinds.add(kind)
            certificates, *_ = _at_least(1, _only(values.body, _SEQUENCE))
            yield tuple(_certificate_id(item, kind) for item in _items(certificates.body))


def _certificate_id(item: _Item, kind: str) -> CertificateId:
    """Return an ESSCertID, whose digest is SHA-1, or an ESSCertIDv2, whose digest is SHA-256 unless it says another."""
    algorithm, parts = _SHA1, list(_items(item.body))
    if kind == _SIGNING_CERTIFICATE_V2:
        algorithm = _algorithm(parts.pop(0)) if parts and parts[0].tag == _SEQUENCE else _SHA256
    _expect(
        [part.tag for part in parts] in ([_OCTETS], [_OCTETS, _SEQUENCE]),
        "has a signing-certificate attribute of another shape",
    )
    if len(parts) == 1:
        return CertificateId(algorithm, parts[0].body)
    issuer, serial = _children(parts[1], _SEQUENCE, _INTEGER)
    return CertificateId(
        algorithm,
        parts[0].body,
        issuer=_only(issuer.body, _DIRECTORY_NAME).body,
        serial=int.from_bytes(serial.body, "big", signed=True),
    )


def _stated(parts: Sequence[_Item]) -> list[_Item]:
    """Return the parts of a token's TSTInfo; none if it has no known shape."""
    # EncapsulatedContentInfo ::= SEQUENCE { OID, [0] { OCTET STRING { TSTInfo } } }
    found = [item for part in parts if part.tag == _SEQUENCE for item in _items(part.body) if item.tag == _CONTEXT_0]
    for _ in range(3):
        found = [inner for item in found for inner in _items(item.body)]
    return found


def _fraction(stated: Sequence[_Item]) -> timedelta:
    """Return the fraction of a second of a token's time; zero where there is none."""
    for item in stated:
        if item.tag == _GENERALIZED_TIME and (time := _TIME_WITH_FRACTION.fullmatch(item.body)) is not None:
            return timedelta(microseconds=int(time[1][:6].ljust(6, b"0")))
    return timedelta()


def _authority(stated: Sequence[_Item]) -> tuple[int, bytes] | None:
    """Return tag and content of the authority's name."""
    for item in stated:
        if item.tag == _CONTEXT_0:
            names = list(_items(item.body))
            _expect(len(names) == 1, "has a name of the authority of another shape")
            return names[0].tag, names[0].body
    return None


def _in_order(item: _Item) -> bytes:
    """Return a set with its members in DER order, and anything else as it is."""
    if item.tag not in _SETS:
        return item.whole
    return _with_body(item, b"".join(sorted(member.whole for member in _items(item.body))))


def _with_body(item: _Item, body: bytes) -> bytes:
    """Return an item with another body of the same length."""
    return item.whole[: len(item.whole) - len(item.body)] + body


def _bits_set(body: bytes) -> Iterator[int]:
    """Yield the numbers of the bits that a BIT STRING sets."""
    for position, byte in enumerate(body[1:]):
        yield from (8 * position + bit for bit in range(8) if byte & 0x80 >> bit)


def _at_least(count: int, item: _Item) -> list[_Item]:
    items = list(_items(item.body))
    _expect(len(items) >= count, "has another shape")
    return items


def parse_utf8_string(data: bytes) -> str:
    """Return the text of a UTF8String; raises InvalidInputError for anything else."""
    try:
        return _only(data, _UTF8).body.decode()
    except UnicodeDecodeError:
        raise InvalidInputError(Fault("text", "is not UTF-8")) from None


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidInputError(Fault("signature", otherwise))


def _expect_sha256(item: _Item) -> None:
    _expect(_algorithm(item) == _SHA256, "uses another digest than SHA-256")


def _is_shortest_integer(body: bytes) -> bool:
    """Return whether an integer is in the shortest two's complement form (X.690, 8.3.2)."""
    value = int.from_bytes(body, "big", signed=True)
    return len(body) == (value if value >= 0 else ~value).bit_length() // 8 + 1


def _algorithm(item: _Item) -> str:
    """Return the OID of an AlgorithmIdentifier whose parameters are absent or NULL."""
    parts = list(_items(item.body))
    parameters = [part.whole for part in parts[1:]]
    known = bool(parts) and parts[0].tag == _OID and parameters in ([], [_NULL])
    _expect(known, "has unknown algorithm parameters")
    return _oid(parts[0].body)


def _items(data: bytes) -> Iterator[_Item]:
    """Yield the DER items of a body; raises if one is cut off or its length is not in the shortest form."""
    position = 0
    while position < len(data):
        start = position
        tag = data[position]
        _expect(tag & _LONG_TAG != _LONG_TAG, "has a long tag")
        _expect(position + 2 <= len(data), "is cut off")
        length = data[position + 1]
        position += 2
        if length >= _LONG_FORM:
            count = length & 0x7F
            encoded = data[position : position + count]
            _expect(count in _LENGTH_BYTES and len(encoded) == count, "has a length of another form")
            length = int.from_bytes(encoded, "big")
            shortest = length >= _LONG_FORM and encoded[0] != 0
            _expect(shortest, "has a length that is not in the shortest form")
            position += count
        end = position + length
        _expect(end <= len(data), "is cut off")
        yield _Item(tag, data[position:end], data[start:end])
        position = end


def _only(data: bytes, tag: int) -> _Item:
    items = list(_items(data))
    _expect(len(items) == 1 and items[0].tag == tag, "has another shape")
    return items[0]


def _children(item: _Item, *tags: int) -> list[_Item]:
    items = list(_items(item.body))
    _expect([child.tag for child in items] == list(tags), "has another shape")
    return items


@lru_cache(maxsize=128)
def _oid(body: bytes) -> str:
    """Return an object identifier in dotted form."""
    _expect(bool(body) and not body[-1] & 0x80, "has a malformed identifier")
    arcs, value = [], 0
    for position, byte in enumerate(body):
        _expect(not (value == 0 and byte == _PADDING), f"has a padded identifier at {position}")
        value = (value << 7) | (byte & 0x7F)
        if not byte & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))
