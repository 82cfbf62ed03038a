"""Customers and contacts as CSV, in the forms that spreadsheets write, and without a formula in any of them."""

import csv
import io
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.customer.records import AgreementBinding, Customer
from service.web.api.customers import customer_schemas
from service.web.api.customers.customer_csv import COLUMNS, format_customers, parse_customers
from service.web.api.spreadsheets import guarded, line_of, unguarded

HEADER = ("name", "language", "time_zone", "four_eyes", "contact_name", "contact_role", "contact_email")
LINE = ("Hôpital Müller", "fr", "Europe/Paris", "VRAI", "RSSI", "security", "rssi@h.example")
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")

AT = datetime(2026, 5, 1, tzinfo=UTC)


def saved(separator=";", encoding="cp1252", *, line=LINE, before="", after="", end="\r\n"):
    """Return a file as a spreadsheet saves it."""
    rows = [separator.join(HEADER), separator.join(line)]
    return (before + end.join(rows) + end + after).encode(encoding)


@pytest.mark.parametrize(
    "content",
    [
        saved(),
        saved(",", "utf-8"),
        saved(",", "utf-8-sig"),
        saved("\t", "utf-16"),
        saved(";", "utf-16"),
        saved(";", "utf-8-sig", before="sep=;\r\n"),
        saved("|", "utf-8", before="sep=|\n"),
        saved(end="\n"),
        saved(after=";;;;;;\r\n;;;;;;\r\n"),
        saved(line=(*LINE, "", "", "")),
        saved().replace(b"contact_email", b"contact_email;;;"),
        saved(before="\r\n"),
    ],
    ids=[
        "semicolons-1252", "rfc4180", "with-mark", "unicode-text", "utf16", "sep-line", "sep-bar", "line-feeds",
        "rows-of-separators", "empty-end-of-a-line", "empty-end-of-the-header", "empty-first-line",
    ],
)  # fmt: skip
def test_what_spreadsheets_save_is_understood(content):
    lines, faults = parse_customers(content)
    assert faults == []
    (line,) = lines
    assert (line.customer.name, line.customer.four_eyes) == ("Hôpital Müller", True)
    assert line.contact.email == "rssi@h.example"


@pytest.mark.parametrize(
    ("word", "value"), [("WAHR", True), ("falsch", False), ("Vrai", True), ("FAUX", False), ("TRUE", True)]
)
def test_true_and_false_are_read_in_three_languages(word, value):
    ((line,), _) = parse_customers(saved(line=(*LINE[:3], word, *LINE[4:])))
    assert line.customer.four_eyes is value


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"\xff\xfeabc", (1, "", "is neither UTF-8 nor UTF-16 nor Windows-1252: save the file as CSV UTF-8")),
        (saved(line=(*LINE[:3], "oui", *LINE[4:])), (2, "four_eyes", "must be true or false")),
        (saved(before="sep=;\r\n", line=LINE[:6]), (3, "", "has 6 cells, the first line has 7")),
        (saved(line=(*LINE, "", "x")), (2, "", "has 9 cells, the first line has 7")),
        (b"nom;langue\r\na;fr\r\n", (1, "name", "is missing")),
        (b",,,\r\n,,,\r\n", (1, "", "the file is empty: its first line names the columns")),
    ],
)
def test_what_is_not_understood_is_refused_by_line_in_words(content, fault):
    _, faults = parse_customers(content)
    assert fault in [(item.line, item.field, item.reason) for item in faults]


cells = st.text(st.sampled_from("ax'\" ;,|\n" + "".join(FORMULAS)), max_size=12)


@given(cells)
def test_a_guarded_cell_is_read_as_it_was(cell):
    assert unguarded(guarded(cell)) == cell


@given(cells, cells)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_no_cell_is_a_formula_however_a_spreadsheet_splits_the_line(separator, first, second):
    line = line_of([first, second])
    for row in csv.reader(io.StringIO(line, newline=""), delimiter=separator):
        for cell in row:
            begins = [part.lstrip(' "\t')[:1] for part in cell.splitlines()]
            assert not {"=", "+", "-", "@"} & set(begins), (line, cell)


def test_a_cell_that_becomes_a_formula_after_a_semicolon_is_guarded_there():
    assert guarded("x;=HYPERLINK(1)") == "x;'=HYPERLINK(1)"
    assert "contact_email" in COLUMNS


def test_products_and_dpa_of_a_customer_are_read_and_written_as_one_list():
    bound = AgreementBinding(UUID(int=1), "secnumcloud_2026", AT, AT, "dpa_2025_10", ("iaas", "paas"))
    one = Customer(UUID(int=1), "A", "fr", "Europe/Paris", (), (), (), created_at=AT)
    written = "".join(format_customers([(one, [bound], [])]))
    lines, faults = parse_customers(written.encode())
    assert faults == []
    (line,) = lines
    assert (line.agreement_id, line.dpa_id, line.products) == ("secnumcloud_2026", "dpa_2025_10", ("iaas", "paas"))
    none_stated = "".join(format_customers([(one, [AgreementBinding(UUID(int=1), "secnumcloud_2026", AT, AT)], [])]))
    (line,) = parse_customers(none_stated.encode())[0]
    assert (line.dpa_id, line.products) == (None, None)


@given(
    st.from_regex(r"[a-zA-Z0-9_+.-]{0,70}", fullmatch=True),
    st.sampled_from(["@", "", "@@"]),
    st.sampled_from(
        ["h.example", "H.Example", "münchen.example", "localhost", "a..b", "-a.example", "[::1]", "x." * 130]
    )
    | st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True),
)
def test_a_domain_that_is_known_changes_no_address_and_no_reason(local_part, at, domain):
    address = local_part + at + domain

    def told(validate):
        try:
            return validate(address)
        except ValueError as error:
            return str(error)

    assert told(customer_schemas.mail_address) == told(customer_schemas.validated_address)


def test_lines_that_state_the_same_customer_are_judged_one_by_one():
    good, bad = ",".join(LINE), ",".join(("Klinik", "xx", *LINE[2:]))
    lines, faults = parse_customers("\n".join([",".join(HEADER), good, bad, good, bad]).encode())
    assert [line.number for line in lines] == [2, 4]
    assert [(fault.line, fault.field) for fault in faults] == [(3, "language"), (5, "language")]
