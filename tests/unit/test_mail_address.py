"""One mailbox has one normal form, however its domain is spelled; what goes out is ASCII wherever it can be."""

from datetime import UTC, datetime

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.delivery.delivery import ChannelKind, destination_of
from notifications.errors import InvalidInputError
from notifications.mail.mail import Envelope, assemble_mail, prepare_text
from notifications.mail_address import a_label_address, normal_address
from service.auth.sign_in.sign_in import normal_address as account_address
from service.web.api.accounts.account_schemas import NewAccountIn
from service.web.api.customers.customer_schemas import ContactIn

A_LABEL = "rssi@xn--hpital-ixa.example"


@pytest.mark.parametrize(
    "spelled",
    [
        A_LABEL,
        "rssi@hôpital.example",
        "RSSI@HÔPITAL.Example",
        "rssi@ho\u0302pital.example",
        "rssi@XN--HPITAL-IXA.example",
        "rssi@ｈôpital.example",
    ],
)
def test_every_spelling_of_one_mailbox_is_one(spelled):
    assert normal_address(spelled) == A_LABEL
    assert destination_of(ChannelKind.EMAIL, spelled) == "email:xn--hpital-ixa.example"


@pytest.mark.parametrize("other", ["rssi@hopital.example", "rssi2@hôpital.example", "rssi@xn--hpital-xxa.example"])
def test_another_mailbox_is_another(other):
    assert normal_address(other) != A_LABEL


@pytest.mark.parametrize(
    "text", ["", "nobody", "@", "a@", "@b", "a@b@c", "a@xn--\u0301.example", "a@-.", "a@" + "ü" * 400]
)
def test_whatever_is_no_address_is_compared_too(text):
    assert normal_address(text) == normal_address(normal_address(text))


def test_idna_2008_keeps_what_the_older_mapping_gave_to_somebody_else():
    assert a_label_address("rssi@straße.example") == "rssi@xn--strae-oqa.example"
    assert normal_address("rssi@straße.example") != normal_address("rssi@strasse.example")


def test_a_local_part_beyond_ascii_needs_smtputf8_and_keeps_its_spelling():
    assert a_label_address("jérôme@hôpital.example") == "jérôme@hôpital.example"
    assert normal_address("groß@a.example") != normal_address("gross@a.example")
    assert normal_address("jérôme@hôpital.example") == normal_address("JÉRÔME@xn--hpital-ixa.example")


@pytest.mark.parametrize("typed", [A_LABEL, "rssi@hôpital.example", "rssi@HÔPITAL.EXAMPLE"])
def test_a_contact_is_kept_as_its_address_goes_out(typed):
    contact = ContactIn.model_validate({"name": "RSSI", "role": "security", "email": typed, "language": "fr"})
    assert contact.email == A_LABEL


@pytest.mark.parametrize("typed", [A_LABEL, "rssi@hôpital.example", " RSSI@Hôpital.example "])
def test_an_account_is_found_by_every_spelling(typed):
    account = NewAccountIn.model_validate({"name": "RSSI", "email": typed.strip()})
    assert account.email == account_address(typed) == "rssi@hôpital.example"


@pytest.mark.parametrize("typed", ["Anna.Groß@Faß.example", "anna.groß@xn--fa-hia.example"])
def test_an_account_keeps_its_mailbox_and_domain(typed):
    account = NewAccountIn.model_validate({"name": "Anna", "email": typed})
    assert account.email == account_address(typed) == "anna.groß@faß.example"


def mail_to(recipient):
    envelope = Envelope(
        sender="soc@fournisseur-é.example",
        sender_name="SOC",
        recipient=recipient,
        recipient_name="Hôpital",
        date=datetime(2026, 3, 2, tzinfo=UTC),
        message_id="<1@provider.example>",
    )
    return assemble_mail(prepare_text("Incident", "Texte", "fr"), envelope, lambda content: content[:1])


def test_no_header_of_an_accented_domain_needs_smtputf8():
    mail = mail_to("rssi@hôpital.example")
    assert mail.isascii()
    assert mail.count(b"<rssi@xn--hpital-ixa.example>") == 2
    assert b'hp="clear"' in mail
    assert not mail_to("jérôme@hôpital.example").isascii()


def test_a_domain_without_a_labels_is_no_address():
    with pytest.raises(InvalidInputError, match="domain"):
        mail_to("rssi@-é-.example")


@given(
    st.text(st.characters(max_codepoint=127), max_size=80)
    | st.from_regex(r"(xn--)?[A-Za-z0-9.-]{0,70}", fullmatch=True)
)
def test_an_ascii_domain_is_compared_in_lower_case_as_its_a_label_is(domain):
    domain = domain.replace("@", "")
    try:
        expected = idna.encode(domain, uts46=True).decode().lower()
    except idna.IDNAError:
        expected = domain.lower()
    assert normal_address(f"A@{domain}") == f"a@{expected}"
