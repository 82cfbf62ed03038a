"""The board: incidents with their deadlines, what is missing, and the next thing to do for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal, get_args
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from notifications.classification import Classification, Nature, classify
from notifications.incident import Incident, IncidentState
from notifications.ports import IncidentOverview
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.incidents.other_agreements import OtherClassification, TermsOfCustomers
from service.auth.route_guard import Access
from service.ports.board import BoardState, IncidentFigures, IncidentFilters, ListedIncident
from service.ports.store import AccessTransaction
from service.web.api.fields import Code, Moment, Out
from service.web.api.incidents.assessment_schemas import OpenQuestionOut, open_questions_out
from service.web.api.requests import Context, Cursor, Limit, MayReadIncidents, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/incidents", tags=["incidents"])

NextAction = Literal["call", "release", "unblock", "decide", "repair", "wait", "follow", "none"]
#: What is done first where several things are open. A call is made because something else failed already.
NEXT_ACTIONS = get_args(NextAction)

#: The filters of lists of incidents, as parameters of a query.
NatureFilter = Annotated[Nature | None, Query(description="The nature if settled, else the most protective one.")]
PriorityFilter = Annotated[
    str | None, Query(max_length=20, description="By the reference agreement; `none` for those without a priority yet.")
]
MineFilter = Annotated[bool, Query(description="Only what the caller declared.")]
ServiceFilter = Annotated[Code | None, Query(description="A service that the facts name.")]
RegionFilter = Annotated[Code | None, Query(description="A region that the facts name.")]
TextFilter = Annotated[
    str | None, Query(max_length=200, description="Words that begin like words of what the incident says.")
]

_NO_PRIORITY = "none"


def filters_of(
    access: Access,
    *,
    state: BoardState | None,
    nature: Nature | None,
    priority: str | None,
    mine: bool,
    service: str | None,
    region: str | None,
    text: str | None,
) -> IncidentFilters:
    """Return the filters that a query states."""
    return IncidentFilters(
        state=state,
        nature=None if nature is None else nature.value,
        priority="" if priority == _NO_PRIORITY else priority,
        opened_by=access.actor if mine else None,
        service=service,
        region=region,
        text=text or None,
    )


@dataclass(frozen=True, slots=True)
class BoardItem:
    """An incident on the board."""

    incident: Incident
    classification: Classification
    overview: IncidentOverview | None
    figures: IncidentFigures
    overdue: bool
    next_action: NextAction
    #: the classification by the terms of customers to whom other ones apply
    others: Sequence[OtherClassification] = ()

    @property
    def other_priorities(self) -> Sequence[OtherClassification]:
        """The terms of affected customers that give another priority than the reference, or none."""
        shown = self.classification.possible_priorities
        return [each for each in self.others if each.classification.possible_priorities != shown]

    @property
    def pending(self) -> int:
        """Customers whose verdict an open fact decides."""
        return 0 if self.overview is None else self.overview.pending

    @property
    def to_notify(self) -> int:
        """Customers to whom a notice is owed."""
        return 0 if self.overview is None else self.overview.to_notify

    @property
    def missing(self) -> tuple[str, ...]:
        """The open facts that pending verdicts wait for."""
        return () if self.overview is None else self.overview.missing

    @property
    def count(self) -> int:
        """How many the next action is about."""
        figures = self.figures
        counts = {
            "call": figures.calls,
            "release": figures.drafts,
            "unblock": figures.held,
            "decide": self.pending,
            "repair": figures.failed,
            "wait": figures.released,
        }
        return counts.get(self.next_action, 0)


@dataclass(frozen=True, slots=True)
class Board:
    """A page of the board."""

    items: Sequence[BoardItem]
    #: the incident with the nearest deadline of all, whatever the filters; None where nothing is due
    most_urgent: BoardItem | None
    #: the cursor of the store
    following: str | None


def read_board(
    tx: AccessTransaction,
    access: Access,
    agreements: Agreements,
    filters: IncidentFilters,
    *,
    limit: int,
    cursor: str | None,
    by_due: bool,
) -> Board:
    """Return a page of the board. The number of statements does not depend on the number of incidents."""
    now = access.clock.now()
    listed, following = tx.board.page(access.page(limit, cursor), filters, by_due=by_due)
    figures = tx.board.figures([item.incident.id for item in listed])
    terms = terms_of_customers(tx, access, agreements)
    items = _items(tx, listed, figures, agreements, now, terms)
    return Board(items, most_urgent(tx, access, agreements, terms), following)


def terms_of_customers(tx: AccessTransaction, access: Access, agreements: Agreements) -> TermsOfCustomers | None:
    """Return what bound the customers, at the provider; None where nothing differs from the reference agreement.

    None also for others, who read no list over all customers.
    """
    if not access.scope.at_provider:
        return None
    terms = TermsOfCustomers(tx.customers.bindings(), agreements)
    return None if terms.uniform else terms


def most_urgent(
    tx: AccessTransaction, access: Access, agreements: Agreements, terms: TermsOfCustomers | None = None
) -> BoardItem | None:
    """Return the incident with the nearest deadline of all; None where nothing is due."""
    nearest, _ = tx.board.page(access.page(1, None), IncidentFilters(state="active"), by_due=True)
    figures = tx.board.figures([each.incident.id for each in nearest])
    items = _items(tx, nearest, figures, agreements, access.clock.now(), terms)
    return next((item for item in items if item.figures.due_at is not None), None)


def _items(
    tx: AccessTransaction,
    listed: Sequence[ListedIncident],
    figures: Mapping[UUID, IncidentFigures],
    agreements: Agreements,
    now: datetime,
    terms: TermsOfCustomers | None,
) -> list[BoardItem]:
    whole = listed if terms is None else [_in_full(tx, each) for each in listed]
    return [_item(each, figures[each.incident.id], agreements, now, terms) for each in whole]


def _in_full(tx: AccessTransaction, listed: ListedIncident) -> ListedIncident:
    """Return a listed incident with every customer that its facts name: each may have terms of its own."""
    incident = listed.incident
    if listed.customers == len(incident.facts.affected_customers):
        return listed
    return replace(listed, incident=tx.incidents.require(incident.id))


def _item(
    listed: ListedIncident,
    figures: IncidentFigures,
    agreements: Agreements,
    now: datetime,
    terms: TermsOfCustomers | None,
) -> BoardItem:
    incident = listed.incident
    classification = classify(incident.facts, agreements.reference)
    return BoardItem(
        incident=incident,
        classification=classification,
        overview=listed.overview,
        figures=figures,
        overdue=figures.due_at is not None and figures.due_at < now,
        next_action=next_action(incident, listed.overview, figures),
        others=() if terms is None else terms.other(incident.facts, classification),
    )


def next_action(incident: Incident, overview: IncidentOverview | None, figures: IncidentFigures) -> NextAction:
    """Return the one thing to do next."""
    is_open = incident.state is IncidentState.OPEN
    wanted: dict[NextAction, bool] = {
        "call": figures.calls > 0,
        "release": figures.drafts > 0,
        "unblock": figures.held > 0,
        "decide": is_open and overview is not None and overview.pending > 0,
        "repair": figures.failed > 0,
        "wait": figures.released > 0,
        "follow": is_open,
    }
    return next((action for action, is_wanted in wanted.items() if is_wanted), "none")


# -- the API


class OtherPriorityOut(Out):
    """The priority by the terms of customers that the incident affects or may affect."""

    agreement_id: str
    priority: str | None = Field(description="Null while it is open, and for products without a matrix.")
    possible_priorities: list[str] = Field(description="Empty for products without a matrix.")
    gti_seconds: int | None


class BoardItemOut(Out):
    """An incident with its deadline, its numbers and the next thing to do."""

    id: UUID
    ticket: str
    state: str
    version: int
    title: dict[str, str]
    opened_at: Moment
    opened_by: str
    nature: str
    provisional: bool
    possible_natures: list[str]
    priority: str | None = Field(description="By the provider's reference agreement.")
    possible_priorities: list[str]
    other_priorities: list[OtherPriorityOut] = Field(
        description="Where the agreement or the products of affected customers give another priority, or none."
        " Only at the provider."
    )
    due_at: Moment | None = Field(
        description="The nearest deadline of a pending decision, an unsealed notice or a call; null: nothing is due."
    )
    binding: str | None = Field(
        description="How strictly `due_at` binds: `hard`, `soft` (where possible), `no_number` (our own time)."
    )
    overdue: bool = Field(
        description="Whether that time has passed; late in the sense of the agreement only if `hard`."
    )
    to_notify: int = Field(description="Customers to whom a notice is owed.")
    notified: int = Field(description="Customers with a sealed notice.")
    pending: int = Field(description="Customers whose verdict an open fact decides.")
    drafts: int = Field(description="Notices that wait for their release.")
    released: int
    held: int = Field(description="Released notices that something holds.")
    failed_deliveries: int
    open_calls: int
    next_call_id: UUID | None
    next_action: NextAction = Field(
        description="`call` somebody, `release` drafts, `unblock` held notices, `decide` customers by establishing"
        " facts, `repair` failed deliveries, `wait` until released notices are sealed, `follow` the incident."
    )
    missing: list[str] = Field(description="The open facts that decide the pending verdicts.")
    open_questions: list[OpenQuestionOut] = Field(description="What each answer would change in nature and priority.")


class BoardOut(Out):
    """A page of the board, nearest deadline first."""

    items: list[BoardItemOut]
    most_urgent: BoardItemOut | None = Field(description="Of all incidents, whatever the filters.")
    next_cursor: str | None


def _out(item: BoardItem) -> BoardItemOut:
    incident, classification, figures = item.incident, item.classification, item.figures
    return BoardItemOut.model_construct(
        id=incident.id,
        ticket=incident.ticket,
        state=incident.state.value,
        version=incident.version,
        title=incident.facts.title.as_mapping(),
        opened_at=incident.opened_at,
        opened_by=incident.opened_by,
        nature=classification.nature.value,
        provisional=classification.provisional,
        possible_natures=[nature.value for nature in classification.possible_natures],
        priority=classification.priority,
        possible_priorities=list(classification.possible_priorities),
        other_priorities=[
            OtherPriorityOut.model_construct(
                agreement_id=other.agreement.id,
                priority=other.classification.priority,
                possible_priorities=list(other.classification.possible_priorities),
                gti_seconds=other.classification.gti_seconds,
            )
            for other in item.other_priorities
        ],
        due_at=figures.due_at,
        binding=figures.binding,
        overdue=item.overdue,
        to_notify=item.to_notify,
        notified=figures.notified,
        pending=item.pending,
        drafts=figures.drafts,
        released=figures.released,
        held=figures.held,
        failed_deliveries=figures.failed,
        open_calls=figures.calls,
        next_call_id=figures.next_call_id,
        next_action=item.next_action,
        missing=list(item.missing),
        open_questions=open_questions_out(classification),
    )


@router.get("/board", response_model=BoardOut, summary="Incidents by deadline, with what to do next")
async def board(
    context: Context,
    access: MayReadIncidents,
    state: BoardState = "active",
    nature: NatureFilter = None,
    priority: PriorityFilter = None,
    mine: MineFilter = False,
    service: ServiceFilter = None,
    region: RegionFilter = None,
    q: TextFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return incidents, nearest deadline first. `active`: open, or closed while something of it is still due."""
    filters = filters_of(
        access, state=state, nature=nature, priority=priority, mine=mine, service=service, region=region, text=q
    )
    found = await access.read(
        lambda tx: read_board(tx, access, context.agreements, filters, limit=limit, cursor=cursor, by_due=True)
    )
    return json_response(
        BoardOut.model_construct(
            items=[_out(item) for item in found.items],
            most_urgent=None if found.most_urgent is None else _out(found.most_urgent),
            next_cursor=access.next_cursor(found.following),
        )
    )
