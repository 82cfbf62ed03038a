"""bound_terms(agreement, dpa, products): what binds one customer, as one agreement."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from functools import lru_cache, partial
from types import MappingProxyType
from typing import NoReturn, Protocol, TypeVar

from notifications.agreement.commitments import NoticeItem, NoticeKind, NoticeTime, Retention, ServiceLevel
from notifications.agreement.conditions import ALWAYS, NATURES
from notifications.agreement.joined_notices import joined_notice
from notifications.agreement.parts import deadline_that_counts
from notifications.agreement.terms import (
    CLAUSE_SEPARATOR,
    Agreement,
    Deadline,
    Definition,
    Dpa,
    Level,
    Products,
    Reference,
)
from notifications.errors import AgreementError


class _ForProducts(Protocol):
    @property
    def products(self) -> Products: ...


PartT = TypeVar("PartT", bound=_ForProducts)
CitedT = TypeVar("CitedT", Retention, ServiceLevel, NoticeKind)
NoticePartT = TypeVar("NoticePartT", NoticeItem, NoticeTime)


@lru_cache(maxsize=1_024)
def bound_terms(agreement: Agreement, dpa: Dpa | None = None, products: frozenset[str] | None = None) -> Agreement:
    """Return the agreement as it binds a customer: joined with its DPA, and only what holds for the products ordered.

    ``products``: ids; None for all products of the agreement. Equal arguments give the same object. Raises
    AgreementError for an unknown product, and where a part that holds cites only clauses that do not.

    1. Check the products.
    2. Join the clauses, the deadlines, the levels, the references and the kinds of notice of the DPA.
    3. Keep the parts and the clauses that hold for the products.
    4. Choose for each level the deadline that counts.
    """
    own = agreement.own or agreement
    return _Binding(own, dpa, products).terms()


def dpa_by_default(agreement: Agreement, on: date) -> str | None:
    """Return the id of the DPA that holds on a day for customers without one of their own; None: it is contained.

    Before the first day it is the first: the DPA that was published with the agreement.
    """
    held = [period for period in agreement.dpa_periods if period.validity.from_on <= on]
    return (held[-1] if held else agreement.dpa_periods[0]).dpa_id if agreement.dpa_periods else None


def verify_joined(agreement: Agreement, dpas: Mapping[str, Dpa], file: str) -> None:
    """Raise AgreementError unless the agreement in a file can be joined with its DPAs, for each product and for all.

    Its DPAs are those that it names, and the other versions of the same documents.
    """
    own = agreement.own or agreement
    for index, period in enumerate(own.dpa_periods):
        if period.dpa_id not in dpas:
            known = ", ".join(sorted(dpas)) or "none"
            reason = f"{period.dpa_id!r} is not a DPA of this installation; there are: {known}"
            raise AgreementError(file, f"data_protection.{index}.dpa", reason)
    for dpa in dpas_of(own, dpas) or (None,):
        for products in (None, *(frozenset({product}) for product in own.product_ids)):
            _Binding(own, dpa, products, file).terms()


def dpas_of(agreement: Agreement, dpas: Mapping[str, Dpa]) -> tuple[Dpa, ...]:
    """Return the DPAs that an agreement can be joined with; empty if it contains its own."""
    series = {dpas[period.dpa_id].series for period in agreement.dpa_periods if period.dpa_id in dpas}
    return tuple(dpa for dpa in dpas.values() if dpa.series in series)


def verify_complete(agreement: Agreement, file: str) -> None:
    """Raise AgreementError unless each product has every nature, and a last definition that always holds.

    For a product with the matrix, each priority in it must hold; a part that holds must cite a clause that does.
    """
    for products in (None, *(frozenset({product}) for product in agreement.product_ids)):
        binding = _Binding(agreement, None, products, file)
        binding.verify_definitions()
        binding.terms(with_deadlines=False)


class _Binding:
    """The terms for one set of products and one DPA."""

    def __init__(self, own: Agreement, dpa: Dpa | None, products: frozenset[str] | None, file: str = "") -> None:
        self._own, self._dpa, self._file = own, dpa, file or f"{own.id}.toml"
        for product in sorted(products or ()):
            if product not in own.product_ids:
                known = ", ".join(own.product_ids) or "none"
                self._fail("products", f"{product!r} is not a product of this agreement; its products are: {known}")
        if products is not None and not products:
            self._fail("products", "must name at least one product")
        self._ordered = frozenset(own.product_ids) if products is None else products
        self._clauses = {
            number: text for number, text in own.clauses.items() if self._holds(own.clause_products.get(number))
        }
        for number, text in (dpa.clauses if dpa else {}).items():
            if number in own.clauses:
                self._fail("clauses", f"{number!r} is also a clause of the DPA {dpa.id if dpa else ''!r}")
            self._clauses[number] = text

    def _fail(self, key: str, reason: str) -> NoReturn:
        raise AgreementError(self._file, key, reason)

    def _holds(self, only_for: Products) -> bool:
        return only_for is None or not self._own.products or not only_for.isdisjoint(self._ordered)

    def _held(self, parts: Iterable[PartT]) -> tuple[PartT, ...]:
        return tuple(part for part in parts if self._holds(part.products))

    def _clause(self, clause: str, key: str) -> str:
        """Return the numbers of a clause that hold for the products."""
        held = CLAUSE_SEPARATOR.join(number for number in clause.split(CLAUSE_SEPARATOR) if number in self._clauses)
        if not held:
            whose = ", ".join(sorted(self._ordered)) or "the customer"
            self._fail(key, f"no clause of {clause!r} holds for {whose}")
        return held

    def verify_definitions(self) -> None:
        """Raise AgreementError unless the definitions that hold are complete and in a usable order."""
        definitions = self._held(self._own.definitions)
        for nature in NATURES:
            if nature not in {definition.nature for definition in definitions}:
                self._fail("definitions", f"{nature!r} is not defined{self._for_products()}")
        for definition in definitions:
            index = self._own.definitions.index(definition)
            always, last = ALWAYS in {limb.when for limb in definition.limbs}, definition is definitions[-1]
            if always and not last:
                self._fail(f"definitions.{index}.limbs", "a limb without a condition makes later definitions useless")
            if last and not always:
                self._fail(f"definitions.{index}.limbs", "the last definition needs a limb without a condition")

    def _verify_scales(self) -> None:
        """Raise AgreementError unless each level of the matrix's scales holds for the products."""
        for key, scale in (("impacts", self._own.impacts), ("criticalities", self._own.criticalities)):
            for index, level in enumerate(scale):
                if not self._holds(level.products):
                    reason = f"{level.id!r} is in the matrix and does not hold{self._for_products()}"
                    self._fail(f"{key}.{index}.products", reason)

    def _cited(self, parts: Iterable[CitedT], key: str) -> tuple[CitedT, ...]:
        """Return the parts that hold, each with the clauses that do."""
        return tuple(
            replace(part, clause=self._clause(part.clause, f"{key}.{part.id}"))
            for part in parts
            if self._holds(part.products)
        )

    def _for_products(self) -> str:
        one = len(self._ordered) == 1 and len(self._own.products) > 1
        return f" for the product {next(iter(self._ordered))!r}" if one else ""

    def terms(self, *, with_deadlines: bool = True) -> Agreement:
        """Return the terms; without deadlines, levels keep the deadlines that the file states."""
        own, dpa = self._own, self._dpa
        with_matrix = own.matrix_clause is not None and self._holds(own.matrix_products)
        priorities = self._held(own.priorities) if with_matrix else ()
        if with_matrix:
            self._verify_scales()
            known = {priority.id for priority in priorities}
            for (impact, criticality), priority in own.matrix.items():
                if priority not in known:
                    self._fail(
                        f"matrix.cells.{criticality}.{impact}", f"{priority!r} does not hold{self._for_products()}"
                    )
        deadlines = MappingProxyType({**own.deadlines, **(dpa.deadlines if dpa else {})})
        if dpa is not None and set(own.deadlines) & set(dpa.deadlines):
            self._fail("deadlines", f"{dpa.id!r} has a deadline with the same id")
        levels = tuple(
            self._level(level, f"default_levels.{index}", deadlines if with_deadlines else None)
            for index, level in enumerate(own.default_levels)
            if self._holds(level.products)
        )
        own_ids = {*(level.id for level in own.default_levels), own.plain_incident.id}
        of_dpa = tuple(self._level(level, f"levels.{level.id}", deadlines) for level in (dpa.levels if dpa else ()))
        for level in of_dpa:
            if level.id in own_ids:
                self._fail("default_levels", f"{level.id!r} is also the id of a level of the DPA")
        references = {**own.references, **(dpa.references if dpa else {})}
        return replace(
            own,
            clauses=MappingProxyType(self._clauses),
            definitions=tuple(
                self._definition(definition, f"definitions.{index}")
                for index, definition in enumerate(own.definitions)
                if self._holds(definition.products)
            ),
            impacts=tuple(
                replace(level, clause=self._clause(level.clause, f"impacts.{level.id}"))
                for level in self._held(own.impacts)
            ),
            criticalities=tuple(
                replace(level, clause=self._clause(level.clause, f"criticalities.{level.id}"))
                for level in self._held(own.criticalities)
            ),
            priorities=tuple(
                replace(level, clause=self._clause(level.clause, f"priorities.{level.id}")) for level in priorities
            ),
            matrix_clause=self._clause(own.matrix_clause or "", "matrix") if with_matrix else None,
            matrix=own.matrix if with_matrix else MappingProxyType({}),
            default_levels=(*levels, *of_dpa),
            plain_incident=self._level(own.plain_incident, "plain_incident", deadlines if with_deadlines else None),
            deadlines=deadlines,
            references=MappingProxyType(self._references(references)),
            products=tuple(product for product in own.products if product.id in self._ordered),
            support_hours=None
            if own.support_hours is None or not self._holds(own.support_hours.products)
            else replace(own.support_hours, clause=self._clause(own.support_hours.clause, "support_hours.clause")),
            retention=self._cited(own.retention, "retention"),
            service_levels=self._cited(own.service_levels, "service_levels"),
            notices=self._notices(),
            dpa=dpa,
            own=own,
        )

    def _notices(self) -> tuple[NoticeKind, ...]:
        """Return the kinds of notice that agreement and DPA owe; one that both have is one kind."""
        of_dpa = {kind.id: kind for kind in (self._dpa.notices if self._dpa else ())}
        found = []
        for kind in self._cited(self._own.notices, "notices"):
            key = f"notices.{kind.id}"
            held = replace(
                kind,
                items=tuple(self._own_clause(item, f"{key}.items.{item.id}") for item in kind.items),
                lead=kind.lead and self._own_clause(kind.lead, f"{key}.lead"),
                after=kind.after and self._own_clause(kind.after, f"{key}.after"),
            )
            other = of_dpa.pop(kind.id, None)
            found.append(held if other is None else joined_notice(held, other, partial(self._fail, key)))
        return (*found, *of_dpa.values())

    def _own_clause(self, part: NoticePartT, key: str) -> NoticePartT:
        """Return an item or a time of a notice with the numbers of its clause that hold."""
        return part if part.clause is None else replace(part, clause=self._clause(part.clause, key))

    def _definition(self, definition: Definition, key: str) -> Definition:
        return replace(
            definition,
            clause=self._clause(definition.clause, key),
            limbs=tuple(replace(limb, clause=self._clause(limb.clause, f"{key}.limbs")) for limb in definition.limbs),
            exclusions=tuple(
                replace(limb, clause=self._clause(limb.clause, f"{key}.exclusions")) for limb in definition.exclusions
            ),
        )

    def _level(self, level: Level, key: str, deadlines: Mapping[str, Deadline] | None) -> Level:
        counts = level.deadline
        if deadlines is not None:
            for deadline in level.deadlines:
                if deadline not in deadlines:
                    self._fail(f"{key}.deadlines", f"neither this file nor its DPA defines {deadline!r}")
            counts = deadline_that_counts(level.deadlines, deadlines)
        return replace(level, clause=self._clause(level.clause, key), deadline=counts)

    def _references(self, references: Mapping[Reference, str]) -> dict[Reference, str]:
        """Return the references that hold; a role whose clauses do not hold has none."""
        kept = {
            role: CLAUSE_SEPARATOR.join(number for number in clause.split(CLAUSE_SEPARATOR) if number in self._clauses)
            for role, clause in references.items()
        }
        return {role: clause for role, clause in kept.items() if clause}
