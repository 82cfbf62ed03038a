"""Seal a released notice: compose, sign, timestamp, log, prove. Numbered as in docs/architecture.md."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from notifications.agreement.commitments import NoticeChannel as AgreedChannel
from notifications.audit.proof import format_notice_extra
from notifications.customer.legal_profile import entity_of
from notifications.customer.records import Contact
from notifications.delivery.delivery import ChannelKind
from notifications.delivery.escalation_plan import DEFAULT_ESCALATION_POLICY, EscalationPolicy
from notifications.errors import (
    LogUnavailableError,
    SealingUnavailableError,
    StateConflictError,
    TimestampUnavailableError,
)
from notifications.mail_address import normal_address
from notifications.notice import (
    ComposedNotice,
    Notice,
    NoticeState,
    Provider,
    compose_announcement,
    compose_notice,
)
from notifications.notice.seal import SealedNotice, SealedRendering
from notifications.ports import (
    Clock,
    Identifiers,
    Log,
    PdfMaker,
    Signer,
    TimestampAuthority,
    Transaction,
    UnitOfWork,
)
from notifications.use_cases.announcements.announce import announced_terms
from notifications.use_cases.announcements.letters import open_letter
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.evidence.prove_entry import entry_proof, salts, sequenced_entry
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.incidents.customer_decider import Agreements, DeciderCache, customer_case
from notifications.use_cases.notices.escalate import begin_escalation
from notifications.use_cases.notices.queue_deliveries import (
    Target,
    comes_in_console,
    delivery_to,
    queued_entry,
    targets_of,
)

#: The actor of sealing and sending in the audit log.
WORKER = "system:worker"


@dataclass(frozen=True, slots=True)
class SealingDependencies:
    """The dependencies of sealing and delivery."""

    unit_of_work: UnitOfWork
    log: Log
    signer: Signer
    timestamp_authority: TimestampAuthority
    clock: Clock
    identifiers: Identifiers
    agreements: Agreements
    provider: Provider
    #: the From address of every mail; the signing certificate must contain it
    sender: str
    #: the times of escalation
    escalation: EscalationPolicy = DEFAULT_ESCALATION_POLICY
    #: makes the PDFs of notices; None if it is not installed
    pdf_maker: PdfMaker | None = None
    #: cache of the deciders of recent facts
    deciders: DeciderCache = field(default_factory=DeciderCache)

    @property
    def mail_domain(self) -> str:
        """Right-hand side of Message-IDs."""
        return self.sender.rpartition("@")[2]

    def act(self) -> AuditContext:
        """Return the worker as actor, at the current time."""
        return AuditContext(WORKER, self.clock.now(), self.identifiers)


@dataclass(frozen=True, slots=True)
class _Prepared:
    notice: Notice
    targets: Sequence[Target]
    composed: ComposedNotice
    ticket: str
    in_console: bool
    #: the agreement asks for a registered letter
    by_letter: bool
    #: contacts get it by mail; False if the agreement wants a registered letter and no mail
    mailed: bool


async def seal_notice(notice_id: UUID, sealing: SealingDependencies) -> bool:
    """Seal one released notice and queue its deliveries. Returns whether this call sealed it.

    Returns False if there is no usable key; the reason is then recorded on the notice and in the audit log. Returns
    False also if another process has sealed the notice. After a crash, a new call continues from the stored state.

    1. Compose the document from the released facts, for the current contacts of the customer.
    2. Sign it. Without a usable key, hold the notice with the reason and send nothing.
    3. Timestamp the signature. If the authority does not answer, go on: the timestamp is added later.
    4. Commit the seal, the deliveries and the audit entry in one transaction.
    5. Wait for the checkpoint that covers the entry, and store the proof. Raises LogUnavailableError.
    """
    # 1. to 4.
    committed = await commit_seal(notice_id, sealing)
    if committed:
        # 5.
        await prove_notice(notice_id, sealing)
    return committed


async def commit_seal(notice_id: UUID, sealing: SealingDependencies) -> bool:
    """Do steps 1 to 4 of ``seal_notice``, for a caller that waits for many proofs together."""
    # 1.
    prepared = await sealing.unit_of_work.read(lambda tx: _compose(tx, notice_id, sealing))
    if prepared is None:
        return False
    if prepared.notice.exercise and not prepared.targets:
        await hold_notice(notice_id, "no contact of the customer takes part in exercises any more", sealing)
        return False
    composed = prepared.composed
    # 2.
    try:
        verify_sender(sealing.signer, sealing.sender)
        signature = sealing.signer.sign_detached(composed.document)
    except SealingUnavailableError as error:
        await hold_notice(notice_id, str(error), sealing)
        return False
    # 3.
    try:
        timestamp: bytes | None = await sealing.timestamp_authority.timestamp(signature)
    except TimestampUnavailableError:
        timestamp = None
    # 4.
    sealed = SealedNotice(
        notice_id=notice_id,
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
    )
    return await sealing.unit_of_work.write(_commit(prepared, sealed, sealing), concurrently=True)


def verify_sender(signer: Signer, sender: str) -> None:
    """Raise SealingUnavailableError unless the signing certificate contains the sender's address."""
    named = signer.address
    if normal_address(sender) != normal_address(named):
        raise SealingUnavailableError(
            f"the From address {sender} is not the one the signing certificate names ({named})"
        )


