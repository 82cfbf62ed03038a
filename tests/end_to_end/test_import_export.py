"""Customers in and out as CSV: dry run, report by line, all or nothing, and back again."""

import base64
import csv
import io
import os

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from service.store import open_store
from support import scenario
from support.commands import run
from support.openssl_certificates import X400, general_names, made_by_openssl, rfc822
from support.scenario import ok

HEADER = (
    "name,language,time_zone,services,regions,availability_zones,four_eyes,agreement_id,agreement_effective_at,"
    "contact_name,contact_role,contact_email,contact_language,contact_time_zone,contact_order,contact_fallback,"
    "contact_mail_content,contact_smime_certificate,contact_address_confirmed\r\n"
)


def line(name, email="", **changes):
    """Return one line, with a contact where there is an address."""
    cells = {
        "name": name, "language": "de", "time_zone": "Europe/Berlin", "services": "vm;s3", "four_eyes": "true",
        "agreement_id": "secnumcloud_iaas_3_0", "agreement_effective_at": "2025-02-01T00:00:00Z",
    }  # fmt: skip
    if email:
        cells |= {"contact_name": "N", "contact_email": email, "contact_order": "2", "contact_mail_content": "summary"}
    buffer = io.StringIO()
    csv.DictWriter(buffer, HEADER.strip().split(","), restval="").writerow(cells | changes)
    return buffer.getvalue()


def many(count):
    """Return a file of so many lines, two contacts for each customer."""
    return HEADER + "".join(line(f"K {number // 2}", f"c{number}@k.example") for number in range(count))


async def send(api, text, *, dry_run=False, **headers):
    content = text.encode() if isinstance(text, str) else text
    headers = {"Content-Type": "text/csv; charset=utf-8"} | headers
    return await api.post("/customers/import", content=content, params={"dry_run": dry_run}, headers=headers)


def counts(report):
    kinds = ("created", "changed", "unchanged")
    return [[report[f"{what}_{kind}"] for kind in kinds] for what in ("customers", "contacts")]


def greffier(*arguments):
    return run(*arguments, text=False)


async def log_length(store):
    return await store.read(lambda tx: (tx.log.size(), len(tx.audit.pending(100_000))))


async def test_a_file_is_tried_imported_and_changes_nothing_the_second_time(api):
    file = HEADER + line("Klinik", "a@k.example") + line("Klinik", "b@k.example") + line("Amt")
    tried = await ok(send(api, file, dry_run=True))
    assert counts(tried) == [[2, 0, 0], [2, 0, 0]]
    assert [item["line"] for item in tried["lines"]] == [2, 3, 4]
    assert (await ok(api.get("/customers")))["items"] == []
    imported = await ok(send(api, file))
    assert counts(imported) == counts(tried)
    klinik, amt = (await ok(api.get("/customers")))["items"]
    assert (klinik["services"], klinik["four_eyes"], amt["language"]) == (["vm", "s3"], True, "de")
    contacts = (await ok(api.get(f"/customers/{klinik['id']}/contacts")))["items"]
    assert [(item["email"], item["mail_content"]) for item in contacts] == [
        ("a@k.example", "summary"), ("b@k.example", "summary"),
    ]  # fmt: skip
    assert counts(await ok(send(api, file))) == [[0, 0, 2], [0, 0, 2]]
    assert (await ok(api.get(f"/customers/{klinik['id']}")))["version"] == 1


