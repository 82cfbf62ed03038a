"""Lists of incidents with their figures: aggregated by incident in a fixed number of statements."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import literal_column

from notifications.agreement import DeadlineBinding
from notifications.ports import Page
from service.ports.board import IncidentFigures, IncidentFilters, ListedIncident
from service.store.incidents.incidents import INCIDENT, OVERVIEWS, incident_of_row
from service.store.search.terms import kind_facet, sought_words
from service.store.sql.encoding import from_optional_bytes, from_optional_microseconds
from service.store.sql.paging import (
    FIRST,
    LAST,
    Shape,
    cursor_of,
    extent_values,
    paged,
    parse_keys,
    shapes_of,
    start_of,
    within_extents,
)
from service.store.sql.records import Records
from service.store.sql.statements import compiled

#: The columns of an incident. Of long facts the excerpt is read in their place, and not they.
_INCIDENT_COLUMNS = ", ".join(
    [
        *(str(column) for column in INCIDENT[:-1]),
        f"coalesce(facts_excerpts.facts, {INCIDENT[-1]})",
        "facts_excerpts.customers",
    ]
)
_OVERVIEW_COLUMNS = ", ".join(str(column) for column in OVERVIEWS.columns)
#: What the words of a list are sought in.
_KINDS = [kind_facet("incident"), kind_facet("effect")]
#: Sort key of an incident of which nothing is due: after every deadline.
_NEVER = 9 * 10**17

#: Every deadline that runs, by incident. The indices of states keep what is done out of sight.
_DEADLINES = (
    "SELECT incident_id, due_at FROM notices WHERE state = 'draft'"
    " UNION ALL SELECT incident_id, due_at FROM notices WHERE state = 'released'"
    " UNION ALL SELECT n.incident_id, c.due_at FROM call_tasks c JOIN notices n ON n.id = c.notice_id"
    " WHERE c.state = 'open'"
    " UNION ALL SELECT o.incident_id, o.pending_due_at FROM incident_overviews o JOIN incidents i"
    " ON i.id = o.incident_id WHERE o.pending > 0 AND o.pending_due_at IS NOT NULL AND i.state = 'open'"
)
#: How strictly a deadline binds, as a digit: of two equal deadlines the stricter one counts.
_BINDINGS = (DeadlineBinding.HARD, DeadlineBinding.SOFT, DeadlineBinding.NO_NUMBER, None)


def _strictness(binding: str) -> str:
    return f"CASE {binding} WHEN 'hard' THEN 0 WHEN 'soft' THEN 1 WHEN 'no_number' THEN 2 ELSE 3 END"


#: Notices of earlier releases state no binding; see ``notifications.decision.binding_of``.
_OF_NOTICE = _strictness(
    "coalesce(binding, CASE due_kind WHEN 'contractual' THEN 'soft' WHEN 'internal_target' THEN 'no_number' END)"
)
#: The same deadlines, each followed by its digit. A call has no time of the agreement.
_BOUND_DEADLINES = (
    f"SELECT incident_id, due_at * 10 + {_OF_NOTICE} AS bound FROM notices WHERE state = 'draft'"  # noqa: S608
    f" UNION ALL SELECT incident_id, due_at * 10 + {_OF_NOTICE} FROM notices WHERE state = 'released'"
    " UNION ALL SELECT n.incident_id, c.due_at * 10 + 2 FROM call_tasks c JOIN notices n ON n.id = c.notice_id"
    " WHERE c.state = 'open'"
    f" UNION ALL SELECT o.incident_id, o.pending_due_at * 10 + {_strictness('o.pending_binding')}"
    " FROM incident_overviews o JOIN incidents i"
    " ON i.id = o.incident_id WHERE o.pending > 0 AND i.state = 'open'"
)
_NEAREST = f"SELECT incident_id, min(due_at) AS due_at FROM ({_DEADLINES}) AS running GROUP BY incident_id"  # noqa: S608 - this file's own words, as below
#: Conditions by filter. A service or region is in a JSON list, with its quotation marks.
_CONDITIONS = {
    "nature": "overviews.nature = ?",
    "priority": "coalesce(overviews.priority, '') = ?",
    "opened_by": "incidents.opened_by = ?",
    "service": "replace(overviews.services, ?, '') <> overviews.services",
    "region": "replace(overviews.regions, ?, '') <> overviews.regions",
}
#: The condition of each state on incidents of which something is due, and on the others.
_STATES = {
    "active": ("", "incidents.state = 'open'"),
    "open": ("incidents.state = 'open'", "incidents.state = 'open'"),
    "closed": ("incidents.state = 'closed'", "incidents.state = 'closed'"),
    None: ("", ""),
}
_DUE = "incident_id FROM nearest"
_WITH_NEAREST = f"WITH nearest AS MATERIALIZED ({_NEAREST})"
_WITH_OVERVIEW = " LEFT JOIN incident_overviews AS overviews ON overviews.incident_id = incidents.id"


@lru_cache(maxsize=256)
def _newest_statement(
    state: str | None, filters: tuple[str, ...], shapes: tuple[Shape, ...] | None, matching: str
) -> str:
    """Return the statement of a page of the newest. The rows are chosen before their facts are read.

    ``matching``: the engine's own search for documents by words; empty for a list without words.
    """
    _, stated = _STATES[state]
    if state == "active":
        stated = f"incidents.id IN (SELECT id FROM incidents WHERE state = 'open' UNION SELECT {_DUE})"  # noqa: S608
    conditions = _all_of("incidents.position < ?", stated, *_filtered(filters, shapes, matching))
    chosen = f"{_chosen('0', f'incidents{_WITH_OVERVIEW}', conditions)} ORDER BY incidents.position DESC LIMIT ?"
    return f"{_WITH_NEAREST if state == 'active' else ''} {_listed(chosen)} ORDER BY incidents.position DESC"


@lru_cache(maxsize=256)
def _due_statement(state: str | None, filters: tuple[str, ...], shapes: tuple[Shape, ...] | None, matching: str) -> str:
    """Return the statement of a page by deadline: those of which something is due, then the others.

    Each part is limited for itself. So neither reads the history: the first begins with the running deadlines, the
    second with the index of states.
    """
    of_due, of_others = _STATES[state]
    rest = _filtered(filters, shapes, matching)
    due_first = _chosen(
        "nearest.due_at",
        f"nearest JOIN incidents ON incidents.id = nearest.incident_id{_WITH_OVERVIEW}",
        _all_of("(nearest.due_at, incidents.position) > (?, ?)", of_due, *rest),
    )
    others = _chosen(
        str(_NEVER),
        f"incidents{_WITH_OVERVIEW}",
        _all_of("incidents.position > ?", of_others, f"incidents.id NOT IN (SELECT {_DUE})", *rest),
    )
    chosen = (
        f"SELECT * FROM ({due_first} ORDER BY due_key, incidents.position LIMIT ?) AS due"  # noqa: S608
        f" UNION ALL SELECT * FROM ({others} ORDER BY incidents.position LIMIT ?) AS others"
    )
    return f"{_WITH_NEAREST} {_listed(chosen)} ORDER BY chosen.due_key, incidents.position LIMIT ?"


def _filtered(filters: tuple[str, ...], shapes: tuple[Shape, ...] | None, matching: str) -> list[str]:
    """Return the conditions of filters, words and extents, in the order of their values."""
    # An announcement is no incident.
    conditions = [*(_CONDITIONS[name] for name in filters), "incidents.subject = 'incident'"]
    if matching:
        conditions.append(f"incidents.id IN (SELECT d.subject_id FROM {matching})")  # noqa: S608
    if shapes is not None:
        covered, names = within_extents(shapes, at=literal_column("incidents.opened_at"))
        conditions.append(f"({compiled(covered, *names)})")
    return conditions


def _all_of(*conditions: str) -> str:
    return " AND ".join(condition for condition in conditions if condition)


def _chosen(due_key: str, source: str, conditions: str) -> str:
    return f"SELECT incidents.id AS chosen_id, {due_key} AS due_key FROM {source} WHERE {conditions}"  # noqa: S608


def _listed(chosen: str) -> str:
    return (
        f"SELECT chosen.due_key, incidents.position, {_INCIDENT_COLUMNS}, {_OVERVIEW_COLUMNS} FROM ({chosen}) AS chosen"  # noqa: S608
        " JOIN incidents ON incidents.id = chosen.chosen_id JOIN incident_facts"
        " ON incident_facts.incident_id = incidents.id AND incident_facts.version = incidents.version"
        " LEFT JOIN facts_excerpts ON facts_excerpts.incident_id = incidents.id"
        " LEFT JOIN incident_overviews ON incident_overviews.incident_id = incidents.id"
    )


def _listed_of_row(*row: Any) -> ListedIncident:
    columns = len(INCIDENT)
    incident, customers, overview = incident_of_row(*row[:columns]), row[columns], row[columns + 1 :]
    return ListedIncident(
        incident,
        len(incident.facts.affected_customers) if customers is None else customers,
        None if overview[0] is None else OVERVIEWS.record(overview),
    )


def _of_incidents(count: int, column: str = "incident_id") -> str:
    return f"{column} IN ({', '.join('?' * count)})"


@lru_cache(maxsize=256)
def _figure_statements(count: int) -> tuple[str, str, str, str]:
    """Return the statements of deadlines, notices, failed deliveries and calls of so many incidents."""
    of_notices = _of_incidents(count, "n.incident_id")
    deadlines = (
        f"SELECT incident_id, bound FROM (SELECT incident_id, min(bound) AS bound FROM ({_BOUND_DEADLINES}) AS running"  # noqa: S608
        f" GROUP BY incident_id) AS nearest WHERE {_of_incidents(count)}"
    )
    notices = (
        "SELECT incident_id, count(DISTINCT CASE WHEN state = 'sealed' THEN customer_id END),"  # noqa: S608
        " count(CASE WHEN state = 'draft' THEN 1 END), count(CASE WHEN state = 'released' THEN 1 END),"
        " count(CASE WHEN state = 'released' AND hold_reason IS NOT NULL THEN 1 END)"
        f" FROM notices WHERE {_of_incidents(count)} GROUP BY incident_id"
    )
    failed = (
        "SELECT n.incident_id, count(*) FROM deliveries d JOIN notices n ON n.id = d.notice_id"  # noqa: S608
        f" WHERE d.last_error IS NOT NULL AND d.state = 'failed' AND {of_notices} GROUP BY n.incident_id"
    )
    calls = (
        "SELECT incident_id, id, calls FROM (SELECT n.incident_id, c.id,"  # noqa: S608
        " count(*) OVER (PARTITION BY n.incident_id) AS calls,"
        " row_number() OVER (PARTITION BY n.incident_id ORDER BY c.due_at, c.position) AS place"
        " FROM call_tasks c JOIN notices n ON n.id = c.notice_id"
        f" WHERE c.state = 'open' AND {of_notices}) AS placed WHERE place = 1"
    )
    return deadlines, notices, failed, calls


def _figures_of(
    deadline: tuple[int | None], notices: tuple[int, int, int, int], failed: tuple[int], calls: tuple[bytes | None, int]
) -> IncidentFigures:
    notified, drafts, released, held = notices
    due_at, strictness = (None, -1) if deadline[0] is None else divmod(int(deadline[0]), 10)
    return IncidentFigures(
        due_at=from_optional_microseconds(due_at),
        binding=_BINDINGS[strictness],
        notified=notified,
        drafts=drafts,
        released=released,
        held=held,
        failed=failed[0],
        calls=calls[1],
        next_call_id=from_optional_bytes(calls[0]),
    )


class BoardRecords(Records):
    """Implements ``service.ports.board.BoardRepository``."""

    def page(self, page: Page, filters: IncidentFilters, *, by_due: bool) -> tuple[list[ListedIncident], str | None]:
        """Return a page of incidents: nearest deadline first, those without one last; or newest first."""
        stated = {
            "nature": filters.nature,
            "priority": filters.priority,
            "opened_by": filters.opened_by,
            "service": None if filters.service is None else f'"{filters.service}"',
            "region": None if filters.region is None else f'"{filters.region}"',
        }
        given = {name: value for name, value in stated.items() if value is not None}
        words = sought_words(filters.text or "")
        start = self._after(page) if by_due else start_of("incidents", page, LAST)
        if filters.text and not words:
            return [], None
        match = [self._session.search_query(None, [_KINDS], words)] if words else []
        matching = self._session.search_from(None) if words else ""
        parts, limit = (filters.state, tuple(given), shapes_of(page), matching), page.limit + 1
        values = (*given.values(), *match, *extent_values(page), limit)
        if isinstance(start, int):
            rows = self._session.all(_newest_statement(*parts), (start, *values))
            return paged("incidents", page, [row[1:] for row in rows], _listed_of_row)
        due_at, position = start
        # Before the first incident of which nothing is due, all of them follow.
        others_after = position if due_at == _NEVER else FIRST
        rows = self._session.all(_due_statement(*parts), (*start, *values, others_after, *values, limit))
        kept = rows[: page.limit]
        following = cursor_of("due", *kept[-1][:2]) if len(rows) > page.limit else None
        return [_listed_of_row(*row[2:]) for row in kept], following

    def figures(self, incident_ids: Collection[UUID]) -> Mapping[UUID, IncidentFigures]:
        """Return the figures of each of some incidents."""
        if not incident_ids:
            return {}
        keys = tuple(dict.fromkeys(incident_id.bytes for incident_id in incident_ids))
        deadlines, notices, failed, calls = (
            {row[0]: row[1:] for row in self._session.all(statement, keys)}
            for statement in _figure_statements(len(keys))
        )
        return {
            UUID(bytes=key): _figures_of(
                deadlines.get(key, (None,)),
                notices.get(key, (0, 0, 0, 0)),
                failed.get(key, (0,)),
                calls.get(key, (None, 0)),
            )
            for key in keys
        }

    @staticmethod
    def _after(page: Page) -> tuple[int, int]:
        start_of("due", Page(page.limit), LAST)
        if page.cursor is None:
            return -1, -1
        due, position = parse_keys("due", page.cursor, 2)
        return due, position
