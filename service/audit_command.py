"""``greffier audit``: was everyone who was owed a notice told, in time; answered from the log alone."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from notifications.account import IncidentCount, Line, Override, OverrideKind, Standing
from notifications.audit.checkpoint import Checkpoint, verify_checkpoint
from notifications.audit.note import VerifierKey, parse_verifier_key
from notifications.audit.tile_reading import width_in
from notifications.audit.tiles import Tile, parse_entry_bundle
from notifications.canonical_json import timestamp_text
from notifications.completeness import Account, account
from notifications.errors import Fault, InvalidInputError, VerificationError
from service.log_export import ExportedLog
from service.published_log import VERIFIER_KEY

_FOLDER = click.Path(path_type=Path, file_okay=False)
_AT_ONCE = 1024
_STYLES = {
    Standing.TOLD: "green", Standing.NOT_OWED: "green", Standing.AWAITED: "yellow", Standing.PENDING: "yellow",
    Standing.LATE: "bold red", Standing.MISSING: "bold red", Standing.UNDECIDED: "bold red",
}  # fmt: skip


@click.command("audit")
@click.option("--data", type=_FOLDER, help="Data folder; runs beside the service. Customers are named.")
@click.option("--log", "exported", type=_FOLDER, help="Exported log; customers stand under their pseudonyms.")
@click.option("--trust", type=_FOLDER, help="Folder with log.vkey as you pinned it; wanted with --log.")
@click.option("--as-of", help="A time with an offset, by which deadlines count as over; now if not given.")
@click.option("--json", "as_json", is_flag=True, help="Say it as one JSON object.")
def audit_command(
    data: Path | None, exported: Path | None, trust: Path | None, as_of: str | None, *, as_json: bool
) -> None:
    """Account for every incident and customer: the decision, the deadline, when it was told, from which entries.

    All entries under the checkpoint are read and the root is made again from them, so that none can be left out. Exit
    code 1 where somebody was told late, is missing or was passed over; 2 where the log does not verify.
    """
    moment = _moment(as_of)
    names: Mapping[str, str] = {}
    if exported is not None and data is None:
        if trust is None:
            raise InvalidInputError(Fault("trust", "is wanted: the key that came with a log proves nothing about it"))
        made, checkpoint = _of_files(exported, trust, moment)
    elif data is not None and exported is None:
        made, checkpoint, names = asyncio.run(_of_store(data, trust, moment))
    else:
        raise InvalidInputError(Fault("data", "give either --data or --log"))
    _say_as_json(made, checkpoint, names) if as_json else _say(made, checkpoint, names)
    if not made.complete:
        click.get_current_context().exit(1)


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(Fault("as_of", f"{text} is no time")) from None
    if moment.tzinfo is None:
        raise InvalidInputError(Fault("as_of", f"{text} is a time without an offset"))
    return moment.astimezone(UTC)


def _keys(trust: Path) -> list[VerifierKey]:
    try:
        lines = (trust / VERIFIER_KEY).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InvalidInputError(Fault("trust", f"{trust / VERIFIER_KEY} cannot be read: {error.strerror}")) from None
    return [parse_verifier_key(line) for line in lines if line.strip()]


def _verified(note: bytes, keys: list[VerifierKey]) -> Checkpoint:
    try:
        return verify_checkpoint(note, *keys)
    except VerificationError as error:
        raise InvalidInputError(Fault("checkpoint", error.reason)) from None


def _accounted(leaves: Iterator[bytes], checkpoint: Checkpoint, as_of: datetime) -> Account:
    try:
        return account(leaves, checkpoint.size, checkpoint.root, as_of)
    except VerificationError as error:
        raise InvalidInputError(Fault("log", error.reason)) from None


def _of_files(exported: Path, trust: Path, as_of: datetime) -> tuple[Account, Checkpoint]:
    log = ExportedLog(exported)
    checkpoint = _verified(log.note, _keys(trust))

    def leaves() -> Iterator[bytes]:
        number = 0
        while width := width_in(checkpoint.size, None, number):
            yield from parse_entry_bundle(log.tile(Tile(None, number, width)))
            number += 1

    return _accounted(leaves(), checkpoint, as_of), checkpoint


async def _of_store(data: Path, trust: Path | None, as_of: datetime) -> tuple[Account, Checkpoint, Mapping[str, str]]:
    from service.data_folder import is_prepared  # noqa: PLC0415 - verify starts without the service
    from service.settings import load_settings  # noqa: PLC0415 - as above
    from service.store import SqlTransaction, open_store  # noqa: PLC0415 - as above

    if not is_prepared(data):
        raise InvalidInputError(Fault("data", f"{data} is no data folder: greffier init makes one"))
    settings = load_settings(data)
    keys = _keys(trust or settings.trust_dir)

    def work(tx: SqlTransaction) -> tuple[Account, Checkpoint, Mapping[str, str]]:
        note = tx.log_checkpoint()
        if note is None:
            raise InvalidInputError(Fault("data", "the log has no entries yet"))
        checkpoint = _verified(note, keys)

        def leaves() -> Iterator[bytes]:
            for start in range(0, checkpoint.size, _AT_ONCE):
                for entry in tx.log_entries(start, min(_AT_ONCE, checkpoint.size - start)):
                    yield entry.leaf

        names = {tx.customer_pseudonym(item.id): item.name for item in tx.all_customers()}
        return _accounted(leaves(), checkpoint, as_of), checkpoint, names

    store = open_store(settings.store_location(), migrate=False, readers=1)
    try:
        return await store.read(work)
    finally:
        await store.close()


def _say(made: Account, checkpoint: Checkpoint, names: Mapping[str, str]) -> None:
    """Say the account: every line; then, each with the entries that show it, what wants to be looked at."""
    console = Console()
    table = Table("incident", "customer", "", "verdict", "due", "told", "entries", box=None, pad_edge=False)
    for line in made.lines:
        standing = Text(line.standing.value + (" (override)" if line.overridden else ""), _STYLES[line.standing])
        table.add_row(
            Text(line.incident), Text(_named(line, names)), standing, Text(line.verdict),
            _time(line.due_at), _time(line.told_at), Text(_spans(line.indices)),
        )  # fmt: skip
    console.print(table)
    for title, found in _lists(made, names):
        if found:
            console.print(Text(f"{title}:", "bold red"))
            for said in found:
                console.print(Text(f"  {said}"), soft_wrap=True)
    counted = Counter(line.standing for line in made.lines)
    said = ", ".join(f"{counted[standing]} {standing.value}" for standing in Standing if counted[standing])
    console.print(f"{said or 'no incident yet'}; as of {_time(made.as_of)}")
    if alone := [item.index for item in made.overrides if item.kind is OverrideKind.ONE_PERSON]:
        console.print(
            f"{len(alone)} released by whoever wrote them last, where no rule asked for a second person:"
            f" entries {_spans(tuple(alone))}",
            soft_wrap=True,
        )
    console.print(
        f"from all {made.tree_size} entries of {checkpoint.origin}, whose root is the signed checkpoint's:"
        f" {made.root.hex()}",
        soft_wrap=True,
    )


def _lists(made: Account, names: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return what an auditor looks at first: late, missing, passed over, overridden, not counted."""
    overridden = [item for item in made.overrides if item.kind is not OverrideKind.ONE_PERSON]
    return [
        ("late", [_late(line, names) for line in made.standing_at(Standing.LATE)]),
        ("missing", [_missing(line, names) for line in made.standing_at(Standing.MISSING)]),
        (
            "passed over",
            [f"{line.incident} {_named(line, names)}: no decision" for line in made.standing_at(Standing.UNDECIDED)],
        ),
        ("overridden", [_overridden(item, names) for item in overridden]),
        (
            "decided about fewer than stated",
            [
                f"{item.incident}: {item.stated} customers stated, decisions about {item.decided}"
                for item in made.incidents
                if item.lacking
            ],
        ),
    ]


