"""Attacks on the verifier that need a reader's habits, another genuine notice, or a key: none of them passes."""

import base64
import itertools
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from notifications.errors import VerificationError
from notifications.evidence.verification import (
    CHECKPOINT,
    DOCUMENT,
    MAIL_AGREES,
    NoticeFiles,
    parse_trust,
)
from support.sealed_sample import ADDRESS, Office, files_of, steps_of_files, steps_of_mail

STRUCTURE = "structure"
NAME = "Sovereign Cloud"


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def sealed(office):
    return office.seal()


@pytest.fixture(scope="module")
def mail(office, sealed):
    return office.mail(sealed, sender_name=NAME, recipient_name="Zoe")


def refused(step, verify, *arguments):
    with pytest.raises(VerificationError) as caught:
        verify(*arguments)
    assert step in {None, caught.value.step}, caught.value
    return caught.value.reason


# -- what a reader's program shows, and where its answers go


def word(text):
    return f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?="


HIDDEN = [
    word(f'"{NAME}" <{ADDRESS}>'),
    f"{word(chr(34) + NAME + chr(34) + ' ')} {word('<' + ADDRESS + '>')}",
    f'"{NAME}" {word("<" + ADDRESS + ">")}',
]


@pytest.mark.parametrize("value", HIDDEN)
def test_an_address_that_is_only_decoded_is_none(office, mail, value):
    """Decoded, these read like the From under the signature; a reader's program finds no address in them."""
    outer = f'From: "{NAME}"\r\n <{ADDRESS}>\r\n'.encode()
    assert mail.startswith(outer)
    for changed in (f"From: {value}\r\n", f"From: {value.replace(' ', chr(13) + chr(10) + ' ')}\r\n"):
        refused(MAIL_AGREES, steps_of_mail, mail.replace(outer, changed.encode(), 1), office.trust)


def test_the_same_holds_for_the_recipient(office, mail):
    outer = b'To: "Zoe"\r\n <rssi@valmont.example>\r\n'
    hidden = word('"Zoe" <rssi@valmont.example>')
    changed = mail.replace(outer, f"To: {hidden}\r\n".encode(), 1)
    assert changed != mail
    refused(MAIL_AGREES, steps_of_mail, changed, office.trust)


def test_a_relay_may_fold_an_address_otherwise(office, mail):
    outer = f'From: "{NAME}"\r\n <{ADDRESS}>\r\n'.encode()
    for changed in (f'From: "{NAME}" <{ADDRESS}>\r\n', f'From:  "{NAME}"\r\n\t\t<{ADDRESS}> \r\n'):
        assert len(steps_of_mail(mail.replace(outer, changed.encode(), 1), office.trust)) == 9


@pytest.mark.parametrize(
    "header", ["Reply-To", "Mail-Reply-To", "Mail-Followup-To", "mail-followup-to", "Sender", "Cc", "Bcc"]
)
def test_nothing_unsigned_says_where_answers_go(office, mail, header):
    name, _, rest = mail.partition(b"\r\nMIME-Version")
    for changed in (
        f"{header}: x@evil.example\r\n".encode() + mail,
        name + f"\r\n{header}:\r\n x@evil.example".encode() + b"\r\nMIME-Version" + rest,
    ):
        assert header.lower() in refused(STRUCTURE, steps_of_mail, changed, office.trust)


# -- parts of two genuine notices


def test_no_part_of_another_genuine_notice_fits(office, sealed):
    other = files_of(office.seal(document={"issued_at": "2026-03-02T10:00:00.000000Z"}, csv=b"other"))
    own = files_of(sealed)
    names = ("document", "signature", "timestamp", "proof", "resources_csv")
    for chosen in itertools.product((own, other), repeat=len(names)):
        mixed = NoticeFiles(**{name: getattr(source, name) for name, source in zip(names, chosen, strict=True)})
        if mixed in {own, other}:
            assert len(steps_of_files(mixed, office.trust)) == 6
        else:
            refused(None, steps_of_files, mixed, office.trust)


def test_the_log_s_key_under_another_origin_is_another_log(office, sealed):
    key = replace(office.trust.log_keys[0], name="other.example/greffier")
    refused(CHECKPOINT, steps_of_files, files_of(sealed), replace(office.trust, log_keys=(key,)))


