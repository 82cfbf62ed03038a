"""Copies of one genuine mail, each saved, forwarded or changed in its own way, and the expected verdict."""

import base64
import re
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from notifications.evidence.verdict import Verdict
from notifications.mail.enveloped import encrypt_mail
from notifications.mail.mail import assemble_entity_to_encrypt, assemble_mail, prepare_body, prepare_text
from notifications.mail.parts import base64_lines
from notifications.mail.signed_mail import parse_signed_mail
from support.sealed_sample import ADDRESS, Office, body_start, write_signer
from support.smime_reader import SmimeReader

GENUINE, CHANGED, NOT_GENUINE, UNREADABLE = Verdict
EVIL = b"x@evil.example"


@dataclass
class Sample:
    """An office, one of its mails, and the parts from which the rows build copies."""

    office: Office
    mail: bytes = field(init=False)
    other: bytes = field(init=False)

    def __post_init__(self):
        self.mail = self.office.mail(self.office.seal())
        self.other = self.office.mail(self.office.seal(document={"sequence": 2}), message_id="<n.78.c1@x.example>")

    @property
    def head(self):
        return self.mail[: body_start(self.mail) - 2]

    @property
    def body(self):
        return self.mail[body_start(self.mail) - 2 :]

    @property
    def boundary(self):
        return re.search(rb'boundary="(=_signed_[0-9a-f]+)"', self.mail)[1]

    @property
    def signed(self):
        return parse_signed_mail(self.mail).signed

    @property
    def first(self):
        return b"--" + self.boundary + b"\r\n"

    @property
    def end(self):
        return b"\r\n--" + self.boundary + b"--\r\n"


def add(*lines):
    """Return a change that adds headers at the start."""
    return lambda of: b"".join(line + b"\r\n" for line in lines) + of.mail


def after(*lines):
    return lambda of: of.head + b"".join(line + b"\r\n" for line in lines) + of.body


def swap(old, new):
    """Return a change that replaces bytes in the outer headers, or else their first occurrence in the mail."""

    def change(of):
        assert old in of.mail
        return of.mail.replace(old, new, 1)

    return change


def in_signed(old, new):
    """Return a change that replaces bytes only in the signed part."""

    def change(of):
        assert old in of.signed
        return of.mail.replace(of.signed, of.signed.replace(old, new, 1), 1)

    return change


def outer(name, value):
    """Return a change that gives an outer header another value; None removes the header."""

    def change(of):
        pattern = re.compile(rb"(?m)^%s: .*\r\n(?:[ \t].*\r\n)*" % name)
        head, count = pattern.subn(lambda _: b"" if value is None else name + b": " + value + b"\r\n", of.head)
        assert count == 1
        return head + of.body

    return change


def folded(of):
    head = re.sub(rb"(?m)^(To|From): (.*)\r\n ", rb"\1:\r\n\t\2  ", of.head)
    assert head != of.head
    return head.replace(b"\r\n <n.", b" <n.") + of.body


def content_type(value):
    return lambda of: outer(b"Content-Type", value.replace(b"BOUNDARY", of.boundary))(of)


def inside(kind, before=b""):
    """Return a change that puts the whole mail into a part of another mail."""

    def change(of):
        head = outer(b"Content-Type", b'multipart/mixed; boundary="x"')(of)[: -len(of.body)]
        part = b"Content-Type: " + kind + b"\r\n\r\n" if kind else b""
        return head + b"\r\n" + before + b"--x\r\n" + part + of.mail + b"\r\n--x--\r\n"

    return change


def encrypted(of):
    reader = SmimeReader("rssi@valmont.example", of.office.now)
    entity = assemble_entity_to_encrypt(
        prepare_body(of.office.seal(), "fr"), of.office.envelope(), of.office.signer.sign_detached, "INC-2026-000042"
    )
    return encrypt_mail(entity, of.office.envelope(), "INC-2026-000042", reader.der)


def decrypted(outer_subject, stated="INC-2026-000042"):
    """Return a change to a decrypted mail, as a program stores it that keeps the outer headers."""

    def change(of):
        sign = of.office.signer.sign_detached
        entity = assemble_entity_to_encrypt(prepare_body(of.office.seal(), "fr"), of.office.envelope(), sign, stated)
        if outer_subject is None:
            return entity
        kept = outer(b"Subject", outer_subject)(of).partition(b"Auto-Submitted")[0]
        return kept + entity

    return change


