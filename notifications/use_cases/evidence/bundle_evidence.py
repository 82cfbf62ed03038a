"""Collect the evidence on an incident, an announcement, a notice, a customer or a period: log entries and their parts.

The content of a bundle depends only on the entries under one checkpoint: a part is in it because an entry commits to
it, or, for a timestamp that notices share, because it is over that checkpoint or an earlier one. Later entries change
nothing, so the same bundle can be made again, byte for byte, until a part of it is erased. The entries are processed
one at a time, so that memory does not grow with the bundle.
"""

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from notifications.audit.checkpoint import parse_checkpoint_note
from notifications.audit.entry import Leaf, parse_leaf
from notifications.audit.merkle import consistency_proof, inclusion_proof
from notifications.audit.proof import format_consistency, format_notice_extra, format_proof, parse_proof
from notifications.errors import Fault, InvalidInputError, LogUnavailableError, NotFoundError
from notifications.evidence.bundle.contents import (
    ARTEFACTS,
    CONSISTENCY,
    CUSTOMER,
    OPEN_TO_CUSTOMER,
    PROOF,
    Header,
    Scope,
    entry_folder,
    opened_by,
)
from notifications.notice.seal import SealedNotice
from notifications.ports import Page, SequencedEntry, Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.evidence.prove_entry import entry_at

_ENTRIES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class BundleRequest:
    """The scope of a wanted bundle; at least one member must be set."""

    incident_id: UUID | None = None
    notice_id: UUID | None = None
    customer_id: UUID | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    announcement_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """The content of a bundle."""

    header: Header
    #: the checkpoint under which every entry is proven
    checkpoint: bytes
    #: indices of the entries, in ascending order
    indices: "array[int]"
    #: the cosignature lines of witnesses under the checkpoint; empty if there are none
    cosignatures: bytes = b""
    #: a timestamp over the checkpoint, or None
    token: bytes | None = None


def plan_bundle(tx: Transaction, wanted: BundleRequest, *, reader: str, language: str) -> BundlePlan:
    """Return the entries of a bundle. ``tx`` shows only what the reader of the bundle may see.

    The checkpoint is the newest one with a timestamp if it covers every entry found, else the latest one.

    Raises InvalidInputError for an empty request or period, NotFoundError if there is no such customer or no entry of
    the incident, announcement or notice, and LogUnavailableError before the first checkpoint.
    """
    if wanted == BundleRequest():
        raise InvalidInputError(Fault("", "name an incident, an announcement, a notice, a customer or a period"))
    if wanted.starts_at is not None and wanted.ends_at is not None and wanted.ends_at <= wanted.starts_at:
        raise InvalidInputError(Fault("ends_at", "must be after starts_at"))
    note = tx.log.checkpoint()
    if note is None:
        raise LogUnavailableError("the log has no checkpoint yet")
    checkpoint = parse_checkpoint_note(note)
    pseudonym = None
    if wanted.customer_id is not None:
        tx.customers.require(wanted.customer_id)
        pseudonym = tx.customers.pseudonym(wanted.customer_id)
    scope = Scope(
        wanted.incident_id, wanted.notice_id, pseudonym, wanted.starts_at, wanted.ends_at, wanted.announcement_id
    )
    indices = array("q")
    for entry in _entries(tx, scope, checkpoint.size):
        if entry.index < checkpoint.size and scope.holds(parse_leaf(entry.leaf)):
            indices.append(entry.index)
    if not indices and (named := wanted.notice_id or wanted.announcement_id or wanted.incident_id) is not None:
        raise NotFoundError("evidence of", named)
    token, timestamped = None, tx.log.timestamped_checkpoint()
    if timestamped is not None and indices and indices[-1] < timestamped.size:
        note, checkpoint, token = timestamped.note, parse_checkpoint_note(timestamped.note), timestamped.token
    header = Header(scope, reader, language, checkpoint.origin, checkpoint.size, len(indices))
    return BundlePlan(header, note, indices, "".join(tx.log.cosignatures(checkpoint.size)).encode(), token)


def _entries(tx: Transaction, scope: Scope, size: int) -> Iterator[SequencedEntry]:
    """Yield the entries that may be in the scope, oldest first, by the most selective subject."""
    subject = next(iter(scope.subjects), None)
    if subject is None:
        start = 0
        while start < size and (entries := tx.audit.entries(start, _ENTRIES_AT_ONCE)):
            yield from entries
            start = entries[-1].index + 1
        return
    cursor = None
    while True:
        found, cursor = tx.audit.about(*subject, Page(_ENTRIES_AT_ONCE, cursor))
        yield from found
        if cursor is None or (found and found[-1].index >= size):
            return


