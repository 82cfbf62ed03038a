"""Trust policies of c2sp.org/tlog-policy: what is read, what is refused, and which checkpoints meet one."""

from contextlib import suppress
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.audit.checkpoint import Checkpoint, cosign_checkpoint, sign_checkpoint
from notifications.audit.merkle import leaf_hash
from notifications.audit.note import COSIGNATURE_V1, signature_line, verifier_key
from notifications.audit.policy import MAX_POLICY_BYTES, Group, format_policy, parse_policy, verify_policy
from notifications.errors import InvalidInputError, VerificationError
from support.refusals import refused

ORIGIN = "log.example/audit"
AT = datetime(2026, 11, 23, tzinfo=UTC)


def ed25519(number):
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def ml_dsa(number):
    return MLDSA44PrivateKey.from_seed_bytes(bytes([number]) * 32)


LOG_KEY = ed25519(100)
LOG = verifier_key(ORIGIN, LOG_KEY)
#: Five witnesses; the last two have ML-DSA-44 keys.
PRIVATE = [*map(ed25519, range(3)), *map(ml_dsa, range(2))]
NAMES = [f"witness.example/{number}" for number in range(5)]
KEYS = [verifier_key(name, private, COSIGNATURE_V1) for name, private in zip(NAMES, PRIVATE, strict=True)]
SIGNED = sign_checkpoint(LOG_KEY, Checkpoint(ORIGIN, 4711, leaf_hash(b"a leaf")))
W = [f"witness w{number} {key.text()}" for number, key in enumerate(KEYS)]


def cosigned(*numbers, note=SIGNED):
    for number in numbers:
        note = cosign_checkpoint(note, NAMES[number], PRIVATE[number], AT)
    return note


def policy(*lines):
    return parse_policy("".join(f"{line}\n" for line in lines).encode())


def unmet(note, stated):
    with pytest.raises(VerificationError) as caught:
        verify_policy(note, stated)
    assert caught.value.step == "policy"
    return caught.value.reason


