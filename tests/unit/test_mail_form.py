"""How a notice goes to a contact by mail: every combination, and what a summary says and does not say."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from notice_samples import PROVIDER

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from records import make_contact, make_customer, make_sealed
from smime_reader import SmimeReader

from notifications.customer import MailContent, recipients
from notifications.enveloped import certificate_fault, parse_certificate
from notifications.errors import InvalidInputError
from notifications.mail_form import FormReason, MailForm, days_to_expiry, mail_form, neutral_subject, summary_of

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
ADDRESS = "rssi@valmont.example"
CUSTOMER = make_customer()
READER = SmimeReader(ADDRESS, NOW)
DOCUMENT = {
    "ticket": "INC-2026-000042", "sequence": 3, "kind": "update", "tlp": "TLP:AMBER+STRICT",
    "title": {"fr": "Rançongiciel", "en": "Ransomware"}, "customer": {"name": "Hôpital Valmont"},
}  # fmt: skip


def contact(**changes):
    return make_contact(CUSTOMER, **({"email": ADDRESS} | changes))


class TestForm:
    @pytest.mark.parametrize(
        ("content", "certificate", "verified"), list(product(MailContent, ("none", "good", "bad"), (True, False)))
    )
    def test_every_combination(self, content, certificate, verified):
        der = {"none": None, "good": READER.der, "bad": SmimeReader(ADDRESS, NOW, days=-0.5).der}[certificate]
        found = mail_form(
            contact(mail_content=content, smime_certificate=der, verified_at=NOW if verified else None), NOW
        )
        if not verified:
            expected = (MailForm.SUMMARY, FormReason.ADDRESS_UNCONFIRMED)
        elif content is MailContent.SUMMARY:
            expected = (MailForm.SUMMARY, FormReason.CHOSEN)
        elif certificate == "good":
            expected = (MailForm.ENCRYPTED, FormReason.CHOSEN)
        elif content is MailContent.FULL:
            expected = (MailForm.FULL, FormReason.CHOSEN)
        elif certificate == "none":
            expected = (MailForm.SUMMARY, FormReason.NO_CERTIFICATE)
        else:
            expected = (MailForm.SUMMARY, FormReason.CERTIFICATE_UNUSABLE)
        assert (found.form, found.reason) == expected
        assert (found.certificate_fault is not None) == (certificate == "bad")

    def test_nothing_in_clear_ever_goes_to_who_takes_it_encrypted_only(self):
        for certificate, verified in product((None, b"", b"\x30\x00", READER.der), (NOW, None)):
            it = contact(mail_content=MailContent.ENCRYPTED_ONLY, smime_certificate=certificate, verified_at=verified)
            assert mail_form(it, NOW).form is not MailForm.FULL


class TestCertificate:
    @pytest.mark.parametrize(
        ("options", "fault"),
        [
            ({}, None),
            ({"bare": True}, None),
            ({"days": -0.1}, "expired on"),
            ({"starts_days": 1}, "is not valid before"),
            ({"kind": "ec"}, "has no RSA key"),
            ({"bits": 1024}, "has 1024 bits"),
            ({"purpose": ExtendedKeyUsageOID.SERVER_AUTH}, "is not for e-mail protection"),
            ({"enciphers": False}, "is not for encryption"),
            ({"named": "somebody@else.example"}, "names another address"),
            ({"named": ADDRESS.upper()}, None),
        ],
    )
    def test_what_serves_and_what_does_not(self, options, fault):
        found = certificate_fault(SmimeReader(ADDRESS, NOW, **options).der, ADDRESS, NOW)
        assert found is None if fault is None else fault in found

    @pytest.mark.parametrize("der", [b"", b"\x30\x03\x02\x01\x01", READER.der[:-1], READER.pem.encode()])
    def test_what_is_no_certificate_is_a_fault_and_no_crash(self, der):
        assert certificate_fault(der, ADDRESS, NOW) == "is malformed"

    @pytest.mark.parametrize(
        "pem", ["", "x", READER.pem * 2, "-----BEGIN CERTIFICATE-----\n", READER.pem + " " * 20_000]
    )
    def test_what_is_not_one_certificate_in_pem_is_refused(self, pem):
        with pytest.raises(InvalidInputError, match="smime_certificate"):
            parse_certificate(pem)

    def test_pem_is_read_to_the_same_bytes(self):
        assert parse_certificate(READER.pem) == READER.der

    def test_days_until_it_ends(self):
        it = contact(smime_certificate=READER.der)
        assert days_to_expiry(it, NOW) == 365
        assert days_to_expiry(it, NOW + timedelta(days=364, hours=1)) == 0
        assert days_to_expiry(it, NOW + timedelta(days=366)) == -1
        assert days_to_expiry(contact(), NOW) is None


class TestSummary:
    @pytest.mark.parametrize(
        ("language", "reason", "url"),
        list(product(("fr", "en", "de"), FormReason, (None, "https://console.provider.example"))),
    )
    def test_it_names_the_notice_and_no_fact(self, language, reason, url):
        sealed = make_sealed(_Notice, document=json.dumps(DOCUMENT).encode())
        words = summary_of(sealed, language, reason, provider=PROVIDER.name, contact="soc@p.example", console_url=url)
        whole = words.subject + words.text
        for said in ("INC-2026-000042", "TLP:AMBER+STRICT", PROVIDER.name, url or "soc@p.example"):
            assert said in whole
        assert re.search(r"\b[0-9a-f]{64}\b", words.text)
        for unsaid in ("Rançongiciel", "Ransomware", "Valmont", "Hôpital"):
            assert unsaid not in whole
        assert words.subject == neutral_subject(sealed, language)
        assert "%(" not in whole


class _Notice:
    id = CUSTOMER.id


class TestRecipients:
    def test_a_fallback_is_served_only_where_nobody_else_is(self):
        first, second = contact(order=1), contact(order=2)
        fallback, gone = contact(order=3, fallback=True), contact(active=False)
        assert recipients([first, second, fallback, gone]) == [first, second]
        assert recipients([fallback, gone]) == [fallback]
        assert recipients([gone]) == []
        assert recipients([contact(fallback=True, active=False)]) == []
