"""Verify a PDF of the provider offline, in numbered steps: its signature by pyHanko, and the embedded notice or report.

As for a mail, the caller must get the trust anchors separately. *Not* checked: whether a certificate was revoked; the
rules of PDF/A; that the words on the pages are those of the document, which the provider's signature over both states.
"""

import hashlib
import io
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from asn1crypto import tsp
from asn1crypto import x509 as asn1_x509
from asn1crypto.parser import peek
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.embed import EmbeddedFileObject
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.validation import EmbeddedPdfSignature, validate_pdf_signature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import PdfSignatureStatus, SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from notifications.crypto.timestamps import verify_timestamp
from notifications.errors import VerificationError
from notifications.evidence.verification import FILE_STEPS, NoticeFiles, Trust, VerifiedStep, verify_notice_files
from notifications.mail.parts import (
    DOCUMENT_NAME,
    PROOF_NAME,
    RESOURCES_NAME,
    SIGNATURE_NAME,
    TIMESTAMP_NAME,
)
from notifications.mail_address import normal_address
from service.notice_pdf.embedded import STRUCTURE

# The library logs each failure with its traceback. Here a failure is a verdict, which the caller reports.
logging.getLogger("pyhanko").setLevel(logging.CRITICAL)
logging.getLogger("pyhanko_certvalidator").setLevel(logging.CRITICAL)

PDF_TIMESTAMP, PDF_SIGNATURE = "PDF timestamp", "PDF signature"
#: The steps in the order in which they run.
PDF_STEPS = (STRUCTURE, PDF_TIMESTAMP, PDF_SIGNATURE, *FILE_STEPS)
#: The last step for the PDF of a report; the log is not here, so the step only says what to compare with it.
REPORT = "report"
REPORT_STEPS = (STRUCTURE, PDF_TIMESTAMP, PDF_SIGNATURE, REPORT)
_REPORT_NAME, _CORRECTION_NAME = "report.json", re.compile(r"correction-[1-9][0-9]*\.json")
_PADES = "/ETSI.CAdES.detached"
_NAMES = (DOCUMENT_NAME, SIGNATURE_NAME, TIMESTAMP_NAME, PROOF_NAME, RESOURCES_NAME)


def verify_pdf(content: bytes, trust: Trust) -> Iterator[VerifiedStep]:
    """Run the steps in order; raises VerificationError with the step's name at the first that fails.

    The library starts an event loop of its own, so a caller that has one runs this in a thread.

    1. Structure: one PAdES signature, which certifies the whole file and allows no change, and the files of a notice
       or of a report.
    2. PDF timestamp: an RFC 3161 token over this signature, under the authority's root.
    3. PDF signature: intact, by a certificate for mail that chains to the CA and was valid at the time of step 2.
    4. to 9.: the steps of ``verify_notice_files`` for the embedded notice, which the same address must have signed. Of
       a report there is only 4.: its SHA-256, to be found in the log.
    """
    # 1.
    signature, found = _opened(content)
    is_report = _REPORT_NAME in found
    files = None if is_report else _notice_files(found)
    yield VerifiedStep(1, STRUCTURE, f"PAdES, over the whole file of {len(content)} bytes, allows no change")
    # 2.
    reply, value = _token(signature)
    stamped = verify_timestamp(reply, value, trust.timestamp_roots, PDF_TIMESTAMP)
    yield VerifiedStep(2, PDF_TIMESTAMP, f"{stamped.at:%Y-%m-%d %H:%M:%S} UTC by {stamped.authority}")
    # 3.
    addresses = _verify_signature(signature, trust, stamped.at)
    yield VerifiedStep(3, PDF_SIGNATURE, f"by {', '.join(addresses)}, valid at {stamped.at:%Y-%m-%d %H:%M:%S} UTC")
    # 4. to 9.
    if files is None:
        yield VerifiedStep(4, REPORT, _report_finding(found[_REPORT_NAME]))
        return
    for step in verify_notice_files(files, trust):
        if step.number == 1 and step.finding not in {f"by {each}" for each in addresses}:
            raise VerificationError(step.step, f"is {step.finding}, and the PDF is by {', '.join(addresses)}")
        yield replace(step, number=step.number + 3)


def _opened(content: bytes) -> tuple[EmbeddedPdfSignature, dict[str, bytes]]:
    try:
        reader = PdfFileReader(io.BytesIO(content), strict=True)
        signatures = list(reader.embedded_signatures)
        if len(signatures) == 1:
            signatures[0].compute_integrity_info()
        refusal, files = _refusal(content, signatures), _embedded(reader)
    except VerificationError:
        raise
    except Exception as error:  # noqa: BLE001 - on a damaged file the library may raise anything
        raise VerificationError(STRUCTURE, f"is not readable as a signed PDF: {_said(error)}") from None
    if refusal is not None:
        raise VerificationError(STRUCTURE, refusal)
    return signatures[0], files


def _refusal(content: bytes, signatures: Sequence[EmbeddedPdfSignature]) -> str | None:
    """Return why the file does not have the one form of signature that this service writes, or None if it has."""
    if len(signatures) != 1:
        return f"has {len(signatures)} signatures instead of one"
    (signature,) = signatures
    if signature.sig_object.get("/SubFilter") != _PADES:
        return "has a signature that is not PAdES"
    if signature.coverage is not SignatureCoverageLevel.ENTIRE_FILE:
        return "was added to after it was signed"
    if not _is_exact(content, signature):
        return "holds other bytes in the place of its signature"
    if signature.docmdp_level is not MDPPerm.NO_CHANGES:
        return "has a signature that allows changes"
    return None


