"""parse_agreement(data, file): read an agreement file and check every key of it."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import pairwise
from types import MappingProxyType

from notifications.agreement.binding import verify_complete
from notifications.agreement.commitments_parsing import notice_kinds, retention, service_levels, support_hours
from notifications.agreement.conditions import NATURES, event_vocabulary, level_vocabulary, parse_condition
from notifications.agreement.parts import SECONDS_MAX, Parts, language, named, root_table, validity
from notifications.agreement.table import Table
from notifications.agreement.terms import (
    Agreement,
    ContractDocument,
    Definition,
    Doubt,
    DpaPeriod,
    Limb,
    Priority,
    Product,
    Products,
    ScaleLevel,
)
from notifications.errors import AgreementError

#: Version 1 is read for the files of customers' own agreements that exist. It has no products and contains its DPA.
SCHEMA_1, SCHEMA_2 = "greffier.agreement/1", "greffier.agreement/2"


def parse_agreement(data: bytes, file: str) -> Agreement:
    """Return the agreement in a TOML file; raises AgreementError(file, key, reason) on the first fault.

    Checked: no key is unknown or missing, every text is in every language, every clause that is named is defined,
    identifiers are unique, the matrix is complete, priorities are in order, conditions use the vocabulary of
    ``conditions``, every nature is defined for every product, and the last definition always holds.
    Not checked: whether the file agrees with the signed document; what needs the DPA (see ``verify_joined``).
    """
    root = root_table(data, file)
    schema = root.words("schema")
    if schema not in {SCHEMA_1, SCHEMA_2}:
        root.fail("schema", f"must be {SCHEMA_1!r} or {SCHEMA_2!r}")
    second = schema == SCHEMA_2
    products = named(root, "products", _product) if second else ()
    parts = Parts.of(root, tuple(product.id for product in products) if second else None)
    dpa_periods = _dpa_periods(root) if second else ()
    impacts, criticalities = _scale(root, "impacts", parts), _scale(root, "criticalities", parts)
    with_matrix = not second or root.has("matrix")
    priorities = _priorities(root, parts) if with_matrix else ()
    scales = tuple(level.id for level in impacts), tuple(level.id for level in criticalities)
    matrix_clause, matrix, matrix_products = _matrix(root, *scales, priorities, parts) if with_matrix else _NO_MATRIX
    deadlines = parts.deadlines(root, optional=second)
    vocabulary = level_vocabulary(*scales, tuple(priority.id for priority in priorities))
    joins_dpa = bool(dpa_periods)
    default_levels = named(
        root, "default_levels", lambda table: parts.level(table, vocabulary, deadlines, joins_dpa=joins_dpa)
    )
    plain_table = root.table("plain_incident")
    plain_incident = parts.level(plain_table, vocabulary, deadlines, joins_dpa=joins_dpa)
    if plain_incident.id in {level.id for level in default_levels}:
        plain_table.fail("id", f"{plain_incident.id!r} is also the id of a default level")
    if not second and root.has("legal_clocks"):
        # Files of earlier releases have it. ``notifications.duties`` has the law.
        root.take("legal_clocks")
    four_eyes = root.boolean("four_eyes") if root.has("four_eyes") else False
    agreement = Agreement(
        id=root.identifier("id"),
        version=root.words("version"),
        dated_on=root.day("dated_on"),
        title=root.texts("title"),
        clauses=parts.clauses,
        definitions=_definitions(root, event_vocabulary(*scales), parts),
        impacts=impacts,
        criticalities=criticalities,
        priorities=priorities,
        matrix_clause=matrix_clause,
        matrix=matrix,
        default_levels=default_levels,
        plain_incident=plain_incident,
        deadlines=deadlines,
        four_eyes=four_eyes,
        four_eyes_clause=parts.clause(root, "four_eyes_clause") if four_eyes else None,
        references=parts.references(root),
        authoritative_language=language(root) if second else None,
        validity=validity(root.table("validity")) if second else None,
        products=products,
        matrix_products=matrix_products,
        clause_products=parts.clause_products,
        documents=named(root, "documents", _document) if second else (),
        dpa_periods=dpa_periods,
        support_hours=support_hours(root, parts) if second else None,
        retention=retention(root, parts) if second else (),
        service_levels=service_levels(root, parts) if second else (),
        notices=notice_kinds(root, parts) if second else (),
        doubts=named(root, "doubts", lambda table: _doubt(table, parts), optional=True) if second else (),
    )
    root.finish()
    if dpa_periods and agreement.validity is not None:
        first_day, from_on = agreement.validity.from_on, dpa_periods[0].validity.from_on
        if first_day < from_on:
            reason = f"no DPA holds between {first_day}, the first day of the agreement, and {from_on}"
            raise AgreementError(file, "data_protection.0.from", reason)
    verify_complete(agreement, file)
    return agreement


def _product(table: Table) -> Product:
    return Product(table.identifier("id"), table.texts("title"))


def _document(table: Table) -> ContractDocument:
    return ContractDocument(table.identifier("id"), table.texts("title"), table.texts("source"))


def _doubt(table: Table, parts: Parts) -> Doubt:
    return Doubt(table.identifier("id"), parts.clause(table), table.texts("text"))


def _dpa_periods(root: Table) -> tuple[DpaPeriod, ...]:
    """Return which DPA holds by default, day by day: without a gap, and never two at once."""
    if not root.has("data_protection"):
        return ()
    tables = root.tables("data_protection")
    periods = tuple(DpaPeriod(table.identifier("dpa"), validity(table)) for table in tables)
    for table, (earlier, later) in zip(tables[1:], pairwise(periods), strict=True):
        until_on, from_on = earlier.validity.until_on, later.validity.from_on
        if until_on is None or until_on >= from_on:
            table.fail("from", f"{from_on} is a day on which {earlier.dpa_id!r} still holds")
        if until_on + timedelta(days=1) != from_on:
            table.fail("from", f"no DPA holds between {until_on} and {from_on}")
    if periods[-1].validity.until_on is not None:
        tables[-1].fail("until", "must be absent: the last DPA holds until the file names another")
    return periods


def _scale(root: Table, key: str, parts: Parts) -> tuple[ScaleLevel, ...]:
    def parse(table: Table) -> ScaleLevel:
        return ScaleLevel(table.identifier("id"), parts.clause(table), table.texts("text"), parts.only_for(table))

    return named(root, key, parse)


def _priorities(root: Table, parts: Parts) -> tuple[Priority, ...]:
    def parse(table: Table) -> Priority:
        # Version 1 had a guarantee for every priority; a file without one has a fault.
        guaranteed = parts.products is None or table.has("gti_seconds") or table.has("target_percent")
        return Priority(
            id=table.identifier("id"),
            clause=parts.clause(table),
            text=table.texts("text"),
            gti_seconds=table.integer("gti_seconds", 1, SECONDS_MAX) if guaranteed else None,
            target_percent=table.integer("target_percent", 1, 100) if guaranteed else None,
            products=parts.only_for(table),
        )

    priorities = named(root, "priorities", parse)
    for index, (urgent, following) in enumerate(pairwise(priorities), start=1):
        if following.gti_seconds is None:
            continue
        if urgent.gti_seconds is None:
            root.fail(
                f"priorities.{index}.gti_seconds", "a less urgent priority has a time, the one before it has none"
            )
        if following.gti_seconds < urgent.gti_seconds:
            root.fail(f"priorities.{index}.gti_seconds", "must not be shorter than that of the more urgent priority")
    return priorities


_Matrix = tuple[str | None, Mapping[tuple[str, str], str], Products]
_NO_MATRIX: _Matrix = (None, MappingProxyType({}), None)


def _matrix(
    root: Table,
    impacts: tuple[str, ...],
    criticalities: tuple[str, ...],
    priorities: tuple[Priority, ...],
    parts: Parts,
) -> _Matrix:
    table, known = root.table("matrix"), {priority.id for priority in priorities}
    clause, only_for, rows = parts.clause(table), parts.only_for(table), table.table("cells")
    cells: dict[tuple[str, str], str] = {}
    for criticality in criticalities:
        row = rows.table(criticality)
        for impact in impacts:
            cells[impact, criticality] = row.words(impact)
            if cells[impact, criticality] not in known:
                row.fail(impact, f"{cells[impact, criticality]!r} is not a priority of this file")
        row.finish()
    rows.finish()
    table.finish()
    return clause, MappingProxyType(cells), only_for


def _definitions(root: Table, vocabulary: Mapping[str, tuple[str, ...]], parts: Parts) -> tuple[Definition, ...]:
    definitions: list[Definition] = []
    limb_ids: set[str] = set()
    for table in root.tables("definitions"):
        nature, only_for = table.words("nature"), parts.only_for(table)
        if nature not in NATURES:
            table.fail("nature", f"{nature!r} is not a nature; known natures are {', '.join(NATURES)}")
        for other in definitions:
            if other.nature == nature and (not only_for or not other.products or only_for & other.products):
                table.fail("nature", f"{nature!r} is defined twice")
        clause, title, text = parts.clause(table), table.texts("title"), table.texts("text")
        limbs = _limbs(table.tables("limbs"), vocabulary, parts, limb_ids)
        exclusions = _limbs(table.tables("exclusions"), vocabulary, parts, limb_ids) if table.has("exclusions") else ()
        table.finish()
        definitions.append(Definition(nature, clause, title, text, limbs, exclusions, only_for))
    return tuple(definitions)


def _limbs(
    tables: Iterable[Table], vocabulary: Mapping[str, tuple[str, ...]], parts: Parts, seen: set[str]
) -> tuple[Limb, ...]:
    limbs: list[Limb] = []
    for table in tables:
        limb_id = table.identifier("id")
        if limb_id in seen:
            table.fail("id", f"{limb_id!r} is used twice")
        seen.add(limb_id)
        when = parse_condition(table.take("when"), vocabulary, "when", table.fail)
        limbs.append(Limb(limb_id, parts.clause(table), table.texts("text"), when))
        table.finish()
    return tuple(limbs)
