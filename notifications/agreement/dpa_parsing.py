"""parse_dpa(data, file): read the file of a data-protection annex (DPA) and check every key of it."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import pairwise

from notifications.agreement.commitments import DayCount
from notifications.agreement.commitments_parsing import notice_kinds
from notifications.agreement.conditions import level_vocabulary
from notifications.agreement.parts import Parts, language, named, root_table, validity
from notifications.agreement.table import Table
from notifications.agreement.terms import Dpa, Item, OtherTime
from notifications.errors import AgreementError

DPA_SCHEMA = "greffier.dpa/1"
_HOURS_MAX, _DAYS_MAX, _MONTHS_MAX = 8_784, 366, 1_200


def parse_dpa(data: bytes, file: str) -> Dpa:
    """Return the DPA in a TOML file; raises AgreementError(file, key, reason) on the first fault.

    Its levels cannot name impact, criticality or priority, because these are the agreement's. Not checked: whether the
    file agrees with the signed document.
    """
    root = root_table(data, file)
    if root.words("schema") != DPA_SCHEMA:
        root.fail("schema", f"must be {DPA_SCHEMA!r}")
    parts = Parts.of(root, ())
    vocabulary = level_vocabulary((), (), ())
    for scale in ("impact", "criticality", "priority"):
        del vocabulary[scale]
    deadlines = parts.deadlines(root)
    dpa = Dpa(
        id=root.identifier("id"),
        series=root.identifier("series"),
        version=root.words("version"),
        dated_on=root.day("dated_on"),
        title=root.texts("title"),
        authoritative_language=language(root),
        validity=validity(root.table("validity")),
        clauses=parts.clauses,
        deadlines=deadlines,
        levels=named(root, "levels", lambda table: parts.level(table, vocabulary, deadlines), optional=True),
        breach_items=named(root, "breach_items", lambda table: Item(table.identifier("id"), table.texts("text"))),
        other_times=named(root, "other_times", lambda table: _other_time(table, parts), optional=True),
        references=parts.references(root),
        notices=notice_kinds(root, parts),
    )
    root.finish()
    for index, kind in enumerate(dpa.notices):
        if kind.erased_within_days is not None:
            root.fail(f"notices.{index}.erased_within_days", "the agreement says which notice precedes an erasure")
    return dpa


def _other_time(table: Table, parts: Parts) -> OtherTime:
    if [table.has("hours"), table.has("days"), table.has("months")].count(True) != 1:
        table.fail("hours", "exactly one of hours, days and months must be given")
    return OtherTime(
        id=table.identifier("id"),
        clause=parts.clause(table),
        text=table.texts("text"),
        hours=table.integer("hours", 1, _HOURS_MAX) if table.has("hours") else None,
        days=table.integer("days", 1, _DAYS_MAX) if table.has("days") else None,
        months=table.integer("months", 1, _MONTHS_MAX) if table.has("months") else None,
        calendar=table.one_of("calendar", DayCount) if table.has("calendar") else DayCount.CALENDAR.value,
    )


def verify_dates_apart(dpas: Iterable[Dpa], files: Mapping[str, str]) -> None:
    """Raise AgreementError if two versions of one DPA are in force on the same day, or none on a day between two.

    ``files``: id of a DPA to the name of its file. A version without a last day is in force until the next one is.
    """
    for earlier, later in pairwise(sorted(dpas, key=lambda dpa: (dpa.series, dpa.validity.from_on, dpa.id))):
        from_on, until_on = later.validity.from_on, earlier.validity.until_on
        if earlier.series != later.series:
            continue
        if from_on == earlier.validity.from_on or (until_on is not None and until_on >= from_on):
            reason = f"{later.id!r} is in force from {from_on}, when {earlier.id!r} still is"
            raise AgreementError(files[earlier.id], "validity.until", reason)
        if until_on is not None and until_on + timedelta(days=1) < from_on:
            reason = f"no version is in force between {until_on} and {from_on}, the first day of {later.id!r}"
            raise AgreementError(files[earlier.id], "validity.until", reason)
