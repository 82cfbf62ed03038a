"""parse_act(data, file, sectors): read a file of legal duties and check every key of it."""

import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from notifications.agreement.table import Table
from notifications.duties.content import SOURCES
from notifications.duties.terms import (
    Act,
    Calendar,
    Counted,
    Duration,
    Duty,
    Handling,
    Item,
    Occasion,
    Owner,
    SecondLimit,
    Sector,
    Start,
    Variant,
)
from notifications.duties.working_days import MEMBER_STATES
from notifications.errors import AgreementError

ACT_SCHEMA = "greffier.duties/1"
SECTORS_SCHEMA = "greffier.sectors/1"
FILE_MAX_BYTES = 1_000_000
_UNITS = ("hours", "days", "months")
_UNIT_MAXIMA = MappingProxyType({"hours": 24 * 366, "days": 366, "months": 24})

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)


def parse_sectors(data: bytes, file: str) -> Mapping[str, Sector]:
    """Return the kinds of organisations in a TOML file, by id; raises AgreementError on the first fault."""
    root = _root(data, file, SECTORS_SCHEMA)
    sectors: dict[str, Sector] = {}
    for table in root.tables("sectors"):
        sector = Sector(
            id=table.identifier("id"),
            group=table.identifier("group") if table.has("group") else None,
            title=table.texts("title"),
            dora_type=table.words("dora_type") if table.has("dora_type") else None,
        )
        table.finish()
        if sector.id in sectors:
            table.fail("id", f"{sector.id!r} is used twice")
        sectors[sector.id] = sector
    root.finish()
    for sector in sectors.values():
        if sector.group in sectors:
            root.fail("sectors", f"{sector.group!r} is a sector and also a group")
    return MappingProxyType(sectors)


def parse_act(data: bytes, file: str, sectors: Mapping[str, Sector]) -> Act:
    """Return the act in a TOML file; raises AgreementError(file, key, reason) on the first fault.

    Checked: no key is unknown or missing, every text is in every language, each start is known, no clock starts from
    itself (directly or through others), the dates of two versions of a duty do not overlap, and sectors and Member
    States exist. Not checked: whether the file agrees with the law.
    """
    root = _root(data, file, ACT_SCHEMA)
    act_id, title = root.identifier("id"), root.texts("title")
    known = {*sectors, *(sector.group for sector in sectors.values() if sector.group is not None)}
    items = _items(root) if root.has("items") else {}
    tables = root.tables("duties")
    duties = tuple(_duty(table, known, items) for table in tables)
    root.finish()
    _check_dates(tables, duties)
    _check_references(tables, duties)
    used = {item.id for duty in duties for item in duty.items}
    for item_id in items:
        if item_id not in used:
            root.fail("items", f"{item_id!r} belongs to no duty")
    return Act(act_id, title, duties)


