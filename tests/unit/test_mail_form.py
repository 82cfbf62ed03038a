"""How a notice goes to a contact by mail: every combination, and what a summary says and does not say."""

import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from notifications.customer.records import MailContent, recipients
from notifications.errors import InvalidInputError
from notifications.mail.enveloped import certificate_fault, parse_certificate
from notifications.mail.mail_form import (
    FormReason,
    MailForm,
    Reach,
    days_to_expiry,
    mail_form,
    neutral_subject,
    reachability,
    request_to_acknowledge,
    summary_of,
)
from support.notice_samples import PROVIDER, SAMPLES
from support.records import make_contact, make_customer, make_sealed
from support.smime_reader import SmimeReader

#: Words of ours that a fact may hold by chance.
COMMON = re.compile(r"[^\W\d_]{4,}")
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
ADDRESS = "rssi@valmont.example"
CUSTOMER = make_customer()
READER = SmimeReader(ADDRESS, NOW)
SHORT = SmimeReader(ADDRESS, NOW, days=10)
DOCUMENT = {
    "ticket": "INC-2026-000042", "sequence": 3, "kind": "update", "tlp": "TLP:AMBER+STRICT",
    "title": {"fr": "Rançongiciel", "en": "Ransomware"}, "customer": {"name": "Hôpital Valmont"},
}  # fmt: skip


TICKET_CONTENTS = (MailContent.TICKET_AND_CRITICALITY, MailContent.TICKET_ONLY)
TICKET_FORMS = (MailForm.TICKET_AND_CRITICALITY, MailForm.TICKET_ONLY)


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
            least = MailForm.TICKET_ONLY if content in TICKET_CONTENTS else MailForm.SUMMARY
            expected = (least, FormReason.ADDRESS_UNCONFIRMED)
        elif content in {MailContent.SUMMARY, *TICKET_CONTENTS}:
            expected = (MailForm(content.value), FormReason.CHOSEN)
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

    @pytest.mark.parametrize("content", MailContent)
    def test_what_is_too_large_goes_out_as_a_summary_whatever_is_chosen(self, content):
        contact = make_contact(CUSTOMER, verified_at=NOW, mail_content=content)
        decision = mail_form(contact, NOW, too_large=True)
        chosen = {MailContent.SUMMARY, *TICKET_CONTENTS}
        assert decision.form is (MailForm(content.value) if content in chosen else MailForm.SUMMARY)
        assert decision.reason is (FormReason.CHOSEN if content in chosen else FormReason.TOO_LARGE)

    def test_nothing_in_clear_ever_goes_to_who_takes_it_encrypted_only(self):
        for certificate, verified in product((None, b"", b"\x30\x00", READER.der), (NOW, None)):
            it = contact(mail_content=MailContent.ENCRYPTED_ONLY, smime_certificate=certificate, verified_at=verified)
            assert mail_form(it, NOW).form is not MailForm.FULL


