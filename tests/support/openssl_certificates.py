"""Certificates of recipients that openssl makes: with names and keys that the cryptography library cannot write."""

import subprocess
from functools import cache


def _der(tag, *parts):
    body = b"".join(parts)
    assert len(body) < 128
    return bytes([tag, len(body)]) + body


#: GeneralNames (DER): an X.400 address (a country), an EDI party.
X400 = _der(0xA3, _der(0x30, _der(0x61, _der(0x13, b"FR"))))
EDI = _der(0xA5, _der(0xA1, _der(0x0C, b"party")))
_UTF8_MAILBOX = bytes.fromhex("06082b06010505070809")
_UPN = bytes.fromhex("060a2b060104018237140203")


def rfc822(address):
    return _der(0x81, address.encode())


def utf8_mailbox(address, tag=0x0C, oid=_UTF8_MAILBOX):
    """Return a SmtpUTF8Mailbox (RFC 9598)."""
    return _der(0xA0, oid, _der(0xA0, _der(tag, address.encode() if isinstance(address, str) else address)))


def account(name):
    """Return the name of an account at Microsoft's (UPN), which looks like an address."""
    return utf8_mailbox(name, oid=_UPN)


def general_names(*names):
    """Return a subjectAltName as openssl's configuration takes it."""
    body = b"".join(names)
    length = [len(body)] if len(body) < 128 else [0x81, len(body)]
    return "DER:" + (bytes([0x30, *length]) + body).hex()


@cache
def _new_key(kind):
    """Return a key (PEM), made once for all certificates of its kind: to find an RSA key takes longest."""
    algorithm, *options = kind
    chosen = [part for option in options for part in ("-pkeyopt", option)]
    command = ["openssl", "genpkey", "-algorithm", algorithm, *chosen]
    return subprocess.run(command, check=True, capture_output=True).stdout


def made_by_openssl(folder, *, names=None, email=None, key=("RSA", "rsa_keygen_bits:2048"), more=""):
    """Return a certificate (PEM) for e-mail; its key stays in ``reader.key``.

    ``names`` is the subjectAltName, ``email`` stands in the subject, ``more`` are further extensions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["[req]", "distinguished_name = subject", "prompt = no", "utf8 = yes", "string_mask = utf8only"]
    lines += ["[subject]", "CN = Reader"] + ([] if email is None else [f"emailAddress = {email}"])
    lines += ["[extensions]", "keyUsage = critical, digitalSignature, keyEncipherment"]
    lines += ["extendedKeyUsage = emailProtection"] + ([] if names is None else [f"subjectAltName = {names}"])
    (folder / "reader.cnf").write_text("\n".join([*lines, more, ""]), encoding="utf-8")
    (folder / "reader.key").write_bytes(_new_key(key))
    req = "openssl req -x509 -new -key reader.key -days 30 -config reader.cnf -extensions extensions -out reader.pem"
    subprocess.run(req.split(), cwd=folder, check=True, capture_output=True)
    return (folder / "reader.pem").read_text()
