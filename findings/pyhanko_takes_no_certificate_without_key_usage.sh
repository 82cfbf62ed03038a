#!/usr/bin/env bash
# pyHanko signs a PDF under an S/MIME certificate that has no keyUsage, and validates its own signature: is it good?
#
# Versions: pyHanko 0.38.0, pyhanko-certvalidator 0.33.0, typst 0.15.2 and cryptography 50.0.2 from PyPI; OpenSSL 3.0 or newer.
#   CPython 3.11 or newer.
# One would guess: yes. keyUsage limits what a key is for (RFC 5280, 4.2.1.3), so without it nothing is excluded. A reader of
#   S/MIME refuses a signature whose certificate contains keyUsage without digitalSignature and nonRepudiation (RFC 8550,
#   4.4.2), and no other. If the library did not like the certificate, it would not sign with it.
# What happens: it signs without a word, and its validation says that the signature is intact and right and the certificate is
#   not to be trusted (CHAIN_CONSTRAINTS_FAILURE). By default the bit for non-repudiation has to be there, so that the usual
#   certificate for mail, with digitalSignature alone, fails too. A caller who asks for digitalSignature gets that one,
#   and still not the one without limits: to the library no keyUsage is an empty one. With extendedKeyUsage it is otherwise:
#   there a certificate without the extension is taken, unless the caller demands it.
# The product: service/notice_pdf/verification.py (_verify_signature) asks for digitalSignature only where the certificate has
#   keyUsage, as the signer and the verifier of mails do; tests/adapters/test_notice_pdf.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  pyhanko==0.38.0 pyhanko-certvalidator==0.33.0 typst==0.15.2 cryptography==50.0.2
cd "$folder"
results=$("$folder/venv/bin/python" - <<'PYTHON'
import io
import logging
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typst
from asn1crypto import keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import PdfSignatureMetadata, fields, signers
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

logging.disable(logging.CRITICAL)
NOW, DAY = datetime.now(UTC), timedelta(days=1)
USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)


def certificate(name, key, issuer_key, *, uses=(), authority=False):
    named, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, "Authority"))
    builder = x509.CertificateBuilder().subject_name(named).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    if not authority:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    if uses:
        builder = builder.add_extension(x509.KeyUsage(**{use: use in uses for use in USES}), critical=True)
    return builder.sign(issuer_key, SHA256())


authority_key, key = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
root = certificate("Authority", authority_key, authority_key, authority=True)
Path("root.pem").write_bytes(root.public_bytes(Encoding.PEM))
private = keys.PrivateKeyInfo.load(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
context = ValidationContext(trust_roots=[asn1_x509.Certificate.load(root.public_bytes(Encoding.DER))], allow_fetching=False)
plain = typst.compile({"main.typ": b"Words"}, format="pdf", timestamp=0)
for uses in ((), ("digital_signature",), ("digital_signature", "content_commitment")):
    signing = certificate("Provider", key, authority_key, uses=uses)
    Path("signing.pem").write_bytes(signing.public_bytes(Encoding.PEM))
    told = subprocess.run(
        ["openssl", "verify", "-CAfile", "root.pem", "-purpose", "smimesign", "signing.pem"], capture_output=True, text=True
    ).stdout.split()[-1]
    signed = signers.sign_pdf(
        IncrementalPdfFileWriter(io.BytesIO(plain)),
        PdfSignatureMetadata(field_name="S", subfilter=fields.SigSeedSubFilter.PADES, md_algorithm="sha256"),
        signer=signers.SimpleSigner(
            asn1_x509.Certificate.load(signing.public_bytes(Encoding.DER)), private, cert_registry=SimpleCertificateStore()
        ),
    )
    verdicts = []
    for wanted in (None, KeyUsageConstraints(key_usage={"digital_signature"})):
        (signature,) = PdfFileReader(io.BytesIO(signed.getvalue())).embedded_signatures
        status = validate_pdf_signature(signature, context, key_usage_settings=wanted)
        failure = getattr(status.trust_problem_indic, "name", None)
        verdicts.append(f"{'right' if status.intact and status.valid else 'wrong'}, {failure or 'trusted'}")
    print(f"{' and '.join(uses) or 'no keyUsage'}: openssl {told}; by default {verdicts[0]}; as asked {verdicts[1]}")
PYTHON
)
echo "$results"
[ "$results" = "no keyUsage: openssl OK; by default right, CHAIN_CONSTRAINTS_FAILURE; as asked right, CHAIN_CONSTRAINTS_FAILURE
digital_signature: openssl OK; by default right, CHAIN_CONSTRAINTS_FAILURE; as asked right, trusted
digital_signature and content_commitment: openssl OK; by default right, trusted; as asked right, trusted" ] \
  || { echo "this has changed"; exit 1; }
