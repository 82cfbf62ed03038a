"""The timeline of one incident: every entry of the log about it, newest first, by kind, each with its proof."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.audit.entry import Leaf, parse_leaf
from notifications.canonical_json import parse_timestamp
from notifications.incident import Incident
from notifications.ports import Page
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.api.incidents.people import names_of
from service.web.console.catalogues import has_text, text
from service.web.console.failures import PageRoute
from service.web.console.pages.incident.fact_words import FactWords
from service.web.console.pages.incident.frame import MayReadLog, context_of, shown_in_frame
from service.web.console.rendering import reader_language, reader_zone

router = APIRouter(route_class=PageRoute, include_in_schema=False)

SHOWN = 50
#: Entries that are read for one page, where few of them are of the kind that is wanted.
_READ_MAX = 2_000
#: Entry types by kind; what ends in a dot names every type that begins so. The first that fits counts.
_KINDS: Mapping[str, tuple[str, ...]] = {
    "bounces": ("delivery.returned",),
    "overrides": ("notice.released_by_override", "override."),
    "releases": ("notice.released",),
    "acknowledgements": ("notice.acknowledged", "notice.opened"),
    "calls": ("call_task.", "call.", "escalation."),
    "deliveries": ("delivery.",),
    "notices": ("notice.",),
    "decisions": ("decision.",),
    "facts": ("incident.",),
    "interventions": ("intervention.",),
}
KINDS = (
    "facts", "interventions", "decisions", "notices", "releases", "overrides", "deliveries", "bounces",
    "acknowledgements", "calls", "other",
)  # fmt: skip
#: What is shown of an entry's details, and the vocabulary of its value.
_DETAILS = {
    "version": "", "sequence": "", "kind": "kind", "verdict": "verdict", "nature": "nature", "priority": "",
    "channel": "channel", "event": "", "code": "", "outcome": "", "via": "acknowledgement.via", "reason": "",
    "affected": "answer",
    "due_at": "moment", "started_at": "moment",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One entry of the log."""

    index: int
    leaf: Leaf
    kind: str
    #: name of the customer that it is about; empty for none
    customer: str
    actor: str
    #: (name of the detail, value in words)
    details: Sequence[tuple[str, str]]


@router.get("/incidents/{incident_id}/timeline")
async def timeline_page(
    request: Request, access: MayReadLog, incident_id: UUID, kind: str = "", cursor: str | None = None
) -> Response:
    """Show what happened, newest first."""
    wanted = kind if kind in KINDS else ""
    said = FactWords(
        reader_language(request, access.caller),
        context_of(request).agreements.reference,
        {},
        reader_zone(access.caller),
    )

    def work(tx: AccessTransaction) -> tuple[Incident, list[Occurrence], str | None]:
        incident = tx.incidents.require(incident_id)
        return incident, *occurrences(tx, incident, said, access.page(SHOWN, cursor), wanted)

    incident, found, following = await access.read(work)
    values: dict[str, Any] = {
        "found": found,
        "kinds": KINDS,
        "kind": wanted,
        "continues": cursor is not None,
        "next_path": _next_path(access, incident_id, wanted, following),
    }
    return shown_in_frame(request, access, incident, "timeline", values)


def _next_path(access: Access, incident_id: UUID, kind: str, following: str | None) -> str:
    sealed = access.next_cursor(following)
    return "" if sealed is None else f"/incidents/{incident_id}/timeline?kind={kind}&cursor={sealed}"


def occurrences(
    tx: AccessTransaction, incident: Incident, said: FactWords, page: Page, wanted: str = ""
) -> tuple[list[Occurrence], str | None]:
    """Return entries about an incident, newest first, of one kind or of all, and where the next page starts.

    Only an entry says of what kind it is. So a page of a rare kind may end before it is full, with another after it.
    """
    found: list[tuple[int, Leaf]] = []
    read, cursor = 0, page.cursor
    while len(found) < page.limit and read < _READ_MAX:
        entries, cursor = tx.audit.about(
            "incident", str(incident.id), Page(page.limit - len(found), cursor, page.within), newest_first=True
        )
        leaves = [(entry.index, parse_leaf(entry.leaf)) for entry in entries]
        found += [(index, leaf) for index, leaf in leaves if not wanted or kind_of(leaf.type) == wanted]
        read += len(entries)
        if cursor is None:
            break
    customers = _customers(tx, incident)
    people = names_of(tx, [leaf.actor for _, leaf in found])
    return [
        Occurrence(
            index,
            leaf,
            kind_of(leaf.type),
            customers.get(leaf.subjects.get("customer", ""), ""),
            people.get(leaf.actor, leaf.actor),
            list(_details(leaf, said)),
        )
        for index, leaf in found
    ], cursor


def kind_of(entry_type: str) -> str:
    """Return the kind that an entry is filtered by."""
    for kind, types in _KINDS.items():
        if any(entry_type == each or (each.endswith(".") and entry_type.startswith(each)) for each in types):
            return kind
    return "other"


def _customers(tx: AccessTransaction, incident: Incident) -> dict[str, str]:
    """Return the names of the customers that were decided for, by pseudonym."""
    found = (tx.customers.get(customer_id) for customer_id in tx.incidents.current_decisions(incident.id))
    return {tx.customers.pseudonym(each.id): each.name for each in found if each is not None}


def _details(leaf: Leaf, said: FactWords) -> list[tuple[str, str]]:
    found = []
    for name, vocabulary in _DETAILS.items():
        value = leaf.detail.get(name)
        if value is None or isinstance(value, list) or not has_text(f"incident.detail.{name}", said.language):
            continue
        shown = (
            said.when(parse_timestamp(str(value))) if vocabulary == "moment" else said.answer(vocabulary, str(value))
        )
        found.append((name, shown))
    return found


def _said(said: FactWords, vocabulary: str, value: str) -> str:
    if vocabulary == "moment":
        return said.when(parse_timestamp(value))
    key = f"{vocabulary}.{value}"
    return text(key, said.language) if has_text(key, said.language) else said.answer(vocabulary, value)
