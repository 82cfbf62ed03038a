"""The verifier as its adversaries see it: whatever is exchanged, left out or put to wrong use makes a step fail."""

import hashlib
import re
import subprocess
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from notifications.audit.checkpoint import cosign_checkpoint
from notifications.audit.proof import format_proof, parse_notice_extra, parse_proof
from notifications.crypto.cms import verify_detached
from notifications.errors import InvalidInputError, VerificationError
from notifications.evidence.verification import (
    CERTIFICATE,
    CHECKPOINT,
    DOCUMENT,
    DOCUMENT_SIGNATURE,
    INCLUSION,
    MAIL_AGREES,
    MAIL_SIGNATURE,
    MAIL_STEPS,
    TIMESTAMP,
    parse_trust,
)
from notifications.mail.parts import base64_lines
from notifications.mail.signed_mail import parse_signed_mail
from service.crypto.key_files import load_chain, load_log_key, load_private_key
from support.sealed_sample import Office, files_of, refused, resigned, steps_of_files, steps_of_mail, write_signer

MAIL, TLS_CLIENT = ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CLIENT_AUTH
ANY_PURPOSE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
ANY = "2.5.29.32.0"


def policies(*identifiers):
    return x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(each), None) for each in identifiers])


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def other_office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def sealed(office):
    return office.seal()


@pytest.fixture(scope="module")
def mail(office, sealed):
    return office.mail(sealed)


