"""Keys at rest and replaced: what is encrypted under what, what a crash leaves, what is taken from an authority."""

import base64
import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sealed_sample import SetClock

from notifications.audit.checkpoint import verify_checkpoint
from notifications.audit.entry import parse_leaf
from notifications.audit.note import parse_verifier_key, verifier_key
from notifications.errors import InvalidInputError, SealingUnavailableError, StateConflictError
from notifications.use_cases.act import Act
from service.access.records import Account, AccountKind, Totp
from service.access.secret_box import SecretBox
from service.cli import cli, main
from service.data_folder import prepare_data_folder
from service.demo.environment import ADDRESS, PROVIDER, embedded_service
from service.key_keeping import KeyKeeper
from service.master_rotation import rotate_master
from service.observability import SystemIdentifiers
from service.sealing import key_placing
from service.sealing.cms_signer import CmsSigner
from service.sealing.key_files import load_chain, load_log_key, load_private_key, private_pem
from service.sealing.key_rotation import KeyRotation
from service.sealing.log_keys import LogKey, LogKeyFile, LogKeyRing, format_log_keys, parse_log_keys
from service.sealing.master_key import key_passphrases, load_masters, new_master, parse_masters, write_master_file
from service.settings import load_settings
from service.store import open_store

ORIGIN = "provider.example/greffier"
NOW = datetime.now(UTC).replace(microsecond=0)
PASSPHRASE = b"a passphrase"
OF_ANOTHER_LOG = verifier_key("other.example/log", Ed25519PrivateKey.from_private_bytes(b"o" * 32)).text()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def private_files(folder):
    return sorted(path for path in (folder / "keys").iterdir() if path.is_file() and b"PRIVATE" in path.read_bytes())


def as_released(folder):
    """Turn a folder into one that the first release made: keys unencrypted, the signing key apart, no master key."""
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


class TestMasterKey:
    def test_a_prepared_folder_has_one_and_every_private_key_is_encrypted_under_it(self, data_folder):
        settings = settings_of(data_folder)
        (master,) = load_masters(settings)
        assert len(master) == 32
        assert mode(data_folder / "master.key") == 0o600
        files = private_files(data_folder)
        assert [path.name for path in files] == ["ca.key", "log.key", "signing.pem", "tsa.key"]
        for path in files:
            assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
            assert load_private_key(path, key_passphrases(settings, [master]))
            for wrong in ([], key_passphrases(settings, [b"x" * 32]), master):
                with pytest.raises(SealingUnavailableError):
                    load_private_key(path, wrong)

    def test_it_may_stand_elsewhere_and_there_it_is_not_made_up(self, tmp_path):
        given = tmp_path / "vault" / "master"
        given.parent.mkdir()
        write_master_file(given, [b"m" * 32], new=True)
        prepare_data_folder(
            tmp_path / "data", address=ADDRESS, provider_name=PROVIDER, now=NOW, master_key_file=given
        )  # fmt: skip
        assert not (tmp_path / "data" / "master.key").exists()
        settings = settings_of(tmp_path / "data")
        assert settings.master_file == given
        assert load_masters(settings) == [b"m" * 32]
        given.unlink()
        with pytest.raises(InvalidInputError, match="master_key_file: cannot read"):
            load_masters(settings)
        assert not given.exists()

    def test_an_operator_s_passphrase_goes_first_and_the_master_key_s_still_opens(self, data_folder, tmp_path):
        (tmp_path / "words").write_text("operator's own\n")
        settings = settings_of(data_folder, key_passphrase_file=tmp_path / "words")
        own, derived = key_passphrases(settings, load_masters(settings))
        assert own == b"operator's own"
        assert load_log_key(data_folder / "keys" / "log.key", [own, derived])

    @pytest.mark.parametrize(
        ("text", "reason"),
        [("", "holds no key"), ("# nothing\n\n", "holds no key"), ("not base64!\n", "line 1 is not base64url"),
         ("c2hvcnQ\n", "line 1 has fewer than 32 bytes"), ("A" * 43 + "\nAAAA\n", "line 2 has fewer than 32 bytes")],
    )  # fmt: skip
    def test_a_file_that_is_none_is_told_and_not_quoted(self, text, reason):
        with pytest.raises(InvalidInputError) as caught:
            parse_masters(text)
        assert str(caught.value) == f"master_key_file: {reason}"

    def test_several_lines_the_first_is_current(self):
        masters = [bytes([number]) * 32 for number in range(3)]
        lines = [base64.urlsafe_b64encode(item).decode() for item in masters]
        assert parse_masters("\n".join(["# of March", *lines, lines[1], ""])) == masters

    def test_a_folder_that_lost_it_does_not_get_another_one(self, data_folder):
        (data_folder / "master.key").unlink()
        with pytest.raises(InvalidInputError, match="restore it"):
            load_masters(settings_of(data_folder))
        assert not (data_folder / "master.key").exists()

    async def test_a_folder_of_the_first_release_gets_one_and_its_keys_go_on(self, data_folder, service_log):
        as_released(data_folder)
        async with embedded_service(data_folder) as running:
            assert running.parts.sequencer.health() is None
            assert running.parts.context.sealing.signer.address == ADDRESS
        assert mode(data_folder / "master.key") == 0o600
        assert service_log.getvalue().count('"event": "key.unencrypted"') == 4


