"""Read the commitments beside the classification: support hours, retention, service levels, kinds of notice."""

from collections.abc import Iterable

from holidays.registry import EntityLoader

from notifications.agreement.commitments import (
    DayCount,
    DeadlineBinding,
    NoticeChannel,
    NoticeItem,
    NoticeKind,
    NoticeTime,
    Retention,
    ServiceLevel,
    SupportHours,
    Weekday,
)
from notifications.agreement.parts import Parts, binding_of, named
from notifications.agreement.table import Table
from notifications.time_zones import time_zone_names

_DAYS_MAX, _MONTHS_MAX = 366, 1_200
#: The channels by which the notice of an erasure can be served.
_SERVING = {NoticeChannel.EMAIL.value, NoticeChannel.REGISTERED_LETTER.value}


def support_hours(root: Table, parts: Parts) -> SupportHours | None:
    """Return when support is given; None if the file does not say."""
    if not root.has("support_hours"):
        return None
    table = root.table("support_hours")
    days = table.names("days")
    for day in days:
        if day not in set(Weekday):
            table.fail("days", f"{day!r} is not one of {', '.join(Weekday)}")
    hours = SupportHours(
        clause=parts.clause(table),
        days=tuple(map(Weekday, days)),
        from_at=table.clock_time("from"),
        until_at=table.clock_time("until"),
        time_zone=table.words("time_zone"),
        holidays=table.words("holidays"),
        products=parts.only_for(table),
    )
    if hours.time_zone not in time_zone_names():
        table.fail("time_zone", f"{hours.time_zone!r} is not a time zone, such as Europe/Paris")
    # The package's own list of countries would load the holidays of each.
    if hours.holidays not in EntityLoader.get_country_codes():
        table.fail("holidays", f"{hours.holidays!r} is not the code of a country whose holidays are known")
    if hours.until_at <= hours.from_at:
        table.fail("until", f"{hours.until_at} is not after {hours.from_at}")
    table.finish()
    return hours


def retention(root: Table, parts: Parts) -> tuple[Retention, ...]:
    """Return how long records are kept."""

    def parse(table: Table) -> Retention:
        return Retention(
            id=table.identifier("id"),
            clause=parts.clause(table),
            text=table.texts("text"),
            months=table.integer("months", 1, _MONTHS_MAX),
            products=parts.only_for(table),
        )

    return named(root, "retention", parse, optional=True)


def service_levels(root: Table, parts: Parts) -> tuple[ServiceLevel, ...]:
    """Return the service levels."""

    def parse(table: Table) -> ServiceLevel:
        return ServiceLevel(
            id=table.identifier("id"),
            clause=parts.clause(table),
            text=table.texts("text"),
            indicator=table.words("indicator") if table.has("indicator") else None,
            products=parts.only_for(table),
        )

    return named(root, "service_levels", parse, optional=True)


def notice_kinds(root: Table, parts: Parts) -> tuple[NoticeKind, ...]:
    """Return the kinds of notice beside that of incidents."""

    def parse(table: Table) -> NoticeKind:
        channels = table.names("channels")
        for channel in channels:
            if channel not in set(NoticeChannel):
                table.fail("channels", f"{channel!r} is not one of {', '.join(NoticeChannel)}")
        if table.has("lead") and table.has("after"):
            table.fail("after", "a notice is owed before an event or after one, not both")
        lead = _time(table, "lead", parts)
        return NoticeKind(
            id=table.identifier("id"),
            clause=parts.clause(table),
            title=table.texts("title"),
            channels=tuple(map(NoticeChannel, channels)),
            items=named(table, "items", lambda item: _item(item, parts)),
            lead=lead,
            after=_time(table, "after", parts),
            consent_first=table.boolean("consent_first") if table.has("consent_first") else False,
            products=parts.only_for(table),
            erased_within_days=_erased_within_days(table, lead, channels),
            served_at_first_presentation=_served_at_first_presentation(table, channels),
        )

    kinds = named(root, "notices", parse, optional=True)
    of_erasure = [index for index, kind in enumerate(kinds) if kind.erased_within_days is not None]
    if len(of_erasure) > 1:
        root.fail(f"notices.{of_erasure[1]}.erased_within_days", "only one kind of notice precedes an erasure")
    return kinds


def _erased_within_days(table: Table, lead: NoticeTime | None, channels: Iterable[str]) -> int | None:
    if not table.has("erased_within_days"):
        return None
    if lead is None or lead.days is None or lead.day_count is not DayCount.CALENDAR:
        table.fail("lead", "the notice that precedes an erasure has a number of calendar days")
    if not _SERVING & set(channels):
        table.fail("channels", f"the notice that precedes an erasure is served by {' or '.join(sorted(_SERVING))}")
    # The erasure begins when the day after the last day of the notice begins, in whatever time zone.
    return table.integer("erased_within_days", lead.days + 2, _DAYS_MAX)


def _served_at_first_presentation(table: Table, channels: Iterable[str]) -> bool:
    if not table.has("served_at_first_presentation"):
        return False
    if NoticeChannel.REGISTERED_LETTER not in channels:
        table.fail("served_at_first_presentation", "belongs to a notice whose channels have registered_letter")
    return table.boolean("served_at_first_presentation")


def _item(table: Table, parts: Parts) -> NoticeItem:
    return NoticeItem(
        table.identifier("id"), table.texts("text"), table.boolean("mandatory"), _own_clause(table, parts)
    )


def _own_clause(table: Table, parts: Parts) -> str | None:
    return parts.clause(table) if table.has("clause") else None


def _time(table: Table, key: str, parts: Parts) -> NoticeTime | None:
    if not table.has(key):
        return None
    inner = table.table(key)
    binding = binding_of(inner)
    days = inner.integer("days", 1, _DAYS_MAX) if inner.has("days") else None
    months = inner.integer("months", 1, _MONTHS_MAX) if inner.has("months") else None
    if days is not None and months is not None:
        inner.fail("months", "exactly one of days and months can be given")
    if (days is None and months is None) != (binding is DeadlineBinding.NO_NUMBER):
        inner.fail("binding", f"is {binding.value!r}: a number of days or months is given exactly if it is another")
    count = inner.one_of("calendar", DayCount) if inner.has("calendar") else DayCount.CALENDAR.value
    clause = _own_clause(inner, parts)
    inner.finish()
    return NoticeTime(days, months, DayCount(count), binding, clause)
