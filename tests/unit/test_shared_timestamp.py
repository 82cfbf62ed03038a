"""Notices that share a timestamp over a checkpoint: what the verifiers take, and each thing that they refuse."""

import io
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from notifications.audit.checkpoint import Checkpoint, sign_checkpoint
from notifications.audit.proof import format_proof, parse_proof
from notifications.errors import VerificationError
from notifications.evidence.bundle.verification import verify_bundle
from notifications.evidence.verification import (
    CERTIFICATE,
    CHECKPOINT,
    DOCUMENT,
    INCLUSION,
    TIMESTAMP,
    shares_timestamp,
)
from notifications.wording import render
from service.crypto.key_files import load_log_key
from support.bundle_sample import SEALED, Sample, archive
from support.notice_samples import compose, plain_facts
from support.sealed_sample import ORIGIN, Office, files_of, refused, steps_of_files, steps_of_mail, write_signer

PROOF, CONSISTENCY = f"{SEALED}notice.tlog-proof", f"{SEALED}notice.consistency"


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def shared(office):
    return office.seal(shared=True)


@pytest.fixture(scope="module")
def own(office):
    return office.seal()


def checkpoint_of(sealed):
    return parse_proof(sealed.log_proof).checkpoint


@pytest.mark.parametrize("language", ["fr", "en", "de"])
def test_the_words_say_what_the_timestamp_is_over_and_how_to_check_it(language):
    document = json.loads(compose(plain_facts()).document)
    own = render(document, language).text
    assert "openssl ts -verify -in notice.json.tsr -data notice.json.p7s -CAfile tsa.pem" in own
    assert "sed " not in own
    said = render(document | {"timestamping": "by_checkpoint"}, language).text
    assert "sed '1,/^$/d' notice.tlog-proof > checkpoint" in said
    assert "openssl ts -verify -in notice.json.tsr -data checkpoint -CAfile tsa.pem" in said
    assert "-data notice.json.p7s" not in said
    item = re.compile(r"- (notice\.json\.tsr\s?: .*?)\n +- notice\.tlog-proof", re.DOTALL)
    (own_item,), (item_said,) = item.findall(own), item.findall(said)
    assert "notice.tlog-proof" in item_said
    assert "notice.tlog-proof" not in own_item
    assert (language == "en") == ("a timestamp over the checkpoint" in item_said)


@pytest.mark.parametrize(
    ("document", "shares"),
    [
        (b'{"timestamping":"by_checkpoint"}', True), (b'{"timestamping":"per_notice"}', False), (b"{}", False),
        (b"[]", False), (b'"by_checkpoint"', False), (b"{", False), (b"", False),
        (b'{ "timestamping":"by_checkpoint"}', False),
    ],
)  # fmt: skip
def test_only_a_canonical_document_says_that_it_shares(document, shares):
    assert shares_timestamp(document) is shares


class TestFiles:
    def test_a_token_over_the_checkpoint_of_the_proof_dates_the_notice(self, office, shared):
        steps = {step.step: step for step in steps_of_files(files_of(shared), office.trust)}
        assert not any(step.pending for step in steps.values())
        assert steps[TIMESTAMP].finding.endswith(", over the checkpoint of the proof")
        assert steps_of_mail(office.mail(shared), office.trust)

    def test_a_token_that_follows_is_pending(self, office):
        steps = steps_of_files(files_of(office.seal(shared=True, token=False)), office.trust)
        assert [step.step for step in steps if step.pending] == [TIMESTAMP]

    def test_the_certificate_counts_as_of_the_token(self, office, tmp_path):
        signer = write_signer(office, tmp_path / "signer", days=(-20, -10))
        office.clock.at = office.now - timedelta(days=15)
        try:
            dated = [
                office.seal(shared=True, signer=signer, token_at=office.now - timedelta(days=days)) for days in (15, 5)
            ]
        finally:
            office.clock.at = office.now
        assert steps_of_files(files_of(dated[0]), office.trust)
        refused(CERTIFICATE, steps_of_files, files_of(dated[1]), office.trust)

    def test_a_token_over_another_checkpoint(self, office, shared):
        other = office.seal(shared=True, entry={"actor": "system:other"})
        assert checkpoint_of(other) != checkpoint_of(shared)
        files = replace(files_of(shared), timestamp=other.timestamp)
        refused(TIMESTAMP, steps_of_files, files, office.trust)

    def test_a_proof_under_another_checkpoint_than_that_of_the_token(self, office, shared):
        proof = parse_proof(shared.log_proof)
        size = 11
        forked = sign_checkpoint(load_log_key(office.files.log_key, None), Checkpoint(ORIGIN, size, b"\x01" * 32))
        files = replace(files_of(shared), proof=format_proof(proof.index, proof.hashes, forked, proof.extra))
        refused(TIMESTAMP, steps_of_files, files, office.trust)
        # With a token over that checkpoint too, the leaf is not in its tree.
        files = replace(files, timestamp=office.token(forked))
        refused(INCLUSION, steps_of_files, files, office.trust)

    def test_a_checkpoint_that_the_log_did_not_sign(self, office, shared, tmp_path):
        stranger = Office(tmp_path)
        proof = parse_proof(shared.log_proof)
        text, _, _ = proof.checkpoint.decode().partition("\n\n")
        _, size, root = text.split("\n")
        signed = checkpoint_of(stranger.seal(shared=True)).decode().partition("\n\n")[2]
        forged = f"{ORIGIN}\n{size}\n{root}\n\n{signed}".encode()
        files = replace(
            files_of(shared),
            proof=format_proof(proof.index, proof.hashes, forged, proof.extra),
            timestamp=office.token(forged),
        )
        refused(CHECKPOINT, steps_of_files, files, office.trust)

    def test_a_document_that_states_its_own_timestamp_with_one_over_the_checkpoint(self, office, own):
        late = office.seal(uncommitted=("timestamp",))
        files = replace(files_of(late), timestamp=office.token(checkpoint_of(late)))
        reason = refused(TIMESTAMP, steps_of_files, files, office.trust)
        assert reason == "the token is over a checkpoint and not, as the document says, over its signature"

    def test_a_document_that_states_a_shared_timestamp_with_one_of_its_own(self, office, shared):
        files = replace(files_of(shared), timestamp=office.token(shared.signature))
        reason = refused(TIMESTAMP, steps_of_files, files, office.trust)
        assert reason == "the token is over its signature and not, as the document says, over a checkpoint"

    def test_a_shared_timestamp_whose_entry_commits_to_one_of_its_own(self, office):
        lying = office.seal(document={"timestamping": "by_checkpoint"})
        for files in (files_of(lying), replace(files_of(lying), timestamp=office.token(checkpoint_of(lying)))):
            reason = refused(TIMESTAMP, steps_of_files, files, office.trust)
            assert reason.endswith("and the log holds one of its own")

    @pytest.mark.parametrize("said", ["by_week", "", None, 1, ["by_checkpoint"]])
    def test_a_document_that_says_something_unknown_of_its_timestamp(self, office, said):
        files = files_of(office.seal(document={"timestamping": said}))
        assert "not known here" in refused(DOCUMENT, steps_of_files, files, office.trust)

    def test_by_another_authority(self, office, shared, tmp_path):
        files = replace(files_of(shared), timestamp=Office(tmp_path).token(checkpoint_of(shared)))
        refused(TIMESTAMP, steps_of_files, files, office.trust)


