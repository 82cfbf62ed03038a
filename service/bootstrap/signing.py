"""What seals, wired: signer, timestamp authority, and the keys that the log is told of."""

import contextlib
from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from notifications.audit.entry import parse_leaf
from notifications.errors import Fault, InvalidInputError, SealingUnavailableError
from notifications.mail_address import normal_address
from notifications.ports import Clock, TimestampAuthority
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.evidence.record_keys import record_keys
from service.audit_log.witness.client import WitnessClient, parse_witnesses
from service.crypto.cms_signer import CmsSigner
from service.crypto.demo_keys import KeyFiles
from service.crypto.key_files import Passphrases, load_chain
from service.crypto.timestamping import EmbeddedTimestampAuthority, HttpTimestampAuthority
from service.settings import Settings
from service.store import SqlTransaction, Store

#: Certificates that expire within so many days are warned of.
_EXPIRY_WARNING_DAYS = 30
#: Entries without an index at a start: those that a crash or a command left.
_ENTRIES_LOOKED_AT = 10_000


def timestamp_authority(
    settings: Settings, files: KeyFiles, passphrases: Passphrases, stack: contextlib.AsyncExitStack
) -> TimestampAuthority:
    """Return the authority that the settings name; raises InvalidInputError. The stack closes it."""
    if settings.timestamp_url is None:
        return EmbeddedTimestampAuthority(files.timestamp_key, files.timestamp_chain, passphrases)
    if settings.timestamp_ca_file is None:
        raise InvalidInputError(Fault("timestamp_ca_file", "is needed with timestamp_url"))
    authority = HttpTimestampAuthority(
        settings.timestamp_url,
        load_chain(settings.timestamp_ca_file),
        independent=settings.timestamp_independent,
        timeout_seconds=settings.timestamp_timeout_seconds,
    )
    stack.push_async_callback(authority.aclose)
    return authority


def witness_clients(settings: Settings, stack: contextlib.AsyncExitStack) -> list[WitnessClient]:
    """Return who cosigns each head; raises InvalidInputError for a setting that names no witness. The stack closes."""
    clients = []
    for witness in parse_witnesses(settings.witnesses):
        client = WitnessClient(
            witness, timeout_seconds=settings.witness_timeout_seconds, ca_file=settings.witness_ca_file
        )
        stack.push_async_callback(client.aclose)
        clients.append(client)
    return clients


def address_or(signer: CmsSigner, otherwise: str) -> str:
    """Return the address that the signing certificate names, or another while there is no usable one."""
    try:
        return signer.address
    except SealingUnavailableError:
        return otherwise


def signing_health(signer: CmsSigner, sender: str, clock: Clock) -> str | None:
    """Return why nothing can be signed, or will not be soon; None when all is well."""
    try:
        address, not_after = signer.address, signer.not_after
    except SealingUnavailableError as error:
        return str(error)
    days = (not_after - clock.now()).days
    if normal_address(address) != normal_address(sender):
        return f"mail_from is {sender}, the signing certificate names {address}"
    if days < _EXPIRY_WARNING_DAYS:
        return f"the signing certificate {'expired' if days < 0 else f'expires in {days} days'}"
    return None


async def record_known_keys(
    store: Store, act: AuditContext, signer: CmsSigner, known: Mapping[str, str], authority: TimestampAuthority
) -> None:
    """Tell the log which keys are in use, beside the ``known`` ones, where it does not say so already."""
    fingerprints = dict(known)
    with contextlib.suppress(SealingUnavailableError):
        fingerprints["signing"] = signer.fingerprint
    certificate = getattr(authority, "certificate", None)
    if isinstance(certificate, x509.Certificate):
        fingerprints["timestamp"] = certificate.fingerprint(hashes.SHA256()).hex()

    def work(tx: SqlTransaction) -> list[str]:
        waiting = [parse_leaf(item.leaf) for item in tx.pending_leaves(_ENTRIES_LOOKED_AT)]
        appended = frozenset(leaf.subjects.get("key", "") for leaf in waiting if leaf.type == "key.activated")
        return record_keys(tx, act, fingerprints, appended=appended)

    await store.write(work)
