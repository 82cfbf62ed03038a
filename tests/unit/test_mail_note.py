"""The mail's own words beside the sealed ones: read where they stand, signed with the mail, never the notice's."""

import shutil
import subprocess
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest

from notifications.canonical_json import timestamp_text
from notifications.evidence.verification import MAIL_AGREES, MAIL_SIGNATURE
from notifications.mail.parts import NOTE_NAME
from notifications.mail.signed_copy import STRUCTURE
from notifications.mail.signed_mail import parse_signed_mail
from notifications.wording.acknowledging import invitation
from support.sealed_sample import Office, assemble_notice_mail, refused, resigned, steps_of_mail

LINK = "https://greffier.example/acknowledge/" + "Az09_-" * 10
AT = timestamp_text(datetime(2026, 4, 1, 9, 30, tzinfo=UTC))


def note(language="fr", wanted_by=AT):
    return invitation(
        language,
        ticket="INC-2026-000001",
        sequence=2,
        link=LINK,
        expires_at=timestamp_text(datetime(2026, 5, 2, 7, 0, tzinfo=UTC)),
        wanted_by=wanted_by,
        time_zone="Europe/Paris",
    )


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def sealed(office):
    return office.seal()


def mail_of(office, sealed, text):
    return assemble_notice_mail(
        sealed=sealed, language="fr", envelope=office.envelope(), sign=office.signer.sign_detached, note=text
    )


@pytest.fixture(scope="module")
def mail(office, sealed):
    return mail_of(office, sealed, note())


def note_part(mail):
    """Return the bytes of the note with the delimiter before it."""
    end = mail.index(b"filename=" + f'"{NOTE_NAME}"'.encode())
    start = mail.rindex(b"--=_mixed", 0, end)
    return mail[start : mail.index(b"--=_mixed", end)]


def test_it_is_read_after_the_words_and_before_the_attachments(mail):
    parts = [part for part in message_from_bytes(mail, policy=default).walk() if not part.is_multipart()]
    assert [part.get_filename() for part in parts[:4]] == [None, None, NOTE_NAME, "notice.json"]
    shown = parts[2]
    assert (shown.get_content_disposition(), shown["Content-Language"]) == ("inline", "fr")
    assert shown.get_content().replace("\r\n", "\n") == note()


def test_a_mail_with_it_verifies_and_says_what_it_is(office, sealed, mail):
    *_, agrees, _, _ = steps_of_mail(mail, office.trust)
    assert agrees.step == MAIL_AGREES
    assert "the request to acknowledge beside them is the mail's own, and not sealed" in agrees.finding
    plain = steps_of_mail(office.mail(sealed), office.trust)
    assert all("acknowledge" not in passed.finding for passed in plain)
    assert parse_signed_mail(mail).note == note().encode()
    assert parse_signed_mail(office.mail(sealed)).note is None


def test_the_words_of_the_notice_are_untouched_by_it(office, sealed, mail):
    assert parse_signed_mail(mail).texts == parse_signed_mail(office.mail(sealed)).texts


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_takes_it(office, mail, tmp_path):
    (tmp_path / "mail.eml").write_bytes(mail)
    command = ["openssl", "cms", "-verify", "-in", "mail.eml", "-CAfile", office.files.trust / "ca.pem"]
    checked = subprocess.run(
        [*command, "-purpose", "smimesign", "-out", "out"], cwd=tmp_path, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_a_changed_or_missing_link_is_seen(office, mail):
    encoded = mail[mail.index(b"https://greffier.example/acknowledge/") :][:40]
    for changed in (
        mail.replace(encoded, encoded.replace(b"greffier", b"grefffer")),
        mail.replace(note_part(mail), b""),
    ):
        assert changed != mail
        refused(MAIL_SIGNATURE, steps_of_mail, changed, office.trust)


def moved_to_the_end(signed):
    part = note_part(signed)
    end = signed.rindex(b"--=_mixed")
    return (signed[:end] + part + signed[end:]).replace(part, b"", 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda signed: signed.replace(note_part(signed), note_part(signed) * 2),
        lambda signed: signed.replace(NOTE_NAME.encode(), b"readme.txt"),
        lambda signed: signed.replace(b"Content-Disposition: inline", b"Content-Disposition: attachment"),
        lambda signed: signed.replace(
            note_part(signed), note_part(signed).replace(b"Content-Language: fr", b"Content-Language: de")
        ),
        moved_to_the_end,
    ],
    ids=["twice", "another name", "a file", "another language", "elsewhere"],
)
def test_in_any_other_form_it_is_refused(office, mail, change):
    refused(STRUCTURE, steps_of_mail, resigned(office, mail, change), office.trust)


@pytest.mark.parametrize(
    ("language", "said", "wanted"),
    [
        ("en", "Opening the page confirms nothing", "by 1 April 2026, 11:30"),
        ("fr", "Ouvrir la page ne confirme rien", "avant le 1er avril 2026 à 11:30"),
        ("de", "Das Öffnen der Seite bestätigt nichts", "bis zum 1. April 2026, 11:30"),
    ],
)
def test_it_says_what_the_link_does_and_by_when_it_is_wanted(language, said, wanted):
    text = note(language)
    assert said in text
    assert wanted in text
    assert text.splitlines().count(LINK) == 1
    assert wanted not in note(language, wanted_by=None)