class TestGenuine:
    def test_every_step_of_a_mail_holds_in_order(self, office, mail):
        passed = steps_of_mail(mail, office.trust)
        assert [step.number for step in passed] == list(range(1, 10))
        assert tuple(step.step for step in passed) == MAIL_STEPS
        assert not any(step.pending for step in passed)
        assert "not independent" in passed[3].finding
        assert passed[7].finding.startswith("entry 5 of 11")

    def test_every_step_of_the_files_holds(self, office, sealed):
        passed = steps_of_files(files_of(sealed), office.trust)
        assert [step.step for step in passed] == [
            DOCUMENT_SIGNATURE, TIMESTAMP, CERTIFICATE, DOCUMENT, INCLUSION, CHECKPOINT,
        ]  # fmt: skip

    def test_in_every_language(self, office, sealed):
        for language in ("fr", "de"):
            assert len(steps_of_mail(office.mail(sealed, language), office.trust)) == 9

    def test_what_mail_stores_and_relays_do_is_tolerated(self, office, mail):
        for carried in (
            mail.replace(b"\r\n", b"\n"),
            b"Received: from a.example\r\n\tby b.example; Mon\r\nX-Spam-Report: caf\xe9\r\n" + mail,
            mail.replace(b"\r\nAuto-Submitted: auto-generated", b""),
            mail + b"\r\n\r\n",
            re.sub(rb"\r\nTo: (.*)\r\n ", rb"\r\nTo: \1 ", mail, count=1),
            re.sub(rb"\AFrom:", b"FROM:", mail),
        ):
            assert len(steps_of_mail(carried, office.trust)) == 9

    def test_a_timestamp_that_follows_is_pending_and_no_pass(self, office):
        passed = steps_of_mail(office.mail(office.seal(token=False)), office.trust)
        assert [step.step for step in passed if step.pending] == [TIMESTAMP]
        assert "follows" in passed[3].finding

    def test_a_timestamp_that_came_later_is_verified(self, office):
        late = office.seal(uncommitted=("timestamp",))
        assert not any(step.pending for step in steps_of_files(files_of(late), office.trust))

    def test_a_certificate_counts_as_of_the_timestamp(self, office, tmp_path):
        """Signed when valid; that the certificate has expired since changes nothing."""
        signer = write_signer(office, tmp_path, days=(-30, -1))
        office.clock.at = at = office.now - timedelta(days=2)
        try:
            old = office.seal(signer=signer, token_at=at, entry={"at": at})
            carried = office.mail(old, sign=signer.sign_detached, date=at)
        finally:
            office.clock.at = office.now
        assert len(steps_of_files(files_of(old), office.trust)) == 6
        assert len(steps_of_mail(carried, office.trust)) == 9

    def test_a_chain_with_an_intermediate_holds(self, office, tmp_path):
        signer = write_signer(office, tmp_path, intermediates=[()])
        # The demo root allows no authority below it; taken as a root itself, the intermediate holds.
        refused(CERTIFICATE, steps_of_files, files_of(office.seal(signer=signer)), office.trust)
        between = replace(office.trust, ca=tuple(load_chain(tmp_path / "signer.pem")[1:]))
        assert len(steps_of_files(files_of(office.seal(signer=signer)), between)) == 6

    @pytest.mark.parametrize("limits", [(MAIL,), (MAIL, TLS_CLIENT), (ANY_PURPOSE,)], ids=str)
    def test_an_authority_that_is_limited_to_mail(self, office, tmp_path, limits):
        """As those that browsers and mail programs trust for S/MIME; the library's own policy demands TLS clients."""
        signer, trust = below_an_authority(office, tmp_path, limits)
        assert len(steps_of_files(files_of(office.seal(signer=signer)), trust)) == 6

    @pytest.mark.parametrize("limits", [(TLS_CLIENT,), (ExtendedKeyUsageOID.TIME_STAMPING,)], ids=str)
    def test_an_authority_that_is_limited_to_something_else(self, office, tmp_path, limits):
        signer, trust = below_an_authority(office, tmp_path, limits)
        reason = refused(CERTIFICATE, steps_of_files, files_of(office.seal(signer=signer)), trust)
        assert "authority is not for e-mail protection" in reason

    @pytest.mark.parametrize(
        ("authority", "leaf", "held"),
        [
            ([policies("1.2.3")], [policies("1.2.3")], True),
            ([], [policies("1.2.3")], True),
            ([policies("1.2.3")], [], True),
            # The authority demands a policy, at once or for the certificates below those below it.
            ([policies("1.2.3"), x509.PolicyConstraints(0, None)], [policies("1.2.3", "1.2.4")], True),
            ([policies(ANY), x509.PolicyConstraints(0, None)], [policies("1.2.3")], True),
            ([policies("1.2.3"), x509.PolicyConstraints(0, None)], [policies(ANY)], True),
            ([policies("1.2.3"), x509.PolicyConstraints(0, None)], [policies("1.2.4")], False),
            ([policies("1.2.3"), x509.PolicyConstraints(0, None)], [], False),
            ([x509.PolicyConstraints(0, None)], [policies("1.2.3")], False),
            ([policies("1.2.3"), x509.PolicyConstraints(1, None)], [], False),
            ([policies("1.2.3"), x509.PolicyConstraints(2, None)], [], True),
            ([policies("1.2.3"), x509.PolicyConstraints(None, 0)], [], True),
            # "Any" counts for no policy below the authority.
            ([policies("1.2.3"), x509.InhibitAnyPolicy(0)], [policies(ANY)], True),
            ([policies("1.2.3"), x509.InhibitAnyPolicy(0), x509.PolicyConstraints(0, None)], [policies(ANY)], False),
            ([policies("1.2.3"), x509.InhibitAnyPolicy(1), x509.PolicyConstraints(0, None)], [policies(ANY)], True),
        ],
    )
    def test_certificate_policies_are_as_openssl_finds_them(self, office, tmp_path, authority, leaf, held):
        """cryptography 50.0.2 refuses a certificate with one of these extensions, also under ``permit_all()``."""
        signer, trust = below_an_authority(office, tmp_path, (MAIL,), authority_states=authority, leaf_states=leaf)
        assert openssl_finds_policies(tmp_path) is held
        files = files_of(office.seal(signer=signer))
        if held:
            assert len(steps_of_files(files, trust)) == 6
        else:
            reason = refused(CERTIFICATE, steps_of_files, files, trust)
            assert reason.endswith(": an authority demands a certificate policy, and the chain has none throughout")

    @pytest.mark.parametrize(
        ("skipped", "below", "held"),
        [
            (0, policies("1.2.3"), False),
            (1, policies("1.2.3"), False),
            (1, policies(ANY), False),
            (2, policies(ANY), True),
        ],
    )
    def test_any_policy_counts_for_as_many_certificates_as_an_upper_authority_says(
        self, office, tmp_path, skipped, below, held
    ):
        upper = [policies("1.2.3"), x509.PolicyConstraints(0, None), x509.InhibitAnyPolicy(skipped)]
        states = {"upper_states": upper, "authority_states": [below], "leaf_states": [policies(ANY)]}
        signer, trust = below_an_authority(office, tmp_path, (MAIL,), (MAIL,), **states)
        assert openssl_finds_policies(tmp_path) is held
        files = files_of(office.seal(signer=signer))
        if held:
            assert len(steps_of_files(files, trust)) == 6
        else:
            assert "demands a certificate policy" in refused(CERTIFICATE, steps_of_files, files, trust)

    def test_an_authority_that_is_limited_to_mail_of_a_domain(self, office, tmp_path):
        limit = x509.NameConstraints([x509.RFC822Name("provider.example")], None)
        signer, trust = below_an_authority(office, tmp_path, (MAIL,), authority_states=[limit])
        assert len(steps_of_files(files_of(office.seal(signer=signer)), trust)) == 6

    def test_an_authority_that_is_limited_to_directory_names_is_not_said_to_be_wrong(self, office, tmp_path):
        """cryptography 50.0.2 compares no directory names, and refuses the chain."""
        limit = x509.NameConstraints([x509.DirectoryName(x509.Name([]))], None)
        signer, trust = below_an_authority(office, tmp_path, (MAIL,), authority_states=[limit])
        assert openssl_finds_policies(tmp_path)
        reason = refused(CERTIFICATE, steps_of_files, files_of(office.seal(signer=signer)), trust)
        assert "is not trusted and cannot be judged here" in reason
        assert "openssl cms -verify with the CA decides" in reason

    def test_an_rsa_key_signs_as_well(self, office, tmp_path):
        signer = write_signer(office, tmp_path, key=rsa.generate_private_key(65537, 2048))
        assert len(steps_of_mail(office.mail(office.seal(signer=signer), sign=signer.sign_detached), office.trust)) == 9

    def test_a_witness_may_add_its_line(self, office, sealed):
        key = load_log_key(office.files.log_key, None)
        proof = parse_proof(sealed.log_proof)
        note = cosign_checkpoint(proof.checkpoint, "witness.example", key, office.now)
        seen = replace(sealed, log_proof=format_proof(proof.index, proof.hashes, note, proof.extra))
        assert len(steps_of_files(files_of(seen), office.trust)) == 6

    @given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=80))
    def test_whatever_the_names_are(self, office, sealed, name):
        carried = office.mail(sealed, sender_name=name, recipient_name=name)
        assert parse_signed_mail(carried).sender == "soc@provider.example"
        assert len(steps_of_mail(carried, office.trust)) == 9


