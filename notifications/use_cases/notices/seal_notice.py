"""Seal released notices: compose, sign, timestamp, log, prove. Numbered as in docs/architecture.md.

1. Compose the document from the released facts, for the current contacts of the customer.
2. Sign it. Without a usable key, hold the notice with the reason, which the audit log has too, and send nothing.
3. Timestamp the signature. If the authority does not answer, go on: the timestamp is added later. A notice that shares
   its timestamp gets it in step 5.
4. Commit the seal, the deliveries and the audit entry in one transaction.
5. Wait for the checkpoint that covers the entry, and store the proof. If the notice shares its timestamp, the
   checkpoint is one with a timestamp, as far as the authority answers.

After a crash the same steps continue from the stored state.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.delivery.delivery import ChannelKind, Delivery
from notifications.errors import LogUnavailableError, StateConflictError, TimestampUnavailableError
from notifications.notice import NoticeState
from notifications.notice.seal import SealedNotice, SealedRendering
from notifications.ports import Transaction
from notifications.use_cases.announcements.letters import open_letter
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.evidence.prove_entry import notice_proofs
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.notices.escalate import begin_escalation
from notifications.use_cases.notices.queue_deliveries import delivery_to, queued_entry
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies
from notifications.use_cases.notices.shared_timestamp import record_shared, shared_checkpoint
from notifications.use_cases.notices.sign_notices import NoticeSigning, PreparedNotice, sign_notices


async def commit_seals(
    notice_ids: Sequence[UUID], sealing: SealingDependencies, sign: NoticeSigning = sign_notices
) -> list[UUID]:
    """Do steps 1 to 4 for several notices; return those that this call sealed.

    Their data is read together, and their seals are committed together: all or none. After an error none is sealed by
    this call, and the caller seals them one by one, so that only the faulty one fails. ``sign`` does steps 1 to 3.
    """
    # 1. to 3.
    signed = await sign(notice_ids, sealing)
    for item in signed:
        if item.hold_reason is not None:
            await hold_notice(item.prepared.notice.id, item.hold_reason, sealing)
    seals = [
        (item.prepared, _seal_of(item.prepared, item.signature, item.timestamp, sealing))
        for item in signed
        if item.signature is not None
    ]
    if not seals:
        return []
    # 4.
    return await sealing.unit_of_work.write(_commit(seals, sealing), concurrently=True)


def _seal_of(
    prepared: PreparedNotice, signature: bytes, timestamp: bytes | None, sealing: SealingDependencies
) -> SealedNotice:
    composed = prepared.composed
    return SealedNotice(
        notice_id=prepared.notice.id,
        document=composed.document,
        signature=signature,
        timestamp=timestamp,
        timestamp_independent=sealing.timestamp_authority.independent,
        resources_csv=composed.resources_csv,
        sealed_at=sealing.clock.now(),
        renderings=tuple(
            SealedRendering(language, words.subject, words.text, words.html, zone)
            for (language, zone), words in (
                *(((language, None), words) for language, words in sorted(composed.rendered.items())),
                *sorted(composed.zoned.items()),
            )
        ),
        shares_timestamp=composed.shares_timestamp,
    )


def _commit(
    seals: Sequence[tuple[PreparedNotice, SealedNotice]], sealing: SealingDependencies
) -> Callable[[Transaction], list[UUID]]:
    act = sealing.act()

    def work(tx: Transaction) -> list[UUID]:
        current = tx.notices.some([sealed.notice_id for _, sealed in seals])
        # Another process may have sealed some of them meanwhile.
        left = [
            (item, sealed, notice)
            for item, sealed in seals
            if (notice := current.get(sealed.notice_id)) is not None and notice.state is NoticeState.RELEASED
        ]
        tx.customers.load({notice.customer_id for _, _, notice in left})
        entries: list[AuditEntry] = []
        queued: list[Delivery] = []
        sealed_entries: list[tuple[SealedNotice, UUID]] = []
        for item, sealed, notice in left:
            pseudonym = tx.customers.pseudonym(notice.customer_id)
            deliveries = [delivery_to(item.notice, target, act, sealing.mail_domain) for target in item.targets]
            entry = _sealed_entry(act, item, sealed, pseudonym)
            sealed_entries.append((sealed, entry.id))
            tx.notices.save(
                replace(
                    notice,
                    state=NoticeState.SEALED,
                    sealed_at=sealed.sealed_at,
                    hold_reason=None,
                    version=notice.version + 1,
                ),
                notice.version,
            )
            queued += deliveries
            entries += [entry, *(queued_entry(act, item.notice, pseudonym, delivery) for delivery in deliveries)]
        tx.notices.add_seals(sealed_entries)
        tx.deliveries.add(queued)
        for item, sealed, notice in left:
            # An exercise calls nobody and turns to nobody else. A letter has its own task.
            if not notice.exercise and item.mailed:
                reachable = any(target.channel is not ChannelKind.CONSOLE for target in item.targets)
                at, policy = sealed.sealed_at, sealing.escalation
                begin_escalation(tx, item.notice, at, policy, reachable=reachable, in_console=item.in_console)
        tx.audit.append(entries)
        for item, _, _ in left:
            if item.by_letter:
                open_letter(tx, act, item.notice)
        return [sealed.notice_id for _, sealed, _ in left]

    return work


def _sealed_entry(act: AuditContext, prepared: PreparedNotice, sealed: SealedNotice, pseudonym: str) -> AuditEntry:
    """Return the entry of a seal. It commits to every part of the notice, so that no byte can be changed later."""
    notice, targets = prepared.notice, prepared.targets
    parts = {"document": sealed.document, "signature": sealed.signature}
    if sealed.timestamp is not None:
        parts["timestamp"] = sealed.timestamp
    return act.entry(
        "notice.sealed",
        subjects=notice_subjects(notice, pseudonym),
        detail={
            "ticket": prepared.ticket,
            "sequence": notice.sequence,
            "kind": notice.kind.value,
            "facts_version": notice.facts_version,
            "timestamped": sealed.timestamp is not None,
            "deliveries": len(targets),
            "mail_recipients": sum(target.channel is ChannelKind.EMAIL for target in targets),
        },
        digests={name: hashlib.sha256(part).digest() for name, part in parts.items()},
        exercise=notice.exercise,
    )


async def prove_notices(
    notice_ids: Sequence[UUID], sealing: SealingDependencies, *, without_timestamp: bool = True
) -> None:
    """Wait until a checkpoint covers the entries of seals, and store the proofs: all or none.

    The proofs of notices that share a timestamp are under a checkpoint that has one. If the authority does not answer,
    they are stored without it, or, unless ``without_timestamp``, TimestampUnavailableError is raised.

    Raises LogUnavailableError. After another error the caller proves them one by one.
    """
    entry_ids, sharing = await sealing.unit_of_work.read(
        lambda tx: (tx.notices.seal_entry_ids(notice_ids), tx.notices.owing_shared_timestamp(notice_ids))
    )
    for notice_id in notice_ids:
        if notice_id not in entry_ids:
            raise LogUnavailableError(f"the seal of notice {notice_id} has no audit entry")
    indices = await sealing.log.all_included(list(entry_ids.values()))
    stamped = None
    try:
        if sharing:
            stamped = await shared_checkpoint(max(indices.values()) + 1, sealing)
    except TimestampUnavailableError:
        if not without_timestamp:
            raise

    def proofs(tx: Transaction) -> dict[UUID, bytes]:
        proven = notice_proofs(tx, list(entry_ids.values()), None if stamped is None else stamped.note)
        return {notice_id: proven[entry_id] for notice_id, entry_id in entry_ids.items()}

    texts = await sealing.unit_of_work.read(proofs)

    def record(tx: Transaction) -> None:
        owing = tx.notices.owing_log_proof(notice_ids)
        tx.notices.set_log_proofs({notice_id: text for notice_id, text in texts.items() if notice_id in owing})
        if stamped is not None:
            record_shared(tx, stamped, texts, owing, independent=sealing.timestamp_authority.independent)

    try:
        await sealing.unit_of_work.write(record, concurrently=True)
    except StateConflictError:
        # Another process stored a proof at the same time, which is as good as this one; the others are stored singly.
        if len(notice_ids) > 1:
            for notice_id in notice_ids:
                await prove_notices([notice_id], sealing, without_timestamp=without_timestamp)


async def hold_notice(notice_id: UUID, reason: str, sealing: SealingDependencies) -> None:
    """Record why a released notice is not sealed. The same reason is not recorded twice."""
    act = sealing.act()

    def work(tx: Transaction) -> None:
        notice = tx.notices.get(notice_id)
        if notice is None or notice.hold_reason == reason:
            return
        tx.notices.save(replace(notice, hold_reason=reason, version=notice.version + 1), notice.version)
        tx.audit.append([
            act.entry(
                "notice.held",
                subjects=notice_subjects(notice, tx.customers.pseudonym(notice.customer_id)),
                detail={"sequence": notice.sequence},
                private={"reason": reason},
                exercise=notice.exercise,
            )
        ])  # fmt: skip

    await sealing.unit_of_work.write(work)


async def obtain_timestamp(notice_id: UUID, sealing: SealingDependencies) -> None:
    """Obtain the missing timestamp of a sealed notice; raises TimestampUnavailableError.

    The token is stored with its own audit entry. Mails that were sent before state that the timestamp follows.
    """
    sealed = await sealing.unit_of_work.read(lambda tx: tx.notices.seal(notice_id))
    if sealed is None or sealed.timestamp is not None:
        return
    token = await sealing.timestamp_authority.timestamp(sealed.signature)
    act = sealing.act()

    def work(tx: Transaction) -> None:
        notice, current = tx.notices.get(notice_id), tx.notices.seal(notice_id)
        if notice is None or current is None or current.timestamp is not None:
            return
        tx.notices.set_timestamp(notice_id, token, independent=sealing.timestamp_authority.independent)
        tx.audit.append([
            act.entry(
                "notice.timestamped",
                subjects=notice_subjects(notice, tx.customers.pseudonym(notice.customer_id)),
                detail={"sequence": notice.sequence},
                digests={"timestamp": hashlib.sha256(token).digest()},
                exercise=notice.exercise,
            )
        ])  # fmt: skip

    await sealing.unit_of_work.write(work)
