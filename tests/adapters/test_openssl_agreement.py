"""A second verifier that shares no code with ours: OpenSSL takes what we seal, and refuses what was changed."""

import subprocess
from email import message_from_bytes
from email.policy import default

import pytest

from support.sealed_sample import Office

LANGUAGES = ("de", "en", "fr")


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def sealed(office):
    return office.seal()


@pytest.fixture
def openssl(office, tmp_path):
    """Return the exit code of the commands that a mail and README tell, run over bytes."""

    def run(*words, **files):
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        words = [str(tmp_path / word) if word in files else word for word in words]
        return subprocess.run(["openssl", *words], capture_output=True, check=False, timeout=60)

    class Commands:
        ca, tsa = str(office.files.trust / "ca.pem"), str(office.files.trust / "tsa.pem")

        def mail(self, mail):
            out = str(tmp_path / "out")
            ran = run(
                "cms", "-verify", "-in", "mail", "-CAfile", self.ca, "-purpose", "smimesign", "-out", out, mail=mail
            )
            return ran.returncode, (tmp_path / "out").read_bytes() if ran.returncode == 0 else ran.stderr

        def document(self, document, signature):
            return run(
                "cms", "-verify", "-binary", "-inform", "DER", "-in", "signature", "-content", "document",
                "-CAfile", self.ca, "-purpose", "smimesign", "-out", "/dev/null",
                document=document, signature=signature,
            ).returncode  # fmt: skip

        def timestamp(self, token, signature):
            return run(
                "ts", "-verify", "-in", "token", "-data", "signature", "-CAfile", self.tsa,
                token=token, signature=signature,
            ).returncode  # fmt: skip

    return Commands()


def changed(data, position):
    flipped = bytearray(data)
    flipped[position] ^= 1
    return bytes(flipped)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("timestamped", [True, False])
def test_every_mail_is_taken_and_what_is_shown_is_what_was_signed(office, openssl, language, timestamped):
    mail = office.mail(office.seal(token=timestamped, languages=LANGUAGES), language)
    code, shown = openssl.mail(mail)
    assert code == 0, shown
    boundary = b"\r\n--" + message_from_bytes(mail, policy=default).get_boundary().encode()
    assert shown == mail.split(boundary)[1].removeprefix(b"\r\n")


def test_a_threaded_mail_to_an_address_in_unicode_with_a_table_is_taken(office, sealed, openssl):
    mail = office.mail(
        sealed,
        recipient="zoë@exämple.example",
        recipient_name='"; , <x@y>',
        earlier_message_ids=tuple(f"<n{number}@provider.example>" for number in range(40)),
    )
    code, shown = openssl.mail(mail)
    assert code == 0, shown


def test_a_mail_saved_with_lf_is_taken(office, sealed, openssl):
    code, shown = openssl.mail(office.mail(sealed).replace(b"\r\n", b"\n"))
    assert code == 0, shown


def test_files_are_taken(sealed, openssl):
    assert openssl.document(sealed.document, sealed.signature) == 0
    assert openssl.timestamp(sealed.timestamp, sealed.signature) == 0


def test_a_changed_mail_is_refused(office, sealed, openssl):
    mail = office.mail(sealed)
    start, end = mail.index(b"Content-Type: multipart/mixed"), mail.index(b'name="smime.p7s"')
    for position in (start + 40, mail.index(b"Subject: ", start) + 12, (start + end) // 2, end - 400):
        assert openssl.mail(changed(mail, position))[0] != 0, position
    # Inside of the base64 of the signature value, which stands last in the DER.
    position = mail.rindex(b"\r\n--=_signed_") - 20
    assert openssl.mail(changed(mail, position))[0] != 0


def test_changed_files_are_refused(sealed, openssl):
    for position in (0, len(sealed.document) // 2, len(sealed.document) - 1):
        assert openssl.document(changed(sealed.document, position), sealed.signature) != 0
    for position in (5, len(sealed.signature) // 2, len(sealed.signature) - 3):
        assert openssl.document(sealed.document, changed(sealed.signature, position)) != 0
        assert openssl.timestamp(sealed.timestamp, changed(sealed.signature, position)) != 0
    for position in (5, len(sealed.timestamp) // 2, len(sealed.timestamp) - 3):
        assert openssl.timestamp(changed(sealed.timestamp, position), sealed.signature) != 0


def test_a_stranger_s_seal_is_refused(tmp_path, openssl):
    other = Office(tmp_path)
    foreign = other.seal()
    assert openssl.mail(other.mail(foreign))[0] != 0
    assert openssl.document(foreign.document, foreign.signature) != 0
    assert openssl.timestamp(foreign.timestamp, foreign.signature) != 0
