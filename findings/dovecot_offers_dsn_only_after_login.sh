#!/usr/bin/env bash
# A relay that is Dovecot's submission server, in front of a mail server with DSN and a size limit: when does it offer them?
#
# Versions: Dovecot 2.3.19.1 of Debian 12, in a folder of its own (chroot, needs root). CPython 3.11 or newer.
# One would guess: in the answer to EHLO, once TLS is on. The login changes nothing in it: a client asks anew only after a
#   login that began a security layer (RFC 4954, 4), as neither PLAIN nor LOGIN does. Dovecot's documentation says that DSN needs
#   support by the backend, and not when it is offered.
# What happens: before the login it does not ask the backend, and its answer has a SIZE without a number and no DSN. After the
#   login, to a second EHLO, it has DSN and the SIZE of the backend less 1 KiB. A client that asks once, as smtplib and
#   aiosmtplib do, never asks for delivery reports, and learns the size limit from the refusal of a whole mail.
# The product: service/channels/smtp_connection.py (open) sends EHLO again after the login; tests/adapters/test_email_smtp.py
#   shows it.
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
"${apt[@]}" download dovecot-core=1:2.3.19.1+dfsg1-2.1+deb12u7 dovecot-submissiond=1:2.3.19.1+dfsg1-2.1+deb12u7 libc6 \
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
chown 903:903 root/mail

results=$(python3 - <<'PYTHON'
import smtplib
import socket
import socketserver
import subprocess
import threading
from pathlib import Path


class Backend(socketserver.StreamRequestHandler):
    """A mail server that offers DSN and a size limit."""

    def handle(self):
        self.wfile.write(b"220 mail.provider.example ESMTP\r\n")
        for line in self.rfile:
            said = line.upper().startswith(b"EHLO")
            self.wfile.write(b"250-mail.provider.example\r\n250-DSN\r\n250 SIZE 1000000\r\n" if said else b"250 Ok\r\n")


def connected():
    """Return a client of the server, as soon as it listens."""
    while server.poll() is None:
        try:
            return smtplib.SMTP("127.0.0.1", port)
        except ConnectionRefusedError:
            continue
    raise SystemExit("the server ended:\n" + Path("log").read_text())


def offered(client):
    client.ehlo("client.example")
    names = client.esmtp_features
    return f"DSN {'yes' if 'dsn' in names else 'no'}, SIZE {names['size'] or 'without a number'}"


backend = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Backend)
backend.daemon_threads = True
threading.Thread(target=backend.serve_forever, daemon=True).start()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
Path("root/etc/dovecot/dovecot.conf").write_text(f"""
protocols = submission
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
log_path = /dev/stderr
mail_location = maildir:/mail
submission_relay_host = 127.0.0.1
submission_relay_port = {backend.server_address[1]}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home=/mail
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    port = {port}
  }}
}}
""")
with Path("log").open("w") as log, subprocess.Popen(["chroot", "root", "/usr/sbin/dovecot", "-F"], stderr=log) as server:
    try:
        with connected() as client:
            print("before the login:", offered(client))
            client.login("soc", "secret")
            print("after the login:", offered(client))
    finally:
        server.terminate()
PYTHON
)
echo "$results"
[ "$results" = "before the login: DSN no, SIZE without a number
after the login: DSN yes, SIZE 998976" ]
