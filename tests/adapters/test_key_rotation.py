"""Keys replaced: what a crash leaves at each step, what is taken from an authority, what stays of the old one."""

import shutil
import subprocess
import threading
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from notifications.audit.entry import parse_leaf
from notifications.crypto.cms import verify_detached
from notifications.errors import InvalidInputError, SealingUnavailableError, StateConflictError
from service.cli.demo.environment import embedded_service
from service.crypto.cms_signer import CmsSigner
from service.crypto.key_files import load_chain, load_private_key, private_pem
from service.crypto.master_key import key_passphrases, load_masters
from service.key_rotation import staging as key_placing
from support.kept_keys import Authority, Kept, as_released, mode, settings_of


@pytest.fixture
async def kept(data_folder):
    made = Kept(data_folder)
    yield made
    await made.store.close()


class CrashError(Exception):
    pass


def waiting(folder):
    return sorted(path.name for path in (folder / "keys").glob("*.next"))


def everything_but_the_database(folder):
    """Its files beside the database come and go with its connections."""
    return sorted(path for path in folder.rglob("*") if not path.name.startswith("greffier.sqlite3"))


class TestCrashes:
    """The process dies between two steps; another one finds the folder and the database as they are then."""

    @pytest.mark.parametrize("kind", ["log", "signing"])
    async def test_before_the_entry_is_committed_nothing_has_happened(self, kept, kind):
        before, files = kept.fingerprints(), everything_but_the_database(kept.folder)
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
        assert everything_but_the_database(kept.folder) == files

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
        leaves = await again.store.read(lambda tx: [parse_leaf(item.leaf) for item in tx.audit.entries(0, 99)])
        waits = await again.store.read(lambda tx: [parse_leaf(item.leaf) for item in tx.audit.pending(99)])
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
    return verify_detached(b"x", signature, "step").certificate.serial_number


class TestInstall:
    async def test_a_certificate_of_an_authority_is_put_in_place_and_readers_get_its_root(self, kept, tmp_path):
        authority, old_roots = Authority(), load_chain(kept.folder / "trust" / "ca.pem")
        file = authority.pem(tmp_path / "given.pem")
        prepared = kept.rotation.prepare_installed(file)
        assert prepared.advice is None
        await kept.rotate(prepared)
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

    @pytest.mark.parametrize(
        ("permitted", "reason"),
        [
            (x509.RFC822Name("demo-cloud.example"), None),
            (x509.RFC822Name("other.example"), "the certificate does not hold"),
            # cryptography 50.0.2 compares no directory names: readers with greffier verify could not judge a notice.
            (x509.DirectoryName(x509.Name([])), "cannot be judged here: .* limited to directory names"),
        ],
    )
    async def test_a_certificate_of_an_authority_with_limits(self, kept, tmp_path, permitted, reason):
        authority = Authority(x509.NameConstraints([permitted], None))
        file = authority.pem(tmp_path / "given.pem")
        if reason is None:
            prepared = kept.rotation.prepare_installed(file)
            # gpgsm 2.2.40 refuses it (findings/gpgsm_verifies_nothing_of_an_authority_that_has_limits.sh).
            assert "gpgsm) refuses a chain with critical nameConstraints:" in prepared.advice
            await kept.rotate(prepared)
            assert kept.signer().fingerprint == load_chain(file)[0].fingerprint(hashes.SHA256()).hex()
        else:
            with pytest.raises(InvalidInputError, match=reason):
                kept.rotation.prepare_installed(file)

    @pytest.mark.parametrize("beside", [(), (ExtendedKeyUsageOID.EMAIL_PROTECTION,)])
    def test_openssl_takes_no_authority_for_any_purpose_and_the_provider_is_told(self, kept, tmp_path, beside):
        """OpenSSL 3.0.19, NSS 3.87.1 (findings/openssl_and_nss_take_no_authority_for_any_purpose.sh)."""
        authority = Authority(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, *beside]))
        file, root = authority.pem(tmp_path / "given.pem"), tmp_path / "root.pem"
        root.write_bytes(authority.root.public_bytes(Encoding.PEM))
        asked = ["openssl", "verify", "-purpose", "smimesign", "-CAfile", root, file]
        ran = subprocess.run(asked, capture_output=True, text=True, check=False)
        advice = kept.rotation.prepare_installed(file).advice
        if beside:
            assert (ran.returncode, advice) == (0, None)
        else:
            assert "unsuitable certificate purpose" in ran.stderr
            assert "openssl and NSS refuse an authority with anyExtendedKeyUsage" in advice

    async def test_the_certificate_in_use_is_not_installed_again(self, kept):
        with pytest.raises(InvalidInputError, match="in use already"):
            kept.rotation.prepare_installed(kept.folder / "keys" / "signing.pem")

    async def test_with_files_named_in_the_settings_the_chain_s_file_takes_both(self, data_folder, tmp_path):
        chain, key = tmp_path / "chain.pem", tmp_path / "private.pem"
        shutil.copy(data_folder / "keys" / "signing.pem", chain)
        passphrases = key_passphrases(settings_of(data_folder), load_masters(settings_of(data_folder)))
        key.write_bytes(private_pem(load_private_key(chain, passphrases), None))
        chain.write_bytes(b"".join(item.public_bytes(Encoding.PEM) for item in load_chain(chain)))
        kept = Kept(data_folder, signing__chain_file=chain, signing__key_file=key)
        try:
            with pytest.raises(StateConflictError, match="--install FILE"):
                kept.rotation.prepare_signing()
            await kept.rotate(kept.rotation.prepare_installed(Authority().pem(tmp_path / "given.pem")))
            assert CmsSigner(key, chain, kept.passphrases, kept.clock).sign_detached(b"x")
            assert key.exists()
        finally:
            await kept.store.close()
