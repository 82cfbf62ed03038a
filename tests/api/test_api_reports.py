"""Reports through the API: intervention, month, customer, files, corrections; the same by SQL from an exported log."""

import asyncio
import csv
import hashlib
import io
import json
import sqlite3
import zipfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from xml.etree import ElementTree as ET

import httpx2
from asn1crypto import x509 as asn1_x509
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.validation import KeyUsageConstraints, async_validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from notifications.audit.tiles import parse_entry_bundle, tiles_of
from notifications.canonical_json import canonicalize
from notifications.reporting.period import month_of, parse_period
from service.audit_log.export import ExportedLog, export_log
from service.cli.main import cli
from service.ports.accounts import Role
from service.reports.issuing import ReportIssue
from service.reports.reading import measure
from service.settings.reports import ReportSettings
from support import scenario
from support.announcements import ahead, announce, bound, released
from support.clocks import TurnedClock
from support.commits import until_read
from support.read_pdf import attached, faults_of_pdf_a_3, opened, run, squeezed, words_shown
from support.scenario import affected, ago, harm, ok
from support.world import account, at_customer

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I3", "criticality": "C1"}


def month():
    return month_of(datetime.now(UTC), "Europe/Paris")


async def issue(running, name):
    """Issue what is due when the report of a month is, once everything is in the tree."""
    await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))
    clock = TurnedClock()
    clock.ahead = parse_period(name, "Europe/Paris", timedelta(days=10)).cut_at + timedelta(hours=2) - clock.now()
    identifiers = running.parts.context.identifiers
    task = ReportIssue(running.parts.store, ReportSettings(), clock=clock, identifiers=identifiers)
    await task.look()
    await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))


async def caller(running, *grants):
    _, token = await account(running, "Reader", *grants, email=f"{uuid4().hex}@people.example")
    return httpx2.AsyncClient(
        base_url=f"{running.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60
    )


async def served_incidents(running, api):
    """Declare two incidents, each with one customer that is notified; the first has an intervention."""
    owners = [await scenario.customer(api, name) for name in ("=Alpha()", "Beta")]
    incidents = []
    for owner in owners:
        entry = affected(owner, data_harm=harm(confidentiality="yes"))
        stated = await scenario.declare(
            api, **GRAVE, service_harm=harm(confidentiality="yes"), detected_at=ago(minutes=30),
            affected_customers=[entry],
        )  # fmt: skip
        await scenario.release(api, stated)
        incidents.append(stated)
    await ok(api.post(f"/incidents/{incidents[0]['id']}/interventions", json={}))
    served = [notice["id"] for incident in incidents for notice in await scenario.notices(api, incident)]

    def all_placed(tx):
        return all(
            any(item.state.value == "sent" for item in tx.deliveries.of_notice(UUID(notice))) for notice in served
        )

    await until_read(running.parts.store, all_placed)
    return owners, incidents


async def test_the_first_intervention_is_recorded_once_and_corrected_with_a_reason(running, api):
    incident = await scenario.declare(api, **GRAVE)
    path = f"/incidents/{incident['id']}/interventions"
    headers = {"Idempotency-Key": "one"}
    first = await api.post(path, json={}, headers=headers)
    assert first.status_code == 201
    assert (await api.post(path, json={}, headers=headers)).json() == first.json()
    refused = await api.post(path, json={})
    assert refused.status_code == 409
    assert "recorded already" in refused.json()["detail"]
    for body, field in (
        ({"started_at": ago(minutes=-30), "reason": "R"}, "started_at"),
        ({"started_at": ago(days=3), "reason": "R"}, "started_at"),
    ):
        answer = await api.post(path, json=body)
        assert answer.status_code == 422
        assert [each["field"] for each in answer.json()["errors"]] == [field]
    corrected = await ok(api.post(path, json={"started_at": ago(minutes=5), "reason": "The clock of the desk."}))
    assert corrected["number"] == 2
    items = (await ok(api.get(path)))["items"]
    assert [item["number"] for item in items] == [1, 2]
    assert items[1]["reason"] == "The clock of the desk."
    leaves = await running.parts.store.read(
        lambda tx: [item.leaf for item in (*tx.audit.entries(0, 9999), *tx.audit.pending(9999))]
    )
    kinds = [leaf["type"] for leaf in map(json.loads, leaves) if leaf["type"].startswith("intervention.")]
    assert kinds == ["intervention.recorded", "intervention.corrected"]
    # The reason may name a person: the log only commits to it.
    assert not any(b"desk" in leaf for leaf in leaves)


