"""The verifier's steps as they are told: numbers, names, findings, and the step that each refusal names.

Quick on purpose: mutation testing takes these first. ``test_verification`` has what adversaries do.
"""

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notifications.audit.note import sign_note
from notifications.audit.proof import format_proof, parse_proof
from notifications.canonical_json import canonicalize
from notifications.errors import InvalidInputError, UnreadableMailError
from notifications.evidence.verification import (
    FILE_STEPS,
    MAIL_STEPS,
    SCHEMA,
    VerifiedStep,
    _compare_mail,
    _Files,
    _files,
    _is_over,
    _unchanged,
    _verify_mail_signature,
    _well_formed_renderings,
    examine_notice_mail,
    parse_trust,
    shares_timestamp,
)
from notifications.mail.mail import assemble_mail, prepare_text
from notifications.mail.parts import PROTECTED_HEADERS
from notifications.mail.signed_mail import parse_signed_mail
from service.crypto.key_files import load_log_key, load_private_key
from support.sealed_sample import ADDRESS, ORIGIN, Office, files_of, refused, steps_of_files, steps_of_mail


def _verify_mail_agrees(parsed, verified):
    return _unchanged(_compare_mail(parsed, verified))


MEMBERS = ("notice_id", "incident_id", "ticket", "sequence", "kind", "facts_version", "tlp", "effect", "renderings")


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def sealed(office):
    return office.seal()


@pytest.fixture(scope="module")
def untimed(office):
    return office.seal(token=False)


@pytest.fixture(scope="module")
def shared(office):
    return office.seal(shared=True)


@pytest.fixture(scope="module")
def mail(office, sealed):
    return office.mail(sealed)


@pytest.fixture(scope="module")
def parsed(mail):
    return parse_signed_mail(mail)


@pytest.fixture(scope="module")
def verified(office, sealed):
    """The steps over a notice's files, those taken that the mail is compared after."""
    steps = _Files(files_of(sealed), office.trust)
    steps.verify_signature()
    steps.verify_timestamp(4)
    steps.verify_document()
    return steps


NAMES = (
    "structure", "mail signature", "document signature", "timestamp", "certificate chain", "document",
    "mail agrees with the document", "inclusion in the log", "checkpoint signature",
)  # fmt: skip


def test_the_steps_of_a_mail_are_numbered_named_and_told(office, mail):
    passed = steps_of_mail(mail, office.trust)
    assert MAIL_STEPS == NAMES == tuple(step.step for step in passed)
    assert [step.number for step in passed] == list(range(1, 10))
    assert not any(step.pending or step.partial for step in passed)
    told = [step.finding for step in passed]
    assert told[:3] == ["5 attachments, words in fr", f"by {ADDRESS}", f"by {ADDRESS}"]
    assert told[3].startswith(f"{office.now:%Y-%m-%d}")
    assert " UTC by " in told[3]
    assert "unnamed" not in told[3]
    assert told[4].startswith(f"for e-mail protection, valid at {office.now:%Y-%m-%d}")
    assert told[5:7] == ["INC-2026-000042 #1, initial, TLP:AMBER+STRICT", "headers and words (fr) are the sealed ones"]
    assert told[7] == f"entry 5 of 11, recorded {office.now:%Y-%m-%d %H:%M:%S} UTC"
    assert told[8] == f"{ORIGIN}, 11 entries"


def test_the_steps_of_files_are_numbered_and_named(office, sealed):
    passed = steps_of_files(files_of(sealed), office.trust)
    assert [(step.number, step.step) for step in passed] == list(
        enumerate((*NAMES[2:6], *NAMES[7:]), 1),
    )
    assert tuple(step.step for step in passed) == FILE_STEPS
    assert not any(step.pending or step.partial for step in passed)


def test_a_timestamp_that_follows_is_pending(office, untimed):
    passed = steps_of_files(files_of(untimed), office.trust)
    assert [(step.number, step.pending, step.partial) for step in passed if step.step == "timestamp"] == [
        (2, True, False)
    ]
    assert passed[1].finding == "follows: the authority had not answered yet"
    assert passed[2].finding == f"for e-mail protection, valid at {office.now:%Y-%m-%d %H:%M:%S} UTC"