def summary(signer=None):
    def change(of):
        prepared = prepare_text("INC-2026-000042", "There is a notice.\n", "en")
        sign = signer(of) if signer else of.office.signer.sign_detached
        return assemble_mail(prepared, of.office.envelope(), sign)

    return change


def stranger(of):
    """Return a signing function whose certificate the CA did not issue."""
    return lambda content: _signed_by(content, SmimeReader(ADDRESS, of.office.now, bits=3072))


def _signed_by(content, reader):
    certificate = x509.load_der_x509_certificate(reader.der)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(certificate, reader.key, hashes.SHA256())
    return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary])


def signature_of_other(of):
    own, other = (base64_lines(parse_signed_mail(mail).signature) for mail in (of.mail, of.other))
    return of.mail.replace(own, other)


def parts_swapped(of):
    _, signed, signature, _ = re.split(rb"(?:\r\n)?--" + of.boundary + rb"(?:--)?\r\n", of.body[2:])
    return of.head + b"\r\n" + of.first + signature + b"\r\n" + of.first + signed + of.end


def sections_swapped(of):
    """Return the mail with its two attachments in reverse order."""
    mixed = re.search(rb"--=_mixed_[0-9a-f]+\r\n", of.signed)[0]
    words, *files = of.signed.split(mixed)[1:]
    files[0], files[1] = files[1], files[0]
    start = of.signed[: of.signed.index(mixed)]
    return of.mail.replace(of.signed, start + mixed + mixed.join([words, *files]))


def signature_lines(width, *, spaces=b""):
    def change(of):
        signature = base64.b64encode(parse_signed_mail(of.mail).signature)
        lines = [signature[start : start + width] for start in range(0, len(signature), width)]
        old = base64_lines(parse_signed_mail(of.mail).signature)
        return of.mail.replace(old, (spaces + b"\r\n").join(lines))

    return change


def bare_lf(where):
    def change(of):
        position = of.mail.index(b"\r\n", of.mail.index(where))
        return of.mail[:position] + of.mail[position + 1 :]

    return change


def passed_on(of):
    """Return the notice inside a mail of another sender that the same CA certified."""
    signer = write_signer(of.office, of.office.files.trust.parent / "evil", address="x@evil.example")
    return of.office.mail(of.office.seal(), sign=signer.sign_detached, sender="x@evil.example")


def named(sender_name):
    return lambda of: _signed_name(of, sender_name)


def _signed_name(of, name):
    """Return a mail that the provider signed, with another name in From, both in the inner and the outer header."""
    signed = re.sub(
        rb"(?m)^From: .*\r\n .*\r\n", lambda _: b'From: "' + name + b'"\r\n <soc@provider.example>\r\n', of.signed
    )
    old = parse_signed_mail(of.mail)
    mail = outer(b"From", b'"' + name + b'"\r\n <soc@provider.example>')(of)
    new = base64_lines(of.office.signer.sign_detached(signed))
    return mail.replace(old.signed, signed).replace(base64_lines(old.signature), new)


SIGNED_TYPE = b'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="BOUNDARY"'
MBOX = b"From soc@provider.example Mon Mar  2 09:30:00 2026"
SIGNATURE = b'application/pkcs7-signature; name="smime.p7s"'
ORDERED = b'multipart/signed; micalg=SHA-256; boundary="BOUNDARY";\r\n\tprotocol="Application/PKCS7-Signature"'
FIELD_NAME = re.compile(rb"(?m)^[A-Z][A-Za-z-]+:")
FIELD = re.compile(rb"(?m)^[!-9;-~]+:.*\r\n(?:[ \t].*\r\n)*")
RESOURCES = re.compile(rb"--=_mixed_[0-9a-f]+\r\nContent-Type: text/csv(?:.|\r\n)*?(?=--=_mixed)")
SIGNATURE_PART = re.compile(rb"\r\n--=_signed_[0-9a-f]+\r\nContent-Type: application/pkcs7(?:.|\r\n)*(?=\r\n--)")
TEXT_PART = b"Content-Type: text/plain\r\n\r\nx"


def capitals(of):
    return FIELD_NAME.sub(lambda found: found[0].upper(), of.head) + of.body


def small_letters(of):
    return FIELD_NAME.sub(lambda found: found[0].lower(), of.head) + of.body


def sorted_headers(of):
    return b"".join(sorted(FIELD.findall(of.head))) + of.body


def without(pattern):
    def change(of):
        changed = pattern.sub(b"", of.mail)
        assert changed != of.mail
        return changed

    return change


