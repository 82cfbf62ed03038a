"""Customers and contacts as CSV: one line per contact, with the columns of its customer on each line.

The export writes RFC 4180 in UTF-8, separated by commas. The import also reads files of French and German spreadsheets:
semicolons or tabs, Windows-1252 or UTF-16, a ``sep=`` line, VRAI or WAHR, and empty columns or rows at the end.
"""

import base64
import binascii
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from notifications.canonical_json import timestamp_text
from notifications.customer.records import AgreementBinding, Contact, Customer
from notifications.use_cases.customers.import_customers import CustomerLine, LineFault
from service.web.api.customers.customer_schemas import AgreementIn, ContactIn, CustomerIn
from service.web.api.sheets import SheetError, header_faults, sheet_rows
from service.web.api.spreadsheets import line_of, unguarded

SchemaT = TypeVar("SchemaT", bound=BaseModel)
#: What lines stated without fault, by schema and members.
_Known = dict[tuple[object, ...], BaseModel]

#: column -> field of the customer
_CUSTOMER = {
    "name": "name", "language": "language", "time_zone": "time_zone", "services": "services", "regions": "regions",
    "availability_zones": "availability_zones", "four_eyes": "four_eyes",
    "acknowledge_within_seconds": "acknowledge_within_seconds", "news_channel": "news_channel",
}  # fmt: skip
_AGREEMENT = {
    "agreement_id": "agreement_id", "agreement_effective_at": "effective_at", "dpa_id": "dpa_id",
    "products": "products",
}  # fmt: skip
#: column -> field of the contact
_CONTACT = {
    "contact_name": "name", "contact_role": "role", "contact_email": "email", "contact_language": "language",
    "contact_time_zone": "time_zone", "contact_order": "order", "contact_fallback": "fallback",
    "contact_mail_content": "mail_content", "contact_smime_certificate": "smime_certificate",
    "contact_phone": "phone",
    "contact_takes_exercises": "takes_exercises", "contact_address_confirmed": "address_confirmed",
}  # fmt: skip
COLUMNS = (*_CUSTOMER, *_AGREEMENT, *_CONTACT)
_LISTS = frozenset({"services", "regions", "availability_zones", "products"})
_FLAGS = frozenset({"four_eyes", "contact_fallback", "contact_takes_exercises", "contact_address_confirmed"})
#: Flags as spreadsheets write them in English, French and German.
_FLAG_VALUES = {"true": True, "false": False, "vrai": True, "faux": False, "wahr": True, "falsch": False}
#: Longest cell: a certificate in base64.
_MAX_CELL = 20_000
#: Most lines of one file, a limit for the transaction and the report.
MAX_LINES = 50_000


def parse_customers(content: bytes) -> tuple[list[CustomerLine], list[LineFault]]:
    """Return the lines of a file and all faults of its form, by line and column.

    NOT checked here: everything that depends on stored data, such as agreements, and whether a certificate is usable.
    """
    lines, faults = list[CustomerLine](), list[LineFault]()
    header: list[str] | None = None
    known: _Known = {}
    try:
        for number, cells in sheet_rows(io.BytesIO(content), COLUMNS):
            if header is None:
                header = cells
                if found := list(header_faults(header, COLUMNS, ("name",))):
                    return [], [LineFault(number, name, reason) for name, reason in found]
            elif len(lines) >= MAX_LINES:
                return lines, [*faults, LineFault(number, "", f"a file may have {MAX_LINES} lines")]
            else:
                parsed = _line(number, header, cells, faults, known)
                if parsed is not None:
                    lines.append(parsed)
    except SheetError as error:
        return lines, [*faults, LineFault(error.line, "", error.reason)]
    return lines, faults


def format_customers(
    customers: Iterable[tuple[Customer, Sequence[AgreementBinding], Sequence[Contact]]],
) -> Iterator[str]:
    """Yield the file line by line: every customer with its latest agreement, and its active contacts."""
    yield line_of(COLUMNS)
    for customer, bindings, contacts in customers:
        last = max(bindings, key=lambda item: (item.effective_at, item.recorded_at), default=None)
        stated: list[object] = [getattr(customer, member) for member in _CUSTOMER.values()]
        stated += (
            ["" for _ in _AGREEMENT]
            if last is None
            else [last.agreement_id, timestamp_text(last.effective_at), last.dpa_id, last.products]
        )
        active = [contact for contact in contacts if contact.active]
        for contact in active:
            cells = [getattr(contact, member, None) for member in _CONTACT.values()]
            cells[-1] = contact.verified_at is not None
            yield line_of(map(_text, [*stated, *cells]))
        if not active:
            yield line_of(map(_text, [*stated, *("" for _ in _CONTACT)]))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return ";".join(value)
    return str(getattr(value, "value", value))


