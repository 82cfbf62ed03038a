"""Create the keys of an installation that has none yet: demo CA, signing, timestamp and log keys.

For production, settings point at PEM files issued by a real CA and at a real timestamp authority instead.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from notifications.audit.note import verifier_key
from notifications.errors import Fault, InvalidInputError
from service.crypto.key_files import private_pem
from service.system.atomic_files import write_new

#: How the name of a demonstration CA ends: nobody else vouches for what it certifies.
DEMO_CA = " demo CA"
_CA_DAYS = 3650
_SIGNING_DAYS = 730
_TSA_DAYS = 1825
#: Certificates are valid from a little before they are made, because other clocks may be behind.
_BACKDATE = timedelta(minutes=5)
#: X.520, ub-common-name; the library counts bytes.
_MAX_NAME_BYTES = 64

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")

_CertificateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """The paths of the key files in a data folder."""

    keys: Path
    trust: Path

    @property
    def signing_key(self) -> Path:
        """Private key of the mail and notice signature.

        It is in the file of its chain, so that one rename replaces both; in older folders it is in a separate file.
        """
        return self.separate_signing_key if self.separate_signing_key.exists() else self.signing_chain

    @property
    def separate_signing_key(self) -> Path:
        """Private key of the mail and notice signature in older folders."""
        return self.keys / "signing.key"

    @property
    def signing_chain(self) -> Path:
        """Its certificate, followed by intermediates."""
        return self.keys / "signing.pem"

    @property
    def timestamp_key(self) -> Path:
        """Private key of the embedded timestamp authority."""
        return self.keys / "tsa.key"

    @property
    def timestamp_chain(self) -> Path:
        """Its certificate, followed by its root."""
        return self.keys / "tsa.pem"

    @property
    def log_key(self) -> Path:
        """Private key of the log's checkpoints."""
        return self.keys / "log.key"

    @property
    def ca_key(self) -> Path:
        """Private key of the demo CA."""
        return self.keys / "ca.key"

    @property
    def retired(self) -> Path:
        """Folder of earlier certificates and public keys."""
        return self.keys / "retired"

    @property
    def trusted_ca(self) -> Path:
        """Roots of the signing certificates, in the form for verifiers."""
        return self.trust / "ca.pem"

    @property
    def trusted_log(self) -> Path:
        """Verifier keys of the log, oldest first, in the form for verifiers."""
        return self.trust / "log.vkey"


def create_demo_keys(
    files: KeyFiles, *, address: str, provider_name: str, log_origin: str, now: datetime, passphrase: bytes | None
) -> None:
    """Create every key and certificate; raises InvalidInputError if one exists already, or for an invalid name.

    ``address`` is the ASCII sender address of notices. Private keys are PKCS #8 files of mode 0600, encrypted if there
    is a passphrase; the folders have mode 0700 and 0755.
    """
    if not _ADDRESS.fullmatch(address):
        raise InvalidInputError(
            Fault("address", "must be an ASCII mail address, because the certificate contains it as an rfc822Name")
        )
    if not provider_name.strip() or not provider_name.isprintable():
        raise InvalidInputError(Fault("provider_name", "must be a name without control characters"))
    log_vkey = verifier_key(log_origin, log_private := Ed25519PrivateKey.generate())
    made = (files.ca_key, files.separate_signing_key, files.signing_chain, files.timestamp_key, files.timestamp_chain,
            files.log_key, files.trusted_ca, files.trust / "tsa.pem", files.trusted_log)  # fmt: skip
    existing = [path for path in made if path.exists()]
    if existing:
        raise InvalidInputError(Fault("data", f"{existing[0]} exists; keys are never overwritten"))
    files.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.trust.mkdir(parents=True, exist_ok=True, mode=0o755)

    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _root(ca_key, _name(provider_name, DEMO_CA), now, _CA_DAYS)
    signing_key = ec.generate_private_key(ec.SECP256R1())
    signing = _signing_certificate(signing_key, ca_key, ca, address, provider_name, now)
    tsa_root_key = ec.generate_private_key(ec.SECP256R1())
    tsa_root = _root(tsa_root_key, _name(provider_name, " demo timestamp root"), now, _CA_DAYS)
    tsa_key = ec.generate_private_key(ec.SECP256R1())
    tsa = _timestamp_certificate(tsa_key, tsa_root_key, tsa_root, provider_name, now)

    write_new(files.ca_key, private_pem(ca_key, passphrase), 0o600)
    write_new(files.signing_chain, private_pem(signing_key, passphrase) + _pem(signing), 0o600)
    write_new(files.timestamp_key, private_pem(tsa_key, passphrase), 0o600)
    write_new(files.timestamp_chain, _pem(tsa) + _pem(tsa_root), 0o644)
    write_new(files.log_key, private_pem(log_private, passphrase), 0o600)
    write_new(files.trusted_ca, _pem(ca), 0o644)
    write_new(files.trust / "tsa.pem", _pem(tsa_root), 0o644)
    write_new(files.trusted_log, (log_vkey.text() + "\n").encode(), 0o644)


def issue_signing_pem(
    ca_key: PrivateKeyTypes,
    ca: x509.Certificate,
    *,
    address: str,
    provider_name: str,
    now: datetime,
    passphrase: bytes | None,
) -> bytes:
    """Return a new signing key and its certificate by the demo CA as one PEM; raises InvalidInputError.

    ``address`` is the mail address in the certificate, as for ``create_demo_keys``.
    """
    if not _ADDRESS.fullmatch(address):
        raise InvalidInputError(Fault("address", "must be an ASCII mail address"))
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise InvalidInputError(Fault("ca", "the key of the demo CA signs no certificates"))
    key = ec.generate_private_key(ec.SECP256R1())
    return private_pem(key, passphrase) + _pem(_signing_certificate(key, ca_key, ca, address, provider_name, now))


def _name(provider_name: str, role: str) -> x509.Name:
    """Return a name that ends with the role, even if the provider's name is long: issuer and subject must differ."""
    kept = provider_name.encode()[: _MAX_NAME_BYTES - len(role)].decode("utf-8", "ignore")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kept + role)])


def _builder(subject: x509.Name, key: _CertificateKey, now: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _root(key: _CertificateKey, name: x509.Name, now: datetime, days: int) -> x509.Certificate:
    return (
        _builder(name, key, now, days)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _issued(
    builder: x509.CertificateBuilder, issuer_key: _CertificateKey, issuer: x509.Certificate
) -> x509.Certificate:
    return (
        builder.issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _signing_certificate(
    key: ec.EllipticCurvePrivateKey,
    issuer_key: _CertificateKey,
    issuer: x509.Certificate,
    address: str,
    provider_name: str,
    now: datetime,
) -> x509.Certificate:
    builder = (
        _builder(_name(provider_name, " notices"), key, now, _SIGNING_DAYS)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
    )
    return _issued(builder, issuer_key, issuer)


def _timestamp_certificate(
    key: _CertificateKey, issuer_key: _CertificateKey, issuer: x509.Certificate, provider_name: str, now: datetime
) -> x509.Certificate:
    # RFC 3161, 2.3: the extended key usage is critical and has no other value.
    name = _name(provider_name, " timestamps (not independent)")
    builder = _builder(name, key, now, _TSA_DAYS).add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True
    )
    return _issued(builder, issuer_key, issuer)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
