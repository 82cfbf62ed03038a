"""The PDF of a notice, made and verified without a service: hostile words, falsified files, a missing extra."""

import asyncio
import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice

import pikepdf
import pytest
from click.testing import CliRunner
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from notifications.errors import SealingUnavailableError, TimestampUnavailableError, VerificationError
from notifications.evidence.verification import FILE_STEPS
from notifications.notice.seal import SealedRendering
from notifications.ports import PdfFile
from notifications.ports.pdf import Relationship
from notifications.use_cases.notices.make_pdf import embedded_files, sealed_letter
from notifications.wording.letter import (
    Commands,
    Items,
    Letter,
    Paragraph,
    Phrase,
    Quote,
    Remark,
    Rows,
    Section,
    Table,
)  # fmt: skip
from service.cli.verify import verify_command
from service.crypto.timestamping import EmbeddedTimestampAuthority
from service.notice_pdf import installation, typesetting
from service.notice_pdf.embedded import embedded_notice
from service.notice_pdf.maker import SignedPdfMaker
from service.notice_pdf.typesetting import typeset
from service.notice_pdf.verification import PDF_STEPS, verify_pdf
from support.notice_samples import compose, plain_facts
from support.read_pdf import attached, faults_of_pdf_a_3, opened, squeezed, tags_of, words_shown
from support.sealed_sample import Office, files_of, write_signer

HOSTILE = (
    '#panic("x") \\u{41} $x^2$ *b* _i_ `raw` ```c``` <label> @ref #read("/etc/passwd") // no /* c */ [x] "; -- --- ...'
    ' ~ \' = - + / #import "@preview/a:1.0.0" {{ 7 * 7 }} %d %(label)s \\ \\\\'
)


def letter_of(text, language="en"):
    """Return a letter with a text in every place that takes one."""
    phrase = Phrase(text, "fr", text)
    blocks = (
        Paragraph(text), Paragraph(text, strong=True), Remark(text), Quote((text, "", text), "de", text),
        Rows(((text, Phrase(text)), (text, phrase))), Items((text, text)),
        Table("label", (text, text), ((text, text),)), Commands((text,)),
    )  # fmt: skip
    return Letter(language, text, "TLP:RED", "red", text, blocks, (Section(text, blocks),), (text,))


def words_of_letter(letter):
    """Return the words of a letter in their order, without white space."""

    def of(block):
        match block:
            case Quote():
                return [f"[{block.language_note}]", *block.lines]
            case Rows():
                return [
                    part
                    for label, phrase in block.rows
                    for part in (label, phrase.text, f"[{phrase.language_note}]" if phrase.language else "")
                ]
            case Items():
                return block.items
            case Table():
                return [*block.headings, *(cell for row in block.rows for cell in row)]
            case Commands():
                return block.lines
            case _:
                return [block.text]

    said = [letter.tlp, letter.heading]
    said += [part for block in letter.opening for part in of(block)]
    for section in letter.sections:
        said += [section.heading, *(part for block in section.blocks for part in of(block))]
    return squeezed("".join([*said, *letter.footer, letter.tlp]))


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


def made_by(office, signer=None, sealed=None, authority=None):
    authority = authority or EmbeddedTimestampAuthority(office.files.timestamp_key, office.files.timestamp_chain, None)
    maker = SignedPdfMaker(signer or office.signer, authority)
    files = embedded_files(sealed or office.seal())
    return asyncio.run(maker.make(letter_of("Words"), files, author="Provider", at=office.now))


@pytest.fixture(scope="module")
def genuine(office):
    return made_by(office)


def refusal(content, trust):
    with pytest.raises(VerificationError) as refused:
        list(verify_pdf(content, trust))
    return refused.value.step, refused.value.reason


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "<script>alert(1)</script> &amp; &lt; \" ' ]]> <!-- -->",
        "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz" * 2 + " www.example.org/" + "a" * 100,
        "ffi fl fi office – „Gänsefüßchen“ «\u202fà\u202f» œ ŀ ẞ",
        "Δημήτρης Κωνσταντίνου Владимир Łódź İstanbul Ţepeș",
        "华为技术有限公司 テスト 한국어 😀 🧯 ⚠ → ✓ ⟨U+202E⟩",
    ],
)
def test_every_text_is_shown_as_it_is_in_every_place(text, tmp_path):
    letter = letter_of(text)
    content = typeset(letter, [], author=text, at=datetime(2026, 3, 2, tzinfo=UTC))
    shown = words_shown(tmp_path, content).replace("•", "")
    assert shown == words_of_letter(letter)
    assert faults_of_pdf_a_3(content) == []


