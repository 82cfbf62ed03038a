"""A bundle with a part swapped, missing, added or renamed, an archive in another form: each is found, and named."""

import io
import json
import struct
import subprocess
import zipfile
import zlib
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from notifications.audit.checkpoint import cosign_checkpoint
from notifications.audit.note import COSIGNATURE_V1, signature_line, verifier_key
from notifications.audit.policy import format_policy, parse_policy
from notifications.errors import InvalidInputError, VerificationError
from notifications.evidence.bundle.archive import ArchiveWriter, read_archive
from notifications.evidence.bundle.contents import Scope, format_header, parse_header
from notifications.evidence.bundle.texts import readme
from notifications.evidence.bundle.verification import BUNDLE_STEPS, verify_bundle
from service.crypto.key_files import load_private_key
from support.bundle_sample import ATTEMPTED, FIRST, INCIDENT, PLACED, SEALED, STAMPED, Sample, archive
from support.sealed_sample import Office

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def sample(office):
    return Sample(office)


def fault(sample, content, trust=None):
    """Return step and reason of the failure; a bundle that passes fails the test."""
    with pytest.raises(VerificationError) as failed:
        list(verify_bundle(io.BytesIO(content), trust or sample.office.trust))
    assert failed.value.step in BUNDLE_STEPS, failed.value
    return failed.value.step, failed.value.reason


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def names(sample):
    return [name for name in sorted(sample.parts) if not name.startswith("sums")]


def test_a_genuine_bundle_passes_every_step_in_order(sample):
    passed = list(verify_bundle(io.BytesIO(archive(sample.parts)), sample.office.trust))
    assert [(item.number, item.step) for item in passed] == list(enumerate(BUNDLE_STEPS, 1))
    told = {item.step: item.finding for item in passed}
    assert told["entries in the log"] == "5 entries, each under the checkpoint"
    assert told["what entries commit to"] == "5 opened, 0 kept closed (erased, or not this reader's)"
    assert told["notices"] == "1 notices, 1 later timestamps"
    assert told["messages"] == "1 messages, 1 whole mails, 1 placed in the console"
    assert "no revocation list" in told["certificates"]


def test_a_part_that_is_swapped_is_found_and_named(sample):
    for name in names(sample):
        parts = sample.parts | {name: flipped(sample.parts[name])}
        _, reason = fault(sample, archive(parts))
        assert name in reason, reason


def test_a_part_that_is_swapped_and_listed_anew_is_found(sample):
    for name in names(sample):
        parts = sample.parts | {name: flipped(sample.parts[name])}
        parts["sums.sha256"] = sample.listed(parts)["sums.sha256"]
        step, reason = fault(sample, archive(parts))
        # Of what is bound to nothing else, the list is: signed over another one.
        unbound = name in {"README.txt", "report.html"}
        assert (step == "signature of the log") == unbound, (name, step, reason)


def test_a_part_that_is_missing_is_found_and_named(sample):
    for name in sorted(sample.parts):
        parts = {other: content for other, content in sample.parts.items() if other != name}
        _, reason = fault(sample, archive(parts))
        assert name in reason, reason


def test_a_part_that_is_missing_and_not_listed_is_found(sample):
    for name in names(sample):
        parts = {other: content for other, content in sample.parts.items() if other != name}
        parts["sums.sha256"] = sample.listed(parts)["sums.sha256"]
        fault(sample, archive(parts))


def test_an_entry_that_is_missing_whole_is_found_even_if_the_rest_was_made_to_agree(sample):
    for folder in (FIRST, ATTEMPTED):
        parts = {name: content for name, content in sample.parts.items() if not name.startswith(folder)}
        step, reason = fault(sample, archive(parts))
        assert step == "sums"
        assert folder in reason
        parts["bundle.json"] = sample.with_header(entries=4)["bundle.json"]
        parts["sums.sha256"] = sample.listed(parts)["sums.sha256"]
        assert fault(sample, archive(parts))[0] == "signature of the log"
        parts |= sample.listed(parts, key=Ed25519PrivateKey.generate())
        assert fault(sample, archive(parts))[0] == "signature of the log"


