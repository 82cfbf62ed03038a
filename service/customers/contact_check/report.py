"""The report of a check: one line per address, certificate and webhook, and lines about whole customers."""

from collections.abc import Sequence
from dataclasses import dataclass

from notifications.customer.records import Contact, Customer, recipients
from notifications.delivery.reachability import ReachabilityCheck


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One line of the report: about a contact, a certificate or a webhook, or about the whole customer."""

    customer: str
    #: an address or a URL; empty for the whole customer
    about: str
    #: ``ok``, ``warning`` or ``failed``
    verdict: str
    what: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check."""

    lines: tuple[CheckLine, ...]
    #: why the relay could not be asked about addresses; None if it could
    relay_fault: str | None = None

    @property
    def is_clean(self) -> bool:
        """Return whether there is no failure; warnings do not count."""
        return self.relay_fault is None and all(line.verdict != "failed" for line in self.lines)


def check_line(customer: Customer, about: str, check: ReachabilityCheck) -> CheckLine:
    """Return the line of one check. A check that passed with a reason is a warning."""
    verdict = "failed" if not check.ok else "ok" if check.reason is None else "warning"
    return CheckLine(customer.name, about, verdict, check.reason or "")


def contact_lines(customer: Customer, contact: Contact) -> list[CheckLine]:
    """Return the warnings about a contact that need no check."""
    lines = []
    if contact.verified_at is None:
        lines.append(CheckLine(customer.name, contact.email, "warning", "nobody confirmed this address"))
    if contact.phone is None:
        lines.append(CheckLine(customer.name, contact.email, "warning", "no phone number to call"))
    return lines


def customer_lines(
    customer: Customer, contacts: Sequence[Contact], *, has_webhook: bool, became_unreachable: bool
) -> list[CheckLine]:
    """Return the report lines about the whole customer. ``contacts`` are its active contacts."""
    name = customer.name
    if not recipients(contacts) and not has_webhook:
        return [
            CheckLine(
                name, "", "failed", "no active contact and no webhook: nobody would be notified by mail or webhook"
            )
        ]
    if became_unreachable:
        return [CheckLine(name, "", "failed", "nobody of this customer can be reached any more")]
    if all(contact.fallback for contact in contacts) and contacts:
        return [CheckLine(name, "", "warning", "only fallback contacts are left")]
    return []