def entry_parts(tx: Transaction, plan: BundlePlan, index: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each part of an entry, sorted by name.

    1. The parts to which the leaf commits, if the reader may have them, and the parts whose digest it contains. Erased
       parts are missing. A timestamp that notices share comes with the proof whose checkpoint it is over, and with
       the proof that the bundle's checkpoint extends that one.
    2. The leaf with its proof under the bundle's checkpoint, and the salts that open these parts.
    """
    entry = entry_at(tx, index)
    leaf = parse_leaf(entry.leaf)
    openings = disclosed(leaf, tx.audit.openings(entry.entry_id), plan.header.reader)
    # 1.
    parts = _artefacts(tx, leaf, openings, plan.header.tree_size)
    salts = {}
    for name, (salt, value) in openings.items():
        part = opened_by(leaf.type, name)
        if part not in ARTEFACTS:
            parts[part] = value
        if part in parts:
            salts[name] = salt
    # 2.
    hashes = inclusion_proof(index, plan.header.tree_size, tx.log.node_hashes)
    parts[PROOF] = format_proof(index, hashes, plan.checkpoint, format_notice_extra(entry.leaf, salts))
    folder = entry_folder(index)
    for name in sorted(parts):
        yield folder + name, parts[name]


def disclosed(
    leaf: Leaf, openings: Mapping[str, tuple[bytes, bytes]], reader: str
) -> Mapping[str, tuple[bytes, bytes]]:
    """Return the openings of an entry that a reader may have."""
    return {} if reader == CUSTOMER and leaf.type not in OPEN_TO_CUSTOMER else openings


def _artefacts(tx: Transaction, leaf: Leaf, openings: Mapping[str, object], tree_size: int) -> dict[str, bytes]:
    if leaf.type in {"notice.sealed", "notice.timestamped"}:
        sealed = tx.notices.seal(UUID(leaf.subjects["notice"]))
        return {} if sealed is None or not openings else _sealed_parts(tx, sealed, leaf, tree_size)
    if leaf.type == "delivery.attempted" and leaf.detail.get("message_sha256") is not None:
        message = tx.deliveries.message_sent(UUID(leaf.subjects["delivery"]))
        # Only the message of the last attempt is stored.
        if message is not None and hashlib.sha256(message).hexdigest() == leaf.detail["message_sha256"]:
            return {"message.json" if leaf.detail.get("channel") == "webhook" else "message.eml": message}
    return {}


def _sealed_parts(tx: Transaction, sealed: SealedNotice, leaf: Leaf, tree_size: int) -> dict[str, bytes]:
    parts = {"notice.json.p7s": sealed.signature}
    if sealed.timestamp is not None and "timestamp" in leaf.commitments:
        parts["notice.json.tsr"] = sealed.timestamp
    if leaf.type == "notice.timestamped":
        return parts
    parts["notice.json"] = sealed.document
    if sealed.shares_timestamp and sealed.timestamp is not None and sealed.log_proof is not None:
        under = parse_checkpoint_note(parse_proof(sealed.log_proof).checkpoint)
        if under.size <= tree_size:
            parts["notice.json.tsr"], parts["notice.tlog-proof"] = sealed.timestamp, sealed.log_proof
            parts[CONSISTENCY] = format_consistency(consistency_proof(under.size, tree_size, tx.log.node_hashes))
    if sealed.resources_csv is not None:
        parts["resources.csv"] = sealed.resources_csv
    zoned: dict[str, int] = {}
    for words in sealed.renderings:
        name = f"words.{words.language}"
        if words.time_zone is not None:
            zoned[name] = zoned.get(name, 0) + 1
            name = f"{name}.{zoned[name]}"
        parts[f"{name}.html"], parts[f"{name}.txt"] = words.html.encode(), words.text.encode()
    return parts


def record_bundle(tx: Transaction, act: AuditContext, plan: BundlePlan, sums_digest: bytes) -> None:
    """Record who gets which evidence, before it is handed over.

    The mails in a bundle may contain links to acknowledge. A person who assesses an acknowledgement later can see who
    else had these links.
    """
    entry = act.entry(
        "bundle.made",
        subjects=dict(plan.header.scope.subjects),
        detail={
            "reader": plan.header.reader,
            "tree_size": plan.header.tree_size,
            "entries": plan.header.entries,
            "sums_sha256": sums_digest.hex(),
        },
    )
    tx.audit.append([entry])
