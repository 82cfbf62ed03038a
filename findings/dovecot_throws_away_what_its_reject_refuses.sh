#!/usr/bin/env bash
# Dovecot's Sieve and a mail that says that it is automatic (Auto-Submitted: auto-generated): what does "reject" do with it?
#
# Versions: Dovecot 2.3.19.1 with Pigeonhole 0.5.19 of Debian 12, in a folder of its own (chroot, needs root). CPython 3.11 or
#   newer.
# One would guess: it refuses the mail and tells the sender, which is what "reject" is for (RFC 5429, 2.2). RFC 3834 asks
#   automatic responders for restraint, and a refusal is none; if nobody may be told, the mail could be kept.
# What happens: "Auto-submitted message discarded", in its own log only. The mail is in no mailbox, no report is sent, and LMTP
#   says "250 ... Saved", so a mail server in front that was asked to report success reports it. The same mail without the field
#   is reported as rejected. (Likewise "notify" alerts nobody of such a mail, and "vacation" answers nobody.)
# The product: a person releases a notice, so it is not automatic (RFC 3834, 5), and notifications/mail/mail.py
#   (unprotected_headers) leaves the field out; tests/end_to_end/test_main_job.py and tests/unit/test_mail.py show it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
chmod 755 .
mkdir -p lists/partial cache/archives/partial root/{dev,etc/dovecot,tmp,mail,run,usr/{bin,lib,lib64,sbin},var/lib/dovecot}
for name in bin lib lib64 sbin; do ln -s "usr/$name" "root/$name"; done
ln -s ../run root/var/run
apt=(apt-get -qq -o APT::Sandbox::User=root -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache")
"${apt[@]}" update
"${apt[@]}" download dovecot-core=1:2.3.19.1+dfsg1-2.1+deb12u7 dovecot-lmtpd=1:2.3.19.1+dfsg1-2.1+deb12u7 \
  dovecot-sieve=1:2.3.19.1+dfsg1-2.1+deb12u7 libc6 \
  libapparmor1 libaudit1 libbz2-1.0 libcap-ng0 libcap2 libcrypt1 libexttextcat-2.0-0 libgcrypt20 libgpg-error0 libicu72 \
  liblz4-1 liblzma5 libpam0g libsodium23 libssl3 libstdc++6 libgcc-s1 libstemmer0d libsystemd0 libunwind8 libzstd1 zlib1g
for package in *.deb; do dpkg -x "$package" unpacked; done
cp -a unpacked/usr root/
for name in lib lib64; do [ ! -d "unpacked/$name" ] || cp -a "unpacked/$name/." "root/usr/$name/"; done
mknod -m 666 root/dev/null c 1 3
mknod -m 666 root/dev/urandom c 1 9
users=(root:x:0 dovecot:x:901 dovenull:x:902 mail:x:903)
printf '%s:0::/mail:/bin/false\n' "${users[0]}" > root/etc/passwd
for user in "${users[@]:1}"; do echo "$user:${user##*:}::/mail:/bin/false" >> root/etc/passwd; done
printf '%s:\n' "${users[@]}" > root/etc/group
echo "127.0.0.1 localhost" > root/etc/hosts
mkdir root/mail/{max,zoe}
printf '%s\n' 'require "reject";' 'reject "We take no mail here.";' > root/mail/zoe/reject.sieve
chown -R 903:903 root/mail

results=$(python3 - <<'PYTHON'
import smtplib
import socket
import socketserver
import subprocess
import threading
from pathlib import Path

AUTOMATIC = "Auto-Submitted: auto-generated\r\n"
reports = []


class Sender(socketserver.StreamRequestHandler):
    """The mail server that takes the reports to the sender."""

    def handle(self):
        self.wfile.write(b"220 mail.provider.example ESMTP\r\n")
        in_text = False
        while line := self.rfile.readline():
            if in_text:
                reports[-1] += line.decode()
                in_text = line != b".\r\n"
                reply = None if in_text else b"250 Ok"
            else:
                in_text = line == b"DATA\r\n"
                if in_text:
                    reports.append("")
                reply = b"354 go on" if in_text else b"250 Ok"
            if line == b"QUIT\r\n":
                return
            if reply:
                self.wfile.write(reply + b"\r\n")


def connected():
    """Return a client of the server, as soon as it listens."""
    while server.poll() is None:
        try:
            return smtplib.LMTP("127.0.0.1", port)
        except ConnectionRefusedError:
            continue
    raise SystemExit("the server ended:\n" + Path("log").read_text())


sender = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Sender)
sender.daemon_threads = True
threading.Thread(target=sender.serve_forever, daemon=True).start()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
Path("root/etc/dovecot/dovecot.conf").write_text(f"""
protocols = lmtp
listen = 127.0.0.1
ssl = no
log_path = /dev/stderr
hostname = mx.valmont.example
mail_location = maildir:~/Maildir
submission_host = 127.0.0.1:{sender.server_address[1]}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home=/mail/%n
}}
service lmtp {{
  inet_listener lmtp {{
    port = {port}
  }}
}}
protocol lmtp {{
  mail_plugins = sieve
}}
plugin {{
  sieve = file:~/reject.sieve
}}
""")
with Path("log").open("w") as log, subprocess.Popen(["chroot", "root", "/usr/sbin/dovecot", "-F"], stderr=log) as server:
    try:
        for recipient, field in (("max", AUTOMATIC), ("zoe", ""), ("zoe", AUTOMATIC)):
            with connected() as client:
                client.ehlo("client.example")
                client.mail("soc@provider.example")
                client.rcpt(f"{recipient}@valmont.example")
                code, text = client.data(f"From: soc@provider.example\r\nSubject: x\r\n{field}\r\nwords\r\n")
            kept = len(list(Path("root/mail", recipient).glob("Maildir/new/*")))
            told = [report.partition("Subject: ")[2].split()[0] for report in reports]
            print(f"to {recipient}, {'automatic' if field else 'not automatic'}: LMTP {code} {text.split()[-1].decode()}")
            print(f"  in the mailbox: {kept}; sent to the sender: {told}")
            reports.clear()
    finally:
        server.terminate()
for line in Path("log").read_text().splitlines():
    if "discarded" in line:
        print("  log:", line[line.index("Auto-submitted") :])
PYTHON
)
echo "$results"
[ "$results" = "to max, automatic: LMTP 250 Saved
  in the mailbox: 1; sent to the sender: []
to zoe, not automatic: LMTP 250 Saved
  in the mailbox: 0; sent to the sender: ['Rejected:']
to zoe, automatic: LMTP 250 Saved
  in the mailbox: 0; sent to the sender: []
  log: Auto-submitted message discarded: We take no mail here." ]