class TestReading:
    def test_the_example_of_the_specification(self):
        stated = policy(
            "# two organisations",
            "",
            f"log {LOG.text()} https://log.example/",
            *W[:2],
            f"witness\tw2  {KEYS[2].text()} \t https://witness.example/2",
            "  group  X-witnesses 2 w0 w1 w2\t",
            *W[3:],
            "group Y-witnesses any w3 w4",
            "group X-and-Y all X-witnesses Y-witnesses",
            "quorum X-and-Y",
        )
        assert stated.logs == (LOG,)
        assert list(stated.witnesses.values()) == KEYS
        assert stated.groups == {
            "X-witnesses": Group(2, ("w0", "w1", "w2")),
            "Y-witnesses": Group(1, ("w3", "w4")),
            "X-and-Y": Group(2, ("X-witnesses", "Y-witnesses")),
        }
        for enough in ((0, 1, 3), (1, 2, 4), (0, 1, 2, 3, 4)):
            assert verify_policy(cosigned(*enough), stated) == tuple(f"w{number}" for number in enough)
        for few in ((), (0, 1), (3, 4), (0, 3, 4), (2, 3)):
            assert "the quorum 'X-and-Y' is not met: it needs 2 of 2" in unmet(cosigned(*few), stated)

    def test_a_policy_may_ask_for_no_witness_and_know_no_log(self):
        assert policy("quorum none").quorum == "none"
        assert verify_policy(SIGNED, policy("quorum none")) == ()
        assert verify_policy(SIGNED, policy(f"log {LOG.text()}", "quorum none")) == ()

    def test_lines_of_logs_and_witnesses_may_follow_the_quorum(self):
        stated = policy(W[0], "group gX any w0", "quorum gX", W[1], f"log {LOG.text()}")
        assert verify_policy(cosigned(0), stated) == ("w0",)

    @pytest.mark.parametrize(
        ("lines", "reason"),
        [
            ([""], "has no quorum line"),
            (["quorum"], "line 1: 'quorum' with 0 words after it is no line of a policy"),
            (["Quorum none"], "line 1: 'Quorum' with 1 words after it is no line of a policy"),
            (["quorum none", "quorum none"], "line 2: a policy has one quorum line"),
            (["quorum \tnone\t \t", " \t", "\t# x", "x"], "line 4: 'x' with 0 words after it is no line of a policy"),
            (["quorum w0", W[0]], "line 1: 'w0' is no witness and no group of the lines before"),
            (
                [W[0], "group g 1 w0 w1", W[1], "quorum g"],
                "line 2: 'w1' is no witness and no group of the lines before",
            ),
            ([W[0], "group g all g", "quorum g"], "line 2: 'g' is no witness and no group of the lines before"),
            ([W[0], "group g any none"], "line 2: 'none' is no witness and no group of the lines before"),
            ([W[0], "group g any w0 w0"], "line 2: 'w0' is a member already; a name is a member once in a policy"),
            ([W[0], "group g any w0", "group h any w0"], "line 3: 'w0' is a member already"),
            ([W[0], "group w0 any w0"], "line 2: the name 'w0' is taken"),
            ([W[0], "group g any w0", W[1], "group g any w1"], "line 4: the name 'g' is taken"),
            ([W[0], "group none any w0"], "line 2: the name 'none' is taken"),
            ([W[0], W[1].replace("w1", "w0", 1)], "line 2: the name 'w0' is taken"),
            ([W[0], "group g any"], "line 2: 'group' with 2 words after it is no line of a policy"),
            *(
                ([W[0], f"group g {number} w0"], f"line 2: '{number}' must be any, all, or a number from 1 to 1")
                for number in ("0", "2", "01", "-1", "one", "1.0", "ALL", "99999999999")
            ),
            ([W[0], "group g \u0661 w0"], r"line 2: '\u0661' must be any, all, or a number from 1 to 1"),
            ([f"log {LOG.text()}x"], "line 1: verifier key: is not base64"),
            ([f"log {KEYS[0].text()}"], "line 1: the key of witness.example/0 has type 0x04, which does not fit"),
            ([f"witness w {LOG.text()}"], "line 1: the key of log.example/audit has type 0x01, which does not fit"),
            ([f"log {LOG.text()}", f"log {verifier_key('o', LOG_KEY).text()}"], "line 2: the key of o is on two lines"),
            (
                [W[0], f"witness v {verifier_key('v', PRIVATE[0], COSIGNATURE_V1).text()}"],
                "line 2: the key of v is on two lines",
            ),
            (["log"], "line 1: 'log' with 0 words after it is no line of a policy"),
            (["quorum\u00a0none"], r"line 1: 'quorum\xa0none' with 0 words after it is no line of a policy"),
        ],
    )
    def test_what_is_no_policy(self, lines, reason):
        assert refused(policy, *lines).startswith(f"policy: {reason}")

    def test_a_number_of_two_digits(self):
        lines = [f"witness w{n} {verifier_key(f'w{n}', ml_dsa(n + 100)).text()}" for n in range(12)]
        names = " ".join(f"w{n}" for n in range(12))
        for number in (1, 9, 10, 11, 12):
            assert policy(*lines, f"group g {number} {names}", "quorum g").groups["g"].threshold == number
        assert "'13' must be any" in refused(policy, *lines, f"group g 13 {names}")

    def test_a_policy_is_a_value(self):
        stated = policy(W[0], "group g any w0", "quorum g")
        for value, name in ((stated, "quorum"), (stated.groups["g"], "threshold")):
            assert not hasattr(value, "__dict__")
            with pytest.raises(FrozenInstanceError):
                setattr(value, name, None)

    @pytest.mark.parametrize("byte", [b"\0", b"\x08", b"\r", b"\x0b", b"\x1f", b"\x7f"])
    def test_control_characters(self, byte):
        assert refused(parse_policy, b"# a" + byte + b"\nquorum none\n") == (
            f"policy: holds the control character 0x{byte.hex()}"
        )

    def test_a_file_that_was_cut_off_or_is_too_long(self):
        assert refused(parse_policy, b"quorum none") == "policy: must end with a line feed"
        rest = b"\nquorum none\n"
        assert parse_policy(b"#" * (MAX_POLICY_BYTES - len(rest)) + rest).quorum == "none"
        assert refused(parse_policy, b"#" * (1_000_001 - len(rest)) + rest) == "policy: is longer than 1000000 bytes"

    def test_names_are_bytes(self):
        # The letter K and the Kelvin sign are two names, and a byte that is no UTF-8 is a name too.
        texts = [key.text().encode() for key in KEYS[:3]]
        lines = [
            b"witness %b %b\n" % (name, text)
            for name, text in zip((b"K", b"\xe2\x84\xaa", b"\xff"), texts, strict=True)
        ]
        stated = parse_policy(b"".join(lines) + b"group g 3 K \xe2\x84\xaa \xff\nquorum g\n")
        assert verify_policy(cosigned(0, 1, 2), stated) == ("K", "\u212a", "\udcff")
        assert r"without: '\udcff'" in unmet(cosigned(0, 1), stated)

    def test_as_many_as_the_format_asks_for(self):
        logs = [f"log {verifier_key(f'log.example/{n}', ml_dsa(n + 50)).text()}" for n in range(32)]
        witnesses = [f"witness w{n} {verifier_key(f'w{n}', ml_dsa(n + 100)).text()}" for n in range(32)]
        groups = ["group g0 any w0", *(f"group g{n} all g{n - 1} w{n}" for n in range(1, 32))]
        stated = policy(*logs, *witnesses, *groups, "quorum g31")
        assert (len(stated.logs), len(stated.witnesses), len(stated.groups)) == (32, 32, 32)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from([
        b"log ", b"witness ", b"group ", b"quorum ", b"none", b"w0", b"w1", b"g", b"any", b"all", b"1", b" ", b"\t",
        b"\n", b"#", b"\xff", b"\r", KEYS[0].text().encode(), LOG.text().encode(),
    ]), max_size=25))  # fmt: skip
    def test_anything_is_read_or_refused_in_words(self, pieces):
        try:
            stated = parse_policy(b"".join(pieces) + b"\n")
        except InvalidInputError:
            return
        # What was read gives a verdict.
        with suppress(VerificationError):
            assert set(verify_policy(SIGNED, stated)) <= stated.witnesses.keys()


