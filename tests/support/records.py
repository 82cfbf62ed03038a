"""Records for tests of the store: complete and valid, with a different value in every field."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from notifications.audit.entry import AuditEntry, Opening
from notifications.classification import Nature
from notifications.customer.inventory import (
    ConcernedCustomer,
    FailedPart,
    HeldResource,
    InventoryKind,
    ResourceLookup,
)
from notifications.customer.records import AgreementBinding, Contact, ContactRole, Customer, LevelChoice, ProfileVersion
from notifications.decision import Decision, DueKind, Reason, Verdict
from notifications.delivery.delivery import ChannelKind, Delivery, DeliveryAttempt, DeliveryState, Outcome, OutcomeKind
from notifications.incident import Answer, Incident, IncidentFacts, IncidentState, LocalizedText, Property
from notifications.notice import Notice, NoticeKind, NoticeState
from notifications.notice.seal import SealedNotice, SealedRendering
from notifications.ports import StoredDecision
from support.numbering import numbers

NOW = datetime(2026, 3, 2, 10, 0, 0, 123457, tzinfo=UTC)
_numbers = numbers()


def after(**delta):
    return NOW + timedelta(**delta)


def make_entry(subjects=None, openings=(), **changes):
    return replace(
        AuditEntry(
            id=uuid4(),
            type="incident.declared",
            at=NOW,
            actor="token:interim",
            subjects=subjects or {"incident": str(uuid4())},
            detail={"version": 1, "closed": False, "priority": None, "reasons": ["a", "b"]},
            openings=tuple(Opening(name, bytes([number]) * 32, value) for number, (name, value) in enumerate(openings)),
        ),
        **changes,
    )


def make_customer(**changes):
    number = next(_numbers)
    return replace(
        Customer(
            id=uuid4(),
            name=f"Société № {number}",
            language="fr",
            time_zone="Europe/Paris",
            services=("iaas", "paas"),
            regions=(),
            availability_zones=("fr-1a",),
            created_at=NOW,
        ),
        **changes,
    )


def make_contact(customer, **changes):
    return replace(
        Contact(
            id=uuid4(),
            customer_id=customer.id,
            name="Zoë",
            role=ContactRole.SECURITY,
            email=f"soc{next(_numbers)}@example.org",
            language="de",
            order=1,
            active=True,
            created_at=NOW,
            verified_at=NOW,
        ),
        **changes,
    )


def make_binding(customer, **changes):
    return replace(AgreementBinding(customer.id, "secnumcloud_iaas_3_0", after(days=-30), NOW), **changes)


def make_profile(customer, version=1, **changes):
    choices = (LevelChoice(impacts=("I1",), data_harm=(Property.INTEGRITY,)), LevelChoice())
    return replace(ProfileVersion(uuid4(), customer.id, version, choices, NOW, after(hours=1), "token:a"), **changes)


def make_resource(customer, **changes):
    made = HeldResource(
        customer.id, InventoryKind.VOLUME, f"vol-{next(_numbers)}", "Dossiers", "iaas", "fr1", "fr1-b", "st-07", NOW,
        after(hours=1), after(hours=2),
    )  # fmt: skip
    return replace(made, **changes)


def make_lookup(customer, **fields):
    proposed = (ConcernedCustomer(customer.id, 3),)
    return ResourceLookup(uuid4(), NOW, "account:a", FailedPart(NOW, None, **fields), proposed)


def make_facts(**changes):
    facts = IncidentFacts(
        title=LocalizedText.of({"fr": "Panne é", "en": "Outage"}),
        summary=LocalizedText.of({"fr": "Résumé\n\u2028 \0 𝄞"}),
        aware_at=after(minutes=-5),
    )
    return replace(facts, **changes)


def make_incident(**changes):
    return replace(
        Incident(
            id=uuid4(),
            ticket=f"INC-2026-{next(_numbers):06d}",
            state=IncidentState.OPEN,
            version=1,
            facts=make_facts(),
            opened_at=NOW,
            updated_at=after(seconds=1),
            opened_by="token:interim",
        ),
        **changes,
    )


def make_decision(incident, customer, verdict=Verdict.NOTIFY, version=1):
    decision = Decision(
        customer_id=customer.id,
        agreement_id="secnumcloud_iaas_3_0",
        profile_version=3,
        verdict=verdict,
        nature=Nature.SECURITY_INCIDENT,
        priority="P1",
        reasons=(
            Reason(
                "impact_high", "11.1.1.3 (1)", Answer.UNKNOWN, obliges=True, message="reason.x", missing=("impact",)
            ),
            Reason("data", "11.1.1.3 (2)", Answer.NO, obliges=True, message="reason.y"),
        ),
        due_at=after(hours=48),
        due_kind=DueKind.CONTRACTUAL,
        target_at=after(minutes=30, microseconds=1),
        missing=("impact",),
        personal_data_breach=True,
    )
    return StoredDecision(uuid4(), incident.id, version, NOW, decision)


def make_notice(incident, customer, **changes):
    return replace(
        Notice(
            id=uuid4(),
            incident_id=incident.id,
            customer_id=customer.id,
            sequence=1,
            kind=NoticeKind.INITIAL,
            state=NoticeState.DRAFT,
            facts_version=1,
            due_at=after(hours=2),
            due_kind="internal_target",
            created_at=NOW,
            created_by="token:interim",
        ),
        **changes,
    )


def make_sealed(notice, **changes):
    return replace(
        SealedNotice(
            notice_id=notice.id,
            document=b'{"a":1}',
            signature=b"\x30\x00",
            timestamp=None,
            timestamp_independent=True,
            resources_csv=b"a;b\r\n",
            sealed_at=after(minutes=3),
            renderings=(SealedRendering("fr", "Sujet", "texte\n", "<p>texte</p>\n"),),
        ),
        **changes,
    )


def make_delivery(notice, contact=None, **changes):
    return replace(
        Delivery(
            id=uuid4(),
            notice_id=notice.id,
            customer_id=notice.customer_id,
            channel=ChannelKind.CONSOLE if contact is None else ChannelKind.EMAIL,
            contact_id=None if contact is None else contact.id,
            message_id=f"<{next(_numbers)}@example.org>",
            state=DeliveryState.QUEUED,
            attempts=0,
            next_attempt_at=NOW,
            last_error=None,
            created_at=NOW,
        ),
        **changes,
    )


def make_attempt(delivery, number=1, **changes):
    outcome = Outcome(OutcomeKind.TRANSIENT_FAILURE, 451, "4.3.0", "try later", "Q1", "TLSv1.3", "TLS_AES_128", "mx:25")
    return replace(
        DeliveryAttempt(uuid4(), delivery.id, number, NOW, after(seconds=2), outcome, "RelayFailure", "ab" * 32),
        **changes,
    )


SALT = bytes(range(32))
NOBODY = UUID(int=0)
