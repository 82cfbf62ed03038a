"""Verify a detached CMS signature and the certificate chain of its signer, at a given moment."""

import hashlib
import hmac
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import CertificatePoliciesOID, ExtendedKeyUsageOID
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
#: Extensions about policies. The library refuses a certificate with a critical one of them unless a rule names it.
_ABOUT_POLICIES = (x509.CertificatePolicies, x509.PolicyConstraints, x509.InhibitAnyPolicy)
_ANY_POLICY = CertificatePoliciesOID.ANY_POLICY
#: What the library says of a limit that it cannot compare.
_UNSUPPORTED_LIMIT = "unsupported directoryName constraint"


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
    names = _extension(certificate, x509.SubjectAlternativeName)
    found: list[str] = [] if names is None else names.get_values_for_type(x509.RFC822Name)
    return found


def _extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    """Return an extension of a kind, None if the certificate has none."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


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
    Where an authority demands it, the chain has a policy throughout. Not checked: revocation, because a notice does not
    contain the authority's revocation lists.
    """
    try:
        verifier = (
            PolicyBuilder()
            .store(Store(list(roots)))
            .time(at)
            .max_chain_depth(5)
            .extension_policies(ca_policy=_policies_too(_authority_policy()), ee_policy=_policies_too(_leaf_policy()))
            .build_client_verifier()
        )
        chain = verifier.verify(signed.certificate, list(signed.others)).chain
        _verify_policies(chain)
    except (ChainError, *MALFORMED_CERTIFICATE) as error:
        if _UNSUPPORTED_LIMIT in str(error):
            raise VerificationError(
                step,
                "the certificate is not trusted and cannot be judged here: an authority above it, trusted or not, is"
                " limited to directory names, which are not compared; openssl cms -verify with the CA decides",
            ) from None
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


def _policies_too(policy: ExtensionPolicy) -> ExtensionPolicy:
    for kind in _ABOUT_POLICIES:
        policy = policy.may_be_present(kind, Criticality.AGNOSTIC, None)
    return policy


def _verify_policies(chain: Sequence[x509.Certificate]) -> None:
    """Raise ValueError if an authority demands a policy and the chain has none throughout (RFC 5280, 6.1).

    The chain is as the library gives it, the root last. Policies are not mapped to others: an authority whose critical
    extension maps them is refused by the library.
    """
    common: set[x509.ObjectIdentifier] | None = None  # None: any
    until_demanded = until_no_any = len(chain)
    for certificate in chain[-2::-1]:
        stated = {each.policy_identifier for each in _extension(certificate, x509.CertificatePolicies) or ()}
        if _ANY_POLICY not in stated or not until_no_any:
            named = stated - {_ANY_POLICY}
            common = named if common is None else common & named
        until_demanded, until_no_any = max(until_demanded - 1, 0), max(until_no_any - 1, 0)
        constraints = _extension(certificate, x509.PolicyConstraints)
        if constraints is not None and constraints.require_explicit_policy is not None:
            until_demanded = min(until_demanded, constraints.require_explicit_policy)
        inhibited = _extension(certificate, x509.InhibitAnyPolicy)
        if inhibited is not None:
            until_no_any = min(until_no_any, inhibited.skip_certs)
    if not until_demanded and common == set():
        raise ValueError("an authority demands a certificate policy, and the chain has none throughout")


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