async def test_the_lines_of_a_long_file_come_in_pages_of_its_dry_run(api):
    """Of an import only the first ones: the same file again would do something else."""
    file = HEADER + "".join(line(f"Klinik {number}", f"c{number}@k.example") for number in range(450))

    async def tried(content, **params):
        params = {"dry_run": True} | params
        headers = {"Content-Type": "text/csv"}
        return await api.post("/customers/import", content=content.encode(), params=params, headers=headers)

    pages, cursor = [], {}
    while not pages or pages[-1]["next_cursor"]:
        pages.append(await ok(tried(file, **cursor)))
        cursor = {"cursor": pages[-1]["next_cursor"]}
    assert [len(page["lines"]) for page in pages] == [200, 200, 50]
    assert [item["line"] for page in pages for item in page["lines"]] == list(range(2, 452))
    assert {(page["lines_total"], page["customers_created"]) for page in pages} == {(450, 450)}
    cursor = {"cursor": pages[0]["next_cursor"]}
    for refused in (tried(file + line("Another"), **cursor), tried(file, dry_run=False, **cursor)):
        answer = await refused
        assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, ["cursor"])
    imported = await ok(send(api, file))
    assert (len(imported["lines"]), imported["lines_total"], imported["next_cursor"]) == (200, 450, None)
    assert imported["customers_created"] == 450


async def test_what_differs_is_changed_and_what_is_not_stated_stays(api):
    await ok(send(api, HEADER + line("Klinik", "a@k.example")))
    changed = await ok(send(api, "name,contact_email,contact_name,contact_order\r\nKlinik,a@k.example,New,7\r\n"))
    assert counts(changed) == [[0, 0, 1], [0, 1, 0]]
    (klinik,) = (await ok(api.get("/customers")))["items"]
    (contact,) = (await ok(api.get(f"/customers/{klinik['id']}/contacts")))["items"]
    assert (contact["name"], contact["order"], contact["mail_content"]) == ("New", 7, "summary")
    assert klinik["time_zone"] == "Europe/Berlin"


FAULTS = [
    (line("K", "no address"), 2, "contact_email"),
    (line("K", "a@k.example", contact_role="boss"), 2, "contact_role"),
    (line("K", "a@k.example", contact_order="0"), 2, "contact_order"),
    (line("K", "a@k.example", contact_fallback="maybe"), 2, "contact_fallback"),
    (line("K", "a@k.example", contact_smime_certificate="!"), 2, "contact_smime_certificate"),
    (line("K", "a@k.example", contact_smime_certificate="AAAA"), 2, "contact_smime_certificate"),
    (line("K", time_zone="Mars/North"), 2, "time_zone"),
    (line("K", agreement_effective_at="2025-02-01"), 2, "agreement_effective_at"),
    (line("K", agreement_id="other"), 2, "agreement_id"),
    (line("K", agreement_id="", agreement_effective_at=""), 2, "agreement_id"),
    (line("K", contact_name="No address"), 2, "contact_email"),
    (line("K", "a@k.example") + line("K", "a@k.example"), 3, "contact_email"),
    (line("K", "a@k.example") + line("K", "b@k.example", language="fr"), 3, "name"),
    ("K,de\r\n", 2, ""),
    ('"K\r\n', 2, ""),
]


@pytest.mark.parametrize(("lines", "number", "column"), FAULTS)
async def test_a_fault_is_told_by_line_and_column_and_nothing_is_imported(api, lines, number, column):
    file = HEADER + lines + line("Whole", "w@w.example")
    tried = await ok(send(api, file, dry_run=True))
    assert (number, column) in {(item["line"], item["field"]) for item in tried["faults"]}
    refused = await send(api, file)
    assert refused.status_code == 422
    assert f"line {number}" in {item["field"].split(".")[0] for item in refused.json()["errors"]}
    assert (await ok(api.get("/customers")))["items"] == []


