"""One log, several keys: overlap, verifiers that know one of them, forgeries that mix them."""

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from notifications.audit.note import parse_note, sign_note, verifier_key, verify_note
from notifications.audit.proof import format_proof, parse_proof
from notifications.errors import InvalidInputError, VerificationError
from notifications.evidence.verification import CHECKPOINT, parse_trust
from service.crypto.key_files import load_log_key
from support.sealed_sample import ORIGIN, Office, files_of, refused, steps_of_files

OLD, NEW, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3))
OLD_KEY, NEW_KEY, STRANGE_KEY = (verifier_key(ORIGIN, key) for key in (OLD, NEW, STRANGER))
HEAD = Checkpoint(ORIGIN, 7, b"r" * 32)
BOTH = sign_checkpoint(NEW, HEAD, also=[OLD])


class TestCheckpoint:
    def test_one_line_per_key_the_current_first(self):
        lines = parse_note(BOTH).signatures
        assert [(line.name, line.key_id) for line in lines] == [(ORIGIN, NEW_KEY.id), (ORIGIN, OLD_KEY.id)]
        assert BOTH.startswith(sign_checkpoint(NEW, HEAD))

    @pytest.mark.parametrize(
        "known", [(OLD_KEY,), (NEW_KEY,), (OLD_KEY, NEW_KEY), (STRANGE_KEY, NEW_KEY)], ids=["old", "new", "both", "mix"]
    )
    def test_whoever_knows_any_of_the_keys_accepts(self, known):
        assert verify_checkpoint(BOTH, *known) == HEAD

    def test_whoever_knows_none_of_them_refuses(self):
        for known in ((), (STRANGE_KEY,)):
            with pytest.raises(VerificationError, match="no trusted key"):
                verify_checkpoint(BOTH, *known)

    def test_after_the_overlap_the_old_key_alone_is_not_enough(self):
        with pytest.raises(VerificationError):
            verify_checkpoint(sign_checkpoint(NEW, HEAD), OLD_KEY)

    def test_a_wrong_line_of_a_known_key_is_not_outvoted_by_a_right_one(self):
        forged = sign_checkpoint(STRANGER, HEAD).decode().splitlines()[-1].split(" ")[2]
        lying = base64.b64encode(NEW_KEY.id + base64.b64decode(forged)[4:]).decode()
        mixed = sign_checkpoint(OLD, HEAD) + f"— {ORIGIN} {lying}\n".encode()
        assert verify_checkpoint(mixed, OLD_KEY) == HEAD
        for known in ((NEW_KEY,), (OLD_KEY, NEW_KEY), (NEW_KEY, OLD_KEY)):
            with pytest.raises(VerificationError, match="is wrong"):
                verify_checkpoint(mixed, *known)

    def test_a_key_of_another_log_vouches_for_nothing(self):
        other = verifier_key("other.example/log", OLD)
        note = sign_note(parse_note(BOTH).text, "other.example/log", OLD)
        with pytest.raises(VerificationError, match="the checkpoint is of"):
            verify_checkpoint(note, NEW_KEY, other)

    def test_no_key_signs_twice(self):
        with pytest.raises(InvalidInputError, match="twice"):
            sign_checkpoint(NEW, HEAD, also=[OLD, NEW])

    def test_every_byte_of_the_text_counts_for_both_lines(self):
        text = parse_note(BOTH).text.encode()
        for place in range(len(text)):
            changed = bytearray(BOTH)
            changed[place] ^= 1
            for known in ((OLD_KEY,), (NEW_KEY,), (OLD_KEY, NEW_KEY)):
                with pytest.raises(VerificationError):
                    verify_checkpoint(bytes(changed), *known)

    def test_the_library_order_of_keys_is_that_of_the_caller(self):
        assert verify_note(BOTH, [OLD_KEY, NEW_KEY])[1] == (OLD_KEY, NEW_KEY)


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


class TestNotice:
    def trust(self, office, *keys):
        read = [(office.files.trust / name).read_bytes() for name in ("ca.pem", "tsa.pem")]
        return parse_trust(*read, "".join(key.text() + "\n" for key in keys))

    def under(self, office, sealed, *signers):
        """Return the notice's files with the checkpoint of its proof signed by other keys."""
        proof = parse_proof(sealed.log_proof)
        size, root = parse_note(proof.checkpoint).text.split("\n")[1:3]
        head = Checkpoint(ORIGIN, int(size), base64.b64decode(root))
        note = sign_checkpoint(signers[0], head, also=signers[1:])
        return replace(files_of(sealed), proof=format_proof(proof.index, proof.hashes, note, proof.extra))

    def test_a_notice_of_the_overlap_verifies_by_either_key(self, office):
        files = self.under(office, office.seal(), NEW, OLD)
        for known in ((OLD_KEY,), (NEW_KEY,), (OLD_KEY, NEW_KEY)):
            assert len(steps_of_files(files, self.trust(office, *known))) == 6

    def test_a_notice_of_before_verifies_by_a_file_that_gained_a_line(self, office):
        first = verifier_key(ORIGIN, load_log_key(office.files.log_key, None))
        assert len(steps_of_files(files_of(office.seal()), self.trust(office, first, NEW_KEY))) == 6

    def test_a_notice_of_after_is_refused_by_whoever_never_heard_of_the_new_key(self, office):
        files = self.under(office, office.seal(), NEW)
        assert "no trusted key" in refused(CHECKPOINT, steps_of_files, files, self.trust(office, OLD_KEY))

    def test_a_trust_file_of_two_logs_or_of_none_is_refused(self, office):
        for keys in ((), (OLD_KEY, verifier_key("other.example/log", NEW))):
            with pytest.raises(InvalidInputError, match=r"log\.vkey"):
                self.trust(office, *keys)
