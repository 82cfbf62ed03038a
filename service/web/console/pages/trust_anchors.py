"""The provider's trust anchors as a page shows them, to be compared with what came by another way."""

import asyncio
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from notifications.errors import InvalidInputError
from service.audit_log.bundle_writer import read_anchors
from service.web.api.context import ApiContext


@dataclass(frozen=True, slots=True)
class Root:
    """One root certificate of the trust folder."""

    name: str
    #: hex SHA-256
    fingerprint: str


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """What this service says that its customers should have by another way."""

    signing: tuple[Root, ...]
    timestamps: tuple[Root, ...]
    #: verifier keys of the log, oldest first, one a line
    log_keys: str


async def trust_anchors(context: ApiContext) -> TrustAnchors:
    """Return the anchors; without roots where the trust folder cannot be read."""
    log_keys = context.keys.log_verifier_keys().strip()
    try:
        anchors = await asyncio.to_thread(read_anchors, context.settings.trust_dir)
        return TrustAnchors(_roots(anchors.ca), _roots(anchors.timestamp_roots), log_keys)
    except (InvalidInputError, ValueError):
        return TrustAnchors((), (), log_keys)


def _roots(pem: bytes) -> tuple[Root, ...]:
    return tuple(
        Root(certificate.subject.rfc4514_string(), certificate.fingerprint(hashes.SHA256()).hex())
        for certificate in dict.fromkeys(x509.load_pem_x509_certificates(pem))
    )
