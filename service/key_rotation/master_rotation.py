"""Replace the master key, and encrypt again what earlier master keys encrypted."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.evidence.record_keys import KeyChange, rotation_entry
from service.channels.webhook_https import open_secret, seal_secret
from service.crypto.key_files import PRIVATE_KEY_BLOCK, WritableKey, parse_private_key, private_pem
from service.crypto.master_key import (
    key_passphrases,
    load_masters,
    master_fingerprint,
    new_master,
    write_master_file,
)
from service.crypto.secret_box import SecretBox
from service.ports.drafts import SEALED_FOR
from service.ports.store import AccessStore, AccessTransaction
from service.settings import Settings
from service.system.atomic_files import replace_file

#: Encrypts the records of one kind again and returns their number: one function for each kind with secrets.
Resealing = Callable[[AccessTransaction, SecretBox], int]


def reseal_totp_seeds(tx: AccessTransaction, secret_box: SecretBox) -> int:
    """Seal every TOTP seed under the current master key; raises SecretUnreadableError where one does not open."""
    count = 0
    for totp in tx.credentials.all_totps():
        if not secret_box.is_current(totp.sealed_seed):
            owner = str(totp.account_id)
            seed = secret_box.open(totp.sealed_seed, purpose="totp", owner=owner)
            tx.credentials.set_totp(replace(totp, sealed_seed=secret_box.seal(seed, purpose="totp", owner=owner)))
            count += 1
    return count


def reseal_webhook_secrets(tx: AccessTransaction, secret_box: SecretBox) -> int:
    """Seal every secret of a webhook under the current master key; raises SecretUnreadableError as above."""
    count = 0
    for secret in tx.webhooks.secrets(None):
        if not secret_box.is_current(secret.sealed):
            sealed = seal_secret(secret_box, secret.kind, str(secret.id), open_secret(secret_box, secret))
            tx.webhooks.save_secret(replace(secret, sealed=sealed))
            count += 1
    return count


def reseal_drafts(tx: AccessTransaction, secret_box: SecretBox) -> int:
    """Encrypt every draft of an incident with the current master key; raises SecretUnreadableError as above."""
    count = 0
    for draft in tx.drafts.all():
        if not secret_box.is_current(draft.sealed):
            owner = str(draft.id)
            content = secret_box.open(draft.sealed, purpose=SEALED_FOR, owner=owner)
            tx.drafts.reseal(replace(draft, sealed=secret_box.seal(content, purpose=SEALED_FOR, owner=owner)))
            count += 1
    return count


#: Pending sign-ins are not included: they expire soon, and the previous key can decrypt them until then.
RESEALINGS: tuple[Resealing, ...] = (reseal_totp_seeds, reseal_webhook_secrets, reseal_drafts)


async def rotate_master(
    settings: Settings, store: AccessStore, act: AuditContext, resealings: Sequence[Resealing] = RESEALINGS
) -> tuple[int, int]:
    """Make a new master key the current one; return how many files and records were encrypted again.

    No service may run on the folder, because it would continue with the keys that it read at its start. After a crash
    at any point everything can still be decrypted, because earlier keys stay in the file. A second run encrypts the
    rest.

    1. Write the new key as the first one in the file, by one rename.
    2. Encrypt the private keys that were made here again, each file by one rename.
    3. Encrypt the secrets in the store again, in one transaction with the log entry about it. This step is last, so
       that the log never states a rotation that did not finish.
    """
    # 1.
    before = load_masters(settings)
    masters = [new_master(), *before]
    write_master_file(settings.master_file, masters)
    # 2.
    files = await asyncio.to_thread(_reencrypt_files, settings, key_passphrases(settings, masters))
    # 3.
    secret_box = SecretBox(masters)
    change = KeyChange("master", master_fingerprint(before[0]), master_fingerprint(masters[0]), overlap_until=None)

    def work(tx: AccessTransaction) -> int:
        count = sum(reseal(tx, secret_box) for reseal in resealings)
        tx.audit.append([rotation_entry(act, change)])
        return count

    return files, await store.write(work)


def _reencrypt_files(settings: Settings, passphrases: list[bytes]) -> int:
    """Encrypt the private keys of the data folder under the first passphrase; returns how many files."""
    count = 0
    for path in sorted(settings.keys_dir.glob("*")):
        if path.is_file() and PRIVATE_KEY_BLOCK.search(data := path.read_bytes()):
            replace_file(path, _reencrypted(data, passphrases, path), 0o600)
            count += 1
    return count


def _reencrypted(data: bytes, passphrases: list[bytes], path: Path) -> bytes:
    parts, at = [], 0
    for block in PRIVATE_KEY_BLOCK.finditer(data):
        key: WritableKey = parse_private_key(block[0], passphrases, path)  # type: ignore[assignment]  # files made here hold no other kind
        parts += [data[at : block.start()], private_pem(key, passphrases[0])]
        at = block.end()
    return b"".join([*parts, data[at:]])