async def test_a_reason_corrects_nothing_where_nothing_is_recorded(api):
    incident = await scenario.declare(api, **GRAVE)
    answer = await api.post(f"/incidents/{incident['id']}/interventions", json={"reason": "R"})
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["reason"]


async def test_a_month_is_provisional_then_issued_then_corrected_beside_and_each_customer_sees_its_own(
    running, api, tmp_path
):
    owners, incidents = await served_incidents(running, api)
    name = month()
    following = month_of(parse_period(name, "Europe/Paris", timedelta(0)).ends_at, "Europe/Paris")
    provisional = await ok(api.get(f"/reports/monthly/{name}"))
    assert (provisional["state"], provisional["issued_at"]) == ("provisional", None)
    member = await caller(running, at_customer(Role.CUSTOMER_MEMBER, owners[0]["id"]))
    # Before it is issued, no customer gets numbers, whatever there is.
    assert (await member.get(f"/reports/monthly/{name}")).status_code == 404

    await issue(running, name)
    issued = await ok(api.get(f"/reports/monthly/{name}"))
    assert issued["state"] == "issued"
    report = issued["report"]
    (row,) = report["figures"]["service_levels"]
    assert (row["priority"], row["in_time"], row["missing"], row["share_permille"]) == ("P3", 1, 1, 500)
    assert row["target_met"] is False
    assert report["figures"]["from_awareness"]["notices"] == 2
    assert report["figures"]["from_detection"]["not_recorded"] == 0
    assert len(report["customers"]) == 2
    # The digest is in the log, and the file is what was digested.
    content = (await api.get(f"/reports/monthly/{name}.json")).content
    assert hashlib.sha256(content).hexdigest() == issued["sha256"]
    assert content == canonicalize(report)
    entries = (await ok(api.get("/audit/entries", params={"type": "report.issued", "limit": 200})))["items"]
    (entry,) = [each for each in entries if each["id"] == issued["entry_id"]]
    assert entry["leaf"]["detail"]["sha256"] == issued["sha256"]
    assert entry["leaf"]["detail"]["tree_size"] == report["tree_size"]
    assert [each["leaf"]["detail"]["period"] for each in entries].count(name) == 3

    # A customer gets its own incident, under its own report, and nothing of the other.
    mine = await ok(member.get(f"/reports/monthly/{name}"))
    assert [each["ticket"] for each in mine["report"]["incidents"]] == [incidents[0]["ticket"]]
    assert incidents[1]["ticket"] not in json.dumps(mine)
    foreign = await member.get(f"/reports/monthly/{name}", params={"customer_id": owners[1]["id"]})
    assert foreign.status_code == 404
    unknown = await member.get(f"/reports/monthly/{name}", params={"customer_id": str(uuid4())})
    assert unknown.status_code == 404
    assert (await member.get(f"/reports/yearly/{name[:4]}")).status_code == 404
    assert (await member.get(f"/reports/monthly/{name}", params={"current": "true"})).status_code == 404
    of_first = await ok(api.get(f"/reports/monthly/{name}", params={"customer_id": owners[0]["id"]}))
    assert of_first["sha256"] == mine["sha256"]
    # An auditor gets what is within the period of its grant, and no more.
    starts = datetime.fromisoformat(report["starts_at"])
    ends = datetime.fromisoformat(report["ends_at"])
    for since, to, status in (
        (starts, ends, 200), (starts + timedelta(seconds=1), ends, 404), (starts, ends - timedelta(seconds=1), 404),
    ):  # fmt: skip
        auditor = await caller(running, (Role.AUDITOR, None, since, to))
        assert (await auditor.get(f"/reports/monthly/{name}")).status_code == status
        await auditor.aclose()
    stranger = await scenario.customer(api, "Gamma")
    empty = await ok(api.get(f"/reports/monthly/{name}", params={"customer_id": stranger["id"]}))
    assert empty["state"] == "issued_empty"
    assert empty["report"]["incidents"] == []

    # CSV and XLSX: no cell is a formula, and the numbers are those of the report.
    rows = list(
        csv.DictReader(io.StringIO((await api.get(f"/reports/monthly/{name}.csv")).content.decode("utf-8-sig")))
    )
    (missing,) = [
        row for row in rows
        if (row["table"], row["customer"], row["measure"]) == ("service_levels", "", "missing")
    ]  # fmt: skip
    assert missing["value"] == "1"
    assert {row["name"] for row in rows} == {"", "'=Alpha()", "Beta"}
    answer = await api.get(f"/reports/monthly/{name}.xlsx", params={"language": "fr"})
    assert answer.content == (await api.get(f"/reports/monthly/{name}.xlsx", params={"language": "fr"})).content
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        sheets = [book.read(item) for item in book.namelist() if item.startswith("xl/worksheets/")]
        assert not any(b"<f>" in sheet for sheet in sheets)
        texts = "".join(ET.fromstring(book.read("xl/sharedStrings.xml")).itertext())
    assert "=Alpha()" in texts
    assert "objectif manqué" in texts

    # The PDF is the same bytes each time, tagged and PDF/A-3.
    paper = (await api.get(f"/reports/monthly/{name}.pdf", params={"language": "de"})).content
    assert paper == (await api.get(f"/reports/monthly/{name}.pdf", params={"language": "de"})).content
    assert faults_of_pdf_a_3(paper) == []
    with opened(paper) as pdf:
        assert pdf.Root.Lang == "de"
    assert attached(paper) == {"report.json": content}
    await it_is_signed_and_dated(running, paper, tmp_path)
    # Numbers that are not issued are nobody's statement.
    present = (await api.get(f"/reports/monthly/{name}.pdf", params={"current": "true"})).content
    assert not PdfFileReader(io.BytesIO(present)).embedded_signatures
    own = (await member.get(f"/reports/monthly/{name}.pdf", params={"language": "fr"})).content
    await it_is_signed_and_dated(running, own, tmp_path)
    assert attached(own)["report.json"] == (await member.get(f"/reports/monthly/{name}.json")).content
    assert squeezed("=Alpha()") in words_shown(tmp_path, own)
    # Of three first readers at once, one makes it.
    asked = (ok_bytes(api, f"/reports/monthly/{name}.pdf", customer_id=stranger["id"]) for _ in range(3))
    nothing, *same = await asyncio.gather(*asked)
    assert same == [nothing, nothing]
    await it_is_signed_and_dated(running, nothing, tmp_path)
    await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))
    entries = (await ok(api.get("/audit/entries", params={"type": "report.pdf_made", "limit": 200})))["items"]
    made = [each["leaf"] for each in entries]
    assert [leaf["detail"]["pdf_sha256"] for leaf in made] == [
        hashlib.sha256(each).hexdigest() for each in (paper, own, nothing)
    ]
    assert [(leaf["detail"]["period"], leaf["detail"]["number"], leaf["detail"]["language"]) for leaf in made] == [
        (name, 1, "de"), (name, 1, "fr"), (name, 0, "fr"),
    ]  # fmt: skip
    assert [list(leaf["subjects"]) for leaf in made] == [[], ["customer"], ["customer"]]

    # What is found later changes nothing of it: the present numbers say it, and the next report issues it.
    await ok(api.post(f"/incidents/{incidents[1]['id']}/interventions", json={}))
    await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))
    again = await ok(api.get(f"/reports/monthly/{name}"))
    assert (again["sha256"], again["corrections"]) == (issued["sha256"], [])
    now = await ok(api.get(f"/reports/monthly/{name}", params={"current": "true"}))
    assert {(each["measure"], each["after"]) for each in now["unissued_changes"]} >= {("in_time", 2), ("missing", 0)}
    await issue(running, following)
    corrected = await ok(api.get(f"/reports/monthly/{name}"))
    assert corrected["sha256"] == issued["sha256"]
    (correction,) = corrected["corrections"]
    assert correction["number"] == 2
    changes = {(each["table"], each["customer"], each["measure"]): each["after"] for each in correction["changes"]}
    assert changes["service_levels", None, "in_time"] == 2
    # So does the PDF, and the one before keeps its address and its bytes.
    beside = await ok_bytes(api, f"/reports/monthly/{name}.pdf", language="de")
    assert set(attached(beside)) == {"report.json", "correction-1.json"}
    assert attached(beside)["report.json"] == content
    assert beside == await ok_bytes(api, f"/reports/monthly/{name}.pdf", language="de", number=2)
    assert paper == await ok_bytes(api, f"/reports/monthly/{name}.pdf", language="de", number=1)
    for number, status in ((3, 404), (0, 404), (-1, 422)):
        answer = await api.get(f"/reports/monthly/{name}.pdf", params={"number": number})
        assert answer.status_code == status
    # Only the customer that it is about has a correction.
    assert (await ok(member.get(f"/reports/monthly/{name}")))["corrections"] == []
    await member.aclose()
    # Looking again issues nothing twice.
    before = await all_issued(api)
    await issue(running, following)
    assert await all_issued(api) == before

    await the_export_says_the_same(running, report, tmp_path)


