"""Verify RFC 3161 timestamps: what rfc3161-client checks, and what it leaves to its callers.

The library takes strict DER and the status *granted* only. Authorities also answer *grantedWithMods* (RFC 3161, 2.4.2),
and many write the certificates of a token in another order than that of DER. The signature covers neither. So the
library gets the reply in its strict form, and the service keeps and serves the authority's own bytes. The library also
leaves out the fraction of the second that a token states, which is read here.
"""

import contextlib
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import rfc3161_client
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rfc3161_client.errors import VerificationError as LibraryError

from notifications.crypto.cms import MALFORMED_CERTIFICATE
from notifications.crypto.der import CertificateId, TimestampReply, parse_timestamp_reply
from notifications.errors import Fault, InvalidInputError, VerificationError

#: PKIStatus (RFC 4210, 5.2.3): granted, grantedWithMods
_GRANTED = frozenset({0, 1})
_STATUSES = {2: "rejection", 3: "waiting", 4: "revocationWarning", 5: "revocationNotification"}
#: PKIFailureInfo (RFC 3161, 2.4.2)
_FAILURES = {
    0: "badAlg: it does not support the hash algorithm",
    2: "badRequest: it does not permit or support the request",
    5: "badDataFormat: it cannot read the request",
    14: "timeNotAvailable: its time source is not available",
    15: "unacceptedPolicy: it does not support the policy",
    16: "unacceptedExtension: it does not support an extension",
    17: "addInfoNotAvailable: it does not have the additional information",
    25: "systemFailure: it cannot handle the request now",
}
_MAX_DETAIL_CHARACTERS = 250
_HASHES = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
#: Tags of an authority's name that is a text (RFC 5280, 4.2.1.6).
_TEXT_NAMES: Mapping[int, Callable[[str], x509.GeneralName]] = {
    0x81: x509.RFC822Name,
    0x82: x509.DNSName,
    0x86: x509.UniformResourceIdentifier,
}
#: What the library shows of OpenSSL's error stack -> what it means.
_CHAIN_REASON = re.compile(r'data: "Verify error: ([^"]+)"')
_SIGNATURE_REASONS = {
    '"digest failure"': "it is not signed over what it states",
    '"signature failure"': "its signature is not by the key of its certificate",
    '"signer certificate not found"': "the certificate of its signer is not in it",
}


@dataclass(frozen=True, slots=True)
class VerifiedTimestamp:
    """What a verified token states."""

    at: datetime
    #: how far ``at`` may be from the authority's time; zero where the token does not say
    accuracy: timedelta
    #: the name of the authority in the token
    authority: str


def refusal_of(reply: TimestampReply) -> str | None:
    """Return why the authority gave no token, in words, or None where the status grants one."""
    if reply.status in _GRANTED:
        return None
    status = "a status that cannot be read" if reply.status is None else _STATUSES.get(reply.status, str(reply.status))
    failures = [_FAILURES.get(bit, f"failure {bit}") for bit in reply.failures]
    texts = ["".join(letter for letter in text if letter.isprintable()) for text in reply.texts]
    details = "; ".join([*failures, *(f"“{text}”" for text in texts if text)])[:_MAX_DETAIL_CHARACTERS]
    return f"the authority answered {status}{f' ({details})' if details else ''}"


def certificates_of_token(reply: bytes) -> list[bytes]:
    """Return the certificates (DER) of a timestamp reply, sorted; raises InvalidInputError."""
    return sorted(_decoded(parse_timestamp_reply(reply)).signed_data.certificates)


def token_time(reply: bytes) -> datetime:
    """Return the time that a timestamp reply states, unverified; raises InvalidInputError."""
    parsed = parse_timestamp_reply(reply)
    return _time(_decoded(parsed), parsed)


def token_statement(reply: bytes) -> tuple[datetime, str | None]:
    """Return the time and the authority that a timestamp reply states, unverified; raises InvalidInputError.

    The authority is the name in the token, or that of the signer's certificate in it, or None.
    """
    parsed = parse_timestamp_reply(reply)
    response = _decoded(parsed)
    at = _time(response, parsed)
    if (name := _name(response, parsed)) is not None:
        return at, _text(name)
    (signer,) = response.signed_data.signer_infos
    for data in response.signed_data.certificates:
        try:
            certificate = x509.load_der_x509_certificate(data)
        except MALFORMED_CERTIFICATE:
            continue
        if (certificate.issuer, certificate.serial_number) == (signer.issuer, signer.serial_number):
            return at, certificate.subject.rfc4514_string()
    return at, None


