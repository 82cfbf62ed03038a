"""A service lives through a day with secrets that are known here; none of them is found where it does not belong."""

import asyncio
import base64
import json
import os
import re
import shutil
import sqlite3
import sys
import urllib.parse
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.channels.webhook_https import open_secret
from service.cli.demo.environment import ADDRESS, PROVIDER
from service.crypto.key_files import load_private_key
from service.crypto.master_key import key_passphrases, load_masters, passphrase_of, write_master_file
from service.crypto.secret_box import SecretBox
from service.ports.accounts import Account, AccountKind
from service.ports.credentials import Totp
from service.settings import load_settings
from service.store import open_store
from support.scenario import affected, customer, declare, facts, harm, ok, release

TOKEN = "grf_" + "CanaryToken" * 4
UNKNOWN_TOKEN = "grf_" + "StolenToken" * 4
SMTP_PASSWORD = "canary-of-the-relay-7731"
PASSPHRASE = "canary-of-the-key-files-9054"
MASTER = b"canary of the master key, 32 byt"
SEED = b"canary-totp-seed-20b"
#: what a caller puts where it does not belong
MISPLACED = "canary-put-in-the-wrong-place-4410"
#: where each secret is meant to be
MEANT = {"api-token", "master.key"}


def spellings(secret):
    """Return a secret as it could stand somewhere: as it is, base64, base32, hex, in a URL or in JSON."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    encoded = {
        base64.b64encode(raw), base64.urlsafe_b64encode(raw), base64.b32encode(raw), raw.hex().encode(),
        urllib.parse.quote(raw).encode(),
    }  # fmt: skip
    # Inside of a longer base64 text the ends differ: the middle of it shows.
    return {raw, *(item.rstrip(b"=")[:-2] for item in encoded)}


def found_in(data, secrets):
    return {name for name, secret in secrets.items() if any(item in data for item in spellings(secret))}


def private_bytes(folder, settings):
    """Return what of the private keys is secret: seeds and exponents."""
    passphrases = key_passphrases(settings, load_masters(settings))
    secrets = {}
    for name in ("ca.key", "log.key", "signing.pem", "tsa.key"):
        key = load_private_key(folder / "keys" / name, passphrases)
        if isinstance(key, Ed25519PrivateKey):
            secrets[name] = key.private_bytes_raw()
        else:
            numbers = key.private_numbers()
            value = getattr(numbers, "private_value", None) or numbers.d
            secrets[name] = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return secrets


@asynccontextmanager
async def served(data):
    """Run ``greffier serve`` on the folder; yields the process, the address, and what it wrote once it has ended."""
    environment = os.environ | {
        "GREFFIER_MAIL__HOST": "127.0.0.1", "GREFFIER_MAIL__PORT": "9", "GREFFIER_MAIL__TLS": "starttls",
        "GREFFIER_MAIL__USERNAME": "greffier", "GREFFIER_MAIL__PASSWORD": SMTP_PASSWORD,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service.cli", "serve", "--data", str(data), "--port", "0",
        env=environment, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    written = []
    try:
        while line := await process.stderr.readline():
            written.append(line)
            if line.startswith(b"serving "):
                break
        else:
            raise AssertionError(b"".join(written).decode())
        yield process, line.split()[1].decode(), written
    finally:
        if process.returncode is None:
            process.terminate()
        out, err = await process.communicate()
        written += [out, err]


async def test_a_day_of_a_service_leaves_no_secret_where_it_does_not_belong(tmp_path, prepared_folder):
    data = tmp_path / "data"
    words = tmp_path / "words"
    words.write_text(PASSPHRASE + "\n")
    write_master_file(tmp_path / "given", [MASTER], new=True)
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service.cli", "init", "--data", str(data), "--address", ADDRESS, "--provider", PROVIDER,
        "--passphrase-file", str(words), "--master-key-file", str(tmp_path / "given"), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, _ = await ran.communicate()
    (data / "api-token").write_text(TOKEN + "\n")
    shutil.copy(prepared_folder / "greffier.sqlite3", data)
    settings = load_settings(data)
    secrets = {
        "token": TOKEN, "smtp password": SMTP_PASSWORD, "passphrase": PASSPHRASE, "master": MASTER, "seed": SEED,
        "derived passphrase": passphrase_of(MASTER), "unknown token": UNKNOWN_TOKEN, "misplaced": MISPLACED,
    } | private_bytes(data, settings)  # fmt: skip

    answers = []
    async with served(data) as (process, url, written):
        async with httpx2.AsyncClient(base_url=url, timeout=120) as api:
            api.headers["Authorization"] = f"Bearer {TOKEN}"

            async def keep(response):
                answers.append(str(response.headers).encode() + await response.aread())

            api.event_hooks["response"].append(keep)
            hook = await live(api)
            # What is shown once is shown to somebody whose answers are not looked at here.
            async with httpx2.AsyncClient(base_url=url, timeout=120, headers=dict(api.headers)) as unheard:
                secrets |= await set_up_webhook(api, unheard, hook)
            await enrol(data)
            commands = [await greffier("keys", "list", data), await greffier("keys", "rotate", "signing", data)]
            for leaf in (await ok(api.get("/audit/entries", params={"limit": 200})))["items"]:
                answers += [json.dumps(leaf).encode(), base64.b64decode(leaf["leaf_base64"])]
            limits = await asyncio.to_thread(Path(f"/proc/{process.pid}/limits").read_text)
            arguments = await asyncio.to_thread(Path(f"/proc/{process.pid}/cmdline").read_bytes)
        # What a crash of this moment would leave, write-ahead log and all.
        left = {path: path.read_bytes() for path in data.rglob("*") if path.is_file() and path.name not in MEANT}
    with sqlite3.connect(data / "greffier.sqlite3") as database:
        # The index of the search keeps no rows that can be read; what it keeps is in its other tables.
        stored = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        rows = [row for (name,) in database.execute(stored) for row in database.execute(f'SELECT * FROM "{name}"')]
        dump = b"\n".join(
            value.hex().encode() if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
        )
        sealed = database.execute("SELECT sealed_seed FROM totps").fetchall()
    database.close()

    secrets |= await webhook_keys(data, settings)
    assert {"webhook v1", "webhook v1a", "webhook shown"} <= secrets.keys()
    assert re.search(r"Max core file size\s+0\s+0\s", limits)
    logged = b"".join(written)
    assert b"service.ready" in logged
    assert b"delivery.deferred" in logged
    assert len(answers) > 30
    assert len(sealed) == 1
    places = {
        "log": logged, "answers": b"\n".join(answers), "arguments": arguments, "init": printed, "dump": dump,
        "commands": b"".join(commands), **{str(path.relative_to(data)): content for path, content in left.items()},
    }  # fmt: skip
    leaks = {name: found for name, content in places.items() if (found := found_in(content, secrets))}
    assert leaks == {}


async def greffier(*words):
    *command, data = words
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service.cli", *command, "--data", str(data),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await ran.communicate()
    assert ran.returncode == 0, out
    return out


async def live(api):
    """Do what is done in a day, some of it wrong, with secrets in places where people put them by mistake."""
    item = await customer(api)
    incident = await declare(
        api,
        impact="I1",
        service_harm=harm(confidentiality="yes"),
        affected_customers=[affected(item, data_harm=harm(confidentiality="yes"))],
    )
    await release(api, incident)
    for path in ("/keys", "/settings", "/attention", "/notices", "/customers", "/openapi.json"):
        await ok(api.get(path))
    for kind in ("log", "signing"):
        await ok(api.post(f"/keys/{kind}/rotate", headers={"Idempotency-Key": f"rotate-{kind}"}))
    assert (await api.get("/audit/checkpoint")).is_success
    wrong = [
        api.get("/notices", headers={"Authorization": f"Bearer {UNKNOWN_TOKEN}"}),
        api.get("/notices", headers={"Authorization": f"Basic {MISPLACED}"}),
        api.get("/notices", headers={"Cookie": f"__Host-greffier={MISPLACED}", "Authorization": ""}),
        api.get("/notices", params={"cursor": MISPLACED}),
        api.post("/incidents", content=b'{"password": "' + MISPLACED.encode()),
        api.post("/incidents", json=facts(impact=MISPLACED)),
        api.post("/customers", json={"name": "N", "agreement": {"agreement_id": MISPLACED, "effective_at": MISPLACED}}),
        api.post("/incidents", json=facts(), headers={"Idempotency-Key": "k" * 300}),
        api.post("/keys/log/rotate", headers={"Authorization": f"Bearer {UNKNOWN_TOKEN}"}),
    ]
    statuses = [(await request).status_code for request in wrong]
    assert set(statuses) <= {400, 401, 404, 422}, statuses
    return f"/customers/{item['id']}/webhooks"


async def set_up_webhook(api, unheard, hooks):
    """Set up a webhook with a secret of each kind, and use it; returns the one that was shown."""
    body, key = {"url": "https://127.0.0.1:9/"}, {"Idempotency-Key": "hook"}
    made = await ok(unheard.post(hooks, json=body, headers=key))
    hook = f"{hooks}/{made['id']}"
    for again in (api.post(hooks, json=body, headers=key), api.get(hooks), api.get(hook), api.post(f"{hook}/test")):
        await ok(again)
    for kind in ("v1a", "v1"):
        await ok(unheard.post(f"{hook}/secrets", json={"kind": kind}, headers={"Idempotency-Key": f"hook-{kind}"}))
    wrong = await api.post(hooks, json={"url": f"https://user:{MISPLACED}@x.example/"})
    assert wrong.status_code == 422
    return {"webhook shown": made["new_secret"]["secret"]}


async def webhook_keys(data, settings):
    """Return the secrets of webhooks as the store keeps them, opened."""
    secret_box, store = SecretBox(load_masters(settings)), open_store(data / "greffier.sqlite3", migrate=False)
    kept = await store.read(lambda tx: list(tx.webhooks.secrets(None)))
    await store.close()
    assert len(kept) == 3
    return {f"webhook {item.kind.value}": open_secret(secret_box, item) for item in kept}


async def enrol(data):
    """Give an account a generator, sealed as the service seals it."""
    settings = load_settings(data)
    secret_box, now = SecretBox(load_masters(settings)), datetime.now(UTC)
    account = Account(
        UUID(int=9), AccountKind.PERSON, "P", None, "en", active=True, created_at=now, created_by="operator:test"
    )
    store = open_store(data / "greffier.sqlite3", migrate=False)
    sealed = secret_box.seal(SEED, purpose="totp", owner=str(account.id))

    def work(tx):
        tx.accounts.add(account)
        tx.credentials.set_totp(Totp(account.id, sealed, now, None, 0))

    await store.write(work)
    await store.close()
