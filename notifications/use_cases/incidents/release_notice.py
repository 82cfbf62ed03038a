"""Release notices. A released notice is served and cannot be withdrawn.

Four eyes: a setting, a customer or its agreement may require that the last author of a notice does not release it.
The override skips this rule in an emergency, for example if no approver is available. It needs a reason, has its own
audit entry, and must be reviewed by a second person.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.customer.records import binding_in_force
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError
from notifications.incident import Incident
from notifications.notice import Notice, NoticeState
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.incidents.outdated_decisions import outdated_decisions

#: Maximum number of customers that an error message names.
_MAX_NAMES = 5


class FourEyesRule(StrEnum):
    """The rule that requires four eyes. If several do, the first in this order is used."""

    SETTING = "setting"
    CUSTOMER = "customer"
    AGREEMENT = "agreement"


class FourEyesError(StateConflictError):
    """The notice must be released by a person other than its last author. Nothing was released."""


class OutdatedDecisionError(StateConflictError):
    """The customer is bound by other terms than those that decided. Nothing was released."""


def four_eyes_rule(
    tx: Transaction, customer_id: UUID, aware_at: datetime, agreements: Agreements
) -> FourEyesRule | None:
    """Return what requires four eyes for the notices of a customer, or None.

    The agreement is the one in force for the customer when the provider became aware, as for the decision.
    """
    if agreements.four_eyes:
        return FourEyesRule.SETTING
    customer = tx.customers.get(customer_id)
    if customer is not None and customer.four_eyes:
        return FourEyesRule.CUSTOMER
    binding = binding_in_force(tx.customers.bindings(customer_id), aware_at)
    agreement_id = agreements.reference_id if binding is None else binding.agreement_id
    return FourEyesRule.AGREEMENT if agreements.by_id[agreement_id].four_eyes else None


def release_notice(
    tx: Transaction, act: AuditContext, notice_id: UUID, expected_version: int, agreements: Agreements
) -> Notice:
    """Release one draft.

    Raises NotFoundError, VersionMismatchError, FourEyesError, OutdatedDecisionError, and StateConflictError if it is
    not a draft.
    """
    return _release(tx, act, [_draft(tx, notice_id, expected_version)], agreements)[0]


def release_drafts(
    tx: Transaction, act: AuditContext, incident_id: UUID, expected_version: int, agreements: Agreements
) -> list[Notice]:
    """Release every draft of an incident: all of them or none.

    ``expected_version`` is the incident's, so that exactly the reviewed drafts are released. Raises as
    ``release_notice`` does.
    """
    return _release(tx, act, _drafts(tx, tx.incidents.require(incident_id), expected_version), agreements)


def release_announcement(
    tx: Transaction, act: AuditContext, announcement_id: UUID, expected_version: int, agreements: Agreements
) -> list[Notice]:
    """Release every draft of an announcement: all of them or none. Raises as ``release_drafts`` does."""
    announcement = tx.incidents.require_announcement(announcement_id)
    return _release(tx, act, _drafts(tx, announcement, expected_version), agreements)


def override_release(
    tx: Transaction, act: AuditContext, notice_id: UUID, expected_version: int, agreements: Agreements, reason: str
) -> Notice:
    """Release one draft in an emergency, also by its own author.

    Raises as ``release_notice`` does, but no FourEyesError and no OutdatedDecisionError: an emergency waits for neither
    a second person nor a second decision. Raises InvalidInputError without a reason.
    """
    return _override(tx, act, [_draft(tx, notice_id, expected_version)], agreements, reason)[0]


def override_releases(
    tx: Transaction, act: AuditContext, incident_id: UUID, expected_version: int, agreements: Agreements, reason: str
) -> list[Notice]:
    """Release every draft of an incident in an emergency: all of them or none. Raises as ``override_release`` does."""
    return _override(tx, act, _drafts(tx, tx.incidents.require(incident_id), expected_version), agreements, reason)


def review_override(tx: Transaction, act: AuditContext, notice_id: UUID, expected_version: int) -> Notice:
    """Record that a second person reviewed an emergency release.

    The author of the notice may review it, because then two people have seen it. Raises NotFoundError,
    VersionMismatchError, and FourEyesError for the person who released it. Raises StateConflictError if the notice was
    not released by an override, or if the override was reviewed before.
    """
    notice = _at_version(tx, notice_id, expected_version)
    if notice.override_reason is None:
        raise StateConflictError(f"notice {notice_id} was not released by an override")
    if notice.override_reviewed_by is not None:
        raise StateConflictError(f"the override of notice {notice_id} was reviewed already")
    if act.actor == notice.released_by:
        raise FourEyesError("the person who released a notice by an override cannot review it")
    reviewed = replace(notice, override_reviewed_by=act.actor, override_reviewed_at=act.now, version=notice.version + 1)
    tx.notices.save(reviewed, notice.version)
    tx.audit.append([
        act.entry(
            "override.reviewed",
            subjects=notice_subjects(notice, tx.customers.pseudonym(notice.customer_id)),
            detail={"sequence": notice.sequence, "released_by": notice.released_by},
            exercise=notice.exercise,
        )
    ])  # fmt: skip
    return reviewed


def _at_version(tx: Transaction, notice_id: UUID, expected_version: int) -> Notice:
    notice = tx.notices.require(notice_id)
    if notice.version != expected_version:
        raise VersionMismatchError("notice", notice_id, expected_version, notice.version)
    return notice


def _draft(tx: Transaction, notice_id: UUID, expected_version: int) -> Notice:
    notice = _at_version(tx, notice_id, expected_version)
    if notice.state is not NoticeState.DRAFT:
        raise StateConflictError(f"notice {notice_id} is {notice.state.value}, not a draft")
    return notice


def _drafts(tx: Transaction, incident: Incident, expected_version: int) -> list[Notice]:
    subject = "incident" if incident.facts.announcement is None else "announcement"
    if incident.version != expected_version:
        raise VersionMismatchError(subject, incident.id, expected_version, incident.version)
    drafts = [notice for notice in tx.notices.of_incident(incident.id) if notice.state is NoticeState.DRAFT]
    if not drafts:
        raise StateConflictError(f"{subject} {incident.ticket} has no draft to release")
    return drafts


def _release(tx: Transaction, act: AuditContext, drafts: list[Notice], agreements: Agreements) -> list[Notice]:
    incident = _read_ahead(tx, drafts)
    aware_at = incident.facts.aware_at
    own = [draft for draft in drafts if draft.drafted_by == act.actor]
    refused = [draft for draft in own if four_eyes_rule(tx, draft.customer_id, aware_at, agreements) is not None]
    if refused:
        raise FourEyesError(
            f"{len(refused)} of {len(drafts)} notice(s), for {_names(tx, refused)}, must be released by somebody else"
            " than you, who wrote them last: ask another approver, or state a reason for an emergency override"
        )
    outdated = outdated_decisions(tx, incident, {draft.customer_id for draft in drafts}, agreements)
    if outdated:
        refused = [draft for draft in drafts if draft.customer_id in outdated]
        raise OutdatedDecisionError(
            f"{len(refused)} of {len(drafts)} notice(s), for {_names(tx, refused)}, were decided by other terms than"
            " those that bind the customer now: save the facts as a new version, which decides again, and review the"
            " drafts"
        )
    return _released(tx, act, drafts, None)


def _read_ahead(tx: Transaction, notices: Sequence[Notice]) -> Incident:
    """Read the customers of the notices of an incident or announcement together; return it."""
    tx.customers.load({notice.customer_id for notice in notices})
    incident = tx.incidents.get(notices[0].incident_id)
    if incident is None:
        raise NotFoundError("incident", notices[0].incident_id)
    return incident


def _names(tx: Transaction, drafts: list[Notice]) -> str:
    """Return the customers of the drafts: the first few by name, and the number of the others."""
    customers = (tx.customers.get(draft.customer_id) for draft in drafts[:_MAX_NAMES])
    names = ", ".join(customer.name for customer in customers if customer is not None)
    return names if len(drafts) <= _MAX_NAMES else f"{names} and {len(drafts) - _MAX_NAMES} other(s)"


def _override(
    tx: Transaction, act: AuditContext, drafts: list[Notice], agreements: Agreements, reason: str
) -> list[Notice]:
    if not reason.strip():
        raise InvalidInputError(Fault("reason", "state why the release cannot wait for another person"))
    aware_at = _read_ahead(tx, drafts).facts.aware_at
    released = _released(tx, act, drafts, reason)
    tx.audit.append([
        act.entry(
            "notice.released_by_override",
            subjects=notice_subjects(notice, tx.customers.pseudonym(notice.customer_id)),
            detail={
                "sequence": notice.sequence,
                "rule": four_eyes_rule(tx, notice.customer_id, aware_at, agreements),
                "own_draft": notice.drafted_by == act.actor,
            },
            private={"reason": reason},
            exercise=notice.exercise,
        )
        for notice in released
    ])  # fmt: skip
    return released


def _released(tx: Transaction, act: AuditContext, drafts: list[Notice], override_reason: str | None) -> list[Notice]:
    released = []
    entries: list[AuditEntry] = []
    for draft in drafts:
        notice = replace(
            draft,
            state=NoticeState.RELEASED,
            released_at=act.now,
            released_by=act.actor,
            override_reason=override_reason,
            version=draft.version + 1,
        )
        tx.notices.save(notice, draft.version)
        entries.append(
            act.entry(
                "notice.released",
                subjects=notice_subjects(notice, tx.customers.pseudonym(notice.customer_id)),
                detail={
                    "sequence": notice.sequence,
                    "kind": notice.kind.value,
                    "facts_version": notice.facts_version,
                    "due_at": timestamp_text(notice.due_at),
                    "drafted_by": draft.drafted_by or None,
                    "override": override_reason is not None,
                },
                exercise=notice.exercise,
            )
        )
        released.append(notice)
    tx.audit.append(entries)
    return released
