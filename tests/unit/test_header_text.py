"""Header text has one reading or none; a sender's name holds no address but its own."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.mail.header_text import names_another_address, parse_mailbox, parse_text
from notifications.mail.mail import Envelope, header_lines

ENVELOPE = Envelope(
    sender="soc@provider.example",
    sender_name="Sovereign Cloud",
    recipient="rssi@valmont.example",
    recipient_name="",
    date=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
    message_id="<a.1@provider.example>",
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ("  a \t b ", "a b"),
        ("=?utf-8?q?St=C3=B6rung?=", "Störung"),
        ("=?utf-8?q?a_?= =?UTF-8?Q?b?= c", "a b c"),
        ("a =?utf-8?b?Yg==?= c", "a b c"),
        ("=?us-ascii?b?YQ==?= =?us-ascii?b?YQ==?=", "aa"),
        ("=?us-ascii?q?=C3=B6?=", None),
        ("=?utf-8?q??=", None),
        ("=?utf-8?q?=0A?=", None),
        ("=?utf-8?q?=41?=", None),
        ("=?utf-8?q?=c3=b6?=", None),
        ("=?utf-8?b?YR==?=", None),
        ("=?utf-8?b?YQ?=", None),
        ("=?utf-8?q?a?=b", None),
        ("a=?utf-8?q?b?=", None),
        ("=?latin1?q?a?=", None),
        (f"=?utf-8?q?{'a' * 63}?=", "a" * 63),
        (f"=?utf-8?q?{'a' * 64}?=", None),
        ("ö", None),
    ],
)
def test_text_has_one_reading_or_none(value, text):
    assert parse_text(value) == text


@pytest.mark.parametrize(
    ("value", "mailbox"),
    [
        ("a@b.example", ("", "a@b.example")),
        ("<a@b.example>", ("", "a@b.example")),
        ("A  B <a@b.example>", ("A B", "a@b.example")),
        ('"A, \\"B\\""\t<a@b.example>', ('A, "B"', "a@b.example")),
        ("=?utf-8?q?=C3=A9?= <é@b.example>", ("é", "é@b.example")),
        ('"é" <a@b.example>', None),
        ('"\\a" <a@b.example>', None),
        ('"=?utf-8?q?a?=" <a@b.example>', None),
        ("A, B <a@b.example>", None),
        ("A <a@b.example> <c@d.example>", None),
        ("a@b.example, c@d.example", None),
        ("", None),
    ],
)
def test_a_mailbox_has_one_form(value, mailbox):
    assert parse_mailbox(value) == mailbox


@pytest.mark.parametrize(
    ("display", "holds"),
    [
        ("x@evil.example", True),
        ("SOC <x@evil.example>", True),
        ("SOC(x＠evil.example)", True),
        ("x@evil。example", True),
        ("SOC soc@provider.example and x@evil.example", True),
        ("soc@provider.example", False),
        ("SOC (SOC@Provider.example)", False),
        ("R@D", False),
        ("@team", False),
        ("Sovereign Cloud", False),
    ],
)
def test_a_name_that_holds_an_address_is_left_out_of_from(display, holds):
    assert names_another_address(display, "soc@provider.example") is holds
    (_, sender), *_ = header_lines(replace(ENVELOPE, sender_name=display), "INC-1")
    assert (sender == "soc@provider.example") is holds


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200))
def test_what_we_write_has_one_reading(text):
    lines = dict(header_lines(replace(ENVELOPE, recipient_name=text), text))
    unfolded = {name: value.replace("\r\n", "") for name, value in lines.items()}
    wanted = re.sub(" +", " ", text).strip(" ")
    assert parse_text(unfolded["Subject"]) == wanted
    name, address = parse_mailbox(unfolded["To"])
    assert (re.sub(" +", " ", name).strip(" "), address) == (wanted, "rssi@valmont.example")