def _compose(tx: Transaction, notice_id: UUID, sealing: SealingDependencies) -> _Prepared | None:
    notice = tx.notices.get(notice_id)
    if notice is None or notice.state is not NoticeState.RELEASED:
        return None
    # Render every language a contact may need: renderings cannot be added after sealing.
    readers = [contact for contact in tx.customers.contacts(notice.customer_id) if contact.active]
    composed, ticket = compose_from_store(tx, notice, readers, sealing)
    said = json.loads(composed.document).get("announcement") if notice.announces else None
    by_letter = said is not None and AgreedChannel.REGISTERED_LETTER in said["channels"]
    mailed = said is None or not by_letter or AgreedChannel.EMAIL in said["channels"]
    targets = targets_of(tx, notice, mailed=mailed)
    return _Prepared(notice, targets, composed, ticket, comes_in_console(tx, notice), by_letter, mailed)


def compose_from_store(
    tx: Transaction,
    notice: Notice,
    contacts: Sequence[Contact],
    sealing: SealingDependencies,
    extra_languages: Sequence[str] = (),
) -> tuple[ComposedNotice, str]:
    """Return the notice as it would be sealed now, and its ticket. The preview before the release uses this too."""
    incident = tx.incidents.get(notice.incident_id)
    facts = tx.incidents.facts_at(notice.incident_id, notice.facts_version)
    if incident is None or facts is None:
        raise LookupError(f"the store has no facts for notice {notice.id}")
    customer = tx.customers.require(notice.customer_id)
    earlier = [
        other
        for other in tx.notices.of_incident(notice.incident_id, notice.customer_id)
        if other.sequence < notice.sequence and other.state in {NoticeState.RELEASED, NoticeState.SEALED}
    ]
    last = max(earlier, key=lambda other: other.sequence, default=None)
    seal_of_last = tx.notices.seal(last.id) if last is not None else None
    supersedes = None
    if last is not None and seal_of_last is not None:
        supersedes = last.sequence, hashlib.sha256(seal_of_last.document).hexdigest()
    previous = tx.incidents.facts_at(notice.incident_id, last.facts_version) if last is not None else None
    languages = sorted({customer.language, *(contact.language for contact in contacts), *extra_languages})
    zones = sorted(
        {
            (contact.language, contact.time_zone)
            for contact in contacts
            if contact.time_zone is not None and contact.time_zone != customer.time_zone
        }
    )
    case = customer_case(tx, customer)
    if facts.announcement is not None:
        announced = facts.announcement
        terms, kind = announced_terms(case, facts, announced, sealing.agreements)
        composed = compose_announcement(
            notice=notice,
            incident=incident,
            facts=facts,
            announced=announced,
            kind=kind,
            previous=None if previous is None else previous.announcement,
            customer=customer,
            agreement=terms,
            provider=sealing.provider,
            issued_at=sealing.clock.now(),
            supersedes=supersedes,
            timestamp_independent=sealing.timestamp_authority.independent,
            languages=languages,
            zones=zones,
        )
        return composed, incident.ticket
    decider = sealing.deciders.of(facts, sealing.agreements)
    decision, terms = decider.decide(case), decider.terms(case)
    composed = compose_notice(
        notice=notice,
        incident=incident,
        facts=facts,
        previous_facts=previous,
        classification=decider.classification(terms),
        decision=decision,
        customer=customer,
        agreement=terms,
        provider=sealing.provider,
        issued_at=sealing.clock.now(),
        supersedes=supersedes,
        timestamp_independent=sealing.timestamp_authority.independent,
        languages=languages,
        zones=zones,
        entity=entity_of(tx.duties.legal_profile(customer.id)),
        law=sealing.agreements.duties.law,
    )
    return composed, incident.ticket


