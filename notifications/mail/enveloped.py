"""Encrypt a signed mail to one contact (S/MIME enveloped-data, RFC 8551, 3.3), and check the contact's certificate.

The encrypted content is a signed entity that contains the headers of the mail as protected headers (RFC 9788). After
the decryption it is verified with the same steps and tools as a signed mail. The outer headers are a neutral subject
and what relays need. The cryptography library creates the content-encryption key and the padding.
"""

from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, PublicKeyAlgorithmOID

from notifications.crypto.cms import MALFORMED_CERTIFICATE
from notifications.crypto.der import parse_utf8_string
from notifications.errors import Fault, InvalidInputError
from notifications.mail.mail import Envelope, header_lines, unprotected_headers
from notifications.mail.parts import base64_lines
from notifications.mail_address import normal_address

ExtensionT = TypeVar("ExtensionT", bound=x509.ExtensionType)

#: Minimum for senders (RFC 8551, 4.3).
_MIN_RSA_BITS = 2048
_MAX_CERTIFICATE_BYTES = 20_000
_NO_RSA = "has no RSA key: mail can be encrypted to RSA keys only"
_SMTP_UTF8_MAILBOX = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")


def parse_certificate(pem: str) -> bytes:
    """Return the only certificate of a PEM text, as DER; raises InvalidInputError. Its content is not checked."""
    if len(pem) > _MAX_CERTIFICATE_BYTES:
        raise InvalidInputError(Fault("smime_certificate", f"is longer than {_MAX_CERTIFICATE_BYTES} characters"))
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except MALFORMED_CERTIFICATE:
        raise InvalidInputError(Fault("smime_certificate", "is not an X.509 certificate in PEM")) from None
    if len(certificates) != 1:
        raise InvalidInputError(Fault("smime_certificate", "must be one certificate, without its issuers"))
    return certificates[0].public_bytes(Encoding.DER)


def certificate_fault(der: bytes, address: str, now: datetime) -> str | None:
    """Return why a certificate cannot be used to encrypt mail to an address now, or None if it can.

    Checked: validity, an RSA key of at least 2048 bits (the library supports no other key), key usage, and every form
    of mail address in it: each must be the given address. A certificate that cannot be read is not usable. Not checked:
    its issuer and its revocation. The person who edits the contact vouches for the certificate, as for the address.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        purposes = _extension(certificate, x509.ExtendedKeyUsage)
        usage = _extension(certificate, x509.KeyUsage)
        addresses = _addresses(certificate)
        unknown = [
            extension.oid.dotted_string
            for extension in certificate.extensions
            if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension)
        ]
    except x509.UnsupportedGeneralNameType:
        return "holds an X.400 or EDI name, which cannot be compared with the address"
    except UnsupportedAlgorithm:
        return _NO_RSA
    except (InvalidInputError, *MALFORMED_CERTIFICATE):
        return "is malformed"
    if now >= certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        return f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    if not isinstance(key, rsa.RSAPublicKey):
        return _NO_RSA
    if certificate.public_key_algorithm_oid != PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5:
        return "has an RSA key for signatures only (RSASSA-PSS)"
    if key.key_size < _MIN_RSA_BITS:
        return f"has {key.key_size} bits, fewer than {_MIN_RSA_BITS}"
    if purposes is not None and ExtendedKeyUsageOID.EMAIL_PROTECTION not in purposes:
        return "is not for e-mail protection (extendedKeyUsage)"
    if usage is not None and not usage.key_encipherment:
        return "is not for encryption (keyUsage has no keyEncipherment)"
    if unknown:
        return f"has a critical extension that is not known ({unknown[0]})"
    for form, named in addresses.items():
        if normal_address(address) not in map(normal_address, named):
            return f"names another address ({form})"
    return None


def _addresses(certificate: x509.Certificate) -> dict[str, list[str]]:
    """Return the mail addresses in a certificate, by their form (RFC 8550, 3; RFC 9598, 3)."""
    found: dict[str, list[str]] = {}
    for name in _extension(certificate, x509.SubjectAlternativeName) or ():
        if isinstance(name, x509.RFC822Name):
            found.setdefault("rfc822Name", []).append(name.value)
        elif isinstance(name, x509.OtherName) and name.type_id == _SMTP_UTF8_MAILBOX:
            found.setdefault("SmtpUTF8Mailbox", []).append(parse_utf8_string(name.value))
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
        found.setdefault("emailAddress of the subject", []).append(str(attribute.value))
    return found


def certificate_pem(der: bytes) -> str:
    """Return a certificate as PEM; raises ValueError for a malformed one."""
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()


def certificate_expires_at(der: bytes) -> datetime | None:
    """Return when a certificate expires, or None if it is malformed."""
    try:
        return x509.load_der_x509_certificate(der).not_valid_after_utc
    except MALFORMED_CERTIFICATE:
        return None


def _extension(certificate: x509.Certificate, kind: type[ExtensionT]) -> ExtensionT | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def encrypt_mail(entity: bytes, envelope: Envelope, neutral_subject: str, certificate_der: bytes) -> bytes:
    """Return the mail with a signed entity that is encrypted to one certificate, with AES-256.

    Raises InvalidInputError as ``header_lines`` does. Not checked: the certificate; the caller must have called
    ``certificate_fault``.
    """
    certificate = x509.load_der_x509_certificate(certificate_der)
    enveloped = (
        pkcs7.PKCS7EnvelopeBuilder()
        .set_data(entity)
        .add_recipient(certificate)
        .set_content_encryption_algorithm(AES256)
        .encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])
    )
    headers = "".join(f"{name}: {value}\r\n" for name, value in header_lines(envelope, neutral_subject))
    outer = (
        f"{headers}{unprotected_headers(envelope)}"
        "MIME-Version: 1.0\r\n"
        'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="smime.p7m"\r\n'
        "\r\n"
    )
    return outer.encode() + base64_lines(enveloped) + b"\r\n"