def part_before(part):
    return lambda of: of.mail.replace(of.first, of.first + part(of) + b"\r\n" + of.first, 1)


def words_about_a_signed_part(of):
    return outer(b"Content-Type", b"text/plain")(of).partition(of.body)[0] + b"\r\nContent-Type: " + SIGNED_TYPE


def last_letter(of):
    position = len(of.mail) - 70
    return of.mail[:position] + bytes([of.mail[position] ^ 1]) + of.mail[position + 1 :]


# Each row: what it is, the change, the verdict, and a word of the reason ("" if there is none).
HARMLESS = [
    ("as it was sent", lambda of: of.mail),
    ("LF line ends", lambda of: of.mail.replace(b"\r\n", b"\n")),
    ("a line of an mbox", add(MBOX)),
    ("a line of an mbox with a zone, LF", lambda of: (MBOX + b" +0100\r\n" + of.mail).replace(b"\r\n", b"\n")),
    ("a line of a program's mbox", add(b"From - Mon Mar 02 09:30:00 2026")),
    ("no final line end", lambda of: of.mail.removesuffix(b"\r\n")),
    ("no final line end, LF", lambda of: of.mail.replace(b"\r\n", b"\n").removesuffix(b"\n")),
    ("blank lines after the end", lambda of: of.mail + b"\r\n\r\n\r\n"),
    (
        "Received and Return-Path",
        add(b"Return-Path: <b@provider.example>", b"Received: from a by b;\r\n\tMon, 2 Mar 2026"),
    ),
    (
        "DKIM, ARC and results",
        add(b"DKIM-Signature: v=1; d=x;\r\n b=abc", b"ARC-Seal: i=1", b"Authentication-Results: x; spf=pass"),
    ),
    ("headers of a spam filter, not in UTF-8", add(b"X-Spam-Report: caf\xe9", b"X-Spam-Flag: NO")),
    ("a list's identifier", add(b"List-Id: <soc.valmont.example>")),
    ("a mail store's length and state", after(b"Content-Length: 15000", b"Status: RO", b"X-Status: A")),
    ("headers after the others", after(b"X-Priority: 3", b"Thread-Index: AQH")),
    ("addresses and references folded otherwise", folded),
    ("names of headers in capitals", capitals),
    ("names of headers in small letters", small_letters),
    ("no Auto-Submitted", outer(b"Auto-Submitted", None)),
    ("headers in another order", sorted_headers),
    ("an empty Cc", add(b"Cc:")),
    ("an empty Reply-To", after(b"Reply-To: ")),
    ("Multipart/Signed", content_type(SIGNED_TYPE.replace(b"multipart/signed", b"Multipart/Signed"))),
    ("micalg in quotes", content_type(SIGNED_TYPE.replace(b"sha-256", b'"sha-256"'))),
    ("micalg sha256", content_type(SIGNED_TYPE.replace(b"sha-256", b"sha256"))),
    ("parameters in another order", content_type(ORDERED)),
    ("parameters without space", content_type(SIGNED_TYPE.replace(b"; ", b";"))),
    ("an identity transfer encoding", after(b"Content-Transfer-Encoding: 8bit")),
    ("decrypted, without outer headers", decrypted(None)),
    ("decrypted, with the outer headers it states", decrypted(b"INC-2026-000042")),
]