def below_an_authority(office, folder, *limits, **states):
    """Return a signer below authorities with the given purposes, and the trust in the root above them."""
    signer = write_signer(office, folder, intermediates=[(), *limits], **states)
    *_, upper = load_chain(folder / "signer.pem")
    return signer, replace(office.trust, ca=(upper,))


def openssl_finds_policies(folder):
    """Return whether openssl takes the chain in the folder under its root, with any policy where one is demanded."""
    leaf, *authorities, root = load_chain(folder / "signer.pem")
    for name, certificates in (("leaf", [leaf]), ("authorities", authorities), ("root", [root])):
        (folder / f"{name}.pem").write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in certificates))
    command = f"openssl verify -partial_chain -policy_check -policy {ANY} -purpose smimesign"
    files = "-trusted root.pem -untrusted authorities.pem leaf.pem"
    ran = subprocess.run([*command.split(), *files.split()], cwd=folder, capture_output=True, check=False)
    return ran.returncode == 0


class TestMailSignature:
    def test_by_another_ca(self, office, other_office, sealed):
        forged = office.mail(sealed, sign=other_office.signer.sign_detached)
        refused(MAIL_SIGNATURE, steps_of_mail, forged, office.trust)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"address": "other@provider.example"},
            {"address": None},
            {"usages": (ExtendedKeyUsageOID.CLIENT_AUTH,)},
            {"usages": ()},
            {"digital_signature": False},
            {"authority": True},
            {"days": (-30, -2)},
            {"days": (2, 30)},
        ],
        ids=str,
    )
    def test_by_a_certificate_that_is_not_for_it(self, office, sealed, tmp_path, wrong):
        """Certificates of the very CA that the reader trusts, and keys that fit them."""
        forger = _forger(office, tmp_path, **wrong)
        refused(MAIL_SIGNATURE, steps_of_mail, office.mail(sealed, sign=forger), office.trust)
        if wrong.get("address") is None:
            signed = office.seal(signer=_Forging(forger))
            refused(CERTIFICATE, steps_of_files, files_of(signed), office.trust)

    def test_a_genuine_notice_is_not_passed_on_under_another_name(self, office, sealed, tmp_path):
        """Whoever has a certificate of a public CA could else send it on, and take the answers."""
        evil = _forger(office, tmp_path, address="evil@x.example")
        passed_on = office.mail(sealed, sign=evil, sender="evil@x.example")
        assert "not signed by evil@x.example" in refused(MAIL_AGREES, steps_of_mail, passed_on, office.trust)

    def test_a_display_name_is_no_address(self, office, sealed, tmp_path):
        evil = _forger(office, tmp_path, address="evil@x.example")
        carried = office.mail(sealed, sign=evil, sender_name="é <evil@x.example>")
        assert "From says soc@provider.example" in refused(MAIL_SIGNATURE, steps_of_mail, carried, office.trust)

    @pytest.mark.parametrize(
        "date", [b"yesterday", b"Mon, 02 Mar 2026 09:30:00 -0000", b"Fri, 31 Dec 9999 23:59:59 -2300", b"", b"x" * 500]
    )
    def test_a_date_that_cannot_be_read_is_refused(self, office, mail, date):
        changed = re.sub(rb"\r\nDate: [^\r]+", b"\r\nDate: " + date, mail)
        signed = parse_signed_mail(changed).signed
        old = base64_lines(parse_signed_mail(mail).signature)
        changed = changed.replace(old, base64_lines(office.signer.sign_detached(signed)))
        assert "date" in refused(MAIL_SIGNATURE, steps_of_mail, changed, office.trust)