def _late(line: Line, names: Mapping[str, str]) -> str:
    cause = "" if line.cause is None else line.cause.value.replace("_", " ")
    return (
        f"{line.incident} {_named(line, names)}: {cause}, told {_time(line.told_at)} (entry {line.told_index}),"
        f" due {_time(line.due_at)} (entry {line.decided_index}), {line.delay} late;"
        f" released {_time(line.released_at) or 'never'}{_entry(line.released_index)}"
    )


def _missing(line: Line, names: Mapping[str, str]) -> str:
    cause = "" if line.cause is None else line.cause.value.replace("_", " ")
    webhook = "; its system took it by webhook, which tells nobody" if "webhook" in dict(line.channels) else ""
    return (
        f"{line.incident} {_named(line, names)}: {cause}, due {_time(line.due_at)} (entry {line.decided_index})"
        f"{_entry(line.released_index, 'release')}{webhook}"
    )


def _overridden(item: Override, names: Mapping[str, str]) -> str:
    who = names.get(item.customer, item.customer[:16])
    if item.kind is OverrideKind.TAKEN_BACK:
        return (
            f"{item.incident} {who}: a decision to tell (entry {item.other_index}) was taken back {_time(item.at)}"
            f" (entry {item.index}) before the customer was told"
        )
    reviewed = "not reviewed" if item.other_index is None else f"reviewed (entry {item.other_index})"
    asked = "no rule asked for a second person" if item.rule is None else f"four eyes asked by the {item.rule}"
    return (
        f"{item.incident} {who}: released in an emergency {_time(item.at)} by {item.actor} (entry {item.index}),"
        f" {asked}, {reviewed}"
    )


