"""Sign notices and mails: detached CMS with the provider's S/MIME certificate."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID

from notifications.errors import SealingUnavailableError
from notifications.ports import Clock
from service.crypto.key_files import (
    PRIVATE_KEY_BLOCK,
    Passphrases,
    parse_chain,
    parse_private_key,
    read_file,
    stamp_of,
)

#: Smallest RSA key that verifiers accept (RFC 8551, 4.2).
_MIN_RSA_BITS = 2048
_OPTIONS = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]


@dataclass(frozen=True, slots=True)
class _Identity:
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    leaf: x509.Certificate
    intermediates: list[x509.Certificate]
    address: str


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """What signs another format than CMS, such as a PDF: certificates and a function that signs."""

    leaf: x509.Certificate
    #: without the root
    intermediates: Sequence[x509.Certificate]
    #: ``sha256_ecdsa`` or ``sha256_rsa``, as asn1crypto names them
    algorithm: str
    #: returns the signature over the SHA-256 of the content
    sign: Callable[[bytes], bytes]


class CmsSigner:
    """Implements ``notifications.ports.Signer`` on PEM files: key and chain in one file, or in separate files.

    If the chain's file contains a key, this key is used, and the key file is ignored. One rename then replaces key and
    certificate together, so they always match. Files are read again when they change, so a renewed certificate is used
    without a restart. After a failure they are read again too, so a repaired file is used.
    """

    def __init__(
        self,
        key_file: Path,
        chain_file: Path,
        passphrases: Passphrases,
        clock: Clock,
        *,
        look_again_seconds: float = 0,
    ) -> None:
        """Files that were checked are not checked again for ``look_again_seconds``."""
        self._key_file, self._chain_file = key_file, chain_file
        self._look_again_seconds, self._looked_at = look_again_seconds, 0.0
        self._passphrases, self._clock = passphrases, clock
        self._identity: _Identity | None = None
        self._stamp: tuple[int, ...] | None = None

    @property
    def address(self) -> str:
        """The mail address in the certificate; raises SealingUnavailableError without a usable certificate."""
        return self._current().address

    @property
    def not_after(self) -> datetime:
        """When the certificate expires; raises SealingUnavailableError without a usable certificate."""
        return self._current().leaf.not_valid_after_utc

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the certificate; raises SealingUnavailableError without a usable certificate."""
        return self._current().leaf.fingerprint(hashes.SHA256()).hex()

    def sign_detached(self, content: bytes) -> bytes:
        """Return detached CMS SignedData (DER) over exactly these bytes; see the port."""
        identity = self._usable()
        builder = (
            pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(identity.leaf, identity.key, hashes.SHA256())
        )
        for certificate in identity.intermediates:
            builder = builder.add_certificate(certificate)
        return builder.sign(Encoding.DER, _OPTIONS)

    def identity(self) -> SigningIdentity:
        """Return the current certificates and what signs; raises SealingUnavailableError as ``sign_detached`` does."""
        current = self._usable()
        key = current.key
        if isinstance(key, rsa.RSAPrivateKey):
            return SigningIdentity(
                current.leaf,
                current.intermediates,
                "sha256_rsa",
                lambda content: key.sign(content, padding.PKCS1v15(), hashes.SHA256()),
            )
        return SigningIdentity(
            current.leaf,
            current.intermediates,
            "sha256_ecdsa",
            lambda content: key.sign(content, ec.ECDSA(hashes.SHA256())),
        )

    def _usable(self) -> _Identity:
        """Return the current identity; raises SealingUnavailableError if a certificate is not valid now."""
        identity = self._current()
        for certificate in (identity.leaf, *identity.intermediates):
            self._verify_validity(certificate)
        return identity

    def _verify_validity(self, certificate: x509.Certificate) -> None:
        now = self._clock.now()
        if now > certificate.not_valid_after_utc:
            raise SealingUnavailableError(
                f"the signing certificate {self._chain_file} expired at"
                f" {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; install a renewed one, the notices wait"
            )
        if now < certificate.not_valid_before_utc:
            raise SealingUnavailableError(
                f"the signing certificate {self._chain_file} is not valid before"
                f" {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            )

    def _current(self) -> _Identity:
        looked_at = monotonic()
        if self._identity is not None and looked_at - self._looked_at < self._look_again_seconds:
            return self._identity
        stamp = self._files_stamp()
        self._looked_at = looked_at
        if self._identity is not None and stamp == self._stamp:
            return self._identity
        self._identity = None
        while True:
            try:
                self._identity = self._load()
            except (SealingUnavailableError, ValueError, x509.DuplicateExtension, UnsupportedAlgorithm) as error:
                failure = error
            # If the files were replaced during the read, they may not match: read again before refusing.
            before, stamp = stamp, self._files_stamp()
            if before == stamp:
                break
            self._identity = None
        if self._identity is None:
            if isinstance(failure, SealingUnavailableError):
                raise failure
            raise SealingUnavailableError(f"certificate {self._chain_file} is malformed: {failure}") from None
        self._stamp = stamp
        return self._identity

    def _files_stamp(self) -> tuple[int, ...]:
        return stamp_of(self._key_file) + stamp_of(self._chain_file)

    def _load(self) -> _Identity:
        """Load and check: 1. key and chain, 2. that they match, 3. the purpose of the certificate, 4. its address."""
        # 1.
        chain = read_file(self._chain_file, "certificate")
        together = PRIVATE_KEY_BLOCK.search(chain) is not None
        key = parse_private_key(
            chain if together else read_file(self._key_file, "key"),
            self._passphrases,
            self._chain_file if together else self._key_file,
        )
        leaf, *others = parse_chain(chain, self._chain_file)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise SealingUnavailableError(f"key {self._key_file} is neither ECDSA nor RSA")
        if isinstance(key, ec.EllipticCurvePrivateKey) and not isinstance(key.curve, ec.SECP256R1):
            raise SealingUnavailableError(f"key {self._key_file} is on curve {key.curve.name}, not P-256")
        if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _MIN_RSA_BITS:
            raise SealingUnavailableError(f"key {self._key_file} has {key.key_size} bits, fewer than {_MIN_RSA_BITS}")
        # 2.
        if _public_bytes(key.public_key()) != _public_bytes(leaf.public_key()):
            raise SealingUnavailableError(f"key {self._key_file} is not the key of certificate {self._chain_file}")
        # 3.
        self._verify_usage(leaf)
        # 4.
        try:
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            addresses = names.get_values_for_type(x509.RFC822Name)
        except x509.ExtensionNotFound:
            addresses = []
        if not addresses:
            raise SealingUnavailableError(f"certificate {self._chain_file} names no mail address (subjectAltName)")
        # The root is not sent: a verifier has it already, and a root that comes with a signature proves nothing.
        intermediates = [certificate for certificate in others if certificate.subject != certificate.issuer]
        self._verify_links([leaf, *intermediates])
        return _Identity(key, leaf, intermediates, addresses[0])

    def _verify_links(self, chain: list[x509.Certificate]) -> None:
        for certificate, issuer in itertools.pairwise(chain):
            try:
                certificate.verify_directly_issued_by(issuer)
            except (InvalidSignature, ValueError, TypeError):
                raise SealingUnavailableError(
                    f"certificate file {self._chain_file} must hold the certificate, then its issuer, and so on:"
                    f" {issuer.subject.rfc4514_string()} issued none before it"
                ) from None

    def _verify_usage(self, leaf: x509.Certificate) -> None:
        try:
            purposes = list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        except x509.ExtensionNotFound:
            purposes = []
        if ExtendedKeyUsageOID.EMAIL_PROTECTION not in purposes:
            raise SealingUnavailableError(
                f"certificate {self._chain_file} is not for e-mail protection (extendedKeyUsage)"
            )
        try:
            usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        except x509.ExtensionNotFound:
            return
        if not usage.digital_signature:
            raise SealingUnavailableError(f"certificate {self._chain_file} is not for digital signatures (keyUsage)")


def _public_bytes(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]  # every public key has it
    return encoded