async def all_issued(api):
    entries = (await ok(api.get("/audit/entries", params={"type": "report.issued", "limit": 200})))["items"]
    return [each["id"] for each in entries]


async def ok_bytes(client, path, **params):
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.content


async def it_is_signed_and_dated(running, content, folder):
    """Let pyHanko and poppler judge: PAdES B-T by the provider over the whole file, without a place for changes."""
    (signature,) = PdfFileReader(io.BytesIO(content)).embedded_signatures
    status = await async_validate_pdf_signature(
        signature,
        signer_validation_context=ValidationContext(trust_roots=roots(running, "ca.pem"), allow_fetching=False),
        ts_validation_context=ValidationContext(trust_roots=roots(running, "tsa.pem"), allow_fetching=False),
        key_usage_settings=KeyUsageConstraints(key_usage={"digital_signature"}),
    )
    assert status.bottom_line, status.pretty_print_details()
    assert status.coverage is SignatureCoverageLevel.ENTIRE_FILE
    assert status.timestamp_validity.valid
    assert status.timestamp_validity.trusted
    assert signature.docmdp_level is MDPPerm.NO_CHANGES
    for changed, exit_code, verdict in (
        (content, 0, "\nGENUINE: signed by the provider"),
        (content.replace(b"/Title", b"/Titel", 1), 1, "\nNOT GENUINE: step "),
        (content + b"%", 1, "\nNOT GENUINE: step 1, structure"),
    ):
        (folder / "report.pdf").write_bytes(changed)
        command = ["verify", str(folder / "report.pdf"), "--trust", str(running.trust_dir)]
        answer = await asyncio.to_thread(CliRunner().invoke, cli, command)
        assert answer.exit_code == exit_code, answer.output
        assert verdict in answer.output
        assert (hashlib.sha256(attached(content)["report.json"]).hexdigest() in answer.output) == (exit_code == 0)
    code, said = await asyncio.to_thread(run, folder, content, "pdfsig", "-nocert", output=None)
    assert code == 0
    assert "Signature is Valid." in said
    assert "Total document signed" in said
    assert "ETSI.CAdES.detached" in said


