"""Certificates of recipients, made by openssl: whatever cannot be judged is refused, with its reason."""

import subprocess
from base64 import b64encode
from datetime import UTC, datetime

import pytest

from notifications.errors import InvalidInputError
from notifications.mail.enveloped import certificate_expires_at, certificate_fault, encrypt_mail, parse_certificate
from notifications.mail.mail import Envelope
from support.openssl_certificates import EDI, X400, account, general_names, made_by_openssl, rfc822, utf8_mailbox

ADDRESS = "zoe@valmont.example"
OTHER = "eve@else.example"


def fault(tmp_path, address=ADDRESS, **options):
    return certificate_fault(parse_certificate(made_by_openssl(tmp_path, **options)), address, datetime.now(UTC))


@pytest.mark.parametrize("name", [X400, EDI], ids=["X.400", "EDI"])
def test_a_name_that_cannot_be_compared_is_refused_and_no_crash(tmp_path, name):
    for names in (general_names(rfc822(ADDRESS), name), general_names(name)):
        assert fault(tmp_path, names=names) == "holds an X.400 or EDI name, which cannot be compared with the address"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (("EC", "ec_paramgen_curve:P-256"), "has no RSA key"),
        (("EC", "ec_paramgen_curve:secp160k1"), "has no RSA key"),
        (("EC", "ec_paramgen_curve:P-256", "ec_param_enc:explicit"), "has no RSA key"),
        (("SM2",), "has no RSA key"),
        (("ED25519",), "has no RSA key"),
        (("ED448",), "has no RSA key"),
        (("RSA-PSS", "rsa_keygen_bits:2048"), "has an RSA key for signatures only (RSASSA-PSS)"),
        (("RSA-PSS", "rsa_keygen_bits:2048", "rsa_pss_keygen_md:sha256"), "has an RSA key for signatures only"),
        (("RSA", "rsa_keygen_bits:2048"), None),
    ],
    ids=str,
)
def test_a_key_that_mail_cannot_be_encrypted_to(tmp_path, key, reason):
    found = fault(tmp_path, names=f"email:{ADDRESS}", key=key)
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize(
    ("options", "form"),
    [
        ({"names": general_names(rfc822(OTHER))}, "rfc822Name"),
        ({"email": OTHER}, "emailAddress of the subject"),
        ({"names": general_names(rfc822(ADDRESS)), "email": OTHER}, "emailAddress of the subject"),
        ({"names": general_names(utf8_mailbox(OTHER))}, "SmtpUTF8Mailbox"),
        ({"names": general_names(rfc822(ADDRESS), utf8_mailbox(OTHER))}, "SmtpUTF8Mailbox"),
        ({"names": general_names(rfc822(ADDRESS), utf8_mailbox("zoé@valmont.example"))}, "SmtpUTF8Mailbox"),
        ({"names": general_names(rfc822(OTHER), utf8_mailbox(ADDRESS))}, "rfc822Name"),
    ],
    ids=str,
)
def test_an_address_of_another_person_in_whatever_form(tmp_path, options, form):
    assert fault(tmp_path, **options) == f"names another address ({form})"


@pytest.mark.parametrize(
    ("address", "options"),
    [
        (ADDRESS, {}),
        (ADDRESS, {"email": ADDRESS.upper()}),
        (ADDRESS, {"names": general_names(rfc822(ADDRESS)), "email": ADDRESS}),
        (ADDRESS, {"names": general_names(utf8_mailbox(ADDRESS))}),
        # Somebody's further address, and the name of an account, which only looks like an address.
        (ADDRESS, {"names": general_names(rfc822(OTHER), rfc822(ADDRESS))}),
        (ADDRESS, {"names": general_names(rfc822(ADDRESS), account("z123@intern.example"))}),
        ("zoé@valmont.example", {"names": general_names(utf8_mailbox("zoé@valmont.example"))}),
        ("zoé@hôpital.example", {"names": general_names(utf8_mailbox("zoé@xn--hpital-ixa.example"))}),
        ("rssi@hôpital.example", {"names": general_names(rfc822("rssi@xn--hpital-ixa.example"))}),
        ("rssi@xn--hpital-ixa.example", {"names": general_names(utf8_mailbox("rssi@hôpital.example"))}),
        ("rssi@hôpital.example", {"email": "rssi@XN--HPITAL-IXA.example"}),
    ],
    ids=str,
)
def test_the_contact_s_own_address_in_whatever_form_and_spelling(tmp_path, address, options):
    assert fault(tmp_path, address, **options) is None


@pytest.mark.parametrize(
    "mailbox",
    [utf8_mailbox("x@y@z"), utf8_mailbox(ADDRESS, tag=0x16), utf8_mailbox(b"\xff@valmont.example"), utf8_mailbox("")],
)
def test_a_mailbox_that_is_none_is_refused(tmp_path, mailbox):
    assert fault(tmp_path, names=general_names(mailbox)) in {"is malformed", "names another address (SmtpUTF8Mailbox)"}


def test_a_critical_extension_that_nobody_knows_is_refused(tmp_path):
    assert (
        fault(tmp_path, more="1.2.3.4 = critical, ASN1:NULL") == "has a critical extension that is not known (1.2.3.4)"
    )
    assert fault(tmp_path, more="1.2.3.4 = ASN1:NULL") is None


def test_a_certificate_of_another_version_is_refused(tmp_path):
    """Version 7, which no library knows: as PEM, and as the DER of an import."""
    der = parse_certificate(made_by_openssl(tmp_path)).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x06", 1)
    pem = f"-----BEGIN CERTIFICATE-----\n{b64encode(der).decode()}\n-----END CERTIFICATE-----\n"
    with pytest.raises(InvalidInputError, match="is not an X"):
        parse_certificate(pem)
    assert certificate_fault(der, ADDRESS, datetime.now(UTC)) == "is malformed"
    assert certificate_expires_at(der) is None


def test_openssl_opens_what_is_encrypted_to_a_certificate_that_serves(tmp_path):
    der = parse_certificate(
        made_by_openssl(tmp_path, names=general_names(rfc822(ADDRESS), utf8_mailbox(ADDRESS)), email=ADDRESS)
    )
    assert certificate_fault(der, ADDRESS, datetime.now(UTC)) is None
    envelope = Envelope("soc@provider.example", "Provider", ADDRESS, "Zoé", datetime.now(UTC), "<1@provider.example>")
    (tmp_path / "mail.eml").write_bytes(
        encrypt_mail(b"Content-Type: text/plain\r\n\r\nsecret\r\n", envelope, "Notice", der)
    )
    command = "openssl cms -decrypt -in mail.eml -inkey reader.key -recip reader.pem"
    opened = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=True)
    assert opened.stdout == b"Content-Type: text/plain\r\n\r\nsecret\r\n"
