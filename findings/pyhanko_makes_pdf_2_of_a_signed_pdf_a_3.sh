#!/usr/bin/env bash
# pyHanko signs a PDF/A-3 file with a key on an elliptic curve: is the signed file still PDF/A-3?
#
# Versions: pyHanko 0.38.0, typst 0.15.2, pikepdf 10.18.0 from PyPI. CPython 3.11 or newer.
# One would guess: a PAdES signature needs nothing that PDF 1.7 lacks but the ESIC extension, so the file keeps its version.
# What happens: with an RSA key it does. With an ECDSA key the library sets the version of the file to 2.0, to declare the
#   extension ISO/TS 32002, although PAdES allows ECDSA in PDF 1.7. PDF/A-3 (ISO 19005-3) is PDF 1.7, so the file still
#   says that it is PDF/A-3 and is none any more.
# The product: service/crypto/pdf_signer.py (_ArchivalWriter) keeps the version; tests/adapters/test_notice_pdf.py and
#   tests/support/read_pdf.py show it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  pyhanko==0.38.0 typst==0.15.2 pikepdf==10.18.0 cryptography==50.0.2
cd "$folder"
openssl req -x509 -newkey rsa:2048 -nodes -keyout RSA.key -out RSA.pem -days 30 -subj /CN=RSA 2>>log
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ECDSA.key -out ECDSA.pem -days 30 \
  -subj /CN=ECDSA 2>>log
results=$("$folder/venv/bin/python" - <<'PYTHON'
import io

import pikepdf
import typst
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import PdfSignatureMetadata, fields, signers

source = b'#set document(title: "x")\nWords'
plain = typst.compile({"main.typ": source}, format="pdf", pdf_standards=["a-3a"], timestamp=0)
for kind in ("RSA", "ECDSA"):
    signer = signers.SimpleSigner.load(f"{kind}.key", f"{kind}.pem")
    wanted = PdfSignatureMetadata(field_name="S", subfilter=fields.SigSeedSubFilter.PADES)
    signed = signers.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(plain)), wanted, signer=signer).getvalue()
    with pikepdf.open(io.BytesIO(signed)) as pdf:
        print(f"{kind}: {signed[:8].decode()}, version in the catalog {pdf.Root.get('/Version', 'none')}")
PYTHON
)
echo "$results"
[ "$results" = "RSA: %PDF-1.7, version in the catalog none
ECDSA: %PDF-1.7, version in the catalog /2.0" ]