@pytest.mark.parametrize("name", ["عبد الرحمن بن محمد", "יוסף כהן"])
def test_text_that_runs_from_the_right_is_shaped_and_readable(name, tmp_path, office):
    content = typeset(letter_of(name), [], author="Provider", at=office.now)
    # Poppler puts the letters of each word back into the order of reading.
    shown, expected = words_shown(tmp_path, content), words_of_letter(letter_of(name))
    assert [shown.count(word) for word in name.split()] == [expected.count(word) for word in name.split()]
    assert faults_of_pdf_a_3(content) == []


def test_a_character_that_no_font_has_is_shown_by_its_name(office):
    content = typeset(letter_of("a \ue000 b \U00020bb7 c \uffff"), [], author="Provider", at=office.now)
    assert faults_of_pdf_a_3(content) == []


@pytest.mark.parametrize(
    "text", ["\ufeffcopied from a file", "A\ue000\u0301 B\ue001\u0301 \ufeff \U000f0000\u0301 \ufffe"]
)
def test_a_character_that_the_standard_forbids_is_shown_by_its_name(text, office, tmp_path):
    content = typeset(letter_of(text), [], author=text, at=office.now)
    assert f"⟨U+{ord(text[text.startswith('A')]):04X}⟩" in words_shown(tmp_path, content)
    assert faults_of_pdf_a_3(content) == []


def test_a_text_on_which_typst_itself_fails_is_set_all_the_same(office, tmp_path, monkeypatch):
    class PanicException(BaseException):
        pass

    compiled = typesetting.typst.compile

    def fails_on_an_emoji(sources, **options):
        if any("\U0001f600".encode() in each for each in sources.values()):
            raise PanicException("end byte index 5 is out of bounds")
        return compiled(sources, **options)

    monkeypatch.setattr(typesetting.typst, "compile", fails_on_an_emoji)
    content = typeset(letter_of("Words \U0001f600"), [], author="Provider", at=office.now)
    assert "U+1F600" in words_shown(tmp_path, content)
    assert faults_of_pdf_a_3(content) == []


def test_a_defect_of_typst_is_an_error_that_every_handler_catches(office, monkeypatch):
    class PanicException(BaseException):
        pass

    def panic(*_arguments, **_options):
        raise PanicException("end byte index 5 is out of bounds")

    monkeypatch.setattr(typesetting.typst, "compile", panic)
    with pytest.raises(typesetting.TypesettingError, match="out of bounds"):
        typeset(letter_of("Words 😀"), [], author="Provider", at=office.now)


def test_the_same_letter_gives_the_same_bytes(office):
    first, second = (typeset(letter_of("Words"), [], author="Provider", at=office.now) for _ in range(2))
    assert first == second


def test_files_of_any_bytes_are_embedded_as_they_are(office):
    contents = {"a.json": b"{}", "b.csv": b'\xef\xbb\xbf"a"\r\n', "c.bin": bytes(range(256)), "d.bin": b""}
    files = [PdfFile(name, data, "application/octet-stream", Relationship.DATA, "x") for name, data in contents.items()]
    assert attached(typeset(letter_of("Words"), files, author="Provider", at=office.now)) == contents


def test_the_structure_has_headings_lists_tables_and_languages(genuine):
    tags = tags_of(genuine)
    assert {"H1", "H2", "P", "L", "LI", "LBody", "Table", "TR", "TH", "TD"} <= set(tags)
    with opened(genuine) as pdf:
        languages = {str(item.Lang) for item in pdf.objects if isinstance(item, pikepdf.Dictionary) and "/Lang" in item}
    assert {"en", "fr", "de"} <= languages


def test_every_step_passes_and_the_document_is_the_sealed_one(office, genuine):
    steps = list(verify_pdf(genuine, office.trust))
    assert [step.step for step in steps] == list(PDF_STEPS)
    assert [step.number for step in steps] == list(range(1, 10))
    assert not any(step.pending or step.partial or step.changed for step in steps)


