"""Resources in as a file: CSV with one column for each member of a line, or one JSON object a line."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import IO, Any
from uuid import UUID

from pydantic import ValidationError

from notifications.customer.inventory import Effect
from notifications.errors import Fault, InvalidInputError
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.manage_resources import (
    ResourceFault,
    ResourceImportUndoneError,
    ResourceLine,
    ResourceReport,
    import_resources,
)
from service.ports.store import AccessTransaction
from service.web.api.resources.resource_schemas import (
    ImportedLinesOut,
    ImportFormat,
    ResourceFaultOut,
    ResourceImportOut,
    ResourceLineIn,
)
from service.web.api.sheets import SheetError, header_faults, sheet_rows
from service.web.api.spreadsheets import unguarded

COLUMNS = (
    "customer", "kind", "identifier", "name", "service", "region", "availability_zone", "host", "held_from",
    "held_until",
)  # fmt: skip
_REQUIRED = ("customer", "kind", "identifier")
#: Most lines of one file: what one transaction is asked to hold.
MAX_LINES = 2_000_000
_MAX_LINE_BYTES = 20_000
#: Faults listed one by one; more of them say nothing new.
MAX_FAULTS = 1000


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The lines of a file, and everything that is wrong with their form."""

    lines: Sequence[tuple[int, ResourceLineIn]]
    faults: Sequence[ResourceFault]


def parse_resources(file: IO[bytes], form: ImportFormat) -> ParsedFile:
    """Return the lines of a file; one line of the file is read at a time.

    NOT checked here: what depends on what is stored, such as whether a customer exists.
    """
    lines, faults = list[tuple[int, ResourceLineIn]](), list[ResourceFault]()
    try:
        for number, stated in _csv_lines(file) if form == "csv" else _json_lines(file, faults):
            if len(lines) + len(faults) >= MAX_LINES:
                faults.append(ResourceFault(number, "", f"a file may have {MAX_LINES} lines"))
                break
            try:
                lines.append((number, ResourceLineIn.model_validate(stated)))
            except ValidationError as error:
                faults += [
                    ResourceFault(number, str(item["loc"][0]) if item["loc"] else "", item["msg"])
                    for item in error.errors(include_url=False, include_input=False, include_context=False)
                ]
    except SheetError as error:
        faults.append(ResourceFault(error.line, "", error.reason))
    return ParsedFile(lines, faults)


def _csv_lines(file: IO[bytes]) -> Iterator[tuple[int, dict[str, str]]]:
    header: list[str] | None = None
    for number, cells in sheet_rows(file, COLUMNS):
        if header is None:
            header = cells
            for name, reason in header_faults(header, COLUMNS, _REQUIRED):
                raise SheetError(number, f"{name}: {reason}")
        elif len(cells) != len(header):
            raise SheetError(number, f"has {len(cells)} cells, the first line has {len(header)}")
        else:
            stated = {name: unguarded(cell) for name, cell in zip(header, cells, strict=True) if cell != ""}
            yield number, stated


def _json_lines(file: IO[bytes], faults: list[ResourceFault]) -> Iterator[tuple[int, Any]]:
    number = 0
    while line := file.readline(_MAX_LINE_BYTES):
        number += 1
        if not line.endswith(b"\n") and len(line) == _MAX_LINE_BYTES:
            raise SheetError(number, f"is longer than {_MAX_LINE_BYTES} bytes")
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError):
            faults.append(ResourceFault(number, "", "is no JSON object in UTF-8"))


@dataclass(frozen=True, slots=True)
class ResourceTransfer:
    """A file on its way in, and how it is imported."""

    parsed: ParsedFile
    snapshot_at: datetime | None
    partial: bool
    dry_run: bool

    def work(self, tx: AccessTransaction, act: AuditContext) -> ResourceImportOut:
        """Import the lines; raises InvalidInputError with all faults, or ResourceImportUndoneError in a dry run."""
        lines, faults = self._named(tx)
        try:
            report = import_resources(
                tx, act, lines, faults, snapshot_at=self.snapshot_at, partial=self.partial, dry_run=self.dry_run
            )
        except ResourceImportUndoneError as error:
            if self.dry_run:
                raise
            raise InvalidInputError(*listed_faults(error.report.faults)) from error
        return import_out(report, dry_run=False)

    def _named(self, tx: AccessTransaction) -> tuple[list[ResourceLine], list[ResourceFault]]:
        """Return the lines with the customers that they name, and all faults of form."""
        named: dict[str, UUID | None] = {}
        for customer in tx.customers.all():
            named[customer.name] = None if customer.name in named else customer.id
        named |= {str(customer.id): customer.id for customer in tx.customers.all()}
        lines, faults = list[ResourceLine](), list(self.parsed.faults)
        for number, stated in self.parsed.lines:
            customer_id = named.get(stated.customer)
            if customer_id is None:
                several = stated.customer in named
                reason = "several customers have this name: give the id" if several else "no such customer"
                faults.append(ResourceFault(number, "customer", reason))
            else:
                lines.append(ResourceLine(number, stated.to_domain(customer_id, stated.kind, stated.identifier)))
        return lines, faults


def listed_faults(faults: Sequence[ResourceFault]) -> list[Fault]:
    """Return faults by line and column, the first thousand of them."""
    listed = [
        Fault(f"line {item.line}.{item.field}" if item.field else f"line {item.line}", item.reason)
        for item in faults[:MAX_FAULTS]
    ]
    if len(faults) > MAX_FAULTS:
        listed.append(Fault("", f"and {len(faults) - MAX_FAULTS} more faults"))
    return listed


def import_out(report: ResourceReport, *, dry_run: bool) -> ResourceImportOut:
    """Return a report as the API gives it."""
    return ResourceImportOut(
        dry_run=dry_run,
        added=report.count(Effect.ADDED),
        moved=report.count(Effect.MOVED),
        corrected=report.count(Effect.CORRECTED),
        ended=report.count(Effect.ENDED),
        unchanged=report.count(Effect.UNCHANGED),
        no_longer_there=report.no_longer_there,
        held_before=report.held_before,
        faults_total=len(report.faults),
        faults=[
            ResourceFaultOut(line=item.line, field=item.field, reason=item.reason)
            for item in report.faults[:MAX_FAULTS]
        ],
        lines=list(_runs(report)),
    )


def without_lines(report: ResourceImportOut) -> ResourceImportOut:
    """Return the report as it is kept for an Idempotency-Key."""
    return report.model_copy(update={"lines": []})


def _runs(report: ResourceReport) -> Iterator[ImportedLinesOut]:
    """Yield consecutive lines with the same effect."""
    for (effect, _), numbered in groupby(
        enumerate(sorted(report.effects.items())), lambda item: (item[1][1], item[1][0] - item[0])
    ):
        lines = [line for _, (line, _) in numbered]
        yield ImportedLinesOut(first=lines[0], last=lines[-1], effect=effect)
