"""Entries of the log as a page shows them: the kind in words, subjects with names and links, details by name."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from notifications.audit.entry import Leaf, parse_leaf
from notifications.canonical_json import parse_timestamp
from notifications.errors import InvalidInputError
from notifications.ports import SequencedEntry
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.console.catalogues import has_text
from service.web.console.listing import access_under

_ACCOUNT = "account:"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of what entries name by identifiers, as far as the caller may read them."""

    #: customer id and name, by pseudonym
    customers: Mapping[str, tuple[str, str]]
    #: account name, by the actor in the log
    actors: Mapping[str, str]
    #: ticket, by the id of the incident
    tickets: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Subject:
    """One object of an entry."""

    kind: str
    identifier: str
    #: None if it has no name, or none that the caller may read
    name: str | None
    #: page about it, or None
    path: str | None


@dataclass(frozen=True, slots=True)
class Detail:
    """One code, number or time of an entry."""

    name: str
    #: whether there are words for the name
    has_words: bool
    #: one value, or each value of a list
    values: tuple[str, ...]
    #: the value, if it is a moment
    at: datetime | None


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry in the order in which a person reads it."""

    index: int
    type: str
    has_words: bool
    at: datetime
    actor: str
    actor_name: str | None
    ticket: str | None
    subjects: tuple[Subject, ...]
    details: tuple[Detail, ...]
    commitments: tuple[tuple[str, str], ...]
    #: the exact bytes of the leaf, and the same in base64
    leaf: str
    leaf_base64: str


def names_in(tx: AccessTransaction, access: Access, entries: Iterable[SequencedEntry]) -> Names:
    """Return the names in entries, each kind under the caller's own permission to read it."""
    leaves = [parse_leaf(entry.leaf) for entry in entries]
    pseudonyms = {leaf.subjects["customer"] for leaf in leaves if "customer" in leaf.subjects}
    actors = {leaf.actor for leaf in leaves if leaf.actor.startswith(_ACCOUNT)}
    customers = access_under(access, Permission.CUSTOMER_READ)
    accounts = access_under(access, Permission.ACCOUNT_READ)
    incidents = access_under(access, Permission.INCIDENT_READ)
    concerned = {leaf.subjects["incident"] for leaf in leaves if "incident" in leaf.subjects}
    known = {} if customers is None or not pseudonyms else customers.view(tx).customers.by_pseudonyms(pseudonyms)
    return Names(
        {name: (str(item.id), item.name) for name, item in known.items()},
        {} if accounts is None else _account_names(accounts.view(tx), actors),
        {} if incidents is None else _tickets(incidents.view(tx), concerned),
    )


def _account_names(tx: AccessTransaction, actors: Iterable[str]) -> dict[str, str]:
    found = {actor: tx.accounts.get(UUID(actor.removeprefix(_ACCOUNT))) for actor in sorted(actors)}
    return {actor: account.name for actor, account in found.items() if account is not None}


def _tickets(tx: AccessTransaction, incident_ids: Iterable[str]) -> dict[str, str]:
    found = {each: tx.incidents.get(UUID(each)) for each in sorted(incident_ids)}
    return {each: incident.ticket for each, incident in found.items() if incident is not None}


def shown(entry: SequencedEntry, names: Names) -> ShownEntry:
    """Return an entry as a page shows it."""
    leaf = parse_leaf(entry.leaf)
    ticket = leaf.detail.get("ticket")
    return ShownEntry(
        index=entry.index,
        type=leaf.type,
        has_words=has_text(f"entry_kind.{leaf.type}", "en"),
        at=leaf.at,
        actor=leaf.actor,
        actor_name=names.actors.get(leaf.actor),
        ticket=ticket if isinstance(ticket, str) else None,
        subjects=_subjects(leaf, names, ticket if isinstance(ticket, str) else None),
        details=tuple(_detail(name, value) for name, value in leaf.detail.items() if value is not None),
        commitments=tuple((name, digest.hex()) for name, digest in leaf.commitments.items()),
        leaf=entry.leaf.decode(),
        leaf_base64=base64.b64encode(entry.leaf).decode(),
    )


def _subjects(leaf: Leaf, names: Names, ticket: str | None) -> tuple[Subject, ...]:
    found: list[Subject] = []
    for kind, identifier in leaf.subjects.items():
        name, path = None, None
        if kind == "customer" and identifier in names.customers:
            customer_id, name = names.customers[identifier]
            path = f"/audit/entries?customer={customer_id}"
        elif kind == "customer":
            path = f"/erasures/{identifier}" if leaf.type == "customer.erased" else None
        elif kind in {"incident", "announcement"}:
            name, path = ticket or names.tickets.get(identifier), f"/audit/entries?incident={identifier}"
        elif kind == "notice":
            path = f"/notices/{identifier}"
        found.append(Subject(kind, identifier, name, path))
    return tuple(found)


def _detail(name: str, value: object) -> Detail:
    values: Sequence[str] = [str(item) for item in value] if isinstance(value, list) else [_text(value)]
    return Detail(name, has_text(f"entry_detail.{name}", "en"), tuple(values), _moment(value))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str) or _MOMENT.fullmatch(value) is None:
        return None
    try:
        return parse_timestamp(value)
    except InvalidInputError:
        return None