def test_a_part_that_is_added_or_renamed_is_found_and_named(sample):
    for added in (
        *("evil.txt", "anchors/more.pem", f"{SEALED}extra.txt", f"{ATTEMPTED}message.json", "signers/ab.pem"),
        *(f"{FIRST}notice.json", "entries/1/entry.tlog-proof", "checkpoint.tsr", "sums.sha256.old"),
    ):
        parts = sample.parts | {added: b"added"}
        for content in (archive(parts), archive(parts | sample.listed(parts))):
            assert added in fault(sample, content)[1], added
    for name in names(sample):
        parts = {(f"{other}x" if other == name else other): content for other, content in sample.parts.items()}
        _, reason = fault(sample, archive(parts))
        assert name in reason, reason


def test_parts_exchanged_between_entries_are_found_and_named(sample):
    one, two = f"{FIRST}entry.tlog-proof", f"{ATTEMPTED}entry.tlog-proof"
    parts = sample.parts | {one: sample.parts[two], two: sample.parts[one]}
    step, reason = fault(sample, archive(parts | sample.listed(parts)))
    assert (step, reason) == ("entries in the log", f"{one}: is the proof of entry 6")


def test_another_subject_size_or_number_is_found(sample):
    scope = Scope(customer="cd" * 32)
    assert fault(sample, archive(sample.with_header(scope=scope)))[0] == "entries in the log"
    assert fault(sample, archive(sample.with_header(tree_size=10)))[0] == "checkpoint"
    assert fault(sample, archive(sample.with_header(origin="other.example/log")))[0] == "checkpoint"
    step, reason = fault(sample, archive(sample.with_header(entries=6)))
    assert (step, "holds 5 entries, and bundle.json says 6" in reason) == ("sums", True)


def test_the_list_itself_is_compared_with_the_parts(sample):
    genuine = sample.parts["sums.sha256"]
    step, reason = fault(
        sample, archive(sample.parts | {"sums.sha256": genuine.replace(b"report.html", b"report.htm1")})
    )
    assert (step, reason.endswith("lacks report.htm1, which sums.sha256 lists")) == ("sums", True)
    lines = genuine.splitlines(keepends=True)
    assert fault(sample, archive(sample.parts | {"sums.sha256": b"".join(reversed(lines))}))[0] == "sums"


@pytest.mark.parametrize("suffix", ["words.fr.txt", "words.de.html", ".pem", "report.html"])
def test_a_provider_that_leaves_a_part_out_and_signs_that_is_found(sample, suffix):
    name = next(name for name in sample.parts if name.endswith(suffix) and not name.startswith("anchors"))
    parts = {other: content for other, content in sample.parts.items() if other != name}
    assert fault(sample, archive(parts | sample.listed(parts)))[0] in {"notices", "certificates", "contents"}


def test_a_provider_that_forges_what_entries_say_of_one_another_is_found(sample):
    office = sample.office
    parts = sample.parts | {f"{FIRST}entry.tlog-proof": sample.forked}
    step, reason = fault(sample, archive(parts | sample.listed(parts)))
    assert (step, "under another checkpoint" in reason) == ("entries in the log", True)
    other = office.seal(document={"issued_at": "2026-03-02T09:00:00.000001Z"})
    for changes, step, told in (
        ({"signature": other.signature}, "notices", f"{STAMPED}notice.json.p7s: is not the signature of its notice"),
        ({"mail": office.mail(other)}, "messages", f"{ATTEMPTED}message.eml: carries another notice than its entry"),
        ({"placed": other.document}, "messages", f"{PLACED}entry.tlog-proof: another document was placed"),
    ):
        forged = Sample(office, **changes)
        found, reason = fault(forged, archive(forged.parts))
        assert (found, reason[: len(told)]) == (step, told)


def test_a_token_over_something_else_is_found(sample):
    parts = sample.parts | {"checkpoint.tsr": sample.office.token(sample.parts["checkpoint"])}
    list(verify_bundle(io.BytesIO(archive(parts | sample.listed(parts))), sample.office.trust))
    parts["checkpoint.tsr"] = sample.office.token(b"another checkpoint")
    step, reason = fault(sample, archive(parts | sample.listed(parts)))
    assert (step, reason.startswith("checkpoint.tsr: the token does not hold")) == ("checkpoint", True)


