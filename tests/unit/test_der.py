"""The strict reader of signature files, against another reader of ASN.1 and against every other shape of CMS."""

import hashlib
import itertools
from contextlib import suppress

import pytest
from asn1crypto import cms, core, x509
from hypothesis import given
from hypothesis import strategies as st

from notifications.crypto.der import ECDSA_WITH_SHA256, parse_detached_signature, parse_timestamp_reply
from notifications.errors import InvalidInputError
from support.sealed_sample import Office

CONTENT = b'{"a":"b"}'


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def signature(office):
    return office.signer.sign_detached(CONTENT)


@pytest.fixture(scope="module")
def token(office):
    return office.token(CONTENT)


def refused(data):
    with pytest.raises(InvalidInputError) as caught:
        parse_detached_signature(data)
    return str(caught.value)


def test_it_reads_what_another_reader_reads(signature):
    parsed = parse_detached_signature(signature)
    signed_data = cms.ContentInfo.load(signature)["content"]
    (signer,) = signed_data["signer_infos"]
    attributes = {item["type"].native: item["values"][0].native for item in signer["signed_attrs"]}
    assert parsed.certificates == tuple(item.chosen.dump() for item in signed_data["certificates"])
    assert parsed.issuer == signer["sid"].chosen["issuer"].dump()
    assert parsed.serial == signer["sid"].chosen["serial_number"].native
    assert parsed.message_digest == attributes["message_digest"] == hashlib.sha256(CONTENT).digest()
    assert parsed.signed_attributes == signer["signed_attrs"].untag().dump()
    assert parsed.signature_algorithm == signer["signature_algorithm"]["algorithm"].dotted == ECDSA_WITH_SHA256
    assert parsed.signature == signer["signature"].native


def changed(signature, change):
    """Return the signature with ``change`` made to its SignedData and only signer, written anew in DER."""
    info = cms.ContentInfo.load(signature)
    change(info["content"], info["content"]["signer_infos"][0])
    return info.dump(force=True)


def test_writing_it_anew_changes_nothing(signature):
    assert changed(signature, lambda data, signer: None) == signature


def set_encapsulated(data, content_type, content=None):
    value = {"content_type": content_type} | ({} if content is None else {"content": content})
    data["encap_content_info"] = cms.ContentInfo(value)


def name_by_key(signer):
    signer["sid"] = cms.SignerIdentifier(name="subject_key_identifier", value=core.OctetString(b"k" * 20))


def without(signer, kind):
    kept = [item for item in signer["signed_attrs"] if item["type"].native != kind]
    signer["signed_attrs"] = cms.CMSAttributes(kept)


def with_more(signer, kind, *values):
    attribute = cms.CMSAttribute({"type": kind, "values": values})
    signer["signed_attrs"] = cms.CMSAttributes([*signer["signed_attrs"], attribute])


def unsigned(signer):
    attribute = cms.CMSAttribute({"type": "message_digest", "values": [bytes(32)]})
    signer["unsigned_attrs"] = cms.CMSAttributes([attribute])


def set_certificates(data, certificates):
    data["certificates"] = cms.CertificateSet(certificates)


@pytest.mark.parametrize(
    "change",
    [
        lambda data, signer: data.__setitem__("version", "v3"),
        lambda data, signer: signer.__setitem__("version", "v3"),
        lambda data, signer: data.__setitem__("digest_algorithms", [{"algorithm": "sha512"}]),
        lambda data, signer: data.__setitem__("digest_algorithms", [{"algorithm": "sha256"}, {"algorithm": "sha512"}]),
        lambda data, signer: data.__setitem__("digest_algorithms", []),
        lambda data, signer: signer.__setitem__("digest_algorithm", {"algorithm": "sha512"}),
        lambda data, signer: set_encapsulated(data, "data", CONTENT),
        lambda data, signer: set_encapsulated(data, "tst_info"),
        lambda data, signer: data.__setitem__("crls", []),
        lambda data, signer: data.__setitem__("certificates", None),
        lambda data, signer: set_certificates(data, []),
        lambda data, signer: set_certificates(data, [data["certificates"][0]] * 11),
        lambda data, signer: data.__setitem__("signer_infos", []),
        lambda data, signer: data.__setitem__("signer_infos", [signer, signer]),
        lambda data, signer: name_by_key(signer),
        lambda data, signer: signer.__setitem__("signed_attrs", None),
        lambda data, signer: without(signer, "content_type"),
        lambda data, signer: without(signer, "message_digest"),
        lambda data, signer: with_more(signer, "content_type", "data"),
        lambda data, signer: with_more(signer, "content_type", "tst_info"),
        lambda data, signer: with_more(signer, "message_digest", bytes(32)),
        lambda data, signer: with_more(signer, "message_digest", bytes(32), bytes(32)),
        lambda data, signer: unsigned(signer),
        lambda data, signer: signer.__setitem__(
            "signature_algorithm", {"algorithm": "rsassa_pss", "parameters": {"salt_length": 32}}
        ),
    ],
    ids=[
        "SignedData v3", "signer v3", "another digest", "two digests", "no digest", "the signer's digest", "content",
        "content type", "revocation lists", "no certificates", "empty certificates", "eleven certificates",
        "no signer", "two signers", "signer by key", "no signed attributes", "no content type", "no message digest",
        "content type twice", "two content types", "message digest twice", "two values", "unsigned attributes",
        "algorithm parameters",
    ],
)  # fmt: skip
def test_every_other_shape_of_cms_is_refused(signature, change):
    other = changed(signature, change)
    assert other != signature
    assert refused(other).startswith("signature: ")