def verify_timestamp(
    reply: bytes, content: bytes, roots: Sequence[x509.Certificate], step: str, *, nonce: int | None = None
) -> VerifiedTimestamp:
    """Return what a timestamp over the content states; raises VerificationError under the step's name.

    1. The reply has the form of RFC 3161, and its status grants the token.
    2. By rfc3161-client: the token is over the content, with the nonce where one is given, and its signature and its
       certificates, for timestamps only, hold at its time under one of the roots.
    3. By ourselves, as ``openssl ts -verify``: the signer's certificate is the one that the signing-certificate
       attribute names (RFC 5816, 2.2.1), and has the name that the token gives.

    NOT checked: revocation, and whether the time is plausible.
    """
    # 1.
    try:
        parsed = parse_timestamp_reply(reply)
    except InvalidInputError as error:
        raise VerificationError(step, str(error)) from None
    if (refusal := refusal_of(parsed)) is not None:
        raise _not_held(step, refusal)
    try:
        # 2.
        response = _decoded(parsed)
        builder = rfc3161_client.VerifierBuilder(roots=list(dict.fromkeys(roots)), nonce=nonce)
        builder.build().verify_message(response, content)
        # 3.
        certificates = [x509.load_der_x509_certificate(data) for data in response.signed_data.certificates]
        (signer,) = response.signed_data.signer_infos
        certificate = next(
            item for item in certificates if (item.issuer, item.serial_number) == (signer.issuer, signer.serial_number)
        )
        stated = response.tst_info
        name = _name(response, parsed)
        fault = _binding_fault(parsed.signing_certificates, certificate, [*certificates, *roots]) or _name_fault(
            name, certificate
        )
    except InvalidInputError as error:
        raise _not_held(step, error.faults[0].reason) from None
    except LibraryError as error:
        raise _not_held(step, _in_words(str(error))) from None
    except MALFORMED_CERTIFICATE:
        raise _not_held(
            step, "a certificate or a name in it is malformed, or of a kind that is not supported"
        ) from None
    if fault is not None:
        raise _not_held(step, fault)
    authority = "an unnamed authority" if name is None else _text(name)
    return VerifiedTimestamp(_time(response, parsed), _accuracy(stated.accuracy), authority)


def _not_held(step: str, reason: str) -> VerificationError:
    return VerificationError(step, f"the token does not hold: {reason}")


def _decoded(parsed: TimestampReply) -> Any:
    """Return the library's reading of a reply; raises InvalidInputError where there is no token that it can read."""
    if parsed.strict_form is None:
        raise InvalidInputError(Fault("timestamp", refusal_of(parsed) or "the reply has no token"))
    try:
        return rfc3161_client.decode_timestamp_response(parsed.strict_form)
    except MALFORMED_CERTIFICATE:
        raise InvalidInputError(
            Fault(
                "timestamp", "the token is not in the form of RFC 3161 (strict DER), or of a kind that is not supported"
            )
        ) from None


def _time(response: Any, parsed: TimestampReply) -> datetime:
    at: datetime = response.tst_info.gen_time + parsed.fraction
    return at


def _name(response: Any, parsed: TimestampReply) -> x509.GeneralName | None:
    """Return the authority's name in a token, None if it has none; raises InvalidInputError for a form without text."""
    try:
        if parsed.authority is not None and (form := _TEXT_NAMES.get(parsed.authority[0])) is not None:
            return form(parsed.authority[1].decode("ascii"))
        name: x509.GeneralName | None = response.tst_info.name
    except ValueError:
        raise InvalidInputError(
            Fault("timestamp", "the authority's name in it is malformed, or of a kind that is not supported")
        ) from None
    return name


def _text(name: x509.GeneralName) -> str:
    return name.value.rfc4514_string() if isinstance(name, x509.DirectoryName) else str(name.value)


def _in_words(error: str) -> str:
    """Return what a message of the library means: about certificates and signatures it shows OpenSSL's error stack."""
    if not error.startswith("Error while verifying certificates"):
        return error
    if (chain := _CHAIN_REASON.search(error)) is not None:
        return f"its certificate does not verify under the trusted roots: {chain[1]}"
    return next((words for sign, words in _SIGNATURE_REASONS.items() if sign in error), "its signature does not verify")


def _binding_fault(
    attributes: Sequence[Sequence[CertificateId]], signer: x509.Certificate, known: Sequence[x509.Certificate]
) -> str | None:
    """Return why a token is not bound to its signer's certificate: the first that each attribute names must be it.

    What an attribute names further must be certificates above it.
    """
    if not attributes:
        return "it does not name the certificate of its signer (no signing-certificate attribute)"
    above = _issuers(signer, known)
    for named in attributes:
        if not named or not _is_named(named[0], [signer]):
            return "its signing-certificate attribute names another certificate than its signer's"
        if not all(_is_named(each, above) for each in named[1:]):
            return "its signing-certificate attribute names a certificate that is not above its signer's"
    return None


def _issuers(certificate: x509.Certificate, known: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return the certificates that lead from one to a root, by names; that they hold the library checked."""
    found: list[x509.Certificate] = []
    names = {certificate.issuer}
    while more := [item for item in known if item.subject in names and item not in found]:
        found += more
        names = {item.issuer for item in more}
    return found


def _is_named(named: CertificateId, certificates: Sequence[x509.Certificate]) -> bool:
    algorithm = _HASHES.get(named.algorithm)
    return algorithm is not None and any(
        hashlib.new(algorithm, item.public_bytes(Encoding.DER), usedforsecurity=False).digest() == named.digest
        and named.serial in {None, item.serial_number}
        and named.issuer in {None, item.issuer.public_bytes()}
        for item in certificates
    )


def _name_fault(name: x509.GeneralName | None, certificate: x509.Certificate) -> str | None:
    """Return why the authority's name in a token is not its certificate's (RFC 3161, 2.4.2); it may have none."""
    if name is None:
        return None
    names: list[x509.GeneralName] = [x509.DirectoryName(certificate.subject)]
    with contextlib.suppress(x509.ExtensionNotFound):
        names += certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return None if _comparable(name) in map(_comparable, names) else "it gives another name than its certificate"


def _comparable(name: x509.GeneralName) -> tuple[type, str]:
    return type(name), _text(name).casefold()


def _accuracy(accuracy: Any) -> timedelta:
    if accuracy is None:
        return timedelta()
    return timedelta(
        seconds=accuracy.seconds or 0, milliseconds=accuracy.millis or 0, microseconds=accuracy.micros or 0
    )