def _forger(office, folder, **wrong):
    """Return a function that signs with a certificate which our own signer would refuse to use."""
    write_signer(office, folder, **wrong)
    key = load_private_key(folder / "signer.key", None)
    leaf = load_chain(folder / "signer.pem")[0]

    def sign(content):
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(leaf, key, hashes.SHA256())
        return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary])

    return sign


class TestDocumentSignature:
    CONTENT = b'{"a":"b"}'

    def sign(self, office, *options, digest=None, signers=1, content=CONTENT):
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
        key = load_private_key(office.files.signing_key, None)
        leaf = load_chain(office.files.signing_chain)[0]
        for _ in range(signers):
            builder = builder.add_signer(leaf, key, digest or hashes.SHA256())
        return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary, *options])

    def test_the_form_that_is_taken(self, office):
        signed = verify_detached(self.CONTENT, self.sign(office, pkcs7.PKCS7Options.DetachedSignature), "x")
        assert signed.addresses == ("soc@provider.example",)

    @pytest.mark.parametrize(
        ("options", "changes"),
        [
            ((), {}),
            ((pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.NoAttributes), {}),
            ((pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.NoCerts), {}),
            ((pkcs7.PKCS7Options.DetachedSignature,), {"digest": hashes.SHA512()}),
            ((pkcs7.PKCS7Options.DetachedSignature,), {"signers": 2}),
            ((pkcs7.PKCS7Options.DetachedSignature,), {"content": b"other"}),
        ],
        ids=["with content", "no attributes", "no certificate", "SHA-512", "two signers", "other content"],
    )
    def test_forms_that_are_not(self, office, options, changes):
        signature = self.sign(office, *options, **changes)
        refused("x", verify_detached, self.CONTENT, signature, "x")

    def test_over_another_document(self, office, sealed):
        files = replace(files_of(sealed), document=sealed.document.replace(b"INC-2026", b"INC-2025"))
        reason = refused(DOCUMENT_SIGNATURE, steps_of_files, files, office.trust)
        assert reason == "the content is not what was signed"

    def test_signed_again_by_the_same_key(self, office, sealed):
        """The log holds the signature too: a second one over the same document is not the one that was served."""
        files = replace(files_of(sealed), signature=office.signer.sign_detached(sealed.document), timestamp=None)
        with pytest.raises(VerificationError):
            steps_of_files(files, office.trust)
        files = replace(files, timestamp=office.token(files.signature))
        refused(INCLUSION, steps_of_files, files, office.trust)

    def test_by_a_key_that_had_expired_at_the_timestamp(self, office, tmp_path):
        forger = _forger(office, tmp_path, days=(-30, -1))
        signed = office.seal(signer=_Forging(forger))
        assert "does not hold at" in refused(CERTIFICATE, steps_of_files, files_of(signed), office.trust)

    def test_by_an_address_without_a_certificate_of_the_ca(self, office, other_office):
        signed = office.seal(signer=other_office.signer)
        refused(CERTIFICATE, steps_of_files, files_of(signed), office.trust)

    def test_a_certificate_that_is_no_link_is_not_carried_along(self, office, other_office):
        key = load_private_key(office.files.signing_key, None)
        leaf = load_chain(office.files.signing_chain)[0]

        class Carrying:
            def sign_detached(self, content):
                builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(leaf, key, hashes.SHA256())
                builder = builder.add_certificate(other_office.trust.ca[0])
                return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary])

        signed = office.seal(signer=Carrying())
        assert "no link" in refused(CERTIFICATE, steps_of_files, files_of(signed), office.trust)


