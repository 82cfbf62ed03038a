#!/usr/bin/env bash
# A notice was signed and timestamped; a day later the provider got another certificate and had the old one revoked
# ("superseded"). What does openssl say of the old one at the time of the timestamp (-attime), with the authority's revocation
# list (-crl_check)?
#
# Versions: OpenSSL 3.0 or newer (seen with 3.0.19).
# One would guess: OK. By its manual -attime checks with the time given in place of the present one, and each entry of a list
#   states when the certificate was revoked (RFC 5280, 5.1.2.6). A signature that existed before the revocation stays valid:
#   that is what the timestamp is for (ETSI EN 319 102-1, 5.5).
# What happens: "certificate revoked", and "CRL is not yet valid". openssl compares the time with that of the list and never
#   with that of the entry, so the second message comes for every certificate of the authority, also for one that nobody
#   revoked: no list of today can be used for yesterday. With a list whose own date is earlier the first message stays,
#   though the entry is dated later than the time in question. Without the list the certificate is fine. (Reported as
#   issue 11859 of openssl, and closed as no bug.)
# The product: greffier verify compares the date of the entry with the time of the use
#   (notifications/evidence/bundle/signers.py, Revocations), and the README.txt of an evidence bundle, which contains the list,
#   says that openssl cannot; tests/unit/test_bundle_verification.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '%s\n' "[ca]" "default_ca = c" "[c]" "database = index.txt" "serial = serial" "crlnumber = crlnumber" \
  "new_certs_dir = ." "default_md = sha256" "default_crl_days = 30" "policy = p" "[p]" "commonName = supplied" \
  "[authority]" "basicConstraints = critical, CA:true" "keyUsage = critical, keyCertSign, cRLSign" \
  "[signer]" "keyUsage = critical, digitalSignature" "extendedKeyUsage = emailProtection" > ca.cnf
touch index.txt
echo 01 > serial
echo 01 > crlnumber
issue() { # name, section, further options
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>>log
  openssl ca -batch -config ca.cnf -in "$1.csr" -out "$1.pem" -extensions "$2" -startdate 20260101000000Z \
    -enddate 21260101000000Z "${@:3}" 2>>log
}
authority() { openssl ca -config ca.cnf -cert Authority.pem -keyfile Authority.key "$@" 2>>log; }
issue Authority authority -selfsign -keyfile Authority.key
for name in Old Other; do issue "$name" signer -cert Authority.pem -keyfile Authority.key; done
authority -revoke Old.pem -crl_reason superseded
authority -gencrl -out today.pem
now=$(date +%s)
yesterday=$((now - 86400))
authority -gencrl -out earlier.pem -crl_lastupdate "$(date -u -d "@$((now - 172800))" +%Y%m%d%H%M%SZ)"

results=""
check() { # name, what is checked, further options
  said=$(openssl verify -CAfile Authority.pem -purpose smimesign "${@:3}" "$1.pem" 2>&1 || true)
  said=$(grep -Eo "OK$|lookup: .*" <<<"$said" | sed 's/lookup: //' | paste -sd ';')
  results+="$1, $2: $said
"
}
check Old "now" -crl_check -CRLfile today.pem
check Old "yesterday, without a list" -attime "$yesterday"
check Old "yesterday, with the list of today" -attime "$yesterday" -crl_check -CRLfile today.pem
check Other "yesterday, with the list of today" -attime "$yesterday" -crl_check -CRLfile today.pem
check Old "yesterday, with a list of an earlier date" -attime "$yesterday" -crl_check -CRLfile earlier.pem
echo "$results"
[ "$results" = "Old, now: certificate revoked
Old, yesterday, without a list: OK
Old, yesterday, with the list of today: CRL is not yet valid;certificate revoked
Other, yesterday, with the list of today: CRL is not yet valid
Old, yesterday, with a list of an earlier date: certificate revoked
" ] || { echo "this has changed"; exit 1; }
