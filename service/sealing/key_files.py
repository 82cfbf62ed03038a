"""Load private keys and certificate chains from PEM files, with reasons that an analyst can act on."""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from notifications.errors import SealingUnavailableError


def load_private_key(path: Path, passphrase: bytes | None) -> PrivateKeyTypes:
    """Return the private key of a PEM file; raises SealingUnavailableError naming the file and the reason."""
    data = _read(path, "key")
    # A passphrase is for encrypted files only; a folder may hold both kinds.
    encrypted = b"ENCRYPTED" in data
    try:
        return load_pem_private_key(data, passphrase if encrypted else None)
    except TypeError:
        raise SealingUnavailableError(f"key {path} is encrypted and no passphrase is given") from None
    except (ValueError, UnsupportedAlgorithm):
        reason = "its passphrase is wrong, or it is damaged" if encrypted else "it is no private key in PEM"
        raise SealingUnavailableError(f"key {path} cannot be opened: {reason}") from None


def load_chain(path: Path) -> list[x509.Certificate]:
    """Return the certificates of a PEM file, leaf first; raises SealingUnavailableError."""
    try:
        return x509.load_pem_x509_certificates(_read(path, "certificate"))
    except ValueError:
        raise SealingUnavailableError(f"certificate file {path} holds no certificate in PEM") from None


def load_log_key(path: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    """Return the log's Ed25519 key; raises SealingUnavailableError."""
    key = load_private_key(path, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise SealingUnavailableError(f"key {path} is no Ed25519 key")
    return key


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SealingUnavailableError(f"{what} file {path} cannot be read: {error.strerror}") from None
