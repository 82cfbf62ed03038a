#!/usr/bin/env bash
# Exim is asked to report success (NOTIFY=SUCCESS) and passes the mail to a server that has no DSN: what does it report?
#
# Versions: Exim 4.96 of Debian 12, in a folder of its own (chroot, needs root). CPython 3.11 or newer.
# One would guess: "Action: relayed". That is what the word is for, and "delivered" is for a mail that is in its mailbox
#   (RFC 3464, 2.3.3; RFC 3461, 5.2.2). Sendmail 8.17.1.9 and OpenSMTPD 6.8.0p2 say relayed.
# What happens: "Action: delivered" and "Status: 2.0.0". The text for people in the same message says "relayed to non-DSN-aware
#   mailer". An alias for two addresses elsewhere is "delivered" too, not "expanded", with the same words as a local mailbox:
#   "relayed via non SMTP router". So a program that believes the machine-readable part takes every mail as arrived.
# The product: notifications/mail/bounce_parser.py (_RELAYED_BY_EXIM) records such a report as relayed;
#   tests/faults/test_returned_mails.py and returned_mails/exim_relayed.eml beside it show it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
chmod 755 .
mkdir -p lists/partial cache/archives/partial root/{dev,etc/exim4,tmp,usr/{bin,lib,lib64,sbin},var/spool/exim4,mail}
for name in bin lib lib64 sbin; do ln -s "usr/$name" "root/$name"; done
apt=(apt-get -qq -o APT::Sandbox::User=root -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache")
"${apt[@]}" update
"${apt[@]}" download exim4-daemon-light=4.96-15+deb12u11 libc6 libcom-err2 libcrypt1 libdb5.3 libevent-2.1-7 libffi8 libgmp10 \
  libgnutls-dane0 libgnutls30 libgssapi-krb5-2 libhogweed6 libidn12 libidn2-0 libk5crypto3 libkeyutils1 libkrb5-3 \
  libkrb5support0 libnettle8 libnsl2 libp11-kit0 libpcre2-8-0 libssl3 libtasn1-6 libtirpc3 libunbound8 libunistring2
for package in *.deb; do dpkg -x "$package" unpacked; done
cp -a unpacked/usr root/
for name in lib lib64; do [ ! -d "unpacked/$name" ] || cp -a "unpacked/$name/." "root/usr/$name/"; done
mknod -m 666 root/dev/null c 1 3
mknod -m 666 root/dev/urandom c 1 9
printf '%s\n' root:x:0:0::/:/bin/false Debian-exim:x:901:901::/var/spool/exim4:/bin/false > root/etc/passwd
printf '%s\n' root:x:0: Debian-exim:x:901: > root/etc/group
echo "127.0.0.1 localhost" > root/etc/hosts
chown 901:901 root/var/spool/exim4 root/mail

results=$(python3 - <<'PYTHON'
import socketserver
import subprocess
import threading
from pathlib import Path

CONFIGURATION = r"""
primary_hostname = mx.valmont.example
log_file_path = /var/spool/exim4/%slog
tls_advertise_hosts =
dsn_advertise_hosts = *
acl_smtp_rcpt = accept
begin routers
alias:
  driver = redirect
  local_parts = soc
  domains = valmont.example
  data = zoe@elsewhere.example, max@elsewhere.example
report:
  driver = accept
  domains = provider.example
  transport = report
mailbox:
  driver = accept
  local_parts = mailbox
  transport = mailbox
elsewhere:
  driver = manualroute
  domains = elsewhere.example
  route_list = * 127.0.0.1
  self = send
  transport = next
begin transports
next:
  driver = smtp
  port = PORT
  allow_localhost
report:
  driver = appendfile
  file = /mail/report
  user = Debian-exim
mailbox:
  driver = appendfile
  file = /mail/mailbox
  user = Debian-exim
"""


class WithoutDsn(socketserver.StreamRequestHandler):
    """A mail server that takes everything and offers no DSN."""

    def handle(self):
        self.wfile.write(b"220 mail.elsewhere.example ESMTP\r\n")
        in_text = False
        for line in self.rfile:
            if in_text:
                in_text = line != b".\r\n"
                reply = None if in_text else b"250 Ok"
            else:
                in_text = line == b"DATA\r\n"
                reply = b"354 go on" if in_text else b"221 bye" if line == b"QUIT\r\n" else b"250 Ok"
            if reply:
                self.wfile.write(reply + b"\r\n")


server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), WithoutDsn)
threading.Thread(target=server.serve_forever, daemon=True).start()
Path("root/etc/exim4/exim4.conf").write_text(CONFIGURATION.replace("PORT", str(server.server_address[1])))
for recipient in ("zoe@elsewhere.example", "soc@valmont.example", "mailbox@valmont.example"):
    said = (
        "EHLO client.example\r\nMAIL FROM:<soc@provider.example>\r\n"
        f"RCPT TO:<{recipient}> NOTIFY=SUCCESS\r\nDATA\r\nSubject: x\r\n\r\nwords\r\n.\r\nQUIT\r\n"
    )
    exim = ["chroot", "root", "/usr/sbin/exim4", "-odi", "-oMa", "127.0.0.1", "-bs"]
    answered = subprocess.run(exim, input=said, capture_output=True, text=True, check=True)
    report = Path("root/mail/report")
    if not report.exists():
        raise SystemExit(answered.stdout + answered.stderr + Path("root/var/spool/exim4/mainlog").read_text())
    wanted = (f"<{recipient}> (", "Action:", "Diagnostic-Code:")
    print(*(line for line in report.read_text().splitlines() if line.startswith(wanted)), sep="\n")
    report.unlink()
PYTHON
)
echo "$results"
[ "$results" = '<zoe@elsewhere.example> (relayed to non-DSN-aware mailer)
Action: delivered
Diagnostic-Code: smtp; 250 Ok
<soc@valmont.example> (relayed via non "Remote SMTP" router)
Action: delivered
Diagnostic-Code: X-Exim; relayed via non SMTP router
<mailbox@valmont.example> (relayed via non "Remote SMTP" router)
Action: delivered
Diagnostic-Code: X-Exim; relayed via non SMTP router' ]