def test_what_witnesses_said_of_the_checkpoint(sample):
    note = sample.parts["checkpoint"]
    key = Ed25519PrivateKey.generate()
    witness = verifier_key("witness.example/w", key, COSIGNATURE_V1)
    lines = cosign_checkpoint(note, witness.name, key, sample.office.now).removeprefix(note)

    def bundle(lines):
        parts = sample.parts | {"checkpoint.cosignatures": lines}
        return archive(parts | sample.listed(parts))

    def told(*witnesses):
        return list(verify_bundle(io.BytesIO(bundle(lines)), sample.office.trust, witnesses))[3].finding

    assert told(witness).endswith(", cosigned by witness.example/w")
    assert told().endswith(", 1 lines of witnesses not known here")
    forged = signature_line(witness, bytes(72)).encode()
    for wrong in (forged, b"", b"no line\n", b"\n" + lines, lines * 2):
        with pytest.raises(VerificationError, match=r"checkpoint\.cosignatures"):
            list(verify_bundle(io.BytesIO(bundle(wrong)), sample.office.trust, [witness]))


def test_a_policy_is_met_by_the_checkpoint_or_the_bundle_is_refused(sample):
    note, at = sample.parts["checkpoint"], sample.office.now
    ed25519, ml_dsa = Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate()
    both = [verifier_key("witness.example/w", ed25519, COSIGNATURE_V1), verifier_key("witness.example/w", ml_dsa)]
    other = verifier_key("witness.example/other", Ed25519PrivateKey.generate(), COSIGNATURE_V1)
    cosigned = cosign_checkpoint(note, "witness.example/w", ed25519, at)
    cosigned = cosign_checkpoint(cosigned, "witness.example/w", ml_dsa, at)
    parts = sample.parts | {"checkpoint.cosignatures": cosigned.removeprefix(note)}
    bundle, without = archive(parts | sample.listed(parts)), archive(sample.parts)

    def verified(content, quorum, witnesses):
        policy = parse_policy(format_policy(sample.office.trust.log_keys, witnesses, quorum))
        return list(verify_bundle(io.BytesIO(content), sample.office.trust, both, policy=policy))[3].finding

    met = verified(bundle, None, [both])
    assert met.endswith(", cosigned by witness.example/w, meets the policy with 2 of 2 witnesses")
    assert "meets the policy with 2 of 3 witnesses" in verified(bundle, 1, [both, [other]])
    assert verified(without, 0, []).endswith(", meets the policy with 0 of 0 witnesses")
    for content, quorum, witnesses in ((bundle, 2, [both, [other]]), (without, 1, [both]), (bundle, 1, [[other]])):
        with pytest.raises(VerificationError, match=r"checkpoint: policy: the quorum '\+witnesses' is not met"):
            verified(content, quorum, witnesses)


def test_a_part_that_is_not_that_of_its_checksum_is_damaged(sample):
    broken = bytearray(raw_local(b"README.txt", b"xy"))
    broken[-1] ^= 1
    assert fault(sample, bytes(broken)) == ("archive", "holds README.txt damaged: its checksum is another")


def test_a_bundle_of_another_provider_is_not_trusted(sample, tmp_path):
    other = Office(tmp_path)
    assert fault(sample, archive(sample.parts), other.trust)[0] == "anchors"
    stranger = Ed25519PrivateKey.generate()
    assert fault(sample, archive(sample.parts | sample.listed(sample.parts, key=stranger)))[0] == "signature of the log"


# -- the archive


def deflated(parts):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(parts):
            packed.writestr(name, parts[name])
    return target.getvalue()


def test_an_archive_packed_by_another_tool_is_refused_and_its_first_difference_named(sample):
    step, reason = fault(sample, deflated(sample.parts))
    assert step == "archive"
    assert "README.txt in another form" in reason
    name = f"{SEALED}notice.json"
    assert reason != fault(sample, deflated(sample.parts | {name: b"{}"}))[1]
    assert fault(sample, deflated(sample.parts | {name: b"{}"}))[1].endswith(
        f"{name} is not the part that sums.sha256 lists"
    )
    without = {other: content for other, content in sample.parts.items() if other != name}
    assert fault(sample, deflated(without))[1].endswith(f"lacks {name}, which sums.sha256 lists")
    assert fault(sample, deflated(sample.parts | {"x": b""}))[1].endswith("holds x, which sums.sha256 does not list")


