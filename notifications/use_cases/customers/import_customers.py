"""Import customers with their contacts: all of them in one transaction, or none, with every fault by its line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from notifications.customer.records import Contact, Customer
from notifications.errors import Fault, GreffierError, InvalidInputError
from notifications.mail_address import normal_address
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.manage_customers import (
    ContactDraft,
    CustomerDraft,
    add_contact,
    bind_agreement,
    change_contact,
    change_customer,
    register_customer,
)
from notifications.use_cases.incidents.customer_decider import Agreements


@dataclass(frozen=True, slots=True)
class CustomerLine:
    """One line: a customer, and one of its contacts or none; checked for form at the border."""

    number: int
    customer: CustomerDraft
    agreement_id: str | None
    effective_at: datetime | None
    contact: ContactDraft | None
    #: members of the two drafts that the file states; what it does not state stays as it is
    customer_members: frozenset[str]
    contact_members: frozenset[str]


@dataclass(frozen=True, slots=True)
class LineFault:
    """One thing that is wrong with one line."""

    line: int
    #: member of the draft
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class LineOutcome:
    """What one line does: ``created``, ``changed`` or ``unchanged``; None for a line that says nothing of it."""

    line: int
    #: said by the first line of a customer
    customer: str | None
    contact: str | None


@dataclass(slots=True)
class ImportReport:
    """What an import did, or would do, or why it does not."""

    outcomes: list[LineOutcome] = field(default_factory=list)
    faults: list[LineFault] = field(default_factory=list)
    agreements_bound: int = 0


class ImportUndoneError(GreffierError):
    """The import was a dry run or has faults: nothing of it is kept, and the report says what there is to say."""

    def __init__(self, report: ImportReport) -> None:
        self.report = report
        super().__init__(f"nothing was imported: {len(report.faults)} faults")


def import_customers(
    tx: Transaction, act: AuditContext, lines: Sequence[CustomerLine], agreements: Agreements, *, dry_run: bool
) -> ImportReport:
    """Bring customers and contacts to what the lines say; a second time the same lines change nothing.

    1. A customer is known by its name, which must be unique; a contact by its address at the customer.
    2. Lines of one customer agree on the customer, and name no contact twice.
    3. What is new is made, what differs is changed, the rest stays; nothing is taken away.
    4. Faults are gathered over all lines. With any, or in a dry run, everything is undone.

    Raises ImportUndoneError for 4., with the report. Each change leaves its own audit entry, as made one by one.
    """
    report = ImportReport()
    known: dict[str, list[Customer]] = {}
    for customer in tx.customers.all():
        known.setdefault(customer.name, []).append(customer)
    grouped: dict[str, list[CustomerLine]] = {}
    for line in lines:
        grouped.setdefault(line.customer.name, []).append(line)
    for name, of_customer in grouped.items():
        try:
            _import_one(tx, act, known.get(name, []), of_customer, agreements, report)
        except InvalidInputError as error:
            report.faults += [LineFault(of_customer[0].number, fault.field, fault.reason) for fault in error.faults]
    report.faults.sort(key=lambda fault: fault.line)
    report.outcomes.sort(key=lambda outcome: outcome.line)
    if dry_run or report.faults:
        raise ImportUndoneError(report)
    return report


def _import_one(
    tx: Transaction,
    act: AuditContext,
    known: Sequence[Customer],
    lines: Sequence[CustomerLine],
    agreements: Agreements,
    report: ImportReport,
) -> None:
    first = lines[0]
    # 1.
    if len(known) > 1:
        raise InvalidInputError(Fault("name", "several customers have this name: rename them first"))
    # 2.
    for line in lines[1:]:
        stated = (line.customer, line.agreement_id, line.effective_at)
        if stated != (first.customer, first.agreement_id, first.effective_at):
            report.faults.append(
                LineFault(line.number, "name", f"says something else of this customer than line {first.number}")
            )
    # 3.
    customer, outcome = _customer(tx, act, known, first, agreements, report)
    contacts = {
        normal_address(contact.email): contact for contact in tx.customers.contacts(customer.id) if contact.active
    }
    seen: dict[str, int] = {}
    for line in lines:
        done = None
        if line.contact is not None:
            earlier = seen.setdefault(normal_address(line.contact.email), line.number)
            if earlier != line.number:
                fault = LineFault(line.number, "email", f"line {earlier} has this address at the same customer")
                report.faults.append(fault)
                continue
            try:
                done = _contact(tx, act, customer, contacts.get(normal_address(line.contact.email)), line, line.contact)
            except InvalidInputError as error:
                report.faults += [LineFault(line.number, fault.field, fault.reason) for fault in error.faults]
        report.outcomes.append(LineOutcome(line.number, outcome if line is first else None, done))


def _customer(
    tx: Transaction,
    act: AuditContext,
    known: Sequence[Customer],
    line: CustomerLine,
    agreements: Agreements,
    report: ImportReport,
) -> tuple[Customer, str]:
    if not known:
        if line.agreement_id is None or line.effective_at is None:
            raise InvalidInputError(Fault("agreement_id", "a new customer is bound to an agreement from a date"))
        report.agreements_bound += 1
        return register_customer(tx, act, line.customer, line.agreement_id, line.effective_at, agreements), "created"
    (before,) = known
    outcome = "unchanged"
    stated = {name: getattr(line.customer, name) for name in line.customer_members}
    if _differs(before, stated):
        draft = CustomerDraft(**{item.name: getattr(before, item.name) for item in fields(CustomerDraft)})
        before = change_customer(tx, act, before.id, before.version, replace(draft, **stated))
        outcome = "changed"
    if line.agreement_id is not None and line.effective_at is not None:
        bound = {(binding.agreement_id, binding.effective_at) for binding in tx.customers.bindings(before.id)}
        if (line.agreement_id, line.effective_at) not in bound:
            bind_agreement(tx, act, before.id, line.agreement_id, line.effective_at, agreements)
            report.agreements_bound += 1
            outcome = "changed"
    return before, outcome


def _contact(
    tx: Transaction,
    act: AuditContext,
    customer: Customer,
    before: Contact | None,
    line: CustomerLine,
    contact: ContactDraft,
) -> str:
    if before is None:
        add_contact(tx, act, customer.id, contact)
        return "created"
    stated = {name: getattr(contact, name) for name in line.contact_members}
    confirms = bool(stated.pop("address_confirmed", False)) and before.verified_at is None
    if not confirms and not _differs(before, stated):
        return "unchanged"
    kept = {item.name: getattr(before, item.name) for item in fields(ContactDraft) if item.name != "address_confirmed"}
    draft = replace(ContactDraft(**kept), **stated, address_confirmed=confirms)
    change_contact(tx, act, customer.id, before.id, before.version, draft)
    return "changed"


def _differs(before: Customer | Contact, stated: Mapping[str, object]) -> bool:
    return any(getattr(before, name) != value for name, value in stated.items())
