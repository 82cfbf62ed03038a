"""The form of an announcement: the fields of its kind, what a person typed, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from starlette.responses import Response

from notifications.agreement.commitments import NoticeKind
from notifications.errors import Fault, InvalidInputError
from notifications.incident import LANGUAGES, Incident
from notifications.use_cases.incidents.customer_decider import Agreements
from service.auth.route_guard import Access
from service.web.api.announcements.announcement_schemas import AnnouncementIn
from service.web.api.context import ApiContext
from service.web.console.catalogues import has_text, text
from service.web.console.facts_form import Fields
from service.web.console.forms import Form, stated
from service.web.console.moments import MomentError, local_text, offered_zones, parse_moment
from service.web.console.rendering import page, reader_language, reader_zone

_NAMES = ("products", "services", "regions")
_CONFLICT, _UNPROCESSABLE = 409, 422


def kinds_of(agreements: Agreements) -> dict[str, NoticeKind]:
    """Return the kinds of notice of every agreement and DPA, by id."""
    found: dict[str, NoticeKind] = {}
    for kind in agreements.notice_kinds:
        found.setdefault(kind.id, kind)
    return found


def items_of(agreements: Agreements, kind_id: str) -> dict[str, Mapping[str, str]]:
    """Return the items of a kind in every agreement and DPA: id to text by language."""
    found: dict[str, Mapping[str, str]] = {}
    for kind in agreements.notice_kinds:
        for item in kind.items if kind.id == kind_id else ():
            found.setdefault(item.id, item.text.as_mapping())
    return found


async def announcement_form(
    request: Request,
    context: ApiContext,
    access: Access,
    typed: Fields,
    *,
    faults: Sequence[Fault] = (),
    refused: str = "",
    changing: Incident | None = None,
    kept: Mapping[str, Any] | None = None,
    status: int = 200,
) -> Response:
    """Show the form, or the choice of a kind.

    ``refused`` names the words for a changed announcement, ``kept`` has the values of ``draft_values`` for a new one.
    """
    language, kinds = reader_language(request, access.caller), kinds_of(context.agreements)
    customers = await access.read(lambda tx: [(str(each.id), each.name) for each in tx.customers.all()])
    kind_id = typed["kind"]
    zone, zones = offered_zones(reader_zone(access.caller), typed["time_zone"])
    values = {
        "kinds": [(each.id, each.title.as_mapping()[language]) for each in kinds.values()],
        "kind": kinds.get(kind_id),
        "kind_title": "" if kind_id not in kinds else kinds[kind_id].title.as_mapping()[language],
        "items": {name: texts[language] for name, texts in items_of(context.agreements, kind_id).items()},
        "filled": typed.__getitem__,
        "wrong": dict(_worded(fault, language, zone) for fault in faults),
        "refused": refused,
        "languages": LANGUAGES,
        "customers": customers,
        "chosen": typed.all("customers"),
        "changing": changing,
        "zone": zone,
        "zones": [(name, name) for name in zones],
        **(kept or {"of_form": None}),
    }
    status = _UNPROCESSABLE if faults else _CONFLICT if refused else status
    return page(request, "announcement_form", access.caller, values, status=status)


def _worded(fault: Fault, language: str, zone: str) -> tuple[str, str]:
    """Return a field of the form, and what is wrong with it in the reader's language."""
    name, _, item = fault.field.partition(".")
    if has_text(fault.reason, language):
        return name, text(fault.reason, language, zone=zone)
    if fault.field == "customers":
        return name, text("announcements.no_customers", language)
    if name == "items":
        missing = fault.reason.startswith("is missing")
        return f"item.{item}", text("announcements.missing" if missing else "announcements.wrong_text", language)
    key = f"announcements.wrong_{name}"
    return (
        (name, text(key, language))
        if has_text(key, language)
        else ("kind", text("announcements.wrong_other", language))
    )


def stated_announcement(form: Form, context: ApiContext, access: Access) -> AnnouncementIn:
    """Return what a form states, as the API takes it; raises InvalidInputError."""
    zone, _ = offered_zones(reader_zone(access.caller), form["time_zone"])
    now = context.clock.now()
    body: dict[str, Any] = {"kind": form["kind"], "customers": [each for each in form.all("customers") if each]}
    faults: list[Fault] = []
    for name in ("occurs_at", "ends_at"):
        if form[name].strip():
            try:
                body[name] = parse_moment(form[name], zone, now)
            except MomentError as error:
                faults.append(Fault(name, error.key))
    body |= {name: form[name].replace(",", " ").split() for name in _NAMES}
    for name in ("title", "text"):
        body[name] = _texts(form, name)
        if not body[name]:
            faults.append(Fault(name, "announcements.no_text"))
    texts = {item: _texts(form, f"item.{item}") for item in items_of(context.agreements, form["kind"])}
    body["items"] = {item: said for item, said in texts.items() if said}
    if "occurs_at" not in body and not any(fault.field == "occurs_at" for fault in faults):
        faults.append(Fault("occurs_at", "facts.wrong.missing"))
    if faults:
        raise InvalidInputError(*faults)
    return stated(AnnouncementIn, body)


def _texts(form: Form, name: str) -> dict[str, str]:
    return {language: said for language in LANGUAGES if (said := form[f"{name}.{language}"].strip())}


def typed_as(announcement: Incident, zone: str) -> Fields:
    """Return the form filled with what is announced, its times in a zone."""
    facts, announced = announcement.facts, announcement.facts.announcement
    if announced is None:
        raise LookupError(f"{announcement.ticket} is no announcement")
    fields = {
        "kind": announced.kind,
        "time_zone": zone,
        "occurs_at": local_text(announced.occurs_at, zone),
        "ends_at": "" if announced.ends_at is None else local_text(announced.ends_at, zone),
        "products": " ".join(announced.products),
        "services": " ".join(facts.services),
        "regions": " ".join(facts.regions),
    }
    for name, texts in (("title", facts.title.texts), ("text", facts.summary.texts)):
        fields |= {f"{name}.{language}": said for language, said in texts}
    for item in announced.items:
        fields |= {f"item.{item.id}.{language}": said for language, said in item.text.texts}
    return Fields({name: [said] for name, said in fields.items()} | {"customers": list(map(str, announced.customers))})