def _line(
    number: int, header: Sequence[str], cells: Sequence[str], faults: list[LineFault], known: _Known
) -> CustomerLine | None:
    """Return a line; if it has faults, add them to ``faults`` and return None."""
    if len(cells) != len(header):
        faults.append(LineFault(number, "", f"has {len(cells)} cells, the first line has {len(header)}"))
        return None
    wrong = len(faults)
    stated: dict[str, Any] = {}
    for column, cell in zip(header, cells, strict=True):
        if len(cell) > _MAX_CELL:
            faults.append(LineFault(number, column, f"is longer than {_MAX_CELL} characters"))
        elif cell != "":
            value = _value(column, unguarded(cell))
            if value is None:
                reason = "must be true or false" if column in _FLAGS else "must be the base64 of a certificate in DER"
                faults.append(LineFault(number, column, reason))
            stated[column] = value
    certificate = stated.pop("contact_smime_certificate", None)
    customer = _valid(CustomerIn, _CUSTOMER, stated, number, faults, known)
    agreement = _valid(AgreementIn, _AGREEMENT, stated, number, faults, known) if _any(_AGREEMENT, stated) else None
    has_contact = certificate is not None or _any(_CONTACT, stated)
    contact = _valid(ContactIn, _CONTACT, stated, number, faults, {}) if has_contact else None
    if len(faults) > wrong or customer is None:
        return None
    draft = None if contact is None else contact.to_domain()
    return CustomerLine(
        number=number,
        customer=customer.to_domain(),
        agreement_id=None if agreement is None else agreement.agreement_id,
        effective_at=None if agreement is None else agreement.effective_at,
        contact=draft if draft is None or certificate is None else replace(draft, smime_certificate=certificate),
        dpa_id=None if agreement is None else agreement.dpa_id,
        products=None if agreement is None else agreement.products,
        customer_members=frozenset(_CUSTOMER[name] for name in header if name in _CUSTOMER),
        contact_members=frozenset(_CONTACT[name] for name in header if name in _CONTACT),
    )


def _any(columns: dict[str, str], stated: dict[str, Any]) -> bool:
    return any(column in stated for column in columns)


def _value(column: str, cell: str) -> object:
    """Return the value of a cell, or None for a malformed flag or certificate."""
    if column in _FLAGS:
        return _FLAG_VALUES.get(cell.lower())
    if column == "contact_smime_certificate":
        try:
            return base64.b64decode(cell, validate=True)
        except (binascii.Error, ValueError):
            return None
    return tuple(cell.split(";")) if column in _LISTS else cell


def _valid(
    schema: type[SchemaT],
    columns: dict[str, str],
    stated: dict[str, Any],
    number: int,
    faults: list[LineFault],
    known: _Known,
) -> SchemaT | None:
    """Return the columns validated as in the API; if that fails, add the faults under the column names, return None.

    Equal columns are validated once: ``known`` has what earlier lines stated without fault.
    """
    shape = {member: stated[column] for column, member in columns.items() if column in stated}
    same = known.get(key := (schema, *shape.items()))
    if same is not None:
        return cast("SchemaT", same)
    try:
        made = known[key] = schema.model_validate(shape)
    except ValidationError as error:
        named = {member: column for column, member in columns.items()}
        for item in error.errors(include_url=False, include_input=False, include_context=False):
            column = named.get(str(item["loc"][0]), "") if item["loc"] else ""
            faults.append(LineFault(number, column, item["msg"]))
        return None
    return made


def column_of(field: str) -> str:
    """Return the column under which a fault of the domain is shown."""
    own = {"effective_at": "agreement_effective_at", "agreement_id": "agreement_id", "name": "name"}
    return (own | {"dpa_id": "dpa_id", "products": "products"}).get(
        field, f"contact_{field}" if f"contact_{field}" in _CONTACT else field
    )