def test_ten_certificates_are_taken(signature):
    ten = changed(signature, lambda data, signer: set_certificates(data, [data["certificates"][0]] * 10))
    assert len(parse_detached_signature(ten).certificates) == 10


def test_another_kind_of_content_info_is_refused():
    assert "not SignedData" in refused(cms.ContentInfo({"content_type": "data", "content": b"x"}).dump())


# -- encodings: whatever is not signed has one form


def item(tag, body, length=None):
    """Return tag, length and contents; ``length`` replaces the encoded length."""
    if length is None:
        size = len(body)
        shortest = size.to_bytes(max(1, (size.bit_length() + 7) // 8), "big")
        length = shortest if size < 0x80 else bytes([0x80 | len(shortest)]) + shortest
    return bytes([tag]) + length + body


def inside(data):
    """Return the contents of the outermost item."""
    count = data[1] & 0x7F if data[1] >= 0x80 else 0
    return data[2 + count :]


def test_a_signature_is_cut_off_nowhere_and_followed_by_nothing(signature):
    for end in range(len(signature)):
        refused(signature[:end])
    for more in (b"\x00", b"\n", b"\x05\x00", signature):
        refused(signature + more)


def test_a_length_has_its_shortest_form(signature):
    body = inside(signature)
    assert item(0x30, body) == signature
    size = len(body).to_bytes(2, "big")
    for length in (b"\x83\x00" + size, b"\x84\x00\x00" + size, b"\x85\x00\x00\x00" + size, b"\x80", b"\xff" + size):
        assert "length" in refused(item(0x30, body, length))
    assert "length" in refused(item(0x30, b"", b"\x81\x7f") + bytes(127))
    assert "length" in refused(item(0x30, body + b"\x00\x00", b"\x80"))


def test_a_tag_has_one_byte(signature):
    assert "long tag" in refused(item(0x3F, b"\x30" + inside(signature)))
    assert "shape" in refused(item(0x31, inside(signature)))


def rewritten(data, old, new):
    """Return the items with one of them exchanged, wherever it stands, and every length around it made right."""
    if data == old:
        return new
    if not data or not data[0] & 0x20:
        return data
    parts, body = [], inside(data)
    while body:
        size = body[1]
        head = 2
        if size >= 0x80:
            head = 2 + (size & 0x7F)
            size = int.from_bytes(body[2:head], "big")
        parts.append(rewritten(body[: head + size], old, new))
        body = body[head + size :]
    return item(data[0], b"".join(parts))


@pytest.mark.parametrize("value", [0, 5, 200, -5, 2**100])
def test_the_serial_number_has_its_shortest_form(signature, value):
    """A padded one names the same certificate, and no digest covers it."""
    identifier = cms.ContentInfo.load(signature)["content"]["signer_infos"][0]["sid"].chosen
    issuer = identifier["issuer"].dump()
    shortest = core.Integer(value).contents
    for body, taken in (
        (shortest, True),
        ((b"\xff" if value < 0 else b"\x00") + shortest, False),
        ((b"\xff" if value < 0 else b"\x00") * 9 + shortest, False),
        (b"", False),
    ):
        other = rewritten(signature, identifier.dump(), item(0x30, issuer + item(0x02, body)))
        assert other != signature
        if taken:
            assert parse_detached_signature(other).serial == value
        else:
            assert "serial number" in refused(other)


def test_an_identifier_has_its_shortest_form(signature):
    oid = bytes.fromhex("06092a864886f70d010702")
    assert signature.count(oid) == 1
    for broken in ("060a2a80864886f70d010702", "06092a864886f70d010782", "0600", "060180"):
        assert "identifier" in refused(rewritten(signature, oid, bytes.fromhex(broken)))


def test_a_certificate_s_signature_is_a_whole_number_of_bytes(office, signature):
    """Libraries pass over the count of unused bits, and the issuer did not sign it."""
    certificate = parse_detached_signature(signature).certificates[0]
    bits = x509.Certificate.load(certificate)["signature_value"].dump()
    assert certificate.endswith(bits)
    assert bits[2] == 0
    broken = certificate.removesuffix(bits) + bits[:2] + b"\x01" + bits[3:]
    assert "whole number of bytes" in refused(signature.replace(certificate, broken))


@given(st.binary(max_size=400))
def test_noise_is_refused(noise):
    refused(noise)
    with pytest.raises(InvalidInputError):
        parse_timestamp_reply(noise)


@given(st.data())
def test_whatever_is_changed_it_is_read_or_refused(signature, token, data):
    for read, whole in ((parse_detached_signature, signature), (parse_timestamp_reply, token)):
        position = data.draw(st.integers(0, len(whole)))
        other = whole[:position] + data.draw(st.binary(max_size=6)) + whole[position + data.draw(st.integers(0, 6)) :]
        with suppress(InvalidInputError):
            read(other)


def test_a_token_is_taken_with_and_without_certificates(office, token):
    parse_timestamp_reply(token)
    parse_timestamp_reply(office.token(CONTENT, with_certificates=False))


def test_every_prefix_of_a_token_is_refused(token):
    for end in itertools.chain(range(0, len(token), 7), range(len(token) - 20, len(token))):
        with pytest.raises(InvalidInputError):
            parse_timestamp_reply(token[:end])
