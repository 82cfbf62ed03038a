"""The board: what burns, and what to do next about each incident."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from notifications.classification import AnswerEffect, Nature
from notifications.incident import UnlistedCustomers
from notifications.wording import words
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.board import BoardState
from service.web.api.fields import Code
from service.web.api.incidents.board import BoardItem, filters_of, read_board
from service.web.api.incidents.events import event_stream
from service.web.console.catalogues import has_text, text
from service.web.console.draft_listing import drafts_for
from service.web.console.failures import PageRoute
from service.web.console.listing import in_language
from service.web.console.rendering import page, reader_language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayReadIncidents = Annotated[Access, Depends(Requires(Permission.INCIDENT_READ))]
Cursor = Annotated[str | None, Query(max_length=500)]

_LISTED = 25
_TEXT_CHARACTERS = 200
_STATES = get_args(BoardState)
_CODE: TypeAdapter[str] = TypeAdapter(Code)
_CUSTOMER = re.compile(r"\.[0-9a-f-]{36}(?=\.)")
_NO_PRIORITY = "none"
#: The page of an incident where the next action is done.
_DONE_AT: Mapping[str, str] = {
    "release": "/notices",
    "unblock": "/notices",
    "decide": "/facts",
    "repair": "/deliveries?state=failed",
    "follow": "/closing",
}


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """One answer to an open question, and what it would make of the incident."""

    said: str
    natures: tuple[str, ...]
    priorities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownQuestion:
    """A fact that is missing, in words."""

    fact: str
    #: customers for whom it is asked one by one; 0 where it is asked once
    customers: int
    #: whether undecided customers wait for it
    decides: bool
    #: what each answer would make of nature and priority; empty where it changes neither
    answers: tuple[ShownAnswer, ...]


@dataclass(frozen=True, slots=True)
class ShownIncident:
    """An incident on the board in the language of its reader."""

    item: BoardItem
    title: str
    #: language of the title, where it is not the reader's
    title_language: str | None
    questions: tuple[ShownQuestion, ...]
    #: where the next action is done
    path: str


@router.get("/incidents")
async def board_page(
    request: Request,
    access: MayReadIncidents,
    state: str = "active",
    nature: str = "",
    priority: str = "",
    mine: str = "",
    service: str = "",
    region: str = "",
    q: str = "",
    cursor: Cursor = None,
) -> Response:
    """Show incidents by deadline; the filters are in the address, so that a link to a view can be kept."""
    context, language = request.app.state.api_context, reader_language(request, access.caller)
    priorities = [level.id for level in context.agreements.reference.priorities]
    filled = {
        "state": state if state in _STATES else "active",
        "nature": nature if nature in set(Nature) else "",
        "priority": priority if priority in {*priorities, _NO_PRIORITY} else "",
        "mine": "yes" if mine == "yes" else "",
        "service": service.strip(),
        "region": region.strip(),
        "q": q.strip()[:_TEXT_CHARACTERS],
    }
    errors = {
        name: text("board.problem_code", language) for name in ("service", "region") if not _is_code(filled[name])
    }
    filters = filters_of(
        access,
        state=next(each for each in _STATES if each == filled["state"]),
        nature=Nature(filled["nature"]) if filled["nature"] else None,
        priority=filled["priority"] or None,
        mine=bool(filled["mine"]),
        service=None if "service" in errors else filled["service"] or None,
        region=None if "region" in errors else filled["region"] or None,
        text=filled["q"] or None,
    )
    found = await access.read(
        lambda tx: read_board(tx, access, context.agreements, filters, limit=_LISTED, cursor=cursor, by_due=True)
    )
    anything = ("", text("board.any", language))
    following = access.next_cursor(found.following)
    values: dict[str, Any] = {
        "incidents": [shown_incident(item, language) for item in found.items],
        "urgent": None if found.most_urgent is None else shown_incident(found.most_urgent, language),
        "drafts": await drafts_for(access, context.secret_box, language) if cursor is None else (),
        "filled": filled,
        "errors": {"service": "", "region": ""} | errors,
        "filtered": any(value for name, value in filled.items() if name != "state") or filled["state"] != "active",
        "first_page": cursor is None,
        "state_options": [(each, text(f"board.state_{each}", language)) for each in _STATES],
        "nature_options": [anything, *((each.value, words(f"nature.{each.value}", language)) for each in Nature)],
        "priority_options": [
            anything,
            *((each, each) for each in priorities),
            (_NO_PRIORITY, text("board.no_priority", language)),
        ],
        "here_again": f"/incidents?{_query(request)}" if request.query_params else "/incidents",
        "following": "" if following is None else f"/incidents?{_query(request, cursor=following)}",
    }
    return page(request, "board", access.caller, values, status=422 if errors else 200)


@router.get("/events")
async def events(request: Request, access: MayReadIncidents) -> Response:
    """Follow what happens to incidents, as ``GET /api/v1/events`` does."""
    return await event_stream(request, access)


def _query(request: Request, **more: str) -> str:
    """Return the query of this page with another part of the list; the filters stay as they were stated."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor" or not more]
    return urlencode([*kept, *more.items()])


