"""One customer of one incident: why it is notified or not, and what is stated of it."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError
from notifications.incident import LANGUAGES, UNKNOWN, AffectedCustomer, Incident, IncidentFacts, LocalizedText
from notifications.ports import StoredDecision
from notifications.use_cases.audit_context import AuditContext
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, new_form_id, stated_version, write_once
from service.web.console.pages.incident.customer_answers import (
    CODES,
    COLUMNS,
    COUNTS,
    Row,
    answered,
    codes_of,
    is_code,
)
from service.web.console.pages.incident.customers import state_customers
from service.web.console.pages.incident.fact_words import FactWords
from service.web.console.pages.incident.frame import (
    STALE,
    MayChangeIncidents,
    MayReadIncidents,
    context_of,
    kept_entries,
    problems_of,
    reading,
    shown_in_frame,
    unix_lines,
)
from service.web.console.rendering import reader_language, reader_zone

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/incidents/{incident_id}/customers/{customer_id}")
async def customer_page(request: Request, access: MayReadIncidents, incident_id: UUID, customer_id: UUID) -> Response:
    """Show why one customer is notified or not, and what is stated of it."""
    return await _customer_shown(request, access, incident_id, customer_id)


@router.post("/incidents/{incident_id}/customers/{customer_id}")
async def answer_for_one(
    request: Request, access: MayChangeIncidents, incident_id: UUID, customer_id: UUID
) -> Response:
    """Answer for one customer, with words that only this customer reads."""
    form, context = await form_of(request), context_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        incident = tx.incidents.require(incident_id)
        # A count that was emptied is not known any more.
        codes = {name: form[name] or UNKNOWN for name in COLUMNS if form[name] or name in COUNTS}
        if wrong := [column for column, code in codes.items() if not is_code(column, code)]:
            raise InvalidInputError(*(Fault(column, "is no answer to this question") for column in wrong))
        stated = answered(customer_id, incident.facts.for_customer(customer_id), codes)
        stated = _with_effect(stated, form)
        state_customers(tx, act, context, incident_id, stated_version(form["version"]), [stated])
        return f"/incidents/{incident_id}/customers/{customer_id}"

    try:
        return await write_once(access, form, work)
    except (InvalidInputError, VersionMismatchError, StateConflictError) as error:
        return await _customer_shown(request, reading(access), incident_id, customer_id, error=error, form=form)


def _with_effect(stated: AffectedCustomer, form: Form) -> AffectedCustomer:
    texts = {language: unix_lines(form[f"effect_{language}"]) for language in LANGUAGES}
    said = {language: words for language, words in texts.items() if words}
    return replace(stated, effect=LocalizedText.of(said) if said else None)


def _filled(stated: AffectedCustomer | None) -> dict[str, str]:
    """Return the fields of the form as they are stated."""
    effect = {} if stated is None or stated.effect is None else stated.effect.as_mapping()
    codes = dict.fromkeys(COLUMNS, "") if stated is None else codes_of(stated)
    return codes | {f"effect_{language}": effect.get(language, "") for language in LANGUAGES}


async def _customer_shown(
    request: Request,
    access: Access,
    incident_id: UUID,
    customer_id: UUID,
    *,
    error: Exception | None = None,
    form: Form | None = None,
) -> Response:
    version = 0 if form is None else stated_version(form["version"])

    def work(tx: AccessTransaction) -> tuple[Incident, Row, StoredDecision, IncidentFacts | None]:
        incident = tx.incidents.require(incident_id)
        customer = tx.customers.require(customer_id)
        stored = tx.incidents.current_decisions(incident_id).get(customer_id)
        if stored is None:
            raise NotFoundError("assessment of customer", customer_id)
        row = Row(customer, stored.decision, incident.facts.for_customer(customer_id))
        return incident, row, stored, tx.incidents.facts_at(incident_id, version)

    incident, row, stored, base = await access.read(work)
    problems, status = problems_of(error)
    said = FactWords(
        reader_language(request, access.caller),
        context_of(request).agreements.reference,
        {customer_id: row.customer.name},
        reader_zone(access.caller),
    )
    before = None if base is None else _filled(base.for_customer(customer_id))
    values: dict[str, Any] = {
        "row": row,
        "stored": stored,
        "said": said,
        "rows": [] if row.stated is None else list(said.rows_of_customer(row.stated)),
        "codes": CODES,
        "columns": COLUMNS,
        "filled": kept_entries(_filled(row.stated), form, before),
        "form_id": new_form_id() if form is None else form["form_id"],
        "problems": problems,
        "stale_from": version if status == STALE else None,
    }
    return shown_in_frame(request, access, incident, "customers", values, template="incident_customer", status=status)