def test_what_is_told_and_trusted_are_values(office, sealed):
    for value in (VerifiedStep(1, "structure", "x"), office.trust, files_of(sealed)):
        assert {value, replace(value)} == {value}
        assert not hasattr(value, "__dict__")


@pytest.mark.parametrize("name", ["notice.json", "notice.json.p7s", "proof"])
def test_what_a_mail_must_carry(parsed, name):
    (found,) = [known for known in parsed.attachments if known == name or (name == "proof" and "proof" in known)]
    less = replace(parsed, attachments={key: part for key, part in parsed.attachments.items() if key != found})
    assert refused("structure", _files, less) == f"lacks the attachment {found}"


@pytest.mark.parametrize("member", MEMBERS)
def test_each_member_that_is_read_must_be_there(office, untimed, member):
    document = json.loads(untimed.document)
    del document[member]
    data = canonicalize(document)
    steps = _Files(replace(files_of(untimed), document=data), office.trust)
    assert refused("document", steps.verify_document) == f"lacks or malforms {member}"


def test_another_schema_or_none_is_refused(office, untimed):
    for document in ([], {}, json.loads(untimed.document) | {"schema": "greffier.notice/2"}):
        steps = _Files(replace(files_of(untimed), document=canonicalize(document)), office.trust)
        assert refused("document", steps.verify_document) == "is not of schema greffier.notice/1"
    assert SCHEMA == "greffier.notice/1"


def test_no_moment_no_certificate(office, sealed):
    steps = _Files(files_of(sealed), office.trust)
    assert refused("certificate chain", steps.verify_certificate) == "no moment is established"


def test_an_effect_of_another_kind_states_no_list(office):
    for csv, effect in ((None, "x"), (b"x", "x"), (b"x", None)):
        steps = _Files(files_of(office.seal(csv=csv, token=False, document={"effect": effect})), office.trust)
        if csv is None:
            steps.verify_document()
        else:
            told = refused("document", steps.verify_document)
            assert told == "the list of resources attached is not the one it states"


def test_a_token_of_another_form_and_one_that_nobody_can_read(office, sealed):
    broken = bytearray(sealed.timestamp)
    broken[6] ^= 1  # the status, which libraries read in their own way
    for token, told in (
        (b"x", "signature: is cut off"),
        (sealed.timestamp + b"\x00", "signature: is cut off"),
        (bytes(broken), "the token does not hold: "),
        (office.token(b"other"), "the token does not hold: "),
    ):
        steps = _Files(replace(files_of(sealed), timestamp=token), office.trust)
        assert refused("timestamp", steps.verify_timestamp, 2).startswith(told)


def test_a_token_that_names_no_authority(office, sealed, tmp_path):
    """Made by openssl: naming itself in the token is the authority's choice."""
    (tmp_path / "signature").write_bytes(sealed.signature)
    key = load_private_key(office.files.timestamp_key, None)
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "serial").write_text("01")
    (tmp_path / "ts.cnf").write_text(
        f"[tsa]\ndefault_tsa = t\n[t]\nserial = {tmp_path}/serial\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\n"
        "digests = sha256, sha512\naccuracy = secs:1\ntsa_name = no\ness_cert_id_alg = sha256\n"
    )
    query = ["-query", "-data", "signature", "-sha512", "-cert", "-out", "query"]
    chain = office.files.timestamp_chain
    reply = ["-reply", "-queryfile", "query", "-config", "ts.cnf", "-inkey", "key.pem", "-signer", chain]
    for arguments in (query, [*reply, "-out", "reply"]):
        subprocess.run(["openssl", "ts", *arguments], cwd=tmp_path, check=True, capture_output=True)
    steps = _Files(replace(files_of(sealed), timestamp=(tmp_path / "reply").read_bytes()), office.trust)
    assert steps.verify_timestamp(2).finding.endswith(" UTC by an unnamed authority")


def test_a_proof_under_a_signed_text_that_is_no_checkpoint(office, sealed):
    proof = parse_proof(sealed.log_proof)
    note = sign_note("x\n", ORIGIN, load_log_key(office.files.log_key, None))
    steps = _Files(
        replace(files_of(sealed), proof=format_proof(proof.index, proof.hashes, note, proof.extra)), office.trust
    )
    steps.verify_document()
    told = refused("inclusion in the log", steps.verify_inclusion)
    assert told == "checkpoint: must be origin, size and root, one a line, and nothing else"