def test_a_root_that_stands_twice_in_a_trust_file_is_one_root(office, sealed):
    read = (office.files.trust / "ca.pem").read_bytes(), (office.files.trust / "tsa.pem").read_bytes()
    trust = parse_trust(read[0] * 2, read[1] * 2, (office.files.trust / "log.vkey").read_text())
    assert len(steps_of_files(files_of(sealed), trust)) == 6


# -- what the provider's own key signs


@pytest.fixture(scope="module")
def untimed(office):
    """A sealed notice whose timestamp follows, without a list of resources."""
    return office.seal(csv=None, token=False)


def over(office, untimed, document):
    """Return files whose document, of any bytes, is signed; the log holds another one."""
    return replace(files_of(untimed), document=document, signature=office.signer.sign_detached(document))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace('{"', '{"schema":"greffier.notice/1","', 1),
        lambda text: text.replace('"sequence":1', '"sequence":1,"sequence":2'),
        lambda text: text.replace('"sequence":1', '"sequence":1.0'),
        lambda text: text.replace('"sequence":1', '"sequence": 1'),
        lambda text: text.replace('"initial"', '"\\u0069nitial"'),
        lambda text: json.dumps(dict(reversed(json.loads(text).items())), separators=(",", ":"), ensure_ascii=False),
        lambda text: text + "\n",
        lambda text: "\ufeff" + text,
        lambda text: "null",
        lambda text: "[" * 5000 + "]" * 5000,
        lambda text: "1" * 5000,
    ],
    ids=["schema twice", "sequence twice", "a float", "a space", "an escape", "another order", "a line feed",
         "a byte order mark", "null", "deep", "a long number"],
)  # fmt: skip
def test_json_that_two_readers_could_read_differently_is_refused_though_signed(office, untimed, spoil):
    document = untimed.document.decode()
    spoilt = spoil(document)
    assert spoilt != document
    refused(DOCUMENT, steps_of_files, over(office, untimed, spoilt.encode()), office.trust)


def test_words_are_committed_to_once(office, sealed):
    renderings = json.loads(sealed.document)["renderings"]
    for wrong in (
        [*renderings, renderings[0] | {"sha256": "00" * 32}],
        [renderings[0] | {"sha256": "é" * 64}, *renderings[1:]],
        [renderings[0] | {"sha256": None}, *renderings[1:]],
        [renderings[0] | {"language": 1}, *renderings[1:]],
        {"fr": renderings[0]},
    ):
        carried = office.mail(office.seal(document={"renderings": wrong}, token=False))
        assert "renderings" in refused(DOCUMENT, steps_of_mail, carried, office.trust)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)
MEMBERS = ("notice_id", "incident_id", "ticket", "sequence", "kind", "facts_version", "tlp", "effect", "renderings")


@given(st.sampled_from(MEMBERS), JSON)
def test_whatever_the_provider_signs_is_verified_or_refused(office, member, value):
    """No step fails otherwise than with its error, also where a member has any other type."""
    carried = office.mail(office.seal(document={member: value}, token=False))
    with suppress(VerificationError):
        steps_of_mail(carried, office.trust)


# -- certificates that nobody issued


def test_no_malformed_certificate_ends_the_verifier(office, sealed):
    """Every byte of a certificate once, under a signature that its key really made: refused, and nothing else raised.

    Nobody needs a CA for it, so that this is what a stranger can feed to the verifier.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = homemade(key).public_bytes(Encoding.DER)
    tried = 0
    for position in range(len(certificate)):
        broken = bytearray(certificate)
        broken[position] ^= 1 << (position % 8)
        try:
            # What the library does not even read it does not sign with.
            leaf = x509.load_der_x509_certificate(bytes(broken))
            builder = pkcs7.PKCS7SignatureBuilder().set_data(sealed.document).add_signer(leaf, key, hashes.SHA256())
            signature = builder.sign(Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary])
        except (ValueError, TypeError, x509.InvalidVersion, CryptographyDeprecationWarning):
            continue
        tried += 1
        refused(None, steps_of_files, replace(files_of(sealed), signature=signature), office.trust)
        if position % 5 == 0:
            refused(None, steps_of_mail, office.mail(sealed, sign=lambda _, made=signature: made), office.trust)
    assert tried > 100


def homemade(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stranger")])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(at)
        .not_valid_after(at + timedelta(days=3650))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(ADDRESS)]), critical=False)
        .sign(key, hashes.SHA256())
    )
