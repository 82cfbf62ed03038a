"""Load private keys and certificate chains from PEM files; errors say what an operator can do."""

import re
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from notifications.audit.note import CosignerKey
from notifications.errors import SealingUnavailableError

#: One private key in a file that may also contain certificates and other text (RFC 7468, 5.2).
PRIVATE_KEY_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----\r?\n?", re.DOTALL)

#: Passphrases of encrypted keys: none, one, or several that are tried in order.
Passphrases = bytes | Sequence[bytes] | None

WritableKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | CosignerKey


def load_private_key(path: Path, passphrases: Passphrases) -> PrivateKeyTypes:
    """Return the first private key of a PEM file; raises SealingUnavailableError naming the file and the reason."""
    return parse_private_key(read_file(path, "key"), passphrases, path)


def parse_private_key(data: bytes, passphrases: Passphrases, path: Path) -> PrivateKeyTypes:
    """Return the first private key in a file's contents; raises SealingUnavailableError naming the file."""
    block = PRIVATE_KEY_BLOCK.search(data)
    pem = block[0] if block else data
    # Only encrypted keys need a passphrase; a folder may have both kinds of keys.
    encrypted = b"ENCRYPTED" in pem
    given = [passphrases] if isinstance(passphrases, bytes) else list(passphrases or ())
    candidates: list[bytes | None] = [item for item in given if item] if encrypted else [None]
    if not candidates:
        raise SealingUnavailableError(f"key {path} is encrypted and no passphrase is given") from None
    for candidate in candidates:
        try:
            return load_pem_private_key(pem, candidate)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
    reason = "its passphrase is wrong, or it is damaged" if encrypted else "it is no private key in PEM"
    raise SealingUnavailableError(f"key {path} cannot be opened: {reason}")


def private_pem(key: WritableKey, passphrase: bytes | None) -> bytes:
    """Return the key as PKCS #8 in PEM, encrypted when there is a passphrase."""
    protection: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def is_encrypted(data: bytes) -> bool:
    """Return whether every private key in a file's contents is encrypted."""
    return all(b"ENCRYPTED" in match[0] for match in PRIVATE_KEY_BLOCK.finditer(data))


def load_chain(path: Path) -> list[x509.Certificate]:
    """Return the certificates of a PEM file, leaf first; raises SealingUnavailableError."""
    return parse_chain(read_file(path, "certificate"), path)


def parse_chain(data: bytes, path: Path) -> list[x509.Certificate]:
    """Return the certificates in a file's contents, leaf first; raises SealingUnavailableError naming the file."""
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise SealingUnavailableError(f"certificate file {path} holds no certificate in PEM") from None


def load_log_key(path: Path, passphrases: Passphrases) -> Ed25519PrivateKey:
    """Return the log's current Ed25519 key; raises SealingUnavailableError."""
    return ed25519_key(load_private_key(path, passphrases), path)


def load_cosigner_keys(path: Path) -> tuple[CosignerKey, ...]:
    """Return the keys of a witness in the order of the file; raises SealingUnavailableError."""
    data = read_file(path, "key")
    blocks = [block[0] for block in PRIVATE_KEY_BLOCK.finditer(data)] or [data]
    keys = [parse_private_key(block, None, path) for block in blocks]
    return tuple(key if isinstance(key, MLDSA44PrivateKey) else ed25519_key(key, path) for key in keys)


def ed25519_key(key: PrivateKeyTypes, path: Path) -> Ed25519PrivateKey:
    """Return the key as an Ed25519 key; raises SealingUnavailableError for another kind."""
    if not isinstance(key, Ed25519PrivateKey):
        raise SealingUnavailableError(f"key {path} is no Ed25519 key")
    return key


def read_file(path: Path, what: str) -> bytes:
    """Return a file's bytes; raises SealingUnavailableError naming it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SealingUnavailableError(f"{what} file {path} cannot be read: {error.strerror}") from None


def stamp_of(path: Path) -> tuple[int, ...]:
    """Return a stamp that changes when a file is replaced or written to; (0,) for a missing file."""
    try:
        status = path.stat()
    except OSError:
        return (0,)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
