"""Mails as bytes: what is signed is what is sent, and no input can end a header or name another recipient."""

import binascii
import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifications.errors import InvalidInputError, SealingUnavailableError
from notifications.mail.mail import (
    Envelope,
    LinedMail,
    assemble_mail,
    header_lines,
    prepare_body,
    quoted_printable,
    rendering_for,
)
from notifications.mail.parts import PROTECTED_HEADERS, base64_lines
from notifications.notice.seal import SealedNotice, SealedRendering
from support.sealed_sample import assemble_notice_mail

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TEXT = "Bonjour,\n\nFrom now on · « été » \n.\n--=_mixed_x\n" + "à" * 200 + "\n"
HTML = "<p>Störung &amp; Lösung</p>\n"
SEALED = SealedNotice(
    notice_id=UUID(int=7),
    document=b'{"a":"b"}' * 40,
    signature=bytes(range(256)) * 3,
    timestamp=b"token",
    timestamp_independent=False,
    resources_csv=None,
    sealed_at=NOW,
    log_proof=b"c2sp.org/tlog-proof@v1\n",
    renderings=(SealedRendering("fr", "[TLP:AMBER] INC-1 #1 – Panne", TEXT, HTML),),
)
ENVELOPE = Envelope(
    sender="soc@provider.example",
    sender_name="Sovereign Cloud",
    recipient="rssi@valmont.example",
    recipient_name="Zoé Müller",
    date=NOW,
    message_id="<a.1@provider.example>",
    earlier_message_ids=("<a.0@provider.example>",),
)
#: Any text that is no control character: what names and titles may be.
PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200)


class Signer:
    """Keeps what it was asked to sign."""

    def __init__(self, signature=b"\x30\x03\x02\x01\x01"):
        self.signature, self.content = signature, b""

    def __call__(self, content):
        self.content = content
        return self.signature


def mail(sealed=SEALED, language="fr", sign=None, **changes):
    return assemble_notice_mail(
        sealed=sealed, language=language, envelope=replace(ENVELOPE, **changes), sign=sign or Signer()
    )


def read(content):
    return message_from_bytes(content, policy=default)


def leaves(content):
    return [part for part in read(content).walk() if not part.is_multipart()]


def squeezed(text):
    return " ".join(text.split())


def test_a_standard_reader_finds_words_and_attachments_in_order():
    sealed = replace(SEALED, resources_csv=b'"a";"b"\r\n')
    plain, html, *attachments, signature = leaves(mail(sealed))
    assert plain.get_payload(decode=True).replace(b"\r\n", b"\n") == TEXT.encode()
    assert html.get_payload(decode=True).replace(b"\r\n", b"\n") == HTML.encode()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert [(part.get_filename(), part.get_content_type()) for part in attachments] == [
        ("notice.json", "application/json"),
        ("notice.json.p7s", "application/pkcs7-signature"),
        ("notice.json.tsr", "application/timestamp-reply"),
        ("notice.tlog-proof", "application/octet-stream"),
        ("resources.csv", "text/csv"),
    ]
    assert [part.get_payload(decode=True) for part in attachments] == [
        sealed.document, sealed.signature, sealed.timestamp, sealed.log_proof, sealed.resources_csv,
    ]  # fmt: skip
    assert signature.get_content_type() == "application/pkcs7-signature"
    assert signature.get_payload(decode=True) == Signer().signature


def test_what_is_absent_is_not_attached():
    names = [part.get_filename() for part in leaves(mail(replace(SEALED, timestamp=None)))]
    assert "notice.json.tsr" not in names
    assert "resources.csv" not in names


def test_the_outside_is_smime_as_rfc_8551_has_it():
    message = read(mail())
    assert message.get_content_type() == "multipart/signed"
    assert message.get_param("protocol") == "application/pkcs7-signature"
    assert message.get_param("micalg") == "sha-256"
    assert message["Auto-Submitted"] == "auto-generated"
    assert len(message.get_payload()) == 2
    assert not {"Bcc", "Cc", "Reply-To", "Sender"} & set(message.keys())
    assert [address.addr_spec for address in message["To"].addresses] == ["rssi@valmont.example"]


def test_a_mail_that_a_person_caused_does_not_state_to_be_automatic():
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in mail()
    assert b"Auto-Submitted" not in mail(automatic=False)


def test_what_is_signed_is_the_part_between_the_boundaries():
    signer = Signer()
    content = mail(sign=signer)
    boundary = re.search(rb'boundary="(=_signed_[0-9a-f]+)"', content)[1]
    between = content.split(b"--" + boundary + b"\r\n")[1].removesuffix(b"\r\n")
    assert signer.content == between


def test_every_header_that_a_reader_sees_is_under_the_signature_too():
    signer = Signer()
    outer = read(mail(sign=signer))
    inner = read(signer.content)
    assert inner.get_param("hp") == "clear"
    for name in PROTECTED_HEADERS:
        assert outer[name] is not None
        assert str(outer[name]) == str(inner[name])
    assert inner["Content-Language"] == "fr"