class TestVerifying:
    STATED = policy(f"log {LOG.text()}", *W, "group g 3 w0 w1 w2 w3 w4", "quorum g")

    def test_the_quorum_in_words(self):
        assert unmet(cosigned(1, 4), self.STATED) == (
            "the quorum 'g' is not met: it needs 3 of 5, and 2 cosigned the checkpoint; without: 'w0', 'w2', 'w3'"
        )
        assert unmet(SIGNED, policy(W[3], "quorum w3")) == (
            "the quorum is not met: witness 'w3' did not cosign the checkpoint"
        )

    @settings(max_examples=40, deadline=None)
    @given(st.sets(st.integers(0, 4)), st.integers(1, 5))
    def test_any_set_of_witnesses_against_any_number(self, numbers, wanted):
        stated = policy(*W, f"group g {wanted} w0 w1 w2 w3 w4", "quorum g")
        if len(numbers) >= wanted:
            assert verify_policy(cosigned(*sorted(numbers)), stated) == tuple(f"w{n}" for n in sorted(numbers))
        else:
            assert f"it needs {wanted} of 5" in unmet(cosigned(*sorted(numbers)), stated)

    def test_another_log(self):
        other = policy(f"log {verifier_key('other.example', LOG_KEY).text()}", "quorum none")
        assert unmet(SIGNED, other).startswith("no log of the policy vouches for it: signed by no trusted key")
        stranger = policy(f"log {verifier_key(ORIGIN, ed25519(101)).text()}", "quorum none")
        assert unmet(SIGNED, stranger).startswith("no log of the policy vouches for it")

    def test_one_of_several_logs_is_enough(self):
        both = policy(f"log {verifier_key('o', ml_dsa(7)).text()}", f"log {LOG.text()}", "quorum none")
        assert verify_policy(SIGNED, both) == ()

    def test_a_wrong_cosignature_of_a_known_witness_spoils_the_note(self):
        wrong = signature_line(KEYS[3], bytes(2428)).encode()
        assert unmet(cosigned(0, 1, 2) + wrong, self.STATED) == (
            "witness 'w3': the signature of witness.example/3 is wrong"
        )

    def test_a_cosignature_under_another_head_does_not_count(self):
        other = sign_checkpoint(LOG_KEY, Checkpoint(ORIGIN, 4712, leaf_hash(b"a leaf")))
        lines = cosigned(0, 3, note=other).removeprefix(other)
        assert "is wrong" in unmet(SIGNED + lines, self.STATED)

    def test_one_witness_counts_once(self):
        line = cosigned(0).removeprefix(SIGNED)
        assert "did not cosign exactly once" in unmet(SIGNED + line * 3, self.STATED)

    def test_lines_of_strangers_are_ignored(self):
        note = cosign_checkpoint(cosigned(0, 1), "witness.example/2", ed25519(50), AT)
        assert "2 cosigned" in unmet(note, self.STATED)

    def test_what_is_no_note(self):
        assert unmet(b"junk", self.STATED).startswith("note: ")
        assert unmet(b"junk", policy("quorum none")).startswith("note: ")