def test_with_resources_and_with_an_rsa_key_and_with_an_intermediate(office, tmp_path):
    from cryptography.hazmat.primitives.asymmetric import rsa

    signer = write_signer(office, tmp_path, key=rsa.generate_private_key(65537, 2048), intermediates=[()])
    sealed = office.seal(signer=signer)
    content = made_by(office, signer, sealed)
    assert attached(content)["resources.csv"] == sealed.resources_csv
    # The demonstration CA allows no CA below it: that is for the verifier of the notice to say, after the PDF's steps.
    assert [step.step for step in islice(verify_pdf(content, office.trust), 3)] == list(PDF_STEPS[:3])
    assert faults_of_pdf_a_3(content) == []


def test_a_certificate_without_key_usage_may_sign(office, tmp_path):
    """pyHanko 0.38.0 does not take it by itself (findings/pyhanko_takes_no_certificate_without_key_usage.sh)."""
    signer = write_signer(office, tmp_path, digital_signature=None)
    content = made_by(office, signer, office.seal(signer=signer))
    assert [step.step for step in verify_pdf(content, office.trust)] == list(PDF_STEPS)


def _places(content):
    """Return positions over the whole signed part, some hundred bytes apart."""
    begin, end = content.index(b"/Contents <"), content.index(b">", content.index(b"/Contents <"))
    return [place for place in range(10, len(content) - 5, 1999) if not begin < place <= end]


def test_no_byte_of_the_file_can_be_changed(office, genuine):
    for place in _places(genuine):
        changed = bytearray(genuine)
        changed[place] ^= 1
        refusal(bytes(changed), office.trust)


def test_the_place_of_the_signature_holds_nothing_else(office, genuine):
    end = genuine.index(b">", genuine.index(b"/Contents <"))
    hidden = genuine[: end - 8] + b"DEADBEEF" + genuine[end:]
    assert refusal(hidden, office.trust) == ("structure", "holds other bytes in the place of its signature")


def test_what_is_added_after_the_signature_is_refused(office, genuine):
    assert refusal(genuine + b"\n%a comment\n", office.trust) == ("structure", "was added to after it was signed")
    writer = IncrementalPdfFileWriter(io.BytesIO(genuine))
    writer.root["/Lang"] = writer.root["/Lang"]
    writer.update_root()
    added = io.BytesIO()
    writer.write(added)
    assert refusal(added.getvalue(), office.trust)[0] == "structure"


def test_a_pdf_of_somebody_else_is_refused(office, tmp_path):
    stranger = Office(tmp_path / "stranger")
    assert refusal(made_by(stranger), office.trust)[0] == "PDF timestamp"
    # By a key of the CA for another address: the notice inside is by the provider, the pages are not.
    other = write_signer(office, tmp_path / "other", address="eve@provider.example")
    assert refusal(made_by(office, other), office.trust) == (
        "document signature", "is by soc@provider.example, and the PDF is by eve@provider.example",
    )  # fmt: skip
    # For another purpose, and expired.
    with pytest.raises(SealingUnavailableError):
        made_by(office, write_signer(office, tmp_path / "expired", days=(-9, -2)))


class _StampingAt:
    def __init__(self, office, at):
        self.office, self.at = office, at

    async def timestamp(self, content):
        return self.office.token(content, self.at)


def test_a_certificate_that_has_ended_since_is_judged_at_the_time_of_the_timestamp(office, tmp_path):
    """poppler's pdfsig (22.12.0) judges it now and does not read the timestamp; the README says so."""
    signer = write_signer(office, tmp_path, days=(-30, -1))
    office.clock.at = at = office.now - timedelta(days=2)
    try:
        sealed = office.seal(signer=signer, token_at=at, entry={"at": at})
        content = made_by(office, signer, sealed, _StampingAt(office, at))
    finally:
        office.clock.at = office.now
    assert [step.step for step in verify_pdf(content, office.trust)] == list(PDF_STEPS)
    (tmp_path / "notice.pdf").write_bytes(content)
    ran = subprocess.run(["pdfsig", "-no-ocsp", tmp_path / "notice.pdf"], capture_output=True, text=True, check=False)
    assert "Signature is Valid." in ran.stdout
    assert "Certificate has Expired" in ran.stdout


