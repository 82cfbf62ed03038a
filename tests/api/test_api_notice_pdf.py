"""The notice on paper as its readers get it: the words of the mail, the proofs inside, signed and dated, kept."""

import asyncio
import hashlib
import html
import io
import json
import re
import zipfile
from dataclasses import dataclass
from uuid import UUID

import pytest
import pytest_asyncio
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import KeyUsageConstraints, async_validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext
from test_api_trail import sequenced

from notifications.errors import TimestampUnavailableError
from notifications.evidence.bundle.verification import BUNDLE_STEPS, verify_bundle
from notifications.evidence.verification import NoticeFiles, verify_notice_files
from service.cli.verify import load_trust
from service.ports.accounts import Role
from support.people import browser, person
from support.read_pdf import attached, faults_of_pdf_a_3, opened, run, squeezed, tags_of, words_shown
from support.scenario import affected, customer, declare, harm, notices, release

LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3
HOSTILE = (
    '#panic("x") \\u{41} $x$ *b* _i_ `raw` <label> @ref #read("/etc/passwd") #import "@preview/a:1.0.0" // no'
    ' /* c */ [x] #let y = 1 "; --- ... ~ \'"'
)
NAMES = "عبد الرحمن بن محمد | יוסף כהן | Δημήτρης | 华为 | 𠮷 | 😀 | \ue000"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Case:
    running: object
    api: object
    owner: dict
    notice: str

    async def pdf(self, language="fr"):
        answer = await self.api.get(f"/notices/{self.notice}/notice.pdf", params={"language": language})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/pdf"
        return answer.content

    async def sealed(self):
        return await self.running.parts.store.read(lambda tx: tx.notices.seal(UUID(self.notice)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def case(shared_service, shared_api):
    mailboxes = (("rssi@valmont.example", "fr"), ("it@valmont.example", "de"), ("soc@valmont.example", "en"))
    owner = await customer(shared_api, f'Hôpital #panic() "{NAMES[:20]}"', contacts=mailboxes)
    incident = await declare(
        shared_api,
        impact="I1",
        title={"en": f"Fault {HOSTILE}"[:200], "fr": "Défaut", "de": LONG[:200]},
        summary={"en": f"{HOSTILE}\n\n{NAMES}\n" + "word " * 1900, "fr": "Résumé", "de": f"{LONG}\n{NAMES}"},
        service_harm=harm(confidentiality="yes"),
        affected_customers=[
            affected(
                owner,
                data_harm=harm(confidentiality="yes"),
                effect={"fr": "Vos machines."},
                resources=[{"kind": "machine", "id": f"vm-{number}"} for number in range(5)],
            )
        ],
    )
    (notice,) = await release(shared_api, incident)
    await shared_service.sink.wait_for(3, timeout_seconds=60)
    return Case(shared_service, shared_api, owner, notice["id"])


async def sealed_with_proof(running, notice):
    """Wait until a notice is sealed, and the log proves it."""
    store, changed = running.parts.store, asyncio.Event()
    store.on_commit.append(lambda _kinds: changed.set())
    async with asyncio.timeout(60):
        while (seal := await store.read(lambda tx: tx.notices.seal(UUID(notice)))) is None or seal.log_proof is None:
            await changed.wait()
            changed.clear()


def text_of_html(page):
    """Return the words of the mail's HTML, without white space."""
    body = page.partition("<main>")[2]
    return squeezed(html.unescape(re.sub(r"<[^>]+>", " ", body)))


def _anchors(running, name):
    pem = (running.trust_dir / name).read_bytes()
    return [
        asn1_x509.Certificate.load(each.public_bytes(Encoding.DER)) for each in x509.load_pem_x509_certificates(pem)
    ]


@pytest.mark.parametrize("language", ["fr", "de", "en"])
async def test_the_words_are_those_of_the_mail(case, language, tmp_path):
    content = await case.pdf(language)
    (words,) = [each for each in (await case.sealed()).renderings if each.language == language]
    shown = words_shown(tmp_path, content)
    # What no font has is shown by its name, and a list has its signs.
    expected = text_of_html(words.html).replace("\ue000", "⟨U+E000⟩").replace("𠮷", "⟨U+20BB7⟩")
    right_to_left = re.compile(r"[\u0590-\u08ff\ufb1d-\ufefc]+")
    assert right_to_left.sub("", shown).replace("•", "") == right_to_left.sub("", expected)
    # The plain text has the same words; its layout repeats the headings of tables, and marks lists by signs.
    plain = set(re.findall(r"\w+", words.text)) - set(re.findall(r"\w+", "𠮷\ue000"))
    assert all(word in shown for word in plain if not right_to_left.search(word))
    for name in ("محمد", "כהן"):
        assert (name in squeezed(words.text)) == (name in shown or name[::-1] in shown)


async def test_the_document_and_its_proofs_are_inside_byte_for_byte(case):
    sealed, found = await case.sealed(), attached(await case.pdf())
    assert found == {
        "notice.json": sealed.document,
        "notice.json.p7s": sealed.signature,
        "notice.json.tsr": sealed.timestamp,
        "notice.tlog-proof": sealed.log_proof,
    }
    files = NoticeFiles(*found.values(), None)
    steps = list(verify_notice_files(files, load_trust(case.running.trust_dir)))
    assert len(steps) == 6
    assert not any(step.pending for step in steps)


@pytest.mark.parametrize("language", ["fr", "de", "en"])
async def test_it_keeps_the_rules_of_pdf_a_3(case, language):
    content = await case.pdf(language)
    assert faults_of_pdf_a_3(content) == []
    with opened(content) as pdf:
        assert str(pdf.Root.Lang) == language
        related = {name: str(file.relationship) for name, file in pdf.attachments.items()}
    assert related == {
        "notice.json": "/Source", "notice.json.p7s": "/Supplement", "notice.json.tsr": "/Supplement",
        "notice.tlog-proof": "/Supplement",
    }  # fmt: skip
    tags = tags_of(content)
    assert tags.count("H1") == 1
    assert {"H2", "P", "Table", "TH", "TD"} <= set(tags)


async def test_pyhanko_finds_a_valid_signature_of_level_b_t_and_no_more(case):
    reader = PdfFileReader(io.BytesIO(await case.pdf()))
    (signature,) = reader.embedded_signatures
    status = await async_validate_pdf_signature(
        signature,
        signer_validation_context=ValidationContext(trust_roots=_anchors(case.running, "ca.pem"), allow_fetching=False),
        ts_validation_context=ValidationContext(trust_roots=_anchors(case.running, "tsa.pem"), allow_fetching=False),
        key_usage_settings=KeyUsageConstraints(key_usage={"digital_signature"}),
    )
    assert status.bottom_line, status.pretty_print_details()
    assert status.coverage is SignatureCoverageLevel.ENTIRE_FILE
    assert status.timestamp_validity.valid
    assert status.timestamp_validity.trusted
    assert str(signature.sig_object["/SubFilter"]) == "/ETSI.CAdES.detached"
    # B-T: without a place for revocation data, and without a timestamp over the document.
    assert "/DSS" not in reader.root
    assert "signing_time" not in {each["type"].native for each in signature.signer_info["signed_attrs"]}


async def test_pdfsig_finds_it_valid_too(case, tmp_path):
    status, said = run(tmp_path, await case.pdf(), "pdfsig", "-nocert", output=None)
    assert status == 0
    assert "Signature is Valid." in said
    assert "Total document signed" in said
    assert "ETSI.CAdES.detached" in said


async def test_it_is_made_once_and_kept_and_the_log_has_its_digest(case):
    first, *others = await asyncio.gather(*(case.pdf("de") for _ in range(3)))
    assert others == [first, first]
    leaves = await case.running.parts.store.read(
        lambda tx: [json.loads(item.leaf) for item in (*tx.audit.entries(0, 10_000), *tx.audit.pending(10_000))]
    )
    made = {leaf["id"]: leaf for leaf in leaves if leaf["type"] == "notice.pdf_made"}
    (entry,) = [leaf for leaf in made.values() if leaf["detail"]["language"] == "de"]
    assert entry["detail"]["pdf_sha256"] == hashlib.sha256(first).hexdigest()
    assert entry["subjects"]["notice"] == case.notice
    assert set(entry["commitments"]) == {"pdf"}


async def test_without_a_language_it_is_the_customers_and_an_unsealed_one_is_what_a_mail_would_have(case):
    answer = await case.api.get(f"/notices/{case.notice}/notice.pdf")
    assert answer.content == await case.pdf(case.owner["language"])
    assert (await case.api.get(f"/notices/{case.notice}/notice.pdf?language=xx")).status_code == 422


async def test_the_page_offers_it_and_serves_the_same_bytes(case):
    anna = await person(case.running, "Anna", (Role.CUSTOMER_MEMBER, case.owner["id"]))
    async with browser(case.running, anna) as pages:
        page = (await pages.get(f"/notices/{case.notice}?language=de")).text
        link = re.search(r'href="(/notices/[^"]+/notice\.pdf\?language=de)"', page)[1]
        answer = await pages.get(link)
        assert answer.headers["content-disposition"] == 'attachment; filename="notice.pdf"'
        assert answer.content == await case.pdf("de")
        assert f"/notices/{case.notice}/notice.pdf" in (await pages.get("/inbox")).text
    berta = await person(case.running, "Berta", (Role.CUSTOMER_MEMBER, (await customer(case.api, "Other"))["id"]))
    async with browser(case.running, berta) as pages:
        assert (await pages.get(f"/notices/{case.notice}/notice.pdf")).status_code == 404


async def test_the_bundle_has_it_and_verifies(case):
    content = await case.pdf("en")
    await sequenced(case.running)
    answer = await case.api.get("/audit/bundle", params={"notice_id": case.notice})
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        inside = [archive.read(name) for name in archive.namelist() if name.endswith("/opening.pdf")]
    assert content in inside
    steps = list(verify_bundle(io.BytesIO(answer.content), load_trust(case.running.trust_dir)))
    assert [step.step for step in steps] == list(BUNDLE_STEPS)


async def test_no_pdf_without_a_timestamp(case, monkeypatch):
    """A new language would need a new signature, and the authority is down: nothing is served and nothing is kept."""
    sealing = case.running.parts.context.sealing

    async def away(_content):
        raise TimestampUnavailableError("the authority did not answer")

    other = await customer(case.api, "Later", contacts=(("later@valmont.example", "fr"),))
    incident = await declare(
        case.api, impact="I1", affected_customers=[affected(other, data_harm=harm(confidentiality="yes"))]
    )
    (notice,) = [each for each in await release(case.api, incident) if each["customer_id"] == other["id"]]
    await sealed_with_proof(case.running, notice["id"])
    with monkeypatch.context() as patched:
        patched.setattr(type(sealing.timestamp_authority), "timestamp", lambda _self, content: away(content))
        answer = await case.api.get(f"/notices/{notice['id']}/notice.pdf")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:greffier:problem:timestamp-unavailable")
    assert await case.running.parts.store.read(lambda tx: tx.notices.pdf(UUID(notice["id"]), "fr")) is None
    assert (await case.api.get(f"/notices/{notice['id']}/notice.pdf")).status_code == 200
    kept = await case.running.parts.store.read(lambda tx: tx.notices.pdf(UUID(notice["id"]), "fr"))
    assert kept.startswith(b"%PDF-1.7")


async def test_a_notice_that_is_not_sealed_has_none(case):
    incident = await declare(
        case.api, impact="I1", affected_customers=[affected(case.owner, data_harm=harm(confidentiality="yes"))]
    )
    draft = (await notices(case.api, incident))[0]
    assert (await case.api.get(f"/notices/{draft['id']}/notice.pdf")).status_code == 404
