"""What a later report of a period says otherwise than an earlier one: the report keeps its numbers, this is beside it.

Works on the JSON form, so that an issued report is compared as it was issued.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Number = int | bool | str | None


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a report, with the row that it is of."""

    #: ``service_levels``, ``from_detection``, ``from_awareness``, ``timeliness``, ``announcements``, ``statistics``,
    #: ``incidents``
    table: str
    #: the customer's pseudonym; empty for all customers
    customer: str
    #: what names the row, such as ``secnumcloud_iaas_3_0`` and ``P1``
    row: tuple[str, ...]
    measure: str
    value: Number


@dataclass(frozen=True, slots=True)
class Correction:
    """One number that a later report states otherwise."""

    figure: Figure
    #: None if the earlier report has no such row
    before: Number
    after: Number


_ROW_NAMES = {"service_levels": ("agreement", "priority"), "timeliness": ("binding",), "announcements": ("kind",)}
_SPREADS = ("from_detection", "from_awareness")
_LISTS = ("by_nature", "by_priority", "by_rsit_class", "by_personal_data_breach", "by_significance")

_INCIDENT_MEASURES = (
    "opened_at", "detected_at", "aware_at", "intervened_at", "binding", "due_at", "notified_at", "outcome",
)  # fmt: skip
_LEVEL_MEASURES = ("opened_priority", "priority", "gti_seconds", "elapsed_seconds", "outcome")


def figures_of(report: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield every number of a report in its JSON form, first those of all customers."""
    customer = report["customer"] or ""
    yield from _of_figures(report["figures"], customer)
    for incident in report["incidents"]:
        yield from _of_incident(incident, customer)
    statistics = report["statistics"]
    for measure in ("incidents", "customers_notified"):
        yield Figure("statistics", customer, (), measure, statistics[measure])
    for name in _LISTS:
        for item in statistics.get(name, ()):
            yield Figure("statistics", customer, (name, item["code"] or ""), "incidents", item["incidents"])
    for item in report.get("customers", ()):
        yield from _of_figures(item["figures"], item["customer"])


def _of_incident(incident: Mapping[str, Any], customer: str) -> Iterator[Figure]:
    ticket = incident["ticket"] or incident["incident"]
    for name in _INCIDENT_MEASURES:
        if name in incident:
            yield Figure("incidents", customer, (ticket,), name, incident[name])
    for level in incident["service_levels"]:
        row = (ticket, level["agreement"])
        yield from (Figure("incidents", customer, row, name, level[name]) for name in _LEVEL_MEASURES)


def _of_figures(figures: Mapping[str, Any], customer: str) -> Iterator[Figure]:
    for table, names in _ROW_NAMES.items():
        # Reports of version 1 have no announcements.
        for item in figures.get(table, ()):
            row = tuple(str(item[name] or "") for name in names)
            yield from (Figure(table, customer, row, name, item[name]) for name in item if name not in names)
    for table in _SPREADS:
        yield from (Figure(table, customer, (), name, value) for name, value in figures[table].items())


def corrections_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Correction, ...]:
    """Return the numbers that differ, in the order of the later report; then those that it does not have any more."""
    earlier = {_place(figure): figure for figure in figures_of(before)}
    found = []
    for figure in figures_of(after):
        known = earlier.pop(_place(figure), None)
        value = None if known is None else known.value
        if known is None or value != figure.value:
            found.append(Correction(figure, value, figure.value))
    found += [Correction(figure, figure.value, None) for figure in earlier.values()]
    return tuple(each for each in found if each.before != each.after)


def _place(figure: Figure) -> tuple[str, str, tuple[str, ...], str]:
    return figure.table, figure.customer, figure.row, figure.measure
