"""The facts of one incident: in force, in earlier versions, and what two versions state differently."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.audit.entry import parse_leaf
from notifications.incident import Incident, IncidentFacts
from notifications.ports import Page
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.api.incidents.people import names_of
from service.web.console.failures import PageRoute
from service.web.console.forms import stated_version
from service.web.console.listing import access_under
from service.web.console.pages.incident.differences import fact_differences
from service.web.console.pages.incident.fact_words import FactRow, FactWords
from service.web.console.pages.incident.frame import MayReadIncidents, context_of, shown_in_frame
from service.web.console.rendering import reader_language, reader_zone

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_ENTRIES_AT_ONCE = 500
_VERSIONED = frozenset({"incident.declared", "incident.facts_changed", "incident.closed", "incident.reopened"})


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the facts; who wrote it and when are None to a reader who may not read the log."""

    number: int
    #: type of its entry, such as ``incident.facts_changed``
    type: str | None = None
    at: datetime | None = None
    by: str | None = None
    #: index of its entry in the log
    index: int | None = None


def fact_words(request: Request, access: Access, tx: AccessTransaction, *versions: IncidentFacts) -> FactWords:
    """Return what names the facts of these versions for a reader."""
    ids = {stated.customer_id for facts in versions for stated in facts.affected_customers}
    found = (tx.customers.get(customer_id) for customer_id in ids)
    names = {each.id: each.name for each in found if each is not None}
    return FactWords(
        reader_language(request, access.caller),
        context_of(request).agreements.reference,
        names,
        reader_zone(access.caller),
    )


def by_group(rows: list[FactRow]) -> list[tuple[str, list[FactRow]]]:
    """Return rows by group, in their order."""
    return [(group, list(of_group)) for group, of_group in groupby(rows, key=lambda row: row.group)]


@router.get("/incidents/{incident_id}/facts")
async def facts_page(request: Request, access: MayReadIncidents, incident_id: UUID, done: str = "") -> Response:
    """Show the facts in force, in words."""

    def work(tx: AccessTransaction) -> tuple[Incident, list[FactRow]]:
        incident = tx.incidents.require(incident_id)
        said = fact_words(request, access, tx, incident.facts)
        return incident, [row for row in said.rows(incident.facts) if row.group != "customers"]

    incident, rows = await access.read(work)
    values = {"groups": by_group(rows), "done": done if done == "changed" else ""}
    return shown_in_frame(request, access, incident, "facts", values)


@router.get("/incidents/{incident_id}/facts/history")
async def history_page(
    request: Request, access: MayReadIncidents, incident_id: UUID, older: str = "", newer: str = ""
) -> Response:
    """Show every version with who wrote it and when, and what two of them state differently."""
    log = access_under(access, Permission.LOG_READ)
    known = {} if log is None else await log.read(lambda tx: _versions(tx, incident_id))

    def work(tx: AccessTransaction) -> tuple[Incident, dict[str, Any]]:
        incident = tx.incidents.require(incident_id)
        last = incident.version
        end = min(stated_version(newer) or last, last)
        start = min(stated_version(older) or max(1, end - 1), last)
        then, now = tx.incidents.facts_at(incident_id, start), tx.incidents.facts_at(incident_id, end)
        changed = []
        if then is not None and now is not None:
            said = fact_words(request, access, tx, then, now)
            changed = fact_differences(said.rows(then), said.rows(now))
        versions = [known.get(number, Version(number)) for number in range(last, 0, -1)]
        return incident, {"versions": versions, "older": start, "newer": end, "changed": changed}

    incident, values = await access.read(work)
    return shown_in_frame(request, access, incident, "facts", values, template="incident_history")


def _versions(tx: AccessTransaction, incident_id: UUID) -> Mapping[int, Version]:
    """Return the versions that the log has, by number."""
    found, cursor = [], None
    while True:
        entries, cursor = tx.audit.about("incident", str(incident_id), Page(_ENTRIES_AT_ONCE, cursor))
        # Looked for in the bytes: most entries are about deliveries.
        stated = [(each.index, each.leaf) for each in entries if b'"type":"incident.' in each.leaf]
        found += [(index, leaf) for index, leaf in ((index, parse_leaf(leaf)) for index, leaf in stated)]
        if cursor is None:
            break
    versioned = [(index, leaf) for index, leaf in found if leaf.type in _VERSIONED]
    people = names_of(tx, [leaf.actor for _, leaf in versioned])
    return {
        int(str(leaf.detail["version"])): Version(
            int(str(leaf.detail["version"])), leaf.type, leaf.at, people.get(leaf.actor, leaf.actor), index
        )
        for index, leaf in versioned
    }