async def test_a_certificate_that_cannot_be_judged_is_told_by_its_line(api, tmp_path):
    """Beside other lines, which keep their own faults."""
    wanted = {
        "a@k.example": ({"names": general_names(rfc822("a@k.example"), X400)}, "X.400"),
        "b@k.example": ({"key": ("EC", "ec_paramgen_curve:secp160k1")}, "no RSA key"),
        "c@k.example": ({"key": ("RSA-PSS", "rsa_keygen_bits:2048")}, "RSASSA-PSS"),
        "d@k.example": ({"email": "eve@else.example"}, "another address (emailAddress of the subject)"),
        "e@k.example": ({"email": "E@k.example"}, None),
    }
    lines = [
        line("K", address, contact_smime_certificate=base64.b64encode(made_der(tmp_path, options)).decode())
        for address, (options, _) in wanted.items()
    ]
    file = HEADER + "".join(lines)
    tried = await ok(send(api, file, dry_run=True))
    refused = await send(api, file)
    assert refused.status_code == 422
    faults = [(item["line"], item["field"], item["reason"]) for item in tried["faults"]]
    assert [(f"line {number}.{field}", reason) for number, field, reason in faults] == [
        (item["field"], item["reason"]) for item in refused.json()["errors"]
    ]
    for (number, field, told), (expected, reason) in zip(
        faults, enumerate((item[1] for item in wanted.values() if item[1]), 2), strict=True
    ):
        assert (number, field) == (expected, "contact_smime_certificate")
        assert reason in told
    assert counts(await ok(send(api, HEADER + lines[-1]))) == [[1, 0, 0], [1, 0, 0]]


