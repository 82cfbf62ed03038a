"""What docs/webhooks.md tells a receiver to do works as it stands there, and refuses what it should."""

import asyncio
import re
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from notifications.delivery.webhook import SignatureKind
from notifications.delivery.webhook_message import (
    SigningSecret,
    notice_event,
    public_key_text,
    shared_secret_text,
    signed_headers,
)
from support.sealed_sample import Office

DOCUMENT = Path(__file__).parents[2] / "docs" / "webhooks.md"
BLOCKS = dict(re.findall(r"<!-- test: (\w+) -->\n```\w+\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL))
SHARED, PRIVATE = bytes(range(32)), b"p" * 32
SECRETS = [SigningSecret(SignatureKind.V1, SHARED), SigningSecret(SignatureKind.V1A, PRIVATE)]


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture
def arrived(office, tmp_path):
    """What a receiver got, in a folder of its own: headers and ``body.json``, with the provider's trust anchors."""
    body = notice_event(office.seal(), message_id="<abc@provider.example>", source="urn:x", console_url=None)
    (tmp_path / "body.json").write_bytes(body)
    shutil.copytree(office.files.trust, tmp_path / "trust")
    return signed_headers("<abc@provider.example>", body, datetime.now(UTC), SECRETS), body


async def shell(script, folder, **variables):
    ran = await asyncio.create_subprocess_exec(
        "sh", "-eu", "-c", script, cwd=folder, env={"PATH": "/usr/bin:/bin:/usr/local/bin"} | variables,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await ran.communicate()
    return ran.returncode, out.decode().strip(), err.decode()


def of_headers(headers):
    return {
        "ID": headers["webhook-id"],
        "TIMESTAMP": headers["webhook-timestamp"],
        "SIGNATURE": headers["webhook-signature"],
    }


def test_the_python_takes_what_is_signed_and_nothing_else(arrived):
    headers, body = arrived
    names = {}
    exec(BLOCKS["python"], names)
    verify, secret = names["verify"], shared_secret_text(SHARED)
    verify(headers, body, secret)
    wrong = [
        (headers, body + b" ", secret),
        (headers, body, shared_secret_text(b"x" * 32)),
        (headers | {"webhook-id": "msg_other"}, body, secret),
        (headers | {"webhook-timestamp": str(int(time.time()) - 400)}, body, secret),
        (signed_headers("<abc@provider.example>", body, datetime.now(UTC), SECRETS[1:]), body, secret),
    ]
    for given in wrong:
        with pytest.raises(ValueError, match=r"old|not signed"):
            verify(*given)


async def test_openssl_makes_the_same_signature(arrived, tmp_path):
    headers, _ = arrived
    secret = shared_secret_text(SHARED)
    code, out, err = await shell(BLOCKS["hmac"], tmp_path, SECRET=secret, **of_headers(headers))
    assert code == 0, err
    assert out in headers["webhook-signature"].split(" ")
    (tmp_path / "body.json").write_bytes(b"{}")
    _, out, _ = await shell(BLOCKS["hmac"], tmp_path, SECRET=secret, **of_headers(headers))
    assert out not in headers["webhook-signature"].split(" ")


async def test_openssl_verifies_by_the_public_key_alone(arrived, tmp_path):
    headers, _ = arrived
    key = public_key_text(PRIVATE)
    code, out, err = await shell(BLOCKS["ed25519"], tmp_path, KEY=key, **of_headers(headers))
    assert (code, out) == (0, "Signature Verified Successfully"), err
    (tmp_path / "body.json").write_bytes(b"{}")
    assert (await shell(BLOCKS["ed25519"], tmp_path, KEY=key, **of_headers(headers)))[0] != 0


@pytest.mark.usefixtures("arrived")
async def test_the_notice_in_it_is_verified_by_openssl_alone(tmp_path):
    (tmp_path / "unpack.py").write_text(BLOCKS["unpack"])
    code, _, err = await shell(f"{sys.executable} unpack.py", tmp_path)
    assert code == 0, err
    code, _, err = await shell(BLOCKS["notice"], tmp_path)
    assert code == 0, err
    document = tmp_path / "notice.json"
    document.write_bytes(document.read_bytes().replace(b"AMBER", b"GREEN"))
    assert (await shell(BLOCKS["notice"], tmp_path))[0] != 0


async def test_the_shared_timestamp_of_the_notice_in_it_is_verified_by_openssl_alone(office, tmp_path):
    sealed = office.seal(shared=True)
    body = notice_event(sealed, message_id="<abc@provider.example>", source="urn:x", console_url=None)
    (tmp_path / "body.json").write_bytes(body)
    shutil.copytree(office.files.trust, tmp_path / "trust")
    (tmp_path / "unpack.py").write_text(BLOCKS["unpack"])
    code, _, err = await shell(f"{sys.executable} unpack.py", tmp_path)
    assert code == 0, err
    code, _, err = await shell(BLOCKS["shared"], tmp_path)
    assert code == 0, err
    # It is not over the signature, and over no other checkpoint.
    assert (await shell(BLOCKS["notice"], tmp_path))[0] != 0
    proof = tmp_path / "notice.tlog-proof"
    proof.write_bytes(office.seal(shared=True, entry={"actor": "system:other"}).log_proof)
    assert (await shell(BLOCKS["shared"], tmp_path))[0] != 0