RENDERING = {"language": "fr", "media_type": "text/plain", "sha256": "00"}


@pytest.mark.parametrize(
    ("renderings", "well_formed"),
    [
        ([RENDERING], True),
        ([RENDERING, RENDERING | {"language": "de"}], True),
        ([RENDERING, RENDERING | {"media_type": "text/html"}], True),
        ([RENDERING, RENDERING | {"time_zone": "Europe/Paris"}], True),
        ([RENDERING, RENDERING], False),
        ([RENDERING, RENDERING | {"sha256": "01"}], False),
        ([RENDERING | {"x": "y"}], False),
        ([RENDERING, {"language": "fr", "media_type": "text/html"}], False),
        ([RENDERING, RENDERING | {"language": "é"}], False),
        ([RENDERING, RENDERING | {"language": 1}], False),
        ([RENDERING, "x"], False),
        ("x", False),
        (None, False),
    ],
)
def test_renderings_are_well_formed_or_not(renderings, well_formed):
    assert _well_formed_renderings(renderings) is well_formed


@pytest.mark.parametrize("name", PROTECTED_HEADERS)
def test_each_protected_header_is_compared(parsed, verified, name):
    other = replace(parsed, outer={**parsed.outer, name: "other"})
    told = refused("mail agrees with the document", _verify_mail_agrees, other, verified)
    assert told == f"the header {name} is not the one under the signature"


def test_what_was_changed_outside_is_in_the_step_and_the_steps_go_on(office, mail):
    copy = b"Reply-To: x@x.example\r\n" + mail.replace(b"Subject: ", b"Subject: Re ", 1)
    passed = list(examine_notice_mail(copy, office.trust))
    assert [(step.number, step.step) for step in passed] == list(enumerate(NAMES, 1))
    assert {step.number: step.changed for step in passed if step.changed} == {
        1: ("has a header reply-to that no notice has",),
        7: ("the header Subject is not the one under the signature",),
    }
    assert passed[6].finding == "words (fr) are the sealed ones"
    assert refused("structure", steps_of_mail, copy, office.trust) == "has a header reply-to that no notice has"


def test_a_mail_of_plain_words_is_no_notice_whoever_signed_it(office):
    prepared = prepare_text("INC-1", "There is a notice.\n", "en")
    with pytest.raises(UnreadableMailError) as caught:
        steps_of_mail(assemble_mail(prepared, office.envelope(), office.signer.sign_detached), office.trust)
    assert (caught.value.step, caught.value.reason) == (
        "structure", "is a summary, or no notice: download the notice with its proofs from the console",
    )  # fmt: skip
    forged = assemble_mail(prepared, office.envelope(), lambda _content: office.signer.sign_detached(b"other"))
    refused("mail signature", steps_of_mail, forged, office.trust)


def test_the_sender_s_name_holds_no_other_address(parsed, verified):
    for name, holds in (("x@x.example", True), ("SOC <x@x.example>", True), (ADDRESS, False), ("SOC", False)):
        sender = f"{name} <{ADDRESS}>"
        named = replace(parsed, outer={**parsed.outer, "From": sender}, protected={**parsed.protected, "From": sender})
        if holds:
            told = refused("mail agrees with the document", _verify_mail_agrees, named, verified)
            assert told == "the name in From holds another address"
        else:
            assert _verify_mail_agrees(named, verified).number == 7


def test_how_a_mail_disagrees(parsed, verified):
    step = "mail agrees with the document"
    for changes, told in (
        ({"outer_addresses": None}, "an address only looks like the one under the signature"),
        ({"sender": "x@x.example"}, "the document is not signed by x@x.example, who sends it"),
        ({"language": "it"}, "the document commits to no words in it"),
        (
            {"texts": {**parsed.texts, "text/html": b"x"}},
            "the words (text/html) are not the ones the document commits to",
        ),
        (
            {"texts": {**parsed.texts, "text/plain": b"x"}},
            "the words (text/plain) are not the ones the document commits to",
        ),
    ):
        assert refused(step, _verify_mail_agrees, replace(parsed, **changes), verified) == told
    only = {"text/plain": parsed.texts["text/plain"]}
    assert refused(step, _verify_mail_agrees, replace(parsed, texts=only), verified).endswith("no words in fr")
    for missing in ("INC-2026-000042", "TLP:AMBER+STRICT", "#1"):
        subject = parsed.protected["Subject"].replace(missing, "")
        same = replace(
            parsed,
            protected={**parsed.protected, "Subject": subject},
            outer={**parsed.outer, "Subject": subject},
        )
        assert refused(step, _verify_mail_agrees, same, verified) == f"the subject does not say {missing}"