def _entry(index: int | None, what: str = "") -> str:
    return "" if index is None else f" ({what}{' ' if what else ''}entry {index})"


def _named(line: Line, names: Mapping[str, str]) -> str:
    """Return the customer's name where it is known, its pseudonym, and that it was erased where it was."""
    name = names.get(line.customer, line.customer[:16])
    return name if line.erased_at is None else f"{name} (erased on {line.erased_at:%Y-%m-%d}, clause 9.7)"


def _say_as_json(made: Account, checkpoint: Checkpoint, names: Mapping[str, str]) -> None:
    whole: dict[str, Any] = {
        "origin": checkpoint.origin,
        "tree_size": made.tree_size,
        "root_sha256": made.root.hex(),
        "as_of": timestamp_text(made.as_of),
        "complete": made.complete,
        "lines": [_as_json(line, names) for line in made.lines],
        "overridden": [_override_as_json(item, names) for item in made.overrides],
        "incidents": [_count_as_json(item) for item in made.incidents],
    }
    click.echo(json.dumps(whole, indent=2, ensure_ascii=False))


def _as_json(line: Line, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "incident": line.incident,
        "customer": line.customer,
        "name": names.get(line.customer),
        "standing": line.standing.value,
        "cause": None if line.cause is None else line.cause.value,
        "verdict": line.verdict or None,
        "reasons": list(line.reasons),
        "duties": list(line.duties),
        "due_at": _stated(line.due_at),
        "due_kind": line.due_kind,
        "target_at": _stated(line.target_at),
        "released_at": _stated(line.released_at),
        "told_at": _stated(line.told_at),
        "delay_seconds": None if line.delay is None else line.delay.total_seconds(),
        "past_target_seconds": None if line.past_target is None else line.past_target.total_seconds(),
        "channels": {channel: timestamp_text(at) for channel, at in line.channels},
        "overridden": line.overridden,
        "erased_at": _stated(line.erased_at),
        "decided_index": line.decided_index,
        "released_index": line.released_index,
        "told_index": line.told_index,
        "indices": list(line.indices),
    }


def _override_as_json(item: Override, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "kind": item.kind.value,
        "incident": item.incident,
        "customer": item.customer,
        "name": names.get(item.customer),
        "notice": item.notice or None,
        "at": timestamp_text(item.at),
        "actor": item.actor,
        "rule": item.rule,
        "index": item.index,
        "other_index": item.other_index,
    }


def _count_as_json(item: IncidentCount) -> dict[str, Any]:
    return {
        "incident": item.incident,
        "ticket": item.ticket,
        "declared_index": item.declared_index,
        "customers_stated": item.stated,
        "customers_decided": item.decided,
    }


def _stated(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp_text(moment)


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}Z"


def _spans(indices: tuple[int, ...]) -> str:
    """Return numbers with neighbours drawn together: ``3, 5-8``."""
    spans: list[list[int]] = []
    for index in indices:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
