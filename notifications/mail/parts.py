"""Names, headers and lines of the parts of a notice mail: what the builder writes and a verifier accepts.

Apart from the builder, so that a verifier does not load the words, agreements and decisions of a notice.
"""

import base64

#: Attachment names, in the order of the mail.
DOCUMENT_NAME = "notice.json"
SIGNATURE_NAME = "notice.json.p7s"
TIMESTAMP_NAME = "notice.json.tsr"
PROOF_NAME = "notice.tlog-proof"
RESOURCES_NAME = "resources.csv"
#: The same words on paper, if the provider attaches them; it has a signature of its own.
PDF_NAME = "notice.pdf"
#: File name of the mail's own text, for programs that display every part except the first as a file.
NOTE_NAME = "acknowledge.txt"

#: Media type of each attachment.
ATTACHMENT_TYPES = {
    DOCUMENT_NAME: "application/json",
    SIGNATURE_NAME: "application/pkcs7-signature",
    TIMESTAMP_NAME: "application/timestamp-reply",
    PROOF_NAME: "application/octet-stream",
    RESOURCES_NAME: "text/csv; charset=utf-8",
    PDF_NAME: "application/pdf",
}
#: Headers that are also in the signed part. A verifier compares them with the outer ones.
PROTECTED_HEADERS = ("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References")
#: The exact header of the signature part. It is not signed, so a verifier accepts only this form.
SIGNATURE_PART_HEADER = (
    b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
    b"Content-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="smime.p7s"\r\n'
    b"\r\n"
)


def note_header(language: str) -> bytes:
    """Return the exact header of the note part. A verifier accepts only this form for each language."""
    header = (
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Language: {language}\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        f'Content-Disposition: inline; filename="{NOTE_NAME}"'
    )
    return header.encode()


def base64_lines(content: bytes) -> bytes:
    """Return base64 in lines of 76 characters that end in CRLF; the last line has no line end."""
    encoded = base64.b64encode(content)
    return b"\r\n".join(encoded[start : start + 76] for start in range(0, len(encoded), 76))
