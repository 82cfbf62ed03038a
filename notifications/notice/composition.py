"""Compose the notice of one customer: the document, its text in each language, and the table of resources."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifications.agreement import Agreement
from notifications.canonical_json import canonicalize
from notifications.classification import Classification
from notifications.customer.legal_profile import NOTHING_STATED, Entity
from notifications.customer.records import Customer
from notifications.decision import Decision
from notifications.duties import Law, bundled_law
from notifications.incident import Incident, IncidentFacts
from notifications.notice.document import Provider, notice_document
from notifications.notice.life import Notice
from notifications.notice.resource_csv import RESOURCES_LISTED_MAX, resources_csv
from notifications.wording import Rendered, render


@dataclass(frozen=True, slots=True)
class ComposedNotice:
    """A notice before it is sealed."""

    #: canonical JSON (RFC 8785)
    document: bytes
    #: by language, in the customer's time zone
    rendered: Mapping[str, Rendered]
    #: by language and time zone, for contacts whose time zone is not the customer's
    zoned: Mapping[tuple[str, str], Rendered]
    #: all affected resources, if there are more than the document lists; else None
    resources_csv: bytes | None


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
) -> ComposedNotice:
    """Return the notice of one customer on one version of the facts.

    ``previous_facts``: the facts of the previous notice. ``supersedes``: the sequence of that notice and the SHA-256 of
    its document in hex. ``timestamp_independent``: whether the timestamp authority is independent of the provider; None
    if not known. ``entity``: what the customer states of itself. ``law``: None for the bundled one.
    ``zones``: the languages and time zones of contacts whose time zone is not the customer's.

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
    )
    # 3.
    rendered = {language: render(document, language) for language in sorted(set(languages))}
    # 4.
    zoned = {(language, zone): render(document, language, zone) for language, zone in sorted(set(zones))}
    by_reader = [((language, None), words) for language, words in rendered.items()]
    document["renderings"] = [
        _digest(language, zone, media_type, body)
        for (language, zone), words in (*by_reader, *zoned.items())
        for media_type, body in (("text/html", words.html), ("text/plain", words.text))
    ]
    return ComposedNotice(canonicalize(document), rendered, zoned, table)


def _digest(language: str, time_zone: str | None, media_type: str, body: str) -> dict[str, Any]:
    digest = {
        "language": language,
        "media_type": media_type,
        "sha256": hashlib.sha256(body.encode("utf-8")).hexdigest(),
    }
    return digest if time_zone is None else digest | {"time_zone": time_zone}
