"""What agreement files and DPA files have in common: clauses, deadlines, levels, references, dates."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, TypeVar

from notifications.agreement.commitments import DeadlineBinding
from notifications.agreement.conditions import ALWAYS, NATURES, parse_condition
from notifications.agreement.table import Table
from notifications.agreement.terms import (
    CLAUSE_SEPARATOR,
    Deadline,
    Level,
    Products,
    Reference,
    Validity,
)
from notifications.errors import AgreementError
from notifications.incident import LANGUAGES, LocalizedText

FILE_MAX_BYTES = 1_000_000
SECONDS_MAX = 366 * 86_400

#: Reason ids that are not levels. A level with the same id could not be distinguished from them.
RESERVED_IDS = frozenset({"profile", "level", "not_bound", *NATURES})


class Named(Protocol):
    """A part with an id."""

    @property
    def id(self) -> str:
        """The id, unique in its list."""
        ...


NamedT = TypeVar("NamedT", bound=Named)


def root_table(data: bytes, file: str) -> Table:
    """Return the root of a TOML file; raises AgreementError."""
    if len(data) > FILE_MAX_BYTES:
        raise AgreementError(file, "(file)", f"is larger than {FILE_MAX_BYTES} bytes")
    try:
        return Table(file, "", tomllib.loads(data.decode("utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise AgreementError(file, "(file)", f"is not TOML: {error}") from error


def named(root: Table, key: str, parse: Callable[[Table], NamedT], *, optional: bool = False) -> tuple[NamedT, ...]:
    """Return the entries of a list of tables, whose ids must differ; an optional list may be absent."""
    if optional and not root.has(key):
        return ()
    entries: dict[str, NamedT] = {}
    for table in root.tables(key):
        entry = parse(table)
        table.finish()
        if entry.id in entries:
            table.fail("id", f"{entry.id!r} is used twice")
        entries[entry.id] = entry
    return tuple(entries.values())


@dataclass(frozen=True, slots=True)
class Parts:
    """The clauses and the products of one file, to which its other parts refer."""

    clauses: Mapping[str, LocalizedText]
    clause_products: Mapping[str, frozenset[str]]
    #: ids; None if the schema of the file has no products
    products: tuple[str, ...] | None

    @classmethod
    def of(cls, root: Table, products: tuple[str, ...] | None) -> "Parts":
        """Read the clauses of a file."""
        clauses: dict[str, LocalizedText] = {}
        held_for: dict[str, frozenset[str]] = {}
        for table in root.tables("clauses"):
            number = table.words("number")
            if CLAUSE_SEPARATOR in number:
                table.fail("number", f"{number!r} is several numbers; each clause has an entry of its own")
            if number in clauses:
                table.fail("number", f"{number!r} is used twice")
            clauses[number] = table.texts("text")
            only = _products(table, products)
            if only is not None:
                held_for[number] = only
            table.finish()
        return cls(MappingProxyType(clauses), MappingProxyType(held_for), products)

    def clause(self, table: Table, key: str = "clause") -> str:
        """Return a clause, or several, each of which the file defines."""
        clause = table.words(key)
        for number in clause.split(CLAUSE_SEPARATOR):
            if number not in self.clauses:
                table.fail(key, f"{number!r} is not among the clauses of this file")
        return clause

    def only_for(self, table: Table) -> Products:
        """Return the products that a part holds for; None: for all."""
        return _products(table, self.products)

    def deadlines(self, root: Table, *, optional: bool = False) -> Mapping[str, Deadline]:
        """Return the deadlines of the file, by id."""

        def parse(table: Table) -> Deadline:
            binding = binding_of(table)
            if binding is DeadlineBinding.NO_NUMBER and table.has("seconds"):
                table.fail("seconds", f"must be absent where binding is {binding.value!r}")
            return Deadline(
                id=table.identifier("id"),
                clause=self.clause(table),
                text=table.texts("text"),
                seconds=None if binding is DeadlineBinding.NO_NUMBER else table.integer("seconds", 1, SECONDS_MAX),
                binding=binding,
                certain_only=table.boolean("certain_only") if table.has("certain_only") else False,
            )

        return MappingProxyType({each.id: each for each in named(root, "deadlines", parse, optional=optional)})

    def references(self, root: Table) -> Mapping[Reference, str]:
        """Return the clause of each role; a file need not have every role."""
        if not root.has("references"):
            return MappingProxyType({})
        table = root.table("references")
        references = {role: self.clause(table, role.value) for role in Reference if table.has(role.value)}
        table.finish()
        return MappingProxyType(references)

    def level(
        self,
        table: Table,
        vocabulary: Mapping[str, tuple[str, ...]],
        deadlines: Mapping[str, Deadline],
        *,
        joins_dpa: bool = False,
    ) -> Level:
        """Return a level. ``joins_dpa``: a deadline that the file does not define is in the DPA."""
        level_id = table.identifier("id")
        if level_id in RESERVED_IDS:
            table.fail("id", f"{level_id!r} is reserved")
        key = "deadline" if self.products is None else "deadlines"
        stated: tuple[str, ...] = ()
        if table.has(key):
            stated = (table.identifier(key),) if self.products is None else table.names(key)
        for deadline in stated:
            if deadline not in deadlines and not joins_dpa:
                table.fail(key, f"{deadline!r} is not a deadline of this file")
        when = parse_condition(table.take("when"), vocabulary, "when", table.fail)
        if when == ALWAYS:
            table.fail("when", "must state at least one fact")
        level = Level(
            id=level_id,
            clause=self.clause(table),
            text=table.texts("text"),
            when=when,
            waivable=table.boolean("waivable"),
            deadline=deadline_that_counts(stated, deadlines) if deadlines.keys() >= set(stated) else None,
            deadlines=stated,
            products=self.only_for(table),
        )
        table.finish()
        return level


def deadline_that_counts(stated: Iterable[str], deadlines: Mapping[str, Deadline]) -> str | None:
    """Return the id of the shortest deadline; of equal ones the strictest, and one without a number last."""
    strictness = tuple(DeadlineBinding)
    ordered = sorted(
        (deadlines[each] for each in stated),
        key=lambda each: (each.seconds is None, each.seconds or 0, strictness.index(each.binding)),
    )
    return ordered[0].id if ordered else None


def binding_of(table: Table) -> DeadlineBinding:
    """Return how strictly a time binds; soft if the file does not say, as in version 1 of the schema."""
    return DeadlineBinding(table.one_of("binding", DeadlineBinding)) if table.has("binding") else DeadlineBinding.SOFT


def validity(table: Table) -> Validity:
    """Return the days of a table ``{ from, until }``; ``until`` may be absent."""
    from_on, until_on = table.day("from"), table.day("until") if table.has("until") else None
    if until_on is not None and until_on < from_on:
        table.fail("until", f"{until_on} is before {from_on}, the first day")
    table.finish()
    return Validity(from_on, until_on)


def language(root: Table) -> str:
    """Return the language whose text prevails."""
    return root.one_of("authoritative_language", LANGUAGES)


def _products(table: Table, known: tuple[str, ...] | None) -> Products:
    if known is None or not table.has("products"):
        return None
    stated = table.names("products")
    for product in stated:
        if product not in known:
            table.fail(
                "products", f"{product!r} is not a product of this file; its products are {', '.join(known) or 'none'}"
            )
    return frozenset(stated)