def _commit(prepared: _Prepared, sealed: SealedNotice, sealing: SealingDependencies) -> Callable[[Transaction], bool]:
    act = sealing.act()
    notice = prepared.notice
    # The entry commits to every part of the notice, so that no byte can be changed later.
    parts = {"document": sealed.document, "signature": sealed.signature}
    if sealed.timestamp is not None:
        parts["timestamp"] = sealed.timestamp

    def work(tx: Transaction) -> bool:
        current = tx.notices.get(notice.id)
        if current is None or current.state is not NoticeState.RELEASED:
            return False
        pseudonym = tx.customers.pseudonym(notice.customer_id)
        deliveries = [delivery_to(notice, target, act, sealing.mail_domain) for target in prepared.targets]
        entry = act.entry(
            "notice.sealed",
            subjects=notice_subjects(notice, pseudonym),
            detail={
                "ticket": prepared.ticket,
                "sequence": notice.sequence,
                "kind": notice.kind.value,
                "facts_version": notice.facts_version,
                "timestamped": sealed.timestamp is not None,
                "deliveries": len(deliveries),
                "mail_recipients": sum(target.channel is ChannelKind.EMAIL for target in prepared.targets),
            },
            digests={name: hashlib.sha256(part).digest() for name, part in parts.items()},
            exercise=notice.exercise,
        )
        tx.notices.add_seal(sealed, entry.id)
        tx.notices.save(
            replace(
                current,
                state=NoticeState.SEALED,
                sealed_at=sealed.sealed_at,
                hold_reason=None,
                version=current.version + 1,
            ),
            current.version,
        )
        tx.deliveries.add(deliveries)
        reachable = any(target.channel is not ChannelKind.CONSOLE for target in prepared.targets)
        # An exercise calls nobody and turns to nobody else. What goes by letter only is followed by its letter task.
        if not notice.exercise and prepared.mailed:
            begin_escalation(
                tx, notice, sealed.sealed_at, sealing.escalation, reachable=reachable, in_console=prepared.in_console
            )
        tx.audit.append([
            entry,
            *(queued_entry(act, notice, pseudonym, delivery) for delivery in deliveries),
        ])  # fmt: skip
        if prepared.by_letter:
            open_letter(tx, act, notice)
        return True

    return work


async def prove_notice(notice_id: UUID, sealing: SealingDependencies) -> None:
    """Wait until a checkpoint covers the seal's entry, and store the proof; raises LogUnavailableError."""
    entry_id = await sealing.unit_of_work.read(lambda tx: tx.notices.seal_entry_id(notice_id))
    if entry_id is None:
        raise LogUnavailableError(f"the seal of notice {notice_id} has no audit entry")
    await sealing.log.included(entry_id)

    def proof(tx: Transaction) -> bytes:
        entry = sequenced_entry(tx, entry_id)
        openings = salts(tx.audit.openings(entry_id))
        return entry_proof(tx, entry, format_notice_extra(entry.leaf, openings))

    text = await sealing.unit_of_work.read(proof)

    def record(tx: Transaction) -> None:
        sealed = tx.notices.seal(notice_id)
        if sealed is not None and sealed.log_proof is None:
            tx.notices.set_log_proof(notice_id, text)

    # Another process may store a proof at the same time, which is as good as this one.
    with contextlib.suppress(StateConflictError):
        await sealing.unit_of_work.write(record, concurrently=True)


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