def test_nothing_on_the_way_has_a_reason_to_change_a_byte():
    content = mail(replace(SEALED, resources_csv=b"\x00\xff" * 500))
    assert content.isascii()
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
    assert all(len(line) <= 78 for line in content.split(b"\r\n"))
    assert not re.search(rb"(?m)^From ", content)
    kinds = {part["Content-Transfer-Encoding"] for part in leaves(content)}
    assert kinds == {"quoted-printable", "base64"}


def test_the_same_notice_to_the_same_contact_is_the_same_mail():
    assert mail() == mail()
    assert mail() != mail(message_id="<a.2@provider.example>")


def test_a_body_is_prepared_once_for_all_contacts():
    prepared = prepare_body(SEALED, "fr")
    for recipient in ("a@x.example", "b@x.example"):
        envelope = replace(ENVELOPE, recipient=recipient)
        whole = assemble_mail(prepared, envelope, Signer())
        assert whole == mail(recipient=recipient)
        assert prepared.body in whole
        assert recipient.encode() in whole
    assert b"a@x.example" not in assemble_mail(prepared, replace(ENVELOPE, recipient="b@x.example"), Signer())


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=400))
@example("From From From x\n" * 3)
@example("From " + "x" * 80 + "\n" + "a" * 75 + "From From b")
@example("a\r\nb\rc \n \t\n")
@example("x" * 73 + "From y")
@example(".\n..\n.From " + "." * 200)
def test_quoted_printable_gives_back_the_text_in_lines_that_stand_any_relay(text):
    encoded = quoted_printable(text)
    assert binascii.a2b_qp(encoded).replace(b"\r\n", b"\n") == text.encode()
    lines = encoded.split(b"\r\n")
    assert all(len(line) <= 76 and not line.startswith((b"From ", b".")) for line in lines)
    assert not any(line.endswith((b" ", b"\t")) for line in lines)
    assert b"\n" not in encoded.replace(b"\r\n", b"")
    assert b"\r" not in encoded.replace(b"\r\n", b"")
    assert b"=_" not in encoded


@given(text=st.text(st.characters(exclude_categories=("Cs",)), max_size=200), title=PRINTABLE)
@example(text=".", title=".")
@example(text="a\r.\n.b\n\n.", title="")
def test_no_line_of_a_mail_is_changed_on_the_wire(text, title):
    """So that the channel need not look: the lines end in CRLF, and none begins with a dot."""
    words = SealedRendering("fr", title, text, text)
    mail = assemble_notice_mail(
        sealed=replace(SEALED, renderings=(words,)),
        language="fr",
        envelope=replace(ENVELOPE, recipient_name=title),
        sign=Signer(),
        note=text,
    )
    assert isinstance(mail, LinedMail)
    lines = mail.split(b"\r\n")
    assert lines.pop() == b""
    assert not [line for line in lines if line.startswith(b".") or b"\r" in line or b"\n" in line]


@given(st.binary(max_size=500))
def test_base64_lines_are_whole_and_short(content):
    encoded = base64_lines(content)
    assert binascii.a2b_base64(encoded) == content
    assert all(len(line) <= 76 for line in encoded.split(b"\r\n"))
    assert not encoded.endswith(b"\n")


@given(PRINTABLE)
@example("=?utf-8?q?another=20text?=")
@example("x" * 400)
@example("é" * 400)
@example(" leading, trailing ")
def test_a_subject_reads_as_it_was_written_in_lines_that_fit(title):
    sealed = replace(SEALED, renderings=(replace(SEALED.renderings[0], subject=f"INC-1 {title}"[:400]),))
    content = mail(sealed)
    assert squeezed(read(content)["Subject"]) == squeezed(f"INC-1 {title}"[:400])
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))


# Python's email package joins the lines of a header that begins on its second line, when it writes a mail again: seen
# with CPython 3.14.2 (findings/python_email_changes_a_signed_header_that_begins_on_its_second_line.sh).
@given(title=PRINTABLE, name=PRINTABLE)
@example(title="x" * 400, name="x" * 400)
@example(title="é" * 400, name="é" * 400)
def test_a_header_begins_on_its_first_line_however_long_its_first_word_is(title, name):
    subject = (title.strip() or "x")[:400]
    sealed = replace(SEALED, renderings=(replace(SEALED.renderings[0], subject=subject),))
    signer = Signer()
    outside = mail(sealed, sign=signer, recipient_name=name, sender_name=name).partition(b"\r\n\r\n")[0]
    inside = signer.content.partition(b"\r\n\r\n")[0]
    for line in (*outside.split(b"\r\n"), *inside.split(b"\r\n")):
        assert line.startswith((b" ", b"\t")) or re.fullmatch(rb"[A-Za-z-]+: \S.*", line)