def test_headers_are_left_out_where_the_signature_says_so_and_nowhere_else(parsed, verified):
    bare = replace(parsed, outer={}, outer_addresses=None)
    assert parsed.stated_outer is None
    assert "header" in refused("mail agrees with the document", _verify_mail_agrees, bare, verified)


def test_the_words_are_those_of_one_time_zone(office, sealed, parsed):
    """The kind is told that fits no zone; where each fits one, and not the same, the first."""
    steps = _Files(files_of(sealed), office.trust)
    steps.verify_signature()
    steps.verify_document()
    own = steps.document["renderings"]
    for spoilt, kind in ((("text/plain",), "text/html"), ((), "text/html"), (("text/html",), "text/plain")):
        other = [
            item | {"time_zone": "Europe/Paris", "sha256": "00" if item["media_type"] in spoilt else item["sha256"]}
            for item in own
        ]
        wrong = [item | {"sha256": "00"} if item["media_type"] == kind else item for item in own]
        steps.document = {**steps.document, "renderings": [*wrong, *other]}
        if not spoilt:
            assert _verify_mail_agrees(parsed, steps).number == 7
            continue
        told = refused("mail agrees with the document", _verify_mail_agrees, parsed, steps)
        assert told == f"the words ({next(iter(parsed.texts))}) are not the ones the document commits to"
    none = [item | {"sha256": "00"} if item["media_type"] == "text/html" else item for item in own]
    zoned = [item | {"time_zone": "Europe/Paris"} for item in none]
    steps.document = {**steps.document, "renderings": [*[item | {"sha256": "01"} for item in own], *zoned]}
    told = refused("mail agrees with the document", _verify_mail_agrees, parsed, steps)
    assert told == "the words (text/html) are not the ones the document commits to"


def test_a_request_to_acknowledge_is_told_as_the_mail_s_own(parsed, verified):
    passed = _verify_mail_agrees(replace(parsed, note="please"), verified)
    assert passed.finding.endswith("; the request to acknowledge beside them is the mail's own, and not sealed")


def test_headers_outside_an_encryption_are_not_there_to_compare(parsed, verified):
    opened = replace(parsed, stated_outer={"Subject": "..."}, outer={}, outer_addresses=None)
    passed = _verify_mail_agrees(opened, verified)
    assert (passed.number, passed.partial, passed.pending) == (7, True, False)
    told = "words (fr) are the sealed ones; the headers outside the encryption are not here to compare"
    assert passed.finding == told
    # Where they are there after all, they are those that the signature states.
    wrong = replace(parsed, stated_outer={"Subject": "..."})
    refused("mail agrees with the document", _verify_mail_agrees, wrong, verified)


def test_a_date_is_needed_under_the_signature(office, parsed):
    for date, told in (
        (None, "has no readable date under the signature"),
        ("x", "has no readable date under the signature"),
        ("Mon, 02 Mar 2026 09:30:00 -0000", "has a date without an offset under the signature"),
    ):
        protected = {key: text for key, text in parsed.protected.items() if key != "Date"}
        protected |= {} if date is None else {"Date": date}
        dated = replace(parsed, protected=protected)
        assert refused("mail signature", _verify_mail_signature, dated, office.trust) == told