class TestLogKeyFile:
    OLD, NEW, LAST = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3))

    def publics(self, ring):
        return [key.private.public_key() for key in ring.keys]

    def test_a_file_of_one_key_is_the_file_of_a_log_that_never_changed_it(self, tmp_path):
        ring = parse_log_keys(private_pem(self.OLD, None), ORIGIN, None, tmp_path)
        assert (self.publics(ring), ring.retired) == ([self.OLD.public_key()], ())
        assert ring.current.since is ring.current.until is None

    @pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
    def test_what_is_written_reads_back(self, tmp_path, passphrase):
        until = NOW + timedelta(days=30)
        ring = LogKeyRing(ORIGIN, (LogKey(self.OLD),)).rotated(self.NEW, NOW, until).rotated(self.LAST, NOW, until)
        text = format_log_keys(ring, passphrase)
        read = parse_log_keys(text, ORIGIN, passphrase, tmp_path)
        assert self.publics(read) == [item.public_key() for item in (self.LAST, self.NEW, self.OLD)]
        assert [(key.since, key.until) for key in read.keys] == [(NOW, None), (NOW, until), (None, until)]
        assert read.known == tuple(verifier_key(ORIGIN, key) for key in (self.OLD, self.NEW, self.LAST))
        later = read.retired_at(until)
        assert (self.publics(later), later.known) == ([self.LAST.public_key()], read.known)
        assert parse_log_keys(format_log_keys(later, passphrase), ORIGIN, passphrase, tmp_path).known == read.known

    def test_the_old_key_signs_until_the_very_end_and_no_longer(self):
        until = NOW + timedelta(days=30)
        ring = LogKeyRing(ORIGIN, (LogKey(self.OLD),)).rotated(self.NEW, NOW, until)
        assert len(ring.signing_at(until - timedelta(microseconds=1))) == 2
        assert [key.private for key in ring.signing_at(until)] == [self.NEW]

    def test_without_overlap_the_old_key_is_gone_at_once(self):
        ring = LogKeyRing(ORIGIN, (LogKey(self.OLD),)).rotated(self.NEW, NOW, NOW)
        assert [key.private for key in ring.keys] == [self.NEW]
        assert ring.retired == (verifier_key(ORIGIN, self.OLD),)

    @pytest.mark.parametrize(
        ("before", "reason"),
        [(b"until 2026-01-01T00:00:00.000000Z\n", "the current key first"), (b"since yesterday\n", "unreadable"),
         (b"retired nonsense\n", "unreadable"), (f"retired {OF_ANOTHER_LOG}\n".encode(), "another log")],
    )  # fmt: skip
    def test_what_it_cannot_mean_is_told(self, tmp_path, before, reason):
        with pytest.raises(SealingUnavailableError, match=reason):
            parse_log_keys(before + private_pem(self.OLD, None), ORIGIN, None, tmp_path)

    def test_a_second_key_without_an_end_is_no_overlap(self, tmp_path):
        with pytest.raises(SealingUnavailableError, match="the others with an end"):
            parse_log_keys(private_pem(self.OLD, None) + private_pem(self.NEW, None), ORIGIN, None, tmp_path)

    def test_it_is_read_again_when_it_is_replaced(self, tmp_path):
        path, clock = tmp_path / "log.key", SetClock(NOW)
        path.write_bytes(private_pem(self.OLD, None))
        keys = LogKeyFile(path, ORIGIN, None, clock)
        assert keys.signers().keys == keys.signers().keys
        ring = keys.ring().rotated(self.NEW, NOW, NOW + timedelta(days=1))
        (tmp_path / "other").write_bytes(format_log_keys(ring, None))
        (tmp_path / "other").replace(path)
        assert len(keys.signers().keys) == 2
        clock.at = NOW + timedelta(days=2)
        assert len(keys.signers().keys) == 1
        assert len(keys.signers().known) == 2
        path.unlink()
        with pytest.raises(SealingUnavailableError, match="cannot be read"):
            keys.signers()