@given(PRINTABLE)
@example('"evil@x.example" <evil@x.example>, ')
@example("=?utf-8?q?=3Cevil=40x.example=3E?=")
@example("trailing backslash \\")
@example("(comment), group: a@b;")
def test_a_display_name_names_no_other_mailbox(name):
    message = read(mail(recipient_name=name))
    (address,) = message["To"].addresses
    assert address.addr_spec == "rssi@valmont.example"
    # Some standard readers keep the space between two encoded words (RFC 2047, 6.2, has it dropped).
    assert "".join(address.display_name.split()) == "".join(name.split())


@pytest.mark.parametrize(
    "char", ["\r", "\n", "\r\nBcc: x@y.example", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\ud800"]
)
@pytest.mark.parametrize("field", ["sender", "sender_name", "recipient", "recipient_name", "message_id", "subject"])
def test_control_characters_reach_no_header(field, char):
    subject = "INC-1"
    envelope = ENVELOPE
    if field == "subject":
        subject += char
    elif field == "message_id":
        envelope = replace(ENVELOPE, message_id=f"<a{char}@provider.example>")
    else:
        envelope = replace(ENVELOPE, **{field: getattr(ENVELOPE, field) + char})
    with pytest.raises(InvalidInputError):
        header_lines(envelope, subject)


@pytest.mark.parametrize(
    "address",
    ["", "a", "a@", "@b", "a b@c.example", "a@b@c", "a@b, c@d", "<a@b>", "a@b>", "(x)a@b", '"a"@b', "a@[1.2.3.4]",
     "a" * 246 + "@b.exampl", "é" * 123 + "@b.example"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InvalidInputError, match="To: is no mail address"):
        header_lines(replace(ENVELOPE, recipient=address), "INC-1")


def test_an_address_of_the_greatest_length_is_taken():
    longest = "a" * 244 + "@b.example"
    assert len(longest) == 254
    assert f"<{longest}>" in dict(header_lines(replace(ENVELOPE, recipient=longest), "INC-1"))["To"]


@pytest.mark.parametrize("message_id", ["", "a@b", "<a@b> <c@d>", "<a b@c>", "<a@b>\r\n", "<a@>", "<é@b>"])
def test_what_is_no_message_id_is_refused(message_id):
    for changes in ({"message_id": message_id}, {"earlier_message_ids": (message_id,)}):
        with pytest.raises(InvalidInputError, match="Message-ID"):
            header_lines(replace(ENVELOPE, **changes), "INC-1")


def test_a_header_has_an_end():
    for changes in ({"recipient_name": "x" * 401}, {"recipient_name": "é" * 401}):
        with pytest.raises(InvalidInputError, match="too long"):
            header_lines(replace(ENVELOPE, **changes), "INC-1")
    with pytest.raises(InvalidInputError, match="too long"):
        header_lines(ENVELOPE, "x" * 401)


def test_a_date_without_an_offset_is_refused():
    with pytest.raises(InvalidInputError, match="date"):
        header_lines(replace(ENVELOPE, date=NOW.replace(tzinfo=None)), "INC-1")


def test_the_first_mail_of_a_thread_refers_to_none():
    message = read(mail(earlier_message_ids=()))
    assert message["In-Reply-To"] is None
    assert message["References"] is None


def test_a_long_thread_names_its_root_and_its_latest():
    earlier = tuple(f"<a.{number}@provider.example>" for number in range(300))
    message = read(mail(earlier_message_ids=earlier))
    references = message["References"].split()
    assert message["In-Reply-To"] == earlier[-1]
    assert references[0] == earlier[0]
    assert references[1:] == list(earlier[-19:])
    for count in (1, 2, 19, 20, 21):
        references = read(mail(earlier_message_ids=earlier[:count]))["References"].split()
        assert len(references) == min(count, 20)
        assert references[0] == earlier[0]
        assert references[-1] == earlier[count - 1]


def test_an_internationalised_address_stands_as_it_is():
    content = mail(recipient="rené@hôpital.example")
    assert "<rené@hôpital.example>".encode() in content
    # Once outside and once under the signature; nothing else of the mail is 8-bit.
    assert content.replace("rené@hôpital.example".encode(), b"").isascii()


@pytest.mark.parametrize(
    ("languages", "wanted", "chosen"),
    [(("de", "fr"), "de", "de"), (("en", "fr"), "de", "fr"), (("en", "de"), "fr", "en"), (("de",), "en", "de")],
)
def test_the_words_are_in_the_contacts_language_or_the_next_best(languages, wanted, chosen):
    renderings = tuple(replace(SEALED.renderings[0], language=language) for language in languages)
    sealed = replace(SEALED, renderings=renderings)
    assert rendering_for(sealed, wanted).language == chosen
    assert prepare_body(sealed, wanted).language == chosen


def test_without_a_signature_there_is_no_mail():
    def sign(content):
        raise SealingUnavailableError("expired")

    with pytest.raises(SealingUnavailableError):
        mail(sign=sign)
