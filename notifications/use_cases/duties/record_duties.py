"""Record what the provider does about its own duties: assess, draft and submit reports, correct a record."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.duties import Duty
from notifications.duties.records import DutyAssessment, ReportDraft, ReportSubmission, submissions_in_force
from notifications.duties.significance import Question
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError
from notifications.incident import Answer, Incident
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.duties.one_line import character_faults, one_line
from notifications.use_cases.duties.provider_clocks import provider_duties
from notifications.use_cases.legal_duties import LegalDuties

TEXT_MAX_CHARACTERS = 20_000
NOTE_MAX_CHARACTERS = 2_000
_LOSS_MAX_EUR = 10**12
_OPEN = Answer.UNKNOWN
#: Characters that no text for people needs, and that some stores do not take.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class AssessmentInput:
    """What the analyst states; it replaces the version before."""

    answers: Mapping[Question, Answer]
    loss_eur: int | None = None
    apparent_cause: str | None = None
    high_risk_at: datetime | None = None
    fix_at: datetime | None = None
    handled_at: datetime | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class SubmissionInput:
    """A report that was submitted, as the person who records it states."""

    submitted_at: datetime
    recipient: str
    submitted_by: str
    reference: str | None = None
    items: Mapping[str, str] | None = None


def assess_duties(
    tx: Transaction,
    act: AuditContext,
    incident_id: UUID,
    stated: AssessmentInput,
    expected_version: int,
    duties: LegalDuties,
) -> DutyAssessment:
    """Record an assessment; ``expected_version`` is the version that the caller saw, 0 for none.

    Raises NotFoundError, InvalidInputError, StateConflictError for an exercise, and VersionMismatchError.
    """
    incident = _real(tx, incident_id)
    versions = tx.duties.assessments(incident_id)
    current = versions[-1].version if versions else 0
    if current != expected_version:
        raise VersionMismatchError("assessment", incident_id, expected_version, current)
    faults = [
        fault
        for name in ("high_risk_at", "fix_at", "handled_at")
        for fault in _moment_faults(name, getattr(stated, name), act, incident)
    ]
    if stated.loss_eur is not None and not 0 <= stated.loss_eur <= _LOSS_MAX_EUR:
        faults.append(Fault("loss_eur", f"must be from 0 to {_LOSS_MAX_EUR}"))
    _raise_faults(faults)
    answers = sorted((asked.value, answer.value) for asked, answer in stated.answers.items() if answer is not _OPEN)
    assessment = DutyAssessment(
        incident_id=incident_id,
        version=current + 1,
        answers=tuple(answers),
        loss_eur=stated.loss_eur,
        apparent_cause=one_line(stated.apparent_cause, "apparent_cause", required=False),
        high_risk_at=stated.high_risk_at,
        fix_at=stated.fix_at,
        handled_at=stated.handled_at,
        note=_text(stated.note, "note", NOTE_MAX_CHARACTERS),
        recorded_at=act.now,
        recorded_by=act.actor,
    )
    tx.duties.add_assessment(assessment)
    tx.duties.set_timer(incident_id, act.now)
    # The result, with what facts and other incidents answer: the statistics count it from the log only.
    result = provider_duties(tx, incident, duties).significance.significant
    tx.audit.append([
        act.entry(
            "duty.assessed",
            subjects={"incident": str(incident_id)},
            detail={
                "ticket": incident.ticket,
                "version": assessment.version,
                "answers": [f"{question}:{answer}" for question, answer in assessment.answers],
                "significant": result.value,
                "high_risk_at": _moment(assessment.high_risk_at),
                "fix_at": _moment(assessment.fix_at),
                "handled_at": _moment(assessment.handled_at),
            },
            private={
                "loss_eur": assessment.loss_eur,
                "apparent_cause": assessment.apparent_cause,
                "note": assessment.note,
            },
        )
    ])  # fmt: skip
    return assessment


def save_draft(
    tx: Transaction,
    act: AuditContext,
    incident_id: UUID,
    duty_id: str,
    items: Mapping[str, str],
    expected_version: int,
    duties: LegalDuties,
) -> ReportDraft:
    """Store a version of a report that is being written; raises as ``assess_duties``, and for an unknown item."""
    incident = _real(tx, incident_id)
    duty = _duty(tx, incident, duty_id, duties)
    current = max((each.version for each in tx.duties.drafts(incident_id) if each.duty_id == duty_id), default=0)
    if current != expected_version:
        raise VersionMismatchError("draft", incident_id, expected_version, current)
    draft = ReportDraft(incident_id, duty_id, current + 1, _items(duty, items), act.now, act.actor)
    tx.duties.add_draft(draft)
    tx.audit.append([
        act.entry(
            "authority_report.drafted",
            subjects={"incident": str(incident_id)},
            detail={"ticket": incident.ticket, "duty": duty_id, "version": draft.version},
            private={"items": dict(draft.items)},
        )
    ])  # fmt: skip
    return draft


def record_submission(
    tx: Transaction,
    act: AuditContext,
    incident_id: UUID,
    duty_id: str,
    stated: SubmissionInput,
    duties: LegalDuties,
) -> ReportSubmission:
    """Record that a report was submitted. This starts the clocks that count from its submission.

    1. The incident is real, and the duty is one of the provider on it.
    2. The moment lies between awareness and now.
    3. Store the record with the text as submitted: as stated, else the latest draft.
    4. Its entry names duty, moment and, by commitment only, recipient, reference, person and text.

    A further submission of the same duty is an updated report. Raises NotFoundError, InvalidInputError, and
    StateConflictError for an exercise.
    """
    # 1.
    incident = _real(tx, incident_id)
    duty = _duty(tx, incident, duty_id, duties)
    # 2. and 3.
    submission = _submission(tx, act, incident, duty, stated)
    tx.duties.add_submission(submission)
    tx.duties.set_timer(incident_id, act.now)
    # 4.
    tx.audit.append([_submission_entry(act, "authority_report.submitted", incident, submission)])
    return submission


def correct_submission(
    tx: Transaction,
    act: AuditContext,
    submission_id: UUID,
    incident_id: UUID,
    stated: SubmissionInput | None,
    reason: str,
    duties: LegalDuties,
) -> ReportSubmission:
    """Record that an earlier record was wrong; the earlier one stays, and clocks count from the new one.

    ``stated`` None takes the record back: nothing was submitted. Raises as ``record_submission``, and
    StateConflictError for a record that is corrected already.
    """
    incident = _real(tx, incident_id)
    known = tx.duties.submissions(incident_id)
    earlier = next((each for each in known if each.id == submission_id), None)
    if earlier is None:
        raise NotFoundError("submission", submission_id)
    if earlier not in submissions_in_force(known):
        raise StateConflictError("the record is corrected or taken back already; correct the latest one")
    why = _text(reason, "reason", NOTE_MAX_CHARACTERS)
    if why is None:
        raise InvalidInputError(Fault("reason", "is empty"))
    if stated is None:
        made = replace(
            earlier,
            id=act.identifiers.new_id(),
            corrects=earlier.id,
            reason=why,
            withdrawn=True,
            recorded_at=act.now,
            recorded_by=act.actor,
        )
    else:
        duty = _duty(tx, incident, earlier.duty_id, duties)
        made = replace(_submission(tx, act, incident, duty, stated, earlier), corrects=earlier.id, reason=why)
    tx.duties.add_submission(made)
    tx.duties.set_timer(incident_id, act.now)
    tx.audit.append([_submission_entry(act, "authority_report.corrected", incident, made)])
    return made


def _submission(
    tx: Transaction,
    act: AuditContext,
    incident: Incident,
    duty: Duty,
    stated: SubmissionInput,
    earlier: ReportSubmission | None = None,
) -> ReportSubmission:
    _raise_faults(_moment_faults("submitted_at", stated.submitted_at, act, incident))
    items = tuple(earlier.items) if earlier is not None else _latest_draft(tx, incident.id, duty.id)
    return ReportSubmission(
        id=act.identifiers.new_id(),
        incident_id=incident.id,
        duty_id=duty.id,
        submitted_at=stated.submitted_at,
        recipient=one_line(stated.recipient, "recipient") or "",
        reference=one_line(stated.reference, "reference", required=False),
        submitted_by=one_line(stated.submitted_by, "submitted_by") or "",
        items=items if stated.items is None else _items(duty, stated.items),
        corrects=None,
        reason=None,
        withdrawn=False,
        recorded_at=act.now,
        recorded_by=act.actor,
    )


def _submission_entry(act: AuditContext, kind: str, incident: Incident, submission: ReportSubmission) -> AuditEntry:
    return act.entry(
        kind,
        subjects={"incident": str(incident.id), "submission": str(submission.id)},
        detail={
            "ticket": incident.ticket,
            "duty": submission.duty_id,
            "submitted_at": timestamp_text(submission.submitted_at),
            "corrects": None if submission.corrects is None else str(submission.corrects),
            "withdrawn": submission.withdrawn,
        },
        private={
            "recipient": submission.recipient,
            "reference": submission.reference,
            "submitted_by": submission.submitted_by,
            "items": dict(submission.items),
            "reason": submission.reason,
        },
    )


def _real(tx: Transaction, incident_id: UUID) -> Incident:
    incident = tx.incidents.require(incident_id)
    if incident.exercise:
        raise StateConflictError("this is an exercise: nothing is reported to an authority")
    return incident


def _duty(tx: Transaction, incident: Incident, duty_id: str, duties: LegalDuties) -> Duty:
    clock = provider_duties(tx, incident, duties).clock(duty_id)
    if clock is None:
        raise NotFoundError("duty", duty_id)
    return clock.duty


def _items(duty: Duty, items: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    known = {item.id for item in duty.items}
    items = {name: text.replace("\r\n", "\n") for name, text in items.items()}
    faults = [Fault(f"items.{name}", "is no item of this report") for name in sorted(set(items) - known)]
    faults += [
        Fault(f"items.{name}", f"has more than {TEXT_MAX_CHARACTERS} characters")
        for name, text in items.items()
        if len(text) > TEXT_MAX_CHARACTERS
    ]
    faults += [fault for name, text in items.items() for fault in character_faults(f"items.{name}", text, _CONTROLS)]
    _raise_faults(faults)
    return tuple(sorted((name, text.strip()) for name, text in items.items() if text.strip()))


def _latest_draft(tx: Transaction, incident_id: UUID, duty_id: str) -> tuple[tuple[str, str], ...]:
    drafts = [each for each in tx.duties.drafts(incident_id) if each.duty_id == duty_id]
    return drafts[-1].items if drafts else ()


def _moment_faults(name: str, moment: datetime | None, act: AuditContext, incident: Incident) -> list[Fault]:
    if moment is None:
        return []
    if moment > act.now:
        return [Fault(name, "must not be in the future")]
    if moment < incident.facts.aware_at:
        return [Fault(name, "must not be before the provider became aware")]
    return []


def _text(text: str | None, field: str, max_characters: int) -> str | None:
    text = (text or "").replace("\r\n", "\n").strip()
    if len(text) > max_characters:
        raise InvalidInputError(Fault(field, f"has more than {max_characters} characters"))
    _raise_faults(character_faults(field, text, _CONTROLS))
    return text or None


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp_text(moment)


def _raise_faults(faults: list[Fault]) -> None:
    if faults:
        raise InvalidInputError(*faults)
