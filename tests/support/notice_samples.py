"""Notices for tests: each kind, with and without personal data, composed by the program itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from notifications.agreement import bundled_agreements
from notifications.classification import classify
from notifications.customer.records import Customer
from notifications.decision import DueKind, decide
from notifications.decision.announced import announced_due, kind_of
from notifications.incident import (
    AffectedCustomer,
    AnnouncedItem,
    Announcement,
    Answer,
    Cause,
    Controller,
    Harm,
    Incident,
    IncidentFacts,
    IncidentState,
    Intent,
    LocalizedText,
    PersonalData,
    PersonalDataBreach,
    Resource,
    ResourceKind,
    UnlistedCustomers,
)
from notifications.notice import Notice, NoticeKind, NoticeState, Provider, compose_announcement, compose_notice

AGREEMENT = bundled_agreements()["secnumcloud_iaas_3_0"]
AWARE_AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
CUSTOMER = Customer(UUID(int=1), "Hôpital Saint-Roch", "fr", "Europe/Paris", (), (), (), AWARE_AT)
OTHER_CUSTOMER_ID = UUID("0d15ea5e-0000-4000-8000-000000000002")
PROVIDER = Provider(
    name="Sovereign Cloud",
    contact_name="Security operations",
    contact_email="soc@provider.example",
    contact_phone="+33 1 23 45 67 89",
    console_url="https://console.provider.example",
)
YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


def text(**texts):
    return LocalizedText.of(texts)


def plain_facts(resources=(), effect=None, **stated):
    """A hardware failure that interrupts storage; everything is established."""
    own = AffectedCustomer(
        CUSTOMER.id,
        YES,
        Harm(YES, NO, NO, NO),
        PersonalData(breach=PersonalDataBreach.NO),
        resources=resources,
        effect=effect,
    )
    return IncidentFacts(
        **{
            "title": text(fr="Stockage interrompu", en="Storage interrupted", de="Speicher unterbrochen"),
            "summary": text(fr="Un contrôleur est tombé en panne.", en="A controller failed."),
            "aware_at": AWARE_AT,
            "detected_at": AWARE_AT - timedelta(minutes=4),
            "inside_perimeter": YES,
            "intent": Intent.ACCIDENTAL,
            "cause": Cause.HARDWARE_FAILURE,
            "service_harm": Harm(YES, NO, NO, NO),
            "security_measures_harmed": NO,
            "normal_operation_disrupted": YES,
            "impact": "I1",
            "criticality": "C2",
            "rsit_class": "availability",
            "rsit_type": "outage",
            "regions": ("fr-north",),
            "affected_customers": (own,),
            "unlisted_customers": UnlistedCustomers.NOT_AFFECTED,
            "measures_taken": text(fr="Le contrôleur est remplacé."),
            "next_update_by": AWARE_AT + timedelta(hours=6),
        }
        | stated
    )


def breach_facts(personal_data=None, resources=(), **stated):
    """A stolen session: a personal-data breach is suspected, and many facts are open, also for another customer."""
    suspected = PersonalData(
        breach=PersonalDataBreach.SUSPECTED,
        controller=Controller.CUSTOMER,
        categories_of_data_subjects=("patients", "carers"),
    )
    own = AffectedCustomer(
        CUSTOMER.id, YES, Harm(NO, UNKNOWN, YES, UNKNOWN), personal_data or suspected, resources=resources
    )
    return IncidentFacts(
        **{
            "title": text(en="Unauthorised access to a backup node"),
            "summary": text(en="Somebody used a stolen session to list backup archives."),
            "aware_at": AWARE_AT,
            "inside_perimeter": YES,
            "criticality": "C1",
            "affected_customers": (own, AffectedCustomer(OTHER_CUSTOMER_ID, UNKNOWN, effect=text(en="SECRET-OF-B"))),
            "measures_taken": text(en="Session closed."),
        }
        | stated
    )


def compose(
    facts,
    previous=None,
    kind=NoticeKind.INITIAL,
    sequence=1,
    customer=CUSTOMER,
    languages=("fr", "en", "de"),
    timestamp_independent=False,
    profile=None,
    supersedes=None,
    agreement=AGREEMENT,
    **changes,
):
    """Classify, decide and compose, as sealing does."""
    classification = classify(facts, agreement)
    decision = decide(facts, classification, agreement, customer, profile)
    incident = Incident(
        UUID(int=9), "INC-2026-000042", IncidentState.OPEN, sequence, facts, AWARE_AT, AWARE_AT, "analyst:1"
    )
    stated = {
        "due_at": decision.due_at or AWARE_AT,
        "due_kind": str(decision.due_kind or "internal_target"),
        "stated_binding": None if decision.binding is None else decision.binding.value,
    } | changes
    notice = Notice(
        id=UUID(int=77),
        incident_id=incident.id,
        customer_id=customer.id,
        sequence=sequence,
        kind=kind,
        state=NoticeState.RELEASED,
        facts_version=sequence,
        created_at=AWARE_AT,
        created_by="analyst:1",
        **stated,
    )
    return compose_notice(
        notice=notice,
        incident=incident,
        facts=facts,
        previous_facts=previous,
        classification=classification,
        decision=decision,
        customer=customer,
        agreement=agreement,
        provider=PROVIDER,
        issued_at=AWARE_AT + timedelta(minutes=25),
        supersedes=supersedes or (None if sequence == 1 else (sequence - 1, "ab" * 32)),
        timestamp_independent=timestamp_independent,
        languages=languages,
    )


def compose_announced(kind_id, terms, occurs_at, languages=("fr", "en", "de")):
    """Decide and compose the notice of an announcement that states every item, as sealing does."""
    kind = kind_of(terms, kind_id)
    said = tuple(AnnouncedItem(item.id, text(en=f"Words on {item.id}.")) for item in kind.items)
    announced = Announcement(kind_id, said, occurs_at)
    facts = IncidentFacts(
        title=text(en="Announced"), summary=text(en="What is announced."), aware_at=AWARE_AT, announcement=announced
    )
    due = announced_due(terms, kind, occurs_at, AWARE_AT)
    notice = Notice(
        id=UUID(int=77),
        incident_id=UUID(int=9),
        customer_id=CUSTOMER.id,
        sequence=1,
        kind=NoticeKind.INITIAL,
        state=NoticeState.RELEASED,
        facts_version=1,
        created_at=AWARE_AT,
        created_by="analyst:1",
        due_at=due.at,
        due_kind=DueKind.ANNOUNCED.value,
        stated_binding=due.binding.value,
    )
    return compose_announcement(
        notice=notice,
        incident=Incident(
            UUID(int=9), "ANN-2026-000042", IncidentState.OPEN, 1, facts, AWARE_AT, AWARE_AT, "analyst:1"
        ),
        facts=facts,
        announced=announced,
        kind=kind,
        previous=None,
        customer=CUSTOMER,
        agreement=terms,
        provider=PROVIDER,
        issued_at=AWARE_AT + timedelta(minutes=25),
        supersedes=None,
        timestamp_independent=False,
        languages=languages,
    )


_ATTACK = {"intent": Intent.MALICIOUS, "cause": Cause.ATTACK}
CONFIRMED = replace(
    breach_facts().affected_customers[0].personal_data,
    breach=PersonalDataBreach.CONFIRMED,
    data_subjects_approx=12_400,
    likely_consequences=text(en="Targeted phishing."),
)
MANY = tuple(Resource(ResourceKind.OBJECT, f"archive-{number:04}") for number in range(60))

SAMPLES = {
    "plain": lambda: compose(plain_facts()),
    "security": lambda: compose(breach_facts()),
    "update": lambda: compose(
        breach_facts(CONFIRMED, MANY, impact="I2", **_ATTACK), breach_facts(), NoticeKind.UPDATE, 2
    ),
    "correction": lambda: compose(plain_facts(**_ATTACK), plain_facts(), NoticeKind.CORRECTION, 2),
    "correction_with_news": lambda: compose(
        plain_facts(**_ATTACK, started_at=AWARE_AT - timedelta(hours=1)), plain_facts(), NoticeKind.CORRECTION, 2
    ),
    "correction_of_texts": lambda: compose(
        plain_facts(summary=text(en="Two controllers failed.")), plain_facts(), NoticeKind.CORRECTION, 2
    ),
    "final": lambda: compose(
        plain_facts(ended_at=AWARE_AT + timedelta(hours=5), next_update_by=None), plain_facts(), NoticeKind.FINAL, 3
    ),
    "owed_no_more": lambda: compose(plain_facts(inside_perimeter=NO), plain_facts(), NoticeKind.CORRECTION, 2),
}
