"""Keys at rest, the file of a log's keys, and the command that lists and replaces them."""

import asyncio
import base64
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.checkpoint import verify_checkpoint
from notifications.audit.note import parse_note, parse_verifier_key, verifier_key
from notifications.delivery.webhook import SignatureKind
from notifications.errors import InvalidInputError, SealingUnavailableError
from service.bootstrap.data_folder import prepare_data_folder
from service.channels.webhook_https import open_secret, seal_secret
from service.cli.demo.environment import ADDRESS, PROVIDER, embedded_service
from service.cli.main import cli, main
from service.crypto.key_files import load_log_key, load_private_key, private_pem
from service.crypto.log_keys import LogKey, LogKeyFile, LogKeyRing, format_log_keys, parse_log_keys
from service.crypto.master_key import key_passphrases, load_masters, new_master, parse_masters, write_master_file
from service.crypto.secret_box import SecretBox, SecretUnreadableError
from service.key_rotation.master_rotation import rotate_master
from service.ports.accounts import Account, AccountKind
from service.ports.credentials import Totp
from support.commands import run as greffier
from support.kept_keys import Authority, Kept, as_released, mode, private_files, settings_of
from support.records import make_customer
from support.sealed_sample import SetClock
from support.serving_records import make_endpoint, make_secret

ORIGIN = "provider.example/greffier"
NOW = datetime.now(UTC).replace(microsecond=0)
PASSPHRASE = b"a passphrase"
OF_ANOTHER_LOG = verifier_key("other.example/log", Ed25519PrivateKey.from_private_bytes(b"o" * 32)).text()


@pytest.fixture
async def kept(data_folder):
    made = Kept(data_folder)
    yield made
    await made.store.close()


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
        with pytest.raises(InvalidInputError, match=r"signing\.master_key_file: cannot read"):
            load_masters(settings)
        assert not given.exists()

    def test_an_operator_s_passphrase_goes_first_and_the_master_key_s_still_opens(self, data_folder, tmp_path):
        (tmp_path / "words").write_text("operator's own\n")
        settings = settings_of(data_folder, signing__key_passphrase_file=tmp_path / "words")
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
        assert str(caught.value) == f"signing.master_key_file: {reason}"

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


class TestMasterRotation:
    async def test_everything_is_encrypted_anew_and_opens_under_the_new_key_alone(self, kept):
        old = load_masters(kept.settings)
        secret_box = SecretBox(old)
        account = Account(
            UUID(int=5), AccountKind.PERSON, "P", None, "en", active=True, created_at=NOW, created_by="operator:test"
        )
        seed = secret_box.seal(b"the seed", purpose="totp", owner=str(account.id))

        def work(tx):
            tx.accounts.add(account)
            tx.credentials.set_totp(Totp(account.id, seed, NOW, NOW, 0))

        await kept.store.write(work)
        await kept.rotate()
        assert await rotate_master(kept.settings, kept.store, kept.act()) == (4, 1)
        masters = load_masters(kept.settings)
        assert masters[1:] == old
        totp = await kept.store.read(lambda tx: tx.credentials.totp(account.id))
        assert SecretBox(masters[:1]).open(totp.sealed_seed, purpose="totp", owner=str(account.id)) == b"the seed"
        only_new = key_passphrases(kept.settings, masters[:1])
        for path in private_files(kept.folder):
            assert load_private_key(path, only_new)
        assert (
            len(
                LogKeyFile(kept.folder / "keys" / "log.key", kept.settings.log.origin, only_new, kept.clock).ring().keys
            )
            == 2
        )
        assert [kind for kind, _ in await kept.logged()][-1] == "key.rotated"
        # Once more, after a crash at any step: everything still opens.
        assert await rotate_master(kept.settings, kept.store, kept.act()) == (4, 1)

    @pytest.mark.parametrize("kind", SignatureKind)
    async def test_secrets_of_webhooks_sign_on_under_the_new_key_alone(self, kept, kind):
        secret_box, customer = SecretBox(load_masters(kept.settings)), make_customer()
        endpoint = make_endpoint(customer)
        secret = make_secret(endpoint, kind=kind)
        secret = replace(secret, sealed=seal_secret(secret_box, kind, str(secret.id), b"k" * 32))

        def work(tx):
            tx.customers.add(customer, b"s" * 32)
            tx.webhooks.add(endpoint)
            tx.webhooks.add_secret(secret)

        await kept.store.write(work)
        assert await rotate_master(kept.settings, kept.store, kept.act()) == (4, 1)
        (after,) = await kept.store.read(lambda tx: list(tx.webhooks.secrets(endpoint.id)))
        only_new = SecretBox(load_masters(kept.settings)[:1])
        assert open_secret(only_new, after) == b"k" * 32
        assert replace(after, sealed=secret.sealed) == secret
        # Moved to another record it opens nowhere.
        with pytest.raises(SecretUnreadableError):
            open_secret(only_new, replace(after, id=UUID(int=7)))

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
            tx.accounts.add(account)
            tx.credentials.set_totp(Totp(account.id, foreign, NOW, NOW, 0))

        await kept.store.write(work)
        with pytest.raises(SecretUnreadableError):
            await rotate_master(kept.settings, kept.store, kept.act())
        assert await kept.logged() == []
        # The key files are under the new key, which stands in the file with the one before.
        assert Kept(kept.folder).signer().sign_detached(b"x")


class TestCommand:
    async def test_beside_a_running_service_which_signs_with_the_new_keys_without_a_restart(self, running, api):
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

    def test_a_chain_that_gnupg_refuses_is_installed_with_a_note(self, data_folder, tmp_path):
        file = Authority(x509.NameConstraints([x509.RFC822Name(ADDRESS)], None)).pem(tmp_path / "given.pem")
        ran = greffier("keys", "rotate", "signing", "--data", data_folder, "--install", file)
        assert ran.returncode == 0, ran.stderr
        assert "note: GnuPG (gpgsm) refuses a chain with critical nameConstraints" in ran.stdout.splitlines()[-1]

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
            name
            for name in named
            if name.endswith("_file") and name != "policy_file"  # a policy is public
        }


async def lines(api):
    answer = await api.get("/audit/checkpoint")
    # Before the first entry is in the tree there is none.
    return parse_note(answer.content).signatures if answer.is_success else ()
