"""``greffier audit``: was every customer notified in time who had a right to a notice; answered from the log only."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from notifications.audit.checkpoint import Checkpoint, verify_checkpoint
from notifications.audit.note import VerifierKey
from notifications.audit.policy import Policy, verify_policy
from notifications.audit.tile_reading import width_in
from notifications.audit.tiles import Tile, parse_entry_bundle
from notifications.canonical_json import timestamp_text
from notifications.errors import Fault, InvalidInputError, VerificationError
from notifications.evidence.bundle.contents import Header
from notifications.evidence.bundle.report import Basis, BundleReportBuilder
from notifications.evidence.bundle.verification import verify_bundle
from notifications.evidence.completeness import CompletenessReport, completeness_report
from notifications.evidence.notification_report import NotificationReport
from service.audit_log.export import ExportedLog
from service.audit_log.publishing import published_checkpoint, read_verifier_keys
from service.bootstrap.data_folder import prepared_settings
from service.cli.audit_report import ReportSource, print_report, print_report_as_json
from service.cli.options import FILE, FOLDER
from service.cli.verify import load_policy, load_trust, load_witnesses
from service.store import SqlTransaction, open_store

_AT_ONCE = 1024


@click.command("audit")
@click.option("--data", type=FOLDER, help="Data folder; runs beside the service. Customers are named.")
@click.option("--log", "exported", type=FOLDER, help="Exported log. Customers are named by their pseudonyms.")
@click.option("--bundle", type=FILE, help="Evidence bundle. The report covers what is in it.")
@click.option("--trust", type=FOLDER, help="Folder with log.vkey as you pinned it (for --bundle ca.pem, tsa.pem too).")
@click.option(
    "--policy", "policy_file", type=FILE, help="Trust policy (c2sp.org/tlog-policy) that the checkpoint meets."
)
@click.option("--as-of", help="Judge deadlines at this time, with an offset. Default: now, or the time of the bundle.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def audit_command(
    data: Path | None,
    exported: Path | None,
    bundle: Path | None,
    trust: Path | None,
    policy_file: Path | None,
    as_of: str | None,
    *,
    as_json: bool,
) -> None:
    """Report who was owed a notice, and who was notified, late or not at all, with the log entries that show it.

    It covers incidents and announcements. It reads all entries under the checkpoint and computes the root again from
    them, so none can be left out. A bundle is verified as by ``greffier verify``, and the report covers its contents.

    Exit code 1 if a customer was notified after a limit of its agreement, was not notified or has no decision, or if
    an emergency release was not reviewed; 2 if the input does not verify. A notice after a time that is to be met where
    possible, or after the provider's own target, is listed, and does not change the exit code.
    """
    moment, policy = None if as_of is None else _moment(as_of), load_policy(policy_file)
    names: Mapping[str, str] = {}
    if sum(source is not None for source in (data, exported, bundle)) != 1:
        raise InvalidInputError(Fault("data", "give exactly one of --data, --log and --bundle"))
    made: NotificationReport
    if data is not None:
        whole, checkpoint, names = asyncio.run(_of_store(data, trust, moment or datetime.now(UTC), policy))
        made, rests = whole, _whole(whole, checkpoint, policy)
    elif trust is None:
        raise InvalidInputError(Fault("trust", "is required: the key that came with a log proves nothing about it"))
    elif exported is not None:
        whole, checkpoint = _of_files(exported, trust, moment or datetime.now(UTC), policy)
        made, rests = whole, _whole(whole, checkpoint, policy)
    elif bundle is not None:
        made, rests = _of_bundle(bundle, trust, moment, policy)
    print_report_as_json(made, rests, names) if as_json else print_report(made, rests, names)
    if not made.complete:
        click.get_current_context().exit(1)


def _whole(made: CompletenessReport, checkpoint: Checkpoint, policy: Policy | None) -> ReportSource:
    text = (
        f"from all {made.tree_size} entries of {checkpoint.origin}, whose root is the signed checkpoint's:"
        f" {made.root.hex()}"
    )
    if policy is not None:
        text += "; the checkpoint meets the policy"
    stated = {"origin": checkpoint.origin, "tree_size": made.tree_size, "root_sha256": made.root.hex()}
    return ReportSource((text,), stated | {"whole": True, "policy": policy is not None})


_BASES = {
    Basis.TIMESTAMP: "the time of the timestamp over its checkpoint",
    Basis.NEWEST_ENTRY: "the time of its newest entry",
    Basis.END_OF_PERIOD: "the end of its period",
}


def _of_bundle(
    path: Path, trust: Path, as_of: datetime | None, policy: Policy | None
) -> tuple[NotificationReport, ReportSource]:
    builder = BundleReportBuilder()
    try:
        with path.open("rb") as file:
            for _ in verify_bundle(file, load_trust(trust), load_witnesses(trust), builder, policy=policy):
                pass
    except OSError as error:
        raise InvalidInputError(Fault("bundle", f"{path} cannot be read: {error.strerror}")) from None
    except VerificationError as error:
        raise InvalidInputError(Fault("bundle", f"{error.step}: {error.reason}")) from None
    header, (own, basis) = builder.header, builder.as_of()
    made = builder.findings(as_of)
    proves = [
        f"each of {header.entries} entries is one of the {header.tree_size} entries of {header.origin}",
        "the log's key signed that these are the parts of the bundle",
    ]
    if any(item.stated is not None for item in (*made.incidents, *made.announcements.incidents)):
        subject = "announcement" if header.scope.announcement is not None else "incident"
        proves.append(f"the number of customers decided about, as the {subject}'s own entries state it")
    if policy is not None:
        proves.append("the checkpoint meets the policy")
    lacks = [
        "that the log has no other entry on the subject: greffier audit over the whole log shows that",
        f"what came after its checkpoint, and what lies outside of it ({', '.join(_scope(header))})",
    ]
    moment = f"as of {_BASES[basis]}, {timestamp_text(own)}" if as_of is None else "as of the given time"
    stated = {
        "origin": header.origin, "tree_size": header.tree_size, "root_sha256": None, "whole": False,
        "entries": header.entries, "scope": dict(item.split(" ", 1) for item in _scope(header)),
        "policy": policy is not None, "reader": header.reader, "proves": proves, "does_not_prove": lacks,
    }  # fmt: skip
    return made, ReportSource((moment, f"proven: {'; '.join(proves)}", f"not proven: {'; '.join(lacks)}"), stated)


def _scope(header: Header) -> list[str]:
    scope = header.scope
    times = {
        name: None if at is None else timestamp_text(at)
        for name, at in (("starts_at", scope.starts_at), ("ends_at", scope.ends_at))
    }
    named = {
        "announcement": scope.announcement, "incident": scope.incident, "notice": scope.notice,
        "customer": scope.customer,
    } | times  # fmt: skip
    return [f"{name} {value}" for name, value in named.items() if value is not None]


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(Fault("as_of", f"{text} is not a time in ISO 8601")) from None
    if moment.tzinfo is None:
        raise InvalidInputError(Fault("as_of", f"{text} is a time without an offset"))
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidInputError(Fault("as_of", f"{text} is outside the years 1 to 9999 in UTC")) from None


def _verified(note: bytes, keys: list[VerifierKey], policy: Policy | None) -> Checkpoint:
    try:
        checkpoint = verify_checkpoint(note, *keys)
        if policy is not None:
            verify_policy(note, policy)
    except VerificationError as error:
        raise InvalidInputError(Fault(error.step.partition(" ")[0], error.reason)) from None
    return checkpoint


def _accounted(leaves: Iterator[bytes], checkpoint: Checkpoint, as_of: datetime) -> CompletenessReport:
    try:
        return completeness_report(leaves, checkpoint.size, checkpoint.root, as_of)
    except VerificationError as error:
        raise InvalidInputError(Fault("log", error.reason)) from None


def _of_files(
    exported: Path, trust: Path, as_of: datetime, policy: Policy | None
) -> tuple[CompletenessReport, Checkpoint]:
    log = ExportedLog(exported)
    checkpoint = _verified(log.note, read_verifier_keys(trust), policy)

    def leaves() -> Iterator[bytes]:
        number = 0
        while width := width_in(checkpoint.size, None, number):
            yield from parse_entry_bundle(log.tile(Tile(None, number, width)))
            number += 1

    return _accounted(leaves(), checkpoint, as_of), checkpoint


async def _of_store(
    data: Path, trust: Path | None, as_of: datetime, policy: Policy | None
) -> tuple[CompletenessReport, Checkpoint, Mapping[str, str]]:
    settings = prepared_settings(data)
    keys = read_verifier_keys(trust or settings.trust_dir)

    def work(tx: SqlTransaction) -> tuple[CompletenessReport, Checkpoint, Mapping[str, str]]:
        note = published_checkpoint(tx)
        if note is None:
            raise InvalidInputError(Fault("data", "the log has no entries yet"))
        checkpoint = _verified(note, keys, policy)

        def leaves() -> Iterator[bytes]:
            for start in range(0, checkpoint.size, _AT_ONCE):
                for entry in tx.audit.entries(start, min(_AT_ONCE, checkpoint.size - start)):
                    yield entry.leaf

        names = {tx.customers.pseudonym(item.id): item.name for item in tx.customers.all()}
        return _accounted(leaves(), checkpoint, as_of), checkpoint, names

    store = open_store(settings.store_location(), migrate=False, readers=1)
    try:
        return await store.read(work)
    finally:
        await store.close()
