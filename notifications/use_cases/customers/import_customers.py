"""Import customers with their contacts, all in one transaction or none. Every fault is reported with its line."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from uuid import UUID

from notifications.customer.records import AgreementBinding, Contact, Customer
from notifications.errors import Fault, GreffierError, InvalidInputError
from notifications.mail_address import normal_address
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.customer_entries import ContactDraft, CustomerDraft
from notifications.use_cases.customers.manage_customers import (
    bind_agreement,
    change_contact,
    change_customer,
)
from notifications.use_cases.customers.new_customers import NewCustomers
from notifications.use_cases.incidents.customer_decider import Agreements


@dataclass(frozen=True, slots=True)
class CustomerLine:
    """One line: a customer, and at most one of its contacts. The caller has already checked the form of the values."""

    number: int
    customer: CustomerDraft
    agreement_id: str | None
    effective_at: datetime | None
    contact: ContactDraft | None
    #: members of the two drafts that the file contains; all other members keep their values
    customer_members: frozenset[str]
    contact_members: frozenset[str]
    #: None: not stated
    dpa_id: str | None = None
    products: tuple[str, ...] | None = None

    @property
    def binding(self) -> tuple[object, ...]:
        """What the line states of the agreement."""
        return self.agreement_id, self.effective_at, self.dpa_id, self.products


@dataclass(frozen=True, slots=True)
class LineFault:
    """One thing that is wrong with one line."""

    line: int
    #: member of the draft
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class LineOutcome:
    """The effect of one line: ``created``, ``changed`` or ``unchanged``. None if the line has no such effect."""

    line: int
    #: set on the first line of each customer only
    customer: str | None
    contact: str | None


@dataclass(slots=True)
class ImportReport:
    """The effects of an import or of a dry run, or the faults that prevent it."""

    outcomes: list[LineOutcome] = field(default_factory=list)
    faults: list[LineFault] = field(default_factory=list)
    agreements_bound: int = 0


class ImportUndoneError(GreffierError):
    """The import was a dry run or has faults. Nothing was imported; ``report`` has the effects or the faults."""

    def __init__(self, report: ImportReport) -> None:
        self.report = report
        super().__init__(f"nothing was imported: {len(report.faults)} faults")


def import_customers(
    tx: Transaction, act: AuditContext, lines: Sequence[CustomerLine], agreements: Agreements, *, dry_run: bool
) -> ImportReport:
    """Create and change customers and contacts as the lines state. Importing the same lines again changes nothing.

    1. A customer is identified by its name, which must be unique. A contact is identified by its address within the
       customer.
    2. Check that the lines of one customer state the same customer data, and no contact twice.
    3. Create what is new and change what differs. Everything else stays; nothing is removed.
    4. Collect the faults of all lines. If there are faults, or in a dry run, undo everything.

    Raises ImportUndoneError in step 4, with the report. Each change has its own audit entry, as without an import. What
    is stored is read before the first change, and what is new is written in batches.
    """
    report = ImportReport()
    grouped: dict[str, list[CustomerLine]] = {}
    for line in lines:
        grouped.setdefault(line.customer.name, []).append(line)
    stored = _Stored(tx, grouped.keys())
    new = NewCustomers(tx, act, agreements)
    for name, of_customer in grouped.items():
        try:
            _import_one(tx, act, stored, new, name, of_customer, agreements, report)
        except InvalidInputError as error:
            report.faults += [LineFault(of_customer[0].number, fault.field, fault.reason) for fault in error.faults]
        if not dry_run and not report.faults:
            new.write_if_many()
        else:
            new.discard()
    new.write()
    report.faults.sort(key=lambda fault: fault.line)
    report.outcomes.sort(key=lambda outcome: outcome.line)
    if dry_run or report.faults:
        raise ImportUndoneError(report)
    return report


class _Stored:
    """What is stored of the customers that a file names."""

    def __init__(self, tx: Transaction, names: Container[str]) -> None:
        self.customers: dict[str, list[Customer]] = {}
        for customer in tx.customers.all():
            if customer.name in names:
                self.customers.setdefault(customer.name, []).append(customer)
        found = {customer.id for of_name in self.customers.values() for customer in of_name}
        self.bindings: dict[UUID, list[AgreementBinding]] = {customer_id: [] for customer_id in found}
        for binding in tx.customers.bindings() if found else ():
            if binding.customer_id in found:
                self.bindings[binding.customer_id].append(binding)
        self.contacts = tx.customers.contacts_of(found)


def _import_one(
    tx: Transaction,
    act: AuditContext,
    stored: _Stored,
    new: NewCustomers,
    name: str,
    lines: Sequence[CustomerLine],
    agreements: Agreements,
    report: ImportReport,
) -> None:
    first = lines[0]
    known = stored.customers.get(name, [])
    # 1.
    if len(known) > 1:
        raise InvalidInputError(Fault("name", "several customers have this name: rename them first"))
    # 2.
    for line in lines[1:]:
        if (line.customer, line.binding) != (first.customer, first.binding):
            report.faults.append(
                LineFault(line.number, "name", f"states other data of this customer than line {first.number}")
            )
    # 3.
    customer_id, outcome = _customer(tx, act, stored, new, known, first, agreements, report)
    contacts = {
        normal_address(contact.email): contact for contact in stored.contacts.get(customer_id, ()) if contact.active
    }
    seen: dict[str, int] = {}
    for line in lines:
        done = None
        if line.contact is not None:
            address = normal_address(line.contact.email)
            earlier = seen.setdefault(address, line.number)
            if earlier != line.number:
                fault = LineFault(line.number, "email", f"line {earlier} has this address at the same customer")
                report.faults.append(fault)
                continue
            try:
                done = _contact(tx, act, new, customer_id, contacts.get(address), line, line.contact)
            except InvalidInputError as error:
                report.faults += [LineFault(line.number, fault.field, fault.reason) for fault in error.faults]
        report.outcomes.append(LineOutcome(line.number, outcome if line is first else None, done))


def _customer(
    tx: Transaction,
    act: AuditContext,
    stored: _Stored,
    new: NewCustomers,
    known: Sequence[Customer],
    line: CustomerLine,
    agreements: Agreements,
    report: ImportReport,
) -> tuple[UUID, str]:
    """Return the customer of a line, and the effect on it."""
    if not known:
        if line.agreement_id is None or line.effective_at is None:
            raise InvalidInputError(Fault("agreement_id", "a new customer needs an agreement_id and an effective_at"))
        report.agreements_bound += 1
        made = new.register(line.customer, line.agreement_id, line.effective_at, line.dpa_id, line.products)
        return made, "created"
    (before,) = known
    outcome = "unchanged"
    stated = {name: getattr(line.customer, name) for name in line.customer_members}
    if _differs(before, stated):
        draft = CustomerDraft(**{item.name: getattr(before, item.name) for item in fields(CustomerDraft)})
        before = change_customer(tx, act, before.id, before.version, replace(draft, **stated))
        outcome = "changed"
    if line.agreement_id is None or line.effective_at is None:
        return before.id, outcome
    if not _is_bound(stored.bindings[before.id], line):
        bind_agreement(
            tx,
            act,
            before.id,
            line.agreement_id,
            line.effective_at,
            agreements,
            dpa_id=line.dpa_id,
            products=line.products,
        )
        report.agreements_bound += 1
        outcome = "changed"
    return before.id, outcome


def _is_bound(bindings: Sequence[AgreementBinding], line: CustomerLine) -> bool:
    """Return whether the last binding from the line's moment says what the line says; what it leaves out may differ."""
    at = [each for each in bindings if (each.agreement_id, each.effective_at) == (line.agreement_id, line.effective_at)]
    if not at:
        return False
    last = max(at, key=lambda binding: binding.recorded_at)
    products = None if line.products is None else tuple(sorted(line.products))
    return line.dpa_id in {None, last.dpa_id} and products in {None, last.products}


def _contact(
    tx: Transaction,
    act: AuditContext,
    new: NewCustomers,
    customer_id: UUID,
    before: Contact | None,
    line: CustomerLine,
    contact: ContactDraft,
) -> str:
    if before is None:
        new.add_contact(customer_id, contact)
        return "created"
    stated = {name: getattr(contact, name) for name in line.contact_members}
    confirms = bool(stated.pop("address_confirmed", False)) and before.verified_at is None
    if not confirms and not _differs(before, stated):
        return "unchanged"
    kept = {item.name: getattr(before, item.name) for item in fields(ContactDraft) if item.name != "address_confirmed"}
    draft = replace(ContactDraft(**kept), **stated, address_confirmed=confirms)
    change_contact(tx, act, customer_id, before.id, before.version, draft)
    return "changed"


def _differs(before: Customer | Contact, stated: Mapping[str, object]) -> bool:
    return any(getattr(before, name) != value for name, value in stated.items())