def test_another_notice_inside_is_refused(office):
    sealed = office.seal(document={"tlp": "TLP:CLEAR"}, uncommitted=("document",))
    assert refusal(made_by(office, sealed=sealed), office.trust)[0] == "inclusion in the log"


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\n", b"%PDF-1.7\n%%EOF", b"\x00" * 2000, b"From: a@b\r\n\r\n"])
def test_a_file_that_is_no_pdf_is_refused_with_its_reason(office, content):
    step, reason = refusal(content, office.trust)
    assert step == "structure"
    assert reason.startswith("is not readable as a signed PDF")


def test_a_pdf_without_a_signature_is_refused(office):
    content = typeset(letter_of("Words"), embedded_files(office.seal()), author="Provider", at=office.now)
    assert refusal(content, office.trust)[0] == "structure"


def test_without_a_timestamp_nothing_is_returned(office):
    class Away:
        independent = True

        async def timestamp(self, content):
            raise TimestampUnavailableError("the authority did not answer")

    maker = SignedPdfMaker(office.signer, Away())
    with pytest.raises(TimestampUnavailableError):
        asyncio.run(maker.make(letter_of("Words"), embedded_files(office.seal()), author="Provider", at=office.now))


def test_the_embedded_notice_is_found_without_a_pdf_library(office, genuine):
    sealed = office.seal()
    assert embedded_notice(made_by(office, sealed=sealed)) == files_of(sealed)
    with pytest.raises(VerificationError, match="embeds no document"):
        embedded_notice(b"%PDF-1.7")
    with pytest.raises(VerificationError, match="one twice"):
        embedded_notice(genuine + genuine)


@pytest.fixture
def verify(office, tmp_path):
    def run(content, name="notice.pdf"):
        (tmp_path / name).write_bytes(content)
        ran = CliRunner().invoke(verify_command, [str(tmp_path / name), "--trust", str(office.files.trust)])
        return ran.exit_code, ran.output.splitlines()

    return run


def test_the_command_says_genuine_and_names_what_is_not(verify, genuine):
    code, lines = verify(genuine, "saved")
    assert (code, len(lines)) == (0, 10)
    assert lines[-1].startswith("GENUINE: signed by the provider, timestamped as shown")
    changed = bytearray(genuine)
    changed[3000] ^= 1
    code, lines = verify(bytes(changed))
    assert code == 1
    assert lines[-1] == "NOT GENUINE: step 3, PDF signature, failed; do not trust this PDF"


def test_without_the_extra_the_notice_is_verified_and_the_rest_named(verify, genuine, monkeypatch):
    monkeypatch.setattr(installation, "is_installed", lambda: False)
    code, lines = verify(genuine)
    assert code == 5
    assert [line.split(" ", 3)[1] for line in lines[:-1]] == ["partly", *("ok" for _ in FILE_STEPS)]
    assert lines[-1].startswith("NOTICE GENUINE, PDF NOT CHECKED: its signature and its pages were not checked")
    assert "pip install 'greffier[pdf]'" in lines[-1]
    code, lines = verify(b"%PDF-1.7")
    assert (code, lines[-1]) == (1, "NOT GENUINE: step 1, structure, failed; do not trust this PDF")


def test_without_the_extra_there_is_no_maker_and_nothing_of_it_is_imported(monkeypatch):
    monkeypatch.setattr(installation, "is_installed", lambda: False)
    assert installation.pdf_maker(None, None) is None
    loaded = (
        "import sys, service.bootstrap.server, service.cli.verify\n"
        "print([name for name in ('typst', 'pyhanko') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True, timeout=120)
    assert ran.stdout.decode().strip() == "[]"


def test_words_of_an_earlier_release_are_those_that_were_sealed():
    """A later release may word a notice in another way; the PDF keeps to the sealed text."""
    composed = compose(plain_facts())
    data = composed.document
    earlier = SealedRendering(
        "en", "[TLP:RED] INC-1 #1", "TLP:RED\n\nAs we said it then.\n", "<p>As we said it then.</p>"
    )
    letter = sealed_letter(data, earlier)
    assert letter.heading == "[TLP:RED] INC-1 #1"
    assert letter.opening == (Commands(("TLP:RED", "", "As we said it then.", "")),)
    said = composed.rendered["en"]
    assert sealed_letter(data, SealedRendering("en", said.subject, said.text, said.html)).sections