class _Forging:
    def __init__(self, sign):
        self.sign_detached = sign


class TestTimestamp:
    def test_by_another_authority(self, office, other_office, sealed):
        files = replace(files_of(sealed), timestamp=other_office.token(sealed.signature))
        refused(TIMESTAMP, steps_of_files, files, office.trust)

    def test_over_something_else(self, office, sealed):
        for other in (sealed.document, sealed.signature + b"\x00"):
            files = replace(files_of(sealed), timestamp=office.token(other))
            refused(TIMESTAMP, steps_of_files, files, office.trust)

    def test_a_token_the_log_holds_is_not_left_out_or_exchanged(self, office, sealed):
        files = replace(files_of(sealed), timestamp=None)
        assert "is not here" in refused(TIMESTAMP, steps_of_files, files, office.trust)
        later = replace(files, timestamp=office.token(sealed.signature, office.now + timedelta(hours=1)))
        assert "another timestamp" in refused(INCLUSION, steps_of_files, later, office.trust)

    def test_from_before_the_authority_was_certified(self, office, sealed):
        at = office.now - timedelta(days=400)
        files = replace(files_of(sealed), timestamp=office.token(sealed.signature, at))
        with pytest.raises(VerificationError):
            steps_of_files(files, office.trust)


class TestDocument:
    @pytest.mark.parametrize(
        "changes",
        [
            {"schema": "greffier.notice/2"},
            {"renderings": "none"},
            {"renderings": [{"language": "fr"}]},
            {"renderings": [{"language": ["fr"], "media_type": [], "sha256": {}}]},
            {"effect": None},
            {"effect": {"resources_csv_sha256": "00" * 32}},
        ],
        ids=str,
    )
    def test_what_is_signed_and_logged_must_still_be_a_notice(self, office, changes):
        refused(DOCUMENT, steps_of_files, files_of(office.seal(document=changes)), office.trust)

    def test_the_list_of_resources_is_the_one_stated(self, office, sealed):
        for csv in (None, b"", sealed.resources_csv + b"x"):
            refused(DOCUMENT, steps_of_files, replace(files_of(sealed), resources_csv=csv), office.trust)
        without = files_of(office.seal(csv=None))
        refused(DOCUMENT, steps_of_files, replace(without, resources_csv=b"a"), office.trust)

    def test_json_of_another_form_is_refused(self, office):
        class Loose:
            def sign_detached(self, content):
                return office.signer.sign_detached(b" " + content)

        signed = office.seal(signer=Loose(), uncommitted=("document",))
        files = replace(files_of(signed), document=b" " + signed.document)
        assert "canonical" in refused(DOCUMENT, steps_of_files, files, office.trust)


