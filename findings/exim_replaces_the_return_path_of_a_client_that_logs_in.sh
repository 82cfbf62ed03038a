#!/usr/bin/env bash
# A program logs in to a relay that is Exim, under the configuration that comes with Exim, and gives each mail a return path
# of its own (VERP): where do the bounces go?
#
# Versions: Exim 4.96 of Debian 12 and the configuration that its authors ship (example.conf of exim4-base), in a folder of
#   its own (chroot, needs root). CPython 3.11 or newer.
# One would guess: to the return path. The client names it (RFC 5321, 4.1.1.2). A submission server may refuse the command
#   (RFC 6409, 6.1) and may add a header Sender (8.1).
# What happens: MAIL gets 250, and Exim sends the mail on with the name of the login at its own domain in place of the return
#   path. A bounce goes there; no program ever sees it. The mail gets a header "Sender" of the same address. The reason is
#   "control = submission", which the shipped configuration sets for every client that logs in; its comment speaks of lacking
#   headers such as Date. Section 48.1 of Exim's specification says it in one sentence. A client that is let in by its address
#   keeps its return path under the same line, and so does one with "submission/sender_retain", as Debian configures it.
# The product: a relay's answer does not show it. docs/operations.md (Bounces) says how Exim must be configured and how to
#   see that bounces arrive; greffier verify reports the header Sender (notifications/mail/signed_copy.py), and
#   tests/unit/test_signed_mail.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
chmod 755 .
mkdir -p lists/partial cache/archives/partial root/{dev,etc/exim4,tmp,usr/{bin,lib,lib64,sbin},var/spool/exim4,mail}
for name in bin lib lib64 sbin; do ln -s "usr/$name" "root/$name"; done
apt=(apt-get -qq -o APT::Sandbox::User=root -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache")
"${apt[@]}" update
"${apt[@]}" download exim4-daemon-light=4.96-15+deb12u11 exim4-base=4.96-15+deb12u11 libc6 libcom-err2 libcrypt1 libdb5.3 \
  libevent-2.1-7 libffi8 libgmp10 libgnutls-dane0 libgnutls30 libgssapi-krb5-2 libhogweed6 libidn12 libidn2-0 libk5crypto3 \
  libkeyutils1 libkrb5-3 libkrb5support0 libnettle8 libnsl2 libp11-kit0 libpcre2-8-0 libssl3 libtasn1-6 libtirpc3 \
  libunbound8 libunistring2
for package in *.deb; do dpkg -x "$package" unpacked; done
cp -a unpacked/usr root/
for name in lib lib64; do [ ! -d "unpacked/$name" ] || cp -a "unpacked/$name/." "root/usr/$name/"; done
mknod -m 666 root/dev/null c 1 3
mknod -m 666 root/dev/urandom c 1 9
printf '%s\n' root:x:0:0::/:/bin/false Debian-exim:x:901:901::/var/spool/exim4:/bin/false > root/etc/passwd
printf '%s\n' root:x:0: Debian-exim:x:901: > root/etc/group
echo "127.0.0.1 localhost" > root/etc/hosts
chown 901:901 root/var/spool/exim4 root/mail

echo "shipped for clients that log in:"
shipped=$(grep -A1 '^  accept  authenticated = \*' unpacked/usr/share/doc/exim4-base/examples/example.conf)
echo "$shipped"
results=$(python3 - <<'PYTHON'
import base64
import re
import subprocess
from pathlib import Path

CONFIGURATION = r"""
primary_hostname = relay.provider.example
qualify_domain = provider.example
log_file_path = /var/spool/exim4/%slog
tls_advertise_hosts =
acl_smtp_rcpt = recipient
begin acl
recipient:
  accept  authenticated = *
          control       = CONTROL
  accept  hosts         = 127.0.0.1
          control       = CONTROL
begin routers
unknown:
  driver = redirect
  domains = customer.example
  allow_fail
  data = :fail: no such user
back:
  driver = accept
  transport = back
begin transports
back:
  driver = appendfile
  file = /mail/returned
  user = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = yes
  server_set_id = $auth2
"""
LOGIN = f"AUTH PLAIN {base64.b64encode(bytes(1) + b'greffier' + bytes(1) + b'secret').decode()}\r\n"
for control, login in (("submission", ""), ("submission", LOGIN), ("submission/sender_retain", LOGIN)):
    Path("root/etc/exim4/exim4.conf").write_text(CONFIGURATION.replace("CONTROL", control))
    said = (
        f"EHLO client.example\r\n{login}MAIL FROM:<bounce+1a2b3c@bounces.provider.example>\r\n"
        "RCPT TO:<zoe@customer.example>\r\nDATA\r\n"
        "From: SOC <soc@provider.example>\r\nSubject: x\r\n\r\nwords\r\n.\r\nQUIT\r\n"
    )
    exim = ["chroot", "root", "/usr/sbin/exim4", "-odi", "-oMa", "127.0.0.1", "-bs"]
    answered = subprocess.run(exim, input=said, capture_output=True, text=True, check=True).stdout
    accepted = re.search(r"^250 OK(?= id=)", answered, re.MULTILINE)
    returned = Path("root/mail/returned")
    if accepted is None or not returned.exists():
        raise SystemExit(answered + Path("root/var/spool/exim4/mainlog").read_text())
    report = returned.read_text()
    returned.unlink()
    print(f"{control}, {'logged in' if login else 'let in by its address'}: {accepted[0]}")
    print("  the bounce goes", re.search(r"^To: .*", report, re.MULTILINE)[0])
    print("  header of the mail:", *re.findall(r"^Sender: .*", report, re.MULTILINE) or ["no Sender"])
PYTHON
)
echo "$results"
[[ $shipped =~ control\ +=\ submission$ ]]
[ "$results" = 'submission, let in by its address: 250 OK
  the bounce goes To: bounce+1a2b3c@bounces.provider.example
  header of the mail: no Sender
submission, logged in: 250 OK
  the bounce goes To: greffier@provider.example
  header of the mail: Sender: greffier@provider.example
submission/sender_retain, logged in: 250 OK
  the bounce goes To: bounce+1a2b3c@bounces.provider.example
  header of the mail: no Sender' ]