def _is_exact(content: bytes, signature: EmbeddedPdfSignature) -> bool:
    """Return whether the place of the signature holds only the signature and zeros: no signature covers this place."""
    _, before, after, _ = (int(each) for each in signature.byte_range)
    place = content[before:after]
    encoded = signature.pkcs7_content[: peek(signature.pkcs7_content)].hex()
    padding = len(place) - 2 - len(encoded)
    forms = {f"<{digits}{'0' * padding}>".encode() for digits in (encoded.upper(), encoded)}
    return padding >= 0 and place in forms


def _embedded(reader: PdfFileReader) -> dict[str, bytes]:
    listed = reader.root["/Names"]["/EmbeddedFiles"]["/Names"]
    found: dict[str, bytes] = {}
    # By index: only then does the library follow a reference.
    for place in range(0, len(listed), 2):
        name, specification = str(listed[place]), listed[place + 1]
        if name in found:
            raise VerificationError(STRUCTURE, f"embeds {name} twice")
        file: EmbeddedFileObject = specification["/EF"]["/F"]
        found[name] = bytes(file.data)
    is_report = _REPORT_NAME in found
    for name in found.keys() - {_REPORT_NAME}:
        if not (_CORRECTION_NAME.fullmatch(name) if is_report else name in _NAMES):
            raise VerificationError(STRUCTURE, f"embeds {name}, which no {REPORT if is_report else 'notice'} has")
    return found


def _notice_files(found: Mapping[str, bytes]) -> NoticeFiles:
    for name in (DOCUMENT_NAME, SIGNATURE_NAME, TIMESTAMP_NAME, PROOF_NAME):
        if name not in found:
            raise VerificationError(STRUCTURE, f"lacks the embedded file {name}")
    return NoticeFiles(
        document=found[DOCUMENT_NAME],
        signature=found[SIGNATURE_NAME],
        timestamp=found[TIMESTAMP_NAME],
        proof=found[PROOF_NAME],
        resources_csv=found.get(RESOURCES_NAME),
    )


def _report_finding(document: bytes) -> str:
    try:
        stated = json.loads(document)
        schema, period = str(stated["schema"]), str(stated["period"])
    except (ValueError, KeyError, TypeError):
        raise VerificationError(REPORT, f"{_REPORT_NAME} is no report") from None
    return f"{schema} of {period}, SHA-256 {hashlib.sha256(document).hexdigest()}; the log has it in report.issued"


def _token(signature: EmbeddedPdfSignature) -> tuple[bytes, bytes]:
    """Return the timestamp of the signature as a reply of an authority, and the signature that it covers."""
    try:
        attributes = signature.signer_info["unsigned_attrs"]
        kinds = {attribute["type"].native for attribute in attributes}
        value = bytes(signature.signer_info["signature"].native)
        replies = [
            tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": each}).dump()
            for attribute in attributes
            for each in attribute["values"]
        ]
    except Exception as error:  # noqa: BLE001 - as above
        raise VerificationError(PDF_TIMESTAMP, f"is not readable: {_said(error)}") from None
    if kinds != {"signature_time_stamp_token"} or len(replies) != 1:
        raise VerificationError(PDF_TIMESTAMP, "beside the signature there must be one timestamp and nothing else")
    return replies[0], value


def _verify_signature(signature: EmbeddedPdfSignature, trust: Trust, at: datetime) -> list[str]:
    """Return the mail addresses of the signer."""
    try:
        # The library takes a certificate without keyUsage for one that may not sign; it may (RFC 5280, 4.2.1.3).
        limited = signature.signer_cert.key_usage_value is not None
        usage = KeyUsageConstraints(
            key_usage={"digital_signature"} if limited else set(),
            extd_key_usage={"email_protection"},
            explicit_extd_key_usage_required=True,
        )
        status = validate_pdf_signature(
            signature,
            signer_validation_context=_context(trust.ca, at),
            ts_validation_context=_context(trust.timestamp_roots, at),
            key_usage_settings=usage,
        )
        addresses = [normal_address(each) for each in _mail_addresses(signature.signer_cert)]
    except Exception as error:  # noqa: BLE001 - as above
        raise VerificationError(PDF_SIGNATURE, f"does not hold: {_said(error)}") from None
    _require(status)
    path = {each.dump() for each in status.validation_path or ()}
    if not {each.dump() for each in signature.other_embedded_certs} <= path:
        raise VerificationError(PDF_SIGNATURE, "carries a certificate that its chain does not need")
    if not addresses:
        raise VerificationError(PDF_SIGNATURE, "the certificate names no mail address")
    return addresses


def _context(roots: Sequence[x509.Certificate], at: datetime) -> ValidationContext:
    return ValidationContext(
        trust_roots=[asn1_x509.Certificate.load(root.public_bytes(Encoding.DER)) for root in roots],
        moment=at,
        best_signature_time=at,
        allow_fetching=False,
    )


def _require(status: PdfSignatureStatus) -> None:
    if not status.intact:
        raise VerificationError(PDF_SIGNATURE, "the file was changed after it was signed")
    if not status.valid:
        raise VerificationError(PDF_SIGNATURE, "the signature is not by the key of its certificate")
    if not status.trusted:
        raise VerificationError(
            PDF_SIGNATURE, "the certificate is not one of the CA for e-mail protection, or was not valid then"
        )
    if not status.docmdp_ok:
        raise VerificationError(PDF_SIGNATURE, "the file was changed beyond what its signature allows")


def _mail_addresses(certificate: asn1_x509.Certificate) -> list[str]:
    names: Any = certificate.subject_alt_name_value
    return [] if names is None else [name.native for name in names if name.name == "rfc822_name"]


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