def roots(running, name):
    certificates = x509.load_pem_x509_certificates((running.trust_dir / name).read_bytes())
    return [asn1_x509.Certificate.load(each.public_bytes(Encoding.DER)) for each in certificates]


async def test_the_report_of_a_customer_of_paas_only_says_nothing_of_a_priority(running, api, tmp_path):
    bound = {"agreement_id": "secnumcloud_2026", "effective_at": "2026-05-01T00:00:00Z"}
    paas, infra = [
        await scenario.customer(api, name, agreement=bound | {"products": [name]}) for name in ("paas", "iaas")
    ]
    rows = [affected(each, data_harm=harm(confidentiality="yes")) for each in (paas, infra)]
    incident = await scenario.declare(api, **GRAVE, affected_customers=rows)
    await scenario.release(api, incident)
    name = month()
    await issue(running, name)
    for of, words in ((paas, False), (infra, True)):
        asked = {"customer_id": of["id"], "language": "en"}
        paper = words_shown(tmp_path, await ok_bytes(api, f"/reports/monthly/{name}.pdf", **asked))
        content = await ok_bytes(api, f"/reports/monthly/{name}.xlsx", **asked)
        with zipfile.ZipFile(io.BytesIO(content)) as book:
            texts = "".join(ET.fromstring(book.read("xl/sharedStrings.xml")).itertext())
        for said in (paper, texts):
            assert ("riority" in said, "GTI" in said) == (words, words)
            assert incident["ticket"] in said