@pytest.fixture(scope="module")
def sample(office):
    return Sample(office, shared=True)


class TestBundle:
    def fault(self, sample, **changes):
        parts = {name: part for name, part in (sample.parts | changes).items() if part is not None}
        with pytest.raises(VerificationError) as failed:
            list(verify_bundle(io.BytesIO(archive(parts | sample.listed(parts))), sample.office.trust))
        return failed.value.step, failed.value.reason

    def test_the_notice_is_dated_by_its_own_proof(self, sample):
        told = {step.step: step for step in verify_bundle(io.BytesIO(archive(sample.parts)), sample.office.trust)}
        assert told["notices"].finding == "1 notices"

    def test_the_proof_is_missing(self, sample):
        assert self.fault(sample, **{PROOF: None})[1].startswith(f"lacks {PROOF}")

    def test_the_token_is_missing_but_not_the_proof(self, sample):
        step, reason = self.fault(sample, **{f"{SEALED}notice.json.tsr": None})
        assert (step, reason.startswith(f"holds {PROOF}")) == ("notices", True)

    def test_the_proof_is_of_another_entry(self, office, sample):
        other = office.seal(shared=True, entry={"actor": "system:other"})
        step, reason = self.fault(sample, **{PROOF: other.log_proof})
        assert (step, reason.endswith("is the proof of another entry")) == ("notices", True)
        assert self.fault(sample, **{PROOF: b"no proof"})[0] == "notices"

    def test_the_log_of_the_notice_is_another_than_that_of_the_bundle(self, sample):
        """The log's key signed both heads, and each proof holds under its own: only the consistency proof shows it."""
        changes = {PROOF: sample.sealed.log_proof, f"{SEALED}notice.json.tsr": sample.sealed.timestamp}
        step, reason = self.fault(sample, **changes)
        assert step == "notices"
        assert CONSISTENCY in reason

    def test_the_consistency_proof_is_missing_or_malformed(self, sample):
        assert self.fault(sample, **{CONSISTENCY: None})[1].startswith(f"lacks {CONSISTENCY}")
        for wrong in (b"", b"AAAA\n", sample.parts[CONSISTENCY] * 2, sample.parts[CONSISTENCY][:-1], b"\xff\n"):
            step, reason = self.fault(sample, **{CONSISTENCY: wrong})
            assert (step, CONSISTENCY in reason) == ("notices", True)

    def test_the_token_is_over_the_checkpoint_of_the_bundle(self, office, sample):
        step, reason = self.fault(sample, **{f"{SEALED}notice.json.tsr": office.token(sample.parts["checkpoint"])})
        assert (step, "timestamp" in reason) == ("notices", True)

    def test_a_notice_with_a_timestamp_of_its_own_has_no_such_proof(self, office, own):
        sample = Sample(office)
        step, reason = self.fault(sample, **{PROOF: own.log_proof})
        assert (step, reason.startswith(f"holds {PROOF}")) == ("notices", True)
