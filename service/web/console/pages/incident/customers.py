"""The customers of one incident as one table: filtered, answered at once, pasted, written and read as CSV."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.decision import Verdict
from notifications.errors import Fault, InvalidInputError, StateConflictError, VersionMismatchError
from notifications.incident import AffectedCustomer, Incident
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.change_incident import change_facts
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.console.confirmed import Confirmed
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, new_form_id, stated_version, write_once
from service.web.console.pages.incident.customer_answers import (
    CODES,
    COLUMNS,
    Filter,
    Row,
    all_places,
    answered,
    is_code,
)
from service.web.console.pages.incident.fact_words import FactWords
from service.web.console.pages.incident.frame import (
    STALE,
    MayChangeIncidents,
    MayReadIncidents,
    context_of,
    problems_of,
    reading,
    shown_in_frame,
)
from service.web.console.rendering import reader_language, reader_zone

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_SHOWN = 500
_TEXT_CHARACTERS = 200


def table_rows(tx: AccessTransaction, incident: Incident) -> list[Row]:
    """Return every customer that was decided for, by name."""
    stated = {each.customer_id: each for each in incident.facts.affected_customers}
    rows = []
    for customer_id, stored in tx.incidents.current_decisions(incident.id).items():
        customer = tx.customers.get(customer_id)
        if customer is not None:
            rows.append(Row(customer, stored.decision, stated.get(customer_id)))
    return sorted(rows, key=lambda row: (row.customer.name.casefold(), row.customer.id))


@router.get("/incidents/{incident_id}/customers")
async def customers_page(
    request: Request, access: MayReadIncidents, incident_id: UUID, confirmed: Confirmed, changed: str = ""
) -> Response:
    """Show the table; the forms only to a caller that may use them.

    Customers that a look-up in the inventory confirmed come first, and are ticked.
    """
    count, named = stated_version(changed), await confirmed.ids(access)
    wanted = filter_of(request.query_params)
    return await _shown(request, access, incident_id, wanted, changed=count, confirmed=frozenset(named))


@router.post("/incidents/{incident_id}/customers")
async def answer(request: Request, access: MayChangeIncidents, incident_id: UUID) -> Response:
    """Answer the chosen questions for the chosen customers, in one version of the facts."""
    form = await form_of(request)
    wanted = filter_of({name: form[name] for name in ("text", "verdict", "place")})
    context = context_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        rows = table_rows(tx, tx.incidents.require(incident_id))
        chosen = _chosen(form, rows, wanted)
        codes = {column: form[column] for column in COLUMNS if form[column]}
        if wrong := [column for column, code in codes.items() if not is_code(column, code)]:
            raise InvalidInputError(*(Fault(column, "is no answer to this question") for column in wrong))
        if not chosen or not codes:
            raise InvalidInputError(Fault("codes" if chosen else "chosen", "choose at least one"))
        stated = [answered(row.customer.id, row.stated, codes) for row in chosen]
        state_customers(tx, act, context, incident_id, stated_version(form["version"]), stated)
        return f"/incidents/{incident_id}/customers?{_query(wanted)}&changed={len(stated)}"

    try:
        return await write_once(access, form, work)
    except (InvalidInputError, VersionMismatchError, StateConflictError) as error:
        return await _shown(request, reading(access), incident_id, wanted, error=error, form=form)


def state_customers(
    tx: AccessTransaction,
    act: AuditContext,
    context: ApiContext,
    incident_id: UUID,
    version: int,
    stated: Sequence[AffectedCustomer],
) -> None:
    """State how customers are affected, in the place of what was stated of them."""
    facts = tx.incidents.require(incident_id).facts.with_customers(stated)
    change_facts(tx, act, incident_id, version, facts, context.agreements)


def _chosen(form: Form, rows: Sequence[Row], wanted: Filter) -> list[Row]:
    if form["all"] == "yes":
        return [row for row in rows if wanted.keeps(row)]
    chosen = set(form.all("customer"))
    return [row for row in rows if str(row.customer.id) in chosen]


def filter_of(stated: Mapping[str, str]) -> Filter:
    """Return which customers a query or a form means."""
    verdict = stated.get("verdict", "")
    return Filter(
        stated.get("text", "").strip()[:_TEXT_CHARACTERS],
        verdict if verdict in set(Verdict) else "",
        stated.get("place", "")[:_TEXT_CHARACTERS],
    )


def _query(wanted: Filter) -> str:
    return urlencode({"text": wanted.text, "verdict": wanted.verdict, "place": wanted.place})


async def _shown(
    request: Request,
    access: Access,
    incident_id: UUID,
    wanted: Filter,
    *,
    changed: int = 0,
    error: Exception | None = None,
    form: Form | None = None,
    confirmed: frozenset[str] = frozenset(),
) -> Response:
    def work(tx: AccessTransaction) -> tuple[Incident, list[Row]]:
        incident = tx.incidents.require(incident_id)
        return incident, table_rows(tx, incident)

    incident, rows = await access.read(work)
    kept = [row for row in rows if wanted.keeps(row)]
    kept.sort(key=lambda row: str(row.customer.id) not in confirmed)
    problems, status = problems_of(error)
    said = FactWords(
        reader_language(request, access.caller),
        context_of(request).agreements.reference,
        {},
        reader_zone(access.caller),
    )
    values: dict[str, Any] = {
        "rows": kept[: max(_SHOWN, len(confirmed))],
        "kept": len(kept),
        "whole": len(rows),
        "places": [(place, place) for place in all_places(rows)],
        "verdicts": [(verdict.value, said.answer("verdict", verdict.value)) for verdict in Verdict],
        "wanted": wanted,
        "table_query": _query(wanted),
        "codes": CODES,
        "columns": COLUMNS,
        "said": said,
        "changed": changed,
        "problems": problems,
        "form_id": new_form_id() if form is None else form["form_id"],
        "chosen": confirmed if form is None else set(form.all("customer")),
        "chosen_all": form is not None and form["all"] == "yes",
        "filled": {} if form is None else {column: form[column] for column in COLUMNS},
        "stale_from": None if form is None or status != STALE else stated_version(form["version"]),
    }
    return shown_in_frame(request, access, incident, "customers", values, status=status)
