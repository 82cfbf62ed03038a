"""Build the parts for sealing: signer, timestamp authority, witnesses, and the log's record of the keys in use."""

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from notifications.audit.entry import parse_leaf
from notifications.errors import Fault, InvalidInputError, SealingUnavailableError
from notifications.mail_address import normal_address
from notifications.ports import Clock, TimestampAuthority
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.evidence.record_keys import record_keys
from notifications.use_cases.notices.sealing_dependencies import TimestampRequest
from service.audit_log.witness.client import WitnessClient, parse_witnesses
from service.crypto.cms_signer import CmsSigner
from service.crypto.demo_keys import DEMO_CA, KeyFiles
from service.crypto.key_files import Passphrases, load_chain
from service.crypto.timestamping import EmbeddedTimestampAuthority, HttpTimestampAuthority
from service.settings import Settings
from service.store import SqlTransaction, Store

#: What to do about a part that is for demonstration only.
DEMONSTRATION_ADVICE = {
    "signing_key": "notices are signed by a demonstration key that nobody outside trusts: set signing.chain_file",
    "timestamp_authority": "this process dates its own notices, which proves no date: set timestamps.url",
}
#: Days before the end of a certificate at which it counts as degraded.
_EXPIRY_WARNING_DAYS = 30
#: Most entries without an index that are read at a start; a crash or a command can leave some.
_ENTRIES_LOOKED_AT = 10_000


def cms_signer(settings: Settings, files: KeyFiles, passphrases: Passphrases, clock: Clock) -> CmsSigner:
    """Return the signer of notices and mails."""
    return CmsSigner(
        settings.signing.key_file or files.signing_key,
        settings.signing.chain_file or files.signing_chain,
        passphrases,
        clock,
        look_again_seconds=0.05,
    )


def timestamp_authority(
    settings: Settings, files: KeyFiles, passphrases: Passphrases, clock: Clock, stack: contextlib.AsyncExitStack
) -> TimestampAuthority:
    """Return the authority that the settings name; raises InvalidInputError. The stack closes it."""
    timestamps = settings.timestamps
    if timestamps.url is None:
        return EmbeddedTimestampAuthority(files.timestamp_key, files.timestamp_chain, passphrases)
    if timestamps.ca_file is None:
        raise InvalidInputError(Fault("timestamps.ca_file", "is needed with timestamps.url"))
    authority = HttpTimestampAuthority(
        timestamps.url,
        load_chain(timestamps.ca_file),
        independent=timestamps.independent,
        timeout_seconds=timestamps.timeout_seconds,
        ahead_seconds=timestamps.ahead_seconds,
        clock=clock,
    )
    stack.push_async_callback(authority.aclose)
    return authority


def certificate_of(authority: TimestampAuthority) -> bytes | None:
    """Return the certificate of the embedded timestamp authority (DER); None for another authority."""
    certificate = getattr(authority, "certificate", None)
    return certificate.public_bytes(Encoding.DER) if isinstance(certificate, x509.Certificate) else None


async def at_once(requests: Sequence[TimestampRequest]) -> list[bytes | None]:
    """Make the requests for the timestamps of one batch of notices, whose number is limited."""
    return await asyncio.gather(*(request() for request in requests))


def demonstration_parts(settings: Settings) -> tuple[str, ...]:
    """Return the parts that are for demonstration only: ``signing_key`` by a demo CA, own ``timestamp_authority``.

    Nobody can check their statements without trust in the provider. A certificate that cannot be read is reported
    elsewhere.
    """
    files = KeyFiles(settings.keys_dir, settings.trust_dir)
    found = []
    with contextlib.suppress(SealingUnavailableError):
        issuer = load_chain(settings.signing.chain_file or files.signing_chain)[0].issuer
        names = issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        if any(str(name.value).endswith(DEMO_CA) for name in names):
            found.append("signing_key")
    if settings.timestamps.url is None:
        found.append("timestamp_authority")
    return tuple(found)


def witness_clients(settings: Settings, stack: contextlib.AsyncExitStack) -> list[WitnessClient]:
    """Return the witnesses; raises InvalidInputError for a setting that names none. The stack closes them."""
    clients = []
    for witness in parse_witnesses(settings.witnesses.cosigners):
        client = WitnessClient(witness, ca_file=settings.witnesses.ca_file)
        stack.push_async_callback(client.aclose)
        clients.append(client)
    return clients


def address_or(signer: CmsSigner, otherwise: str) -> str:
    """Return the address in the signing certificate, or ``otherwise`` while there is no usable certificate."""
    try:
        return signer.address
    except SealingUnavailableError:
        return otherwise


def signing_health(signer: CmsSigner, sender: str, clock: Clock) -> str | None:
    """Return why nothing can be signed now, or that the certificate ends soon; None if all is well."""
    try:
        address, not_after = signer.address, signer.not_after
    except SealingUnavailableError as error:
        return str(error)
    days = (not_after - clock.now()).days
    if normal_address(address) != normal_address(sender):
        return f"mail.sender is {sender}, the signing certificate names {address}"
    if days < _EXPIRY_WARNING_DAYS:
        return f"the signing certificate {'expired' if days < 0 else f'expires in {days} days'}"
    return None


async def record_known_keys(
    store: Store, act: AuditContext, signer: CmsSigner, known: Mapping[str, str], authority: TimestampAuthority
) -> None:
    """Log the keys in use, including ``known``, unless the log has them already."""
    fingerprints = dict(known)
    with contextlib.suppress(SealingUnavailableError):
        fingerprints["signing"] = signer.fingerprint
    if (certificate := certificate_of(authority)) is not None:
        fingerprints["timestamp"] = hashlib.sha256(certificate).hexdigest()

    def work(tx: SqlTransaction) -> list[str]:
        waiting = [parse_leaf(item.leaf) for item in tx.audit.pending(_ENTRIES_LOOKED_AT)]
        appended = frozenset(leaf.subjects.get("key", "") for leaf in waiting if leaf.type == "key.activated")
        return record_keys(tx, act, fingerprints, appended=appended)

    await store.write(work)