async def test_a_customer_that_needed_no_notice_after_all_gets_a_correction(running, api, tmp_path):
    owner = await scenario.customer(api)
    entry = affected(owner, data_harm=harm(confidentiality="yes"))
    incident = await scenario.declare(api, **GRAVE, affected_customers=[entry])
    name = month()
    following = month_of(parse_period(name, "Europe/Paris", timedelta(0)).ends_at, "Europe/Paris")
    await issue(running, name)
    path, of = f"/reports/monthly/{name}", {"customer_id": owner["id"]}
    first = await ok(api.get(path, params=of))
    assert [each["outcome"] for each in first["report"]["incidents"]] == ["missing"]
    await scenario.change(api, incident, affected_customers=[])
    await issue(running, following)
    (correction,) = (await ok(api.get(path, params=of)))["corrections"]
    changes = {(each["table"], each["measure"]): (each["before"], each["after"]) for each in correction["changes"]}
    assert changes["incidents", "outcome"] == ("missing", None)
    # The log gives the same correction again.
    await export_log(running.parts.store.read, tmp_path / "log", (running.trust_dir / "log.vkey").read_text())
    command = ["report", name, "--log", str(tmp_path / "log"), "--trust", str(running.trust_dir)]
    answer = await asyncio.to_thread(CliRunner().invoke, cli, command)
    assert answer.exit_code == 0, answer.output


async def the_command_says_the_same(running, report, folder, documents):
    """Export the log and let the command compute every document of the period again; returns the log."""
    keys = (running.trust_dir / "log.vkey").read_text()
    await export_log(running.parts.store.read, folder / "log", keys)
    log = ExportedLog(folder / "log")
    command = ["report", report["period"], "--log", str(folder / "log"), "--out", str(folder / "report.json")]
    trusted = [*command, "--trust", str(running.trust_dir)]
    answer = await asyncio.to_thread(CliRunner().invoke, cli, trusted)
    assert answer.exit_code == 0, answer.output
    assert answer.output.count("is the same as entry") == documents
    assert (folder / "report.json").read_bytes() == canonicalize(report)
    return log


