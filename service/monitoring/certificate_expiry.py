"""Expiry of the service's own certificates. A chain expires when the first of its certificates expires."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from notifications.errors import SealingUnavailableError
from service.crypto.demo_keys import KeyFiles
from service.crypto.key_files import load_chain
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class CertificateEnd:
    """A chain of certificates in use."""

    #: ``signing`` or ``timestamp``
    use: str
    #: hex SHA-256 of the certificate that ends first
    fingerprint: str
    not_after: datetime


def certificate_ends(settings: Settings) -> list[CertificateEnd]:
    """Return when the chains in use expire. An unreadable chain is left out, because the readiness check reports it."""
    files = KeyFiles(settings.keys_dir, settings.trust_dir)
    chains: Sequence[tuple[str, Path | None]] = (
        ("signing", settings.signing.chain_file or files.signing_chain),
        ("timestamp", files.timestamp_chain if settings.timestamps.url is None else settings.timestamps.ca_file),
    )
    return [end for use, path in chains if path is not None for end in _first_to_end(use, path)]


def _first_to_end(use: str, path: Path) -> list[CertificateEnd]:
    try:
        chain: Sequence[x509.Certificate] = load_chain(path)
    except SealingUnavailableError:
        return []
    first = min(chain, key=lambda certificate: certificate.not_valid_after_utc)
    return [CertificateEnd(use, first.fingerprint(hashes.SHA256()).hex(), first.not_valid_after_utc)]