class Kept:
    """The keys of a data folder and the store that announces their changes."""

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
        return Act("operator:test", self.clock.now(), SystemIdentifiers())

    async def announce(self, prepared):
        act = self.act()
        await self.store.write(lambda tx: self.keeper.announce(tx, act, prepared))

    async def rotate(self, prepared=None, *, kind="log"):
        async with self.keeper.rotating() as rotation:
            prepared = prepared or (rotation.prepare_log() if kind == "log" else rotation.prepare_signing())
            await self.announce(prepared)
        return prepared

    async def logged(self):
        """Return type and new key of what the log holds of keys, oldest first."""
        leaves = await self.store.read(lambda tx: [parse_leaf(item.leaf) for item in tx.pending_leaves(99)])
        return [(leaf.type, leaf.subjects["key"]) for leaf in leaves if leaf.type.startswith("key.")]

    def fingerprints(self):
        return {"log": self.rotation.prepare_log().previous.fingerprint, "signing": self.signer().fingerprint}

    def signer(self):
        return self.rotation.signer()


@pytest.fixture
async def kept(data_folder):
    made = Kept(data_folder)
    yield made
    await made.store.close()


class CrashError(Exception):
    pass


def waiting(folder):
    return sorted(path.name for path in (folder / "keys").glob("*.next"))


class TestCrashes:
    """The process dies between two steps; another one finds the folder and the database as they are then."""

    @pytest.mark.parametrize("kind", ["log", "signing"])
    async def test_before_the_entry_is_committed_nothing_has_happened(self, kept, kind):
        before, files = kept.fingerprints(), sorted(kept.folder.rglob("*"))
        prepared = kept.rotation.prepare_log() if kind == "log" else kept.rotation.prepare_signing()

        def work(tx):
            kept.keeper.announce(tx, kept.act(), prepared)
            raise CrashError

        with pytest.raises(CrashError):
            await kept.store.write(work)
        assert len(waiting(kept.folder)) == 1
        await kept.keeper.settle()
        assert waiting(kept.folder) == []
        assert kept.fingerprints() == before
        assert await kept.logged() == []
        assert sorted(kept.folder.rglob("*")) == files

    @pytest.mark.parametrize("kind", ["log", "signing"])
    @pytest.mark.parametrize("step", ["replace_file", "move_file", "nothing"])
    async def test_after_it_the_next_who_looks_ends_the_rotation(self, kept, monkeypatch, kind, step):
        before = kept.fingerprints()
        prepared = kept.rotation.prepare_log() if kind == "log" else kept.rotation.prepare_signing()
        await kept.announce(prepared)

        def crash(*_):
            raise CrashError

        if step != "nothing":
            with monkeypatch.context() as patched:
                patched.setattr(key_placing, step, crash)
                with pytest.raises(CrashError):
                    await kept.keeper.settle()
        # Until then the old key is the one in use, and the log holds the announcement alone.
        assert kept.fingerprints() == before
        assert await kept.logged() == [("key.rotated", prepared.key.fingerprint)]
        await kept.keeper.settle_at_start()
        assert kept.fingerprints() == before | {kind: prepared.key.fingerprint}
        assert await kept.logged() == [
            ("key.rotated", prepared.key.fingerprint), ("key.activated", prepared.key.fingerprint),
        ]  # fmt: skip
        assert waiting(kept.folder) == []
        assert kept.signer().sign_detached(b"x")

    async def test_a_key_in_place_that_nobody_recorded_is_recorded_by_the_next_start_once(self, kept, service_log):
        prepared = kept.rotation.prepare_log()
        await kept.announce(prepared)
        assert kept.rotation.settle(lambda _: True) == [("log", prepared.key.fingerprint)]
        await kept.store.close()
        for _ in range(2):
            async with embedded_service(kept.folder):
                pass
        again = Kept(kept.folder)
        leaves = await again.store.read(lambda tx: [parse_leaf(item.leaf) for item in tx.log_entries(0, 99)])
        waits = await again.store.read(lambda tx: [parse_leaf(item.leaf) for item in tx.pending_leaves(99)])
        await again.store.close()
        about = [leaf.type for leaf in (*leaves, *waits) if leaf.subjects.get("key") == prepared.key.fingerprint]
        assert about == ["key.rotated", "key.activated"]

    async def test_a_file_that_nothing_announces_is_not_put_in_place(self, kept):
        before = kept.fingerprints()
        prepared = kept.rotation.prepare_log()
        kept.rotation.stage(prepared, UUID(int=7))
        await kept.keeper.settle()
        (kept.folder / "keys" / "log.key.next").write_bytes(prepared.content)
        await kept.keeper.settle()
        assert waiting(kept.folder) == []
        assert kept.fingerprints() == before

    async def test_a_half_written_file_beside_the_real_one_is_nothing(self, kept):
        (kept.folder / "keys" / "log.key.new").write_bytes(b"-----BEGIN")
        (kept.folder / "keys" / "log.key.next.new").write_bytes(b"-----BEGIN")
        prepared = await kept.rotate()
        assert kept.fingerprints()["log"] == prepared.key.fingerprint

    async def test_while_one_rotation_is_under_way_another_is_refused(self, kept):
        with kept.rotation.alone(), pytest.raises(StateConflictError, match="under way"):
            async with kept.keeper.rotating():
                raise AssertionError

    async def test_a_failure_while_it_is_prepared_leaves_nothing(self, kept):
        files = {path: path.read_bytes() for path in (kept.folder / "keys").rglob("*")}
        with pytest.raises(CrashError):
            async with kept.keeper.rotating():
                raise CrashError
        assert {path: path.read_bytes() for path in (kept.folder / "keys").rglob("*")} == files


