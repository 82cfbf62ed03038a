"""Sign a PDF as PAdES B-T (ETSI EN 319 142-1) with the provider's certificate and a timestamp of the authority.

pyHanko is in the optional extra ``pdf``; this module is imported only where a PDF is made or verified.
"""

import io
from collections.abc import Callable
from typing import Any

from asn1crypto import algos, cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.extensions import DeveloperExtension
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import InvisSigSettings, MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_cms import Signer as PdfCmsSigner
from pyhanko.sign.signers.pdf_signer import PdfSignatureMetadata, PdfSigner
from pyhanko_certvalidator.registry import SimpleCertificateStore

from notifications.errors import SealingUnavailableError
from notifications.ports import TimestampAuthority
from service.crypto.cms_signer import CmsSigner, SigningIdentity

#: The name of the signature field.
FIELD = "Signature"
#: Space for certificates and timestamp, in hex digits. Authorities send up to about 8 kB.
_RESERVED_HEX_DIGITS = 2 * 16_384


class _ArchivalWriter(IncrementalPdfFileWriter):
    """A writer that keeps a PDF/A-3 one.

    pyHanko would write a new time into one of the two forms of the metadata, which then differ. For a key on an
    elliptic curve it would also declare PDF 2.0, and PDF/A-3 is PDF 1.7.
    """

    def _update_meta(self) -> None:
        pass

    def ensure_output_version(self, version: tuple[int, int]) -> None:
        """Keep the version of the file."""

    def register_extension(self, ext: DeveloperExtension) -> None:
        """Declare the extension of PDF 1.7 for PAdES, and none of PDF 2.0."""
        if ext.prefix_name == ESIC_EXTENSION_1.prefix_name:
            super().register_extension(ext)


class _ProviderSigner(PdfCmsSigner):
    """Signs with the provider's key, and dates the signature before it becomes a part of the PDF."""

    def __init__(self, identity: SigningIdentity, authority: TimestampAuthority) -> None:
        certificates = [
            asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
            for certificate in (identity.leaf, *identity.intermediates)
        ]
        # The library adds the signer's own certificate, and would write it twice.
        store = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # the library declares no type for it
        store.register_multiple(certificates[1:])
        mechanism = algos.SignedDigestAlgorithm({"algorithm": identity.algorithm})
        super().__init__(
            signing_cert=certificates[0], cert_registry=store, signature_mechanism=mechanism, embed_roots=False
        )
        self._sign: Callable[[bytes], bytes] = identity.sign
        self._authority = authority

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        """Return the signature over the signed attributes."""
        del digest_algorithm, dry_run
        return self._sign(data)

    async def unsigned_attrs(
        self,
        digest_algorithm: str,
        signature: bytes,
        signed_attrs: cms.CMSAttributes,
        timestamper: Any = None,
        dry_run: bool = False,
    ) -> cms.CMSAttributes:
        """Return the timestamp of the signature (RFC 3161, appendix A); raises TimestampUnavailableError."""
        del digest_algorithm, signed_attrs, timestamper, dry_run
        reply = tsp.TimeStampResp.load(await self._authority.timestamp(signature))
        stamped = cms.CMSAttribute({"type": "signature_time_stamp_token", "values": [reply["time_stamp_token"]]})
        return cms.CMSAttributes([stamped])


async def sign_pdf(content: bytes, signer: CmsSigner, authority: TimestampAuthority) -> bytes:
    """Return the PDF with a certifying signature of level PAdES B-T, which allows no later change.

    Raises SealingUnavailableError without a usable key, and TimestampUnavailableError without a timestamp: a signature
    without one is never returned. NOT added: revocation data (levels B-LT and B-LTA).
    """
    identity = signer.identity()
    signing = PdfSigner(
        PdfSignatureMetadata(
            field_name=FIELD,
            md_algorithm="sha256",
            subfilter=SigSeedSubFilter.PADES,
            certify=True,
            docmdp_permissions=MDPPerm.NO_CHANGES,
        ),
        _ProviderSigner(identity, authority),
        new_field_spec=SigFieldSpec(
            FIELD,
            readable_field_name=signer.address,
            # PDF/UA wants every visible field in the structure, and this one is outside of the page.
            invis_sig_settings=InvisSigSettings(box_out_of_bounds=True),
        ),
    )
    try:
        signed = await signing.async_sign_pdf(_ArchivalWriter(io.BytesIO(content)), bytes_reserved=_RESERVED_HEX_DIGITS)
    except SigningError as error:
        raise SealingUnavailableError(f"the PDF cannot be signed: {error}") from error
    result: bytes = signed.getvalue()
    return result