class TestWriting:
    PAIR = (verifier_key("both.example", ed25519(60), COSIGNATURE_V1), verifier_key("both.example", ml_dsa(60)))

    def test_all_witnesses_unless_a_number_is_set(self):
        written = format_policy([LOG], [[KEYS[0]], [KEYS[3]]], None)
        assert written.decode().splitlines() == [
            f"log {LOG.text()}",
            f"witness witness.example/0 {KEYS[0].text()}",
            f"witness witness.example/3 {KEYS[3].text()}",
            "group +witnesses all witness.example/0 witness.example/3",
            "quorum +witnesses",
        ]
        assert verify_policy(cosigned(0, 3), parse_policy(written)) == ("witness.example/0", "witness.example/3")
        assert refused(parse_policy, written + b"quorum none\n") == "policy: line 6: a policy has one quorum line"
        one = parse_policy(format_policy([LOG], [[KEYS[0]], [KEYS[3]]], 1))
        assert verify_policy(cosigned(3), one) == ("witness.example/3",)

    def test_a_witness_with_two_keys_cosigns_with_both(self):
        stated = parse_policy(format_policy([LOG], [[KEYS[0]], self.PAIR], 1))
        first = cosign_checkpoint(SIGNED, "both.example", ed25519(60), AT)
        assert "0 cosigned" in unmet(first, stated)
        both = cosign_checkpoint(first, "both.example", ml_dsa(60), AT)
        assert verify_policy(both, stated) == ("both.example+ed25519", "both.example+mldsa44")

    def test_no_witness_and_no_quorum(self):
        for written in (format_policy([LOG], [], None), format_policy([LOG], [], 0)):
            assert written.decode() == f"log {LOG.text()}\nquorum none\n"
        assert parse_policy(format_policy([LOG], [[KEYS[0]]], 0)).quorum == "none"

    def test_more_than_there_are(self):
        assert "must be any, all, or a number from 1 to 1" in refused(format_policy, [LOG], [[KEYS[0]]], 2)
        assert "is no line of a policy" in refused(format_policy, [LOG], [], 1)