class TestTicketForms:
    """A contact may choose mails that name the ticket only, or the ticket and the criticality (PDIS 2.0, IV.2.3)."""

    def _words(self, form, language, document, **options):
        sealed = make_sealed(_Notice, document=document)
        return summary_of(
            sealed, language, FormReason.CHOSEN, form=form, provider=PROVIDER.name, contact="soc@p.example",
            console_url="https://console.provider.example", **options,
        )  # fmt: skip

    @pytest.mark.parametrize("sample", sorted(SAMPLES))
    @pytest.mark.parametrize("language", ["fr", "en", "de"])
    def test_two_notices_with_one_ticket_read_alike(self, sample, language):
        document = SAMPLES[sample]().document
        said = json.loads(document)
        other = json.loads(SAMPLES["security"]().document) | {"ticket": said["ticket"]}
        other |= {"sequence": said["sequence"] + 1, "tlp": "TLP:RED", "kind": "final", "due": None}
        words = [self._words(MailForm.TICKET_ONLY, language, text) for text in (document, json.dumps(other).encode())]
        assert words[0] == words[1]
        assert said["ticket"] in words[0].subject
        assert said["ticket"] in words[0].text
        assert "%(" not in words[0].text

    @pytest.mark.parametrize("language", ["fr", "en", "de"])
    def test_the_criticality_is_added_in_the_words_of_the_agreement(self, language):
        agreement_text = {"fr": "Mot du contrat", "en": "Words of the contract", "de": "Wort des Vertrags"}
        classification = {
            "criticality": "C2",
            "grounds": [{"id": "criticality.C2", "clause": "1", "holds": "yes", "text": agreement_text}],
        }
        document = json.dumps(DOCUMENT | {"classification": classification}).encode()
        with_it = self._words(MailForm.TICKET_AND_CRITICALITY, language, document).text
        without = self._words(MailForm.TICKET_ONLY, language, document).text
        line = next(line for line in with_it.splitlines() if "C2" in line)
        assert agreement_text[language] in line
        assert with_it.replace(f"{line}\n\n", "") == without

    def test_a_criticality_that_is_not_known_is_said_to_be_not_stated(self):
        document = json.dumps(DOCUMENT | {"classification": {"criticality": None, "grounds": []}}).encode()
        assert "Criticality: not stated" in self._words(MailForm.TICKET_AND_CRITICALITY, "en", document).text

    def test_an_exercise_is_marked(self):
        document = json.dumps(DOCUMENT | {"exercise": True}).encode()
        words = self._words(MailForm.TICKET_ONLY, "fr", document)
        assert words.subject.startswith("EXERCICE")
        assert words.text.startswith("EXERCICE")

    def test_the_request_to_acknowledge_names_the_ticket_only(self):
        sealed = make_sealed(_Notice, document=json.dumps(DOCUMENT).encode())
        asked = request_to_acknowledge(
            sealed, "en", link="https://c.example/a", expires_at=NOW, wanted_by=NOW, time_zone="UTC", ticket_only=True
        )
        assert "Acknowledge receipt of INC-2026-000042\n" in asked
        assert "number 3" not in asked
        assert "Your organisation wants" not in asked


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

    @pytest.mark.parametrize("sample", sorted(SAMPLES))
    @pytest.mark.parametrize("language", ["fr", "en", "de"])
    def test_no_word_of_the_notice_is_in_it_that_it_would_not_say_anyway(self, sample, language):
        """Every word of title, texts, resources, effect and customer is looked for."""
        document = SAMPLES[sample]().document
        said = json.loads(document)
        facts = [said[name] for name in (
            "title", "what_happened", "effect", "measures_taken", "recommendations", "not_known_yet", "customer",
            "classification", "personal_data", "changes", "rsit",
        )]  # fmt: skip
        empty = json.dumps(DOCUMENT | {"due": said["due"]} | {name: said[name] for name in ("sequence", "kind", "tlp")})
        told, anyway = (self._of(text, language) for text in (document, empty.encode()))
        assert "2026" in told.text
        # Nothing of the facts moves a word: the same summary is made where there are none, but for its digest.
        digests = [hashlib.sha256(text).hexdigest() for text in (document, empty.encode())]
        assert told.text.replace(digests[0], digests[1]) == anyway.text
        assert told.subject == anyway.subject
        own = set(COMMON.findall(self._of(empty.encode(), language).text.casefold()))
        secret = {word for text in _strings(facts) for word in COMMON.findall(text.casefold())} - own
        assert len(secret) > 20
        assert not secret & set(COMMON.findall((told.subject + told.text).casefold()))

    def _of(self, document, language):
        sealed = make_sealed(_Notice, document=document)
        return summary_of(
            sealed, language, FormReason.CHOSEN, provider=PROVIDER.name, contact="soc@p.example", console_url=None
        )

    def test_its_deadline_is_in_the_zone_of_the_reader_or_in_utc(self):
        due = {"at": "2026-03-02T08:30:00.000000Z", "kind": "contractual"}
        sealed = make_sealed(_Notice, document=json.dumps(DOCUMENT | {"due": due}).encode())

        def deadline(**options):
            words = summary_of(sealed, "en", FormReason.CHOSEN, provider="P", contact="C", console_url=None, **options)
            return next(line for line in words.text.splitlines() if line.startswith("This notice is due"))

        # A document of an earlier release states no binding: its deadline is soft.
        assert (
            deadline()
            == "This notice is due: 2 March 2026, 08:30 UTC — time to meet where possible under the agreement."
        )
        assert "12:30 Indian/Reunion" in deadline(time_zone="Indian/Reunion")


def _strings(value):
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(item)