def test_a_bomb_is_not_unpacked(sample):
    step, reason = fault(sample, deflated({"README.txt": bytes(50_000_000)}))
    assert (step, "another form" in reason) == ("archive", True)


def raw_local(name, content, *, flags=0, method=0, time=0, date=0x21, size=None, extra=b""):
    size = len(content) if size is None else size
    header = (0x04034B50, 20, flags, method, time, date, zlib.crc32(content), size, size, len(name), len(extra))
    return struct.pack("<IHHHHHIIIHH", *header) + name + extra + content


@pytest.mark.parametrize(
    "name",
    [b"../evil", b"/etc/passwd", b"a/../../b", b"a//b", b"a\\b", b"C:evil", b".hidden", b"a/.b", b"a\x00b",
     "é".encode(), b"", b"a" * 201, b"a/", b"a\nb"],
    ids=range(14),
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(sample, name):
    step, reason = fault(sample, raw_local(name, b"x"))
    assert (step, "whose name is none" in reason) == ("archive", True)
    with pytest.raises(InvalidInputError):
        ArchiveWriter(io.BytesIO(), io.BytesIO()).add(name.decode("utf-8"), b"")


def test_a_name_twice_or_out_of_order_is_refused(sample):
    one, two = raw_local(b"README.txt", b"x"), raw_local(b"A.txt", b"x")
    assert fault(sample, one + one) == ("archive", "holds README.txt twice")
    assert fault(sample, one + two) == ("archive", "holds A.txt after README.txt, out of order")


@pytest.mark.parametrize(
    "changes",
    [{"flags": 1}, {"flags": 8}, {"flags": 0x800}, {"method": 8}, {"time": 1}, {"date": 0x22}, {"extra": b"1234"}],
    ids=str,
)
def test_a_part_in_another_form_is_refused(sample, changes):
    assert fault(sample, raw_local(b"README.txt", b"x", **changes))[1].startswith("holds README.txt in another form")


def test_every_byte_of_the_archive_counts(sample):
    genuine = archive(sample.parts)
    directory = genuine.index(b"PK\x01\x02")
    for position in (*range(directory, len(genuine), 7), len(genuine) - 1):
        broken = genuine[:position] + bytes([genuine[position] ^ 0x20]) + genuine[position + 1 :]
        assert fault(sample, broken)[0] == "archive", position
    for content in (genuine + b"\0", b"\0" + genuine, genuine[:-1], genuine[:directory], b"", b"PK", genuine[22:]):
        assert fault(sample, content)[0] == "archive"
    for position in range(1, directory, 997):
        fault(sample, genuine[:position])
        fault(sample, genuine[:position] + bytes([genuine[position] ^ 1]) + genuine[position + 1 :])


def test_a_part_that_says_it_is_huge_takes_no_memory(sample):
    step, reason = fault(sample, raw_local(b"README.txt", b"x", size=0xFFFF_FFFE))
    assert (step, "at most are taken" in reason) == ("archive", True)


def test_more_parts_than_a_plain_zip_can_count():
    target = io.BytesIO()
    writer = ArchiveWriter(target, io.BytesIO())
    for number in range(65_540):
        writer.add(f"p{number:06d}", b"")
    writer.finish()
    target.seek(0)
    assert sum(1 for _ in read_archive(target)) == 65_540
    with zipfile.ZipFile(target) as packed:
        assert len(packed.infolist()) == 65_540


def test_a_header_in_another_spelling_is_refused(sample):
    genuine = sample.parts["bundle.json"]
    assert parse_header(genuine) == sample.header
    for old, new in (
        (b"greffier.bundle/1", b"greffier.bundle/2"),
        (b'"greffier.bundle/1"', b"{}"),
        (b'"entries":5', b'"entries":-3'),
        (b'"entries":5', b'"entries":true'),
        (b'"reader":"provider"', b'"reader":"both"'),
        (b'"notice":null', b'"notice":7'),
        (b'"notice":null', b'"notice":"seven"'),
        (b'"starts_at":null', b'"starts_at":"yesterday"'),
        (b"00000009", b"0000000A"),
        (b'"language":"en"', b'"language":{}'),
    ):
        assert old in genuine
        with pytest.raises(InvalidInputError):
            parse_header(genuine.replace(old, new))


def test_a_bundle_about_an_announcement_has_a_schema_of_its_own_and_every_other_one_keeps_its_bytes(sample):
    genuine = sample.parts["bundle.json"]
    assert b"announcement" not in genuine
    assert format_header(sample.header) == genuine
    header = replace(sample.header, scope=Scope(announcement=INCIDENT))
    data = format_header(header)
    assert json.loads(data)["schema"] == "greffier.bundle/2"
    assert parse_header(data) == header
    for old, new in (
        # A program that knows the first schema only refuses the second by its name, and not a scope that it misreads.
        (b"greffier.bundle/2", b"greffier.bundle/1"),
        (b"greffier.bundle/2", b"greffier.bundle/3"),
        (b'"announcement":"00000000-0000-0000-0000-000000000009"', b'"announcement":null'),
        (b'"announcement":"00000000-0000-0000-0000-000000000009",', b""),
    ):
        assert old in data
        with pytest.raises(InvalidInputError):
            parse_header(data.replace(old, new))
    with pytest.raises(InvalidInputError, match=r"is not of schema greffier\.bundle/1 or greffier\.bundle/2"):
        parse_header(data.replace(b"greffier.bundle/2", b"greffier.bundle/3"))


def test_an_entry_of_another_announcement_is_found(sample):
    parts = sample.with_header(scope=Scope(announcement=INCIDENT))
    step, reason = fault(sample, archive(parts))
    assert step == "entries in the log"
    assert FIRST in reason


# -- revocation


def crl(office, revoked, at, *, key=None):
    issuer = x509.load_pem_x509_certificate((office.files.trust / "ca.pem").read_bytes())
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
    builder = builder.last_update(office.now).next_update(office.now + timedelta(days=1))
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(at)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key or load_private_key(office.files.ca_key, None), hashes.SHA256()).public_bytes(Encoding.PEM)