class TestMailAgrees:
    def test_words_that_the_document_does_not_commit_to(self, office, mail):
        for old, new, kind in (
            (b"=46=\r\n", b"=47=\r\n", "text/plain"),
            (b"=20\r\n", b"\r\n", "text/plain"),
            (b"&amp;", b"&lt;", "text/html"),
        ):
            changed = resigned(office, mail, lambda signed, old=old, new=new: signed.replace(old, new, 1))
            assert kind in refused(MAIL_AGREES, steps_of_mail, changed, office.trust)

    def test_a_language_that_was_not_sealed(self, office, sealed, mail):
        changed = resigned(
            office, mail, lambda signed: signed.replace(b"Content-Language: fr", b"Content-Language: it")
        )
        assert "no words in it" in refused(MAIL_AGREES, steps_of_mail, changed, office.trust)
        # The words of one language under the name of another.
        french, german = sealed.renderings
        swapped = replace(sealed, renderings=(replace(french, text="Rien."), german))
        refused(MAIL_AGREES, steps_of_mail, office.mail(swapped), office.trust)

    @pytest.mark.parametrize(
        ("subject", "missing"),
        [
            ("[TLP:AMBER+STRICT] INC-2026-000041 #1", "INC-2026-000042"),
            ("[TLP:CLEAR] INC-2026-000042 #1", "TLP:AMBER"),
            ("[TLP:AMBER+STRICT] INC-2026-000042 #2", "#1"),
        ],
    )
    def test_a_subject_of_another_notice(self, office, sealed, subject, missing):
        wrong = replace(sealed, renderings=tuple(replace(item, subject=subject) for item in sealed.renderings))
        assert missing in refused(MAIL_AGREES, steps_of_mail, office.mail(wrong), office.trust)


class TestInclusion:
    @pytest.mark.parametrize(
        "entry",
        [
            {"type": "notice.released"},
            {"subjects": {"incident": str(UUID(int=9)), "notice": str(UUID(int=78)), "customer": "ab" * 32}},
            {"subjects": {"incident": str(UUID(int=8)), "notice": str(UUID(int=77)), "customer": "ab" * 32}},
            {"detail": {"ticket": "INC-2026-000041", "sequence": 1, "kind": "initial", "facts_version": 3}},
            {"detail": {"ticket": "INC-2026-000042", "sequence": 2, "kind": "initial", "facts_version": 3}},
            {"detail": {"ticket": "INC-2026-000042", "sequence": 1, "kind": "update", "facts_version": 3}},
            {"detail": {"ticket": "INC-2026-000042", "sequence": 1, "kind": "initial", "facts_version": 4}},
            {"detail": {"sequence": 1, "kind": "initial", "facts_version": 3}},
        ],
        ids=str,
    )
    def test_a_leaf_about_something_else(self, office, entry):
        refused(INCLUSION, steps_of_files, files_of(office.seal(entry=entry)), office.trust)

    @pytest.mark.parametrize("name", ["document", "signature"])
    def test_a_leaf_that_commits_to_less(self, office, name):
        signed = office.seal(uncommitted=(name,))
        assert f"commits to no {name}" in refused(INCLUSION, steps_of_files, files_of(signed), office.trust)

    @pytest.mark.parametrize("salt", [b"", b"\x00" * 31, b"\x00" * 32, b"\x00" * 33])
    def test_a_salt_that_opens_nothing(self, office, salt):
        for name in ("document", "signature", "timestamp"):
            signed = office.seal(salts={name: salt})
            refused(INCLUSION, steps_of_files, files_of(signed), office.trust)

    def test_an_opening_too_many(self, office):
        signed = office.seal(salts={"other": b"\x00" * 32})
        assert "open" in refused(INCLUSION, steps_of_files, files_of(signed), office.trust)

    def test_the_proof_of_another_notice(self, office, sealed):
        another = office.seal(document={"sequence": 2}, entry={"id": UUID(int=6)})
        refused(INCLUSION, steps_of_files, replace(files_of(sealed), proof=another.log_proof), office.trust)

    def test_paths_that_lead_nowhere(self, office, sealed):
        proof = parse_proof(sealed.log_proof)
        for index, hashes_ in (
            (proof.index + 1, proof.hashes),
            (proof.index - 1, proof.hashes),
            (proof.index, proof.hashes[:-1]),
            (proof.index, proof.hashes[::-1]),
            (proof.index, (*proof.hashes, b"\x00" * 32)),
            (10**18, proof.hashes),
            (proof.index, ()),
        ):
            wrong = format_proof(index, hashes_, proof.checkpoint, proof.extra)
            refused(INCLUSION, steps_of_files, replace(files_of(sealed), proof=wrong), office.trust)

    @pytest.mark.parametrize("extra", [None, b"{}", b"null", b'{"leaf":"","openings":{},"v":1}', b"\xff"])
    def test_a_proof_without_its_leaf(self, office, sealed, extra):
        proof = parse_proof(sealed.log_proof)
        wrong = format_proof(proof.index, proof.hashes, proof.checkpoint, extra)
        refused(INCLUSION, steps_of_files, replace(files_of(sealed), proof=wrong), office.trust)