async def the_export_says_the_same(running, report, folder):
    """Export the log, load its entries into a database, and calculate the same numbers by SQL."""
    log = await the_command_says_the_same(running, report, folder, documents=5)
    leaves = [leaf for tile in tiles_of(log.checkpoint.size, None) for leaf in parse_entry_bundle(log.tile(tile))]
    with closing(sqlite3.connect(":memory:")) as base:
        base.execute("CREATE TABLE entry (place INTEGER PRIMARY KEY, leaf TEXT)")
        base.executemany("INSERT INTO entry VALUES (?, ?)", enumerate(leaf.decode() for leaf in leaves))
        (found,) = base.execute(
            """
            WITH opened AS (
              SELECT leaf ->> '$.subjects.incident' AS incident, julianday(leaf ->> 'at') AS at,
                leaf ->> '$.detail.service_levels[0]' AS level
              FROM entry WHERE leaf ->> 'type' = 'incident.declared' AND place < :size
              AND leaf ->> 'at' >= :starts AND leaf ->> 'at' < :ends
            ), intervened AS (
              SELECT leaf ->> '$.subjects.incident' AS incident, julianday(leaf ->> '$.detail.started_at') AS at
              FROM entry WHERE leaf ->> 'type' = 'intervention.recorded' AND place < :size
            )
            SELECT count(*), count(i.at), sum((i.at - o.at) * 86400 <= 14400) FROM opened o
            LEFT JOIN intervened i USING (incident) WHERE o.level LIKE '%:P3:14400:90'
            """,
            {"size": report["tree_size"], "starts": report["starts_at"], "ends": report["ends_at"]},
        )
        (row,) = report["figures"]["service_levels"]
        assert found == (row["opened"], row["in_time"] + row["late"], row["in_time"])
        taken = base.execute(
            """
            SELECT max(0, CAST((julianday(min(d.leaf ->> 'at')) - julianday(
                (SELECT f.leaf ->> '$.detail.aware_at' FROM entry f WHERE f.leaf ->> 'type' LIKE 'incident.%'
                 AND f.leaf ->> '$.subjects.incident' = d.leaf ->> '$.subjects.incident'
                 AND f.leaf ->> '$.detail.aware_at' IS NOT NULL AND f.place < :size ORDER BY f.place DESC LIMIT 1)
              )) * 86400 + 0.0005 AS INTEGER))
            FROM entry d WHERE d.leaf ->> 'type' = 'delivery.attempted' AND d.place < :size
            AND d.leaf ->> '$.detail.event' IN ('ContentConsignment', 'RelayToNonERDS')
            GROUP BY d.leaf ->> '$.subjects.incident', d.leaf ->> '$.subjects.customer'
            """,
            {"size": report["tree_size"]},
        ).fetchall()
        times = sorted(seconds for (seconds,) in taken)
        spread = report["figures"]["from_awareness"]
        assert (spread["notices"], spread["minimum_seconds"], spread["maximum_seconds"]) == (
            len(times), times[0], times[-1],
        )  # fmt: skip


REFUSED = {
    "monthly/2026-13": 422, "monthly/2026": 422, "monthly/x.csv": 422, "monthly/2026-11-01.pdf": 422,
    "yearly/2026-11": 422, "yearly/1066": 422, "monthly/2099-01": 404, "yearly/2099": 404, "monthly/2024-01": 200,
}  # fmt: skip


async def test_what_is_no_period_is_refused_and_a_month_to_come_is_not_there(api):
    for path, status in REFUSED.items():
        answer = await api.get(f"/reports/{path}")
        assert answer.status_code == status, path
        assert bool(answer.json().get("errors")) == (status == 422), path


