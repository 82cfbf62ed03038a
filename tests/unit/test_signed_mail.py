"""One reading of a mail, or none: what a kinder parser would take in two ways is refused."""

import re
from email.header import Header

import pytest

from notifications.evidence.verification import MAIL_AGREES
from notifications.mail.parts import PROTECTED_HEADERS, base64_lines
from notifications.mail.signed_copy import STRUCTURE
from notifications.mail.signed_mail import parse_signed_mail
from support.sealed_sample import Office, body_start, refused, resigned, steps_of_mail


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def sealed(office):
    return office.seal()


@pytest.fixture(scope="module")
def mail(office, sealed):
    return office.mail(sealed)


@pytest.mark.parametrize("name", PROTECTED_HEADERS)
def test_a_header_changed_outside_is_seen(office, mail, name):
    pattern = re.compile(rb"(?m)^" + name.encode() + rb": (.*\r\n(?:[ \t].*\r\n)*)")
    head, body = mail[: body_start(mail)], mail[body_start(mail) :]
    assert len(pattern.findall(head)) == 1
    for value in (b"other\r\n", b"a@b.example\r\n", b"\r\n", b"=?utf-8?q?x?=\r\n"):
        changed = pattern.sub(name.encode() + b": " + value.replace(b"\\", rb"\\"), head) + body
        refused(MAIL_AGREES, steps_of_mail, changed, office.trust)
    refused(MAIL_AGREES, steps_of_mail, pattern.sub(b"", head) + body, office.trust)


@pytest.mark.parametrize(
    "name", [*PROTECTED_HEADERS, "Content-Type", "MIME-Version", "from", "SUBJECT", "Content-Language"]
)
def test_a_header_twice_is_two_readings(office, mail, name):
    head, body = mail[: body_start(mail) - 2], mail[body_start(mail) - 2 :]
    once = re.search(rb"(?mi)^" + name.encode() + rb": .*\r\n(?:[ \t].*\r\n)*", head)
    line = once[0] if once else f"{name}: fr\r\n".encode() * 2
    for changed in (line + mail, head + line + body):
        assert "twice" in refused(STRUCTURE, steps_of_mail, changed, office.trust)


@pytest.mark.parametrize("name", ["From", "To"])
def test_an_encoded_text_is_no_address_though_it_reads_like_one(office, mail, name):
    """Decoded, the header is letter for letter the protected one; a mail program finds another address, or none."""
    shown = parse_signed_mail(mail).protected[name]
    head, body = mail[: body_start(mail)], mail[body_start(mail) :]
    for value in (
        Header(shown, "utf-8", maxlinelen=900).encode(linesep="\r\n"),
        Header(shown.rpartition("@")[0], "utf-8", maxlinelen=900).encode() + " @" + shown.rpartition("@")[2],
    ):
        pattern = re.compile(rb"(?m)^" + name.encode() + rb": .*\r\n(?:[ \t].*\r\n)*")
        changed = pattern.sub(f"{name}: {value}\r\n".encode(), head) + body
        assert changed != mail
        refused(MAIL_AGREES, steps_of_mail, changed, office.trust)


@pytest.mark.parametrize("name", ["Cc", "Bcc", "Reply-To", "Sender", "Content-Transfer-Encoding", "REPLY-TO"])
def test_a_header_that_no_notice_has_is_refused(office, mail, name):
    added = f"{name}: evil@x.example\r\n".encode() + mail
    assert name.lower() in refused(STRUCTURE, steps_of_mail, added, office.trust)


# Exim 4.96 adds it where a client logs in under "control = submission", in the shipped configuration
# (findings/exim_replaces_the_return_path_of_a_client_that_logs_in.sh).
def test_the_sender_that_a_relay_adds_is_named(office, mail):
    outside, blank, inside = mail.partition(b"\r\n\r\n")
    received = (
        b"Received: from greffier by relay.provider.example with esmtpsa (Exim 4.96)\r\n\tid 1xY7gt-0000LZ-1j\r\n"
    )
    steps_of_mail(received + mail, office.trust)
    passed_on = received + outside + b"\r\nSender: greffier@provider.example" + blank + inside
    assert "a header sender that no notice has" in refused(STRUCTURE, steps_of_mail, passed_on, office.trust)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\r\n\r\n--=_signed", b"\r\n\r\nYou can ignore this notice.\r\n--=_signed"),
        (b"\r\n\r\n--=_signed", b"\r\n\r\n\r\n--=_signed"),
        (b"micalg=sha-256", b"micalg=sha-1"),
        (b"micalg=sha-256;", b"micalg=sha-256; x=y;"),
        (b"multipart/signed;", b"multipart/mixed;"),
        (b"multipart/signed;", b"multipart/signed;\xc2\xa0"),
        (b"multipart/signed;", b"multipart/signed;\x0b"),
        (b'protocol="application/pkcs7', b'protocol="application/x-pkcs7'),
        (b"MIME-Version: 1.0", b"MIME-Version: 1.0 (x)"),
        (b"MIME-Version: 1.0\r\n", b""),
        (b'name="smime.p7s"', b'name="other.p7s"'),
        (b"From:", b"no header\r\nFrom:"),
        (b"From:", b" folded first\r\nFrom:"),
        (b"From:", b"Subject : x\r\nFrom:"),
        (b"From:", b"Fro\xc3\xa9m: x\r\nFrom:"),
        (b"From: ", b"From: \x00"),
        (b"Date: ", b"Date: \x0b"),
        (b"From:", b"X-Note: a\nSubject: other\r\nFrom:"),
        (b"From:", b"X-Note: a\rSubject: other\r\nFrom:"),
        (b"Subject: ", b"Subject: \xff"),
        (b"\r\nTo:", b"\nTo:"),
        (b"\r\nTo:", b"\r\r\nTo:"),
    ],
)
def test_there_is_one_reading(office, mail, old, new):
    changed = mail.replace(old, new, 1)
    assert changed != mail
    refused(STRUCTURE, steps_of_mail, changed, office.trust)


