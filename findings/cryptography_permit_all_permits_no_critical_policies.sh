#!/usr/bin/env bash
# cryptography verifies a certificate under ExtensionPolicy.permit_all(): does one hold that names its policy in a critical
# extension, or whose authority demands policies?
#
# Versions: cryptography 50.0.2 from PyPI; OpenSSL 3.0 or newer. CPython 3.11 or newer.
# One would guess: yes. By its documentation permit_all() puts no constraints on extensions. certificatePolicies may be
#   critical (RFC 5280, 4.2.1.4), and is in chains of GlobalSign and of Polish authorities (pyca/cryptography issues 11928 and
#   14850). policyConstraints and inhibitAnyPolicy must be critical (4.2.1.11, 4.2.1.14).
# What happens: "certificate contains unaccounted-for critical extensions". A call of may_be_present() for the extension, with
#   no more words, makes the chain hold. Then nothing applies it: a chain without the policy that its authority demands
#   holds too. openssl verify -policy_check takes the first two chains and refuses the third.
# The product: notifications/crypto/cms.py (_policies_too, _verify_policies) names the three extensions and applies them as RFC
#   5280, 6.1, says; tests/unit/test_verification.py compares nineteen chains with openssl.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
  cryptography==50.0.2 cffi==2.1.1 pycparser==3.0
cd "$folder"

issue() { # name, issuer, lines of extensions
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>>log
  printf '%s\n' "subjectKeyIdentifier = hash" "authorityKeyIdentifier = keyid" "${@:3}" > extensions
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 30 -extfile extensions -out "$1.pem" 2>>log
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout Root.key -out Root.pem -days 30 -subj /CN=Root \
  -addext "keyUsage = critical, keyCertSign, cRLSign" 2>log

cat > verify.py <<'PYTHON'
from pathlib import Path

from cryptography import x509
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

root, authority, leaf = (x509.load_pem_x509_certificate(Path(f"{name}.pem").read_bytes()) for name in ("Root", "S", "Zoe"))
said = []
for named in ((), (x509.CertificatePolicies, x509.PolicyConstraints, x509.InhibitAnyPolicy)):
    above, below = ExtensionPolicy.webpki_defaults_ca(), ExtensionPolicy.permit_all()
    for kind in named:
        above, below = (each.may_be_present(kind, Criticality.AGNOSTIC, None) for each in (above, below))
    verifier = PolicyBuilder().store(Store([root])).extension_policies(ca_policy=above, ee_policy=below).build_client_verifier()
    try:
        verifier.verify(leaf, [authority])
        said.append("OK")
    except VerificationError as error:
        said.append("unaccounted-for" if "unaccounted-for critical extensions" in str(error) else str(error))
print(f"cryptography {said[0]}, with the extensions named {said[1]}")
PYTHON

results=""
show() { # name, policies of the leaf, lines of extensions of the authority
  issue S Root "basicConstraints = critical, CA:true" "keyUsage = critical, keyCertSign, cRLSign" \
    "certificatePolicies = 1.2.3.4" "${@:3}"
  issue Zoe S "subjectAltName = email:zoe@valmont.example" "extendedKeyUsage = emailProtection" "certificatePolicies = $2"
  openssl_says=$(openssl verify -policy_check -policy 2.5.29.32.0 -purpose smimesign -CAfile Root.pem -untrusted S.pem Zoe.pem \
    2>>log || true)
  results+="$1: openssl ${openssl_says:-refused}, $("$folder/venv/bin/python" verify.py)
"
}
show "its policy is critical" "critical, 1.2.3.4"
show "the authority demands one, it has it" "1.2.3.4" "policyConstraints = critical, requireExplicitPolicy:0"
show "the authority demands one, it has another" "1.2.3.5" "policyConstraints = critical, requireExplicitPolicy:0"
echo "$results"
[ "$results" = "its policy is critical: openssl Zoe.pem: OK, cryptography unaccounted-for, with the extensions named OK
the authority demands one, it has it: openssl Zoe.pem: OK, cryptography unaccounted-for, with the extensions named OK
the authority demands one, it has another: openssl refused, cryptography unaccounted-for, with the extensions named OK
" ]
