"""parse_agreement(data, file): read an agreement file and check every key of it."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Protocol, TypeVar

from notifications.agreement.conditions import ALWAYS, NATURES, event_vocabulary, level_vocabulary, parse_condition
from notifications.agreement.table import Table
from notifications.agreement.terms import (
    CLAUSE_SEPARATOR,
    Agreement,
    Deadline,
    Definition,
    Level,
    Limb,
    Priority,
    ScaleLevel,
)
from notifications.errors import AgreementError
from notifications.incident import LocalizedText

SCHEMA = "greffier.agreement/1"
AGREEMENT_MAX_BYTES = 1_000_000

#: Reason ids that are not levels. A level with the same id could not be distinguished from them.
_RESERVED_IDS = frozenset({"profile", "level", "not_bound", *NATURES})
_SECONDS_MAX = 366 * 86_400


class _Named(Protocol):
    @property
    def id(self) -> str: ...


ItemT = TypeVar("ItemT")
NamedT = TypeVar("NamedT", bound=_Named)


def parse_agreement(data: bytes, file: str) -> Agreement:
    """Return the agreement in a TOML file; raises AgreementError(file, key, reason) on the first fault.

    Checked: no key is unknown or missing, every text is in every language, every clause that is named is defined,
    identifiers are unique, the matrix is complete, priorities are in order, conditions use the vocabulary of
    ``conditions``, every nature is defined once, and the last definition always holds.
    Not checked: whether the file agrees with the signed document.
    """
    if len(data) > AGREEMENT_MAX_BYTES:
        raise AgreementError(file, "(file)", f"is larger than {AGREEMENT_MAX_BYTES} bytes")
    try:
        root = Table(file, "", tomllib.loads(data.decode("utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise AgreementError(file, "(file)", f"is not TOML: {error}") from error
    if root.words("schema") != SCHEMA:
        root.fail("schema", f"must be {SCHEMA!r}")
    clauses = _clauses(root)
    agreement_id, version, dated_on = root.identifier("id"), root.words("version"), root.day("dated_on")
    title = root.texts("title")
    impacts = _scale(root, "impacts", clauses)
    criticalities = _scale(root, "criticalities", clauses)
    priorities = _priorities(root, clauses)
    scales = tuple(level.id for level in impacts), tuple(level.id for level in criticalities)
    priority_ids = tuple(priority.id for priority in priorities)
    matrix_clause, matrix = _matrix(root, *scales, priority_ids, clauses)
    definitions = _definitions(root, event_vocabulary(*scales), clauses)
    deadlines = _deadlines(root, clauses)
    vocabulary = level_vocabulary(*scales, priority_ids)
    default_levels = _named(root, "default_levels", lambda table: _level(table, vocabulary, deadlines, clauses))
    plain_table = root.table("plain_incident")
    plain_incident = _level(plain_table, vocabulary, deadlines, clauses)
    if plain_incident.id in {level.id for level in default_levels}:
        plain_table.fail("id", f"{plain_incident.id!r} is also the id of a default level")
    if root.has("legal_clocks"):
        # Files of earlier releases have it. ``notifications.duties`` has the law.
        root.take("legal_clocks")
    four_eyes = root.boolean("four_eyes") if root.has("four_eyes") else False
    four_eyes_clause = _clause(root, clauses, "four_eyes_clause") if four_eyes else None
    root.finish()
    return Agreement(
        id=agreement_id,
        version=version,
        dated_on=dated_on,
        title=title,
        clauses=clauses,
        definitions=definitions,
        impacts=impacts,
        criticalities=criticalities,
        priorities=priorities,
        matrix_clause=matrix_clause,
        matrix=matrix,
        default_levels=default_levels,
        plain_incident=plain_incident,
        deadlines=deadlines,
        four_eyes=four_eyes,
        four_eyes_clause=four_eyes_clause,
    )


def _named(root: Table, key: str, parse: Callable[[Table], NamedT]) -> tuple[NamedT, ...]:
    """Return the entries of a list of tables, whose ids must differ."""
    entries: dict[str, NamedT] = {}
    for table in root.tables(key):
        entry = parse(table)
        table.finish()
        if entry.id in entries:
            table.fail("id", f"{entry.id!r} is used twice")
        entries[entry.id] = entry
    return tuple(entries.values())


def _clauses(root: Table) -> Mapping[str, LocalizedText]:
    clauses: dict[str, LocalizedText] = {}
    for table in root.tables("clauses"):
        number = table.words("number")
        if number in clauses:
            table.fail("number", f"{number!r} is used twice")
        clauses[number] = table.texts("text")
        table.finish()
    return MappingProxyType(clauses)


def _clause(table: Table, clauses: Mapping[str, LocalizedText], key: str = "clause") -> str:
    clause = table.words(key)
    for number in clause.split(CLAUSE_SEPARATOR):
        if number not in clauses:
            table.fail(key, f"{number!r} is not among the clauses of this file")
    return clause


def _scale(root: Table, key: str, clauses: Mapping[str, LocalizedText]) -> tuple[ScaleLevel, ...]:
    return _named(
        root, key, lambda table: ScaleLevel(table.identifier("id"), _clause(table, clauses), table.texts("text"))
    )


def _priorities(root: Table, clauses: Mapping[str, LocalizedText]) -> tuple[Priority, ...]:
    def parse(table: Table) -> Priority:
        return Priority(
            id=table.identifier("id"),
            clause=_clause(table, clauses),
            text=table.texts("text"),
            gti_seconds=table.integer("gti_seconds", 1, _SECONDS_MAX),
            target_percent=table.integer("target_percent", 1, 100),
        )

    priorities = _named(root, "priorities", parse)
    for index, (urgent, following) in enumerate(pairwise(priorities), start=1):
        if following.gti_seconds < urgent.gti_seconds:
            root.fail(f"priorities.{index}.gti_seconds", "must not be shorter than that of the more urgent priority")
    return priorities


def _matrix(
    root: Table,
    impacts: tuple[str, ...],
    criticalities: tuple[str, ...],
    priorities: tuple[str, ...],
    clauses: Mapping[str, LocalizedText],
) -> tuple[str, Mapping[tuple[str, str], str]]:
    table = root.table("matrix")
    clause, rows = _clause(table, clauses), table.table("cells")
    cells: dict[tuple[str, str], str] = {}
    for criticality in criticalities:
        row = rows.table(criticality)
        for impact in impacts:
            cells[impact, criticality] = row.words(impact)
            if cells[impact, criticality] not in priorities:
                row.fail(impact, f"{cells[impact, criticality]!r} is not a priority of this file")
        row.finish()
    rows.finish()
    table.finish()
    return clause, MappingProxyType(cells)


def _definitions(
    root: Table, vocabulary: Mapping[str, tuple[str, ...]], clauses: Mapping[str, LocalizedText]
) -> tuple[Definition, ...]:
    definitions: list[Definition] = []
    limb_ids: set[str] = set()
    for table in root.tables("definitions"):
        nature = table.words("nature")
        if nature not in NATURES:
            table.fail("nature", f"{nature!r} is not a nature; known natures are {', '.join(NATURES)}")
        if nature in {definition.nature for definition in definitions}:
            table.fail("nature", f"{nature!r} is defined twice")
        clause, title, text = _clause(table, clauses), table.texts("title"), table.texts("text")
        limbs = _limbs(table.tables("limbs"), vocabulary, clauses, limb_ids)
        exclusions = (
            _limbs(table.tables("exclusions"), vocabulary, clauses, limb_ids) if table.has("exclusions") else ()
        )
        table.finish()
        definitions.append(Definition(nature, clause, title, text, limbs, exclusions))
    for nature in NATURES:
        if nature not in {definition.nature for definition in definitions}:
            root.fail("definitions", f"{nature!r} is not defined")
    for index, definition in enumerate(definitions):
        always, last = ALWAYS in {limb.when for limb in definition.limbs}, index == len(definitions) - 1
        if always and not last:
            root.fail(f"definitions.{index}.limbs", "a limb without a condition makes later definitions useless")
        if last and not always:
            root.fail(f"definitions.{index}.limbs", "the last definition needs a limb without a condition")
    return tuple(definitions)


def _limbs(
    tables: Iterable[Table],
    vocabulary: Mapping[str, tuple[str, ...]],
    clauses: Mapping[str, LocalizedText],
    seen: set[str],
) -> tuple[Limb, ...]:
    limbs: list[Limb] = []
    for table in tables:
        limb_id = table.identifier("id")
        if limb_id in seen:
            table.fail("id", f"{limb_id!r} is used twice")
        seen.add(limb_id)
        when = parse_condition(table.take("when"), vocabulary, "when", table.fail)
        limbs.append(Limb(limb_id, _clause(table, clauses), table.texts("text"), when))
        table.finish()
    return tuple(limbs)


def _deadlines(root: Table, clauses: Mapping[str, LocalizedText]) -> Mapping[str, Deadline]:
    def parse(table: Table) -> Deadline:
        return Deadline(
            id=table.identifier("id"),
            clause=_clause(table, clauses),
            text=table.texts("text"),
            seconds=table.integer("seconds", 1, _SECONDS_MAX),
        )

    return MappingProxyType({deadline.id: deadline for deadline in _named(root, "deadlines", parse)})


def _level(
    table: Table,
    vocabulary: Mapping[str, tuple[str, ...]],
    deadlines: Mapping[str, Deadline],
    clauses: Mapping[str, LocalizedText],
) -> Level:
    level_id = table.identifier("id")
    if level_id in _RESERVED_IDS:
        table.fail("id", f"{level_id!r} is reserved")
    deadline = table.identifier("deadline") if table.has("deadline") else None
    if deadline is not None and deadline not in deadlines:
        table.fail("deadline", f"{deadline!r} is not a deadline of this file")
    when = parse_condition(table.take("when"), vocabulary, "when", table.fail)
    if when == ALWAYS:
        table.fail("when", "must state at least one fact")
    level = Level(
        id=level_id,
        clause=_clause(table, clauses),
        text=table.texts("text"),
        when=when,
        waivable=table.boolean("waivable"),
        deadline=deadline,
    )
    table.finish()
    return level