CHANGED_OUTSIDE = [
    ("a mark before the subject", lambda of: of.mail.replace(b"Subject: ", b"Subject: [EXT] ", 1), "header Subject"),
    ("another subject", outer(b"Subject", b"Nothing happened"), "header Subject"),
    ("no subject", outer(b"Subject", None), "header Subject"),
    ("two subjects", add(b"Subject: Nothing happened"), "header subject twice"),
    ("another sender", outer(b"From", b"SOC <x@evil.example>"), "header From"),
    ("two senders", after(b"From: SOC <x@evil.example>"), "header from twice"),
    ("a control character in a header", add(b"X-Other: a\x0cSubject: Nothing happened"), "control character"),
    ("a blank line in a folded header", add(b"X-Other: a\r\n ", b" b"), "blank line"),
    ("a line that is no header", add(b"Nothing happened"), "is no header"),
    ("two senders in one header", outer(b"From", b"SOC <soc@provider.example>, x@evil.example"), "header From"),
    ("no sender", outer(b"From", None), "header From"),
    ("another recipient", outer(b"To", b"dpo@valmont.example"), "header To"),
    ("another date", outer(b"Date", b"Mon, 02 Mar 2020 09:30:00 +0000"), "header Date"),
    ("another Message-ID", outer(b"Message-ID", b"<x@x.example>"), "header Message-ID"),
    ("another thread", outer(b"In-Reply-To", b"<x@x.example>"), "header In-Reply-To"),
    ("no references", outer(b"References", None), "header References"),
    ("Reply-To", add(b"Reply-To: " + EVIL), "reply-to"),
    ("Reply-To, folded", after(b"Reply-To:\r\n " + EVIL), "reply-to"),
    ("Sender", add(b"Sender: " + EVIL), "sender"),
    ("Cc", add(b"Cc: " + EVIL), "cc"),
    *(
        (name.decode(), add(name + b": " + EVIL), name.decode().lower())
        for name in (
            b"List-Post",
            b"List-Unsubscribe",
            b"Mail-Copies-To",
            b"Followup-To",
            b"Mail-Followup-To",
            b"Mail-Reply-To",
            b"Disposition-Notification-To",
            b"Return-Receipt-To",
            b"Resent-From",
            b"Resent-To",
            b"Resent-Sender",
            b"Errors-To",
            b"Author",
            b"Bcc",
        )
    ),
    ("Content-Disposition", after(b'Content-Disposition: attachment; filename="x.html"'), "content-disposition"),
    ("Content-Description", after(b"Content-Description: x"), "content-description"),
    ("a transfer encoding that is none", after(b"Content-Transfer-Encoding: x-none"), "content-transfer-encoding"),
    ("another version of MIME", swap(b"MIME-Version: 1.0", b"MIME-Version: 2.0"), "MIME 1.0"),
    ("one bare LF in the headers", bare_lf(b"Subject:"), "line ends"),
    ("one bare LF in the signed part", bare_lf(b"text/plain"), "line ends"),
    ("one bare LF in the signature", bare_lf(b'filename="smime.p7s"'), "line ends"),
    (
        "text before the signed part",
        lambda of: of.head + b"\r\nNothing happened.\r\n" + of.body[2:],
        "before its signed part",
    ),
    ("dashes before the signed part", lambda of: of.head + b"\r\n-- \r\nNothing.\r\n" + of.body[2:], "before its"),
    ("text after the end", lambda of: of.mail + b"P.S.\r\n", "after its end"),
    (
        "the next mail of an mbox after the end",
        lambda of: of.mail + b"\r\n" + MBOX + b"\r\n" + of.other,
        "after its end",
    ),
    (
        "white space after a boundary",
        lambda of: of.mail.replace(of.first, of.first[:-2] + b" \r\n", 1),
        "after a boundary",
    ),
    ("a signature in lines of 64", signature_lines(64), "signature part"),
    ("another name of the signature", swap(b'name="smime.p7s"', b'name="sig.p7s"'), "signature part"),
    ("the older type of the signature", swap(SIGNATURE, b"application/x-pkcs7" + SIGNATURE[17:]), "signature part"),
    ("another parameter", content_type(SIGNED_TYPE + b"; x=y"), "announced"),
    ("another boundary after it", content_type(SIGNED_TYPE + b'; boundary="x"'), "announced"),
    ("micalg sha-1", content_type(SIGNED_TYPE.replace(b"sha-256", b"sha-1")), "announced"),
    ("the older protocol", content_type(SIGNED_TYPE.replace(b"/pkcs7", b"/x-pkcs7")), "announced"),
    ("decrypted, with another outer subject", decrypted(b"Nothing happened"), "header Subject"),
]