def test_a_certificate_revoked_before_its_use_is_found_and_one_revoked_later_is_not(sample):
    office = sample.office
    signer = x509.load_pem_x509_certificates(office.files.signing_chain.read_bytes())[0]

    def bundle(listed):
        parts = sample.parts | {"anchors/ca.crl": listed}
        return archive(parts | sample.listed(parts))

    later = bundle(crl(office, [signer], office.now + timedelta(hours=1)))
    told = {item.step: item for item in verify_bundle(io.BytesIO(later), office.trust)}["certificates"]
    assert (told.partial, "none revoked before its use" in told.finding) == (False, True)
    step, reason = fault(sample, bundle(crl(office, [signer], office.now - timedelta(hours=1))))
    assert (step, "was revoked at" in reason, "signers/" in reason) == ("certificates", True, True)
    stranger = load_private_key(office.files.timestamp_key, None)
    assert fault(sample, bundle(crl(office, [], office.now, key=stranger))) == (
        "anchors", "anchors/ca.crl: is not signed by the CA",
    )  # fmt: skip
    assert fault(sample, bundle(b"no list"))[0] == "anchors"


def test_openssl_does_not_read_when_a_certificate_was_revoked_and_the_readme_says_so(sample, tmp_path):
    """OpenSSL 3.0.19 (findings/openssl_reads_no_date_of_a_revocation.sh)."""
    office = sample.office
    signer = x509.load_pem_x509_certificates(office.files.signing_chain.read_bytes())[0]
    (tmp_path / "signer.pem").write_bytes(signer.public_bytes(Encoding.PEM))
    listed = crl(office, [signer], office.now + timedelta(hours=1))
    (tmp_path / "ca.crl").write_bytes(listed)
    parts = sample.parts | {"anchors/ca.crl": listed}
    list(verify_bundle(io.BytesIO(archive(parts | sample.listed(parts))), office.trust))
    used_at = str(int(office.now.timestamp()) + 1)
    asked = ["openssl", "verify", "-CAfile", office.files.trust / "ca.pem", "-attime", used_at, "signer.pem"]
    by_list = ["-crl_check", "-CRLfile", "ca.crl"]
    for options, told in (([], "signer.pem: OK"), (by_list, "certificate revoked")):
        command = [*asked[:-1], *options, asked[-1]]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert told in ran.stdout + ran.stderr
    for language in ("en", "fr", "de"):
        words = readme(replace(sample.header, language=language), revocations=True).decode()
        assert "-crl_check" in words
        assert "openssl crl -in anchors/ca.crl -noout -text" in words
