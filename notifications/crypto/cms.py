"""Verify a detached CMS signature and the certificate chain of its signer, at a given moment."""

import hashlib
import hmac
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store
from cryptography.x509.verification import VerificationError as ChainError

from notifications.crypto.der import (
    ECDSA_WITH_SHA256,
    RSA_ENCRYPTION,
    RSA_WITH_SHA256,
    DetachedSignature,
    parse_detached_signature,
)
from notifications.errors import InvalidInputError, VerificationError
from notifications.mail_address import normal_address

#: Exceptions of the library for a malformed certificate; it raises some of them only when a part is first accessed.
MALFORMED_CERTIFICATE = (
    ValueError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
    CryptographyDeprecationWarning,
)
#: Purposes of an authority that may issue certificates for mail.
_FOR_MAIL = frozenset({ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature verified with its certificate's key. Not verified: whether the certificate is trusted."""

    certificate: x509.Certificate
    #: the other certificates in the signature file
    others: tuple[x509.Certificate, ...]
    #: the mail addresses in the certificate
    addresses: tuple[str, ...]

    def names(self, address: str) -> bool:
        """Return whether the certificate names a mail address, in whatever case and spelling of its domain."""
        return normal_address(address) in {normal_address(named) for named in self.addresses}


def verify_detached(content: bytes, signature: bytes, step: str) -> VerifiedSignature:
    """Return the signer of the content; raises VerificationError with the name of the step.

    1. The file is a detached SignedData of one signer, in the strict form of ``der``.
    2. The signed digest is the digest of the content.
    3. Exactly one certificate in it is the signer's, and its key made the signature over the signed attributes.

    Not checked: whether the certificate is trusted, valid and meant for this use (``verify_chain``).
    """
    # 1.
    try:
        parsed = parse_detached_signature(signature)
        with warnings.catch_warnings():
            # The library only warns about some faults, such as a serial number of 0. No authority issues these today.
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            certificates = [x509.load_der_x509_certificate(data) for data in parsed.certificates]
    except InvalidInputError as error:
        raise VerificationError(step, str(error)) from None
    except MALFORMED_CERTIFICATE as error:
        raise VerificationError(step, f"holds a malformed certificate: {error}") from None
    # 2.
    if not hmac.compare_digest(hashlib.sha256(content).digest(), parsed.message_digest):
        raise VerificationError(step, "the content is not what was signed")
    # 3.
    try:
        signers = [
            certificate
            for certificate in certificates
            if certificate.serial_number == parsed.serial and certificate.issuer.public_bytes() == parsed.issuer
        ]
        addresses = [_addresses(certificate) for certificate in signers]
    except MALFORMED_CERTIFICATE as error:
        raise VerificationError(step, f"holds a malformed certificate: {error}") from None
    if len(signers) != 1:
        raise VerificationError(step, "the signer's certificate is not in the signature")
    (signer,), (named,) = signers, addresses
    _verify_signature(parsed, signer, step)
    return VerifiedSignature(signer, tuple(item for item in certificates if item is not signer), tuple(named))


def _addresses(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.RFC822Name)


def _verify_signature(parsed: DetachedSignature, certificate: x509.Certificate, step: str) -> None:
    try:
        key = certificate.public_key()
        if isinstance(key, ec.EllipticCurvePublicKey) and parsed.signature_algorithm == ECDSA_WITH_SHA256:
            key.verify(parsed.signature, parsed.signed_attributes, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey) and parsed.signature_algorithm in {RSA_ENCRYPTION, RSA_WITH_SHA256}:
            key.verify(parsed.signature, parsed.signed_attributes, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise VerificationError(step, f"uses algorithm {parsed.signature_algorithm}, which the key has not")
    except InvalidSignature:
        raise VerificationError(step, "the signature is wrong") from None
    except MALFORMED_CERTIFICATE as error:
        raise VerificationError(step, f"holds a malformed certificate: {error}") from None


def verify_chain(signed: VerifiedSignature, roots: Sequence[x509.Certificate], at: datetime, step: str) -> None:
    """Raise VerificationError unless the signer's certificate is for e-mail protection and chains to a root at ``at``.

    Every other certificate in the signature file must be part of that chain, so that none can be exchanged unnoticed.
    Not checked: revocation, because a notice does not contain the authority's revocation lists.
    """
    try:
        verifier = (
            PolicyBuilder()
            .store(Store(list(roots)))
            .time(at)
            .max_chain_depth(5)
            .extension_policies(ca_policy=_authority_policy(), ee_policy=_leaf_policy())
            .build_client_verifier()
        )
        chain = verifier.verify(signed.certificate, list(signed.others)).chain
    except (ChainError, *MALFORMED_CERTIFICATE) as error:
        raise VerificationError(step, f"the certificate does not hold at {at:%Y-%m-%d %H:%M:%S} UTC: {error}") from None
    if any(certificate not in chain for certificate in signed.others):
        raise VerificationError(step, "holds a certificate that is no link of the chain")


def _authority_policy() -> ExtensionPolicy:
    """Return the policy for an authority's certificate: if it is limited to purposes, mail is one (RFC 5280, 4.2.1.12).

    Authorities for S/MIME are limited to e-mail protection. The library's own policy would demand TLS clients.
    """
    policy = ExtensionPolicy.webpki_defaults_ca()
    return policy.may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _for_mail_if_limited)


def _leaf_policy() -> ExtensionPolicy:
    """Return the policy for a signer's certificate (RFC 8551, 8550): it is meant for mail and for signatures."""
    return (
        ExtensionPolicy.permit_all()
        .require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _for_mail)
        .require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _for_signatures)
        .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _no_authority)
    )


def _for_mail(_policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage) -> None:
    if ExtendedKeyUsageOID.EMAIL_PROTECTION not in usage:
        raise ValueError("the certificate is not for e-mail protection")


def _for_mail_if_limited(_policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    if usage is not None and _FOR_MAIL.isdisjoint(usage):
        raise ValueError("the certificate's authority is not for e-mail protection")


def _for_signatures(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.digital_signature:
        raise ValueError("the certificate is not for digital signatures")


def _no_authority(_policy: Policy, _certificate: x509.Certificate, constraints: x509.BasicConstraints | None) -> None:
    if constraints is not None and constraints.ca:
        raise ValueError("the certificate is an authority's")