def _is_code(stated: str) -> bool:
    if not stated:
        return True
    try:
        _CODE.validate_python(stated)
    except ValidationError:
        return False
    return True


def shown_incident(item: BoardItem, language: str) -> ShownIncident:
    """Return an incident of the board in a language."""
    title, title_language = in_language(item.incident.facts.title.as_mapping(), language)
    path = f"/incidents/{item.incident.id}{_DONE_AT.get(item.next_action, '')}"
    if item.next_action == "call":
        path = f"/calls/{item.figures.next_call_id}"
    return ShownIncident(item, title, title_language, _questions(item, language), path)


def _questions(item: BoardItem, language: str) -> tuple[ShownQuestion, ...]:
    """Return what is missing; the same fact of several customers is asked once, with their number."""
    asked: dict[str, tuple[int, tuple[AnswerEffect, ...]]] = {}
    for question in item.classification.open_questions:
        fact = _CUSTOMER.sub("", question.fact)
        number, effects = asked.get(fact, (0, question.effects))
        asked[fact] = number + (fact != question.fact), effects
    decisive = {fact.replace(".*.", ".") for fact in item.missing}
    for fact in sorted(decisive):
        asked.setdefault(fact, (0, ()))
    return tuple(
        ShownQuestion(
            _fact(fact, language),
            number,
            fact in decisive,
            tuple(_answers(item, fact, effects, language)),
        )
        for fact, (number, effects) in asked.items()
    )


def _answers(item: BoardItem, fact: str, effects: Sequence[AnswerEffect], language: str) -> Iterator[ShownAnswer]:
    """Yield the answers that would settle something, and of each what it would settle."""
    now = item.classification
    for effect in effects:
        natures = () if effect.natures == now.possible_natures else effect.natures
        priorities = () if effect.priorities == now.possible_priorities else effect.priorities
        if natures or priorities:
            said = tuple(words(f"nature.{nature}", language) for nature in natures)
            yield ShownAnswer(_answer(fact, effect.answer, language), said, priorities)


def _fact(fact: str, language: str) -> str:
    """Return the words for a fact, as they are said to an analyst."""
    key = f"board.fact.{fact.rpartition('.')[2]}"
    of_customer = fact.startswith("affected_customers.")
    return text(key, language) if of_customer and has_text(key, language) else words(f"fact.{fact}", language)


#: The kind of words of an answer, by fact; where there is none, codes of the agreement are shown as they are.
_ANSWERS: Mapping[str, str] = {"intent": "intent", "cause": "cause"}


def _answer(fact: str, answer: str, language: str) -> str:
    if fact == "unlisted_customers":
        key = "nobody_else" if answer == UnlistedCustomers.NOT_AFFECTED else "others_too"
        return text(f"board.{key}", language)
    if fact in {"impact", "criticality"}:
        return answer
    return words(f"{_ANSWERS.get(fact, 'answer')}.{answer}", language)