class TestSigning:
    async def test_what_the_old_key_signed_and_its_certificate_stay_and_its_private_key_goes(self, kept):
        old_chain = load_chain(kept.folder / "keys" / "signing.pem")
        prepared = await kept.rotate(kind="signing")
        (retired,) = (kept.folder / "keys" / "retired").iterdir()
        assert load_chain(retired) == old_chain
        assert b"PRIVATE" not in retired.read_bytes()
        assert mode(kept.folder / "keys" / "signing.pem") == 0o600
        assert prepared.change.overlap_until == old_chain[0].not_valid_after_utc

    async def test_a_folder_of_the_first_release_moves_to_one_file(self, data_folder):
        kept = Kept(as_released(data_folder))
        try:
            # A signer that runs on, on the files as they were.
            signer = kept.signer()
            assert signer.fingerprint == kept.fingerprints()["signing"]
            prepared = await kept.rotate(kind="signing")
            assert signer.fingerprint == prepared.key.fingerprint
            assert signer.sign_detached(b"x")
            assert not (data_folder / "keys" / "signing.key").exists()
            assert b"ENCRYPTED PRIVATE KEY" in (data_folder / "keys" / "signing.pem").read_bytes()
        finally:
            await kept.store.close()

    async def test_no_signature_mixes_two_keys_however_often_the_file_is_replaced(self, kept):
        import threading

        stopped, failures, made = threading.Event(), [], set()
        signer = kept.signer()

        def sign():
            while not stopped.is_set():
                try:
                    signature = signer.sign_detached(b"x")
                except SealingUnavailableError as error:
                    failures.append(str(error))
                    continue
                made.add(verify(signature))

        thread = threading.Thread(target=sign)
        thread.start()
        try:
            for _ in range(5):
                await kept.rotate(kind="signing")
        finally:
            stopped.set()
            thread.join()
        assert failures == []
        assert made

    async def test_without_a_demo_ca_a_certificate_must_be_installed(self, kept, tmp_path):
        (kept.folder / "keys" / "ca.key").unlink()
        with pytest.raises(StateConflictError, match="--install FILE"):
            kept.rotation.prepare_signing()


def verify(signature):
    from notifications.cms import verify_detached

    return verify_detached(b"x", signature, "step").certificate.serial_number