NOT_TRUE = [
    ("a letter of the words", in_signed(b"pool", b"pooL"), "not what was signed"),
    ("a protected header", in_signed(b"Message-ID: <n.77", b"Message-ID: <n.78"), "not what was signed"),
    ("a header inside and outside alike", lambda of: of.mail.replace(b"<n.77.c1", b"<n.78.c1"), "not what was signed"),
    ("the protected sender's name", in_signed(b"\r\n <soc@", b"\r\n =?utf-8?q?x?= <soc@"), "not what was signed"),
    ("white space at the end of a line", in_signed(b"quoted-printable\r\n", b"quoted-printable \r\n"), ""),
    ("a bare CR in the signed part", in_signed(b"pool", b"po\rol"), "not what was signed"),
    ("a blank line less", in_signed(b"\r\n\r\n--=_alt", b"\r\n--=_alt"), ""),
    ("a list of resources left out", without(RESOURCES), ""),
    ("attachments in another order", sections_swapped, "not what was signed"),
    (
        "a letter of an attachment",
        in_signed(b'filename="notice.json"\r\n\r\ney', b'filename="notice.json"\r\n\r\nez'),
        "",
    ),
    (
        "text added to the signed part",
        lambda of: of.mail.replace(b"--\r\n\r\n--=_signed", b"--\r\n\r\nP.S.\r\n--=_signed"),
        "",
    ),
    ("a footer in the words", lambda of: of.mail.replace(b"\r\n--=_alt", b"\r\nScanned by x\r\n--=_alt", 2), ""),
    ("the signature of another notice", signature_of_other, "not what was signed"),
    (
        "the signed part of another notice",
        lambda of: of.mail.replace(of.signed, parse_signed_mail(of.other).signed),
        "not what was signed",
    ),
    ("a part before the signed one", part_before(lambda of: TEXT_PART), "exactly"),
    (
        "a part after the signature",
        lambda of: of.mail.replace(of.end, b"\r\n" + of.first + TEXT_PART + of.end),
        "exactly",
    ),
    ("a second signed part", part_before(lambda of: parse_signed_mail(of.other).signed), "exactly"),
    ("the signature first", parts_swapped, "another form"),
    ("no signature", without(SIGNATURE_PART), "exactly"),
    (
        "a signature that is no base64",
        lambda of: of.mail.replace(b'filename="smime.p7s"\r\n\r\n', b'filename="smime.p7s"\r\n\r\n*'),
        "base64",
    ),
    ("a letter of the signature", last_letter, ""),
    ("no Content-Type", outer(b"Content-Type", None), "content-type"),
    ("two Content-Types", add(b"Content-Type: text/plain"), "content-type twice"),
    ("multipart/mixed", content_type(b'multipart/mixed; boundary="BOUNDARY"'), "multipart/signed"),
    ("no boundary", content_type(SIGNED_TYPE.partition(b"; boundary")[0]), "boundary"),
    ("another boundary before it", content_type(SIGNED_TYPE.replace(b"; micalg", b'; boundary="x"; micalg')), ""),
    ("signed by a stranger", lambda of: of.office.mail(of.office.seal(), sign=stranger(of)), ""),
    ("a summary signed by a stranger", summary(stranger), ""),
    ("words that name a signed part", words_about_a_signed_part, "multipart/signed"),
    ("words only", lambda of: b"Subject: INC-2026-000042\r\n\r\nThere is a notice.\r\n", "content-type"),
    ("nothing", lambda of: b"", "content-type"),
]

#: Not checked with OpenSSL: it does not compare the sender with the certificate, and does not know notices.
NOT_TRUE_OF_A_NOTICE = [
    ("sent by another holder of a certificate", passed_on, "not signed by x@evil.example"),
    ("another address in the signed name of the sender", named(b"Sovereign Cloud x@evil.example"), "another address"),
    ("a subject of another notice, signed", lambda of: of.office.mail(of.office.seal(document={"sequence": 7})), "#7"),
]

AS_SAVED = [
    ("encrypted", encrypted, "decrypt it first"),
    ("encrypted, from an mbox", lambda of: MBOX + b"\r\n" + encrypted(of), "decrypt it first"),
    ("cut off in the signature", lambda of: of.mail[:-400], "cut off"),
    ("cut off in the words", lambda of: of.mail[: body_start(of.mail) + 900], "cut off"),
    ("headers only", lambda of: of.head + b"\r\n", "cut off"),
    ("in another mail, as attached", inside(b"message/rfc822"), "inside another one"),
    ("in another mail, with text before", inside(b"", b"--x\r\n\r\nA footer.\r\n"), "inside another one"),
    ("in Outlook's own format", lambda of: bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 500, ".eml"),
    ("in UTF-16", lambda of: of.mail.decode().encode("utf-16"), ".eml"),
    ("in the format that some servers make", content_type(b"application/ms-tnef"), ".eml"),
]

ROWS = (
    [(name, make, GENUINE, "", True) for name, make in HARMLESS]
    + [(name, make, CHANGED, reason, True) for name, make, reason in CHANGED_OUTSIDE]
    + [(name, make, NOT_GENUINE, reason, True) for name, make, reason in NOT_TRUE]
    + [(name, make, NOT_GENUINE, reason, False) for name, make, reason in NOT_TRUE_OF_A_NOTICE]
    + [(name, make, UNREADABLE, reason, True) for name, make, reason in AS_SAVED]
    # Its signature is genuine, but it contains no notice.
    + [("a summary", summary(), UNREADABLE, "summary", False)]
)