#: Whoever reads these fields learns nothing of how a mail goes out.
CONTACTS = st.builds(
    lambda content, certificate, verified, active, fallback, order: contact(
        mail_content=content, smime_certificate=certificate, verified_at=verified, active=active, fallback=fallback,
        order=order,
    ),
    st.sampled_from(MailContent),
    st.one_of(st.none(), st.binary(max_size=40), st.sampled_from([READER.der, SHORT.der])),
    st.one_of(st.none(), st.just(NOW)),
    st.booleans(),
    st.booleans(),
    st.integers(1, 9),
)  # fmt: skip
MOMENTS = st.integers(-400, 800).map(lambda hours: NOW + timedelta(hours=hours))


class TestAlways:
    @given(CONTACTS, MOMENTS)
    def test_how_a_mail_goes_out(self, it, now):
        decision = mail_form(it, now)
        if it.verified_at is None or it.mail_content in {MailContent.SUMMARY, *TICKET_CONTENTS}:
            assert not decision.form.carries_notice
        if it.verified_at is None:
            # A stranger who reads the mail must not learn how grave it is.
            assert decision.form is not MailForm.TICKET_AND_CRITICALITY
        if it.mail_content in TICKET_CONTENTS:
            assert decision.form in TICKET_FORMS
        if it.mail_content is MailContent.ENCRYPTED_ONLY:
            assert decision.form is not MailForm.FULL
        if decision.form is MailForm.ENCRYPTED:
            assert certificate_fault(it.smime_certificate, it.email, now) is None
        if decision.form is MailForm.FULL:
            assert it.smime_certificate is None or decision.certificate_fault
        assert decision.form.carries_notice <= (decision.reason is FormReason.CHOSEN)
        # Nothing but these fields decides.
        assert mail_form(replace(it, active=not it.active, fallback=not it.fallback, order=10), now) == decision

    @given(st.lists(CONTACTS, max_size=4), MOMENTS)
    def test_nobody_is_unreachable_unsaid(self, contacts, now):
        found = reachability(contacts, now)
        assert (Reach.NO_ACTIVE_CONTACT in {finding.kind for finding in found}) == (
            not any(it.active for it in contacts)
        )
        served = recipients(contacts)
        assert {finding.contact_id for finding in found} - {None} <= {it.id for it in served}
        for it in served:
            reason = mail_form(it, now).reason
            told = {finding.kind for finding in found if finding.contact_id == it.id}
            assert (reason is FormReason.ADDRESS_UNCONFIRMED) <= (Reach.ADDRESS_UNCONFIRMED in told)
            assert (reason in {FormReason.NO_CERTIFICATE, FormReason.CERTIFICATE_UNUSABLE}) <= (
                Reach.CANNOT_ENCRYPT in told
            )


class TestReachability:
    def test_nobody_and_nobody_but_a_fallback(self):
        assert [found.kind for found in reachability([contact(active=False)], NOW)] == [Reach.NO_ACTIVE_CONTACT]
        assert reachability([], NOW)[0].kind is Reach.NO_ACTIVE_CONTACT
        assert [found.kind for found in reachability([contact(fallback=True)], NOW)] == [Reach.ONLY_FALLBACK]
        assert reachability([contact(), contact(fallback=True, verified_at=None)], NOW) == []

    @pytest.mark.parametrize(
        ("days", "expected"),
        [
            (31, None),
            (29.5, (Reach.CERTIFICATE_EXPIRES, 30)),
            (6.5, (Reach.CERTIFICATE_EXPIRES, 7)),
            (0.5, (Reach.CERTIFICATE_EXPIRES, 1)),
            (-0.5, (Reach.CERTIFICATE_EXPIRED, None)),
        ],
    )
    def test_a_certificate_that_ends(self, days, expected):
        it = contact(smime_certificate=READER.der)
        found = reachability([it], NOW + timedelta(days=365 - days))
        assert [(item.kind, item.within_days) for item in found] == ([] if expected is None else [expected])

    def test_of_each_contact(self):
        unconfirmed = contact(verified_at=None)
        silent = contact(mail_content=MailContent.ENCRYPTED_ONLY)
        found = reachability([unconfirmed, silent, contact()], NOW)
        assert [(item.kind, item.contact_id) for item in found] == [
            (Reach.ADDRESS_UNCONFIRMED, unconfirmed.id), (Reach.CANNOT_ENCRYPT, silent.id),
        ]  # fmt: skip


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
