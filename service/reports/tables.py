"""The tables of a report in a reader's language: the page, the XLSX file and the PDF show the same ones."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from notifications.reporting.corrections import Correction, Figure
from service.reports.report_table import Cell, Duration, Moment, ReportTable, Share, TableWords
from service.reports.shown_report import ShownReport

_OUTCOMES = ("opened", "in_time", "late", "missing", "running", "not_recorded", "without_gti", "changed")
#: of the outcomes, the last ones that are seldom other than zero
_RARE = 4
_ANNOUNCED = ("due", "in_time", "after_aim", "late", "missing")
_TARGETS = {True: "met", False: "missed", None: "none"}
#: Columns of the incidents that say nothing where no agreement gives a priority: that of a customer of PaaS only.
_OF_LEVELS = frozenset({1, 3, 5, 6})


def tables_of(shown: ShownReport, words: TableWords) -> list[ReportTable]:
    """Return the tables of a report in the order of their importance; those without a row are left out."""
    stated, figures = shown.stated, shown.stated["figures"]
    found = [
        _service_levels(figures["service_levels"], words),
        _times(figures, words),
        _timeliness(figures["timeliness"], words),
        # Reports of version 1 have none.
        _announcements(figures.get("announcements", ()), words),
        _customers(stated.get("customers", ()), words),
        _incidents(stated["incidents"], words),
        _statistics(
            stated["statistics"],
            words,
            of_one=bool(shown.customer),
            without=() if figures["service_levels"] or not shown.customer else ("by_priority",),
        ),
    ]
    found += [
        _corrections(f"corrections_{each.issued.number}", each.changes, words, number=each.issued.number)
        for each in shown.corrections
    ]
    found.append(_corrections("unissued", shown.unissued_changes, words))
    zone = str(stated["time_zone"])
    return [_with_zone(table, zone) for table in found if table.rows]


def _with_zone(table: ReportTable, zone: str) -> ReportTable:
    """Return a table whose columns of moments name their time zone, also where the table is cut out of its report."""
    timed = {column for row in table.rows for column, cell in enumerate(row) if isinstance(cell, Moment)}
    head = (f"{title} ({zone})" if column in timed else title for column, title in enumerate(table.head))
    return replace(table, head=tuple(head))


def _service_levels(rows: Sequence[Mapping[str, Any]], words: TableWords) -> ReportTable:
    made: list[tuple[Cell, ...]] = [
        (
            words.agreement(row["agreement"]),
            words.code("priority", row["priority"]),
            _duration(row["gti_seconds"]),
            None if row["target_percent"] is None else Share(10 * row["target_percent"]),
            _share(row["share_permille"]),
            words.say(f"report.target.{_TARGETS[row['target_met']]}"),
            *(row[name] for name in _OUTCOMES),
        )
        for row in rows
    ]
    head = words.head("agreement", "priority", "gti", "target", "share", "result", *_OUTCOMES)
    missed = frozenset(number for number, row in enumerate(rows) if row["target_met"] is False)
    table = replace(_table("service_levels", words, head, made, names=2, marked=missed), rare=_RARE)
    return _without_one_agreement(table, 0)


def _without_one_agreement(table: ReportTable, column: int) -> ReportTable:
    """Return a table with the agreement in its title instead of a column, where all rows are of one."""
    named = {row[column] for row in table.rows} - {None}
    if len(named) != 1:
        return table
    rows = tuple(row[:column] + row[column + 1 :] for row in table.rows)
    head = table.head[:column] + table.head[column + 1 :]
    return replace(table, title=f"{table.title} – {named.pop()}", head=head, rows=rows, names=1)


def _times(figures: Mapping[str, Any], words: TableWords) -> ReportTable:
    rows: list[tuple[Cell, ...]] = [
        (
            words.say(f"report.start.{start}"),
            spread["notices"],
            *(_duration(spread[f"{name}_seconds"]) for name in ("minimum", "mean", "percentile_95", "maximum")),
            spread["not_recorded"],
        )
        for start in ("from_detection", "from_awareness")
        if (spread := figures[start])["notices"] or spread["not_recorded"]
    ]
    head = words.head("start", "notices", "minimum", "mean", "percentile_95", "maximum", "start_not_recorded")
    return _table("times", words, head, rows)


def _timeliness(rows: Sequence[Mapping[str, Any]], words: TableWords) -> ReportTable:
    made: list[tuple[Cell, ...]] = [
        (
            words.say(f"report.binding.{row['binding']}"),
            row["due"],
            row["in_time"],
            row["after"],
            row["missing"],
            _share(row["share_permille"]),
        )
        for row in rows
        if row["due"]
    ]
    head = words.head("binding", "due", "by_deadline", "after", "not_notified", "share")
    return _table("timeliness", words, head, made)


def _announcements(rows: Sequence[Mapping[str, Any]], words: TableWords) -> ReportTable:
    made: list[tuple[Cell, ...]] = [
        (words.notice_kind(row["kind"]), *(row[name] for name in _ANNOUNCED), _share(row["share_permille"]))
        for row in rows
    ]
    head = words.head("notice_kind", "due", "by_deadline", "after_aim", "after_limit", "not_notified", "share")
    marked = frozenset(number for number, row in enumerate(rows) if row["late"] or row["missing"])
    return _table("announcements", words, head, made, marked=marked)


def _customers(customers: Sequence[Mapping[str, Any]], words: TableWords) -> ReportTable:
    rows: list[tuple[Cell, ...]] = []
    for item in customers:
        figures = item["figures"]
        due, levels, spread = figures["timeliness"], figures["service_levels"], figures["from_awareness"]
        announced = figures.get("announcements", ())
        rows.append(
            (
                words.customer(item["customer"]),
                sum(level["opened"] for level in levels),
                _total_share(levels, "measured"),
                sum(row["due"] for row in due),
                _total_share(due, "due"),
                _duration(spread["mean_seconds"]),
                _duration(spread["percentile_95_seconds"]),
                sum(row["due"] for row in announced),
                _total_share(announced, "due"),
            )
        )
    head = words.head(
        "customer", "incidents", "gti_share", "due", "notice_share", "mean", "percentile_95", "announced",
        "announced_share",
    )  # fmt: skip
    if not any(item["figures"].get("announcements") for item in customers):
        head, rows = head[:-2], [row[:-2] for row in rows]
    return replace(_table("customers", words, head, rows), keys=tuple(item["customer"] for item in customers))


def _total_share(rows: Sequence[Mapping[str, Any]], of: str) -> Share | None:
    whole = sum(row[of] for row in rows)
    return Share(1000 * sum(row["in_time"] for row in rows) // whole) if whole else None


def _incidents(incidents: Sequence[Mapping[str, Any]], words: TableWords) -> ReportTable:
    rows: list[tuple[Cell, ...]] = []
    for item in incidents:
        levels: Sequence[Mapping[str, Any]] = item["service_levels"] or ({},)
        for level in levels:
            changed = level.get("opened_priority") not in {None, level.get("priority")}
            priority = words.code("priority", level.get("priority"))
            rows.append(
                (
                    item["ticket"] or item["incident"],
                    words.agreement(level["agreement"]) if level else None,
                    Moment(item["opened_at"]),
                    words.say("report.changed_from", priority=priority, opened=level["opened_priority"])
                    if changed
                    else priority,
                    None if item["intervened_at"] is None else Moment(item["intervened_at"]),
                    _duration(level.get("elapsed_seconds")),
                    words.code("outcome", level.get("outcome"))
                    + (f" {words.say('report.corrected')}" if item["corrected"] else ""),
                    None if item.get("notified_at") is None else Moment(item["notified_at"]),
                    words.code("notice", item["outcome"]) if "outcome" in item else None,
                )
            )
    head = words.head(
        "ticket", "agreement", "opened_at", "priority", "intervened_at", "elapsed", "intervention", "notified_at",
        "notice",
    )  # fmt: skip
    if not any("outcome" in item for item in incidents):
        # In the report on all customers an incident has many notices.
        head, rows = head[:-2], [row[:-2] for row in rows]
    table = _table("incidents", words, head, rows)
    if not any(item["service_levels"] for item in incidents):
        return _without(table, _OF_LEVELS)
    return _without_one_agreement(table, 1)


def _without(table: ReportTable, columns: Collection[int]) -> ReportTable:
    head, *rows = (
        tuple(cell for column, cell in enumerate(row) if column not in columns) for row in (table.head, *table.rows)
    )
    return replace(table, head=cast("tuple[str, ...]", head), rows=tuple(rows))


def _statistics(
    statistics: Mapping[str, Any], words: TableWords, *, of_one: bool, without: Collection[str] = ()
) -> ReportTable:
    rows: list[tuple[Cell, ...]] = [
        (words.say(f"report.statistics.{name}"), "", statistics[name])
        for name in (("incidents",) if of_one else ("incidents", "customers_notified"))
    ]
    for name in ("by_nature", "by_priority", "by_rsit_class", "by_personal_data_breach", "by_significance"):
        if name in without:
            continue
        rows += [
            (words.say(f"report.statistics.{name}"), words.code(name, item["code"]), item["incidents"])
            # Reports that were issued before an account of this kind was kept do not have it.
            for item in statistics.get(name, ())
        ]
    return _table("statistics", words, words.head("statistic", "of", "count"), rows, names=2)


def _corrections(
    name: str, changes: Sequence[Correction], words: TableWords, *, number: int | None = None
) -> ReportTable:
    rows = tuple(tuple(_correction(change, words)) for change in changes)
    key = "unissued" if number is None else "corrections"
    title = words.say(f"report.table.{key}", number=0 if number is None else number - 1)
    return ReportTable(
        name, title, words.head("figure", "before", "after_correction"), rows, note=words.say(f"report.note.{key}")
    )


def _correction(change: Correction, words: TableWords) -> Iterator[Cell]:
    figure = change.figure
    parts = [words.say(f"report.figures.{figure.table}")]
    parts += [words.customer(figure.customer)] if figure.customer and figure.customer in words.names else []
    titles = words.notice_kinds if figure.table == "announcements" else words.agreements
    parts += [titles.get(part, part) for part in figure.row if part]
    parts.append(words.code("measure", figure.measure))
    yield " · ".join(parts)
    for value in (change.before, change.after):
        yield _value(figure, value, words)


def _value(figure: Figure, value: object, words: TableWords) -> Cell:
    if value is None:
        return None
    if isinstance(value, bool):
        return words.say("report.target.met" if value else "report.target.missed")
    if isinstance(value, int):
        if figure.measure.endswith("_seconds"):
            return Duration(value)
        return Share(value) if figure.measure == "share_permille" else value
    if figure.measure.endswith("_at"):
        return Moment(str(value))
    return words.code("binding" if figure.measure == "binding" else "outcome", value)


def _table(
    name: str,
    words: TableWords,
    head: tuple[str, ...],
    rows: Sequence[tuple[Cell, ...]],
    *,
    names: int = 1,
    marked: frozenset[int] = frozenset(),
) -> ReportTable:
    title, note = words.say(f"report.table.{name}"), words.say(f"report.note.{name}")
    return ReportTable(name, title, head, tuple(rows), names, note, marked=marked)


def _duration(seconds: int | None) -> Duration | None:
    return None if seconds is None else Duration(seconds)


def _share(permille: int | None) -> Share | None:
    return None if permille is None else Share(permille)
