"""Import and export of customers as one file, for the API and the command line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from notifications.customer.records import AgreementBinding, Contact, Customer
from notifications.errors import Fault, InvalidInputError, StateConflictError
from notifications.ports import Page, Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.import_customers import (
    CustomerLine,
    ImportReport,
    ImportUndoneError,
    LineFault,
    import_customers,
)
from notifications.use_cases.incidents.customer_decider import Agreements
from service.web.api.customers.customer_csv import column_of, format_customers

_PAGE = 200
#: An answer lists at most so many faults; further ones say nothing new.
MAX_FAULTS = 1000


@dataclass(frozen=True, slots=True)
class Transfer:
    """A file to import: its lines, and their faults of form."""

    lines: Sequence[CustomerLine]
    form_faults: Sequence[LineFault]
    agreements: Agreements
    dry_run: bool

    def work(self, tx: Transaction, act: AuditContext) -> ImportReport:
        """Import the lines; raises ImportUndoneError, with all faults including those of form."""
        try:
            report = import_customers(
                tx, act, self.lines, self.agreements, dry_run=self.dry_run or bool(self.form_faults)
            )
        except ImportUndoneError as error:
            found = [LineFault(item.line, column_of(item.field), item.reason) for item in error.report.faults]
            error.report.faults = sorted([*self.form_faults, *found], key=lambda item: item.line)
            raise
        return report


def log_faults(faults: Sequence[LineFault]) -> list[Fault]:
    """Return faults by line and column, the first thousand of them."""
    listed = [
        Fault(f"line {item.line}.{item.field}" if item.field else f"line {item.line}", item.reason)
        for item in faults[:MAX_FAULTS]
    ]
    if len(faults) > MAX_FAULTS:
        listed.append(Fault("", f"and {len(faults) - MAX_FAULTS} more faults"))
    return listed


def verify_no_faults(report: ImportReport) -> None:
    """Raise InvalidInputError if the report has faults."""
    if report.faults:
        raise InvalidInputError(*log_faults(report.faults))


def export_customers(tx: Transaction) -> str:
    """Return every customer in the scope of the transaction; raises StateConflictError if two have the same name."""
    found = list(_customers(tx))
    names = [customer.name for customer, _, _ in found]
    if len(set(names)) < len(names):
        twice = next(name for position, name in enumerate(names) if name in names[:position])
        raise StateConflictError(f"several customers are named {twice!r}: a file tells customers apart by their names")
    return "".join(format_customers(found))


def _customers(tx: Transaction) -> Iterator[tuple[Customer, Sequence[AgreementBinding], Sequence[Contact]]]:
    cursor: str | None = None
    while True:
        customers, cursor = tx.customers.page(Page(_PAGE, cursor))
        for customer in customers:
            yield customer, tx.customers.bindings(customer.id), tx.customers.contacts(customer.id)
        if cursor is None:
            return
