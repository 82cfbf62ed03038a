#!/usr/bin/env bash
# A notice is signed under an authority that may only issue for the provider's own domain, as the authority of a company or a
# university is limited by the one above it. What does gpgsm, the S/MIME of GnuPG, say of the signature?
#
# Versions: gpgsm 2.2.40 of Debian 12 in a folder of its own (chroot, needs root); OpenSSL 3.0 or newer.
# One would guess: good. RFC 5280, 4.2, lists the extensions that every application must recognise, name constraints, policy
#   constraints and inhibit anyPolicy among them, and all three must be critical (4.2.1.10, 4.2.1.11, 4.2.1.14). gpgsm(1)
#   names none that it does not know.
# What happens: "critical certificate extension ... is not supported", "invalid certification chain: Unsupported certificate",
#   for all three, also where they stand in the root. The same chain without the extension is good. A policy that is marked
#   critical is "No policy match" unless the reader lists it in a file. openssl takes every one of these chains.
# The product: greffier keys rotate signing --install says so of such a chain, so that the provider can choose another
#   certificate before customers see bad signatures (service/key_rotation/rotation.py, _gpgsm_fault);
#   tests/adapters/test_key_rotation.py and test_keys.py beside it show it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p lists/partial cache/archives/partial root/{dev,etc,tmp,home,usr/{bin,lib,lib64,sbin}}
for name in bin lib lib64 sbin; do ln -s "usr/$name" "root/$name"; done
apt=(apt-get -qq -o APT::Sandbox::User=root -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache")
"${apt[@]}" update
"${apt[@]}" download gpgsm=2.2.40-1.1+deb12u2 gpg-agent=2.2.40-1.1+deb12u2 gpgconf=2.2.40-1.1+deb12u2 libassuan0 libc6 \
  libgcrypt20 libgpg-error0 libksba8 libnpth0 libreadline8 libtinfo6
for package in *.deb; do dpkg -x "$package" unpacked; done
cp -a unpacked/usr root/
for name in lib lib64; do [ ! -d "unpacked/$name" ] || cp -a "unpacked/$name/." "root/usr/$name/"; done
mknod -m 666 root/dev/null c 1 3
mknod -m 666 root/dev/urandom c 1 9
echo root:x:0:0::/home:/bin/false > root/etc/passwd

results=""
judge() { # what is said of the chain, further extensions of the authority, of the signer
  home="root/home/$1"
  mkdir -m 700 "$home"
  for name in root authority signer; do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $name.key 2>>log
  done
  openssl req -x509 -new -key root.key -out root.pem -days 3000 -subj "/CN=Root" -addext keyUsage=critical,keyCertSign 2>>log
  printf '%s\n' basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign extendedKeyUsage=emailProtection "$2" > authority.ext
  printf '%s\n' keyUsage=critical,digitalSignature extendedKeyUsage=emailProtection \
    subjectAltName=email:soc@provider.example "$3" > signer.ext
  openssl req -new -key authority.key -subj "/CN=Provider's authority" -out authority.csr
  openssl req -new -key signer.key -subj "/CN=SOC" -out signer.csr
  openssl x509 -req -in authority.csr -CA root.pem -CAkey root.key -days 2000 -extfile authority.ext -out authority.pem 2>>log
  openssl x509 -req -in signer.csr -CA authority.pem -CAkey authority.key -days 800 -extfile signer.ext -out signer.pem 2>>log
  echo words > "$home/notice"
  openssl cms -sign -binary -in "$home/notice" -signer signer.pem -inkey signer.key -certfile authority.pem -outform DER \
    -out "$home/notice.p7s"
  by_openssl=$(openssl cms -verify -binary -inform DER -in "$home/notice.p7s" -content "$home/notice" -CAfile root.pem \
    -purpose smimesign -out content 2>&1)
  echo disable-crl-checks > "$home/gpgsm.conf"
  echo "$(openssl x509 -in root.pem -noout -fingerprint -sha1 | cut -d= -f2) S" > "$home/trustlist.txt"
  cp root.pem "$home"
  gpgsm=(chroot root /usr/bin/gpgsm --homedir "/home/$1" --batch)
  "${gpgsm[@]}" --import "/home/$1/root.pem" 2>>log
  by_gpgsm=$("${gpgsm[@]}" --verify "/home/$1/notice.p7s" "/home/$1/notice" 2>&1 || true)
  chroot root /usr/bin/gpgconf --homedir "/home/$1" --kill gpg-agent
  results+="$1: openssl: $by_openssl; $(grep -oE 'gpgsm: (Good signature|critical certificate extension.*|invalid certif.*)' \
    <<<"$by_gpgsm" | paste -sd ';')
"
}
judge unlimited "" ""
judge names nameConstraints=critical,permitted\;email:provider.example ""
judge policies $'certificatePolicies=1.2.3\npolicyConstraints=critical,requireExplicitPolicy:0' certificatePolicies=1.2.3
judge any_policy inhibitAnyPolicy=critical,0 ""
judge critical_policy certificatePolicies=1.2.3 certificatePolicies=critical,1.2.3
echo "$results"
refused='critical certificate extension'
[ "$results" = "unlimited: openssl: CMS Verification successful; gpgsm: Good signature
names: openssl: CMS Verification successful; gpgsm: $refused 2.5.29.30 is not supported;gpgsm: invalid certification chain: \
Unsupported certificate
policies: openssl: CMS Verification successful; gpgsm: $refused 2.5.29.36 is not supported;gpgsm: invalid certification \
chain: Unsupported certificate
any_policy: openssl: CMS Verification successful; gpgsm: $refused 2.5.29.54 is not supported;gpgsm: invalid certification \
chain: Unsupported certificate
critical_policy: openssl: CMS Verification successful; gpgsm: invalid certification chain: No policy match
" ]