class Authority:
    """An authority that issues certificates for mail."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
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
        return builder.sign(self.key, hashes.SHA256())

    def pem(self, file, *, with_root=True, key=None, passphrase=None, **certificate):
        made = ec.generate_private_key(ec.SECP256R1())
        chain = [self._built(made, "Notices", **certificate), *([self.root] if with_root else [])]
        data = private_pem(key or made, passphrase) + b"".join(item.public_bytes(Encoding.PEM) for item in chain)
        file.write_bytes(data)
        return file


class TestInstall:
    async def test_a_certificate_of_an_authority_is_put_in_place_and_readers_get_its_root(self, kept, tmp_path):
        authority, old_roots = Authority(), load_chain(kept.folder / "trust" / "ca.pem")
        file = authority.pem(tmp_path / "given.pem")
        await kept.rotate(kept.rotation.prepare_installed(file))
        assert kept.signer().fingerprint == load_chain(file)[0].fingerprint(hashes.SHA256()).hex()
        assert load_chain(kept.folder / "trust" / "ca.pem") == [*old_roots, authority.root]
        assert b"ENCRYPTED PRIVATE KEY" in (kept.folder / "keys" / "signing.pem").read_bytes()
        # The next one by the same authority needs no root: readers have it.
        with pytest.raises(StateConflictError, match="--install FILE"):
            kept.rotation.prepare_signing()
        again = authority.pem(tmp_path / "again.pem", with_root=False)
        await kept.rotate(kept.rotation.prepare_installed(again))
        assert load_chain(kept.folder / "trust" / "ca.pem") == [*old_roots, authority.root]

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [({"address": "other@demo-cloud.example"}, "names other@demo-cloud.example"), ({"days": -1}, "expired at"),
         ({"usage": ExtendedKeyUsageOID.SERVER_AUTH}, "not for e-mail protection"),
         ({"with_root": False}, "put the root into the file too"),
         ({"key": ec.generate_private_key(ec.SECP256R1())}, "is not the key of certificate"),
         ({"passphrase": b"unknown to us"}, "cannot be opened")],
    )  # fmt: skip
    async def test_what_the_signer_or_a_reader_would_not_take_is_refused(self, kept, tmp_path, changes, reason):
        before = kept.fingerprints()
        with pytest.raises(InvalidInputError, match=reason) as caught:
            kept.rotation.prepare_installed(Authority().pem(tmp_path / "given.pem", **changes))
        assert str(caught.value).startswith("install: ")
        assert kept.fingerprints() == before

    async def test_the_certificate_in_use_is_not_installed_again(self, kept):
        with pytest.raises(InvalidInputError, match="in use already"):
            kept.rotation.prepare_installed(kept.folder / "keys" / "signing.pem")

    async def test_with_files_named_in_the_settings_the_chain_s_file_takes_both(self, data_folder, tmp_path):
        chain, key = tmp_path / "chain.pem", tmp_path / "private.pem"
        shutil.copy(data_folder / "keys" / "signing.pem", chain)
        passphrases = key_passphrases(settings_of(data_folder), load_masters(settings_of(data_folder)))
        key.write_bytes(private_pem(load_private_key(chain, passphrases), None))
        chain.write_bytes(b"".join(item.public_bytes(Encoding.PEM) for item in load_chain(chain)))
        kept = Kept(data_folder, signing_chain_file=chain, signing_key_file=key)
        try:
            with pytest.raises(StateConflictError, match="--install FILE"):
                kept.rotation.prepare_signing()
            await kept.rotate(kept.rotation.prepare_installed(Authority().pem(tmp_path / "given.pem")))
            assert CmsSigner(key, chain, kept.passphrases, kept.clock).sign_detached(b"x")
            assert key.exists()
        finally:
            await kept.store.close()


class TestMasterRotation:
    async def test_everything_is_encrypted_anew_and_opens_under_the_new_key_alone(self, kept):
        old = load_masters(kept.settings)
        box = SecretBox(old)
        account = Account(
            UUID(int=5), AccountKind.PERSON, "P", None, "en", active=True, created_at=NOW, created_by="operator:test"
        )
        seed = box.seal(b"the seed", purpose="totp", owner=str(account.id))

        def work(tx):
            tx.add_account(account)
            tx.set_totp(Totp(account.id, seed, NOW, NOW, 0))

        await kept.store.write(work)
        await kept.rotate()
        assert await rotate_master(kept.settings, kept.store, kept.act()) == (4, 1)
        masters = load_masters(kept.settings)
        assert masters[1:] == old
        totp = await kept.store.read(lambda tx: tx.totp(account.id))
        assert SecretBox(masters[:1]).open(totp.sealed_seed, purpose="totp", owner=str(account.id)) == b"the seed"
        only_new = key_passphrases(kept.settings, masters[:1])
        for path in private_files(kept.folder):
            assert load_private_key(path, only_new)
        assert (
            len(
                LogKeyFile(kept.folder / "keys" / "log.key", kept.settings.log_origin, only_new, kept.clock).ring().keys
            )
            == 2
        )
        assert [kind for kind, _ in await kept.logged()][-1] == "key.rotated"
        # Once more, after a crash at any step: everything still opens.
        assert await rotate_master(kept.settings, kept.store, kept.act()) == (4, 1)

    async def test_unencrypted_keys_of_the_first_release_are_encrypted_by_it(self, data_folder):
        kept = Kept(as_released(data_folder))
        try:
            await rotate_master(kept.settings, kept.store, kept.act())
        finally:
            await kept.store.close()
        assert all(b"ENCRYPTED" in path.read_bytes() for path in private_files(data_folder))

    async def test_a_seed_that_does_not_open_stops_it_and_nothing_in_the_store_has_changed(self, kept):
        foreign = SecretBox([new_master()]).seal(b"seed", purpose="totp", owner=str(UUID(int=5)))
        account = Account(
            UUID(int=5), AccountKind.PERSON, "P", None, "en", active=True, created_at=NOW, created_by="operator:test"
        )

        def work(tx):
            tx.add_account(account)
            tx.set_totp(Totp(account.id, foreign, NOW, NOW, 0))

        await kept.store.write(work)
        from service.access.secret_box import SecretUnreadableError

        with pytest.raises(SecretUnreadableError):
            await rotate_master(kept.settings, kept.store, kept.act())
        assert await kept.logged() == []
        # The key files are under the new key, which stands in the file with the one before.
        assert Kept(kept.folder).signer().sign_detached(b"x")


def greffier(*words):
    return subprocess.run(
        [Path(sys.executable).with_name("greffier"), *map(str, words)], capture_output=True, check=False, text=True
    )


class TestCommand:
    async def test_beside_a_running_service_which_signs_with_the_new_keys_without_a_restart(self, running, api):
        import asyncio

        old = parse_verifier_key((running.trust_dir / "log.vkey").read_text())
        signer = running.parts.context.sealing.signer
        for kind in ("log", "signing"):
            ran = await asyncio.to_thread(greffier, "keys", "rotate", kind, "--data", running.data)
            assert ran.returncode == 0, ran.stderr
            assert ran.stdout.startswith(f"{kind} key ")
        keys = [parse_verifier_key(line) for line in (running.trust_dir / "log.vkey").read_text().splitlines()]
        assert keys[0] == old
        async with asyncio.timeout(20):
            while keys[1].id not in {item.key_id for item in await lines(api)}:
                continue
        note = (await api.get("/audit/checkpoint")).content
        assert verify_checkpoint(note, old) == verify_checkpoint(note, keys[1])
        listed = await asyncio.to_thread(greffier, "keys", "list", "--data", running.data)
        assert signer.fingerprint[:16] in listed.stdout.splitlines()[0]
        assert running.parts.sequencer.health() is None
        refused = await asyncio.to_thread(greffier, "keys", "rotate", "master", "--data", running.data)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert "in use by another process" in refused.stderr

    @pytest.mark.parametrize("words", [("list",), ("rotate", "log"), ("rotate", "signing"), ("rotate", "master")])
    def test_a_folder_that_is_none_is_one_line(self, tmp_path, monkeypatch, capsys, words):
        monkeypatch.setattr(sys, "argv", ["greffier", "keys", *words, "--data", str(tmp_path / "none")])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert (ended.value.code, told.out, told.err.count("\n")) == (2, "", 1)
        assert list(tmp_path.iterdir()) == []

    def test_no_option_takes_a_secret_itself(self):
        def options(command):
            yield from command.params
            for each in getattr(command, "commands", {}).values():
                yield from options(each)

        suspicious = ("secret", "password", "passphrase", "token", "key")
        named = {option.name for option in options(cli)}
        assert {name for name in named if any(word in name for word in suspicious)} == {
            name for name in named if name.endswith("_file")
        }


async def lines(api):
    from notifications.audit.note import parse_note

    answer = await api.get("/audit/checkpoint")
    # Before the first entry is in the tree there is none.
    return parse_note(answer.content).signatures if answer.is_success else ()
