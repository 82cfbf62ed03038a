"""Signatures and timestamps read for browsers, run by node: what our own verifier takes holds, and nothing else."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID

import service.web.console
from notifications.crypto.cms import verify_detached
from notifications.crypto.timestamps import verify_timestamp
from notifications.errors import VerificationError
from support.sealed_sample import Office, files_of, write_signer

MODULE = Path(service.web.console.__file__).parent / "static" / "cms-verifier.js"
#: Takes calls as JSON, a line each; ``changed`` tries a call with every bit flip of one byte of an argument.
DRIVER = """
import { createInterface } from "node:readline";
if (typeof globalThis.crypto === "undefined") globalThis.crypto = (await import("node:crypto")).webcrypto;
const verifier = await import(process.argv[2]);
const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));
const tried = async (call, given) => {
  try {
    return { found: await verifier[call](...given) };
  } catch (error) {
    return { step: error.step ?? null, reason: error.reason ?? String(error), name: error.name };
  }
};
for await (const line of createInterface({ input: process.stdin })) {
  const { call, given, changed } = JSON.parse(line);
  const filled = given.map(bytes);
  if (changed === undefined) {
    console.log(JSON.stringify(await tried(call, filled)));
    continue;
  }
  const answers = [];
  for (let place = 0; place < filled[changed].length; place += 1) {
    const copy = [...filled];
    copy[changed] = Uint8Array.from(copy[changed]);
    copy[changed][place] ^= 1;
    const answer = await tried(call, copy);
    answers.push("found" in answer ? "holds" : answer.name);
  }
  console.log(JSON.stringify(answers));
}
"""


class Node:
    """One node for all calls of this file."""

    def __init__(self, folder):
        program, module = folder / "driver.mjs", folder / "cms-verifier.mjs"
        program.write_text(DRIVER)
        shutil.copy(MODULE, module)
        command = [shutil.which("node"), "--no-warnings", str(program), module.as_uri()]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, call, *given, **options):
        asked = {"call": call, "given": [each.hex() for each in given]} | options
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def holds(self, call, *given):
        answer = self.ask(call, *given)
        assert "found" in answer, answer
        return answer["found"]

    def refuses(self, call, *given):
        answer = self.ask(call, *given)
        assert answer.get("name") == "SignatureError", answer
        return f"{answer['step']}: {answer['reason']}"

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=20)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    running = Node(tmp_path_factory.mktemp("node"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def files(office):
    return files_of(office.seal())


def test_it_loads_nothing_and_asks_nobody():
    source = re.sub(r"//.*", "", MODULE.read_text())
    assert not re.search(r"\b(import|fetch|XMLHttpRequest|WebSocket|eval|Function|window)\b(?!Key)", source)


def test_a_genuine_signature_and_its_timestamp_hold_as_for_our_own_verifier(node, office, files):
    signer = node.holds("verifyDetached", files.document, files.signature)
    ours = verify_detached(files.document, files.signature, "document signature")
    assert signer["fingerprint"] == ours.certificate.fingerprint(SHA256()).hex()
    dated = node.holds("verifyTimestamp", files.signature, files.timestamp)
    stated = verify_timestamp(files.timestamp, files.signature, office.trust.timestamp_roots, "timestamp")
    assert dated["at"].startswith(f"{stated.at:%Y-%m-%dT%H:%M:%S}")


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)])
def test_keys_of_both_kinds_sign(node, office, tmp_path, key):
    signer = write_signer(office, tmp_path, key=key)
    signature = signer.sign_detached(b"content")
    assert node.holds("verifyDetached", b"content", signature)["fingerprint"] == signer.fingerprint
    assert node.refuses("verifyDetached", b"contenu", signature).endswith("the content is not what was signed")


def signed_by_files(folder, content):
    """Sign with the key and the certificate in a folder, whatever the certificate is for."""
    key = load_pem_private_key((folder / "signer.key").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate((folder / "signer.pem").read_bytes())
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(certificate, key, SHA256())
    return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary])


def test_a_certificate_for_another_purpose_is_refused(node, office, tmp_path):
    write_signer(office, tmp_path / "mail")
    assert node.holds("verifyDetached", b"x", signed_by_files(tmp_path / "mail", b"x"))["name"] == "signer"
    for usages in ((ExtendedKeyUsageOID.TIME_STAMPING,), ()):
        write_signer(office, tmp_path / "other", usages=usages)
        refused = node.refuses("verifyDetached", b"x", signed_by_files(tmp_path / "other", b"x"))
        assert "another purpose" in refused


def test_what_is_no_signature_or_of_something_else_is_refused(node, files):
    for wrong in (b"", b"\x30", b"\x30\x80\x00\x00", b"\x30\x00", b"text", files.document, files.timestamp,
                  files.signature + b"\x00", files.signature[:-1], b"\x30\x84\xff\xff\xff\xff"):  # fmt: skip
        node.refuses("verifyDetached", files.document, wrong)
        if wrong is not files.timestamp:
            node.refuses("verifyTimestamp", files.signature, wrong)
    assert "another signature" in node.refuses("verifyTimestamp", files.document, files.timestamp)
    node.refuses("verifyDetached", files.document + b" ", files.signature)


def refusal(verify, content):
    """Return why our own verifier refuses a content; empty where it takes it."""
    try:
        verify(content)
    except VerificationError as error:
        return str(error)
    return ""


def test_a_changed_byte_is_refused_wherever_our_own_verifier_refuses_it(node, files):
    """The log's commitment refuses the others: bytes that no signature covers, such as of certificates above."""
    for call, given, changed, verify in (
        ("verifyDetached", (files.document, files.signature), 1,
         lambda content: verify_detached(files.document, content, "document signature")),
        ("verifyDetached", (files.document, files.signature), 0,
         lambda content: verify_detached(content, files.signature, "document signature")),
    ):  # fmt: skip
        answers = node.ask(call, *given, changed=changed)
        assert set(answers) <= {"holds", "SignatureError"}
        for place in [at for at, answer in enumerate(answers) if answer == "holds"]:
            content = bytearray(given[changed])
            content[place] ^= 1
            # Our own reader is stricter about the form; it never finds that something else was signed.
            assert not re.search("the content is not|the signature is wrong", refusal(verify, bytes(content)))
    answers = node.ask("verifyTimestamp", files.signature, files.timestamp, changed=1)
    assert set(answers) <= {"holds", "SignatureError"}
    assert set(node.ask("verifyTimestamp", files.signature, files.timestamp, changed=0)) == {"SignatureError"}