@pytest.mark.parametrize("after", [b"\r\nP.S. ignore this", b" ", b"\x00", b"\r\n--\r\n", b"\t\r\n", b"x"])
def test_nothing_follows_the_end(office, mail, after):
    refused(STRUCTURE, steps_of_mail, mail + after, office.trust)


def test_a_mail_in_front_of_the_genuine_one_is_no_reading_of_it(office, mail):
    boundary = re.search(rb'boundary="(=_signed_[0-9a-f]+)"', mail)[1]
    part = b"Content-Type: text/plain\r\n\r\nNothing happened.\r\n"
    delimiter, end = b"--" + boundary + b"\r\n", b"--" + boundary + b"--"
    head, first, rest = mail.partition(delimiter)
    for changed in (
        head + first + part + first + rest,
        mail.replace(b"\r\n" + end, b"\r\n" + delimiter + part + b"\r\n" + end),
        mail[: body_start(mail)] + delimiter + part + end + b"\r\n" + mail[body_start(mail) :],
    ):
        refused(STRUCTURE, steps_of_mail, changed, office.trust)
    head = b"Content-Type: multipart/mixed; boundary=x\r\nMIME-Version: 1.0\r\n\r\n"
    refused(STRUCTURE, steps_of_mail, head + b"--x\r\n" + mail + b"\r\n--x--\r\n", office.trust)


def test_the_signature_in_base64_has_one_form(office, mail):
    old = base64_lines(parse_signed_mail(mail).signature)
    for new in (old.replace(b"\r\n", b"", 1), old + b"\r\n", old.replace(b"\r\n", b" \r\n", 1), old[:-4] + b"****"):
        refused(STRUCTURE, steps_of_mail, mail.replace(old, new), office.trust)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b';\r\n hp="clear"', b""),
        (b'hp="clear"', b'hp="cipher"'),
        (b"multipart/mixed", b"multipart/related"),
        (b"multipart/alternative", b"multipart/mixed"),
        (b"text/html", b"text/plain"),
        (b"text/html", b"text/enriched"),
        (b"Content-Language: fr\r\nContent-Transfer", b"Content-Language: de\r\nContent-Transfer"),
        (b"quoted-printable", b"base64"),
        (b'filename="notice.json"', b'filename="NOTICE.json"'),
        (b'name="notice.json.p7s"', b'name="notice.json"'),
        (b"application/json", b"application/octet-stream"),
        (b"From: ", b"From: evil@x.example, "),
        (b"From: ", b"X-From: "),
    ],
)
def test_even_the_provider_signs_one_shape_only(office, mail, old, new):
    changed = resigned(office, mail, lambda signed: signed.replace(old, new, 1))
    refused(STRUCTURE, steps_of_mail, changed, office.trust)


@pytest.mark.parametrize("name", ["notice.json", "notice.json.p7s", "notice.tlog-proof"])
def test_no_proof_is_left_out_or_doubled(office, mail, name):
    def without(signed, times=0):
        (part,) = re.findall(
            rb'--=_mixed_[0-9a-f]+\r\nContent-Type: [^\r]+; name="' + name.encode() + rb'"\r\n'
            rb"(?:[^-\r][^\r]*\r\n)*\r\n(?:[^-\r][^\r]*\r\n)+",
            signed,
        )
        return signed.replace(part, part * times)

    assert name in refused(STRUCTURE, steps_of_mail, resigned(office, mail, without), office.trust)
    twice = resigned(office, mail, lambda signed: without(signed, 2))
    assert "twice" in refused(STRUCTURE, steps_of_mail, twice, office.trust)


def test_a_header_cannot_cost_a_decoder_its_time(office, mail):
    changed = mail.replace(b"Subject: ", b"Subject: " + b"=?a?q?" * 200_000, 1)
    assert "too long" in refused(STRUCTURE, steps_of_mail, changed, office.trust)