def test_trust_is_named_where_it_is_none(office):
    ca, tsa = ((office.files.trust / name).read_bytes() for name in ("ca.pem", "tsa.pem"))
    key = (office.files.trust / "log.vkey").read_text()
    other = key.replace("provider", "elsewhere", 1)
    for arguments, field in (
        ((b"", tsa, key), "ca.pem"),
        ((ca, b"", key), "tsa.pem"),
        ((ca, tsa, ""), "log.vkey"),
        ((ca, tsa, "x"), "log.vkey"),
        ((ca, tsa, key + other), "log.vkey"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            parse_trust(*arguments)
        assert [fault.field for fault in caught.value.faults] == [field]
    assert parse_trust(ca + ca, tsa + tsa, key + key).log_keys == office.trust.log_keys
    assert parse_trust(ca, tsa + tsa, key).timestamp_roots == office.trust.timestamp_roots


def test_a_moment_is_aware(office, verified):
    assert verified._at.astimezone(UTC) <= datetime.now(UTC)


DETAIL = {"ticket": "INC-2026-000042", "sequence": 1, "kind": "initial", "facts_version": 3}
ANNOUNCED = {"schema": "greffier.announcement/1"}
SUBJECTS = {"notice": str(UUID(int=77)), "customer": "ab" * 32}


class TestExercise:
    def test_its_mark_is_in_the_step_of_the_document_and_in_no_other(self, office):
        entry = {"detail": DETAIL | {"exercise": True}}
        sealed = office.seal(token=False, document={"exercise": True}, entry=entry)
        for passed in (
            steps_of_files(files_of(sealed), office.trust),
            steps_of_mail(office.mail(sealed), office.trust),
        ):
            (marked,) = [step for step in passed if step.exercise]
            assert (marked.step, marked.exercise) == ("document", True)
            assert marked.finding == "EXERCISE, INC-2026-000042 #1, initial, TLP:AMBER+STRICT"

    def test_other_notices_have_no_mark(self, office, untimed):
        passed = steps_of_mail(office.mail(untimed), office.trust)
        assert [step.exercise for step in passed] == [False] * 9
        assert VerifiedStep(1, "structure", "x").exercise is False

    @pytest.mark.parametrize("said", [False, None, 1, "true"])
    def test_a_document_says_that_it_is_one_or_says_nothing(self, office, untimed, said):
        document = canonicalize(json.loads(untimed.document) | {"exercise": said})
        steps = _Files(replace(files_of(untimed), document=document), office.trust)
        told = refused("document", steps.verify_document)
        assert told == "says of an exercise something else than that it is one"

    @pytest.mark.parametrize(("document", "leaf"), [({"exercise": True}, {}), ({}, {"exercise": True})])
    def test_leaf_and_document_say_the_same(self, office, document, leaf):
        sealed = office.seal(token=False, document=document, entry={"detail": DETAIL | leaf})
        told = refused("inclusion in the log", steps_of_files, files_of(sealed), office.trust)
        assert told == "leaf and document differ on whether it is an exercise"


class TestAnnouncement:
    def test_its_leaf_names_an_announcement(self, office):
        entry = {"subjects": SUBJECTS | {"announcement": str(UUID(int=9))}}
        sealed = office.seal(token=False, document=ANNOUNCED, entry=entry)
        passed = steps_of_files(files_of(sealed), office.trust)
        assert passed[3].finding == "INC-2026-000042 #1, initial, TLP:AMBER+STRICT"
        assert [step.step for step in passed if step.exercise] == []

    @pytest.mark.parametrize(
        ("document", "subject", "number", "named"),
        [
            (ANNOUNCED, "announcement", 8, "announcement"),
            (ANNOUNCED, "incident", 9, "announcement"),
            ({}, "announcement", 9, "incident"),
            ({}, "incident", 8, "incident"),
        ],
    )
    def test_a_leaf_of_another_subject_is_refused(self, office, document, subject, number, named):
        entry = {"subjects": SUBJECTS | {subject: str(UUID(int=number))}}
        sealed = office.seal(token=False, document=document, entry=entry)
        told = refused("inclusion in the log", steps_of_files, files_of(sealed), office.trust)
        assert told == f"leaf and document differ on the {named}"


class TestWhatTheTimestampIsOver:
    @pytest.mark.parametrize(
        ("document", "shares"),
        [
            (b'{"timestamping":"by_checkpoint"}', True),
            (b'{"timestamping":"per_notice"}', False),
            (b"{}", False),
            (b"[]", False),
            (b'"by_checkpoint"', False),
            (b'{"timestamping": "by_checkpoint"}', False),
            (b"", False),
        ],
    )
    def test_documents_say_it_in_one_way(self, document, shares):
        assert shares_timestamp(document) is shares

    @pytest.mark.parametrize("said", ["per_notice", "by_checkpoint"])
    def test_what_documents_may_say(self, office, said):
        steps = _Files(files_of(office.seal(token=False, document={"timestamping": said})), office.trust)
        assert steps.verify_document().startswith("INC-2026-000042")

    @pytest.mark.parametrize("said", ["by_week", "", None, 1, ["by_checkpoint"]])
    def test_what_documents_may_not_say(self, office, said):
        steps = _Files(files_of(office.seal(token=False, document={"timestamping": said})), office.trust)
        told = refused("document", steps.verify_document)
        assert told == "says of its timestamp something that is not known here"

    def test_over_the_signature_the_finding_says_no_more(self, office, sealed):
        steps = _Files(files_of(sealed), office.trust)
        passed = steps.verify_timestamp(2)
        assert (passed.number, passed.step, passed.pending) == (2, "timestamp", False)
        assert passed.finding.startswith(f"{steps._at:%Y-%m-%d %H:%M:%S} UTC by ")
        assert "checkpoint" not in passed.finding

    def test_over_the_checkpoint_the_finding_says_so(self, office, shared):
        steps = _Files(files_of(shared), office.trust)
        passed = steps.verify_timestamp(2)
        assert (passed.number, passed.step, passed.pending) == (2, "timestamp", False)
        assert passed.finding.startswith(f"{steps._at:%Y-%m-%d %H:%M:%S} UTC by ")
        assert passed.finding.endswith(", over the checkpoint of the proof")

    def test_one_over_the_checkpoint_may_follow_too(self, office, shared):
        passed = _Files(replace(files_of(shared), timestamp=None), office.trust).verify_timestamp(2)
        assert (passed.pending, passed.finding) == (True, "follows: the authority had not answered yet")

    def test_of_its_own_and_shared_are_told_apart(self, office, untimed, shared):
        for sealed, content, told in (
            (
                untimed,
                parse_proof(untimed.log_proof).checkpoint,
                "the token is over a checkpoint and not, as the document says, over its signature",
            ),
            (
                shared,
                shared.signature,
                "the token is over its signature and not, as the document says, over a checkpoint",
            ),
        ):
            steps = _Files(replace(files_of(sealed), timestamp=office.token(content)), office.trust)
            assert refused("timestamp", steps.verify_timestamp, 2) == told
            neither = _Files(replace(files_of(sealed), timestamp=office.token(b"other")), office.trust)
            assert refused("timestamp", neither.verify_timestamp, 2).startswith("the token does not hold: ")

    def test_whether_a_token_is_over_a_content_is_known(self, office, sealed):
        assert _is_over(sealed.timestamp, sealed.signature, office.trust) is True
        assert _is_over(sealed.timestamp, b"other", office.trust) is False

    def test_a_shared_one_whose_leaf_commits_to_one_of_its_own(self, office):
        files = files_of(office.seal(document={"timestamping": "by_checkpoint"}))
        told = "the document says that its timestamp is over a checkpoint, and the log holds one of its own"
        for timestamp in (files.timestamp, None):
            steps = _Files(replace(files, timestamp=timestamp), office.trust)
            assert refused("timestamp", steps.verify_timestamp, 2) == told

    def test_one_that_the_leaf_commits_to_must_be_here(self, office, sealed):
        steps = _Files(replace(files_of(sealed), timestamp=None), office.trust)
        told = refused("timestamp", steps.verify_timestamp, 2)
        assert told == "the log holds a timestamp of this notice, and it is not here"


def test_a_header_that_differs_says_it_all_and_an_address_behind_like_words_is_told(parsed, verified):
    addresses = {"outer_addresses": {**parsed.outer_addresses, "To": "x@x.example"}}
    both = replace(parsed, outer={**parsed.outer, "To": "x <x@x.example>"}, **addresses)
    assert _compare_mail(both, verified).changed == ("the header To is not the one under the signature",)
    alone = _compare_mail(replace(parsed, **addresses), verified)
    assert alone.changed == ("an address only looks like the one under the signature",)
    assert alone.finding == "words (fr) are the sealed ones"
