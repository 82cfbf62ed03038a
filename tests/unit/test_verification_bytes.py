"""Whatever byte is changed, added or taken away, of a mail or of a file: some step fails, and nothing else happens."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from notifications.errors import VerificationError
from notifications.evidence.verification import TIMESTAMP
from support.sealed_sample import Office, body_start, files_of, steps_of_files, steps_of_mail

pytestmark = pytest.mark.slow

#: Each changes a byte, and no two alike.
MASKS = (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF)
FILES = ("document", "signature", "timestamp", "proof", "resources_csv")


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def sealed(office):
    return office.seal()


@pytest.fixture(scope="module")
def mail(office, sealed):
    return office.mail(sealed)


def flipped(data, position, mask):
    changed = bytearray(data)
    changed[position] ^= mask
    return bytes(changed)


def survivors(data, verify, step=1):
    """Return where a byte could be changed without a step that fails."""
    found = []
    for position in range(0, len(data), step):
        try:
            verify(flipped(data, position, MASKS[position % len(MASKS)]))
        except VerificationError:
            continue
        found.append(position)
    return found


def test_no_byte_of_a_mail_below_its_header_changes(office, mail):
    start = body_start(mail)
    head, body = mail[:start], mail[start:]
    assert survivors(body, lambda changed: steps_of_mail(head + changed, office.trust), step=5) == []


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("name", FILES)
def test_no_byte_of_a_file_changes(office, name, committed):
    """Not of a token either that came later, which the log's entry does not hold."""
    files = files_of(office.seal(uncommitted=() if committed else ("timestamp",)))

    def verify(changed):
        return steps_of_files(replace(files, **{name: changed}), office.trust)

    assert survivors(getattr(files, name), verify) == []


def test_no_bit_of_a_token_changes_that_its_signature_does_not_cover(office):
    """Versions and names of algorithms: libraries pass over them, and this token is not held by the log."""
    files = files_of(office.seal(uncommitted=("timestamp",)))
    token = files.timestamp
    signed_data = token.index(b"\x02\x01\x03\x31") + 2
    signer = token.rindex(b"\x02\x01\x01\x30") + 2
    rsa_encryption = token.rindex(bytes.fromhex("06092a864886f70d010101")) + 2
    for position in (signed_data, signer, *range(rsa_encryption, rsa_encryption + 9)):
        for bit in range(8):
            changed = replace(files, timestamp=flipped(token, position, 1 << bit))
            with pytest.raises(VerificationError) as caught:
                steps_of_files(changed, office.trust)
            assert caught.value.step == TIMESTAMP


@given(st.data())
def test_no_bytes_of_a_mail_are_replaced_removed_or_added(office, mail, data):
    start = body_start(mail)
    position = data.draw(st.integers(start, len(mail) - 1))
    removed = data.draw(st.integers(0, 40))
    added = data.draw(st.binary(max_size=40))
    changed = mail[:position] + added + mail[position + removed :]
    assume(changed.rstrip(b"\r\n") != mail.rstrip(b"\r\n"))
    with pytest.raises(VerificationError):
        steps_of_mail(changed, office.trust)


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_cut_off_or_longer(office, sealed, name):
    files = files_of(sealed)
    data = getattr(files, name)
    for changed in (b"", data[:-1], data[1:], data + b"\x00", data + b"\n", data + data, data[: len(data) // 2]):
        with pytest.raises(VerificationError):
            steps_of_files(replace(files, **{name: changed}), office.trust)


def test_outer_headers_that_are_not_protected_may_change_and_no_others(office, mail):
    """A changed name makes another header of it: then the protected one is missing outside."""
    start = body_start(mail)
    for position in range(start - 4):
        try:
            steps_of_mail(flipped(mail, position, 0x01), office.trust)
        except VerificationError:
            continue
        line = mail[: mail.index(b"\r\n", position)].rpartition(b"\r\n")[2]
        assert line.startswith(b"Auto-Submitted"), line


@given(st.binary(max_size=300))
def test_noise_is_refused_and_never_breaks_the_verifier(office, sealed, noise):
    with pytest.raises(VerificationError):
        steps_of_mail(noise, office.trust)
    for name in FILES:
        files = replace(files_of(sealed), **{name: noise})
        with pytest.raises(VerificationError):
            steps_of_files(files, office.trust)
