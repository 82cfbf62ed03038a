"""Compose the notice of one customer: the document, its text in each language, and the table of resources."""

from collections.abc import Sequence
from datetime import datetime

from notifications.agreement import Agreement
from notifications.classification import Classification
from notifications.customer.legal_profile import NOTHING_STATED, Entity
from notifications.customer.records import Customer
from notifications.decision import Decision
from notifications.duties import Law, bundled_law
from notifications.incident import Incident, IncidentFacts
from notifications.notice.document import Provider, notice_document
from notifications.notice.life import Notice
from notifications.notice.rendered import ComposedNotice, rendered_document
from notifications.notice.resource_csv import RESOURCES_LISTED_MAX, resources_csv


def compose_notice(
    *,
    notice: Notice,
    incident: Incident,
    facts: IncidentFacts,
    previous_facts: IncidentFacts | None,
    classification: Classification,
    decision: Decision,
    customer: Customer,
    agreement: Agreement,
    provider: Provider,
    issued_at: datetime,
    supersedes: tuple[int, str] | None,
    timestamp_independent: bool | None,
    languages: Sequence[str],
    zones: Sequence[tuple[str, str]] = (),
    entity: Entity = NOTHING_STATED,
    law: Law | None = None,
    shares_timestamp: bool = False,
) -> ComposedNotice:
    """Return the notice of one customer on one version of the facts.

    ``previous_facts``: the facts of the previous notice. ``supersedes``: the sequence of that notice and the SHA-256 of
    its document in hex. ``timestamp_independent``: whether the timestamp authority is independent of the provider; None
    if not known. ``entity``: what the customer states of itself. ``law``: None for the bundled one.
    ``zones``: the languages and time zones of contacts whose time zone is not the customer's. ``shares_timestamp``: its
    timestamp will be one over a checkpoint of the log.

    1. Put the affected resources into a table if there are many.
    2. Build the document.
    3. Render the document in each language.
    4. Put the digests of the renderings into the document, and make its canonical bytes.

    Raises InvalidInputError for text that is not valid Unicode (a lone surrogate). Not checked: the facts.
    """
    # 1.
    stated = facts.for_customer(customer.id)
    resources = () if stated is None else stated.resources
    table = resources_csv(resources) if len(resources) > RESOURCES_LISTED_MAX else None
    # 2.
    document = notice_document(
        notice=notice,
        incident=incident,
        facts=facts,
        previous_facts=previous_facts,
        classification=classification,
        decision=decision,
        customer=customer,
        agreement=agreement,
        provider=provider,
        issued_at=issued_at,
        supersedes=supersedes,
        timestamp_independent=timestamp_independent,
        resources_csv=table,
        entity=entity,
        law=bundled_law() if law is None else law,
        shares_timestamp=shares_timestamp,
    )
    # 3. and 4.
    return rendered_document(document, languages, zones, table)
