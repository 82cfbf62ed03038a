"""The keys of a data folder, and a certificate authority: shared by the tests of keys."""

import stat
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from notifications.audit.entry import parse_leaf
from notifications.use_cases.audit_context import AuditContext
from service.cli.demo.environment import ADDRESS
from service.crypto.key_files import load_chain, load_private_key, private_pem
from service.crypto.master_key import key_passphrases, load_masters
from service.key_rotation.keeper import KeyKeeper
from service.key_rotation.rotation import KeyRotation
from service.settings import load_settings
from service.store import open_store
from service.system.logging import SystemIdentifiers
from support.sealed_sample import SetClock


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def private_files(folder):
    return sorted(path for path in (folder / "keys").iterdir() if path.is_file() and b"PRIVATE" in path.read_bytes())


def as_released(folder):
    """Make a folder look like one of the first release: unencrypted keys, the signing key separate, no master key."""
    passphrases = key_passphrases(settings_of(folder), load_masters(settings_of(folder)))
    keys = folder / "keys"
    (keys / "signing.key").write_bytes(private_pem(load_private_key(keys / "signing.pem", passphrases), None))
    chain = load_chain(keys / "signing.pem")
    (keys / "signing.pem").write_bytes(b"".join(item.public_bytes(Encoding.PEM) for item in chain))
    for name in ("ca.key", "tsa.key", "log.key"):
        (keys / name).write_bytes(private_pem(load_private_key(keys / name, passphrases), None))
    (folder / "master.key").unlink()
    return folder


def settings_of(folder, **changes):
    return load_settings(folder, **changes)


class Kept:
    """The keys of a data folder, and the store in which their changes are announced."""

    def __init__(self, folder, **changes):
        self.folder, self.clock = folder, SetClock(datetime.now(UTC))
        self.settings = settings_of(folder, **changes)
        self.passphrases = key_passphrases(self.settings, load_masters(self.settings))
        self.store = open_store(folder / "greffier.sqlite3", migrate=False)
        self.rotation = KeyRotation(self.settings, self.passphrases, self.clock)
        self.keeper = KeyKeeper(
            self.settings, self.rotation, unit_of_work=self.store, log_store=self.store, clock=self.clock,
            identifiers=SystemIdentifiers(),
        )  # fmt: skip

    def act(self):
        return AuditContext("operator:test", self.clock.now(), SystemIdentifiers())

    async def announce(self, prepared):
        act = self.act()
        await self.store.write(lambda tx: self.keeper.announce(tx, act, prepared))

    async def rotate(self, prepared=None, *, kind="log"):
        async with self.keeper.rotating() as rotation:
            prepared = prepared or (rotation.prepare_log() if kind == "log" else rotation.prepare_signing())
            await self.announce(prepared)
        return prepared

    async def logged(self):
        """Return type and new key of the log's entries about keys, oldest first."""
        leaves = await self.store.read(lambda tx: [parse_leaf(item.leaf) for item in tx.audit.pending(99)])
        return [(leaf.type, leaf.subjects["key"]) for leaf in leaves if leaf.type.startswith("key.")]

    def fingerprints(self):
        return {"log": self.rotation.prepare_log().previous.fingerprint, "signing": self.signer().fingerprint}

    def signer(self):
        return self.rotation.signer()


class Authority:
    """A certificate authority for S/MIME certificates; ``limit`` is a further extension of its own certificate."""

    def __init__(self, limit=None):
        self.key, self.limit = ec.generate_private_key(ec.SECP256R1()), limit
        self.root = self._built(self.key, "Authority", ca=True)

    def _built(self, key, name, *, ca=False, address=ADDRESS, days=100, usage=ExtendedKeyUsageOID.EMAIL_PROTECTION):
        now = datetime.now(UTC)
        named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority")])
        usages = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
             "decipher_only"), False,
        )  # fmt: skip
        builder = (
            x509.CertificateBuilder()
            .subject_name(named)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=200))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usages), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if not ca:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
        elif self.limit is not None:
            builder = builder.add_extension(self.limit, critical=isinstance(self.limit, x509.NameConstraints))
        return builder.sign(self.key, hashes.SHA256())

    def pem(self, file, *, with_root=True, key=None, passphrase=None, **certificate):
        made = ec.generate_private_key(ec.SECP256R1())
        chain = [self._built(made, "Notices", **certificate), *([self.root] if with_root else [])]
        data = private_pem(key or made, passphrase) + b"".join(item.public_bytes(Encoding.PEM) for item in chain)
        file.write_bytes(data)
        return file