class TestCheckpoint:
    def test_of_another_log(self, office, other_office, sealed):
        trust = replace(office.trust, log_keys=other_office.trust.log_keys)
        refused(CHECKPOINT, steps_of_files, files_of(sealed), trust)

    def test_signed_by_nobody_known(self, office, sealed):
        key = replace(office.trust.log_keys[0], public_key=hashlib.sha256(b"x").digest())
        refused(CHECKPOINT, steps_of_files, files_of(sealed), replace(office.trust, log_keys=(key,)))

    def test_a_tree_rewritten_without_the_key(self, office, other_office, sealed):
        """The same leaf in a tree of somebody else's: every hash fits, the signature does not."""
        extra = parse_proof(sealed.log_proof).extra
        rewritten = parse_proof(other_office.seal().log_proof)
        proof = parse_proof(sealed.log_proof)
        forged = other_office.proof(*_leaf_and_salts(extra), position=3, size=9)
        assert parse_proof(forged).checkpoint != proof.checkpoint != rewritten.checkpoint
        refused(CHECKPOINT, steps_of_files, replace(files_of(sealed), proof=forged), office.trust)


def _leaf_and_salts(extra):
    parsed = parse_notice_extra(extra)
    return parsed.leaf, dict(parsed.salts)


class TestTrust:
    def test_what_is_no_trust_anchor_is_said(self, office):
        ca = (office.files.trust / "ca.pem").read_bytes()
        tsa = (office.files.trust / "tsa.pem").read_bytes()
        key = (office.files.trust / "log.vkey").read_text()
        assert parse_trust(ca, tsa, key) == office.trust
        for arguments, named in (
            ((b"", tsa, key), "ca.pem"),
            ((ca, b"-----BEGIN CERTIFICATE-----\nx", key), "tsa.pem"),
            ((ca, tsa, "x"), "log.vkey"),
            ((ca, tsa, key.replace("+", " ", 1)), "log.vkey"),
        ):
            with pytest.raises(InvalidInputError, match=re.escape(named)):
                parse_trust(*arguments)

    def test_each_anchor_is_needed(self, office, other_office, mail):
        for name, step in (("ca", MAIL_SIGNATURE), ("timestamp_roots", TIMESTAMP), ("log_keys", CHECKPOINT)):
            trust = replace(office.trust, **{name: getattr(other_office.trust, name)})
            refused(step, steps_of_mail, mail, trust)


def test_a_key_on_another_curve_is_verified_by_its_own_algorithm(office, tmp_path):
    forger = _forger(office, tmp_path, key=ec.generate_private_key(ec.SECP384R1()))
    assert verify_detached(b"x", forger(b"x"), "x").addresses == ("soc@provider.example",)