async def test_announcements_are_in_the_report_of_all_and_of_each_customer_in_every_format(running, api, tmp_path):
    first, second = [await bound(api, name, f"soc@{name.lower()}.example") for name in ("Alpha", "Beta")]
    # Its lead is 30 days, a limit: one in time, one too late, and one that nobody releases.
    kept, late, _ = [await announce(api, "subcontractor_change", occurs_at=ahead(days=days)) for days in (40, 5, 6)]
    told = [notice["id"] for made in (kept, late) for notice in await released(api, made)]

    def all_placed(tx):
        return all(
            any(item.channel.value == "console" and item.state.value == "sent" for item in deliveries)
            for deliveries in (tx.deliveries.of_notice(UUID(notice)) for notice in told)
        )

    await until_read(running.parts.store, all_placed)
    name = month()
    await issue(running, name)
    issued = await ok(api.get(f"/reports/monthly/{name}"))
    assert issued["report"]["schema"] == "greffier.monthly_report/2"
    (row,) = issued["report"]["figures"]["announcements"]
    assert row == {
        "kind": "subcontractor_change", "due": 6, "in_time": 2, "after_aim": 0, "late": 2, "missing": 2,
        "share_permille": 333,
    }  # fmt: skip
    # Incidents go on to be counted alone.
    assert [each["due"] for each in issued["report"]["figures"]["timeliness"]] == [0, 0, 0]
    member = await caller(running, at_customer(Role.CUSTOMER_MEMBER, first["id"]))
    mine = await ok(member.get(f"/reports/monthly/{name}"))
    (own,) = mine["report"]["figures"]["announcements"]
    assert own == row | {"due": 3, "in_time": 1, "late": 1, "missing": 1}
    assert (await member.get(f"/reports/monthly/{name}", params={"customer_id": second["id"]})).status_code == 404
    sheet = (await ok_bytes(member, f"/reports/monthly/{name}.csv")).decode("utf-8-sig")
    rows = {
        (each["row"], each["measure"]): each["value"]
        for each in csv.DictReader(io.StringIO(sheet))
        if each["table"] == "announcements"
    }
    assert rows["subcontractor_change", "late"] == "1"
    book = await ok_bytes(api, f"/reports/monthly/{name}.xlsx", language="fr")
    with zipfile.ZipFile(io.BytesIO(book)) as sheets:
        texts = "".join(ET.fromstring(sheets.read("xl/sharedStrings.xml")).itertext())
    assert "Annonces à temps" in texts
    assert "Annonces dues" in texts
    paper = await ok_bytes(api, f"/reports/monthly/{name}.pdf", language="de")
    assert faults_of_pdf_a_3(paper) == []
    assert squeezed("Rechtzeitige Ankündigungen") in words_shown(tmp_path, paper)
    await member.aclose()
    await the_command_says_the_same(running, issued["report"], tmp_path, documents=3)


async def test_a_report_of_an_earlier_release_is_shown_and_corrected_as_it_was(running, api, tmp_path):
    _, incidents = await served_incidents(running, api)
    await bound(api, "Gamma", "soc@gamma.example")
    await announce(api, "subcontractor_change", occurs_at=ahead(days=5))
    await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))
    name, context = month(), running.parts.context
    period = parse_period(name, "Europe/Paris", timedelta(days=10))
    task = ReportIssue(running.parts.store, ReportSettings(), clock=context.clock, identifiers=context.identifiers)
    size = await running.parts.store.read(lambda tx: tx.log.size())
    earlier = await measure(running.parts.store.read, period, period.cut_at, size, version=1)
    await task._store_documents(earlier, {})
    await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))
    issued = await ok(api.get(f"/reports/monthly/{name}"))
    assert (issued["state"], issued["report"]["schema"]) == ("issued", "greffier.monthly_report/1")
    assert "announcements" not in issued["report"]["figures"]
    await ok_bytes(api, f"/reports/monthly/{name}.xlsx")
    # What was not counted then is no change of it.
    now = await ok(api.get(f"/reports/monthly/{name}", params={"current": "true"}))
    assert "announcements" not in {each["table"] for each in now["unissued_changes"]}
    await ok(api.post(f"/incidents/{incidents[1]['id']}/interventions", json={}))
    await issue(running, month_of(period.ends_at, "Europe/Paris"))
    corrected = await ok(api.get(f"/reports/monthly/{name}"))
    assert (corrected["sha256"], corrected["report"]) == (issued["sha256"], issued["report"])
    (correction,) = corrected["corrections"]
    assert {each["table"] for each in correction["changes"]} == {"service_levels", "incidents"}
    await the_command_says_the_same(running, issued["report"], tmp_path, documents=5)