def made_der(folder, options):
    return load_pem_x509_certificate(made_by_openssl(folder, **options).encode()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("content", [b"", b"name;colour\r\n", b"name,name\r\n", b"colour\r\n", b"name\r\nK\xff\r\n"])
async def test_what_is_no_such_file_is_refused(api, content):
    assert (await send(api, content)).status_code == 422


async def test_only_csv_is_taken_and_brackets_in_it_are_no_json(api):
    answer = await send(api, HEADER, **{"Content-Type": "application/json"})
    assert answer.status_code in {400, 415}
    await ok(send(api, HEADER + line("[" * 60)))


async def test_all_faults_are_told_not_the_first(api):
    file = HEADER + "".join(line(f"K{number}", "no address", language="xx") for number in range(20))
    tried = await ok(send(api, file, dry_run=True))
    assert tried["faults_total"] == 40


async def test_a_fault_on_the_last_of_ten_thousand_lines_leaves_nothing(data_folder, tmp_path):
    file = tmp_path / "customers.csv"
    file.write_text(many(9_998) + line("Late", "late@k.example", agreement_id="unknown"), encoding="utf-8")
    refused = greffier("import", file, "--data", data_folder)
    assert refused.returncode == 2
    assert b"line 10000: agreement_id: no such agreement" in refused.stderr
    store = open_store(data_folder / "greffier.sqlite3")
    try:
        assert await store.read(lambda tx: len(tx.customers.all())) == 0
        assert await log_length(store) == (0, 0)
    finally:
        await store.close()


async def test_export_imports_into_an_empty_installation_to_the_same(data_folder, tmp_path):
    file, out, again = (tmp_path / name for name in ("in.csv", "out.csv", "again.csv"))
    guarded = line("'=cmd", "a@k.example", contact_name="'+49 30 1") + line("'quoted", "b@k.example")
    file.write_text(many(20) + guarded, encoding="utf-8")
    assert greffier("import", file, "--data", data_folder).returncode == 0
    assert greffier("export", "--data", data_folder, "--out", out).returncode == 0
    assert out.stat().st_mode & 0o077 == 0
    rows = list(csv.DictReader(io.StringIO(out.read_bytes().decode(), newline="")))
    assert all(not cell.startswith(tuple("=+-@\t")) for row in rows for cell in row.values())
    assert {"'=cmd", "'quoted"} <= {row["name"] for row in rows}
    other = tmp_path / "other"
    assert greffier("init", "--data", other).returncode == 0
    assert greffier("import", out, "--data", other).returncode == 0
    assert greffier("export", "--data", other, "--out", again).returncode == 0
    assert again.read_bytes() == out.read_bytes()
    store = open_store(other / "greffier.sqlite3")
    try:
        customers = await store.read(lambda tx: tx.customers.all())
        assert {"=cmd", "'quoted"} <= {customer.name for customer in customers}
        leaves = await store.read(lambda tx: tx.audit.pending(1000))
        assert f'"actor":"operator:{os.getuid()}"'.encode() in leaves[-1].leaf
        assert all(b"@" not in leaf.leaf for leaf in leaves)
    finally:
        await store.close()


async def test_a_file_is_imported_beside_the_running_service(api, running, tmp_path):
    file = tmp_path / "in.csv"
    file.write_text(HEADER + line("Klinik", "a@k.example"), encoding="utf-8")
    assert greffier("import", file, "--data", running.data, "--dry-run").returncode == 0
    assert (await ok(api.get("/customers")))["items"] == []
    assert greffier("import", file, "--data", running.data).returncode == 0
    (klinik,) = (await ok(api.get("/customers")))["items"]
    assert klinik["name"] == "Klinik"
    exported = await api.get("/customers/export")
    assert exported.headers["content-type"].startswith("text/csv")
    assert exported.content == greffier("export", "--data", running.data).stdout
    assert counts(await ok(send(api, exported.text))) == [[0, 0, 1], [0, 0, 1]]
    await scenario.customer(api, name="Klinik", contacts=())
    assert (await api.get("/customers/export")).status_code == 409
    assert (await send(api, exported.text)).status_code == 422


async def test_time_to_acknowledge_and_telephone_come_in_and_go_out(api):
    header = (
        "name,acknowledge_within_seconds,agreement_id,agreement_effective_at,contact_name,contact_email,contact_phone"
    )
    bound = "secnumcloud_iaas_3_0,2025-02-01T00:00:00Z"
    file = f"{header}\r\nKlinik,14400,{bound},N,a@k.example,+49 30 901820\r\nAmt,,{bound},N,b@k.example,\r\n"
    await ok(send(api, file))
    klinik, amt = (await ok(api.get("/customers")))["items"]
    assert (klinik["acknowledge_within_seconds"], amt["acknowledge_within_seconds"]) == (14_400, None)
    (contact,) = (await ok(api.get(f"/customers/{klinik['id']}/contacts")))["items"]
    assert contact["phone"] == "+49 30 901820"
    exported = (await api.get("/customers/export")).text
    # A number that a spreadsheet would take for a formula is guarded, and comes back as it was.
    assert "'+49 30 901820" in exported
    assert counts(await ok(send(api, exported))) == [[0, 0, 2], [0, 0, 2]]
    # A file from before there were these columns leaves what is stored.
    older = "".join(f"{line}\r\n" for line in ("name,contact_name,contact_email", "Klinik,Neu,a@k.example"))
    assert counts(await ok(send(api, older))) == [[0, 0, 1], [0, 1, 0]]
    (kept,) = (await ok(api.get(f"/customers/{klinik['id']}/contacts")))["items"]
    assert (kept["name"], kept["phone"]) == ("Neu", "+49 30 901820")
    assert (await ok(api.get(f"/customers/{klinik['id']}")))["acknowledge_within_seconds"] == 14_400


@pytest.mark.parametrize("wrong", [{"acknowledge_within_seconds": "59"}, {"contact_phone": "call me"}])
async def test_a_time_or_number_that_cannot_be_is_told_by_its_column(api, wrong):
    cells = {"name": "K", "contact_name": "N", "contact_email": "a@k.example"} | wrong
    file = f"{','.join(cells)}\r\n{','.join(cells.values())}\r\n"
    tried = await ok(send(api, file, dry_run=True))
    assert set(wrong) <= {item["field"] for item in tried["faults"]}


async def test_they_are_set_and_changed_one_by_one(api):
    klinik = await scenario.customer(api, name="Klinik", acknowledge_within_seconds=3600)
    assert klinik["acknowledge_within_seconds"] == 3600
    path, match = f"/customers/{klinik['id']}", {"If-Match": '"1"'}
    changed = await ok(api.put(path, json={"name": "Klinik", "acknowledge_within_seconds": None}, headers=match))
    assert changed["acknowledge_within_seconds"] is None
    (contact,) = (await ok(api.get(f"{path}/contacts")))["items"]
    assert contact["phone"] is None
    body = {"name": "N", "email": contact["email"], "phone": "(030) 90 18 20-0"}
    named = await ok(api.put(f"{path}/contacts/{contact['id']}", json=body, headers=match))
    assert named["phone"] == "(030) 90 18 20-0"
