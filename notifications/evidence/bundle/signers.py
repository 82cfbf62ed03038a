"""The certificates that signatures and timestamps carry, timestamps over bytes, and what a revocation list says."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from notifications.crypto.cms import MALFORMED_CERTIFICATE
from notifications.crypto.der import parse_detached_signature
from notifications.crypto.timestamps import verify_timestamp
from notifications.errors import Fault, InvalidInputError, VerificationError
from notifications.evidence.bundle.contents import SIGNERS


def certificates_of_signature(signature: bytes) -> list[bytes]:
    """Return the certificates (DER) of a detached CMS signature; raises InvalidInputError."""
    return list(parse_detached_signature(signature).certificates)


def signer_part(certificate: bytes) -> tuple[str, bytes]:
    """Return the name and the PEM of a certificate (DER); raises InvalidInputError."""
    try:
        pem = x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)
    except MALFORMED_CERTIFICATE as error:
        raise InvalidInputError(Fault("certificate", f"cannot be read: {error}")) from None
    return f"{SIGNERS}{hashlib.sha256(certificate).hexdigest()}.pem", pem


def verify_token(token: bytes, content: bytes, roots: Sequence[x509.Certificate], step: str, name: str) -> datetime:
    """Return when an authority under one of the roots saw the content; raises VerificationError naming the part."""
    try:
        return verify_timestamp(token, content, roots, step).at
    except VerificationError as error:
        raise VerificationError(step, f"{name}: {error.reason}") from None


@dataclass(frozen=True, slots=True)
class Revocations:
    """What a revocation list of the CA says."""

    issued_at: datetime
    #: serial number -> since when
    revoked: dict[int, datetime]

    def verify(self, certificate: bytes, used_at: datetime, step: str, name: str) -> None:
        """Raise VerificationError where a certificate (PEM) was revoked by the time it was used."""
        since = self.revoked.get(x509.load_pem_x509_certificate(certificate).serial_number)
        if since is not None and since <= used_at:
            raise VerificationError(step, f"{name}: was revoked at {since:%Y-%m-%d %H:%M:%S} UTC, before it was used")


def parse_revocations(data: bytes, ca: Iterable[x509.Certificate]) -> Revocations:
    """Return what a list (PEM or DER) says; raises InvalidInputError unless one of the CA's certificates signed it."""
    try:
        pem = data.lstrip().startswith(b"-----BEGIN")
        listed = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
        issued_at = listed.last_update_utc
        revoked = {item.serial_number: item.revocation_date_utc for item in listed}
        signed = any(
            certificate.subject == listed.issuer and listed.is_signature_valid(_issuer_key(certificate))
            for certificate in ca
        )
    except (TypeError, *MALFORMED_CERTIFICATE) as error:
        raise InvalidInputError(Fault("ca.crl", f"is no revocation list: {error}")) from None
    if not signed:
        raise InvalidInputError(Fault("ca.crl", "is not signed by the CA"))
    return Revocations(issued_at, revoked)


def _issuer_key(certificate: x509.Certificate) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise TypeError("a CA's key that is neither RSA nor EC")
    return key