def _root(data: bytes, file: str, schema: str) -> Table:
    if len(data) > FILE_MAX_BYTES:
        raise AgreementError(file, "(file)", f"is larger than {FILE_MAX_BYTES} bytes")
    try:
        root = Table(file, "", tomllib.loads(data.decode("utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise AgreementError(file, "(file)", f"is not TOML: {error}") from error
    if root.words("schema") != schema:
        root.fail("schema", f"must be {schema!r}")
    return root


def _items(root: Table) -> dict[str, Item]:
    items: dict[str, Item] = {}
    for table in root.tables("items"):
        source = table.identifier("source") if table.has("source") else None
        if source is not None and source not in SOURCES:
            table.fail("source", f"{source!r} is none of {', '.join(sorted(SOURCES))}")
        item = Item(table.identifier("id"), table.words("clause"), table.texts("text"), source)
        table.finish()
        if item.id in items:
            table.fail("id", f"{item.id!r} is used twice")
        items[item.id] = item
    return items


def _duty(table: Table, sectors: Collection[str], items: Mapping[str, Item]) -> Duty:
    start = _choice(table, "start", Start)
    if (start is Start.SUBMISSION) != table.has("submission_of"):
        table.fail("submission_of", "must be given if, and only if, the start is 'submission'")
    submission_of = table.identifier("submission_of") if table.has("submission_of") else None
    duration = _duration(table, optional=True)
    if duration is None and not (table.has("without_undue_delay") and table.boolean("without_undue_delay")):
        table.fail("hours", "exactly one of hours, days, months and without_undue_delay = true must be given")
    calendar = _choice(table, "calendar", Calendar, Calendar.NONE)
    valid_from, valid_until = table.day("valid_from"), table.day("valid_until") if table.has("valid_until") else None
    if valid_until is not None and valid_until < valid_from:
        table.fail("valid_until", f"{valid_until} is before valid_from, {valid_from}")
    handling = _choice(table, "handling", Handling) if table.has("handling") else None
    if handling is None and table.has("handling_at"):
        table.fail("handling_at", "needs the key handling")
    owners = tuple(_chosen(table, "owners", name, Owner) for name in _names(table, "owners", required=True))
    duty = Duty(
        id=table.identifier("id"),
        clause=table.words("clause"),
        title=table.texts("title"),
        owners=owners,
        recipient=table.texts("recipient"),
        occasion=_choice(table, "occasion", Occasion),
        start=start,
        submission_of=submission_of,
        counted=_choice(table, "counted", Counted, Counted.FIRST),
        duration=duration,
        variants=_variants(table, sectors) if table.has("variants") else (),
        second_limit=_second_limit(table, duration, start) if table.has("second_limit") else None,
        reasons_if_later=table.boolean("reasons_if_later") if table.has("reasons_if_later") else False,
        calendar=calendar,
        calendar_exempt=_known(table, "calendar_exempt", sectors),
        sectors=_known(table, "sectors", sectors),
        except_sectors=_known(table, "except_sectors", sectors),
        member_states=_known(table, "member_states", MEMBER_STATES),
        except_member_states=_known(table, "except_member_states", MEMBER_STATES),
        handling=handling,
        handling_at=table.identifier("handling_at") if table.has("handling_at") else None,
        items=tuple(items[name] for name in _known(table, "items", items)),
        valid_from=valid_from,
        valid_until=valid_until,
    )
    if duty.calendar_exempt and calendar is Calendar.NONE:
        table.fail("calendar_exempt", "needs a calendar rule")
    table.finish()
    return duty


def _duration(table: Table, *, optional: bool = False) -> Duration | None:
    given = [unit for unit in _UNITS if table.has(unit)]
    if len(given) > 1 or (given and table.has("without_undue_delay")) or (not given and not optional):
        table.fail("hours", f"exactly one of {', '.join(_UNITS)} must be given")
    return Duration(**{unit: table.integer(unit, 1, _UNIT_MAXIMA[unit]) for unit in given}) if given else None


def _variants(table: Table, sectors: Collection[str]) -> tuple[Variant, ...]:
    variants: list[Variant] = []
    for inner in table.tables("variants"):
        names = _known(inner, "sectors", sectors)
        if not names:
            inner.fail("sectors", "must name at least one sector")
        for name in names:
            if name in {other for variant in variants for other in variant.sectors}:
                inner.fail("sectors", f"{name!r} is in another variant too")
        duration = _duration(inner)
        assert duration is not None
        inner.finish()
        variants.append(Variant(names, duration))
    return tuple(variants)


def _second_limit(table: Table, duration: Duration | None, first_start: Start) -> SecondLimit:
    if duration is None:
        table.fail("second_limit", "needs a first limit: hours, days or months")
    inner = table.table("second_limit")
    start = _choice(inner, "start", Start)
    if start is Start.SUBMISSION:
        inner.fail("start", "a second limit cannot start from a submission")
    if start is first_start:
        inner.fail("start", f"{start.value!r} is the start of the first limit too")
    length = _duration(inner)
    assert length is not None
    limit = SecondLimit(start, length, inner.boolean("falls_away"))
    inner.finish()
    return limit


def _choice(table: Table, key: str, choices: type[ChoiceT], default: ChoiceT | None = None) -> ChoiceT:
    if default is not None and not table.has(key):
        return default
    return _chosen(table, key, table.words(key), choices)


def _chosen(table: Table, key: str, value: str, choices: type[ChoiceT]) -> ChoiceT:
    if value not in {choice.value for choice in choices}:
        table.fail(key, f"{value!r} is none of {', '.join(choice.value for choice in choices)}")
    return choices(value)


def _names(table: Table, key: str, *, required: bool = False) -> tuple[str, ...]:
    if not required and not table.has(key):
        return ()
    value = table.take(key)
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        table.fail(key, "must be a list of at least one name")
    if len(set(value)) < len(value):
        table.fail(key, "has a name twice")
    return tuple(value)


def _known(table: Table, key: str, known: Collection[str]) -> tuple[str, ...]:
    names = _names(table, key)
    for name in names:
        if name not in known:
            table.fail(key, f"{name!r} is not known")
    return names


def _check_dates(tables: Sequence[Table], duties: Sequence[Duty]) -> None:
    """Refuse two versions of a duty that hold on the same day."""
    for number, (table, duty) in enumerate(zip(tables, duties, strict=True)):
        for earlier in duties[:number]:
            if earlier.id != duty.id:
                continue
            first, second = sorted((earlier, duty), key=lambda version: version.valid_from)
            if first.valid_until is None or first.valid_until >= second.valid_from:
                table.fail("valid_from", f"two versions of {duty.id!r} hold on {second.valid_from}")


def _check_references(tables: Sequence[Table], duties: Sequence[Duty]) -> None:
    """Refuse a reference to a duty that does not exist, and a clock that starts from itself."""
    ids = {duty.id for duty in duties}
    references: tuple[tuple[str, Callable[[Duty], str | None]], ...] = (
        ("submission_of", lambda duty: duty.submission_of),
        ("handling_at", lambda duty: duty.handling_at),
    )
    for key, reference in references:
        followed = {duty.id: {reference(other) for other in duties if other.id == duty.id} - {None} for duty in duties}
        for table, duty in zip(tables, duties, strict=True):
            named = reference(duty)
            if named is not None and named not in ids:
                table.fail(key, f"{named!r} is not a duty of this file")
            if named is not None and duty.id in _reached(named, followed):
                table.fail(key, f"{duty.id!r} starts from itself")


def _reached(first: str, followed: Mapping[str, Collection[str | None]]) -> set[str]:
    reached: set[str] = set()
    waiting = [first]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [following for following in followed.get(name, ()) if following is not None]
    return reached
